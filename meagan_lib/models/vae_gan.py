"""The VAE-GAN of chapter 1.4.1 and 3 (reconstruction: the thesis' chapter 3 is known by its headings only).

Encoder: a mirror of the discriminator, to μ and log σ². Decoder: the Transformer-GAN's own generator, so that the
comparison of chapter 4 is one of training, not of capacity. Source: Larsen et al. 2016 (arXiv:1512.09300).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from meagan_lib.models.transformer_gan import ConvolutionStack, Generator, build_generator, n_classes
from meagan_lib.training import VAEGANConfig, seeded


class Encoder(nn.Module):
    """Windows (batch, samples) → μ and log σ², each (batch, latent); a label adds a row of its own to the last layer."""

    def __init__(
        self, samples: int, latent: int = 64, width: int = 128, channels: tuple[int, ...] = (16, 32, 64), classes: int = 0,
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


def reparameterise(mu: Tensor, log_variance: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """z = μ + σ ⊙ ε with ε ~ N(0, I) (thesis 1.4.1); σ = exp(½ log σ²)."""
    noise = torch.randn(mu.shape, generator=generator)
    return mu + torch.exp(0.5 * log_variance) * noise


class VAE(nn.Module):
    """Encoder, decoder and a learned noise scale s = exp(``log_noise``), shared by all samples of a window."""

    def __init__(self, encoder: Encoder, decoder: Generator):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.log_noise = nn.Parameter(torch.zeros(()))


def build_vae(
    config: VAEGANConfig, train: np.ndarray, lowpass: Sequence[float] = (1.0,), labels: np.ndarray | None = None,
    bounded: bool = False,
) -> VAE:
    """The VAE of a recipe, its decoder the generator that the Transformer-GAN would have; arguments as there."""
    decoder = build_generator(config, train, lowpass, labels, bounded)
    return seeded(lambda: VAE(Encoder(train.shape[1], config.latent, classes=n_classes(labels)), decoder), config.seed)
