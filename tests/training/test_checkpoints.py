"""What a training leaves: it resumes to the same bits, and takes nothing that another training left."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from meagan_lib.evaluation.context import Context
from meagan_lib.evaluation.metrics import Validation
from meagan_lib.models.gan import GANTrainer
from meagan_lib.training.checkpoints import fingerprint
from tests.fixtures import killed_and_resumed, spikes
from tests.training.test_trainer import GAN_CONFIG, LABELS, NOISY, REAL, VAEGAN_CONFIG, gan, vae_gan


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
    whole, again, steps_done = killed_and_resumed(build, tmp_path, at=9)
    assert 1 < steps_done[0] <= 9, "the checkpoint was not used"
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
    assert fingerprint(gan(validate=Validation(REAL[:50], Context.fit(REAL, 10_000.0))))["sources"] == kept


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


def test_the_results_on_disk(tmp_path):
    trainer = gan(folder=tmp_path)
    trainer.train()
    for name, tensor in load_file(tmp_path / "model.safetensors").items():
        assert torch.equal(tensor, trainer.best[name])
    rows = list(csv.DictReader((tmp_path / "history.csv").open()))
    assert len(rows) == GAN_CONFIG.steps and set(rows[0]) == set(GANTrainer.COLUMNS)
    assert not list(tmp_path.glob(".*.part"))
