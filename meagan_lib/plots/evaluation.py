"""Figures of the evaluation: scores, distributions, copies."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from meagan_lib.plots import style
from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.style import COLOURS, LABELS, SOURCES, UNITS, WIDTH, Arrays, Measured

LOW = 0.85
"""Of a coverage: where there is one below, the scale widens towards 1, where the others lie."""


@drawing
def distance_to_train(distances: Arrays) -> Figure:
    """Draw the distribution of the distances (n,) of each source to the nearest training window."""
    fig, ((axis,),) = style.panel_grid(1, 1, 2.6)
    for source, d in distances.items():
        axis.plot(*_distribution(d), color=COLOURS[source], label=LABELS[source], linewidth=1.5)
    least, most = np.quantile(np.concatenate(list(distances.values())), [0, 0.998])
    axis.set(xlabel="distance to the nearest training window (z-scores)", xlim=(0.9 * least, 1.05 * most))
    axis.set(ylabel="fraction of windows", ylim=(0, 1))
    axis.legend(loc="lower right")
    return fig


def _distribution(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort values (n,), and return them with the fraction of values up to each."""
    return np.sort(values), (np.arange(len(values)) + 0.5) / len(values)


@drawing
def feature_marginals(features: Mapping[str, Arrays], unit: str) -> Figure:
    """Draw histograms of shape features (n,): source → feature (of ``features.shape_features``) → values."""
    names = {
        "trough": f"trough ({UNITS[unit]})",
        "peak_to_peak": f"peak to peak ({UNITS[unit]})",
        "trough_to_peak_ms": "trough to peak (ms)",
        "half_width_ms": "half-width (ms)",
        "fall": f"steepest fall ({UNITS[unit]}/ms)",
        "rise": f"steepest rise ({UNITS[unit]}/ms)",
    }
    fig, axes = style.panel_grid(2, 3, 3.8)
    for axis, (feature, label) in zip(axes.flat, names.items()):
        pooled = np.concatenate([values[feature] for values in features.values()])
        low, high = np.quantile(pooled, [0.002, 0.998])
        levels = np.unique(pooled[(pooled >= low) & (pooled <= high)])
        step = np.diff(levels).min(initial=np.inf)
        if high - low < 100 * step:  # durations come in whole samples
            step = step if np.isfinite(step) else 1.0
            bins = np.arange(low - step / 2, high + step, step)
        else:
            bins = np.linspace(low, high, 40)
        for source in style.present_sources(features):
            look = dict(histtype="stepfilled", alpha=0.25) if source == "real" else dict(histtype="step")
            look |= dict(color=COLOURS[source], linewidth=1.2 if len(features) < 6 else 0.8)
            axis.hist(features[source][feature], bins, density=True, **look)
        axis.set(xlabel=label, yticks=[])
    fig.supylabel("density")
    style.source_legend(fig, list(features), filled=True)
    return fig


@drawing
def spectra(frequency_hz: np.ndarray, power: Arrays, middle: np.ndarray, floor: np.ndarray, unit: str) -> Figure:
    """Draw the mean power (frequencies,) by source, and its log-ratio to the real one.

    Bands: to the left ``middle`` (2, frequencies), between which lie 90 % of the single real windows; to the right ±
    ``floor`` (frequencies,), the differences between two random halves of them.
    """
    fig, (axes,) = style.panel_grid(1, 2, 2.8)
    khz = frequency_hz / 1000
    axes[0].fill_between(khz, *middle, color=COLOURS["real"], alpha=0.12, linewidth=0)
    for source in style.present_sources(power):
        axes[0].semilogy(khz, power[source], color=COLOURS[source])
        if source != "real":
            axes[1].plot(khz, np.log(power[source] / power["real"]), color=COLOURS[source])
    axes[1].fill_between(khz, -floor, floor, color=COLOURS["real"], alpha=0.2, linewidth=0)
    axes[1].axhline(0, color=COLOURS["real"], linewidth=0.8)
    axes[0].set(xlabel="frequency (kHz)", ylabel=f"mean power ({UNITS[unit]}²)")
    axes[1].set(xlabel="frequency (kHz)", ylabel="ln (power / power of real)")
    style.source_legend(fig, list(power))
    return fig


