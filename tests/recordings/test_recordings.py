"""Recordings open by name or path; what cannot be read is refused in one sentence."""

import errno
import functools
import http.server
import os
import shutil
import threading
import wave
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pooch
import pytest
import scipy.io

from meagan_lib import InputError
from meagan_lib.images import open_photographs
from meagan_lib.network.spike_files import treated
from meagan_lib.recordings import opening
from meagan_lib.recordings.catalogue import catalogue, fetch, files
from meagan_lib.recordings.formats import READERS
from meagan_lib.recordings.opening import amplitude_unit, holds_windows, open_recording, rails, source_hashes
from meagan_lib.recordings.simulation import SimulationConfig
from meagan_lib.windows.cutting import WindowConfig
from meagan_lib.windows.detection import DetectionConfig
from meagan_lib.windows.imported import open_windows
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from meagan_lib.workflow.files import sha256
from tests.fixtures import detect


def test_an_unknown_name_tells_the_known_ones():
    with pytest.raises(
        InputError, match="neither a file nor a name.*simulated, simulated_chip, simulated_2, simulated_3, locust"
    ):
        open_recording("locus")


def test_a_file_that_is_no_recording_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="in no format that is read"):
        open_recording(tmp_path / "notes.txt")
    (tmp_path / "fake.brw").write_text("hello")
    with pytest.raises(InputError, match="not an HDF5 file"):
        open_recording(tmp_path / "fake.brw")


def test_a_plain_binary_opens_with_the_yaml_beside_it(tmp_path):
    codes = np.arange(600, dtype=np.int16).reshape(200, 3)
    codes.tofile(tmp_path / "chip.raw")
    (tmp_path / "chip.yaml").write_text("{sampling_rate_hz: 10000, n_channels: 3, dtype: int16, uv_per_step: 2.0}")
    recording = open_recording(tmp_path / "chip.raw")
    np.testing.assert_array_equal(recording.get_traces(), codes)
    np.testing.assert_allclose(recording.get_traces(return_in_uV=True), 2.0 * codes)
    assert amplitude_unit(recording) == "uV"
    assert recording.get_annotation("files") == [str(tmp_path / name) for name in ("chip.raw", "chip.yaml")]
    (tmp_path / "chip.yaml").write_text("{sampling_rate_hz: 10000, n_channels: 3, dtype: int16}")
    assert amplitude_unit(open_recording(tmp_path / "chip.raw")) == "ADU"


@pytest.mark.parametrize(
    "description, complaint",
    [
        ("{sampling_rate_hz: 10000, n_channels: 7, dtype: int16}", "no whole number of frames"),
        ("{sampling_rate_hz: 10000, dtype: int16}", "must give"),
        ("{sampling_rate_hz: 10000, n_channels: 3, dtype: int16, gain: 3}", "nothing else"),
        ("{sampling_rate_hz: [", "is not YAML"),
        ("{sampling_rate_hz: 0, n_channels: 3, dtype: int16}", "above zero"),
        ("{sampling_rate_hz: 10000, n_channels: 0, dtype: int16}", "at least 1"),
        ("{sampling_rate_hz: 10000, n_channels: three, dtype: int16}", "at least 1"),
        ("{sampling_rate_hz: 10000, n_channels: 3, dtype: int17}", "numpy's numbers"),
        ("{sampling_rate_hz: 10000, n_channels: 3, dtype: object}", "numpy's numbers"),
        ("{sampling_rate_hz: .inf, n_channels: 3, dtype: int16}", "sampling rate of inf Hz, which cannot be"),
        ("{sampling_rate_hz: 10000, n_channels: 3, dtype: int16, uv_per_step: 0}", "zero or not a number"),
        ("{sampling_rate_hz: 10000, n_channels: 3, dtype: int16, positions_um: [[0, 0]]}", "one pair for each"),
        ("{sampling_rate_hz: 10000, n_channels: 2, dtype: int16, positions_um: [[0, 0], [0, 0]]}", "the same position"),
        ("{sampling_rate_hz: 10000, n_channels: .inf, dtype: int16}", "at least 1"),
        ("{sampling_rate_hz: 10000, n_channels: 1, dtype: int16, positions_um: [[.nan, 0]]}", "no numbers"),
        ("{sampling_rate_hz: 10000, n_channels: 3, dtype: int16, uv_per_step: 1.0e+300}", "a scale beyond"),
        ("{sampling_rate_hz: true, n_channels: 3, dtype: int16}", "true or false is no number"),
        ("{sampling_rate_hz: 2024-02-30, n_channels: 3, dtype: int16}", "is not YAML"),
    ],
)
def test_a_wrong_description_of_a_binary_is_refused(tmp_path, description, complaint):
    np.zeros(600, np.int16).tofile(tmp_path / "chip.raw")
    (tmp_path / "chip.yaml").write_text(description)
    with pytest.raises(InputError, match=complaint):
        open_recording(tmp_path / "chip.raw")


