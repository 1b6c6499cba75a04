"""Windows that were cut by others: from the catalogue, ``.npz`` or HDF5; they enter after detection."""

import os
from pathlib import Path

import h5py
import numpy as np

from meagan_lib import ROOT, InputError, recordings
from meagan_lib.cutting import WindowConfig
from meagan_lib.detection import nearest
from meagan_lib.files import sha256
from meagan_lib.windows import SpikeWindows, split_in_time

WINDOWS_REQUIRED = ("windows", "sampling_rate_hz")
WINDOWS_OPTIONAL = ("label", "channel", "time_s", "pre_samples", "amplitude_unit")
AMPLITUDE_UNITS = ("uV", "ADU", "normalised")


def open_windows(
    recording: str | Path, *, config: WindowConfig = WindowConfig(), data_dir: Path | None = None
) -> SpikeWindows:
    """Windows already cut: of the catalogue by name, or of a file by path; they enter after detection.

    Parameters
    ----------
    recording
        What :func:`meagan_lib.recordings.holds_windows` says yes to.
    config
        Its shares and cycles of the split; a window's length is the file's.
    data_dir
        Where downloaded files are kept; ``data/`` of the checkout by default.

    Raises
    ------
    InputError
        A recording of voltage, a file that cannot be downloaded, or what :func:`import_windows` refuses.
    """
    entry = recordings.catalogue().get(str(recording))
    if entry is None:
        path = Path(os.path.expanduser(recording))
        return import_windows(path if path.exists() else ROOT / path, config=config)
    if not recordings.holds_windows(recording):
        raise InputError(f"'{recording}' is a recording of voltage and no windows: open it with open_recording")
    paths = recordings.fetch(str(recording), Path(data_dir or ROOT / "data"))
    return _windows_from(_read_herdingspikes(*paths, **entry["description"]), paths, config)


