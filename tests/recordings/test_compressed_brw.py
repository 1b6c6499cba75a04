"""Compressed BRW files: what was stored comes out, what was not is marked, and damage is told in one sentence."""

import pickle
import struct
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meagan_lib import InputError
from meagan_lib.recordings import events
from meagan_lib.recordings.brw import BrwRecording
from meagan_lib.recordings.events import STORED_NOISE
from meagan_lib.recordings.opening import electrode_positions_um, open_recording, stored_around
from meagan_lib.recordings.quality import Verdict, channel_quality
from meagan_lib.recordings.wavelets import SYM7, inverse
from meagan_lib.windows.cutting import WindowConfig, cut_windows, stored_fraction
from meagan_lib.windows.detection import DetectionConfig, segment_spans, window_lowpass
from meagan_lib.windows.filtering import noise_levels
from meagan_lib.windows.spike_windows import Reason
from tests.recordings.brw_writer import RATE, write_events, write_wavelets

TOC = [[0, 100], [100, 200], [500, 600]]
CHANNELS = [7, 130, 4000]


def steady(mean=0.0, std=5.0, channels=CHANNELS, rows=3) -> list:
    """The same noise on all channels, estimated once."""
    return [(channels, [mean] * len(channels), [std] * len(channels))] + [None] * (rows - 1)


def some_events(path: Path, rows=None, noise=None, toc=TOC, channels=CHANNELS) -> Path:
    rows = (
        [[(7, 5, np.arange(10))], [(130, 150, np.arange(20) + 500)], [(7, 580, np.arange(20))]]
        if rows is None
        else rows
    )
    write_events(path, toc, {"A1": (channels, rows, noise or steady(rows=len(toc), channels=channels))})
    return path


@st.composite
def files(draw) -> tuple[list, list]:
    """A table of contents with gaps, and ranges that begin in a row and may reach into the next, of random samples."""
    sizes = draw(st.lists(st.integers(1, 60), min_size=1, max_size=6))
    gaps = draw(st.lists(st.sampled_from([0, 0, 1, 30]), min_size=len(sizes), max_size=len(sizes)))
    starts = np.cumsum([draw(st.integers(0, 50)), *(s + g for s, g in zip(sizes[:-1], gaps[:-1]))])
    toc = [[int(a), int(a) + size] for a, size in zip(starts, sizes)]
    rows, free = [], dict.fromkeys(CHANNELS, 0)
    for i, (a, b) in enumerate(toc):
        end = b  # of the stretch
        for c, d in toc[i + 1 :]:
            end = d if c == end else end
        ranges = []
        for channel in CHANNELS:
            for _ in range(draw(st.integers(0, 3))):
                first = draw(st.integers(a, b - 1))
                last = draw(st.integers(first, min(end, first + 80)))
                if first >= free[channel]:
                    ranges.append((channel, first, np.random.default_rng(first).integers(0, 4096, last - first)))
                    free[channel] = last
        rows.append(ranges)
    return toc, rows


