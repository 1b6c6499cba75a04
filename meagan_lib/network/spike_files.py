"""Spike times from files of other programs (.csv, .nwb, .mat) and from recordings under treatment."""

import csv
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from meagan_lib import ROOT, InputError
from meagan_lib.network.matlab import read_matlab
from meagan_lib.network.spike_trains import SpikeTrains
from meagan_lib.recordings import bxr
from meagan_lib.recordings.catalogue import catalogue, fetch
from meagan_lib.recordings.hdf5 import first_line, open_hdf5
from meagan_lib.recordings.streams import refuse_choice

MOST_FRAMES = 2.0**53
"""Beyond, a time is no whole number of frames any more."""
TICKS_HZ = 1e6
"""Times that a file gives in seconds are counted in microseconds: whole numbers, so that no window grows with time."""


def read_spikes(path: str | Path, well: str | None = None) -> SpikeTrains:
    """Read the spike times of a file.

    - ``.csv``: a header with ``electrode`` (any name) and ``time_s``; optionally ``amplitude``, ``x_um`` and ``y_um``;
      or headers like these, such as those of Axion's lists, where the time has a unit; with commas, semicolons or tabs
      between the columns, and decimal points or commas;
    - ``.nwb``: the table of units; its electrodes and their ``x`` and ``y`` where it has them;
    - ``.mat`` (any version): a cell array with the times in s of an electrode in each cell, in samples where they are
      whole numbers and ``fs`` in Hz is there; or ``events``, a cell for each electrode with columns of peak, time in s
      and sample, and ``rate`` in Hz.
    - ``.bxr``: what BrainWave found, of all electrodes that were recorded; amplitudes where it kept waveforms, and gaps
      of the recording; of several wells ``well`` picks one.

    Only ``.bxr`` and ``events`` with their matrix of spikes say how long the recording is; of the others the last spike
    is the end.

    ``InputError``: no such file, another format, unknown columns, several wells, or times that are no numbers from 0
    on.
    """
    path = Path(os.path.expanduser(path))
    path = path if path.exists() else ROOT / path
    if not path.is_file():
        raise InputError(f"no spike times at {path}: check the path")
    if path.suffix.lower() not in _READERS:
        raise InputError(f"{path.name} is in no format of spike times that is read: {', '.join(_READERS)}")
    if path.suffix.lower() != bxr.SUFFIX:
        refuse_choice(path.name, well=well)
    try:
        return _READERS[path.suffix.lower()](path, well)
    except InputError:
        raise
    except Exception as error:  # readers of other people's formats raise anything
        raise InputError(
            f"{path.name} could not be read as spike times ({type(error).__name__}: {first_line(error)}): is it "
            f"complete?"
        ) from error


def _in_seconds(
    name: str,
    time_s: np.ndarray,
    electrode: np.ndarray,
    names: Sequence,
    rate_hz: float = TICKS_HZ,
    n_frames: int = 0,
    **columns,
) -> SpikeTrains:
    """Build spike trains from times in s and the electrode of each spike, an index into ``names``."""
    time_s = np.asarray(time_s, float)
    wrong = ~(np.isfinite(time_s) & (time_s >= 0))
    if wrong.any():
        raise InputError(
            f"{name} has {int(wrong.sum())} spike times that are no number from 0 on: count in s from the beginning of "
            f"the recording"
        )
    if not len(time_s):
        raise InputError(f"{name} holds no spike: is it the right file?")
    if (latest := time_s.max()) * rate_hz > MOST_FRAMES:
        raise InputError(
            f"{name} has a spike at {latest:.3g} s, which cannot be: count in s, or state the unit of time"
        )
    frame = np.rint(time_s * rate_hz).astype(np.int64)
    n_frames = max(n_frames, int(frame.max()) + 1)
    return SpikeTrains(frame, electrode, [str(name) for name in names], n_frames, rate_hz, **columns).without_repeats()


_SECONDS = {"s": 1, "sec": 1, "seconds": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "\ufffds": 1e-6}
_HEADERS = {
    "electrode": r"(?:electrode|channel|unit)(?:[ _]?(?:id|name|label|number))?",
    "time_s": rf"(?:spike[ _]?)?(?:t|times?|timestamps?)[ _]*[(\[]?({'|'.join(_SECONDS)})[)\]]?",
    "amplitude": r"amplitude.*",
    "x_um": r"x[ _]*[(\[]?.m[)\]]?",
    "y_um": r"y[ _]*[(\[]?.m[)\]]?",
}
"""Headers of the columns of a table of spikes, in small letters; the unit of time is a group of its own."""


