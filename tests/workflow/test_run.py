"""The whole run, at smoke size: it finishes, does nothing twice, survives a kill, and can be checked."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest

from meagan_lib import ROOT, InputError, cli
from meagan_lib.book import bundling
from meagan_lib.experiments import benchmark
from meagan_lib.windows.normalisation import Standardiser
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from meagan_lib.workflow import bundles, figures
from meagan_lib.workflow.execution import RESULTS
from meagan_lib.workflow.files import sha256
from meagan_lib.workflow.graph import remove_stale
from tests.cheaper import start_kernels_cheaper
from tests.fixtures import FIGURE_FILES, forget, graph, meagan, without_home
from tests.translated import untranslated

RUN = "test-run"
pytestmark = pytest.mark.usefixtures("warm_kernels")
OTHER = ("recordings that are downloaded", "a learned detector", "several electrodes")
"""What the run does not have."""
FIGURES = {id for id, entry in figures.registry().items() if "00" < entry.notebook < "07" and entry.needs not in OTHER}
SLOWER = ["--set", "02_transformer_gan.steps=80", "--set", "02_transformer_gan.condition=unit"]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory, warm_kernels):
    """An undisturbed smoke run, with classifiers of little effort in its notebooks."""
    ipython = tmp_path_factory.mktemp("ipython")
    start_kernels_cheaper(ipython)
    forget(RUN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(ipython))
        done = meagan("run", "smoke", "--name", RUN, *SLOWER, python=warm_kernels)
        assert done.returncode == 0, done.stdout + done.stderr
        yield done
    forget(RUN)


def test_every_figure_is_made_and_the_closing_table_shows_the_floor(smoke):
    assert set(figures.manifest(RUN)) == FIGURES
    assert (
        "floor" in smoke.stdout
        and "coverage" in smoke.stdout
        and "  matched" in smoke.stdout
        and f"figures/{RUN}" in smoke.stdout
    )
    for notebook in ("01_preprocessing", "04_results_comparison"):
        assert (RESULTS / RUN / "notebooks" / f"{notebook}.html").stat().st_size > 10_000
    scores = json.loads((RESULTS / RUN / "scores.json").read_text())
    assert set(scores) == {"reach", "transformer_gan", "vae_gan", "gaussian", "vae"}


def test_every_text_of_its_figures_has_an_italian_translation(smoke):
    assert not untranslated(figures.folder(RUN))


def test_a_second_run_does_nothing(smoke, warm_kernels):
    receipts = sorted([*(RESULTS / RUN).glob("receipts/*.json"), *(RESULTS / RUN).glob("benchmark/*/*/receipt.json")])
    before = [path.stat().st_mtime_ns for path in receipts]
    assert meagan("run", "smoke", "--name", RUN, *SLOWER, python=warm_kernels).returncode == 0
    assert [path.stat().st_mtime_ns for path in receipts] == before and len(before) == 6 + 2


def test_every_model_takes_part_in_the_benchmark_with_its_cost(smoke):
    found, costs = benchmark.synthetic(RUN), benchmark.costs(RUN)
    assert list(found) == list(costs) == ["transformer_gan", "vae_gan", "gaussian", "vae"]
    n = int((SpikeWindows.load(RESULTS / RUN / "windows.h5").split == Split.TEST).sum())
    assert min(len(windows.accepted) for by_seed in found.values() for windows in by_seed.values()) >= n
    assert list(benchmark.synthetic(RUN, benchmark.MATCHED)) == ["transformer_gan", "vae_gan", "vae"], "every network"
    assert costs["transformer_gan"][0]["steps"] == 80 and costs["vae_gan"][0]["seconds"] > 1
    assert "benchmark (2 fits)" in smoke.stdout
    back = Standardiser.fit(SpikeWindows.load(RESULTS / RUN / "windows.h5").of(Split.TRAIN)).inverse
    vae = benchmark.model_class("vae").load(benchmark.place(RUN, "vae", 0))
    np.testing.assert_array_equal(back(vae.sample(n, 2)), found["vae"][0].windows[:n])


DRAWN_AGAIN = ("activity_frame", "transformer_gan_ablation", "vae_gan_samples", "seed_by_seed", "annotated_c2st")
"""Figures of all sorts: in motion, of tables, of windows, of numbers."""


def test_a_bundle_of_the_run_is_small_and_draws_every_figure_again_with_the_same_bits(smoke, tmp_path):
    bundling.pack(RUN, tmp_path / "run.zip")
    assert (tmp_path / "run.zip").stat().st_size < 4e6
    with bundles.opened(tmp_path / "run.zip") as bundle:
        kept = {id: bundle.drawing("", id) for id in FIGURES}
    assert None not in kept.values()
    for id in DRAWN_AGAIN:
        hashes = figures.write(id=id, target=tmp_path, **bundles.draw(kept[id], id))
        assert figures.manifest(RUN)[id] | hashes == figures.manifest(RUN)[id]


def checked_outputs(notebook: Path) -> list[str]:
    """What the cells printed whose outputs nbval compares."""
    cells = nbformat.read(notebook, as_version=4).cells
    checked = [cell for cell in cells if "nbval-check-output" in cell.metadata.get("tags", [])]
    return [output.text for cell in checked for output in cell.outputs if output.output_type == "stream"]


def cut_short(written: Path, how: signal.Signals) -> tuple[int, str]:
    """Start the run, send it a signal when a file has been ``written`` anew, and return its code and last words."""
    before = written.stat().st_mtime_ns if written.exists() else 0
    run = subprocess.Popen(
        [sys.executable, "-m", "meagan_lib.cli", "run", "smoke", "--name", RUN, *SLOWER],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and run.poll() is None:
        if written.exists() and written.stat().st_mtime_ns > before:
            break
        time.sleep(0.02)
    assert run.poll() is None and written.exists(), f"{written.name} was not written while the run went"
    os.kill(run.pid, how)
    last_words = run.communicate(timeout=20)[1]
    return run.returncode, last_words


def digests() -> dict[str, str]:
    """Of every product that holds no seconds, of every figure, and of what the checked cells printed."""
    results = RESULTS / RUN
    products = [path for kind in ("*.h5", "*.json", "*_gan/*", "benchmark/*/*/*.h5") for path in results.glob(kind)]
    found = {str(path): sha256(path) for path in products if path.suffix in (".h5", ".json", ".csv", ".safetensors")}
    drawn = [figures.folder(RUN) / f"{id}{suffix}" for id in FIGURES for suffix in FIGURE_FILES]
    found |= {path.name: sha256(path) for path in drawn}
    printed = {path.name: str(checked_outputs(path)) for path in (results / "notebooks").glob("*.ipynb")}
    return {name: digest for name, digest in (found | printed).items() if not name.endswith("cost.json")}


def test_a_run_interrupted_and_then_killed_ends_in_the_same_bits(smoke, warm_kernels):
    """Notebook 02, from its first step on; that what follows from it is the same twice, ``test_notebook`` finds."""
    before, of_02 = digests(), RESULTS / RUN / "transformer_gan"
    receipt = RESULTS / RUN / "receipts" / "02_transformer_gan.json"
    made = receipt.stat()
    assert len(before) > 3 * len(FIGURES) and "[]" not in before.values()
    shutil.rmtree(of_02)
    code, sentence = cut_short(of_02 / "checkpoint.pt", signal.SIGINT)
    assert code == 130 and "interrupted; the same command goes on" in sentence
    code, _ = cut_short(of_02 / "checkpoint.pt", signal.SIGKILL)
    assert code == -signal.SIGKILL and not receipt.exists()
    remove_stale(RUN)
    again = graph(RUN, str(receipt.relative_to(ROOT)), "--rerun-incomplete", python=warm_kernels)
    assert again.returncode == 0 and receipt.exists(), again.stdout + again.stderr
    os.utime(receipt, ns=(made.st_atime_ns, made.st_mtime_ns))  # what follows is not out of date
    after = digests()
    assert [name for name in before if after.get(name) != before[name]] == []


def test_an_executed_notebook_gives_its_checked_outputs_again_outside_of_a_run(smoke):
    notebook = RESULTS / RUN / "notebooks" / "05_organoid_network.ipynb"
    assert checked_outputs(notebook)
    check = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval-lax", "-n", "0", "-p", "no:cacheprovider", notebook],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert check.returncode == 0, check.stdout[-3000:]


def test_a_changed_figure_is_noticed(smoke):
    cli.verify(RUN)
    picture = figures.folder(RUN) / "pca.png"
    whole = picture.read_bytes()
    picture.write_bytes(whole[:-1])
    try:
        with pytest.raises(InputError, match="pca: the picture differs"):
            cli.verify(RUN)
    finally:
        picture.write_bytes(whole)


def test_too_few_spikes_stop_the_run_and_leave_the_earlier_results_also_where_the_home_is_a_file(smoke, tmp_path):
    before, home = sha256(RESULTS / RUN / "windows.h5"), tmp_path / "file"
    home.write_text("")
    given = [*SLOWER, "--set", "01_preprocessing.threshold_mad=200.0"]
    told = meagan("run", "smoke", "--name", RUN, *given, env=without_home(HOME=str(home)))
    assert told.returncode == 1 and "too few isolated spikes" in told.stderr, told.stderr
    assert str(home) not in told.stderr + (RESULTS / RUN / "receipts" / "01_preprocessing.log").read_text()
    assert sha256(RESULTS / RUN / "windows.h5") == before
    assert figures.verify(RUN) == [] and set(figures.manifest(RUN)) == FIGURES
