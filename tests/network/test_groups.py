"""Features are those of the field, planted groups are found, and one cloud is not taken for several."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import variation

from meagan_lib import InputError
from meagan_lib.network import groups
from meagan_lib.network.spike_trains import from_windows
from meagan_lib.network.treatment import culture_features
from meagan_lib.windows.features import shape_features
from tests.network.test_bursts import poisson
from tests.network.test_spike_trains import frames_of, trains_of


def blobs(sizes: tuple[int, ...], apart: float = 6.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, 4) around as many centres as there are sizes, and which centre each is of."""
    label = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(seed).standard_normal((len(label), 4)) + apart * np.eye(4)[label], label


@given(st.lists(st.integers(1, 5_000), min_size=4, max_size=30))
@settings(max_examples=40, deadline=None)
def test_cv_and_cv2_are_those_of_scipy_and_of_holt(intervals):
    trains = trains_of([], np.cumsum(intervals), [4, 8], n_frames=200_000)
    found = groups.interval_features(trains)
    own = np.array(intervals[1:], float)
    assert found["cv"][1] == pytest.approx(variation(own))
    assert found["cv2"][1] == pytest.approx(np.mean(2 * np.abs(np.diff(own)) / (own[1:] + own[:-1])))
    assert np.isnan(found["cv"][[0, 2]]).all() and np.isnan(found["cv2"][[0, 2]]).all()


def test_cv2_compares_no_intervals_over_a_break():
    one, two = np.cumsum([0, 10, 40, 20]), 5_000 + np.cumsum([0, 70, 30])
    found = groups.interval_features(trains_of(np.r_[one, two], n_frames=9_000, stretches=[[0, 100], [4_000, 9_000]]))
    assert found["cv2"][0] == pytest.approx(np.mean([2 * 30 / 50, 2 * 20 / 60, 2 * 40 / 100]))


@pytest.mark.parametrize("gap", [1, 30_000, 10**7])
def test_the_length_of_a_gap_changes_no_feature(gap):
    whole = poisson(6, 20.0, 60)
    joint = whole.n_frames // 3
    touching = replace(whole, stretches=[[0, joint], [joint, whole.n_frames]])
    gapped = replace(
        whole,
        frame=whole.frame + gap * (whole.frame >= joint),
        n_frames=whole.n_frames + gap,
        stretches=[[0, joint], [joint + gap, whole.n_frames + gap]],
    )
    for one, two in zip((touching, *touching.blocks(4)), (gapped, *gapped.blocks(4))):
        features, others = groups.channel_features(one, 20.0, 3), groups.channel_features(two, 20.0, 3)
        for name in features:
            np.testing.assert_allclose(features[name], others[name], err_msg=name)
        np.testing.assert_allclose(culture_features(one, 20.0, 3), culture_features(two, 20.0, 3))


def test_cv2_is_elephants_and_1_for_poisson_and_0_for_a_clock():
    from elephant.statistics import cv2

    trains = poisson(3, 20.0, 100)
    found = groups.interval_features(trains)
    np.testing.assert_allclose(found["cv2"], [cv2(np.diff(frames_of(trains, e))) for e in range(3)])
    np.testing.assert_allclose([found["cv"], found["cv2"]], 1, atol=0.1)
    clock = groups.interval_features(trains_of(range(0, 1_000, 50)))
    assert clock["cv"][0] == clock["cv2"][0] == 0


def test_features_of_an_electrode_are_its_own(windows):
    trains = from_windows(windows)
    order = np.random.default_rng(0).permutation(16)
    one = groups.channel_features(trains, 20.0, 3, windows)
    two = groups.channel_features(trains.select(order), 20.0, 3, windows)
    assert list(one) == list(groups.FEATURES)
    for name, values in one.items():
        np.testing.assert_allclose(values[order], two[name], err_msg=name)
    mean = windows.windows[windows.channel == 5].mean(axis=0, keepdims=True)
    assert one["half_width_ms"][5] == shape_features(mean, windows.sampling_rate_hz)["half_width_ms"][0]
    assert 10 ** one["log_amplitude"][5] == pytest.approx(
        -np.median(windows.ledger.amplitude[windows.ledger.channel == 5]), rel=1e-5
    )
    nothing = groups.channel_features(trains_of([], [5]), 20.0)
    assert np.isnan([v[0] for v in nothing.values()]).all() and "log_amplitude" not in nothing
    late = groups.channel_features(trains, 20.0, 3, windows, span=(10**9, 10**9 + 1))
    assert np.isnan(late["half_width_ms"]).all()


