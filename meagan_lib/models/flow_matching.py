"""Flow matching on the Transformer of the GAN: Lipman et al. 2023, arXiv:2210.02747; Liu et al. 2023, arXiv:2209.03003.

A velocity v(x, t) is learned that carries draws of a Gaussian to spike windows as t goes from 0 to 1. On the straight
way x_t = (1 − t) x₀ + t x₁ from a draw x₀ to a window x₁ the velocity is x₁ − x₀, and the loss

    E ‖v(x_t, t) − (x₁ − x₀)‖²

is least where v is the mean velocity of all ways that pass x_t. No discriminator, no game.

The ways of that flow are curved, so that it takes many steps to follow them. Reflow (Liu et al. 2023) trains again on
pairs that belong together, x₀ and the x₁′ where the flow takes it: their straight ways hardly cross, the new velocity
is nearly constant along each, and one or two of Euler's steps follow it.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from meagan_lib import InputError, choose
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gaussian import Gaussian
from meagan_lib.models.generators import convolution_matrix
from meagan_lib.models.neural import NeuralModel
from meagan_lib.models.transformer import TransformerEncoder
from meagan_lib.training.trainer import Trainer, TrainingConfig, seeded


@dataclass(frozen=True)
class FlowConfig(TrainingConfig):
    """A training of flow matching; ``patch`` to ``heads`` are those of a generator's Transformer."""

    batch_size: int = 128
    learning_rate: float = 1e-3
    patch: int = 8
    width: int = 64
    depth: int = 4
    heads: int = 4
    ode_steps: int = 16
    """Steps from t = 0 to t = 1 when windows are drawn."""
    solver: str = "midpoint"
    """What a step is: ``midpoint``, of two evaluations, or ``euler``, of one."""


@dataclass(frozen=True)
class ReflowConfig(FlowConfig):
    """A training of reflow: half of ``steps`` for a flow, the other half for one on the pairs of the first."""

    ode_steps: int = 1
    solver: str = "euler"
    pairs: int = 10_000
    """Pairs (x₀, x₁′) that the first flow is asked for."""
    pair_steps: int = 16
    """Steps of the midpoint rule in which it takes x₀ to x₁′."""


