"""Figures of spike trains: bursts, connectivity, groups, treatment."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from meagan_lib.plots import style
from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.style import BLANK, COLOURS, LABELS, SERIES, WIDTH, Arrays

GROUPS = ("#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#3C3C3C")
"""Colours of groups and communities, from the largest; those beyond, and none, are light grey."""
IN_BURST = "#E69F00"


def _group_colours(group: np.ndarray | int) -> np.ndarray:
    """Look up the colour RGBA (n, 4) of each group int (n,), or (4,) of one."""
    palette = mpl.colors.to_rgba_array([*GROUPS, BLANK])
    group = np.asarray(group)
    return palette[np.where((group >= 0) & (group < len(GROUPS)), group, len(GROUPS))]


def _colour_ticks(axis: Axes, n_groups: int) -> None:
    """Give the labels of the first ``n_groups`` ticks of x the colours of the groups."""
    for g, tick in enumerate(axis.get_xticklabels()[:n_groups]):
        tick.set(color=_group_colours(g), fontweight="bold")


@drawing
def raster(
    time_s: np.ndarray,
    electrode: np.ndarray,
    in_burst: np.ndarray,
    n_electrodes: int,
    span_s: tuple[float, float],
    network_s: np.ndarray,
    planted_s: np.ndarray,
) -> Figure:
    """Draw the spikes of each electrode over time, those in bursts coloured; below, the network's rate and bursts.

    ``time_s``, ``electrode``, ``in_burst`` (n,): when, where, and whether in a burst of that electrode. ``span_s``:
    from when to when. ``network_s``, ``planted_s`` (bursts, 2): begin and end of the bursts of the network that were
    found, and of planted ones, if any.
    """
    fig, ((above,), (below,)) = style.panel_grid(2, 1, 4.2, sharex=True, height_ratios=[2.4, 1])
    height = np.clip(0.6 * 0.62 * 4.2 * 72 / max(n_electrodes, 1), 0.8, 6)
    kinds = (~in_burst, "0.35", "spike"), (in_burst, IN_BURST, "spike in a burst of its electrode")
    handles = []
    for mask, colour, label in kinds:
        mark = dict(color=colour, markersize=height, markeredgewidth=0.6, rasterized=True)
        above.plot(time_s[mask], electrode[mask], "|", **mark)
        handles.append(style.dot(label, colour, "|", markersize=7, markeredgewidth=1.4))
    handles.append(mpl.patches.Patch(color=SERIES[2][0], alpha=0.35, linewidth=0, label="burst of the network"))
    planted = len(planted_s) > 0
    network_s, planted_s = (s[(s[:, 1] > span_s[0]) & (s[:, 0] < span_s[1])] for s in (network_s, planted_s))
    for axis in (above, below):
        for begin, end in network_s:
            axis.axvspan(begin, end, color=SERIES[2][0], alpha=0.22, linewidth=0, zorder=0)
    edges = np.arange(span_s[0], span_s[1] + 0.05, 0.05)
    rate = np.histogram(time_s, edges)[0] / 0.05
    below.stairs(rate, edges, color=COLOURS["real"], linewidth=0.9)
    top = 1.08 * max(rate.max(initial=0), 1)
    if planted:
        for begin, end in planted_s:
            below.plot([begin, end], [1.04 * top] * 2, color=SERIES[0][0], linewidth=3, solid_capstyle="butt")
        handles.append(Line2D([], [], color=SERIES[0][0], linewidth=3, label="planted"))
        top *= 1.1
    above.set(ylabel="electrode", ylim=(n_electrodes - 0.5, -0.5))
    style.set_ticks(above, y=5, integer=True)
    below.set(xlabel="time (s)", ylabel="spikes / s, all", xlim=span_s, ylim=(0, top))
    style.set_ticks(below, y=3)
    fig.align_ylabels([above, below])
    fig.legend(handles=handles, loc="outside upper right", ncols=4, handlelength=1.4)
    return fig


@drawing
def log_intervals(
    edges_ms: np.ndarray,
    share: np.ndarray,
    threshold_ms: np.ndarray,
    justified: np.ndarray,
    pooled_ms: np.ndarray,
    chance_ms: np.ndarray,
    pool: int,
    network_threshold_ms: float,
    network_justified: bool,
) -> Figure:
    """Draw histograms of log-intervals, of each electrode and of the network, with the thresholds of bursts.

    ``edges_ms`` (bins + 1,), ``share`` (electrodes, bins): fraction of an electrode's intervals in each bin, from the
    top row. ``threshold_ms``, ``justified`` (electrodes,): longest interval within a burst, and whether a valley gave
    it; likewise of the network. ``pooled_ms``, ``chance_ms``: times that ``pool`` spikes in a row took, whichever
    electrodes they were on, and the same of a network without a pattern.
    """
    fig, (axes,) = style.panel_grid(1, 2, 3.0)
    n, shown = len(share), np.ma.masked_equal(100 * share, 0)
    mesh = axes[0].pcolormesh(edges_ms, np.arange(n + 1) - 0.5, shown, cmap="Greys", rasterized=True, vmin=0)
    fig.colorbar(mesh, ax=axes[0], label="intervals of an electrode (%)", shrink=0.9)
    for mask, fill, label in ((justified, IN_BURST, "valley"), (~justified, "none", "¼ of the mean, 100 ms at most")):
        mark = dict(markersize=3.4, markerfacecolor=fill, markeredgecolor=IN_BURST, markeredgewidth=0.8)
        axes[0].plot(threshold_ms[mask], np.flatnonzero(mask), "o", label=label, **mark)
    axes[0].set(xscale="log", xlabel="interval between spikes (ms)", xlim=(edges_ms[0], edges_ms[-1]))
    axes[0].set(ylabel="electrode, from the busiest", ylim=(n - 0.5, -0.5))
    style.set_ticks(axes[0], y=5, integer=True)
    pooled = np.concatenate([pooled_ms, chance_ms])
    positive = pooled[pooled > 0]
    low, high = (positive.min(), positive.max()) if len(positive) else (1.0, 10.0)
    bins = np.geomspace(low, max(high, 1.01 * low), 50)
    chance = dict(histtype="step", linewidth=1, label="no pattern, same rates")
    for values, look in ((pooled_ms, dict(alpha=0.3, label="recorded")), (chance_ms, chance)):
        weights = np.full(len(values), 100 / max(len(values), 1))
        axes[1].hist(values, bins, weights=weights, color=COLOURS["real"], **look)
    line, label = ("-", "valley") if network_justified else ("--", "third of the mean")
    axes[1].axvline(network_threshold_ms, color=IN_BURST, linewidth=1.4, linestyle=line, label=label)
    axes[1].set(xscale="log", xlabel=f"time that {pool} spikes in a row take (ms)", ylabel="fraction (%)")
    axes[1].xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,), numticks=6))
    axes[1].xaxis.set_major_formatter("{x:g}")
    axes[1].xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    for axis in axes:
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.19), ncols=3, handlelength=1.3, columnspacing=1)
    return fig


@drawing
def connectivity_matrix(
    coefficients: np.ndarray, connected: np.ndarray, community: np.ndarray, observed: np.ndarray, jittered: np.ndarray
) -> Figure:
    """Draw the STTC of every pair, electrodes ordered by community, and its histogram beside that of jittered trains.

    ``coefficients``, ``connected`` (electrodes, electrodes), in order of ``community``: above the diagonal all of them,
    below it only those that are ``connected`` (bool). ``community`` int (electrodes,), ascending; −1, at the end, for
    none. ``observed``, ``jittered`` (pairs,): coefficients of all pairs, of the trains and of one surrogate.
    """
    fig, (axes,) = style.panel_grid(1, 2, 3.1, width_ratios=[1.25, 1])
    shown = np.where(np.tril(~connected), np.nan, coefficients)
    np.fill_diagonal(shown, np.nan)
    observed, jittered = observed[np.isfinite(observed)], jittered[np.isfinite(jittered)]
    limit = (float(np.quantile(np.abs(observed), 0.995)) if len(observed) else 0) or 1.0
    mesh = axes[0].imshow(shown, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    fig.colorbar(mesh, ax=axes[0], label="STTC", shrink=0.85, extend="both", ticks=mpl.ticker.MaxNLocator(5))
    start = 0
    for c, size in zip(*np.unique(community[community >= 0], return_counts=True)):
        frame = dict(fill=False, edgecolor=_group_colours(c), linewidth=1.6)
        axes[0].add_patch(mpl.patches.Rectangle((start - 0.5, start - 0.5), size, size, **frame))
        start += size
    axes[0].set(xlabel="electrode, by community", ylabel="electrode, by community")
    style.panel_title(axes[0], "above: all pairs; below: connected")
    style.set_ticks(axes[0], 5, 5, integer=True)
    axes[0].spines[:].set_visible(False)
    axes[0].set_facecolor("0.94")
    pooled = np.concatenate([observed, jittered])
    low, high = (pooled.min(), pooled.max()) if len(pooled) else (-1, 1)
    bins = np.linspace(low, max(high, low + 1e-6), 45)
    axes[1].hist(observed, bins, color=COLOURS["real"], alpha=0.3, label="recorded")
    axes[1].hist(jittered, bins, color=COLOURS["real"], histtype="step", linewidth=1, label="jittered")
    axes[1].set(xlabel="STTC of a pair", ylabel="pairs")
    axes[1].legend(loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=2)
    return fig


@drawing
def network_graph(
    positions_um: np.ndarray | None,
    edges: np.ndarray,
    community: np.ndarray,
    degree: np.ndarray,
    hubs: np.ndarray,
    measures: Mapping[str, tuple[float, np.ndarray]],
) -> Figure:
    """Draw connected electrodes on the chip, and measures of the graph beside random graphs with the same degrees.

    ``positions_um`` (electrodes, 2); None puts the electrodes on a circle. ``edges`` (edges, 2): pairs of connected
    electrodes. ``community``, ``degree``, ``hubs`` (electrodes,): colour, size, and which have a ring. ``measures``:
    name → value of the graph, and (n,) those of random graphs.
    """
    n = len(degree)
    fig = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    left, right = fig.subfigures(1, 2, width_ratios=[1.6, 1])
    chip = left.subplots()
    if positions_um is None:
        turn = 2 * np.pi * np.arange(n) / max(n, 1)
        places = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        chip.axis("off")
    else:
        places = np.asarray(positions_um, float)
        chip.set(xlabel="x (µm)", ylabel="y (µm)")
    faint = float(np.clip(30 / np.sqrt(max(len(edges), 1)), 0.05, 0.8))
    lines = dict(colors="0.45", linewidths=0.8, alpha=faint, zorder=1, rasterized=len(edges) > 2000)
    chip.add_collection(mpl.collections.LineCollection(places[edges.reshape(-1, 2)], **lines))
    size = 14 + 90 * degree / max(degree.max(initial=0), 1)
    chip.scatter(*places.T, s=size, c=_group_colours(community), edgecolors="white", linewidths=0.6, zorder=2)
    ring = dict(facecolors="none", edgecolors=COLOURS["real"], linewidths=1.2, zorder=3)
    chip.scatter(*places[hubs].T, s=1.9 * size[hubs] + 30, **ring)
    margin = 0.08 * max(np.ptp(places, axis=0).max(initial=0), 1e-3) if n else 1
    low, high = (places.min(axis=0), places.max(axis=0)) if n else (np.zeros(2), np.ones(2))
    chip.set(xlim=(low[0] - margin, high[0] + margin), ylim=(high[1] + margin, low[1] - margin), aspect="equal")
    where = "; positions unknown: on a circle" if positions_um is None else ""
    style.panel_title(chip, f"{len(edges)} of {n * (n - 1) // 2} pairs are connected{where}")
    style.set_ticks(chip, 4, 4)
    handles = [style.dot("communities: colours", GROUPS[0], markersize=5)]
    if (community < 0).any():
        handles.append(style.dot("no connection", BLANK, markersize=5))
    if np.any(hubs):
        handles.append(style.dot("hub", COLOURS["real"], markersize=9, markerfacecolor="none"))
    left.legend(handles=handles, loc="outside lower center", ncols=3, handletextpad=0.2)
    for axis, (name, (value, random)) in zip(np.ravel(right.subplots(len(measures), 1)), measures.items()):
        spread = 0.25 * np.sin(2.4 * np.arange(len(random)))
        axis.plot(random, spread, "o", color="0.65", markersize=3.5, markeredgewidth=0)
        if np.isfinite(value):
            axis.plot(value, 0, "D", color=COLOURS["real"], markersize=6)
        axis.set(ylim=(-0.6, 0.6), yticks=[])
        axis.margins(x=0.15)
        style.panel_title(axis, name)
        axis.spines["left"].set_visible(False)
        style.set_ticks(axis, x=4)
    handles = [style.dot("this graph", COLOURS["real"], "D", markersize=5)]
    if any(len(random) for _, random in measures.values()):
        handles.append(style.dot("random, same degrees", "0.65", markersize=4))
    right.legend(handles=handles, loc="outside lower center", ncols=2, handletextpad=0.2)
    return fig


@drawing
def memberships(membership: np.ndarray, n_groups: np.ndarray, indices: Arrays, votes: Mapping[str, int]) -> Figure:
    """Draw the indices for the number of groups, and how much each electrode belongs to each.

    ``membership`` (electrodes, groups): rows with sum 1. ``n_groups`` (k,): the numbers of groups that were tried.
    ``indices``, ``votes``: name of an index → its values (k,), and the number of groups that it prefers.
    """
    fig = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    left, right = fig.subfigures(1, 2, width_ratios=[1, 1.5])
    axes = np.ravel(left.subplots(len(indices), 1, sharex=True))
    for axis, (name, values) in zip(axes, indices.items()):
        shown = np.where(np.abs(values) < 1e3, values, np.nan)  # groups that coincide
        axis.plot(n_groups, shown, "o-", color=COLOURS["real"], markersize=3.5)
        best = np.flatnonzero(n_groups == votes[name])
        axis.plot(n_groups[best], shown[best], "o", markersize=9, markerfacecolor="none", color=IN_BURST)
        style.panel_title(axis, name, fontsize=7.5)
        style.set_ticks(axis, y=3)
        axis.margins(x=0.12, y=0.35)
    axes[-1].set(xlabel="groups (ringed: preferred)", xticks=n_groups)
    axis = right.subplots()
    order = np.lexsort((-membership.max(axis=1), membership.argmax(axis=1)))
    edges, base = np.arange(len(order) + 1) - 0.5, np.zeros(len(order))
    for g, top in enumerate(np.cumsum(membership[order], axis=1).T):
        axis.stairs(top, edges, baseline=base, fill=True, color=_group_colours(g), label=f"group {g + 1}")
        base = top
    axis.set(xlabel="electrode, by group", ylabel="membership", ylim=(0, 1), xlim=(-0.5, len(order) - 0.5))
    style.set_ticks(axis, x=6, integer=True)
    right.legend(loc="outside upper center", ncols=6, handlelength=1)
    return fig


@drawing
def channel_groups(
    plane: np.ndarray,
    explained: np.ndarray,
    label: np.ndarray,
    certainty: np.ndarray,
    profile: np.ndarray,
    names: Sequence[str],
    accuracy: float,
    null: np.ndarray,
) -> Figure:
    """Draw electrodes in the plane of their features, the profiles of their groups, and how they hold in time.

    ``plane`` (electrodes, 2): first two principal components of the features; ``explained`` (2,): their fractions of
    the variance. ``label``, ``certainty`` (electrodes,): group, and the membership in it. ``profile`` (groups,
    features): centres of the groups in z-scores; ``names`` of the features. ``accuracy``, ``null`` (n,): balanced
    accuracy in unseen blocks of time, and that of permuted labels.
    """
    fig, (axes,) = style.panel_grid(1, 3, 2.6, width_ratios=[1.25, 1.0, 0.95])
    colours = _group_colours(label)
    colours[:, 3] = 0.25 + 0.75 * (certainty - certainty.min()) / max(np.ptp(certainty), 1e-9)
    axes[0].scatter(*plane.T, s=26, c=colours, linewidths=0)
    axes[0].set(
        xlabel=f"component 1 ({100 * explained[0]:.0f} % of variance)",
        ylabel=f"component 2 ({100 * explained[1]:.0f} %)",
    )
    limit = max(float(np.abs(profile).max()), 0.1)
    mesh = axes[1].imshow(profile.T, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    axes[1].set(xlabel="group", xticks=range(len(profile)), xticklabels=range(1, len(profile) + 1))
    axes[1].set(yticks=range(len(names)), yticklabels=names)
    axes[1].tick_params(length=0)
    _colour_ticks(axes[1], len(profile))
    axes[1].spines[:].set_visible(False)
    fig.colorbar(mesh, ax=axes[1], label="mean (z-score)", shrink=0.9, ticks=mpl.ticker.MaxNLocator(4))
    axes[2].hist(100 * null, 20, color="0.75", label="permuted groups")
    axes[2].axvline(100 * accuracy, color=IN_BURST, linewidth=1.6, label="groups")
    axes[2].set(xlabel="right in unseen time (%)", ylabel="permutations")
    axes[2].legend(loc="upper center", bbox_to_anchor=(0.5, 1.24), handlelength=1.3)
    return fig


@drawing
def treatment(
    plane: Arrays,
    rescues: Mapping[str, tuple[float, tuple[float, float], np.ndarray, float]],
    ends: tuple[str, str] = ("pathological", "healthy"),
) -> Figure:
    """Draw cultures between the two conditions of ``ends``, and how far treatments move them, beside the null.

    ``plane``: condition → cultures (n, 2); across, 0 is the mean of the first end and 1 of the other. ``rescues``:
    treated condition → fraction of the way (NaN: not defined), its 95 % interval, the null (n,) and the p-value.
    """
    fig = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    left, right = fig.subfigures(1, 2, width_ratios=[1.25, 1])
    axis = left.subplots()
    styles = dict(zip(plane, SERIES))
    for name, points in plane.items():
        colour, marker = styles[name]
        axis.scatter(*points.T, s=26, color=colour, marker=marker, linewidths=0, alpha=0.75, label=name)
        ring = dict(markersize=11, markerfacecolor="none", markeredgecolor=colour, markeredgewidth=1.8)
        axis.plot(*points.mean(axis=0), marker, **ring)
    axis.set(xlabel=f"from {ends[0]} (0) to {ends[1]} (1)", ylabel="otherwise (SD of a feature)")
    left.legend(loc="outside upper center", ncols=len(plane), handletextpad=0.1, columnspacing=1)
    panels = np.ravel(right.subplots(len(rescues), 1, sharex=True))
    everything = np.concatenate([null for _, _, null, _ in rescues.values()])
    bins = np.linspace(everything.min(), max(everything.max(), everything.min() + 1e-6), 30)
    for axis, (name, (fraction, interval, null, p)) in zip(panels, rescues.items()):
        colour = styles[name][0]
        axis.hist(null, bins, color="0.8")
        top = axis.get_ylim()[1]
        axis.axvline(fraction, color=colour, linewidth=1.8)
        across = interval if np.isfinite(interval).all() else bins[[0, -1]]
        axis.plot(across, [0.9 * top] * 2, color=colour, linewidth=1.2)
        axis.set(yticks=[])
        axis.spines["left"].set_visible(False)
        found = f"{fraction:.2f}" if np.isfinite(fraction) else "not defined"
        style.panel_title(axis, f"{name}: {found}, p = {p:.3f}", color=colour)
    panels[-1].set_xlabel(f"fraction of the way to {ends[1]} (grey: null)")
    return fig


@drawing
def treatment_distances(
    rows: Sequence[tuple[str, str]], value: np.ndarray, null: np.ndarray, drift: np.ndarray, q: np.ndarray
) -> Figure:
    """Draw distances between conditions of one culture, beside shuffled blocks and the drift within a recording.

    ``rows``: part of the culture, and which two conditions. ``value``, ``drift``, ``q`` (rows,): distance; larger
    distance of the two halves within either recording; p-value, corrected for the rows. ``null`` (rows, n): distances
    of shuffled labels.
    """
    fig, ((axis,),) = style.panel_grid(1, 1, 0.9 + 0.24 * len(rows))
    y = np.arange(len(rows)) + 0.6 * np.cumsum([i > 0 and rows[i][0] != rows[i - 1][0] for i in range(len(rows))])
    low, high = np.quantile(null, [0.0, 0.95], axis=1)
    axis.barh(y, high - low, 0.62, low, color=BLANK, label="shuffled blocks, lower 95 %")
    axis.plot(drift, y, "|", color=SERIES[1][0], markersize=11, markeredgewidth=2, label="drift within a recording")
    axis.plot(value, y, "o", color=COLOURS["real"], markersize=5, label="between the two conditions")
    right = 1.22 * max(value.max(), drift.max(), high.max(), 1e-6)
    for i, where in enumerate(y):
        axis.text(right, where, f"q = {q[i]:.3f}", ha="right", va="center", fontsize=7, color="0.35")
    axis.set(xlabel="distance of the means (standard deviations of a block's feature)", xlim=(0, right))
    axis.set(yticks=y, yticklabels=[f"{part}   {pair}" for part, pair in rows], ylim=(y[-1] + 0.6, -0.6))
    style.set_rows(axis)
    fig.legend(loc="outside upper center", ncols=3)
    return fig


@drawing
def synthetic_groups(planes: Arrays, labels: Arrays, shares: Arrays, errors: Arrays) -> Figure:
    """Draw synthetic and real spikes in the groups of the real ones, and the fraction in each.

    ``planes``, ``labels``: source → (n, 2) spikes in the plane of the real ones' features, and (n,) the group of each;
    the last group is for what lies outside all. ``shares``, ``errors``: source → (groups,) fraction of its spikes in
    each group, and (2, groups) half-widths of the 95 % interval, below and above.
    """
    sources = list(planes)
    n_groups = len(shares[sources[0]]) - 1
    fig = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    above, below = fig.subfigures(2, 1, height_ratios=[1.35, 1])
    axes = above.subplots(1, len(sources), sharex=True, sharey=True, squeeze=False)[0]
    limits = np.quantile(np.concatenate(list(planes.values())), [0.002, 0.998], axis=0)
    for axis, source in zip(axes, sources):
        label = np.where(labels[source] < n_groups, labels[source], -1)
        for out, look in ((False, dict(s=4, alpha=0.7)), (True, dict(s=10, marker="x", linewidths=0.6))):
            these = (label < 0) == out
            colours = "0.35" if out else _group_colours(label[these])
            axis.scatter(*planes[source][these].T, c=colours, rasterized=True, **dict(linewidths=0) | look)
        axis.set_title(LABELS[source], color=COLOURS[source])
    axes[0].set(xlim=limits[:, 0], ylim=limits[:, 1])
    above.supxlabel("component 1 of the shape of real spikes")
    above.supylabel("component 2")
    axis = below.subplots()
    width = 0.8 / len(sources)
    for i, source in enumerate(sources):
        x = np.arange(n_groups + 1) + (i - (len(sources) - 1) / 2) * width
        axis.bar(x, 100 * shares[source], 0.9 * width, color=COLOURS[source], label=LABELS[source])
        axis.errorbar(x, 100 * shares[source], 100 * errors[source], fmt="none", ecolor="black", elinewidth=0.8)
    names = [*(f"group {g + 1}" for g in range(n_groups)), "outside"]
    axis.set(xticks=range(n_groups + 1), xticklabels=names, ylabel="spikes (%)")
    _colour_ticks(axis, n_groups)
    axis.tick_params("x", length=0)
    below.legend(loc="outside lower center", ncols=len(sources))
    return fig
