"""The concept notebooks: they run without complaint, exercises check themselves, students' versions follow solutions."""

import nbformat
import numpy as np
import pytest
import torch
import yaml
from matplotlib.figure import Figure

from meagan_lib import InputError, figures, teaching
from meagan_lib.cli import PARAMS, check, resolve
from meagan_lib.figures import STAGING
from meagan_lib.notebooks import NOTEBOOKS, RESULTS, check_parameters, declared_parameters, executed, find_notebook
from meagan_lib.teaching import SOLUTIONS, Interactive, for_students, spike_windows, students_path
from meagan_lib.windows import Split
from tests.conftest import forget, meagan

RUN = "test-concepts"
NAMES = [students_path(path).stem for path in sorted(SOLUTIONS.glob("*.ipynb"))]
MISTAKES = {
    "c1_networks": [("-delta1.sum(0)", "delta1.sum(0)"), (" * (1 - h**2)", ""), ("delta2.T @ h", "delta2.T @ h / len(x)")],
    "c7_vae": [
        ("- 1 - log_variance).sum(1)", "- 1 - log_variance).mean(1)"), ("log_variance.exp() - 1", "(0.5 * log_variance).exp() - 1"),
        ("mu + (0.5 * log_variance).exp()", "mu + log_variance.exp()"), ("epsilon**2 - log_variance)", "epsilon**2)"),
    ],
    "c8_attention": [("dim=1) @ v", "dim=0) @ v"), (" / q.shape[1] ** 0.5", ""), ("layer(x)[order]", "layer(x)")],
    "c9_flow_matching": [("- (1 - t)) /", "+ (1 - t)) /"), ("(x - t * m)", "x"), ("v(x, k / n)", "v(x, (k + 1) / n)")],
}
"""Plausible wrong solutions of each notebook's exercises: what stands in the right one, and what instead."""


def solution(name: str) -> nbformat.NotebookNode:
    return nbformat.read(SOLUTIONS / f"{name}_solution.ipynb", as_version=4)


