"""Figures of generators that begin as those of other recordings."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from meagan_lib.plots import style
from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.style import COLOURS, LABELS

STARTS = {"scratch": ("#3C3C3C", "D"), "one": ("#E69F00", "s"), "all others": ("#56B4E9", "^")}
"""Colour and marker of what a training begins with: untrained networks, those of another recording, those of all."""


@drawing
def transfer_saving(table: pd.DataFrame, few_steps: int) -> Figure:
    """Draw C2ST AUC against the steps of a training, a panel for each target; below, against its training windows.

    ``table`` of :func:`meagan_lib.experiments.transfer.load`; a line is the mean over seeds, the band goes from the
    lowest to the highest. Hollow markers left of 0 are sources as they stand, a marker for each seed. Below, each
    training has ``few_steps``.
    """
    targets = list(table["data"].unique())
    fig, axes = style.panel_grid(2, len(targets), 4.6, sharey=True)
    bounds = ("reach", "gaussian", "windows of the source")
    for (above, below), target in zip(axes.T, targets):
        own = table[table["data"] == target]
        trained = own[~own["source"].isin(bounds)]
        most = trained["n"].max()
        named = {s: s if s in STARTS else "one" for s in trained["source"].unique()}
        for source, name in named.items():
            its = trained[trained["source"] == source]
            _curve(above, its[its["n"] == most], "steps", name)
            _curve(below, its[(its["n"] > 0) & (its["steps"] == few_steps)], "n", name)
            stands = its.loc[its["n"] == 0, "c2st_auc"]
            colour, marker = STARTS[name]
            place = np.full(len(stands), (-0.06 if name == "one" else -0.12) * trained["steps"].max())
            above.plot(place, stands, marker, color=colour, markerfacecolor="white", markersize=4)
        one = next((source for source, name in named.items() if name == "one"), "")
        style.panel_title(above, target, fontweight="bold", pad=16)
        style.annotate(above, f"■ {one}", (0, 1), (0, 4), color=STARTS["one"][0], fontsize=8)
        reach = own.loc[own["source"] == "reach", "c2st_auc"].mean()
        for axis in (above, below):
            axis.axhline(reach, color=COLOURS["reach"], linestyle="--", linewidth=1, zorder=1.5)
            style.light_grid(axis, "y")
        gaussian = own[own["source"] == "gaussian"].groupby("n")["c2st_auc"].mean()
        above.axhline(gaussian.loc[most], color=COLOURS["gaussian"], linestyle=":", linewidth=1.2, zorder=0)
        below.plot(gaussian.index, gaussian, ":", color=COLOURS["gaussian"], linewidth=1.2, zorder=0)
        above.set_xlabel("steps of training")
        below.set(xscale="log", xmargin=0.15)
        sizes = sorted(set(trained.loc[trained["n"] > 0, "n"]))
        below.set_xticks(sizes, [str(n) for n in sizes])
        below.minorticks_off()
        below.set_xlabel(f"training windows, {few_steps} steps")
    for axis in axes[:, 0]:
        axis.set_ylabel("C2ST AUC  (0.5 is ideal)")
    words = {"scratch": "from scratch", "one": "from one other recording", "all others": "from all others together"}
    handles = [
        Line2D([], [], color=STARTS[name][0], marker=STARTS[name][1], markersize=4, label=label)
        for name, label in words.items()
    ]
    handles += [
        style.dot("hollow: the source as it stands", "0.4", "o", markerfacecolor="white", markersize=4),
        Line2D([], [], color=COLOURS["reach"], linestyle="--", linewidth=1, label=LABELS["reach"]),
        Line2D([], [], color=COLOURS["gaussian"], linestyle=":", linewidth=1.2, label="Gaussian of the same windows"),
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=3)
    return fig


def _curve(axis: Axes, rows: pd.DataFrame, along: str, name: str) -> None:
    """Draw the mean score against a column, and a band from the lowest to the highest seed."""
    by = rows.groupby(along)["c2st_auc"]
    colour, marker = STARTS[name]
    axis.fill_between(by.mean().index, by.min(), by.max(), color=colour, alpha=0.2, linewidth=0)
    axis.plot(by.mean().index, by.mean(), color=colour, marker=marker, markersize=3.5)
