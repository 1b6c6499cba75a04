"""Look at a recording before anything runs: what is in it, its first seconds, how long a run will take, what will not.

Of the samples only the first seconds are read, however long the file is, by the pass that a run makes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import spikeinterface.core as sc

from meagan_lib import InputError
from meagan_lib.recordings.kinds import KINDS, describe
from meagan_lib.recordings.opening import amplitude_unit, electrode_positions_um, holds_windows, open_recording, rails
from meagan_lib.recordings.quality import channel_quality
from meagan_lib.recordings.streams import refuse_choice
from meagan_lib.windows import filtering
from meagan_lib.windows.cutting import WindowConfig, cut_windows, footprint_electrodes, require_window, stretches
from meagan_lib.windows.detection import DetectionConfig, filtered_traces, segment_spans
from meagan_lib.windows.imported import open_windows
from meagan_lib.windows.spike_windows import Ledger, Reason
from meagan_lib.windows.splits import require_enough
from meagan_lib.workflow.measured import bench

FOOTPRINT = 4
"""Neighbours of a footprint that is tried."""
LOOKED_S, LOOKED_SAMPLES = 10.0, 2**26
"""At most so many seconds, and samples of all electrodes together, are read."""
SHOWN_S = 0.5
ACTIVE_HZ = 0.1
"""An electrode that fires less is not called active."""
WORDS = {"uV": "µV", "ADU": "steps of the converter (the file states no scale)"}


@dataclass(frozen=True)
class Glance:
    """What the first seconds show: arrays for the picture.

    ``positions_um`` (channels, 2) or None; ``rate_hz`` and ``noise`` float32 (channels,); ``good`` bool (channels,);
    ``amplitude`` float32 (peaks,), negative; ``time_s``, ``trace`` (samples,), the band-passed one of the busiest
    ``electrode``, its ``threshold``; all in the recording's ``unit``.
    """

    positions_um: np.ndarray | None
    rate_hz: np.ndarray
    good: np.ndarray
    amplitude: np.ndarray
    time_s: np.ndarray
    trace: np.ndarray
    electrode: str
    threshold: float
    unit: str


@dataclass
class Look:
    """What was found: ``facts`` in words by name, ``refusals``, each the sentence of the run, and the ``glance``."""

    facts: dict[str, str] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    glance: Glance | None = None

    def attempt(self, step: Callable, *given, **options):
        """Return what a step of the run gives; of one that it would refuse keep the sentence, and return None."""
        try:
            return step(*given, **options)
        except InputError as error:
            if str(error) not in self.refusals:
                self.refusals.append(str(error))
        return None


def look(recording: str | Path, well: str | None, stream: str | None, min_train: int, steps: int) -> Look:
    """Look at a recording, or at windows that are already cut, as a run would open them.

    The run needs ``min_train`` windows to train, and trains its two models ``steps`` steps together.

    ``InputError``: what cannot be opened.
    """
    if holds_windows(recording):
        refuse_choice(Path(recording).name, stream=stream)
        return _look_at_windows(recording, well, min_train)
    source = open_recording(recording, well=well, stream=stream)
    found = Look(_facts(source))
    _glance(source, found, min_train)
    found.facts["a run takes"] = _duration(source, steps)
    return found


def _look_at_windows(recording: str | Path, well: str | None, min_train: int) -> Look:
    windows = open_windows(recording, well=well)
    found = Look(
        {
            "format": KINDS["windows"].name,
            "windows": f"{len(windows)} of {windows.windows.shape[1]} samples at {windows.sampling_rate_hz:g} Hz",
            "values": WORDS.get(windows.amplitude_unit, windows.amplitude_unit),
            "units": str(len(np.unique(windows.label[windows.label >= 0])))
            if (windows.label >= 0).any()
            else "unknown",
            "times": "known" if (windows.frame >= 0).all() else "unknown",
            "voltage": "none: no notebook detects spikes in it, or paints into it",
        }
    )
    found.attempt(require_enough, windows, min_train)
    return found


def _facts(source: sc.BaseRecording) -> dict[str, str]:
    """Say what the header says."""
    files = [Path(file) for file in source.get_annotation("files")]
    told, rate, spans = describe(files[0]), source.get_sampling_frequency(), segment_spans(source)
    positions, size = electrode_positions_um(source), sum(_size(file) for file in files)
    facts = {"format": told.format, "files": f"{', '.join(file.name for file in files)}; {_bytes(size)}"}
    facts["electrodes"] = f"{source.get_num_channels()}, {_map(source, positions)}"
    recorded = source.get_total_samples() / rate
    facts["recorded"] = f"{_time(recorded)} at {rate:g} Hz"
    missing = (spans[-1, 1] - spans[0, 0]) / rate - recorded
    between = f"{_time(missing)} between them" if missing * rate >= 1 else "which follow one another"
    facts["gaps"] = "none" if len(spans) == 1 else f"{len(spans)} stretches of time, {between}"
    low, high = rails(source)
    values = f"{source.get_dtype()}, in {WORDS[amplitude_unit(source)]}"
    if source.has_scaleable_traces():
        values += f", {abs(float(np.median(source.get_channel_gains()))):.4g} µV a step"
    facts["values"] = values + (f", codes {low:g} to {high:g}" if np.isfinite(low) else "")
    facts["compression"] = source.get_annotation("compression") or told.compression or "none"
    if told.wells:
        facts["wells"] = ", ".join(told.wells)
    if streams := source.get_annotation("streams"):
        facts["streams"] = ", ".join(f"{s} (taken)" if s == source.get_annotation("stream") else s for s in streams)
    for caution in source.get_annotation("cautions") or ():
        facts["mind"] = f"{facts['mind']}; {caution}" if "mind" in facts else caution
    return facts


def _map(source: sc.BaseRecording, positions: np.ndarray | None) -> str:
    if positions is None:
        return "whose positions are not known"
    extent = np.ptp(positions, axis=0)
    pitch = source.get_annotation("pitch_um")
    told = f", {pitch:g} µm apart ({source.get_annotation('pitch_from')})" if pitch else ""
    return f"within {extent[0]:g} × {extent[1]:g} µm{told}"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in path.rglob("*") if f.is_file())


def _bytes(size: float) -> str:
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"


def _time(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.3g} s"


def first_seconds(source: sc.BaseRecording) -> sc.BaseRecording:
    """Return the beginning of the first segment that is long enough for a noise level, or else of the longest."""
    rate = source.get_sampling_frequency()
    sizes = [source.get_num_samples(segment) for segment in range(source.get_num_segments())]
    enough = (i for i, n in enumerate(sizes) if n >= filtering.SHORTEST_MS * rate / 1000)
    segment = next(enough, int(np.argmax(sizes)))
    n = min(sizes[segment], round(LOOKED_S * rate), max(LOOKED_SAMPLES // source.get_num_channels(), round(0.1 * rate)))
    return source.select_segments([segment]).frame_slice(0, n)


def _glance(source: sc.BaseRecording, found: Look, min_train: int) -> None:
    """Pass over the first seconds, and try what the run would refuse later."""
    rate, detection, config = source.get_sampling_frequency(), DetectionConfig(), WindowConfig()
    if electrode_positions_um(source) is None:
        found.facts["footprints"] = _footprints(source)
    fits = found.attempt(require_window, source, config)
    filter = found.attempt(lambda: detection.within(source).filter(rate))
    if fits is None or filter is None:
        return
    detection = detection.within(source)
    part = first_seconds(source)
    noise = found.attempt(filtering.noise_levels, part, filter, 0)
    quality = found.attempt(channel_quality, part, source.get_annotation("adc_range"), detection.band_at(rate))
    if noise is None or quality is None:
        return
    passed = found.attempt(lambda: list(stretches(part, detection, config, noise, ~quality.good)))
    if passed is None:
        return
    peaks = Ledger.join([stretch.peaks for stretch in passed])
    rate_hz = np.bincount(peaks.channel, minlength=len(noise)).astype(np.float32) * rate / part.get_num_samples()
    level = noise * filtering.signs_and_gains(source)[1]
    active = int((quality.good & (rate_hz >= ACTIVE_HZ)).sum())
    found.facts["looked at"] = f"the first {part.get_num_samples() / rate:.3g} s"
    found.facts["noise"] = _spread(level, amplitude_unit(source))
    wrong = {name: n for name, n in quality.counts().items() if n and name != "good"}
    found.facts["not to be trusted"] = ", ".join(f"{n} {name}" for name, n in wrong.items()) or "none"
    deeper = f"deeper than {detection.threshold_mad:g} noise levels"
    found.facts["spikes"] = f"{len(peaks.frame)} {deeper}, {active} electrodes active"
    found.facts["windows"] = _expected(source, part, peaks, found, quality.good, min_train)
    found.glance = _shown(part, detection, peaks, rate_hz, level, quality.good)


def _footprints(source: sc.BaseRecording) -> str:
    """Say of how many electrodes windows can be, for a run that asks for neighbours, where places are not known."""
    neighbours = min(FOOTPRINT, source.get_num_channels() - 1)
    try:
        if neighbours:
            footprint_electrodes(source, WindowConfig(neighbours=neighbours))
    except InputError as error:
        return f"of one electrode alone: {error}"
    return f"of {neighbours + 1} electrodes" if neighbours else "of one electrode alone"


def _spread(level: np.ndarray, unit: str) -> str:
    low, middle, high = np.percentile(level, [5, 50, 95])
    word = {"uV": "µV", "ADU": "steps"}[unit]
    return f"{middle:.3g} {word} (5 to 95 % of the electrodes: {low:.3g} to {high:.3g})"


def _expected(
    source: sc.BaseRecording, part: sc.BaseRecording, peaks: Ledger, found: Look, good: np.ndarray, min_train: int
) -> str:
    """Count the windows: all, where all was looked at, by the run's own function; otherwise what is to be expected."""
    kept, times = int((peaks.reason == Reason.KEPT).sum()), source.get_total_samples() / part.get_num_samples()
    config = WindowConfig()
    if times == 1:
        cut = found.attempt(cut_windows, source, DetectionConfig(), config, bad=~good, min_train=min_train)
        return f"{kept if cut is None else len(cut)} isolated spikes"
    if (to_train := kept * times * config.split_fractions[0]) < min_train:
        found.refusals.append(
            f"too few isolated spikes are to be expected: some {to_train:,.0f} windows to train, and {min_train} are "
            f"needed: relax threshold_mad, guard_ms or window_ms, or lower min_train_windows"
        )
    return f"{kept} isolated spikes; about {kept * times:,.0f} in the whole recording"


