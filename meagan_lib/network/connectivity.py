"""Functional connectivity: which electrodes fire together more often than their rates alone explain."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import njit

from meagan_lib import InputError
from meagan_lib.network.spike_trains import SpikeTrains
from meagan_lib.workflow.machine import available_cores


def tiled(trains: SpikeTrains, reach: int) -> np.ndarray:
    """Return T of Cutts & Eglen: fraction (electrodes,) of recorded time within ``reach`` frames of a spike."""
    frame, run = trains.frame, trains.runs
    start, end = trains.stretches[trains.stretch].T
    first, last = np.diff(run, prepend=-1) > 0, np.diff(run, append=len(run)) > 0
    after = np.where(last, np.minimum(end - frame, reach), np.diff(frame, append=0).clip(max=2 * reach))
    before = np.where(first, np.minimum(frame - start, reach), 0)
    return np.bincount(trains.electrode, before + after, trains.n_electrodes) / trains.n_recorded


def sttc(trains: SpikeTrains, within_ms: float, threads: int | None = None) -> np.ndarray:
    """Compute the spike time tiling coefficient (electrodes, electrodes), in [−1, 1]; NaN where one has no spike.

    STTC = ½ [(P_A − T_B) / (1 − P_A T_B) + (P_B − T_A) / (1 − P_B T_A)], where P_A is the fraction of A's spikes that
    have a spike of B within ``within_ms`` and T_A is :func:`tiled`; a term whose P and T are 1 is 1. It is 1 for equal
    trains, about 0 for independent ones, and, unlike a correlation, does not depend on the rates (Cutts & Eglen 2014,
    doi:10.1523/JNEUROSCI.2767-14.2014). Times are whole frames: the same pair of spikes counts wherever it stands. No
    pair, and no window of T, reaches over a gap. ``threads``: all cores by default; the result does not depend on it.
    """
    reach, n = trains.frames(within_ms), trains.n_electrodes
    own = trains.apart(reach)
    order = np.argsort(own, kind="stable")
    frame, electrode = own[order], trains.electrode[order]
    first = np.searchsorted(frame, own - reach)
    hits, offsets, fraction = np.zeros((n, n), np.int32), trains.offsets, tiled(trains, reach)

    def count(start: int) -> None:
        _count(own, offsets, frame, electrode, first, reach, start, min(start + 64, n), hits)

    with ThreadPoolExecutor(threads or available_cores()) as pool:
        list(pool.map(count, range(0, n, 64)))
    p = hits / np.where(trains.counts > 0, trains.counts, np.nan)[:, None]
    both = p * fraction
    with np.errstate(invalid="ignore"):
        term = np.where(both == 1, 1.0, (p - fraction) / (1 - both))
    return 0.5 * (term + term.T)


@njit(cache=True, nogil=True)
def _count(own, offsets, frame, electrode, first, reach, start, stop, hits):
    """Fill rows start … stop of ``hits``: for electrodes a and b, the spikes of a that have one of b within reach.

    ``frame`` and ``electrode`` are all spikes in order of time; ``first``, for each spike of ``own``, where they come
    within its reach.
    """
    latest = np.full(hits.shape[1], -1, np.int64)
    for a in range(start, stop):
        for spike in range(offsets[a], offsets[a + 1]):
            k = first[spike]
            while k < len(frame) and frame[k] - own[spike] <= reach:
                b = electrode[k]
                if latest[b] != spike:
                    latest[b] = spike
                    hits[a, b] += 1
                k += 1


@dataclass(frozen=True)
class Connectivity:
    """Coefficients of all pairs beside those of jittered trains."""

    sttc: np.ndarray
    """(electrodes, electrodes), NaN where an electrode is silent."""
    q: np.ndarray
    """(electrodes, electrodes): lowest false discovery rate at which a pair is called connected; 1 on the diagonal."""
    alpha: float
    """The false discovery rate that is accepted: fraction of the connections found that are none."""

    @property
    def adjacency(self) -> np.ndarray:
        """Return which pairs are connected, bool (electrodes, electrodes)."""
        return self.q <= self.alpha


def mean_with_others(coefficients: np.ndarray) -> np.ndarray:
    """Average each electrode's coefficients (electrodes, electrodes) with the others, without NaN: (electrodes,)."""
    others = np.isfinite(coefficients) & ~np.eye(len(coefficients), dtype=bool)
    total = np.where(others, coefficients, 0).sum(axis=1)
    return total / np.where(others.any(axis=1), others.sum(axis=1), np.nan)


def functional_connectivity(
    trains: SpikeTrains, within_ms: float, jitter_ms: float, n_surrogates: int = 100, alpha: float = 0.05, seed: int = 0
) -> Connectivity:
    """Find pairs that fire together within ``within_ms`` more often than in trains jittered by ``jitter_ms``.

    Surrogates keep the rate of each electrode on times longer than the jitter and its own bursts, and lose what else is
    finer (:meth:`SpikeTrains.jittered`). Each pair is standardised by its own mean and spread over the trains and their
    surrogates, plus half the median spread, so that pairs with hardly a spike in common do not stand out by one. Of the
    pairs that exceed a value, as many are false as exceed it in a surrogate on average; q is that number over the
    number of pairs that exceed it, at best. The trains count among their surrogates, so that q is never below
    1 / (1 + n_surrogates), and however many pairs there are, few surrogates will do (significance analysis of
    microarrays: Tusher, Tibshirani & Chu 2001, doi:10.1073/pnas.091062498). Only positive connections are sought.

    ``InputError``: surrogates too few for ``alpha``, or a jitter no longer than the window.
    """
    if 1 / (1 + n_surrogates) > alpha:
        raise InputError(
            f"with {n_surrogates} surrogates no q-value is below {1 / (1 + n_surrogates):.3g}: for alpha = "
            f"{alpha:g} take n_surrogates = {int(np.ceil(1 / alpha)) - 1} or more"
        )
    if not jitter_ms > within_ms:
        raise InputError(
            f"a jitter of {jitter_ms:g} ms leaves spikes within {within_ms:g} ms of one another: raise jitter_ms"
        )

    def surrogates() -> Iterator[np.ndarray]:
        for k in range(n_surrogates):
            rng = np.random.default_rng([seed, k])
            yield sttc(trains.jittered(trains.frames(jitter_ms), rng), within_ms)

    observed, n = sttc(trains, within_ms), n_surrogates + 1
    total, squares = observed.copy(), observed**2
    for one in surrogates():
        total += one
        squares += one**2
    mean = total / n
    spread = np.sqrt(np.maximum(squares / n - mean**2, 0))
    varied = np.triu(spread > 1e-9, 1)  # pairs that never differ, or never meet, say nothing
    mean, spread = mean[varied], spread[varied] + (0.5 * np.median(spread[varied]) if varied.any() else 0)

    def exceeds(coefficients: np.ndarray) -> np.ndarray:
        own = coefficients[varied]
        return np.where(own > 0, (own - mean) / spread, -np.inf)

    # The surrogates are made a second time: memory does not hold them all for a whole chip.
    own = exceeds(observed)
    values = np.sort(own)
    exceeding = np.arange(len(values), 0, -1)
    false = exceeding.copy()
    for one in surrogates():
        false += len(values) - np.searchsorted(np.sort(exceeds(one)), values - 1e-9)
    lowest = np.minimum.accumulate(false / n / exceeding)
    q = np.ones_like(observed)
    q[varied] = np.where(own > 0, np.minimum(lowest[np.searchsorted(values, own)], 1), 1) if len(own) else 1
    return Connectivity(observed, np.minimum(q, q.T), alpha)
