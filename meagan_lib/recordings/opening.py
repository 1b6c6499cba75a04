"""Open any recording: a simulated one, a public one by its catalogue name, or a file of one's own by its path."""

import errno
import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import scipy.io
import spikeinterface.core as sc
from spikeinterface.preprocessing.basepreprocessor import BasePreprocessor, BasePreprocessorSegment

from meagan_lib import ROOT, InputError
from meagan_lib.recordings import bxr
from meagan_lib.recordings.brw import RATES_HZ, BrwRecording
from meagan_lib.recordings.catalogue import DATA, SIMULATED, catalogue, fetch
from meagan_lib.recordings.events import EventsSegment
from meagan_lib.recordings.formats import HDF5_SUFFIXES, READERS, open_known
from meagan_lib.recordings.hdf5 import CUT_SHORT, first_line
from meagan_lib.recordings.simulation import GroundTruth, SimulationConfig, simulate, simulated_path, truth_path
from meagan_lib.recordings.streams import refuse_choice
from meagan_lib.workflow.files import REFUSED, read_yaml, require_room, source_hash

BINARY_KEYS = {"sampling_rate_hz", "n_channels", "dtype", "uv_per_step", "offset_uv", "positions_um"}
BINARY_REQUIRED = {"sampling_rate_hz", "n_channels", "dtype"}
TEXTS = (".csv", ".tsv", ".txt", ".yaml", ".yml", ".json", ".md")
"""Suffixes of files that hold no samples, whatever lies beside them."""


def open_recording(
    recording: str | Path,
    *,
    simulation: SimulationConfig | None = None,
    well: str | None = None,
    stream: str | None = None,
) -> sc.BaseRecording:
    """Open a recording lazily: nothing but its header is read.

    ``recording`` is a name of ``SIMULATED``, of which ``simulation`` says the rest; or the name of an entry of
    ``data/catalogue.yaml`` (downloaded once, checked by its SHA-256); or the path of a file, relative to the working
    directory or to the checkout. Of several wells ``well`` picks one, such as ``"A1"`` (3Brain) or ``"well000"``
    (MaxTwo); of several streams of electrodes ``stream`` does, by its name or a part of it. Both are refused where
    there is nothing to pick.

    Traces are (frames, channels) per segment; the annotation ``files`` holds the paths that they are read from, that of
    the samples first. A BRW file has the annotations of :class:`meagan_lib.recordings.brw.BrwRecording` as well.

    ``InputError``: no such file or entry, a file that is no recording, or a format that cannot be read rightly. Frames
    of a damaged file, or frames that are not a number, raise it when they are read.
    """
    name, entries = str(recording), catalogue()
    if name in SIMULATED:
        refuse_choice(name, stream=stream)
        config = replace(simulation or SimulationConfig(), **SIMULATED[name])
        path = simulated_path(config, DATA)
        if not (path.exists() and truth_path(path).exists()):
            frames = round(config.duration_s * config.sampling_rate_hz)
            require_room(path, frames * config.patch**2 * 2)  # codes of 16 bits
            simulate(config, path)
        return _join([BrwRecording(path, well)], [path])
    if holds_windows(recording):
        raise InputError(
            f"'{recording}' holds windows already cut and no voltage to detect in: "
            f"open it with meagan_lib.windows.open_windows"
        )
    if name in entries:
        entry = entries[name]
        if entry["open"] == "spikes":
            raise InputError(
                f"'{recording}' holds spike times and no voltage to detect in: notebook 05 reads it, beside the "
                f"recording of the run (05_organoid_network.treatment)"
            )
        if entry["open"] == "photographs":
            raise InputError(f"'{recording}' holds photographs and no recording: meagan run segmentation reads it")
        refuse_choice(name, well=well, stream=stream)
        paths = fetch(name)
        return _join([_OPENERS[entry["open"]](path, entry.get("description", {})) for path in paths], paths)
    path = locate(recording)
    if path is None:
        raise InputError(
            f"no recording '{recording}': it is neither a file nor a name of the catalogue "
            f"({', '.join([*SIMULATED, *entries])}); check the path"
        )
    _require_files(path)
    opened, files = _open_file(path.resolve(), well, stream)
    return _join([opened], files)


def locate(recording: str | Path) -> Path | None:
    """Find a file by its path, relative to the working directory or to the checkout; None where there is none."""
    path = Path(os.path.expanduser(recording))
    return next((candidate for candidate in (path, ROOT / path) if recording and candidate.exists()), None)


def _require_files(path: Path) -> None:
    """Refuse what is neither a file nor a folder of such: devices and pipes have no end, a link to nothing no byte."""
    below = (
        path.rglob("*") if path.is_dir() else path.parent.glob("*.dat") if path.name in ("info.rhd", "info.rhs") else ()
    )
    for each in (path, *below):
        if not (each.is_file() or each.is_dir()):
            raise InputError(f"{each} is neither a file nor a folder, or a link to none: name one that holds samples")
        if not os.access(each, os.R_OK):
            raise InputError(REFUSED[errno.EACCES].format(each))


