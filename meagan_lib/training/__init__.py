"""Training: the loop that knows no model, its losses, its checkpoints, the priors of z."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "checkpoints": ["n_parameters"],
        "losses": [
            "bce_discriminator",
            "LOSSES",
            "squared_gradient_norm",
            "gradient_penalty",
            "gaussian_kl",
            "gaussian_nll",
            "feature_matching",
        ],
        "priors": ["PRIORS", "prior", "latent_path"],
        "trainer": ["seeded"],
    },
)
