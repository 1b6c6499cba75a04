"""How far a run is: every job keeps a note of its stage, and the command shows a bar for each note while it waits.

A note is a small file, ``results/<run>/.progress/<job>.json``. Its path stands in an environment variable, which the
kernel of a notebook inherits: a training writes into the note of the notebook that it belongs to.
"""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from meagan_lib import InputError
from meagan_lib.files import write_json

NOTE = "MEAGAN_PROGRESS"
"""Environment variable: the note of this job."""
SHOWN = "MEAGAN_PROGRESS_SHOWN"
"""Environment variable: somebody looks at the notes, and jobs need not say anything themselves."""
FOLDER = ".progress"
EVERY_S = 0.3


def note(**told: object) -> None:
    """Write what is ``told`` into the note of this job, where it has one: ``title``, ``stage``, ``done`` and ``total``
    of it, ``unit`` of those, ``left_s`` to its end, or ``seconds`` when the job has ended."""
    if path := os.environ.get(NOTE):
        with suppress(OSError, InputError):  # a note that cannot be written is no reason to stop
            write_json(path, (_read(Path(path)) or {}) | told)


def _read(path: Path) -> dict | None:
    with suppress(OSError, ValueError):
        return json.loads(path.read_text())
    return None


@contextmanager
def noted(title: str, folder: Path) -> Iterator[None]:
    """Keep a note of the job ``title`` of the run in ``folder`` until the block ends, and say aloud when it begins and
    ends where nobody looks at notes."""
    path, started = folder / FOLDER / f"{title.replace(' ', '_')}.json", time.monotonic()
    before, aloud = os.environ.get(NOTE), not os.environ.get(SHOWN)
    os.environ[NOTE] = str(path)
    if aloud:
        print(f"  {title} …", flush=True)
    note(title=title)
    try:
        yield
        seconds = time.monotonic() - started
        if aloud:
            print(f"  {title} done in {seconds:.0f} s", flush=True)
        else:
            note(seconds=seconds)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        if aloud:
            path.unlink(missing_ok=True)
        os.environ.pop(NOTE)
        if before:
            os.environ[NOTE] = before


def by_cell(notebook: Path) -> Callable[..., None]:
    """A callback for each cell that is executed: the heading that it stands under, and how many cells are done."""
    places, heading = {}, ""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "markdown":
            headings = [line.lstrip("# ") for line in cell.source.splitlines() if line.startswith("#")]
            heading = headings[-1] if headings else heading
        else:
            places[cell.id] = (heading, len(places))

    def update(cell: nbformat.NotebookNode, **_) -> None:
        if cell.id in places:
            heading, place = places[cell.id]
            note(stage=heading, done=place, total=len(places), unit="cell", left_s=None)

    return update


def by_step() -> Callable[[object], None]:
    """A callback of a trainer: how many of its steps are done, and how long the others will take."""
    first = told = None

    def update(trainer) -> None:
        nonlocal first, told
        now = time.monotonic()
        first = first or (trainer.step, now)  # a training that is resumed does not begin at 0
        if told and now - told < EVERY_S and trainer.step < trainer.total_steps:
            return
        pace = (now - first[1]) / max(trainer.step - first[0], 1)
        left = pace * (trainer.total_steps - trainer.step) if trainer.step > first[0] else None
        note(done=trainer.step, total=trainer.total_steps, unit="step", left_s=left)
        told = now

    return update


def in_words(told: dict) -> str:
    """Stage, how far, and how long still, of a note."""
    words = [told.get("stage", "")]
    if told.get("total"):
        words.append(f"{told['unit']} {told['done']} of {told['total']}")
    if told.get("left_s") is not None:
        words.append(f"{clock(told['left_s'])} left")
    return " · ".join(filter(None, words))


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, or hours, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@contextmanager
def shown(folder: Path, console: Console) -> Iterator[None]:
    """Show the notes of the run in ``folder`` until the block ends, a bar for each job that is at work.

    Only in a terminal: a log, and continuous integration, get a line when a job begins and one when it ends.
    """
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    if not console.is_terminal or os.environ.get("CI"):
        yield
        return
    bars = Progress(
        TextColumn("  {task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[words]}"),
        console=console, transient=True, redirect_stdout=False, redirect_stderr=False,
    )
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(EVERY_S):
            look(folder, bars)
        look(folder, bars)

    os.environ[SHOWN] = "1"
    watcher = threading.Thread(target=watch, daemon=True)
    try:
        with bars:
            watcher.start()
            yield
            ended.set()
            watcher.join()
    finally:
        ended.set()
        os.environ.pop(SHOWN)
        shutil.rmtree(folder / FOLDER, ignore_errors=True)


def look(folder: Path, bars: Progress) -> None:
    """Bring the bars in line with the notes; a job that has ended leaves a line and no bar."""
    tasks = {task.description: task.id for task in bars.tasks}
    there = [_read(path) for path in sorted((folder / FOLDER).glob("*.json"))]
    notes = {told["title"]: told for told in there if told and "title" in told}
    for title, told in notes.items():
        if "seconds" in told:
            (folder / FOLDER / f"{title.replace(' ', '_')}.json").unlink(missing_ok=True)
            bars.console.print(f"  {title} done in {told['seconds']:.0f} s", highlight=False)
            continue
        task = tasks.get(title)
        if task is None:
            task = bars.add_task(title, total=None, words="")
        bars.update(task, completed=told.get("done", 0), total=told.get("total"), words=in_words(told))
    for title, task in tasks.items():
        if title not in notes or "seconds" in notes[title]:
            bars.remove_task(task)
