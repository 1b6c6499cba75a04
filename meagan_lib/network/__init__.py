"""The network of a culture: spike trains, bursts, connectivity, topology, groups, treatment."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "bursts": [
            "begin_in_planted",
            "electrode_bursts",
            "interval_histograms",
            "network_bursts",
            "pooled_intervals_ms",
            "raster",
            "score",
            "summary",
        ],
        "connectivity": ["functional_connectivity", "sttc"],
        "spike_files": ["read_spikes", "require_treated", "treated"],
        "spike_trains": ["from_windows"],
        "spike_types": ["compare_spike_types"],
        "topology": ["measure_topology"],
    },
)
