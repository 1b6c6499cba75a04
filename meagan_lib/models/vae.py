"""The variational autoencoder alone: stage 1 of the VAE-GAN for the whole budget, sampled with its noise."""

import copy
from dataclasses import dataclass

import numpy as np
from torch import nn

from meagan_lib.models.generators import GeneratorConfig
from meagan_lib.models.neural import NeuralModel
from meagan_lib.models.vae_gan import VAE, add_noise, build_vae, elbo_step
from meagan_lib.training.trainer import Trainer


@dataclass(frozen=True)
class VAEConfig(GeneratorConfig):
    """A training of the VAE alone, with options of the VAE-GAN's first stage."""

    batch_size: int = 128
    learning_rate: float = 1e-3
    beta: float = 1.0
    kl_warmup_fraction: float = 0.5


class VAETrainer(Trainer):
    """Descend −ELBO, with the EMA of the decoder's weights beside."""

    COLUMNS = ("step", "nll", "kl", "noise")

    def __init__(self, vae: VAE, real: np.ndarray, config: VAEConfig, **options):
        self.vae = vae
        super().__init__(vae.decoder, real, config, **options)

    def networks(self) -> dict[str, nn.Module]:
        """Return encoder, decoder and noise scale."""
        return {"vae": self.vae}

    companions = networks

    def train_step(self) -> dict[str, float]:
        """Do one step down −ELBO, then move the EMA."""
        row = elbo_step(self, self.config.steps, self.config.learning_rate, *self.real_batch())
        self.update_ema()
        return row

    def draw(self, generator: nn.Module, n: int, seed: int = 0, labels: np.ndarray | None = None) -> np.ndarray:
        """Draw windows float32 (n, samples) of a decoder, with the noise of now."""
        return add_noise(self.vae, super().draw(generator, n, seed, labels), seed)

    def best_generator(self) -> VAE:
        """Return the decoder, and the whole VAE around it, with the weights that validation chose."""
        vae = copy.deepcopy(self.vae).cpu().eval()
        vae.load_state_dict(self.best_companions["vae"])
        vae.decoder.load_state_dict(self.best)
        return vae

    def sample(self, n: int, seed: int = 0, labels: np.ndarray | None = None) -> np.ndarray:
        """Draw windows float32 (n, samples) with noise, both of the weights that validation chose."""
        vae = self.best_generator()
        return add_noise(vae, super().draw(vae.decoder, n, seed, labels), seed)


class PlainVAE(NeuralModel):
    """A VAE whose windows are draws from p(x|z), z of the prior: the decoder's mean and noise of the learned scale."""

    Config = VAEConfig
    Trainer = VAETrainer
    build = staticmethod(build_vae)

    @property
    def generator(self) -> nn.Module:
        """The decoder."""
        return self.network.decoder

    @property
    def n_parameters(self) -> int:
        """Numbers fitted of the decoder, and the noise scale."""
        return super().n_parameters + 1

    def sample(self, n: int, seed: int = 0, labels: np.ndarray | None = None) -> np.ndarray:
        """Draw windows float32 (n, samples), with labels (n,) where the model has classes."""
        return add_noise(self.network, super().sample(n, seed, labels), seed)
