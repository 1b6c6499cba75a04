"""A training that starts from the weights of another one: fine-tuning."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from meagan_lib import InputError
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gan import GAN
from meagan_lib.models.vae_gan import VAEGAN
from tests.fixtures import killed_and_resumed, scored_by, spikes
from tests.training.test_trainer import GAN_CONFIG, LABELS, REAL, VAEGAN_CONFIG

OTHER = spikes(300, 16, seed=5)
MODELS = {"gan": (GAN, GAN_CONFIG), "vae_gan": (VAEGAN, VAEGAN_CONFIG)}
TUNED = {"steps": 8, "seed": 3}


@pytest.fixture(params=MODELS)
def of(request, tmp_path):
    """A model with its config, and the folder of its finished training."""
    model, config = MODELS[request.param]
    trained(model, config, REAL, folder=tmp_path / "source").train()
    return model, config, tmp_path / "source"


def trained(model, config, real, folder=None, start_from=None):
    trainer = model.trainer(
        config, TrainingData(real, validate=scored_by(lambda x: float(x.std()))), folder, start_from
    )
    trainer.n_validate = 10
    return trainer


def weights(trainer) -> dict[str, torch.Tensor]:
    networks = {**trainer.networks(), "ema": trainer.ema}
    return {f"{n}.{key}": t.clone() for n, network in networks.items() for key, t in network.state_dict().items()}


def test_training_begins_with_the_weights_that_the_other_one_kept_and_with_a_new_optimiser(of):
    model, config, source = of
    trainer = trained(model, replace(config, **TUNED), OTHER, start_from=source)
    kept = load_file(source / "model.safetensors")
    for network in (trainer.generator, trainer.ema):
        assert all(torch.equal(tensor, kept[name]) for name, tensor in network.state_dict().items())
    for name, network in trainer.companions().items():
        kept = load_file(source / f"{name}.safetensors")
        assert kept and all(torch.equal(tensor, kept[key]) for key, tensor in network.state_dict().items())
    covered = {p for part in (trainer.generator, *trainer.companions().values()) for p in part.parameters()}
    assert covered == {p for network in trainer.networks().values() for p in network.parameters()}
    assert not any(optimiser.state for optimiser in trainer.optimisers.values())
    start = weights(trainer)
    trainer.train()
    assert any(not torch.equal(tensor, start[name]) for name, tensor in weights(trainer).items())


def test_a_fine_tuned_training_that_was_interrupted_ends_in_the_same_bits_and_says_where_it_began(of, tmp_path):
    model, config, source = of
    build = partial(trained, model, replace(config, checkpoint_every=4, **TUNED), OTHER, start_from=source)
    _, _, steps = killed_and_resumed(build, tmp_path, at=7)
    assert steps[0] > 1, "the checkpoint was not used"
    started = json.loads((tmp_path / "whole" / "config.json").read_text())["start_from"]
    assert set(started) >= {"model", "discriminator"} and all(len(sha) == 64 for sha in started.values())
    assert "start_from" not in json.loads((source / "config.json").read_text())


def test_a_checkpoint_of_a_training_that_began_elsewhere_is_not_resumed(of, tmp_path):
    model, config, source = of
    build = partial(trained, model, replace(config, **TUNED), OTHER, folder=tmp_path / "tuned")
    build().train()
    again, steps = build(start_from=source), []
    again.train(lambda trainer: steps.append(trainer.step))
    assert steps[0] == 1


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"patch": 8}, "with patch = 4; here it is 8"),
        ({"width": 32}, "with width = 16; here it is 32"),
        ({"heads": 1}, "with heads = 2; here it is 1"),
        ({"positions": "learned"}, "with positions = sinusoidal"),
        ({"discriminator": "transformer"}, "with discriminator = convolutional"),
    ],
)
def test_networks_that_do_not_fit_are_refused(of, change, sentence):
    model, config, source = of
    with pytest.raises(InputError, match=sentence):
        trained(model, replace(config, **change), OTHER, start_from=source)


def test_weights_of_other_windows_damaged_ones_and_none_at_all_are_refused(of, tmp_path):
    model, config, source = of
    for data in (TrainingData(spikes(50, 24)), TrainingData(REAL, labels=LABELS), TrainingData(REAL, electrodes=2)):
        with pytest.raises(InputError, match="another number of samples, of electrodes or of classes"):
            model.trainer(config, data, start_from=source)
    with pytest.raises(InputError, match=r"no finished training .* \(no config.json\)"):
        trained(model, config, OTHER, start_from=tmp_path / "nothing")
    save_file({"x": torch.zeros(1)}, source / "discriminator.safetensors")
    with pytest.raises(InputError, match="discriminator.safetensors"):
        trained(model, config, OTHER, start_from=source)
    (source / "discriminator.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="the file is damaged"):
        trained(model, config, OTHER, start_from=source)


def test_the_gaussian_is_that_of_these_windows_with_axes_turned_as_little_as_can_be(tmp_path):
    config = replace(GAN_CONFIG, on_gaussian=True, latent=20)
    trained(GAN, config, REAL, folder=tmp_path).train()
    source = load_file(tmp_path / "model.safetensors")
    tuned, fresh = (trained(GAN, config, OTHER, start_from=start).generator for start in (tmp_path, None))
    assert torch.equal(tuned.mean, fresh.mean) and torch.equal(tuned.head.weight, source["head.weight"])
    covariance = np.cov(OTHER, rowvar=False)
    np.testing.assert_allclose((tuned.colouring @ tuned.colouring.T).numpy(), covariance, atol=1e-3 * covariance.max())
    moved = [(g.colouring - source["colouring"]).norm() for g in (tuned, fresh)]
    assert moved[0] < moved[1], "axes of its own would lie farther from those that the network knows"
    same = trained(GAN, config, REAL, start_from=tmp_path).generator
    np.testing.assert_allclose(same.colouring, source["colouring"], atol=1e-3)
