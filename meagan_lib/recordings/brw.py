"""3Brain recordings (BRW, HDF5): lazily, with the electrodes where the chip has them.

Two layouts are read: BRW 3.x (root group ``3BRecInfo``) and BRW 4.x (``ExperimentSettings`` or ``ExperimentInfo``,
and a group ``Well_<name>`` for each well; BrainWave 5 and 6 write it). In both raw samples are unsigned 16-bit codes,
frame after frame, mostly as one flat dataset, in 3.x of ``Version`` 100 as (frames, channels); what 4.x compresses is
read by ``events.py`` and ``wavelets.py``. The reader of neo (0.14) is not used, because it takes the chip of a 4.x file
for a square of as many electrodes as were stored: the positions of a subset are wrong, a number that is no square
fails, and only the first well is seen.
"""

import json
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import spikeinterface.core as sc

from meagan_lib import InputError
from meagan_lib.recordings.events import STORED_NOISE, Block, EventsSegment, Noise, blocks_of, events_toc
from meagan_lib.recordings.hdf5 import CUT_SHORT, contents, first_line, open_hdf5, small, text
from meagan_lib.recordings.segments import EXPORT, FileSegment, Uncompressed
from meagan_lib.recordings.wavelets import WaveletSegment, wavelet_layout

CHIP_ELECTRODES = 64
"""Electrodes along one side of a 3Brain chip."""
PITCH_UM = {"accura": 60.0, "coreplate": 60.0, "stimulo": 81.0}
"""Distance between electrodes by the beginning of ``MeaPlate.Model``; every other chip has :data:`DEFAULT_PITCH_UM`."""
DEFAULT_PITCH_UM = 42.0
"""Pitch of the Arena and Prime chips of the BioCAM, also assumed where the file names no model (3.x never does)."""
RATES_HZ = (100.0, 1e6)
"""Sampling rates outside are taken for damage of the header."""
CODINGS = {"Raw": "raw", "EventsBasedSparseRaw": "events-based", "WaveletBasedEncodedRaw": "wavelet-compressed"}
"""How the samples of a 4.x file are stored, by the name of their dataset."""
UNTRIED = "no real file of this kind was at hand when its reader was written, so compare with BrainWave what comes out"
MOST_CHANNELS = 2**20
"""Indices of stored channels beyond are damage."""


@dataclass(frozen=True)
class BrwHeader:
    """What a BRW file says of one well.

    ``dataset`` is the path of the samples in the file, in which the ``stretches`` of time follow one another: int64
    (stretches, 2), first frame and end of each, with frames counted from the first one on.
    A stored code is ``gain_uv`` · code + ``offset_uv`` microvolts; an inverted signal (``SignalInversion`` −1) has a
    negative gain, so that codes need no mirroring.
    ``electrodes`` int (channels, 2) are rows and columns from 0, in the order of the channels; None where the stored
    index lies beyond a 64 × 64 chip, for no position is better than a wrong one.
    """

    dataset: str
    stretches: np.ndarray
    n_channels: int
    sampling_rate_hz: float
    gain_uv: float
    offset_uv: float
    adc_range: tuple[int, int]
    electrodes: np.ndarray | None
    pitch_um: float
    pitch_from: str
    bytes: Uncompressed | None = None
    """Of raw samples that are not compressed: where they lie in the file."""
    index: np.ndarray | None = None
    """Indices of the stored channels, int (channels,): 4.x only."""
    coding: str = "raw"
    """A value of ``CODINGS``."""
    frames_per_chunk: int = 1
    """Frames that lie together in the file: who reads whole ones reads each once."""
    noise: Noise | None = None
    """Of events-based files: what lay between the ranges; and the blocks of each stretch."""
    blocks: list[list[Block]] | None = None
    level: int = 0
    """Of wavelet-compressed files; with the frames of a chunk, and the chunks of each stretch."""
    chunk_length: int = 0
    chunks: list[np.ndarray] | None = None

    @property
    def survives_hz(self) -> float | None:
        """Frequency above which compression has removed everything; None where it has not."""
        return self.sampling_rate_hz / 2**self.level if self.level else None

    @property
    def cautions(self) -> list[str]:
        """What whoever uses these samples must know, in sentences without the name of the file."""
        if self.noise is not None:
            return [
                "is events-based: between the stored ranges there are only statistics of the noise, and samples drawn "
                "from them; neither noise levels nor spikes are taken from these",
                f"is events-based: {UNTRIED}",
            ]
        if self.level:
            return [
                f"is wavelet-compressed: only what lies below {self.survives_hz:g} Hz survives, the pass band ends "
                "there, and spikes have lost their sharpest part",
                f"is wavelet-compressed: {UNTRIED}",
            ]
        return []


