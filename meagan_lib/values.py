"""Values that are given: of the type of a default, and within the range of their name."""

import re
from math import inf

from meagan_lib import InputError

KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", list: "a list"}
KINDS |= {dict: "a mapping", type(None): "nothing"}
"""What a value of each type is called."""
LEAST = {"channel": -1, "growth": -1.0, "vae_steps": 0, "snapshots": 0, "few": 0, "exposures": 0, "options.steps": 0}
LEAST |= {"min_train_windows": 0, "drift": -10_000, "threshold_mad": 0.5, "threshold": 0.5, "fuzziness": 1.01}
LEAST |= dict.fromkeys(("n_windows", "n_planted"), 20) | {"n_embedding": 60}
LEAST |= dict.fromkeys(("n_bootstrap", "n_resamples", "blocks"), 2) | {"cultures": 3}
LEAST |= dict.fromkeys(("duration_s", "culture_s", "length_s", "block_s", "jitter_ms", "fine_jitter_ms"), 1.0)
"""Least values of names for which they are not 0, or 1 for a count whose default is 1 or more."""
MOST = dict.fromkeys(("seed", "split_seed", "seeds", "baseline_seeds"), 2**31 - 1)
MOST |= dict.fromkeys(
    ("ema", "alpha", "kl_warmup_fraction", "flip_labels", "final_rate_fraction", "split_fractions"), 1.0
)
MOST |= {"d_dropout": 0.99, "g_dropout": 0.99, "threads": 1024, "workers": 1024, "split_cycles": 10_000}
MOST |= {"units": 10_000, "footprint_um": 500.0, "footprint-um": 500.0, "batch_size": 2**16}
MOST |= {"detector_pieces": 10**6} | dict.fromkeys(("duration_s", "culture_s", "length_s"), 86_400.0)
"""Largest values of names that have one: what numpy takes for a seed, what is a fraction, what would take hours."""


def of_type(value: object, like: object, name: str) -> object:
    """Return ``value`` where it has the type of the default ``like``, and its numbers the range of their ``name``.

    An int serves as a float, and so does 1e-4, which YAML takes for a text; the items of a list have the type of the
    default's.

    ``InputError``: another type, a number that is none or infinite, or one out of its range.
    """
    if isinstance(like, float) and (type(value) is int or re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", str(value))):
        value = float(value)
    if type(value) is not type(like):
        raise InputError(f"parameter {name} is {_kind(like)} (by default {like!r}), and {value!r} is {_kind(value)}")
    if isinstance(like, list) and like:
        return [of_type(item, like[0], f"{name}[{i}]") for i, item in enumerate(value)]
    if type(value) in (int, float):
        bare = re.sub(r"^(.*\.|--)|\[\d+\]$", "", name)
        least = LEAST.get(name, LEAST.get(bare, 1 if type(like) is int and like >= 1 else 0))
        most = MOST.get(bare, 10**9 if type(like) is int else inf)
        if not least <= value <= most or value in (inf, -inf):
            between = f"between {least:g} and {most:.15g}" if bare in MOST or value > most else f"{least:g} or more"
            raise InputError(f"{name} is {value}: it must be {between}")
    return value


def is_number(value: object) -> bool:
    """Say whether a value of JSON is a number that a float holds, be it NaN."""
    return type(value) is float or (type(value) is int and abs(value) < 1e300)


def _kind(value: object) -> str:
    return KINDS.get(type(value), type(value).__name__)
