"""Windows of several electrodes: which electrodes, which spikes, what the file, a merge and a model have of them."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from meagan_lib import InputError
from meagan_lib.windows import merging
from meagan_lib.windows.cutting import WindowConfig, cut_windows
from meagan_lib.windows.detection import DetectionConfig
from meagan_lib.windows.footprints import delays, nearest_electrodes
from meagan_lib.windows.gate import Gate
from meagan_lib.windows.imported import open_windows
from meagan_lib.windows.spike_windows import OF_FOOTPRINTS, Reason, SpikeWindows, Split
from meagan_lib.windows.splits import merge

GRID = np.stack(np.meshgrid(np.arange(5), np.arange(4), indexing="ij"), axis=-1).reshape(-1, 2) * 42.0


@pytest.fixture(scope="module")
def cut(recording, truth):
    return cut_windows(recording, DetectionConfig(), WindowConfig(neighbours=4), truth)


@pytest.mark.parametrize("neighbours", [1, 2, 4, 8])
def test_neighbours_stand_at_the_same_places_around_every_electrode_of_a_grid(neighbours):
    around = nearest_electrodes(GRID, len(GRID), neighbours)
    assert around.shape == (20, 1 + neighbours) and (around[:, 0] == np.arange(20)).all()
    for column in around.T[1:]:
        steps = (GRID[column] - GRID)[column >= 0]
        assert len(np.unique(steps, axis=0)) == 1 and np.hypot(*steps[0]) <= 42 * np.sqrt(2) + 1
    assert (around >= 0).all(axis=1).any()


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_elsewhere_neighbours_are_the_nearest(seed, neighbours):
    positions = np.random.default_rng(seed).uniform(0, 500, (12, 2))
    found = nearest_electrodes(positions, 12, neighbours)
    expected = cKDTree(positions).query(positions, 1 + neighbours)[0]
    far = np.linalg.norm(positions[found] - positions[:, None], axis=2)
    np.testing.assert_allclose(np.sort(far, axis=1), expected, atol=1.5)  # steps are rounded to a µm


def test_a_tetrode_without_positions_takes_all_and_what_cannot_be_is_refused():
    assert nearest_electrodes(None, 4, 2)[2].tolist() == [2, 0, 1, 3]
    with pytest.raises(InputError, match="set neighbours to 3 or less"):
        nearest_electrodes(None, 4, 4)
    with pytest.raises(InputError, match="positions.*set neighbours to 0"):
        nearest_electrodes(None, 64, 4)


def test_neighbours_are_refused_before_anything_runs(tmp_path):
    np.savez(tmp_path / "cut.npz", windows=np.zeros((9, 16)), sampling_rate_hz=20_000)
    for refuse in (
        lambda: merging.open_early({"recording": str(tmp_path / "cut.npz"), "neighbours": 4}),
        lambda: open_windows(tmp_path / "cut.npz", config=WindowConfig(neighbours=4)),
    ):
        with pytest.raises(InputError, match="one electrode each.*set neighbours to 0"):
            refuse()
    with pytest.raises(InputError, match="cut already, and channel is 0: set channel to -1"):
        merging.open_early({"recording": str(tmp_path / "cut.npz"), "channel": 0})
    np.zeros((1000, 16), np.int16).tofile(tmp_path / "chip.raw")
    (tmp_path / "chip.yaml").write_text("{sampling_rate_hz: 20000, n_channels: 16, dtype: int16, uv_per_step: 1.0}")
    with pytest.raises(InputError, match="positions.*set neighbours to 0"):
        merging.open_early({"recording": str(tmp_path / "chip.raw"), "neighbours": 4})
    with pytest.raises(InputError, match="no channel 16: this recording has 16"):
        merging.open_early({"recording": str(tmp_path / "chip.raw"), "channel": 16})
    with pytest.raises(InputError, match="neighbours is -1"):
        merging.open_early({"recording": "simulated", "neighbours": -1})


def test_a_spike_is_one_footprint_deepest_on_its_own_electrode_with_all_around_it(cut, windows):
    assert cut.footprints.shape[1] == cut.electrodes == 5 and 0 < len(cut) < len(windows)
    np.testing.assert_array_equal(cut.footprints[:, 0], cut.windows)
    assert (cut.around[cut.channel] >= 0).all()
    dead = DetectionConfig().dead(cut.sampling_rate_hz)
    near = cut.footprints[:, :, cut.pre_samples - dead : cut.pre_samples + dead + 1].min(axis=2)
    assert (near.argmin(axis=1) == 0).all()
    reason = cut.ledger.reason
    beyond = (cut.around[cut.ledger.channel] < 0).any(axis=1)
    assert not (beyond & (reason == Reason.KEPT)).any() and (reason[beyond] == Reason.FOOTPRINT_INCOMPLETE).any()


def test_a_footprint_takes_no_untrustworthy_electrode(recording, cut):
    bad = np.zeros(recording.get_num_channels(), bool)
    bad[np.bincount(cut.around[cut.channel, 1]).argmax()] = True
    without = cut_windows(recording, DetectionConfig(), WindowConfig(neighbours=4), bad=bad)
    assert 0 < len(without) < len(cut) and not bad[without.around[without.channel]].any()


def test_the_file_of_one_electrode_says_nothing_of_several(cut, windows, tmp_path):
    for own, name in ((cut, "several.h5"), (windows, "one.h5")):
        own.save(tmp_path / name)
    loaded = SpikeWindows.load(tmp_path / "several.h5")
    np.testing.assert_array_equal(loaded.vectors, cut.vectors)
    with h5py.File(tmp_path / "one.h5") as one, h5py.File(tmp_path / "several.h5") as several:
        for reason in OF_FOOTPRINTS:
            name = reason.name.lower()
            assert name not in one["ledger"].attrs["reasons"] and name in several["ledger"].attrs["reasons"]
        assert '"neighbours":' not in one.attrs["detection"] and not {"around", "footprints"} & set(one)
    assert not {"footprint incomplete", "larger beside"} & set(windows.ledger.counts())


def test_a_merge_keeps_footprints_and_finds_each_electrode_in_its_recording(cut):
    rows = slice(None, None, 2)
    columns = ("windows", "footprints", "channel", "frame", "label", "split", "recording")
    first = replace(cut, **{name: getattr(cut, name)[rows] for name in columns})
    noisier = {"windows": 2 * cut.windows + 1, "footprints": 2 * cut.footprints + 1, "noise_mad": 2 * cut.noise_mad}
    second = replace(cut, **noisier, source_hashes=["another"])
    both = merge({"a": first, "b": second}, "time")
    np.testing.assert_array_equal(both.footprints[len(first) :], second.footprints)
    np.testing.assert_array_equal(both.noise[len(first) :], second.noise)
    np.testing.assert_allclose(both.places_um, cut.places_um)
    assert sorted(np.hypot(*cut.places_um.T).round().tolist()) == [0, 42, 42, 42, 42]
    with pytest.raises(InputError, match="number of electrodes in a window is 1"):
        merge({"a": cut, "b": second, "c": replace(second, footprints=None, source_hashes=["third"])}, "time")


def test_classes_of_depth_are_quantiles_of_the_training_windows_in_noise_levels(windows):
    label, of = windows.classes("depth", Split.TRAIN)
    train = windows.split == Split.TRAIN
    depth = -windows.windows.min(axis=1) / windows.noise_mad[windows.channel]
    edges = np.quantile(depth[train], [0.2, 0.4, 0.6, 0.8])
    np.testing.assert_array_equal(label, np.digitize(depth[train], edges, right=True))
    assert np.ptp(np.bincount(label)) <= 1 and len(windows.class_names("depth")) == len(of) == 5
    of_test = windows.classes_among("depth", Split.TEST, of)
    np.testing.assert_array_equal(of_test, np.digitize(depth[windows.split == Split.TEST], edges, right=True))
    unknown = replace(windows, channel=np.full(len(windows), -1, np.int32))
    np.testing.assert_array_equal(unknown.depth, -windows.windows.min(axis=1))


def test_generated_footprints_are_kept_whole_and_the_gate_asks_that_their_own_electrode_is_the_deepest(cut):
    gate = Gate.of(cut)
    assert gate.deepest and gate.passes(cut.vectors).all()
    turned = cut.footprints[:, [1, 0, 2, 3, 4]].copy()
    turned[:, 0] = cut.footprints[:, 0]
    turned[:, 1] = 1.1 * cut.footprints[:, 0]
    assert not gate.passes(turned.reshape(len(cut), -1)).any() and gate.passes(cut.windows).all()
    made = cut.synthetic(cut.vectors[:7], passes=np.arange(7) < 3)
    np.testing.assert_array_equal(made.windows, cut.windows[:7])
    np.testing.assert_array_equal(made.footprints, cut.footprints[:7])
    np.testing.assert_array_equal(made.accepted_vectors, cut.vectors[:3])


@pytest.mark.parametrize("late", [-1.3, 0.0, 0.4, 2.0])
def test_a_delay_is_found_to_a_fraction_of_a_sample(late):
    t = np.arange(64) - 32
    footprint = np.stack([-np.exp(-(((t - shift) / 4) ** 2)) for shift in (0, late)])[None]
    np.testing.assert_allclose(delays(footprint, 10), [0, late], atol=0.05)
