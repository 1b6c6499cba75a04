"""Adversarial losses and penalties: pure functions of the discriminator's outputs (logits, before any sigmoid).

Notation of the thesis: x real, G(z) generated, D their probability of being real; here ``real`` and ``fake`` are the
logits of x and G(z), float (batch,), so that D = σ(logit). Every loss is a scalar to be *minimised*.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus


class AdversarialLoss(NamedTuple):
    """The two sides of a game, both (real, fake) → scalar."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]


def bce_discriminator(
    real: Tensor, fake: Tensor, real_labels: Tensor | float = 1.0, fake_labels: Tensor | float = 0.0
) -> Tensor:
    """−E log D(x) − E log(1 − D(G(z))): the discriminator of the minimax game (thesis, eq. 1.1).

    Each term is −y log D − (1 − y) log(1 − D) (thesis 1.3.5), with labels y that may also be soft or flipped.
    """
    on_real = real_labels * softplus(-real) + (1 - real_labels) * softplus(real)
    on_fake = fake_labels * softplus(-fake) + (1 - fake_labels) * softplus(fake)
    return on_real.mean() + on_fake.mean()


def saturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E log(1 − D(G(z))): the generator of the minimax game (thesis, eq. 1.1), which saturates where D is confident."""
    return -softplus(fake).mean()


def non_saturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """−E log D(G(z)) (thesis, eq. 1.3)."""
    return softplus(-fake).mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E max(0, 1 − D(x)) + E max(0, 1 + D(G(z))) (Lim & Ye 2017, arXiv:1705.02894); G's side is WGAN's."""
    return torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E D(G(z)) − E D(x), D unbounded (thesis, eq. 1.5); a distance for 1-Lipschitz D alone: it needs a penalty."""
    return fake.mean() - real.mean()


def wasserstein_generator(real: Tensor, fake: Tensor) -> Tensor:
    """−E D(G(z)) (thesis, eq. 1.5)."""
    return -fake.mean()


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """½ E (D(x) − 1)² + ½ E D(G(z))² (LSGAN, thesis 1.3.5)."""
    return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()


def least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:
    """½ E (D(G(z)) − 1)² (LSGAN, thesis 1.3.5)."""
    return 0.5 * (fake - 1).square().mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(D(G(z)) − D(x)): real and generated windows compared in pairs (not of the thesis).

    Jolicoeur-Martineau 2018, arXiv:1807.00734; with R1 and R2 it converges locally (Huang 2024, arXiv:2501.05441).
    """
    return softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(D(x) − D(G(z)))."""
    return softplus(real - fake).mean()


LOSSES: dict[str, AdversarialLoss] = {
    "minimax": AdversarialLoss(bce_discriminator, saturating_generator),
    "non_saturating": AdversarialLoss(bce_discriminator, non_saturating_generator),
    "wasserstein": AdversarialLoss(wasserstein_discriminator, wasserstein_generator),
    "hinge": AdversarialLoss(hinge_discriminator, wasserstein_generator),
    "least_squares": AdversarialLoss(least_squares_discriminator, least_squares_generator),
    "relativistic": AdversarialLoss(relativistic_discriminator, relativistic_generator),
}


def squared_gradient_norm(logits: Tensor, x: Tensor) -> Tensor:
    """E ‖∇ₓ D(x)‖²: the norm over the whole window, the mean over the batch.

    ½ γ times this is R1 on real windows and R2 on generated ones (Mescheder et al. 2018, arXiv:1801.04406), not the
    :func:`gradient_penalty` of thesis 1.3.5. ``logits`` (batch,) are of ``x`` (batch, samples), with ``requires_grad``.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, t: Tensor) -> Tensor:
    """E (‖∇ D(x̂)‖ − 1)² at x̂ = t x + (1 − t) G(z), the norm over the whole window (WGAN-GP).

    Gulrajani et al. 2017, arXiv:1704.00028. ``t`` (batch, 1) is uniform in [0, 1]; weight it with λ = 10.
    """
    between = (t * real + (1 - t) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def gaussian_kl(mu: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) in nats, of (batch, latent): ½ Σ (μ² + σ² − 1 − log σ²) over the latent, batch mean."""
    return 0.5 * (mu.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()


def gaussian_nll(x: Tensor, mean: Tensor, log_noise: Tensor) -> Tensor:
    """−log N(x; mean, s²) in nats, summed over the window, mean over the batch; ``log_noise`` = log s, a scalar."""
    scaled = (x - mean) * torch.exp(-log_noise)
    constant = 0.5 * torch.log(torch.tensor(2 * torch.pi))
    return (0.5 * scaled.square() + log_noise + constant).sum(1).mean()


def feature_matching(real: Tensor, fake: Tensor) -> Tensor:
    """½ ‖f(x) − f(x̃)‖², summed over the features f of a discriminator, mean over the batch; both (batch, features).

    Likeness in the discriminator's eyes instead of sample by sample: Larsen et al. 2016, arXiv:1512.09300 (eq. 7).
    """
    return 0.5 * (real - fake).square().sum(1).mean()
