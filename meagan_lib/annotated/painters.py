"""Painters: what puts spikes of a given kind into a background, learned or not, behind one contract.

Every painter paints within the window alone: no sample outside changes.
"""

import importlib
from abc import ABC, abstractmethod
from typing import Self

import numpy as np

from meagan_lib import choose
from meagan_lib.annotated.chip import Chip
from meagan_lib.annotated.painting import add, fade

AMPLITUDE_CV = 0.1
"""Standard deviation of the amplitudes of a template, as a fraction."""


class Painter(ABC):
    """Paints spikes of the kinds of a chip."""

    @classmethod
    @abstractmethod
    def fit(cls, chip: Chip, seed: int = 0, **options: object) -> Self:
        """Fit to the training footprints and backgrounds of a chip."""

    @abstractmethod
    def window(self, background: np.ndarray, kind: np.ndarray, gain: np.ndarray, seed: int) -> np.ndarray:
        """Paint windows (n, electrodes, samples) of a background: a spike of each kind (n,), ``gain`` (n,) as large."""

    def sources(self, kind: np.ndarray, seed: int) -> np.ndarray:
        """Return a number (n,) for each painted spike, the same for those that are copies of one another."""
        return np.arange(len(kind))

    def paint(
        self, pieces: np.ndarray, slack: int, kind: np.ndarray, gain: np.ndarray | None = None, seed: int = 0
    ) -> np.ndarray:
        """Paint a spike in the middle of each background piece (n, electrodes, samples + 2 · slack)."""
        gain = np.ones(len(kind), np.float32) if gain is None else gain.astype(np.float32)
        painted = pieces.copy()
        inner = slice(slack, pieces.shape[2] - slack)
        painted[:, :, inner] = self.window(pieces[:, :, inner], kind, gain, seed)
        return painted


class Template(Painter):
    """Template × amplitude: the spike of a kind, each time as large as a normal number says."""

    def __init__(self, kinds):
        self.kinds = kinds

    @classmethod
    def fit(cls, chip: Chip, seed: int = 0) -> Self:
        """Take the kinds of the chip."""
        return cls(chip.kinds)

    def window(self, background, kind, gain, seed):
        """Add the mean of the kind, scaled."""
        factor = gain * (1 + AMPLITUDE_CV * np.random.default_rng(seed).standard_normal(len(kind)))
        return add(background, self.kinds.means[kind] * factor[:, None, None].astype(np.float32))


class GaussianSpikes(Template):
    """The Gaussian of every kind, without the noise: mean and variation within kinds."""

    def window(self, background, kind, gain, seed):
        """Add a draw of the kind."""
        return add(background, self.kinds.spikes(kind, np.random.default_rng(seed)) * gain[:, None, None])


class CopyPaste(Painter):
    """Cut footprints of the kind, with the noise they were cut with, faded in."""

    def __init__(self, kinds, footprints: np.ndarray):
        self.kinds, self.footprints = kinds, footprints

    @classmethod
    def fit(cls, chip: Chip, seed: int = 0) -> Self:
        """Keep the training footprints."""
        return cls(chip.kinds, chip.footprints)

    def sources(self, kind, seed):
        """Return which cut footprint int (n,) is pasted: one of the kind."""
        rng, order = np.random.default_rng(seed), np.argsort(self.kinds.label, kind="stable")
        counts = self.kinds.counts
        first = np.cumsum(counts) - counts
        return order[first[kind] + (rng.random(len(kind)) * counts[kind]).astype(int)]

    def window(self, background, kind, gain, seed):
        """Replace by a cut footprint of the kind."""
        return fade(background, self.footprints[self.sources(kind, seed)], gain=gain[:, None, None])


PAINTERS: dict[str, str] = {
    "painting_gan": "meagan_lib.annotated.gan:PaintingGAN",
    "transformer_gan": "meagan_lib.annotated.decoding:TransformerGAN",
    "vae_gan": "meagan_lib.annotated.decoding:VAEGAN",
    "flow_matching": "meagan_lib.annotated.decoding:FlowMatching",
    "gaussian": "meagan_lib.annotated.decoding:Gaussian",
    "gaussian_spikes": "meagan_lib.annotated.painters:GaussianSpikes",
    "copy_paste": "meagan_lib.annotated.painters:CopyPaste",
    "template": "meagan_lib.annotated.painters:Template",
}
"""Painters by name: encoder–decoder, decoder-only, and what nothing was trained for."""


def require_painter(name: str) -> None:
    """Refuse a painter that is not known."""
    choose("painter", name, PAINTERS)


def fit_painter(name: str, chip: Chip, seed: int = 0, **options: object) -> Painter:
    """Fit the painter called ``name`` to a chip; ``options`` are those of its training, where it has one."""
    require_painter(name)
    module, of = PAINTERS[name].split(":")
    return getattr(importlib.import_module(module), of).fit(chip, seed, **options)
