"""Spike windows: the file ``windows.h5``, the split in time, scaling, and several recordings in one."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path

import h5py
import numpy as np

from meagan_lib import InputError, choose
from meagan_lib.workflow.files import atomic


class Split(IntEnum):
    """What a window is for."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2


class Reason(IntEnum):
    """Why a detected peak became a window, or did not. Each peak has one reason, the first that holds in ``ORDER``."""

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


@dataclass(frozen=True)
class Ledger:
    """Every detected peak with what became of it: ``frame`` int64, ``channel`` int32, ``amplitude`` float32,
    ``reason`` uint8 (a :class:`Reason`) and ``recording`` uint16 (0 unless given), each (peaks,)."""

    frame: np.ndarray
    channel: np.ndarray
    amplitude: np.ndarray
    reason: np.ndarray
    recording: np.ndarray | None = None

    def __post_init__(self) -> None:
        _first_recording(self, "recording", self.frame)

    def counts(self) -> dict[str, int]:
        """Number of peaks for each reason, in words."""
        return {r.name.lower().replace("_", " "): int((self.reason == r).sum()) for r in Reason}


COLUMNS = ("channel", "frame", "label", "split", "recording", "noise_mad", "noise_recording")
"""Arrays of a file of windows, beside the windows themselves."""
ORIGIN = ("positions_um", "stretches", "planted_bursts")
"""Arrays of a file of windows on the recording as a whole; a file may lack them."""
GENERATED = ("passes",)
"""Arrays of a file of generated windows alone."""


def _first_recording(owner: object, name: str, like: np.ndarray) -> None:
    """Fill the column ``name`` of a frozen object with zeros where it was not given: all from the first recording."""
    if getattr(owner, name) is None:
        object.__setattr__(owner, name, np.zeros(len(like), np.uint16))


