"""Spikes with their recording: phy's folder and SpikeInterface's analyzer give back every spike, or say why not."""

import shutil

import numpy as np
import pytest
import spikeinterface.core as sc
import yaml
from spikeinterface.core import sorting_tools
from spikeinterface.extractors import read_phy
from spikeinterface.postprocessing import template_similarity
from typer.testing import CliRunner

from meagan_lib import InputError, cli
from meagan_lib.book import analyzers, nwb
from meagan_lib.recordings.simulation import truth_path
from meagan_lib.workflow import execution
from meagan_lib.workflow.files import write_json


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """SpikeInterface without compilation, which takes longer than all the rest."""
    slow = template_similarity._compute_similarity_matrix_numpy
    monkeypatch.setattr(sorting_tools, "HAVE_NUMBA", False)
    monkeypatch.setattr(template_similarity, "_compute_similarity_matrix", slow)


@pytest.fixture
def run(recording, windows, tmp_path, monkeypatch):
    """A run of the simulated recording, of which there is no more than notebook 01 leaves."""
    for module in (analyzers, cli, nwb, execution):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    folder = tmp_path / "results" / "x"
    (folder / "params").mkdir(parents=True)
    shutil.copyfile(recording.get_annotation("files")[0], folder / "chip.brw")
    first = {"name": "x", "recording": str(folder / "chip.brw"), "seed": 0, "duration_s": 1.0, "well": "", "stream": ""}
    (folder / "params" / "01_preprocessing.yaml").write_text(
        yaml.safe_dump(first | {"band_low_hz": 300.0, "band_high_hz": 6000.0})
    )
    windows.save(folder / "windows.h5")
    return folder


def command(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["export", *arguments])
    if result.exception:
        raise result.exception
    return result.output


def trains(sorting: sc.BaseSorting) -> dict:
    return {unit: sorting.get_unit_spike_train(unit) for unit in sorting.unit_ids}


def test_phy_has_every_known_spike_and_the_samples_around_it(recording, truth, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(analyzers, "require_room", lambda folder, size: asked.append(size))
    path = recording.get_annotation("files")[0]
    assert f"{len(truth.frame)} spikes of" in command(path, "--to", "phy", "--out", str(tmp_path))
    (folder,) = tmp_path.glob("*.phy")
    (folder / "phy.log").touch()
    command(path, "--to", "phy", "--out", str(tmp_path))  # it was only shown
    found = read_phy(folder)
    ids = found.unit_ids.tolist()
    assert ids == np.unique(truth.unit).tolist()
    for unit, train in trains(found).items():
        np.testing.assert_array_equal(train, truth.frame[truth.unit == unit])
    samples = np.memmap(folder / "recording.dat", np.float32).reshape(-1, recording.get_num_channels())
    assert asked == [(folder / "recording.dat").stat().st_size] * 2
    expected = analyzers.known_spikes(path).recording.get_traces(0, 5000, 7000)
    np.testing.assert_allclose(samples[5000:7000], expected, atol=0.05)
    largest = truth.templates_uv.min(axis=(1, 2)).argmin()
    template = np.load(folder / "templates.npy")[ids.index(largest)]
    place = np.load(folder / "template_ind.npy")[ids.index(largest), template.min(axis=0).argmin()]
    assert place == truth.templates_uv[largest].min(axis=0).argmin()
    labels = folder / "cluster_group.tsv"
    labels.write_text(labels.read_text().replace("unsorted", "good"))
    with pytest.raises(InputError, match="not as an export wrote it"):
        command(path, "--to", "phy", "--out", str(tmp_path))
    assert "good" in labels.read_text()


def test_phys_own_reader_opens_the_folder(recording, truth, tmp_path):
    model = pytest.importorskip("phylib.io.model", reason="phy's reader: pip install phylib")
    command(recording.get_annotation("files")[0], "--to", "phy", "--out", str(tmp_path))
    opened = model.load_model(next(tmp_path.glob("*.phy")) / "params.py")
    np.testing.assert_array_equal(np.rint(opened.spike_times * opened.sample_rate), truth.frame)
    assert opened.traces.shape == (recording.get_num_samples(), recording.get_num_channels())


def test_an_analyzer_has_the_detected_spikes_of_each_electrode(run, windows):
    assert "electrodes with detected spikes" in command("x", "--to", "sorting_analyzer")
    folder = run / "sorting_analyzer" / "chip.analyzer"
    analyzer, peaks = sc.load_sorting_analyzer(folder), windows.ledger
    assert analyzer.has_recording() and analyzer.has_extension("templates")
    assert analyzer.unit_ids.tolist() == np.unique(peaks.channel).tolist()
    for electrode, train in trains(analyzer.sorting).items():
        np.testing.assert_array_equal(train, np.sort(peaks.frame[peaks.channel == electrode]))
    templates = analyzer.get_extension("templates")
    trough = [own[templates.nbefore, unit] for own, unit in zip(templates.get_data(), analyzer.unit_ids)]
    amplitude = [peaks.amplitude[peaks.channel == unit].mean() for unit in analyzer.unit_ids]
    np.testing.assert_allclose(trough, amplitude, rtol=0.02)
    command("x", "--to", "sorting_analyzer")  # an earlier export is replaced
    sc.load_sorting_analyzer(folder).compute("noise_levels")
    with pytest.raises(InputError, match="not as an export wrote it"):
        command("x", "--to", "sorting_analyzer")


def test_each_recording_of_a_run_goes_out_by_itself(run, windows):
    path = run / "params" / "01_preprocessing.yaml"
    first = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(first | {"recording": [first["recording"]] * 2}))
    for label in ("chip", "chip-2"):
        windows.save(run / "recordings" / label / "windows.h5")
    found = list(analyzers.detected_spikes("x"))
    assert [spikes.name for spikes in found] == ["chip", "chip-2"]
    assert all(spikes.sorting.count_total_num_spikes() == len(windows.ledger.frame) for spikes in found)


