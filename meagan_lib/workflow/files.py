"""Files that appear whole or not at all."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meagan_lib import InputError

DISK_FULL = "the disk is full: free some space and run again; what was finished is kept"


def is_disk_full(error: Exception, folder: Path) -> bool:
    """Return whether a failed write failed for want of space. Libraries word it in their own ways, torch not at all."""
    stated = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
    folder = next(f for f in (folder.absolute(), *folder.absolute().parents) if f.exists())
    return stated or shutil.disk_usage(folder).free < 2**16


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it there on success, remove it otherwise.

    A reader therefore never sees half a file, whatever interrupts the writer, and whoever the umask lets may read it.

    Raises
    ------
    InputError
        When the disk is full; what stood at ``path`` stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        mode = default_mode(temporary)
        yield temporary
        temporary.chmod(mode)
        os.replace(temporary, path)
    except Exception as error:
        if is_disk_full(error, path.parent):
            raise InputError(
                f"the disk is full: {path.name} was not written, what stood there before is untouched; "
                f"free some space under {path.parent} and run again"
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def default_mode(path: Path) -> int:
    """Find the mode of a new file ``path``, which must not be there: libraries such as safetensors ignore the umask."""
    path.touch()
    mode = path.stat().st_mode & 0o777
    path.unlink()
    return mode


def write_json(path: Path | str, content: object) -> None:
    """Write ``content`` as JSON, atomically, with sorted keys."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def sha256(path: Path | str) -> str:
    """Return the hexadecimal SHA-256 of a file; of a folder, that of the names and hashes of its files."""
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        listing = "".join(f"{sha256(file)} {file.relative_to(path).as_posix()}\n" for file in files)
        return hashlib.sha256(listing.encode()).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
