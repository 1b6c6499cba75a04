"""Files of other makers open as themselves, by the electrodes' own stream; the files are written here."""

import os
from pathlib import Path

import h5py
import numcodecs
import numpy as np
import pytest
import zarr

from meagan_lib import InputError
from meagan_lib.recordings.opening import electrode_positions_um, open_recording, source_hashes
from meagan_lib.workflow.files import source_hash
from tests.recordings.writers import (
    samples,
    write_blackrock,
    write_intan,
    write_maxtwo,
    write_mcs,
    write_nwb,
    write_openephys,
    write_spikeglx,
)


def names_of(recording) -> list[str]:
    return [Path(file).name for file in recording.get_annotation("files")]


@pytest.mark.parametrize(
    "name",
    [
        "run_g0_t0.imec0.ap",
        "run_g3_t12.imec1.lf",
        "run_g0_tcat.imec0.ap",
        "my.run.2_g0_t0.imec0.ap",
        "a run_g0_t0.imec0.ap",
        "imec_test_g0_t0.imec0.ap",
    ],
)
def test_a_spikeglx_file_of_any_legal_name_gives_its_electrodes_without_the_sync_channel(tmp_path, name):
    path, data = write_spikeglx(tmp_path / "run", name)
    recording = open_recording(path)
    np.testing.assert_array_equal(recording.get_traces(), data[:, :4])
    gain = 500 if name.endswith("ap") else 250
    np.testing.assert_allclose(recording.get_channel_gains(), 0.6 / 512 / gain * 1e6)
    assert recording.get_sampling_frequency() == 30_000
    assert len(np.unique(electrode_positions_um(recording), axis=0)) == 4
    assert names_of(recording) == [f"{name}.bin", f"{name}.meta"]
    assert source_hashes(recording) == [source_hash(path), source_hash(path.with_suffix(".meta"))]


def test_of_spikeglx_runs_gates_and_triggers_side_by_side_the_one_that_is_named_opens(tmp_path):
    names = [
        "a_g0_t0.imec0.ap",
        "a_g0_t1.imec0.ap",
        "a_g1_t0.imec0.ap",
        "b_g0_t0.imec0.ap",
        "a_g0_t0.imec0.lf",
        "a_g0_t0.imec1.ap",
        "a_g0_t0.nidq",
    ]
    written = {name: write_spikeglx(tmp_path, name, seed=i, n_frames=100 + i) for i, name in enumerate(names)}
    write_spikeglx(tmp_path / "copy", names[0], seed=9)
    for name in names[:-1]:
        path, data = written[name]
        recording = open_recording(path)
        assert recording.get_num_segments() == 1
        np.testing.assert_array_equal(recording.get_traces(), data[:, :4])
        assert names_of(recording) == [f"{name}.bin", f"{name}.meta"]


@pytest.mark.parametrize("name", ["run_g0_t0.nidq", "run_g0_t0.obx0.obx"])
def test_analog_inputs_of_spikeglx_are_never_electrodes(tmp_path, name):
    path, _ = write_spikeglx(tmp_path, name)
    with pytest.raises(InputError, match="holds no electrodes, only inputs of"):
        open_recording(path)


def test_of_an_ni_daq_the_neural_channels_are_the_electrodes(tmp_path):
    path, data = write_spikeglx(tmp_path, "neural_g0_t0.nidq")
    recording = open_recording(path)
    np.testing.assert_array_equal(recording.get_traces(), data[:, :2])
    np.testing.assert_allclose(recording.get_channel_gains(), 5 / 32768 / 200 * 1e6)


def test_a_spikeglx_file_that_is_cut_short_is_refused(tmp_path):
    path, data = write_spikeglx(tmp_path, "run_g0_t0.imec0.ap")
    for size in (0, 1001, data.nbytes - 10):
        path.write_bytes(data.tobytes()[:size])
        with pytest.raises(InputError, match="is cut short or still being written"):
            open_recording(path)


