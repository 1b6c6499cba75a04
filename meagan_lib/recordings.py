"""Open any recording: a simulated one, a public one by its catalogue name, or a file of one's own by its path."""

import os
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pooch
import spikeinterface.core as sc
import spikeinterface.extractors as se
import yaml

from meagan_lib import ROOT, InputError
from meagan_lib.files import sha256
from meagan_lib.simulation import GroundTruth, SimulationConfig, simulate, simulated_path, truth_path

SIMULATED = "simulated"
CATALOGUE_FILE = ROOT / "data" / "catalogue.yaml"

READERS = {
    ".brw": "read_biocam",
    ".nwb": "read_nwb_recording",
    ".zarr": "read_zarr",
    ".rhd": "read_intan",
    ".rhs": "read_intan",
    ".edf": "read_edf",
    ".mcd": "read_neuroexplorer",
    ".nex": "read_neuroexplorer",
    ".plx": "read_plexon",
    ".smrx": "read_ced",
}
"""SpikeInterface reader of each file suffix; plain binaries (``.raw``, ``.bin``, ``.dat``) need a YAML beside them."""

BINARY_KEYS = {"sampling_rate_hz", "n_channels", "dtype", "uv_per_step", "offset_uv", "positions_um"}


def open_recording(
    recording: str | Path, *, simulation: SimulationConfig | None = None, data_dir: Path | None = None
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

    Returns
    -------
    spikeinterface.BaseRecording
        (frames, channels) per segment; the annotation ``files`` holds the paths that it was read from.

    Raises
    ------
    InputError
        No such file or entry, a file that is no recording, or a format that cannot be read rightly.
    """
    data_dir = Path(data_dir or ROOT / "data")
    if str(recording) == SIMULATED:
        config = simulation or SimulationConfig()
        path = simulated_path(config, data_dir)
        if not (path.exists() and truth_path(path).exists()):
            simulate(config, path)
        return _open_files([path], {})
    entries = catalogue()
    if str(recording) in entries:
        entry = entries[str(recording)]
        return _open_files(fetch(str(recording), data_dir), entry.get("binary", {}))
    path = _find(recording, entries)
    beside = path.with_suffix(".yaml")
    if path.suffix in READERS:
        binary = {}
    elif beside.is_file():
        binary = _read_yaml(beside)
    else:
        raise InputError(
            f"{path.name} is in no format that is read by its suffix ({', '.join(READERS)}); for a plain binary file "
            f"describe it in {beside.name} beside it (sampling_rate_hz, n_channels, dtype)"
        )
    return _open_files([path], binary)


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
        Neither network nor mirror, or a file whose bytes are not those of the catalogue.
    """
    mirror = os.environ.get("MEAGAN_DATA_MIRROR")
    paths = []
    for file in catalogue()[name]["files"]:
        file_name = file["url"].rsplit("/", 1)[1]
        if mirror and (source := Path(mirror) / name / file_name).is_file():
            if sha256(source) != file["sha256"]:
                raise InputError(f"{source} is not the file of the catalogue (its SHA-256 differs): copy it again")
            paths.append(source)
            continue
        try:
            path = pooch.retrieve(
                file["url"], known_hash=f"sha256:{file['sha256']}", fname=file_name, path=data_dir / name
            )
        except ValueError as error:  # pooch: the hash differs
            raise InputError(f"{file_name} of '{name}' was changed at its source: {error}") from error
        except OSError as error:  # no network, or a refusal; requests' errors are OSErrors
            raise InputError(
                f"'{name}' could not be downloaded ({type(error).__name__}): connect, or point MEAGAN_DATA_MIRROR to a "
                f"folder that holds {name}/{file_name}, or use the recording 'simulated'"
            ) from error
        paths.append(Path(path))
    return paths


def amplitude_unit(recording: sc.BaseRecording) -> str:
    """``"uV"`` where the source states its scale, ``"ADU"`` (steps of the converter) where it does not."""
    return "uV" if recording.has_scaleable_traces() else "ADU"


def source_sha256(recording: sc.BaseRecording) -> list[str]:
    """SHA-256 of each file that the recording was read from."""
    return [sha256(path) for path in recording.get_annotation("files")]


def ground_truth(recording: sc.BaseRecording) -> GroundTruth | None:
    """The ground truth that lies beside a simulated recording; None for a real one."""
    path = truth_path(recording.get_annotation("files")[0])
    return GroundTruth.load(path) if path.is_file() else None


def electrode_positions_um(recording: sc.BaseRecording) -> np.ndarray | None:
    """Positions (channels, 2) in µm as x, y; None where the source has no geometry."""
    return recording.get_channel_locations() if recording.has_channel_location() else None


def _find(recording: str | Path, entries: Mapping) -> Path:
    path = Path(recording).expanduser()
    for candidate in (path, ROOT / path):
        if candidate.exists():
            return candidate.resolve()
    raise InputError(
        f"no recording '{recording}': it is neither a file nor a name of the catalogue "
        f"({', '.join([SIMULATED, *entries])}); check the path"
    )


def _read_yaml(path: Path) -> dict:
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise InputError(f"{path.name} is not YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict) or not {"sampling_rate_hz", "n_channels", "dtype"} <= content.keys() <= BINARY_KEYS:
        raise InputError(
            f"{path.name} must give sampling_rate_hz, n_channels and dtype, and may give "
            f"{', '.join(sorted(BINARY_KEYS - {'sampling_rate_hz', 'n_channels', 'dtype'}))}; nothing else"
        )
    return content


def _open_files(paths: list[Path], binary: Mapping) -> sc.BaseRecording:
    """Open one recording whose segments are ``paths``, in order."""
    open_one = _open_binary if binary else _open_known
    recording = sc.append_recordings([open_one(path, binary) for path in paths])
    recording.annotate(files=[str(path) for path in paths])
    return recording


def _open_binary(path: Path, binary: Mapping) -> sc.BaseRecording:
    frame_bytes = int(binary["n_channels"]) * np.dtype(binary["dtype"]).itemsize
    if path.stat().st_size == 0 or path.stat().st_size % frame_bytes:
        raise InputError(
            f"{path.name} holds {path.stat().st_size} bytes, which is no whole number of frames of {frame_bytes} bytes: "
            f"n_channels or dtype are wrong, or the file is cut short"
        )
    gain = binary.get("uv_per_step")
    recording = sc.read_binary(
        path, sampling_frequency=float(binary["sampling_rate_hz"]), num_channels=int(binary["n_channels"]),
        dtype=binary["dtype"], gain_to_uV=gain, offset_to_uV=None if gain is None else binary.get("offset_uv", 0.0),
    )
    if binary.get("positions_um"):
        recording.set_dummy_probe_from_locations(np.array(binary["positions_um"], dtype=float))
    return recording


def _open_known(path: Path, _: Mapping) -> sc.BaseRecording:
    if path.suffix == ".brw":
        _refuse_unreadable_brw(path)
    try:
        return getattr(se, READERS[path.suffix])(path)
    except InputError:
        raise
    except Exception as error:  # readers of other people's formats raise anything
        raise InputError(
            f"{path.name} could not be read as a {path.suffix} recording ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no message'}): is it complete, and of that format?"
        ) from error


def _refuse_unreadable_brw(path: Path) -> None:
    """Refuse BRW files that neo reads wrongly or not at all, naming the remedy."""
    export = "export it as raw with BrainWave"
    try:
        with h5py.File(path, "r") as file:
            if "3BRecInfo" in file:
                if "3BData/Raw" not in file:
                    raise InputError(f"{path.name} is a BRW 3.x file without raw data: {export}")
                return
            wells = [key for key in file if key.startswith("Well_")]
            if not wells or not {"ExperimentSettings", "ExperimentInfo"} & set(file):
                raise InputError(f"{path.name} is an HDF5 file but no BRW recording: no 3Brain header was found in it")
            if len(wells) > 1:
                raise InputError(f"{path.name} holds {len(wells)} wells, of which only one can be read: export one well")
            well = file[wells[0]]
            if "Raw" not in well:
                kind = "wavelet-compressed" if "WaveletBasedEncodedRaw" in well else "events-based"
                raise InputError(f"{path.name} is {kind}, which cannot be read rightly: {export}")
    except OSError as error:
        raise InputError(f"{path.name} is not an HDF5 file, or is cut short: copy it again") from error
