"""Spikes with their recording for phy and for SpikeInterface: known ones of a hybrid, or those that a run detected.

A thin layer over :func:`spikeinterface.create_sorting_analyzer` and :func:`spikeinterface.exporters.export_to_phy`
(Buccino et al. 2020, doi:10.7554/eLife.61834), which read the band-passed recording piece by piece. Where each unit has
its deepest trough is known beforehand, so that no template of the whole chip is estimated.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import spikeinterface.core as sc
from matplotlib.figure import Figure

from meagan_lib import ROOT, InputError
from meagan_lib.annotated.sorters import with_truth
from meagan_lib.annotated.writing import BLOCK_VALUES, sorting_from, sorting_of
from meagan_lib.book.nwb import parameters
from meagan_lib.recordings.opening import SIMULATED, holds_windows, locate, open_recording, source_hashes
from meagan_lib.recordings.simulation import SimulationConfig
from meagan_lib.windows.detection import DetectionConfig
from meagan_lib.windows.footprints import TETRODE
from meagan_lib.windows.merging import FIRST, labels, parts
from meagan_lib.windows.spike_windows import SpikeWindows
from meagan_lib.workflow.execution import RESULTS, is_run
from meagan_lib.workflow.files import atomic, exported, require_room

RADIUS_UM = 100.0
"""A unit's template has the electrodes within this distance of its own, as by default in SpikeInterface."""
TEMPLATE_MS = 1.0, 2.0
"""Before the spike and after it."""
TEMPLATE_BYTES = 25 * 10**6
"""SpikeInterface keeps templates of all units on all electrodes: where they take more, a chip goes out in strips."""


@dataclass(frozen=True)
class Spikes:
    """A recording, band-passed, and what fires in it.

    ``name``: of its files; ``what`` its units are, in words; ``recording`` in µV where the scale is known;
    ``sorting``: its units; ``electrode`` int (units,): the channel of each unit's deepest trough.
    """

    name: str
    what: str
    recording: sc.BaseRecording
    sorting: sc.BaseSorting
    electrode: np.ndarray


def known_spikes(name: str) -> Spikes:
    """Return the true spikes of a recording that has its truth beside it, such as one that ``meagan hybrid`` wrote.

    ``InputError``: no such recording, or no truth beside it.
    """
    path, recording, truth = with_truth(name)
    firing = np.unique(truth.unit)
    own = truth.templates_uv.min(axis=1).argmin(axis=1)[firing]
    sorting = sorting_of(truth, recording).select_units(firing)
    return Spikes(path.stem, "known units", band_passed(recording, DetectionConfig()), sorting, own)


def detected_spikes(run: str) -> Iterator[Spikes]:
    """Yield the peaks that a run detected in each of its recordings: a unit for each electrode, not sorted.

    ``InputError``: the recording has gone or is another one, or the run was given windows and no recording.
    """
    first = parameters(run).get(FIRST)
    if not first:
        raise InputError(f"run '{run}' has detected no spikes: make them with meagan run")
    for label, given in (parts(first) or {labels([first["recording"]])[0]: first}).items():
        recording = recording_of(run, given)
        frame, channel = detected(run, given, recording)
        sorting = sorting_from(frame, channel, np.unique(channel), recording)
        del frame, channel  # of half an hour of a chip a tenth of what is in memory
        detection = DetectionConfig((given["band_low_hz"], given["band_high_hz"]))
        passed, what = band_passed(recording, detection), "electrodes with detected spikes"
        yield Spikes(label, what, passed, sorting, sorting.unit_ids)


def detected(run: str, first: dict, recording: sc.BaseRecording) -> tuple[np.ndarray, np.ndarray]:
    """Return frame and channel int (n,) of the peaks that notebook 01 of a run detected in a recording.

    ``InputError``: they were detected in another recording.
    """
    with SpikeWindows.opened(RESULTS / first["name"] / "windows.h5") as windows:
        if windows.source_hashes != source_hashes(recording):
            raise InputError(
                f"{first['recording']} is no longer the recording of run '{run}': its spikes would not be those of the "
                f"file; run it again, or put the recording back"
            )
        return windows.ledger.frame, windows.ledger.channel


