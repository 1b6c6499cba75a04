"""Draw the figures of the lessons c1 to c5: arrays in, a figure out, nothing computed but what a picture needs.

Long because it draws five lessons: a section for each, in the order of its figures.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch
from scipy.stats import gaussian_kde

from meagan_lib import plots

DATA = plots.COLOURS["real"]
GENERATED, DISCRIMINATOR, OTHER = (colour for colour, _ in plots.SERIES[:3])
SMALL = (4, 2.4)
"""Size of a figure under sliders, in inches: two go in a row."""
ARROW = {"arrowstyle": "-|>", "color": "0.35", "linewidth": 1, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 10}
PREFERENCE = LinearSegmentedColormap.from_list("preference", ["white", DISCRIMINATOR])


def _title(axis: Axes, words: str) -> None:
    axis.set_title(words, fontweight="normal", fontsize=8)


def _two_densities(axis: Axes, x: np.ndarray, p: np.ndarray, q: np.ndarray) -> None:
    axis.fill_between(x, p, color=DATA, alpha=0.25, linewidth=0, label="$p_\\mathrm{data}$")
    axis.fill_between(x, q, color=GENERATED, alpha=0.25, linewidth=0, label="$p_g$")


def _one_legend(fig: Figure, axes: Sequence[Axes], **options: object) -> None:
    """Put the labels of all axes into one legend, each once."""
    labelled = {label: line for axis in axes for line, label in zip(*axis.get_legend_handles_labels())}
    fig.legend(labelled.values(), labelled, **options)


# c1: neural networks


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
    fig = Figure(figsize=(plots.WIDTH, 3.4), layout="constrained")
    axis = fig.subplots()
    _network(axis, layers)
    axis.set_ylim(-1.6, 1.25)
    hidden = [f"hidden layer {i}" for i in range(1, len(layers) - 1)]
    for i, label in enumerate(["input $x$", *hidden, "output"]):
        axis.text(i, -1.5, label, ha="center", fontsize=8)
    return fig


def neuron_sketch() -> Figure:
    """Draw a neuron with three inputs: weights, sum, threshold, activation function (figure 1.2 of the thesis)."""
    fig = Figure(figsize=(plots.WIDTH, 2.2), layout="constrained")
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
    fig = Figure(figsize=(plots.WIDTH, 3.4), layout="constrained")
    for axis, label in zip(fig.subplots(2, 3, sharex=True, sharey=True).flat, values):
        axis.axhline(0, color="0.85", linewidth=0.6)
        axis.plot(h, values[label], color=GENERATED, linewidth=1.5, label="$f(h)$")
        axis.plot(h, slopes[label], color=DISCRIMINATOR, linestyle="--", linewidth=1.5, label="derivative $f'(h)$")
        _title(axis, label)
        axis.set(ylim=(-1.3, 2.3), xlim=(-4, 4))
    fig.supxlabel("weighted sum $h$", fontsize=8)
    _one_legend(fig, [axis], loc="outside upper right", ncols=2)
    return fig


def neuron(x: np.ndarray, output: np.ndarray, weight: float, threshold: float, activation: str) -> Figure:
    """Draw the ``output`` (n,) of a neuron with one input ``x`` (n,), and where the weighted input is the threshold."""
    fig = Figure(figsize=SMALL, layout="constrained")
    axis = fig.subplots()
    axis.plot(x, output, color=GENERATED, linewidth=1.8, label="output")
    axis.axvline(threshold / weight, color=DISCRIMINATOR, linestyle="--", label="$wx = b$")
    axis.set(xlabel="input $x$", ylabel="$f(wx - b)$", xlim=(-3, 3), ylim=(-1.1, 2.1))
    _title(axis, f"w = {weight:g}, b = {threshold:g}, {activation}")
    fig.legend(loc="outside right upper")
    return fig


def xor(maps: Mapping[str, np.ndarray], x: np.ndarray, target: np.ndarray, solved: Mapping[int, float]) -> Figure:
    """Draw what two networks answer all over the plane, and the fraction of trainings that solve XOR.

    ``maps`` (side, side) are outputs over [−0.4, 1.4]², by title; ``x`` (4, 2) and ``target`` (4,) the patterns;
    ``solved`` the fraction of trainings by the number of hidden neurons.
    """
    fig = Figure(figsize=(plots.WIDTH, 2.4), layout="constrained")
    axes = fig.subplots(1, 3, width_ratios=[1, 1, 1.15])
    for axis, (title, values) in zip(axes, maps.items()):
        mesh = axis.imshow(values, origin="lower", extent=(-0.4, 1.4) * 2, cmap="RdBu", vmin=0, vmax=1)
        for t, marker in ((0, "o"), (1, "s")):
            points = x[target == t].T
            axis.scatter(*points, marker=marker, color="white", edgecolor="black", s=42, zorder=2, label=f"target {t}")
        axis.set(xlabel="$x_1$", ylabel="$x_2$", xticks=[0, 1], yticks=[0, 1])
        _title(axis, title)
    axes[1].set_ylabel("")
    fig.colorbar(mesh, ax=axes[1], label="output $O$", ticks=[0, 0.5, 1], shrink=0.9)
    axes[2].bar([str(n) for n in solved], list(solved.values()), color=GENERATED, width=0.7)
    axes[2].set(xlabel="hidden neurons", ylabel="fraction of trainings\nthat solve XOR", ylim=(0, 1.05))
    _one_legend(fig, axes[:1], loc="outside lower left", ncols=2)
    return fig


def dropout(
    layers: Sequence[int], off: Sequence[tuple[int, int]], p: float, sums: np.ndarray, without: float
) -> Figure:
    """Draw a network, the same in one step of training with dropout, and what dropout does to a weighted sum.

    Figure 1.6 of the thesis. ``off`` are the (layer, neuron) switched off, ``sums`` (draws,) the weighted sum with
    dropout, ``without`` the same without.
    """
    fig = Figure(figsize=(plots.WIDTH, 2.3), layout="constrained")
    axes = fig.subplots(1, 3, width_ratios=[1, 1, 1.1])
    for axis, switched, title in zip(axes, ((), off), ("without dropout", f"one draw of dropout, $p$ = {p:g}")):
        _network(axis, layers, switched)
        _title(axis, title)
    axis = axes[2]
    axis.hist(sums, 40, color=GENERATED, alpha=0.5, density=True, label="with dropout")
    axis.axvline(without, ymax=0.66, color=DATA, linewidth=1.8, label="without")
    axis.axvline(sums.mean(), ymax=0.66, color=DISCRIMINATOR, linestyle="--", linewidth=1.8, label="mean with dropout")
    axis.set(xlabel="weighted sum of 64 neurons", ylabel="density", ylim=(0, 1.5 * axis.get_ylim()[1]))
    axis.legend(loc="upper left")
    return fig


def batch_norm(gains: Sequence[float], spreads: Mapping[str, np.ndarray]) -> Figure:
    """Draw the standard deviation of activations layer by layer, (gains, layers) by title, a line for each gain."""
    fig = Figure(figsize=(plots.WIDTH, 2.3), layout="constrained")
    axes = fig.subplots(1, 2, sharey=True)
    for axis, (title, rows) in zip(axes, spreads.items()):
        layers = range(1, rows.shape[1] + 1)
        for (colour, marker), size, gain, row in zip(plots.SERIES, (7, 5, 3), gains, rows):  # they may coincide
            axis.plot(layers, row, color=colour, marker=marker, markersize=size, label=f"{gain:g}")
        axis.set(xlabel="layer", yscale="log", ylim=(3e-4, 2), xticks=layers)
        _title(axis, title)
    axes[0].set_ylabel("standard deviation of $f(h)$")
    _one_legend(fig, axes, loc="outside right center", title="gain of\nthe weights", title_fontsize=7)
    return fig


def logits_of_two_networks(is_real: np.ndarray, logits: Mapping[str, np.ndarray], auc: Mapping[str, float]) -> Figure:
    """Draw histograms of the ``logits`` (n,) of real and of other windows, for each network."""
    fig = Figure(figsize=(plots.WIDTH, 2.2), layout="constrained")
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
        _title(axis, f"{label}: AUC {auc[label]:.2f}")
    _one_legend(fig, [axis], loc="outside right center")
    return fig


# c2: the game of a GAN in one dimension


def film(frames: Sequence[Figure], frame_ms: int) -> bytes:
    """Make a GIF that plays three times and then stands still."""
    endless, thrice = (b"NETSCAPE2.0\x03\x01" + bytes([repeats, 0]) for repeats in (0, 2))
    return plots.animation(frames, frame_ms).replace(endless, thrice, 1)


def gan_sketch() -> Figure:
    """Draw generator, data and discriminator, and the gradient between them (figure 1.4 of the thesis)."""
    fig = Figure(figsize=(plots.WIDTH, 2.3), layout="constrained")
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
    fig = Figure(figsize=(plots.WIDTH, 2.5), layout="constrained")
    left, right = fig.subplots(1, 2)
    _two_densities(left, x, p, q)
    sides = ((left, lambda logit: 1 / (1 + np.exp(-logit)), p / (p + q)), (right, np.asarray, np.log(p / q)))
    for axis, of, best in sides:
        for step, logit, alpha in zip(steps, logits, (0.35, 0.6, 1)):
            axis.plot(x, of(logit), color=to_rgba(DISCRIMINATOR, alpha), linewidth=1.5, label=f"$D$ at step {step}")
        axis.plot(x, best, color="black", linestyle=":", linewidth=1.5, label="$D^*$")
        axis.set(xlabel="$x$", xlim=(-4, 4))
    left.set(ylabel="density, $D(x)$", ylim=(0, 1.02))
    right.set(ylabel="logit of $D$; dotted: $\\log\\, p_\\mathrm{data}/p_g$", ylim=(-8, 5))
    _one_legend(fig, [left], loc="outside right center")
    return fig


def value_of_game(
    x: np.ndarray, p: np.ndarray, q: np.ndarray, distances: np.ndarray, values: np.ndarray, distance: float, title: str
) -> Figure:
    """Draw two densities with the best discriminator, and what the game is worth at all ``distances``."""
    fig = Figure(figsize=(4.4, 3.6), layout="constrained")
    above, below = fig.subplots(2, 1, height_ratios=[1.6, 1])
    _two_densities(above, x, p, q)
    above.plot(x, p / (p + q), color=DISCRIMINATOR, linewidth=1.5, label="$D^*$")
    above.set(xlabel="$x$", ylabel="density, $D^*$", xlim=(-4, 14), ylim=(0, 1.02))
    _title(above, title)
    below.axhline(0, color="0.6", linewidth=0.8, linestyle="--", label="0: no overlap")
    below.axhline(-np.log(4), color="0.6", linewidth=0.8, linestyle=":", label="$-\\log 4$: equal")
    below.plot(distances, values, color=DATA, linewidth=1.5, label="$V(D^*, G)$")
    below.plot([distance], [np.interp(distance, distances, values)], "o", color=DATA, markersize=5)
    below.set(xlabel="distance of the means", ylabel="value $V$", xlim=(-0.2, 12.2), ylim=(-1.5, 0.15))
    _one_legend(fig, [above, below], loc="outside right upper")
    return fig


def phases(
    grid: np.ndarray,
    p: np.ndarray,
    z: np.ndarray,
    snapshots: Sequence[tuple[str, np.ndarray, np.ndarray]],
    width: float = plots.WIDTH,
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
        _title(above, title)
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
    _one_legend(fig, axes[0, :1], loc="outside upper right", ncols=3)
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
    fig = Figure(figsize=(plots.WIDTH, 2.5), layout="constrained")
    left, middle, right = fig.subplots(1, 3)
    left.plot(x, cdf, color=DATA, linewidth=1.6)
    for u in np.arange(0.05, 1, 0.1):
        at = np.interp(u, cdf, x)
        left.plot([x[0], at, at], [u, u, 0], color=GENERATED, linewidth=0.6)
    left.set(xlabel="$x = F^{-1}(u)$", ylabel="$u = F(x)$", xlim=x[[0, -1]], ylim=(0, 1.02))
    _title(left, "inverse transform")
    middle.plot(z, ideal, color=DATA, linestyle=":", linewidth=1.8, label="$F^{-1}$")
    for (way, generated), colour in zip(maps.items(), (OTHER, GENERATED)):
        middle.plot(z, generated, color=colour, linewidth=1.5, label=way)
        right.plot(range(1, len(distances[way]) + 1), distances[way], color=colour, linewidth=1.2)
    middle.set(xlabel="$z$", ylabel="$G(z)$")
    _title(middle, "learned maps")
    right.axhline(floor, color=DATA, linestyle="--", label=f"{len(z)} draws of the data")
    right.set(xlabel="step", ylabel="$W_1$ to the data", yscale="log")
    _title(right, "during training")
    _one_legend(fig, [middle, right], loc="outside lower center", ncols=4)
    return fig


def troughs(real: np.ndarray, gaussian: np.ndarray, edges: np.ndarray, logit: np.ndarray, unit: str) -> Figure:
    """Draw histograms of the troughs of real windows and of draws, and the log-ratio of the two.

    ``real`` and ``gaussian`` (windows,) are troughs in the ``unit``, ``edges`` (bins + 1,) those of the histograms,
    ``logit`` (bins,) the discriminator's in the middle of each bin; a dot needs five windows of both kinds in its bin.
    """
    fig = Figure(figsize=(plots.WIDTH, 2.4), layout="constrained")
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
    _one_legend(fig, [left, right], loc="outside lower center", ncols=4)
    return fig


# c3: losses

LOSS_COLOURS = {"minimax": OTHER, "non_saturating": DATA}
"""Of the two generator losses that the thesis compares."""
LOSS_WORDS = {"minimax": "$\\log(1 - D)$", "non_saturating": "$-\\log D$"}


def two_losses(d: np.ndarray, values: Mapping[str, np.ndarray], slopes: Mapping[str, np.ndarray]) -> Figure:
    """Draw the losses of a generator and their slopes with respect to the logit, (n,) each, against D(G(z))."""
    fig = Figure(figsize=(plots.WIDTH, 2.5), layout="constrained")
    left, right = fig.subplots(1, 2)
    for loss, colour in LOSS_COLOURS.items():
        left.plot(d, values[loss], color=colour, linewidth=1.6, label=LOSS_WORDS[loss])
        right.plot(d, slopes[loss], color=colour, linewidth=1.6)
    left.set(xlabel="$D(G(z))$", ylabel="loss of the generator", ylim=(-5, 5), xlim=(0, 1))
    right.set(xlabel="$D(G(z))$", ylabel="$|\\partial L_G / \\partial l|$", ylim=(0, 1.03), xlim=(0, 1))
    for axis in (left, right):
        axis.axvspan(0, 0.15, color="0.93", linewidth=0)
    left.text(0.165, -3.5, "$D$ rejects $G(z)$:\nearly training", fontsize=7.5, color="0.35", va="center")
    _one_legend(fig, [left], loc="outside right center")
    return fig


def gradients_while_d_learns(
    by_logit: Mapping[str, Sequence[float]], by_weights: Mapping[str, Sequence[float]]
) -> Figure:
    """Draw, for two losses, the gradient that a fixed generator would get at each step of the discriminator."""
    fig = Figure(figsize=(plots.WIDTH, 2.4), layout="constrained")
    axes = fig.subplots(1, 2)
    labels = ("mean $|\\partial L_G / \\partial l|$", "$\\|\\partial L_G / \\partial \\theta_G\\|$")
    for axis, measured, label in zip(axes, (by_logit, by_weights), labels):
        for loss, values in measured.items():
            axis.plot(range(len(values)), values, color=LOSS_COLOURS[loss], linewidth=1.5, label=LOSS_WORDS[loss])
        axis.set(xlabel="steps of D, with G fixed", ylabel=label, yscale="log")
    _one_legend(fig, axes, loc="outside right center")
    return fig


def six_losses(logit: np.ndarray, curves: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw losses against the logit (n,): by title, what D pays for a real and a generated window, and what G pays."""
    fig = Figure(figsize=(plots.WIDTH, 3.6), layout="constrained")
    styles = ((DATA, "-"), (DISCRIMINATOR, "-"), (GENERATED, "--"))
    for axis, (title, its) in zip(fig.subplots(2, 3, sharex=True).flat, curves.items()):
        for (who, values), (colour, dash) in zip(its.items(), styles):
            axis.plot(logit, values, color=colour, linestyle=dash, linewidth=1.5, label=who)
        axis.set(xlim=(-4, 4), ylim=(-4.3, 5.5))
        _title(axis, title)
    fig.supxlabel("logit of the window", fontsize=8)
    fig.supylabel("loss", fontsize=8)
    _one_legend(fig, [axis], loc="outside upper right", ncols=3)
    return fig


