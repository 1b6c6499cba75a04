"""3Brain recordings (BRW, HDF5), raw: lazily, with the electrodes where the chip has them.

Two layouts are read: BRW 3.x (root group ``3BRecInfo``) and BRW 4.x (``ExperimentSettings`` or ``ExperimentInfo``,
and a group ``Well_<name>`` for each well; BrainWave 5 and 6 write it). In both the samples are unsigned 16-bit codes,
frame after frame, mostly as one flat dataset, in 3.x of ``Version`` 100 as (frames, channels). The reader of neo (0.14)
is not used, because it takes the chip of a 4.x file for a square of as many electrodes as were stored: the positions of
a subset are wrong, a number that is no square fails, and only the first well is seen.
"""

import json
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import spikeinterface.core as sc

from meagan_lib import InputError

CHIP_ELECTRODES = 64
"""Electrodes along one side of a 3Brain chip."""
PITCH_UM = {"accura": 60.0, "coreplate": 60.0, "stimulo": 81.0}
"""Distance between electrodes by the beginning of ``MeaPlate.Model``; every other chip has :data:`DEFAULT_PITCH_UM`."""
DEFAULT_PITCH_UM = 42.0
"""Pitch of the Arena and Prime chips of the BioCAM, also assumed where the file names no model (3.x never does)."""
RATES_HZ = (100.0, 1e6)
"""Sampling rates outside are taken for damage of the header."""
EXPORT = "export it as raw with BrainWave"
HDF5 = b"\x89HDF\r\n\x1a\n"
"""The bytes with which an HDF5 file begins."""
CUT_SHORT = "is cut short or still being written"


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
    frames_per_chunk: int = 1
    """Frames that lie together in the file: who reads whole ones reads each once."""


class BrwRecording(sc.BaseRecording):
    """A raw BRW file as a SpikeInterface recording: uint16 codes (frames, channels), read when asked for.

    Each stretch of time is a segment, which states when it began (``get_start_time``). ``well``, such as ``"A1"``, may
    be None where there is but one.

    Annotations: ``files`` (one path), ``hdf5_dataset`` (path of the samples in the file: flat and frame-major, or
    (frames, channels)), ``adc_range`` (lowest and highest code), ``pitch_um`` and ``pitch_from`` (what the pitch was
    taken from), ``frames_per_chunk``. Positions are (row, column) · pitch in µm, as SpikeInterface has them.

    An InputError is raised for what :func:`read_header` refuses; on reading traces, for samples that the file does not
    give.
    """

    def __init__(self, file_path: str | Path, well: str | None):
        header = read_header(Path(file_path), well)
        ids = [str(i + 1) for i in range(header.n_channels)]
        super().__init__(header.sampling_rate_hz, ids, np.dtype("uint16"))
        stored = 0
        for first, end in header.stretches.tolist():
            self.add_recording_segment(_BrwSegment(Path(file_path), header, stored, first, end))
            stored += end - first
        self.set_channel_gains(header.gain_uv)
        self.set_channel_offsets(header.offset_uv)
        if header.electrodes is not None:
            self.set_dummy_probe_from_locations(header.electrodes * header.pitch_um)
        told = {name: getattr(header, name) for name in ("adc_range", "pitch_um", "pitch_from", "frames_per_chunk")}
        self.annotate(files=[str(file_path)], hdf5_dataset=header.dataset, **told)
        self._kwargs = {"file_path": str(file_path), "well": well}


