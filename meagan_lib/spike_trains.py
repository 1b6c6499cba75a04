"""Spike trains: when each electrode fired, from the ledger of notebook 01 or from a file of spike times."""

import csv
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np
from numba import njit
from scipy.spatial.distance import cdist

from meagan_lib import ROOT, InputError, recordings
from meagan_lib.windows import Reason, SpikeWindows

TICKS_HZ = 1e6
"""Times that a file gives in seconds are counted in microseconds: whole numbers, so that no window grows with time."""
NO_SPIKES = (Reason.BAD_CHANNEL, Reason.ARTEFACT)
"""Peaks of the ledger that are no spikes."""


@dataclass(frozen=True)
class SpikeTrains:
    """Spikes of some electrodes, sorted by electrode, then by time, whatever the order in which they are given.

    Attributes
    ----------
    frame, electrode
        int64 and int32 (spikes,): when, from 0, and on which electrode, an index into ``names``.
    names
        Name of each electrode; it may have no spike.
    n_frames, sampling_rate_hz
        Length of the recording, and frames per second.
    amplitude
        float32 (spikes,), NaN where it is not known.
    positions_um
        float (electrodes, 2); None where they are not known.
    breaks
        int64 (k,): frames at which recording began anew: no interval crosses one.
    """

    frame: np.ndarray
    electrode: np.ndarray
    names: list[str]
    n_frames: int
    sampling_rate_hz: float
    amplitude: np.ndarray | None = None
    positions_um: np.ndarray | None = None
    breaks: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        amplitude = np.full(len(self.frame), np.nan) if self.amplitude is None else self.amplitude
        order = np.lexsort((self.frame, self.electrode))
        for name, values, dtype in (
            ("frame", self.frame, np.int64), ("electrode", self.electrode, np.int32),
            ("amplitude", amplitude, np.float32),
        ):
            object.__setattr__(self, name, np.asarray(values)[order].astype(dtype))

    @property
    def n_electrodes(self) -> int:
        """Electrodes, silent ones included."""
        return len(self.names)

    @property
    def duration_s(self) -> float:
        """Length of the recording in s."""
        return self.n_frames / self.sampling_rate_hz

    @property
    def counts(self) -> np.ndarray:
        """Spikes int64 (electrodes,) of each electrode."""
        return np.bincount(self.electrode, minlength=self.n_electrodes)

    @property
    def rate_hz(self) -> np.ndarray:
        """Mean firing rate (electrodes,)."""
        return self.counts / self.duration_s

    @property
    def offsets(self) -> np.ndarray:
        """int64 (electrodes + 1,): spikes ``offsets[e]`` to ``offsets[e + 1]`` are those of electrode e."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    def frames_of(self, electrode: int) -> np.ndarray:
        """Frames (m,) of one electrode's spikes."""
        return self.frame[slice(*self.offsets[electrode : electrode + 2])]

    def frames(self, ms: float) -> int:
        """A time in ms as a whole number of frames, one at least.

        Raises
        ------
        InputError
            A time that is not above zero.
        """
        if not ms > 0:
            raise InputError(f"a time of {ms:g} ms was asked for: it must be above zero")
        return max(round(ms * self.sampling_rate_hz / 1000), 1)

    def intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """Intervals int64 (m,) in frames between neighbouring spikes of an electrode, and the electrode of each.

        None crosses a break.
        """
        stretch = np.searchsorted(self.breaks, self.frame, side="right")
        same = (np.diff(self.electrode) == 0) & (np.diff(stretch) == 0)
        return np.diff(self.frame)[same], self.electrode[1:][same]

    def select(self, electrodes: np.ndarray) -> "SpikeTrains":
        """Some electrodes, by a mask (electrodes,) bool or by their indices (k,), in the order given."""
        chosen = np.arange(self.n_electrodes)[electrodes]
        place = np.full(self.n_electrodes, -1)
        place[chosen] = np.arange(len(chosen))
        kept = place[self.electrode] >= 0
        return replace(
            self, frame=self.frame[kept], electrode=place[self.electrode[kept]], amplitude=self.amplitude[kept],
            names=[self.names[e] for e in chosen],
            positions_um=None if self.positions_um is None else self.positions_um[chosen],
        )

    def between(self, first: int, end: int) -> "SpikeTrains":
        """The spikes from frame ``first`` to frame ``end``, counted from ``first``."""
        kept = (self.frame >= first) & (self.frame < end)
        breaks = self.breaks[(self.breaks > first) & (self.breaks < end)] - first
        return replace(
            self, frame=self.frame[kept] - first, electrode=self.electrode[kept], amplitude=self.amplitude[kept],
            n_frames=end - first, breaks=breaks,
        )

    def block_edges(self, n: int) -> list[int]:
        """The n + 1 frames at which ``n`` equal blocks of the recording's time begin and end."""
        return np.linspace(0, self.n_frames, n + 1).round().astype(int).tolist()

    def blocks(self, n: int) -> list["SpikeTrains"]:
        """The recording in ``n`` equal blocks of time, in order."""
        edges = self.block_edges(n)
        return [self.between(first, end) for first, end in zip(edges[:-1], edges[1:])]

    def jittered(self, reach: int, rng: np.random.Generator) -> "SpikeTrains":
        """Each spike moved by up to ``reach`` frames either way, evenly; at the ends of the recording it turns back.

        What is left is the rate of each electrode on longer times; what is lost is who fired with whom.
        """
        moved = np.abs(self.frame + rng.integers(-reach, reach + 1, len(self.frame)))
        last = max(self.n_frames - 1, 0)
        return replace(self, frame=(last - np.abs(last - moved)).clip(0))

    def poisson(self, rng: np.random.Generator) -> "SpikeTrains":
        """As many spikes on each electrode, each at any time: what a train without a pattern looks like."""
        return replace(self, frame=rng.integers(0, max(self.n_frames, 1), len(self.frame)))

    def without_echoes(self, distance_um: float, within_ms: float = 0.5) -> "SpikeTrains":
        """Without the smaller copies of spikes that several electrodes hear.

        A spike is dropped when an electrode within ``distance_um`` has a larger one within ``within_ms``: it is the
        same cell, and would pass for a connection. Unchanged where positions or amplitudes are not known.
        """
        if distance_um <= 0 or self.positions_um is None or np.isnan(self.amplitude).any() or not len(self.frame):
            return self
        near = cdist(self.positions_um, self.positions_um) <= distance_um
        np.fill_diagonal(near, False)
        order = np.argsort(self.frame, kind="stable")
        echo = _echoes(
            self.frame[order], self.electrode[order], np.abs(self.amplitude[order]), near, self.frames(within_ms)
        )
        kept = np.sort(order[~echo])
        return replace(
            self, frame=self.frame[kept], electrode=self.electrode[kept], amplitude=self.amplitude[kept]
        )


