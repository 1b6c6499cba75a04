"""Whether generated windows are copies of training windows.

These are the only metrics that look at the training windows. ``real`` is held out as everywhere: what is asked is
whether generated windows lie nearer to the training windows than new real ones do. Only that side counts as bad;
windows that lie too far from them are the concern of the other metrics.
"""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from meagan_lib.evaluation.classifiers import mann_whitney_u
from meagan_lib.evaluation.context import Context, Statistic
from meagan_lib.windows.features import Array

LEAST_IN_CELL = 20
"""Windows that a cell needs on either side to count in :func:`c_t`."""


def distance_to_train(windows: Array, train: Array, k: int = 1) -> Array:
    """Compute the distance (n,) from each window (n, samples) to the ``k``-th nearest training window, exactly."""
    return NearestNeighbors(n_neighbors=k, algorithm="brute").fit(train).kneighbors(windows)[0][:, -1]


def nearer_to_train(generated: Array, test: Array) -> tuple[float, float]:
    """Return how often a generated window is nearer to the training windows than a test window, and its standard error.

    P(d_generated < d_test) + ½ P(=), of distances (n,) and (m,) from :func:`distance_to_train`: ½ where the model is as
    far from its training windows as new real ones are, towards 1 where it copies. The Mann–Whitney statistic behind
    :func:`c_t`.
    """
    n, m = len(generated), len(test)
    return mann_whitney_u(test, generated) / (n * m), float(np.sqrt((n + m + 1) / (12 * n * m)))


def rank_sum_z(generated: Array, test: Array) -> float:
    """(U − nm/2) / √(nm (n + m + 1) / 12), U the pairs in which the generated distance (n,) is above the test (m,)."""
    n, m = len(generated), len(test)
    return float((mann_whitney_u(generated, test) - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))


def c_t(real: Array, fake: Array, context: Context) -> Statistic:
    """C_T: the rank-sum z of the distances to the nearest training window, mean over cells weighted by test windows.

    Around 0 for new windows, far below for copies. Cells are the clusters of the training windows: a model that keeps
    to crowded places, where all distances are short, is not taken to copy. Meehan, Chaudhuri & Dasgupta 2020,
    arXiv:2004.05675.
    """
    (cell_r, d_r), (cell_g, d_g) = (
        (context.clusters(windows), context.nearest(windows)[0][:, 0]) for windows in (real, fake)
    )

    def statistic(i: np.ndarray, j: np.ndarray) -> float:
        z, weight = [], []
        for cell in range(context.kmeans.n_clusters):
            test, generated = d_r[i[cell_r[i] == cell]], d_g[j[cell_g[j] == cell]]
            if min(len(test), len(generated)) >= LEAST_IN_CELL:
                z.append(rank_sum_z(generated, test))
                weight.append(len(test))
        return float(np.average(z, weights=weight)) if z else rank_sum_z(d_g[j], d_r[i])

    return statistic


def authenticity(real: Array, fake: Array, context: Context) -> Statistic:
    """Fraction of generated windows that are further from their nearest training window than that is from the others.

    0 for copies. Alaa et al. 2022, arXiv:2102.08921.
    """
    distance, nearest = (found[:, 0] for found in context.nearest(fake))
    centres, of = np.unique(nearest, return_inverse=True)
    authentic = distance > distance_to_train(context.train[centres], context.train, k=2)[of]
    return lambda i, j: float(authentic[j].mean())


def fraction_nearest(real: Array, fake: Array, context: Context, fraction: float = 0.05) -> Statistic:
    """Fraction of generated windows that lie nearer to a training window than the nearest 5 % of the test windows do.

    0.05 for new windows, 1 for copies; with ``fraction`` 0, nearer than any test window.
    """
    d_r, d_g = (context.nearest(windows)[0][:, 0] for windows in (real, fake))
    return lambda i, j: float((d_g[j] < np.quantile(d_r[i], fraction)).mean())


def distance_ratio(real: Array, fake: Array, context: Context) -> Statistic:
    """Distance to the nearest training window over that to the second nearest, mean over generated windows.

    Near 0 for copies. Windows with too little noise lie near to *all* training windows, which the other metrics of this
    module take for copying; their ratio stays that of new windows.
    """
    distance, _ = context.nearest(fake)
    ratio = distance[:, 0] / np.maximum(distance[:, 1], np.finfo(float).tiny)
    return lambda i, j: float(ratio[j].mean())