def test_only_electrodes_with_all_features_in_every_block_are_used(windows):
    trains = from_windows(windows)
    table = groups.feature_table(trains, 3, 20.0, 3, windows)
    assert table.values.shape == (table.usable.sum(), len(table.names)) and table.blocks.shape[0] == 3
    np.testing.assert_allclose(table.values.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(table.values.std(axis=0), 1)
    assert np.isfinite(table.blocks).all()
    first = groups.channel_features(trains.blocks(3)[0], 20.0, 3, windows, span=(0, trains.n_frames // 3))
    np.testing.assert_allclose(table.blocks[0], np.stack([first[n][table.usable] for n in table.names], axis=1))
    silent = groups.feature_table(
        replace(trains, frame=trains.frame[:0], electrode=trains.electrode[:0], amplitude=trains.amplitude[:0]), 2, 20.0
    )
    assert len(silent.values) == 0 and not silent.usable.any()


@pytest.mark.parametrize("fuzziness", [1.5, 2.0])
def test_planted_groups_are_found_with_memberships_that_follow_from_the_centres(fuzziness):
    x, label = blobs((30, 20, 10))
    found = groups.fuzzy_c_means(x, 3, fuzziness)
    assert [np.unique(found.label[label == g]).tolist() for g in range(3)] == [[0], [1], [2]]  # the largest first
    np.testing.assert_allclose(found.membership.sum(axis=1), 1)
    closeness = found.distances(x) ** (-2 / (fuzziness - 1))
    np.testing.assert_allclose(closeness / closeness.sum(axis=1, keepdims=True), found.membership, atol=1e-3)
    weight = found.membership**fuzziness
    np.testing.assert_allclose(found.centre, weight.T @ x / weight.sum(axis=0)[:, None], atol=1e-3)
    again = groups.fuzzy_c_means(x, 3, fuzziness)
    np.testing.assert_array_equal(again.membership, found.membership)
    assert found.assign(x, np.inf).tolist() == found.label.tolist() and (found.assign(x, 0.0) == 3).all()


@pytest.mark.parametrize("sizes", [(20, 15), (20, 15, 12), (15, 14, 13, 12)])
def test_the_indices_choose_as_many_groups_as_were_planted(sizes):
    x, _ = blobs(sizes, apart=9.0)
    choice = groups.choose_groups(x, 6)
    assert len(choice.groups.centre) == len(sizes) and set(choice.votes.values()) == {len(sizes)}
    assert choice.values["partition"].max() <= 1 and groups.gaussian_mixture(x, choice.groups) == (len(sizes), 1.0)


def test_hard_groups_have_a_partition_coefficient_of_1_and_equal_memberships_0():
    x, label = blobs((10, 10))
    hard = groups.FuzzyGroups(np.stack([x[label == g].mean(axis=0) for g in (0, 1)]), np.eye(2)[label], 2.0)
    assert groups.indices(hard, x)["partition"] == 1
    assert groups.indices(replace(hard, membership=np.full((20, 2), 0.5)), x)["partition"] == 0


def test_one_cloud_is_not_taken_for_groups():
    x, _ = blobs((50,))
    cloud = groups.stability(x, 2, n=19)
    planted = groups.stability(blobs((25, 25))[0], 2, n=19)
    assert cloud.silhouette.p > 0.1 and planted.silhouette.p == 1 / 20
    assert planted.agreement.min() == 1 and planted.cloud_agreement.mean() < 0.9
    assert groups.gaussian_mixture(x, groups.fuzzy_c_means(x, 2))[0] == 1


def test_groups_that_last_are_told_in_unseen_time_and_those_that_do_not_are_not():
    rng = np.random.default_rng(0)
    x, _ = blobs((12, 12), apart=4.0)
    lasting = x + 0.3 * rng.standard_normal((4, *x.shape))
    found = groups.classify_unseen(lasting, 2, n_permutations=19)
    assert found.value == 1 and found.p == 1 / 20 and found.null.mean() < 0.8
    passing = np.stack([block[rng.permutation(24)] for block in lasting])
    assert groups.classify_unseen(passing, 2, n_permutations=19).p > 0.05


@pytest.mark.parametrize(
    "ask, sentence",
    [
        (lambda x: groups.choose_groups(x[:9]), "10 active ones are needed"),
        (lambda x: groups.fuzzy_c_means(x, 99), "as many rows as groups"),
        (lambda x: groups.fuzzy_c_means(x, 2, 1.0), "fuzziness above 1"),
        (lambda x: groups.classify_unseen(x[None], 2), "raise blocks"),
    ],
)
def test_what_has_no_groups_is_told(ask, sentence):
    with pytest.raises(InputError, match=sentence):
        ask(blobs((20,))[0])
