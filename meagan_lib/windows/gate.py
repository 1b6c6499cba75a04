"""The gate asks of any window what detection and cutting asked of the real ones."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from meagan_lib.windows.detection import DetectionConfig
from meagan_lib.windows.footprints import centred
from meagan_lib.windows.normalisation import Standardiser
from meagan_lib.windows.spike_windows import SpikeWindows, Split

READ_OFF = 0.999
"""Fraction of the training windows that keep a rule for it to be asked of generated windows."""


@dataclass(frozen=True)
class Gate:
    """The rule by which detection and cutting accepted the real windows, asked of any window.

    Of the recording's own windows the rule is known. Of imported windows only the position of the trough can be read
    off, and where it varies, nothing: then every window passes. A part of the rule that fewer than ``READ_OFF`` of the
    training windows keep is not asked.
    """

    aligned: np.ndarray
    """bool (samples,): where the lowest sample of a training window stands."""
    noise_mad: np.ndarray
    """(channels,), sorted: noise levels of the channels that gave training windows; none for imported windows. A
    generated window has no channel, and passes if it would have on one of them."""
    threshold_mad: float = 0.0
    """Depth of the trough in noise levels."""
    guard_mad: float = np.inf
    """Depth, in noise levels, that no second trough exceeds; ∞: any."""
    dead: int = 1
    """A trough is the lowest sample within so many on both sides."""
    artefact: float = np.inf
    """Absolute value that no sample exceeds; ∞: any."""
    deepest: bool = False
    """Whether a footprint is deepest on its own electrode."""

    @classmethod
    def of(cls, windows: SpikeWindows) -> "Gate":
        """Return the rule that the training windows of ``windows`` went through."""
        train, kept, rule = windows.of(Split.TRAIN), windows.split == Split.TRAIN, windows.detection
        aligned = np.zeros(windows.n_samples, bool)
        aligned[train.argmin(axis=1)] = True
        if "threshold_mad" not in rule or not len(windows.noise_mad):
            return cls(aligned, np.zeros(0))
        channel = pd.Series(windows.noise_recording).groupby(windows.noise_recording).cumcount()
        pairs = np.stack([windows.noise_recording, channel])
        used = np.stack([windows.recording, windows.channel])[:, kept]
        noise = windows.noise_mad[(pairs[:, :, None] == np.unique(used, axis=1)[:, None]).all(axis=0).any(axis=1)]
        dead = DetectionConfig(dead_time_ms=rule["dead_time_ms"]).dead(windows.sampling_rate_hz)
        noise, anywhere = np.sort(noise[noise > 0].astype(np.float64)), np.ones_like(aligned)
        asked = {
            "threshold_mad": rule["threshold_mad"],
            "guard_mad": rule["isolation"]["guard_mad"] or np.inf,
            "artefact": rule["artefact"] or np.inf,
        }
        kept_to = {
            name: value
            for name, value in asked.items()
            if cls(anywhere, noise, dead=dead, **{name: value}).passes(train).mean() >= READ_OFF
        }
        footprints = windows.footprints
        deepest = footprints is not None and centred(footprints[kept], windows.pre_samples, dead).mean() >= READ_OFF
        return cls(aligned, noise, dead=dead, **kept_to, deepest=deepest)

    def passes(self, windows: np.ndarray) -> np.ndarray:
        """Return whether bool (n,) windows (n, samples), in the unit of the recording, would have been accepted.

        Of footprints (n, electrodes · samples), the own electrode first, that electrode is asked, and whether it is the
        ``deepest``.
        """
        samples = len(self.aligned)
        if self.deepest and windows.shape[1] > samples:
            own = centred(windows.reshape(len(windows), -1, samples), samples // 2, self.dead)
            return own & self.passes(windows[:, :samples])
        windows = windows[:, :samples]
        accepted = self.aligned[windows.argmin(axis=1)] & (np.abs(windows).max(axis=1) <= self.artefact)
        if not len(self.noise_mad):
            return accepted
        depth = -windows.min(axis=1).astype(np.float64)
        # Some noise level σ must lie between second trough / guard and depth / threshold; float32 rounds both.
        highest = depth / max(self.threshold_mad, 1e-9) * (1 + 1e-6)
        lowest = second_trough(windows, self.dead) / self.guard_mad * (1 - 1e-6)
        return accepted & (np.searchsorted(self.noise_mad, highest) > np.searchsorted(self.noise_mad, lowest))

    def on(self, standardiser: Standardiser) -> Callable[[np.ndarray], np.ndarray]:
        """Return :meth:`passes` for windows that a standardiser has transformed."""
        return lambda windows: self.passes(standardiser.inverse(windows))


def second_trough(windows: np.ndarray, dead: int) -> np.ndarray:
    """Return the depth (n,) of the deepest trough of windows (n, samples) beside the lowest sample; 0 for none.

    A trough is the lowest sample within ``dead`` samples on both sides, the first of equals, as in detection; nearer to
    the edge than that a window does not show whether there is one.
    """
    n, samples = windows.shape
    if samples <= 2 * dead:
        return np.zeros(n)
    around = np.lib.stride_tricks.sliding_window_view(windows, 2 * dead + 1, axis=1)  # (n, positions, 2 dead + 1)
    position = np.arange(dead, samples - dead)
    trough = around.argmin(axis=2) == dead
    trough &= np.abs(position - windows.argmin(axis=1)[:, None]) > dead
    return np.where(trough, -windows[:, dead : samples - dead], 0).max(axis=1).clip(0).astype(np.float64)