@njit(cache=True, nogil=True)
def _echoes(frame, electrode, size, near, reach):
    """Whether bool (spikes,) a larger spike lies within ``reach`` frames on an electrode that is ``near``.

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
    """Every detected spike of one recording, not only the isolated ones.

    Windows that were cut elsewhere have no ledger: their own times serve, by electrode, or by unit where electrodes
    are not known.

    Raises
    ------
    InputError
        No such recording, or windows whose times, or electrodes and units, are not known.
    """
    if not 0 <= recording < len(windows.recordings):
        raise InputError(
            f"there is no recording {recording} among the {len(windows.recordings)} of these windows: count from 0"
        )
    ledger, breaks, n_frames = windows.ledger, np.zeros(0, np.int64), 0
    if ledger is not None:
        kept = (ledger.recording == recording) & ~np.isin(ledger.reason, NO_SPIKES)
        frame, electrode, amplitude = ledger.frame[kept], ledger.channel[kept], ledger.amplitude[kept]
    else:
        kept = windows.recording == recording
        electrode = sources(windows)
        kept &= (electrode >= 0) & (windows.frame >= 0)
        if not kept.any():
            raise InputError(
                "these windows do not tell when their spikes were, or on which electrode: spike trains need the "
                "recording itself, or windows with time_s and channel"
            )
        frame, electrode = windows.frame[kept], electrode[kept]
        amplitude = windows.windows[kept].min(axis=1)
    here = windows.noise_recording == recording
    n = max(int(here.sum()), int(electrode.max(initial=-1)) + 1)
    spans = windows.stretches[windows.stretches[:, 0] == recording]
    if len(spans):
        n_frames, breaks = int(spans[-1, 2]), spans[1:, 1]
    positions = windows.positions_um[here]
    known = len(positions) == n and np.isfinite(positions).all()
    return _once(SpikeTrains(
        frame, electrode, [str(e) for e in range(n)], max(n_frames, int(frame.max(initial=0)) + 1),
        windows.sampling_rate_hz, amplitude, positions.astype(float) if known else None, breaks,
    ))


def sources(windows: SpikeWindows) -> np.ndarray:
    """Electrode (n,) of each window, or its unit where no electrode is known."""
    return windows.channel if (windows.channel >= 0).any() else windows.label


def _once(trains: SpikeTrains) -> SpikeTrains:
    """Without spikes that are given twice: a cell cannot fire twice in a frame."""
    twice = np.zeros(len(trains.frame), bool)
    twice[1:] = (np.diff(trains.frame) == 0) & (np.diff(trains.electrode) == 0)
    return replace(
        trains, frame=trains.frame[~twice], electrode=trains.electrode[~twice], amplitude=trains.amplitude[~twice]
    )


def read_spikes(path: str | Path) -> SpikeTrains:
    """Spike times of a file.

    - ``.csv``: a header with ``electrode`` (any name) and ``time_s``; optionally ``amplitude``, ``x_um`` and ``y_um``;
    - ``.nwb``: the table of units; its electrodes and their ``x`` and ``y`` where it has them;
    - ``.mat`` (7.3): ``events``, a cell for each electrode with rows of peak, time in s and sample; ``rate`` in Hz.

    Only the last tells how long the recording is; of the others the last spike is the end.

    Raises
    ------
    InputError
        No such file, another format, or times that are no numbers from 0 on.
    """
    path = Path(os.path.expanduser(path))
    path = path if path.exists() else ROOT / path
    if not path.is_file():
        raise InputError(f"no spike times at {path}: check the path")
    if path.suffix.lower() not in _READERS:
        raise InputError(f"{path.name} is in no format of spike times that is read: {', '.join(_READERS)}")
    try:
        return _READERS[path.suffix.lower()](path)
    except InputError:
        raise
    except Exception as error:  # readers of other people's formats raise anything
        raise InputError(
            f"{path.name} could not be read as spike times ({type(error).__name__}: {error}): is it complete?"
        ) from error


def _in_seconds(
    name: str, time_s: np.ndarray, electrode: Sequence, rate_hz: float = TICKS_HZ, n_frames: int = 0,
    names: Sequence | None = None, **columns,
) -> SpikeTrains:
    """Spike trains of times in s and the name of each spike's electrode."""
    time_s = np.asarray(time_s, float)
    wrong = ~(np.isfinite(time_s) & (time_s >= 0))
    if wrong.any():
        raise InputError(
            f"{name} has {int(wrong.sum())} spike times that are no number from 0 on: count in s from the beginning of "
            f"the recording"
        )
    if not len(time_s):
        raise InputError(f"{name} holds no spike: is it the right file?")
    names = list(dict.fromkeys(electrode) if names is None else names)
    place = {e: i for i, e in enumerate(names)}
    frame = np.rint(time_s * rate_hz).astype(np.int64)
    return _once(SpikeTrains(
        frame, np.array([place[e] for e in electrode]), [str(name) for name in names],
        max(n_frames, int(frame.max()) + 1), rate_hz, **columns,
    ))


