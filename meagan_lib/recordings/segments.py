"""A segment that is read from an HDF5 file when asked for, in any process and thread."""

import os
import threading
from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np
import spikeinterface.core as sc

from meagan_lib import InputError
from meagan_lib.recordings.source_file import SourceFile
from meagan_lib.workflow.machine import is_large

EXPORT = "export it as raw with BrainWave"
BETWEEN = 2**13
"""Bytes between two chunks that HDF5 may have put there for itself."""


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

    @property
    def piece_bytes(self) -> int | None:
        """Bytes to ask for at once: of what lies in the system's cache as many as a core's own holds."""
        return None if is_large(os.path.getsize(self.path)) else 2**20

    def read(self, start: int, end: int) -> np.ndarray:
        """Read samples start … end, counted along the rows, into a flat array; an OSError where the file ends early."""
        if self.file is None:  # kept open: of a file that somebody reads on the system fetches more and more ahead
            self.file = SourceFile(self.path)
        runs, size = self._runs(start * self.dtype.itemsize, end * self.dtype.itemsize), self.dtype.itemsize
        if len(runs) == 1:
            samples = self.file.read(*runs[0])
            return (samples if samples.ctypes.data % size == 0 else samples.copy()).view(self.dtype)
        samples, done = np.empty(end - start, self.dtype), 0
        for near in _near(runs):
            piece = self.file.read(near[0][0], near[-1][1])
            for begin, stop in near:
                samples.view(np.uint8)[done : done + stop - begin] = piece[begin - near[0][0] : stop - near[0][0]]
                done += stop - begin
        return samples

    def _runs(self, first: int, last: int) -> list[list[int]]:
        """Return where in the file bytes first … last of the samples begin and end; chunks that touch are one run."""
        runs = []
        while first < last:
            chunk, within = divmod(first, self.chunk)
            n, at = min(self.chunk - within, last - first), int(self.at[chunk]) + within
            if runs and runs[-1][1] == at:
                runs[-1][1] += n
            else:
                runs.append([at, at + n])
            first += n
        return runs


def _near(runs: list[list[int]]) -> list[list[list[int]]]:
    """Divide runs where the next does not follow within ``BETWEEN``: what lies between the others is read as well."""
    found = []
    for run in runs:
        if found and 0 <= run[0] - found[-1][-1][1] <= BETWEEN:
            found[-1].append(run)
        else:
            found.append([run])
    return found
