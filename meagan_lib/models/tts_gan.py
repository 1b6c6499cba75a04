"""TTS-GAN, the published GAN of Transformers for signals: Li et al. 2022, arXiv:2202.02691."""

from typing import Self

from meagan_lib.models.contract import TrainingData
from meagan_lib.models.discriminators import Discriminator, TransformerDiscriminator
from meagan_lib.models.gan import GAN, GANConfig
from meagan_lib.models.generators import Generator
from meagan_lib.training.trainer import seeded

D_WIDTH, PATCHES = 50, 10
"""Width of the discriminator's tokens, and into how many patches it cuts a window."""


class AlwaysDropping(Generator):
    """A Transformer generator whose dropout stays on when windows are drawn, as in the published way to sample."""

    EXPANSION = 4

    def train(self, mode: bool = True) -> Self:
        """Keep dropout, whatever the mode."""
        return super().train(True)


class TTSGAN(GAN):
    """The published configuration, built of this project's blocks.

    Where it differs: attention is scaled by the width of a head, not of a token; dropout acts on what attention and MLP
    return, not within them; a layer normalisation follows the last block in both networks, and the discriminator has no
    class token; the generator ends in the low-pass of the recording; the EMA of the weights is what is sampled. The
    loss is half the published one, so its gradient is clipped at half the norm of 5.
    """

    PUBLISHED = (
        dict(latent=100, patch=1, width=10, depth=3, heads=5, positions="learned", on_gaussian=False)
        | dict(g_dropout=0.5, d_dropout=0.5, loss="least_squares", gamma=0.0, clip_gradient=2.5)
        | dict(adam_betas=(0.9, 0.999), d_learning_rate=3e-4, g_learning_rate=1e-4)
        | dict(d_schedule="constant", g_schedule="constant", batch_size=16, ema=0.9999)
    )

    @classmethod
    def build(cls, config: GANConfig, data: TrainingData) -> Generator:
        """Build the untrained generator."""
        return seeded(lambda: AlwaysDropping(config, data), config.seed)

    @classmethod
    def discriminator(cls, config: GANConfig, data: TrainingData) -> Discriminator:
        """Build the untrained discriminator."""
        options = dict(patch=-(-data.samples // PATCHES), width=D_WIDTH, expansion=AlwaysDropping.EXPANSION)
        options |= dict(depth=config.depth, heads=config.heads, positions=config.positions, dropout=config.d_dropout)
        return seeded(lambda: TransformerDiscriminator(data.samples, data.n_classes, **options), config.seed + 1)
