"""The spikes of a recording as a detector finds them that was trained on spikes painted into its own background.

Nothing is annotated and no truth is asked for: how many of its detections are false is estimated where there can be no
spike, in the recording turned upside down.
"""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pandas as pd
import spikeinterface.core as sc
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from scipy.spatial.distance import pdist, squareform

from meagan_lib import InputError
from meagan_lib.annotated.chip import Chip, footprint_windows, split_spans
from meagan_lib.annotated.detector import BESIDE, BLOCK, Detections, Detector, DetectorConfig, find
from meagan_lib.annotated.held_out import HeldOut
from meagan_lib.annotated.operating import DEPTHS, LEAST, OperatingCurve, depth_name, inside
from meagan_lib.annotated.painters import fit_painter
from meagan_lib.annotated.upside_down import UpsideDown, upside_down
from meagan_lib.evaluation.statistics import wilson
from meagan_lib.recordings.opening import electrode_positions_um
from meagan_lib.recordings.simulation import GroundTruth
from meagan_lib.windows.cutting import WindowConfig
from meagan_lib.windows.detection import DetectionConfig, KnownPeaks, nearest
from meagan_lib.windows.footprints import TETRODE
from meagan_lib.windows.spike_windows import Ledger, Split

NEIGHBOURS = 1.2
"""A detector sees the electrodes within so many times the distance of the nearest."""
FLOOR = -8.0
"""Score of what is hardly a spike: a chance of one in three thousand."""
ENOUGH = 400
"""False positives that are expected in what is searched to estimate their rate, where there is time for so many."""


@dataclass(frozen=True)
class LearnedConfig:
    """How a detector is made, and how often it may be wrong."""

    false_positives: float = 0.05
    """Detections per second and electrode where there is no spike, as :func:`calibrate` estimates them."""
    painter: str = "gaussian_spikes"
    """What paints the spikes that it is trained on: a key of :data:`~meagan_lib.annotated.painters.PAINTERS`."""
    detector: DetectorConfig = field(default_factory=lambda: DetectorConfig(steps=300, pieces=3000))


def require_learnable(recording: sc.BaseRecording) -> float:
    """Return within which distance (µm) a detector sees other electrodes; none without positions on a tetrode: 0.

    Raises
    ------
    InputError
        Many electrodes without positions.
    """
    positions, n = electrode_positions_um(recording), recording.get_num_channels()
    if positions is not None and not np.isnan(positions).any():
        far = squareform(pdist(positions)) + np.where(np.eye(n, dtype=bool), np.inf, 0)
        return max(float(NEIGHBOURS * np.median(far.min(axis=1))), 1.0) if n > 1 else 1.0
    if n > TETRODE:
        raise InputError(
            f"a learned detector looks at neighbouring electrodes, and this recording of {n} does not give their "
            f"positions: name a file that has them, or set detector to threshold"
        )
    return 1.0


class AtTroughs:
    """The score of a detector at troughs of the voltage alone: at the lowest of five samples, the best of three.

    So a detection stands where a window is to be centred. Two troughs are further apart than samples share a score.
    """

    def __init__(self, detector: Detector):
        self.detector = detector
        self.reach = detector.config.reach + BESIDE

    def __call__(self, scaled: np.ndarray) -> np.ndarray:
        """Score voltages float32 (channels, samples + 2 · reach) in noise levels: (channels, samples), −∞ elsewhere."""
        reach, inner = self.detector.config.reach, slice(BESIDE, -BESIDE)
        score = maximum_filter1d(self.detector(scaled), 3, axis=1)[:, inner]
        near = scaled[:, reach : scaled.shape[1] - reach]
        trough = (near == minimum_filter1d(near, 2 * BESIDE + 1, axis=1))[:, inner] & (near[:, inner] < 0)
        return np.where(trough, score, -np.inf).astype(np.float32)


def calibrate(chip: Chip, score: AtTroughs, noise: np.ndarray, rate: float) -> UpsideDown:
    """Estimate the false positives of a detector in the training time, :func:`upside_down`.

    Of a long recording only so many blocks are searched, spread evenly, that ``ENOUGH`` are expected at ``rate``.
    """
    spans = split_spans(chip.recording, chip.config, Split.TRAIN)
    blocks = np.array([(a, min(a + BLOCK, end)) for first, end in spans for a in range(first, end, BLOCK)])
    of_block = BLOCK / chip.recording.get_sampling_frequency() * max((noise > 0).sum(), 1)
    every = max(int(len(blocks) * of_block * rate / ENOUGH), 1)
    return upside_down(chip, score, blocks[::every], score.reach, noise, FLOOR)


