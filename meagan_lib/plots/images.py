"""Figures of annotated images: photographs and crops with their masks, two architectures, what a segmentation finds."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from meagan_lib.plots import style
from meagan_lib.plots.annotated import PAINTERS
from meagan_lib.plots.architecture import ARROW, box_around
from meagan_lib.plots.drawing import drawing
from meagan_lib.sources import Source

OUTLINE, FOUND = style.DROPPED, "#56B4E9"
ARMS = {
    "alone": Source("annotated alone", style.COLOURS["real"], "D"),
    "classical": Source("+ classical augmentation", *style.SERIES[1]),
    "copy_paste": PAINTERS["copy_paste"]._replace(label="+ copy-paste"),
    "decoder": Source("+ decoder-only GAN", *style.SERIES[0])._replace(marker="v"),
    "painter": PAINTERS["painting_gan"]._replace(label="+ encoder–decoder GAN"),
}
"""What is added to annotated images: name, colour and marker, those of painted spikes where the way is the same."""
MADE_BY = {"copy_paste": "copy-paste", "decoder": "decoder-only", "painter": "painted"}
"""Sources of crops in words."""
BRIGHT = "#F0E442"
"""Of outlines beside crops that are to be judged."""


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


@drawing
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


@drawing
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
    axes[0, 0].set(ylabel=f"{label} on held-out pieces", ylim=(0, 1))
    axes[1, 0].set_ylabel("gain over annotated alone")
    fig.supxlabel("annotated pieces, one photograph of each")
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


@drawing
def precision_recall(curves: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]) -> Figure:
    """Draw precision against recall of pixels, a panel for each title, a line for each arm.

    ``curves``: title → arm → recall and precision, each (points,). Grey lines join points of equal Dice.
    """
    fig, (axes,) = style.panel_grid(1, len(curves), 2.9, sharex=True, sharey=True)
    fig.set_figwidth(min(3 * len(curves) + 2.2, style.WIDTH))
    for axis, (title, by_arm) in zip(axes, curves.items()):
        for dice in (0.2, 0.4, 0.6, 0.8):
            x = np.linspace(dice / (2 - dice), 1, 200)
            axis.plot(x, dice * x / (2 * x - dice), color=style.BLANK, linewidth=0.8, zorder=0)
            if axis is axes[-1]:
                axis.text(1.01, dice / (2 - dice), f"{dice:g}", color="0.6", fontsize=6, va="center")
        for arm, (recall, precision) in by_arm.items():
            axis.plot(recall, precision, color=ARMS[arm].colour, label=ARMS[arm].label)
        style.panel_title(axis, title)
        axis.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal", xlabel="recall of pixels")
    style.annotate(axes[-1], "Dice", (1, 1), (3, -8), color="0.6", fontsize=6)
    axes[0].set_ylabel("precision of pixels")
    if len(axes) > 2:
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
    else:
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
    return fig


@drawing
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


@drawing
def crops_with_masks(rows: Mapping[str, tuple[np.ndarray, np.ndarray]], shown: int = 10) -> Figure:
    """Draw the first crops of each source in two rows: with the outlines of their masks, and without.

    ``rows``: ``real`` or an augmenter, perhaps after a class (``crack, painter``), → images (n, size, size) in [0, 1]
    and masks of 0 and 1.
    """
    left = 0.95 / style.WIDTH
    height = (2 * (style.WIDTH - 0.95) / shown + 0.07) * len(rows) + 0.2
    fig = Figure(figsize=(style.WIDTH, height))
    below = {"left": left, "right": 1, "bottom": 0.15 / height, "top": 1 - 0.05 / height, "hspace": 0.06}  # the stamp
    axes = fig.subplots(len(rows), 1, squeeze=False, gridspec_kw=below)
    for axis, (name, (images, masks)) in zip(axes[:, 0], rows.items()):
        kind, _, way = name.rpartition(", ")
        label = "\n".join(filter(None, (kind, MADE_BY.get(way, way))))
        colour = ARMS[way].colour if way in ARMS else style.COLOURS["real"]
        images, masks = side_by_side(images[:shown], np.nan), side_by_side(masks[:shown], 0.0)
        blank = np.zeros_like(masks)
        axis.imshow(np.concatenate([images, images]), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axis.contour(np.concatenate([masks, blank]), [0.5], colors=BRIGHT, linewidths=0.8)
        options = dict(ha="right", va="center", fontsize=7.5, color=colour, weight="bold")
        style.annotate(axis, label, (0, 0.5), (-5, 0), **options)
        axis.axis("off")
    return fig


@drawing
def painted_crop(background: np.ndarray, painted: np.ndarray, mask: np.ndarray) -> Figure:
    """Draw a background (size, size), where the mask is on it, and what is painted there."""
    fig = Figure(figsize=(4.2, 1.6), layout="constrained")
    axes = fig.subplots(1, 3)
    pictures = {"background": background, "mask": background, "painted": painted}
    for axis, (title, image) in zip(axes, pictures.items()):
        axis.imshow(image, cmap="gray", vmin=0, vmax=max(float(background.max()), 0.3), interpolation="nearest")
        axis.axis("off")
        style.panel_title(axis, title)
    if mask.any():
        axes[1].contour(mask, [0.5], colors=BRIGHT, linewidths=0.8)
    return fig


def side_by_side(crops: np.ndarray, between: float, gap: int = 2) -> np.ndarray:
    """Put crops (n, size, size) in one row, with ``gap`` pixels of a value ``between`` them and below."""
    return np.concatenate(np.pad(crops, ((0, 0), (0, gap), (0, gap)), constant_values=between), axis=1)


@drawing
def image_architectures(size: int, latent: int, width: int) -> Figure:
    """Draw both generators of a ``width`` with the shapes that pass between their parts, and what is judged."""
    w = width
    half, quarter, eighth = size // 2, size // 4, size // 8
    fig, axes = style.panel_grid(2, 1, 3.7, height_ratios=[1.35, 2.75])
    _row(
        axes[0, 0],
        "decoder-only: z → image and mask",
        [
            ("z", f"{latent}"),
            ("dense", f"{4 * w} × {eighth}²"),
            ("upsample,\nconvolve", f"{4 * w} × {quarter}²"),
            ("upsample,\nconvolve", f"{3 * w} × {half}²"),
            ("upsample,\nconvolve", f"{2 * w} × {size}²"),
            ("image,\nmask", f"2 × {size}²"),
            ("discri-\nminator", "1"),
        ],
        learned=(1, 2, 3, 4, 6),
        colour=ARMS["decoder"].colour,
    )
    axis = axes[1, 0]
    _row(
        axis,
        "encoder–decoder: background + mask + z → the defect painted in",
        [
            ("background,\nmask", f"2 × {size}²"),
            ("convolve", f"{2 * w} × {half}²"),
            ("convolve", f"{3 * w}, {4 * w} ×\n{quarter}², {eighth}²"),
            ("upsample,\nconvolve", f"{4 * w}, {3 * w} ×\n{eighth}², {quarter}²"),
            ("upsample,\nconvolve", f"{w}, {w // 2} ×\n{half}², {size}²"),
            ("shade,\ngrain,\nnoise", f"3 × {size}²"),
            ("painted,\nmask", f"2 × {size}²"),
            ("discri-\nminator", "1"),
        ],
        learned=(1, 2, 3, 4, 7),
        colour=ARMS["painter"].colour,
    )
    box_around(axis, (3.5, 0.85), (0.5, 0.2), "0.5", 0, 0.06)
    axis.text(3.5, 0.85, f"z: noise, {size}²", ha="center", va="center", fontsize=7)
    for to in (3, 4):
        axis.annotate("", (to, 0.34), (3.5 + 0.4 * (to - 3.5), 0.64), arrowprops=ARROW)
    faint = {"color": "0.45", "fontsize": 6.5, "ha": "center", "va": "center"}
    for (start, end), level, words in (
        ((1, 4), -1.0, "skip connections"),
        ((0, 6), 1.3, "beyond the margin of the mask every pixel is the background's"),
    ):
        side = 0.34 if level > 0 else -0.76
        line = [(start, side), (start, level), (end, level), (end, side)]
        axis.plot(*zip(*line[:3]), color="0.6", linewidth=0.9)
        axis.annotate("", line[3], line[2], arrowprops=ARROW | {"color": "0.6"})
        axis.text((start + end) / 2, level + 0.13 * np.sign(level), words, **faint)
    axis.set_ylim(-1.25, 1.55)
    return fig


def _row(axis: Axes, title: str, boxes: Sequence[tuple[str, str]], learned: Sequence[int], colour: str) -> None:
    """Draw boxes from left to right, a label in each and its shape below; ``learned`` ones are coloured."""
    for i, (label, shape) in enumerate(boxes):
        mine = style.COLOURS["real"] if i == len(boxes) - 1 else colour
        box_around(axis, (i, 0), (0.4, 0.32), mine if i in learned else "0.5", 0.15 if i in learned else 0, 0.06)
        axis.text(i, 0, label, ha="center", va="center", fontsize=7, linespacing=1.2)
        axis.text(i, -0.38, shape, ha="center", va="top", fontsize=6.5, color="0.35")
        if i:
            axis.annotate("", (i - 0.4, 0), (i - 0.6, 0), arrowprops=ARROW)
    axis.set(xlim=(-0.5, 7.5), ylim=(-0.85, 0.5))
    style.panel_title(axis, title, fontweight="bold")
    axis.axis("off")
