"""From a stored recording to filtered channels: read once, dealt out to groups of 32, band-passed side by side.

Each piece that is filtered brings a margin on both sides in which the filter settles, so that it changes no bit
of the result how a recording is divided.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.signal
import spikeinterface.core as sc
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic

from meagan_lib import InputError
from meagan_lib.recordings.events import STORED_NOISE
from meagan_lib.recordings.quality import medians
from meagan_lib.workflow.machine import available_cores

LANES = 32
"""Channels that are filtered side by side: a few registers of a SIMD unit."""
ROWS, ROWS_DEALT = 16, 8
"""Rows that are searched, and dealt out, at once."""
LINE = 64
"""Bytes of a cache's line."""
TILE = 256
"""Channels of one job."""
PIECE_BYTES = 2**24
"""What is asked for at once of a recording that has no ``piece_bytes``."""
SHORTEST_MS = 100.0
SETTLED = 1e-5
"""Fraction to which the filter's memory of what lay before the margin has decayed."""


@dataclass(frozen=True)
class Filter:
    """Zero-phase Butterworth band-pass: second-order sections float64 (sections, 6), run forward and backward.

    It has as many zeros at 0 Hz as at half the sampling rate: where every section has one of each, all are gain · (1 −
    z⁻²) / (1 + a₁ z⁻¹ + a₂ z⁻²), three operations in place of five, and one gain is enough.
    """

    sos: np.ndarray

    @property
    def gain(self) -> np.float32:
        """The product of the gains of all sections."""
        return np.float32(self.sos[:, 0].prod())

    @property
    def bare(self) -> np.ndarray:
        """The sections with a gain of 1, float64 (sections, 6).

        Those of low poles take turns with those of high ones: else some take away what others have to bring back, and
        float32 has lost it by then.
        """
        rising = np.argsort(self.sos[:, 4])
        turns = np.stack([rising, rising[::-1]], axis=1).ravel()[: len(rising)]
        return self.sos[turns] * [0, 0, 0, 1, 1, 1] + [1, 0, -1, 0, 0, 0]

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


@intrinsic
def _copy_line(context, to, of):
    """Copy ``LINE`` bytes from an address to another, a multiple of ``LINE``, past the caches.

    A line that is written whole need not be fetched from memory first, which takes a fifth of the time.
    """
    vector = ir.VectorType(ir.IntType(8), LINE).as_pointer()

    def copy(context, builder, signature, arguments):
        target, source = (builder.inttoptr(address, vector) for address in arguments)
        stored = builder.store(builder.load(source, align=1), target, align=LINE)
        stored.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp), copy


@intrinsic
def _wait_for_memory(context):
    """Let other threads see what was copied past the caches."""

    def fence(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), fence


@njit(nogil=True, cache=True)
def deal(values, dealt):
    """Deal channels (frames, channels) out to groups of lanes (groups, frames, LANES), in which a job reads on end."""
    groups, frames, lanes = dealt.shape
    whole = values.shape[1] // lanes if dealt.ctypes.data % LINE == 0 else 0
    to, of, bytes = dealt.ctypes.data, values.ctypes.data, lanes * dealt.itemsize
    for block in range(0, frames, ROWS_DEALT):
        for g in range(whole):
            for i in range(block, min(block + ROWS_DEALT, frames)):
                target, source = to + g * dealt.strides[0] + i * bytes, of + i * values.strides[0] + g * bytes
                for at in range(0, bytes, LINE):
                    _copy_line(np.uintp(target + at), np.uintp(source + at))
    _wait_for_memory()
    for g in range(whole, groups):
        for i in range(frames):
            for c in range(min(lanes, values.shape[1] - g * lanes)):
                dealt[g, i, c] = values[i, g * lanes + c]


@intrinsic(prefer_literal=True)
def _on_stack(context, size):
    """Make room float32 (size,), a constant, within a compiled function: LLVM keeps it in registers where they suffice.

    Of an array that is passed it does not know that nothing else writes there, and stores it for each row.
    """
    count = size.literal_value

    def place(context, builder, signature, arguments):
        with builder.goto_entry_block():
            at = builder.alloca(ir.ArrayType(ir.FloatType(), count))
        at.align = 64
        return builder.bitcast(at, ir.FloatType().as_pointer())

    return types.CPointer(types.float32)(size), place


