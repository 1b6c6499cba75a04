"""Draw the figures of lesson c8 · Attention: arrays in, a figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.lessons import ARROW, DATA, DISCRIMINATOR, GENERATED, OTHER, lesson_figure
from meagan_lib.plots.style import BLANK, SERIES, panel_title


@drawing
def effective_keys(widths: np.ndarray, number: Mapping[str, Sequence[float]], keys: int) -> Figure:
    """Draw the effective number of ``keys`` that a query attends to, by the width (n,) of queries and keys."""
    fig = lesson_figure(2.3)
    axis = fig.subplots()
    for (colour, marker), (label, its) in zip(SERIES, number.items()):
        axis.plot(widths, its, color=colour, marker=marker, markersize=4, label=label)
    axis.axhline(keys, color="0.6", linestyle=":", label=f"equal weight on all {keys}")
    axis.set(xlabel="width $d$ of queries and keys", ylabel="effective number of keys, $e^H$")
    axis.set(xscale="log", ylim=(0, keys + 2))
    axis.set_xticks(widths, [str(d) for d in widths])
    axis.minorticks_off()
    fig.legend(*axis.get_legend_handles_labels(), loc="outside right center")
    return fig


@drawing
def position_products(encoding: np.ndarray, products: np.ndarray) -> Figure:
    """Draw a positional encoding (positions, width), and products (positions, positions) of positions by their lag."""
    fig = lesson_figure(2.5)
    left, right = fig.subplots(1, 2, width_ratios=[1.3, 1])
    mesh = left.imshow(encoding, cmap="RdBu", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    left.set(xlabel="component of the token", ylabel="position $p$")
    fig.colorbar(mesh, ax=left, label="encoding", ticks=[-1, 0, 1], shrink=0.9)
    for (colour, marker), p in zip(SERIES, (0, 20, 40)):
        style = dict(color=colour, marker=marker, markersize=5 - p / 20, linestyle="")
        right.plot(products[p, p:], **style, label=str(p))
    right.set(xlabel="lag $k$ (tokens)", ylabel="PE($p$) · PE($p + k$)", ylim=(0, None))
    right.legend(title="$p$", title_fontsize=7)
    return fig


@drawing
def products_with(products: np.ndarray, position: int) -> Figure:
    """Draw products (positions,) of one position with all, as a fraction of the largest."""
    fig = lesson_figure(2.4, 4)
    axis = fig.subplots()
    axis.plot(products, color=GENERATED, linewidth=1.5, label="product with each position")
    axis.axvline(position, color=DISCRIMINATOR, linestyle="--", label=f"position {position}")
    axis.set(xlabel="position", ylabel="product / largest", ylim=(-0.5, 1.1), xlim=(0, len(products) - 1))
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def _counts(axis: Axes, counts: np.ndarray, colour: str) -> Axes:
    """Draw spike counts (bins,) and give an axis on their right."""
    axis.bar(range(len(counts)), counts, color=colour, width=0.85, label="spikes")
    axis.set(xlabel="bin", ylabel="spikes", xlim=(-0.5, len(counts) - 0.5))
    return axis.twinx()


@drawing
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
    fig = lesson_figure(4.2)
    (above, right), maps = fig.subplots(2, 2, height_ratios=[1, 1.5])
    answer = _counts(above, counts, DATA)
    answer.plot(probability, color=DISCRIMINATOR, linewidth=1.8)
    answer.plot(onset, 0, "^", color=DISCRIMINATOR, clip_on=False, markersize=7, label="true onset")
    answer.set(ylim=(0, 1.05))
    answer.set_ylabel("probability of onset", color=DISCRIMINATOR)
    answer.legend(loc="upper right")
    for (colour, marker), its, head in zip((SERIES[0], SERIES[2]), by_lag, (1, 2)):
        right.plot(lag, its, color=colour, marker=marker, markersize=3, label=f"head {head}")
    right.axvspan(-0.5, burst - 0.5, color="0.92", zorder=0, label="burst")
    right.set(xlabel="lag from the onset (bins)", ylabel="mean weight", ylim=(0, None))
    for axis, its, head in zip(maps, weights, (1, 2)):
        mesh = axis.imshow(its, cmap="viridis", vmin=0, vmax=weights.max(), aspect="auto", interpolation="nearest")
        axis.set(xlabel="key: bin attended to", ylabel="query: bin that attends")
        panel_title(axis, f"head {head}")
    fig.colorbar(mesh, ax=maps, label="weight")
    fig.legend(*right.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return fig


@drawing
def bin_attention(counts: np.ndarray, query: int, weights: np.ndarray, largest: float) -> Figure:
    """Draw what one bin attends to: weights (bins,) over spike counts (bins,), on a scale up to ``largest``."""
    fig = lesson_figure(2.4, 4)
    axis = fig.subplots()
    its = _counts(axis, counts, "0.75")
    axis.plot(query, 0, "^", color=DISCRIMINATOR, clip_on=False, zorder=3, label=f"query: bin {query}")
    its.plot(weights, color=GENERATED, linewidth=1.8, label="weight of each key")
    its.set(ylim=(0, 1.05 * largest))
    its.set_ylabel("weight", color=GENERATED)
    fig.legend(loc="outside lower center", ncols=3)
    return fig


@drawing
def onsets_found(found: Mapping[str, Sequence[float]], cases: int, best: float, chance: float) -> Figure:
    """Draw the fraction of onsets found by each network among ``cases``, in order and shuffled, with 95 % intervals."""
    fig = lesson_figure(2.2)
    axis = fig.subplots()
    at = np.arange(len(found))
    for i, (colour, arrangement) in enumerate(((GENERATED, "bins in order"), (OTHER, "bins shuffled"))):
        heights = np.array([both[i] for both in found.values()])
        whisker = 1.96 * (heights * (1 - heights) / cases) ** 0.5
        axis.bar(at + 0.36 * i - 0.18, heights, 0.34, yerr=whisker, color=colour, label=arrangement, ecolor="0.3")
    axis.axhline(best, color=DATA, linestyle="--", label="best possible")
    axis.axhline(chance, color="0.6", linestyle=":", label="chance")
    axis.set(ylabel="fraction of onsets found", ylim=(0, 1), xlim=(-0.5, len(found) - 0.5))
    axis.set_xticks(at, found)
    fig.legend(*axis.get_legend_handles_labels(), loc="outside right center")
    return fig


@drawing
def two_kinds_of_positions(lags: np.ndarray, starts: Sequence[int], by_lag: Mapping[str, np.ndarray]) -> Figure:
    """Draw the product of one query at each of ``starts`` with one key by its lag: (starts, lags) for each kind."""
    fig = lesson_figure(2.4)
    for axis, (label, products) in zip(axes := fig.subplots(1, 2, sharey=True), by_lag.items()):
        for (colour, marker), size, start, its in zip(SERIES, (6, 4.5, 3), starts, products):
            axis.plot(lags, its, color=colour, marker=marker, markersize=size, linewidth=0.8, label=str(start))
        axis.set(xlabel="lag of the key (tokens)")
        panel_title(axis, f"{label} positions")
    axes[0].set_ylabel("query · key")
    fig.legend(
        *axis.get_legend_handles_labels(), loc="outside right center", title="position\nof the query", title_fontsize=7
    )
    return fig


@drawing
def turned_pair(query: np.ndarray, key: np.ndarray, positions: tuple[int, int], title: str) -> Figure:
    """Draw a pair of components of a query (2,) and of a key (2,), each at its position, as arrows."""
    fig = lesson_figure(2.8, 4)
    axis = fig.subplots()
    names = (f"query, position {positions[0]}", GENERATED), (f"key, position {positions[1]}", DISCRIMINATOR)
    for vector, (label, colour) in zip((query, key), names):
        reach = float(np.hypot(*vector))
        axis.add_patch(Circle((0, 0), reach, fill=False, edgecolor=colour, linewidth=0.6, linestyle=":"))
        axis.annotate("", vector, (0, 0), arrowprops=ARROW | {"color": colour, "linewidth": 1.8})
        axis.plot([], [], color=colour, linewidth=1.8, label=label)
    side = 1.15 * max(np.hypot(*query), np.hypot(*key))
    axis.set(xlabel="first of the pair", ylabel="second", xlim=(-side, side), ylim=(-side, side), aspect="equal")
    panel_title(axis, title)
    fig.legend(loc="outside lower center", ncols=2)
    return fig


@drawing
def late_clock(first: np.ndarray, found: Mapping[str, np.ndarray], cases: int, chance: float, bins: int) -> Figure:
    """Draw the fraction of onsets found, by the position (n,) of the first bin, with 95 % intervals of ``cases``."""
    fig = lesson_figure(2.2)
    axis = fig.subplots()
    for (colour, marker), (label, its) in zip((SERIES[0], SERIES[2]), found.items()):
        whisker = 1.96 * (its * (1 - its) / cases) ** 0.5
        axis.errorbar(first, its, whisker, color=colour, marker=marker, markersize=4, label=label)
    axis.axhline(chance, color="0.6", linestyle=":", label="chance")
    axis.set(
        xlabel=f"position of the first of {bins} bins (training: 0)", ylabel="fraction of onsets found", ylim=(0, 1)
    )
    axis.set_xticks(first)
    fig.legend(*axis.get_legend_handles_labels(), loc="outside right center")
    return fig


@drawing
def causal_mask(maps: Mapping[str, np.ndarray], moves: Mapping[str, np.ndarray], changed_from: int) -> Figure:
    """Draw mean weights (queries, keys) of two networks, and how far a changed future moves their logits (bins,)."""
    fig = lesson_figure(2.6)
    *images, right = fig.subplots(1, 3, width_ratios=[1, 1, 1.3])
    largest = np.quantile(np.concatenate([its[its > 0] for its in maps.values()]), 0.98)
    for axis, (label, its) in zip(images, maps.items()):
        shown = np.ma.masked_equal(its, 0)
        mesh = axis.imshow(shown, cmap="viridis", vmin=0, vmax=largest, interpolation="nearest", aspect="auto")
        axis.set(xlabel="key: bin attended to", ylabel="query: bin that attends", facecolor=BLANK)
        panel_title(axis, label)
    images[1].set(ylabel="", yticklabels=[])
    fig.colorbar(mesh, ax=images, label="mean weight (grey: 0)", extend="max")
    for (colour, marker), (label, its) in zip((SERIES[2], SERIES[1]), moves.items()):
        right.plot(its, color=colour, marker=marker, markersize=3.5, label=label)
    right.axvspan(changed_from - 0.5, len(its) - 0.5, color="0.92", zorder=0, label="counts replaced")
    right.set(xlabel="bin", ylabel="change of its logit (RMS)", xlim=(-0.5, len(its) - 0.5))
    fig.legend(*right.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return fig


@drawing
def residual_connections(depths: np.ndarray, measured: Mapping[str, np.ndarray]) -> Figure:
    """Draw gradient at the input and likeness of tokens by the number of blocks.

    ``measured`` (depths, networks, 2): of each network the norm of the gradient, and the mean cosine between tokens.
    """
    fig = lesson_figure(2.4)
    axes = fig.subplots(1, 2)
    for (colour, marker), (label, its) in zip(SERIES, measured.items()):
        for axis, values in zip(axes, np.moveaxis(its, 2, 0)):
            axis.plot(depths, values, marker, color=colour, markersize=3, alpha=0.5, markeredgewidth=0)
            axis.plot(depths, np.median(values, axis=1), color=colour, linewidth=1.5, label=label)
    axes[0].set(ylabel="gradient at the input (norm)", yscale="log")
    axes[1].set(ylabel="cosine between tokens\nafter the last block", ylim=(-0.05, 1.05))
    for axis in axes:
        axis.set(xlabel="blocks", xscale="log")
        axis.set_xticks(depths, [str(n) for n in depths])
        axis.minorticks_off()
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return fig