def _read_csv(path: Path) -> SpikeTrains:
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        there = set(reader.fieldnames or ())
        if missing := {"electrode", "time_s"} - there:
            raise InputError(
                f"{path.name} has no column {' or '.join(sorted(missing))}: its first line must name electrode and "
                f"time_s, and may name amplitude, x_um and y_um"
            )
        wanted = ["time_s", *(["amplitude"] if "amplitude" in there else []),
                  *(["x_um", "y_um"] if {"x_um", "y_um"} <= there else [])]
        electrode, numbers = [], []
        for row in reader:
            try:
                numbers.append([float(row[name]) for name in wanted])
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"{path.name} has something else than numbers in line {reader.line_num}: correct that line"
                ) from error
            electrode.append(row["electrode"])
    column = dict(zip(wanted, np.array(numbers).reshape(-1, len(wanted)).T))
    positions = None
    if "x_um" in column:
        at = dict(zip(electrode, zip(column["x_um"], column["y_um"])))
        positions = np.array([at[e] for e in dict.fromkeys(electrode)])
    return _in_seconds(
        path.name, column["time_s"], electrode, amplitude=column.get("amplitude"), positions_um=positions
    )


def _read_nwb(path: Path) -> SpikeTrains:
    with h5py.File(path, "r") as file:
        if "units/spike_times" not in file:
            raise InputError(f"{path.name} has no table of units: give a file with spike times, or the recording to 01")
        units = file["units"]
        time_s, ends = units["spike_times"][:], units["spike_times_index"][:].astype(int)
        unit = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        table = "general/extracellular_ephys/electrodes"
        if not {"electrodes", "electrodes_index"} <= set(units) or table not in file:
            return _in_seconds(path.name, time_s, unit, names=range(len(ends)))
        first = np.r_[0, units["electrodes_index"][:-1]].astype(int)
        row = units["electrodes"][:][first]  # a unit counts for the first of its electrodes
        known, place = np.unique(row, return_inverse=True)
        positions = None
        if {"x", "y"} <= set(file[table]):
            positions = np.stack([file[table]["x"][:][known], file[table]["y"][:][known]], axis=1).astype(float)
            positions = positions if np.isfinite(positions).all() else None
        return _in_seconds(
            path.name, time_s, place.ravel()[unit], names=range(len(known)), positions_um=positions
        )


