"""Discriminators can be differentiated twice, and one of them sees all principal axes alike."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from meagan_lib.models.contract import TrainingData
from meagan_lib.models.discriminators import DISCRIMINATORS, Discriminator, TransformerDiscriminator
from meagan_lib.models.gan import GAN, GANConfig
from meagan_lib.models.gaussian import Gaussian
from meagan_lib.training.losses import squared_gradient_norm


def coloured(n: int, samples: int) -> np.ndarray:
    """Draw windows whose principal axes differ in variance by a factor of ten thousand."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((samples, samples)))[0]
    return (rng.standard_normal((n, samples)) * np.logspace(0, -2, samples) @ axes.T + 3).astype(np.float32)


def discriminator(kind: str, samples: int, **options) -> Discriminator:
    """Build a discriminator of windows of so many samples."""
    if kind == "whitened":
        options["gaussian"] = Gaussian(coloured(200, samples))
    return DISCRIMINATORS[kind](samples, **options)


@pytest.mark.parametrize("kind", DISCRIMINATORS)
@pytest.mark.parametrize("samples", [32, 21])
def test_discriminators_can_be_differentiated_twice(kind, samples):
    network = discriminator(kind, samples)
    x = torch.randn(4, samples, requires_grad=True)
    squared_gradient_norm(network(x), x).backward()
    assert all(p.grad is not None for name, p in network.named_parameters() if "bias" not in name)


def test_the_second_derivative_of_the_transformer_discriminator_is_right():
    network = TransformerDiscriminator(8, width=8, heads=2, depth=1).double()
    torch.autograd.gradgradcheck(network, torch.randn(2, 8, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_the_logits_of_the_features_are_those_of_the_window(kind):
    network, x = discriminator(kind, 32), torch.randn(4, 32)
    torch.testing.assert_close(network.logits(network.features(x)), network(x))


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_with_dropout_batch_norm_and_labels_too_discriminators_can_be_differentiated_twice(kind):
    network = discriminator(kind, 32, dropout=0.1, batch_norm=True, classes=3)
    x = torch.randn(4, 32, requires_grad=True)
    squared_gradient_norm(network(x, torch.tensor([0, 1, 2, 0])), x).backward()
    assert network.classes.weight.grad.abs().sum() > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_on_a_gpu_too_discriminators_can_be_differentiated_twice(kind):
    network = discriminator(kind, 32).cuda()
    x = torch.randn(4, 32, device="cuda", requires_grad=True)
    squared_gradient_norm(network(x), x).backward()


def test_whitened_windows_have_the_same_variance_along_all_axes_that_have_any():
    windows = coloured(5000, 16).astype(np.float64)
    white = (windows - windows.mean(axis=0)) @ Gaussian(windows).whitening(ridge=1e-9)
    np.testing.assert_allclose(np.cov(white, rowvar=False), np.eye(16), atol=2e-3)
    reference = PCA(whiten=True).fit(windows)  # whitens along the axes themselves: a rotation of the same
    np.testing.assert_allclose(white @ reference.components_.T, reference.transform(windows), atol=2e-2)
    variance, ridge = reference.explained_variance_, 0.1
    small = (windows - windows.mean(axis=0)) @ Gaussian(windows).whitening(ridge) @ reference.components_.T
    np.testing.assert_allclose(small.var(axis=0, ddof=1), variance / (variance + ridge * variance.mean()), rtol=1e-6)


@pytest.mark.parametrize("electrodes", [1, 4])
def test_only_the_whitened_discriminator_looks_at_directions_of_little_power(electrodes):
    """The first gradient of its logit along the weakest axis is many times as large, compared with the strongest."""
    windows = coloured(400, 32)
    axes = torch.tensor(PCA().fit(windows).components_, dtype=torch.float32)
    ratio = {}
    for kind in ("convolutional", "whitened"):
        network = GAN.discriminator(GANConfig(discriminator=kind), TrainingData(windows, electrodes=electrodes))
        x = torch.from_numpy(windows[:100]).requires_grad_()
        (gradient,) = torch.autograd.grad(network(x).sum(), x)
        along = (gradient @ axes.T).square().mean(dim=0).sqrt()
        ratio[kind] = float(along[-1] / along[0])
    assert ratio["whitened"] > 5 * ratio["convolutional"]


def test_the_whitening_is_that_of_the_windows_at_hand_not_of_the_weights():
    """Weights that another recording trained see new windows through the Gaussian of these."""
    assert not {"centre", "whiten"} & set(discriminator("whitened", 16).state_dict())
