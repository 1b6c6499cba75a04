"""Chapter 8 at a size that takes seconds, with the study of its run."""

import json

import pandas as pd
import pytest
import yaml

from meagan_lib import parameters
from meagan_lib.studies import jobs
from meagan_lib.studies.design import read_study
from meagan_lib.studies.measures import MEASURES, SCORES
from meagan_lib.studies.simulation import drawn_table
from meagan_lib.workflow import figures, graph
from meagan_lib.workflow.execution import RESULTS, execute
from meagan_lib.workflow.files import write_json
from tests.cheaper import start_kernels_cheaper
from tests.fixtures import forget

RUN = "test-study-chapter"
pytestmark = pytest.mark.usefixtures("warm_kernels")


@pytest.fixture
def receipt(tmp_path, monkeypatch):
    """The receipt of the chapter, executed for a study whose jobs have drawn numbers."""
    import numpy as np

    start_kernels_cheaper(tmp_path / "ipython", drawings=True)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    drawn = drawn_table(np.random.default_rng(0), cultures=3, days=(14, 21), effect=9.0)
    rows = [
        {"recording": "simulated", "seed": i} | row for i, row in enumerate(drawn.drop(columns="y").to_dict("records"))
    ]
    path = tmp_path / "study.yaml"
    study = {"recordings": rows, "preset": "smoke", "models": ["gaussian"], "pathological": "condition 1"}
    path.write_text(yaml.safe_dump(study))
    try:
        files = parameters.of_study(read_study(path), RUN)
        graph.write_parameters(RUN, files)
        for i, (factors, y) in enumerate(zip(jobs.asked(RUN)["recordings"], drawn["y"])):
            numbers = {name: y + 0.01 * j * i for j, name in enumerate(MEASURES)} | {
                "electrodes": 12,
                "duration_s": 9.0,
            }
            write_json(jobs.receipt_of(RUN, factors["label"]), {"row": numbers, "seconds": 1.0})
            scores = {name: {"value": 0.6, "floor": 0.5, "reach": 0.52} for name in SCORES}
            write_json(jobs.receipt_of(RUN, factors["label"], "gaussian", 0), {"scores": scores, "seconds": 1.0})
        jobs.gather(RUN)
        given = next(given for path, given in files.items() if path.stem == jobs.NOTEBOOK)
        yield execute(jobs.NOTEBOOK, given, RUN, ["findings.json"], 1)
    finally:
        forget(RUN)


def test_the_chapter_reads_the_study_of_its_run_and_finds_what_is_in_it(receipt):
    wanted = {id for id, entry in figures.registry().items() if entry.notebook == jobs.NOTEBOOK}
    assert set(receipt["figures"]) == wanted - {"study_recorded"}  # that needs a download
    found = json.loads((RESULTS / RUN / "findings.json").read_text())
    table = pd.DataFrame(found["study"]["effects"]).set_index(["measure", "condition"])
    assert table.loc[("synchrony", "condition 1"), "q"] < 0.05 and found["study"]["recordings"] == 18
    assert set(found["study"]["rescue"]) == {"condition 2"}
    assert any(line.startswith("gaussian has the lowest C2ST AUC on 18 of 18") for line in found["conclusions"])
