"""Flow matching on the Transformer of the GAN: Lipman et al. 2023, arXiv:2210.02747; Liu et al. 2023, arXiv:2209.03003.

A velocity v(x, t) is learned that carries draws of a Gaussian to spike windows as t goes from 0 to 1. On the straight
way x_t = (1 − t) x₀ + t x₁ from a draw x₀ to a window x₁ the velocity is x₁ − x₀, and the loss

    E ‖v(x_t, t) − (x₁ − x₀)‖²

is least where v is the mean velocity of all ways that pass x_t. No discriminator, no game.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from meagan_lib import InputError
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gaussian import Gaussian
from meagan_lib.models.neural import NeuralModel
from meagan_lib.models.transformer_gan import TransformerEncoder, convolution_matrix, n_classes
from meagan_lib.training.trainer import Trainer, TrainingConfig, seeded


@dataclass(frozen=True)
class FlowConfig(TrainingConfig):
    """The config of flow matching."""

    batch_size: int = 128
    learning_rate: float = 1e-3
    patch: int = 8
    """Samples of a token."""
    width: int = 64
    """Numbers of a token."""
    depth: int = 4
    """Transformer blocks."""
    heads: int = 4
    """Heads of their attention."""
    ode_steps: int = 16
    """Steps of the midpoint rule from t = 0 to t = 1, each of two evaluations, when windows are drawn."""


class Flow(nn.Module):
    """Draws of a Gaussian (batch, samples) → windows (batch, samples), along a learned velocity.

    Nothing on the way has power above the band of the recording: it starts at x₀ = x̄ + W z, a draw from ``gaussian``,
    the mean and covariance of the training windows, and the velocity is filtered with the taps (odd,) of ``lowpass``,
    like the signal of a generator. From white noise, with velocities that are not filtered, windows of the simulation
    were told from real ones at once.

    With ``classes`` the way starts from the mean of the class, and the velocity is told the label (batch,).
    """

    def __init__(
        self,
        samples: int,
        lowpass: Sequence[float],
        gaussian: Gaussian,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        ode_steps: int,
        classes: int = 0,
    ):
        super().__init__()
        self.latent, self.samples, self.patch, self.ode_steps = samples, samples, patch, ode_steps
        self.uncut = samples + len(lowpass) - 1
        self.tokens = math.ceil(self.uncut / patch)
        self.register_buffer("lowpass", convolution_matrix(lowpass, samples), persistent=False)
        self.register_buffer("mean", torch.tensor(gaussian.mean, dtype=torch.float32))
        self.register_buffer("colouring", torch.tensor(gaussian.colouring(samples), dtype=torch.float32))
        frequencies = torch.logspace(0, 3, width // 2)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.embed = nn.Linear(patch, width)
        self.time = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.classes = nn.Embedding(classes, width) if classes else None
        self.encoder = TransformerEncoder(self.tokens, width, depth, heads, expansion=2)
        self.head = nn.Linear(width, patch)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def start(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """x₀ of z, both (batch, samples)."""
        return (self.mean if label is None else self.mean[label]) + z @ self.colouring.T

    def velocity(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """v(x, t), of x (batch, samples) at times t (batch, 1): (batch, samples)."""
        angles = t * self.frequencies  # (batch, width / 2)
        time = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))  # (batch, width)
        if label is not None:
            time = time + self.classes(label)
        margin = (self.uncut - self.samples) // 2
        x = nn.functional.pad(x, (margin, self.tokens * self.patch - self.samples - margin))
        tokens = self.embed(x.view(len(x), self.tokens, self.patch)) + time[:, None]  # (batch, tokens, width)
        return self.head(self.encoder(tokens)).flatten(1)[:, : self.uncut] @ self.lowpass

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Windows of z, both (batch, samples): dx/dt = v(x, t) by the midpoint rule, from t = 0 to t = 1."""
        told = () if label is None else (label,)
        x, h = self.start(z, *told), 1 / self.ode_steps
        for i in range(self.ode_steps):
            t = torch.full((len(x), 1), i * h, device=x.device)
            halfway = x + 0.5 * h * self.velocity(x, t, *told)
            x = x + h * self.velocity(halfway, t + 0.5 * h, *told)
        return x


class FlowTrainer(Trainer):
    """Descend E ‖v(x_t, t) − (x₁ − x₀)‖², here as a mean over the samples of a window, with t uniform in [0, 1]."""

    COLUMNS = ("step", "loss", "gradient", "learning_rate")

    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"flow": torch.optim.Adam(self.generator.parameters(), self.config.learning_rate, fused=True)}

    def train_step(self) -> dict[str, float]:
        """One step down the loss, then move the average."""
        rate = self.config.learning_rate * self._cosine(self.step, self.config.steps)
        for group in self.optimisers["flow"].param_groups:
            group["lr"] = rate
        x1, *label = self.real_batch()
        x0 = self.generator.start(self.latent(len(x1)), *label)
        t = torch.rand(len(x1), 1, generator=self.rng).to(self.device)
        velocity = self.generator.velocity((1 - t) * x0 + t * x1, t, *label)
        loss = (velocity - (x1 - x0)).square().mean()
        norm = self._descend(loss, "flow")
        self.update_ema()
        return {"loss": loss.item(), "gradient": norm, "learning_rate": rate}


class FlowMatching(NeuralModel):
    """Windows at the end of the way."""

    Config = FlowConfig

    @classmethod
    def build(cls, config: FlowConfig, data: TrainingData) -> Flow:
        """The untrained flow, which leaves every draw of the Gaussian where it is.

        Raises
        ------
        InputError
            Windows that must stay within bounds.
        """
        if data.bounded:
            raise InputError("flow matching knows no bounds: give it z-scores")
        c, classes = config, n_classes(data.labels)
        gaussian = Gaussian(data.train, data.labels)
        return seeded(
            lambda: Flow(
                data.train.shape[1], data.lowpass, gaussian, c.patch, c.width, c.depth, c.heads, c.ode_steps, classes
            ),
            c.seed,
        )

    @classmethod
    def trainer(cls, config: FlowConfig, data: TrainingData, folder: Path | None) -> FlowTrainer:
        """What descends the loss."""
        return FlowTrainer(
            cls.build(config, data), data.train, config, validate=data.validate, labels=data.labels, folder=folder
        )
