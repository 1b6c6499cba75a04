"""The Transformer-GAN of chapter 3 (reconstruction: the thesis is known there by its headings only).

Generator: latent vector → tokens + positions → Transformer encoder → patches of a window, added to a Gaussian.
Discriminator: strided convolutions beside a dense look at the whole window.
Sources: Vaswani et al. 2017 (arXiv:1706.03762); pre-norm blocks: Xiong et al. 2020 (arXiv:2002.04745);
a Transformer as generator of signals: Li et al. 2022, TTS-GAN (arXiv:2202.02691).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from meagan_lib.models.baselines import Gaussian


def sinusoidal_positions(length: int, width: int) -> Tensor:
    """Positional encoding (length, width): PE(pos, 2i) = sin(pos / 10000^(2i/width)), PE(pos, 2i+1) = cos(…)."""
    position = torch.arange(length, dtype=torch.float32)[:, None]
    frequency = torch.exp(-math.log(10_000.0) * torch.arange(0, width, 2) / width)
    encoding = torch.empty(length, width)
    encoding[:, 0::2] = torch.sin(position * frequency)
    encoding[:, 1::2] = torch.cos(position * frequency)
    return encoding


def attention(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """softmax(Q Kᵀ / √d) V, and the weights of the softmax; each (batch, heads, tokens, d).

    Written out, so that the weights can be looked at and every derivative exists, the second ones too.
    """
    weights = torch.softmax(query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1]), dim=-1)
    return weights @ value, weights


class SelfAttention(nn.Module):
    """Multi-head self-attention over (batch, tokens, width)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, tokens, width) → the same, and the weights (batch, heads, tokens, tokens)."""
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (batch, heads, tokens, d)
        mixed, weights = attention(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, width)), weights


class Block(nn.Module):
    """Pre-norm Transformer encoder block: attention, then an MLP, each added to its input."""

    def __init__(self, width: int, heads: int, expansion: int):
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) → the same."""
        x = x + self.attention(self.norm_attention(x))[0]
        return x + self.mlp(self.norm_mlp(x))


