"""Scales of windows, fitted on training windows alone: the z-score, min–max, and each window by itself."""

from dataclasses import dataclass

import numpy as np

from meagan_lib import choose


@dataclass(frozen=True)
class Standardiser:
    """x' = (x − centre) / scale, the same two numbers for all windows, so that amplitudes survive (thesis 1.3.5).

    Fitted on training windows only. ``bounded``: training windows lie in [−1, 1].
    """

    centre: float
    scale: float
    bounded: bool = False

    @classmethod
    def fit(cls, windows: np.ndarray) -> "Standardiser":
        """Fit the z-score: mean and standard deviation of windows (n, samples)."""
        return cls(float(windows.mean(dtype=np.float64)), float(windows.std(dtype=np.float64)))

    @classmethod
    def fit_range(cls, windows: np.ndarray) -> "Standardiser":
        """Fit min–max: the lowest sample of all windows (n, samples) becomes −1, the highest 1."""
        low, high = float(windows.min()), float(windows.max())
        return cls((high + low) / 2, (high - low) / 2, bounded=True)

    def transform(self, windows: np.ndarray) -> np.ndarray:
        """Map from the amplitude unit, float32."""
        return ((windows - self.centre) / self.scale).astype(np.float32)

    def inverse(self, windows: np.ndarray) -> np.ndarray:
        """Map back to the amplitude unit, float32."""
        return (windows * self.scale + self.centre).astype(np.float32)


@dataclass(frozen=True)
class WindowStandardiser:
    """Each window to mean 0 and standard deviation 1 by itself: a model of such windows never sees an amplitude.

    On the way back each window gets ``centres`` and ``scales``, mean and standard deviation (n,), of a training window
    that is drawn at random, so that amplitudes are right on the whole and wrong for the shape that carries them.
    """

    centres: np.ndarray
    scales: np.ndarray
    bounded: bool = False

    @classmethod
    def fit(cls, windows: np.ndarray) -> "WindowStandardiser":
        """Fit to windows (n, samples)."""
        return cls(windows.mean(axis=1, dtype=np.float64), windows.std(axis=1, dtype=np.float64))

    def transform(self, windows: np.ndarray) -> np.ndarray:
        """Map from the amplitude unit, float32."""
        own = windows.std(axis=1, keepdims=True)
        return ((windows - windows.mean(axis=1, keepdims=True)) / np.where(own > 0, own, 1)).astype(np.float32)

    def inverse(self, windows: np.ndarray) -> np.ndarray:
        """Map back to the amplitude unit, float32."""
        drawn = np.random.default_rng(0).integers(len(self.scales), size=(len(windows), 1))
        return (windows * self.scales[drawn] + self.centres[drawn]).astype(np.float32)


NORMALISATIONS = {"z_score": Standardiser.fit, "min_max": Standardiser.fit_range, "per_window": WindowStandardiser.fit}


def fit_normalisation(name: str, windows: np.ndarray) -> Standardiser | WindowStandardiser:
    """Fit the normalisation called ``name`` to training windows (n, samples); an unknown one raises an InputError."""
    choose("normalisation", name, NORMALISATIONS)
    return NORMALISATIONS[name](windows)
