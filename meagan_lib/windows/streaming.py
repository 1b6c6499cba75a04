"""One pass over a recording: int16 → float32 → zero-phase band-pass → threshold → peaks → isolation → windows.

A recording of 4096 electrodes is larger than memory. It is read once, in slabs, ahead of the computation; each slab
falls into jobs of ``SEGMENT`` frames and a tile of channels, which threads filter and search without the GIL.

Segments lie on a grid that starts with the recording and each brings a margin on both sides in which the filter
settles, so that neither the size of a slab or a tile nor the number of threads changes a bit of the result.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.signal
import spikeinterface.core as sc
from numba import njit

from meagan_lib.windows.filtering import (
    LANES,
    ROWS,
    TILE,
    Filter,
    Raw,
    Scratch,
    compiled_bandpass,
    default_threads,
    empty_groups,
    lane_signs,
    raw_samples,
    read_groups,
    usable,
)
from meagan_lib.workflow import progress

SEGMENT = 4096
"""Frames in which one job looks for spikes: with its margins, what 32 channels leave of a core's cache."""
SLAB_BYTES = 2**26

NEXT, PREVIOUS, GUARD, ARTEFACT, CLIPPED = 1, 2, 4, 8, 16


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


def _slabs(raw: Raw, slab: int, reach: int) -> Iterator[tuple[int, int, int, np.ndarray]]:
    """(first, end, origin, values): values (groups, frames, LANES) start at ``origin`` and reach beyond first … end.

    Every frame is read once, a slab ahead of who asks; values last until the next but one is asked for.
    """
    dtype = usable(raw.read(0, 1)).dtype
    room = [empty_groups(raw, min(slab + 2 * reach + raw.chunk, raw.n_frames), dtype) for _ in range(2)]

    def load(number: int, origin: int, have: int):
        first, end = number * slab, min((number + 1) * slab, raw.n_frames)
        into, before = room[number % 2], room[(number - 1) % 2]
        begin = max(first - reach, 0)
        want = max(min(-(-(end + reach) // raw.chunk) * raw.chunk, raw.n_frames), have)
        known = have - begin
        into[:, :known] = before[:, begin - origin : have - origin]
        if want > have:
            read_groups(raw, have, want, into[:, known : want - begin])
        return first, end, begin, want

    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(load, 0, 0, 0)
        for number in range(-(-raw.n_frames // slab)):
            first, end, origin, have = coming.result()
            if end < raw.n_frames:
                coming = ahead.submit(load, number + 1, origin, have)
            yield first, end, origin, room[number % 2]


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
    raw = raw_samples(recording, segment)
    sign = lane_signs(recording)
    sos, zi = filter.sos.astype(np.float32), scipy.signal.sosfilt_zi(filter.sos).astype(np.float32)
    context = max(search.guard, search.half_window + search.padding) + search.dead + 1
    padding, reach = min(filter.padding, raw.n_frames - 1), filter.margin + context
    samples = 2 * (search.half_window + search.padding)
    limits = [
        np.pad(a.astype(np.float32), (0, LANES), constant_values=np.inf)
        for a in (search.threshold, search.guard_threshold, search.artefact)
    ]
    rails = np.array(search.rails, np.float64)
    bandpass, scratch, capacity = compiled_bandpass(len(sos)), Scratch(), [256]

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
