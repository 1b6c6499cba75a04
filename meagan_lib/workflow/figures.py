"""The registry of figures: every figure has an id, a chapter, a notebook and a caption in ``figures/registry.yaml``.

``save_figure`` writes ``figures/<run>/<id>.png`` and ``.svg``, the plotted arrays as ``<id>.npz``, what draws it again
as ``drawings/<id>.npz``, and a line in ``figures/<run>/manifest.json``.
"""

import base64
import fcntl
import hashlib
import html
import io
import os
import re
import shutil
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from meagan_lib import ROOT, InputError, did_you_mean
from meagan_lib.workflow import drawings
from meagan_lib.workflow.files import atomic, read_json, sha256, write_json

if TYPE_CHECKING:  # the command and the jobs of a run, which draw nothing, need not wait for it
    from matplotlib.figure import Figure

REGISTRY_FILE = ROOT / "figures" / "registry.yaml"
STAGING = "MEAGAN_STAGING"
"""Environment variable: a folder in which a notebook's figures wait until the notebook has succeeded."""
PICTURES = {".png": "picture", ".svg": "vector picture", ".gif": "animation"}
NEGATIVE = re.compile(r"(?<![\w{^$)])-\d[\d.]*")
"""A negative number in words: no range, no date, no part of a formula."""


@dataclass(frozen=True)
class Entry:
    """A registered figure."""

    chapter: str
    notebook: str
    caption: str
    needs: str = ""
    """What a run may lack, such as the truth of a simulation: without it the figure is not missed."""


@dataclass(frozen=True)
class SavedFigure:
    """A figure on disk; a notebook shows it with its caption."""

    png: Path
    caption: str

    def __repr__(self) -> str:  # the same wherever the notebook was executed
        return f"SavedFigure(png=Path('{self.png.name}'))"

    def _repr_html_(self) -> str:
        moving = self.png.with_suffix(".gif")
        return self.html(moving if moving.is_file() else self.png)

    def html(self, picture: Path) -> str:
        """Return a ``picture`` of it with the caption as HTML."""
        shown, caption = embedded(picture.read_bytes(), picture.suffix[1:], self.caption), html.escape(self.caption)
        return f'<figure style="margin:0;max-width:900px">{shown}<figcaption><i>{caption}</i></figcaption></figure>'


def embedded(picture: bytes, kind: str, words: str, style: str = "width:100%") -> str:
    """Return an HTML image that holds the ``picture`` itself, of a kind such as ``png``, with an alternative text."""
    encoded = base64.b64encode(picture).decode()
    return f'<img style="{style}" alt="{html.escape(words)}" src="data:image/{kind};base64,{encoded}">'


@cache
def registry() -> dict[str, Entry]:
    """Return all registered figures, by id."""
    return {id: Entry(**fields) for id, fields in yaml.safe_load(REGISTRY_FILE.read_text()).items()}


def entry(id: str) -> Entry:
    """Return the registered figure ``id``.

    ``InputError``: an id that is not registered, with the nearest that is.
    """
    if id not in registry():
        raise InputError(
            f"figure '{id}' is not registered{did_you_mean(id, registry())}; "
            f"give it a chapter, a notebook and a caption in figures/registry.yaml"
        )
    return registry()[id]


def figures_of(notebook: str) -> list[str]:
    """Return the ids of the figures that a notebook (its stem) must produce."""
    return [id for id, e in registry().items() if e.notebook == notebook]


def folder(run: str) -> Path:
    """Return where the figures of a run lie."""
    return ROOT / "figures" / run


def files(of: Path, id: str) -> list[Path]:
    """Return the files of a figure in a folder: pictures and data."""
    return [path for suffix in (*PICTURES, ".npz") if (path := of / f"{id}{suffix}").is_file()]


def files_with_drawing(of: Path, id: str) -> list[Path]:
    """Return the files of a figure in a folder, and what draws it again, where that is known."""
    return files(of, id) + [path for path in [drawings.place(of, id)] if path.is_file()]


