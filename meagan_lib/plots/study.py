"""Figures of a study: measures by condition and day, effects, development, tests on nothing, generators."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from meagan_lib.plots import style
from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.style import BLANK, COLOURS, LABELS, SERIES, SOURCES, UNIT_COLOURS


def condition_styles(conditions: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Give each condition a colour and a marker, in their order."""
    more = [(colour, marker) for colour, marker in zip(UNIT_COLOURS, "vP*Xhd<>")]
    return {condition: (SERIES[:3] + SERIES[3:] + tuple(more))[i % 12] for i, condition in enumerate(conditions)}


def _condition_legend(fig: Figure, styles: Mapping[str, tuple[str, str]]) -> None:
    handles = [style.dot(name, colour, marker, markersize=5) for name, (colour, marker) in styles.items()]
    fig.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 5))


@drawing
def measures_by_day(table: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """Draw measures over days: a thin line for each culture, a thick one for the mean of a condition's cultures.

    ``table``: a row for each recording with ``culture``, ``condition``, ``day`` and the measures; ``labels``: measure →
    name and unit. Where all recordings are of one day, conditions stand side by side, and lines join those of one
    culture.
    """
    styles = condition_styles(table["condition"].unique())
    columns = min(3, len(labels))
    rows = -(-len(labels) // columns)
    fig, axes = style.panel_grid(rows, columns, 1.75 * rows + 0.45, sharex=True)
    over_days = table["day"].nunique() > 1
    place = {condition: i for i, condition in enumerate(styles)}
    x = table["day"] if over_days else table["condition"].map(place)
    for axis, (measure, label) in zip(axes.flat, labels.items()):
        known = table.assign(x=x.astype(float), y=table[measure]).dropna(subset=["y"])
        for _, own in known.groupby(["culture"] + ["condition"] * over_days, sort=False):
            line = own.groupby("x")["y"].mean()
            colour = styles[own["condition"].iloc[0]][0] if over_days else "0.6"
            axis.plot(line.index, line, color=colour, linewidth=0.7, alpha=0.6, zorder=1)
        for condition, (colour, marker) in styles.items():
            own = known[known["condition"] == condition]
            axis.plot(own["x"], own["y"], marker, color=colour, markersize=2.6, alpha=0.6, markeredgewidth=0, zorder=2)
            mean = own.groupby(["x", "culture"])["y"].mean().groupby("x").mean()
            thick = dict(linewidth=2.2, marker=marker, markersize=5.5, markeredgecolor="white", markeredgewidth=0.6)
            axis.plot(mean.index, mean, color=colour, zorder=3, **thick)
        style.panel_title(axis, label)
        style.set_ticks(axis, y=4)
        if over_days:
            axis.set_xticks(sorted(table["day"].unique()) if table["day"].nunique() < 7 else axis.get_xticks())
        else:
            axis.set(xticks=list(place.values()), xticklabels=list(place), xlim=(-0.4, len(place) - 0.6))
    for axis in axes.flat[len(labels) :]:
        axis.set_visible(False)
    for axis in axes.flat[max(len(labels) - columns, 0) : len(labels)]:
        axis.tick_params("x", labelbottom=True)
    if over_days:
        fig.supxlabel("age of the culture (days)")
    _condition_legend(fig, styles)
    return fig


@drawing
def false_positives(found: pd.DataFrame, n: int, level: float = 0.05) -> Figure:
    """Draw how often tests find an effect where there is none, beside how often they may.

    ``found``: a row for each table that was drawn (its name the index), a column for each test: fractions of ``n``.
    """
    fig, ((axis,),) = style.panel_grid(1, 1, 2.6)
    marks = (SERIES[1], SERIES[2], SERIES[0], SERIES[3])
    for j, (test, (colour, marker)) in enumerate(zip(found, marks)):
        x = np.arange(len(found)) + 0.16 * (j - (found.shape[1] - 1) / 2)
        half = 1.96 * np.sqrt(np.maximum(found[test] * (1 - found[test]), 1e-4) / n)
        axis.errorbar(x, 100 * found[test], 100 * half, fmt=marker, color=colour, markersize=5, label=test)
    axis.axhline(100 * level, color="0.4", linestyle=":", linewidth=1)
    axis.text(-0.48, 100 * level, "allowed", va="bottom", fontsize=7, color="0.35")
    axis.set(xticks=range(len(found)), xticklabels=found.index, xlim=(-0.5, len(found) - 0.5))
    axis.set(ylabel="false findings (%)", xlabel="standard deviation between cultures (that within a culture is 1)")
    axis.set_ylim(0, None)
    axis.tick_params("x", length=0)
    fig.legend(loc="outside upper center", ncols=found.shape[1])
    return fig


@drawing
def effects(
    found: Mapping[str, pd.DataFrame], labels: Mapping[str, str], control: str, words: str, level: float = 0.05
) -> Figure:
    """Draw effects with their 95 % intervals, a panel for each table and a row for each measure.

    ``found``: title → rows with ``measure``, ``condition``, ``estimate``, ``low``, ``high``, ``sd`` and ``q``; drawn in
    standard deviations ``sd``. Filled markers have q below ``level``. ``control``: first of the conditions, which the
    others are compared with; ``words`` say what is drawn.
    """
    everything = pd.concat(found.values())
    conditions = list(dict.fromkeys([control, *everything["condition"]]))
    styles = condition_styles(conditions)
    shown = [condition for condition in conditions if (everything["condition"] == condition).any()]
    measures = [measure for measure in labels if (everything["measure"] == measure).any()]
    fig, (axes,) = style.panel_grid(1, len(found), 0.9 + 0.29 * len(measures), sharey=True, sharex=True)
    reach = 0.0
    for axis, (title, table) in zip(axes, found.items()):
        for j, condition in enumerate(shown):
            colour, marker = styles[condition]
            own = table[table["condition"] == condition].set_index("measure").reindex(measures)
            y = np.arange(len(measures)) + (j - (len(shown) - 1) / 2) * 0.24
            sd = own["sd"].where(own["sd"] > 0)
            mid, low, high = (own[name] / sd for name in ("estimate", "low", "high"))
            reach = max(reach, np.nanmax(np.abs(np.r_[low, high]), initial=0))
            axis.hlines(y, low, high, color=colour, linewidth=1.1)
            sure = (own["q"] < level).to_numpy()
            mark = dict(marker=marker, linestyle="", color=colour, markersize=4.6)
            axis.plot(mid[sure], y[sure], **mark)
            axis.plot(mid[~sure], y[~sure], markerfacecolor="white", **mark)
        axis.axvline(0, color="0.6", linewidth=0.8, zorder=0)
        style.panel_title(axis, title)
        style.light_grid(axis, "x")
        style.set_rows(axis)
        style.set_ticks(axis, 6, steps=[1, 2, 5, 10])
    style.set_rows(axes[0], [labels[measure].split(" (")[0] for measure in measures])
    reach = min(1.05 * reach, 12.0) if reach else 1.0
    axes[0].set_xlim(-reach, reach)
    fig.supxlabel(f"{words} (SD between cultures); filled: q < {level:g}")
    _condition_legend(fig, {condition: styles[condition] for condition in shown})
    return fig


@drawing
def generators(scores: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """Draw the scores of generators across recordings: a dot for each recording, beside floor and reach.

    ``scores``: rows with ``label``, ``model``, ``score``, ``value`` (mean over seeds), ``floor`` and ``reach``;
    ``labels``: score → its name. Grey: from the lowest to the highest floor and reach of all recordings.
    """
    models = style.present_sources(scores["model"].unique())
    fig, (axes,) = style.panel_grid(1, len(labels), 0.9 + 0.36 * len(models), sharey=True)
    rng = np.random.default_rng(0)
    for axis, (score, label) in zip(axes, labels.items()):
        own = scores[scores["score"] == score]
        for column, colour in (("floor", BLANK), ("reach", COLOURS["reach"])):
            if len(own):
                axis.axvspan(own[column].min(), own[column].max(), color=colour, alpha=0.4, linewidth=1.5, zorder=0)
        for row, model in enumerate(models):
            values = own.loc[own["model"] == model, "value"].to_numpy(float)
            spread = row + 0.22 * (rng.random(len(values)) - 0.5)
            kept = SOURCES[model]
            axis.plot(values, spread, kept.marker, color=kept.colour, markersize=3.6, alpha=0.7, markeredgewidth=0)
            if len(values):
                axis.plot([np.mean(values)] * 2, [row - 0.32, row + 0.32], color=kept.colour, linewidth=2)
        style.panel_title(axis, label)
        style.set_rows(axis)
        style.set_ticks(axis, 3)
    style.set_rows(axes[0], [LABELS[model] for model in models])
    patches = [(BLANK, "floors"), (COLOURS["reach"], "reaches")]
    handles = [mpl.patches.Patch(color=colour, alpha=0.5, linewidth=0, label=words) for colour, words in patches]
    fig.legend(handles=handles, loc="outside upper center", ncols=2)
    return fig
