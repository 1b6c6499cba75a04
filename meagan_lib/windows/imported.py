"""Windows that were cut by others: from the catalogue, ``.npz`` or HDF5; they enter after detection."""

import zipfile
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from meagan_lib import InputError
from meagan_lib.recordings import bxr
from meagan_lib.recordings.catalogue import catalogue, fetch
from meagan_lib.recordings.hdf5 import open_hdf5
from meagan_lib.recordings.opening import locate
from meagan_lib.recordings.streams import refuse_choice
from meagan_lib.windows.cutting import WindowConfig
from meagan_lib.windows.detection import nearest
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from meagan_lib.windows.splits import require_apart, split_in_time
from meagan_lib.workflow.files import source_hash

WINDOWS_REQUIRED = ("windows", "sampling_rate_hz")
WINDOWS_OPTIONAL = ("label", "channel", "time_s", "pre_samples", "amplitude_unit")
AMPLITUDE_UNITS = ("uV", "ADU", "normalised")
DEFAULT = WindowConfig()


def open_windows(recording: str | Path, *, config: WindowConfig = DEFAULT, well: str | None = None) -> SpikeWindows:
    """Open windows that others cut: of the catalogue by name, or of a file by path (``.npz``, ``.h5``, ``.bxr``).

    The file holds ``windows`` (n, samples) and ``sampling_rate_hz``; it may hold ``label`` (n,) (unit) and ``channel``
    (n,), both −1 where unknown, ``time_s`` (n,), ``pre_samples`` (sample of the peak; otherwise where most windows are
    lowest) and ``amplitude_unit`` (``uV``, ``ADU`` or ``normalised``; otherwise ``ADU``), in HDF5 as datasets or
    attributes. A ``.bxr`` is what BrainWave found: waveforms in µV, with times, channels (row · 64 + column) and units;
    of several wells ``well`` picks one.

    They are split as ``config`` says: by time where ``time_s`` is given, and windows near a block's edge are left out
    (:func:`split_in_time`); otherwise by :func:`split_in_order`, with ``frame`` −1. How they were filtered is not
    known, so that ``detection`` is empty.

    ``InputError``: A recording of voltage, or a file that cannot be downloaded; no such file, a name that is missing, a
    shape that does not fit, a value that is no finite number, windows without spread, or the same window in two splits;
    neighbours or a channel asked for.
    """
    _refuse_electrodes(recording, config)
    entry = catalogue().get(str(recording))
    if entry is None:
        path = _find(recording)
        if path.suffix.lower() == bxr.SUFFIX:
            return _windows_from(_read_brainwave(path, well), [path], config)
        refuse_choice(path.name, well=well)
        return _windows_from(_read_arrays(path), [path], config)
    if entry["open"] != "windows":
        others = {"spikes": "spike times", "photographs": "photographs"}
        kind = others.get(entry["open"], "a recording of voltage")
        raise InputError(f"'{recording}' is {kind} and holds no windows: choose another entry of the catalogue")
    paths = fetch(str(recording))
    description = entry["description"]
    arrays = _read_herdingspikes(*paths, description["sampling_rate_hz"])
    return _windows_from(arrays | description, paths, config)


def _refuse_electrodes(recording: str | Path, config: WindowConfig) -> None:
    """Raise where neighbours or a fixed channel are asked of windows that are cut already."""
    if config.neighbours:
        raise InputError(
            f"{recording} holds windows of one electrode each, and neighbours is {config.neighbours}: set neighbours "
            f"to 0, or give the recording that they were cut from"
        )
    if config.channel != -1:
        raise InputError(
            f"{recording} holds windows that are cut already, and channel is {config.channel}: set channel to -1, and "
            f"leave the windows of other channels out of the file"
        )


