"""Bars in a terminal for the notes that the jobs of a run keep (:mod:`meagan_lib.workflow.progress`)."""

import os
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from meagan_lib.workflow.progress import EVERY_S, FOLDER, SHOWN, read

GROUPS = {"01_preprocessing": "recordings", "fit": "fits", "case": "cases"}
"""Rules of the graph that have many jobs, and what those are called."""


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
    return first if not which or first in GROUPS else "fit" if first == "benchmark" else "case"


class Board:
    """Bars for the notes of the run in ``folder``: one for each job at work, one for all fits, cases, recordings."""

    def __init__(self, folder: Path, console: Console, log: Path) -> None:
        self.notes, self.log = folder / FOLDER, log
        self.ended: Counter[str] = Counter()
        self.spent: Counter[str] = Counter()  # seconds in which jobs of a rule were at work
        self.looked = time.monotonic()
        self.live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )

    def look(self) -> None:
        """Bring the bars in line with the notes; a job that has ended leaves a line and no bar."""
        working = []
        for path in sorted(self.notes.glob("*.json")):
            told = read(path) or {}
            if "ended" in told:
                self.live.console.print(f"  {told['ended']}", highlight=False)
                self.ended[rule(told["title"])] += 1
                with suppress(OSError):
                    path.unlink()
            elif "title" in told and psutil.pid_exists(told["pid"]):  # a job that was killed cannot say that it ended
                working.append(told)
        table = Table.grid(padding=(0, 1), expand=True)
        table.width = self.live.console.width - 4  # room for the ^C of an interrupt, which would break the line
        for options in ({}, {}, {}, {"ratio": 1, "overflow": "ellipsis"}):
            table.add_column(no_wrap=True, **options)
        for told in [*self.together(working), *working]:
            bar = ProgressBar(told.get("total"), told.get("done", 0), width=12, pulse=not told.get("total"))
            table.add_row(f"  {told['title']}", bar, in_words(told), told.get("stage", ""))
        self.live.update(table, refresh=True)

    def together(self, working: list[dict]) -> Iterator[dict]:
        """What the jobs of a rule with many tell together, as a note. Parts of jobs at work count as parts."""
        before, self.looked = self.looked, time.monotonic()
        for of, total in planned(self.log).items():
            at_work = [told for told in working if rule(told["title"]) == of]
            if of in GROUPS and total > 1 and (at_work or 0 < self.ended[of] < total):
                self.spent[of] += bool(at_work) * (self.looked - before)
                done = self.ended[of] + sum(told["done"] / told["total"] for told in at_work if told.get("total"))
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
        with watched(Board(folder, console, log)):
            yield
    finally:
        shutil.rmtree(folder / FOLDER, ignore_errors=True)


@contextmanager
def watched(board: Board) -> Iterator[None]:
    """Let a thread look at the notes again and again until the block ends."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(EVERY_S):
            board.look()

    watcher = threading.Thread(target=watch, daemon=True)
    os.environ[SHOWN] = "1"
    with board.live:
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            board.look()
            del os.environ[SHOWN]
