"""The book of a run, its explorer of the latent space, and what the lessons need."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "explorer": ["explore"],
        "painting": ["move_mask", "save_painters"],
        "teaching": ["check", "Interactive", "Animated", "spike_windows"],
    },
)