def import_windows(path: str | Path, *, config: WindowConfig = WindowConfig()) -> SpikeWindows:
    """Windows already cut, of an ``.npz`` or HDF5 (``.h5``, ``.hdf5``) file.

    The file holds ``windows`` (n, samples) and ``sampling_rate_hz``; it may hold ``label`` (n,) (unit) and ``channel``
    (n,), both −1 where unknown, ``time_s`` (n,), ``pre_samples`` (sample of the peak; otherwise where most windows are
    lowest) and ``amplitude_unit`` (``uV``, ``ADU`` or ``normalised``; otherwise ``ADU``), in HDF5 as datasets or
    attributes.

    They are split by time where ``time_s`` is given, and windows near a block's edge are left out
    (:func:`split_in_time`); otherwise by their order in the file, with ``frame`` −1. How they were filtered is not
    known, so that ``detection`` is empty.

    Raises
    ------
    InputError
        No such file, a name that is missing, a shape that does not fit, or a value that is no finite number.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no windows at {path}: check the path")
    return _windows_from(_read_arrays(path), [path], config)


def _read_arrays(path: Path) -> dict:
    names = (*WINDOWS_REQUIRED, *WINDOWS_OPTIONAL)
    try:
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in names if name in file.files}
        with h5py.File(path, "r") as file:
            attributes = {name: file.attrs[name] for name in names if name in file.attrs}
            return attributes | {name: file[name][()] for name in names if name in file}
    except Exception as error:  # numpy and h5py on a damaged file raise anything
        raise InputError(
            f"{path.name} cannot be read as windows ({type(error).__name__}): it must be a complete .npz without "
            f"pickled objects, or HDF5"
        ) from error


def _read_herdingspikes(path: Path, sorted_path: Path, *, sampling_rate_hz: float, amplitude_unit: str) -> dict:
    """Spikes of HerdingSpikes 1: ``shapes`` (samples, n), ``times`` (n,) in frames, ``data`` (2, n) in pitches.

    The second file has a line ``time unit`` for each spike that was sorted; it names a window by its time. A window's
    channel is the electrode nearest to the spike, numbered from 0 in the order of x, then y.
    """
    try:
        with h5py.File(path, "r") as file:
            shapes, times, xy = file["shapes"][:], file["times"][:], file["data"][:]
        sorted_time, unit = np.loadtxt(sorted_path).T
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path.name} or {sorted_path.name} is damaged ({error}): fetch it again") from error
    order = np.argsort(sorted_time)
    match = nearest(
        times, np.zeros(len(times)), sorted_time[order], np.zeros(len(order)), tolerance=1e-4  # printed with 12 digits
    )
    electrode = np.unique(np.rint(xy), axis=1, return_inverse=True)[1]
    return {
        "windows": shapes.T, "time_s": times / sampling_rate_hz, "channel": electrode.ravel(),
        "label": np.where(match >= 0, unit[order][match], -1), "sampling_rate_hz": sampling_rate_hz,
        "amplitude_unit": amplitude_unit,
    }


def _windows_from(arrays: dict, paths: list[Path], config: WindowConfig) -> SpikeWindows:
    """Check the arrays of windows already cut, order them in time and split them."""
    name = paths[0].name
    missing = [key for key in WINDOWS_REQUIRED if key not in arrays]
    if missing:
        raise InputError(
            f"{name} lacks {' and '.join(missing)}: it must hold windows (n, samples) and sampling_rate_hz, and may "
            f"hold {', '.join(WINDOWS_OPTIONAL)}"
        )
    windows = np.asarray(arrays["windows"])
    if windows.ndim != 2 or len(windows) == 0 or windows.shape[1] < 8:
        raise InputError(f"{name} has windows of shape {windows.shape}: it must be (n, samples), 8 samples or more")
    windows = _finite(windows, "windows", name).astype(np.float32)
    n, n_samples = windows.shape
    rate = _scalar(arrays["sampling_rate_hz"], "sampling_rate_hz", name)
    if rate <= 0:
        raise InputError(f"{name} states a sampling_rate_hz of {rate:g}: it must be above zero")
    per_window = {}
    for key, unknown in (("label", -1), ("channel", -1), ("time_s", 0)):
        values = _finite(np.asarray(arrays.get(key, np.full(n, unknown))), key, name)
        if values.shape != (n,):
            raise InputError(f"{name} has {n} windows, but {key} of shape {values.shape}: it must be ({n},)")
        per_window[key] = values
    lowest = np.bincount(windows.argmin(axis=1), minlength=n_samples).argmax()
    pre_samples = int(_scalar(arrays.get("pre_samples", lowest), "pre_samples", name))
    if not 0 <= pre_samples < n_samples:
        raise InputError(f"{name} states pre_samples {pre_samples}, which is not within its {n_samples} samples")
    unit = np.ravel(arrays.get("amplitude_unit", "ADU"))[0]
    unit = unit.decode() if isinstance(unit, bytes) else str(unit)
    if unit not in AMPLITUDE_UNITS:
        raise InputError(f"{name} states the amplitude_unit '{unit}': it must be one of {', '.join(AMPLITUDE_UNITS)}")

    if "time_s" in arrays:
        frame = np.rint(per_window["time_s"] * rate).astype(np.int64)
        if frame.min() < 0:
            raise InputError(f"{name} has a time_s below zero: count from the beginning of the recording")
        order = np.argsort(frame, kind="stable")
        split, between = split_in_time(
            frame, int(frame.max()) + n_samples, n_samples, config.split_shares, config.split_cycles
        )
        order = order[~between[order]]
    else:
        frame, order = np.full(n, -1, np.int64), np.arange(n)
        split, _ = split_in_time(order, n, 1, config.split_shares, config.split_cycles)
    return SpikeWindows(
        windows=windows[order], channel=per_window["channel"][order].astype(np.int32), frame=frame[order],
        label=per_window["label"][order].astype(np.int32), split=split[order], sampling_rate_hz=rate,
        pre_samples=pre_samples, amplitude_unit=unit,
        detection={},
        source_sha256=[sha256(path) for path in paths],
    )


def _finite(values: np.ndarray, key: str, name: str) -> np.ndarray:
    if values.dtype.kind not in "biuf":
        raise InputError(f"{name} has {key} of type {values.dtype}: it must be numbers")
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise InputError(f"{name} has {bad} values in {key} that are no finite numbers: leave those windows out")
    return values


def _scalar(value: object, key: str, name: str) -> float:
    values = np.ravel(value)
    if values.size != 1 or values.dtype.kind not in "biuf" or not np.isfinite(values[0]):
        raise InputError(f"{name} has a {key} that is not one finite number")
    return float(values[0])
