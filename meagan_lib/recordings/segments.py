"""A segment that is read from an HDF5 file when asked for, in any process and thread."""

import threading
from collections import OrderedDict
from pathlib import Path

import h5py
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
