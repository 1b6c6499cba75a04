"""Bars in a terminal for the notes that the jobs of a run keep (:mod:`meagan_lib.workflow.progress`).

Snakemake's logger plugins (interface 2.1) know that a job began and ended, not how far it is: a training of an hour
would stand at 0 % all the time, without the time left. What they count, the jobs of a rule, is read from its log.
"""

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import psutil
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from meagan_lib.workflow.progress import EVERY_S, FOLDER, SHOWN, read

GROUPS = {"01_preprocessing": "recordings", "fit": "fits", "case": "cases"}
GROUPS |= {"measures": "networks", "scores": "models"}
"""Rules of the graph that have many jobs, and what those are called."""


def in_words(note: Mapping[str, object]) -> str:
    """Say how far the job of a note is, and how long it still takes: ``step 3 of 9 · 0:01:01 left``."""
    far = f"{note.get('unit', '')} {note['done']} of {note['total']}".strip() if note.get("total") else ""
    left = "" if note.get("left_s") is None else f"{timedelta(seconds=round(note['left_s']))} left"
    return " · ".join(filter(None, (far, left)))


def planned(log: Path) -> dict[str, int]:
    """Return how many jobs of each rule Snakemake has planned: the table at the head of its log."""
    with suppress(OSError):
        _, _, table = log.read_text().partition("Job stats:\n")
        return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", table.partition("\n\n")[0], re.MULTILINE)}
    return {}


def rule(title: str) -> str:
    """Return the rule of the graph that a job belongs to: a job of a rule with many has more than that in its title."""
    first, *which = title.split()
    return first if not which or first in GROUPS else "fit" if first == "benchmark" else "case"


class Board:
    """Bars for the notes of the run in ``folder``: one for each job at work, one for all fits, cases, recordings."""

    def __init__(self, folder: Path, console: Console, log: Path) -> None:
        self.notes, self.console, self.log = folder / FOLDER, console, log
        self.ended: Counter[str] = Counter()
        self.spent: Counter[str] = Counter()  # seconds in which jobs of a rule were at work
        self.seen = time.monotonic()

    def bars(self) -> Table:
        """Return the bars of the jobs at work; of a job that has ended a line is printed, once."""
        working = []
        for path in sorted(self.notes.glob("*.json")):
            note = read(path)
            if "ended" in note:
                self.console.print(f"  {note['ended']}", highlight=False)
                self.ended[rule(note["title"])] += 1
                with suppress(OSError):
                    path.unlink()
            elif "title" in note and psutil.pid_exists(note["pid"]):  # a job that was killed cannot say that it ended
                working.append(note)
        table = Table.grid(padding=(0, 1), expand=True)
        table.width = self.console.width - 4  # room for the ^C of an interrupt, which would break the line
        for options in ({}, {}, {}, {"ratio": 1, "overflow": "ellipsis"}):
            table.add_column(no_wrap=True, **options)
        for note in [*self.together(working), *working]:
            bar = ProgressBar(note.get("total"), note.get("done", 0), width=12, pulse=not note.get("total"))
            table.add_row(f"  {note['title']}", bar, in_words(note), note.get("stage", ""))
        return table

    def together(self, working: list[dict]) -> Iterator[dict]:
        """Yield a note for all jobs of each rule with many; what those at work have done counts as parts of a job."""
        before, self.seen = self.seen, time.monotonic()
        for of, total in planned(self.log).items():
            at_work = [note for note in working if rule(note["title"]) == of]
            if of in GROUPS and total > 1 and (at_work or 0 < self.ended[of] < total):
                self.spent[of] += bool(at_work) * (self.seen - before)
                done = self.ended[of] + sum(note["done"] / note["total"] for note in at_work if note.get("total"))
                left = self.spent[of] / done * (total - done) if self.ended[of] else None
                yield {"title": f"all {GROUPS[of]}", "done": self.ended[of], "total": total, "left_s": left}


@contextmanager
def shown(folder: Path, console: Console, log: Path) -> Iterator[None]:
    """Show the notes of the run in ``folder`` until the block ends; ``log`` is Snakemake's.

    Only in a terminal: a file, and continuous integration, get a line when a job begins and one when it ends.
    """
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    try:
        if not console.is_terminal or os.environ.get("CI"):
            yield
            return
        os.environ[SHOWN] = "1"
        bars = Board(folder, console, log).bars
        quiet = {"transient": True, "redirect_stdout": False, "redirect_stderr": False}
        with Live(console=console, get_renderable=bars, refresh_per_second=1 / EVERY_S, **quiet):
            yield
    finally:
        os.environ.pop(SHOWN, None)
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
