"""What a run hands to other tools: its generators as ONNX files, their windows as a data set with a datasheet."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor, nn

from meagan_lib import InputError
from meagan_lib.book.datasheets import datasheet, label_of_folder
from meagan_lib.experiments.benchmark import MATCHED, SCORES, SYNTHETIC
from meagan_lib.experiments.portable import SpikeGenerator, folders, open_generator
from meagan_lib.models.exporting import onnx_bytes
from meagan_lib.models.window_networks import WindowNetwork, as_network
from meagan_lib.windows.spike_windows import SpikeWindows
from meagan_lib.workflow.execution import RESULTS, require_finished
from meagan_lib.workflow.files import atomic, exported, write_if_changed

BLOCK_BYTES = 2**24
"""Of what is in memory of windows while they are written."""


class Footprints(nn.Module):
    """A network whose windows become footprints (n, electrodes, samples)."""

    def __init__(self, network: WindowNetwork, electrodes: int):
        super().__init__()
        self.network, self.electrodes = network, electrodes

    def forward(self, z: Tensor, *others: Tensor) -> Tensor:
        """Return windows (n, electrodes · samples) as (n, electrodes, samples)."""
        x = self.network(z, *others)
        return x.reshape(x.shape[0], self.electrodes, -1)


def generator_onnx(generator: SpikeGenerator) -> bytes:
    """Return a generator as an ONNX file: standard normal numbers in, windows in the amplitude unit out.

    Inputs are ``z`` (n, numbers), ``noise`` of a VAE alone, and ``label`` int64 (n,) where it has classes; output is
    ``output`` (n, samples), of footprints (n, electrodes, samples). The metadata of the file say rate, unit and
    classes. ``InputError``: a model that cannot be a network.
    """
    import onnx

    if not hasattr(generator.normaliser, "centre"):
        raise InputError("its windows were scaled one by one, with amplitudes of training windows that no file has")
    network = as_network(generator.model, generator.normaliser.centre, generator.normaliser.scale)
    inputs = [torch.zeros(2, width) for width in network.inputs.values()]
    names = list(network.inputs)
    if generator.classes:
        inputs, names = [*inputs, torch.zeros(2, dtype=torch.int64)], [*names, "label"]
    whole = network if generator.electrodes == 1 else Footprints(network, generator.electrodes)
    file = onnx.load_from_string(onnx_bytes(whole, inputs, names, any_number=True))
    about = {"model": generator.name, "sampling_rate_hz": generator.sampling_rate_hz, "unit": generator.amplitude_unit}
    about |= {"pre_samples": generator.pre_samples, "classes": generator.classes, "counts": generator.counts}
    onnx.helper.set_model_props(file, {key: json.dumps(value) for key, value in about.items()})
    return file.SerializeToString()


def to_onnx(run: str, folder: Path) -> list[str]:
    """Write every generator of a run as ``<model>.onnx``; return what was left out, and why, and what was done."""
    told, n = [], 0
    with exported(folder) as temporary:
        temporary.mkdir()
        for name, source in folders(run).items():
            try:
                content = generator_onnx(open_generator(source))
            except InputError as error:
                told.append(f"{name} is left out: {error}")
                continue
            (temporary / f"{name}.onnx").write_bytes(content)
            n += 1
    return [*told, f"{n} generators of run '{run}' as ONNX files"]


def arrays(windows: SpikeWindows, generator: SpikeGenerator) -> dict[str, np.ndarray]:
    """Return what a data set holds of generated windows, by name."""
    found = {"windows": windows.windows, "passes": windows.passes, "time_ms": windows.time_ms}
    if windows.footprints is not None:
        found["footprints"] = windows.footprints
    if generator.trained_on["condition"] == "unit":
        found["unit"] = windows.label
    elif generator.trained_on["condition"] == "channel":
        found["channel"] = windows.channel
    return found


def write_npz(path: Path, named: Mapping[str, np.ndarray | h5py.Dataset]) -> None:
    """Write arrays as :func:`numpy.savez_compressed` does, those that lie in a file in blocks."""
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in named.items():
            about = {"descr": np.lib.format.dtype_to_descr(data.dtype), "fortran_order": False, "shape": data.shape}
            rows = max(BLOCK_BYTES // max(data.dtype.itemsize * int(np.prod(data.shape[1:])), 1), 1)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array_header_1_0(file, about)
                for start in range(0, len(data), rows):
                    file.write(np.ascontiguousarray(data[start : start + rows]).tobytes())


def to_dataset(run: str, folder: Path) -> list[str]:
    """Write the generated windows of a run, ``<model>.npz``, and ``datasheet.md``; return what was done."""
    made: dict[str, tuple[SpikeGenerator, Mapping[str, int]]] = {}
    if (RESULTS / run / SCORES).is_file():  # which the datasheet quotes
        require_finished(run)
    with exported(folder) as temporary:
        for name, source in folders(run).items():
            if not (source / SYNTHETIC).is_file():
                continue
            generator = open_generator(source)
            with SpikeWindows.opened(source / SYNTHETIC) as drawn:
                write_npz(temporary / f"{name}.npz", arrays(drawn, generator))
                made[name] = generator, {"windows": len(drawn), "passing": int(drawn.passes.sum())}
            if (source / MATCHED).is_file():
                with SpikeWindows.opened(source / MATCHED) as matched:
                    write_npz(temporary / f"{name}_matched.npz", arrays(matched, generator))
        if not made:
            raise InputError(f"run '{run}' has drawn no windows: make it with meagan run")
        write_if_changed(temporary / "datasheet.md", datasheet(run, made))
    n = sum(counts["windows"] for _, counts in made.values())
    names = ", ".join(label_of_folder(name) for name in made)
    return [f"{n} generated windows of run '{run}' ({names}), with datasheet.md"]
