"""Files of several makers, written by hand to their layouts, for tests and ``bench/fuzz.py``."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import h5py
import numpy as np
import scipy.io.wavfile
import spikeinterface.core as sc

from meagan_lib.recordings.simulation import create_brw
from tests.recordings.brw_writer import transform, write_events, write_wavelets
from tests.recordings.neo_writers import write_abf, write_nex, write_plx, write_rhs


def samples(n_frames: int, n_channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-500, 500, (n_frames, n_channels), dtype=np.int16)


def write_spikeglx(folder: Path, name: str, *, seed: int = 0, n_frames: int = 200, stated: int | None = None):
    """``name`` as SpikeGLX gives it: ``run_g0_t0.imec0.ap``, ``….nidq`` or ``….obx0.obx``; all with four channels."""
    folder.mkdir(exist_ok=True)
    device = name.split(".")[-1]
    if device in ("ap", "lf"):
        ap = "4,0,1" if device == "ap" else "0,4,1"
        imro = "".join(f"({c} 0 0 500 250 1)" for c in range(384))
        labels = [f"{device.upper()}{c}" for c in range(4)] + ["SY0"]
        own = f"typeThis=imec\nimSampRate=30000\nimAiRangeMax=0.6\nimDatPrb_pn=NP1010\nsnsApLfSy={ap}\n"
        own += f"snsSaveChanSubset=0:3,384\n~imroTbl=(0,384){imro}\n"
    elif device == "nidq":
        mn = 2 if "neural" in name else 0
        labels = [f"M{c}" for c in range(mn)] + [f"XA{c}" for c in range(4 - mn)]
        own = "typeThis=nidq\nniSampRate=25000\nniAiRangeMax=5\nniMNGain=200\nniMAGain=1\n"
        own += f"snsMnMaXaDw={mn},0,{4 - mn},0\n"
    else:
        labels = [f"XA{c}" for c in range(4)]
        own = "typeThis=obx\nobSampRate=30000\nobMaxInt=32768\nobAiRangeMax=5\nsnsXaDwSy=4,0,0\n"
    data = samples(n_frames, len(labels), seed)
    data.tofile(folder / f"{name}.bin")
    channels = "".join(f"({label};{i}:{i})" for i, label in enumerate(labels))
    (folder / f"{name}.meta").write_text(
        f"fileName=D:/data/{name}.bin\nnSavedChans={len(labels)}\nfileSizeBytes={stated or data.nbytes}\n"
        f"firstSample=0\n{own}~snsChanMap=(384,384,1){channels}\n"
    )
    return folder / f"{name}.bin", data


INTAN = {"A-000": 0, "A-001": 0, "B-000": 0, "A-AUX1": 1, "A-VDD1": 2, "ANALOG-IN-0": 3}
"""Channels of an Intan file and their kinds: amplifier, auxiliary, supply voltage, analog input."""


def write_intan(path: Path, channels: dict[str, int] = INTAN, n_blocks: int = 5) -> np.ndarray:
    """RHD 2.0, header and blocks of 128 frames; returns the amplifier's codes (frames, channels)."""

    def text(of: str) -> bytes:
        return struct.pack("<I", 2 * len(of)) + of.encode("utf-16-le")

    def channel(name: str, kind: int) -> bytes:
        return text(name) + text(name) + struct.pack("<6h4h2f", 0, 0, kind, 1, 0, 0, 0, 0, 0, 0, 0, 0)

    header = struct.pack("<Ihh", 0xC6912702, 2, 0) + struct.pack("<fh6fh2f", 20_000, 0, *[1.0] * 6, 0, 1, 1)
    header += text("") * 3 + struct.pack("<hh", 0, 0) + text("n/a") + struct.pack("<h", 1)
    header += text("Port A") + text("A") + struct.pack("<hhh", 1, len(channels), 0)
    kinds = np.array(list(channels.values()))
    codes = samples(128 * n_blocks, int((kinds == 0).sum())).astype(np.int32) + 32768
    blocks = b""
    for block in range(n_blocks):
        own = codes[128 * block : 128 * (block + 1)]
        blocks += (np.arange(128, dtype="<i4") + 128 * block).tobytes() + own.T.astype("<u2").tobytes()
        for kind, n in ((1, 32), (2, 1), (3, 128)):
            blocks += np.full(n * (kinds == kind).sum(), 7, "<u2").tobytes()
    path.write_bytes(header + b"".join(channel(*c) for c in channels.items()) + blocks)
    return codes


OPEN_EPHYS = {"Acquisition_Board-100.Rhythm Data": ["CH1", "CH2", "CH3"]}


