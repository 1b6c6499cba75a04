"""The registry and the manifest: nothing unregistered, nothing missing, nothing changed."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from meagan_lib import InputError, cli, plots
from meagan_lib.workflow import figures
from meagan_lib.workflow.execution import find_notebook
from meagan_lib.workflow.files import write_json
from tests.fixtures import FIGURE_FILES

ID = "scores"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "folder", lambda run: tmp_path / run)
    monkeypatch.delenv(figures.STAGING, raising=False)
    return tmp_path


def a_figure() -> Figure:
    fig = Figure()
    fig.subplots().plot([0, 1], [1, 2])
    return fig


def test_every_registered_figure_names_a_notebook_that_saves_it():
    for id, entry in figures.registry().items():
        source = find_notebook(entry.notebook).read_text()
        assert f'\\"{id}\\"' in source, f"{entry.notebook} does not save {id}"
        assert entry.chapter and entry.caption.endswith(".")


def test_an_unregistered_id_raises_and_names_the_nearest():
    with pytest.raises(InputError, match="'score' is not registered.*did you mean 'scores'"):
        figures.save_figure(a_figure(), "score", run="x", data={})


def test_a_saved_figure_has_picture_vector_data_and_a_line_in_the_manifest(home):
    saved = figures.save_figure(a_figure(), ID, run="x", data={"y": np.arange(3)}, stamp="quick run")
    assert {p.suffix for p in (home / "x").glob(f"{ID}.*")} == set(FIGURE_FILES)
    assert figures.manifest("x")[ID]["notebook"] == "04_results_comparison"
    assert saved.caption in saved._repr_html_()
    np.testing.assert_array_equal(np.load(home / "x" / f"{ID}.npz")["y"], np.arange(3))


@pytest.mark.parametrize("line", [3, [], {}, {"notebook": "04_results_comparison"}], ids=str)
def test_a_manifest_with_something_else_in_the_place_of_a_line_is_told_as_damaged(home, line):
    figures.save_figure(a_figure(), ID, run="x", data={"y": np.arange(3)})
    write_json(home / "x" / "manifest.json", figures.manifest("x") | {"chip_map": line})
    with pytest.raises(InputError, match="manifest.json is damaged"):
        figures.verify("x")


def test_the_same_figure_gives_the_same_bytes(home):
    for run in ("a", "b"):
        figures.save_figure(a_figure(), ID, run=run, data={"y": np.arange(3)})
    for suffix in FIGURE_FILES:
        assert (home / "a" / f"{ID}{suffix}").read_bytes() == (home / "b" / f"{ID}{suffix}").read_bytes()


def test_the_last_bits_of_a_layout_do_not_reach_the_file(home):
    for run, shift in (("a", 0.0), ("b", 1e-12)):
        fig = a_figure()
        fig.axes[0].set_position(np.array([0.123456, 0.2, 0.7, 0.6]) + shift)
        figures.save_figure(fig, ID, run=run, data={})
    assert (home / "a" / f"{ID}.svg").read_bytes() == (home / "b" / f"{ID}.svg").read_bytes()


@pytest.mark.parametrize(
    "given, drawn",
    [
        ("trough -714 to -343", "trough −714 to −343"),
        ("rescued: -0.00, p = 0.5", "rescued: 0.00, p = 0.5"),
        ("C2-5, 2024-01-02, 1e-05, $10^{-3}$", "C2-5, 2024-01-02, 1e-05, $10^{-3}$"),
    ],
)
def test_negative_numbers_in_words_have_a_minus_sign_and_nothing_else_has(given, drawn):
    fig = Figure()
    title, label = fig.suptitle(given), fig.subplots().set_xlabel(given)
    figures.set_minus_signs(fig)
    assert title.get_text() == label.get_text() == drawn


def test_verification_notices_a_changed_picture_and_changed_data(home):
    figures.save_figure(a_figure(), ID, run="x", data={"y": np.arange(3)})
    assert figures.verify("x") == []
    np.savez(home / "x" / f"{ID}.npz", y=np.arange(4))
    assert "data differ" in figures.verify("x")[0]
    figures.save_figure(a_figure(), ID, run="x", data={"y": np.arange(3)})
    png = home / "x" / f"{ID}.png"
    png.write_bytes(png.read_bytes() + b"x")
    assert "the picture differs" in figures.verify("x")[0]
    figures.save_figure(a_figure(), ID, run="x", data={"y": np.arange(3)}, animation=b"GIF")
    for suffix, complaint in ((".svg", "the vector picture differs"), (".gif", "the animation differs")):
        path = home / "x" / f"{ID}{suffix}"
        whole = path.read_bytes()
        path.write_bytes(whole + b"x")
        assert complaint in figures.verify("x")[0]
        path.unlink()
        assert "missing" in figures.verify("x")[0]
        path.write_bytes(whole)
    manifest = home / "x" / "manifest.json"
    lines = json.loads(manifest.read_text())
    lines[ID].pop("svg_sha256")  # as in an older manifest
    manifest.write_text(json.dumps(lines))
    assert figures.verify("x") == []


def test_a_registered_figure_that_was_not_made_fails_and_publishes_nothing(home):
    with pytest.raises(InputError, match="did not make the figures registered for it: transformer_gan_architecture"):
        figures.publish(home / "staging", "x", "02_transformer_gan", {})
    assert not (home / "x").exists()


def test_withdrawn_figures_leave_folder_and_manifest_and_those_of_parts_are_found(home):
    for run, id in (("x", ID), ("x", "chip_map"), ("x/recordings/a", "chip_map")):
        figures.save_figure(a_figure(), id, run=run, data={"y": np.arange(3)})
    figures.withdraw("x", "01_preprocessing")
    figures.withdraw("nothing", "01_preprocessing")
    assert list(figures.manifest("x")) == [ID] and not list((home / "x").glob("chip_map.*"))
    assert figures.verify("x") == [] and figures.parts("x") == ["x/recordings/a"]


def test_figures_of_recordings_that_a_run_no_longer_has_are_not_counted(home, monkeypatch, capsys):
    monkeypatch.setattr(cli, "RESULTS", home / "results")
    for part in "ab":
        figures.save_figure(a_figure(), "chip_map", run=f"x/recordings/{part}", data={})
    cli.verify("x")
    assert capsys.readouterr().out.startswith("2 figures")
    asked = home / "results" / "x" / "params" / "01_preprocessing.yaml"
    asked.parent.mkdir(parents=True)
    asked.write_text("{name: x, recording: [b.brw, c.brw]}")
    cli.verify("x")
    assert capsys.readouterr().out.startswith("1 figures")
    asked.write_text("{name: x, recording: b.brw}")
    with pytest.raises(InputError, match="no figures of a run 'x'"):
        cli.verify("x")


def test_models_keep_their_colours_and_real_is_none_of_them():
    assert len(set(plots.COLOURS.values())) == len(plots.COLOURS) and set(plots.LABELS) == set(plots.COLOURS)
