"""The split in time, scaling, the file of spike windows, and several recordings in one."""

import json
import time
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meagan_lib import InputError
from meagan_lib.windows.normalisation import Standardiser, fit_normalisation
from meagan_lib.windows.spike_windows import Ledger, Reason, SpikeWindows, Split, intervals_ms, spike_counts
from meagan_lib.windows.splits import LEAST, merge, require_apart, require_enough, split_in_time
from meagan_lib.workflow.files import sha256
from tests.fixtures import detect


@given(st.integers(2_000, 100_000), st.integers(2, 100), st.integers(1, 5))
def test_splits_are_more_than_a_window_apart(n_frames, n_samples, cycles):
    frame = np.arange(n_frames)
    if cycles > 1 and 0.1 * n_frames / cycles <= 2 * n_samples:
        with pytest.raises(InputError, match=f"split_cycles is {cycles}, which makes stretches of .*: lower it"):
            split_in_time(frame, n_frames, n_samples, cycles=cycles)
        return
    split, between = split_in_time(frame, n_frames, n_samples, cycles=cycles)
    used_frame, used_split = frame[~between], split[~between]
    changes = np.flatnonzero(np.diff(used_split) != 0)
    assert (np.diff(used_frame)[changes] > n_samples).all()


def test_split_fractions_are_those_asked_for():
    split, _ = split_in_time(np.arange(100_000), 100_000, 64, cycles=3)
    np.testing.assert_allclose(np.bincount(split) / 100_000, [0.6, 0.1, 0.3], atol=1e-3)
    assert (np.diff(split.astype(int)) != 0).sum() == 8
    with pytest.raises(InputError, match="sum 1"):
        split_in_time(np.arange(10), 10, 2, fractions=(0.5, 0.1, 0.1))
    with pytest.raises(InputError, match="split_cycles is 0"):
        split_in_time(np.arange(10), 10, 2, cycles=0)


def test_bins_of_time_begin_with_each_stretch_and_none_crosses_a_gap():
    frame = np.array([0, 9, 10, 24, 25, 100, 109, 110, 119, 120])
    peaks = Ledger(frame, np.arange(10) % 2, np.zeros(10), np.zeros(10, np.uint8))
    begins, counts = spike_counts(peaks, np.array([[0, 26], [100, 121], [200, 205]]), 2, 10)
    assert begins.tolist() == [0, 10, 100, 110]
    assert counts.tolist() == [[1, 1], [1, 0], [1, 1], [1, 1]]


def test_every_peak_is_in_the_ledger_once(windows, recording, detection):
    assert sum(windows.ledger.counts().values()) == len(detect(recording, detection).frame)
    assert windows.ledger.counts()["kept"] == len(windows)


def test_the_trough_stands_in_the_middle(windows):
    assert windows.pre_samples == windows.n_samples // 2 == 32
    kept = windows.ledger.reason == Reason.KEPT
    np.testing.assert_allclose(windows.windows[:, 32], windows.ledger.amplitude[kept], atol=0.05)
    assert (windows.windows[:, 22:43].argmin(axis=1) == 10).mean() > 0.99
    assert windows.time_ms[32] == 0


@pytest.mark.parametrize("duration_ms, samples", [(0.4, 8), (0.01, 1), (3.2, 64)])
def test_a_duration_is_rounded_to_samples_and_never_to_none(windows, duration_ms, samples):
    assert windows.sampling_rate_hz == 20_000
    assert windows.samples_of(duration_ms) == samples


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
    assert again.source_hashes == windows.source_hashes and again.source_hashes[0].startswith("blake3:")


def test_a_file_from_before_blake3_is_read(windows, tmp_path):
    windows.save(tmp_path / "old.h5")
    with h5py.File(tmp_path / "old.h5", "a") as file:
        file.attrs["source_sha256"] = json.dumps(["0" * 64])
        del file.attrs["source_hashes"]
    assert SpikeWindows.load(tmp_path / "old.h5").source_hashes == ["0" * 64]


