"""Figures of how networks are built: boxes from left to right, and the hourglass of an autoencoder."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from meagan_lib.plots import style
from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.style import COLOURS, WIDTH

ARROW = dict(arrowstyle="-|>", color="0.35", linewidth=0.9, shrinkA=0, shrinkB=0, mutation_scale=8)
HALF = (0.39, 0.3)
"""Half the width and half the height of a box of :func:`architecture`; boxes are 1 apart."""


def box_around(axis: Axes, middle: tuple, half: tuple, colour: str, shade: float, rounding: float) -> None:
    """Draw a rounded box, ``half`` its width and height to each side of its ``middle``, filled by a ``shade``."""
    (x, y), (w, h) = middle, half
    options = dict(boxstyle=f"round,pad=0,rounding_size={rounding}", linewidth=1, edgecolor=colour)
    face = mpl.colors.to_rgba(colour, shade)
    axis.add_patch(mpl.patches.FancyBboxPatch((x - w, y - h), 2 * w, 2 * h, facecolor=face, **options))


def _labelled_box(axis: Axes, x: float, y: float, label: str, shape: str, colour: str, shade: float) -> None:
    """Draw a box around ``label``, with ``shape`` below it."""
    box_around(axis, (x, y), HALF, colour, shade, 0.06)
    axis.text(x, y, label, ha="center", va="center", fontsize=7.5, linespacing=1.25)
    axis.text(x, y - HALF[1] - 0.06, shape, ha="center", va="top", fontsize=7, color="0.35")


@drawing
def architecture(shapes: Mapping[str, Sequence[tuple[str, str]]], bypass: Mapping[str, tuple[str, str, int]]) -> Figure:
    """Draw networks as rows of boxes, from left to right.

    ``shapes``: network → label and shape of what each box gives; the first box is the input. ``bypass``: network → one
    box below the row: label, shape, and the index of the box that it leads to from the first.
    """
    (w, h), wide = HALF, max(map(len, shapes.values()))
    floor, lower = -h - 0.32, -1.2  # the words below a box
    lows = [lower + floor if name in bypass else floor for name in shapes]
    heights = [h - low for low in lows]
    fig, axes = style.panel_grid(len(shapes), 1, 0.75 * sum(heights) + 0.25 * len(shapes), height_ratios=heights)
    colours = [COLOURS["transformer_gan"], *[COLOURS["real"]] * (len(shapes) - 1)]
    for (name, boxes), axis, low, colour in zip(shapes.items(), axes[:, 0], lows, colours):
        for i, (label, shape) in enumerate(boxes):
            _labelled_box(axis, i, 0, label, shape, colour, 0.12 if i else 0)
            if i:
                axis.annotate("", (i - w, 0), (i - 1 + w, 0), arrowprops=ARROW)
        if name in bypass:
            label, shape, to = bypass[name]
            _labelled_box(axis, to / 2, lower, label, shape, colour, 0.12)
            into = ARROW | dict(connectionstyle="angle,angleA=-90,angleB=180,rad=4")
            out = ARROW | dict(connectionstyle="angle,angleA=0,angleB=-90,rad=4")
            axis.annotate("", (to / 2 - w, lower), (0, floor), arrowprops=into)
            axis.annotate("", (to, floor), (to / 2 + w, lower), arrowprops=out)
        axis.set(xlim=(-0.5, wide - 0.5), ylim=(low, h + 0.05))
        axis.set_title(name, fontsize=8, color=colour)
        axis.axis("off")
    return fig


def _extent(words: str, size: float) -> tuple[float, float]:
    """Measure width and height in inches of words at a font size, mathematics and several lines among them."""
    lines = words.split("\n")
    return max(TextPath((0, 0), line, size=size).get_extents().width for line in lines) / 72, size * len(lines) / 55


@drawing
def butterfly(layers: Sequence[tuple[str, str, int]], waist: int, discriminator: Sequence[tuple[str, str]]) -> Figure:
    """Draw an autoencoder as an hourglass, from left to right; the height of a bar grows with √(number of values).

    ``layers``: label, shape and number of values of what each gives; the one at ``waist`` is z. ``discriminator``:
    label and shape of each of its boxes; its input is the output of the last layer.
    """
    tallest, bar, pad, box = 1.9, 0.15, 0.14, (0.2, 0.4)
    n, margin = len(layers), 0.04
    words = [(label, shape) for label, shape, _ in layers] + list(discriminator)
    for size in (7.5, 7, 6.5, 6):  # the largest at which neighbours' words do not touch
        width = np.array([max(_extent(label, size)[0], _extent(shape, size)[0], bar) for label, shape in words])
        width[n:] += box[0]
        gaps = (width[:-1] + width[1:]) / 2 + pad
        gaps[n - 1 :] += 0.3 - pad  # room for an arrow
        room = WIDTH - 2 * margin - (width[0] + width[-1]) / 2
        if gaps.sum() <= room:
            break
    level = gaps.min(initial=0)
    while np.maximum(gaps, level + 0.01).sum() <= min(room, 1.6 * len(gaps)):
        level += 0.01  # as even as they can be
    x = np.r_[0, np.cumsum(np.maximum(gaps, level))]
    spare = room - x[-1]
    x += margin + width[0] / 2 + max(spare, 0) / 2
    values = np.array([number for _, _, number in layers], float)
    half = np.maximum(tallest / 2 * np.sqrt(values / values.max()), 0.05)
    outline = np.stack([x[:n] - bar / 2, x[:n] + bar / 2], axis=1).ravel()

    fig, ((axis,),) = style.panel_grid(1, 1, 3.1)
    fig.set_figwidth(WIDTH - min(spare, 0))
    colours = [COLOURS["real"] if i < waist else COLOURS["vae_gan"] for i in range(n)]
    tops = []
    for i, ((label, shape, _), colour) in enumerate(zip(layers, colours)):
        left, right = x[i] - bar / 2, x[i] + bar / 2
        fill = colour if i == waist else mpl.colors.to_rgba(colour, 0.4)
        axis.add_patch(mpl.patches.Rectangle((left, -half[i]), bar, 2 * half[i], facecolor=fill, edgecolor=colour))
        if i + 1 < n:
            corners = [(right, half[i]), (x[i + 1] - bar / 2, half[i + 1])]
            corners += [(a, -b) for a, b in corners[::-1]]
            axis.add_patch(mpl.patches.Polygon(corners, facecolor=mpl.colors.to_rgba(colour, 0.1), linewidth=0))
        above, below = (
            np.interp(x[i] + 0.5 * _extent(text, size)[0] * np.linspace(-1, 1, 41), outline, half.repeat(2)).max()
            for text in (label, shape)
        )
        if above > half[i] + 0.1:
            axis.plot([x[i], x[i]], [half[i] + 0.04, above + 0.02], color="0.6", linewidth=0.6)
        axis.text(x[i], above + 0.05, label, ha="center", va="bottom", fontsize=size, linespacing=1.25)
        axis.text(x[i], -below - 0.05, shape, ha="center", va="top", fontsize=size - 0.5, color="0.35")
        tops.append(above + 0.05 + _extent(label, size)[1])
    end = x[n - 1] + bar / 2
    for at, wide, (label, shape) in zip(x[n:], width[n:], discriminator):
        axis.annotate("", (at - wide / 2, 0), (end + 0.04, 0), arrowprops=ARROW)
        end = at + wide / 2
        box_around(axis, (at, 0), (wide / 2, box[1] / 2), COLOURS["real"], 0.12, 0.04)
        axis.text(at, 0, label, ha="center", va="center", fontsize=size, linespacing=1.25)
        axis.text(at, -box[1] / 2 - 0.05, shape, ha="center", va="top", fontsize=size - 0.5, color="0.35")
    top = max(tops) + 0.1
    for name, first, last in (("encoder", 0, waist - 1), ("decoder", waist + 1, n - 1)):
        if first <= last:
            middle, bold = (x[first] + x[last]) / 2, dict(fontsize=8, fontweight="bold", color=colours[first])
            axis.text(middle, top, name, ha="center", va="bottom", **bold)
    bottom = -tallest / 2 - 0.45
    axis.text(x[0] - bar / 2, bottom, "height of a bar ∝ √(number of values)", va="bottom", fontsize=6.5, color="0.35")
    axis.set(xlim=(0, fig.get_figwidth()), ylim=(bottom, top + 0.18))
    axis.axis("off")
    return fig
