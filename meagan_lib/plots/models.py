"""Figures of the networks, and of the windows that they generate."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from PIL import Image

from meagan_lib.plots.recordings import BLANK
from meagan_lib.plots.style import (
    COLOURS,
    LABELS,
    SERIES,
    UNIT_COLOURS,
    UNITS,
    WIDTH,
    gif,
    panel_grid,
    ramp,
    source_panels,
    voltage_label,
)


def samples(time_ms: np.ndarray, real: np.ndarray, synthetic: np.ndarray, model: str, unit: str) -> Figure:
    """Windows (n, samples) overlaid, and a grid of single ones below: real to the left, generated to the right."""
    fig = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axes = fig.subplot_mosaic(
        [["real"] * 4 + ["model"] * 4] * 2 + [[f"{i}{j}" for j in range(8)] for i in range(2)], sharex=True, sharey=True
    )
    rows = {"real": real, "model": synthetic}
    for side, windows in rows.items():
        name = "real" if side == "real" else model
        axes[side].plot(time_ms, windows.T, color=COLOURS[name], linewidth=0.4, alpha=0.3)
        axes[side].set_title(LABELS[name])
        for i in range(2):
            for j in range(4):
                axis = axes[f"{i}{j + (0 if side == 'real' else 4)}"]
                axis.plot(time_ms, windows[4 * i + j : 4 * i + j + 1].T, color=COLOURS[name], linewidth=0.9)
    for name, axis in axes.items():
        axis.label_outer()
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(3))
    fig.supxlabel("time from trough (ms)", fontsize=8)
    fig.supylabel(voltage_label(unit), fontsize=8)
    return fig


def positional_encoding(encoding: np.ndarray) -> Figure:
    """The positional encoding (tokens, width), and the cosine between any two of its rows."""
    fig, (axes,) = panel_grid(1, 2, 2.4, width_ratios=[2.2, 1])
    tokens, width = encoding.shape
    rows = encoding / np.linalg.norm(encoding, axis=1, keepdims=True)
    options = dict(origin="upper", aspect="auto", interpolation="nearest")
    for axis, values, limits, colours, label, x, title in (
        (axes[0], encoding, (-1, 1), "RdBu", "encoding", "dimension of a token", "what is added to each token"),
        (axes[1], rows @ rows.T, (0, 1), "viridis", "cosine", "token", "how alike two positions are"),
    ):
        mesh = axis.imshow(values, vmin=limits[0], vmax=limits[1], cmap=colours, **options)
        fig.colorbar(mesh, ax=axis, label=label, ticks=np.linspace(*limits, 3), shrink=0.9)
        axis.set_title(title, fontweight="normal", fontsize=8)
        axis.set(xlabel=x, ylabel="token")
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4, integer=True))
        axis.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4, integer=True))
        axis.spines[:].set_visible(False)
    return fig


def attention(maps: np.ndarray, time_ms: np.ndarray, window: np.ndarray, window_time_ms: np.ndarray) -> Figure:
    """Attention of each head (columns) in each block (rows), a mean window above each column to find one's way.

    Parameters
    ----------
    maps
        (blocks, heads, tokens, tokens), a mean over samples: row i holds the weights of what token i looks at.
    time_ms
        (tokens,): the middle of the patch that each token becomes, from the trough. Patches follow one another.
    window, window_time_ms
        (samples,): a mean window and its times.
    """
    blocks, heads, tokens, _ = maps.shape
    step = (time_ms[-1] - time_ms[0]) / (tokens - 1) if tokens > 1 else np.ptp(window_time_ms) or 1.0
    low, high = time_ms[0] - step / 2, time_ms[-1] + step / 2
    fig, axes = panel_grid(
        1 + blocks, heads, 0.8 + 1.3 * blocks, sharex=True, sharey="row", height_ratios=[0.45] + [1] * blocks
    )
    for h in range(heads):
        above = axes[0, h]
        above.plot(window_time_ms, window, color=COLOURS["real"])
        above.set_title(f"head {h + 1}", fontweight="normal", fontsize=8, loc="center")
        above.set_yticks([])
        above.spines[:].set_visible(False)
        above.tick_params("x", length=0)
        for b in range(blocks):
            axis = axes[1 + b, h]
            mesh = axis.imshow(
                maps[b, h],
                extent=(low, high, high, low),
                vmin=0,
                vmax=maps.max(),
                cmap="viridis",
                aspect="auto",
                interpolation="nearest",
            )
            axis.axvline(0, color="white", linewidth=0.6, alpha=0.6)
            axis.axhline(0, color="white", linewidth=0.6, alpha=0.6)
            axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(3, steps=[1, 2, 5, 10]))
            axis.yaxis.set_major_locator(mpl.ticker.MaxNLocator(3, steps=[1, 2, 5, 10]))
            axis.spines[:].set_visible(False)
            axis.tick_params(left=h == 0, bottom=b == blocks - 1)
    for b in range(blocks):
        axes[1 + b, 0].set_ylabel(f"block {b + 1}")
    axes[0, 0].set_xlim(low, high)
    bar = fig.colorbar(mesh, ax=axes[1:], label=f"weight (even: {1 / tokens:.2g})", shrink=0.7, aspect=30, pad=0.015)
    bar.locator = mpl.ticker.MaxNLocator(4)
    fig.supxlabel("patch that is looked at: time from trough (ms)", fontsize=8)
    fig.supylabel("patch that looks: time from trough (ms)", fontsize=8)
    return fig


def interpolation(time_ms: np.ndarray, windows: np.ndarray, unit: str, model: str) -> Figure:
    """Windows (steps, samples) on the way from one z to another, light to dark; the first one again in grey.

    Each panel says how far along the way it is.
    """
    steps = len(windows)
    fig, (axes,) = panel_grid(1, steps, 1.8, sharex=True, sharey=True)
    for i, (axis, colour) in enumerate(zip(axes, ramp(model, steps))):
        if i:
            axis.plot(time_ms, windows[0], color="0.75", linewidth=0.9)
        axis.plot(time_ms, windows[i], color=colour, linewidth=1.3)
        axis.set_title(f"{i / max(steps - 1, 1):.0%}", fontweight="normal", fontsize=8)
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(2, steps=[1, 2, 5, 10]))
        axis.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
        if i:
            axis.spines["left"].set_visible(False)
            axis.tick_params("y", length=0)
    fig.supxlabel("time from trough (ms)", fontsize=8)
    fig.supylabel(voltage_label(unit), fontsize=8)
    return fig


def snapshots(
    time_ms: np.ndarray, steps: np.ndarray, windows: np.ndarray, unit: str, model: str, panels: int = 8
) -> Figure:
    """What the same z become over training: windows (frames, n_z, samples) at ``steps`` (frames,), in some panels.

    Each z keeps its shade in all panels.
    """
    shown = np.unique(np.linspace(0, len(steps) - 1, panels).round().astype(int))
    fig, axes = source_panels(len(shown))
    for axis, i in zip(axes, shown):
        for window, colour in zip(windows[i], ramp(model, windows.shape[1])):
            axis.plot(time_ms, window, color=colour, linewidth=1.1)
        axis.set_title(f"step {steps[i]}", fontweight="normal", fontsize=8)
    fig.supxlabel("time from trough (ms)", fontsize=8)
    fig.supylabel(voltage_label(unit), fontsize=8)
    return fig


def snapshots_animation(
    time_ms: np.ndarray,
    steps: np.ndarray,
    windows: np.ndarray,
    unit: str,
    model: str,
    frame_ms: int = 160,
    dpi: int = 100,
) -> bytes:
    """:func:`snapshots` as a GIF: every frame in its turn, the first in grey behind it; the last one stands longer."""
    fig, ((axis,),) = panel_grid(1, 1, 3.0)
    axis.plot(time_ms, windows[0].T, color="0.85", linewidth=1)
    lines = [
        axis.plot(time_ms, window, color=colour, linewidth=1.3)[0]
        for window, colour in zip(windows[0], ramp(model, windows.shape[1]))
    ]
    low, high = windows.min(), windows.max()
    room = 0.05 * (high - low)
    axis.set(xlabel="time from trough (ms)", ylabel=voltage_label(unit), ylim=(low - room, high + room))
    axis.set_title("step 0", fontweight="normal")
    fig.set_dpi(dpi)
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    fig.set_layout_engine("none")
    pictures = []
    for step, at_step in zip(steps, windows):
        for line, window in zip(lines, at_step):
            line.set_ydata(window)
        axis.set_title(f"step {step}", fontweight="normal")
        canvas.draw()
        pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    return gif(pictures, [len(pictures) - 1], [*[frame_ms] * (len(pictures) - 1), 10 * frame_ms])


LEAST_KL = 1e-3
"""Where the axis of the KL of a latent number ends, in nats."""


def _extent(words: str, size: float) -> tuple[float, float]:
    """Width and height in inches of words at a font size, mathematics and several lines among them."""
    lines = words.split("\n")
    return max(TextPath((0, 0), line, size=size).get_extents().width for line in lines) / 72, size * len(lines) / 55


def butterfly(layers: Sequence[tuple[str, str, int]], waist: int, judge: Sequence[tuple[str, str]]) -> Figure:
    """An autoencoder as an hourglass, from left to right; the height of a bar grows with √(number of values).

    Parameters
    ----------
    layers
        Label, shape and number of values of what each layer gives.
    waist
        Which of them is z.
    judge
        Label and shape of each box of the discriminator, which looks at what the last layer gives.
    """
    tallest, bar, pad, box = 1.9, 0.15, 0.14, (0.2, 0.4)
    n, margin = len(layers), 0.04
    words = [(label, shape) for label, shape, _ in layers] + list(judge)
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
    spare = WIDTH - 2 * margin - (width[0] + width[-1]) / 2 - x[-1]
    x += margin + width[0] / 2 + max(spare, 0) / 2
    values = np.array([number for _, _, number in layers], float)
    half = np.maximum(tallest / 2 * np.sqrt(values / values.max()), 0.05)
    outline = np.stack([x[:n] - bar / 2, x[:n] + bar / 2], axis=1).ravel()

    fig, ((axis,),) = panel_grid(1, 1, 3.1)
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
    arrow = dict(arrowstyle="-|>", color="0.35", linewidth=0.9, shrinkA=0, shrinkB=0, mutation_scale=8)
    end = x[n - 1] + bar / 2
    for at, wide, (label, shape) in zip(x[n:], width[n:], judge):
        axis.annotate("", (at - wide / 2, 0), (end + 0.04, 0), arrowprops=arrow)
        end = at + wide / 2
        axis.add_patch(
            mpl.patches.FancyBboxPatch(
                (at - wide / 2, -box[1] / 2),
                wide,
                box[1],
                boxstyle="round,pad=0,rounding_size=0.04",
                linewidth=1,
                edgecolor=COLOURS["real"],
                facecolor=mpl.colors.to_rgba(COLOURS["real"], 0.12),
            )
        )
        axis.text(at, 0, label, ha="center", va="center", fontsize=size, linespacing=1.25)
        axis.text(at, -box[1] / 2 - 0.05, shape, ha="center", va="top", fontsize=size - 0.5, color="0.35")
    top = max(tops) + 0.1
    for name, first, last in (("encoder", 0, waist - 1), ("decoder", waist + 1, n - 1)):
        if first <= last:
            axis.text(
                (x[first] + x[last]) / 2,
                top,
                name,
                ha="center",
                va="bottom",
                fontsize=8,
                fontweight="bold",
                color=colours[first],
            )
    bottom = -tallest / 2 - 0.45
    axis.text(x[0] - bar / 2, bottom, "height of a bar ∝ √(number of values)", va="bottom", fontsize=6.5, color="0.35")
    axis.set(xlim=(0, fig.get_figwidth()), ylim=(bottom, top + 0.18))
    axis.axis("off")
    return fig


def latent_usage(kl: Mapping[str, np.ndarray], active: Mapping[str, int]) -> Figure:
    """KL (latent,) of each latent number in nats, from most to least, for each moment of the training.

    ``active``: moment → how many latent numbers carry something of the window. What is below 0.001 nats lies on the
    axis.
    """
    fig, ((axis,),) = panel_grid(1, 1, 2.6)
    shades = [ramp("vae_gan", 3)[0], COLOURS["vae_gan"]]
    for (moment, values), colour, linewidth in zip(kl.items(), shades, (2.2, 1.4)):
        shown = np.sort(np.maximum(values, LEAST_KL))[::-1]
        axis.plot(
            np.arange(1, len(shown) + 1),
            shown,
            color=colour,
            linewidth=linewidth,
            drawstyle="steps-mid",
            marker="o" if len(shown) <= 16 else None,
            markersize=4,
            clip_on=False,
            zorder=3,
            label=f"{moment}: {active[moment]} of {len(shown)} active",
        )
    axis.set(
        xlabel="latent number, from most to least used",
        ylabel="KL from the prior (nats)",
        yscale="log",
        xlim=(0.5, max(map(len, kl.values())) + 0.5),
        ylim=(LEAST_KL, None),
    )
    axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(8, integer=True, min_n_ticks=1))
    axis.yaxis.set_major_formatter(lambda y, _: f"≤ {y:g}" if y <= LEAST_KL else f"{y:g}")
    fig.legend(*axis.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return fig


def latent_space(
    before: np.ndarray, after: np.ndarray, amplitude: np.ndarray, labels: np.ndarray | None, unit: str
) -> Figure:
    """Where the encoder puts windows before and after stage 2, coloured by amplitude and by unit.

    Parameters
    ----------
    before, after
        (n, 2): the first two principal components of μ, each of its own. Later windows are drawn over earlier ones.
    amplitude
        (n,), in ``unit``; colours leave out the hundredth at either end.
    labels
        (n,): unit of each window, −1 where it is not known; None leaves the second column out. The eight units with
        most windows have colours.
    """
    n, both = len(before), labels is not None
    fig, axes = panel_grid(3, 1 + both, 5.8, height_ratios=[1, 1, 0.05])
    if not both:
        fig.set_figwidth(0.55 * WIDTH)
    low, high = np.quantile(amplitude, [0.01, 0.99]) if n else (0.0, 1.0)
    if low == high:
        low, high = low - 1, high + 1
    norm = mpl.colors.Normalize(low, high)
    dots = dict(s=4 if n > 1000 else 9, linewidths=0, rasterized=True)
    if both:
        labels = np.asarray(labels)
        units, counts = np.unique(labels[labels >= 0], return_counts=True)
        most = np.argsort(-counts, kind="stable")[: len(UNIT_COLOURS)]
        colours = dict(zip(units[most], UNIT_COLOURS))
        named = np.isin(labels, units[most])
        of_each = [colours[label] for label in labels[named]]
    for row, (moment, places) in zip(axes, (("before", before), ("after", after))):
        row[0].scatter(*places.T, c=amplitude, cmap="viridis", norm=norm, alpha=0.6, **dots)
        row[0].set_title(f"{moment} stage 2, by amplitude", fontweight="normal", fontsize=8)
        if both:
            row[1].scatter(*places[~named].T, color=BLANK, **dots)
            row[1].scatter(*places[named].T, color=of_each, alpha=0.7, **dots)
            row[1].set_title(f"{moment} stage 2, by unit", fontweight="normal", fontsize=8)
        row[0].set_ylabel("component 2 of $\\mu$")
        for axis in row:
            axis.set_aspect("equal", adjustable="datalim")
            axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(5, integer=True))
            axis.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5, integer=True))
    for axis in axes[1]:
        axis.set_xlabel("component 1 of $\\mu$")
    fig.align_ylabels(axes[:2, 0])
    bar = fig.colorbar(
        mpl.cm.ScalarMappable(norm, "viridis"),
        cax=axes[2, 0],
        label=f"amplitude ({UNITS[unit]})",
        orientation="horizontal",
        extend="both" if n > 1 else "neither",
    )
    bar.locator = mpl.ticker.MaxNLocator(5)
    if both:
        axes[2, 1].axis("off")
        entries = [(f"{u}  ({c})", UNIT_COLOURS[i]) for i, (u, c) in enumerate(zip(units[most], counts[most]))]
        if rest := int((~named).sum()):
            grey = ["others"] * (len(units) > len(most)) + ["unknown"] * bool((labels < 0).any())
            entries.append((f"{', '.join(grey)}  ({rest})", BLANK))
        legend = axes[2, 1].legend(
            handles=[
                Line2D([], [], marker="o", linestyle="", markersize=4, color=c, label=name) for name, c in entries
            ],
            loc="upper center",
            bbox_to_anchor=(0.5, 1.6),
            ncols=3,
            title="unit  (windows)",
            title_fontsize=7,
            handletextpad=0.2,
            columnspacing=1.4,
        )
        legend.set_alignment("left")
    return fig


def traversals(
    time_ms: np.ndarray,
    windows: np.ndarray,
    values: np.ndarray,
    names: Sequence[str],
    unit: str,
    model: str = "vae_gan",
) -> Figure:
    """What a latent number does: windows (k, steps, samples) as it takes ``values`` (steps,), light to dark.

    A panel for each of the ``names`` (k,); all other latent numbers are 0.
    """
    fig, axes = source_panels(len(windows))
    shades = ramp(model, len(values))
    for axis, name, steps in zip(axes, names, windows):
        for window, colour in zip(steps, shades):
            axis.plot(time_ms, window, color=colour, linewidth=1.1)
        axis.set_title(name.replace(": ", ":\n"), fontweight="normal", fontsize=7.5)
    key = mpl.cm.ScalarMappable(mpl.colors.Normalize(-0.5, len(values) - 0.5), mpl.colors.ListedColormap(shades))
    ticks = np.unique(np.linspace(0, len(values) - 1, min(len(values), 9)).round().astype(int))
    bar = fig.colorbar(
        key,
        ax=list(axes),
        label="value of the latent number\n(SD of the prior)",
        shrink=0.9,
        aspect=25,
        pad=0.015,
        ticks=ticks,
    )
    bar.ax.set_yticklabels([f"{values[i]:.3g}".replace("-", "−") for i in ticks])
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
    fig.supxlabel("time from trough (ms)", fontsize=8)
    fig.supylabel(voltage_label(unit), fontsize=8)
    return fig


def reconstructions(
    time_ms: np.ndarray,
    real: np.ndarray,
    reconstructed: np.ndarray,
    noise: float | None,
    unit: str,
    model: str = "vae_gan",
) -> Figure:
    """The first four windows (n, samples) and their reconstructions above, what is left of them below.

    With ``noise``, the standard deviation of the noise before any model, a band of ± as much lies behind the rest.
    """
    n = min(4, len(real))
    fig, axes = panel_grid(2, n, 3.2, sharex=True, sharey="row", height_ratios=[1.5, 1])
    for (above, below), x, made in zip(axes.T, real, reconstructed):
        above.plot(time_ms, x, color=COLOURS["real"], linewidth=1.0, label=LABELS["real"])
        above.plot(time_ms, made, color=COLOURS[model], linewidth=1.3, label=f"{LABELS[model]}, reconstruction")
        below.axhline(0, color="0.6", linewidth=0.6, zorder=1)
        below.plot(time_ms, x - made, color=SERIES[2][0], linewidth=1.2, label="residual: real − reconstruction")
        if noise is not None:
            below.axhspan(-noise, noise, color=BLANK, linewidth=0, zorder=0, label="± noise (SD)")
        for axis in (above, below):
            axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(3, steps=[1, 2, 5, 10]))
            axis.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes[0, 0].set_ylabel(voltage_label(unit))
    axes[1, 0].set_ylabel(f"residual ({UNITS[unit]})")
    fig.align_ylabels(axes[:, 0])
    handles, names = (sum(both, []) for both in zip(*(axis.get_legend_handles_labels() for axis in axes[:, 0])))
    fig.legend(handles, names, loc="outside upper right", ncols=4)
    fig.supxlabel("time from trough (ms)", fontsize=8)
    return fig


HALF = (0.39, 0.3)
"""Half the width and half the height of a box of :func:`architecture`; boxes are 1 apart."""
SHAPE_ROOM = 0.32
"""Height of the words below a box."""


def _box(axis: Axes, x: float, y: float, label: str, shape: str, colour: str, shade: float) -> None:
    """A box around ``label``, with ``shape`` below it."""
    w, h = HALF
    axis.add_patch(
        mpl.patches.FancyBboxPatch(
            (x - w, y - h),
            2 * w,
            2 * h,
            boxstyle="round,pad=0,rounding_size=0.06",
            linewidth=1,
            edgecolor=colour,
            facecolor=mpl.colors.to_rgba(colour, shade),
        )
    )
    axis.text(x, y, label, ha="center", va="center", fontsize=7.5, linespacing=1.25)
    axis.text(x, y - h - 0.06, shape, ha="center", va="top", fontsize=7, color="0.35")


def architecture(
    shapes: Mapping[str, Sequence[tuple[str, str]]], bypass: Mapping[str, tuple[str, str, int]] | None = None
) -> Figure:
    """Networks as rows of boxes, from left to right.

    Parameters
    ----------
    shapes
        For each network, label and shape of what each box gives; the first box is the input.
    bypass
        For a network, one box below the row: label, shape, and the index of the box that it leads to from the first.
    """
    bypass = bypass or {}
    (w, h), wide = HALF, max(map(len, shapes.values()))
    floor, lower = -h - SHAPE_ROOM, -1.2
    lows = [lower + floor if name in bypass else floor for name in shapes]
    heights = [h - low for low in lows]
    fig, axes = panel_grid(len(shapes), 1, 0.75 * sum(heights) + 0.25 * len(shapes), height_ratios=heights)
    line = dict(arrowstyle="-|>", color="0.35", linewidth=0.9, shrinkA=0, shrinkB=0, mutation_scale=8)
    colours = [COLOURS["transformer_gan"], *[COLOURS["real"]] * (len(shapes) - 1)]
    for (name, boxes), axis, low, colour in zip(shapes.items(), axes[:, 0], lows, colours):
        for i, (label, shape) in enumerate(boxes):
            _box(axis, i, 0, label, shape, colour, 0.12 if i else 0)
            if i:
                axis.annotate("", (i - w, 0), (i - 1 + w, 0), arrowprops=line)
        if name in bypass:
            label, shape, to = bypass[name]
            _box(axis, to / 2, lower, label, shape, colour, 0.12)
            for head, tail, bend in (
                ((to / 2 - w, lower), (0, floor), "angle,angleA=-90,angleB=180,rad=4"),
                ((to, floor), (to / 2 + w, lower), "angle,angleA=0,angleB=-90,rad=4"),
            ):
                axis.annotate("", head, tail, arrowprops=line | dict(connectionstyle=bend))
        axis.set(xlim=(-0.5, wide - 0.5), ylim=(low, h + 0.05))
        axis.set_title(name, fontsize=8, color=colour)
        axis.axis("off")
    return fig
