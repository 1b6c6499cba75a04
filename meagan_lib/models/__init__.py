"""Generative models of spike windows: the two of the thesis and their baselines, behind one contract."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "baselines",
        "contract",
        "dcgan",
        "flow_matching",
        "gaussian",
        "neural",
        "side_by_side",
        "transformer_gan",
        "tts_gan",
        "vae",
        "vae_gan",
    ],
    submod_attrs={
        "baselines": [],
        "contract": [],
        "dcgan": [],
        "flow_matching": [],
        "gaussian": [],
        "neural": [],
        "side_by_side": ["SideBySide"],
        "transformer_gan": [
            "sinusoidal_positions",
            "attention",
            "SelfAttention",
            "TransformerEncoder",
            "attention_maps",
            "build_generator",
            "build_discriminator",
        ],
        "tts_gan": [],
        "vae": [],
        "vae_gan": [],
    },
)
