"""The Gaussian of the training windows: a baseline, and what the networks are built on; the map between two."""

from pathlib import Path
from typing import Self

import numpy as np

from meagan_lib.models.contract import ArrayModel, TrainingData


class Gaussian(ArrayModel):
    """Multivariate normal with the mean and the full covariance of the training windows.

    With labels (n,) from 0, each class has a mean of its own, and all share the covariance within the classes (pooled:
    each mean takes a degree of freedom).
    """

    def __init__(self, windows: np.ndarray, labels: np.ndarray | None = None):
        """Fit to windows (n, samples); ``mean`` is (samples,), or (classes, samples) with labels."""
        self.mean, means = windows.mean(axis=0, dtype=np.float64), 1
        if labels is not None:
            its = [windows[labels == k] if k in labels else windows for k in range(labels.max() + 1)]
            self.mean = np.stack([own.mean(axis=0, dtype=np.float64) for own in its])
            windows, means = windows - self.mean[labels], len(np.unique(labels))
        self.covariance = np.cov(windows, rowvar=False, dtype=np.float64, ddof=min(means, len(windows) - 1))

    @classmethod
    def fit(cls, data: TrainingData, seed: int = 0, folder: Path | None = None) -> Self:
        """Fit the Gaussian to ``data``."""
        return cls(data.train, data.labels)

    @property
    def n_parameters(self) -> int:
        """Numbers of the mean and the symmetric covariance."""
        samples = len(self.covariance)
        return self.mean.size + samples * (samples + 1) // 2

    def colouring(self, latent: int) -> np.ndarray:
        """Return W (samples, latent) with W Wᵀ = the covariance, or its best approximation when ``latent`` < samples.

        z ~ N(0, I) makes mean + W z a draw from the Gaussian. The columns are principal axes, the strongest first.
        """
        variance, axes = np.linalg.eigh(self.covariance)
        scaled = (axes * np.sqrt(variance.clip(0)))[:, ::-1][:, :latent]
        return np.pad(scaled, ((0, 0), (0, latent - scaled.shape[1])))

    def whitening(self, ridge: float = 3e-3) -> np.ndarray:
        """Return (C + ridge · v I)^-½ (samples, samples), C the covariance and v the mean variance of a sample.

        (x − mean) times it has the covariance I, but for directions of hardly any variance, which stay small. Of all
        such maps it moves least: a sample stays at its place in time (ZCA; Bell & Sejnowski 1997,
        doi:10.1016/S0042-6989(97)00121-1).
        """
        variance, axes = np.linalg.eigh(self.covariance)
        return (axes / np.sqrt(variance.clip(0) + ridge * variance.mean())) @ axes.T

    def sample(self, n: int, seed: int = 0, labels: np.ndarray | None = None) -> np.ndarray:
        """Draw windows float32 (n, samples), with labels (n,) where it was fitted with any."""
        rng, mean = np.random.default_rng(seed), self.mean if labels is None else self.mean[labels]
        around = rng.multivariate_normal(np.zeros(len(self.covariance)), self.covariance, size=n, method="eigh")
        return (mean + around).astype(np.float32)


def without_farthest(windows: np.ndarray, fraction: float) -> np.ndarray:
    """Leave out the ``fraction`` of windows (n, samples) farthest from their median: artefacts weigh as squares."""
    distance = np.linalg.norm(windows - np.median(windows, axis=0), axis=1)
    return windows[distance <= np.quantile(distance, 1 - fraction)]


def gaussian_transport(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return A (samples, samples), b (samples,): x → A x + b gives ``source`` the mean and covariance of ``target``.

    Both are windows (·, samples). Of all such maps it moves least, E ‖A x + b − x‖², as :func:`transport_map`.
    """
    a = transport_map(*(np.cov(x, rowvar=False, dtype=np.float64) for x in (source, target)))
    return a, target.mean(axis=0, dtype=np.float64) - a @ source.mean(axis=0, dtype=np.float64)


def transport_map(s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return A (samples, samples), which gives x of the covariance ``s`` the covariance ``t``, and moves x least.

    Optimal transport between Gaussians: A = S^-½ (S^½ T S^½)^½ S^-½. Dowson & Landau 1982,
    doi:10.1016/0047-259X(82)90077-X.
    """

    def root(matrix: np.ndarray) -> np.ndarray:
        values, axes = np.linalg.eigh(matrix)
        return (axes * np.sqrt(values.clip(0))) @ axes.T

    ridge = 1e-9 * np.trace(s) / len(s) * np.eye(len(s))  # a direction that S lacks is left as it is
    half = root(s + ridge)
    inverse = np.linalg.inv(half)
    a = inverse @ root(half @ (t + ridge) @ half) @ inverse
    return (a + a.T) / 2
