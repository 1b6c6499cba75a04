"""Parameters are strict, sources are stripped, and the graph knows which module a notebook needs."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from unittest.mock import Mock

import nbformat
import numpy as np
import pytest
import yaml

from meagan_lib import ROOT, InputError, cli, parameters
from meagan_lib.book.teaching import CONCEPTS, SOLUTIONS
from meagan_lib.parameters import OF_NO_NOTEBOOK, PARAMS, check, declared, default_name, in_full, of_preset, resolve
from meagan_lib.windows import merging
from meagan_lib.workflow import execution, figures, graph
from meagan_lib.workflow.execution import (
    NOTEBOOKS,
    check_names_and_types,
    check_parameters,
    declared_parameters,
    find_notebook,
    library_inputs,
    normalise,
)
from meagan_lib.workflow.figures import figures_of
from meagan_lib.workflow.files import sha256, write_json
from tests.fixtures import score
from tests.recordings.test_formats import write_nwb

ALL = [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
PRESETS = sorted(path.stem for path in PARAMS.glob("*.yaml"))
LESSONS = [path.stem for folder in (CONCEPTS, SOLUTIONS) for path in sorted(folder.glob("*.ipynb"))]


def test_kernels_and_fits_do_not_wait_for_what_reads_notebooks():
    modules = "sys, meagan_lib.experiments.benchmark, meagan_lib.cli"
    code = f"import {modules}; print(*{{'nbformat', 'papermill', 'pandas', 'scipy', 'numba'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == ""


def test_scores_are_shown_without_what_computes_them(tmp_path):
    """A second ``make figures``, which has nothing to do but that, would take twice as long."""
    (tmp_path / "scores.json").write_text(json.dumps({"reach": {"coverage": score(0.9)}}))
    code = f"""
import sys
from pathlib import Path
from meagan_lib import cli
cli.RESULTS = Path({str(tmp_path)!r})
cli.print_scores(".")
print({{"torch", "sklearn", "scipy"}} & set(sys.modules))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "0.900" in done.stdout and done.stdout.splitlines()[-1] == "set()"


