"""The convolutional GAN with the Wasserstein loss and its gradient penalty, in one dimension."""

from meagan_lib.models.gan import GAN


class DCGAN(GAN):
    """Transposed convolutions against strided ones, as WGAN-GP trains them.

    Radford et al. 2016 (arXiv:1511.06434) for the generator, Gulrajani et al. 2017 (arXiv:1704.00028) for the game.
    The generator ends in the low-pass of the recording, and the EMA of its weights is kept, which neither paper does.
    """

    PUBLISHED = (
        dict(generator="convolutional", on_gaussian=False, g_batch_norm=True, batch_size=64)
        | dict(loss="wasserstein", gamma=0.0, gradient_penalty=10.0, d_steps=5, adam_betas=(0.0, 0.9))
        | dict(d_learning_rate=1e-4, g_learning_rate=1e-4, d_schedule="constant", g_schedule="constant")
    )