@njit(nogil=True, cache=True)
def _load(raw, origin, lo, hi, n_frames, scale, buffer, baseline):
    """Load frames lo … hi of one group (frames, LANES), less the first, × ``scale``; extended oddly beyond the ends.

    The pass band excludes 0 Hz, so that with the first value as baseline a settled filter starts at rest.
    """
    length, first = hi - lo, lo - origin
    begin, end = max(-lo, 1), min(n_frames - lo, length)
    for i in range(length):
        if begin <= i < end:
            continue
        last = min(max(lo + i, 0), n_frames - 1) - origin
        for c in range(raw.shape[1]):
            odd = np.float32(2) * np.float32(raw[last, c]) - np.float32(raw[2 * last - i - first, c])
            if i == 0:
                baseline[c] = odd
            buffer[i, c] = (odd - baseline[c]) * scale[c]
    for i in range(begin, end):  # nearly all: no branch keeps LLVM from doing several lanes at once
        for c in range(raw.shape[1]):
            buffer[i, c] = (np.float32(raw[i + first, c]) - baseline[c]) * scale[c]


@lru_cache
def _compiled(sections: int) -> Callable:
    """Compile a filter of that many sections, unrolled, which works on ``buffer`` (frames, LANES) in place.

    The function closes over numbers alone: by them Numba finds again what another process has compiled.
    """
    lanes, numbers = 2 * sections * LANES, 2 * sections

    @njit(nogil=True, cache=True, fastmath={"contract"})
    def bandpass(raw, origin, lo, hi, n_frames, scale, denominators, zi, buffer, baseline):
        """Load frames lo … hi of one group, and filter them forward and backward."""
        length = hi - lo
        _load(raw, origin, lo, hi, n_frames, scale, buffer, baseline)
        state, of = carray(_on_stack(lanes), lanes), carray(_on_stack(numbers), numbers)
        for k in range(sections):
            of[2 * k], of[2 * k + 1] = denominators[k, 0], denominators[k, 1]
        for c in range(lanes):
            state[c] = 0
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
                        y = x + state[2 * k * LANES + c]
                        state[2 * k * LANES + c] = state[(2 * k + 1) * LANES + c] - of[2 * k] * y
                        state[(2 * k + 1) * LANES + c] = -x - of[2 * k + 1] * y
                    buffer[i, c] = y

    return bandpass


def signs_and_gains(recording: sc.BaseRecording) -> tuple[np.ndarray, np.ndarray]:
    """Return sign and size float32 (channels,) of a step in µV; 1 and 1 where the source has no scale."""
    gain = np.ones(recording.get_num_channels(), np.float32)
    if recording.has_scaleable_traces():
        gain = np.asarray(recording.get_channel_gains(), np.float32)
    return np.where(gain < 0, np.float32(-1), np.float32(1)), np.abs(gain)


