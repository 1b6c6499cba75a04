"""Draw the figures of lesson c4 · Mode collapse: arrays in, a figure out."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.lessons import DATA, DISCRIMINATOR, GENERATED, lesson_figure, one_legend
from meagan_lib.plots.style import panel_title

PREFERENCE = LinearSegmentedColormap.from_list("preference", ["white", DISCRIMINATOR])


EXTENT = 2.9
"""Half the side of the plane that is shown."""


def _points(axis: Axes, points: np.ndarray, centres: np.ndarray, radius: float, title: str) -> None:
    for centre in centres:
        axis.add_patch(Circle(centre, radius, facecolor="none", edgecolor=DATA, linewidth=0.6))
    axis.scatter(*points.T, s=1.5, color=GENERATED, linewidths=0, alpha=0.5, rasterized=True)
    axis.set(xlim=(-EXTENT, EXTENT), ylim=(-EXTENT, EXTENT), aspect="equal")
    axis.set(xticks=[-2, 0, 2], yticks=[-2, 0, 2])
    panel_title(axis, title)


def _game(axis: Axes, points: np.ndarray, logits: np.ndarray, centres: np.ndarray, radius: float, title: str) -> None:
    """Draw generated points over the logits of D, white where they are low and orange where they are high."""
    low, high = np.quantile(logits, [0.02, 0.98])
    extent = (-EXTENT, EXTENT) * 2
    style = {"origin": "lower", "alpha": 0.7, "interpolation": "bilinear"}
    axis.imshow(logits, extent=extent, cmap=PREFERENCE, vmin=low, vmax=high, **style)
    _points(axis, points, centres, radius, title)


@drawing
def point_sets(sets: Mapping[str, np.ndarray], centres: np.ndarray, radius: float) -> Figure:
    """Draw sets of points (n, 2), by title, over the modes: circles of the ``radius`` around ``centres`` (modes, 2)."""
    fig = lesson_figure(2.35)
    axes = fig.subplots(1, len(sets), sharey=True)
    for axis, (title, points) in zip(axes, sets.items()):
        _points(axis, points, centres, radius, title)
    fig.supxlabel("$x_1$", fontsize=8)
    axes[0].set_ylabel("$x_2$")
    return fig


@drawing
def games(shown: Mapping[str, tuple[np.ndarray, np.ndarray]], centres: np.ndarray, radius: float) -> Figure:
    """Draw several games side by side, by title: generated points (n, 2), over the logits (side, side) of D."""
    fig = lesson_figure(1.9)
    for axis, (title, its) in zip(fig.subplots(1, len(shown), sharey=True), shown.items()):
        _game(axis, *its, centres, radius, title)
        axis.set(xticks=[], yticks=[])
    return fig


@drawing
def one_game(points: np.ndarray, logits: np.ndarray, centres: np.ndarray, radius: float, title: str) -> Figure:
    """Draw one game: generated points (n, 2), over the logits (side, side) of D."""
    fig = Figure(figsize=(4.4, 3.2), layout="constrained")
    axis = fig.subplots()
    _game(axis, points, logits, centres, radius, title)
    axis.plot([], [], "o", color=GENERATED, markersize=3, label="generated")
    axis.plot([], [], "o", markerfacecolor="none", markeredgecolor=DATA, markersize=8, label="mode")
    axis.plot([], [], "s", color=DISCRIMINATOR, markersize=8, alpha=0.7, label="logit of D high")
    fig.legend(loc="outside right upper")
    return fig


@drawing
def histories(shown: Mapping[str, tuple[np.ndarray, ...]], n_modes: int) -> Figure:
    """Draw modes covered, quality and loss of D over the steps, a column for each game and a line for each training.

    A game has its steps (snapshots,), then the three, each (snapshots, trainings). Losses have a scale for each game.
    """
    fig = lesson_figure(3.9)
    axes = fig.subplots(3, len(shown), sharex="col")
    for column, (title, (steps, covered, quality, loss)) in zip(axes.T, shown.items()):
        panel_title(column[0], title)
        for axis, values in zip(column, (covered, quality, loss)):
            axis.plot(steps, values, color=GENERATED, linewidth=0.9, alpha=0.8)
            axis.set(xlim=(0, steps[-1]), xticks=[0, steps[-1]])
        for axis, top in zip(column, (n_modes, 1)):
            axis.set(ylim=(0, 1.05 * top), yticks=[0, top / 2, top])
    for axis in axes[:2, 1:].flat:
        axis.tick_params(labelleft=False)
    for axis, words in zip(axes[:, 0], ("modes\ncovered", "quality", "loss of $D$")):
        axis.set_ylabel(words)
    fig.supxlabel("generator step", fontsize=8)
    return fig


@drawing
def clusters(
    time_ms: np.ndarray, waveforms: np.ndarray, held_out: np.ndarray, generated: Mapping[str, np.ndarray]
) -> Figure:
    """Draw the fraction of windows in each cluster, held-out and generated, under the mean window of each.

    ``waveforms`` (clusters, samples), ``held_out`` (clusters,), ``generated`` (trainings, clusters) by game.
    """
    n = len(waveforms)
    fig = lesson_figure(2.9)
    axes = fig.subplot_mosaic([[str(i) for i in range(n)], ["all"] * n], height_ratios=[1, 2.2])
    for i, waveform in enumerate(waveforms):
        axes[str(i)].plot(time_ms, waveform, color=DATA, linewidth=1.2)
        axes[str(i)].set_ylim(1.05 * waveforms.min(), 1.05 * waveforms.max())
        axes[str(i)].axis("off")
    axis, x = axes["all"], np.arange(n)
    axis.bar(x, held_out, width=0.8, color=DATA, alpha=0.25, label="held-out windows")
    for (label, its), colour, marker, shift in zip(generated.items(), (GENERATED, DISCRIMINATOR), "os", (-0.18, 0.18)):
        aside = x + shift + np.linspace(-0.1, 0.1, len(its))[:, None]
        axis.plot(aside, its, marker, color=colour, markersize=3.5, markeredgewidth=0)
        axis.plot([], [], marker, color=colour, markersize=3.5, label=f"{label}, each training")
    axis.set(xlabel="cluster, with its mean window above", ylabel="fraction of windows,\ngood ones only")
    axis.set(xticks=[], xlim=(-0.5, n - 0.5))
    one_legend(fig, [axis], loc="outside lower center", ncols=3)
    return fig
