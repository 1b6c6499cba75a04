"""The pass agrees with scipy, and how the work is divided changes nothing."""

import numpy as np
import pytest
import scipy.signal
import spikeinterface.core as sc
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import minimum_filter1d

from meagan_lib.windows import filtering, streaming
from meagan_lib.windows.detection import DetectionConfig, filtered_traces
from meagan_lib.windows.filtering import noise_levels
from meagan_lib.windows.streaming import Search, scan

RATE, N_FRAMES, N_CHANNELS = 20_000.0, 30_000, 70
CONFIG = DetectionConfig()
FILTER = CONFIG.filter(RATE)


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    """Drifting 12-bit codes (frames, channels) with noise and offsets of their own."""
    rng = np.random.default_rng(0)
    drift = 3 * rng.standard_normal((N_FRAMES, N_CHANNELS)).cumsum(axis=0)
    x = 2048 + 200 * rng.standard_normal(N_CHANNELS) + drift + 6 * rng.standard_normal((N_FRAMES, N_CHANNELS))
    return x.clip(0, 4095).astype(np.uint16)


@pytest.fixture(scope="module")
def recording(codes):
    return sc.NumpyRecording([codes], RATE)


@pytest.fixture(scope="module")
def reference(codes):
    return scipy.signal.sosfiltfilt(FILTER.sos, codes.astype(np.float64), axis=0)


def search(noise: np.ndarray, **options) -> Search:
    never = np.full(len(noise), np.inf)
    return Search(3.5 * noise, 3.0 * noise, never, dead=10, guard=40, half_window=32, **options)


def everything(recording, wanted: Search) -> list[np.ndarray]:
    found = list(scan(recording, FILTER, wanted))
    names = ("frame", "channel", "amplitude", "flags", "has_window", "windows")
    return [np.concatenate([getattr(f, name) for f in found]) for name in names]


@pytest.mark.parametrize("start, stop", [(0, 3000), (14_000, 15_000), (N_FRAMES - 500, N_FRAMES), (0, N_FRAMES)])
def test_the_filter_is_scipys_within_a_fiftieth_of_a_step(recording, reference, start, stop):
    got = filtered_traces(recording, CONFIG, start, stop)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, reference[start:stop], atol=0.02, rtol=0)


@pytest.mark.parametrize("order, band_hz", [(1, (300, 6000)), (2, (300, 9900)), (5, (300, 6000)), (7, (100, 9000))])
def test_filters_of_other_orders_and_bands_are_scipys_too(recording, codes, order, band_hz):
    config = DetectionConfig(band_hz=band_hz, filter_order=order)
    expected = scipy.signal.sosfiltfilt(config.filter(RATE).sos, codes.astype(np.float64), axis=0)
    np.testing.assert_allclose(filtered_traces(recording, config, 5000, 6000), expected[5000:6000], atol=0.02, rtol=0)


def test_peaks_and_windows_are_those_of_the_reference(recording, reference):
    noise = np.median(np.abs(reference), axis=0) / 0.6745
    frame, channel, amplitude, _, has_window, windows = everything(recording, search(noise))
    lowest = reference == minimum_filter1d(reference, 21, axis=0, mode="nearest")
    expected = np.argwhere(lowest & (reference < -3.5 * noise))
    assert len(expected) > 100
    np.testing.assert_array_equal(np.stack([frame, channel], axis=1), expected)
    np.testing.assert_allclose(amplitude, reference[frame, channel], atol=0.02)
    inside = (frame >= 32) & (frame + 32 <= N_FRAMES)
    np.testing.assert_array_equal(has_window, inside)
    cut = np.stack([reference[f - 32 : f + 32, c] for f, c in zip(frame[inside], channel[inside])])
    np.testing.assert_allclose(windows, cut, atol=0.02)


@given(
    slab=st.integers(1, 40_000),
    tiles=st.integers(1, 4),
    threads=st.integers(1, 4),
    frames_per_chunk=st.integers(1, 9000),
)
@settings(max_examples=20, deadline=None)
def test_how_the_work_is_divided_changes_no_bit(recording, reference, slab, tiles, threads, frames_per_chunk):
    noise = np.median(np.abs(reference), axis=0) / 0.6745
    wanted = search(noise, drop=streaming.NEXT | streaming.GUARD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "available_cores", lambda: 1)
        recording.annotate(frames_per_chunk=1)
        expected = everything(recording, wanted)
        patch.setattr(streaming, "available_cores", lambda: threads)
        patch.setattr(streaming, "SLAB_BYTES", slab * 2 * N_CHANNELS)
        patch.setattr(streaming, "TILE", tiles * streaming.LANES)
        recording.annotate(frames_per_chunk=frames_per_chunk)
        for one, two in zip(everything(recording, wanted), expected):
            np.testing.assert_array_equal(one, two)


