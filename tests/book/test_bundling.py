"""Run bundles: all that draws a run again in one file, and nothing in a stranger's file that could run."""

import base64
import json
import shutil
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from meagan_lib import InputError, cli, plots
from meagan_lib.book import building, bundling, explorer
from meagan_lib.workflow import bundles, drawings, figures, files, graph
from meagan_lib.workflow.execution import find_notebook
from tests.fixtures import score

RUN = "tiny"
NOTEBOOK = "01_preprocessing"
EVIL = "<script>alert(1)</script> ```{include} /etc/passwd\n```\n:::{raw} html\n<b>x</b>\n:::\n{eval-rst}`x`"
"""What would run, or read a file, in a page of the book."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run with a notebook, scores, and two figures, of which one is drawn by hand."""
    home = tmp_path_factory.mktemp("bundling")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "folder", lambda run: home / "figures" / run)
        patch.delenv(figures.STAGING, raising=False)
        made(home / "results" / RUN)
    return home


@pytest.fixture
def home(run, tmp_path, monkeypatch):
    """A copy of that folder, in which results and figures are looked for."""
    for module in (building, bundling, explorer, cli):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(figures, "folder", lambda run: tmp_path / "figures" / run)
    monkeypatch.delenv(figures.STAGING, raising=False)
    shutil.copytree(run, tmp_path, dirs_exist_ok=True)
    return tmp_path


def made(results: Path) -> None:
    """Write that run."""
    shown = {"intervals_ms": np.geomspace(0.5, 50, 40).astype(np.float32)}
    fig = plots.intervals_isolation(shown["intervals_ms"], 3.0, {"kept": 30, "overlap": 10})
    saved = figures.save_figure(fig, "intervals_isolation", run=RUN, data=shown, stamp="tiny run")
    figures.save_figure(plots.style.Figure(), "chip_map", run=RUN, data={})
    own = nbformat.read(find_notebook(NOTEBOOK), as_version=4)
    output = nbformat.v4.new_output("execute_result", {"text/plain": repr(saved), "text/html": saved._repr_html_()})
    table = nbformat.v4.new_output("execute_result", {"text/html": "<table><tr><td>7</td></tr></table>"})
    cell = nbformat.v4.new_code_cell("draw()", outputs=[output, table])
    executed = nbformat.v4.new_notebook(cells=[own.cells[0], cell])
    for path, content in {
        f"notebooks/{NOTEBOOK}.ipynb": nbformat.writes(executed),
        f"params/{NOTEBOOK}.yaml": yaml.safe_dump({"name": RUN, "recording": "/home/some one/chip.brw"}),
        f"receipts/{NOTEBOOK}.json": json.dumps({"notebook": NOTEBOOK, "seconds": 1.0, "figures": ["chip_map"]}),
        "scores.json": json.dumps({model: {"coverage": score(0.5)} for model in ("reach", "vae_gan")}),
        "vae_gan/checkpoint.pt": "weights",
    }.items():
        (results / path).parent.mkdir(parents=True, exist_ok=True)
        (results / path).write_text(content)


def packed(home: Path) -> Path:
    bundling.pack(RUN, home / "tiny.zip")
    return home / "tiny.zip"


def changed(path: Path, files: dict[str, bytes | None]) -> Path:
    """The bundle with files added, replaced, or, where None, left out."""
    with zipfile.ZipFile(path) as members:
        content = {name: members.read(name) for name in members.namelist()} | files
    with zipfile.ZipFile(path, "w") as members:
        for name, its in content.items():
            if its is not None:
                members.writestr(name, its)
    return path


def test_a_bundle_draws_a_run_again_with_the_same_bits_and_without_its_folders(home):
    path, out = packed(home), home / "again"
    with bundles.opened(path) as bundle:
        told = bundles.redraw(bundle, out)
        assert b"some one" not in b"".join(map(bundle.read, bundle.names))
        assert not [name for name in bundle.names if "checkpoint" in name or name.endswith("isolation.png")]
    assert told.same == ["intervals_isolation"] and told.as_pictures == ["chip_map"] and not told.failed
    for name in ("intervals_isolation.png", "intervals_isolation.svg", "intervals_isolation.npz", "chip_map.png"):
        assert (out / name).read_bytes() == (home / "figures" / RUN / name).read_bytes()
    assert json.loads((out / "manifest.json").read_text()) == figures.manifest(RUN)


