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
from meagan_lib.recordings.segments import EXPORT, FileSegment

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
    """One stretch of a wavelet file: ``chunks`` int64 (n, 3) are first frame and end of each in it, and its number."""

    def __init__(
        self,
        path: Path,
        dataset: str,
        level: int,
        length: int,
        n_channels: int,
        chunks: np.ndarray,
        rate_hz: float,
        begun_s: float,
    ):
        super().__init__(path, rate_hz, begun_s, int(chunks[-1, 1]))
        self.dataset, self.level, self.length, self.n_channels, self.chunks = dataset, level, length, n_channels, chunks

    def get_traces(self, start_frame=None, end_frame=None, channel_indices=None) -> np.ndarray:
        """Codes float32 (frames, channels): the transform gives no whole numbers."""
        start, end, _ = slice(start_frame, end_frame).indices(self.n_frames)
        parts = [np.empty((0, self.n_channels), np.float32)]
        wanted = slice(np.searchsorted(self.chunks[:, 1], start, "right"), np.searchsorted(self.chunks[:, 0], end))
        for first, last, number in self.chunks[wanted].tolist() if start < end else ():
            span = max(start, first) - first, min(end, last) - first
            parts.append(inverse(*self.guarded(self._coefficients, number), self.level, *span))
        out = np.concatenate(parts) if len(parts) != 2 else parts[1]
        return out if channel_indices is None else out[:, channel_indices]

    def _coefficients(self, number: int) -> np.ndarray:
        """Read approximation and detail of a chunk, float32 (2, m, channels); the last one is kept."""
        if number not in self.kept:
            m = -(-self.length // 2**self.level)
            size = 2 * m * self.n_channels
            read = self.file[self.dataset][number * size : (number + 1) * size].reshape(self.n_channels, 2, m)
            self.kept.clear()
            self.kept[number] = np.ascontiguousarray(read.transpose(1, 2, 0), np.float32)
        return self.kept[number]


def wavelet_layout(group: h5py.Group, toc: np.ndarray, stretches: np.ndarray, n_channels: int, name: str):
    """Return level, frames of a chunk, and the chunks of each of the ``stretches`` (n, 2) as a segment has them.

    Chunks begin with a stretch, or with each row of ``toc`` int64 (rows, 2), counted as stretches are; the last of them
    may be used in part. ``InputError``: attributes that cannot be, or another number of coefficients than either needs.
    """
    data, table = group["WaveletBasedEncodedRaw"], group.get("WaveletBasedEncodedRawTOC")
    of = data.attrs if "CompressionLevel" in data.attrs or table is None else table.attrs
    level, length = (int(np.ravel(of[key])[0]) for key in ("CompressionLevel", "DataChunkLength"))
    if not LEVELS[0] <= level <= LEVELS[1] or not 0 < 2 * -(-length // 2**level) * n_channels <= MOST_COEFFICIENTS:
        raise InputError(
            f"{name} states a CompressionLevel of {level} and chunks of {length} frames, which cannot be: copy it again"
        )
    size = 2 * -(-length // 2**level) * n_channels
    if data.ndim != 1 or data.dtype.kind not in "iuf":
        raise InputError(f"{name} holds coefficients of type {data.dtype} and shape {data.shape}: {EXPORT}")
    fitting = [r for r in (stretches, toc) if -(-np.diff(r) // length).sum() * size == data.shape[0]]
    if not fitting:
        needed = int(-(-np.diff(stretches) // length).sum())
        raise InputError(
            f"{name} holds {data.shape[0]} coefficients, where its header states {needed} chunks of {size} numbers: it "
            f"is cut short or still being written, or its header is damaged"
        )
    layouts = [_chunks(runs, length) for runs in fitting]
    if table is not None:
        begins = table[: len(toc) + 1].ravel()
        listed = [dict(zip(chunks[:, 0].tolist(), (chunks[:, 2] * size).tolist())) for chunks in layouts]
        layouts = [c for c, at in zip(layouts, listed) if [at.get(f) for f in toc[:, 0].tolist()] == begins.tolist()]
        if not layouts:
            raise InputError(f"{name} lists its coefficients elsewhere than they should be: copy it again, or {EXPORT}")
    chunks = layouts[0]
    of_stretch = np.searchsorted(stretches[:, 0], chunks[:, 0], "right") - 1
    return level, length, [chunks[of_stretch == i] - [a, a, 0] for i, (a, _) in enumerate(stretches)]


def _chunks(runs: np.ndarray, length: int) -> np.ndarray:
    """Return first frame, end and number int64 (chunks, 3) of the chunks into which ``runs`` (n, 2) are cut."""
    first = np.concatenate([np.arange(a, b, length) for a, b in runs.tolist()])
    last = np.concatenate([np.append(np.arange(a + length, b, length), b) for a, b in runs.tolist()])
    return np.stack([first, last, np.arange(len(first))], axis=1)
