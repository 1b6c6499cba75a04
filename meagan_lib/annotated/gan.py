"""The encoder–decoder painter: background, kind and z → the spike that is added to it.

The source's second architecture. What the discriminator sees is what detection would cut: the painted background
around its trough (an observed sum, as in AmbientGAN: Bora et al. 2018, openreview.net/forum?id=Hy7fDog0b). So the
generator learns spikes without noise, although none was ever recorded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from meagan_lib.annotated.chip import Chip
from meagan_lib.annotated.painters import Painter
from meagan_lib.annotated.painting import taper
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gan import GAN, GANConfig, GANTrainer
from meagan_lib.models.generators import Generator
from meagan_lib.training.trainer import build_config, seeded
from meagan_lib.windows.detection import window_lowpass
from meagan_lib.workflow.progress import by_step


@dataclass(frozen=True)
class PaintingConfig(GANConfig):
    """The config of a painting GAN: few spikes to learn from, so few steps."""

    WITHOUT = frozenset({"generator", "conditioning", "prior", "on_gaussian"})
    steps: int = 600
    on_gaussian: bool = False
    """The painter has a base of its own: the kinds of spikes, without the noise."""


@dataclass(frozen=True)
class Backgrounds:
    """Pieces float32 (m, electrodes, length) to paint into, in units of the scale, and the kind int64 (m,) of each."""

    pieces: Tensor
    kind: Tensor


class PaintingGenerator(Generator):
    """z, kind and background → spike; in training, what detection sees of background + spike.

    Tokens are patches of all electrodes, as in the Transformer-GAN; each also sees its patch of the background. Last
    comes the low-pass, and the sum with a draw of the kind without its noise: untrained, it paints as
    :class:`~meagan_lib.annotated.painters.GaussianSpikes`.
    """

    def __init__(self, config: PaintingConfig, data: TrainingData, chip: Chip, scale: float, pool: Backgrounds):
        super().__init__(config, data)
        self.reach, self.half, self.slack = chip.observation.reach, chip.observation.half_window, chip.observation.slack
        base = chip.kinds.means / scale
        self.register_buffer("mean", torch.from_numpy(base.reshape(len(base), -1)))
        self.register_buffer("spread", torch.from_numpy(chip.kinds.spread))
        self.register_buffer("basis", torch.from_numpy(chip.kinds.basis / scale))
        self.register_buffer("taper", torch.from_numpy(taper(data.trace)), persistent=False)
        self.register_buffer("pieces", pool.pieces, persistent=False)
        self.register_buffer("kind", pool.kind, persistent=False)
        self.kinds = nn.Embedding(len(base), config.width)
        self.see = nn.Linear(config.patch, config.width)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def spike(self, z: Tensor, kind: Tensor, background: Tensor) -> Tensor:
        """Return the spike of z (batch, latent), kind (batch,), background (batch, electrodes, trace), in its shape."""
        n, per = len(z), self.tokens // self.electrodes
        length = per * self.head.out_features
        seen = nn.functional.pad(background, (0, length - background.shape[2])).view(n, self.tokens, -1)
        tokens = self.embed(z).view(n, self.tokens, self.width) + self.kinds(kind)[:, None] + self.see(seen)
        signal = self.head(self.encoder(tokens)).reshape(n * self.electrodes, -1)[:, : self.uncut] @ self.lowpass
        varied = self.spread[kind] * z[:, : self.spread.shape[1]]
        base = self.mean[kind] + varied @ self.basis.T
        return (base + signal.view(n, -1)).view(n, self.electrodes, -1)

    def forward(self, z: Tensor, place: Tensor | None = None) -> Tensor:
        """Z (batch, latent), ``place`` (batch,) of the pool → windows (batch, electrodes · trace) as detection cuts."""
        place = torch.arange(len(z)) % len(self.pieces) if place is None else place
        pieces, inner = self.pieces[place], slice(self.slack, self.slack + len(self.taper))
        spike = self.spike(z, self.kind[place], pieces[:, :, inner]) * self.taper
        painted = pieces + nn.functional.pad(spike, (self.slack, self.slack))
        near = painted[:, 0, self.reach - self.slack : self.reach + self.slack + 1].detach()
        start = near.argmin(dim=1) + self.reach - self.slack - self.half  # the first sample of each window
        at = (start[:, None] + torch.arange(2 * self.half)).clamp(0, pieces.shape[2] - 1)
        return painted.gather(2, at[:, None].expand(-1, self.electrodes, -1)).flatten(1)


class PaintingTrainer(GANTrainer):
    """A GAN whose batches come with places in the pool of backgrounds, in the part of labels."""

    def real_batch(self) -> tuple[Tensor, ...]:
        """Draw training footprints, and as many places to paint into."""
        (real,) = super().real_batch()
        return real, torch.randint(len(self.generator.pieces), (len(real),), generator=self.rng)


class PaintingGAN(Painter):
    """The painter: adds the spike that its generator makes of z, kind and background."""

    Config = PaintingConfig

    def __init__(self, generator: PaintingGenerator, scale: float):
        self.generator, self.scale = generator.eval(), scale

    @classmethod
    def fit(cls, chip: Chip, seed: int = 0, folder: Path | None = None, **options: object) -> Self:
        """Train on the footprints and the backgrounds of the training time."""
        n, electrodes, _ = chip.footprints.shape
        scale = float(chip.footprints.std(dtype=np.float64))
        config = build_config(PaintingConfig, **{"seed": seed} | options)
        train = (chip.footprints / scale).reshape(n, -1).astype(np.float32)
        taps = window_lowpass(chip.windows.detection, chip.windows.sampling_rate_hz)
        data = TrainingData(train, taps, electrodes=electrodes)
        pool = Backgrounds(torch.from_numpy(chip.pieces / scale), torch.from_numpy(chip.pieces_kind))
        generator = seeded(lambda: PaintingGenerator(config, data, chip, scale, pool), seed)
        trainer = PaintingTrainer(generator, GAN.discriminator(config, data), train, config, folder=folder)
        trainer.train(by_step())
        return cls(trainer.best_generator(), scale)

    @torch.no_grad()
    def window(self, background, kind, gain, seed):
        """Add the generated spike, with soft edges."""
        z = torch.randn(len(kind), self.generator.latent, generator=torch.Generator().manual_seed(seed))
        parts = zip(z.split(500), torch.from_numpy(kind).split(500), torch.from_numpy(background).split(500))
        spike = torch.cat([self.generator.spike(z, k, b / self.scale) for z, k, b in parts]).numpy() * self.scale
        return background + taper(background.shape[2]) * spike * gain[:, None, None]