def holds_windows(recording: str | Path) -> bool:
    """Return whether this is a catalogue entry, or a file, of windows already cut; False for what does not exist.

    An ``.npz`` or BrainWave's ``.bxr`` can hold nothing else; opening it says what is wrong with it.
    """
    if (entry := catalogue().get(str(recording))) is not None:
        return entry["open"] == "windows"
    path = locate(recording)
    if path is None or not path.is_file() or path.suffix.lower() not in (".npz", bxr.SUFFIX, *HDF5_SUFFIXES):
        return False
    if path.suffix.lower() in (".npz", bxr.SUFFIX):
        return True
    try:
        with h5py.File(path, "r") as file:
            return "windows" in file
    except Exception:  # h5py on a damaged file raises anything; opening it says what is wrong
        return False


def stored_around(recording: sc.BaseRecording, segment: int, frame: np.ndarray, channel: np.ndarray) -> np.ndarray:
    """Return first frame and end int64 (n, 2) of the stored samples around each; both the frame where it was invented.

    Everything was stored, but for events-based files.
    """
    its = recording.segments[segment]
    if isinstance(its, EventsSegment):
        return its.stored_around(frame, channel)
    return np.tile([0, recording.get_num_samples(segment)], (len(frame), 1))


def amplitude_unit(recording: sc.BaseRecording) -> str:
    """Return ``"uV"`` where the source states its scale, ``"ADU"`` (steps of the converter) where it does not."""
    return "uV" if recording.has_scaleable_traces() else "ADU"


def rails(recording: sc.BaseRecording) -> tuple[float, float]:
    """Return the lowest and highest code of the converter; infinite where it is not known."""
    known = recording.get_annotation("adc_range")
    if known is not None:
        return float(known[0]), float(known[1])
    dtype = recording.get_dtype()
    return (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)) if dtype.kind in "iu" else (-np.inf, np.inf)


def source_hashes(recording: sc.BaseRecording) -> list[str]:
    """Hash each file, or folder, that the recording was read from."""
    return [source_hash(path) for path in recording.get_annotation("files")]


def ground_truth(recording: sc.BaseRecording) -> GroundTruth | None:
    """Load the ground truth that lies beside a simulated recording; None for a real one.

    ``InputError``: a damaged truth, or one of another recording.
    """
    file = Path(recording.get_annotation("files")[0])
    path, again = truth_path(file), "move it away, or make the hybrid again"
    if not path.is_file():
        return None
    try:
        truth = GroundTruth.load(path)
        n_units, _, n_channels = truth.templates_uv.shape
        inside = len(truth.frame) == len(truth.unit) == len(truth.amplitude_factor)
    except Exception as error:  # numpy on a damaged file raises anything
        raise InputError(f"{path.name} could not be read ({first_line(error)}): {again}") from error
    begun_s, ended_s = recording.get_start_time(0), recording.get_end_time(recording.get_num_segments() - 1)
    lasted = round((ended_s - begun_s) * recording.get_sampling_frequency()) + 1
    for values, end in ((truth.unit, n_units), (truth.frame, max(lasted, recording.get_total_samples()))):
        inside = inside and values.min(initial=0) >= 0 and values.max(initial=0) < end
    if not inside or n_channels != recording.get_num_channels():
        raise InputError(f"{path.name} is of another recording than {file.name}: {again}")
    return truth


def electrode_positions_um(recording: sc.BaseRecording) -> np.ndarray | None:
    """Return positions (channels, 2) in µm as x, y; None where the source has no geometry."""
    return recording.get_channel_locations() if recording.has_channel_location() else None


def _join(parts: list[sc.BaseRecording], paths: list[Path]) -> sc.BaseRecording:
    """Join ``parts`` as the segments of one recording, in order, each checked."""
    for part, path in zip(parts, paths):
        _require_sound(part, path.name)
    try:
        # A single part stays itself, so that its annotations and its type do.
        recording = parts[0] if len(parts) == 1 else sc.append_recordings(parts)
    except ValueError as error:
        raise InputError(f"{paths[0].name} and its fellows do not belong together: {error}") from error
    if not isinstance(recording, BrwRecording):
        recording = _CheckedRecording(recording, paths[0].name)
    recording.annotate(files=[str(path) for path in paths])
    return recording


