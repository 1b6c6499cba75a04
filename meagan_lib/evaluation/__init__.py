"""Evaluation: scores of generated windows beside their floor, copies, planted failures, statistics."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["memorisation", "metrics", "planted_failures", "scores", "statistics"],
    submod_attrs={
        "memorisation": ["METRICS"],
        "metrics": ["METRICS"],
        "planted_failures": ["planted_failures"],
        "scores": [
            "METRICS",
            "REACH",
            "evaluate",
            "by_event",
            "score_models",
            "excesses",
            "seed_by_seed",
            "beyond",
            "copies",
            "answer",
        ],
        "statistics": ["SIGNIFICANT", "q_values", "told_p"],
    },
)
