"""Each loss is its formula."""

import pytest
import torch

from meagan_lib.training import losses
from meagan_lib.training.losses import LOSSES

REAL, FAKE = torch.tensor([1.3, -0.4, 2.0]), torch.tensor([-0.7, 0.9, 0.1])
P, Q = torch.sigmoid(REAL), torch.sigmoid(FAKE)

FORMULAS = {
    "minimax": (-(P.log() + (1 - Q).log()).mean(), (1 - Q).log().mean()),
    "non_saturating": (-(P.log() + (1 - Q).log()).mean(), -Q.log().mean()),
    "wasserstein": (FAKE.mean() - REAL.mean(), -FAKE.mean()),
    "hinge": ((1 - REAL).clamp(min=0).mean() + (1 + FAKE).clamp(min=0).mean(), -FAKE.mean()),
    "least_squares": (0.5 * ((REAL - 1) ** 2 + FAKE**2).mean(), 0.5 * ((FAKE - 1) ** 2).mean()),
    "relativistic": ((1 + (FAKE - REAL).exp()).log().mean(), (1 + (REAL - FAKE).exp()).log().mean()),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_is_its_formula(name):
    d, g = FORMULAS[name]
    torch.testing.assert_close(LOSSES[name].discriminator(REAL, FAKE), d)
    torch.testing.assert_close(LOSSES[name].generator(REAL, FAKE), g)


def test_the_gradient_norm_of_a_linear_discriminator_is_its_weight():
    weight = torch.tensor([3.0, -4.0, 12.0])
    x = torch.randn(5, 3, requires_grad=True)
    torch.testing.assert_close(losses.squared_gradient_norm(x @ weight, x), torch.tensor(169.0))


def test_soft_and_flipped_labels_are_binary_cross_entropy():
    y, t = torch.tensor([0.9, 1.0, 0.0]), torch.tensor([0.1, 0.0, 1.0])
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    torch.testing.assert_close(losses.bce_discriminator(REAL, FAKE, y, t), bce(REAL, y) + bce(FAKE, t))


def test_the_gradient_penalty_of_a_linear_discriminator_is_analytic():
    weight = torch.tensor([3.0, -4.0, 12.0])
    real, fake = torch.randn(2, 5, 3)
    penalty = losses.gradient_penalty(lambda x: x @ weight, real, fake, torch.rand(5, 1))
    torch.testing.assert_close(penalty, torch.tensor((13.0 - 1) ** 2))


def test_the_gradient_penalty_is_taken_between_real_and_generated_windows():
    real, fake, t = torch.ones(4, 2), -torch.ones(4, 2), torch.tensor([[0.0], [0.25], [0.5], [1.0]])
    penalty = losses.gradient_penalty(lambda x: 0.5 * x.square().sum(1), real, fake, t)  # ∇D(x) = x
    norms = (2 * t - 1).abs().squeeze(1) * 2**0.5
    torch.testing.assert_close(penalty, (norms - 1).square().mean())


def test_wgan_measures_the_shift_of_a_known_pair():
    """W₁ of two point masses, 1-Lipschitz D(x) = x: the loss is minus their distance."""
    x, y = torch.full((8,), 2.5), torch.full((8,), -1.0)
    torch.testing.assert_close(LOSSES["wasserstein"].discriminator(x, y), torch.tensor(-3.5))


def test_kl_agrees_with_torch_distributions():
    mu, log_variance = torch.randn(4, 3), torch.randn(4, 3)
    q = torch.distributions.Normal(mu, (0.5 * log_variance).exp())
    reference = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(losses.gaussian_kl(mu, log_variance), reference)


def test_the_likelihood_agrees_with_torch_distributions():
    x, mean, log_noise = torch.randn(4, 6), torch.randn(4, 6), torch.tensor(-0.7)
    reference = -torch.distributions.Normal(mean, log_noise.exp()).log_prob(x).sum(1).mean()
    torch.testing.assert_close(losses.gaussian_nll(x, mean, log_noise), reference)


def test_feature_matching_is_a_gaussian_likelihood_up_to_a_constant():
    a, b = torch.randn(4, 6), torch.randn(4, 6)
    likelihood = -torch.distributions.Normal(b, 1.0).log_prob(a).sum(1).mean()
    constant = 6 * 0.5 * torch.log(torch.tensor(2 * torch.pi))
    torch.testing.assert_close(losses.feature_matching(a, b), likelihood - constant)
