"""Bars in a terminal for the notes that the jobs of a run keep (:mod:`meagan_lib.workflow.progress`).

Snakemake's logger plugins (interface 2.1) know that a job began and ended, not how far it is: a training of an hour
would stand at 0 % all the time, without the time left. What they count, the jobs of a rule, is read from its log.
"""

import os
import platform
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import psutil
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from meagan_lib.workflow import cluster
from meagan_lib.workflow.progress import EVERY_S, FOLDER, SHOWN, read

ASK_EVERY_S = 15
"""How often a scheduler is asked why jobs wait."""
GROUPS = {"01_preprocessing": "recordings", "fit": "fits", "case": "cases"}
GROUPS |= {"measures": "networks", "scores": "models"}
"""Rules of the graph that have many jobs, and what those are called."""


def in_words(note: Mapping[str, object]) -> str:
    """Say how far the job of a note is, and how long it still takes: ``step 3 of 9 · 0:01:01 left``."""
    far = f"{note.get('unit', '')} {note['done']} of {note['total']}".strip() if note.get("total") else ""
    left = "" if note.get("left_s") is None else f"{timedelta(seconds=round(note['left_s']))} left"
    return " · ".join(filter(None, (far, left)))


def planned(log: str) -> dict[str, int]:
    """Return how many jobs of each rule Snakemake has planned: the table at the head of its log."""
    _, _, table = log.partition("Job stats:\n")
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", table.partition("\n\n")[0], re.MULTILINE)}


def at_work(note: Mapping[str, object], log: str) -> bool:
    """Return whether the job of a note, which has not ended, goes on: one that was killed cannot say that it ended.

    What the kernel knows counts on the machine of the job alone; of others, Snakemake's log tells which have failed.
    """
    if note.get("host", platform.node()) == platform.node():
        return psutil.pid_exists(note["pid"])
    return f"external_jobid: {note['job']}\n" not in log


def rule(title: str) -> str:
    """Return the rule of the graph that a job belongs to: a job of a rule with many has more than that in its title."""
    first, *which = title.split()
    return first if not which or first in GROUPS else "fit" if first == "benchmark" else "case"


class Board:
    """Bars for the notes of the run in ``folder``: one for each job at work, one for all fits, cases, recordings.

    Of a run on a cluster, ``queue``, there is one more for all jobs, and a line for each reason for which some wait.
    """

    def __init__(self, folder: Path, console: Console, log: Path, queue: bool = False) -> None:
        self.notes, self.console, self.log, self.queue = folder / FOLDER, console, log, queue
        self.asked, self.told = 0.0, set()
        self.ended: Counter[str] = Counter()
        self.spent: Counter[str] = Counter()  # seconds in which jobs of a rule were at work
        self.seen = time.monotonic()

    def working(self, log: str) -> list[dict]:
        """Return the notes of the jobs at work; of a job that has ended a line is printed, once."""
        working = []
        for path in sorted(self.notes.glob("*.json")):
            note = read(path)
            if "ended" in note:
                if "title" in note:  # else another attempt at the job has ended already, and was told
                    self.console.print(f"  {note['ended']}", highlight=False)
                    self.ended[rule(note["title"])] += 1
                with suppress(OSError):
                    path.unlink()
            elif "title" in note and at_work(note, log):
                working.append(note)
        return working

    def logged(self) -> str:
        """Return what Snakemake has logged so far."""
        with suppress(OSError):
            return self.log.read_text()
        return ""

    def lines(self) -> None:
        """Print a line when a job begins or ends, or waits, for who has no terminal."""
        log = self.logged()
        for note in self.working(log):
            self.say_once(f"{note['title']} on {note['host']} …")
        self.say_why(log)

    def say_once(self, words: str, key: str = "") -> None:
        """Print a line, unless one of this ``key`` was."""
        if (key or words) not in self.told:
            self.told.add(key or words)
            self.console.print(f"  {words}", highlight=False, soft_wrap=True)

    def say_why(self, log: str) -> None:
        """Print why jobs wait in the queue, each reason once; the scheduler is asked now and then."""
        if self.queue and time.monotonic() - self.asked > ASK_EVERY_S:
            for reason, n in cluster.waiting(log).most_common():
                self.say_once(cluster.in_words(reason, n), reason)
            self.asked = time.monotonic()

    def bars(self) -> Table:
        """Return the bars of the jobs at work."""
        log = self.logged()
        working = self.working(log)
        self.say_why(log)
        table = Table.grid(padding=(0, 1), expand=True)
        table.width = self.console.width - 4  # room for the ^C of an interrupt, which would break the line
        for options in ({}, {}, {}, {"ratio": 1, "overflow": "ellipsis"}):
            table.add_column(no_wrap=True, **options)
        for note in [*self.of_queue(working, log), *self.together(working, log), *working]:
            bar = ProgressBar(note.get("total"), note.get("done", 0), width=12, pulse=not note.get("total"))
            table.add_row(f"  {note['title']}", bar, in_words(note), note.get("stage", ""))
        return table

    def of_queue(self, working: list[dict], log: str) -> Iterator[dict]:
        """Yield a note for all jobs of a run on a cluster: how many are done, run and wait."""
        total = sum(n for of, n in planned(log).items() if of not in ("all", "total"))
        if self.queue and total:
            done = sum(self.ended.values())
            stage = f"{len(working)} running, {max(total - done - len(working), 0)} queued"
            yield {"title": "all jobs", "done": done, "total": total, "stage": stage}

    def together(self, working: list[dict], log: str) -> Iterator[dict]:
        """Yield a note for all jobs of each rule with many; what those at work have done counts as parts of a job."""
        before, self.seen = self.seen, time.monotonic()
        for of, total in planned(log).items():
            at_work = [note for note in working if rule(note["title"]) == of]
            if of in GROUPS and total > 1 and (at_work or 0 < self.ended[of] < total):
                self.spent[of] += bool(at_work) * (self.seen - before)
                done = self.ended[of] + sum(note["done"] / note["total"] for note in at_work if note.get("total"))
                left = self.spent[of] / done * (total - done) if self.ended[of] else None
                yield {"title": f"all {GROUPS[of]}", "done": self.ended[of], "total": total, "left_s": left}


@contextmanager
def again_and_again(work: Callable[[], None]) -> Iterator[None]:
    """Do something every now and then in the background until the block ends, and once more."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(EVERY_S):
            work()
        work()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def shown(folder: Path, console: Console, log: Path, queue: bool = False) -> Iterator[None]:
    """Show the notes of the run in ``folder`` until the block ends; ``log`` is Snakemake's.

    Only in a terminal: a file, and continuous integration, get a line when a job begins and one when it ends. Jobs of a
    cluster, ``queue``, do not print those themselves.
    """
    board = Board(folder, console, log, queue)
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    try:
        in_terminal = console.is_terminal and not os.environ.get("CI")
        if in_terminal or queue:
            os.environ[SHOWN] = "1"
        if in_terminal:
            quiet = {"transient": True, "redirect_stdout": False, "redirect_stderr": False}
            with Live(console=console, get_renderable=board.bars, refresh_per_second=1 / EVERY_S, **quiet):
                yield
        elif queue:
            with again_and_again(board.lines):
                yield
        else:
            yield
    finally:
        os.environ.pop(SHOWN, None)
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