def soft_label(logit: np.ndarray, loss: np.ndarray, label: float) -> Figure:
    """Draw the discriminator's ``loss`` (n,) for one label against the ``logit``, and where it is lowest."""
    fig = Figure(figsize=(4.4, 2.4), layout="constrained")
    axis = fig.subplots()
    axis.plot(logit, loss, color=DISCRIMINATOR, linewidth=1.8, label="loss")
    if 0 < label < 1:
        axis.axvline(np.log(label / (1 - label)), color=DATA, linestyle=":", label="minimum")
    axis.set(xlabel="logit", ylabel="loss of $D$", xlim=(-6, 6), ylim=(-1.3, 6))
    _title(axis, f"label {label:g}: " + (f"lowest at D = {label:g}" if 0 < label < 1 else "no minimum"))
    fig.legend(loc="outside right upper")
    return fig


def soft_labels(
    x: np.ndarray, p: np.ndarray, q: np.ndarray, trained: Mapping[str, np.ndarray], best: Mapping[str, np.ndarray]
) -> Figure:
    """Draw discriminators trained with several kinds of labels, (n,) at ``x``, and the best one for each (dotted)."""
    fig = Figure(figsize=(plots.WIDTH, 2.6), layout="constrained")
    axis = fig.subplots()
    _two_densities(axis, x, p, q)
    for kind, colour in zip(trained, (DISCRIMINATOR, OTHER, DATA)):
        axis.plot(x, trained[kind], color=colour, linewidth=1.6, label=f"$D$, {kind}")
        axis.plot(x, best[kind], color=colour, linestyle=":", linewidth=1.4)
    axis.set(xlabel="$x$", ylabel="density, $D(x)$", xlim=x[[0, -1]], ylim=(-0.02, 1.04))
    axis.plot([], [], color="0.4", linestyle=":", label="$D^*$ of each")
    _one_legend(fig, [axis], loc="outside right center")
    return fig


