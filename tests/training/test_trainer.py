"""The loop: what it changes, what it keeps, and that it resumes to the same bits."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import scored_by, spikes
from safetensors.torch import load_file

from meagan_lib import InputError
from meagan_lib.evaluation.metrics import METRICS, Context, Validation
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gan import GAN, GANConfig, GANTrainer
from meagan_lib.models.vae_gan import VAEGAN, VAEGANConfig, VAEGANTrainer, reparameterise
from meagan_lib.training import losses
from meagan_lib.training.checkpoints import fingerprint
from meagan_lib.training.priors import PRIORS, latent_path, prior
from meagan_lib.training.trainer import build_config

REAL = spikes(400, 16)
LABELS = np.arange(400) % 3
SMALL = dict(latent=8, patch=4, width=16, depth=1, heads=2, batch_size=8, validate_every=4, log_every=1, snapshots=4)
SMALL["on_gaussian"] = False
GAN_CONFIG = GANConfig(steps=12, checkpoint_every=5, **SMALL)
VAEGAN_CONFIG = VAEGANConfig(steps=10, vae_steps=6, checkpoint_every=4, **SMALL)


def trained_by(model, config, validate=None, labels=None, folder=None, real=REAL):
    trainer = model.trainer(config, TrainingData(real, validate=validate, labels=labels), folder)
    trainer.n_validate = 10
    return trainer


def gan(config=GAN_CONFIG, labels=None, **options) -> GANTrainer:
    return trained_by(GAN, config, **{"validate": scored_by(lambda x: float(x.std())), "labels": labels} | options)


def vae_gan(config=VAEGAN_CONFIG, labels=None, **options) -> VAEGANTrainer:
    return trained_by(VAEGAN, config, **{"validate": scored_by(lambda x: float(x.std())), "labels": labels} | options)


NOISY = dict(d_dropout=0.2, g_dropout=0.2, d_batch_norm=True, g_batch_norm=True)


@pytest.mark.parametrize(
    "build",
    [
        gan,
        vae_gan,
        lambda **o: gan(replace(GAN_CONFIG, **NOISY), LABELS, **o),
        lambda **o: vae_gan(replace(VAEGAN_CONFIG, **NOISY), LABELS, **o),
    ],
    ids=["gan", "vae_gan", "gan with labels, dropout and batch norm", "vae_gan with labels, dropout and batch norm"],
)
def test_an_interrupted_run_ends_in_the_bits_of_an_undisturbed_one(build, tmp_path):
    whole = build(folder=tmp_path / "whole")
    whole.train()

    class Killed(BaseException):
        pass

    def kill(trainer):
        if trainer.step == 9:
            raise Killed

    with pytest.raises(Killed):
        build(folder=tmp_path / "killed").train(kill)
    again, steps_done = build(folder=tmp_path / "killed"), []
    again.train(lambda trainer: steps_done.append(trainer.step))
    assert 1 < steps_done[0] <= 9, "the checkpoint was not used"
    for file in ("model.safetensors", "history.csv", "config.json"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "killed" / file).read_bytes()
    for one, two in zip(whole.snapshot_windows(), again.snapshot_windows()):
        np.testing.assert_array_equal(one, two)


def test_a_checkpoint_of_another_config_is_not_resumed(tmp_path):
    gan(folder=tmp_path).train()
    other, steps_done = gan(replace(GAN_CONFIG, gamma=0.3), folder=tmp_path), []
    other.train(lambda trainer: steps_done.append(trainer.step))
    assert steps_done[0] == 1


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    trainer = gan(folder=tmp_path)
    trainer.train()
    assert trainer.step == GAN_CONFIG.steps


def test_the_seed_alone_decides():
    samples = []
    for seed in (0, 0, 1):
        trainer = gan(replace(GAN_CONFIG, seed=seed))
        trainer.train()
        samples.append(trainer.sample(4))
    np.testing.assert_array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[0], samples[2])


CHANGES = {
    "generator": "convolutional",
    "latent": 9,
    "patch": 8,
    "width": 8,
    "depth": 2,
    "heads": 1,
    "positions": "learned",
    "on_gaussian": True,
    "discriminator": "transformer",
    "d_dropout": 0.5,
    "g_dropout": 0.5,
    "d_batch_norm": True,
    "g_batch_norm": True,
    "snapshots": 5,
    "seed": 1,
    "steps": 13,
    "batch_size": 9,
    "loss": "non_saturating",
    "gamma": 0.0,
    "d_learning_rate": 2e-3,
    "g_learning_rate": 1e-3,
    "final_rate_fraction": 0.5,
    "adam_betas": (0.5, 0.9),
    "ema": 0.1,
    "validate_every": 3,
    "log_every": 2,
    "checkpoint_every": 2,
    "vae_steps": 7,
    "vae_learning_rate": 5e-3,
    "kl_warmup_fraction": 1.0,
    "d_schedule": "constant",
    "g_schedule": "step",
    "halve_every": 3,
    "plateau_validations": 1,
    "optimiser": "sgd",
    "momentum": 0.0,
    "d_steps": 2,
    "gradient_penalty": 10.0,
    "clip_weights": 0.01,
    "clip_gradient": 0.01,
    "smooth_labels": True,
    "flip_labels": 0.5,
    "patience": 1,
    "feature_weight": 1.0,
    "beta": 4.0,
    "reconstruction_fraction": 0.5,
    "encoder_rate_fraction": 1.0,
}


NEEDS = {  # what an option is an option of
    "halve_every": {"d_schedule": "step"},
    "plateau_validations": {"d_schedule": "plateau", "steps": 30},
    "momentum": {"optimiser": "sgd"},
    "smooth_labels": {"loss": "minimax"},
    "flip_labels": {"loss": "minimax"},
    "patience": {"steps": 30},
}


def trace(config: VAEGANConfig, folder, **options) -> tuple:
    """Everything that a run leaves."""
    trainer, sizes = vae_gan(config, folder=folder, **options), []
    checkpoint = folder / "checkpoint.pt"
    trainer.train(lambda *_: sizes.append(checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0))
    weights = torch.cat([p.flatten() for p in trainer.vae.parameters()])
    ema = torch.cat([p.flatten() for p in trainer.ema.parameters()])
    return (
        weights.tolist(),
        ema.tolist(),
        str(trainer.validation),
        str(trainer.history),
        list(trainer.snapshots),
        len(set(sizes)),
    )


@pytest.mark.parametrize("field", [f for f in VAEGANConfig.__dataclass_fields__ if f not in ("prior", "device")])
def test_every_option_changes_the_run(field, tmp_path):
    base = replace(VAEGAN_CONFIG, **NEEDS.get(field, {}))
    # Samples calm down as training goes on: a score that asks for the opposite never gains.
    worse = {"validate": scored_by(lambda x: -float(x.std()))} if field in ("plateau_validations", "patience") else {}
    changed = replace(base, **{field: CHANGES[field]})
    assert trace(base, tmp_path / "a", **worse) != trace(changed, tmp_path / "b", **worse)


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_has_unit_variance_and_a_run_of_its_own(name):
    z = prior(name, 20_000, 4, torch.Generator().manual_seed(0))
    covariance = torch.cov(z.T)
    expected = 0.5 ** (torch.arange(4)[:, None] - torch.arange(4)).abs() if name == "correlated" else torch.eye(4)
    torch.testing.assert_close(covariance, expected.float(), atol=0.03, rtol=0)
    assert (float(z.abs().max()) <= 3**0.5) == (name == "uniform")
    trainers = [gan(replace(GAN_CONFIG, prior=of)) for of in ("gaussian", name)]
    for trainer in trainers:
        trainer.train()
    assert np.array_equal(trainers[0].sample(3), trainers[1].sample(3)) == (name == "gaussian")


@pytest.mark.parametrize("name", PRIORS)
def test_the_way_between_two_draws_begins_and_ends_there_and_stays_in_the_prior(name):
    ends = prior(name, 2, 3000, torch.Generator().manual_seed(0))
    path = latent_path(name, ends, 5)
    torch.testing.assert_close(path[[0, -1]], ends, atol=1e-3, rtol=0)
    if name == "uniform":
        assert path.abs().max() <= 3**0.5
    else:
        assert path.std(dim=1).tolist() == pytest.approx([1] * 5, abs=0.06)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="device 'abacus' cannot be used here: choose cpu"):
        gan(replace(GAN_CONFIG, device="abacus"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(
    "train", [lambda: gan(replace(GAN_CONFIG, device="cuda")), lambda: vae_gan(replace(VAEGAN_CONFIG, device="cuda"))]
)
def test_a_gpu_trains_what_is_kept_on_the_cpu(train, tmp_path):
    trainer = train()
    trainer.train()
    assert next(trainer.generator.parameters()).is_cuda and not next(trainer.best_generator().parameters()).is_cuda
    assert np.isfinite(trainer.sample(4)).all() and trainer.step == trainer.total_steps


def test_the_prior_of_a_vae_gan_is_gaussian():
    with pytest.raises(InputError, match="KL term"):
        vae_gan(replace(VAEGAN_CONFIG, prior="uniform"))


def test_a_vae_gan_needs_its_adversarial_stage():
    with pytest.raises(InputError, match="at least one step"):
        vae_gan(replace(VAEGAN_CONFIG, steps=0))


def test_training_stops_when_patience_runs_out_and_keeps_the_best():
    scores = iter([3.0, 1.0, 2.0, 2.5, 0.5])
    trainer = gan(
        replace(GAN_CONFIG, steps=100, validate_every=4, patience=2), validate=scored_by(lambda x: next(scores))
    )
    trainer.train()
    assert (trainer.step, trainer.best_step, trainer.best_score) == (16, 8, 1.0)


@pytest.mark.parametrize(
    "schedule, fractions",
    [("constant", [1, 1, 1]), ("step", [1, 0.5, 0.25]), ("cosine", [1, 0.525, 0.05]), ("plateau", [1, 0.5, 0.25])],
)
def test_the_rates_follow_their_schedule(schedule, fractions):
    trainer = gan(
        replace(
            GAN_CONFIG, steps=100, d_schedule=schedule, g_schedule="constant", halve_every=50, plateau_validations=2
        )
    )
    for step, fraction, validations in zip((0, 50, 100), fractions, (1, 3, 5)):
        trainer.validation = [{"step": i, "score": 1.0} for i in range(validations)]
        trainer.set_rates(step)
        rates = [trainer.optimisers[name].param_groups[0]["lr"] for name in "dg"]
        assert rates == pytest.approx([fraction * GAN_CONFIG.d_learning_rate, GAN_CONFIG.g_learning_rate])


def test_clipping_keeps_weights_and_gradients_small():
    trainer = gan(replace(GAN_CONFIG, loss="wasserstein", gamma=0.0, clip_weights=0.01))
    trainer.train()
    assert max(float(p.detach().abs().max()) for p in trainer.discriminator.parameters()) <= 0.01
    trainer = gan(replace(GAN_CONFIG, clip_gradient=1e-3))
    trainer.train_step()
    norm = torch.nn.utils.get_total_norm([p.grad for p in trainer.generator.parameters()])
    assert float(norm) == pytest.approx(1e-3, rel=0.01)


def test_labels_are_soft_in_the_ranges_of_the_thesis_and_flipped_as_often_as_asked():
    trainer = gan(replace(GAN_CONFIG, loss="non_saturating", smooth_labels=True))
    ones, zeros = trainer.labels(5000, 5000)
    assert 0.7 <= ones.min() < 0.71 and 1.19 < ones.max() <= 1.2 and zeros.min() >= 0 and 0.29 < zeros.max() <= 0.3
    ones, zeros = gan(replace(GAN_CONFIG, loss="minimax", flip_labels=0.1)).labels(5000, 5000)
    assert float(ones.mean()) == pytest.approx(0.9, abs=0.02) and float(zeros.mean()) == pytest.approx(0.1, abs=0.02)
    with pytest.raises(InputError, match="knows no labels"):
        gan(replace(GAN_CONFIG, loss="hinge", flip_labels=0.1))


def test_divergence_keeps_the_weights_that_were_best(tmp_path):
    config = replace(GAN_CONFIG, steps=200, loss="wasserstein", gamma=0.0, patience=100)
    trainer = gan(config, folder=tmp_path)

    def explode(trainer):
        if trainer.step == 10:
            trainer.optimisers["d"].param_groups[0]["params"][0].data.fill_(float("nan"))

    with pytest.raises(InputError, match=r"step 11: d_loss.*the weights of step [48] are kept"):
        trainer.train(explode)
    assert (tmp_path / "model.safetensors").is_file()


def test_an_unknown_loss_is_refused():
    with pytest.raises(InputError, match="choose one of minimax"):
        gan(replace(GAN_CONFIG, loss="wgan"))


def test_a_config_refuses_what_it_does_not_know():
    assert build_config(GANConfig, steps=3, gamma=1, adam_betas=[0.5, 0.9]) == GANConfig(
        steps=3, gamma=1, adam_betas=(0.5, 0.9)
    )
    with pytest.raises(InputError, match="'gama' is no option of GANConfig: did you mean 'gamma'"):
        build_config(GANConfig, gama=1.0)
    for wrong in ({"steps": 3.5}, {"smooth_labels": 1}, {"loss": 3}, {"steps": True}):
        with pytest.raises(InputError, match="must be like"):
            build_config(GANConfig, **wrong)
    for wrong, known in (({"positions": "none"}, "learned"), ({"heads": 3}, "divisor")):
        with pytest.raises(InputError, match=known):
            gan(replace(GAN_CONFIG, **wrong))
    with pytest.raises(InputError, match="choose one of convolutional"):
        gan(replace(GAN_CONFIG, discriminator="dense"))
    with pytest.raises(InputError, match="choose one of transformer"):
        gan(replace(GAN_CONFIG, generator="dense"))


def test_the_snapshots_go_from_the_untrained_generator_to_the_last_step():
    trainer = gan()
    untrained = trainer.draw(trainer.ema, GANTrainer.SNAPSHOT_WINDOWS, GAN_CONFIG.seed + 2)
    trainer.train()
    steps, windows = trainer.snapshot_windows()
    assert steps.tolist() == [0, 1, 5, 12] and windows.shape == (4, GANTrainer.SNAPSHOT_WINDOWS, 16)
    np.testing.assert_array_equal(windows[0], untrained)
    np.testing.assert_array_equal(
        windows[-1], trainer.draw(trainer.ema, GANTrainer.SNAPSHOT_WINDOWS, GAN_CONFIG.seed + 2)
    )
    steps, _ = (other := vae_gan(), other.train(), other.snapshot_windows())[2]
    assert steps.tolist() == [0, 1, 4, 10]


def two_classes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows (n, 16) of two amplitudes in noise, and which."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=n)
    shape = -np.exp(-((np.arange(16) - 8) ** 2) / 4)
    return ((1 + labels[:, None]) * shape + 0.1 * rng.standard_normal((n, 16))).astype(np.float32), labels


@pytest.mark.parametrize("on_gaussian", [True, False])
@pytest.mark.parametrize("model", ["gan", "vae_gan"])
def test_a_conditional_model_makes_the_window_that_it_is_asked_for(model, on_gaussian):
    real, labels = two_classes(500, 0)
    steps = dict(steps=1 if on_gaussian else 250, batch_size=32, ema=0.9, g_learning_rate=2e-3, on_gaussian=on_gaussian)
    if model == "gan":
        trainer = gan(replace(GAN_CONFIG, **steps), labels, real=real, validate=None)
    else:
        config = replace(VAEGAN_CONFIG, **steps, vae_steps=1 if on_gaussian else 150)
        trainer = vae_gan(config, labels, real=real, validate=None)
    trainer.train()
    depth = [trainer.sample(200, labels=np.full(200, k))[:, 8].mean() for k in (0, 1)]
    assert depth == pytest.approx([-1, -2], abs=0.35)
    drawn = trainer.draw_labels(2000)
    assert drawn.mean() == pytest.approx(labels.mean(), abs=0.05)
    assert trainer.sample(2000)[:, 8].mean() == pytest.approx(real[:, 8].mean(), abs=0.35)


@pytest.mark.parametrize("build", [gan, vae_gan])
def test_a_finished_training_that_other_validation_windows_chose_is_done_again(build, tmp_path):
    """The same training windows with another split: test windows may be validation windows now, or have been."""

    def split(seed):
        return Validation(spikes(100, 16, seed), Context.fit(REAL, 10_000.0, seed=0))

    build(folder=tmp_path, validate=split(1)).train()
    again, other, steps = build(folder=tmp_path, validate=split(1)), build(folder=tmp_path, validate=split(2)), []
    again.train(lambda trainer: steps.append(trainer.step))
    assert not steps, "the same split: the finished training is taken"
    other.train(lambda trainer: steps.append(trainer.step))
    assert steps[0] == 1 and len(steps) == other.total_steps
    fresh = build(folder=tmp_path / "fresh", validate=split(2))
    fresh.train()
    assert other.validation == fresh.validation and other.best_step == fresh.best_step


def test_a_finished_training_is_done_again_when_a_module_that_it_depends_on_has_changed(tmp_path, monkeypatch):
    gan(folder=tmp_path, validate=Validation(REAL[:50], Context.fit(REAL, 10_000.0))).train()
    kept = json.loads((tmp_path / "config.json").read_text())["sources"]
    read = Path.read_bytes
    for module in ("windows/features", "training/losses", "models/gaussian"):

        def edited(path, ending=f"meagan_lib/{module}.py"):
            return read(path) + b"#" * str(path).endswith(ending)

        monkeypatch.setattr(Path, "read_bytes", edited)
        trainer = gan(validate=Validation(REAL[:50], Context.fit(REAL, 10_000.0)))
        assert fingerprint(trainer)["sources"] != kept, module
    monkeypatch.setattr(Path, "read_bytes", read)


def test_samples_are_drawn_without_dropout():
    trainer = gan(replace(GAN_CONFIG, **NOISY))
    trainer.train()
    np.testing.assert_array_equal(trainer.sample(4), trainer.sample(4))
    assert not trainer.ema.training and trainer.generator.training


def test_the_ema_carries_the_statistics_of_batch_normalisation():
    trainer = gan(replace(GAN_CONFIG, g_batch_norm=True))
    trainer.train()
    norm, its = (network.encoder.norm for network in (trainer.ema, trainer.generator))
    assert torch.equal(norm.running_mean, its.running_mean) and norm.running_mean.abs().sum() > 0


def test_divergence_stops_with_the_step_and_a_remedy():
    with pytest.raises(InputError, match=r"diverged at step \d+.*lower the learning rates"):
        gan(replace(GAN_CONFIG, steps=200, loss="wasserstein", gamma=0.0, d_learning_rate=1e18)).train()


def test_each_player_leaves_the_other_alone():
    trainer = gan()
    before = [p.clone() for p in trainer.generator.parameters()]
    trainer.discriminator_step(*trainer.real_batch(), torch.randn(8, 16))
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.generator.parameters()))
    before = [p.clone() for p in trainer.discriminator.parameters()]
    trainer.generator_step(*trainer.real_batch())
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.discriminator.parameters()))


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
    trainer.generator_step(*trainer.real_batch())
    moved = {id(p) for p in [*vae.parameters(), *discriminator.parameters()] if not torch.equal(p, before[id(p)])}
    assert moved == of["encoder"] | of["decoder"]


def test_the_vae_of_both_stages_can_be_had_back_also_after_a_resumed_run(tmp_path):
    first = vae_gan(folder=tmp_path)
    first.train()
    again = vae_gan(folder=tmp_path)
    again.train()
    for trainer in (first, again):
        stages = [trainer.pretrained_vae(), trainer.best_vae()]
        heads = [vae.encoder.head.weight for vae in stages]
        assert not torch.equal(*heads) and not any(vae.training for vae in stages)
    for one, two in zip(first.best_vae().state_dict().values(), again.best_vae().state_dict().values()):
        assert torch.equal(one, two)
    saved = load_file(tmp_path / "encoder.safetensors")
    assert torch.equal(saved["head.weight"], first.best_vae().encoder.head.weight)


def test_samples_come_from_the_ema_that_validation_chose():
    scores = iter([3.0, 1.0, 2.0])
    trainer = gan(validate=scored_by(lambda x: next(scores)))
    trainer.train()
    assert (trainer.best_step, trainer.best_score) == (8, 1.0)
    moved = any(not torch.equal(trainer.best[n], p) for n, p in trainer.generator.state_dict().items())
    assert moved, "the EMA equals the raw weights"


def test_an_early_validation_is_never_kept():
    scores = iter([0.1, 0.9, 0.7, 0.8])
    trainer = gan(replace(GAN_CONFIG, steps=8, validate_every=2), validate=scored_by(lambda windows: next(scores)))
    trainer.train()
    assert (trainer.best_step, trainer.best_score) == (6, 0.7) and len(trainer.validation) == 4


def test_the_penalty_is_r1_plus_r2():
    trainer = gan()
    (real,), fake = trainer.real_batch(), torch.randn(8, 16)
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
    assert len(rows) == GAN_CONFIG.steps and set(rows[0]) == set(GANTrainer.COLUMNS)
    assert not list(tmp_path.glob(".*.part"))


def test_the_learning_rates_fall_to_their_last_fraction():
    trainer = gan(replace(GAN_CONFIG, steps=50))
    trainer.train()
    rates = trainer.history_columns()["d_learning_rate"]
    assert rates[0] == pytest.approx(1e-3) and (np.diff(rates) <= 0).all()
    assert rates[-1] == pytest.approx(5e-5, rel=0.05)


def test_training_brings_samples_nearer_to_the_real_ones():
    trainer = gan(replace(GAN_CONFIG, steps=400, batch_size=32, ema=0.99, g_learning_rate=1e-3), validate=None)
    held_out = spikes(300, 16, seed=1)
    distance = METRICS["sliced_wasserstein"].prepare
    context, every = Context.fit(REAL, 20_000), np.arange(300)
    untrained = distance(held_out, trainer.sample(300), context)(every, every)
    trainer.train()
    trained = distance(held_out, trainer.sample(300), context)(every, every)
    assert trained < 0.3 * untrained, f"from {untrained:.3f} to {trained:.3f}"
