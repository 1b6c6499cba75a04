"""Draw the figures of lesson c5 · The Wasserstein distance: arrays in, a figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.lessons import DATA, DISCRIMINATOR, GENERATED, OTHER, lesson_figure, one_legend, two_densities
from meagan_lib.plots.style import panel_title


@drawing
def parallel_lines(
    theta: np.ndarray,
    theory: Mapping[str, np.ndarray],
    blurs: Sequence[float],
    measured: Mapping[str, np.ndarray],
    slopes: Mapping[str, np.ndarray],
) -> Figure:
    """Draw two parallel lines, distances between them, and the slopes that a generator would learn from.

    ``theory`` has JS and KL (blurs, n) at n evenly spaced θ in [−1, 1]; ``measured``, JS and W₁ from draws, and
    ``slopes`` of two losses of G are given at ``theta``.
    """
    fig = lesson_figure(2.7)
    sketch, middle, right = fig.subplots(1, 3, width_ratios=[0.62, 1.2, 1])
    for x, colour, label in ((0, DATA, "data"), (0.6, GENERATED, "generated")):
        sketch.plot([x, x], [0, 1], color=colour, linewidth=2.5, solid_capstyle="butt")
        sketch.text(x, 1.04, label, ha="center", fontsize=7.5, color=colour)
    both_ways = {"arrowstyle": "<|-|>", "color": "0.35", "linewidth": 0.8}
    sketch.annotate("", (0.57, 0.5), (0.03, 0.5), arrowprops=both_ways)
    sketch.text(0.3, 0.53, r"$\theta$", ha="center")
    sketch.set(xlabel="$x_1$", ylabel="$x_2$", xlim=(-0.4, 1.0), ylim=(0, 1.15), xticks=[0, 0.6], yticks=[0, 1])
    for (label, curves), colour, dash in zip(theory.items(), (DISCRIMINATOR, OTHER), ("-", "--")):
        near = np.linspace(-1, 1, curves.shape[1])
        for blur, alpha, curve in zip(blurs, (0.35, 0.6, 1), curves):
            middle.plot(near, curve, dash, color=to_rgba(colour, alpha), label=f"{label}, blur {blur:g}")
    middle.plot(near, np.abs(near), color=DATA, linewidth=1.5, label="$W_1$, any blur")
    for (label, values), colour, marker in zip(measured.items(), (DISCRIMINATOR, DATA), "so"):
        middle.plot(theta, values, marker, color=colour, markersize=3, label=f"{label}, from draws")
    middle.set(xlabel=r"$\theta$", ylabel="distance; JS, KL in nats", ylim=(-0.03, 1.1), xlim=(-1.03, 1.03))
    for (label, values), colour, marker in zip(slopes.items(), (DISCRIMINATOR, DATA), "so"):
        right.plot(theta, values, color=colour, marker=marker, markersize=3, label=label)
    right.set(xlabel=r"$\theta$", ylabel=r"slope of G's loss, $\partial L_G / \partial \theta$", xlim=(-1.03, 1.03))
    one_legend(fig, [middle], loc="outside lower center", ncols=3)
    right.legend(loc="upper left")
    return fig


@drawing
def two_lines_blurred(x: np.ndarray, p: np.ndarray, q: np.ndarray, title: str) -> Figure:
    """Draw the densities ``p`` and ``q`` (n,) of two blurred lines, seen from their end."""
    fig = Figure(figsize=(4.4, 2.4), layout="constrained")
    axis = fig.subplots()
    two_densities(axis, x, p, q)
    axis.set(xlabel="$x_1$", ylabel="density", xlim=(-1, 2), ylim=(0, None))
    panel_title(axis, title)
    fig.legend(loc="outside right upper")
    return fig


@drawing
def critics(
    x: np.ndarray,
    p: np.ndarray,
    q: np.ndarray,
    best: np.ndarray,
    values: Mapping[str, np.ndarray],
    slopes: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    limits: Mapping[str, float],
) -> Figure:
    """Draw critics, their slopes and their weights, a column for each constraint and a line for each training.

    ``p``, ``q`` and ``best`` (n,) are the densities and the best critic at ``x``, ``values`` and ``slopes``
    (trainings, n), ``weights`` (weights,), ``limits`` the largest weight to show. Values are divided by the steepest
    slope, and are 0 where the best critic is lowest.
    """
    fig = lesson_figure(4.9)
    axes = fig.subplots(3, len(values), sharey="row")
    turn = best.argmin()
    for column, label in zip(axes.T, values):
        colour = DISCRIMINATOR if label.startswith("clip") else OTHER
        scaled = values[label] / np.abs(slopes[label]).max(axis=1, keepdims=True)
        top, middle, bottom = column
        top.fill_between(x, 2.5 * p, color=DATA, alpha=0.2, linewidth=0, label="data")
        top.fill_between(x, 2.5 * q, color=GENERATED, alpha=0.25, linewidth=0, label="generated")
        lines = top.plot(x, (scaled - scaled[:, [turn]]).T, color=colour, linewidth=0.9)
        lines[0].set_label("clipped critics" if label.startswith("clip") else "penalised critics")
        top.plot(x, best - best[turn], color="black", linestyle=":", linewidth=1.4, label="best critic")
        top.set(ylim=(-3.3, 3.6), yticks=[-3, 0, 3], xticks=[-2, 0, 2, 4])
        panel_title(top, label)
        middle.plot(x, np.abs(slopes[label]).T, color=colour, linewidth=0.9)
        middle.axhline(1, color="black", linestyle=":", linewidth=1.4)
        middle.set(yscale="log", ylim=(1e-6, 1e5), xlabel="$x$", xticks=[-2, 0, 2, 4])
        limit = limits[label]
        bottom.hist(weights[label], np.linspace(-1.02 * limit, 1.02 * limit, 52), color=colour, histtype="stepfilled")
        bottom.set(yscale="log", xlabel="weight", xticks=[-limit, 0, limit])
    for axis, words in zip(axes[:, 0], ("$f(x)$ / its\nsteepest slope", "$|f'(x)|$", "number\nof weights")):
        axis.set_ylabel(words)
    one_legend(fig, [axes[0, 0], axes[0, -1]], loc="outside lower center", ncols=5)
    return fig


@drawing
def gains(
    real: np.ndarray,
    scaled: Mapping[str, np.ndarray],
    gain: np.ndarray,
    js: Mapping[str, np.ndarray],
    wasserstein: np.ndarray,
    unit: str,
) -> Figure:
    """Draw troughs of real windows and of windows multiplied by a gain, JS and W₁ against the ``gain`` (gains,)."""
    fig = lesson_figure(2.5)
    left, middle, right = fig.subplots(1, 3)
    edges = np.linspace(0, max(np.quantile(values, 0.99) for values in scaled.values()), 50)
    left.hist(real, edges, color=DATA, alpha=0.3, density=True, label="real")
    for (label, values), alpha in zip(scaled.items(), (0.5, 1)):
        left.hist(
            values, edges, histtype="step", color=to_rgba(GENERATED, alpha), linewidth=1.4, density=True, label=label
        )
    left.set(xlabel=f"depth of the trough ({unit})", ylabel="density")
    left.legend(loc="upper right")
    middle.axhline(np.log(2), color="0.6", linewidth=0.8, linestyle="--")
    middle.text(1, np.log(2) * 1.02, "log 2", fontsize=7, color="0.4", va="bottom")
    for (label, values), dash in zip(js.items(), ("-", "--")):
        middle.plot(gain, values, "s" + dash, color=DISCRIMINATOR, markersize=3, label=label)
    middle.set(xlabel="gain", ylabel="JS (nats)", ylim=(0, 0.8))
    middle.legend(loc="lower right")
    right.plot(gain, wasserstein, "o-", color=DATA, markersize=3)
    right.set(xlabel="gain", ylabel=f"$W_1$ of the trough ({unit})", ylim=(0, None))
    return fig
