"""Footprints: the same spike on the electrode of its trough and on those around it."""

import numpy as np
from scipy.spatial import KDTree
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from meagan_lib import InputError

COMPONENTS = 30
"""Principal components of footprints that a classifier sees."""
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
        return _tetrode(n_channels, "footprint_um")
    row, other = _pairs(positions_um, distance_um)
    step = np.rint(positions_um[other] - positions_um[row]).astype(np.int64)
    far = np.hypot(*step.T)
    row, other, step, far = (of[far <= distance_um] for of in (row, other, step, far))
    if len(row) == n_channels > 1:
        apart = KDTree(positions_um).query(positions_um, [2])[0].min()
        raise InputError(f"no electrode has another within {distance_um:g} µm: set footprint_um to {apart:.0f} or more")
    places, column = np.unique(step, axis=0, return_inverse=True)
    order = np.lexsort((places[:, 0], places[:, 1], np.hypot(*places.T).round(3)))
    most = int(np.bincount(row).max())
    if len(places) <= most:  # a grid
        column = np.argsort(order)[column.ravel()]
    else:
        order = np.lexsort((other, far, row))
        row, other = row[order], other[order]
        column = np.arange(len(row)) - np.searchsorted(row, row)
    around = np.full((n_channels, most), -1, np.int32)
    around[row, column] = other
    return around


def _pairs(positions_um: np.ndarray, distance_um: float) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs int64 (n,), (n,) of electrodes as far apart as this or a little farther, each with itself."""
    near = KDTree(positions_um).query_ball_point(positions_um, distance_um + 2.0)
    return np.repeat(np.arange(len(near)), [len(others) for others in near]), np.concatenate(near).astype(np.int64)


def _tetrode(n_channels: int, parameter: str) -> np.ndarray:
    """Return all electrodes int32 (channels, channels), its own first in each row.

    ``InputError``: too many to stand together.
    """
    if n_channels > TETRODE:
        raise InputError(
            f"footprints need the electrodes' positions, which this recording of {n_channels} channels does not "
            f"give: name a file that has them, or set {parameter} to 0"
        )
    others = [np.r_[c, np.delete(np.arange(n_channels), c)] for c in range(n_channels)]
    return np.array(others, np.int32)


def nearest_electrodes(positions_um: np.ndarray | None, n_channels: int, neighbours: int) -> np.ndarray:
    """Find each electrode and its nearest neighbours, int32 (channels, 1 + neighbours), itself first, −1 for none.

    On a grid they stand at the same places around every electrode (:func:`electrodes_around`), so that an electrode at
    the rim of the chip lacks some; elsewhere they are the nearest, wherever they stand. A few electrodes without
    positions (a tetrode) are all in each footprint, in their own order.

    ``InputError``: more neighbours than there are other electrodes; too many electrodes without positions.
    """
    if neighbours >= n_channels:
        raise InputError(
            f"neighbours is {neighbours}, and an electrode of this recording has {n_channels - 1} beside it: set "
            f"neighbours to {n_channels - 1} or less"
        )
    if positions_um is None or np.isnan(positions_um).any():
        return _tetrode(n_channels, "neighbours")
    far = KDTree(positions_um).query(positions_um, [1 + neighbours])[0]  # of the last neighbour
    for distance_um in (far.min(), far.max()):  # the first suffices on a grid
        around = electrodes_around(positions_um, n_channels, float(distance_um) + 1.0)[:, : 1 + neighbours]
        if (around >= 0).all() or _is_grid(positions_um, around):
            break
    return around


def _is_grid(positions_um: np.ndarray, around: np.ndarray) -> bool:
    """Return whether each column of ``around`` (channels, electrodes) is one step, the same from every electrode."""
    steps = np.rint(positions_um[around] - positions_um[:, None])  # (channels, electrodes, 2)
    return all(len(np.unique(its[there], axis=0)) == 1 for its, there in zip(steps.swapaxes(0, 1), around.T >= 0))


def centred(footprints: np.ndarray, half_window: int, dead: int) -> np.ndarray:
    """Return whether bool (n,) footprints (n, electrodes, samples) are deepest on their own, the first electrode."""
    near = footprints[:, :, half_window - dead : half_window + dead + 1].min(axis=2)
    return near.argmin(axis=1) == 0


def footprint_features(footprints: np.ndarray) -> np.ndarray:
    """Return what the trees of the two-sample test see of footprints (n, electrodes, samples), (n, features).

    Of each electrode the lowest and the highest sample, where they stand, and the standard deviation; and the first
    principal components of all footprints together, which know of no label.
    """
    extrema = (np.min, np.max, np.argmin, np.argmax, np.std)
    x = footprints.reshape(len(footprints), -1)
    with threadpool_limits(1):
        scores = PCA(min(COMPONENTS, *x.shape), svd_solver="full").fit_transform(x)
    return np.concatenate([*(measure(footprints, axis=2) for measure in extrema), scores], axis=1).astype(np.float32)


def amplitude_decay(footprints: np.ndarray) -> np.ndarray:
    """Return the middle sample (n, electrodes) of footprints (n, electrodes, samples), over that of the first."""
    middle = footprints[:, :, footprints.shape[2] // 2]
    return middle / middle[:, :1]


def delays(footprints: np.ndarray, reach: int) -> np.ndarray:
    """Return by how many samples (electrodes,) the mean trough is later than the first electrode's, in ``reach``.

    A trough stands at the vertex of the parabola through the lowest sample and the two beside it.
    """
    mean, middle = footprints.mean(axis=0, dtype=np.float64), footprints.shape[2] // 2
    near = mean[:, middle - reach : middle + reach + 1]
    at = near.argmin(axis=1).clip(1, near.shape[1] - 2)
    before, lowest, after = np.take_along_axis(near, at[:, None] + [-1, 0, 1], axis=1).T
    bend = before - 2 * lowest + after
    trough = at + np.where(bend > 0, (before - after) / np.where(bend > 0, 2 * bend, 1), 0).clip(-1, 1)
    return trough - trough[0]


def noise_correlation(footprints: np.ndarray, samples: int) -> np.ndarray:
    """Return the correlation (electrodes, electrodes) between electrodes in the first ``samples``, before the spike."""
    before = footprints[:, :, :samples]
    return np.corrcoef(before.transpose(1, 0, 2).reshape(before.shape[1], -1))
