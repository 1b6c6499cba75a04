"""A study while it runs and after: a table of recordings × jobs, and a page, ``report.html``, kept up to date.

What is done and what failed stands in the receipts of the jobs, what is at work in their notes
(:mod:`meagan_lib.workflow.progress`): neither needs the command that runs them, so both can be read from another
terminal, or after the run was killed. The page is written by the command, not by the jobs, which it costs nothing.
"""

import fcntl
import html
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import chain
from pathlib import Path

import pandas as pd

from meagan_lib import ROOT
from meagan_lib.studies import jobs
from meagan_lib.workflow import board, figures, progress
from meagan_lib.workflow.execution import RESULTS, executed, part
from meagan_lib.workflow.files import atomic

EVERY_S = 5.0
"""How often the page is looked after, at most."""
TITLES = {"windows": "01_preprocessing", "network": "measures"}
"""Titles of the notes of jobs, before the label; those of models have "scores" before model and seed."""


def title(label: str, job: str) -> str:
    """Return the title under which a job of a recording keeps its note."""
    return f"{TITLES.get(job, f'scores {job}')} {label}"


def working(run: str) -> dict[str, dict]:
    """Return the notes of the jobs of a run that are at work, by title; a job that was killed is none."""
    notes = [progress.read(path) for path in (RESULTS / run / progress.FOLDER).glob("*.json")]
    path = RESULTS / run / "snakemake.log"
    log = path.read_text() if path.is_file() else ""
    alive = [note for note in notes if "title" in note and "ended" not in note and board.at_work(note, log)]
    return {note["title"]: note for note in alive}


def far(note: Mapping) -> str:
    """Say how far a job at work is: ``running, 45 %``."""
    return f"running, {100 * note['done'] / note['total']:.0f} %" if note.get("total") else "running"


def states(run: str) -> pd.DataFrame:
    """Tabulate the state of every job, recordings × jobs: done, failed, running (how far), to do; empty: there is none.

    The seeds of a model share a column.
    """
    notes, rows = working(run), {}
    for (label, job), receipt in jobs.receipts_of(run).items():
        if "failed" in receipt:
            state = "failed"
        elif receipt:
            state = "done"
        else:
            note = notes.get(title(label, job))
            state = far(note) if note else "to do"
        rows.setdefault(label, {}).setdefault(job.split()[0], []).append(state)
    table = {label: {job: together(states) for job, states in of.items()} for label, of in rows.items()}
    return pd.DataFrame.from_dict(table, orient="index").fillna("").rename_axis("recording")


def together(states: list[str]) -> str:
    """Say the states of one job for several seeds in one: ``1 of 2 done, running, 45 %``."""
    if len(set(states)) == 1:
        return states[0]
    done, others = states.count("done"), [state for state in dict.fromkeys(states) if state not in ("done", "to do")]
    return ", ".join([f"{done} of {len(states)} done", *others])


def left_s(run: str) -> float | None:
    """Estimate the seconds to the end: what like jobs took, over as many as are at work; None: nothing to judge by."""
    receipts, notes = jobs.receipts_of(run), working(run)
    took: dict[str, list[float]] = {}
    for (_, job), receipt in receipts.items():
        if "seconds" in receipt:
            took.setdefault(job.split()[0], []).append(receipt["seconds"])
    total, known = 0.0, list(chain.from_iterable(took.values()))
    for (label, job), receipt in receipts.items():
        if receipt:
            continue
        like = took.get(job.split()[0], known)
        note = notes.get(title(label, job), {})
        if note.get("left_s") is not None:
            total += note["left_s"]
        elif like:
            done = note["done"] / note["total"] if note.get("total") else 0.0
            total += sum(like) / len(like) * (1 - done)
        else:
            return None
    return total / max(len(notes), 1)


def sentence(run: str) -> str:
    """Say how far a study is: ``30 of 48 jobs done, 2 failed, 2 at work; about 0:03:20 left``."""
    receipts, notes = jobs.receipts_of(run), working(run)
    failed = sum("failed" in receipt for receipt in receipts.values())
    done, to_do = sum(map(bool, receipts.values())) - failed, sum(not receipt for receipt in receipts.values())
    words = [f"{done} of {len(receipts)} jobs done", f"{failed} failed" * (failed > 0)]
    words = ", ".join(filter(None, [*words, f"{len(notes)} at work" * (len(notes) > 0)]))
    if to_do and not notes and not _locked(run):
        return f"{words}; nothing is at work, and the same command goes on"
    left = left_s(run)
    return words + (f"; about {timedelta(seconds=round(left))} left" if to_do and left is not None else "")


