"""Evaluation: scores of generated windows beside floor and reach, copies, planted failures, statistics over seeds."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "classifiers",
        "context",
        "distances",
        "memorisation",
        "metrics",
        "neighbours",
        "planted_failures",
        "scores",
        "statistics",
    ],
    submod_attrs={
        "classifiers": [],
        "context": ["Context"],
        "distances": [],
        "memorisation": [],
        "metrics": ["METRICS"],
        "neighbours": [],
        "planted_failures": ["planted_failures"],
        "scores": ["REACH", "evaluate", "by_event"],
        "statistics": ["SIGNIFICANT", "q_values"],
    },
)