class _BrwSegment(sc.BaseRecordingSegment):
    """One stretch: frames ``stored`` to ``stored + n_frames`` of the samples, which began at frame ``first``."""

    def __init__(self, path: Path, header: BrwHeader, stored: int, first: int, end: int):
        super().__init__(header.sampling_rate_hz, t_start=first / header.sampling_rate_hz)
        self.path, self.header, self.file, self.stored, self.n_frames = path, header, None, stored, end - first

    def __getstate__(self):  # an open file cannot go to another process: it is opened again there
        return self.__dict__ | {"file": None}

    def get_num_samples(self) -> int:
        return self.n_frames

    def get_traces(self, start_frame=None, end_frame=None, channel_indices=None) -> np.ndarray:
        """Codes uint16 (frames, channels)."""
        n = self.header.n_channels
        start, end, _ = slice(start_frame, end_frame).indices(self.n_frames)
        start, end = self.stored + start, self.stored + max(start, end)
        try:
            self.file = self.file or h5py.File(self.path, "r")
            samples = self.file[self.header.dataset]
            codes = samples[start:end] if samples.ndim == 2 else samples[start * n : end * n].reshape(-1, n)
        except Exception as error:  # a damaged HDF5 file raises anything
            raise InputError(
                f"{self.path.name} is damaged, its frames {start} to {end} cannot be read: copy it again"
            ) from error
        return codes if channel_indices is None else codes[:, channel_indices]


def read_header(path: Path, well: str | None) -> BrwHeader:
    """Read the header of a raw BRW file and make sure that it fits the samples; these are not read.

    ``InputError``: no HDF5 file or no 3Brain header; compressed samples; several wells and none picked; stretches of
    time that overlap or run backwards; anything missing, impossible or at odds with the number of samples.
    """
    try:
        with open_hdf5(path) as file:
            header = _read_3(file, path.name, well) if "3BRecInfo" in file else _read_4(file, path.name, well)
            samples = file[header.dataset]
            _require_consistent(header, samples, path.name)
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


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading; an InputError says whether it is no HDF5, or cut short or still being written.

    One that takes anything from other files is refused: they were not named, and nobody hashes them.
    """
    try:
        file = h5py.File(path, "r")
        if elsewhere := _taken_from_elsewhere(file):
            file.close()
            raise InputError(
                f"{path.name} takes {elsewhere} from another file: copy all into one file, as h5repack does"
            )
        return file
    except OSError as error:
        with open(path, "rb") as file:
            start = file.read(len(HDF5))
        if HDF5.startswith(start):
            raise InputError(f"{path.name} {CUT_SHORT}: copy it again when it is finished") from error
        raise InputError(f"{path.name} is not an HDF5 file: check its name") from error


def _taken_from_elsewhere(file: h5py.File) -> str:
    """Name what lies in another file, by a link, as external storage or as a virtual dataset; "" for nothing."""
    found: list[str] = []

    def look(name: bytes, info: h5py.h5l.LinkInfo) -> bool | None:
        if info.type == h5py.h5l.TYPE_EXTERNAL:
            found.append(name.decode(errors="replace"))
        elif isinstance(item := file.get(name), h5py.Dataset) and (item.external or item.is_virtual):
            found.append(item.name)
        return True if found else None

    file.id.links.visit(look, info=True)
    return found[0] if found else ""


def contents(file: h5py.File) -> str:
    """Describe in words what lies at the root of an HDF5 file."""
    there = [f"{name} {item.shape}" if isinstance(item, h5py.Dataset) else f"{name}/" for name, item in file.items()]
    return ", ".join(there[:12] + ["…"] * (len(there) > 12)) or "nothing"


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, for a sentence; of a long one the beginning."""
    line = next(iter(str(error).splitlines()), "no message")
    return line if len(line) <= 160 else f"{line[:160]}…"


def _small(dataset: h5py.Dataset) -> np.ndarray:
    """Return the values of a header dataset, which a damaged size must not turn into a read of gigabytes."""
    if dataset.size > 2**22:
        raise ValueError(f"{dataset.name} has {dataset.size} entries")
    return dataset[()]