def test_a_text_is_no_binary_whatever_describes_one_beside_it(tmp_path):
    (tmp_path / "chip.csv").write_text("electrode,time_s\nA1,0.1\n")
    (tmp_path / "chip.yaml").write_text("{sampling_rate_hz: 10000, n_channels: 1, dtype: int8}")
    for name in ("chip.csv", "chip.yaml"):
        with pytest.raises(InputError, match=f"{name} is in no format"):
            open_recording(tmp_path / name)


def test_what_nobody_may_read_is_not_called_damaged(tmp_path, monkeypatch):
    np.zeros(600, np.int16).tofile(tmp_path / "chip.brw")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read everything
    with pytest.raises(InputError, match="no right to use .*chip.brw: change its permissions"):
        open_recording(tmp_path / "chip.brw")


def test_a_value_that_is_no_number_is_refused_when_it_is_read(tmp_path):
    samples = np.zeros((300, 2), np.float32)
    samples[200, 1] = np.nan
    samples.tofile(tmp_path / "chip.raw")
    (tmp_path / "chip.yaml").write_text("{sampling_rate_hz: 10000, n_channels: 2, dtype: float32}")
    recording = open_recording(tmp_path / "chip.raw")
    assert recording.get_traces(end_frame=150).shape == (150, 2)
    with pytest.raises(InputError, match="no finite number at frame 200"):
        recording.get_traces(start_frame=150)


def test_one_channel_goes_through_detection(tmp_path):
    np.random.default_rng(0).normal(0, 100, 20_000).astype(np.int16).tofile(tmp_path / "one.raw")
    (tmp_path / "one.yaml").write_text("{sampling_rate_hz: 10000, n_channels: 1, dtype: int16}")
    config = DetectionConfig(threshold_mad=3.0)
    peaks = detect(open_recording(tmp_path / "one.raw"), config)
    assert len(peaks.frame) > 0 and (peaks.channel == 0).all()


def test_an_empty_recording_is_refused(tmp_path):
    (tmp_path / "chip.raw").write_bytes(b"")
    (tmp_path / "chip.yaml").write_text("{sampling_rate_hz: 10000, n_channels: 2, dtype: int16}")
    with pytest.raises(InputError, match="0 bytes"):
        open_recording(tmp_path / "chip.raw")
    scipy.io.wavfile.write(tmp_path / "x.wav", 10_000, np.zeros(0, np.int16))
    with pytest.raises(InputError, match="holds no samples"):
        open_recording(tmp_path / "x.wav")


