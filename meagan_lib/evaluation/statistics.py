"""Scores over seeds: whether two models differ by more than another seed would change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.stats
from scipy.special import gammaln

SIGNIFICANT = 0.05
"""A difference is significant where its q is below: of all that are, at most this fraction is expected to be chance."""


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a fraction (Wilson 1927, doi:10.1080/01621459.1927.10502953); NaN for none of 0."""
    if n == 0:
        return np.nan, np.nan
    interval = scipy.stats.binomtest(int(hits), int(n)).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class Paired:
    """One model against another over the seeds that both have; NaN where something is not defined."""

    difference: float
    """Mean of the first model's value minus the second's."""
    mean: float
    """Of the first model's values."""
    n: int
    """Number of pairs."""
    interval: tuple[float, float] = (np.nan, np.nan)
    """95 % interval of the difference, by Student's t."""
    p: float = np.nan
    """Of the paired t-test."""
    hedges_g: float = np.nan
    """The difference over the standard deviation of the differences, without the bias of few seeds: times
    J = Γ(m/2) / (√(m/2) Γ((m − 1)/2)), m = n − 1 (Hedges 1981, doi:10.3102/10769986006002107). NaN for two."""
    q: float = np.nan
    """``p`` after :func:`q_values` of all that was compared; NaN for one alone."""

    def __str__(self) -> str:
        """Effect size, p and q in words; empty where they are not defined."""
        if not np.isfinite(self.p):
            return ""
        said = {f"g = {self.hedges_g:+.1f}".replace("-", "−"): self.hedges_g, format_p(self.p): self.p}
        said |= {format_p(self.q, "q"): self.q}
        return ",  ".join(words for words, value in said.items() if np.isfinite(value))


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Paired:
    """Compare two models by a score, seed → value, over the seeds that both have, NaN left out.

    All but the means is NaN for fewer than two pairs, and where all pairs differ by the same, but for rounding.
    """
    seeds = [seed for seed in sorted(set(first) & set(second)) if np.isfinite([first[seed], second[seed]]).all()]
    a, b = (np.array([model[seed] for seed in seeds], dtype=np.float64) for model in (first, second))
    n = len(seeds)
    if not n:
        return Paired(np.nan, np.nan, 0)
    difference, mean = float((a - b).mean()), float(a.mean())
    spread = float(np.std(a - b, ddof=1)) if n > 1 else 0.0
    if spread <= 1e-9 * np.abs(np.r_[a, b]).max():
        return Paired(difference, mean, n)
    d, m, test = difference / spread, n - 1, scipy.stats.ttest_rel(a, b)
    unbiased = np.exp(gammaln(m / 2) - gammaln((m - 1) / 2) - 0.5 * np.log(m / 2)) if m > 1 else np.nan
    interval = tuple(float(end) for end in test.confidence_interval())
    return Paired(difference, mean, n, interval, float(test.pvalue), float(d * unbiased))


def q_values(p: Sequence[float]) -> np.ndarray:
    """Correct the p-values (n,) of everything that was tested for their number; NaN stays NaN and counts as no test.

    Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    p = np.asarray(p, dtype=np.float64)
    q, tested = np.full(p.shape, np.nan), np.isfinite(p)
    if tested.any():
        q[tested] = scipy.stats.false_discovery_control(p[tested])
    return q


class Tested(NamedTuple):
    """A value beside those (n,) of a null hypothesis, and its :func:`permutation_p` among these."""

    value: float
    null: np.ndarray
    p: float


def permutation_p(value: float, null: np.ndarray) -> float:
    """Return the fraction of the null (n,) at or above the value, itself one of them (Phipson & Smyth 2010)."""
    return float((1 + (null >= value).sum()) / (1 + len(null)))


def format_p(p: float, name: str = "p") -> str:
    """Write a p-value, or a q-value, in words: p = 0.013, p < 0.001."""
    return f"{name} < 0.001" if p < 0.001 else f"{name} = {p:.3f}"