def test_a_stream_is_not_picked_where_there_is_one(tmp_path):
    path, _ = write_spikeglx(tmp_path, "run_g0_t0.imec0.ap")
    assert open_recording(path, stream="imec0.ap").get_num_channels() == 4
    with pytest.raises(InputError, match="single stream, 'imec0.ap': leave the stream out"):
        open_recording(path, stream="imec0.lf")


def test_of_an_intan_file_with_auxiliary_inputs_the_amplifier_is_taken(tmp_path):
    codes = write_intan(tmp_path / "x.rhd")
    for stream in (None, "amplifier", "RHD2000 amplifier channel"):
        recording = open_recording(tmp_path / "x.rhd", stream=stream)
        np.testing.assert_allclose(recording.get_traces(return_in_uV=True), 0.195 * (codes - 32768.0), atol=1e-3)
    assert list(recording.channel_ids) == ["A-000", "A-001", "B-000"] and names_of(recording) == ["x.rhd"]
    with pytest.raises(InputError, match="'RHD2000 auxiliary input channel' of x.rhd is no stream of electrodes"):
        open_recording(tmp_path / "x.rhd", stream="auxiliary")
    with pytest.raises(InputError, match="no stream 'cortex': pick one of 'RHD2000 amplifier channel'"):
        open_recording(tmp_path / "x.rhd", stream="cortex")


def test_an_intan_file_of_inputs_alone_is_refused(tmp_path):
    write_intan(tmp_path / "x.rhd", {"A-AUX1": 1})
    with pytest.raises(InputError, match="no stream of electrodes, only RHD2000 auxiliary"):
        open_recording(tmp_path / "x.rhd")


def test_intan_samples_beside_their_header_are_named_and_no_other(tmp_path):
    write_intan(tmp_path / "info.rhd", {"A-000": 0, "A-001": 0, "A-AUX1": 1}, n_blocks=0)
    data = samples(100, 2)
    data.tofile(tmp_path / "amplifier.dat")
    np.arange(100, dtype=np.int32).tofile(tmp_path / "time.dat")
    np.zeros(100, np.uint16).tofile(tmp_path / "auxiliary.dat")
    write_intan(tmp_path / "neighbour.rhd")
    recording = open_recording(tmp_path / "info.rhd")
    np.testing.assert_array_equal(recording.get_traces(), data)
    assert sorted(names_of(recording)) == ["amplifier.dat", "info.rhd", "time.dat"]
    assert names_of(recording)[0] == "amplifier.dat"
    data[:90].tofile(tmp_path / "amplifier.dat")
    with pytest.raises(InputError, match="is cut short or still being written"):
        open_recording(tmp_path / "info.rhd")


def test_an_intan_file_that_ends_within_a_block_is_refused(tmp_path):
    write_intan(tmp_path / "x.rhd")
    content = (tmp_path / "x.rhd").read_bytes()
    for size in (0, 3, 60, 700, len(content) - 100):
        (tmp_path / "cut.rhd").write_bytes(content[:size])
        with pytest.raises(InputError, match="is cut short or still being written"):
            open_recording(tmp_path / "cut.rhd")


def test_a_folder_of_open_ephys_is_its_electrodes_and_names_their_files(tmp_path):
    node = tmp_path / "session" / "Record Node 101"
    names = {"Board-100.Rhythm Data": ["CH1", "CH2", "AUX1", "ADC1"], "NI-DAQmx-103.PXIe-6341": ["AI0", "AI1"]}
    data = write_openephys(node / "experiment1" / "recording1", names)["Board-100.Rhythm Data"]
    (node / "settings.xml").write_text("<SETTINGS/>")
    for folder in (tmp_path / "session", node, node / "experiment1", node / "experiment1" / "recording1"):
        recording = open_recording(folder)
        np.testing.assert_array_equal(recording.get_traces(), data[:, :2])
        told = ["continuous.dat", "sample_numbers.npy", "timestamps.npy", "structure.oebin", "settings.xml"]
        assert names_of(recording) == told
        assert all("Rhythm" in file for file in recording.get_annotation("files")[:3])