def gradients_for_two_generators(d: Mapping[str, np.ndarray]) -> Figure:
    """Draw the slopes of both losses while D learns, from its mean output D(G(z)) (steps,) for each generator."""
    fig = Figure(figsize=(plots.WIDTH, 2.7), layout="constrained")
    axis = fig.subplots()
    for (generator, values), dash in zip(d.items(), ("--", "-")):
        for loss, slope in (("minimax", values), ("non_saturating", 1 - values)):
            words = f"{LOSS_WORDS[loss]}, {generator}"
            axis.plot(slope, color=LOSS_COLOURS[loss], linestyle=dash, linewidth=1.5, label=words)
    axis.set(xlabel="steps of D, with G fixed", ylabel="mean $|\\partial L_G / \\partial l|$", yscale="log")
    _one_legend(fig, [axis], loc="outside lower center", ncols=2)
    return fig


# c4: mode collapse

EXTENT = 2.9
"""Half the side of the plane that is shown."""


def _points(axis: Axes, points: np.ndarray, centres: np.ndarray, radius: float, title: str) -> None:
    for centre in centres:
        axis.add_patch(Circle(centre, radius, facecolor="none", edgecolor=DATA, linewidth=0.6))
    axis.scatter(*points.T, s=1.5, color=GENERATED, linewidths=0, alpha=0.5, rasterized=True)
    axis.set(xlim=(-EXTENT, EXTENT), ylim=(-EXTENT, EXTENT), aspect="equal")
    axis.set(xticks=[-2, 0, 2], yticks=[-2, 0, 2])
    _title(axis, title)


