"""Reading a recording and its zero-phase band-pass, 32 channels side by side, with a margin in which the filter settles.

What is filtered of a recording does not depend on how it is divided: not a bit of it.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.signal
import spikeinterface.core as sc
from numba import njit

LANES = 32
"""Channels that are filtered side by side: a few registers of a SIMD unit."""


ROWS = 16
"""Rows that are searched at once: most hold no peak in any channel."""


TILE = 256
"""Channels of one job."""


PIECE_BYTES = 2**24


SETTLED = 1e-5
"""To which share the filter's memory of what lay before the margin has decayed."""


@dataclass(frozen=True)
class Filter:
    """Zero-phase Butterworth band-pass: second-order sections, run forward and backward."""

    sos: np.ndarray
    """float64 (sections, 6), as scipy's."""

    @classmethod
    def design(cls, order: int, band_hz: tuple[float, float], sampling_rate_hz: float) -> "Filter":
        """Butterworth of an order and a pass band."""
        return cls(scipy.signal.butter(order, band_hz, btype="bandpass", fs=sampling_rate_hz, output="sos"))

    @property
    def margin(self) -> int:
        """Frames after which the slowest pole has forgotten a start, to ``SETTLED``."""
        slowest = np.abs(scipy.signal.sos2zpk(self.sos)[1]).max()
        return int(np.ceil(np.log(SETTLED) / np.log(slowest)))

    @property
    def padding(self) -> int:
        """Frames of odd extension at both ends of a recording: ``scipy.signal.sosfiltfilt``'s own."""
        taps = 2 * len(self.sos) + 1
        return 3 * (taps - min((self.sos[:, 2] == 0).sum(), (self.sos[:, 5] == 0).sum()))


@dataclass(frozen=True)
class Raw:
    """Stored values (frames, channels) of one segment of a recording, read by slices."""

    read: Callable[[int, int], np.ndarray]
    n_frames: int
    n_channels: int
    chunk: int = 1
    """Frames that lie together in the file."""


def raw_samples(recording: sc.BaseRecording, segment: int) -> Raw:
    n_frames, n_channels = recording.get_num_samples(segment), recording.get_num_channels()
    chunk = int(recording.get_annotation("frames_per_chunk") or 1)
    return Raw(lambda a, b: recording.get_traces(segment, a, b, return_in_uV=False), n_frames, n_channels, chunk)


@njit(nogil=True, cache=True)
def _deal(values, dealt):
    """Deal channels (frames, channels) out to groups of lanes (groups, frames, LANES), in which a job reads on end."""
    groups, frames, lanes = dealt.shape
    for block in range(0, frames, ROWS):
        end = min(block + ROWS, frames)
        for g in range(groups):
            group, first = dealt[g], np.uint64(g * lanes)  # a signed index may count from the end, which costs a check
            width = min(lanes, values.shape[1] - g * lanes)
            for i in range(block, end):
                for c in range(width):
                    group[i, c] = values[i, first + np.uint64(c)]


@njit(nogil=True, cache=True)
def _load(raw, origin, lo, hi, n_frames, sign, buffer, baseline):
    """Frames lo … hi of one group (frames, LANES), less the first of them; extended oddly beyond the recording's ends.

    The pass band excludes 0 Hz, so that with the first value as baseline a settled filter starts at rest.
    """
    lanes = raw.shape[1]
    baseline[:] = 0
    for i in range(hi - lo):
        frame = lo + i
        if 0 <= frame < n_frames:
            row = raw[frame - origin]
            for c in range(lanes):
                buffer[i, c] = np.float32(row[c]) * sign[c] - baseline[c]
        else:
            end = (0 if frame < 0 else n_frames - 1) - origin
            last, row = raw[end], raw[2 * end - (frame - origin)]
            for c in range(lanes):
                buffer[i, c] = (np.float32(2) * np.float32(last[c]) - np.float32(row[c])) * sign[c] - baseline[c]
        if i == 0:
            baseline[:] = buffer[0]
            buffer[0, :] = 0


