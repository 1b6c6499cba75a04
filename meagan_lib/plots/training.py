"""Figures of a training: losses, gradients and validation scores."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from meagan_lib.plots import style
from meagan_lib.plots.style import COLOURS, DROPPED


def training_curves(history: Mapping[str, np.ndarray], validation: np.ndarray, best_step: int, model: str) -> Figure:
    """Draw losses, the discriminator's answers, learning rates and ``validation`` (n, 2: step, score) over steps.

    ``history`` maps the columns of ``history.csv`` to arrays (rows,), NaN where a stage does not record one; with the
    columns ``nll`` and ``kl`` a first panel shows the terms of the ELBO.
    """
    step, colour = history["step"], COLOURS[model]
    elbo = "nll" in history
    fig, axes = style.panel_grid(1, 5 if elbo else 4, 2.4)
    axes = list(axes[0])
    for axis in axes:
        style.set_ticks(axis, 2)
        axis.set_xlabel("step")
    if elbo:
        first = axes.pop(0)
        first.plot(step, history["nll"], color=colour, label="$-\\log p(x|z)$")
        first.plot(step, history["kl"], color=COLOURS["real"], linestyle="--", label="KL")
        first.set(title="ELBO (nats)", yscale="symlog")
    axes[0].plot(step, history["d_loss"], color=COLOURS["real"], label="discriminator")
    axes[0].plot(step, history["g_loss"], color=colour, label="generator")
    axes[0].set(title="loss")
    axes[1].plot(step, history["d_real"], color=COLOURS["real"], label="real")
    axes[1].plot(step, history["d_fake"], color=colour, label="generated")
    axes[1].axhline(0.5, color="0.7", linewidth=0.8, zorder=0)
    axes[1].set(title="D says real", ylim=(0, 1))
    axes[2].plot(step, history["d_learning_rate"], color=COLOURS["real"], label="discriminator")
    axes[2].plot(step, history["g_learning_rate"], color=colour, label="generator")
    axes[2].set(title="learning rate", yscale="log")
    axes[3].plot(*validation.T, color=colour, marker="o", markersize=3, label="validation")
    axes[3].axvline(best_step, color=DROPPED, linestyle="--", linewidth=1, label="kept")
    axes[3].axhline(0.5, color="0.7", linewidth=0.8, zorder=0)
    axes[3].set(title="C2ST AUC")
    for axis in [first, *axes] if elbo else axes:
        handles, names = axis.get_legend_handles_labels()
        axis.legend(handles, names, loc="upper center", bbox_to_anchor=(0.5, -0.28), handlelength=1.2)
    return fig


def elbo(history: Mapping[str, np.ndarray], per_epoch: float) -> Figure:
    """Draw stage 1 over epochs: the two terms of −ELBO, their sum, and the learned noise scale s.

    ``history`` maps ``step``, ``nll`` and ``kl`` (nats) and ``noise`` (z-scores) to arrays (rows,); rows where ``nll``
    is NaN are of stage 2 and left out. ``per_epoch``: steps of an epoch.
    """
    stage = np.isfinite(history["nll"])
    epoch, nll, kl, noise = (np.asarray(history[k], float)[stage] for k in ("step", "nll", "kl", "noise"))
    fig, (axes,) = style.panel_grid(1, 4, 1.9, sharex=True)
    marker = "o" if len(epoch) < 10 else None
    for axis, values, title, unit in (
        (axes[0], nll, "reconstruction, $-\\log p(x|z)$", "nats"),
        (axes[1], kl, "KL from the prior", "nats"),
        (axes[2], nll + kl, "their sum, $-$ELBO", "nats"),
        (axes[3], noise, "learned noise scale $s$", "z-scores"),
    ):
        axis.plot(epoch / per_epoch, values, color=COLOURS["vae_gan"], marker=marker, markersize=3)
        style.panel_title(axis, title)
        axis.set(xlabel="epoch", ylabel=unit)
        style.set_ticks(axis, 4, 5)
    return fig
