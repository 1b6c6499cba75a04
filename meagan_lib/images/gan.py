"""The two architectures of the source: z → image and mask, and background + mask + z → the defect painted in.

Both are played as every GAN here: relativistic loss, R1 + R2, EMA (:class:`meagan_lib.models.gan.GANTrainer`).
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from meagan_lib.images.augmenters import Augmenter
from meagan_lib.images.geometry import Motion, moved, moved_masks
from meagan_lib.images.surroundings import level_of, without_defect
from meagan_lib.models.convolution2d import DecoderNetwork, ImageDiscriminator, PainterNetwork, box, soft_mask
from meagan_lib.models.exporting import onnx_bytes
from meagan_lib.models.gan import GANConfig, GANTrainer
from meagan_lib.training.trainer import build_config, seeded
from meagan_lib.workflow.progress import by_step

CONTRAST = 0.2
"""Brightness, relative to the level of a crop, that the networks see as 1."""
PLACING = Motion(turn_degrees=25.0, scale=0.3, shift=0.25, bend=0.02)
"""How masks are moved before something is painted into them."""
BASE = 300
"""Moved crops whose Gaussian the decoder starts from."""
BATCH = 100
"""Crops that are generated at a time."""


@dataclass(frozen=True)
class ImageGANConfig(GANConfig):
    """The config of a GAN of crops: little data, small networks, some minutes of one core."""

    WITHOUT = frozenset(
        "generator patch depth heads positions conditioning on_gaussian g_dropout g_batch_norm discriminator d_dropout "
        "d_batch_norm prior".split()
    )
    steps: int = 250
    batch_size: int = 16
    width: int = 16
    d_learning_rate: float = 1e-3
    g_learning_rate: float = 1e-3
    ema: float = 0.995
    snapshots: int = 9


@dataclass(frozen=True)
class PainterConfig(ImageGANConfig):
    """The config of the encoder–decoder."""

    WITHOUT = ImageGANConfig.WITHOUT | {"latent"}
    margin: int = 6
    """Pixels around a mask within which the painter may paint, ever less."""
    likeness: float = 1.0
    """Weight of the pairs: a real defect against what is painted into its own crop without it."""
    backgrounds: str = ""
    """SHA-256 of the backgrounds: no checkpoint of others is resumed."""


def relative(images: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return brightness relative to the level (n, 1, 1), in units of :data:`CONTRAST`."""
    return ((images / level - 1) / CONTRAST).astype(np.float32)


