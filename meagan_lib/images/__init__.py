"""Annotated images: defects painted, pasted or generated with their masks, to train what finds them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "augmenters": ["AUGMENTERS", "Augmenter", "fit_augmenter", "require_augmenter"],
        "fidelity": ["fidelity"],
        "gan": ["ImageGANConfig", "to_onnx"],
    },
)
