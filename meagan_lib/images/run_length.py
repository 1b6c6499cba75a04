"""Masks as run lengths, the form of Severstal: pairs *start length*, counted from 1 down the columns.

Pixel p of a mask of h rows is row (p − 1) mod h, column (p − 1) div h.
"""

import numpy as np

from meagan_lib import InputError


def encode(mask: np.ndarray) -> str:
    """Write a mask bool (h, w) as run lengths; an empty one is an empty text."""
    ends = np.flatnonzero(np.diff(np.pad(mask.astype(np.int8).ravel(order="F"), 1)))
    starts, stops = ends[::2], ends[1::2]
    return " ".join(f"{start + 1} {stop - start}" for start, stop in zip(starts, stops))


def decode(runs: str, shape: tuple[int, int]) -> np.ndarray:
    """Read run lengths as a mask bool of a ``shape`` (h, w).

    ``InputError``: text that is no pairs of whole numbers, or runs that overlap or leave the image.
    """
    try:
        starts, lengths = np.array(runs.split(), dtype=np.int64).reshape(-1, 2).T
    except ValueError as error:
        raise InputError(f"'{runs[:30]}' is no run lengths: write pairs of whole numbers, start and length") from error
    first, last = starts - 1, starts - 1 + lengths
    if len(starts) and (first[0] < 0 or (lengths < 1).any() or (first[1:] < last[:-1]).any()):
        raise InputError(f"run lengths '{runs[:30]}' overlap, run backwards or are empty: starts count from 1")
    if len(starts) and last[-1] > shape[0] * shape[1]:
        raise InputError(
            f"run lengths end at pixel {last[-1]}, but an image of {shape[0]} rows and {shape[1]} columns has "
            f"{shape[0] * shape[1]}: the mask is of an image of another size"
        )
    steps = np.zeros(shape[0] * shape[1] + 1, np.int8)
    np.add.at(steps, first, 1)
    np.add.at(steps, last, -1)
    return np.cumsum(steps[:-1], dtype=np.int8).astype(bool).reshape(shape, order="F")
