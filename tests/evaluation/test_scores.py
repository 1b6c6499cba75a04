"""Scores stand beside floor and reach, one rule flags them, and the tables follow the numbers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from meagan_lib import InputError
from meagan_lib.evaluation import scores
from meagan_lib.evaluation.context import Context
from meagan_lib.evaluation.metrics import ALL, METRICS
from meagan_lib.evaluation.scores import REACH, Score, by_event, compare, evaluate, excess, over_seeds, score_models
from tests.fixtures import spikes

RATE = 20_000.0
TEST, TRAIN = spikes(600, seed=1), spikes(700, seed=3)
CONTEXT = Context.fit(TRAIN, RATE)
CHEAP = [name for name in METRICS if not name.startswith("c2st")]
EXAMPLE = Score(
    value=0.6,
    interval=(0.5, 0.7),
    floor=0.2,
    floor_interval=(0.1, 0.3),
    reach=0.3,
    reach_interval=(0.2, 0.4),
    ratio=2.0,
    seeds=(0.6,),
)


@pytest.fixture(scope="module")
def scored():
    models = {"shifted": spikes(300, seed=5) + 1, "seeds": [spikes(300, seed=s) for s in (6, 7, 8)]}
    return score_models(TEST, CONTEXT, models, 200, 5, names=CHEAP)


def test_scores_have_value_floor_reach_and_ratio_and_the_ratio_of_the_reach_is_1(scored):
    assert set(scored) == {REACH, "shifted", "seeds"}
    for name in CHEAP:
        shifted = scored["shifted"][name]
        assert set(shifted) == set(Score.__dataclass_fields__)
        assert shifted["interval"][0] <= shifted["value"] <= shifted["interval"][1]
        assert shifted["reach"] == scored[REACH][name]["value"]
        assert shifted["reach_interval"] == pytest.approx(scored[REACH][name]["interval"])
        assert scored[REACH][name]["ratio"] == (None if METRICS[name].bounds[0] < 0 else 1)
        if not METRICS[name].bounds[0] < 0:
            assert shifted["interval"][0] >= 0 and shifted["ratio"] == shifted["value"] / shifted["reach"]


def test_several_processes_give_the_scores_of_one(scored):
    models = {"shifted": spikes(300, seed=5) + 1, "seeds": [spikes(300, seed=s) for s in (6, 7, 8)]}
    assert score_models(TEST, CONTEXT, models, 200, 5, names=CHEAP, workers=3) == scored
    with pytest.raises(InputError, match="workers is 0: give 1 or more"):
        score_models(TEST, CONTEXT, models, workers=0)


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


@given(
    metric=st.sampled_from(sorted(ALL)), places=st.lists(st.floats(0, 1), min_size=1, max_size=5), half=st.floats(0, 3)
)
def test_an_interval_has_the_value_and_nothing_that_a_score_cannot_be(metric, places, half):
    """Student's t of a few seeds that differ reaches far: of a coverage beyond 1, of an Inception Score below 1."""
    least, most = ALL[metric].bounds
    low, high = max(least, -10.0), min(most, 10.0)
    values = [low + place * (high - low) for place in places]
    mean, (left, right) = over_seeds([(v, (v - half, v + half)) for v in values], ALL[metric])
    assert least <= left <= mean + 1e-9 and mean - 1e-9 <= right <= most


