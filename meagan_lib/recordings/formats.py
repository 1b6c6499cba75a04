"""Recordings of other makers, read by SpikeInterface: the electrodes' own stream of what was named, and no neighbour.

A file may hold several streams: electrodes as they were recorded, the same filtered (LFP), auxiliary inputs,
synchronisation. The only one of the first kind is taken; of several one is picked by its name; an input that is no
electrode never is.
"""

import importlib.util
import math
import re
import struct
import tempfile
from collections.abc import Callable, Sequence
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

Opened = tuple[sc.BaseRecording, list[Path]]
"""A recording, and the files that it is read from, that of the samples first."""
AUXILIARY = re.compile(
    r"aux|analog|adc|dac|digital|ttl|sync|supply|temperature|stim|trigger|event|nidq|ni-daq|obx", re.IGNORECASE
)
"""Words in the name of a stream that holds no electrodes."""
AUXILIARY_CHANNEL = re.compile(r"(aux|adc|dac|ainp?|analog|ttl|sync|din|dout|vdd|trigger)[\W_]*\d*", re.IGNORECASE)
"""Name of a channel that is no electrode, in a stream of electrodes."""
DERIVED = re.compile(r"lfp|serieslf|\blf\b|filt|low.?pass|high.?pass|\bdc\b|processing/", re.IGNORECASE)
"""Words in the name of a stream derived from the electrodes' own: taken only when it is picked."""
ENDS_EARLY = re.compile(
    r"truncat|end.of.file|\beof\b|mmap length|not a multiple|requires a buffer|too small|cannot reshape|empty file"
    r"|buffer size|out of bounds|a read error|\(Filesize\)",
    re.IGNORECASE,
)
"""Words of a reader that met the end of the file where it expected samples."""


def refuse_choice(name: str, **choices: str | None) -> None:
    """Raise where a well or a stream was picked of what has none."""
    for what, choice in choices.items():
        if choice is not None:
            raise InputError(f"{name} has no {what}s: leave the {what} out")


def _pick_stream(name: str, streams: Sequence[str], stream: str | None) -> str:
    """Pick the stream of electrodes among ``streams``, or the one that ``stream`` names in full or in part."""
    electrodes = [s for s in streams if not AUXILIARY.search(s)]
    own = [s for s in electrodes if not DERIVED.search(s)]
    choices = ", ".join(f"'{s}'" for s in electrodes)
    if not electrodes:
        raise InputError(
            f"{name} holds no stream of electrodes, only {', '.join(streams) or 'none at all'}: choose another file"
        )
    if stream is None:
        if len(own) == 1:
            return own[0]
        raise InputError(
            f"{name} holds {'several' if own else 'only filtered'} streams of electrodes: pick one of {choices} with "
            f'--set "01_preprocessing.stream=NAME"'
        )
    named = [s for s in streams if s == stream] or [s for s in streams if stream.lower() in s.lower()]
    if len(named) == 1 and named[0] in electrodes:
        return named[0]
    if len(named) == 1:
        raise InputError(f"'{named[0]}' of {name} is no stream of electrodes: pick one of {choices}")
    if len(streams) == 1:
        raise InputError(f"{name} holds a single stream, {choices}, and no '{stream}': leave the stream out")
    raise InputError(f"{name} holds {'several streams' if named else 'no stream'} '{stream}': pick one of {choices}")


def _neo(extractor: type, path: Path, stream: str | None) -> Opened:
    """Open one file, with as many streams as neo finds in it."""
    names, ids = extractor.get_streams(path)
    chosen = _pick_stream(path.name, [str(n) or str(i) for n, i in zip(names, ids)], stream)
    index = names.index(chosen) if chosen in names else ids.index(chosen)
    recording = extractor(path, stream_id=ids[index])
    recording.annotate(streams=[str(n) for n in names], stream=chosen)
    return recording, [path]


