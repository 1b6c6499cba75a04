"""A reader of a notebook sees source, bar and curves; every notebook runs twice in one kernel."""

import nbformat
import pytest
import yaml
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from meagan_lib.cli import resolve
from meagan_lib.experiments import benchmark
from meagan_lib.workflow import figures
from meagan_lib.workflow.execution import NOTEBOOKS, RESULTS, find_notebook
from tests.fixtures import forget
from tests.test_little_data import SHORT

RUN = "test-twice"
pytestmark = pytest.mark.usefixtures("warm_kernels")
TRAINER = """
from dataclasses import replace
from pathlib import Path

import numpy as np

from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gan import GAN
from meagan_lib.models.generators import Generator
from meagan_lib.training.losses import LOSSES
from meagan_lib.workflow import live_curves, progress_bar, show

data = TrainingData(np.random.default_rng(0).standard_normal((50, 16)).astype(np.float32))
config = GAN.configure(0, steps=2, latent=4, width=8, depth=1, heads=2, batch_size=4, log_every=1)
"""
TRAIN = """
trainer = GAN.trainer(config, data, Path({folder!r}))
with progress_bar(trainer, "GAN") as bar:
    trainer.train(bar, live_curves("transformer_gan", every_s=0))
"""

CHEAPER = """
import gc
from meagan_lib import plots, workflow
from meagan_lib.evaluation import classifiers
from meagan_lib.workflow.figures import data_sha256
from tests.cheaper import cheaper


def compared(digest, known):
    def save_figure(fig, id, *, data, **_):
        found = digest(data)
        assert known.setdefault(id, found) == found, f"{id} is another the second time"
        return id

    return save_figure


# Drawing and classifiers are tested elsewhere, and take most of the time.
workflow.save_figure = compared(data_sha256, {})
plots.activity_animation = lambda *_, **__: b""
vars(classifiers).update(cheaper(classifiers))
gc.collect = lambda *_: 0
"""
WRITTEN = """
import numpy as np
from pathlib import Path
from meagan_lib import workflow

tables = {{path.name: np.frombuffer(path.read_bytes(), np.uint8) for path in Path({folder!r}).glob("*.json")}}
workflow.save_figure(None, "tables of {name}", data=tables)
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> list[nbformat.NotebookNode]:
    """Executed cells: set up, show, train, train again, train with another number of steps, executed by papermill."""
    train = TRAIN.format(folder=str(tmp_path_factory.mktemp("gan")))
    cells = [
        TRAINER,
        "show(Generator.signal, LOSSES['hinge'].generator)",
        train,
        train,
        "config = replace(config, steps=3)\n" + train,
        f"import os\nos.environ['{figures.STAGING}'] = 'somewhere'\nconfig = replace(config, steps=4)\n" + train,
    ]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(figures.STAGING, raising=False)
        return NotebookClient(notebook, kernel_name="python3").execute().cells


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def bundles(cell: nbformat.NotebookNode, kind: str) -> list:
    return [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]


def test_source_is_shown_highlighted_as_it_runs_with_its_place(seen):
    first, second = bundles(seen[1], "text/markdown")
    assert first.startswith("```python\n# meagan_lib/models/generators.py · Generator.signal\ndef signal(self, z")
    assert first.endswith("\n```") and "\n    return self.head(" in first
    assert "losses.py · wasserstein_generator\ndef wasserstein_generator(real" in second, "the function that runs"


def test_curves_arrive_as_a_picture_and_a_bar_of_steps_as_a_widget(seen):
    (picture,) = bundles(seen[2], "image/png")
    assert picture.startswith("iVBORw0KGgo"), "the base64 of a PNG, drawn again in its place"
    (bar,) = bundles(seen[2], "application/vnd.jupyter.widget-view+json")
    assert "0/2" in bundles(seen[2], "text/plain")[0] or bar["model_id"]
    assert "already" not in printed(seen[2])


def test_a_finished_training_is_loaded_and_says_so_and_another_one_says_what_it_replaces(seen):
    assert "already trained, loaded from" in printed(seen[3]) and not bundles(seen[3], "image/png")
    assert "holds a training with steps 2, now 3" in printed(seen[4]) and "takes its place" in printed(seen[4])
    assert "already" not in printed(seen[4]) and bundles(seen[4], "image/png")


def test_papermill_sees_neither_bar_nor_curves(seen):
    assert not seen[5].outputs


def test_every_notebook_runs_twice_in_one_kernel_and_finds_the_same():
    """A cell that binds the name of a parameter or of an earlier result again stops the second time.

    Of equal windows every figure gets the same data and every table the same bits, scores and network among them.
    """
    forget(RUN)
    given = resolve("smoke", [], ["benchmark.models=[gaussian]", "01_preprocessing.min_train_windows=50"])
    given["01_preprocessing"] |= {"duration_s": 6.0}
    given["06_annotated_synthesis"] |= {"duration_s": 6.0, "painters": ["painting_gan", "template"]}
    given["04_results_comparison"] |= {"n_windows": 40, "n_planted": 30, "n_embedding": 40}
    for file, section in benchmark.prepared(given).items():
        path = RESULTS / RUN / "params" / f"{file}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(section))
    cells = [new_code_cell(CHEAPER)]
    for name in [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb")) if path.stem in given]:
        own = given[name] | SHORT.get(name, {}) | {"name": RUN, "stamp": ""}
        if name.startswith("04"):
            fit = "from meagan_lib.experiments import benchmark\n"
            cells.append(new_code_cell(f"{fit}benchmark.execute({RUN!r}, 'gaussian', 0, {{}})"))
        for _ in range(2):
            for cell in nbformat.read(find_notebook(name), as_version=4).cells:
                if cell.cell_type == "code":
                    cells.append(new_code_cell(cell.source))
                if "parameters" in cell.metadata.get("tags", []):
                    cells.append(new_code_cell("\n".join(f"{key} = {value!r}" for key, value in own.items())))
            cells.append(new_code_cell(WRITTEN.format(folder=str(RESULTS / RUN), name=name)))
        cells.append(new_code_cell("%reset -f"))
    try:
        NotebookClient(new_notebook(cells=cells), kernel_name="python3", timeout=300).execute()
    finally:
        forget(RUN)
