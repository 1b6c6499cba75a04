"""Every model keeps the contract: the same bits again, labels, devices, options."""

from dataclasses import replace
from pkgutil import resolve_name

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from meagan_lib import InputError
from meagan_lib.experiments.benchmark import MODELS, THESIS
from meagan_lib.models.contract import TrainingData, band_noise
from meagan_lib.models.flow_matching import FlowConfig, FlowMatching, FlowTrainer, Reflow, ReflowConfig, ReflowTrainer
from meagan_lib.models.neural import BUDGET, NeuralModel
from meagan_lib.models.tts_gan import TTSGAN
from meagan_lib.models.vae import PlainVAE, VAEConfig, VAETrainer
from tests.fixtures import killed_and_resumed, scored_by, spikes
from tests.training.test_trainer import CHANGES as OF_A_GAN

REAL = spikes(400, 16)


TAPS = (0.25, 0.5, 0.25)


DATA = TrainingData(REAL, TAPS, scored_by(lambda drawn: float(drawn.std())))


TINY = {"steps": 2, "snapshots": 2}


PAIRS = {"pairs": 20, "pair_steps": 1}
QUICK = {"vae_gan": {"vae_steps": 1}, "plain_vae_gan": {"vae_steps": 1}, "flow_matching": {"ode_steps": 1}}
QUICK |= {"reflow_1": PAIRS, "reflow_2": PAIRS | {"ode_steps": 2}}


def fitted(name: str, data: TrainingData = DATA, **options):
    kind = resolve_name(MODELS[name])
    return kind.fit(data, **(TINY if issubclass(kind, NeuralModel) else {}) | QUICK.get(name, {}) | options)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_was_saved_draws_the_same_bits(name, tmp_path):
    model = fitted(name, seed=3)
    model.save(tmp_path)
    again = type(model).load(tmp_path)
    drawn = model.sample(30, seed=1)
    assert drawn.shape == (30, 16) and drawn.dtype == np.float32 and np.isfinite(drawn).all()
    torch.rand(1)  # draws of others change nothing
    np.testing.assert_array_equal(again.sample(30, seed=1), drawn)
    np.testing.assert_array_equal(model.sample(30, seed=1), drawn)
    assert not np.array_equal(model.sample(30, seed=2), drawn)
    assert again.n_parameters == model.n_parameters > 0
    assert not list(tmp_path.glob("*.p*")), "nothing is pickled"


@pytest.mark.parametrize("labels", [None, np.arange(400) % 3], ids=["no labels", "labels"])
@pytest.mark.parametrize(
    "name, options",
    [
        ("transformer_gan", {}),
        ("transformer_gan", {"loss": "minimax", "smooth_labels": True, "flip_labels": 0.1}),
        ("transformer_gan", {"loss": "wasserstein", "gradient_penalty": 10.0, "prior": "correlated"}),
        ("vae_gan", {"vae_steps": 1}),
        ("dcgan", {}),
        ("tts_gan", {}),
        ("vae", {}),
        ("flow_matching", {}),
        ("reflow_1", PAIRS),
    ],
)
def test_steps_on_another_device_mix_nothing_with_the_cpu(name, options, labels, monkeypatch):
    """On torch's ``meta``, a device without numbers: it refuses tensors of another, as a GPU does."""
    kind = resolve_name(MODELS[name])
    trainer = kind.trainer(kind.configure(0, device="meta", **TINY | options), replace(DATA, labels=labels), None)
    monkeypatch.setattr(torch.Tensor, "item", lambda tensor: 0.5)
    for optimiser in trainer.optimisers.values():  # the fused ones know no such device
        monkeypatch.setattr(optimiser, "step", lambda: None)
    for _ in range(2):
        assert all(np.isfinite(value) for value in trainer.train_step().values())
        trainer.step += 1
    assert {p.device.type for network in trainer.networks().values() for p in network.parameters()} == {"meta"}


@pytest.mark.parametrize("name", [*THESIS, "dcgan", "tts_gan", "vae", "flow_matching", "reflow_1"])
def test_a_model_that_was_trained_with_labels_asks_for_them(name, tmp_path):
    model = fitted(name, replace(DATA, labels=np.arange(400) % 3))
    model.save(tmp_path)
    labels = np.array([0, 2, 2, 1])
    drawn = model.sample(4, 0, labels)
    np.testing.assert_array_equal(type(model).load(tmp_path).sample(4, 0, labels), drawn)
    assert not np.array_equal(model.sample(4, 0, labels[::-1]), drawn)
    with pytest.raises(InputError, match="say of which"):
        model.sample(4)