class CropTrainer(GANTrainer):
    """A GAN of crops and masks, ``real`` (n, 2 · size²), which are moved each time that they are drawn."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, real: np.ndarray, config, **options):
        self.size = generator.size
        self.crops = real.reshape(-1, 2, self.size, self.size)
        players = (network.to(memory_format=torch.channels_last) for network in (generator, discriminator))
        super().__init__(*players, real, config, **options)

    def step_rng(self) -> np.random.Generator:
        """Return a generator of random numbers for one batch, of the one that checkpoints keep."""
        return np.random.default_rng(int(torch.randint(2**31, (), generator=self.rng)))

    def real_batch(self) -> tuple[Tensor, ...]:
        """Draw moved crops with their masks, whose edges the moving softens, (batch, 2 · size²)."""
        rng, n = self.step_rng(), self.config.batch_size
        rows, grids = rng.integers(len(self.crops), size=n), Motion().grids(n, self.size, rng)
        both = [moved(self.crops[rows, channel], grids) for channel in (0, 1)]
        return (torch.from_numpy(np.stack(both, axis=1)).flatten(1),)


class PaintingTrainer(CropTrainer):
    """A GAN whose batches come with backgrounds and masks, in the part of labels.

    ``real`` (n, 2 · size²) are crops and masks, ``own`` (n, size, size) the same crops without their defect,
    ``backgrounds`` (m, size, size) others; all relative. Half of a batch is painted into own ones.
    """

    COLUMNS = (*GANTrainer.COLUMNS, "likeness")

    def __init__(self, generator, discriminator, real, config, own: np.ndarray, backgrounds: np.ndarray, **options):
        self.own, self.backgrounds = own, backgrounds
        super().__init__(generator, discriminator, real, config, **options)

    def real_batch(self) -> tuple[Tensor, ...]:
        """Draw moved real crops (batch, 2 · size²); then backgrounds and masks, (batch, 1, size, size) each, to paint.

        The first half of these are pairs: the real crops without their defect, and their masks.
        """
        n, half = self.config.batch_size, self.config.batch_size // 2
        rng = self.step_rng()
        rows, of, place = rng.integers(len(self.crops), size=(3, n))
        grids, other = Motion().grids(n, self.size, rng), Motion().grids(n - half, self.size, rng)
        real = moved(self.crops[rows, 0], grids), moved(self.crops[rows, 1], grids) > 0.5
        masks, _ = moved_masks(self.crops[of[half:], 1], PLACING, rng)
        elsewhere = self.backgrounds[rng.integers(len(self.backgrounds), size=n - half)]
        elsewhere[::2] = self.own[place[half::2]]
        background = np.concatenate([moved(self.own[rows[:half]], grids[:half]), moved(elsewhere, other)])
        masks = np.concatenate([real[1][:half], masks])
        arrays = np.stack(real, axis=1).reshape(n, -1), background[:, None], masks[:, None]
        return tuple(torch.from_numpy(a.astype(np.float32)) for a in arrays)

    def generator_step(self, real: Tensor, generated: tuple[Tensor, ...], *painted: Tensor) -> dict[str, float]:
        """Descend the generator's loss + the likeness of pairs, then move the EMA."""
        (fake,), half = generated, len(real) // 2
        loss = self.loss.generator(*self.seen(self.discriminator, real, fake))
        like = self.likeness(real[:half], fake[:half])
        norm = self.descend(loss + self.config.likeness * like, "g")
        self.update_ema()
        return {"g_loss": loss.item(), "g_gradient": norm, "likeness": like.item()}

    def likeness(self, real: Tensor, painted: Tensor) -> Tensor:
        """E |real − painted| within the masks, means over 3 × 3 pixels, of pairs (batch, 2 · size²)."""
        (image, mask), (its, _) = (x.view(-1, 2, 1, self.size, self.size).unbind(1) for x in (real, painted))
        return (box(image - its, 1).abs() * mask).sum() / mask.sum().clamp(min=1)

    def draw(self, generator, n, seed=0, labels=None):
        """Paint the first training masks into the first backgrounds."""
        z = torch.randn(n, generator.latent, generator=torch.Generator().manual_seed(seed))
        rows = np.arange(n)
        place = torch.from_numpy(self.backgrounds[rows % len(self.backgrounds)])[:, None]
        mask = torch.from_numpy(self.crops[rows % len(self.crops), 1])[:, None]
        with torch.no_grad():
            return generator(z, place, mask).numpy()


class PaintingGenerator(PainterNetwork):
    """The painter as a GAN's generator: what it paints comes with its mask."""

    def paint(self, z, background, mask):
        """Paint (batch, 1, size, size)."""
        return PainterNetwork.forward(self, z, background, mask)

    def forward(self, z, background, mask):
        """Return painted image and mask, (batch, 2 · size²)."""
        return torch.cat([self.paint(z, background, mask), mask], dim=1).flatten(1)


class Painter(Augmenter):
    """The encoder–decoder: paints a defect into a background where a mask says, and changes nothing else."""

    def __init__(self, trainer: PaintingTrainer, masks: np.ndarray, backgrounds: np.ndarray):
        self.trainer, self.generator = trainer, trainer.best_generator().eval()
        self.masks, self.backgrounds = masks, backgrounds

    @classmethod
    def fit(cls, images, masks, backgrounds, seed=0, folder=None, **options) -> Self:
        """Train on crops and backgrounds; ``options`` are those of :class:`PainterConfig`."""
        digest = sha256(np.ascontiguousarray(backgrounds).tobytes()).hexdigest()
        config = build_config(PainterConfig, **{"seed": seed, "backgrounds": digest} | options)
        level, size = level_of(images, masks), images.shape[1]
        own = relative(without_defect(images, masks, backgrounds, seed), level)
        real = np.stack([relative(images, level), masks], axis=1).reshape(len(images), -1)
        generator = seeded(lambda: PaintingGenerator(size, config.width, config.margin), seed)
        discriminator = seeded(lambda: ImageDiscriminator(size), seed + 1)
        others = relative(backgrounds, level_of(backgrounds))
        trainer = PaintingTrainer(generator, discriminator, real, config, own=own, backgrounds=others, folder=folder)
        trainer.train(by_step())
        return cls(trainer, masks, backgrounds)

    @torch.no_grad()
    def paint(self, backgrounds: np.ndarray, masks: np.ndarray, seed: int = 0) -> np.ndarray:
        """Paint a defect into each background (n, size, size) where its mask (n, size, size) says.

        Beyond the margin of the mask every pixel is the background's, bit by bit.
        """
        rng = torch.Generator().manual_seed(seed)
        z = torch.randn(len(masks), self.generator.latent, generator=rng)
        network = PaintedImage(self.generator)
        parts = (
            torch.from_numpy(np.ascontiguousarray(a, np.float32))[:, None].split(BATCH) for a in (backgrounds, masks)
        )
        return torch.cat([network(*part) for part in zip(z.split(BATCH), *parts)])[:, 0].numpy()

    def draw(self, n, seed=0):
        """Paint training masks, moved and bent at random, into backgrounds drawn with replacement."""
        rng = np.random.default_rng(seed)
        places, rows = rng.integers(len(self.backgrounds), size=n), rng.integers(len(self.masks), size=n)
        masks, _ = moved_masks(self.masks[rows], PLACING, rng)
        return self.paint(self.backgrounds[places], masks, seed), masks


