"""From figure to paper: what LaTeX compiles, with every reference, every font, and the numbers of the scores."""

import errno
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from matplotlib.figure import Figure

from meagan_lib import ROOT, InputError, cli, plots
from meagan_lib.book import building, latex, paper, printing
from meagan_lib.book.translation import Translator, table
from meagan_lib.evaluation.metrics import ALL
from meagan_lib.workflow import drawings, figures
from meagan_lib.workflow.figures import registry, save_figure

KEPT = json.loads((ROOT / "figures" / "baselines" / "reference.json").read_text())
RUN = "thesis_1"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with the kept scores, a figure that a column takes, one that it does not, and one that is not kept."""
    home = tmp_path_factory.mktemp("paper")
    results = home / "results" / RUN
    results.mkdir(parents=True)
    for file in ("scores", "moment_matching"):
        (results / f"{file}.json").write_text(json.dumps(KEPT[file]))
    (results / "network.json").write_text(json.dumps({"groups": {"found": 3, "p": 1e-5}, "none": None}))
    history = {"step": np.arange(0, 90, 10)} | dict.fromkeys(("nll", "kl", "noise"), np.linspace(70, 60, 9))
    drawn = {
        "vae_gan_latent_usage": plots.latent_usage({"after stage 1": np.linspace(2, 0, 8)}, {"after stage 1": 7}),
        "vae_gan_elbo": plots.elbo(history, 10),
        "vae_gan_training": plots.latent_usage({"after stage 2": np.ones(8)}, {"after stage 2": 8}),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "folder", lambda run: home / "figures" / run)
        patch.setattr(paper, "RESULTS", home / "results")
        patch.setattr(building, "RESULTS", home / "results")
        patch.delenv(figures.STAGING, raising=False)
        for id, fig in drawn.items():
            save_figure(fig, id, run=RUN, data={}, stamp="quick run")
        drawings.place(figures.folder(RUN), "vae_gan_training").unlink()
        yield RUN


@pytest.fixture(scope="module")
def italian(run, tmp_path_factory):
    """An export in Italian: its folder, and what lacks."""
    folder = tmp_path_factory.mktemp("italian")
    number, lacking = paper.export(run, folder, "it")
    assert number == 2
    return folder, lacking


def compiled(folder) -> tuple[str, bytes]:
    """What LaTeX says the second time, and the PDF, uncompressed."""
    plain = r"\pdfcompresslevel=0\pdfobjcompresslevel=0\input{main}"
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-jobname=main", plain]
    for _ in range(2):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout.replace("\n", ""), (folder / "main.pdf").read_bytes()


def fonts(pdf: bytes) -> tuple[int, int]:
    """How many fonts are described, and how many are embedded."""
    return len(re.findall(rb"/Type ?/FontDescriptor", pdf)), len(re.findall(rb"/FontFile[23]? ", pdf))


def test_fonts_of_figures_are_embedded_as_truetype(italian):
    folder, _ = italian
    for path in folder.glob("figures/*.pdf"):
        described, embedded = fonts(path.read_bytes())
        assert described == embedded > 0 and b"/FontFile2 " in path.read_bytes()


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed: see .ci/run")
@pytest.mark.parametrize("language", ["it", "en"])
def test_an_export_compiles_with_every_reference_and_every_font(language, run, italian, tmp_path):
    folder, _ = italian
    if language == "en":
        folder = tmp_path
        paper.export(run, folder)
    said, pdf = compiled(folder)
    assert not re.search(r"undefined|multiply|Overfull|Missing character", said)
    described, embedded = fonts(pdf)
    assert described == embedded > 0
    assert "figures/vae_gan_latent_usage_column.pdf" in said and "figures/vae_gan_elbo.pdf" in said


def test_every_score_is_a_command_with_its_interval_and_its_floor(italian):
    lines = dict(
        re.findall(r"^\\newcommand\{(\\\w+)\}\{(.*?)\}(?: %|$)", (italian[0] / "results.tex").read_text(), re.M)
    )
    for model, of in KEPT["scores"].items():
        for metric, score in of.items():
            low, high = score["interval"]
            for words, value in {(): score["value"], ("low",): low, ("high",): high}.items():
                assert lines[latex.command(model, metric, *words)] == latex.number(value)
            assert lines[latex.command("floor", metric)] == latex.number(score["floor"])
    assert lines[r"\VaeGanMatchedCoverage"] == latex.number(KEPT["moment_matching"]["vae_gan"]["coverage"]["value"])
    assert lines[r"\NetworkGroupsFound"] == "3" and r"\NetworkNone" not in lines


def test_what_a_run_lacks_is_said_and_figures_are_the_same_bytes_again(italian, run, tmp_path, monkeypatch):
    folder, lacking = italian
    assert lacking == ["1 of its figures cannot be drawn again, vae_gan_training: run the notebook that makes it anew"]
    monkeypatch.setattr(paper, "scores_of", lambda run, file="": {})
    assert paper.export(run, tmp_path, "it")[1] == [*lacking, "it has no scores: notebook 4 makes them"]
    for path in (*tmp_path.glob("figures/*"), tmp_path / "captions.tex"):
        assert path.read_bytes() == (folder / path.relative_to(tmp_path)).read_bytes(), path.name
    with pytest.raises(InputError, match="nothing of a run 'none' yet"):
        paper.export("none", tmp_path)


def test_the_command_says_where_the_paper_is_and_refuses_another_format(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paper, "export", lambda run, folder, language: (2, ["it has no scores"]))
    cli.export(RUN, to="latex", lang="it", out=str(tmp_path))
    said = capsys.readouterr().out
    assert "it has no scores\n2 figures of run 'thesis_1'" in said and f"{tmp_path}/main.tex" in said
    with pytest.raises(InputError, match="format 'word' is not known"):
        cli.export(RUN, to="word", lang="it", out="")


def test_another_export_replaces_the_files_of_the_last_and_nothing_else(run, italian, tmp_path, monkeypatch):
    folder = tmp_path / "paper"
    shutil.copytree(italian[0], folder)
    (folder / "thesis.tex").write_text("mine")
    monkeypatch.setattr(figures, "manifest", lambda run: {})
    paper.export(run, folder)
    assert not list(folder.glob("figures/*.pdf")) and (folder / "thesis.tex").read_text() == "mine"
    (folder / paper.LISTING).unlink()
    with pytest.raises(InputError, match="holds something else than an export"):
        paper.export(run, folder)


def test_a_full_disk_is_said_and_leaves_the_export_that_was_there(run, italian, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = tmp_path / "paper"
    shutil.copytree(italian[0], folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr(printing, "saved", full)
    with pytest.raises(InputError, match="the disk is full: what stood in .*paper is untouched"):
        paper.export(run, folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_column_takes_a_figure_whose_words_have_room(italian):
    files = {path.stem for path in (italian[0] / "figures").iterdir()}
    assert files == {"vae_gan_latent_usage", "vae_gan_latent_usage_column", "vae_gan_elbo"}


@pytest.mark.parametrize(
    ("x", "angle", "found"),
    [(0.3, 0, {("below", "some words here")}), (0.5, 0, set()), (1.2, 0, {("below",)}), (0.3, 90, set())],
)
def test_words_that_lie_on_others_or_leave_the_figure_are_found(x, angle, found):
    fig = Figure(figsize=(4, 2))
    fig.text(0.1, 0.5, "some words here")
    fig.text(x, 0.5 if not angle else 0.6, "below", rotation=angle)
    assert printing.crowded(fig) == found


def test_labels_one_above_the_other_are_found_where_they_meet():
    fig = Figure(figsize=(2, 2))
    fig.text(0.1, 0.5, "of the upper panel", rotation=90, va="center")
    fig.text(0.1, 0.1, "of the lower panel", rotation=90, va="center")
    assert ("of the lower panel", "of the upper panel") in printing.crowded(fig)


def test_captions_and_tables_have_no_character_that_latex_lacks():
    known = (
        set(latex.MATH) | set(latex.SPECIAL) | {chr(code) for code in (*range(32, 127), *range(160, 383))} | set("–“”—")
    )
    captions = [entry.caption for entry in registry().values()]
    captions += [each["caption"] for each in table()["it"]["captions"].values()]
    labels = [metric.label for metric in ALL.values()] + list(plots.LABELS.values())
    assert set("".join([*captions, *labels, *map(Translator("it"), labels)])) <= known


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("D* = p_data / (p_data + p_g)", r"$D^*$ = $p_{\mathrm{data}}$ / ($p_{\mathrm{data}}$ + $p_{g}$)"),
        ("95 % of l'errore, a & b", r"95\,\% of l'errore, a \& $b$"),
        ("−log D, R1, t-SNE", r"\ensuremath{-}log $D$, R1, $t$-SNE"),
        ("C:\\x {y} ~", r"C:\textbackslash{}$x$ \{y\} \textasciitilde{}"),
    ],
)
def test_text_becomes_tex(text, tex):
    assert latex.tex(text) == tex


def test_names_of_commands_are_letters_and_never_twice():
    found = latex.commands([(("c2st_auc", "p < 0.05"), 1), (("c2st auc p", "<0.05"), 2.5)])
    assert [line.split(" %")[0] for line in found] == [
        r"\newcommand{\CTwoStAucPBelowZeroZeroFive}{1}",
        r"\newcommand{\CTwoStAucPBelowZeroZeroFiveA}{2.500}",
    ]
