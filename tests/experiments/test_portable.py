"""A trained generator travels: the same bits elsewhere, in the amplitude unit, and no harm from a strange folder."""

import hashlib
import json
import pickle
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import meagan_lib
from meagan_lib import ROOT, InputError
from meagan_lib.experiments.benchmark import MODELS
from meagan_lib.experiments.fitting import training_data
from meagan_lib.experiments.generation import draw_synthetic
from meagan_lib.experiments.portable import FORMAT, PRETRAINED, keep_generator
from meagan_lib.windows.normalisation import fit_normalisation
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from meagan_lib.workflow.files import sha256
from tests.fixtures import spikes
from tests.models.test_contract import fitted


def recorded(electrodes: int = 1) -> SpikeWindows:
    """400 spike windows of 16 samples in µV, of two units, most of them to train."""
    n = 400
    split = np.where(np.arange(n) % 5 == 4, Split.TEST, Split.TRAIN).astype(np.uint8)
    vectors = 20 * spikes(n, 16 * electrodes) + 3
    windows = SpikeWindows(
        vectors[:, :16], np.zeros(n, np.int32), np.arange(n) * 100, np.arange(n, dtype=np.int32) % 3 // 2, split,
        20_000.0, 8, "uV", noise_mad=np.ones(1, np.float32), recordings=["a culture"],
    )  # fmt: skip
    return windows if electrodes == 1 else replace(windows, footprints=vectors.reshape(n, electrodes, 16))


def kept(folder: Path, name: str = "gaussian", windows: SpikeWindows | None = None, scale="z_score", condition=""):
    """A fitted model, in a folder as a job leaves it."""
    windows = windows or recorded()
    model = fitted(name, training_data(windows, scale, condition), seed=3)
    keep_generator(model, name, folder, windows, scale, condition)
    return model, windows


@pytest.mark.parametrize("name", sorted({kind: name for name, kind in MODELS.items()}.values()))
def test_a_loaded_generator_draws_what_the_benchmark_drew(name, tmp_path):
    model, windows = kept(tmp_path, name)
    generator = meagan_lib.load(tmp_path)
    drawn = generator.sample(30, seed=5)
    own = fit_normalisation("z_score", windows.vectors_of(Split.TRAIN)).inverse(model.sample(30, 5))
    assert drawn.shape == (30, 16) and drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn, own)
    np.testing.assert_array_equal(generator.sample(30, seed=5), drawn)
    assert (generator.amplitude_unit, generator.name, generator.time_ms[8]) == ("uV", name, 0.0)


def test_what_was_quoted_is_what_a_loaded_generator_draws(tmp_path):
    model, windows = kept(tmp_path, "transformer_gan")
    quoted = draw_synthetic(model, windows, seed=2).windows
    n = int((windows.split == Split.TEST).sum())
    np.testing.assert_array_equal(meagan_lib.load(tmp_path).sample(n, seed=2), quoted[:n])


@pytest.mark.parametrize("scale", ["min_max", "per_window"])
def test_every_scale_finds_back_to_the_amplitude_unit(scale, tmp_path):
    model, windows = kept(tmp_path, "transformer_gan", scale=scale)
    own = fit_normalisation(scale, windows.vectors_of(Split.TRAIN)).inverse(model.sample(30, 5))
    np.testing.assert_array_equal(meagan_lib.load(tmp_path).sample(30, seed=5), own)


def test_a_conditioned_generator_takes_labels_by_name_or_draws_them_as_often_as_in_training(tmp_path):
    _, windows = kept(tmp_path, "transformer_gan", condition="unit")
    generator = meagan_lib.load(tmp_path)
    train = windows.label[windows.split == Split.TRAIN]
    assert generator.classes == ["unit 0", "unit 1"] and generator.counts == np.bincount(train).tolist()
    labels = generator.draw_labels(3000, seed=1)
    assert labels.mean() == pytest.approx(train.mean(), abs=0.03)
    np.testing.assert_array_equal(generator.sample(50, 1), generator.sample(50, 1, generator.draw_labels(50, 1)))
    np.testing.assert_array_equal(generator.sample(50, labels="unit 1"), generator.sample(50, labels=[1] * 50))
    assert not np.array_equal(generator.sample(50, labels=0), generator.sample(50, labels=1))
    for wrong in ("unit 7", 2, -1, [0, 1], 0.5):
        with pytest.raises(InputError):
            generator.sample(50, labels=wrong)


def test_footprints_come_with_their_electrodes(tmp_path):
    model, windows = kept(tmp_path, "transformer_gan", recorded(3))
    drawn = meagan_lib.load(tmp_path).sample(7, seed=5)
    assert drawn.shape == (7, 3, 16)
    own = fit_normalisation("z_score", windows.vectors_of(Split.TRAIN)).inverse(model.sample(7, 5))
    np.testing.assert_array_equal(drawn.reshape(7, -1), own)