@lru_cache
def compiled_bandpass(sections: int) -> Callable:
    """A compiled filter of that many sections, unrolled: it works on ``buffer`` (frames, LANES) in place."""

    @njit(nogil=True, cache=True, fastmath={"contract"})
    def bandpass(raw, origin, lo, hi, n_frames, sign, sos, zi, buffer, state, baseline):
        """Load frames lo … hi of one group, and filter them forward and backward."""
        length = hi - lo
        _load(raw, origin, lo, hi, n_frames, sign, buffer, baseline)
        state[:] = 0
        for backward in range(2):
            if backward:
                for k in range(sections):
                    for c in range(LANES):
                        state[2 * k * LANES + c] = zi[k, 0] * buffer[length - 1, c]
                        state[(2 * k + 1) * LANES + c] = zi[k, 1] * buffer[length - 1, c]
            for j in range(length):
                i = length - 1 - j if backward else j
                for c in range(LANES):
                    y = buffer[i, c]
                    for k in range(sections):
                        x = y
                        y = sos[k, 0] * x + state[2 * k * LANES + c]
                        state[2 * k * LANES + c] = sos[k, 1] * x - sos[k, 4] * y + state[(2 * k + 1) * LANES + c]
                        state[(2 * k + 1) * LANES + c] = sos[k, 2] * x - sos[k, 5] * y
                    buffer[i, c] = y

    return bandpass


class Scratch(threading.local):
    """Arrays that a thread uses again from job to job."""

    capacity = samples = length = 0

    def arrays(self, length: int, sections: int, capacity: int, samples: int):
        if length > self.length:
            self.buffer, self.length = np.empty((length, LANES), np.float32), length
        if capacity > self.capacity or samples != self.samples:
            self.peaks, self.amplitude = np.empty((capacity, 4), np.int64), np.empty(capacity, np.float32)
            self.windows = np.empty((capacity, samples), np.float32)
            self.capacity, self.samples = capacity, samples
        return self.buffer[:length], np.empty(2 * sections * LANES, np.float32), np.empty(LANES, np.float32)


