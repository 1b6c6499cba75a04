"""Held-out time with known spikes: what a detector, trained on other time of the same recording, is tested on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import spikeinterface.core as sc

from meagan_lib import InputError
from meagan_lib.annotated.chip import Chip, split_spans
from meagan_lib.annotated.detector import Detections, find
from meagan_lib.annotated.hybrid import HybridConfig, HybridRecording, Units, paint_units
from meagan_lib.annotated.kinds import Kinds
from meagan_lib.annotated.operating import FAINT, OperatingCurve, TrueSpikes, operating_curve
from meagan_lib.annotated.painters import CopyPaste
from meagan_lib.annotated.upside_down import upside_down
from meagan_lib.recordings.simulation import GroundTruth
from meagan_lib.windows.detection import filtered_shapes, filtered_templates
from meagan_lib.windows.spike_windows import Split

DEEPEST = 10.0
"""Depth of the deepest unit of a hybrid, in noise levels; the faintest has 3."""


@dataclass(frozen=True)
class HeldOut:
    """The test time of a recording, and the spikes that are known in it.

    Attributes
    ----------
    chip
        Of the recording.
    recording
        What is searched: the recording itself, where its truth is known, or a hybrid of it.
    spans
        First frame and end int64 (stretches, 2) of the test time.
    true
        The known spikes in it.
    others
        Whether there are spikes beside the known ones, as in a hybrid. Nobody knows the faint ones among them, and a
        detector that finds them is not wrong: false positives are then counted where there can be no spike
        (:func:`~meagan_lib.annotated.upside_down.upside_down`).
    """

    chip: Chip
    recording: sc.BaseRecording
    spans: np.ndarray
    true: TrueSpikes
    others: bool

    @classmethod
    def of(cls, chip: Chip, truth: GroundTruth | None = None, seed: int = 0) -> Self:
        """Take the true spikes of a simulation; without a ``truth`` paint held-out spikes into the test time.

        Raises
        ------
        InputError
            Too few spikes in the test time to paint.
        """
        spans, rate = split_spans(chip.recording, chip.config, Split.TEST), chip.recording.get_sampling_frequency()
        if truth is None:
            recording, true = hybrid(chip, seed)
        else:
            recording, shapes = chip.recording, filtered_templates(truth, chip.detection, rate)
            true = TrueSpikes.of(shapes, truth.n_before, truth.frame, truth.unit, truth.amplitude_factor, chip.noise)
        return cls(chip, recording, spans, true.within(spans), truth is None)

    def search(
        self, score: Callable[[np.ndarray], np.ndarray], reach: int = 0, floor: float = -np.inf
    ) -> OperatingCurve:
        """Search the test time as :func:`~meagan_lib.annotated.detector.find` does, match with the known spikes."""
        chip = self.chip
        curve = self.curve(find(self.recording, chip.detection, chip.noise, score, self.spans, reach, floor))
        if not self.others:
            return curve
        null = upside_down(chip, score, self.spans, reach, floor=floor)
        return replace(curve, false=null.false, exposure=null.exposure, searched=curve.exposure)

    def curve(self, found: Detections, faint: float = FAINT) -> OperatingCurve:
        """Match what was found in the test time with the known spikes, where there are no others."""
        rate = self.recording.get_sampling_frequency()
        exposure = float(np.diff(self.spans).sum() / rate * (self.chip.noise > 0).sum())
        return operating_curve(found, self.true, exposure, self.chip.detection.dead(rate), faint=faint)


def hybrid(chip: Chip, seed: int) -> tuple[sc.BaseRecording, TrueSpikes]:
    """Paint cut spikes of the test time into the recording, a unit for each kind of them, 3 to 10 noise levels deep.

    Each spike of a unit is another cut one, on the electrode on which its kind is most frequent.
    """
    own, channel = chip.real(Split.TEST)
    if len(own) < 2:
        raise InputError("the test time has hardly a spike to paint: take a longer recording, or lower threshold_mad")
    inner = chip.pieces[:, :, chip.observation.slack : -chip.observation.slack]
    test = replace(chip, footprints=own, channel=channel, kinds=Kinds.fit(own, inner, seed))
    n = len(test.kinds.means)
    depth = np.random.default_rng(seed).permutation(np.geomspace(3.0, DEEPEST, n))
    place = np.array([np.bincount(channel[test.kinds.label == k]).argmax() for k in range(n)], np.int32)
    units = Units(place, np.arange(n), depth)
    painted = paint_units(test, CopyPaste.fit(test), units, HybridConfig(units=n, amplitude_cv=0.0, seed=seed))
    templates = np.zeros((n, own.shape[2], len(chip.noise)), np.float32)
    for u in range(n):
        around = chip.windows.around[place[u]]
        scaled = test.kinds.means[u] * depth[u] * chip.noise[place[u]] / test.kinds.depth[u]
        templates[u][:, around[around >= 0]] = scaled[around >= 0].T
    templates = filtered_shapes(templates, chip.detection, chip.recording.get_sampling_frequency())  # as the hybrid is
    before, factor = chip.observation.half_window, np.ones(len(painted.frame), np.float32)
    true = TrueSpikes.of(templates, before, painted.frame, painted.unit, factor, chip.noise)
    return HybridRecording(chip.recording, painted), true
