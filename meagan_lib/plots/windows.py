"""Figures of spike windows: how they were cut, and what they look like."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from meagan_lib.plots import style
from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.style import COLOURS, DROPPED, LABELS, SERIES, Arrays


@drawing
def intervals_isolation(intervals_ms: np.ndarray, guard_ms: float, counts: Mapping[str, int]) -> Figure:
    """Draw a histogram of the intervals (n,) between peaks of a channel, and a bar for what became of the peaks."""
    fig, (axes,) = style.panel_grid(1, 2, 2.6, width_ratios=[1.5, 1])
    low = max(intervals_ms.min() if len(intervals_ms) else guard_ms, 1e-2)
    high = max(intervals_ms.max(initial=0), 2 * low)
    axes[0].hist(intervals_ms, np.geomspace(low, high, 60), color=COLOURS["real"])
    axes[0].axvline(guard_ms, color=DROPPED, linestyle="--", label=f"guard {guard_ms:g} ms")
    axes[0].set(xscale="log", xlabel="interval between peaks of an electrode (ms)", ylabel="number of intervals")
    axes[0].legend(loc="upper right")
    names, values = list(counts), np.array(list(counts.values()))
    bars = axes[1].barh(names, values, color=[COLOURS["reach"] if n == "kept" else DROPPED for n in names])
    axes[1].bar_label(bars, [f" {v}  ({100 * v / max(values.sum(), 1):.1f} %)" for v in values], fontsize=7)
    axes[1].invert_yaxis()
    axes[1].set(xlabel="detected peaks", xlim=(0, 1.45 * max(values.max(), 1)))
    style.set_ticks(axes[1], 3, integer=True)
    return fig


@drawing
def windows_by_channel(time_ms: np.ndarray, by_channel: Arrays, unit: str) -> Figure:
    """Draw windows (n, samples) of some channels, one panel each, and their mean; all panels share their axes."""
    columns = min(4, len(by_channel))
    rows = -(-len(by_channel) // columns)
    fig, axes = style.panel_grid(rows, columns, 1.7 * rows + 0.3, sharex=True, sharey=True)
    for axis, (channel, windows) in zip(axes.flat, by_channel.items()):
        axis.plot(time_ms, windows.T, color=COLOURS["real"], linewidth=0.4, alpha=0.25)
        axis.plot(time_ms, windows.mean(axis=0), color=DROPPED, linewidth=1.6)
        axis.set_title(channel, fontweight="normal")
    for axis in axes.flat[len(by_channel) :]:
        axis.set_visible(False)
    style.label_time_and_voltage(fig, unit)
    return fig


@drawing
def contamination(curves: Mapping[str, Arrays], default: tuple[str, float] | None) -> Figure:
    """Show what isolation costs and buys: contaminated windows against windows kept, a curve for each rule.

    ``curves``: rule → arrays (guards,): ``guard_ms``; ``kept``, the fraction of peaks that became windows;
    ``contaminated``, the fraction of windows that hold a second spike; ``low`` and ``high``, the ends of its 95 %
    interval. ``default``: rule and guard in ms that are marked; None where they are on no curve.
    """
    fig, ((axis,),) = style.panel_grid(1, 1, 3.0)
    lowest = min(curves, key=lambda rule: np.mean(curves[rule]["contaminated"]))
    for (rule, curve), (colour, marker) in zip(curves.items(), SERIES):
        x, y = 100 * np.asarray(curve["kept"]), 100 * np.asarray(curve["contaminated"])
        error = np.abs(100 * np.stack([curve["low"], curve["high"]]) - y)
        line = dict(color=colour, marker=marker, markersize=4.5, linewidth=1.2, elinewidth=0.8)
        axis.errorbar(x, y, error, label=rule, **line)
        place = dict(offset=(7, -10), ha="left") if rule == lowest else dict(offset=(-7, 5), ha="right")
        there: dict[tuple[float, float], list[str]] = {}
        for guard, *point in zip(curve["guard_ms"], np.round(x, 1), np.round(y, 1)):
            there.setdefault(tuple(point), []).append(f"{guard:g}")
        for point, guards in there.items():
            style.annotate(axis, ", ".join(guards), point, coordinates="data", color=colour, fontsize=7, **place)
        if default and rule == default[0] and (at := np.isclose(curve["guard_ms"], default[1])).any():
            ring = dict(markersize=11, markerfacecolor="none", markeredgecolor=COLOURS["real"], linestyle="none")
            axis.plot(x[at], y[at], "o", label="default", **ring)
    axis.set(xlabel="peaks kept as windows (%)", xmargin=0.06)
    axis.set(ylabel="windows with a second spike (%)", ylim=(0, None), ymargin=0.12)
    title = dict(title="isolation rule;\nnumbers: guard (ms)", title_fontsize=7, alignment="left")
    axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1), **title)
    return fig


@drawing
def window_density(time_ms: np.ndarray, groups: Arrays, unit: str) -> Figure:
    """Show how often windows (n, samples) pass through a voltage at a time (samples,): a panel for each of ``groups``.

    The colour is the fraction of a group's windows in one of 60 bins of voltage, on one logarithmic scale for all
    panels; the voltage axis leaves out the extremes of one window in a thousand, on either side.
    """
    fig, axes = style.source_panels(len(groups), unit)
    pooled = np.concatenate(list(groups.values()))
    low, high = -1.0, 1.0
    if len(pooled):
        low, high = np.quantile(pooled.min(axis=1), 0.001), np.quantile(pooled.max(axis=1), 0.999)
    edges = np.linspace(low, max(high, low + 1e-6), 61)
    step = np.diff(time_ms).mean() if len(time_ms) > 1 else 1.0
    time_edges = np.r_[time_ms - step / 2, time_ms[-1] + step / 2]
    most = max((len(w) for w in groups.values()), default=0)
    norm = mpl.colors.LogNorm(100 / max(most, 10), 100 if most < 20 else 40)
    for axis, (name, windows) in zip(axes, groups.items()):
        counts = np.stack([np.histogram(column, edges)[0] for column in windows.T], axis=1)
        percent = np.ma.masked_equal(100 * counts / max(len(windows), 1), 0)
        mesh = axis.pcolormesh(time_edges, edges, percent, norm=norm, cmap="viridis", rasterized=True)
        style.panel_title(axis, f"{name}  (n = {len(windows)})")
    fig.colorbar(mesh, ax=list(axes), label="windows in a bin (%)", shrink=0.9, aspect=30, pad=0.015, format="{x:g}")
    return fig


@drawing
def mean_sd(time_ms: np.ndarray, sources: Mapping[str, Arrays], unit: str) -> Figure:
    """Draw mean ± standard deviation of the windows (n, samples) by source and group, a panel for each group.

    The windows of a model lie over the ``real`` ones; n is of these.
    """
    real = sources["real"]
    fig, axes = style.source_panels(len(real), unit, ", mean ± SD")
    for axis, (name, own) in zip(axes, real.items()):
        axis.axhline(0, color="0.85", linewidth=0.8, zorder=0)
        for source, by_group in sources.items():
            windows = by_group[name]
            if len(windows):
                mean, sd = windows.mean(axis=0), windows.std(axis=0)
                axis.fill_between(time_ms, mean - sd, mean + sd, color=COLOURS[source], alpha=0.22, linewidth=0)
                axis.plot(time_ms, mean, color=COLOURS[source], linewidth=1.4, label=LABELS[source])
        style.panel_title(axis, f"{name}  (n = {len(own)})")
    if len(sources) > 1:
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return fig
