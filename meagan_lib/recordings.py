"""Open any recording: a simulated one, a public one by its catalogue name, or a file of one's own by its path."""

import os
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pooch
import scipy.io
import spikeinterface.core as sc
import spikeinterface.extractors as se
import yaml
from spikeinterface.preprocessing.basepreprocessor import BasePreprocessor, BasePreprocessorSegment

from meagan_lib import ROOT, InputError
from meagan_lib.brw import BrwRecording, first_line
from meagan_lib.files import atomic, sha256
from meagan_lib.simulation import GroundTruth, SimulationConfig, simulate, simulated_path, truth_path

SIMULATED = "simulated"
CATALOGUE_FILE = ROOT / "data" / "catalogue.yaml"
WINDOW_SUFFIXES = (".npz", ".h5", ".hdf5")

READERS = {
    ".abf": "read_axon",
    ".edf": "read_edf",
    ".h5": "read_mcsh5",  # MultiChannel Systems
    ".nex": "read_neuroexplorer",
    ".nix": "read_nix",
    ".ns5": "read_blackrock",
    ".ns6": "read_blackrock",
    ".nwb": "read_nwb_recording",
    ".plx": "read_plexon",
    ".raw.h5": "read_maxwell",
    ".rhd": "read_intan",
    ".rhs": "read_intan",
    ".smr": "read_spike2",
    ".smrx": "read_ced",
    ".zarr": "read_zarr",
}
"""SpikeInterface reader of each file suffix, the longest that fits; beside them ``.brw`` (:mod:`meagan_lib.brw`),
``.wav``, SpikeGLX ``.bin`` with its ``.meta``, and any plain binary with a YAML beside it."""

BINARY_KEYS = {"sampling_rate_hz", "n_channels", "dtype", "uv_per_step", "offset_uv", "positions_um"}
BINARY_REQUIRED = {"sampling_rate_hz", "n_channels", "dtype"}


def open_recording(
    recording: str | Path, *, simulation: SimulationConfig | None = None, data_dir: Path | None = None,
    well: str | None = None,
) -> sc.BaseRecording:
    """Open a recording lazily: nothing but its header is read.

    Parameters
    ----------
    recording
        ``"simulated"``; or the name of an entry of ``data/catalogue.yaml`` (downloaded once, checked by its
        SHA-256); or the path of a file, relative to the working directory or to the checkout.
    simulation
        What to simulate, for ``"simulated"``.
    data_dir
        Where simulated and downloaded files are kept; ``data/`` of the checkout by default.
    well
        Of a BRW file with several wells, such as ``"A1"``; refused for every other recording.

    Returns
    -------
    spikeinterface.BaseRecording
        (frames, channels) per segment; the annotation ``files`` holds the paths that it was read from. A BRW file has
        the annotations of :class:`meagan_lib.brw.BrwRecording` as well.

    Raises
    ------
    InputError
        No such file or entry, a file that is no recording, or a format that cannot be read rightly. Frames of a
        damaged file, or frames that are not a number, raise it when they are read.
    """
    data_dir = Path(data_dir or ROOT / "data")
    if str(recording) == SIMULATED:
        config = simulation or SimulationConfig()
        path = simulated_path(config, data_dir)
        if not (path.exists() and truth_path(path).exists()):
            simulate(config, path)
        return _join([BrwRecording(path, well)], [path])
    if holds_windows(recording):
        raise InputError(
            f"'{recording}' holds windows already cut and no voltage to detect in: "
            f"open it with meagan_lib.precut.open_windows"
        )
    entries = catalogue()
    if entries.get(str(recording), {}).get("open") == "spikes":
        raise InputError(
            f"'{recording}' holds spike times and no voltage to detect in: notebook 05 reads it, beside the recording "
            f"of the run (05_organoid_network.treatment)"
        )
    if str(recording) in entries:
        _refuse_well(well, str(recording))
        entry, paths = entries[str(recording)], fetch(str(recording), data_dir)
        return _join([_OPENERS[entry["open"]](path, entry.get("description", {})) for path in paths], paths)
    path = _find(recording, entries)
    return _join([_open_file(path, well)], [path])


