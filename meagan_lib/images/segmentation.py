"""Segmentation: a small U-Net that gives every pixel the probability of a defect.

U-Net: Ronneberger et al. 2015, arXiv:1505.04597. All networks that are compared have the same architecture, number of
steps and batch; they differ in what fills their batches.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from meagan_lib import InputError
from meagan_lib.images.crops import Crops
from meagan_lib.training.trainer import seeded
from meagan_lib.workflow.progress import pace

FEW = 64
"""Images that probabilities are computed of at once."""


@dataclass(frozen=True)
class SegmentationConfig:
    """Network and training of a segmentation."""

    width: int = 8
    """Channels of the first level; each further one has twice as many."""
    levels: int = 4
    """Resolutions, each half of the one above."""
    steps: int = 300
    batch_size: int = 16
    background: float = 0.25
    """Fraction of a batch without a defect: real backgrounds."""
    synthetic: float = 0.5
    """Fraction of a batch that is synthetic, where there is something synthetic."""
    learning_rate: float = 3e-3
    """Highest, of one cycle (Smith & Topin 2019, arXiv:1708.07120)."""
    weight_decay: float = 1e-2
    seed: int = 0

    def __post_init__(self):
        if min(self.width, self.levels, self.steps, self.batch_size) < 1:
            raise InputError("width, levels, steps and batch_size of a segmentation must be 1 or more")
        if min(self.counts(synthetic=True)) < 1:
            raise InputError(
                f"a batch of {self.batch_size} with {self.background:g} background and {self.synthetic:g} synthetic "
                f"lacks one kind: give each, and the annotated images, a fraction of at least one image"
            )

    def counts(self, synthetic: bool) -> tuple[int, int, int]:
        """Return how many images of a batch are annotated, background and synthetic."""
        background = round(self.background * self.batch_size)
        painted = round(self.synthetic * self.batch_size) if synthetic else 0
        return self.batch_size - background - painted, background, painted


class Block(nn.Sequential):
    """Two convolutions of 3 × 3, each normalised in groups: no image depends on the others of its batch."""

    def __init__(self, into: int, out: int):
        layers = (
            (nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.GroupNorm(out // min(out, 4), out), nn.ReLU())
            for channels in (into, out)
        )
        super().__init__(*(layer for group in layers for layer in group))


class UNet(nn.Module):
    """Images (batch, h, w) → logits (batch, h, w); h and w are multiples of ``2 ** (levels − 1)``.

    Each image is standardised first, x ← (x − mean) / sd: brightness and contrast are the exposure's.
    """

    def __init__(self, width: int, levels: int):
        super().__init__()
        widths = [width * 2**i for i in range(levels)]
        self.down = nn.ModuleList(Block(a, b) for a, b in zip([1, *widths], widths))
        self.up = nn.ModuleList(Block(a + b, a) for a, b in pairwise(widths))
        self.last = nn.Conv2d(width, 1, 1)
        nn.init.constant_(self.last.bias, -3.0)  # few pixels are of a defect
        self.to(memory_format=torch.channels_last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give every pixel a logit."""
        mean, sd = x.mean(dim=(1, 2), keepdim=True), x.std(dim=(1, 2), keepdim=True)
        h, beside = ((x - mean) / (sd + 1e-3))[:, None].contiguous(memory_format=torch.channels_last), []
        for i, block in enumerate(self.down):
            h = block(F.max_pool2d(h, 2) if i else h)
            beside.append(h)
        for block, same in zip(self.up[::-1], beside[-2::-1]):
            h = block(torch.cat([same, F.interpolate(h, scale_factor=2)], dim=1))
        return self.last(h)[:, 0]


def loss(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return cross-entropy + 1 − soft Dice of a batch, D = 2 Σ p m / (Σ p + Σ m) (Milletari et al. 2016)."""
    p = torch.sigmoid(logits)
    soft_dice = (2 * (p * masks).sum() + 1) / (p.sum() + masks.sum() + 1)
    return F.binary_cross_entropy_with_logits(logits, masks) + 1 - soft_dice


class Segmentation:
    """A trained U-Net."""

    def __init__(self, network: UNet, config: SegmentationConfig):
        self.network, self.config = network.eval(), config

    @classmethod
    def fit(
        cls,
        crops: Crops,
        backgrounds: np.ndarray,
        config: SegmentationConfig,
        synthetic: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> Self:
        """Train on annotated crops and backgrounds (n, size, size), and on ``synthetic`` images and masks if there are.

        Annotated crops and backgrounds are drawn at random, synthetic images taken in turn; nothing is changed in any.

        ``InputError``: crops whose size the levels cannot halve.
        """
        require_size(crops.images.shape[1], config)
        network = seeded(lambda: UNet(config.width, config.levels), config.seed)
        optimiser = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=config.steps)
        rng, tell = np.random.default_rng(config.seed), pace("step")
        annotated, background, painted = config.counts(synthetic is not None)
        for step in range(config.steps):
            own, empty = rng.integers(len(crops), size=annotated), rng.integers(len(backgrounds), size=background)
            images, masks = (
                [crops.images[own], backgrounds[empty]],
                [crops.masks[own], np.zeros_like(backgrounds[empty])],
            )
            if synthetic is not None:
                turn = np.arange(step * painted, (step + 1) * painted) % len(synthetic[0])
                images, masks = [*images, synthetic[0][turn]], [*masks, synthetic[1][turn]]
            x, m = (torch.from_numpy(np.concatenate(parts)) for parts in (images, masks))
            optimiser.zero_grad()
            loss(network(x), m).backward()
            optimiser.step()
            cycle.step()
            tell(step + 1, config.steps)
        return cls(network, config)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Give every pixel of images (n, h, w) in [0, 1] its probability of a defect, float32 (n, h, w).

        ``InputError``: sides that the levels cannot halve.
        """
        for side in images.shape[1:]:
            require_size(side, self.config)
        with torch.no_grad():
            parts = [self.network(torch.from_numpy(images[i : i + FEW])) for i in range(0, len(images), FEW)]
            return torch.sigmoid(torch.cat(parts)).numpy()


def synthetic_images(config: SegmentationConfig) -> int:
    """Count the synthetic images that a training takes: each is seen once if there are so many."""
    return config.counts(synthetic=True)[2] * config.steps


def require_size(size: int, config: SegmentationConfig) -> None:
    """Refuse a side of images that ``levels`` resolutions cannot halve."""
    factor = 2 ** (config.levels - 1)
    if size % factor:
        raise InputError(
            f"images of {size} pixels cannot be halved {config.levels - 1} times: take a multiple of {factor}"
        )