class BrwRecording(sc.BaseRecording):
    """A BRW file as a SpikeInterface recording: codes (frames, channels), read when asked for.

    They are uint16, but for the float32 that wavelets give.

    Each stretch of time is a segment, which states when it began (``get_start_time``). ``well``, such as ``"A1"``, may
    be None where there is but one.

    Annotations: ``files`` (one path), ``hdf5_dataset`` (path of the samples in the file: flat and frame-major, or
    (frames, channels)), ``adc_range`` (lowest and highest code), ``pitch_um`` and ``pitch_from`` (what the pitch was
    taken from), ``frames_per_chunk``, ``piece_bytes`` (to be read at once of what is not compressed), ``cautions``
    (sentences), ``survives_hz``. Positions are (row, column) · pitch in µm, as SpikeInterface has them. The channels of
    an events-based file have the property ``STORED_NOISE``.

    An InputError is raised for what :func:`read_header` refuses; on reading traces, for samples that the file does not
    give.
    """

    def __init__(self, file_path: str | Path, well: str | None):
        header = read_header(Path(file_path), well)
        ids = [str(i + 1) for i in range(header.n_channels)]
        super().__init__(header.sampling_rate_hz, ids, np.dtype("float32" if header.level else "uint16"))
        for segment in _segments(Path(file_path), header):
            self.add_recording_segment(segment)
        self.set_channel_gains(header.gain_uv)
        self.set_channel_offsets(header.offset_uv)
        if header.electrodes is not None:
            self.set_dummy_probe_from_locations(header.electrodes * header.pitch_um)
        if header.noise is not None:
            self.set_property(STORED_NOISE, header.noise.level)
        told = ("adc_range", "pitch_um", "pitch_from", "frames_per_chunk", "survives_hz")
        cautions = [f"{Path(file_path).name} {words}" for words in header.cautions]
        self.annotate(files=[str(file_path)], hdf5_dataset=header.dataset, cautions=cautions)
        self.annotate(**{name: getattr(header, name) for name in told})
        self.annotate(piece_bytes=header.bytes and header.bytes.piece_bytes)
        self._kwargs = {"file_path": str(file_path), "well": well}


def _segments(path: Path, header: BrwHeader) -> list[sc.BaseRecordingSegment]:
    """Make the segment of each stretch, by how its samples are stored."""
    rate, stretches = header.sampling_rate_hz, header.stretches.tolist()
    begun_s = [first / rate for first, _ in stretches]
    if header.noise is not None:
        return [
            EventsSegment(path, header.dataset, header.noise, header.index, blocks, header.adc_range, rate, time_s)
            for blocks, time_s in zip(header.blocks, begun_s)
        ]
    if header.level:
        of = (path, header.dataset, header.level, header.chunk_length, header.n_channels)
        return [WaveletSegment(*of, chunks, rate, time_s) for chunks, time_s in zip(header.chunks, begun_s)]
    stored = np.cumsum([0, *(end - first for first, end in stretches)]).tolist()
    return [_BrwSegment(path, header, at, first, end) for at, (first, end) in zip(stored, stretches)]


class _BrwSegment(FileSegment):
    """One stretch: frames ``stored`` to ``stored + n_frames`` of the samples, which began at frame ``first``."""

    def __init__(self, path: Path, header: BrwHeader, stored: int, first: int, end: int):
        super().__init__(path, header.sampling_rate_hz, first / header.sampling_rate_hz, end - first)
        self.header, self.stored = header, stored

    def get_traces(self, start_frame=None, end_frame=None, channel_indices=None) -> np.ndarray:
        """Codes uint16 (frames, channels)."""
        n = self.header.n_channels
        start, end, _ = slice(start_frame, end_frame).indices(self.n_frames)
        start, end = self.stored + start, self.stored + max(start, end)
        try:
            if self.header.bytes is not None:
                codes = self.header.bytes.read(start * n, end * n).reshape(-1, n)
            else:
                self.file = self.file or h5py.File(self.path, "r")
                samples = self.file[self.header.dataset]
                codes = samples[start:end] if samples.ndim == 2 else samples[start * n : end * n].reshape(-1, n)
        except Exception as error:  # a damaged HDF5 file raises anything
            raise InputError(
                f"{self.path.name} is damaged, its frames {start} to {end} cannot be read: copy it again"
            ) from error
        return codes if channel_indices is None else codes[:, channel_indices]


