"""Baselines are what their names say."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from meagan_lib.models.baselines import Bootstrap, MixtureOfGaussians, PCAGaussian
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gaussian import Gaussian
from tests.models.test_contract import DATA, REAL


def test_without_a_filter_a_pca_gaussian_is_probabilistic_pca():
    rng = np.random.default_rng(0)
    windows = (rng.standard_normal((3000, 8)) @ rng.standard_normal((8, 8))).astype(np.float32)
    reference = PCA(3).fit(windows.astype(np.float64)).get_covariance()
    drawn = PCAGaussian(TrainingData(windows), n_components=3).sample(100_000)
    np.testing.assert_allclose(np.cov(drawn.T), reference, atol=0.03 * np.trace(reference) / 8)


def test_the_rest_of_a_pca_gaussian_has_its_variance_and_stays_off_the_axes():
    model = PCAGaussian(DATA, n_components=4)
    drawn = model.sample(100_000) - model.mean
    along = drawn @ model.axes
    np.testing.assert_allclose(np.cov(along.T), np.diag(model.deviations**2), atol=0.02 * model.deviations[0] ** 2)
    rest = drawn - along @ model.axes.T
    assert (rest**2).sum(1).mean() == pytest.approx(np.trace(np.cov(REAL.T)) - (model.deviations**2).sum(), rel=0.02)


def test_the_criterion_finds_the_parts_of_a_mixture():
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0, 0], [8, 0, 0], [0, 8, 0], [8, 8, 0]])
    windows = centres[rng.integers(4, size=2000)] + rng.standard_normal((2000, 3)) * [1, 1, 0.1]
    model = MixtureOfGaussians(TrainingData(windows.astype(np.float32)), n_components=2)
    assert len(model.weights) == 4 and model.bic[:, 0].tolist() == [1, 2, 4, 8]
    assert model.bic[:, 1].argmin() == 2
    drawn = model.sample(20_000)
    nearest = np.linalg.norm(drawn[:, None] - centres, axis=2)
    assert np.bincount(nearest.argmin(1)) / 20_000 == pytest.approx([0.25] * 4, abs=0.03)
    assert (nearest.min(1) < 4).mean() > 0.99
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(windows.T), atol=0.6)
    along = (windows.astype(np.float32) - model.mean) @ (model.colouring[:, :2] / (model.colouring[:, :2] ** 2).sum(0))
    reference = GaussianMixture(4, random_state=0, init_params="k-means++", max_iter=200).fit(along)
    assert model.bic[2, 1] == pytest.approx(reference.bic(along) / 2000, rel=1e-6)


def test_one_part_along_all_axes_is_the_gaussian():
    rng = np.random.default_rng(1)
    windows = (rng.standard_normal((4000, 5)) @ rng.standard_normal((5, 5))).astype(np.float32)
    one = MixtureOfGaussians(TrainingData(windows), n_components=5, most_parts=1)
    np.testing.assert_allclose(np.cov(one.sample(100_000).T), Gaussian(windows).covariance, atol=0.2)
    assert one.n_parameters == Gaussian(windows).n_parameters + 5 + 15  # the part's own mean and covariance


def test_a_bootstrap_is_training_windows_and_a_little_noise():
    drawn = Bootstrap(DATA, jitter=0.0).sample(200)
    assert {row.tobytes() for row in drawn} <= {row.tobytes() for row in REAL} and len(
        {row.tobytes() for row in drawn}
    ) > 100
    np.testing.assert_allclose(
        (Bootstrap(DATA, jitter=0.1).sample(5000) - Bootstrap(DATA, jitter=0.0).sample(5000)).std(), 0.1, rtol=0.05
    )
