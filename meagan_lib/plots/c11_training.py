"""Draw the figures of lesson c11 · How to train: arrays in, a figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.lessons import DATA, DISCRIMINATOR, GENERATED, OTHER, SMALL, lesson_figure, one_legend
from meagan_lib.plots.style import SERIES, UNIT_COLOURS, light_grid, panel_title, set_rows

Surface = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Two axes (n,) and (m,), and values (m, n) above them."""


def _contours(axis: Axes, surface: Surface, minimum: Sequence[float]) -> None:
    x, y, values = surface
    levels = np.geomspace(max(np.quantile(values, 0.01), 1e-3), values.max(), 12)
    axis.contour(x, y, values, levels=levels, colors="0.8", linewidths=0.6)
    axis.plot(*minimum, "*", color=DATA, markersize=8, zorder=5)
    axis.set(xlim=x[[0, -1]], ylim=y[[0, -1]], xlabel="$w_1$", ylabel="$w_2$")


@drawing
def patterns(
    surface: Surface, minimum: Sequence[float], paths: Mapping[str, np.ndarray], errors: Mapping[str, tuple]
) -> Figure:
    """Draw paths (steps, 2) of weights over the error, and errors over the patterns seen, by name: (seen, error)."""
    fig = lesson_figure(2.7)
    left, right = fig.subplots(1, 2)
    _contours(left, surface, minimum)
    for (label, path), colour, width in zip(paths.items(), (OTHER, GENERATED, DISCRIMINATOR), (0.8, 1.2, 1.8)):
        left.plot(*path.T, color=colour, linewidth=width)
        right.plot(*errors[label], color=colour, linewidth=width, label=label)
    right.set(xlabel="patterns seen", ylabel="error of an epoch, $E$ / lowest $E$", xscale="symlog", yscale="log")
    right.set_xticks([0, 10, 100, 1000], ["0", "10", "100", "1000"])
    one_legend(fig, [right], loc="outside lower center", ncols=3)
    return fig


@drawing
def one_rate(surface: Surface, minimum: Sequence[float], path: np.ndarray, title: str) -> Figure:
    """Draw the path (steps, 2) that one learning rate takes over the error."""
    fig = Figure(figsize=(SMALL[0], 3), layout="constrained")
    axis = fig.subplots()
    _contours(axis, surface, minimum)
    axis.plot(*path.T, "o-", color=DISCRIMINATOR, linewidth=1.2, markersize=2.5, label="weights, epoch by epoch")
    axis.plot([], [], "*", color=DATA, markersize=7, linestyle="", label="minimum")
    panel_title(axis, title)
    fig.legend(loc="outside lower center", ncols=2)
    return fig


@drawing
def optimisers(
    surface: Surface, minimum: Sequence[float], paths: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray]
) -> Figure:
    """Draw the paths (steps, 2) of optimisers, a panel for each, and the value (steps,) along each."""
    fig = lesson_figure(5.2)
    names = list(paths)
    axes = fig.subplot_mosaic([names[:3], names[3:], ["values"] * 3], height_ratios=[1, 1, 1.4])
    for (name, path), colour in zip(paths.items(), UNIT_COLOURS):
        _contours(axes[name], surface, minimum)
        axes[name].plot(*path.T, color=colour, linewidth=1.4)
        axes[name].plot(*path[0], "o", color=colour, markersize=4)
        panel_title(axes[name], name)
        axes["values"].plot(values[name], color=colour, linewidth=1.2, label=name.split(",")[0])
    for name in names[:3]:
        axes[name].set_xlabel("")
    axes["values"].set(xlabel="step", ylabel="value", yscale="log", xlim=(0, len(path) - 1))
    one_legend(fig, [axes["values"]], loc="outside lower center", ncols=6)
    return fig