def tagged(notebook: nbformat.NotebookNode, tag: str) -> list[str]:
    return [cell.source for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


@pytest.fixture
def verdicts(monkeypatch):
    """Runs exercises after the cells that they build on, and gives the verdict of each check."""

    def run(notebook: nbformat.NotebookNode, old: str = "", new: str = "") -> list[bool]:
        found = []
        monkeypatch.setattr(teaching, "check", lambda *given: found.append(told(*given)))
        space = {}
        for tag in ("parameters", "setup", "exercise"):
            for source in tagged(notebook, tag):
                exec(source.replace(old, new) if tag == "exercise" and old else source, space)
        return found

    told = teaching.check
    return run


@pytest.fixture(scope="module")
def run():
    """All concepts, in their smoke form, by the command."""
    forget(RUN)
    done = meagan("run", "concepts_smoke", "--name", RUN)
    assert done.returncode == 0, done.stdout + done.stderr
    yield done
    forget(RUN)


def test_the_run_makes_every_figure_of_the_concepts_and_shows_its_times(run):
    assert set(figures.manifest(RUN)) == {id for id, entry in figures.registry().items() if entry.notebook in NAMES}
    assert figures.verify(RUN) == [] and f"figures/{RUN}" in run.stdout


@pytest.mark.parametrize("name", NAMES)
def test_an_executed_concept_has_no_complaint_but_the_hints_of_its_exercises(run, name):
    cells = nbformat.read(executed(name, RUN), as_version=4).cells
    outputs = [(cell, output) for cell in cells for output in cell.get("outputs", [])]
    for cell, output in outputs:
        assert output.output_type != "error" and output.get("name") != "stderr", cell.id
        assert "Warning" not in output.get("text", ""), cell.id
        assert "widget" not in str(output.get("data", {}).keys()), cell.id
    assert any("hint: " in output.get("text", "") for _, output in outputs)


@pytest.mark.parametrize("name", NAMES)
def test_students_have_the_notebook_of_the_solution_with_hints_instead(name):
    """If not: python -m meagan_lib.teaching."""
    students = nbformat.read(find_notebook(name), as_version=4)
    assert students == for_students(solution(name))
    exercises = tagged(students, "exercise")
    assert exercises and all("raise NotImplementedError(" in source for source in exercises)
    assert not any("SOLUTION" in cell.source for cell in students.cells)


@pytest.mark.parametrize("name", NAMES)
def test_an_exercise_accepts_the_solution_and_neither_the_stub_nor_a_mistake(name, verdicts, capsys):
    right = verdicts(solution(name))
    assert right and all(right)
    assert verdicts(for_students(solution(name))) == [False] * len(right)
    assert capsys.readouterr().out.count("hint: ") == len(right)
    exercises = tagged(solution(name), "exercise")
    for old, new in MISTAKES[name]:
        assert any(old in source for source in exercises), old
        assert not all(verdicts(solution(name), old, new)), f"{new} is taken for {old}"
    assert all(any(old in source for old, _ in MISTAKES[name]) for source in exercises), "an exercise without mistake"


@pytest.mark.parametrize("preset", ["concepts", "concepts_smoke"])
def test_the_concepts_have_all_their_parameters_and_their_defaults_are_the_run(preset):
    content = yaml.safe_load((PARAMS / f"{preset}.yaml").read_text())
    assert sorted(content) == NAMES
    for name, given in content.items():
        declared = declared_parameters(find_notebook(name))
        assert list(given) == list(declared) and check_parameters(name, given) == given
        assert preset != "concepts" or given == declared | {"name": "concepts"}


def test_a_run_of_concepts_takes_parameters_and_no_recording():
    files = check("x", resolve("concepts", [], ["c1_networks.windows=quick"]))
    assert files[RESULTS / "x" / "params" / "c1_networks.yaml"] == {
        **declared_parameters(find_notebook("c1_networks")), "name": "x", "windows": "quick",
    }
    with pytest.raises(InputError, match="reads no recording: .* --set c1_networks.windows=NAME"):
        resolve("concepts", ["locust"], [])


def test_the_index_names_every_notebook():
    index = (NOTEBOOKS / "README.md").read_text()
    assert [stem for stem in (path.stem for path in NOTEBOOKS.glob("*.ipynb")) if stem not in index] == []
    assert [name for name in NAMES if f"concepts/{name}.ipynb" not in index] == []


@pytest.mark.parametrize(
    "got, expected, right, words",
    [
        (0.5, 0.5 + 1e-9, True, "right"),
        (torch.ones(2, requires_grad=True), np.ones(2), True, "got      [1, 1]"),
        (np.zeros(9), np.ones(9), False, "largest difference 1, allowed 1e-06"),
        (np.ones((2, 1)), np.ones(2), False, "shape (2, 1), where (2,) was expected"),
        (float("nan"), 1.0, False, "got      nan"),
        (None, 1.0, False, "got      None"),
        ("near 0", "near 1", False, "expected near 1"),
        ("near 1", "near 1", True, "right"),
    ],
)
def test_a_check_tells_what_was_expected_and_what_it_got(got, expected, right, words, capsys):
    assert teaching.check("the question", lambda: got, expected) is right
    told = capsys.readouterr().out
    assert words in told and "the question" in told and "expected " in told and told.startswith(("right", "not yet"))


def line(height: float, colour: str) -> Figure:
    fig = Figure(figsize=(1, 1))
    fig.subplots().axhline(height, color=colour)
    return fig


def test_a_slider_redraws_its_picture_and_pictures_stand_in_where_there_are_none(monkeypatch):
    monkeypatch.delenv(STAGING, raising=False)
    panel = Interactive(line, height=np.linspace(0, 1, 11), colour=["red", "black", "blue"])
    bundle = panel._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "text/html"} <= set(bundle)
    height, colour, picture = panel.sliders.children
    assert (height.value, colour.value, height.description) == (0.5, "black", "height")
    before = bytes(picture.value)
    height.value = 0.9
    assert picture.value != before
    monkeypatch.setenv(STAGING, "somewhere")
    static = Interactive(line, height=np.linspace(0, 1, 11), colour=["red", "black", "blue"])._repr_mimebundle_()
    assert static == {"text/html": bundle["text/html"]}
    assert [f"height {h}" in static["text/html"] for h in ("0<", "0.3", "0.7", "1<")] == [True] * 4


def test_a_bridge_has_windows_of_its_own_or_of_a_run_that_has_them():
    windows = spike_windows()
    assert all(len(windows.of(split)) > 100 for split in Split) and windows.label.max() > 5
    with pytest.raises(InputError, match="no windows of a run 'no-such-run'"):
        spike_windows("no-such-run")
