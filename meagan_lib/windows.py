"""Spike windows: which peaks are kept and why, the split in time, scaling, and the file ``windows.h5``."""

import json
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from pathlib import Path

import h5py
import numpy as np
import spikeinterface.core as sc

from meagan_lib import InputError
from meagan_lib.detection import DetectionConfig, Peaks, cut, nearest, true_peaks
from meagan_lib.files import atomic
from meagan_lib.recordings import amplitude_unit, source_sha256
from meagan_lib.simulation import GroundTruth


class Split(IntEnum):
    """Which part of the recording's time a window belongs to."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2


class Reason(IntEnum):
    """Why a detected peak became a window, or did not. Each peak has one reason, the first that holds."""

    KEPT = 0
    EDGE_OF_RECORDING = 1
    NEXT_TOO_CLOSE = 2
    PREVIOUS_TOO_CLOSE = 3
    EDGE_OF_SPLIT = 4


ISOLATION_RULES = ("both", "next")


@dataclass(frozen=True)
class WindowConfig:
    """Which windows are cut, and how they are split."""

    window_ms: float = 3.2
    """Length of a window, centred on the trough."""
    guard_ms: float = 2.0
    """Nothing else may peak on the channel within this time of a kept spike."""
    isolation: str = "both"
    """``both``: the next and the previous peak are far; ``next``: the thesis' rule as worded."""
    split_shares: tuple[float, float, float] = (0.6, 0.1, 0.3)
    """Shares of the time for training, validation and test."""
    split_cycles: int = 1
    """How often training, validation and test time follow one another."""

    def half_window(self, sampling_rate_hz: float) -> int:
        """Samples on either side of the trough."""
        half = int(round(self.window_ms / 2 * sampling_rate_hz / 1000))
        if half < 4:
            raise InputError(
                f"a window of {self.window_ms:g} ms has only {2 * half} samples at {sampling_rate_hz:g} Hz: raise window_ms"
            )
        return half


@dataclass(frozen=True)
class Ledger:
    """Every detected peak with what became of it: ``frame`` int64, ``channel`` int32, ``amplitude`` float32 and
    ``reason`` uint8 (a :class:`Reason`), each (peaks,)."""

    frame: np.ndarray
    channel: np.ndarray
    amplitude: np.ndarray
    reason: np.ndarray

    def counts(self) -> dict[str, int]:
        """Number of peaks for each reason, in words."""
        return {r.name.lower().replace("_", " "): int((self.reason == r).sum()) for r in Reason}