class Flow(nn.Module):
    """Draws of a Gaussian (batch, samples) → windows (batch, samples), along a learned velocity.

    It starts at x₀ = x̄ + W z, a draw from the Gaussian with the mean and covariance of the training windows, and the
    velocity goes through the low-pass of the data, like the signal of a generator: nothing on the way has power above
    the band of the recording. From white noise, with velocities that are not filtered, windows of the simulation were
    recognised at once. A label (batch,) says at which mean the way starts, and the velocity depends on it.
    """

    def __init__(self, config: FlowConfig, data: TrainingData):
        super().__init__()
        choose("solver", config.solver, ("midpoint", "euler"))
        c, gaussian = config, Gaussian.fit(data)
        self.latent, self.samples, self.patch, self.ode_steps = data.samples, data.samples, c.patch, c.ode_steps
        self.solver = c.solver
        self.electrodes, self.uncut = data.electrodes, data.trace + len(data.lowpass) - 1
        self.tokens = data.electrodes * math.ceil(self.uncut / c.patch)
        self.register_buffer("lowpass", convolution_matrix(data.lowpass, data.trace), persistent=False)
        self.register_buffer("mean", torch.tensor(gaussian.mean, dtype=torch.float32))
        self.register_buffer("colouring", torch.tensor(gaussian.colouring(data.samples), dtype=torch.float32))
        self.register_buffer("frequencies", torch.logspace(0, 3, c.width // 2), persistent=False)
        self.embed = nn.Linear(c.patch, c.width)
        self.time = nn.Sequential(nn.Linear(c.width, 2 * c.width), nn.GELU(), nn.Linear(2 * c.width, c.width))
        self.classes = nn.Embedding(data.n_classes, c.width) if data.n_classes else None
        self.encoder = TransformerEncoder(self.tokens, c.width, c.depth, heads=c.heads)
        self.head = nn.Linear(c.width, c.patch)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def start(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Return x₀ of z, both (batch, samples)."""
        return (self.mean if label is None else self.mean[label]) + z @ self.colouring.T

    def velocity(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """Return v(x, t) (batch, samples), of x (batch, samples) at times t (batch, 1)."""
        angles = t * self.frequencies  # (batch, width / 2)
        time = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))  # (batch, width)
        if label is not None:
            time = time + self.classes(label)
        trace = self.samples // self.electrodes
        margin, length = (self.uncut - trace) // 2, self.tokens // self.electrodes * self.patch
        x = nn.functional.pad(x.view(-1, trace), (margin, length - trace - margin))
        tokens = self.embed(x.view(-1, self.tokens, self.patch)) + time[:, None]  # (batch, tokens, width)
        signal = self.head(self.encoder(tokens)).reshape(-1, length)[:, : self.uncut]
        return (signal @ self.lowpass).view(-1, self.samples)

    def follow(self, x: Tensor, label: Tensor | None, solver: str, steps: int) -> Tensor:
        """Return where points x (batch, samples) of t = 0 are at t = 1: dx/dt = v(x, t), in ``steps`` of ``solver``."""
        h = 1 / steps
        for i in range(steps):
            t = torch.full_like(x[:, :1], i * h)
            v = self.velocity(x, t, label)
            if solver == "midpoint":
                v = self.velocity(x + 0.5 * h * v, t + 0.5 * h, label)
            x = x + h * v
        return x

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """(batch, samples) → (batch, samples): from x₀ of z along the velocity, to t = 1."""
        return self.follow(self.start(z, label), label, self.solver, self.ode_steps)


class FlowTrainer(Trainer):
    """Descend E ‖v(x_t, t) − (x₁ − x₀)‖², here as a mean over the samples of a window, with t uniform in [0, 1]."""

    COLUMNS = ("step", "loss", "gradient", "learning_rate")

    def train_step(self) -> dict[str, float]:
        """Do one step down the loss, then move the EMA."""
        rate = self.config.learning_rate * self.cosine(self.step, self.config.steps)
        self.set_rate("generator", rate)
        x0, x1, *label = self.ends()
        t = torch.rand(len(x1), 1, generator=self.rng).to(self.device)
        velocity = self.generator.velocity((1 - t) * x0 + t * x1, t, *label)
        loss = (velocity - (x1 - x0)).square().mean()
        norm = self.descend(loss, "generator")
        self.update_ema()
        return {"loss": loss.item(), "gradient": norm, "learning_rate": rate}

    def ends(self) -> tuple[Tensor, ...]:
        """Draw x₀ and x₁ (batch, samples), independent of each other, and labels (batch,) where there are any."""
        x1, *label = self.real_batch()
        return self.generator.start(self.latent(len(x1)), *label), x1, *label


class ReflowTrainer(FlowTrainer):
    """Train a flow with the first half of all steps, and with the second the same network on the pairs of that flow.

    Validation chooses among weights of the second half, as always; each half has a cosine of its own.
    """

    STATE = (*FlowTrainer.STATE, "pairs")
    pairs: tuple[Tensor, ...] = ()
    """x₀, x₁′ (pairs, samples) and labels (pairs,), once the first half is done."""

    @property
    def half(self) -> int:
        """Steps of the first flow."""
        return self.config.steps // 2

    def cosine(self, step: int, steps: int) -> float:
        """Return the fraction of the first learning rate at a step of a half."""
        first = step < self.half
        return super().cosine(step if first else step - self.half, self.half if first else steps - self.half)

    def out_of_patience(self) -> bool:
        """Say whether ``patience`` validations have brought no gain, never in the first half."""
        return self.step > self.half and super().out_of_patience()

    def ends(self) -> tuple[Tensor, ...]:
        """Draw x₀, x₁ (batch, samples) and labels as a flow does, and in the second half x₀, x₁′ of one pair each."""
        if self.step < self.half:
            return super().ends()
        self.pairs = self.pairs or self.draw_pairs()
        drawn = torch.randint(self.config.pairs, (self.config.batch_size,), generator=self.rng)
        return tuple(part[drawn].to(self.device) for part in self.pairs)

    @torch.no_grad()
    def draw_pairs(self) -> tuple[Tensor, ...]:
        """Draw x₀ and labels, and follow the EMA of the first flow to x₁′."""
        n, columns, parts = self.config.pairs, [self.latent(self.config.pairs)], []
        if self.real_labels is not None:
            columns.append(self.real_labels[torch.randint(len(self.real), (n,), generator=self.rng)])
        for z, *label in zip(*(column.split(500) for column in columns)):
            x0 = self.ema.start(z, *label)
            x1 = self.ema.follow(x0, *(label or [None]), "midpoint", self.config.pair_steps)
            parts.append((x0, x1, *label))
        return tuple(torch.cat(column) for column in zip(*parts))


class FlowMatching(NeuralModel):
    """Windows at the end of the way."""

    Config = FlowConfig
    Trainer = FlowTrainer

    @classmethod
    def build(cls, config: FlowConfig, data: TrainingData) -> Flow:
        """Build the untrained flow, which leaves every draw of the Gaussian where it is; refuse bounded windows."""
        if data.bounded:
            raise InputError("flow matching knows no bounds: give it z-scores")
        return seeded(lambda: Flow(config, data), config.seed)


class Reflow(FlowMatching):
    """Windows at the end of a way that was made straight: one or two steps, where flow matching takes many."""

    Config = ReflowConfig
    Trainer = ReflowTrainer
