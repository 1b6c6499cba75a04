"""Planted bursts are found, and trains without a pattern have hardly any."""

from dataclasses import replace

import numpy as np
import pytest

from meagan_lib import InputError
from meagan_lib.network.bursts import (
    LONGEST_MS,
    begin_in_planted,
    electrode_bursts,
    interval_histograms,
    log_histogram,
    network_bursts,
    pooled_intervals_ms,
    raster,
    score,
    summary,
    valley_ms,
)
from meagan_lib.network.spike_trains import SpikeTrains
from meagan_lib.recordings.simulation import SimulationConfig, burst_frames, spikes
from tests.network.test_spike_trains import RATE_HZ, trains_of


def poisson(n_electrodes: int, rate_hz: float, seconds: int, seed: int = 0) -> SpikeTrains:
    rng = np.random.default_rng(seed)
    n = rng.poisson(rate_hz * seconds, n_electrodes)
    frame = rng.integers(0, int(seconds * RATE_HZ), n.sum())
    names = [str(e) for e in range(n_electrodes)]
    return SpikeTrains(frame, np.repeat(np.arange(n_electrodes), n), names, int(seconds * RATE_HZ), RATE_HZ)


@pytest.fixture(scope="module")
def planted() -> tuple[SpikeTrains, np.ndarray]:
    """One electrode: a burst of 8 spikes, 5 ms apart, every 2 s, in spikes at 0.5 Hz."""
    first = np.arange(0.7, 99, 2)
    inside = first[:, None] + 0.005 * np.arange(8)
    alone = np.random.default_rng(0).uniform(0, 100, 50)
    alone = alone[np.abs(alone[:, None] - first).min(axis=1) > 0.3]
    frame = np.rint(np.concatenate([inside.ravel(), alone]) * RATE_HZ).astype(int)
    return trains_of(frame, n_frames=int(100 * RATE_HZ)), np.rint(inside[:, [0, -1]] * RATE_HZ).astype(int)


def test_planted_bursts_of_an_electrode_are_found_to_the_spike(planted):
    trains, spans = planted
    found = electrode_bursts(trains, 4)
    np.testing.assert_array_equal(found.span, spans)
    assert found.justified[0] and 5 < found.threshold_ms[0] <= LONGEST_MS and (found.n_spikes == 8).all()
    result = summary(found, trains)
    assert (result["n"], result["spikes"], result["per_minute"]) == (50, 8, 30)
    assert result["share"] == 400 / len(trains.frame)
    assert result["duration_ms"] == pytest.approx(35) and result["pause_s"] == pytest.approx(1.965)


def test_a_break_in_the_recording_ends_a_burst(planted):
    trains, spans = planted
    joint = int(spans[3].mean())
    cut = replace(trains, stretches=[[0, joint], [joint, trains.n_frames]])
    assert sorted(np.r_[electrode_bursts(cut, 4).n_spikes]) == [4, 4] + [8] * 49


def test_no_burst_of_the_network_and_no_pause_crosses_a_break(planted):
    one, spans = planted
    trains = trains_of(*(one.frame + shift for shift in (0, 20, 40)), n_frames=one.n_frames + 40)
    assert len(network_bursts(trains).span) == 50
    within = int(spans[3].mean())
    found = network_bursts(replace(trains, stretches=[[0, within], [within, trains.n_frames]])).span
    assert not ((found[:, 0] < within) & (found[:, 1] >= within)).any()
    joint, gap = int(spans[3:5].mean()), 10**6
    cut = replace(
        trains,
        frame=trains.frame + gap * (trains.frame >= joint),
        n_frames=trains.n_frames + gap,
        stretches=[[0, joint], [joint + gap, trains.n_frames + gap]],
    )
    found, (pooled, n) = network_bursts(cut), pooled_intervals_ms(cut)
    assert len(found.span) == 50 and summary(found, cut)["per_minute"] == pytest.approx(30, abs=0.1)
    assert np.isfinite(pooled).sum() == len(trains.frame) - 2 * (n - 1)
    two = trains_of(np.r_[0:800:100, 20_000, 40_000:40_800:100, 60_000], n_frames=70_000)
    for stretches, pause_s in ((None, 1.965), ([[0, 21_000], [30_000, 70_000]], np.nan)):
        parted = replace(two, stretches=stretches)
        result = summary(electrode_bursts(parted), parted)
        assert result["n"] == 2
        np.testing.assert_allclose(result["pause_s"], pause_s)


def test_the_valley_parts_two_humps_and_one_hump_has_none():
    rng = np.random.default_rng(0)
    two = np.concatenate([rng.lognormal(np.log(5), 0.4, 600), rng.lognormal(np.log(500), 0.5, 900)])
    assert 15 < valley_ms(two) < 150
    assert np.isnan(valley_ms(two[:50]))  # too few to tell
    false = [np.isfinite(valley_ms(rng.exponential(100, 300))) for _ in range(200)]
    assert np.mean(false) < 0.02


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [3.0], [1.0, 10.0, 100.0]])
def test_a_histogram_holds_every_interval_above_zero(values):
    values = np.array(values)
    edges, counts = log_histogram(values)
    assert counts.sum() == (values > 0).sum() and len(edges) == len(counts) + 1 and (np.diff(edges) > 0).all()


