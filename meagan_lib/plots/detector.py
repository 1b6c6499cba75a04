"""Figures of spike detectors: what they find at equal false positives, by depth, and what a threshold misses."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from meagan_lib.plots import style
from meagan_lib.plots.style import COLOURS, DROPPED, SERIES, SOURCES, Source

DETECTORS = {
    "threshold": Source("threshold", COLOURS["real"], "D"),
    "template": Source("template × amplitude", *SERIES[1]),
    "copy_paste": Source("copy-paste", *SERIES[2]),
    "gaussian_spikes": Source("Gaussian spikes", *SERIES[0]),
    "painting_gan": Source("painting GAN", "#0072B2", "o"),
} | {name: SOURCES[name] for name in ("transformer_gan", "vae_gan", "flow_matching", "gaussian")}
"""The threshold, and what the training spikes of a detector were painted by: name, colour and marker."""


def recall_curves(
    rates: np.ndarray, curves: Mapping[str, Mapping[str, np.ndarray]], known: Mapping[str, int]
) -> Figure:
    """Draw recall (rates,) against false positives per second and electrode, a panel for each depth of true spikes.

    Parameters
    ----------
    rates
        False positives (rates,), above 0.
    curves
        Detector, a key of :data:`DETECTORS` → depth → recall (rates,).
    known
        Depth → number of true spikes.
    """
    fig, (axes,) = style.panel_grid(1, len(known), 2.2, sharey=True)
    for axis, (depth, n) in zip(axes, known.items()):
        for name, by_depth in curves.items():
            its = DETECTORS[name]
            axis.plot(rates, by_depth[depth], color=its.colour, label=its.label)
        axis.set(xscale="log", ylim=(-0.02, 1.02))
        style.panel_title(axis, f"{depth}  (n = {n})")
        style.light_grid(axis, "y")
    axes[0].set_ylabel("recall, by depth in noise levels")
    fig.supxlabel("false positives per second and electrode")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=len(curves))
    return fig


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
            for shift, painter in zip(np.linspace(-0.24, 0.24, len(painters)), painters):
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
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=1 + len(painters))
    return fig


def missed(time_ms: np.ndarray, footprints: np.ndarray, names: Sequence[str], threshold: float) -> Figure:
    """Draw spikes (n, electrodes, samples) in noise levels that a threshold missed, and their mean: a panel each.

    ``names`` (electrodes,) are the titles; the dashed line is the ``threshold``, a depth, on the first electrode.
    """
    fig, (axes,) = style.panel_grid(1, footprints.shape[1], 2.2, sharey=True)
    for i, (axis, name) in enumerate(zip(axes, names)):
        if len(footprints):
            axis.plot(time_ms, footprints[:60, i].T, color=COLOURS["real"], linewidth=0.4, alpha=0.25)
            axis.plot(time_ms, footprints[:, i].mean(axis=0), color=DROPPED, linewidth=1.6)
        style.panel_title(axis, name)
        style.set_ticks(axis, 3)
    axes[0].axhline(-threshold, color=COLOURS["reach"], linestyle="--", label=f"threshold {threshold:.2f}")
    axes[0].legend(loc="lower left")
    axes[0].set_ylabel(f"voltage (noise levels), n = {len(footprints)}")
    fig.supxlabel("time from trough (ms)")
    return fig
