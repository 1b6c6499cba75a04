"""Isolation, the split in time, scaling and the file of spike windows."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meagan_lib import InputError
from meagan_lib.detection import Peaks
from meagan_lib.files import sha256
from meagan_lib.windows import (
    Reason, SpikeWindows, Split, Standardiser, WindowConfig, cut_windows, isolate, require_enough, split_in_time,
)


def train(frames, channels=None, n_frames=10_000) -> Peaks:
    frames = np.sort(np.array(frames, dtype=np.int64))
    channels = np.zeros(len(frames), np.int32) if channels is None else np.array(channels, np.int32)
    return Peaks(frames, channels, np.full(len(frames), -1.0, np.float32), np.array([0, n_frames]), np.ones(2, np.float32))


@pytest.fixture(scope="module")
def windows(filtered, peaks, detection, truth) -> SpikeWindows:
    return cut_windows(filtered, peaks, detection, WindowConfig(), truth)


def test_both_rules_of_isolation():
    peaks = train([1000, 1030, 5000])
    assert isolate(peaks, 40, 32).tolist() == [Reason.NEXT_TOO_CLOSE, Reason.PREVIOUS_TOO_CLOSE, Reason.KEPT]
    assert isolate(peaks, 40, 32, rule="next").tolist() == [Reason.NEXT_TOO_CLOSE, Reason.KEPT, Reason.KEPT]
    with pytest.raises(InputError, match="choose one of both, next"):
        isolate(peaks, 40, 32, rule="nearest")


def test_other_channels_do_not_disturb():
    assert isolate(train([1000, 1030], [0, 1]), 40, 32).tolist() == [Reason.KEPT, Reason.KEPT]


def test_windows_over_an_edge_of_the_recording_are_dropped():
    assert isolate(train([31, 32, 9968, 9969]), 0, 32).tolist() == [1, 0, 0, 1]


@given(st.lists(st.integers(0, 9_999), min_size=1, max_size=60, unique=True), st.integers(1, 300))
def test_kept_peaks_have_no_neighbour_within_the_guard(frames, guard):
    peaks = train(frames)
    kept = np.flatnonzero(isolate(peaks, guard, 1) == Reason.KEPT)
    for i in kept:
        others = np.delete(peaks.frame, i)
        assert len(others) == 0 or np.abs(others - peaks.frame[i]).min() > guard


@given(st.integers(2_000, 100_000), st.integers(2, 100), st.integers(1, 5))
def test_splits_are_more_than_a_window_apart(n_frames, n_samples, cycles):
    frame = np.arange(n_frames)
    split, between = split_in_time(frame, n_frames, n_samples, cycles=cycles)
    used_frame, used_split = frame[~between], split[~between]
    changes = np.flatnonzero(np.diff(used_split) != 0)
    assert (np.diff(used_frame)[changes] > n_samples).all()


def test_split_shares_are_those_asked_for():
    split, _ = split_in_time(np.arange(100_000), 100_000, 64, cycles=3)
    np.testing.assert_allclose(np.bincount(split) / 100_000, [0.6, 0.1, 0.3], atol=1e-3)
    assert (np.diff(split.astype(int)) != 0).sum() == 8
    with pytest.raises(InputError, match="sum 1"):
        split_in_time(np.arange(10), 10, 2, shares=(0.5, 0.1, 0.1))


def test_every_peak_is_in_the_ledger_once(windows, peaks):
    assert sum(windows.ledger.counts().values()) == len(peaks.frame)
    assert windows.ledger.counts()["kept"] == len(windows)


def test_the_trough_stands_in_the_middle(windows):
    assert windows.pre_samples == windows.n_samples // 2 == 32
    kept = windows.ledger.reason == Reason.KEPT
    np.testing.assert_allclose(windows.windows[:, 32], windows.ledger.amplitude[kept], atol=0.05)
    assert (windows.windows[:, 22:43].argmin(axis=1) == 10).mean() > 0.99
    assert windows.time_ms[32] == 0


def test_windows_of_a_simulation_know_their_unit(windows, truth):
    assert (windows.label >= 0).mean() > 0.95
    assert set(windows.label) <= set(truth.unit) | {-1}


def test_windows_survive_their_file(windows, tmp_path):
    windows.save(tmp_path / "a.h5")
    windows.save(tmp_path / "b.h5")
    assert sha256(tmp_path / "a.h5") == sha256(tmp_path / "b.h5")
    again = SpikeWindows.load(tmp_path / "a.h5")
    for name in ("windows", "channel", "frame", "label", "split", "noise_mad"):
        left, right = getattr(again, name), getattr(windows, name)
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(again.ledger.reason, windows.ledger.reason)
    assert again.amplitude_unit == "uV" and again.sampling_rate_hz == windows.sampling_rate_hz
    assert again.source_sha256 == windows.source_sha256 and len(again.source_sha256[0]) == 64


def test_the_file_keeps_its_contract(windows, tmp_path):
    windows.save(tmp_path / "windows.h5")
    with h5py.File(tmp_path / "windows.h5") as file:
        types = {name: file[name].dtype.name for name in ("windows", "channel", "frame", "label", "split")}
        assert types == dict(windows="float32", channel="int32", frame="int64", label="int32", split="uint8")
        assert set(file["ledger"]) == {"frame", "channel", "amplitude", "reason"}


def test_synthetic_windows_have_no_place_or_time(windows):
    synthetic = windows.synthetic(np.zeros((3, 64)))
    assert len(synthetic) == 3 and synthetic.ledger is None and (synthetic.channel == -1).all()


def test_a_missing_or_broken_file_is_told(tmp_path):
    with pytest.raises(InputError, match="run notebook 01"):
        SpikeWindows.load(tmp_path / "windows.h5")
    (tmp_path / "windows.h5").write_bytes(b"no")
    with pytest.raises(InputError, match="no file of spike windows"):
        SpikeWindows.load(tmp_path / "windows.h5")


def test_too_few_windows_tell_how_many_and_what_to_relax(windows):
    with pytest.raises(InputError, match=r"too few isolated spikes: \d+ windows.*relax threshold_mad"):
        require_enough(windows, 10**6)
    require_enough(windows, 50)


@given(st.floats(-50, 50), st.floats(0.1, 100))
def test_scaling_comes_back_and_keeps_amplitudes(mean, std):
    x = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32) * np.float32(std) + np.float32(mean)
    scale = Standardiser.fit(x)
    np.testing.assert_allclose(scale.inverse(scale.transform(x)), x, rtol=1e-3, atol=1e-3 * (std + abs(mean)))
    ratio = np.ptp(scale.transform(x), axis=1) / np.ptp(x, axis=1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-2)


def test_the_scale_is_that_of_the_training_windows(windows):
    scale = Standardiser.fit(windows.of(Split.TRAIN))
    assert scale.transform(windows.of(Split.TRAIN)).std() == pytest.approx(1, abs=1e-3)
