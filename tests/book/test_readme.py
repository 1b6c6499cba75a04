"""What README, CONTRIBUTING and the book tell a reader to do can be done, and what they point to is there.

Every command is carried out up to where a run would start to compute; that it computes, test_run.py shows.
"""

import os
import re
import shlex
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
import typer.testing
import yaml
from PIL import Image

from meagan_lib import ROOT, book, cli, network, parameters
from meagan_lib.annotated import sorters, writing
from meagan_lib.book import building, bundling, companion, paper
from meagan_lib.experiments import benchmark
from meagan_lib.recordings import opening
from meagan_lib.studies import jobs, watching
from meagan_lib.windows import merging
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
    nothing_to_note = SimpleNamespace(get_annotation=lambda name: None)
    monkeypatch.setattr(opening, "open_recording", lambda *_, **__: asked.append("opened") or nothing_to_note)
    hybrid = ({"spikes": 0, "units": [{"unit": 0, "spikes": 0}]}, [tmp_path / "hybrid.brw"])
    monkeypatch.setattr(writing, "paint_file", lambda *_: hybrid)
    reached = pd.DataFrame({"sorter": ["a", "a"], "unit": [0, 1], "depth": 5.0, "accuracy": 0.5, "recall": 0.5})
    monkeypatch.setattr(sorters, "compare", lambda *_: (tmp_path / "hybrid.sorters.csv", []))
    monkeypatch.setattr(sorters, "performance", lambda outcomes: reached.assign(precision=0.5))
    monkeypatch.setattr(sorters, "costs", lambda outcomes: reached.set_index("sorter"))
    monkeypatch.setattr(benchmark, "require_trained", lambda run, model: asked.append("weights"))
    monkeypatch.setattr(network, "read_spikes", lambda path, well: asked.append("read"))
    monkeypatch.setattr(merging, "refuse_early", lambda parts, by: asked.append(f"{len(parts)} recordings"))
    bundle = bundles.Bundle({}, None)
    (tmp_path / "theirs").mkdir()
    monkeypatch.setattr(bundling, "pack", lambda run, out: bundles.write(out, {}, {}) or {"inside": [], "left_out": []})
    monkeypatch.setattr(bundling, "restore", lambda path, name: name)
    monkeypatch.setattr(bundles, "opened", lambda path: nullcontext(bundle))
    monkeypatch.setattr(bundles, "redraw", lambda bundle, out: bundles.Redrawn())
    monkeypatch.setattr(paper, "export", lambda run, folder, language: (0, []))
    for place in (place for to, place in cli.EXPORTS.items() if to != "latex"):
        module, _, function = place.partition(":")
        monkeypatch.setattr(f"meagan_lib.book.{module}.{function}", lambda source, folder: ["written"])
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
    assert len(companion.without_markers((ROOT / "README.md").read_text()).split()) <= 900


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


def test_licence_and_citation_agree():
    cite = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert f'license = "{cite["license"]}"' in project and f'version = "{cite["version"]}"' in project
    assert "BSD 3-Clause" in (ROOT / "LICENSE").read_text() and "reconstruction" in cite["abstract"]


CPU_WHEELS = "https://download.pytorch.org/whl/cpu"


def fake(path: Path, does: str) -> Path:
    """Write a program that does ``does``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return path


def test_binder_takes_every_pin_and_pytorch_for_the_cpu(tmp_path):
    wanted = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text())["dependencies"]
    assert wanted == ["python=3.11", "pip"]
    fake(tmp_path / "python", 'echo "$@"')
    path = f"{tmp_path}:{os.environ['PATH']}"
    command = ["bash", ROOT / "binder" / "postBuild"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PATH": path}).stdout
    assert f"--extra-index-url {CPU_WHEELS} --constraint constraints.txt --editable .[book]" in said


@pytest.mark.parametrize("card", [True, False])
@pytest.mark.parametrize("reached", [True, False])
def test_without_an_nvidia_card_pytorch_for_the_cpu_is_asked_for_first(tmp_path, card, reached):
    venv, tools = tmp_path / "venv", tmp_path / "tools"
    pip = f'echo "$@" >> {tmp_path}/said; case "$*" in *{CPU_WHEELS}*) exit {int(not reached)};; esac'
    fake(tools / "uname", "echo Linux")
    fake(tools / "its_python", f"mkdir -p {venv}/bin && cp {fake(tools / 'python', pip)} {venv}/bin/python")
    if card:
        fake(tools / "nvidia-smi", "true")
    variables = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
    make = ["make", f"VENV={venv}", f"PYTHON={tools / 'its_python'}", str(venv / "ready")]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, env=variables)
    *asked, compiled = (tmp_path / "said").read_text().splitlines()
    assert done.returncode == 0 and asked[-1].endswith("--constraint constraints.txt --editable .[book,test]")
    assert compiled.startswith("-c import meagan_lib.") and "papermill" in compiled, "what a run imports"
    assert [CPU_WHEELS in line and "torch==" in line for line in asked] == ([False] if card else [True, False])
    assert ("no PyTorch could be had" in done.stdout) == (not card and not reached)


def test_colab_clones_installs_runs_and_shows(tmp_path):
    source = nbformat.read(ROOT / "binder" / "colab.ipynb", as_version=4)
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in source.cells)
    code = {cell.id: cell.source for cell in source.cells if cell.cell_type == "code"}
    tools = tmp_path / "tools"
    programs = {
        "git": f'mkdir -p "$5" && cp {ROOT}/constraints.txt "$5"',
        "uv": f"mkdir -p .venv/bin figures/colab results/colab/book && cp {tools}/meagan .venv/bin "
        f"&& cp {ROOT}/figures/locust/pca.png figures/colab",
        "meagan": "true",
    }
    for name, does in programs.items():
        fake(tools / name, f'echo {name} "$@" >> {tmp_path}/said\n{does}')
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
