"""95 % intervals hold the truth in 95 of 100 repeats from one known distribution."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from meagan_lib import ROOT
from meagan_lib.evaluation.classifiers import c2st_auc
from meagan_lib.evaluation.context import Context
from meagan_lib.evaluation.metrics import METRICS
from meagan_lib.evaluation.scores import LEADING, evaluate
from tests.fixtures import spikes

# As many trees as the judge of a training has: what the bench counts has three times as many.
CHEAPER = {"c2st_auc": METRICS["c2st_auc"]._replace(prepare=partial(c2st_auc, n_trees=40))}
CONTEXT = replace(Context.fit(spikes(1000, seed=3), 20_000.0), gate=lambda windows: windows.min(axis=1) < -2.5)


def held(name: str, n: int, repeats: int, gain: float, n_bootstrap: int = 50) -> float:
    """Return the fraction of the repeats in which the interval holds the mean over all of them."""
    found = [
        evaluate((METRICS | CHEAPER)[name], spikes(n, seed=1000 + r), made * np.float32(gain), CONTEXT, n_bootstrap)
        for r in range(repeats)
        for made in [spikes(n, seed=10**6 + r)]
    ]
    truth = np.mean([value for value, _ in found])
    return np.mean([low <= truth <= high for _, (low, high) in found])


QUOTED = [
    ("passes", 500, 400, 1.0),
    ("c2st_auc", 100, 60, 1.0),
    ("coverage", 500, 100, 1.1),
    ("density", 500, 100, 1.0),
]
"""Score, windows on each side, repeats, and what the generated windows are multiplied by."""


@pytest.mark.parametrize("name, n, repeats, gain", QUOTED)
def test_the_interval_of_a_score_that_is_quoted_holds_the_truth(name, n, repeats, gain):
    assert 0.92 <= held(name, n, repeats, gain) <= 0.98


def test_every_score_that_ranks_models_was_counted_where_classifiers_are_too_slow_for_a_test():
    rows = [line.strip("| ").split(" | ") for line in (ROOT / "bench" / "INTERVALS.md").read_text().splitlines()]
    holds = {(row[0], row[1]): float(row[-1].rstrip(" %")) for row in rows if len(row) == 8 and row[-1].endswith("%")}
    counted = {metric.label for name, metric in METRICS.items() if name in LEADING and metric.spread != "binomial"}
    assert counted and all(91 <= holds[label, gain] <= 99 for label in counted for gain in ("1", "1.1"))
