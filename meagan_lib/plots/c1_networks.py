"""Draw the figures of lesson c1 · Neural networks: arrays in, a figure out."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.lessons import ARROW, DATA, DISCRIMINATOR, GENERATED, SMALL, lesson_figure, one_legend
from meagan_lib.plots.style import SERIES, panel_title


def _network(axis: Axes, layers: Sequence[int], off: Sequence[tuple[int, int]] = ()) -> None:
    """Draw neurons as circles, a line for each weight; ``off`` are (layer, neuron) that dropout has switched off."""
    heights = [0.5 * (np.arange(n) - (n - 1) / 2) for n in layers]
    colours = [DISCRIMINATOR, *[GENERATED] * (len(layers) - 2), DATA]
    for i in range(len(layers) - 1):
        for j, start in enumerate(heights[i]):
            for k, end in enumerate(heights[i + 1]):
                if not {(i, j), (i + 1, k)} & set(off):
                    axis.plot([i, i + 1], [start, end], color="0.75", linewidth=0.5, zorder=1)
    for i, (column, colour) in enumerate(zip(heights, colours)):
        for j, y in enumerate(column):
            gone = (i, j) in off
            style = {"facecolor": "white", "edgecolor": "0.6", "linestyle": ":"} if gone else {"facecolor": colour}
            axis.add_patch(Circle((i, y), 0.17, zorder=2, **style))
            if gone:
                axis.plot(i, y, "x", color="0.6", markersize=6, zorder=3)
    top = 0.25 * max(layers)
    axis.set(xlim=(-0.4, len(layers) - 0.6), ylim=(-top, top), aspect="equal")
    axis.axis("off")


@drawing
def deep_network(layers: Sequence[int]) -> Figure:
    """Draw a fully connected network with so many neurons in each layer (figure 1.1 of the thesis)."""
    fig = lesson_figure(3.4)
    axis = fig.subplots()
    _network(axis, layers)
    axis.set_ylim(-1.6, 1.25)
    hidden = [f"hidden layer {i}" for i in range(1, len(layers) - 1)]
    for i, label in enumerate(["input $x$", *hidden, "output"]):
        axis.text(i, -1.5, label, ha="center", fontsize=8)
    return fig


@drawing
def neuron_sketch() -> Figure:
    """Draw a neuron with three inputs: weights, sum, threshold, activation function (figure 1.2 of the thesis)."""
    fig = lesson_figure(2.2)
    axis = fig.subplots()
    for k, y in ((1, 0.8), (2, 0.0), (3, -0.8)):
        axis.add_patch(Circle((0, y), 0.24, facecolor=DISCRIMINATOR))
        axis.text(0, y, f"$x_{k}$", ha="center", va="center", fontsize=10)
        axis.annotate("", (2.02, 0.28 * y), (0.26, y), arrowprops=ARROW)
        axis.text(1.0, 0.68 * y + 0.1, f"$w_{{i{k}}}$", ha="center", fontsize=9)
    for x in (2.5, 4.5):
        axis.add_patch(Circle((x, 0), 0.48, facecolor=GENERATED, alpha=0.25))
        axis.add_patch(Circle((x, 0), 0.48, facecolor="none", edgecolor=GENERATED, linewidth=1.2))
    axis.text(2.5, 0, r"$\Sigma$", ha="center", va="center", fontsize=15)
    axis.plot([4.2, 4.5, 4.5, 4.8], [-0.15, -0.15, 0.15, 0.15], color=DATA, linewidth=1.5)
    for head, tail in (((2.5, 0.5), (2.5, 1.0)), ((4.0, 0), (3.0, 0)), ((5.9, 0), (5.0, 0))):
        axis.annotate("", head, tail, arrowprops=ARROW)
    below = {
        "inputs": (0, -1.2),
        "weighted sum": (2.5, -0.62),
        "minus the threshold": (2.5, -0.83),
        "activation": (4.5, -0.62),
        "function $f$": (4.5, -0.83),
    }
    for words, (x, y) in below.items():
        axis.text(x, y, words, ha="center", va="top", fontsize=7.5, color="0.35")
    axis.text(2.5, 1.05, "$-b_i$", ha="center", fontsize=9)
    axis.text(3.5, 0.09, "$h_i$", ha="center", fontsize=9)
    axis.text(5.97, 0, r"$f(\Sigma_k w_{ik} x_k - b_i)$", va="center", fontsize=10)
    axis.set(xlim=(-0.4, 7.7), ylim=(-1.35, 1.3), aspect="equal")
    axis.axis("off")
    return fig


@drawing
def activations(h: np.ndarray, values: Mapping[str, np.ndarray], slopes: Mapping[str, np.ndarray]) -> Figure:
    """Draw activation functions, at most eleven, and their derivatives at ``h`` (n,) (figure 1.3 of the thesis)."""
    fig = lesson_figure(3.4)
    *axes, last = fig.subplots(2, 6, sharex=True, sharey=True).flat
    for axis, label in zip(axes, values):
        axis.axhline(0, color="0.85", linewidth=0.6)
        axis.plot(h, values[label], color=GENERATED, linewidth=1.5, label="$f(h)$")
        axis.plot(h, slopes[label], color=DISCRIMINATOR, linestyle="--", linewidth=1.5, label="derivative\n$f'(h)$")
        panel_title(axis, label.replace(" (", "\n("))
        axis.set(ylim=(-2, 2.3), xlim=(-4, 4), xticks=[-4, 0, 4])
    last.axis("off")
    last.legend(*axis.get_legend_handles_labels(), loc="center", fontsize=8)
    axes[5].tick_params("x", labelbottom=True)
    fig.supxlabel("weighted sum $h$", fontsize=8)
    return fig


@drawing
def neuron(x: np.ndarray, output: np.ndarray, weight: float, threshold: float, activation: str) -> Figure:
    """Draw the ``output`` (n,) of a neuron with one input ``x`` (n,), and where the weighted input is the threshold."""
    fig = Figure(figsize=SMALL, layout="constrained")
    axis = fig.subplots()
    axis.plot(x, output, color=GENERATED, linewidth=1.8, label="output")
    axis.axvline(threshold / weight, color=DISCRIMINATOR, linestyle="--", label="$wx = b$")
    axis.set(xlabel="input $x$", ylabel="$f(wx - b)$", xlim=(-3, 3), ylim=(-1.1, 2.1))
    panel_title(axis, f"w = {weight:g}, b = {threshold:g}, {activation}")
    fig.legend(loc="outside right upper")
    return fig


@drawing
def xor(maps: Mapping[str, np.ndarray], x: np.ndarray, target: np.ndarray, solved: Mapping[int, float]) -> Figure:
    """Draw what two networks answer all over the plane, and the fraction of trainings that solve XOR.

    ``maps`` (side, side) are outputs over [−0.4, 1.4]², by title; ``x`` (4, 2) and ``target`` (4,) the patterns;
    ``solved`` the fraction of trainings by the number of hidden neurons.
    """
    fig = lesson_figure(2.4)
    axes = fig.subplots(1, 3, width_ratios=[1, 1, 1.15])
    for axis, (title, values) in zip(axes, maps.items()):
        mesh = axis.imshow(values, origin="lower", extent=(-0.4, 1.4) * 2, cmap="RdBu", vmin=0, vmax=1)
        for t, marker in ((0, "o"), (1, "s")):
            points = x[target == t].T
            axis.scatter(*points, marker=marker, color="white", edgecolor="black", s=42, zorder=2, label=f"target {t}")
        axis.set(xlabel="$x_1$", ylabel="$x_2$", xticks=[0, 1], yticks=[0, 1])
        panel_title(axis, title)
    axes[1].set_ylabel("")
    fig.colorbar(mesh, ax=axes[1], label="output $O$", ticks=[0, 0.5, 1], shrink=0.9)
    axes[2].bar([str(n) for n in solved], list(solved.values()), color=GENERATED, width=0.7)
    axes[2].set(xlabel="hidden neurons", ylabel="fraction of trainings\nthat solve XOR", ylim=(0, 1.05))
    one_legend(fig, axes[:1], loc="outside lower left", ncols=2)
    return fig


Layer = tuple[int, int, int]
"""Kernel, stride and padding of a convolution."""


def _convolution(axis: Axes, n: int, layers: Sequence[Layer]) -> None:
    """Draw inputs and layers as rows of dots; what the middle output of the last layer depends on is filled."""
    rows, sources = [np.arange(n, dtype=float)], []  # places of all outputs, and from which to which below they reach
    for kernel, stride, padding in layers:
        before = rows[-1]
        outputs = max((len(before) + 2 * padding - kernel) // stride + 1, 0)
        first = np.arange(outputs) * stride - padding
        step = before[1] - before[0] if len(before) > 1 else 1.0
        rows.append(before[0] + step * (first + (kernel - 1) / 2))
        sources.append((first, kernel))
    chosen = {len(rows[-1]) // 2}
    lit = [chosen]
    for first, kernel in reversed(sources):
        chosen = {int(first[j]) + i for j in chosen if 0 <= j < len(first) for i in range(kernel)}  # zeros see nothing
        lit.append(chosen)
    for level, (places, chosen) in enumerate(zip(rows, lit[::-1])):
        colour = DISCRIMINATOR if level == 0 else DATA if level == len(layers) else GENERATED
        real = [j for j in chosen if 0 <= j < len(places)]
        axis.plot(places, np.full(len(places), level), "o", color=colour, markersize=4, markerfacecolor="white")
        axis.plot(places[real], np.full(len(real), level), "o", color=colour, markersize=4)
        step = places[1] - places[0] if len(places) > 1 else 1.0
        padded = [places[0] + step * j for j in chosen if not 0 <= j < len(places)]
        axis.plot(padded, np.full(len(padded), level), "x", color="0.6", markersize=4)
    for level, ((below, above), (first, kernel)) in enumerate(zip(pairwise(rows), sources)):
        step = below[1] - below[0] if len(below) > 1 else 1.0
        for j, place in enumerate(above):
            on = j in lit[::-1][level + 1]
            for i in range(kernel):
                source = below[0] + step * (first[j] + i)
                axis.plot([source, place], [level, level + 1], color="0.4" if on else "0.88", linewidth=0.6, zorder=on)
    seen = sum(0 <= j < n for j in lit[-1])
    axis.set(ylim=(-0.4, len(layers) + 0.4), xlabel=f"input ({seen} of {n} seen)", yticks=range(len(layers) + 1))
    axis.set_yticklabels([f"input: {n}", *(f"layer {i}: {len(row)}" for i, row in enumerate(rows[1:], 1))])
    axis.tick_params("y", length=0)
    axis.spines["left"].set_visible(False)


@drawing
def convolutions(n: int, nets: Mapping[str, Sequence[Layer]]) -> Figure:
    """Draw what one output of each of two convolutional networks sees of ``n`` inputs."""
    fig = lesson_figure(2.5)
    for axis, (title, layers) in zip(fig.subplots(1, 2), nets.items()):
        _convolution(axis, n, layers)
        panel_title(axis, f"kernel {layers[0][0]}, {title}")
    return fig


@drawing
def convolution(n: int, layers: Sequence[Layer]) -> Figure:
    """Draw what one output of a convolutional network sees of ``n`` inputs."""
    fig = lesson_figure(2.4, 4)
    axis = fig.subplots()
    _convolution(axis, n, layers)
    panel_title(axis, "kernel {}, stride {}, padding {}".format(*layers[0]))
    return fig


@drawing
def recurrence(recalled: Mapping[int, np.ndarray]) -> Figure:
    """Draw a recurrent layer unrolled in time, and which bits of the past it remembers.

    ``recalled`` (networks, lags): fraction of right answers by how many steps ago, for each number of state numbers.
    """
    fig = lesson_figure(2.5)
    left, right = fig.subplots(1, 2, width_ratios=[1.25, 1])
    for t, label in enumerate(("t-2", "t-1", "t")):
        for y, colour, words in ((0, DISCRIMINATOR, f"x_{{{label}}}"), (1, GENERATED, f"h_{{{label}}}"), (2, DATA, "")):
            left.add_patch(Circle((1.4 * t, y), 0.3, facecolor=colour, alpha=0.25 if words else 0.15, edgecolor=colour))
            left.text(1.4 * t, y, f"${words or 'O'}$", ha="center", va="center", fontsize=8)
        for y, weight in ((0, "U"), (1, "V")):
            left.annotate("", (1.4 * t, y + 0.69), (1.4 * t, y + 0.31), arrowprops=ARROW)
            left.text(1.4 * t + 0.08, y + 0.5, f"${weight}$", va="center", fontsize=8)
        left.annotate("", (1.4 * t - 0.31, 1), (1.4 * t - 1.09, 1), arrowprops=ARROW)
        left.text(1.4 * t - 0.7, 1.08, "$W$", ha="center", fontsize=8)
    left.annotate("", (1.4 * t + 1.0, 1), (1.4 * t + 0.31, 1), arrowprops=ARROW)
    left.set(xlim=(-1.2, 4), ylim=(-0.4, 2.4), aspect="equal")
    left.axis("off")
    panel_title(left, "unrolled: the same $U$, $W$, $V$ at every step")
    for (colour, marker), (units, its) in zip(SERIES, recalled.items()):
        right.plot(its.mean(0), color=colour, marker=marker, markersize=4, label=str(units))
        right.plot(its.T, marker, color=colour, markersize=2, alpha=0.4)
    right.axhline(0.5, color="0.6", linestyle=":", label="chance")
    right.set(xlabel="steps ago", ylabel="bits recalled (fraction)", ylim=(0.4, 1.03))
    fig.legend(*right.get_legend_handles_labels(), loc="outside right center", title="state\nnumbers", title_fontsize=7)
    return fig


@drawing
def dropout(
    layers: Sequence[int], off: Sequence[tuple[int, int]], p: float, sums: np.ndarray, without: float
) -> Figure:
    """Draw a network, the same in one step of training with dropout, and what dropout does to a weighted sum.

    Figure 1.6 of the thesis. ``off`` are the (layer, neuron) switched off, ``sums`` (draws,) the weighted sum with
    dropout, ``without`` the same without.
    """
    fig = lesson_figure(2.3)
    axes = fig.subplots(1, 3, width_ratios=[1, 1, 1.1])
    for axis, switched, title in zip(axes, ((), off), ("without dropout", f"one draw of dropout, $p$ = {p:g}")):
        _network(axis, layers, switched)
        panel_title(axis, title)
    axis = axes[2]
    axis.hist(sums, 40, color=GENERATED, alpha=0.5, density=True, label="with dropout")
    axis.axvline(without, ymax=0.66, color=DATA, linewidth=1.8, label="without")
    axis.axvline(sums.mean(), ymax=0.66, color=DISCRIMINATOR, linestyle="--", linewidth=1.8, label="mean with dropout")
    axis.set(xlabel="weighted sum of 64 neurons", ylabel="density", ylim=(0, 1.5 * axis.get_ylim()[1]))
    axis.legend(loc="upper left")
    return fig


@drawing
def batch_norm(gains: Sequence[float], spreads: Mapping[str, np.ndarray]) -> Figure:
    """Draw the standard deviation of activations layer by layer, (gains, layers) by title, a line for each gain."""
    fig = lesson_figure(2.3)
    axes = fig.subplots(1, 2, sharey=True)
    for axis, (title, rows) in zip(axes, spreads.items()):
        layers = range(1, rows.shape[1] + 1)
        for (colour, marker), size, gain, row in zip(SERIES, (7, 5, 3), gains, rows):  # they may coincide
            axis.plot(layers, row, color=colour, marker=marker, markersize=size, label=f"{gain:g}")
        axis.set(xlabel="layer", yscale="log", ylim=(3e-4, 2), xticks=layers)
        panel_title(axis, title)
    axes[0].set_ylabel("standard deviation of $f(h)$")
    one_legend(fig, axes, loc="outside right center", title="gain of\nthe weights", title_fontsize=7)
    return fig


@drawing
def logits_of_two_networks(is_real: np.ndarray, logits: Mapping[str, np.ndarray], auc: Mapping[str, float]) -> Figure:
    """Draw histograms of the ``logits`` (n,) of real and of other windows, for each network."""
    fig = lesson_figure(2.2)
    for axis, (label, logit) in zip(fig.subplots(1, 2), logits.items()):
        bins = np.linspace(*np.quantile(logit, [0.005, 0.995]), 40)
        axis.hist(logit[is_real], bins, color=DATA, alpha=0.6, density=True, label="real windows")
        axis.hist(
            logit[~is_real],
            bins,
            histtype="step",
            color=GENERATED,
            linewidth=1.5,
            density=True,
            label="draws of the\nGaussian",
        )
        axis.set(xlabel="logit of the window", ylabel="density")
        panel_title(axis, f"{label}: AUC {auc[label]:.2f}")
    one_legend(fig, [axis], loc="outside right center")
    return fig