def _at_breaks(
    recording: sc.BaseRecording, name: str, begins: Sequence[tuple[np.ndarray, np.ndarray]]
) -> sc.BaseRecording:
    """Divide each segment of a recording at the gaps over which SpikeInterface lays it end to end.

    ``begins`` are, for each segment, the frames int64 (stretches,) with which stretches of time begin, and when that
    was, float64 (stretches,) in s.
    """
    if all(len(frames) == 1 for frames, _ in begins):
        return recording
    pieces, rate = [], recording.get_sampling_frequency()
    for segment, (frames, times_s) in enumerate(begins):
        if (np.diff(times_s) * rate < np.diff(frames) - 0.5).any():
            raise InputError(f"{name} has stretches of time that overlap or run backwards: export it anew")
        own = recording.select_segments([segment])
        pieces += [own.frame_slice(int(a), int(b)) for a, b in zip(frames, [*frames[1:], own.get_num_samples()])]
    divided = sc.append_recordings(pieces)
    for segment, time_s in enumerate(np.concatenate([times_s for _, times_s in begins])):
        divided.shift_times(float(time_s) - divided.get_start_time(segment), segment)
    return divided


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
    recording, files = _neo(se.IntanRecordingExtractor, path, stream)
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


def _open_nwb(path: Path, stream: str | None) -> Opened:
    if path.is_file():
        with open_hdf5(path) as file:
            there = contents(file)
    series = se.NwbRecordingExtractor.fetch_available_electrical_series_paths(path)
    if not series:
        raise InputError(
            f"{path.name} holds no ElectricalSeries, which a recording in NWB is{f'; it has {there}' if there else ''}"
        )
    chosen = _pick_stream(path.name, series, stream)
    recording = se.NwbRecordingExtractor(path, electrical_series_path=chosen)
    recording.annotate(streams=series, stream=chosen)
    if isinstance(samples := recording._reader.file[chosen]["data"], h5py.Dataset):  # it may be Zarr
        _require_stored(samples, path.name)
    if (times := recording._reader.file[chosen].get("timestamps")) is None:
        return recording, [path]
    times_s = times[:]
    steps = np.diff(times_s, prepend=-np.inf) * recording.get_sampling_frequency()
    begins = np.flatnonzero((steps > 1.5) | (steps < 0))
    return _at_breaks(recording, path.name, [(begins, times_s[begins])]), [path]


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
    chosen = _pick_stream(path.name, list(streams), stream)
    number = streams[chosen]
    _require_stored(file[f"Data/Recording_0/AnalogStream/Stream_{number}/ChannelData"], path.name)
    time_us, begins, _ = file[f"Data/Recording_0/AnalogStream/Stream_{number}/ChannelDataTimeStamps"][()].T
    recording = se.MCSH5RecordingExtractor(path, stream_id=number)
    recording.annotate(streams=list(streams), stream=chosen)
    return _at_breaks(recording, path.name, [(begins, time_us / 1e6)]), [path]


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
    recording, _ = _neo(se.OpenEphysBinaryRecordingExtractor, path, stream)
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
        recording = _at_breaks(recording, path.name, begins)
    return recording, files + [file for file in settings if file.parent in files[0].parents and file.is_file()]


READERS: dict[str, tuple[Callable, tuple[bytes, ...]]] = {
    ".abf": (partial(_neo, se.AxonRecordingExtractor), (b"ABF ", b"ABF2")),
    ".edf": (partial(_neo, se.EDFRecordingExtractor), (b"0       ",)),
    ".nex": (partial(_neo, se.NeuroExplorerRecordingExtractor), (b"NEX1",)),
    ".nix": (partial(_neo, se.NixRecordingExtractor), (HDF5,)),
    ".ns5": (_open_blackrock, (b"NEURALSG", b"NEURALCD", b"BRSMPGRP")),
    ".ns6": (_open_blackrock, (b"NEURALSG", b"NEURALCD", b"BRSMPGRP")),
    ".nwb": (_open_nwb, (HDF5,)),
    ".plx": (partial(_neo, se.PlexonRecordingExtractor), (b"PLEX",)),
    ".rhd": (_open_intan, (b"\x02\x27\x91\xc6",)),
    ".rhs": (_open_intan, (b"\xac\x27\x91\xd6",)),
    ".smr": (partial(_neo, se.Spike2RecordingExtractor), ()),
    ".smrx": (partial(_neo, se.CedRecordingExtractor), ()),
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
