"""Shapes, positions, attention and the low-pass of the networks; the Gaussian."""

import numpy as np
import pytest
import torch
from torch import nn

from meagan_lib.losses import squared_gradient_norm
from meagan_lib.models.baselines import Gaussian
from meagan_lib.models.transformer_gan import (
    DISCRIMINATORS, Discriminator, Generator, TransformerDiscriminator, attention, attention_maps,
    sinusoidal_positions,
)
from meagan_lib.models.vae_gan import Encoder, reparameterise


@pytest.mark.parametrize("samples, patch, taps", [(64, 4, 1), (48, 8, 25), (21, 2, 3), (33, 8, 1)])
def test_any_length_of_window_can_be_generated_and_judged(samples, patch, taps):
    generator = Generator(samples, [1 / taps] * taps, latent=16, patch=patch)
    windows = generator(torch.randn(3, 16))
    assert windows.shape == (3, samples)
    assert Discriminator(samples)(windows).shape == (3,)
    mu, log_variance = Encoder(samples, latent=16)(windows)
    assert mu.shape == log_variance.shape == (3, 16)


def test_the_generator_has_no_power_where_the_filter_has_none():
    taps = np.hamming(31) / np.hamming(31).sum()  # passes below about a tenth of Nyquist
    sizes = []
    for lowpass in ([1.0], taps.tolist()):
        torch.manual_seed(0)
        windows = Generator(256, lowpass)(torch.randn(50, 64)).detach().numpy() * np.hanning(256)
        power = (np.abs(np.fft.rfft(windows)) ** 2).mean(0)
        sizes.append(power[64:].sum() / power.sum())
    assert sizes[1] < 1e-3 * sizes[0]


def test_positions_are_the_formula():
    encoding = sinusoidal_positions(10, 8)
    assert encoding[3, 4] == pytest.approx(np.sin(3 / 10_000 ** (4 / 8)))
    assert encoding[3, 5] == pytest.approx(np.cos(3 / 10_000 ** (4 / 8)))


def test_attention_agrees_with_torch_and_its_weights_sum_to_one():
    q, k, v = torch.randn(3, 2, 4, 7, 5)
    mixed, weights = attention(q, k, v)
    torch.testing.assert_close(mixed, nn.functional.scaled_dot_product_attention(q, k, v))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 7))


@pytest.mark.parametrize("heads, depth", [(4, 3), (2, 1)])
def test_maps_of_attention_sum_to_one_and_leave_the_generator_as_it_was(heads, depth):
    generator, z = Generator(32, [0.25, 0.5, 0.25], latent=16, patch=4, heads=heads, depth=depth), torch.randn(5, 16)
    before = generator(z)
    maps = attention_maps(generator, z)
    assert maps.shape == (depth, 5, heads, generator.tokens, generator.tokens) and not maps.requires_grad
    torch.testing.assert_close(maps.sum(-1), torch.ones(maps.shape[:-1]))
    after = generator(z)
    assert torch.equal(before, after) and after.requires_grad
    assert not any(block.attention._forward_hooks for block in generator.blocks)


def test_maps_of_attention_are_those_of_the_formula():
    generator, z = Generator(32, latent=16, patch=4), torch.randn(2, 16)
    x = generator.embed(z).view(2, generator.tokens, generator.width) + generator.positions
    maps = attention_maps(generator, z)
    for block, weights in zip(generator.blocks, maps):
        torch.testing.assert_close(block.attention(block.norm_attention(x))[1], weights)
        x = block(x)


def test_without_positions_tokens_could_be_swapped():
    """Attention is equivariant; positions are what breaks it."""
    generator = Generator(32, patch=4).eval()
    tokens = torch.randn(1, 8, 64)
    order = torch.randperm(8)
    torch.testing.assert_close(generator.blocks(tokens)[:, order], generator.blocks(tokens[:, order]))
    moved = generator.blocks((tokens[:, order] + generator.positions))
    assert not torch.allclose(generator.blocks(tokens + generator.positions)[:, order], moved, atol=1e-3)


@pytest.mark.parametrize("kind", DISCRIMINATORS)
@pytest.mark.parametrize("samples", [32, 21])
def test_discriminators_can_be_differentiated_twice(kind, samples):
    network = DISCRIMINATORS[kind](samples)
    x = torch.randn(4, samples, requires_grad=True)
    squared_gradient_norm(network(x), x).backward()
    assert all(p.grad is not None for name, p in network.named_parameters() if "bias" not in name)


def test_the_second_derivative_of_the_transformer_discriminator_is_right():
    network = TransformerDiscriminator(8, width=8, heads=2, depth=1).double()
    torch.autograd.gradgradcheck(network, torch.randn(2, 8, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_judging_the_features_is_judging_the_window(kind):
    network, x = DISCRIMINATORS[kind](32), torch.randn(4, 32)
    torch.testing.assert_close(network.judge(network.features(x)), network(x))


def test_reparameterisation_recovers_mean_and_deviation():
    mu, log_variance = torch.full((20_000, 1), 1.5), torch.full((20_000, 1), 2 * np.log(0.3))
    z = reparameterise(mu, log_variance, torch.Generator().manual_seed(0))
    assert z.mean().item() == pytest.approx(1.5, abs=0.01) and z.std().item() == pytest.approx(0.3, abs=0.01)


def test_the_gaussian_has_the_mean_and_covariance_of_its_windows():
    rng = np.random.default_rng(0)
    windows = rng.standard_normal((5000, 6)) @ rng.standard_normal((6, 6)) + 3
    drawn = Gaussian(windows).sample(50_000)
    np.testing.assert_allclose(drawn.mean(0), windows.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(windows.T), atol=0.35)
    np.testing.assert_array_equal(Gaussian(windows).sample(5, seed=1), Gaussian(windows).sample(5, seed=1))


def test_an_untrained_generator_is_the_gaussian_of_the_training_windows():
    rng = np.random.default_rng(0)
    windows = rng.standard_normal((500, 24)) @ rng.standard_normal((24, 24)) + rng.standard_normal(24)
    gaussian = Gaussian(windows)
    for latent in (24, 40):
        w = gaussian.colouring(latent)
        np.testing.assert_allclose(w @ w.T, gaussian.covariance, atol=1e-9)
        z = torch.randn(7, latent)
        generated = Generator(24, [0.5, 0.5, 0.0], gaussian, latent=latent)(z)
        np.testing.assert_allclose(generated.detach(), gaussian.mean + z.numpy() @ w.T, atol=1e-4)


def test_fewer_latent_numbers_keep_the_strongest_axes():
    windows = np.random.default_rng(0).standard_normal((300, 6)) * np.array([5, 1, 1, 4, 1, 1])
    w = Gaussian(windows).colouring(2)
    assert w.shape == (6, 2)
    assert np.linalg.norm(w, axis=0) ** 2 == pytest.approx(np.linalg.eigvalsh(Gaussian(windows).covariance)[-2:][::-1])
