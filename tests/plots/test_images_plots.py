"""Figures of annotated images show what they are given."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy.stats import ttest_1samp

from meagan_lib import plots
from meagan_lib.plots.images import ARMS, mean_interval, outline
from tests.plots.test_plots import draw, texts

pytestmark = pytest.mark.filterwarnings("error")
RNG = np.random.default_rng(0)
MASK = np.zeros((32, 32))
MASK[8:12, 9:20] = 1


def test_photographs_are_drawn_at_one_scale_as_many_as_there_is_room_for():
    groups = {"spot": [(RNG.random((40, 100 + i)), np.zeros((40, 100 + i), bool)) for i in range(9)]}
    groups["free"] = [(RNG.random((30, 500)), np.ones((30, 500), bool))]
    fig = plots.photographs(groups, width=400)
    draw(fig)
    assert [len(axis.images) for axis in fig.axes] == [3, 1]
    assert len({axis.get_xlim() for axis in fig.axes}) == 1 and "100 pixels" in texts(fig)
    assert fig.axes[0].images[1].get_extent() == [116, 217, 40, 0]


def test_the_outline_of_a_mask_lies_around_its_pixels():
    axis = Figure().subplots()
    outline(axis, RNG.random((32, 32)), MASK)
    outline(axis, RNG.random((32, 32)), 0 * MASK)
    (contour,) = axis.collections
    (x0, y0), (x1, y1) = contour.get_datalim(axis.transData).get_points()
    np.testing.assert_allclose([x0, y0, x1, y1], [9, 8, 20, 12])


def test_intervals_over_seeds_are_those_of_students_t():
    scores = np.array([0.3, 0.35, 0.2, 0.4, np.nan, 0.31])
    known = scores[np.isfinite(scores)]
    wanted = ttest_1samp(known, 0).confidence_interval()
    assert mean_interval(scores) == pytest.approx((known.mean(), *wanted))
    assert np.isnan(mean_interval(scores[:1])[1:]).all()


def table(arms, sizes, seeds=3):
    rows = [
        {"class": kind, "arm": arm, "n": n, "seed": seed, "dice": 0.1 * i + 0.01 * n + 0.02 * seed}
        for kind, its in sizes.items()
        for n in its
        for i, arm in enumerate(arms)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("seeds", [1, 3])
def test_gains_are_over_the_annotated_images_of_the_same_seed(seeds):
    sizes = {"spot": (2, 5, 9), "scratch": (2, 4)}
    fig = plots.gain_by_annotation(table(list(ARMS), sizes, seeds), {("spot", 2, "painter"): "helps"})
    draw(fig)
    below = fig.axes[2]
    lines = [line for line in below.lines if len(line.get_xdata()) == 3]
    np.testing.assert_allclose([line.get_ydata() for line in lines], [[0.1 * i] * 3 for i in range(1, 5)])
    faces = [line.get_markerfacecolor() for line in below.lines if line.get_color() == ARMS["painter"].colour]
    assert faces[1:] == [ARMS["painter"].colour, "white", "white"]
    assert [label.get_text() for label in fig.axes[3].get_xticklabels()] == ["2", "4"]
    assert "+ encoder–decoder GAN" in texts(fig)


def test_precision_and_recall_have_a_line_for_each_arm():
    recall = np.linspace(0, 1, 9)
    fig = plots.precision_recall({"spot": {arm: (recall, 1 - 0.1 * i - 0 * recall) for i, arm in enumerate(ARMS)}})
    draw(fig)
    named = [line for line in fig.axes[0].lines if not line.get_label().startswith("_")]
    assert [line.get_ydata()[0] for line in named] == pytest.approx([1, 0.9, 0.8, 0.7, 0.6])


def test_what_is_found_is_outlined_beside_the_mask():
    images, masks = RNG.random((2, 32, 32)), np.stack([MASK, MASK])
    fig = plots.found(images, masks, {"alone": 0.4 * masks, "painter": np.roll(masks, 3, axis=1)})
    draw(fig)
    assert [len(axis.collections) for axis in fig.axes] == [1, 1, 2, 2]