@dataclass(frozen=True)
class SpikeWindows:
    """Windows cut around spikes.

    Attributes
    ----------
    windows
        float32 (n, samples), in ``amplitude_unit``; the peak stands at sample ``pre_samples``.
    channel, frame, label, split
        int32, int64, int32, uint8 (n,): electrode, frame of the peak, unit (each −1 = unknown) and :class:`Split`.
    sampling_rate_hz, pre_samples, amplitude_unit
        ``amplitude_unit`` is ``uV``, ``ADU`` or ``normalised``.
    detection
        Parameters of detection and isolation.
    source_sha256
        Of the files that the recording was read from.
    noise_mad
        float32 (channels,): noise level of each channel, in ``amplitude_unit``.
    ledger
        Of real windows; None for synthetic ones.
    recording
        uint16 (n,): index into ``recordings``; 0 unless given.
    recordings
        Names of the recordings: one, or several after :func:`merge`. Frames and channels count within a recording.
    noise_recording
        uint16 (channels,): the recording that each value of ``noise_mad`` belongs to; 0 unless given.
    positions_um
        float32 (channels, 2): x, y of each channel, as in ``noise_mad``; NaN where they are not known.
    stretches
        int64 (stretches, 3): recording, first frame and end of what was recorded without a break; none where the
        length of the recording is not known.
    planted_bursts
        int64 (bursts, 3): recording, first frame and end of the network bursts of a simulation.
    passes
        bool (n,): of generated windows, which pass the rule that the real ones went through
        (:class:`meagan_lib.experiments.generation.Gate`); None for real ones.
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
    source_sha256: list[str] = field(default_factory=list)
    noise_mad: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    ledger: Ledger | None = None
    recording: np.ndarray | None = None
    recordings: list[str] = field(default_factory=lambda: ["recording"])
    noise_recording: np.ndarray | None = None
    positions_um: np.ndarray | None = None
    stretches: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.int64))
    planted_bursts: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.int64))
    passes: np.ndarray | None = None

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
        """Samples that ``duration_ms`` lasts, to the nearest one, at least one."""
        return max(1, round(duration_ms * self.sampling_rate_hz / 1000))

    def of(self, split: Split) -> np.ndarray:
        """The windows (m, samples) of one split, recording by recording, each in order of time."""
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
        """Classes of the windows of one split, for a model that is told them.

        Parameters
        ----------
        by
            ``unit`` or ``channel``, each counted within its recording.

        Returns
        -------
        index
            int64 (m,), from 0.
        of
            int64 (classes, 2): recording and unit or channel (−1: unknown) of each class.

        Raises
        ------
        InputError
            Another ``by``, or units or channels that are not known.
        """
        of, index = np.unique(self._pairs(by, split), axis=0, return_inverse=True)
        if (of[:, 1] < 0).all():
            raise InputError(f"the {by}s of this recording are not known: tell the model another class, or nothing")
        return index.ravel(), of

    def classes_among(self, by: str, split: Split, of: np.ndarray) -> np.ndarray:
        """Index int64 (m,) of each window of one split among the classes ``of``; −1 where its class is not there."""
        known = {tuple(pair): i for i, pair in enumerate(of)}
        return np.array([known.get(tuple(pair), -1) for pair in self._pairs(by, split)], np.int64)

    def _pairs(self, by: str, split: Split) -> np.ndarray:
        """Recording and unit or channel of each window of one split, int64 (m, 2)."""
        columns = {"unit": self.label, "channel": self.channel}
        if by not in columns:
            raise InputError(f"windows have no class '{by}': choose one of {', '.join(columns)}")
        return np.stack([self.recording, columns[by]], axis=1)[self.split == split].astype(np.int64)

    @property
    def accepted(self) -> np.ndarray:
        """The windows (m, samples) that pass the gate; all of the real ones, and of a model of which none pass."""
        return self.windows if self.passes is None or not self.passes.any() else self.windows[self.passes]

    def synthetic(self, windows: np.ndarray, passes: np.ndarray | None = None, **columns: np.ndarray) -> "SpikeWindows":
        """The same kind of object for generated windows (m, samples), of which those ``passes`` (m,) pass the gate.

        They have no channel, time, unit or recording, but those ``columns`` that are given.
        """
        n = len(windows)
        return replace(
            self,
            windows=windows.astype(np.float32),
            split=np.full(n, Split.TEST, np.uint8),
            ledger=None,
            passes=np.ones(n, bool) if passes is None else passes,
            recording=None,
            recordings=["synthetic"],
            noise_recording=None,
            **{
                "channel": np.full(n, -1, np.int32),
                "frame": np.full(n, -1, np.int64),
                "label": np.full(n, -1, np.int32),
            }
            | {name: np.asarray(column, np.int32) for name, column in columns.items()},
        )

    def save(self, path: Path | str) -> None:
        """Write to HDF5, atomically; the same windows give the same bytes."""
        with atomic(path) as temporary, h5py.File(temporary, "w") as file:
            file.create_dataset("windows", data=self.windows)
            self.write(file)

    def write(self, file: h5py.File) -> None:
        """Write everything but the windows themselves."""
        for name in (*COLUMNS, *ORIGIN, *GENERATED):
            if name != "windows" and getattr(self, name) is not None:
                file.create_dataset(name, data=getattr(self, name))
        file.attrs["sampling_rate_hz"] = self.sampling_rate_hz
        file.attrs["pre_samples"] = self.pre_samples
        file.attrs["amplitude_unit"] = self.amplitude_unit
        file.attrs["detection"] = json.dumps(self.detection, sort_keys=True)
        file.attrs["source_sha256"] = json.dumps(self.source_sha256)
        file.attrs["recordings"] = json.dumps(self.recordings)
        if self.ledger is not None:
            group = file.create_group("ledger")
            for name, values in self.ledger.__dict__.items():
                group.create_dataset(name, data=values)
            group.attrs["reasons"] = json.dumps({r.name.lower(): int(r) for r in Reason})

    @classmethod
    def load(cls, path: Path | str) -> "SpikeWindows":
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            No such file, or not a file of windows.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"no windows at {path.parent.name}/{path.name}: run notebook 01_preprocessing first")
        try:
            with h5py.File(path, "r") as file:
                ledger = None
                if "ledger" in file:
                    ledger = Ledger(**{name: file["ledger"][name][:] for name in Ledger.__dataclass_fields__})
                return cls(
                    **{name: file[name][:] for name in ("windows", *COLUMNS)},
                    **{name: file[name][:] for name in (*ORIGIN, *GENERATED) if name in file},
                    sampling_rate_hz=float(file.attrs["sampling_rate_hz"]),
                    pre_samples=int(file.attrs["pre_samples"]),
                    amplitude_unit=str(file.attrs["amplitude_unit"]),
                    detection=json.loads(file.attrs["detection"]),
                    source_sha256=json.loads(file.attrs["source_sha256"]),
                    ledger=ledger,
                    recordings=json.loads(file.attrs["recordings"]),
                )
        except (OSError, KeyError, ValueError) as error:
            raise InputError(f"{path.name} is no file of spike windows ({error}): run notebook 01 again") from error


def intervals_ms(peaks: Ledger, sampling_rate_hz: float, segment_starts: Sequence[int] = ()) -> np.ndarray:
    """Intervals float64 (m,) in ms between neighbouring peaks of a channel, all channels together.

    None goes from one recording to another, nor over a joint of segments, where ``segment_starts`` (frames at which
    they begin) tells of these.
    """
    segment = np.searchsorted(segment_starts, peaks.frame, side="right")
    train = np.stack([peaks.recording, segment, peaks.channel])
    order = np.lexsort((peaks.frame, *train))
    same = (np.diff(train[:, order]) == 0).all(axis=0)
    return np.diff(peaks.frame[order])[same] / sampling_rate_hz * 1000


def spike_counts(peaks: Ledger, spans: np.ndarray, n_channels: int, bin_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """First frame int64 (bins,) of each bin of time, and number of peaks int64 (bins, channels) of each channel in it.

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


