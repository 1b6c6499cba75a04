"""The thin library behind the notebooks of MEAGAN."""

import atexit
import difflib
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meagan_lib.experiments.portable import SpikeGenerator

ROOT = Path(__file__).resolve().parents[1]
"""The checkout: notebooks, params, data, figures and results lie under it."""


def caches(folder: Path) -> dict[str, str]:
    """Return environment variables by which other libraries keep in a folder what they would keep in the home."""
    places = {
        "XDG_CACHE_HOME": "",
        "XDG_CONFIG_HOME": "config",
        "MPLCONFIGDIR": "matplotlib",
        "IPYTHONDIR": "ipython",
        "JUPYTER_CONFIG_DIR": "jupyter/config",
        "JUPYTER_DATA_DIR": "jupyter/data",
        "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
    }
    return {variable: str(folder / place) for variable, place in places.items()}


def place_of_caches(own: Path = ROOT / ".cache") -> Path:
    """Return the folder of the checkout where caches lie; where that can only be read, one until this process ends."""
    if os.access(own if own.is_dir() else own.parent, os.W_OK):
        return own
    folder = tempfile.mkdtemp(prefix="meagan-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


# In the checkout: a home may be missing, read-only or full, and what it holds, such as a matplotlibrc or another kernel
# called python3, must not change a run. A library that was installed without its checkout runs no notebook.
if (ROOT / "notebooks").is_dir() and not caches(ROOT).keys() <= os.environ.keys():  # jobs have those of their command
    for _variable, _folder in caches(place_of_caches()).items():
        os.environ.setdefault(_variable, _folder)
# Whoever reads a notebook imports jsonschema, which would build a parser of internationalised addresses: 1.6 s of CPU
# for every job, and no notebook has such addresses. Without the package jsonschema leaves that check out.
sys.modules.setdefault("rfc3987_syntax", None)
# A user who is a number alone, as in containers, has neither a name nor a home, and libraries stop for want of them.
os.environ.setdefault("USERNAME", "meagan")  # getpass looks here last
if os.path.expanduser("~") == "~":
    os.environ["HOME"] = os.environ.get("XDG_CACHE_HOME", str(ROOT / ".cache"))


class InputError(ValueError):
    """Bad input, in one sentence: the cause and the remedy."""


RENAMED = {
    "looks": "validations",
    "recipe": "options",
    "split_shares": "split_fractions",
    "rival_seeds": "baseline_seeds",
    "contest": "benchmark",
    "n_made": "n_generated",
    "starts": "trainings",
    "reconstruction_share": "reconstruction_fraction",
    "film_frames": "snapshots",
    "kl_warmup_share": "kl_warmup_fraction",
    "encoder_rate_share": "encoder_rate_fraction",
    "final_rate_share": "final_rate_fraction",
    "plateau_looks": "plateau_validations",
}
"""Names that parameters, sections and options once had → their names now."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``: did you mean 'x'?`` with the nearest ``known`` name, or what ``name`` is called now, or nothing."""
    known = list(known)
    if RENAMED.get(name) in known:
        return f": it is now called '{RENAMED[name]}'"
    near = difflib.get_close_matches(name, known, n=1)
    return f": did you mean '{near[0]}'?" if near else ""


def choose(what: str, name: str, known: Collection[str]) -> None:
    """Refuse a ``name`` that is not among those ``known``; ``what`` it names begins the sentence."""
    if name not in known:
        raise InputError(f"{what} '{name}' is not known{did_you_mean(name, known)}; choose one of {', '.join(known)}")


def load(source: "str | Path") -> "SpikeGenerator":
    """Open a trained generator: ``load("results/quick/transformer_gan").sample(1000, seed=0)``.

    ``source`` is the folder of a model that a run has left, or ``simulated``, which comes with the library.
    ``InputError``: no generator, a newer or a damaged one.
    """
    from meagan_lib.experiments.portable import open_generator  # torch takes a second, which who only imports is spared

    return open_generator(source)