def test_the_file_keeps_its_contract(windows, tmp_path):
    windows.save(tmp_path / "windows.h5")
    with h5py.File(tmp_path / "windows.h5") as file:
        types = {name: file[name].dtype.name for name in ("windows", "channel", "frame", "label", "split", "recording")}
        assert types == dict(
            windows="float32", channel="int32", frame="int64", label="int32", split="uint8", recording="uint16"
        )
        assert set(file["ledger"]) == {"frame", "channel", "amplitude", "reason", "recording"}
        assert not file["recording"][:].any() and len(json.loads(file.attrs["recordings"])) == 1


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
    with pytest.raises(InputError, match=r"too few isolated spikes: \d+ windows.*relax threshold_mad") as told:
        require_enough(windows, 10**6)
    most = int(str(told.value).rpartition("01_preprocessing.min_train_windows=")[2])
    require_enough(windows, most)
    with pytest.raises(InputError):
        require_enough(windows, most + 1)
    require_enough(windows, 50)
    short = replace(windows, split=np.where(windows.split == Split.TEST, Split.TRAIN, windows.split))
    with pytest.raises(InputError, match=r" 0 to test\), and 50, 5 and 13 are needed"):
        require_enough(short, 50)
    require_enough(short, 0)
    with pytest.raises(InputError, match="0 windows .* and one at least is needed"):
        require_enough(part_of(0, 0), 0)
    with pytest.raises(InputError, match="nothing in the recording stands out from its noise: take"):
        require_enough(part_of(0, 0, dropped=0), 0)


def test_no_advice_is_given_that_would_not_do(windows):
    few = replace(windows, split=np.repeat(Split, [*LEAST[:2], len(windows) - sum(LEAST[:2])]).astype(np.uint8))
    with pytest.raises(InputError, match=f"01_preprocessing.min_train_windows={LEAST[0]}$"):
        require_enough(few, 200)
    require_enough(few, LEAST[0])
    fewer = replace(few, split=np.where(np.arange(len(windows)) == 0, Split.TEST, few.split))
    for minimum in (1, LEAST[0], 200):  # what cannot be compared is not advised, nor taken
        with pytest.raises(InputError, match="19 to train.* needed: use a longer") as told:
            require_enough(fewer, minimum)
        assert "min_train_windows" not in str(told.value)
    with pytest.raises(InputError, match=r"too few windows: .* needed: add windows, or make do .*=20$"):
        require_enough(replace(few, ledger=None), 200)


SHARED = "have a copy in another one of training, validation and test"


@given(st.integers(0, 999), st.sampled_from([(0, 1), (0, 2), (1, 2)]), st.sampled_from([0.0, 1.0]))
def test_no_window_of_one_split_equals_one_of_another(seed, splits, zero):
    own = part_of(40, seed)
    own.split[:4] = np.repeat(splits, 2)
    require_apart(own)
    own.windows[1], own.windows[3] = own.windows[0], own.windows[2]
    require_apart(own)  # copies within a split are as they were recorded
    own.windows[:3] *= zero
    own.windows[2] = -own.windows[0] if zero == 0 else own.windows[0]  # −0 is 0
    with pytest.raises(InputError, match=f"3 of 40 windows {SHARED}.*: the recording repeats itself"):
        require_apart(own)
    with pytest.raises(InputError, match="keep one of each"):
        require_apart(replace(own, ledger=None))


def test_copies_are_left_out_as_the_refusal_says():
    own = replace(part_of(60, 0), ledger=None)
    own.windows[30:40] = own.windows[:10]
    with pytest.raises(InputError, match=SHARED) as told:
        require_apart(own)
    kept = eval(str(told.value).rpartition("the rows ")[2], {"numpy": np, "windows": own.windows})
    assert kept.tolist() == [*range(30), *range(40, 60)]
    require_apart(replace(own, windows=own.windows[kept], split=own.split[kept], recording=own.recording[kept]))


@pytest.mark.parametrize("by", ["recording", "time"])
def test_recordings_that_share_windows_are_not_merged_across_splits(by):
    parts = {name: part_of(30, seed) for seed, name in enumerate("abc")}
    for own in parts.values():
        own.split[:] = np.repeat(Split, 10)
    parts["c"].windows[-5:] = parts["a"].windows[:5]
    with pytest.raises(InputError, match=f"10 of 90 windows {SHARED}.*: leave all but one of .* 'a', 'c' out"):
        merge(parts, by)
    parts["c"].windows[:5], parts["c"].windows[-5:] = parts["a"].windows[:5], 0
    if by == "time":  # each keeps its own split, so that the copies stand in training together
        assert len(merge(parts, by)) == 90
    else:
        with pytest.raises(InputError, match=SHARED):
            merge(parts, by)


