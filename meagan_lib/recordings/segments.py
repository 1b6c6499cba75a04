"""A segment that is read from an HDF5 file when asked for, in any process and thread."""

import os
import threading
from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np
import spikeinterface.core as sc

from meagan_lib import InputError

EXPORT = "export it as raw with BrainWave"


class FileSegment(sc.BaseRecordingSegment):
    """A segment with a file that is opened on first use, what was ``kept`` of it, and a ``lock`` for both."""

    def __init__(self, path: Path, rate_hz: float, begun_s: float, n_frames: int):
        super().__init__(rate_hz, t_start=begun_s)
        self.path, self.n_frames = path, n_frames
        self._begin()

    def _begin(self) -> None:
        self.file, self.kept, self.lock = None, OrderedDict(), threading.RLock()

    def __getstate__(self):  # open files and locks cannot go to another process: they are made again there
        return {name: value for name, value in self.__dict__.items() if name not in ("file", "kept", "lock")}

    def __setstate__(self, state: dict):
        self.__dict__.update(state)
        self._begin()

    def get_num_samples(self) -> int:
        """Count the frames."""
        return self.n_frames

    def guarded(self, read, *arguments):
        """Return what ``read`` does of the open file, alone; an InputError says that it is damaged."""
        try:
            with self.lock:
                self.file = self.file or h5py.File(self.path, "r")
                return read(*arguments)
        except InputError:
            raise
        except Exception as error:  # a damaged HDF5 file raises anything
            raise InputError(f"{self.path.name} is damaged, its samples cannot be read: copy it again") from error


class Uncompressed:
    """A dataset whose bytes lie in a file as they are: they are read without HDF5, which takes twice the time.

    ``dataset`` is flat, or its chunks take whole rows. ``at`` is None where HDF5 has to read: what is compressed or
    stored elsewhere, and what lacks chunks.
    """

    def __init__(self, dataset: h5py.Dataset):
        self.at, self.path, self.dtype, self.chunk = None, dataset.file.filename, dataset.dtype, dataset.nbytes
        self.file = None
        create = dataset.id.get_create_plist()
        if create.get_nfilters() or create.get_external_count() or dataset.file.userblock_size:
            return
        if dataset.chunks is None:
            begin = dataset.id.get_offset()
            self.at = None if begin is None else np.array([begin])
        elif dataset.chunks[1:] == dataset.shape[1:]:
            stored = []
            dataset.id.chunk_iter(stored.append)
            self.chunk = int(np.prod(dataset.chunks)) * self.dtype.itemsize
            if len(stored) == -(-dataset.shape[0] // dataset.chunks[0]):
                self.at = np.array([chunk.byte_offset for chunk in sorted(stored, key=lambda c: c.chunk_offset)])

    def __getstate__(self):  # an open file cannot go to another process: it is opened again there
        return self.__dict__ | {"file": None}

    def read(self, start: int, end: int) -> np.ndarray:
        """Read samples start … end, counted along the rows, into a flat array; an OSError where the file ends early."""
        samples = np.empty(end - start, self.dtype)
        into, first = memoryview(samples).cast("B"), start * self.dtype.itemsize
        if self.file is None:  # kept open: of a file that somebody reads on the system fetches more and more ahead
            self.file = open(self.path, "rb", buffering=0)  # noqa: SIM115
        file, done = self.file, 0
        while done < len(into):
            chunk, within = divmod(first + done, self.chunk)
            n = os.preadv(file.fileno(), [into[done : done + self.chunk - within]], self.at[chunk] + within)
            if not n:
                raise OSError(f"the file ends before its byte {self.at[chunk] + within}")
            done += n
        return samples
