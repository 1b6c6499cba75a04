"""Figures of experiments: several models, seeds, options or recordings."""

from collections.abc import Collection, Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from meagan_lib.plots import style
from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.style import COLOURS, DROPPED, LABELS, SOURCES, Measured


@drawing
def ablation(table: pd.DataFrame, verdicts: Mapping[tuple[str, str], str]) -> Figure:
    """Draw scores of every variant of an ablation: a row for each, two panels for each recording, a dot for each seed.

    ``table`` of :func:`meagan_lib.experiments.ablation.load`; the variant ``reach`` gives the dashed lines.
    ``verdicts``: (recording, variant) → ``helps``, ``hurts``, ``not significant`` or ``diverges``, the dots' colour.
    """
    recordings = table["data"].unique()
    height, places, headings = 0.0, {}, {}
    for group, own in table[table["variant"] != "reach"].groupby("group", sort=False):
        headings[group] = height
        names = own["variant"].unique()
        places |= {name: height + 1 + i for i, name in enumerate(names)}
        height += len(names) + 1.6
    fig, (axes,) = style.panel_grid(1, 2 * len(recordings), 0.9 + 0.145 * height, sharey=True)
    colours = {"helps": "#56B4E9", "hurts": DROPPED, "not significant": "0.6", "diverges": "0.6", "": COLOURS["real"]}
    panels = [(recording, metric) for recording in recordings for metric in ("c2st_auc", "coverage")]
    for axis, (recording, metric) in zip(axes, panels):
        own = table[table["data"] == recording].set_index("variant")[metric].astype(float)
        axis.axvline(np.mean(own[["reach"]]), color=COLOURS["reach"], linestyle="--", linewidth=1, zorder=0)
        for name, y in places.items():
            values = own[own.index == name].to_numpy()
            colour = colours[verdicts.get((recording, name), "")]
            axis.plot(values, np.full(len(values), y), "o", color=colour, markersize=3, alpha=0.8, markeredgewidth=0)
            if np.isfinite(values).any():
                axis.plot([np.nanmean(values)], [y], "|", color=colour, markersize=7, markeredgewidth=1.6)
            if lost := int(np.isnan(values).sum()):
                left = np.nanmean(values) > (own.min() + own.max()) / 2  # not over the dots
                place = dict(ha="left" if left else "right", va="center", transform=axis.get_yaxis_transform())
                axis.text(0.06 if left else 0.98, y, f"{lost} × diverged", color=colour, fontsize=6, **place)
        style.panel_title(axis, "C2ST AUC" if metric == "c2st_auc" else metric)
        axis.set_ylim(height - 0.8, -0.8)
        style.set_ticks(axis, 3)
        style.light_grid(axis, "x")
        style.set_rows(axis)
        if metric == "c2st_auc":
            style.annotate(axis, recording, (0, 1), (0, 20), fontweight="bold", fontsize=9)
    axes[0].set_yticks(list(places.values()), list(places), fontsize=7)
    for group, y in headings.items():
        options = dict(ha="right", va="center", fontweight="bold", fontsize=7)
        style.annotate(axes[0], group, (0, y), (-4, 0), axes[0].get_yaxis_transform(), **options)
    shades = {"compared with": "", "helps": "helps", "hurts": "hurts", "not significant": "not significant"}
    handles = [style.dot(label, colours[verdict], markersize=4) for label, verdict in shades.items()]
    handles.append(Line2D([], [], color=COLOURS["reach"], linestyle="--", linewidth=1, label=LABELS["reach"]))
    fig.legend(handles=handles, loc="outside lower center", ncols=5)
    return fig