def test_training_windows_that_are_all_alike_are_refused():
    alike = part_of(30, 0)
    train = alike.split == Split.TRAIN
    alike.windows[train] = 1
    with pytest.raises(InputError, match=f"all {train.sum()} training windows are alike"):
        require_apart(alike)
    alike.windows[np.flatnonzero(train)[0]] = 2
    require_apart(alike)


def test_a_hundred_thousand_windows_are_held_apart_in_a_blink():
    own = replace(part_of(100_000, 0, dropped=0), windows=np.random.default_rng(0).random((100_000, 64), np.float32))
    started = time.process_time()
    require_apart(own)
    assert time.process_time() - started < 2  # a tenth of a second; all with all would take minutes


@given(st.floats(-50, 50), st.floats(0.1, 100))
def test_scaling_comes_back_and_keeps_amplitudes(mean, std):
    x = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32) * np.float32(std) + np.float32(mean)
    scale = Standardiser.fit(x)
    np.testing.assert_allclose(scale.inverse(scale.transform(x)), x, rtol=1e-3, atol=1e-3 * (std + abs(mean)))
    ratio = np.ptp(scale.transform(x), axis=1) / np.ptp(x, axis=1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-2)


def test_z_scores_have_mean_zero_and_standard_deviation_one(windows):
    scaled = fit_normalisation("z_score", windows.windows).transform(windows.windows)
    assert (scaled.mean(), scaled.std()) == pytest.approx((0, 1), abs=1e-3)


@given(st.floats(-50, 50), st.floats(0.1, 100))
def test_min_max_fills_minus_one_to_one_and_comes_back(mean, std):
    x = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32) * np.float32(std) + np.float32(mean)
    scale = fit_normalisation("min_max", x)
    scaled = scale.transform(x)
    assert scale.bounded and scaled.min() == pytest.approx(-1, abs=1e-3) and scaled.max() == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(scale.inverse(scaled), x, rtol=1e-3, atol=1e-3 * (std + abs(mean)))


def test_scaling_each_window_by_itself_loses_which_amplitude_went_with_which_shape():
    rng = np.random.default_rng(0)
    x = (rng.uniform(1, 9, (4000, 1)) * rng.standard_normal((4000, 12)) + 5).astype(np.float32)
    scale = fit_normalisation("per_window", x)
    scaled = scale.transform(x)
    np.testing.assert_allclose([scaled.mean(axis=1), scaled.std(axis=1)], [np.zeros(4000), np.ones(4000)], atol=1e-4)
    back = scale.inverse(scaled)
    assert np.quantile(back.std(axis=1), [0.1, 0.9]) == pytest.approx(np.quantile(x.std(axis=1), [0.1, 0.9]), rel=0.05)
    assert abs(np.corrcoef(back.std(axis=1), x.std(axis=1))[0, 1]) < 0.1
    assert np.isfinite(scale.transform(np.zeros((2, 12)))).all()
    with pytest.raises(InputError, match="choose one of z_score, min_max, per_window"):
        fit_normalisation("zscore", x)


def test_classes_count_from_zero_and_name_recording_and_unit():
    merged = merge({"a": part_of(60, 0), "b": part_of(60, 1)}, "time")
    index, of = merged.classes("channel", Split.TRAIN)
    chosen = merged.split == Split.TRAIN
    np.testing.assert_array_equal(of[index], np.stack([merged.recording[chosen], merged.channel[chosen]], axis=1))
    assert set(index) == set(range(len(of))) and len(of) == 6
    np.testing.assert_array_equal(merged.classes_among("channel", Split.TRAIN, of), index)
    np.testing.assert_array_equal(merged.classes_among("channel", Split.TRAIN, of[1:]), index - 1)
    with pytest.raises(InputError, match="choose one of unit, channel"):
        merged.classes("colour", Split.TRAIN)
    unknown = np.full(len(merged), -1, np.int32)
    for by in ("unit", "channel"):
        with pytest.raises(InputError, match=f"{by}s of this recording are not known"):
            replace(merged, label=unknown, channel=unknown).classes(by, Split.TRAIN)