def _game(axis: Axes, points: np.ndarray, logits: np.ndarray, centres: np.ndarray, radius: float, title: str) -> None:
    """Draw generated points over the logits of D, white where they are low and orange where they are high."""
    low, high = np.quantile(logits, [0.02, 0.98])
    extent = (-EXTENT, EXTENT) * 2
    style = {"origin": "lower", "alpha": 0.7, "interpolation": "bilinear"}
    axis.imshow(logits, extent=extent, cmap=PREFERENCE, vmin=low, vmax=high, **style)
    _points(axis, points, centres, radius, title)


def point_sets(sets: Mapping[str, np.ndarray], centres: np.ndarray, radius: float) -> Figure:
    """Draw sets of points (n, 2), by title, over the modes: circles of the ``radius`` around ``centres`` (modes, 2)."""
    fig = Figure(figsize=(plots.WIDTH, 2.35), layout="constrained")
    axes = fig.subplots(1, len(sets), sharey=True)
    for axis, (title, points) in zip(axes, sets.items()):
        _points(axis, points, centres, radius, title)
    fig.supxlabel("$x_1$", fontsize=8)
    axes[0].set_ylabel("$x_2$")
    return fig


def games(shown: Mapping[str, tuple[np.ndarray, np.ndarray]], centres: np.ndarray, radius: float) -> Figure:
    """Draw several games side by side, by title: generated points (n, 2), over the logits (side, side) of D."""
    fig = Figure(figsize=(plots.WIDTH, 1.9), layout="constrained")
    for axis, (title, its) in zip(fig.subplots(1, len(shown), sharey=True), shown.items()):
        _game(axis, *its, centres, radius, title)
        axis.set(xticks=[], yticks=[])
    return fig


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


