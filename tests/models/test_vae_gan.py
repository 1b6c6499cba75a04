"""Encoder, decoder and what is read off the latent space."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from meagan_lib import InputError
from meagan_lib.models.contract import TrainingData
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
from meagan_lib.training import losses
from meagan_lib.training.losses import gaussian_kl
from tests.models.test_generators import plain
from tests.training.test_trainer import VAEGAN_CONFIG, vae_gan


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


def test_the_prior_of_a_vae_gan_is_gaussian():
    with pytest.raises(InputError, match="KL term"):
        vae_gan(replace(VAEGAN_CONFIG, prior="uniform"))


def test_a_vae_gan_needs_its_adversarial_stage():
    with pytest.raises(InputError, match="at least one step"):
        vae_gan(replace(VAEGAN_CONFIG, steps=0))


def test_stage_two_trains_decoder_and_encoder_and_not_the_noise_scale():
    trainer = vae_gan()
    trainer.step = VAEGAN_CONFIG.vae_steps
    before = {name: p.clone() for name, p in trainer.vae.named_parameters()}
    trainer.train_step()
    changed = {name for name, p in trainer.vae.named_parameters() if not torch.equal(p, before[name])}
    assert changed == set(before) - {"log_noise"}


def test_each_term_of_the_vae_gan_trains_the_networks_that_it_should():
    """Parameters that a term reaches, as sets: no term may reach more than its own networks."""
    trainer = vae_gan()
    vae, discriminator = trainer.vae, trainer.discriminator
    of = {
        name: {id(p) for p in n.parameters()}
        for name, n in (("encoder", vae.encoder), ("decoder", vae.decoder), ("discriminator", discriminator))
    }
    x = trainer.real[:8]

    def reached(loss) -> set[int]:
        everything = [*vae.parameters(), *discriminator.parameters()]
        gradients = torch.autograd.grad(loss, everything, allow_unused=True, retain_graph=True)
        return {id(p) for p, g in zip(everything, gradients) if g is not None and g.abs().sum() > 0}

    mu, log_variance = vae.encoder(x)
    z = reparameterise(mu, log_variance, trainer.rng)
    assert reached(losses.gaussian_kl(mu, log_variance)) == of["encoder"]
    nll = reached(losses.gaussian_nll(x, vae.decoder(z), vae.log_noise))
    assert nll == of["encoder"] | of["decoder"] | {id(vae.log_noise)}
    matching = reached(
        losses.feature_matching(discriminator.features(x).detach(), discriminator.features(vae.decoder(z)))
    )
    assert of["encoder"] <= matching and not matching & {id(vae.log_noise), id(discriminator.head.weight)}
    before = {id(p): p.detach().clone() for p in [*vae.parameters(), *discriminator.parameters()]}
    trainer.step = VAEGAN_CONFIG.vae_steps
    trainer.set_rates(0)
    (real,) = trainer.real_batch()
    trainer.generator_step(real, trainer.generated(real))
    moved = {id(p) for p in [*vae.parameters(), *discriminator.parameters()] if not torch.equal(p, before[id(p)])}
    assert moved == of["encoder"] | of["decoder"]


def test_the_total_loss_of_the_thesis_is_one_loss_for_encoder_and_decoder():
    """The gradients of a step are those of L_GAN + λ (NLL + β KL), computed here by itself."""
    trainer = vae_gan(replace(VAEGAN_CONFIG, total_loss="thesis", vae_weight=0.3, beta=2.0))
    state, steps = trainer.rng.get_state(), {}
    x = trainer.real[:8]
    fake, mu, log_variance = trainer.generated(x)
    n = len(mu)
    on_real, on_fake = trainer.discriminator(torch.cat([x, fake])).split(8)
    nll = -torch.distributions.Normal(fake[:n], trainer.vae.log_noise.exp()).log_prob(x[:n]).sum(1).mean()
    total = trainer.loss.generator(on_real, on_fake) + 0.3 * (nll + 2.0 * gaussian_kl(mu, log_variance))
    parameters = {"encoder": [*trainer.vae.encoder.parameters()], "g": [*trainer.vae.decoder.parameters()]}
    expected = {name: torch.autograd.grad(total, its, retain_graph=True) for name, its in parameters.items()}
    trainer.update = lambda name: steps.setdefault(name, [p.grad.clone() for p in parameters[name]]) and 0.0
    trainer.rng.set_state(state)
    trainer.generator_step(x, trainer.generated(x))
    for name, gradients in expected.items():
        for mine, its in zip(gradients, steps[name], strict=True):
            torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="choose one of features, thesis"):
        vae_gan(replace(VAEGAN_CONFIG, total_loss="sum"))
