"""Scores stand beside floor and reach, one rule flags them, and the words follow the numbers."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from conftest import spikes

from meagan_lib import scores
from meagan_lib.metrics import Context
from meagan_lib.scores import METRICS, REACH, Score, comparison, excess, flagged, over_seeds, score_models

RATE = 20_000.0
TEST, TRAIN = spikes(600, seed=1), spikes(700, seed=3)
CHEAP = [name for name in METRICS if not name.startswith("c2st")]
EXAMPLE = Score(
    value=0.6, interval=(0.5, 0.7), floor=0.2, floor_interval=(0.1, 0.3), reach=0.3, reach_interval=(0.2, 0.4),
    ratio=2.0, seeds=(0.6,),
)


@pytest.fixture(scope="module")
def scored():
    models = {"shifted": spikes(300, seed=5) + 1, "seeds": [spikes(300, seed=s) for s in (6, 7, 8)]}
    return score_models(TEST, TRAIN, models, RATE, 200, 5, names=CHEAP)


def test_scores_have_value_floor_reach_and_ratio_and_the_ratio_of_the_reach_is_1(scored):
    assert set(scored) == {REACH, "shifted", "seeds"}
    for name in CHEAP:
        shifted = scored["shifted"][name]
        assert set(shifted) == set(Score.__dataclass_fields__)
        assert shifted["interval"][0] <= shifted["value"] <= shifted["interval"][1]
        assert shifted["reach"] == scored[REACH][name]["value"]
        assert shifted["reach_interval"] == pytest.approx(scored[REACH][name]["interval"])
        assert scored[REACH][name]["ratio"] == (None if METRICS[name].signed else 1)
        if not METRICS[name].signed:
            assert shifted["interval"][0] >= 0 and shifted["ratio"] == shifted["value"] / shifted["reach"]


def test_several_seeds_give_their_mean_and_the_spread_between_them(scored):
    for name in CHEAP:
        score = scored["seeds"][name]
        assert len(score["seeds"]) == 3 and score["value"] == pytest.approx(np.mean(score["seeds"]))
    amplitude = METRICS["amplitude_ks"]
    values = [0.2, 0.3, 0.25]
    mean, (low, high) = over_seeds([(v, (v - 0.01, v + 0.01)) for v in values], amplitude)
    assert (low, high) == pytest.approx(scipy.stats.t.interval(0.95, 2, mean, scipy.stats.sem(values)))
    wide = over_seeds([(v, (v - 0.2, v + 0.2)) for v in values], amplitude)
    assert wide == (mean, pytest.approx((mean - 0.2, mean + 0.2)))
    assert over_seeds([(0.3, (0.1, 0.5))], amplitude) == (0.3, pytest.approx((0.1, 0.5)))


def test_another_training_set_changes_neither_value_nor_floor():
    """The reference is half of the test set: the training windows give the reach, and what is looked through."""
    names = ["coverage", "density", "precision", "recall", "sliced_wasserstein", "feature_ks", "squared_mmd"]
    one, two = (
        score_models(TEST, train, {"model": spikes(300, seed=5)}, RATE, 200, 2, names=names)
        for train in (TRAIN, spikes(700, seed=4))
    )
    for name in names:
        for key in ("value", "interval", "floor", "floor_interval"):
            assert one["model"][name][key] == two["model"][name][key]
        assert one[REACH][name]["value"] != two[REACH][name]["value"]


def test_the_reach_of_memorisation_does_not_count_training_windows_as_copies_of_themselves(scored):
    assert scored[REACH]["authenticity"]["value"] > 0.5 and scored[REACH]["share_nearest"]["value"] < 0.15
    assert scored[REACH]["distance_ratio"]["value"] > 0.8
    assert abs(scored[REACH]["c_t"]["value"]) < 3


def test_labels_reach_the_inception_score():
    labels = (TRAIN[:, 22] > 1).astype(int)
    two = score_models(TEST, TRAIN, {}, RATE, 200, 2, names=["inception_score"], labels=labels)
    context = Context.fit(TRAIN, RATE, labels=labels)
    assert list(context.spike_types.classes_) == [0, 1]
    assert 1.5 < two[REACH]["inception_score"]["floor"] <= 2


@pytest.mark.parametrize("better, score, expected", [
    ("lower", EXAMPLE, (2.0, (1.5, 2.5))),  # floor 0.2, explained up to 0.4
    ("lower", replace(EXAMPLE, value=0.39, interval=(0.3, 0.5)), (0.95, (0.5, 1.5))),
    ("higher", replace(EXAMPLE, value=0.05, interval=(0.0, 0.1)), (1.5, (1.0, 2.0))),  # explained down to 0.1
    ("higher", EXAMPLE, (-4.0, (-5.0, -3.0))),
    ("near the floor", EXAMPLE, (2.0, (1.5, 2.5))),
    ("near the floor", replace(EXAMPLE, value=0.05, interval=(0.0, 0.1)), (1.5, (1.0, 2.0))),
])
def test_an_excess_is_1_where_floor_and_reach_end_on_the_bad_side(better, score, expected):
    value, interval = excess(vars(score), better)
    assert value == pytest.approx(expected[0]) and interval == pytest.approx(expected[1])
    assert flagged(vars(score), better) == (value > 1)


def row(value: float, **given) -> dict[str, dict]:
    return {
        name: vars(replace(EXAMPLE, value=value, interval=(value - 0.1, value + 0.1), **given)) for name in METRICS
    }


def test_a_comparison_is_signed_and_knows_when_it_is_sure():
    rows = comparison({"a": row(0.2), "b": row(0.5)}, "a", "b")
    assert rows["c2st_auc"] == (pytest.approx(0.3), True)
    assert rows["authenticity"] == (pytest.approx(-0.3), True)
    assert rows["coverage"] == (pytest.approx(0.3), True)  # the floor is 0.2
    assert comparison({"a": row(0.2), "b": row(0.3)}, "a", "b")["c2st_auc"][1] is False


def test_where_the_floor_is_the_aim_too_much_is_as_bad_as_too_little_and_neither_is_surely_better():
    rows = comparison({"a": row(0.0, floor=0.3), "b": row(0.6, floor=0.3)}, "a", "b")
    assert rows["coverage"] == (pytest.approx(0), False)
    assert rows["authenticity"] == (pytest.approx(-0.6), True)
    assert comparison({"a": row(0.25, floor=0.3), "b": row(0.6, floor=0.3)}, "a", "b")["coverage"][1] is True


def made_up(**models: dict[str, dict]) -> dict[str, dict[str, dict]]:
    """Scores in which nobody copies, but who is told so."""
    for by in models.values():
        for name in scores.memorisation.METRICS:
            by.setdefault(name, {})
            by[name] |= {"value": by[name]["floor"]}
    return {REACH: row(0.3)} | models


COST = {"a": {"parameters": 160_000, "windows": 1_200_000}}
LABELS = {"a": "Model A", "b": "Model B", "c": "Model C"}


def test_the_answer_changes_with_the_order_of_the_models():
    one = scores.answer(made_up(a=row(0.31), b=row(0.9)), COST, LABELS)
    two = scores.answer(made_up(a=row(0.9), b=row(0.31)), COST, LABELS)
    assert one.startswith("**Model A comes nearest") and two.startswith("**Model B comes nearest")
    assert "Surely behind: Model B (0.900)" in one and "Surely behind: Model A (0.900)" in two
    close = scores.answer(made_up(a=row(0.31), b=row(0.35)), COST, LABELS)
    assert "Too near to call: Model B (0.350)" in close and "Surely" not in close.split("|")[0]
    assert "Model A (160 k parameters, 1.2 M windows shown)" in one and "Model B (cost not known)" in one


def test_the_answer_names_copies_and_does_not_rank_them():
    models = made_up(a=row(0.5), b=row(0.31))
    models["b"]["c_t"] |= {"value": -9.0}  # too little noise does that as well
    assert scores.answer(models, COST, LABELS).startswith("**Model B comes nearest")
    narrow = {"value": 0.185, "floor_interval": (0.195, 0.205), "reach_interval": (0.195, 0.205)}
    models["b"]["distance_ratio"] |= narrow  # flagged, but by less than a tenth of the floor
    assert "distance_ratio" in scores.beyond(models, "b") and not scores.copies(models, "b")
    assert scores.answer(models, COST, LABELS).startswith("**Model B comes nearest")
    models["b"]["distance_ratio"] |= {"value": 0.0}
    said = scores.answer(models, COST, LABELS)
    assert said.startswith("**Model A comes nearest") and said.count("**It copies its training windows.**") == 1
    models["a"]["distance_ratio"] |= {"value": 0.0}
    assert "comes nearest" not in scores.answer(models, COST, LABELS)


def seeded(value: float, spread: float, n: int = 4) -> dict[str, dict]:
    """A row whose seeds lie around a value, half of them on each side."""
    return row(value, seeds=tuple(value + spread * (-1) ** i for i in range(n)))


def test_seed_by_seed_pairs_the_seeds_that_both_have_and_a_negative_difference_is_the_first_model_s():
    several = made_up(a=row(0.4, seeds=(0.3, 0.4, 0.5)), b=row(0.6, seeds=(0.5, 0.6)))
    differences, found = scores.seed_by_seed(several, {"a": [7, 0, 1], "b": [1, 7]})
    unit = 0.4 - 0.2  # from the floor to the farther end of floor and reach; on the other side 0.2 − 0.1
    assert differences["c2st_auc"] == pytest.approx({7: (0.3 - 0.6) / unit, 1: (0.5 - 0.5) / unit})
    assert differences["authenticity"] == pytest.approx({7: -(0.3 - 0.6) / 0.1, 1: 0})
    assert found["c2st_auc"].n == 2 and found["c2st_auc"].difference == pytest.approx(-0.75)
    with pytest.raises(ValueError):
        scores.seed_by_seed(several, {"a": [0, 1], "b": [1, 7]})


def test_the_answer_tells_the_two_models_apart_only_where_seeds_do():
    def said(a, b, seeds=(0, 1, 2, 3)):
        models = made_up(a=a, b=b)
        return scores.answer(models, COST, LABELS, {"a": seeds, "b": seeds})

    apart = said(seeded(0.4, 0.01), seeded(0.6, -0.02) | {"coverage": seeded(0.3, -0.02)["coverage"]})
    assert "4 pairs of seeds" in apart and "C2ST AUC 0.400 and 0.600, Model A by more than seeds explain" in apart
    assert "coverage 0.400 and 0.300, Model B by more than seeds explain" in apart
    near = said(seeded(0.4, 0.1), seeded(0.41, -0.1))
    assert "by more than seeds explain" not in near and "which another seed could turn" in near
    assert "pairs of seeds" not in said(row(0.4, seeds=(0.4,)), row(0.6, seeds=(0.6,)), (0,))


def test_the_answer_says_how_many_seeds_it_rests_on():
    assert "\nTrainings: 1 of each. " in scores.answer(made_up(a=row(0.5)), COST, LABELS)
    several = made_up(a=row(0.5, seeds=(0.4, 0.5, 0.6)), b=row(0.6))
    assert "\nTrainings: 3 of Model A; 1 of each other model. " in scores.answer(several, COST, LABELS)
    assert "\nTrainings: 3 of each. " in scores.answer(made_up(a=row(0.5, seeds=(0.4, 0.5, 0.6))), COST, LABELS)
