"""Transfer: what a source saves, by made-up curves; which cases there are; a target is trained and scored."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml

from meagan_lib import InputError, parameters, plots
from meagan_lib.evaluation import classifiers
from meagan_lib.experiments import ablation, benchmark, sweep, transfer
from meagan_lib.experiments.fitting import weights_of
from meagan_lib.experiments.transfer import METRICS, REACH, SCRATCH, SEVERAL, savings, steps_to
from meagan_lib.models.gan import GAN
from meagan_lib.windows.resampling import resample
from meagan_lib.workflow import graph
from tests.cheaper import cheaper

SECTION = {
    "seeds": [0],
    "targets": {"a": "b"},
    "steps": [0, 4],
    "source_steps": 3,
    "few": [40],
    "few_steps": 4,
    "n_windows": 40,
    "patch_ms": 0.4,
    "options": {"batch_size": 8, "depth": 1},
    "labels": ["a", "b", "c"],
}


def table(curves: dict[str, list[float]], steps=(0, 100, 200), jitter=(0.0, 0.004, -0.004), data="a") -> pd.DataFrame:
    """Three seeds of each curve, each a little higher or lower; a step takes 10 ms; and what needs no network."""
    rows = []
    for seed, noise in enumerate(jitter):
        about = {"data": data, "seed": seed, "diverged": ""} | dict.fromkeys(METRICS, 0.5)
        for source, scores in curves.items():
            took = 0.0 if source == SCRATCH else 2.0
            for step, auc in zip(steps, scores):
                row = {"source": source, "n": 500, "steps": step, "seconds": step / 100, "source_seconds": took}
                rows.append(about | row | {"c2st_auc": auc + noise})
            few = {"source": source, "n": 100, "steps": 100, "seconds": 1.0, "source_seconds": took}
            rows.append(about | few | {"c2st_auc": scores[-1] + 0.1 + noise})
            if source != SCRATCH:
                rows.append(about | few | {"n": 0, "steps": 0, "c2st_auc": 0.9 + 2 * noise})
        for source, n in ((REACH, 500), (transfer.GAUSSIAN, 500), (transfer.GAUSSIAN, 100)):
            row = {"source": source, "n": n, "steps": 0, "seconds": 0.0, "source_seconds": 0.0}
            rows.append(about | row | {"c2st_auc": 0.52})
    return pd.DataFrame(rows)


def test_the_steps_to_a_goal_are_those_of_the_first_time_that_it_is_met():
    assert steps_to(0.7, [0, 100, 200], [0.8, 0.6, 0.5]) == pytest.approx(50)
    assert steps_to(0.9, [0, 100], [0.8, 0.95]) == 0 and np.isnan(steps_to(0.4, [0, 100], [0.8, 0.6]))
    assert steps_to(0.7, [0, 100, 200], [0.8, 0.6, 0.9]) == pytest.approx(50), "a later score does not take it back"


def test_what_a_source_saves_is_what_the_curves_were_made_for():
    curves = {SCRATCH: [0.9, 0.8, 0.6], "b": [0.7, 0.5, 0.5], SEVERAL: [0.9, 0.8, 0.7]}
    one, several = savings(table(curves)).itertuples()
    assert (one.goal, one.seeds, one.reached) == (pytest.approx(0.6), 3, 3)
    assert one.scratch == pytest.approx(200) and one.steps == pytest.approx(50) and one.saved == pytest.approx(150)
    assert one.saved_seconds == pytest.approx(1.5) and one.source_seconds == 2.0
    assert (several.source, several.reached) == (SEVERAL, 0) and np.isnan(several.saved)
    first, second = transfer.said(savings(table(curves)))
    assert "after 50 steps instead of 200" in first and "never as good as from scratch" in second


def test_scratch_is_not_charged_for_steps_after_it_had_its_last_score():
    (only,) = savings(table({SCRATCH: [0.9, 0.6, 0.6], "b": [0.7, 0.6, 0.5]}, jitter=(0.0,))).itertuples()
    assert only.scratch == 100 and only.saved == 0


def test_the_interval_of_what_is_saved_is_over_seeds():
    """The source begins worse by another amount with each seed: the steps saved have an interval around their mean."""
    made = table({SCRATCH: [0.9, 0.8, 0.6], "b": [0.8, 0.5, 0.5]}, jitter=(0.0, 0.0, 0.0))
    for seed, more in enumerate((0.0, 0.03, 0.06)):
        made.loc[(made["source"] == "b") & (made["seed"] == seed) & (made["steps"] == 0), "c2st_auc"] += more
    (only,) = savings(made).itertuples()
    needed = [100 * (0.2 + more) / (0.3 + more) for more in (0.0, 0.03, 0.06)]
    assert only.steps == pytest.approx(np.mean(needed)) and only.low < only.saved < only.high
    half = 4.303 * np.std(needed, ddof=1) / np.sqrt(3)  # Student's t, two degrees of freedom
    assert only.high - only.saved == pytest.approx(half, rel=1e-3)


def test_effects_compare_alike_budgets_and_a_source_as_it_stands_with_the_end():
    found = transfer.effects(table({SCRATCH: [0.9, 0.8, 0.6], "b": [0.7, 0.5, 0.5]})).set_index("variant")
    assert found["against"].to_dict() == {
        "b, n = 500, 0 steps": "scratch, n = 500, 0 steps",
        "b, n = 500, 100 steps": "scratch, n = 500, 100 steps",
        "b, n = 500, 200 steps": "scratch, n = 500, 200 steps",
        "b, n = 100, 100 steps": "scratch, n = 100, 100 steps",
        "b, n = 0, 0 steps": "scratch, n = 500, 200 steps",
    }
    assert found.loc["b, n = 0, 0 steps", "verdict"] == "hurts" and found["difference"].iloc[0] == pytest.approx(-0.2)


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"targets": {}}, "targets is empty"),
        ({"targets": {"a": "a"}}, "a cannot start from itself"),
        ({"targets": {"a": "bb"}}, "did you mean 'b'|choose one of a, b, c"),
        ({"steps": [0, 4, 2]}, "they must rise"),
        ({"few_steps": 3}, r"few_steps \(3\) be one"),
        ({"options": {"widht": 8}}, "did you mean 'width'"),
        ({"sedes": [1]}, "has no parameter 'sedes'"),
    ],
)
def test_a_wrong_study_is_refused_with_one_sentence(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        transfer.cases(SECTION | wrong)


def test_only_targets_have_jobs_and_each_needs_the_windows_of_all_recordings():
    jobs = sweep.jobs("transfer", SECTION)
    assert jobs == [("a", case) for case in ("bounds", "scratch", "one", "several")]
    assert sweep.recordings_of("transfer", "b", SECTION) == ["b", "a", "c"]
    assert sweep.recordings_of("utility", "b", SECTION) == ["b"]


def test_a_target_is_trained_scored_and_gathered(windows, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "RESULTS", tmp_path)
    for name, its in cheaper(classifiers).items():
        monkeypatch.setattr(classifiers, name, its)
    coarse = replace(windows, windows=windows.windows[:, ::2], sampling_rate_hz=10_000.0, pre_samples=16)
    for label, its in {"a": windows, "b": replace(windows, windows=windows.windows[:, ::-1]), "c": coarse}.items():
        (tmp_path / "run" / "recordings" / label).mkdir(parents=True)
        its.save(tmp_path / "run" / "recordings" / label / "windows.h5")
    receipts = [sweep.execute("run", "transfer", *job, SECTION) for job in sweep.jobs("transfer", SECTION)]
    sweep.gather("run", "transfer", receipts)
    found = transfer.load(tmp_path / "run" / "transfer.csv")
    n = int((windows.split == 0).sum())
    assert set(found["source"]) == {REACH, transfer.GAUSSIAN, transfer.COPIES, SCRATCH, "b", SEVERAL}
    tuned = found[found["source"] == "b"]
    assert list(zip(tuned["n"], tuned["steps"])) == [(0, 0), (n, 0), (n, 4), (40, 4)]
    assert np.isfinite(found[list(METRICS)]).all().all()
    stands, begins = tuned.iloc[0], tuned.iloc[1]
    assert stands["c2st_auc"] != begins["c2st_auc"] or stands["frechet_distance"] != begins["frechet_distance"]
    title, frame = transfer.summary(tmp_path / "run" / "transfer.csv")
    assert len(frame) == 2 and title.startswith("steps until")


def test_seconds_are_those_of_the_training_and_not_of_its_scores(windows, monkeypatch):
    clock = [0.0]

    def took(seconds, then):
        clock[0] += seconds
        return then

    step = GAN.Trainer.train_step
    monkeypatch.setattr(time, "process_time", lambda: clock[0])
    monkeypatch.setattr(GAN.Trainer, "train_step", lambda trainer: took(1.0, step(trainer)))
    monkeypatch.setattr(ablation, "scores", lambda *_: took(100.0, dict.fromkeys(METRICS, 0.5)))
    curve = transfer.learning_curve(windows, 0, [0, 2, 4], None, SECTION, 0)
    assert [row["seconds"] for row in curve] == [0.0, 2.0, 4.0]


def test_a_target_is_trained_on_the_scale_of_its_own_training_windows_alone(windows, monkeypatch):
    seen, build = [], GAN.trainer

    def trainer(config, data, **given):
        seen.append(data.train)
        return build(config, data, **given)

    monkeypatch.setattr(GAN, "trainer", trainer)
    monkeypatch.setattr(ablation, "scores", lambda *_: dict.fromkeys(METRICS, 0.5))
    list(transfer.learning_curve(windows, 40, [0], None, SECTION, 0))
    assert seen[0].shape[0] == 40
    np.testing.assert_allclose([seen[0].mean(), seen[0].std()], [0, 1], atol=1e-4)


def test_windows_at_another_rate_become_those_that_would_have_been_cut(windows):
    """A band-limited wave is known between its samples: a window of every second sample gives the others back."""
    time_ms = windows.time_ms
    waves = np.cos(2 * np.pi * np.linspace(0.2, 1.5, 20)[:, None] * time_ms).astype(np.float32)
    fine = replace(windows, windows=waves)
    coarse = replace(fine, windows=waves[:, ::2], sampling_rate_hz=10_000.0, pre_samples=16)
    again = resample(coarse, fine)
    assert (again.n_samples, again.pre_samples, again.sampling_rate_hz) == (64, 32, windows.sampling_rate_hz)
    np.testing.assert_allclose(again.windows[:, 4:-4], waves[:, 4:-4], atol=0.02)
    assert resample(fine, fine) is fine
    with pytest.raises(InputError, match="cut both with the same window_ms"):
        resample(replace(fine, windows=waves[:, 10:-10], pre_samples=22), fine)


def test_the_figure_shows_what_it_is_given():
    made = table({SCRATCH: [0.9, 0.8, 0.6], "b": [0.7, 0.5, 0.5], SEVERAL: [0.8, 0.7, 0.6]})
    fig = plots.transfer_saving(made, few_steps=100)
    above, below = fig.axes
    lines = [line.get_ydata() for line in above.lines if len(line.get_xdata()) == 3]
    assert [0.9, 0.8, 0.6] in [pytest.approx(list(line)) for line in lines]
    assert above.get_title(loc="left").startswith("a") and "100 steps" in below.get_xlabel()


def test_weights_of_another_run_are_found_or_refused(windows, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path)
    about = {"normalisation": "z_score", "condition": ""}
    assert weights_of("", "transformer_gan", windows) is None
    with pytest.raises(InputError, match="run 'x' has no trained transformer_gan"):
        weights_of("x", "transformer_gan", windows, **about)
    for folder in ("transformer_gan", "params"):
        (tmp_path / "x" / folder).mkdir(parents=True)
    (tmp_path / "x" / "transformer_gan" / "model.safetensors").touch()
    (tmp_path / "x" / "params" / "02_transformer_gan.yaml").write_text(yaml.safe_dump(about))
    windows.save(tmp_path / "x" / "windows.h5")
    assert weights_of("x", "transformer_gan", windows, **about) == tmp_path / "x" / "transformer_gan"
    with pytest.raises(InputError, match="normalisation = 'z_score', and these have normalisation = 'min_max'"):
        weights_of("x", "transformer_gan", windows, **about | {"normalisation": "min_max"})
    for change, sentence in (
        ({"sampling_rate_hz": 10_000.0}, "a sampling rate of 20000 Hz, and these have a sampling rate of 10000 Hz"),
        ({"windows": windows.windows[:, :50]}, "64 samples, and these have 50 samples"),
        ({"pre_samples": 20}, "the peak at sample 32, and these have the peak at sample 20"),
    ):
        with pytest.raises(InputError, match=sentence):
            weights_of("x", "transformer_gan", replace(windows, **change), **about)


def test_the_graph_waits_for_the_weights_that_a_training_starts_from(tmp_path, monkeypatch):
    for module in (parameters, graph):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path)
    monkeypatch.setattr(benchmark, "ROOT", tmp_path)
    asked = parameters.resolve("smoke", [], ["02_transformer_gan.start_from=other"])
    with pytest.raises(InputError, match="run 'other' has no trained transformer_gan"):
        parameters.check("a", asked)
    with pytest.raises(InputError, match="start_from is the run itself"):
        parameters.check("other", asked)
    (tmp_path / "other" / "transformer_gan").mkdir(parents=True)
    for file in ("windows.h5", "transformer_gan/model.safetensors"):
        (tmp_path / "other" / file).touch()
    graph.write_parameters("a", parameters.check("a", asked))
    assert benchmark.trained_by_another("a", "transformer_gan") == ["other/transformer_gan/model.safetensors"]
    assert benchmark.trained_by_another("a", "vae_gan") == benchmark.trained_by_another("a", "gaussian") == []
    budgets = benchmark.prepared(asked | {"benchmark": {"models": ["plain_transformer_gan"]}})
    assert "start_from" not in budgets["benchmark/plain_transformer_gan"]
