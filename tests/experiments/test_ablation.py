"""The ablation: what a variant is, what a table of scores says; one variant is trained, scored and gathered."""

import csv
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from meagan_lib import InputError
from meagan_lib.evaluation import classifiers
from meagan_lib.experiments import ablation, sweep
from meagan_lib.experiments.ablation import DECLARED, METRICS, Variant, effects, load, reading, train, variants
from meagan_lib.models.gan import GAN, SCHEDULES, GANConfig
from meagan_lib.parameters import of_preset
from tests.cheaper import cheaper

SECTION = {
    "seeds": [0, 1],
    "n_windows": 100,
    "patch_ms": 0.4,
    "options": {"steps": 6, "batch_size": 8, "validate_every": 3},
    "variants": [
        {"group": "loss", "name": "relativistic"},
        {"group": "loss", "name": "hinge, bare", "against": "relativistic", "options": {"loss": "hinge", "gamma": 0.0}},
    ],
}


def row(variant: str, seed: int, auc: float, data: str = "a", against: str = "base") -> dict:
    about = {
        "data": data,
        "group": "g",
        "variant": variant,
        "against": against if variant != "base" else "",
        "seed": seed,
    }
    return about | {"steps": 1, "seconds": 1.0, "diverged": ""} | dict.fromkeys(METRICS, 0.5) | {"c2st_auc": auc}


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"variants": [{"group": "a", "name": "b", "options": {"gama": 1}}]}, "did you mean 'gamma'"),
        ({"variants": [{"group": "a", "name": "b", "against": "c"}]}, "'c', which is not there"),
        ({"variants": [{"group": "a", "name": "b"}, {"group": "a", "name": "b"}]}, "'b' stands there twice"),
        ({"variants": [{"name": "b"}]}, "is no variant"),
        ({"variants": [{"group": "a", "name": "b", "model": "gmm"}]}, "choose one of transformer_gan, vae_gan"),
        ({"variants": [{"group": "a", "name": "b", "options": {"total_loss": "thesis"}}]}, "no option of GANConfig"),
        ({"sedes": [1]}, "has no parameter 'sedes'"),
    ],
)
def test_a_wrong_sweep_is_refused_with_one_sentence(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        variants(SECTION | wrong)


def test_the_preset_sweeps_over_schedules_patience_clipping_and_the_size_of_z():
    found = {v.name: v.options for v in variants(DECLARED | of_preset("ablation")["ablation"])}
    changed = {(option, value) for options in found.values() for option, value in options.items()}
    assert {("d_schedule", s) for s in SCHEDULES} <= changed | {("d_schedule", GANConfig.d_schedule)}
    assert {"patience", "clip_gradient", "latent", "flip_labels", "smooth_labels"} <= {option for option, _ in changed}
    alone = GAN.configure(options=found["falling rate for D alone"])
    assert (alone.d_schedule, alone.g_schedule) == ("cosine", "constant")


def test_planted_differences_are_found_and_noise_is_not():
    own = {
        "base": [0.1, 0.0, -0.1],
        "better": [0.11, 0.0, -0.1],
        "worse": [0.1, 0.01, -0.1],
        "alike": [0.1, 0.02, -0.12],
    }
    planted = {"base": 0.60, "better": 0.50, "worse": 0.75, "alike": 0.602}
    rows = [row(name, i, auc + n) for name, auc in planted.items() for i, n in enumerate(own[name])]
    rows += [row("lost", i, np.nan if i else 0.6) for i in range(3)]
    found = {e.variant: e for e in effects(pd.DataFrame(rows)).itertuples()}
    assert {name: e.verdict for name, e in found.items()} == {
        "better": "helps",
        "worse": "hurts",
        "alike": "not significant",
        "lost": "diverges",
    }
    assert found["worse"].difference == pytest.approx(0.1533, abs=1e-3) and found["lost"].diverged == 2


def test_the_reading_follows_the_scores():
    def table(first, second):
        noise = {"base": (0.0, 0.01, -0.01), "x": (0.01, -0.01, 0.0)}
        rows = [
            row(name, i, auc + n, data)
            for data, by in (("a", first), ("b", second))
            for name, auc in by.items()
            for i, n in enumerate(noise[name])
        ]
        return pd.DataFrame(rows)

    said = {
        next(iter(reading(effects(table({"base": 0.6, "x": one}, {"base": 0.6, "x": two})))))
        for one, two in ((0.5, 0.5), (0.7, 0.7), (0.5, 0.7), (0.5, 0.6), (0.6, 0.7), (0.6, 0.6), (0.7, np.nan))
    }
    assert said == set(ablation.READINGS)


def test_a_variant_is_trained_scored_and_gathered(windows, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "RESULTS", tmp_path)
    for name, its in cheaper(classifiers).items():
        monkeypatch.setattr(classifiers, name, its)
    (tmp_path / "run" / "recordings" / "a").mkdir(parents=True)
    windows.save(tmp_path / "run" / "recordings" / "a" / "windows.h5")
    receipts = [sweep.execute("run", "ablation", "a", case, SECTION) for case in ("reach", "hinge_bare")]
    sweep.gather("run", "ablation", receipts)
    table = load(tmp_path / "run" / "ablation.csv")
    rows = table.to_dict("records")
    assert [(r["variant"], r["seed"]) for r in rows] == [(v, s) for v in ("reach", "hinge, bare") for s in (0, 1)]
    assert all(0 < r[m] < 5 for r in rows for m in METRICS) and {r["against"] for r in rows} == {"", "relativistic"}
    with open(tmp_path / "run" / "ablation.csv", newline="") as file:
        assert tuple(next(csv.reader(file))) == ("data", *ablation.COLUMNS)
    again = train(windows, variants(SECTION)[1], SECTION, 1)
    assert f"{again['c2st_auc']:.4f}" == f"{rows[-1]['c2st_auc']:.4f}"


def test_of_footprints_the_own_electrode_is_ablated(windows):
    windows = replace(windows, around=None, footprints=None)
    beside = np.stack([windows.windows, 0.5 * windows.windows], axis=1)
    around = np.tile([[0, 1]], (len(windows.noise_mad), 1)).astype(np.int32)
    first, second = (
        ablation.rows(its, "hinge_bare", SECTION | {"seeds": [0]})
        for its in (windows, replace(windows, footprints=beside, around=around))
    )
    assert [r | {"seconds": 0} for r in first] == [r | {"seconds": 0} for r in second]


def test_a_divergence_is_a_row_without_scores(windows):
    wild = Variant("g", "wild", options={"loss": "wasserstein", "gamma": 0.0, "d_learning_rate": 1e18, "steps": 60})
    got = train(windows, wild, SECTION, 0)
    assert 0 < got["diverged"] < 60 and all(got[m] == "" for m in METRICS)


def test_an_effect_is_significant_after_the_correction_for_all_that_were_tested():
    """One p of .02 is significant alone; among 20 effects of nothing it is not."""
    base, rng = [0.60, 0.61, 0.59], np.random.default_rng(0)
    moved = np.add(base, [0.02, 0.03, 0.022])
    rows = [row("base", i, auc) for i, auc in enumerate(base)] + [row("x", i, auc) for i, auc in enumerate(moved)]
    (alone,) = effects(pd.DataFrame(rows)).itertuples()
    assert 0.01 < alone.p < 0.05 and alone.q == alone.p and alone.verdict == "hurts"
    rows += [row(f"n{k}", i, auc + rng.normal(0, 0.02)) for k in range(20) for i, auc in enumerate(base)]
    found = effects(pd.DataFrame(rows))
    first = found.iloc[0]
    assert first["p"] == alone.p and first["q"] > 0.05 and first["verdict"] == "not significant"
    assert list(found["q"]) == pytest.approx(scipy.stats.false_discovery_control(found["p"]))
    sentence = sweep.counted(found)
    assert sentence.startswith("21 paired t-tests over seeds: ")
    assert sentence.endswith(f"{sum(found['q'] < 0.05)} with q < 0.05")
