"""What goes out: ONNX files that draw the same windows, a data set that says what it is, a card that is up to date."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
import typer.testing
from onnx.reference import ReferenceEvaluator

import meagan_lib
from meagan_lib import ROOT, InputError, cli
from meagan_lib.book import building, datasheets, exports, nwb
from meagan_lib.experiments import portable
from meagan_lib.experiments.fitting import training_data
from meagan_lib.experiments.generation import draw_synthetic
from meagan_lib.experiments.portable import PRETRAINED, keep_generator
from meagan_lib.recordings.catalogue import fetch
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from meagan_lib.workflow.files import WRITTEN, sha256, source_hash
from tests.experiments.test_portable import recorded
from tests.models.test_contract import fitted

SMALL = {"depth": 1, "width": 8, "heads": 1}


class Session:
    """As onnxruntime's, computed by the reference of the standard: the tests need no second runtime."""

    def __init__(self, file):
        self.model = onnx.load_from_string(file) if isinstance(file, bytes) else onnx.load(file)
        self.evaluator = ReferenceEvaluator(self.model)

    def get_modelmeta(self):
        return SimpleNamespace(custom_metadata_map={p.key: p.value for p in self.model.metadata_props})

    def get_inputs(self):
        shapes = ((i.name, [d.dim_value or d.dim_param for d in i.type.tensor_type.shape.dim]) for i in self.inputs)
        return [SimpleNamespace(name=name, shape=shape) for name, shape in shapes]

    @property
    def inputs(self):
        return self.model.graph.input

    def run(self, outputs, given):
        return self.evaluator.run(outputs, given)


def exported(folder, name="transformer_gan", windows=None, condition="", **options):
    """A tiny model as :func:`meagan_lib.load` opens it, and a session of its ONNX file."""
    windows = windows or recorded()
    model = fitted(name, training_data(windows, "z_score", condition), seed=3, **options)
    keep_generator(model, name, folder, windows, "z_score", condition)
    generator = meagan_lib.load(folder)
    return generator, Session(exports.generator_onnx(generator))


def latents(n: int, width: int, seed: int) -> np.ndarray:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed)).numpy()


def test_an_onnx_file_draws_labelled_footprints_as_the_model_does(tmp_path):
    generator, session = exported(tmp_path, windows=recorded(2), condition="unit", **SMALL)
    labels = generator.draw_labels(9, seed=5)
    given = {"z": latents(9, 64, 5), "label": labels}
    assert [(i.name, i.shape[1:]) for i in session.get_inputs()] == [("z", [64]), ("label", [])]
    (windows,) = session.run(None, given)
    np.testing.assert_allclose(windows, generator.sample(9, seed=5), rtol=0, atol=1e-3)
    assert windows.shape == (9, 2, 16)
    about = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    assert (about["unit"], about["classes"], about["sampling_rate_hz"]) == ("uV", ["unit 0", "unit 1"], 20_000.0)


def test_an_onnx_file_of_a_vae_takes_its_noise(tmp_path):
    generator, session = exported(tmp_path, "vae", **SMALL)
    white = np.random.default_rng(5).standard_normal((9, session.get_inputs()[1].shape[1]))
    (windows,) = session.run(None, {"z": latents(9, 64, 5), "noise": white.astype(np.float32)})
    np.testing.assert_allclose(windows, generator.sample(9, seed=5), rtol=0, atol=1e-3)


def test_an_onnx_file_of_a_flow_goes_its_way(tmp_path):
    generator, session = exported(tmp_path, "flow_matching", **SMALL)
    (windows,) = session.run(None, {"z": latents(9, 16, 5)})
    np.testing.assert_allclose(windows, generator.sample(9, seed=5), rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["gaussian", "pca_gaussian"])
def test_an_onnx_file_of_a_gaussian_has_its_mean_and_covariance(name, tmp_path):
    generator, session = exported(tmp_path, name)
    width = session.get_inputs()[0].shape[1]
    (rows,) = session.run(None, {"z": np.vstack([np.zeros(width), np.eye(width)]).astype(np.float32)})
    drawn = generator.sample(40_000, seed=1)
    np.testing.assert_allclose(rows[0], drawn.mean(axis=0), atol=1.0)
    weights = (rows[1:] - rows[0]).astype(np.float64)
    scale = drawn.var(axis=0).max()
    np.testing.assert_allclose(weights.T @ weights / scale, np.cov(drawn, rowvar=False) / scale, atol=0.03)


