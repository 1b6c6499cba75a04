"""The VAE-GAN (thesis 1.4.1 and chapter 3; a reconstruction: chapter 3 is known by its headings only).

Encoder: a mirror of the discriminator, to μ and log σ². Decoder: the Transformer-GAN's own generator, so that the
comparison of chapter 4 is one of training, not of capacity. Source: Larsen et al. 2016 (arXiv:1512.09300).
"""

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from meagan_lib import InputError, choose
from meagan_lib.models.contract import TrainingData, band_noise
from meagan_lib.models.discriminators import CHANNELS, ConvolutionStack
from meagan_lib.models.gan import GAN, GANConfig, GANTrainer
from meagan_lib.models.generators import Generator, GeneratorConfig, build_generator
from meagan_lib.training import losses
from meagan_lib.training.priors import batches
from meagan_lib.training.trainer import Trainer, seeded

TOTAL_LOSSES = ("features", "thesis")
"""Feature matching in the place of the likelihood, each network with its own loss (Larsen et al. 2016); or L_GAN + λ
L_VAE, one loss for encoder and decoder (thesis 1.4.1)."""


@dataclass(frozen=True)
class VAEGANConfig(GANConfig):
    """The config of a VAE-GAN: ``vae_steps`` of stage 1, the VAE alone, then ``steps`` of the game."""

    vae_steps: int = 1000
    vae_learning_rate: float = 1e-3
    beta: float = 1.0
    """β: weight of the KL term in both stages; 1 is the evidence lower bound."""
    reconstruction_fraction: float = 0.25
    """Fraction of a batch of stage 2 that the decoder reconstructs from windows; the rest comes from the prior."""
    kl_warmup_fraction: float = 0.5
    """Fraction of stage 1 over which the weight of the KL term grows from 0 to 1."""
    feature_weight: float = 0.1
    """λ: weight of feature matching between windows and their reconstructions in stage 2."""
    total_loss: str = "features"
    """What stage 2 descends, a name of ``TOTAL_LOSSES``."""
    vae_weight: float = 0.01
    """λ of the thesis' own total loss: weight of −ELBO, whose noise scale stays that of stage 1."""
    encoder_rate_fraction: float = 0.1
    """The encoder's learning rate in stage 2, as a fraction of the generator's."""


