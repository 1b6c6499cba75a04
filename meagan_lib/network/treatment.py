"""Whether a treated culture is closer to a healthy one: distances between conditions, each beside its null."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
import scipy.stats

from meagan_lib import InputError
from meagan_lib.evaluation.statistics import Tested, permutation_p, q_values
from meagan_lib.network.bursts import electrode_bursts, network_bursts
from meagan_lib.network.connectivity import mean_with_others, sttc
from meagan_lib.network.groups import interval_features
from meagan_lib.network.spike_trains import SpikeTrains
from meagan_lib.recordings.simulation import SimulationConfig, spikes

FEATURES = {
    "log_rate": "log₁₀ rate (Hz)",
    "cv": "CV",
    "cv2": "CV2",
    "burst_index": "fraction of spikes in bursts",
    "network_rate": "network bursts per minute",
    "network_index": "fraction of spikes in network bursts",
    "synchrony": "mean STTC",
}
"""Features of a culture, and their names in words."""
TIE = 1e-12
"""By so little less than the observed value, a shuffled one is as large: the same rows in another order."""


def culture_features(trains: SpikeTrains, within_ms: float, least: int = 4) -> np.ndarray:
    """Compute the features of a culture, (features,) in the order of ``FEATURES``.

    Medians over the active electrodes, and the bursts of the network. The order of the electrodes does not matter.

    ``InputError``: fewer than two electrodes with four spikes.
    """
    active = trains.select(trains.counts >= 4)
    if active.n_electrodes < 2:
        raise InputError("fewer than two electrodes are active, which is no network: record longer")
    intervals, network = interval_features(active), network_bursts(active)
    return np.array(
        [
            np.median(np.log10(active.rate_hz)),
            np.nanmedian(intervals["cv"]),
            np.nanmedian(intervals["cv2"]),
            electrode_bursts(active, least).inside.mean(),
            len(network.span) / active.duration_s * 60,
            network.inside.mean(),
            np.nanmean(mean_with_others(sttc(active, within_ms))),
        ]
    )


def feature_table(recordings: Sequence[SpikeTrains], within_ms: float, least: int = 4) -> np.ndarray:
    """Stack the :func:`culture_features` of several cultures, or blocks of one: (recordings, features)."""
    return np.stack([culture_features(trains, within_ms, least) for trains in recordings])


def simulated_cultures(config: SimulationConfig, n: int, seed: int = 0) -> list[SpikeTrains]:
    """Simulate the spike trains of ``n`` cultures, one cell an electrode, no two alike.

    The time between network bursts and the fraction of cells that take part differ from culture to culture, by a
    standard deviation of 0.15 in their logarithm.
    """
    cultures = []
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        own = replace(
            config,
            seed=int(rng.integers(2**31)),
            burst_every_s=float(config.burst_every_s * np.exp(0.15 * rng.standard_normal())),
            participation=float(min(config.participation * np.exp(0.15 * rng.standard_normal()), 1.0)),
        )
        cultures.append(simulated_trains(own))
    return cultures


def simulated_trains(config: SimulationConfig) -> SpikeTrains:
    """Simulate the spikes of a culture, each cell a train."""
    frame, unit = spikes(config)
    names = [str(u) for u in range(config.n_units)]
    return SpikeTrains(frame, unit, names, round(config.duration_s * config.sampling_rate_hz), config.sampling_rate_hz)


def standardised(*tables: np.ndarray) -> list[np.ndarray]:
    """Turn tables (n, features) into z-scores of all their rows together, unchanged by a permutation of rows.

    A feature that does not vary is 0.
    """
    rows = np.concatenate(tables)
    spread = rows.std(axis=0)
    scale = np.where(spread > 1e-12, spread, np.inf)
    return [(t - rows.mean(axis=0)) / scale for t in tables]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the distance of the means of two tables (n, features) and (m, features), per root of a feature.

    Of z-scores it is in standard deviations: 1 where a typical feature differs by one.
    """
    return float(np.sqrt(np.mean((a.mean(axis=0) - b.mean(axis=0)) ** 2)))


def difference(a: np.ndarray, b: np.ndarray, n_permutations: int = 999, seed: int = 0) -> Tested:
    """Test whether two conditions, tables (n, features) and (m, features), differ more than shuffled rows do.

    Exact where rows are exchangeable: where each is a culture of its own. Blocks of one recording are not: they follow
    one another, and a drift would pass for a difference (:func:`drift`).
    """
    a, b = standardised(a, b)
    rng, rows = np.random.default_rng(seed), np.concatenate([a, b])
    null = np.array([distance(*np.split(rows[rng.permutation(len(rows))], [len(a)])) for _ in range(n_permutations)])
    value = distance(a, b)
    return Tested(value, null, permutation_p(value - TIE, null))


def drift(a: np.ndarray, b: np.ndarray) -> float:
    """Measure how far apart the two halves of one recording are, in the scale of :func:`difference`.

    The larger distance of first and second half within ``a`` and within ``b``, whose rows are in order of time. A
    difference of two recordings of one culture can come from what was done between them only where it is far larger.
    """
    return max(distance(*np.array_split(own, 2)) for own in standardised(a, b))


