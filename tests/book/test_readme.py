"""What README, CONTRIBUTING and the book tell a reader to do can be done, and what they point to is there.

Every command is carried out up to where a run would start to compute; that it computes, test_run.py shows.
"""

import os
import re
import shlex
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import typer.testing
import yaml
from PIL import Image

from meagan_lib import ROOT, book, cli, network, parameters, plots
from meagan_lib.annotated import sorters, writing
from meagan_lib.book import building, bundling, paper
from meagan_lib.evaluation.scores import LEADING, compare, seed_by_seed
from meagan_lib.experiments import augmentation, benchmark, reference
from meagan_lib.experiments.generation import matching_parameters
from meagan_lib.models.contract import TrainingData
from meagan_lib.plots import LABELS
from meagan_lib.recordings import opening
from meagan_lib.studies import jobs, watching
from meagan_lib.windows import merging
from meagan_lib.windows.detection import DetectionConfig, window_lowpass
from meagan_lib.workflow import bundles, cluster, figures, graph
from meagan_lib.workflow.execution import NOTEBOOKS, check_parameters

BOOK = ROOT / "book" / "pages"
NAMES = "bibliography cluster commands method organoids own_recording results studies thesis".split()
BOOK_PAGES = [f"book/pages/{name}.md" for name in NAMES]
PAGES = ["README.md", "CONTRIBUTING.md", "notebooks/README.md", "data/README.md", "book/vendor/README.md", *BOOK_PAGES]
TOLD = ["README.md", "CONTRIBUTING.md", "notebooks/README.md", *BOOK_PAGES, "book/pages/it/index.md"]