def _read_3(file: h5py.File, name: str, well: str | None) -> BrwHeader:
    if well is not None:
        raise InputError(f"{name} is a BRW 3.x file, which has no wells: leave the well out")
    if "3BData/Raw" not in file:
        raise InputError(f"{name} is a BRW 3.x file without raw data: {EXPORT}")
    bits, high, low, n_frames, rate, inversion = (
        _small(file[f"3BRecInfo/3BRecVars/{key}"]).ravel()[0].item()  # plain numbers: 2 ** uint8(12) would be 0
        for key in ("BitDepth", "MaxVolt", "MinVolt", "NRecFrames", "SamplingRate", "SignalInversion")
    )
    if not 1 <= bits <= 16 or inversion not in (1, -1):
        raise InputError(
            f"{name} has a BitDepth of {bits} and a SignalInversion of {inversion:g}, which cannot be: copy it again"
        )
    step = (high - low) / 2**bits
    chs = _small(file["3BRecInfo/3BMeaStreams/Raw/Chs"])
    electrodes = np.stack([chs["Row"], chs["Col"]], axis=1).astype(int) - 1
    if (electrodes < 0).any() or (electrodes >= CHIP_ELECTRODES).any():
        raise InputError(f"{name} names electrodes beyond a chip of 64 × 64: its header is damaged, copy it again")
    return BrwHeader(
        dataset="3BData/Raw",
        stretches=np.array([[0, n_frames]]),
        n_channels=len(chs),
        sampling_rate_hz=float(rate),
        gain_uv=inversion * step,
        offset_uv=low if inversion == 1 else high,
        adc_range=(0, 2**bits - 1),
        electrodes=electrodes,
        pitch_um=DEFAULT_PITCH_UM,
        pitch_from="assumed: BRW 3.x names no model of the chip",
    )


def _read_4(file: h5py.File, name: str, well: str | None) -> BrwHeader:
    wells = sorted(key.removeprefix("Well_") for key in file if key.startswith("Well_"))
    if not wells or not {"ExperimentSettings", "ExperimentInfo"} & set(file):
        raise InputError(
            f"{name} is an HDF5 file but no BRW recording: no 3Brain header was found in it, only {contents(file)}"
        )
    if len(wells) > 1 if well is None else well not in wells:
        raise InputError(
            f"{name} holds {f'{len(wells)} wells' if well is None else f'no well {well!r}'}: pick one of "
            f"{', '.join(wells)} with --set 01_preprocessing.well=NAME"
        )
    group = file[f"Well_{well or wells[0]}"]
    if "Raw" not in group:
        if "WaveletBasedEncodedRaw" in group:
            raise InputError(f"{name} is wavelet-compressed, which cannot be read rightly: {EXPORT}")
        if "EventsBasedSparseRaw" in group:
            raise InputError(f"{name} is events-based, which cannot be read rightly: {EXPORT}")
        raise InputError(f"{name} holds no raw data of the well {well or wells[0]}: {EXPORT}")
    settings, (low, high, low_code, high_code, scale, rate) = _settings_4(file)
    step = scale * (high - low) / (high_code - low_code)
    toc = _small(file["TOC"])
    if toc.ndim != 2 or toc.shape[1] != 2:
        raise InputError(f"{name} has a table of contents of shape {toc.shape} in place of (chunks, 2): copy it again")
    toc = toc.astype(np.int64)
    wrong = (toc[:, 1] < toc[:, 0]) | np.r_[False, toc[1:, 0] < toc[:-1, 1]][: len(toc)]
    if wrong.any():
        raise InputError(
            f"{name} has a table of contents whose stretches of time overlap or run backwards, at its row "
            f"{int(wrong.argmax())}: copy it again or {EXPORT}"
        )
    toc = toc[toc[:, 0] < toc[:, 1]]
    begins = np.r_[True, toc[1:, 0] != toc[:-1, 1]][: len(toc)]
    stretches = np.stack([toc[begins, 0], toc[np.roll(begins, -1), 1]], axis=1) - toc[:1, 0]
    index = _small(group["StoredChIdxs"]).ravel().astype(int)
    if (index < 0).any():
        raise InputError(f"{name} names electrodes below 0: its header is damaged, copy it again")
    on_chip = (index < CHIP_ELECTRODES**2).all()
    model = str(settings.get("MeaPlate", {}).get("Model", ""))
    known = next((pitch for start, pitch in PITCH_UM.items() if model.lower().startswith(start)), DEFAULT_PITCH_UM)
    return BrwHeader(
        dataset=f"{group.name[1:]}/Raw",
        stretches=stretches,
        n_channels=len(index),
        sampling_rate_hz=float(rate),
        gain_uv=step,
        offset_uv=scale * low - low_code * step,
        adc_range=(int(low_code), int(high_code)),
        electrodes=np.stack(divmod(index, CHIP_ELECTRODES), axis=1) if on_chip else None,
        pitch_um=known,
        pitch_from=f"model {model}" if model else "assumed: the file names no model of the chip",
    )


