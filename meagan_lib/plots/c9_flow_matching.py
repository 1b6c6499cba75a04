"""Draw the figures of lesson c9 · Flow matching: arrays in, a figure out."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.lessons import DATA, DISCRIMINATOR, GENERATED, lesson_figure
from meagan_lib.plots.style import SERIES, panel_title


@drawing
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


@drawing
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


@drawing
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


@drawing
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


@drawing
def schedules(alpha_bar: Mapping[str, np.ndarray], clouds: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw what is left of the data after each step of a diffusion, and points at some of them.

    ``alpha_bar``: of each schedule (T + 1,). ``clouds``: of each schedule the title of a panel → its points (n, 2).
    """
    fig = lesson_figure(3.2)
    columns = len(next(iter(clouds.values())))
    grid = fig.add_gridspec(len(clouds), columns + 2)
    axis = fig.add_subplot(grid[:, :2])
    for row, ((colour, _), (label, its)) in enumerate(zip(SERIES, alpha_bar.items())):
        axis.plot(its, color=colour, label=label)
        for column, (title, points) in enumerate(clouds[label].items()):
            small = fig.add_subplot(grid[row, column + 2])
            _cloud(small, points, colour, size=1.5)
            panel_title(small, title)
            small.tick_params(labelleft=column == 0, labelbottom=row == len(clouds) - 1)
            small.set_ylabel("second coordinate" if column == 0 else "")
            small.set_xlabel("first coordinate" if row == len(clouds) - 1 else "")
    axis.set(xlabel="step $k$", ylabel="variance that is data, $\\bar\\alpha_k$", ylim=(0, 1.02))
    axis.legend(loc="upper right")
    return fig


def _distances(axis: Axes, steps: np.ndarray, distance: Mapping[str, np.ndarray], levels: Mapping[str, float]) -> None:
    """Draw distances (trainings, n) by the number of steps (n,), mean and range, and ``levels`` to compare with."""
    for (colour, marker), (label, its) in zip(SERIES, distance.items()):
        axis.plot(steps, its.mean(0), color=colour, marker=marker, markersize=4, label=label)
        axis.fill_between(steps, its.min(0), its.max(0), color=colour, alpha=0.2, linewidth=0)
    for (label, level), dash in zip(levels.items(), (":", "--")):
        axis.axhline(level, color="0.5", linestyle=dash, label=label)
    axis.set(xscale="log", yscale="log", xlabel="steps", ylabel="sliced Wasserstein distance")
    axis.set_xticks(steps, [str(n) for n in steps])
    axis.xaxis.minorticks_off()


