"""The Transformer-GAN of chapter 3 (reconstruction: the thesis is known there by its headings only).

Generator: latent vector → tokens + positions → Transformer encoder → patches of a window, added to a Gaussian.
Discriminators: strided convolutions beside a dense look at the whole window, or a Transformer. Both players may be
told a label (Mirza & Osindero 2014, cGAN, arXiv:1411.1784).
Sources: Vaswani et al. 2017 (arXiv:1706.03762); pre-norm blocks: Xiong et al. 2020 (arXiv:2002.04745);
a Transformer as generator of signals: Li et al. 2022, TTS-GAN (arXiv:2202.02691).
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from meagan_lib import InputError, choose
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gaussian import Gaussian
from meagan_lib.models.neural import NeuralModel
from meagan_lib.training.trainer import GANConfig, GANTrainer, GeneratorConfig, seeded


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

    Written out, so that the weights can be looked at and every derivative exists, the second ones too. The scores are
    kept as (keys, queries): over a short last axis torch's softmax takes five times as long.
    """
    scores = key @ query.transpose(-2, -1) / math.sqrt(query.shape[-1])
    weights = torch.softmax(scores, dim=-2).transpose(-2, -1)
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


class TokenBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of (batch, tokens, width): each feature over all tokens of all windows of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) → the same."""
        return super().forward(x.flatten(0, 1)).view_as(x)


class Block(nn.Module):
    """Pre-norm Transformer encoder block: attention, then an MLP, each added to its input."""

    def __init__(self, width: int, heads: int, expansion: int, dropout: float = 0.0, batch_norm: bool = False):
        super().__init__()
        norm = TokenBatchNorm if batch_norm else nn.LayerNorm
        self.norm_attention = norm(width)
        self.attention = SelfAttention(width, heads)
        self.norm_mlp = norm(width)
        self.mlp = nn.Sequential(nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) → the same."""
        x = x + self.dropout(self.attention(self.norm_attention(x))[0])
        return x + self.dropout(self.mlp(self.norm_mlp(x)))


def convolution_matrix(taps: Sequence[float], samples: int) -> Tensor:
    """M (samples + taps − 1, samples): x @ M filters signals x with symmetric ``taps``, where these lie within x."""
    matrix = torch.zeros(samples + len(taps) - 1, samples)
    for i, tap in enumerate(taps):
        matrix.diagonal(-i)[:samples] = tap
    return matrix


POSITIONS = ("sinusoidal", "learned")


