"""The sweep of annotation: what is refused, what a job writes, what is compared with what."""

import numpy as np
import pandas as pd
import pytest

from meagan_lib import InputError
from meagan_lib.experiments import annotation, sweep
from meagan_lib.experiments.annotation import cases, effects, load

SECTION = annotation.DECLARED | {
    "seeds": [0, 1],
    "options": {"width": 4, "dilations": (1, 2), "pieces": 100, "length": 32, "steps": 3, "batch_size": 4},
}


def row(painter: str, seed: int, recall: float, n_cut: int = 20) -> dict:
    about = {"data": "a", "painter": painter, "n_cut": n_cut, "seed": seed, "seconds": 1.0}
    return about | {
        "false_positive_rate": 1.0,
        "electrodes": "all",
        "depth": "3–4",
        "recall": recall,
        "f1": 0.5,
        "n": 9,
    }


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"painters": ["templates"]}, "did you mean 'template'"),
        ({"options": {"stesp": 3}}, "stesp"),
        ({"painters": ["copy_paste"]}, "annotation.painters has no 'template'"),
        ({"n_cut": [0]}, "must be 1 or more"),
        ({"sedes": [1]}, "has no parameter 'sedes'"),
        ({"painter_options": {"template": {"steps": 3}}}, "nothing is trained there"),
        ({"painter_options": {"vae_gan": {}}}, "painter in annotation.painter_options 'vae_gan'"),
        ({"painters": ["template", "vae_gan"], "painter_options": {"vae_gan": {"stesp": 3}}}, "stesp"),
        ({"painters": ["template", "painting_gan"], "painter_options": {"painting_gan": 3}}, "give names and values"),
    ],
)
def test_a_wrong_sweep_is_refused_with_one_sentence(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        cases(SECTION | wrong)


def test_templates_are_compared_with_the_threshold_and_painters_with_templates():
    rows = [row("threshold", 0, 0.4, n_cut=0)]
    for n_cut, gain in ((20, 0.2), (100, 0.3)):
        rows += [row("template", seed, 0.4 + gain + 0.01 * seed, n_cut) for seed in range(3)]
        rows += [row("copy_paste", seed, 0.4 + gain - 0.1 + 0.02 * seed, n_cut) for seed in range(3)]
    found = effects(pd.DataFrame(rows)).set_index(["painter", "n_cut"])
    assert list(found["against"].unique()) == [
        "template" if p == "copy_paste" else "threshold" for p in found.index.unique(0)
    ]
    assert found.loc[("template", 100), "difference"] == pytest.approx(0.31)
    assert found.loc[("copy_paste", 20), "difference"] == pytest.approx(-0.09)
    assert set(found["verdict"]) == {"helps", "hurts"}


def test_a_job_trains_with_every_seed_on_the_recording_of_notebook_01(recording, monkeypatch, tmp_path):
    monkeypatch.setattr(sweep, "RESULTS", tmp_path)
    monkeypatch.setattr(annotation, "open_recording", lambda *_, **__: recording)
    given = tmp_path / "run" / "recordings" / "a" / "params" / "01_preprocessing.yaml"
    given.parent.mkdir(parents=True)
    given.write_text("{recording: simulated, guard_ms: 1.0, guard_mad: 0.0}")
    receipts = [sweep.execute("run", "annotation", "a", case, SECTION) for case in cases(SECTION)]
    sweep.gather("run", "annotation", receipts)
    table = load(tmp_path / "run" / "annotation.csv")
    assert set(zip(table["painter"], table["n_cut"], table["seed"])) == {
        ("threshold", 0, 0),
        ("template", 20, 0),
        ("template", 20, 1),
    }
    assert tuple(table.columns) == ("data", *annotation.COLUMNS) and (table["n"] > 0).all()
    assert np.isfinite(table["recall"]).all() and table["recall"].between(0, 1).all()
    title, closing = annotation.summary(tmp_path / "run" / "annotation.csv")
    assert "recall of true spikes" in title and len(closing) == 2
