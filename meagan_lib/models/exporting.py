"""Networks as ONNX files, which a browser computes."""

import logging
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def onnx_bytes(network: nn.Module, inputs: Sequence[Tensor], names: Sequence[str]) -> bytes:
    """Export a network as an ONNX file, for ``inputs`` of these shapes, called ``names``; it gives ``output``."""
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
    return program.model_proto.SerializeToString()