class TransformerEncoder(nn.Module):
    """Positions, then Transformer blocks and a last normalisation: tokens (batch, tokens, width) → the same.

    ``positions``: ``sinusoidal``, fixed, or ``learned``, a row of parameters for each token.
    """

    def __init__(
        self,
        tokens: int,
        width: int,
        depth: int,
        heads: int,
        expansion: int,
        positions: str = "sinusoidal",
        dropout: float = 0.0,
        batch_norm: bool = False,
    ):
        super().__init__()
        choose("positions", positions, POSITIONS)
        if width % heads:
            raise InputError(f"{heads} heads cannot share a width of {width}: choose a divisor of it")
        if positions == "learned":
            self.positions = nn.Parameter(0.02 * torch.randn(tokens, width))
        else:
            self.register_buffer("positions", sinusoidal_positions(tokens, width), persistent=False)
        self.blocks = nn.Sequential(*(Block(width, heads, expansion, dropout, batch_norm) for _ in range(depth)))
        self.norm = TokenBatchNorm(width) if batch_norm else nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, width) → the same."""
        return self.norm(self.blocks(tokens + self.positions))


class WindowGenerator(nn.Module):
    """z (batch, latent) → windows (batch, samples), as z-scores: what all generators share.

    A network of its own, ``signal``, makes a signal that is somewhat longer than a window. It is added to x̄ + W z, a
    draw from ``gaussian``, the mean and the covariance of the training windows. That is fixed and the last map of the
    network starts at zero: untrained, G *is* that Gaussian, and the game is about what a Gaussian leaves out. Without
    it the signal stands alone.

    Real windows were cut from a low-passed recording. ``lowpass``, the taps (odd,) of that filter, is the fixed last
    layer of the network: the signal is filtered and cut, so that nothing above the pass band gives it away. A single
    tap filters nothing.

    With ``classes`` a label (batch,) is told, and the Gaussian has a mean for each class. ``bounded`` ends in tanh, for
    windows scaled to [−1, 1]; z-scores need none, for they are unbounded.
    """

    def __init__(
        self,
        samples: int,
        lowpass: Sequence[float] = (1.0,),
        gaussian: Gaussian | None = None,
        latent: int = 64,
        classes: int = 0,
        bounded: bool = False,
    ):
        super().__init__()
        self.samples, self.latent, self.bounded, self.n_classes = samples, latent, bounded, classes
        self.uncut = samples + len(lowpass) - 1
        self.register_buffer("lowpass", convolution_matrix(lowpass, samples), persistent=False)
        self.on_gaussian = gaussian is not None
        if self.on_gaussian:
            means = np.broadcast_to(gaussian.mean, (max(classes, 1), samples))
            self.register_buffer("mean", torch.tensor(means, dtype=torch.float32))
            self.register_buffer("colouring", torch.tensor(gaussian.colouring(latent), dtype=torch.float32))

    def _start_at_the_gaussian(self, last: nn.Module) -> None:
        """Let the ``last`` map of the network be zero at first, where there is a Gaussian to stand on."""
        if self.on_gaussian:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def signal(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """(batch, latent), and labels (batch,) where there are classes → (batch, samples + taps − 1)."""
        raise NotImplementedError

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """(batch, latent), and labels (batch,) where there are classes → (batch, samples)."""
        x = self.signal(z, label) @ self.lowpass
        if self.on_gaussian:
            x = x + (self.mean[label] if self.n_classes else self.mean[0]) + z @ self.colouring.T
        return x.tanh() if self.bounded else x

    def steps(self) -> list[tuple[str, str]]:
        """What each step of the network does before the low-pass, and the shape of what it gives."""
        raise NotImplementedError

    def outline(self) -> list[tuple[str, str]]:
        """What each step does, and the shape of what it gives."""
        last = "tanh:\nwindow $x$" if self.bounded else "sum:\nwindow $x$" if self.on_gaussian else "window $x$"
        samples = str(self.samples)
        cut = "low-pass,\ncut: $T(z)$" if self.uncut > self.samples else "cut: $T(z)$"
        return [("random\nnumbers $z$", str(self.latent)), *self.steps(), (cut, samples), (last, samples)]

    def bypass(self) -> tuple[str, str, int] | None:
        """Label and shape of what goes past the network, and the step of the outline that it joins."""
        joins = len(self.outline()) - 1
        return ("Gaussian:\n$\\bar{x} + W z$", str(self.samples), joins) if self.on_gaussian else None


class Generator(WindowGenerator):
    """The Transformer generator.

    One linear map turns z into tokens, one for each patch of samples; positions are added, and the label as a row of
    its own; Transformer blocks let the patches see one another; one linear map turns each token into its patch.
    """

    def __init__(
        self,
        samples: int,
        lowpass: Sequence[float] = (1.0,),
        gaussian: Gaussian | None = None,
        latent: int = 64,
        patch: int = 8,
        width: int = 64,
        depth: int = 3,
        heads: int = 4,
        expansion: int = 2,
        positions: str = "sinusoidal",
        dropout: float = 0.0,
        batch_norm: bool = False,
        classes: int = 0,
        bounded: bool = False,
    ):
        super().__init__(samples, lowpass, gaussian, latent, classes, bounded)
        self.width, self.tokens = width, math.ceil(self.uncut / patch)
        self.embed = nn.Linear(latent, self.tokens * width)
        self.classes = nn.Embedding(classes, width) if classes else None
        self.encoder = TransformerEncoder(self.tokens, width, depth, heads, expansion, positions, dropout, batch_norm)
        self.head = nn.Linear(width, patch)
        self._start_at_the_gaussian(self.head)

    def signal(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """(batch, latent), and labels (batch,) where there are classes → (batch, samples + taps − 1)."""
        tokens = self.embed(z).view(len(z), self.tokens, self.width)
        if self.classes is not None:
            tokens = tokens + self.classes(label)[:, None]
        return self.head(self.encoder(tokens)).flatten(1)[:, : self.uncut]

    def steps(self) -> list[tuple[str, str]]:
        """What each step of the network does before the low-pass, and the shape of what it gives."""
        tokens = f"{self.tokens} × {self.width}"
        return [
            ("linear map,\n+ positions" + ("\n+ label" if self.n_classes else ""), tokens),
            (f"{len(self.encoder.blocks)} blocks:\nattention, MLP", tokens),
            ("linear map\nto patches", f"{self.tokens} × {self.head.out_features}"),
        ]


class ConvolutionalGenerator(WindowGenerator):
    """The generator of a DCGAN in one dimension: a linear map, then transposed convolutions, each twice as long.

    Radford et al. 2016, arXiv:1511.06434. The label is added to the first feature map, a number for each channel.
    """

    def __init__(
        self,
        samples: int,
        lowpass: Sequence[float] = (1.0,),
        gaussian: Gaussian | None = None,
        latent: int = 64,
        channels: tuple[int, ...] = (96, 64, 32),
        dropout: float = 0.0,
        batch_norm: bool = False,
        classes: int = 0,
        bounded: bool = False,
    ):
        super().__init__(samples, lowpass, gaussian, latent, classes, bounded)
        self.channels, self.length = channels, math.ceil(self.uncut / 2 ** len(channels))
        self.embed = nn.Linear(latent, channels[0] * self.length)
        self.classes = nn.Embedding(classes, channels[0]) if classes else None
        layers: list[nn.Module] = []
        for before, after in zip(channels, (*channels[1:], channels[-1])):
            norm = [nn.BatchNorm1d(before)] if batch_norm else []
            drop = [nn.Dropout(dropout)] if dropout else []
            layers += [*norm, nn.LeakyReLU(0.2), *drop, nn.ConvTranspose1d(before, after, 4, stride=2, padding=1)]
        self.trunk = nn.Sequential(*layers, nn.LeakyReLU(0.2))
        self.head = nn.Conv1d(channels[-1], 1, 5, padding=2)
        self._start_at_the_gaussian(self.head)

    def signal(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """(batch, latent), and labels (batch,) where there are classes → (batch, samples + taps − 1)."""
        x = self.embed(z).view(len(z), self.channels[0], self.length)
        if self.classes is not None:
            x = x + self.classes(label)[:, :, None]
        return self.head(self.trunk(x)).squeeze(1)[:, : self.uncut]

    def steps(self) -> list[tuple[str, str]]:
        """What each step of the network does before the low-pass, and the shape of what it gives."""
        longest = self.length * 2 ** len(self.channels)
        return [
            ("linear map" + ("\n+ label" if self.n_classes else ""), f"{self.channels[0]} × {self.length}"),
            (f"{len(self.channels)} transposed\nconvolutions", f"{self.channels[-1]} × {longest}"),
            ("convolution", str(longest)),
        ]


GENERATORS = ("transformer", "convolutional")


@torch.no_grad()
def attention_maps(generator: Generator, z: Tensor, label: Tensor | None = None) -> Tensor:
    """Weights of every self-attention while ``generator`` turns z (batch, latent) into windows.

    (blocks, batch, heads, tokens, tokens): the last axis is what a token looks at, over which weights sum to 1.
    """
    maps: list[Tensor] = []
    blocks = generator.encoder.blocks
    hooks = [b.attention.register_forward_hook(lambda _, x, out: maps.append(out[1])) for b in blocks]
    try:
        generator(z, label)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(maps)


class ConvolutionStack(nn.Sequential):
    """Strided convolutions (batch, samples) → (batch, features), LeakyReLU.

    With ``batch_norm`` every convolution but the first is normalised over the batch. A discriminator has real and
    generated windows in one batch, and sees them normalised together.
    """

    def __init__(self, samples: int, channels: tuple[int, ...], dropout: float = 0.0, batch_norm: bool = False):
        layers: list[nn.Module] = [nn.Unflatten(1, (1, samples))]
        length, previous = samples, 1
        for i, channel in enumerate(channels):
            layers.append(nn.Conv1d(previous, channel, 5, stride=2, padding=2))
            if batch_norm and i:
                layers.append(nn.BatchNorm1d(channel))
            layers.append(nn.LeakyReLU(0.2))
            if dropout:
                layers.append(nn.Dropout(dropout))
            length, previous = (length + 1) // 2, channel
        super().__init__(*layers, nn.Flatten())
        self.features = length * previous


class Discriminator(nn.Module):
    """What discriminators share: features f of a window → its logit w · f + b, positive says real.

    With ``classes`` a label y adds e(y) · f, e(y) a row of parameters: does this window suit its label? (projection
    discriminator, Miyato & Koyama 2018, arXiv:1802.05637).
    """

    def __init__(self, features: int, classes: int = 0):
        super().__init__()
        self.head = nn.Linear(features, 1)
        self.classes = nn.Embedding(classes, features) if classes else None

    def features(self, x: Tensor) -> Tensor:
        """Windows (batch, samples) → (batch, features)."""
        raise NotImplementedError

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """(batch, samples), and labels (batch,) where there are classes → (batch,)."""
        return self.judge(self.features(x), label)

    def judge(self, features: Tensor, label: Tensor | None = None) -> Tensor:
        """The logit (batch,) of features (batch, features)."""
        logit = self.head(features).squeeze(1)
        return logit if self.classes is None else logit + (self.classes(label) * features).sum(1)


class ConvolutionalDiscriminator(Discriminator):
    """Windows (batch, samples) → logits (batch,).

    Convolutions see local shape, a dense branch sees the window as a whole.
    """

    def __init__(
        self,
        samples: int,
        width: int = 128,
        channels: tuple[int, ...] = (16, 32, 64),
        dropout: float = 0.0,
        batch_norm: bool = False,
        classes: int = 0,
    ):
        super().__init__(2 * width, classes)
        self.convolutions = ConvolutionStack(samples, channels, dropout, batch_norm)
        self.local = nn.Sequential(nn.Linear(self.convolutions.features, width), nn.LeakyReLU(0.2))
        self.whole = nn.Sequential(nn.Linear(samples, width), nn.LeakyReLU(0.2))

    def features(self, x: Tensor) -> Tensor:
        """The last layer before the logit, (batch, 2 · width)."""
        return torch.cat([self.local(self.convolutions(x)), self.whole(x)], dim=1)

    def outline(self) -> list[tuple[str, str]]:
        """What each step does, and the shape of what it gives."""
        dense = self.local[0].out_features
        return [
            ("window $x$", str(self.whole[0].in_features)),
            ("strided\nconvolutions", str(self.convolutions.features)),
            ("dense:\nlocal shape", str(dense)),
            ("both,\nside by side", str(2 * dense)),
            ("logit", "1"),
        ]

    def bypass(self) -> tuple[str, str, int] | None:
        """Label and shape of what goes past the convolutions, and the step of the outline that it joins."""
        return "dense:\nthe whole", str(self.whole[0].out_features), 3


class TransformerDiscriminator(Discriminator):
    """Windows (batch, samples) → logits (batch,), by the generator's own kind of blocks.

    Patches of samples become tokens, positions are added, Transformer blocks let them see one another, and the mean
    token is judged. Every derivative exists, for :func:`attention` is written out: gradient penalties need the second.
    """

    def __init__(
        self,
        samples: int,
        patch: int = 4,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        expansion: int = 2,
        positions: str = "sinusoidal",
        dropout: float = 0.0,
        batch_norm: bool = False,
        classes: int = 0,
    ):
        super().__init__(width, classes)
        self.samples, self.patch, self.tokens = samples, patch, math.ceil(samples / patch)
        self.embed = nn.Linear(patch, width)
        self.encoder = TransformerEncoder(self.tokens, width, depth, heads, expansion, positions, dropout, batch_norm)

    def features(self, x: Tensor) -> Tensor:
        """The mean token, (batch, width)."""
        x = nn.functional.pad(x, (0, self.tokens * self.patch - x.shape[1]))
        return self.encoder(self.embed(x.view(len(x), self.tokens, self.patch))).mean(dim=1)

    def outline(self) -> list[tuple[str, str]]:
        """What each step does, and the shape of what it gives."""
        tokens = f"{self.tokens} × {self.embed.out_features}"
        return [
            ("window $x$", str(self.samples)),
            ("patches", f"{self.tokens} × {self.patch}"),
            ("linear map,\n+ positions", tokens),
            (f"{len(self.encoder.blocks)} blocks:\nattention, MLP", tokens),
            ("mean\ntoken", str(self.embed.out_features)),
            ("logit", "1"),
        ]

    def bypass(self) -> None:
        """Nothing goes past the blocks."""


DISCRIMINATORS = {"convolutional": ConvolutionalDiscriminator, "transformer": TransformerDiscriminator}


def build_generator(
    config: GeneratorConfig,
    train: np.ndarray,
    lowpass: Sequence[float] = (1.0,),
    labels: np.ndarray | None = None,
    bounded: bool = False,
) -> WindowGenerator:
    """The generator of a config, for training windows (n, samples) with labels (n,) from 0 where it is to be told them.

    Its first weights depend on ``config.seed`` alone.
    """
    c, samples = config, train.shape[1]
    # Under tanh the Gaussian lives before it: it fits artanh(x).
    fitted = np.arctanh(train.clip(-0.999, 0.999)) if bounded else train
    gaussian = Gaussian(fitted, labels) if c.on_gaussian else None
    shared = dict(dropout=c.g_dropout, batch_norm=c.g_batch_norm, classes=n_classes(labels), bounded=bounded)
    choose("generator", c.generator, GENERATORS)
    if c.generator == "convolutional":
        return seeded(lambda: ConvolutionalGenerator(samples, lowpass, gaussian, c.latent, **shared), c.seed)
    return seeded(
        lambda: Generator(
            samples, lowpass, gaussian, c.latent, c.patch, c.width, c.depth, c.heads, positions=c.positions, **shared
        ),
        c.seed,
    )


def build_discriminator(config: GANConfig, samples: int, labels: np.ndarray | None = None) -> Discriminator:
    """The discriminator of a config, for windows of ``samples``; its first weights depend on ``config.seed`` alone."""
    choose("discriminator", config.discriminator, DISCRIMINATORS)
    kind = DISCRIMINATORS[config.discriminator]
    return seeded(
        lambda: kind(samples, dropout=config.d_dropout, batch_norm=config.d_batch_norm, classes=n_classes(labels)),
        config.seed + 1,
    )


def n_classes(labels: np.ndarray | None) -> int:
    """Number of classes of labels (n,) that count from 0; none without labels."""
    return 0 if labels is None else int(labels.max()) + 1


class GAN(NeuralModel):
    """A generator against a discriminator, of any config; by default the Transformer-GAN."""

    Config = GANConfig

    @property
    def prior(self) -> str:
        """Where z comes from."""
        return self.config.prior

    @classmethod
    def build(cls, config: GANConfig, data: TrainingData) -> WindowGenerator:
        """The untrained generator."""
        return build_generator(config, data.train, data.lowpass, data.labels, data.bounded)

    @classmethod
    def discriminator(cls, config: GANConfig, data: TrainingData) -> Discriminator:
        """The untrained discriminator."""
        return build_discriminator(config, data.train.shape[1], data.labels)

    @classmethod
    def trainer(cls, config: GANConfig, data: TrainingData, folder: Path | None) -> GANTrainer:
        """Of both."""
        return GANTrainer(
            cls.build(config, data),
            cls.discriminator(config, data),
            data.train,
            config,
            validate=data.validate,
            labels=data.labels,
            folder=folder,
        )
