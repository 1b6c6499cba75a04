"""Draw the figures of the lessons c6 to c9: arrays in, a figure out.

Long because it draws four lessons, one after another.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from meagan_lib import plots

DATA = plots.COLOURS["real"]
GREEN, ORANGE, BLUE = (colour for colour, _ in plots.SERIES[:3])
GANS = (BLUE, GREEN)
"""Colours of the two GANs of c6, in their order."""
PI_TICKS = dict(ticks=[0, np.pi / 2, np.pi], labels=["0", "π/2", "π"])


def _figure(height: float, width: float = plots.WIDTH) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def _title(axis: Axes, words: str, **options) -> None:
    axis.set_title(words, fontweight="normal", fontsize=8, **options)


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
    fig = _figure(2.3)
    left, middle, right = fig.subplots(1, 3, sharey=True)
    left.plot(x, curves.T, color=DATA, linewidth=1, alpha=0.7)
    middle.plot(x, noisy, ".-", color=GREEN, linewidth=0.6, markersize=3, label="a curve with noise")
    middle.plot(x, fitted, color="black", linestyle=":", linewidth=1.5, label="its best sinusoid")
    right.plot(x, mean, color=DATA, linewidth=1.5, label="mean of the data")
    right.fill_between(x, mean - sd, mean + sd, color=DATA, alpha=0.2, linewidth=0, label="± one standard deviation")
    _title(left, f"{len(curves)} curves of the data")
    _title(middle, f"the fit explains {explained:.0%} of the variance")
    _title(right, "the mean is no sinusoid")
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


def generated_curves(x: np.ndarray, gans: Mapping[str, np.ndarray], epochs: np.ndarray, real: np.ndarray) -> Figure:
    """Draw curves (epochs, n, 64) that each of two GANs generates at some ``epochs``, beside ``real`` ones (n, 64)."""
    fig = _figure(4.4)
    rows = fig.subplots(2, len(epochs) + 1)
    for row, (label, curves), colour in zip(rows, gans.items(), GANS):
        for axis, epoch, its in zip(row, epochs, curves):
            _stack(axis, x, its, colour)
            _title(axis, f"epoch {epoch:.0f}")
        _stack(row[-1], x, real, DATA)
        _title(row[-1], "data")
        row[0].text(-0.12, 0.5, label, rotation=90, va="center", ha="right", fontsize=8, transform=row[0].transAxes)
    return fig


def curves_of_both(x: np.ndarray, gans: Mapping[str, np.ndarray], epoch: float, quality: Sequence[float]) -> Figure:
    """Draw one frame of an animation: curves (n, 64) of each of two GANs at an epoch, with their ``quality``."""
    fig = _figure(3.2, 4.6)
    for axis, (label, curves), colour, its in zip(fig.subplots(1, 2), gans.items(), GANS, quality):
        _stack(axis, x, curves, colour)
        _title(axis, f"{label}: {its:.0%} sinusoids")
    fig.suptitle(f"epoch {epoch:.0f}", fontsize=9)
    return fig


def gan_history(gans: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw accuracy, quality and coverage of two GANs in training, a line for each training.

    Parameters
    ----------
    gans
        Of each GAN ``pretraining`` (batches, n) and ``accuracy`` of its discriminator, ``quality`` and ``coverage`` of
        its generator, each (epochs, n), at ``epoch`` (epochs,).
    """
    fig = _figure(4.0)
    axes = fig.subplots(2, 2)
    panels = {
        "pretraining": "accuracy of D in pre-training",
        "accuracy": "accuracy of D in the game",
        "quality": "quality: fraction of sinusoids",
        "coverage": "coverage: fraction of cells",
    }
    for axis, (key, title) in zip(axes.flat, panels.items()):
        for its, colour in zip(gans.values(), GANS):
            steps = np.arange(len(its[key])) if key == "pretraining" else its["epoch"]
            axis.plot(steps, its[key], color=colour, linewidth=0.9, alpha=0.8)
        axis.set(xlabel="batch" if key == "pretraining" else "epoch", ylim=(0, 1.03), xlim=(0, None))
        _title(axis, title)
    for axis in axes[0]:
        axis.axhline(0.5, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
    handles = [
        Line2D([], [], color=colour, label=f"{label} (one line per training)") for label, colour in zip(gans, GANS)
    ]
    handles.append(Line2D([], [], color="0.6", linewidth=0.8, linestyle="--", label="chance"))
    fig.legend(handles=handles, loc="outside upper center", ncols=3)
    return fig


def curve_fits(x: np.ndarray, curves: np.ndarray, explained: np.ndarray, title: str, second: bool) -> Figure:
    """Draw six curves (n, 64) of one generator, and how much of each curve's variance its sinusoid explains (n,)."""
    fig = _figure(3, 4)
    left, right = fig.subplots(1, 2)
    _stack(left, x, curves, GANS[second])
    right.hist(explained, np.linspace(0, 1, 41), color=GANS[second], label="generated curves")
    right.axvline(0.95, color="black", linestyle=":", label="a sinusoid: ≥ 0.95")
    right.set(xlabel="variance explained", ylabel="curves")
    _title(left, title)
    fig.legend(loc="outside lower right", ncols=2)
    return fig


def frequency_phase(b: Mapping[str, np.ndarray], c: Mapping[str, np.ndarray]) -> Figure:
    """Draw frequencies b and phases c of sinusoids: of the data, then of two GANs; histograms below.

    Of each, a list of arrays (n,): one for each training, that has a marker of its own.
    """
    fig = _figure(4.3)
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
        _title(axis, label)
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


def mean_waveform(x: np.ndarray, expected: np.ndarray, mean: np.ndarray, label: str) -> Figure:
    """Draw the mean (64,) of what a generator gives over the ``expected`` one of the data."""
    fig = _figure(1.8, 4)
    axis = fig.subplots()
    axis.plot(x, expected, color=DATA, linewidth=4, alpha=0.3, label="data")
    axis.plot(x, mean, color=GREEN, label=label)
    axis.set(xlabel="$x$", ylabel="mean of $y$", ylim=(-0.5, 0.9))
    axis.legend(loc="upper right")
    return fig


def planted_collapse(
    time_ms: np.ndarray,
    mean: Mapping[str, np.ndarray],
    trough: Mapping[str, np.ndarray],
    plane: Mapping[str, np.ndarray],
    unit: str,
    occupied: str,
) -> Figure:
    """Draw windows and what replaces them: mean waveforms (samples,), depths of the trough (n,), components (n, 2)."""
    fig = _figure(2.4)
    axes = fig.subplots(1, 4)
    real, collapsed = mean.values()
    axes[0].plot(time_ms, real, color=DATA, linewidth=3.5, alpha=0.35)
    axes[0].plot(time_ms, collapsed, color=GREEN, linewidth=1.2)
    axes[0].set(xlabel="time from trough (ms)", ylabel=f"mean voltage ({unit})")
    edges = np.linspace(*np.quantile(next(iter(trough.values())), [0.005, 0.995]), 40)
    styles = dict(color=DATA, alpha=0.3), dict(color=GREEN, histtype="step", linewidth=1.2)
    for (label, its), style in zip(trough.items(), styles):
        axes[1].hist(its, edges, density=True, label=label, **style)
    axes[1].set(xlabel=f"trough ({unit})", ylabel="density", yticks=[])
    low, high = np.quantile(next(iter(plane.values())), [0.002, 0.998], axis=0)
    for axis, its, colour in zip(axes[2:], plane.values(), (DATA, GREEN)):
        axis.scatter(*its.T, s=2.5, color=colour, alpha=0.5, linewidths=0, rasterized=True)
        axis.set(xlabel=f"component 1 ({unit})", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    axes[2].set_ylabel(f"component 2 ({unit})")
    axes[3].set(yticklabels=[])
    _title(axes[3], f"fills {occupied} cells")
    fig.legend(*axes[1].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


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
    fig = _figure(4.4)
    for row, label in zip(fig.subplots(2, 3, width_ratios=[1, 1, 1.25]), mu):
        for axis, values, word in zip(row, factors.T, ("width of the trough (ms)", "height of the hump")):
            dots = axis.scatter(*mu[label].T, c=values, s=5, linewidths=0, cmap="viridis", rasterized=True)
            axis.add_patch(Circle((0, 0), 2, fill=False, edgecolor=ORANGE, linewidth=1.5, linestyle="--"))
            axis.set(xlabel="$z_1$", ylabel="$z_2$", aspect="equal", adjustable="datalim")
            if label == list(mu)[-1]:
                fig.colorbar(dots, ax=axis, label=word, location="bottom", shrink=0.8)
        _title(row[0], f"{label}: $\\mu$ of unseen curves")
        for curve, its in zip(decoded[label], near[label]):
            row[2].plot(time_ms, curve, color=GREEN if its else ORANGE, linewidth=1)
        row[2].set(xlabel="time (ms)", ylabel="decoded curve")
        _title(row[2], f"{label}: {len(decoded[label])} draws from the prior")
    words = (GREEN, "-", "like the data: within their noise"), (ORANGE, "-", "unlike the data")
    words = (ORANGE, "--", "two SD of the prior"), *words
    handles = [Line2D([], [], color=colour, linestyle=dash, label=word) for colour, dash, word in words]
    fig.legend(handles=handles, loc="outside lower right", ncols=3)
    return fig


def latent_walk(time_ms: np.ndarray, mu: np.ndarray, z: tuple[float, float], curve: np.ndarray) -> Figure:
    """Draw where ``z`` lies among the ``mu`` (n, 2) of curves, and the curve (samples,) that is decoded from it."""
    fig = _figure(2.2, 4)
    left, right = fig.subplots(1, 2, width_ratios=[1, 1.3])
    left.scatter(*mu.T, color="0.8", s=3, linewidths=0, label="$\\mu$ of unseen curves")
    left.plot(*z, "o", color=ORANGE, label="$z$")
    left.set(xlabel="$z_1$", ylabel="$z_2$", xlim=(-2.8, 2.8), ylim=(-2.8, 2.8), aspect="equal")
    right.plot(time_ms, curve, color=GREEN, linewidth=1.8, label="decoded curve")
    right.set(xlabel="time (ms)", ylabel="decoded", ylim=(-1.3, 1.1))
    fig.legend(loc="outside lower center", ncols=3, markerscale=1.5)
    return fig


def gradient_errors(draws: np.ndarray, error: Mapping[str, np.ndarray]) -> Figure:
    """Draw the relative error (sizes,) of estimates of a gradient, by how many ``draws`` (sizes,) they use."""
    fig = _figure(2.6)
    axis = fig.subplots()
    for (colour, marker), (label, its) in zip((plots.SERIES[i] for i in (1, 2, 0)), error.items()):
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
    fig = _figure(2.5)
    left, right = fig.subplots(1, 2)
    left.axhspan(*shell, color=DATA, alpha=0.15, linewidth=0, label="99 % of the prior")
    for (colour, marker), label in zip(plots.SERIES[1::-1], length):
        left.plot(fraction, length[label], color=colour, linewidth=1.8, label=label)
        right.plot(dimensions, inside[label], color=colour, marker=marker, markersize=4, clip_on=False)
    left.set(xlabel="fraction of the way", ylabel="length of $z$ / $\\sqrt{d}$", ylim=(0.6, 1.4))
    _title(left, "mean length on the way, $d$ = 64")
    right.set(
        xlabel="dimensions $d$", ylabel="fraction of midpoints\nwithin 99 % of the prior", xscale="log", ylim=(0, 1)
    )
    right.set_xticks([2, 8, 32, 128, 512], ["2", "8", "32", "128", "512"])
    right.minorticks_off()
    fig.legend(*left.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return fig


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
    fig = _figure(2.8)
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


def effective_keys(widths: np.ndarray, number: Mapping[str, Sequence[float]], keys: int) -> Figure:
    """Draw the effective number of ``keys`` that a query attends to, by the width (n,) of queries and keys."""
    fig = _figure(2.3)
    axis = fig.subplots()
    for (colour, marker), (label, its) in zip(plots.SERIES, number.items()):
        axis.plot(widths, its, color=colour, marker=marker, markersize=4, label=label)
    axis.axhline(keys, color="0.6", linestyle=":", label=f"equal weight on all {keys}")
    axis.set(xlabel="width $d$ of queries and keys", ylabel="effective number of keys, $e^H$")
    axis.set(xscale="log", ylim=(0, keys + 2))
    axis.set_xticks(widths, [str(d) for d in widths])
    axis.minorticks_off()
    fig.legend(*axis.get_legend_handles_labels(), loc="outside right center")
    return fig


def position_products(encoding: np.ndarray, products: np.ndarray) -> Figure:
    """Draw a positional encoding (positions, width), and products (positions, positions) of positions by their lag."""
    fig = _figure(2.5)
    left, right = fig.subplots(1, 2, width_ratios=[1.3, 1])
    mesh = left.imshow(encoding, cmap="RdBu", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    left.set(xlabel="component of the token", ylabel="position $p$")
    fig.colorbar(mesh, ax=left, label="encoding", ticks=[-1, 0, 1], shrink=0.9)
    for (colour, marker), p in zip(plots.SERIES, (0, 20, 40)):
        style = dict(color=colour, marker=marker, markersize=5 - p / 20, linestyle="")
        right.plot(products[p, p:], **style, label=str(p))
    right.set(xlabel="lag $k$ (tokens)", ylabel="PE($p$) · PE($p + k$)", ylim=(0, None))
    right.legend(title="$p$", title_fontsize=7)
    return fig


def products_with(products: np.ndarray, position: int) -> Figure:
    """Draw products (positions,) of one position with all, as a fraction of the largest."""
    fig = _figure(2.4, 4)
    axis = fig.subplots()
    axis.plot(products, color=GREEN, linewidth=1.5, label="product with each position")
    axis.axvline(position, color=ORANGE, linestyle="--", label=f"position {position}")
    axis.set(xlabel="position", ylabel="product / largest", ylim=(-0.5, 1.1), xlim=(0, len(products) - 1))
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def _counts(axis: Axes, counts: np.ndarray, colour: str) -> Axes:
    """Draw spike counts (bins,) and give an axis on their right."""
    axis.bar(range(len(counts)), counts, color=colour, width=0.85, label="spikes")
    axis.set(xlabel="bin", ylabel="spikes", xlim=(-0.5, len(counts) - 0.5))
    return axis.twinx()


def burst_attention(
    counts: np.ndarray,
    onset: int,
    probability: np.ndarray,
    weights: np.ndarray,
    lag: np.ndarray,
    by_lag: np.ndarray,
    burst: int,
) -> Figure:
    """Draw where a network finds the onset of a burst in ``counts`` (bins,), and the weights of its two heads.

    Parameters
    ----------
    onset, probability
        The first bin of the burst, and its probability (bins,) by the network.
    weights
        Of the two heads (2, query bins, key bins), for these counts.
    lag, by_lag
        Lags (n,), and mean weights (2, n) of an onset's query over many trains.
    burst
        Bins of a burst.
    """
    fig = _figure(4.2)
    (above, right), maps = fig.subplots(2, 2, height_ratios=[1, 1.5])
    answer = _counts(above, counts, DATA)
    answer.plot(probability, color=ORANGE, linewidth=1.8)
    answer.plot(onset, 0, "^", color=ORANGE, clip_on=False, markersize=7, label="true onset")
    answer.set(ylim=(0, 1.05))
    answer.set_ylabel("probability of onset", color=ORANGE)
    answer.legend(loc="upper right")
    for (colour, marker), its, head in zip((plots.SERIES[0], plots.SERIES[2]), by_lag, (1, 2)):
        right.plot(lag, its, color=colour, marker=marker, markersize=3, label=f"head {head}")
    right.axvspan(-0.5, burst - 0.5, color="0.92", zorder=0, label="burst")
    right.set(xlabel="lag from the onset (bins)", ylabel="mean weight", ylim=(0, None))
    for axis, its, head in zip(maps, weights, (1, 2)):
        mesh = axis.imshow(its, cmap="viridis", vmin=0, vmax=weights.max(), aspect="auto", interpolation="nearest")
        axis.set(xlabel="key: bin attended to", ylabel="query: bin that attends")
        _title(axis, f"head {head}")
    fig.colorbar(mesh, ax=maps, label="weight")
    fig.legend(*right.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return fig


def bin_attention(counts: np.ndarray, query: int, weights: np.ndarray, largest: float) -> Figure:
    """Draw what one bin attends to: weights (bins,) over spike counts (bins,), on a scale up to ``largest``."""
    fig = _figure(2.4, 4)
    axis = fig.subplots()
    its = _counts(axis, counts, "0.75")
    axis.plot(query, 0, "^", color=ORANGE, clip_on=False, zorder=3, label=f"query: bin {query}")
    its.plot(weights, color=GREEN, linewidth=1.8, label="weight of each key")
    its.set(ylim=(0, 1.05 * largest))
    its.set_ylabel("weight", color=GREEN)
    fig.legend(loc="outside lower center", ncols=3)
    return fig


def onsets_found(found: Mapping[str, Sequence[float]], cases: int, best: float, chance: float) -> Figure:
    """Draw the fraction of onsets found by each network among ``cases``, in order and shuffled, with 95 % intervals."""
    fig = _figure(2.2)
    axis = fig.subplots()
    for i, (colour, arrangement) in enumerate(((GREEN, "bins in order"), (BLUE, "bins shuffled"))):
        heights = np.array([both[i] for both in found.values()])
        whisker = 1.96 * (heights * (1 - heights) / cases) ** 0.5
        axis.bar(
            np.arange(2) + 0.36 * i - 0.18, heights, 0.34, yerr=whisker, color=colour, label=arrangement, ecolor="0.3"
        )
    axis.axhline(best, color=DATA, linestyle="--", label="best possible")
    axis.axhline(chance, color="0.6", linestyle=":", label="chance")
    axis.set(ylabel="fraction of onsets found", ylim=(0, 1), xlim=(-0.5, 1.5))
    axis.set_xticks([0, 1], found)
    fig.legend(*axis.get_legend_handles_labels(), loc="outside right center")
    return fig


def flow_paths(paths: Mapping[str, np.ndarray], curvature: Mapping[str, float]) -> Figure:
    """Draw paths (times, n, 2) of points from t = 0 to t = 1, and how curved they are."""
    fig = _figure(2.6)
    for axis, (label, path) in zip(fig.subplots(1, len(paths), sharex=True, sharey=True), paths.items()):
        axis.plot(*path.transpose(2, 0, 1), color="0.7", linewidth=0.6, zorder=1)
        axis.scatter(*path[0].T, s=5, color=DATA, zorder=2, label="$t = 0$: Gaussian")
        axis.scatter(*path[-1].T, s=5, color=GREEN, zorder=2, label="$t = 1$: data")
        _title(axis, f"{label}\ncurvature {curvature[label]:.3f}")
        axis.set(aspect="equal", xlim=(-3, 3), ylim=(-3, 3))
    fig.axes[0].set_ylabel("second coordinate")
    fig.supxlabel("first coordinate", fontsize=8)
    fig.legend(*axis.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return fig


def _cloud(axis: Axes, points: np.ndarray, colour: str = GREEN, size: float = 2.5, limit: float = 3.2) -> None:
    axis.scatter(*points[:, :2].T, s=size, linewidths=0, color=colour, rasterized=True)
    axis.set(aspect="equal", xlim=(-limit, limit), ylim=(-limit, limit), xticks=[-2, 0, 2], yticks=[-2, 0, 2])


def flow_snapshots(paths: Mapping[str, np.ndarray]) -> Figure:
    """Draw points on paths (times, n, 2) at five times, a row for each flow."""
    fig = _figure(3.2)
    for row, (label, path) in zip(fig.subplots(len(paths), 5, sharex=True, sharey=True), paths.items()):
        for axis, t in zip(row, np.linspace(0, 1, 5)):
            _cloud(axis, path[round(t * (len(path) - 1))])
            _title(axis, f"$t$ = {t:g}" if axis.get_subplotspec().is_first_row() else "")
        row[0].set_ylabel(label)
    fig.supxlabel("first coordinate", fontsize=8)
    fig.supylabel("second coordinate", fontsize=8)
    return fig


def flow_frame(paths: Mapping[str, np.ndarray], k: int) -> Figure:
    """Draw one frame of an animation: points on paths (times, n, 2) at the k-th time, and the way of some of them."""
    fig = _figure(3.5)
    for axis, (label, path) in zip(fig.subplots(1, len(paths), sharey=True), paths.items()):
        axis.plot(*path[: k + 1, :60].transpose(2, 0, 1), color="0.75", linewidth=0.6, zorder=1)
        _cloud(axis, path[k], size=6)
        _title(axis, label)
    fig.axes[0].set_ylabel("second coordinate")
    fig.supxlabel("first coordinate", fontsize=8)
    _title(axis, f"$t$ = {k / (len(path) - 1):.2f}", loc="right")
    return fig


def few_steps(path: np.ndarray, title: str) -> Figure:
    """Draw where points end after the steps of ``path`` (steps + 1, n, 2), and the way of 25 of them."""
    fig = _figure(3, 4)
    axis = fig.subplots()
    axis.scatter(*path[-1].T, s=2, linewidths=0, color=GREEN, label="after the last step")
    axis.plot(*path[:, :25].transpose(2, 0, 1), color=ORANGE, linewidth=0.8, marker=".", markersize=3)
    axis.plot([], [], color=ORANGE, marker=".", markersize=3, label="way of 25 points")
    axis.set(aspect="equal", xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), xlabel="first coordinate", ylabel="second coordinate")
    _title(axis, title)
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def steps_distances(
    steps: np.ndarray,
    distance: Mapping[str, np.ndarray],
    levels: Mapping[str, float],
    clouds: Mapping[str, np.ndarray],
    clouds_by_model: bool,
    axes: tuple[str, str],
) -> Figure:
    """Draw the distance from the data by the number of steps, and four clouds of points beside it.

    Parameters
    ----------
    steps, distance
        Numbers of steps (n,), and of each model the distance (trainings, n): the mean and the range are drawn.
    levels
        Distances to compare with.
    clouds
        Four sets of points (n, ≥ 2), of which two coordinates are drawn.
    clouds_by_model
        Each cloud has the colour of the model of its place; else the first is of data, the others are generated.
    axes
        Labels of the clouds' two coordinates.
    """
    fig = _figure(3.5)
    grid = fig.add_gridspec(2, 4)
    axis = fig.add_subplot(grid[:, :2])
    for (colour, marker), (label, its) in zip(plots.SERIES, distance.items()):
        axis.plot(steps, its.mean(0), color=colour, marker=marker, markersize=4, label=label)
        axis.fill_between(steps, its.min(0), its.max(0), color=colour, alpha=0.2, linewidth=0)
    for (label, level), dash in zip(levels.items(), (":", "--")):
        axis.axhline(level, color="0.5", linestyle=dash, label=label)
    axis.set(xscale="log", yscale="log", xlabel="Euler steps", ylabel="sliced Wasserstein distance")
    axis.set_xticks(steps, [str(n) for n in steps])
    axis.xaxis.minorticks_off()
    for k, (label, its) in enumerate(clouds.items()):
        small = fig.add_subplot(grid[k // 2, 2 + k % 2])
        colour = plots.SERIES[k][0] if clouds_by_model else GREEN if k else DATA
        _cloud(small, its, colour, size=2, limit=3.5)
        _title(small, label.replace(", ", ",\n"))
        if k % 2 == 0:
            small.set_ylabel(axes[1])
        if k > 1:
            small.set_xlabel(axes[0])
    fig.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return fig