def test_figures_of_each_of_several_recordings_go_along(home):
    part = f"{RUN}/recordings/north"
    figures.save_figure(plots.distance_to_train({"real": np.arange(9.0)}), "chip_map", run=part, data={})
    with bundles.opened(packed(home)) as bundle:
        told = bundles.redraw(bundle, home / "again")
    assert set(told.same) == {"intervals_isolation", "recordings/north/chip_map"}
    again = home / "again" / "recordings" / "north" / "chip_map.svg"
    assert again.read_bytes() == (figures.folder(part) / "chip_map.svg").read_bytes()


def test_the_same_run_gives_the_same_bytes(home):
    first = packed(home).read_bytes()
    for path in (home / "results").rglob("*.json"):
        path.touch()
    assert packed(home).read_bytes() == first


def test_a_run_that_comes_out_of_a_bundle_has_chapters_figures_and_scores(home):
    path = packed(home)
    with pytest.raises(InputError, match="another run 'tiny' here"):
        bundling.restore(path)
    assert bundling.restore(path, "copy") == bundling.restore(path, "copy") == "copy"
    chapters = [chapter for chapter in building.chapters("copy") if chapter.run == "copy"]
    notebook, pictures = building.for_book(chapters[0], chapters, "copy")
    assert chapters[0].title == nbformat.read(find_notebook(NOTEBOOK), as_version=4).cells[0].source[2:].split("\n")[0]
    assert [picture.id for picture in pictures] == ["intervals_isolation"] and "<td>7</td>" in str(
        notebook.cells[1].outputs
    )
    assert figures.verify("copy") == ["chip_map: the picture or its data are missing"]
    assert building.scores("copy") == building.scores(RUN)
    (home / "results" / "copy" / "receipts" / f"{NOTEBOOK}.json").write_text('{"notebook": "another"}')
    with pytest.raises(InputError, match="another run 'copy' here"):
        bundling.restore(path, "copy")


def test_what_the_engine_knew_of_an_earlier_run_of_that_name_is_forgotten(home, monkeypatch):
    monkeypatch.setattr(graph, "ROOT", home)
    folder = home / ".snakemake" / "metadata"
    folder.mkdir(parents=True)
    records = {}
    for run in ("copy", "copy2"):
        records[run] = folder / base64.urlsafe_b64encode(f"results/{run}/receipts/01.json".encode()).decode()
        records[run].touch()
    bundling.restore(packed(home), "copy")
    assert not records["copy"].exists() and records["copy2"].exists()


def test_files_of_somebody_are_no_place_for_a_bundle_or_what_it_draws(home, capsys, monkeypatch):
    path = packed(home)
    packed(home)  # an earlier bundle is replaced
    for taken, arguments in (("a.brw", ["bundle", RUN, "--out"]), ("mine/scores.png", ["redraw", str(path), "--out"])):
        (home / taken).parent.mkdir(exist_ok=True)
        (home / taken).write_text("mine")
        monkeypatch.setattr("sys.argv", ["meagan", *arguments, str(home / taken.partition("/")[0])])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 1 and "give another --out" in capsys.readouterr().err
        assert (home / taken).read_text() == "mine"


