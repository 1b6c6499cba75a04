"""Shapes, positions, attention and the low-pass of the networks; the Gaussian."""

import numpy as np
import pytest
import torch
from torch import nn

from meagan_lib.models.contract import TrainingData
from meagan_lib.models.discriminators import DISCRIMINATORS, ConvolutionalDiscriminator, TransformerDiscriminator
from meagan_lib.models.gan import GANConfig
from meagan_lib.models.gaussian import Gaussian, gaussian_transport, without_farthest
from meagan_lib.models.generators import (
    GENERATORS,
    ConvolutionalGenerator,
    Generator,
    GeneratorConfig,
    build_generator,
    convolution_matrix,
)
from meagan_lib.models.transformer import attention, attention_maps, sinusoidal_positions
from meagan_lib.models.vae_gan import (
    VAE,
    Encoder,
    VAEGANConfig,
    active_units,
    add_noise,
    aggregate_posterior,
    build_vae,
    decode,
    encode,
    kl_by_dimension,
    reconstruct,
    reparameterise,
    traverse,
)
from meagan_lib.training.checkpoints import n_parameters
from meagan_lib.training.losses import gaussian_kl, squared_gradient_norm


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
    generator, z = plain(32, [0.25, 0.5, 0.25], latent=16, patch=4, heads=heads, depth=depth), torch.randn(5, 16)
    before = generator(z)
    maps = attention_maps(generator, z)
    assert maps.shape == (depth, 5, heads, generator.tokens, generator.tokens) and not maps.requires_grad
    torch.testing.assert_close(maps.sum(-1), torch.ones(maps.shape[:-1]))
    after = generator(z)
    assert torch.equal(before, after) and after.requires_grad
    assert not any(block.attention._forward_hooks for block in generator.encoder.blocks)


def test_maps_of_attention_are_those_of_the_formula():
    generator, z = plain(32, latent=16, patch=4), torch.randn(2, 16)
    x = generator.embed(z).view(2, generator.tokens, generator.width) + generator.encoder.positions
    maps = attention_maps(generator, z)
    for block, weights in zip(generator.encoder.blocks, maps):
        torch.testing.assert_close(block.attention(block.norm_attention(x))[1], weights)
        x = block(x)


def test_without_positions_tokens_could_be_swapped():
    """Attention is equivariant; positions are what breaks it."""
    generator = plain(32, patch=4).eval()
    tokens = torch.randn(1, 8, 64)
    order = torch.randperm(8)
    torch.testing.assert_close(generator.encoder.blocks(tokens)[:, order], generator.encoder.blocks(tokens[:, order]))
    moved = generator.encoder.blocks(tokens[:, order] + generator.encoder.positions)
    assert not torch.allclose(
        generator.encoder.blocks(tokens + generator.encoder.positions)[:, order], moved, atol=1e-3
    )


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
def test_the_logits_of_the_features_are_those_of_the_window(kind):
    network, x = DISCRIMINATORS[kind](32), torch.randn(4, 32)
    torch.testing.assert_close(network.logits(network.features(x)), network(x))


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_with_dropout_batch_norm_and_labels_too_discriminators_can_be_differentiated_twice(kind):
    network = DISCRIMINATORS[kind](32, dropout=0.1, batch_norm=True, classes=3)
    x = torch.randn(4, 32, requires_grad=True)
    squared_gradient_norm(network(x, torch.tensor([0, 1, 2, 0])), x).backward()
    assert network.classes.weight.grad.abs().sum() > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_on_a_gpu_too_discriminators_can_be_differentiated_twice(kind):
    network = DISCRIMINATORS[kind](32).cuda()
    x = torch.randn(4, 32, device="cuda", requires_grad=True)
    squared_gradient_norm(network(x), x).backward()


@pytest.mark.parametrize("kind", GENERATORS)
def test_an_untrained_conditional_generator_has_the_mean_of_each_class_and_the_covariance_within_them(kind):
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=3000)
    windows = rng.standard_normal((3000, 8)) @ rng.standard_normal((8, 8)) + 10 * rng.standard_normal((3, 8))[labels]
    config = GANConfig(generator=kind, latent=8, patch=4, width=16, depth=1)
    generator = build_generator(config, TrainingData(windows.astype(np.float32), labels=labels))
    for k in range(3):
        made = generator(torch.randn(20_000, 8), torch.full((20_000,), k)).detach().numpy()
        np.testing.assert_allclose(made.mean(0), windows[labels == k].mean(0), atol=0.1)
        np.testing.assert_allclose(np.cov(made.T), np.cov(windows[labels == k].T), atol=1.2)


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


def test_a_bounded_generator_stays_within_one_and_starts_as_the_gaussian_of_artanh():
    windows = np.tanh(np.random.default_rng(0).normal(0.2, 0.5, (4000, 8))).astype(np.float32)
    config = GANConfig(latent=8, patch=4, width=16, depth=1)
    made = build_generator(config, TrainingData(windows, bounded=True))(torch.randn(4000, 8)).detach().numpy()
    assert np.abs(made).max() < 1
    np.testing.assert_allclose([made.mean(), made.std()], [windows.mean(), windows.std()], atol=0.02)


def test_learned_positions_are_parameters():
    config = GANConfig(latent=8, patch=4, width=16, depth=1, positions="learned")
    names = dict(build_generator(config, TrainingData(np.eye(16, dtype=np.float32))).named_parameters())
    assert names["encoder.positions"].shape == (4, 16)


