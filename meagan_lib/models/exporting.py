"""Networks as ONNX files, which a browser or any other program computes; models of windows as one network each."""

import logging
import math
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from meagan_lib import InputError
from meagan_lib.models.baselines import PCAGaussian
from meagan_lib.models.contract import Model
from meagan_lib.models.gaussian import Gaussian
from meagan_lib.models.generators import convolution_matrix
from meagan_lib.models.neural import NeuralModel
from meagan_lib.models.tts_gan import TTSGAN
from meagan_lib.models.vae import PlainVAE


def onnx_bytes(network: nn.Module, inputs: Sequence[Tensor], names: Sequence[str], any_number: bool = False) -> bytes:
    """Export a network as an ONNX file, for ``inputs`` of these shapes, called ``names``; it gives ``output``.

    With ``any_number`` the first dimension of all inputs may be any number of rows, otherwise it is that of the
    ``inputs``; the network takes them as ``forward(first, *others)``. The file holds operations and weights, and
    nothing of the machine: PyTorch notes for each operation the files, with their folders, that it comes from.
    """
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)  # it misses torchvision, which nothing here needs
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
        quiet.setLevel(level)
    exported = program.model_proto
    for node in exported.graph.node:
        node.ClearField("metadata_props")
    return exported.SerializeToString()


def standard_normal_to(prior: str, z: Tensor) -> Tensor:
    """Map z ~ N(0, I) (n, latent) to a draw of a prior of :data:`meagan_lib.training.priors.PRIORS`."""
    if prior == "uniform":  # Φ(z) is uniform, and 2 Φ(z) − 1 = erf(z / √2)
        return math.sqrt(3) * torch.erf(z / math.sqrt(2))
    if prior == "correlated":
        i = torch.arange(z.shape[1])
        return z @ torch.linalg.cholesky(0.5 ** (i[:, None] - i).abs().float()).T
    return z


class WindowNetwork(nn.Module):
    """A model of windows as one network of random numbers: ``inputs`` are their names and how many each takes.

    All are standard normal, whatever the prior of the model. Windows come in the amplitude unit: ``centre`` + ``scale``
    · x. With labels there is a last input, ``label`` int64 (n,).
    """

    inputs: dict[str, int]

    def __init__(self, centre: float, scale: float):
        super().__init__()
        self.centre, self.scale = centre, scale

    def rescaled(self, x: Tensor) -> Tensor:
        """Return windows x (n, samples) in the amplitude unit."""
        return self.centre + self.scale * x


class Drawn(WindowNetwork):
    """Windows of a generator z → x, and with a ``noise`` scale the white noise of a VAE through its low-pass."""

    def __init__(self, model: NeuralModel, centre: float, scale: float):
        super().__init__(centre, scale)
        self.generator, self.prior = model.generator, getattr(model.config, "prior", model.Trainer.prior)
        self.inputs = {"z": self.generator.latent}
        self.noisy = isinstance(model, PlainVAE)
        if self.noisy:
            samples, taps = self.generator.samples, np.array(model.about["lowpass"])
            self.electrodes, self.trace = self.generator.electrodes, samples // self.generator.electrodes
            kernel = convolution_matrix((taps / np.linalg.norm(taps)).tolist(), self.trace)
            self.register_buffer("kernel", model.network.log_noise.exp().item() * kernel)
            self.inputs = self.inputs | {"noise": self.electrodes * len(kernel)}

    def forward(self, z: Tensor, *others: Tensor) -> Tensor:
        """(n, latent), noise where there is any, labels (n,) where there are any → (n, samples)."""
        noise, label = (others[0], others[1:]) if self.noisy else (None, others)
        x = self.generator(standard_normal_to(self.prior, z), *label)
        if noise is not None:
            x = x + (noise.reshape(-1, self.kernel.shape[0]) @ self.kernel).reshape(x.shape)
        return self.rescaled(x)


class Linear(WindowNetwork):
    """Windows of a Gaussian, x = mean + W z: z of the full covariance, or of axes and filtered noise."""

    def __init__(self, model: Gaussian | PCAGaussian, centre: float, scale: float):
        super().__init__(centre, scale)
        mean = np.atleast_2d(model.mean)
        if isinstance(model, Gaussian):
            weights = model.colouring(mean.shape[1]).T
        else:
            taps, electrodes = model.lowpass, int(model.electrodes)
            one = convolution_matrix((taps / np.linalg.norm(taps)).tolist(), mean.shape[1] // electrodes).double()
            rest = torch.block_diag(*[one] * electrodes).numpy()
            rest = model.noise * (rest - rest @ model.axes @ model.axes.T)
            weights = np.concatenate([(model.axes * model.deviations).T, rest])
        self.inputs = {"z": len(weights)}
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32))

    def forward(self, z: Tensor, *label: Tensor) -> Tensor:
        """(n, numbers), and labels (n,) where there are any → (n, samples)."""
        return self.rescaled((self.mean[label[0]] if label else self.mean) + z @ self.weights)


def as_network(model: Model, centre: float, scale: float) -> WindowNetwork:
    """Return a model of windows as one network, whose windows are ``centre`` + ``scale`` · x.

    ``InputError``: a model that is no function of random numbers alone.
    """
    if isinstance(model, TTSGAN):
        raise InputError("its dropout stays on when windows are drawn, which an ONNX file does not do")
    if isinstance(model, NeuralModel):
        return Drawn(model, centre, scale).eval()
    if isinstance(model, (Gaussian, PCAGaussian)):
        return Linear(model, centre, scale).eval()
    raise InputError("it picks among what it has stored, and is no network")