def _require_sound(recording: sc.BaseRecording, name: str) -> None:
    rate = recording.get_sampling_frequency()
    if not RATES_HZ[0] <= rate <= RATES_HZ[1]:  # also refuses NaN
        raise InputError(f"{name} states a sampling rate of {rate:g} Hz, which cannot be: correct its header")
    if not (
        recording.get_num_channels() and recording.segments and all(s.get_num_samples() for s in recording.segments)
    ):
        raise InputError(f"{name} holds no samples: record it again")
    gains, offsets = recording.get_channel_gains(), recording.get_channel_offsets()
    if gains is not None and not (_numbers(gains) and _numbers(offsets) and (gains != 0).all()):
        raise InputError(f"{name} states a scale that is zero or not a number: correct its header")


def _numbers(values: np.ndarray) -> bool:
    """Return whether these are finite numbers: of a damaged file they may be anything."""
    return np.asarray(values).dtype.kind in "iuf" and bool(np.isfinite(values).all())


class _CheckedRecording(BasePreprocessor):
    """A recording of another library, which refuses samples that cannot be read, or that are not a number."""

    def __init__(self, recording: sc.BaseRecording, name: str):
        super().__init__(recording)
        for parent in recording.segments:
            self.add_recording_segment(_CheckedSegment(parent, name, recording.get_num_channels()))
        self._kwargs = {"recording": recording, "name": name}


class _CheckedSegment(BasePreprocessorSegment):
    def __init__(self, parent: sc.BaseRecordingSegment, name: str, n_channels: int):
        super().__init__(parent)
        self.name, self.n_channels = name, n_channels

    def get_traces(self, start_frame, end_frame, channel_indices):
        try:
            traces = self.parent_recording_segment.get_traces(start_frame, end_frame, channel_indices)
            frames = len(range(*slice(start_frame, end_frame).indices(self.get_num_samples())))
            channels = np.arange(self.n_channels)[slice(None) if channel_indices is None else channel_indices]
            if traces.shape != (frames, len(channels)):
                asked = f"{frames} of {len(channels)} channels"
                raise ValueError(f"{asked} were asked for, and what came has the shape {traces.shape}")
        except InputError:
            raise
        except Exception as error:  # readers of other people's formats raise anything
            raise InputError(
                f"{self.name} is damaged, its frames {start_frame} to {end_frame} cannot be read "
                f"({type(error).__name__}: {first_line(error)}): copy it again"
            ) from error
        if traces.dtype.kind == "f" and not np.isfinite(traces).all():
            first = (start_frame or 0) + int(np.argmin(np.isfinite(traces).all(axis=1)))
            raise InputError(
                f"the recording holds a value that is no finite number at frame {first}: cut that stretch out"
            )
        return traces


def _open_file(path: Path, well: str | None, stream: str | None) -> tuple[sc.BaseRecording, list[Path]]:
    """Open a file by its suffix, by the YAML beside it or by its content; with all files that were read."""
    suffix, beside = path.suffix.lower(), path.with_suffix(".yaml")
    if suffix in (".brw", ".wav") and not path.is_file():
        raise InputError(f"{path.name} is a folder, and a recording of that name is a file: name the file in it")
    if suffix == ".brw":
        refuse_choice(path.name, stream=stream)
        return BrwRecording(path, well), [path]
    if suffix == ".wav":
        refuse_choice(path.name, well=well, stream=stream)
        return _open_wav(path, {}), [path]
    if suffix not in (*READERS, *HDF5_SUFFIXES, *TEXTS) and path.is_file() and beside.is_file():
        refuse_choice(path.name, well=well, stream=stream)
        return _open_binary(path, _read_yaml(beside)), [path, beside]
    if opened := open_known(path, stream, well):
        return opened
    raise InputError(
        f"{path.name} is in no format that is read by its suffix (.brw, .wav, {', '.join(HDF5_SUFFIXES)}, "
        f"{', '.join(READERS)}, .npz of windows, or .bin with its .meta), nor a binary folder "
        f"of Open Ephys or SpikeInterface; for a plain binary file describe it in {beside.name} beside it "
        f"(sampling_rate_hz, n_channels, dtype)"
    )


def _read_yaml(path: Path) -> dict:
    content = read_yaml(path.read_bytes(), path.name)
    if not isinstance(content, dict) or not BINARY_REQUIRED <= content.keys() <= BINARY_KEYS:
        raise InputError(
            f"{path.name} must give sampling_rate_hz, n_channels and dtype, and may give "
            f"{', '.join(sorted(BINARY_KEYS - BINARY_REQUIRED))}; nothing else"
        )
    return content


