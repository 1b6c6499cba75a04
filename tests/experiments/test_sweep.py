"""Sweeps: the graph has a job for every recording and case, and nothing of an earlier run of the name."""

import pytest

from meagan_lib import InputError, cli, parameters
from meagan_lib.experiments import sweep, utility
from meagan_lib.windows import merging
from meagan_lib.workflow import graph
from tests.experiments.test_utility import SECTION
from tests.fixtures import forget, planned_jobs


def test_the_graph_of_a_sweep_has_a_job_for_every_recording_and_case(warm_kernels):
    run = "test-sweep"
    forget(run)
    try:
        asked = [f"utility.{key}={value}" for key, value in SECTION.items()]
        given = parameters.resolve("utility", ["simulated", "locust"], asked)
        graph.write_parameters(run, parameters.check(run, given))
        assert [cli.belongs(f"{run}/recordings/{label}") for label in ("locust", "retina_hdmea")] == [True, False]
        counts = planned_jobs(run, warm_kernels)
        jobs = tuple(counts.get(rule) for rule in (merging.FIRST, "case", "sweep"))
        assert jobs == (2, 2 * len(utility.cases(SECTION)), 1)
    finally:
        forget(run)


def test_a_run_that_was_a_sweep_can_become_another(tmp_path, monkeypatch):
    for module in (parameters, graph, sweep):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    for section in sweep.SECTIONS:
        given = parameters.check("a", parameters.resolve(section, [], []))
        graph.write_parameters("a", given)
        assert sweep.asked("a") == (section, given[tmp_path / "a" / "params" / f"{section}.yaml"])
    graph.write_parameters("a", parameters.check("a", parameters.resolve("smoke", [], [])))
    assert sweep.asked("a") == ("", {})


def test_the_sweeps_that_are_kept_name_known_options():
    for section, least in (("ablation", 31), ("utility", 18), ("annotation", 10), ("segmentation", 225)):
        given = parameters.of_preset(section)[section]
        names = sweep.module(section).cases(given)
        assert len(set(names)) == len(names) >= least and len(given["seeds"]) >= 3


@pytest.mark.parametrize("section", sweep.SECTIONS)
def test_a_table_that_is_not_there_is_told(section):
    with pytest.raises(InputError, match=f"make it with meagan run {section}"):
        sweep.module(section).load("data/none.csv")


def test_an_edit_of_a_model_concerns_the_variants_of_that_model_alone():
    plain, vae_gan = ({"variants": [{"name": "a"} | of]} for of in ({}, {"model": "vae_gan"}))
    files = [{path.split("/")[-1] for path in sweep.library("ablation", of)} for of in (plain, vae_gan)]
    assert "gan.py" in files[0] and "vae_gan.py" not in files[0] and {"gan.py", "vae_gan.py"} <= files[1]
    assert "utility.py" in {path.split("/")[-1] for path in sweep.library("utility", SECTION)}
