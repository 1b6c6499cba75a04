"""Figures of spike detectors: what they find at equal false positives, by depth."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from meagan_lib.plots import style
from meagan_lib.plots.annotated import PAINTERS
from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.style import BLANK, COLOURS, SERIES
from meagan_lib.sources import Source

DETECTORS = {"threshold": Source("threshold", COLOURS["real"], "D")} | PAINTERS
"""The threshold, and what the training spikes of a detector were painted by: name, colour and marker."""


@drawing
def recall_curves(
    rates: np.ndarray,
    curves: Mapping[str, Mapping[str, np.ndarray]],
    known: Mapping[str, int],
    f1: Mapping[str, np.ndarray],
) -> Figure:
    """Draw recall (rates,) against false positives per second and electrode, a panel for each depth of true spikes.

    The last panel has F1, of all depths together.

    Parameters
    ----------
    rates
        False positives (rates,), above 0.
    curves
        Detector, a key of :data:`DETECTORS` → depth → recall (rates,).
    known
        Depth → number of true spikes.
    f1
        Detector → F1 (rates,).
    """
    fig, (axes,) = style.panel_grid(1, len(known) + 1, 2.2, sharey=True)
    for axis, (depth, n) in zip(axes, known.items()):
        for name, by_depth in curves.items():
            its = DETECTORS[name]
            axis.plot(rates, by_depth[depth], color=its.colour, label=its.label)
        style.panel_title(axis, f"{depth}  (n = {n})")
    for name, its in f1.items():
        axes[-1].plot(rates, its, color=DETECTORS[name].colour, linestyle="--")
    style.panel_title(axes[-1], "F1, all depths", fontweight="bold")
    for axis in axes:
        axis.set(xscale="log", xlim=(0.7 * rates.min(), rates.max() / 0.7), ylim=(-0.02, 1.02))
        style.light_grid(axis, "y")
    axes[0].set_ylabel("recall,\nby depth in noise levels")
    axes[-1].set_ylabel("F1")
    fig.supxlabel("false positives per second and electrode")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=len(curves))
    return fig


@drawing
def recall_by_depth(table: pd.DataFrame) -> Figure:
    """Draw recall by depth for each painter: a row of panels for each recording, one for each number of cut spikes.

    Parameters
    ----------
    table
        Rows of one rate of false positives, as :func:`meagan_lib.experiments.annotation.load` reads them; those of the
        ``threshold``, with its 95 % interval, are in every panel.
    """
    learned = table[table["painter"] != "threshold"]
    recordings, painters = list(table["data"].unique()), [name for name in DETECTORS if name in set(learned["painter"])]
    sizes = {recording: sorted(learned.loc[learned["data"] == recording, "n_cut"].unique()) for recording in recordings}
    columns = max(map(len, sizes.values()))
    fig, axes = style.panel_grid(len(recordings), columns, 1.9 * len(recordings) + 0.5, sharex=True, sharey=True)
    depths = list(table["depth"].unique())
    for row, recording in zip(axes, recordings):
        its = table[table["data"] == recording]
        alone = its[its["painter"] == "threshold"].set_index("depth").reindex(depths)
        for axis, n in zip(row, sizes[recording]):
            at = np.arange(len(depths))
            error = np.stack([alone["recall"] - alone["low"], alone["high"] - alone["recall"]]).clip(0)
            options = dict(color=COLOURS["real"], linewidth=1.0, elinewidth=0.8, marker="D", markersize=3)
            axis.errorbar(at, alone["recall"], error, label=DETECTORS["threshold"].label, **options)
            for shift, painter in zip(np.linspace(-0.34, 0.34, len(painters)), painters):
                own, look = its[(its["painter"] == painter) & (its["n_cut"] == n)], DETECTORS[painter]
                place = own["depth"].map({depth: i for i, depth in enumerate(depths)}) + shift
                dots = dict(marker=look.marker, markersize=4, linestyle="", markeredgewidth=0, alpha=0.8)
                axis.plot(place, own["recall"], color=look.colour, label=look.label, **dots)
            style.panel_title(axis, f"{recording}, {n} cut spikes")
            style.light_grid(axis, "y")
            axis.set(xticks=at, xticklabels=depths, ylim=(-0.02, 1.04))
        for axis in row[len(sizes[recording]) :]:
            axis.set_visible(False)
    fig.supxlabel("depth of true spikes (noise levels)")
    fig.supylabel("recall")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=min(1 + len(painters), 5))
    return fig


@drawing
def agreement(depths: Mapping[str, np.ndarray], threshold: float, scores: pd.DataFrame | None = None) -> Figure:
    """Draw how deep the spikes are that threshold and detector found, both or either alone; and what is true of it.

    Parameters
    ----------
    depths
        Who found them → depths (n,) in noise levels.
    threshold
        Depth in noise levels: the dashed line.
    scores
        Columns ``detector`` (``threshold``, ``learned``), ``depth``, ``recall``, ``low``, ``high``, a row for each
        depth, where the truth is known.
    """
    fig, (axes,) = style.panel_grid(1, 1 if scores is None else 2, 2.6)
    edges = np.arange(0, max(np.quantile(np.concatenate([*depths.values()]), 0.995), threshold + 5) + 0.5, 0.5)
    shown = [its.clip(edges[0], edges[-1] - 1e-6) for its in depths.values()]
    colours = [BLANK, COLOURS["real"], SERIES[0][0]]
    labels = [f"{who} ({len(its):,})" for who, its in depths.items()]
    axes[0].hist(shown, edges, stacked=True, color=colours, label=labels)
    axes[0].axvline(threshold, color="0.3", linestyle="--", linewidth=0.8)
    axes[0].set(xlabel="depth (noise levels; deeper ones in the last bar)", ylabel="spikes", xlim=(edges[0], edges[-1]))
    axes[0].legend(title="found by", title_fontsize=7)
    if scores is not None:
        looks = {"threshold": (*DETECTORS["threshold"][1:], "threshold"), "learned": (*SERIES[0], "detector")}
        names = list(scores["depth"].unique())
        for shift, (who, (colour, marker, label)) in zip((-0.08, 0.08), looks.items()):
            its = scores[scores["detector"] == who].set_index("depth").reindex(names)
            ends = np.stack([its["recall"] - its["low"], its["high"] - its["recall"]]).clip(0)
            options = dict(color=colour, marker=marker, markersize=4, elinewidth=0.8, label=label)
            axes[1].errorbar(np.arange(len(names)) + shift, its["recall"], ends, **options)
        axes[1].set(xticks=range(len(names)), xticklabels=names, ylim=(-0.02, 1.04))
        axes[1].set(xlabel="depth of true spikes of the test time (noise levels)", ylabel="recall")
        axes[1].legend(loc="lower right")
        style.light_grid(axes[1], "y")
    return fig
