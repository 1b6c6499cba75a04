"""Networks as ONNX files, which a browser computes."""

import logging
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def onnx_bytes(network: nn.Module, inputs: Sequence[Tensor], names: Sequence[str]) -> bytes:
    """Export a network as an ONNX file, for ``inputs`` of these shapes, called ``names``; it gives ``output``.

    It holds operations and weights, and nothing of the machine: PyTorch notes for each operation the files, with their
    folders, that it comes from.
    """
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)  # it misses torchvision, which nothing here needs
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network, tuple(inputs), input_names=list(names), output_names=["output"], verbose=False
            )
    finally:
        quiet.setLevel(level)
    exported = program.model_proto
    for node in exported.graph.node:
        node.ClearField("metadata_props")
    return exported.SerializeToString()