def _open_binary(path: Path, description: Mapping) -> sc.BaseRecording:
    try:
        rate, n_channels = float(description["sampling_rate_hz"]), int(description["n_channels"])
        dtype, gain = np.dtype(description["dtype"]), description.get("uv_per_step")
        offset = None if gain is None else float(description.get("offset_uv", 0.0))
        gain = None if gain is None else float(gain)
        positions = np.array(description.get("positions_um", np.zeros((n_channels, 2))), dtype=float)
        if rate <= 0 or n_channels < 1 or dtype.kind not in "iuf" or positions.shape != (n_channels, 2):
            raise ValueError("a rate, a number or a shape that cannot be")
        if not (np.isfinite(positions).all() and 1e-6 <= abs(1 if gain is None else gain or 1) <= 1e6):
            raise ValueError("positions that are no numbers, or a scale beyond 1e-6 to 1e6 µV a step")
        if any(isinstance(its, bool) for its in description.values()):
            raise ValueError("true or false is no number")
        if "positions_um" in description and len(np.unique(positions, axis=0)) < n_channels:
            raise ValueError("two channels have the same position")
    except (TypeError, ValueError, OverflowError, MemoryError) as error:
        raise InputError(
            f"{path.name} is described wrongly ({error}): sampling_rate_hz must be above zero, n_channels at least 1, "
            f"dtype one of numpy's numbers such as int16, positions_um one pair for each channel"
        ) from error
    frame_bytes = n_channels * dtype.itemsize
    if path.stat().st_size == 0 or path.stat().st_size % frame_bytes:
        raise InputError(
            f"{path.name} holds {path.stat().st_size} bytes, which is no whole number of frames of {frame_bytes} "
            f"bytes: n_channels or dtype are wrong, or it {CUT_SHORT}"
        )
    recording = sc.read_binary(
        path, sampling_frequency=rate, num_channels=n_channels, dtype=dtype.str, gain_to_uV=gain, offset_to_uV=offset
    )
    if description.get("positions_um"):
        recording.set_dummy_probe_from_locations(positions)
    return recording


def _open_wav(path: Path, _: Mapping) -> sc.BaseRecording:
    """Open a WAV file: each of its channels in steps of the converter (WAV states no scale)."""
    if _wav_ends_early(path):
        raise InputError(f"{path.name} {CUT_SHORT}: copy it again when it is finished")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", scipy.io.wavfile.WavFileWarning)  # a file that ends too early
            warnings.filterwarnings("ignore", "Chunk .non-data. not understood")
            try:
                (rate, samples), adc_range = scipy.io.wavfile.read(path, mmap=True), None
            except ValueError as error:  # 24-bit samples cannot be mapped; they come as the upper bytes of 32-bit ones
                if "mmap=True" not in str(error):
                    raise
                (rate, samples), adc_range = scipy.io.wavfile.read(path), (-(2**31), 2**31 - 2**8)
    except Exception as error:  # scipy on a damaged file raises anything
        raise InputError(
            f"{path.name} could not be read as WAV ({first_line(error)}): save it as PCM, or copy it again"
        ) from error
    recording = sc.NumpyRecording([samples.reshape(len(samples), 1 if samples.ndim == 1 else -1)], rate)
    if adc_range:
        recording.annotate(adc_range=adc_range)
    return recording


def _wav_ends_early(path: Path) -> bool:
    """Return whether the sizes of a WAV file reach beyond its end, or were never filled in."""
    end = path.stat().st_size
    with open(path, "rb") as file:
        kind, size = file.read(4), file.read(4)
        if not any(wav.startswith(kind) for wav in (b"RIFF", b"RIFX", b"RF64")):
            raise InputError(f"{path.name} is no WAV file: check its name")
        order = "big" if kind == b"RIFX" else "little"
        if kind != b"RF64" and not 4 < int.from_bytes(size, order) <= end - 8:
            return True
        file.seek(12)
        while len(head := file.read(8)) == 8:
            size, left = int.from_bytes(head[4:], order), end - file.tell()
            if head[:4] == b"data":
                return kind != b"RF64" and (size > left or size == 0 < left)
            file.seek(size + size % 2, os.SEEK_CUR)
    return True


def _open_matlab(path: Path, description: Mapping) -> sc.BaseRecording:
    """Open a MATLAB file (up to 7.2) with a variable (channels, frames) and one with the sampling interval in s."""
    names = [description["samples"], description["interval_s"]]
    try:
        variables = scipy.io.loadmat(path, variable_names=names)
        samples, interval_s = variables[names[0]], float(variables[names[1]].ravel()[0])
    except Exception as error:  # scipy on a damaged file raises anything
        raise InputError(
            f"{path.name} does not give {' and '.join(names)} ({first_line(error)}): copy it again"
        ) from error
    rate = 1 / interval_s if interval_s > 0 else 0.0
    return sc.NumpyRecording([np.ascontiguousarray(samples.T)], round(rate, 6))


_OPENERS = {"binary": _open_binary, "wav": _open_wav, "matlab": _open_matlab}
"""How an entry of the catalogue is opened, by its ``open``; ``windows`` are opened by ``windows.open_windows``,
``spikes`` by ``network.treated``."""
