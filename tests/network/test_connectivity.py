"""The tiling coefficient is the published one, and only electrodes that belong together are connected."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meagan_lib import InputError
from meagan_lib.network.connectivity import functional_connectivity, mean_with_others, sttc, tiled
from meagan_lib.network.spike_trains import SpikeTrains
from tests.network.test_bursts import poisson
from tests.network.test_spike_trains import RATE_HZ, trains_of


def brute(a: np.ndarray, b: np.ndarray, reach: int, end: int) -> float:
    """The formula of Cutts & Eglen 2014, instant by instant."""
    if not (len(a) and len(b)):
        return np.nan
    instants = np.arange(end) + 0.5
    t_a, t_b = ((np.abs(instants[:, None] - x) <= reach).any(axis=1).mean() for x in (a, b))
    p_a = (np.abs(a[:, None] - b) <= reach).any(axis=1).mean()
    p_b = (np.abs(b[:, None] - a) <= reach).any(axis=1).mean()
    one = 1.0 if p_a * t_b == 1 else (p_a - t_b) / (1 - p_a * t_b)
    two = 1.0 if p_b * t_a == 1 else (p_b - t_a) / (1 - p_b * t_a)
    return (one + two) / 2


TRAIN = st.lists(st.integers(0, 299), max_size=12, unique=True)


@given(st.lists(TRAIN, min_size=1, max_size=5), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_the_coefficient_is_its_formula(frames, reach):
    trains = trains_of(*frames, n_frames=300)
    found = sttc(trains, 1000 * reach / RATE_HZ, threads=1)
    wanted = [[brute(np.sort(a), np.sort(b), reach, 300) for b in frames] for a in frames]
    np.testing.assert_allclose(found, np.array(wanted, float), atol=1e-12)
    np.testing.assert_array_equal(found, found.T)


STRETCHES = np.array([[0, 40], [40, 110], [160, 161], [200, 300]])


@given(st.lists(TRAIN, min_size=1, max_size=5), st.integers(1, 90))
@settings(max_examples=60, deadline=None)
def test_no_pair_and_no_window_reaches_over_a_gap(frames, reach):
    """The formula once more, on time in which the stretches lie so far apart that they cannot reach one another."""
    place = np.concatenate([np.arange(*s) for s in STRETCHES])
    apart = np.concatenate([np.arange(*s) + 1_000 * i for i, s in enumerate(STRETCHES)])
    kept = [np.array(sorted(set(f) & set(place.tolist())), int) for f in frames]
    found = sttc(trains_of(*kept, n_frames=300, stretches=STRETCHES), 1000 * reach / RATE_HZ, threads=1)

    def wanted(a: np.ndarray, b: np.ndarray) -> float:
        a, b = (apart[np.searchsorted(place, x)] for x in (a, b))
        if not (len(a) and len(b)):
            return np.nan
        t_a, t_b = ((np.abs(apart[:, None] + 0.5 - x) <= reach).any(axis=1).mean() for x in (a, b))
        p_a, p_b = ((np.abs(x[:, None] - y) <= reach).any(axis=1).mean() for x, y in ((a, b), (b, a)))
        terms = [1.0 if p * t == 1 else (p - t) / (1 - p * t) for p, t in ((p_a, t_b), (p_b, t_a))]
        return sum(terms) / 2

    np.testing.assert_allclose(found, [[wanted(a, b) for b in kept] for a in kept], atol=1e-12)


@given(st.lists(TRAIN, min_size=2, max_size=5), st.integers(1, 400), st.randoms())
@settings(max_examples=40, deadline=None)
def test_identities_of_the_coefficient(frames, reach, random):
    trains, ms = trains_of(*frames, n_frames=300), 1000 * reach / RATE_HZ
    found = sttc(trains, ms, threads=1)
    heard = trains.counts > 0
    np.testing.assert_allclose(np.diag(found)[heard], 1)
    assert np.isnan(found[~heard]).all() and (np.abs(found[np.ix_(heard, heard)]) <= 1 + 1e-12).all()
    if reach >= 300:
        np.testing.assert_array_equal(found[np.ix_(heard, heard)], 1)
    order = np.array(random.sample(range(len(frames)), len(frames)))
    np.testing.assert_array_equal(sttc(trains.select(order), ms, threads=2), found[np.ix_(order, order)])


def in_ms(*trains: list[float], end_ms: float) -> SpikeTrains:
    """Trains with times in ms, counted in microseconds."""
    frame = np.rint(1000 * np.concatenate([np.array(t, float) for t in trains]))
    electrode = np.repeat(np.arange(len(trains)), [len(t) for t in trains])
    return SpikeTrains(frame, electrode, [str(e) for e in range(len(trains))], round(1000 * end_ms), 1e6)


def test_published_examples():
    """Worked out by hand for elephant's tests, after the paper."""
    a, b = [1.3, 7.56, 15.87, 28.23, 30.9, 34.2, 38.2, 43.2], [1.02, 2.71, 18.82, 28.46, 28.79, 43.6]
    assert sttc(in_ms(a, b, end_ms=50), 5.0)[0, 1] == pytest.approx(0.495860165593)
    assert sttc(in_ms(a, b, end_ms=50), 5000.0)[0, 1] == 1
    assert sttc(in_ms([1, 5, 9], [5], end_ms=10), 3.0)[0, 1] == pytest.approx(1 / 3)
    assert sttc(in_ms([1], [5], end_ms=10), 5.0)[0, 1] == 1 and sttc(in_ms([1], [5], end_ms=10), 0.1)[0, 1] < 0


