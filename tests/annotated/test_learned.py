"""A learned detector as the option of notebook 1: troughs alone, an operating point that holds, windows as before."""

import numpy as np
import pytest
import spikeinterface.core as sc

from meagan_lib import InputError
from meagan_lib.annotated import detector as module
from meagan_lib.annotated import learned as learning
from meagan_lib.annotated.chip import split_spans
from meagan_lib.annotated.detector import DetectorConfig, find
from meagan_lib.annotated.learned import AtTroughs, Learned, LearnedConfig, require_learnable
from meagan_lib.annotated.upside_down import UpsideDown
from meagan_lib.windows.cutting import WindowConfig, cut_windows
from meagan_lib.windows.detection import DetectionConfig, filtered_traces
from meagan_lib.windows.detectors import require_detector
from meagan_lib.windows.spike_windows import Split

TINY = DetectorConfig(width=4, dilations=(1, 2), pieces=400, length=64, steps=120, batch_size=16)
DETECTION = DetectionConfig(threshold_mad=4.0)


@pytest.fixture(scope="module")
def learned(recording):
    return Learned.of(recording, DETECTION, WindowConfig(), LearnedConfig(1.0, detector=TINY))


def test_detections_are_troughs_and_their_place_depends_on_no_block(recording, learned, monkeypatch):
    score = AtTroughs(learned.detector)
    spans, noise = np.array([[0, 9_000]]), learned.chip.noise
    one = find(recording, DETECTION, noise, score, spans, score.reach, learned.limit)
    monkeypatch.setattr(module, "BLOCK", 1_111)
    other = find(recording, DETECTION, noise, score, spans, score.reach, learned.limit)
    assert len(one.frame) and np.array_equal(one.frame, other.frame) and np.array_equal(one.channel, other.channel)
    traces = filtered_traces(recording, DETECTION, 0, 9_010)
    inner = one.frame > 2
    near = traces[one.frame[inner, None] + np.arange(-2, 3), one.channel[inner, None]]
    assert (near.argmin(axis=1) == 2).all() and (near[:, 2] < 0).all()
    for channel in range(len(learned.chip.noise)):
        apart = np.diff(one.frame[one.channel == channel])
        assert (apart > DETECTION.dead(recording.get_sampling_frequency())).all()


def test_more_true_spikes_are_found_than_by_the_threshold_at_nearly_the_asked_false_positives(learned, truth):
    scores = learned.against_truth(truth).query("depth == 'all'").set_index("detector")
    assert scores.loc["learned", "recall"] > scores.loc["threshold", "recall"]
    assert 0.4 < scores.loc["learned", "false positives"] / learned.config.false_positives < 2.5
    assert learned.null.rate(learned.limit) <= learned.config.false_positives


def test_the_operating_point_is_set_in_the_training_time(recording, learned, monkeypatch):
    searched = []
    monkeypatch.setattr(learning, "upside_down", lambda chip, score, spans, *_: searched.append(spans))
    learning.calibrate(learned.chip, AtTroughs(learned.detector), learned.chip.noise, 1.0)
    ((first, end),) = split_spans(recording, learned.chip.config, Split.TRAIN)
    assert searched[0].min() >= first and searched[0].max() <= end


def test_windows_are_cut_around_what_it_found_and_say_so(recording, learned):
    windows = cut_windows(recording, DETECTION, WindowConfig(), known=learned.peaks)
    assert windows.detection["detector"] == "learned" and windows.detection["false_positives"] == 1.0
    np.testing.assert_array_equal(windows.ledger.frame, learned.found.frame)
    depth = -windows.windows[:, windows.pre_samples] / windows.noise_mad[windows.channel]
    assert (depth < DETECTION.threshold_mad).any()
    who = learned.agreement(windows.ledger)
    assert len(who["both"]) + len(who["threshold alone"]) == len(learned.chip.windows.ledger.frame)
    assert len(who["both"]) + len(who["detector alone"]) == pytest.approx(len(windows.ledger.frame), abs=5)


def test_an_operating_point_leaves_as_many_as_are_allowed():
    null = UpsideDown(np.array([5.0, 3.0, 2.0, 1.0], np.float32), exposure=10.0)
    assert null.score(0.2) == 2.0 and null.rate(2.0) == 0.2 and null.score(0.01) == 5.0


def test_what_cannot_be_learned_is_refused_with_one_sentence(recording):
    with pytest.raises(InputError, match="did you mean 'learned'"):
        require_detector("lerned", 0.05)
    with pytest.raises(InputError, match="cut already"):
        require_detector("learned", 0.05, voltage=False)
    with pytest.raises(InputError, match="false_positives is 0"):
        require_detector("learned", 0.0)
    with pytest.raises(InputError, match="positions: name a file that has them, or set detector to threshold"):
        require_learnable(sc.NumpyRecording([np.zeros((9, 9), np.int16)], 1e4))
    with pytest.raises(InputError, match="no detector can be learned here, for 0 spikes.*set detector to threshold"):
        Learned.of(recording, DetectionConfig(threshold_mad=500.0), WindowConfig())
