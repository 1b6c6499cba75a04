"""Generative models of spike windows: the two of the thesis and their baselines, behind one contract."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "baselines",
        "contract",
        "dcgan",
        "discriminators",
        "flow_matching",
        "gan",
        "gaussian",
        "generators",
        "neural",
        "side_by_side",
        "transformer",
        "tts_gan",
        "vae",
        "vae_gan",
    ],
    submod_attrs={
        "baselines": [],
        "contract": ["TrainingData"],
        "dcgan": [],
        "discriminators": ["ConvolutionalDiscriminator", "Discriminator", "TransformerDiscriminator"],
        "flow_matching": [],
        "gan": ["GAN", "GANConfig", "GANTrainer", "build_discriminator"],
        "gaussian": ["Gaussian"],
        "generators": ["Generator", "WindowGenerator", "build_generator"],
        "neural": [],
        "side_by_side": ["SideBySide"],
        "transformer": [
            "Block",
            "SelfAttention",
            "TransformerEncoder",
            "attention",
            "attention_maps",
            "sinusoidal_positions",
        ],
        "tts_gan": [],
        "vae": [],
        "vae_gan": ["VAEGAN", "VAEGANConfig", "VAEGANTrainer"],
    },
)