def holds_windows(recording: str | Path) -> bool:
    """Whether this is a catalogue entry, or a file, of windows already cut; False for what does not exist."""
    entry = catalogue().get(str(recording))
    if entry is not None:
        return entry["open"] == "windows"
    path = next((p for p in _candidates(recording) if p.is_file()), None)
    if path is None or path.suffix.lower() not in WINDOW_SUFFIXES:
        return False
    if path.suffix.lower() != ".npz":
        return _in_hdf5(path, "windows")
    try:
        with zipfile.ZipFile(path) as file:
            return "windows.npy" in file.namelist()
    except Exception:  # a damaged file raises anything; opening it says what is wrong
        return False


def catalogue() -> dict[str, dict]:
    """The public recordings of ``data/catalogue.yaml``, by name."""
    return yaml.safe_load(CATALOGUE_FILE.read_text())


def fetch(name: str, data_dir: Path) -> list[Path]:
    """Download the files of a catalogue entry, once, and check their SHA-256.

    With the environment variable ``MEAGAN_DATA_MIRROR`` (a folder that holds ``<name>/<file>``) nothing is
    downloaded.

    Raises
    ------
    InputError
        Neither network nor mirror, a file whose bytes are not those of the catalogue, or a full disk.
    """
    mirror = os.environ.get("MEAGAN_DATA_MIRROR")
    paths = []
    for file in catalogue()[name]["files"]:
        file_name = file.get("name") or file["url"].rsplit("/", 1)[1]
        if mirror and (source := Path(mirror) / name / file_name).is_file():
            if sha256(source) != file["sha256"]:
                raise InputError(f"{source} is not the file of the catalogue (its SHA-256 differs): copy it again")
            paths.append(source)
            continue
        path = data_dir / name / file_name
        paths.append(path)
        if path.is_file() and sha256(path) == file["sha256"]:
            continue
        try:
            with atomic(path) as temporary:  # pooch leaves a file that only its owner may read
                pooch.retrieve(
                    file["url"], known_hash=f"sha256:{file['sha256']}", fname=temporary.name, path=temporary.parent
                )
        except InputError:
            raise
        except ValueError as error:  # pooch: the hash differs
            raise InputError(
                f"{file_name} of '{name}' was changed at its source, its SHA-256 is not the catalogue's: take another "
                f"recording, or point MEAGAN_DATA_MIRROR to a folder with the earlier {name}/{file_name}"
            ) from error
        except OSError as error:  # no network, or a refusal; requests' errors are OSErrors
            raise InputError(
                f"'{name}' could not be downloaded ({type(error).__name__}): connect, or point MEAGAN_DATA_MIRROR to a "
                f"folder that holds {name}/{file_name}, or use the recording 'simulated'"
            ) from error
    return paths


def amplitude_unit(recording: sc.BaseRecording) -> str:
    """``"uV"`` where the source states its scale, ``"ADU"`` (steps of the converter) where it does not."""
    return "uV" if recording.has_scaleable_traces() else "ADU"


def rails(recording: sc.BaseRecording) -> tuple[float, float]:
    """Lowest and highest code of the converter; infinite where it is not known."""
    known = recording.get_annotation("adc_range")
    if known is not None:
        return float(known[0]), float(known[1])
    dtype = recording.get_dtype()
    return (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)) if dtype.kind in "iu" else (-np.inf, np.inf)


def source_sha256(recording: sc.BaseRecording) -> list[str]:
    """SHA-256 of each file, or folder, that the recording was read from."""
    return [sha256(path) for path in recording.get_annotation("files")]


def ground_truth(recording: sc.BaseRecording) -> GroundTruth | None:
    """The ground truth that lies beside a simulated recording; None for a real one."""
    path = truth_path(recording.get_annotation("files")[0])
    return GroundTruth.load(path) if path.is_file() else None


def intracellular_frames(name: str, data_dir: Path | None = None) -> np.ndarray:
    """Frames int64 (spikes,) at which the cell that was impaled as well fired, of a catalogue entry that has them.

    Raises
    ------
    InputError
        An entry without an intracellular trace, or what :func:`fetch` refuses.
    """
    entry = catalogue().get(name, {})
    if "truth" not in entry:
        raise InputError(f"'{name}' has no intracellular spikes: of the catalogue, {_with_truth()} has them")
    path = fetch(name, Path(data_dir or ROOT / "data"))[0]
    frames = _matlab(path, entry["truth"]["frames"]).ravel().astype(np.int64)
    return frames + entry["truth"]["shift"]