OWN = ("study_own_measures", "study_own_effects", "study_generators")
"""Figures of chapter 8 that are of the study, not of simulations."""


def _locked(run: str) -> bool:
    """Return whether a command works on the run, whose jobs may not have begun or be between two."""
    try:
        with open(RESULTS / run / ".lock") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no command was ever there
        pass
    return False


STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#222}
table{border-collapse:collapse;font-size:13px}th,td{padding:.25em .7em;text-align:left;border-bottom:1px solid #ddd}
.scroll{overflow-x:auto}.failed{color:#a33}.running{color:#06c}.todo{color:#888}h2{margin-top:2em}img{max-width:100%}"""


def page(run: str) -> str:
    """Write the report of a study as HTML that needs no other file: states, failures, the table so far, links."""
    table, _ = jobs.tables(run)
    failed, shown = jobs.failures(run), figures.folder(run)
    parts = [f"<h1>Study {html.escape(run)}</h1>", f"<p>{html.escape(sentence(run))}.</p>"]
    if failed:
        items = "".join(f"<li><b>{html.escape(label)}</b>: {html.escape(why)}</li>" for label, why in failed.items())
        parts.append(f'<h2>What failed</h2><ul class="failed">{items}</ul>')
    parts += ["<h2>Recordings and jobs</h2>", _html(_linked(run, states(run)).rename_axis(None), escape=False)]
    known = table.dropna(axis="columns", how="all").drop(columns=["recording", "failed"], errors="ignore")
    parts += ["<h2>The table so far</h2>", _html(known.set_index("label").rename_axis(None))]
    if own := [path for name in OWN if (path := shown / f"{name}.png").is_file()]:
        chapter = executed(jobs.NOTEBOOK, run, "html")
        link = f'<p><a href="{_relative(run, chapter)}">Chapter 8, executed</a></p>' if chapter.is_file() else ""
        pictures = "".join(f'<p><img src="{_relative(run, path)}" alt="{path.stem}"></p>' for path in own)
        parts.append(f"<h2>What the study says</h2>{link}{pictures}")
    head = f'<meta charset="utf-8"><title>Study {html.escape(run)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _relative(run: str, path: Path) -> str:
    return html.escape(os.path.relpath(path, RESULTS / run), quote=True)


def _html(table: pd.DataFrame, **options) -> str:
    return f'<div class="scroll">{table.to_html(border=0, na_rep="", float_format="{:.3g}".format, **options)}</div>'


def _linked(run: str, table: pd.DataFrame) -> pd.DataFrame:
    """Colour states, and link the windows of a recording to its executed notebook and its figures."""
    kinds = {"failed": "failed", "running": "running", "to do": "todo"}

    def cell(state: str) -> str:
        kind = next((name for words, name in kinds.items() if words in state), "")
        return f'<span class="{kind}">{html.escape(state)}</span>'

    shown = table.map(cell)
    for label in table.index:
        own = part(run, label)
        places = {"notebook": executed("01_preprocessing", own, "html"), "figures": figures.folder(own)}
        links = [f'<a href="{_relative(run, path)}">{words}</a>' for words, path in places.items() if path.exists()]
        if links and "windows" in shown:
            shown.loc[label, "windows"] += f" ({', '.join(links)})"
    return shown


def write(run: str) -> Path:
    """Write ``results/<run>/report.html``, atomically, and return its path."""
    target = RESULTS / run / "report.html"
    with atomic(target) as temporary:
        temporary.write_text(page(run))
    return target


@contextmanager
def reported(run: str) -> Iterator[None]:
    """Keep the report up to date until the block ends, and write it once more then: also where the run fails."""
    ended = threading.Event()

    def keep() -> None:
        last, pause = None, EVERY_S
        while not ended.wait(pause):
            began = time.monotonic()
            times = [path.stat().st_mtime_ns if path.exists() else 0 for path in jobs.places(run).values()]
            if times != last:
                last = times
                with suppress(Exception):  # a receipt that vanished as it was read, or a full disk, which the jobs tell
                    write(run)
            pause = max(EVERY_S, 20 * (time.monotonic() - began))  # of a thousand recordings it takes a second

    watcher = threading.Thread(target=keep, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        write(run)


def told(run: str) -> str:
    """Name what failed, a recording and its sentence each, and where the report is; nothing where nothing failed."""
    if not (failed := jobs.failures(run)):
        return ""
    where = (RESULTS / run / "report.html").relative_to(ROOT)
    listed = "; ".join(f"{label}: {why}" for label, why in failed.items())
    n, of = len(failed), len(jobs.asked(run)["recordings"])
    return f"{n} of {of} recordings failed, and the others are in {where}: {listed}; the same command tries them again"
