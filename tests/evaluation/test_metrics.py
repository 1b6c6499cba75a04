"""Metrics agree with independent references."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prdc import compute_prdc
from scipy.spatial.distance import cdist, jensenshannon
from sklearn.metrics import roc_auc_score

from meagan_lib.evaluation import classifiers, context, distances, neighbours
from meagan_lib.evaluation.context import Context
from meagan_lib.evaluation.metrics import METRICS, Validation
from meagan_lib.evaluation.planted_failures import shrunk
from meagan_lib.models.gaussian import Gaussian
from meagan_lib.windows.features import shape_features
from meagan_lib.windows.normalisation import fit_normalisation
from meagan_lib.windows.spike_windows import Split
from tests.fixtures import spikes

RATE = 20_000.0
REAL, OTHER, TRAIN = spikes(600, seed=1), spikes(600, seed=2), spikes(1000, seed=3)
CONTEXT = Context.fit(TRAIN, RATE)
CHEAP = [name for name in METRICS if not name.startswith("c2st") and METRICS[name].family != "memorisation"]


def value(name: str, fake: np.ndarray, real: np.ndarray = REAL, context: Context = CONTEXT) -> float:
    return METRICS[name].prepare(real, fake, context)(np.arange(len(real)), np.arange(len(fake)))


def test_precision_recall_density_and_coverage_agree_with_prdc():
    fake = OTHER * 1.1
    reference = compute_prdc(REAL, fake, nearest_k=neighbours.NEIGHBOURS)
    for name in ("precision", "recall", "coverage"):
        assert value(name, fake) == pytest.approx(reference[name], abs=2e-3)
    assert value("density", fake) == pytest.approx(reference["density"], rel=1e-3)


def test_frechet_distance_agrees_with_scipy_sqrtm():
    a, b = CONTEXT.pca.transform(REAL), CONTEXT.pca.transform(OTHER * 1.2)
    shift, c_a, c_b = a.mean(0) - b.mean(0), np.cov(a.T), np.cov(b.T)
    reference = shift @ shift + np.trace(c_a + c_b - 2 * scipy.linalg.sqrtm(c_a @ c_b).real)
    assert value("frechet_distance", OTHER * 1.2) == pytest.approx(reference, rel=1e-6)


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_u_of_mann_and_whitney_is_that_of_scipy_to_the_bit_ties_included(a, b):
    assert classifiers.mann_whitney_u(np.array(a), np.array(b)) == scipy.stats.mannwhitneyu(a, b).statistic


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_the_area_under_the_roc_curve_agrees_with_scikit_learn_ties_included(real, fake):
    area = classifiers.roc_auc(np.array(real), np.array(fake))(np.arange(len(real)), np.arange(len(fake)))
    assert area == pytest.approx(roc_auc_score([1] * len(real) + [0] * len(fake), real + fake))


def test_amplitude_ks_agrees_with_scipy():
    reference = scipy.stats.ks_2samp(np.ptp(REAL, axis=1), np.ptp(OTHER * 1.1, axis=1)).statistic
    assert value("amplitude_ks", OTHER * 1.1) == pytest.approx(reference)


def test_feature_marginals_agree_with_scipy_and_the_scores_are_their_mean_and_their_worst():
    fake = OTHER * 1.1
    a, b = shape_features(REAL, RATE), shape_features(fake, RATE)
    found = distances.marginals(REAL, fake, RATE)
    assert list(found) == list(a)
    for name, (wasserstein, ks) in found.items():
        assert wasserstein == pytest.approx(scipy.stats.wasserstein_distance(a[name], b[name]) / a[name].std())
        assert ks == pytest.approx(scipy.stats.ks_2samp(a[name], b[name]).statistic)
    assert value("feature_wasserstein", fake) == pytest.approx(np.mean([w for w, _ in found.values()]), rel=1e-5)
    assert value("feature_ks", fake) == pytest.approx(max(ks for _, ks in found.values()))


def test_sliced_wasserstein_of_a_shift_is_the_shift():
    shifted = REAL + 0.5
    directions = np.random.default_rng(CONTEXT.seed).standard_normal((32, 128))
    directions /= np.linalg.norm(directions, axis=0)
    expected = np.sqrt(np.mean((0.5 * directions.sum(axis=0)) ** 2))
    assert value("sliced_wasserstein", shifted) == pytest.approx(expected, rel=1e-4)


def squared_mmd_of_pairs(a: np.ndarray, b: np.ndarray) -> float:
    """The definition, pair by pair."""

    def mean(x, y, same):
        pairs = [(p, q) for i, p in enumerate(x) for j, q in enumerate(y) if i != j or not same]
        return np.mean([(float(p @ q) / len(p) + 1) ** 3 for p, q in pairs])

    a, b = a.astype(float), b.astype(float)
    return mean(a, a, True) - 2 * mean(a, b, False) + mean(b, b, True)


def test_squared_mmd_agrees_with_its_definition_and_can_lie_below_0():
    for fake in (OTHER[:25] * 1.3, OTHER[:25]):
        assert value("squared_mmd", fake, REAL[:30]) == pytest.approx(squared_mmd_of_pairs(REAL[:30], fake), rel=1e-9)
    draws = [value("squared_mmd", spikes(60, seed=s), spikes(60, seed=s + 50)) for s in range(20)]
    assert min(draws) < 0 and abs(np.mean(draws)) < 2 * np.std(draws) / np.sqrt(20)


def test_the_permutation_p_of_mmd_counts_the_exchanges_that_are_as_extreme():
    real, fake = REAL[:12], OTHER[:12] * 1.15
    rng, pooled, found = np.random.default_rng(0), np.concatenate([real, fake]), []
    for _ in range(99):
        side = np.r_[np.ones(12), -np.ones(12)]
        rng.shuffle(side)
        found.append(squared_mmd_of_pairs(pooled[side > 0], pooled[side < 0]))
    expected = (1 + np.sum(np.array(found) >= squared_mmd_of_pairs(real, fake))) / 100
    assert distances.mmd_permutation_p(real, fake, 99) == pytest.approx(expected)
    assert distances.mmd_permutation_p(REAL[:200], OTHER[:200] * 1.3, 99) == 0.01
    even = [distances.mmd_permutation_p(spikes(20, seed=s), spikes(20, seed=s + 99), 39, seed=s) for s in range(60)]
    assert scipy.stats.kstest(even, "uniform").pvalue > 0.01


def test_l1_and_l2_compare_means_and_standard_deviations_and_never_pair_windows():
    assert value("profile_l1", REAL + 0.5) == pytest.approx(0.25, rel=1e-4)  # half of the numbers are off by 0.5
    assert value("profile_l2", REAL + 0.5) == pytest.approx(0.5 / np.sqrt(2), rel=1e-4)
    for name in ("profile_l1", "profile_l2"):
        assert value(name, OTHER[::-1]) == pytest.approx(value(name, OTHER))
        assert value(name, shrunk(OTHER, 0.0)) > 5 * value(name, OTHER)


def test_l1_and_l2_of_the_thesis_are_means_over_all_pairs_ties_included():
    x, y = REAL[:40], np.round(OTHER[:30] * 1.2)
    x = np.concatenate([x, np.round(x)])
    assert distances.independent_l1(x, y) == pytest.approx(cdist(x, y, "cityblock").mean())
    assert distances.independent_l2(x, y) == pytest.approx(cdist(x, y, "sqeuclidean").mean())


def test_l1_and_l2_of_the_thesis_reward_a_collapse_which_those_of_notebook_4_punish():
    mean, median = (np.tile(of(TRAIN, axis=0), (2, 1)) for of in (np.mean, np.median))
    assert distances.independent_l2(REAL, mean) == pytest.approx(0.5 * distances.independent_l2(REAL, OTHER), rel=0.05)
    assert distances.independent_l1(REAL, median) < 0.8 * distances.independent_l1(REAL, OTHER)
    assert value("profile_l2", mean) > 5 * value("profile_l2", OTHER)


def test_log_spectral_distance_of_a_gain_is_its_logarithm_and_autocorrelation_does_not_see_it():
    assert value("log_spectral_distance", 2 * REAL) == pytest.approx(np.log(4), rel=1e-5)
    assert value("autocorrelation_distance", 2 * REAL) == pytest.approx(0, abs=1e-6)


def test_autocorrelation_distance_agrees_with_numpy():
    fake = OTHER - OTHER.mean(axis=1, keepdims=True)
    rho = []
    for windows in (REAL, fake):
        mean = np.mean([np.correlate(w, w, "full")[31:] for w in windows.astype(float)], axis=0)
        rho.append(mean[1:] / mean[0])
    expected = np.sqrt(np.mean((rho[0] - rho[1]) ** 2))
    assert value("autocorrelation_distance", fake) == pytest.approx(expected, rel=1e-5)


def test_mode_occupancy_is_the_jensen_shannon_divergence_of_the_fractions_of_the_clusters():
    fake = OTHER[OTHER.min(axis=1) < np.median(OTHER.min(axis=1))]
    shares = []
    for windows in (REAL, fake):
        to_centre = CONTEXT.pca.transform(windows)[:, None] - CONTEXT.kmeans.cluster_centers_[None]
        nearest = np.linalg.norm(to_centre, axis=2).argmin(axis=1)
        shares.append([np.mean(nearest == k) for k in range(context.CLUSTERS)])
    assert value("mode_occupancy", fake) == pytest.approx(jensenshannon(*shares, base=2) ** 2)
    assert value("mode_occupancy", REAL) == 0


def test_inception_score_is_its_formula_and_counts_the_types_that_are_there():
    fake = OTHER[:50]
    p = CONTEXT.spike_types.predict_proba(CONTEXT.pca.transform(fake))
    kl = [sum(a * np.log(a / b) for a, b in zip(row, p.mean(axis=0)) if a > 0) for row in p]
    assert value("inception_score", fake) == pytest.approx(np.exp(np.mean(kl)))
    labels = (TRAIN[:, 22] > 1).astype(int)
    known = Context.fit(TRAIN, RATE, labels=labels)
    types = known.spike_types.predict(known.pca.transform(OTHER)) == 1
    assert value("inception_score", OTHER[types], context=known) == pytest.approx(1, abs=0.05)
    balanced = np.concatenate([OTHER[types][:200], OTHER[~types][:200]])
    assert value("inception_score", balanced, context=known) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("name", ["c2st_auc", "c2st_cnn_auc"])
def test_a_two_sample_test_is_a_coin_toss_for_the_same_distribution_and_sure_for_another(name):
    assert 0.4 < value(name, OTHER[:300], REAL[:300]) < 0.6
    assert value(name, OTHER[:300] + 1, REAL[:300]) > 0.99


def test_the_network_of_the_two_sample_test_gives_the_same_bits_and_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    one = value("c2st_cnn_auc", 1.1 * OTHER[:100], REAL[:100])
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    assert value("c2st_cnn_auc", 1.1 * OTHER[:100], REAL[:100]) == one


def test_a_gaussian_passes_the_frechet_distance_and_not_the_trees():
    gaussian = Gaussian(OTHER).sample(600)
    assert value("frechet_distance", gaussian) < 2 * value("frechet_distance", OTHER) + 0.1
    assert value("c2st_auc", gaussian[:300], REAL[:300]) > 0.7


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_order_of_windows_means_nothing(seed):
    rng = np.random.default_rng(seed)
    real, fake = REAL[:150], OTHER[:150] * 1.1
    for name in CHEAP:
        shuffled = value(name, rng.permutation(fake), rng.permutation(real))
        assert shuffled == pytest.approx(value(name, fake, real), rel=1e-4, abs=1e-6), name


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_resampled_value_is_that_of_the_resampled_windows(seed):
    """All but what keeps something of the whole, σ and pairs of a window with itself, and the balls, which are drawn
    without replacement."""
    rng = np.random.default_rng(seed)
    i, j = rng.integers(100, size=(2, 100))
    for name in CHEAP:
        if name not in ("precision", "recall", "coverage", "density", "squared_mmd", "feature_wasserstein"):
            drawn = METRICS[name].prepare(REAL[:100], OTHER[:100], CONTEXT)(i, j)
            assert drawn == pytest.approx(value(name, OTHER[j], REAL[i]), rel=1e-4, abs=1e-6), name


def test_a_part_has_balls_of_its_own():
    rng = np.random.default_rng(0)
    i, j = rng.permutation(600)[:250], rng.permutation(600)[:250]
    fake = OTHER * 1.1
    reference = compute_prdc(REAL[i], fake[j], nearest_k=neighbours.NEIGHBOURS)
    for name in ("precision", "recall", "density", "coverage"):
        part = METRICS[name].prepare(REAL, fake, CONTEXT)(i, j)
        assert part == pytest.approx(reference[name], abs=5e-3), name


def test_the_training_set_is_never_the_reference():
    """Another training set of the same distribution changes nothing but what is seen through it."""
    other = Context.fit(spikes(1000, seed=4), RATE)
    through = {"frechet_distance", "mode_occupancy", "inception_score"}
    for name in set(CHEAP) - through:
        assert value(name, OTHER, context=other) == value(name, OTHER), name
    for name in through:
        assert value(name, OTHER, context=other) == pytest.approx(value(name, OTHER), abs=0.3), name


def test_copies_of_training_windows_do_not_win():
    copies, fresh = TRAIN[:600], spikes(600, seed=9)
    for name in ("coverage", "density", "precision", "recall", "feature_wasserstein", "sliced_wasserstein"):
        assert abs(value(name, copies) - value(name, fresh)) < 0.12, name


def test_a_linear_probe_tells_what_is_linear_and_no_more():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((900, 5)), rng.integers(3, size=900)
    x[:, 0] += 6 * y
    assert classifiers.linear_probe(x[:600], y[:600], x[600:], y[600:]) > 0.95
    assert classifiers.linear_probe(x[:600, 1:], y[:600], x[600:, 1:], y[600:]) < 0.45
    y[:2] = 7  # a label that the test side lacks
    assert classifiers.linear_probe(x[:600], y[:600], x[600:], y[600:]) > 0.95


def test_a_validation_is_known_by_its_windows_and_by_what_else_decides_it(windows):
    def digest(split=windows.split, seed=0, **changed):
        return Validation.of(replace(windows, split=split, **changed), seed=seed).digest

    exchanged = np.array([0, 2, 1], np.uint8)[
        windows.split
    ]  # the same training windows; validation and test change places
    assert (
        digest() == digest() and len({digest(), digest(exchanged), digest(seed=1), digest(sampling_rate_hz=1e4)}) == 4
    )


def test_validation_scores_windows_as_the_model_generates_them(windows):
    """Whatever the normalisation, the same windows get the same score."""
    drawn = windows.of(Split.TEST)
    scores = [
        Validation.of(windows, name)(fit_normalisation(name, windows.of(Split.TRAIN)).transform(drawn))
        for name in ("z_score", "min_max")
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.02) and 0.4 < scores[0] < 0.7


def test_validation_keeps_the_windows_of_one_spike_on_one_side_of_a_fold(windows):
    """The same spike on two electrodes: a classifier that has learned the one knows the other."""
    spike = np.repeat(spikes(150, windows.n_samples, seed=4), 2, axis=0)
    twins = spike + 0.01 * np.random.default_rng(0).standard_normal(spike.shape).astype(np.float32)
    context, other = Context.fit(spikes(300, windows.n_samples, seed=3), RATE), spikes(300, windows.n_samples, seed=5)
    apart, together = (
        Validation(twins, context, events=events)(other) for events in (np.arange(300), np.repeat(np.arange(150), 2))
    )
    assert together < apart - 0.03
    assert len(Validation.of(windows).events) == len(Validation.of(windows).held_out)