@dataclass(frozen=True)
class Learned:
    """A detector of a recording, and what it finds in all of it.

    Attributes
    ----------
    chip, detector
        What it was trained on, with the peaks of the threshold, and the detector.
    null
        What it finds where no spike can be.
    limit
        The operating point: the score that the allowed false positives do not exceed.
    found
        Detections: troughs whose score exceeds the limit.
    config
        How it was made.
    """

    chip: Chip
    detector: Detector
    null: UpsideDown
    limit: float
    found: Detections
    config: LearnedConfig

    @classmethod
    def of(
        cls,
        recording: sc.BaseRecording,
        detection: DetectionConfig,
        windows: WindowConfig,
        config: LearnedConfig | None = None,
        seed: int = 0,
    ) -> Self:
        """Search by the threshold, paint into the quiet training time, train, choose the operating point, search again.

        ``windows`` says what is training time. Spikes and background are of this alone.

        Raises
        ------
        InputError
            Many electrodes without positions; too few spikes in the training time, or hardly a stretch without.
        """
        config = config or LearnedConfig()
        distance = require_learnable(recording)
        same = {name: getattr(windows, name) for name in ("split_fractions", "split_cycles", "artefact")}
        cut = replace(footprint_windows(distance), **same)
        try:
            chip = Chip.of(recording, detection, cut, seed)
            detector = Detector.fit(chip, fit_painter(config.painter, chip, seed), replace(config.detector, seed=seed))
        except InputError as error:  # too few spikes, or too little between them
            cause = str(error).split(":")[0]
            remedy = "take a longer recording, lower threshold_mad, or set detector to threshold"
            raise InputError(f"no detector can be learned here, for {cause}: {remedy}") from error
        noise = np.where(chip.usable, chip.noise, 0)
        score = AtTroughs(detector)
        null = calibrate(chip, score, noise, config.false_positives)
        limit = max(null.score(config.false_positives), FLOOR)
        above = float(np.nextafter(np.float32(limit), np.float32(np.inf)))
        found = find(recording, detection, noise, score, reach=score.reach, floor=above)
        return cls(chip, detector, null, limit, found, config)

    @property
    def peaks(self) -> KnownPeaks:
        """The detections as :func:`~meagan_lib.windows.cutting.cut_windows` takes them."""
        made = {"detector": "learned", "false_positives": self.config.false_positives, "painter": self.config.painter}
        return KnownPeaks(self.found.frame, self.found.channel, made)

    def agreement(self, ledger: Ledger) -> dict[str, np.ndarray]:
        """Sort the peaks of the threshold and those of the ``ledger``, which are the detector's, by who found them.

        Returns ``both``, ``threshold alone`` and ``detector alone`` → depths (n,) in noise levels. Peaks of one
        electrode within the dead time are the same; electrodes that cannot be trusted do not count.
        """
        chip, mine = self.chip, self.chip.windows.ledger
        dead = chip.detection.dead(chip.recording.get_sampling_frequency())
        of, its = (
            (x.frame[rows], x.channel[rows], -x.amplitude[rows] / chip.noise[x.channel[rows]])
            for x in (mine, ledger)
            for rows in [chip.usable[x.channel]]
        )
        shared = nearest(*of[:2], *its[:2], dead) >= 0
        new = nearest(*its[:2], *of[:2], dead) < 0
        return {"both": of[2][shared], "threshold alone": of[2][~shared], "detector alone": its[2][new]}

    def against_truth(self, truth: GroundTruth) -> pd.DataFrame:
        """Score threshold and detector by the true spikes of the test time: a row for each, and each depth.

        Columns ``detector``, ``depth``, ``recall`` with its 95 % interval ``low`` … ``high``, ``n`` true spikes;
        ``precision``, ``F1`` and ``false positives`` (per second and electrode) are those of all depths together. A
        true spike counts from three noise levels on, on every electrode that sees it so deep.
        """
        test, noise, ledger = HeldOut.of(self.chip, truth), self.chip.noise, self.chip.windows.ledger
        known = ledger.frame, ledger.channel, -ledger.amplitude / noise[ledger.channel]
        rows = []
        for who, found in (("threshold", Detections(*known)), ("learned", self.found)):
            there = inside(found.frame, test.spans)
            found = Detections(found.frame[there], found.channel[there], found.score[there])
            rows += _rows(who, test.curve(found), len(found.frame))
        return pd.DataFrame(rows)


def _rows(who: str, curve: OperatingCurve, found: int) -> list[dict[str, object]]:
    """Return the rows of a detector by depth; all that it ``found`` counts."""
    hits, false = int(np.isfinite(curve.score).sum()), len(curve.false)
    about = {
        "precision": 1 - false / max(found, 1),
        "F1": 2 * hits / max(hits + false + len(curve.score), 1),
        "false positives": false / curve.exposure,
    }
    rows = []
    for low, high in (*DEPTHS, (LEAST, np.inf)):
        asked = (curve.depth >= low) & (curve.depth < high)
        n, found_of = int(asked.sum()), int(np.isfinite(curve.score[asked]).sum())
        depth = "all" if (low, high) == (LEAST, np.inf) else depth_name(low, high)
        recall = dict(zip(("recall", "low", "high"), (found_of / n if n else np.nan, *wilson(found_of, n))))
        rows.append({"detector": who, "depth": depth} | recall | {"n": n} | about)
    return rows
