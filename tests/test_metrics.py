"""Metrics agree with independent references, and each one sees the failure that it is there for."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from conftest import spikes
from prdc import compute_prdc

from meagan_lib import metrics
from meagan_lib.metrics import METRICS, Context, Score, comparison, score_models, shape_features

RATE = 20_000.0
REAL, OTHER, TRAIN = spikes(600, seed=1), spikes(600, seed=2), spikes(1000, seed=3)
CONTEXT = Context.fit(TRAIN, RATE)
EVERY = np.arange(600)


def value(name: str, fake: np.ndarray, real: np.ndarray = REAL) -> float:
    return METRICS[name].prepare(real, fake, CONTEXT)(np.arange(len(real)), np.arange(len(fake)))


def test_coverage_and_density_agree_with_prdc():
    fake = OTHER * 1.1
    reference = compute_prdc(REAL, fake, nearest_k=metrics.NEIGHBOURS)
    assert value("coverage", fake) == pytest.approx(reference["coverage"], abs=2e-3)
    assert value("density", fake) == pytest.approx(reference["density"], rel=1e-3)


def test_frechet_distance_agrees_with_scipy_sqrtm():
    a, b = CONTEXT.pca.transform(REAL), CONTEXT.pca.transform(OTHER * 1.2)
    shift, c_a, c_b = a.mean(0) - b.mean(0), np.cov(a.T), np.cov(b.T)
    reference = shift @ shift + np.trace(c_a + c_b - 2 * scipy.linalg.sqrtm(c_a @ c_b).real)
    assert value("frechet_distance", OTHER * 1.2) == pytest.approx(reference, rel=1e-6)


def test_amplitude_ks_agrees_with_scipy():
    reference = scipy.stats.ks_2samp(np.ptp(REAL, axis=1), np.ptp(OTHER * 1.1, axis=1)).statistic
    assert value("amplitude_ks", OTHER * 1.1) == pytest.approx(reference)


def test_sliced_wasserstein_of_a_shift_is_the_shift():
    shifted = REAL + 0.5
    directions = np.random.default_rng(CONTEXT.seed).standard_normal((32, 128))
    directions /= np.linalg.norm(directions, axis=0)
    expected = np.sqrt(np.mean((0.5 * directions.sum(axis=0)) ** 2))
    assert value("sliced_wasserstein", shifted) == pytest.approx(expected, rel=1e-4)


def test_log_spectral_distance_of_a_gain_is_its_logarithm():
    assert value("log_spectral_distance", 2 * REAL) == pytest.approx(np.log(4), rel=1e-5)


def test_c2st_is_a_coin_toss_for_the_same_distribution_and_sure_for_another():
    assert 0.4 < value("c2st_auc", OTHER) < 0.6
    assert value("c2st_auc", OTHER + 2) > 0.99


def smoothed(x):
    return (x + np.roll(x, 1, 1) + np.roll(x, -1, 1)) / 3


def gaussian(x):
    return np.random.default_rng(0).multivariate_normal(x.mean(0), np.cov(x.T), len(x)).astype(np.float32)


FAILURES = {
    "amplitude too large": (lambda x: 1.2 * x, {"amplitude_ks", "sliced_wasserstein", "frechet_distance", "c2st_auc"}),
    "low-passed": (smoothed, {"log_spectral_distance", "c2st_auc", "amplitude_ks"}),
    "one shape dropped": (
        lambda x: np.repeat(x[x.min(1) < np.median(x.min(1))], 2, 0)[: len(x)], {"coverage", "sliced_wasserstein"},
    ),
    "collapsed to the mean": (
        lambda x: np.repeat(x.mean(0)[None], len(x), 0), {"coverage", "density", "c2st_auc", "amplitude_ks"},
    ),
    "a Gaussian": (gaussian, {"c2st_auc", "coverage"}),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_each_planted_failure_is_flagged(failure):
    plant, flags = FAILURES[failure]
    for name in flags:
        floor, spoilt = value(name, OTHER), value(name, plant(OTHER))
        worse = floor - spoilt if METRICS[name].higher_is_better else spoilt - floor
        assert worse > 0.05, f"{name}: floor {floor:.3f}, planted {spoilt:.3f}"


def test_every_metric_flags_some_failure():
    assert set().union(*(flags for _, flags in FAILURES.values())) == set(METRICS)


def test_a_gaussian_passes_the_frechet_distance():
    assert value("frechet_distance", gaussian(OTHER)) < 2 * value("frechet_distance", OTHER) + 0.1


def test_shape_features_of_a_known_spike():
    window = np.zeros((1, 64), np.float32)
    window[0, 30:35] = [-2, -6, -10, -6, -2]
    window[0, 45] = 4
    features = {name: v[0] for name, v in shape_features(window, RATE).items()}
    assert features["trough"] == -10 and features["peak_to_peak"] == 14
    assert features["trough_to_peak_ms"] == pytest.approx(13 / 20)
    assert features["half_width_ms"] == pytest.approx(3 / 20)  # -6, -10, -6 lie below -5
    assert features["fall"] == pytest.approx(-80) and features["rise"] == pytest.approx(80)


def test_scores_have_value_floor_reach_and_ratio_and_the_reach_is_1():
    scores = score_models(np.concatenate([REAL, OTHER]), TRAIN, {"shifted": TRAIN[:600] + 1}, RATE, 300, 5)
    assert set(scores) == {"reach", "shifted"}
    for metric in METRICS:
        assert scores["reach"][metric]["ratio"] == 1
        assert set(scores["shifted"][metric]) == set(Score.__dataclass_fields__)
        low, high = scores["shifted"][metric]["interval"]
        assert low <= scores["shifted"][metric]["value"] <= high


def test_the_training_set_is_never_the_reference():
    """Copies of the training windows must not score better than other windows of the same distribution."""
    test = np.concatenate([REAL, OTHER])
    scores = score_models(test, TRAIN, {"copies": TRAIN, "fresh": spikes(1000, seed=9)}, RATE, 600, 5)
    for metric in ("coverage", "density"):
        assert abs(scores["copies"][metric]["value"] - scores["fresh"][metric]["value"]) < 0.1


def test_a_comparison_is_signed_and_knows_when_it_is_sure():
    def row(v):
        return {m: {"value": v, "interval": (v - 0.1, v + 0.1)} for m in METRICS}

    rows = comparison({"a": row(0.2), "b": row(0.5)}, "a", "b")
    assert rows["c2st_auc"] == (pytest.approx(0.3), True)
    assert rows["coverage"] == (pytest.approx(-0.3), True)
    assert comparison({"a": row(0.2), "b": row(0.3)}, "a", "b")["c2st_auc"][1] is False


def test_the_spectral_floor_holds_19_of_20_halvings():
    rng = np.random.default_rng(0)
    windows = rng.standard_normal((400, 32)) * rng.gamma(3, size=(400, 1))
    floor, power = metrics.spectral_floor(windows), metrics.power_spectra(windows)
    inside = []
    for _ in range(300):
        order = rng.permutation(400)
        a, b = power[order[:200]].mean(axis=0), power[order[200:]].mean(axis=0)
        inside.append(np.abs(np.log(a / b)) < floor)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_copies_lie_nearer_to_the_training_windows_and_new_windows_do_not():
    to_test = metrics.distance_to_train(REAL, TRAIN)
    assert to_test[7] == pytest.approx(np.linalg.norm(TRAIN - REAL[7], axis=1).min(), rel=1e-4)
    noise = 0.01 * np.random.default_rng(0).standard_normal((600, 32)).astype(np.float32)
    copied, error = metrics.nearer_to_train(metrics.distance_to_train(TRAIN[:600] + noise, TRAIN), to_test)
    assert copied > 0.99
    new, error = metrics.nearer_to_train(metrics.distance_to_train(OTHER, TRAIN), to_test)
    assert abs(new - 0.5) < 3 * error < 0.06


def test_a_linear_probe_tells_what_is_linear_and_no_more():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((900, 5)), rng.integers(3, size=900)
    x[:, 0] += 6 * y
    assert metrics.linear_probe(x[:600], y[:600], x[600:], y[600:]) > 0.95
    assert metrics.linear_probe(x[:600, 1:], y[:600], x[600:, 1:], y[600:]) < 0.45
    y[:2] = 7  # a label that the test side lacks
    assert metrics.linear_probe(x[:600], y[:600], x[600:], y[600:]) > 0.95
