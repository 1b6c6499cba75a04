"""What is around a defect: the level of brightness, and the crop as it would be without it."""

import numpy as np
from scipy import ndimage

DARKEST = 0.02
"""Brightness, of 1, below which no ratio is taken."""


def grown(masks: np.ndarray, pixels: int) -> np.ndarray:
    """Grow masks (n, size, size) by so many pixels to all sides, bool."""
    return ndimage.binary_dilation(masks > 0.5, np.ones((1, 2 * pixels + 1, 2 * pixels + 1)))


def level_of(images: np.ndarray, masks: np.ndarray | None = None, margin: int = 6) -> np.ndarray:
    """Return the mean brightness (n, 1, 1) of images (n, size, size), outside masks grown by ``margin`` if given."""
    outside = np.ones(images.shape, bool) if masks is None else ~grown(masks, margin)
    outside |= ~outside.any(axis=(1, 2), keepdims=True)  # a mask that leaves nothing
    mean = (images * outside).sum(axis=(1, 2), keepdims=True) / outside.sum(axis=(1, 2), keepdims=True)
    return np.maximum(mean, DARKEST).astype(np.float32)


def smooth_without(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Continue the brightness around a hole, bool (size, size), into it.

    A normalised convolution (Knutsson & Westin 1993), with the narrowest Gaussian that sees enough of what is outside.
    """
    result = np.full(image.shape, image[~hole].mean() if (~hole).any() else image.mean())
    for sigma in (24, 12, 6, 3):
        weight = ndimage.gaussian_filter((~hole).astype(np.float64), sigma)
        near = ndimage.gaussian_filter(np.where(hole, 0.0, image), sigma) / np.maximum(weight, 1e-6)
        result = np.where(weight > 0.05, near, result)
    return result


def local_level(images: np.ndarray) -> np.ndarray:
    """Return the brightness around each pixel of images (n, size, size): a Gaussian of 4 pixels."""
    return np.maximum(ndimage.gaussian_filter(images, (0, 4, 4)), DARKEST)


def without_defect(
    images: np.ndarray, masks: np.ndarray, backgrounds: np.ndarray, seed: int = 0, margin: int = 4
) -> np.ndarray:
    """Fill the grown masks of images (n, size, size): brightness from around them, texture of a background."""
    rng = np.random.default_rng(seed)
    holes = grown(masks, margin)
    smooth = np.stack([smooth_without(image, hole) for image, hole in zip(images, holes)])
    texture = backgrounds[rng.integers(len(backgrounds), size=len(images))]
    soft = np.minimum(2 * ndimage.gaussian_filter(holes.astype(np.float32), (0, 1, 1)), 1) * holes
    filled = np.clip(smooth * texture / local_level(texture), 0, 1)
    return (images * (1 - soft) + soft * filled).astype(np.float32)