class PaintedImage(nn.Module):
    """A painter of images as they are, brightness in [0, 1]: what :func:`to_onnx` exports."""

    def __init__(self, generator: PaintingGenerator):
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor, background: Tensor, mask: Tensor) -> Tensor:
        """Noise (n, size²), backgrounds in [0, 1] and masks of 0 and 1 → images, (n, 1, size, size)."""
        level = background.mean(dim=(2, 3), keepdim=True).clamp(min=0.02)
        painted = self.generator.paint(z, (background / level - 1) / CONTRAST, mask)
        image = (level * (1 + CONTRAST * painted)).clamp(0, 1)
        return torch.where(soft_mask(mask, self.generator.margin) > 0, image, background)


class Decoder(Augmenter):
    """The decoder-only: z → image and mask at once. It has to learn where things lie, and the surface as well."""

    def __init__(self, trainer: CropTrainer):
        self.trainer, self.generator = trainer, trainer.best_generator().eval()

    @classmethod
    def fit(cls, images, masks, backgrounds, seed=0, folder=None, **options) -> Self:
        """Train on crops; backgrounds have no mask to learn. ``options`` are those of :class:`ImageGANConfig`."""
        config = build_config(ImageGANConfig, **{"seed": seed, "gamma": 0.5} | options)
        size, n = images.shape[1], len(images)
        real = np.stack([(images - 0.5) / CONTRAST, masks], axis=1).reshape(n, -1)
        rng = np.random.default_rng(seed)
        rows, grids = rng.integers(n, size=BASE), Motion().grids(BASE, size, rng)
        both = [moved(real.reshape(n, 2, size, size)[rows, channel], grids) for channel in (0, 1)]
        base = torch.from_numpy(np.stack(both, axis=1)).flatten(1)
        generator = seeded(lambda: DecoderNetwork(base, size, config.width, config.latent), seed)
        discriminator = seeded(lambda: ImageDiscriminator(size, ring=(0, 0)), seed + 1)
        trainer = CropTrainer(generator, discriminator, real, config, folder=folder)
        trainer.train(by_step())
        return cls(trainer)

    def draw(self, n, seed=0):
        """Draw crops whose mask is not empty, where one in eight is not."""
        crops = self.trainer.draw(self.generator, 8 * n, seed)
        both = crops.reshape(8 * n, 2, self.generator.size, self.generator.size)
        masks = both[:, 1] > 0.5
        rows = np.argsort(~masks.any(axis=(1, 2)), kind="stable")[:n]
        images = np.clip(0.5 + CONTRAST * both[rows, 0], 0, 1)
        return images, masks[rows].astype(np.float32)


def to_onnx(painter: Painter) -> bytes:
    """Export a painter as an ONNX file of one image: inputs z (1, size²), background and mask (1, 1, size, size)."""
    network = PaintedImage(painter.generator).eval()
    z = torch.zeros(1, painter.generator.latent)
    image = torch.full((1, 1, painter.generator.size, painter.generator.size), 0.5)
    return onnx_bytes(network, (z, image, torch.zeros_like(image)), ("z", "background", "mask"))
