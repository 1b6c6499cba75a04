"""Annotated synthesis: spikes painted into a recording's own background, so that the truth is known."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "background": ["Quiet", "footprints_at"],
        "chip": ["Chip", "Places", "footprint_windows"],
        "detector": ["Detector", "DetectorConfig", "DetectorNetwork", "Detections", "find", "threshold"],
        "held_out": ["HeldOut"],
        "hybrid": ["HybridConfig", "make_hybrid", "describe", "default_path", "threshold_misses"],
        "kinds": ["Kinds"],
        "learned": ["Learned", "LearnedConfig", "require_learnable"],
        "operating": ["DEPTHS", "OperatingCurve", "TrueSpikes", "depth_name", "gain", "operating_curve"],
        "painters": ["PAINTERS", "Painter", "fit_painter", "require_painter"],
        "judging": ["judge", "REAL"],
        "painting": ["Observation", "taper"],
        "sorter_scores": ["by_depth", "rank_agreement", "verdict"],
        "sorters": ["SORTERS", "compare", "performance"],
        "writing": ["write_hybrid", "require_writable", "sorting_of"],
    },
)
