"""The contract that every model of the benchmark keeps, and the models that are a handful of arrays."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from safetensors.numpy import load_file, save_file

from meagan_lib.workflow.files import atomic


@dataclass(frozen=True)
class TrainingData:
    """What a model is fitted to."""

    train: np.ndarray
    """Training windows float32 (n, samples), normalised."""
    lowpass: Sequence[float] = (1.0,)
    """Taps (odd,) of the filter that the recording went through: no generated window needs power above its band."""
    validate: Callable[[np.ndarray], float] | None = None
    """Score of generated windows (m, samples) on validation windows, of which none is a test window: lower is better.
    It chooses among the weights of a training; None: the last are kept. Its ``digest`` identifies its windows, so that
    no training that others chose is taken for this one (:class:`meagan_lib.evaluation.metrics.Validation`)."""
    labels: np.ndarray | None = None
    """Of the windows, int (n,) from 0, for a conditional model: a second argument of all its networks."""
    bounded: bool = False
    """Whether the normalisation keeps windows within [−1, 1]."""
    electrodes: int = 1
    """Of a footprint, whose electrodes follow one another in a window: samples = electrodes · samples of each."""

    @property
    def samples(self) -> int:
        """Length of a window."""
        return self.train.shape[1]

    @property
    def trace(self) -> int:
        """Length of a window on one electrode."""
        return self.samples // self.electrodes

    @property
    def n_classes(self) -> int:
        """Number of classes of the labels; 0 without labels."""
        return 0 if self.labels is None else int(self.labels.max()) + 1


class Model(ABC):
    """A generative model of windows. There are only fitted ones, of :meth:`fit` or :meth:`load`."""

    @classmethod
    @abstractmethod
    def fit(cls, data: TrainingData, seed: int = 0, folder: Path | None = None) -> Self:
        """Fit a model to ``data``, with the ``seed`` of the first weights and of every draw.

        A long training leaves its checkpoints in ``folder``, and resumes them.
        """

    @abstractmethod
    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """Draw windows float32 (n, samples)."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the model to ``folder``."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote; it draws the same bits."""

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """Numbers that were fitted and that drawing a window needs."""


class ArrayModel(Model):
    """A model that is its attributes, each an array, computed of the data, the seed and its own options."""

    @classmethod
    def fit(cls, data: TrainingData, seed: int = 0, folder: Path | None = None, **options: object) -> Self:
        """Fit a model to ``data``; nothing is left in ``folder``."""
        return cls(data, seed, **options)

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors``."""
        with atomic(Path(folder) / "model.safetensors") as temporary:
            save_file({name: np.ascontiguousarray(array) for name, array in vars(self).items()}, temporary)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote."""
        model = cls.__new__(cls)
        vars(model).update(load_file(Path(folder) / "model.safetensors"))
        return model


def band_noise(
    n: int, samples: int, lowpass: Sequence[float], rng: np.random.Generator, electrodes: int = 1
) -> np.ndarray:
    """Draw white Gaussian noise through a low-pass with these taps (odd,), scaled to variance 1, float64 (n, samples).

    Noise that was measured has no power above the band either: white noise on a window would give it away. ``samples``
    are of all ``electrodes``, each with noise of its own.
    """
    taps = np.asarray(lowpass, dtype=np.float64)
    white = rng.standard_normal((n * electrodes, samples // electrodes + len(taps) - 1))
    stacked = np.lib.stride_tricks.sliding_window_view(white, len(taps), axis=1)
    return (stacked @ (taps / np.linalg.norm(taps))).reshape(n, samples)
