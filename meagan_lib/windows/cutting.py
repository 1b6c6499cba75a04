"""From peaks to windows: which spikes are alone, and how their windows are cut."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from itertools import chain, pairwise
from pathlib import Path

import h5py
import numpy as np
import spikeinterface.core as sc
from numba import njit
from scipy.interpolate import CubicSpline
from scipy.spatial.distance import cdist

from meagan_lib import InputError, choose
from meagan_lib.recordings.opening import amplitude_unit, electrode_positions_um, rails, stored_around
from meagan_lib.recordings.simulation import GroundTruth
from meagan_lib.windows import filtering, streaming
from meagan_lib.windows.detection import DetectionConfig, KnownPeaks, depths, nearest, segment_spans, true_peaks
from meagan_lib.windows.footprints import centred, electrodes_around, nearest_electrodes
from meagan_lib.windows.spike_windows import Ledger, Reason, SpikeWindows
from meagan_lib.windows.splits import fingerprints, require_apart, require_enough, split_in_time
from meagan_lib.windows.streaming import Found, Search
from meagan_lib.workflow.files import Hashing, atomic, require_room

SIDES, ALIGNMENTS = ("both", "next"), ("trough", "interpolated")


@dataclass(frozen=True)
class Isolation:
    """When a spike is alone: ``Isolation()`` by default, ``Isolation.thesis()`` as the thesis words it (2.3.1)."""

    guard_ms: float = 2.0
    """Nothing else may peak on the channel within this time of a kept spike."""
    sides: str = "both"
    """``both``: the next and the previous peak are far; ``next``: the next alone."""
    guard_mad: float = 3.5
    """Elsewhere in the window, no trough may be deeper than so many noise levels; 0: any depth."""
    neighbours_um: float = 0.0
    """No electrode within this distance may peak within ``guard_ms``, but for the spike itself; 0: no rule."""

    def __post_init__(self):
        choose("isolation", self.sides, SIDES)
        if min(self.guard_ms, self.guard_mad, self.neighbours_um) < 0:
            raise InputError("guard_ms, guard_mad and neighbours_um cannot be negative: 0 turns a rule off")

    @classmethod
    def thesis(cls, guard_ms: float = 2.0) -> "Isolation":
        """Return the rule as the thesis words it: the *next* spike is far enough."""
        return cls(guard_ms, "next", 0.0, 0.0)


@dataclass(frozen=True)
class WindowConfig:
    """Which windows are cut, and how they are split."""

    window_ms: float = 3.2
    """Length of a window, centred on the trough."""
    isolation: Isolation = Isolation()
    alignment: str = "trough"
    """``trough``: the lowest sample stands in the middle; ``interpolated``: the trough of a cubic spline does."""
    artefact: float = 0.0
    """No spike is larger than this, in the unit of the recording; 0: no limit."""
    split_fractions: tuple[float, float, float] = (0.6, 0.1, 0.3)
    """Fractions of the time for training, validation and test."""
    split_cycles: int = 1
    """How often training, validation and test time follow one another."""
    footprint_um: float = 0.0
    """Electrodes within this distance of the trough's are cut as well; 0: none."""
    neighbours: int = 0
    """So many of the nearest electrodes are cut as well, and only spikes that have them all and are deepest on the
    electrode in their middle become windows; 0: none."""
    channel: int = -1
    """The fixed channel of the thesis (2.3.1): the one whose spikes become windows, counted from 0; −1: all."""

    def __post_init__(self):
        choose("alignment", self.alignment, ALIGNMENTS)
        if self.artefact < 0:
            raise InputError(f"artefact is {self.artefact:g}: give the size that no spike exceeds, or 0 for no limit")
        if self.footprint_um < 0:
            raise InputError(f"footprint_um is {self.footprint_um:g}: give a distance, or 0 for the electrode alone")
        if self.neighbours < 0:
            raise InputError(
                f"neighbours is {self.neighbours}: give a number of electrodes, or 0 for the own one alone"
            )
        if self.neighbours and self.footprint_um:
            raise InputError("footprint_um and neighbours are two ways to choose electrodes: give one of them")

    def require_channel(self, n_channels: int) -> None:
        """Raise where the fixed ``channel`` is none of a recording's."""
        if not -1 <= self.channel < n_channels:
            raise InputError(
                f"there is no channel {self.channel}: this recording has {n_channels}, numbered from 0 to "
                f"{n_channels - 1}; choose one of them, or -1 for all"
            )

    @property
    def padding(self) -> int:
        """Samples beyond a window that its alignment needs."""
        return 4 if self.alignment == "interpolated" else 0

    def half_window(self, sampling_rate_hz: float) -> int:
        """Return the number of samples on either side of the trough."""
        half = round(self.window_ms / 2 * sampling_rate_hz / 1000)
        if half < 4:
            raise InputError(
                f"a window of {self.window_ms:g} ms has only {2 * half} samples at {sampling_rate_hz:g} Hz: "
                f"raise window_ms"
            )
        return half


