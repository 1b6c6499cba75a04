"""Notebook 01, cell by cell, on small recordings made for it; its figures are made and not saved."""

import h5py
import nbformat
import numpy as np
import pytest

from meagan_lib import InputError, plots, workflow
from meagan_lib.windows import merging
from meagan_lib.workflow import execution, sections
from tests.recordings.test_brw import write_4
from tests.recordings.test_formats import write_nwb


@pytest.fixture
def run_cells(tmp_path, monkeypatch):
    """A function from parameters to the names that the notebook's cells leave; ``saved`` holds the figures' data.

    The animation, which takes longer than all else, is drawn only where it is ``moving``.
    """
    drawn = plots.activity_animation

    def run(moving: bool = False, **parameters) -> dict:
        saved = {}
        monkeypatch.setattr(plots, "activity_animation", drawn if moving else lambda *_, **__: b"")
        monkeypatch.setattr(workflow, "save_figure", lambda fig, id, *, data, **_: saved.update({id: data}))
        monkeypatch.setattr(execution, "RESULTS", tmp_path / "results")
        names = {"display": lambda shown: None}
        for cell in nbformat.read(execution.find_notebook("01_preprocessing"), as_version=4).cells:
            if cell.cell_type == "code":
                exec("".join(sections.say_instead(cell.source.splitlines(keepends=True))), names)
                if "parameters" in cell.metadata.get("tags", []):
                    names |= {"min_train_windows": 0} | parameters
        return names | {"saved": saved}

    return run


def spiking(rate: float, n_channels: int = 4, seconds: float = 2.0) -> np.ndarray:
    """Codes (frames, channels) around 0: noise of 10 steps, and a spike of 200 on channel 0 every 50 ms."""
    codes = np.random.default_rng(0).normal(0, 10, (int(seconds * rate), n_channels))
    shape = 200 * np.exp(-((np.arange(-10, 11) / 3) ** 2))
    for frame in np.arange(0.1, seconds - 0.1, 0.05) * rate:
        codes[int(frame) - 10 : int(frame) + 11, 0] -= shape
    return codes


def a_binary(path, codes: np.ndarray, rate: float):
    """An int16 file with its description, electrodes on a line; returns its path."""
    np.rint(codes).astype(np.int16).tofile(path)
    n = codes.shape[1]
    places = [[60 * i, 0] for i in range(n)]
    path.with_suffix(".yaml").write_text(
        f"{{sampling_rate_hz: {rate}, n_channels: {n}, dtype: int16, positions_um: {places}}}"
    )
    return path


def test_the_chip_is_as_large_as_the_recording_says_or_is_not_drawn(run_cells, tmp_path):
    codes = spiking(19_960)
    write_4(tmp_path / "chip.brw", {"A1": [0, 1, 64, 65]}, n_frames=len(codes), model="Accura")
    with h5py.File(tmp_path / "chip.brw", "r+") as file:
        file["Well_A1/Raw"][:] = np.rint(codes + 2048).astype(np.uint16).ravel()
    assert run_cells(recording=str(tmp_path / "chip.brw"), moving=True)["activity"]["chip_um"] == (64 * 60.0, 64 * 60.0)
    told = run_cells(recording=str(a_binary(tmp_path / "chip.raw", spiking(20_000), 20_000)))
    assert told["positions"] is not None and told["activity"]["chip_um"] is None


def test_a_clipped_channel_is_found_where_the_converters_range_is_not_known(run_cells, tmp_path):
    codes = spiking(20_000)
    codes[:, 3] = (5 * codes[:, 3]).clip(-40, 40)
    told = run_cells(recording=str(a_binary(tmp_path / "chip.raw", codes, 20_000)))
    assert told["quality"].verdict.tolist() == [0, 0, 0, told["Verdict"].CLIPPED]


@pytest.mark.parametrize("rate, bin_frames", [(10_060.0, 101), (20_000.0, 200)])
def test_bins_last_as_long_as_their_frames(run_cells, tmp_path, rate, bin_frames):
    told = run_cells(recording=str(a_binary(tmp_path / "chip.raw", spiking(rate), rate)))
    activity = told["saved"]["activity_frame"]
    np.testing.assert_allclose(np.diff(activity["time_s"]), bin_frames / rate)
    counted = activity["rate_hz"].sum() * bin_frames / rate * 4
    assert counted == pytest.approx((told["ledger"].frame < len(activity["time_s"]) * bin_frames).sum())


