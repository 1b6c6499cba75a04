"""How far a run is: every job keeps a note of its stage, and the command shows a bar for each note while it waits.

A note is a small file, ``results/<run>/.progress/<job>.json``. Its path stands in an environment variable, which the
kernel of a notebook inherits: a training writes into the note of the notebook that it belongs to. No result depends on
this module, so ``notebooks.library_inputs`` leaves it out.
"""

import json
import os
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import psutil

from meagan_lib import InputError
from meagan_lib.files import write_json

if TYPE_CHECKING:
    from rich.console import Console

NOTE = "MEAGAN_PROGRESS"
"""Environment variable: the note of this job."""
SHOWN = "MEAGAN_PROGRESS_SHOWN"
"""Environment variable: somebody looks at the notes, and jobs need not say anything themselves."""
FOLDER = ".progress"
EVERY_S = 0.4
GROUPS = {"01_preprocessing": "recordings", "fit": "fits", "case": "cases"}
"""Rules of the graph that have many jobs, and what those are called."""


def note(**told: object) -> None:
    """Write what is ``told`` into the note of this job, where it has one: ``stage``, ``done`` and ``total`` of it, ``unit``
    of those, ``left_s`` to its end, or ``seconds`` when the job has ended."""
    if path := os.environ.get(NOTE):
        with suppress(OSError, InputError):  # a note that cannot be written is no reason to stop
            write_json(path, (read(Path(path)) or {}) | told)


def read(path: Path) -> dict | None:
    """What a note tells; nothing where it is gone or spoilt."""
    with suppress(OSError, ValueError):
        return json.loads(path.read_text())
    return None


@contextmanager
def noted(title: str, folder: Path) -> Iterator[None]:
    """Keep a note of the job ``title`` of the run in ``folder`` until the block ends, and say aloud when it begins and
    ends where nobody looks at notes."""
    path, started, aloud = folder / FOLDER / f"{title.replace(' ', '_')}.json", time.monotonic(), SHOWN not in os.environ
    os.environ[NOTE] = str(path)
    if aloud:
        print(f"  {title} …", flush=True)
    note(title=title, pid=os.getpid())
    try:
        yield
        note(seconds=time.monotonic() - started)
        if aloud:
            print(f"  {title} done in {time.monotonic() - started:.0f} s", flush=True)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        del os.environ[NOTE]


def by_cell(notebook: Path) -> Callable[..., None]:
    """A callback for each cell that is executed: the heading that it stands under, and how many cells are done."""
    places, heading = {}, ""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ +(.*)", cell.source, re.MULTILINE)
            heading = headings[-1] if headings else heading
        else:
            places[cell.id] = (heading, len(places))

    def update(cell: nbformat.NotebookNode, **_) -> None:
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


def in_words(told: Mapping[str, object]) -> str:
    """How far, and how long still, of a note."""
    far = f"{told.get('unit', '')} {told['done']} of {told['total']}".strip() if told.get("total") else ""
    left = "" if told.get("left_s") is None else f"{clock(told['left_s'])} left"
    return " · ".join(filter(None, (far, left)))


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, or hours, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def planned(log: Path) -> dict[str, int]:
    """How many jobs of each rule Snakemake has in mind: the table at the head of its log."""
    with suppress(OSError):
        _, _, table = log.read_text().partition("Job stats:\n")
        return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", table.partition("\n\n")[0], re.MULTILINE)}
    return {}


def rule(title: str) -> str:
    """The rule of the graph that a job belongs to: a job of a rule with many has more than that in its title."""
    first, *which = title.split()
    return first if not which or first in GROUPS else "fit" if first == "contest" else "case"


class Board:
    """Bars for the notes of the run in ``folder``: one for each job at work, and one for all fits, cases, recordings."""

    def __init__(self, folder: Path, console: "Console", log: Path) -> None:
        from rich.live import Live

        self.notes, self.log = folder / FOLDER, log
        self.ended: Counter[str] = Counter()
        self.began: dict[str, float] = {}
        self.live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)

    def look(self) -> None:
        """Bring the bars in line with the notes; a job that has ended leaves a line and no bar."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        working = []
        for path in sorted(self.notes.glob("*.json")):
            told = read(path) or {}
            if "seconds" in told:
                self.live.console.print(f"  {told['title']} done in {told['seconds']:.0f} s", highlight=False)
                self.ended[rule(told["title"])] += 1
                with suppress(OSError):
                    path.unlink()
            elif "title" in told and psutil.pid_exists(told["pid"]):  # a job that was killed cannot say that it ended
                working.append(told)
        table = Table.grid(padding=(0, 1), expand=True)
        for options in ({"no_wrap": True}, {}, {"no_wrap": True}, {"no_wrap": True, "ratio": 1, "overflow": "ellipsis"}):
            table.add_column(**options)
        for told in [*self.together(working), *working]:
            bar = ProgressBar(told.get("total"), told.get("done", 0), width=12, pulse=not told.get("total"))
            table.add_row(f"  {told['title']}", bar, in_words(told), told.get("stage", ""))
        self.live.update(table, refresh=True)

    def together(self, working: list[dict]) -> Iterator[dict]:
        """What the jobs of a rule with many tell together, as a note. Parts of jobs at work count as parts."""
        for of, total in planned(self.log).items():
            at_work = [told for told in working if rule(told["title"]) == of]
            if of in GROUPS and total > 1 and (at_work or 0 < self.ended[of] < total):
                elapsed = time.monotonic() - self.began.setdefault(of, time.monotonic())
                done = self.ended[of] + sum(told["done"] / told["total"] for told in at_work if told.get("total"))
                left = elapsed / done * (total - done) if self.ended[of] else None
                yield {"title": f"all {GROUPS[of]}", "done": self.ended[of], "total": total, "left_s": left}


@contextmanager
def shown(folder: Path, console: "Console", log: Path) -> Iterator[None]:
    """Show the notes of the run in ``folder`` until the block ends; ``log`` is Snakemake's.

    Only in a terminal: a file, and continuous integration, get a line when a job begins and one when it ends.
    """
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    if not console.is_terminal or os.environ.get("CI"):
        yield
        return
    board, ended = Board(folder, console, log), threading.Event()

    def watch() -> None:
        while not ended.wait(EVERY_S):
            board.look()

    watcher = threading.Thread(target=watch, daemon=True)
    os.environ[SHOWN] = "1"
    try:
        with board.live:
            watcher.start()
            try:
                yield
            finally:
                ended.set()
                watcher.join()
                board.look()
    finally:
        del os.environ[SHOWN]
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
