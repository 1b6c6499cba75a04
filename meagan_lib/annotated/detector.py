"""A detector from synthetic spikes: a network that learned where spikes were painted into a recording's background.

It sees an electrode and those around it, and gives for every sample of the first the logit "trough of a spike here".
Dilated convolutions: Yu & Koltun 2016, arXiv:1511.07122.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import spikeinterface.core as sc
import torch
from scipy.ndimage import maximum_filter1d
from torch import nn
from torch.nn import functional as F

from meagan_lib import InputError
from meagan_lib.annotated.background import footprints_at
from meagan_lib.annotated.chip import Chip, split_spans
from meagan_lib.annotated.painters import Painter
from meagan_lib.annotated.painting import taper
from meagan_lib.recordings.opening import electrode_positions_um
from meagan_lib.windows.detection import DetectionConfig, filtered_traces, segment_spans
from meagan_lib.windows.spike_windows import Split

POSITIVE, NEGATIVE, UNASKED = 1, 0, -1
BESIDE = 2
"""Samples on either side of a trough that are neither trough nor background."""
BLOCK, CHANNELS = 4096, 4
"""Frames, and channels, that are scored at once."""


@dataclass(frozen=True)
class DetectorConfig:
    """Network, training data and training of a detector."""

    width: int = 32
    """Channels of a layer."""
    kernel: int = 7
    """Samples that the first layer sees."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2, 4, 8)
    """Of the further layers, each over three samples."""
    pieces: int = 6000
    """Stretches of background that are painted into."""
    length: int = 160
    """Samples of a stretch in which a trough may lie, and which are learned from."""
    spikes: int = 2
    """Most spikes in a stretch."""
    occupied: float = 0.7
    """Chance of each of these to be there."""
    own: float = 0.5
    """Fraction of the stretches seen from the spikes' own electrode; the others are seen from one around it."""
    depth: tuple[float, float] = (2.5, 12.0)
    """Shallowest and deepest painted spike, in noise levels of its own electrode, log-uniform."""
    faint: tuple[float, float] = (1.5, 2.5)
    """A trough above the second is one to be found, below the first it is background, and between nothing is asked."""
    knee: float = 5.0
    """Depth in noise levels that background hardly reaches: from there on, depth counts more."""
    steps: int = 600
    batch_size: int = 32
    learning_rate: float = 3e-3
    """Highest, of one cycle (Smith & Topin 2019, arXiv:1708.07120)."""
    seed: int = 0

    def __post_init__(self):
        if min(self.width, self.pieces, self.length, self.spikes, self.steps, self.batch_size) < 1:
            raise InputError("width, pieces, length, spikes, steps and batch_size of a detector must be 1 or more")
        if not 0 < self.depth[0] <= self.depth[1]:
            raise InputError(f"a depth of {self.depth[0]:g}:{self.depth[1]:g} is empty: give the shallowest first")

    @property
    def reach(self) -> int:
        """Samples on either side of one that its logit depends on."""
        return self.kernel // 2 + sum(self.dilations)


