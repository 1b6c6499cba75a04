"""Draw the figures of lesson c12 · Energies: arrays in, a figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.lessons import DATA, DISCRIMINATOR, GENERATED, OTHER, lesson_figure, one_legend
from meagan_lib.plots.style import panel_title

COLOURS = (DISCRIMINATOR, OTHER, GENERATED, "0.35")
"""Of the ways to learn an energy, in their order; what is exact is black."""
MODEL = LinearSegmentedColormap.from_list("model", ["white", GENERATED])
TRUE = LinearSegmentedColormap.from_list("true", ["white", DATA])


def _map(axis: Axes, values: np.ndarray, extent: float, title: str, **style: object) -> object:
    """Draw values (side, side), first axis x₁, over the plane from −``extent`` to ``extent``."""
    image = axis.imshow(values.T, origin="lower", extent=(-extent, extent) * 2, interpolation="bilinear", **style)
    axis.set(xticks=[-2, 0, 2], yticks=[-2, 0, 2], xlabel="$x_1$")
    panel_title(axis, title)
    if not axis.get_subplotspec().is_first_col():
        axis.tick_params(labelleft=False)
    else:
        axis.set_ylabel("$x_2$")
    return image


def _points(axis: Axes, points: np.ndarray, density: np.ndarray, extent: float, title: str, colour: str) -> None:
    _map(axis, density, extent, title, cmap=TRUE, alpha=0.5)
    axis.scatter(*points.T, s=1.5, color=colour, linewidths=0, alpha=0.6, rasterized=True)
    axis.set(xlim=(-extent, extent), ylim=(-extent, extent))


@drawing
def landscape(energy: np.ndarray, densities: Mapping[str, np.ndarray], extent: float) -> Figure:
    """Draw an energy (side, side) and the Gibbs densities that it has at some temperatures, by title."""
    fig = lesson_figure(2.2)
    first, *others = fig.subplots(1, 1 + len(densities))
    image = _map(first, energy, extent, "energy $E$", cmap="cividis", vmin=energy.min(), vmax=energy.min() + 8)
    fig.colorbar(image, ax=first, location="left", extend="max", label="$E$", ticks=[0, 4, 8])
    first.set(yticks=[], ylabel="")
    for axis, (title, density) in zip(others, densities.items()):
        _map(axis, density, extent, title, cmap=MODEL, vmin=0)
    others[0].tick_params(labelleft=True)
    others[0].set_ylabel("$x_2$")
    return fig


@drawing
def chains(points: np.ndarray, density: np.ndarray, extent: float, title: str) -> Figure:
    """Draw points (n, 2) that Langevin steps reached, over the density (side, side) that they should have."""
    fig = Figure(figsize=(4.2, 3.2), layout="constrained")
    axis = fig.subplots()
    _points(axis, points, density, extent, title, GENERATED)
    axis.plot([], [], "o", color=GENERATED, markersize=3, label="chains")
    axis.plot([], [], "s", color=DATA, alpha=0.4, markersize=7, label="density")
    fig.legend(loc="outside right upper")
    return fig


@drawing
def langevin(
    shown: Mapping[str, np.ndarray],
    density: np.ndarray,
    extent: float,
    steps: np.ndarray,
    off: np.ndarray,
    floor: float,
    ratio: np.ndarray,
    limit: float,
) -> Figure:
    """Draw where chains are, by title (n, 2), and what their step size does.

    ``off`` and ``ratio`` (steps,) are the distance of the ring's chains from its density, and the variance of chains
    of one Gaussian over its own, at each step size; ``floor`` is the distance of exact draws, ``limit`` the step at
    which chains of the Gaussian diverge.
    """
    fig = lesson_figure(4.2)
    above, below = fig.subfigures(2, 1, height_ratios=[1.15, 1])
    for axis, (title, points) in zip(above.subplots(1, len(shown)), shown.items()):
        _points(axis, points, density, extent, title, GENERATED)
    left, right = below.subplots(1, 2)
    left.plot(steps, off, "o-", color=GENERATED, markersize=4, label="Langevin")
    left.axhline(floor, color="0.5", linestyle="--", linewidth=0.9, label="as many exact draws")
    left.set(xscale="log", xlabel="step size $\\varepsilon$", ylabel="total variation\nto the density", ylim=(0, None))
    panel_title(left, "the ring")
    fine = np.geomspace(steps[0], 0.97 * limit, 200)
    right.plot(fine, 1 / (1 - fine / limit), color="black", linestyle=":", label="$1 / (1 - \\varepsilon / 4s^2)$")
    right.plot(steps, ratio, "o", color=GENERATED, markersize=4, label="measured")
    right.set(xscale="log", yscale="log", xlabel="step size $\\varepsilon$", ylabel="variance / $s^2$")
    panel_title(right, "one Gaussian")
    for axis in (left, right):
        axis.legend(loc="upper left")
    return fig


@drawing
def learned(
    true: np.ndarray,
    densities: Mapping[str, np.ndarray],
    extent: float,
    steps: np.ndarray,
    kl: Mapping[str, np.ndarray],
) -> Figure:
    """Draw the ``true`` density (side, side), what was learned of it, by title, and KL (snapshots, trainings)."""
    fig = lesson_figure(3.9)
    above, below = fig.subfigures(2, 1)
    axes = above.subplots(1, 1 + len(densities))
    top = true.max()
    _map(axes[0], true, extent, "data", cmap=TRUE, vmin=0, vmax=top)
    for axis, (title, density) in zip(axes[1:], densities.items()):
        _map(axis, density, extent, title, cmap=MODEL, vmin=0, vmax=top)
    axis = below.subplots()
    for (title, values), colour in zip(kl.items(), COLOURS):
        axis.plot(steps, values, color=colour, linewidth=1.1)
        axis.plot([], [], color=colour, label=title.replace("\n", " "))
    axis.set(xlabel="training step", ylabel="KL(data ‖ model), nats", yscale="log", xlim=(0, steps[-1]))
    below.legend(loc="outside right center", title="one line per training", title_fontsize=7)
    return fig


@drawing
def discriminators(
    energies: Mapping[str, np.ndarray], extent: float, x: np.ndarray, cuts: Mapping[str, np.ndarray]
) -> Figure:
    """Draw energies (side, side) by title, the least of each at 0, and ``cuts`` (n,) through them at ``x`` (n,)."""
    fig = lesson_figure(4.0)
    above, below = fig.subfigures(2, 1, height_ratios=[1.1, 1])
    axes = above.subplots(1, len(energies))
    for axis, (title, energy) in zip(axes, energies.items()):
        image = _map(axis, energy - energy.min(), extent, title, cmap="cividis", vmin=0, vmax=8)
    above.colorbar(image, ax=axes, extend="max", label="$E - \\min E$", ticks=[0, 4, 8])
    axis = below.subplots()
    for (title, cut), colour, line in zip(cuts.items(), ("black", DISCRIMINATOR, OTHER), (":", "-", "-")):
        axis.plot(x, cut - cut.min(), color=colour, linestyle=line, linewidth=1.5, label=title.replace("\n", " "))
    axis.set(xlabel="$x_1$, at $x_2 = 0$", ylabel="$E - \\min E$", xlim=(x[0], x[-1]), ylim=(-0.3, 12))
    below.legend(loc="outside right center")
    return fig


@drawing
def accepted(shown: Mapping[str, np.ndarray], density: np.ndarray, extent: float) -> Figure:
    """Draw points (n, 2) by title over the density (side, side) of the data."""
    fig = lesson_figure(3.0)
    colours = (DATA, DISCRIMINATOR, GENERATED)
    for axis, (title, points), colour in zip(fig.subplots(1, len(shown)), shown.items(), colours):
        _points(axis, points, density, extent, title, colour)
    return fig


@drawing
def windows(
    time_ms: np.ndarray, examples: Mapping[str, np.ndarray], energies: Mapping[str, Sequence[np.ndarray]], unit: str
) -> Figure:
    """Draw windows before and after a change, by title, and below their energies.

    ``examples`` (2, samples) are one window before and after; ``energies`` the learned ones of held-out windows and of
    the same windows changed, two (n,).
    """
    fig = lesson_figure(3.3)
    axes = fig.subplots(2, len(examples), height_ratios=[1, 1.1], sharey="row", sharex="row")
    low, high = np.quantile(np.concatenate([e for pair in energies.values() for e in pair]), [0.001, 0.97])
    edges = np.linspace(low, high, 40)
    for (above, below), (title, (before, after)), (held_out, changed) in zip(
        axes.T, examples.items(), energies.values()
    ):
        above.plot(time_ms, before, color=DATA, linewidth=1)
        above.plot(time_ms, after, color=DISCRIMINATOR, linewidth=1)
        above.set(xlabel="time (ms)")
        panel_title(above, title)
        below.hist(held_out, edges, color=DATA, alpha=0.35, density=True, label="held-out windows")
        clipped = np.clip(changed, low, high)
        below.hist(clipped, edges, histtype="step", color=DISCRIMINATOR, linewidth=1.3, density=True, label="changed")
        below.set(xlabel="energy", yticks=[])
    axes[0, 0].set_ylabel(f"voltage ({unit})")
    axes[1, 0].set_ylabel("density")
    one_legend(fig, axes[1, :1], loc="outside lower center", ncols=2)
    return fig