def test_nothing_of_a_strangers_notebook_reaches_sphinx_or_a_browser_as_markup():
    bad = nbformat.v4.new_notebook(metadata={"mystnb": {"execution_mode": "force"}})
    data = {"text/html": f"<td onclick='x()'>{EVIL}</td><img src='javascript:x'>", "application/javascript": "x()"}
    outputs = [nbformat.v4.new_output("display_data", data)]
    outputs.append(nbformat.v4.new_output("display_data", {"text/markdown": EVIL, "image/svg+xml": EVIL}))
    bad.cells = [
        nbformat.v4.new_markdown_cell(EVIL, attachments={"x.svg": {"image/svg+xml": EVIL}}),
        nbformat.v4.new_raw_cell(EVIL, metadata={"raw_mimetype": "text/html"}),
        nbformat.v4.new_code_cell(EVIL, outputs=outputs, metadata={"mystnb": {"code_prompt_show": EVIL}}),
    ]
    found = bundling.harmless(bad, NOTEBOOK)
    assert set(found.metadata) == {"language_info"} and [cell.cell_type for cell in found.cells] == ["markdown", "code"]
    text, code = found.cells
    for shown in (text.source, code.outputs[1].data["text/markdown"]):
        tokens = MarkdownIt("commonmark").parse(shown)
        assert {token.type for token in tokens} == {"paragraph_open", "inline", "paragraph_close"}
        assert {token.type for token in tokens[1].children} <= {"text", "text_special", "softbreak"}
        assert ":::" not in shown and "{eval-rst}`" not in shown
    assert "```" not in code.source and set(code.metadata) == {"tags"}
    assert [set(output.data) for output in code.outputs] == [{"text/html"}, {"text/markdown"}]
    assert not any(mark in code.outputs[0].data["text/html"] for mark in ("<script", "onclick", "javascript"))


def test_text_of_this_checkout_and_code_that_is_shown_stay_as_they_are():
    own = nbformat.read(find_notebook(NOTEBOOK), as_version=4)
    kept = bundling.harmless(own, NOTEBOOK)
    assert [c.source for c in kept.cells if c.cell_type == "markdown"] == [
        c.source for c in own.cells if c.cell_type == "markdown"
    ]
    code = "```python\ndef f(x):\n    return x\n```"
    assert bundling.literal(code) == code and bundling.literal("**a** {b}") == r"**a** \{b\}"


@pytest.mark.parametrize(
    "name",
    ["../x.json", "results/../../x.json", "/x.json", "results\\..\\x.json", "results/.hidden/x.json", "figures/x.py"],
)
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_written(home, name):
    path = changed(packed(home), {name: b"{}"})
    with pytest.raises(InputError, match="tiny.zip is refused: it holds"):
        bundling.restore(path, "copy")
    assert not (home / "results" / "copy").exists() and not list(home.glob("x.json"))


@pytest.mark.parametrize("id", ["../x", "a/b", "", ".."])
def test_a_figure_whose_name_is_a_path_is_refused(home, id):
    line = {"caption": "c", "chapter": "1", "notebook": "n"}
    path = changed(packed(home), {"figures/manifest.json": json.dumps({id: line}).encode()})
    with bundles.opened(path) as bundle, pytest.raises(InputError, match="is no figure"):
        bundles.redraw(bundle, home / "out")


def test_words_of_a_stranger_come_without_markup(home):
    line = figures.manifest(RUN)["intervals_isolation"] | {"run": EVIL, "library_sha256": {EVIL: EVIL}, "caption": EVIL}
    files = {
        "figures/manifest.json": json.dumps({"intervals_isolation": line}).encode(),
        "results/scores.json": json.dumps({"reach": {}, EVIL: {}}).encode(),
        f"results/params/{NOTEBOOK}.yaml": yaml.safe_dump({EVIL: EVIL}).encode(),
    }
    bundling.restore(changed(packed(home), files), "copy")
    restored = figures.manifest("copy")["intervals_isolation"]
    assert restored["caption"] == figures.registry()["intervals_isolation"].caption
    told = [
        restored["run"],
        *restored["library_sha256"],
        *building.scores("copy"),
        *building.parameters("copy")[NOTEBOOK],
    ]
    assert not any(bundling.MARKUP.search(words) for words in told)


def test_what_cannot_be_drawn_is_named_and_the_rest_is_drawn(home):
    call = {"drawing": ["windows.intervals_isolation", {"mapping": [["gone", 1]]}]}
    kept = {"mapping": [["figure", call], ["data", {"mapping": []}]]}
    np.savez(home / "bad.npz", drawing=json.dumps({"version": 1, "kept": kept}))
    path = changed(packed(home), {"figures/drawings/chip_map.npz": (home / "bad.npz").read_bytes()})
    with bundles.opened(path) as bundle:
        told = bundles.redraw(bundle, home / "out")
    assert told.same == [
        "intervals_isolation"
    ] and "chip_map: windows.intervals_isolation does not draw" in bundles.failure(told)
    with pytest.raises(InputError, match="chip_map"):
        bundling.restore(path, "copy")
    assert not (home / "results" / "copy").exists() and not list((home / "results").glob(".*"))