@drawing
def seed_by_seed(
    differences: Mapping[str, Sequence[float]],
    means: Mapping[str, Measured],
    notes: Mapping[str, str],
    significant: Collection[str],
    models: tuple[str, str],
) -> Figure:
    """Compare one model with another on each metric: a dot for each seed, the mean of the pairs and its interval.

    ``differences``: metric in words → excess of the first of the ``models`` over that of the second, for each seed.
    ``means``: metric → their mean. ``notes``: metric → what stands beside it, bold where it is ``significant``. Where
    some differ by more than 10, as in what passes the gate, the axis is logarithmic beyond 1: the others stay legible.
    """
    fig, ((axis,),) = style.panel_grid(1, 1, 0.2 * len(means) + 0.9)
    shown = [abs(x) for _, *ends in means.values() for x in ends] + [abs(x) for by in differences.values() for x in by]
    limit = 1.15 * max([1.0, *(x for x in shown if np.isfinite(x))])
    for sign, model in zip((-1, 1), models):
        axis.axvspan(*sorted((0, sign * limit)), color=COLOURS[model], alpha=0.07, linewidth=0, zorder=0)
        place = (sign * limit, 1), (-4 * sign, 3), axis.get_xaxis_transform()
        align = dict(ha="left" if sign < 0 else "right", va="bottom")
        style.annotate(axis, f"{LABELS[model]} is nearer", *place, color=COLOURS[model], fontsize=8, **align)
    for y, (metric, (mean, *interval)) in enumerate(means.items()):
        for value in differences[metric]:
            colour = COLOURS[models[int(value > 0)]]
            axis.plot(value, y, "o", color=colour, alpha=0.5, markersize=3.5, markeredgewidth=0)
        if len(differences[metric]) > 1:
            colour = COLOURS[models[int(mean > 0)]]
            axis.plot(interval, (y, y), color=colour, linewidth=1.4)
            axis.plot(mean, y, "|", color=colour, markersize=9, markeredgewidth=1.6)
        weight = "bold" if metric in significant else "normal"
        transform = axis.get_yaxis_transform()
        axis.annotate(notes[metric], (1.01, y), xycoords=transform, fontsize=7, va="center", fontweight=weight)
    axis.axvline(0, color=COLOURS["real"], linewidth=0.8)
    beyond = ""
    if limit > 10:
        beyond = ", beyond which the axis is logarithmic"
        axis.set_xscale("symlog", linthresh=1)
        ticks = [tick for tick in (-100, -10, -1, 0, 1, 10, 100) if abs(tick) <= limit]
        axis.set(xticks=ticks, xticklabels=[f"{tick}".replace("-", "−") for tick in ticks])
        axis.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axis.set(
        xlim=(-limit, limit),
        xlabel=f"difference of excess over the floor  (1: what sampling and drift explain{beyond})",
    )
    style.set_rows(axis, list(means))
    return fig


@drawing
def cost_quality(
    cost: Mapping[str, float], quality: Mapping[str, Measured], floor: Measured, reach: float, label: str
) -> Figure:
    """Draw what a model costs against how good it is; models that cost the same lie side by side.

    ``cost``: model → parameters × training windows shown. ``quality``: model → score, named by ``label``. ``floor``,
    ``reach``: the score of two halves of the real windows, and that of training windows.
    """
    fig, ((axis,),) = style.panel_grid(1, 1, 3.0)
    axis.axhspan(*floor[1:], color=COLOURS["real"], alpha=0.12, linewidth=0)
    axis.axhline(floor[0], color=COLOURS["real"], linewidth=0.8)
    axis.axhline(reach, color=COLOURS["reach"], linewidth=1, linestyle="--")
    values = list(cost.values())
    for i, (model, x) in enumerate(cost.items()):
        value, *ends = quality[model]
        x *= 1.06 ** values[:i].count(x)
        axis.plot([x, x], ends, color=COLOURS[model], linewidth=1)
        options = dict(marker=SOURCES[model].marker, linestyle="none", color=COLOURS[model], label=LABELS[model])
        axis.plot(x, value, markersize=6, **options)
    axis.set(xscale="log", xlabel="parameters × training windows shown", xmargin=0.12, ylabel=label)
    handles = axis.get_legend_handles_labels()[0] + [
        mpl.patches.Patch(color=COLOURS["real"], alpha=0.3, label="floor, 95 %"),
        Line2D([], [], color=COLOURS["reach"], linestyle="--", label=LABELS["reach"]),
    ]
    fig.legend(handles=handles, loc="outside right upper")
    return fig


ADDED = {name: (colour, "-", marker) for name, (_, colour, marker) in SOURCES.items()} | {
    "alone": (COLOURS["real"], "-", ""),
    "classical": (DROPPED, "-", "D"),
    "pretrained_vae_gan": (COLOURS["vae_gan"], "--", "s"),
}
"""Colour, line and marker of what is added to real windows."""


