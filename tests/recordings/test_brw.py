"""BRW files are read rightly or refused in one sentence, whatever is wrong with them."""

import json
import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import spikeinterface.extractors as se

from meagan_lib import InputError
from meagan_lib.recordings import segments, source_file
from meagan_lib.recordings.opening import electrode_positions_um, open_recording
from meagan_lib.windows.detection import segment_spans

RATE = 17_840.7


def codes(n_frames: int, n_channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4096, (n_frames, n_channels), dtype=np.uint16)


def write_3(path: Path, row, col, *, n_frames=200, version=102, inversion=1.0) -> np.ndarray:
    data = codes(n_frames, len(row))
    chs = np.zeros(len(row), dtype=[("Row", "<i2"), ("Col", "<i2")])
    chs["Row"], chs["Col"] = np.array(row) + 1, np.array(col) + 1
    variables = {
        "BitDepth": np.uint8(12),
        "MaxVolt": 4125.0,
        "MinVolt": -4125.0,
        "NRecFrames": np.int64(n_frames),
        "SamplingRate": RATE,
        "SignalInversion": inversion,
    }
    with h5py.File(path, "w") as file:
        for name, value in variables.items():
            file[f"3BRecInfo/3BRecVars/{name}"] = np.array([value])
        file["3BRecInfo/3BMeaStreams/Raw/Chs"] = chs
        file["3BData/Raw"] = data if version == 100 else data.ravel()
        file["3BData"].attrs["Version"] = np.int32(version)
    return data


def write_4(path: Path, wells: dict, *, n_frames=200, toc=None, model="Arena", settings="ExperimentSettings"):
    low, high, rate = -8000.0, 8000.0, 19_960.0
    if settings == "ExperimentSettings":
        header = {
            "ValueConverter": {
                "MinAnalogValue": low,
                "MaxAnalogValue": high,
                "MinDigitalValue": 0,
                "MaxDigitalValue": 4095,
                "ScaleFactor": 1.0,
            },
            "TimeConverter": {"FrameRate": rate},
            "MeaPlate": {"Model": model},
        }
    else:
        header = {
            "SignalConverter": {
                "DigitalToAnalogConverter": {
                    "MinAnalogValueMicroVolt": low,
                    "MaxAnalogValueMicroVolt": high,
                    "MinDigitalValue": 0,
                    "MaxDigitalValue": 4095,
                },
                "SampleToTimeConverter": {"FrameRateHertz": rate},
            }
        }
    data = {}
    with h5py.File(path, "w") as file:
        file[settings] = [json.dumps(header)]
        file["TOC"] = np.array(toc or [[0, n_frames]], dtype=np.int64)
        for well, index in wells.items():
            data[well] = codes(n_frames, len(index)) + np.uint16(len(data))
            file[f"Well_{well}/StoredChIdxs"] = np.array(index, dtype=np.int32)
            file[f"Well_{well}/Raw"] = data[well].ravel()
    return data


def rows_cols(*electrodes) -> tuple:
    return tuple(np.array(electrodes).T)


def test_3_gives_codes_scale_rate_and_the_positions_of_a_subset(tmp_path):
    data = write_3(tmp_path / "x.brw", *rows_cols((3, 60), (10, 0), (63, 63)))
    recording = open_recording(tmp_path / "x.brw")
    np.testing.assert_array_equal(recording.get_traces(), data)
    np.testing.assert_allclose(recording.get_traces(return_in_uV=True), data * (8250 / 4096) - 4125, atol=1e-2)
    np.testing.assert_array_equal(electrode_positions_um(recording), 42.0 * np.array([(3, 60), (10, 0), (63, 63)]))
    assert recording.get_sampling_frequency() == RATE and recording.get_dtype() == np.uint16
    assert recording.get_annotation("adc_range") == (0, 4095)
    assert "assumed" in recording.get_annotation("pitch_from")


def test_a_fast_reader_finds_the_flat_samples_by_the_annotations(tmp_path):
    data = write_3(tmp_path / "x.brw", *rows_cols((0, 0), (0, 1)))
    recording = open_recording(tmp_path / "x.brw")
    with h5py.File(recording.get_annotation("files")[0], "r") as file:
        np.testing.assert_array_equal(file[recording.get_annotation("hdf5_dataset")][20:40].reshape(-1, 2), data[10:20])


