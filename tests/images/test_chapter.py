"""Notebook 7, from photographs to conclusions, at a size that takes seconds."""

import json

import numpy as np
import pytest

from meagan_lib.images.geometry import placed
from meagan_lib.workflow import figures
from meagan_lib.workflow.execution import RESULTS
from tests.cheaper import start_kernels_cheaper
from tests.fixtures import forget, meagan

RUN = "test-images"
pytestmark = pytest.mark.usefixtures("warm_kernels")
SMALL = {
    "classes": "[spot]",
    "pieces": 2,
    "size": 32,
    "gan_steps": 2,
    "decoder_steps": 2,
    "network_steps": 4,
    "n_drawn": 40,
    "n_bootstrap": 4,
    "segmentation_table": "none.csv",
}


@pytest.fixture
def run(plates, tmp_path, monkeypatch, warm_kernels):
    start_kernels_cheaper(tmp_path / "ipython", drawings=True)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    given = [part for name, value in SMALL.items() for part in ("--set", f"07_images_and_masks.{name}={value}")]
    given += ["--set", f"07_images_and_masks.photographs={plates}"]
    yield meagan("run", "images", "--name", RUN, *given, python=warm_kernels)
    forget(RUN)


def test_the_chapter_of_images_takes_photographs_of_ones_own(run):
    assert run.returncode == 0, run.stdout + run.stderr
    wanted = {id for id, e in figures.registry().items() if e.notebook == "07_images_and_masks" and not e.needs}
    assert set(figures.manifest(RUN)) == wanted
    found = json.loads((RESULTS / RUN / "images.json").read_text())
    assert list(found["scores"]) == ["alone", "classical", "copy_paste", "decoder", "painter"]
    assert "fidelity" not in found  # of eight held-out crops nothing can be said, and the chapter goes on


def test_a_mask_is_turned_to_the_right_made_larger_and_moved():
    mask = np.zeros((21, 21), np.float32)
    mask[5:16, 10] = 1  # upright, middle (10, 10)
    turned = placed(mask, 90)
    assert turned[10, 5:16].all() and turned.sum() == 11
    mask[5, 10:13] = 1  # a hook at the top, to the right
    hooked = placed(mask, 90)
    assert np.argwhere(hooked)[:, 1].max() - np.argwhere(hooked)[:, 1].min() == 10
    np.testing.assert_array_equal(placed(mask, right=3, down=-2), np.roll(mask, (-2, 3), (0, 1)))
    square = np.pad(np.ones((5, 5), np.float32), 8)
    assert placed(square, size=2).sum() == pytest.approx(4 * 25, rel=0.25)
