"""A planted rescue is found, a treatment in vain is not, and p-values mean what they say."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from meagan_lib import InputError
from meagan_lib.network.treatment import (
    FEATURES,
    compare_recordings,
    culture_features,
    difference,
    distance,
    drift,
    feature_table,
    plane,
    rescue,
    simulated_cultures,
    standardised,
)
from meagan_lib.recordings.simulation import SimulationConfig
from tests.network.test_spike_trains import trains_of

HEALTHY = SimulationConfig(n_units=24, duration_s=60.0)
SICK = replace(HEALTHY, burst_every_s=8.0, participation=0.5)
HALF = replace(HEALTHY, burst_every_s=6.0, participation=0.75)


def clouds(*means: float, n: int = 8, seed: int = 0) -> list[np.ndarray]:
    """Cultures (n, 5), each feature around one of the means."""
    rng = np.random.default_rng(seed)
    return [m + rng.standard_normal((n, 5)) for m in means]


@pytest.fixture(scope="module")
def cultures() -> dict[str, np.ndarray]:
    """Features of eight cultures of each condition."""
    configs = {"healthy": HEALTHY, "sick": SICK, "half": HALF, "vain": SICK}
    return {
        name: feature_table(simulated_cultures(config, 8, 10 + i), 50.0)
        for i, (name, config) in enumerate(configs.items())
    }


def test_the_planted_pathology_is_seen_where_it_was_planted(cultures):
    healthy, sick = (dict(zip(FEATURES, cultures[name].mean(axis=0))) for name in ("healthy", "sick"))
    for feature in ("network_rate", "network_index", "synchrony", "burst_index"):
        assert healthy[feature] > 1.5 * sick[feature]
    found = difference(cultures["healthy"], cultures["sick"], 199)
    assert found.p == 1 / 200 and found.value > 1.5 * np.quantile(found.null, 0.95)


def test_a_planted_partial_rescue_is_found_and_a_planted_null_is_not(cultures):
    healthy, sick = cultures["healthy"], cultures["sick"]
    half, vain = (rescue(healthy, sick, cultures[name], 199) for name in ("half", "vain"))
    assert half.p <= 0.01 and 0.25 < half.fraction < 0.75 and half.interval[0] > 0
    assert vain.p > 0.05 and abs(vain.fraction) < 0.25 and vain.interval[0] < 0.1


@pytest.mark.parametrize("planted", [0.0, 0.5, 1.0])
def test_the_fraction_of_the_way_is_the_planted_one(planted):
    healthy, sick, treated = clouds(4.0, 0.0, 4 * planted, n=40)
    found = rescue(healthy, sick, treated, 99)
    assert found.fraction == pytest.approx(planted, abs=0.1)
    assert found.interval[0] < planted < found.interval[1] and found.aside < 0.2


def test_p_values_of_nothing_are_even():
    drawn = [clouds(2, 0, 0, seed=k) for k in range(150)]
    result = [(rescue(h, s, t, 39).p, difference(s, t, 39).p) for h, s, t in drawn]
    for p in np.array(result).T:
        assert 0.02 <= (p <= 0.1).mean() <= 0.19 and 0.4 < p.mean() < 0.6


def test_a_distance_counts_in_standard_deviations_and_does_not_see_scale_or_order():
    a, b = clouds(0.0, 3.0, n=30)
    value = difference(a, b, 19).value
    scaled = difference(1000 * a[::-1] + 5, 1000 * b + 5, 19).value
    assert scaled == pytest.approx(value) and 1.5 < value < 2  # two clouds at ± 1 standard deviation of all rows
    assert distance(a, a) == 0 and standardised(np.ones((3, 2)), np.ones((4, 2)))[0].tolist() == [[0, 0]] * 3


def test_a_slow_drift_is_more_than_the_difference_that_it_makes():
    rng = np.random.default_rng(0)
    slope = np.linspace(0, 4, 40)[:, None] + 0.3 * rng.standard_normal((40, 5))
    steady = rng.standard_normal((40, 5))
    assert drift(slope[:20], slope[20:]) > 1.5 * drift(steady[:20], steady[20:])
    up_and_down = np.concatenate([slope[::2], slope[::-2]])
    assert drift(up_and_down[:20], up_and_down[20:]) > 3 * difference(up_and_down[:20], up_and_down[20:], 9).value


def test_features_of_a_culture_do_not_depend_on_the_order_of_its_electrodes():
    culture = simulated_cultures(HEALTHY, 1)[0]
    order = np.random.default_rng(0).permutation(24)
    np.testing.assert_allclose(culture_features(culture.select(order), 50.0), culture_features(culture, 50.0))
    assert len(culture_features(culture, 50.0)) == len(FEATURES)


def test_no_two_cultures_are_alike_and_the_same_seed_gives_the_same():
    one, two = simulated_cultures(SICK, 2, seed=3), simulated_cultures(SICK, 2, seed=3)
    assert all((a.frame == b.frame).all() for a, b in zip(one, two))
    assert len(one[0].frame) != len(one[1].frame)


def test_in_the_plane_the_sick_lie_at_0_and_the_healthy_at_1():
    healthy, sick, half = clouds(4.0, 0.0, 2.0, n=20)
    found = plane(healthy, sick, {"half": half})
    assert list(found) == ["healthy", "pathological", "half"]
    across = [points[:, 0].mean() for points in found.values()]
    assert across == pytest.approx([1, 0, 0.5], abs=0.1)


@pytest.mark.parametrize("frames", [[[]], [[1, 2, 3, 4]], [[1, 2, 3], [4, 5, 6]]])
def test_a_silent_culture_is_told(frames):
    with pytest.raises(InputError, match="fewer than two electrodes are active"):
        culture_features(trains_of(*frames), 50.0)


def few(apart: float, share: float, seed: int) -> list[np.ndarray]:
    """Eight cultures (8, 7) of each condition; the healthy are ``apart``, the treated went a share of the way."""
    rng = np.random.default_rng([seed, int(100 * share)])
    return [mean + rng.standard_normal((8, 7)) for mean in (apart, 0.0, apart * share)]


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_rescued_fraction_has_no_bias_and_its_interval_holds_the_truth(share):
    """No effect, a weak one and a strong one."""
    found = [rescue(*few(1.5, share, seed), 1) for seed in range(400)]
    fraction = np.array([f.fraction for f in found])
    assert np.isfinite(fraction).mean() > 0.95 and np.nanmean(fraction) == pytest.approx(share, abs=0.03)
    held = np.mean([f.interval[0] <= share <= f.interval[1] for f in found])
    assert 0.92 <= held <= 0.98


def test_where_the_healthy_do_not_differ_there_is_no_fraction():
    found = [rescue(*few(0.0, 0.0, seed), 9) for seed in range(60)]
    assert np.mean([np.isnan(f.fraction) for f in found]) > 0.9
    lost = next(f for f in found if np.isnan(f.fraction))
    assert lost.interval == (-np.inf, np.inf) and np.isfinite(lost.null).all() and 0 < lost.p <= 1


def test_two_cultures_are_too_few_for_an_interval():
    healthy, sick, treated = few(1.5, 0.5, 0)
    with pytest.raises(InputError, match="fewer than three cultures"):
        rescue(healthy, sick, treated[:2])


def test_conditions_of_one_culture_are_compared_part_by_part():
    rested, driven = (simulated_cultures(config, 1)[0] for config in (HEALTHY, SICK))
    recorded = {"left": {"a": rested, "b": driven, "c": rested}, "right": {"a": rested, "b": rested}}
    table, null = compare_recordings(recorded, 10.0, 50.0, n_permutations=19)
    assert table["pair"].tolist() == ["a – b", "a – c", "b – c", "a – b"]
    assert table["part"].tolist() == ["left"] * 3 + ["right"] and null.shape == (4, 19)
    apart = table["distance"]
    assert apart[0] == apart[2] > apart[1] == apart[3] == 0
    np.testing.assert_allclose(table["q"], scipy.stats.false_discovery_control(table["p"]))
