"""Two models are compared over the seeds that both have, and p is corrected for all that was tested."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gamma

from meagan_lib.evaluation.statistics import paired, q_values

values = st.lists(st.floats(-10, 10).map(lambda v: round(v, 3)), min_size=3, max_size=8)


@given(values, values, st.floats(-5, 5))
def test_a_paired_comparison_is_that_of_scipy_signed_and_blind_to_what_seeds_share(x, y, shift):
    a, b = dict(enumerate(x)), dict(enumerate(y))
    n = min(len(x), len(y))
    differences = np.subtract(x[:n], y[:n])
    if differences.std() < 1e-3:
        return
    found, back = paired(a, b), paired(b, a)
    reference = scipy.stats.ttest_rel(x[:n], y[:n])
    assert found.p == pytest.approx(reference.pvalue, abs=1e-9) and found.n == n
    assert found.interval == pytest.approx(tuple(reference.confidence_interval(0.95)), abs=1e-6)
    unbiased = gamma((n - 1) / 2) / (np.sqrt((n - 1) / 2) * gamma((n - 2) / 2))
    assert found.hedges_g == pytest.approx(unbiased * reference.statistic / np.sqrt(n))
    assert (back.difference, back.hedges_g) == pytest.approx((-found.difference, -found.hedges_g))
    shared = paired({s: v + shift * s for s, v in a.items()}, {s: v + shift * s for s, v in b.items()})
    assert shared.difference == pytest.approx(found.difference, abs=1e-6)


def test_the_effect_size_has_no_bias():
    """Hedges' g of draws whose true effect is 1 is 1 in the mean; Cohen's d_z of five seeds is a quarter too large."""
    drawn = np.random.default_rng(0).normal(1, 1, (1000, 5))
    found = [paired(dict(enumerate(x)), dict.fromkeys(range(5), 0.0)) for x in drawn]
    assert np.mean([f.hedges_g for f in found]) == pytest.approx(1, abs=0.08)
    assert (drawn.mean(axis=1) / drawn.std(axis=1, ddof=1)).mean() == pytest.approx(1.25, abs=0.1)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_differences_that_are_constant_but_for_rounding_have_no_p(scale):
    values = np.random.default_rng(0).uniform(0.4, 0.9, 5) * scale
    found = paired(dict(enumerate(values + 0.1 * scale)), dict(enumerate(values)))
    assert found.difference == pytest.approx(0.1 * scale) and np.isnan([found.p, found.hedges_g, *found.interval]).all()


def test_a_seed_without_a_score_makes_no_pair():
    found = paired({0: 0.5, 1: 0.7, 2: 0.65, 3: np.nan}, {2: 0.6, 1: 0.61, 0: 0.45, 3: 0.1})
    assert found.n == 3 and found.mean == pytest.approx(np.mean([0.5, 0.7, 0.65]))
    assert found.p == pytest.approx(scipy.stats.ttest_1samp([0.05, 0.09, 0.05], 0).pvalue)
    nothing = paired({3: np.nan}, {3: 0.1})
    assert nothing.n == 0 and np.isnan([nothing.difference, nothing.mean, nothing.p]).all()


def test_a_comparison_over_two_seeds_is_said_without_the_effect_size_that_takes_three():
    two, three = (paired(dict(enumerate(a)), dict(enumerate(np.zeros(len(a))))) for a in ([1, 2], [1, 2, 4]))
    assert str(two).startswith("p = ") and str(three).startswith("g = +")


def test_q_is_that_of_scipy_and_what_is_not_defined_is_no_test():
    q = q_values([0.01, np.nan, 0.04, 0.03])
    np.testing.assert_allclose(q[[0, 2, 3]], scipy.stats.false_discovery_control([0.01, 0.04, 0.03]))
    assert np.isnan(q[1]) and np.isnan(q_values([np.nan])).all() and len(q_values([])) == 0


def test_one_seed_says_nothing_of_others():
    alone = paired({0: 0.6, 1: 0.7}, {0: 0.5, 2: 0.5})
    assert alone.difference == pytest.approx(0.1) and alone.n == 1 and np.isnan([alone.p, alone.hedges_g]).all()
