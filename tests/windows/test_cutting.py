"""Isolation, alignment and contamination of windows, reason by reason."""

import json
import shutil
from functools import partial
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import spikeinterface.core as sc
from hypothesis import given, settings
from hypothesis import strategies as st

from meagan_lib import InputError
from meagan_lib.recordings import segments, source_file
from meagan_lib.recordings.opening import ground_truth, open_recording
from meagan_lib.recordings.simulation import SimulationConfig, simulate
from meagan_lib.windows import contamination, filtering
from meagan_lib.windows.contamination import contaminated, contamination_curves, isolated
from meagan_lib.windows.cutting import Isolation, WindowConfig, cut_windows
from meagan_lib.windows.detection import DetectionConfig, filtered_traces, segment_spans
from meagan_lib.windows.filtering import noise_levels
from meagan_lib.windows.spike_windows import Reason
from meagan_lib.workflow.files import SPARE, source_hash
from tests.fixtures import detect
from tests.recordings.test_brw import write_4


def planted(frames, channels=None, depths=None, n_frames=40_000, n_channels=3, shift=0.0) -> sc.BaseRecording:
    """Quiet noise with clean spikes whose troughs stand ``shift`` of a sample behind the given frames."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n_frames, n_channels)).astype(np.float32)
    channels = np.zeros(len(frames), int) if channels is None else channels
    depths = np.full(len(frames), 60.0) if depths is None else depths
    t = np.arange(-40, 41)
    for frame, channel, depth in zip(frames, channels, depths):
        x[frame + t, channel] -= depth * (np.exp(-(((t - shift) / 3) ** 2)))
    recording = sc.NumpyRecording([x], 20_000)
    recording.annotate(files=[])
    recording.set_dummy_probe_from_locations(np.array([[0.0, 0.0], [42.0, 0.0], [84.0, 0.0]])[:n_channels])
    return recording


def reasons_of(recording, frames, bad=None, **config) -> list[str]:
    """What became of the peaks near ``frames``."""
    isolation = Isolation(**{k: config.pop(k) for k in list(config) if k in Isolation.__dataclass_fields__})
    windows = cut_windows(recording, DetectionConfig(), WindowConfig(isolation=isolation, **config), bad=bad)
    ledger = windows.ledger
    return [Reason(ledger.reason[np.abs(ledger.frame - f).argmin()]).name for f in frames]


def stretched(tmp_path, frames, toc, offsets=(0, 0, 0)) -> sc.BaseRecording:
    """A BRW file with stretches of time at codes of their own, and spikes at true frames on both its electrodes."""
    sizes = np.diff(toc)[:, 0]
    noise = np.random.default_rng(0).normal(0, 4, (sizes.sum(), 2))
    codes = 2048 + np.repeat(offsets[: len(toc)], sizes)[:, None] + noise
    time = np.concatenate([np.arange(*row) for row in toc])
    for frame in frames:
        codes -= 200 * np.exp(-(((time - frame) / 3) ** 2))[:, None]
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.brw"
    write_4(path, {"A1": [0, 1]}, n_frames=len(codes), toc=toc)
    with h5py.File(path, "r+") as file:
        file["Well_A1/Raw"][:] = np.rint(codes).astype(np.uint16).ravel()
    recording = open_recording(path)
    np.testing.assert_array_equal(segment_spans(recording), np.array(toc) - toc[0][0])
    return recording


def test_a_gap_makes_no_spike_and_frames_tell_the_true_time(tmp_path):
    toc = [[0, 20_000], [50_000, 70_000], [70_010, 90_000]]
    frames = [5_000, 60_000, 65_000, 80_000]
    recording = stretched(tmp_path, frames, toc, (0, 900, -900))
    windows = cut_windows(recording, DetectionConfig(), WindowConfig())
    for channel in (0, 1):
        assert windows.frame[windows.channel == channel] == pytest.approx(frames, abs=1)
    assert np.abs(windows.ledger.frame[:, None] - frames).min(axis=1).max() < 40
    assert windows.stretches.tolist() == [[0, *row] for row in toc]
    np.testing.assert_array_equal(detect(recording, DetectionConfig()).frame, windows.ledger.frame)


def test_no_window_and_no_isolation_reaches_over_a_gap(tmp_path):
    toc = [[0, 20_000], [20_001, 40_000]]
    fates = reasons_of(stretched(tmp_path, [19_965, 20_015, 39_990], toc), [19_965, 20_015, 39_990])
    assert fates == ["KEPT", "EDGE_OF_RECORDING", "EDGE_OF_RECORDING"]
    assert reasons_of(stretched(tmp_path, [19_965, 20_000], [[0, 40_000]]), [19_965]) == ["NEXT_TOO_CLOSE"]


def test_what_was_recorded_is_shared_out_among_the_splits_and_no_gap(tmp_path):
    frames = [*range(1_000, 20_000, 1_000), *range(901_000, 920_000, 1_000)]
    recording = stretched(tmp_path, frames, [[0, 20_000], [900_000, 920_000]])
    windows = cut_windows(recording, DetectionConfig(), WindowConfig(split_fractions=(0.5, 0.25, 0.25)))
    split = windows.split[windows.channel == 0]
    assert split.tolist() == [0] * 19 + [1] * 9 + [2] * 9  # the one at the edge between the last two is left out


def test_stretches_of_a_few_frames_are_no_trouble(tmp_path):
    toc = [[0, 1], [10, 15], [100, 20_000], [30_000, 30_900]]
    windows = cut_windows(stretched(tmp_path, [8_000, 30_025], toc, (0,) * 4), DetectionConfig(), WindowConfig())
    assert windows.frame == pytest.approx([8_000, 8_000], abs=1)
    alone = stretched(tmp_path, [8_000], [[100, 20_000]])
    expected = noise_levels(alone, DetectionConfig().filter(alone.get_sampling_frequency()), seed=0)
    np.testing.assert_allclose(windows.noise_mad, expected * 16_000 / 4095, rtol=0.05)
    with pytest.raises(InputError, match="noise level cannot be measured"):
        cut_windows(stretched(tmp_path, [], [[0, 500], [900, 1_200]]), DetectionConfig(), WindowConfig())


def test_each_rule_of_isolation_drops_its_peaks():
    frames = [5000, 5030, 15_000]
    recording = planted(frames)
    assert reasons_of(recording, frames) == ["NEXT_TOO_CLOSE", "PREVIOUS_TOO_CLOSE", "KEPT"]
    assert reasons_of(recording, frames, sides="next", guard_mad=0.0) == ["NEXT_TOO_CLOSE", "KEPT", "KEPT"]
    assert Isolation.thesis() == Isolation(2.0, "next", 0.0, 0.0)
    with pytest.raises(InputError, match="choose one of both, next"):
        Isolation(sides="nearest")


def test_a_second_trough_below_the_threshold_of_detection_spoils_a_window():
    recording = planted([5000, 5025, 15_000], depths=[60.0, 6.0, 60.0])
    noise = noise_levels(recording, DetectionConfig().filter(20_000), seed=0)[0]
    second = -filtered_traces(recording, DetectionConfig(), 5015, 5035)[:, 0].min() / noise
    assert 2.0 < second < 5.0
    for guard_mad, fate in ((0.9 * second, "GUARD_PEAK_IN_WINDOW"), (1.1 * second, "KEPT"), (0.0, "KEPT")):
        assert reasons_of(recording, [5000], guard_ms=0.0, guard_mad=guard_mad) == [fate]


def test_other_electrodes_disturb_only_when_asked():
    frames, channels = [5000, 5030, 15_000, 15_003, 25_000, 25_030], [0, 1, 0, 1, 0, 2]
    recording = planted(frames, channels)
    assert set(reasons_of(recording, frames)) == {"KEPT"}
    # 15 000 and 15 003 are one spike on two electrodes; channel 2 is 84 µm away.
    assert reasons_of(recording, frames, neighbours_um=50.0) == ["NEIGHBOUR_ACTIVE"] * 2 + ["KEPT"] * 4
    bare = sc.NumpyRecording([recording.get_traces()], 20_000)
    bare.annotate(files=[])
    with pytest.raises(InputError, match="positions"):
        reasons_of(bare, frames, neighbours_um=50.0)


def test_artefacts_clipped_windows_bad_channels_and_edges_have_their_own_reasons():
    frames, channels, depths = [25, 5000, 15_000, 39_975], [0, 0, 1, 0], [60, 60, 600, 60]
    recording = planted(np.clip(frames, 40, 39_959), channels, depths)
    assert reasons_of(recording, [5000, 15_000], artefact=300.0) == ["KEPT", "ARTEFACT"]
    with pytest.raises(InputError, match="artefact is -300"):
        WindowConfig(artefact=-300.0)
    bad = np.array([True, False, False])
    assert reasons_of(recording, [5000, 15_000], bad=bad) == ["BAD_CHANNEL", "KEPT"]
    codes = (recording.get_traces() + 300).clip(0, 1000).astype(np.uint16)
    clipped = sc.NumpyRecording([codes], 20_000)
    clipped.annotate(files=[], adc_range=(0, 4095))
    assert reasons_of(clipped, [5000, 15_000], guard_mad=0.0) == ["KEPT", "CLIPPED"]
    near = planted([45, 20_000, 39_955])
    assert reasons_of(near, [45, 20_000, 39_955], window_ms=5.0) == ["EDGE_OF_RECORDING", "KEPT", "EDGE_OF_RECORDING"]


def test_of_a_fixed_channel_alone_spikes_become_windows_and_the_others_are_accounted_for(tmp_path):
    frames, channels = [5000, 9000, 15_000, 15_030, 25_000], [0, 1, 1, 1, 2]
    recording = planted(frames, channels)
    fates = reasons_of(recording, frames, channel=1)
    assert fates == ["OTHER_CHANNEL", "KEPT", "NEXT_TOO_CLOSE", "PREVIOUS_TOO_CLOSE", "OTHER_CHANNEL"]
    windows = cut_windows(recording, DetectionConfig(), WindowConfig(channel=1), path=tmp_path / "windows.h5")
    assert set(windows.channel) == {1} and windows.detection["channel"] == 1
    assert windows.ledger.counts()["other channel"] == 2
    bad = np.array([True, False, False])  # what is no spike is none for the network either
    assert reasons_of(recording, frames, channel=1, bad=bad)[0] == "BAD_CHANNEL"
    everywhere = cut_windows(recording, DetectionConfig(), WindowConfig())
    assert "channel" not in everywhere.detection and "other channel" not in everywhere.ledger.counts()
    np.testing.assert_array_equal(windows.windows, everywhere.windows[everywhere.channel == 1])


@pytest.mark.parametrize("channel", [-2, 3])
def test_a_channel_that_does_not_exist_is_refused_with_those_that_do(channel):
    with pytest.raises(InputError, match=f"no channel {channel}: this recording has 3, numbered from 0 to 2"):
        cut_windows(planted([5000]), DetectionConfig(), WindowConfig(channel=channel))


@given(st.lists(st.integers(100, 39_900), min_size=1, max_size=60, unique=True), st.floats(0.6, 10.0))
@settings(max_examples=25, deadline=None)
def test_kept_peaks_have_no_neighbour_within_the_guard(frames, guard_ms):
    recording = planted(sorted(frames), n_channels=1)
    ledger = cut_windows(recording, DetectionConfig(), WindowConfig(isolation=Isolation(guard_ms))).ledger
    for i in np.flatnonzero(ledger.reason == Reason.KEPT):
        others = np.delete(ledger.frame, i)
        assert len(others) == 0 or np.abs(others - ledger.frame[i]).min() > round(guard_ms * 20)


@pytest.mark.parametrize("shift", [-0.4, -0.2, 0.0, 0.1, 0.3, 0.5])
def test_interpolation_puts_the_trough_in_the_middle(shift):
    frames = np.arange(1000, 39_000, 1000)
    recording = planted(frames, shift=shift)
    middle = {}
    for alignment in ("trough", "interpolated"):
        config = WindowConfig(
            alignment=alignment, isolation=Isolation(guard_mad=0.0), split_fractions=(0.98, 0.01, 0.01)
        )
        windows = cut_windows(recording, DetectionConfig(), config)
        assert windows.detection["alignment"] == alignment
        mean = windows.windows.mean(axis=0)
        left, here, right = mean[31:34]
        middle[alignment] = 0.5 * (left - right) / (left - 2 * here + right)  # vertex of the parabola
    expected = shift if shift < 0.5 else None
    assert abs(middle["interpolated"]) < 0.03
    if expected is not None:
        assert middle["trough"] == pytest.approx(expected, abs=0.1)


def test_contamination_is_low_by_default_and_higher_by_the_rule_of_the_thesis(tmp_path):
    recording = open_recording(simulate(SimulationConfig(duration_s=30.0), tmp_path / "chip.brw"))
    truth, detection = ground_truth(recording), DetectionConfig()
    windows = cut_windows(recording, detection, WindowConfig(), truth)
    of_thesis = isolated(windows.ledger)["as the thesis words it"]  # as the next test finds
    peaks = windows.ledger.frame[of_thesis], windows.ledger.channel[of_thesis]
    by_default, by_thesis = (contaminated(windows, truth, detection, which).mean() for which in (None, peaks))
    assert by_default <= 0.012 < by_thesis


def test_the_ledger_tells_what_the_rule_of_the_thesis_would_have_kept(recording, detection, truth, windows):
    as_worded = cut_windows(recording, detection, WindowConfig(isolation=Isolation.thesis()), truth)
    worded, run = isolated(windows.ledger).values()
    assert worded.sum() > run.sum()
    alone = np.isin(as_worded.ledger.reason, [Reason.KEPT, Reason.EDGE_OF_SPLIT])
    for column in ("frame", "channel"):
        np.testing.assert_array_equal(getattr(windows.ledger, column)[worded], getattr(as_worded.ledger, column)[alone])
    np.testing.assert_array_equal(*isolated(as_worded.ledger).values())
    kept = as_worded.ledger.reason == Reason.KEPT
    np.testing.assert_array_equal(
        contaminated(windows, truth, detection, peaks=(as_worded.ledger.frame[kept], as_worded.ledger.channel[kept])),
        contaminated(as_worded, truth, detection),
    )


def test_the_curves_of_contamination_are_those_of_the_windows_and_estimate_the_noise_once(
    recording, detection, truth, monkeypatch
):
    estimated, estimate = [], filtering.noise_levels
    monkeypatch.setattr(contamination, "GUARDS_MS", (2.0, 8.0))
    monkeypatch.setattr(filtering, "noise_levels", lambda *args: estimated.append(args) or estimate(*args))
    curves = contamination_curves(recording, detection, WindowConfig(), truth, seed=0)
    assert len(estimated) == 1 and len(curves) == 3
    for rule, curve in zip((Isolation.thesis(8.0), Isolation(8.0, guard_mad=0.0), Isolation(8.0)), curves.values()):
        windows = cut_windows(recording, detection, WindowConfig(isolation=rule), truth)
        expected = len(windows) / len(windows.ledger.frame), contaminated(windows, truth, detection).mean()
        assert (curve["kept"][1], curve["contaminated"][1]) == pytest.approx(expected)
    without = contamination_curves(recording, detection, WindowConfig(isolation=Isolation(guard_mad=0.0)), truth, 0)
    assert list(without) == list(curves)[:2]


def test_a_file_written_as_windows_come_is_the_one_that_is_saved(recording, detection, truth, windows, tmp_path):
    again = cut_windows(recording, detection, WindowConfig(), truth, path=tmp_path / "windows.h5")
    for name in ("windows", "channel", "frame", "label", "split", "noise_mad"):
        np.testing.assert_array_equal(getattr(again, name), getattr(windows, name))
    np.testing.assert_array_equal(again.ledger.reason, windows.ledger.reason)
    assert again.detection == json.loads(json.dumps(windows.detection))


def test_a_disk_that_fills_while_windows_are_cut_or_saved_is_told_and_what_stood_there_stays(
    recording, detection, windows, tmp_path, monkeypatch
):
    """HDF5 ends the process where the disk is full while it writes."""
    path, free = tmp_path / "windows.h5", SPARE + 1000
    path.write_text("of an earlier run")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=2**30, free=free))
    for write in (partial(cut_windows, recording, detection, WindowConfig(), path=path), partial(windows.save, path)):
        with pytest.raises(InputError, match=r"the disk is full: \d+ MB are needed"):
            write()
        assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("windows.h5", "of an earlier run")]


def test_a_recording_that_repeats_itself_leaves_no_windows_and_takes_none_away(detection, tmp_path):
    once = planted(range(500, 40_000, 1000)).get_traces()
    recording = sc.NumpyRecording([np.tile(once, (10, 1))], 20_000)
    recording.annotate(files=[])
    (tmp_path / "windows.h5").write_text("of an earlier run")
    for path in (None, tmp_path / "windows.h5"):
        with pytest.raises(InputError, match="windows have a copy .*: the recording repeats itself") as told:
            cut_windows(recording, detection, WindowConfig(), path=path)
        found, of = (int(number) for number in str(told.value).partition(" windows")[0].split(" of "))
        assert found > 0.9 * of > 300  # the filter rounds one signal in several ways
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("windows.h5", "of an earlier run")]


def test_windows_and_provenance_are_the_same_past_the_systems_cache(tmp_path, monkeypatch):
    recording = stretched(tmp_path, [3000, 30_000, 95_000], [[0, 40_000], [70_000, 120_000]])
    found = {}
    for large in (False, True):
        monkeypatch.setattr(source_file, "is_large", lambda size, large=large: large)
        monkeypatch.setattr(segments, "is_large", lambda size, large=large: large)
        opened = open_recording(recording.get_annotation("files")[0])
        assert (opened.get_annotation("piece_bytes") is None) == large
        found[large] = cut_windows(opened, DetectionConfig(), WindowConfig(), min_train=None)
    assert len(found[True]) and found[True].source_hashes == found[False].source_hashes
    assert found[True].source_hashes == [source_hash(recording.get_annotation("files")[0])]
    np.testing.assert_array_equal(found[True].windows, found[False].windows)
    np.testing.assert_array_equal(found[True].frame, found[False].frame)