class DetectorNetwork(nn.Module):
    """Scaled voltages (batch, electrodes, samples + 2 · reach) → logits (batch, samples).

    Residual dilated convolutions without padding, so that a logit does not know where in the input it stands. Depth has
    a path of its own: logit = f(x) + w · max(d, 0) + v · max(d − knee, 0), w, v > 0, d = −x₀ the depth on the first
    electrode. A deep spike of an unknown shape is then not ranked behind noise of a known one.
    """

    def __init__(self, electrodes: int, config: DetectorConfig):
        super().__init__()
        self.reach, self.knee = config.reach, config.knee
        self.first = nn.Conv2d(electrodes, config.width, (1, config.kernel))
        self.layers = nn.ModuleList(
            nn.Conv2d(config.width, config.width, (1, 3), dilation=(1, d)) for d in config.dilations
        )
        self.last = nn.Conv2d(config.width, 1, 1)
        self.slopes = nn.Parameter(torch.tensor([0.5, 3.0]))
        nn.init.constant_(self.last.bias, -5.0)
        self.to(memory_format=torch.channels_last)  # images of height 1, channels last: 1.5 times as fast as Conv1d

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give a logit for every sample that has ``reach`` on both sides."""
        depth, (w, v) = -x[:, 0, self.reach : x.shape[2] - self.reach], F.softplus(self.slopes)
        h = F.relu(self.first(x[:, :, None].contiguous(memory_format=torch.channels_last)))
        for layer in self.layers:
            d = layer.dilation[1]
            h = h[..., d:-d] + F.relu(layer(h))
        return self.last(h)[:, 0, 0] + w * F.relu(depth) + v * F.relu(depth - self.knee)


@dataclass(frozen=True)
class Painted:
    """Training data: ``pieces`` float32 (n, electrodes, length + 2 · reach) and ``label`` int8 (n, length).

    Pieces are in noise levels. A label is ``POSITIVE`` at a trough, ``UNASKED`` beside it and at faint ones, and
    ``NEGATIVE`` elsewhere.
    """

    pieces: np.ndarray
    label: np.ndarray


def paint_pieces(chip: Chip, painter: Painter, config: DetectorConfig) -> Painted:
    """Paint spikes at random depths and times into quiet stretches of the training time, or none.

    A stretch belongs to the electrode of its spikes, and is seen from there or from an electrode around it. Where the
    trough is and how deep says the mean spike of the kind, for every painter alike.
    """
    rng, n = np.random.default_rng(config.seed), config.pieces
    observation, around, noise = chip.observation, chip.windows.around, chip.noise
    margin = max(observation.reach, config.reach)
    reach = margin + -(-config.length // 2)
    drawn = rng.integers(len(chip.channel), size=n)
    source = chip.channel[drawn]
    if electrode_positions_um(chip.recording) is not None:  # a kind may occur on any electrode of a grid
        source = rng.choice(np.flatnonzero(noise > 0), size=n)
    column = viewed_from(around[source], config.own, noise, rng)
    viewer = around[source, column]
    frame = chip.quiet.draw(source, around, split_spans(chip.recording, chip.config, Split.TRAIN), reach, rng)
    its = footprints_at(chip.recording, chip.detection, frame, around[source], reach)
    before, label = its.copy(), np.full((n, 2 * reach), NEGATIVE, np.int8)
    for slot in range(config.spikes):
        here = np.flatnonzero(rng.random(n) < config.occupied)
        kind = chip.kinds.label[drawn[here]] if slot == 0 else chip.kinds.draw(len(here), rng)
        at = rng.integers(margin, margin + config.length, size=len(here))
        depth = np.exp(rng.uniform(*np.log(config.depth), len(here)))
        gain = (depth * noise[source[here]] / chip.kinds.depth[kind]).astype(np.float32)
        index = (at[:, None] + np.arange(-observation.reach, observation.reach))[:, None, :]
        rows = here[:, None, None], np.arange(its.shape[1])[None, :, None], index
        its[rows] = painter.paint(its[rows], observation.slack, kind, gain, config.seed + 1 + slot)
        mean = chip.kinds.means[kind, column[here]] * taper(2 * observation.half_window) * gain[:, None]
        trough = at + mean.argmin(axis=1) - observation.half_window
        mark(label, here, trough, -mean.min(axis=1) / noise[viewer[here]], config.faint)
    same = (around[viewer][:, :, None] == around[source][:, None, :]) & (around[viewer] >= 0)[:, :, None]
    its -= before  # what was painted; both views at once, of every stretch, would be what this takes most memory for
    del before
    seen = footprints_at(chip.recording, chip.detection, frame, around[viewer], reach)
    for i in range(its.shape[1]):
        seen[:, i] += np.einsum("nj,njt->nt", same[:, i].astype(np.float32), its)
    inner = slice(margin, margin + config.length)
    outer = slice(margin - config.reach, margin + config.length + config.reach)
    return Painted(seen[:, :, outer] * inverse(noise, around)[viewer], label[:, inner])


def viewed_from(around: np.ndarray, own: float, noise: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a column int (n,) of ``around`` (n, electrodes): 0 with probability ``own``, else one that is there."""
    there = (around > -1) & (np.append(noise, 0)[around] > 0)
    there[:, 0] = False
    choice = (rng.random(around.shape) * there).argmax(axis=1)
    return np.where(rng.random(len(around)) < own, 0, choice)


def mark(
    label: np.ndarray, rows: np.ndarray, trough: np.ndarray, depth: np.ndarray, faint: tuple[float, float]
) -> None:
    """Write troughs (m,) of so many noise levels (m,) into the ``rows`` (m,) of labels (n, samples)."""
    asked, known = depth >= faint[1], depth >= faint[0]
    near = (trough[:, None] + np.arange(-BESIDE, BESIDE + 1)).clip(0, label.shape[1] - 1)
    beside = label[rows[known, None], near[known]]
    label[rows[known, None], near[known]] = np.where(beside == POSITIVE, POSITIVE, UNASKED)
    label[rows[asked], trough[asked]] = POSITIVE