def test_a_chip_too_large_for_one_table_of_templates_goes_out_in_strips(run, windows, monkeypatch, tmp_path):
    monkeypatch.setattr(analyzers, "TEMPLATE_BYTES", 2e4)
    command("x", "--to", "sorting_analyzer", "--out", str(tmp_path / "out"))
    found = [sc.load_sorting_analyzer(folder) for folder in (tmp_path / "out").glob("chip.strip*.analyzer")]
    assert len(found) > 1 and sum(analyzer.get_num_channels() for analyzer in found) == len(windows.noise_mad)
    merged = {unit: train for analyzer in found for unit, train in trains(analyzer.sorting).items()}
    assert sum(map(len, merged.values())) == len(windows.ledger.frame)
    assert all((windows.ledger.channel == unit).sum() == len(train) for unit, train in merged.items())


def test_phy_gets_each_stretch_without_a_gap_by_itself(tmp_path):
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal((2000, 3)).astype(np.float32) for _ in range(2)]
    recording = sc.NumpyRecording(parts, 20_000.0)
    sorting = analyzers.sorting_from(
        np.array([2100, 300, 2500, 700]), np.array([4, 4, 9, 4]), np.array([4, 9]), recording
    )
    passed = analyzers.band_passed(recording, analyzers.DetectionConfig())
    spikes = analyzers.Spikes("gap", "units", passed, sorting, np.array([0, 2]))
    analyzers.written(analyzers.segments(spikes), tmp_path, ".phy", analyzers.write_phy)
    first, second = (read_phy(tmp_path / f"gap.segment{i}.phy") for i in (1, 2))
    assert {u: t.tolist() for u, t in trains(first).items()} == {4: [300, 700]}
    assert {u: t.tolist() for u, t in trains(second).items()} == {4: [100], 9: [500]}


def test_what_cannot_go_out_with_samples_is_told_in_one_sentence(run, tmp_path):
    nothing = tmp_path / "results" / "x" / "phy" / "chip.phy"
    nothing.mkdir(parents=True)
    (nothing / "mine.txt").touch()
    with pytest.raises(InputError, match="is there, and not as an export wrote it"):
        command("x", "--to", "phy")
    assert (nothing / "mine.txt").is_file()
    with pytest.raises(InputError, match="neither a run nor a recording with known spikes"):
        command("y", "--to", "phy")
    with pytest.raises(InputError, match=f"no {truth_path('chip').name} beside chip.brw"):
        command(str(run / "chip.brw"), "--to", "phy")
    with open(run / "chip.brw", "ab") as file:
        file.write(b"more")
    with pytest.raises(InputError, match="no longer the recording of run 'x'"):
        command("x", "--to", "sorting_analyzer")
    (run / "chip.brw").unlink()
    with pytest.raises(InputError, match=r"the recording of run 'x' cannot be opened \(no recording"):
        command("x", "--to", "sorting_analyzer")
    write_json(run / "params" / "01_preprocessing.yaml", {"name": "x", "recording": "retina_hdmea"})
    with pytest.raises(InputError, match="given windows that were cut already"):
        command("x", "--to", "phy")
