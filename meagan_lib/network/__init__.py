"""The network of a culture: spike trains, bursts, connectivity, topology, groups, treatment."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["bursts", "connectivity", "groups", "spike_trains", "topology", "treatment"],
    submod_attrs={
        "bursts": ["log_histogram", "electrode_bursts", "pooled_intervals_ms", "network_bursts", "summary", "score"],
        "connectivity": ["sttc", "functional_connectivity"],
        "groups": [],
        "spike_trains": [],
        "topology": ["topology"],
        "treatment": [],
    },
)
