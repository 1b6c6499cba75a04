"""The whole run, at smoke size: it finishes, does nothing twice, survives a kill, and can be checked."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml

from meagan_lib import ROOT, InputError, cli, figures
from meagan_lib.files import sha256
from meagan_lib.notebooks import RESULTS
from meagan_lib.simulation import SimulationConfig, simulate
from meagan_lib.windows import SpikeWindows, Split

RUN, KILLED, MANY = "test-run", "test-killed", "test-many"
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


def cut_short(checkpoint, how: signal.Signals) -> tuple[int, str]:
    """Start the run, send it a signal when ``checkpoint`` has been written anew, and return its code and last words."""
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    run = subprocess.Popen(
        [sys.executable, "-m", "meagan_lib.cli", "run", "smoke", "--name", KILLED, *SLOWER],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (checkpoint.exists() and checkpoint.stat().st_mtime_ns > before):
        time.sleep(0.02)
    os.kill(run.pid, how)
    last_words = run.communicate(timeout=20)[1]
    return run.returncode, last_words


def test_a_run_interrupted_and_then_killed_ends_in_the_same_bits(smoke):
    checkpoint = RESULTS / KILLED / "transformer_gan" / "checkpoint.pt"
    code, sentence = cut_short(checkpoint, signal.SIGINT)
    assert code == 130 and "interrupted; the same command goes on" in sentence
    code, _ = cut_short(checkpoint, signal.SIGKILL)
    assert code == -signal.SIGKILL and not (RESULTS / KILLED / "receipts" / "02_transformer_gan.json").exists()
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


@pytest.fixture
def several(tmp_path):
    """Two small simulated recordings, and one of the second's name that holds nothing but noise."""
    forget(MANY)
    rng = np.random.default_rng(0)
    for seed, label in enumerate("ab"):
        simulate(SimulationConfig(seed=seed, duration_s=6.0, patch=4, n_units=12), tmp_path / f"{label}.brw")
    rng.normal(0, 10, (40_000, 16)).astype(np.int16).tofile(tmp_path / "b.raw")
    (tmp_path / "b.yaml").write_text("{sampling_rate_hz: 20000, n_channels: 16, dtype: int16, uv_per_step: 1.0}")
    yield tmp_path
    forget(MANY)


def test_of_several_recordings_one_fails_the_others_are_kept_and_all_are_merged(several, capsys):
    asked = ["merge.split_by=time", "01_preprocessing.min_train_windows=100"]
    a, noise, b = (str(several / file) for file in ("a.brw", "b.raw", "b.brw"))
    receipts = [RESULTS / MANY / "recordings" / label / "receipts" / "01_preprocessing.json" for label in "ab"]
    told = meagan(
        "run", "smoke", "--recording", a, "--recording", noise, "--name", MANY, *(f"--set={one}" for one in asked)
    )
    assert told.returncode == 1 and told.stderr.startswith("meagan: recording b: too few isolated spikes")
    assert told.stderr.count("\n") == 1 and receipts[0].exists() and not receipts[1].exists()

    # The graph as far as the merge: what follows it is the run of a single recording.
    before = receipts[0].stat().st_mtime_ns
    for path, parameters in cli.check(MANY, cli.resolve("smoke", [a, b], asked)).items():
        cli.write_if_changed(path, yaml.safe_dump(parameters))
    graph = [
        sys.executable, "-m", "snakemake", f"results/{MANY}/receipts/01_preprocessing.json", "--cores", "2", "--config",
        f"run={MANY}", "--nolock", "--rerun-triggers", "mtime",
    ]
    done = subprocess.run(graph, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert receipts[0].stat().st_mtime_ns == before and receipts[1].exists()
    merged = SpikeWindows.load(RESULTS / MANY / "windows.h5")
    assert merged.recordings == ["a", "b"] and set(merged.recording) == {0, 1}
    for i, label in enumerate("ab"):
        own = SpikeWindows.load(RESULTS / MANY / "recordings" / label / "windows.h5")
        np.testing.assert_array_equal(merged.windows[merged.recording == i], own.windows)
        assert set(merged.split[merged.recording == i]) == set(Split)
        assert (RESULTS / MANY / "notebooks" / f"01_preprocessing.{label}.html").exists()
    cli.verify(MANY)
    n = sum(len(figures.manifest(part)) for part in figures.parts(MANY))
    assert n >= 16 and f"{n} figures" in capsys.readouterr().out
    next(figures.folder(MANY).glob("recordings/b/*.png")).write_bytes(b"")
    with pytest.raises(InputError, match=f"1 of {n} .*: recordings/b/.*: the picture differs"):
        cli.verify(MANY)
    again = subprocess.run([*graph, "--dry-run"], capture_output=True, text=True, cwd=ROOT)
    assert "Nothing to be done" in again.stdout + again.stderr
