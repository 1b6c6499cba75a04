"""Sweeps: the graph has a job for every recording and case, and nothing of an earlier run of the name."""

import subprocess
import sys

import pytest
import yaml

from meagan_lib import ROOT, InputError, cli
from meagan_lib.experiments import sweep, utility
from meagan_lib.windows import merging
from tests.conftest import forget
from tests.experiments.test_utility import SECTION


def test_the_graph_of_a_sweep_has_a_job_for_every_recording_and_case():
    run = "test-sweep"
    forget(run)
    try:
        asked = [f"utility.{key}={value}" for key, value in SECTION.items()]
        cli.write_parameters(run, cli.check(run, cli.resolve("utility", ["simulated", "locust"], asked)))
        assert [cli.belongs(f"{run}/recordings/{label}") for label in ("locust", "retina_hdmea")] == [True, False]
        graph = [
            sys.executable,
            "-m",
            "snakemake",
            "--dry-run",
            "--quiet",
            "rules",
            "--cores",
            "2",
            "--config",
            f"run={run}",
            "--nolock",
        ]
        done = subprocess.run(graph, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        counts = dict(line.split()[:2] for line in (done.stdout + done.stderr).splitlines() if len(line.split()) == 2)
        jobs = tuple(counts.get(rule) for rule in (merging.FIRST, "case", "sweep"))
        assert jobs == ("2", str(2 * len(utility.cases(SECTION))), "1"), done.stdout
    finally:
        forget(run)


def test_a_run_that_was_a_sweep_can_become_another(tmp_path, monkeypatch):
    for module in (cli, sweep):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    for section in ("ablation", "utility"):
        given = cli.check("a", cli.resolve(section, [], []))
        cli.write_parameters("a", given)
        assert sweep.asked("a") == (section, given[tmp_path / "a" / "params" / f"{section}.yaml"])
    cli.write_parameters("a", cli.check("a", cli.resolve("smoke", [], [])))
    assert sweep.asked("a") == ("", {})


def test_the_sweeps_that_are_kept_name_known_options():
    for section, least in (("ablation", 31), ("utility", 18)):
        given = yaml.safe_load((ROOT / "params" / f"{section}.yaml").read_text())[section]
        names = sweep.module(section).cases(given)
        assert len(set(names)) == len(names) >= least and len(given["seeds"]) >= 3


@pytest.mark.parametrize("section", sweep.SECTIONS)
def test_a_table_that_is_not_there_is_told(section):
    with pytest.raises(InputError, match=f"make it with meagan run {section}"):
        sweep.module(section).load("data/none.csv")