class Generator(nn.Module):
    """z (batch, latent) → windows (batch, samples), as z-scores.

    One linear map turns z into tokens, one for each patch of samples; positions are added; Transformer blocks let
    the patches see one another; one linear map turns each token into its patch. No tanh: z-scores are unbounded.

    The patches are added to x̄ + W z, a draw from ``gaussian``, the mean and the covariance of the training windows.
    It is fixed and the last linear map starts at zero: untrained, G *is* that Gaussian, and the game is about what a
    Gaussian leaves out. Without it the patches stand alone.

    Real windows were cut from a low-passed recording. ``lowpass``, the taps (odd,) of that filter, is the fixed last
    layer of the patches: a longer signal is generated, filtered and cut, so that nothing above the pass band gives it
    away.
    """

    def __init__(
        self, samples: int, lowpass: Sequence[float] = (1.0,), gaussian: Gaussian | None = None, latent: int = 64,
        patch: int = 8, width: int = 64, depth: int = 3, heads: int = 4, expansion: int = 2,
    ):
        super().__init__()
        self.samples, self.latent, self.width = samples, latent, width
        self.register_buffer("taps", torch.tensor(lowpass, dtype=torch.float32)[None, None], persistent=False)
        self.uncut = samples + len(lowpass) - 1
        self.tokens = math.ceil(self.uncut / patch)
        self.embed = nn.Linear(latent, self.tokens * width)
        self.register_buffer("positions", sinusoidal_positions(self.tokens, width), persistent=False)
        self.blocks = nn.Sequential(*(Block(width, heads, expansion) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, patch)
        self.on_gaussian = gaussian is not None
        if self.on_gaussian:
            self.register_buffer("mean", torch.tensor(gaussian.mean, dtype=torch.float32))
            self.register_buffer("colouring", torch.tensor(gaussian.colouring(latent), dtype=torch.float32))
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def forward(self, z: Tensor) -> Tensor:
        """(batch, latent) → (batch, samples)."""
        x = self.embed(z).view(len(z), self.tokens, self.width) + self.positions
        patches = self.head(self.norm(self.blocks(x)))  # (batch, tokens, patch)
        signal = patches.flatten(1)[:, None, : self.uncut]
        x = nn.functional.conv1d(signal, self.taps).squeeze(1)
        return x + torch.addmm(self.mean, z, self.colouring.T) if self.on_gaussian else x


@torch.no_grad()
def attention_maps(generator: Generator, z: Tensor) -> Tensor:
    """Weights of every self-attention while ``generator`` turns z (batch, latent) into windows.

    (blocks, batch, heads, tokens, tokens): the last axis is what a token looks at, over which weights sum to 1.
    """
    maps: list[Tensor] = []
    hooks = [b.attention.register_forward_hook(lambda _, x, out: maps.append(out[1])) for b in generator.blocks]
    try:
        generator(z)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(maps)


class ConvolutionStack(nn.Sequential):
    """Strided convolutions (batch, samples) → (batch, features), LeakyReLU, no normalisation layers."""

    def __init__(self, samples: int, channels: tuple[int, ...]):
        layers: list[nn.Module] = [nn.Unflatten(1, (1, samples))]
        length, previous = samples, 1
        for channel in channels:
            layers += [nn.Conv1d(previous, channel, 5, stride=2, padding=2), nn.LeakyReLU(0.2)]
            length, previous = (length + 1) // 2, channel
        super().__init__(*layers, nn.Flatten())
        self.features = length * previous


class Discriminator(nn.Module):
    """Windows (batch, samples) → logits (batch,): positive says real.

    Convolutions see local shape, a dense branch sees the window as a whole.
    """

    def __init__(self, samples: int, width: int = 128, channels: tuple[int, ...] = (16, 32, 64)):
        super().__init__()
        self.convolutions = ConvolutionStack(samples, channels)
        self.local = nn.Sequential(nn.Linear(self.convolutions.features, width), nn.LeakyReLU(0.2))
        self.whole = nn.Sequential(nn.Linear(samples, width), nn.LeakyReLU(0.2))
        self.head = nn.Linear(2 * width, 1)

    def features(self, x: Tensor) -> Tensor:
        """The last layer before the logit, (batch, 2 · width)."""
        return torch.cat([self.local(self.convolutions(x)), self.whole(x)], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, samples) → (batch,)."""
        return self.judge(self.features(x))

    def judge(self, features: Tensor) -> Tensor:
        """The logit (batch,) of features (batch, 2 · width)."""
        return self.head(features).squeeze(1)


class TransformerDiscriminator(nn.Module):
    """Windows (batch, samples) → logits (batch,), by the generator's own kind of blocks.

    Patches of samples become tokens, positions are added, Transformer blocks let them see one another, and the mean
    token is judged. Every derivative exists, for :func:`attention` is written out: gradient penalties need the second.
    """

    def __init__(self, samples: int, patch: int = 4, width: int = 64, depth: int = 2, heads: int = 4, expansion: int = 2):
        super().__init__()
        self.patch, self.tokens = patch, math.ceil(samples / patch)
        self.embed = nn.Linear(patch, width)
        self.register_buffer("positions", sinusoidal_positions(self.tokens, width), persistent=False)
        self.blocks = nn.Sequential(*(Block(width, heads, expansion) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1)

    def features(self, x: Tensor) -> Tensor:
        """The mean token, (batch, width)."""
        x = nn.functional.pad(x, (0, self.tokens * self.patch - x.shape[1]))
        tokens = self.embed(x.view(len(x), self.tokens, self.patch)) + self.positions
        return self.norm(self.blocks(tokens)).mean(dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, samples) → (batch,)."""
        return self.judge(self.features(x))

    def judge(self, features: Tensor) -> Tensor:
        """The logit (batch,) of features (batch, width)."""
        return self.head(features).squeeze(1)


DISCRIMINATORS = {"convolutional": Discriminator, "transformer": TransformerDiscriminator}
