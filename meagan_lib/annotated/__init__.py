"""Annotated synthesis: spikes painted into a recording's own background, so that the truth is known."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "background": ["Quiet", "footprints_at"],
        "chip": ["Chip", "Places", "footprint_windows"],
        "hybrid": ["HybridConfig", "make_hybrid", "describe", "default_path"],
        "kinds": ["Kinds"],
        "painters": ["PAINTERS", "Painter", "fit_painter", "require_painter"],
        "painting": ["Observation", "taper"],
        "writing": ["write_hybrid", "require_writable", "sorting_of"],
    },
)
