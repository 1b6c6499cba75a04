"""The variational autoencoder alone: stage 1 of the VAE-GAN for the whole budget, sampled with its noise."""

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from meagan_lib.models.contract import TrainingData
from meagan_lib.models.neural import NeuralModel
from meagan_lib.models.vae_gan import VAE, add_noise, build_vae, reparameterise
from meagan_lib.training.trainer import GeneratorConfig, Trainer, elbo_step


@dataclass(frozen=True)
class VAEConfig(GeneratorConfig):
    """The config of a VAE."""

    batch_size: int = 128
    learning_rate: float = 1e-3
    beta: float = 1.0
    """Weight of the KL term; 1 is the evidence lower bound."""
    kl_warmup_fraction: float = 0.5
    """Share of the steps over which the weight of the KL term grows from 0 to its last value."""


class VAETrainer(Trainer):
    """Descend −ELBO, with the average of the decoder's weights beside.

    Parameters as for :class:`~meagan_lib.training.trainer.Trainer`, with the whole VAE in place of a generator.
    """

    COLUMNS = ("step", "nll", "kl", "noise")

    def __init__(self, vae: VAE, real: np.ndarray, config: VAEConfig, **options):
        self.vae, self.reparameterise = vae, reparameterise
        super().__init__(vae.decoder, real, config, **options)

    def networks(self) -> dict[str, nn.Module]:
        """Encoder, decoder and noise scale."""
        return {"vae": self.vae}

    def companions(self) -> dict[str, nn.Module]:
        """The same: encoder and noise scale are kept with the decoder."""
        return {"vae": self.vae}

    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"vae": torch.optim.Adam(self.vae.parameters(), self.config.learning_rate, fused=True)}

    def train_step(self) -> dict[str, float]:
        """One step down −ELBO, then move the average."""
        row = elbo_step(self, self.config.steps, self.config.learning_rate, *self.real_batch())
        self.update_ema()
        return row

    def _draw(self, model: nn.Module, n: int, seed: int) -> np.ndarray:
        """Windows (n, samples) are judged as they are sampled: with noise."""
        return add_noise(self.vae, super()._draw(model, n, seed), seed)

    def sample(self, n: int, seed: int = 0, labels: np.ndarray | None = None) -> np.ndarray:
        """Draw windows float32 (n, samples) with noise, from the weights that validation chose."""
        return add_noise(self.best_vae(), super().sample(n, seed, labels), seed)

    def best_vae(self) -> VAE:
        """The VAE with the weights that validation chose."""
        vae = copy.deepcopy(self.vae).cpu().eval()
        vae.load_state_dict(self.best_companions["vae"])
        vae.decoder.load_state_dict(self.best)
        return vae


class PlainVAE(NeuralModel):
    """A VAE whose windows are draws from p(x|z), z of the prior: the decoder's mean and noise of the learned scale."""

    Config = VAEConfig

    @classmethod
    def build(cls, config: VAEConfig, data: TrainingData) -> VAE:
        """The untrained VAE."""
        return build_vae(config, data.train, data.lowpass, data.labels, data.bounded)

    @classmethod
    def trainer(cls, config: VAEConfig, data: TrainingData, folder: Path | None) -> VAETrainer:
        """What descends −ELBO."""
        vae = cls.build(config, data)
        return VAETrainer(vae, data.train, config, validate=data.validate, labels=data.labels, folder=folder)

    @classmethod
    def kept(cls, trainer: VAETrainer) -> VAE:
        """The VAE with the weights that validation chose."""
        return trainer.best_vae()

    @property
    def generator(self) -> nn.Module:
        """The decoder."""
        return self.network.decoder

    @property
    def n_parameters(self) -> int:
        """Of the decoder, and the noise scale."""
        return super().n_parameters + 1

    def sample(self, n: int, seed: int = 0, labels: np.ndarray | None = None) -> np.ndarray:
        """Draw windows float32 (n, samples), with labels (n,) of a model that was told them."""
        return add_noise(self.network, super().sample(n, seed, labels), seed)