def read_header(path: Path, well: str | None) -> BrwHeader:
    """Read the header of a BRW file and make sure that it fits the samples; these are not read.

    ``InputError``: no HDF5 file or no 3Brain header; several wells and none picked; stretches of time that overlap or
    run backwards; anything missing, impossible or at odds with the number of samples.
    """
    try:
        with open_hdf5(path) as file:
            header = _read_3(file, path.name, well) if "3BRecInfo" in file else _read_4(file, path.name, well)
            _require_possible(header, path.name)
            if header.coding == "events-based":
                return _with_events(file, header, path.name)
            samples = file[header.dataset]
            if header.coding == "wavelet-compressed":
                toc = read_toc(file, path.name)
                toc = toc[toc[:, 0] < toc[:, 1]] - toc[toc[:, 0] < toc[:, 1]][0, 0]
                layout = wavelet_layout(samples.parent, toc, header.stretches, header.n_channels, path.name)
                return replace(header, **dict(zip(("level", "chunk_length", "chunks"), layout)))
            _require_fitting(header, samples, path.name)
            if (bytes := Uncompressed(samples)).at is not None:
                return replace(header, bytes=bytes)
            together = samples.chunks[0] // (header.n_channels if samples.ndim == 1 else 1) if samples.chunks else 1
            return replace(header, frames_per_chunk=max(together, 1))
    except InputError:
        raise
    except KeyError as error:
        raise InputError(
            f"{path.name} lacks a part of the BRW header or is damaged ({first_line(error)}): copy it again or {EXPORT}"
        ) from error
    except Exception as error:  # h5py on a damaged file, and numpy and json on what it gives, raise anything
        raise InputError(
            f"the header of {path.name} is damaged ({type(error).__name__}: {first_line(error)}): copy it again"
        ) from error


def _read_3(file: h5py.File, name: str, well: str | None) -> BrwHeader:
    if well is not None:
        raise InputError(f"{name} is a BRW 3.x file, which has no wells: leave the well out")
    if "3BData/Raw" not in file:
        raise InputError(f"{name} is a BRW 3.x file without raw data: {EXPORT}")
    gain, offset, rate, n_frames, highest = scale_3(file, name)
    electrodes = electrodes_3(file["3BRecInfo/3BMeaStreams/Raw/Chs"], name)
    return BrwHeader(
        dataset="3BData/Raw",
        stretches=np.array([[0, n_frames]]),
        n_channels=len(electrodes),
        sampling_rate_hz=rate,
        gain_uv=gain,
        offset_uv=offset,
        adc_range=(0, highest),
        electrodes=electrodes,
        pitch_um=DEFAULT_PITCH_UM,
        pitch_from="assumed: BRW 3.x names no model of the chip",
    )


def scale_3(file: h5py.File, name: str) -> tuple[float, float, float, int, int]:
    """Read of a 3.x header the µV of a step and of code 0, the rate in Hz, the frames, and the highest code."""
    bits, high, low, n_frames, rate, inversion = (
        small(file[f"3BRecInfo/3BRecVars/{key}"]).ravel()[0].item()  # plain numbers: 2 ** uint8(12) would be 0
        for key in ("BitDepth", "MaxVolt", "MinVolt", "NRecFrames", "SamplingRate", "SignalInversion")
    )
    if not 1 <= bits <= 16 or inversion not in (1, -1):
        raise InputError(
            f"{name} has a BitDepth of {bits} and a SignalInversion of {inversion:g}, which cannot be: copy it again"
        )
    step = (high - low) / 2**bits
    return inversion * step, low if inversion == 1 else high, float(rate), n_frames, 2**bits - 1


def electrodes_3(chs: h5py.Dataset, name: str) -> np.ndarray:
    """Read rows and columns int (channels, 2), from 0, of a table of a 3.x file."""
    chs = small(chs)
    electrodes = np.stack([chs["Row"], chs["Col"]], axis=1).astype(int) - 1
    if (electrodes < 0).any() or (electrodes >= CHIP_ELECTRODES).any():
        raise InputError(f"{name} names electrodes beyond a chip of 64 × 64: its header is damaged, copy it again")
    return electrodes


