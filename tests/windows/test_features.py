"""What is measured on windows agrees with its definition."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from meagan_lib.windows import features
from tests.fixtures import spikes

RATE = 20_000.0


def test_shape_features_of_a_known_spike():
    window = np.zeros((1, 64), np.float32)
    window[0, 30:35] = [-2, -6, -10, -6, -2]
    window[0, 45] = 4
    found = {name: v[0] for name, v in features.shape_features(window, RATE).items()}
    assert found["trough"] == -10 and found["peak_to_peak"] == 14
    assert found["trough_to_peak_ms"] == pytest.approx(13 / 20)
    assert found["half_width_ms"] == pytest.approx(3 / 20)  # -6, -10, -6 lie below -5
    assert found["fall"] == pytest.approx(-80) and found["rise"] == pytest.approx(80)


def test_the_spectral_floor_holds_19_of_20_halvings():
    rng = np.random.default_rng(0)
    windows = rng.standard_normal((400, 32)) * rng.gamma(3, size=(400, 1))
    floor, power = features.spectral_floor(windows), features.power_spectra(windows)
    inside = []
    for _ in range(300):
        order = rng.permutation(400)
        a, b = power[order[:200]].mean(axis=0), power[order[200:]].mean(axis=0)
        inside.append(np.abs(np.log(a / b)) < floor)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


@settings(max_examples=20, deadline=None)
@given(samples=st.integers(2, 40), seed=st.integers(0, 1000))
def test_autocorrelations_agree_with_numpy(samples, seed):
    windows = np.random.default_rng(seed).standard_normal((3, samples))
    expected = [np.correlate(window, window, "full")[samples - 1 :] for window in windows]
    np.testing.assert_allclose(features.autocorrelations(windows), expected, atol=1e-9)


def test_a_map_of_neighbours_keeps_them_together_and_is_the_same_to_the_bit():
    pca = PCA(5).fit(spikes(200))
    sources = {"real": spikes(100, seed=1), "far": spikes(300, seed=2) + 5}
    one, two = (features.neighbour_map(sources, pca, n=80) for _ in range(2))
    assert {source: places.shape for source, places in one.items()} == {"real": (40, 2), "far": (40, 2)}
    for source in sources:
        np.testing.assert_array_equal(one[source], two[source])
    between = np.linalg.norm(one["real"].mean(axis=0) - one["far"].mean(axis=0))
    assert between > max(places.std(axis=0).max() for places in one.values())


def test_the_classifier_sees_positions_of_extrema_and_moments():
    windows = spikes(60, 32)
    found = features.extrema_and_moments(windows)
    expected = [
        (w.argmin(), w.argmax(), w.max(), w.mean(), w.std(), scipy.stats.skew(w), scipy.stats.kurtosis(w))
        for w in windows
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    seen = features.classifier_features(windows, RATE)
    assert all((np.abs(seen - column[:, None]) < 1e-5).all(axis=0).any() for column in found.astype(np.float32).T)
    assert np.isfinite(features.classifier_features(np.zeros((3, 32), np.float32), RATE)).all()