@given(file=files(), block=st.sampled_from([1, 60, 10_000]), whole=st.sampled_from([17, 1000]), data=st.data())
@settings(max_examples=30, deadline=None)
def test_every_range_comes_out_and_everything_else_is_marked(tmp_path_factory, file, block, whole, data):
    (toc, rows), path = file, tmp_path_factory.mktemp("events") / "x.brw"
    write_events(path, toc, {"A1": (CHANNELS, rows, steady(rows=len(toc)))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "BLOCK_BYTES", 10_000)  # one block: a range may reach over any number of rows
        patch.setattr(events, "WHOLE_BYTES", whole)
        patch.setattr(events, "KEPT_BYTES", block)
        recording = BrwRecording(path, None)
        for segment, (first, end) in enumerate(segment_spans(recording) + toc[0][0]):
            expected = np.full((end - first, len(CHANNELS)), -1)
            for channel, begin, samples in (r for row in rows for r in row):
                if first <= begin < end:
                    expected[begin - first : begin - first + len(samples), CHANNELS.index(channel)] = samples
            traces, there = recording.get_traces(segment), expected >= 0
            np.testing.assert_array_equal(traces[there], expected[there])
            frame, channel = (each.ravel() for each in np.indices(expected.shape))
            around = stored_around(recording, segment, frame, channel)
            np.testing.assert_array_equal(around[:, 0] < around[:, 1], there.ravel())
            a = data.draw(st.integers(0, end - first))
            b = data.draw(st.integers(a, end - first))
            np.testing.assert_array_equal(recording.get_traces(segment, a, b), traces[a:b])


def test_ranges_may_reach_into_the_block_beside_and_no_further(tmp_path, monkeypatch):
    toc = [[0, 100], [100, 200], [200, 300]]
    rows = [[(7, 90, np.arange(30))], [(130, 95, np.arange(10)), (4000, 195, np.arange(10))], []]
    monkeypatch.setattr(events, "BLOCK_BYTES", 1)  # each row is a block
    recording = open_recording(some_events(tmp_path / "x.brw", rows, toc=toc))
    np.testing.assert_array_equal(recording.get_traces(0, 110, 130)[:10, 0], np.arange(20, 30))
    np.testing.assert_array_equal(recording.get_traces(0, 90, 100)[5:, 1], np.arange(5))
    np.testing.assert_array_equal(recording.get_traces(0, 200, 300)[:5, 2], np.arange(5, 10))
    some_events(tmp_path / "y.brw", [[(7, 90, np.arange(120))], [(7, 0, [])], []], toc=toc)
    with pytest.raises(InputError, match="ranges lie outside of its stretches of time"):
        open_recording(tmp_path / "y.brw").get_traces(0, 0, 10)


def test_wells_subsets_and_processes(tmp_path):
    wells = {
        "A1": (CHANNELS, [[(7, 0, [1, 2])], [], []], steady()),
        "B2": ([9], [[], [], [(9, 599, [77])]], steady(channels=[9])),
    }
    write_events(tmp_path / "x.brw", TOC, wells)
    with pytest.raises(InputError, match="2 wells: pick one of A1, B2"):
        open_recording(tmp_path / "x.brw")
    recording = open_recording(tmp_path / "x.brw", well="B2")
    assert recording.get_traces(1)[-1, 0] == 77 and recording.get_start_time(1) == 500 / RATE
    recording = open_recording(tmp_path / "x.brw", well="A1")
    np.testing.assert_array_equal(
        electrode_positions_um(recording), [[i // 64 * 42.0, i % 64 * 42.0] for i in CHANNELS]
    )
    copy = pickle.loads(pickle.dumps(recording))
    np.testing.assert_array_equal(copy.get_traces(0), recording.get_traces(0))
    np.testing.assert_array_equal(recording.get_traces(0, channel_ids=["3", "1"]), recording.get_traces(0)[:, [2, 0]])


@pytest.mark.parametrize("middle", [0, 2048])
def test_noise_has_the_stored_mean_and_deviation_by_either_convention(tmp_path, middle):
    toc, means, stds = [[0, 30_000], [30_000, 60_000]], np.array([-40.0, 0.0, 25.5]), np.array([0.8, 4.0, 30.0])
    noise = [(CHANNELS, means + middle, stds), (CHANNELS[:2], means[:2] + middle + 10, stds[:2])]
    recording = open_recording(some_events(tmp_path / "x.brw", [[], []], noise, toc))
    one, two = (recording.get_traces(0, a, b).astype(float) for a, b in toc)
    np.testing.assert_allclose(one.mean(axis=0), 2048 + means, atol=0.6)
    np.testing.assert_allclose(one.std(axis=0), stds, rtol=0.03)
    np.testing.assert_allclose(two[:, :2].mean(axis=0), 2058 + means[:2], atol=0.2)
    assert np.abs(np.corrcoef(np.c_[one, two].T) - np.eye(6)).max() < 0.03
    lagged = [np.corrcoef(one[:-k, 2], one[k:, 2])[0, 1] for k in (1, 2, 3, 8, 32)]
    assert np.abs(lagged).max() < 0.03
    np.testing.assert_allclose(recording.get_property(STORED_NOISE), stds)


@pytest.fixture(scope="module")
def spiking(tmp_path_factory):
    """Six seconds of four electrodes with deep spikes at known frames, of which only ranges are stored."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("spiking") / "x.brw"
    shape = -60 * np.exp(-((np.arange(-30, 40) / 4.0) ** 2))
    frames = {c: np.sort(rng.choice(590, 200, replace=False)) * 200 + 150 for c in range(4)}
    rows = [
        [
            (c, int(f) - 30, np.rint(2048 + shape + rng.normal(0, 4, 70)).astype(int))
            for c in range(4)
            for f in frames[c]
            if s * 20_000 <= f < (s + 1) * 20_000
        ]
        for s in range(6)
    ]
    toc = [[s * 20_000, (s + 1) * 20_000] for s in range(6)]
    noise = [([0, 1, 2, 3], [0.0] * 4, [4.0, 5.0, 6.0, 0.0])] + [None] * 5
    write_events(path, toc, {"A1": ([0, 1, 2, 3], rows, noise)})
    return open_recording(path), frames


def test_the_noise_level_is_the_stated_one(spiking):
    recording, _ = spiking
    np.testing.assert_array_equal(noise_levels(recording, DetectionConfig().filter(RATE), 0), [4, 5, 6, 0])
    quality = channel_quality(recording, (0, 4095))
    assert quality.verdict.tolist() == [Verdict.GOOD] * 3 + [Verdict.DEAD]
    np.testing.assert_allclose(quality.noise / np.abs(recording.get_channel_gains()), [4, 5, 6, 0])


def test_spikes_are_those_of_the_ranges_and_peaks_of_invented_noise_are_told_apart(spiking):
    recording, frames = spiking
    found = cut_windows(recording, DetectionConfig(), WindowConfig())
    for c in range(3):
        mine = found.ledger.frame[found.ledger.channel == c]
        assert len(mine) == 200 and np.abs(mine - frames[c]).max() <= 3
    assert 0.9 < stored_fraction(recording, found) < 1  # 64 samples, of which 30 before and 40 after were stored
    low = cut_windows(recording, DetectionConfig(threshold_mad=2.2), WindowConfig())
    invented = low.ledger.reason == Reason.NOT_STORED
    assert invented.sum() > 100
    near = [np.abs(frames[c] - f).min() for f, c in zip(low.ledger.frame[~invented], low.ledger.channel[~invented])]
    assert max(near) <= 40


def test_one_block_of_samples_is_walked_once(spiking, monkeypatch):
    recording, walked = pickle.loads(pickle.dumps(spiking[0])), []
    walk = events._walk
    monkeypatch.setattr(events, "_walk", lambda *a: walked.append(0) or walk(*a))
    for a in range(0, 120_000, 500):
        recording.get_traces(0, a, a + 500)
    assert len(walked) == 1


def damage_events(path: Path, *changes: tuple[str, int, bytes]) -> Path:
    with h5py.File(path, "r+") as file:
        data = file["Well_A1/EventsBasedSparseRaw"]
        content = bytearray(data[()].tobytes())
        for _, at, value in changes:
            content[at : at + len(value)] = value
        data[...] = np.frombuffer(bytes(content), np.uint8)
    return path


def int32(value: int) -> bytes:
    return struct.pack("<i", value)


def int64(value: int) -> bytes:
    return struct.pack("<q", value)


@pytest.mark.parametrize(
    "at, value, complaint",
    [
        (0, int32(8), "channel that is not among the stored"),
        (0, int32(-1), "channel that is not among the stored"),
        (0, int32(2**31 - 1), "channel that is not among the stored"),
        (4, int32(-36), "negative length"),
        (4, int32(2**31 - 1), "reach beyond its end"),
        (4, int32(35), "in the middle of a range"),
        (4, int32(17), "in the middle of a range"),
        (8, int64(-1), "outside of its stretches"),
        (8, int64(-(2**63)), "outside of its stretches"),
        (8, int64(16), "backwards"),
        (16, int64(2**62), "outside of its stretches"),
        (16, int64(16), "in the middle of a range"),
    ],
)
def test_damaged_records_are_refused_in_a_sentence(tmp_path, at, value, complaint):
    recording = open_recording(damage_events(some_events(tmp_path / "x.brw"), ("", at, value)))
    with pytest.raises(InputError, match=complaint):
        recording.get_traces(0, 0, 50)


@pytest.mark.parametrize(
    "part, value, complaint",
    [
        ("EventsBasedSparseRawTOC", [0, 500, 90], "run backwards or beyond the end, at row 2"),
        ("EventsBasedSparseRawTOC", [0, 36, 9999], "run backwards or beyond the end, at row 3"),
        ("EventsBasedSparseRawTOC", [-5, 36, 60], "run backwards or beyond the end, at row 0"),
        ("EventsBasedSparseRawTOC", [0, 36], "events of 2 stretches of time, where there are 3"),
        ("EventsBasedSparseRaw", np.zeros(9, np.float32), "in place of bytes"),
        ("NoiseTOC", [0, 3, 4], "do not fit one another"),
        ("NoiseTOC", [0, 2, 1], "do not fit one another"),
        ("NoiseMean", [0.0, 1.0], "do not fit one another"),
        ("NoiseMean", [0.0, np.nan, 0.0], "cannot be"),
        ("NoiseStdDev", [0.0, -1.0, 0.0], "cannot be"),
        ("NoiseChIdxs", [7, 130, 131], "not among the stored"),
        ("NoiseChIdxs", [7, 130, -2], "not among the stored"),
        ("StoredChIdxs", [7, 130, 2**30], "names a channel"),
    ],
)
def test_tables_that_cannot_be_are_refused_before_anything_is_read(tmp_path, part, value, complaint):
    path = some_events(tmp_path / "x.brw")
    with h5py.File(path, "r+") as file:
        del file[f"Well_A1/{part}"]
        file[f"Well_A1/{part}"] = value
    with pytest.raises(InputError, match=complaint):
        open_recording(path)


def test_rows_that_overlap_and_events_of_no_time_are_refused(tmp_path):
    some_events(tmp_path / "x.brw", toc=[[0, 100], [50, 200], [500, 600]])
    with pytest.raises(InputError, match="overlap or run backwards, at its row 1"):
        open_recording(tmp_path / "x.brw")
    some_events(tmp_path / "y.brw", [[], [(7, 100, [1])], []], toc=[[0, 100], [100, 100], [500, 600]])
    with pytest.raises(InputError, match="a stretch of no length"):
        open_recording(tmp_path / "y.brw")


def test_a_declared_size_of_terabytes_is_neither_allocated_nor_waited_for(tmp_path):
    path = some_events(tmp_path / "x.brw")
    with h5py.File(path, "r+") as file:
        del file["Well_A1/EventsBasedSparseRaw"]
        file.create_dataset("Well_A1/EventsBasedSparseRaw", (2**42,), np.uint8, chunks=(2**20,))
    started = time.monotonic()
    with pytest.raises(InputError, match="not among the stored"):  # nothing was written: all is 0
        open_recording(path).get_traces(1)
    assert time.monotonic() - started < 5


def transformed(x: np.ndarray, level: int) -> tuple[np.ndarray, np.ndarray]:
    """The forward transform, the transpose of the inverse: approximation and detail, each (m, channels)."""
    m = len(x) // 2**level
    unit, none = np.eye(m, dtype=np.float32), np.zeros((m, m), np.float32)
    columns = [inverse(a, d, level, 0, len(x)) for a, d in ((unit, none), (none, unit))]  # each (frames, m)
    return tuple(column.T @ x for column in columns)


def test_the_inverse_transform_is_that_of_pywavelets():
    """Known values of pywt.idwt(…, 'sym7', 'periodization'), PyWavelets 1.8."""
    one, none = np.float32([[0], [0], [1], [0], [0], [0], [0], [0]]), np.zeros((8, 1), np.float32)
    # fmt: off
    low = [-0.1078082377, -0.1400472404, 0.2886296318, 0.767764317, 0.5361019171, 0.0174412551, -0.0495528349,
           0.0678926935, 0.0305155132, -0.0126363034, -0.0010473849, 0.0026818146, 0, 0, 0.0102681767, 0.0040102449]
    high = [-0.0126363034, -0.0305155132, 0.0678926935, 0.0495528349, 0.0174412551, -0.5361019171, 0.767764317,
            -0.2886296318, -0.1400472404, 0.1078082377, 0.0040102449, -0.0102681767, 0, 0, 0.0026818146, 0.0010473849]
    # fmt: on
    np.testing.assert_allclose(inverse(one, none, 1, 0, 16)[:, 0], low, atol=1e-7)
    np.testing.assert_allclose(inverse(none, one, 1, 0, 16)[:, 0], high, atol=1e-7)
    three = inverse(np.float32([[0], [1], [0]]), np.float32([[1], [0], [0]]), 1, 0, 6)[:, 0]  # shorter than the filter
    np.testing.assert_allclose(
        three, [0.3432784594, 0.2098053047, 1.3004507225, -0.2950118304, -0.2295156196, 0.0852065257], atol=1e-6
    )
    products = np.correlate(SYM7, SYM7, "full")[13::2]  # orthonormal to its own even shifts
    np.testing.assert_allclose(products, [1, 0, 0, 0, 0, 0, 0], atol=1e-12)


@given(
    level=st.integers(1, 5),
    chunk=st.integers(1, 90),
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=3),
    data=st.data(),
)
@settings(max_examples=20, deadline=None)
def test_chunks_of_wavelets_come_out_whatever_is_read(tmp_path_factory, level, chunk, sizes, data):
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("wavelets") / "x.brw"
    starts = np.cumsum([3, *(size + 40 for size in sizes[:-1])])
    m, n_chunks = -(-chunk // 2**level), [-(-size // chunk) for size in sizes]
    coefficients = rng.normal(0, 100, (sum(n_chunks), len(CHANNELS), 2, m)).astype(np.float32)
    write_wavelets(path, [[a, a + n] for a, n in zip(starts, sizes)], CHANNELS, coefficients, level, chunk)
    recording, at = BrwRecording(path, None), 0
    assert recording.get_annotation("survives_hz") == RATE / 2**level
    for segment, size in enumerate(sizes):
        decoded = [inverse(a.T, d.T, level, 0, m * 2**level)[:chunk] for a, d in
                   (c.transpose(1, 0, 2) for c in coefficients[at : at + n_chunks[segment]])]  # fmt: skip
        at += n_chunks[segment]
        a = data.draw(st.integers(0, size))
        b = data.draw(st.integers(a, size))
        np.testing.assert_allclose(recording.get_traces(segment, a, b), np.concatenate(decoded)[a:b], atol=1e-3)


def test_what_lies_below_the_limit_survives_and_the_pass_band_ends_there(tmp_path):
    n, level = 8000, 3
    t = np.arange(n) / RATE
    slow, fast = np.sin(2 * np.pi * 800 * t), np.sin(2 * np.pi * 4500 * t)
    x = np.stack([2048 + 100 * slow, 2048 + 100 * fast], axis=1)
    coefficients = np.stack(transformed(x, level))  # (2, m, channels)
    write_wavelets(tmp_path / "x.brw", [[0, n]], [0, 1], coefficients.transpose(2, 0, 1)[None], level, n)
    recording = open_recording(tmp_path / "x.brw")
    y = recording.get_traces()
    np.testing.assert_allclose(y[:, 0], x[:, 0], atol=2)
    assert np.std(y[:, 1]) < 5
    clipped = DetectionConfig().within(recording)
    assert clipped.band_hz == (300.0, 2500.0)
    found = cut_windows(recording, DetectionConfig(threshold_mad=1.0), WindowConfig(), min_train=None)
    assert tuple(found.detection["band_hz"]) == (300.0, 2500.0)
    taps = window_lowpass(found.detection, RATE)
    response = np.abs(np.fft.rfft(taps, 4000))[:: 4000 // 40] if len(taps) < 4000 else []
    assert response[5] < 0.55 and len(taps) > len(window_lowpass({"band_hz": (300.0, 6000.0), "filter_order": 3}, RATE))
    with pytest.raises(InputError, match="only what lies below 2500 Hz survives.*lower band_low_hz"):
        DetectionConfig((3000.0, 6000.0)).within(recording)


def test_chunks_may_begin_with_each_row_and_a_table_of_them_must_agree(tmp_path):
    toc, m = [[0, 17], [17, 50], [70, 90]], 4  # chunks of 16 frames: 2, 3 and 2; the stretches alone would need 4 and 2
    coefficients = np.random.default_rng(0).normal(0, 100, (7, 3, 2, m)).astype(np.float32)
    write_wavelets(tmp_path / "x.brw", toc, CHANNELS, coefficients, 2, 16)
    recording = open_recording(tmp_path / "x.brw")
    decoded = [inverse(*c.transpose(1, 2, 0), 2, 0, 16) for c in coefficients]
    expected = np.concatenate([decoded[0], decoded[1][:1], *decoded[2:4], decoded[4][:1]])
    np.testing.assert_allclose(recording.get_traces(0), expected, atol=1e-3)
    np.testing.assert_allclose(recording.get_traces(0, 15, 19), expected[15:19], atol=1e-3)
    for second in (2, 1):
        path, size = tmp_path / f"{second}.brw", 3 * 2 * m
        write_wavelets(path, toc, CHANNELS, coefficients, 2, 16)
        with h5py.File(path, "r+") as file:
            table = file.create_dataset("Well_A1/WaveletBasedEncodedRawTOC", data=[0, second * size, 5 * size])
            for name, value in file["Well_A1/WaveletBasedEncodedRaw"].attrs.items():
                table.attrs[name] = value  # as 3Brain's own description can be read, too
            file["Well_A1/WaveletBasedEncodedRaw"].attrs.clear()
        if second == 2:
            np.testing.assert_allclose(open_recording(path).get_traces(0), expected, atol=1e-3)
        else:
            with pytest.raises(InputError, match="elsewhere than they should be"):
                open_recording(path)


@pytest.mark.parametrize(
    "attribute, value, complaint",
    [
        ("CompressionLevel", 0, "CompressionLevel of 0"),
        ("CompressionLevel", 40, "CompressionLevel of 40"),
        ("CompressionLevel", 2, "2 chunks of 150 numbers"),
        ("DataChunkLength", -4, "chunks of -4 frames"),
        ("DataChunkLength", 2**31 - 1, "which cannot be"),
        ("DataChunkLength", 50, "is cut short"),
    ],
)
def test_wavelets_that_cannot_be_are_refused(tmp_path, attribute, value, complaint):
    path = tmp_path / "x.brw"
    write_wavelets(path, [[0, 200]], CHANNELS, np.zeros((2, 3, 2, 13)), 3, 100)
    assert open_recording(path).get_traces().shape == (200, 3)
    with h5py.File(path, "r+") as file:
        file["Well_A1/WaveletBasedEncodedRaw"].attrs[attribute] = np.int64(value)
    with pytest.raises(InputError, match=complaint):
        open_recording(path)


def test_both_kinds_say_what_they_are_and_that_no_real_file_was_tried(tmp_path):
    write_wavelets(tmp_path / "w.brw", [[0, 200]], CHANNELS, np.zeros((2, 3, 2, 13)), 3, 100)
    some_events(tmp_path / "e.brw")
    for name, word in (("w.brw", "below 2500 Hz survives"), ("e.brw", "statistics of the noise")):
        words = " ".join(open_recording(tmp_path / name).get_annotation("cautions"))
        assert word in words and "no real file of this kind" in words and name in words


@pytest.mark.parametrize("kind", ["events", "wavelets"])
def test_a_damaged_file_is_refused_in_a_sentence_or_read(tmp_path, kind):
    source, rng = tmp_path / "whole.brw", np.random.default_rng(0)
    if kind == "events":
        some_events(source)
    else:
        write_wavelets(source, [[0, 100], [150, 250]], CHANNELS, rng.normal(size=(2, 3, 2, 13)), 3, 100)
    original, refused = source.read_bytes(), 0
    for i in range(40):
        content = bytearray(original)
        if i % 4 == 3:
            content = content[: rng.integers(len(content))]
        for position in rng.integers(len(content), size=rng.integers(1, 20)):
            content[position] ^= 1 << rng.integers(8)
        damaged = tmp_path / f"damaged_{i}.brw"  # HDF5 takes a name that is still open for the file behind it
        damaged.write_bytes(content)
        try:
            recording = BrwRecording(damaged, None)
            for segment in range(recording.get_num_segments()):
                n = recording.get_num_samples(segment)
                assert recording.get_traces(segment, max(n - 300, 0), n).shape[1] == recording.get_num_channels()
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert 0 < refused < 40
