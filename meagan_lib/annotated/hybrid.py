"""Hybrid recordings: spikes at known times in a recording of one's own, as ground truth for detection and sorting."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import spikeinterface.core as sc
from spikeinterface.preprocessing.basepreprocessor import BasePreprocessor, BasePreprocessorSegment

from meagan_lib import InputError
from meagan_lib.annotated.background import footprints_at
from meagan_lib.annotated.chip import Chip
from meagan_lib.annotated.painters import AMPLITUDE_CV, Painter
from meagan_lib.recordings.opening import electrode_positions_um, rails
from meagan_lib.recordings.simulation import GroundTruth
from meagan_lib.windows.detection import DetectionConfig, filtered_templates, nearest, segment_spans, true_peaks

SCALED = 2.0
"""A spike may be made so many times larger or smaller for its unit's depth."""
REPEATED = 4
"""Units of one kind, of different depths, where all electrodes stand together."""
DEPTHS = (0, 3, 4, 5, 6, 8, np.inf)
"""Edges of the bins of depth of painted spikes, in noise levels."""
ROUNDS = 3
"""How often spikes that came within the refractory period are drawn again."""


@dataclass(frozen=True)
class HybridConfig:
    """Which units are painted."""

    units: int = 20
    rate_hz: float = 2.0
    """Spikes of a unit in a second."""
    depth: tuple[float, float] = (4.0, 12.0)
    """Shallowest and deepest unit: trough of its mean spike in noise levels of its electrode."""
    refractory_ms: float = 2.5
    amplitude_cv: float = AMPLITUDE_CV
    """Standard deviation of a unit's amplitudes, as a fraction."""
    drift_um: float = 0.0
    """How far every unit moves along x, evenly, from the first frame to the last."""
    seed: int = 0

    def __post_init__(self):
        if len(self.depth) != 2:
            raise InputError(f"the depth {list(self.depth)} is no range: give the shallowest and the deepest unit")
        low, high = self.depth
        if self.units < 1 or self.rate_hz <= 0:
            raise InputError(f"{self.units} units at {self.rate_hz:g} Hz are no spikes: ask for some, above 0 Hz")
        if not 0 < low <= high:
            raise InputError(f"a depth of {low:g}:{high:g} noise levels is empty: give the shallowest first, above 0")
        if self.refractory_ms < 0 or self.rate_hz * self.refractory_ms >= 500:
            raise InputError(
                f"{self.rate_hz:g} spikes a second leave no refractory period of {self.refractory_ms:g} ms: ask for "
                f"a lower rate"
            )


@dataclass(frozen=True)
class Units:
    """The painted units: ``channel``, ``kind`` int (units,) and ``depth`` float (units,), in noise levels."""

    channel: np.ndarray
    kind: np.ndarray
    depth: np.ndarray


@dataclass(frozen=True)
class Painted:
    """What is added to a recording.

    ``frame`` int64 (n,), sorted: of the trough; ``unit`` int32 (n,); ``electrodes`` int32 (n, k), −1 for none;
    ``delta`` float32 (n, k, samples), in the unit of the recording, from ``before`` samples before the frame on.
    """

    frame: np.ndarray
    unit: np.ndarray
    electrodes: np.ndarray
    delta: np.ndarray
    before: int


