"""Generative models of spike windows: the two of the thesis and their baselines, behind one contract."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "convolution2d": ["DecoderNetwork", "ImageDiscriminator", "PainterNetwork"],
        "flow_matching": ["Reflow"],
        "discriminators": ["ConvolutionStack"],
        "gan": ["GANConfig", "GANTrainer", "GAN"],
        "gaussian": ["Gaussian"],
        "generators": ["Generator", "build_generator"],
        "side_by_side": ["SideBySide"],
        "transformer": [
            "sinusoidal_positions",
            "rotate",
            "attention",
            "SelfAttention",
            "TransformerEncoder",
            "attention_maps",
        ],
        "vae_gan": ["VAEGANConfig", "VAEGAN"],
    },
)
