"""Annotated images: photographs with masks, defects put where a mask says, and what a segmentation learns from them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "augmenters": ["AUGMENTERS", "Augmenter", "CopyPaste", "fit_augmenter", "require_augmenter"],
        "crops": ["Crops"],
        "fidelity": ["fidelity"],
        "gan": ["ImageGANConfig", "to_onnx"],
        "halves": ["TestHalf", "TrainingHalf", "split"],
        "opening": ["open_photographs"],
        "photographs": ["FREE", "Photograph", "kinds"],
        "run_length": ["decode", "encode"],
        "scores": ["dice", "precision_recall", "segmentation_scores"],
        "segmentation": ["Segmentation", "SegmentationConfig", "UNet", "synthetic_images"],
    },
)
