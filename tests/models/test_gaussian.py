"""The Gaussian, and the map between two."""

import numpy as np
import pytest

from meagan_lib.models.gaussian import Gaussian, gaussian_transport, without_farthest


def test_the_map_between_gaussians_moves_one_to_the_other_and_nothing_more_than_it_must():
    rng = np.random.default_rng(0)
    source = rng.standard_normal((5000, 6)) @ rng.standard_normal((6, 6)) + 1
    target = rng.standard_normal((4000, 6)) @ rng.standard_normal((6, 6)) - 1
    a, b = gaussian_transport(source, target)
    moved = source @ a.T + b
    np.testing.assert_allclose(moved.mean(0), target.mean(0), atol=1e-9)
    np.testing.assert_allclose(np.cov(moved.T), np.cov(target.T), atol=1e-6)
    np.testing.assert_allclose(a, a.T)  # the gradient of a convex function: the map of least displacement
    assert np.linalg.eigvalsh(a).min() > 0
    a, b = gaussian_transport(source, source)
    np.testing.assert_allclose(a, np.eye(6), atol=1e-6)
    np.testing.assert_allclose(b, 0, atol=1e-6)


def test_the_farthest_windows_are_left_out():
    windows = np.r_[np.random.default_rng(0).standard_normal((99, 4)), np.full((1, 4), 50.0)]
    np.testing.assert_array_equal(without_farthest(windows, 0.01), windows[:99])
    np.testing.assert_array_equal(without_farthest(windows, 0.0), windows)


def test_the_gaussian_has_the_mean_and_covariance_of_its_windows():
    rng = np.random.default_rng(0)
    windows = rng.standard_normal((5000, 6)) @ rng.standard_normal((6, 6)) + 3
    drawn = Gaussian(windows).sample(50_000)
    np.testing.assert_allclose(drawn.mean(0), windows.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(windows.T), atol=0.35)
    np.testing.assert_array_equal(Gaussian(windows).sample(5, seed=1), Gaussian(windows).sample(5, seed=1))


def test_fewer_latent_numbers_keep_the_strongest_axes():
    windows = np.random.default_rng(0).standard_normal((300, 6)) * np.array([5, 1, 1, 4, 1, 1])
    w = Gaussian(windows).colouring(2)
    assert w.shape == (6, 2)
    assert np.linalg.norm(w, axis=0) ** 2 == pytest.approx(np.linalg.eigvalsh(Gaussian(windows).covariance)[-2:][::-1])
