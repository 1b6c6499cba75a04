"""MATLAB files of any version, whose damage must not crash the process that reads them.

Versions 5 to 7 are a row of elements (MAT-File Format, MathWorks): type and size as 32-bit numbers, or both in the
first four bytes where at most four follow; content, up to a multiple of 8 bytes. A matrix is made of elements, a
compressed one is one element; scipy takes a type as an index into a table without looking (1.17).
"""

import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import scipy.io

from meagan_lib import InputError
from meagan_lib.recordings.hdf5 import open_hdf5

TYPES = range(1, 19)
CLASSES = range(1, 20)
FLAGS, MATRIX, COMPRESSED = 6, 14, 15
DEEPEST = 32
_ORDER = {b"IM": "<", b"MI": ">"}


def read_matlab(path: Path) -> dict[str, np.ndarray | list[np.ndarray]]:
    """Read a MATLAB file of any version: name → array as MATLAB has it, or, of a cell array, list of these.

    Of a sparse matrix of version 7.3 only the number of rows is read.

    ``InputError``: elements that are of no type, or that reach beyond one another. Other damage raises anything.
    """
    if not h5py.is_hdf5(path):
        content = path.read_bytes()
        if content[126:128] in _ORDER:  # version 5 to 7; version 4 has no such header
            _require_elements(memoryview(content)[128:], _ORDER[content[126:128]], path.name)
        found = {name: value for name, value in scipy.io.loadmat(path).items() if not name.startswith("__")}
        return {name: list(value.ravel("F")) if value.dtype == object else value for name, value in found.items()}

    def read(stored: h5py.Dataset | h5py.Group) -> np.ndarray | list[np.ndarray]:
        if isinstance(stored, h5py.Group):
            return np.zeros((int(stored.attrs.get("MATLAB_sparse", 0)), 0))
        if h5py.check_ref_dtype(stored.dtype):
            return [read(file[cell]) for cell in stored[()].ravel()]
        if stored.attrs.get("MATLAB_class") == b"char":
            return np.array("")
        return np.zeros((0, 0)) if "MATLAB_empty" in stored.attrs else np.atleast_2d(stored[()]).T

    with open_hdf5(path) as file:
        return {name: read(stored) for name, stored in file.items() if not name.startswith("#")}


def _require_elements(content: memoryview, order: str, name: str, depth: int = 0) -> None:
    """Refuse elements that cannot be: scipy would crash, or read elsewhere in memory."""
    at = 0
    while at < len(content):
        if len(content) - at < 8 or depth > DEEPEST:
            raise InputError(f"{name} is damaged, or cut short, in the middle of a variable: copy it again")
        kind, size = struct.unpack_from(f"{order}II", content, at)
        start = at + 8
        if kind >> 16:  # of at most four bytes
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
        if kind not in TYPES or size > (len(content) - start if start == at + 8 else 4):
            raise InputError(f"{name} is damaged, or cut short: it has an element of type {kind} and {size} bytes")
        own = content[start : start + size]
        if kind == COMPRESSED:
            _require_elements(memoryview(zlib.decompress(own)), order, name, depth + 1)
        elif kind == MATRIX:
            _require_matrix(own, order, name, depth)
        at = start + size + (0 if kind == COMPRESSED else -size % 8) if start == at + 8 else at + 8


def _require_matrix(content: memoryview, order: str, name: str, depth: int) -> None:
    """Refuse a matrix whose first element does not name a class, or whose elements cannot be."""
    if len(content) >= 12 and struct.unpack_from(f"{order}I", content)[0] == FLAGS:
        kind = struct.unpack_from(f"{order}I", content, 8)[0] & 0xFF
        if kind not in CLASSES:
            raise InputError(f"{name} is damaged: it has a variable of class {kind}, which there is not; copy it again")
    _require_elements(content, order, name, depth + 1)
