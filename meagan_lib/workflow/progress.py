"""Notes on how far a job of a run is; :mod:`meagan_lib.workflow.board` shows them.

A note is a small file, ``results/<run>/.progress/<job>.json``. Its path stands in an environment variable, which the
kernel of a notebook inherits: a training writes into the note of the notebook that it belongs to. No result depends on
this module, so :mod:`meagan_lib.workflow.imports` leaves it out.
"""

import os
import platform
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from meagan_lib import InputError
from meagan_lib.workflow.files import read_json, write_json

NOTE = "MEAGAN_PROGRESS"
"""Environment variable: the note of this job."""
SHOWN = "MEAGAN_PROGRESS_SHOWN"
"""Environment variable: the notes are shown, and jobs need not print anything themselves."""
FOLDER = ".progress"
EVERY_S = 0.4
"""How often a note is written, and looked at."""


def note(**fields: object) -> None:
    """Write ``fields`` into the note of this job, where it has one.

    They are ``stage``, ``done`` and ``total`` of it, ``unit`` of those, ``left_s`` to its end, how it ``ended``.
    """
    if path := os.environ.get(NOTE):
        with suppress(OSError, InputError):  # a note that cannot be written is no reason to stop
            write_json(path, read(Path(path)) | fields)


def read(path: Path) -> dict:
    """Return what a note holds; nothing where it is gone or spoilt."""
    with suppress(OSError, ValueError):
        return read_json(path)
    return {}


def number() -> str:
    """Return the number that SLURM has for this job; nothing where it has none."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID", "")


def unfinished(folder: Path) -> list[str]:
    """Return the titles of the jobs of the run in ``folder`` that began and did not come to an end."""
    notes = [read(path) for path in sorted((folder / FOLDER).glob("*.json"))]
    return [note["title"] for note in notes if "title" in note and "ended" not in note]


@contextmanager
def noted(title: str, folder: Path) -> Iterator[None]:
    """Keep a note of the job ``title`` of the run in ``folder`` until the block ends.

    Where nobody looks at notes, print when the job begins and ends.
    """
    path, started = folder / FOLDER / f"{title.replace(' ', '_')}.json", time.monotonic()
    printing = SHOWN not in os.environ

    def end(how: str) -> None:
        words = f"{title} {how} {time.monotonic() - started:.0f} s"
        note(ended=words)
        if printing:
            print(f"  {words}", flush=True)

    os.environ[NOTE] = str(path)
    if printing:
        print(f"  {title} …", flush=True)
    note(title=title, pid=os.getpid(), host=platform.node(), job=number())
    try:
        yield
    except Exception:
        end("failed after")
        raise
    else:
        end("done in")
    finally:
        del os.environ[NOTE]


def by_cell(notebook: Path) -> Callable[..., None]:
    """Return a callback of papermill that notes the heading a cell stands under, and how many cells are done."""
    import nbformat

    places, heading = {}, ""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ +(.*)", cell.source, re.MULTILINE)
            heading = headings[-1] if headings else heading
        else:
            places[cell.id] = (heading, len(places))

    def update(cell, **_) -> None:
        if cell.id in places:
            heading, place = places[cell.id]
            note(stage=heading, done=place, total=len(places), unit="cell", left_s=None)

    return update


def pace(unit: str) -> Callable[[float, float], None]:
    """Return a function that notes how much is ``done`` of a ``total``, and the time left at the pace so far."""
    first = last = None

    def update(done: float, total: float) -> None:
        nonlocal first, last
        now = time.monotonic()
        first = first or (done, now)  # a training that is resumed does not begin at 0
        if last is None or now - last >= EVERY_S or done >= total:
            left = (now - first[1]) / (done - first[0]) * (total - done) if done > first[0] else None
            note(done=int(done), total=int(total), unit=unit, left_s=left)
            last = now

    return update


def by_step() -> Callable[[object], None]:
    """Return a callback of a trainer that notes its steps."""
    tell = pace("step")
    return lambda trainer: tell(trainer.step, trainer.total_steps)
