"""Scores over seeds: what another seed would change, and whether two models differ by more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
from scipy.special import gammaln


@dataclass(frozen=True)
class OverSeeds:
    """A score over seeds.

    Attributes
    ----------
    mean
        Of ``n`` seeds.
    interval
        95 % interval of the mean, by Student's t; NaN for a single seed, which says nothing of others.
    n
        Number of seeds.
    """

    mean: float
    interval: tuple[float, float]
    n: int


def over_seeds(values: Sequence[float]) -> OverSeeds:
    """Mean of a score's values, one for each seed, with its interval; NaN where there is none."""
    x = np.asarray(values, dtype=np.float64)
    mean, n = float(x.mean()) if len(x) else float("nan"), len(x)
    half = float(scipy.stats.t.ppf(0.975, n - 1) * x.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return OverSeeds(mean, (mean - half, mean + half), n)


@dataclass(frozen=True)
class Paired:
    """One model against another over the seeds that both have.

    Attributes
    ----------
    difference
        Mean of the first model's value minus the second's; ``interval`` is its 95 % interval, by Student's t.
    p
        Of the paired t-test.
    mean
        Of the first model's values.
    cohens_dz
        The difference over the standard deviation of the differences (Cohen 1988).
    hedges_g
        The same without the bias of few seeds: times J = Γ(m/2) / (√(m/2) Γ((m − 1)/2)), m = n − 1 (Hedges 1981,
        doi:10.3102/10769986006002107).
    n
        Number of pairs.
    q
        ``p`` after :func:`q_values` of all that was compared; NaN for one alone.
    """

    difference: float
    interval: tuple[float, float]
    p: float
    mean: float
    cohens_dz: float
    hedges_g: float
    n: int
    q: float = float("nan")


SIGNIFICANT = 0.05
"""A difference is significant where its q is below: of all that are, at most this share is expected to be chance."""


def q_values(p: Sequence[float]) -> np.ndarray:
    """p-values (n,) of everything that was tested, corrected for their number; NaN stays NaN and counts as no test.

    Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    p = np.asarray(p, dtype=np.float64)
    q, tested = np.full(p.shape, np.nan), np.isfinite(p)
    if tested.any():
        q[tested] = scipy.stats.false_discovery_control(p[tested])
    return q


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Paired:
    """Compare two models by a score, seed → value, over the seeds that both have, NaN left out.

    All but the means is NaN for fewer than two pairs, and where all pairs differ by the same, but for rounding.
    """
    seeds = [seed for seed in sorted(set(first) & set(second)) if np.isfinite([first[seed], second[seed]]).all()]
    a, b = (np.array([model[seed] for seed in seeds], dtype=np.float64) for model in (first, second))
    summary, spread, n = over_seeds(a - b), float(np.std(a - b, ddof=1)) if len(seeds) > 1 else 0.0, len(seeds)
    mean = float(a.mean()) if n else float("nan")
    if spread <= 1e-9 * np.abs(np.r_[a, b]).max(initial=0):
        nan = float("nan")
        return Paired(summary.mean, (nan, nan), nan, mean, nan, nan, n)
    d, m = summary.mean / spread, n - 1
    unbiased = np.exp(gammaln(m / 2) - gammaln((m - 1) / 2) - 0.5 * np.log(m / 2)) if m > 1 else float("nan")
    p = float(scipy.stats.ttest_rel(a, b).pvalue)
    return Paired(summary.mean, summary.interval, p, mean, d, float(d * unbiased), n)


def told_p(p: float, name: str = "p") -> str:
    """A p-value, or a q-value, in words: p = 0.013, p < 0.001."""
    return f"{name} < 0.001" if p < 0.001 else f"{name} = {p:.3f}"