def require_readable(recording: str | Path, config: WindowConfig = DEFAULT, well: str | None = None) -> None:
    """Raise as :func:`open_windows` when a file is damaged or lacks an array; the windows themselves are not read."""
    _refuse_electrodes(recording, config)
    if str(recording) in catalogue():
        return
    path = _find(recording)
    if path.suffix.lower() == bxr.SUFFIX:
        bxr.read_results(path, well, waveforms=False)
        return
    refuse_choice(path.name, well=well)
    with _contents(path):
        pass


def _find(recording: str | Path) -> Path:
    path = locate(recording)
    if path is None or not path.is_file():
        raise InputError(f"no windows at {recording}: check the path")
    return path


@contextmanager
def _contents(path: Path):
    """Open a file of windows: the file, and the names that it holds, which are those that it must."""
    npz = path.suffix.lower() == ".npz"
    if npz and not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            begun = file.read(2) in (b"PK", b"")  # an archive ends in its table of contents
        state = "cut short or still being written: wait, or copy it again" if begun else "none: write it by numpy.savez"
        raise InputError(f"{path.name} cannot be read as windows, for it is {state}")
    try:
        with np.load(path, allow_pickle=False) if npz else open_hdf5(path) as file:
            there = [*file, *getattr(file, "attrs", ())]
            if missing := [key for key in WINDOWS_REQUIRED if key not in there]:
                raise InputError(
                    f"{path.name} lacks {' and '.join(missing)} and holds {', '.join(there) or 'nothing'}: save it "
                    f"again with windows (n, samples) and sampling_rate_hz under these names, and "
                    f"{', '.join(WINDOWS_OPTIONAL)} if known"
                )
            yield file, there
    except InputError:
        raise
    except Exception as error:  # numpy and h5py on a damaged file raise anything
        raise InputError(
            f"{path.name} cannot be read as windows ({type(error).__name__}): it must be a complete .npz without "
            f"pickled objects, or HDF5"
        ) from error


def _read_arrays(path: Path) -> dict:
    with _contents(path) as (file, there):
        names = [name for name in (*WINDOWS_REQUIRED, *WINDOWS_OPTIONAL) if name in there]
        return {name: file[name][()] if name in file else file.attrs[name] for name in names}


def _read_brainwave(path: Path, well: str | None) -> dict:
    """Read the waveforms of a BXR file as the arrays of windows already cut."""
    results = bxr.read_results(path, well)
    if results.waveforms is None:
        raise InputError(
            f"{path.name} holds spike times and no waveforms: give it to notebook 05 (05_organoid_network.spikes), and "
            f"the recording to notebook 01"
        )
    windows = results.waveforms * np.float32(results.gain_uv) + np.float32(results.offset_uv)
    about = {} if results.pre_samples is None else {"pre_samples": results.pre_samples}
    return about | {
        "windows": windows,
        "sampling_rate_hz": results.sampling_rate_hz,
        "time_s": results.frame / results.sampling_rate_hz,
        "channel": results.channel,
        "label": results.unit,
        "amplitude_unit": "uV",
    }


