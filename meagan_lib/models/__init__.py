"""Generative models of spike windows: the two of the thesis and their baselines, behind one contract."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "contract": ["TrainingData"],
        "discriminators": ["ConvolutionalDiscriminator", "Discriminator", "TransformerDiscriminator"],
        "gan": ["GAN", "GANConfig", "GANTrainer", "build_discriminator"],
        "gaussian": ["Gaussian"],
        "generators": ["Generator", "WindowGenerator", "build_generator"],
        "side_by_side": ["SideBySide"],
        "transformer": [
            "Block",
            "SelfAttention",
            "TransformerEncoder",
            "attention",
            "attention_maps",
            "sinusoidal_positions",
        ],
        "vae_gan": ["VAEGAN", "VAEGANConfig", "VAEGANTrainer"],
    },
)