def _read_4(file: h5py.File, name: str, well: str | None) -> BrwHeader:
    if not {"ExperimentSettings", "ExperimentInfo"} & set(file):
        raise InputError(
            f"{name} is an HDF5 file but no BRW recording: no 3Brain header was found in it, only {contents(file)}"
        )
    group = pick_well(file, name, well)
    stored = next((dataset for dataset in CODINGS if dataset in group), None)
    if stored is None:
        raise InputError(f"{name} holds no samples of the well {group.name[6:]}: {EXPORT}")
    settings, (low, high, low_code, high_code, scale, rate) = settings_4(file)
    step = scale * (high - low) / (high_code - low_code)
    index = stored_channels(group, settings, name)
    pitch_um, pitch_from = pitch_4(settings)
    return BrwHeader(
        dataset=f"{group.name[1:]}/{stored}",
        stretches=stretches_of(read_toc(file, name)),
        n_channels=len(index),
        sampling_rate_hz=float(rate),
        gain_uv=step,
        offset_uv=scale * low - low_code * step,
        adc_range=(int(low_code), int(high_code)),
        electrodes=electrodes_4(index),
        pitch_um=pitch_um,
        pitch_from=pitch_from,
        index=index,
        coding=CODINGS[stored],
    )


def pick_well(file: h5py.File, name: str, well: str | None, section: str = "01_preprocessing") -> h5py.Group:
    """Return the group of a 4.x file's only well, or of the one that was picked by the parameter of a ``section``."""
    wells = sorted(key.removeprefix("Well_") for key in file if key.startswith("Well_"))
    if not wells:
        raise InputError(
            f"{name} is an HDF5 file but holds no wells: no 3Brain header was found in it, only {contents(file)}"
        )
    if len(wells) > 1 if well is None else well not in wells:
        raise InputError(
            f"{name} holds {f'{len(wells)} wells' if well is None else f'no well {well!r}'}: pick one of "
            f"{', '.join(wells)} with --set {section}.well=NAME"
        )
    return file[f"Well_{well or wells[0]}"]


def stretches_of(toc: np.ndarray) -> np.ndarray:
    """Join the rows of a table of contents that touch: int64 (stretches, 2), counted from the first frame on."""
    toc = toc[toc[:, 0] < toc[:, 1]]
    begins = np.r_[True, toc[1:, 0] != toc[:-1, 1]][: len(toc)]
    return np.stack([toc[begins, 0], toc[np.roll(begins, -1), 1]], axis=1) - toc[:1, 0]


def electrodes_4(index: np.ndarray) -> np.ndarray | None:
    """Return rows and columns int (channels, 2) of stored channels; None where one lies beyond a 64 × 64 chip."""
    on_chip = (index < CHIP_ELECTRODES**2).all()
    return np.stack(divmod(index, CHIP_ELECTRODES), axis=1) if on_chip else None


def pitch_4(settings: dict) -> tuple[float, str]:
    """Return the pitch in µm of the model of the chip that the header names, and what it was taken from."""
    model = str(settings.get("MeaPlate", {}).get("Model", ""))
    pitch_um = next((pitch for start, pitch in PITCH_UM.items() if model.lower().startswith(start)), DEFAULT_PITCH_UM)
    return pitch_um, f"model {model}" if model else "assumed: the file names no model of the chip"


def read_toc(file: h5py.File, name: str) -> np.ndarray:
    """Read the table of contents int64 (rows, 2), first frame and end of each; rows may be empty."""
    toc = small(file["TOC"])
    if toc.ndim != 2 or toc.shape[1] != 2:
        raise InputError(f"{name} has a table of contents of shape {toc.shape} in place of (chunks, 2): copy it again")
    toc = toc.astype(np.int64)
    wrong = (toc[:, 1] < toc[:, 0]) | np.r_[False, toc[1:, 0] < toc[:-1, 1]][: len(toc)]
    if wrong.any():
        raise InputError(
            f"{name} has a table of contents whose stretches of time overlap or run backwards, at its row "
            f"{int(wrong.argmax())}: copy it again or {EXPORT}"
        )
    return toc


def stored_channels(group: h5py.Group, settings: dict, name: str) -> np.ndarray:
    """Return the indices of the channels that were stored; BrainWave 6 may keep them in its header instead."""
    if "StoredChIdxs" not in group and "StoredPlateElIdxs" in settings.get("CorePlateData", {}):
        index = np.array(settings["CorePlateData"]["StoredPlateElIdxs"], int).ravel()
    else:
        index = small(group["StoredChIdxs"]).ravel().astype(int)
    if (index < 0).any():
        raise InputError(f"{name} names electrodes below 0: its header is damaged, copy it again")
    return index


