"""Files that appear whole or not at all."""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from math import inf
from pathlib import Path
from threading import Condition
from typing import Self

import yaml
from blake3 import blake3

from meagan_lib import InputError
from meagan_lib.workflow.machine import is_large

DISK_FULL = "the disk is full: free some space and run again; what was finished is kept"
FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where there is no room left: on the disk, or in the user's quota of it."""
SPARE = 2**22
"""Bytes that stay free for what comes with a file, and for what HDF5 has been given and not written yet."""


def is_disk_full(folder: Path, error: Exception | None = None) -> bool:
    """Return whether an ``error`` says that there is no room, or there is none in a folder: torch says nothing."""
    told = [e for e in (error, getattr(error, "__cause__", None)) if e is not None]
    if any(getattr(e, "errno", None) in FULL or any(os.strerror(n) in str(e) for n in FULL) for e in told):
        return True
    space = shutil.disk_usage(existing(folder))  # of a folder that the kernel makes up all is 0
    return not getattr(error, "errno", None) and space.total > 0 and space.free < 2**16


def existing(path: Path) -> Path:
    """Return a path itself, or the nearest folder above it that is there."""
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())


TEMPORARY = re.compile(r"(^|/)\.([^/]+)\.\d+\.part(\.\w+)?$")
"""What is written under a name of its own before it takes its place."""


REFUSED = {
    errno.EROFS: "{} is on a disk that can only be read: make it writable, or work in a folder of your own",
    errno.EACCES: "no right to use {}: change its permissions, or work in a folder of your own",
    errno.ENAMETOOLONG: "{} has a longer name than a file may have: give a shorter one",
    errno.ENOTDIR: "{} cannot be there, for what it would lie in is a file: give another path",
    errno.EEXIST: "{} is a file, and a folder is needed there: give another path",
    errno.EISDIR: "{} is a folder, and a file is needed there: give another path",
    errno.EPERM: "no right to use {}: change its permissions, or work in a folder of your own",
    **dict.fromkeys(FULL, DISK_FULL),
}
"""Sentences for errors of the system, with the place."""


def refusal(error: OSError) -> str:
    """Say in a sentence why the system let nothing be read or written; "" for any other error."""
    place = TEMPORARY.sub(r"\1\2\3", str(error.filename or "a file of the run"))
    return REFUSED.get(error.errno, "").format(place)


def require_room(path: Path, size: int) -> None:
    """Refuse to write ``size`` bytes more at ``path`` where there is no room: HDF5 crashes on a full disk."""
    folder = existing(path.parent)
    space = shutil.disk_usage(folder)
    if space.total and space.free < size + SPARE:
        raise InputError(
            f"the disk is full: {(size + SPARE) / 1e6:,.0f} MB are needed, and {folder} has {space.free / 1e6:,.0f} MB "
            f"free; free some space there and run again"
        )


def _own_number() -> int:
    """Return a number for a temporary file that no other writer has: processes of two containers have the same ones."""
    return secrets.randbits(48)


