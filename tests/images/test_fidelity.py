"""Fidelity of generated crops: what is good scores as the floor, what is bad does not."""

import numpy as np
import pytest

from meagan_lib import InputError
from meagan_lib.evaluation import METRICS, classifiers
from meagan_lib.images import fidelity
from meagan_lib.images.fidelity import C2ST, FEATURE_METRICS, REAL
from tests.cheaper import cheaper


def drawn(n: int, seed: int, depth: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Discs of several sizes on noise, ``depth`` darker than it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:16, :16]
    centre, radius = rng.uniform(5, 11, (2, n, 1, 1)), rng.uniform(2, 4, (n, 1, 1))
    masks = (np.hypot(y - centre[0], x - centre[1]) < radius).astype(np.float32)
    images = (0.6 + 0.05 * rng.standard_normal((n, 16, 16))) * (1 - depth * masks)
    return images.astype(np.float32), masks


@pytest.fixture(scope="module")
def scores():
    """Scores by augmenter and metric of the same distribution, of defects that are pale or bright, and of copies."""
    train = drawn(16, 1)
    copies = tuple(np.repeat(a, 4, axis=0) for a in train)
    others = {"same": drawn(64, 2), "pale": drawn(64, 3, 0.15), "bright": drawn(64, 4, -0.3)}
    others["copies"] = copies
    table = fidelity(drawn(128, 0), others, train, n_bootstrap=8)
    return table.set_index(["augmenter", "metric"])


def test_crops_of_the_same_distribution_score_as_the_floor(scores):
    for label in (FEATURE_METRICS["coverage"], METRICS[C2ST].label):
        same, floor = scores.loc["same", label], scores.loc[REAL, label]
        assert same["low"] <= floor["high"] and floor["low"] <= same["high"]


def test_wrong_defects_are_told_apart_and_cover_less(scores):
    near = scores.loc["same", FEATURE_METRICS["frechet_distance"]]["value"]
    for wrong in ("pale", "bright"):
        assert scores.loc[wrong, METRICS[C2ST].label]["low"] > 0.6
        assert scores.loc[wrong, FEATURE_METRICS["frechet_distance"]]["value"] > 2 * near
    assert (
        scores.loc["bright", FEATURE_METRICS["coverage"]]["value"]
        < scores.loc["same", FEATURE_METRICS["coverage"]]["low"]
    )


def test_copies_are_found(scores):
    assert scores.loc["copies", FEATURE_METRICS["distance_ratio"]]["value"] < 0.01
    assert scores.loc["copies", FEATURE_METRICS["share_nearest"]]["value"] == 1
    assert scores.loc["same", FEATURE_METRICS["share_nearest"]]["value"] < 0.3


def test_too_few_crops_are_refused():
    with pytest.raises(InputError, match="hold out at least"):
        fidelity(drawn(5, 0), {}, drawn(5, 1))


def test_what_is_no_different_scores_as_the_floor_and_not_better_for_there_are_more_of_it(monkeypatch):
    """A score of 24 crops against 200 would be less than half of one of 12 against 12."""
    for name, its in cheaper(classifiers).items():
        monkeypatch.setattr(classifiers, name, its)
    label, train = FEATURE_METRICS["frechet_distance"], drawn(16, 1)
    found = [
        fidelity(drawn(24, 10 + i), {"same": drawn(200, 50 + i)}, train, seed=i, n_bootstrap=2)
        .set_index(["augmenter", "metric"])["value"]
        .loc[[(REAL, label), ("same", label)]]
        .to_numpy()
        for i in range(6)
    ]
    floor, same = np.mean(found, axis=0)
    assert 0.7 < same / floor < 1.4