def histories(shown: Mapping[str, tuple[np.ndarray, ...]], n_modes: int) -> Figure:
    """Draw modes covered, quality and loss of D over the steps, a column for each game and a line for each training.

    A game has its steps (snapshots,), then the three, each (snapshots, trainings). Losses have a scale for each game.
    """
    fig = Figure(figsize=(plots.WIDTH, 3.9), layout="constrained")
    axes = fig.subplots(3, len(shown), sharex="col")
    for column, (title, (steps, covered, quality, loss)) in zip(axes.T, shown.items()):
        _title(column[0], title)
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


def clusters(
    time_ms: np.ndarray, waveforms: np.ndarray, held_out: np.ndarray, generated: Mapping[str, np.ndarray]
) -> Figure:
    """Draw the fraction of windows in each cluster, held-out and generated, under the mean window of each.

    ``waveforms`` (clusters, samples), ``held_out`` (clusters,), ``generated`` (trainings, clusters) by game.
    """
    n = len(waveforms)
    fig = Figure(figsize=(plots.WIDTH, 2.9), layout="constrained")
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
    _one_legend(fig, [axis], loc="outside lower center", ncols=3)
    return fig


# c5: the Wasserstein distance


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
    fig = Figure(figsize=(plots.WIDTH, 2.7), layout="constrained")
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
    _one_legend(fig, [middle], loc="outside lower center", ncols=3)
    right.legend(loc="upper left")
    return fig


