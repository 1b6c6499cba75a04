"""Evaluation: scores of generated windows beside floor and reach, copies, planted failures, statistics over seeds."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "context": ["Context"],
        "metrics": ["METRICS", "applicable"],
        "scores": ["REACH", "best_models", "beyond", "copies", "excesses", "headline", "score_models", "seed_by_seed"],
        "statistics": ["SIGNIFICANT", "q_values"],
    },
)
