"""The VAE-GAN of chapter 1.4.1 and 3 (reconstruction: the thesis' chapter 3 is known by its headings only).

Encoder: a mirror of the discriminator, to μ and log σ². Decoder: the Transformer-GAN's own generator, so that the
comparison of chapter 4 is one of training, not of capacity. Source: Larsen et al. 2016 (arXiv:1512.09300).
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from meagan_lib.models.contract import TrainingData, band_noise
from meagan_lib.models.neural import NeuralModel
from meagan_lib.models.transformer_gan import (
    ConvolutionStack,
    Generator,
    build_discriminator,
    build_generator,
    n_classes,
)
from meagan_lib.training.trainer import GeneratorConfig, VAEGANConfig, VAEGANTrainer, seeded


class Encoder(nn.Module):
    """Windows (batch, samples) → μ and log σ², each (batch, latent); a label adds a row to the last layer."""

    def __init__(
        self,
        samples: int,
        latent: int = 64,
        width: int = 128,
        channels: tuple[int, ...] = (16, 32, 64),
        classes: int = 0,
    ):
        super().__init__()
        self.convolutions = ConvolutionStack(samples, channels)
        self.hidden = nn.Sequential(nn.Linear(self.convolutions.features, width), nn.LeakyReLU(0.2))
        self.classes = nn.Embedding(classes, width) if classes else None
        self.head = nn.Linear(width, 2 * latent)

    def forward(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(batch, samples), and labels (batch,) where there are classes → μ, log σ²."""
        hidden = self.hidden(self.convolutions(x))
        if self.classes is not None:
            hidden = hidden + self.classes(label)
        mu, log_variance = self.head(hidden).chunk(2, dim=1)
        return mu, log_variance

    def layers(self) -> list[tuple[str, str, int]]:
        """What each step gives: in words, its shape, its number of values."""
        dense, both = self.hidden[0].out_features, self.head.out_features
        return [
            ("strided\nconvolutions", str(self.convolutions.features), self.convolutions.features),
            ("dense", str(dense), dense),
            ("$\\mu$, $\\log\\,\\sigma^2$", f"2 × {both // 2}", both),
        ]


