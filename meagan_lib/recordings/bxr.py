"""3Brain's results (BXR, HDF5): spike times, cut waveforms and units, as BrainWave detected and sorted them.

Two layouts are read, as they are described publicly: 3.x of BrainWave 5 and 6, a group ``Well_<name>`` for each well
with ``SpikeTimes`` (frames), ``SpikeChIdxs`` (row · 64 + column), ``SpikeForms`` (codes, end to end; attributes
``Wavelength`` and ``WaveTimeOffset``) and ``SpikeUnits``; and 2.x of BrainWave 4, beside the header of BRW 3.x, with
``3BResults/3BChEvents/{SpikeTimes, SpikeChIDs, SpikeForms, SpikeUnits}``, where a channel's identifier is its place in
``MeaChs2ChIDsVector`` or, without it, in the stream ``Chs``. No real file was at hand.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from meagan_lib import InputError
from meagan_lib.recordings import brw
from meagan_lib.recordings.hdf5 import first_line, open_hdf5

SUFFIX = ".bxr"
MOST_SAMPLES = 2**31
"""Of all waveforms: more would not fit into memory."""
CAUTION = f"holds results of BrainWave: {brw.UNTRIED}"


@dataclass(frozen=True)
class Results:
    """The spikes of one well, in the order of the file.

    ``frame`` int64, ``channel`` int64 (row · 64 + column, or the identifier where no position is known) and ``unit``
    int64, each (spikes,); a unit is −1 where the spike was not sorted. ``waveforms`` are codes (spikes, samples), or
    None; one of them is ``gain_uv`` · code + ``offset_uv``; ``pre_samples`` is where their peak is, if that is known.
    ``channels`` are those that were recorded, with ``electrodes`` int (channels, 2), rows and columns, or None.
    ``stretches`` int64 (n, 2): first frame and end of what was recorded without a break, counted from the first on.
    """

    frame: np.ndarray
    channel: np.ndarray
    unit: np.ndarray
    waveforms: np.ndarray | None
    gain_uv: float
    offset_uv: float
    pre_samples: int | None
    channels: np.ndarray
    electrodes: np.ndarray | None
    pitch_um: float
    sampling_rate_hz: float
    stretches: np.ndarray


def read_results(
    path: Path, well: str | None = None, waveforms: bool = True, section: str = "01_preprocessing"
) -> Results:
    """Read the spikes of a BXR file; of several wells ``well`` picks one; ``waveforms`` may be left out.

    ``section`` is what the parameter of the well belongs to.

    ``InputError``: no BXR file, or a damaged one; several wells and none picked; no spikes; a spike at no time or on no
    channel of the recording.
    """
    try:
        with open_hdf5(path) as file:
            old = "3BResults/3BChEvents" in file
            if old:
                results = _read_2(file, path.name, well, waveforms)
            else:
                results = _read_3(file, path.name, brw.pick_well(file, path.name, well, section), waveforms)
    except InputError:
        raise
    except Exception as error:  # h5py on a damaged file, and numpy and json on what it gives, raise anything
        raise InputError(
            f"{path.name} lacks a part of BrainWave's results, or is damaged ({type(error).__name__}: "
            f"{first_line(error)}): export it anew with BrainWave"
        ) from error
    lo, hi = results.stretches.T
    at = np.searchsorted(lo, results.frame, "right") - 1
    wrong = (at < 0) | (results.frame >= hi[at])
    if wrong.any():
        raise InputError(
            f"{path.name} has {int(wrong.sum())} spikes outside of the time that was recorded: export it anew"
        )
    if not brw.RATES_HZ[0] <= results.sampling_rate_hz <= brw.RATES_HZ[1]:
        raise InputError(f"{path.name} states a sampling rate of {results.sampling_rate_hz:g} Hz, which cannot be")
    if not (1e-6 < abs(results.gain_uv) < 1e4 and abs(results.offset_uv) < 1e7):
        raise InputError(f"{path.name} states {results.gain_uv:g} µV per step, which cannot be: export it anew")
    return results


def _spikes(group: h5py.Group, name: str, channel: str, waveforms: bool) -> dict:
    """Read times, channels, units and waveforms, and make sure that they fit one another."""
    if "SpikeTimes" not in group or group["SpikeTimes"].size == 0:
        raise InputError(f"{name} holds no spikes of this well: detect spikes with BrainWave, or give the recording")
    n, forms = group["SpikeTimes"].size, group.get("SpikeForms") if waveforms else None
    sizes = {part: group[part].size for part in (channel, "SpikeUnits") if part in group}
    if n > MOST_SAMPLES // 8 or set(sizes.values()) != {n} or channel not in sizes:
        raise InputError(
            f"{name} has {n} SpikeTimes, {', '.join(f'{size} {part}' for part, size in sizes.items())}: export it anew"
        )
    frame, its = (group[part][()].ravel().astype(np.int64) for part in ("SpikeTimes", channel))
    unit = group["SpikeUnits"][()].ravel().astype(np.int64) if "SpikeUnits" in sizes else np.full(n, -1)
    found = {"frame": frame, "channel": its, "unit": _units(its, unit), "waveforms": None, "pre_samples": None}
    if forms is not None and forms.size:
        length = int(np.ravel(forms.attrs.get("Wavelength", forms.size // n))[0])
        if forms.size > MOST_SAMPLES or length < 1 or forms.size != n * length or forms.dtype.kind not in "iuf":
            raise InputError(
                f"{name} has {forms.size} samples of type {forms.dtype} of the waveforms of {n} spikes, {length} each: "
                f"export it anew"
            )
        found["waveforms"] = forms[()].reshape(n, length)
        if "WaveTimeOffset" in forms.attrs:
            found["pre_samples"] = int(np.ravel(forms.attrs["WaveTimeOffset"])[0])
    return found


def _units(channel: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Give each pair of channel and unit a number, for some files count units within a channel; −1 stays."""
    numbers, sorted_ = np.full(len(unit), -1), unit >= 0
    pairs = np.stack([channel, unit])[:, sorted_]
    numbers[sorted_] = np.unique(pairs, axis=1, return_inverse=True)[1].ravel()
    return numbers