def split_in_time(
    frame: np.ndarray,
    n_frames: int,
    n_samples: int,
    shares: tuple[float, float, float] = (0.6, 0.1, 0.3),
    cycles: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Split (n,) uint8 of each frame, and whether (n,) bool it stands too near to another split to be used.

    The recording is cut into ``cycles`` equal stretches, each of them into a block of training, validation and test
    time with the given shares. A peak within one window's length of a block's edge is not used, so that windows of
    different splits are more than a window apart.
    """
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise InputError(f"the shares of the split must be three positive numbers with sum 1, not {shares}")
    if cycles < 1:
        raise InputError(f"split_cycles is {cycles}: it must be 1 or more")
    edges = ((np.arange(cycles)[:, None] + np.cumsum(shares)) * n_frames / cycles).ravel()
    block = np.searchsorted(edges[:-1], frame, side="right")
    inner = edges[:-1]
    distance = np.abs(frame[:, None] - inner[None, :]).min(axis=1) if len(inner) else np.full(len(frame), np.inf)
    return (block % 3).astype(np.uint8), distance < n_samples


SPLIT_BY = ("recording", "time")


def require_splittable(names: list[str], by: str) -> None:
    """Raise when recordings cannot be divided ``by`` recording or time.

    Raises
    ------
    InputError
        Fewer than three recordings to split by recording, or another word than those of ``SPLIT_BY``.
    """
    choose("split_by", by, SPLIT_BY)
    if by == "recording" and len(names) < len(Split):
        raise InputError(
            f"splitting by recording needs 3 recordings with spikes, one each for training, validation and test, and "
            f'there are {len(names)}: add recordings, or ask for split_by = "time" '
            f"(--set merge.split_by=time), which splits each recording in time"
        )


def require_same(values: Mapping[str, object], what: str) -> None:
    """Raise when the ``values`` of ``what``, by recording, are not all the same.

    Raises
    ------
    InputError
        Naming the first recording whose value is not that of most.
    """
    common, _ = Counter(values.values()).most_common(1)[0]
    for name, value in values.items():
        if value != common:
            raise InputError(
                f"recording '{name}' cannot be merged with the others: its {what} is {value}, and theirs {common}; "
                f"leave it out, or make it alike first"
            )


def merge(
    parts: Mapping[str, SpikeWindows],
    by: str = "recording",
    shares: tuple[float, float, float] = (0.6, 0.1, 0.3),
    seed: int = 0,
) -> SpikeWindows:
    """One set of windows from the windows of several recordings, by name.

    The columns stand one recording after the other; ``recording`` tells which. Channels and frames count within their
    recording; units keep apart (those of a later recording are counted on from the earlier ones, −1 stays −1).

    Parameters
    ----------
    parts
        Windows of one recording each.
    by
        ``"recording"``: whole recordings go to training, validation or test, so that the windows come closest to the
        ``shares``, the largest recording first; among recordings of the same size the ``seed`` decides. ``"time"``:
        every recording keeps its own split in time, and is then in training, validation and test alike.
    shares, seed
        Shares of the windows for training, validation and test, and the seed, for ``by="recording"``.

    Raises
    ------
    InputError
        Recordings that differ in sampling rate, length of a window, amplitude unit or parameters of detection; the
        same recording twice, or windows of it in two splits (:func:`require_apart`); fewer than three recordings with
        windows, for ``by="recording"``.
    """
    names, windows = list(parts), list(parts.values())
    sizes = np.array([len(w) for w in windows])
    require_splittable(names if by == "time" else [n for n, size in zip(names, sizes) if size], by)
    for what, value in {
        "sampling rate in Hz": lambda w: w.sampling_rate_hz,
        "number of samples in a window": lambda w: w.n_samples,
        "sample of the peak": lambda w: w.pre_samples,
        "amplitude unit": lambda w: w.amplitude_unit,
        "detection": lambda w: json.dumps(w.detection, sort_keys=True),
    }.items():
        require_same({name: value(w) for name, w in parts.items()}, what)
    owner: dict[str, str] = {}
    for name, w in parts.items():
        for sha in w.source_sha256[:1]:  # of the samples: what describes them may be alike in others
            if owner.setdefault(sha, name) != name:
                raise InputError(f"recordings '{owner[sha]}' and '{name}' are the same file: leave one of them out")

    def column(name: str, of: list) -> np.ndarray:
        return np.concatenate([getattr(o, name) for o in of])

    def index(of: list) -> np.ndarray:
        return np.repeat(np.arange(len(of), dtype=np.uint16), [len(o) for o in of])

    def spans(name: str) -> np.ndarray:
        own = [getattr(w, name) for w in windows]
        return np.concatenate([np.c_[np.full(len(s), i, np.int64), s[:, 1:]] for i, s in enumerate(own)])

    units = [int(w.label.max(initial=-1)) + 1 for w in windows]
    label = column("label", windows)
    label[label >= 0] += np.repeat(np.cumsum([0, *units[:-1]]), sizes).astype(np.int32)[label >= 0]
    split = column("split", windows)
    if by == "recording":
        split = np.repeat(_whole_to_splits(sizes, shares, seed), sizes)
    ledger = None
    if all(w.ledger is not None for w in windows):
        ledgers = [w.ledger for w in windows]
        columns = {name: column(name, ledgers) for name in Ledger.__dataclass_fields__}
        ledger = Ledger(**columns | {"recording": index([part.frame for part in ledgers])})
    merged = replace(
        windows[0],
        windows=column("windows", windows),
        channel=column("channel", windows),
        frame=column("frame", windows),
        label=label,
        split=split,
        detection=windows[0].detection | {"split_by": by},
        source_sha256=[sha for w in windows for sha in w.source_sha256],
        noise_mad=column("noise_mad", windows),
        ledger=ledger,
        recording=index(windows),
        recordings=names,
        noise_recording=index([w.noise_mad for w in windows]),
        positions_um=column("positions_um", windows),
        stretches=spans("stretches"),
        planted_bursts=spans("planted_bursts"),
    )
    require_apart(merged)
    return merged


def _whole_to_splits(sizes: np.ndarray, shares: tuple[float, float, float], seed: int) -> np.ndarray:
    """Split uint8 (recordings,) of whole recordings with ``sizes`` windows; none of the three stays empty.

    The largest goes first, each to the split that still lacks most of its share.
    """
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    lack = np.array(shares) * sizes.sum()
    split, empty = np.zeros(len(sizes), np.uint8), np.ones(len(Split), bool)
    for left, i in zip(range(np.count_nonzero(sizes), -len(sizes), -1), order):
        choice = np.argmax(np.where(empty, lack, -np.inf) if empty.sum() == left else lack)
        split[i], empty[choice] = choice, False
        lack[choice] -= sizes[i]
    return split


LEAST = (20, 2, 10)
"""Windows to train, to validate and to test with which every notebook still runs to its end."""


def require_enough(windows: SpikeWindows, minimum: int) -> None:
    """Raise when there are fewer than ``minimum`` windows to train, a tenth of it to validate or a quarter to test.

    No ``minimum`` asks for less than ``LEAST``, but with 0 any window will do, of whichever split.

    Raises
    ------
    InputError
        With the counts and the parameters to relax.
    """
    train, validation, test = there = [int((windows.split == s).sum()) for s in Split]
    needed = (minimum, -(-minimum // 10), -(-minimum // 4))
    needed = tuple(map(max, needed, LEAST)) if minimum else needed
    if not any(there) or any(n < least for n, least in zip(there, needed)):
        if windows.ledger and not len(windows.ledger.frame):
            raise InputError(
                "too few isolated spikes: none, for nothing in the recording stands out from its noise: take a "
                "recording of active cells, or lower the threshold with --set 01_preprocessing.threshold_mad=4"
            )
        counted, remedy = f"windows: {len(windows.split)} windows", "add windows"
        if windows.ledger:
            counted = f"isolated spikes: {len(windows.split)} windows of {len(windows.ledger.frame)} detected peaks"
            remedy = (
                "use a longer recording, or relax threshold_mad, guard_ms or window_ms (such as --set "
                "01_preprocessing.threshold_mad=4)"
            )
        wanted = f"{needed[0]}, {needed[1]} and {needed[2]} are" if minimum else "one at least is"
        most, enough = min(train, 10 * validation, 4 * test), all(n >= least for n, least in zip(there, LEAST))
        fewer = ", or make do with these, which tell models apart only roughly, by --set 01_preprocessing."
        fewer = f"{fewer}min_train_windows={most}" if enough else ""
        raise InputError(
            f"too few {counted} ({train} to train, {validation} to validate, {test} to test), and {wanted} needed: "
            f"{remedy}{fewer}"
        )


def fingerprints(windows: np.ndarray, noise: float = 0.0) -> np.ndarray:
    """Number int64 (n,) of each window (n, samples), the same for equal windows alone; of one process.

    Where the ``noise`` level is known, windows within a hundredth of it are equal: noise never comes twice, and a
    filter rounds the same signal in several ways.
    """
    rounded = np.rint(windows * np.float32(100 / noise)) if noise > 0 else windows
    return np.array([hash(row.tobytes()) for row in rounded + np.float32(0)], np.int64)  # −0 equals 0


def require_apart(windows: SpikeWindows, fingerprint: np.ndarray | None = None) -> None:
    """Raise when a window of one split equals a window of another one; copies within a split are allowed.

    ``fingerprint`` int64 (n,): of :func:`fingerprints`, where the windows themselves are not in memory.

    Raises
    ------
    InputError
        With how many windows there are, and what to leave out; or that those to train are all alike.
    """
    if fingerprint is None:
        noise = float(np.median(windows.noise_mad)) if len(windows.noise_mad) else 0.0
        fingerprint = fingerprints(windows.windows, noise)
    kinds, kind = np.unique(fingerprint, return_inverse=True)
    train = kind[windows.split == Split.TRAIN]
    if len(train) > 1 and (train == train[0]).all():
        raise InputError(f"all {len(train)} training windows are alike, with nothing to learn from them: take others")
    stands_in = np.zeros((len(kinds), len(Split)), bool)
    stands_in[kind, windows.split] = True
    shared = (stands_in.sum(axis=1) > 1)[kind]
    if not shared.any():
        return
    names = [f"'{windows.recordings[i]}'" for i in np.unique(windows.recording[shared])]
    if len(names) > 1:
        remedy = f"leave all but one of the recordings {', '.join(names)} out"
    elif windows.ledger is not None:
        remedy = "the recording repeats itself, so cut what is repeated out of it"
    else:
        rows = 'numpy.sort(numpy.unique(windows.astype("f4"), axis=0, return_index=True)[1])'
        remedy = f"keep one of each, which are the rows {rows}"
    raise InputError(
        f"{int(shared.sum())} of {len(shared)} windows have a copy in another one of training, validation and "
        f"test, where models would be judged by what they have seen: {remedy}"
    )


@dataclass(frozen=True)
class Standardiser:
    """x' = (x − centre) / scale, the same two numbers for all windows, so that amplitudes survive (thesis 1.3.5).

    Fitted on training windows only. ``bounded``: training windows lie in [−1, 1].
    """

    centre: float
    scale: float
    bounded: bool = False

    @classmethod
    def fit(cls, windows: np.ndarray) -> "Standardiser":
        """The z-score: mean and standard deviation of windows (n, samples)."""
        return cls(float(windows.mean(dtype=np.float64)), float(windows.std(dtype=np.float64)))

    @classmethod
    def fit_range(cls, windows: np.ndarray) -> "Standardiser":
        """Min–max: the lowest sample of all windows (n, samples) becomes −1, the highest 1."""
        low, high = float(windows.min()), float(windows.max())
        return cls((high + low) / 2, (high - low) / 2, bounded=True)

    def transform(self, windows: np.ndarray) -> np.ndarray:
        """From the amplitude unit, float32."""
        return ((windows - self.centre) / self.scale).astype(np.float32)

    def inverse(self, windows: np.ndarray) -> np.ndarray:
        """Back to the amplitude unit, float32."""
        return (windows * self.scale + self.centre).astype(np.float32)


@dataclass(frozen=True)
class WindowStandardiser:
    """Each window to mean 0 and standard deviation 1 by itself: a model of such windows never sees an amplitude.

    On the way back each window gets mean and standard deviation of a training window that is drawn at random, so that
    amplitudes are right on the whole and wrong for the shape that carries them.

    Attributes
    ----------
    centres, scales
        Mean and standard deviation (n,) of each training window.
    seed
        Of the draw.
    """

    centres: np.ndarray
    scales: np.ndarray
    seed: int = 0
    bounded: bool = False

    @classmethod
    def fit(cls, windows: np.ndarray) -> "WindowStandardiser":
        """From windows (n, samples)."""
        return cls(windows.mean(axis=1, dtype=np.float64), windows.std(axis=1, dtype=np.float64))

    def transform(self, windows: np.ndarray) -> np.ndarray:
        """From the amplitude unit, float32."""
        own = windows.std(axis=1, keepdims=True)
        return ((windows - windows.mean(axis=1, keepdims=True)) / np.where(own > 0, own, 1)).astype(np.float32)

    def inverse(self, windows: np.ndarray) -> np.ndarray:
        """Back to the amplitude unit, float32."""
        drawn = np.random.default_rng(self.seed).integers(len(self.scales), size=(len(windows), 1))
        return (windows * self.scales[drawn] + self.centres[drawn]).astype(np.float32)


NORMALISATIONS = {"z_score": Standardiser.fit, "min_max": Standardiser.fit_range, "per_window": WindowStandardiser.fit}


def fit_normalisation(name: str, windows: np.ndarray) -> Standardiser | WindowStandardiser:
    """The normalisation called ``name``, fitted on training windows (n, samples).

    Raises
    ------
    InputError
        A name that is not known.
    """
    choose("normalisation", name, NORMALISATIONS)
    return NORMALISATIONS[name](windows)
