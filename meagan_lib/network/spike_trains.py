"""Spike trains: when each electrode fired, from the ledger of notebook 01 (from a file: ``spike_files``)."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numba import njit
from scipy.spatial.distance import cdist

from meagan_lib import InputError
from meagan_lib.windows.spike_windows import Reason, SpikeWindows


@dataclass(frozen=True)
class SpikeTrains:
    """Spikes of some electrodes, sorted by electrode, then by time, whatever the order in which they are given."""

    frame: np.ndarray
    """int64 (spikes,): when, from 0."""
    electrode: np.ndarray
    """int32 (spikes,): on which electrode, an index into ``names``."""
    names: list[str]
    """Name of each electrode; it may have no spike."""
    n_frames: int
    """Frame at which the recording ends."""
    sampling_rate_hz: float
    amplitude: np.ndarray | None = None
    """float32 (spikes,), NaN where it is not known."""
    positions_um: np.ndarray | None = None
    """float (electrodes, 2); None where they are not known."""
    stretches: np.ndarray | None = None
    """int64 (k, 2): first frame and end of what was recorded without a break, in order; the whole unless given. Gaps
    between them are time in which nothing is known: nothing reaches from one stretch into another."""

    def __post_init__(self) -> None:
        stretches = [[0, self.n_frames]] if self.stretches is None else self.stretches
        object.__setattr__(self, "stretches", np.asarray(stretches, np.int64).reshape(-1, 2))
        if self.amplitude is None:
            object.__setattr__(self, "amplitude", np.full(len(self.frame), np.nan))
        order = np.lexsort((self.frame, self.electrode))
        for name, dtype in (("frame", np.int64), ("electrode", np.int32), ("amplitude", np.float32)):
            object.__setattr__(self, name, np.asarray(getattr(self, name))[order].astype(dtype))

    @property
    def n_electrodes(self) -> int:
        """Count the electrodes, silent ones included."""
        return len(self.names)

    @property
    def n_recorded(self) -> int:
        """Count the frames that were recorded, without the gaps."""
        return int(np.diff(self.stretches).sum())

    @property
    def duration_s(self) -> float:
        """Return the length of what was recorded in s, without the gaps."""
        return self.n_recorded / self.sampling_rate_hz

    @property
    def stretch(self) -> np.ndarray:
        """Return the stretch int64 (spikes,) in which each spike lies."""
        return self.stretch_of(self.frame)

    def stretch_of(self, frame: np.ndarray) -> np.ndarray:
        """Return the stretch int64 (n,) in which each frame lies."""
        return np.searchsorted(self.stretches[1:, 0], frame, side="right")

    @property
    def runs(self) -> np.ndarray:
        """Number (spikes,) the runs, from 0: spikes of one electrode in one stretch are a run."""
        change = (np.diff(self.electrode) != 0) | (np.diff(self.stretch) != 0)
        return np.cumsum(np.r_[0, change][: len(self.frame)])

    @property
    def counts(self) -> np.ndarray:
        """Count the spikes int64 (electrodes,) of each electrode."""
        return np.bincount(self.electrode, minlength=self.n_electrodes)

    @property
    def rate_hz(self) -> np.ndarray:
        """Return the mean firing rate (electrodes,)."""
        return self.counts / self.duration_s

    @property
    def offsets(self) -> np.ndarray:
        """Return int64 (electrodes + 1,): spikes ``offsets[e]`` to ``offsets[e + 1]`` are those of electrode e."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    def frames(self, ms: float) -> int:
        """Return a time in ms as a whole number of frames, one at least.

        ``InputError``: a time that is not above zero.
        """
        if not ms > 0:
            raise InputError(f"a time of {ms:g} ms was asked for: it must be above zero")
        return max(round(ms * self.sampling_rate_hz / 1000), 1)

    def intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """Return intervals int64 (m,) in frames between neighbouring spikes of a run, and the electrode of each."""
        same = np.diff(self.runs) == 0
        return np.diff(self.frame)[same], self.electrode[1:][same]

    def subset(self, kept: np.ndarray, **changes) -> "SpikeTrains":
        """Return some of the spikes, by a mask (spikes,) bool or by indices, with other ``changes`` of the fields."""
        own = {name: getattr(self, name)[kept] for name in ("frame", "electrode", "amplitude")}
        return replace(self, **(own | changes))

    def select(self, electrodes: np.ndarray) -> "SpikeTrains":
        """Return some electrodes, by a mask (electrodes,) bool or by their indices (k,), in the order given."""
        chosen = np.arange(self.n_electrodes)[electrodes]
        place = np.full(self.n_electrodes, -1)
        place[chosen] = np.arange(len(chosen))
        kept = place[self.electrode] >= 0
        names = [self.names[e] for e in chosen]
        positions = None if self.positions_um is None else self.positions_um[chosen]
        return self.subset(kept, electrode=place[self.electrode[kept]], names=names, positions_um=positions)

    @property
    def by_activity(self) -> np.ndarray:
        """Order the electrodes (electrodes,) by their number of spikes, the busiest first."""
        return np.argsort(-self.counts, kind="stable")

    def busiest(self, least_rate_hz: float, most: int) -> "SpikeTrains":
        """Return the ``most`` electrodes that fire most, of those that fire ``least_rate_hz`` or more.

        ``InputError``: fewer than two electrodes are left.
        """
        enough = int((self.rate_hz >= least_rate_hz).sum())
        if min(enough, most) < 2:
            raise InputError(f"fewer than two electrodes fire {least_rate_hz:g} Hz or more")
        return self.select(np.sort(self.by_activity[: min(enough, most)]))

    def between(self, first: int, end: int) -> "SpikeTrains":
        """Return the spikes from frame ``first`` to frame ``end``, counted from ``first``."""
        kept = (self.frame >= first) & (self.frame < end)
        stretches = np.clip(self.stretches, first, end) - first
        stretches = stretches[stretches[:, 1] > stretches[:, 0]]
        return self.subset(kept, frame=self.frame[kept] - first, n_frames=end - first, stretches=stretches)

    def recorded_frames(self, index: np.ndarray) -> np.ndarray:
        """Return frames int64 (n,) of what was recorded as the 0th, 1st, … frame, gaps left out."""
        before = np.cumsum(np.r_[0, np.diff(self.stretches)[:-1, 0]])
        stretch = np.searchsorted(before[1:], index, side="right")
        return index + (self.stretches[:, 0] - before)[stretch]

    def block_edges(self, n: int) -> list[int]:
        """Return the n + 1 frames at which ``n`` blocks of equally much recorded time begin and end."""
        return self.recorded_frames(np.linspace(0, self.n_recorded, n + 1).round().astype(int)).tolist()

    def blocks(self, n: int) -> list["SpikeTrains"]:
        """Cut the recording into ``n`` blocks of equally much recorded time, in order."""
        return [self.between(first, end) for first, end in pairwise(self.block_edges(n))]

    def jittered(self, reach: int, rng: np.random.Generator) -> "SpikeTrains":
        """Move each spike by up to ``reach`` frames either way, evenly; at the ends of its stretch it turns back.

        Spikes of an electrode with less than a twentieth of the reach between them move as one: scattered bursts would
        meet others less evenly than bursts do, and independent electrodes that burst would pass for connected. What is
        left is these bursts, and the rate of each electrode on longer times; what is lost is who fired with whom.
        """
        first, end = self.stretches[self.stretch].T
        begins = (np.diff(self.runs) > 0) | (np.diff(self.frame) > reach / 20)
        burst = np.cumsum(np.r_[0, begins][: len(self.frame)])
        by = rng.integers(-reach, reach + 1, len(self.frame))[burst]
        moved, last = self.frame - first + by, end - first - 1
        moved %= np.maximum(2 * last, 1)  # there and back again
        return replace(self, frame=first + np.minimum(moved, 2 * last - moved))

    def poisson(self, rng: np.random.Generator) -> "SpikeTrains":
        """Put as many spikes on each electrode at random times: a train without a pattern."""
        return replace(self, frame=self.recorded_frames(rng.integers(0, max(self.n_recorded, 1), len(self.frame))))

    def apart(self, reach: int) -> np.ndarray:
        """Return frames int64 (spikes,) with the stretches moved apart, none within ``reach`` of another."""
        return self.frame + (reach + 1) * self.stretch

    def without_echoes(self, distance_um: float) -> "SpikeTrains":
        """Drop the smaller copies of spikes that several electrodes record.

        A spike is dropped when an electrode within ``distance_um`` has a larger one within 0.5 ms: it is the
        same cell, and would pass for a connection. Unchanged where positions or amplitudes are not known.
        """
        if distance_um <= 0 or self.positions_um is None or np.isnan(self.amplitude).any() or not len(self.frame):
            return self
        near = cdist(self.positions_um, self.positions_um) <= distance_um
        np.fill_diagonal(near, False)
        order, reach = np.argsort(self.frame, kind="stable"), self.frames(0.5)
        echo = _echoes(self.apart(reach)[order], self.electrode[order], np.abs(self.amplitude[order]), near, reach)
        return self.subset(np.sort(order[~echo]))

    def without_repeats(self) -> "SpikeTrains":
        """Drop spikes that are given twice: a cell cannot fire twice in a frame."""
        repeated = (np.diff(self.frame, prepend=-1) == 0) & (np.diff(self.electrode, prepend=-1) == 0)
        return self.subset(~repeated)


