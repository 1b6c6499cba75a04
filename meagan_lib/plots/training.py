"""Figures of a training: losses, gradients and validation scores."""

import numpy as np
from matplotlib.figure import Figure

from meagan_lib.plots import style
from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.style import COLOURS, DROPPED, Arrays


@drawing
def training_curves(history: Arrays, validation: np.ndarray, best_step: int, model: str) -> Figure:
    """Draw losses, the discriminator's answers, learning rates and ``validation`` (n, 2: step, score) over steps.

    ``history`` maps the columns of ``history.csv`` to arrays (rows,), NaN where a stage does not record one; with the
    columns ``nll`` and ``kl`` a first panel shows the terms of the ELBO in stage 1.
    """
    step, own, real = history["step"], COLOURS[model], COLOURS["real"]
    fig, (axes,) = style.panel_grid(1, 5 if "nll" in history else 4, 2.4)
    *terms, loss, answers, rates, score = axes
    for axis in terms:
        first = np.isfinite(history["nll"])
        axis.plot(step[first], history["nll"][first], color=own, label="$-\\log p(x|z)$")
        axis.plot(step[first], history["kl"][first], color=real, linestyle="--", label="KL")
        axis.set(title="ELBO (nats)")
    loss.plot(step, history["d_loss"], color=real, label="discriminator")
    loss.plot(step, history["g_loss"], color=own, label="generator")
    loss.set(title="loss")
    answers.plot(step, history["d_real"], color=real, label="real")
    answers.plot(step, history["d_fake"], color=own, label="generated")
    answers.set(title="D says real", ylim=(0, 1))
    rates.plot(step, history["d_learning_rate"], color=real, label="discriminator")
    rates.plot(step, history["g_learning_rate"], color=own, label="generator")
    rates.set(title="learning rate", yscale="log")
    score.plot(*validation.T, color=own, marker="o", markersize=3, label="validation")
    score.axvline(best_step, color=DROPPED, linestyle="--", linewidth=1, label="kept")
    score.set(title="C2ST AUC")
    for axis in (answers, score):
        axis.axhline(0.5, color="0.7", linewidth=0.8, zorder=0)
    for axis in axes:
        style.set_ticks(axis, 2, None if axis is rates else 4)
        axis.set_xlabel("step")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), handlelength=1.2)
    return fig


@drawing
def elbo(history: Arrays, per_epoch: float) -> Figure:
    """Draw stage 1 over epochs: the two terms of −ELBO, their sum, and the learned noise scale s.

    ``history`` maps ``step``, ``nll`` and ``kl`` (nats) and ``noise`` (z-scores) to arrays (rows,); rows where ``nll``
    is NaN are of stage 2 and left out. ``per_epoch``: steps of an epoch.
    """
    stage = np.isfinite(history["nll"])
    epoch, nll, kl, noise = (np.asarray(history[k], float)[stage] for k in ("step", "nll", "kl", "noise"))
    fig, (axes,) = style.panel_grid(1, 4, 1.9, sharex=True)
    marker = "o" if len(epoch) < 10 else None
    titles = "reconstruction, $-\\log p(x|z)$", "KL from the prior", "their sum, $-$ELBO", "learned noise scale $s$"
    for axis, values, title in zip(axes, (nll, kl, nll + kl, noise), titles):
        axis.plot(epoch / per_epoch, values, color=COLOURS["vae_gan"], marker=marker, markersize=3)
        style.panel_title(axis, title)
        axis.set(xlabel="epoch", ylabel="nats")
        style.set_ticks(axis, 4, 5)
    axes[-1].set_ylabel("z-scores")
    return fig
