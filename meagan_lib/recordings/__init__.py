"""Recordings: open any, from a chip, a file or the simulator; which of its electrodes are sound."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "brw": ["CHIP_ELECTRODES"],
        "catalogue": ["SIMULATED"],
        "opening": ["open_recording", "holds_windows", "amplitude_unit", "ground_truth", "electrode_positions_um"],
        "quality": ["Verdict", "channel_quality"],
        "simulation": ["SimulationConfig"],
    },
)
