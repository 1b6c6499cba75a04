"""Every planted failure is seen, every metric sees some, and other real windows are left in peace."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meagan_lib.evaluation import planted_failures
from meagan_lib.evaluation.classifiers import c2st_auc
from meagan_lib.evaluation.context import Context
from meagan_lib.evaluation.memorisation import distance_to_train
from meagan_lib.evaluation.metrics import METRICS
from meagan_lib.windows.gate import Gate
from tests.fixtures import spikes

RATE = 20_000.0
TEST, TRAIN = spikes(750, seed=1), spikes(1000, seed=3)
CONTEXT = Context.fit(TRAIN, RATE)
COSTLY = ("c2st_auc", "c2st_cnn_auc")


@pytest.fixture(scope="module")
def table():
    aligned = np.zeros(TRAIN.shape[1], bool)
    aligned[TRAIN.argmin(axis=1)] = True
    gated = replace(CONTEXT, gate=Gate(aligned, np.zeros(0)).passes)
    cheap = planted_failures.planted_failures(TEST, gated, 250, 10, [m for m in METRICS if m not in COSTLY])
    with pytest.MonkeyPatch.context() as patch:
        fewer_trees = METRICS["c2st_auc"]._replace(prepare=partial(c2st_auc, n_trees=40))  # a third of the time
        patch.setitem(METRICS, "c2st_auc", fewer_trees)
        costly = planted_failures.planted_failures(TEST, CONTEXT, 200, 50, COSTLY)
    return {failure: cheap[failure] | costly[failure] for failure in cheap}


@pytest.mark.parametrize("failure", planted_failures.FAILURES)
def test_each_planted_failure_is_flagged(failure, table):
    assert [name for name in METRICS if table[failure][name]["flagged"]]


def test_each_scored_metric_flags_some_failure(table):
    assert [name for name in planted_failures.blind(table) if not METRICS[name].report_only] == []
    quiet = {failure: {"c_t": {"flagged": failure == planted_failures.CONTROL}} for failure in table}
    assert planted_failures.blind(quiet) == ["c_t"]


def test_other_real_windows_are_flagged_by_few(table):
    """Of 22 metrics at 2.5 % and less, half a one is expected by chance; they are correlated."""
    assert sum(cell["flagged"] for cell in table[planted_failures.CONTROL].values()) <= 2


@pytest.mark.parametrize(
    "failure, by",
    [
        ("collapse to the mean", {"c2st_auc", "density", "coverage", "recall", "feature_ks"}),
        ("a mode dropped", {"mode_occupancy"}),
        ("training copies + 1 % noise", {"distance_ratio", "c_t", "authenticity", "share_nearest"}),
        ("amplitude × 1.2", {"c2st_auc", "amplitude_ks", "sliced_wasserstein", "frechet_distance", "profile_l1"}),
        ("low-passed", {"c2st_auc", "log_spectral_distance", "density"}),
        ("time shuffled", {"c2st_auc", "c2st_cnn_auc", "precision", "squared_mmd", "autocorrelation_distance"}),
        ("a Gaussian", {"c2st_auc", "coverage", "precision"}),
        ("modes contracted by 15 %", {"c2st_auc", "precision", "density", "recall", "c_t", "authenticity"}),
    ],
)
def test_a_failure_is_seen_by_the_metrics_that_are_there_for_it(failure, by, table):
    assert by <= {name for name in METRICS if table[failure][name]["flagged"]}


def test_the_distances_of_distributions_do_not_see_copies_and_a_gaussian_passes_the_frechet_distance(table):
    copies = table["training copies + 1 % noise"]
    assert not any(copies[name]["flagged"] for name in METRICS if METRICS[name].family in ("distribution", "shape"))
    assert not table["a Gaussian"]["frechet_distance"]["flagged"]


def test_more_precision_and_coverage_than_real_windows_have_is_a_failure():
    test, context = spikes(4500, seed=1), Context.fit(spikes(3000, seed=3), RATE)
    more = planted_failures.planted_failures(test, context, 1500, 20, ("precision", "coverage"))
    for name, tight in more["modes contracted by 15 %"].items():
        assert tight["value"] > more[planted_failures.CONTROL][name]["value"] and tight["flagged"]


def test_failures_are_what_they_are_called():
    rng = np.random.default_rng(0)
    x = TEST[:200]
    spoilt = {name: plant(x, CONTEXT, rng) for name, plant in planted_failures.FAILURES.items()}
    assert {w.shape for w in spoilt.values()} == {x.shape}
    np.testing.assert_allclose(spoilt["collapse to the mean"].std(axis=0), 0.2 * x.std(axis=0), rtol=1e-4)
    cluster = CONTEXT.clusters(x)
    most = np.bincount(cluster).argmax()
    assert most not in CONTEXT.clusters(spoilt["a mode dropped"])
    assert len(np.unique(spoilt["a mode dropped"], axis=0)) == (cluster != most).sum()
    assert distance_to_train(spoilt["training copies + 1 % noise"], TRAIN).max() < 0.1 * TRAIN.std() * np.sqrt(32)
    np.testing.assert_array_equal(np.sort(spoilt["time shuffled"]), np.sort(x))
    assert (spoilt["time shuffled"].argmin(axis=1) != x.argmin(axis=1)).mean() > 0.9
    for kind in np.unique(cluster):
        tight, loose = spoilt["modes contracted by 15 %"][cluster == kind], x[cluster == kind]
        np.testing.assert_allclose(tight.mean(axis=0), loose.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(tight.std(axis=0), 0.85 * loose.std(axis=0), atol=1e-5)
    np.testing.assert_allclose(spoilt["a Gaussian"].mean(axis=0), TRAIN.mean(axis=0), atol=0.6)


@settings(max_examples=20, deadline=None)
@given(level=st.floats(-3, 3), samples=st.integers(2, 20), seed=st.integers(0, 99))
def test_the_low_pass_keeps_a_level_and_takes_out_the_fastest_oscillation(level, samples, seed):
    fastest = np.where(np.arange(samples) % 2, 1.0, -1.0)[None]
    np.testing.assert_allclose(planted_failures.low_passed(np.full((2, samples), level)), level, atol=1e-12)
    np.testing.assert_allclose(planted_failures.low_passed(fastest)[:, 1:-1], 0, atol=1e-12)
    noise = np.random.default_rng(seed).standard_normal((50, samples))
    assert planted_failures.low_passed(noise).std() < noise.std()
