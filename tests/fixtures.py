"""Data for the tests: a small simulated recording, and spike-like windows made in no time."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from meagan_lib import ROOT
from meagan_lib.recordings import opening
from meagan_lib.recordings.opening import ground_truth, open_recording
from meagan_lib.recordings.simulation import SimulationConfig
from meagan_lib.windows.cutting import WindowConfig, cut_windows
from meagan_lib.windows.detection import DetectionConfig, depths, filtered_traces, segment_spans
from meagan_lib.windows.filtering import noise_levels
from meagan_lib.windows.spike_windows import Ledger
from meagan_lib.windows.streaming import Search, scan
from meagan_lib.workflow import figures
from meagan_lib.workflow.execution import RESULTS
from tests import kernels

torch.set_num_threads(1)  # small networks: more threads only wait for one another
sys.modules.setdefault("rfc3987_syntax", None)  # nbformat's validator would compile a grammar of URIs, as in a job
FIGURE_FILES = (".png", ".svg", ".npz")
"""What every figure leaves, by suffix."""


def meagan(
    *arguments: str, env: dict[str, str] | None = None, python: str = sys.executable
) -> subprocess.CompletedProcess:
    """The command, as from a terminal; of :func:`warm_kernels`' ``python`` it and its jobs are forked."""
    command = [python, "-m", "meagan_lib.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env)


def without_home(**variables: str) -> dict[str, str]:
    """The environment without what tells a user's name, home and settings, but for the ``variables`` given."""
    told = ("HOME", "LOGNAME", "USER", "XDG_", "MPL", "IPYTHON", "JUPYTER", "SNAKEMAKE")
    return {name: value for name, value in os.environ.items() if not name.startswith(told)} | variables


def forget(run: str) -> None:
    """Remove what a run left."""
    shutil.rmtree(RESULTS / run, ignore_errors=True)
    shutil.rmtree(figures.folder(run), ignore_errors=True)


def graph(run: str, *arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess:
    """Snakemake for a run whose parameters are written, without the command around it."""
    always = f"--cores 2 --nolock --rerun-triggers mtime --config run={run}".split()
    command = [python, "-m", "snakemake", *arguments, *always]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def planned_jobs(run: str, python: str) -> dict[str, int]:
    """What Snakemake would do for a run whose parameters are written: rule → number of jobs."""
    done = graph(run, "--dry-run", "--quiet", "rules", python=python)
    assert done.returncode == 0, done.stderr
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, flags=re.M)}


def killed_and_resumed(build, folder: Path, at: int):
    """A training that was not disturbed, the same killed after step ``at`` and trained on, and the steps of the latter.

    What both leave must be the same bits.
    """
    whole = build(folder=folder / "whole")
    whole.train()

    class Killed(BaseException):
        pass

    def kill(trainer):
        if trainer.step == at:
            raise Killed

    with pytest.raises(Killed):
        build(folder=folder / "killed").train(kill)
    again, steps = build(folder=folder / "killed"), []
    again.train(lambda trainer: steps.append(trainer.step))
    for file in ("model.safetensors", "history.csv", "config.json"):
        assert (folder / "whole" / file).read_bytes() == (folder / "killed" / file).read_bytes()
    return whole, again, steps


@pytest.fixture(scope="session")
def warm_kernels(tmp_path_factory):
    """Kernels that start in no time, also those of commands that tests start; all workers have them of one process.

    It is the path of a ``python`` whose commands and jobs start in no time, too.
    """
    of_a_worker = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if of_a_worker else base) / "kernels"
    with suppress(FileExistsError):  # another worker was first
        folder.mkdir()
        path = Path(tempfile.mkdtemp(prefix="meagan-")) / "socket"  # the path of a socket has at most 107 characters
        kernels.install(folder, path)
        command = [sys.executable, "-m", "tests.kernels", "serve", str(path)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}  # as a job starts its kernel
        owner = os.getppid() if of_a_worker else os.getpid()
        subprocess.Popen(
            [*command, str(owner), str(folder / "ready")], cwd=ROOT, env=environment, start_new_session=True
        )
    until = time.monotonic() + 200
    while not (folder / "ready").exists():  # Jupyter would wait for a minute, in which not all may be compiled
        assert time.monotonic() < until, "the process that forks kernels did not begin"
        time.sleep(0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        yield str(folder / "python")


@pytest.fixture(scope="session")
def simulation() -> SimulationConfig:
    return SimulationConfig(duration_s=12.0, patch=4, n_units=12, burst_rate_hz=(4.0, 12.0))


@pytest.fixture(scope="session")
def recording(simulation, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "DATA", tmp_path_factory.mktemp("data"))
        return open_recording("simulated", simulation=simulation)


@pytest.fixture(scope="session")
def truth(recording):
    return ground_truth(recording)


@pytest.fixture(scope="session")
def detection() -> DetectionConfig:
    return DetectionConfig()


@pytest.fixture(scope="session")
def traces(recording, detection):
    """All band-passed frames of the recording, (frames, channels)."""
    return filtered_traces(recording, detection, 0, recording.get_num_samples())


def detect(recording, config: DetectionConfig) -> Ledger:
    """The peaks of a recording, found without isolation, splits or windows; amplitudes in steps of the converter."""
    rate = recording.get_sampling_frequency()
    noise = noise_levels(recording, config.filter(rate), seed=0)
    never = np.full(len(noise), np.inf, np.float32)
    search = Search(depths(noise, config.threshold_mad), never, never, config.dead(rate), guard=0, half_window=0)
    found = [
        (peaks.frame + start, peaks.channel, peaks.amplitude, peaks.flags)
        for segment, start in enumerate(segment_spans(recording)[:, 0])
        for peaks in scan(recording, config.filter(rate), search, segment)
    ]
    return Ledger(*(np.concatenate(column) for column in zip(*found)))


@pytest.fixture(scope="session")
def windows(recording, detection, truth):
    """The windows of the recording, cut as by default."""
    return cut_windows(recording, detection, WindowConfig(), truth)


def scored_by(score):
    """A validation score of one's own, with the ``digest`` that tells it from others."""
    score.digest = "of the tests"
    return score


def spikes(n: int, samples: int = 32, seed: int = 0) -> np.ndarray:
    """Spike-like z-scores (n, samples) of two shapes, in coloured noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples) - samples // 2
    sharp = -np.exp(-((t / 2.0) ** 2)) + 0.4 * np.exp(-(((t - 6) / 4.0) ** 2))
    shapes = np.stack([sharp, -0.6 * np.exp(-((t / 4.0) ** 2))])
    noise = rng.standard_normal((n, samples + 2))
    noise = 0.15 * (noise[:, :-2] + noise[:, 1:-1] + noise[:, 2:])
    amplitude = rng.normal(5.0, 0.6, (n, 1))
    return (amplitude * shapes[rng.integers(2, size=n)] + noise).astype(np.float32)


def score(value: float, half: float = 0.02) -> dict:
    """A score as ``scores.json`` has it, beside a floor of 0.5."""
    known = {"floor": 0.5, "floor_interval": [0.48, 0.52], "reach": 0.52, "reach_interval": [0.5, 0.54], "seeds": [0.5]}
    return known | {"value": value, "interval": [value - half, value + half], "ratio": value / 0.52}
