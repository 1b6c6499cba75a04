"""The figures: arrays in, a matplotlib ``Figure`` out; one function for each.

Importing this module sets the house style: one font, one palette that colour-blind readers can use
(Okabe & Ito 2008), in which real windows and each model keep their colour everywhere.
"""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

COLOURS = {
    "real": "#3C3C3C", "transformer_gan": "#0072B2", "vae_gan": "#D55E00", "gaussian": "#CC79A7", "reach": "#009E73",
}
LABELS = {
    "real": "real (test)", "transformer_gan": "Transformer-GAN", "vae_gan": "VAE-GAN", "gaussian": "Gaussian",
    "reach": "reach (train)",
}
DROPPED = "#E69F00"
UNITS = {"uV": "µV", "ADU": "ADC steps", "normalised": "normalised"}
WIDTH = 7.2

sns.set_theme(context="paper", style="ticks", font="DejaVu Sans")
mpl.rcParams.update({
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 9, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.labelsize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7,
    "legend.fontsize": 7, "legend.frameon": False, "lines.linewidth": 1.0, "figure.dpi": 110, "savefig.dpi": 160,
    "svg.hashsalt": "meagan", "svg.fonttype": "none", "path.simplify": True,
})


def _figure(rows: int, columns: int, height: float, **options) -> tuple[Figure, np.ndarray]:
    fig = Figure(figsize=(WIDTH, height), layout="constrained")
    return fig, fig.subplots(rows, columns, squeeze=False, **options)


def _voltage(unit: str) -> str:
    return f"voltage ({UNITS[unit]})" if unit != "normalised" else "voltage (normalised)"