@given(segment=st.integers(300, 9000))
@settings(max_examples=15, deadline=None)
def test_the_grid_of_segments_moves_values_by_less_than_a_fiftieth_of_a_step(recording, reference, segment):
    noise = np.median(np.abs(reference), axis=0) / 0.6745
    with pytest.MonkeyPatch.context() as patch:
        expected = everything(recording, search(noise))
        patch.setattr(streaming, "SEGMENT", segment)
        got = everything(recording, search(noise))
    np.testing.assert_array_equal(np.stack(got[:2]), np.stack(expected[:2]))
    np.testing.assert_allclose(got[5], expected[5], atol=0.02)


def test_more_peaks_than_room_was_made_for_are_all_found():
    t = np.arange(20_000)
    x = (1000 * np.sin(2 * np.pi * 1000 * t / RATE)).astype(np.float32)[:, None].repeat(40, axis=1)
    ones = np.ones(40)
    wanted = Search(100 * ones, np.inf * ones, np.inf * ones, dead=5, guard=0, half_window=8)
    frame, channel, *_ = everything(sc.NumpyRecording([x], RATE), wanted)
    assert len(frame) == pytest.approx(1000 * 40, abs=80) and (np.bincount(channel) >= 998).all()


def test_the_noise_level_is_that_of_the_whole_signal(recording, reference, monkeypatch):
    monkeypatch.setattr(filtering, "available_cores", lambda: 1)
    whole = np.median(np.abs(reference), axis=0) / 0.6745
    np.testing.assert_allclose(noise_levels(recording, FILTER, seed=0), whole, rtol=0.05)
    seeds = [noise_levels(recording, FILTER, seed) for seed in (0, 1)]
    assert not np.array_equal(*seeds)
    monkeypatch.setattr(filtering, "available_cores", lambda: 3)
    np.testing.assert_array_equal(noise_levels(recording, FILTER, seed=0), seeds[0])


@pytest.mark.parametrize("channels", [1, 31, 32, 70])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_every_sample_is_dealt_out_to_its_group_wherever_that_lies(channels, dtype):
    """Whole lines of a cache are copied past it where they lie on a line, and one by one elsewhere."""
    x = np.random.default_rng(0).integers(-500, 500, (60, channels)).astype(dtype)
    stored = filtering.Stored(sc.NumpyRecording([x], RATE), 0)
    aligned = stored.read(3, 50)
    assert aligned.ctypes.data % filtering.LINE == 0
    beside = np.zeros(aligned.size + 1, dtype)[1:].reshape(aligned.shape)
    filtering.deal(x[3:50], beside)
    for groups in (aligned, beside):
        np.testing.assert_array_equal(groups.swapaxes(0, 1).reshape(47, -1)[:, :channels], x[3:50])


def test_a_compiled_filter_is_found_again():
    """Else every process compiles it anew, for a second, and leaves another file."""
    lanes = filtering.LANES
    for known in (False, True):
        compiled = filtering._compiled.__wrapped__(5)
        shapes = [(5, 2), (5, 2), (40, lanes), lanes]
        compiled(
            np.zeros((40, lanes), np.int16),
            0,
            0,
            40,
            40,
            np.ones(lanes, np.float32),
            *map(np.float32, map(np.zeros, shapes)),
        )
        assert not known or sum(compiled.stats.cache_hits.values()) == 1


def test_a_negative_gain_turns_the_signal_over(codes):
    upright, inverted = sc.NumpyRecording([codes], RATE), sc.NumpyRecording([4096 - codes], RATE)
    for recording, gain in ((upright, 2.0), (inverted, -2.0)):
        recording.set_channel_gains(gain)
        recording.set_channel_offsets(0.0)
    one, two = (filtered_traces(recording, CONFIG, 0, 5000) for recording in (upright, inverted))
    np.testing.assert_allclose(one, two, atol=1e-3)


@pytest.mark.parametrize("dtype", [">i2", ">u2", ">f4", "float16", "uint8", "int32", "float64"])
def test_samples_of_any_type_give_the_same_peaks(dtype):
    x = np.random.default_rng(0).integers(0, 256, (5000, 3))
    wanted = search(np.full(3, 40.0))
    expected = everything(sc.NumpyRecording([x.astype(np.int16)], RATE), wanted)
    assert len(expected[0]) > 10
    for one, two in zip(everything(sc.NumpyRecording([x.astype(dtype)], RATE), wanted), expected):
        np.testing.assert_array_equal(one, two)


def test_a_recording_shorter_than_the_margin_is_filtered_as_scipy_does():
    x = np.random.default_rng(0).standard_normal((150, 2)).astype(np.float32)
    expected = scipy.signal.sosfiltfilt(FILTER.sos, x.astype(np.float64), axis=0)
    np.testing.assert_allclose(filtered_traces(sc.NumpyRecording([x], RATE), CONFIG, 0, 150), expected, atol=1e-4)