def recording_of(run: str, first: dict) -> sc.BaseRecording:
    """Open the recording that notebook 01 of a run was given; ``InputError``: it has gone, or was windows already."""
    name = first["recording"]
    if holds_windows(name):
        raise InputError(
            f"run '{run}' was given windows that were cut already ({name}), and no recording that could go with them: "
            f"export it with --to nwb"
        )
    simulation = SimulationConfig(seed=first["seed"], duration_s=first["duration_s"])
    choice = {of: first[of] or None for of in ("well", "stream")}
    try:
        return open_recording(name, simulation=simulation, **choice)
    except InputError as error:
        raise InputError(
            f"the recording of run '{run}' cannot be opened ({error}); --to nwb and --to dataset need none"
        ) from error


def band_passed(recording: sc.BaseRecording, detection: DetectionConfig) -> sc.BaseRecording:
    """Return a recording in the band in which spikes are detected, float32, in µV where the scale is known, lazily.

    Electrodes without positions, which phy needs, stand in a row: within reach of one another where they are few.
    """
    from spikeinterface.preprocessing import bandpass_filter, scale_to_uV

    band = detection.within(recording).band_at(recording.get_sampling_frequency())
    if not recording.has_channel_location():
        apart = RADIUS_UM / TETRODE if recording.get_num_channels() <= TETRODE else 10 * RADIUS_UM
        places = np.arange(recording.get_num_channels())[:, None] * [apart, 0.0]
        recording = recording.clone()
        recording.set_dummy_probe_from_locations(places)
    scaled = scale_to_uV(recording) if recording.has_scaleable_traces() else recording
    return bandpass_filter(scaled, *band, filter_order=detection.filter_order, dtype="float32")


def strips(spikes: Spikes) -> list[np.ndarray]:
    """Divide the electrodes into strips, channels int (n,) each, of which the templates take ``TEMPLATE_BYTES``."""
    samples = sum(TEMPLATE_MS) / 1000 * spikes.recording.get_sampling_frequency()
    whole = 4 * samples * len(spikes.electrode) * spikes.recording.get_num_channels()
    x, y = spikes.recording.get_channel_locations().T
    divided = np.array_split(np.lexsort((y, x)), ceil(sqrt(whole / TEMPLATE_BYTES)))
    return [np.sort(strip) for strip in divided if np.isin(spikes.electrode, strip).any()]


def analyzed(spikes: Spikes, strip: np.ndarray, folder: Path | None = None) -> sc.SortingAnalyzer:
    """Return a SortingAnalyzer of the units of some electrodes (n,), in a ``folder`` where one is given.

    It has what phy needs: templates of at most 500 spikes of each unit, drawn with a seed, and the amplitude of every
    spike.
    """
    recording, mine = spikes.recording, np.isin(spikes.electrode, strip)
    if len(strip) < recording.get_num_channels():
        recording = recording.select_channels(recording.channel_ids[strip])
    sorting = spikes.sorting.select_units(spikes.sorting.unit_ids[mine])
    options = pieces(len(strip))
    analyzer = sc.create_sorting_analyzer(
        sorting,
        recording,
        format="binary_folder" if folder else "memory",
        folder=folder,
        main_channel_indices=np.searchsorted(strip, spikes.electrode[mine]),
        sparsity_kwargs={"method": "radius", "radius_um": RADIUS_UM},
        return_in_uV=recording.has_scaleable_traces(),
        job_kwargs=options,
    )
    before, after = TEMPLATE_MS
    wanted = {
        "random_spikes": {"seed": 0},
        "templates": {"operators": ["average"], "ms_before": before, "ms_after": after},
        "spike_amplitudes": {},
    }
    analyzer.compute(wanted, **options)
    return analyzer


