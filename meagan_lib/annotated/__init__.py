"""Annotated synthesis: spikes painted into a recording's own background, so that the truth is known."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "background": ["Quiet", "footprints_at"],
        "chip": ["Chip"],
        "detector": ["Detector", "DetectorConfig", "Detections", "find", "threshold"],
        "held_out": ["HeldOut"],
        "hybrid": ["HybridConfig", "make_hybrid"],
        "kinds": ["Kinds"],
        "operating": ["OperatingCurve", "TrueSpikes", "operating_curve"],
        "painting": ["Observation", "taper"],
        "painters": ["PAINTERS", "fit_painter"],
    },
)
