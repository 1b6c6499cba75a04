"""What is around a defect: the level of brightness, and the crop as it would be without it."""

import numpy as np
from scipy import ndimage

DARKEST = 0.02
"""Brightness, of 1, below which no ratio is taken."""
LIT = 0.5
"""Of the bright end of a crop (its 90th percentile): what is darker lies beyond the edge of the piece."""


def beyond(images: np.ndarray) -> np.ndarray:
    """Return where images (n, size, size) show no lit surface but the dark beyond its edge, bool."""
    return images < LIT * np.quantile(images, 0.9, axis=(1, 2), keepdims=True)


def grown(masks: np.ndarray, pixels: int) -> np.ndarray:
    """Grow masks (n, size, size) by so many pixels to all sides, bool."""
    return ndimage.binary_dilation(masks > 0.5, np.ones((1, 2 * pixels + 1, 2 * pixels + 1)))


def level_of(images: np.ndarray, masks: np.ndarray | None = None, margin: int = 6) -> np.ndarray:
    """Return the mean brightness (n, 1, 1) of the lit surface in images (n, size, size).

    Masks, grown by ``margin``, are left out.
    """
    lit = ~beyond(images)
    surface = lit if masks is None else lit & ~grown(masks, margin)
    surface = np.where(surface.any(axis=(1, 2), keepdims=True), surface, lit)  # a mask that leaves nothing
    mean = (images * surface).sum(axis=(1, 2), keepdims=True) / surface.sum(axis=(1, 2), keepdims=True)
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
    """Fill the grown masks of images (n, size, size): brightness of the lit surface around, texture of a background."""
    rng = np.random.default_rng(seed)
    holes = grown(masks, margin)
    unknown = holes | beyond(images)
    smooth = np.stack([smooth_without(image, hole) for image, hole in zip(images, unknown)])
    texture = backgrounds[rng.integers(len(backgrounds), size=len(images))]
    soft = np.minimum(2 * ndimage.gaussian_filter(holes.astype(np.float32), (0, 1, 1)), 1) * holes
    filled = np.clip(smooth * texture / local_level(texture), 0, 1)
    return (images * (1 - soft) + soft * filled).astype(np.float32)
