"""What made windows add to real ones: the table of ``meagan run utility``, read.

Apart from :mod:`meagan_lib.experiments.utility`, which makes the table and trains every model for it: notebook 04 reads without them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from meagan_lib import ROOT
from meagan_lib.evaluation.statistics import SIGNIFICANT, paired, q_values
from meagan_lib.experiments import sweep

TABLE = ROOT / "data" / "utility.csv"
"""The table that is kept, of the run that ``params/utility.yaml`` describes."""
SCORES = ("f1", "tstr", "trts")
"""Macro-F1 of a classifier of units: trained on real and made windows, on made ones alone, tested on made ones."""
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


def load(path: Path | str = TABLE) -> list[dict[str, object]]:
    """Rows of a table of the sweep: macro-F1 as numbers, NaN where there is none.

    Raises
    ------
    InputError
        No such table.
    """
    return sweep.load(path, "utility", dict.fromkeys(SCORES, float) | dict.fromkeys(("n", "seed", "units"), int))


@dataclass(frozen=True)
class Gain:
    """What made windows add to n real windows of a unit, in macro-F1 on held-out real windows."""

    data: str
    generator: str
    n: int
    mean: float
    """Macro-F1 with made windows, mean over the seeds."""
    difference: float
    """``mean`` minus that of the real windows alone."""
    p: float
    """Of the paired t-test over the seeds: with one seed the real windows are the same."""
    q: float = float("nan")
    """``p`` corrected for all gains of the table."""

    @property
    def verdict(self) -> str:
        """``helps``, ``hurts``, ``not significant`` (q ≥ 0.05, or not defined), or ``diverges``: every seed."""
        if np.isnan(self.difference):
            return "diverges"
        return "not significant" if not self.q < SIGNIFICANT else "helps" if self.difference > 0 else "hurts"


def gains(rows: Iterable[Mapping]) -> list[Gain]:
    """Every generator against the real windows alone, for each recording and n, in the order of the table."""
    seeds: dict[tuple[str, str, int], dict[int, float]] = {}
    for row in rows:
        seeds.setdefault((row["data"], row["generator"], row["n"]), {})[row["seed"]] = row["f1"]
    found = []
    for (data, generator, n), mine in seeds.items():
        if generator != ALONE:
            pair = paired(mine, seeds[data, ALONE, n])
            found.append(Gain(data, generator, n, pair.mean, pair.difference, pair.p))
    return [replace(gain, q=float(q)) for gain, q in zip(found, q_values([gain.p for gain in found]))]


VERDICTS = ("helps", "hurts", "not significant", "diverges")


def reading(found: Iterable[Gain]) -> dict[str, list[str]]:
    """What the table says: under each verdict the generators and recordings with the n that it holds for."""
    said: dict[str, dict[str, list[str]]] = {verdict: {} for verdict in VERDICTS}
    for gain in found:
        who = f"{LABELS[gain.generator]} on {gain.data}"
        said[gain.verdict].setdefault(who, []).append(f"{gain.n} ({gain.difference:+.3f})")
    return {
        verdict: [f"{who}: n = {', '.join(sizes)}" for who, sizes in its.items()]
        for verdict, its in said.items()
        if its
    }


def summary(path: Path) -> tuple[str, list[str], list[list[str]]]:
    """Title, header and lines of the closing table: what each generator adds to the real windows alone."""
    table = load(path)
    found = {(gain.data, gain.generator, gain.n): gain for gain in gains(table)}
    sizes, lines = list(dict.fromkeys(row["n"] for row in table)), []
    for data, generator in dict.fromkeys((row["data"], row["generator"]) for row in table):
        own = [row for row in table if (row["data"], row["generator"]) == (data, generator)]
        if generator == ALONE:
            cells = [f"{np.mean([row['f1'] for row in own if row['n'] == n]):.3f}" for n in sizes]
        else:
            its = [found[data, generator, n] for n in sizes]
            cells = [f"{gain.difference:+.3f}" + " *" * (gain.q < SIGNIFICANT) for gain in its]
        lines.append([data, generator, *cells])
    title = (
        "macro-F1 of n real windows a unit, and what made windows add to it "
        f"(*: significant, q < {SIGNIFICANT:g} over {len(found)} comparisons)"
    )
    return title, ["recording", "generator", *(f"n = {n}" for n in sizes)], lines
