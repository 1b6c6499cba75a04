"""Experiments: several models, seeds, options or recordings, and the results that are kept."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["ablation", "augmentation", "benchmark", "fitting", "generation", "reference", "sweep", "utility"],
    submod_attrs={
        "ablation": [],
        "augmentation": [],
        "benchmark": [],
        "fitting": ["training_data"],
        "generation": ["draw_synthetic", "draw_by_class", "moment_matching", "matching_parameters"],
        "reference": [],
        "sweep": ["counted"],
        "utility": [],
    },
)
