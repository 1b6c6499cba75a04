"""Detectors: blocks change nothing, painted spikes stand where the labels say, held-out spikes are found."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from meagan_lib import InputError
from meagan_lib.annotated import detector as module
from meagan_lib.annotated.chip import Chip, split_spans
from meagan_lib.annotated.detector import POSITIVE, Detections, Detector, DetectorConfig, find, paint_pieces, threshold
from meagan_lib.annotated.held_out import HeldOut, hybrid
from meagan_lib.annotated.operating import TrueSpikes, operating_curve
from meagan_lib.annotated.painters import Template
from meagan_lib.annotated.painting import fade
from meagan_lib.evaluation.statistics import wilson
from meagan_lib.windows.cutting import Isolation, WindowConfig
from meagan_lib.windows.detection import DetectionConfig, filtered_traces
from meagan_lib.windows.spike_windows import Split

TINY = DetectorConfig(width=8, dilations=(1, 2, 4), pieces=500, length=64, steps=150, batch_size=16)


@pytest.fixture(scope="module")
def chip(recording, truth):
    config = WindowConfig(isolation=Isolation(guard_ms=1.0, guard_mad=0.0), footprint_um=45.0)
    return Chip.of(recording, DetectionConfig(threshold_mad=4.5), config, n_backgrounds=500, truth=truth)


@pytest.fixture(scope="module")
def fitted(chip):
    return Detector.fit(chip, Template.fit(chip), TINY)


def test_a_threshold_finds_the_peaks_that_detection_finds(recording, detection, windows):
    noise, peaks = windows.noise_mad, windows.ledger
    found = find(recording, detection, noise, threshold, floor=detection.threshold_mad)
    assert np.array_equal(found.frame, peaks.frame) and np.array_equal(found.channel, peaks.channel)
    np.testing.assert_allclose(found.score, -peaks.amplitude / noise[peaks.channel], rtol=1e-3)


def test_blocks_and_groups_of_channels_change_nothing(recording, chip, fitted, monkeypatch):
    spans = np.array([[3_000, 9_000]])
    one = find(recording, chip.detection, chip.noise, fitted, spans, TINY.reach)
    monkeypatch.setattr(module, "BLOCK", 1_111)
    monkeypatch.setattr(module, "CHANNELS", 5)
    other = find(recording, chip.detection, chip.noise, fitted, spans, TINY.reach)
    assert np.array_equal(one.frame, other.frame) and np.array_equal(one.channel, other.channel)
    np.testing.assert_allclose(one.score, other.score, atol=1e-2)


def test_nothing_is_found_in_no_time_or_on_a_dead_electrode(recording, chip):
    noise = np.where(np.arange(len(chip.noise)) == 3, 0, chip.noise)
    assert 3 not in find(recording, chip.detection, noise, threshold, np.array([[0, 3_000]])).channel
    assert not len(find(recording, chip.detection, noise, threshold, np.zeros((0, 2), np.int64)).frame)


def test_a_logit_depends_on_its_reach_and_not_on_its_place():
    network = module.DetectorNetwork(3, TINY)
    x = torch.randn(1, 3, 2 * TINY.reach + 20)
    logits = network(x)
    assert logits.shape == (1, 20)
    torch.testing.assert_close(network(x[:, :, 5:-4]), logits[:, 5:-4])
    torch.testing.assert_close(network(x[:, :, 7 : 8 + 2 * TINY.reach]), logits[:, 7:8])


def test_painted_troughs_stand_where_the_labels_say(chip):
    config = replace(TINY, depth=(8.0, 8.0), spikes=1, own=1.0)
    painted = paint_pieces(chip, Template.fit(chip), config)
    piece, sample = np.nonzero(painted.label == POSITIVE)
    there = painted.pieces[piece, 0, sample + config.reach]
    assert 0.6 < len(np.unique(piece)) / config.pieces < 0.8  # some have none
    assert there.mean() == pytest.approx(-8, abs=0.4)
    counts = np.bincount(sample, minlength=config.length)
    assert (counts > 0).mean() > 0.9, "no place of a piece is preferred"


def test_a_spike_is_seen_from_the_electrodes_around_it(chip):
    config = replace(TINY, own=0.0, spikes=1, depth=(12.0, 12.0))
    painted = paint_pieces(chip, Template.fit(chip), config)
    quiet = paint_pieces(chip, Template.fit(chip), replace(config, depth=(1e-6, 1e-6)))
    piece, sample = np.nonzero(painted.label == POSITIVE)
    added = (painted.pieces - quiet.pieces)[piece, :, sample + config.reach]
    assert len(piece) > 100 and (added[:, 0] < -0.6 * config.faint[1]).all()
    assert (added[:, 1:].min(axis=1) < added[:, 0] - 1).mean() > 0.5, "it is deeper on its own electrode"


def test_nothing_of_the_test_time_is_painted_into(chip, monkeypatch):
    asked, cut = [], module.footprints_at
    monkeypatch.setattr(module, "footprints_at", lambda *given: asked.append(given) or cut(*given))
    paint_pieces(chip, Template.fit(chip), TINY)
    (first, end), *_ = split_spans(chip.recording, chip.config, Split.TRAIN)
    assert all((frame - reach >= first).all() and (frame + reach <= end).all() for *_, frame, _, reach in asked)


def test_a_detector_beats_the_threshold_on_faint_true_spikes(recording, truth, chip, fitted):
    test = HeldOut.of(chip, truth)
    hits = {
        name: test.search(score, reach).recall(1.0, 3, 5)
        for name, score, reach in (("threshold", threshold, 0), ("learned", fitted, TINY.reach))
    }
    assert hits["learned"][0] > hits["threshold"][0]


def test_an_unknown_faint_spike_of_a_hybrid_is_no_false_positive(chip, truth):
    """Real spikes below the threshold lie between the painted ones: a detector that finds them is not wrong."""
    test = HeldOut.of(chip)
    true = HeldOut.of(chip, truth).true
    frames = {channel: true.frame[true.channel == channel] for channel in range(len(chip.noise))}
    found = find(test.recording, chip.detection, chip.noise, threshold, test.spans, floor=3.5)
    real = [np.abs(frames[c] - f).min(initial=99) < 9 for f, c in zip(found.frame, found.channel)]
    assert (test.curve(found).false > 3.5).sum() > 20 and np.sum(real) > 20
    honest = test.search(threshold, floor=3.5)
    rate = len(honest.false) / honest.exposure
    assert rate < 0.5 * len(test.curve(found).false) / honest.searched


def test_a_detector_is_the_same_bits_twice(chip, fitted):
    x = np.random.default_rng(0).standard_normal((len(chip.noise), 2 * TINY.reach + 50)).astype(np.float32)
    other = Detector.fit(chip, Template.fit(chip), TINY)
    assert np.array_equal(other(x), fitted(x)) and other.config == TINY


def test_a_curve_counts_hits_misses_and_false_positives_of_an_electrode():
    true = TrueSpikes(
        np.array([100, 200, 300, 400, 500]),
        np.array([0, 0, 1, 1, 0], np.int32),
        np.zeros(5, np.int32),
        np.array([4.0, 6.0, 4.0, 2.0, 9.0], np.float32),
        np.array([True, True, False, True, True]),
    )
    found = Detections(  # right, right but faint, other electrode, near a faint one, false, false
        np.array([101, 205, 300, 400, 600, 700]),
        np.array([0, 0, 0, 1, 1, 0], np.int32),
        np.array([5.0, 2.0, 9.0, 8.0, 3.0, 1.0], np.float32),
    )
    curve = operating_curve(found, true, 2.0, 10)
    assert list(curve.false) == [9.0, 3.0, 1.0] and curve.threshold(0.5) == 3.0
    assert curve.recall(0.5) == (1, 4) and curve.recall(1.0) == (2, 4) and curve.recall(1.0, 4, 5) == (1, 2)
    assert curve.recall(1.0, own=True) == (2, 3) and curve.recall(9.0) == (2, 4)
    assert curve.f1(1.0) == pytest.approx(2 * 2 / (2 * 2 + 2 + 2))
    assert replace(curve, searched=4.0).f1(1.0) == pytest.approx(2 * 2 / (2 * 2 + 2 * 2 + 2)), "twice as long"


def test_wilsons_interval_solves_wilsons_equation():
    """At its ends the fraction is 1.96 standard errors of the end away."""
    ends = np.array(wilson(7, 20))
    np.testing.assert_allclose(np.abs(7 / 20 - ends), 1.959964 * np.sqrt(ends * (1 - ends) / 20), rtol=1e-5)
    assert np.isnan(wilson(0, 0)).all()


def test_a_cut_that_is_made_smaller_is_not_more_silent():
    background, cut = np.random.default_rng(0).standard_normal((2, 20_000, 1, 32))
    for gain in (0.2, 0.7, 1.0):
        np.testing.assert_allclose(fade(background, cut, gain=gain).std(axis=0), 1, atol=0.03)


def test_held_out_spikes_of_a_recording_without_truth_are_where_they_were_painted(chip):
    recording, true = hybrid(chip, seed=0)
    traces = filtered_traces(recording, chip.detection, 0, recording.get_num_samples()) / chip.noise
    own = true.own
    error = true.depth + traces[true.frame, true.channel]
    assert own.sum() > 10 and np.abs(np.median(error[own])) < 0.7
    assert ((true.depth[own] > 2.7) & (true.depth[own] < 3)).all()  # painted 3 deep, and filtered once more
    test = HeldOut.of(chip)
    assert test.others and ((test.true.frame >= test.spans[0, 0]) & (test.true.frame < test.spans[0, 1])).all()


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"depth": (5.0, 2.0)}, {"depth": (0.0, 2.0)}])
def test_a_config_that_cannot_work_is_refused(wrong):
    with pytest.raises(InputError):
        DetectorConfig(**wrong)
