"""A run of several recordings, at smoke size: one that fails is named, the others are kept and merged."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml

from meagan_lib import InputError, cli
from meagan_lib.parameters import check, resolve
from meagan_lib.recordings.simulation import SimulationConfig, simulate
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from meagan_lib.workflow import figures
from meagan_lib.workflow.execution import RESULTS
from meagan_lib.workflow.files import write_if_changed
from tests.cheaper import start_kernels_cheaper
from tests.fixtures import forget, graph, meagan

MANY = "test-many"
pytestmark = pytest.mark.usefixtures("warm_kernels")


@pytest.fixture
def several(tmp_path, monkeypatch):
    """Two small simulated recordings, and one of the second's name that holds nothing but noise."""
    start_kernels_cheaper(tmp_path / "ipython", drawings=True)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    forget(MANY)
    rng = np.random.default_rng(0)
    for seed, label in enumerate("ab"):
        simulate(SimulationConfig(seed=seed, duration_s=4.0, patch=4, n_units=12), tmp_path / f"{label}.brw")
    (tmp_path / "noise").mkdir()
    rng.normal(0, 10, (40_000, 16)).astype(np.int16).tofile(tmp_path / "noise" / "b.raw")
    stated = "{sampling_rate_hz: 20000, n_channels: 16, dtype: int16, uv_per_step: 1.0}"
    (tmp_path / "noise" / "b.yaml").write_text(stated)
    yield tmp_path
    forget(MANY)


def test_of_several_recordings_one_fails_the_others_are_kept_and_all_are_merged(several, warm_kernels, capsys):
    asked = ["merge.split_by=time", "01_preprocessing.min_train_windows=60"]
    a, noise, b = (str(several / file) for file in ("a.brw", "noise/b.raw", "b.brw"))
    receipts = [RESULTS / MANY / "recordings" / label / "receipts" / "01_preprocessing.json" for label in "ab"]
    given = ["--recording", a, "--recording", noise, "--name", MANY, *(f"--set={one}" for one in asked)]
    told = meagan("run", "smoke", *given, python=warm_kernels)
    assert told.returncode == 1 and told.stderr.startswith("meagan: recording b: too few isolated spikes")
    assert told.stderr.count("\n") == 1 and receipts[0].exists() and not receipts[1].exists()

    # The graph as far as the merge: what follows it is the run of a single recording.
    before = receipts[0].stat().st_mtime_ns
    for path, parameters in check(MANY, resolve("smoke", [a, b], asked)).items():
        write_if_changed(path, yaml.safe_dump(parameters))
    target = f"results/{MANY}/receipts/01_preprocessing.json"
    (several / "a b").symlink_to(Path(warm_kernels).parent)
    python = str(several / "a b" / "python")  # a path with spaces is one word of a command
    done = graph(MANY, target, "--printshellcmds", python=python)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    commands = [shlex.split(line.partition(" exec ")[2]) for line in said.splitlines() if " exec " in line]
    assert [command[0] for command in commands] == [python] * 2, "the second recording and the merge"
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
    again = graph(MANY, target, "--dry-run", python=python)
    assert "Nothing to be done" in again.stdout + again.stderr
