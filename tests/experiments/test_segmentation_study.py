"""The sweep of images: what is refused, what a job writes, which arms are compared, a graph without recordings."""

import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from meagan_lib import InputError, parameters
from meagan_lib.experiments import segmentation, sweep
from meagan_lib.experiments.segmentation import cases, effects, load
from meagan_lib.workflow import graph
from tests.fixtures import forget, planned_jobs
from tests.images.conftest import photographs, plates  # noqa: F401 (fixtures)

SECTION = segmentation.DECLARED | {
    "classes": ["spot"],
    "arms": ["alone", "copy_paste"],
    "n": [2, 3, 4, 9],
    "seeds": [0],
    "size": 32,
    "options": {"width": 4, "levels": 2, "steps": 3, "batch_size": 8},
}


@pytest.fixture
def augmenter(monkeypatch):
    """An augmenter that notes what it is fitted to, in place of those of the wing."""
    fitted = []

    class Stub:
        def draw(self, n, seed):
            rng = np.random.default_rng(seed)
            return rng.random((n, 32, 32), np.float32), np.ones((n, 32, 32), np.float32)

    def fit_augmenter(name, images, masks, backgrounds, seed, **options):
        fitted.append((name, images, masks, backgrounds, seed, options))
        return Stub()

    module = ModuleType("meagan_lib.images.augmenters")
    module.fit_augmenter = fit_augmenter
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return fitted


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"arms": ["alone", "copypaste"]}, "did you mean 'copy_paste'"),
        ({"options": {"stesp": 3}}, "stesp"),
        ({"arms": ["classical"]}, "segmentation.arms has no 'alone'"),
        ({"augmenters": {"alone": {}}}, "the augmenter in segmentation.augmenters 'alone'"),
        ({"n": [0]}, "must be 1 or more"),
        ({"sedes": [1]}, "has no parameter 'sedes'"),
        ({"exposures": "all"}, "must|whole number"),
        ({"classes": ["a/b"]}, "cannot name a file"),
        ({"size": 33}, "take a multiple of 2"),
    ],
)
def test_a_wrong_sweep_is_refused_with_one_sentence(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        cases(SECTION | wrong)


def test_folders_are_tried_before_a_run(plates, tmp_path):  # noqa: F811
    def refused(**changed):
        with pytest.raises(InputError) as error:
            parameters.check("a", {"segmentation": SECTION | changed})
        return str(error.value)

    assert "no folder of photographs" in refused(photographs=[str(tmp_path / "none")])
    assert "did you mean 'spot'" in refused(photographs=[str(plates)], classes=["spots"])
    with pytest.raises(InputError, match="reads photographs and no recording"):
        parameters.resolve("segmentation", ["locust"], [])


def test_jobs_train_on_the_same_crops_and_are_gathered(plates, augmenter, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.setattr(sweep, "RESULTS", tmp_path)
    section = SECTION | {
        "photographs": [str(plates)],
        "labels": ["plates"],
        "augmenters": {"copy_paste": {"margin": 2}},
    }
    names = cases(section)
    assert len(set(names)) == 8
    receipts = [sweep.execute("run", "segmentation", "plates", case, section) for case in names]
    sweep.gather("run", "segmentation", receipts)
    table = load(tmp_path / "run" / "segmentation.csv")
    assert tuple(table.columns) == ("data", *segmentation.COLUMNS)
    assert sorted(zip(table["arm"], table["n"])) == [(arm, n) for arm in ("alone", "copy_paste") for n in (2, 3, 4)]
    assert table[list(segmentation.SCORES)].to_numpy().min() >= 0 and table["ap_image"].max() <= 1
    assert table.groupby("n")["crops"].nunique().max() == 1 and table["test_crops"].nunique() == 1
    name, crops, masks, backgrounds, seed, options = augmenter[0]
    assert (name, seed, options) == ("copy_paste", 0, {"margin": 2})
    assert crops.shape == masks.shape and backgrounds.shape[1:] == crops.shape[1:] and len(crops) == table["crops"][1]
    title, closing = segmentation.summary(tmp_path / "run" / "segmentation.csv")
    assert "Dice" in title and list(closing["n"]) == [2, 3, 4] and list(closing.columns[-2:]) == ["alone", "copy_paste"]
    again = sweep.execute("run", "segmentation", "plates", names[0], section)
    assert again["rows"][0]["dice"] == receipts[0]["rows"][0]["dice"]


def test_every_arm_is_compared_with_none_on_the_same_seeds():
    gains = {"alone": 0.0, "classical": 0.2, "painter": -0.1}
    rows = [
        {"data": "a", "class": "spot", "arm": arm, "n": n, "seed": seed, "dice": 0.5 + gain + 0.01 * seed * (1 + gain)}
        for n in (2, 5)
        for arm, gain in gains.items()
        for seed in range(4)
    ]
    found = effects(pd.DataFrame(rows))
    assert list(found["verdict"]) == ["helps", "hurts"] * 2 and (found["against"] == "alone").all()
    against = effects(pd.DataFrame(rows), against="classical").set_index(["n", "arm"])
    assert against.loc[(2, "painter"), "difference"] == pytest.approx(-0.3, abs=0.01)


def test_the_graph_has_a_job_for_every_case_and_no_recording(plates, warm_kernels):  # noqa: F811
    run = "test-segmentation"
    forget(run)
    try:
        given = {"segmentation": SECTION | {"photographs": [str(plates)]}}
        graph.write_parameters(run, parameters.check(run, given))
        counts = planned_jobs(run, warm_kernels)
        assert (counts["case"], counts["sweep"], counts["total"]) == (8, 1, 10)
    finally:
        forget(run)


def test_the_kept_table_is_one_of_the_sweep_and_conclusions_follow_its_numbers():
    table = load()
    assert tuple(table.columns) == ("data", *segmentation.COLUMNS)
    said = segmentation.conclusions(table)
    gain = effects(table).query("arm == 'copy_paste'")["difference"].mean()
    assert f"copy_paste against alone: Dice {gain:+.3f} on average" in said[1]
    worse = table.assign(dice=table["dice"].where(table["arm"] != "copy_paste", 0.0))
    assert segmentation.conclusions(worse)[1].startswith("copy_paste against alone: Dice −")