def _settings_4(file: h5py.File) -> tuple[dict, tuple[float, ...]]:
    """Read the JSON header of a 4.x file; and lowest and highest µV, lowest and highest code, scale, rate in Hz."""
    if "ExperimentSettings" in file:
        settings = json.loads(_text(file["ExperimentSettings"]))
        value, unit = settings["ValueConverter"], ""
        scale, rate = value["ScaleFactor"], settings["TimeConverter"]["FrameRate"]
    else:
        settings = json.loads(_text(file["ExperimentInfo"]))
        value, unit, scale = settings["SignalConverter"]["DigitalToAnalogConverter"], "MicroVolt", 1.0
        rate = settings["SignalConverter"]["SampleToTimeConverter"]["FrameRateHertz"]
    low, high = (value[f"{end}AnalogValue{unit}"] for end in ("Min", "Max"))
    return settings, (low, high, value["MinDigitalValue"], value["MaxDigitalValue"], scale, rate)


def _text(dataset: h5py.Dataset) -> bytes:
    """Read the one string of a dataset.

    A string of variable length is stored as its length, the address of a heap and an index in it; the heap (``GCOL``)
    is a row of objects (HDF5 file format specification, III.E). It is walked here, because the HDF5 library (2.0)
    crashes on a damaged one, or never returns.
    """
    kind = h5py.check_string_dtype(dataset.dtype)
    if kind is None or dataset.size != 1:
        raise ValueError(f"{dataset.name} is not one string")
    offset = dataset.id.get_offset()
    if kind.length is not None or offset is None:
        return bytes(np.ravel(dataset[()])[0])
    with open(dataset.file.filename, "rb") as raw:
        raw.seek(offset)
        length, address, wanted = struct.unpack("<IQI", raw.read(16))
        raw.seek(address + dataset.file.userblock_size)
        signature, size = struct.unpack("<4s4xQ", raw.read(16))
        heap = raw.read(min(max(size, 16), 2**26) - 16) if signature == b"GCOL" else b""
    position = 0
    while position + 16 <= len(heap):
        index, size = struct.unpack_from("<H6xQ", heap, position)
        if index == wanted and length <= size <= len(heap) - position - 16:
            return heap[position + 16 : position + 16 + length]
        if index == 0:  # free space, which ends the heap
            break
        position += 16 + -(-size // 8) * 8
    raise ValueError(f"{dataset.name} is not where the file says")


def _require_consistent(header: BrwHeader, samples: h5py.Dataset, name: str) -> None:
    """Refuse a header that cannot be, or that does not fit the number of samples."""
    n_channels, n_frames = header.n_channels, int(np.diff(header.stretches).sum())
    if samples.dtype != np.uint16 or samples.ndim not in (1, 2):
        raise InputError(
            f"{name} holds samples of type {samples.dtype} and shape {samples.shape} in place of unsigned 16-bit "
            f"codes: {EXPORT}"
        )
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
    if samples.shape not in ((n_frames, n_channels), (n_frames * n_channels,)):
        raise InputError(
            f"{name} holds {samples.size} samples, where its header states {n_frames} frames of {n_channels} channels: "
            f"it {CUT_SHORT}, or its header is damaged"
        )
