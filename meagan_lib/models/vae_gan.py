"""The VAE-GAN of chapter 1.4.1 and 3 (reconstruction: the thesis' chapter 3 is known by its headings only).

Encoder: a mirror of the discriminator, to μ and log σ². Decoder: the Transformer-GAN's own generator, so that the
comparison of chapter 4 is one of training, not of capacity. Source: Larsen et al. 2016 (arXiv:1512.09300).
"""

import torch
from torch import Tensor, nn

from meagan_lib.models.transformer_gan import ConvolutionStack, Generator


class Encoder(nn.Module):
    """Windows (batch, samples) → μ and log σ², each (batch, latent)."""

    def __init__(self, samples: int, latent: int = 64, width: int = 128, channels: tuple[int, ...] = (16, 32, 64)):
        super().__init__()
        self.convolutions = ConvolutionStack(samples, channels)
        self.hidden = nn.Sequential(nn.Linear(self.convolutions.features, width), nn.LeakyReLU(0.2))
        self.head = nn.Linear(width, 2 * latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, samples) → μ, log σ²."""
        mu, log_variance = self.head(self.hidden(self.convolutions(x))).chunk(2, dim=1)
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