@dataclass(frozen=True)
class SpikeWindows:
    """Windows cut around spikes.

    Attributes
    ----------
    windows
        float32 (n, samples), in ``amplitude_unit``; the peak stands at sample ``pre_samples``.
    channel, frame, label, split
        int32, int64, int32, uint8 (n,): electrode, frame of the peak, unit (−1 = unknown) and :class:`Split`.
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

    def of(self, split: Split) -> np.ndarray:
        """The windows (m, samples) of one split, in order of time."""
        return self.windows[self.split == split]

    def synthetic(self, windows: np.ndarray) -> "SpikeWindows":
        """The same kind of object for generated windows (m, samples): no channel, no time, no unit."""
        n = len(windows)
        return replace(
            self, windows=windows.astype(np.float32), channel=np.full(n, -1, np.int32), frame=np.full(n, -1, np.int64),
            label=np.full(n, -1, np.int32), split=np.full(n, Split.TEST, np.uint8), ledger=None,
        )

    def save(self, path: Path | str) -> None:
        """Write to HDF5, atomically; the same windows give the same bytes."""
        with atomic(path) as temporary, h5py.File(temporary, "w") as file:
            for name in ("windows", "channel", "frame", "label", "split", "noise_mad"):
                file.create_dataset(name, data=getattr(self, name))
            file.attrs["sampling_rate_hz"] = self.sampling_rate_hz
            file.attrs["pre_samples"] = self.pre_samples
            file.attrs["amplitude_unit"] = self.amplitude_unit
            file.attrs["detection"] = json.dumps(self.detection, sort_keys=True)
            file.attrs["source_sha256"] = json.dumps(self.source_sha256)
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
                arrays = ("windows", "channel", "frame", "label", "split", "noise_mad")
                return cls(
                    **{name: file[name][:] for name in arrays},
                    sampling_rate_hz=float(file.attrs["sampling_rate_hz"]), pre_samples=int(file.attrs["pre_samples"]),
                    amplitude_unit=str(file.attrs["amplitude_unit"]), detection=json.loads(file.attrs["detection"]),
                    source_sha256=json.loads(file.attrs["source_sha256"]), ledger=ledger,
                )
        except (OSError, KeyError, ValueError) as error:
            raise InputError(f"{path.name} is no file of spike windows ({error}): run notebook 01 again") from error


def isolate(peaks: Peaks, guard: int, half_window: int, rule: str = "both") -> np.ndarray:
    """Reason uint8 (peaks,) of each peak: kept when no other peak of its channel lies within ``guard`` frames.

    ``rule="both"`` looks at the next and the previous peak; ``rule="next"`` at the next alone, which is the rule of
    the thesis (2.3.1) as worded. A window must lie within its segment.
    """
    if rule not in ISOLATION_RULES:
        raise InputError(f"isolation '{rule}' is not known: choose one of {', '.join(ISOLATION_RULES)}")
    segment = np.searchsorted(peaks.segment_starts, peaks.frame, side="right") - 1
    order = np.lexsort((peaks.frame, segment, peaks.channel))
    same = np.diff(peaks.channel[order]) == 0
    same &= np.diff(segment[order]) == 0
    close = same & (np.diff(peaks.frame[order]) <= guard)
    next_close, previous_close = np.zeros((2, len(order)), dtype=bool)
    next_close[order[:-1]] = close
    previous_close[order[1:]] = close

    first, end = peaks.segment_starts[segment], peaks.segment_starts[segment + 1]
    outside = (peaks.frame < first + half_window) | (peaks.frame + half_window > end)
    reason = np.full(len(order), Reason.KEPT, dtype=np.uint8)
    if rule == "both":
        reason[previous_close] = Reason.PREVIOUS_TOO_CLOSE
    reason[next_close] = Reason.NEXT_TOO_CLOSE
    reason[outside] = Reason.EDGE_OF_RECORDING
    return reason


def intervals_ms(peaks: Peaks, sampling_rate_hz: float) -> np.ndarray:
    """Intervals float64 (m,) in ms between neighbouring peaks of a channel, all channels together."""
    order = np.lexsort((peaks.frame, peaks.channel))
    same = np.diff(peaks.channel[order]) == 0
    return np.diff(peaks.frame[order])[same] / sampling_rate_hz * 1000


def split_in_time(
    frame: np.ndarray, n_frames: int, n_samples: int, shares: tuple[float, float, float] = (0.6, 0.1, 0.3),
    cycles: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Split (n,) uint8 of each frame, and whether (n,) bool it stands too near to another split to be used.

    The recording is cut into ``cycles`` equal stretches, each of them into a block of training, validation and test
    time with the given shares. A peak within one window's length of a block's edge is not used, so that windows of
    different splits are more than a window apart.
    """
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise InputError(f"the shares of the split must be three positive numbers with sum 1, not {shares}")
    edges = ((np.arange(cycles)[:, None] + np.cumsum(shares)) * n_frames / cycles).ravel()
    block = np.searchsorted(edges[:-1], frame, side="right")
    inner = edges[:-1]
    distance = np.abs(frame[:, None] - inner[None, :]).min(axis=1) if len(inner) else np.full(len(frame), np.inf)
    return (block % 3).astype(np.uint8), distance < n_samples


