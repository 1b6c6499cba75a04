"""From peaks to windows: which spikes are alone, and how their windows are cut."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import spikeinterface.core as sc
from numba import njit
from scipy.interpolate import CubicSpline
from scipy.spatial.distance import cdist

from meagan_lib import InputError, choose
from meagan_lib.recordings.opening import amplitude_unit, electrode_positions_um, rails, source_sha256
from meagan_lib.recordings.simulation import GroundTruth
from meagan_lib.windows import filtering, streaming
from meagan_lib.windows.detection import DetectionConfig, depths, nearest, noise_levels, segment_spans, true_peaks
from meagan_lib.windows.spike_windows import Ledger, Reason, SpikeWindows
from meagan_lib.windows.splits import fingerprints, require_apart, require_enough, split_in_time
from meagan_lib.windows.streaming import Found, Search
from meagan_lib.workflow.files import atomic

ORDER = (
    Reason.BAD_CHANNEL,
    Reason.EDGE_OF_RECORDING,
    Reason.CLIPPED,
    Reason.ARTEFACT,
    Reason.NEXT_TOO_CLOSE,
    Reason.PREVIOUS_TOO_CLOSE,
    Reason.GUARD_PEAK_IN_WINDOW,
    Reason.NEIGHBOUR_ACTIVE,
    Reason.EDGE_OF_SPLIT,
)


SIDES = ("both", "next")


@dataclass(frozen=True)
class Isolation:
    """When a spike is alone: ``Isolation()`` by default, ``Isolation.thesis()`` as the thesis words it (2.3.1)."""

    guard_ms: float = 2.0
    """Nothing else may peak on the channel within this time of a kept spike."""
    sides: str = "both"
    """``both``: the next and the previous peak are far; ``next``: the next alone."""
    guard_mad: float = 3.5
    """Elsewhere in the window, no trough may be deeper than so many noise levels; 0: no matter."""
    neighbours_um: float = 0.0
    """No electrode within this distance may peak within ``guard_ms``, but for the spike itself; 0: no matter."""

    def __post_init__(self):
        choose("isolation", self.sides, SIDES)
        if min(self.guard_ms, self.guard_mad, self.neighbours_um) < 0:
            raise InputError("guard_ms, guard_mad and neighbours_um cannot be negative: 0 turns a rule off")

    @classmethod
    def thesis(cls, guard_ms: float = 2.0) -> "Isolation":
        """The rule as worded: the *next* spike is far enough."""
        return cls(guard_ms, "next", 0.0, 0.0)


ALIGNMENTS = ("trough", "interpolated")


@dataclass(frozen=True)
class WindowConfig:
    """Which windows are cut, and how they are split."""

    window_ms: float = 3.2
    """Length of a window, centred on the trough."""
    isolation: Isolation = Isolation()
    alignment: str = "trough"
    """``trough``: the lowest sample stands in the middle; ``interpolated``: the trough of a cubic spline does."""
    artefact: float = 0.0
    """No spike is larger than this, in the unit of the recording; 0: no limit."""
    split_fractions: tuple[float, float, float] = (0.6, 0.1, 0.3)
    """Shares of the time for training, validation and test."""
    split_cycles: int = 1
    """How often training, validation and test time follow one another."""

    def __post_init__(self):
        choose("alignment", self.alignment, ALIGNMENTS)
        if self.artefact < 0:
            raise InputError(f"artefact is {self.artefact:g}: give the size that no spike exceeds, or 0 for no limit")

    @property
    def padding(self) -> int:
        """Samples beyond a window that its alignment needs."""
        return 4 if self.alignment == "interpolated" else 0

    def half_window(self, sampling_rate_hz: float) -> int:
        """Samples on either side of the trough."""
        half = int(round(self.window_ms / 2 * sampling_rate_hz / 1000))
        if half < 4:
            raise InputError(
                f"a window of {self.window_ms:g} ms has only {2 * half} samples at {sampling_rate_hz:g} Hz: "
                f"raise window_ms"
            )
        return half


def reasons(
    flags: np.ndarray, isolation: Isolation, outside: np.ndarray, bad: np.ndarray, busy: np.ndarray, between: np.ndarray
) -> np.ndarray:
    """Reason uint8 (peaks,) of each peak: the first of ``ORDER`` that holds.

    Parameters
    ----------
    flags
        uint8 (peaks,), of :func:`streaming.scan`.
    outside, bad, busy, between
        bool (peaks,): the window leaves the recording; the channel is bad; a neighbour is active; the peak stands
        between two splits.
    """
    holds = {
        Reason.BAD_CHANNEL: bad,
        Reason.EDGE_OF_RECORDING: outside,
        Reason.CLIPPED: flags & streaming.CLIPPED,
        Reason.ARTEFACT: flags & streaming.ARTEFACT,
        Reason.NEXT_TOO_CLOSE: flags & streaming.NEXT,
        Reason.PREVIOUS_TOO_CLOSE: flags & (streaming.PREVIOUS if isolation.sides == "both" else 0),
        Reason.GUARD_PEAK_IN_WINDOW: flags & streaming.GUARD,
        Reason.NEIGHBOUR_ACTIVE: busy,
        Reason.EDGE_OF_SPLIT: between,
    }
    reason = np.full(len(flags), Reason.KEPT, np.uint8)
    for r in reversed(ORDER):
        reason[holds[r].astype(bool)] = r
    return reason


@njit(cache=True)
def active_neighbours(frame, channel, first, stop, adjacent, dead, guard):
    """Whether bool (stop − first,) a neighbour of each peak first … stop, by ``adjacent`` (channels, channels), peaks
    within ``guard`` frames.

    ``frame`` (peaks,) is sorted. Peaks within ``dead`` frames are the same spike, seen by both electrodes.
    """
    busy = np.zeros(stop - first, np.bool_)
    left = 0
    for i in range(first, stop):
        while frame[i] - frame[left] > guard:
            left += 1
        j = left
        while j < len(frame) and frame[j] - frame[i] <= guard:
            if adjacent[channel[i], channel[j]] and abs(frame[j] - frame[i]) > dead:
                busy[i - first] = True
                break
            j += 1
    return busy


def align_troughs(windows: np.ndarray, padding: int) -> np.ndarray:
    """Shift windows (n, samples + 2 · padding) by less than a sample, so that the trough of a cubic spline through
    each stands exactly in its middle; returns (n, samples)."""
    n, length = windows.shape
    middle, samples = length // 2, length - 2 * padding
    if n == 0:
        return windows[:, padding : length - padding]
    # a u³ + b u² + c u + d, each (length − 1, n)
    a, b, c, d = CubicSpline(np.arange(length), windows.T.astype(np.float64)).c
    row = np.arange(n)
    shift, depth = np.zeros(n), d[middle].copy()
    for piece in (middle - 1, middle):
        p, q, r = 3 * a[piece], 2 * b[piece], c[piece]
        root = np.sqrt(np.maximum(q * q - 4 * p * r, 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.where(np.abs(p) > 1e-12, (-q + root) / (2 * p), -r / q)  # the root at which the slope rises
        u = np.nan_to_num(u, nan=-1, posinf=-1, neginf=-1)
        value = ((a[piece] * u + b[piece]) * u + c[piece]) * u + d[piece]
        better = (u >= 0) & (u < 1) & (value < depth)
        shift[better], depth[better] = piece + u[better] - middle, value[better]
    whole = np.floor(shift).astype(int)
    u = (shift - whole)[:, None]
    at = padding + np.arange(samples) + whole[:, None]
    column = row[:, None]
    return (((a[at, column] * u + b[at, column]) * u + c[at, column]) * u + d[at, column]).astype(np.float32)


@dataclass(frozen=True)
class Stretch:
    """A part of a recording: its peaks with their reasons and splits, and the windows of those that are kept."""

    frame: np.ndarray
    channel: np.ndarray
    amplitude: np.ndarray
    reason: np.ndarray
    split: np.ndarray
    windows: np.ndarray


def stretches(
    recording: sc.BaseRecording, detection: DetectionConfig, config: WindowConfig, noise: np.ndarray, bad: np.ndarray
) -> Iterator[Stretch]:
    """One pass over a recording."""
    rate = recording.get_sampling_frequency()
    gain, spans = filtering.signs_and_gains(recording)[1], segment_spans(recording)
    half, rule = config.half_window(rate), config.isolation
    guard, dead = int(round(rule.guard_ms * rate / 1000)), detection.dead(rate)
    artefact = np.full(len(noise), np.inf, np.float32) if config.artefact == 0 else config.artefact / gain
    drop = streaming.NEXT | streaming.GUARD | streaming.ARTEFACT | streaming.CLIPPED
    search = Search(
        depths(noise, detection.threshold_mad),
        depths(noise, rule.guard_mad),
        artefact,
        dead,
        guard,
        half,
        config.padding,
        drop | (streaming.PREVIOUS if rule.sides == "both" else 0),
        rails(recording),
    )
    adjacent = _adjacent(recording, rule.neighbours_um)
    reach = half + config.padding

    sizes = np.diff(spans)[:, 0]

    def finish(found: Found, busy: np.ndarray, first: int, end: int, gap: int) -> Stretch:
        outside = (found.frame < first + reach) | (found.frame + reach > end)
        split, between = split_in_time(  # what was recorded is shared out: gaps are left out
            found.frame - gap, int(sizes.sum()), 2 * half, config.split_fractions, config.split_cycles
        )
        reason = reasons(found.flags, rule, outside, bad[found.channel], busy, between)
        cut = found.windows[reason[found.has_window] == Reason.KEPT]
        kept = reason == Reason.KEPT
        cut = align_troughs(cut, config.padding) if config.alignment == "interpolated" else cut
        return Stretch(
            found.frame,
            found.channel,
            found.amplitude * gain[found.channel],
            reason,
            split,
            cut * gain[found.channel[kept], None],
        )

    for segment, ((first, end), gap) in enumerate(zip(spans, spans[:, 0] - np.cumsum(sizes) + sizes)):
        passing = (
            replace(f, frame=f.frame + first)
            for f in streaming.scan(recording, detection.filter(rate), search, segment)
        )
        if adjacent is None:
            for found in passing:
                yield finish(found, np.zeros(len(found.frame), bool), first, end, gap)
            continue
        # A peak's neighbours may lie in the stretches before and after its own.
        before, here = None, next(passing, None)
        while here is not None:
            after = next(passing, None)
            near = [f for f in (before, here, after) if f is not None]
            skip = len(before.frame) if before is not None else 0
            busy = active_neighbours(
                np.concatenate([f.frame for f in near]),
                np.concatenate([f.channel for f in near]),
                skip,
                skip + len(here.frame),
                adjacent,
                dead,
                guard,
            )
            yield finish(here, busy, first, end, gap)
            before, here = here, after


def _adjacent(recording: sc.BaseRecording, distance_um: float) -> np.ndarray | None:
    """Which electrodes (channels, channels) are neighbours; None when the rule is off."""
    if distance_um == 0:
        return None
    positions = electrode_positions_um(recording)
    if positions is None:
        raise InputError(
            "neighbours_um needs the electrodes' positions, which this recording does not give: set it to 0"
        )
    near = cdist(positions, positions) <= distance_um
    np.fill_diagonal(near, False)
    return near


def cut_windows(
    recording: sc.BaseRecording,
    detection: DetectionConfig,
    config: WindowConfig,
    truth: GroundTruth | None = None,
    bad: np.ndarray | None = None,
    seed: int = 0,
    path: Path | str | None = None,
    min_train: int | None = None,
) -> SpikeWindows:
    """Detect spikes, cut the isolated ones, split them in time, and account for every other peak, in one pass.

    Parameters
    ----------
    truth
        Of a simulation: each window is labelled with the unit that fired, −1 where none did.
    bad
        bool (channels,): channels whose peaks are only entered in the ledger.
    seed
        Of the blocks on which the noise level is estimated.
    path
        Where the windows are written as they come; in the end the whole file is read back into memory.
    min_train
        Training windows that there must be for the file to be written; 0: any window; None: not even one.

    Raises
    ------
    InputError
        A recording shorter than a window; too few windows (:func:`require_enough`); a recording that repeats itself
        (:func:`require_apart`).
    """
    rate, spans = recording.get_sampling_frequency(), segment_spans(recording)
    half = config.half_window(rate)
    longest = int(np.diff(spans).max())
    if longest < 2 * half:
        raise InputError(f"the recording has {longest} samples, less than one window ({2 * half}): lower window_ms")
    noise = noise_levels(recording, detection, seed)
    bad = np.zeros(len(noise), bool) if bad is None else bad
    columns: list[tuple] = []

    def complete(windows: np.ndarray) -> SpikeWindows:
        frame, channel, amplitude, reason, split = (np.concatenate(column) for column in zip(*columns))
        kept = reason == Reason.KEPT
        noise_mad, positions = noise * filtering.signs_and_gains(recording)[1], electrode_positions_um(recording)
        return SpikeWindows(
            windows=windows,
            channel=channel[kept],
            frame=frame[kept],
            label=_units(frame[kept], channel[kept], noise_mad, truth, detection, rate),
            split=split[kept],
            sampling_rate_hz=rate,
            pre_samples=half,
            amplitude_unit=amplitude_unit(recording),
            detection=asdict(detection) | asdict(config),
            source_sha256=source_sha256(recording),
            noise_mad=noise_mad,
            ledger=Ledger(frame, channel, amplitude, reason),
            recordings=[Path((recording.get_annotation("files") or ["recording"])[0]).stem],
            positions_um=None if positions is None else positions.astype(np.float32),
            stretches=_spans(spans),
            planted_bursts=_spans(np.zeros((0, 2), np.int64) if truth is None else truth.bursts),
        )

    def passing() -> Iterator[np.ndarray]:
        for part in stretches(recording, detection, config, noise, bad):
            columns.append((part.frame, part.channel, part.amplitude, part.reason, part.split))
            yield part.windows

    if path is None:
        windows = complete(np.concatenate(list(passing())))
        if min_train is not None:
            require_enough(windows, min_train)
        require_apart(windows)
        return windows
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        written = file.create_dataset(
            "windows", (0, 2 * half), np.float32, maxshape=(None, 2 * half), chunks=(1024, 2 * half)
        )
        fingerprint, level = [np.zeros(0, np.int64)], float(np.median(noise * filtering.signs_and_gains(recording)[1]))
        for windows in passing():
            fingerprint.append(fingerprints(windows, level))
            written.resize(len(written) + len(windows), axis=0)
            written[len(written) - len(windows) :] = windows
        done = complete(np.empty((0, 2 * half), np.float32))
        if min_train is not None:
            require_enough(done, min_train)
        require_apart(done, np.concatenate(fingerprint))
        done.write(file)
    return SpikeWindows.load(path)


def _spans(of_one: np.ndarray) -> np.ndarray:
    """Spans (n, 2) of the first recording, as ``SpikeWindows`` keeps them: int64 (n, 3)."""
    return np.pad(of_one, ((0, 0), (1, 0)))


def _units(
    frame: np.ndarray,
    channel: np.ndarray,
    noise_mad: np.ndarray,
    truth: GroundTruth | None,
    detection: DetectionConfig,
    rate: float,
) -> np.ndarray:
    """Unit int32 of each window: of the nearest true spike deeper than two noise levels; −1 without truth."""
    if truth is None:
        return np.full(len(frame), -1, np.int32)
    true_frame, true_channel, unit, _ = true_peaks(truth, detection, rate, noise_mad, above_mad=2.0)
    match = nearest(frame, channel, true_frame, true_channel, detection.dead(rate))
    return np.where(match >= 0, unit[match], -1).astype(np.int32)
