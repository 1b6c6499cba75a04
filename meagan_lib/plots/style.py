"""The house style: one font, one palette that colour-blind readers can use (Okabe & Ito 2008), and what all figures share.

Real windows and each model keep their colour everywhere. Importing this module sets the style."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image


class Source(NamedTuple):
    """Where windows come from: its name in words, its colour and its marker in every figure."""

    label: str
    colour: str
    marker: str


SOURCES = {
    "real": Source("real (test)", "#3C3C3C", "D"),
    "reach": Source("reach (train)", "#009E73", "v"),
    "transformer_gan": Source("Transformer-GAN", "#0072B2", "o"),
    "vae_gan": Source("VAE-GAN", "#D55E00", "s"),
    "gaussian": Source("Gaussian", "#CC79A7", "^"),
    "pca_gaussian": Source("Gaussian in PCA space", "#882255", "<"),
    "gmm": Source("Gaussian mixture", "#999933", ">"),
    "bootstrap": Source("training copies + noise", "#DDAA33", "X"),
    "vae": Source("VAE", "#56B4E9", "p"),
    "dcgan": Source("DCGAN, WGAN-GP", "#AA4499", "h"),
    "tts_gan": Source("TTS-GAN", "#8C510A", "*"),
    "flow_matching": Source("flow matching", "#332288", "P"),
    "plain_transformer_gan": Source("plain Transformer-GAN", "#003B6F", "H"),
    "plain_vae_gan": Source("plain VAE-GAN", "#F0A07A", "d"),
}
COLOURS = {name: source.colour for name, source in SOURCES.items()}
LABELS = {name: source.label for name, source in SOURCES.items()}
DROPPED = "#E69F00"
UNITS = {"uV": "µV", "ADU": "ADC steps", "normalised": "normalised"}
SERIES = (("#009E73", "o"), ("#E69F00", "s"), ("#56B4E9", "^"), ("#3C3C3C", "D"))
"""Colour and marker of series that are neither real windows nor a model."""
WIDTH = 7.2

sns.set_theme(context="paper", style="ticks", font="DejaVu Sans")
mpl.rcParams.update(
    {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 8,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "legend.fontsize": 7,
        "legend.frameon": False,
        "lines.linewidth": 1.0,
        "figure.dpi": 110,
        "savefig.dpi": 160,
        "svg.hashsalt": "meagan",
        "svg.fonttype": "none",
        "path.simplify": True,
    }
)


def panel_grid(rows: int, columns: int, height: float, **options) -> tuple[Figure, np.ndarray]:
    fig = Figure(figsize=(WIDTH, height), layout="constrained")
    return fig, fig.subplots(rows, columns, squeeze=False, **options)


def voltage_label(unit: str) -> str:
    return f"voltage ({UNITS[unit]})" if unit != "normalised" else "voltage (normalised)"


def gif(pictures: Sequence[Image.Image], typical: Sequence[int], frame_ms: int | Sequence[int]) -> bytes:
    """Pictures of one size as a GIF, with the palette of 128 colours that suits the ``typical`` ones."""
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
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=frame_ms, loop=0, optimize=False)
    return buffer.getvalue()


def source_panels(n: int) -> tuple[Figure, np.ndarray]:
    """A figure with ``n`` small panels (n,), four to a row, that share their axes; axis labels are the figure's."""
    columns = min(4, n)
    rows = -(-n // columns)
    fig, axes = panel_grid(rows, columns, 2.6 if n == 1 else 1.55 * rows + 0.4, sharex=True, sharey=True)
    for i, axis in enumerate(axes.flat[n:], n):
        axis.set_visible(False)
        axes.flat[i - columns].tick_params("x", labelbottom=True)
    for axis in axes.flat:
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(3, steps=[1, 2, 5, 10]))
        axis.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
    return fig, axes.flat[:n]


def ramp(model: str, n: int) -> list[tuple[float, float, float]]:
    """``n`` shades of the colour of ``model``, from light to dark."""
    light, own = sns.light_palette(COLOURS[model], 10)[4], COLOURS[model]
    return [tuple(c[:3]) for c in sns.blend_palette([light, own, sns.dark_palette(own, 10)[3]], n)]


UNIT_COLOURS = ("#332288", "#DDCC77", "#117733", "#CC6677", "#88CCEE", "#882255", "#44AA99", "#AA4499")
"""Colours of single units (Tol 2021, "muted"), which stand neither for real windows nor for a model."""


def present_sources(sources: Iterable[str]) -> list[str]:
    """Sources in the order in which to draw them: the models of the thesis last, above their rivals."""
    return sorted(sources, key=["transformer_gan", "vae_gan"].__contains__)


def source_legend(fig: Figure, sources: Sequence[str]) -> None:
    lines = [Line2D([], [], color=COLOURS[s], linewidth=2, label=LABELS[s]) for s in sources]
    fig.legend(handles=lines, loc="outside lower center", ncols=min(len(lines), 5))


def marker_legend(fig: Figure, labels: Mapping[str, str], **options) -> None:
    """A legend of markers for sources, with the labels given; ``options`` are those of the legend."""
    handles = [
        Line2D([], [], linestyle="", marker=SOURCES[s].marker, color=COLOURS[s], markersize=4.5, label=label)
        for s, label in labels.items()
    ]
    fig.legend(handles=handles, **options)


def animation(figures: Sequence[Figure], frame_ms: int = 160, dpi: int = 100) -> bytes:
    """Figures of one size, one after another, as a GIF; the last one stands ten times as long.

    The palette suits the first, the middle and the last figure.
    """
    pictures = []
    for fig in figures:
        fig.set_dpi(dpi)
        canvas = FigureCanvasAgg(fig)
        canvas.draw()
        pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    n = len(pictures)
    return gif(pictures, [0, n // 2, n - 1], [*[frame_ms] * (n - 1), 10 * frame_ms])