def write_openephys(folder: Path, streams: dict[str, list[str]] = OPEN_EPHYS, *, n_frames=300, start=0, seed=0):
    """A recording's folder in Open Ephys' binary format; returns the samples by stream."""
    (folder / "events").mkdir(parents=True)
    written, described = {}, []
    for stream, channels in streams.items():
        own = folder / "continuous" / stream
        own.mkdir(parents=True)
        written[stream] = samples(n_frames, len(channels), seed)
        written[stream].tofile(own / "continuous.dat")
        np.save(own / "sample_numbers.npy", start + np.arange(n_frames))
        np.save(own / "timestamps.npy", (start + np.arange(n_frames)) / 30_000)
        described.append(
            {
                "folder_name": f"{stream}/",
                "sample_rate": 30_000.0,
                "source_processor_name": "source",
                "channels": [{"channel_name": c, "bit_volts": 0.195, "units": ""} for c in channels],
            }
        )
    (folder / "structure.oebin").write_text(json.dumps({"continuous": described, "events": []}))
    return written


def write_mcs(
    path: Path, streams: list[tuple[str, str, int]], n_frames: int = 100, times: list | None = None
) -> list[np.ndarray]:
    """MultiChannel Systems' HDF5 with streams of a label, a subtype and a number of channels.

    ``times`` are its rows of first time in µs, first and last sample.
    """
    info = np.dtype(
        [
            ("ChannelID", "i4"),
            ("Label", "S8"),
            ("Unit", "S2"),
            ("Exponent", "i4"),
            ("ADZero", "i4"),
            ("Tick", "i8"),
            ("ConversionFactor", "i8"),
        ]
    )
    written = []
    with h5py.File(path, "w") as file:
        for i, (label, subtype, n) in enumerate(streams):
            group = file.create_group(f"Data/Recording_0/AnalogStream/Stream_{i}")
            group.attrs["StreamType"] = "Analog"
            group.attrs["Label"], group.attrs["DataSubType"] = label, subtype
            written.append(samples(n_frames, n, i).astype(np.int32))
            group["ChannelData"] = written[-1].T
            group["ChannelDataTimeStamps"] = np.array(times or [[0, 0, n_frames - 1]])
            group["InfoChannel"] = np.array([(c, b"E%d" % c, b"V", -12, 0, 50, 59605) for c in range(n)], info)
    return written


def write_nwb(path: Path, series: dict[str, int], n_frames: int = 100) -> dict[str, np.ndarray]:
    """NWB (HDF5) with series of electrodes, by path and number of channels."""
    written = {}
    with h5py.File(path, "w") as file:
        table = file.create_group("general/extracellular_ephys/electrodes")
        table.attrs["colnames"] = ["location"]
        most = max([8, *series.values()])
        table["id"], table["location"] = np.arange(most), [b"slice"] * most
        for i, (name, n) in enumerate(series.items()):
            group = file.create_group(name)
            group.attrs["neurodata_type"] = "ElectricalSeries"
            written[name] = samples(n_frames, n, i)
            group["data"] = written[name]
            group["data"].attrs["conversion"] = 1e-6
            group["electrodes"] = np.arange(n)
            group["electrodes"].attrs["table"] = table.ref
            group["starting_time"] = 0.0
            group["starting_time"].attrs["rate"] = 20_000.0
    return written


def write_maxtwo(
    path: Path, wells: dict[str, list[str]], *, filters: dict | None = None, n_frames: int = 60, n_channels: int = 2
) -> dict[str, np.ndarray]:
    """MaxWell's format since 2017, with the recordings of each well, which have one channel more than those before."""
    written = {}
    with h5py.File(path, "w") as file:
        file["version"] = [b"20190530"]
        for i, (well, parts) in enumerate(wells.items()):
            n = i + n_channels
            mapping = np.zeros(n, [("channel", "i4"), ("electrode", "i4"), ("x", "f8"), ("y", "f8")])
            mapping["channel"], mapping["x"], mapping["y"] = 7 * np.arange(n), 17.5 * np.arange(n), 35.0
            for part in parts:
                group = file.create_group(f"wells/{well}/{part}")
                group["settings/sampling"], group["settings/lsb"] = [20_000.0], [6.29e-6]
                group["settings/mapping"] = mapping
                written[f"{well}/{part}"] = samples(n_frames, n, len(written)).astype(np.uint16)
                group.create_dataset("groups/routed/raw", data=written[f"{well}/{part}"].T, **filters or {})
    return written