def test_reparameterisation_recovers_mean_and_deviation():
    mu, log_variance = torch.full((20_000, 1), 1.5), torch.full((20_000, 1), 2 * np.log(0.3))
    z = reparameterise(mu, log_variance, torch.Generator().manual_seed(0))
    assert z.mean().item() == pytest.approx(1.5, abs=0.01) and z.std().item() == pytest.approx(0.3, abs=0.01)


def small_vae(seed: int = 0) -> VAE:
    config = VAEGANConfig(seed=seed, latent=4, patch=4, width=16, depth=1, on_gaussian=False)
    return build_vae(config, TrainingData(np.random.default_rng(0).standard_normal((50, 16)).astype(np.float32))).eval()


def test_the_encoder_speaks_of_log_variance():
    """A round trip: the deviation of z that is drawn is exp(½ log σ²) of what the encoder says."""
    vae, x = small_vae(), np.random.default_rng(1).standard_normal((1, 16)).astype(np.float32)
    with torch.no_grad():
        vae.encoder.head.bias[4:] = 2 * torch.log(torch.tensor([0.1, 0.5, 1.0, 2.0]))
        vae.encoder.head.weight[4:] = 0
    mu, log_variance = encode(vae, np.repeat(x, 20_000, axis=0))
    z = reparameterise(torch.from_numpy(mu), torch.from_numpy(log_variance), torch.Generator().manual_seed(0))
    assert z.std(dim=0).tolist() == pytest.approx([0.1, 0.5, 1.0, 2.0], rel=0.03)
    drawn, _ = aggregate_posterior(vae, x, 20_000)
    assert drawn.std(axis=0).tolist() == pytest.approx([0.1, 0.5, 1.0, 2.0], rel=0.03)


def test_the_kl_term_agrees_with_monte_carlo():
    mu, log_variance = np.array([[0.5, -1.0, 0.0]], np.float32), np.log(np.array([[0.3, 2.0, 1.0]], np.float32))
    q = torch.distributions.Normal(torch.from_numpy(mu), torch.from_numpy(np.exp(0.5 * log_variance)))
    z = q.sample((200_000,))
    estimate = (q.log_prob(z) - torch.distributions.Normal(0.0, 1.0).log_prob(z)).mean(dim=0)[0]
    np.testing.assert_allclose(kl_by_dimension(mu, log_variance), estimate, atol=0.01)
    closed = gaussian_kl(torch.from_numpy(mu), torch.from_numpy(log_variance))
    assert float(closed) == pytest.approx(float(estimate.sum()), abs=0.02)


def test_active_units_are_those_that_depend_on_the_window():
    mu = np.zeros((500, 3), np.float32)
    mu[:, 1] = np.random.default_rng(0).standard_normal(500)
    mu[:, 2] = 0.7  # another mean than the prior's, but the same for all
    assert active_units(mu).tolist() == [False, True, False]
    assert kl_by_dimension(mu, np.zeros_like(mu))[0] == 0


def test_reconstructions_draw_nothing_and_noise_has_the_scale_that_was_learned():
    vae, x = small_vae(), np.random.default_rng(1).standard_normal((1500, 16)).astype(np.float32)
    np.testing.assert_array_equal(reconstruct(vae, x), reconstruct(vae, x))
    mu, _ = encode(vae, x)
    with torch.no_grad():
        np.testing.assert_allclose(reconstruct(vae, x), vae.decoder(torch.from_numpy(mu)), atol=1e-5)
        vae.log_noise.fill_(np.log(0.3))
    noise = add_noise(vae, x) - x
    assert noise.std() == pytest.approx(0.3, rel=0.02) and not np.array_equal(
        add_noise(vae, x, 1), add_noise(vae, x, 2)
    )


def test_the_noise_of_a_vae_has_its_scale_and_no_power_above_the_band_of_its_decoder():
    taps = np.hamming(31) / np.hamming(31).sum()  # passes below about a tenth of Nyquist
    vae, flat = VAE(Encoder(256, latent=4), plain(256, taps.tolist(), latent=4)), np.zeros((1500, 256), np.float32)
    with torch.no_grad():
        vae.log_noise.fill_(np.log(0.3))
    noise = add_noise(vae, flat)
    assert noise.std() == pytest.approx(0.3, rel=0.02) and noise.std(axis=0).min() > 0.27
    power = (np.abs(np.fft.rfft(noise * np.hanning(256))) ** 2).mean(axis=0)
    assert power[64:].sum() < 1e-3 * power.sum()


def test_a_traversal_moves_one_latent_number():
    vae, values = small_vae(), np.linspace(-2, 2, 5, dtype=np.float32)
    z = np.zeros((5, 4), np.float32)
    z[:, 2] = values
    np.testing.assert_array_equal(traverse(vae, 2, values), decode(vae, z))


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
        generated = Generator(GeneratorConfig(latent=latent), TrainingData(windows, [0.5, 0.5, 0.0]))(z)
        np.testing.assert_allclose(generated.detach(), gaussian.mean + z.numpy() @ w.T, atol=1e-4)


def test_fewer_latent_numbers_keep_the_strongest_axes():
    windows = np.random.default_rng(0).standard_normal((300, 6)) * np.array([5, 1, 1, 4, 1, 1])
    w = Gaussian(windows).colouring(2)
    assert w.shape == (6, 2)
    assert np.linalg.norm(w, axis=0) ** 2 == pytest.approx(np.linalg.eigvalsh(Gaussian(windows).covariance)[-2:][::-1])


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
