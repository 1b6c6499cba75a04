"""A study runs over what fails, is seen while it runs, tries again only what failed, and gives the same bits."""

import os
import sys

import pandas as pd
import pytest
import yaml

from meagan_lib import InputError, cli, parameters
from meagan_lib.recordings.simulation import SimulationConfig
from meagan_lib.studies import jobs, watching
from meagan_lib.studies.design import read_study
from meagan_lib.studies.findings import of_run
from meagan_lib.studies.measures import COLUMNS, MEASURES, SCORES
from meagan_lib.studies.simulation import simulated_study
from meagan_lib.workflow import execution, figures, graph, progress
from meagan_lib.workflow.execution import RESULTS
from meagan_lib.workflow.files import write_json
from tests.fixtures import forget, planned_jobs

TINY = SimulationConfig(n_units=12, duration_s=20.0)
GONE = "treated_1_treated_day14"


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of five files of spike times, of which one is missing, and results of its own."""
    for module in (cli, execution, figures, graph, jobs, parameters, progress, watching):
        if hasattr(module, "RESULTS"):
            monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    monkeypatch.setattr(watching, "ROOT", tmp_path)
    monkeypatch.setattr(execution, "die_with", lambda parent: None)
    monkeypatch.setattr(os, "dup2", lambda *_: None)  # the log of a job takes its whole process
    factors, trains = simulated_study({"control": TINY, "treated": TINY}, 2, [14.0])
    factors, trains = pd.concat([factors, factors.iloc[:1].assign(day=21.0)]), [*trains, trains[1]]
    rows = factors[["culture", "day", "condition"]].assign(recording=[f"{i}.csv" for i in range(len(trains))])
    for file, spikes in zip(rows["recording"], trains):
        table = pd.DataFrame({"electrode": spikes.electrode, "time_s": spikes.frame / spikes.sampling_rate_hz})
        table.to_csv(tmp_path / file, index=False)
    (tmp_path / "2.csv").rename(tmp_path / "away.csv")
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"recordings": rows.to_dict("records"), "models": [], "preset": "smoke"}))
    return path


@pytest.fixture
def done(monkeypatch):
    """The graph in this process, without chapter 8; labels of the jobs that it does."""
    labels = []

    def run_graph(run: str, *_):
        for (label, job), path in jobs.places(run).items():
            if not path.is_file():
                labels.append(label)
                more = ["--model", *job.split()] if " " in job else []
                monkeypatch.setattr(sys, "argv", ["jobs", run, "--recording", label, *more])
                assert jobs.main() == 0

    monkeypatch.setattr(cli, "run_graph", run_graph)
    return labels


def run(study, name="", **options):
    cli.study(str(study), name, 1, **{"profile": "", "models": "", "seeds": "", "preset": ""} | options)


def test_a_recording_that_fails_is_named_stops_no_other_and_alone_is_tried_again(study, done, capsys):
    with pytest.raises(InputError, match=rf"1 of 5 recordings failed.*{GONE}: no spike times at .*2.csv: check"):
        run(study)
    folder = study.parent / "results" / "mine"
    table = pd.read_csv(folder / "study.csv")
    assert len(done) == 5 and list(table)[: len(COLUMNS) - 1] == [name for name in COLUMNS if name != "failed"]
    broken = table.set_index("label").loc[GONE]
    assert "no spike times" in broken["failed"] and broken[list(MEASURES)].isna().all()
    assert table.loc[table["failed"].isna(), "synchrony"].notna().sum() == 4
    assert "failed" in (page := (folder / "report.html").read_text()) and "no spike times" in page
    assert f"│ {GONE}" in capsys.readouterr().out
    done.clear()
    (study.parent / "away.csv").rename(study.parent / "2.csv")
    run(study)
    assert done == [GONE] and "5 of 5 jobs done" in capsys.readouterr().out
    run(study, "again")
    assert (folder / "study.csv").read_bytes() == (folder.parent / "again" / "study.csv").read_bytes()
    found = of_run(folder)
    assert len(found.known) == 5 and set(found.effects()["df"]) <= {1, 2}  # less one for the day, where it is singular
    with pytest.raises(InputError, match="pathological"):
        found.rescue(9, 0)


def test_a_study_is_seen_from_another_terminal_while_it_runs(study, done, capsys, monkeypatch):
    files = parameters.of_study(read_study(study), "mine")
    graph.write_parameters("mine", files)
    labels = [label for label, _ in jobs.places("mine")]
    assert "nothing is at work" in watching.sentence("mine")
    write_json(jobs.receipt_of("mine", labels[0]), {"row": {}, "seconds": 6.0})
    write_json(jobs.receipt_of("mine", labels[1]), {"failed": "no file"})
    note = {"title": f"measures {labels[2]}", "pid": os.getpid(), "done": 1, "total": 2}
    write_json(study.parent / "results" / "mine" / progress.FOLDER / "note.json", note)
    assert watching.states("mine")["network"].tolist() == ["done", "failed", "running, 50 %", "to do", "to do"]
    assert watching.sentence("mine") == "1 of 5 jobs done, 1 failed, 1 at work; about 0:00:15 left"
    cli.status("mine")
    assert "no file" in capsys.readouterr().out


def test_seeds_of_a_model_share_a_cell():
    assert watching.together(["done", "running, 5 %", "to do"]) == "1 of 3 done, running, 5 %"
    assert watching.together(["failed", "failed"]) == "failed" and watching.together(["to do"] * 2) == "to do"


def test_scores_of_generators_are_means_over_seeds_beside_those_of_each(study, monkeypatch):
    asked = read_study(study, models="gaussian,vae", seeds="0,1")
    graph.write_parameters("mine", parameters.of_study(asked, "mine"))
    label = jobs.asked("mine")["recordings"][0]["label"]
    settings = jobs.asked("mine") | {"spikes": []}
    monkeypatch.setattr(jobs, "asked", lambda run: settings)
    for seed in (0, 1):
        scores = {name: {"value": 0.5 + seed / 5, "floor": 0.4, "reach": 0.45} for name in SCORES}
        write_json(jobs.receipt_of("mine", label, "gaussian", seed), {"scores": scores, "seconds": 1})
    table, scores = jobs.tables("mine")
    assert table.loc[0, "gaussian c2st_auc"] == 0.6 and table["vae c2st_auc"].isna().all()
    assert len(scores) == 2 * len(SCORES) and set(scores["value"]) == {0.5, 0.7}


def test_the_graph_has_recordings_by_models_by_seeds_and_none_where_there_are_only_spikes(tmp_path, warm_kernels):
    rows = [{"recording": "a.csv", "culture": "A", "day": 1, "condition": "c"}]
    rows += [{"recording": "simulated", "seed": s, "culture": f"{s}", "day": 1, "condition": "d"} for s in (1, 2)]
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({"recordings": rows, "preset": "smoke", "models": ["gaussian", "vae_gan"]}))
    name = "test-study-graph"
    try:
        graph.write_parameters(name, parameters.of_study(read_study(path, seeds="0,1"), name))
        wanted = {"01_preprocessing": 2, "measures": 3, "scores": 2 * 2 * 2, "study": 1, "08_study": 1}
        assert planned_jobs(name, warm_kernels) == wanted | {"all": 1, "total": sum(wanted.values()) + 1}
        receipts = [RESULTS / name / "receipts" / f"{job}.json" for job in (jobs.NAME, jobs.NOTEBOOK)]
        for path in [*jobs.places(name).values(), *receipts]:
            write_json(path, {"seconds": 1})
        jobs.receipt_of(name, "A_c_day1").unlink()  # of a recording that failed
        jobs.remove_table(name)
        assert planned_jobs(name, warm_kernels) == {"measures": 1, "study": 1, "08_study": 1, "all": 1, "total": 4}
    finally:
        forget(name)