def save_figure(
    fig: "Figure", id: str, *, run: str, data: dict[str, np.ndarray], stamp: str = "", animation: bytes | None = None
) -> SavedFigure:
    """Save a figure of a run under its registered id, with the ``data`` that it shows.

    ``stamp``: a few words for the lower right corner, such as "quick run". ``animation``: the same figure in motion, as
    the bytes of a GIF, saved beside it.
    """
    e = entry(id)
    target = Path(os.environ.get(STAGING) or folder(run))
    hashes = write(fig, id, target, data, stamp, animation)
    line = {"chapter": e.chapter, "notebook": e.notebook, "caption": e.caption, "run": run} | hashes
    with _changing_manifest(target) as lines:
        lines[id] = line
    return SavedFigure(target / f"{id}.png", e.caption)


def write(
    fig: "Figure",
    id: str,
    target: Path,
    data: Mapping[str, np.ndarray],
    stamp: str = "",
    animation: bytes | None = None,
) -> dict[str, str]:
    """Write the files of a figure, and what draws it again, to a folder; return the hashes for its manifest."""
    put_stamp(fig, stamp)
    set_minus_signs(fig)
    settle_layout(fig)
    for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
        with atomic(target / f"{id}{suffix}") as temporary:
            fig.savefig(temporary, format=suffix[1:], metadata=metadata)
    with atomic(target / f"{id}.npz") as temporary, open(temporary, "wb") as file:
        np.savez(file, **data)
    if animation is not None:
        with atomic(target / f"{id}.gif") as temporary:
            temporary.write_bytes(animation)
    drawings.keep(drawings.place(target, id), fig, data, stamp, animation)
    pictures = [suffix for suffix in PICTURES if suffix != ".gif" or animation is not None]
    return {"data_sha256": data_sha256(data)} | {f"{s[1:]}_sha256": sha256(target / f"{id}{s}") for s in pictures}


def put_stamp(fig: "Figure", stamp: str) -> None:
    """Write a few words, if any, into the lower right corner of a figure, below everything else."""
    if stamp:
        if engine := fig.get_layout_engine():
            engine.set(rect=(0, 0.03, 1, 0.97))
        fig.text(0.998, 0.006, stamp, ha="right", va="bottom", fontsize=6, color="0.55")


def set_minus_signs(fig: "Figure") -> None:
    """Give negative numbers in the texts of a figure the minus sign that those of its axes have, and zeros none."""
    from matplotlib.text import Text

    def signed(number: re.Match) -> str:
        return number[0].replace("-", "\N{MINUS SIGN}" if number[0].strip("-0.") else "")

    for text in fig.findobj(Text):
        text.set_text(NEGATIVE.sub(signed, text.get_text()))


def settle_layout(fig: "Figure") -> None:
    """Lay the figure out once and for all, everything on a grid of 2⁻²⁰ of its size.

    The solver behind constrained layout sums in the order of memory addresses: its last bits change from run to run.
    """
    engine = fig.get_layout_engine()
    if any(axis.get_aspect() != "auto" and axis.get_adjustable() == "datalim" for axis in fig.axes):
        fig.draw_without_rendering()  # limits follow the box, and labels of ticks the limits
    elif engine:
        engine.execute(fig)
    fig.set_layout_engine(None)  # with "none" a placeholder would stay, for which savefig draws everything twice

    def on_grid(values: np.ndarray) -> np.ndarray:
        return np.round(np.asarray(values) * 2**20) / 2**20

    for axis in fig.axes:
        axis.set_position(on_grid(axis.get_position(original=True).bounds), which="original")
    for text in fig.texts:
        text.set_position(on_grid(text.get_position()))