def cut_windows(
    filtered: sc.BaseRecording, peaks: Peaks, detection: DetectionConfig, config: WindowConfig,
    truth: GroundTruth | None = None,
) -> SpikeWindows:
    """Cut the isolated spikes of a filtered recording, split them in time, and account for every other peak.

    With the ``truth`` of a simulation each window is labelled with the unit that fired, −1 where none did.

    Raises
    ------
    InputError
        A recording shorter than a window.
    """
    rate = filtered.get_sampling_frequency()
    half = config.half_window(rate)
    shortest = int(np.diff(peaks.segment_starts).min())
    if shortest < 2 * half:
        raise InputError(f"the recording has {shortest} samples, less than one window ({2 * half}): lower window_ms")
    reason = isolate(peaks, int(round(config.guard_ms * rate / 1000)), half, config.isolation)
    split, between = split_in_time(peaks.frame, peaks.n_frames, 2 * half, config.split_shares, config.split_cycles)
    reason[(reason == Reason.KEPT) & between] = Reason.EDGE_OF_SPLIT
    kept = reason == Reason.KEPT
    frame, channel = peaks.frame[kept], peaks.channel[kept]
    return SpikeWindows(
        windows=cut(filtered, peaks.segment_starts, frame, channel, half), channel=channel, frame=frame,
        label=_units(frame, channel, peaks, truth, detection, rate), split=split[kept], sampling_rate_hz=rate,
        pre_samples=half, amplitude_unit=amplitude_unit(filtered), detection=asdict(detection) | asdict(config),
        source_sha256=source_sha256(filtered), noise_mad=peaks.noise_mad,
        ledger=Ledger(peaks.frame, peaks.channel, peaks.amplitude, reason),
    )


def _units(
    frame: np.ndarray, channel: np.ndarray, peaks: Peaks, truth: GroundTruth | None, detection: DetectionConfig,
    rate: float,
) -> np.ndarray:
    """Unit int32 of each window: of the nearest true spike deeper than two noise levels; −1 without truth."""
    if truth is None:
        return np.full(len(frame), -1, np.int32)
    true_frame, true_channel, unit, _ = true_peaks(truth, detection, rate, peaks.noise_mad, above_mad=2.0)
    match = nearest(frame, channel, true_frame, true_channel, int(round(detection.dead_time_ms * rate / 1000)))
    return np.where(match >= 0, unit[match], -1).astype(np.int32)


def require_enough(windows: SpikeWindows, minimum: int) -> None:
    """Raise when a split has too few windows to train or to judge with.

    Raises
    ------
    InputError
        With the counts and the parameters to relax.
    """
    train, validation, test = ((windows.split == s).sum() for s in Split)
    if train < minimum or validation < minimum / 10 or test < minimum / 4:
        n_peaks = len(windows.ledger.frame) if windows.ledger else len(windows)
        raise InputError(
            f"too few isolated spikes: {len(windows)} windows of {n_peaks} detected peaks ({train} to train, "
            f"{validation} to validate, {test} to test), and training needs {minimum}: use a longer recording, or relax "
            f"threshold_mad, guard_ms or window_ms"
        )


@dataclass(frozen=True)
class Standardiser:
    """Global z-score: one mean and one standard deviation for all windows, so that amplitudes survive.

    x' = (x − mean) / std (thesis 1.3.5, input normalisation); fitted on training windows only.
    """

    mean: float
    std: float

    @classmethod
    def fit(cls, windows: np.ndarray) -> "Standardiser":
        """From windows (n, samples)."""
        return cls(float(windows.mean(dtype=np.float64)), float(windows.std(dtype=np.float64)))

    def transform(self, windows: np.ndarray) -> np.ndarray:
        """To z-scores, float32."""
        return ((windows - self.mean) / self.std).astype(np.float32)

    def inverse(self, windows: np.ndarray) -> np.ndarray:
        """Back to the amplitude unit, float32."""
        return (windows * self.std + self.mean).astype(np.float32)
