"""Notes on how far a job of a run is; :mod:`meagan_lib.workflow.board` shows them.

A note is a small file, ``results/<run>/.progress/<job>.json``. Its path stands in an environment variable, which the
kernel of a notebook inherits: a training writes into the note of the notebook that it belongs to. No result depends on
this module, so :func:`meagan_lib.workflow.execution.library_inputs` leaves it out.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from meagan_lib import InputError
from meagan_lib.workflow.files import write_json

if TYPE_CHECKING:
    from nbformat import NotebookNode

NOTE = "MEAGAN_PROGRESS"
"""Environment variable: the note of this job."""
SHOWN = "MEAGAN_PROGRESS_SHOWN"
"""Environment variable: somebody looks at the notes, and jobs need not say anything themselves."""
FOLDER = ".progress"
EVERY_S = 0.4
"""How often a note is written, and looked at."""


def note(**told: object) -> None:
    """Write what is ``told`` into the note of this job, where it has one: ``stage``, ``done`` and ``total`` of it,
    ``unit`` of those, ``left_s`` to its end, or how the job ``ended``."""
    if path := os.environ.get(NOTE):
        with suppress(OSError, InputError):  # a note that cannot be written is no reason to stop
            write_json(path, (read(Path(path)) or {}) | told)


def read(path: Path) -> dict | None:
    """What a note tells; nothing where it is gone or spoilt."""
    with suppress(OSError, ValueError):
        return json.loads(path.read_text())
    return None


def unfinished(folder: Path) -> list[str]:
    """Titles of the jobs of the run in ``folder`` that began and did not come to an end."""
    notes = [read(path) or {} for path in sorted((folder / FOLDER).glob("*.json"))]
    return [told["title"] for told in notes if "title" in told and "ended" not in told]


@contextmanager
def noted(title: str, folder: Path) -> Iterator[None]:
    """Keep a note of the job ``title`` of the run in ``folder`` until the block ends, and say aloud when it begins and
    ends where nobody looks at notes."""
    path, started = folder / FOLDER / f"{title.replace(' ', '_')}.json", time.monotonic()
    aloud = SHOWN not in os.environ

    def end(how: str) -> None:
        words = f"{title} {how} {time.monotonic() - started:.0f} s"
        note(ended=words)
        if aloud:
            print(f"  {words}", flush=True)

    os.environ[NOTE] = str(path)
    if aloud:
        print(f"  {title} …", flush=True)
    note(title=title, pid=os.getpid())
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
    """A callback for each cell that is executed: the heading that it stands under, and how many cells are done."""
    import nbformat

    places, heading = {}, ""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ +(.*)", cell.source, re.MULTILINE)
            heading = headings[-1] if headings else heading
        else:
            places[cell.id] = (heading, len(places))

    def update(cell: "NotebookNode", **_) -> None:
        if cell.id in places:
            heading, place = places[cell.id]
            note(stage=heading, done=place, total=len(places), unit="cell", left_s=None)

    return update


def pace(unit: str) -> Callable[[float, float], None]:
    """A function that notes how much is ``done`` of a ``total``, and how long the rest will take at the pace so far."""
    first = told = None

    def update(done: float, total: float) -> None:
        nonlocal first, told
        now = time.monotonic()
        first = first or (done, now)  # a training that is resumed does not begin at 0
        if told is None or now - told >= EVERY_S or done >= total:
            left = (now - first[1]) / (done - first[0]) * (total - done) if done > first[0] else None
            note(done=int(done), total=int(total), unit=unit, left_s=left)
            told = now

    return update if NOTE in os.environ else lambda done, total: None


def by_step() -> Callable[[object], None]:
    """A callback of a trainer that notes its steps."""
    tell = pace("step")
    return lambda trainer: tell(trainer.step, trainer.total_steps)
