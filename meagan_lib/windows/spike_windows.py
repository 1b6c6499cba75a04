"""Spike windows: the file ``windows.h5``, its classes and events, and the ledger of all peaks."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path

import h5py
import numpy as np

from meagan_lib import InputError, choose
from meagan_lib.workflow.files import atomic, require_room


class Split(IntEnum):
    """What a window is for."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2


class Reason(IntEnum):
    """Why a detected peak became a window, or did not: one reason for each peak."""

    KEPT = 0
    EDGE_OF_RECORDING = 1
    NEXT_TOO_CLOSE = 2
    PREVIOUS_TOO_CLOSE = 3
    EDGE_OF_SPLIT = 4
    GUARD_PEAK_IN_WINDOW = 5
    ARTEFACT = 6
    CLIPPED = 7
    BAD_CHANNEL = 8
    NEIGHBOUR_ACTIVE = 9
    FOOTPRINT_INCOMPLETE = 10
    LARGER_BESIDE = 11
    OTHER_CHANNEL = 12
    NOT_STORED = 13


OF_FOOTPRINTS = (Reason.FOOTPRINT_INCOMPLETE, Reason.LARGER_BESIDE)
"""Reasons that only windows of several electrodes have."""
WHERE_ASKED = (*OF_FOOTPRINTS, Reason.OTHER_CHANNEL, Reason.NOT_STORED)
"""Reasons that not every run has: named where there are such peaks."""


@dataclass(frozen=True)
class Ledger:
    """Every detected peak with what became of it.

    ``frame`` int64, ``channel`` int32, ``amplitude`` float32, ``reason`` uint8 (a :class:`Reason`) and ``recording``
    uint16 (0 unless given), each (peaks,).
    """

    frame: np.ndarray
    channel: np.ndarray
    amplitude: np.ndarray
    reason: np.ndarray
    recording: np.ndarray | None = None

    def __post_init__(self) -> None:
        _first_recording(self, "recording", self.frame)

    @classmethod
    def join(cls, ledgers: Sequence["Ledger"]) -> "Ledger":
        """Put ledgers one after the other."""
        return cls(*(np.concatenate([getattr(x, name) for x in ledgers]) for name in cls.__dataclass_fields__))

    @property
    def reasons(self) -> list[Reason]:
        """The reasons that there can be."""
        return [r for r in Reason if r not in WHERE_ASKED or (self.reason == r).any()]

    def counts(self) -> dict[str, int]:
        """Count the peaks of each reason, in words."""
        return {r.name.lower().replace("_", " "): int((self.reason == r).sum()) for r in self.reasons}


COLUMNS = ("channel", "frame", "label", "split", "recording", "noise_mad", "noise_recording")
"""Arrays of a file of windows, beside the windows themselves."""
OPTIONAL = ("positions_um", "stretches", "planted_bursts", "around", "passes")
"""Arrays that a file may lack, beside the footprints; the last is that of generated windows alone."""


CLASSES = ("unit", "channel", "depth")
"""What a model can be conditioned on."""
DEPTHS = 5
"""Bins of depth."""


def _first_recording(owner: object, name: str, like: np.ndarray) -> None:
    """Fill the column ``name`` of a frozen object with zeros where it was not given: all from the first recording."""
    if getattr(owner, name) is None:
        object.__setattr__(owner, name, np.zeros(len(like), np.uint16))


