"""Models of windows as one network each: standard normal numbers in, windows in the amplitude unit out."""

import math

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
from meagan_lib.training.priors import correlated


def standard_normal_to(prior: str, z: Tensor) -> Tensor:
    """Map z ~ N(0, I) (n, latent) to a draw of a prior of :data:`meagan_lib.training.priors.PRIORS`."""
    if prior == "uniform":  # Φ(z) is uniform, and 2 Φ(z) − 1 = erf(z / √2)
        return math.sqrt(3) * torch.erf(z / math.sqrt(2))
    if prior == "correlated":
        return correlated(z)
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