def read_groups(raw: Raw, start: int, stop: int, dealt: np.ndarray | None = None) -> np.ndarray:
    """Frames start … stop as groups (groups, frames, LANES), into ``dealt`` where given; piece by piece."""
    step = max(PIECE_BYTES // (2 * raw.n_channels), 1)
    for a in range(start, stop, step):
        piece = usable(raw.read(a, min(a + step, stop)))
        if dealt is None:
            dealt = empty_groups(raw, stop - start, piece.dtype)
        _deal(piece, dealt[:, a - start : a - start + len(piece)])
    return dealt


def empty_groups(raw: Raw, n_frames: int, dtype: np.dtype) -> np.ndarray:
    """Room for groups (groups, frames, LANES); the lanes beyond the last channel are 0."""
    room = np.empty((-(-raw.n_channels // LANES), n_frames, LANES), dtype)
    room[-1] = 0
    return room


def default_threads() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def signs_and_gains(recording: sc.BaseRecording) -> tuple[np.ndarray, np.ndarray]:
    """Sign and size float32 (channels,) of a step in µV; 1 and 1 where the source has no scale."""
    if not recording.has_scaleable_traces():
        one = np.ones(recording.get_num_channels(), np.float32)
        return one, one
    gain = np.asarray(recording.get_channel_gains(), np.float32)
    return np.where(gain < 0, np.float32(-1), np.float32(1)), np.abs(gain)


def lane_signs(recording: sc.BaseRecording) -> np.ndarray:
    """Signs of the steps, with as many ones beyond as fill the last group."""
    return np.pad(signs_and_gains(recording)[0], (0, LANES), constant_values=1)


def usable(values: np.ndarray) -> np.ndarray:
    """Stored values in a form that numba compiles: native int16, uint16 or float32, in C order."""
    native = values.dtype in (np.int16, np.uint16, np.float32)
    return np.ascontiguousarray(values, None if native else np.float32)


def filter_block(recording: sc.BaseRecording, filter: Filter, start: int, stop: int, segment: int = 0) -> np.ndarray:
    """Filtered frames start … stop of one segment, float32 (frames, channels), in steps of the converter."""
    raw = raw_samples(recording, segment)
    out = np.empty((raw.n_channels, stop - start), np.float32)
    _filter_into(out, raw, filter, start, lane_signs(recording), range(0, raw.n_channels, LANES))
    return out.T


def _filter_into(out, raw: Raw, filter: Filter, start: int, sign: np.ndarray, channels: range, every: int = 1):
    """Filter as many frames from ``start`` on as ``out`` (channels, frames / every) holds."""
    stop = start + every * out.shape[1]
    padding = min(filter.padding, raw.n_frames - 1)
    lo, hi = max(start - filter.margin, -padding), min(stop + filter.margin, raw.n_frames + padding)
    values = read_groups(raw, max(lo, 0), min(hi, raw.n_frames))
    sos, zi = filter.sos.astype(np.float32), scipy.signal.sosfilt_zi(filter.sos).astype(np.float32)
    buffer, *state = Scratch().arrays(hi - lo, len(sos), 0, 0)
    bandpass = compiled_bandpass(len(sos))
    for first in channels:
        group, lanes = values[first // LANES], slice(first, first + LANES)
        bandpass(group, max(lo, 0), lo, hi, raw.n_frames, sign[lanes], sos, zi, buffer, *state)
        out[first : first + LANES] = buffer[start - lo : stop - lo : every, : raw.n_channels - first].T


def noise_levels(
    recording: sc.BaseRecording, filter: Filter, seed: int = 0, block: int = 1000, threads: int | None = None
) -> np.ndarray:
    """Robust noise level float32 (channels,) of the filtered recording, in steps: median |x| / 0.6745.

    Every second frame of blocks of ``block`` frames at random places, drawn with ``seed``: twenty blocks of a large
    chip, sixty of a small one; segments shorter than a block are left out. Quiroga et al. 2004, doi:10.1162/089976604774201631.
    """
    raws = [raw_samples(recording, segment) for segment in range(recording.get_num_segments())]
    block = min(block, max(raw.n_frames for raw in raws))
    raws = [raw for raw in raws if raw.n_frames >= block]
    sign, n_channels = lane_signs(recording), recording.get_num_channels()
    n_blocks = int(np.clip(10**8 // (block * n_channels), 20, 60))
    rng = np.random.default_rng(seed)
    frames = np.array([raw.n_frames for raw in raws])
    segments = rng.choice(len(raws), n_blocks, p=frames / frames.sum())
    starts = [int(rng.integers(0, raws[s].n_frames - block + 1)) for s in segments]
    every, kept = 2, max(block // 2, 1)
    samples = np.empty((n_channels, n_blocks * kept), np.float32)
    groups = range(0, n_channels, LANES)
    tiles = [groups[i : i + TILE // LANES] for i in range(0, len(groups), TILE // LANES)]

    def median(channels: range) -> np.ndarray:
        x = samples[channels[0] : channels[-1] + LANES]
        middle = x.shape[1] // 2
        return np.partition(np.abs(x, out=x), middle, axis=1)[:, middle] / np.float32(0.6745)

    def sample(i: int) -> None:
        raw, start = raws[segments[i]], starts[i]
        _filter_into(samples[:, i * kept : (i + 1) * kept], raw, filter, start, sign, groups, every)

    with ThreadPoolExecutor(threads or default_threads()) as pool:
        list(pool.map(sample, range(n_blocks)))
        return np.concatenate(list(pool.map(median, tiles)))
