"""Background: the stretches of a recording in which no spike was found, on an electrode and those around it."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import spikeinterface.core as sc

from meagan_lib import InputError
from meagan_lib.windows.detection import DetectionConfig, filtered_traces, segment_spans
from meagan_lib.windows.spike_windows import Ledger

BLOCK_VALUES = 2**23
"""Filtered values that are held at once."""
NEAR = 10
"""Backgrounds lie within so many times their half length of a peak."""
MOST_TRIES = 50
"""Places are drawn until enough are quiet, but no more than so many times their number."""


@dataclass(frozen=True)
class Quiet:
    """Where no peak was found: ``peaks`` are the sorted frames int64 of every channel's peaks."""

    peaks: list[np.ndarray]

    @classmethod
    def of(cls, ledger: Ledger, n_channels: int) -> Self:
        """Sort the peaks of a ledger by channel."""
        order = np.lexsort((ledger.frame, ledger.channel))
        ends = np.searchsorted(ledger.channel[order], np.arange(1, n_channels))
        return cls(np.split(ledger.frame[order], ends))

    def around(self, frame: np.ndarray, electrodes: np.ndarray, reach: int) -> np.ndarray:
        """Return whether bool (n,) no peak of ``electrodes`` (n, k), −1 for none, is within ``reach`` of a frame."""
        quiet = np.ones(len(frame), bool)
        for channel in np.unique(electrodes[electrodes >= 0]):
            asked, peaks = np.flatnonzero((electrodes == channel).any(axis=1)), self.peaks[channel]
            after = np.searchsorted(peaks, frame[asked] - reach)
            nearest = np.append(peaks, np.iinfo(np.int64).max)[after]
            quiet[asked] &= nearest > frame[asked] + reach
        return quiet

    def draw(
        self, channel: np.ndarray, around: np.ndarray, spans: np.ndarray, reach: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Draw a frame int64 (n,) in ``spans`` (stretches, 2) at which each ``channel`` (n,) is quiet.

        Quiet are all electrodes ``around`` (channels, electrodes). Frames lie near peaks of any channel, for spikes
        come when others do, and small ones that nobody detects come then, too: backgrounds of any time were told from
        those of spikes by these.

        Raises
        ------
        InputError
            Hardly any place is quiet.
        """
        peaks = np.concatenate(self.peaks)
        within = (peaks[:, None] >= spans[:, 0]) & (peaks[:, None] < spans[:, 1])
        peaks, span = peaks[within.any(axis=1)], spans[within.argmax(axis=1)[within.any(axis=1)]]
        frame, left = np.zeros(len(channel), np.int64), np.arange(len(channel))
        for _ in range(MOST_TRIES * bool(len(peaks))):
            drawn = rng.integers(len(peaks), size=len(left))
            frame[left] = peaks[drawn] + rng.integers(-NEAR * reach, NEAR * reach + 1, size=len(left))
            inside = (frame[left] >= span[drawn, 0] + reach) & (frame[left] + reach <= span[drawn, 1])
            left = left[~(inside & self.around(frame[left], around[channel[left]], reach))]
            if not len(left):
                return frame
        raise InputError(
            "the recording has hardly a stretch without spikes to paint into: lower footprint_um or raise the threshold"
        )


def footprints_at(
    recording: sc.BaseRecording, detection: DetectionConfig, frame: np.ndarray, electrodes: np.ndarray, reach: int
) -> np.ndarray:
    """Cut float32 (n, electrodes, 2 · reach) of the band-passed recording around frames (n,), in any order.

    ``electrodes`` (n, k), −1 for none: zeros. The recording is filtered block by block, where something is asked for.
    """
    out = np.zeros((*electrodes.shape, 2 * reach), np.float32)
    step = max(BLOCK_VALUES // recording.get_num_channels(), 4 * reach)
    for segment, (first, end) in enumerate(segment_spans(recording)):
        mine = np.flatnonzero((frame - reach >= first) & (frame + reach <= end))
        block = (frame[mine] - first) // step
        for b in np.unique(block):
            rows = mine[block == b]
            start = max(b * step - reach, 0)
            stop = min((b + 1) * step + reach, end - first)
            traces = filtered_traces(recording, detection, start, stop, segment)
            at = (frame[rows] - first - start)[:, None] + np.arange(-reach, reach)
            cut = traces[at[:, None, :], electrodes[rows][:, :, None]]
            out[rows] = np.where(electrodes[rows][:, :, None] < 0, 0, cut)
    return out
