"""Figures of annotated synthesis: how spikes are painted, what they look like, and what is found of them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch

from meagan_lib.plots import style
from meagan_lib.plots.drawing import drawing
from meagan_lib.sources import Source


@drawing
def sorters(units: pd.DataFrame, means: pd.DataFrame, costs: pd.DataFrame, well: float = 0.8) -> Figure:
    """Draw the accuracy of each sorter by depth of the spikes, a dot for each unit, and its time and memory.

    Parameters
    ----------
    units
        Columns sorter, depth (noise levels), accuracy: a row for each sorter and true unit.
    means
        Columns sorter, depth (bins, in order, and ``all``), mean_depth, accuracy and its interval low, high; of
        :func:`meagan_lib.annotated.by_depth`.
    costs
        Columns seconds and ``memory (MB)``; the index is the sorter.
    well
        Accuracy of a unit that is sorted well: the dashed line.
    """
    overall = means[means["depth"] == "all"].set_index("sorter")["accuracy"]
    order = list(overall.sort_values(ascending=False, kind="stable").index)
    columns = min(3, len(order))
    rows = -(-len(order) // columns)
    fig = Figure(figsize=(style.WIDTH, 1.7 * rows + 1.9), layout="constrained")
    upper, lower = fig.subfigures(2, 1, height_ratios=[1.7 * rows, 1.5])
    axes = upper.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axis, sorter in zip(axes.flat, order):
        _accuracy(axis, units[units["sorter"] == sorter], means[means["sorter"] == sorter], well)
        style.panel_title(axis, f"{sorter}: {overall[sorter]:.2f}")
    for i, axis in enumerate(axes.flat[len(order) :], len(order)):
        axis.set_visible(False)
        axes.flat[i - columns].tick_params("x", labelbottom=True)
    upper.supxlabel("depth of the unit's mean spike (noise levels)")
    upper.supylabel("accuracy")
    handles = [
        style.dot("a unit", style.SERIES[0][0], markersize=3, alpha=0.6),
        style.dot("mean of a bin of depth, 95 %", style.COLOURS["real"], "D", markersize=4),
        Line2D([], [], color="0.6", linewidth=0.8, linestyle="--", label="sorted well"),
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=3)
    for axis, column in zip(lower.subplots(1, 2, sharey=True), ("seconds", "memory (MB)")):
        values = costs.loc[order, column].to_numpy(float)
        axis.barh(range(len(order)), values, color=style.BLANK, height=0.7)
        for y, value in enumerate(values):
            style.annotate(axis, f"{value:.0f}", (value, y), (3, 0), "data", va="center", fontsize=7)
        axis.set_xlim(0, 1.15 * values.max())
        axis.set_xlabel(column)
        style.set_rows(axis, order)
    return fig


def _accuracy(axis: Axes, units: pd.DataFrame, means: pd.DataFrame, well: float) -> None:
    """Draw the units of a sorter as dots, and the mean of each bin of depth with its interval as diamonds."""
    colour, real = style.SERIES[0][0], style.COLOURS["real"]
    axis.axhline(well, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
    axis.plot(units["depth"], units["accuracy"], "o", color=colour, markersize=3, alpha=0.6, markeredgewidth=0)
    binned = means[means["depth"] != "all"]
    axis.vlines(binned["mean_depth"], binned["low"], binned["high"], color=real, linewidth=1.4)
    axis.plot(binned["mean_depth"], binned["accuracy"], "D-", color=real, markersize=4)
    axis.set_ylim(-0.05, 1.05)
    style.light_grid(axis, "y")


PAINTERS = {
    "painting_gan": Source("painting GAN", "#882255", "X"),
    "gaussian_spikes": Source("Gaussian spikes", *style.SERIES[0]),
    "copy_paste": Source("copy-paste", *style.SERIES[2]),
    "template": Source("template × amplitude", *style.SERIES[1]),
} | {name: style.SOURCES[name] for name in ("transformer_gan", "vae_gan", "flow_matching", "gaussian")}
"""What paints spikes: name, colour and marker."""


@drawing
def architectures(electrodes: int, samples: int) -> Figure:
    """Draw the two ways to paint: from z alone to trace and mask, and from a background to the same with a spike."""
    fig, axes = style.panel_grid(2, 1, 2.9)
    shape = f"{electrodes} × {samples}"
    ways = {
        "decoder-only": [("z, kind", "64"), ("decoder", ""), (f"trace\n{shape}", ""), (f"mask\n{shape}", "")],
        "encoder–decoder": [
            (f"background\n{shape}", ""),
            ("encoder", ""),
            ("+ z, kind", "64"),
            ("decoder", ""),
            (f"spike\n{shape}", ""),
        ],
    }
    last = {"decoder-only": "background or\ntrace, as the\nmask says", "encoder–decoder": "background\n+ spike"}
    for axis, (way, boxes) in zip(axes.flat, ways.items()):
        labels = [label for label, _ in boxes] + [last[way]]
        for i, label in enumerate(labels):
            learned = label in ("decoder", "encoder")
            colour = PAINTERS["painting_gan"].colour if learned else "0.95"
            box = FancyBboxPatch((1.5 * i, 0), 1.1, 1, boxstyle="round,pad=0.05", facecolor=colour, edgecolor="0.4")
            axis.add_patch(box)
            axis.text(1.5 * i + 0.55, 0.5, label, ha="center", va="center", fontsize=7, color="w" if learned else "k")
            if i:
                axis.text(1.5 * i - 0.2, 0.5, "→", ha="center", va="center")
        if way == "encoder–decoder":
            across = {"arrowstyle": "->", "connectionstyle": "arc3,rad=-0.1", "color": "0.5"}
            axis.annotate("", (1.5 * (len(labels) - 1) + 0.5, 1.08), (0.5, 1.08), arrowprops=across)
        style.panel_title(axis, way, fontweight="bold")
        axis.set(xlim=(-0.2, 8.9), ylim=(-0.15, 1.6))
        axis.axis("off")
    return fig


@drawing
def kinds_of_spikes(
    time_ms: np.ndarray, means: np.ndarray, counts: np.ndarray, unit: str, names: Sequence[str]
) -> Figure:
    """Draw the mean spike of each kind, means (kinds, electrodes, samples), the more common (counts) the darker."""
    fig, (axes,) = style.panel_grid(1, len(names), 2.0, sharey=True)
    for i, (axis, name) in enumerate(zip(axes, names)):
        for mean, count in sorted(zip(means[:, i], counts), key=lambda pair: pair[1]):
            axis.plot(time_ms, mean, color=style.SERIES[0][0], alpha=0.25 + 0.75 * count / counts.max())
        style.panel_title(axis, name)
        style.set_ticks(axis, 3, 5)
    style.label_time_and_voltage(fig, unit)
    return fig


@drawing
def footprints(
    time_ms: np.ndarray,
    groups: Mapping[str, np.ndarray],
    unit: str,
    names: Sequence[str],
    means: Mapping[str, np.ndarray] | None = None,
    shown: int = 40,
) -> Figure:
    """Draw footprints (·, electrodes, samples) of each group, a row each, and their mean: a panel for each electrode.

    ``groups`` are keys of :data:`PAINTERS`, or ``real``; ``names`` (electrodes,) are the titles. ``means`` (electrodes,
    samples) are those of more than are drawn.
    """
    means = means or {group: its.mean(axis=0) for group, its in groups.items()}
    fig, axes = style.panel_grid(len(groups), len(names), 1.15 * len(groups) + 0.7, sharex=True, sharey=True)
    for row, (group, its) in zip(axes, groups.items()):
        look = style.SOURCES["real"] if group == "real" else PAINTERS[group]
        for i, axis in enumerate(row):
            axis.plot(time_ms, its[:shown, i].T, color=look.colour, linewidth=0.4, alpha=0.3)
            axis.plot(time_ms, means[group][i], color="k", linewidth=1.2)
            style.set_ticks(axis, 3, 4)
        row[0].set_ylabel(look.label, fontsize=7, color=look.colour, weight="bold")
    for axis, name in zip(axes[0], names):
        style.panel_title(axis, name)
    style.label_time_and_voltage(fig, unit)
    return fig


@drawing
def told_apart(scores: pd.DataFrame, floor: str) -> Figure:
    """Draw how well two classifiers tell painted from real spikes, with 95 % intervals; the ``floor`` is shaded.

    ``scores``: columns painter, classifier, auc, low, high, of :func:`meagan_lib.annotated.judge`.
    """
    classifiers = list(scores["classifier"].unique())
    painters = [name for name in scores["painter"].unique() if name != floor]
    fig, (axes,) = style.panel_grid(1, len(classifiers), 0.32 * len(painters) + 1.1, sharey=True, sharex=True)
    for axis, classifier in zip(axes, classifiers):
        its = scores[scores["classifier"] == classifier].set_index("painter")
        axis.axvspan(its["low"][floor], its["high"][floor], color=style.BLANK, linewidth=0)
        axis.axvline(0.5, color="0.6", linewidth=0.8, linestyle="--")
        for i, name in enumerate(painters):
            look, one = PAINTERS[name], its.loc[name]
            axis.plot([one["low"], one["high"]], [i, i], color=look.colour, linewidth=1.6)
            axis.plot(one["auc"], i, marker=look.marker, color=look.colour, markersize=5)
        style.panel_title(axis, classifier)
        style.light_grid(axis, "x")
    style.set_rows(axes[0], [PAINTERS[name].label for name in painters])
    for axis in axes[1:]:
        style.set_rows(axis)
    fig.supxlabel("area under the ROC curve, real against painted (0.5: cannot be told apart; grey: real against real)")
    return fig
