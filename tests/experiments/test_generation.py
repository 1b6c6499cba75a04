"""The gate asks of generated windows what was asked of real ones, and moment matching treats every network alike."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meagan_lib.experiments.generation import MOST_DRAWN, draw_by_class, draw_synthetic, moment_matching
from meagan_lib.windows.cutting import Isolation, WindowConfig, cut_windows
from meagan_lib.windows.detection import DetectionConfig
from meagan_lib.windows.gate import Gate, second_trough
from meagan_lib.windows.normalisation import Standardiser
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from tests.fixtures import spikes


@pytest.mark.parametrize("isolation", [Isolation(), Isolation(guard_mad=0.0), Isolation.thesis()])
def test_real_windows_pass_the_gate(recording, isolation):
    windows = cut_windows(recording, DetectionConfig(), WindowConfig(isolation=isolation))
    gate = Gate.of(windows)
    assert gate.passes(windows.of(Split.TRAIN)).mean() >= 0.999
    if isolation == Isolation():
        assert gate.passes(windows.windows).all() and gate.aligned.sum() == 1
        assert (gate.threshold_mad, gate.guard_mad) == (5.0, 3.5)


def test_what_detection_would_have_refused_is_refused(windows):
    gate, real = Gate.of(windows), windows.of(Split.TEST)
    shallow = real * (0.99 * 5.0 * gate.noise_mad[0] / -real.min(axis=1, keepdims=True))
    assert not gate.passes(shallow).any(), "no electrode has so little noise"
    assert not gate.passes(np.roll(real, 1, axis=1)).any(), "the trough is not the aligned sample"
    second = real.copy()
    second[:, 10] = -0.9 * -real.min(axis=1)
    second[:, 9] = second[:, 11] = 0
    assert gate.passes(second).mean() < gate.passes(real).mean() == 1, "a second trough"


def test_a_window_passes_where_one_electrode_would_have_accepted_it():
    """Depth over threshold and second trough over guard must leave room for one noise level."""
    gate = Gate(np.ones(40, bool), np.array([1.0, 10.0]), threshold_mad=5.0, guard_mad=3.5, dead=2)
    window = np.zeros((1, 40))
    window[0, 20] = -20
    assert gate.passes(window)
    window[0, 10] = -4  # more than 3.5 × 1, and 20 is less than 5 × 10
    assert not gate.passes(window)
    window[0, 20] = -60
    assert gate.passes(window), "on the noisier electrode it is a spike, and its second trough is noise"


def test_what_is_larger_than_an_artefact_is_refused_and_a_rule_that_real_windows_break_is_not_asked(windows):
    real = windows.of(Split.TRAIN)
    largest = float(np.abs(real).max())
    gate = Gate.of(replace(windows, detection=windows.detection | {"artefact": largest}))
    assert gate.artefact == largest and gate.passes(real).all()
    assert not gate.passes(real[np.abs(real).max(axis=1) > 0.9 * largest] * 1.2).any()
    broken = Gate.of(replace(windows, detection=windows.detection | {"artefact": largest / 3}))
    assert broken.artefact == np.inf and broken.passes(real).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_the_second_trough_is_the_deepest_other_one(seed, dead):
    window = np.random.default_rng(seed).standard_normal(40).astype(np.float32)
    lowest, found = window.argmin(), [0.0]
    for j in range(dead, 40 - dead):
        around = window[j - dead : j + dead + 1]
        if window[j] == around.min() and abs(j - lowest) > dead:
            found.append(-window[j])
    assert second_trough(window[None], dead)[0] == pytest.approx(max(found))


def imported(windows: np.ndarray, pre_samples: int) -> SpikeWindows:
    n = len(windows)
    return SpikeWindows(
        windows,
        np.full(n, -1, np.int32),
        np.full(n, -1, np.int64),
        np.full(n, -1, np.int32),
        (np.arange(n) % 2 * 2).astype(np.uint8),
        10_000.0,
        pre_samples,
        "ADU",
    )


def test_of_imported_windows_only_the_position_of_the_trough_is_asked():
    real = spikes(400, 32)
    at = real.argmin(axis=1)
    aligned = imported(real[at == np.bincount(at).argmax()], int(np.bincount(at).argmax()))
    gate = Gate.of(aligned)
    assert gate.passes(0.01 * aligned.windows).all(), "no depth is known"
    assert not gate.passes(np.roll(aligned.windows, 3, axis=1)).any()
    anywhere = np.stack([np.roll(window, i % 32) for i, window in enumerate(aligned.windows[:200])])
    assert Gate.of(imported(np.repeat(anywhere, 2, axis=0), 16)).passes(spikes(50, 32, 1)).all()


class Half:
    """Draws real windows, of which every second has its trough in the wrong place."""

    def __init__(self, real: np.ndarray, right: float = 0.5):
        self.real, self.right = real, right

    def sample(self, n, seed, labels=None):
        rng = np.random.default_rng(seed)
        drawn = self.real[rng.integers(len(self.real), size=n)]
        wrong = rng.random(n) >= self.right
        drawn[wrong] = np.roll(drawn[wrong], 2, axis=1)
        return drawn


def test_windows_are_drawn_until_as_many_pass_as_there_are_test_windows(windows):
    z = Standardiser.fit(windows.of(Split.TRAIN)).transform(windows.of(Split.TRAIN))
    n = len(windows.of(Split.TEST))
    drawn = draw_synthetic(Half(z), windows, seed=1)
    assert drawn.passes.mean() == pytest.approx(0.5, abs=0.15) and n <= len(drawn.accepted) < 1.6 * n
    np.testing.assert_array_equal(drawn.passes, Gate.of(windows).passes(drawn.windows))
    assert draw_synthetic(Half(z, 1.0), windows).passes.all() and len(draw_synthetic(Half(z, 1.0), windows)) == n
    none = draw_synthetic(Half(z, 0.0), windows)
    assert len(none) == MOST_DRAWN * n and not none.passes.any(), "it ends where nothing passes"
    assert len(none.accepted) == len(none), "and what never passes is scored as it is"


def test_a_class_is_shown_by_its_test_windows_and_by_what_its_label_generates():
    label = np.repeat([7, 3, 5], 60)
    split = np.tile(np.repeat(list(Split), [30, 10, 20]), 3).astype(np.uint8)
    split[:20] = Split.VALIDATION  # unit 7 has fewest windows to train
    windows = replace(imported(spikes(180, 16), 8), label=label.astype(np.int32), split=split)

    class Echo:
        def sample(self, n, seed, labels):
            return np.repeat(labels[:, None], 16, axis=1).astype(np.float32)

    real, drawn = draw_by_class(Echo(), windows, "z_score", "unit", most=2)
    assert list(real) == list(drawn) == ["unit 3", "unit 5"], "the classes with most windows to train"
    back = Standardiser.fit(windows.of(Split.TRAIN)).transform
    for name, unit, index in (("unit 3", 3, 0), ("unit 5", 5, 1)):
        np.testing.assert_array_equal(real[name], windows.windows[(label == unit) & (split == Split.TEST)])
        np.testing.assert_allclose(back(drawn[name]), index, atol=1e-5)


def test_which_windows_pass_is_stored_with_them(windows, tmp_path):
    z = Standardiser.fit(windows.of(Split.TRAIN)).transform(windows.of(Split.TRAIN))
    drawn = draw_synthetic(Half(z), windows, seed=1)
    drawn.save(tmp_path / "synthetic.h5")
    again = SpikeWindows.load(tmp_path / "synthetic.h5")
    np.testing.assert_array_equal(again.passes, drawn.passes)
    windows.save(tmp_path / "windows.h5")
    real = SpikeWindows.load(tmp_path / "windows.h5")
    assert real.passes is None and len(real.accepted) == len(real)


def test_matched_windows_have_the_mean_and_covariance_of_the_training_windows():
    train, generated = spikes(4000, 16), 0.5 * spikes(8000, 16, seed=1) + 3
    drawn = moment_matching(generated[:4000], train)(generated[4000:])
    np.testing.assert_allclose(drawn.mean(axis=0), train.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(train.T), atol=0.2)
    assert np.abs(moment_matching(train, train)(train) - train).max() < 1e-3, "what needs nothing is left as it is"


def test_moment_matching_is_fitted_to_windows_that_are_not_scored(windows, monkeypatch):
    seen = {}
    monkeypatch.setattr(
        "meagan_lib.experiments.generation.moment_matching",
        lambda x, train: seen.setdefault("fitted", x) is None or (lambda w: w),
    )
    z = Standardiser.fit(windows.of(Split.TRAIN)).transform(windows.of(Split.TRAIN))
    noisy = Half(z, 1.0)
    noisy.sample = lambda n, seed: (
        z[:1] + np.random.default_rng(seed).standard_normal((n, z.shape[1])).astype(np.float32)
    )
    drawn = draw_synthetic(noisy, windows, matched=True)
    assert len(seen["fitted"]) == 10_000 and not np.isin(drawn.windows[:, 0], seen["fitted"][:, 0]).any()


def test_the_noise_of_the_gate_is_that_of_the_electrodes_that_gave_training_windows():
    """Of merged recordings, whose channels are counted each from 0."""
    real = imported(spikes(8, 32), 16)
    rule = {"threshold_mad": 5.0, "dead_time_ms": 0.5, "artefact": 0.0, "isolation": {"guard_mad": 0.0}}
    merged = replace(
        real,
        detection=rule,
        split=np.array([0, 0, 0, 0, 1, 2, 2, 2], np.uint8),
        noise_mad=np.float32([1, 2, 3, 4]) / 100,
        noise_recording=np.uint16([0, 0, 1, 1]),
        recording=np.uint16([0, 0, 1, 1, 0, 0, 1, 1]),
        channel=np.int32([1, 1, 0, 0, 0, 0, 1, 1]),
        positions_um=None,
    )
    np.testing.assert_allclose(Gate.of(merged).noise_mad, [0.02, 0.03], rtol=1e-6)