class Encoder(nn.Module):
    """Windows (batch, samples) → μ and log σ², each (batch, latent); a label adds a row to the last layer."""

    def __init__(
        self,
        samples: int,
        latent: int,
        width: int = 128,
        channels: tuple = CHANNELS,
        classes: int = 0,
        electrodes: int = 1,
    ):
        super().__init__()
        self.convolutions = ConvolutionStack(samples, channels, electrodes=electrodes)
        self.hidden = nn.Sequential(nn.Linear(self.convolutions.features, width), nn.LeakyReLU(0.2))
        self.classes = nn.Embedding(classes, width) if classes else None
        self.head = nn.Linear(width, 2 * latent)

    def forward(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(batch, samples), and labels (batch,) where there are classes → μ, log σ²."""
        hidden = self.hidden(self.convolutions(x))
        if self.classes is not None:
            hidden = hidden + self.classes(label)
        mu, log_variance = self.head(hidden).chunk(2, dim=1)
        return mu, log_variance


def reparameterise(mu: Tensor, log_variance: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw z = μ + σ ⊙ ε with ε ~ N(0, I) (thesis 1.4.1); σ = exp(½ log σ²)."""
    noise = torch.randn(mu.shape, generator=generator).to(mu.device)
    return mu + torch.exp(0.5 * log_variance) * noise


class VAE(nn.Module):
    """Encoder, decoder and a learned noise scale s = exp(``log_noise``), shared by all samples of a window."""

    def __init__(self, encoder: Encoder, decoder: Generator):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.log_noise = nn.Parameter(torch.zeros(()))

    def layers(self, samples: int) -> tuple[list[tuple[str, str, int]], int]:
        """Return what each step from window to window gives: in words, shape, number of values; and which one is z."""
        encoder = [
            ("window $x$", str(samples)),
            ("strided\nconvolutions", str(self.encoder.convolutions.features)),
            ("dense", str(self.encoder.head.in_features)),
            ("$\\mu$, $\\log\\,\\sigma^2$", f"2 × {self.decoder.latent}"),
        ]
        z = ("$z = \\mu + \\sigma \\odot \\varepsilon$", str(self.decoder.latent))
        *decoder, (last, shape) = self.decoder.outline()[1:]
        last = last.replace("sum", "+ Gaussian").replace("$x$", "$\\tilde{x}$")  # which of the two is not drawn
        steps = [*encoder, z, *decoder, (last, shape)]
        return [(label, shape, math.prod(map(int, shape.split(" × ")))) for label, shape in steps], len(encoder)


def build_vae(config: GeneratorConfig, data: TrainingData) -> VAE:
    """Build the VAE of a config for the windows of ``data``; its decoder is the generator that a GAN would have."""
    decoder = build_generator(config, data)
    options = dict(classes=data.n_classes, electrodes=data.electrodes)
    return seeded(lambda: VAE(Encoder(data.samples, config.latent, **options), decoder), config.seed)


def elbo_step(trainer: Trainer, steps: int, learning_rate: float, x: Tensor, *label: Tensor) -> dict[str, float]:
    """Do one of ``steps`` that descend −ELBO = −E log p(x|z) + w β KL(q(z|x) ‖ p(z)) (thesis 1.4.1).

    w grows from 0 to 1, and the learning rate falls along a cosine. The trainer has a ``vae``.
    """
    c, vae = trainer.config, trainer.vae
    warmup = min(1.0, (trainer.step + 1) / max(c.kl_warmup_fraction * steps, 1))
    trainer.set_rate("vae", learning_rate * trainer.cosine(trainer.step, steps))
    mu, log_variance = vae.encoder(x, *label)
    mean = vae.decoder(reparameterise(mu, log_variance, trainer.rng), *label)
    nll = losses.gaussian_nll(x, mean, vae.log_noise)
    kl = losses.gaussian_kl(mu, log_variance)
    trainer.descend(nll + warmup * c.beta * kl, "vae")
    return {"nll": nll.item(), "kl": kl.item(), "noise": vae.log_noise.exp().item()}


class VAEGANTrainer(GANTrainer):
    """Train a VAE-GAN through the same loop: stage 1 the VAE alone (:func:`elbo_step`), stage 2 the game.

    Stage 2: the discriminator, D(x) = ``logits(features(x))``, sees real windows against reconstructions and prior
    samples; the decoder descends the adversarial loss + λ · feature matching, the encoder β KL + feature matching. Or
    both descend the total loss of the thesis, L_GAN + λ (−log p(x|z) + β KL).
    """

    COLUMNS = (*GANTrainer.COLUMNS, "nll", "kl", "noise", "feature_loss")
    STATE = (*GANTrainer.STATE, "pretrained")

    def __init__(self, vae: VAE, discriminator: nn.Module, real: np.ndarray, config: VAEGANConfig, **options):
        if config.prior != "gaussian":
            raise InputError(f"the prior of a VAE-GAN is Gaussian, for its KL term says so: '{config.prior}' cannot be")
        choose("total_loss", config.total_loss, TOTAL_LOSSES)
        if config.steps < 1:
            raise InputError("steps is 0: samples come from the adversarial stage, so it needs at least one step")
        self.vae, self.pretrained, self.first_stage = vae, {}, config.vae_steps
        super().__init__(vae.decoder, discriminator, real, config, **options)

    def networks(self) -> dict[str, nn.Module]:
        """Return the VAE, whose decoder is the generator, and the discriminator."""
        return {"vae": self.vae, "discriminator": self.discriminator}

    def companions(self) -> dict[str, nn.Module]:
        """Return the encoder, the noise scale of the likelihood, and the discriminator."""
        noise = nn.ParameterDict({"log_noise": self.vae.log_noise})
        return super().companions() | {"encoder": self.vae.encoder, "noise": noise}

    def best_vae(self) -> VAE:
        """Return the VAE with the decoder that validation chose and the encoder of that step."""
        vae = self.pretrained_vae()
        vae.decoder.load_state_dict(self.best)
        vae.encoder.load_state_dict(self.best_companions["encoder"])
        return vae

    def pretrained_vae(self) -> VAE:
        """Return the VAE as stage 1 left it."""
        vae = copy.deepcopy(self.vae).cpu().eval()
        vae.load_state_dict(self.pretrained)
        return vae

    def build_optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the optimisers of the players, of stage 1 and of the encoder in stage 2."""
        c = self.config
        return super().build_optimisers() | {
            "vae": torch.optim.Adam(self.vae.parameters(), c.vae_learning_rate, fused=True),
            "encoder": self.build_optimiser(self.vae.encoder, c.g_learning_rate * c.encoder_rate_fraction),
        }

    def train_step(self) -> dict[str, float]:
        """Do one step of the stage that the run is in."""
        c = self.config
        if self.step < c.vae_steps:  # stage 1
            return elbo_step(self, c.vae_steps, c.vae_learning_rate, *self.real_batch())
        if self.stage_step == 0:
            self.ema.load_state_dict(self.generator.state_dict())
            self.pretrained = copy.deepcopy(self.vae.state_dict())
        return super().train_step()

    def generated(self, real: Tensor, *label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruct the first windows of a batch, generate the others from the prior; and return μ, log σ²."""
        n = max(round(self.config.reconstruction_fraction * len(real)), 1)
        mu, log_variance = self.vae.encoder(real[:n], *(y[:n] for y in label))
        z = torch.cat([reparameterise(mu, log_variance, self.rng), self.latent(len(real) - n)])
        return self.generator(z, *label), mu, log_variance

    def generator_step(self, real: Tensor, generated: tuple[Tensor, ...], *label: Tensor) -> dict[str, float]:
        """Descend the decoder's and the encoder's losses, then move the EMA."""
        fake, mu, log_variance = generated
        n, (of_real, of_fake) = len(mu), self.seen(self.discriminator.features, real, fake)
        adversarial = self.loss.generator(*(self.discriminator.logits(f, *label) for f in (of_real, of_fake)))
        matching = losses.feature_matching(of_real[:n], of_fake[:n])
        kl = losses.gaussian_kl(mu, log_variance)
        c, of_encoder, of_decoder = self.config, self.config.beta * kl + matching, self.config.feature_weight * matching
        if c.total_loss == "thesis":  # one loss for both
            nll = losses.gaussian_nll(real[:n], fake[:n], self.vae.log_noise)
            of_decoder = c.vae_weight * (nll + c.beta * kl)
            of_encoder = adversarial + of_decoder
        self.assign_gradients("encoder", of_encoder, retain_graph=True)
        self.assign_gradients("g", adversarial + of_decoder)
        self.update("encoder")
        norm = self.update("g")
        self.update_ema()
        return {"g_loss": adversarial.item(), "g_gradient": norm, "feature_loss": matching.item(), "kl": kl.item()}


class VAEGAN(GAN):
    """The VAE-GAN as a model of the benchmark: windows of its decoder, of z from the prior."""

    Config = VAEGANConfig
    Trainer = VAEGANTrainer

    @classmethod
    def networks(cls, config: VAEGANConfig, data: TrainingData) -> tuple[nn.Module, ...]:
        """Build the VAE and the discriminator."""
        return build_vae(config, data), cls.discriminator(config, data)


@torch.no_grad()
def encode(vae: VAE, windows: np.ndarray, labels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Encode: μ and log σ² (n, latent) of windows (n, samples), with labels (n,) where there are classes."""
    mu, log_variance = zip(*(vae.encoder(*part) for part in batches(windows, labels, 1000)))
    return torch.cat(mu).numpy(), torch.cat(log_variance).numpy()


@torch.no_grad()
def decode(vae: VAE, z: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Return the decoder's mean (n, samples) of latent vectors (n, latent)."""
    return torch.cat([vae.decoder(*part) for part in batches(z, labels, 1000)]).numpy()


def reconstruct(vae: VAE, windows: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Encode windows (n, samples) and decode them again: the decoder's mean of μ, nothing drawn."""
    return decode(vae, encode(vae, windows, labels)[0], labels)


def traverse(vae: VAE, latent: int, values: np.ndarray, label: int | None = None) -> np.ndarray:
    """Return the decoder's means (steps, samples): one latent number takes ``values`` (steps,), all others are 0."""
    z = np.zeros((len(values), vae.decoder.latent), np.float32)
    z[:, latent] = values
    return decode(vae, z, None if label is None else np.full(len(values), label))


def add_noise(vae: VAE, means: np.ndarray, seed: int = 0) -> np.ndarray:
    """Draw from p(x|z), of the decoder's means (n, samples): add noise of the scale s that the ELBO learned.

    The white noise of the likelihood, N(mean, s² I), would give windows away: this went through the decoder's low-pass.
    """
    uncut, trace = vae.decoder.lowpass.shape
    taps = vae.decoder.lowpass[: uncut - trace + 1, 0].cpu().numpy()
    noise = band_noise(means.size // trace, trace, taps, np.random.default_rng(seed)).reshape(means.shape)
    return (means + float(vae.log_noise.detach().exp()) * noise).astype(np.float32)


def aggregate_posterior(
    vae: VAE, windows: np.ndarray, n: int, seed: int = 0, labels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Draw latent vectors (n, latent) of q(z) = E_x q(z|x), and their labels (n,) where windows have labels.

    Where it differs from the prior, the decoder meets z of the prior that it has seldom seen.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(windows), size=n)
    of = None if labels is None else labels[drawn]
    mu, log_variance = encode(vae, windows[drawn], of)
    return (mu + np.exp(0.5 * log_variance) * rng.standard_normal(mu.shape)).astype(np.float32), of


def kl_by_dimension(mu: np.ndarray, log_variance: np.ndarray) -> np.ndarray:
    """Return KL(q(z_i|x) ‖ N(0, 1)) of each latent number in nats, (latent,), mean over windows: 0 where unused."""
    return 0.5 * (mu**2 + np.exp(log_variance) - 1 - log_variance).mean(axis=0)


def active_units(mu: np.ndarray) -> np.ndarray:
    """Say which latent numbers carry something of the window: Var_x(μ_i) above 0.01, bool (latent,).

    Burda et al. 2016, arXiv:1509.00519; where none does, the posterior has collapsed.
    """
    return mu.var(axis=0) > 0.01