def choose_units(chip: Chip, config: HybridConfig) -> Units:
    """Draw electrode, kind and depth of every unit.

    Depths are even in the range that was asked for, as far as kinds reach; a unit's kind is one of about its depth.
    Where electrodes have positions, each unit has an electrode of its own, with all electrodes around it, and those
    chosen are spread out. Without positions a unit stays on an electrode on which its kind occurs.

    Raises
    ------
    InputError
        A depth that no spike comes near; a chip too small for so many units.
    """
    rng, (low, high), own = np.random.default_rng(config.seed), config.depth, chip.kinds.label
    deep = -chip.footprints[:, 0].min(axis=1) / chip.noise[chip.channel]
    kind_depth = np.array([np.median(deep[own == k]) for k in range(len(chip.kinds.means))])
    low, high = max(low, kind_depth.min() / SCALED), min(high, kind_depth.max() * SCALED)
    if low > high:
        raise InputError(
            f"no spike of the recording is {config.depth[0]:g} to {config.depth[1]:g} noise levels deep, theirs are "
            f"{kind_depth.min():.1f} to {kind_depth.max():.1f}: ask for a depth nearer to these"
        )
    depth = rng.uniform(low, high, config.units)
    apart = np.abs(np.log(kind_depth / depth[:, None]))  # (units, kinds)
    near = apart <= np.maximum(np.log(SCALED), apart.min(axis=1, keepdims=True))
    kind = np.array([rng.choice(np.flatnonzero(alike)) for alike in near])
    positions = electrode_positions_um(chip.recording)
    if positions is None:
        if config.drift_um:
            raise InputError("the recording does not say where its electrodes stand, so that no unit can drift")
        if config.units > (most := REPEATED * near.any(axis=0).sum()):
            raise InputError(
                f"{config.units} units are too many: the kinds of spikes of such a depth make at most {most}; ask for "
                f"fewer"
            )
        return Units(np.array([np.bincount(chip.channel[own == k]).argmax() for k in kind], np.int32), kind, depth)
    whole = np.flatnonzero((chip.windows.around >= 0).all(axis=1) & chip.usable)
    if config.drift_um:
        whole = np.array([c for c in whole if len(_path(positions, c, config.drift_um, chip.windows.around))], int)
    if config.units > len(whole):
        raise InputError(
            f"the chip is too small for {config.units} units: {len(whole)} electrodes have all those around them"
            f"{' all along the drift' if config.drift_um else ''}; ask for fewer units, a smaller footprint"
            f"{' or less drift' if config.drift_um else ''}"
        )
    return Units(_spread(positions, whole, config.units, rng).astype(np.int32), kind, depth)


