"""Draw the figures of lesson c10 · Conditioning and convolution: arrays in, a figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.lessons import ARROW, DATA, DISCRIMINATOR, GENERATED, OTHER, SMALL, lesson_figure, one_legend
from meagan_lib.plots.style import UNIT_COLOURS, light_grid, panel_title, set_ticks

KINDS = (DISCRIMINATOR, OTHER, GENERATED)
"""Colours of three ways to make a signal longer."""


@drawing
def units(time_ms: np.ndarray, spikes: Mapping[str, np.ndarray], unit: str) -> Figure:
    """Draw spikes (n, samples) of each unit, by title, and their mean."""
    fig = lesson_figure(1.9)
    for axis, colour, (title, its) in zip(fig.subplots(1, len(spikes), sharey=True), UNIT_COLOURS, spikes.items()):
        axis.plot(time_ms, its[:12].T, color=colour, linewidth=0.5, alpha=0.5)
        axis.plot(time_ms, its.mean(0), color=colour, linewidth=1.8)
        panel_title(axis, title)
    fig.supxlabel("time from trough (ms)")
    fig.supylabel(unit)
    return fig


@drawing
def generated(
    time_ms: np.ndarray, windows: Mapping[str, Sequence[np.ndarray]], titles: Sequence[str], means: np.ndarray
) -> Figure:
    """Draw windows (n, samples) generated for each unit, a row for each way, over the unit's mean (units, samples).

    ``titles`` are those of the panels, row by row.
    """
    fig = lesson_figure(1.15 * len(windows) + 0.6)
    axes = fig.subplots(len(windows), len(means), sharex=True, sharey=True)
    for row, (way, by_unit) in zip(axes, windows.items()):
        row[0].set_ylabel(f"{way}\nvoltage (A: 1)")
        for axis, mean, its, colour in zip(row, means, by_unit, UNIT_COLOURS):
            axis.plot(time_ms, its.T, color=colour, linewidth=0.6, alpha=0.6)
            axis.plot(time_ms, mean, color=DATA, linewidth=1.4, linestyle="--")
            set_ticks(axis, 3, 3)
    for axis, title in zip(axes.flat, titles):
        panel_title(axis, title, fontsize=7.5)
    axes.flat[0].plot([], [], color=DATA, linestyle="--", label="mean of the unit's real spikes")
    axes.flat[0].plot([], [], color="0.5", label="generated, six of one training")
    for axis in axes[-1]:
        axis.set_xlabel("time from trough (ms)")
    one_legend(fig, axes.flat[:1], loc="outside upper right", ncols=2)
    return fig


@drawing
def obedience(scores: Mapping[str, Mapping[str, np.ndarray]], real: Mapping[str, float], chance: float) -> Figure:
    """Draw scores (trainings,) of each way, a panel for each, beside real spikes; ``chance`` of the first."""
    fig = lesson_figure(2.5)
    ways = list(scores)
    for i, (axis, (what, due)) in enumerate(zip(fig.subplots(1, len(real)), real.items())):
        axis.axhline(due, color=DATA, linestyle="--", linewidth=1, label="held-out real spikes")
        if not i:
            axis.axhline(chance, color="0.6", linestyle=":", linewidth=1, label="chance")
        for x, way in enumerate(ways):
            its = scores[way][what]
            axis.plot(
                x + np.linspace(-0.15, 0.15, len(its)), its, "o", color=GENERATED, markersize=4, label="a training"
            )
        axis.set(xlim=(-0.5, len(ways) - 0.5), ylim=(0, max(1.05, 1.1 * max(v[what].max() for v in scores.values()))))
        axis.set_xticks(range(len(ways)), ways, rotation=30, ha="right", rotation_mode="anchor")
        axis.set_ylabel(what)
        light_grid(axis, "y")
    one_legend(fig, fig.axes, loc="outside lower center", ncols=3)
    return fig


@drawing
def between(time_ms: np.ndarray, windows: np.ndarray, means: Mapping[str, np.ndarray], unit: str, title: str) -> Figure:
    """Draw windows (n, samples) generated for a mixture of two labels, between the means (samples,) of both units."""
    fig = Figure(figsize=(4.4, 2.6), layout="constrained")
    axis = fig.subplots()
    axis.plot(time_ms, windows.T, color=GENERATED, linewidth=0.7, alpha=0.8)
    axis.plot([], [], color=GENERATED, label="generated")
    for (label, mean), dash in zip(means.items(), ("--", ":")):
        axis.plot(time_ms, mean, color=DATA, linestyle=dash, linewidth=1.4, label=label)
    low = min(mean.min() for mean in means.values())
    axis.set(xlabel="time from trough (ms)", ylabel=unit, ylim=(1.5 * low, -0.8 * low))
    panel_title(axis, title)
    fig.legend(loc="outside right upper")
    return fig


def _cells(axis: Axes, values: np.ndarray, start: float, y: float, colour: str, faint: Sequence[int] = ()) -> None:
    """Draw numbers in a row of squares, the first at ``start``; ``faint`` ones are cut away."""
    for i, value in enumerate(values):
        gone = i in faint
        fill = {"facecolor": "white"} if gone else {"facecolor": colour, "alpha": 0.35}
        edge = dict(fill=False, edgecolor="0.5", linewidth=0.7, linestyle=":" if gone else "-")
        for look in (dict(edgecolor="none") | fill, edge):
            axis.add_patch(Rectangle((start + i - 0.5, y - 0.4), 1, 0.8, **look))
        axis.text(start + i, y, f"{value:g}", ha="center", va="center", fontsize=7, color="0.6" if gone else "black")


def _transposed(axis: Axes, length: int, kernel: int, stride: int, padding: int) -> np.ndarray:
    """Draw how a transposed convolution puts a copy of its kernel for each input; returns the copies at each output."""
    whole = (length - 1) * stride + kernel
    count, middle = np.zeros(whole, int), (whole - 1) / 2
    cut = [*range(padding), *range(whole - padding, whole)]
    _cells(axis, np.arange(1, length + 1), middle - (length - 1) / 2, length + 1.6, DATA)
    for i in range(length):
        count[i * stride : i * stride + kernel] += 1
        y = length - 0.2 - 0.75 * i
        axis.add_patch(Rectangle((i * stride - 0.5, y - 0.28), kernel, 0.56, facecolor=DISCRIMINATOR, alpha=0.6))
        axis.text(
            i * stride - 0.5 + kernel / 2, y, f"$x_{i + 1} \\times$ kernel", ha="center", va="center", fontsize=6.5
        )
    _cells(axis, count, 0, 0, GENERATED, cut)
    axis.set(xlim=(-0.8, whole - 0.2), ylim=(-0.7, length + 2.2))
    axis.axis("off")
    return count


def _strided(axis: Axes, length: int, kernel: int, stride: int, padding: int) -> None:
    """Draw how a strided convolution reads its input: the stretch that each output comes from."""
    whole, outputs = length + 2 * padding, (length + 2 * padding - kernel) // stride + 1
    cut = [*range(padding), *range(whole - padding, whole)]
    values = np.where(np.isin(np.arange(whole), cut), 0, np.arange(whole) - padding + 1)
    _cells(axis, values, 0, outputs + 1.6, GENERATED, cut)
    for i in range(outputs):
        y = outputs - 0.2 - 0.75 * i
        axis.add_patch(Rectangle((i * stride - 0.5, y - 0.28), kernel, 0.56, facecolor=DISCRIMINATOR, alpha=0.6))
        axis.text(
            i * stride - 0.5 + kernel / 2, y, f"kernel $\\to$ $y_{i + 1}$", ha="center", va="center", fontsize=6.5
        )
    _cells(axis, np.arange(1, outputs + 1), (whole - 1) / 2 - (outputs - 1) / 2, 0, DATA)
    axis.set(xlim=(-0.8, whole - 0.2), ylim=(-0.7, outputs + 2.2))
    axis.axis("off")


@drawing
def up_and_down(length: int, kernel: int, stride: int, padding: int) -> Figure:
    """Draw a transposed convolution of so many inputs, and the convolution that leads back."""
    fig = lesson_figure(2.8)
    left, right = fig.subplots(1, 2)
    longer = (length - 1) * stride - 2 * padding + kernel
    _transposed(left, length, kernel, stride, padding)
    _strided(right, longer, kernel, stride, padding)
    panel_title(left, f"up: {length} inputs → {longer} outputs;\nbelow, how many copies overlap (dotted: cut off)")
    panel_title(right, f"down: {longer} inputs → {length} outputs;\ndotted: zeros of the padding")
    return fig


@drawing
def network_shapes(
    up: Sequence[tuple[int, int]], down: Sequence[tuple[int, int]], words: Sequence[str], layers: Sequence[str]
) -> Figure:
    """Draw what goes through a generator and a discriminator as boxes, (channels, length) each.

    ``words`` on both, and on the ``layers`` between the boxes of each.
    """
    fig = lesson_figure(2.1)
    colours = (GENERATED, DISCRIMINATOR)
    for axis, shapes, colour, title, layer in zip(fig.subplots(1, 2), (up, down), colours, words, layers):
        longest = max(length for _, length in shapes)
        for x, (channels, length) in enumerate(shapes):
            height, width = length / longest, 0.1 + 0.4 * channels / 32
            axis.add_patch(Rectangle((x - width / 2, -height / 2), width, height, facecolor=colour, alpha=0.5))
            axis.text(x, -0.62, f"{channels} × {length}", ha="center", va="top", fontsize=7)
            if x:
                axis.annotate("", (x - 0.3, 0), (x - 0.7, 0), arrowprops=ARROW)
                axis.text(x - 0.5, 0.05, layer, ha="center", va="bottom", fontsize=6, color="0.35")
        axis.set(xlim=(-0.5, len(shapes) - 0.5), ylim=(-0.85, 0.6))
        axis.axis("off")
        panel_title(axis, title)
    return fig


@drawing
def copies(length: int, kernel: int, stride: int) -> Figure:
    """Draw the copies of a kernel that a transposed convolution puts, and how many overlap at each output."""
    fig = Figure(figsize=(SMALL[0], 2.9), layout="constrained")
    axis = fig.subplots()
    count = _transposed(axis, length, kernel, stride, 0)
    inner = count[kernel - 1 : len(count) - kernel + 1]
    inner = inner if len(inner) else count
    words = "even" if inner.min() == inner.max() else f"a checkerboard of {inner.min()} and {inner.max()}"
    panel_title(axis, f"kernel {kernel}, stride {stride}: {len(count)} outputs\n{words}")
    return fig


@drawing
def checkerboards(
    predicted: Mapping[str, float],
    measured: Mapping[str, np.ndarray],
    frequency_khz: np.ndarray,
    untrained: Mapping[str, np.ndarray],
    trained: Mapping[str, np.ndarray],
    real: np.ndarray,
    marks_khz: Sequence[float],
) -> Figure:
    """Draw the ratio of the variances at even and odd samples, predicted and (networks,) measured, and power spectra.

    Spectra (frequencies,) are those of the generators, by name, before and after training, and of ``real`` spikes.
    """
    fig = lesson_figure(2.8)
    axes = fig.subplots(1, 3, width_ratios=[1, 1.25, 1.25])
    x = np.arange(len(predicted))
    for i, (its, colour) in enumerate(zip(measured.values(), KINDS)):
        axes[0].plot(i + np.linspace(-0.2, 0.2, len(its)), its, ".", color=colour, markersize=3, alpha=0.6)
        axes[0].plot([i - 0.3, i + 0.3], [np.exp(np.log(its).mean())] * 2, color=colour, linewidth=2)
    axes[0].plot(x, list(predicted.values()), "D", color=DATA, markersize=4, label="predicted by the overlap")
    axes[0].set(yscale="log", ylabel="variance, even / odd samples", xlim=(-0.5, len(x) - 0.5))
    axes[0].set_yticks([0.5, 1, 2], ["0.5", "1", "2"])
    axes[0].minorticks_off()
    axes[0].set_xticks(x, [name.replace(", ", "\n") for name in predicted], fontsize=6)
    panel_title(axes[0], "untrained: each network, and mean")
    for axis, spectra, title in zip(axes[1:], (untrained, trained), ("untrained", "trained")):
        for mark in marks_khz:
            axis.axvline(mark, color="0.85", linewidth=0.8)
        for (name, its), colour in zip(spectra.items(), KINDS):
            axis.plot(frequency_khz, its, color=colour, linewidth=1.4, label=name)
        axis.set(yscale="log", xlabel="frequency (kHz)", ylabel="power / total power", xlim=(0, frequency_khz[-1]))
        panel_title(axis, title)
    axes[2].plot(frequency_khz, real, color=DATA, linestyle="--", linewidth=1.4, label="real spikes")
    one_legend(fig, axes, loc="outside lower center", ncols=5)
    return fig


@drawing
def confusions(tables: Mapping[str, np.ndarray], units: Sequence[str], xlabel: str) -> Figure:
    """Draw fractions (asked, classified) of windows of each unit that a classifier takes for each, by title."""
    fig = lesson_figure(2.6)
    axes = fig.subplots(1, len(tables), sharey=True)
    for axis, (title, table) in zip(axes, tables.items()):
        mesh = axis.imshow(table, cmap="Greys", vmin=0, vmax=1)
        axis.set_xticks(range(len(units)), units)
        axis.set_yticks(range(len(units)), units)
        panel_title(axis, title)
    axes[0].set_ylabel("asked for")
    fig.supxlabel(xlabel, fontsize=8)
    fig.colorbar(mesh, ax=axes, label="fraction of windows", shrink=0.8)
    return fig