@drawing
def steps_distances(
    steps: np.ndarray, distance: Mapping[str, np.ndarray], levels: Mapping[str, float], clouds: Mapping[str, np.ndarray]
) -> Figure:
    """Draw the distance from the data by the number of steps, and a cloud of points of each of four models beside it.

    Parameters
    ----------
    steps, distance
        Numbers of steps (n,), and of each model the distance (trainings, n): the mean and the range are drawn.
    levels
        Distances to compare with.
    clouds
        Of each model, by the title of its panel, points (n, 2).
    """
    fig = lesson_figure(3.5)
    grid = fig.add_gridspec(2, 4)
    axis = fig.add_subplot(grid[:, :2])
    _distances(axis, steps, distance, levels)
    for k, (title, points) in enumerate(clouds.items()):
        small = fig.add_subplot(grid[k // 2, 2 + k % 2])
        _cloud(small, points, SERIES[k][0], size=2, limit=3.5)
        panel_title(small, ",\n".join(title.rsplit(", ", 1)))
        if k % 2 == 0:
            small.set_ylabel("second coordinate")
        if k > 1:
            small.set_xlabel("first coordinate")
    fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=6, columnspacing=1.2)
    return fig


@drawing
def guidance(
    weights: np.ndarray, measured: Mapping[str, np.ndarray], clouds: Mapping[str, Mapping[str, np.ndarray]]
) -> Figure:
    """Draw what guidance does to points of two shapes.

    ``weights`` (n,). ``measured``: of each number (trainings, n), in [0, 1]; the mean and the range are drawn.
    ``clouds``: four panels by their title, each with points (·, 2) by the shape that was asked for.
    """
    fig = lesson_figure(3.5)
    grid = fig.add_gridspec(2, 4)
    axis = fig.add_subplot(grid[:, :2])
    place = np.arange(len(weights))
    for (colour, marker), (label, its) in zip(SERIES[2:], measured.items()):
        axis.plot(place, its.mean(0), color=colour, marker=marker, markersize=4, label=label)
        axis.fill_between(place, its.min(0), its.max(0), color=colour, alpha=0.2, linewidth=0)
    axis.set(xlabel="guidance weight $w$", ylabel="fraction", ylim=(0, 1.03))
    axis.set_xticks(place, [f"{w:g}" for w in weights])
    for k, (title, its) in enumerate(clouds.items()):
        small = fig.add_subplot(grid[k // 2, 2 + k % 2])
        guided_points(small, its, size=2)
        panel_title(small, title)
        if k % 2 == 0:
            small.set_ylabel("second coordinate")
        if k > 1:
            small.set_xlabel("first coordinate")
    handles, labels = (a + b for a, b in zip(axis.get_legend_handles_labels(), small.get_legend_handles_labels()))
    fig.legend(handles, labels, loc="outside lower center", ncols=4, markerscale=1.5)
    return fig


def guided_points(axis: Axes, clouds: Mapping[str, np.ndarray], size: float = 2.5) -> None:
    """Draw points (·, 2) of two shapes, each in its colour."""
    for (colour, _), (label, points) in zip(SERIES, clouds.items()):
        axis.scatter(*points.T, s=size, linewidths=0, color=colour, label=f"asked for: {label}", rasterized=True)
    axis.set(aspect="equal", xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), xticks=[-2, 0, 2], yticks=[-2, 0, 2])


@drawing
def one_weight(clouds: Mapping[str, np.ndarray], title: str) -> Figure:
    """Draw points (·, 2) of two shapes, drawn with one weight of guidance."""
    fig = lesson_figure(3.2, 4)
    axis = fig.subplots()
    guided_points(axis, clouds)
    axis.set(xlabel="first coordinate", ylabel="second coordinate")
    panel_title(axis, title)
    fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, markerscale=2)
    return fig


@drawing
def window_steps(
    steps: np.ndarray,
    distance: Mapping[str, np.ndarray],
    levels: Mapping[str, float],
    time_ms: np.ndarray,
    drawn: Mapping[str, np.ndarray],
) -> Figure:
    """Draw the distance of drawn windows from held-out ones by the number of steps, and four sets of windows.

    ``steps``, ``distance`` and ``levels`` are those of :func:`steps_distances`; ``drawn``: windows (n, samples) as
    z-scores by the title of their panel, the first of which are held-out ones; a title begins with the name of its
    curve.
    """
    fig = lesson_figure(3.5)
    grid = fig.add_gridspec(2, 4)
    axis = fig.add_subplot(grid[:, :2])
    _distances(axis, steps, distance, levels)
    first, colours = None, {label: colour for label, (colour, _) in zip(distance, SERIES)}
    for k, (title, its) in enumerate(drawn.items()):
        colour = next((colour for label, colour in colours.items() if title.startswith(label)), DATA)
        small = first = fig.add_subplot(grid[k // 2, 2 + k % 2], sharex=first, sharey=first)
        small.plot(time_ms, its.T, color=colour, linewidth=0.4, alpha=0.5)
        panel_title(small, title)
        small.tick_params(labelleft=k % 2 == 0, labelbottom=k > 1)
        if k % 2 == 0:
            small.set_ylabel("voltage (SD)")
        if k > 1:
            small.set_xlabel("time from trough (ms)")
    fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return fig
