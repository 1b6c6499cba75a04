"""The ``meagan`` command: wrong words are answered before anything starts."""

import os
import subprocess
import sys

import pytest

from meagan_lib import ROOT, cli
from meagan_lib.workflow.execution import RESULTS
from meagan_lib.workflow.graph import engine_error
from tests.fixtures import forget, meagan, without_home


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["run", "smok"], "did you mean 'smoke'"),
        (["run", "smoke", "--recording", "nowhere.brw"], "neither a file nor a name"),
        (["run", "smoke", "--recording", "~no_such_user/chip.brw"], "neither a file nor a name"),
        (["run", "smoke", "--set", "05_organoid_network.spikes=~no_such_user/spikes.csv"], "no spike times at"),
        (["run", "smoke", "--set", "01_preprocessing.guard=3"], "did you mean 'guard_ms'"),
        (["run", "smoke", "--profile", "slrum"], "no profile 'slrum': did you mean 'slurm'?"),
        (["run", "smoke", "--name", "../x"], "cannot name a run"),
        (["run", "smoke", "--name", "my chip"], "cannot name a run"),
        (["run", "smoke", "--name", "x" * 300], "cannot name a run: take at most 100"),
        (["run", "smoke", "--name", "\u03c0" * 60], "cannot name a run: take at most 100"),
        (["run", "smoke", "--name", "registry.yaml"], "for figures/registry.yaml is a file"),
        (["run", "smoke", "--recording", ""], "--recording is empty"),
        (["look", ""], "no recording ''"),
        (["redraw", "."], "there is no bundle"),
        (["export", "pyproject.toml", "--to", "nwb"], "--to nwb is of a run, and pyproject.toml is none"),
        (["export", "smoke", "--to", "onnx", "--lang", "it"], "--lang is the language of a paper, and onnx has none"),
        (["hybrid", "simulated", "--footprint-um", "0"], "give a distance above 0"),
        (["hybrid", "simulated", "--footprint-um", "5000"], "--footprint-um is 5000.0: it must be between 0 and 500"),
        (["hybrid", "simulated", "--units", "99999999"], "--units is 99999999: it must be between 1 and 10000"),
        (["look", "simulated", "--picture", "x.jpg"], "another suffix"),
        (["run", "smoke", "--set", "01_preprocessing.duration_s=1000000000"], "must be between 1 and 86400"),
        (["hybrid", "simulated", "--rate", "nan"], "--rate is nan: it must be 0 or more"),
        (["hybrid", "simulated", "--drift", "inf"], "--drift is inf: it must be -10000 or more"),
        (["hybrid", "simulated", "--seed", "-1"], "--seed is -1: it must be between 0 and"),
        (["hybrid", "simulated", "--depth", ".:."], "the depth '.:.' is no range"),
        (["run", "images", "--recording", "locust"], "run images reads no recording"),
        (["run", "concepts", "--recording", "locust"], "with --set c1_networks.windows=NAME"),
        (["run", "study", "--recording", "locust"], "run study reads no recording"),
        (["run", "smoke", "--set", "06_annotated_synthesis.recording=[a, b]"], "recording is a text"),
        (["run", "smoke", "--set", "02_transformer_gan.seed=-1"], "seed is -1: it must be between 0 and"),
        (["run", "smoke", "--set", "02_transformer_gan.gamma=.nan"], "gamma is nan: it must be 0 or more"),
        (
            ["run", "smoke", "--set", "01_preprocessing.threshold_mad=.inf"],
            "threshold_mad is inf: it must be 0.5 or more",
        ),
        (["run", "smoke", "--set", "03_vae_gan.batch_size=0"], "batch_size is 0: it must be between 1 and 65536"),
        (["run", "smoke", "--set", "02_transformer_gan.ema=2"], "ema is 2.0: it must be between 0 and 1"),
        (["run", "smoke", "--set", "01_preprocessing.split_cycles=1000000"], "it must be between 1 and 10000"),
        (["run", "smoke", "--set", "benchmark.seeds=[0, -1]"], "benchmark.seeds[1] is -1: it must be between 0 and"),
        (["run", "smoke", "--set", "01_preprocessing.seed=2024-02-30"], "is not YAML: day is out of range"),
        (["run", "smoke", "--set", "benchmark.models=[gmm"], "--set benchmark.models=[gmm is not YAML"),
        (["run", "smoke", "--set", "benchmrk.models=[]"], "has no 'benchmrk': did you mean 'benchmark'?"),
        (["run", "concepts", "--set", "benchmark.models=[]"], "run concepts has no 'benchmark'; it has c1_networks"),
        (["run", "smoke", "--set", "01_preprocessing.seed=null"], "None is nothing"),
        (["book", "no-such-run"], "nothing of a run"),
        (["book", "../no-such-run"], "cannot name a run"),
        (["status", "../x"], "cannot name a run"),
        (["verify", ""], "cannot name a run"),
        (["keep", "../x"], "cannot name a run"),
        (["verify", "no-such-run"], "no figures of a run"),
        (["status", "no-such-run"], "nothing of a run"),
    ],
)
def test_bad_input_gets_one_sentence_and_a_non_zero_exit(arguments, sentence, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["meagan", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    told = capsys.readouterr().err
    assert end.value.code == 1 and sentence in told and told.count("\n") == 1
    assert not (RESULTS / "no-such-run").exists()


def test_a_terminal_of_another_encoding_sees_what_it_can_show_and_files_are_read_as_utf_8():
    others = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    told = meagan("params", "smoke", env=os.environ | others)
    assert told.returncode == 0 and told.stderr == ""
    assert told.stdout.isascii() and "beta: 1.0  # ?: weight of the KL term" in told.stdout


def test_a_terminal_sees_the_sentence_alone():
    told = meagan("run", "smok")
    assert told.returncode == 1 and told.stdout == "" and told.stderr.startswith("meagan: no run 'smok'")
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments, words", [(["run", "--record", "x"], "No such option"), (["run", "--cores", "0"], "greater than")]
)
def test_a_command_that_is_not_understood_is_answered_with_its_usage(arguments, words):
    told = meagan(*arguments)
    assert told.returncode == 2 and "Usage:" in told.stderr and words in told.stderr
    assert "Traceback" not in told.stderr


def test_a_run_needs_no_home(tmp_path):
    """From the engine to the kernel of a notebook, which finds no spikes; ``test_run`` has a home that is a file."""
    run = "test-home"
    too_high = ["--set", "01_preprocessing.threshold_mad=200.0", "--set", "01_preprocessing.duration_s=3.0"]
    try:
        done = meagan("run", "smoke", "--name", run, *too_high, env=without_home(HOME="/proc/nowhere"))
        assert done.returncode == 1 and "too few isolated spikes" in done.stderr, done.stderr
        assert "nowhere" not in done.stderr + (RESULTS / run / "receipts" / "01_preprocessing.log").read_text()
    finally:
        forget(run)


def test_a_user_without_a_name_and_a_home_can_run():
    """As in a container that gives a number alone: Snakemake asks for the name, SpikeInterface for the home."""
    code = """import getpass, pathlib, pwd; pwd.getpwuid = {}.__getitem__; import meagan_lib
print(getpass.getuser(), pathlib.Path.home())"""
    env = without_home(PYTHONPATH=str(ROOT))
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert told.returncode == 0 and told.stdout.strip(), told.stderr


def test_an_error_of_the_engine_is_told_as_it_is(monkeypatch):
    run = "test-engine"
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "no-such-profile")
    try:
        told = meagan("run", "smoke", "--name", run)
        assert told.returncode == 1 and "no-such-profile" in told.stderr and "memory" not in told.stderr
        assert f"results/{run}/snakemake.log" in told.stderr and told.stderr.count("\n") == 1
    finally:
        forget(run)


@pytest.mark.parametrize(
    "log, told",
    [
        (
            "Building DAG of jobs...\nMissingInputException in rule a:\nMissing input files:\n    gone.py\n\nBye\n",
            "MissingInputException in rule a: Missing input files: gone.py",
        ),
        ('Traceback:\n\n  File "x.py", in f\n\nFileExistsError: .snakemake\n\n', "FileExistsError: .snakemake"),
        ("usage: snakemake\nno such option\n", "no such option"),
        ("", "no word of why"),
    ],
)
def test_the_error_is_found_in_the_log_of_the_engine(log, told):
    assert engine_error(log) == told


def test_a_job_that_breaks_leaves_its_error_and_not_a_guess():
    run = "test-job"
    code = f"import sys; from meagan_lib.workflow.execution import job; sys.exit(job('merge', {run!r}, lambda: 1 / 0))"
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
        receipts = RESULTS / run / "receipts"
        assert done.returncode == 1
        assert "merge stopped with ZeroDivisionError: division by zero" in (receipts / "merge.failed").read_text()
        assert "Traceback" in (receipts / "merge.log").read_text()
    finally:
        forget(run)