@dataclass(frozen=True)
class SpikeWindows:
    """Windows cut around spikes, of one recording or several.

    ``windows`` float32 (n, samples), in ``amplitude_unit`` (``uV``, ``ADU`` or ``normalised``); the peak stands at
    sample ``pre_samples``. For each of them ``channel`` int32, ``frame`` int64 (of the peak), ``label`` int32 (the
    unit; each −1 where unknown), ``split`` uint8 (:class:`Split`) and ``recording`` uint16 (index into ``recordings``,
    0 unless given), each (n,). Frames and channels count within a recording.

    For each channel ``noise_mad`` float32 (channels,), its noise level in ``amplitude_unit``; ``noise_recording``
    uint16 (channels,), the recording that it belongs to, 0 unless given; ``positions_um`` float32 (channels, 2), its x
    and y, NaN where they are not known.

    Of the recordings ``recordings``, their names; ``detection``, the parameters of detection and isolation;
    ``source_hashes``, the :func:`~meagan_lib.workflow.files.source_hash` of the files that they were read from;
    ``stretches`` int64 (stretches, 3): recording, first frame and end of what was recorded without a break, none where
    the length of the recording is not known;
    ``planted_bursts`` int64 (bursts, 3): recording, first frame and end of the network bursts of a simulation.

    Where footprints were cut, ``around`` int32 (channels, electrodes), the electrodes of each electrode's footprint,
    itself first, −1 for none (:func:`meagan_lib.windows.footprints.electrodes_around`), and ``footprints`` float32
    (n, electrodes, samples), each window on all of them; of generated ones the footprints alone. None otherwise.

    Of real windows ``ledger``; of generated ones ``passes`` bool (n,): which pass the rule that the real ones went
    through (:class:`meagan_lib.windows.gate.Gate`). None for the others.
    """

    windows: np.ndarray
    channel: np.ndarray
    frame: np.ndarray
    label: np.ndarray
    split: np.ndarray
    sampling_rate_hz: float
    pre_samples: int
    amplitude_unit: str
    detection: dict = field(default_factory=dict)
    source_hashes: list[str] = field(default_factory=list)
    noise_mad: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    ledger: Ledger | None = None
    recording: np.ndarray | None = None
    recordings: list[str] = field(default_factory=lambda: ["recording"])
    noise_recording: np.ndarray | None = None
    positions_um: np.ndarray | None = None
    stretches: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.int64))
    planted_bursts: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.int64))
    passes: np.ndarray | None = None
    around: np.ndarray | None = None
    footprints: np.ndarray | None = None

    def __post_init__(self) -> None:
        _first_recording(self, "recording", self.frame)
        _first_recording(self, "noise_recording", self.noise_mad)
        if self.positions_um is None:
            object.__setattr__(self, "positions_um", np.full((len(self.noise_mad), 2), np.nan, np.float32))

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def n_samples(self) -> int:
        """Samples of a window."""
        return self.windows.shape[1]

    @property
    def time_ms(self) -> np.ndarray:
        """Time axis (samples,) in ms from the peak."""
        return (np.arange(self.n_samples) - self.pre_samples) / self.sampling_rate_hz * 1000

    def samples_of(self, duration_ms: float) -> int:
        """Return how many samples ``duration_ms`` lasts, to the nearest one, at least one."""
        return max(1, round(duration_ms * self.sampling_rate_hz / 1000))

    @property
    def electrodes(self) -> int:
        """Electrodes of a footprint; 1 where none were cut."""
        return 1 if self.footprints is None else self.footprints.shape[1]

    @property
    def vectors(self) -> np.ndarray:
        """What models learn and generate, (n, electrodes · samples): footprints, electrode after electrode, or windows.

        The first ``n_samples`` are the window on the own electrode.
        """
        return self.windows if self.footprints is None else self.footprints.reshape(len(self), -1)

    def vectors_of(self, split: Split) -> np.ndarray:
        """Return the :attr:`vectors` (m, electrodes · samples) of one split, in the order of :meth:`of`."""
        return self.vectors[self.split == split]

    @property
    def _electrode(self) -> np.ndarray:
        """Row (n,) of each window's electrode among the channels of all recordings."""
        return np.searchsorted(self.noise_recording, self.recording) + self.channel

    @property
    def places_um(self) -> np.ndarray | None:
        """Where the electrodes of a footprint stand, (electrodes, 2) in µm from its own: the median of all windows.

        None where it is not known.
        """
        if self.around is None or np.isnan(self.positions_um).any():
            return None
        row = self._electrode
        others = self.around[row] + (row - self.channel)[:, None]
        return np.median(self.positions_um[others] - self.positions_um[row][:, None], axis=0)

    @property
    def _knows_noise(self) -> bool:
        return len(self.noise_mad) > 0 and self.channel.min(initial=0) >= 0

    @property
    def noise(self) -> np.ndarray:
        """Noise level (n,) of the electrode of each window; 1 where it is not known."""
        if not self._knows_noise:
            return np.ones(len(self), np.float32)
        noise = self.noise_mad[self._electrode]
        return np.where(noise > 0, noise, 1)

    @property
    def depth(self) -> np.ndarray:
        """Depth (n,) of the trough in noise levels of its electrode, or in the windows' unit where there are none."""
        return -self.windows.min(axis=1) / self.noise

    def of(self, split: Split) -> np.ndarray:
        """Return the windows (m, samples) of one split, recording by recording, each in order of time."""
        return self.windows[self.split == split]

    @property
    def events(self) -> np.ndarray:
        """Number of the event of each window, int64 (n,). One spike that several electrodes see is one event.

        An event takes in all windows of its recording, whatever their channel, whose peaks come within a window's
        length of its first. A window whose time is not known is an event of its own.
        """
        order, event = np.lexsort((self.frame, self.recording)), np.empty(len(self), np.int64)
        apart = self.recording.astype(np.int64) * (self.frame.max(initial=0) + 2 * self.n_samples)
        time, at, number = (self.frame + apart)[order], 0, 0
        while at < len(self):
            known = self.frame[order[at]] >= 0
            end = np.searchsorted(time, time[at] + self.n_samples, side="right") if known else at + 1
            event[order[at:end]] = number
            at, number = end, number + 1
        return event

    def classes(self, by: str, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """Find the classes of the windows of one split, for a conditional model.

        The index int64 (m,) of each window's class, from 0; and recording and unit or channel (−1: unknown) of each
        class, int64 (classes, 2). ``by`` is ``unit`` or ``channel``, each counted within its recording, or ``depth``:
        bins of :attr:`depth`, as many training windows in each, which all recordings share. Another word, or units or
        channels that are not known, raise an InputError.
        """
        of, index = np.unique(self._pairs(by, split), axis=0, return_inverse=True)
        if (of[:, 1] < 0).all():
            raise InputError(
                f"the {by}s of this recording are not known: condition the model on another class, or on none"
            )
        return index.ravel(), of

    def classes_among(self, by: str, split: Split, of: np.ndarray) -> np.ndarray:
        """Return the index int64 (m,) of each window of one split among the classes ``of``; −1 for another class."""
        known = {tuple(pair): i for i, pair in enumerate(of)}
        return np.array([known.get(tuple(pair), -1) for pair in self._pairs(by, split)], np.int64)

    def _pairs(self, by: str, split: Split) -> np.ndarray:
        """Return recording and unit or channel, or 0 and bin of depth, of each window of one split, int64 (m, 2)."""
        choose("class", by, CLASSES)
        own = self.split == split
        if by == "depth":
            return np.stack([np.zeros(own.sum()), np.searchsorted(self._edges, self.depth[own])], 1).astype(np.int64)
        column = self.label if by == "unit" else self.channel
        return np.stack([self.recording, column], axis=1)[own].astype(np.int64)

    @property
    def _edges(self) -> np.ndarray:
        """Inner edges (DEPTHS − 1,) of the bins of depth: quantiles of the training windows."""
        return np.quantile(self.depth[self.split == Split.TRAIN], np.arange(1, DEPTHS) / DEPTHS)

    def class_names(self, by: str) -> list[str]:
        """Name the classes of the training windows, as :meth:`classes` orders them: ``unit 3``, ``depth 5.2–6.1 σ``."""
        of = self.classes(by, Split.TRAIN)[1][:, 1]
        if by != "depth":
            return [f"{by} {number}" for number in of]
        depth = self.depth[self.split == Split.TRAIN]
        ends = [depth.min(), *self._edges, depth.max()]
        levels = " σ" if self._knows_noise else ""
        return [f"depth {ends[k]:.3g}–{ends[k + 1]:.3g}{levels}" for k in of]

    @property
    def accepted(self) -> np.ndarray:
        """The windows (m, samples) that pass the gate; all of the real ones, and of a model of which none pass."""
        return self.windows[self._accepted]

    @property
    def accepted_vectors(self) -> np.ndarray:
        """The :attr:`vectors` of the :attr:`accepted` windows."""
        return self.vectors[self._accepted]

    @property
    def _accepted(self) -> np.ndarray | slice:
        return slice(None) if self.passes is None or not self.passes.any() else self.passes

    def synthetic(self, vectors: np.ndarray, passes: np.ndarray | None = None, **columns: np.ndarray) -> "SpikeWindows":
        """Return the same kind of object for generated :attr:`vectors` (m, electrodes · samples).

        ``passes`` (m,): which pass the gate. They have no channel, time, unit or recording, but those ``columns`` that
        are given.
        """
        n, vectors = len(vectors), vectors.astype(np.float32)
        unknown = {"channel": np.full(n, -1, np.int32), "frame": np.full(n, -1), "label": np.full(n, -1, np.int32)}
        return replace(
            self,
            windows=vectors[:, : self.n_samples],
            split=np.full(n, Split.TEST, np.uint8),
            ledger=None,
            around=None,
            footprints=None if self.electrodes == 1 else vectors.reshape(n, self.electrodes, -1),
            passes=np.ones(n, bool) if passes is None else passes,
            recording=None,
            recordings=["synthetic"],
            noise_recording=None,
            **unknown | {name: np.asarray(column, np.int32) for name, column in columns.items()},
        )

    def save(self, path: Path | str) -> None:
        """Write to HDF5, atomically; the same windows give the same bytes."""
        held = [*vars(self).values(), *(vars(self.ledger).values() if self.ledger else ())]
        require_room(Path(path), sum(array.nbytes for array in held if isinstance(array, np.ndarray)))
        with atomic(path) as temporary, h5py.File(temporary, "w") as file:
            file.create_dataset("windows", data=self.windows)
            if self.footprints is not None:
                file.create_dataset("footprints", data=self.footprints)
            self.write(file)

    def write(self, file: h5py.File) -> None:
        """Write everything but the windows themselves."""
        for name in (*COLUMNS, *OPTIONAL):
            if getattr(self, name) is not None:
                file.create_dataset(name, data=getattr(self, name))
        for name in ("sampling_rate_hz", "pre_samples", "amplitude_unit"):
            file.attrs[name] = getattr(self, name)
        for name in ("detection", "source_hashes", "recordings"):
            file.attrs[name] = json.dumps(getattr(self, name), sort_keys=True, default=float)
        if self.ledger is not None:
            group = file.create_group("ledger")
            for name, values in self.ledger.__dict__.items():
                group.create_dataset(name, data=values)
            group.attrs["reasons"] = json.dumps({r.name.lower(): int(r) for r in self.ledger.reasons})

    @classmethod
    def load(cls, path: Path | str) -> "SpikeWindows":
        """Read what :meth:`save` wrote; no such file, or not a file of windows, raises an InputError."""
        with _refused(Path(path)), h5py.File(path, "r") as file:
            return cls.read(file)

    @classmethod
    @contextmanager
    def opened(cls, path: Path | str) -> Iterator["SpikeWindows"]:
        """Yield what :meth:`load` returns, but for ``windows`` and ``footprints``: datasets of the open file.

        What is read of them, in blocks, is all that is in memory. ``InputError`` as of :meth:`load`.
        """
        with _refused(Path(path)):
            file = h5py.File(path, "r")
        with file:
            with _refused(Path(path)):
                found = cls.read(file, whole=False)
            yield found

    @classmethod
    def read(cls, file: h5py.File, whole: bool = True) -> "SpikeWindows":
        """Read what :meth:`save` wrote from an open file; windows and footprints only where the ``whole`` is asked."""
        ledger = None
        if "ledger" in file:
            ledger = Ledger(**{name: file["ledger"][name][:] for name in Ledger.__dataclass_fields__})
        stored = ("windows", "footprints") if "footprints" in file else ("windows",)
        return cls(
            **{name: file[name][:] for name in COLUMNS},
            **{name: file[name][:] for name in OPTIONAL if name in file},
            **{name: file[name][:] if whole else file[name] for name in stored},
            sampling_rate_hz=float(file.attrs["sampling_rate_hz"]),
            pre_samples=int(file.attrs["pre_samples"]),
            amplitude_unit=str(file.attrs["amplitude_unit"]),
            **{name: json.loads(file.attrs[name]) for name in ("detection", "recordings")},
            source_hashes=json.loads(file.attrs.get("source_hashes") or file.attrs["source_sha256"]),  # older: SHA-256
            ledger=ledger,
        )


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Turn what goes wrong in opening a file of windows into an InputError."""
    if not path.is_file():
        raise InputError(f"no windows at {path.parent.name}/{path.name}: run notebook 01_preprocessing first")
    try:
        yield
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{path.name} is no file of spike windows ({error}): if a run has written it, delete it, and meagan run "
            f"makes it again"
        ) from error


def intervals_ms(peaks: Ledger, sampling_rate_hz: float, segment_starts: Sequence[int] = ()) -> np.ndarray:
    """Return intervals float64 (m,) in ms between neighbouring peaks of a channel, all channels together.

    None goes from one recording to another, nor from one segment to the next, of which the first frames are given.
    """
    segment = np.searchsorted(segment_starts, peaks.frame, side="right")
    train = np.stack([peaks.recording, segment, peaks.channel])
    order = np.lexsort((peaks.frame, *train))
    same = (np.diff(train[:, order]) == 0).all(axis=0)
    return np.diff(peaks.frame[order])[same] / sampling_rate_hz * 1000


def spike_counts(peaks: Ledger, spans: np.ndarray, n_channels: int, bin_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first frame int64 (bins,) of each bin of time, and its peaks in each channel, int64 (bins, channels).

    ``spans`` (segments, 2) are first frame and end of what was recorded without a break: bins begin with each of them,
    and what is left at its end is in none.
    """
    n_bins = np.diff(spans)[:, 0] // bin_frames
    before = np.cumsum(n_bins) - n_bins
    begins = np.repeat(spans[:, 0] - before * bin_frames, n_bins) + bin_frames * np.arange(n_bins.sum())
    span = np.searchsorted(spans[1:, 0], peaks.frame, side="right")
    own = (peaks.frame - spans[span, 0]) // bin_frames
    inside = own < n_bins[span]
    index = (before[span] + own)[inside] * n_channels + peaks.channel[inside]
    return begins, np.bincount(index, minlength=len(begins) * n_channels).reshape(-1, n_channels)
