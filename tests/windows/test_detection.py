"""Detection agrees with scipy, finds the simulated spikes, and leaves dead channels alone."""

import numpy as np
import pytest
import spikeinterface.core as sc

from meagan_lib import InputError
from meagan_lib.windows.detection import (
    DetectionConfig,
    Peaks,
    detect,
    lowpass_taps,
    nearest,
    score_detection,
    window_lowpass,
)


def test_recall_and_precision_above_six_sigma(peaks, truth, detection):
    score = score_detection(peaks, truth, detection, 20_000)
    assert score.n_true > 500
    assert score.recall >= 0.95 and score.precision >= 0.95


def test_the_score_falls_when_spikes_are_missed_or_made_up(peaks, truth, detection):
    half = Peaks(peaks.frame[::2], peaks.channel[::2], peaks.amplitude[::2], peaks.noise_mad)
    assert score_detection(half, truth, detection, 20_000).recall < 0.7
    moved = Peaks(peaks.frame + 200, peaks.channel, peaks.amplitude, peaks.noise_mad)
    assert score_detection(moved, truth, detection, 20_000).precision < 0.5


def test_a_peak_is_the_lowest_sample_of_its_surroundings(peaks, traces):
    for frame, channel in list(zip(peaks.frame, peaks.channel))[:200]:
        around = traces[max(frame - 9, 0) : frame + 10, channel]
        assert traces[frame, channel] == around.min() < -4.9 * peaks.noise_mad[channel]


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
        detect(recording, detection)


def test_the_pass_band_follows_the_sampling_rate():
    assert DetectionConfig().band_at(10_000) == (300.0, 4500.0)
    with pytest.raises(InputError, match="empty"):
        DetectionConfig().band_at(600)


def test_lowpass_taps_pass_spikes_and_stop_what_the_filter_stops(detection):
    taps = lowpass_taps(detection, 20_000)
    kept = {"band_hz": list(detection.band_hz), "filter_order": detection.filter_order}
    np.testing.assert_array_equal(window_lowpass(kept, 20_000), taps)
    gain = np.abs(np.fft.rfft(taps, 2000))
    assert len(taps) % 2 == 1 and taps.sum() == pytest.approx(1, abs=1e-5)
    assert gain[200] == pytest.approx(1, abs=0.02) and gain[950] < 0.02


def test_a_filter_that_is_not_known_changes_nothing():
    assert window_lowpass({}, 7_022) == [1.0]


def test_nearest_stays_on_its_channel():
    match = nearest(np.array([10, 10]), np.array([0, 1]), np.array([12, 40]), np.array([0, 1]), tolerance=5)
    assert match.tolist() == [0, -1]
