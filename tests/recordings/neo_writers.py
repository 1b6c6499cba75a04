"""Files of the formats that neo alone reads, written by hand as their makers publish them, for tests and ``bench``."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def write_rhs(path: Path, codes: np.ndarray, dc: bool = True) -> Path:
    """Intan RHS 3.0: blocks of 128 frames of int16 codes (frames, channels), with DC and stimulation beside them."""

    def text(of: str) -> bytes:
        return struct.pack("<I", 2 * len(of)) + of.encode("utf-16-le")

    n = codes.shape[1]
    header = struct.pack("<Ihh", 0xD69127AC, 3, 0) + struct.pack("<fh8fh2f", 20_000, 0, *[1.0] * 8, 0, 1, 1)
    header += struct.pack("<hh3f", 0, 0, 1e-6, 1e-6, 0) + text("") * 3 + struct.pack("<hh", dc, 0) + text("n/a")
    header += struct.pack("<h", 1) + text("Port A") + text("A") + struct.pack("<hhh", 1, n + 1, n)
    for i in range(n + 1):  # the last one is an analog input
        name, kind = (f"A-{i:03d}", 0) if i < n else ("ANALOG-IN-1", 3)
        header += text(name) * 2 + struct.pack("<7h4h2f", i, i, kind, 1, i, 0, 0, 0, 0, 0, 0, 0, 0)
    blocks = []
    for first in range(0, len(codes) // 128 * 128, 128):
        own = codes[first : first + 128].T.astype(np.int32) + 32768
        parts = [np.arange(first, first + 128, dtype="<i4"), own.astype("<u2")]
        parts += [np.full((n, 128), 512, "<u2")] * dc + [np.zeros((n, 128), "<u2"), np.full(128, 7, "<u2")]
        blocks += [part.tobytes() for part in parts]
    path.write_bytes(header + b"".join(blocks))
    return path


def write_nex(path: Path, codes: np.ndarray, gap: tuple[int, int] | None = None, rate: float = 20_000.0) -> Path:
    """NeuroExplorer 106: int16 codes (frames, channels) at 0.5 µV a step, each channel a continuous variable.

    ``gap``: before which frame so many frames were not recorded.
    """
    n_frames, n = codes.shape
    starts, times = ([0], [0]) if gap is None else ([0, gap[0]], [0, sum(gap)])
    at, heads, body = 544 + 208 * (n + 1), [], b""
    for i in range(n):
        data = np.array([times, starts], "<i4").tobytes() + codes[:, i].astype("<i2").tobytes()
        of = (b"AD%02d" % i, at + len(body), len(starts), *[0] * 4, 0, 0, rate, 5e-4, n_frames)
        heads.append(struct.pack("<ii64sIi4i4di", 5, 100, *of).ljust(208, b"\0"))
        body += data
    heads.append(struct.pack("<ii64sIi", 1, 100, b"Event", at + len(body), 1).ljust(208, b"\0"))
    end = n_frames + (gap[1] if gap else 0)
    header = struct.pack("<4si256sdiii", b"NEX1", 106, b"", rate, 0, end, n + 1).ljust(544, b"\0")
    path.write_bytes(header + b"".join(heads) + body + struct.pack("<i", 5))
    return path


def write_abf(path: Path, codes: np.ndarray, sweeps: Sequence[int] = ()) -> Path:
    """Axon ABF 2 without gaps, or in ``sweeps`` of so many frames: codes (frames, channels) at 0.05 µV a step."""
    n, block = codes.shape[1], 512
    words = [b"Clampex", *(word for i in range(n) for word in (b"IN %d" % i, b"mV"))]
    strings = b"SSCH".ljust(44, b"\0") + b"\0\0" + b"\0".join(words) + b"\0"
    protocol = bytearray(block)
    struct.pack_into("<hf", protocol, 0, 3 if not len(sweeps) else 5, 1e6 / 20_000)
    struct.pack_into("<ffii", protocol, 110, 10.0, 10.0, 32768, 32768)
    inputs = bytearray(128 * n)
    for i in range(n):
        struct.pack_into("<h", inputs, 128 * i, i)
        for at, value in ((28, 1.0), (40, 10.0 / 32768 / 5e-5), (48, 1.0)):
            struct.pack_into("<f", inputs, 128 * i + at, value)
        struct.pack_into("<ii", inputs, 128 * i + 74, 2 + 2 * i, 3 + 2 * i)
    ends = np.cumsum([0, *sweeps])
    synch = np.array([[2 * first * n, length * n] for first, length in zip(ends, sweeps)], "<i4")
    sections = {0: (protocol, 512, 1), 1: (inputs, 128, n), 9: (strings, len(strings), 1 + 2 * n)}
    sections |= {10: (codes.astype("<i2").tobytes(), 2, codes.size)}
    sections |= {15: (synch.tobytes(), 8, len(sweeps))} if len(sweeps) else {}
    head, body = bytearray(2 * block), b""
    struct.pack_into("<4s4BIIIII", head, 0, b"ABF2", 0, 0, 0, 2, block, max(len(sweeps), 1), 20260101, 0, 0)
    for number, (content, size, entries) in sections.items():
        struct.pack_into("<IIq", head, 76 + 16 * number, 2 + len(body) // block, size, entries)
        body += bytes(content) + bytes(-len(content) % block)
    path.write_bytes(head + body)
    return path


def write_plx(path: Path, codes: np.ndarray, gap: tuple[int, int] | None = None, rate: int = 20_000) -> Path:
    """Plexon 107 with wide-band channels (frames, channels) in blocks of up to 160 frames, and LFP at a 20th of that.

    ``gap``: before which frame, a whole number of blocks, so many frames were not recorded.
    """
    n_frames, n = codes.shape
    head = bytearray(7504)
    struct.pack_into("<Ii", head, 0, 0x58454C50, 107)
    struct.pack_into("<14i", head, 136, rate, 0, 0, 2 * n, 0, 0, 2026, 1, 1, 0, 0, 0, 0, rate)
    struct.pack_into("<BBBBHHH", head, 200, 1, 1, 12, 16, 3000, 5000, 1)
    slow = [(b"WB%02d" % i, i, rate) for i in range(n)] + [(b"FP%02d" % i, n + i, rate // 20) for i in range(n)]
    for name, channel, its_rate in slow:
        head += struct.pack("<32siiiii", name, channel, its_rate, 1000, 1, 1).ljust(296, b"\0")
    for first in range(0, n_frames, 160):
        time = first + (gap[1] if gap and first >= gap[0] else 0)
        for _, channel, its_rate in slow:
            own = codes[first : first + 160, channel % n][:: rate // its_rate].astype("<i2")
            head += struct.pack("<HHIHHHH", 5, 0, time, channel, 0, 1, len(own)) + own.tobytes()
    path.write_bytes(head)
    return path
