"""Augmenters: what makes new annotated crops of few, learned or not, behind one contract.

Crops are images float32 (n, size, size) in [0, 1], masks of 0 and 1 in the same shape, and backgrounds (m, size, size):
photographs without a defect.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from pkgutil import resolve_name
from typing import Self

import numpy as np
import torch

from meagan_lib import InputError, choose
from meagan_lib.images.geometry import Motion, moved, moved_masks
from meagan_lib.images.surroundings import beyond, local_level, without_defect
from meagan_lib.models.convolution2d import soft_mask

Annotated = tuple[np.ndarray, np.ndarray]
"""Images float32 (n, size, size) in [0, 1], and their masks of 0 and 1."""


class Augmenter(ABC):
    """Draws annotated crops. There are only fitted ones, of :meth:`fit`."""

    @classmethod
    @abstractmethod
    def fit(
        cls,
        images: np.ndarray,
        masks: np.ndarray,
        backgrounds: np.ndarray,
        seed: int = 0,
        folder: Path | None = None,
        **options: object,
    ) -> Self:
        """Fit to annotated crops and backgrounds; a training leaves its checkpoints in ``folder`` and resumes them."""

    @abstractmethod
    def draw(self, n: int, seed: int = 0) -> Annotated:
        """Draw ``n`` images and their masks; the same of the same seed."""


class Classical(Augmenter):
    """The annotated crops themselves: mirrored, turned, scaled and moved a little, brighter or with more contrast."""

    def __init__(self, images: np.ndarray, masks: np.ndarray, motion: Motion):
        self.images, self.masks, self.motion = images, masks, motion

    @classmethod
    def fit(cls, images, masks, backgrounds, seed=0, folder=None, **options):
        """Keep the crops; ``options`` are those of :class:`~meagan_lib.images.geometry.Motion`."""
        return cls(images, masks, Motion(**options))

    def draw(self, n, seed=0):
        """Draw crops with replacement, and change each."""
        rng = np.random.default_rng(seed)
        rows = rng.integers(len(self.images), size=n)
        grids = self.motion.grids(n, self.images.shape[1], rng)
        images = exposed(moved(self.images[rows], grids), rng)
        return images, (moved(self.masks[rows], grids) > 0.5).astype(np.float32)


def exposed(
    images: np.ndarray, rng: np.random.Generator, brightness: float = 0.3, contrast: float = 0.15
) -> np.ndarray:
    """Change exposure and contrast of images (n, size, size) at random: at most by these factors' logarithms."""
    level = images.mean(axis=(1, 2), keepdims=True)
    light, hard = (np.exp(rng.uniform(-a, a, (len(images), 1, 1))) for a in (brightness, contrast))
    return np.clip(light * (level + hard * (images - level)), 0, 1).astype(np.float32)


class CopyPaste(Augmenter):
    """The masked pixels of a crop, moved and pasted into a background with soft edges (Ghiasi et al. 2021).

    What is pasted is how much brighter or darker the defect is than the surface around it, a ratio with its texture:
    so it takes on the exposure of the new place (arXiv:2012.07177 pastes pixels as they are).
    """

    def __init__(self, images, masks, backgrounds, motion: Motion, margin: int):
        self.masks, self.backgrounds, self.motion, self.margin = masks, backgrounds, motion, margin
        surface = without_defect(images, np.maximum(masks, beyond(images)), backgrounds)
        self.ratio = (images / local_level(surface)).astype(np.float32)

    @classmethod
    def fit(cls, images, masks, backgrounds, seed=0, folder=None, margin: int = 4, **options):
        """Keep crops and backgrounds; the paste fades out over ``margin`` pixels. Other ``options``: of ``Motion``."""
        motion = Motion(**{"turn_degrees": 25.0, "scale": 0.25, "shift": 0.25} | options)
        return cls(images, masks, backgrounds, motion, margin)

    def paste(self, backgrounds: np.ndarray, rows: np.ndarray, seed: int = 0) -> Annotated:
        """Paste the defect of each crop ``rows`` (n,), moved at random, into its background (n, size, size)."""
        rng = np.random.default_rng(seed)
        masks, grids = moved_masks(self.masks[rows], self.motion, rng)
        soft = soft_mask(torch.from_numpy(masks)[:, None], self.margin)[:, 0].numpy()
        pasted = np.clip(moved(self.ratio[rows], grids) * local_level(backgrounds), 0, 1)
        images = backgrounds + soft * (pasted - backgrounds)
        return np.where(soft > 0, images, backgrounds).astype(np.float32), masks

    def draw(self, n, seed=0):
        """Paste into backgrounds; crops and backgrounds are drawn with replacement."""
        rng = np.random.default_rng(seed)
        places, rows = rng.integers(len(self.backgrounds), size=n), rng.integers(len(self.masks), size=n)
        return self.paste(self.backgrounds[places], rows, seed)


AUGMENTERS: dict[str, str] = {
    "classical": "meagan_lib.images.augmenters:Classical",
    "copy_paste": "meagan_lib.images.augmenters:CopyPaste",
    "decoder": "meagan_lib.images.gan:Decoder",
    "painter": "meagan_lib.images.gan:Painter",
}
"""Augmenters by name: without training, decoder-only, encoder–decoder."""


def require_augmenter(name: str) -> None:
    """Refuse an augmenter that is not known."""
    choose("augmenter", name, AUGMENTERS)


def require_crops(images: np.ndarray, masks: np.ndarray, backgrounds: np.ndarray) -> None:
    """Refuse crops from which nothing can be learned, or that do not fit together."""
    if not len(images) or not (masks > 0.5).any():
        raise InputError("no crop shows a defect: an augmenter needs annotated crops, with a mask each")
    if images.shape != masks.shape:
        raise InputError(f"images {images.shape} and masks {masks.shape} differ: each crop needs a mask of its size")
    if not len(backgrounds):
        raise InputError("there is no photograph without a defect to paint into: name some backgrounds")
    if backgrounds.shape[1:] != images.shape[1:]:
        raise InputError(
            f"backgrounds of {backgrounds.shape[1:]} pixels do not fit crops of {images.shape[1:]}: cut both alike"
        )


def fit_augmenter(
    name: str,
    images: np.ndarray,
    masks: np.ndarray,
    backgrounds: np.ndarray,
    seed: int = 0,
    folder: Path | None = None,
    **options: object,
) -> Augmenter:
    """Fit the augmenter called ``name`` to crops and backgrounds; ``options`` are its own. InputError: see above."""
    require_augmenter(name)
    require_crops(images, masks, backgrounds)
    arrays = (np.ascontiguousarray(a, dtype=np.float32) for a in (images, masks, backgrounds))
    return resolve_name(AUGMENTERS[name]).fit(*arrays, seed=seed, folder=folder, **options)