@pytest.mark.parametrize("version, inversion", [(102, 1.0), (102, -1.0), (100, 1.0), (100, -1.0)])
def test_3_agrees_with_spikeinterface_on_a_full_chip(tmp_path, version, inversion):
    row, col = np.divmod(np.arange(4096), 64)
    write_3(tmp_path / "x.brw", row, col, n_frames=40, version=version, inversion=inversion)
    ours, theirs = open_recording(tmp_path / "x.brw"), se.read_biocam(tmp_path / "x.brw")
    half_step = 8250 / 4096 / 2
    np.testing.assert_allclose(ours.get_traces(return_in_uV=True), theirs.get_traces(return_in_uV=True), atol=half_step)
    np.testing.assert_array_equal(ours.get_channel_locations(), theirs.get_channel_locations())


def test_4_agrees_with_spikeinterface_on_a_full_chip(tmp_path):
    write_4(tmp_path / "x.brw", {"A1": np.arange(4096)}, n_frames=40)
    ours, theirs = open_recording(tmp_path / "x.brw"), se.read_biocam(tmp_path / "x.brw")
    np.testing.assert_allclose(ours.get_traces(return_in_uV=True), theirs.get_traces(return_in_uV=True), atol=1.9)
    np.testing.assert_array_equal(ours.get_channel_locations(), theirs.get_channel_locations())


@pytest.mark.parametrize("name", ["biocam_hw3.0_fw1.6.brw", "biocam_hw3.0_fw1.7.0.12_raw.brw"])
def test_real_files_agree_with_spikeinterface(name):
    path = Path(os.environ.get("MEAGAN_DATA_MIRROR", "")) / "brw_fixtures" / name
    if not path.is_file():
        pytest.skip("no BRW files in MEAGAN_DATA_MIRROR")
    ours, theirs = open_recording(path), se.read_biocam(path)
    assert ours.get_num_samples() == theirs.get_num_samples()
    assert ours.get_sampling_frequency() == theirs.get_sampling_frequency()
    np.testing.assert_allclose(ours.get_traces(return_in_uV=True), theirs.get_traces(return_in_uV=True), atol=1.0)


