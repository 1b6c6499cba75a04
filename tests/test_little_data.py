"""Few windows, or windows of one kind only: what a refusal advises works in every notebook, to the end."""

import re

import nbformat
import numpy as np
import pytest
import yaml
from threadpoolctl import threadpool_limits

from meagan_lib import InputError, workflow
from meagan_lib.evaluation import classifiers, distances, metrics, planted_failures
from meagan_lib.evaluation.metrics import METRICS
from meagan_lib.evaluation.scores import score_models
from meagan_lib.experiments import benchmark
from meagan_lib.models.baselines import MixtureOfGaussians
from meagan_lib.models.contract import TrainingData
from meagan_lib.parameters import resolve
from meagan_lib.windows import features
from meagan_lib.windows.splits import LEAST
from meagan_lib.workflow import execution, sections
from tests.cheaper import cheaper
from tests.fixtures import spikes

SHORT = {
    "02_transformer_gan": {"steps": 4},
    "03_vae_gan": {"steps": 4, "vae_steps": 4},
    "04_results_comparison": {"n_bootstrap": 2},
    "05_organoid_network": {"n_permutations": 3, "cultures": 3, "culture_s": 10.0, "n_resamples": 2},
}


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    """Whether classifiers can be fitted to so few windows does not depend on how many trees and steps they take."""
    for name, its in cheaper(classifiers).items():
        monkeypatch.setattr(classifiers, name, its)


@pytest.fixture
def run_notebooks(tmp_path, monkeypatch):
    """A function from windows, overrides and numbers of notebooks to the figures that these make, at smoke size."""
    monkeypatch.setattr(workflow, "save_figure", lambda fig, id, **_: made.add(id))
    for module in (execution, benchmark):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    made: set[str] = set()

    def run(arrays: dict, *overrides: str, only: str = "12345") -> set[str]:
        np.savez(tmp_path / "few.npz", **{"sampling_rate_hz": 20_000} | arrays)
        given = resolve("smoke", [str(tmp_path / "few.npz")], [*overrides, "benchmark.models=[gaussian]"])
        for file, section in benchmark.prepared(given).items():
            path = tmp_path / "few" / "params" / f"{file}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(section))
        made.clear()
        for notebook in [name for name in given if name[1] in only]:
            if notebook.startswith("04"):
                benchmark.execute("few", "gaussian", 0, {})
            names = {"display": lambda shown: None}
            for cell in nbformat.read(execution.find_notebook(notebook), as_version=4).cells:
                if cell.cell_type == "code":
                    exec("".join(sections.say_instead(cell.source.splitlines(keepends=True))), names)
                    if "parameters" in cell.metadata.get("tags", []):
                        names |= given[notebook] | SHORT.get(notebook, {}) | {"name": "few"}
        return set(made)

    with threadpool_limits(1):
        yield run


FEW = "01_preprocessing.min_train_windows=20"


def test_the_number_of_windows_that_a_refusal_advises_works_to_the_end(run_notebooks):
    few = {"windows": spikes(36, 36, 1), "sampling_rate_hz": 24_414.0625}
    with pytest.raises(InputError, match="needed: add windows, or make do with these") as told:
        run_notebooks(few)
    advice = str(told.value).rpartition("--set ")[2]
    assert advice == "01_preprocessing.min_train_windows=22"
    assert {"scores", "vae_gan_samples", "organoid_synthetic_groups"} <= run_notebooks(few, advice)


def test_a_single_known_cell_leaves_the_probe_out(run_notebooks, capsys):
    assert "vae_gan_samples" in run_notebooks({"windows": spikes(360, 24), "label": np.zeros(360, int)}, FEW, only="13")
    assert (
        "Left out: this needs cells to tell apart (too few windows of two known cells or more"
        in capsys.readouterr().out
    )


def test_a_condition_that_no_test_window_has_is_refused_with_advice_that_works(run_notebooks):
    times = {"windows": spikes(100, 24), "label": np.repeat([0, 1], [65, 35]), "time_s": np.arange(100)}
    with pytest.raises(InputError, match="no unit has windows to train and to test: .*split_cycles") as told:
        run_notebooks(times, FEW, "03_vae_gan.condition=unit", only="13")
    advice = re.search(r"--set (\S+)\)", str(told.value))[1]
    made = run_notebooks(times, FEW, "03_vae_gan.condition=unit", advice, only="13")
    assert {"vae_gan_reconstructions", "vae_gan_interpolation"} <= made


@pytest.mark.parametrize("labels", [None, np.zeros(20, int), np.arange(20)], ids=["none", "one", "as many as windows"])
def test_the_least_windows_give_every_score_whatever_their_labels(labels):
    train, validation, test = np.split(spikes(sum(LEAST), 36, 1), np.cumsum(LEAST)[:-1])
    made = spikes(LEAST[2], 36, 2)
    context = metrics.Context.fit(train, 20_000.0, labels=labels)
    scores = score_models(test, context, {"model": made}, 2000, 2)
    for by in scores.values():
        assert set(by) == set(METRICS)
        assert all(np.isfinite([s["value"], *s["interval"], s["floor"], s["reach"]]).all() for s in by.values())
    if labels is not None:
        return
    assert 0 <= metrics.Validation(validation, context)(made) <= 1
    assert 0 < distances.mmd_permutation_p(test[:5], made[:5]) <= 1
    assert len(planted_failures.planted_failures(test, context, 1000, 2)) == len(planted_failures.FAILURES) + 1
    places = features.neighbour_map({"real": test, "one": made, "other": made}, context.pca, 9)
    assert all(np.isfinite(own).all() for own in places.values())


@pytest.mark.parametrize("rival", [r for r in benchmark.BASELINES if not hasattr(benchmark.model_class(r), "Config")])
def test_every_baseline_without_a_network_fits_the_least_windows(rival, tmp_path):
    data = TrainingData(spikes(LEAST[0], 36, 1), [1.0], None, None, False)
    assert np.isfinite(benchmark.model_class(rival).fit(data, 0, tmp_path).sample(10, 1)).all()


def test_a_mixture_stands_windows_that_vary_along_few_axes():
    narrow = np.pad(spikes(60, 6), ((0, 0), (8, 8)))
    made = MixtureOfGaussians(TrainingData(narrow), most_parts=4).sample(50, 1)
    assert np.isfinite(made).all() and np.abs(made[:, :8]).max() < 1e-3 and made[:, 8:14].std() > 0.5
