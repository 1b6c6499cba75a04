"""What only footprints have: decay of the amplitude, delay between electrodes, correlation of the noise.

Each compares footprints (n, electrodes, samples), the own electrode first.
"""

import numpy as np

from meagan_lib.evaluation.context import Context, Statistic
from meagan_lib.evaluation.distances import ks_distance
from meagan_lib.windows.detection import DetectionConfig
from meagan_lib.windows.features import Array
from meagan_lib.windows.footprints import amplitude_decay, delays, noise_correlation

FLANK = 4
"""The first of so many parts of a window lies before the spike."""


def decay_ks(real: Array, fake: Array, context: Context) -> Statistic:
    """Kolmogorov–Smirnov distance of a neighbour's middle sample over the own electrode's, mean over the neighbours.

    In [0, 1]: by how much the amplitude falls from the trough's electrode to those around it, spike by spike.
    """
    a, b = (amplitude_decay(footprints)[:, 1:].T for footprints in (real, fake))
    return lambda i, j: float(np.mean([ks_distance(own[i], its[j]) for own, its in zip(a, b)]))


def delay_difference(real: Array, fake: Array, context: Context) -> Statistic:
    """Root mean square over the neighbours of the difference in their delay, that of the mean footprint, in ms."""
    reach = min(DetectionConfig().dead(context.sampling_rate_hz), real.shape[2] // 2 - 1)
    ms = 1000 / context.sampling_rate_hz

    def statistic(i: np.ndarray, j: np.ndarray) -> float:
        later = delays(real[i], reach)[1:] - delays(fake[j], reach)[1:]
        return float(ms * np.sqrt(np.mean(later**2)))

    return statistic


def noise_correlation_difference(real: Array, fake: Array, context: Context) -> Statistic:
    """Root mean square over pairs of electrodes of the difference in the correlation of what precedes the spike."""
    flank, pairs = real.shape[2] // FLANK, np.triu_indices(real.shape[1], 1)

    def statistic(i: np.ndarray, j: np.ndarray) -> float:
        a, b = (noise_correlation(footprints, flank)[pairs] for footprints in (real[i], fake[j]))
        return float(np.sqrt(np.mean((a - b) ** 2)))

    return statistic
