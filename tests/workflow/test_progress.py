"""What a run shows of itself: which job, which stage, how far, how long still; it is quiet where nobody looks."""

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
from rich.console import Console
from snakemake.scheduling.job_scheduler import JobScheduler

from meagan_lib import ROOT, InputError, cli
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.vae import PlainVAE
from meagan_lib.workflow import board, execution, figures, graph, notebook, progress
from tests.fixtures import forget, spikes


@pytest.fixture
def note(tmp_path, monkeypatch):
    """The note of a job, read anew at each call."""
    path = tmp_path / progress.FOLDER / "job.json"
    monkeypatch.setenv(progress.NOTE, str(path))
    return lambda: progress.read(path)


def board_of(folder, width: int = 100) -> board.Board:
    """A board on a terminal of ``width`` columns that keeps what was written on it."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=20, color_system=None)
    return board.Board(folder, console, folder / "snakemake.log")


def seen(shown: board.Board) -> str:
    """What the board prints and shows of the notes as they are now, with single spaces."""
    console = shown.console
    console.file.seek(0), console.file.truncate()
    console.print(shown.bars())
    return re.sub(r" +", " ", console.file.getvalue())


def write(folder, title: str, **told) -> None:
    path = folder / progress.FOLDER / f"{title.replace(' ', '_')}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"title": title, "pid": os.getpid()} | told))


def test_a_second_attempt_at_a_job_that_has_ended_is_no_second_job(tmp_path):
    """On a cluster one may go on that the scheduler has given up; what is left of its note has no title."""
    shown = board_of(tmp_path)
    write(tmp_path, "02_transformer_gan", ended="02_transformer_gan done in 3 s")
    assert not shown.working("")
    (tmp_path / progress.FOLDER / "02_transformer_gan.json").write_text(json.dumps({"ended": "02 done in 9 s"}))
    assert not shown.working("") and "9 s" not in shown.console.file.getvalue()
    assert not list((tmp_path / progress.FOLDER).iterdir()) and shown.ended.total() == 1


def test_a_job_says_that_it_begins_and_ends_where_nobody_looks(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv(progress.SHOWN, raising=False)
    with progress.noted("02_transformer_gan", tmp_path):
        pass
    assert re.fullmatch(r"  02_transformer_gan …\n  02_transformer_gan done in \d+ s\n", capsys.readouterr().out)


def test_a_job_that_is_looked_at_is_silent_and_notes_how_it_ended_unless_interrupted(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv(progress.SHOWN, "1")
    for title, error in (("broken", ValueError), ("cut", KeyboardInterrupt)):
        with pytest.raises(error), progress.noted(title, tmp_path):
            raise error
    with progress.noted("merge", tmp_path):
        pass
    assert capsys.readouterr().out == "" and progress.NOTE not in os.environ
    left = {path.stem: progress.read(path).get("ended") for path in (tmp_path / progress.FOLDER).glob("*.json")}
    assert left == {"merge": "merge done in 0 s", "broken": "broken failed after 0 s", "cut": None}
    assert progress.unfinished(tmp_path) == ["cut"]


def test_cells_tell_the_heading_that_they_stand_under(tmp_path, note):
    cells = [
        nbformat.v4.new_markdown_cell("# 2 · The GAN\n\nwords"),
        nbformat.v4.new_code_cell("a = 1"),
        nbformat.v4.new_markdown_cell("only words"),
        nbformat.v4.new_markdown_cell("## 2.3 Training"),
        nbformat.v4.new_code_cell("train()"),
    ]
    path = tmp_path / "notebook.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    update, told = progress.by_cell(path), []
    for cell in (cells[1], nbformat.v4.new_code_cell("injected"), cells[4]):
        update(cell=cell, cell_index=0)
        told.append((note()["stage"], note()["done"], note()["total"]))
    assert told == [("2 · The GAN", 0, 2), ("2 · The GAN", 0, 2), ("2.3 Training", 1, 2)]


def test_time_left_is_told_from_the_steps_of_this_job_alone(note, monkeypatch):
    times = iter([10.0, 10.1, 15.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times))
    tell, told = progress.pace("step"), []
    for step in (500, 501, 600, 1000):  # resumed at 500
        tell(step, 1000)
        told.append((note()["done"], note()["left_s"]))
    assert told == [(500, None), (500, None), (600, 20.0), (1000, 0.0)]
    assert board.in_words(note() | {"left_s": 3700}) == "step 1000 of 1000 · 1:01:40 left"


def test_a_fit_and_a_notebook_tell_their_steps_and_a_note_changes_no_weight(note, monkeypatch):
    data = TrainingData(spikes(200), [1.0])
    with_note = PlainVAE.fit(data, 0, steps=6, patch=4)
    assert (note()["done"], note()["total"], note()["unit"]) == (6, 6, "step")
    monkeypatch.setenv(figures.STAGING, "somewhere")
    with notebook.progress_bar(None, "VAE") as tell:
        tell(SimpleNamespace(step=2, total_steps=4))
    assert (note()["done"], note()["total"]) == (2, 4)
    monkeypatch.delenv(progress.NOTE)
    np.testing.assert_array_equal(with_note.sample(9, 1), PlainVAE.fit(data, 0, steps=6, patch=4).sample(9, 1))


def test_noting_a_step_costs_less_than_half_a_percent_of_a_step_of_5_ms(note):
    tell, started = progress.pace("step"), time.process_time()
    for step in range(20_000):
        tell(step, 10**6)
    assert (time.process_time() - started) / 20_000 < 25e-6 and note()["done"] < 20_000


@pytest.mark.parametrize("error", [OSError("No space left on device"), InputError("the disk is full")])
def test_a_note_that_cannot_be_written_stops_nothing(tmp_path, note, monkeypatch, error):
    def full(*_):
        raise error

    monkeypatch.setattr(progress, "write_json", full)
    with progress.noted("merge", tmp_path):
        progress.note(done=1)
        progress.pace("step")(1, 2)


def test_each_job_at_work_has_a_line_and_an_ended_one_is_told_once(tmp_path):
    shown = board_of(tmp_path)
    write(tmp_path, "02_transformer_gan", stage="2.3 Training", done=3, total=9, unit="step", left_s=61.0)
    write(tmp_path, "merge", ended="merge done in 2 s")
    write(tmp_path, "killed", pid=2**22 + 1)
    (tmp_path / progress.FOLDER / "torn.json").write_text('{"title": "to')
    first, second = seen(shown), seen(shown)
    assert re.search(r"02_transformer_gan [━╸╺ ]+ step 3 of 9 · 0:01:01 left 2.3 Training", first)
    assert "merge done in 2 s" in first and "merge" not in second and "killed" not in first and "to\n" not in first
    (tmp_path / progress.FOLDER / "02_transformer_gan.json").unlink()
    assert "02_transformer_gan" not in seen(shown)


@pytest.mark.parametrize("width", [80, 140])
def test_a_line_leaves_room_for_an_interrupt_and_what_is_cut_off_is_the_stage(tmp_path, width):
    shown = board_of(tmp_path, width)
    stage = "2.3 Training, with a heading that is longer than any terminal " + "is wide " * 12
    write(tmp_path, "02_transformer_gan", stage=stage, done=1500, total=4000, unit="step", left_s=3700.0)
    (line,) = [line for line in seen(shown).splitlines() if "02_t" in line]
    assert len(shown.console.file.getvalue().splitlines()[0]) == width - 4
    assert "step 1500 of 4000 · 1:01:40 left 2.3" in line and line.endswith("…")


@pytest.mark.parametrize(
    "of, titles, words",
    [
        ("fit", ("benchmark vae 0", "benchmark vae 1", "benchmark tts_gan 0"), "all fits"),
        ("case", ("ablation locust no-ema", "ablation locust hinge", "ablation locust reach"), "all cases"),
        ("01_preprocessing", ("01_preprocessing a", "01_preprocessing b", "01_preprocessing c"), "all recordings"),
    ],
)
def test_jobs_of_a_kind_are_counted_together_with_the_time_left(tmp_path, monkeypatch, of, titles, words):
    log = f"x\nJob stats:\njob    count\n-----  -----\n{of}    4\nall   1\n\nmore 7\n"
    (tmp_path / "snakemake.log").write_text(log)
    shown, now = board_of(tmp_path), [time.monotonic()]
    monkeypatch.setattr(board.time, "monotonic", lambda: now[0])
    write(tmp_path, titles[0], done=1, total=2, unit="step")
    now[0] = shown.seen + 30
    assert re.search(words + r"[━╸╺ ]+0 of 4 $", seen(shown), re.MULTILINE)
    (tmp_path / progress.FOLDER / f"{titles[0].replace(' ', '_')}.json").unlink()  # and nothing at work for an hour
    now[0] += 3600
    seen(shown)
    write(tmp_path, titles[0], ended="done")
    write(tmp_path, titles[1], done=1, total=2, unit="step")
    now[0] += 30
    assert re.search(words + r"[━╸╺ ]+1 of 4 · 0:01:40 left $", seen(shown), re.MULTILINE)  # one and a half in 60 s
    assert board.planned(log) == {of: 4, "all": 1}


STATS = "Job stats:\njob    count\n-----  -----\nfit    9\nall    1\ntotal  10\n\n"


def test_a_run_on_a_cluster_shows_what_is_done_runs_and_waits_and_why(tmp_path, monkeypatch):
    """A job of another machine has failed when Snakemake says so, not when this machine has no such process."""
    monkeypatch.setattr(board.cluster, "waiting", lambda log: Counter({"Resources": 4, "PartitionTimeLimit": 1}))
    (tmp_path / "snakemake.log").write_text(f"{STATS}Error in rule fit:\n    external_jobid: 7_2\n")
    shown = board_of(tmp_path, 160)
    shown.queue = True
    write(tmp_path, "benchmark vae 0", ended="benchmark vae 0 done in 2 s")
    write(tmp_path, "benchmark vae 1", host="node1", pid=2**22 + 1, job="7_1")
    write(tmp_path, "benchmark vae 2", host="node2", pid=os.getpid(), job="7_2")
    told = seen(shown)
    assert re.search(r"all jobs [━╸╺ ]+1 of 9 1 running, 7 queued", told)
    assert "4 jobs wait: Resources (the cluster is busy)" in told and "benchmark vae 0 done in 2 s" in told
    assert "1 job waits: PartitionTimeLimit (more minutes than the partition gives: this waits for ever)" in told
    assert "benchmark vae 1" in told and "benchmark vae 2" not in told and "wait" not in seen(shown)
    shown.console.file.seek(0), shown.console.file.truncate()
    shown.lines(), shown.lines()
    assert shown.console.file.getvalue() == "  benchmark vae 1 on node1 …\n"


@pytest.mark.parametrize("where", ["terminal", "file", "CI"])
def test_bars_are_shown_in_a_terminal_alone_and_no_note_outlives_the_run(tmp_path, monkeypatch, where):
    monkeypatch.delenv("CI", raising=False)
    if where == "CI":
        monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(board, "EVERY_S", 0.01)
    console = Console(file=io.StringIO()) if where == "file" else board_of(tmp_path).console
    write(tmp_path, "stale", done=1, total=2)
    with pytest.raises(KeyboardInterrupt), board.shown(tmp_path, console, tmp_path / "none.log"):
        asked = progress.SHOWN in os.environ
        with progress.noted("merge", tmp_path):
            progress.note(stage="joining", done=1, total=2, unit="cell")
            time.sleep(0.1)
        raise KeyboardInterrupt
    told = console.file.getvalue()
    assert asked == (where == "terminal") and progress.SHOWN not in os.environ and "stale" not in told
    assert ("cell 1 of 2" in told, "merge done in" in told) == (where == "terminal",) * 2
    assert not (tmp_path / progress.FOLDER).exists()


def test_an_edit_of_the_progress_makes_no_notebook_stale_and_imports_little():
    for job in ("01_preprocessing", "meagan_lib.experiments.benchmark"):
        assert not {"meagan_lib/workflow/progress.py", "meagan_lib/workflow/board.py"} & set(
            execution.library_inputs(job)
        )
    code = (
        "import sys, meagan_lib.workflow.progress; print(*{'rich', 'torch', 'papermill', 'numpy'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout.strip() == ""


@pytest.mark.parametrize("how", ["interrupted", "told to end", "failed"])
def test_a_run_that_stops_says_what_is_done_where_it_is_and_what_next(monkeypatch, capsys, how):
    run, stops = "test-progress", {"interrupted": KeyboardInterrupt, "told to end": SystemExit, "failed": InputError}
    forget(run)

    def stopped(arguments):
        folder = execution.RESULTS / run
        for path in ("receipts/01_preprocessing.json", "benchmark/vae/0/receipt.json"):
            receipt = folder / path
            receipt.parent.mkdir(parents=True)
            receipt.write_text("{}")
        if how == "interrupted":
            os.kill(os.getpid(), signal.SIGINT)
        if how == "told to end":
            signal.signal(signal.SIGTERM, JobScheduler.__new__(JobScheduler).exit_gracefully)  # as Snakemake does
            os.kill(os.getpid(), signal.SIGTERM)
        (folder / "receipts" / "02_transformer_gan.failed").write_text("training diverged\n")
        raise SystemExit(1)

    monkeypatch.setitem(sys.modules, "snakemake.cli", SimpleNamespace(main=stopped))
    # the children of this process are no jobs of the run: other tests need the one that forks kernels
    monkeypatch.setattr(graph.psutil, "Process", lambda: SimpleNamespace(children=lambda recursive: []))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        (execution.RESULTS / run).mkdir(parents=True)
        with pytest.raises(stops[how]) as error:
            graph.run_graph(run, 1)
        told = capsys.readouterr().out
        assert "01_preprocessing, 1 fit" in told and f"results/{run}" in told and f"figures/{run}" in told
        if how == "failed":
            assert "stopped in 02_transformer_gan" in told and str(error.value) == "training diverged"
        assert how != "told to end" or error.value.code == 143
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        forget(run)


@pytest.mark.parametrize(
    "error, words",
    [
        (PermissionError(errno.EACCES, "denied", "results/x"), "no right to use results/x"),
        (OSError(errno.EROFS, "read-only", "results/x"), "results/x is on a disk that can only be read"),
        (OSError(errno.ENOSPC, "full"), "disk is full"),
        (OSError(errno.EDQUOT, "over quota"), "disk is full"),
    ],
)
def test_a_folder_that_cannot_be_written_is_told_in_one_sentence(monkeypatch, capsys, error, words):
    def refused(**_):
        raise error

    monkeypatch.setattr(cli, "app", refused)
    with pytest.raises(SystemExit) as end:
        cli.main()
    told = capsys.readouterr().err
    assert end.value.code == 1 and words in told and told.count("\n") == 1


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("PermissionError", "[Errno 13] Permission denied: 'a.h5'", "no right to use a.h5"),
        ("OSError", "[Errno 30] Read-only file system: 'a.h5'", "a.h5 is on a disk that can only be read"),
        (
            "OSError",
            "Unable to open file (unable to open: name = 'a.h5', errno = 30, error message = '…')",
            "a.h5 is on",
        ),
        ("OSError", "[Errno 122] Disk quota exceeded", "the disk is full"),
        ("FileExistsError", "[Errno 17] File exists: 'a'", "a is a file, and a folder is needed there"),
        ("OSError", "a library: No space left on device", "the disk is full"),
        ("OSError", "[Errno 5] Input/output error", "OSError: [Errno 5]"),
        (
            "_ArrayMemoryError",
            "Unable to allocate 119. GiB",
            "there is not enough memory (Unable to allocate 119. GiB)",
        ),
        ("RuntimeError", "DefaultCPUAllocator: can't allocate memory: 9", "there is not enough memory (DefaultCPU"),
    ],
)
def test_a_notebook_that_cannot_write_is_told_in_the_same_words(name, value, words):
    error = SimpleNamespace(ename=name, evalue=value)
    assert execution._sentence(error, execution.RESULTS / "x.failed.ipynb").startswith(words)