def _read_2(file: h5py.File, name: str, well: str | None, waveforms: bool) -> Results:
    if well is not None:
        raise InputError(f"{name} is a BXR 2.x file, which has no wells: leave the well out")
    found = _spikes(file["3BResults/3BChEvents"], name, "SpikeChIDs", waveforms)
    gain, offset, rate, n_frames, _ = brw.scale_3(file, name)
    vector = file.get("3BResults/3BInfo/MeaChs2ChIDsVector")
    chs = file.get("3BRecInfo/3BMeaStreams/Raw/Chs") if vector is None else vector
    electrodes, channels = None, np.unique(found["channel"])
    if chs is not None and {"Row", "Col"} <= set(chs.dtype.names or ()):
        electrodes = brw.electrodes_3(chs, name)
        channels = electrodes @ [brw.CHIP_ELECTRODES, 1]
        if (found["channel"] < 0).any() or (found["channel"] >= len(channels)).any():
            raise InputError(f"{name} names channels that were not recorded: export it anew with BrainWave")
        found["channel"] = channels[found["channel"]]
    return Results(
        **found,
        gain_uv=gain,
        offset_uv=offset,
        channels=channels,
        electrodes=electrodes,
        pitch_um=brw.DEFAULT_PITCH_UM,
        sampling_rate_hz=rate,
        stretches=np.array([[0, n_frames]]),
    )


def _read_3(file: h5py.File, name: str, group: h5py.Group, waveforms: bool) -> Results:
    found = _spikes(group, name, "SpikeChIdxs", waveforms)
    settings, (low, high, low_code, high_code, scale, rate) = brw.settings_4(file)
    gain = scale * (high - low) / (high_code - low_code)
    channels, toc = brw.stored_channels(group, settings, name), brw.read_toc(file, name)
    if not np.isin(found["channel"], channels).all():
        raise InputError(f"{name} names channels that were not recorded: export it anew with BrainWave")
    found["frame"] -= toc[0, 0]
    return Results(
        **found,
        gain_uv=gain,
        offset_uv=scale * low - low_code * gain,
        channels=channels,
        electrodes=brw.electrodes_4(channels),
        pitch_um=brw.pitch_4(settings)[0],
        sampling_rate_hz=float(rate),
        stretches=brw.stretches_of(toc),
    )
