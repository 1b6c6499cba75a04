"""From voltage to spikes: band-pass, robust noise level, negative peaks; and how well that finds known spikes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import scipy.signal
import spikeinterface.core as sc

from meagan_lib import InputError
from meagan_lib.recordings.simulation import GroundTruth
from meagan_lib.windows.filtering import Bandpass, Filter, Stored, signs_and_gains
from meagan_lib.windows.spike_windows import SpikeWindows

FILTER_MARGIN_MS = 20.0


@dataclass(frozen=True)
class DetectionConfig:
    """How spikes are found."""

    band_hz: tuple[float, float] = (300.0, 6000.0)
    """Pass band; its upper edge is lowered to 0.45 of the sampling rate where that is less."""
    filter_order: int = 3
    """Order of the Butterworth filter, which is run forward and backward (zero phase)."""
    threshold_mad: float = 5.0
    """Depth of a negative peak in noise levels."""
    dead_time_ms: float = 0.5
    """A peak is the lowest sample of its channel within this time on both sides."""

    def within(self, recording: sc.BaseRecording) -> Self:
        """Clip the pass band to what survives in a compressed recording.

        ``InputError``: nothing of the band does.
        """
        limit = recording.get_annotation("survives_hz")
        if limit is None or self.band_hz[1] <= limit:
            return self
        if self.band_hz[0] >= limit:
            raise InputError(
                f"only what lies below {limit:g} Hz survives in this recording, and the pass band begins at "
                f"{self.band_hz[0]:g} Hz: lower band_low_hz"
            )
        return replace(self, band_hz=(self.band_hz[0], limit))

    def band_at(self, sampling_rate_hz: float) -> tuple[float, float]:
        """Return the pass band in Hz at a given sampling rate."""
        low, high = self.band_hz
        high = min(high, 0.45 * sampling_rate_hz)
        if not 0 < low < high:
            raise InputError(
                f"the pass band from {low:g} Hz to {high:g} Hz is empty at {sampling_rate_hz:g} Hz: lower band_low_hz"
            )
        return low, high

    def dead(self, sampling_rate_hz: float) -> int:
        """Return ``dead_time_ms`` in frames."""
        return round(self.dead_time_ms * sampling_rate_hz / 1000)

    def filter(self, sampling_rate_hz: float) -> Filter:
        """Design the band-pass at a given sampling rate."""
        band_hz = self.band_at(sampling_rate_hz)
        return Filter(scipy.signal.butter(self.filter_order, band_hz, "bandpass", fs=sampling_rate_hz, output="sos"))


def filtered_traces(
    recording: sc.BaseRecording, config: DetectionConfig, start: int, stop: int, segment: int = 0
) -> np.ndarray:
    """Return band-passed frames start … stop of a segment, float32 (frames, channels), in µV where known."""
    steps = np.empty((recording.get_num_channels(), stop - start), np.float32)
    filter = config.within(recording).filter(recording.get_sampling_frequency())
    Bandpass(Stored(recording, segment), filter).fill(steps, start)
    steps *= signs_and_gains(recording)[1][:, None]
    return steps.T


def window_lowpass(detection: dict, sampling_rate_hz: float) -> list[float]:
    """Return the centred impulse response (odd,) of the upper edge of the band that windows went through; sums to 1.

    What a generator of windows needs in order not to have power where the recording chain leaves none. ``detection`` is
    as ``SpikeWindows`` keeps it. Of windows that came already cut the filter is not known: they get a single tap, which
    changes nothing.
    """
    if "band_hz" not in detection:
        return [1.0]
    order = detection["filter_order"]
    _, high = DetectionConfig(band_hz=tuple(detection["band_hz"])).band_at(sampling_rate_hz)
    sos = scipy.signal.butter(order, high, btype="lowpass", fs=sampling_rate_hz, output="sos")
    response = scipy.signal.sosfiltfilt(sos, scipy.signal.unit_impulse(401, "mid"))
    reach = np.abs(np.flatnonzero(np.abs(response) > 1e-3 * response.max()) - 200).max()
    taps = response[200 - reach : 201 + reach]
    return (taps / taps.sum()).astype(np.float32).tolist()


def segment_spans(recording: sc.BaseRecording) -> np.ndarray:
    """Return first frame and end int64 (segments, 2) of each segment, counted from the beginning of the recording.

    Gaps count as the time that they lasted, where every segment states when it began; otherwise segments are laid end
    to end.
    """
    segments = range(recording.get_num_segments())
    sizes = np.array([recording.get_num_samples(s) for s in segments], np.int64)
    begun_s = np.array([recording.get_start_time(s) for s in segments])
    first = np.rint((begun_s - begun_s[0]) * recording.get_sampling_frequency()).astype(np.int64)
    if (first[1:] < first[:-1] + sizes[:-1]).any():
        first = np.cumsum(sizes) - sizes
    return np.stack([first, first + sizes], axis=1)


def depths(noise: np.ndarray, noise_levels: float) -> np.ndarray:
    """Return so many noise levels (channels,) as a depth; ∞ on a dead channel and for none (0)."""
    return np.where((noise > 0) & (noise_levels > 0), noise_levels * noise, np.inf).astype(np.float32)


@dataclass(frozen=True)
class KnownPeaks:
    """Peaks that were not found by the threshold, sorted by frame: ``frame`` int64, ``channel`` int32, each (n,).

    ``finder`` says by what: it is kept with the windows, beside the :class:`DetectionConfig`.
    """

    frame: np.ndarray
    channel: np.ndarray
    finder: Mapping[str, object]

    def between(self, first: int, end: int) -> np.ndarray:
        """Return frame − first and channel int64 (n, 2) of those from frame ``first`` to ``end``."""
        rows = slice(*np.searchsorted(self.frame, (first, end)))
        return np.stack([self.frame[rows] - first, self.channel[rows].astype(np.int64)], axis=1)


@dataclass(frozen=True)
class DetectionScore:
    """How well detection finds the spikes of a simulation deeper than ``above_mad`` noise levels."""

    above_mad: float
    recall: float
    precision: float
    n_true: int
    n_detected: int


def filtered_templates(truth: GroundTruth, config: DetectionConfig, sampling_rate_hz: float) -> np.ndarray:
    """Return the true spike shapes (units, samples, channels) as they stand in the filtered recording."""
    return filtered_shapes(truth.templates_uv, config, sampling_rate_hz)


def filtered_shapes(shapes: np.ndarray, config: DetectionConfig, sampling_rate_hz: float) -> np.ndarray:
    """Filter shapes (units, samples, channels) that stand among zeros; returns float32 of the same shape."""
    pad = int(FILTER_MARGIN_MS * sampling_rate_hz / 1000)
    padded = np.pad(shapes, ((0, 0), (pad, pad), (0, 0)))
    filtered = scipy.signal.sosfiltfilt(config.filter(sampling_rate_hz).sos, padded, axis=1)
    return filtered[:, pad:-pad].astype(np.float32)


def true_peaks(
    truth: GroundTruth, config: DetectionConfig, sampling_rate_hz: float, noise_mad: np.ndarray, above_mad: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Find where the true spikes should be seen: frame, channel, unit and depth in noise levels, sorted by frame.

    One row for each spike and each channel on which it is deeper than ``above_mad`` noise levels.
    """
    templates = filtered_templates(truth, config, sampling_rate_hz)
    trough = templates.argmin(axis=1) - truth.n_before  # (units, channels)
    depth = -templates.min(axis=1) / np.where(noise_mad > 0, noise_mad, np.inf)
    spike_depth = depth[truth.unit] * truth.amplitude_factor[:, None]  # (spikes, channels)
    spike, channel = np.nonzero(spike_depth > above_mad)
    unit = truth.unit[spike]
    frame = truth.frame[spike] + trough[unit, channel]
    order = np.argsort(frame, kind="stable")
    return (
        frame[order],
        channel[order].astype(np.int32),
        unit[order].astype(np.int32),
        spike_depth[spike, channel][order].astype(np.float32),
    )