def _shown(
    part: sc.BaseRecording,
    detection: DetectionConfig,
    peaks: Ledger,
    rate_hz: np.ndarray,
    level: np.ndarray,
    good: np.ndarray,
) -> Glance:
    """Gather what the picture shows: of the busiest electrode the trace around its first spike."""
    rate, n_frames = part.get_sampling_frequency(), part.get_num_samples()
    busiest, length = int(np.argmax(np.where(good, rate_hz, -1))), min(round(SHOWN_S * rate), n_frames)
    own = peaks.frame[peaks.channel == busiest]
    begin = int(np.clip(own[0] - length // 10 if len(own) else 0, 0, n_frames - length))
    one = part.select_channels(part.channel_ids[[busiest]])
    return Glance(
        positions_um=electrode_positions_um(part),
        rate_hz=rate_hz,
        good=good,
        amplitude=peaks.amplitude[good[peaks.channel]],
        time_s=np.arange(begin, begin + length) / rate,
        trace=filtered_traces(one, detection, begin, begin + length)[:, 0],
        electrode=str(part.channel_ids[busiest]),
        threshold=-detection.threshold_mad * float(level[busiest]),
        unit=amplitude_unit(part),
    )


def _duration(source: sc.BaseRecording, steps: int) -> str:
    """Estimate how long the costly parts of a run take, from what was measured once (``bench/*.md``)."""
    n_channels = -(-source.get_num_channels() // filtering.LANES) * filtering.LANES
    row = "24 s" if n_channels > 1000 else "this library"
    speed = float(bench("PREPROCESSING", row, "channel-seconds per second").replace(",", ""))
    hashed = float(bench("PREPROCESSING", "BLAKE3 of the source", "GB per second"))
    searching = n_channels * source.get_total_samples() / source.get_sampling_frequency() / speed
    hashing = sum(_size(Path(file)) for file in source.get_annotation("files")) / 1e9 / hashed
    training = steps / float(bench("TRAINING", "64 samples", "steps per second"))
    return (
        f"about {_time(max(searching, hashing, 1))} to read and search it on two cores, and {_time(training)} to "
        f"train two models on one: an estimate, from times measured on another machine"
    )
