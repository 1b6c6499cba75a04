"""Figures of annotated images: photographs with the outlines of their masks, and what a segmentation finds."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from meagan_lib.plots import style

OUTLINE, FOUND = style.DROPPED, "#56B4E9"
ARMS = {
    "alone": style.Source("annotated alone", style.COLOURS["real"], "D"),
    "classical": style.Source("+ classical augmentation", *style.SERIES[1]),
    "copy_paste": style.Source("+ copy-paste", *style.SERIES[0]),
    "decoder": style.Source("+ decoder-only GAN", "#CC79A7", "^"),
    "painter": style.Source("+ encoder–decoder GAN", "#0072B2", "o"),
}
"""What is added to annotated images: name, colour and marker."""


def outline(axis: Axes, image: np.ndarray, mask: np.ndarray, white: float = 1.0, left: float = 0.0, **options) -> None:
    """Draw an image (h, w) and the outline of a mask (h, w) around its pixels, from ``left`` on; ``white`` is white.

    ``options`` are those of ``Axes.contour``.
    """
    h, w = image.shape
    axis.imshow(image, cmap="gray", vmin=0, vmax=white, interpolation="nearest", extent=(left, left + w, h, 0))
    if mask.any() and not mask.all():
        at = left + 0.5 + np.arange(w), 0.5 + np.arange(h)
        axis.contour(*at, mask, [0.5], **dict(colors=OUTLINE, linewidths=0.9) | options)
    axis.set(xticks=[], yticks=[])
    for side in axis.spines.values():
        side.set_visible(False)


def white_of(images: Iterable[np.ndarray]) -> float:
    """Return the grey that is drawn white in all images alike: all but their brightest 0.2 % are below."""
    return float(np.quantile(np.concatenate([image.ravel() for image in images]), 0.998))


def crops(groups: Mapping[str, tuple[np.ndarray, np.ndarray]], shown: int = 8) -> Figure:
    """Draw images (n, size, size) and the outlines of their masks, a row for each group.

    ``groups``: title → images and masks. The first ``shown`` are drawn, at one grey scale.
    """
    fig, axes = style.panel_grid(len(groups), shown, 0.98 * len(groups) * style.WIDTH / shown + 0.1)
    white = white_of([images[:shown] for images, _ in groups.values()])
    for row, (title, (images, masks)) in zip(axes, groups.items()):
        for axis in row[len(images) :]:
            axis.axis("off")
        for axis, image, mask in zip(row, images, masks):
            outline(axis, image, mask, white)
        row[0].set_ylabel(title, fontsize=7)
    size = next(iter(groups.values()))[0].shape[-1]
    axes[-1, 0].set_xlabel(f"{size} pixels", fontsize=7)
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    return fig


def photographs(
    groups: Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]], width: int = 2200, gap: int = 16
) -> Figure:
    """Draw whole photographs with the outlines of their masks, side by side, a row for each class.

    ``groups``: class → images and masks (h, w) of any size; so many are drawn as ``width``, in pixels, has room for,
    one at least. All have one scale of pixels and of grey.
    """
    drawn = {}
    for title, its in groups.items():
        right = np.cumsum([image.shape[1] + gap for image, _ in its]) - gap
        drawn[title] = its[: max(1, int((right <= width).sum()))]
    width = max(width, *(its[0][0].shape[1] for its in drawn.values()))
    heights = [max(image.shape[0] for image, _ in its) for its in drawn.values()]
    white = white_of(image for its in drawn.values() for image, _ in its)
    height = style.WIDTH * sum(heights) / width + 0.25 * len(heights)
    fig, axes = style.panel_grid(len(drawn), 1, height, height_ratios=heights)
    for axis, (title, its), tallest in zip(axes[:, 0], drawn.items(), heights):
        left = 0
        for image, mask in its:
            outline(axis, image, mask, white, left)
            left += image.shape[1] + gap
        axis.set(xlim=(0, width), ylim=(tallest, 0), title=title)
    y = next(iter(drawn.values()))[0][0].shape[0] - 20
    axes[0, 0].plot([15, 115], [y, y], color="w", linewidth=2, solid_capstyle="butt")
    axes[0, 0].text(15, y - 8, "100 pixels", color="w", va="bottom", fontsize=5)
    return fig


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of a score over seeds and its 95 % interval by Student's t; NaN ends for a single seed."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return (float(values.mean()) if len(values) else np.nan, np.nan, np.nan)
    half = scipy.stats.sem(values) * scipy.stats.t.ppf(0.975, len(values) - 1)
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def gain_by_annotation(
    table: pd.DataFrame, verdicts: Mapping[tuple[str, int, str], str], score: str = "dice", label: str = "Dice"
) -> Figure:
    """Draw a score against the number of annotated pieces, a column for each class; below, the gain over these alone.

    A marker is the mean over the seeds, a bar its 95 % interval by Student's t: of the gains over pairs of one seed.

    Parameters
    ----------
    table
        Rows of one collection, as :func:`meagan_lib.experiments.segmentation.load` reads them.
    verdicts
        (class, n, arm) → ``helps`` or ``hurts`` (both: filled), or ``not significant``.
    """
    classes, arms = list(table["class"].unique()), [arm for arm in ARMS if arm in set(table["arm"])]
    fig, axes = style.panel_grid(2, len(classes), 4.6, sharex="col", sharey="row")
    for (above, below), kind in zip(axes.T, classes):
        scores = table[table["class"] == kind].pivot(index="seed", columns=["arm", "n"], values=score)
        sizes = sorted(scores.columns.get_level_values("n").unique())
        for i, arm in enumerate(arms):
            place = np.arange(len(sizes)) + 0.11 * (i - (len(arms) - 1) / 2)
            own = scores[arm].reindex(columns=sizes)
            _means(above, place, own, arm, [True] * len(sizes))
            if arm != "alone":
                filled = [verdicts.get((kind, n, arm)) in ("helps", "hurts") for n in sizes]
                _means(below, place, own - scores["alone"].reindex(columns=sizes), arm, filled)
        below.axhline(0, color=style.COLOURS["real"], linewidth=0.8)
        style.panel_title(above, kind, fontweight="bold", fontsize=9)
        below.set_xticks(range(len(sizes)), [str(n) for n in sizes])
        for axis in (above, below):
            style.light_grid(axis, "y")
    axes[0, 0].set_ylabel(f"{label} on held-out pieces")
    axes[1, 0].set_ylabel("gain over annotated alone")
    fig.supxlabel("annotated pieces, one photograph of each (last: all for training)")
    handles = [style.dot(ARMS[arm].label, ARMS[arm].colour, ARMS[arm].marker, markersize=4.5) for arm in arms]
    for face, words in (("0.4", "below, filled: significant, q < 0.05"), ("white", "open: not significant")):
        handles.append(style.dot(words, "0.4", markerfacecolor=face, markersize=4.5))
    fig.legend(handles=handles, loc="outside upper center", ncols=4)
    return fig


def _means(axis: Axes, place: np.ndarray, scores: pd.DataFrame, arm: str, filled: Sequence[bool]) -> None:
    """Draw the mean over seeds (rows) of each column at its place, and its interval."""
    look = ARMS[arm]
    found = np.array([mean_interval(scores[n].to_numpy(float)) for n in scores])
    axis.plot(place, found[:, 0], color=look.colour, linewidth=0.7, alpha=0.6)
    axis.vlines(place, found[:, 1], found[:, 2], color=look.colour, linewidth=1)
    for x, y, full in zip(place, found[:, 0], filled):
        face = look.colour if full else "white"
        axis.plot(x, y, look.marker, color=look.colour, markersize=4.5, markerfacecolor=face, zorder=3)


def precision_recall(curves: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]) -> Figure:
    """Draw precision against recall of pixels, a panel for each title, a line for each arm.

    ``curves``: title → arm → recall and precision, each (points,). Grey lines join points of equal Dice.
    """
    fig, (axes,) = style.panel_grid(1, len(curves), 2.7, sharex=True, sharey=True)
    for axis, (title, by_arm) in zip(axes, curves.items()):
        for dice in (0.2, 0.4, 0.6, 0.8):
            x = np.linspace(dice / (2 - dice), 1, 200)
            axis.plot(x, dice * x / (2 * x - dice), color=style.BLANK, linewidth=0.8, zorder=0)
            if axis is axes[-1]:
                axis.text(1.01, dice / (2 - dice), f"{dice:g}", color="0.6", fontsize=6, va="center")
        for arm, (recall, precision) in by_arm.items():
            axis.plot(recall, precision, color=ARMS[arm].colour, label=ARMS[arm].label)
        style.panel_title(axis, title)
        axis.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
    style.annotate(axes[-1], "Dice", (1, 1), (3, -8), color="0.6", fontsize=6)
    axes[0].set_ylabel("precision of pixels")
    fig.supxlabel("recall of pixels")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
    return fig


def found(images: np.ndarray, masks: np.ndarray, probabilities: Mapping[str, np.ndarray]) -> Figure:
    """Draw what networks find: a column for each image (n, size, size), a row for each arm of probabilities.

    The outline of the mask is orange, that of pixels with a probability of at least one half is blue.
    """
    height = len(probabilities) * (0.98 * style.WIDTH / len(images) + 0.2) + 0.15
    fig, axes = style.panel_grid(len(probabilities), len(images), height)
    white = white_of(images)
    for row, (arm, its) in zip(axes, probabilities.items()):
        for axis, image, mask, p in zip(row, images, masks, its):
            outline(axis, image, p >= 0.5, white, colors=FOUND, linewidths=1.5)
            outline(axis, np.full_like(image, np.nan), mask, linewidths=0.8)
        style.panel_title(row[0], ARMS[arm].label)
    handles = [Line2D([], [], color=OUTLINE, label="mask"), Line2D([], [], color=FOUND, label="found")]
    fig.legend(handles=handles, loc="outside upper right", ncols=2)
    return fig
