"""The house style: one font, one palette that colour-blind readers can use (Okabe & Ito 2008), what all figures share.

Real windows and each model keep their colour everywhere. Importing this module sets the style.
"""

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from meagan_lib.plots.drawing import drawing
from meagan_lib.sources import COLOURS, LABELS, SOURCES

DROPPED = "#E69F00"
BLANK = "0.87"
UNITS = {"uV": "µV", "ADU": "ADC steps", "normalised": "normalised"}
SERIES = (("#009E73", "o"), ("#E69F00", "s"), ("#56B4E9", "^"), ("#3C3C3C", "D"))
"""Colour and marker of series that are neither real windows nor a model."""
WIDTH = 7.2
Arrays = Mapping[str, np.ndarray]
"""Arrays by the name of a source, a group or a column."""
Measured = tuple[float, float, float]
"""A value and the ends of its interval."""

RC = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "figure.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "svg.hashsalt": "meagan",
    "svg.fonttype": "none",
}
sns.set_theme(context="paper", style="ticks", font="DejaVu Sans", rc=RC)


def panel_grid(rows: int, columns: int, height: float, **options) -> tuple[Figure, np.ndarray]:
    """Make a figure of the page's width with panels (rows, columns); ``options`` are those of ``Figure.subplots``."""
    fig = Figure(figsize=(WIDTH, height), layout="constrained")
    return fig, fig.subplots(rows, columns, squeeze=False, **options)


def in_math(text: str) -> str:
    """Write a symbol with an index, such as C_T, as math."""
    return re.sub(r"\b([A-Z])_([A-Z])\b", r"$\1_\2$", text)


def voltage_label(unit: str) -> str:
    """Name the voltage axis with its unit, a key of ``UNITS``."""
    return f"voltage ({UNITS[unit]})"


def label_time_and_voltage(fig: Figure, unit: str, more: str = "") -> None:
    """Name the axes of a figure whose panels share time and voltage; ``more`` follows the voltage."""
    fig.supxlabel("time from trough (ms)")
    fig.supylabel(voltage_label(unit) + more)


def panel_title(axis: Axes, text: str, **options) -> None:
    """Put a small light title above a panel."""
    axis.set_title(text, **dict(fontweight="normal", fontsize=8) | options)


def set_ticks(axis: Axes, x: int | None = None, y: int | None = None, **options) -> None:
    """Let an axis have at most so many ticks; ``options`` are those of ``MaxNLocator``."""
    for side, most in ((axis.xaxis, x), (axis.yaxis, y)):
        if most is not None:
            side.set_major_locator(mpl.ticker.MaxNLocator(most, **options))


def set_rows(axis: Axes, labels: Sequence[str] | None = None, line: bool = False) -> None:
    """Label the rows 0, 1, … of an axis from the top, without ticks and ``line``; None: they have their labels."""
    if labels is not None:
        axis.set(yticks=range(len(labels)), yticklabels=labels, ylim=(len(labels) - 0.5, -0.5))
    axis.tick_params("y", length=0)
    axis.spines["left"].set_visible(line)


def light_grid(axis: Axes, direction: str) -> None:
    """Draw a faint grid behind everything, ``x`` or ``y``."""
    axis.grid(axis=direction, color="0.93", linewidth=0.6)
    axis.set_axisbelow(True)


def widen_towards_one(axis: Axes, side: str) -> None:
    """Give the axis of a fraction, ``x`` or ``y``, a scale that widens towards 1, where most of them lie."""
    edge = 1.03  # where the scale would become infinite
    functions = (lambda c: -np.log(edge - np.minimum(c, 1.02)), lambda u: edge - np.exp(-u))
    ticks = mpl.ticker.FixedLocator([0, 0.5, 0.7, 0.8, 0.9, 0.95, 1])
    getattr(axis, f"set_{side}scale")("function", functions=functions)
    getattr(axis, f"{side}axis").set(major_locator=ticks, major_formatter=lambda c, _: f"{c:g}")


def annotate(axis: Axes, text: str, at: tuple, offset: tuple, coordinates="axes fraction", **options) -> None:
    """Write ``text`` at an ``offset`` in points from a place in some ``coordinates``."""
    axis.annotate(text, at, offset, xycoords=coordinates, textcoords="offset points", **options)


def dot(label: str, colour: str, marker: str = "o", **options) -> Line2D:
    """Make a legend's entry of a marker."""
    return Line2D([], [], marker=marker, linestyle="", color=colour, label=label, **options)


