"""Latent vectors z: their priors, the path between two of them, and the windows that a generator gives of them."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

PRIORS = ("gaussian", "uniform", "correlated")


def prior(name: str, n: int, latent: int, rng: torch.Generator) -> Tensor:
    """Draw latent vectors (n, latent) with mean 0 and variance 1 (thesis 1.3.5).

    ``gaussian``: z ~ N(0, I). ``uniform``: each number uniform in ± √3. ``correlated``: z ~ N(0, C), C_ij = ½^|i − j|.
    """
    if name == "uniform":
        return (2 * torch.rand(n, latent, generator=rng) - 1) * math.sqrt(3)
    z = torch.randn(n, latent, generator=rng)
    return correlated(z) if name == "correlated" else z


def correlated(z: Tensor) -> Tensor:
    """Map z ~ N(0, I) (n, latent) to z ~ N(0, C), C_ij = ½^|i − j|."""
    i = torch.arange(z.shape[1])
    return z @ torch.linalg.cholesky(0.5 ** (i[:, None] - i).abs().float()).T


def latent_path(name: str, ends: Tensor, steps: int) -> Tensor:
    """Interpolate between two draws of a prior, ``ends`` (2, latent): latent vectors (steps, latent).

    Along an arc, z₀ cos θ + z₁ sin θ, every vector is again a draw of a Gaussian prior; of a uniform one it is a
    straight line that stays in the cube.
    """
    if name == "uniform":
        t = torch.linspace(0, 1, steps)
        return torch.stack([1 - t, t], dim=1) @ ends
    angle = torch.linspace(0, math.pi / 2, steps)
    return torch.stack([angle.cos(), angle.sin()], dim=1) @ ends


@torch.no_grad()
def generate(
    generator: nn.Module, n: int, rng: torch.Generator, of: str = "gaussian", labels: np.ndarray | None = None
) -> np.ndarray:
    """Generate windows float32 (n, samples) from z of the prior ``of``, with labels (n,) where there are classes."""
    device = next(generator.parameters()).device
    z = prior(of, n, generator.latent, rng)
    parts = batches(z, labels, 500)
    return torch.cat([generator(*(t.to(device) for t in part)).cpu() for part in parts]).numpy()


def batches(rows: Tensor | np.ndarray, labels: np.ndarray | None, size: int) -> Iterator[tuple[Tensor, ...]]:
    """Split float32 rows (n, ·), and their labels (n,) where there are any, into parts of at most ``size`` rows."""
    tensors = [torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32))]
    if labels is not None:
        tensors.append(torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64)))
    return zip(*(t.split(size) for t in tensors))
