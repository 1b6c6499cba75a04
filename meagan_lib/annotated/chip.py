"""What a recording says of its spikes and of its noise: everything that a painter is fitted to or judged by."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np
import spikeinterface.core as sc

from meagan_lib import InputError
from meagan_lib.annotated.background import Quiet, footprints_at
from meagan_lib.annotated.kinds import Kinds
from meagan_lib.annotated.painting import Observation
from meagan_lib.recordings.events import STORED_NOISE
from meagan_lib.recordings.quality import channel_quality
from meagan_lib.recordings.simulation import GroundTruth
from meagan_lib.windows.cutting import Isolation, WindowConfig, cut_windows
from meagan_lib.windows.detection import DetectionConfig, segment_spans
from meagan_lib.windows.footprints import centred
from meagan_lib.windows.spike_windows import SpikeWindows, Split

WINDOW_MS = 6.4
"""Length of a footprint: longer than the thesis' windows, for a spike must have faded out where its painting ends."""
MOST_ELECTRODES = 256
"""Footprints are cut on so many electrodes of a chip, drawn at random: those of all would fill the memory."""
LEAST = 60
"""Training footprints without which there is nothing to learn from."""
BACKGROUNDS = 6000
"""Backgrounds that painters are trained on."""


def footprint_windows(footprint_um: float = 60.0, window_ms: float = WINDOW_MS) -> WindowConfig:
    """Return how footprints are cut: nothing else peaks on their electrodes within half their length."""
    return WindowConfig(window_ms, Isolation(guard_ms=window_ms / 2), footprint_um=footprint_um)


@dataclass(frozen=True)
class Chip:
    """A recording, its footprints, its quiet stretches and its kinds of spikes.

    Attributes
    ----------
    recording, detection
        What was recorded, and how spikes are found in it.
    windows
        Isolated spikes whose footprint is deepest on their own electrode and has all electrodes; the ledger of all.
    observation
        The rule that they went through.
    quiet
        Where no peak was found.
    usable
        bool (channels,): electrodes that can be trusted, as in notebook 1; spikes of others teach artefacts.
    footprints, channel
        Training footprints float32 (n, electrodes, samples) that are deepest on their own electrode and have all
        electrodes, and their electrode int32 (n,).
    pieces, pieces_channel, pieces_kind
        Training backgrounds float32 (m, electrodes, 2 · reach), their electrode, and a kind that occurs on it, as often
        as it does.
    kinds
        Of the training footprints.
    """

    recording: sc.BaseRecording
    detection: DetectionConfig
    windows: SpikeWindows
    observation: Observation
    quiet: Quiet
    usable: np.ndarray
    footprints: np.ndarray
    channel: np.ndarray
    pieces: np.ndarray
    pieces_channel: np.ndarray
    pieces_kind: np.ndarray
    kinds: Kinds

    @classmethod
    def of(
        cls,
        recording: sc.BaseRecording,
        detection: DetectionConfig,
        config: WindowConfig,
        seed: int = 0,
        n_backgrounds: int = BACKGROUNDS,
        truth: GroundTruth | None = None,
    ) -> Self:
        """Pass over a recording: cut footprints, find the background, sort the spikes into kinds.

        Raises
        ------
        InputError
            An events-based recording; no positions of the electrodes; too few spikes; no stretch without them.
        """
        if recording.get_property(STORED_NOISE) is not None:
            raise InputError(
                "most of the background of an events-based recording was not stored, and there is nothing to paint "
                "spikes into or to learn noise from: take the threshold as detector, or a raw recording"
            )
        detection = detection.within(recording)
        n_channels, rng = recording.get_num_channels(), np.random.default_rng(seed)
        band_hz = detection.band_at(recording.get_sampling_frequency())
        usable = channel_quality(recording, recording.get_annotation("adc_range"), band_hz, seed).good
        cut = np.isin(np.arange(n_channels), rng.permutation(np.flatnonzero(usable))[:MOST_ELECTRODES])
        with TemporaryDirectory() as folder:  # in memory, footprints would stand twice
            path = Path(folder) / "footprints.h5"
            windows = cut_windows(recording, detection, config, truth, ~cut, seed, path)  # peaks of all are known
        observation = Observation.of(windows)
        quiet = Quiet.of(windows.ledger, n_channels)
        windows = whole_footprints(windows, observation)  # all would take 0.3 GB of a minute of a whole chip
        train = windows.split == Split.TRAIN
        own, channel = windows.footprints[train], windows.channel[train]
        if len(own) < LEAST:
            raise InputError(
                f"{len(own)} spikes to learn from, with all electrodes around them, are too few (least {LEAST}): take "
                f"a longer recording, smaller footprints, or a depth of spikes (threshold) nearer to 5 noise levels"
            )
        spans = split_spans(recording, config, Split.TRAIN)
        drawn = rng.integers(len(channel), size=n_backgrounds)
        place = channel[drawn]
        frame = quiet.draw(place, windows.around, spans, observation.reach, rng)
        pieces = footprints_at(recording, detection, frame, windows.around[place], observation.reach)
        inner = pieces[:, :, observation.slack : -observation.slack]
        kinds = Kinds.fit(own, inner, seed)
        label = kinds.label[drawn]
        return cls(recording, detection, windows, observation, quiet, usable, own, channel, pieces, place, label, kinds)

    @property
    def config(self) -> WindowConfig:
        """How windows were split in time, and how far footprints reach."""
        stated = self.windows.detection
        return WindowConfig(
            split_fractions=tuple(stated["split_shares"]),
            split_cycles=stated["split_cycles"],
            footprint_um=stated["footprint_um"],
        )

    @property
    def noise(self) -> np.ndarray:
        """Noise level float32 (channels,)."""
        return self.windows.noise_mad

    def real(self, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """Return footprints (n, electrodes, samples) of a split that painted ones are compared with, and channels."""
        rows = self.windows.split == split
        return self.windows.footprints[rows], self.windows.channel[rows]

    def places(self, split: Split, n: int, seed: int) -> "Places":
        """Draw ``n`` spikes of the training footprints, each a kind and its electrode, and where in a split they go."""
        rng = np.random.default_rng(seed)
        drawn, reach = rng.integers(len(self.channel), size=n), self.observation.reach
        channel, spans = self.channel[drawn], split_spans(self.recording, self.config, split)
        frame = self.quiet.draw(channel, self.windows.around, spans, reach, rng)
        pieces = footprints_at(self.recording, self.detection, frame, self.windows.around[channel], reach)
        return Places(self.kinds.label[drawn], channel, frame, pieces)

    def fewer(self, n: int, seed: int = 0) -> Self:
        """Return the same chip with ``n`` training footprints, drawn at random, and the kinds of these."""
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.permutation(len(self.footprints))[:n])
        own, channel = self.footprints[rows], self.channel[rows]
        kinds = Kinds.fit(own, self.pieces[:, :, self.observation.slack : -self.observation.slack], seed)
        # a kind of these for each background: of its electrode, where there is one
        alike = [np.flatnonzero(channel == c) for c in self.pieces_channel]
        drawn = [rng.choice(same) if len(same) else rng.integers(n) for same in alike]
        return replace(self, footprints=own, channel=channel, kinds=kinds, pieces_kind=kinds.label[drawn])


