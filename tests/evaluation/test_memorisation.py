"""Copies of training windows are found, new windows are not taken for copies."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from sklearn.neighbors import NearestNeighbors

from meagan_lib.evaluation import context as fitted
from meagan_lib.evaluation import memorisation
from meagan_lib.evaluation.context import Context
from meagan_lib.evaluation.metrics import METRICS
from meagan_lib.evaluation.planted_failures import low_passed
from tests.fixtures import spikes

REAL, OTHER, TRAIN = spikes(300, seed=1), spikes(300, seed=2), spikes(700, seed=3)
CONTEXT = Context.fit(TRAIN, 20_000.0)
EVERY = np.arange(300)
NOISE = 0.01 * np.random.default_rng(0).standard_normal((300, 32)).astype(np.float32)
BETWEEN = np.linalg.norm(TRAIN[:, None] - TRAIN[None], axis=2)


def to_train(windows: np.ndarray) -> np.ndarray:
    """All distances (n, training windows), one by one."""
    return np.stack([np.linalg.norm(TRAIN - window, axis=1) for window in windows])


def value(name: str, fake: np.ndarray) -> float:
    return METRICS[name].prepare(REAL, fake, CONTEXT)(EVERY, EVERY)


def test_the_distance_to_train_is_exact_and_copies_lie_nearer_than_new_windows():
    to_test = memorisation.distance_to_train(REAL, TRAIN)
    np.testing.assert_allclose(to_test, to_train(REAL).min(axis=1), rtol=1e-4)
    copied, error = memorisation.nearer_to_train(memorisation.distance_to_train(TRAIN[:300] + NOISE, TRAIN), to_test)
    assert copied > 0.99
    new, error = memorisation.nearer_to_train(memorisation.distance_to_train(OTHER, TRAIN), to_test)
    assert abs(new - 0.5) < 3 * error < 0.09


def test_training_windows_are_searched_once_for_all_metrics_and_again_for_others(monkeypatch):
    searched = []

    class Search(NearestNeighbors):
        def kneighbors(self, windows):
            searched.append(len(windows))
            return super().kneighbors(windows)

    monkeypatch.setattr(fitted, "NearestNeighbors", Search)
    context, made = Context.fit(TRAIN, 20_000.0), OTHER[:200]
    for name in ("distance_ratio", "c_t", "authenticity", "share_nearest"):
        METRICS[name].prepare(REAL, made, context)
    assert searched == [200, 300]
    others = replace(context, train=TRAIN[300:])
    np.testing.assert_allclose(others.nearest(REAL)[0][:, 1], np.sort(to_train(REAL)[:, 300:], axis=1)[:, 1], rtol=1e-4)


def test_c_t_is_the_mean_of_the_z_of_the_cells_weighted_by_their_test_windows():
    fake = np.concatenate([OTHER[:200], TRAIN[:100] + 30 * NOISE[:100]])
    d_real, d_fake = to_train(REAL).min(axis=1), to_train(fake).min(axis=1)
    centres = CONTEXT.kmeans.cluster_centers_
    cell_real, cell_fake = (
        np.linalg.norm(CONTEXT.pca.transform(w)[:, None] - centres[None], axis=2).argmin(axis=1) for w in (REAL, fake)
    )
    total, weight = 0.0, 0
    for cell in range(len(centres)):
        test, made = d_real[cell_real == cell], d_fake[cell_fake == cell]
        if min(len(test), len(made)) >= memorisation.LEAST_IN_CELL:
            n, m = len(made), len(test)
            above = sum(float(x > y) for x in made for y in test)
            total += m * (above - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12)
            weight += m
    assert weight > 100
    assert value("c_t", fake) == pytest.approx(total / weight, abs=1e-3)


def test_the_z_of_a_cell_is_that_of_mann_whitney():
    a, b = np.add(np.random.default_rng(0).standard_normal((2, 50)), [[0.3], [0.0]])
    p = scipy.stats.mannwhitneyu(a, b, method="asymptotic", use_continuity=False).pvalue
    assert 2 * scipy.stats.norm.sf(abs(memorisation.rank_sum_z(a, b))) == pytest.approx(p)
    assert memorisation.rank_sum_z(a, b) > 0 > memorisation.rank_sum_z(b, a)


def test_authenticity_is_the_share_that_is_further_than_the_nearest_training_window_is_from_the_others():
    fake = np.concatenate([OTHER[:200], TRAIN[:100] + 20 * NOISE[:100]])
    distance = to_train(fake)
    to_others = (BETWEEN + np.diag(np.full(len(TRAIN), np.inf))).min(axis=1)
    expected = np.mean(distance.min(axis=1) > to_others[distance.argmin(axis=1)])
    assert 0.2 < expected < 0.9
    assert value("authenticity", fake) == pytest.approx(expected)


def test_the_share_nearest_counts_what_is_nearer_than_most_or_than_any_test_window():
    fake = np.concatenate([OTHER[:200], TRAIN[:100] + NOISE[:100]])
    d_real, d_fake = to_train(REAL).min(axis=1), to_train(fake).min(axis=1)
    assert value("share_nearest", fake) == pytest.approx(np.mean(d_fake < np.quantile(d_real, 0.05)))
    than_any = memorisation.fraction_nearest(REAL, fake, CONTEXT, fraction=0)(EVERY, EVERY)
    assert than_any == pytest.approx(np.mean(d_fake < d_real.min())) == pytest.approx(1 / 3, abs=0.03)


def test_only_copies_lie_much_nearer_to_one_training_window_than_to_the_next():
    fake = np.concatenate([OTHER[:200], TRAIN[:100] + NOISE[:100]])
    two = np.sort(to_train(fake), axis=1)[:, :2]
    assert value("distance_ratio", fake) == pytest.approx(np.mean(two[:, 0] / two[:, 1]), rel=1e-4)
    smooth = low_passed(low_passed(OTHER))
    assert value("c_t", smooth) < -2 and value("distance_ratio", smooth) > 0.95 * value("distance_ratio", OTHER)


@pytest.mark.parametrize(
    "name, new, copy",
    [
        ("distance_ratio", (0.85, 1), (0, 0.1)),
        ("c_t", (-2, 2), (-20, -5)),
        ("authenticity", (0.5, 1), (0, 0)),
        ("share_nearest", (0, 0.12), (0.99, 1)),
    ],
)
def test_new_windows_and_copies_lie_where_they_should(name, new, copy):
    assert new[0] <= value(name, OTHER) <= new[1]
    assert copy[0] <= value(name, TRAIN[:300] + NOISE) <= copy[1]


def test_keeping_to_the_crowded_places_is_not_taken_for_copying():
    """Distances are short there: over all windows they look like copies, within each cell they do not."""

    def blobs(tight: int, wide: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return np.concatenate([0.2 * rng.standard_normal((tight, 4)), 10 + rng.standard_normal((wide, 4))])

    train, real, fake = blobs(500, 500, 1), blobs(200, 200, 2), blobs(320, 80, 3)
    context, every = Context.fit(train, 20_000.0), np.arange(400)
    overall = memorisation.rank_sum_z(*(memorisation.distance_to_train(w, train) for w in (fake, real)))
    assert overall < -6 and abs(memorisation.c_t(real, fake, context)(every, every)) < 2.5