def trace_detections(
    time_s: np.ndarray, raw: np.ndarray, filtered: np.ndarray, threshold: float, peak_time_s: np.ndarray,
    peak_amplitude: np.ndarray, kept: np.ndarray, unit: str, title: str,
) -> Figure:
    """Raw and filtered trace (samples,) of one electrode, its threshold, and its peaks, kept or dropped."""
    fig, ((above,), (below,)) = _figure(2, 1, 3.6, sharex=True)
    above.plot(time_s, raw, color="0.55", linewidth=0.6)
    above.set(title=title, ylabel=f"raw ({UNITS[unit]})")
    below.plot(time_s, filtered, color=COLOURS["real"], linewidth=0.6)
    below.axhline(threshold, color=DROPPED, linewidth=1, linestyle="--", label="threshold")
    below.plot(peak_time_s[kept], peak_amplitude[kept], "v", color=COLOURS["reach"], markersize=5, label="kept")
    below.plot(
        peak_time_s[~kept], peak_amplitude[~kept], "v", markerfacecolor="white", markeredgecolor=DROPPED, markersize=5,
        label="dropped",
    )
    below.set(xlabel="time (s)", ylabel=f"filtered ({UNITS[unit]})")
    below.margins(x=0)
    fig.legend(*below.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return fig


def chip_map(positions_um: np.ndarray | None, noise: np.ndarray, rate_hz: np.ndarray, unit: str) -> Figure:
    """Noise level and spike rate (channels,) at the electrodes' positions (channels, 2); in a row without positions."""
    in_a_row = positions_um is None
    if in_a_row:
        positions_um = np.stack([np.arange(len(noise)), np.zeros(len(noise))], axis=1)
    fig, (axes,) = _figure(1, 2, 1.7 if in_a_row else 3.2)
    x, y = (positions_um - positions_um.min(axis=0)).T
    steps = np.diff(np.unique(np.r_[x, y]))
    pitch = steps[steps > 0].min() if (steps > 0).any() else 1.0
    for axis, values, name, colours in (
        (axes[0], noise, f"noise level ({UNITS[unit]})", "viridis"),
        (axes[1], rate_hz, "spike rate (Hz)", "magma"),
    ):
        squares = [
            mpl.patches.Rectangle((a - 0.45 * pitch, b - 0.45 * pitch), 0.9 * pitch, 0.9 * pitch) for a, b in zip(x, y)
        ]
        collection = mpl.collections.PatchCollection(squares, cmap=colours)
        collection.set_array(values)
        axis.add_collection(collection)
        axis.set(
            xlim=(x.min() - pitch, x.max() + pitch), ylim=(y.max() + pitch, y.min() - pitch), aspect="equal",
            xlabel="electrode" if in_a_row else "x (µm)", ylabel="" if in_a_row or axis is axes[1] else "y (µm)",
        )
        if in_a_row:
            axis.set(yticks=[], xticks=np.arange(len(noise)))
            axis.spines["left"].set_visible(False)
        fig.colorbar(collection, ax=axis, label=name, location="top" if in_a_row else "right", shrink=0.8)
    return fig


def intervals_isolation(intervals_ms: np.ndarray, guard_ms: float, counts: Mapping[str, int]) -> Figure:
    """Histogram of the intervals (n,) between peaks of a channel, and a bar for what became of the peaks."""
    fig, (axes,) = _figure(1, 2, 2.6, width_ratios=[1.5, 1])
    low = max(intervals_ms.min(), 1e-2)
    axes[0].hist(intervals_ms, np.geomspace(low, max(intervals_ms.max(), 2 * low), 60), color=COLOURS["real"])
    axes[0].axvline(guard_ms, color=DROPPED, linestyle="--", label=f"guard {guard_ms:g} ms")
    axes[0].set(
        xscale="log", xlabel="interval between peaks of an electrode (ms)", ylabel="number of intervals",
    )
    axes[0].legend(loc="upper right")
    names, values = list(counts), np.array(list(counts.values()))
    bars = axes[1].barh(names, values, color=[COLOURS["reach"] if n == "kept" else DROPPED for n in names])
    total = max(values.sum(), 1)
    axes[1].bar_label(bars, [f" {v}  ({v / total:.1%})" for v in values], fontsize=7)
    axes[1].invert_yaxis()
    axes[1].set(xlabel="detected peaks", xlim=(0, 1.45 * max(values.max(), 1)))
    axes[1].xaxis.set_major_locator(mpl.ticker.MaxNLocator(3))
    return fig


def windows_by_channel(time_ms: np.ndarray, by_channel: Mapping[int, np.ndarray], unit: str) -> Figure:
    """Windows (n, samples) of some channels, one panel each, and their mean; all panels share their axes."""
    columns = min(4, len(by_channel))
    rows = -(-len(by_channel) // columns)
    fig, axes = _figure(rows, columns, 1.7 * rows + 0.3, sharex=True, sharey=True)
    for axis, (channel, windows) in zip(axes.flat, by_channel.items()):
        axis.plot(time_ms, windows.T, color=COLOURS["real"], linewidth=0.4, alpha=0.25)
        axis.plot(time_ms, windows.mean(axis=0), color=DROPPED, linewidth=1.6)
        axis.set_title(f"electrode {channel}", fontweight="normal")
    for axis in axes.flat[len(by_channel) :]:
        axis.set_visible(False)
    fig.supxlabel("time from trough (ms)", fontsize=8)
    fig.supylabel(_voltage(unit), fontsize=8)
    return fig


def training_curves(history: Mapping[str, np.ndarray], validation: np.ndarray, best_step: int, model: str) -> Figure:
    """Losses, the discriminator's answers, learning rates and validation score (looks, 2: step, score) over steps.

    ``history`` maps the columns of ``history.csv`` to arrays (rows,), NaN where a stage does not record one; with the
    columns ``nll`` and ``kl`` a first panel shows the terms of the ELBO.
    """
    step, colour = history["step"], COLOURS[model]
    elbo = "nll" in history
    fig, axes = _figure(1, 5 if elbo else 4, 2.4)
    axes = list(axes[0])
    for axis in axes:
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(2))
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


def samples(time_ms: np.ndarray, real: np.ndarray, synthetic: np.ndarray, model: str, unit: str) -> Figure:
    """Windows (n, samples) overlaid, and a grid of single ones below: real to the left, generated to the right."""
    fig = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axes = fig.subplot_mosaic(
        [["real"] * 4 + ["model"] * 4] * 2 + [[f"{i}{j}" for j in range(8)] for i in range(2)], sharex=True, sharey=True
    )
    rows = {"real": real, "model": synthetic}
    for side, windows in rows.items():
        name = "real" if side == "real" else model
        axes[side].plot(time_ms, windows.T, color=COLOURS[name], linewidth=0.4, alpha=0.3)
        axes[side].set_title(LABELS[name])
        for i in range(2):
            for j in range(4):
                axis = axes[f"{i}{j + (0 if side == 'real' else 4)}"]
                axis.plot(time_ms, windows[4 * i + j], color=COLOURS[name], linewidth=0.9)
    for name, axis in axes.items():
        axis.label_outer()
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(3))
    fig.supxlabel("time from trough (ms)", fontsize=8)
    fig.supylabel(_voltage(unit), fontsize=8)
    return fig


def _legend(fig: Figure, sources: Sequence[str]) -> None:
    lines = [Line2D([], [], color=COLOURS[s], linewidth=2, label=LABELS[s]) for s in sources]
    fig.legend(handles=lines, loc="outside lower center", ncols=len(lines))


