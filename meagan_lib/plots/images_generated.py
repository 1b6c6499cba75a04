"""Figures of generated crops with masks: the two architectures, and what each augmenter makes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from meagan_lib.plots import style
from meagan_lib.plots.architecture import ARROW, box_around

AUGMENTERS = {
    "real": style.Source("real", style.COLOURS["real"], "D"),
    "painter": style.Source("painter", "#0072B2", "o"),
    "decoder": style.Source("decoder-only", "#D55E00", "s"),
    "copy_paste": style.Source("copy-paste", *style.SERIES[2]),
    "classical": style.Source("classical", *style.SERIES[1]),
}
"""Where annotated crops come from: name, colour and marker."""
OUTLINE = "#F0E442"
"""Of masks: bright on grey."""


def crops_with_masks(rows: Mapping[str, tuple[np.ndarray, np.ndarray]], shown: int = 10) -> Figure:
    """Draw the first crops of each source in two rows: with the outlines of their masks, and without.

    ``rows``: a key of :data:`AUGMENTERS`, or any other name, → images (n, size, size) in [0, 1] and masks of 0 and 1.
    """
    left = 0.95 / style.WIDTH
    height = 2 * (style.WIDTH - 0.95) / shown + 0.07
    fig = Figure(figsize=(style.WIDTH, height * len(rows)))
    axes = fig.subplots(
        len(rows), 1, squeeze=False, gridspec_kw={"left": left, "right": 1, "bottom": 0, "top": 1, "hspace": 0.06}
    )
    for axis, (name, (images, masks)) in zip(axes[:, 0], rows.items()):
        look = AUGMENTERS.get(name, style.Source(name, "0.2", "o"))
        images, masks = side_by_side(images[:shown], np.nan), side_by_side(masks[:shown], 0.0)
        blank = np.zeros_like(masks)
        axis.imshow(np.concatenate([images, images]), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axis.contour(np.concatenate([masks, blank]), [0.5], colors=OUTLINE, linewidths=0.8)
        options = dict(ha="right", va="center", fontsize=7.5, color=look.colour, weight="bold")
        style.annotate(axis, look.label, (0, 0.5), (-5, 0), **options)
        axis.axis("off")
    return fig


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
        axes[1].contour(mask, [0.5], colors=OUTLINE, linewidths=0.8)
    return fig


def side_by_side(crops: np.ndarray, between: float, gap: int = 2) -> np.ndarray:
    """Put crops (n, size, size) in one row, with ``gap`` pixels of a value ``between`` them and below."""
    return np.concatenate(np.pad(crops, ((0, 0), (0, gap), (0, gap)), constant_values=between), axis=1)


def image_architectures(size: int, latent: int) -> Figure:
    """Draw both generators with the shapes of what passes between their parts, and what the discriminator sees."""
    half, quarter, eighth = size // 2, size // 4, size // 8
    fig, axes = style.panel_grid(2, 1, 3.7, height_ratios=[1.35, 2.75])
    _row(
        axes[0, 0],
        "decoder-only: z → image and mask",
        [
            ("z", f"{latent}"),
            ("dense", f"64 × {eighth}²"),
            ("upsample,\nconvolve", f"64 × {quarter}²"),
            ("upsample,\nconvolve", f"48 × {half}²"),
            ("upsample,\nconvolve", f"32 × {size}²"),
            ("image,\nmask", f"2 × {size}²"),
            ("discri-\nminator", "1"),
        ],
        learned=(1, 2, 3, 4, 6),
        colour=AUGMENTERS["decoder"].colour,
    )
    axis = axes[1, 0]
    _row(
        axis,
        "encoder–decoder: background + mask + z → the defect painted in",
        [
            ("background,\nmask", f"2 × {size}²"),
            ("convolve", f"32 × {half}²"),
            ("convolve", f"48, 64 ×\n{quarter}², {eighth}²"),
            ("upsample,\nconvolve", f"64, 48 ×\n{eighth}², {quarter}²"),
            ("upsample,\nconvolve", f"16, 8 ×\n{half}², {size}²"),
            ("shade,\ngrain,\nnoise", f"3 × {size}²"),
            ("painted,\nmask", f"2 × {size}²"),
            ("discri-\nminator", "1"),
        ],
        learned=(1, 2, 3, 4, 7),
        colour=AUGMENTERS["painter"].colour,
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
