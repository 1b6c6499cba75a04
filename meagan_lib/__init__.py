"""The thin library behind the notebooks of MEAGAN."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The checkout: notebooks, params, data, figures and results lie under it."""

# What other libraries keep lies in the checkout: a home may be missing, read-only or full, and what it holds, such as a
# matplotlibrc or another kernel called python3, must not change a run.
for _variable, _folder in {
    "XDG_CACHE_HOME": "",
    "XDG_CONFIG_HOME": "config",
    "MPLCONFIGDIR": "matplotlib",
    "IPYTHONDIR": "ipython",
    "JUPYTER_CONFIG_DIR": "jupyter/config",
    "JUPYTER_DATA_DIR": "jupyter/data",
    "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
}.items():
    os.environ.setdefault(_variable, str(ROOT / ".cache" / _folder))
# A user who is a number alone, as in containers, has neither a name nor a home, and libraries stop for want of them.
os.environ.setdefault("USERNAME", "meagan")  # getpass looks here last
if os.path.expanduser("~") == "~":
    os.environ["HOME"] = str(ROOT / ".cache")


class InputError(ValueError):
    """Bad input, told in one sentence: the cause and the remedy."""
