"""What sorters reach by depth of the spikes, which is best, and whether a hybrid ranks them as the true spikes do.

Tables are those of :func:`meagan_lib.annotated.sorters.performance`: a row for each sorter and true unit. Intervals
are of 95 %, bootstrapped over units (percentiles), for another recording has other units.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import binomtest, rankdata

EDGES = (0.0, 4.0, 6.0, 8.0, 12.0, np.inf)
"""Edges of the bins of depth, in noise levels."""
WELL = 0.8
"""A unit of this accuracy is sorted well, as SpikeInterface counts it."""
RESAMPLED = 2000


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
            well = binomtest(k, n).proportion_ci(method="wilson")
            means = some[["recall", "precision"]].mean()
            rows.append(
                {"sorter": sorter, "depth": str(depth), "mean_depth": some["depth"].mean(), "units": n}
                | {"accuracy": some["accuracy"].mean(), "low": low, "high": high, **means}
                | {"well": k / n, "well_low": well.low, "well_high": well.high}
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
            **means[["recall", "precision"]],
            f"≥ {WELL:g}": means["well"],
            "95 % ": between("well_low", "well_high"),
        }
    )


def depth_bin(depth: pd.Series, edges: Sequence[float] = EDGES) -> pd.Series:
    """Name the bin of each depth, such as ``4–6``, as ordered categories; the last one may be open: ``> 12``."""
    names = [f"{a:g}–{b:g}" if np.isfinite(b) else f"> {a:g}" for a, b in pairwise(edges)]
    return pd.cut(depth, edges, right=False, labels=names)


def interval(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the interval of the mean of values (n,); NaN for fewer than two."""
    if len(values) < 2:
        return np.nan, np.nan
    drawn = np.random.default_rng(seed).integers(len(values), size=(RESAMPLED, len(values)))
    return tuple(np.percentile(values[drawn].mean(axis=1), [2.5, 97.5]).tolist())


def verdict(units: pd.DataFrame, seed: int = 0) -> str:
    """Say in a sentence which sorter is best by mean accuracy, and whether its lead is more than the choice of units.

    The lead is over the second, paired by unit.
    """
    table = units.pivot(index="unit", columns="sorter", values="accuracy")
    order = table.mean().sort_values(ascending=False, kind="stable")
    best = order.index[0]
    if len(order) == 1:
        return f"{best} reaches a mean accuracy of {order[best]:.2f} on {len(table)} units"
    second = order.index[1]
    low, high = interval((table[best] - table[second]).to_numpy(), seed)
    lead = f"{order[best]:.2f} against {order[second]:.2f} of {second}, difference {low:+.2f} to {high:+.2f}"
    lead = f"{lead.replace('-', '−')} (95 %, {len(table)} units)"
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
    where one side has the same accuracy for all.
    """
    shared = [sorter for sorter in hybrid["sorter"].unique() if sorter in set(truth["sorter"])]
    tables = [_by_unit(units, shared, edges) for units in (hybrid, truth)]
    rng = np.random.default_rng(seed)
    resampled = (
        _rhos(*(table[rng.integers(len(table), size=len(table))] for table in tables)) for _ in range(RESAMPLED)
    )
    drawn = pd.DataFrame([{compared: rho for compared, (_, rho) in one.items()} for one in resampled])
    rows = []
    for compared, (n, rho) in _rhos(*tables).items():
        low, high = drawn[compared].quantile([0.025, 0.975])
        rows.append({"compared": compared, "n": n, "rho": rho, "low": low, "high": high})
    return pd.DataFrame(rows)


def _by_unit(units: pd.DataFrame, sorters: list[str], edges: Sequence[float]) -> np.ndarray:
    """Return (units, 1 + sorters): the number of each unit's bin of depth, and its accuracies."""
    table = units.pivot(index=["unit", "depth"], columns="sorter", values="accuracy")[sorters]
    depth = table.index.get_level_values("depth").to_series()
    return np.column_stack([depth_bin(depth, edges).cat.codes, table])


def _rhos(*tables: np.ndarray) -> dict[str, tuple[int, float]]:
    """Return number of pairs and ρ of each comparison of two tables (units, 1 + sorters)."""
    shared = np.intersect1d(*(table[:, 0] for table in tables))
    a, b = (
        np.array([table[table[:, 0] == depth, 1:].mean(axis=0) for depth in shared]).reshape(len(shared), -1)
        for table in tables
    )
    within = np.array([_rho(x, y) for x, y in zip(a, b)])
    return {
        "sorters": (a.shape[1], _rho(*(table[:, 1:].mean(axis=0) for table in tables))),
        "sorters × depths": (a.size, _rho(a.ravel(), b.ravel())),
        "sorters within a depth": (a.size, np.nanmean(within) if np.isfinite(within).any() else np.nan),
    }


def _rho(a: np.ndarray, b: np.ndarray) -> float:
    """Return Spearman's ρ of two rows of numbers: the correlation of their ranks; NaN where it is not defined."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])
