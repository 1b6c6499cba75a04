"""Bursts: rapid runs of spikes, of one electrode and of the network; and how well they are found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from meagan_lib import InputError
from meagan_lib.network.spike_trains import SpikeTrains

BINS_PER_DECADE = 10
LONGEST_MS = 100.0
"""No interval within an electrode's burst is longer (Chiappalone et al. 2005, doi:10.1016/j.neucom.2004.10.094)."""
VOID = 0.15
"""How deep a valley must be: the fraction by which its bottom lies below the lower of the peaks on its sides."""
SIDE = 0.1
"""Fraction of the intervals that must lie on either side of a valley."""
ENOUGH = 200
"""Least number of intervals in a histogram: from so many on, Poisson trains hardly ever show such a valley."""
POOL_S, LEAST_POOL = 0.3, 10
"""In the whole network an interval spans as many spikes as come in this time on average, and at least so many."""


def log_histogram(intervals_ms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count the intervals above zero: edges (bins + 1,) in ms, even in their logarithm, and counts (bins,)."""
    intervals_ms = intervals_ms[intervals_ms > 0]
    if not len(intervals_ms):
        return np.array([1.0, 10.0]), np.zeros(1, int)
    low, high = np.log10(intervals_ms.min()), np.log10(intervals_ms.max())
    first, last = np.floor(low * BINS_PER_DECADE), np.floor(high * BINS_PER_DECADE) + 1
    edges = 10 ** (np.arange(first, last + 1) / BINS_PER_DECADE)
    edges[0], edges[-1] = min(edges[0], intervals_ms.min()), max(edges[-1], intervals_ms.max())
    return edges, np.histogram(intervals_ms, edges)[0]


def valley_ms(intervals_ms: np.ndarray) -> float:
    """Find the interval in ms that parts the two peaks of the histogram of log-intervals; NaN where it has one.

    It is the deepest bottom between two peaks of the smoothed histogram, if it is deep enough (``VOID``) and has
    enough intervals on either side (``SIDE``). After Selinger et al. 2007 and Pasquale et al. 2010
    (doi:10.1007/s10827-009-0175-1).
    """
    edges, counts = log_histogram(intervals_ms)
    total = counts.sum()
    if total < ENOUGH:
        return np.nan
    smooth = gaussian_filter1d(counts.astype(float), 1.5, mode="constant")
    before, after = np.maximum.accumulate(smooth), np.maximum.accumulate(smooth[::-1])[::-1]
    void = 1 - smooth / np.maximum(np.minimum(before, after), 1e-12)
    below = np.cumsum(counts) / total
    void[(below < SIDE) | (below > 1 - SIDE)] = 0
    deepest = int(void.argmax())
    return float(np.sqrt(edges[deepest] * edges[deepest + 1])) if void[deepest] >= VOID else np.nan


@dataclass(frozen=True)
class Bursts:
    """Bursts of electrodes, or of the network."""

    span: np.ndarray
    """int64 (bursts, 2): frames of the first and of the last spike."""
    electrode: np.ndarray
    """int32 (bursts,); −1 for a burst of the network."""
    n_spikes: np.ndarray
    """int64 (bursts,)."""
    inside: np.ndarray
    """bool (spikes,): which spikes of the trains lie in a burst."""
    threshold_ms: np.ndarray
    """(electrodes,), or (1,) for the network: longest interval within a burst."""
    justified: np.ndarray
    """bool, as ``threshold_ms``: whether a valley of the histogram gave it."""


def electrode_bursts(trains: SpikeTrains, least: int = 4) -> Bursts:
    """Find the bursts of each electrode: ``least`` spikes or more, no two neighbours further apart than its threshold.

    The threshold is the valley of the electrode's histogram of log-intervals. Where there is none, nothing in the data
    parts bursts from the rest, and a quarter of the mean interval stands in: a train without a pattern has such an
    interval now and then, but hardly three times in a row. In either case it is ``LONGEST_MS`` at most.

    ``InputError``: bursts of fewer than two spikes.
    """
    if least < 2:
        raise InputError(f"a burst of {least} spikes was asked for: it takes 2 at least")
    ms = 1000 / trains.sampling_rate_hz
    threshold, justified = np.full(trains.n_electrodes, np.nan), np.zeros(trains.n_electrodes, bool)
    intervals, owner = trains.intervals()
    ends = np.cumsum(np.bincount(owner, minlength=len(threshold)))
    for e, own in enumerate(np.split(intervals * ms, ends[:-1])):
        if len(own):
            valley = valley_ms(own)
            justified[e] = valley <= LONGEST_MS
            threshold[e] = min(valley if justified[e] else own.mean() / 4, LONGEST_MS)
    # Runs of short intervals; an interval between two electrodes or across a break is none.
    joined = np.diff(trains.runs) == 0
    joined &= np.diff(trains.frame) * ms <= threshold[trains.electrode[1:]]
    first, last = _runs(joined, least)
    inside = _marks(first, last, len(trains.frame))
    span = np.stack([trains.frame[first], trains.frame[last]], axis=1)
    return Bursts(span, trains.electrode[first], last - first + 1, inside, threshold, justified)


def _runs(joined: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Find first and last of ``least`` or more neighbours that are ``joined`` (neighbours − 1,) to one another."""
    change = np.diff(np.r_[0, joined.astype(np.int8), 0])
    first, last = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    long = last - first + 1 >= least
    return first[long], last[long]


def _marks(first: np.ndarray, last: np.ndarray, n: int) -> np.ndarray:
    """Mark those of n that lie in one of the runs first … last: bool (n,)."""
    return np.cumsum(np.bincount(first, minlength=n + 1) - np.bincount(last + 1, minlength=n + 1))[:n] > 0


def pooled_intervals_ms(trains: SpikeTrains) -> tuple[np.ndarray, int]:
    """Return the time (m,) in ms that N spikes in a row take, on whichever electrodes, and N; ∞ across a break.

    N grows with the network, so that the time is about ``POOL_S`` on average: single intervals of a thousand
    electrodes say nothing.
    """
    n = max(round(len(trains.frame) / trains.duration_s * POOL_S), LEAST_POOL)
    frame = np.sort(trains.frame)
    first, last = frame[: max(len(frame) - n + 1, 0)], frame[n - 1 :]
    whole = trains.stretch_of(first) == trains.stretch_of(last)
    return np.where(whole, (last - first) * 1000 / trains.sampling_rate_hz, np.inf), n


def network_bursts(trains: SpikeTrains) -> Bursts:
    """Find the bursts of the network: spikes, of any electrode, around which N spikes take less than a threshold.

    This is the ISI_N of Bakkum et al. 2013 (doi:10.3389/fncom.2013.00193), with N from :func:`pooled_intervals_ms`,
    half of the N spikes before the one in question and half after, so that a burst does not begin too early. The
    threshold is the valley of their log-histogram, or, where there is none, a third of their mean, which a network
    without a pattern hardly reaches. Bursts that are no further apart than the threshold are one; fewer than N / 2
    spikes, or than two electrodes, are none.
    """
    order = np.argsort(trains.frame, kind="stable")
    frame, electrode = trains.frame[order], trains.electrode[order]
    intervals, n = pooled_intervals_ms(trains)
    whole = intervals[np.isfinite(intervals)]
    threshold = valley_ms(whole)
    justified = bool(np.isfinite(threshold))
    if not justified and len(whole):
        threshold = float(whole.mean()) / 3
    dense = np.zeros(len(frame), bool)
    dense[n // 2 : n // 2 + len(intervals)] = intervals <= threshold
    member = np.flatnonzero(dense)
    near = np.diff(frame[member]) * 1000 / trains.sampling_rate_hz <= threshold
    joined = ((np.diff(member) == 1) | near) & (np.diff(trains.stretch_of(frame[member])) == 0)
    first, last = (member[edge] for edge in _runs(joined, 2))
    kept = [b - a + 1 >= n / 2 and len(np.unique(electrode[a : b + 1])) >= 2 for a, b in zip(first, last)]
    first, last = first[np.array(kept, bool)], last[np.array(kept, bool)]
    inside = np.zeros(len(frame), bool)
    inside[order] = _marks(first, last, len(frame))
    span, electrode = np.stack([frame[first], frame[last]], axis=1), np.full(len(first), -1, np.int32)
    return Bursts(span, electrode, last - first + 1, inside, np.array([threshold]), np.array([justified]))


def summary(bursts: Bursts, trains: SpikeTrains) -> dict[str, float]:
    """Summarise bursts found in ``trains``; medians are NaN without bursts.

    Their number ``n`` and rate ``per_minute``, of electrodes a mean over those that fire; medians of ``duration_ms``,
    of ``pause_s``, from the end of a burst to the next (of the same electrode, without a gap between them), and of the
    number of ``spikes`` in a burst; ``share``, the fraction of all spikes that lie in one.
    """
    per_s = trains.sampling_rate_hz
    owners = 1 if len(bursts.threshold_ms) == 1 else max((trains.counts > 0).sum(), 1)
    same = (np.diff(bursts.electrode) == 0) & (np.diff(trains.stretch_of(bursts.span[:, 0])) == 0)
    pauses = (bursts.span[1:, 0] - bursts.span[:-1, 1])[same] / per_s
    return {
        "n": len(bursts.span),
        "per_minute": len(bursts.span) / float(owners * trains.duration_s) * 60,
        "duration_ms": _median(np.diff(bursts.span, axis=1)) * 1000 / per_s,
        "pause_s": _median(pauses),
        "spikes": _median(bursts.n_spikes),
        "share": float(bursts.inside.mean()) if len(bursts.inside) else 0.0,
    }


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) else np.nan


def score(found: np.ndarray, planted: np.ndarray, n_frames: int, sampling_rate_hz: float) -> dict[str, float]:
    """Compare bursts (n, 2) with planted ones (m, 2), all as first frame and end.

    A found and a planted burst are a pair when they overlap, each in one pair only, in order of time. ``recall`` and
    ``precision``: fractions of the planted and of the found ones that are in a pair; ``overlap``: time in both found
    and planted bursts, over time in either; ``onset_ms``: median of onset found − onset planted, over the pairs. NaN
    where there is nothing to count.
    """
    pairs, i, j = [], 0, 0
    found, planted = found[np.argsort(found[:, 0], kind="stable")], planted[np.argsort(planted[:, 0], kind="stable")]
    while i < len(found) and j < len(planted):
        if found[i, 1] < planted[j, 0]:
            i += 1
        elif planted[j, 1] < found[i, 0]:
            j += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    a, b = (_marks(spans[:, 0], spans[:, 1] - 1, n_frames) for spans in (found, planted))
    either = (a | b).sum()
    return {
        "recall": len(pairs) / len(planted) if len(planted) else np.nan,
        "precision": len(pairs) / len(found) if len(found) else np.nan,
        "overlap": float((a & b).sum() / either) if either else np.nan,
        "onset_ms": _median([found[i, 0] - planted[j, 0] for i, j in pairs]) * 1000 / sampling_rate_hz,
    }


def begin_in_planted(bursts: Bursts, planted: np.ndarray) -> float:
    """Return the fraction of bursts that begin within a planted one (m, 2), first frame and end; NaN without bursts."""
    first = bursts.span[:, :1]
    return float(((first >= planted[:, 0]) & (first < planted[:, 1])).any(axis=1).mean())


def raster(
    trains: SpikeTrains, own: Bursts, network: Bursts, planted: np.ndarray, length_s: float = 20.0
) -> tuple[dict[str, np.ndarray], tuple[float, float]]:
    """Return what a raster shows, and from when to when (s): ``length_s`` around the median burst of the network.

    Electrodes are numbered from the busiest; ``planted`` (m, 2) are bursts as first frame and end.
    """
    rate_hz, end_s = trains.sampling_rate_hz, trains.n_frames / trains.sampling_rate_hz
    length_s = min(end_s, length_s)
    middle = np.median(network.span[:, 0]) / rate_hz if len(network.span) else end_s / 2
    start = float(np.clip(middle - length_s / 2, 0, end_s - length_s))
    shown = (trains.frame >= start * rate_hz) & (trains.frame < (start + length_s) * rate_hz)
    return {
        "time_s": trains.frame[shown] / rate_hz,
        "electrode": np.argsort(trains.by_activity)[trains.electrode[shown]],
        "in_burst": own.inside[shown],
        "network_s": network.span / rate_hz,
        "planted_s": planted / rate_hz,
    }, (start, start + length_s)


def interval_histograms(trains: SpikeTrains, own: Bursts, chance: SpikeTrains) -> dict[str, np.ndarray]:
    """Return histograms of log-intervals of the electrodes, from the busiest, and the intervals of the network.

    ``edges_ms`` (bins + 1,), ``share`` (electrodes, bins) of an electrode's intervals, ``threshold_ms`` and
    ``justified`` (electrodes,) of its bursts, and ``pooled_ms`` beside ``chance_ms``, those of trains by ``chance``.
    """
    intervals, owner = trains.intervals()
    intervals = intervals * (1000 / trains.sampling_rate_hz)
    edges, _ = log_histogram(intervals)
    counts = np.stack([np.histogram(intervals[owner == e], edges)[0] for e in trains.by_activity])
    pooled, by_chance = (pooled_intervals_ms(each)[0] for each in (trains, chance))
    return {
        "edges_ms": edges,
        "share": counts / np.maximum(counts.sum(axis=1, keepdims=True), 1),
        "threshold_ms": own.threshold_ms[trains.by_activity],
        "justified": own.justified[trains.by_activity],
        "pooled_ms": pooled[np.isfinite(pooled)],
        "chance_ms": by_chance[np.isfinite(by_chance)],
    }
