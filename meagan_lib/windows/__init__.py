"""Spike windows: detected, cut, split into training, validation and test, normalised, merged."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["cutting", "detection", "features", "imported", "merging", "spike_windows", "streaming"],
    submod_attrs={
        "cutting": ["Isolation", "WindowConfig", "cut_windows", "isolated", "contaminated", "contamination_curves"],
        "detection": ["DetectionConfig", "Peaks", "filtered_traces", "segment_spans", "score_detection"],
        "features": ["shape_features"],
        "imported": ["open_windows"],
        "merging": [],
        "spike_windows": [
            "Split",
            "SpikeWindows",
            "intervals_ms",
            "spike_counts",
            "require_enough",
            "Standardiser",
            "fit_normalisation",
        ],
        "streaming": [],
    },
)
