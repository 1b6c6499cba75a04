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
    # They miss torchvision, which nothing here needs, and tell of every node.
    quiet = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir", "onnxscript")]
    levels = [logger.level for logger in quiet]
    for logger in quiet:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network, tuple(inputs), input_names=list(names), output_names=["output"], verbose=False
            )
    finally:
        for logger, level in zip(quiet, levels):
            logger.setLevel(level)
    exported = program.model_proto
    for node in exported.graph.node:
        node.ClearField("metadata_props")
    return exported.SerializeToString()