def pieces(n_channels: int) -> dict:
    """Return how SpikeInterface passes over a recording: one piece after another, of so many values."""
    return {"n_jobs": 1, "progress_bar": False, "chunk_size": max(BLOCK_VALUES // n_channels, 1000)}


def write_phy(spikes: Spikes, strip: np.ndarray, folder: Path) -> None:
    """Write the units of some electrodes (n,) for phy, with the band-passed samples of these."""
    from spikeinterface.exporters import export_to_phy

    recording = spikes.recording
    require_room(folder, len(strip) * recording.get_dtype().itemsize * recording.get_total_samples())
    options = pieces(len(strip)) | {"compute_pc_features": False, "use_relative_path": True, "verbose": False}
    export_to_phy(analyzed(spikes, strip), folder, **options)


def write_analyzer(spikes: Spikes, strip: np.ndarray, folder: Path) -> None:
    """Write the units of some electrodes (n,) as a SortingAnalyzer, which refers to the recording."""
    analyzed(spikes, strip, folder)


def segments(spikes: Spikes) -> Iterator[Spikes]:
    """Yield each segment that has spikes by itself: phy knows no gaps."""
    n = spikes.recording.get_num_segments()
    for i in range(n) if n > 1 else ():
        sorting = sc.select_segment_sorting(spikes.sorting, i)
        firing = sorting.count_num_spikes_per_unit(outputs="array") > 0
        if firing.any():
            yield Spikes(
                f"{spikes.name}.segment{i + 1}",
                spikes.what,
                spikes.recording.select_segments([i]),
                sorting.select_units(sorting.unit_ids[firing]),
                spikes.electrode[firing],
            )
    if n == 1:
        yield spikes


def written(found: Iterable[Spikes], folder: Path, suffix: str, write: Callable[[Spikes, np.ndarray, Path], None]):
    """Write a folder with a ``suffix`` of all spikes ``found``, one for each strip; say what.

    ``InputError``: another folder of that name stands there.
    """
    names, n_units, n_spikes, told = [], 0, 0, ""
    for spikes in found:
        across = strips(spikes)
        for i, strip in enumerate(across):
            name = spikes.name + (f".strip{i + 1}" if len(across) > 1 else "") + suffix
            with exported(folder / name) as temporary, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                write(spikes, strip, temporary)
            names.append(name)
        n_units, n_spikes = n_units + len(spikes.electrode), n_spikes + len(spikes.sorting.to_spike_vector())
        told = spikes.what
    return [f"{n_spikes} spikes of {n_units} {told}, {', '.join(names)}"]


def spikes_of(name: str) -> Iterable[Spikes]:
    """Return the detected spikes of a run, or the known ones of a recording with its truth; ``InputError``: neither."""
    if is_run(name):
        return detected_spikes(name)
    if name not in SIMULATED and locate(name) is None:
        raise InputError(
            f"'{name}' is neither a run nor a recording with known spikes: make a run with meagan run, or give a file "
            f"that meagan hybrid has written"
        )
    return [known_spikes(name)]


def to_phy(name: str, folder: Path) -> list[str]:
    """Write ``<recording>.phy`` for phy of a run, or of a recording with known spikes; say what."""
    found = (segment for spikes in spikes_of(name) for segment in segments(spikes))
    return written(found, folder, ".phy", write_phy)


def to_analyzer(name: str, folder: Path) -> list[str]:
    """Write ``<recording>.analyzer`` for SpikeInterface of a run, or of a recording with known spikes; say what."""
    return written(spikes_of(name), folder, ".analyzer", write_analyzer)


def draw(phy: Path, unit: str, shown: int = 4, apart_um: float = 2 * RADIUS_UM) -> Figure:
    """Draw the deepest units in a folder for phy, ``apart_um`` from one another."""
    from spikeinterface.extractors import read_phy

    from meagan_lib import plots

    names = ("templates", "template_ind", "channel_positions", "spike_times", "spike_clusters", "amplitudes")
    templates, around, places, frame, of, amplitude = (np.load(phy / f"{name}.npy") for name in names)
    where = np.array([places[around[u, t.min(axis=0).argmin()]] for u, t in enumerate(templates)])
    deepest: list[int] = []
    for u in np.argsort(templates.min(axis=(1, 2))):
        if len(deepest) < shown and all(np.hypot(*(where[u] - where[v])) >= apart_um for v in deepest):
            deepest.append(int(u))
    ids = pd.read_csv(phy / "cluster_si_unit_ids.tsv", sep="\t")["si_unit_id"]
    rate = read_phy(phy, load_all_cluster_properties=False).get_sampling_frequency()
    return plots.known_units(
        places,
        [templates[u][:, around[u] >= 0] for u in deepest],
        [around[u][around[u] >= 0] for u in deepest],
        sum(TEMPLATE_MS),
        [frame[of == u] / rate for u in deepest],
        [amplitude[(of == u)] for u in deepest],
        [f"unit {ids[u]}" for u in deepest],
        unit,
    )


def write_picture() -> None:
    """Draw what phy is given of the simulated recording: ``figures/exports/phy.png``."""
    from meagan_lib.workflow.figures import png

    with TemporaryDirectory() as folder, atomic(ROOT / "figures" / "exports" / "phy.png") as temporary:
        to_phy("simulated", Path(folder))
        temporary.write_bytes(png(draw(next(Path(folder).iterdir()), "uV")))


if __name__ == "__main__":
    write_picture()
