"""A run as NWB: electrodes, detected spikes and cut windows of each recording; generated windows in their own file.

Neurodata Without Borders, Rübel et al. 2022, doi:10.7554/eLife.78362, by its own library. Samples are written as they
are, float32 in the unit of the windows, which each column names: a round trip changes no bit. What was recorded and
what was generated never share a file.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np

from meagan_lib import InputError, choose
from meagan_lib.experiments.portable import drawn
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from meagan_lib.workflow.execution import RESULTS
from meagan_lib.workflow.files import read_parameters, require_room, together

UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)
"""What stands where NWB asks when a recording began, which windows do not know."""
CHUNK_BYTES, BLOCK_BYTES = 2**18, 2**24
"""Of a compressed piece of the file, and of what is in memory of the windows while it is written."""
COMPRESSED = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
COLUMN_BYTES, OF_NWB = 64, 2**21
"""Of the columns of a window beside its samples, and of what every file holds: HDF5 crashes where there is no room."""
UNITS = {"uV": "µV", "ADU": "steps of the converter", "normalised": "normalised, without a unit"}


def library() -> ModuleType:
    """Return pynwb. ``InputError``: it is not installed."""
    try:
        import pynwb
    except ImportError as error:
        raise InputError('NWB needs pynwb: pip install "meagan[nwb]", or pip install pynwb') from error
    return pynwb


def parameters(run: str) -> dict[str, dict]:
    """Return the parameters of a run, by notebook."""
    paths = sorted((RESULTS / run / "params").glob("*.yaml"))
    return {path.stem: read_parameters(path) for path in paths}


SUBJECT = ("subject_id", "species", "age", "sex", "description")
"""What can be said of the subject: species in Latin, age as ISO 8601 (P120D), sex M, F, O or U."""


def subject_of(told: Sequence[str]) -> dict[str, str]:
    """Return what ``key=value`` words say of the subject. ``InputError``: another word, or a key that NWB lacks."""
    found = {}
    for word in told:
        key, equals, value = word.partition("=")
        if not equals or not value:
            raise InputError(f"'{word}' says nothing of the subject: give it as species='Homo sapiens'")
        choose("what is said of the subject,", key, SUBJECT)
        found[key] = value
    return found


def new_file(
    run: str, identifier: str, description: str, about: Mapping[str, object], subject: Mapping[str, str] | None = None
):
    """Return an empty NWB file, whose notes hold parameters and provenance as JSON."""
    notes = {"parameters": parameters(run), "meagan": version("meagan")} | dict(about)
    pynwb = library()
    known = {"subject_id": identifier.replace("/", "-"), "sex": "U", "description": "Not known to MEAGAN."}
    return pynwb.NWBFile(
        subject=pynwb.file.Subject(**known | dict(subject or {})),
        experiment_description="Spikes and generated spikes of a recording by microelectrode array.",
        session_description=f"{description} When the recording began is not known: 1970 stands for it.",
        identifier=identifier,
        session_id=identifier.rpartition("/")[2],
        session_start_time=UNKNOWN,
        notes=json.dumps(notes, indent=1, sort_keys=True),
        keywords=["spikes", "high-density microelectrode array"],
    )


def recorded(run: str, windows: SpikeWindows, index: int, subject: Mapping[str, str] | None = None):
    """Return electrodes, detected spikes and cut windows of one recording of a run as an NWB file.

    ``units`` has the peaks that were detected on each electrode, not sorted; ``windows`` in the module ``ecephys`` the
    isolated ones that were cut, with the unit that a sorting or a simulation gave, −1 where none did.
    """
    from hdmf.common import DynamicTable, DynamicTableRegion, VectorData

    name, rate = windows.recordings[index], windows.sampling_rate_hz
    about = {"source_hashes": windows.source_hashes, "detection": windows.detection}
    file = new_file(run, f"{run}/{name}", f"Spike windows of the recording {name}, as MEAGAN cut them.", about, subject)
    device = file.create_device("array", description="Microelectrode array of the recording.")
    group = file.create_electrode_group("array", "All electrodes of the recording.", "unknown", device)
    own = np.flatnonzero(windows.noise_recording == index)
    for column, words in (("rel_x", "x in µm"), ("rel_y", "y in µm")):
        file.add_electrode_column(column, f"Place of the electrode on the array, {words}; NaN: not known.")
    file.add_electrode_column("noise", f"Noise level, 1.4826 × the MAD of the filtered trace, in {unit(windows)}.")
    channels = own if len(own) else np.arange(max(int(windows.channel.max(initial=0)), 0) + 1)
    for row in channels:
        x, y = windows.positions_um[row] if len(own) else (np.nan, np.nan)
        noise = float(windows.noise_mad[row]) if len(own) else np.nan
        file.add_electrode(location="unknown", group=group, rel_x=float(x), rel_y=float(y), noise=noise)

    if windows.ledger is not None:
        file.units = units_of(windows, index, file.electrodes)

    mine = np.flatnonzero(windows.recording == index)
    columns = [
        VectorData(
            name="time",
            description="Of the peak, in s from the start; NaN: not known.",
            data=in_blocks(windows.frame, mine, lambda frame: np.where(frame >= 0, frame / rate, np.nan)),
        ),
        DynamicTableRegion(
            name="electrodes",
            description="The electrode of each window.",
            data=in_blocks(windows.channel, mine, lambda channel: channel.clip(0)),
            table=file.electrodes,
            validate_data=False,  # in blocks
        ),
        VectorData(name="unit", description="The unit; -1: not known.", data=in_blocks(windows.label, mine)),
        VectorData(name="split", description="What the window is for.", data=in_blocks(windows.split, mine, named)),
        *samples_of(windows, mine),
    ]
    module = file.create_processing_module("ecephys", "Windows cut around isolated spikes.")
    module.add(DynamicTable(name="windows", description=shape_of(windows), columns=columns, id=np.arange(len(mine))))
    return file


def units_of(windows: SpikeWindows, index: int, electrodes):
    """Return the peaks that were detected in one recording, a unit for each of its ``electrodes`` that has any."""
    from hdmf.common import DynamicTableRegion, VectorData, VectorIndex

    own = np.flatnonzero(windows.ledger.recording == index)
    frame, channel = windows.ledger.frame[own], windows.ledger.channel[own]
    order = np.lexsort((frame, channel))
    firing, n = np.unique(channel, return_counts=True)
    times = VectorData(
        name="spike_times",
        description="Of each peak, in s from the start.",
        data=frame[order] / windows.sampling_rate_hz,
    )
    at = DynamicTableRegion(name="electrodes", description="The electrode of each unit.", data=firing, table=electrodes)
    of_times = VectorIndex(name="spike_times_index", data=np.cumsum(n), target=times)
    of_electrodes = VectorIndex(name="electrodes_index", data=np.arange(1, len(firing) + 1), target=at)
    return library().misc.Units(
        name="units",
        description="All peaks that were detected on each electrode: not sorted, no single cells.",
        resolution=1 / windows.sampling_rate_hz,
        columns=[of_times, times, of_electrodes, at],
        colnames=["spike_times", "electrodes"],
    )


def generated(run: str, found: Mapping[str, SpikeWindows], subject: Mapping[str, str] | None = None):
    """Return the generated windows of a run, a table for each model, as an NWB file that has nothing recorded."""
    from hdmf.common import DynamicTable, VectorData

    words = "Windows that models drew. No cell fired these spikes: they are no recording and must not be used as one."
    about = dict(subject or {}) | {"description": "Nobody was recorded: models were trained on windows of the subject."}
    file = new_file(run, f"{run}/generated", words, {"generated": True}, about)
    module = file.create_processing_module("generated", words)
    for name, windows in found.items():
        whole = np.arange(len(windows))
        passes = VectorData(
            name="passes", description="Whether it fulfils what was asked of recorded windows.", data=windows.passes
        )
        asked = VectorData(name="unit", description="The unit that was asked for; -1: none.", data=windows.label)
        columns = [passes, asked, *samples_of(windows, whole)]
        told = f"Drawn by the model {name}, not recorded. {shape_of(windows)}"
        module.add(DynamicTable(name=name, description=told, columns=columns, id=whole))
    return file


def unit(windows: SpikeWindows) -> str:
    """Return the amplitude unit in words."""
    return UNITS[windows.amplitude_unit]


def shape_of(windows: SpikeWindows) -> str:
    """Say where the peak of a window stands, and at which rate."""
    return (
        f"Windows of {windows.n_samples} samples at {windows.sampling_rate_hz:g} Hz, the peak at sample "
        f"{windows.pre_samples}, counted from 0."
    )


def named(split: np.ndarray) -> np.ndarray:
    """Return splits (n,) in words."""
    words = np.array([one.name.lower() for one in Split], object)
    return words[split]


def samples_of(windows: SpikeWindows, rows: np.ndarray) -> list:
    """Return the samples of some windows (n,), sorted, as columns: on their own electrode, and their footprints."""
    from hdmf.backends.hdf5 import H5DataIO
    from hdmf.common import VectorData

    named = {"window": windows.windows} | ({} if windows.footprints is None else {"footprint": windows.footprints})
    told = {"window": "samples", "footprint": "electrodes × samples, its own first"}
    words = {name: f"In {unit(windows)}: {told[name]}." for name in named}
    return [
        VectorData(name=name, description=words[name], data=H5DataIO(in_blocks(data, rows), **COMPRESSED))
        for name, data in named.items()
    ]


def in_blocks(data, rows: np.ndarray, change: Callable[[np.ndarray], np.ndarray] = lambda block: block):
    """Return ``rows`` (n,), sorted, of an array or a dataset, as what NWB's library reads and writes in blocks.

    ``change`` is done to each block.
    """
    from hdmf.data_utils import GenericDataChunkIterator

    shape, first = data.shape[1:], change(data[:1])
    if not len(rows):
        return first[:0]

    class Rows(GenericDataChunkIterator):
        def _get_data(self, selection):
            mine = rows[selection[0]]
            start = int(mine[0])
            return change(data[start : int(mine[-1]) + 1][(mine - start, *selection[1:])])

        def _get_maxshape(self):
            return (len(rows), *shape)

        def _get_dtype(self):
            return h5py.string_dtype() if first.dtype == object else first.dtype

    size = first.dtype.itemsize * int(np.prod(shape))
    chunk, block = (min(max(n // size, 1), len(rows)) for n in (CHUNK_BYTES, BLOCK_BYTES))
    return Rows(chunk_shape=(chunk, *shape), buffer_shape=(min(block // chunk * chunk, len(rows)), *shape))


def size(windows: SpikeWindows, mine: np.ndarray) -> int:
    """Return about how many bytes a file takes at most that has the windows ``mine`` (n,) and all peaks."""
    samples = [data for data in (windows.windows, windows.footprints) if data is not None]
    row = sum(data.dtype.itemsize * int(np.prod(data.shape[1:])) for data in samples)
    peaks = 0 if windows.ledger is None else len(windows.ledger.frame)
    return int(mine.sum()) * (row + COLUMN_BYTES) + 8 * peaks + OF_NWB


def to_nwb(run: str, folder: Path, subject: Sequence[str] = ()) -> list[str]:
    """Write each recording of a run as ``<recording>.nwb``, its generated windows as ``generated.nwb``; say what.

    ``subject`` says ``key=value`` of who was recorded, which windows do not know. ``InputError``: another key, no
    windows, or no pynwb.
    """
    path = RESULTS / run / "windows.h5"
    if not path.is_file():
        raise InputError(f"run '{run}' has no windows: make them with meagan run")
    library()
    about = subject_of(subject)
    with ExitStack() as stack:
        windows = stack.enter_context(SpikeWindows.opened(path))
        files = {name: (lambda i=i: recorded(run, windows, i, about)) for i, name in enumerate(windows.recordings)}
        if found := {name: stack.enter_context(SpikeWindows.opened(each)) for name, each in drawn(run).items()}:
            files["generated"] = lambda: generated(run, found, about)
        places = {name: place_of(name, about) for name in files}
        if len(set(places.values())) < len(places):
            raise InputError(
                f"DANDI does not tell these names apart: {', '.join(files)}; leave out subject_id, or rename one"
            )
        if taken := [path for path in map(folder.joinpath, places.values()) if path.exists() and not is_of(path, run)]:
            raise InputError(f"{taken[0]} is there, and is not of run '{run}': give another --out, or move it away")
        sizes = [size(windows, windows.recording == i) for i in range(len(windows.recordings))]
        sizes += [sum(size(each, np.ones(len(each), bool)) for each in found.values())] if found else []
        for (name, made), bytes_ in zip(files.items(), sizes, strict=True):
            require_room(folder / places[name], bytes_)
            with together([folder / places[name]]) as (temporary,), library().NWBHDF5IO(str(temporary), "w") as file:
                file.write(made())
    return [f"run '{run}' as NWB, {', '.join(places.values())}"]


def is_of(path: Path, run: str) -> bool:
    """Return whether a file is an export of a run as NWB."""
    with suppress(OSError, KeyError, AttributeError), h5py.File(path, "r") as file:
        return file["identifier"][()].decode().startswith(f"{run}/")
    return False


def place_of(name: str, subject: Mapping[str, str]) -> str:
    """Return the path of a file in its folder: where the ``subject`` has an identifier, that which DANDI asks for.

    DANDI knows a file by its path, ``sub-<subject>/sub-<subject>_ses-<session>.nwb``, whose words hold no ``_`` or
    ``.``: each becomes a hyphen.
    """
    if "subject_id" not in subject:
        return f"{name}.nwb"
    sub, session = (re.sub(r"[^0-9A-Za-z-]+", "-", word) for word in (subject["subject_id"], name))
    kind = "" if name == "generated" else "_ecephys"
    return f"sub-{sub}/sub-{sub}_ses-{session}{kind}.nwb"
