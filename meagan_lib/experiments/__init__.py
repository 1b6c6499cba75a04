"""Experiments: several models, seeds, options or recordings, and the results that are kept."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "fitting": ["sizes", "training_data", "weights_of"],
        "generation": ["draw_synthetic", "draw_by_class", "moment_matching", "matching_parameters"],
        "portable": ["keep_generator"],
        "sweep": ["counted"],
    },
)
