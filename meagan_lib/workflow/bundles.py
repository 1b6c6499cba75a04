"""Run bundles: a run in one zip file, which draws its figures again without the recording.

``bundle.json`` says what the file holds; ``figures/`` are manifests and drawings of the run and of its recordings, and
``results/`` what its book shows besides. A bundle may come from a stranger: nothing of it is executed or unpickled, no
name leads out of the folder that it is written to, and only drawing functions of :mod:`meagan_lib.plots` are called.
"""

import io
import json
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from meagan_lib import InputError
from meagan_lib.workflow import drawings, figures
from meagan_lib.workflow.files import atomic, write_json

ABOUT, MANIFEST = "bundle.json", "manifest.json"
FORMAT = "run bundle of MEAGAN"
VERSION = 1
LARGEST = 2**31
"""Bytes that a bundle may take when it is unpacked."""
NAME = re.compile(r"(figures|results)(/[\w-][\w.-]*)+\.(json|yaml|csv|ipynb|npz|png|gif|safetensors|h5)")
"""What a member may be called: folders that only lead down, and a kind of file that is never executed."""
PACKED = (".npz", ".png", ".gif")
"""Kinds of files that are compressed already."""


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: the run's name and whatever else it says of itself, and its members."""

    about: dict
    members: zipfile.ZipFile

    @property
    def run(self) -> str:
        """The name of the run."""
        return self.about["run"]

    @property
    def names(self) -> list[str]:
        """The names of its files."""
        return [name for name in self.members.namelist() if name != ABOUT]

    def read(self, name: str) -> bytes:
        """Return a file; ``InputError`` where it is damaged."""
        try:
            return self.members.read(name)
        except drawings.DAMAGED as error:
            raise InputError(f"{Path(self.members.filename).name} is damaged: {error}") from error

    def drawing(self, where: str, id: str) -> bytes | None:
        """Return what draws a figure of a folder again; None where nothing is kept of it."""
        name = member("figures", where, "drawings", f"{id}.npz")
        return self.read(name) if name in self.names else None

    def manifests(self) -> dict[str, dict[str, dict]]:
        """Return the manifest of the figures in each folder, ``""`` for the run's own; ``InputError``: damaged."""
        found = {}
        for name in self.names:
            if name.startswith("figures/") and name.endswith(f"/{MANIFEST}"):
                where = name.removeprefix("figures/").removesuffix(MANIFEST).rstrip("/")
                found[where] = json_object(self.read(name), name)
                if wrong := [id for id, line in found[where].items() if not is_line(id, line)]:
                    raise InputError(f"{name} in the bundle is damaged: {wrong[0]!r} is no figure")
        if not found:
            raise InputError(f"{Path(self.members.filename).name} is damaged: it has no figures")
        return found


@dataclass
class Redrawn:
    """What became of the figures of a bundle: by folder and id those with the bits of the run, and the others."""

    same: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    as_pictures: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.same) + len(self.other)


def member(*parts: str) -> str:
    """Name a file of a bundle; parts that are empty are left out."""
    return "/".join(filter(None, parts))


def is_line(id: str, line: object) -> bool:
    """Return whether these can be the id and the line of a figure in a manifest."""
    if not (re.fullmatch(r"\w+", id) and isinstance(line, dict)):
        return False
    return all(isinstance(line.get(key), str) for key in ("caption", "chapter", "notebook"))