def reparameterise(mu: Tensor, log_variance: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """z = μ + σ ⊙ ε with ε ~ N(0, I) (thesis 1.4.1); σ = exp(½ log σ²)."""
    noise = torch.randn(mu.shape, generator=generator).to(mu.device)
    return mu + torch.exp(0.5 * log_variance) * noise


class VAE(nn.Module):
    """Encoder, decoder and a learned noise scale s = exp(``log_noise``), shared by all samples of a window."""

    def __init__(self, encoder: Encoder, decoder: Generator):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.log_noise = nn.Parameter(torch.zeros(()))

    def layers(self, samples: int) -> tuple[list[tuple[str, str, int]], int]:
        """From window to window: what each step gives in words, its shape, its number of values; and which one is z."""
        encoder = [("window $x$", str(samples), samples), *self.encoder.layers()]
        z = ("$z = \\mu + \\sigma \\odot \\varepsilon$", str(self.decoder.latent), self.decoder.latent)
        decoder = [
            (label, shape, math.prod(int(size) for size in shape.split(" × ")))
            for label, shape in self.decoder.outline()[1:]
        ]
        return [*encoder, z, *decoder], len(encoder)


def build_vae(
    config: GeneratorConfig,
    train: np.ndarray,
    lowpass: Sequence[float] = (1.0,),
    labels: np.ndarray | None = None,
    bounded: bool = False,
) -> VAE:
    """The VAE of a config, its decoder the generator that the Transformer-GAN would have; arguments as there."""
    decoder = build_generator(config, train, lowpass, labels, bounded)
    return seeded(lambda: VAE(Encoder(train.shape[1], config.latent, classes=n_classes(labels)), decoder), config.seed)


@torch.no_grad()
def encode(vae: VAE, windows: np.ndarray, labels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """μ and log σ² (n, latent) of windows (n, samples), with labels (n,) where there are classes."""
    parts = _batches(windows, labels)
    mu, log_variance = zip(*(vae.encoder(*part) for part in parts))
    return torch.cat(mu).numpy(), torch.cat(log_variance).numpy()


@torch.no_grad()
def decode(vae: VAE, z: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """The decoder's mean (n, samples) of latent vectors (n, latent)."""
    return torch.cat([vae.decoder(*part) for part in _batches(z, labels)]).numpy()


def reconstruct(vae: VAE, windows: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Windows (n, samples) encoded and decoded again: the decoder's mean of μ, nothing drawn."""
    return decode(vae, encode(vae, windows, labels)[0], labels)


def traverse(vae: VAE, latent: int, values: np.ndarray, label: int | None = None) -> np.ndarray:
    """The decoder's means (steps, samples) as one latent number takes ``values`` (steps,) and all others are 0."""
    z = np.zeros((len(values), vae.decoder.latent), np.float32)
    z[:, latent] = values
    return decode(vae, z, None if label is None else np.full(len(values), label))


def add_noise(vae: VAE, means: np.ndarray, seed: int = 0) -> np.ndarray:
    """Draws from p(x|z), of the decoder's means (n, samples): noise of the scale s that the ELBO learned is added.

    The likelihood that was trained, N(mean, s² I), has white noise. Real windows have no power above their band, and
    white noise would be told from theirs at once: this noise went through the decoder's low-pass, and has the same s.
    """
    samples, uncut = vae.decoder.samples, vae.decoder.uncut
    taps = vae.decoder.lowpass[: uncut - samples + 1, 0].cpu().numpy()
    noise = band_noise(len(means), samples, taps, np.random.default_rng(seed))
    return (means + float(vae.log_noise.detach().exp()) * noise).astype(np.float32)


def aggregate_posterior(
    vae: VAE, windows: np.ndarray, n: int, seed: int = 0, labels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Latent vectors (n, latent) of q(z) = E_x q(z|x), and their labels (n,) where windows have labels.

    Windows are drawn at random, and each gives one draw of its posterior.

    Where it differs from the prior, the decoder meets z of the prior that it has seldom seen.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(windows), size=n)
    of = None if labels is None else labels[drawn]
    mu, log_variance = encode(vae, windows[drawn], of)
    return (mu + np.exp(0.5 * log_variance) * rng.standard_normal(mu.shape)).astype(np.float32), of


def kl_by_dimension(mu: np.ndarray, log_variance: np.ndarray) -> np.ndarray:
    """KL(q(z_i|x) ‖ N(0, 1)) in nats of each latent number (latent,), mean over windows: 0 where it is not used."""
    return 0.5 * (mu**2 + np.exp(log_variance) - 1 - log_variance).mean(axis=0)


def active_units(mu: np.ndarray, threshold: float = 0.01) -> np.ndarray:
    """Which latent numbers carry something of the window: Var_x(μ_i) above ``threshold``, bool (latent,).

    Burda et al. 2016, arXiv:1509.00519; where none does, the posterior has collapsed.
    """
    return mu.var(axis=0) > threshold


def _batches(rows: np.ndarray, labels: np.ndarray | None, size: int = 1000):
    tensors = [torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32))]
    if labels is not None:
        tensors.append(torch.from_numpy(np.asarray(labels, dtype=np.int64)))
    return zip(*(t.split(size) for t in tensors))


class VAEGAN(NeuralModel):
    """The VAE-GAN as a model of the benchmark: windows of its decoder, of z from the prior."""

    Config = VAEGANConfig

    @classmethod
    def build(cls, config: VAEGANConfig, data: TrainingData) -> Generator:
        """The untrained decoder."""
        return build_vae(config, data.train, data.lowpass, data.labels, data.bounded).decoder

    @classmethod
    def trainer(cls, config: VAEGANConfig, data: TrainingData, folder: Path | None) -> VAEGANTrainer:
        """Of encoder, decoder and discriminator."""
        return VAEGANTrainer(
            build_vae(config, data.train, data.lowpass, data.labels, data.bounded),
            reparameterise,
            build_discriminator(config, data.train.shape[1], data.labels),
            data.train,
            config,
            validate=data.validate,
            labels=data.labels,
            folder=folder,
        )