def test_another_training_set_changes_neither_value_nor_floor():
    """The reference is half of the test set: the training windows give the reach, and what is looked through."""
    names = ["coverage", "density", "precision", "recall", "sliced_wasserstein", "feature_ks", "squared_mmd"]
    one, two = (
        score_models(TEST, Context.fit(train, RATE), {"model": spikes(300, seed=5)}, 200, 2, names=names)
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
    context = Context.fit(TRAIN, RATE, labels=labels)
    two = score_models(TEST, context, {}, 200, 2, names=["inception_score"])
    assert list(context.spike_types.classes_) == [0, 1]
    assert 1.5 < two[REACH]["inception_score"]["floor"] <= 2


@pytest.mark.parametrize(
    "better, score, expected",
    [
        ("lower", EXAMPLE, (2.0, (1.5, 2.5))),  # floor 0.2, explained up to 0.4
        ("lower", replace(EXAMPLE, value=0.39, interval=(0.3, 0.5)), (0.95, (0.5, 1.5))),
        ("higher", replace(EXAMPLE, value=0.05, interval=(0.0, 0.1)), (1.5, (1.0, 2.0))),  # explained down to 0.1
        ("higher", EXAMPLE, (-4.0, (-5.0, -3.0))),
        ("near the floor", EXAMPLE, (2.0, (1.5, 2.5))),
        ("near the floor", replace(EXAMPLE, value=0.05, interval=(0.0, 0.1)), (1.5, (1.0, 2.0))),
    ],
)
def test_an_excess_is_1_where_floor_and_reach_end_on_the_bad_side(better, score, expected):
    assert excess(vars(score), better) == pytest.approx((expected[0], *expected[1]))


def row(value: float, **given) -> dict[str, dict]:
    return {name: vars(replace(EXAMPLE, value=value, interval=(value - 0.1, value + 0.1), **given)) for name in METRICS}


def lead(first: dict, second: dict, *names: str) -> dict[str, scores.Lead]:
    found = compare({"a": first, "b": second}, [("a", "b", name) for name in names])
    return {name: its for (_, _, name), its in found.items()}


def test_a_comparison_is_signed_and_its_p_is_of_the_margin_over_its_error():
    rows = lead(row(0.2), row(0.5), "c2st_auc", "authenticity", "coverage")
    p = 2 * scipy.stats.norm.sf(0.3 / (np.sqrt(2) * 0.1 / 1.96))
    assert rows["c2st_auc"][:2] == (pytest.approx(0.3), pytest.approx(p))
    assert rows["authenticity"][:2] == (pytest.approx(-0.3), pytest.approx(p))
    assert rows["coverage"][:2] == (
        pytest.approx(0.3),
        pytest.approx(2 * scipy.stats.norm.sf(0.3 / (np.sqrt(3) * 0.1 / 1.96))),
    )  # the floor is 0.2: one lies on it, so that half of its own error counts
    assert all(its.significant for its in rows.values())
    assert not lead(row(0.2), row(0.3), "c2st_auc")["c2st_auc"].significant


def test_an_interval_that_was_cut_where_no_score_can_be_gives_its_wider_half():
    cut = {name: {**score, "value": 0.98, "interval": (0.78, 1.0)} for name, score in row(0.98).items()}
    p = 2 * scipy.stats.norm.sf(0.48 / (np.hypot(0.2, 0.1) / 1.96))
    assert lead(row(0.5), cut, "c2st_auc")["c2st_auc"].p == pytest.approx(p)


def test_where_the_floor_is_the_aim_too_much_is_as_bad_as_too_little():
    rows = lead(row(0.0, floor=0.3), row(0.6, floor=0.3), "coverage", "authenticity")
    assert rows["coverage"].margin == pytest.approx(0) and not rows["coverage"].significant
    assert rows["authenticity"].margin == pytest.approx(-0.6) and rows["authenticity"].significant


def test_a_lead_is_significant_after_the_correction_for_all_that_were_asked():
    names = [name for name in METRICS if METRICS[name].better == "lower"]
    same, near = row(0.2), row(0.2)
    near["c2st_auc"] = row(0.36)["c2st_auc"]
    assert lead(same, near, "c2st_auc")["c2st_auc"].significant
    among = lead(same, near, *names)
    assert among["c2st_auc"].p < 0.05 < among["c2st_auc"].q and not among["c2st_auc"].significant
    assert [its.q for its in among.values()] == pytest.approx(
        scipy.stats.false_discovery_control([its.p for its in among.values()])
    )


def made_up(**models: dict[str, dict]) -> dict[str, dict[str, dict]]:
    """Scores in which nobody copies but where a test says so."""
    for by in models.values():
        for name, score in by.items():
            if METRICS[name].family == "memorisation":
                score["value"] = score["floor"]
    return {REACH: row(0.3)} | models


LABELS = {"a": "Model A", "b": "Model B", "c": "Model C"}


def best(*models: dict[str, dict]) -> pd.DataFrame:
    return scores.best_models(made_up(**dict(zip("abc", models))), LABELS)


def test_the_best_model_is_the_one_with_the_best_value_and_the_others_stand_behind_it():
    one, two = best(row(0.31), row(0.9)), best(row(0.9), row(0.31))
    assert scores.headline(one).startswith("Model A comes closest")
    assert scores.headline(two).startswith("Model B comes closest")
    for table, first, second in ((one, "A", "B"), (two, "B", "A")):
        trees = table.iloc[0]
        assert (trees["best"], trees["value"]) == (f"Model {first}", "0.310 (0.210 to 0.410)")
        assert trees["significantly better than"] == f"Model {second} (0.900)"
        assert (trees["floor"], trees["reach"]) == (EXAMPLE.floor, EXAMPLE.reach)
    close = best(row(0.31), row(0.35)).iloc[0]
    assert close["significantly better than"] == "none"
    assert close["not significantly better than"] == "Model B (0.350)"
    assert best(row(0.31), row(0.35)).attrs["comparisons"] == len(scores.QUESTIONS) == 8
    assert best(row(0.31)).attrs["comparisons"] == 0


def test_the_headline_quotes_both_classifiers():
    one, two = row(0.31), row(0.9)
    assert scores.headline(best(one, two)).endswith("no model has seen, by both classifiers.")
    one["c2st_cnn_auc"], two["c2st_cnn_auc"] = two["c2st_cnn_auc"], one["c2st_cnn_auc"]
    assert scores.headline(best(one, two)).startswith("Model A comes closest")
    assert scores.headline(best(one, two)).endswith("by the trees; by the CNN, Model B.")


def test_a_model_that_copies_is_named_and_not_ranked():
    models = made_up(a=row(0.5), b=row(0.31))
    models["b"]["c_t"] |= {"value": -9.0}  # too little noise does that as well
    assert scores.headline(scores.best_models(models, LABELS)).startswith("Model B comes closest")
    narrow = {"value": 0.185, "floor_interval": (0.195, 0.205), "reach_interval": (0.195, 0.205)}
    models["b"]["distance_ratio"] |= narrow  # flagged, but by less than a tenth of the floor
    assert "distance_ratio" in scores.beyond(models, "b") and not scores.copies(models, "b")
    assert scores.headline(scores.best_models(models, LABELS)).startswith("Model B comes closest")
    models["b"]["distance_ratio"] |= {"value": 0.0}
    assert scores.headline(scores.best_models(models, LABELS)).startswith("Model A comes closest")
    assert [scores.copies(models, model) for model in "ab"] == [False, True]
    models["a"]["distance_ratio"] |= {"value": 0.0}
    assert "comes closest" not in scores.headline(scores.best_models(models, LABELS))


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


def test_two_models_differ_significantly_only_where_seeds_do():
    def pairs(a, b, n=4):
        return scores.seed_by_seed(made_up(a=a, b=b), dict.fromkeys("ab", range(n)))[1]

    apart = pairs(seeded(0.4, 0.01), seeded(0.6, -0.02) | {"coverage": seeded(0.3, -0.02)["coverage"]})
    assert apart["c2st_auc"].q < 0.05 and apart["c2st_auc"].difference < 0 < apart["coverage"].difference
    assert apart["coverage"].q < 0.05 and "q = 0.001" in str(apart["c2st_auc"])
    assert str(apart["c2st_auc"]).startswith("g = −") and np.isnan(apart["inception_score"].q)
    assert not pairs(seeded(0.4, 0.1), seeded(0.41, -0.1))["c2st_auc"].q < 0.05
    alone = pairs(row(0.4, seeds=(0.4,)), row(0.6, seeds=(0.6,)), 1)["c2st_auc"]
    assert np.isnan([alone.p, alone.q]).all() and str(alone) == ""


def twins(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Spikes that are each seen by two electrodes: windows (2 n, samples), alike in pairs, and their events."""
    first = spikes(n, seed=seed)
    noise = 0.05 * np.random.default_rng(seed).standard_normal(first.shape)
    return np.concatenate([first, first + noise]).astype(np.float32), np.tile(np.arange(n), 2)


@pytest.mark.parametrize("name", ["c2st_auc", "c2st_cnn_auc"])
def test_windows_of_one_spike_are_on_one_side_of_a_fold(name):
    """Twins on both sides are recognised: two halves of one distribution seem to differ, until folds go by event."""
    (a, of_a), (b, of_b) = twins(150, 1), twins(150, 2)
    events = (of_a, of_a.max() + 1 + of_b)
    apart, together = (evaluate(METRICS[name], a, b, CONTEXT, 5, given)[0] for given in (None, events))
    assert together < apart - 0.03 and abs(together - 0.5) < 0.09


def test_events_are_halved_whole_and_drawn_whole():
    events = np.repeat(np.arange(40), 3)
    a, b = np.array_split(by_event(events, np.random.default_rng(0)), 2)
    assert len(a) == len(b) == 60 and not set(events[a]) & set(events[b])
    drawn = scores._drawn(events, np.random.default_rng(0))
    assert len(drawn) == 120 and (np.bincount(events[drawn], minlength=40) % 3 == 0).all()
    alone = scores._drawn(np.arange(50), np.random.default_rng(0))
    np.testing.assert_array_equal(alone, np.random.default_rng(0).integers(50, size=50))


def test_windows_of_one_spike_widen_an_interval():
    (a, of_a), (b, of_b) = twins(150, 1), twins(150, 2)
    for name in ("amplitude_ks", "density"):
        narrow, wide = (
            float(np.ptp(evaluate(METRICS[name], a, b, CONTEXT, 100, given)[1])) for given in (None, (of_a, of_b))
        )
        assert wide > 1.15 * narrow, name


def test_neither_half_of_the_test_windows_nor_of_the_reach_splits_an_event(monkeypatch):
    test, of_test = twins(200, 1)
    train, of_train = twins(200, 3)
    seen = []
    monkeypatch.setattr(scores, "evaluate", lambda *given: (seen.append(given), (0.5, (0.4, 0.6)))[1])
    events = {"test": of_test, "train": of_train}
    score_models(test, Context.fit(train, RATE), {"model": spikes(200, seed=5)}, 200, 2, ["c2st_auc"], events)
    floor, reach, model = (given[-1] for given in seen)
    assert not set(floor[0]) & set(floor[1]) and not set(reach[0]) & set(reach[1])
    assert all(len(np.unique(each)) == 100 for each in (*floor, reach[1])) and len(np.unique(model[1])) == 200


def test_a_difference_is_found_where_there_is_one_and_its_interval_holds_0_where_there_is_none():
    metric, rows = METRICS["c2st_auc"], np.arange(300)
    real, fakes = spikes(300, seed=20), (spikes(300, seed=21) * 1.5, spikes(300, seed=22), spikes(300, seed=23))
    worse, good, alike = (scores.prepared(metric, real, its, CONTEXT, (rows, 300 + rows)) for its in fakes)
    value, (low, high), p = scores.difference(metric, (worse, good), (rows, rows, rows), 0, 20)
    assert value == worse(rows, rows) - good(rows, rows) and 0 < low < value < high and p < 0.05
    value, (low, high), p = scores.difference(metric, (good, alike), (rows, rows, rows), 0, 20)
    assert low < 0 < high and p > 0.05
    assert scores.difference(metric, (good, good), (rows, rows, rows), 0, 20)[0] == 0
    wide, narrow = (
        scores.difference(metric._replace(refitted=refitted), (worse, good), (rows, rows, rows), 0, 20)[1]
        for refitted in (lambda _: 3.0, None)
    )  # fitting anew adds three times the variance
    assert np.ptp(wide) == pytest.approx(2 * np.ptp(narrow))
