"""Windows of one recording as another one would have cut them: at its sampling rate, around its sample of the peak."""

from dataclasses import replace

import numpy as np
from scipy.interpolate import CubicSpline

from meagan_lib import InputError
from meagan_lib.windows.spike_windows import SpikeWindows


def resample(windows: SpikeWindows, like: SpikeWindows) -> SpikeWindows:
    """Return ``windows`` at the sampling rate, the length and the sample of the peak of the windows ``like``.

    A cubic spline through the samples of a window gives the new ones; windows that are alike in all three stay as they
    are. A new sample may lie outside of the old ones by less than one of theirs, and equals the last one then.

    ``InputError``: windows that are shorter, or of several electrodes.
    """
    if windows.electrodes > 1 or like.electrodes > 1:
        raise InputError("windows of several electrodes cannot be resampled: cut them without neighbours")
    old, new = windows.time_ms, like.time_ms
    if len(old) == len(new) and np.allclose(old, new, atol=1e-9):
        return windows
    lacking = max(old[0] - new[0], new[-1] - old[-1])
    if lacking >= 1000 / windows.sampling_rate_hz:
        raise InputError(
            f"windows from {old[0]:.2f} to {old[-1]:.2f} ms cannot be resampled to windows from {new[0]:.2f} to "
            f"{new[-1]:.2f} ms: cut both with the same window_ms"
        )
    spline = CubicSpline(old, windows.windows, axis=1)
    drawn = spline(new.clip(old[0], old[-1])).astype(np.float32)
    return replace(windows, windows=drawn, sampling_rate_hz=like.sampling_rate_hz, pre_samples=like.pre_samples)