@pytest.mark.parametrize("prior", ["uniform", "correlated"])
def test_standard_normal_numbers_become_those_of_any_prior(prior):
    from meagan_lib.models.window_networks import standard_normal_to
    from meagan_lib.training import priors

    z = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0))
    own = standard_normal_to(prior, z)
    drawn = priors.prior(prior, 20_000, 3, torch.Generator().manual_seed(1))
    levels = torch.linspace(0.01, 0.99, 9)
    assert (own.quantile(levels) - drawn.quantile(levels)).abs().max() < 0.05
    np.testing.assert_allclose(np.cov(own.T), np.cov(drawn.T), atol=0.05)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with three models: a network, a baseline with a seed that can be no network, one without windows."""
    home = tmp_path_factory.mktemp("exports")
    windows = recorded()
    data = training_data(windows)
    for name, place in (("transformer_gan", "transformer_gan"), ("gmm", "benchmark/gmm/0")):
        model, folder = fitted(name, data, seed=3, **(SMALL if name == "transformer_gan" else {})), home / "x" / place
        folder.mkdir(parents=True)
        keep_generator(model, name, folder, windows)
        draw_synthetic(model, windows, seed=2).save(folder / "synthetic.h5")
    kept = json.loads((ROOT / "figures" / "baselines" / "reference.json").read_text())
    (home / "x" / "scores.json").write_text(json.dumps(kept["scores"]))
    with pytest.MonkeyPatch.context() as patch:
        for module in (cli, portable, nwb, building):
            patch.setattr(module, "RESULTS", home)
        yield home / "x"


def command(*arguments: str) -> str:
    result = typer.testing.CliRunner().invoke(cli.app, ["export", *arguments])
    assert result.exit_code == 0, result.exception
    return result.output


def test_the_example_of_the_page_draws_windows_of_an_exported_file(run, tmp_path, monkeypatch, capsys):
    told = command("x", "--to", "onnx", "--out", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir() if path.name != WRITTEN] == ["transformer_gan.onnx"]
    assert "gmm_0 is left out: it picks among what it has stored" in told and "1 generators" in told
    page = (ROOT / "book" / "pages" / "exports.md").read_text()
    (example,) = (code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "onnxruntime" in code)
    assert example.count("\n") - example.count("\n\n") <= 20
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(InferenceSession=Session))
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert "1000 windows of 16 samples, in uV\nthe mean has its trough 0 ms from the peak" in capsys.readouterr().out


def test_a_data_set_says_what_it_is_and_holds_what_was_scored(run, tmp_path):
    told = command("x", "--to", "dataset", "--out", str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != WRITTEN) == [
        "datasheet.md",
        "gmm_0.npz",
        "transformer_gan.npz",
    ]
    drawn = SpikeWindows.load(run / "transformer_gan" / "synthetic.h5")
    with np.load(tmp_path / "transformer_gan.npz", allow_pickle=False) as held:
        np.testing.assert_array_equal(held["windows"], drawn.windows)
        np.testing.assert_array_equal(held["passes"], drawn.passes)
        assert held["time_ms"][8] == 0
    text = (tmp_path / "datasheet.md").read_text()
    assert "No cell fired these spikes" in text and "may not be used for" in text and "`a culture`: not in the" in text
    scores = json.loads((run / "scores.json").read_text())["transformer_gan"]["c2st_auc"]
    row = "| Transformer-GAN | C2ST AUC ↓ | {value:.3f} | {low:.3f} to {high:.3f} | {floor:.3f} | {reach:.3f} |"
    assert row.format(low=scores["interval"][0], high=scores["interval"][1], **scores) in text
    assert "bootstrap" not in text.lower(), "a model that is not in it has no row"
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != WRITTEN}
    assert told == command("x", "--to", "dataset", "--out", str(tmp_path))
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != WRITTEN}
    (tmp_path / "datasheet.md").write_text("answers")
    with pytest.raises(InputError, match="not as an export wrote it"):
        exports.to_dataset("x", tmp_path)
    assert (tmp_path / "datasheet.md").read_text() == "answers"


def test_a_run_without_generators_exports_none(run):
    with pytest.raises(InputError, match="make them with meagan run"):
        exports.to_onnx("nothing", run / "onnx")


def test_the_card_of_the_librarys_generator_is_as_made():
    for folder in PRETRAINED.iterdir():
        assert (folder / "card.md").read_text() == datasheets.card(folder.name)
        assert (ROOT / "figures" / "pretrained" / f"{folder.name}.png").is_file()


def test_the_licence_of_a_public_recording_is_said(tmp_path):
    generator = meagan_lib.load("simulated")
    for hashed in (source_hash, sha256):  # older generators kept SHA-256
        generator.trained_on["source_hashes"] = [hashed(fetch("locust")[0])]
        assert "`locust`: Antennal lobe" in datasheets.trained_on(generator)
    assert "Licence: open access (Zenodo record 21589)" in datasheets.trained_on(generator)


def test_an_nwb_file_gives_back_every_bit_and_keeps_generated_windows_apart(run, windows, tmp_path):
    pynwb = pytest.importorskip("pynwb", reason="an extra: pip install .[nwb]")
    windows.save(run / "windows.h5")
    told = ("--subject", "species=Homo sapiens", "--subject", "age=P120D")
    assert "NWB" in command("x", "--to", "nwb", "--out", str(tmp_path), *told)
    (name,) = windows.recordings
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["generated.nwb", f"{name}.nwb"])
    assert (tmp_path / f"{name}.nwb").stat().st_size <= nwb.size(windows, np.ones(len(windows), bool))
    with pynwb.NWBHDF5IO(str(tmp_path / f"{name}.nwb"), "r") as file:
        recorded = file.read()
        table = recorded.processing["ecephys"]["windows"]
        np.testing.assert_array_equal(table["window"][:], windows.windows)
        np.testing.assert_array_equal(table["electrodes"].data[:], windows.channel)
        np.testing.assert_array_equal(np.rint(table["time"][:] * windows.sampling_rate_hz), windows.frame)
        found = [np.rint(np.asarray(t) * windows.sampling_rate_hz) for t in recorded.units["spike_times"][:]]
        assert sum(map(len, found)) == len(windows.ledger.frame)
        assert len(recorded.electrodes) == len(windows.noise_mad)
        assert (recorded.subject.species, recorded.subject.age) == ("Homo sapiens", "P120D")
        assert json.loads(recorded.notes)["source_hashes"] == windows.source_hashes
    command("x", "--to", "nwb", "--out", str(tmp_path))  # an earlier export is replaced
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / f"{name}.nwb").write_text("the recording itself")
    with pytest.raises(InputError, match="is there, and is not of run 'x'"):
        nwb.to_nwb("x", tmp_path / "own")
    with pynwb.NWBHDF5IO(str(tmp_path / "generated.nwb"), "r") as file:
        made = file.read()
        assert made.units is None and made.electrodes is None and "no recording" in made.session_description
        drawn = SpikeWindows.load(run / "transformer_gan" / "synthetic.h5")
        np.testing.assert_array_equal(made.processing["generated"]["transformer_gan"]["window"][:], drawn.windows)


def test_what_goes_out_as_nwb_passes_dandi_and_the_inspector(run, windows, tmp_path):
    pytest.importorskip("pynwb", reason="an extra: pip install .[nwb]")
    pytest.importorskip("dandi", reason="DANDI's own check: pip install dandi")
    inspector = pytest.importorskip("nwbinspector", reason="NWB's own check: pip install nwbinspector")
    windows.save(run / "windows.h5")
    told = ("subject_id=a_culture", "species=Homo sapiens", "age=P120D")
    command("x", "--to", "nwb", "--out", str(tmp_path), *(word for each in told for word in ("--subject", each)))
    (tmp_path / "dandiset.yaml").write_text("identifier: DANDI:000000\nname: Spikes\ndescription: Of a culture.\n")
    files = sorted(path.name for path in tmp_path.rglob("*.nwb"))
    assert len(files) == 2 and all(name.startswith("sub-a-culture_ses-") for name in files)
    check = [sys.executable, "-c", "from dandi.cli.command import main; main()", "validate", str(tmp_path)]
    done = subprocess.run(check, capture_output=True, text=True, env=os.environ | {"DANDI_NO_ET": "1"})
    assert done.returncode == 0 and "No errors found" in done.stdout, done.stdout
    assert {each.importance.name for each in inspector.inspect_all(tmp_path)} <= {"BEST_PRACTICE_SUGGESTION"}


def test_names_that_dandi_does_not_tell_apart_are_refused(run, windows, tmp_path):
    pytest.importorskip("pynwb", reason="an extra: pip install .[nwb]")
    replace(windows, recordings=["a_1", "a.1"]).save(run / "windows.h5")
    with pytest.raises(InputError, match="does not tell these names apart: a_1, a.1"):
        nwb.to_nwb("x", tmp_path, ["subject_id=b"])
    assert not list(tmp_path.iterdir())


def test_windows_that_are_written_in_blocks_are_those_of_each_recording(run, windows, tmp_path, monkeypatch):
    pynwb = pytest.importorskip("pynwb", reason="an extra: pip install .[nwb]")
    monkeypatch.setattr(nwb, "CHUNK_BYTES", 2**10)
    monkeypatch.setattr(nwb, "BLOCK_BYTES", 2**12)
    of = (np.arange(len(windows)) % 3 > 0).astype(np.uint16)
    replace(windows, recording=of, recordings=["one", "two"]).save(run / "windows.h5")
    nwb.to_nwb("x", tmp_path)
    for index, name in enumerate(("one", "two")):
        with pynwb.NWBHDF5IO(str(tmp_path / f"{name}.nwb"), "r") as file:
            table = file.read().processing["ecephys"]["windows"]
            np.testing.assert_array_equal(table["window"][:], windows.windows[of == index])
            split = [Split(one).name.lower() for one in windows.split[of == index]]
            assert list(table["split"][:]) == split and len(table.id) == len(split)


def test_where_an_nwb_file_has_no_room_nothing_is_written(run, windows, tmp_path, monkeypatch):
    """HDF5 would crash."""
    pytest.importorskip("pynwb", reason="an extra: pip install .[nwb]")
    windows.save(run / "windows.h5")
    monkeypatch.setattr(nwb, "OF_NWB", 2**60)
    with pytest.raises(InputError, match="the disk is full: .* are needed"):
        nwb.to_nwb("x", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_pynwb_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynwb", None)
    with pytest.raises(InputError, match="pip install pynwb"):
        nwb.library()
    with pytest.raises(InputError, match="did you mean 'species'"):
        nwb.subject_of(["specie=Homo sapiens"])
