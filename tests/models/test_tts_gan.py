"""TTS-GAN as published."""

import torch

from meagan_lib.models.tts_gan import TTSGAN
from tests.models.test_contract import DATA, fitted


def test_the_dropout_of_tts_gan_stays_on():
    model = fitted("tts_gan")
    z = torch.randn(1, 100).expand(6, 100)
    with torch.no_grad():
        assert model.network(z).std(dim=0).max() > 1e-3
    assert model.network.training and not model.network.requires_grad_(False).encoder.positions.requires_grad


def test_tts_gan_has_the_parameters_of_its_published_form():
    """Counted by hand from the published widths: tokens of 10 for each sample, of 50 for each of 10 patches."""
    tokens = 18  # 16 samples, and the low-pass of three taps needs one more on each side

    def block(width):  # attention, MLP, two norms
        return 4 * width * (width + 1) + 2 * 4 * width * width + 5 * width + 4 * width

    config = TTSGAN.configure()
    generator = sum(p.numel() for p in TTSGAN.build(config, DATA).parameters())
    assert generator == 101 * tokens * 10 + tokens * 10 + 3 * block(10) + 2 * 10 + 11
    discriminator = sum(p.numel() for p in TTSGAN.discriminator(config, DATA).parameters())
    assert discriminator == 3 * 50 + 8 * 50 + 3 * block(50) + 2 * 50 + 51  # patches of 2 samples: 8 of them in 16
