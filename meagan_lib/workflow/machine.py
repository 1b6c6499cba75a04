"""What a job may use of its machine: cores, memory, and a folder of its own for what other libraries keep."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from meagan_lib import caches

REMOTE = "MEAGAN_REMOTE"
"""Environment variable: this job was started by a scheduler, with other jobs on its machine."""
CORES = "MEAGAN_CORES"
"""Environment variable: how many cores such a job has."""


def available_cores() -> int:
    """Return how many cores this process may use, which may be fewer than the machine has."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(os.environ.get(CORES, allowed))


def is_large(size: int) -> bool:
    """Return whether so many bytes would fill the system's cache of files: more than half of the memory."""
    return size > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2


@contextmanager
def place_of_its_own() -> Iterator[None]:
    """Give a job that a scheduler started its cores, and a folder on its machine for caches, until the block ends.

    Jobs that run side by side would otherwise write into the same caches on a shared disk, or into a home that is not
    there, and would each take all cores that they see, where the scheduler does not bind them.
    """
    if REMOTE not in os.environ:
        yield
        return
    cores = os.environ.get("OMP_NUM_THREADS", "1")  # Snakemake sets it to the threads of the rule
    with tempfile.TemporaryDirectory(prefix="meagan-", ignore_cleanup_errors=True) as folder:
        own = caches(Path(folder)) | {"NUMBA_CACHE_DIR": folder, "NUMBA_NUM_THREADS": cores, CORES: cores}
        with patch.dict(os.environ, own):
            yield