@drawing
def schedules(
    rates: Mapping[str, np.ndarray], errors: Mapping[str, np.ndarray], predicted: Mapping[str, np.ndarray]
) -> Figure:
    """Draw rates (steps,) of schedules, and the mean of w² (steps,) under each, measured and in closed form."""
    fig = lesson_figure(2.7)
    left, right = fig.subplots(1, 2)
    for (name, rate), (colour, _) in zip(rates.items(), SERIES):
        left.plot(rate, color=colour, linewidth=1.5, label=name)
        right.plot(errors[name], color=colour, linewidth=1, alpha=0.8)
        right.plot(predicted[name], color=colour, linewidth=1.2, linestyle="--")
    left.set(xlabel="step", ylabel="learning rate / its first value", ylim=(0, 1.05))
    right.set(xlabel="step", ylabel="mean of $w^2$; minimum at $w = 0$", yscale="log")
    right.plot([], [], color="0.4", linestyle="--", label="closed form")
    one_legend(fig, [left, right], loc="outside lower center", ncols=5)
    return fig


@drawing
def early_stopping(
    step: np.ndarray, train: np.ndarray, validation: np.ndarray, stops: Mapping[int, Sequence[tuple[int, int]]]
) -> Figure:
    """Draw errors (steps, trainings) on both sets, and for each patience what stopping costs and saves.

    ``stops`` are, for each training, the index of the stop and of the weights that are kept.
    """
    fig = lesson_figure(2.7)
    left, right = fig.subplots(1, 2, width_ratios=[1.3, 1])
    left.plot(step, train, color=GENERATED, linewidth=0.9)
    left.plot(step, validation, color=DISCRIMINATOR, linewidth=0.9)
    best = validation.argmin(axis=0)
    left.plot(step[best], validation.min(axis=0), "v", color=DATA, markersize=5, label="lowest validation error")
    for colour, label in ((GENERATED, "training patterns"), (DISCRIMINATOR, "validation patterns")):
        left.plot([], [], color=colour, label=label)
    left.set(xlabel="step", ylabel="mean squared error", yscale="log")
    for x, found in enumerate(stops.values()):
        kept = np.array([validation[keep, i] for i, (_, keep) in enumerate(found)]) / validation.min(axis=0)
        aside = x + np.linspace(-0.15, 0.15, len(kept))
        right.plot(aside, kept, "o", color=DATA, markersize=4)
        right.plot(aside, [step[stop] / step[-1] for stop, _ in found], "s", color=OTHER, markersize=4)
    right.axhline(1, color="0.8", linewidth=0.8)
    right.plot([], [], "o", color=DATA, label="error kept / lowest of all")
    right.plot([], [], "s", color=OTHER, label="steps taken / all")
    right.set_xticks(range(len(stops)), stops)
    right.set(xlabel="patience (validations)", ylabel="ratio", ylim=(0, None))
    one_legend(fig, [left, right], loc="outside lower center", ncols=3)
    return fig


@drawing
def patience(step: np.ndarray, validation: np.ndarray, stop: int, kept: int, title: str) -> Figure:
    """Draw validation errors (steps,) up to the ``stop``, what would have followed, and which weights are kept."""
    fig = Figure(figsize=SMALL, layout="constrained")
    axis = fig.subplots()
    axis.plot(step, validation, color="0.8", linewidth=1.2, label="not seen any more")
    axis.plot(step[: stop + 1], validation[: stop + 1], color=DISCRIMINATOR, linewidth=1.6, label="validation error")
    axis.plot(step[kept], validation[kept], "v", color=DATA, markersize=7, linestyle="", label="kept")
    axis.set(xlabel="step", ylabel="mean squared error", yscale="log")
    panel_title(axis, title)
    fig.legend(loc="outside lower center", ncols=3)
    return fig


@drawing
def sweep(scores: Mapping[str, np.ndarray], base: str, reach: float, what: str) -> Figure:
    """Draw scores (seeds,) of cases, a row for each, beside the mean of the case ``base`` and the ``reach``."""
    fig = lesson_figure(0.23 * len(scores) + 1)
    axis = fig.subplots()
    axis.axvline(scores[base].mean(), color=GENERATED, linewidth=1, label=f"mean of: {base}")
    axis.axvline(reach, color=DATA, linestyle="--", linewidth=1, label="training windows themselves")
    for y, its in enumerate(scores.values()):
        axis.plot(its, [y] * len(its), "o", color=OTHER, markersize=4, alpha=0.8, label="a seed")
        axis.plot(its.mean(), y, "|", color="black", markersize=11, markeredgewidth=1.6, label="mean")
    set_rows(axis, list(scores))
    light_grid(axis, "x")
    axis.set_xlabel(what)
    one_legend(fig, [axis], loc="outside lower center", ncols=4)
    return fig