def _over_real(places: Arrays, x: str, y: str, **options) -> Figure:
    """Draw a panel for each model, its windows' places (n, 2) over the real ones; ``options`` are those of the axes."""
    models = [source for source in places if source != "real"]
    fig, axes = style.shared_panels(len(models), lambda rows, columns: rows * WIDTH / max(columns, 3) + 0.3)
    for axis, model in zip(axes, models):
        for source in ("real", model):
            sparse = source != "real" and len(places[source]) < 300
            look = dict(s=7, alpha=0.8) if sparse else dict(s=3, alpha=0.35)
            axis.scatter(*places[source].T, **look, color=COLOURS[source], linewidths=0, rasterized=True)
        axis.set_title(LABELS[model], fontsize=8, color=COLOURS[model])
        axis.set(**options)
    fig.legend(handles=[style.dot(LABELS["real"], COLOURS["real"], markersize=3)], loc="outside upper right")
    fig.supxlabel(x)
    fig.supylabel(y)
    return fig


@drawing
def pca(scores: Arrays, explained: np.ndarray) -> Figure:
    """Draw the first two principal components (n, 2) of each source, a panel for each model over the real windows."""
    return _over_real(
        scores, f"component 1 ({100 * explained[0]:.0f} % of variance)", f"component 2 ({100 * explained[1]:.0f} %)"
    )


@drawing
def embedding(places: Arrays) -> Figure:
    """Draw places (n, 2) of the windows of each source on one map of neighbours; its axes have no unit."""
    return _over_real(places, "t-SNE 1 (no unit)", "t-SNE 2 (no unit)", xticks=[], yticks=[])


BETTER, WORST = -3.0, 300.0
"""Where the axis of an excess ends; what lies beyond stands on the end, hollow."""


@drawing
def scores(excess: Mapping[str, Mapping[str, Measured]], families: Mapping[str, Mapping[str, str]]) -> Figure:
    """Draw how far each model lies over the floor on each metric, with its interval (a forest plot).

    ``excess``: model → metric → how much worse than the floor, where 1 is what sampling and drift explain; the reach is
    one of the models. ``families``: family → metric → its name in words.
    """
    models, heading, line = list(excess), 0.24, 0.055
    row = 0.1 + line * len(models)
    heights = [heading + row * len(metrics) for metrics in families.values()]
    tallest, split = min((max(sum(heights[:i]), sum(heights[i:])), i) for i in range(1, len(heights) + 1))
    every = [value for by in excess.values() for values in by.values() for value in values]
    low, high = np.clip(1.2 * min(every), BETTER, -1.2), np.clip(1.3 * max(every), 10, WORST)
    fig, (axes,) = style.panel_grid(1, 2, tallest + 0.8, sharex=True)
    for axis, column in zip(axes, (list(families)[:split], list(families)[split:])):
        y, ticks = 0.0, {}
        for family in column:
            place, options = ((0, y + 0.6 * heading), (-4, 0)), dict(fontsize=7, fontweight="bold")
            style.annotate(axis, family, *place, axis.get_yaxis_transform(), ha="right", va="center", **options)
            y += heading
            for metric, label in families[family].items():
                ticks[label] = y + row / 2
                axis.axhline(y, color="0.93", linewidth=0.6, zorder=0)
                for i, model in enumerate(models):
                    value, *ends = np.clip(excess[model][metric], low, high)
                    at, (_, colour, marker) = y + row / 2 + line * (i - (len(models) - 1) / 2), SOURCES[model]
                    axis.plot(ends, [at, at], color=colour, linewidth=1)
                    look = dict(markersize=3.5, markeredgewidth=0.7)
                    if value != excess[model][metric][0]:
                        look = dict(markersize=4.5, markeredgewidth=0.5, markerfacecolor="white")
                    axis.plot(value, at, marker=marker, linestyle="none", color=colour, clip_on=False, **look)
                y += row
        axis.set(yticks=list(ticks.values()), yticklabels=map(style.in_math, ticks), ylim=(tallest, 0))
        style.set_rows(axis)
        axis.tick_params("y", pad=6)  # marks on the end of the axis
        axis.set_xscale("symlog", linthresh=1, linscale=0.8)
        shown = [tick for tick in (-1, 0, 1, 10, 100) if tick <= high]
        axis.set(xlim=(low, high), xticks=shown, xticklabels=[f"{tick}".replace("-", "−") for tick in shown])
        axis.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        axis.axvspan(low, 1, color=COLOURS["real"], alpha=0.08, linewidth=0, zorder=0)
        axis.axvline(0, color=COLOURS["real"], linewidth=0.8, zorder=1)
        axis.set_xlabel("worse than the floor  (0: floor;\n1: what sampling and drift explain)")
    columns = style.legend_columns(len(models))
    style.marker_legend(fig, {model: LABELS[model] for model in models}, loc="outside upper right", ncols=columns)
    return fig


