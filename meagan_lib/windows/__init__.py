"""Spike windows: detected, cut, split into training, validation and test, normalised, merged; and the gate."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "contamination": ["isolated", "contaminated", "contamination_curves"],
        "cutting": ["Isolation", "WindowConfig", "cut_windows", "stored_fraction"],
        "detection": ["DetectionConfig", "filtered_traces", "segment_spans", "score_detection"],
        "detectors": ["require_detector"],
        "features": ["shape_features"],
        "footprints": ["amplitude_decay", "delays", "noise_correlation"],
        "gate": ["Gate"],
        "imported": ["open_windows"],
        "looking": ["look"],
        "normalisation": ["Standardiser", "fit_normalisation"],
        "spike_windows": ["Split", "SpikeWindows", "intervals_ms", "spike_counts"],
        "splits": ["require_enough", "require_fractions"],
    },
)
