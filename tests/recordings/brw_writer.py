"""Write compressed BRW 4.x files as their layout is described publicly: for tests and ``bench``."""

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from meagan_lib.recordings.wavelets import SYM7, SYM7_HIGH

RATE = 20_000.0
HEADER = {
    "ValueConverter": {
        "MinAnalogValue": -4125.0,
        "MaxAnalogValue": 4125.0,
        "MinDigitalValue": 0,
        "MaxDigitalValue": 4095,
        "ScaleFactor": 1.0,
    },
    "TimeConverter": {"FrameRate": RATE},
    "MeaPlate": {"Model": "Arena"},
}

Range = tuple[int, int, np.ndarray]
"""Channel, first frame and samples of what was stored."""


def record(channel: int, ranges: Sequence[tuple[int, np.ndarray]]) -> bytes:
    """Encode the ranges of one channel."""
    body = b"".join(struct.pack("<qq", f, f + len(x)) + np.asarray(x, "<u2").tobytes() for f, x in ranges)
    return struct.pack("<ii", channel, len(body)) + body


def events(rows: Sequence[Sequence[Range]]) -> tuple[bytes, list[int]]:
    """Encode the ranges of each row of the table of contents, and return the bytes where rows begin."""
    data, begins = b"", []
    for ranges in rows:
        begins.append(len(data))
        by_channel: dict[int, list] = {}
        for channel, first, samples in ranges:
            by_channel.setdefault(channel, []).append((first, samples))
        data += b"".join(record(channel, its) for channel, its in by_channel.items())
    return data, begins


def write_events(path: Path, toc, wells: dict[str, tuple], *, header=HEADER) -> None:
    """Write an events-based file.

    ``wells``: name → stored channels, ranges of each row of ``toc``, and the noise: for each row (channels, means,
    standard deviations), or None where it has no estimates of its own.
    """
    with h5py.File(path, "w") as file:
        file["ExperimentSettings"] = [json.dumps(header)]
        file["TOC"] = np.array(toc, np.int64)
        for name, (channels, rows, noise) in wells.items():
            group = file.create_group(f"Well_{name}")
            data, begins = events(rows)
            sets = [([], [], []) if its is None else its for its in noise]
            group["StoredChIdxs"] = np.array(channels, np.int32)
            group["EventsBasedSparseRaw"] = np.frombuffer(data, np.uint8)
            group["EventsBasedSparseRawTOC"] = np.array(begins, np.int64)
            group["NoiseTOC"] = np.cumsum([0, *(len(its[0]) for its in sets[:-1])]).astype(np.int64)
            for key, part, dtype in (("NoiseChIdxs", 0, "<i4"), ("NoiseMean", 1, "<f4"), ("NoiseStdDev", 2, "<f4")):
                group[key] = np.concatenate([np.asarray(its[part], dtype) for its in sets])


def transform(codes: np.ndarray, chunk: int) -> np.ndarray:
    """Decompose codes (frames, channels) by one level of sym7, from which all of them come back.

    Returns (chunks, channels, 2, ⌈chunk / 2⌉); a[k] = Σₜ x[t] g[t − 2k + 6], d[k] = Σₜ x[t] h[t − 2k + 6], where the
    ends of a chunk touch, and the last one is filled up with its last frame.
    """
    even, taps = chunk + chunk % 2, len(SYM7)
    parts = [codes[first : first + chunk] for first in range(0, len(codes), chunk)]
    x = np.stack([np.pad(part, ((0, even - len(part)), (0, 0)), mode="edge") for part in parts])
    at = (2 * np.arange(even // 2)[:, None] + np.arange(taps) - (taps // 2 - 1)) % even
    return np.einsum("nktc,st->ncsk", x[:, at], np.stack([SYM7, SYM7_HIGH]))


def write_wavelets(
    path: Path, toc, channels, coefficients: np.ndarray, level: int, chunk: int, dtype=np.float32
) -> None:
    """Write a wavelet-compressed file: ``coefficients`` (chunks, channels, 2, ⌈chunk / 2^level⌉)."""
    with h5py.File(path, "w") as file:
        file["ExperimentSettings"] = [json.dumps(HEADER)]
        file["TOC"] = np.array(toc, np.int64)
        file["Well_A1/StoredChIdxs"] = np.array(channels, np.int32)
        data = file.create_dataset("Well_A1/WaveletBasedEncodedRaw", data=coefficients.astype(dtype).ravel())
        data.attrs["CompressionLevel"], data.attrs["DataChunkLength"] = np.int32(level), np.int32(chunk)