@drawing
def planted_failures(
    excess: np.ndarray, flagged: np.ndarray, failures: Sequence[str], metrics: Sequence[str]
) -> Figure:
    """Show which metric sees which failure by ``excess`` and ``flagged`` (failures, metrics): flagged cells are dark.

    The number in a cell is the excess over the floor, where 1 is what sampling and drift explain.
    """
    fig, ((axis,),) = style.panel_grid(1, 1, 0.21 * len(metrics) + 0.9)
    shade = np.where(flagged, np.log10(np.clip(excess, 1, 100)) + 0.3, 0).T
    axis.imshow(shade, cmap="Blues", vmin=0, vmax=3, aspect="auto")
    for (row, column), value in np.ndenumerate(np.round(excess.T, 1) + 0.0):  # no −0.0
        words = f"{value:.1f}" if abs(value) < 9.95 else f"{np.clip(value, -999, 999):.0f}"
        words = {"999": "> 999", "-999": "< -999"}.get(words, words)
        options = dict(color="black", fontweight="bold") if flagged.T[row, column] else dict(color="0.6")
        axis.text(column, row, words.replace("-", "−"), ha="center", va="center", fontsize=6.5, **options)
    whole = [name.replace(" %", "\u00a0%").replace("× ", "×\u00a0") for name in failures]
    wide = min(1.0, 9 / len(failures))  # of a column, beside those of nine failures
    words = [textwrap.fill(name, 12 if wide == 1 else 10, break_long_words=False) for name in whole]
    axis.set_xticks(range(len(failures)), words, fontsize=7 * wide)
    axis.set_yticks(range(len(metrics)), map(style.in_math, metrics))
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_xticks(np.arange(len(failures) + 1) - 0.5, minor=True)
    axis.set_yticks(np.arange(len(metrics) + 1) - 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=1.5)
    axis.tick_params(which="minor", length=0)
    return fig


@drawing
def density_coverage(points: Mapping[str, Mapping[str, Measured]]) -> Figure:
    """Draw fidelity against variety: source → ``density``, ``coverage``; ``real`` is the floor, a box of intervals.

    An interval many times wider than the others, as of a few seeds that differ, does not set the axes.
    """
    fig, ((axis,),) = style.panel_grid(1, 1, 3.2)
    (_, left, right), (_, low, high) = points["real"]["density"], points["real"]["coverage"]
    box = dict(facecolor=COLOURS["real"], alpha=0.15, linewidth=0)
    axis.add_patch(mpl.patches.Rectangle((left, low), right - left, high - low, **box))
    for source in style.present_sources(points):
        (x, *across), (y, *along) = points[source]["density"], points[source]["coverage"]
        _, colour, marker = SOURCES[source]
        axis.plot(across, [y, y], [x, x], along, color=colour, linewidth=1)
        axis.plot(x, y, marker=marker, color=colour, markersize=6, clip_on=False)
    axis.set(xlabel="density  (below the floor: windows unlike real ones; above: contracted modes)", ylabel="coverage")
    density, (low, high) = (_limits([its[score] for its in points.values()]) for score in ("density", "coverage"))
    if low < LOW:
        style.widen_towards_one(axis, "y")
    axis.set(xlim=density, ylim=(max(low, 0), min(high, 1.005)))
    labels = {source: LABELS[source] for source in points} | {"real": "floor: test A, B"}
    style.marker_legend(fig, labels, loc="outside right upper")
    return fig


