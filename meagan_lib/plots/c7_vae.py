"""Draw the figures of lesson c7 · The variational autoencoder: arrays in, a figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.lessons import DATA, DISCRIMINATOR, GENERATED, lesson_figure
from meagan_lib.plots.style import SERIES, panel_title


@drawing
def latent_spaces(
    time_ms: np.ndarray,
    factors: np.ndarray,
    mu: Mapping[str, np.ndarray],
    decoded: Mapping[str, np.ndarray],
    near: Mapping[str, np.ndarray],
) -> Figure:
    """Draw where two models put curves, and what they make of draws from the prior.

    Parameters
    ----------
    time_ms
        Times (samples,) of the curves.
    factors
        Width of the trough and height of the hump (n, 2) of the curves.
    mu
        Of each model, the latent numbers (n, 2) of the curves.
    decoded, near
        Of each model, curves (draws, samples) decoded from the prior, and which of them are like the data.
    """
    fig = lesson_figure(4.4)
    for row, label in zip(fig.subplots(2, 3, width_ratios=[1, 1, 1.25]), mu):
        for axis, values, word in zip(row, factors.T, ("width of the trough (ms)", "height of the hump")):
            dots = axis.scatter(*mu[label].T, c=values, s=5, linewidths=0, cmap="viridis", rasterized=True)
            axis.add_patch(Circle((0, 0), 2, fill=False, edgecolor=DATA, linewidth=1.5, linestyle="--"))
            axis.set(xlabel="$z_1$", ylabel="$z_2$", aspect="equal", adjustable="datalim")
            if label == list(mu)[-1]:
                fig.colorbar(dots, ax=axis, label=word, location="bottom", shrink=0.8)
        panel_title(row[0], f"{label}: $\\mu$ of unseen curves")
        for curve, its in zip(decoded[label], near[label]):
            row[2].plot(time_ms, curve, color=GENERATED if its else DISCRIMINATOR, linewidth=1)
        row[2].set(xlabel="time (ms)", ylabel="decoded curve")
        panel_title(row[2], f"{label}: {len(decoded[label])} draws from the prior")
    words = (GENERATED, "-", "like the data: within their noise"), (DISCRIMINATOR, "-", "unlike the data")
    words = (DATA, "--", "two SD of the prior"), *words
    handles = [Line2D([], [], color=colour, linestyle=dash, label=word) for colour, dash, word in words]
    fig.legend(handles=handles, loc="outside lower right", ncols=3)
    return fig


@drawing
def latent_walk(time_ms: np.ndarray, mu: np.ndarray, z: tuple[float, float], curve: np.ndarray) -> Figure:
    """Draw where ``z`` lies among the ``mu`` (n, 2) of curves, and the curve (samples,) that is decoded from it."""
    fig = lesson_figure(2.2, 4)
    left, right = fig.subplots(1, 2, width_ratios=[1, 1.3])
    left.scatter(*mu.T, color="0.8", s=3, linewidths=0, label="$\\mu$ of unseen curves")
    left.plot(*z, "o", color=DISCRIMINATOR, label="$z$")
    left.set(xlabel="$z_1$", ylabel="$z_2$", xlim=(-2.8, 2.8), ylim=(-2.8, 2.8), aspect="equal")
    right.plot(time_ms, curve, color=GENERATED, linewidth=1.8, label="decoded curve")
    right.set(xlabel="time (ms)", ylabel="decoded", ylim=(-1.3, 1.1))
    fig.legend(loc="outside lower center", ncols=3, markerscale=1.5)
    return fig


@drawing
def gradient_errors(draws: np.ndarray, error: Mapping[str, np.ndarray]) -> Figure:
    """Draw the relative error (sizes,) of estimates of a gradient, by how many ``draws`` (sizes,) they use."""
    fig = lesson_figure(2.6)
    axis = fig.subplots()
    for (colour, marker), (label, its) in zip((SERIES[i] for i in (1, 2, 0)), error.items()):
        axis.plot(draws, its, color=colour, marker=marker, markersize=4, label=label)
    axis.plot(draws, its[0] / draws**0.5, color="0.6", linestyle=":", label="$1/\\sqrt{n}$")
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="number $n$ of draws of $z$",
        ylabel="error of the gradient\n(relative to its length)",
    )
    fig.legend(*axis.get_legend_handles_labels(), loc="outside right center")
    return fig


@drawing
def latent_paths(
    fraction: np.ndarray,
    length: Mapping[str, np.ndarray],
    shell: tuple[float, float],
    dimensions: Sequence[int],
    inside: Mapping[str, Sequence[float]],
) -> Figure:
    """Draw the mean length of z along ways between two draws, and how many midpoints lie in the shell of the prior.

    Parameters
    ----------
    fraction, length
        Fractions (n,) of the way, and of each kind of way the mean length of z (n,) there, divided by √d.
    shell
        Least and largest length, divided by √d, of 99 % of the prior.
    dimensions, inside
        Numbers of dimensions, and of each kind of way the fraction of midpoints within the shell.
    """
    fig = lesson_figure(2.5)
    left, right = fig.subplots(1, 2)
    left.axhspan(*shell, color=DATA, alpha=0.15, linewidth=0, label="99 % of the prior")
    for (colour, marker), label in zip(SERIES[1::-1], length):
        left.plot(fraction, length[label], color=colour, linewidth=1.8, label=label)
        right.plot(dimensions, inside[label], color=colour, marker=marker, markersize=4, clip_on=False)
    left.set(xlabel="fraction of the way", ylabel="length of $z$ / $\\sqrt{d}$", ylim=(0.6, 1.4))
    panel_title(left, "mean length on the way, $d$ = 64")
    right.set(
        xlabel="dimensions $d$", ylabel="fraction of midpoints\nwithin 99 % of the prior", xscale="log", ylim=(0, 1)
    )
    right.set_xticks([2, 8, 32, 128, 512], ["2", "8", "32", "128", "512"])
    right.minorticks_off()
    fig.legend(*left.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return fig


@drawing
def rate_distortion(
    beta: np.ndarray,
    kl: np.ndarray,
    error: np.ndarray,
    active: np.ndarray,
    noise: float | None,
    words: str,
    unit: str = "",
) -> Figure:
    """Draw rate against distortion for each ``beta`` (n,), and the KL (n, latent) of each latent number.

    Parameters
    ----------
    error, active
        RMS error and number of active latent numbers, each (n,).
    noise, words
        Level of the noise, if it is known, and what it is of.
    unit
        Follows "RMS error", such as ", z-scores".
    """
    fig = lesson_figure(2.8)
    left, right = fig.subplots(1, 2)
    left.plot(kl.sum(1), error, color="0.75", zorder=1)
    for b, x, y, colour in zip(beta, kl.sum(1), error, colormaps["plasma"](np.linspace(0, 0.85, len(beta)))):
        left.plot(x, y, "o", color=colour, markersize=5, label=f"β = {b:g}", clip_on=False)
    if noise is not None:
        left.axhline(noise, color=DATA, linestyle="--", linewidth=1, label=words)
    left.set(xlabel="rate (nats)", ylabel=f"distortion (RMS error{unit})", ylim=(0, 1.15 * error.max()))
    left.set_xlim(0, None)
    mesh = right.pcolormesh(np.clip(kl, 1e-3, None).T, cmap="viridis", norm=LogNorm(1e-3, 10), edgecolors="white")
    right.set(xlabel="β", ylabel="latent number", ylim=(kl.shape[1], 0))
    right.set_xticks(np.arange(len(beta)) + 0.5, [f"{b:g}" for b in beta])
    right.set_yticks(np.arange(1, kl.shape[1], 2) + 0.5, np.arange(2, kl.shape[1] + 1, 2))
    for i, n in enumerate(active):
        right.text(i + 0.5, -0.02 * kl.shape[1], f"{n} active", ha="center", fontsize=7)
    fig.colorbar(mesh, ax=right, label="KL from the prior (nats)", extend="min")
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=6)
    return fig


@drawing
def denoising_fields(
    points: np.ndarray, at: np.ndarray, learned: Mapping[float, np.ndarray], exact: Mapping[float, np.ndarray]
) -> Figure:
    """Draw where denoisers move places ``at`` (n, 2), learned and exact (n, 2) by the noise s, over the data (m, 2).

    Arrows longer than the distance of two places are cut to it.
    """
    fig = lesson_figure(3.1)
    longest = 6 / (len(at) ** 0.5 - 1)

    def cut(steps: np.ndarray) -> np.ndarray:
        return (steps * np.minimum(1, longest / np.linalg.norm(steps, axis=1, keepdims=True))).T

    style = dict(angles="xy", scale_units="xy", scale=1, units="inches", headwidth=4)
    for axis, s in zip(axes := fig.subplots(1, 3, sharey=True), learned):
        axis.scatter(*points.T, s=2, color=DATA, alpha=0.3, linewidths=0, rasterized=True)
        axis.quiver(*at.T, *cut(exact[s]), color=DISCRIMINATOR, width=0.022, **style)
        axis.quiver(*at.T, *cut(learned[s]), color=GENERATED, width=0.01, **style)
        axis.set(xlabel="$x_1$", aspect="equal", xlim=(-3.2, 3.2), ylim=(-3.2, 3.2))
        panel_title(axis, f"noise $s$ = {s:g}")
    axes[0].set_ylabel("$x_2$")
    handles = [Line2D([], [], color=c, linewidth=width) for c, width in ((DISCRIMINATOR, 3), (GENERATED, 1.5))]
    dots = Line2D([], [], color=DATA, marker="o", markersize=2, linestyle="", label="data")
    words = ["exact: $s^2\\, \\nabla \\log p_s$", "learned: $r(x) - x$", "data"]
    fig.legend([*handles, dots], words, loc="outside upper right", ncols=3)
    return fig


@drawing
def moved_points(points: np.ndarray, moved: np.ndarray, title: str) -> Figure:
    """Draw points (n, 2) where they have been ``moved`` to, over the data (m, 2)."""
    fig = lesson_figure(2.8, 4)
    axis = fig.subplots()
    axis.scatter(*points.T, s=3, color=DATA, alpha=0.3, linewidths=0, label="data")
    axis.scatter(*moved.T, s=9, color=GENERATED, linewidths=0, label="points")
    axis.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal", xlim=(-4, 4), ylim=(-4, 4))
    panel_title(axis, title)
    fig.legend(loc="outside lower center", ncols=2, markerscale=1.5)
    return fig


@drawing
def sparse_codes(
    weight: np.ndarray,
    active: np.ndarray,
    error: np.ndarray,
    clean: np.ndarray,
    noise: float,
    time_ms: np.ndarray,
    atoms: Mapping[float, np.ndarray],
) -> Figure:
    """Draw what an L1 penalty does to a code: active units, errors, and what the most used units add to a curve.

    Parameters
    ----------
    weight, active, error, clean
        Weights λ of the penalty (n,), active units for one curve, errors against the input and the clean curve.
    noise
        That of the curves.
    atoms
        Of two weights, the decoder's columns (units, samples) of the most used units.
    """
    fig = lesson_figure(4.2)
    (left, right), below = fig.subplots(2, 2)
    places = range(len(weight))
    left.plot(places, active, color=SERIES[0][0], marker=SERIES[0][1], markersize=4)
    left.set(ylabel="active units for one curve", ylim=(0, 1.1 * active.max()))
    for (colour, marker), its, label in zip(SERIES[1:], (error, clean), ("of the noisy curve", "of the clean curve")):
        right.plot(places, its, color=colour, marker=marker, markersize=4, label=label)
    right.axhline(noise, color=DATA, linestyle="--", linewidth=1, label="noise of the curves")
    right.set(ylabel="RMS error", ylim=(0, None))
    right.legend(loc="upper left")
    for axis in (left, right):
        axis.set_xticks(places, [f"{w:g}" for w in weight])
        axis.set_xlabel("weight λ of the L1 penalty")
    for axis, (w, columns) in zip(below, atoms.items()):
        axis.plot(time_ms, columns.T, linewidth=1.2, color=GENERATED, alpha=0.7)
        axis.set(xlabel="time (ms)", ylabel="column of the decoder", ylim=(-0.75, 0.75))
        panel_title(axis, f"the {len(columns)} most used units, λ = {w:g}")
    return fig


@drawing
def mean_and_median(
    x: np.ndarray,
    y: np.ndarray,
    along: np.ndarray,
    answers: Mapping[str, np.ndarray],
    exact: Mapping[str, np.ndarray],
    scores: Mapping[str, Mapping[str, float]],
) -> Figure:
    """Draw what networks answer to bimodal data, and L1 and L2 of generators relative to one that is like the data.

    Parameters
    ----------
    x, y
        The data, each (n,).
    along, answers, exact
        Inputs (m,), and of each loss the answers of a network, and the best ones, (m,).
    scores
        L1 and L2, a column each, of generators by name.
    """
    fig = lesson_figure(2.8)
    left, right = fig.subplots(1, 2, width_ratios=[1.2, 1])
    left.scatter(x, y, s=3, color="0.7", linewidths=0, label="data", rasterized=True)
    words = {"MSE": "mean", "MAE": "median"}
    for (colour, _), label in zip(SERIES[1:], answers):
        left.plot(along, answers[label], color=colour, linewidth=2, label=f"trained with the {label}")
        left.plot(along, exact[label], color="black", linewidth=0.8, linestyle=":" if label == "MSE" else "--")
        left.lines[-1].set_label(f"exact {words[label]}")
    left.set(xlabel="$x$", ylabel="$y$", ylim=(-1.45, 1.45))
    rows = np.arange(len(scores))
    for shift, (colour, _), label in zip((-0.18, 0.18), (SERIES[2], SERIES[1]), ("L1", "L2")):
        right.barh(rows + shift, scores[label], 0.34, color=colour, label=label)
    right.axvline(1, color="0.4", linestyle="--", linewidth=1)
    right.set(xlabel="score / score of data against data", ylim=(len(scores) - 0.5, -0.5))
    right.set_yticks(rows, list(scores.index))
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=3)
    fig.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=2)
    return fig
