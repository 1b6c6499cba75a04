"""Draw the figures of lesson c2 · A game of densities: arrays in, a figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from scipy.stats import gaussian_kde

from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.lessons import (
    ARROW,
    DATA,
    DISCRIMINATOR,
    GENERATED,
    OTHER,
    lesson_figure,
    one_legend,
    two_densities,
)
from meagan_lib.plots.style import WIDTH, panel_title


@drawing
def gan_sketch() -> Figure:
    """Draw generator, data and discriminator, and the gradient between them (figure 1.4 of the thesis)."""
    fig = lesson_figure(2.3)
    axis = fig.subplots()
    boxes = (
        (0.0, 0.5, 0.62, "0.45", "latent space\n$z \\sim p_z$"),
        (2.0, 0.5, 0.55, GENERATED, "generator\n$G$"),
        (4.0, 0.5, 0.62, GENERATED, "generated\n$G(z)$"),
        (4.0, -0.6, 0.62, DATA, "data\n$x$"),
        (6.1, 0.0, 0.68, DISCRIMINATOR, "discriminator\n$D$"),
    )
    for x, y, half, colour, words in boxes:
        style = {"boxstyle": "round,pad=0,rounding_size=0.1", "linewidth": 1.2, "facecolor": to_rgba(colour, 0.12)}
        axis.add_patch(FancyBboxPatch((x - half, y - 0.32), 2 * half, 0.64, edgecolor=colour, **style))
        axis.text(x, y, words, ha="center", va="center", fontsize=8.5, linespacing=1.3)
    arrows = (
        ((1.43, 0.5), (0.64, 0.5)),
        ((3.36, 0.5), (2.57, 0.5)),
        ((5.4, 0.12), (4.64, 0.4)),
        ((5.4, -0.12), (4.64, -0.5)),
        ((7.45, 0.0), (6.8, 0.0)),
    )
    for head, tail in arrows:
        axis.annotate("", head, tail, arrowprops=ARROW)
    axis.text(7.52, 0, "real or\ngenerated?", va="center", fontsize=8.5, linespacing=1.3)
    axis.plot([6.1, 6.1, 2.0, 2.0], [0.34, 1.2, 1.2, 0.95], color=DISCRIMINATOR, linewidth=1, linestyle="--")
    axis.annotate("", (2.0, 0.83), (2.0, 1.0), arrowprops=ARROW | {"color": DISCRIMINATOR})
    axis.text(4.05, 1.27, "gradient: how would $G(z)$ look more real?", ha="center", fontsize=7.5, color="0.35")
    axis.set(xlim=(-0.7, 8.6), ylim=(-0.97, 1.5))
    axis.axis("off")
    return fig


@drawing
def towards_the_best(x: np.ndarray, p: np.ndarray, q: np.ndarray, steps: Sequence[int], logits: np.ndarray) -> Figure:
    """Draw a discriminator at several steps of its training beside the best one.

    ``x``, ``p`` and ``q`` (n,) are places and the two densities, ``logits`` (steps, n) those of the discriminator.
    """
    fig = lesson_figure(2.5)
    left, right = fig.subplots(1, 2)
    two_densities(left, x, p, q)
    sides = ((left, lambda logit: 1 / (1 + np.exp(-logit)), p / (p + q)), (right, np.asarray, np.log(p / q)))
    for axis, of, best in sides:
        for step, logit, alpha in zip(steps, logits, (0.35, 0.6, 1)):
            axis.plot(x, of(logit), color=to_rgba(DISCRIMINATOR, alpha), linewidth=1.5, label=f"$D$ at step {step}")
        axis.plot(x, best, color="black", linestyle=":", linewidth=1.5, label="$D^*$")
        axis.set(xlabel="$x$", xlim=(-4, 4))
    left.set(ylabel="density, $D(x)$", ylim=(0, 1.02))
    right.set(ylabel="logit of $D$; dotted: $\\log\\, p_\\mathrm{data}/p_g$", ylim=(-8, 5))
    one_legend(fig, [left], loc="outside right center")
    return fig


@drawing
def value_of_game(
    x: np.ndarray, p: np.ndarray, q: np.ndarray, distances: np.ndarray, values: np.ndarray, distance: float, title: str
) -> Figure:
    """Draw two densities with the best discriminator, and what the game is worth at all ``distances``."""
    fig = Figure(figsize=(4.4, 3.6), layout="constrained")
    above, below = fig.subplots(2, 1, height_ratios=[1.6, 1])
    two_densities(above, x, p, q)
    above.plot(x, p / (p + q), color=DISCRIMINATOR, linewidth=1.5, label="$D^*$")
    above.set(xlabel="$x$", ylabel="density, $D^*$", xlim=(-4, 14), ylim=(0, 1.02))
    panel_title(above, title)
    below.axhline(0, color="0.6", linewidth=0.8, linestyle="--", label="0: no overlap")
    below.axhline(-np.log(4), color="0.6", linewidth=0.8, linestyle=":", label="$-\\log 4$: equal")
    below.plot(distances, values, color=DATA, linewidth=1.5, label="$V(D^*, G)$")
    below.plot([distance], [np.interp(distance, distances, values)], "o", color=DATA, markersize=5)
    below.set(xlabel="distance of the means", ylabel="value $V$", xlim=(-0.2, 12.2), ylim=(-1.5, 0.15))
    one_legend(fig, [above, below], loc="outside right upper")
    return fig


@drawing
def phases(
    grid: np.ndarray,
    p: np.ndarray,
    z: np.ndarray,
    snapshots: Sequence[tuple[str, np.ndarray, np.ndarray]],
    width: float = WIDTH,
) -> Figure:
    """Draw densities, discriminator and the map from z to x, a column for each snapshot (figure 1.5 of the thesis).

    ``p`` is the density of the data on the ``grid``; a snapshot has a title, G(z) for all ``z``, and D on the grid.
    """
    fig = Figure(figsize=(width, 2.9), layout="constrained")
    axes = fig.subplots(2, len(snapshots), height_ratios=[2.2, 1], squeeze=False)
    for (above, below), (title, generated, d) in zip(axes.T, snapshots):
        density = gaussian_kde(generated, 0.2).pdf(grid)
        above.plot(grid, p, color=DATA, linestyle=":", linewidth=1.6, label="$p_\\mathrm{data}$")
        above.plot(grid, density, color=GENERATED, linewidth=1.6, label="$p_g$")
        above.plot(grid, d, color=DISCRIMINATOR, linestyle="--", linewidth=1.4, label="$D$")
        above.set(ylim=(0, 1.05), xlim=grid[[0, -1]], yticks=[0, 0.5, 1], xticks=[])
        panel_title(above, title)
        below.plot([0.75 + 2 * z[::50], generated[::50]], [0, 1], color=GENERATED, linewidth=0.6)
        below.axhline(0, color="0.3", linewidth=0.8)
        below.axhline(1, color="0.3", linewidth=0.8)
        below.set(ylim=(-0.05, 1.05), xlim=grid[[0, -1]], yticks=[0, 1], yticklabels=["$z$", "$x$"], xticks=[])
        below.spines[:].set_visible(False)
        below.tick_params(length=0)
        if above is not axes[0, 0]:
            above.tick_params(labelleft=False)
            below.set_yticks([])
    axes[0, 0].set_ylabel("density, $D$")
    one_legend(fig, axes[0, :1], loc="outside upper right", ncols=3)
    return fig


@drawing
def transform(
    x: np.ndarray,
    cdf: np.ndarray,
    z: np.ndarray,
    ideal: np.ndarray,
    maps: Mapping[str, np.ndarray],
    distances: Mapping[str, Sequence[float]],
    floor: float,
) -> Figure:
    """Draw inverse-transform sampling, learned maps z → x, and how near each came to the data.

    ``cdf`` (n,) is the distribution function at ``x``; ``ideal`` and ``maps`` (m,) are values at ``z``; ``distances``
    (steps,) those of each map from the data, ``floor`` that of as many draws of the data.
    """
    fig = lesson_figure(2.5)
    left, middle, right = fig.subplots(1, 3)
    left.plot(x, cdf, color=DATA, linewidth=1.6)
    for u in np.arange(0.05, 1, 0.1):
        at = np.interp(u, cdf, x)
        left.plot([x[0], at, at], [u, u, 0], color=GENERATED, linewidth=0.6)
    left.set(xlabel="$x = F^{-1}(u)$", ylabel="$u = F(x)$", xlim=x[[0, -1]], ylim=(0, 1.02))
    panel_title(left, "inverse transform")
    middle.plot(z, ideal, color=DATA, linestyle=":", linewidth=1.8, label="$F^{-1}$")
    for (way, generated), colour in zip(maps.items(), (OTHER, GENERATED)):
        middle.plot(z, generated, color=colour, linewidth=1.5, label=way)
        right.plot(range(1, len(distances[way]) + 1), distances[way], color=colour, linewidth=1.2)
    middle.set(xlabel="$z$", ylabel="$G(z)$")
    panel_title(middle, "learned maps")
    right.axhline(floor, color=DATA, linestyle="--", label=f"{len(z)} draws of the data")
    right.set(xlabel="step", ylabel="$W_1$ to the data", yscale="log")
    panel_title(right, "during training")
    one_legend(fig, [middle, right], loc="outside lower center", ncols=4)
    return fig


ORDERS = {"simultaneous": DISCRIMINATOR, "alternating": GENERATED}
"""Colour of the two orders in which players may step."""


def _path(axis: Axes, path: np.ndarray, colour: str, label: str | None = None, arrows: int = 5) -> None:
    """Draw a path (steps, 2) in a plane that is set up, with arrows along it and a dot where it starts."""
    axis.plot(*path.T, color=colour, linewidth=0.9, alpha=0.85, label=label)
    axis.plot(*path[0], "o", color="black", markersize=3, zorder=3)
    outside = np.append(np.abs(path).max(axis=1) > axis.get_xlim()[1], True)
    inside = path[: outside.argmax()]
    along = np.linalg.norm(np.diff(inside, axis=0), axis=1).cumsum()
    for i in np.searchsorted(along, np.linspace(0, along[-1], arrows + 2)[1:-1]):
        axis.annotate("", inside[i + 1], inside[i], arrowprops=ARROW | {"color": colour, "mutation_scale": 8})


def _plane(axis: Axes, limit: float, title: str) -> None:
    """Set up the plane of θ and ψ: the direction of both gradients in grey, the saddle point as a cross."""
    side = np.linspace(-0.85, 0.85, 7) * limit
    theta, psi = np.meshgrid(side, side)
    style = {"color": "0.8", "width": 0.006, "scale": 12, "scale_units": "width", "zorder": 0}
    axis.quiver(theta, psi, -psi / limit, theta / limit, **style)
    axis.plot(0, 0, "+", color="black", markersize=7, zorder=3)
    axis.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="$\\theta$ (generator)")
    panel_title(axis, title)


@drawing
def circles(paths: Mapping[str, np.ndarray], limit: float) -> Figure:
    """Draw the game V = θψ by order of the steps, each (steps, 2) a path in the plane, and the radius over the steps.

    ``paths`` has the two orders of :data:`ORDERS`; the plane reaches from −``limit`` to ``limit``.
    """
    fig = lesson_figure(2.5)
    *planes, radius = fig.subplots(1, 3)
    for axis, (order, path) in zip(planes, paths.items()):
        _plane(axis, limit, order)
        _path(axis, path, ORDERS[order])
        radius.plot(np.linalg.norm(path, axis=1), color=ORDERS[order], linewidth=1.4, label=order)
    planes[0].set_ylabel("$\\psi$ (discriminator)")
    radius.set(xlabel="step", ylabel="distance from the saddle point", ylim=(0, None))
    panel_title(radius, "over the steps")
    one_legend(fig, [radius], loc="outside lower center", ncols=2)
    return fig


@drawing
def remedies(
    paths: Mapping[str, Mapping[str, np.ndarray]], distances: Mapping[str, Mapping[str, np.ndarray]], limit: float
) -> Figure:
    """Draw what remedies do to the game V = θψ: paths (steps, 2) by remedy and order, distances (steps,) below."""
    fig = lesson_figure(4.3)
    planes, curves = fig.subplots(2, len(paths), height_ratios=[1.15, 1])
    for plane, curve, (remedy, by_order) in zip(planes, curves, paths.items()):
        _plane(plane, limit, remedy)
        for order, path in by_order.items():
            _path(plane, path, ORDERS[order], order, arrows=3)
            curve.plot(distances[remedy][order], color=ORDERS[order], linewidth=1.3)
        curve.set(xlabel="step", yscale="log", ylim=(1e-4, 1e3))
        curve.axhline(1, color="0.8", linewidth=0.8, zorder=0)
        if plane is not planes[0]:
            plane.tick_params(labelleft=False)
            curve.tick_params(labelleft=False)
    planes[0].set_ylabel("$\\psi$ (discriminator)")
    curves[0].set_ylabel("distance from the\nsaddle point")
    one_legend(fig, planes[:1], loc="outside lower center", ncols=2)
    return fig


@drawing
def bilinear(paths: Mapping[str, np.ndarray], limit: float, titles: Mapping[str, str]) -> Figure:
    """Draw both orders of the game V = θψ for some rates: paths (steps, 2), with a title for each."""
    fig = Figure(figsize=(4.4, 3.1), layout="constrained")
    for axis, (order, path) in zip(fig.subplots(1, 2, sharey=True), paths.items()):
        _plane(axis, limit, titles[order])
        _path(axis, path, ORDERS[order], order)
    fig.axes[0].set_ylabel("$\\psi$ (discriminator)")
    one_legend(fig, fig.axes, loc="outside lower center", ncols=2)
    return fig


@drawing
def trained_circles(games: Mapping[str, np.ndarray], colours: Sequence[str] = (OTHER, GENERATED, "0.35")) -> Figure:
    """Draw trained GANs in the plane of two players, by title: (steps, 2, trainings), a colour for each training.

    The two coordinates are the mean of the generated values minus that of the data, and how much the logit of D
    rises across the data.
    """
    fig = lesson_figure(2.3)
    axes = fig.subplots(1, len(games), sharex=True, sharey=True)
    for axis, (title, path) in zip(axes, games.items()):
        for i, colour in zip(range(path.shape[2]), colours * path.shape[2]):
            axis.plot(*path[:, :, i].T, color=colour, linewidth=0.7, alpha=0.8)
            axis.plot(*path[0, :, i], "o", color="black", markersize=3, zorder=3)
        axis.plot(0, 0, "+", color="black", markersize=8, zorder=4)
        panel_title(axis, title)
    axes[0].set_ylabel("rise of the logit\nacross the data")
    fig.supxlabel("mean of $G(z)$ minus mean of the data", fontsize=8)
    return fig


@drawing
def troughs(real: np.ndarray, gaussian: np.ndarray, edges: np.ndarray, logit: np.ndarray, unit: str) -> Figure:
    """Draw histograms of the troughs of real windows and of draws, and the log-ratio of the two.

    ``real`` and ``gaussian`` (windows,) are troughs in the ``unit``, ``edges`` (bins + 1,) those of the histograms,
    ``logit`` (bins,) the discriminator's in the middle of each bin; a dot needs five windows of both kinds in its bin.
    """
    fig = lesson_figure(2.4)
    left, right = fig.subplots(1, 2)
    depth = (edges[1:] + edges[:-1]) / 2
    left.hist(real, edges, color=DATA, alpha=0.5, density=True, label="real windows")
    left.hist(
        gaussian, edges, histtype="step", color=GENERATED, linewidth=1.5, density=True, label="draws of the Gaussian"
    )
    right.plot(depth, logit, color=DISCRIMINATOR, linewidth=1.6, label="logit of $D$")
    counts = np.array([np.histogram(values, edges)[0] for values in (real, gaussian)])
    enough = counts.min(0) >= 5
    ratio = np.log(counts[0][enough] / counts[1][enough])
    right.plot(depth[enough], ratio, "o", color=DATA, markersize=4, label="log-ratio of the bins")
    right.axhline(0, color="0.8", linewidth=0.8)
    left.set(xlabel=f"trough ({unit})", ylabel="density")
    right.set(xlabel=f"trough ({unit})", ylabel="log (real / Gaussian)")
    one_legend(fig, [left, right], loc="outside lower center", ncols=4)
    return fig