@drawing
def augmentation(
    table: pd.DataFrame, verdicts: Mapping[tuple[str, str, int], str], labels: Mapping[str, str]
) -> Figure:
    """Draw macro-F1 against n real windows a class, a column for each recording; below, its gain over these alone.

    A line is the mean over the seeds; bars, of the gains and of the real windows alone, go from the lowest seed to the
    highest. ``table`` of :func:`meagan_lib.experiments.augmentation.load`; the generator ``alone`` is the real windows
    alone. ``verdicts``: (recording, generator, n) → ``helps``, ``hurts`` (both: filled) or ``not significant``.
    """
    names = [name for name in labels if name in set(table["generator"])]
    recordings = table["data"].unique()
    fig, axes = style.panel_grid(2, len(recordings), 5.2, sharex=True, sharey="row")
    for (above, below), recording in zip(axes.T, recordings):
        rows = table[table["data"] == recording]
        f1 = rows.pivot(index="seed", columns=["generator", "n"], values="f1").sort_index(axis=1)
        sizes = f1.columns.levels[1].to_numpy()
        for i, name in enumerate(names):
            colour, line, marker = ADDED[name]
            own, gain = f1[name], f1[name] - f1["alone"]
            above.plot(sizes, own.mean(skipna=False), line, color=colour)
            if name == "alone":
                above.vlines(sizes, own.min(), own.max(), color=colour, linewidth=0.8)
                continue
            aside = sizes * 1.04 ** (i - len(names) / 2)  # side by side, so that bars stay apart
            below.plot(aside, gain.mean(skipna=False), line, color=colour)
            below.vlines(aside, gain.min(), gain.max(), color=colour, linewidth=0.8)
            for x, size, mean in zip(aside, sizes, gain.mean(skipna=False)):
                face = colour if verdicts.get((recording, name, size)) in ("helps", "hurts") else "white"
                below.plot(x, mean, marker, color=colour, markersize=4.5, zorder=3, markerfacecolor=face)
        below.axhline(0, color=COLOURS["real"], linewidth=1)
        above.set(title=recording, xscale="log")
        above.set_xticks(sizes, [str(n) for n in sizes])
        above.minorticks_off()
        below.set_xlabel("real windows of each unit")
        style.light_grid(above, "y")
        style.light_grid(below, "y")
    low, high = axes[1, 0].get_ylim()
    for below in axes[1]:
        below.axhspan(low, 0, color="0.96", linewidth=0, zorder=0)
    axes[1, 0].set_ylim(low, high)
    axes[0, 0].set_ylabel("macro-F1 on held-out windows")
    axes[1, 0].set_ylabel("gain over the real windows alone")
    for words, place, vertical in (("helps", 1, "top"), ("hurts", 0, "bottom")):
        style.annotate(axes[1, -1], words, (1, place), (4, 0), va=vertical, rotation=90, fontsize=7, color="0.4")
    handles = []
    for name in names:
        colour, line, marker = ADDED[name]
        handles.append(Line2D([], [], color=colour, linestyle=line, marker=marker, markersize=4.5, label=labels[name]))
    for face, label in (("0.4", "filled: significant, q < 0.05"), ("white", "open: not significant")):
        handles.append(style.dot(label, "0.4", markerfacecolor=face, markersize=4.5))
    fig.legend(handles=handles, loc="outside lower center", ncols=3)
    return fig


@drawing
def transfer(table: pd.DataFrame, sizes: Sequence[int], labels: Mapping[str, str]) -> Figure:
    """Draw macro-F1 of classifiers that go between real and generated windows: a dot for each seed.

    A row of panels for each of ``sizes``, real windows of a class; a column for each recording. ``table`` of
    :func:`meagan_lib.experiments.augmentation.load`. The floor is chance, one over the number of units.
    """
    recordings = table["data"].unique()
    names = [name for name in labels if name != "alone" and name in set(table["generator"])]
    height = 0.8 + len(sizes) * (0.5 + 0.24 * len(names))
    fig, axes = style.panel_grid(len(sizes), len(recordings), height, sharex=True, sharey=True)
    for line, n in zip(axes, sizes):
        for axis, recording in zip(line, recordings):
            own = table[(table["data"] == recording) & (table["n"] == n)]
            alone = own.loc[own["generator"] == "alone", "f1"]
            axis.axvspan(min(alone), max(alone), color=COLOURS["real"], alpha=0.2, linewidth=0)
            axis.axvline(np.mean(alone), color=COLOURS["real"], linewidth=1)
            axis.axvline(1 / own["units"].iloc[0], color=COLOURS["real"], linewidth=1, linestyle=":")
            for y, name in enumerate(names):
                colour = ADDED[name][0]
                for score, marker, dy in (("tstr", "o", -0.14), ("trts", "D", 0.14)):
                    values = own.loc[own["generator"] == name, score]
                    options = dict(color=colour, markerfacecolor=colour if score == "tstr" else "white", markersize=3.5)
                    axis.plot(values, np.full(len(values), y + dy), marker, **options)
            style.panel_title(axis, f"{recording}, n = {n}")
            style.set_rows(axis, [labels[name] for name in names], line=True)
            style.light_grid(axis, "x")
    for axis in axes[-1]:
        axis.set_xlabel("macro-F1")
    handles = [
        style.dot("TSTR: trained on synthetic windows, tested on real", "0.4", markerfacecolor="0.4", markersize=4),
        style.dot("TRTS: the other way round", "0.4", "D", markerfacecolor="white", markersize=4),
        Line2D([], [], color=COLOURS["real"], linewidth=1, label="TRTR: real to real"),
        Line2D([], [], color=COLOURS["real"], linewidth=1, linestyle=":", label="floor: chance"),
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=2)
    return fig