def _spread(positions: np.ndarray, among: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Choose ``n`` channels, each the farthest from those chosen before, the first at random."""
    chosen = [int(rng.choice(among))]
    far = np.linalg.norm(positions[among] - positions[chosen[0]], axis=1)
    while len(chosen) < n:
        chosen.append(int(among[far.argmax()]))
        far = np.minimum(far, np.linalg.norm(positions[among] - positions[chosen[-1]], axis=1))
    return np.array(chosen)


def _path(positions: np.ndarray, channel: int, drift_um: float, around: np.ndarray) -> list[int]:
    """Return the channels along x over which a unit drifts, one a pitch; none when the chip ends before."""
    apart = np.abs(positions[:, 0] - positions[channel, 0])
    row = np.isclose(positions[:, 1], positions[channel, 1])
    ahead = np.sign(positions[:, 0] - positions[channel, 0]) == np.sign(drift_um)
    along = np.flatnonzero(row & ahead)
    path = [channel, *along[np.argsort(apart[along])].tolist()]
    enough = np.flatnonzero(apart[path] >= abs(drift_um))
    path = path[: enough[0] + 1] if len(enough) else []
    return path if path and (around[path] >= 0).all() else []


def spike_frames(chip: Chip, units: Units, config: HybridConfig) -> tuple[np.ndarray, np.ndarray]:
    """Draw frames int64 (n,), sorted, and units int32 (n,): quiet frames near other spikes, a refractory period apart.

    Painted units so fire when the network fires.

    Raises
    ------
    InputError
        An electrode around which it is hardly ever quiet.
    """
    rng, rate = np.random.default_rng(config.seed + 1), chip.recording.get_sampling_frequency()
    spans, reach = segment_spans(chip.recording), chip.observation.reach
    mean = config.rate_hz * np.diff(spans).sum() / rate
    refractory, frames = max(round(config.refractory_ms * rate / 1000), 1), []
    for channel in units.channel:
        mine, wanted = np.zeros(0, np.int64), rng.poisson(mean)
        for _ in range(ROUNDS):
            lacking = np.full(wanted - len(mine), channel)
            mine = np.unique(np.r_[mine, chip.quiet.draw(lacking, chip.windows.around, spans, reach, rng)])
            mine = mine[np.diff(mine, prepend=-refractory) >= refractory]
        frames.append(mine)
    frame, unit = np.concatenate(frames), np.repeat(np.arange(len(frames), dtype=np.int32), [len(f) for f in frames])
    order = np.lexsort((unit, frame))
    return frame[order], unit[order]


def paint_units(chip: Chip, painter: Painter, units: Units, config: HybridConfig) -> Painted:
    """Paint every spike of every unit into the background that is there at its time."""
    rng, observation = np.random.default_rng(config.seed + 2), chip.observation
    frame, unit = spike_frames(chip, units, config)
    factor = (1 + config.amplitude_cv * rng.standard_normal(len(frame))).clip(0.5, 1.5)
    gain = units.depth[unit] * chip.noise[units.channel[unit]] / chip.kinds.depth[units.kind[unit]] * factor
    channel, weight, spike = units.channel[unit], np.ones(len(frame)), np.arange(len(frame))
    if config.drift_um:
        channel, weight, spike = _drifted(chip, units, frame, unit, config.drift_um)
    electrodes = chip.windows.around[channel]
    pieces = footprints_at(chip.recording, chip.detection, frame[spike], electrodes, observation.reach)
    kind = units.kind[unit][spike]
    painted = painter.paint(pieces, observation.slack, kind, gain[spike], config.seed + 3)
    inner = slice(observation.slack, -observation.slack)
    delta = ((painted - pieces) * weight[:, None, None].astype(np.float32))[:, :, inner]
    return Painted(frame[spike], unit[spike], electrodes, delta, observation.half_window)


def _drifted(
    chip: Chip, units: Units, frame: np.ndarray, unit: np.ndarray, drift_um: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return channel, weight and spike of each half of a spike that lies between two electrodes."""
    positions, end = electrode_positions_um(chip.recording), segment_spans(chip.recording)[-1, 1]
    channel, weight, spike = [], [], []
    for u, start in enumerate(units.channel):
        path = np.array(_path(positions, int(start), drift_um, chip.windows.around))
        way = np.abs(positions[path, 0] - positions[path[0], 0])
        mine = np.flatnonzero(unit == u)
        at = np.interp(abs(drift_um) * frame[mine] / end, way, np.arange(len(path)))
        left = np.minimum(at.astype(int), len(path) - 2) if len(path) > 1 else np.zeros(len(at), int)
        for offset, part in ((0, 1 - (at - left)), (1, at - left)):
            seen = part > 1e-6
            channel.append(path[(left + offset)[seen]])
            weight.append(part[seen])
            spike.append(mine[seen])
    channel, weight, spike = (np.concatenate(column) for column in (channel, weight, spike))
    order = np.argsort(spike, kind="stable")
    return channel[order].astype(np.int32), weight[order], spike[order]


class HybridRecording(BasePreprocessor):
    """A recording with painted spikes added, in steps of its converter, when it is read; all else is bit-identical."""

    def __init__(self, recording: sc.BaseRecording, painted: Painted):
        super().__init__(recording)
        gain = np.ones(recording.get_num_channels(), np.float32)
        if recording.has_scaleable_traces():
            gain = np.asarray(recording.get_channel_gains(), np.float32)
        for parent, (first, _) in zip(recording.segments, segment_spans(recording)):
            self.add_recording_segment(_HybridSegment(parent, painted, int(first), gain, rails(recording)))
        self._serializability = {kind: kind == "memory" for kind in self._serializability}  # what is painted is no path


class _HybridSegment(BasePreprocessorSegment):
    def __init__(self, parent, painted: Painted, first: int, gain: np.ndarray, limits: tuple[float, float]):
        super().__init__(parent)
        self.painted, self.first, self.gain, self.limits = painted, first, gain, limits

    def get_traces(self, start_frame, end_frame, channel_indices) -> np.ndarray:
        """Return what the parent holds, with the spikes that reach into these frames."""
        traces = self.parent_recording_segment.get_traces(start_frame, end_frame, slice(None)).copy()
        start, end, p = self.first + start_frame, self.first + end_frame, self.painted
        samples = p.delta.shape[2]
        before = p.before
        a, b = np.searchsorted(p.frame, [start - samples + before + 1, end + before])
        if a == b:
            return traces[:, channel_indices]
        added = np.zeros(traces.shape, np.float32)
        for i in range(a, b):
            lo = int(p.frame[i]) - before - start
            rows = slice(max(lo, 0), min(lo + samples, len(added)))
            there = p.electrodes[i] >= 0
            added[rows, p.electrodes[i][there]] += p.delta[i][there, rows.start - lo : rows.stop - lo].T
        touched = added != 0
        steps = added / self.gain
        if traces.dtype.kind in "iu":
            steps = np.rint(steps)
        traces[touched] = (traces[touched].astype(np.float64) + steps[touched]).clip(*self.limits).astype(traces.dtype)
        return traces[:, channel_indices]


def make_hybrid(chip: Chip, painter: Painter, config: HybridConfig) -> tuple[sc.BaseRecording, GroundTruth, Units]:
    """Paint units into a recording, and return it with the truth."""
    units = choose_units(chip, config)
    painted = paint_units(chip, painter, units, config)
    return HybridRecording(chip.recording, painted), truth_of(painted, chip, config), units


def truth_of(painted: Painted, chip: Chip, config: HybridConfig) -> GroundTruth:
    """Return the truth of painted spikes as that of a simulation: frames, units, amplitudes, mean shapes.

    The template of a unit that drifts is the mean over its whole way: wider and shallower than any of its spikes.
    """
    first = np.unique(painted.frame.astype(np.int64) * config.units + painted.unit, return_index=True)[1]
    samples = painted.delta.shape[2]
    templates = np.zeros((config.units, samples, chip.recording.get_num_channels()), np.float32)
    frame, unit = painted.frame[first], painted.unit[first]
    for i, u in enumerate(painted.unit):
        there = painted.electrodes[i] >= 0
        templates[u][:, painted.electrodes[i][there]] += painted.delta[i][there].T
    templates /= np.maximum(np.bincount(unit, minlength=config.units), 1)[:, None, None]
    depth = -templates.min(axis=(1, 2))
    trough = np.zeros(len(frame), np.float32)
    np.maximum.at(
        trough, np.searchsorted(first, np.arange(len(painted.frame)), side="right") - 1, -painted.delta.min(axis=(1, 2))
    )
    factor = trough / np.where(depth > 0, depth, 1)[unit]
    return GroundTruth(frame, unit, factor.astype(np.float32), templates, painted.before, np.zeros((0, 2), np.int64))


def threshold_misses(recording: sc.BaseRecording, truth: GroundTruth, chip: Chip) -> pd.DataFrame:
    """Search a hybrid with the threshold of the chip; return what it finds of the painted spikes, by their depth.

    Columns spikes, recall and its Wilson interval ``low``, ``high``; a spike counts on its unit's own electrode.
    """
    from meagan_lib.annotated.detector import find, threshold  # torch takes 180 MB, which a hybrid has no need of
    from meagan_lib.evaluation.statistics import wilson

    rate, detection = recording.get_sampling_frequency(), chip.detection
    frame, channel, unit, deep = true_peaks(truth, detection, rate, chip.noise, 0.0)
    shapes = filtered_templates(truth, detection, rate).min(axis=1)  # (units, channels)
    own = channel == np.where(chip.noise > 0, shapes / np.maximum(chip.noise, 1e-9), 0).argmin(axis=1)[unit]
    found = find(recording, detection, chip.noise, threshold, floor=detection.threshold_mad)
    hit = nearest(frame[own], channel[own], found.frame, found.channel, detection.dead(rate)) >= 0
    table = pd.DataFrame({"depth (noise levels)": pd.cut(deep[own], DEPTHS, right=False), "hit": hit})
    counts = table.groupby("depth (noise levels)", observed=True)["hit"].agg(spikes="size", recall="mean", found="sum")
    ends = [wilson(hits, n) for hits, n in zip(counts["found"], counts["spikes"])]
    counts["low"], counts["high"] = np.transpose(ends) if ends else ([], [])
    return counts.drop(columns="found").rename(index=str)


def unit_depths(truth: GroundTruth, detection: DetectionConfig, rate: float, noise: np.ndarray) -> np.ndarray:
    """Return the depth (units,) of each mean spike after the band-pass, in noise levels, where it is deepest."""
    there = truth.templates_uv.any(axis=(0, 1))  # few of a whole chip: to filter all takes 2 GB
    seen = replace(truth, templates_uv=truth.templates_uv[:, :, there])
    trough = -filtered_templates(seen, detection, rate).min(axis=1)
    return (trough / np.where(noise > 0, noise, np.inf)[there]).max(axis=1, initial=0)


def describe(chip: Chip, units: Units, truth: GroundTruth, config: HybridConfig) -> dict:
    """Return what was painted, for the report: the settings, and each unit's electrode, kind, depth and rate.

    The depth is measured, as the band-passed hybrid has it: what was painted had gone through the filter before.
    """
    counts, duration_s = np.bincount(truth.unit, minlength=config.units), chip.recording.get_total_duration()
    depth = unit_depths(truth, chip.detection, chip.recording.get_sampling_frequency(), chip.noise)
    return {
        "settings": asdict(config),
        "spikes": int(counts.sum()),
        "units": [
            {
                "unit": u,
                "electrode": int(units.channel[u]),
                "kind": int(units.kind[u]),
                "depth_noise_levels": round(float(depth[u]), 2),
                "spikes": int(counts[u]),
                "rate_hz": round(float(counts[u] / duration_s), 3),
            }
            for u in range(config.units)
        ],
    }


def default_path(recording: sc.BaseRecording, name: str) -> Path:
    """Return where the hybrid of a recording called ``name`` goes: a BRW where it has an electrode grid, else Zarr."""
    return Path(f"{Path(name).stem}_hybrid{'.brw' if electrode_positions_um(recording) is not None else '.zarr'}")
