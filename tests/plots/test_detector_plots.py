"""Figures of detectors show what they are given."""

import numpy as np
import pandas as pd
import pytest

from meagan_lib import plots
from tests.plots.test_plots import draw, texts

pytestmark = pytest.mark.filterwarnings("error")


def test_recall_curves_have_a_line_for_each_detector_in_each_depth():
    rates = np.geomspace(0.05, 10, 7)
    curves = {name: {"3–4": np.linspace(0, 1, 7), "> 8": np.ones(7)} for name in ("threshold", "copy_paste")}
    f1 = {"threshold": np.full(7, 0.4), "copy_paste": np.full(7, 0.6)}
    fig = plots.recall_curves(rates, curves, {"3–4": 12, "> 8": 1}, f1)
    draw(fig)
    assert [len(axis.lines) for axis in fig.axes] == [2, 2, 2]
    np.testing.assert_array_equal(fig.axes[2].lines[1].get_ydata(), f1["copy_paste"])
    assert "3–4  (n = 12)" in texts(fig) and "copy-paste" in texts(fig)
    np.testing.assert_array_equal(fig.axes[0].lines[1].get_ydata(), curves["copy_paste"]["3–4"])


def test_a_depth_without_true_spikes_leaves_its_panel_empty():
    rates = np.geomspace(0.05, 10, 7)
    none = {"threshold": {"3–4": np.full(7, np.nan)}}
    fig = plots.recall_curves(rates, none, {"3–4": 0}, {"threshold": np.full(7, np.nan)})
    draw(fig)
    assert "3–4  (n = 0)" in texts(fig)


def test_recall_by_depth_has_a_panel_for_each_recording_and_number_and_a_dot_for_each_seed():
    about = {"low": 0.1, "high": 0.9, "depth": "3–4"}
    rows = [{"data": "a", "painter": "threshold", "n_cut": 0, "seed": 0, "recall": 0.5} | about]
    sizes = {"a": (20, 90), "b": (20,)}
    for data, its in sizes.items():  # b has no threshold, and a depth of its own
        rows += [
            {"data": data, "painter": "template", "n_cut": n, "seed": seed, "recall": 0.6 + 0.1 * seed} | about
            for n in its
            for seed in range(3)
        ]
    fig = plots.recall_by_depth(pd.DataFrame([*rows, rows[-1] | {"depth": "> 8"}]))
    draw(fig)
    assert [axis.get_visible() for axis in fig.axes] == [True, True, True, False]
    dots = [line for line in fig.axes[0].lines if line.get_label() == "template × amplitude"]
    assert len(dots) == 1 and dots[0].get_ydata() == pytest.approx([0.6, 0.7, 0.8])
    assert "a, 90 cut spikes" in texts(fig)


def test_agreement_has_a_bar_for_each_spike_and_recall_where_the_truth_is_known():
    depths = {"both": np.array([6.0, 7.0, 40.0]), "threshold alone": np.zeros(0), "detector alone": np.array([3.2])}
    fig = plots.agreement(depths, 5.0)
    draw(fig)
    assert len(fig.axes) == 1 and sum(bar.get_height() for bars in fig.axes[0].containers[:1] for bar in bars) == 3
    assert {"both (3)", "threshold alone (0)", "detector alone (1)"} <= {
        text.get_text() for text in fig.axes[0].get_legend().get_texts()
    }
    row = {"depth": "3–4", "recall": 0.5, "low": 0.4, "high": 0.6}
    fig = plots.agreement(depths, 5.0, pd.DataFrame([row | {"detector": who} for who in ("threshold", "learned")]))
    draw(fig)
    assert len(fig.axes[1].containers) == 2