def write_blackrock(path: Path, channels: list[str], blocks: list[tuple[int, int]], seed: int = 0) -> list[np.ndarray]:
    """Blackrock 2.3 with blocks of a first time stamp and a number of frames, at 30 kHz."""
    n, size = len(channels), 314 + 66 * len(channels)
    header = struct.pack("<8sBBI16s256sII8HI", b"NEURALCD", 2, 3, size, b"", b"", 1, 30_000, *[1] * 8, n)
    for i, name in enumerate(channels):
        scale = (-8000, 8000, -8000, 8000, b"uV")
        header += struct.pack("<2sH16sBB4h16sIIHIIH", b"CC", i + 1, name.encode(), 1, i, *scale, *[0] * 6)
    data = [samples(n, len(channels), seed + i) for i, (_, n) in enumerate(blocks)]
    body = [struct.pack("<BII", 1, first, n) + d.tobytes() for (first, n), d in zip(blocks, data)]
    path.write_bytes(header + b"".join(body))
    return data


STATED_NOISE = 12.0
"""What an events-based file of ``WHOLE`` says of its noise, in steps: as much as :func:`planted` has."""


def planted(n_frames: int = 12_800, n_channels: int = 2, seed: int = 0) -> np.ndarray:
    """Codes int16 (frames, channels): noise with a spike every 400 frames, by turns on each channel."""
    codes = 12 * np.random.default_rng(seed).standard_normal((n_frames, n_channels))
    for i, frame in enumerate(range(300, n_frames - 300, 400)):
        codes[frame : frame + 3, i % n_channels] -= [80, 220, 90]
    return codes.astype(np.int16)


def _brw3(folder: Path, codes: np.ndarray) -> Path:
    with h5py.File(folder / "x.brw", "w") as file:
        raw = create_brw(file, np.divmod(np.arange(codes.shape[1]), 64), 20_000, len(codes), 2_000)
        raw[:] = (codes + 2048).astype(np.uint16).ravel()
    return folder / "x.brw"


def _brw4(folder: Path, codes: np.ndarray) -> Path:
    value = {"MinAnalogValue": -2048.0, "MaxAnalogValue": 2048.0, "MinDigitalValue": 0, "MaxDigitalValue": 4096}
    header = {"ValueConverter": value | {"ScaleFactor": 1.0}, "TimeConverter": {"FrameRate": 20_000.0}}
    with h5py.File(folder / "x.brw", "w") as file:
        file["ExperimentSettings"] = [json.dumps(header)]
        file["TOC"] = np.array([[0, len(codes)]])
        file["Well_A1/StoredChIdxs"] = np.arange(codes.shape[1], dtype=np.int32)
        file["Well_A1/Raw"] = (codes + 2048).astype(np.uint16).ravel()
    return folder / "x.brw"


def _brw4_events(folder: Path, codes: np.ndarray) -> Path:
    """All samples in ranges of 160 frames that touch, and rows of 640; what the file says of its noise is 12 steps."""
    channels, n = [7 * i for i in range(codes.shape[1])], len(codes)
    toc = [[first, min(first + 640, n)] for first in range(0, n, 640)]
    rows = [
        [(c, f, codes[f : min(f + 160, b), i] + 2048) for i, c in enumerate(channels) for f in range(a, b, 160)]
        for a, b in toc
    ]
    noise = [(channels, [0.0] * len(channels), [STATED_NOISE] * len(channels))] + [None] * (len(toc) - 1)
    write_events(folder / "x.brw", toc, {"A1": (channels, rows, noise)})
    return folder / "x.brw"


def _brw4_wavelets(folder: Path, codes: np.ndarray) -> Path:
    """One level, from which every sample comes back; deeper ones are in ``test_compressed_brw.py``."""
    channels = [7 * i for i in range(codes.shape[1])]
    write_wavelets(folder / "x.brw", [[0, len(codes)]], channels, transform(codes + 2048.0, 1_000), 1, 1_000)
    return folder / "x.brw"


def _maxone(folder: Path, codes: np.ndarray) -> Path:
    n = codes.shape[1]
    mapping = np.zeros(n, [("channel", "i4"), ("electrode", "i4"), ("x", "f8"), ("y", "f8")])
    mapping["channel"], mapping["x"] = np.arange(n), 17.5 * np.arange(n)
    with h5py.File(folder / "x.raw.h5", "w") as file:
        file["version"], file["mapping"], file["sig"] = [b"20160704"], mapping, (codes + 512).astype(np.uint16).T
        file["settings/lsb"] = [6.29e-6]
    return folder / "x.raw.h5"


def _maxtwo(folder: Path, codes: np.ndarray) -> Path:
    with patch(f"{__name__}.samples", lambda *_: codes + 512):
        write_maxtwo(folder / "x.h5", {"well000": ["rec0000"]}, n_frames=len(codes), n_channels=codes.shape[1])
    return folder / "x.h5"


