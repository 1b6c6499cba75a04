"""Figures of annotated synthesis: what is found of spikes that are known."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from meagan_lib.plots import style


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
