"""Generators z → window: a Transformer or transposed convolutions, on a Gaussian, low-passed as recordings are.

A reconstruction: the thesis' chapter 3 is known by its headings only. A Transformer as generator of signals: Li et al.
2022, TTS-GAN (arXiv:2202.02691).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from meagan_lib import choose
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gaussian import Gaussian, transport_map
from meagan_lib.models.transformer import TransformerEncoder
from meagan_lib.training.trainer import TrainingConfig, seeded

CONDITIONING = ("addition", "concatenation")
"""A learned vector of the label is added to each token or to the first feature map; or the label is concatenated to z,
1 in its place and 0 elsewhere (thesis 1.3.5; Mirza & Osindero 2014, arXiv:1411.1784)."""


@dataclass(frozen=True)
class GeneratorConfig(TrainingConfig):
    """A training with one of these generators, as such or as the decoder of a VAE."""

    generator: str = "transformer"
    """``transformer`` or ``convolutional``."""
    latent: int = 64
    """Numbers in z."""
    patch: int = 8
    """Samples that one token of the generator becomes."""
    width: int = 64
    """Numbers of a token."""
    depth: int = 3
    """Transformer blocks of the generator."""
    heads: int = 4
    positions: str = "sinusoidal"
    """``sinusoidal`` or ``learned``, which are added to the tokens, or ``rotary``: attention that knows lags alone."""
    conditioning: str = "addition"
    """How a label reaches the network, a name of ``CONDITIONING``."""
    on_gaussian: bool = True
    """Whether the generator adds to a draw from the Gaussian of the training windows, or stands alone."""
    g_dropout: float = 0.0
    """Fraction of a layer's outputs that training leaves out at random."""
    g_batch_norm: bool = False
    """Batch normalisation, in place of layer normalisation."""


def convolution_matrix(taps: Sequence[float], samples: int) -> Tensor:
    """Return M (samples + taps − 1, samples): x @ M filters x with symmetric ``taps``, where these lie within x."""
    matrix = torch.zeros(samples + len(taps) - 1, samples)
    for i, tap in enumerate(taps):
        matrix.diagonal(-i)[:samples] = tap
    return matrix


