"""Each planted fault is found, and nothing else; edge cases are judged without a warning."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import spikeinterface.core as sc
import spikeinterface.extractors as se

from meagan_lib import InputError
from meagan_lib.recordings import quality
from meagan_lib.recordings.quality import Verdict, channel_quality

RATE = 20_000.0
SCALE_UV, OFFSET_UV = 2.014, -4125.0


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def codes(seconds: float = 6.0, channels: int = 12, sd: float = 5.0, seed: int = 0) -> np.ndarray:
    """12-bit noise (frames, channels), partly slow, on a drift."""
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    drift = 30 * np.sin(2 * np.pi * 0.7 * np.arange(n) / RATE)
    return 2048 + drift[:, None] + sd * rng.standard_normal((n, channels)) * rng.uniform(0.85, 1.15, channels)


def a_recording(*segments: np.ndarray) -> sc.BaseRecording:
    made = sc.NumpyRecording([np.rint(s).clip(0, 4095).astype(np.uint16) for s in segments], RATE)
    made.set_channel_gains(SCALE_UV)
    made.set_channel_offsets(OFFSET_UV)
    return made


def mains(n: int, hz: float, amplitude: float) -> np.ndarray:
    t = np.arange(n) / RATE
    return amplitude * (np.sin(2 * np.pi * hz * t) + 0.3 * np.sin(2 * np.pi * 3 * hz * t + 1))


def plant(x: np.ndarray, fault: str, channel: int) -> None:
    if fault == "CONSTANT":
        x[:, channel] = 2041
    elif fault == "constant for two thirds":
        x[len(x) // 3 :, channel] = 1900
    elif fault == "constant at the rail":
        x[:, channel] = 4095
    elif fault == "DEAD":
        x[:, channel] = 2048 + 0.1 * (x[:, channel] - x[:, channel].mean())
    elif fault == "flicker":
        x[:, channel] = 2048 + (np.arange(len(x)) % 997 == 0)
    elif fault == "CLIPPED":
        x[:, channel] = 4095 - 10 + 2 * (x[:, channel] - 2048)
    elif fault == "amplifier saturates":
        x[:, channel] = np.maximum(x[:, channel], 2030)
    elif fault == "NOISY":
        x[:, channel] += 20 * np.random.default_rng(1).standard_normal(len(x))
    elif fault.startswith("mains"):
        x[:, channel] += mains(len(x), float(fault.split()[1]), 25)


@pytest.mark.parametrize(
    "fault, verdict",
    [
        ("CONSTANT", Verdict.CONSTANT),
        ("constant for two thirds", Verdict.CONSTANT),
        ("constant at the rail", Verdict.CONSTANT),
        ("DEAD", Verdict.DEAD),
        ("flicker", Verdict.DEAD),
        ("CLIPPED", Verdict.CLIPPED),
        ("amplifier saturates", Verdict.CLIPPED),
        ("NOISY", Verdict.NOISY),
        ("mains 50", Verdict.MAINS),
        ("mains 60", Verdict.MAINS),
        ("mains 49.95", Verdict.MAINS),
    ],
)
@pytest.mark.parametrize("channel", [0, 7])
def test_a_planted_fault_is_found_and_no_other(fault, verdict, channel):
    x = codes()
    plant(x, fault, channel)
    quality = channel_quality(a_recording(x))
    expected = np.zeros(x.shape[1])
    expected[channel] = verdict
    np.testing.assert_array_equal(quality.verdict, expected)
    assert quality.good.sum() == x.shape[1] - 1 and quality.counts()[verdict.name.lower()] == 1
    assert quality.table()[["channel", "verdict"]].values.tolist() == [[channel, verdict.name.lower()]]


def test_all_faults_at_once_and_many_bad_channels():
    x = codes(channels=20)
    faults = ["CONSTANT", "DEAD", "CLIPPED", "NOISY", "mains 50", "CONSTANT", "flicker", "CONSTANT"]
    for channel, fault in enumerate(faults):
        plant(x, fault, channel)
    expected = [1, 2, 3, 4, 5, 1, 2, 1] + [0] * 12
    np.testing.assert_array_equal(channel_quality(a_recording(x)).verdict, expected)


def test_the_rails_may_be_given():
    x = codes()
    x[:, 3] += 2030
    assert channel_quality(a_recording(x), adc_range=(0, 4095)).verdict[3] == Verdict.CLIPPED
    assert channel_quality(a_recording(x), adc_range=(0, 65535)).good.all()


def test_noise_is_in_microvolts_and_right_where_spikes_are_frequent():
    x = codes(seconds=4, channels=8, sd=6.0)
    white = channel_quality(a_recording(x)).noise
    share_of_band = (6000 - 300) / (RATE / 2)
    assert np.median(white) == pytest.approx(6.0 * SCALE_UV * share_of_band**0.5, rel=0.1)
    busy = x.copy()
    busy[::600, 2] -= 150  # 33 spikes a second
    quality = channel_quality(a_recording(busy))
    assert quality.good.all() and quality.noise[2] == pytest.approx(white[2], rel=0.05)


def test_a_simulated_recording_is_healthy(recording):
    quality = channel_quality(recording)
    assert quality.good.all(), quality.table()
    assert quality.mains_db.max() < -5 and quality.clipped_fraction.max() < 1e-3


@pytest.mark.parametrize("value", [0, 2048, 4095])
def test_all_channels_constant(value):
    quality = channel_quality(a_recording(np.full((20_000, 5), value)))
    assert (quality.verdict == Verdict.CONSTANT).all() and (quality.noise == 0).all()
    assert (quality.clipped_fraction == 0).all() and (quality.mains_db == -40).all()


def test_all_channels_dead():
    x = np.full((40_000, 5), 2048.0)
    x[::501] += 1
    quality = channel_quality(a_recording(x))
    assert not quality.good.any() and np.isfinite(quality.mains_db).all() and np.isfinite(quality.noise).all()


def test_one_channel_is_judged_by_itself():
    assert channel_quality(a_recording(codes(1, 1))).good.all()
    x = codes(1, 1)
    plant(x, "mains 50", 0)
    assert channel_quality(a_recording(x)).verdict.tolist() == [Verdict.MAINS]


@pytest.mark.parametrize("samples", [1, 2, 3, 50, 250, 3999])
def test_a_recording_shorter_than_a_block(samples):
    x = codes(channels=6)[:samples]
    x[:, 2] = 2000
    quality = channel_quality(a_recording(x))
    assert quality.verdict[2] == Verdict.CONSTANT and np.isfinite(quality.noise).all()
    if samples >= 250:
        assert quality.good.sum() == 5


def test_no_samples_is_an_input_error():
    with pytest.raises(InputError, match="no samples"):
        channel_quality(a_recording(np.zeros((0, 3))))


def test_segments_of_any_length_count():
    x = codes(3, 4)
    plant(x, "NOISY", 1)
    quality = channel_quality(a_recording(x[:100], x[100:]))
    assert quality.verdict.tolist() == [0, Verdict.NOISY, 0, 0]


def test_floats_without_a_scale_are_judged_too():
    x = (codes(2, 6) - 2048).astype(np.float32) * 1e-3
    plant(x, "CONSTANT", 4)
    assert channel_quality(sc.NumpyRecording([x], RATE)).verdict.tolist() == [0, 0, 0, 0, Verdict.CONSTANT, 0]


def test_the_seed_decides_and_nothing_else(monkeypatch):
    x = codes(8)
    monkeypatch.setattr("meagan_lib.recordings.quality.N_BLOCKS", 5)
    one, again, other = (channel_quality(a_recording(x), seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.noise, again.noise)
    np.testing.assert_array_equal(one.mains_db, again.mains_db)
    assert (one.noise != other.noise).any()
    np.testing.assert_array_equal(one.verdict, other.verdict)


def test_a_real_file_with_a_constant_channel():
    path = Path(os.environ.get("MEAGAN_DATA_MIRROR", "")) / "brw_fixtures" / "biocam_hw3.0_fw1.7.0.12_raw.brw"
    if not path.is_file():
        pytest.skip("set MEAGAN_DATA_MIRROR to a folder with brw_fixtures/")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of neo and probeinterface
        source = se.read_biocam(path)
    quality = channel_quality(source, adc_range=(0, 4095))
    assert quality.verdict[0] == Verdict.CONSTANT and quality.good[1:].all(), quality.table()


@pytest.mark.parametrize("n", [1, 2, 999, 4000])
def test_the_median_is_numpys_to_the_bit(n):
    x = np.abs(np.random.default_rng(n).standard_normal((30, n)).astype(np.float32))
    x[:3, : n // 2] = 0
    x[3:6] = np.round(x[3:6])  # many alike
    np.testing.assert_array_equal(quality.medians(x), np.median(x, axis=1))