def nearest(
    frame: np.ndarray, channel: np.ndarray, to_frame: np.ndarray, to_channel: np.ndarray, tolerance: int
) -> np.ndarray:
    """Find the nearest event of the second train on the same channel, its index; −1 for none within ``tolerance``."""
    match = np.full(len(frame), -1, dtype=np.int64)
    for c in np.unique(channel):
        mine, theirs = np.flatnonzero(channel == c), np.flatnonzero(to_channel == c)
        if len(theirs) == 0:
            continue
        sorted_frames = to_frame[theirs]
        right = np.searchsorted(sorted_frames, frame[mine]).clip(0, len(theirs) - 1)
        left = (right - 1).clip(0)
        closer_left = np.abs(sorted_frames[left] - frame[mine]) <= np.abs(sorted_frames[right] - frame[mine])
        best = np.where(closer_left, left, right)
        near = np.abs(sorted_frames[best] - frame[mine]) <= tolerance
        match[mine[near]] = theirs[best[near]]
    return match


def score_detection(windows: SpikeWindows, truth: GroundTruth, config: DetectionConfig) -> DetectionScore:
    """Measure recall and precision of the ledger of a simulation's ``windows``, against its truth.

    Recall: the fraction of true spikes deeper than six noise levels near which a peak was detected. Precision: the
    fraction of detected peaks deeper than that near which a true spike of at least half the depth stands. Near: within
    ``dead_time_ms``.
    """
    peaks, noise, rate = windows.ledger, windows.noise_mad, windows.sampling_rate_hz
    tolerance, above_mad = config.dead(rate), 6.0
    frame, channel, _, _ = true_peaks(truth, config, rate, noise, above_mad)
    found = nearest(frame, channel, peaks.frame, peaks.channel, tolerance) >= 0
    deep = -peaks.amplitude > above_mad * noise[peaks.channel]
    frame, channel, _, _ = true_peaks(truth, config, rate, noise, above_mad / 2)
    right = nearest(peaks.frame[deep], peaks.channel[deep], frame, channel, tolerance) >= 0
    return DetectionScore(above_mad, float(found.mean()), float(right.mean()), len(found), len(right))
