"""Turning, mirroring, scaling, moving and bending crops and their masks, all alike."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn


@dataclass(frozen=True)
class Motion:
    """How far a crop may be moved, each time at random; both mirrors are always allowed.

    Turns are small where a surface has a grain: what was ground upright is never seen lying.
    """

    turn_degrees: float = 12.0
    scale: float = 0.1
    """Largest change of the logarithm of the size."""
    shift: float = 0.08
    """Largest shift, as a fraction of the side."""
    bend: float = 0.0
    """Standard deviation of a smooth field of shifts, as a fraction of the side: no two outlines are the same."""

    def grids(self, n: int, size: int, rng: np.random.Generator) -> Tensor:
        """Draw where each pixel comes from, float32 (n, size, size, 2), in −1 … 1 across the crop."""
        angle, scale = np.radians(rng.uniform(-self.turn_degrees, self.turn_degrees, n)), rng.uniform(-1, 1, n)
        mirror = rng.choice([-1.0, 1.0], (n, 2))
        shift = rng.uniform(-2, 2, (n, 2)) * self.shift
        factor = np.exp(-self.scale * scale)
        rows = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1).reshape(n, 2, 2)
        theta = np.concatenate([rows * factor[:, None, None] * mirror[:, None, :], shift[:, :, None]], axis=2)
        grid = nn.functional.affine_grid(torch.from_numpy(theta.astype(np.float32)), [n, 1, size, size], False)
        if self.bend:
            coarse = torch.from_numpy(rng.normal(0, 2 * self.bend, (n, 2, 5, 5)).astype(np.float32))
            field = nn.functional.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)
            grid = grid + field.permute(0, 2, 3, 1)
        return grid


def moved(images: np.ndarray, grids: Tensor, padding: str = "reflection") -> np.ndarray:
    """Move images or masks (n, size, size) by ``grids``; beyond the edge is their reflection, or with ``zeros`` 0."""
    stacked = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))[:, None]
    return nn.functional.grid_sample(stacked, grids, "bilinear", padding, align_corners=False)[:, 0].numpy()


def moved_masks(
    masks: np.ndarray, motion: Motion, rng: np.random.Generator, least: float = 0.5, tries: int = 20
) -> tuple[np.ndarray, Tensor]:
    """Move masks (n, size, size) of 0 and 1, and return them with their grids.

    Of each, at least the fraction ``least`` of its pixels stays within the crop, and where the edge of its crop cuts a
    defect the cut stays outside: nothing shows a straight end. One that fits in none of the ``tries`` is mirrored.
    """
    n, size, _ = masks.shape
    grids = Motion(0, 0, 0).grids(n, size, rng)
    result, left = (moved(masks, grids) > 0.5).astype(np.float32), np.arange(n)
    for _ in range(tries):
        tried = motion.grids(len(left), size, rng)
        there, mirrored = (moved(masks[left], tried, padding) > 0.5 for padding in ("zeros", "reflection"))
        uncut = (there != mirrored).sum(axis=(1, 2)) <= 3
        fits = uncut & (there.sum(axis=(1, 2)) >= np.maximum(least * masks[left].sum(axis=(1, 2)), 1))
        result[left[fits]], grids[left[fits]] = there[fits], tried[fits]
        left = left[~fits]
        if not len(left):
            break
    return result, grids


def placed(
    mask: np.ndarray, turn_degrees: float = 0.0, size: float = 1.0, right: float = 0, down: float = 0
) -> np.ndarray:
    """Turn a mask (side, side) about its middle, to the right, make it ``size`` as large, and move it by pixels."""
    at = np.argwhere(mask > 0.5)
    middle = (at.min(axis=0) + at.max(axis=0)) / 2 if len(at) else (np.array(mask.shape) - 1) / 2
    angle = np.radians(turn_degrees)
    back = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / size  # rows, columns
    offset = middle - back @ (middle + np.array([down, right]))
    return (ndimage.affine_transform(mask.astype(np.float32), back, offset, order=1) > 0.5).astype(np.float32)
