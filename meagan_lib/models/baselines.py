"""Baselines without a network: quick to fit, and the first that must be beaten."""

import numpy as np
from scipy.linalg import block_diag, toeplitz
from sklearn.mixture import GaussianMixture

from meagan_lib.models.contract import ArrayModel, TrainingData, band_noise
from meagan_lib.models.gaussian import Gaussian


def principal_axes(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean (samples,), principal axes (samples, samples) in columns, deviations (samples,); strongest first."""
    gaussian = Gaussian(windows)
    variance, axes = np.linalg.eigh(gaussian.covariance)
    return gaussian.mean, axes[:, ::-1], np.sqrt(variance[::-1].clip(0))


class PCAGaussian(ArrayModel):
    """A Gaussian along the first ``n_components`` principal axes, and noise for what they leave.

    x = x̄ + V Λ^½ z + s (I − V Vᵀ) ε with z ~ N(0, I), V the axes and Λ the variances along them, and ε noise within
    the band; s gives the rest its variance. Tipping & Bishop 1999, doi:10.1111/1467-9868.00196, where ε is white.
    """

    electrodes = np.array(1)

    def __init__(self, data: TrainingData, seed: int = 0, n_components: int = 10):
        self.mean, axes, deviations = principal_axes(data.train)
        self.axes, self.deviations = axes[:, :n_components], deviations[:n_components]
        self.lowpass = np.asarray(data.lowpass, dtype=np.float64)
        spread = np.convolve(self.lowpass, self.lowpass)[len(self.lowpass) - 1 :]  # of ε: its autocovariance
        trace = toeplitz(np.pad(spread, (0, data.trace))[: data.trace] / spread[0])
        covariance = block_diag(*[trace] * data.electrodes)
        if data.electrodes > 1:
            self.electrodes = np.array(data.electrodes)
        left = np.trace(covariance) - np.trace(self.axes.T @ covariance @ self.axes)
        self.noise = np.array(np.sqrt((deviations[n_components:] ** 2).sum() / max(left, 1e-12)))

    @property
    def n_parameters(self) -> int:
        """Numbers of the mean, of a covariance of rank k (directions and variances), and the scale of the noise."""
        samples, k = self.axes.shape
        return samples + samples * k - k * (k - 1) // 2 + 1

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Draw windows float32 (n, samples)."""
        rng = np.random.default_rng(seed)
        along = rng.standard_normal((n, len(self.deviations))) * self.deviations
        rest = band_noise(n, len(self.mean), self.lowpass, rng, self.electrodes.item())
        rest -= rest @ self.axes @ self.axes.T
        return (self.mean + along @ self.axes.T + self.noise * rest).astype(np.float32)


class MixtureOfGaussians(ArrayModel):
    """A mixture of Gaussians along the first ``n_components`` principal axes, a Gaussian along the others.

    The number of parts is the one of 1, 2, 4, … ``most_parts`` at which the Bayesian information criterion is lowest
    (Schwarz 1978, doi:10.1214/aos/1176344136); ``bic`` (tried, 2) has these numbers, and the criterion as a mean over
    the windows, in nats. All axes at once would leave too few parts: one over 64 samples alone has 2145 numbers.
    """

    def __init__(self, data: TrainingData, seed: int = 0, n_components: int = 10, most_parts: int = 64):
        windows = data.train
        self.mean, axes, deviations = principal_axes(windows)
        self.colouring = axes * deviations
        n_components = min(n_components, int((deviations > 1e-6 * deviations[0]).sum()))  # the others do not vary
        along = (windows - self.mean) @ axes[:, :n_components] / deviations[:n_components]
        mixtures, criterion = [], []
        while len(criterion) < 2 or criterion[-1] < criterion[-2]:
            parts = 2 ** len(mixtures)
            if parts > min(most_parts, len(windows)):
                break
            mixtures.append(GaussianMixture(parts, random_state=seed, max_iter=200, init_params="k-means++").fit(along))
            criterion.append(mixtures[-1].bic(along) / len(windows))
        best = mixtures[int(np.argmin(criterion))]
        self.weights, self.means = best.weights_, best.means_
        self.roots = np.linalg.cholesky(best.covariances_)
        self.bic = np.stack([2.0 ** np.arange(len(mixtures)), criterion], axis=1)

    @property
    def n_parameters(self) -> int:
        """Numbers of the Gaussian over all axes, and of the mixture's weights, means and covariances."""
        samples, (parts, k) = len(self.mean), self.means.shape
        return samples + samples * (samples + 1) // 2 + parts - 1 + parts * k + parts * k * (k + 1) // 2

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Draw windows float32 (n, samples)."""
        rng = np.random.default_rng(seed)
        part = rng.choice(len(self.weights), size=n, p=self.weights)
        z = rng.standard_normal((n, len(self.mean)))
        k = self.means.shape[1]
        z[:, :k] = self.means[part] + np.einsum("nij,nj->ni", self.roots[part], z[:, :k])
        return (self.mean + z @ self.colouring.T).astype(np.float32)


class Bootstrap(ArrayModel):
    """Training windows drawn with replacement, each with a little noise: what learning by heart would get.

    ``jitter`` is the standard deviation of the noise, as a z-score. A score is no proof of a model unless it beats this
    one where copying does not count.
    """

    electrodes = np.array(1)

    def __init__(self, data: TrainingData, seed: int = 0, jitter: float = 0.05):
        self.windows, self.jitter = np.asarray(data.train, np.float32), np.array(jitter)
        self.lowpass = np.asarray(data.lowpass, dtype=np.float64)
        if data.electrodes > 1:
            self.electrodes = np.array(data.electrodes)

    @property
    def n_parameters(self) -> int:
        """All samples of all training windows: they are what it knows."""
        return self.windows.size

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Draw windows float32 (n, samples)."""
        rng = np.random.default_rng(seed)
        drawn = self.windows[rng.integers(len(self.windows), size=n)]
        noise = band_noise(n, self.windows.shape[1], self.lowpass, rng, self.electrodes.item())
        return (drawn + self.jitter * noise).astype(np.float32)