@dataclass(frozen=True)
class Places:
    """Spikes to paint: ``kind``, ``channel``, ``frame`` (n,), and the quiet ``pieces`` (n, electrodes, 2 · reach)."""

    kind: np.ndarray
    channel: np.ndarray
    frame: np.ndarray
    pieces: np.ndarray


def whole_footprints(windows: SpikeWindows, observation: Observation) -> SpikeWindows:
    """Keep the windows whose footprint is deepest on their own electrode and lacks none."""
    whole = (windows.around[windows.channel] >= 0).all(axis=1)
    rows = np.flatnonzero(whole & centred(windows.footprints, observation.half_window, observation.dead))
    columns = "windows", "footprints", "channel", "frame", "label", "split", "recording"
    return replace(windows, **{name: getattr(windows, name)[rows] for name in columns})


def split_spans(recording: sc.BaseRecording, config: WindowConfig, split: Split) -> np.ndarray:
    """Return first frame and end int64 (stretches, 2) of what belongs to a split: no stretch goes over a gap."""
    segments = segment_spans(recording)
    sizes = np.diff(segments)[:, 0]
    before = np.cumsum(sizes) - sizes
    cycles = np.arange(config.split_cycles)[:, None]
    edges = ((cycles + np.cumsum(config.split_fractions)) * sizes.sum() / config.split_cycles).ravel()
    edges = np.r_[0, np.ceil(edges)].astype(np.int64)
    blocks = np.stack([edges[:-1], edges[1:]], axis=1)[int(split) :: 3]
    spans = [
        (max(a - lead, 0) + first, min(b - lead, size) + first)
        for (first, _), size, lead in zip(segments, sizes, before)
        for a, b in blocks
    ]
    return np.array([(a, b) for a, b in spans if b > a], np.int64).reshape(-1, 2)
