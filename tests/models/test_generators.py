"""Generators: any length, nothing above the band, untrained the Gaussian; what counts as a parameter."""

import numpy as np
import pytest
import torch
from torch import nn

from meagan_lib import InputError
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.discriminators import ConvolutionalDiscriminator
from meagan_lib.models.gan import GANConfig
from meagan_lib.models.gaussian import Gaussian
from meagan_lib.models.generators import (
    CONDITIONING,
    GENERATORS,
    ConvolutionalGenerator,
    Generator,
    GeneratorConfig,
    build_generator,
    convolution_matrix,
)
from meagan_lib.models.vae_gan import Encoder
from meagan_lib.training.checkpoints import n_parameters


def plain(samples: int, lowpass=(1.0,), kind=Generator, **fields) -> Generator:
    """A generator that stands alone."""
    data = TrainingData(np.zeros((2, samples), np.float32), lowpass)
    return kind(GeneratorConfig(on_gaussian=False, **fields), data)


@pytest.mark.parametrize("samples, patch, taps", [(64, 4, 1), (48, 8, 25), (21, 2, 3), (33, 8, 1)])
def test_any_length_of_window_can_be_generated_and_discriminated(samples, patch, taps):
    for generator in (
        plain(samples, [1 / taps] * taps, ConvolutionalGenerator, latent=16),
        plain(samples, [1 / taps] * taps, latent=16, patch=patch),
    ):
        windows = generator(torch.randn(3, 16))
        assert windows.shape == (3, samples) and generator.outline()[-1][1] == str(samples)
    assert ConvolutionalDiscriminator(samples)(windows).shape == (3,)
    mu, log_variance = Encoder(samples, latent=16)(windows)
    assert mu.shape == log_variance.shape == (3, 16)


def test_the_generator_has_no_power_where_the_filter_has_none():
    taps = np.hamming(31) / np.hamming(31).sum()  # passes below about a tenth of Nyquist
    sizes = []
    for lowpass in ([1.0], taps.tolist()):
        torch.manual_seed(0)
        windows = plain(256, lowpass)(torch.randn(50, 64)).detach().numpy() * np.hanning(256)
        power = (np.abs(np.fft.rfft(windows)) ** 2).mean(0)
        sizes.append(power[64:].sum() / power.sum())
    assert sizes[1] < 1e-3 * sizes[0]


def test_the_matrix_of_a_filter_is_its_convolution():
    taps, x = [0.25, 0.5, 0.25], torch.randn(3, 12)
    expected = nn.functional.conv1d(x[:, None], torch.tensor([[taps]])).squeeze(1)
    torch.testing.assert_close(x @ convolution_matrix(taps, 10), expected)


@pytest.mark.parametrize("conditioning", CONDITIONING)
@pytest.mark.parametrize("kind", GENERATORS)
def test_an_untrained_conditional_generator_has_the_mean_of_each_class_and_the_covariance_within_them(
    kind, conditioning
):
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=3000)
    windows = rng.standard_normal((3000, 8)) @ rng.standard_normal((8, 8)) + 10 * rng.standard_normal((3, 8))[labels]
    config = GANConfig(generator=kind, latent=8, patch=4, width=16, depth=1, conditioning=conditioning)
    generator = build_generator(config, TrainingData(windows.astype(np.float32), labels=labels))
    for k in range(3):
        drawn = generator(torch.randn(20_000, 8), torch.full((20_000,), k)).detach().numpy()
        np.testing.assert_allclose(drawn.mean(0), windows[labels == k].mean(0), atol=0.1)
        np.testing.assert_allclose(np.cov(drawn.T), np.cov(windows[labels == k].T), atol=1.2)


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_concatenated_label_is_a_one_beside_z_and_reaches_the_network(kind):
    data = TrainingData(np.zeros((6, 8), np.float32), labels=np.arange(6) % 3)
    fields = dict(generator=kind, latent=5, patch=4, width=16, depth=1, on_gaussian=False)
    generator = build_generator(GANConfig(conditioning="concatenation", **fields), data)
    z, label = torch.randn(3, 5), torch.tensor([2, 0, 1])
    beside = generator.with_label(z, label)
    torch.testing.assert_close(beside, torch.cat([z, torch.eye(3)[label]], dim=1))
    assert generator.embed.in_features == 8 and generator.classes is None
    assert ("random\nnumbers $z$,\nlabel", "5 + 3") in generator.outline()
    drawn = [generator(z[:1], torch.tensor([k])) for k in range(3)]
    assert all((drawn[i] - drawn[j]).abs().max() > 1e-3 for i, j in ((0, 1), (1, 2)))
    unlabelled = build_generator(GANConfig(conditioning="concatenation", **fields), TrainingData(data.train))
    assert unlabelled.embed.in_features == 5
    with pytest.raises(InputError, match="choose one of addition, concatenation"):
        build_generator(GANConfig(conditioning="projection", **fields), data)


def test_a_bounded_generator_stays_within_one_and_starts_as_the_gaussian_of_artanh():
    windows = np.tanh(np.random.default_rng(0).normal(0.2, 0.5, (4000, 8))).astype(np.float32)
    config = GANConfig(latent=8, patch=4, width=16, depth=1)
    drawn = build_generator(config, TrainingData(windows, bounded=True))(torch.randn(4000, 8)).detach().numpy()
    assert np.abs(drawn).max() < 1
    np.testing.assert_allclose([drawn.mean(), drawn.std()], [windows.mean(), windows.std()], atol=0.02)


def test_an_untrained_generator_is_the_gaussian_of_the_training_windows():
    rng = np.random.default_rng(0)
    windows = rng.standard_normal((500, 24)) @ rng.standard_normal((24, 24)) + rng.standard_normal(24)
    gaussian = Gaussian(windows)
    for latent in (24, 40):
        w = gaussian.colouring(latent)
        np.testing.assert_allclose(w @ w.T, gaussian.covariance, atol=1e-9)
        z = torch.randn(7, latent)
        generated = Generator(GeneratorConfig(latent=latent), TrainingData(windows, [0.5, 0.5, 0.0]))(z)
        np.testing.assert_allclose(generated.detach(), gaussian.mean + z.numpy() @ w.T, atol=1e-4)


@pytest.mark.parametrize("latent, covariance", [(64, 24 * 25 // 2), (10, 24 * 10 - 45)])
def test_the_gaussian_under_a_network_is_counted_among_its_parameters(latent, covariance):
    train = np.random.default_rng(0).standard_normal((300, 24)).astype(np.float32)
    on, alone = (build_generator(GANConfig(latent=latent, on_gaussian=on), TrainingData(train)) for on in (True, False))
    weights = sum(p.numel() for p in alone.parameters())
    assert n_parameters(alone) == weights and n_parameters(on) == weights + 24 + covariance
    if latent == 64:
        assert n_parameters(on) - weights == Gaussian(train).n_parameters


def test_running_statistics_of_batch_normalisation_are_counted():
    train = np.zeros((2, 24), np.float32)
    generator = build_generator(GANConfig(g_batch_norm=True, on_gaussian=False), TrainingData(train))
    running = sum(b.numel() for name, b in generator.named_buffers() if "running" in name)
    assert running and n_parameters(generator) == sum(p.numel() for p in generator.parameters()) + running
    assert n_parameters(generator, generator) == n_parameters(generator), "each is counted once"
