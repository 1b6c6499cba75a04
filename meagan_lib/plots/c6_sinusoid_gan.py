"""Draw the figures of lesson c6 · The sinusoid GAN: arrays in, a figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.lessons import DATA, GENERATED, OTHER, lesson_figure
from meagan_lib.plots.style import panel_title

GANS = (OTHER, GENERATED)
"""Colours of the two GANs of c6, in their order."""


PI_TICKS = dict(ticks=[0, np.pi / 2, np.pi], labels=["0", "π/2", "π"])


@drawing
def sinusoid_data(
    x: np.ndarray,
    curves: np.ndarray,
    noisy: np.ndarray,
    fitted: np.ndarray,
    explained: float,
    mean: np.ndarray,
    sd: np.ndarray,
) -> Figure:
    """Draw curves (n, 64) of the data at ``x`` (64,); a noisy curve with its best sinusoid; mean and SD of the data."""
    fig = lesson_figure(2.3)
    left, middle, right = fig.subplots(1, 3, sharey=True)
    left.plot(x, curves.T, color=DATA, linewidth=1, alpha=0.7)
    middle.plot(x, noisy, ".-", color=GENERATED, linewidth=0.6, markersize=3, label="a curve with noise")
    middle.plot(x, fitted, color="black", linestyle=":", linewidth=1.5, label="its best sinusoid")
    right.plot(x, mean, color=DATA, linewidth=1.5, label="mean of the data")
    right.fill_between(x, mean - sd, mean + sd, color=DATA, alpha=0.2, linewidth=0, label="± one standard deviation")
    panel_title(left, f"{len(curves)} curves of the data")
    panel_title(middle, f"the fit explains {100 * explained:.0f} % of the variance")
    panel_title(right, "the mean is no sinusoid")
    for axis in fig.axes:
        axis.set(xlabel="$x$", ylim=(-1.2, 1.2))
    left.set_ylabel("$y$")
    fig.legend(loc="outside lower right", ncols=4)
    return fig


def _stack(axis: Axes, x: np.ndarray, curves: np.ndarray, colour: str) -> None:
    """Draw the first six of ``curves`` (n, 64), each at a height of its own."""
    axis.plot(x, curves[:6].T - 2.6 * np.arange(6), color=colour, linewidth=1)
    axis.set(xlim=(x[0], x[-1]), ylim=(-14.6, 1.6))
    axis.axis("off")


@drawing
def generated_curves(x: np.ndarray, gans: Mapping[str, np.ndarray], epochs: np.ndarray, real: np.ndarray) -> Figure:
    """Draw curves (epochs, n, 64) that each of two GANs generates at some ``epochs``, beside ``real`` ones (n, 64)."""
    fig = lesson_figure(4.4)
    rows = fig.subplots(2, len(epochs) + 1)
    for row, (label, curves), colour in zip(rows, gans.items(), GANS):
        for axis, epoch, its in zip(row, epochs, curves):
            _stack(axis, x, its, colour)
            panel_title(axis, f"epoch {epoch:.0f}")
        _stack(row[-1], x, real, DATA)
        panel_title(row[-1], "data")
        row[0].text(-0.12, 0.5, label, rotation=90, va="center", ha="right", fontsize=8, transform=row[0].transAxes)
    return fig


@drawing
def curves_of_both(x: np.ndarray, gans: Mapping[str, np.ndarray], epoch: float, quality: Sequence[float]) -> Figure:
    """Draw one frame of an animation: curves (n, 64) of each of two GANs at an epoch, with their ``quality``."""
    fig = lesson_figure(3.2, 4.6)
    for axis, (label, curves), colour, its in zip(fig.subplots(1, 2), gans.items(), GANS, quality):
        _stack(axis, x, curves, colour)
        panel_title(axis, f"{label}: {100 * its:.0f} % sinusoids")
    fig.suptitle(f"epoch {epoch:.0f}", fontsize=9)
    return fig


@drawing
def gan_history(gans: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw accuracies, quality and coverage of two GANs in training, a line for each training.

    Parameters
    ----------
    gans
        Of each GAN ``pretraining`` (batches, n) of its discriminator, ``accuracy`` and ``accuracy of G`` (epochs + 1,
        n), ``quality`` and ``coverage`` of its generator (snapshots, n), at ``epoch`` (snapshots,).
    """
    fig = lesson_figure(3.9)
    axes = fig.subplots(2, 3)
    panels = {
        "pretraining": "accuracy of D, pre-training",
        "accuracy": "accuracy of D, game",
        "accuracy of G": "accuracy of G, game",
        "quality": "quality: sinusoids",
        "coverage": "coverage: cells",
    }
    for axis, (key, title) in zip(axes.flat, panels.items()):
        for its, colour in zip(gans.values(), GANS):
            steps = its["epoch"] if key in ("quality", "coverage") else np.arange(len(its[key]))
            axis.plot(steps, its[key], color=colour, linewidth=0.9, alpha=0.8)
        axis.set(xlabel="batch" if key == "pretraining" else "epoch", ylim=(0, 1.03), xlim=(0, None))
        axis.set_ylabel("fraction of curves" if key != "coverage" else "fraction of cells")
        panel_title(axis, title)
    for axis in axes[0]:
        axis.axhline(0.5, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
    handles = [
        Line2D([], [], color=colour, label=f"{label}\n(one line per training)") for label, colour in zip(gans, GANS)
    ]
    handles.append(Line2D([], [], color="0.6", linewidth=0.8, linestyle="--", label="chance"))
    axes[1, 2].axis("off")
    axes[1, 2].legend(handles=handles, loc="center")
    return fig


@drawing
def curve_fits(x: np.ndarray, curves: np.ndarray, explained: np.ndarray, title: str, second: bool) -> Figure:
    """Draw six curves (n, 64) of one generator, and how much of each curve's variance its sinusoid explains (n,)."""
    fig = lesson_figure(3, 4)
    left, right = fig.subplots(1, 2)
    _stack(left, x, curves, GANS[second])
    right.hist(explained, np.linspace(0, 1, 41), color=GANS[second], label="generated curves")
    right.axvline(0.95, color="black", linestyle=":", label="a sinusoid: ≥ 0.95")
    right.set(xlabel="variance explained", ylabel="curves")
    panel_title(left, title)
    fig.legend(loc="outside lower right", ncols=2)
    return fig


@drawing
def frequency_phase(b: Mapping[str, np.ndarray], c: Mapping[str, np.ndarray]) -> Figure:
    """Draw frequencies b and phases c of sinusoids: of the data, then of two GANs; histograms below.

    Of each, a list of arrays (n,): one for each training, that has a marker of its own.
    """
    fig = lesson_figure(4.3)
    labels = list(b)
    axes = fig.subplot_mosaic([labels, ["b", "c", "key"]], height_ratios=[1.35, 1])
    edges = {"b": np.linspace(0.3, 2.2, 39), "c": np.linspace(-0.5, np.pi + 0.5, 39)}
    for label, colour in zip(labels, (DATA, *GANS)):
        axis = axes[label]
        for its_b, its_c, marker in zip(b[label], c[label], "o^sDv" * len(b[label])):
            axis.plot(its_b, its_c, marker, color=colour, markersize=2, markeredgewidth=0, alpha=0.6, rasterized=True)
        axis.plot([0.5, 2, 2, 0.5, 0.5], [0, 0, np.pi, np.pi, 0], color="0.4", linewidth=0.8, linestyle="--")
        axis.set(xlabel="frequency $b$", xlim=(0.3, 2.2), ylim=(-0.5, np.pi + 0.5))
        axis.set_yticks(**PI_TICKS)
        panel_title(axis, label)
        for key, values in (("b", b[label]), ("c", c[label])):
            if label == labels[0]:
                axes[key].hist(values[0], edges[key], color=DATA, alpha=0.25, density=True, label=label)
                continue
            for i, its in enumerate(values):
                density = np.histogram(its, edges[key])[0] / max(len(its), 1) / np.diff(edges[key])
                name = "" if i else f"{label}\n(one line per training)"
                axes[key].stairs(density, edges[key], color=colour, linewidth=0.9, label=name)
    axes[labels[0]].set_ylabel("phase $c$")
    axes["b"].set(xlabel="frequency $b$", ylabel="density")
    axes["c"].set(xlabel="phase $c$", ylabel="density")
    axes["c"].set_xticks(**PI_TICKS)
    axes["key"].axis("off")
    axes["key"].legend(*axes["b"].get_legend_handles_labels(), loc="center left")
    return fig


@drawing
def mean_waveform(x: np.ndarray, expected: np.ndarray, mean: np.ndarray, label: str) -> Figure:
    """Draw the mean (64,) of what a generator gives over the ``expected`` one of the data."""
    fig = lesson_figure(1.8, 4)
    axis = fig.subplots()
    axis.plot(x, expected, color=DATA, linewidth=4, alpha=0.3, label="data")
    axis.plot(x, mean, color=GENERATED, label=label)
    axis.set(xlabel="$x$", ylabel="mean of $y$", ylim=(-0.5, 0.9))
    axis.legend(loc="upper right")
    return fig


@drawing
def planted_collapse(
    time_ms: np.ndarray,
    mean: Mapping[str, np.ndarray],
    trough: Mapping[str, np.ndarray],
    plane: Mapping[str, np.ndarray],
    unit: str,
    occupied: str,
) -> Figure:
    """Draw windows and what replaces them: mean waveforms (samples,), depths of the trough (n,), components (n, 2)."""
    fig = lesson_figure(2.4)
    axes = fig.subplots(1, 4)
    real, collapsed = mean.values()
    axes[0].plot(time_ms, real, color=DATA, linewidth=3.5, alpha=0.35)
    axes[0].plot(time_ms, collapsed, color=GENERATED, linewidth=1.2)
    axes[0].set(xlabel="time from trough (ms)", ylabel=f"mean voltage ({unit})")
    edges = np.linspace(*np.quantile(next(iter(trough.values())), [0.005, 0.995]), 40)
    styles = dict(color=DATA, alpha=0.3), dict(color=GENERATED, histtype="step", linewidth=1.2)
    for (label, its), style in zip(trough.items(), styles):
        axes[1].hist(its, edges, density=True, label=label, **style)
    axes[1].set(xlabel=f"trough ({unit})", ylabel="density", yticks=[])
    low, high = np.quantile(next(iter(plane.values())), [0.002, 0.998], axis=0)
    for axis, its, colour in zip(axes[2:], plane.values(), (DATA, GENERATED)):
        axis.scatter(*its.T, s=2.5, color=colour, alpha=0.5, linewidths=0, rasterized=True)
        axis.set(xlabel=f"component 1 ({unit})", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    axes[2].set_ylabel(f"component 2 ({unit})")
    axes[3].set(yticklabels=[])
    panel_title(axes[3], f"fills {occupied} cells")
    fig.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig
