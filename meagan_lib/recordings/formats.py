"""Recordings of other makers, read by SpikeInterface: the electrodes' own stream of what was named, no neighbour."""

import importlib.util
import math
import re
import struct
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import probeinterface
import spikeinterface.core as sc
from neo.rawio.spikeglxrawio import extract_stream_info, read_meta_file
from spikeinterface.core.zarrextractors import ZarrRecordingExtractor, super_zarr_open
from spikeinterface.extractors import extractor_classes as se

from meagan_lib import InputError
from meagan_lib.recordings.hdf5 import CUT_SHORT, HDF5, contents, first_line, open_hdf5
from meagan_lib.recordings.streams import Opened, at_breaks, open_neo, pick_stream, refuse_choice, stretches_of_blocks

AUXILIARY_CHANNEL = re.compile(r"(aux|adc|dac|ainp?|analog|ttl|sync|din|dout|vdd|trigger)[\W_]*\d*", re.IGNORECASE)
"""Name of a channel that is no electrode, in a stream of electrodes."""
ENDS_EARLY = re.compile(
    r"truncat|end.of.file|\beof\b|mmap length|not a multiple|requires a buffer|too small|cannot reshape|empty file"
    r"|buffer size|larger dtype|out of bounds|a read error|\(Filesize\)",
    re.IGNORECASE,
)
"""Words of a reader that met the end of the file where it expected samples."""


