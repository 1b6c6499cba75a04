"""Each loss is its formula."""

import pytest
import torch

from meagan_lib import losses
from meagan_lib.losses import LOSSES

REAL, FAKE = torch.tensor([1.3, -0.4, 2.0]), torch.tensor([-0.7, 0.9, 0.1])
P, Q = torch.sigmoid(REAL), torch.sigmoid(FAKE)

FORMULAS = {
    "minimax": (-(P.log() + (1 - Q).log()).mean(), (1 - Q).log().mean()),
    "non_saturating": (-(P.log() + (1 - Q).log()).mean(), -Q.log().mean()),
    "wasserstein": (FAKE.mean() - REAL.mean(), -FAKE.mean()),
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