def part_of(n: int, seed: int, channels: int = 3, dropped: int = 2) -> SpikeWindows:
    """Windows of a recording that no other has: each value is drawn anew."""
    rng = np.random.default_rng(seed)
    frame = np.sort(rng.integers(0, 100_000, n + dropped))
    channel = rng.integers(0, channels, n + dropped).astype(np.int32)
    reason = np.r_[np.full(n, Reason.KEPT), np.full(dropped, Reason.NEXT_TOO_CLOSE)].astype(np.uint8)
    kept = reason == Reason.KEPT
    return SpikeWindows(
        windows=rng.standard_normal((n, 8)).astype(np.float32),
        channel=channel[kept],
        frame=frame[kept],
        label=rng.integers(-1, 3, n).astype(np.int32),
        split=rng.integers(0, 3, n).astype(np.uint8),
        sampling_rate_hz=20_000.0,
        pre_samples=4,
        amplitude_unit="uV",
        detection={"guard_ms": 2.0},
        source_hashes=[f"hash {seed}"],
        noise_mad=rng.uniform(1, 2, channels).astype(np.float32),
        ledger=Ledger(frame, channel, rng.standard_normal(n + dropped).astype(np.float32), reason),
    )


SIZES = st.lists(st.integers(0, 60), min_size=3, max_size=9).filter(lambda sizes: sum(n > 0 for n in sizes) >= 3)


@given(SIZES, st.integers(0, 99), st.sampled_from(["recording", "time"]))
def test_a_merge_loses_nothing_and_keeps_its_columns_together(sizes, seed, by):
    parts = {f"r{i}": part_of(n, 100 * seed + i, channels=2 + i) for i, n in enumerate(sizes)}
    merged = merge(parts, by, seed=seed)
    assert merged.recordings == list(parts) and len(merged) == sum(sizes)
    seen: set[int] = set()
    for i, own in enumerate(parts.values()):
        mine = merged.recording == i
        for name in ("windows", "channel", "frame") + (("split",) if by == "time" else ()):
            np.testing.assert_array_equal(getattr(merged, name)[mine], getattr(own, name))
        np.testing.assert_array_equal(merged.noise_mad[merged.noise_recording == i], own.noise_mad)
        for name in ("frame", "channel", "amplitude", "reason"):
            np.testing.assert_array_equal(
                getattr(merged.ledger, name)[merged.ledger.recording == i], getattr(own.ledger, name)
            )
        label = merged.label[mine]
        np.testing.assert_array_equal(label == -1, own.label == -1)
        units = set(label[label >= 0].tolist())
        assert len(units) == len(set(own.label[own.label >= 0].tolist())) and not units & seen
        seen |= units
    kept = merged.ledger.reason == Reason.KEPT
    np.testing.assert_array_equal(merged.ledger.frame[kept], merged.frame)
    np.testing.assert_array_equal(merged.ledger.recording[kept], merged.recording)


@given(SIZES, st.integers(0, 99))
def test_no_recording_straddles_the_split_and_no_split_is_empty(sizes, seed):
    merged = merge({f"r{i}": part_of(n, i) for i, n in enumerate(sizes)}, seed=seed)
    for i in range(len(sizes)):
        assert len(set(merged.split[merged.recording == i])) <= 1
    assert set(merged.split) == set(Split)


def test_recordings_of_the_same_size_are_shared_out_as_asked():
    merged = merge({f"r{i}": part_of(50, i) for i in range(10)})
    assert np.bincount(merged.split).tolist() == [300, 50, 150]
    drawn = {tuple(merge({f"r{i}": part_of(5, i) for i in range(10)}, seed=seed).split) for seed in range(5)}
    assert len(drawn) > 1


def test_merged_windows_survive_their_file(tmp_path):
    merged = merge({name: part_of(n, n) for name, n in (("a", 5), ("b", 9), ("c", 7))})
    merged.save(tmp_path / "windows.h5")
    again = SpikeWindows.load(tmp_path / "windows.h5")
    assert again.recordings == ["a", "b", "c"] and again.source_hashes == ["hash 5", "hash 9", "hash 7"]
    for one, two in ((again, merged), (again.ledger, merged.ledger)):
        assert one.recording.dtype == np.uint16
        np.testing.assert_array_equal(one.recording, two.recording)
    np.testing.assert_array_equal(again.noise_recording, merged.noise_recording)
    assert again.synthetic(np.zeros((2, 8))).recording.tolist() == [0, 0]


