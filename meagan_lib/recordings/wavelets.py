"""Wavelet-compressed BRW 4.x files: the lowest part of the band, from the coefficients of sym7.

Layout, as public decoders agree on it: ``WaveletBasedEncodedRaw`` holds, chunk after chunk of ``DataChunkLength``
frames and in it channel after channel, 2·⌈frames / 2^L⌉ numbers, with L the ``CompressionLevel``: the deepest
approximation, then its detail. The details of the upper levels were left out, so that only what lies below rate / 2^L
survives. The decoder is the periodised inverse transform (Mallat 1989, doi:10.1109/34.192463), as PyWavelets has it.
"""

from pathlib import Path

import h5py
import numpy as np
from numba import njit

from meagan_lib import InputError
from meagan_lib.recordings.segments import FileSegment

# fmt: off
SYM7 = np.array([
    0.010268176708511255, 0.004010244871533663, -0.10780823770381774, -0.14004724044296152, 0.2886296317515146,
    0.767764317003164, 0.5361019170917628, 0.017441255086855827, -0.049552834937127255, 0.0678926935013727,
    0.03051551316596357, -0.01263630340325193, -0.0010473848886829163, 0.002681814568257878,
])
# fmt: on
"""Low-pass filter of the inverse transform, a symlet; the high-pass is its alternating mirror image."""
SYM7_HIGH = SYM7[::-1] * (-1) ** np.arange(len(SYM7))
LEVELS = (1, 12)
MOST_COEFFICIENTS = 2**28
"""A chunk of more numbers than these is damage: 256 s of 4096 channels at 20 kHz and L = 6 are less."""


@njit(nogil=True, cache=True)
def _synthesise(approximation, detail, low, start, stop, filters):
    """Invert one level: rows start … stop of the signal, float32 (rows, channels), from rows that begin at ``low``.

    x[t] = Σₖ a[k] g[t − 2k + 6] + d[k] h[t − 2k + 6]; without a ``detail`` the second sum is left out.
    """
    out = np.zeros((stop - start, approximation.shape[1]), np.float32)
    taps, centre = filters.shape[1], filters.shape[1] // 2 - 1
    for t in range(start, stop):
        row = out[t - start]
        for k in range((t + centre - taps + 2) // 2, (t + centre) // 2 + 1):
            g, a = filters[0, t - 2 * k + centre], approximation[k - low]
            for c in range(len(row)):
                row[c] += g * a[c]
            if detail is not None:
                h, d = filters[1, t - 2 * k + centre], detail[k - low]
                for c in range(len(row)):
                    row[c] += h * d[c]
    return out


def inverse(approximation: np.ndarray, detail: np.ndarray, level: int, start: int, stop: int) -> np.ndarray:
    """Decode frames start … stop, float32 (frames, channels), of a chunk of 2^level · m.

    ``approximation`` and ``detail`` float32 (m, channels) belong to the deepest level; only those rows are used that
    the frames depend on. Rows beyond the ends are those of the other end (periodisation).
    """
    taps = len(SYM7)
    spans = [(start, stop)]
    for _ in range(level):
        first, last = spans[-1]
        spans.append(((first - taps // 2 + 1) // 2, (last + taps // 2 - 2) // 2 + 1))
    low, high = spans.pop()
    rows = np.arange(low, high) % len(approximation)
    signal, its_detail = approximation[rows], detail[rows]
    filters = np.stack([SYM7, SYM7_HIGH]).astype(np.float32)
    for first, last in reversed(spans):
        signal, its_detail, low = _synthesise(signal, its_detail, low, first, last, filters), None, first
    return signal


class WaveletSegment(FileSegment):
    """One stretch of a wavelet file: ``n_frames`` from the first frame of chunk ``first_chunk`` on."""

    def __init__(
        self,
        path: Path,
        dataset: str,
        level: int,
        chunk: int,
        n_channels: int,
        first_chunk: int,
        n_frames: int,
        rate_hz: float,
        begun_s: float,
    ):
        super().__init__(path, rate_hz, begun_s, n_frames)
        self.dataset, self.level, self.chunk = dataset, level, chunk
        self.n_channels, self.first_chunk = n_channels, first_chunk

    def get_traces(self, start_frame=None, end_frame=None, channel_indices=None) -> np.ndarray:
        """Codes float32 (frames, channels): the transform gives no whole numbers."""
        start, end, _ = slice(start_frame, end_frame).indices(self.n_frames)
        parts = [np.empty((0, self.n_channels), np.float32)]
        for number in range(start // self.chunk, -(-end // self.chunk) if end > start else 0):
            first = number * self.chunk
            low, high = max(start, first) - first, min(end, first + self.chunk) - first
            parts.append(inverse(*self.guarded(self._coefficients, number), self.level, low, high))
        out = np.concatenate(parts) if len(parts) != 2 else parts[1]
        return out if channel_indices is None else out[:, channel_indices]

    def _coefficients(self, number: int) -> np.ndarray:
        """Read approximation and detail of a chunk, float32 (2, m, channels); the last one is kept."""
        if number not in self.kept:
            m = -(-self.chunk // 2**self.level)
            size = 2 * m * self.n_channels
            start = (self.first_chunk + number) * size
            read = self.file[self.dataset][start : start + size].reshape(self.n_channels, 2, m)
            self.kept.clear()
            self.kept[number] = np.ascontiguousarray(read.transpose(1, 2, 0), np.float32)
        return self.kept[number]


def wavelet_layout(data: h5py.Dataset, stretches: np.ndarray, n_channels: int, name: str):
    """Return level, frames of a chunk, and the chunk with which each of the ``stretches`` (n, 2) begins, int64 (n,).

    A stretch begins with a chunk of its own, and its last chunk may be used in part. ``InputError``: attributes that
    cannot be, or another number of coefficients.
    """
    level, chunk = (int(np.ravel(data.attrs[key])[0]) for key in ("CompressionLevel", "DataChunkLength"))
    if not LEVELS[0] <= level <= LEVELS[1] or not 0 < 2 * -(-chunk // 2**level) * n_channels <= MOST_COEFFICIENTS:
        raise InputError(
            f"{name} states a CompressionLevel of {level} and chunks of {chunk} frames, which cannot be: copy it again"
        )
    size = 2 * -(-chunk // 2**level) * n_channels
    needed = -(-np.diff(stretches)[:, 0] // chunk)
    if data.ndim != 1 or data.dtype.kind not in "iuf" or data.shape[0] != needed.sum() * size:
        raise InputError(
            f"{name} holds {data.shape} coefficients of type {data.dtype}, where its header states {int(needed.sum())} "
            f"chunks of {size} numbers: it is cut short or still being written, or its header is damaged"
        )
    return level, chunk, np.cumsum(needed) - needed
