"""One pass over a recording: int16 → float32 → zero-phase band-pass → threshold → peaks → isolation → windows.

A recording of 4096 electrodes is larger than memory. It is read once, in slabs, ahead of the computation: while one is
filtered, the next is dealt out to groups of channels, and a third comes from the disk. Each slab falls into jobs of
``SEGMENT`` frames and a tile of channels, which threads filter and search without the GIL. Segments lie on a grid that
starts with the recording, so that neither slabs, tiles nor threads change a bit of the result.
"""

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import spikeinterface.core as sc
from numba import njit

from meagan_lib.windows.filtering import LANES, PIECE_BYTES, ROWS, TILE, Bandpass, Filter, Stored, deal
from meagan_lib.workflow import progress
from meagan_lib.workflow.machine import available_cores

SEGMENT = 4096
"""Frames that one job searches: with its margins, what 32 channels leave of a core's cache."""
SLAB_BYTES = 2**26
"""What is filtered while the next is dealt out, rounded up to whole segments."""

T = TypeVar("T")

NEXT, PREVIOUS, GUARD, ARTEFACT, CLIPPED = 1, 2, 4, 8, 16


@dataclass(frozen=True)
class Search:
    """What a pass searches for; times in frames, depths in steps of the converter, float32 (channels,), ∞ for none."""

    threshold: np.ndarray
    """Depth of a peak."""
    guard_threshold: np.ndarray
    """Depth of a second trough that spoils a window."""
    artefact: np.ndarray
    """Absolute value that no spike reaches."""
    dead: int
    """A peak is the lowest of its channel within this many frames on both sides."""
    guard: int
    """Peaks of a channel nearer than or as near as this are flagged."""
    half_window: int
    padding: int = 0
    """Frames cut beyond a window on both sides, so that it can be shifted."""
    drop: int = 0
    """Flags of peaks whose windows are not cut."""
    rails: tuple[float, float] = (-np.inf, np.inf)
    """Lowest and highest code of the converter; a window that touches one is flagged."""
    known: np.ndarray | None = None
    """int64 (peaks, 2): frame and channel of peaks found elsewhere, sorted by frame; None: those of the threshold."""
    around: np.ndarray | None = None
    """int32 (channels, electrodes): whose traces make the footprint of a channel's peak, −1 for none; None: not cut."""

    @property
    def reach(self) -> int:
        """Frames of a window on either side of its trough."""
        return self.half_window + self.padding


@dataclass(frozen=True)
class Found:
    """Peaks of one stretch, by frame, then channel.

    ``frame`` int64, ``channel`` int32, ``amplitude`` float32, ``flags`` uint8, each (peaks,); ``has_window`` bool
    (peaks,); ``windows`` float32 (windows, samples), of the peaks that have one, in their order; ``footprints`` float32
    (windows, electrodes, samples), where they were asked for: the same frames of every electrode around. Amplitudes
    and windows are in steps of the converter, turned over where its gain is negative.
    """

    frame: np.ndarray
    channel: np.ndarray
    amplitude: np.ndarray
    flags: np.ndarray
    has_window: np.ndarray
    windows: np.ndarray
    footprints: np.ndarray | None = None


@njit(nogil=True, cache=True)
def _is_trough(buffer, i, c, dead, start, stop):
    """Return whether row i is the lowest of its column within ``dead`` rows, the first of equals, in start … stop."""
    x = buffer[i, c]
    for k in range(1, dead + 1):
        if i - k >= start and buffer[i - k, c] <= x:
            return False
        if i + k < stop and buffer[i + k, c] < x:
            return False
    return True


@njit(nogil=True, cache=True)
def _enter(peaks, amplitude, last, n, frame, channel, c, value, guard):
    """Enter peak ``n``, of column c, and flag it and the ``last`` of its column where they are near; returns n + 1."""
    peaks[n, 0], peaks[n, 1], peaks[n, 2], peaks[n, 3] = frame, channel, 0, -1
    amplitude[n] = value
    before = last[c]
    if before >= 0 and frame - peaks[before, 0] <= guard:
        peaks[n, 2] |= PREVIOUS
        peaks[before, 2] |= NEXT
    last[c] = n
    return n + 1