def test_wells_and_streams_are_refused_where_there_are_none(tmp_path):
    scipy.io.wavfile.write(tmp_path / "x.wav", 10_000, np.zeros(50, np.int16))
    np.zeros(60, np.int16).tofile(tmp_path / "chip.raw")
    (tmp_path / "chip.yaml").write_text("{sampling_rate_hz: 10000, n_channels: 3, dtype: int16}")
    for name in (tmp_path / "x.wav", tmp_path / "chip.raw", "locust"):
        with pytest.raises(InputError, match="has no wells: leave the well out"):
            open_recording(name, well="A1")
        with pytest.raises(InputError, match="has no streams: leave the stream out"):
            open_recording(name, stream="raw")
    with pytest.raises(InputError, match="has no streams"):
        open_recording("simulated", stream="raw")


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int32, np.float32])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_a_wav_file_is_a_recording_without_a_scale(tmp_path, dtype, n_channels):
    samples = (np.arange(600).reshape(-1, n_channels) % 200).astype(dtype)
    scipy.io.wavfile.write(tmp_path / "x.wav", 10_000, samples[:, 0] if n_channels == 1 else samples)
    recording = open_recording(tmp_path / "x.wav")
    np.testing.assert_array_equal(recording.get_traces(), samples)
    assert recording.get_sampling_frequency() == 10_000 and amplitude_unit(recording) == "ADU"


def test_a_wav_file_of_24_bits_has_the_rails_of_24_bits(tmp_path):
    codes = np.array([-(2**23), -1, 0, 5, 2**23 - 1] * 20, "<i4")
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setparams((1, 3, 10_000, len(codes), "NONE", "not compressed"))
        file.writeframes(codes.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    recording = open_recording(tmp_path / "x.wav")
    traces = recording.get_traces()
    np.testing.assert_array_equal(traces[:, 0], codes * 256)
    assert rails(recording) == (traces.min(), traces.max())


@pytest.mark.parametrize("keep", [0, 3, 10, 30, 60, 500])
def test_a_wav_file_that_is_cut_short_is_refused(tmp_path, keep):
    scipy.io.wavfile.write(tmp_path / "x.wav", 10_000, np.zeros(1000, np.int16))
    (tmp_path / "cut.wav").write_bytes((tmp_path / "x.wav").read_bytes()[:keep])
    with pytest.raises(InputError, match="is cut short or still being written"):
        open_recording(tmp_path / "cut.wav")


@pytest.mark.parametrize("riff, data", [(0, 0), (0, 2000), (0xFFFFFFFF, 0xFFFFFFFF), (2036, 4000), (36, 0)])
def test_a_wav_file_whose_sizes_were_never_filled_in_is_still_being_written(tmp_path, riff, data):
    scipy.io.wavfile.write(tmp_path / "x.wav", 10_000, np.ones(1000, np.int16))
    content = bytearray((tmp_path / "x.wav").read_bytes())
    content[4:8], content[40:44] = riff.to_bytes(4, "little"), data.to_bytes(4, "little")
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(InputError, match="is cut short or still being written"):
        open_recording(tmp_path / "x.wav")


def test_a_file_that_is_no_wav_is_told_apart_from_one_that_is_cut_short(tmp_path):
    (tmp_path / "x.wav").write_text("hello, this is a text")
    with pytest.raises(InputError, match="x.wav is no WAV file"):
        open_recording(tmp_path / "x.wav")
    scipy.io.wavfile.write(tmp_path / "x.wav", 10_000, np.zeros(1000, np.int16))
    content = bytearray((tmp_path / "x.wav").read_bytes())
    content[20] = 0x11  # ADPCM
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(InputError, match="could not be read as WAV .*: save it as PCM"):
        open_recording(tmp_path / "x.wav")


@pytest.mark.parametrize("suffix", READERS)
def test_a_damaged_file_of_any_format_is_refused_in_one_sentence(tmp_path, suffix):
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(bytes(range(256)) * 20)
    told = f"could not be read as a {suffix} recording|is not an HDF5 file|without the package"
    with pytest.raises(InputError, match=told) as refusal:
        open_recording(path)
    assert "\n" not in str(refusal.value)


def test_a_zarr_folder_opens_and_has_a_hash(tmp_path):
    np.arange(600, dtype=np.int16).tofile(tmp_path / "chip.raw")
    (tmp_path / "chip.yaml").write_text("{sampling_rate_hz: 10000, n_channels: 3, dtype: int16}")
    binary = open_recording(tmp_path / "chip.raw")
    binary.save(format="zarr", folder=tmp_path / "chip.zarr", verbose=False, progress_bar=False)
    recording = open_recording(tmp_path / "chip.zarr")
    np.testing.assert_array_equal(recording.get_traces(), binary.get_traces())
    before = source_hashes(recording)
    assert len(before) == 1 and source_hashes(recording) == before
    (tmp_path / "chip.zarr" / "more").write_text("changed")
    assert source_hashes(recording) != before


def test_catalogue_entries_are_pinned_to_a_commit_and_a_hash():
    for name, entry in catalogue().items():
        assert entry["title"] and entry["licence"] and entry["citation"]
        assert entry["open"] in (*opening._OPENERS, "windows", "spikes", "photographs")
        for url, digest in files(name).values():
            assert len(digest) == 64
            assert any(len(part) == 40 for part in url.split("/"))


@pytest.mark.parametrize("name", catalogue())
def test_a_changed_byte_in_the_mirror_is_refused(tmp_path, monkeypatch, name):
    path = tmp_path / name / next(iter(files(name)))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"changed")
    monkeypatch.setenv("MEAGAN_DATA_MIRROR", str(tmp_path))
    openers = {"spikes": treated, "windows": open_windows, "photographs": open_photographs}
    opener = openers.get(catalogue()[name]["open"], open_recording)
    with pytest.raises(InputError, match="SHA-256 differs"):
        opener(name)


