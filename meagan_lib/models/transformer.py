"""The Transformer (thesis chapter 3): positions, self-attention, blocks, the encoder, and maps of its attention.

Sources: Vaswani et al. 2017 (arXiv:1706.03762); pre-norm blocks: Xiong et al. 2020 (arXiv:2002.04745); rotary
positions: Su et al. 2021 (arXiv:2104.09864).
"""

import math
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from meagan_lib import InputError, choose


def sinusoidal_positions(length: int, width: int) -> Tensor:
    """Encode positions, (length, width): PE(pos, 2i) = sin(pos / 10000^(2i/width)), PE(pos, 2i+1) = cos(…)."""
    position = torch.arange(length, dtype=torch.float32)[:, None]
    frequency = torch.exp(-math.log(10_000.0) * torch.arange(0, width, 2) / width)
    encoding = torch.empty(length, width)
    encoding[:, 0::2] = torch.sin(position * frequency)
    encoding[:, 1::2] = torch.cos(position * frequency)
    return encoding


def rotate(x: Tensor, encoding: Tensor) -> Tensor:
    """Turn each pair of components (2i, 2i+1) of x (…, tokens, d) by the angle of its position, pos / 10000^(2i/d).

    ``encoding`` (tokens, d): the sines and cosines of the angles, :func:`sinusoidal_positions`. A query and a key that
    are turned so have a product that depends on the lag of their positions alone.
    """
    (even, odd), (sin, cos) = ((its[..., 0::2], its[..., 1::2]) for its in (x, encoding))
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)


def attention(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Return softmax(Q Kᵀ / √d) V and the weights of the softmax; Q, K and V are (batch, heads, tokens, d).

    Written out, so that the weights can be seen and every derivative exists, the second ones too. Scores are (keys,
    queries): over a short last axis torch's softmax takes five times as long.
    """
    scores = key @ query.transpose(-2, -1) / math.sqrt(query.shape[-1])
    weights = torch.softmax(scores, dim=-2).transpose(-2, -1)
    return weights @ value, weights


class SelfAttention(nn.Module):
    """Multi-head self-attention over (batch, tokens, width).

    ``rotary``: sines and cosines (tokens, width / heads) by which queries and keys are turned; None: they are not.
    """

    def __init__(self, width: int, heads: int, rotary: Tensor | None = None):
        super().__init__()
        if width % heads:
            raise InputError(f"{heads} heads cannot share a width of {width}: choose a divisor of it")
        self.heads = heads
        self.register_buffer("rotary", rotary, persistent=False)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, tokens, width) → the same, and the weights (batch, heads, tokens, tokens)."""
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (batch, heads, tokens, d)
        if self.rotary is not None:
            query, key = rotate(query, self.rotary), rotate(key, self.rotary)
        mixed, weights = attention(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, width)), weights


class TokenBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of (batch, tokens, width): each feature over all tokens of all windows of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) → the same."""
        return super().forward(x.flatten(0, 1)).view_as(x)


class Block(nn.Module):
    """Pre-norm Transformer encoder block: attention, then an MLP, each added to its input."""

    def __init__(
        self,
        width: int,
        norm: type[nn.Module],
        heads: int,
        expansion: int = 2,
        dropout: float = 0.0,
        rotary: Tensor | None = None,
    ):
        super().__init__()
        self.norm_attention = norm(width)
        self.attention = SelfAttention(width, heads, rotary)
        self.norm_mlp = norm(width)
        self.mlp = nn.Sequential(nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) → the same."""
        x = x + self.dropout(self.attention(self.norm_attention(x))[0])
        return x + self.dropout(self.mlp(self.norm_mlp(x)))


POSITIONS = ("sinusoidal", "learned", "rotary")


class TransformerEncoder(nn.Module):
    """Positions, then Transformer blocks and a last normalisation: tokens (batch, tokens, width) → the same.

    ``positions``: ``sinusoidal``, fixed, or ``learned``, a row of parameters for each token, both added to the tokens;
    or ``rotary``, by which the queries and keys of every block are turned. ``options`` are those of each
    :class:`Block`.

    ``InputError``: rotary positions, and heads of an odd width.
    """

    def __init__(
        self,
        tokens: int,
        width: int,
        depth: int,
        positions: str = "sinusoidal",
        batch_norm: bool = False,
        *,
        heads: int,
        **options,
    ):
        super().__init__()
        choose("positions", positions, POSITIONS)
        self.added = positions != "rotary"
        norm = TokenBatchNorm if batch_norm else nn.LayerNorm
        if positions == "learned":
            self.positions = nn.Parameter(0.02 * torch.randn(tokens, width))
        else:
            d = width if self.added else width // heads
            if d % 2:
                raise InputError(
                    f"positions take an even width, and {d} is odd: choose another width or number of heads"
                )
            self.register_buffer("positions", sinusoidal_positions(tokens, d), persistent=False)
        options |= dict(heads=heads, rotary=None if self.added else self.positions)
        self.blocks = nn.Sequential(*(Block(width, norm, **options) for _ in range(depth)))
        self.norm = norm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, width) → the same."""
        return self.norm(self.blocks(tokens + self.positions if self.added else tokens))

    def outline(self) -> tuple[str, str]:
        """Say in words what is done to tokens before the blocks, and in them."""
        added, turned = ("\n+ positions", "") if self.added else ("", "\n(rotary)")
        return f"linear map{',' if added else ''}{added}", f"{len(self.blocks)} blocks:\nattention{turned}, MLP"


@torch.no_grad()
def attention_maps(generator: nn.Module, z: Tensor, label: Tensor | None = None) -> Tensor:
    """Return the weights of every self-attention while ``generator`` turns z (batch, latent) into windows.

    (blocks, batch, heads, tokens, tokens): the last axis is what a token looks at, over which weights sum to 1.
    """
    maps: list[Tensor] = []
    with ExitStack() as hooks:
        for block in generator.encoder.blocks:
            hooks.enter_context(block.attention.register_forward_hook(lambda _, x, out: maps.append(out[1])))
        generator(z, label)
    return torch.stack(maps)


def attention_by_time(maps: Tensor, electrodes: int) -> Tensor:
    """Return attention (…, tokens, tokens) of electrodes in a row by time alone, (…, patches, patches).

    The mean over the electrodes that attend, the sum over those attended to: what a patch looks at still sums to 1.
    """
    patches = maps.shape[-1] // electrodes
    return maps.unflatten(-1, (electrodes, patches)).sum(-2).unflatten(-2, (electrodes, patches)).mean(-3)