def test_of_a_published_config_only_the_budget_can_be_changed():
    assert TTSGAN.configure(steps=3).steps == 3 and set(TINY) < set(BUDGET)
    with pytest.raises(InputError, match="TTSGAN is a published config: of it only steps"):
        TTSGAN.configure(ema=0.5)
    with pytest.raises(InputError, match="did you mean 'ode_steps'.*; meagan_lib/models/flow_matching.py"):
        FlowMatching.configure(ode_step=3)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=9).filter(lambda taps: max(map(abs, taps)) > 0.1))
def test_noise_within_the_band_has_the_colour_of_the_filter_and_unit_variance(taps):
    noise = band_noise(4000, 6, taps, np.random.default_rng(0))
    spread = np.correlate(taps, taps, "full")[len(taps) - 1 :] / np.dot(taps, taps)
    expected = np.pad(spread, (0, 6))[:6]
    found = [np.mean(noise[:, 0] * noise[:, lag]) for lag in range(6)]
    np.testing.assert_allclose(found, expected, atol=0.1)


SMALL = {
    "width": 8,
    "depth": 1,
    "heads": 2,
    "batch_size": 8,
    "validate_every": 4,
    "checkpoint_every": 5,
    "log_every": 1,
    "snapshots": 4,
}


FLOW = FlowConfig(steps=12, ode_steps=2, **SMALL)
REFLOW = ReflowConfig(steps=9, ode_steps=2, solver="midpoint", pairs=20, pair_steps=2, **SMALL)
VAE = VAEConfig(steps=12, latent=8, patch=8, **SMALL)


def flow(config: FlowConfig = FLOW, **options) -> FlowTrainer:
    return FlowMatching.trainer(config, DATA, **{"folder": None} | options)


def reflow(config: ReflowConfig = REFLOW, **options) -> ReflowTrainer:
    return Reflow.trainer(config, DATA, **{"folder": None} | options)


def vae(config: VAEConfig = VAE, **options) -> VAETrainer:
    return PlainVAE.trainer(config, DATA, **{"folder": None} | options)


@pytest.mark.parametrize("build", [flow, reflow, vae])
def test_an_interrupted_fit_ends_in_the_bits_of_an_undisturbed_one(build, tmp_path):
    _, _, steps = killed_and_resumed(build, tmp_path, at=8)
    assert steps[0] == 6, "the checkpoint was not used"
    done, kept = build(folder=tmp_path / "whole"), torch.load(tmp_path / "whole" / "checkpoint.pt", weights_only=True)
    done.train()
    assert done.seconds >= kept["attributes"]["seconds"] > 0, "a resumed run forgets what it took before"


CHANGES = OF_A_GAN | {"learning_rate": 1e-2, "patch": 4, "width": 16, "ode_steps": 3, "on_gaussian": False}
CHANGES |= {"solver": "euler", "pairs": 10, "pair_steps": 3}


def trace(build, folder, **options) -> tuple:
    """Everything that a run leaves."""
    trainer, written = build(replace(build().config, **options), folder=folder), set()
    trainer.validate, trainer.n_validate = scored_by(lambda drawn: 1.0), 2
    checkpoint = folder / "checkpoint.pt"
    trainer.train(lambda _: written.add(checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0))
    return (
        trainer.sample(3).tolist(),
        str(trainer.history),
        str(trainer.validation),
        list(trainer.snapshots),
        len(written),
    )


@pytest.mark.parametrize("build", [flow, reflow, vae])
def test_every_option_of_a_baseline_changes_the_run(build, tmp_path):
    # how labels are given is told by tests of labels, in test_generators
    fields = [f for f in type(build().config).__dataclass_fields__ if f not in ("device", "conditioning")]
    traces = {f: trace(build, tmp_path / f, **{f: CHANGES[f]}) for f in fields}
    assert len({str(t) for t in traces.values()} | {str(trace(build, tmp_path / "base"))}) == len(fields) + 1