@dataclass(frozen=True)
class Rescue:
    """How far a treatment moves pathological cultures towards healthy ones."""

    fraction: float
    """f = ⟨t − p, h − p⟩ / ‖h − p‖², of the mean features: 0 for no effect, 1 for a full rescue. Both products are
    estimated without bias: means of few cultures are noisy, and the noise that p brings into both factors would pass
    for an effect. NaN where the healthy do not differ from the pathological: there is no way to go."""
    interval: tuple[float, float]
    """95 % interval of ``fraction``, by Fieller's theorem; infinite where there is no way to go."""
    null: np.ndarray
    """(n,): the same where treated and untreated pathological cultures are shuffled, over the same ‖h − p‖²."""
    p: float
    """Fraction of the null at or above ``fraction``."""
    aside: float
    """‖t − p − f (h − p)‖ / ‖h − p‖: how far the treatment moves them elsewhere, noise of the means included."""


def _products(healthy: np.ndarray, pathological: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """Estimate ⟨t − p, h − p⟩ and ‖h − p‖² (2,) of tables (·, features) without the bias of noisy means."""
    h, p, t = (table.mean(axis=0) for table in (healthy, pathological, treated))
    of_h, of_p = (table.var(axis=0, ddof=1).sum() / len(table) for table in (healthy, pathological))
    return np.array([(t - p) @ (h - p) - of_p, (h - p) @ (h - p) - of_h - of_p])


def _covariance(tables: Sequence[np.ndarray]) -> np.ndarray:
    """Estimate the covariance (2, 2) of :func:`_products` over cultures, by the jackknife."""
    total = np.zeros((2, 2))
    for k, table in enumerate(tables):
        without = np.stack(
            [_products(*tables[:k], np.delete(table, i, axis=0), *tables[k + 1 :]) for i in range(len(table))]
        )
        total += (len(table) - 1) * np.cov(without.T, bias=True)
    return total


def rescue(
    healthy: np.ndarray, pathological: np.ndarray, treated: np.ndarray, n_permutations: int = 999, seed: int = 0
) -> Rescue:
    """Test whether the treatment moves towards the healthy: tables (cultures, features), a row a culture.

    The null is that the treatment does nothing: then treated and untreated pathological cultures are exchangeable.

    ``InputError``: fewer than three cultures of a condition.
    """
    if min(map(len, (healthy, pathological, treated))) < 3:
        raise InputError(
            "a condition has fewer than three cultures, too few to speak of others: record more, or raise cultures"
        )
    h, p, t = tables = standardised(healthy, pathological, treated)
    along, square = _products(*tables)
    covariance, rng, sick = _covariance(tables), np.random.default_rng(seed), np.concatenate([p, t])
    shuffled = np.array(
        [_products(h, *np.split(sick[rng.permutation(len(sick))], [len(p)]))[0] for _ in range(n_permutations)]
    )
    # Fieller: f is in the interval where along − f · square lies within t standard errors of 0.
    c = scipy.stats.t.ppf(0.975, len(h) + len(sick) - 3) ** 2
    a = square**2 - c * covariance[1, 1]
    way = h.mean(axis=0) - p.mean(axis=0)
    fraction, interval, aside, scale = np.nan, (-np.inf, np.inf), np.nan, way @ way
    if square > 0 < a:
        b, rest = along * square - c * covariance[0, 1], along**2 - c * covariance[0, 0]
        half = np.sqrt(max(b**2 - a * rest, 0.0))
        fraction, interval = float(along / square), (float((b - half) / a), float((b + half) / a))
        scale = square
        aside = float(np.linalg.norm(t.mean(axis=0) - p.mean(axis=0) - fraction * way) / np.linalg.norm(way))
    return Rescue(fraction, interval, shuffled / max(scale, 1e-12), permutation_p(along - TIE, shuffled), aside)


def plane(healthy: np.ndarray, pathological: np.ndarray, others: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Project cultures (n, features) onto a plane: condition → (n, 2).

    Across: the way from the mean pathological (0) to the mean healthy culture (1). Up: the direction in which all
    cultures vary most otherwise, in standard deviations of a feature.
    """
    given = {"healthy": healthy, "pathological": pathological, **others}
    tables = dict(zip(given, standardised(*given.values())))
    origin = tables["pathological"].mean(axis=0)
    way = tables["healthy"].mean(axis=0) - origin
    rows = np.concatenate(list(tables.values())) - origin
    rest = rows - np.outer(rows @ way, way) / max(way @ way, 1e-12)
    up = np.linalg.svd(rest - rest.mean(axis=0), full_matrices=False)[2][0]
    up *= np.sign(up[np.abs(up).argmax()])
    return {
        name: np.stack([(t - origin) @ way / max(way @ way, 1e-12), (t - origin) @ up], axis=1)
        for name, t in tables.items()
    }


def compare_recordings(
    recorded: Mapping[str, Mapping[str, SpikeTrains]],
    block_s: float,
    within_ms: float,
    least: int = 4,
    n_permutations: int = 999,
    seed: int = 0,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Compare conditions of one culture, part → condition → trains, by blocks of ``block_s``, at least four each.

    A table with a row for each pair of conditions: ``part``, ``pair``, ``distance``, its ``p`` and ``q`` (corrected for
    the number of rows), and ``drift`` (:func:`drift`); and the distances (rows, n) of shuffled blocks.
    """
    rows, nulls = [], []
    for part, by_condition in recorded.items():
        tables = {
            condition: feature_table(trains.blocks(max(round(trains.duration_s / block_s), 4)), within_ms, least)
            for condition, trains in by_condition.items()
        }
        for (one, a), (other, b) in combinations(tables.items(), 2):
            found = difference(a, b, n_permutations, seed)
            rows.append((part, f"{one} – {other}", found.value, found.p, drift(a, b)))
            nulls.append(found.null)
    table = pd.DataFrame(rows, columns=["part", "pair", "distance", "p", "drift"])
    return table.assign(q=q_values(table["p"])), np.stack(nulls)
