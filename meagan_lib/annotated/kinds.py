"""Kinds of spikes: the distribution of footprints without the noise of the recording, a mixture of Gaussians."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

SIZES = (1, 2, 4, 8, 12, 16, 24, 32, 48)
"""Numbers of kinds that are tried; BIC chooses."""
PER_KIND = 10
"""Footprints that there must be for each kind."""
MOST_AXES = 10


@dataclass(frozen=True)
class Kinds:
    """Spikes sorted by likeness, and how each kind varies.

    A footprint is spike + noise, independent. Footprints are whitened by the noise that was measured where there is no
    spike, so that noise has variance 1 in every direction; principal axes with more variance than chance gives pure
    noise (Marchenko & Pastur 1967) carry the spikes. A mixture of Gaussians is fitted to these; of the covariance of
    each component what exceeds 1 is how its spikes vary (as in extreme deconvolution: Bovy et al. 2011,
    doi:10.1214/10-AOAS439).

    Attributes
    ----------
    label
        int64 (n,): the kind of each footprint.
    means
        float32 (kinds, electrodes, samples): the mean spike of each kind.
    spread
        float32 (kinds, axes): standard deviation of the spikes of each kind along ``basis``.
    basis
        float32 (electrodes · samples, axes): mean + basis · (spread ⊙ z), z ~ N(0, I), is a spike of a kind.
    """

    label: np.ndarray
    means: np.ndarray
    spread: np.ndarray
    basis: np.ndarray

    @classmethod
    def fit(cls, footprints: np.ndarray, background: np.ndarray, seed: int = 0) -> Self:
        """Sort footprints (n, electrodes, samples), given backgrounds (m, electrodes, samples) of their recording."""
        n, *shape = footprints.shape
        noise = np.cov(background.reshape(len(background), -1), rowvar=False, dtype=np.float64)
        variance, axes = np.linalg.eigh(noise + 1e-3 * np.trace(noise) / len(noise) * np.eye(len(noise)))
        whiten, colour = axes / np.sqrt(variance) @ axes.T, axes * np.sqrt(variance) @ axes.T
        del noise
        x = footprints.reshape(n, -1).astype(np.float64)
        centre = x.mean(axis=0)
        x -= centre  # in place, and after the noise: spikes of a whole chip take memory
        white = x @ whiten
        del x
        power, axes = np.linalg.eigh(white.T @ white / max(n - 1, 1))
        carry = min(max(int((power > (1 + np.sqrt(white.shape[1] / n)) ** 2).sum()), 1), MOST_AXES)
        axes = axes[:, ::-1][:, :carry]
        with threadpool_limits(1):
            mixture = _mixture(white @ axes, seed)
            label = mixture.predict(white @ axes).astype(np.int64)
        used, label = np.unique(label, return_inverse=True)
        basis = colour @ axes
        means = centre + mixture.means_[used] @ basis.T
        spread = np.sqrt((mixture.covariances_[used] - 1).clip(0))
        return cls(label, *(a.astype(np.float32) for a in (means.reshape(len(used), *shape), spread, basis)))

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
        z = rng.standard_normal((len(kind), self.basis.shape[1])).astype(np.float32)
        varied = (self.spread[kind] * z) @ self.basis.T
        return self.means[kind] + varied.reshape(len(kind), *self.means.shape[1:])


def _mixture(scores: np.ndarray, seed: int) -> GaussianMixture:
    """Fit the mixture to scores (n, axes) whose noise has variance 1, of as many components as BIC chooses."""
    sizes = [k for k in SIZES if k == 1 or k * PER_KIND <= len(scores)]
    fits = [
        GaussianMixture(k, covariance_type="diag", reg_covar=0.05, max_iter=200, random_state=seed).fit(scores)
        for k in sizes
    ]
    return min(fits, key=lambda fitted: fitted.bic(scores))