def png(fig: "Figure", **options: object) -> bytes:
    """Return a figure as PNG, the same bytes each time; ``options`` are those of ``Figure.savefig``."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", metadata={"Software": None}, **options)
    return buffer.getvalue()


def data_sha256(data: Mapping[str, np.ndarray]) -> str:
    """Hash named arrays: their names, shapes, types and values."""
    digest = hashlib.sha256()
    for name in sorted(data):
        array = np.asarray(data[name])
        digest.update(f"{name}{array.shape}{array.dtype.str}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def manifest(run: str) -> dict[str, dict]:
    """Return what is known of each figure of a run; empty when there is none. ``InputError``: a damaged manifest."""
    return read_json(folder(run) / "manifest.json", lambda found: all(map(is_line, found.values())))


def is_line(content: object) -> bool:
    """Say whether this is a line of a manifest: words and hashes of a figure."""
    words = ("chapter", "notebook", "caption", "run", "data_sha256", "png_sha256")
    return isinstance(content, dict) and all(isinstance(content.get(name), str) for name in words)


def publish(staging: Path, run: str, notebook: str, provenance: dict) -> list[str]:
    """Move a notebook's staged figures to ``figures/<run>/`` and return their ids.

    They are entered in the manifest with their ``provenance``.

    ``InputError``: when a figure registered for the notebook was not made: nothing is moved.
    """
    made = read_json(staging / "manifest.json")
    if missing := [id for id in figures_of(notebook) if id not in made and not registry()[id].needs]:
        raise InputError(
            f"notebook {notebook} did not make the figure{'s' * (len(missing) > 1)} registered for it: "
            f"{', '.join(missing)}"
        )
    withdraw(run, notebook, keep=made)
    for id in made:
        for file in files_with_drawing(staging, id):
            with atomic(folder(run) / file.relative_to(staging)) as temporary:
                shutil.copyfile(file, temporary)
    with _changing_manifest(folder(run)) as lines:
        lines.update({id: line | provenance for id, line in made.items()})
    return list(made)


@contextmanager
def _changing_manifest(target: Path) -> Iterator[dict]:
    """Yield the lines of a manifest, and write them as the block leaves them: two notebooks may do so at once."""
    target.mkdir(parents=True, exist_ok=True)
    with open(target / ".manifest.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lines = read_json(target / "manifest.json")
        yield lines
        write_json(target / "manifest.json", lines)


def withdraw(run: str, notebook: str, keep: Container[str] = ()) -> None:
    """Take the figures of a notebook out of a run and its manifest: they show what the run no longer uses."""
    stale = [id for id in figures_of(notebook) if id in manifest(run) and id not in keep]
    if not stale:
        return
    with _changing_manifest(folder(run)) as lines:
        for id in stale:
            lines.pop(id, None)
    for file in [file for id in stale for file in files_with_drawing(folder(run), id)]:
        file.unlink(missing_ok=True)


def parts(run: str) -> list[str]:
    """Return the runs within a run that have figures: one for each recording (``<run>/recordings/<label>``)."""
    return [f"{run}/recordings/{path.parent.name}" for path in sorted(folder(run).glob("recordings/*/manifest.json"))]


def verify(run: str) -> list[str]:
    """Return a sentence for each figure of a run whose files differ from its manifest; empty when all is well."""
    complaints = []
    for id, line in manifest(run).items():
        npz = folder(run) / f"{id}.npz"
        kept = [suffix for suffix in PICTURES if f"{suffix[1:]}_sha256" in line]  # older manifests have no SVG's
        if not all(npz.with_suffix(suffix).is_file() for suffix in (".npz", *kept)):
            complaints.append(f"{id}: the picture or its data are missing")
            continue
        try:
            with np.load(npz, allow_pickle=False) as arrays:
                found = data_sha256(dict(arrays))
        except drawings.DAMAGED:
            found = "damaged"
        if found != line["data_sha256"]:
            complaints.append(f"{id}: the plotted data differ from the manifest")
        for suffix in kept:
            if sha256(npz.with_suffix(suffix)) != line[f"{suffix[1:]}_sha256"]:
                complaints.append(f"{id}: the {PICTURES[suffix]} differs from the manifest")
    return complaints