def test_a_job_validates_notebooks_without_the_grammar_of_uris(tmp_path):
    """Its compilation took longer than a short notebook's own imports."""
    (tmp_path / "parameters.yaml").write_text("{}")
    code = """
import sys
from meagan_lib.workflow import execution
execution.job = lambda *work: 0
sys.argv[1:] = ["01_preprocessing", "none", sys.argv[1]]
assert execution.main() == 0
import nbformat, papermill
nbformat.validate(nbformat.v4.new_notebook())
try:
    nbformat.validate({"cells": 1})
except nbformat.ValidationError:
    print("refused", "lark" in sys.modules)
"""
    parameters = str(tmp_path / "parameters.yaml")
    done = subprocess.run([sys.executable, "-c", code, parameters], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "refused False", done.stderr


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_states_what_it_changes_and_gives_every_parameter(preset):
    stated, found = yaml.safe_load((PARAMS / f"{preset}.yaml").read_text()), of_preset(preset)
    assert list(found) == list(stated)
    for section, given in found.items():
        default = declared(section)
        assert sorted(given) == sorted(default)
        one = {"recording": given["recording"][0]} if isinstance(given.get("recording"), list) else {}
        assert check_names_and_types(section, given | one, default) == given | one
        assert [name for name, value in stated[section].items() if value == default[name]] == [], "stated twice"
        assert section in OF_NO_NOTEBOOK or given["name"] == preset


def test_the_defaults_of_the_notebooks_are_those_of_quick_images_and_study():
    presets = ("quick", "images", "study")
    stated = [section for preset in presets for section in yaml.safe_load((PARAMS / f"{preset}.yaml").read_text())]
    given = of_preset("quick") | of_preset("images") | of_preset("study")
    assert [section for section in stated if section not in OF_NO_NOTEBOOK] == ALL
    assert all(declared_parameters(find_notebook(notebook)) == given[notebook] for notebook in ALL)


@pytest.mark.parametrize("preset", PRESETS)
def test_all_parameters_are_printed_as_yaml_with_what_they_mean(preset):
    printed = in_full(preset)
    assert yaml.safe_load(printed) == of_preset(preset)
    assert preset != "quick" or "  threshold_mad: 5.0  # depth of a spike, in noise levels\n" in printed


@pytest.mark.parametrize(
    "override, sentence",
    [
        ("02_transformer_gan.looks=3", "has no parameter 'looks': it is now called 'validations'"),
        ("02_transformer_gan.recipe={}", "has no parameter 'recipe': it is now called 'options'"),
        ("01_preprocessing.split_shares=[1.0]", "has no parameter 'split_shares': it is now called 'split_fractions'"),
        ("benchmark.rival_seeds=[0]", "has no parameter 'rival_seeds': it is now called 'baseline_seeds'"),
        ("contest.models=[gmm]", "run smoke has no 'contest': it is now called 'benchmark'"),
    ],
)
def test_a_parameter_by_its_old_name_is_refused_with_the_new_one(override, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        check("x", resolve("smoke", [], [override]))


def test_a_lesson_s_parameter_by_its_old_name_is_refused_with_the_new_one():
    with pytest.raises(InputError, match="has no parameter 'starts': it is now called 'trainings'"):
        check("x", resolve("concepts_smoke", [], ["c1_networks.starts=3"]))


def test_a_preset_with_a_section_by_its_old_name_is_refused_with_the_new_one(tmp_path, monkeypatch):
    monkeypatch.setattr(parameters, "PARAMS", tmp_path)
    (tmp_path / "mine.yaml").write_text("contest:\n  models: [gmm]\n")
    with pytest.raises(InputError, match=r"params/mine.yaml: there is no 'contest': it is now called 'benchmark'"):
        resolve("mine", [], [])


def test_an_unknown_parameter_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="no parameter 'thresold_mad': did you mean 'threshold_mad'"):
        check_parameters("01_preprocessing", {"thresold_mad": 4.0})
    with pytest.raises(InputError, match="no notebook '01_preprocesing': did you mean '01_preprocessing'"):
        check_parameters("01_preprocesing", {})


@pytest.mark.parametrize("value", ["5", True, [5.0]])
def test_a_parameter_of_another_type_is_refused(value):
    with pytest.raises(InputError, match="threshold_mad is a number"):
        check_parameters("01_preprocessing", {"threshold_mad": value})


def test_a_whole_number_serves_as_a_number():
    checked = check_parameters("01_preprocessing", {"threshold_mad": 4, "split_fractions": [1, 1, 1]})
    assert checked == {"threshold_mad": 4.0, "split_fractions": [1.0, 1.0, 1.0]}
    assert type(checked["threshold_mad"]) is float


def test_overrides_and_names():
    parameters = resolve("quick", ["locust"], ["02_transformer_gan.steps=7"])
    assert parameters["02_transformer_gan"]["steps"] == 7
    assert parameters["01_preprocessing"]["recording"] == "locust"
    assert default_name("quick", []) == "quick" and default_name("quick", ["some/chip.brw"]) == "chip"
    assert default_name("quick", ["some/chip.brw", "b", "c"]) == "chip_and_2_more"
    assert default_name("quick", ["some/my chip.brw"]) == "my_chip"
    assert resolve("quick", ["a", "b"], [])["01_preprocessing"]["recording"] == ["a", "b"]
    assert resolve("quick", [], ["05_organoid_network.treatment="])["05_organoid_network"]["treatment"] == ""
    assert resolve("quick", [], ["01_preprocessing.recording=[a]"])["01_preprocessing"]["recording"] == "a"
    for wrong, sentence in (
        ("steps=7", "notebook.parameter=value"),
        ("02_transformer_gan.steps", "notebook.parameter=value"),
        ("09_none.steps=1", "has no '09_none'"),
        ("02_transformer_gan.name=x", "--name"),
    ):
        with pytest.raises(InputError, match=sentence):
            resolve("quick", [], [wrong])
    with pytest.raises(InputError, match="at least one recording"):
        resolve("quick", [], ["01_preprocessing.recording=[]"])


def test_a_path_with_brackets_is_told_as_it_is(tmp_path, monkeypatch, capsys):
    for name in ("run_graph", "summary"):
        monkeypatch.setattr(cli, name, lambda *_: None)
    for module in (graph, parameters):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    path = tmp_path / "[red]:bug:.npz"
    np.savez(path, windows=np.zeros((9, 9)), sampling_rate_hz=1)
    cli.run("smoke", recording=[str(path)], name="x", set_=[], cores=1)
    assert path.name in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize("recordings", [["cut.npz"], ["simulated", "cut.npz"]])
def test_windows_that_cannot_be_read_are_refused_before_the_run(tmp_path, monkeypatch, recordings):
    monkeypatch.chdir(tmp_path)
    np.savez("cut.npz", waveforms=np.zeros((9, 9)), sampling_rate_hz=1)
    asked = ["merge.split_by=time"]
    with pytest.raises(InputError, match="cut.npz lacks windows and holds waveforms, sampling_rate_hz: save it again"):
        check("x", resolve("smoke", recordings, asked))
    np.savez("cut.npz", windows=np.zeros((9, 9)), sampling_rate_hz=1)
    check("x", resolve("smoke", recordings, asked))


@pytest.mark.parametrize(
    "override, sentence",
    [
        ("01_preprocessing.isolation=bth", "01_preprocessing.isolation 'bth' is not known: did you mean 'both'"),
        ("01_preprocessing.alignment=peak", "alignment 'peak' is not known; choose one of trough, interpolated"),
        ("01_preprocessing.split_fractions=[0.5, 0.5]", "three positive numbers with sum 1"),
        ("01_preprocessing.threshold_mad=0", "it must be 0.5 or more"),
        ("01_preprocessing.duration_s=0", "it must be between 1 and 86400"),
        ("02_transformer_gan.loss=hing", "did you mean 'hinge'"),
        ("02_transformer_gan.discriminator=white", "choose one of convolutional, whitened, transformer"),
        ("02_transformer_gan.normalisation=zscore", "did you mean 'z_score'"),
        ("02_transformer_gan.condition=unt", "did you mean 'unit'"),
        ("02_transformer_gan.options={widht: 1}", "'widht' is no option of GANConfig: did you mean 'width'"),
        ("02_transformer_gan.ablation_table=none.csv", "ablation_table: there is no file none.csv"),
        ("02_transformer_gan.batch_size=100000000", "it must be between 1 and 65536"),
        ("03_vae_gan.generator=none", "choose one of transformer, convolutional"),
        ("04_results_comparison.n_windows=1", "it must be 20 or more"),
        ("04_results_comparison.n_bootstrap=1", "it must be 2 or more"),
        ("04_results_comparison.n_embedding=1", "it must be 60 or more"),
        ("05_organoid_network.fuzziness=1", "it must be 1.01 or more"),
        ("05_organoid_network.blocks=1", "it must be 2 or more"),
        ("05_organoid_network.cultures=2", "it must be 3 or more"),
        ("05_organoid_network.culture_s=1e9", "it must be between 1 and 86400"),
        ("06_annotated_synthesis.painters=[]", "is an empty list: name one of painting_gan"),
        ("06_annotated_synthesis.painters=[template, gan]", "painters 'gan' is not known"),
        ("06_annotated_synthesis.depth=[3.0]", "is no range: give the shallowest and the deepest"),
        ("06_annotated_synthesis.depth=[12.0, 3.0]", "give the shallowest first"),
    ],
)
def test_what_a_notebook_would_refuse_is_refused_before_the_run(override, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        check("x", resolve("quick", [], [override]))


@pytest.mark.parametrize("preset", ["ablation", "quick"])
def test_so_it_is_where_there_are_several_recordings_or_a_sweep(preset):
    with pytest.raises(InputError, match="isolation 'bth' is not known: did you mean 'both'"):
        check("x", resolve(preset, ["simulated", "simulated_2"], ["01_preprocessing.isolation=bth"]))


def test_spikes_and_treatment_of_notebook_05_are_checked_before_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spikes.csv").write_text("electrode,time_s\n1,0.5\n")
    (tmp_path / "no.csv").write_text("electrode,seconds\n1,0.5\n")
    files = check("x", resolve("smoke", [], ["05_organoid_network.spikes=spikes.csv"]))
    (told,) = [given for path, given in files.items() if path.stem == "05_organoid_network"]
    assert told["spikes"] == str(tmp_path / "spikes.csv")  # the notebook runs in another folder
    for override, sentence in (
        ("spikes=no.csv", "no.csv has no column time_s"),
        ("spikes=none.csv", "no spike times at .*none.csv"),
        ("treatment=locust", "'locust' is no entry of the catalogue with spike trains under treatment"),
    ):
        with pytest.raises(InputError, match=sentence):
            check("x", resolve("smoke", [], [f"05_organoid_network.{override}"]))


def test_notebook_06_looks_at_the_recording_of_notebook_01_as_it_does_unless_told_otherwise():
    own = resolve("quick", ["locust"], ["01_preprocessing.band_low_hz=200.0"])["06_annotated_synthesis"]
    assert own["recording"] == "locust" and own["band_low_hz"] == 200.0
    assert resolve("quick", ["a", "b"], [])["06_annotated_synthesis"]["recording"] == ""
    other = resolve("quick", ["locust"], ["06_annotated_synthesis.recording=spikerbox"])["06_annotated_synthesis"]
    assert other["recording"] == "spikerbox"


def test_a_number_of_the_form_1e_4_is_one_though_yaml_takes_it_for_a_text():
    given = resolve("smoke", [], ["02_transformer_gan.g_learning_rate=1e-4"])["02_transformer_gan"]
    assert check_parameters("02_transformer_gan", given)["g_learning_rate"] == 1e-4


@pytest.mark.parametrize(
    "harm, stays",
    [
        ("nothing", True),
        ("written again as it was", True),
        ("cut", False),
        ("gone", False),
        ("without its manifest", False),
        ("a receipt cut", False),
    ],
)
def test_a_result_that_was_cut_or_a_figure_without_its_manifest_is_made_again(tmp_path, monkeypatch, harm, stays):
    monkeypatch.setattr(graph, "RESULTS", tmp_path)
    monkeypatch.setattr(figures, "folder", lambda run: tmp_path / "figures" / run)
    product, manifest = tmp_path / "x" / "windows.h5", figures.folder("x") / "manifest.json"
    receipt = tmp_path / "x" / "receipts" / "merge.json"
    receipt.parent.mkdir(parents=True)
    product.write_text("whole")
    line = dict.fromkeys(("chapter", "notebook", "caption", "run", "data_sha256", "png_sha256"), "")
    write_json(manifest, {"pca": line})
    (figures.folder("x") / "pca.png").touch()
    products = {"windows.h5": sha256(product)}
    write_json(receipt, {"notebook": "another", "seconds": 1.0, "figures": ["pca"], "products": products})
    if harm in ("written again as it was", "cut"):
        product.write_text("whole" if stays else "who")
        os.utime(product, (2**31, 2**31))
    elif harm != "nothing":
        {"gone": product, "without its manifest": manifest}.get(harm, tmp_path / "none").unlink(missing_ok=True)
    if harm == "a receipt cut":
        receipt.write_text('{"notebook": ')
    graph.remove_stale("x")
    assert receipt.is_file() == stays


def test_what_another_kind_of_run_showed_under_this_name_is_gone_and_what_it_trained_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "RESULTS", tmp_path)
    monkeypatch.setattr(figures, "folder", lambda run: tmp_path / "figures" / run)
    run, drawn = tmp_path / "x", figures_of("04_results_comparison")[0]
    line = dict.fromkeys(("chapter", "notebook", "caption", "run", "data_sha256", "png_sha256"), "")
    write_json(figures.folder("x") / "manifest.json", {drawn: line})
    (figures.folder("x") / f"{drawn}.png").touch()
    for path in ("params/04_results_comparison.yaml", "scores.json", "vae_gan/model.json"):
        (run / path).parent.mkdir(parents=True, exist_ok=True)
        (run / path).touch()
    write_json(
        run / "receipts" / "04_results_comparison.json", {"products": {"scores.json": "", "vae_gan/model.json": ""}}
    )
    graph.write_parameters("x", {run / "params" / "01_preprocessing.yaml": {"name": "x"}})
    left = sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
    assert left == ["params/01_preprocessing.yaml", "vae_gan/model.json"]
    assert figures.manifest("x") == {} and not (figures.folder("x") / f"{drawn}.png").exists()


def test_a_run_may_end_after_notebook_01():
    files = check("alone", resolve("chip", [], ["01_preprocessing.duration_s=2"]))
    assert [path.name for path in files] == ["01_preprocessing.yaml"]


def test_recordings_have_labels_of_their_own():
    given = ["day1/chip.brw", "day2/chip.brw", "locust", "chip-2.brw", "a 'b'.nwb"]
    assert merging.labels(given) == ["chip", "chip-2", "locust", "chip-2-2", "a_b_"]


def test_the_merge_has_strict_parameters_and_asks_a_part_for_any_window_only():
    with pytest.raises(InputError, match="merge has no parameter 'splt_by': did you mean 'split_by'"):
        check_names_and_types("merge", {"splt_by": "time"}, merging.DECLARED)
    with pytest.raises(InputError, match="parameter merge.split_by is a text"):
        check_names_and_types("merge", {"split_by": 3}, merging.DECLARED)
    for override, sentence in (
        ("merge.split_by=recording", "needs 3 recordings"),
        ("merge.split_by=channel", "choose one of recording, time"),
        ("merge.split_by=time", "recording a: no recording"),
        ("01_preprocessing.split_by=time", "no parameter 'split_by'"),
        ("01_preprocessing.min_train_windows=0", "min_train_windows is 0: it must be 1 or more"),
    ):
        with pytest.raises(InputError, match=sentence):
            check("both", resolve("smoke", ["a.brw", "b.brw"], [override]))
    with pytest.raises(InputError, match="'simulated' is given twice"):
        check("both", resolve("smoke", ["simulated", "simulated"], ["merge.split_by=time"]))
    first = {"name": "both", "recording": ["x/a.brw", "b"], "min_train_windows": 500, "split_by": "time"}
    assert merging.parts(first) == {
        "a": {"name": "both/recordings/a", "recording": "x/a.brw", "min_train_windows": 0},
        "b": {"name": "both/recordings/b", "recording": "b", "min_train_windows": 0},
    }
    assert merging.parts(first | {"recording": "b"}) == {}


def test_recordings_may_share_what_describes_them_and_no_samples(tmp_path):
    for name in ("a.raw", "a.bin"):
        np.zeros(600, np.int16).tofile(tmp_path / name)
    (tmp_path / "a.yaml").write_text("{sampling_rate_hz: 10000, n_channels: 3, dtype: int16}")
    both = [str(tmp_path / name) for name in ("a.raw", "a.bin")]
    check("both", resolve("smoke", both, ["merge.split_by=time"]))
    with pytest.raises(InputError, match="a.raw' is given twice"):
        check("both", resolve("smoke", [both[0]] * 2, ["merge.split_by=time"]))


def test_a_stream_that_is_not_there_is_refused_before_anything_starts(tmp_path):
    write_nwb(tmp_path / "x.nwb", {"acquisition/probe0": 2, "acquisition/probe1": 3})
    write_nwb(tmp_path / "y.nwb", {"acquisition/probe0": 2, "acquisition/probe1": 3})
    one, two = str(tmp_path / "x.nwb"), str(tmp_path / "y.nwb")
    for recordings in ([one], [one, two]):
        with pytest.raises(InputError, match="pick one of 'acquisition/probe0', 'acquisition/probe1'"):
            check("x", resolve("smoke", recordings, ["merge.split_by=time"]))
        picked = ["01_preprocessing.stream=probe1", "merge.split_by=time"]
        assert check("x", resolve("smoke", recordings, picked))


@pytest.mark.parametrize("notebook", ALL + LESSONS)
def test_sources_are_stripped_and_every_parameter_is_explained(notebook):
    content = json.loads(find_notebook(notebook).read_text())
    for cell in content["cells"]:
        assert not cell.get("outputs") and cell.get("execution_count") is None
        if "parameters" in cell["metadata"].get("tags", []):
            assert all("  # " in line for line in cell["source"])


def test_an_edit_of_the_vae_gan_concerns_notebook_03_alone():
    assert [n for n in ALL if "meagan_lib/models/vae_gan.py" in library_inputs(n)] == ["03_vae_gan"]
    assert all("meagan_lib/windows/spike_windows.py" in library_inputs(n) for n in ALL)
    assert "meagan_lib/windows/spike_windows.py" in library_inputs("meagan_lib.windows.merging")
    assert not any(
        "meagan_lib/training/trainer.py" in library_inputs(n)
        for n in ("01_preprocessing", "meagan_lib.windows.merging")
    )
    assert not any("meagan_lib/cli.py" in library_inputs(n) for n in ALL)


def test_an_edit_of_the_learned_detector_concerns_runs_that_ask_for_it_alone():
    learned, first = "meagan_lib/annotated/learned.py", "01_preprocessing"
    assert learned not in library_inputs(first) and learned not in library_inputs(first, {"detector": "threshold"})
    assert learned in library_inputs(first, {"detector": "learned"})


def test_normalising_takes_out_timings():
    cell = nbformat.v4.new_code_cell("1", metadata={"tags": ["injected-parameters"], "papermill": {"duration": 1}})
    notebook = normalise(nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": {"start_time": "now"}}))
    assert notebook.cells[0].id == "injected-parameters"
    assert "papermill" not in notebook.cells[0].metadata and "papermill" not in notebook.metadata


def test_a_python_that_is_killed_is_told_and_leaves_the_notebook_as_far_as_it_got(tmp_path, monkeypatch, warm_kernels):
    """As when memory runs out."""
    cells = ["name = ''", "print('as far as this')", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"]
    cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    cells[0].metadata.tags = ["parameters"]
    nbformat.write(
        nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_code_cell("never")]), tmp_path / "00_killed.ipynb"
    )
    for name in ("ROOT", "NOTEBOOKS", "RESULTS"):
        monkeypatch.setattr(execution, name, tmp_path)
    with pytest.raises(InputError, match=r"was killed \(out of memory\?\); see run/notebooks/00_killed.failed.ipynb"):
        execution.execute("00_killed", {}, "run", [], 1)
    left = nbformat.read(tmp_path / "run" / "notebooks" / "00_killed.failed.ipynb", as_version=4).cells
    assert [cell.source for cell in left[-3:]] == [cell.source for cell in cells]
    assert left[-2].outputs[0].text == "as far as this\n"


def test_two_attempts_at_one_notebook_do_not_take_each_other_s_figures(tmp_path, monkeypatch, warm_kernels):
    """A node that a scheduler gives up may go on with its job, while another begins it anew."""
    draw = "from matplotlib.figure import Figure\nfrom meagan_lib.workflow import save_figure\n"
    draw += "save_figure(Figure(), 'pca', run='run', data={})"
    cells = [
        nbformat.v4.new_code_cell(cell) for cell in ("name = ''\nwait_s = 0.0", draw, "import time\ntime.sleep(wait_s)")
    ]
    cells[0].metadata.tags = ["parameters"]
    about = {"language_info": {"name": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=about), tmp_path / "00_drawn.ipynb")
    for module, name in [(execution, "NOTEBOOKS"), (execution, "RESULTS"), (figures, "ROOT")]:
        monkeypatch.setattr(module, name, tmp_path)
    with ProcessPoolExecutor(2, get_context("fork")) as pool:
        both = [pool.submit(execution.execute, "00_drawn", {"wait_s": s}, "run", [], 1) for s in (2.0, 0.0)]
        assert [attempt.result()["figures"] for attempt in both] == [["pca"]] * 2
    assert not list((tmp_path / "run" / ".staging").iterdir()) and figures.verify("run") == []
    assert ".staging" not in (tmp_path / "run" / "notebooks" / "00_drawn.ipynb").read_text()


def test_the_conda_file_and_the_pins_agree_with_the_dependencies():
    import tomllib

    def plain(name):
        return re.sub(r"[-_.]+", "-", name).lower()

    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    pins = {plain(name): version for name, version in pins.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {plain(n) for n in sum(project["optional-dependencies"].values(), project["dependencies"])}
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"][-1]["pip"]
    given = dict(line.split("==") for line in conda if "==" in line)
    assert {plain(n): v for n, v in given.items()} == {n: pins[n] for n in wanted}
    assert pins["torch"] == "2.13.0" and [line.split()[0] for line in conda if "==" not in line] == [
        "--extra-index-url",
        "--editable",
    ]


@pytest.mark.parametrize("notebook", ALL + LESSONS)
def test_a_link_to_a_heading_leads_to_one(notebook):
    cells = json.loads(find_notebook(notebook).read_text())["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    headings = {heading.replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)\s]+)\)", text)) <= headings


def test_reading_a_notebook_builds_no_parser_of_addresses():
    asked = "import meagan_lib, nbformat, sys; sys.exit('lark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], cwd=ROOT).returncode == 0


def test_where_the_python_of_a_notebook_does_not_begin_it_is_begun_once_more():
    """Of several that begin at once one may find its ports taken."""
    died = RuntimeError("Kernel died before replying to kernel_info")
    second = Mock(side_effect=[died, None])
    execution.begun(second)
    assert second.call_count == 2
    for errors, calls in (([died, died, None], 2), ([RuntimeError("Kernel died"), None], 1)):  # or died at work
        never = Mock(side_effect=errors)
        with pytest.raises(RuntimeError, match="Kernel died"):
            execution.begun(never)
        assert never.call_count == calls