def _read_herdingspikes(path: Path, sorted_path: Path, sampling_rate_hz: float) -> dict:
    """Read spikes of HerdingSpikes 1: ``shapes`` (samples, n), ``times`` (n,) in frames, ``data`` (2, n) in pitches.

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
    # Times are printed with 12 digits.
    match = nearest(times, np.zeros(len(times)), sorted_time[order], np.zeros(len(order)), tolerance=1e-4)
    electrode = np.unique(np.rint(xy), axis=1, return_inverse=True)[1]
    return {
        "windows": shapes.T,
        "time_s": times / sampling_rate_hz,
        "channel": electrode.ravel(),
        "label": np.where(match >= 0, unit[order][match], -1),
    }


def _windows_from(arrays: dict, paths: list[Path], config: WindowConfig) -> SpikeWindows:
    """Check the arrays of windows already cut, order them in time and split them."""
    name = paths[0].name
    windows = np.asarray(arrays["windows"])
    if windows.ndim != 2 or len(windows) == 0 or windows.shape[1] < 8:
        raise InputError(f"{name} has windows of shape {windows.shape}: it must be (n, samples), 8 samples or more")
    with np.errstate(over="ignore"):
        windows = _finite(_finite(windows, "windows", name).astype(np.float32), "windows, in single precision,", name)
    n, n_samples = windows.shape
    least = 1e-6 * np.abs(windows).max()
    for what, axis in (("all alike", 0), ("flat", 1)):
        if n > 1 and np.ptp(windows, axis=axis).max() <= least:
            raise InputError(f"{name} holds {n} windows that are {what}, with nothing to learn: take others")
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
            frame, int(frame.max()) + n_samples, n_samples, config.split_fractions, config.split_cycles
        )
        order = order[~between[order]]
    else:
        frame, order = np.full(n, -1, np.int64), np.arange(n)
        split = split_in_order([per_window["label"], per_window["channel"]], config)
    imported = SpikeWindows(
        windows=windows[order],
        channel=per_window["channel"][order].astype(np.int32),
        frame=frame[order],
        label=per_window["label"][order].astype(np.int32),
        split=split[order],
        sampling_rate_hz=rate,
        pre_samples=pre_samples,
        amplitude_unit=unit,
        detection={},
        source_hashes=[source_hash(path) for path in paths],
    )
    require_apart(imported)
    return imported


def split_in_order(groups: Sequence[np.ndarray], config: WindowConfig) -> np.ndarray:
    """Split windows whose times are not known by their order, as if it were time: uint8 (n,).

    In a file that is sorted by unit or by electrode that would put whole units into the test set. So where splits would
    differ much in the units or electrodes that they have, each of these is split by its own order instead.

    ``groups``: unit and electrode (n,) of each window, −1 where unknown.
    """
    n = len(groups[0])

    def cut(order: np.ndarray) -> np.ndarray:
        split = np.empty(n, np.uint8)
        split[order] = split_in_time(np.arange(n), n, 1, config.split_fractions, config.split_cycles)[0]
        return split

    def unlike(split: np.ndarray) -> float:
        return max(_unlikeness(group, split) for group in groups)

    as_given = cut(np.arange(n))
    if unlike(as_given) < MOST_UNLIKE:
        return as_given
    both = np.unique(np.stack(groups), axis=1, return_inverse=True)[1].ravel()
    return min((cut(_spread_evenly(group)) for group in (*groups, both)), key=unlike)


MOST_UNLIKE = 0.3
"""Total variation between the units of two splits, beyond chance, above which an order is taken for a sorting."""


def _unlikeness(group: np.ndarray, split: np.ndarray) -> float:
    """Return the total variation between the ``group`` (n,) of training windows and that of validation or test windows.

    The larger of the two, less what chance would give: E|p̂ − q̂| = √(2 p (1 − p) (1/n + 1/m) / π) for a fraction p of
    n and m windows.
    """
    names, group = np.unique(group, return_inverse=True)
    fraction, found = np.bincount(group) / len(group), 0.0
    train, *others = (np.bincount(group[split == s], minlength=len(names)) for s in Split)
    for other in others:
        n, m = max(train.sum(), 1), max(other.sum(), 1)
        chance = np.sqrt(2 * fraction * (1 - fraction) * (1 / n + 1 / m) / np.pi)
        found = max(found, float((np.abs(train / n - other / m) - chance).sum() / 2))
    return found


def _spread_evenly(group: np.ndarray) -> np.ndarray:
    """Return an order (n,) in which the windows of each ``group`` (n,) are evenly spread, in their order."""
    order = np.argsort(group, kind="stable")
    _, first, size = np.unique(group[order], return_index=True, return_counts=True)
    place = np.empty(len(group))
    place[order] = (np.arange(len(group)) - np.repeat(first, size) + 0.5) / np.repeat(size, size)
    return np.argsort(place, kind="stable")


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
