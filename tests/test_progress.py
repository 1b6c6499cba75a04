"""What a run shows of itself: which job, which stage, how far, how long still; and that it is quiet where nobody looks."""

import io
import json
import re
from types import SimpleNamespace

import nbformat
import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from meagan_lib import figures, notebooks, progress


@pytest.fixture
def note(tmp_path, monkeypatch):
    """The note of a job, read anew at each call."""
    path = tmp_path / progress.FOLDER / "job.json"
    monkeypatch.setenv(progress.NOTE, str(path))
    return lambda: json.loads(path.read_text()) if path.is_file() else None


def test_a_job_says_that_it_begins_and_ends_where_nobody_looks_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv(progress.SHOWN, raising=False)
    with progress.noted("02_transformer_gan", tmp_path):
        assert len(list((tmp_path / progress.FOLDER).glob("*.json"))) == 1
    assert re.fullmatch(r"  02_transformer_gan …\n  02_transformer_gan done in \d+ s\n", capsys.readouterr().out)
    assert not list((tmp_path / progress.FOLDER).glob("*.json"))


def test_a_job_that_is_looked_at_is_silent_and_leaves_how_long_it_took(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv(progress.SHOWN, "1")
    with progress.noted("merge", tmp_path):
        pass
    with pytest.raises(ValueError), progress.noted("broken", tmp_path):
        raise ValueError
    assert capsys.readouterr().out == ""
    left = {path.stem: json.loads(path.read_text()) for path in (tmp_path / progress.FOLDER).glob("*.json")}
    assert list(left) == ["merge"] and left["merge"]["seconds"] >= 0


def test_cells_tell_the_heading_that_they_stand_under(tmp_path, note):
    cells = [
        nbformat.v4.new_markdown_cell("# 2 · The GAN\n\nwords"), nbformat.v4.new_code_cell("a = 1"),
        nbformat.v4.new_markdown_cell("only words"), nbformat.v4.new_markdown_cell("## 2.3 Training"),
        nbformat.v4.new_code_cell("train()"),
    ]
    path = tmp_path / "notebook.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    update, told = progress.by_cell(path), []
    for cell in (cells[1], nbformat.v4.new_code_cell("injected"), cells[4]):
        update(cell=cell, cell_index=0)
        told.append((note()["stage"], note()["done"], note()["total"]))
    assert told == [("2 · The GAN", 0, 2), ("2 · The GAN", 0, 2), ("2.3 Training", 1, 2)]


def test_a_training_that_papermill_executes_tells_its_steps_and_how_long_still(note, monkeypatch):
    monkeypatch.setenv(figures.STAGING, "somewhere")
    clock = iter([10.0, 10.1, 15.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    update, told = notebooks.progress("Transformer-GAN"), []
    for step in (500, 501, 600, 1000):  # resumed at 500
        update(SimpleNamespace(step=step, total_steps=1000))
        told.append((note()["done"], note()["left_s"]))
    assert told == [(500, None), (500, None), (600, 20.0), (1000, 0.0)]
    assert progress.in_words({"stage": "2.3 Training"} | note() | {"left_s": 3700}) == (
        "2.3 Training · step 1000 of 1000 · 1:01:40 left"
    )


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)


def test_each_job_at_work_has_a_bar_and_an_ended_one_a_line(tmp_path):
    folder, bars = tmp_path / progress.FOLDER, Progress(TextColumn("{task.description} {task.fields[words]}"), console=terminal())
    folder.mkdir()
    for title, told in {
        "02_transformer_gan": {"stage": "2.3 Training", "done": 3, "total": 9, "unit": "step", "left_s": 61.0},
        "merge": {},
    }.items():
        (folder / f"{title}.json").write_text(json.dumps({"title": title} | told))
    (folder / "torn.json").write_text('{"title": "to')
    progress.look(tmp_path, bars)
    shown = {task.description: (task.fields["words"], task.completed, task.total) for task in bars.tasks}
    assert shown == {"02_transformer_gan": ("2.3 Training · step 3 of 9 · 1:01 left", 3, 9), "merge": ("", 0, None)}
    (folder / "merge.json").write_text(json.dumps({"title": "merge", "seconds": 2.4}))
    progress.look(tmp_path, bars)
    assert [task.description for task in bars.tasks] == ["02_transformer_gan"]
    assert "merge done in 2 s" in bars.console.file.getvalue() and not (folder / "merge.json").exists()


@pytest.mark.parametrize("where", ["terminal", "log", "CI"])
def test_bars_are_shown_in_a_terminal_alone(tmp_path, monkeypatch, where):
    monkeypatch.delenv("CI", raising=False)
    if where == "CI":
        monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(progress, "EVERY_S", 0.01)
    console = Console(file=io.StringIO()) if where == "log" else terminal()
    with progress.shown(tmp_path, console):
        asked = progress.os.environ.get(progress.SHOWN)
        with progress.noted("merge", tmp_path):
            progress.note(stage="joining", done=1, total=2, unit="cell")
            progress.time.sleep(0.1)
    told = console.file.getvalue()
    assert (asked == "1") == (where == "terminal") and progress.SHOWN not in progress.os.environ
    assert ("joining · cell 1 of 2" in told, "merge done in 0 s" in told) == (where == "terminal",) * 2