def _require_stored(samples: h5py.Dataset, name: str) -> None:
    """Refuse samples of which parts were never written: HDF5 gives zeros for them, of whatever size they are stated."""
    wanted = math.prod(-(-n // chunk) for n, chunk in zip(samples.shape, samples.chunks)) if samples.chunks else 0
    there = samples.id.get_num_chunks() if samples.chunks else samples.id.get_storage_size()
    if there < wanted or (samples.size and not there):
        raise InputError(
            f"{name} {CUT_SHORT}: it states samples that it does not hold; copy it again when it is finished"
        )


def _open_intan(path: Path, stream: str | None) -> Opened:
    """Open a file with header and samples; or the header ``info.rhd``, whose samples lie beside it."""
    recording, files = open_neo(se.IntanRecordingExtractor, path, stream)
    reader = recording.neo_reader
    if reader.file_format != "header-attached":
        samples, time = reader._raw_data[recording.stream_name], reader._raw_data["timestamp"]
        parts = [part for of in (samples, time) for part in (of if isinstance(of, list) else [of])]
        if len({len(part) for part in parts}) > 1:
            raise InputError(f"{path.parent.name} {CUT_SHORT}: its files last differently long")
        files = [*(Path(part.filename) for part in parts), path]
    return recording, files


def _open_blackrock(path: Path, stream: str | None) -> Opened:
    """Open one ``.nsX`` of a set, of which neo reads every header; a pause begins a new segment."""
    refuse_choice(path.name, stream=stream)
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / f"alone{path.suffix.lower()}"
        alone.symlink_to(path)
        recording = se.BlackrockRecordingExtractor(alone, gap_tolerance_ms=1.0)
        for segment in range(recording.get_num_segments()):
            end = recording.get_num_samples(segment)
            recording.get_traces(segment, end - 1, end)  # which also opens the file for good
    recording._kwargs["file_path"] = str(path)
    return recording, [path]


def _open_abf(path: Path, stream: str | None) -> Opened:
    """Open an Axon file, of which neo reads as many entries of each section as version 2 states, if they can be."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(76 + 16 * 18).ljust(76 + 16 * 18, b"\0")
    for number in (1, 2, 3, 5, 11) if head.startswith(b"ABF2") else ():  # inputs, outputs, epochs (twice) and tags
        _, entry_bytes, entries = struct.unpack_from("<IIq", head, 76 + 16 * number)
        if not 0 <= entries * max(entry_bytes, 1) <= size:
            raise InputError(f"{path.name} {CUT_SHORT}: it states sections beyond its end")
    return open_neo(se.AxonRecordingExtractor, path, stream)


class _Plexon(se.PlexonRecordingExtractor):
    """SpikeInterface's reader without the bars by which neo shows its progress."""

    @classmethod
    def map_to_neo_kwargs(cls, file_path: Path) -> dict:
        return super().map_to_neo_kwargs(file_path) | {"progress_bar": False}


def _open_plexon(path: Path, stream: str | None) -> Opened:
    """Open a ``.plx``; blocks that do not follow one another, which neo lays end to end, are stretches of time."""
    recording, files = open_neo(_Plexon, path, stream)
    reader = recording.neo_reader
    ends = [b["pos"] + b["size"] for of in reader._data_blocks.values() for b in of.values()]
    if np.concatenate(ends).max() > path.stat().st_size:  # of such a block neo gives zeros
        raise InputError(f"{path.name} {CUT_SHORT}: its last block reaches beyond its end")
    streams = reader.header["signal_streams"]["id"]
    mine = reader.header["signal_channels"]["stream_id"] == streams[recording.stream_index]
    for channel in reader.header["signal_channels"]["id"][mine]:
        blocks = reader._data_blocks[5][int(channel)]
        end = np.zeros(1, blocks.dtype)  # without an empty block behind it neo (0.14) gives zeros for the last one
        end["pos"], end["cumsum"] = blocks["pos"][-1], blocks["cumsum"][-1] + blocks["size"][-1] // 2
        reader._data_blocks[5][int(channel)] = np.append(blocks, end)
    # SpikeInterface takes its mV for µV, and neo the bits of the spikes' converter for those of the slow channels'.
    with open(path, "rb") as file:
        version, (spike_bits, slow_bits) = struct.unpack("<4xi", file.read(8))[0], file.read(196)[194:]
    factor = 1e3 * 2.0 ** (spike_bits - slow_bits if version >= 103 else 0)
    recording.set_channel_gains(factor * recording.get_channel_gains())
    times_s = blocks["timestamp"] / reader._global_ssampling_rate
    begins = stretches_of_blocks(blocks["cumsum"], times_s, recording.get_sampling_frequency())
    return at_breaks(recording, path.name, [begins]), files


def _open_nex(path: Path, stream: str | None) -> Opened:
    """Open the continuous variables of a ``.nex``, each of which neo takes for a stream: those of one rate together."""
    _, ids = se.NeuroExplorerRecordingExtractor.get_streams(path)
    parts = [se.NeuroExplorerRecordingExtractor(path, stream_id=each) for each in ids]
    groups: dict[str, list] = {}
    for part in parts:
        groups.setdefault(f"continuous, {part.get_sampling_frequency():g} Hz", []).append(part)
    chosen = pick_stream(path.name, list(groups), stream)
    fragments, header = [], parts[0].neo_reader.global_header
    for part in groups[chosen]:
        own = part.neo_reader._entity_headers[int(part.channel_ids[0])]
        at, n = int(own["offset"]), int(own["n"])
        if n < 1 or at + 8 * n + 2 * int(own["NPointsWave"]) > path.stat().st_size:
            raise InputError(f"{path.name} {CUT_SHORT}: it states samples beyond its end")
        fragments.append(np.fromfile(path, "<i4", 2 * n, offset=at).reshape(2, n))
    if any(not np.array_equal(each, fragments[0]) for each in fragments):
        raise InputError(f"{path.name} has channels that were not recorded at the same times: export them one by one")
    recording = sc.aggregate_channels(groups[chosen]) if len(groups[chosen]) > 1 else groups[chosen][0]
    recording.annotate(streams=list(groups), stream=chosen)
    times_s, starts = fragments[0][0] / header["freq"], fragments[0][1].astype(np.int64)
    return at_breaks(recording, path.name, [(starts, times_s)]), [path]


def _open_nix(path: Path, stream: str | None) -> Opened:
    """Open a NIX file that is whole, and takes nothing from others."""
    open_hdf5(path).close()
    return open_neo(se.NixRecordingExtractor, path, stream)


def _open_nwb(path: Path, stream: str | None) -> Opened:
    if path.is_file():
        with open_hdf5(path) as file:
            there = contents(file)
    series = se.NwbRecordingExtractor.fetch_available_electrical_series_paths(path)
    if not series:
        raise InputError(
            f"{path.name} holds no ElectricalSeries, which a recording in NWB is{f'; it has {there}' if there else ''}"
        )
    chosen = pick_stream(path.name, series, stream)
    recording = se.NwbRecordingExtractor(path, electrical_series_path=chosen)
    recording.annotate(streams=series, stream=chosen)
    if isinstance(samples := recording._reader.file[chosen]["data"], h5py.Dataset):  # it may be Zarr
        _require_stored(samples, path.name)
    if (times := recording._reader.file[chosen].get("timestamps")) is None:
        return recording, [path]
    times_s = times[:]
    steps = np.diff(times_s, prepend=-np.inf) * recording.get_sampling_frequency()
    begins = np.flatnonzero((steps > 1.5) | (steps < 0))
    return at_breaks(recording, path.name, [(begins, times_s[begins])]), [path]


def _open_zarr(path: Path, stream: str | None) -> Opened:
    """Open SpikeInterface's Zarr folder as a recording, whatever class it names; nothing is unpickled."""
    refuse_choice(path.name, stream=stream)
    for name, array in super_zarr_open(path).arrays(recurse=True):
        if any(codec.codec_id == "pickle" for codec in [*(array.filters or ()), array.compressor] if codec):
            raise InputError(f"{path.name} {_PICKLED.format(name)}")
        if array.nchunks_initialized < array.nchunks:  # missing chunks would be read as zeros
            raise InputError(f"{path.name} {CUT_SHORT}: {name} lacks chunks; copy it again when it is finished")
    return ZarrRecordingExtractor(path), [path]


def _open_binary_folder(path: Path, stream: str | None) -> Opened:
    """Open SpikeInterface's binary folder; a property that it would unpickle is refused."""
    refuse_choice(path.name, stream=stream)
    for file in sorted(path.glob("properties/*.npy")):
        try:
            np.load(file, allow_pickle=False)
        except Exception as error:  # numpy on a damaged file raises anything
            raise InputError(f"{path.name} {_PICKLED.format(f'properties/{file.name}')}") from error
    recording = sc.read_binary_folder(path)
    frame_bytes = recording.get_num_channels() * recording.get_dtype().itemsize
    for segment in recording.segments:
        if segment.data_size_in_bytes % frame_bytes:
            raise InputError(f"{path.name} {CUT_SHORT}: {Path(segment.file_path).name} ends within a frame")
    return recording, [path]


def _open_hdf5(path: Path, stream: str | None, well: str | None) -> Opened:
    """Open MaxWell's or MultiChannel Systems' HDF5, recognised by its content."""
    with open_hdf5(path) as file:
        if "version" in file and ("wells" in file or {"sig", "mapping"} <= set(file)):
            return _open_maxwell(path, file, stream, well)
        refuse_choice(path.name, well=well)
        if "Data/Recording_0/AnalogStream" in file:
            return _open_mcs(path, file, stream)
        raise InputError(
            f"{path.name} holds no recording that is read: neither MaxWell's version with wells or sig and mapping, "
            f"nor MultiChannel Systems' Data/Recording_0/AnalogStream, nor windows already cut under the name windows; "
            f"it has {contents(file)}"
        )


def _open_mcs(path: Path, file: h5py.File, stream: str | None) -> Opened:
    streams = {}
    for key, group in file["Data/Recording_0/AnalogStream"].items():
        words = [group.attrs.get(name, b"") for name in ("Label", "DataSubType")]
        words = [word.decode() if isinstance(word, bytes) else str(word) for word in words]
        streams[f"{key} {', '.join(filter(None, words))}".strip()] = int(key.removeprefix("Stream_"))
    chosen = pick_stream(path.name, list(streams), stream)
    number = streams[chosen]
    _require_stored(file[f"Data/Recording_0/AnalogStream/Stream_{number}/ChannelData"], path.name)
    time_us, begins, _ = file[f"Data/Recording_0/AnalogStream/Stream_{number}/ChannelDataTimeStamps"][()].T
    recording = se.MCSH5RecordingExtractor(path, stream_id=number)
    recording.annotate(streams=list(streams), stream=chosen)
    return at_breaks(recording, path.name, [(begins, time_us / 1e6)]), [path]


def _open_maxwell(path: Path, file: h5py.File, stream: str | None, well: str | None) -> Opened:
    """Open a file of MaxOne or MaxTwo; a well is named as in the file (``well000``), by ``well`` or ``stream``.

    SpikeInterface would download the maker's decompression library for every file; it is needed for compressed ones.
    """
    wells = file.get("wells", {"well000": ["rec0000"]})
    recordings = {
        name if len(parts) == 1 else f"{name}/{part}": (name, part) for name, parts in wells.items() for part in parts
    }
    if well is not None and stream is not None:
        raise InputError(f"{path.name} holds wells and no other streams: give the well and leave the stream out")
    wanted = well if stream is None else stream
    if len(recordings) > 1 if wanted is None else wanted not in recordings:
        raise InputError(
            f"{path.name} holds {f'no well {wanted!r}' if wanted else f'{len(recordings)} wells'}: pick one of "
            f"{', '.join(recordings)} with --set 01_preprocessing.well=NAME"
        )
    chosen, part = recordings[wanted or next(iter(recordings))]
    old = "wells" not in file
    samples = file["sig" if old else f"wells/{chosen}/{part}/groups/routed/raw"]
    _require_stored(samples, path.name)
    plist = samples.id.get_create_plist()
    if missing := [f for f in range(plist.get_nfilters()) if not h5py.h5z.filter_avail(plist.get_filter(f)[0])]:
        raise InputError(
            f"{path.name} is compressed ({plist.get_filter(missing[0])[-1].decode()}), which takes MaxWell's "
            f"decompression library: put it into a folder and start again with HDF5_PLUGIN_PATH set to that folder"
        )
    recording = se.MaxwellRecordingExtractor(
        path, stream_id=chosen, rec_name=None if old else part, install_maxwell_plugin=False
    )
    if old:
        _read_mapped_rows(recording)
    return recording, [path]


def _read_mapped_rows(recording: sc.BaseRecording) -> None:
    """Give the rows of ``sig`` that are mapped to electrodes: neo (0.14) gives the first ones, or all."""
    segment, rows = recording.segments[0], recording.channel_ids.astype(int)
    read = segment.get_traces

    def get_traces(start_frame=None, end_frame=None, channel_indices=None) -> np.ndarray:
        return read(start_frame, end_frame, rows[slice(None) if channel_indices is None else channel_indices])

    segment.get_traces = get_traces


def _open_spikeglx(path: Path, stream: str | None) -> Opened:
    """Open one ``.bin`` with its ``.meta``, whatever lies beside: SpikeInterface's reader takes a folder for a run."""
    meta_file = path.with_suffix(".meta")
    meta = read_meta_file(meta_file)
    device = re.search(r"\.(imec\d*\.(?:ap|lf)|nidq|obx\d+\.obx)\.bin$", meta["fileName"])
    # neo recognises the device by the points in the whole name, which a run may have of its own.
    info = extract_stream_info(meta_file, meta | ({"fileName": f"run.{device[1]}.bin"} if device else {}))
    if "snsApLfSy" in meta:
        n_electrodes = sum(int(n) for n in meta["snsApLfSy"].split(",")[:2])
    else:
        n_electrodes = int(meta.get("snsMnMaXaDw", "0").split(",")[0])  # an NI-DAQ's multiplexed neural channels
    if n_electrodes == 0:
        raise InputError(f"{path.name} holds no electrodes, only inputs of {info['stream_name']}: choose another file")
    if stream not in (None, info["stream_name"]):
        raise InputError(f"{path.name} holds a single stream, '{info['stream_name']}': leave the stream out")
    size = path.stat().st_size
    if size == 0 or size < int(meta.get("fileSizeBytes", 0)) or size % (2 * info["num_chan"]):
        raise InputError(
            f"{path.name} {CUT_SHORT}: it has {size} bytes of {info['num_chan']} channels, and its .meta states "
            f"{meta.get('fileSizeBytes', 'no number')}"
        )
    recording = sc.read_binary(
        path,
        sampling_frequency=info["sampling_rate"],
        num_channels=info["num_chan"],
        dtype="int16",
        channel_ids=info["channel_names"],
        gain_to_uV=info["channel_gains"] * (1e6 if info["units"] == "V" else 1),
        offset_to_uV=info["channel_offsets"],
    ).select_channels(info["channel_names"][:n_electrodes])
    if "imroTbl" in meta:
        recording.set_probe(probeinterface.read_spikeglx(meta_file))
    return recording, [path, meta_file]


def _open_openephys(path: Path, stream: str | None) -> Opened:
    """Open a folder of Open Ephys' binary format: a recording, or an experiment, whose recordings become segments."""
    experiments = sorted({file.parents[1] for file in path.rglob("structure.oebin")})
    if len(experiments) > 1 and len({e.name for e in experiments}) > 1:
        raise InputError(
            f"{path.name} holds {len(experiments)} experiments: name the folder of one of "
            f"{', '.join(e.relative_to(path).as_posix() for e in experiments)}"
        )
    recording, _ = open_neo(se.OpenEphysBinaryRecordingExtractor, path, stream)
    reader, files, begins = recording.neo_reader, [], []
    buffer_id = reader.header["signal_streams"][recording.stream_index]["buffer_id"]
    for segment in range(recording.get_num_segments()):
        buffer = reader._buffer_descriptions[0][segment][buffer_id]
        samples = Path(buffer["file_path"])
        times = sorted(samples.parent.glob("*.npy"))
        whole = np.prod(buffer["shape"]) * np.dtype(buffer["dtype"]).itemsize == samples.stat().st_size
        if not whole or any(len(np.load(file, mmap_mode="r")) != buffer["shape"][0] for file in times):
            raise InputError(f"{samples.relative_to(path)} of {path.name} {CUT_SHORT}: its times end elsewhere")
        files += [samples, *times, samples.parents[2] / "structure.oebin"]
        numbers = np.load(next(file for file in times if file.stem in ("sample_numbers", "timestamps")), mmap_mode="r")
        if numbers.dtype.kind in "iu":
            frames = np.r_[0, np.flatnonzero(np.diff(numbers) != 1) + 1]
            begins.append((frames, numbers[frames] / recording.get_sampling_frequency()))
    settings = [e["settings_file"] for node in reader.folder_structure.values() for e in node["experiments"].values()]
    if begins:
        recording = at_breaks(recording, path.name, begins)
    return recording, files + [file for file in settings if file.parent in files[0].parents and file.is_file()]


READERS: dict[str, tuple[Callable, tuple[bytes, ...]]] = {
    ".abf": (_open_abf, (b"ABF ", b"ABF2")),
    ".edf": (partial(open_neo, se.EDFRecordingExtractor), (b"0       ",)),
    ".nex": (_open_nex, (b"NEX1",)),
    ".nix": (_open_nix, (HDF5,)),
    ".ns5": (_open_blackrock, (b"NEURALSG", b"NEURALCD", b"BRSMPGRP")),
    ".ns6": (_open_blackrock, (b"NEURALSG", b"NEURALCD", b"BRSMPGRP")),
    ".nwb": (_open_nwb, (HDF5,)),
    ".plx": (_open_plexon, (b"PLEX",)),
    ".rhd": (_open_intan, (b"\x02\x27\x91\xc6",)),
    ".rhs": (_open_intan, (b"\xac\x27\x91\xd6",)),
    ".smr": (partial(open_neo, se.Spike2RecordingExtractor), ()),
    ".smrx": (partial(open_neo, se.CedRecordingExtractor), ()),
    ".zarr": (_open_zarr, ()),
}
"""By suffix, with the bytes with which a file begins, if they are known; beside them HDF5 of MaxWell and MultiChannel
Systems (``.h5``, ``.hdf5``), SpikeGLX (``.bin`` with its ``.meta``), and binary folders of Open Ephys and of
SpikeInterface."""
HDF5_SUFFIXES = (".h5", ".hdf5")
_PICKLED = "has {} damaged or of Python objects, which are not unpickled: save the recording again without them"
PACKAGES = {".edf": "pyedflib", ".nix": "nixio", ".smrx": "sonpy"}
"""What neo needs beyond its own dependencies."""


def open_known(path: Path, stream: str | None, well: str | None) -> Opened | None:
    """Open a recording by its suffix, or by what is in it; None for a format that is not known.

    ``InputError``: what cannot be read, with its cause; no electrodes, several streams of them and none picked, or a
    stream or well that is not there.
    """
    suffix = path.suffix.lower()
    kind, (reader, signatures) = suffix, READERS.get(suffix, (None, ()))
    if suffix in HDF5_SUFFIXES:
        reader = partial(_open_hdf5, well=well)
    elif suffix == ".bin" and path.with_suffix(".meta").is_file():
        kind, reader = "SpikeGLX", _open_spikeglx
    elif reader is None and any(any(path.glob(name)) for name in ("binary.json", "traces_cached_seg*")):
        kind, reader = "SpikeInterface", _open_binary_folder
    elif reader is None and path.is_dir() and any(path.rglob("structure.oebin")):
        kind, reader = "Open Ephys", _open_openephys
    if reader is None:
        return None
    if suffix not in HDF5_SUFFIXES:
        refuse_choice(path.name, well=well)
    try:
        recording, files = reader(path, stream=stream)
        return _electrodes(recording, path.name), files
    except InputError:
        raise
    except Exception as error:  # readers of other people's formats raise anything
        raise InputError(f"{path.name} {_cause(path, kind, signatures, error)}") from error


def _electrodes(recording: sc.BaseRecording, name: str) -> sc.BaseRecording:
    """Leave out the channels that are named as auxiliary inputs."""
    names = recording.get_property("channel_name")
    names = recording.channel_ids if names is None else names
    kept = np.array([AUXILIARY_CHANNEL.fullmatch(str(n)) is None for n in names], bool)
    if not kept.any():
        raise InputError(f"{name} holds no electrodes, only {', '.join(map(str, names))}: choose another file")
    return recording if kept.all() else recording.select_channels(recording.channel_ids[kept])


def _cause(path: Path, kind: str, signatures: tuple[bytes, ...], error: Exception) -> str:
    """Say why a file could not be read, in words that follow its name."""
    said = f"{type(error).__name__}: {first_line(error)}"
    if path.is_file() and signatures:
        with open(path, "rb") as file:
            start = file.read(16)
        if not any(start.startswith(w) or w.startswith(start) for w in signatures):
            return f"could not be read as a {kind} recording: it begins as no such file does; check its name"
        if len(start) < 16:
            return f"{CUT_SHORT}: copy it again when it is finished"
    if (package := PACKAGES.get(kind)) and importlib.util.find_spec(package) is None:
        return f"cannot be read without the package {package}: pip install {package}"
    if isinstance(error, (EOFError, struct.error)) or ENDS_EARLY.search(str(error)):
        return f"{CUT_SHORT} ({said}): copy it again when it is finished"
    return f"could not be read as a {kind} recording ({said}): is it complete, and of that format?"
