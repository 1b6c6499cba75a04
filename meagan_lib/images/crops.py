"""Crops of photographs at their own resolution: around a defect, or anywhere on a photograph without one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from meagan_lib import InputError
from meagan_lib.images.photographs import Photograph

MOST = 4
"""Crops of one photograph, so that a long defect does not outweigh the others."""
SLIVER = 0.1
"""A part of a defect with less than this fraction of the pixels of its largest part has no crop of its own."""


@dataclass(frozen=True)
class Crops:
    """Images float32 (n, size, size) in [0, 1], their masks float32 of 0 and 1, and the pieces int64 (n,) they show."""

    images: np.ndarray
    masks: np.ndarray
    pieces: np.ndarray

    def joined(self, other: "Crops") -> "Crops":
        """Put other crops after these."""
        names = ("images", "masks", "pieces")
        return Crops(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))

    def __len__(self) -> int:
        """Count the crops."""
        return len(self.pieces)


def centres(mask: np.ndarray, size: int, most: int = MOST) -> np.ndarray:
    """Return places int (n, 2), row and column, that crops of a mask bool (h, w) are cut around.

    The mask's bounding box is divided into equal tiles of at most ``size``; a place is the pixel of the mask nearest to
    the mean of those in a tile. Of more than ``most`` places so many are taken, evenly.
    """
    at = np.argwhere(mask)
    low, extent = at.min(axis=0), np.ptp(at, axis=0) + 1
    tiles = -(-extent // size)
    tile = np.ravel_multi_index(tuple(((at - low) * tiles // extent).T), tiles)
    n = np.bincount(tile)
    large = np.flatnonzero(n >= SLIVER * n.max())
    kept = large[np.linspace(0, len(large) - 1, min(most, len(large))).round().astype(int)]
    return np.stack([_nearest_to_mean(at[tile == its]) for its in kept])


def _nearest_to_mean(at: np.ndarray) -> np.ndarray:
    """Return which of the points (n, 2) is nearest to their mean."""
    return at[np.square(at - at.mean(axis=0)).sum(axis=1).argmin()]


def corner(centre: np.ndarray, size: int, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw the corner (2,) of a crop within an image: its middle is up to a quarter of its size from ``centre``."""
    aside = rng.integers(-(size // 4), size // 4 + 1, size=2)
    return np.clip(centre + aside - size // 2, 0, np.array(shape) - size)


def defect_crops(photographs: Sequence[Photograph], size: int, seed: int, draws: int = 1) -> Crops:
    """Cut ``draws`` crops at each place of the defects of photographs; a defect is not always in the middle of them."""

    def corners(mask, rng):
        return [corner(centre, size, mask.shape, rng) for centre in centres(mask, size) for _ in range(draws)]

    return _cut(photographs, size, seed, corners)


def background_crops(photographs: Sequence[Photograph], size: int, seed: int, each: int) -> Crops:
    """Cut ``each`` crops at random places of every photograph."""

    def corners(mask, rng):
        return rng.integers(0, np.array(mask.shape) - size + 1, size=(each, 2))

    return _cut(photographs, size, seed, corners)


def _cut(photographs: Sequence[Photograph], size: int, seed: int, corners) -> Crops:
    """Cut crops at the ``corners(mask, rng)`` of each photograph, which depend on it and the seed alone."""
    images, masks, pieces = [], [], []
    for photograph in photographs:
        image, mask = photograph.read()
        if min(image.shape) < size:
            raise InputError(
                f"{photograph.path} has {image.shape[0]} × {image.shape[1]} pixels, less than a crop of {size}: "
                f"ask for smaller crops, or leave it out"
            )
        rng = np.random.default_rng([seed, *photograph.path.name.encode()])
        for row, column in corners(mask, rng):
            window = np.s_[row : row + size, column : column + size]
            images.append(image[window])
            masks.append(mask[window])
            pieces.append(photograph.piece)
    return Crops(np.stack(images), np.stack(masks).astype(np.float32), np.array(pieces, np.int64))
