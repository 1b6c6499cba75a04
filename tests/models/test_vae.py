"""The VAE alone."""

import numpy as np
import pytest
import torch

from meagan_lib.models.contract import TrainingData
from meagan_lib.models.vae import PlainVAE
from meagan_lib.models.vae_gan import VAEGAN, VAEGANConfig
from tests.models.test_contract import DATA, REAL, TAPS, TINY, vae


def test_a_vae_is_sampled_with_the_noise_that_it_learned():
    model = PlainVAE.fit(DATA, **TINY, width=8, depth=1, heads=2, latent=4, patch=8)
    with torch.no_grad():
        model.network.log_noise.fill_(np.log(0.5))
    z = torch.randn(2000, 4, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        means = model.network.decoder(z).numpy()
    assert (model.sample(2000, seed=7) - means).std() == pytest.approx(0.5, rel=0.03)


def test_stage_one_of_the_vae_gan_alone_is_the_vae():
    """The same windows, seed and rates: the same weights, bit for bit."""
    shared = {
        name: getattr(vae().config, name)
        for name in ("seed", "batch_size", "latent", "patch", "width", "depth", "heads")
    }
    config = VAEGANConfig(vae_steps=12, steps=1, **shared)
    hybrid = VAEGAN.trainer(config, TrainingData(REAL, TAPS))
    alone = vae()
    alone.train()
    hybrid.train()
    for one, two in zip(alone.vae.state_dict().values(), hybrid.pretrained.values()):
        assert torch.equal(one, two)
