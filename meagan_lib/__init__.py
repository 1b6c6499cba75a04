"""The thin library behind the notebooks of MEAGAN."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The checkout: notebooks, params, data, figures and results lie under it."""


class InputError(ValueError):
    """Bad input, told in one sentence: the cause and the remedy."""