def test_of_several_streams_of_open_ephys_one_is_picked_by_name(tmp_path):
    folder = tmp_path / "Record Node 101" / "experiment1" / "recording1"
    probes = ("ProbeA-AP", "ProbeA-LFP", "ProbeB-AP", "ProbeB-LFP")
    names = {f"Neuropix-100.{probe}": ["AP1", "AP2"] for probe in probes}
    data = write_openephys(folder, names)
    with pytest.raises(InputError, match="pick one of .*ProbeA-AP.*ProbeB-LFP.*01_preprocessing.stream=NAME"):
        open_recording(folder)
    for stream in ("ProbeB-AP", "Record Node 101#Neuropix-100.ProbeB-LFP"):
        recording = open_recording(folder, stream=stream)
        np.testing.assert_array_equal(recording.get_traces(), data[f"Neuropix-100.{stream.split('.')[-1]}"])
    with pytest.raises(InputError, match="several streams 'ProbeA'"):
        open_recording(folder, stream="ProbeA")


def test_the_only_stream_that_was_not_filtered_is_taken_without_being_picked(tmp_path):
    folder = tmp_path / "Record Node 101" / "experiment1" / "recording1"
    data = write_openephys(folder, {"Neuropix-100.ProbeA-AP": ["AP1"], "Neuropix-100.ProbeA-LFP": ["LFP1"]})
    np.testing.assert_array_equal(open_recording(folder).get_traces(), data["Neuropix-100.ProbeA-AP"])


def test_recordings_of_an_open_ephys_experiment_are_segments_at_their_times(tmp_path):
    experiment = tmp_path / "Record Node 101" / "experiment1"
    first = write_openephys(experiment / "recording1")
    second = write_openephys(experiment / "recording2", start=9_000, seed=1, n_frames=200)
    write_openephys(tmp_path / "Record Node 101" / "experiment2" / "recording1")
    recording = open_recording(experiment)
    assert recording.get_num_segments() == 2 and len(recording.get_annotation("files")) == 8
    for segment, data in enumerate((first, second)):
        np.testing.assert_array_equal(recording.get_traces(segment), *data.values())
    assert recording.get_start_time(1) - recording.get_start_time(0) == pytest.approx(9_000 / 30_000)
    with pytest.raises(InputError, match="2 experiments: name the folder of one of .*experiment1.*experiment2"):
        open_recording(tmp_path)


def test_an_open_ephys_folder_of_inputs_alone_or_cut_short_is_refused(tmp_path):
    write_openephys(tmp_path / "Record Node 1" / "experiment1" / "recording1", {"NI-DAQmx-103.PXIe-6341": ["AI0"]})
    with pytest.raises(InputError, match="no stream of electrodes"):
        open_recording(tmp_path / "Record Node 1")
    write_openephys(tmp_path / "Record Node 2" / "experiment1" / "recording1", {"Rhythm": ["ADC1", "ADC2"]})
    with pytest.raises(InputError, match="no stream of electrodes|holds no electrodes"):
        open_recording(tmp_path / "Record Node 2")
    folder = tmp_path / "Record Node 3" / "experiment1" / "recording1"
    (data,) = write_openephys(folder).values()
    for size in (data.nbytes - 1, data.nbytes - 6, 0):
        next(folder.rglob("continuous.dat")).write_bytes(data.tobytes()[:size])
        with pytest.raises(InputError, match="is cut short or still being written"):
            open_recording(folder)


def test_a_folder_that_is_no_recording_is_refused(tmp_path):
    with pytest.raises(InputError, match="in no format that is read"):
        open_recording(tmp_path)


