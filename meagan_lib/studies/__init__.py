"""A study: many recordings of several cultures, days and conditions, in one table, and what it says."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "design": ["read_study"],
        "findings": ["conclusions", "of_run"],
        "measures": ["COLUMNS", "MEASURES", "SCORES", "described", "measure_all"],
        "simulation": ["drawn_table", "simulated_study"],
        "statistics": ["MIXED", "by_recordings", "culture_means", "development", "effects", "false_positives"],
    },
)