def _with_truth() -> str:
    return ", ".join(name for name, entry in catalogue().items() if "truth" in entry)


def electrode_positions_um(recording: sc.BaseRecording) -> np.ndarray | None:
    """Positions (channels, 2) in µm as x, y; None where the source has no geometry."""
    return recording.get_channel_locations() if recording.has_channel_location() else None


def _candidates(recording: str | Path) -> tuple[Path, Path]:
    path = Path(os.path.expanduser(recording))
    return path, ROOT / path


def _find(recording: str | Path, entries: Iterable[str]) -> Path:
    for candidate in _candidates(recording):
        if candidate.exists():
            return candidate.resolve()
    raise InputError(
        f"no recording '{recording}': it is neither a file nor a name of the catalogue "
        f"({', '.join([SIMULATED, *entries])}); check the path"
    )


def _join(parts: list[sc.BaseRecording], paths: list[Path]) -> sc.BaseRecording:
    """One recording whose segments are ``parts``, in order, each checked."""
    for part, path in zip(parts, paths):
        _require_sound(part, path.name)
    try:
        # A single part stays itself, so that its annotations and its type do.
        recording = parts[0] if len(parts) == 1 else sc.append_recordings(parts)
    except ValueError as error:
        raise InputError(f"{paths[0].name} and its fellows do not belong together: {error}") from error
    if recording.get_dtype().kind == "f":
        recording = _FiniteRecording(recording)
    recording.annotate(files=[str(path) for path in paths])
    return recording


def _require_sound(recording: sc.BaseRecording, name: str) -> None:
    _require_rate(recording.get_sampling_frequency(), name)
    if recording.get_num_channels() == 0 or 0 in [s.get_num_samples() for s in recording.segments]:
        raise InputError(f"{name} holds no samples: record it again")
    gains, offsets = recording.get_channel_gains(), recording.get_channel_offsets()
    if gains is not None and not (np.isfinite(gains).all() and np.isfinite(offsets).all() and (gains != 0).all()):
        raise InputError(f"{name} states a scale that is zero or not a number: correct its header")


class _FiniteRecording(BasePreprocessor):
    """A recording of floats that refuses what is not a number, when it is read."""

    def __init__(self, recording: sc.BaseRecording):
        super().__init__(recording)
        for parent in recording.segments:
            self.add_recording_segment(_FiniteSegment(parent))
        self._kwargs = {"recording": recording}


class _FiniteSegment(BasePreprocessorSegment):
    def get_traces(self, start_frame, end_frame, channel_indices):
        traces = self.parent_recording_segment.get_traces(start_frame, end_frame, channel_indices)
        if not np.isfinite(traces).all():
            first = (start_frame or 0) + int(np.argmin(np.isfinite(traces).all(axis=1)))
            raise InputError(
                f"the recording holds a value that is no finite number at frame {first}: cut that stretch out"
            )
        return traces


def _refuse_well(well: str | None, name: str) -> None:
    if well is not None:
        raise InputError(f"{name} is no BRW file and has no wells: leave the well out")


def _open_file(path: Path, well: str | None) -> sc.BaseRecording:
    """A file by its suffix, or by the YAML beside it."""
    suffix, beside = path.suffix.lower(), path.with_suffix(".yaml")
    if suffix == ".brw":
        return BrwRecording(path, well)
    _refuse_well(well, path.name)
    if suffix == ".wav":
        return _open_wav(path, {})
    known = max((s for s in READERS if path.name.lower().endswith(s)), key=len, default=None)
    if known == ".h5" and not _in_hdf5(path, "Data/Recording_0"):  # the reader's clean-up would print a traceback
        raise InputError(f"{path.name} could not be read as a .h5 recording: MultiChannel Systems' header is not in it")
    if known:
        return _open_known(path, getattr(se, READERS[known]), known)
    if beside.is_file() and path.is_file():
        return _open_binary(path, _read_yaml(beside))
    if suffix == ".bin" and path.with_suffix(".meta").is_file():
        stream = path.stem.partition(".")[2]  # run_g0_t0.imec0.ap.bin holds the stream imec0.ap
        return _open_known(path, lambda file: se.read_spikeglx(file.parent, stream_name=stream), "SpikeGLX")
    raise InputError(
        f"{path.name} is in no format that is read by its suffix (.brw, .wav, {', '.join(READERS)}, or .bin with its "
        f".meta); for a plain binary file describe it in {beside.name} beside it (sampling_rate_hz, n_channels, dtype)"
    )


