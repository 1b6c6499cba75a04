"""Models whose windows a network generates: trained by a :mod:`~meagan_lib.training.trainer`, kept as weights."""

import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Self

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from meagan_lib import InputError
from meagan_lib.models.contract import Model, TrainingData
from meagan_lib.training import checkpoints
from meagan_lib.training.checkpoints import n_parameters
from meagan_lib.training.priors import generate
from meagan_lib.training.trainer import Trainer, TrainingConfig, build_config
from meagan_lib.workflow.files import atomic, write_json
from meagan_lib.workflow.progress import by_step

BUDGET = ("steps", "validate_every", "snapshots", "log_every", "checkpoint_every", "device")
"""What may be changed in a published config: how long it is trained, and how often it is validated."""


class NeuralModel(Model):
    """A model whose windows a network, with the weights that were chosen, generates from random numbers.

    ``about`` is what building the network takes beside the config: ``samples``, ``lowpass``, ``classes``, ``bounded``.
    """

    Config: type[TrainingConfig]
    Trainer: type[Trainer]
    PUBLISHED: Mapping[str, object] = {}
    """Of a published config: where it differs from ``Config()``."""
    SAME: tuple[str, ...] = ()
    """Fields of ``Config`` in which a training must equal the one whose weights it starts from."""

    def __init__(self, network: nn.Module, config: TrainingConfig, about: dict[str, object]):
        self.network, self.config, self.about = network.eval(), config, about

    @classmethod
    @abstractmethod
    def build(cls, config: TrainingConfig, data: TrainingData) -> nn.Module:
        """Build the network that is kept, untrained."""

    @classmethod
    def networks(cls, config: TrainingConfig, data: TrainingData) -> tuple[nn.Module, ...]:
        """Build all networks that are trained, in the order in which ``Trainer`` takes them."""
        return (cls.build(config, data),)

    @classmethod
    def configure(
        cls, seed: int = 0, validations: int = 0, options: Mapping[str, object] | None = None, **fields: object
    ) -> TrainingConfig:
        """Build a config of ``fields`` of ``Config``; where ``options`` has the same name, it wins.

        Steps between ``validations``, and between at most twenty checkpoints, follow from the number of steps.
        InputError: an unknown option, or one that a published config leaves no choice in.
        """
        if validations:
            steps = int(fields.get("steps", cls.Config.steps))
            spread = {"validate_every": max(steps // validations, 1), "checkpoint_every": max(steps // 20, 10)}
            fields = spread | fields
        fields = fields | dict(options or {})
        if cls.PUBLISHED and not set(fields) <= set(BUDGET):
            raise InputError(f"{cls.__name__} is a published config: of it only {', '.join(BUDGET)} can be changed")
        return build_config(cls.Config, **cls.PUBLISHED | fields | {"seed": seed})

    @classmethod
    def trainer(
        cls, config: TrainingConfig, data: TrainingData, folder: Path | None = None, start_from: Path | None = None
    ) -> Trainer:
        """Return the trainer of a model, with its first weights; files of the training appear in ``folder``.

        The first weights are drawn with the seed, or those that a finished training left in ``start_from``, networks of
        the same shapes (InputError: others, or none).
        """
        about = dict(validate=data.validate, labels=data.labels, folder=folder)
        trainer = cls.Trainer(*cls.networks(config, data), data.train, config, **about)
        if start_from:
            checkpoints.start(trainer, start_from, cls.SAME)
        return trainer

    @classmethod
    def fit(
        cls,
        data: TrainingData,
        seed: int = 0,
        folder: Path | None = None,
        start_from: Path | None = None,
        **options: object,
    ) -> Self:
        """Train on ``data``; ``options`` are those of :meth:`configure`, such as ``steps``."""
        trainer = cls.trainer(cls.configure(seed, **options), data, folder, start_from)
        trainer.train(by_step())
        return cls.of(trainer, data)

    @classmethod
    def of(cls, trainer: Trainer, data: TrainingData) -> Self:
        """Return the model that a trainer has trained on ``data``, with the weights that validation chose."""
        about = {"samples": data.samples, "classes": data.n_classes, "bounded": data.bounded}
        if data.electrodes > 1:
            about["electrodes"] = data.electrodes
        return cls(trainer.best_generator(), trainer.config, about | {"lowpass": [float(tap) for tap in data.lowpass]})

    @property
    def generator(self) -> nn.Module:
        """The network z (batch, latent) → (batch, samples)."""
        return self.network

    @property
    def n_parameters(self) -> int:
        """Numbers fitted of the generator, with the Gaussian that it is built on."""
        return n_parameters(self.generator)

    def sample(self, n: int, seed: int = 0, labels: np.ndarray | None = None) -> np.ndarray:
        """Draw windows float32 (n, samples), with labels (n,) where the model has classes, and not without."""
        if self.about["classes"] and labels is None:
            raise InputError("this model was trained with labels: say of which you want windows")
        rng = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):  # for dropout, where it stays on
            torch.manual_seed(seed)
            return generate(self.generator, n, rng, getattr(self.config, "prior", self.Trainer.prior), labels)

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors`` and ``model.json``."""
        with atomic(Path(folder) / "model.safetensors") as temporary:
            save_file({name: tensor.contiguous() for name, tensor in self.network.state_dict().items()}, temporary)
        write_json(Path(folder) / "model.json", {"config": asdict(self.config)} | self.about)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote. ``InputError``: weights that do not fit their config.

        A config may ask for networks that fill the memory: their shapes are told by one without numbers.
        """
        about = json.loads((Path(folder) / "model.json").read_text())
        config = build_config(cls.Config, **about.pop("config"))
        labels = np.array([0, about["classes"] - 1]) if about["classes"] else None
        windows = np.zeros((2, about["samples"]), np.float32)
        like = TrainingData(windows, about["lowpass"], None, labels, about["bounded"], about.get("electrodes", 1))
        weights = load_file(Path(folder) / "model.safetensors")
        with torch.device("meta"):
            expected = {name: tensor.shape for name, tensor in cls.build(config, like).state_dict().items()}
        if expected != {name: tensor.shape for name, tensor in weights.items()}:
            raise InputError(f"the weights in {folder} do not fit its model.json: train the model again")
        network = cls.build(config, like)
        network.load_state_dict(weights)
        return cls(network, config, about)