@contextmanager
def together(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield a temporary path beside each of ``paths``, files or folders; on success move all there, in this order.

    Otherwise all are removed, and what stood there stays. ``InputError``: when the disk is full.
    """
    temporary = [path.with_name(f".{path.stem}.{_own_number()}.part{path.suffix}") for path in paths]
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

    ``InputError``: when the disk is full, or what stands at ``path`` is no file; it stays.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # the like of /dev/null would be replaced
        raise InputError(f"{path} is no file, and one is to be written there: give another path")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{_own_number()}.part")
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


def damaged(path: Path) -> InputError:
    """Return the refusal of a file of a run that does not hold what was written."""
    return InputError(f"{path} is damaged: delete it, and run again what has written it")


def read_json(path: Path, sound: Callable[[dict], bool] = lambda found: True) -> dict:
    """Return the mapping that a file holds as JSON; an empty one where there is no such file.

    ``InputError``: a file that holds none, or one that is not ``sound``.
    """
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not sound(found):
        raise damaged(path)
    return found


class StrictLoader(yaml.SafeLoader):
    """Loads plain YAML in which a mapping has a key once, as the standard demands."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Return the mapping. ``ConstructorError``: a key stands there twice."""
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                problem = f"'{key.value}' stands there twice"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(text: str | bytes, owner: str) -> object:
    """Read YAML.

    ``InputError``: what is no YAML, such as a bracket without its partner, or a key that stands in a mapping twice; the
    sentence begins with its ``owner``.
    """
    try:
        return yaml.load(text, StrictLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a ValueError: February 30 is no date
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        encoded = "it is not in UTF-8" if isinstance(error, yaml.reader.ReaderError) else str(error)
        why = getattr(error, "problem", None) or encoded
        raise InputError(f"{owner} is not YAML{where}: {why}") from error


def read_parameters(path: Path) -> dict:
    """Return the mapping that a file of a run holds as YAML. ``InputError``: a file that holds none."""
    found = read_yaml(path.read_bytes(), str(path))
    if not isinstance(found, dict):
        raise damaged(path)
    return found


def pieces(path: Path) -> Iterator[memoryview]:
    """Yield the bytes of a file, piece by piece; each lasts until the next is asked for."""
    piece = memoryview(bytearray(2**18))
    with open(path, "rb", buffering=0) as file:
        while size := file.readinto(piece):
            yield piece[:size]


def digest(path: Path | str, kind: Callable, read: Callable[[Path], Iterator[memoryview]] = pieces) -> str:
    """Return the hexadecimal hash of a file; of a folder, that of the names and hashes of its files."""
    found, path = kind(), Path(path)
    if path.is_dir():
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            found.update(f"{digest(file, kind, read)} {file.relative_to(path).as_posix()}\n".encode())
    else:
        for piece in read(path):
            found.update(piece)
    return found.hexdigest()


def sha256(path: Path | str) -> str:
    """Return the :func:`digest` by SHA-256."""
    return digest(path, hashlib.sha256)


def source_hash(path: Path | str, read: Callable[[Path], Iterator[memoryview]] = pieces) -> str:
    """Return ``blake3:`` and the :func:`digest` by BLAKE3 of what was recorded.

    Recordings are large, and SHA-256 would take as long as all else that is done with one. O'Connor et al. 2020,
    github.com/BLAKE3-team/BLAKE3.
    """
    return f"blake3:{digest(path, blake3, read)}"


followers: dict[str, Callable[[int, memoryview], None]] = {}
"""By the real path of a source: who is told of offset and bytes of all that is read of it."""


class Hashing:
    """The :func:`source_hash` of files and folders, by a thread, while somebody else reads them: once from the disk.

    The thread takes what the reader of a :class:`~meagan_lib.recordings.source_file.SourceFile` gets. Of others it
    stays behind the share of the whole that is told to :meth:`reached`, and finds what was read in the system's cache;
    of those that would fill that cache nobody reads on what has been hashed: it is forgotten, for to find room for the
    rest takes longer than to read it. Leaving the block stops the thread, finished or not.
    """

    FORGOTTEN = 2**26
    """Bytes that the system's cache is told to forget at once."""
    WAITING = 2**25
    """Bytes that have been read and not yet hashed, for which the reader waits."""

    def __init__(self, paths: Sequence[Path | str]):
        self.paths, self.before = [Path(path) for path in paths], [state_of(Path(path)) for path in paths]
        self.total = sum(size for of_path in self.before for size, _ in of_path.values())
        self.large = is_large(self.total)
        self.done, self.limit, self.turn = 0, 0, Condition()
        self.told, self.current = deque(), None
        self.pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self.hashes = self.pool.submit(lambda: [source_hash(path, self._pieces) for path in self.paths])
        return self

    def __exit__(self, *_: object) -> None:
        with self.turn:
            self.limit = -1
            self.turn.notify_all()
        self.pool.shutdown()

    @contextmanager
    def _following(self, path: str) -> Iterator[None]:
        self.current, followers[path] = path, partial(self._take, path)
        try:
            yield
        finally:
            with self.turn:
                followers.pop(path, None)
                self.current = None
                self.told.clear()
                self.turn.notify_all()

    def _take(self, path: str, begin: int, piece: memoryview) -> None:
        """Take what was read of a file; wait while much else of it is to be hashed before."""
        with self.turn:
            self.turn.wait_for(
                lambda: self.current != path or self.limit < 0 or sum(len(p) for _, p in self.told) < self.WAITING
            )
            if self.current == path:
                self.told.append((begin, piece))
                self.turn.notify_all()

    def _pieces(self, path: Path) -> Iterator[memoryview]:
        at, forgotten, size, own = 0, 0, path.stat().st_size, memoryview(bytearray(2**18))
        with open(path, "rb", buffering=0) as file, self._following(os.path.realpath(path)):
            while at < size:
                with self.turn:
                    self.turn.wait_for(lambda: self.told or self.limit < 0 or self.done < self.limit)
                    if self.limit < 0:
                        raise CancelledError
                    begin, piece = self.told[0] if self.told else (size, own)
                    if begin <= at:
                        self.told.popleft()
                        self.turn.notify_all()
                if begin <= at:
                    piece = piece[at - begin :]
                else:  # nobody has read what comes next, or it lies in the system's cache
                    file.seek(at)
                    piece = own[: file.readinto(own[: begin - at])]
                    if not piece:
                        return
                yield piece
                at += len(piece)
                self.done += len(piece)
                if self.large and at - forgotten >= self.FORGOTTEN and hasattr(os, "posix_fadvise"):
                    os.posix_fadvise(file.fileno(), forgotten, at - forgotten, os.POSIX_FADV_DONTNEED)
                    forgotten = at

    def reached(self, share: float) -> None:
        """Say that this share, up to 1, has been read."""
        with self.turn:
            self.limit = int(share * self.total) if share < 1 else inf
            self.turn.notify_all()

    def finish(self) -> list[str]:
        """Return the hashes, in the order of the paths. ``InputError``: a file was written to in the meantime."""
        self.reached(1)
        hashes = self.hashes.result()
        for path, state in zip(self.paths, self.before):
            if state_of(path) != state:
                raise InputError(f"{path.name} changed while it was read: run again when nothing writes to it")
        return hashes


def state_of(path: Path, but: Container[str] = ()) -> dict[str, list[int]]:
    """Return size and time of change of a file, or of the files of a folder by name: they change with what is written.

    ``but``: names at the top of the folder that do not count.
    """
    found = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    files = {file.relative_to(path): file.stat() for file in found}
    return {str(name): [its.st_size, its.st_mtime_ns] for name, its in files.items() if not {*name.parts[:1]} & {*but}}


WRITTEN = "export.json"
"""In a folder that was exported: what :func:`state_of` it was."""
OF_LOOKING = (WRITTEN, ".phy", "phy.log")
"""What does not count of it: phy leaves some of that in a folder that it has only shown."""


@contextmanager
def exported(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; on success it takes the place of ``folder``, as :func:`together` does.

    ``InputError``: there is another folder, or an earlier export in which somebody has worked since.
    """
    folder = folder.absolute()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        kept = {}
        with suppress(InputError):
            kept = read_json(folder / WRITTEN)
        if not kept or kept != state_of(folder, OF_LOOKING):
            raise InputError(f"{folder} is there, and not as an export wrote it: give another --out, or move it away")
    with together([folder]) as (temporary,):
        yield temporary
        temporary.mkdir(exist_ok=True)
        write_json(temporary / WRITTEN, state_of(temporary, OF_LOOKING))
