"""The concept notebooks: they run without complaint, exercises check themselves, students have hints for solutions."""

import json
import linecache

import nbformat
import numpy as np
import pytest
import torch
import yaml
from matplotlib.figure import Figure
from nbclient import NotebookClient

from meagan_lib import InputError, book
from meagan_lib.book import teaching
from meagan_lib.book.teaching import SOLUTIONS, Animated, Interactive, for_students, spike_windows, students_path
from meagan_lib.parameters import check, of_preset, resolve
from meagan_lib.windows.spike_windows import Split
from meagan_lib.workflow import drawings, figures
from meagan_lib.workflow.execution import NOTEBOOKS, RESULTS, declared_parameters, find_notebook
from meagan_lib.workflow.figures import STAGING
from meagan_lib.workflow.files import write_if_changed
from tests.fixtures import forget, planned_jobs

RUN = "test-concepts"
pytestmark = pytest.mark.usefixtures("warm_kernels")
NAMES = [students_path(path).stem for path in sorted(SOLUTIONS.glob("*.ipynb"))]
MISTAKES = {
    "c1_networks": [
        ("-delta1.sum(0)", "delta1.sum(0)", "b is subtracted"),
        (" * (1 - h**2)", "", "the derivative 1 − h² of tanh"),
        ("delta2.T @ h, -delta2.sum(0)", "delta2.T @ h / 7, -delta2.sum(0) / 7", "the mean over the patterns"),
        ("delta2 = (o - target)", "delta2 = (target - o)", "is it O − T or T − O?"),
        ("n + 2 * padding - kernel", "n + padding - kernel", "padding is at both ends?"),
        ("// stride + 1", "// stride", "did you forget the + 1?"),
        ("(kernel - 1) * step", "kernel - 1", "the strides of the layers before?"),
        ("(kernel - 1) * step", "kernel * step", "a layer adds kernel − 1 steps"),
        ("(kernel - 1) * step", "(kernel - 1) * step * stride", "counts from the next layer on"),
    ],
    "c2_density_game": [
        ("q * np.log(1 - d)", "p * np.log(1 - d)", "did you weight the second term by q?"),
        ("np.log(1 - d)) * dx", "np.log(1 - d))", "did you forget dx?"),
        ("d = p /", "d = q /", "the logarithm of 0"),
        ("q * np.exp(logit)", "np.exp(logit)", "did you forget to multiply by q?"),
        ("q * np.exp(logit)", "q / (1 + np.exp(-logit))", "the sigmoid of the logit is D*"),
        ("-nn.functional.softplus(-on_real).mean() -", "nn.functional.softplus(-on_real).mean() +", "that is −V"),
        ("nn.functional.softplus(on_fake)", "-(1 - torch.sigmoid(on_fake)).log()", "the logarithm of 0"),
        ("generator(noise()).detach()", "generator(noise())", "did you forget detach?"),
        ("generator(noise()))).mean()", "generator(noise()).detach())).mean()", "G cannot learn here"),
        ("            d_optimiser.zero_grad()", "            pass", "gradients of D add up"),
        ("        g_optimiser.zero_grad()", "        pass", "gradients of G add up"),
        ("loss = -value(", "loss = value(", "did you let it descend?"),
        ("loss = -nn.functional.softplus(", "loss = nn.functional.softplus(", "did you let it ascend?"),
        ("in range(k)", "in range(1)", "k steps of D before each step of G"),
    ],
    "c3_losses": [
        ("return d if loss", "return 1 / (1 - d) if loss", "the derivative by D"),
        ("else 1 - d", "else d", "the slope of the other loss"),
        ("else 1 - d", "else d - 1", "the absolute value"),
        ("return 0 if loss", "return 1 if loss"),
        ("return 0 if loss == ", "return 0 if loss != ", "the other way round"),
    ],
    "c4_mode_collapse": [
        ("(distance < 3 * sd).mean()", "(distance < sd).mean()", "one sd instead of three"),
        ("(distance < 3 * sd).mean()", "(distance < 3 * sd).sum()", "divide by that of all samples"),
        (
            "np.linalg.norm(samples[:, None] - modes, axis=2).min",
            "abs(samples[:, None] - modes).max(2).min",
            "coordinate",
        ),
        (">= 0.1 * len(samples) / len(modes)", ">= 1", "is one enough for you?"),
        (
            "distance.argmin(axis=1)[distance.min(axis=1) < 3 * sd]",
            "distance.argmin(axis=1)",
            "nearest to a mode, but not",
        ),
    ],
    "c5_wasserstein": [
        ("A_eq=np.concatenate([leaving, arriving]), b_eq=np.concatenate([p, q])", "A_eq=leaving, b_eq=p", "nearest y?"),
        ("cost = cdist(x, y)", 'cost = cdist(x, y, "sqeuclidean")', "That is W₂²"),
        ("b_eq=np.concatenate([p, q])", "b_eq=np.concatenate([0 * p + 1 / n, 0 * q + 1 / m])", "the same weight?"),
    ],
    "c6_sinusoid_gan": [
        (">= 0.1 * len(values) / bins", ">= 1", "one value does not make a bin occupied"),
        ("if occupied(b, 0.5, 2) < 0.75", "if abs(b.mean() - 1.25) > 0.1", "did you compare means?"),
        ("b, c, _ = fit(curves)", "c, b, _ = fit(curves)", "did you swap b and c?"),
    ],
    "c7_vae": [
        ("- 1 - log_variance).sum(1)", "- 1 - log_variance).mean(1)", "did you take the mean over"),
        (
            "log_variance.exp() - 1 - log_variance",
            "(2 * log_variance).exp() - 1 - 2 * log_variance",
            "did you take log σ² for log σ?",
        ),
        ("log_variance.exp() - 1", "(0.5 * log_variance).exp() - 1", "did you take σ for σ²?"),
        ("mu + (0.5 * log_variance).exp()", "mu + log_variance.exp()"),
        ("epsilon**2 - log_variance)", "epsilon**2)", "did you forget log σ in log q(z)?"),
        ("torch.cdist(spoiled, data).square()", "torch.cdist(spoiled, data)", "the distance for its square?"),
        ("/ (2 * s**2), dim=1", "/ s**2, dim=1", "did you forget the 2"),
        ("/ (2 * s**2), dim=1", "/ (2 * s**2), dim=0", "does the softmax go over the data?"),
        ("- spoiled) / s**2", "- spoiled) / s", "did you divide by s"),
        ("- spoiled) / s**2", "- spoiled)", "that is the step"),
    ],
    "c8_attention": [
        ("dim=1) @ v", "dim=0) @ v", "does the softmax go over keys?"),
        (" / q.shape[1] ** 0.5", "", "did you forget to divide by √d?"),
        ("layer(x)[order]", "layer(x)", "that asks for invariance"),
        (".triu(1)", ".tril(-1)", "that is attention to the future"),
        (".triu(1)", ".triu()", "not a finite number"),
        ("masked_fill(future, -torch.inf)", "masked_fill(future, 0.0)", "did you give masked scores the value 0?"),
    ],
    "c9_flow_matching": [
        ("- (1 - t)) /", "+ (1 - t)) /", "which sign has the covariance"),
        ("(x - t * m)", "x", "did you forget to subtract E[x_t] from x?"),
        ("v(x, k / n)", "v(x, (k + 1) / n)", "did you use the velocity at the end of a step?"),
        ("np.sqrt(alpha_bar) * y0 + np.sqrt(1 - alpha_bar)", "alpha_bar * y0 + (1 - alpha_bar)", "are square roots"),
        ("np.prod(1 - beta[:k])", "1 - beta[k - 1]", "is a product over all steps"),
        ("beta[:k]", "beta[: k - 1]", "did you take k − 1?"),
        ("np.sqrt(then) * clean + np.sqrt(1 - then)", "np.sqrt(now) * clean + np.sqrt(1 - now)", "not with now"),
        (" * noise) / np.sqrt(now)", " * noise)", "did you forget to divide by √now?"),
        ("without + w * (with", "with_label + w * (with", "that is the weight of the paper"),
    ],
    "c10_conditioning_convolution": [
        (" + (e[label] * f).sum(axis=1)", "", "did you forget e(y) · f?"),
        ("(e[label] * f).sum(axis=1)", "(e.sum(axis=0) * f).sum(axis=1)", "did you add all rows of e?"),
        ("np.log(1 - d_generated)", "np.log(d_generated)", "it is log(1 − D) there"),
        ("return np.log(d_real).mean() + ", "return -np.log(d_real).mean() - ", "is what it maximises"),
        ("(length + 2 * p - k) // s + 1", "(length + 2 * p - k) // s", "did you forget the + 1?"),
        ("(length - 1) * s - 2 * p", "length * s - 2 * p", "L inputs are L − 1 steps of s"),
        ("(length - 1) * s - 2 * p", "(length - 1) * s - p", "cuts off p at both ends"),
        ("len(range(t % s, k, s))", "(k - t % s) // s", "round up, not down"),
        ('"no" if k % s == 0 else "yes"', '"yes" if k % s == 0 else "no"', "the other way round"),
    ],
    "c11_training": [
        ('beta * memory["v"] + g\n', '0.9 * memory["v"] + 0.1 * g\n', "here v is a sum"),
        ('return -rate * memory["v"]\n', 'return rate * memory["v"]\n', "step up instead of down"),
        ('alpha * memory["s"] + (1 - alpha) * g**2', 'memory["s"] + g**2', "that is AdaGrad"),
        ("g / (np.sqrt(memory", "g / (np.square(memory"),
        ('memory["v"] / (1 - beta1**t), memory["s"] / (1 - beta2**t)', 'memory["v"], memory["s"]', "1 − beta^t"),
        ("g * min(1, c / np.linalg.norm(g))", "g.clip(-c, c)", "changes the direction"),
        ("min(1, c / np.linalg.norm(g))", "c / np.linalg.norm(g)", "a short gradient stays"),
    ],
    "c12_energies": [
        ("return x - step / 2 * slope", "return x + step / 2 * slope", "walks uphill"),
        ("return x - step / 2 * slope", "return x - step * slope", "did you forget the ½"),
        ("(step * temperature) ** 0.5 * noise", "step * temperature * noise", "√ε, not ε"),
        ("(step * temperature) ** 0.5", "step**0.5", "where is the temperature?"),
        ("(step * temperature) ** 0.5", "temperature * step**0.5", "stands under the root"),
        ("real.mean() - sampled.mean()]", "real.sum() - sampled.sum()]"),
        ("return cd_gradient(real, x)", "return -cd_gradient(real, x)"),
        ("in range(k)", "in range(1)", "one step only"),
        ("w[0] * x + w[1]", "w[0] * real + w[1]", "the slope changes"),
        ("    x = real\n", "    x = 0 * real\n", "starts at the data"),
    ],
}
"""Plausible wrong solutions of each notebook's exercises: what stands in the right one, what instead, and, for those
that the notebook knows, what it says of them."""