def _columns(name: str, headers: Sequence[str]) -> tuple[dict[str, str], float]:
    """Find the header of each column of ``_HEADERS`` that is there, and the seconds in its unit of time."""
    headers = [header for header in headers if header and header.strip()]
    fits = {
        column: [(header, fit) for header in headers if (fit := re.fullmatch(form, header.strip().lower()))]
        for column, form in _HEADERS.items()
    }
    if missing := [column for column in ("electrode", "time_s") if not fits[column]]:
        raise InputError(
            f"{name} has no column {' or '.join(missing)}, but {', '.join(headers) or 'none'}: its first line must "
            f"name electrode (or channel, unit) and time_s (or such as Time [ms]), and may name amplitude, x_um and "
            f"y_um, with commas, semicolons or tabs between them"
        )
    found = {column: fit[0][0] for column, fit in fits.items() if fit}
    if not {"x_um", "y_um"} <= found.keys():
        found = {column: header for column, header in found.items() if column not in ("x_um", "y_um")}
    return found, _SECONDS[fits["time_s"][0][1][1]]


def _read_csv(path: Path) -> SpikeTrains:
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        first = file.readline()
        file.seek(0)
        reader = csv.DictReader(file, delimiter=next((mark for mark in ";\t" if mark in first), ","))
        header, second = _columns(path.name, reader.fieldnames or ())
        wanted = [column for column in header if column != "electrode"]
        electrode, numbers = [], []
        for row in reader:
            if "Well Information" in row.values():  # it follows the spikes of an Axion list
                break
            if not (row[header["electrode"]] or row[header["time_s"]]):
                continue
            if any(row.get(None, ())):
                raise InputError(
                    f"{path.name} has more values than headers in line {reader.line_num}: where decimals have commas, "
                    f"put semicolons between the columns"
                )
            try:
                numbers.append([float(row[header[column]].replace(",", ".")) for column in wanted])
                electrode.append(row[header["electrode"]].strip())
            except (AttributeError, ValueError) as error:
                raise InputError(
                    f"{path.name} has something else than numbers in line {reader.line_num}: correct that line"
                ) from error
    wells = sorted({name.partition("_")[0] for name in electrode})
    if "Investigator" in reader.fieldnames and len(wells) > 1:  # Axion's electrodes are called A1_11
        raise InputError(
            f"{path.name} holds {len(wells)} wells ({', '.join(wells)}), which are no one network: save each of them "
            f"in a file of its own"
        )
    column = dict(zip(wanted, np.array(numbers).reshape(-1, len(wanted)).T))
    place, names = pd.factorize(np.array(electrode, object))
    positions = None
    if "x_um" in column:
        positions = np.empty((len(names), 2))
        positions[place] = np.stack([column["x_um"], column["y_um"]], axis=1)
    time_s, amplitude = column["time_s"] * second, column.get("amplitude")
    return _in_seconds(path.name, time_s, place, names, amplitude=amplitude, positions_um=positions)


def _read_nwb(path: Path) -> SpikeTrains:
    with open_hdf5(path) as file:
        if "units/spike_times" not in file:
            raise InputError(f"{path.name} has no table of units: give a file with spike times, or the recording to 01")
        units = file["units"]
        time_s, ends = units["spike_times"][:], units["spike_times_index"][:].astype(int)
        unit = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        table = "general/extracellular_ephys/electrodes"
        if not {"electrodes", "electrodes_index"} <= set(units) or table not in file:
            return _in_seconds(path.name, time_s, unit, range(len(ends)))
        last = units["electrodes_index"][:].astype(int)
        row = np.append(units["electrodes"][:], -1)[np.r_[0, last[:-1]]]  # the first of a unit's electrodes
        lost = np.diff(last, prepend=0) == 0
        row[lost] = -1 - np.flatnonzero(lost)  # a unit without one stays by itself
        known, place = np.unique(row, return_inverse=True)
        positions = None
        if {"x", "y"} <= set(file[table]) and not lost.any():
            positions = np.stack([file[table]["x"][:][known], file[table]["y"][:][known]], axis=1).astype(float)
            positions = positions if np.isfinite(positions).all() else None
        return _in_seconds(path.name, time_s, place.ravel()[unit], range(len(known)), positions_um=positions)


