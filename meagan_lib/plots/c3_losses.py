"""Draw the figures of lesson c3 · Losses, and where their gradients vanish: arrays in, a figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.lessons import DATA, DISCRIMINATOR, GENERATED, OTHER, lesson_figure, one_legend, two_densities
from meagan_lib.plots.style import panel_title

LOSS_COLOURS = {"minimax": OTHER, "non_saturating": DATA}
"""Of the two generator losses that the thesis compares."""


LOSS_WORDS = {"minimax": "$\\log(1 - D)$", "non_saturating": "$-\\log D$"}


@drawing
def two_losses(d: np.ndarray, values: Mapping[str, np.ndarray], slopes: Mapping[str, np.ndarray]) -> Figure:
    """Draw the losses of a generator and their slopes with respect to the logit, (n,) each, against D(G(z))."""
    fig = lesson_figure(2.5)
    left, right = fig.subplots(1, 2)
    for loss, colour in LOSS_COLOURS.items():
        left.plot(d, values[loss], color=colour, linewidth=1.6, label=LOSS_WORDS[loss])
        right.plot(d, slopes[loss], color=colour, linewidth=1.6)
    left.set(xlabel="$D(G(z))$", ylabel="loss of the generator", ylim=(-5, 5), xlim=(0, 1))
    right.set(xlabel="$D(G(z))$", ylabel="$|\\partial L_G / \\partial l|$", ylim=(0, 1.03), xlim=(0, 1))
    for axis in (left, right):
        axis.axvspan(0, 0.15, color="0.93", linewidth=0)
    left.text(0.165, -3.5, "$D$ rejects $G(z)$:\nearly training", fontsize=7.5, color="0.35", va="center")
    one_legend(fig, [left], loc="outside right center")
    return fig


@drawing
def gradients_while_d_learns(
    by_logit: Mapping[str, Sequence[float]], by_weights: Mapping[str, Sequence[float]]
) -> Figure:
    """Draw, for two losses, the gradient that a fixed generator would get at each step of the discriminator."""
    fig = lesson_figure(2.4)
    axes = fig.subplots(1, 2)
    labels = ("mean $|\\partial L_G / \\partial l|$", "$\\|\\partial L_G / \\partial \\theta_G\\|$")
    for axis, measured, label in zip(axes, (by_logit, by_weights), labels):
        for loss, values in measured.items():
            axis.plot(range(len(values)), values, color=LOSS_COLOURS[loss], linewidth=1.5, label=LOSS_WORDS[loss])
        axis.set(xlabel="steps of D, with G fixed", ylabel=label, yscale="log")
    one_legend(fig, axes, loc="outside right center")
    return fig


@drawing
def six_losses(logit: np.ndarray, curves: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw losses against the logit (n,): by title, what D pays for a real and a generated window, and what G pays."""
    fig = lesson_figure(3.6)
    styles = ((DATA, "-"), (DISCRIMINATOR, "-"), (GENERATED, "--"))
    for axis, (title, its) in zip(fig.subplots(2, 3, sharex=True).flat, curves.items()):
        for (who, values), (colour, dash) in zip(its.items(), styles):
            axis.plot(logit, values, color=colour, linestyle=dash, linewidth=1.5, label=who)
        axis.set(xlim=(-4, 4), ylim=(-4.3, 5.5))
        panel_title(axis, title)
    fig.supxlabel("logit of the window", fontsize=8)
    fig.supylabel("loss", fontsize=8)
    one_legend(fig, [axis], loc="outside upper right", ncols=3)
    return fig


@drawing
def soft_label(logit: np.ndarray, loss: np.ndarray, label: float) -> Figure:
    """Draw the discriminator's ``loss`` (n,) for one label against the ``logit``, and where it is lowest."""
    fig = Figure(figsize=(4.4, 2.4), layout="constrained")
    axis = fig.subplots()
    axis.plot(logit, loss, color=DISCRIMINATOR, linewidth=1.8, label="loss")
    if 0 < label < 1:
        axis.axvline(np.log(label / (1 - label)), color=DATA, linestyle=":", label="minimum")
    axis.set(xlabel="logit", ylabel="loss of $D$", xlim=(-6, 6), ylim=(-1.3, 6))
    panel_title(axis, f"label {label:g}: " + (f"lowest at D = {label:g}" if 0 < label < 1 else "no minimum"))
    fig.legend(loc="outside right upper")
    return fig


@drawing
def soft_labels(
    x: np.ndarray, p: np.ndarray, q: np.ndarray, trained: Mapping[str, np.ndarray], best: Mapping[str, np.ndarray]
) -> Figure:
    """Draw discriminators trained with several kinds of labels, (n,) at ``x``, and the best one for each (dotted)."""
    fig = lesson_figure(2.6)
    axis = fig.subplots()
    two_densities(axis, x, p, q)
    for kind, colour in zip(trained, (DISCRIMINATOR, OTHER, DATA)):
        axis.plot(x, trained[kind], color=colour, linewidth=1.6, label=f"$D$, {kind}")
        axis.plot(x, best[kind], color=colour, linestyle=":", linewidth=1.4)
    axis.set(xlabel="$x$", ylabel="density, $D(x)$", xlim=x[[0, -1]], ylim=(-0.02, 1.04))
    axis.plot([], [], color="0.4", linestyle=":", label="$D^*$ of each")
    one_legend(fig, [axis], loc="outside right center")
    return fig


@drawing
def gradients_for_two_generators(d: Mapping[str, np.ndarray]) -> Figure:
    """Draw the slopes of both losses while D learns, from its mean output D(G(z)) (steps,) for each generator."""
    fig = lesson_figure(2.7)
    axis = fig.subplots()
    for (generator, values), dash in zip(d.items(), ("--", "-")):
        for loss, slope in (("minimax", values), ("non_saturating", 1 - values)):
            words = f"{LOSS_WORDS[loss]}, {generator}"
            axis.plot(slope, color=LOSS_COLOURS[loss], linestyle=dash, linewidth=1.5, label=words)
    axis.set(xlabel="steps of D, with G fixed", ylabel="mean $|\\partial L_G / \\partial l|$", yscale="log")
    one_legend(fig, [axis], loc="outside lower center", ncols=2)
    return fig