@njit(nogil=True, cache=True)
def _search(buffer, raw, origin, lo, core, n_frames, first, width, limits, rails, rules, known, found):
    """Find, flag and cut the peaks of core[0] … core[1] in filtered rows of one group that start at frame ``lo``.

    ``limits`` float32 (3, LANES) are the three depths of :class:`Search`, ``rules`` its integers; ``known`` int64
    (peaks, 2) are those of :class:`Search`, beside which none is searched for, or None. Of ``found``, peaks int64
    (capacity, 4) takes frame, channel, flags and the index of the window or −1; amplitudes and windows follow. Returns
    the numbers of peaks (those of the margin included, with channel −1) and of windows; −1 when the capacity does not
    suffice.
    """
    threshold, guard_threshold, artefact = limits
    dead, guard, half, padding, drop = rules
    peaks, amplitude, windows = found
    start, stop = max(0, -lo), min(buffer.shape[0], n_frames - lo)  # rows that exist
    begin, end = max(start, core[0] - guard - lo), min(stop, core[1] + guard - lo)
    last = np.full(LANES, -1)
    n = 0
    if known is not None:
        for p in range(np.searchsorted(known[:, 0], lo + begin), np.searchsorted(known[:, 0], lo + end)):
            i, c = known[p, 0] - lo, known[p, 1] - first
            if not 0 <= c < width:
                continue
            if n == len(peaks):
                return -1, 0
            n = _enter(peaks, amplitude, last, n, lo + i, first + c, c, buffer[i, c], guard)
        end = begin
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
                n = _enter(peaks, amplitude, last, n, lo + i, first + c, c, buffer[i, c], guard)
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


def _ahead(values: Iterator[T], n: int) -> Iterator[T]:
    """Yield values, while a thread takes the next ``n``."""
    with ThreadPoolExecutor(1) as pool:
        coming = deque(pool.submit(next, values, None) for _ in range(n))
        while (value := coming.popleft().result()) is not None:
            coming.append(pool.submit(next, values, None))
            yield value