def gif(pictures: Sequence[Image.Image], typical: Sequence[int], frame_ms: int | Sequence[int], loop: int = 0) -> bytes:
    """Join pictures of one size into a GIF, with the palette of 128 colours that suits the ``typical`` ones.

    It is repeated ``loop`` times after the first; 0: for ever.
    """
    montage = Image.fromarray(np.concatenate([np.asarray(pictures[i]) for i in typical]))
    palette = montage.quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colours = np.array(palette.getpalette()).reshape(-1, 3)
    colours[(colours > 244).all(axis=1)] = 255  # the paper stays white
    palette.putpalette(colours.ravel().tolist())
    paper = Image.new("RGB", (1, 1), "white").quantize(palette=palette, dither=Image.Dither.NONE)
    colours[paper.getpixel((0, 0))] = 255
    palette.putpalette(colours.ravel().tolist())
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=frame_ms, loop=loop, optimize=False)
    return buffer.getvalue()


def shared_panels(n: int, height_of_rows: Callable[[int, int], float]) -> tuple[Figure, np.ndarray]:
    """Make a figure with ``n`` panels (n,), four to a row, that share axes; its height is by rows and columns."""
    columns = min(4, n)
    rows = -(-n // columns)
    fig, axes = panel_grid(rows, columns, height_of_rows(rows, columns), sharex=True, sharey=True)
    for i, axis in enumerate(axes.flat[n:], n):
        axis.set_visible(False)
        axes.flat[i - columns].tick_params("x", labelbottom=True)
    return fig, axes.flat[:n]


def source_panels(n: int, unit: str, more: str = "") -> tuple[Figure, np.ndarray]:
    """Make a figure with ``n`` small panels (n,) of windows, four to a row, and name its axes, time and voltage."""
    fig, axes = shared_panels(n, lambda rows, columns: 2.6 if n == 1 else 1.55 * rows + 0.4)
    label_time_and_voltage(fig, unit, more)
    for axis in axes:
        set_ticks(axis, 3, 4, steps=[1, 2, 5, 10])
    return fig, axes


def ramp(model: str, n: int) -> list[tuple[float, float, float]]:
    """Shade the colour of ``model`` from light to dark in ``n`` steps."""
    own = COLOURS[model]
    return sns.blend_palette([sns.light_palette(own, 10)[4], own, sns.dark_palette(own, 10)[3]], n)


UNIT_COLOURS = ("#332288", "#DDCC77", "#117733", "#CC6677", "#88CCEE", "#882255", "#44AA99", "#AA4499")
"""Colours of single units (Tol 2021, "muted"), which stand neither for real windows nor for a model."""


def present_sources(sources: Iterable[str]) -> list[str]:
    """Put sources in the order in which to draw them: the models of the thesis last, above their baselines."""
    return sorted(sources, key=["transformer_gan", "vae_gan"].__contains__)


def source_legend(fig: Figure, sources: Sequence[str], filled: bool = False) -> None:
    """Put a legend of lines for sources below the panels, ``real`` first, and ``filled`` where it is an area.

    Where it has more rows than three, the figure grows.
    """
    columns = legend_columns(len(sources))
    fig.set_figheight(fig.get_figheight() + 0.25 * max(-(-len(sources) // columns) - 3, 0))
    ordered = sorted(sources, key=lambda source: source != "real")
    handles = [Line2D([], [], color=COLOURS[s], linewidth=2, label=LABELS[s]) for s in ordered]
    if filled and "real" in sources:
        handles[0] = mpl.patches.Patch(color=COLOURS["real"], alpha=0.25, linewidth=0, label=LABELS["real"])
    fig.legend(handles=handles, loc="outside lower center", ncols=columns)


def legend_columns(n: int) -> int:
    """Return in how many columns ``n`` sources fit: five of all models' long names are wider than a figure."""
    return 5 if n <= 12 else 4


def marker_legend(fig: Figure, labels: Mapping[str, str], **options) -> None:
    """Put a legend of markers for sources, with the labels given; ``options`` are those of the legend."""
    handles = [dot(label, COLOURS[s], SOURCES[s].marker, markersize=4.5) for s, label in labels.items()]
    fig.legend(handles=handles, **options)


def picture(canvas: FigureCanvasAgg) -> Image.Image:
    """Draw a canvas at 100 dpi and return it as a picture RGB."""
    canvas.figure.set_dpi(100)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def moving_canvas(fig: Figure) -> FigureCanvasAgg:
    """Lay a figure out once, so that nothing moves but what is changed in it; return its canvas."""
    canvas = FigureCanvasAgg(fig)
    picture(canvas)
    fig.set_layout_engine("none")
    return canvas


@drawing
def animation(figures: Sequence[Figure], frame_ms: int, loop: int = 0) -> bytes:
    """Show figures of one size, one after another, as a GIF; the last one stands ten times as long.

    The palette suits the first, the middle and the last figure; ``loop`` as in :func:`gif`.
    """
    pictures = [picture(FigureCanvasAgg(fig)) for fig in figures]
    n = len(pictures)
    return gif(pictures, [0, n // 2, n - 1], [*[frame_ms] * (n - 1), 10 * frame_ms], loop)