def commands() -> list[str]:
    """The command lines of all fenced blocks."""
    found = []
    for name in TOLD:
        fenced = re.findall(r"^```([^\n]*)\n(.*?)^```", (ROOT / name).read_text(), flags=re.MULTILINE | re.DOTALL)
        blocks = [block for language, block in fenced if language in ("", "bash", "sh")]
        found += [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return list(dict.fromkeys(filter(None, found)))


def behind(command: str) -> list[str]:
    """What a ``make`` runs besides setting up; any other command as it is."""
    if not command.startswith("make "):
        return [command]
    told = subprocess.run(
        ["make", "-n", "-W", "nothing", *shlex.split(command)[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    lines = [line for line in told.stdout.splitlines() if line.startswith(".venv/bin/") and " pip " not in line]
    assert lines, f"{command} does nothing"
    return [line.removeprefix(".venv/bin/") for line in lines]


@pytest.fixture
def rehearsal(tmp_path, monkeypatch):
    """The command line with nothing computed, and recordings that all can be read."""
    asked = []
    monkeypatch.setattr(cli, "RESULTS", tmp_path)
    monkeypatch.setattr(graph, "RESULTS", tmp_path)
    for module in (parameters, jobs, watching):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    one = {"recording": "simulated", "culture": "A", "day": 14, "condition": "control"}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"recordings": [one]}))
    monkeypatch.chdir(tmp_path)
    for name in ("run_graph", "summary"):
        monkeypatch.setattr(cli, name, lambda *_, name=name: asked.append(name))
    monkeypatch.setattr(cluster, "ready_profile", cluster.find_profile)
    monkeypatch.setattr(building, "build", lambda run: tmp_path / run / "book" / "index.html")
    monkeypatch.setattr(building, "chapters", lambda run: [])
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    monkeypatch.setattr(opening, "holds_windows", lambda recording: False)
    monkeypatch.setattr(opening, "open_recording", lambda *_, **__: asked.append("opened"))
    hybrid = ({"spikes": 0, "units": [{"unit": 0, "spikes": 0}]}, [tmp_path / "hybrid.brw"])
    monkeypatch.setattr(writing, "paint_file", lambda *_: hybrid)
    reached = pd.DataFrame({"sorter": ["a", "a"], "unit": [0, 1], "depth": 5.0, "accuracy": 0.5, "recall": 0.5})
    monkeypatch.setattr(sorters, "compare", lambda *_: (tmp_path / "hybrid.sorters.csv", []))
    monkeypatch.setattr(sorters, "performance", lambda outcomes: reached.assign(precision=0.5))
    monkeypatch.setattr(sorters, "costs", lambda outcomes: reached.set_index("sorter"))
    monkeypatch.setattr(benchmark, "require_trained", lambda run, model: asked.append("weights"))
    monkeypatch.setattr(network, "read_spikes", lambda path: asked.append("read"))
    monkeypatch.setattr(merging, "refuse_early", lambda parts, by: asked.append(f"{len(parts)} recordings"))
    bundle = bundles.Bundle({}, None)
    (tmp_path / "theirs").mkdir()
    monkeypatch.setattr(bundling, "pack", lambda run, out: bundles.write(out, {}, {}) or {"inside": [], "left_out": []})
    monkeypatch.setattr(bundling, "restore", lambda path, name: name)
    monkeypatch.setattr(bundles, "opened", lambda path: nullcontext(bundle))
    monkeypatch.setattr(bundles, "redraw", lambda bundle, out: bundles.Redrawn())
    monkeypatch.setattr(paper, "export", lambda run, folder, language: (0, []))
    return asked


def test_every_command_that_a_reader_is_told_is_understood(rehearsal, tmp_path, monkeypatch):
    told = commands()
    assert len(told) > 12 and {"make figures", "make book"} <= set(told)
    for command in told:
        for line in behind(command):
            program, *arguments = shlex.split(line)
            rehearsal.clear()
            if program == "meagan":
                result = typer.testing.CliRunner().invoke(cli.app, arguments)
                assert result.exit_code == 0, f"{command}: {result.exception!r} {result.output}"
                assert arguments[0] != "run" or "run_graph" in rehearsal
                several = re.search('RECORDING="([^"]*)"', command)
                assert not several or f"{len(several[1].split())} recordings" in rehearsal
            elif program == "papermill":
                parameters = {
                    arguments[i + 1]: yaml.safe_load(arguments[i + 2]) for i, a in enumerate(arguments) if a == "-p"
                }
                assert (ROOT / arguments[0]).is_file()
                check_parameters(Path(arguments[0]).stem, parameters)
            elif program in ("python", "jupyter"):
                assert arguments[0] in ("-m", "-c", "lab") or (ROOT / arguments[0]).is_file()
            else:
                pytest.fail(f"{command}: what is {program}?")


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= 900


def test_links_of_the_pages_lead_somewhere_and_their_pictures_are_there():
    for name in PAGES:
        text, home = (ROOT / name).read_text(), (ROOT / name).parent
        for shown, target in re.findall(r"(!?)\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)", text):
            if target.startswith("http"):
                continue
            path = (home / target).resolve()
            registered = path.stem in figures.registry() and path.parent.parent == ROOT / "figures"
            assert path.exists() or (registered and not shown), f"{name} points to {target}"
            if shown:
                Image.open(path).verify()


def test_the_table_of_chapters_names_every_notebook():
    text = (NOTEBOOKS / "README.md").read_text().partition("## Sections of the thesis")[2]
    there = [
        path for path in NOTEBOOKS.rglob("*.ipynb") if "solutions" not in path.parts and path.parent.name[0] != "."
    ]
    assert [path.name for path in there if path.name not in text] == []


def test_the_table_of_baselines_counts_every_number_that_was_fitted():
    method = (BOOK / "method.md").read_text()
    rows = re.findall(r"^\| `(\w+)`.*?\| ([\d ]+) \| [\d ]", method, flags=re.MULTILINE)
    taps = window_lowpass(asdict(DetectionConfig()), 20_000.0)
    data = TrainingData(np.random.default_rng(0).standard_normal((200, 64)).astype(np.float32), taps)
    first = {"vae", "dcgan", "tts_gan", "flow_matching", "reflow_1", "plain_transformer_gan"}
    assert {model for model, _ in rows} == first
    for model, told in [*rows, ("transformer_gan", "148 968"), ("vae_gan", "148 968"), ("plain_vae_gan", "146 824")]:
        kind = benchmark.model_class(model)
        options = {} if kind.PUBLISHED else {"patch": 8} | ({"on_gaussian": False} if model in benchmark.PLAIN else {})
        config = kind.configure(**options)
        assert kind(kind.build(config, data), config, {}).n_parameters == int(told.replace(" ", "")), model
    assert "have 148 968, and moment matching fits another 2144" in method
    assert matching_parameters(64) == 2144


def readme_results():
    return (ROOT / "README.md").read_text().partition("## Results")[2].partition("\n## ")[0]


def results_page():
    return (BOOK / "results.md").read_text()


def first_table(text: str) -> dict[str, list[str]]:
    """Cells of the first table of scores in ``text``, by the name of their row."""
    table = text.partition("| test windows against")[2].partition("\n\n")[0]
    rows = [[cell.strip(" *") for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]
    return {name: cells for name, *cells in rows}


ALIKE = ("baselines", "baselines_retina_hdmea")
QUOTED = ("c2st_auc", "c2st_cnn_auc", "coverage")


def alike_rows() -> dict[str, list[str]]:
    """Cells by model, as they are and after moment matching, out of the references of the runs that treat all alike."""
    runs = [reference.load(run) for run in ALIKE]
    fraction = runs[0]["scores"]["reach"]["passes"]
    found = {
        LABELS["real"] + ": floor": [f"{fraction['floor']:.3f}"],
        LABELS["reach"]: [f"{fraction['value']:.3f}"],
    } | {LABELS[model]: [f"{by['passes']['value']:.3f}"] for model, by in runs[0]["scores"].items() if model != "reach"}
    for run in runs:
        for model, by in run["scores"].items():
            matched = run["moment_matching"].get(model)
            told = [f"{by[m]['value']:.3f}" + (f" → {matched[m]['value']:.3f}" if matched else "") for m in QUOTED]
            found[LABELS[model]] += told
            if model == "reach":
                found[LABELS["real"] + ": floor"] += [f"{by[m]['floor']:.3f}" for m in QUOTED]
    return found


def test_the_table_of_models_that_are_treated_alike_has_the_scores_of_the_references():
    assert first_table(results_page()) == alike_rows()


def test_the_table_of_the_readme_has_the_scores_of_the_references():
    models = ("transformer_gan", "vae_gan", "flow_matching", "gmm", "gaussian")
    names = [LABELS["real"] + ": floor", LABELS["reach"], *map(LABELS.get, models)]
    unmatched = {name: [cell.partition(" → ")[0] for cell in cells[1:]] for name, cells in alike_rows().items()}
    assert first_table(readme_results()) == {name: unmatched[name] for name in names}


def test_what_the_readme_says_of_models_is_what_the_references_say(kept):
    said, clear, ahead = readme_results(), [], []
    for run in map(reference.load, ALIKE):
        scores = run["scores"]
        models = [m for m in scores if m not in ("reach", "bootstrap")]
        value = {name: {m: scores[m][name]["value"] for m in models} for name in QUOTED}
        leads = compare(scores, [("flow_matching", m, "c2st_auc") for m in models if m != "flow_matching"])
        clear.append(all(lead.significant and lead.margin > 0 for lead in leads.values()))
        best = min(models, key=value["c2st_cnn_auc"].get)
        leads = compare(scores, [(best, m, "c2st_cnn_auc") for m in models if m != best])
        ahead.append((LABELS[best], leads[best, "flow_matching", "c2st_cnn_auc"].significant))
        assert all(value["c2st_auc"]["gmm"] < value["c2st_auc"][m] for m in ("transformer_gan", "vae_gan"))
    assert clear == [True, True] and "significantly ahead of every other model on both recordings" in said
    assert ahead == [("Transformer-GAN", False), ("Gaussian mixture", False)]
    lowest = "the Transformer-GAN has the lowest AUC on the simulated recording and the Gaussian mixture on the retina"
    assert lowest in said
    assert "neither is significantly ahead of flow matching" in said
    assert "by the trees it has a lower AUC than both GANs, on both recordings" in said
    for run in kept:
        seeds = dict.fromkeys(("transformer_gan", "vae_gan"), run["parameters"]["benchmark"]["seeds"])
        _, pairs = seed_by_seed(run["scores"], seeds)
        assert not any(pairs[metric].q < 0.05 for metric in LEADING) and len(seeds["vae_gan"]) == 5
    assert "with five seeds of each" in said and "no difference in AUC or coverage is significant" in said
    found = list(augmentation.gains(augmentation.load(ROOT / "data" / "utility.csv")).itertuples())
    assert not any(gain.q < 0.05 for gain in found)
    assert f"none of {len(found)} comparisons is significant" in said


def test_what_the_book_says_of_models_that_are_treated_alike_is_what_the_references_say():
    said = results_page()
    for run, where in zip(ALIKE, ("simulated", "retina")):
        scores, matched = (reference.load(run)[what] for what in ("scores", "moment_matching"))
        models = [m for m in scores if m not in ("reach", "bootstrap")]
        for name, judge in (("c2st_auc", "trees"), ("c2st_cnn_auc", "CNN")):
            best = min(models, key=lambda m: scores[m][name]["value"])
            leads = compare(scores, [(best, m, name) for m in models if m != best])
            even = [LABELS[m] for (_, m, _), lead in leads.items() if not lead.significant]
            assert (
                f"{where}, {judge}: {LABELS[best]}"
                + (f" (not significantly behind: {', '.join(even)})" if even else "")
                in said
            )
        moved = [scores[m]["c2st_auc"]["value"] - matched[m]["c2st_auc"]["value"] for m in matched]
        assert f"{where} by {min(moved):.3f} to {max(moved):.3f}" in said
    assert "lowers the AUC of the trees: simulated" in said and "It will be computed again." in said


@pytest.fixture(scope="module")
def kept():
    return [reference.load(run) for run in ("full", "full_retina_hdmea")]


def test_the_table_of_results_has_the_scores_of_the_references(kept):
    lines = [line for line in results_page().splitlines() if " ± " in line]
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]
    models = {plots.LABELS[model]: model for run in kept for model in run["scores"]}
    assert sorted(name for name, *_ in rows[1:]) == sorted(models) and rows[0][0] == f"{plots.LABELS['real']}: floor"
    for name, *cells in rows:
        what, ends = ("value", "interval") if name in models else ("floor", "floor_interval")
        found = []
        for run in kept:
            by = run["scores"][models.get(name, reference.REACH)]
            for metric in LEADING:
                found.append(f"{by[metric][what]:.3f} ± {np.ptp(by[metric][ends]) / 2:.3f}")
        assert cells == found, name


def test_what_the_book_says_of_the_models_is_what_the_references_say(kept):
    models, before = ("transformer_gan", "vae_gan"), [{"transformer_gan", "vae_gan"}, {"vae_gan"}]
    level, behind = ({"gmm", "dcgan"}, set()), (set(), {"dcgan"})  # in coverage; the others are behind both models
    for run, beaten, even, ahead in zip(kept, before, level, behind):
        scores = run["scores"]
        rivals = set(scores) - {"reach", *models}
        leads = compare(scores, [(model, rival, name) for model in models for rival in rivals for name in LEADING])
        assert f"with both models of the thesis: {len(leads)} comparisons on each recording" in results_page()
        for (model, rival, name), lead in leads.items():
            if rival == "bootstrap":
                continue
            if rival == "flow_matching":
                expected = -1 if name == "c2st_auc" and model in beaten else 0
            elif name == "coverage":
                expected = 0 if rival in even else -1 if rival in ahead else 1
            else:
                expected = 0 if (rival, name) == ("gmm", "c2st_cnn_auc") else 1
            assert expected == np.sign(lead.margin) * lead.significant, (model, rival, name)
        assert (
            min(by["c2st_auc"]["value"] for by in scores.values() if by is not scores["reach"])
            == (scores["flow_matching"]["c2st_auc"]["value"])
        )
    dense = [f"{run['scores']['dcgan']['density']['value']:.2f}" for run in kept]
    real = [f"{run['scores']['reach']['density']['floor']:.2f}" for run in kept]
    assert f"(density {' and '.join(dense)}, of real windows {' and '.join(real)})" in results_page()
    for run in kept:
        given = run["parameters"]["benchmark"]
        assert (len(given["seeds"]), len(given["baseline_seeds"])) == (5, 1)
        _, pairs = seed_by_seed(run["scores"], dict.fromkeys(("transformer_gan", "vae_gan"), given["seeds"]))
        assert not any(pairs[metric].q < 0.05 for metric in LEADING)
    assert "Both models of the thesis have five seeds, the baselines one" in results_page()


def test_what_the_book_says_of_augmentation_is_what_the_table_says():
    found = list(augmentation.gains(augmentation.load(ROOT / "data" / "utility.csv")).itertuples())
    alone = [gain for gain in found if gain.p < 0.05]
    counts = [sum(gain.difference > 0 for gain in alone), sum(gain.difference < 0 for gain in alone)]
    told = "of {} comparisons on two recordings {} gains and {} losses have p < 0.05, where chance alone would give "
    told += "{:.0f}"
    assert told.format(len(found), *counts, 0.05 * len(found)) + ", and none is significant" in results_page()
    assert not any(gain.q < 0.05 for gain in found)
    steady = [
        gain
        for gain in alone
        if gain.difference > 0 and (gain.data, gain.generator) == ("retina_hdmea", "pretrained_vae_gan")
    ]
    assert [gain.n for gain in steady] == [10, 20, 50, 100]
    assert all(0.01 <= gain.difference < 0.025 for gain in steady)
    assert f"(q from {min(g.q for g in steady):.2f} to {max(g.q for g in steady):.2f})" in results_page()
    assert all(gain.difference < 0 for gain in found if gain.n == 500)


def test_what_the_book_says_of_quick_is_what_its_reference_says():
    scores = reference.load("locust")["scores"]
    leads = compare(scores, [(m, "gaussian", name) for m in ("transformer_gan", "vae_gan") for name in LEADING])
    assert all(lead.margin > 0 for lead in leads.values())
    even = [(model, name) for (model, _, name), lead in leads.items() if not lead.significant]
    assert even == [("transformer_gan", "c2st_cnn_auc")]
    assert "significantly so except the Transformer-GAN by the CNN" in results_page()


def test_licence_and_citation_agree():
    cite = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'license = "{cite["license"]}"' in project and f'version = "{cite["version"]}"' in project
    assert "BSD 3-Clause" in (ROOT / "LICENSE").read_text() and "reconstruction" in cite["abstract"]


def test_binder_takes_every_pin_but_that_of_pytorch(tmp_path):
    wanted = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text())["dependencies"]
    assert "python=3.11" in wanted and any(w.startswith("pytorch-cpu") for w in wanted)
    pip = tmp_path / "python"
    pip.write_text('#!/bin/sh\necho "$@"\n')
    pip.chmod(0o755)
    done = subprocess.run(
        ["bash", ROOT / "binder" / "postBuild"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0 and "--editable .[book]" in done.stdout
    pins = Path(re.search(r"--constraint (\S+)", done.stdout)[1]).read_text()
    assert "torch==" not in re.sub(r"\S+torch==", "", pins) and "numpy==" in pins


def test_colab_clones_installs_runs_and_shows(tmp_path):
    source = nbformat.read(ROOT / "binder" / "colab.ipynb", as_version=4)
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in source.cells)
    code = {cell.id: cell.source for cell in source.cells if cell.cell_type == "code"}
    tools = tmp_path / "tools"
    tools.mkdir()
    fake = {
        "git": f'mkdir -p "$5" && cp {ROOT}/constraints.txt "$5"',
        "uv": f"mkdir -p .venv/bin figures/colab results/colab/book && cp {tools}/meagan .venv/bin "
        f"&& cp {ROOT}/figures/locust/pca.png figures/colab",
        "meagan": "true",
    }
    for name, does in fake.items():
        (tools / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/said\n{does}\n')
        (tools / name).chmod(0o755)
    play = "\n".join(
        [
            code["parameters"],
            'repository = "somewhere"',
            "import sys",
            f"sys.executable = '{tools}/uv'",
            code["install"],
            code["run"],
            code["figures"].replace("display(", "print("),
            code["book"],
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", play],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "said").read_text().splitlines()
    assert said[0] == f"git clone --depth 1 somewhere {tmp_path}/meagan" and "uv venv --python 3.11 .venv" in said
    assert said[-2:] == ["meagan run smoke --recording simulated --name colab", "meagan book colab"]
    assert (tmp_path / "colab_book.zip").is_file() and "Image" in done.stdout


def test_the_widget_that_is_promised_is_there():
    told = (NOTEBOOKS / "README.md").read_text()
    assert "from meagan_lib.book import explore" in told and callable(book.explore)