def _mcs(folder: Path, codes: np.ndarray) -> Path:
    write_mcs(folder / "x.h5", [("Aux", "Auxiliary", 2), ("Raw", "Electrode", codes.shape[1])], len(codes))
    return folder / "x.h5"


def _nwb(folder: Path, codes: np.ndarray) -> Path:
    write_nwb(folder / "x.nwb", {"acquisition/ElectricalSeries": codes.shape[1]}, len(codes))
    return folder / "x.nwb"


def _openephys(folder: Path, codes: np.ndarray) -> Path:
    names = [f"CH{i}" for i in range(codes.shape[1])]
    write_openephys(folder / "node" / "experiment1" / "recording1", {"Board-1.Rhythm": names}, n_frames=len(codes))
    return folder / "node"


def _spikeglx(folder: Path, codes: np.ndarray) -> Path:
    with patch(f"{__name__}.samples", lambda *_: np.pad(codes, ((0, 0), (0, 5 - codes.shape[1])))):
        return write_spikeglx(folder, "x_g0_t0.imec0.ap", n_frames=len(codes))[0]


def _intan(folder: Path, codes: np.ndarray) -> Path:
    channels = {f"A-{i:03d}": 0 for i in range(codes.shape[1])} | {"A-AUX1": 1}
    write_intan(folder / "x.rhd", channels, len(codes) // 128)
    return folder / "x.rhd"


def _blackrock(folder: Path, codes: np.ndarray) -> Path:
    write_blackrock(folder / "x.ns6", [f"elec{i}" for i in range(codes.shape[1])], [(0, len(codes))])
    return folder / "x.ns6"


def _binary(folder: Path, codes: np.ndarray) -> Path:
    codes.tofile(folder / "x.raw")
    (folder / "x.yaml").write_text(f"{{sampling_rate_hz: 20000, n_channels: {codes.shape[1]}, dtype: int16}}")
    return folder / "x.raw"


def _wav(folder: Path, codes: np.ndarray) -> Path:
    scipy.io.wavfile.write(folder / "x.wav", 20_000, codes)
    return folder / "x.wav"


def _spikeinterface(folder: Path, codes: np.ndarray, form: str = "binary") -> Path:
    target = folder / ("x.zarr" if form == "zarr" else "saved")
    own = sc.NumpyRecording([codes], 20_000)
    own.set_channel_gains(0.5)
    own.set_channel_offsets(0)
    own.save(format=form, folder=target, chunk_size=4_000, verbose=False, progress_bar=False)
    return target


def _zarr(folder: Path, codes: np.ndarray) -> Path:
    return _spikeinterface(folder, codes, "zarr")


def _with(write: Callable[[Path, np.ndarray], Path], name: str) -> Callable[[Path, np.ndarray], Path]:
    return lambda folder, codes: write(folder / name, codes)


WHOLE: dict[str, tuple[Callable[[Path, np.ndarray], Path], float, float]] = {
    "brw3": (_brw3, 20_000, 8250 / 4096),
    "brw4": (_brw4, 20_000, 1),
    "brw4_events": (_brw4_events, 20_000, 8250 / 4095),
    "brw4_wavelets": (_brw4_wavelets, 20_000, 8250 / 4095),
    "maxwell_old": (_maxone, 20_000, 6.29),
    "maxwell": (_maxtwo, 20_000, 6.29),
    "mcs": (_mcs, 20_000, 59605e-6),
    "nwb": (_nwb, 20_000, 1),
    "openephys": (_openephys, 30_000, 0.195),
    "spikeglx": (_spikeglx, 30_000, 0.6 / 512 / 500 * 1e6),
    ".rhd": (_intan, 20_000, 0.195),
    ".rhs": (_with(write_rhs, "x.rhs"), 20_000, 0.195),
    ".nex": (_with(write_nex, "x.nex"), 20_000, 0.5),
    ".abf": (_with(write_abf, "x.abf"), 20_000, 0.05),
    ".plx": (_with(write_plx, "x.plx"), 20_000, 5_000 / 32_768),
    ".ns5": (_blackrock, 30_000, 1),
    "binary": (_binary, 20_000, 1),
    "wav": (_wav, 20_000, 1),
    "spikeinterface": (_spikeinterface, 20_000, 0.5),
    ".zarr": (_zarr, 20_000, 0.5),
}
"""By kind: what writes codes (frames, channels) into a folder and returns what to open; rate in Hz; µV of a step."""


def write_whole(kind: str, folder: Path, codes: np.ndarray) -> Path:
    """Write a file of a kind that holds ``codes`` int16 (frames, 2) and nothing else, and return what to open."""
    with patch(f"{__name__}.samples", lambda n_frames, n_channels, seed=0: codes[:n_frames, :n_channels]):
        return WHOLE[kind][0](folder, codes)
