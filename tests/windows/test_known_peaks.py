"""Peaks that are not those of the threshold: cut as its own are, stated, and no others."""

import numpy as np

from meagan_lib.windows.cutting import WindowConfig, cut_windows
from meagan_lib.windows.detection import DetectionConfig, KnownPeaks

FINDER = {"detector": "by hand"}


def test_the_peaks_of_the_threshold_given_as_known_give_the_same_windows(recording, detection, windows):
    ledger = windows.ledger
    config = WindowConfig()
    expected = cut_windows(recording, detection, config)
    known = KnownPeaks(ledger.frame, ledger.channel, FINDER)
    got = cut_windows(recording, DetectionConfig(detection.band_hz, threshold_mad=99.0), config, known=known)
    np.testing.assert_array_equal(got.windows, expected.windows)
    for name in ("frame", "channel", "amplitude", "reason"):
        np.testing.assert_array_equal(getattr(got.ledger, name), getattr(expected.ledger, name))
    assert got.detection["detector"] == "by hand" and "detector" not in expected.detection


def test_a_known_peak_may_be_shallower_than_the_threshold(recording, detection, windows):
    frame = np.arange(2_000, 20_000, 997)
    known = KnownPeaks(frame, np.full(len(frame), 3, np.int32), FINDER)
    got = cut_windows(recording, detection, WindowConfig(), known=known)
    np.testing.assert_array_equal(got.ledger.frame, frame)
    assert (np.abs(got.ledger.amplitude) < detection.threshold_mad * got.noise_mad[3]).any()


def test_of_each_segment_its_own_are_taken():
    known = KnownPeaks(np.array([5, 10, 19, 20]), np.array([0, 1, 2, 3], np.int32), FINDER)
    np.testing.assert_array_equal(known.between(10, 20), [[0, 1], [9, 2]])
    assert known.between(30, 40).shape == (0, 2)