def test_a_full_disk_ends_drawing_and_is_not_taken_for_a_figure_that_cannot_be_drawn(home, monkeypatch):
    path = packed(home)
    monkeypatch.setattr(files, "is_disk_full", lambda *_: True)
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: 1 / 0)
    with bundles.opened(path) as bundle, pytest.raises(InputError, match="the disk is full"):
        bundles.redraw(bundle, home / "out")


def test_damaged_foreign_and_newer_files_get_a_sentence(home):
    path = packed(home)
    whole = path.read_bytes()
    for end in (0, 10, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match="damaged, or no bundle"), bundles.opened(path):
            pass
    flipped = bytearray(whole)
    flipped[whole.index(b"PK\x03\x04", 4) - 20] ^= 255
    path.write_bytes(flipped)
    with pytest.raises(InputError, match="damaged"):
        bundling.restore(path, "copy")
    for about, words in (
        (None, "no bundle that meagan bundle has made"),
        ({"format": "other"}, "no bundle that meagan bundle has made"),
        ({"format": bundles.FORMAT, "version": 99, "run": "x"}, "newer version"),
        ({"format": bundles.FORMAT, "version": 1, "run": "../x"}, "which run"),
        ({"format": bundles.FORMAT, "version": 1, "run": 2024}, "which run"),
    ):
        path.write_bytes(whole)
        changed(path, {bundles.ABOUT: about and json.dumps(about).encode()})
        with pytest.raises(InputError, match=words), bundles.opened(path):
            pass
    path.write_bytes(whole)
    changed(path, {bundles.ABOUT: b"[" * 10**5})
    with pytest.raises(InputError, match="bundle.json in the bundle is damaged"), bundles.opened(path):
        pass
    for offset, value in ((6, 1), (8, 99)):  # encrypted; compressed in a way that nobody knows
        other = bytearray(whole)
        other[other.index(b"PK\x01\x02") + offset + 2] = other[offset] = value
        path.write_bytes(other)
        with pytest.raises(InputError, match="damaged"):
            bundling.restore(path, "copy")
    for lacking, words in (
        ("figures/manifest.json", "has no figures"),
        (f"results/receipts/{NOTEBOOK}.json", "no receipts"),
    ):
        path.write_bytes(whole)
        changed(path, {lacking: None})
        with pytest.raises(InputError, match=words):
            bundling.restore(path, "copy")
        assert not (home / "results" / "copy").exists()
    (home / "results" / RUN / "scores.json").write_text("{")
    with pytest.raises(InputError, match="scores.json is damaged"):
        packed(home)
    with pytest.raises(InputError, match="there is no bundle"), bundles.opened(home / "none.zip"):
        pass


def test_a_run_that_is_missing_or_has_no_figures_is_refused(home):
    with pytest.raises(InputError, match="there is nothing of a run 'none' yet"):
        bundling.pack("none", home / "x.zip")
    (figures.folder(RUN) / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="run 'tiny' has no figures"):
        bundling.pack(RUN, home / "x.zip")
    assert not (home / "x.zip").exists()


def test_networks_that_are_too_large_stay_behind_and_the_bundle_says_so(home, monkeypatch):
    (home / "results" / RUN / "vae_gan" / "model.safetensors").write_bytes(b"x" * 100)
    monkeypatch.setattr(bundling, "SMALL", 10)
    about = bundling.pack(RUN, home / "x.zip")
    assert "the explorer" in about["left_out"][-1] and not any("explorer" in words for words in about["inside"])


def test_the_commands_say_what_goes_along_and_what_was_drawn(home, capsys):
    cli.bundle(RUN)
    cli.redraw(str(home / "results" / RUN / "tiny.zip"))
    said = capsys.readouterr().out
    assert "in it: what draws 1 of 2 figures" in said and "not in it: the recording" in said
    assert "1 figures drawn in" in said and "1 of them bit for bit those of the run" in said
    assert drawings.redrawn(home / "results" / RUN / "tiny_figures", "intervals_isolation").axes
