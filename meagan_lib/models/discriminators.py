"""Discriminators window → logit: strided convolutions beside a dense view of the whole window, or a Transformer.

The convolutional one is also there for windows beside the same ones whitened, and deeper. A label, where there are
classes, is projected on the features (Miyato & Koyama 2018, arXiv:1802.05637).
"""

import math

import torch
from torch import Tensor, nn

from meagan_lib.models.gaussian import Gaussian
from meagan_lib.models.transformer import TransformerEncoder

WIDTH = 128
"""Numbers that a dense layer gives."""
CHANNELS = (16, 32, 64)
"""Of the strided convolutions, one after the other."""


class ConvolutionStack(nn.Sequential):
    """Strided convolutions (batch, samples) → (batch, features), LeakyReLU; ``batch_norm`` is of all but the first.

    Electrodes of a footprint are channels of the first.
    """

    def __init__(
        self,
        samples: int,
        channels: tuple = CHANNELS,
        dropout: float = 0.0,
        batch_norm: bool = False,
        electrodes: int = 1,
    ):
        length, previous = samples // electrodes, electrodes
        layers: list[nn.Module] = [nn.Unflatten(1, (electrodes, length))]
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

    With ``classes`` a label y adds e(y) · f, e(y) a row of parameters: does this window suit its label?
    """

    def __init__(self, features: int, classes: int):
        super().__init__()
        self.head = nn.Linear(features, 1)
        self.classes = nn.Embedding(classes, features) if classes else None

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """(batch, samples), and labels (batch,) where there are classes → (batch,)."""
        return self.logits(self.features(x), label)

    def logits(self, features: Tensor, label: Tensor | None = None) -> Tensor:
        """(batch, features), and labels (batch,) where there are classes → (batch,)."""
        logit = self.head(features).squeeze(1)
        return logit if self.classes is None else logit + (self.classes(label) * features).sum(1)


class ConvolutionalDiscriminator(Discriminator):
    """Convolutions see local shape, a dense branch sees the window as a whole."""

    def __init__(
        self, samples: int, dropout: float = 0.0, batch_norm: bool = False, classes: int = 0, electrodes: int = 1
    ):
        super().__init__(2 * WIDTH, classes)
        self.convolutions = ConvolutionStack(samples, CHANNELS, dropout, batch_norm, electrodes)
        self.local = nn.Sequential(nn.Linear(self.convolutions.features, WIDTH), nn.LeakyReLU(0.2))
        self.whole = nn.Sequential(nn.Linear(samples, WIDTH), nn.LeakyReLU(0.2))

    def features(self, x: Tensor) -> Tensor:
        """(batch, samples) → the last layer before the logit, (batch, 2 · width)."""
        return torch.cat([self.local(self.convolutions(x)), self.whole(x)], dim=1)

    def outline(self) -> list[tuple[str, str]]:
        """Return what each step does, and the shape of what it gives."""
        return [
            ("window $x$", str(self.whole[0].in_features)),
            ("strided\nconvolutions", str(self.convolutions.features)),
            ("dense:\nlocal shape", str(WIDTH)),
            ("both,\nside by side", str(2 * WIDTH)),
            ("logit", "1"),
        ]

    def bypass(self) -> tuple[str, str, int]:
        """Return label and shape of what goes past the convolutions, and the step of the outline that it joins."""
        return "dense:\nthe whole", str(WIDTH), 3


class WhitenedDiscriminator(ConvolutionalDiscriminator):
    """The convolutional one, which sees windows x beside (x − x̄) C^-½, with ``DEEPER`` dense layers on both branches.

    Of the ``gaussian`` of the training windows, :meth:`~meagan_lib.models.gaussian.Gaussian.whitening`. What has little
    power, such as the edge of the pass band, weighs as much as the spike: a spectrum shows at once whether it is right,
    and convolutions of the samples hardly do.
    """

    DEEPER = 2

    def __init__(self, samples: int, gaussian: Gaussian, electrodes: int = 1, **options: object):
        super().__init__(2 * samples, electrodes=2 * electrodes, **options)
        self.register_buffer("centre", torch.tensor(gaussian.mean, dtype=torch.float32), persistent=False)
        self.register_buffer("whiten", torch.tensor(gaussian.whitening(), dtype=torch.float32), persistent=False)
        layers = [layer for _ in range(self.DEEPER) for layer in (nn.Linear(2 * WIDTH, 2 * WIDTH), nn.LeakyReLU(0.2))]
        self.both = nn.Sequential(*layers)

    def features(self, x: Tensor) -> Tensor:
        """(batch, samples) → the last layer before the logit, (batch, 2 · width)."""
        return self.both(super().features(torch.cat([x, (x - self.centre) @ self.whiten], dim=1)))

    def outline(self) -> list[tuple[str, str]]:
        """Return what each step does, and the shape of what it gives."""
        _, *steps, logit = super().outline()
        window = "window $x$,\n$x$ whitened", f"2 × {len(self.centre)}"
        return [window, *steps, (f"{self.DEEPER} dense\nlayers", str(2 * WIDTH)), logit]


class TransformerDiscriminator(Discriminator):
    """Patches of samples become tokens, a Transformer with these ``options`` sees them, the mean token is judged."""

    def __init__(self, samples: int, classes: int = 0, patch: int = 4, width: int = 64, **options: object):
        super().__init__(width, classes)
        self.samples, self.patch, self.tokens = samples, patch, math.ceil(samples / patch)
        self.embed = nn.Linear(patch, width)
        self.encoder = TransformerEncoder(self.tokens, width, **{"depth": 2, "heads": 4} | options)

    def features(self, x: Tensor) -> Tensor:
        """(batch, samples) → the mean token, (batch, width)."""
        x = nn.functional.pad(x, (0, self.tokens * self.patch - x.shape[1]))
        return self.encoder(self.embed(x.view(len(x), self.tokens, self.patch))).mean(dim=1)

    def outline(self) -> list[tuple[str, str]]:
        """Return what each step does, and the shape of what it gives."""
        tokens, (embedding, blocks) = f"{self.tokens} × {self.embed.out_features}", self.encoder.outline()
        return [
            ("window $x$", str(self.samples)),
            ("patches", f"{self.tokens} × {self.patch}"),
            (embedding, tokens),
            (blocks, tokens),
            ("mean\ntoken", str(self.embed.out_features)),
            ("logit", "1"),
        ]

    def bypass(self) -> None:
        """Return None: nothing goes past the blocks."""


DISCRIMINATORS = {
    "convolutional": ConvolutionalDiscriminator,
    "whitened": WhitenedDiscriminator,
    "transformer": TransformerDiscriminator,
}
