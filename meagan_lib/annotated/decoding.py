"""Decoder-only painters: z and a kind → the trace of every electrode, and the mask that says where in it the spike is.

The source's first architecture. The models of notebooks 2 and 3 and their baselines make footprints as they make
windows; a mask stands beside each electrode's trace as if it were another electrode.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Self

import numpy as np

from meagan_lib.annotated.chip import Chip
from meagan_lib.annotated.kinds import Kinds
from meagan_lib.annotated.painters import Painter
from meagan_lib.annotated.painting import fade, taper
from meagan_lib.models import flow_matching, gan, gaussian, vae_gan
from meagan_lib.models.contract import Model, TrainingData
from meagan_lib.windows.detection import window_lowpass

VISIBLE = 1.0
"""A spike is where its kind's mean is larger than so many noise levels, and between such samples."""


def masks(kinds: Kinds, noise: np.ndarray) -> np.ndarray:
    """Return where each kind's spike is, float32 (kinds, electrodes, samples) of 0 and 1.

    On each electrode from the first to the last sample above ``VISIBLE`` noise levels; ``noise`` (kinds,).
    """
    seen = np.abs(kinds.means) > VISIBLE * noise[:, None, None]
    begun = np.maximum.accumulate(seen, axis=2)
    not_over = np.maximum.accumulate(seen[:, :, ::-1], axis=2)[:, :, ::-1]
    return (begun & not_over).astype(np.float32)


class Decoder(Painter):
    """A model of footprints and masks; a draw replaces the background where its mask is."""

    Model: type[Model]
    OPTIONS: Mapping[str, object] = MappingProxyType({})

    def __init__(self, model: Model, scale: float, shape: tuple[int, int]):
        self.model, self.scale, self.shape = model, scale, shape

    @classmethod
    def fit(cls, chip: Chip, seed: int = 0, folder: Path | None = None, **options: object) -> Self:
        """Train on the footprints of the training time, conditioned on their kind, which also tells their depth."""
        n, electrodes, samples = chip.footprints.shape
        kinds, scale = chip.kinds, float(chip.footprints.std(dtype=np.float64))
        noise = np.array([np.median(chip.noise[chip.channel[kinds.label == k]]) for k in range(len(kinds.means))])
        mask = 2 * masks(kinds, noise)[kinds.label] - 1
        train = np.concatenate([chip.footprints / scale, mask], axis=1).reshape(n, -1).astype(np.float32)
        taps = window_lowpass(chip.windows.detection, chip.windows.sampling_rate_hz)
        data = TrainingData(train, taps, labels=kinds.label, electrodes=2 * electrodes)
        return cls(cls.Model.fit(data, seed, folder, **dict(cls.OPTIONS) | options), scale, (electrodes, samples))

    def draw(self, kind: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw footprints with their noise, and masks from 0 to 1, both (n, electrodes, samples), of kinds (n,)."""
        electrodes, samples = self.shape
        drawn = self.model.sample(len(kind), seed, kind).reshape(len(kind), 2 * electrodes, samples)
        return drawn[:, :electrodes] * self.scale, ((drawn[:, electrodes:] + 1) / 2).clip(0, 1)

    def window(self, background, kind, gain, seed):
        """Replace the background by a drawn footprint, where the drawn mask says so."""
        footprints, mask = self.draw(kind, seed)
        return fade(background, footprints, mask * taper(self.shape[1]), gain[:, None, None])


class TransformerGAN(Decoder):
    """The Transformer-GAN of notebook 2, of several electrodes."""

    Model = gan.GAN
    OPTIONS = MappingProxyType({"steps": 1500, "patch": 8})


class VAEGAN(Decoder):
    """The VAE-GAN of notebook 3, of several electrodes."""

    Model = vae_gan.VAEGAN
    OPTIONS = MappingProxyType({"steps": 1000, "vae_steps": 500, "patch": 8})


class FlowMatching(Decoder):
    """Flow matching, of several electrodes."""

    Model = flow_matching.FlowMatching
    OPTIONS = MappingProxyType({"steps": 1500, "patch": 8})


class Gaussian(Decoder):
    """A Gaussian with a mean for each kind: a baseline."""

    Model = gaussian.Gaussian
