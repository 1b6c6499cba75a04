"""The loop: what it changes, what it keeps, and that it resumes to the same bits."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import spikes
from safetensors.torch import load_file

from meagan_lib import InputError
from meagan_lib.metrics import METRICS, Context
from meagan_lib.models.transformer_gan import Discriminator, Generator
from meagan_lib.models.vae_gan import VAE, Encoder, reparameterise
from meagan_lib.training import PRIORS, GANConfig, GANTrainer, VAEGANConfig, VAEGANTrainer, prior, seeded

REAL = spikes(400, 16)
SMALL = dict(latent=8, patch=4, width=16, depth=1, heads=2)
GAN = GANConfig(steps=12, batch_size=8, validate_every=4, checkpoint_every=5, log_every=1)
VAEGAN = VAEGANConfig(steps=10, vae_steps=6, batch_size=8, validate_every=4, checkpoint_every=4, log_every=1)


def gan(config=GAN, **options) -> GANTrainer:
    generator = seeded(lambda: Generator(16, **SMALL), 0)
    options = {"validate": lambda x: float(x.std()), "n_validate": 10} | options
    return GANTrainer(generator, seeded(lambda: Discriminator(16, 8), 1), REAL, config, **options)


def vae_gan(config=VAEGAN, **options) -> VAEGANTrainer:
    vae = seeded(lambda: VAE(Encoder(16, 8, 8), Generator(16, **SMALL)), 0)
    options = {"validate": lambda x: float(x.std()), "n_validate": 10} | options
    return VAEGANTrainer(vae, reparameterise, seeded(lambda: Discriminator(16, 8), 1), REAL, config, **options)


@pytest.mark.parametrize("build", [gan, vae_gan])
def test_an_interrupted_run_ends_in_the_bits_of_an_undisturbed_one(build, tmp_path):
    whole = build(folder=tmp_path / "whole")
    whole.train()

    class Killed(BaseException):
        pass

    def kill(step, total):
        if step == 9:
            raise Killed

    with pytest.raises(Killed):
        build(folder=tmp_path / "killed").train(kill)
    again, steps_done = build(folder=tmp_path / "killed"), []
    again.train(lambda step, total: steps_done.append(step))
    assert 1 < steps_done[0] <= 9, "the checkpoint was not used"
    for file in ("model.safetensors", "history.csv", "config.json"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "killed" / file).read_bytes()


def test_a_checkpoint_of_another_recipe_is_not_resumed(tmp_path):
    gan(folder=tmp_path).train()
    other, steps_done = gan(replace(GAN, gamma=0.3), folder=tmp_path), []
    other.train(lambda step, total: steps_done.append(step))
    assert steps_done[0] == 1


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    trainer = gan(folder=tmp_path)
    trainer.train()
    assert trainer.step == GAN.steps


def test_the_seed_alone_decides():
    samples = []
    for seed in (0, 0, 1):
        trainer = gan(replace(GAN, seed=seed))
        trainer.train()
        samples.append(trainer.sample(4))
    np.testing.assert_array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[0], samples[2])


CHANGES = {
    "seed": 1, "steps": 13, "batch_size": 9, "loss": "non_saturating", "gamma": 0.0, "d_learning_rate": 2e-3,
    "g_learning_rate": 1e-3, "final_rate_share": 0.5, "adam_betas": (0.5, 0.9), "ema": 0.1, "validate_every": 3,
    "log_every": 2, "checkpoint_every": 2, "vae_steps": 7, "vae_learning_rate": 5e-3, "kl_warmup_share": 1.0,
    "d_schedule": "constant", "g_schedule": "step", "halve_every": 3, "plateau_looks": 1, "optimiser": "sgd",
    "momentum": 0.0, "d_steps": 2, "gradient_penalty": 10.0, "clip_weights": 0.01, "clip_gradient": 0.01,
    "smooth_labels": True, "flip_labels": 0.5, "patience": 1, "feature_weight": 1.0, "encoder_rate_share": 1.0,
}


NEEDS = {  # what an option is an option of
    "halve_every": {"d_schedule": "step"}, "plateau_looks": {"d_schedule": "plateau", "steps": 30},
    "momentum": {"optimiser": "sgd"}, "smooth_labels": {"loss": "minimax"}, "flip_labels": {"loss": "minimax"},
    "patience": {"steps": 30},
}


def trace(config: VAEGANConfig, folder, **options) -> tuple:
    """Everything that a run leaves."""
    trainer, sizes = vae_gan(config, folder=folder, **options), []
    checkpoint = folder / "checkpoint.pt"
    trainer.train(lambda *_: sizes.append(checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0))
    weights = torch.cat([p.flatten() for p in trainer.vae.parameters()])
    ema = torch.cat([p.flatten() for p in trainer.average.parameters()])
    return weights.tolist(), ema.tolist(), str(trainer.validation), str(trainer.history), len(set(sizes))


@pytest.mark.parametrize("field", [f for f in VAEGANConfig.__dataclass_fields__ if f != "prior"])
def test_every_option_changes_the_run(field, tmp_path):
    base = replace(VAEGAN, **NEEDS.get(field, {}))
    # Samples calm down as training goes on: a score that asks for the opposite gains nothing from look to look.
    worse = {"validate": lambda x: -float(x.std())} if field in ("plateau_looks", "patience") else {}
    changed = replace(base, **{field: CHANGES[field]})
    assert trace(base, tmp_path / "a", **worse) != trace(changed, tmp_path / "b", **worse)


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_has_unit_variance_and_a_run_of_its_own(name):
    z = prior(name, 20_000, 4, torch.Generator().manual_seed(0))
    covariance = torch.cov(z.T)
    expected = 0.5 ** (torch.arange(4)[:, None] - torch.arange(4)).abs() if name == "correlated" else torch.eye(4)
    torch.testing.assert_close(covariance, expected.float(), atol=0.03, rtol=0)
    assert (float(z.abs().max()) <= 3**0.5) == (name == "uniform")
    trainers = [gan(replace(GAN, prior=of)) for of in ("gaussian", name)]
    for trainer in trainers:
        trainer.train()
    assert np.array_equal(trainers[0].sample(3), trainers[1].sample(3)) == (name == "gaussian")


def test_the_prior_of_a_vae_gan_is_gaussian():
    with pytest.raises(InputError, match="KL term"):
        vae_gan(replace(VAEGAN, prior="uniform"))


def test_training_stops_when_patience_runs_out_and_keeps_the_best():
    scores = iter([3.0, 1.0, 2.0, 2.5, 0.5])
    trainer = gan(replace(GAN, steps=100, validate_every=4, patience=2), validate=lambda x: next(scores))
    trainer.train()
    assert (trainer.step, trainer.best_step, trainer.best_score) == (16, 8, 1.0)


@pytest.mark.parametrize("schedule, shares", [
    ("constant", [1, 1, 1]), ("step", [1, 0.5, 0.25]), ("cosine", [1, 0.525, 0.05]), ("plateau", [1, 0.5, 0.25]),
])
def test_the_rates_follow_their_schedule(schedule, shares):
    trainer = gan(replace(GAN, steps=100, d_schedule=schedule, g_schedule="constant", halve_every=50, plateau_looks=2))
    for step, share, looks in zip((0, 50, 100), shares, (1, 3, 5)):
        trainer.validation = [{"step": i, "score": 1.0} for i in range(looks)]
        trainer._set_rates(step)
        rates = [trainer.optimisers[name].param_groups[0]["lr"] for name in "dg"]
        assert rates == pytest.approx([share * GAN.d_learning_rate, GAN.g_learning_rate])


def test_clipping_keeps_weights_and_gradients_small():
    trainer = gan(replace(GAN, loss="wasserstein", gamma=0.0, clip_weights=0.01))
    trainer.train()
    assert max(float(p.detach().abs().max()) for p in trainer.discriminator.parameters()) <= 0.01
    trainer = gan(replace(GAN, clip_gradient=1e-3))
    trainer.train_step()
    norm = torch.nn.utils.get_total_norm([p.grad for p in trainer.generator.parameters()])
    assert float(norm) == pytest.approx(1e-3, rel=0.01)


def test_labels_are_soft_in_the_ranges_of_the_thesis_and_flipped_as_often_as_asked():
    trainer = gan(replace(GAN, loss="non_saturating", smooth_labels=True))
    ones, zeros = trainer.labels(5000, 5000)
    assert 0.7 <= ones.min() < 0.71 and 1.19 < ones.max() <= 1.2 and 0 <= zeros.min() and 0.29 < zeros.max() <= 0.3
    ones, zeros = gan(replace(GAN, loss="minimax", flip_labels=0.1)).labels(5000, 5000)
    assert float(ones.mean()) == pytest.approx(0.9, abs=0.02) and float(zeros.mean()) == pytest.approx(0.1, abs=0.02)
    with pytest.raises(InputError, match="knows no labels"):
        gan(replace(GAN, loss="hinge", flip_labels=0.1))


def test_divergence_keeps_the_weights_that_were_best(tmp_path):
    config = replace(GAN, steps=200, loss="wasserstein", gamma=0.0, patience=100)
    trainer = gan(config, folder=tmp_path)

    def explode(step, total):
        if step == 10:
            trainer.optimisers["d"].param_groups[0]["params"][0].data.fill_(float("nan"))

    with pytest.raises(InputError, match=r"step 11: d_loss.*the weights of step [48] are kept"):
        trainer.train(explode)
    assert (tmp_path / "model.safetensors").is_file()


def test_an_unknown_loss_is_refused():
    with pytest.raises(InputError, match="choose one of minimax"):
        gan(replace(GAN, loss="wgan"))


def test_divergence_stops_with_the_step_and_a_remedy():
    with pytest.raises(InputError, match=r"diverged at step \d+.*lower the learning rates"):
        gan(replace(GAN, steps=200, loss="wasserstein", gamma=0.0, d_learning_rate=1e18)).train()


def test_each_player_leaves_the_other_alone():
    trainer = gan()
    before = [p.clone() for p in trainer.generator.parameters()]
    trainer.discriminator_step(trainer.real_batch(), torch.randn(8, 16))
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.generator.parameters()))
    before = [p.clone() for p in trainer.discriminator.parameters()]
    trainer.generator_step(trainer.real_batch())
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.discriminator.parameters()))


def test_stage_two_trains_decoder_and_encoder_and_not_the_noise_scale():
    trainer = vae_gan()
    trainer.step = VAEGAN.vae_steps
    before = {name: p.clone() for name, p in trainer.vae.named_parameters()}
    trainer.train_step()
    changed = {name for name, p in trainer.vae.named_parameters() if not torch.equal(p, before[name])}
    assert changed == set(before) - {"log_noise"}


def test_samples_come_from_the_average_that_validation_chose():
    scores = iter([3.0, 1.0, 2.0])
    trainer = gan(validate=lambda x: next(scores))
    trainer.train()
    assert (trainer.best_step, trainer.best_score) == (8, 1.0)
    moved = any(not torch.equal(trainer.best[n], p) for n, p in trainer.generator.state_dict().items())
    assert moved, "the average equals the raw weights"


def test_an_early_look_is_never_kept():
    scores = iter([0.1, 0.9, 0.7, 0.8])
    trainer = gan(replace(GAN, steps=8, validate_every=2), validate=lambda windows: next(scores))
    trainer.train()
    assert (trainer.best_step, trainer.best_score) == (6, 0.7) and len(trainer.validation) == 4


def test_the_penalty_is_r1_plus_r2():
    trainer = gan()
    real, fake = trainer.real_batch(), torch.randn(8, 16)
    expected = 0.0
    for x in (real, fake):
        x = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(trainer.discriminator(x).sum(), x)
        expected += gradient.square().sum(1).mean().item()
    assert trainer.discriminator_step(real, fake)["penalty"] == pytest.approx(expected, rel=1e-5)


def test_the_results_on_disk(tmp_path):
    trainer = gan(folder=tmp_path)
    trainer.train()
    for name, tensor in load_file(tmp_path / "model.safetensors").items():
        assert torch.equal(tensor, trainer.best[name])
    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    assert len(rows) == GAN.steps and set(rows[0]) == set(GANTrainer.COLUMNS)
    assert not list(tmp_path.glob(".*.part"))


def test_the_learning_rates_fall_to_their_last_share():
    trainer = gan(replace(GAN, steps=50))
    trainer.train()
    rates = trainer.history_columns()["d_learning_rate"]
    assert rates[0] == pytest.approx(1e-3) and (np.diff(rates) <= 0).all()
    assert rates[-1] == pytest.approx(5e-5, rel=0.05)


def test_training_brings_samples_nearer_to_the_real_ones():
    config = GANConfig(steps=400, batch_size=32, ema=0.99, log_every=100, g_learning_rate=1e-3)
    trainer = GANTrainer(
        seeded(lambda: Generator(16, **SMALL), 0), seeded(lambda: Discriminator(16, 32), 1), REAL, config
    )
    held_out = spikes(300, 16, seed=1)
    distance = METRICS["sliced_wasserstein"].prepare
    context, every = Context.fit(REAL, 20_000), np.arange(300)
    untrained = distance(held_out, trainer.sample(300), context)(every, every)
    trainer.train()
    trained = distance(held_out, trainer.sample(300), context)(every, every)
    assert trained < 0.3 * untrained, f"from {untrained:.3f} to {trained:.3f}"