def _in_hdf5(path: Path, name: str) -> bool:
    try:
        with h5py.File(path, "r") as file:
            return name in file
    except Exception:  # h5py on a damaged file raises anything; opening it says what is wrong
        return False


def _read_yaml(path: Path) -> dict:
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not YAML: {first_line(error)}") from error
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
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path.name} is described wrongly ({error}): sampling_rate_hz must be above zero, n_channels at least 1, "
            f"dtype one of numpy's numbers such as int16, positions_um one pair for each channel"
        ) from error
    frame_bytes = n_channels * dtype.itemsize
    if path.stat().st_size == 0 or path.stat().st_size % frame_bytes:
        raise InputError(
            f"{path.name} holds {path.stat().st_size} bytes, which is no whole number of frames of {frame_bytes} "
            f"bytes: n_channels or dtype are wrong, or the file is cut short"
        )
    recording = sc.read_binary(
        path, sampling_frequency=rate, num_channels=n_channels, dtype=dtype.str, gain_to_uV=gain, offset_to_uV=offset
    )
    if description.get("positions_um"):
        recording.set_dummy_probe_from_locations(positions)
    return recording


def _open_wav(path: Path, _: Mapping) -> sc.BaseRecording:
    """A WAV file: each of its channels in steps of the converter (WAV states no scale)."""
    def read(mmap: bool) -> tuple[int, np.ndarray]:
        with warnings.catch_warnings():
            warnings.simplefilter("error", scipy.io.wavfile.WavFileWarning)  # a file that ends too early
            warnings.filterwarnings("ignore", "Chunk .non-data. not understood")
            return scipy.io.wavfile.read(path, mmap=mmap)

    try:
        try:
            (rate, samples), adc_range = read(mmap=True), None
        except ValueError:  # 24-bit samples cannot be mapped; they come as the upper bytes of 32-bit ones
            (rate, samples), adc_range = read(mmap=False), (-(2**31), 2**31 - 2**8)
    except Exception as error:  # scipy on a damaged file raises anything
        raise InputError(f"{path.name} is no complete WAV file ({first_line(error)}): copy it again") from error
    _require_rate(rate, path.name)
    recording = sc.NumpyRecording([samples.reshape(len(samples), 1 if samples.ndim == 1 else -1)], rate)
    if adc_range:
        recording.annotate(adc_range=adc_range)
    return recording


def _open_matlab(path: Path, description: Mapping) -> sc.BaseRecording:
    """A MATLAB file (up to version 7.2) with a variable (channels, frames) and one with the sampling interval in s."""
    samples = _matlab(path, description["samples"])
    interval_s = float(_matlab(path, description["interval_s"]).ravel()[0])
    rate = 1 / interval_s if interval_s > 0 else 0.0
    _require_rate(rate, path.name)
    return sc.NumpyRecording([np.ascontiguousarray(samples.T)], round(rate, 6))


def _matlab(path: Path, variable: str) -> np.ndarray:
    try:
        return scipy.io.loadmat(path, variable_names=[variable])[variable]
    except Exception as error:  # scipy on a damaged file raises anything
        raise InputError(f"{path.name} gives no variable '{variable}' ({first_line(error)}): copy it again") from error


def _require_rate(rate: float, name: str) -> None:
    if not (np.isfinite(rate) and rate > 0):
        raise InputError(f"{name} states a sampling rate of {rate:g} Hz: it must be above zero")


def _open_known(path: Path, reader: Callable[[Path], sc.BaseRecording], kind: str) -> sc.BaseRecording:
    try:
        return reader(path)
    except Exception as error:  # readers of other people's formats raise anything
        raise InputError(
            f"{path.name} could not be read as a {kind} recording ({type(error).__name__}: {first_line(error)}): is it "
            f"complete, and of that format?"
        ) from error


_OPENERS = {"binary": _open_binary, "wav": _open_wav, "matlab": _open_matlab}
"""How an entry of the catalogue is opened, by its ``open``; ``windows`` are opened by ``precut.open_windows``,
``spikes`` by ``spike_trains.treated``."""