@pytest.mark.parametrize(
    "streams, taken",
    [
        ([("Analog Data", "Auxiliary", 2), ("Electrode Raw Data", "Electrode", 3), ("Digital Data", "Digital", 1)], 1),
        ([("TTL", "Digital", 1), ("Filter Data (1)", "Electrode", 3), ("Electrode Raw Data (1)", "Electrode", 3)], 2),
        ([("Electrode Raw Data", "Electrode", 3)], 0),
    ],
)
def test_of_the_streams_of_multichannel_systems_the_electrodes_are_taken(tmp_path, streams, taken):
    data = write_mcs(tmp_path / "x.h5", streams)
    recording = open_recording(tmp_path / "x.h5")
    np.testing.assert_array_equal(recording.get_traces(), data[taken])
    assert names_of(recording) == ["x.h5"]


def test_of_several_streams_of_multichannel_systems_one_is_picked(tmp_path):
    data = write_mcs(
        tmp_path / "x.h5",
        [("Analog Data", "Auxiliary", 1), ("Headstage A", "Electrode", 2), ("Headstage B", "Electrode", 3)],
    )
    with pytest.raises(InputError, match="several streams .*'Stream_1 Headstage A, Electrode', 'Stream_2 Headstage B"):
        open_recording(tmp_path / "x.h5")
    for stream in ("Stream_2", "headstage b"):
        np.testing.assert_array_equal(open_recording(tmp_path / "x.h5", stream=stream).get_traces(), data[2])
    with pytest.raises(InputError, match="'Stream_0 Analog Data, Auxiliary' of x.h5 is no stream of electrodes"):
        open_recording(tmp_path / "x.h5", stream="Analog")
    write_mcs(tmp_path / "y.h5", [("Analog Data", "Auxiliary", 2)])
    with pytest.raises(InputError, match="holds no stream of electrodes, only Stream_0 Analog Data"):
        open_recording(tmp_path / "y.h5")


def test_gaps_of_other_makers_begin_segments_at_their_times(tmp_path):
    """Each file has frames 0 to 59 at time 0, and the rest 0.5 s later."""
    write_nwb(tmp_path / "x.nwb", {"acquisition/ElectricalSeries": 3})
    with h5py.File(tmp_path / "x.nwb", "r+") as file:
        del file["acquisition/ElectricalSeries/starting_time"]
        late = np.arange(100) / 20_000 + 0.5 * (np.arange(100) >= 60)
        file["acquisition/ElectricalSeries/timestamps"] = late
    write_mcs(tmp_path / "x.h5", [("Electrode Raw Data", "Electrode", 3)], times=[[0, 0, 59], [503_000, 60, 99]])
    folder = tmp_path / "Record Node 1" / "experiment1" / "recording1"
    write_openephys(folder)
    numbers = np.arange(300) + 15_000 * (np.arange(300) >= 60)
    np.save(next(folder.rglob("sample_numbers.npy")), numbers)
    for path, time_s in ((tmp_path / "x.nwb", 0.503), (tmp_path / "x.h5", 0.503), (folder, 0.502)):
        recording = open_recording(path)
        assert recording.get_num_samples(0) == 60 and recording.get_num_segments() == 2
        assert recording.get_start_time(1) == pytest.approx(time_s)
        whole = np.concatenate([recording.get_traces(segment) for segment in (0, 1)])
        assert whole.shape == (300 if path == folder else 100, 3) and len(np.unique(whole)) > 50
    np.save(next(folder.rglob("sample_numbers.npy")), np.arange(300) % 200)
    with pytest.raises(InputError, match="overlap or run backwards"):
        open_recording(folder)


LFP = "processing/ecephys/LFP/ElectricalSeries"