def feature_marginals(features: Mapping[str, Mapping[str, np.ndarray]], unit: str) -> Figure:
    """Histograms of shape features (n,): source → feature → values, as ``metrics.shape_features`` names them."""
    names = {
        "trough": f"trough ({UNITS[unit]})", "peak_to_peak": f"peak to peak ({UNITS[unit]})",
        "trough_to_peak_ms": "trough to peak (ms)", "half_width_ms": "half-width (ms)",
        "fall": f"steepest fall ({UNITS[unit]}/ms)", "rise": f"steepest rise ({UNITS[unit]}/ms)",
    }
    fig, axes = _figure(2, 3, 3.8)
    for axis, (feature, label) in zip(axes.flat, names.items()):
        pooled = np.concatenate([values[feature] for values in features.values()])
        low, high = np.quantile(pooled, [0.002, 0.998])
        levels = np.unique(pooled)
        if len(levels) < 100:  # durations come in whole samples
            levels = levels[(levels >= low) & (levels <= high)]
            step = np.diff(levels).min() if len(levels) > 1 else 1.0
            bins = np.arange(low - step / 2, high + step, step)
        else:
            bins = np.linspace(low, high, 40)
        for source, values in features.items():
            filled = source == "real"
            axis.hist(
                values[feature], bins, density=True, color=COLOURS[source], histtype="stepfilled" if filled else "step",
                alpha=0.25 if filled else 1.0, linewidth=1.2,
            )
        axis.set(xlabel=label, yticks=[])
    fig.supylabel("density", fontsize=8)
    _legend(fig, list(features))
    return fig


def spectra(
    frequency_hz: np.ndarray, power: Mapping[str, np.ndarray], floor: np.ndarray, unit: str
) -> Figure:
    """Mean power (frequencies,) by source, and log-ratio to the real one with the ± ``floor`` band around zero."""
    fig, (axes,) = _figure(1, 2, 2.8)
    khz = frequency_hz / 1000
    for source, values in power.items():
        axes[0].semilogy(khz, values, color=COLOURS[source])
        if source != "real":
            axes[1].plot(khz, np.log(values / power["real"]), color=COLOURS[source])
    axes[1].fill_between(khz, -floor, floor, color=COLOURS["real"], alpha=0.2, linewidth=0)
    axes[1].axhline(0, color=COLOURS["real"], linewidth=0.8)
    axes[0].set(xlabel="frequency (kHz)", ylabel=f"mean power ({UNITS[unit]}²)")
    axes[1].set(xlabel="frequency (kHz)", ylabel="log power, generated − real")
    _legend(fig, list(power))
    return fig


def pca(scores: Mapping[str, np.ndarray], explained: np.ndarray) -> Figure:
    """First two principal components (n, 2) of each source; one panel for each model over the real windows."""
    models = [source for source in scores if source != "real"]
    fig, (axes,) = _figure(1, len(models), WIDTH / len(models) + 0.3, sharex=True, sharey=True)
    for axis, model in zip(axes, models):
        axis.scatter(*scores["real"].T, s=3, color=COLOURS["real"], alpha=0.35, linewidths=0, rasterized=True)
        axis.scatter(*scores[model].T, s=3, color=COLOURS[model], alpha=0.35, linewidths=0, rasterized=True)
        axis.set(title=LABELS[model], xlabel=f"component 1 ({explained[0]:.0%} of variance)")
    axes[0].set_ylabel(f"component 2 ({explained[1]:.0%})")
    _legend(fig, list(scores))
    return fig


def scores(
    values: Mapping[str, Mapping[str, Mapping]], labels: Mapping[str, str], higher_is_better: Mapping[str, bool]
) -> Figure:
    """One panel for each metric: each model's value with its interval, the floor with its own, the reach as a line.

    ``values``: model → metric → {value, interval, floor, floor_interval, reach}.
    """
    models = [m for m in values if m != "reach"]
    columns = 4
    rows = -(-len(labels) // columns)
    fig, axes = _figure(rows, columns, 1.75 * rows + 0.4, sharey=True)
    for axis, metric in zip(axes.flat, labels):
        first = values[models[0]][metric]
        axis.axvspan(*first["floor_interval"], color=COLOURS["real"], alpha=0.15, linewidth=0)
        axis.axvline(first["floor"], color=COLOURS["real"], linewidth=1)
        axis.axvline(first["reach"], color=COLOURS["reach"], linewidth=1, linestyle="--")
        for y, model in enumerate(models):
            score = values[model][metric]
            axis.plot(score["interval"], [y, y], color=COLOURS[model], linewidth=1.5)
            axis.plot(score["value"], y, "o", color=COLOURS[model], markersize=5)
        axis.set_title(labels[metric], fontweight="normal", fontsize=8)
        axis.set_xlabel("higher is better" if higher_is_better[metric] else "lower is better", fontsize=6.5, color="0.4")
        axis.set(yticks=range(len(models)), yticklabels=[LABELS[m] for m in models], ylim=(len(models) - 0.5, -0.5))
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
    for axis in axes.flat[len(labels) :]:
        axis.set_visible(False)
    fig.legend(
        handles=[
            mpl.patches.Patch(color=COLOURS["real"], alpha=0.3, label="floor: test A against test B, 95 %"),
            Line2D([], [], color=COLOURS["reach"], linestyle="--", label="reach: training windows against test A"),
        ],
        loc="outside lower center", ncols=2,
    )
    return fig