@njit(cache=True, nogil=True)
def _echoes(frame, electrode, size, near, reach):
    """Find bool (spikes,) whether a larger spike lies within ``reach`` frames on an electrode that is ``near``.

    ``frame`` is sorted; of two spikes of one size the later one counts as the smaller.
    """
    echo = np.zeros(len(frame), np.bool_)
    for i in range(len(frame)):
        j = i + 1
        while j < len(frame) and frame[j] - frame[i] <= reach:
            if near[electrode[i], electrode[j]]:
                echo[i if size[i] < size[j] else j] = True
            j += 1
    return echo


def from_windows(windows: SpikeWindows, recording: int = 0) -> SpikeTrains:
    """Return every detected spike of one recording, not only the isolated ones.

    Imported windows have no ledger: their own times serve, by electrode, or by unit where no electrode is known.

    ``InputError``: no such recording, or windows whose times, or electrodes and units, are not known.
    """
    if not 0 <= recording < len(windows.recordings):
        raise InputError(
            f"there is no recording {recording} among the {len(windows.recordings)} of these windows: count from 0"
        )
    ledger = windows.ledger
    if ledger is not None:
        kept = (ledger.recording == recording) & ~np.isin(ledger.reason, (Reason.BAD_CHANNEL, Reason.ARTEFACT))
        frame, electrode, amplitude = ledger.frame[kept], ledger.channel[kept], ledger.amplitude[kept]
    else:
        kept = windows.recording == recording
        electrode = sources(windows)
        kept &= (electrode >= 0) & (windows.frame >= 0)
        if not kept.any():
            raise InputError(
                "these windows do not say when their spikes were, or on which electrode: spike trains need the "
                "recording itself, or windows with time_s and channel"
            )
        frame, electrode = windows.frame[kept], electrode[kept]
        amplitude = windows.windows[kept].min(axis=1)
    here = windows.noise_recording == recording
    n = max(int(here.sum()), int(electrode.max(initial=-1)) + 1)
    spans = windows.stretches[windows.stretches[:, 0] == recording, 1:]
    end, spans = (int(spans[-1, 1]), spans) if len(spans) else (int(frame.max(initial=0)) + 1, None)
    names, positions = [str(e) for e in range(n)], windows.positions_um[here].astype(float)
    if len(positions) != n or not np.isfinite(positions).all():
        positions = None
    trains = SpikeTrains(frame, electrode, names, end, windows.sampling_rate_hz, amplitude, positions, spans)
    return trains.without_repeats()


def sources(windows: SpikeWindows) -> np.ndarray:
    """Return the electrode (n,) of each window, or its unit where no electrode is known."""
    return windows.channel if (windows.channel >= 0).any() else windows.label
