"""False positives without truth: what is found where there can be no spike, in a recording turned upside down."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from meagan_lib.annotated.chip import Chip
from meagan_lib.annotated.detector import find


@dataclass(frozen=True)
class UpsideDown:
    """What a detector finds in a recording that was turned upside down.

    ``false`` float32 (n,), descending: scores; ``exposure``: seconds times electrodes that were searched.
    """

    false: np.ndarray
    exposure: float

    def score(self, rate: float) -> float:
        """Return the score that at most ``rate`` of them a second and electrode exceed; −∞ where all may."""
        n = int(rate * self.exposure)
        return float(self.false[n]) if n < len(self.false) else -np.inf

    def rate(self, score: float) -> float:
        """Return how many of them exceed a score, per second and electrode."""
        return float((self.false > score).sum() / self.exposure)


def upside_down(
    chip: Chip,
    score: Callable[[np.ndarray], np.ndarray],
    spans: np.ndarray,
    reach: int = 0,
    noise: np.ndarray | None = None,
    floor: float = -np.inf,
) -> UpsideDown:
    """Search stretches of a chip's recording with its sign reversed, away from the peaks of the threshold.

    Noise of an amplifier and of many far cells is as likely upwards as downwards, and a spike is not: what is found
    there is false, and no spike that nobody knows can be taken for an error. Only large spikes have a second, positive
    phase that looks like one; so nothing counts that is within half a footprint of a peak on an electrode around.

    ``score``, ``spans``, ``reach`` and ``floor`` are those of :func:`~meagan_lib.annotated.detector.find`; ``noise``
    (channels,), 0 where nothing is searched, is the chip's unless given.
    """
    recording, around, apart = chip.recording, chip.windows.around, chip.observation.half_window
    noise = chip.noise if noise is None else noise
    found = find(recording, chip.detection, noise, lambda scaled: score(-scaled), spans, reach, floor)
    quiet = chip.quiet.around(found.frame, around[found.channel], apart)
    grid, alive = np.concatenate([np.arange(a, b, apart) for a, b in spans]), np.flatnonzero(noise > 0)
    free = chip.quiet.around(np.repeat(grid, len(alive)), around[np.tile(alive, len(grid))], apart)
    seconds = np.diff(spans).sum() / recording.get_sampling_frequency()
    return UpsideDown(np.sort(found.score[quiet])[::-1], float(free.mean() * seconds * len(alive)))
