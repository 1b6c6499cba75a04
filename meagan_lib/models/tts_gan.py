"""TTS-GAN, the published GAN of Transformers for signals: Li et al. 2022, arXiv:2202.02691."""

from typing import Self

from meagan_lib.models.contract import TrainingData
from meagan_lib.models.transformer_gan import GAN, Discriminator, Generator, TransformerDiscriminator, n_classes
from meagan_lib.training.trainer import GANConfig, seeded

EXPANSION = 4
"""Width of an MLP's hidden layer, as a multiple of a token's."""
D_WIDTH, PATCHES = 50, 10
"""Width of the discriminator's tokens, and into how many patches it cuts a window."""


class AlwaysDropping(Generator):
    """A Transformer generator whose dropout stays on when windows are drawn, as in the published way to sample."""

    def train(self, mode: bool = True) -> Self:
        """Whatever the mode: dropout stays."""
        return super().train(True)


class TTSGAN(GAN):
    """The published configuration, built of this project's blocks.

    Generator: 100 numbers, a token of width 10 for each sample, 3 blocks of 5 heads; discriminator: 10 patches as
    tokens of width 50, 3 blocks of 5 heads; positions learned, dropout 0.5 in both, in the generator also while windows
    are drawn. LSGAN, gradients clipped at a norm of 5, Adam with β = (0.9, 0.999) and rates 10⁻⁴ (G) and 3 · 10⁻⁴ (D),
    batches of 16, an average of the weights.

    Where it differs: attention is scaled by the width of a head, not of a token; dropout acts on what attention and MLP
    return, not within them; a layer normalisation follows the last block in both networks, and the discriminator has no
    class token; the generator ends in the low-pass of the recording; the average of the weights is what is sampled. The
    loss is half the published one, so its gradient is clipped at half the norm.
    """

    PUBLISHED = {
        "latent": 100,
        "patch": 1,
        "width": 10,
        "depth": 3,
        "heads": 5,
        "positions": "learned",
        "on_gaussian": False,
        "g_dropout": 0.5,
        "d_dropout": 0.5,
        "loss": "least_squares",
        "gamma": 0.0,
        "clip_gradient": 2.5,
        "adam_betas": (0.9, 0.999),
        "d_learning_rate": 3e-4,
        "g_learning_rate": 1e-4,
        "d_schedule": "constant",
        "g_schedule": "constant",
        "batch_size": 16,
        "ema": 0.9999,
    }

    @classmethod
    def build(cls, config: GANConfig, data: TrainingData) -> Generator:
        """The untrained generator."""
        c = config
        return seeded(
            lambda: AlwaysDropping(
                data.train.shape[1],
                data.lowpass,
                None,
                c.latent,
                c.patch,
                c.width,
                c.depth,
                c.heads,
                EXPANSION,
                c.positions,
                c.g_dropout,
                classes=n_classes(data.labels),
                bounded=data.bounded,
            ),
            c.seed,
        )

    @classmethod
    def discriminator(cls, config: GANConfig, data: TrainingData) -> Discriminator:
        """The untrained discriminator."""
        c, samples = config, data.train.shape[1]
        return seeded(
            lambda: TransformerDiscriminator(
                samples,
                -(-samples // PATCHES),
                D_WIDTH,
                c.depth,
                c.heads,
                EXPANSION,
                c.positions,
                c.d_dropout,
                classes=n_classes(data.labels),
            ),
            c.seed + 1,
        )