def test_a_recording_with_a_gap_is_shown_at_its_true_times(run_cells, tmp_path):
    codes, rate = spiking(19_960.0, seconds=4.0), 19_960
    half, path = len(codes) // 2, tmp_path / "chip.brw"
    write_4(path, {"A1": [0, 1, 64, 65]}, n_frames=len(codes), toc=[[0, half], [10 * rate, 10 * rate + half]])
    with h5py.File(path, "r+") as file:
        file["Well_A1/Raw"][:] = np.rint(codes + np.repeat([2000, 2400], half)[:, None]).astype(np.uint16).ravel()
    told = run_cells(recording=str(path), moving=True)
    activity, ledger = told["saved"]["activity_frame"], told["ledger"]
    assert np.diff(activity["time_s"]).max() > 3 and (np.diff(activity["time_s"]) > 0).all()
    assert np.isnan(activity["rate_hz"]).sum() == 1 and len(activity["frames"]) <= 40
    assert not ((ledger.frame >= half) & (ledger.frame < 10 * rate)).any() and ledger.frame.max() > 11 * rate
    assert np.abs(ledger.frame - 10 * rate).min() > 100  # the step between the stretches is no spike
    assert told["saved"]["intervals_isolation"]["intervals_ms"].max() < 300
    assert set(told["windows"].split) == {0, 1, 2}


def test_a_stream_is_picked_by_its_parameter(run_cells, tmp_path):
    codes = np.rint(spiking(20_000)).astype(np.int16)
    write_nwb(tmp_path / "x.nwb", {"acquisition/probe0": 2, "acquisition/probe1": 2})
    with h5py.File(tmp_path / "x.nwb", "r+") as file:
        del file["acquisition/probe1/data"], file["acquisition/probe1/electrodes"]
        file["acquisition/probe1/data"], file["acquisition/probe1/electrodes"] = codes, np.arange(4)
        file["acquisition/probe1/data"].attrs["conversion"] = 1e-6
        file["acquisition/probe1/electrodes"].attrs["table"] = file["general/extracellular_ephys/electrodes"].ref
    with pytest.raises(InputError, match="pick one of 'acquisition/probe0', 'acquisition/probe1'"):
        run_cells(recording=str(tmp_path / "x.nwb"))
    assert run_cells(recording=str(tmp_path / "x.nwb"), stream="probe1")["n_electrodes"] == 4


@pytest.mark.parametrize(
    "columns, groups",
    [
        ({}, ["all windows"]),
        ({"label": 3}, ["unit 3"]),
        ({"channel": 2}, ["electrode 2"]),
        ({"channel": 2, "label": 3}, ["electrode 2"]),
    ],
)
def test_windows_already_cut_are_shown_by_what_is_known_of_them(run_cells, tmp_path, columns, groups):
    windows = np.random.default_rng(0).normal(size=(60, 24)) - 8 * (np.arange(24) == 9)
    columns = {name: np.full(60, value) for name, value in columns.items()}
    np.savez(tmp_path / "cut.npz", windows=windows, sampling_rate_hz=20_000, **columns)
    told = run_cells(recording=str(tmp_path / "cut.npz"))
    assert list(told["saved"]["windows_by_channel"])[1:] == groups
    assert ("window_density_units" in told["saved"]) == ("label" in columns)


def test_one_of_several_recordings_may_spike_in_a_single_split(run_cells, tmp_path):
    codes = spiking(20_000)
    codes[4000:] = spiking(20_000)[4000:, [1, 1, 2, 3]]
    path = str(a_binary(tmp_path / "chip.raw", codes, 20_000))
    for part in merging.parts({"name": "both", "recording": [path, "b"], "min_train_windows": 500}).values():
        told = run_cells(**part | {"name": "part", "recording": path})
        assert 1 <= len(told["windows"]) <= 3 and set(told["windows"].split) == {0}


def test_quality_is_judged_in_the_band_in_which_spikes_are_sought(run_cells, tmp_path):
    path = str(a_binary(tmp_path / "chip.raw", spiking(20_000), 20_000))
    told = run_cells(recording=path, band_low_hz=500.0, band_high_hz=2000.0)
    np.testing.assert_allclose(told["quality"].noise[1:], told["windows"].noise_mad[1:], rtol=0.1)


@pytest.mark.parametrize("by_unit", [True, False])
def test_windows_without_times_say_whether_their_units_were_interleaved(run_cells, tmp_path, capsys, by_unit):
    windows = np.random.default_rng(0).normal(size=(300, 32))
    windows[:, 12] -= 20
    label = np.repeat(np.arange(6), 50) if by_unit else np.tile(np.arange(6), 50)
    np.savez(tmp_path / "cut.npz", windows=windows, sampling_rate_hz=20_000.0, label=label)
    split = run_cells(recording=str(tmp_path / "cut.npz"))["windows"].split
    assert ("these are interleaved" in capsys.readouterr().out) == by_unit
    assert (np.diff(split.astype(int)) >= 0).all() != by_unit
