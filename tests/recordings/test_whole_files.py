"""A file of every kind becomes the windows of what was written into it, and half of it is refused."""

import os
import shutil
import struct
from datetime import UTC, datetime

import neo
import numpy as np
import pytest
import quantities
import spikeinterface.core as sc

from meagan_lib import InputError
from meagan_lib.network import read_spikes
from meagan_lib.recordings.events import STORED_NOISE
from meagan_lib.recordings.formats import HDF5_SUFFIXES, READERS
from meagan_lib.recordings.kinds import KINDS, describe
from meagan_lib.recordings.opening import electrode_positions_um, open_recording
from meagan_lib.windows.cutting import WindowConfig, cut_windows
from meagan_lib.windows.detection import DetectionConfig
from tests.recordings.neo_writers import write_abf, write_nex, write_plx
from tests.recordings.writers import STATED_NOISE, WHOLE, planted, write_whole


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A file of each kind: what to open, and the codes in it; to be copied before it is damaged."""
    codes, folder, paths = planted(), tmp_path_factory.mktemp("whole"), {}
    for kind in WHOLE:
        (folder / kind.strip(".")).mkdir()
        paths[kind] = write_whole(kind, folder / kind.strip("."), codes)
    return codes, paths


def cut(recording):
    return cut_windows(recording, DetectionConfig(), WindowConfig())


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_of_every_kind_becomes_the_windows_of_its_samples(whole, kind):
    codes, paths = whole
    _, rate, gain = WHOLE[kind]
    expected = sc.NumpyRecording([codes.astype(np.int16)], rate)
    expected.set_channel_gains(gain)
    expected.set_channel_offsets(0)
    expected.annotate(files=[])
    if kind == "brw4_events":  # its noise is what the file says
        expected.set_property(STORED_NOISE, [STATED_NOISE] * 2)
    recording = open_recording(paths[kind])
    assert recording.get_sampling_frequency() == rate
    assert describe(recording.get_annotation("files")[0]).kind is KINDS[kind]
    found, wanted = cut(recording), cut(expected)
    assert len(wanted) >= 20
    np.testing.assert_array_equal(found.frame, wanted.frame)
    np.testing.assert_array_equal(found.channel, wanted.channel)
    np.testing.assert_allclose(found.windows, wanted.windows, atol=2e-3 * np.abs(wanted.windows).max())


@pytest.mark.parametrize("kind", WHOLE)
def test_half_a_file_of_every_kind_is_refused(whole, kind, tmp_path):
    source = whole[1][kind]
    folder = tmp_path / "half"
    shutil.copytree(source.parent, folder)
    largest = max((file for file in folder.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2 + 1)  # a plain binary states no length: it ends within a frame
    with pytest.raises(InputError, match=r"^[^\n]+$"):
        cut(open_recording(folder / source.name))


@pytest.mark.parametrize(
    ("write", "name"), [(write_nex, "x.nex"), (write_plx, "x.plx")], ids=["NeuroExplorer", "Plexon"]
)
def test_a_gap_that_neo_lays_end_to_end_parts_two_stretches_of_time(tmp_path, write, name):
    codes = planted(6_400)
    recording = open_recording(write(tmp_path / name, codes, (3_200, 700)))
    assert [recording.get_start_time(i) for i in (0, 1)] == [0, pytest.approx(3_900 / 20_000)]
    np.testing.assert_array_equal(recording.get_traces(0), codes[:3_200])
    np.testing.assert_array_equal(recording.get_traces(1), codes[3_200:])


def test_continuous_variables_of_another_rate_are_a_stream_of_their_own(tmp_path):
    path = write_nex(tmp_path / "x.nex", planted(1_000))
    content = bytearray(path.read_bytes())
    struct.pack_into("<d", content, 544 + 208 + 112, 1_000.0)  # the rate of the second channel
    path.write_bytes(content)
    with pytest.raises(InputError, match="pick one of 'continuous, 20000 Hz', 'continuous, 1000 Hz'"):
        open_recording(path)
    np.testing.assert_array_equal(open_recording(path, stream="1000 Hz").get_traces(), planted(1_000)[:, 1:])


def test_the_sweeps_of_an_abf_file_are_stretches_of_time_of_its_volts(tmp_path):
    codes, sweeps = planted(3_000), (1_000, 500, 1_500)
    recording = open_recording(write_abf(tmp_path / "x.abf", codes, sweeps))
    assert [recording.get_num_samples(i) for i in range(3)] == list(sweeps)
    np.testing.assert_array_equal(recording.get_traces(2), codes[1_500:])


def test_a_nix_file_of_neo_becomes_the_windows_of_its_samples(tmp_path):
    pytest.importorskip("nixio")
    codes, block, segment = planted().astype(np.float32), neo.Block(name="b"), neo.Segment(name="s")
    segment.analogsignals.append(neo.AnalogSignal(codes, units="uV", sampling_rate=20_000 * quantities.Hz, name="raw"))
    block.segments.append(segment)
    with neo.io.NixIO(str(tmp_path / "x.nix"), "ow") as file:
        file.write_block(block)
    recording = open_recording(tmp_path / "x.nix")
    assert recording.get_sampling_frequency() == 20_000 and describe(tmp_path / "x.nix").kind is KINDS[".nix"]
    np.testing.assert_allclose(recording.get_traces(), codes)
    np.testing.assert_array_equal(recording.get_channel_gains(), 1)
    (tmp_path / "half.nix").write_bytes((tmp_path / "x.nix").read_bytes()[:50_000])  # half of it
    with pytest.raises(InputError, match=r"^[^\n]+$"):
        cut(open_recording(tmp_path / "half.nix"))


def test_an_edf_file_of_pyedflib_becomes_the_windows_of_its_samples(tmp_path):
    pyedflib, codes = pytest.importorskip("pyedflib"), planted(10_000)
    with pyedflib.EdfWriter(str(tmp_path / "x.edf"), 2) as file:
        limits = {"physical_min": -1000, "physical_max": 1000, "digital_min": -32768, "digital_max": 32767}
        file.setSignalHeaders(
            [{"label": f"ch{i}", "dimension": "uV", "sample_frequency": 10_000} | limits for i in (0, 1)]
        )
        file.writeSamples([np.ascontiguousarray(codes[:, i], np.int32) for i in (0, 1)], digital=True)
    recording = open_recording(tmp_path / "x.edf")
    np.testing.assert_array_equal(recording.get_traces(), codes)
    np.testing.assert_allclose(recording.get_channel_gains(), 2000 / 65535, rtol=1e-4)
    os.truncate(tmp_path / "x.edf", (tmp_path / "x.edf").stat().st_size // 2)
    with pytest.raises(InputError, match=r"^[^\n]+$"):
        cut(open_recording(tmp_path / "x.edf"))


def test_an_nwb_file_of_pynwb_gives_its_raw_series_its_lfp_and_its_units(tmp_path):
    pynwb, codes = pytest.importorskip("pynwb"), planted()
    when = datetime(2020, 1, 1, tzinfo=UTC)
    file = pynwb.NWBFile("a culture", "x", when)
    group = file.create_electrode_group("chip", "d", "slice", file.create_device("mea"))
    for i in range(2):
        file.add_electrode(rel_x=42.0 * i, rel_y=0.0, location="slice", group=group)
    every = file.create_electrode_table_region([0, 1], "all")
    series = {"electrodes": every, "rate": 20_000.0, "conversion": 2e-6}
    file.add_acquisition(pynwb.ecephys.ElectricalSeries(name="ElectricalSeries", data=codes, **series))
    lfp = pynwb.ecephys.ElectricalSeries(name="lfp", data=codes[::20], **series | {"rate": 1_000.0})
    file.create_processing_module("ecephys", "derived").add(pynwb.ecephys.LFP(lfp))
    file.add_unit(spike_times=[0.1, 0.2], electrodes=[0])
    file.add_unit(spike_times=[0.3], electrodes=[1])
    with pynwb.NWBHDF5IO(str(tmp_path / "x.nwb"), "w") as io:
        io.write(file)
    recording = open_recording(tmp_path / "x.nwb")
    np.testing.assert_array_equal(recording.get_traces(), codes)
    np.testing.assert_allclose(recording.get_channel_gains(), 2)
    assert electrode_positions_um(recording).tolist() == [[0, 0], [42, 0]]
    assert open_recording(tmp_path / "x.nwb", stream="LFP").get_sampling_frequency() == 1_000
    assert read_spikes(tmp_path / "x.nwb").counts.tolist() == [2, 1]


def test_an_axion_spike_list_is_spike_times_and_half_of_its_last_line_is_refused(tmp_path):
    lines = [f",,{0.1 * i:.5f},A1_{1 + i % 3}1,0.02{i % 10}" for i in range(60)]
    path = tmp_path / "x_spike_list.csv"
    path.write_text("\n".join(["Investigator,,Time (s),Electrode,Amplitude (mV)", *lines]) + "\n")
    assert read_spikes(path).counts.tolist() == [20, 20, 20]
    with pytest.raises(InputError, match="in no format that is read"):
        open_recording(path)
    path.write_text(path.read_text()[:-9])
    with pytest.raises(InputError, match="something else than numbers in line 61"):
        read_spikes(path)


def test_every_reader_has_its_line_in_the_table_of_what_was_tried():
    told = {suffix.strip() for kind in KINDS.values() for suffix in kind.file.replace(" and ", ",").split(",")}
    assert set(READERS) - told == set() and set(HDF5_SUFFIXES[:1]) <= told
    assert set(WHOLE) <= set(KINDS)