CHEAPER = """
import functools, gc
from meagan_lib import book
from meagan_lib.book import teaching
from tests import cheaper

cheaper.draw_once()
book.spike_windows = functools.cache(book.spike_windows)
gc.collect = lambda *_: 0
teaching.STRIP = 1
%reset -f
"""
"""Windows of the bridges are cut once, and a slider that cannot be moved is one picture."""


def solution(name: str) -> nbformat.NotebookNode:
    return nbformat.read(SOLUTIONS / f"{name}_solution.ipynb", as_version=4)


def tagged(notebook: nbformat.NotebookNode, tag: str) -> list[str]:
    return [cell.source for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


@pytest.fixture
def verdicts(monkeypatch):
    """Runs exercises after the cells that they build on, and gives the verdict of each check."""

    def run(notebook: nbformat.NotebookNode, old: str = "", new: str = "") -> list[bool]:
        found = []
        monkeypatch.setattr(book, "check", lambda *given, **known: found.append(told(*given, **known)))
        space = {}
        for tag in ("parameters", "setup", "exercise"):
            for source in tagged(notebook, tag):
                exec(source.replace(old, new) if tag == "exercise" and old else source, space)
        return found

    told = teaching.check
    return run


@pytest.fixture(scope="module")
def lessons(tmp_path_factory):
    """The cells of all concepts in their smoke form, executed, and the folder of their figures.

    One kernel does them all, for its start takes longest; nothing of a concept is left when the next one starts.
    The whole run of notebooks 01 to 05 lays its figures out and has them as SVG.
    """
    staging, cells = tmp_path_factory.mktemp("staging"), [nbformat.v4.new_code_cell(CHEAPER)]
    for name, given in of_preset("concepts_smoke").items():
        for cell in nbformat.read(find_notebook(name), as_version=4).cells:
            cell.id = f"{name}-{cell.id}"
            cells.append(cell)
            if "parameters" in cell.metadata.get("tags", []):
                cells.append(nbformat.v4.new_code_cell("\n".join(f"{k} = {v!r}" for k, v in given.items())))
        cells.append(nbformat.v4.new_code_cell("%reset -f"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STAGING, str(staging))
        NotebookClient(nbformat.v4.new_notebook(cells=cells), kernel_name="python3").execute()
    return cells, staging


def test_the_concepts_make_all_their_figures(lessons):
    made = json.loads((lessons[1] / "manifest.json").read_text())
    assert set(made) == {id for id, entry in figures.registry().items() if entry.notebook in NAMES}
    assert {path.name for path in lessons[1].glob("*.npz")} == {f"{id}.npz" for id in made}
    for id in made:
        drawings.read(drawings.place(lessons[1], id))


@pytest.mark.parametrize("name", NAMES)
def test_a_concept_has_no_complaint_but_the_hints_of_its_exercises(lessons, name):
    outputs = [(cell.id, o) for cell in lessons[0] if cell.id.startswith(name) for o in cell.get("outputs", [])]
    for id, output in outputs:
        assert output.get("name") != "stderr" and "Warning" not in output.get("text", ""), f"{id}: {output.text}"
        assert not any("widget" in kind for kind in output.get("data", {})), id
    assert any("hint: " in output.get("text", "") for _, output in outputs)


def test_a_run_of_concepts_is_one_job_for_each(warm_kernels):
    forget(RUN)
    try:
        for path, given in check(RUN, resolve("concepts_smoke", [], [])).items():
            write_if_changed(path, yaml.safe_dump(given))
        assert planned_jobs(RUN, warm_kernels).keys() - {"all", "total"} == set(NAMES)
    finally:
        forget(RUN)


@pytest.mark.parametrize("name", NAMES)
def test_students_have_the_notebook_of_the_solution_with_hints_instead(name):
    """If not: python -m meagan_lib.book.teaching."""
    students = nbformat.read(find_notebook(name), as_version=4)
    assert students == for_students(solution(name))
    exercises = tagged(students, "exercise")
    assert exercises and all("raise NotImplementedError(" in source for source in exercises)
    assert not any("SOLUTION" in cell.source for cell in students.cells) and not tagged(students, "solution")


@pytest.mark.parametrize("name", NAMES)
def test_an_exercise_accepts_the_solution_and_neither_the_stub_nor_a_mistake(name, verdicts, capsys):
    right = verdicts(solution(name))
    assert right and all(right)
    assert verdicts(for_students(solution(name))) == [False] * len(right)
    assert capsys.readouterr().out.count("hint: ") == len(right)
    exercises = tagged(solution(name), "exercise")
    for old, new, *known in MISTAKES[name]:
        assert any(old in source for source in exercises), old
        assert not all(verdicts(solution(name), old, new)), f"{new} is taken for {old}"
        told = capsys.readouterr().out
        assert all(words in told for words in known), f"{new} instead of {old} is not met with '{known[0]}'"
    assert all(any(old in source for old, *_ in MISTAKES[name]) for source in exercises), "an exercise without mistake"


def test_the_defaults_of_the_concepts_are_their_run():
    run = {"name": "concepts"}
    assert of_preset("concepts") == {name: declared_parameters(find_notebook(name)) | run for name in NAMES}


def test_a_run_of_concepts_takes_parameters_and_no_recording():
    files = check("x", resolve("concepts", [], ["c1_networks.windows=quick"]))
    assert files[RESULTS / "x" / "params" / "c1_networks.yaml"] == {
        **declared_parameters(find_notebook("c1_networks")),
        "name": "x",
        "windows": "quick",
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
        (None, 1.0, False, "did you forget return?"),
        (np.array([np.nan, 1]), np.ones(2), False, "the logarithm of 0 or of a negative number"),
        ("near 0", "near 1", False, "expected near 1"),
        ({"a": 1}, 1.0, False, "a dict is given, where numbers or a text are expected"),
        ("near 1", "near 1", True, "right"),
    ],
)
def test_a_check_tells_what_was_expected_and_what_it_got(got, expected, right, words, capsys):
    assert teaching.check("the question", lambda: got, expected) == right
    told = capsys.readouterr().out
    assert words in told and "the question" in told and "expected" in told and told.startswith(("right", "not yet"))


@pytest.mark.parametrize(
    "got, right, words",
    [([-1, -2], False, "minus sign"), (1.5, False, "the mean"), ([1, 1], False, ""), ([1, 2], True, "")],
)
def test_a_check_names_the_usual_mistake_that_gives_a_wrong_answer(got, right, words, capsys):
    mistakes = {"did you forget the minus sign?": [-1.0, -2.0], "did you take the mean?": 1.5}
    assert teaching.check("the question", lambda: got, [1, 2], mistakes=mistakes) == right
    told = capsys.readouterr().out
    assert words in told and ("did you" in told) == bool(words)


def test_an_answer_that_raises_is_told_in_one_line_and_later_checks_run(capsys):
    cell = "def answer(x):\n    y = 2 * x\n    return helper(y)\n\n\n"
    cell += "def helper(y):\n    return np.ones(2) @ np.ones(y)\n\n\n"
    cell += 'check("one", lambda: answer(3), 1)\ncheck("two", lambda: 2, 2)'
    linecache.cache["a cell"] = (len(cell), None, cell.splitlines(True), "a cell")
    exec(compile(cell, "a cell", "exec"), {"check": teaching.check, "np": np})
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "error   one"
    assert told[1].startswith("        line 7 of your cell, `return np.ones(2) @ np.ones(y)`: ValueError: matmul")
    assert told[2].startswith("right   two") and "Traceback" not in "".join(told)


def test_a_cell_that_ends_with_a_check_shows_no_stray_value():
    cell = nbformat.v4.new_code_cell("from meagan_lib.book.teaching import check\ncheck('one', lambda: 1, 2)")
    NotebookClient(nbformat.v4.new_notebook(cells=[cell]), kernel_name="python3").execute()
    assert [output.output_type for output in cell.outputs] == ["stream"]


def line(height: float, colour: str) -> Figure:
    """A line."""
    fig = Figure(figsize=(1, 1))
    axis = fig.subplots()
    axis.axhline(height, color=colour)
    axis.set_title(f"at {height:g}")
    return fig


def test_a_slider_redraws_its_picture_and_pictures_stand_in_where_there_are_none(monkeypatch):
    monkeypatch.delenv(STAGING, raising=False)
    panel = Interactive(line, height=np.linspace(0, 1, 11), colour=["red", "black", "blue"])
    bundle = panel._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "text/html"} <= set(bundle)
    height, colour, picture = panel.sliders.children
    assert (height.value, colour.value, height.description) == (0.5, "black", "height")
    assert picture.layout.width == "96px" and picture.layout.align_self == "flex-start", (
        "not stretched over the notebook"
    )
    assert 'alt="height 0.5, colour black. A line. at 0.5"' in picture.value
    before = picture.value
    height.value = 0.9
    assert picture.value != before
    monkeypatch.setenv(STAGING, "somewhere")
    static = Interactive(line, height=np.linspace(0, 1, 11), colour=["red", "black", "blue"])._repr_mimebundle_()
    assert static == {"text/html": bundle["text/html"]}
    assert [f"height {h}" in static["text/html"] for h in ("0<", "0.3", "0.7", "1<")] == [True] * 4


def test_a_play_button_steps_through_the_first_control(monkeypatch):
    monkeypatch.delenv(STAGING, raising=False)
    play, height, _, _ = Interactive(line, 300, height=[0, 0.5, 1], colour=["red", "black"]).sliders.children
    assert (play.value, play.max, play.interval) == (height.index, 2, 300)


def test_an_animated_figure_stands_still_until_it_is_unfolded(tmp_path):
    saved = figures.SavedFigure(tmp_path / "c2_phases.png", "Four <phases>")
    saved.png.write_bytes(b"still")
    saved.png.with_suffix(".gif").write_bytes(b"moving")
    shown = Animated(saved)
    still, moving = shown._repr_html_().split("<details>")
    assert "image/png" in still and "gif" not in still and "Four &lt;phases&gt;" in still
    assert "image/gif" in moving and "width:100%" not in moving.replace("max-width:100%", "")
    assert repr(shown) == repr(saved), "the book knows it by this"


def test_a_bridge_has_windows_of_its_own_or_of_a_run_that_has_them():
    windows = spike_windows()
    assert all(len(windows.of(split)) > 100 for split in Split) and windows.label.max() > 5
    with pytest.raises(InputError, match="no windows of a run 'no-such-run'"):
        spike_windows("no-such-run")
