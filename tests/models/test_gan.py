"""The step of a GAN: rates, penalties, labels."""

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from meagan_lib import InputError
from tests.training.test_trainer import GAN_CONFIG, VAEGAN_CONFIG, gan, vae_gan


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


def test_norms_of_gradients_are_in_every_row_of_the_history_and_seldom_found_else():
    rows = {}
    for every in (1, 3):
        trainer = gan(replace(GAN_CONFIG, steps=7, log_every=every, validate_every=100, checkpoint_every=100))
        trainer.train()
        rows[every] = {row["step"]: row for row in trainer.history}
    assert list(rows[3]) == [3, 6, 7] and all(rows[3][step] == rows[1][step] for step in rows[3])
    assert rows[3][3]["g_gradient"] > 0 and gan(replace(GAN_CONFIG, log_every=3)).train_step()["g_gradient"] == 0


def test_labels_are_soft_in_the_ranges_of_the_thesis_and_flipped_as_often_as_asked():
    trainer = gan(replace(GAN_CONFIG, loss="non_saturating", smooth_labels=True))
    ones, zeros = trainer.labels(5000, 5000)
    assert 0.7 <= ones.min() < 0.71 and 1.19 < ones.max() <= 1.2 and zeros.min() >= 0 and 0.29 < zeros.max() <= 0.3
    ones, zeros = gan(replace(GAN_CONFIG, loss="minimax", flip_labels=0.1)).labels(5000, 5000)
    assert float(ones.mean()) == pytest.approx(0.9, abs=0.02) and float(zeros.mean()) == pytest.approx(0.1, abs=0.02)
    with pytest.raises(InputError, match="knows no labels"):
        gan(replace(GAN_CONFIG, loss="hinge", flip_labels=0.1))


def test_an_unknown_loss_is_refused():
    with pytest.raises(InputError, match="choose one of minimax"):
        gan(replace(GAN_CONFIG, loss="wgan"))


@pytest.mark.parametrize("name", ["d_steps", "penalty_every"])
def test_a_number_of_steps_below_one_is_refused(name):
    with pytest.raises(InputError, match=f"{name} is 0: give 1 or more"):
        gan(replace(GAN_CONFIG, **{name: 0}))


def test_each_player_leaves_the_other_alone():
    trainer = gan()
    before = [p.clone() for p in trainer.generator.parameters()]
    trainer.discriminator_step(*trainer.real_batch(), torch.randn(8, 16))
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.generator.parameters()))
    before = [p.clone() for p in trainer.discriminator.parameters()]
    (real,) = trainer.real_batch()
    trainer.generator_step(real, trainer.generated(real))
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.discriminator.parameters()))


def test_the_penalty_is_r1_plus_r2():
    trainer = gan()
    (real,), fake = trainer.real_batch(), torch.randn(8, 16)
    expected = 0.0
    for x in (real, fake):
        x = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(trainer.discriminator(x).sum(), x)
        expected += gradient.square().sum(1).mean().item()
    assert trainer.discriminator_step(real, fake)["penalty"] == pytest.approx(expected, rel=1e-5)


def test_a_penalty_every_few_steps_weighs_as_many_times_more():
    """Over those steps the discriminator descends the same in all, where it stands still."""
    rates = dict(d_learning_rate=0.0, gamma=0.5)
    descended = {}
    for every in (1, 3):
        trainer = gan(replace(GAN_CONFIG, penalty_every=every, **rates))
        (real,), fake, gradients = trainer.real_batch(), torch.linspace(-1, 1, 8 * 16).view(8, 16), []
        for trainer.step in range(3):
            row = trainer.discriminator_step(real, fake)
            assert (row["penalty"] > 0) == (every == 1 or trainer.step == 2)
            gradients.append(torch.cat([p.grad.flatten() for p in trainer.discriminator.parameters()]))
        descended[every] = sum(gradients)
    torch.testing.assert_close(descended[1], descended[3], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("build, config", [(gan, GAN_CONFIG), (vae_gan, VAEGAN_CONFIG)])
def test_with_one_batch_both_players_see_the_same_windows(build, config):
    for one in (False, True):
        trainer, generated = build(replace(config, one_batch=one)), []
        trainer.step = trainer.first_stage
        trainer.generator.register_forward_hook(lambda *_, generated=generated: generated.append(1))
        steps = {name: Mock(wraps=getattr(trainer, name)) for name in ("discriminator_step", "generator_step")}
        vars(trainer).update(steps)
        trainer.train_step()
        (real_d, fake_d), (real_g, (fake_g, *_)) = (step.call_args.args for step in steps.values())
        assert torch.equal(real_d, real_g) is torch.equal(fake_d, fake_g) is one
        assert len(generated) == (1 if one else 2)


def test_the_learning_rates_fall_to_their_last_fraction():
    trainer = gan(replace(GAN_CONFIG, steps=50))
    trainer.train()
    rates = trainer.history_columns()["d_learning_rate"]
    assert rates[0] == pytest.approx(1e-3) and (np.diff(rates) <= 0).all()
    assert rates[-1] == pytest.approx(5e-5, rel=0.05)
