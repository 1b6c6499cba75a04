"""One pass over a recording: int16 → float32 → zero-phase band-pass → threshold → peaks → isolation → windows.

A recording of 4096 electrodes is larger than memory. It is read once, in slabs, ahead of the computation; each slab
falls into jobs of ``SEGMENT`` frames and a tile of channels, which threads filter and search without the GIL.

Segments lie on a grid that starts with the recording and each brings a margin on both sides in which the filter
settles, so that neither the size of a slab or a tile nor the number of threads changes a bit of the result.
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.signal
import spikeinterface.core as sc
from numba import njit

from meagan_lib.workflow import progress

LANES = 32
"""Channels that are filtered side by side: a few registers of a SIMD unit."""
SEGMENT = 4096
"""Frames in which one job looks for spikes: with its margins, what 32 channels leave of a core's cache."""
TILE = 256
"""Channels of one job."""
ROWS = 16
"""Rows that are searched at once: most hold no peak in any channel."""
SLAB_BYTES = 2**26
PIECE_BYTES = 2**24
SETTLED = 1e-5
"""To which share the filter's memory of what lay before the margin has decayed."""

NEXT, PREVIOUS, GUARD, ARTEFACT, CLIPPED = 1, 2, 4, 8, 16


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
class Search:
    """What a pass looks for; times in frames, depths in steps of the converter, by channel."""

    threshold: np.ndarray
    """float32 (channels,): depth of a peak, ∞ where none is wanted."""
    guard_threshold: np.ndarray
    """float32 (channels,): depth of a second trough that spoils a window, ∞ for none."""
    artefact: np.ndarray
    """float32 (channels,): absolute value that no spike reaches, ∞ for none."""
    dead: int
    """A peak is the lowest of its channel within this many frames on both sides."""
    guard: int
    """Peaks of a channel nearer than or as near as this are flagged."""
    half_window: int
    padding: int = 0
    """Frames cut beyond a window on both sides, for who wants to shift it."""
    drop: int = 0
    """Flags of which each keeps a window from being cut."""
    rails: tuple[float, float] = (-np.inf, np.inf)
    """Lowest and highest code of the converter; a window that touches one is flagged."""


@dataclass(frozen=True)
class Found:
    """Peaks of one stretch, by frame, then channel.

    ``frame`` int64, ``channel`` int32, ``amplitude`` float32, ``flags`` uint8, each (peaks,); ``has_window`` bool
    (peaks,); ``windows`` float32 (windows, samples), of the peaks that have one, in their order. Amplitudes and
    windows are in steps of the converter, turned over where its gain is negative.
    """

    frame: np.ndarray
    channel: np.ndarray
    amplitude: np.ndarray
    flags: np.ndarray
    has_window: np.ndarray
    windows: np.ndarray


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
def _bandpass(sections: int) -> Callable:
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


@njit(nogil=True, cache=True)
def _is_trough(buffer, i, c, dead, start, stop):
    """Whether row i is the lowest of its column within ``dead`` rows, the first of equals, among rows start … stop."""
    x = buffer[i, c]
    for k in range(1, dead + 1):
        if i - k >= start and buffer[i - k, c] <= x:
            return False
        if i + k < stop and buffer[i + k, c] < x:
            return False
    return True


