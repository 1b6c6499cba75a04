"""Hybrid recordings as files: BRW 3.x, Zarr or binary, with the truth and a report beside them."""

import ctypes
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import spikeinterface.core as sc
from spikeinterface.core.base import minimum_spike_dtype

from meagan_lib import InputError
from meagan_lib.annotated.chip import Chip, footprint_windows
from meagan_lib.annotated.hybrid import HybridConfig, default_path, describe, make_hybrid
from meagan_lib.annotated.painters import fit_painter, require_painter
from meagan_lib.recordings.brw import CHIP_ELECTRODES
from meagan_lib.recordings.opening import electrode_positions_um, open_recording
from meagan_lib.recordings.simulation import GroundTruth, create_brw, truth_path
from meagan_lib.windows.detection import DetectionConfig, segment_spans
from meagan_lib.workflow.files import read_json, require_room, state_of, together, write_json

BLOCK_VALUES = 2**22
M_MMAP_THRESHOLD = -3
"""Parameter of glibc's ``mallopt``: arrays of so many bytes have pages of their own."""


def paint_file(
    recording: str,
    out: str,
    painter: str,
    config: HybridConfig,
    footprint_um: float,
    threshold_mad: float,
    say: Callable[[str], None],
) -> tuple[dict, list[Path]]:
    """Make a hybrid of a recording and write it; return its report and the files.

    ``out`` is its path, or empty: in the working directory, as BRW where the recording has electrode positions.
    ``say`` is told each step.
    """
    require_painter(painter)
    if not footprint_um:
        raise InputError("a hybrid has footprints of several electrodes: give a distance above 0 µm")
    free_at_once()
    source = open_recording(recording)
    path = Path(out) if out else default_path(source, recording)
    require_writable(source, path)
    say("1 of 4: spikes and background of the recording")
    chip = Chip.of(source, DetectionConfig(threshold_mad=threshold_mad), footprint_windows(footprint_um), config.seed)
    say(f"2 of 4: {painter}, of {len(chip.footprints)} spikes in {len(chip.kinds.means)} kinds")
    fitted = fit_painter(painter, chip, config.seed)
    say(f"3 of 4: {config.units} units")
    made, truth, units = make_hybrid(chip, fitted, config)
    report = describe(chip, units, truth, config) | {"from": painter}
    del chip, fitted  # what follows needs memory of its own
    say(f"4 of 4: {path}")
    return report, write_hybrid(made, truth, report, path)


def free_at_once() -> None:
    """Have freed arrays given back to the system, where the C library is glibc: it would keep those up to 32 MB."""
    with suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**20)


