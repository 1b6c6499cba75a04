"""The whole run, at smoke size: it finishes, does nothing twice, survives a kill, and can be checked."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from meagan_lib import ROOT, figures
from meagan_lib.files import sha256
from meagan_lib.notebooks import RESULTS

RUN, KILLED = "test-run", "test-killed"
SLOWER = ["--set", "02_transformer_gan.steps=120"]


def meagan(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "meagan_lib.cli", *arguments], capture_output=True, text=True)


def forget(name: str) -> None:
    shutil.rmtree(RESULTS / name, ignore_errors=True)
    shutil.rmtree(figures.folder(name), ignore_errors=True)


@pytest.fixture(scope="module")
def smoke():
    """An undisturbed smoke run."""
    for name in (RUN, KILLED):
        forget(name)
    done = meagan("run", "smoke", "--name", RUN, *SLOWER)
    assert done.returncode == 0, done.stdout + done.stderr
    yield done
    for name in (RUN, KILLED):
        forget(name)


def test_every_figure_is_made_and_the_closing_table_shows_the_floor(smoke):
    assert set(figures.manifest(RUN)) == set(figures.registry())
    assert "floor" in smoke.stdout and "c2st auc" in smoke.stdout and f"figures/{RUN}" in smoke.stdout
    for notebook in ("01_preprocessing", "04_results_comparison"):
        assert (RESULTS / RUN / "notebooks" / f"{notebook}.html").stat().st_size > 10_000
    scores = json.loads((RESULTS / RUN / "scores.json").read_text())
    assert set(scores) == {"reach", "transformer_gan", "vae_gan", "gaussian"}


def test_a_second_run_does_nothing(smoke):
    receipts = sorted((RESULTS / RUN / "receipts").glob("*.json"))
    before = [path.stat().st_mtime_ns for path in receipts]
    assert meagan("run", "smoke", "--name", RUN, *SLOWER).returncode == 0
    assert [path.stat().st_mtime_ns for path in receipts] == before and len(before) == 4


def test_a_killed_run_ends_in_the_same_bits(smoke):
    arguments = [sys.executable, "-m", "meagan_lib.cli", "run", "smoke", "--name", KILLED, *SLOWER]
    run = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    checkpoint = RESULTS / KILLED / "transformer_gan" / "checkpoint.pt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert checkpoint.exists() and not (RESULTS / KILLED / "receipts" / "02_transformer_gan.json").exists()
    again = meagan("run", "smoke", "--name", KILLED, *SLOWER)
    assert again.returncode == 0, again.stdout + again.stderr
    same = ["windows.h5", "scores.json", *(
        f"{model}/{file}" for model in ("transformer_gan", "vae_gan")
        for file in ("model.safetensors", "history.csv", "synthetic.h5")
    )]
    for file in same:
        assert sha256(RESULTS / RUN / file) == sha256(RESULTS / KILLED / file), file
    for id in figures.registry():
        for suffix in figures.SUFFIXES:
            one, two = (figures.folder(name) / f"{id}{suffix}" for name in (RUN, KILLED))
            assert sha256(one) == sha256(two), one.name


def test_executed_notebooks_give_their_checked_outputs_again(smoke):
    notebooks = sorted(str(path) for path in (RESULTS / RUN / "notebooks").glob("0*.ipynb"))
    assert len(notebooks) == 4
    check = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider", *notebooks], capture_output=True, text=True,
        cwd=ROOT,
    )
    assert check.returncode == 0, check.stdout[-3000:]


def test_a_changed_figure_is_noticed(smoke):
    assert meagan("verify", RUN).returncode == 0
    picture = figures.folder(RUN) / "pca.png"
    whole = picture.read_bytes()
    picture.write_bytes(whole[:-1])
    try:
        told = meagan("verify", RUN)
        assert told.returncode == 1 and "pca: the picture differs" in told.stderr
    finally:
        picture.write_bytes(whole)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["run", "smok"], "did you mean 'smoke'"),
        (["run", "smoke", "--recording", "nowhere.brw"], "neither a file nor a name"),
        (["run", "smoke", "--set", "01_preprocessing.guard=3"], "did you mean 'guard_ms'"),
        (["run", "smoke", "--name", "../x"], "cannot name a run"),
        (["verify", "no-such-run"], "no figures of a run"),
    ],
)
def test_bad_input_gets_one_sentence_and_a_non_zero_exit(arguments, sentence):
    told = meagan(*arguments)
    assert told.returncode != 0 and sentence in told.stderr
    assert told.stderr.count("\n") == 1 and "Traceback" not in told.stderr


def test_too_few_spikes_stop_the_run_and_leave_the_earlier_results(smoke):
    before = sha256(RESULTS / RUN / "windows.h5")
    told = meagan("run", "smoke", "--name", RUN, *SLOWER, "--set", "01_preprocessing.threshold_mad=200.0")
    assert told.returncode == 1 and "too few isolated spikes" in told.stderr
    assert sha256(RESULTS / RUN / "windows.h5") == before
    assert figures.verify(RUN) == [] and set(figures.manifest(RUN)) == set(figures.registry())
