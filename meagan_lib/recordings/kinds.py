"""The kinds of files that are read: which of them a file is, its version, its compression, what was tried on it."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import h5py
import zarr

from meagan_lib import InputError
from meagan_lib.recordings.hdf5 import HDF5, first_line, open_hdf5

BY_HAND = "by hand, to the layout"
NEVER = "no"
NEVER_AT_ALL = "no, nor on any other"


@dataclass(frozen=True)
class Kind:
    """A kind of file: its ``name``, how the ``file`` is called, what it ``holds``, and what it was tried on.

    ``written`` says where the files of the tests come from, ``real`` whether one that an instrument wrote was read.
    """

    name: str
    file: str
    holds: str
    real: str = NEVER
    written: str = BY_HAND


KINDS = {
    "brw3": Kind("3Brain BRW 3.x", ".brw", "voltage", "yes: 36 electrodes of a BioCAM, 1 s"),
    "brw4": Kind("3Brain BRW 4.x, raw", ".brw", "voltage", "yes: 100 electrodes, 0.25 s"),
    "brw4_events": Kind("3Brain BRW 4.x, events-based", ".brw", "voltage around events"),
    "brw4_wavelets": Kind("3Brain BRW 4.x, wavelets", ".brw", "voltage without its upper band"),
    "bxr": Kind("3Brain BXR, results", ".bxr", "windows, spike times"),
    "maxwell_old": Kind("MaxWell, before 2017", ".h5", "voltage"),
    "maxwell": Kind("MaxWell MaxOne, MaxTwo", ".h5", "voltage"),
    "mcs": Kind("MultiChannel Systems", ".h5", "voltage"),
    "nwb": Kind("NWB", ".nwb", "voltage; spike times of its units", NEVER, "by hand, and by pynwb"),
    "openephys": Kind("Open Ephys, binary", "a folder", "voltage"),
    "spikeglx": Kind("SpikeGLX", ".bin and .meta", "voltage"),
    ".rhd": Kind("Intan RHD", ".rhd", "voltage"),
    ".rhs": Kind("Intan RHS", ".rhs", "voltage"),
    ".ns5": Kind("Blackrock", ".ns5, .ns6", "voltage"),
    ".edf": Kind("EDF", ".edf", "voltage", written="by pyedflib, where it is installed"),
    "spikeinterface": Kind("SpikeInterface, binary", "a folder", "voltage", written="by SpikeInterface"),
    ".zarr": Kind("SpikeInterface, Zarr", ".zarr", "voltage", written="by SpikeInterface"),
    "wav": Kind("WAV", ".wav", "voltage", "yes: `spikerbox`", "by scipy"),
    "binary": Kind("plain binary", "any, and .yaml", "voltage", "yes: `locust`", "by numpy"),
    ".abf": Kind("Axon ABF", ".abf", "voltage"),
    ".nex": Kind("NeuroExplorer", ".nex", "voltage"),
    ".nix": Kind("NIX", ".nix", "voltage", written="by neo, where nixio is installed"),
    ".plx": Kind("Plexon", ".plx", "voltage"),
    ".smr": Kind("Spike2, 32 bits", ".smr", "voltage", NEVER_AT_ALL, "none: neo reads it"),
    ".smrx": Kind("Spike2, 64 bits", ".smrx", "voltage", NEVER_AT_ALL, "none: neo reads it"),
    "windows": Kind("cut windows", ".npz, .h5", "windows", "`retina_hdmea`, in a form of its own", "by numpy"),
    "csv": Kind("a table of spikes, such as Axion's lists", ".csv", "spike times"),
    "mat": Kind("MATLAB", ".mat", "spike times", "yes: `axotomy_mea`", "by scipy and h5py"),
}
"""By suffix, where that tells them; ``real`` is what a person has tried, and no more."""


@dataclass(frozen=True)
class Described:
    """What a file says of itself; empty where it says nothing."""

    kind: Kind
    version: str = ""
    compression: str = ""
    wells: tuple[str, ...] = ()

    @property
    def format(self) -> str:
        """Kind and version in words."""
        return f"{self.kind.name}, {self.version}" if self.version else self.kind.name


def table() -> str:
    """Return the kinds of files as a table in Markdown."""
    head = "| format | file | holds | files of the tests | tried on a real file |\n|---|---|---|---|---|\n"
    rows = (f"| {k.name} | {k.file} | {k.holds} | {k.written} | {k.real} |" for k in KINDS.values())
    return head + "\n".join(rows)


def describe(path: str | Path) -> Described:
    """Tell what kind of file a recording was read from; the file is one that could be opened.

    ``InputError``: a header that nothing needs but this, and that is damaged.
    """
    try:
        return _describe(Path(path))
    except InputError:
        raise
    except Exception as error:  # a damaged header can raise anything
        raise InputError(f"{Path(path).name} does not say what it is ({first_line(error)}): copy it again") from error


def _describe(path: Path) -> Described:
    if path.is_dir():
        if path.suffix.lower() == ".zarr":
            return _zarr(path)
        return Described(KINDS["spikeinterface"])
    with open(path, "rb") as file:
        start = file.read(512)
    if start.startswith(HDF5):
        with open_hdf5(path) as file:
            return _hdf5(file, path.suffix.lower())
    if path.suffix.lower() == ".wav":
        return Described(KINDS["wav"], f"{int.from_bytes(start[34:36], 'little')} bits")
    if path.suffix.lower() == ".bin" and path.with_suffix(".meta").is_file():
        return Described(
            KINDS["spikeglx"], _stated(path.with_suffix(".meta").read_text(errors="replace"), "appVersion")
        )
    structure = next((f / "structure.oebin" for f in path.parents if (f / "structure.oebin").is_file()), None)
    if path.name == "continuous.dat" and structure:
        version = str(json.loads(structure.read_text()).get("GUI version", ""))
        return Described(KINDS["openephys"], f"GUI {version}" if version else "")
    return _binary(path, start)


def _stated(text: str, key: str) -> str:
    """Return the value of ``key=value`` in a text."""
    return next((line.partition("=")[2].strip() for line in text.splitlines() if line.startswith(f"{key}=")), "")


def _binary(path: Path, start: bytes) -> Described:
    suffix = path.suffix.lower()
    for kind in (".rhd", ".rhs"):
        if suffix == ".dat" and (path.parent / f"info{kind}").is_file():
            return Described(KINDS[kind], "a file for each signal")
    numbers = {  # where a format keeps its version
        ".rhd": ("<hh", 4),
        ".rhs": ("<hh", 4),
        ".ns5": ("BB", 8),
        ".ns6": ("BB", 8),
        ".plx": ("<i", 4),
        ".nex": ("<i", 4),
    }
    version = ""
    if suffix in numbers and not start.startswith(b"NEURALSG"):
        form, at = numbers[suffix]
        version = ".".join(map(str, struct.unpack_from(form, start.ljust(16, b"\0"), at)))
    elif suffix == ".edf":
        version = start[192:197].decode("ascii", "replace").strip()
    elif suffix == ".abf":
        version = {b"ABF ": "1", b"ABF2": "2"}.get(start[:4], "")
    return Described(KINDS.get({".ns6": ".ns5"}.get(suffix, suffix), KINDS["binary"]), version)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _hdf5(file: h5py.File, suffix: str) -> Described:
    compression = _filters(file)
    if "3BRecInfo" in file:
        version = file["3BData"].attrs.get("Version", "") if "3BData" in file else ""
        return Described(KINDS["brw3"], f"layout {version}" if version else "", compression)
    if wells := tuple(key.removeprefix("Well_") for key in file if key.startswith("Well_")):
        version = _text(file.attrs.get("Version", ""))
        stored = {"Raw": "brw4", "EventsBasedSparseRaw": "brw4_events", "WaveletBasedEncodedRaw": "brw4_wavelets"}
        kind = next((kind for name, kind in stored.items() if name in file[f"Well_{wells[0]}"]), "bxr")
        return Described(KINDS[kind], f"layout {version}" if version else "", compression, wells)
    if "version" in file and ("wells" in file or "sig" in file):
        kind = KINDS["maxwell" if "wells" in file else "maxwell_old"]
        return Described(kind, _text(file["version"][0]), compression, tuple(file.get("wells", ())))
    if "Data/Recording_0" in file:
        return Described(KINDS["mcs"], _text(file.attrs.get("McsHdf5ProtocolVersion", "")), compression)
    if suffix == ".nix":
        return Described(KINDS[".nix"], compression=compression)
    return Described(KINDS["nwb"], _text(file.attrs.get("nwb_version", "")), compression)


def _filters(file: h5py.File) -> str:
    """Name the filters of the largest dataset, in which the samples are."""
    largest: list[h5py.Dataset] = []

    def look(_: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and (not largest or item.size > largest[0].size):
            largest[:] = [item]

    file.visititems(look)
    if not largest:
        return ""
    plist = largest[0].id.get_create_plist()
    names = [plist.get_filter(i)[-1].decode("utf-8", "replace") for i in range(plist.get_nfilters())]
    return ", ".join(name or "a filter without a name" for name in names)


def _zarr(path: Path) -> Described:
    arrays = [a for _, a in zarr.open(str(path), mode="r").arrays(recurse=True)]
    compressor = max(arrays, key=lambda a: a.size).compressor if arrays else None
    return Described(
        KINDS[".zarr"], compression=getattr(compressor, "cname", None) or getattr(compressor, "codec_id", "")
    )
