"""Draw the figures of lesson c1 · Neural networks: arrays in, a figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

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


def activations(h: np.ndarray, values: Mapping[str, np.ndarray], slopes: Mapping[str, np.ndarray]) -> Figure:
    """Draw six activation functions and their derivatives at ``h`` (n,) (figure 1.3 of the thesis)."""
    fig = lesson_figure(3.4)
    for axis, label in zip(fig.subplots(2, 3, sharex=True, sharey=True).flat, values):
        axis.axhline(0, color="0.85", linewidth=0.6)
        axis.plot(h, values[label], color=GENERATED, linewidth=1.5, label="$f(h)$")
        axis.plot(h, slopes[label], color=DISCRIMINATOR, linestyle="--", linewidth=1.5, label="derivative $f'(h)$")
        panel_title(axis, label)
        axis.set(ylim=(-1.3, 2.3), xlim=(-4, 4))
    fig.supxlabel("weighted sum $h$", fontsize=8)
    one_legend(fig, [axis], loc="outside upper right", ncols=2)
    return fig


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
