"""What sorters reach by depth of the spikes, which is best, and whether a hybrid ranks them as the true spikes do.

Tables are those of :func:`meagan_lib.annotated.sorters.performance`: a row for each sorter and true unit. Intervals
are of 95 %, bootstrapped over units (percentiles), for another recording has other units; how a sorter varies from one
seed to the next is not in them.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from meagan_lib.evaluation.statistics import wilson

EDGES = (0.0, 4.0, 6.0, 8.0, 12.0, np.inf)
"""Edges of the bins of depth, in noise levels."""
WELL = 0.8
"""A unit of this accuracy is sorted well, as SpikeInterface counts it."""
RESAMPLED = 5000


def by_depth(units: pd.DataFrame, edges: Sequence[float] = EDGES, seed: int = 0) -> pd.DataFrame:
    """Average over the units of each sorter and bin of depth, and over all its units (``all``).

    Columns: sorter, depth, mean_depth, units, accuracy with its interval ``low`` … ``high``, recall, precision (of the
    units that have one), ``well`` (fraction sorted well) with its Wilson interval ``well_low`` … ``well_high``.
    """
    rows = []
    for sorter, own in units.groupby("sorter", sort=False):
        for depth, some in [*own.groupby(depth_bin(own["depth"], edges), observed=True), ("all", own)]:
            n, k = len(some), int((some["accuracy"] >= WELL).sum())
            low, high = interval(some["accuracy"].to_numpy(), seed)
            ends = dict(zip(("well_low", "well_high"), wilson(k, n)))
            means = some[["recall", "precision"]].mean()
            rows.append(
                {"sorter": sorter, "depth": str(depth), "mean_depth": some["depth"].mean(), "units": n}
                | {"accuracy": some["accuracy"].mean(), "low": low, "high": high, **means}
                | {"well": k / n, **ends}
            )
    return pd.DataFrame(rows)


def for_print(units: pd.DataFrame) -> pd.DataFrame:
    """Return :func:`by_depth` for the closing table: the best sorter first, each interval in one column."""
    means = by_depth(units)
    best = means[means["depth"] == "all"].sort_values("accuracy", ascending=False, kind="stable")["sorter"]
    means = means.set_index("sorter").loc[best]

    def between(low: str, high: str) -> list[str]:
        return ["" if np.isnan(a) else f"{a:.2f}–{b:.2f}" for a, b in zip(means[low], means[high])]

    return pd.DataFrame(
        {
            **means[["depth", "units", "accuracy"]],
            "95 %": between("low", "high"),
            "recall": means["recall"],
            "precision": ["–" if np.isnan(p) else f"{p:.3f}" for p in means["precision"]],
            f"≥ {WELL:g}": means["well"],
            "95 % ": between("well_low", "well_high"),
        }
    )


def depth_bin(depth: pd.Series, edges: Sequence[float] = EDGES) -> pd.Series:
    """Name the bin of each depth, such as ``4–6``, as ordered categories; the last one may be open: ``> 12``."""
    names = [f"{a:g}–{b:g}" if np.isfinite(b) else f"> {a:g}" for a, b in pairwise(edges)]
    return pd.cut(depth, edges, right=False, labels=names)


def interval(values: np.ndarray, seed: int = 0, alpha: float = 0.05) -> tuple[float, float]:
    """Return the interval of level 1 − ``alpha`` of the mean of values (n,); NaN for fewer than two."""
    if len(values) < 2:
        return np.nan, np.nan
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLED, len(values)))
    return tuple(np.percentile(values[drawn].mean(axis=1), [50 * alpha, 100 - 50 * alpha]).tolist())


def verdict(units: pd.DataFrame, seed: int = 0) -> str:
    """Say in a sentence which sorter is best by mean accuracy, and whether its lead is more than the choice of units.

    The lead is over the second, paired by unit; its interval is corrected for all pairs of sorters that might have been
    first and second (Bonferroni).
    """
    table = units.pivot(index="unit", columns="sorter", values="accuracy")
    order = table.mean().sort_values(ascending=False, kind="stable")
    best = order.index[0]
    if len(order) == 1:
        return f"{best} reaches a mean accuracy of {order[best]:.3f} on {len(table)} units"
    second, pairs = order.index[1], len(order) * (len(order) - 1) // 2
    low, high = interval((table[best] - table[second]).to_numpy(), seed, 0.05 / pairs)
    difference = f"{low:+.3f} to {high:+.3f}".replace("-", "−")
    lead = f"{order[best]:.3f} against {order[second]:.3f} of {second}; difference {difference}, 95 % corrected for"
    lead = f"{lead} {pairs} pair{'s' * (pairs > 1)} of sorters, {len(table)} units"
    if low > 0:
        return f"{best} suits this recording best: mean accuracy {lead}"
    return f"no sorter is significantly the best: {best} has mean accuracy {lead}"


def rank_agreement(
    hybrid: pd.DataFrame, truth: pd.DataFrame, edges: Sequence[float] = EDGES, seed: int = 0
) -> pd.DataFrame:
    """Correlate the ranks of sorters on a hybrid with those on the recording's own truth: Spearman's ρ.

    Three rows: ``sorters`` (mean accuracy over units); ``sorters × depths`` (mean accuracy in each bin of depth that
    both have), which is high if only deep spikes are easier on both; ``sorters within a depth`` (mean ρ of these bins),
    which depth does not help. Columns: ``compared``, ``n`` (pairs of numbers), ``rho``, ``low``, ``high``. ρ is NaN
    where one side has the same accuracy for all; resamples in which it is, or a bin is empty, do not count.
    """
    sorters = [sorter for sorter in hybrid["sorter"].unique() if sorter in set(truth["sorter"])]
    tables = [table.pivot(index=["unit", "depth"], columns="sorter", values="accuracy") for table in (hybrid, truth)]
    depths = [depth_bin(t.index.get_level_values("depth").to_series(), edges).cat.codes.to_numpy() for t in tables]
    shared, rng = np.intersect1d(*depths), np.random.default_rng(seed)
    overall, binned = [], []
    for accuracy, depth in zip((t[sorters].to_numpy() for t in tables), depths):
        n = len(depth)
        drawn = np.vstack([np.ones(n), rng.multinomial(n, np.full(n, 1 / n), RESAMPLED)])
        overall.append(_means(drawn, accuracy))
        binned.append(np.stack([_means(drawn * (depth == d), accuracy) for d in shared], axis=1))
    within = np.ma.masked_invalid(_rho(*binned)).mean(axis=1).filled(np.nan)
    rhos = {
        "sorters": (len(sorters), _rho(*overall)),
        "sorters × depths": (binned[0][0].size, _rho(*(b.reshape(len(b), -1) for b in binned))),
        "sorters within a depth": (binned[0][0].size, within),
    }
    rows = []
    for compared, (n, rho) in rhos.items():
        known = rho[1:][np.isfinite(rho[1:])]
        low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
        rows.append({"compared": compared, "n": n, "rho": rho[0], "low": low, "high": high})
    return pd.DataFrame(rows)


def _means(drawn: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Average accuracies (units, sorters) by how often each unit was drawn (resamples, units); NaN where none was."""
    total = drawn.sum(axis=1, keepdims=True)
    return drawn @ accuracy / np.where(total > 0, total, np.nan)


def _rho(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Spearman's ρ along the last axis: the correlation of ranks; NaN where it is not defined."""
    a, b = (ranks - ranks.mean(axis=-1, keepdims=True) for ranks in (rankdata(x, axis=-1) for x in (a, b)))
    spread = np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1))
    return (a * b).sum(axis=-1) / np.where(spread > 0, spread, np.nan)