def _slabs(stored: Stored, slab: int, reach: int) -> Iterator[tuple[int, int, int, np.ndarray]]:
    """Yield (first, end, origin, values): groups that start at ``origin`` and reach beyond frames first … end.

    Every frame is read once, a slab ahead; values last until the next but two are asked for.
    """
    firsts = range(0, stored.n_frames, slab)
    ends = [min(first + slab, stored.n_frames) for first in firsts]
    wants = [min(-(-(end + reach) // stored.chunk) * stored.chunk, stored.n_frames) for end in ends]
    pieces = (piece for have, want in zip([0, *wants], wants) for piece in stored.pieces(have, want))
    if stored.piece_bytes >= PIECE_BYTES:  # else a piece is done before a thread has woken up
        pieces = _ahead(pieces, 4)
    room = [stored.empty(min(slab + 2 * reach + stored.chunk, stored.n_frames)) for _ in range(3)]
    origin = have = 0
    for number, (first, end, want) in enumerate(zip(firsts, ends, wants)):
        into, before, begin = room[number % 3], room[(number - 1) % 3], max(first - reach, 0)
        into[:, : have - begin] = before[:, begin - origin : have - origin]
        while have < want:
            piece = next(pieces)
            deal(piece, into[:, have - begin : have - begin + len(piece)])
            have += len(piece)
        origin = begin
        yield first, end, origin, into


def scan(recording: sc.BaseRecording, filter: Filter, search: Search, segment: int = 0) -> Iterator[Found]:
    """Pass once over a segment of a recording and yield what was found, stretch by stretch, in order of time.

    How the work is divided (threads, frames read at once, channels of a job) does not change it.
    """
    stored = Stored(recording, segment)
    bandpass, n_channels, rails = Bandpass(stored, filter), stored.n_channels, np.array(search.rails, np.float64)
    context, samples = max(search.guard, search.reach) + search.dead + 1, 2 * search.reach
    starts = range(0, n_channels, LANES)
    limits = np.full((3, len(starts) * LANES), np.inf, np.float32)
    limits[:, :n_channels] = search.threshold, search.guard_threshold, search.artefact
    limits = np.ascontiguousarray(limits.reshape(3, -1, LANES).swapaxes(0, 1))  # (groups, 3, LANES)
    rules, own = (search.dead, search.guard, search.half_window, search.padding, search.drop), threading.local()

    def make_room(capacity: int) -> None:
        windows = np.empty((capacity, samples), np.float32)
        own.found = np.empty((capacity, 4), np.int64), np.empty(capacity, np.float32), windows

    def job(values: np.ndarray, origin: int, core: tuple[int, int], channels: range):
        lo, hi = bandpass.bounds(*core, context)
        if not hasattr(own, "found"):
            make_room(256)
        parts, within = [], slice(max(core[0] - search.reach, 0) - lo, core[1] + search.reach - lo)
        for first in channels:
            group, width = values[first // LANES], min(LANES, n_channels - first)
            filtered = bandpass.group(values, origin, lo, hi, first)
            where = (filtered, group, origin, lo, core, stored.n_frames)
            limit = limits[first // LANES]
            while (counts := _search(*where, first, width, limit, rails, rules, search.known, own.found))[0] < 0:
                make_room(2 * len(own.found[0]))
            peaks, amplitude, windows = own.found
            mine = peaks[: counts[0], 1] >= 0
            kept = filtered[within].copy() if search.around is not None else None
            parts.append((peaks[: counts[0]][mine], amplitude[: counts[0]][mine], windows[: counts[1]].copy(), kept))
        return parts

    held = stored.dtype.itemsize + (0 if search.around is None else 4)  # with footprints what is filtered is kept, too
    step = max(SLAB_BYTES // (held * n_channels), 1)
    slab = -(-step // SEGMENT) * SEGMENT
    per_tile = TILE // LANES
    tiles = [starts[i : i + per_tile] for i in range(0, len(starts), per_tile)]
    tell, rate = progress.pace("second"), recording.get_sampling_frequency()

    def results(cores: list[tuple[int, int]], jobs: list[list[Future]]) -> Iterator[Found]:
        for core, of_core in zip(cores, jobs):
            *parts, filtered = zip(*(part for each in of_core for part in each.result()))
            yield _gather(parts, filtered, max(core[0] - search.reach, 0), search)
            of_core.clear()
        tell(cores[-1][1] / rate, stored.n_frames / rate)

    with ThreadPoolExecutor(available_cores()) as pool:
        before = None
        for first, end, origin, values in _ahead(_slabs(stored, slab, bandpass.margin + context), 1):
            cores = [(a, min(a + SEGMENT, end)) for a in range(first, end, SEGMENT)]
            jobs = [[pool.submit(job, values, origin, core, channels) for channels in tiles] for core in cores]
            if before:  # what comes next is at work by then
                yield from results(*before)
            before = cores, jobs
        yield from results(*before)


def _gather(parts: list[tuple[np.ndarray, ...]], filtered: tuple[np.ndarray, ...], lo: int, search: Search) -> Found:
    """Join the peaks, amplitudes and windows of all channels of a stretch in order of frame and channel.

    ``filtered`` are the groups (frames, LANES) from frame ``lo`` on, of which footprints are cut.
    """
    shift = np.repeat(np.cumsum([0] + [len(w) for w in parts[2][:-1]]), [len(p) for p in parts[0]])
    peaks, amplitude, windows = (np.concatenate(column) for column in parts)
    order = np.lexsort((peaks[:, 1], peaks[:, 0]))
    frame, channel, flags, index = peaks[order].T
    has_window = index >= 0
    cut = windows[(index + shift[order])[has_window]]
    footprints = None
    if search.around is not None:
        footprints = _footprints(np.stack(filtered), frame[has_window] - lo, search.around[channel[has_window]], search)
    return Found(frame, channel.astype(np.int32), amplitude[order], flags.astype(np.uint8), has_window, cut, footprints)


def _footprints(filtered: np.ndarray, row: np.ndarray, around: np.ndarray, search: Search) -> np.ndarray:
    """Cut float32 (n, electrodes, samples) at ``row`` (n,) of groups (groups, frames, LANES); 0 where there is none."""
    group, lane = np.divmod(around, LANES)
    rows = row[:, None] + np.arange(-search.reach, search.reach)
    cut = filtered[group[:, :, None], rows[:, None, :], lane[:, :, None]]
    return np.where(around[:, :, None] < 0, np.float32(0), cut)
