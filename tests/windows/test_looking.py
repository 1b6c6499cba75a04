"""``meagan look``: what a file holds, from its first seconds, with the sentences of the run."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from meagan_lib import InputError, cli
from meagan_lib.recordings.opening import open_recording
from meagan_lib.recordings.simulation import create_brw
from meagan_lib.windows import looking
from meagan_lib.windows.cutting import WindowConfig, cut_windows
from meagan_lib.windows.detection import DetectionConfig
from meagan_lib.windows.filtering import Stored

RATE = 10_000


def write_brw(path: Path, n_frames: int, n_channels: int = 4, known: int | None = None) -> np.ndarray:
    """Noise with a spike every 50 ms on each channel; of a longer recording the ``known`` frames alone are stored."""
    known = known or n_frames
    rng = np.random.default_rng(0)
    codes = 2048 + 8 * rng.standard_normal((known, n_channels))
    for frame in range(100, known - 100, 500):
        codes[frame : frame + 3] -= [[60], [160], [60]]
    codes = codes.clip(0, 4095).astype(np.uint16)
    with h5py.File(path, "w") as file:
        samples = create_brw(file, np.divmod(np.arange(n_channels), 64), RATE, n_frames, min(n_frames, 4096))
        samples[: codes.size] = codes.ravel()
    return codes


def look(path: Path, min_train: int = 50) -> looking.Look:
    return looking.look(path, None, None, min_train, 1_000)


def test_a_glance_tells_what_the_file_holds_and_finds_its_spikes(tmp_path):
    write_brw(tmp_path / "chip.brw", 4 * RATE)
    found = look(tmp_path / "chip.brw")
    told = found.facts
    assert told["format"] == "3Brain BRW 3.x, layout 102" and told["gaps"] == "none" and told["values"].endswith("4095")
    assert told["electrodes"].startswith("4, within") and told["recorded"] == "4 s at 10000 Hz"
    assert told["spikes"].startswith("320 deeper") and told["windows"].startswith(("31", "32"))
    assert "s to read and search it" in told["a run takes"] and not found.refusals
    np.testing.assert_allclose(found.glance.rate_hz, 20, rtol=0.05)
    assert found.glance.trace.min() < found.glance.threshold < 0


def test_of_a_file_of_hours_the_first_seconds_are_read(tmp_path, monkeypatch):
    """Ten hours that are not there: who reads them all runs out of time."""
    write_brw(tmp_path / "long.brw", 36_000 * RATE, n_channels=64, known=2 * RATE)
    ends, read = [], Stored.read
    monkeypatch.setattr(Stored, "read", lambda s, a, b, *given: (ends.append(b), read(s, a, b, *given))[1])
    told = look(tmp_path / "long.brw").facts
    assert told["recorded"] == "600.0 min at 10000 Hz" and max(ends) <= looking.LOOKED_S * RATE
    assert told["looked at"] == "the first 10 s"


@pytest.mark.parametrize(("n_frames", "min_train"), [(20, 50), (600, 50), (4 * RATE, 5_000)])
def test_what_will_not_work_has_the_sentence_of_the_run(tmp_path, n_frames, min_train):
    write_brw(tmp_path / "x.brw", n_frames)
    with pytest.raises(InputError) as refused:
        cut_windows(open_recording(tmp_path / "x.brw"), DetectionConfig(), WindowConfig(), min_train=min_train)
    assert str(refused.value) in look(tmp_path / "x.brw", min_train).refusals


@pytest.mark.parametrize(("n_channels", "told"), [(40, "positions"), (4, "of 4 electrodes"), (1, "of one electrode")])
def test_what_neighbours_would_need_is_told_and_refuses_no_run_that_asks_for_none(tmp_path, n_channels, told):
    np.zeros((RATE, n_channels), np.int16).tofile(tmp_path / "x.raw")
    (tmp_path / "x.yaml").write_text(f"{{sampling_rate_hz: 10000, n_channels: {n_channels}, dtype: int16}}")
    found = look(tmp_path / "x.raw")
    assert told in found.facts["footprints"]
    assert not any("neighbours" in sentence for sentence in found.refusals)


def command(monkeypatch, capsys, *arguments: str) -> tuple[str, str]:
    """What ``meagan`` prints, and what it says was wrong."""
    monkeypatch.setattr("sys.argv", ["meagan", *arguments])
    with pytest.raises(SystemExit):
        cli.main()
    printed = capsys.readouterr()
    return printed.out, printed.err


def test_the_picture_goes_where_it_was_asked_and_nothing_beside_the_data(tmp_path, monkeypatch, capsys):
    (tmp_path / "data").mkdir()
    write_brw(tmp_path / "data" / "x.brw", 2 * RATE)
    monkeypatch.setattr(cli, "ROOT", tmp_path / "checkout")
    out, _ = command(monkeypatch, capsys, "look", str(tmp_path / "data" / "x.brw"))
    picture = tmp_path / "checkout" / "figures" / "look" / "x.png"
    assert picture.read_bytes().startswith(b"\x89PNG") and str(picture) in out
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["x.brw"]
    command(monkeypatch, capsys, "look", str(tmp_path / "data" / "x.brw"), "--picture", str(tmp_path / "own.png"))
    assert (tmp_path / "own.png").is_file()
    recording = tmp_path / "data" / "x.brw"
    before = recording.read_bytes()
    _, error = command(monkeypatch, capsys, "look", str(recording), "--picture", str(recording))
    assert "give one that ends in .png" in error and recording.read_bytes() == before


def test_a_file_that_cannot_be_read_gets_one_line_that_moves_no_cursor(tmp_path, monkeypatch, capsys):
    path = tmp_path / "red\x1b[31m\n.brw"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    _, error = command(monkeypatch, capsys, "look", str(path))
    assert error.count("\n") == 1 and "\x1b" not in error and "is cut short or still being written" in error


def test_spike_times_and_windows_are_told_as_such(tmp_path, monkeypatch, capsys):
    (tmp_path / "spikes.csv").write_text("electrode,time_s\nA1,0.1\nA2,0.5\n")
    out, _ = command(monkeypatch, capsys, "look", str(tmp_path / "spikes.csv"))
    assert "2 of 2 electrodes" in out and "will not work: spikes.csv is in no format" in out
    windows = np.random.default_rng(0).standard_normal((60, 32)).astype(np.float32)
    np.savez(tmp_path / "cut.npz", windows=windows, sampling_rate_hz=20_000.0)
    out, _ = command(monkeypatch, capsys, "look", str(tmp_path / "cut.npz"))
    assert "60 of 32 samples" in out and "voltage      none" in out
    assert "will not work: too few windows: 60 windows (36 to train, 6 to validate, 18 to test)" in out
