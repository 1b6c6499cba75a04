"""Bytes of the files that were recorded, read once for all who want them.

What is larger than half of the memory is read past the system's cache, which cannot hold it: to make room there takes
a core as long as to filter. What a reader gets is also told to whoever follows the file, such as its hash.
"""

import mmap
import os
import weakref
from contextlib import suppress

import numpy as np

from meagan_lib.workflow.files import followers
from meagan_lib.workflow.machine import is_large

PAGE = 4096
"""Past the cache, disks take addresses, offsets and sizes that are multiples of it."""
HUGE_PAGE = 2**21
"""Of memory: into such pages a disk writes megabytes at a time, into scattered small ones an eighth of that."""
KEPT = 2**25
"""Bytes of the largest room that is used again."""


class SourceFile:
    """A file that is read piece by piece: past the system's cache if it is large, and system and disk can.

    Several threads may read at once. Pieces are read-only, for somebody may follow them.
    """

    def __init__(self, path: str):
        self.path, self.rooms = os.path.realpath(path), []
        self.direct = getattr(os, "O_DIRECT", 0) if is_large(os.path.getsize(path)) else 0
        try:
            self._open()
        except OSError:  # a disk that has no other way than the cache
            self.direct = 0
            self._open()

    def _open(self) -> None:
        self.file = open(self.path, "rb", buffering=0, opener=lambda p, flags: os.open(p, flags | self.direct))  # noqa: SIM115
        if self.direct:
            self.read(0, 1)

    def read(self, begin: int, end: int) -> np.ndarray:
        """Read bytes begin … end, uint8 (bytes,); an OSError where the file ends early."""
        unit = PAGE if self.direct else 1
        first = begin - begin % unit
        size = -(-end // unit) * unit - first
        room = self._room(size) if self.direct else np.empty(size, np.uint8)
        into, done = memoryview(room)[:size], 0
        while first + done < end:
            n = os.preadv(self.file.fileno(), [into[done:]], first + done)
            done += n
            if not n or (done % unit and first + done < end):
                raise OSError(f"the file ends before its byte {end}")
        piece = room[begin - first : end - first]
        piece.flags.writeable = False
        if follower := followers.get(self.path):
            follower(begin, memoryview(piece))
        return piece

    def _room(self, size: int) -> np.ndarray:
        """Return room uint8 (at least size,) in huge pages, which is used again when nobody sees it any more."""
        room = b""
        with suppress(IndexError):
            room = self.rooms.pop()
        if len(room) < size:
            room = mmap.mmap(-1, -(-size // HUGE_PAGE) * HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            if hasattr(mmap, "MADV_HUGEPAGE"):
                room.madvise(mmap.MADV_HUGEPAGE)
        seen = np.frombuffer(room, np.uint8)
        if len(room) <= KEPT:
            weakref.finalize(seen, self.rooms.append, room)
        return seen
