"""Figures of experiments: several models, seeds, options or recordings."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from meagan_lib.evaluation.statistics import SIGNIFICANT, Paired, told_p
from meagan_lib.plots.style import COLOURS, DROPPED, LABELS, SOURCES, panel_grid

ABLATED = {"c2st_auc": "C2ST AUC", "coverage": "coverage"}
"""What the ablation shows of each variant, and its name."""


def ablation(rows: Sequence[Mapping], verdicts: Mapping[tuple[str, str], str]) -> Figure:
    """Scores of every variant of an ablation: a row for each, a pair of panels for each recording, a dot for each seed.

    Parameters
    ----------
    rows
        Of :func:`meagan_lib.experiments.ablation.load`; the variant ``reach`` gives the dashed lines.
    verdicts
        (recording, variant) → ``helps``, ``hurts``, ``not significant`` or ``diverges``: the colour of the dots.
    """
    recordings = list(dict.fromkeys(row["data"] for row in rows))
    groups: dict[str, list[str]] = {}
    for row in rows:
        if row["variant"] != "reach" and row["variant"] not in groups.setdefault(row["group"], []):
            groups[row["group"]].append(row["variant"])
    height, places, headings = 0.0, {}, {}
    for group, names in groups.items():
        headings[group] = height
        places |= {name: height + 1 + i for i, name in enumerate(names)}
        height += len(names) + 1.6
    fig, (axes,) = panel_grid(1, 2 * len(recordings), 0.9 + 0.145 * height, sharey=True)
    colours = {"helps": "#009E73", "hurts": DROPPED, "not significant": "0.6", "diverges": DROPPED, "": COLOURS["real"]}
    panels = [(recording, metric) for recording in recordings for metric in ABLATED]
    for axis, (recording, metric) in zip(axes, panels):
        own = [row for row in rows if row["data"] == recording]
        reach = np.mean([row[metric] for row in own if row["variant"] == "reach"])
        axis.axvline(reach, color=COLOURS["reach"], linestyle="--", linewidth=1, zorder=0)
        for name, y in places.items():
            values = np.array([row[metric] for row in own if row["variant"] == name], dtype=float)
            colour = colours[verdicts.get((recording, name), "")]
            axis.plot(values, np.full(len(values), y), "o", color=colour, markersize=3, alpha=0.8, markeredgewidth=0)
            if np.isfinite(values).any():
                axis.plot([np.nanmean(values)], [y], "|", color=colour, markersize=7, markeredgewidth=1.6)
            if lost := int(np.isnan(values).sum()):
                axis.text(
                    0.98,
                    y,
                    f"{lost} × diverged",
                    color=colour,
                    fontsize=6,
                    ha="right",
                    va="center",
                    transform=axis.get_yaxis_transform(),
                )
        axis.set_title(ABLATED[metric], fontweight="normal", fontsize=8)
        axis.set_ylim(height - 0.8, -0.8)
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(3))
        axis.grid(axis="x", color="0.93", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.tick_params("y", length=0)
        axis.spines["left"].set_visible(False)
        if metric == next(iter(ABLATED)):
            axis.annotate(
                recording,
                (0, 1),
                (0, 20),
                xycoords="axes fraction",
                textcoords="offset points",
                fontweight="bold",
                fontsize=9,
            )
    axes[0].set_yticks(list(places.values()), list(places), fontsize=7)
    for group, y in headings.items():
        axes[0].annotate(
            group,
            (0, y),
            (-4, 0),
            xycoords=axes[0].get_yaxis_transform(),
            textcoords="offset points",
            ha="right",
            va="center",
            fontweight="bold",
            fontsize=7,
        )
    shades = {"compared with": "", "helps": "helps", "hurts": "hurts", "not significant": "not significant"}
    handles = [
        *(
            mpl.lines.Line2D([], [], marker="o", linestyle="", markersize=4, color=colours[verdict], label=label)
            for label, verdict in shades.items()
        ),
        mpl.lines.Line2D([], [], color=COLOURS["reach"], linestyle="--", linewidth=1, label=LABELS["reach"]),
    ]
    fig.legend(handles=handles, loc="outside lower right", ncols=5)
    return fig


def seed_by_seed(
    differences: Mapping[str, Mapping[int, float]], found: Mapping[str, Paired], models: tuple[str, str]
) -> Figure:
    """One model against another on each metric: a dot for each seed, the mean of the pairs and its interval.

    Parameters
    ----------
    differences
        Metric in words → seed → excess of the first model over that of the second.
    found
        Metric in words → what the pairs say.
    models
        Both, as keys of ``SOURCES``.
    """
    fig, ((axis,),) = panel_grid(1, 1, 0.2 * len(found) + 0.9)
    reach = max((abs(x) for pair in found.values() for x in pair.interval if np.isfinite(x)), default=0.0)
    reach = 1.15 * max([reach, 1.0] + [abs(d) for by in differences.values() for d in by.values()])
    for sign, model in zip((-1, 1), models):
        axis.axvspan(*sorted((0, sign * reach)), color=COLOURS[model], alpha=0.07, linewidth=0, zorder=0)
        axis.annotate(
            f"{LABELS[model]} is nearer",
            (sign * reach, 1),
            (-4 * sign, 3),
            xycoords=axis.get_xaxis_transform(),
            textcoords="offset points",
            ha="left" if sign < 0 else "right",
            va="bottom",
            color=COLOURS[model],
            fontsize=8,
        )
    for y, (metric, pair) in enumerate(found.items()):
        colour = COLOURS[models[int(pair.difference > 0)]]
        for value in differences[metric].values():
            axis.plot(
                value, y, "o", color=COLOURS[models[int(value > 0)]], alpha=0.5, markersize=3.5, markeredgewidth=0
            )
        if pair.n > 1:
            axis.plot(pair.interval, (y, y), color=colour, linewidth=1.4)
            axis.plot(pair.difference, y, "|", color=colour, markersize=9, markeredgewidth=1.6)
        if np.isfinite(pair.p):
            said = f"g = {pair.hedges_g:+.1f},  {told_p(pair.p)}"
            said = (said + f",  {told_p(pair.q, 'q')}" * bool(np.isfinite(pair.q))).replace("-", "−")
            bold = "bold" if pair.q < SIGNIFICANT else "normal"
            axis.annotate(
                said, (1.01, y), xycoords=axis.get_yaxis_transform(), fontsize=7, va="center", fontweight=bold
            )
    axis.axvline(0, color=COLOURS["real"], linewidth=0.8)
    axis.set(xlim=(-reach, reach), ylim=(len(found) - 0.5, -0.5), yticks=range(len(found)), yticklabels=list(found))
    axis.set_xlabel("difference of excess over the floor  (1: as far as sampling and drift reach)")
    axis.tick_params("y", length=0)
    axis.spines["left"].set_visible(False)
    return fig


def cost_quality(
    cost: Mapping[str, float],
    quality: Mapping[str, tuple[float, float, float]],
    floor: tuple[float, float, float],
    reach: float,
    label: str,
) -> Figure:
    """What a model takes against what it gives.

    Parameters
    ----------
    cost
        Model → parameters × training windows shown.
    quality
        Model → score and the ends of its interval; ``label`` names it.
    floor, reach
        The score of two halves of the real windows with its interval, and that of training windows.
    """
    fig, ((axis,),) = panel_grid(1, 1, 3.0)
    axis.axhspan(*floor[1:], color=COLOURS["real"], alpha=0.12, linewidth=0)
    axis.axhline(floor[0], color=COLOURS["real"], linewidth=0.8)
    axis.axhline(reach, color=COLOURS["reach"], linewidth=1, linestyle="--")
    for model, x in cost.items():
        value, *ends = quality[model]
        axis.plot([x, x], ends, color=COLOURS[model], linewidth=1)
        axis.plot(x, value, SOURCES[model].marker, color=COLOURS[model], markersize=6, label=LABELS[model])
    axis.set(xscale="log", xlabel="parameters × training windows shown", ylabel=label)
    axis.margins(x=0.12)
    handles, _ = axis.get_legend_handles_labels()
    handles += [
        mpl.patches.Patch(color=COLOURS["real"], alpha=0.3, label="floor, 95 %"),
        Line2D([], [], color=COLOURS["reach"], linestyle="--", label=LABELS["reach"]),
    ]
    fig.legend(handles=handles, loc="outside right upper")
    return fig


ADDED = {
    "alone": (COLOURS["real"], "-", ""),
    "classical": (DROPPED, "-", "D"),
    "gaussian": (COLOURS["gaussian"], "-", "^"),
    "transformer_gan": (COLOURS["transformer_gan"], "-", "o"),
    "vae_gan": (COLOURS["vae_gan"], "-", "s"),
    "flow_matching": (COLOURS["flow_matching"], "-", "P"),
    "pretrained_vae_gan": (COLOURS["vae_gan"], "--", "s"),
}
"""Colour, line and marker of what is added to real windows."""


def augmentation(
    rows: Sequence[Mapping], verdicts: Mapping[tuple[str, str, int], str], labels: Mapping[str, str]
) -> Figure:
    """Macro-F1 against n real windows a class, a column for each recording: above as it is, below its gain over the real
    windows alone. A line is the mean over the seeds; bars, of the gains and of the real windows alone, go from the lowest
    seed to the highest.

    Parameters
    ----------
    rows
        Of :func:`meagan_lib.experiments.augmentation.load`; the generator ``alone`` is the real windows alone.
    verdicts
        (recording, generator, n) → ``helps``, ``hurts`` or ``not significant``: the first two are filled markers.
    labels
        Of the generators.
    """
    recordings = list(dict.fromkeys(row["data"] for row in rows))
    names = [name for name in labels if any(row["generator"] == name for row in rows)]
    fig, axes = panel_grid(2, len(recordings), 5.2, sharex=True, sharey="row")
    for (above, below), recording in zip(axes.T, recordings):
        own = [row for row in rows if row["data"] == recording]
        sizes = sorted({row["n"] for row in own})
        scores = {
            name: {(row["n"], row["seed"]): row["f1"] for row in own if row["generator"] == name} for name in names
        }
        for i, name in enumerate(names):
            colour, line, marker = ADDED[name]
            f1 = [[f for (n, _), f in scores[name].items() if n == size] for size in sizes]
            gain = [[f - scores["alone"][n, s] for (n, s), f in scores[name].items() if n == size] for size in sizes]
            above.plot(sizes, [np.mean(v) for v in f1], line, color=colour)
            if name == "alone":
                above.vlines(sizes, [np.min(v) for v in f1], [np.max(v) for v in f1], color=colour, linewidth=0.8)
                continue
            aside = np.array(sizes) * 1.04 ** (i - len(names) / 2)  # side by side, so that bars stay apart
            below.plot(aside, [np.mean(v) for v in gain], line, color=colour)
            below.vlines(aside, [np.min(v) for v in gain], [np.max(v) for v in gain], color=colour, linewidth=0.8)
            for x, size, values in zip(aside, sizes, gain):
                significant = verdicts.get((recording, name, size)) in ("helps", "hurts")
                below.plot(
                    x,
                    np.mean(values),
                    marker,
                    color=colour,
                    markersize=4.5,
                    zorder=3,
                    markerfacecolor=colour if significant else "white",
                )
        below.axhline(0, color=COLOURS["real"], linewidth=1)
        above.set_title(recording)
        above.set_xscale("log")
        above.set_xticks(sizes, [str(n) for n in sizes])
        above.minorticks_off()
        below.set_xlabel("real windows of each unit")
        for axis in (above, below):
            axis.grid(axis="y", color="0.93", linewidth=0.6)
            axis.set_axisbelow(True)
    low, high = axes[1, 0].get_ylim()
    for below in axes[1]:
        below.axhspan(low, 0, color="0.96", linewidth=0, zorder=0)
    axes[1, 0].set_ylim(low, high)
    axes[0, 0].set_ylabel("macro-F1 on held-out windows")
    axes[1, 0].set_ylabel("gain over the real windows alone")
    for words, place, vertical in (("helps", 1, "top"), ("hurts", 0, "bottom")):
        axes[1, -1].annotate(
            words,
            (1, place),
            (4, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va=vertical,
            rotation=90,
            fontsize=7,
            color="0.4",
        )
    handles = [
        *(
            Line2D([], [], color=colour, linestyle=line, marker=marker, markersize=4.5, label=labels[name])
            for name, (colour, line, marker) in ((name, ADDED[name]) for name in names)
        ),
        *(
            Line2D([], [], linestyle="", marker="o", color="0.4", markerfacecolor=face, markersize=4.5, label=label)
            for face, label in (("0.4", "filled: significant, q < 0.05"), ("white", "open: not significant"))
        ),
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=3)
    return fig


def transfer(rows: Sequence[Mapping], sizes: Sequence[int], labels: Mapping[str, str]) -> Figure:
    """Macro-F1 of classifiers that go between real and made windows: a row of panels for each of ``sizes``, real windows
    of a class; a column for each recording; a dot for each seed.

    ``rows`` of :func:`meagan_lib.experiments.augmentation.load`. The floor is chance, one over the number of units.
    """
    recordings = list(dict.fromkeys(row["data"] for row in rows))
    names = [name for name in labels if name != "alone" and any(row["generator"] == name for row in rows)]
    fig, axes = panel_grid(
        len(sizes), len(recordings), 0.8 + len(sizes) * (0.5 + 0.24 * len(names)), sharex=True, sharey=True
    )
    for line, n in zip(axes, sizes):
        for axis, recording in zip(line, recordings):
            own = [row for row in rows if (row["data"], row["n"]) == (recording, n)]
            alone = [row["f1"] for row in own if row["generator"] == "alone"]
            axis.axvspan(min(alone), max(alone), color=COLOURS["real"], alpha=0.2, linewidth=0)
            axis.axvline(np.mean(alone), color=COLOURS["real"], linewidth=1)
            axis.axvline(1 / own[0]["units"], color=COLOURS["real"], linewidth=1, linestyle=":")
            for y, name in enumerate(names):
                colour = ADDED[name][0]
                for score, marker, dy in (("tstr", "o", -0.14), ("trts", "D", 0.14)):
                    values = [row[score] for row in own if row["generator"] == name]
                    face = colour if score == "tstr" else "white"
                    axis.plot(
                        values, np.full(len(values), y + dy), marker, color=colour, markerfacecolor=face, markersize=3.5
                    )
            axis.set_title(f"{recording}, n = {n}", fontweight="normal", fontsize=8)
            axis.set(yticks=range(len(names)), yticklabels=[labels[name] for name in names])
            axis.set_ylim(len(names) - 0.5, -0.5)
            axis.tick_params("y", length=0)
            axis.grid(axis="x", color="0.93", linewidth=0.6)
            axis.set_axisbelow(True)
    for axis in axes[-1]:
        axis.set_xlabel("macro-F1")
    kinds = {"TSTR: trained on made windows, tested on real": ("o", "0.4"), "TRTS: the other way round": ("D", "white")}
    fig.legend(
        handles=[
            *(
                Line2D(
                    [], [], linestyle="", marker=marker, color="0.4", markerfacecolor=face, markersize=4, label=label
                )
                for label, (marker, face) in kinds.items()
            ),
            Line2D([], [], color=COLOURS["real"], linewidth=1, label="TRTR: real to real"),
            Line2D([], [], color=COLOURS["real"], linewidth=1, linestyle=":", label="floor: chance"),
        ],
        loc="outside lower center",
        ncols=2,
    )
    return fig
