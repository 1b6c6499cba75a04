"""The benchmark: what takes part, what a job depends on, what a fit leaves for notebook 04; scores over seeds."""

from dataclasses import replace

import numpy as np
import pytest
import yaml

from meagan_lib import InputError
from meagan_lib.experiments import benchmark
from meagan_lib.experiments.benchmark import BASELINES, THESIS, prepared
from meagan_lib.experiments.fitting import fit_options, sizes, training_data
from meagan_lib.experiments.generation import draw_synthetic
from meagan_lib.parameters import check, resolve
from meagan_lib.windows.normalisation import Standardiser
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from meagan_lib.workflow import execution
from meagan_lib.workflow.files import write_if_changed
from tests.fixtures import forget, planned_jobs, spikes

NOTEBOOKS = {"02_transformer_gan": {"seed": 0, "patch_ms": 0.2}, "03_vae_gan": {"seed": 0, "patch_ms": 0.4}}
ASKED = {"models": ["gmm", "dcgan"], "seeds": [0, 1], "validations": 2, "dcgan_steps": 7}


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"models": ["gm"]}, "'gm' is not known: did you mean 'gmm'"),
        ({"models": ["vae_gan"]}, "takes part in any case"),
        ({"models": ["gmm", "gmm"]}, "gmm stands there twice"),
        ({"models": "gmm"}, "benchmark.models is a list"),
        ({"dcgan_step": 3}, "did you mean 'dcgan_steps'"),
        ({"dcgan_steps": 0}, "dcgan_steps is 0: it must be 1 or more"),
        ({"seeds": [1, 2]}, "the seed of 02_transformer_gan is 0"),
        ({"seeds": []}, "the seed of 02_transformer_gan is 0"),
        ({"baseline_seeds": [1, 1]}, "benchmark.baseline_seeds: 1 stands there twice"),
        ({"baseline_seeds": [0.5]}, "benchmark.baseline_seeds"),
        ({"condition": "deep"}, "benchmark.condition 'deep' is not known"),
    ],
)
def test_a_wrong_benchmark_is_refused_with_one_sentence(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        prepared(NOTEBOOKS | {"benchmark": ASKED | wrong})


def test_the_benchmark_is_asked_for_as_notebooks_are():
    files = check("x", resolve("smoke", [], ["benchmark.models=[gmm, dcgan]", "benchmark.dcgan_steps=5"]))
    found = {path.relative_to(execution.RESULTS / "x" / "params").as_posix(): given for path, given in files.items()}
    assert found["benchmark.yaml"] == {
        "models": ["gmm", "dcgan"],
        "seeds": [0],
        "own": {"transformer_gan": 0, "vae_gan": 0},
    }
    assert found["benchmark/gmm.yaml"] == {} and found["benchmark/dcgan.yaml"] == {"steps": 5, "validations": 1}


def test_one_more_model_or_seed_or_budget_concerns_no_other_job():
    before = prepared(NOTEBOOKS | {"benchmark": ASKED})
    after = prepared(
        NOTEBOOKS
        | {"benchmark": {"models": ["gmm", "dcgan", "vae"], "seeds": [0, 1, 2], "validations": 2, "dcgan_steps": 8}}
    )
    assert after["benchmark/gmm"] == before["benchmark/gmm"] and after["benchmark/dcgan"] != before["benchmark/dcgan"]
    assert prepared(NOTEBOOKS) == {
        "benchmark": {"models": [], "seeds": [0], "own": {"transformer_gan": 0, "vae_gan": 0}}
    }


def test_another_seed_of_one_notebook_makes_no_other_model_again(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path)
    files = {seed: check("x", resolve("smoke", [], [f"03_vae_gan.seed={seed}"])) for seed in (0, 1)}
    changed = {path.stem for path, given in files[0].items() if files[1][path] != given}
    assert changed == {"03_vae_gan", "benchmark"}
    (content,) = [given for path, given in files[1].items() if path.stem == "benchmark"]
    write_if_changed(tmp_path / "x" / "params" / "benchmark.yaml", yaml.safe_dump(content))
    assert benchmark.entries("x") == [("transformer_gan", 0), ("vae_gan", 1), ("gaussian", 0), ("vae", 0)]
    assert benchmark.jobs("x") == [("gaussian", 0), ("vae", 0)]
    assert benchmark.place("x", "vae_gan", 1) == tmp_path / "x" / "vae_gan"


def test_tokens_of_a_baseline_last_as_long_as_those_of_the_model_that_it_is_like():
    models = ["vae", "flow_matching", "reflow_2", "tts_gan"]
    found = prepared(NOTEBOOKS | {"benchmark": {"models": models}})
    patches = {model: found[f"benchmark/{model}"].get("patch_ms") for model in models}
    assert patches == {"vae": 0.4, "flow_matching": 0.2, "reflow_2": 0.2, "tts_gan": None}
    for model in ("vae", "flow_matching"):
        config = benchmark.model_class(model).Config
        assert fit_options(config, found[f"benchmark/{model}"], recorded())["patch"] == recorded().samples_of(
            patches[model]
        )


def test_reflow_draws_in_as_many_steps_as_its_name_says():
    found = prepared(NOTEBOOKS | {"benchmark": {"models": ["reflow_1", "reflow_2"]}})
    for steps in (1, 2):
        model = benchmark.model_class(f"reflow_{steps}")
        config = model.configure(**fit_options(model.Config, found[f"benchmark/reflow_{steps}"], recorded()))
        assert (config.ode_steps, config.solver) == (steps, "euler")


def test_an_edit_of_a_baseline_concerns_its_own_jobs_alone():
    def concerned(module):
        return [
            model for model in (*THESIS, *BASELINES) if f"meagan_lib/models/{module}.py" in benchmark.library(model)
        ]

    for baseline, with_it in {"dcgan": [], "tts_gan": [], "flow_matching": ["reflow_1", "reflow_2"], "vae": []}.items():
        assert concerned(baseline) == [baseline, *with_it]
        assert not any(
            f"models/{baseline}.py" in path
            for n in execution.NOTEBOOKS.glob("0*.ipynb")
            for path in execution.library_inputs(n.stem)
        )
    assert concerned("baselines") == ["pca_gaussian", "gmm", "bootstrap"]
    assert concerned("vae_gan") == ["vae_gan", "vae", "plain_vae_gan"] and concerned("contract") == [
        *THESIS,
        *BASELINES,
    ]


def recorded(n: int = 600, samples: int = 16) -> SpikeWindows:
    """Windows of two units, a third of them each to train, to validate and to test."""
    return SpikeWindows(
        spikes(n, samples) * 10,
        np.zeros(n, np.int32),
        np.arange(n),
        np.arange(n, dtype=np.int32) % 2,
        np.repeat(list(Split), n // 3).astype(np.uint8),
        20_000.0,
        8,
        "uV",
        {"band_hz": [300.0, 6000.0], "filter_order": 3},
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose notebooks are done, with its parameters."""
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path)
    recorded().save(tmp_path / "run" / "windows.h5")
    asked = {"models": ["bootstrap", "vae"], "seeds": [0, 3], "validations": 1, "vae_steps": 2}
    parameters = {"02_transformer_gan": {"seed": 0}, "03_vae_gan": {"seed": 3, "patch_ms": 0.4}, "benchmark": asked}
    for name, content in prepared(parameters).items():
        path = tmp_path / "run" / "params" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
    return tmp_path / "run"


def test_every_model_has_every_seed_and_a_notebook_s_own_is_not_trained_again(run):
    assert len(benchmark.entries("run")) == 8
    assert benchmark.jobs("run") == [
        ("transformer_gan", 3),
        ("vae_gan", 0),
        *((m, s) for m in ("bootstrap", "vae") for s in (0, 3)),
    ]
    assert benchmark.place("run", "vae_gan", 3) == run / "vae_gan"
    assert benchmark.place("run", "vae_gan", 0) == run / "benchmark" / "vae_gan" / "0"


def test_baselines_can_have_fewer_seeds_than_the_models_of_the_thesis_and_their_plain_forms(run):
    asked = ASKED | {"seeds": [0, 1, 2], "baseline_seeds": [1], "models": ["gmm", "dcgan", "plain_vae_gan"]}
    full = {name: section | {"options": {}} for name, section in NOTEBOOKS.items()}
    (run / "params" / "benchmark.yaml").write_text(yaml.safe_dump(prepared(full | {"benchmark": asked})["benchmark"]))
    models, plain = ([(m, s) for m in group for s in (0, 1, 2)] for group in (THESIS, ["plain_vae_gan"]))
    assert benchmark.entries("run") == [*models, ("gmm", 1), ("dcgan", 1), *plain]
    assert ("transformer_gan", 0) not in benchmark.jobs("run") and ("dcgan", 1) in benchmark.jobs("run")


def test_fits_leave_models_windows_and_costs(run):
    thesis = {
        "steps": 2,
        "validations": 1,
        "batch_size": 8,
        "patch_ms": 0.2,
        "normalisation": "min_max",
        "condition": "unit",
        "seed": 0,
        "name": "run",
        "options": {"width": 16, "depth": 1},
    }
    for model, seed in benchmark.jobs("run"):
        if model != "vae_gan":
            given = (
                thesis
                if model in THESIS
                else yaml.safe_load((run / "params" / f"{benchmark.parameters_of(model)}.yaml").read_text())
            )
            receipt = benchmark.execute("run", model, seed, given)
            assert f"benchmark/{model}/{seed}/synthetic.h5" in receipt["products"]
    for model, seed in (("transformer_gan", 0), ("vae_gan", 0), ("vae_gan", 3)):  # the notebooks', and a job's
        folder = benchmark.place("run", model, seed)
        folder.mkdir(parents=True)
        for file in ("synthetic.h5", "cost.json"):
            (folder / file).write_bytes((run / "benchmark" / "transformer_gan" / "3" / file).read_bytes())
    found, costs = benchmark.synthetic("run"), benchmark.costs("run")
    assert list(found) == [*THESIS, "bootstrap", "vae"] and all(list(by_seed) == [0, 3] for by_seed in found.values())
    for model, by_seed in found.items():
        assert min(len(w.accepted) for w in by_seed.values()) >= 200 and {
            w.amplitude_unit for w in by_seed.values()
        } == {"uV"}
        assert np.array_equal(by_seed[0].windows, by_seed[3].windows) == (model in THESIS)  # where one is copied above
        assert {len(cost) for cost in costs[model].values()} == {6}
    assert set(found["transformer_gan"][3].label) == {0, 1} and set(found["vae"][3].label) == {-1}
    assert (
        costs["transformer_gan"][3]["steps"] == costs["vae"][0]["steps"] == 2
        and costs["vae"][0]["trained"] > costs["vae"][0]["parameters"]
    )
    cost = run / "benchmark" / "vae" / "0" / "cost.json"
    whole = cost.read_text()
    cost.write_text('{"parameters": 1, "windows": 1, "seconds": "many"}')
    with pytest.raises(InputError, match="cost.json is damaged: delete it, and run again what has written it"):
        benchmark.costs("run")
    cost.write_text(whole)
    assert costs["bootstrap"][0]["parameters"] == 200 * 16
    kept = benchmark.model_class("bootstrap").load(benchmark.place("run", "bootstrap", 3)).sample(200, 5)
    real = recorded().of(Split.TRAIN)
    np.testing.assert_allclose(kept * real.std() + real.mean(), found["bootstrap"][3].windows, rtol=1e-3, atol=1e-3)


def test_options_of_a_model_are_the_parameters_that_its_config_has():
    given = {
        "name": "run",
        "seed": 3,
        "steps": 40,
        "validations": 8,
        "patch_ms": 0.4,
        "options": {"heads": 2, "steps": 20},
    }
    model = benchmark.model_class("transformer_gan")
    options = fit_options(model.Config, given, recorded())
    config = model.configure(1, **options)
    assert (config.seed, config.steps, config.heads, config.patch) == (1, 20, 2, recorded().samples_of(0.4))
    assert (config.validate_every, config.checkpoint_every) == (5, 10), "they follow from the steps of the parameters"


def test_z_has_as_many_numbers_for_each_electrode_so_that_the_gaussian_under_a_generator_is_whole():
    one, config = recorded(), benchmark.model_class("transformer_gan").Config
    several = replace(one, footprints=np.stack([one.windows] * 5, axis=1))
    assert sizes(config, one, 0.4) == {"patch": 8} and sizes(config, several, 0.4) == {"patch": 8, "latent": 320}
    assert sizes(benchmark.model_class("flow_matching").Config, several, 0.4) == {"patch": 8}


def test_baselines_that_one_job_fits_are_those_without_a_training():
    untrained = {model for model in BASELINES if not hasattr(benchmark.model_class(model), "Config")}
    assert set(benchmark.UNTRAINED) == untrained


def test_the_graph_has_a_job_for_every_trained_baseline_and_seed(warm_kernels):
    name = "test-benchmark"
    forget(name)
    try:
        for path, section in check(name, resolve("full", [], [])).items():
            write_if_changed(path, yaml.safe_dump(section))
        counts = planned_jobs(name, warm_kernels)
        others = len(BASELINES) - len(benchmark.UNTRAINED) - len(benchmark.PLAIN)
        assert counts["fit"] == others * 3 + len(benchmark.PLAIN) * 5 + len(THESIS) * 4
        assert counts["04_results_comparison"] == 1
        assert counts[benchmark.AT_ONCE] == 1, "they take less time than a job's start"
    finally:
        forget(name)


TINY = {"steps": 2, "batch_size": 8, "width": 16, "depth": 1, "patch": 4}


@pytest.mark.parametrize(
    ("model", "options"),
    [(model, {}) for model in ("gaussian", "pca_gaussian", "gmm", "bootstrap")]
    + [("transformer_gan", TINY), ("vae_gan", TINY | {"vae_steps": 2}), ("flow_matching", TINY)],
)
def test_models_of_footprints_draw_footprints_conditioned_on_depth(model, options, tmp_path):
    electrodes, own = 3, recorded(240, 16)
    fading = np.stack([0.5**i * spikes(240, 16, seed=i) for i in range(electrodes)], axis=1).astype(np.float32) * 10
    windows = replace(own, footprints=fading, noise_mad=np.ones(1, np.float32))
    condition = "depth" if options or model == "gaussian" else ""
    data = training_data(windows, condition=condition)
    assert (data.electrodes, data.trace, data.n_classes) == (electrodes, 16, 5 if condition else 0)
    scale = Standardiser.fit(fading[windows.split == Split.TRAIN])
    np.testing.assert_allclose(data.train, scale.transform(windows.vectors_of(Split.TRAIN)), atol=1e-5)
    fitted = benchmark.model_class(model).fit(data, 0, tmp_path, **options)
    fitted.save(tmp_path)
    again, labels = benchmark.model_class(model).load(tmp_path), [np.arange(9) % 5] if condition else []
    np.testing.assert_array_equal(fitted.sample(9, 1, *labels), again.sample(9, 1, *labels))
    drawn = draw_synthetic(fitted, windows, condition=condition, seed=1)
    assert drawn.footprints.shape[1:] == (electrodes, 16) and drawn.n_samples == 16
    spread = drawn.footprints.std(axis=(0, 2))
    assert spread[0] > 1.5 * spread[1] > 2 * spread[2], "the relative amplitudes of electrodes survive"


def test_a_published_model_of_one_electrode_is_refused_for_several_with_a_remedy_that_works():
    several = NOTEBOOKS | {"01_preprocessing": {"neighbours": 4}}
    with pytest.raises(InputError, match=r"tts_gan.*benchmark\.models=\[gmm, dcgan\]"):
        prepared(several | {"benchmark": ASKED | {"models": ["gmm", "tts_gan", "dcgan"]}})
    assert prepared(several | {"benchmark": ASKED})["benchmark"]["models"] == ["gmm", "dcgan"]


def test_the_condition_of_the_benchmark_is_given_to_baselines_that_take_one():
    asked = ASKED | {"models": ["gaussian", "pca_gaussian", "flow_matching"], "condition": "depth"}
    files = prepared(NOTEBOOKS | {"benchmark": asked})
    given = {name: files[f"benchmark/{name}"].get("condition") for name in asked["models"]}
    assert given == {"gaussian": "depth", "pca_gaussian": None, "flow_matching": "depth"}