def write_hybrid(recording: sc.BaseRecording, truth: GroundTruth, report: dict, path: Path) -> list[Path]:
    """Write a recording to ``path`` with its truth as ``.truth.npz`` and sorting, and the report; return the files.

    ``.brw``: BRW 3.x, whose codes are those of the recording; ``.zarr``: Zarr; a name without suffix: SpikeInterface's
    binary folder. All appear together, the recording last, or none does.
    """
    files = [*companions(path), path]
    require_writable(recording, path)
    with together(files) as (known, sorting, told, samples), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The extractor is not serializable")  # what is painted has no path
        truth.save(known)
        sorting_of(truth, recording).save(folder=sorting, format="numpy_folder")
        if path.suffix == ".brw":
            write_brw(recording, samples)
        else:
            step = max(BLOCK_VALUES // recording.get_num_channels(), 1000)
            options = {"format": "zarr" if path.suffix else "binary", "chunk_size": step, "n_jobs": 1}
            recording.save(folder=samples, verbose=False, progress_bar=False, **options)
        written = {
            file.name: state_of(made) for file, made in zip(files, (known, sorting, told, samples)) if made != told
        }
        write_json(told, report | {"written": written})
    return files[-1:] + files[:-1]


def sorting_of(truth: GroundTruth, recording: sc.BaseRecording) -> sc.NumpySorting:
    """Return the truth as a SpikeInterface sorting."""
    return sorting_from(truth.frame, truth.unit, np.arange(len(truth.templates_uv)), recording)


def sorting_from(frame: np.ndarray, unit: np.ndarray, ids: np.ndarray, recording: sc.BaseRecording) -> sc.NumpySorting:
    """Return spikes as a SpikeInterface sorting: frame and unit int (n,), each one of ``ids`` (units,), sorted.

    Frames count from the beginning of the recording, those of the sorting from that of their segment.
    """
    spans, spikes = segment_spans(recording), np.zeros(len(frame), minimum_spike_dtype)
    order = np.argsort(frame, kind="stable")
    spikes["unit_index"] = np.searchsorted(ids, unit)[order]
    spikes["sample_index"] = frame[order]
    del order
    begins = np.searchsorted(spikes["sample_index"], spans[1:, 0])
    for i, (start, stop) in enumerate(zip([0, *begins], [*begins, len(spikes)])):
        spikes["segment_index"][start:stop] = i
        spikes["sample_index"][start:stop] -= spans[i, 0]
    return sc.NumpySorting(spikes, recording.get_sampling_frequency(), unit_ids=ids)


def companions(path: Path) -> list[Path]:
    """Return what lies beside a hybrid recording: its truth, also as a sorting, and the report."""
    return [truth_path(path), path.with_suffix(".sorting"), path.with_suffix(".report.json")]


MARKS = (".zgroup", "zarr.json", "binary.json", "si_folder.json")
"""Of folders that hold a recording."""


def require_writable(recording: sc.BaseRecording, path: Path) -> None:
    """Refuse a path whose format, or disk, cannot hold the recording.

    Raises
    ------
    InputError
        Another format; the name of the recording itself; anything there but an earlier hybrid, as it was written; what
        BRW 3.x cannot hold: no electrodes of a chip, gaps in time, gains that differ, samples of another type. No room
        for it; how much Zarr takes is not known before.
    """
    if path.suffix not in (".brw", ".zarr", ""):
        raise InputError(f"a hybrid recording is written as .brw, .zarr or a folder without suffix, not {path.suffix}")
    if any(companions(Path(file)) == companions(path.resolve()) for file in recording.get_annotation("files") or ()):
        raise InputError(f"{path.name} has the name of the recording itself: give another one for the hybrid")
    if inside := [folder for folder in path.absolute().parents if any((folder / mark).exists() for mark in MARKS)]:
        raise InputError(f"{inside[0]} is a recording, and {path.name} would lie in it: give another place")
    kept, (*beside, report) = {}, companions(path)
    with suppress(InputError):
        kept = read_json(report).get("written", {})
    for file in (path, *beside, report):
        if file.exists() and not (kept if file == report else kept.get(file.name) == state_of(file)):
            raise InputError(f"{file} is there, and not as meagan hybrid wrote it: give another --out")
    if path.suffix == ".brw":
        _brw_header(recording)
    if path.suffix != ".zarr":
        require_room(path, recording.get_total_samples() * frame_bytes(recording))


def _brw_header(recording: sc.BaseRecording) -> dict:
    """Return electrodes and variables of the header for a recording's codes, and ``shift`` that makes them unsigned."""
    other = "choose a path that ends in .zarr"
    electrodes, dtype = _electrodes(recording, other), recording.get_dtype()
    if recording.get_num_segments() > 1:
        raise InputError(f"BRW 3.x has no gaps in time, and here are {recording.get_num_segments()} segments: {other}")
    if dtype not in (np.uint16, np.int16):
        raise InputError(f"BRW 3.x holds codes of 16 bits or fewer, not {dtype}: {other}")
    gain, offset = 1.0, 0.0
    if recording.has_scaleable_traces():
        gains, offsets = recording.get_channel_gains(), recording.get_channel_offsets()
        if len(np.unique(gains)) > 1 or len(np.unique(offsets)) > 1:
            raise InputError(f"BRW 3.x has one gain for all channels, and theirs differ: {other}")
        gain, offset = float(gains[0]), float(offsets[0])
    adc, shift = recording.get_annotation("adc_range"), 2**15 if dtype == np.int16 else 0
    bits = int(adc[1] + 1).bit_length() - 1 if adc is not None else 16
    ends = sorted((offset - shift * gain, offset - shift * gain + gain * 2**bits))
    variables = {"BitDepth": bits, "MinVolt": ends[0], "MaxVolt": ends[1], "SignalInversion": np.sign(gain)}
    return {"electrodes": electrodes, "variables": variables, "shift": shift}


def frame_bytes(recording: sc.BaseRecording) -> int:
    """Return the size of a frame."""
    return recording.get_num_channels() * recording.get_dtype().itemsize


def write_brw(recording: sc.BaseRecording, path: Path) -> None:
    """Write a recording of one segment as BRW 3.x, its codes as they are, block by block, while there is room."""
    header = _brw_header(recording)
    shift = header["shift"]
    n_frames, n_channels = recording.get_num_samples(), recording.get_num_channels()
    step = max(BLOCK_VALUES // n_channels // 4096, 1) * 4096
    with h5py.File(path, "w") as file:
        raw = create_brw(file, header["electrodes"], recording.get_sampling_frequency(), n_frames)
        for name, value in header["variables"].items():
            file[f"3BRecInfo/3BRecVars/{name}"][:] = value
        for start in range(0, n_frames, step):
            require_room(path, (n_frames - start) * frame_bytes(recording))
            codes = recording.get_traces(0, start, min(start + step, n_frames), return_in_uV=False)
            codes = (codes.astype(np.int32) + shift).astype(np.uint16) if shift else codes
            raw[start * n_channels : start * n_channels + codes.size] = np.ascontiguousarray(codes).ravel()


def _electrodes(recording: sc.BaseRecording, other: str) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns (channels,) of a 64 × 64 chip at which the electrodes stand."""
    positions = electrode_positions_um(recording)
    if positions is None:
        raise InputError(f"BRW 3.x needs electrodes of a chip, and this recording gives no positions: {other}")
    pitch = recording.get_annotation("pitch_um")
    if pitch is None:
        steps = np.diff(np.unique(positions.round(2)))
        pitch = float(steps.min()) if len(steps) else 1.0
    grid = np.rint(positions / pitch).astype(int)
    if np.abs(positions - grid * pitch).max() > 0.1 * pitch:
        grid = np.rint((positions - positions.min(axis=0)) / pitch).astype(int)
    if grid.min() < 0 or grid.max() >= CHIP_ELECTRODES or len(np.unique(grid, axis=0)) < len(grid):
        raise InputError(f"the electrodes do not stand on a grid of 64 × 64, which BRW 3.x is for: {other}")
    return grid[:, 0], grid[:, 1]
