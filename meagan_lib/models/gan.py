"""The GAN of chapter 3: a generator against a discriminator, by any loss of the thesis (1.3.3, Algorithm 1; 1.3.5).

By default the Transformer-GAN: a Transformer generator against strided convolutions. Both players may have a label as a
second input (cGAN, Mirza & Osindero 2014, arXiv:1411.1784).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from meagan_lib import InputError, choose
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.discriminators import DISCRIMINATORS, Discriminator
from meagan_lib.models.gaussian import Gaussian
from meagan_lib.models.generators import GeneratorConfig, build_generator
from meagan_lib.models.neural import NeuralModel
from meagan_lib.training import losses
from meagan_lib.training.priors import PRIORS
from meagan_lib.training.trainer import Trainer, seeded

SCHEDULES = ("constant", "step", "cosine", "plateau")
OPTIMISERS = ("adam", "sgd")
LABELLED = ("minimax", "non_saturating")
"""Losses that compare with labels real and fake, which can be soft or flipped."""


@dataclass(frozen=True)
class GANConfig(GeneratorConfig):
    """The config of a GAN: the discriminator, the game, the optimisers; ``steps`` are those of the generator."""

    discriminator: str = "convolutional"
    """``convolutional``, ``whitened`` or ``transformer``: a name of ``DISCRIMINATORS``."""
    d_dropout: float = 0.0
    d_batch_norm: bool = False
    prior: str = "gaussian"
    """Where z comes from: a name of ``PRIORS``; a VAE-GAN's is Gaussian."""
    loss: str = "relativistic"
    """A name of ``losses.LOSSES``."""
    gamma: float = 0.1
    """Weight of the gradient penalties R1 (real) and R2 (generated): ½ γ E‖∇D‖²."""
    penalty_every: int = 1
    """Steps from one R1 + R2 to the next, which weighs as many times more (Karras et al. 2020, arXiv:1912.04958)."""
    d_learning_rate: float = 1e-3
    g_learning_rate: float = 2e-4
    d_schedule: str = "cosine"
    g_schedule: str = "cosine"
    """How the rates fall: a name of ``SCHEDULES``."""
    halve_every: int = 1000
    """Steps after which the schedule ``step`` halves a rate, again and again."""
    plateau_validations: int = 2
    """Validations without a gain after which the schedule ``plateau`` halves a rate."""
    optimiser: str = "adam"
    """``adam``, or ``sgd``: stochastic gradient descent with momentum, the original of Algorithm 1."""
    adam_betas: tuple[float, float] = (0.0, 0.9)
    momentum: float = 0.5
    d_steps: int = 1
    """k of Algorithm 1: discriminator steps before a generator step."""
    one_batch: bool = False
    """Whether the generator descends on the windows that its discriminator has just seen, or on new ones."""
    gradient_penalty: float = 0.0
    """λ of WGAN-GP: weight of E (‖∇D‖ − 1)² between real and generated windows."""
    clip_weights: float = 0.0
    """WGAN: the discriminator's weights are kept in ± this; 0: not at all."""
    smooth_labels: bool = False
    """Soft labels, real ones uniform in [0.7, 1.2], generated ones in [0, 0.3] (thesis 1.3.5)."""
    flip_labels: float = 0.0
    """Fraction of noisy labels: windows whose label is that of the other side."""


