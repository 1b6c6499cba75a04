"""Kinds of spikes: footprints that look alike but for the noise, and the spike that they have in common."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

PER_KIND = 15
"""Footprints that a kind has on average, so that its mean has a quarter of their noise."""
MOST = 80
COMPONENTS = 12
"""Principal components, in noise levels, by which footprints are told apart."""


@dataclass(frozen=True)
class Kinds:
    """Spikes sorted by likeness, and their distribution without the noise of the recording.

    A footprint is spike + noise, independent: a mean over alike ones is their spike, and of the covariance within a
    kind what exceeds the noise's is how its spikes vary. Footprints are whitened by the noise first, so that likeness
    is counted in noise levels. Of the variance within kinds only principal axes above the Marchenko–Pastur edge are
    kept: below it, a covariance estimated from so few footprints cannot tell variation from chance.

    Attributes
    ----------
    label
        int64 (n,): the kind of each footprint.
    means
        float32 (kinds, electrodes, samples): the spike of each kind.
    colouring
        float32 (electrodes · samples, axes): mean + colouring · z, z ~ N(0, I), is a spike of a kind.
    """

    label: np.ndarray
    means: np.ndarray
    colouring: np.ndarray

    @classmethod
    def fit(cls, footprints: np.ndarray, background: np.ndarray, seed: int = 0) -> Self:
        """Sort footprints (n, electrodes, samples), given backgrounds (m, electrodes, samples) of their recording."""
        n, *shape = footprints.shape
        x = footprints.reshape(n, -1).astype(np.float64)
        noise = np.cov(background.reshape(len(background), -1), rowvar=False, dtype=np.float64)
        variance, axes = np.linalg.eigh(noise + 1e-3 * np.trace(noise) / len(noise) * np.eye(len(noise)))
        whiten, colour = axes / np.sqrt(variance) @ axes.T, axes * np.sqrt(variance) @ axes.T
        scores = PCA(min(COMPONENTS, n, x.shape[1]), random_state=seed).fit_transform((x - x.mean(axis=0)) @ whiten)
        n_kinds = int(np.clip(n // PER_KIND, 1, MOST))
        label = KMeans(n_kinds, n_init=4, random_state=seed).fit_predict(scores).astype(np.int64)
        means = np.stack([x[label == k].mean(axis=0) for k in range(n_kinds)])
        rest = (x - means[label]) @ whiten
        free = max(n - n_kinds, 1)
        excess, axes = np.linalg.eigh(rest.T @ rest / free)
        varies = excess > (1 + np.sqrt(x.shape[1] / free)) ** 2
        colouring = colour @ (axes[:, varies] * np.sqrt(excess[varies] - 1))
        return cls(label, means.reshape(n_kinds, *shape).astype(np.float32), colouring.astype(np.float32))

    @property
    def counts(self) -> np.ndarray:
        """Number int (kinds,) of footprints of each kind."""
        return np.bincount(self.label, minlength=len(self.means))

    @property
    def depth(self) -> np.ndarray:
        """Depth (kinds,) of the trough of each kind's spike on its own electrode."""
        return -self.means[:, 0].min(axis=1)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw kinds int64 (n,) as often as they occur."""
        return self.label[rng.integers(len(self.label), size=n)]

    def spikes(self, kind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw a spike float32 (n, electrodes, samples) of each kind (n,)."""
        z = rng.standard_normal((len(kind), self.colouring.shape[1])).astype(np.float32)
        return self.means[kind] + (z @ self.colouring.T).reshape(len(kind), *self.means.shape[1:])