def two_lines_blurred(x: np.ndarray, p: np.ndarray, q: np.ndarray, title: str) -> Figure:
    """Draw the densities ``p`` and ``q`` (n,) of two blurred lines, seen from their end."""
    fig = Figure(figsize=(4.4, 2.4), layout="constrained")
    axis = fig.subplots()
    _two_densities(axis, x, p, q)
    axis.set(xlabel="$x_1$", ylabel="density", xlim=(-1, 2), ylim=(0, None))
    _title(axis, title)
    fig.legend(loc="outside right upper")
    return fig


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
    fig = Figure(figsize=(plots.WIDTH, 4.9), layout="constrained")
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
        _title(top, label)
        middle.plot(x, np.abs(slopes[label]).T, color=colour, linewidth=0.9)
        middle.axhline(1, color="black", linestyle=":", linewidth=1.4)
        middle.set(yscale="log", ylim=(1e-6, 1e5), xlabel="$x$", xticks=[-2, 0, 2, 4])
        limit = limits[label]
        bottom.hist(weights[label], np.linspace(-1.02 * limit, 1.02 * limit, 52), color=colour, histtype="stepfilled")
        bottom.set(yscale="log", xlabel="weight", xticks=[-limit, 0, limit])
    for axis, words in zip(axes[:, 0], ("$f(x)$ / its\nsteepest slope", "$|f'(x)|$", "number\nof weights")):
        axis.set_ylabel(words)
    _one_legend(fig, [axes[0, 0], axes[0, -1]], loc="outside lower center", ncols=5)
    return fig


def gains(
    real: np.ndarray,
    scaled: Mapping[str, np.ndarray],
    gain: np.ndarray,
    js: Mapping[str, np.ndarray],
    wasserstein: np.ndarray,
    unit: str,
) -> Figure:
    """Draw troughs of real windows and of windows multiplied by a gain, JS and W₁ against the ``gain`` (gains,)."""
    fig = Figure(figsize=(plots.WIDTH, 2.5), layout="constrained")
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