@pytest.mark.parametrize("rate_hz", [0.5, 3.0, 20.0])
def test_trains_without_a_pattern_hardly_burst(rate_hz):
    trains = poisson(20, rate_hz, 60)
    assert summary(electrode_bursts(trains, 4), trains)["share"] < 0.05
    assert len(network_bursts(trains).span) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_the_simulations_network_bursts_are_found_in_whatever_order_its_electrodes_are(seed):
    config = SimulationConfig(seed=seed, n_units=40)
    frame, unit = spikes(config)
    trains = SpikeTrains(frame, unit, [str(u) for u in range(40)], int(60 * RATE_HZ), RATE_HZ)
    found, planted = network_bursts(trains), burst_frames(config)
    result = score(found.span, planted, trains.n_frames, RATE_HZ)
    assert result["recall"] >= 0.9 and result["precision"] >= 0.9
    assert result["overlap"] > 0.75 and abs(result["onset_ms"]) < 50
    order = np.random.default_rng(seed).permutation(40)
    turned = network_bursts(trains.select(order))
    np.testing.assert_array_equal(turned.span, found.span)
    one, two = electrode_bursts(trains, 3), electrode_bursts(trains.select(order), 3)
    np.testing.assert_array_equal(one.threshold_ms[order], two.threshold_ms)
    assert one.inside.sum() == two.inside.sum()


@pytest.mark.parametrize("frames", [[[]], [[], [5]], [[1], [2]], [[1, 2, 3, 4, 5, 6], []]])
def test_silent_electrodes_and_single_spikes_are_no_bursts_and_no_trouble(frames):
    trains = trains_of(*frames)
    for found in (electrode_bursts(trains, 7), network_bursts(trains)):
        assert len(found.span) == 0 and not found.inside.any() and len(found.inside) == len(trains.frame)
        assert summary(found, trains)["share"] == 0 and np.isnan(summary(found, trains)["duration_ms"])
    assert len(pooled_intervals_ms(trains)[0]) == 0


def test_a_burst_of_one_electrode_is_none_of_the_network():
    busy, rest = np.arange(0, 400, 4), np.arange(0, 1_900_000, 9_000)
    alone = trains_of(np.r_[busy + 500_000, rest], rest + 40, rest + 80, n_frames=2_000_000)
    several = replace(alone, electrode=np.where(alone.frame % 8, alone.electrode, 1))  # the same spikes on two
    assert len(network_bursts(several).span) == 1 and len(network_bursts(alone).span) == 0


def test_bursts_are_scored_against_planted_ones():
    planted = np.array([[100, 200], [300, 400], [600, 700]])
    same = score(planted, planted, 1_000, 1_000.0)
    assert same == {"recall": 1, "precision": 1, "overlap": 1, "onset_ms": 0}
    result = score(np.array([[150, 250], [450, 500], [590, 620], [650, 660]]), planted, 1_000, 1_000.0)
    assert result["recall"] == 2 / 3 and result["precision"] == 2 / 4  # one planted burst counts once
    assert result["onset_ms"] == 20 and result["overlap"] == (50 + 20 + 10) / (300 + 50 + 50 + 10)
    nothing = score(np.zeros((0, 2), int), planted, 1_000, 1_000.0)
    assert nothing["recall"] == 0 and np.isnan(nothing["precision"]) and np.isnan(nothing["onset_ms"])


def test_a_burst_takes_two_spikes():
    with pytest.raises(InputError, match="it takes 2 at least"):
        electrode_bursts(trains_of([1, 2]), 1)


def test_bursts_that_begin_in_planted_ones_are_counted(planted):
    trains, spans = planted
    found = electrode_bursts(trains, 4)
    assert begin_in_planted(found, spans) == 1 and begin_in_planted(found, spans[:10]) == 10 / 50


def test_a_raster_has_the_busiest_on_top_and_lies_within_the_recording(planted):
    trains, spans = planted
    two = replace(trains, electrode=(np.arange(len(trains.frame)) % 5 > 0).astype(int), names=["quiet", "busy"])
    own, network = electrode_bursts(two, 4), network_bursts(two)
    data, (start, end) = raster(two, own, network, spans, length_s=20.0)
    assert start >= 0 and end == pytest.approx(start + 20) and end <= two.duration_s
    assert np.bincount(data["electrode"])[0] > np.bincount(data["electrode"])[1]
    assert ((data["time_s"] >= start) & (data["time_s"] < end)).all() and len(data["planted_s"]) == len(spans)
    assert raster(two, own, network, spans, length_s=1e3)[1] == (0, two.duration_s)


def test_histograms_of_intervals_hold_every_interval_of_an_electrode(planted):
    trains, _ = planted
    data = interval_histograms(trains, electrode_bursts(trains, 4), trains.poisson(np.random.default_rng(0)))
    assert data["share"].sum(axis=1) == pytest.approx(1) and data["justified"].tolist() == [True]
    assert len(data["edges_ms"]) == data["share"].shape[1] + 1 and len(data["pooled_ms"]) and len(data["chance_ms"])
