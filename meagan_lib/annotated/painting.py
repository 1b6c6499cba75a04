"""Painting: how a spike enters a background, and what detection then sees of it.

All arrays are band-passed footprints (n, electrodes, samples). Filtering is linear: what was added to the filtered
recording may be added to the recording itself.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from meagan_lib.windows.detection import DetectionConfig
from meagan_lib.windows.footprints import centred
from meagan_lib.windows.spike_windows import SpikeWindows

SOFT = 0.04
"""Fraction of a window over which a painted spike comes and goes, on either side."""


def taper(samples: int) -> np.ndarray:
    """Return the weight (samples,) of a painted spike: 0 at the first and last sample, 1 between soft edges."""
    soft = max(round(SOFT * samples), 1)
    rise = np.sin(np.linspace(0, np.pi / 2, soft + 1)[:-1]) ** 2
    return np.concatenate([rise, np.ones(samples - 2 * soft), rise[::-1]]).astype(np.float32)


def add(background: np.ndarray, spikes: np.ndarray) -> np.ndarray:
    """Add spikes without noise to a background, both (n, electrodes, samples), with soft edges."""
    return background + taper(background.shape[2]) * spikes


def fade(
    background: np.ndarray, cut: np.ndarray, w: np.ndarray | None = None, gain: np.ndarray | float = 1.0
) -> np.ndarray:
    """Replace a background by ``gain`` times footprints that bring their own noise, both (n, electrodes, samples).

    ``w``, from 0 to 1, says where: by default between soft edges. In between the weights are √w and √(1 − w): two
    independent noises of one variance then keep it, which w and 1 − w would not. A cut that is made smaller by ``gain``
    (n, 1, 1) brings so much less noise, and of the background the rest stays, √(1 − w gain²): otherwise faint spikes
    could be told by their silence.
    """
    w = taper(background.shape[2]) if w is None else w
    return np.sqrt(1 - w * np.minimum(gain, 1) ** 2) * background + np.sqrt(w) * gain * cut


@dataclass(frozen=True)
class Observation:
    """What detection and cutting make of a painted background: the window around its trough, if they accept it.

    The same rule for painted spikes as for real ones (:func:`meagan_lib.windows.cutting.cut_windows`), on pieces.

    Attributes
    ----------
    half_window, dead
        Samples on either side of the trough; a trough is the lowest sample within ``dead`` on both sides.
    slack
        Samples of a piece beyond the window on both sides, in which the trough may lie.
    threshold_mad, guard_mad
        Depth of a trough, and depth that no second one reaches, in noise levels.
    """

    half_window: int
    dead: int
    slack: int = 8
    threshold_mad: float = 5.0
    guard_mad: float = 3.5

    @classmethod
    def of(cls, windows: SpikeWindows) -> Self:
        """Read the rule that windows of a recording went through."""
        rule = windows.detection
        dead = DetectionConfig(dead_time_ms=rule["dead_time_ms"]).dead(windows.sampling_rate_hz)
        guard = rule["isolation"]["guard_mad"] or np.inf
        return cls(windows.pre_samples, dead, threshold_mad=rule["threshold_mad"], guard_mad=guard)

    @property
    def reach(self) -> int:
        """Samples of a piece on either side of where a spike is painted."""
        return self.half_window + self.slack

    def troughs(self, pieces: np.ndarray) -> np.ndarray:
        """Return the sample int (n,) of the trough on the first electrode of pieces (n, electrodes, 2 · reach)."""
        near = slice(self.reach - self.slack, self.reach + self.slack + 1)
        return pieces[:, 0, near].argmin(axis=1) + near.start

    def windows(self, pieces: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the windows (m, electrodes, samples) that are accepted, and of which pieces int (m,) they are.

        ``noise`` (n,) is the noise level of the first electrode of each piece. Accepted is what is deep enough, has no
        second trough, and is deepest on the first electrode.
        """
        at, half = self.troughs(pieces), self.half_window
        index = (at[:, None] + np.arange(-half, half)).clip(0, pieces.shape[2] - 1)
        cut = np.take_along_axis(pieces, index[:, None, :], axis=2)
        inside = (at >= half) & (at + half <= pieces.shape[2])
        kept = np.flatnonzero(inside & centred(cut, half, self.dead) & self.isolated(cut[:, 0], noise))
        return cut[kept], kept

    def isolated(self, windows: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return whether bool (n,) windows (n, samples) have one trough that is deep, and no second one."""
        around = np.lib.stride_tricks.sliding_window_view(
            np.pad(windows, ((0, 0), (self.dead, self.dead)), constant_values=np.inf), 2 * self.dead + 1, axis=1
        )
        trough = around.argmin(axis=2) == self.dead
        far = np.abs(np.arange(windows.shape[1]) - self.half_window) > self.dead
        second = (trough & far & (windows < -self.guard_mad * noise[:, None])).any(axis=1)
        middle = windows[:, self.half_window]
        return trough[:, self.half_window] & (middle < -self.threshold_mad * noise) & ~second
