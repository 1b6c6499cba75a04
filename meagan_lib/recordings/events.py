"""Events-based BRW 4.x files: ranges around events as they were stored, and noise of stored statistics between them.

Layout, as public decoders agree on it: for each row of the file's ``TOC``, ``EventsBasedSparseRawTOC`` gives
the byte of ``EventsBasedSparseRaw`` where its records begin; the last one's reach to the end. A record is int32
channel, int32 length in bytes, then ranges until that length is used up: int64 first frame, int64 frame after the last,
and so many 16-bit codes; all little-endian. What lies between ranges was not stored: ``NoiseTOC`` gives for each row
where its estimates begin in ``NoiseChIdxs``, ``NoiseMean`` and ``NoiseStdDev``.

neo (0.14) is not used: it loses the ranges of the last row and fails on a subset of channels.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numba import njit

from meagan_lib import InputError
from meagan_lib.recordings.segments import EXPORT, FileSegment

STORED_NOISE = "stored_noise"
"""Property of the channels of an events-based recording: the standard deviation of their noise, in steps."""
NOISE_SEED = 0
BLOCK_BYTES = 2**24
"""Rows of the ``TOC`` are read together up to so many bytes."""
WHOLE_BYTES = 2**26
"""Larger rows are not kept, but read in pieces of this size each time."""
KEPT_BYTES = 3 * 2**26
"""What is kept of the blocks that were read last."""
SAMPLED = 64
"""Estimates of the noise that are read for the noise level of a channel, spread evenly over the recording."""
FRAME_BITS = 40
_MISTAKES = (
    "",
    "records end in the middle of a range, or reach beyond its end",
    "records name a channel that is not among the stored ones",
    "records have a negative length",
    "ranges run backwards",
    "ranges lie outside of its stretches of time, or far from where they are listed",
)


@njit(nogil=True, cache=True)
def _integer(data, at, size):
    """Read a little-endian signed integer of ``size`` bytes."""
    value = np.uint64(0)
    for k in range(size):
        value |= np.uint64(data[at + k]) << np.uint64(8 * k)
    if size == 4:
        return np.int64(np.int32(value))
    return np.int64(value)


@njit(nogil=True, cache=True)
def _walk(data, base, end, state, columns, span, found):
    """Walk over records from byte ``state[0]`` on, in ``data`` that begin at byte ``base`` of a block up to ``end``.

    ``state`` int64 is position, end of the record, column of its channel; ``columns`` maps a channel to its column or
    −1; ``span`` are the frames that may be. Of ``found`` int64 (capacity, 4) each row takes column, first frame, end
    and byte of the first sample. Returns how many were found, and the index of a mistake; stops where ``data`` or room
    end.
    """
    n, stop = 0, base + len(data)
    while state[0] < end:
        if state[0] == state[1]:
            if end - state[0] < 8:
                return n, 1
            if stop - state[0] < 8:
                break
            channel = _integer(data, state[0] - base, 4)
            length = _integer(data, state[0] - base + 4, 4)
            if not 0 <= channel < len(columns) or columns[channel] < 0:
                return n, 2
            if length < 0:
                return n, 3
            if length > end - state[0] - 8:
                return n, 1
            state[2] = columns[channel]
            state[0] += 8
            state[1] = state[0] + length
            continue
        if state[1] - state[0] < 16:
            return n, 1
        if stop - state[0] < 16 or n == len(found):
            break
        first, last = _integer(data, state[0] - base, 8), _integer(data, state[0] - base + 8, 8)
        if last < first:
            return n, 4
        if last > first:
            if first < span[0] or last > span[1]:
                return n, 5
            if last - first > (state[1] - state[0] - 16) // 2:
                return n, 1
            found[n, 0], found[n, 1], found[n, 2], found[n, 3] = state[2], first, last, state[0] + 16
            n += 1
            state[0] += 2 * (last - first)
        state[0] += 16
    return n, 0


@njit(nogil=True, cache=True)
def _copy(ranges, data, base, first, out):
    """Copy the samples of ``ranges`` that lie in ``data``, from byte ``base`` on, to ``out``, from ``first`` on."""
    last = base + len(data) - 1
    for i in range(len(ranges)):
        column, begin, end, at = ranges[i]
        low, high = max(begin, first), min(end, first + len(out))
        if base > at:
            low = max(low, begin + (base - at + 1) // 2)
        high = min(high, begin + (last - at + 1) // 2)
        for frame in range(low, high):
            p = at + 2 * (frame - begin) - base
            out[frame - first, column] = np.uint16(data[p]) | np.uint16(data[p + 1]) << np.uint16(8)


@njit(nogil=True, cache=True)
def _scramble(x):
    """Mix the bits of a 32-bit integer (C. Wellons' ``lowbias32``)."""
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x7FEB352D))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    x = np.uint32(x * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@njit(nogil=True, cache=True)
def _fill(out, first, keys, mean, step, low, high):
    """Fill ``out`` (frames, channels) with noise that depends on frame and channel alone.

    The four bytes of a hash add up to a nearly normal variable of standard deviation 147.8 around 510, which never
    lies beyond 3.5 standard deviations: invented samples look like no spike.
    """
    for i in range(len(out)):
        frame = np.uint64(first + i)
        time = _scramble(np.uint32(frame) ^ _scramble(np.uint32(frame >> np.uint64(32))))
        row = out[i]
        for c in range(len(keys)):
            x = _scramble(np.uint32(time + keys[c]))
            total = np.uint32((x & np.uint32(0x00FF00FF)) + ((x >> np.uint32(8)) & np.uint32(0x00FF00FF)))
            total = np.uint32((total & np.uint32(0xFFFF)) + (total >> np.uint32(16)))
            value = mean[c] + step[c] * np.float32(np.int32(total))
            row[c] = np.uint16(np.int32(min(max(value, low), high)))


@dataclass(frozen=True)
class Block:
    """Rows of the ``TOC`` that are read together: its frames and bytes, first and end of each, in the file's count."""

    frames: tuple[int, int]
    bytes: tuple[int, int]


@dataclass
class _Ranges:
    """The ranges of a block: int64 (n, 4) of :func:`_walk` in the order of the file; and sorted, to look one up."""

    ranges: np.ndarray
    data: np.ndarray | None
    key: np.ndarray
    key_end: np.ndarray

    @property
    def size(self) -> int:
        return self.ranges.nbytes + self.key.nbytes * 2 + (0 if self.data is None else len(self.data))


class Noise:
    """Mean and standard deviation of each channel's noise, in codes, from row to row of the ``TOC``.

    ``level`` float32 (channels,) is the median standard deviation of a channel. ``InputError``: no estimates, or such
    as cannot be.
    """

    def __init__(self, group: h5py.Group, toc: np.ndarray, columns: np.ndarray, middle: float, name: str):
        self.name, self.columns, self.ends = name, columns, toc[:, 1]
        of = "NoiseChIdxs" if "NoiseChIdxs" in group else "NoisePlateElIdxs"
        self.paths = [f"{group.name}/{part}" for part in (of, "NoiseMean", "NoiseStdDev")]
        sizes = {group.file[path].shape for path in self.paths}
        begins = group["NoiseTOC"][: len(toc) + 1].ravel().astype(np.int64)
        n = sizes.pop()[0] if len(sizes) == 1 else 0
        if sizes or not n or len(begins) != len(toc) or (np.diff(begins, prepend=0) < 0).any() or begins[-1] > n:
            raise InputError(
                f"{name} describes the noise that was not stored by tables that do not fit one another: copy it again, "
                f"or {EXPORT}"
            )
        # A row without estimates of its own has those of the row before it, the first rows those that come first.
        starts = np.unique(begins[begins < n])
        self.starts, self.stops = starts, np.append(starts[1:], n)
        self.set_of_row = np.clip(np.searchsorted(starts, begins, "right") - 1, 0, None)
        self.base, self.shift = np.full((2, int((columns >= 0).sum())), np.nan, np.float32), 0.0
        chosen = np.unique(np.linspace(0, len(starts) - 1, SAMPLED).astype(int))
        sampled = np.stack([self._read(group.file, s) for s in chosen])  # (sets, 2, channels)
        if np.isnan(sampled).all():
            raise InputError(f"{name} has no estimate of the noise of any stored channel: {EXPORT}")
        known = ~np.isnan(sampled[:, 0]).all(axis=0)
        self.base[:, known] = np.nanmedian(sampled[:, :, known], axis=0)
        self.base[:, ~known] = np.median(self.base[:, known], axis=1)[:, None]
        # Older files count the mean from the middle code, newer ones from 0.
        if abs(np.median(self.base[0])) < middle / 2:
            self.shift = middle
            self.base[0] += middle
        self.level = self.base[1].copy()

    def _read(self, file: h5py.File, number: int) -> np.ndarray:
        """Read a set of estimates, float32 (2, channels): mean and standard deviation, else ``base``."""
        start, stop = int(self.starts[number]), int(self.stops[number])
        estimates = self.base.copy()
        if stop - start > 2**22:
            raise InputError(f"{self.name} has {stop - start} estimates of noise at once: its header is damaged")
        channel, mean, std = (file[path][start:stop] for path in self.paths)
        if (channel < 0).any() or (channel >= len(self.columns)).any() or (self.columns[channel] < 0).any():
            raise InputError(f"{self.name} describes the noise of a channel that is not among the stored ones")
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std >= 0).all() and (np.abs(mean) < 1e5).all()):
            raise InputError(f"{self.name} describes noise by a mean or a deviation that cannot be: copy it again")
        estimates[:, self.columns[channel]] = mean + self.shift, std
        return estimates

    def parts(self, file: h5py.File, start: int, stop: int):
        """Yield first frame, end and estimates (2, channels) of the parts of frames start … stop of equal noise."""
        while start < stop:
            row = int(np.searchsorted(self.ends, start, "right"))
            same = np.flatnonzero(self.set_of_row[row:] != self.set_of_row[row])
            end = int(self.ends[row + same[0] - 1]) if len(same) else stop
            yield start, min(end, stop), self._read(file, self.set_of_row[row])
            start = end


