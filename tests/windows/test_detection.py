"""Detection agrees with scipy, finds the simulated spikes, and leaves dead channels alone."""

from dataclasses import replace

import numpy as np
import pytest
import spikeinterface.core as sc

from meagan_lib import InputError
from meagan_lib.windows.detection import DetectionConfig, nearest, score_detection, window_lowpass
from meagan_lib.windows.filtering import noise_levels
from meagan_lib.windows.spike_windows import Ledger
from tests.fixtures import detect


def test_recall_and_precision_above_six_sigma(windows, truth, detection):
    score = score_detection(windows, truth, detection)
    assert score.n_true > 500
    assert score.recall >= 0.95 and score.precision >= 0.95


def test_the_score_falls_when_spikes_are_missed_or_made_up(windows, truth, detection):
    half = Ledger(*(values[::2] for values in windows.ledger.__dict__.values()))
    assert score_detection(replace(windows, ledger=half), truth, detection).recall < 0.7
    moved = replace(windows.ledger, frame=windows.ledger.frame + 200)
    assert score_detection(replace(windows, ledger=moved), truth, detection).precision < 0.5


def test_a_peak_is_the_lowest_sample_of_its_surroundings(windows, traces):
    for frame, channel in list(zip(windows.ledger.frame, windows.ledger.channel))[:200]:
        around = traces[max(frame - 9, 0) : frame + 10, channel]
        assert traces[frame, channel] == around.min() < -4.9 * windows.noise_mad[channel]


def test_a_dead_channel_has_no_peaks():
    rng = np.random.default_rng(0)
    traces = rng.standard_normal((40_000, 2)).astype(np.float32)
    traces[:, 1] = 7.0
    recording = sc.NumpyRecording([traces], 20_000)
    config = DetectionConfig(threshold_mad=3.0)
    peaks = detect(recording, config)
    assert len(peaks.frame) > 0 and (peaks.channel == 0).all()


def test_a_recording_too_short_for_a_noise_level_is_refused(detection):
    recording = sc.NumpyRecording([np.zeros((500, 2), np.float32)], 20_000)
    with pytest.raises(InputError, match="25.0 ms.*longer recording"):
        noise_levels(recording, detection.filter(20_000), seed=0)


def test_the_pass_band_follows_the_sampling_rate():
    assert DetectionConfig().band_at(10_000) == (300.0, 4500.0)
    with pytest.raises(InputError, match="empty"):
        DetectionConfig().band_at(600)


def test_lowpass_taps_pass_spikes_and_stop_what_the_filter_stops(windows):
    taps = window_lowpass(windows.detection, 20_000)
    gain = np.abs(np.fft.rfft(taps, 2000))
    assert len(taps) % 2 == 1 and sum(taps) == pytest.approx(1, abs=1e-5)
    assert gain[200] == pytest.approx(1, abs=0.02) and gain[950] < 0.02


def test_a_filter_that_is_not_known_changes_nothing():
    assert window_lowpass({}, 7_022) == [1.0]


def test_nearest_stays_on_its_channel():
    match = nearest(np.array([10, 10]), np.array([0, 1]), np.array([12, 40]), np.array([0, 1]), tolerance=5)
    assert match.tolist() == [0, -1]