def _limits(measured: Sequence[Measured]) -> tuple[float, float]:
    """Return limits of an axis that has all values, and all intervals up to six times as wide as their median."""
    most = 6 * np.median([high - low for _, low, high in measured])
    shown = [end for value, *ends in measured for end in (value, *(ends if np.ptp(ends) <= most else ()))]
    margin = 0.05 * np.ptp(shown) + 0.005
    return min(shown) - margin, max(shown) + margin


@drawing
def footprints_in_place(
    time_ms: np.ndarray, groups: Arrays, unit: str, places_um: np.ndarray, shown: int = 40
) -> Figure:
    """Draw footprints (·, electrodes, samples) of each source, each electrode at its place, and their mean.

    A panel for each source, all on one scale of time and voltage, which two bars give; the dashed line is the mean of
    the real ones. ``places_um`` (electrodes, 2): where the electrodes stand, the own one at 0.
    """
    real = groups["real"].mean(axis=0)
    apart = np.hypot(*(places_um[:, None] - places_um[None]).transpose(2, 0, 1))
    step = apart[apart > 0].min()
    high = 0.62 * step / np.ptp(real[0])  # µm of a unit of voltage
    x = 0.4 * step * time_ms / np.abs(time_ms).max()
    width, height = np.ptp(places_um, axis=0) + np.array([0.9, 1.4]) * step
    fig, (axes,) = style.panel_grid(
        1, len(groups), (WIDTH - 0.9) / len(groups) * height / width + 0.8, sharex=True, sharey=True
    )
    for axis, (source, its) in zip(axes, groups.items()):
        for (left, low), traces, typical in zip(places_um, its.swapaxes(0, 1), real):
            axis.plot(left + x, low + high * traces[:shown].T, color=COLOURS[source], linewidth=0.4, alpha=0.3)
            axis.plot(left + x, low + high * traces.mean(axis=0), color=COLOURS[source], linewidth=1.6)
            if source != "real":
                axis.plot(left + x, low + high * typical, color=COLOURS["real"], linewidth=0.9, linestyle="--")
        style.panel_title(axis, LABELS[source], color=COLOURS[source])
        axis.set_aspect("equal")
        style.set_ticks(axis, 3, 3)
    corner = places_um.min(axis=0) - np.array([0.45, 0.8]) * step
    _scale_bars(axes[0], corner, np.ptp(x) / np.ptp(time_ms), high, 0.4 * step, unit)
    fig.supxlabel("x from the trough's electrode (µm)")
    fig.supylabel("y (µm)")
    return fig


def _scale_bars(axis: mpl.axes.Axes, corner: np.ndarray, wide: float, high: float, longest: float, unit: str) -> None:
    """Draw from a ``corner`` (2,) bars of a millisecond, ``wide``, and of a round voltage, ``high`` for each unit."""
    decade = 10.0 ** np.floor(np.log10(longest / high))
    voltage = max(k * decade for k in (1, 2, 5) if k * decade <= longest / high)
    left, low = corner
    axis.plot([left, left, left + wide], [low + high * voltage, low, low], color="k", linewidth=1.2)
    style.annotate(axis, "1 ms", (left + wide, low), (3, 0), "data", va="center", fontsize=7)
    style.annotate(axis, f"{voltage:g} {UNITS[unit]}", (left, low + high * voltage), (0, 2), "data", fontsize=7)