class EventsSegment(FileSegment):
    """One stretch of an events-based file: the frames of its ``blocks``, counted as in the file.

    Samples that were stored come as they are. Between them lies invented noise, a function of frame and channel, so
    that the same frames hold the same samples whatever is read with them; :meth:`stored_around` says which is which.
    """

    def __init__(
        self,
        path: Path,
        dataset: str,
        noise: Noise,
        channels: np.ndarray,
        blocks: list[Block],
        adc_range: tuple[int, int],
        rate_hz: float,
        begun_s: float,
    ):
        self.first, self.end, self.blocks = blocks[0].frames[0], blocks[-1].frames[1], blocks
        super().__init__(path, rate_hz, begun_s, self.end - self.first)
        self.dataset, self.noise, self.adc_range = dataset, noise, adc_range
        seeds = np.random.default_rng(NOISE_SEED).integers(2**32, size=int(channels.max()) + 1, dtype=np.uint32)
        self.keys = seeds[channels]

    def get_traces(self, start_frame=None, end_frame=None, channel_indices=None) -> np.ndarray:
        """Codes uint16 (frames, channels)."""
        start, end, _ = slice(start_frame, end_frame).indices(self.end - self.first)
        start, end = self.first + start, self.first + max(start, end)
        out = np.empty((end - start, len(self.keys)), np.uint16)
        if len(out):
            self.guarded(self._decode, start, out)
        return out if channel_indices is None else out[:, channel_indices]

    def stored_around(self, frame: np.ndarray, channel: np.ndarray) -> np.ndarray:
        """Return first frame and end int64 (n, 2) of the range that holds each of these samples.

        Both are the frame itself where it was invented.
        """
        frame, found = np.asarray(frame, np.int64) + self.first, np.empty((len(frame), 2), np.int64)
        found[:] = frame[:, None]
        if len(frame):
            self.guarded(self._look_up, frame, np.asarray(channel, np.int64), found)
        return found - self.first

    def _near(self, start: int, stop: int) -> range:
        """Return the blocks that may hold frames start … stop: a range may reach into the blocks beside its own."""
        ends, begins = [b.frames[1] for b in self.blocks], [b.frames[0] for b in self.blocks]
        low, high = np.searchsorted(ends, start, "right"), np.searchsorted(begins, stop, "left")
        return range(max(int(low) - 1, 0), min(int(high) + 1, len(self.blocks)))

    def _decode(self, start: int, out: np.ndarray) -> None:
        low, high = self.adc_range
        for a, b, (mean, std) in self.noise.parts(self.file, start, start + len(out)):
            # Rounding adds a variance of 1/12 of its own; half a step rounds where a cast would cut off.
            step = np.sqrt(np.maximum(std**2 - 1 / 12, 0) / (4 * (256**2 - 1) / 12)).astype(np.float32)
            offset = (mean + 0.5 - 510 * step).astype(np.float32)
            _fill(out[a - start : b - start], a, self.keys, offset, step, np.float32(low), np.float32(high))
        for number in self._near(start, start + len(out)):
            its = self._ranges(number)
            for base, data in self._pieces(number, its):
                _copy(its.ranges, data, base, start, out)

    def _look_up(self, frame: np.ndarray, channel: np.ndarray, found: np.ndarray) -> None:
        key = (channel << FRAME_BITS) + frame - self.first
        for number in self._near(int(frame.min()), int(frame.max()) + 1):
            its = self._ranges(number)
            if not len(its.key):
                continue
            at = np.searchsorted(its.key, key, "right") - 1
            held = (at >= 0) & (key < its.key_end[at])
            found[held, 0] = its.key[at[held]] - (channel[held] << FRAME_BITS) + self.first
            found[held, 1] = its.key_end[at[held]] - (channel[held] << FRAME_BITS) + self.first

    def _pieces(self, number: int, its: _Ranges):
        """Yield the bytes of a block, with the byte of the first of each piece; pieces share a byte."""
        start, stop = self.blocks[number].bytes
        if its.data is not None:
            yield start, its.data
            return
        for at in range(start, stop, WHOLE_BYTES):
            yield at, self._bytes(at, min(at + WHOLE_BYTES + 1, stop))

    def _bytes(self, start: int, stop: int) -> np.ndarray:
        return self.file[self.dataset][start:stop].view(np.uint8)

    def _ranges(self, number: int) -> _Ranges:
        """Return the ranges of a block, of those kept or read anew."""
        if number in self.kept:
            self.kept.move_to_end(number)
            return self.kept[number]
        block = self.blocks[number]
        start, stop = block.bytes
        beside = self.blocks[max(number - 1, 0)].frames[0], self.blocks[min(number + 1, len(self.blocks) - 1)].frames[1]
        whole = self._bytes(start, stop) if stop - start <= WHOLE_BYTES else None
        state, parts = np.array([start, start, 0], np.int64), [np.empty((0, 4), np.int64)]
        while state[0] < stop:
            base = start if whole is not None else int(state[0])
            data = self._bytes(base, min(base + WHOLE_BYTES, stop)) if whole is None else whole
            room = np.empty((min(max((base + len(data) - int(state[0])) // 18 + 1, 1), 2**16), 4), np.int64)
            n, mistake = _walk(data, base, stop, state, self.noise.columns, np.array(beside), room)
            if mistake:
                raise InputError(
                    f"{self.path.name} is damaged, its {_MISTAKES[mistake]} (at byte {int(state[0])}): copy it again "
                    f"or {EXPORT}"
                )
            parts.append(room[:n].copy())
        ranges = np.concatenate(parts)
        begin, end = ((ranges[:, 0] << FRAME_BITS) + ranges[:, column] - self.first for column in (1, 2))
        order = np.argsort(begin, kind="stable")
        its = _Ranges(ranges, whole, begin[order], np.maximum.accumulate(end[order]) if len(order) else end)
        self.kept[number] = its
        while len(self.kept) > 1 and sum(k.size for k in self.kept.values()) > KEPT_BYTES:
            self.kept.popitem(last=False)
        return its


def blocks_of(toc: np.ndarray, begins: np.ndarray) -> list[Block]:
    """Group rows of the ``TOC`` int64 (rows, 2) that touch, with their bytes ``begins`` (rows + 1,), into blocks."""
    blocks: list[Block] = []
    for (first, end), start, stop in zip(toc.tolist(), begins[:-1].tolist(), begins[1:].tolist()):
        last = blocks[-1] if blocks else None
        if last and last.frames[1] == first and stop - last.bytes[0] <= BLOCK_BYTES:
            blocks[-1] = Block((last.frames[0], end), (last.bytes[0], stop))
        else:
            blocks.append(Block((first, end), (start, stop)))
    return blocks


def events_toc(group: h5py.Group, toc: np.ndarray, name: str) -> np.ndarray:
    """Return the byte where the records of each row begin, and the end of the last, int64 (rows + 1,).

    ``InputError``: other than one byte for each row, or bytes that run backwards or beyond the end.
    """
    data, begins = group["EventsBasedSparseRaw"], group["EventsBasedSparseRawTOC"]
    if data.ndim != 1 or data.dtype.itemsize != 1 or data.dtype.kind not in "iu":
        raise InputError(f"{name} holds events of type {data.dtype} and shape {data.shape} in place of bytes")
    if begins.shape not in ((len(toc),), (len(toc), 1)):
        raise InputError(
            f"{name} lists the events of {begins.shape[0] if begins.shape else 0} stretches of time, where there are "
            f"{len(toc)}: copy it again"
        )
    begins = np.append(begins[()].ravel().astype(np.int64), data.shape[0])
    if begins[0] < 0 or (np.diff(begins) < 0).any():
        row = int((np.diff(begins, prepend=0) < 0).argmax())
        raise InputError(
            f"{name} lists its events by bytes that run backwards or beyond the end, at row {row}: copy it again"
        )
    return begins