class GANTrainer(Trainer):
    """Train a generator against a discriminator, windows (batch, samples) → logits (batch,)."""

    COLUMNS = tuple(
        "step d_loss g_loss d_real d_fake penalty d_gradient g_gradient d_learning_rate g_learning_rate".split()
    )

    def __init__(self, generator: nn.Module, discriminator: nn.Module, real: np.ndarray, config: GANConfig, **options):
        known = {"loss": losses.LOSSES, "optimiser": OPTIMISERS, "prior": PRIORS}
        for what, names in {**known, "d_schedule": SCHEDULES, "g_schedule": SCHEDULES}.items():
            choose(what, getattr(config, what), names)
        for name in ("d_steps", "penalty_every"):
            if (steps := getattr(config, name)) < 1:
                raise InputError(f"{name} is {steps}: give 1 or more")
        if (config.smooth_labels or config.flip_labels) and config.loss not in LABELLED:
            others = ", ".join(LABELLED)
            raise InputError(f"the loss {config.loss} knows no labels to smooth or flip: choose one of {others}")
        self.discriminator, self.loss, self.prior = discriminator, losses.LOSSES[config.loss], config.prior
        super().__init__(generator, real, config, **options)

    def networks(self) -> dict[str, nn.Module]:
        """Return both players."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    def companions(self) -> dict[str, nn.Module]:
        """Return the discriminator, from which another training may start."""
        return {"discriminator": self.discriminator}

    def adopted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return weights of another generator on the Gaussian of these windows, where there is one."""
        return self.generator.on_own_gaussian(weights) if hasattr(self.generator, "on_own_gaussian") else weights

    def build_optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the optimiser of each player."""
        return {
            "d": self.build_optimiser(self.discriminator, self.config.d_learning_rate),
            "g": self.build_optimiser(self.generator, self.config.g_learning_rate),
        }

    def build_optimiser(self, network: nn.Module, rate: float) -> torch.optim.Optimizer:
        """Return the optimiser of the config for one network."""
        c = self.config
        if c.optimiser == "sgd":
            return torch.optim.SGD(network.parameters(), rate, c.momentum, fused=True)
        return torch.optim.Adam(network.parameters(), rate, c.adam_betas, fused=True)

    def train_step(self) -> dict[str, float]:
        """Do ``d_steps`` discriminator steps, then one generator step; returns what the history records."""
        c = self.config
        self.set_rates(self.stage_step)
        for _ in range(c.d_steps):
            real, *label = self.real_batch()
            with torch.set_grad_enabled(c.one_batch):
                generated = self.generated(real, *label)
            row = self.discriminator_step(real, generated[0].detach(), *label)
        if not c.one_batch:
            real, *label = self.real_batch()
            generated = self.generated(real, *label)
        return row | self.generator_step(real, generated, *label)

    def generated(self, real: Tensor, *label: Tensor) -> tuple[Tensor, ...]:
        """Generate windows, one for each real one, with its label; a subclass may add what it needs of them later."""
        return (self.generator(self.latent(len(real)), *label),)

    def discriminator_step(self, real: Tensor, fake: Tensor, *label: Tensor) -> dict[str, float]:
        """Descend the discriminator's loss + ½ γ (R1 + R2) + λ · gradient penalty.

        Real and fake (batch, samples) share their labels (batch,), where there are any.
        """
        c, due = self.config, (self.stage_step + 1) % self.config.penalty_every == 0
        gamma = c.gamma * c.penalty_every * due
        both = torch.cat([real, fake]).requires_grad_(gamma > 0)
        logits = self.discriminator(both, *(torch.cat([y, y]) for y in label))
        on_real, on_fake = logits.split([len(real), len(fake)])
        loss = self.loss.discriminator(on_real, on_fake, *self.labels(len(real), len(fake)))
        penalty = torch.zeros((), device=self.device)
        if gamma > 0:  # one pass for both: the mean over the joint batch is half of R1 + R2
            penalty = 2 * losses.squared_gradient_norm(logits, both)
        total = loss + 0.5 * gamma * penalty
        if c.gradient_penalty:
            between = torch.rand(len(real), 1, generator=self.rng).to(self.device)
            slope = losses.gradient_penalty(lambda x: self.discriminator(x, *label), real, fake, between)
            penalty, total = penalty + slope, total + c.gradient_penalty * slope
        norm = self.descend(total, "d")
        if c.clip_weights:
            with torch.no_grad():
                for p in self.discriminator.parameters():
                    p.clamp_(-c.clip_weights, c.clip_weights)
        return {
            "d_loss": loss.item(),
            "penalty": penalty.item(),
            "d_gradient": norm,
            **{f"{name}_learning_rate": self.optimisers[name].param_groups[0]["lr"] for name in ("d", "g")},
            "d_real": torch.sigmoid(on_real).mean().item(),
            "d_fake": torch.sigmoid(on_fake).mean().item(),
        }

    def generator_step(self, real: Tensor, generated: tuple[Tensor, ...], *label: Tensor) -> dict[str, float]:
        """Descend the generator's loss on what :meth:`generated` gave, then move the EMA."""
        loss = self.loss.generator(*self.seen(self.discriminator, real, generated[0], *label))
        norm = self.descend(loss, "g")
        self.update_ema()
        return {"g_loss": loss.item(), "g_gradient": norm}

    def seen(self, by: Callable[..., Tensor], real: Tensor, fake: Tensor, *label: Tensor) -> tuple[Tensor, Tensor]:
        """Return what a part of the discriminator says of real windows, without a gradient, and of generated ones."""
        if self.config.d_batch_norm:  # its statistics are those of both
            on_real, on_fake = by(torch.cat([real, fake]), *(torch.cat([y, y]) for y in label)).chunk(2)
            return on_real.detach(), on_fake
        with torch.no_grad():
            on_real = by(real, *label)
        return on_real, by(fake, *label)

    def labels(self, n_real: int, n_fake: int) -> tuple[Tensor, ...]:
        """Draw labels (n_real,) and (n_fake,) for the discriminator; none where they are plainly 1 and 0."""
        c = self.config
        if not (c.smooth_labels or c.flip_labels):
            return ()
        uniform = torch.rand(n_real + n_fake, generator=self.rng).split([n_real, n_fake])
        ones, zeros = torch.ones(n_real), torch.zeros(n_fake)
        if c.smooth_labels:
            ones, zeros = 0.7 + 0.5 * uniform[0], 0.3 * uniform[1]
        flip = torch.rand(n_real + n_fake, generator=self.rng).lt(c.flip_labels).split([n_real, n_fake])
        labels = torch.where(flip[0], 1 - ones, ones), torch.where(flip[1], 1 - zeros, zeros)
        return tuple(label.to(self.device) for label in labels)

    def set_rates(self, step: int) -> None:
        """Set both learning rates to those of a step."""
        c = self.config
        fractions = {
            "constant": lambda: 1.0,
            "step": lambda: 0.5 ** (step // c.halve_every),
            "cosine": lambda: self.cosine(step, c.steps),
            "plateau": self._plateau,
        }
        self.set_rate("d", c.d_learning_rate * fractions[c.d_schedule]())
        self.set_rate("g", c.g_learning_rate * fractions[c.g_schedule]())

    def _plateau(self) -> float:
        """Return the fraction of a rate that is halved after every ``plateau_validations`` without a gain."""
        best, waited, fraction = math.inf, 0, 1.0
        for row in self.validation:
            best, waited = (row["score"], 0) if row["score"] < best else (best, waited + 1)
            if waited == self.config.plateau_validations:
                fraction, waited = fraction / 2, 0
        return fraction


class GAN(NeuralModel):
    """A generator against a discriminator, of any config; by default the Transformer-GAN."""

    Config = GANConfig
    Trainer = GANTrainer
    SAME = tuple(
        "generator latent patch width depth heads positions conditioning on_gaussian prior g_batch_norm g_dropout "
        "discriminator d_batch_norm d_dropout".split()
    )

    build = staticmethod(build_generator)

    @classmethod
    def discriminator(cls, config: GANConfig, data: TrainingData) -> Discriminator:
        """Build the untrained discriminator; its weights depend on ``config.seed`` alone."""
        choose("discriminator", config.discriminator, DISCRIMINATORS)
        options = dict(dropout=config.d_dropout, batch_norm=config.d_batch_norm, classes=data.n_classes)
        if config.discriminator != "transformer":
            options["electrodes"] = data.electrodes
        if config.discriminator == "whitened":
            options["gaussian"] = Gaussian(data.train)
        return seeded(lambda: DISCRIMINATORS[config.discriminator](data.samples, **options), config.seed + 1)

    @classmethod
    def networks(cls, config: GANConfig, data: TrainingData) -> tuple[nn.Module, ...]:
        """Build both players."""
        return cls.build(config, data), cls.discriminator(config, data)
