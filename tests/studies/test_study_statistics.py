"""Effects are found where they are and as often as promised where they are not; one culture is one sample."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from meagan_lib.network.treatment import FEATURES
from meagan_lib.studies import measures, statistics
from meagan_lib.studies.findings import Findings
from meagan_lib.studies.measures import measure
from meagan_lib.studies.simulation import drawn_table
from meagan_lib.studies.statistics import MIXED, NO_SPREAD, NOT_TESTED, ON_CULTURES, by_recordings, development, effects
from tests.network.test_spike_trains import trains_of


def drawn(seed: int, **options) -> pd.DataFrame:
    return drawn_table(np.random.default_rng(seed), conditions=2, **options)


def of_cultures(table: pd.DataFrame, value) -> list[pd.Series]:
    """One number a culture, by ``value``, for each condition."""
    numbers = table.groupby(["condition", "culture"])[["day", "y"]].apply(value)
    return [numbers.loc[condition] for condition in table["condition"].unique()]


@pytest.mark.parametrize("seed, spread, how", [(0, 2.0, MIXED), (1, 2.0, MIXED), (0, 0.0, ON_CULTURES)])
def test_of_a_balanced_study_the_test_is_that_of_one_number_for_each_culture(seed, spread, how):
    table = drawn(seed, of_culture=spread)
    (found,) = effects(table, ["y"], "condition 0").itertuples()
    test = scipy.stats.ttest_ind(*of_cultures(table, lambda own: own["y"].mean())[::-1])
    assert found.how == how
    assert (found.p, found.low, found.high) == pytest.approx((test.pvalue, *test.confidence_interval()), rel=1e-3)


@pytest.mark.parametrize("seed", range(6))
def test_of_cultures_recorded_once_the_test_is_students(seed):
    """What cultures and what recordings vary by is then one: a mixed model has standard errors far too small."""
    table = drawn(seed, of_culture=1.0, days=(14,))
    (found,) = effects(table, ["y"], "condition 0").itertuples()
    test = scipy.stats.ttest_ind(*[own["y"] for _, own in table.groupby("condition")][::-1])
    assert (found.how, found.p) == (ON_CULTURES, pytest.approx(test.pvalue, rel=1e-6))


def test_slopes_are_compared_between_cultures():
    table = drawn(3, of_culture=1.0, of_slope=3.0)
    own, other = development(table, ["y"], "condition 0").itertuples()
    slopes = of_cultures(table, lambda own: np.polyfit(own["day"], own["y"], 1)[0])
    test = scipy.stats.ttest_ind(*slopes[::-1])
    assert own.estimate == pytest.approx(slopes[0].mean(), rel=1e-3)
    assert (other.estimate, other.p) == pytest.approx((slopes[1].mean() - slopes[0].mean(), test.pvalue), rel=1e-2)


def test_where_every_culture_has_all_conditions_it_is_compared_with_itself():
    table = drawn(4, of_culture=3.0, days=(14,))
    table["culture"] = [f"culture {i % 4}" for i in range(len(table))]
    (found,) = effects(table, ["y"], "condition 0").itertuples()
    test = scipy.stats.ttest_rel(*[own["y"] for _, own in table.groupby("condition")][::-1])
    assert (found.df, found.p) == (3, pytest.approx(test.pvalue, rel=1e-3))


def test_a_planted_effect_is_found_and_none_where_nothing_is_planted():
    rng = np.random.default_rng(5)
    table = drawn_table(rng, effect=6.0).rename(columns={"y": "planted"})
    table = table.assign(nothing=drawn_table(rng)["y"])
    found = effects(table, ["planted", "nothing"], "condition 0").set_index(["measure", "condition"])
    assert found.loc[("planted", "condition 1"), "q"] < 0.05
    assert found.loc[("planted", "condition 1"), ["low", "high"]].between(3, 9).all()
    assert found["q"].gt(0.05).sum() == 3
    np.testing.assert_allclose(found["q"], scipy.stats.false_discovery_control(found["p"]))


def test_counting_recordings_finds_what_is_not_there_and_counting_cultures_does_not():
    tables = [drawn(seed, of_culture=2.0) for seed in range(80)]
    naive = np.mean([by_recordings(table, "y", "condition 0", "condition 1") < 0.05 for table in tables])
    honest = [effects(table, ["y"], "condition 0")["p"].iloc[0] < 0.05 for table in tables[:12]]
    assert naive > 0.15 and np.sum(honest) <= 3  # of 12: more has a probability of 0.002 at 5 %


def test_what_a_measure_is_counted_in_changes_no_test():
    table = drawn(6)
    p = [effects(table.assign(y=a + b * table["y"]), ["y"], "condition 0")["p"].iloc[0] for a, b in ((0, 1), (5, 1e-7))]
    assert p[0] == pytest.approx(p[1], rel=1e-3)


def test_what_cannot_be_tested_is_told_in_words_and_warns_of_nothing():
    table = drawn(7, of_culture=0.0)
    table = table.assign(alike=(table["condition"] == "condition 1").astype(float), gone=np.nan, constant=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = effects(table, ["y", "alike", "gone", "constant"], "condition 0").set_index("measure")
        single = effects(table[table["culture"].isin(["0-0", "1-0"])], ["y"], "condition 0")
        none = development(table[table["day"] == 14], ["y"], "condition 0")
    assert found["how"].to_dict() == {"y": ON_CULTURES, "alike": NO_SPREAD}
    assert np.isnan(found.loc["alike", "p"]) and found.loc["y", "q"] == found.loc["y", "p"]
    assert single["how"].tolist() == [NOT_TESTED] and single["p"].isna().all() and none.empty


def test_rescues_of_several_treatments_have_q_values_of_all_of_them():
    rng, rows = np.random.default_rng(0), []
    for condition, mean in {"control": 0.0, "sick": 2.0, "half": 1.0, "vain": 2.0, "whole": 0.0}.items():
        for i in range(5):
            numbers = dict(zip(FEATURES, mean + rng.standard_normal(len(FEATURES))))
            known = {"culture": f"{condition} {i}", "condition": condition, "day": 14.0, "electrodes": 9}
            rows.append(known | numbers)
    found = Findings(pd.DataFrame(rows), pd.DataFrame(), "control", "sick").rescue(199, 0)
    assert list(found.index) == ["half", "vain", "whole"] and found.loc["whole", "fraction"] > 0.5
    np.testing.assert_allclose(found["q"], scipy.stats.false_discovery_control(found["p"]))
    assert (found["q"] > found["p"]).any()


def test_an_echo_counts_in_no_measure_of_a_study(monkeypatch):
    """Of two electrodes that hear one cell both would fire, together; a third hears nothing of it."""
    monkeypatch.setattr(measures, "functional_connectivity", lambda trains, *_: SimpleNamespace(adjacency=np.eye(2)))
    rng = np.random.default_rng(0)
    own, other = (np.sort(rng.choice(1_200_000, 200, replace=False)) for _ in range(2))
    heard = trains_of(
        own,
        own + 3,
        other,
        n_frames=1_200_000,
        positions_um=np.array([[0, 0], [42, 0], [400, 0]], np.float32),
        amplitude=-np.repeat([9.0, 5.0, 9.0], 200),
    )
    found = measure(heard, {"n_surrogates": 1})
    assert found["electrodes"] == 2 and found["synchrony"] < 0.2
    assert measure(heard, {"n_surrogates": 1, "echo_um": 0.0})["electrodes"] == 3


def test_how_often_a_fit_is_singular_is_counted():
    found = statistics.false_positives(lambda rng: drawn_table(rng, of_culture=0.0), 4)
    assert found["singular"] > 0.5 and list(found)[:3] == ["recordings counted", "cultures, normal", "cultures, t"]
