"""Spike trains: when each electrode fired, from the ledger of notebook 01 or from a file of spike times."""

import csv
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from numba import njit
from scipy.spatial.distance import cdist

from meagan_lib import ROOT, InputError
from meagan_lib.recordings import opening
from meagan_lib.windows.spike_windows import Reason, SpikeWindows

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
        Frame at which the recording ends, and frames per second.
    amplitude
        float32 (spikes,), NaN where it is not known.
    positions_um
        float (electrodes, 2); None where they are not known.
    stretches
        int64 (k, 2): first frame and end of what was recorded without a break, in order; the whole unless given. Gaps
        between them are time in which nothing is known: nothing reaches from one stretch into another.
    """

    frame: np.ndarray
    electrode: np.ndarray
    names: list[str]
    n_frames: int
    sampling_rate_hz: float
    amplitude: np.ndarray | None = None
    positions_um: np.ndarray | None = None
    stretches: np.ndarray | None = None

    def __post_init__(self) -> None:
        stretches = [[0, self.n_frames]] if self.stretches is None else self.stretches
        object.__setattr__(self, "stretches", np.asarray(stretches, np.int64).reshape(-1, 2))
        amplitude = np.full(len(self.frame), np.nan) if self.amplitude is None else self.amplitude
        order = np.lexsort((self.frame, self.electrode))
        for name, values, dtype in (
            ("frame", self.frame, np.int64),
            ("electrode", self.electrode, np.int32),
            ("amplitude", amplitude, np.float32),
        ):
            object.__setattr__(self, name, np.asarray(values)[order].astype(dtype))

    @property
    def n_electrodes(self) -> int:
        """Electrodes, silent ones included."""
        return len(self.names)

    @property
    def n_recorded(self) -> int:
        """Frames that were recorded, without the gaps."""
        return int(np.diff(self.stretches).sum())

    @property
    def duration_s(self) -> float:
        """Length of what was recorded in s, without the gaps."""
        return self.n_recorded / self.sampling_rate_hz

    @property
    def stretch(self) -> np.ndarray:
        """Stretch int64 (spikes,) in which each spike lies."""
        return self.stretch_of(self.frame)

    def stretch_of(self, frame: np.ndarray) -> np.ndarray:
        """Stretch int64 (n,) in which each frame lies."""
        return np.searchsorted(self.stretches[1:, 0], frame, side="right")

    @property
    def runs(self) -> np.ndarray:
        """int64 (spikes,), from 0: spikes of one electrode in one stretch are a run."""
        change = (np.diff(self.electrode) != 0) | (np.diff(self.stretch) != 0)
        return np.cumsum(np.r_[0, change][: len(self.frame)])

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
        same = np.diff(self.runs) == 0
        return np.diff(self.frame)[same], self.electrode[1:][same]

    def select(self, electrodes: np.ndarray) -> "SpikeTrains":
        """Some electrodes, by a mask (electrodes,) bool or by their indices (k,), in the order given."""
        chosen = np.arange(self.n_electrodes)[electrodes]
        place = np.full(self.n_electrodes, -1)
        place[chosen] = np.arange(len(chosen))
        kept = place[self.electrode] >= 0
        return replace(
            self,
            frame=self.frame[kept],
            electrode=place[self.electrode[kept]],
            amplitude=self.amplitude[kept],
            names=[self.names[e] for e in chosen],
            positions_um=None if self.positions_um is None else self.positions_um[chosen],
        )

    def between(self, first: int, end: int) -> "SpikeTrains":
        """The spikes from frame ``first`` to frame ``end``, counted from ``first``."""
        kept = (self.frame >= first) & (self.frame < end)
        stretches = np.clip(self.stretches, first, end) - first
        return replace(
            self,
            frame=self.frame[kept] - first,
            electrode=self.electrode[kept],
            amplitude=self.amplitude[kept],
            n_frames=end - first,
            stretches=stretches[stretches[:, 1] > stretches[:, 0]],
        )

    def recorded_frames(self, index: np.ndarray) -> np.ndarray:
        """Frames int64 (n,) of what was recorded as the 0th, 1st, … frame, gaps left out."""
        before = np.cumsum(np.r_[0, np.diff(self.stretches)[:-1, 0]])
        stretch = np.searchsorted(before[1:], index, side="right")
        return index + (self.stretches[:, 0] - before)[stretch]

    def block_edges(self, n: int) -> list[int]:
        """The n + 1 frames at which ``n`` blocks of equally much recorded time begin and end."""
        return self.recorded_frames(np.linspace(0, self.n_recorded, n + 1).round().astype(int)).tolist()

    def blocks(self, n: int) -> list["SpikeTrains"]:
        """The recording in ``n`` blocks of equally much recorded time, in order."""
        edges = self.block_edges(n)
        return [self.between(first, end) for first, end in zip(edges[:-1], edges[1:])]

    def jittered(self, reach: int, rng: np.random.Generator) -> "SpikeTrains":
        """Each spike moved by up to ``reach`` frames either way, evenly; at the ends of its stretch it turns back.

        What is left is the rate of each electrode on longer times; what is lost is who fired with whom.
        """
        first, end = self.stretches[self.stretch].T
        moved, last = self.frame - first + rng.integers(-reach, reach + 1, len(self.frame)), end - first - 1
        moved %= np.maximum(2 * last, 1)  # there and back again
        return replace(self, frame=first + np.minimum(moved, 2 * last - moved))

    def poisson(self, rng: np.random.Generator) -> "SpikeTrains":
        """As many spikes on each electrode, each at any time: what a train without a pattern looks like."""
        return replace(self, frame=self.recorded_frames(rng.integers(0, max(self.n_recorded, 1), len(self.frame))))

    def apart(self, reach: int) -> np.ndarray:
        """Frames int64 (spikes,) with the stretches moved apart, so that none is within ``reach`` of another."""
        return self.frame + (reach + 1) * self.stretch

    def without_echoes(self, distance_um: float, within_ms: float = 0.5) -> "SpikeTrains":
        """Without the smaller copies of spikes that several electrodes hear.

        A spike is dropped when an electrode within ``distance_um`` has a larger one within ``within_ms``: it is the
        same cell, and would pass for a connection. Unchanged where positions or amplitudes are not known.
        """
        if distance_um <= 0 or self.positions_um is None or np.isnan(self.amplitude).any() or not len(self.frame):
            return self
        near = cdist(self.positions_um, self.positions_um) <= distance_um
        np.fill_diagonal(near, False)
        order, reach = np.argsort(self.frame, kind="stable"), self.frames(within_ms)
        echo = _echoes(self.apart(reach)[order], self.electrode[order], np.abs(self.amplitude[order]), near, reach)
        kept = np.sort(order[~echo])
        return replace(self, frame=self.frame[kept], electrode=self.electrode[kept], amplitude=self.amplitude[kept])


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
    ledger = windows.ledger
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
    spans = windows.stretches[windows.stretches[:, 0] == recording, 1:]
    positions = windows.positions_um[here]
    known = len(positions) == n and np.isfinite(positions).all()
    return _once(
        SpikeTrains(
            frame,
            electrode,
            [str(e) for e in range(n)],
            int(spans[-1, 1]) if len(spans) else int(frame.max(initial=0)) + 1,
            windows.sampling_rate_hz,
            amplitude,
            positions.astype(float) if known else None,
            spans if len(spans) else None,
        )
    )


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
      or headers like these, such as those of Axion's lists, where the time has a unit; with commas, semicolons or tabs
      between the columns, and decimal points or commas;
    - ``.nwb``: the table of units; its electrodes and their ``x`` and ``y`` where it has them;
    - ``.mat`` (any version): a cell array with the times in s of an electrode in each cell, in samples where they are
      whole numbers and ``fs`` in Hz is there; or ``events``, a cell for each electrode with columns of peak, time in s
      and sample, and ``rate`` in Hz.

    Only ``events`` with their matrix of spikes tell how long the recording is; of the others the last spike is the end.

    Raises
    ------
    InputError
        No such file, another format, columns that cannot be told, several wells, or times that are no numbers from 0
        on.
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
    name: str,
    time_s: np.ndarray,
    electrode: Sequence,
    rate_hz: float = TICKS_HZ,
    n_frames: int = 0,
    names: Sequence | None = None,
    **columns,
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
    return _once(
        SpikeTrains(
            frame,
            np.array([place[e] for e in electrode]),
            [str(name) for name in names],
            max(n_frames, int(frame.max()) + 1),
            rate_hz,
            **columns,
        )
    )


_SECONDS = {"s": 1, "sec": 1, "seconds": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "\ufffds": 1e-6}
_HEADERS = {
    "electrode": r"(?:electrode|channel|unit)(?:[ _]?(?:id|name|label|number))?",
    "time_s": rf"(?:spike[ _]?)?(?:t|times?|timestamps?)[ _]*[(\[]?({'|'.join(_SECONDS)})[)\]]?",
    "amplitude": r"amplitude.*",
    "x_um": r"x[ _]*[(\[]?.m[)\]]?",
    "y_um": r"y[ _]*[(\[]?.m[)\]]?",
}
"""How the columns of a table of spikes are called, in small letters; the unit of time is a group of its own."""


def _columns(name: str, headers: Sequence[str]) -> tuple[dict[str, str], float]:
    """The header of each column of ``_HEADERS`` that is there, and how many seconds one of its unit of time is."""
    headers = [header for header in headers if header and header.strip()]
    fits = {
        column: [(header, fit) for header in headers if (fit := re.fullmatch(form, header.strip().lower()))]
        for column, form in _HEADERS.items()
    }
    if missing := [column for column in ("electrode", "time_s") if not fits[column]]:
        raise InputError(
            f"{name} has no column {' or '.join(missing)}, but {', '.join(headers) or 'none'}: its first line must "
            f"name electrode (or channel, unit) and time_s (or such as Time [ms]), and may name amplitude, x_um and "
            f"y_um, with commas, semicolons or tabs between them"
        )
    found = {column: fit[0][0] for column, fit in fits.items() if fit}
    if not {"x_um", "y_um"} <= found.keys():
        found = {column: header for column, header in found.items() if column not in ("x_um", "y_um")}
    return found, _SECONDS[fits["time_s"][0][1][1]]


def _read_csv(path: Path) -> SpikeTrains:
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        first = file.readline()
        file.seek(0)
        reader = csv.DictReader(file, delimiter=next((mark for mark in ";\t" if mark in first), ","))
        header, second = _columns(path.name, reader.fieldnames or ())
        wanted = [column for column in header if column != "electrode"]
        electrode, numbers = [], []
        for row in reader:
            if "Well Information" in row.values():  # it follows the spikes of an Axion list
                break
            if not (row[header["electrode"]] or row[header["time_s"]]):
                continue
            if any(row.get(None, ())):
                raise InputError(
                    f"{path.name} has more values than headers in line {reader.line_num}: where decimals have commas, "
                    f"put semicolons between the columns"
                )
            try:
                numbers.append([float(row[header[column]].replace(",", ".")) for column in wanted])
                electrode.append(row[header["electrode"]].strip())
            except (AttributeError, ValueError) as error:
                raise InputError(
                    f"{path.name} has something else than numbers in line {reader.line_num}: correct that line"
                ) from error
    wells = sorted({name.partition("_")[0] for name in electrode})
    if "Investigator" in reader.fieldnames and len(wells) > 1:  # Axion's electrodes are called A1_11
        raise InputError(
            f"{path.name} holds {len(wells)} wells ({', '.join(wells)}), which are no one network: save each of them "
            f"in a file of its own"
        )
    column = dict(zip(wanted, np.array(numbers).reshape(-1, len(wanted)).T))
    positions = None
    if "x_um" in column:
        at = dict(zip(electrode, zip(column["x_um"], column["y_um"])))
        positions = np.array([at[e] for e in dict.fromkeys(electrode)])
    return _in_seconds(
        path.name, column["time_s"] * second, electrode, amplitude=column.get("amplitude"), positions_um=positions
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
        last = units["electrodes_index"][:].astype(int)
        row = np.append(units["electrodes"][:], -1)[np.r_[0, last[:-1]]]  # the first of a unit's electrodes
        lost = np.diff(last, prepend=0) == 0
        row[lost] = -1 - np.flatnonzero(lost)  # a unit without one stays by itself
        known, place = np.unique(row, return_inverse=True)
        positions = None
        if {"x", "y"} <= set(file[table]) and not lost.any():
            positions = np.stack([file[table]["x"][:][known], file[table]["y"][:][known]], axis=1).astype(float)
            positions = positions if np.isfinite(positions).all() else None
        return _in_seconds(path.name, time_s, place.ravel()[unit], names=range(len(known)), positions_um=positions)


def _matlab(path: Path) -> dict[str, np.ndarray | list[np.ndarray]]:
    """What a MATLAB file of any version holds, by name: arrays as MATLAB has them, and cell arrays as lists of these.

    Of a sparse matrix of version 7.3 only the number of rows is read.
    """
    if not h5py.is_hdf5(path):
        found = {name: value for name, value in scipy.io.loadmat(path).items() if not name.startswith("__")}
        return {name: list(value.ravel("F")) if value.dtype == object else value for name, value in found.items()}

    def read(stored: h5py.Dataset | h5py.Group) -> np.ndarray | list[np.ndarray]:
        if isinstance(stored, h5py.Group):
            return np.zeros((int(stored.attrs.get("MATLAB_sparse", 0)), 0))
        if h5py.check_ref_dtype(stored.dtype):
            return [read(file[cell]) for cell in stored[()].ravel()]
        if stored.attrs.get("MATLAB_class") == b"char":
            return np.array("")
        return np.zeros((0, 0)) if "MATLAB_empty" in stored.attrs else np.atleast_2d(stored[()]).T

    with h5py.File(path, "r") as file:
        return {name: read(stored) for name, stored in file.items() if not name.startswith("#")}


def _read_matlab(path: Path) -> SpikeTrains:
    held = _matlab(path)
    cells = {name: value for name, value in held.items() if isinstance(value, list)}
    rate_hz = next((float(np.ravel(value)[0]) for name, value in held.items() if name.lower() in ("rate", "fs")), None)
    if rate_hz is not None and not (np.isfinite(rate_hz) and rate_hz > 0):
        raise InputError(f"{path.name} states a rate of {rate_hz:g} Hz: it must be above zero")
    amplitude, n_frames = None, 0
    if "events" in cells and rate_hz:
        events = [cell if cell.shape[1] == 3 else np.zeros((0, 3)) for cell in cells["events"]]  # the others are empty
        amplitude, trains = np.concatenate(events)[:, 0], [cell[:, 1] for cell in events]
        n_frames = held["spikeMatrix"].shape[0] if "spikeMatrix" in held else 0  # a row for each sample
    else:
        fitting = [value for value in cells.values() if all(_is_train(cell) for cell in value)]
        if len(fitting) != 1:
            raise InputError(
                f"{path.name} holds {', '.join(held) or 'nothing'}: it must hold one cell array, with the spike times "
                f"in s of an electrode in each cell, and may hold fs in Hz; or events and rate"
            )
        trains = [np.ravel(cell) for cell in fitting[0]]
        if any(map(len, trains)) and all((train == np.rint(train)).all() for train in trains):
            if not rate_hz:
                raise InputError(f"{path.name} counts its spikes in whole numbers: give them in s, or add fs in Hz")
            trains = [train / rate_hz for train in trains]
    electrode = np.repeat(np.arange(len(trains)), [len(train) for train in trains])
    return _in_seconds(
        path.name,
        np.concatenate(trains),
        electrode,
        rate_hz or TICKS_HZ,
        n_frames,
        names=range(len(trains)),
        amplitude=amplitude,
    )


def _is_train(cell: object) -> bool:
    """Whether a cell can hold times: a vector of numbers, or nothing."""
    return getattr(cell, "dtype", np.dtype(object)).kind in "iuf" and sum(n > 1 for n in np.shape(cell)) < 2


_READERS: dict[str, Callable[[Path], SpikeTrains]] = {".csv": _read_csv, ".nwb": _read_nwb, ".mat": _read_matlab}


def is_treated(name: str) -> bool:
    """Whether this is an entry of the catalogue with spike trains under treatments."""
    return opening.catalogue().get(name, {}).get("open") == "spikes"


def require_treated(name: str) -> None:
    """Raise when ``name`` is no entry of the catalogue with spike trains under treatments."""
    if not is_treated(name):
        raise InputError(
            f"'{name}' is no entry of the catalogue with spike trains under treatment: take axotomy_mea, for one"
        )


def treated(name: str, data_dir: Path | None = None) -> dict[str, dict[str, SpikeTrains]]:
    """Spike trains of a catalogue entry that was recorded under treatments: part of the culture → condition → trains.

    Raises
    ------
    InputError
        An entry without treatments, or what :func:`meagan_lib.recordings.opening.fetch` refuses.
    """
    require_treated(name)
    trains: dict[str, dict[str, SpikeTrains]] = {}
    paths = opening.fetch(name, Path(data_dir or ROOT / "data"))
    for file, path in zip(opening.catalogue()[name]["files"], paths):
        trains.setdefault(file["part"], {})[file["condition"]] = read_spikes(path)
    return trains
