"""Recordings open by name or path; what cannot be read is refused in one sentence."""

import h5py
import numpy as np
import pytest

from meagan_lib import InputError, recordings
from meagan_lib.recordings import amplitude_unit, catalogue, fetch, open_recording


def test_an_unknown_name_tells_the_known_ones():
    with pytest.raises(InputError, match="neither a file nor a name.*simulated, locust"):
        open_recording("locus")


def test_a_file_that_is_no_recording_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="in no format that is read"):
        open_recording(tmp_path / "notes.txt")
    (tmp_path / "fake.brw").write_text("hello")
    with pytest.raises(InputError, match="not an HDF5 file"):
        open_recording(tmp_path / "fake.brw")


def test_an_hdf5_file_without_a_3brain_header_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.brw", "w") as file:
        file["x"] = [1]
    with pytest.raises(InputError, match="no 3Brain header"):
        open_recording(tmp_path / "other.brw")


@pytest.mark.parametrize("dataset, kind", [("WaveletBasedEncodedRaw", "wavelet"), ("EventsBasedSparseRaw", "events")])
def test_compressed_brw_names_the_remedy(tmp_path, dataset, kind):
    with h5py.File(tmp_path / "x.brw", "w") as file:
        file["ExperimentSettings"] = "{}"
        file[f"Well_A1/{dataset}"] = [1]
    with pytest.raises(InputError, match=f"{kind}.*export it as raw with BrainWave"):
        open_recording(tmp_path / "x.brw")


def test_a_plain_binary_opens_with_the_yaml_beside_it(tmp_path):
    codes = np.arange(600, dtype=np.int16).reshape(200, 3)
    codes.tofile(tmp_path / "chip.raw")
    (tmp_path / "chip.yaml").write_text("{sampling_rate_hz: 10000, n_channels: 3, dtype: int16, uv_per_step: 2.0}")
    recording = open_recording(tmp_path / "chip.raw")
    np.testing.assert_array_equal(recording.get_traces(), codes)
    np.testing.assert_allclose(recording.get_traces(return_in_uV=True), 2.0 * codes)
    assert amplitude_unit(recording) == "uV"
    (tmp_path / "chip.yaml").write_text("{sampling_rate_hz: 10000, n_channels: 3, dtype: int16}")
    assert amplitude_unit(open_recording(tmp_path / "chip.raw")) == "ADU"


@pytest.mark.parametrize(
    "description, complaint",
    [
        ("{sampling_rate_hz: 10000, n_channels: 7, dtype: int16}", "no whole number of frames"),
        ("{sampling_rate_hz: 10000, dtype: int16}", "must give"),
        ("{sampling_rate_hz: 10000, n_channels: 3, dtype: int16, gain: 3}", "nothing else"),
        ("{sampling_rate_hz: [", "is not YAML"),
    ],
)
def test_a_wrong_description_of_a_binary_is_refused(tmp_path, description, complaint):
    np.zeros(600, np.int16).tofile(tmp_path / "chip.raw")
    (tmp_path / "chip.yaml").write_text(description)
    with pytest.raises(InputError, match=complaint):
        open_recording(tmp_path / "chip.raw")


def test_catalogue_entries_are_pinned_to_a_commit_and_a_hash():
    for entry in catalogue().values():
        assert entry["title"] and entry["licence"] and entry["citation"]
        for file in entry["files"]:
            assert len(file["sha256"]) == 64
            assert any(len(part) == 40 for part in file["url"].split("/"))


def test_a_changed_byte_in_the_mirror_is_refused(tmp_path, monkeypatch):
    (tmp_path / "locust").mkdir()
    (tmp_path / "locust" / "locust_trial_01.raw").write_bytes(b"changed")
    monkeypatch.setenv("MEAGAN_DATA_MIRROR", str(tmp_path))
    with pytest.raises(InputError, match="SHA-256 differs"):
        fetch("locust", tmp_path / "downloads")


def test_offline_without_a_mirror_suggests_the_simulation(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.delenv("MEAGAN_DATA_MIRROR", raising=False)
    monkeypatch.setattr(recordings.pooch, "retrieve", refuse)
    with pytest.raises(InputError, match="simulated"):
        fetch("locust", tmp_path)


def test_locust_opens_as_two_trials_without_a_scale():
    try:
        recording = open_recording("locust")
    except InputError as error:
        pytest.skip(str(error))
    assert recording.get_num_segments() == 2 and recording.get_num_channels() == 4
    assert recording.get_sampling_frequency() == 15_000
    assert amplitude_unit(recording) == "ADU"