@njit(nogil=True, cache=True)
def _search(
    buffer,
    raw,
    origin,
    lo,
    core,
    n_frames,
    first,
    width,
    threshold,
    guard_threshold,
    artefact,
    rails,
    dead,
    guard,
    half,
    padding,
    drop,
    peaks,
    amplitude,
    windows,
):
    """Find, flag and cut the peaks of core[0] … core[1] in filtered rows of one group that start at frame ``lo``.

    ``peaks`` int64 (capacity, 4) takes frame, channel, flags and the index of the window or −1. Returns the numbers
    of peaks (those of the margin included, with channel −1) and of windows; −1 when the capacity does not suffice.
    """
    start, stop = max(0, -lo), min(buffer.shape[0], n_frames - lo)  # rows that exist
    begin, end = max(start, core[0] - guard - lo), min(stop, core[1] + guard - lo)
    last = np.full(LANES, -1)
    n = 0
    nearest = threshold.min()
    flat = buffer.reshape(buffer.size)
    for block in range(begin, end, ROWS):
        block_end = min(block + ROWS, end)
        rows = flat[block * LANES : block_end * LANES]
        hits = 0
        for k in range(rows.size):  # most blocks hold no peak: a loop that LLVM vectorises says so
            hits += rows[k] < -nearest
        if not hits:
            continue
        for i in range(block, block_end):
            for c in range(width):
                if not (buffer[i, c] < -threshold[c] and _is_trough(buffer, i, c, dead, start, stop)):
                    continue
                if n == len(peaks):
                    return -1, 0
                peaks[n, 0], peaks[n, 1], peaks[n, 2], peaks[n, 3] = lo + i, first + c, 0, -1
                amplitude[n] = buffer[i, c]
                before = last[c]
                if before >= 0 and lo + i - peaks[before, 0] <= guard:
                    peaks[n, 2] |= PREVIOUS
                    peaks[before, 2] |= NEXT
                last[c] = n
                n += 1
    cut = 0
    for p in range(n):
        frame, channel = peaks[p, 0], peaks[p, 1]
        if not core[0] <= frame < core[1]:
            peaks[p, 1] = -1
            continue
        i, c = frame - lo, channel - first
        for j in range(max(start, i - half), min(stop, i + half)):
            x = buffer[j, c]
            if abs(j - i) > dead and x < -guard_threshold[c] and _is_trough(buffer, j, c, dead, start, stop):
                peaks[p, 2] |= GUARD
            if abs(x) > artefact[c]:
                peaks[p, 2] |= ARTEFACT
            code = raw[lo + j - origin, c]
            if code <= rails[0] or code >= rails[1]:
                peaks[p, 2] |= CLIPPED
        if peaks[p, 2] & drop or i - half - padding < start or i + half + padding > stop:
            continue
        if cut == len(windows):
            return -1, 0
        for j in range(2 * (half + padding)):
            windows[cut, j] = buffer[i - half - padding + j, c]
        peaks[p, 3] = cut
        cut += 1
    return n, cut


class _Scratch(threading.local):
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


@dataclass(frozen=True)
class _Raw:
    """Stored values (frames, channels) of one segment of a recording, read by slices."""

    read: Callable[[int, int], np.ndarray]
    n_frames: int
    n_channels: int
    chunk: int = 1
    """Frames that lie together in the file."""


def _raw(recording: sc.BaseRecording, segment: int) -> _Raw:
    n_frames, n_channels = recording.get_num_samples(segment), recording.get_num_channels()
    chunk = int(recording.get_annotation("frames_per_chunk") or 1)
    return _Raw(lambda a, b: recording.get_traces(segment, a, b, return_in_uV=False), n_frames, n_channels, chunk)


