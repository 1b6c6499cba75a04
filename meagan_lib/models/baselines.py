"""Rivals that a generative model must beat."""

import numpy as np


class Gaussian:
    """Multivariate normal with the mean and the full covariance of the training windows."""

    def __init__(self, windows: np.ndarray):
        """Fit to windows (n, samples)."""
        self.mean = windows.mean(axis=0, dtype=np.float64)
        self.covariance = np.cov(windows, rowvar=False, dtype=np.float64)

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Draw windows float32 (n, samples)."""
        rng = np.random.default_rng(seed)
        return rng.multivariate_normal(self.mean, self.covariance, size=n, method="eigh").astype(np.float32)
