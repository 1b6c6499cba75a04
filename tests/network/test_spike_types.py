"""Synthetic spikes that are like the real ones fill their groups alike; those of one shape do not."""

from types import SimpleNamespace

import numpy as np
import pytest

from meagan_lib.network.spike_types import compare_spike_types, log_shape
from meagan_lib.windows.spike_windows import Split
from tests.fixtures import spikes

N = 600


@pytest.fixture(scope="module")
def real():
    """Windows of two shapes, half of them for training, each an event of its own."""
    windows, split = spikes(2 * N), np.repeat([Split.TRAIN, Split.TEST], N)
    return SimpleNamespace(
        of=lambda asked: windows[split == asked], split=split, events=np.arange(2 * N), sampling_rate_hz=20_000.0
    )


def test_a_model_of_one_type_differs_and_one_of_both_does_not(real):
    both = spikes(N, seed=1)
    depth = both.min(axis=1)
    found = compare_spike_types(real, {"both": both, "one": both[depth < np.median(depth)]}, 3, n_bootstrap=19)
    table = found.table
    assert table.loc["one", "divergence_bits"] > 5 * table.loc["one", "floor"]
    assert table.loc["one", "interval"][0] > table.loc["both", "interval"][1]
    assert table.loc["both", "interval"][0] <= table.loc["both", "floor_interval"][1]
    for source, own in found.share.items():
        assert own.sum() == pytest.approx(1) and (found.error[source] >= 0).all()
        assert len(found.plane[source]) == len(found.label[source])
    assert table["outside"].tolist() == [found.share[model][-1] for model in ("both", "one")]


def test_what_several_electrodes_hear_of_one_spike_is_on_one_side_of_the_floor(real):
    """Copies on both sides would make the floor of 30 spikes as low as that of 600."""
    heard = np.repeat(real.of(Split.TEST)[:30], 20, axis=0)
    windows, split = np.concatenate([real.of(Split.TRAIN), heard]), np.repeat([Split.TRAIN, Split.TEST], N)
    known = SimpleNamespace(of=lambda asked: windows[split == asked], split=split, sampling_rate_hz=20_000.0)
    floors = []
    for events in (np.r_[:N, np.repeat(np.arange(30), 20)], np.arange(2 * N)):
        known.events = events
        by_seed = [compare_spike_types(known, {"both": spikes(N, seed=1)}, 3, 2.0, 3, seed) for seed in range(4)]
        floors.append(np.mean([found.table.loc["both", "floor"] for found in by_seed]))
    assert floors[0] > 3 * floors[1]


def test_windows_of_another_kind_lie_outside(real):
    noise = {"noise": 9 * np.random.default_rng(0).standard_normal((N, 32))}
    assert compare_spike_types(real, noise, 3, n_bootstrap=19).table.loc["noise", "outside"] > 0.5


def test_amplitudes_enter_in_their_logarithm(real):
    windows = real.of(Split.TEST)
    louder = log_shape(10 * windows, 20_000.0) - log_shape(windows, 20_000.0)
    assert np.isin(np.round(np.median(louder, axis=0), 3), [0, 1]).all()