def test_it_is_elephants_near_the_beginning_of_a_recording():
    import neo
    import quantities as pq
    from elephant.spike_train_correlation import spike_time_tiling_coefficient

    rng = np.random.default_rng(0)
    times = [np.sort(rng.choice(2_000_000, n, replace=False)) / 1000 for n in (3, 10, 25, 40)]
    theirs = [neo.SpikeTrain(t * pq.ms, t_stop=2000 * pq.ms) for t in times]
    wanted = [[spike_time_tiling_coefficient(x, y, 20 * pq.ms) for y in theirs] for x in theirs]
    np.testing.assert_allclose(sttc(in_ms(*times, end_ms=2000), 20.0), wanted, atol=1e-12)


@pytest.mark.parametrize("second", [1, 1_500, 100_000])
def test_a_window_does_not_grow_with_time(second):
    start = 1000 * second
    apart, near = in_ms([start], [start + 12], end_ms=start + 100), in_ms([start], [start + 5], end_ms=start + 100)
    assert sttc(apart, 5.0)[0, 1] < 0 and sttc(near, 5.0)[0, 1] == 1


def test_tiles_are_counted_once_and_end_with_the_recording():
    np.testing.assert_allclose(tiled(trains_of([0, 5, 999], [], [500]), 10), [(15 + 11) / 1000, 0, 20 / 1000])


def test_the_mean_with_the_others_leaves_out_the_silent():
    mean = mean_with_others(np.array([[1, 0.2, np.nan], [0.2, 1, np.nan], [np.nan] * 3]))
    np.testing.assert_array_equal(mean, [0.2, 0.2, np.nan])


def test_independent_trains_are_not_connected():
    found = [
        functional_connectivity(poisson(12, rate, 30, seed=seed), 20.0, 1000.0, 20, seed=seed).adjacency.any()
        for seed in range(12)
        for rate in (0.3, 4.0)
    ]
    assert np.mean(found) <= 0.125


@pytest.mark.parametrize("spikes", [5, 20])
def test_independent_electrodes_that_burst_are_not_connected(spikes):
    """Were their bursts scattered, up to one in eleven pairs would pass for connected."""
    false = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        onset = [rng.integers(0, 30 * RATE_HZ, 12) for _ in range(12)]
        frame = [t[:, None] + rng.exponential(0.02 * RATE_HZ, (12, spikes)).cumsum(axis=1) for t in onset]
        own = [np.unique(f.astype(np.int64).clip(0, int(30 * RATE_HZ) - 1)) for f in frame]
        electrode = np.repeat(np.arange(12), [len(f) for f in own])
        trains = SpikeTrains(np.concatenate(own), electrode, [*"abcdefghijkl"], int(30 * RATE_HZ), RATE_HZ)
        false += functional_connectivity(trains, 50.0, 2000.0, 20, seed=seed).adjacency.sum() // 2
    assert false <= 2  # of 264 pairs


def test_planted_connections_are_found_and_no_others():
    rng = np.random.default_rng(0)
    trains = poisson(12, 3.0, 60, seed=1)
    shared = rng.integers(0, trains.n_frames, (3, 60))
    frame = [trains.frame, *(s + rng.integers(0, 100, 60) for s in shared for _ in range(2))]
    electrode = [trains.electrode, *(np.full(60, e) for e in range(6))]
    names = [str(e) for e in range(14)]
    together = SpikeTrains(
        np.concatenate(frame).clip(0, trains.n_frames - 1), np.concatenate(electrode), names, trains.n_frames, RATE_HZ
    )
    order = rng.permutation(14)  # two of them silent
    links = functional_connectivity(together.select(order), 10.0, 500.0, 40)
    wanted = np.zeros((14, 14), bool)
    for a, b in ((0, 1), (2, 3), (4, 5)):
        wanted[a, b] = wanted[b, a] = True
    np.testing.assert_array_equal(links.adjacency, wanted[np.ix_(order, order)])
    np.testing.assert_array_equal(links.q, links.q.T)
    assert links.q.min() > 1 / 41 - 1e-12 and (np.diag(links.q) == 1).all()
    again = functional_connectivity(together.select(order), 10.0, 500.0, 40)
    np.testing.assert_array_equal(again.q, links.q)


def test_what_jitter_leaves_is_no_connection():
    """Rates that rise and fall together within the jitter are connected; far slower, they are not."""
    rng = np.random.default_rng(0)
    burst = rng.integers(0, 10, 600) * 120_000 + rng.integers(0, 12_000, 600)  # ten bursts of 0.6 s
    trains = SpikeTrains(burst, np.arange(600) % 6, list("abcdef"), 1_200_000, RATE_HZ)
    assert functional_connectivity(trains, 50.0, 3000.0, 40).adjacency.sum() == 30
    assert not functional_connectivity(trains, 20.0, 60.0, 40).adjacency.any()


@pytest.mark.parametrize(
    "given, sentence",
    [
        (dict(n_surrogates=10), "alpha = 0.05 take n_surrogates = 19 or more"),
        (dict(jitter_ms=5.0), "raise jitter_ms"),
        (dict(within_ms=0.0), "must be above zero"),
    ],
)
def test_what_cannot_be_told_is_refused(given, sentence):
    with pytest.raises(InputError, match=sentence):
        functional_connectivity(trains_of([1], [2]), **dict(within_ms=10.0, jitter_ms=100.0, n_surrogates=20) | given)


@pytest.mark.parametrize("frames", [[], [[]], [[3], []], [[3], [900]], [[1, 2], [1, 2]]])
@pytest.mark.filterwarnings("error")
def test_silent_electrodes_and_single_spikes_are_not_connected(frames):
    links = functional_connectivity(trains_of(*frames), 1.0, 5.0, 20)
    assert links.adjacency.shape == (len(frames),) * 2 and not links.adjacency.any()