def _read_events(path: Path) -> SpikeTrains:
    with h5py.File(path, "r") as file:
        if not {"events", "rate"} <= set(file):
            raise InputError(f"{path.name} has no events and rate: it must be a MATLAB 7.3 file of spike events")
        cells = [np.atleast_2d(file[cell][()]) for cell in file["events"][()].ravel()]
        rate_hz = float(file["rate"][()].ravel()[0])
        # The sparse matrix of spikes has a row for each sample of the recording.
        n_frames = int(file["spikeMatrix"].attrs.get("MATLAB_sparse", 0)) if "spikeMatrix" in file else 0
    if not (np.isfinite(rate_hz) and rate_hz > 0):
        raise InputError(f"{path.name} states a rate of {rate_hz:g} Hz: it must be above zero")
    cells = [cell if cell.shape[0] == 3 else np.zeros((3, 0)) for cell in cells]  # of an empty electrode it is not
    peak, time_s, _ = np.concatenate(cells, axis=1)
    electrode = np.repeat(np.arange(len(cells)), [cell.shape[1] for cell in cells])
    return _in_seconds(
        path.name, time_s, electrode, rate_hz, n_frames, names=range(len(cells)), amplitude=peak
    )


_READERS: dict[str, Callable[[Path], SpikeTrains]] = {".csv": _read_csv, ".nwb": _read_nwb, ".mat": _read_events}


def is_treated(name: str) -> bool:
    """Whether this is an entry of the catalogue with spike trains under treatments."""
    return recordings.catalogue().get(name, {}).get("open") == "spikes"


def treated(name: str, data_dir: Path | None = None) -> dict[str, dict[str, SpikeTrains]]:
    """Spike trains of a catalogue entry that was recorded under treatments: part of the culture → condition → trains.

    Raises
    ------
    InputError
        An entry without treatments, or what :func:`meagan_lib.recordings.fetch` refuses.
    """
    if not is_treated(name):
        raise InputError(
            f"'{name}' is no entry of the catalogue with spike trains under treatment: take axotomy_mea, for one"
        )
    trains: dict[str, dict[str, SpikeTrains]] = {}
    paths = recordings.fetch(name, Path(data_dir or ROOT / "data"))
    for file, path in zip(recordings.catalogue()[name]["files"], paths):
        trains.setdefault(file["part"], {})[file["condition"]] = read_spikes(path)
    return trains
