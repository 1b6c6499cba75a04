"""BrainWave's results come in as windows and as spike trains, of both layouts, or are refused in one sentence."""

import numpy as np
import pytest

from meagan_lib import InputError
from meagan_lib.network.spike_files import read_spikes
from meagan_lib.recordings.bxr import read_results
from meagan_lib.recordings.opening import holds_windows, open_recording
from meagan_lib.windows.imported import open_windows, require_readable
from tests.recordings.brw_writer import RATE
from tests.recordings.bxr_writer import CHANNELS, GAIN, SAMPLES, N, spikes, write_2, write_3


@pytest.mark.parametrize("settings", [True, False])
def test_windows_have_times_channels_units_and_microvolts(tmp_path, settings):
    its = write_3(tmp_path / "x.bxr", settings=settings)
    assert holds_windows(tmp_path / "x.bxr")
    require_readable(tmp_path / "x.bxr")
    windows = open_windows(tmp_path / "x.bxr")
    assert windows.sampling_rate_hz == RATE and windows.amplitude_unit == "uV" and windows.pre_samples == 12
    kept = np.isin(its["frame"] - 100, windows.frame)  # those between two splits are left out
    assert kept.mean() > 0.95
    np.testing.assert_array_equal(windows.frame, its["frame"][kept] - 100)
    np.testing.assert_array_equal(windows.channel, np.array(CHANNELS)[its["place"][kept]])
    np.testing.assert_allclose(windows.windows, its["waveforms"][kept] * GAIN - 4125, atol=0.01)
    for label in np.unique(windows.label[windows.label >= 0]):  # a unit is one cell of one electrode
        mine = windows.label == label
        assert len(np.unique(windows.channel[mine])) == 1 and len(np.unique(its["unit"][kept][mine])) == 1
    np.testing.assert_array_equal(windows.label < 0, its["unit"][kept] < 0)
    assert len(np.unique(windows.label)) == 7


@pytest.mark.parametrize("flat, inversion", [(True, 1.0), (False, 1.0), (True, -1.0)])
def test_the_older_layout_is_read_as_well(tmp_path, flat, inversion):
    its = write_2(tmp_path / "x.bxr", flat=flat, inversion=inversion)
    windows = open_windows(tmp_path / "x.bxr")
    kept = np.isin(its["frame"], windows.frame)
    np.testing.assert_allclose(windows.windows, its["waveforms"][kept] * (8250 / 4096) - 4125, atol=0.01)
    np.testing.assert_array_equal(windows.channel, np.array(CHANNELS)[its["place"][kept]])
    trains = read_spikes(tmp_path / "x.bxr")
    assert trains.n_frames == 120_000 and trains.names == [str(c) for c in CHANNELS]
    np.testing.assert_allclose(trains.positions_um, 42.0 * np.stack(np.divmod(CHANNELS, 64), axis=1))
    np.testing.assert_array_equal(np.sort(trains.frame), its["frame"])
    assert -190 < np.median(trains.amplitude) < -140


def test_spike_trains_have_all_electrodes_and_the_gaps(tmp_path):
    channels = [*CHANNELS, 9]
    its = write_3(tmp_path / "x.bxr", toc=[(100, 60_000), (60_000, 100_200), (200_000, 300_000)], StoredChIdxs=channels)
    trains = read_spikes(tmp_path / "x.bxr")
    assert trains.stretches.tolist() == [[0, 100_100], [199_900, 299_900]] and trains.n_frames == 299_900
    assert trains.names == [str(c) for c in channels] and trains.n_electrodes == 4
    for place in range(3):
        mine = its["frame"][its["place"] == place] - 100
        np.testing.assert_array_equal(trains.frame[trains.electrode == place], mine)
    write_3(tmp_path / "times.bxr", SpikeForms=None, SpikeUnits=None)
    trains = read_spikes(tmp_path / "times.bxr")
    assert len(trains.frame) == N and np.isnan(trains.amplitude).all()
    with pytest.raises(InputError, match="spike times and no waveforms: give it to notebook 05"):
        open_windows(tmp_path / "times.bxr")


def test_of_several_wells_one_is_picked_where_it_is_asked_for(tmp_path):
    write_3(tmp_path / "x.bxr", wells=("A1", "B2"))
    with pytest.raises(InputError, match="2 wells: pick one of A1, B2 with --set 01_preprocessing.well"):
        require_readable(tmp_path / "x.bxr")
    with pytest.raises(InputError, match="2 wells: pick one of A1, B2 with --set 05_organoid_network.well"):
        read_spikes(tmp_path / "x.bxr")
    assert len(read_spikes(tmp_path / "x.bxr", "B2").frame) == N
    assert len(open_windows(tmp_path / "x.bxr", well="A1")) > 0.9 * N
    write_2(tmp_path / "2.bxr", flat=True)
    with pytest.raises(InputError, match="no wells"):
        open_windows(tmp_path / "2.bxr", well="A1")
    np.savez(tmp_path / "w.npz", windows=spikes()["waveforms"], sampling_rate_hz=RATE)
    with pytest.raises(InputError, match="no wells"):
        open_windows(tmp_path / "w.npz", well="A1")
    (tmp_path / "s.csv").write_text("electrode,time_s\n1,0.5\n")
    with pytest.raises(InputError, match="no wells"):
        read_spikes(tmp_path / "s.csv", "A1")


def test_results_are_no_recording(tmp_path):
    write_3(tmp_path / "x.bxr")
    with pytest.raises(InputError, match="windows already cut and no voltage"):
        open_recording(tmp_path / "x.bxr")


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"SpikeTimes": np.array([], np.int64)}, "no spikes of this well"),
        ({"SpikeTimes": None}, "no spikes of this well"),
        ({"SpikeChIdxs": None}, "has 300 SpikeTimes"),
        ({"SpikeChIdxs": np.full(N - 1, 3)}, "299 SpikeChIdxs"),
        ({"SpikeChIdxs": np.full(N, 4)}, "channels that were not recorded"),
        ({"SpikeTimes": np.full(N, 99)}, "300 spikes outside of the time that was recorded"),
        ({"SpikeTimes": np.full(N, 2**60)}, "outside of the time"),
        ({"SpikeForms": np.zeros(N * SAMPLES - 1, np.int16)}, "samples of type int16 of the waveforms of 300 spikes"),
        ({"SpikeForms": np.array([b"x"] * N * SAMPLES)}, "samples of type"),
        ({"StoredChIdxs": [-3, 70, 4095]}, "below 0"),
        ({"StoredChIdxs": None}, "lacks a part"),
    ],
)
def test_damaged_results_are_refused_in_a_sentence(tmp_path, changes, complaint):
    write_3(tmp_path / "x.bxr", **changes)
    with pytest.raises(InputError, match=complaint):
        read_results(tmp_path / "x.bxr")
    (tmp_path / "x.bxr").write_bytes((tmp_path / "x.bxr").read_bytes()[:3000])
    with pytest.raises(InputError, match="cut short"):
        read_results(tmp_path / "x.bxr")
