"""Damaged and hostile files end in one line or are read: some cases of ``bench/fuzz.py``, and the faults it found."""

import importlib.util
import os
import struct
import sys

import h5py
import numpy as np
import pytest
import spikeinterface.core as sc
import zarr

from meagan_lib import ROOT, InputError
from meagan_lib.network import read_spikes
from meagan_lib.recordings import opening
from meagan_lib.recordings.opening import open_recording
from meagan_lib.windows import open_windows
from tests.recordings.writers import planted, write_whole


def fuzz():
    """``bench/fuzz.py`` as a module."""
    spec = importlib.util.spec_from_file_location("fuzz", ROOT / "bench" / "fuzz.py")
    module = sys.modules["fuzz"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_of_two_hundred_damaged_files_none_does_what_it_may_not(tmp_path):
    bench = fuzz()
    bench.prepare(tmp_path)
    results = dict(bench.campaign(list(range(10_000, 10_200)), tmp_path, limit_s=30, search=False))
    assert len(results) == 200 and {kind for kind, *_ in results.values()} == set(bench.KINDS)
    assert {number: result for number, result in results.items() if result[2] in bench.BAD} == {}
    refused = [words for *_, outcome, words in results.values() if outcome == "refused"]
    assert 100 < len(refused) < 200 and not any("\n" in words.strip() for words in refused)


@pytest.fixture
def outside(tmp_path):
    """A file that nobody named."""
    (tmp_path / "outside").mkdir()
    with h5py.File(tmp_path / "outside" / "other.h5", "w") as file:
        file["data"] = np.arange(5120, dtype=np.uint16)
    np.arange(5120, dtype=np.uint16).tofile(tmp_path / "outside" / "other.bin")
    return tmp_path / "outside"


@pytest.mark.parametrize("how", ["link", "external", "virtual"])
def test_an_hdf5_file_that_takes_samples_from_another_file_is_refused(tmp_path, outside, how):
    path = write_whole("brw3", tmp_path, planted(2_560))
    with h5py.File(path, "r+") as file:
        del file["3BData/Raw"]
        if how == "link":
            file["3BData/Raw"] = h5py.ExternalLink(str(outside / "other.h5"), "/data")
        elif how == "external":
            own = [(str(outside / "other.bin"), 0, h5py.h5f.UNLIMITED)]
            file.create_dataset("3BData/Raw", (5120,), np.uint16, external=own)
        else:
            layout = h5py.VirtualLayout((5120,), np.uint16)
            layout[:] = h5py.VirtualSource(str(outside / "other.h5"), "data", (5120,))
            file.create_virtual_dataset("3BData/Raw", layout)
    with pytest.raises(InputError, match="takes .*3BData/Raw from another file: copy all into one file"):
        open_recording(path)
    path.rename(path.with_suffix(".mat"))
    with pytest.raises(InputError, match="from another file"):
        read_spikes(path.with_suffix(".mat"))
    path.with_suffix(".mat").rename(path.with_suffix(".h5"))
    with pytest.raises(InputError, match="from another file"):
        open_windows(path.with_suffix(".h5"))


@pytest.mark.parametrize("what", ["pipe", "device", "loop"])
def test_what_gives_no_end_of_bytes_is_refused_and_not_waited_for(tmp_path, what):
    path = write_whole("openephys", tmp_path, planted(2_560))
    part = next(path.rglob("continuous.dat"))
    for each, name in ((tmp_path / "x.ns6", path), (part, path)):
        each.unlink(missing_ok=True)
        os.mkfifo(each) if what == "pipe" else each.symlink_to("/dev/zero" if what == "device" else each.name)
        with pytest.raises(InputError, match="neither a file nor a folder|neither a file nor a name"):
            open_recording(each if each.suffix == ".ns6" else name)


def test_a_folder_with_the_name_of_a_file_is_refused(tmp_path):
    for name in ("x.wav", "x.brw", "x.h5", "x.rhd"):
        (tmp_path / name).mkdir()
        with pytest.raises(InputError):
            open_recording(tmp_path / name)


@pytest.mark.parametrize("rate", ["1e-300", "1e300", "-1e4", ".nan", "8"])
def test_a_rate_that_no_instrument_has_is_refused(tmp_path, rate):
    path = write_whole("binary", tmp_path, planted(2_560))
    (tmp_path / "x.yaml").write_text(f"{{sampling_rate_hz: {rate}, n_channels: 2, dtype: int16}}")
    with pytest.raises(InputError, match="sampling"):
        open_recording(path)


def test_samples_of_another_shape_than_was_asked_for_are_refused(tmp_path):
    path = write_whole("maxwell", tmp_path, planted(2_560))
    with h5py.File(path, "r+") as file:
        del file["wells/well000/rec0000/groups/routed/raw"]
        file.create_dataset("wells/well000/rec0000/groups/routed/raw", (2, 2_560, 0), np.uint16)
    with pytest.raises(InputError):
        open_recording(path).get_traces()


def test_samples_of_fewer_channels_than_are_named_are_refused(tmp_path):
    path = write_whole("nwb", tmp_path, planted(2_560))
    with h5py.File(path, "r+") as file:
        electrodes = file["acquisition/ElectricalSeries/electrodes"]
        attrs = dict(electrodes.attrs)
        del file["acquisition/ElectricalSeries/electrodes"]
        file["acquisition/ElectricalSeries/electrodes"] = np.arange(3)
        file["acquisition/ElectricalSeries/electrodes"].attrs.update(attrs)
    with pytest.raises(InputError, match="of 3 channels were asked for, and what came has the shape"):
        open_recording(path).get_traces()


@pytest.mark.parametrize(
    ("kind", "dataset"),
    [
        ("maxwell", "wells/well000/rec0000/groups/routed/raw"),
        ("maxwell_old", "sig"),
        ("mcs", "Data/Recording_0/AnalogStream/Stream_1/ChannelData"),
        ("nwb", "acquisition/ElectricalSeries/data"),
    ],
)
def test_samples_that_are_stated_and_were_never_written_are_refused(tmp_path, kind, dataset):
    path = write_whole(kind, tmp_path, planted(2_560))
    with h5py.File(path, "r+") as file:
        shape, dtype, attrs = file[dataset].shape, file[dataset].dtype, dict(file[dataset].attrs)
        longer = tuple(2**32 if n == 2_560 else n for n in shape)
        del file[dataset]
        samples = file.create_dataset(dataset, longer, dtype, chunks=tuple(min(n, 1024) for n in longer))
        samples.attrs.update(attrs)
    with pytest.raises(InputError, match="is cut short or still being written: it states samples"):
        open_recording(path)


def test_sections_of_an_abf_file_that_cannot_be_are_refused_and_not_read_for_ever(tmp_path):
    path = write_whole(".abf", tmp_path, planted(2_560))
    content = bytearray(path.read_bytes())
    struct.pack_into("<IIq", content, 76 + 16 * 3, 3, 0, 2**40)  # epochs of no length
    path.write_bytes(content)
    with pytest.raises(InputError, match="states sections beyond its end"):
        open_recording(path)


@pytest.mark.parametrize("missing", [2, 20, 100])
def test_a_plexon_file_that_ends_within_a_block_is_refused_and_not_filled_with_zeros(tmp_path, missing):
    path = write_whole(".plx", tmp_path, planted(2_560))
    path.write_bytes(path.read_bytes()[:-missing])  # the last blocks are two of the LFP, 32 bytes each
    with pytest.raises(InputError, match="cut short"):
        open_recording(path)


def test_a_scale_that_is_no_number_is_refused(tmp_path):
    path = write_whole(".zarr", tmp_path, planted(2_560))
    folder = zarr.open(str(path), mode="a")
    folder["properties"].create_dataset("gain_to_uV", data=np.array(["a", "b"]), overwrite=True)
    (path / ".zmetadata").unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"^[^\n]+$"):
        open_recording(path)


def test_a_recording_without_a_segment_is_refused(tmp_path):
    """Blackrock's reader gives none where the blocks of a file contradict one another."""
    with pytest.raises(InputError, match="holds no samples"):
        opening._join([sc.BaseRecording(20_000, ["1"], "int16")], [tmp_path / "x.ns6"])
