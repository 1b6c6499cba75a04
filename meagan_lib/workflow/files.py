"""Files that appear whole or not at all."""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from meagan_lib import InputError

DISK_FULL = "the disk is full: free some space and run again; what was finished is kept"
FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where there is no room left: on the disk, or in the user's quota of it."""
SPARE = 2**20
"""Bytes that stay free for what comes with a file."""


def is_disk_full(folder: Path, error: Exception | None = None) -> bool:
    """Return whether there is no room in a folder, or an ``error`` says so: libraries word it variously, torch not."""
    told = [e for e in (error, getattr(error, "__cause__", None)) if e is not None]
    stated = any(getattr(e, "errno", None) in FULL or any(os.strerror(n) in str(e) for n in FULL) for e in told)
    return stated or shutil.disk_usage(existing(folder)).free < 2**16


def existing(path: Path) -> Path:
    """Return a path itself, or the nearest folder above it that is there."""
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())


TEMPORARY = re.compile(r"(^|/)\.([^/]+)\.\d+\.part(\.\w+)?$")
"""What is written under a name of its own before it takes its place."""


def refusal(error: OSError) -> str:
    """Say in a sentence why the system let nothing be written; "" for any other error."""
    place = TEMPORARY.sub(r"\1\2\3", str(error.filename or "a file of the run"))
    elsewhere = "or work in a folder of your own"
    if error.errno in FULL:
        return DISK_FULL
    if error.errno == errno.EROFS:
        return f"{place} is on a disk that can only be read: make it writable, {elsewhere}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"no right to use {place}: change its permissions, {elsewhere}"
    return ""


def require_room(path: Path, size: int) -> None:
    """Refuse to write ``size`` bytes more at ``path`` where there is no room: HDF5 crashes on a full disk."""
    folder = existing(path.parent)
    if (free := shutil.disk_usage(folder).free) < size + SPARE:
        raise InputError(
            f"the disk is full: {size / 1e6:,.0f} MB are to be written, and {folder} has {free / 1e6:,.0f} MB free; "
            f"free some space there and run again"
        )


@contextmanager
def together(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield a temporary path beside each of ``paths``, files or folders; on success move all there, in this order.

    Otherwise all are removed, and what stood there stays. ``InputError``: when the disk is full.
    """
    temporary = [path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}") for path in paths]
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        for path, made in zip(paths, temporary):
            if path.is_dir():
                shutil.rmtree(path)
            os.replace(made, path)
    except Exception as error:
        if is_disk_full(paths[-1].parent, error):
            raise InputError(
                f"the disk is full: {paths[-1].name} was not written, what stood there before is untouched; "
                f"free some space under {paths[-1].parent} and run again"
            ) from error
        raise
    finally:
        for made in temporary:
            if made.is_dir():
                shutil.rmtree(made, ignore_errors=True)
            else:
                made.unlink(missing_ok=True)


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it there on success, remove it otherwise.

    A reader therefore never sees half a file, whatever interrupts the writer, and whoever the umask lets may read it.

    ``InputError``: when the disk is full; what stood at ``path`` stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.touch()  # its mode is that of a new file: libraries such as safetensors ignore the umask
        mode = temporary.stat().st_mode & 0o777
        temporary.unlink()
        yield temporary
        temporary.chmod(mode)
        os.replace(temporary, path)
    except Exception as error:
        if is_disk_full(path.parent, error):
            raise InputError(
                f"the disk is full: {path.name} was not written, what stood there before is untouched; "
                f"free some space under {path.parent} and run again"
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_if_changed(path: Path, content: str) -> None:
    """Write a text, atomically, only when it is new: its time is what tells the graph that a parameter changed."""
    if not path.is_file() or path.read_text() != content:
        with atomic(path) as temporary:
            temporary.write_text(content)


def write_json(path: Path | str, content: object) -> None:
    """Write ``content`` as JSON, atomically, with sorted keys."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def read_json(path: Path) -> dict:
    """Return the mapping that a file holds as JSON; an empty one where there is no such file."""
    return json.loads(path.read_text()) if path.is_file() else {}


def sha256(path: Path | str) -> str:
    """Return the hexadecimal SHA-256 of a file; of a folder, that of the names and hashes of its files."""
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        listing = "".join(f"{sha256(file)} {file.relative_to(path).as_posix()}\n" for file in files)
        return hashlib.sha256(listing.encode()).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