@drawing
def memorisation(distances: Arrays) -> Figure:
    """Draw distances (n,) to the nearest training window of each source, of which ``real`` is what new windows have.

    Left: their distribution. Right: the fraction of generated windows that is nearer than a given fraction of the real
    ones; copies rise steeply, new windows follow the diagonal.
    """
    fig, ((left, right),) = style.panel_grid(1, 2, 2.9)
    real, below = _distribution(distances["real"])
    for source in style.present_sources(distances):
        d, fraction = _distribution(distances[source])
        left.plot(d, fraction, color=COLOURS[source], linewidth=1.5)
        if source != "real":
            nearer = np.r_[0, np.searchsorted(d, real) / len(d), 1]
            right.plot(np.r_[0, below, 1], nearer, color=COLOURS[source], linewidth=1.5, clip_on=False)
    positive = np.concatenate([d[d > 0] for d in distances.values()])
    left.set(xlabel="distance to the nearest training window (z-scores)", ylabel="fraction of windows", ylim=(0, 1))
    left.set(xscale="log", xlim=np.quantile(positive, [0.001, 0.999]))
    left.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    left.xaxis.set_major_formatter("{x:g}")
    left.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    left.plot(real, below, color=COLOURS["real"], linewidth=1.5, linestyle=(0, (3, 2)))
    right.plot([0, 1], [0, 1], color=COLOURS["real"], linewidth=1.5, linestyle=(0, (3, 2)))
    right.set(xlabel="fraction of real windows (test) that is nearer", ylabel="fraction of generated windows")
    right.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    style.source_legend(fig, list(distances))
    return fig


@drawing
def moment_matching(
    ends: Mapping[str, Mapping[str, tuple[Measured, Measured]]], floors: Mapping[str, Measured]
) -> Figure:
    """Draw each network without and with moment matching, a panel for each score.

    ``ends``: score in words → model → without and with. ``floors``: score in words → floor. A score whose floor
    is near 1 and that some models are far from has a scale that widens there; axes as in :func:`density_coverage`.
    """
    models = list(next(iter(ends.values())))
    fig, (axes,) = style.panel_grid(1, len(ends), 0.34 * len(models) + 1.1, sharey=True)
    for axis, (label, by_model) in zip(axes, ends.items()):
        axis.axvspan(*floors[label][1:], color=COLOURS["real"], alpha=0.12, linewidth=0)
        axis.axvline(floors[label][0], color=COLOURS["real"], linewidth=0.8)
        for y, model in enumerate(models):
            _, colour, marker = SOURCES[model]
            for (value, *interval), shift, face in zip(by_model[model], (-0.13, 0.13), (colour, "white")):
                axis.plot(interval, [y + shift, y + shift], color=colour, linewidth=1)
                look = dict(marker=marker, linestyle="", color=colour, markerfacecolor=face, markersize=5)
                axis.plot(value, y + shift, clip_on=False, **look)
        style.set_rows(axis, [LABELS[model] for model in models], line=True)
        low, high = _limits([end for ends in by_model.values() for end in ends] + [floors[label]])
        if low < LOW < floors[label][0]:
            style.widen_towards_one(axis, "x")
            high = min(high, 1.005)
        axis.set(xlim=(low, high))
        axis.set_title(label)
    faces = {"without moment matching": "0.3", "with moment matching": "white"}
    handles = [style.dot(label, "0.3", markerfacecolor=face) for label, face in faces.items()]
    handles.append(mpl.patches.Patch(color=COLOURS["real"], alpha=0.3, label="floor, 95 %"))
    fig.legend(handles=handles, loc="outside lower center", ncols=3)
    return fig


@drawing
def among_real(
    time_ms: np.ndarray, real: np.ndarray, window: np.ndarray, model: str, unit: str, encoded: np.ndarray | None = None
) -> Figure:
    """Draw a synthetic window (samples,) before real ones (n, samples), of which the nearest is dark.

    Dashed: the real window that was ``encoded``, where it came from one.
    """
    fig, ((axis,),) = style.panel_grid(1, 1, 3.2)
    shown = real[:60]
    axis.plot(time_ms, shown.T, color=COLOURS["real"], linewidth=0.4, alpha=0.2)
    nearest = real[np.square(real - window).sum(axis=1).argmin()]
    axis.plot(time_ms, nearest, color=COLOURS["real"], linewidth=0.8, label="nearest real window")
    if encoded is not None:
        axis.plot(time_ms, encoded, color=COLOURS["real"], linewidth=1.2, linestyle="--", label="encoded real window")
    axis.plot(time_ms, window, color=COLOURS[model], linewidth=1.8, label=LABELS[model])
    margin = 0.15 * np.ptp(shown)
    axis.set(xlabel="time from trough (ms)", xmargin=0)
    axis.set(ylabel=style.voltage_label(unit), ylim=(shown.min() - margin, shown.max() + margin))
    fig.legend(loc="outside upper right", ncols=3)
    return fig
