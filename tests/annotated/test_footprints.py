"""Footprints: the windows of a spike on all electrodes around, cut in the same pass as the windows."""

import numpy as np
import pytest

from meagan_lib import InputError
from meagan_lib.windows.cutting import Isolation, WindowConfig, align_troughs, cut_windows
from meagan_lib.windows.detection import DetectionConfig, filtered_traces
from meagan_lib.windows.footprints import electrodes_around
from meagan_lib.windows.spike_windows import SpikeWindows

GRID = np.stack(np.meshgrid(np.arange(4), np.arange(4), indexing="ij"), axis=-1).reshape(-1, 2) * 42.0


@pytest.fixture(scope="module")
def cut(recording):
    return cut_windows(recording, DetectionConfig(), WindowConfig(footprint_um=45.0))


def test_footprints_are_the_band_passed_traces_of_the_electrodes_around(recording, cut):
    half, rows = cut.pre_samples, np.random.default_rng(0).integers(len(cut), size=20)
    for i in rows:
        around = cut.around[cut.channel[i]]
        traces = filtered_traces(recording, DetectionConfig(), cut.frame[i] - half, cut.frame[i] + half)
        expected = np.where((around >= 0)[:, None], traces[:, around].T, 0)
        np.testing.assert_allclose(cut.footprints[i], expected, atol=1e-2)
    np.testing.assert_array_equal(cut.footprints[:, 0], cut.windows)


def test_footprints_survive_the_file_and_are_in_no_file_of_windows_alone(cut, windows, tmp_path):
    cut.save(tmp_path / "cut.h5")
    loaded = SpikeWindows.load(tmp_path / "cut.h5")
    np.testing.assert_array_equal(loaded.footprints, cut.footprints)
    np.testing.assert_array_equal(loaded.around, cut.around)
    assert windows.footprints is None and "footprint_um" not in windows.detection


def test_nothing_else_peaks_on_the_electrodes_of_a_footprint(cut):
    dead = DetectionConfig().dead(cut.sampling_rate_hz)
    guard = round(Isolation().guard_ms * cut.sampling_rate_hz / 1000)
    for frame, channel in zip(cut.frame[:200], cut.channel[:200]):
        apart = np.abs(cut.ledger.frame - frame)
        near = (apart <= guard) & (apart > dead) & np.isin(cut.ledger.channel, cut.around[channel])
        assert not near.any()


def test_a_column_is_the_same_step_from_every_electrode_of_a_grid():
    around = electrodes_around(GRID, 16, 43.0)
    assert around.shape == (16, 5) and (around[:, 0] == np.arange(16)).all()
    for column in around.T[1:]:
        steps = (GRID[column] - GRID)[column >= 0]
        assert len(np.unique(steps, axis=0)) == 1


def test_a_tetrode_without_positions_is_one_footprint_and_a_chip_without_them_is_refused():
    assert electrodes_around(None, 4, 60.0)[2].tolist() == [2, 0, 1, 3]
    with pytest.raises(InputError, match="positions"):
        electrodes_around(None, 64, 60.0)
    with pytest.raises(InputError, match="set footprint_um to 42 or more"):
        electrodes_around(GRID, 16, 20.0)


def test_all_electrodes_are_shifted_as_their_own_window_is():
    windows = np.random.default_rng(0).standard_normal((30, 40)).cumsum(axis=1).astype(np.float32)
    windows[:, 20] -= 10
    both = align_troughs(windows, 4, np.stack([windows, 2 * windows], axis=1))
    np.testing.assert_allclose(both[:, 0], align_troughs(windows, 4), atol=1e-4)
    np.testing.assert_allclose(both[:, 1], 2 * both[:, 0], atol=1e-3)