def _with_events(file: h5py.File, header: BrwHeader, name: str) -> BrwHeader:
    """Add to the header where the events of each stretch lie, and the noise between them."""
    group, toc = file[header.dataset].parent, read_toc(file, name)
    if header.index.max() >= MOST_CHANNELS:
        raise InputError(f"{name} names a channel {header.index.max()}: its header is damaged, copy it again")
    columns = np.full(int(header.index.max()) + 1, -1, np.int32)
    columns[header.index] = np.arange(header.n_channels)
    begins, noise = events_toc(group, toc, name), Noise(group, toc, columns, (sum(header.adc_range) + 1) // 2, name)
    empty = toc[:, 0] == toc[:, 1]
    if (np.diff(begins)[empty] > 0).any():
        raise InputError(f"{name} holds events in a stretch of no length: copy it again or {EXPORT}")
    toc, ends = toc[~empty], begins[1:][~empty]
    begins = np.append(begins[:-1][~empty], ends[-1])
    first_rows = [*np.searchsorted(toc[:, 0], header.stretches[:, 0] + toc[0, 0]), len(toc)]
    blocks = [blocks_of(toc[a:b], begins[a : b + 1]) for a, b in pairwise(first_rows)]
    return replace(header, noise=noise, blocks=blocks)


def settings_4(file: h5py.File) -> tuple[dict, tuple[float, ...]]:
    """Read the JSON header of a 4.x file; and lowest and highest µV, lowest and highest code, scale, rate in Hz.

    Where it does not hold these, they are attributes of the file.
    """
    header = next((part for part in ("ExperimentSettings", "ExperimentInfo") if part in file), None)
    settings, scale, unit = json.loads(text(file[header]) or "{}") if header else {}, 1.0, ""
    if "SignalConverter" in settings:
        value, unit = settings["SignalConverter"]["DigitalToAnalogConverter"], "MicroVolt"
        rate = settings["SignalConverter"]["SampleToTimeConverter"]["FrameRateHertz"]
    elif "ValueConverter" not in settings and "SamplingRate" in file.attrs:
        value = {key: float(np.ravel(file.attrs[key])[0]) for key in file.attrs if key.endswith("Value")}
        rate = float(np.ravel(file.attrs["SamplingRate"])[0])
    else:
        value, rate = settings["ValueConverter"], settings["TimeConverter"]["FrameRate"]
        scale = value["ScaleFactor"]
    low, high = (value[f"{end}AnalogValue{unit}"] for end in ("Min", "Max"))
    return settings, (low, high, value["MinDigitalValue"], value["MaxDigitalValue"], scale, rate)


def _require_possible(header: BrwHeader, name: str) -> None:
    """Refuse a header that cannot be."""
    n_channels, n_frames = header.n_channels, int(np.diff(header.stretches).sum())
    if not RATES_HZ[0] <= header.sampling_rate_hz <= RATES_HZ[1]:  # also refuses NaN
        raise InputError(
            f"{name} states a sampling rate of {header.sampling_rate_hz:g} Hz, which cannot be: copy it again"
        )
    low, high = header.adc_range
    if not (0 <= low < high < 2**16 and 1e-6 < abs(header.gain_uv) < 1e4 and abs(header.offset_uv) < 1e7):
        raise InputError(
            f"{name} states {header.gain_uv:g} µV per step from {header.offset_uv:g} µV for codes {low} to {high}, "
            f"which cannot be: copy it again"
        )
    if n_channels == 0 or n_frames <= 0:
        raise InputError(f"{name} holds {n_channels} channels of {n_frames} frames: record it again")
    if header.electrodes is not None and len(np.unique(header.electrodes, axis=0)) < n_channels:
        raise InputError(f"{name} names an electrode twice: its header is damaged, copy it again")


def _require_fitting(header: BrwHeader, samples: h5py.Dataset, name: str) -> None:
    """Refuse raw samples of another type or number than the header says."""
    n_channels, n_frames = header.n_channels, int(np.diff(header.stretches).sum())
    if samples.dtype != np.uint16 or samples.ndim not in (1, 2):
        raise InputError(
            f"{name} holds samples of type {samples.dtype} and shape {samples.shape} in place of unsigned 16-bit "
            f"codes: {EXPORT}"
        )
    if samples.shape not in ((n_frames, n_channels), (n_frames * n_channels,)):
        raise InputError(
            f"{name} holds {samples.size} samples, where its header states {n_frames} frames of {n_channels} channels: "
            f"it {CUT_SHORT}, or its header is damaged"
        )
