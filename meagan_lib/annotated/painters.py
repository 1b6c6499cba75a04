"""Painters: what puts spikes of a given kind into a background, learned or not, behind one contract.

Every painter paints within the window alone: no sample outside changes.
"""

import warnings
from abc import ABC, abstractmethod
from pkgutil import resolve_name
from typing import Self

import numpy as np
import spikeinterface.core as sc
from probeinterface import generate_linear_probe
from spikeinterface.core.generate import synthesize_amplitude_factor
from spikeinterface.generation import generate_hybrid_recording

from meagan_lib import choose
from meagan_lib.annotated.chip import Chip
from meagan_lib.annotated.painting import add, fade, taper

AMPLITUDE_CV = 0.1
"""Standard deviation of the amplitudes of spikes, as a fraction."""
RATE_HZ = 20_000.0
"""Any rate would do: templates are given in samples."""


class Painter(ABC):
    """Paints spikes of the kinds of a chip."""

    @classmethod
    @abstractmethod
    def fit(cls, chip: Chip, seed: int = 0, **options: object) -> Self:
        """Fit to the training footprints and backgrounds of a chip."""

    @abstractmethod
    def window(self, background: np.ndarray, kind: np.ndarray, gain: np.ndarray, seed: int) -> np.ndarray:
        """Paint windows (n, electrodes, samples) of a background: a spike of each kind (n,), ``gain`` (n,) as large."""

    def gains(self, n: int, seed: int) -> np.ndarray:
        """Return the gain float32 (n,) of spikes whose size nobody asked for."""
        return np.ones(n, np.float32)

    def sources(self, kind: np.ndarray, seed: int) -> np.ndarray:
        """Return a number (n,) for each painted spike, the same for those that are copies of one another."""
        return np.arange(len(kind))

    def paint(
        self, pieces: np.ndarray, slack: int, kind: np.ndarray, gain: np.ndarray | None = None, seed: int = 0
    ) -> np.ndarray:
        """Paint a spike in the middle of each background piece (n, electrodes, samples + 2 · slack)."""
        gain = self.gains(len(kind), seed) if gain is None else gain.astype(np.float32)
        painted = pieces.copy()
        inner = slice(slack, pieces.shape[2] - slack)
        painted[:, :, inner] = self.window(pieces[:, :, inner], kind, gain, seed)
        return painted


class OfKinds(Painter):
    """A painter that knows the kinds of spikes and nothing else."""

    def __init__(self, kinds):
        self.kinds = kinds

    @classmethod
    def fit(cls, chip: Chip, seed: int = 0) -> Self:
        """Take the kinds of the chip."""
        return cls(chip.kinds)


class Template(OfKinds):
    """Template × amplitude, by SpikeInterface's ``generate_hybrid_recording`` (Buccino et al. 2020).

    Every spike of a kind is the mean of the kind, with soft edges, times the gain that is given to the function as
    ``amplitude_factor``; where none is asked for, the function's own normal numbers of ``AMPLITUDE_CV``.
    """

    def gains(self, n, seed):
        """Draw amplitudes as SpikeInterface does."""
        return synthesize_amplitude_factor(n, amplitude_std=AMPLITUDE_CV, seed=seed).astype(np.float32)

    def window(self, background, kind, gain, seed):
        """Lay the backgrounds one after another as a recording, and make a hybrid of it with a spike in each.

        Electrodes are laid out in a row: the function needs a probe, but only to say where units are, which is not
        asked. Templates end where their background does, so that none reaches into the next.
        """
        n, electrodes, samples = background.shape
        probe = generate_linear_probe(electrodes)
        probe.set_device_channel_indices(np.arange(electrodes))
        laid = sc.NumpyRecording([background.transpose(0, 2, 1).reshape(-1, electrodes)], RATE_HZ)
        laid.set_probe(probe)
        used, unit = np.unique(kind, return_inverse=True)
        shapes = (self.kinds.means[used] * taper(samples)).transpose(0, 2, 1)
        templates = sc.Templates(shapes, RATE_HZ, samples // 2, is_in_uV=False, probe=probe)
        middle = np.arange(n) * samples + samples // 2
        sorting = sc.NumpySorting.from_samples_and_labels([middle], [unit], RATE_HZ, unit_ids=np.arange(len(used)))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "No Motion is provided")
            made, _ = generate_hybrid_recording(
                laid, sorting, templates, are_templates_scaled=False, amplitude_factor=gain, seed=seed
            )
        return made.get_traces(0, 0, n * samples).reshape(n, samples, electrodes).transpose(0, 2, 1)


class GaussianSpikes(OfKinds):
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
    return resolve_name(PAINTERS[name]).fit(chip, seed, **options)