def test_of_the_series_of_an_nwb_file_the_raw_one_is_taken_and_others_are_picked(tmp_path):
    data = write_nwb(tmp_path / "x.nwb", {"acquisition/ElectricalSeries": 3, LFP: 2})
    recording = open_recording(tmp_path / "x.nwb")
    np.testing.assert_array_equal(recording.get_traces(), data["acquisition/ElectricalSeries"])
    np.testing.assert_array_equal(open_recording(tmp_path / "x.nwb", stream="lfp").get_traces(), data[LFP])
    data = write_nwb(tmp_path / "y.nwb", {"acquisition/probe0": 3, "acquisition/probe1": 2, LFP: 2})
    with pytest.raises(InputError, match="pick one of 'acquisition/probe0', 'acquisition/probe1', 'processing"):
        open_recording(tmp_path / "y.nwb")
    recording = open_recording(tmp_path / "y.nwb", stream="acquisition/probe1")
    np.testing.assert_array_equal(recording.get_traces(), data["acquisition/probe1"])
    write_nwb(tmp_path / "z.nwb", {LFP: 2})
    with pytest.raises(
        InputError, match="only filtered streams of electrodes: pick one of 'processing/ecephys/LFP/Electr"
    ):
        open_recording(tmp_path / "z.nwb")
    write_nwb(tmp_path / "none.nwb", {})
    with pytest.raises(InputError, match="holds no ElectricalSeries, .*; it has general/"):
        open_recording(tmp_path / "none.nwb")


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No download, and nothing written to the home folder."""

    def refuse(*_, **__):
        raise AssertionError("a download was tried")

    monkeypatch.setattr("neo.rawio.maxwellrawio.urlopen", refuse)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize("name", ["x.raw.h5", "x.h5", "x.H5", "trace.hdf5"])
def test_maxwell_is_told_by_its_content_and_needs_no_download(offline, name):
    data = write_maxtwo(offline / name, {"well000": ["rec0000"]}, filters={"compression": "gzip"})
    recording = open_recording(offline / name)
    np.testing.assert_array_equal(recording.get_traces(), data["well000/rec0000"])
    np.testing.assert_array_equal(electrode_positions_um(recording), [[0, 35], [17.5, 35]])
    np.testing.assert_allclose(recording.get_channel_gains(), 6.29)
    assert not (offline / "home").exists()


def test_of_the_wells_of_a_maxtwo_one_is_picked(offline):
    data = write_maxtwo(offline / "x.h5", {"well000": ["rec0000"], "well001": ["rec0000"]})
    with pytest.raises(InputError, match="2 wells: pick one of well000, well001 with .*well=NAME"):
        open_recording(offline / "x.h5")
    for choice in ({"well": "well001"}, {"stream": "well001"}):
        np.testing.assert_array_equal(open_recording(offline / "x.h5", **choice).get_traces(), data["well001/rec0000"])
    with pytest.raises(InputError, match="no well 'A1': pick one of well000, well001"):
        open_recording(offline / "x.h5", well="A1")
    data = write_maxtwo(offline / "y.h5", {"well000": ["rec0000", "rec0001"], "well005": ["rec0001"]})
    for well, own in (("well000/rec0001", "well000/rec0001"), ("well005", "well005/rec0001")):
        np.testing.assert_array_equal(open_recording(offline / "y.h5", well=well).get_traces(), data[own])


def test_the_first_format_of_maxwell_gives_the_rows_of_its_electrodes(offline):
    rows = samples(60, 12).astype(np.uint16).T
    mapping = np.zeros(4, [("channel", "i4"), ("electrode", "i4"), ("x", "f8"), ("y", "f8")])
    mapping["channel"], mapping["x"] = [5, 0, 9, 6], [0, 1, 2, 3]
    with h5py.File(offline / "x.raw.h5", "w") as file:
        file["version"], file["mapping"], file["sig"] = [b"20160704"], mapping, rows
        file["settings/lsb"] = [6.29e-6]
    recording = open_recording(offline / "x.raw.h5")
    np.testing.assert_array_equal(recording.get_traces(), rows[[5, 0, 9, 6]].T)
    two = recording.get_traces(0, 10, 20, channel_ids=recording.channel_ids[1:3])
    np.testing.assert_array_equal(two, rows[[0, 9], 10:20].T)


def test_a_compressed_maxwell_file_names_the_library_that_it_needs(offline, monkeypatch):
    write_maxtwo(offline / "x.h5", {"well000": ["rec0000"]}, filters={"compression": "gzip"})
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    with pytest.raises(InputError, match="is compressed .*decompression library.*HDF5_PLUGIN_PATH"):
        open_recording(offline / "x.h5")
    assert not (offline / "home").exists()


def test_an_hdf5_file_that_is_no_recording_tells_what_was_sought_and_what_is_there(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["spikes"], file["sampling_rate_hz"] = np.zeros((30, 36), np.float32), 20_000.0
    told = r"MaxWell.*MultiChannel.*windows.*it has sampling_rate_hz \(\), spikes \(30, 36\)"
    with pytest.raises(InputError, match=told):
        open_recording(tmp_path / "x.h5")


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_nwb(path.with_suffix(".nwb"), {"acquisition/ElectricalSeries": 3}),
        lambda path: write_mcs(path.with_suffix(".h5"), [("Electrode Raw Data", "Electrode", 3)]),
        lambda path: write_maxtwo(path.with_suffix(".h5"), {"well000": ["rec0000"]}),
    ],
)
def test_an_hdf5_file_that_is_cut_short_is_refused(tmp_path, write):
    write(tmp_path / "x")
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    for size in (0, 5, 100, len(content) // 2, len(content) - 50):
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match="is cut short or still being written"):
            open_recording(path)


def test_a_blackrock_file_opens_without_its_neighbours_and_without_analog_inputs(tmp_path):
    (data,) = write_blackrock(tmp_path / "x.ns6", ["elec1", "elec2", "ainp1"], [(0, 500)])
    write_blackrock(tmp_path / "x.ns5", ["ainp1"], [(0, 300)], seed=5)
    (tmp_path / "x.ns2").write_bytes(b"NEURALCD damaged")
    (tmp_path / "x.nev").write_bytes(b"damaged")
    recording = open_recording(tmp_path / "x.ns6")
    np.testing.assert_array_equal(recording.get_traces(), data[:, :2])
    assert names_of(recording) == ["x.ns6"]
    with pytest.raises(InputError, match="holds no electrodes, only ainp1"):
        open_recording(tmp_path / "x.ns5")


def test_a_pause_of_a_blackrock_file_begins_a_new_segment_at_its_time(tmp_path):
    data = write_blackrock(tmp_path / "x.ns6", ["elec1", "elec2"], [(0, 500), (3_000, 400)])
    recording = open_recording(tmp_path / "x.ns6")
    assert recording.get_num_segments() == 2
    for segment, own in enumerate(data):
        np.testing.assert_array_equal(recording.get_traces(segment), own)
    assert recording.get_start_time(1) == pytest.approx(0.1)


def test_a_blackrock_file_that_is_cut_short_is_refused(tmp_path):
    write_blackrock(tmp_path / "x.ns6", ["elec1", "elec2"], [(0, 500)])
    content = (tmp_path / "x.ns6").read_bytes()
    for size in (0, 5, 100, 400, 450, len(content) - 100):
        (tmp_path / "x.ns6").write_bytes(content[:size])
        with pytest.raises(InputError, match="is cut short or still being written"):
            open_recording(tmp_path / "x.ns6")


def test_a_zarr_folder_that_lacks_a_chunk_is_refused(tmp_path):
    samples(3_000, 3).tofile(tmp_path / "x.raw")
    (tmp_path / "x.yaml").write_text("{sampling_rate_hz: 10000, n_channels: 3, dtype: int16}")
    whole = open_recording(tmp_path / "x.raw")
    whole.save(format="zarr", folder=tmp_path / "x.zarr", chunk_size=1_000, verbose=False, progress_bar=False)
    assert open_recording(tmp_path / "x.zarr").get_num_samples() == 3_000
    with pytest.raises(InputError, match="has no streams: leave the stream out"):
        open_recording(tmp_path / "x.zarr", stream="raw")
    next(tmp_path.glob("x.zarr/traces_seg0/1.*")).unlink()
    with pytest.raises(InputError, match="is cut short or still being written: traces_seg0 lacks chunks"):
        open_recording(tmp_path / "x.zarr")


class Harmful:
    """What runs a command where it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def spikeinterfaces_folder(tmp_path) -> Path:
    """A recording that SpikeInterface wrote as a binary folder."""
    samples(3_000, 3).tofile(tmp_path / "x.raw")
    described = "{sampling_rate_hz: 10000, n_channels: 3, dtype: int16, uv_per_step: 0.5, positions_um: %s}"
    (tmp_path / "x.yaml").write_text(described % [[0, 0], [0, 20], [20, 0]])
    open_recording(tmp_path / "x.raw").save(folder=tmp_path / "saved", verbose=False, progress_bar=False)
    return tmp_path / "saved"