def test_recordings_with_the_same_description_are_not_the_same():
    parts = {name: replace(part_of(6, i), source_hashes=[f"hash {i}", "both"]) for i, name in enumerate("ab")}
    assert merge(parts, by="time").recordings == ["a", "b"]


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"sampling_rate_hz": 15_000.0}, "'odd' cannot be merged.*sampling rate in Hz is 15000.0, and theirs 20000.0"),
        ({"windows": np.zeros((6, 10), np.float32)}, "'odd' cannot be merged.*number of samples in a window is 10"),
        ({"amplitude_unit": "ADU"}, "'odd' cannot be merged.*amplitude unit is ADU, and theirs uV"),
        ({"detection": {}}, "'odd' cannot be merged.*detection"),
        ({"source_hashes": ["hash 1"]}, "'odd' and 'b' are the same file"),
        ({"source_hashes": ["hash 1", "its description"]}, "'odd' and 'b' are the same file"),
    ],
)
def test_recordings_that_do_not_fit_together_are_named(change, sentence):
    with pytest.raises(InputError, match=sentence):
        merge({"odd": replace(part_of(6, 0), **change), "b": part_of(6, 1), "c": part_of(6, 2)})


def test_an_interval_stays_within_its_channel_recording_and_segment():
    frame, channel, recording = np.array([[10, 0, 0], [30, 0, 0], [40, 1, 0], [70, 0, 0], [20, 0, 1], [24, 0, 1]]).T
    peaks = Ledger(frame, channel, np.zeros(6, np.float32), np.zeros(6, np.uint8), recording.astype(np.uint16))
    assert sorted(intervals_ms(peaks, 1000.0)) == [4, 20, 40]
    assert sorted(intervals_ms(peaks, 1000.0, [0, 50, 100])) == [4, 20]


def test_two_recordings_are_split_in_time_only_when_asked():
    parts = {"a": part_of(6, 0), "b": part_of(6, 1)}
    with pytest.raises(InputError, match='needs 3 recordings.*there are 2.*split_by = "time"'):
        merge(parts)
    with pytest.raises(InputError, match="needs 3 recordings with spikes.*there are 2"):
        merge(parts | {"silent": part_of(0, 2)})
    with pytest.raises(InputError, match="choose one of recording, time"):
        merge(parts, "channel")
    assert set(merge(parts, "time").split) == set(Split)


def test_where_electrodes_lie_how_long_a_recording_is_and_what_was_planted_survive_merging_and_saving(tmp_path):
    at = np.arange(6, dtype=np.float32).reshape(3, 2)
    known = replace(
        part_of(6, 0),
        positions_um=at,
        stretches=np.array([[0, 0, 50], [0, 50, 90]]),
        planted_bursts=np.array([[0, 10, 20]]),
    )
    merged = merge({"unknown": part_of(5, 1, channels=2), "known": known}, "time")
    merged.save(tmp_path / "windows.h5")
    again = SpikeWindows.load(tmp_path / "windows.h5")
    np.testing.assert_array_equal(again.positions_um[again.noise_recording == 1], at)
    assert np.isnan(again.positions_um[again.noise_recording == 0]).all() and len(again.positions_um) == 5
    assert again.stretches.tolist() == [[1, 0, 50], [1, 50, 90]] and again.planted_bursts.tolist() == [[1, 10, 20]]
    with h5py.File(tmp_path / "windows.h5", "a") as file:  # a file that does not tell
        for name in ("positions_um", "stretches", "planted_bursts"):
            del file[name]
    older = SpikeWindows.load(tmp_path / "windows.h5")
    assert np.isnan(older.positions_um).all() and older.stretches.shape == older.planted_bursts.shape == (0, 3)


def test_windows_that_see_one_spike_are_one_event_whatever_their_electrode():
    frame = np.array([500, 100, 110, 131, 100, 133, -1, -1])
    recording = np.array([0, 0, 0, 0, 1, 0, 1, 1], np.uint16)
    n = len(frame)
    windows = SpikeWindows(
        np.zeros((n, 32), np.float32),
        np.arange(n, dtype=np.int32),
        frame,
        np.full(n, -1, np.int32),
        np.zeros(n, np.uint8),
        20_000.0,
        10,
        "uV",
        recording=recording,
        recordings=["a", "b"],
    )
    event = windows.events
    assert event[1] == event[2] == event[3]  # within a window of the first
    assert len(np.unique(event)) == n - 2  # the next, another recording, and times that are not known, stay apart
