"""Draw the figures of lesson c9 · Flow matching: arrays in, a figure out."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from meagan_lib.plots.lessons import DATA, DISCRIMINATOR, GENERATED, lesson_figure
from meagan_lib.plots.style import SERIES, panel_title


def flow_paths(paths: Mapping[str, np.ndarray], curvature: Mapping[str, float]) -> Figure:
    """Draw paths (times, n, 2) of points from t = 0 to t = 1, and how curved they are."""
    fig = lesson_figure(2.6)
    for axis, (label, path) in zip(fig.subplots(1, len(paths), sharex=True, sharey=True), paths.items()):
        axis.plot(*path.transpose(2, 0, 1), color="0.7", linewidth=0.6, zorder=1)
        axis.scatter(*path[0].T, s=5, color=DATA, zorder=2, label="$t = 0$: Gaussian")
        axis.scatter(*path[-1].T, s=5, color=GENERATED, zorder=2, label="$t = 1$: data")
        panel_title(axis, f"{label}\ncurvature {curvature[label]:.3f}")
        axis.set(aspect="equal", xlim=(-3, 3), ylim=(-3, 3))
    fig.axes[0].set_ylabel("second coordinate")
    fig.supxlabel("first coordinate", fontsize=8)
    fig.legend(*axis.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return fig


def _cloud(axis: Axes, points: np.ndarray, colour: str = GENERATED, size: float = 2.5, limit: float = 3.2) -> None:
    axis.scatter(*points[:, :2].T, s=size, linewidths=0, color=colour, rasterized=True)
    axis.set(aspect="equal", xlim=(-limit, limit), ylim=(-limit, limit), xticks=[-2, 0, 2], yticks=[-2, 0, 2])


def flow_snapshots(paths: Mapping[str, np.ndarray]) -> Figure:
    """Draw points on paths (times, n, 2) at five times, a row for each flow."""
    fig = lesson_figure(3.2)
    for row, (label, path) in zip(fig.subplots(len(paths), 5, sharex=True, sharey=True), paths.items()):
        for axis, t in zip(row, np.linspace(0, 1, 5)):
            _cloud(axis, path[round(t * (len(path) - 1))])
            panel_title(axis, f"$t$ = {t:g}" if axis.get_subplotspec().is_first_row() else "")
        row[0].set_ylabel(label)
    fig.supxlabel("first coordinate", fontsize=8)
    fig.supylabel("second coordinate", fontsize=8)
    return fig


def flow_frame(paths: Mapping[str, np.ndarray], k: int) -> Figure:
    """Draw one frame of an animation: points on paths (times, n, 2) at the k-th time, and the way of some of them."""
    fig = lesson_figure(3.5)
    for axis, (label, path) in zip(fig.subplots(1, len(paths), sharey=True), paths.items()):
        axis.plot(*path[: k + 1, :60].transpose(2, 0, 1), color="0.75", linewidth=0.6, zorder=1)
        _cloud(axis, path[k], size=6)
        panel_title(axis, label)
    fig.axes[0].set_ylabel("second coordinate")
    fig.supxlabel("first coordinate", fontsize=8)
    panel_title(axis, f"$t$ = {k / (len(path) - 1):.2f}", loc="right")
    return fig


def few_steps(path: np.ndarray, title: str) -> Figure:
    """Draw where points end after the steps of ``path`` (steps + 1, n, 2), and the way of 25 of them."""
    fig = lesson_figure(3, 4)
    axis = fig.subplots()
    axis.scatter(*path[-1].T, s=2, linewidths=0, color=GENERATED, label="after the last step")
    axis.plot(*path[:, :25].transpose(2, 0, 1), color=DISCRIMINATOR, linewidth=0.8, marker=".", markersize=3)
    axis.plot([], [], color=DISCRIMINATOR, marker=".", markersize=3, label="way of 25 points")
    axis.set(aspect="equal", xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), xlabel="first coordinate", ylabel="second coordinate")
    panel_title(axis, title)
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def steps_distances(
    steps: np.ndarray,
    distance: Mapping[str, np.ndarray],
    levels: Mapping[str, float],
    clouds: Mapping[str, np.ndarray],
    clouds_by_model: bool,
    axes: tuple[str, str],
) -> Figure:
    """Draw the distance from the data by the number of steps, and four clouds of points beside it.

    Parameters
    ----------
    steps, distance
        Numbers of steps (n,), and of each model the distance (trainings, n): the mean and the range are drawn.
    levels
        Distances to compare with.
    clouds
        Four sets of points (n, ≥ 2), of which two coordinates are drawn.
    clouds_by_model
        Each cloud has the colour of the model of its place; else the first is of data, the others are generated.
    axes
        Labels of the clouds' two coordinates.
    """
    fig = lesson_figure(3.5)
    grid = fig.add_gridspec(2, 4)
    axis = fig.add_subplot(grid[:, :2])
    for (colour, marker), (label, its) in zip(SERIES, distance.items()):
        axis.plot(steps, its.mean(0), color=colour, marker=marker, markersize=4, label=label)
        axis.fill_between(steps, its.min(0), its.max(0), color=colour, alpha=0.2, linewidth=0)
    for (label, level), dash in zip(levels.items(), (":", "--")):
        axis.axhline(level, color="0.5", linestyle=dash, label=label)
    axis.set(xscale="log", yscale="log", xlabel="Euler steps", ylabel="sliced Wasserstein distance")
    axis.set_xticks(steps, [str(n) for n in steps])
    axis.xaxis.minorticks_off()
    for k, (label, its) in enumerate(clouds.items()):
        small = fig.add_subplot(grid[k // 2, 2 + k % 2])
        colour = SERIES[k][0] if clouds_by_model else GENERATED if k else DATA
        _cloud(small, its, colour, size=2, limit=3.5)
        panel_title(small, label.replace(", ", ",\n"))
        if k % 2 == 0:
            small.set_ylabel(axes[1])
        if k > 1:
            small.set_xlabel(axes[0])
    fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return fig