class Stored:
    """One segment of a recording as it is stored, in groups of ``LANES`` channels (groups, frames, LANES).

    Numba compiles native int16, uint16 and float32; other types become float32. Lanes beyond the last channel are 0.
    """

    def __init__(self, recording: sc.BaseRecording, segment: int):
        self.recording, self.segment = recording, segment
        self.n_frames, self.n_channels = recording.get_num_samples(segment), recording.get_num_channels()
        self.chunk = int(recording.get_annotation("frames_per_chunk") or 1)  # frames that lie together in the file
        self.piece_bytes = recording.get_annotation("piece_bytes") or PIECE_BYTES
        native = recording.get_dtype() in (np.int16, np.uint16, np.float32)
        self.dtype = recording.get_dtype() if native else np.dtype(np.float32)

    def empty(self, n_frames: int) -> np.ndarray:
        """Return groups to be filled."""
        shape = -(-self.n_channels // LANES), n_frames, LANES
        size = int(np.prod(shape)) * self.dtype.itemsize
        room = np.empty(size + LINE, np.uint8)
        groups = room[-room.ctypes.data % LINE :][:size].view(self.dtype).reshape(shape)
        groups[-1] = 0
        return groups

    def pieces(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield what is stored from frame ``start`` to ``stop``, piece by piece, (frames, channels)."""
        step = max(self.piece_bytes // (self.dtype.itemsize * self.n_channels), 1)
        for a in range(start, stop, step):
            piece = self.recording.get_traces(self.segment, a, min(a + step, stop), return_in_uV=False)
            yield np.ascontiguousarray(piece, self.dtype)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Read frames start … stop, dealt out to groups."""
        into, done = self.empty(stop - start), 0
        for piece in self.pieces(start, stop):
            deal(piece, into[:, done : done + len(piece)])
            done += len(piece)
        return into


class Bandpass:
    """A filter as it runs on a segment; each thread has a buffer of its own, which it uses again."""

    def __init__(self, stored: Stored, filter: Filter):
        self.stored, self.margin = stored, filter.margin
        self.padding = min(filter.padding, stored.n_frames - 1)
        self.denominators = filter.bare[:, 4:].astype(np.float32)
        self.zi = scipy.signal.sosfilt_zi(filter.bare).astype(np.float32)
        self.scale = filter.gain**2 * np.pad(signs_and_gains(stored.recording)[0], (0, LANES), constant_values=1)
        self.run, self.own = _compiled(len(filter.sos)), threading.local()

    def bounds(self, start: int, stop: int, context: int = 0) -> tuple[int, int]:
        """Return the frames to load so that start … stop, and ``context`` around them, are settled."""
        reach, end = self.margin + context, self.stored.n_frames + self.padding
        return max(start - reach, -self.padding), min(stop + reach, end)

    def group(self, values: np.ndarray, origin: int, lo: int, hi: int, first: int) -> np.ndarray:
        """Filter frames lo … hi of the group that begins at channel ``first``, float32 (hi − lo, LANES).

        ``values`` (groups, frames, LANES) are stored ones that begin at frame ``origin``. Valid until the next call.
        """
        if len(getattr(self.own, "buffer", ())) < hi - lo:
            self.own.buffer = np.empty((hi - lo, LANES), np.float32)
        buffer = self.own.buffer[: hi - lo]
        scale, baseline = self.scale[first : first + LANES], np.empty(LANES, np.float32)
        group, n_frames = values[first // LANES], self.stored.n_frames
        self.run(group, origin, lo, hi, n_frames, scale, self.denominators, self.zi, buffer, baseline)
        return buffer

    def fill(self, out: np.ndarray, start: int, every: int = 1) -> None:
        """Filter as many frames from ``start`` on as ``out`` (channels, frames / every) holds."""
        stop = start + every * out.shape[1]
        lo, hi = self.bounds(start, stop)
        origin = max(lo, 0)
        values = self.stored.read(origin, min(hi, self.stored.n_frames))
        for first in range(0, self.stored.n_channels, LANES):
            filtered = self.group(values, origin, lo, hi, first)[start - lo : stop - lo : every]
            out[first : first + LANES] = filtered[:, : self.stored.n_channels - first].T


def noise_levels(recording: sc.BaseRecording, filter: Filter, seed: int) -> np.ndarray:
    """Estimate the noise level float32 (channels,) of the filtered recording, in steps: σ = median |x| / 0.6745.

    From every second frame of blocks of 1000 frames at random places, drawn with ``seed``: twenty blocks of a large
    chip, sixty of a small one; segments shorter than a block are left out. Quiroga et al. 2004,
    doi:10.1162/089976604774201631. An InputError is raised where no segment lasts 100 ms.

    Of an events-based file it is the standard deviation of the noise that the file states. Samples between its ranges
    are invented, and those within were stored because they are more than noise: on a simulation of 16 electrodes with
    ranges around troughs of 4 levels, the level from within them is 1.17 to 1.64 times the true one, the more the
    busier the electrode, and unknown where nothing was stored; the stated one is 1.16 to 1.19 times as large, for it
    covers the whole band. It is not scaled to the pass band, which only white noise would allow: so it is an
    upper bound, and what is invented, white and never beyond 3.5 of its deviations, stays far from a threshold of 5.
    """
    if (stated := recording.get_property(STORED_NOISE)) is not None:
        return np.asarray(stated, np.float32)
    rate = recording.get_sampling_frequency()
    segments = [Stored(recording, segment) for segment in range(recording.get_num_segments())]
    longest = max(segment.n_frames for segment in segments)
    if longest < SHORTEST_MS * rate / 1000:
        raise InputError(
            f"the recording lasts {1000 * longest / rate:.1f} ms without a break, and its noise level cannot be "
            f"measured in less than {SHORTEST_MS:g} ms: use a longer recording"
        )
    block = min(1000, longest)
    segments = [segment for segment in segments if segment.n_frames >= block]
    n_channels = recording.get_num_channels()
    n_blocks = int(np.clip(10**8 // (block * n_channels), 20, 60))
    rng = np.random.default_rng(seed)
    frames = np.array([segment.n_frames for segment in segments])
    chosen = rng.choice(len(segments), n_blocks, p=frames / frames.sum())
    starts = [int(rng.integers(0, frames[s] - block + 1)) for s in chosen]
    every, kept = 2, max(block // 2, 1)
    samples = np.empty((n_channels, n_blocks * kept), np.float32)

    def sample(i: int) -> None:
        Bandpass(segments[chosen[i]], filter).fill(samples[:, i * kept : (i + 1) * kept], starts[i], every)

    def median(first: int) -> np.ndarray:
        x = samples[first : first + TILE]
        return medians(np.abs(x, out=x)) / np.float32(0.6745)

    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(sample, range(n_blocks)))
        return np.concatenate(list(pool.map(median, range(0, n_channels, TILE))))
