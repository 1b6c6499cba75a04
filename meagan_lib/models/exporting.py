"""Networks as ONNX files, which a browser or any other program computes."""

import logging
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def onnx_bytes(network: nn.Module, inputs: Sequence[Tensor], names: Sequence[str], any_number: bool = False) -> bytes:
    """Export a network as an ONNX file, for ``inputs`` of these shapes, called ``names``; it gives ``output``.

    With ``any_number`` the first dimension of all inputs may be any number of rows, otherwise it is that of the
    ``inputs``; the network takes them as ``forward(first, *others)``. The file holds operations and weights, and
    nothing of the machine: PyTorch notes for each operation the files, with their folders, that it comes from.
    """
    # They miss torchvision, which nothing here needs, and tell of every node.
    quiet = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir", "onnxscript")]
    levels = [logger.level for logger in quiet]
    for logger in quiet:
        logger.setLevel(logging.ERROR)
    options = {"input_names": list(names), "output_names": ["output"], "verbose": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if any_number:
                row = {0: torch.export.Dim("n", min=1)}
                rows = (row, tuple(row for _ in inputs[1:])) if inputs[1:] else (row,)
                network = torch.export.export(network, tuple(inputs), dynamic_shapes=rows)
            program = torch.onnx.export(network, () if any_number else tuple(inputs), **options)
    finally:
        for logger, level in zip(quiet, levels):
            logger.setLevel(level)
    exported = program.model_proto
    for node in exported.graph.node:
        node.ClearField("metadata_props")
    return exported.SerializeToString()
