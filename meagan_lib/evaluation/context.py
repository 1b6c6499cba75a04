"""What all metrics share: the training windows, and what is fitted to them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from meagan_lib.windows.features import Array

Statistic = Callable[[np.ndarray, np.ndarray], float]
"""The value of a metric on the windows ``real[i]`` and ``fake[j]``, of indices ``i`` (n,) and ``j`` (m,)."""
COMPONENTS = 10
CLUSTERS = 10


@dataclass(frozen=True)
class Context:
    """What metrics look through: fitted to the training windows, never to those that are compared."""

    pca: PCA
    """Principal components of the training windows."""
    sampling_rate_hz: float
    """For the features that have a duration."""
    train: Array
    """The training windows (n, samples)."""
    seed: int = 0
    """Of random directions, folds, clusters, halves and bootstrap."""
    labels: np.ndarray | None = None
    """Spike types (n,) of the training windows where they are known, for the Inception Score."""
    gate: Callable[[Array], np.ndarray] | None = None
    """Which windows (n, samples), bool (n,), the rule of real ones accepts
    (:meth:`meagan_lib.windows.gate.Gate.passes`); None: all."""
    electrodes: int = 1
    """Electrodes of a footprint, whose traces follow one another in a window; the own electrode is the first."""
    _nearest: dict[int, tuple] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def fit(cls, train: Array, sampling_rate_hz: float, **fields) -> "Context":
        """Fit to training windows (n, samples), as z-scores, with other ``fields`` as above.

        Footprints are (n, electrodes · samples).
        """
        pca = PCA(min(COMPONENTS, *train.shape), svd_solver="full").fit(train)
        return cls(pca, sampling_rate_hz, train, **fields)

    def own(self, windows: Array) -> Array:
        """Return the trace (n, samples) of the own electrode of windows (n, electrodes · samples)."""
        return windows if self.electrodes == 1 else windows[:, : windows.shape[1] // self.electrodes]

    def footprints(self, windows: Array) -> Array:
        """Return windows (n, electrodes · samples) as (n, electrodes, samples), where there are several electrodes."""
        return windows if self.electrodes == 1 else windows.reshape(len(windows), self.electrodes, -1)

    def traces(self, windows: Array) -> Array:
        """Return the traces (n · electrodes, samples) of windows (n, electrodes · samples)."""
        return windows.reshape(len(windows) * self.electrodes, -1)

    @cached_property
    def kmeans(self) -> KMeans:
        """Clusters of the training windows in the space of their principal components."""
        with threadpool_limits(1):
            kmeans = KMeans(min(CLUSTERS, len(self.train)), n_init=3, random_state=self.seed)
            return kmeans.fit(self.pca.transform(self.train))

    def clusters(self, windows: Array) -> np.ndarray:
        """Return the cluster (n,) of each window (n, samples)."""
        with threadpool_limits(1):
            return self.kmeans.predict(self.pca.transform(windows))

    def nearest(self, windows: Array) -> tuple[Array, np.ndarray]:
        """Find distances and indices, each (n, 2), of the two nearest training windows of each window, exactly.

        The same array is searched for once, however many metrics ask.
        """
        if id(windows) not in self._nearest:  # kept with what was found, so that no other array takes its id
            search = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(self.train)
            self._nearest[id(windows)] = windows, search.kneighbors(windows)
        return self._nearest[id(windows)][1]

    @cached_property
    def spike_types(self) -> LinearDiscriminantAnalysis:
        """p(y|x) of a spike type, from principal components; without labels that can be learned, types are clusters."""
        known = self.labels is not None and 1 < len(np.unique(self.labels)) < len(self.labels)
        types = self.labels if known else self.clusters(self.train)
        return LinearDiscriminantAnalysis().fit(self.pca.transform(self.train), types)
