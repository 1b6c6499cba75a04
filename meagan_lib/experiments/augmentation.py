"""What synthetic windows add to real ones: the table of ``meagan run utility``, read.

Apart from the module that writes it, for that depends on every model, and notebook 4 would with it.
"""

from pathlib import Path

import pandas as pd

from meagan_lib import ROOT
from meagan_lib.evaluation.statistics import SIGNIFICANT
from meagan_lib.experiments import sweep

TABLE = ROOT / "data" / "utility.csv"
"""The table that is kept, of the run that ``params/utility.yaml`` describes."""
SCORES = ("f1", "tstr", "trts")
"""Macro-F1 of a classifier of units: trained on real and synthetic windows, on synthetic ones alone, tested on them."""
ALONE = "alone"
LABELS = {
    ALONE: "real windows alone",
    "classical": "classical augmentation",
    "gaussian": "Gaussian, shared covariance",
    "transformer_gan": "Transformer-GAN",
    "vae_gan": "VAE-GAN",
    "flow_matching": "flow matching",
    "pretrained_vae_gan": "VAE-GAN, pre-trained",
}
"""What is added to the real windows, in words."""


def load(path: Path | str = TABLE) -> pd.DataFrame:
    """Read a table of the sweep: a row for each recording, generator, n and seed, NaN where there is no macro-F1."""
    return sweep.load(path, "utility", SCORES)


def gains(table: pd.DataFrame) -> pd.DataFrame:
    """Return what each generator adds to the macro-F1 of n real windows, as :func:`sweep.comparisons` describes it."""
    against = table["generator"].map(lambda generator: "" if generator == ALONE else ALONE)
    return sweep.comparisons(table.assign(against=against), ["data", "n", "generator"], "f1", higher_is_better=True)


def summary(path: Path) -> tuple[str, pd.DataFrame]:
    """Return title and closing table of the command: what each generator adds to the real windows alone."""
    table, by = load(path), ["data", "generator", "n"]
    means, found = table.groupby(by, sort=False)["f1"].mean(), gains(table)
    cells = means.map("{:.3f}".format)
    cells.update(found.set_index(by).apply(lambda g: f"{g.difference:+.3f}" + " *" * (g.q < SIGNIFICANT), axis=1))
    title = (
        "macro-F1 of n real windows a unit, and what synthetic windows add to it "
        f"(*: significant, q < {SIGNIFICANT:g} over {len(found)} comparisons)"
    )
    return title, cells.unstack(sort=False).add_prefix("n = ").reset_index().rename(columns={"data": "recording"})
