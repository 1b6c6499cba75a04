"""Fidelity and diversity: which windows have neighbours on the other side, which modes there are, what is accepted."""

from collections.abc import Callable

import numpy as np
import scipy.stats
from scipy.spatial.distance import jensenshannon
from sklearn.neighbors import NearestNeighbors

from meagan_lib.evaluation.context import Context, Statistic
from meagan_lib.windows.features import Array

NEIGHBOURS = 5
SEARCHED = 40
"""Neighbours of a centre that are kept: of a random half of them, five are left."""


def _in_balls(centres: Array, windows: Array) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """(i, j) → centres i of (n, samples) and windows j of (m, samples) in their balls, two int (pairs,).

    The radius of a ball is the distance to the 5th nearest of the other centres i. A centre that stands in i twice
    would shrink the balls: choose without replacement.
    """
    near, nearest = NearestNeighbors(n_neighbors=min(SEARCHED, len(centres) - 1)).fit(centres).kneighbors()
    squared = (centres**2).sum(1)[:, None] + (windows**2).sum(1)[None, :] - 2 * centres @ windows.T
    centre, window = np.nonzero(squared < near[:, -1:] ** 2)  # few pairs: no ball is larger
    squared = squared[centre, window]

    def inside(i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen, asked = np.zeros(len(centres), bool), np.zeros(len(windows), bool)
        chosen[i], asked[j] = True, True
        fifth = (chosen[nearest].cumsum(axis=1) < NEIGHBOURS).sum(axis=1, keepdims=True)
        radius = np.take_along_axis(near, np.minimum(fifth, near.shape[1] - 1), axis=1)[:, 0]
        its = chosen[centre] & asked[window] & (squared < (radius**2)[centre])
        return centre[its], window[its]

    return inside


def precision(real: Array, fake: Array, context: Context) -> Statistic:
    """Fraction of generated windows within the ball of some real one: low where they look like nothing real.

    Above the floor where modes are contracted. Kynkäänniemi et al. 2019, arXiv:1904.06991.
    """
    inside = _in_balls(real, fake)
    return lambda i, j: len(np.unique(inside(i, j)[1])) / len(j)


def recall(real: Array, fake: Array, context: Context) -> Statistic:
    """Fraction of real windows within the ball of some generated one: low where the model lacks variety.

    Above the floor where generated windows lie too far apart. Kynkäänniemi et al. 2019, arXiv:1904.06991.
    """
    inside = _in_balls(fake, real)
    return lambda i, j: len(np.unique(inside(j, i)[1])) / len(i)


def density(real: Array, fake: Array, context: Context) -> Statistic:
    """Mean number of real balls around a generated window, over 5: above 1 where it keeps to the crowded places.

    Naeem et al. 2020, arXiv:2002.09797.
    """
    inside = _in_balls(real, fake)
    return lambda i, j: len(inside(i, j)[1]) / (NEIGHBOURS * len(j))


def coverage(real: Array, fake: Array, context: Context) -> Statistic:
    """Fraction of real windows with a generated one nearer than their 5th real neighbour: low when modes are missing.

    Of as many windows of the same distribution it is 1 − 2⁻⁵ = 0.969; above where modes are contracted.
    Naeem et al. 2020, arXiv:2002.09797.
    """
    inside = _in_balls(real, fake)
    return lambda i, j: len(np.unique(inside(i, j)[0])) / len(i)


def passes(real: Array, fake: Array, context: Context) -> Statistic:
    """Fraction of generated windows that the rule of real ones accepts: 1 for real windows."""
    accepted = np.ones(len(fake), bool) if context.gate is None else context.gate(fake)
    return lambda i, j: float(accepted[j].mean())


def mode_occupancy(real: Array, fake: Array, context: Context) -> Statistic:
    """Jensen–Shannon divergence, in bits, of how many windows each cluster of the training windows has: in [0, 1].

    Modes that are dropped or inflated show here.
    """
    return occupancy_divergence(context.clusters(real), context.clusters(fake), context.kmeans.n_clusters)


def occupancy_divergence(a: np.ndarray, b: np.ndarray, size: int) -> Statistic:
    """Compute the Jensen–Shannon divergence, in bits, of how many of a (n,) and of b (m,) have each of the labels."""

    def statistic(i: np.ndarray, j: np.ndarray) -> float:
        counts = (np.bincount(a[i], minlength=size), np.bincount(b[j], minlength=size))
        return float(jensenshannon(*counts, base=2) ** 2)

    return statistic


def inception_score(real: Array, fake: Array, context: Context) -> Statistic:
    """Exponential of E_x KL(p(y|x) ‖ p(y)), y the spike type of a generated window; from 1 to the number of types.

    It never looks at real windows: a value is read beside that of real ones. Thesis 1.3.4; Salimans et al. 2016,
    arXiv:1606.03498.
    """
    p = context.spike_types.predict_proba(context.pca.transform(fake)).astype(np.float64)  # a mean may underflow
    return lambda i, j: float(np.exp(scipy.stats.entropy(p[j], p[j].mean(axis=0)[None], axis=1).mean()))
