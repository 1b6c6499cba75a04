"""Rivals that a generative model must beat."""

import numpy as np


class Gaussian:
    """Multivariate normal with the mean and the full covariance of the training windows."""

    def __init__(self, windows: np.ndarray):
        """Fit to windows (n, samples)."""
        self.mean = windows.mean(axis=0, dtype=np.float64)
        self.covariance = np.cov(windows, rowvar=False, dtype=np.float64)

    def colouring(self, latent: int) -> np.ndarray:
        """W (samples, latent) with W Wᵀ = the covariance, or its best approximation when ``latent`` < samples.

        z ~ N(0, I) makes mean + W z a draw from the Gaussian. The columns are principal axes, the strongest first.
        """
        variance, axes = np.linalg.eigh(self.covariance)
        scaled = (axes * np.sqrt(variance.clip(0)))[:, ::-1][:, :latent]
        return np.pad(scaled, ((0, 0), (0, latent - scaled.shape[1])))

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Draw windows float32 (n, samples)."""
        rng = np.random.default_rng(seed)
        return rng.multivariate_normal(self.mean, self.covariance, size=n, method="eigh").astype(np.float32)