@pytest.mark.parametrize("index", [[0, 1, 2, 64], [130, 5, 4095], [77]])  # neo: a square, a failure, one
def test_4_places_a_subset_by_its_stored_channels(tmp_path, index):
    data = write_4(tmp_path / "x.brw", {"A1": index})
    recording = open_recording(tmp_path / "x.brw")
    np.testing.assert_array_equal(electrode_positions_um(recording), [[i // 64 * 42.0, i % 64 * 42.0] for i in index])
    np.testing.assert_array_equal(recording.get_traces(), data["A1"])
    np.testing.assert_allclose(recording.get_channel_gains(), 16_000 / 4095)


@pytest.mark.parametrize(
    "model, pitch", [("AccuraV2", 60), ("CorePlate 1W", 60), ("Stimulo", 81), ("Arena", 42), ("Prime", 42), ("", 42)]
)
def test_4_takes_the_pitch_of_the_chip_model_and_says_so(tmp_path, model, pitch):
    write_4(tmp_path / "x.brw", {"A1": [0, 65]}, model=model)
    recording = open_recording(tmp_path / "x.brw")
    np.testing.assert_array_equal(electrode_positions_um(recording), [[0, 0], [pitch, pitch]])
    assert (model or "assumed") in recording.get_annotation("pitch_from")


def test_electrodes_beyond_a_chip_have_no_position_rather_than_a_wrong_one(tmp_path):
    write_4(tmp_path / "x.brw", {"A1": [0, 5000]})
    assert electrode_positions_um(open_recording(tmp_path / "x.brw")) is None


def test_of_several_wells_one_must_be_picked(tmp_path):
    path = tmp_path / "x.brw"
    data = write_4(path, {"A1": [0, 1], "B2": [7, 8, 9]})
    with pytest.raises(InputError, match="2 wells: pick one of A1, B2"):
        open_recording(path)
    with pytest.raises(InputError, match="no well 'C3': pick one of A1, B2"):
        open_recording(path, well="C3")
    recording = open_recording(path, well="B2")
    np.testing.assert_array_equal(recording.get_traces(), data["B2"])
    assert recording.get_annotation("hdf5_dataset") == "Well_B2/Raw"
    write_3(tmp_path / "3.brw", *rows_cols((0, 0)))
    with pytest.raises(InputError, match="no wells"):
        open_recording(tmp_path / "3.brw", well="A1")


def test_brainwave_6_settings_are_read(tmp_path):
    data = write_4(tmp_path / "x.brw", {"A1": [0, 9]}, settings="ExperimentInfo")
    recording = open_recording(tmp_path / "x.brw")
    np.testing.assert_array_equal(recording.get_traces(), data["A1"])
    assert recording.get_sampling_frequency() == 19_960


def test_a_gap_begins_a_new_segment_at_its_true_time(tmp_path):
    toc = [[1_000, 1_050], [1_050, 1_120], [5_000, 5_060], [9_000, 9_000], [9_000, 9_020]]
    data = write_4(tmp_path / "x.brw", {"A1": [0, 1], "B1": [5]}, n_frames=200, toc=toc)
    for well in ("A1", "B1"):
        recording = open_recording(tmp_path / "x.brw", well=well)
        assert segment_spans(recording).tolist() == [[0, 120], [4_000, 4_060], [8_000, 8_020]]
        for segment, (first, end) in enumerate([(0, 120), (120, 180), (180, 200)]):
            np.testing.assert_array_equal(recording.get_traces(segment), data[well][first:end])
        np.testing.assert_array_equal(recording.get_traces(1, 10, 20), data[well][130:140])
        assert recording.get_start_time(1) == 4_000 / 19_960.0
        copy = pickle.loads(pickle.dumps(recording))
        np.testing.assert_array_equal(copy.get_traces(2), data[well][180:])


def test_chunks_that_touch_are_one_segment(tmp_path):
    write_4(tmp_path / "x.brw", {"A1": [0, 1]}, n_frames=200, toc=[[7, 100], [100, 207]])
    assert segment_spans(open_recording(tmp_path / "x.brw")).tolist() == [[0, 200]]
    write_4(tmp_path / "y.brw", {"A1": [0, 1]}, n_frames=200, toc=[[0, 120], [500, 600]])
    with pytest.raises(InputError, match="400 samples, where its header states 220 frames of 2 channels"):
        open_recording(tmp_path / "y.brw")


@pytest.mark.parametrize(
    "toc, row",
    [([[0, 120], [100, 180]], 1), ([[100, 220], [0, 80]], 1), ([[0, 250], [250, 200]], 1), ([[120, 0], [120, 440]], 0)],
)
def test_stretches_that_overlap_or_run_backwards_are_refused(tmp_path, toc, row):
    write_4(tmp_path / "x.brw", {"A1": [0, 1]}, n_frames=200, toc=toc)
    with pytest.raises(InputError, match=f"overlap or run backwards, at its row {row}"):
        open_recording(tmp_path / "x.brw")


def test_a_long_recording_has_a_long_table_of_contents(tmp_path):
    write_4(tmp_path / "x.brw", {"A1": [0]}, n_frames=40_000, toc=[[i, i + 1] for i in range(40_000)])
    assert open_recording(tmp_path / "x.brw").get_num_samples() == 40_000


def test_frames_and_channels_are_sliced_as_numpy_does(tmp_path):
    data = write_4(tmp_path / "x.brw", {"A1": [0, 1, 2, 3]})["A1"]
    recording = open_recording(tmp_path / "x.brw")
    np.testing.assert_array_equal(recording.get_traces(start_frame=50, end_frame=60), data[50:60])
    np.testing.assert_array_equal(recording.get_traces(channel_ids=["4", "2"], end_frame=5), data[:5, [3, 1]])
    copy = pickle.loads(pickle.dumps(recording))  # after a read: the open file stays behind
    np.testing.assert_array_equal(copy.get_traces(), data)


LAYOUTS = {
    "contiguous": {},
    "chunks of a few frames": {"chunks": 28},
    "chunks that end within a frame": {"chunks": 9},
    "compressed": {"chunks": 28, "compression": "gzip"},
    "checked": {"chunks": 28, "fletcher32": True},
    "frames by channels": {"chunks": (8, 4)},
    "a part of the channels to a chunk": {"chunks": (8, 2)},
    "a chunk that was never written": {"chunks": 28},
    "compact": {},
}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_samples_are_those_of_hdf5_however_they_are_stored(tmp_path, monkeypatch, layout, large):
    monkeypatch.setattr(source_file, "is_large", lambda size: large)  # past the system's cache
    monkeypatch.setattr(segments, "BETWEEN", 24 if large else 2**13)
    path = tmp_path / "chip.brw"
    data = write_3(path, *rows_cols((0, 0), (0, 1), (0, 2), (0, 3)), n_frames=50)
    with h5py.File(path, "r+") as file:
        del file["3BData/Raw"]
        flat = layout not in ("frames by channels", "a part of the channels to a chunk")
        shape = data.size if flat else data.shape
        if layout == "compact":
            create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            create.set_layout(h5py.h5d.COMPACT)
            space = h5py.h5s.create_simple((shape,))
            h5py.h5d.create(file["3BData"].id, b"Raw", h5py.h5t.STD_U16LE, space, create)
            samples = file["3BData/Raw"]
        else:
            samples = file["3BData"].create_dataset("Raw", shape, "<u2", **LAYOUTS[layout])
        if layout == "a chunk that was never written":
            data.reshape(-1)[28:56] = 0
            samples[:28], samples[56:] = data.reshape(-1)[:28], data.reshape(-1)[56:]
        else:
            samples[...] = data.reshape(shape)
    recording = open_recording(path)
    by_bytes = {"contiguous", "chunks of a few frames", "chunks that end within a frame", "frames by channels"}
    assert (recording.get_annotation("piece_bytes") is not None) == (layout in by_bytes)
    for start, end in ((0, 50), (3, 4), (6, 41), (50, 50)):
        np.testing.assert_array_equal(recording.get_traces(0, start, end), data[start:end])


@pytest.mark.parametrize("large", [False, True])
def test_a_file_that_shrinks_after_it_was_opened_is_refused(tmp_path, monkeypatch, large):
    monkeypatch.setattr(source_file, "is_large", lambda size: large)
    path = tmp_path / "chip.brw"
    write_3(path, *rows_cols((0, 0), (0, 1), (0, 2), (0, 3)), n_frames=5000)
    recording = open_recording(path)
    with open(path, "r+b") as file:
        file.truncate(10_000)
    with pytest.raises(InputError, match="chip.brw is damaged, its frames 4000 to 5000 cannot be read"):
        recording.get_traces(0, 4000, 5000)


def test_one_channel_is_a_recording(tmp_path):
    data = write_3(tmp_path / "x.brw", *rows_cols((5, 5)))
    np.testing.assert_array_equal(open_recording(tmp_path / "x.brw").get_traces(), data)


def change(path: Path, name: str, value) -> None:
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = value


@pytest.mark.parametrize(
    "name, value, complaint",
    [
        ("3BRecInfo/3BRecVars/SamplingRate", [0.0], "sampling rate of 0 Hz"),
        ("3BRecInfo/3BRecVars/SamplingRate", [-5.0], "sampling rate of -5 Hz"),
        ("3BRecInfo/3BRecVars/SamplingRate", [np.nan], "sampling rate of nan Hz"),
        ("3BRecInfo/3BRecVars/NRecFrames", [0], "2 channels of 0 frames"),
        ("3BRecInfo/3BRecVars/NRecFrames", [199], "is cut short or still being written, or its header is damaged"),
        ("3BRecInfo/3BRecVars/MaxVolt", [-4125.0], "µV per step"),
        ("3BRecInfo/3BRecVars/BitDepth", [0], "BitDepth of 0"),
        ("3BRecInfo/3BRecVars/SignalInversion", [0.0], "SignalInversion of 0"),
        ("3BRecInfo/3BRecVars/MinVolt", ["low"], "damaged"),
        ("3BData/Raw", np.zeros(400, np.float32), "float32.*export it as raw"),
        ("3BRecInfo/3BMeaStreams/Raw/Chs", np.zeros(2, [("Row", "i2"), ("Col", "i2")]), "beyond a chip"),
        ("3BRecInfo/3BMeaStreams/Raw/Chs", np.ones(2, [("Row", "i2"), ("Col", "i2")]), "an electrode twice"),
    ],
)
def test_an_impossible_header_is_refused_with_its_cause(tmp_path, name, value, complaint):
    write_3(tmp_path / "x.brw", *rows_cols((0, 0), (0, 1)))
    change(tmp_path / "x.brw", name, value)
    with pytest.raises(InputError, match=complaint):
        open_recording(tmp_path / "x.brw")


def test_a_missing_part_is_named(tmp_path):
    write_4(tmp_path / "x.brw", {"A1": [0, 1]})
    with h5py.File(tmp_path / "x.brw", "r+") as file:
        del file["Well_A1/StoredChIdxs"]
    with pytest.raises(InputError, match="StoredChIdxs"):
        open_recording(tmp_path / "x.brw")


def test_a_well_without_samples_names_the_remedy(tmp_path):
    write_4(tmp_path / "x.brw", {"A1": [0]})
    with h5py.File(tmp_path / "x.brw", "r+") as file:
        file.move("Well_A1/Raw", "Well_A1/Other")
    with pytest.raises(InputError, match="holds no samples of the well A1: export it as raw with BrainWave"):
        open_recording(tmp_path / "x.brw")


def test_an_hdf5_file_without_a_3brain_header_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.brw", "w") as file:
        file["x"] = [1]
    with pytest.raises(InputError, match=r"no 3Brain header was found in it, only x \(1,\)"):
        open_recording(tmp_path / "other.brw")


def test_a_file_that_is_cut_short_is_refused(tmp_path):
    write_4(tmp_path / "x.brw", {"A1": [0, 1]})
    content = (tmp_path / "x.brw").read_bytes()
    for size in (0, 5, 100, len(content) // 2, len(content) - 1):
        (tmp_path / "x.brw").write_bytes(content[:size])
        with pytest.raises(InputError, match="is cut short or still being written"):
            open_recording(tmp_path / "x.brw")


def damaged_copies(source: Path, folder: Path, rng: np.random.Generator, n: int):
    """Write ``n`` copies in turn: bytes flipped (in the header above all), cut short, or a part deleted."""
    original = source.read_bytes()
    with h5py.File(source, "r") as file:
        parts = []
        file.visit(parts.append)
    for i in range(n):
        target, content = folder / f"damaged_{i}.brw", bytearray(original)
        if i % 5 == 4:
            target.write_bytes(original)
            with h5py.File(target, "r+") as file:
                del file[parts[rng.integers(len(parts))]]
            yield target
            continue
        if i % 5 == 3:
            content = content[: rng.integers(len(content))]
        else:
            reach = len(content) if i % 5 == 2 else min(len(content), 8_000)
            for position in rng.integers(reach, size=rng.integers(1, 20)):
                content[position] ^= 1 << rng.integers(8)
        target.write_bytes(content)
        yield target


def check_damaged(path: Path) -> bool:
    """Whether the file opens and reads; all but an InputError, and a wrong success, is a failure."""
    try:
        recording = open_recording(path)
        traces = recording.get_traces(0, end_frame=100)
    except InputError as error:
        assert "\n" not in str(error)
        return False
    assert 0 < recording.get_sampling_frequency() < np.inf
    assert traces.shape == (min(100, recording.get_num_samples(0)), recording.get_num_channels())
    assert np.isfinite(recording.get_channel_gains()).all() and (recording.get_channel_gains() != 0).all()
    with h5py.File(path, "r") as file:
        stored = file[recording.get_annotation("hdf5_dataset")].size
    assert stored == recording.get_total_samples() * recording.get_num_channels()
    return True


def test_a_broken_heap_of_strings_is_refused_and_neither_crashes_nor_hangs(tmp_path):
    write_4(tmp_path / "x.brw", {"A1": [0, 1]})
    content = bytearray((tmp_path / "x.brw").read_bytes())
    heap = content.index(b"GCOL")
    content[heap + 16 : heap + 32] = bytes(16)  # the first object becomes free space of size 0
    (tmp_path / "broken.brw").write_bytes(content)
    with pytest.raises(InputError, match="is not where the file says"):
        open_recording(tmp_path / "broken.brw")


@pytest.mark.parametrize("kind", ["3", "4", "4 with gaps", "real 3", "real 4"])
def test_a_damaged_file_is_refused_in_a_sentence_or_read_consistently(tmp_path, kind):
    source = tmp_path / "whole.brw"
    if kind == "3":
        write_3(source, *rows_cols((0, 0), (0, 1), (5, 9)))
    elif kind in ("4", "4 with gaps"):
        write_4(source, {"A1": [0, 1, 70]}, toc=None if kind == "4" else [[0, 120], [500, 580]])
    else:
        names = {"real 3": "biocam_hw3.0_fw1.6.brw", "real 4": "biocam_hw3.0_fw1.7.0.12_raw.brw"}
        source = Path(os.environ.get("MEAGAN_DATA_MIRROR", "")) / "brw_fixtures" / names[kind]
        if not source.is_file():
            pytest.skip("no BRW files in MEAGAN_DATA_MIRROR")
    assert check_damaged(source)
    n = int(os.environ.get("MEAGAN_FUZZ", 25))
    rng = np.random.default_rng(0)
    opened = [check_damaged(path) for path in damaged_copies(source, tmp_path, rng, n)]
    assert not all(opened)
