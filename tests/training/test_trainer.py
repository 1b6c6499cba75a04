"""The loop: what it changes, what it keeps, and that it resumes to the same bits."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from meagan_lib import InputError
from meagan_lib.evaluation.context import Context
from meagan_lib.evaluation.metrics import METRICS
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gan import GAN, GANConfig, GANTrainer
from meagan_lib.models.vae_gan import VAEGAN, VAEGANConfig, VAEGANTrainer
from meagan_lib.training.trainer import build_config
from tests.fixtures import scored_by, spikes

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
    "penalty_every": 2,
    "one_batch": True,
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
    "total_loss": "thesis",
    "vae_weight": 1.0,
    "beta": 4.0,
    "reconstruction_fraction": 0.5,
    "encoder_rate_fraction": 1.0,
}


NEEDS = {  # what an option is an option of
    "vae_weight": {"total_loss": "thesis"},
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


@pytest.fixture(scope="module")
def traces() -> dict[str, tuple]:
    """What runs leave that several options are compared with."""
    return {}


@pytest.mark.parametrize(
    "field", [f for f in VAEGANConfig.__dataclass_fields__ if f not in ("prior", "device", "conditioning")]
)
def test_every_option_changes_the_run(field, tmp_path, traces):
    base = replace(VAEGAN_CONFIG, **NEEDS.get(field, {}))
    # Samples calm down as training goes on: a score that asks for the opposite never gains.
    worse = {"validate": scored_by(lambda x: -float(x.std()))} if field in ("plateau_validations", "patience") else {}
    changed = replace(base, **{field: CHANGES[field]})
    as_it_is = repr((base, list(worse)))
    if as_it_is not in traces:
        traces[as_it_is] = trace(base, tmp_path / "a", **worse)
    assert traces[as_it_is] != trace(changed, tmp_path / "b", **worse)


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


def test_training_stops_when_patience_runs_out_and_keeps_the_best():
    scores = iter([3.0, 1.0, 2.0, 2.5, 0.5])
    trainer = gan(
        replace(GAN_CONFIG, steps=100, validate_every=4, patience=2), validate=scored_by(lambda x: next(scores))
    )
    trainer.train()
    assert (trainer.step, trainer.best_step, trainer.best_score) == (16, 8, 1.0)


def test_divergence_keeps_the_weights_that_were_best(tmp_path):
    config = replace(GAN_CONFIG, steps=200, loss="wasserstein", gamma=0.0, patience=100)
    trainer = gan(config, folder=tmp_path)

    def explode(trainer):
        if trainer.step == 10:
            trainer.optimisers["d"].param_groups[0]["params"][0].data.fill_(float("nan"))

    with pytest.raises(InputError, match=r"step 11: d_loss.*the weights of step [48] are kept"):
        trainer.train(explode)
    assert (tmp_path / "model.safetensors").is_file()


def test_a_config_refuses_what_it_does_not_know():
    assert build_config(GANConfig, steps=3, gamma=1, adam_betas=[0.5, 0.9]) == GANConfig(
        steps=3, gamma=1, adam_betas=(0.5, 0.9)
    )
    with pytest.raises(InputError, match="'gama' is no option of GANConfig: did you mean 'gamma'"):
        build_config(GANConfig, gama=1.0)
    betas = {"adam_betas": [0.5, "a"]}, {"adam_betas": 1}
    for wrong in ({"steps": 3.5}, {"smooth_labels": 1}, {"loss": 3}, {"steps": True}, *betas):
        with pytest.raises(InputError, match=r"parameter options.\w+(\[1\])? is .* \(by default"):
            build_config(GANConfig, **wrong)
    for wrong in ({"heads": 0}, {"gamma": float("nan")}, {"seed": -1}, {"d_dropout": 1.0}, {"batch_size": 0}):
        with pytest.raises(InputError, match=f"options.{next(iter(wrong))} is .*: it must be"):
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
def test_a_conditional_model_generates_the_window_that_it_is_asked_for(model, on_gaussian):
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


def test_samples_come_from_the_ema_that_validation_chose():
    scores = iter([3.0, 1.0, 2.0])
    trainer = gan(validate=scored_by(lambda x: next(scores)))
    at_8 = {}

    def keep(trainer):
        if trainer.step == 8:
            at_8.update(ema=copy.deepcopy(trainer.ema.state_dict()), raw=copy.deepcopy(trainer.generator.state_dict()))

    trainer.train(keep)
    assert (trainer.best_step, trainer.best_score) == (8, 1.0)
    assert all(torch.equal(trainer.best[n], p) for n, p in at_8["ema"].items())
    assert any(not torch.equal(trainer.best[n], p) for n, p in at_8["raw"].items()), "the EMA equals the raw weights"
    np.testing.assert_array_equal(trainer.sample(4), trainer.draw(trainer.best_generator(), 4))


def test_an_early_validation_is_never_kept():
    scores = iter([0.1, 0.9, 0.7, 0.8])
    trainer = gan(replace(GAN_CONFIG, steps=8, validate_every=2), validate=scored_by(lambda windows: next(scores)))
    trainer.train()
    assert (trainer.best_step, trainer.best_score) == (6, 0.7) and len(trainer.validation) == 4


def test_training_brings_samples_nearer_to_the_real_ones():
    trainer = gan(replace(GAN_CONFIG, steps=400, batch_size=32, ema=0.99, g_learning_rate=1e-3), validate=None)
    held_out = spikes(300, 16, seed=1)
    distance = METRICS["sliced_wasserstein"].prepare
    context, every = Context.fit(REAL, 20_000), np.arange(300)
    untrained = distance(held_out, trainer.sample(300), context)(every, every)
    trainer.train()
    trained = distance(held_out, trainer.sample(300), context)(every, every)
    assert trained < 0.3 * untrained, f"from {untrained:.3f} to {trained:.3f}"