@njit(cache=True)
def active_neighbours(frame, channel, first, stop, adjacent, dead, guard):
    """Return whether bool (stop − first,) a neighbour of each peak first … stop peaks within ``guard`` frames.

    Neighbours are channels that are ``adjacent`` (channels, channels); ``frame`` (peaks,) is sorted.
    Peaks within ``dead`` frames are the same spike, seen by both electrodes.
    """
    busy = np.zeros(stop - first, np.bool_)
    left = 0
    for i in range(first, stop):
        while frame[i] - frame[left] > guard:
            left += 1
        j = left
        while j < len(frame) and frame[j] - frame[i] <= guard:
            if adjacent[channel[i], channel[j]] and abs(frame[j] - frame[i]) > dead:
                busy[i - first] = True
                break
            j += 1
    return busy


def align_troughs(windows: np.ndarray, padding: int, others: np.ndarray | None = None) -> np.ndarray:
    """Shift windows (n, samples + 2 · padding) by less than a sample → (n, samples).

    The trough of a cubic spline through each then stands exactly in its middle. ``others`` (n, electrodes, samples + 2
    · padding) are shifted in their place, each as its window is → (n, electrodes, samples).
    """
    n, length = windows.shape
    middle, samples = length // 2, length - 2 * padding
    if n == 0:
        return (windows if others is None else others)[..., padding : length - padding]
    # a u³ + b u² + c u + d, each (length − 1, n)
    a, b, c, d = CubicSpline(np.arange(length), windows.T.astype(np.float64)).c
    shift, depth = np.zeros(n), d[middle].copy()
    for piece in (middle - 1, middle):
        p, q, r = 3 * a[piece], 2 * b[piece], c[piece]
        root = np.sqrt(np.maximum(q * q - 4 * p * r, 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.where(np.abs(p) > 1e-12, (-q + root) / (2 * p), -r / q)  # the root at which the slope rises
        u = np.nan_to_num(u, nan=-1, posinf=-1, neginf=-1)
        value = ((a[piece] * u + b[piece]) * u + c[piece]) * u + d[piece]
        better = (u >= 0) & (u < 1) & (value < depth)
        shift[better], depth[better] = piece + u[better] - middle, value[better]
    whole = np.floor(shift).astype(int)
    u = (shift - whole)[:, None]
    at = padding + np.arange(samples) + whole[:, None]
    column = np.arange(n)[:, None]
    if others is not None:
        a, b, c, d = CubicSpline(np.arange(length), others.transpose(2, 0, 1).astype(np.float64)).c
        a, b, c, d = (part[at, column].transpose(0, 2, 1) for part in (a, b, c, d))  # each (n, electrodes, samples)
        u = u[:, None]
        return (((a * u + b) * u + c) * u + d).astype(np.float32)
    return (((a[at, column] * u + b[at, column]) * u + c[at, column]) * u + d[at, column]).astype(np.float32)


@dataclass(frozen=True)
class Stretch:
    """Peaks of a part of a recording with their reasons, the split of each, and the windows of those that are kept."""

    peaks: Ledger
    split: np.ndarray
    windows: np.ndarray
    footprints: np.ndarray | None


def stretches(
    recording: sc.BaseRecording,
    detection: DetectionConfig,
    config: WindowConfig,
    noise: np.ndarray,
    bad: np.ndarray,
    known: KnownPeaks | None = None,
) -> Iterator[Stretch]:
    """Pass once over a recording: find the peaks, give each its reason and its split, cut the windows.

    ``noise`` float32 (channels,) is in steps of the converter; ``bad`` bool (channels,). Peaks that are ``known`` are
    taken in place of those of the threshold.
    """
    rate = recording.get_sampling_frequency()
    gain, spans = filtering.signs_and_gains(recording)[1], segment_spans(recording)
    half, rule = config.half_window(rate), config.isolation
    previous = streaming.PREVIOUS if rule.sides == "both" else 0
    search = Search(
        threshold=depths(noise, detection.threshold_mad),
        guard_threshold=depths(noise, rule.guard_mad),
        artefact=config.artefact / gain if config.artefact else np.full(len(noise), np.inf, np.float32),
        dead=detection.dead(rate),
        guard=round(rule.guard_ms * rate / 1000),
        half_window=half,
        padding=config.padding,
        drop=streaming.NEXT | streaming.GUARD | streaming.ARTEFACT | streaming.CLIPPED | previous,
        rails=rails(recording),
        around=footprint_electrodes(recording, config),
    )
    adjacent = _adjacent(recording, rule.neighbours_um)
    if search.around is not None:  # a footprint is alone on all its electrodes
        seen = np.zeros((len(noise), len(noise) + 1), bool)
        seen[np.arange(len(noise))[:, None], search.around] = True  # −1, none, is the column that is left out
        seen = seen[:, :-1]
        np.fill_diagonal(seen, False)
        adjacent = seen if adjacent is None else adjacent | seen
    sizes, reach = np.diff(spans)[:, 0], half + config.padding
    gaps = spans[:, 0] - np.cumsum(sizes) + sizes  # before each segment, in all
    for segment, ((first, end), gap) in enumerate(zip(spans, gaps)):
        its = search if known is None else replace(search, known=known.between(first, end))
        passing = streaming.scan(recording, detection.filter(rate), its, segment)
        for found, busy in _with_neighbours(passing, adjacent, search):
            frame, flags = found.frame + first, found.flags
            split, between = split_in_time(  # what was recorded is divided, without the gaps
                frame - gap, int(sizes.sum()), 2 * half, config.split_fractions, config.split_cycles
            )
            around = stored_around(recording, segment, found.frame, found.channel)
            holds = {  # of several reasons the first counts; what is no spike is none on another channel either
                Reason.NOT_STORED: around[:, 0] == around[:, 1],
                Reason.BAD_CHANNEL: bad[found.channel],
                Reason.EDGE_OF_RECORDING: (frame < first + reach) | (frame + reach > end),
                Reason.CLIPPED: flags & streaming.CLIPPED,
                Reason.ARTEFACT: flags & streaming.ARTEFACT,
                Reason.OTHER_CHANNEL: (found.channel != config.channel) & (config.channel >= 0),
                Reason.NEXT_TOO_CLOSE: flags & streaming.NEXT,
                Reason.PREVIOUS_TOO_CLOSE: flags & previous,
                Reason.GUARD_PEAK_IN_WINDOW: flags & streaming.GUARD,
                Reason.NEIGHBOUR_ACTIVE: busy,
                **(_without_footprint(found, search, bad, gain) if config.neighbours else {}),
                Reason.EDGE_OF_SPLIT: between,
            }
            reason = np.select([held.astype(bool) for held in holds.values()], [*holds], Reason.KEPT).astype(np.uint8)
            kept = reason == Reason.KEPT
            windows, footprints = found.windows[kept[found.has_window]], None
            if search.around is not None:
                footprints = found.footprints[kept[found.has_window]]
                if config.alignment == "interpolated":
                    footprints = align_troughs(windows, config.padding, footprints)
                footprints = footprints * gain[search.around[found.channel[kept]], None]
            if config.alignment == "interpolated":
                windows = align_troughs(windows, config.padding)
            peaks = Ledger(frame, found.channel, found.amplitude * gain[found.channel], reason)
            yield Stretch(peaks, split, windows * gain[found.channel[kept], None], footprints)


def _without_footprint(found: Found, search: Search, bad: np.ndarray, gain: np.ndarray) -> dict[Reason, np.ndarray]:
    """Find the peaks bool (peaks,) that cannot stand for a spike with its neighbours, by reason."""
    around, larger = search.around[found.channel], np.zeros(len(found.frame), bool)
    scaled = found.footprints * gain[around[found.has_window], None]
    larger[found.has_window] = ~centred(scaled, search.reach, search.dead)
    return {Reason.FOOTPRINT_INCOMPLETE: ((around < 0) | bad[around]).any(axis=1), Reason.LARGER_BESIDE: larger}


def footprint_electrodes(recording: sc.BaseRecording, config: WindowConfig) -> np.ndarray | None:
    """Return the electrodes int32 (channels, electrodes) of each electrode's footprint; None when none are cut."""
    if config.neighbours:
        return nearest_electrodes(electrode_positions_um(recording), recording.get_num_channels(), config.neighbours)
    if config.footprint_um == 0:
        return None
    return electrodes_around(electrode_positions_um(recording), recording.get_num_channels(), config.footprint_um)


def _adjacent(recording: sc.BaseRecording, distance_um: float) -> np.ndarray | None:
    """Return which electrodes bool (channels, channels) are neighbours; None when the rule is off."""
    if distance_um == 0:
        return None
    positions = electrode_positions_um(recording)
    if positions is None:
        raise InputError(
            "neighbours_um needs the electrodes' positions, which this recording does not give: set it to 0"
        )
    near = cdist(positions, positions) <= distance_um
    np.fill_diagonal(near, False)
    return near


def _with_neighbours(
    passing: Iterator[Found], adjacent: np.ndarray | None, search: Search
) -> Iterator[tuple[Found, np.ndarray]]:
    """Yield each stretch with :func:`active_neighbours` of its peaks, which may lie in the stretches beside it."""
    if adjacent is None:
        yield from ((found, np.zeros(len(found.frame), bool)) for found in passing)
        return
    for (before, here), (_, after) in pairwise(pairwise(chain([None], passing, [None]))):
        near = [found for found in (before, here, after) if found is not None]
        frame, channel = (np.concatenate([getattr(found, of) for found in near]) for of in ("frame", "channel"))
        skip = len(before.frame) if before is not None else 0
        yield here, active_neighbours(frame, channel, skip, skip + len(here.frame), adjacent, search.dead, search.guard)


def stored_fraction(recording: sc.BaseRecording, windows: SpikeWindows) -> float:
    """Return the fraction of the samples of its ``windows`` that a recording holds: 1 where none is invented."""
    n, half, spans = 0, windows.n_samples // 2, segment_spans(recording)
    for segment, (first, end) in enumerate(spans):
        own = (windows.frame >= first) & (windows.frame < end)
        frame = windows.frame[own] - first
        around = stored_around(recording, segment, frame, windows.channel[own])
        n += int(np.abs(around - frame[:, None]).clip(max=half).sum())
    return n / max(2 * half * len(windows), 1)


def require_window(recording: sc.BaseRecording, config: WindowConfig) -> int:
    """Return the samples of a window, or raise where the recording has none without a break that is as long."""
    samples = 2 * config.half_window(recording.get_sampling_frequency())
    longest = int(np.diff(segment_spans(recording)).max())
    if longest < samples:
        raise InputError(f"the recording has {longest} samples, less than one window ({samples}): lower window_ms")
    return samples


def cut_windows(
    recording: sc.BaseRecording,
    detection: DetectionConfig,
    config: WindowConfig,
    truth: GroundTruth | None = None,
    bad: np.ndarray | None = None,
    seed: int = 0,
    path: Path | str | None = None,
    min_train: int | None = None,
    known: KnownPeaks | None = None,
) -> SpikeWindows:
    """Detect spikes, cut the isolated ones, split them in time, and account for every other peak, in one pass.

    :func:`~meagan_lib.windows.filtering.noise_levels` are estimated on blocks drawn with ``seed``;
    :func:`~meagan_lib.windows.streaming.scan` reads, filters, finds peaks and cuts; :func:`stretches` gives each peak
    its reason and its split; here windows are written as they come, checked as a whole, and read back.

    Of a simulation the ``truth`` labels each window with the unit that fired, −1 where none did; peaks of ``bad``
    channels, bool (channels,), are only entered in the ledger. The file is kept at ``path``, if there is one, and if
    there are windows enough: ``min_train`` to train; 0: any window; None: not even one. Peaks that are ``known`` are
    taken in place of those of the threshold.

    ``InputError``: A recording shorter than a window, or without the channel that is asked for; too few windows
    (:func:`require_enough`); a recording that repeats itself (:func:`require_apart`).
    """
    config.require_channel(recording.get_num_channels())
    detection = detection.within(recording)
    rate, spans = recording.get_sampling_frequency(), segment_spans(recording)
    samples = require_window(recording, config)
    noise = filtering.noise_levels(recording, detection.filter(rate), seed)
    noise_mad, positions = noise * filtering.signs_and_gains(recording)[1], electrode_positions_um(recording)
    bad = np.zeros(len(noise), bool) if bad is None else bad
    with (
        Hashing(recording.get_annotation("files")) as hashing,
        atomic(path) if path else nullcontext(BytesIO()) as target,
        h5py.File(target, "w") as file,
    ):
        written = file.create_dataset(
            "windows", (0, samples), np.float32, maxshape=(None, samples), chunks=(1024, samples)
        )
        around = footprint_electrodes(recording, config)
        if around is not None:
            size = around.shape[1], samples
            footprints = file.create_dataset(
                "footprints", (0, *size), np.float32, maxshape=(None, *size), chunks=(128, *size)
            )

        def require(*arrays: np.ndarray) -> None:
            if path:
                require_room(Path(path), sum(array.nbytes for array in arrays))

        peaks, splits, prints, level = [], [], [], float(np.median(noise_mad))
        for n, part in enumerate(stretches(recording, detection, config, noise, bad, known), 1):
            hashing.reached(n * streaming.SEGMENT / recording.get_total_samples())
            peaks.append(part.peaks)
            splits.append(part.split)
            prints.append(fingerprints(part.windows, level))
            require(part.windows, *([] if around is None else [part.footprints]))
            written.resize(len(written) + len(part.windows), axis=0)
            written[len(written) - len(part.windows) :] = part.windows
            if around is not None:
                footprints.resize(len(written), axis=0)
                footprints[len(written) - len(part.windows) :] = part.footprints
        ledger = Ledger.join(peaks)
        kept = ledger.reason == Reason.KEPT
        frame, channel = ledger.frame[kept], ledger.channel[kept]
        label = np.full(len(frame), -1, np.int32)
        if truth is not None:
            true_frame, true_channel, unit, _ = true_peaks(truth, detection, rate, noise_mad, above_mad=2.0)
            match = nearest(frame, channel, true_frame, true_channel, detection.dead(rate))
            label[match >= 0] = unit[match[match >= 0]]
        stated = asdict(detection) | asdict(config) | dict(known.finder if known else {})
        stated["split_shares"] = stated.pop("split_fractions")  # as files have called it from the beginning
        for name, off in {"footprint_um": 0, "neighbours": 0, "channel": -1}.items():
            if stated[name] == off:
                del stated[name]
        bursts = np.zeros((0, 2), np.int64) if truth is None else truth.bursts
        done = SpikeWindows(
            windows=np.empty((0, samples), np.float32),
            channel=channel,
            frame=frame,
            label=label,
            split=np.concatenate(splits)[kept],
            sampling_rate_hz=rate,
            pre_samples=samples // 2,
            amplitude_unit=amplitude_unit(recording),
            detection=stated,
            source_hashes=hashing.finish(),
            noise_mad=noise_mad,
            ledger=ledger,
            recordings=[Path((recording.get_annotation("files") or ["recording"])[0]).stem],
            positions_um=None if positions is None else positions.astype(np.float32),
            stretches=np.pad(spans, ((0, 0), (1, 0))),  # the first recording
            planted_bursts=np.pad(bursts, ((0, 0), (1, 0))),
            around=around,
        )
        if min_train is not None:
            require_enough(done, min_train)
        require_apart(done, np.concatenate(prints))
        require(*vars(ledger).values())
        done.write(file)
        return SpikeWindows.read(file)
