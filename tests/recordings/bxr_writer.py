"""Write BrainWave's results (BXR) of both layouts as they are described publicly: for tests and ``bench``."""

import json
from pathlib import Path

import h5py
import numpy as np

from tests.recordings.brw_writer import HEADER, RATE

N, SAMPLES, CHANNELS = 300, 40, [3, 70, 4095]
GAIN = 8250 / 4095


def spikes(seed: int = 0) -> dict[str, np.ndarray]:
    """Times, places in ``CHANNELS``, units and waveforms in codes, deepest at sample 12."""
    rng = np.random.default_rng(seed)
    shape = -80 * np.exp(-((np.arange(SAMPLES) - 12) ** 2) / 8)
    return {
        "frame": np.sort(rng.choice(100_000, N, replace=False)).astype(np.int64) + 100,
        "place": rng.integers(0, 3, N),
        "unit": rng.integers(-1, 2, N),
        "waveforms": np.rint(2048 + shape + rng.normal(0, 3, (N, SAMPLES))).astype(np.int16),
    }


def write_3(
    path: Path,
    its=None,
    channels=CHANNELS,
    *,
    wells=("A1",),
    settings=True,
    toc=((100, 120_100),),
    offset=12,
    **changes,
) -> dict:
    """Layout 3.x: ``its`` spikes in each of ``wells``, with ``changes`` of its datasets; None leaves one out."""
    its = its or spikes()
    with h5py.File(path, "w") as file:
        if settings:
            file["ExperimentSettings"] = [json.dumps(HEADER)]
        else:
            file.attrs.update(SamplingRate=RATE, MinAnalogValue=-4125.0, MaxAnalogValue=4125.0)
            file.attrs.update(MinDigitalValue=0.0, MaxDigitalValue=4095.0)
        file["TOC"] = np.array(toc, np.int64)
        for well in wells:
            parts = {
                "SpikeTimes": its["frame"],
                "SpikeChIdxs": np.array(channels, np.int32)[its["place"]],
                "SpikeUnits": its["unit"].astype(np.int32),
                "SpikeForms": its["waveforms"].ravel(),
                "StoredChIdxs": np.array(channels, np.int32),
            }
            for part, values in (parts | changes).items():
                if values is not None:
                    file[f"Well_{well}/{part}"] = values
            if changes.get("SpikeForms", 0) is not None:
                file[f"Well_{well}/SpikeForms"].attrs["Wavelength"] = np.int32(its["waveforms"].shape[1])
                if offset is not None:
                    file[f"Well_{well}/SpikeForms"].attrs["WaveTimeOffset"] = np.int32(offset)
    return its


def write_2(path: Path, *, flat: bool, inversion: float = 1.0) -> dict:
    """Layout 2.x: waveforms ``flat`` or as a table."""
    its = spikes()
    chs = np.zeros(3, dtype=[("Row", "<i4"), ("Col", "<i4")])
    chs["Row"], chs["Col"] = np.divmod(CHANNELS, 64) + np.array([[1], [1]])
    header = {
        "BitDepth": np.uint8(12),
        "MaxVolt": 4125.0,
        "MinVolt": -4125.0,
        "NRecFrames": np.int64(120_000),
        "SamplingRate": RATE,
        "SignalInversion": inversion,
    }
    codes = its["waveforms"] if inversion == 1 else 4096 - its["waveforms"]
    with h5py.File(path, "w") as file:
        for name, value in header.items():
            file[f"3BRecInfo/3BRecVars/{name}"] = np.array([value])
        file["3BResults/3BInfo/MeaChs2ChIDsVector"] = chs
        group = file.create_group("3BResults/3BChEvents")
        group["SpikeTimes"], group["SpikeChIDs"] = its["frame"], its["place"].astype(np.int32)
        group["SpikeUnits"], group["SpikeForms"] = its["unit"].astype(np.int32), codes.ravel() if flat else codes
    return its
