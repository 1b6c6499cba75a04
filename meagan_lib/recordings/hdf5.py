"""HDF5 files that may be damaged: opened, described and read without a crash, a hang or a huge allocation."""

import struct
from pathlib import Path

import h5py
import numpy as np

from meagan_lib import InputError

HDF5 = b"\x89HDF\r\n\x1a\n"
"""The bytes with which an HDF5 file begins."""
CUT_SHORT = "is cut short or still being written"


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading; an InputError says whether it is no HDF5, or cut short or still being written.

    One that takes anything from other files is refused: they were not named, and nobody hashes them.
    """
    try:
        file = h5py.File(path, "r")
        if elsewhere := _taken_from_elsewhere(file):
            file.close()
            raise InputError(
                f"{path.name} takes {elsewhere} from another file: copy all into one file, as h5repack does"
            )
        return file
    except OSError as error:
        with open(path, "rb") as file:
            start = file.read(len(HDF5))
        if HDF5.startswith(start):
            raise InputError(f"{path.name} {CUT_SHORT}: copy it again when it is finished") from error
        raise InputError(f"{path.name} is not an HDF5 file: check its name") from error


def _taken_from_elsewhere(file: h5py.File) -> str:
    """Name what lies in another file, by a link, as external storage or as a virtual dataset; "" for nothing."""
    found: list[str] = []

    def look(name: bytes, info: h5py.h5l.LinkInfo) -> bool | None:
        if info.type == h5py.h5l.TYPE_EXTERNAL:
            found.append(name.decode(errors="replace"))
        elif isinstance(item := file.get(name), h5py.Dataset) and (item.external or item.is_virtual):
            found.append(item.name)
        return True if found else None

    file.id.links.visit(look, info=True)
    return found[0] if found else ""


def contents(file: h5py.File) -> str:
    """Describe in words what lies at the root of an HDF5 file."""
    there = [f"{name} {item.shape}" if isinstance(item, h5py.Dataset) else f"{name}/" for name, item in file.items()]
    return ", ".join(there[:12] + ["…"] * (len(there) > 12)) or "nothing"


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, for a sentence; of a long one the beginning."""
    line = next(iter(str(error).splitlines()), "no message")
    return line if len(line) <= 160 else f"{line[:160]}…"


def small(dataset: h5py.Dataset) -> np.ndarray:
    """Return the values of a header dataset, which a damaged size must not turn into a read of gigabytes."""
    if dataset.size > 2**22:
        raise ValueError(f"{dataset.name} has {dataset.size} entries")
    return dataset[()]


def text(dataset: h5py.Dataset) -> bytes:
    """Read the one string of a dataset.

    A string of variable length is stored as its length, the address of a heap and an index in it; the heap (``GCOL``)
    is a row of objects (HDF5 file format specification, III.E). It is walked here, because the HDF5 library (2.0)
    crashes on a damaged one, or never returns.
    """
    kind = h5py.check_string_dtype(dataset.dtype)
    if kind is None or dataset.size != 1:
        raise ValueError(f"{dataset.name} is not one string")
    offset = dataset.id.get_offset()
    if kind.length is not None or offset is None:
        return bytes(np.ravel(dataset[()])[0])
    with open(dataset.file.filename, "rb") as raw:
        raw.seek(offset)
        length, address, wanted = struct.unpack("<IQI", raw.read(16))
        raw.seek(address + dataset.file.userblock_size)
        signature, size = struct.unpack("<4s4xQ", raw.read(16))
        heap = raw.read(min(max(size, 16), 2**26) - 16) if signature == b"GCOL" else b""
    position = 0
    while position + 16 <= len(heap):
        index, size = struct.unpack_from("<H6xQ", heap, position)
        if index == wanted and length <= size <= len(heap) - position - 16:
            return heap[position + 16 : position + 16 + length]
        if index == 0:  # free space, which ends the heap
            break
        position += 16 + -(-size // 8) * 8
    raise ValueError(f"{dataset.name} is not where the file says")