def json_object(content: bytes, name: str) -> dict:
    """Return the mapping that a file of a bundle holds as JSON; ``InputError``: it holds none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} in the bundle is damaged: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{name} in the bundle is damaged: no mapping")
    return found


def made_with() -> dict[str, str]:
    """Return the versions of the libraries that draw: with the same ones, the same machine gives the same bits."""
    return {library: version(library) for library in ("numpy", "matplotlib", "pillow", "seaborn")}


def write(path: Path, about: Mapping[str, object], files: Mapping[str, bytes]) -> None:
    """Write a bundle, atomically; the same content gives the same bytes, for order and dates are fixed.

    ``InputError``: a full disk, or a file there that is no bundle.
    """
    if path.exists():
        try:
            with opened(path):
                pass
        except InputError as error:
            raise InputError(f"{path} is there, and no bundle that could be replaced: give another --out") from error
    about = {"format": FORMAT, "version": VERSION, "made_with": made_with()} | dict(about)
    told = json.dumps(about, indent=1, sort_keys=True, ensure_ascii=False).encode()
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as members:
        for name, content in [(ABOUT, told), *sorted(files.items())]:
            member = zipfile.ZipInfo(name)  # of 1980
            member.external_attr = 0o644 << 16
            kind = zipfile.ZIP_STORED if name.endswith(PACKED) else zipfile.ZIP_DEFLATED
            members.writestr(member, content, kind, 9)


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """Yield a bundle.

    ``InputError``: no file, a damaged or a foreign one, one of a newer version, or names that lead elsewhere.
    """
    if not path.is_file():
        raise InputError(f"there is no bundle {path}: meagan bundle NAME makes one of a run")
    try:
        members = zipfile.ZipFile(path)
    except drawings.DAMAGED as error:
        raise InputError(f"{path.name} is damaged, or no bundle: {error}") from error
    with members:
        names, size = members.namelist(), sum(member.file_size for member in members.infolist())
        if ABOUT not in names:
            raise InputError(f"{path.name} is a zip file, but no bundle that meagan bundle has made")
        about = json_object(Bundle({}, members).read(ABOUT), ABOUT)
        if about.get("format") != FORMAT or not isinstance(about.get("version"), int):
            raise InputError(f"{path.name} is a zip file, but no bundle that meagan bundle has made")
        if about["version"] > VERSION:
            raise InputError(f"{path.name} is of a newer version of this project: update, then try again")
        if not isinstance(about.get("run"), str) or not re.fullmatch(r"\w[\w.-]{,99}", about["run"]):
            raise InputError(f"{path.name} is refused: it does not say of which run it is")
        if wrong := [name for name in names if name != ABOUT and not NAME.fullmatch(name)]:
            raise InputError(f"{path.name} is refused: it holds {wrong[0]!r}, which no bundle has")
        if len(set(names)) < len(names) or size > LARGEST:
            raise InputError(f"{path.name} is refused: it holds a file twice, or unfolds to {size / 1e9:.1f} GB")
        yield Bundle(about, members)


def redraw(bundle: Bundle, out: Path) -> Redrawn:
    """Draw all figures of a bundle again: pictures, plotted arrays and manifests, as ``figures/<run>`` has them.

    Those that no drawing function has made are there as the pictures that the bundle has. A figure that cannot be drawn
    is among those ``failed``, with the reason, and the others are drawn. ``InputError``: a damaged bundle, a full disk.
    """
    told = Redrawn()
    for where, manifest in bundle.manifests().items():
        lines = {}
        for id, line in manifest.items():
            name = f"{where}/{id}".lstrip("/")
            content = bundle.drawing(where, id)
            if content is None:
                lines[id] = line
                told.as_pictures.append(name)
                copy_pictures(bundle, where, id, out / where)
                continue
            try:
                drawn = draw(content, id)
            except InputError as error:
                told.failed[name] = str(error)
                continue
            lines[id] = line | figures.write(id=id, target=out / where, **drawn)
            (told.same if lines[id] == line else told.other).append(name)
        write_json(out / where / MANIFEST, lines)
    return told


def draw(content: bytes, id: str) -> dict[str, object]:
    """Draw a figure again; return it as :func:`figures.write` takes it, with its data, stamp and animation.

    ``InputError``: the drawing is damaged, or its function refuses the arguments.
    """
    kept = drawings.loaded(io.BytesIO(content), f"the drawing of '{id}'")
    try:
        with warnings.catch_warnings(action="ignore"):
            fig, moving = kept.figure(), kept.animation and kept.animation()
    except Exception as error:  # whatever a function says of arguments that another version has kept, or a stranger
        raise InputError(f"{kept.figure.function} does not draw it here: {type(error).__name__}: {error}") from error
    return {"fig": fig, "data": kept.data, "stamp": kept.stamp, "animation": moving}


def copy_pictures(bundle: Bundle, where: str, id: str, target: Path) -> None:
    """Copy the pictures that a bundle has of a figure into a folder."""
    for suffix in (".png", ".gif"):
        name = member("figures", where, f"{id}{suffix}")
        if name in bundle.names:
            with atomic(target / f"{id}{suffix}") as temporary:
                temporary.write_bytes(bundle.read(name))


def failure(told: Redrawn) -> str:
    """Say which figures could not be drawn, and why."""
    words = "; ".join(f"{id}: {why}" for id, why in told.failed.items())
    return f"{len(told.failed)} figures cannot be drawn: {words}; a checkout of the bundle's own version may do it"
