"""Draw the figures of lesson c2 · A game of densities: arrays in, a figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from scipy.stats import gaussian_kde

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
