"""Training: the loop that knows no model, its losses, its checkpoints, the priors of z."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["checkpoints", "losses", "priors", "trainer"],
    submod_attrs={
        "checkpoints": ["fingerprint", "save", "resume", "save_results", "cost", "n_parameters"],
        "losses": [
            "AdversarialLoss",
            "bce_discriminator",
            "saturating_generator",
            "non_saturating_generator",
            "hinge_discriminator",
            "wasserstein_discriminator",
            "wasserstein_generator",
            "least_squares_discriminator",
            "least_squares_generator",
            "relativistic_discriminator",
            "relativistic_generator",
            "LOSSES",
            "squared_gradient_norm",
            "gradient_penalty",
            "gaussian_kl",
            "gaussian_nll",
            "feature_matching",
        ],
        "priors": ["PRIORS", "prior", "latent_path", "generate"],
        "trainer": ["TrainingConfig", "Config", "Module", "build_config", "seeded", "frozen", "usable", "Trainer"],
    },
)