def test_spikeinterfaces_binary_folder_is_read_with_scale_and_positions(spikeinterfaces_folder):
    recording = open_recording(spikeinterfaces_folder)
    np.testing.assert_array_equal(recording.get_traces(0), samples(3_000, 3))
    assert recording.get_channel_locations().tolist() == [[0, 0], [0, 20], [20, 0]]
    assert set(recording.get_channel_gains()) == {0.5} and recording.get_annotation("files") == [
        str(spikeinterfaces_folder)
    ]
    with pytest.raises(InputError, match="has no streams: leave the stream out"):
        open_recording(spikeinterfaces_folder, stream="raw")


@pytest.mark.parametrize(
    "damage, sentence",
    [
        (lambda f: os.truncate(f / "traces_cached_seg0.raw", 1_001), "ends within a frame"),
        (lambda f: (f / "traces_cached_seg0.raw").unlink(), "could not be read as a SpikeInterface recording"),
        (lambda f: (f / "binary.json").unlink(), "could not be read as a SpikeInterface recording"),
        (lambda f: (f / "binary.json").write_text("{"), "could not be read as a SpikeInterface recording"),
        (lambda f: (f / "binary.json").write_text("[]"), "could not be read as a SpikeInterface recording"),
        (lambda f: (f / "annotations.json").write_bytes(b"\xff"), "could not be read as a SpikeInterface recording"),
        (lambda f: (f / "probegroup.json").write_text("{}"), "could not be read as a SpikeInterface recording"),
        (lambda f: os.truncate(f / "properties/gain_to_uV.npy", 30), "properties/gain_to_uV.npy"),
    ],
)
def test_a_damaged_binary_folder_of_spikeinterface_is_refused(spikeinterfaces_folder, damage, sentence):
    damage(spikeinterfaces_folder)
    with pytest.raises(InputError, match=sentence):
        open_recording(spikeinterfaces_folder)


def test_nothing_in_spikeinterfaces_folders_is_unpickled(spikeinterfaces_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("numcodecs.pickles.ALLOW_UNSAFE_PICKLE_DECODE", True)
    recording, harm = open_recording(spikeinterfaces_folder), np.array([Harmful(tmp_path / "harm")] * 3, object)
    recording.save(format="zarr", folder=tmp_path / "x.zarr", verbose=False, progress_bar=False)
    zarr.open(tmp_path / "x.zarr/properties", "a").create_dataset("p", data=harm, object_codec=numcodecs.Pickle())
    (tmp_path / "x.zarr/.zmetadata").unlink(missing_ok=True)
    np.save(spikeinterfaces_folder / "properties/p.npy", harm)
    for folder, name in ((spikeinterfaces_folder, "p.npy"), (tmp_path / "x.zarr", "p")):
        with pytest.raises(InputError, match=f"{name} damaged or of Python objects, which are not unpickled"):
            open_recording(folder)
    assert not (tmp_path / "harm").exists()