def told(folder: Path, **changes: object) -> None:
    """Change what ``model.json`` says, by dotted names."""
    path = folder / "model.json"
    about = json.loads(path.read_text())
    for name, value in changes.items():
        *into, last = name.split("__")
        inner = about
        for key in into:
            inner = inner[key]
        inner[last] = value
    path.write_text(json.dumps(about))


class Harmful:
    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


DAMAGE = {
    "no json": lambda f: (f / "model.json").unlink(),
    "no weights": lambda f: (f / "model.safetensors").unlink(),
    "cut json": lambda f: (f / "model.json").write_text((f / "model.json").read_text()[:200]),
    "bytes for json": lambda f: (f / "model.json").write_bytes(b"\xff\x00\xfe"),
    "a list": lambda f: (f / "model.json").write_text("[]"),
    "deep json": lambda f: (f / "model.json").write_text("[" * 100_000),
    "newer": lambda f: told(f, format=FORMAT + 1),
    "another model": lambda f: told(f, generator__model="os"),
    "cut weights": lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:999]),
    "a pickle": lambda f: (f / "model.safetensors").write_bytes(pickle.dumps(Harmful())),
    "wider": lambda f: told(f, config__width=68),
    "immense": lambda f: told(f, config__width=8192, config__latent=8192),
    "endless": lambda f: told(f, config__depth=10**12),
    "long": lambda f: told(f, samples=10**9),
    "unknown option": lambda f: told(f, config__elegance=1),
    "no scale": lambda f: told(f, generator__scale={}),
    "words for numbers": lambda f: told(f, generator__scale={"centre": "0", "scale": "1"}),
    "not finite": lambda f: told(f, generator__scale={"centre": 0.0, "scale": float("nan")}),
    "another length": lambda f: told(f, generator__n_samples=15),
    "a stranger": lambda f: told(f, generator__owner="nobody"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_is_no_generator_is_refused_in_one_sentence(damage, tmp_path):
    shutil.copytree(PRETRAINED / "simulated", tmp_path / "x")
    damage(tmp_path / "x")
    with pytest.raises(InputError) as refusal:
        meagan_lib.load(tmp_path / "x")
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 400


def test_a_name_that_is_nowhere_is_refused_with_what_there_is():
    with pytest.raises(InputError, match=r"did you mean 'simulated'.*results/quick/transformer_gan"):
        meagan_lib.load("simulatd")
    with pytest.raises(InputError, match="ask for 1 or more"):
        meagan_lib.load("simulated").sample(0)


def test_the_generator_of_the_library_is_that_of_the_kept_run():
    folder = PRETRAINED / "simulated"
    reference = json.loads((ROOT / "figures" / "baselines" / "reference.json").read_text())
    assert reference["digests"]["transformer_gan/model.safetensors"] == sha256(folder / "model.safetensors")
    drawn = meagan_lib.load("simulated").sample(400, seed=1)
    assert drawn.mean(axis=0).argmin() == 32 and -200 < drawn.mean(axis=0).min() < -20, "a spike, in µV"


def test_importing_the_library_loads_nothing_that_takes_time():
    code = "import sys, meagan_lib; print(*{'torch', 'numpy', 'h5py', 'safetensors', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_the_wheel_draws_windows_wherever_it_is_installed(tmp_path):
    source, site, elsewhere = (tmp_path / name for name in ("source", "site", "elsewhere"))
    shutil.copytree(ROOT / "meagan_lib", source / "meagan_lib", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / file, source)
    for folder in ("data", "results"):
        (source / folder).mkdir()
        (source / folder / "recording.brw").touch()
    elsewhere.mkdir()
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(tmp_path)!r})"  # what pip wheel asks for
    subprocess.run([sys.executable, "-c", build], check=True, capture_output=True, cwd=source)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = {name.split("/")[0] for name in file.namelist()}
        file.extractall(site)
    assert names == {"meagan_lib", wheel.name.rsplit("-", 3)[0] + ".dist-info"} and wheel.stat().st_size < 3e6
    code = (
        "import os, hashlib, meagan_lib; from meagan_lib import load; drawn = load('simulated').sample(10, seed=0)\n"
        "assert 'MPLCONFIGDIR' not in os.environ, 'caches are those of a checkout'\n"
        "print(meagan_lib.__file__, hashlib.sha256(drawn.tobytes()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=elsewhere,
        env={"PATH": "", "PYTHONPATH": str(site), "HOME": str(elsewhere), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    own = hashlib.sha256(meagan_lib.load("simulated").sample(10, seed=0).tobytes()).hexdigest()
    assert done.stdout.split() == [str(site / "meagan_lib" / "__init__.py"), own]
    assert not list(elsewhere.iterdir()), "an import leaves nothing behind"