def _read_matlab(path: Path) -> SpikeTrains:
    held = read_matlab(path)
    cells = {name: value for name, value in held.items() if isinstance(value, list)}
    rate_hz = next((float(np.ravel(value)[0]) for name, value in held.items() if name.lower() in ("rate", "fs")), None)
    if rate_hz is not None and not (np.isfinite(rate_hz) and rate_hz > 0):
        raise InputError(f"{path.name} states a rate of {rate_hz:g} Hz: it must be above zero")
    amplitude, n_frames = None, 0
    if "events" in cells and rate_hz:
        events = [cell if cell.shape[1] == 3 else np.zeros((0, 3)) for cell in cells["events"]]  # the others are empty
        amplitude, trains = np.concatenate(events)[:, 0], [cell[:, 1] for cell in events]
        n_frames = held["spikeMatrix"].shape[0] if "spikeMatrix" in held else 0  # a row for each sample
    else:
        fitting = [value for value in cells.values() if all(_is_train(cell) for cell in value)]
        if len(fitting) != 1:
            raise InputError(
                f"{path.name} holds {', '.join(held) or 'nothing'}: it must hold one cell array, with the spike times "
                f"in s of an electrode in each cell, and may hold fs in Hz; or events and rate"
            )
        trains = [np.ravel(cell) for cell in fitting[0]]
        if any(map(len, trains)) and all((train == np.rint(train)).all() for train in trains):
            if not rate_hz:
                raise InputError(f"{path.name} counts its spikes in whole numbers: give them in s, or add fs in Hz")
            trains = [train / rate_hz for train in trains]
    electrode, names = np.repeat(np.arange(len(trains)), [len(train) for train in trains]), range(len(trains))
    time_s, rate_hz = np.concatenate(trains), rate_hz or TICKS_HZ
    return _in_seconds(path.name, time_s, electrode, names, rate_hz, n_frames, amplitude=amplitude)


def _read_brainwave(path: Path, well: str | None) -> SpikeTrains:
    """Read the spikes of a BXR file, on all electrodes that were recorded; the depth of a waveform is its amplitude."""
    results = bxr.read_results(path, well, section="05_organoid_network")
    order = np.argsort(results.channels, kind="stable")
    place = order[np.searchsorted(results.channels, results.channel, sorter=order)]
    amplitude, positions = None, None
    if results.waveforms is not None:
        deepest = results.waveforms.min(axis=1) if results.gain_uv > 0 else results.waveforms.max(axis=1)
        amplitude = results.gain_uv * (deepest - np.median(results.waveforms, axis=1))
    if results.electrodes is not None:
        positions = results.electrodes * results.pitch_um
    names = [str(channel) for channel in results.channels]
    end, rate_hz = int(results.stretches[-1, 1]), results.sampling_rate_hz
    trains = SpikeTrains(results.frame, place, names, end, rate_hz, amplitude, positions, results.stretches)
    return trains.without_repeats()


def _is_train(cell: object) -> bool:
    """Return whether a cell can hold times: a vector of numbers, or nothing."""
    return getattr(cell, "dtype", np.dtype(object)).kind in "iuf" and sum(n > 1 for n in np.shape(cell)) < 2


_READERS: dict[str, Callable[[Path, str | None], SpikeTrains]] = {
    ".csv": lambda path, _: _read_csv(path),
    ".nwb": lambda path, _: _read_nwb(path),
    ".mat": lambda path, _: _read_matlab(path),
    bxr.SUFFIX: _read_brainwave,
}


def require_treated(name: str) -> None:
    """Raise when ``name`` is neither "" nor an entry of the catalogue with spike trains under treatments."""
    if name and catalogue().get(name, {}).get("open") != "spikes":
        raise InputError(
            f"'{name}' is no entry of the catalogue with spike trains under treatment: take axotomy_mea, for one"
        )


def treated(name: str) -> dict[str, dict[str, SpikeTrains]]:
    """Return the spike trains of an entry recorded under treatments: part of the culture → condition → trains.

    ``InputError``: no entry, one without treatments, or what :func:`meagan_lib.recordings.catalogue.fetch` refuses.
    """
    require_treated(name)
    if not name:
        raise InputError("no recording under treatment was asked for")
    trains: dict[str, dict[str, SpikeTrains]] = {}
    paths = fetch(name, ROOT / "data")
    for file, path in zip(catalogue()[name]["files"], paths):
        trains.setdefault(file["part"], {})[file["condition"]] = read_spikes(path)
    return trains