class WindowGenerator(nn.Module):
    """z (batch, latent) → windows (batch, samples), normalised: what all generators share.

    The network of a subclass, ``signal``, generates a signal that is somewhat longer than a window. It is added to
    x̄ + W z, a draw from the Gaussian with the mean (of the class, where there are labels) and the covariance of the
    training windows. That is fixed and the last map of the network starts at zero: untrained, G *is* that Gaussian, and
    the game is about what a Gaussian leaves out.

    Real windows were cut from a low-passed recording. That filter is the fixed last layer of the network: the signal is
    filtered and cut, so that nothing above the pass band gives it away. Where windows are bounded, tanh follows.
    """

    def __init__(self, config: GeneratorConfig, data: TrainingData):
        super().__init__()
        choose("conditioning", config.conditioning, CONDITIONING)
        self.samples, self.latent, self.bounded = data.samples, config.latent, data.bounded
        self.n_classes, self.on_gaussian = data.n_classes, config.on_gaussian
        self.concatenated = data.n_classes if config.conditioning == "concatenation" else 0
        self.electrodes, self.uncut = data.electrodes, data.trace + len(data.lowpass) - 1
        self.register_buffer("lowpass", convolution_matrix(data.lowpass, data.trace), persistent=False)
        if self.on_gaussian:
            # The Gaussian lives before the tanh: it fits artanh(x).
            gaussian = Gaussian(np.arctanh(data.train.clip(-0.999, 0.999)) if data.bounded else data.train, data.labels)
            means = np.broadcast_to(gaussian.mean, (max(data.n_classes, 1), data.samples))
            self.register_buffer("mean", torch.tensor(means, dtype=torch.float32))
            self.register_buffer("colouring", torch.tensor(gaussian.colouring(config.latent), dtype=torch.float32))

    def learned_vectors(self, width: int) -> nn.Embedding | None:
        """Return a learned vector of ``width`` for each class; None without classes, or where they follow z."""
        return nn.Embedding(self.n_classes, width) if self.n_classes and not self.concatenated else None

    def with_label(self, z: Tensor, label: Tensor | None) -> Tensor:
        """(batch, latent), and labels (batch,) where they are concatenated → (batch, latent + classes)."""
        return torch.cat([z, torch.eye(self.n_classes).to(z)[label]], dim=1) if self.concatenated else z

    def start_at_the_gaussian(self, last: nn.Module) -> None:
        """Set the ``last`` map of the network to zero, where there is a Gaussian to add to."""
        if self.on_gaussian:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """(batch, latent), and labels (batch,) where there are classes → (batch, samples)."""
        x = (self.signal(z, label) @ self.lowpass).view(-1, self.samples)
        if self.on_gaussian:
            x = x + (self.mean[label] if self.n_classes else self.mean[0]) + z @ self.colouring.T
        return x.tanh() if self.bounded else x

    def on_own_gaussian(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``weights`` of a generator of other windows with this one's Gaussian in the place of theirs.

        Its covariance C is written with axes that are turned from theirs as little as can be, W = A W' with A the
        :func:`transport_map` from W' W'ᵀ to C: the network was trained to add to W' z, and knows z by what it does.
        """
        if not self.on_gaussian:
            return dict(weights)
        theirs, own = (w.double().cpu().numpy() for w in (weights["colouring"], self.colouring))
        colouring = transport_map(theirs @ theirs.T, own @ own.T) @ theirs
        return {**weights, "mean": self.mean, "colouring": torch.tensor(colouring, dtype=torch.float32)}

    @property
    def shape(self) -> str:
        """The shape of a window in words: its samples, of several electrodes electrodes × samples."""
        trace = str(self.samples // self.electrodes)
        return trace if self.electrodes == 1 else f"{self.electrodes} × {trace}"

    def outline(self) -> list[tuple[str, str]]:
        """Return what each step does, and the shape of what it gives."""
        last = "tanh:\nwindow $x$" if self.bounded else "sum:\nwindow $x$" if self.on_gaussian else "window $x$"
        samples = self.shape
        cut = "low-pass,\ncut: $T(z)$" if len(self.lowpass) > self.lowpass.shape[1] else "cut: $T(z)$"
        z = ("random\nnumbers $z$", str(self.latent))
        if self.concatenated:
            z = ("random\nnumbers $z$,\nlabel", f"{self.latent} + {self.n_classes}")
        return [z, *self.steps(), (cut, samples), (last, samples)]

    def bypass(self) -> tuple[str, str, int] | None:
        """Return label and shape of what goes past the network, and the step of the outline that it joins."""
        joins = len(self.outline()) - 1
        return ("Gaussian:\n$\\bar{x} + W z$", self.shape, joins) if self.on_gaussian else None


class Generator(WindowGenerator):
    """The Transformer generator.

    One linear map turns z into tokens, one for each patch of samples; positions and a row for the label are added;
    Transformer blocks let the patches see one another; one linear map turns each token into its patch. Rotary positions
    are not added: they act within the blocks.
    """

    EXPANSION = 2
    """Width of an MLP's hidden layer, as a multiple of a token's."""

    def __init__(self, config: GeneratorConfig, data: TrainingData):
        super().__init__(config, data)
        c, self.width = config, config.width
        self.tokens = self.electrodes * math.ceil(self.uncut / config.patch)
        self.length = self.tokens // self.electrodes * config.patch
        self.embed = nn.Linear(c.latent + self.concatenated, self.tokens * c.width)
        self.classes = self.learned_vectors(c.width)
        options = dict(heads=c.heads, expansion=self.EXPANSION, dropout=c.g_dropout)
        self.encoder = TransformerEncoder(self.tokens, c.width, c.depth, c.positions, c.g_batch_norm, **options)
        self.head = nn.Linear(c.width, c.patch)
        self.start_at_the_gaussian(self.head)

    def signal(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """(batch, latent), and labels (batch,) where there are classes → (batch · electrodes, trace + taps − 1)."""
        tokens = self.embed(self.with_label(z, label)).view(-1, self.tokens, self.width)
        if self.classes is not None:
            tokens = tokens + self.classes(label)[:, None]
        return self.head(self.encoder(tokens)).reshape(-1, self.length)[:, : self.uncut]

    def steps(self) -> list[tuple[str, str]]:
        """Return what each step of the network does before the low-pass, and the shape of what it gives."""
        tokens, (embedding, blocks) = f"{self.tokens} × {self.width}", self.encoder.outline()
        return [
            (embedding + ("\n+ label" if self.classes else ""), tokens),
            (blocks, tokens),
            ("linear map\nto patches", f"{self.tokens} × {self.head.out_features}"),
        ]


class ConvolutionalGenerator(WindowGenerator):
    """The generator of a DCGAN in one dimension: a linear map, then transposed convolutions, each twice as long.

    Radford et al. 2016, arXiv:1511.06434. The label is added to the first feature map, a number for each channel.
    """

    CHANNELS = (96, 64, 32)

    def __init__(self, config: GeneratorConfig, data: TrainingData):
        super().__init__(config, data)
        channels, self.length = self.CHANNELS, math.ceil(self.uncut / 2 ** len(self.CHANNELS))
        self.embed = nn.Linear(config.latent + self.concatenated, channels[0] * self.length)
        self.classes = self.learned_vectors(channels[0])
        layers: list[nn.Module] = []
        for before, after in zip(channels, (*channels[1:], channels[-1])):
            norm = [nn.BatchNorm1d(before)] if config.g_batch_norm else []
            drop = [nn.Dropout(config.g_dropout)] if config.g_dropout else []
            layers += [*norm, nn.LeakyReLU(0.2), *drop, nn.ConvTranspose1d(before, after, 4, stride=2, padding=1)]
        self.trunk = nn.Sequential(*layers, nn.LeakyReLU(0.2))
        self.head = nn.Conv1d(channels[-1], self.electrodes, 5, padding=2)
        self.start_at_the_gaussian(self.head)

    def signal(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """(batch, latent), and labels (batch,) where there are classes → (batch · electrodes, trace + taps − 1)."""
        x = self.embed(self.with_label(z, label)).view(-1, self.CHANNELS[0], self.length)
        if self.classes is not None:
            x = x + self.classes(label)[:, :, None]
        return self.head(self.trunk(x)).flatten(0, 1)[:, : self.uncut]

    def steps(self) -> list[tuple[str, str]]:
        """Return what each step of the network does before the low-pass, and the shape of what it gives."""
        channels, longest = self.CHANNELS, self.length * 2 ** len(self.CHANNELS)
        return [
            ("linear map" + ("\n+ label" if self.classes else ""), f"{channels[0]} × {self.length}"),
            (f"{len(channels)} transposed\nconvolutions", f"{channels[-1]} × {longest}"),
            ("convolution", str(longest)),
        ]


GENERATORS = {"transformer": Generator, "convolutional": ConvolutionalGenerator}


def build_generator(config: GeneratorConfig, data: TrainingData) -> WindowGenerator:
    """Build the generator of a config for the windows of ``data``; its weights depend on ``config.seed`` alone."""
    choose("generator", config.generator, GENERATORS)
    return seeded(lambda: GENERATORS[config.generator](config, data), config.seed)
