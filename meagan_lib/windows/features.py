"""What is measured on spike windows before they are compared: shape, spectrum, autocorrelation, a map of neighbours."""

from collections.abc import Mapping

import numpy as np
import scipy.stats
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

Array = NDArray[np.floating]


def shape_features(windows: Array, sampling_rate_hz: float) -> dict[str, Array]:
    """Measure features (n,) of the shape of a spike, by name; amplitudes in the windows' unit, times in ms.

    ``trough``: lowest value. ``peak_to_peak``: highest minus lowest. ``trough_to_peak_ms``: from the trough to the
    highest value after it. ``half_width_ms``: time below half the trough around it. ``fall``, ``rise``: steepest
    slope before and after the trough, per ms.
    """
    n, samples = windows.shape
    rows, ms = np.arange(n), 1000 / sampling_rate_hz
    at = windows.argmin(axis=1)
    index = np.arange(samples)
    after, before = index[None, :] > at[:, None], index[None, :] < at[:, None]
    peak_at = np.where(after, windows, -np.inf).argmax(axis=1)
    trough = windows[rows, at]
    above = windows > 0.5 * trough[:, None]
    left = np.where(above & before, index, -1).max(axis=1)
    right = np.where(above & after, index, samples).min(axis=1)
    slope = np.diff(windows, axis=1) / ms
    return {
        "trough": trough,
        "peak_to_peak": windows.max(axis=1) - trough,
        "trough_to_peak_ms": np.maximum(peak_at - at, 0) * ms,
        "half_width_ms": (right - left - 1) * ms,
        "fall": np.where(before[:, 1:] | (index[1:] == at[:, None]), slope, np.inf).min(axis=1).clip(max=0),
        "rise": np.where(after[:, 1:], slope, -np.inf).max(axis=1).clip(min=0),
    }


def extrema_and_moments(windows: Array) -> Array:
    """Return positions of lowest and highest sample, the highest sample, mean, SD, skewness, kurtosis (n, 7)."""
    measures = np.argmin, np.argmax, np.max, np.mean, np.std, scipy.stats.skew, scipy.stats.kurtosis
    return np.nan_to_num(np.stack([measure(windows, axis=1) for measure in measures], axis=1))


def power_spectra(windows: Array) -> Array:
    """Return |rfft|² of each window, (n, samples // 2 + 1)."""
    return np.abs(np.fft.rfft(windows, axis=1)) ** 2


def spectral_floor(windows: Array) -> Array:
    """Estimate by how much log mean power differs between random halves of windows (n, samples), 95 %: (frequencies,).

    Δ log P̄ ≈ N(0, 4 s² / (n P̄²)), P̄ and s the mean and standard deviation of the power (delta method).
    """
    power = power_spectra(windows)
    return 1.96 * 2 * power.std(axis=0, ddof=1) / (power.mean(axis=0) * np.sqrt(len(windows)))


def autocorrelations(windows: Array) -> Array:
    """Compute Σ_t x(t) x(t + τ) of each window for lags τ from 0 to samples − 1, (n, samples); 0 outside of a window.

    The inverse transform of the power spectrum of the window with as many zeros behind it (Wiener–Khinchin).
    """
    samples = windows.shape[1]
    padded = np.abs(np.fft.rfft(windows, 2 * samples, axis=1)) ** 2
    return np.fft.irfft(padded, axis=1)[:, :samples]


def classifier_features(windows: Array, sampling_rate_hz: float) -> Array:
    """Return what the classifier of the two-sample test sees, (n, features).

    Samples, log-spectrum, shape features, and :func:`extrema_and_moments`: where a window is lowest is a rule of
    cutting, which trees find only slowly in the samples.
    """
    spectrum = np.log(power_spectra(windows) + 1e-12)
    shape = np.stack(list(shape_features(windows, sampling_rate_hz).values()), axis=1)
    return np.concatenate([windows, spectrum, shape, extrema_and_moments(windows)], axis=1).astype(np.float32)


def neighbour_map(sources: Mapping[str, Array], pca: PCA, n: int = 1500, seed: int = 0) -> dict[str, Array]:
    """Place windows (·, samples) of all ``sources``, ``n`` in all, on one t-SNE map: positions (·, 2) by source.

    It starts from principal components and runs on one thread, which makes it the same to the bit. van der Maaten &
    Hinton 2008 (JMLR 9): who are neighbours can be read from it, distances and densities cannot.
    """
    rng, each = np.random.default_rng(seed), n // len(sources)
    drawn = {source: rng.permutation(windows)[:each] for source, windows in sources.items()}
    scores = pca.transform(np.concatenate(list(drawn.values())))
    with threadpool_limits(1):
        places = TSNE(perplexity=min(30, (len(scores) - 1) / 3), init="pca", random_state=seed).fit_transform(scores)
    ends = np.cumsum([len(windows) for windows in drawn.values()])[:-1]
    return dict(zip(drawn, np.split(places, ends)))
