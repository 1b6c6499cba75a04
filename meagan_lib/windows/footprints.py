"""Footprints: the same spike on the electrode of its trough and on those around it."""

import numpy as np

from meagan_lib import InputError

TETRODE = 8
"""Up to so many electrodes without positions are taken to stand together."""


def electrodes_around(positions_um: np.ndarray | None, n_channels: int, distance_um: float) -> np.ndarray:
    """Find the electrodes of each electrode's footprint, int32 (channels, electrodes), itself first, −1 for none.

    On a grid a column is a place, the same step from every electrode, the nearest first: at the rim of the chip some
    are empty. Elsewhere columns are the nearest electrodes, in order. A few electrodes without positions (a tetrode)
    are all in each footprint, in their own order.

    Parameters
    ----------
    positions_um
        (channels, 2) or None.
    distance_um
        How far the electrodes may be.

    Raises
    ------
    InputError
        No positions, and too many electrodes to stand together; no electrode within the distance of another.
    """
    if positions_um is None or np.isnan(positions_um).any():
        if n_channels > TETRODE:
            raise InputError(
                f"footprints need the electrodes' positions, which this recording of {n_channels} channels does not "
                f"give: name a file that has them, or set footprint_um to 0"
            )
        others = [np.r_[c, np.delete(np.arange(n_channels), c)] for c in range(n_channels)]
        return np.array(others, np.int32)
    step = np.rint(positions_um[None] - positions_um[:, None]).astype(np.int64)  # from row to column
    far = np.hypot(*step.transpose(2, 0, 1))
    near = far <= distance_um
    if near.sum() == n_channels and n_channels > 1:
        apart = far[~np.eye(n_channels, dtype=bool)].min()
        raise InputError(f"no electrode has another within {distance_um:g} µm: set footprint_um to {apart:.0f} or more")
    places = np.unique(step[near], axis=0)
    places = places[np.lexsort((places[:, 0], places[:, 1], np.hypot(*places.T).round(3)))]
    most = int(near.sum(axis=1).max())
    if len(places) <= most:  # a grid
        column = {tuple(place): i for i, place in enumerate(places)}
        around = np.full((n_channels, len(places)), -1, np.int32)
        for a, b in np.argwhere(near):
            around[a, column[tuple(step[a, b])]] = b
        return around
    around = np.full((n_channels, most), -1, np.int32)
    for c in range(n_channels):
        nearest = np.flatnonzero(near[c])
        around[c, : len(nearest)] = nearest[np.lexsort((nearest, far[c, nearest]))]
    return around