def _read(raw: _Raw, start: int, stop: int, dealt: np.ndarray | None = None) -> np.ndarray:
    """Frames start … stop as groups (groups, frames, LANES), into ``dealt`` where given; piece by piece."""
    step = max(PIECE_BYTES // (2 * raw.n_channels), 1)
    for a in range(start, stop, step):
        piece = _usable(raw.read(a, min(a + step, stop)))
        if dealt is None:
            dealt = _groups(raw, stop - start, piece.dtype)
        _deal(piece, dealt[:, a - start : a - start + len(piece)])
    return dealt


def _groups(raw: _Raw, n_frames: int, dtype: np.dtype) -> np.ndarray:
    """Room for groups (groups, frames, LANES); the lanes beyond the last channel are 0."""
    room = np.empty((-(-raw.n_channels // LANES), n_frames, LANES), dtype)
    room[-1] = 0
    return room


def _slabs(raw: _Raw, slab: int, reach: int) -> Iterator[tuple[int, int, int, np.ndarray]]:
    """(first, end, origin, values): values (groups, frames, LANES) start at ``origin`` and reach beyond first … end.

    Every frame is read once, a slab ahead of who asks; values last until the next but one is asked for.
    """
    dtype = _usable(raw.read(0, 1)).dtype
    room = [_groups(raw, min(slab + 2 * reach + raw.chunk, raw.n_frames), dtype) for _ in range(2)]

    def load(number: int, origin: int, have: int):
        first, end = number * slab, min((number + 1) * slab, raw.n_frames)
        into, before = room[number % 2], room[(number - 1) % 2]
        begin = max(first - reach, 0)
        want = max(min(-(-(end + reach) // raw.chunk) * raw.chunk, raw.n_frames), have)
        known = have - begin
        into[:, :known] = before[:, begin - origin : have - origin]
        if want > have:
            _read(raw, have, want, into[:, known : want - begin])
        return first, end, begin, want

    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(load, 0, 0, 0)
        for number in range(-(-raw.n_frames // slab)):
            first, end, origin, have = coming.result()
            if end < raw.n_frames:
                coming = ahead.submit(load, number + 1, origin, have)
            yield first, end, origin, room[number % 2]


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


def _signs(recording: sc.BaseRecording) -> np.ndarray:
    """Signs of the steps, with as many ones beyond as fill the last group."""
    return np.pad(signs_and_gains(recording)[0], (0, LANES), constant_values=1)


def _usable(values: np.ndarray) -> np.ndarray:
    """Stored values in a form that numba compiles: native int16, uint16 or float32, in C order."""
    native = values.dtype in (np.int16, np.uint16, np.float32)
    return np.ascontiguousarray(values, None if native else np.float32)


def filter_block(recording: sc.BaseRecording, filter: Filter, start: int, stop: int, segment: int = 0) -> np.ndarray:
    """Filtered frames start … stop of one segment, float32 (frames, channels), in steps of the converter."""
    raw = _raw(recording, segment)
    out = np.empty((raw.n_channels, stop - start), np.float32)
    _filter_into(out, raw, filter, start, _signs(recording), range(0, raw.n_channels, LANES))
    return out.T


def _filter_into(out, raw: _Raw, filter: Filter, start: int, sign: np.ndarray, channels: range, every: int = 1):
    """Filter as many frames from ``start`` on as ``out`` (channels, frames / every) holds."""
    stop = start + every * out.shape[1]
    padding = min(filter.padding, raw.n_frames - 1)
    lo, hi = max(start - filter.margin, -padding), min(stop + filter.margin, raw.n_frames + padding)
    values = _read(raw, max(lo, 0), min(hi, raw.n_frames))
    sos, zi = filter.sos.astype(np.float32), scipy.signal.sosfilt_zi(filter.sos).astype(np.float32)
    buffer, *state = _Scratch().arrays(hi - lo, len(sos), 0, 0)
    bandpass = _bandpass(len(sos))
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
    raws = [_raw(recording, segment) for segment in range(recording.get_num_segments())]
    block = min(block, max(raw.n_frames for raw in raws))
    raws = [raw for raw in raws if raw.n_frames >= block]
    sign, n_channels = _signs(recording), recording.get_num_channels()
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


def scan(
    recording: sc.BaseRecording,
    filter: Filter,
    search: Search,
    segment: int = 0,
    threads: int | None = None,
    slab_frames: int | None = None,
    tile: int = TILE,
) -> Iterator[Found]:
    """Pass once over a segment of a recording and yield what was found, stretch by stretch, in order of time.

    Parameters
    ----------
    search
        Depths in steps.
    threads, slab_frames, tile
        How the work is divided: cores, frames read at once (rounded up to ``SEGMENT``), channels of a job. None of
        them changes the result.
    """
    raw = _raw(recording, segment)
    sign = _signs(recording)
    sos, zi = filter.sos.astype(np.float32), scipy.signal.sosfilt_zi(filter.sos).astype(np.float32)
    context = max(search.guard, search.half_window + search.padding) + search.dead + 1
    padding, reach = min(filter.padding, raw.n_frames - 1), filter.margin + context
    samples = 2 * (search.half_window + search.padding)
    limits = [
        np.pad(a.astype(np.float32), (0, LANES), constant_values=np.inf)
        for a in (search.threshold, search.guard_threshold, search.artefact)
    ]
    rails = np.array(search.rails, np.float64)
    bandpass, scratch, capacity = _bandpass(len(sos)), _Scratch(), [256]

    def job(values: np.ndarray, origin: int, core: tuple[int, int], channels: range):
        lo, hi = max(core[0] - reach, -padding), min(core[1] + reach, raw.n_frames + padding)
        parts = []
        for first in channels:
            while True:
                buffer, *state = scratch.arrays(hi - lo, len(sos), capacity[0], samples)
                group, lanes = values[first // LANES], slice(first, first + LANES)
                bandpass(group, origin, lo, hi, raw.n_frames, sign[lanes], sos, zi, buffer, *state)
                n, cut = _search(
                    buffer,
                    group,
                    origin,
                    lo,
                    core,
                    raw.n_frames,
                    first,
                    min(LANES, raw.n_channels - first),
                    *(limit[lanes] for limit in limits),
                    rails,
                    search.dead,
                    search.guard,
                    search.half_window,
                    search.padding,
                    search.drop,
                    scratch.peaks,
                    scratch.amplitude,
                    scratch.windows,
                )
                if n >= 0:
                    break
                capacity[0] = 2 * scratch.capacity
            mine = scratch.peaks[:n, 1] >= 0
            if mine.any():
                parts.append((scratch.peaks[:n][mine], scratch.amplitude[:n][mine], scratch.windows[:cut].copy()))
        return parts

    step = max(slab_frames or SLAB_BYTES // (2 * raw.n_channels), 1)
    slab = -(-step // SEGMENT) * SEGMENT
    groups = range(0, raw.n_channels, LANES)
    per_tile = max(tile // LANES, 1)
    tiles = [groups[i : i + per_tile] for i in range(0, len(groups), per_tile)]
    tell, rate = progress.pace("second"), recording.get_sampling_frequency()
    with ThreadPoolExecutor(threads or default_threads()) as pool:
        for first, end, origin, values in _slabs(raw, slab, reach):
            cores = [(a, min(a + SEGMENT, end)) for a in range(first, end, SEGMENT)]
            jobs = [[pool.submit(job, values, origin, core, channels) for channels in tiles] for core in cores]
            for of_core in jobs:
                yield _gather([part for each in of_core for part in each.result()], samples)
            tell(end / rate, raw.n_frames / rate)


def _gather(parts: list, samples: int) -> Found:
    """One stretch in order of frame and channel."""
    if not parts:
        empty = np.empty(0, np.int64)
        return Found(
            empty,
            empty.astype(np.int32),
            empty.astype(np.float32),
            empty.astype(np.uint8),
            empty.astype(bool),
            np.empty((0, samples), np.float32),
        )
    peaks = np.concatenate([p for p, _, _ in parts])
    amplitude = np.concatenate([a for _, a, _ in parts])
    shift = np.repeat(np.cumsum([0] + [len(w) for _, _, w in parts[:-1]]), [len(p) for p, _, _ in parts])
    windows = np.concatenate([w for _, _, w in parts])
    order = np.lexsort((peaks[:, 1], peaks[:, 0]))
    has_window = peaks[order, 3] >= 0
    index = (peaks[:, 3] + shift)[order][has_window]
    return Found(
        peaks[order, 0],
        peaks[order, 1].astype(np.int32),
        amplitude[order],
        peaks[order, 2].astype(np.uint8),
        has_window,
        windows[index],
    )