def inverse(noise: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Return 1 / noise level float32 (channels, electrodes, 1) of each electrode around; 0 for none, or a dead one."""
    scale = np.append(np.where(noise > 0, 1 / np.where(noise > 0, noise, 1), 0), 0)
    return scale[around][:, :, None].astype(np.float32)


class Detector:
    """A trained network, and the electrodes that it looks at.

    Attributes
    ----------
    network
        Trained, for the electrodes of a footprint.
    config
        Its config.
    around
        int32 (channels, electrodes): the electrodes around each, −1 for none.
    """

    def __init__(self, network: DetectorNetwork, config: DetectorConfig, around: np.ndarray):
        self.network, self.config, self.around = network.eval(), config, around

    @classmethod
    def fit(cls, chip: Chip, painter: Painter, config: DetectorConfig | None = None) -> Self:
        """Train on what ``painter`` paints into quiet stretches of the training time of a chip.

        A fixed number of steps by AdamW; nothing is chosen by any score.

        Raises
        ------
        InputError
            Hardly a stretch without spikes.
        """
        config = config or DetectorConfig()
        painted = paint_pieces(chip, painter, config)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = DetectorNetwork(painted.pieces.shape[1], config)
        train(network, painted, config)
        return cls(network, config, chip.windows.around)

    @torch.inference_mode()
    def __call__(self, scaled: np.ndarray) -> np.ndarray:
        """Score voltages float32 (channels, samples + 2 · reach) in noise levels: logits (channels, samples)."""
        padded = torch.from_numpy(np.concatenate([scaled, np.zeros_like(scaled[:1])]))  # the last is "none"
        groups = np.array_split(self.around, -(-len(self.around) // CHANNELS))
        return torch.cat([self.network(padded[group.astype(np.int64)]) for group in groups]).numpy()


def train(network: DetectorNetwork, painted: Painted, config: DetectorConfig) -> None:
    """Lower the cross entropy of all samples that something is asked of, by AdamW with one cycle of the rate."""
    x, y = torch.from_numpy(painted.pieces), torch.from_numpy(painted.label)
    generator = torch.Generator().manual_seed(config.seed)
    optimiser = torch.optim.AdamW(network.parameters(), config.learning_rate)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, config.steps + 1, pct_start=0.2)
    network.train()
    for _ in range(config.steps):
        rows = torch.randint(len(x), (config.batch_size,), generator=generator)
        target = y[rows]
        asked = target != UNASKED
        loss = F.binary_cross_entropy_with_logits(network(x[rows])[asked], target[asked].float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        cycle.step()


@dataclass(frozen=True)
class Detections:
    """What was found: ``frame`` int64, ``channel`` int32 and ``score`` float32, each (n,), sorted by frame."""

    frame: np.ndarray
    channel: np.ndarray
    score: np.ndarray


def threshold(scaled: np.ndarray) -> np.ndarray:
    """Score voltages in noise levels by their depth alone: what a threshold is compared with."""
    return -scaled


def find(
    recording: sc.BaseRecording,
    detection: DetectionConfig,
    noise: np.ndarray,
    score: Callable[[np.ndarray], np.ndarray],
    spans: np.ndarray | None = None,
    reach: int = 0,
    floor: float = -np.inf,
) -> Detections:
    """Score every electrode of a recording block by block; what exceeds all within the dead time is found.

    Parameters
    ----------
    noise
        float32 (channels,): noise level; a dead channel (0) has no detections.
    score
        Voltages float32 (channels, samples + 2 · reach) in noise levels → scores (channels, samples): a
        :class:`Detector`, or :func:`threshold`.
    spans
        int64 (stretches, 2): first frame and end of what is searched; None: all.
    reach
        Samples on either side that a score depends on.
    floor
        Scores below are not found.
    """
    dead = detection.dead(recording.get_sampling_frequency())
    scale = inverse(noise, np.arange(len(noise))[:, None])[:, 0]  # (channels, 1)
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
    for segment, (first, end) in enumerate(segment_spans(recording)):
        asked = np.array([[first, end]]) if spans is None else spans
        for a, b in np.clip(asked, first, end) - first:
            for start in range(a, b, BLOCK):
                stop, context = min(start + BLOCK, b), reach + dead
                lo, hi = max(start - context, 0), min(stop + context, end - first)
                traces = filtered_traces(recording, detection, lo, hi, segment).T * scale
                traces = np.pad(traces, ((0, 0), (lo - start + context, stop + context - hi)))
                s = score(np.ascontiguousarray(traces, np.float32))  # (channels, stop − start + 2 · dead)
                peak = s == maximum_filter1d(s, 2 * dead + 1, axis=1, mode="nearest")
                inner = slice(dead, dead + stop - start)
                at = np.argwhere((peak & (s >= floor))[:, inner].T & (noise > 0))
                found.append((at[:, 0] + start + first, at[:, 1], s[at[:, 1], at[:, 0] + dead]))
    frame, channel, value = (np.concatenate(column) for column in zip(*found))
    return Detections(frame.astype(np.int64), channel.astype(np.int32), value.astype(np.float32))