@pytest.mark.parametrize("name", catalogue())
def test_offline_without_a_mirror_suggests_the_simulation(tmp_path, monkeypatch, name):
    def refuse(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.delenv("MEAGAN_DATA_MIRROR", raising=False)
    monkeypatch.setattr(pooch, "retrieve", refuse)
    with pytest.raises(InputError, match="simulated|photographs of your own"):
        fetch(name, tmp_path)


def test_a_disk_without_room_for_a_simulation_is_told_before_it_is_written(tmp_path, monkeypatch):
    """HDF5 ends the process where the disk is full while it writes."""
    monkeypatch.setattr(opening, "DATA", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=2**30, free=2**24))
    with pytest.raises(InputError, match=r"the disk is full: 158 MB are needed, and .* has 17 MB free"):
        open_recording("simulated")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_during_a_download_is_told(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.delenv("MEAGAN_DATA_MIRROR", raising=False)
    monkeypatch.setattr(pooch, "retrieve", full)
    with pytest.raises(InputError, match="the disk is full"):
        fetch("locust", tmp_path / "not made yet")


def test_a_download_is_done_once_and_others_may_read_it(tmp_path, monkeypatch):
    """From a server of this test; pooch alone leaves files that only their owner may read."""
    (tmp_path / "source.raw").write_bytes(b"voltage")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    monkeypatch.delenv("MEAGAN_DATA_MIRROR", raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/source.raw"
        entry = {"chip": {"files": [{"url": url, "sha256": sha256(tmp_path / "source.raw"), "name": "chip.raw"}]}}
        monkeypatch.setattr("meagan_lib.recordings.catalogue.catalogue", lambda: entry)
        (path,) = fetch("chip", tmp_path / "data")
        server.shutdown()
    assert path.read_bytes() == b"voltage" and list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode == (tmp_path / "source.raw").stat().st_mode
    assert fetch("chip", tmp_path / "data") == [path]


def mirrored(name: str) -> str:
    """The name, where the mirror holds the entry; otherwise the test is skipped: tests download nothing."""
    if not (Path(os.environ.get("MEAGAN_DATA_MIRROR", "no mirror")) / name).is_dir():
        pytest.skip(f"no {name} in MEAGAN_DATA_MIRROR")
    return name


def test_locust_opens_as_two_trials_without_a_scale():
    recording = open_recording(mirrored("locust"))
    assert recording.get_num_segments() == 2 and recording.get_num_channels() == 4
    assert recording.get_sampling_frequency() == 15_000
    assert amplitude_unit(recording) == "ADU"


def test_spikerbox_opens_as_one_channel():
    recording = open_recording(mirrored("spikerbox"))
    assert recording.get_num_channels() == 1 and recording.get_sampling_frequency() == 10_000
    assert recording.get_num_samples() == 471_308


def test_the_intracellular_spikes_of_the_tetrode_are_detected_within_a_sample():
    recording = open_recording(mirrored("tetrode_truth"))
    assert recording.get_traces().shape == (50_000, 4) and recording.get_sampling_frequency() == 10_000
    truth, path = catalogue()["tetrode_truth"]["truth"], recording.get_annotation("files")[0]
    frames = scipy.io.loadmat(path)[truth["frames"]].ravel().astype(int) + truth["shift"]
    assert len(frames) == 11
    config = DetectionConfig()
    peaks = detect(recording, config)
    assert np.abs(peaks.frame[:, None] - frames).min(axis=0).max() <= 1
    assert len(np.unique(peaks.frame)) < 2_000  # so few that 11 matches are no chance


def test_the_retina_gives_labelled_windows_and_no_recording():
    with pytest.raises(InputError, match="open_windows"):
        open_recording("retina_hdmea")
    windows = open_windows(mirrored("retina_hdmea"))
    assert windows.windows.shape == (30_754, 22) and windows.pre_samples == 6
    assert windows.amplitude_unit == "normalised" and len(windows.source_hashes) == 2
    assert (windows.label >= 0).sum() == 29_297 and windows.label.max() == 31
    assert (np.diff(windows.frame) >= 0).all()
    assert windows.frame[-1] / windows.sampling_rate_hz == pytest.approx(1080, abs=0.1)
    # Spikes of a unit keep a refractory period, duplicates of one spike (within 4 frames) left aside.
    intervals = np.concatenate([np.diff(windows.frame[windows.label == unit]) for unit in range(32)])
    assert ((intervals >= 5) & (intervals < 10)).sum() < 0.25 * ((intervals >= 20) & (intervals < 25)).sum() + 20


def test_a_recording_is_not_opened_as_windows():
    with pytest.raises(InputError, match="recording of voltage"):
        open_windows("locust")
    with pytest.raises(InputError, match="no windows at"):
        open_windows("locus")


def write_windows(path: Path, **arrays) -> Path:
    if path.suffix.lower() == ".npz":
        with open(path, "wb") as file:
            np.savez(file, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, value in arrays.items():
                file[name] = value
    return path


def some_windows(n: int = 400, samples: int = 24) -> np.ndarray:
    windows = np.random.default_rng(0).normal(size=(n, samples))
    windows[:, 9] -= 8
    return windows


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".NPZ", ".HDF5"])
def test_windows_already_cut_are_split_in_time(tmp_path, suffix):
    given, time_s = some_windows(), np.random.default_rng(1).uniform(0, 100, 400)
    path = write_windows(
        tmp_path / f"cut{suffix}",
        windows=given,
        sampling_rate_hz=20_000,
        time_s=time_s,
        label=np.arange(400),
        channel=np.arange(400) % 7,
        amplitude_unit="uV",
    )
    assert holds_windows(path)
    windows = open_windows(path, config=WindowConfig(split_fractions=(0.5, 0.2, 0.3)))
    assert windows.pre_samples == 9 and windows.amplitude_unit == "uV" and windows.sampling_rate_hz == 20_000
    np.testing.assert_array_equal(windows.frame, np.rint(np.sort(time_s) * 20_000))
    np.testing.assert_array_equal(windows.windows, given[windows.label].astype(np.float32))
    np.testing.assert_array_equal(windows.channel, windows.label % 7)
    latest = {split: windows.frame[windows.split == split].max() for split in Split}
    assert latest[Split.TRAIN] < 50.1 * 20_000 < latest[Split.VALIDATION] < 70.1 * 20_000 < latest[Split.TEST]
    windows.save(tmp_path / "windows.h5")
    assert len(SpikeWindows.load(tmp_path / "windows.h5")) == len(windows)


def test_windows_without_times_are_split_in_their_order(tmp_path):
    path = write_windows(tmp_path / "cut.npz", windows=some_windows(), sampling_rate_hz=20_000, pre_samples=9)
    windows = open_windows(path)
    assert (windows.frame == -1).all() and (windows.label == -1).all() and (windows.channel == -1).all()
    np.testing.assert_array_equal(np.bincount(windows.split), [240, 40, 120])
    assert (np.diff(windows.split) >= 0).all() and windows.amplitude_unit == "ADU"


UNITS = np.repeat(range(4), 100)
RANDOM = np.random.default_rng(2)


@pytest.mark.parametrize(
    "columns",
    [
        {"label": UNITS},
        {"channel": UNITS},
        {"label": UNITS, "channel": RANDOM.integers(0, 1000, 400)},
        {"channel": UNITS, "label": np.tile(UNITS[::4], 4)},  # units that count anew on each electrode
        {"label": np.r_[RANDOM.integers(0, 4, 250), np.full(150, -1)]},  # what was not sorted stands at the end
        {"label": (RANDOM.random(400) < np.repeat([0.9, 0.1], 200)).astype(int)},
    ],
)
def test_windows_sorted_by_unit_or_electrode_give_each_of_them_to_every_split(tmp_path, columns):
    path = write_windows(tmp_path / "cut.npz", windows=some_windows(), sampling_rate_hz=20_000, **columns)
    windows = open_windows(path)
    np.testing.assert_array_equal(windows.windows, some_windows().astype(np.float32))
    np.testing.assert_array_equal(np.bincount(windows.split), [240, 40, 120])
    pair = np.unique(np.stack([windows.label, windows.channel]), axis=1, return_inverse=True)[1].ravel()
    for group in (windows.label, windows.channel, pair):
        for own in range(-1, 16):
            if (group == own).sum() >= 20:
                counts = np.bincount(windows.split[group == own], minlength=3) / (group == own).sum()
                np.testing.assert_allclose(counts, [0.6, 0.1, 0.3], atol=0.09)
    if len(columns) == 1:  # each by its own order
        (group,) = columns.values()
        for own in np.unique(group):
            assert (np.diff(windows.split[group == own].astype(int)) >= 0).all()
    np.testing.assert_array_equal(open_windows(path).split, windows.split)


@pytest.mark.parametrize(
    "columns",
    [
        {"label": RANDOM.integers(0, 4, 400)},
        {"label": np.arange(400)},
        {"channel": RANDOM.integers(0, 300, 400)},
        {"label": (np.arange(400) + RANDOM.normal(0, 300, 400) > 200).astype(int)},  # a drift, and no sorting
    ],
)
def test_windows_of_mixed_units_are_split_in_their_order(tmp_path, columns):
    path = write_windows(tmp_path / "cut.npz", windows=some_windows(), sampling_rate_hz=20_000, **columns)
    assert (np.diff(open_windows(path).split.astype(int)) >= 0).all()


def test_a_window_that_was_cut_twice_is_refused_only_across_splits(tmp_path):
    given = some_windows()
    given[1] = given[0]
    path = write_windows(tmp_path / "cut.npz", windows=given, sampling_rate_hz=20_000)
    assert len(open_windows(path)) == 400
    given[399] = given[0]
    with pytest.raises(InputError, match="3 of 400 windows have a copy in another"):
        open_windows(write_windows(path, windows=given, sampling_rate_hz=20_000))
    time_s = np.r_[np.arange(399.0), 0.5]  # by their times they stand together
    assert len(open_windows(write_windows(path, windows=given, sampling_rate_hz=20_000, time_s=time_s))) > 390


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
@pytest.mark.parametrize(
    "wrong, complaint",
    [
        (dict(windows=np.full((400, 24), 7)), "400 windows that are all alike"),
        (dict(windows=np.tile(some_windows()[:1], (400, 1))), "400 windows that are all alike"),
        (dict(windows=1e6 + 1e-3 * some_windows()), "400 windows that are all alike"),
        (dict(windows=np.repeat(some_windows()[:, :1], 24, axis=1)), "400 windows that are flat"),
        (
            dict(windows=None, waveforms=some_windows()),
            "lacks windows and holds .*waveforms.*: save it again with windows",
        ),
        (dict(sampling_rate_hz=None), "lacks sampling_rate_hz and holds windows"),
        (dict(windows=np.zeros(30)), "must be .n, samples."),
        (dict(windows=np.zeros((0, 30))), "must be .n, samples."),
        (dict(windows=np.zeros((30, 4))), "8 samples or more"),
        (dict(windows=np.where(np.arange(24) == 3, np.nan, some_windows())), "400 values in windows"),
        (dict(windows=1e300 * some_windows()), "9600 values in windows, in single precision, that are no finite"),
        (dict(windows=np.array([[b"x"] * 24])), "must be numbers"),
        (dict(sampling_rate_hz=0), "above zero"),
        (dict(sampling_rate_hz=-1), "above zero"),
        (dict(sampling_rate_hz=np.nan), "not one finite number"),
        (dict(sampling_rate_hz=[1, 2]), "not one finite number"),
        (dict(label=np.arange(3)), "label of shape .3,."),
        (dict(time_s=np.full(400, np.inf)), "400 values in time_s"),
        (dict(time_s=np.full(400, -1.0)), "below zero"),
        (dict(pre_samples=24), "not within"),
        (dict(amplitude_unit="mV"), "must be one of uV"),
    ],
)
def test_wrong_windows_are_refused_with_their_cause(tmp_path, suffix, wrong, complaint):
    arrays = dict(windows=some_windows(), sampling_rate_hz=20_000) | wrong
    path = write_windows(tmp_path / f"cut{suffix}", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(InputError, match=complaint):
        open_windows(path)


def test_files_that_are_no_windows_are_refused(tmp_path):
    np.savez(tmp_path / "objects.npz", windows=np.array([{}], dtype=object), sampling_rate_hz=1)
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "text.h5").write_text("hello")
    write_windows(tmp_path / "whole.npz", windows=some_windows(), sampling_rate_hz=20_000)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-500])
    (tmp_path / "begun.npz").touch()
    why = {
        "objects.npz": r"cannot be read as windows \(ValueError\)",
        "text.npz": "cannot be read as windows.* none: write it by numpy.savez",
        "text.h5": "is not an HDF5 file",
        "cut.npz": "cannot be read as windows.*cut short or still being written",
        "begun.npz": "cannot be read as windows.*cut short or still being written",
    }
    for name, cause in why.items():
        with pytest.raises(InputError, match=f"{name} {cause}"):
            open_windows(tmp_path / name)
        assert holds_windows(tmp_path / name) == name.endswith(".npz")
    assert not holds_windows(tmp_path / "absent.h5")
    with pytest.raises(InputError, match="holds windows already cut"):
        open_recording(tmp_path / "objects.npz")


def test_the_simulated_chip_has_all_electrodes_and_the_duration_that_was_asked_for(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(opening, "DATA", tmp_path)
    monkeypatch.setattr(opening, "simulate", lambda config, path: asked.append(config))
    with pytest.raises(InputError, match="FileNotFoundError"):  # nothing was written
        open_recording("simulated_chip", simulation=SimulationConfig(seed=3, duration_s=2.0))
    assert asked == [SimulationConfig(seed=3, duration_s=2.0, patch=64, n_units=200)]
