"""The figures: arrays in, a matplotlib ``Figure`` out; one function for each.

Importing this module sets the house style: one font, one palette that colour-blind readers can use
(Okabe & Ito 2008), in which real windows and each model keep their colour everywhere.
"""

import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from PIL import Image
from scipy.spatial import cKDTree

from meagan_lib.seeds import SIGNIFICANT, Paired, told_p


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
FAULTS = ("#3C3C3C", "#56B4E9", "#009E73", "#E69F00", "#CC79A7")
"""Colours of what may be wrong with an electrode; one that is good is light grey."""
BLANK = "0.87"
NEAR_S = 0.5
"""Time shown on either side of an instant, in s."""
WIDTH = 7.2
ROW = 32
"""Electrodes to a row where their positions are not known."""

sns.set_theme(context="paper", style="ticks", font="DejaVu Sans")
mpl.rcParams.update({
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 9, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.labelsize": 8, "xtick.labelsize": 7, "ytick.labelsize": 7,
    "legend.fontsize": 7, "legend.frameon": False, "lines.linewidth": 1.0, "figure.dpi": 110, "savefig.dpi": 160,
    "svg.hashsalt": "meagan", "svg.fonttype": "none", "path.simplify": True,
})


def _figure(rows: int, columns: int, height: float, **options) -> tuple[Figure, np.ndarray]:
    fig = Figure(figsize=(WIDTH, height), layout="constrained")
    return fig, fig.subplots(rows, columns, squeeze=False, **options)


def _voltage(unit: str) -> str:
    return f"voltage ({UNITS[unit]})" if unit != "normalised" else "voltage (normalised)"


def trace_detections(
    time_s: np.ndarray, raw: np.ndarray, filtered: np.ndarray, threshold: float, peak_time_s: np.ndarray,
    peak_amplitude: np.ndarray, kept: np.ndarray, unit: str, title: str,
) -> Figure:
    """Raw and filtered trace (samples,) of one electrode, its threshold, and its peaks, kept or dropped."""
    fig, ((above,), (below,)) = _figure(2, 1, 3.6, sharex=True)
    above.plot(time_s, raw, color="0.55", linewidth=0.6)
    above.set(title=title, ylabel=f"raw ({UNITS[unit]})")
    below.plot(time_s, filtered, color=COLOURS["real"], linewidth=0.6)
    below.axhline(threshold, color=DROPPED, linewidth=1, linestyle="--", label="threshold")
    below.plot(peak_time_s[kept], peak_amplitude[kept], "v", color=COLOURS["reach"], markersize=5, label="kept")
    below.plot(
        peak_time_s[~kept], peak_amplitude[~kept], "v", markerfacecolor="white", markeredgecolor=DROPPED, markersize=5,
        label="dropped",
    )
    below.set(xlabel="time (s)", ylabel=f"filtered ({UNITS[unit]})")
    below.margins(x=0)
    fig.legend(*below.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return fig


def _places(positions_um: np.ndarray | None, n: int) -> np.ndarray:
    """Positions (n, 2) with their least at 0; without any, in rows of 32 with a pitch of 1."""
    if positions_um is None:
        return np.stack(np.divmod(np.arange(n), ROW), axis=1)[:, ::-1].astype(float)
    return positions_um - positions_um.min(axis=0)


def _electrodes(
    axis: Axes, positions: np.ndarray, values: np.ndarray, in_a_row: bool, pitch: float | None = None, **options
) -> PolyCollection:
    """Draw a square at each of ``positions`` (n, 2), coloured by ``values`` (n,), and label the axes.

    One collection however many electrodes: 4096 patches would take seconds. ``options`` are those of the collection.
    """
    pitch = pitch or _pitch(positions)
    many = len(values) > 500  # then gaps between the squares would be finer than a pixel
    corners = (0.5 if many else 0.45) * pitch * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    squares = PolyCollection(
        positions[:, None] + corners, linewidths=0, antialiaseds=not many, rasterized=many, **options
    )
    squares.set_array(values)
    axis.add_collection(squares)
    margin = (0.6 if in_a_row else 1.0) * pitch
    (left, top), (right, bottom) = positions.min(axis=0) - margin, positions.max(axis=0) + margin
    axis.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    if not in_a_row:
        axis.set(xlabel="x (µm)", ylabel="y (µm)")
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
        axis.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
    elif len(values) > ROW:
        axis.set(xlabel=f"electrode (+ {ROW} a row)", ylabel="row")
        axis.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4, integer=True))
    else:
        axis.set(xlabel="electrode", xticks=range(0, len(values), 1 + len(values) // 16), yticks=[])
        axis.spines["left"].set_visible(False)
    return squares


def _pitch(positions: np.ndarray) -> float:
    """Least distance along x or y between two electrodes; 1 for a single one."""
    if len(positions) < 2:
        return 1.0
    distance = cKDTree(positions).query(positions, k=2, p=np.inf)[0][:, 1]
    return float(distance[distance > 0].min()) if (distance > 0).any() else 1.0


def chip_map(positions_um: np.ndarray | None, noise: np.ndarray, rate_hz: np.ndarray, unit: str) -> Figure:
    """Noise level and spike rate (channels,) at the electrodes' positions (channels, 2); in a row without positions."""
    in_a_row = positions_um is None
    flat = in_a_row and len(noise) <= ROW
    fig, (axes,) = _figure(1, 2, 2.0 if flat else 3.2)
    places = _places(positions_um, len(noise))
    for axis, values, name, colours in (
        (axes[0], noise, f"noise level ({UNITS[unit]})", "viridis"),
        (axes[1], rate_hz, "spike rate (Hz)", "magma"),
    ):
        squares = _electrodes(axis, places, values, in_a_row, cmap=colours)
        bar = fig.colorbar(squares, ax=axis, label=name, location="top" if flat else "right", shrink=0.8)
        bar.locator = mpl.ticker.MaxNLocator(5)
    axes[1].set_ylabel("")
    return fig


def intervals_isolation(intervals_ms: np.ndarray, guard_ms: float, counts: Mapping[str, int]) -> Figure:
    """Histogram of the intervals (n,) between peaks of a channel, and a bar for what became of the peaks."""
    fig, (axes,) = _figure(1, 2, 2.6, width_ratios=[1.5, 1])
    low = max(intervals_ms.min() if len(intervals_ms) else guard_ms, 1e-2)
    high = max(intervals_ms.max(initial=0), 2 * low)
    axes[0].hist(intervals_ms, np.geomspace(low, high, 60), color=COLOURS["real"])
    axes[0].axvline(guard_ms, color=DROPPED, linestyle="--", label=f"guard {guard_ms:g} ms")
    axes[0].set(
        xscale="log", xlabel="interval between peaks of an electrode (ms)", ylabel="number of intervals",
    )
    axes[0].legend(loc="upper right")
    _reason_bars(axes[1], counts, room=1.45)
    return fig


def _reason_bars(axis: Axes, counts: Mapping[str, int], room: float) -> None:
    """A bar with count and share for each reason; the axis is ``room`` times as long as the longest."""
    names, values = list(counts), np.array(list(counts.values()))
    bars = axis.barh(names, values, color=[COLOURS["reach"] if n == "kept" else DROPPED for n in names])
    total = max(values.sum(), 1)
    axis.bar_label(bars, [f" {v}  ({v / total:.1%})" for v in values], fontsize=7)
    axis.invert_yaxis()
    axis.set(xlabel="detected peaks", xlim=(0, room * max(values.max(), 1)))
    axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(3, integer=True))


def windows_by_channel(time_ms: np.ndarray, by_channel: Mapping[str, np.ndarray], unit: str) -> Figure:
    """Windows (n, samples) of some channels, one panel each, and their mean; all panels share their axes."""
    columns = min(4, len(by_channel))
    rows = -(-len(by_channel) // columns)
    fig, axes = _figure(rows, columns, 1.7 * rows + 0.3, sharex=True, sharey=True)
    for axis, (channel, windows) in zip(axes.flat, by_channel.items()):
        axis.plot(time_ms, windows.T, color=COLOURS["real"], linewidth=0.4, alpha=0.25)
        axis.plot(time_ms, windows.mean(axis=0), color=DROPPED, linewidth=1.6)
        axis.set_title(channel, fontweight="normal")
    for axis in axes.flat[len(by_channel) :]:
        axis.set_visible(False)
    fig.supxlabel("time from trough (ms)", fontsize=8)
    fig.supylabel(_voltage(unit), fontsize=8)
    return fig


def quality_map(
    positions_um: np.ndarray | None, verdict: np.ndarray, noise: np.ndarray, names: Sequence[str], unit: str
) -> Figure:
    """Verdict (channels,) of each electrode at its position (channels, 2), and the noise (channels,) by verdict.

    ``verdict`` counts through ``names``, of which the first stands for a good electrode. The names with their counts,
    to the right, are the legend of both panels. Without positions, electrodes stand in rows.
    """
    flat = positions_um is None and len(verdict) <= ROW
    fig, (axes,) = _figure(1, 2, 2.2 if flat else 3.0, width_ratios=[1.15, 1])
    colours = [BLANK, *FAULTS][: len(names)]
    _electrodes(
        axes[0], _places(positions_um, len(verdict)), verdict, positions_um is None,
        cmap=mpl.colors.ListedColormap(colours), clim=(-0.5, len(names) - 0.5),
    )
    many = len(verdict) > 500
    for v, colour in enumerate(colours):
        mine = noise[verdict == v]
        spread = 0.3 * np.sin(2.4 * np.arange(len(mine)))  # even, and the same every time
        axes[1].scatter(
            mine, v + spread, s=4 if many else 14, color="0.7" if v == 0 else colour, linewidths=0, clip_on=False,
            rasterized=many,
        )
    axes[1].scatter(
        np.full(len(names), 1.05), range(len(names)), s=36, marker="s", color=colours, clip_on=False,
        transform=axes[1].get_yaxis_transform(),
    )
    axes[1].yaxis.tick_right()
    axes[1].spines["left"].set_visible(False)
    axes[1].grid(axis="y", color="0.93")
    axes[1].set_axisbelow(True)
    axes[1].tick_params("y", length=0, pad=18, labelsize=8)
    axes[1].set(
        xlabel=f"noise level ({UNITS[unit]})", yticks=range(len(names)), ylim=(len(names) - 0.5, -0.5),
        yticklabels=[f"{name}: {(verdict == v).sum()}" for v, name in enumerate(names)],
    )
    positive = noise[noise > 0]
    if len(positive):
        typical = np.median(positive)
        axes[1].set_xscale("symlog", linthresh=0.2 * typical, linscale=0.5)
        axes[1].set_xlim(-0.02 * typical, 1.3 * positive.max())
        axes[1].xaxis.set_major_formatter("{x:g}")
    return fig


def activity_frame(
    positions_um: np.ndarray | None, activity: np.ndarray, time_s: np.ndarray, rate_hz: np.ndarray, shown_s: float,
    label: str, chip_um: tuple[float, float] | None = None, limit: float | None = None,
) -> Figure:
    """One instant of a recording: activity of each electrode, and when that was.

    Parameters
    ----------
    positions_um
        (channels, 2), counted from the chip's first electrode; None puts the electrodes in rows.
    activity
        (channels,): spikes or voltage at the instant; with negative values colours are centred on zero.
    time_s, rate_hz
        (bins,): middles of time bins, and spike rate of the whole array in them, a mean over electrodes; NaN where
        nothing was recorded.
    shown_s
        The instant.
    label
        What ``activity`` is, with its unit.
    chip_um
        Width and height of the chip. Where electrodes cover less than half of either, a small panel shows which part;
        otherwise the chip is outlined around them.
    limit
        Where the colours end; by default the largest absolute activity.
    """
    return _activity(positions_um, activity, time_s, rate_hz, shown_s, label, chip_um, limit)[0]


def _activity(positions_um, activity, time_s, rate_hz, shown_s, label, chip_um, limit):
    """The figure of :func:`activity_frame`, its squares, and the marks of the instant: two lines and a dot."""
    in_a_row = positions_um is None
    places = _places(None, len(activity)) if in_a_row else np.asarray(positions_um, float)
    pitch = _pitch(places)
    if len(places) == 1 and chip_um:
        pitch = chip_um[0] / 64
    extent = np.ptp(places, axis=0) + pitch
    part = chip_um is not None and not in_a_row and (extent < 0.5 * np.array(chip_um)).any()

    flat = in_a_row and len(activity) <= ROW
    fig = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    if flat:
        axes = fig.subplot_mosaic([["frame", "frame"], ["rate", "near"]])
    else:
        axes = fig.subplot_mosaic(
            [["frame", "rate", "rate"], ["frame", "near", "chip" if part else "near"]], width_ratios=[2.1, 1.7, 0.8]
        )
    frame = axes["frame"]
    limit = limit or float(np.abs(activity).max()) or 1.0
    signed = activity.min() < 0
    squares = _electrodes(
        frame, places, activity, in_a_row, pitch, cmap="RdBu" if signed else "magma",
        clim=(-limit if signed else 0, limit),
    )
    outline = dict(facecolor="0.95", edgecolor="0.6", linewidth=0.8, zorder=0)
    if chip_um and not in_a_row:
        chip = mpl.patches.Rectangle((-pitch / 2, -pitch / 2), *chip_um, **outline)
        if part:
            key = axes["chip"]
            key.add_patch(chip)
            corner = places.min(axis=0) - pitch / 2
            key.add_patch(mpl.patches.Rectangle(corner, *extent, facecolor=COLOURS["real"]))
            key.set(xlim=(-pitch, chip_um[0]), ylim=(chip_um[1], -pitch), aspect="equal", xticks=[], yticks=[])
            key.set_xlabel("part of the chip", fontsize=7)
            key.spines[:].set_visible(False)
        else:
            frame.add_patch(chip)
            frame.set(xlim=(-pitch, chip_um[0]), ylim=(chip_um[1], -pitch))
    bar = fig.colorbar(squares, ax=frame, label=label, shrink=0.85)
    bar.locator = mpl.ticker.MaxNLocator(4, integer=np.array_equal(activity, np.rint(activity)))
    frame.set_title(f"{shown_s:.3f} s", fontweight="normal")
    marks = []
    for axis, linewidth in ((axes["rate"], 0.5), (axes["near"], 1.0)):
        axis.plot(time_s, rate_hz, color=COLOURS["real"], linewidth=linewidth)
        marks.append(axis.axvline(shown_s, color=DROPPED, linewidth=1.2, zorder=0))
        axis.set(ylim=(0, 1.05 * max(np.nanmax(rate_hz), 1e-9)), ylabel="spikes / s")
        axis.margins(x=0)
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(5))
        axis.yaxis.set_major_locator(mpl.ticker.MaxNLocator(3))
    axes["rate"].set_title("mean spike rate of the electrodes", fontweight="normal", fontsize=8)
    marks += axes["near"].plot(shown_s, np.interp(shown_s, time_s, rate_hz), "o", color=DROPPED, markersize=5)
    if flat:
        axes["rate"].set_xlabel("time (s)")
    axes["near"].set(xlabel="time (s)", xlim=(shown_s - NEAR_S, shown_s + NEAR_S))
    return fig, squares, marks


def activity_animation(
    positions_um: np.ndarray | None, activity: np.ndarray, shown_s: np.ndarray, time_s: np.ndarray,
    rate_hz: np.ndarray, label: str, chip_um: tuple[float, float] | None = None, frame_ms: int = 120, dpi: int = 100,
) -> bytes:
    """A GIF of :func:`activity_frame` for each row of ``activity`` (frames, channels) at ``shown_s`` (frames,).

    All frames share their colours, which end at the largest absolute activity, and one palette of 128 colours; the same
    input gives the same bytes. ``frame_ms`` is how long a frame stands. For the rest see there.
    """
    limit = float(np.abs(activity).max()) or 1.0
    lowest = activity[activity.min(axis=1).argmin()]
    fig, squares, marks = _activity(positions_um, lowest, time_s, rate_hz, shown_s[0], label, chip_um, limit)
    marks[1].axes.set_xlim(shown_s[0] - NEAR_S / 4, shown_s[-1] + NEAR_S / 4)
    fig.set_dpi(dpi)
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    fig.set_layout_engine("none")  # laid out once: nothing moves but what is shown
    pictures = []
    for values, instant in zip(activity, shown_s):
        squares.set_array(values)
        squares.axes.set_title(f"{instant:.3f} s", fontweight="normal")
        for line in marks[:2]:
            line.set_xdata([instant, instant])
        marks[2].set_data([instant], [np.interp(instant, time_s, rate_hz)])
        canvas.draw()
        pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    return _gif(pictures, np.argsort(-np.abs(activity).sum(axis=1), kind="stable")[:4], frame_ms)


def _gif(pictures: Sequence[Image.Image], typical: Sequence[int], frame_ms: int | Sequence[int]) -> bytes:
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


def contamination(curves: Mapping[str, Mapping[str, np.ndarray]], default: tuple[str, float] | None) -> Figure:
    """What isolation costs and buys: contaminated windows against windows kept, a curve for each rule.

    Parameters
    ----------
    curves
        rule → arrays (guards,): ``guard_ms``; ``kept``, the share of peaks that became windows; ``contaminated``, the
        share of windows that hold a second spike; ``low`` and ``high``, the ends of its 95 % interval. Shares are from
        0 to 1.
    default
        Rule and guard in ms that are marked; None where they are on no curve.
    """
    fig, ((axis,),) = _figure(1, 1, 3.0)
    lowest = min(curves, key=lambda rule: np.mean(curves[rule]["contaminated"]))
    for (rule, curve), (colour, marker) in zip(curves.items(), SERIES):
        x, y = 100 * np.asarray(curve["kept"]), 100 * np.asarray(curve["contaminated"])
        error = np.abs(100 * np.stack([curve["low"], curve["high"]]) - y)
        axis.errorbar(
            x, y, error, color=colour, marker=marker, markersize=4.5, linewidth=1.2, elinewidth=0.8, label=rule,
        )
        below = rule == lowest
        for guard, *point in zip(curve["guard_ms"], x, y):
            axis.annotate(
                f"{guard:g}", point, (7, -10) if below else (-7, 5), textcoords="offset points", color=colour,
                ha="left" if below else "right", fontsize=7,
            )
        if default and rule == default[0] and (at := np.isclose(curve["guard_ms"], default[1])).any():
            axis.plot(
                x[at], y[at], "o", markersize=11, markerfacecolor="none", markeredgecolor=COLOURS["real"],
                linestyle="none", label="default",
            )
    axis.set(xlabel="peaks kept as windows (%)", ylabel="windows with a second spike (%)")
    axis.set_ylim(bottom=0)
    axis.margins(x=0.06, y=0.12)
    legend = axis.legend(
        loc="upper left", bbox_to_anchor=(1.01, 1), title="isolation rule;\nnumbers: guard (ms)", title_fontsize=7,
    )
    legend.set_alignment("left")
    return fig


def _panels(n: int) -> tuple[Figure, np.ndarray]:
    """A figure with ``n`` small panels (n,), four to a row, that share their axes; axis labels are the figure's."""
    columns = min(4, n)
    rows = -(-n // columns)
    fig, axes = _figure(rows, columns, 2.6 if n == 1 else 1.55 * rows + 0.4, sharex=True, sharey=True)
    for i, axis in enumerate(axes.flat[n:], n):
        axis.set_visible(False)
        axes.flat[i - columns].tick_params("x", labelbottom=True)
    for axis in axes.flat:
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(3, steps=[1, 2, 5, 10]))
        axis.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4, steps=[1, 2, 5, 10]))
    return fig, axes.flat[:n]


def window_density(time_ms: np.ndarray, groups: Mapping[str, np.ndarray], unit: str, bins: int = 60) -> Figure:
    """How often windows (n, samples) pass through a voltage at a time (samples,): a panel for each of ``groups``.

    The colour is the share of a group's windows in one of ``bins`` bins of voltage, on one logarithmic scale for all
    panels; the voltage axis leaves out the extremes of one window in two hundred, on either side.
    """
    fig, axes = _panels(len(groups))
    pooled = np.concatenate(list(groups.values()))
    low, high = -1.0, 1.0
    if len(pooled):
        low, high = np.quantile(pooled.min(axis=1), 0.005), np.quantile(pooled.max(axis=1), 0.995)
    edges = np.linspace(low, max(high, low + 1e-6), bins + 1)
    step = np.diff(time_ms).mean() if len(time_ms) > 1 else 1.0
    time_edges = np.r_[time_ms - step / 2, time_ms[-1] + step / 2]
    most = max((len(w) for w in groups.values()), default=0)
    norm = mpl.colors.LogNorm(100 / max(most, 10), 100 if most < 20 else 40)
    for axis, (name, windows) in zip(axes, groups.items()):
        counts = np.stack([np.histogram(column, edges)[0] for column in windows.T], axis=1)
        share = np.ma.masked_equal(100 * counts / max(len(windows), 1), 0)
        mesh = axis.pcolormesh(time_edges, edges, share, norm=norm, cmap="viridis", rasterized=True)
        axis.set_title(f"{name}  (n = {len(windows)})", fontweight="normal", fontsize=8)
    fig.colorbar(mesh, ax=list(axes), label="windows in a bin (%)", shrink=0.9, aspect=30, pad=0.015, format="{x:g}")
    fig.supxlabel("time from trough (ms)", fontsize=8)
    fig.supylabel(_voltage(unit), fontsize=8)
    return fig


def mean_sd(
    time_ms: np.ndarray, groups: Mapping[str, np.ndarray], unit: str, made: Mapping[str, np.ndarray] | None = None,
    model: str = "",
) -> Figure:
    """Mean ± standard deviation of the windows (n, samples) of each of ``groups``, a panel each.

    With ``made``, those that ``model`` generated for the same groups are drawn over them.
    """
    fig, axes = _panels(len(groups))
    sources = [("real", groups), *([(model, made)] if made else [])]
    for axis, name in zip(axes, groups):
        axis.axhline(0, color="0.85", linewidth=0.8, zorder=0)
        for source, by_group in sources:
            windows = by_group[name]
            if len(windows):
                mean, sd = windows.mean(axis=0), windows.std(axis=0)
                axis.fill_between(time_ms, mean - sd, mean + sd, color=COLOURS[source], alpha=0.22, linewidth=0)
                axis.plot(time_ms, mean, color=COLOURS[source], linewidth=1.4, label=LABELS[source])
        axis.set_title(f"{name}  (n = {len(groups[name])})", fontweight="normal", fontsize=8)
    if made:
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    fig.supxlabel("time from trough (ms)", fontsize=8)
    fig.supylabel(_voltage(unit) + ", mean ± SD", fontsize=8)
    return fig


def training_curves(history: Mapping[str, np.ndarray], validation: np.ndarray, best_step: int, model: str) -> Figure:
    """Losses, the discriminator's answers, learning rates and validation score (looks, 2: step, score) over steps.

    ``history`` maps the columns of ``history.csv`` to arrays (rows,), NaN where a stage does not record one; with the
    columns ``nll`` and ``kl`` a first panel shows the terms of the ELBO.
    """
    step, colour = history["step"], COLOURS[model]
    elbo = "nll" in history
    fig, axes = _figure(1, 5 if elbo else 4, 2.4)
    axes = list(axes[0])
    for axis in axes:
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(2))
        axis.set_xlabel("step")
    if elbo:
        first = axes.pop(0)
        first.plot(step, history["nll"], color=colour, label="$-\\log p(x|z)$")
        first.plot(step, history["kl"], color=COLOURS["real"], linestyle="--", label="KL")
        first.set(title="ELBO (nats)", yscale="symlog")
    axes[0].plot(step, history["d_loss"], color=COLOURS["real"], label="discriminator")
    axes[0].plot(step, history["g_loss"], color=colour, label="generator")
    axes[0].set(title="loss")
    axes[1].plot(step, history["d_real"], color=COLOURS["real"], label="real")
    axes[1].plot(step, history["d_fake"], color=colour, label="generated")
    axes[1].axhline(0.5, color="0.7", linewidth=0.8, zorder=0)
    axes[1].set(title="D says real", ylim=(0, 1))
    axes[2].plot(step, history["d_learning_rate"], color=COLOURS["real"], label="discriminator")
    axes[2].plot(step, history["g_learning_rate"], color=colour, label="generator")
    axes[2].set(title="learning rate", yscale="log")
    axes[3].plot(*validation.T, color=colour, marker="o", markersize=3, label="validation")
    axes[3].axvline(best_step, color=DROPPED, linestyle="--", linewidth=1, label="kept")
    axes[3].axhline(0.5, color="0.7", linewidth=0.8, zorder=0)
    axes[3].set(title="C2ST AUC")
    for axis in [first, *axes] if elbo else axes:
        handles, names = axis.get_legend_handles_labels()
        axis.legend(handles, names, loc="upper center", bbox_to_anchor=(0.5, -0.28), handlelength=1.2)
    return fig


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
    fig.supylabel(_voltage(unit), fontsize=8)
    return fig


def _ramp(model: str, n: int) -> list[tuple[float, float, float]]:
    """``n`` shades of the colour of ``model``, from light to dark."""
    light, own = sns.light_palette(COLOURS[model], 10)[4], COLOURS[model]
    return [tuple(c[:3]) for c in sns.blend_palette([light, own, sns.dark_palette(own, 10)[3]], n)]


def positional_encoding(encoding: np.ndarray) -> Figure:
    """The positional encoding (tokens, width), and the cosine between any two of its rows."""
    fig, (axes,) = _figure(1, 2, 2.4, width_ratios=[2.2, 1])
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
    fig, axes = _figure(
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
                maps[b, h], extent=(low, high, high, low), vmin=0, vmax=maps.max(), cmap="viridis", aspect="auto",
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
    fig, (axes,) = _figure(1, steps, 1.8, sharex=True, sharey=True)
    for i, (axis, colour) in enumerate(zip(axes, _ramp(model, steps))):
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
    fig.supylabel(_voltage(unit), fontsize=8)
    return fig


def filmstrip(
    time_ms: np.ndarray, steps: np.ndarray, windows: np.ndarray, unit: str, model: str, panels: int = 8
) -> Figure:
    """What the same z become over training: windows (frames, n_z, samples) at ``steps`` (frames,), in some panels.

    Each z keeps its shade in all panels.
    """
    shown = np.unique(np.linspace(0, len(steps) - 1, panels).round().astype(int))
    fig, axes = _panels(len(shown))
    for axis, i in zip(axes, shown):
        for window, colour in zip(windows[i], _ramp(model, windows.shape[1])):
            axis.plot(time_ms, window, color=colour, linewidth=1.1)
        axis.set_title(f"step {steps[i]}", fontweight="normal", fontsize=8)
    fig.supxlabel("time from trough (ms)", fontsize=8)
    fig.supylabel(_voltage(unit), fontsize=8)
    return fig


def film(
    time_ms: np.ndarray, steps: np.ndarray, windows: np.ndarray, unit: str, model: str, frame_ms: int = 160,
    dpi: int = 100,
) -> bytes:
    """:func:`filmstrip` as a GIF: every frame in its turn, the first in grey behind it; the last one stands longer."""
    fig, ((axis,),) = _figure(1, 1, 3.0)
    axis.plot(time_ms, windows[0].T, color="0.85", linewidth=1)
    lines = [
        axis.plot(time_ms, window, color=colour, linewidth=1.3)[0]
        for window, colour in zip(windows[0], _ramp(model, windows.shape[1]))
    ]
    low, high = windows.min(), windows.max()
    room = 0.05 * (high - low)
    axis.set(xlabel="time from trough (ms)", ylabel=_voltage(unit), ylim=(low - room, high + room))
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
    return _gif(pictures, [len(pictures) - 1], [*[frame_ms] * (len(pictures) - 1), 10 * frame_ms])


def distance_to_train(distances: Mapping[str, np.ndarray]) -> Figure:
    """Share of windows within a distance of the nearest training window: a curve for each of ``distances`` (n,)."""
    fig, ((axis,),) = _figure(1, 1, 2.6)
    for source, d in distances.items():
        share = (np.arange(len(d)) + 0.5) / len(d)
        axis.plot(np.sort(d), share, color=COLOURS[source], label=LABELS[source], linewidth=1.5)
    axis.set(xlabel="distance to the nearest training window (z-scores)", ylabel="share of windows")
    axis.set(ylim=(0, 1), xlim=(0, None))
    axis.legend(loc="lower right")
    return fig


UNIT_COLOURS = ("#332288", "#DDCC77", "#117733", "#CC6677", "#88CCEE", "#882255", "#44AA99", "#AA4499")
"""Colours of single units (Tol 2021, "muted"), which stand neither for real windows nor for a model."""
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

    fig, ((axis,),) = _figure(1, 1, 3.1)
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
        axis.add_patch(mpl.patches.FancyBboxPatch(
            (at - wide / 2, -box[1] / 2), wide, box[1], boxstyle="round,pad=0,rounding_size=0.04", linewidth=1,
            edgecolor=COLOURS["real"], facecolor=mpl.colors.to_rgba(COLOURS["real"], 0.12),
        ))
        axis.text(at, 0, label, ha="center", va="center", fontsize=size, linespacing=1.25)
        axis.text(at, -box[1] / 2 - 0.05, shape, ha="center", va="top", fontsize=size - 0.5, color="0.35")
    top = max(tops) + 0.1
    for name, first, last in (("encoder", 0, waist - 1), ("decoder", waist + 1, n - 1)):
        if first <= last:
            axis.text(
                (x[first] + x[last]) / 2, top, name, ha="center", va="bottom", fontsize=8, fontweight="bold",
                color=colours[first],
            )
    bottom = -tallest / 2 - 0.45
    axis.text(x[0] - bar / 2, bottom, "height of a bar ∝ √(number of values)", va="bottom", fontsize=6.5, color="0.35")
    axis.set(xlim=(0, fig.get_figwidth()), ylim=(bottom, top + 0.18))
    axis.axis("off")
    return fig


def elbo(history: Mapping[str, np.ndarray], per_epoch: float) -> Figure:
    """Stage 1 over epochs: the two terms of −ELBO, their sum, and the learned noise scale s.

    ``history`` maps ``step``, ``nll`` and ``kl`` (nats) and ``noise`` (z-scores) to arrays (rows,); rows where ``nll``
    is NaN are of stage 2 and left out. ``per_epoch``: steps of an epoch.
    """
    stage = np.isfinite(history["nll"])
    epoch, nll, kl, noise = (np.asarray(history[k], float)[stage] for k in ("step", "nll", "kl", "noise"))
    fig, (axes,) = _figure(1, 4, 1.9, sharex=True)
    for axis, values, title, unit in zip(
        axes, (nll, kl, nll + kl, noise),
        ("reconstruction, $-\\log p(x|z)$", "KL from the prior", "their sum, $-$ELBO", "learned noise scale $s$"),
        ("nats", "nats", "nats", "z-scores"),
    ):
        axis.plot(
            epoch / per_epoch, values, color=COLOURS["vae_gan"], marker="o" if len(values) < 10 else None, markersize=3,
        )
        axis.set_title(title, fontweight="normal", fontsize=8)
        axis.set(xlabel="epoch", ylabel=unit)
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
        axis.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5))
    return fig


def latent_usage(kl: Mapping[str, np.ndarray], active: Mapping[str, int]) -> Figure:
    """KL (latent,) of each latent number in nats, from most to least, for each moment of the training.

    ``active``: moment → how many latent numbers carry something of the window. What is below 0.001 nats lies on the
    axis.
    """
    fig, ((axis,),) = _figure(1, 1, 2.6)
    shades = [_ramp("vae_gan", 3)[0], COLOURS["vae_gan"]]
    for (moment, values), colour, linewidth in zip(kl.items(), shades, (2.2, 1.4)):
        shown = np.sort(np.maximum(values, LEAST_KL))[::-1]
        axis.plot(
            np.arange(1, len(shown) + 1), shown, color=colour, linewidth=linewidth, drawstyle="steps-mid",
            marker="o" if len(shown) <= 16 else None, markersize=4, clip_on=False, zorder=3,
            label=f"{moment}: {active[moment]} of {len(shown)} active",
        )
    axis.set(
        xlabel="latent number, from most to least used", ylabel="KL from the prior (nats)", yscale="log",
        xlim=(0.5, max(map(len, kl.values())) + 0.5), ylim=(LEAST_KL, None),
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
    fig, axes = _figure(3, 1 + both, 5.8, height_ratios=[1, 1, 0.05])
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
        mpl.cm.ScalarMappable(norm, "viridis"), cax=axes[2, 0], label=f"amplitude ({UNITS[unit]})",
        orientation="horizontal", extend="both" if n > 1 else "neither",
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
            loc="upper center", bbox_to_anchor=(0.5, 1.6), ncols=3, title="unit  (windows)", title_fontsize=7,
            handletextpad=0.2, columnspacing=1.4,
        )
        legend.set_alignment("left")
    return fig


def traversals(
    time_ms: np.ndarray, windows: np.ndarray, values: np.ndarray, names: Sequence[str], unit: str,
    model: str = "vae_gan",
) -> Figure:
    """What a latent number does: windows (k, steps, samples) as it takes ``values`` (steps,), light to dark.

    A panel for each of the ``names`` (k,); all other latent numbers are 0.
    """
    fig, axes = _panels(len(windows))
    shades = _ramp(model, len(values))
    for axis, name, steps in zip(axes, names, windows):
        for window, colour in zip(steps, shades):
            axis.plot(time_ms, window, color=colour, linewidth=1.1)
        axis.set_title(name.replace(": ", ":\n"), fontweight="normal", fontsize=7.5)
    key = mpl.cm.ScalarMappable(mpl.colors.Normalize(-0.5, len(values) - 0.5), mpl.colors.ListedColormap(shades))
    ticks = np.unique(np.linspace(0, len(values) - 1, min(len(values), 9)).round().astype(int))
    bar = fig.colorbar(
        key, ax=list(axes), label="value of the latent number\n(SD of the prior)", shrink=0.9, aspect=25, pad=0.015,
        ticks=ticks,
    )
    bar.ax.set_yticklabels([f"{values[i]:.3g}".replace("-", "−") for i in ticks])
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
    fig.supxlabel("time from trough (ms)", fontsize=8)
    fig.supylabel(_voltage(unit), fontsize=8)
    return fig


def reconstructions(
    time_ms: np.ndarray, real: np.ndarray, reconstructed: np.ndarray, noise: float | None, unit: str,
    model: str = "vae_gan",
) -> Figure:
    """The first four windows (n, samples) and their reconstructions above, what is left of them below.

    With ``noise``, the standard deviation of the noise before any model, a band of ± as much lies behind the rest.
    """
    n = min(4, len(real))
    fig, axes = _figure(2, n, 3.2, sharex=True, sharey="row", height_ratios=[1.5, 1])
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
    axes[0, 0].set_ylabel(_voltage(unit))
    axes[1, 0].set_ylabel(f"residual ({UNITS[unit]})")
    fig.align_ylabels(axes[:, 0])
    handles, names = (sum(both, []) for both in zip(*(axis.get_legend_handles_labels() for axis in axes[:, 0])))
    fig.legend(handles, names, loc="outside upper right", ncols=4)
    fig.supxlabel("time from trough (ms)", fontsize=8)
    return fig


ABLATED = {"c2st_auc": "C2ST AUC", "coverage": "coverage"}
"""What the ablation shows of each variant, and its name."""


def ablation(rows: Sequence[Mapping], verdicts: Mapping[tuple[str, str], str]) -> Figure:
    """Scores of every variant of an ablation: a row for each, a pair of panels for each recording, a dot for each seed.

    Parameters
    ----------
    rows
        Of :func:`meagan_lib.ablation.load`; the variant ``reach`` gives the dashed lines.
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
    fig, (axes,) = _figure(1, 2 * len(recordings), 0.9 + 0.145 * height, sharey=True)
    colours = {
        "helps": "#009E73", "hurts": DROPPED, "not significant": "0.6", "diverges": DROPPED, "": COLOURS["real"],
    }
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
                    0.98, y, f"{lost} × diverged", color=colour, fontsize=6, ha="right", va="center",
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
                recording, (0, 1), (0, 20), xycoords="axes fraction", textcoords="offset points", fontweight="bold",
                fontsize=9,
            )
    axes[0].set_yticks(list(places.values()), list(places), fontsize=7)
    for group, y in headings.items():
        axes[0].annotate(
            group, (0, y), (-4, 0), xycoords=axes[0].get_yaxis_transform(), textcoords="offset points", ha="right",
            va="center", fontweight="bold", fontsize=7,
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


HALF = (0.39, 0.3)
"""Half the width and half the height of a box of :func:`architecture`; boxes are 1 apart."""
SHAPE_ROOM = 0.32
"""Height of the words below a box."""


def _box(axis: Axes, x: float, y: float, label: str, shape: str, colour: str, shade: float) -> None:
    """A box around ``label``, with ``shape`` below it."""
    w, h = HALF
    axis.add_patch(mpl.patches.FancyBboxPatch(
        (x - w, y - h), 2 * w, 2 * h, boxstyle="round,pad=0,rounding_size=0.06", linewidth=1, edgecolor=colour,
        facecolor=mpl.colors.to_rgba(colour, shade),
    ))
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
    fig, axes = _figure(len(shapes), 1, 0.75 * sum(heights) + 0.25 * len(shapes), height_ratios=heights)
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


def _drawn(sources: Iterable[str]) -> list[str]:
    """Sources in the order in which to draw them: the models of the thesis last, above their rivals."""
    return sorted(sources, key=["transformer_gan", "vae_gan"].__contains__)


def _legend(fig: Figure, sources: Sequence[str]) -> None:
    lines = [Line2D([], [], color=COLOURS[s], linewidth=2, label=LABELS[s]) for s in sources]
    fig.legend(handles=lines, loc="outside lower center", ncols=min(len(lines), 5))


def feature_marginals(features: Mapping[str, Mapping[str, np.ndarray]], unit: str) -> Figure:
    """Histograms of shape features (n,): source → feature → values, as ``features.shape_features`` names them."""
    names = {
        "trough": f"trough ({UNITS[unit]})", "peak_to_peak": f"peak to peak ({UNITS[unit]})",
        "trough_to_peak_ms": "trough to peak (ms)", "half_width_ms": "half-width (ms)",
        "fall": f"steepest fall ({UNITS[unit]}/ms)", "rise": f"steepest rise ({UNITS[unit]}/ms)",
    }
    fig, axes = _figure(2, 3, 3.8)
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
        for source in _drawn(features):
            filled = source == "real"
            axis.hist(
                features[source][feature], bins, density=True, color=COLOURS[source],
                histtype="stepfilled" if filled else "step", alpha=0.25 if filled else 1.0,
                linewidth=1.2 if len(features) < 6 else 0.8,
            )
        axis.set(xlabel=label, yticks=[])
    fig.supylabel("density", fontsize=8)
    _legend(fig, list(features))
    return fig


def spectra(
    frequency_hz: np.ndarray, power: Mapping[str, np.ndarray], middle: np.ndarray, floor: np.ndarray, unit: str
) -> Figure:
    """Mean power (frequencies,) by source, and log-ratio to the real one.

    Bands: to the left ``middle`` (2, frequencies), between which lie 90 % of the single real windows; to the right ±
    ``floor`` (frequencies,), the differences between two random halves of them.
    """
    fig, (axes,) = _figure(1, 2, 2.8)
    khz = frequency_hz / 1000
    axes[0].fill_between(khz, *middle, color=COLOURS["real"], alpha=0.12, linewidth=0)
    for source in _drawn(power):
        axes[0].semilogy(khz, power[source], color=COLOURS[source])
        if source != "real":
            axes[1].plot(khz, np.log(power[source] / power["real"]), color=COLOURS[source])
    axes[1].fill_between(khz, -floor, floor, color=COLOURS["real"], alpha=0.2, linewidth=0)
    axes[1].axhline(0, color=COLOURS["real"], linewidth=0.8)
    axes[0].set(xlabel="frequency (kHz)", ylabel=f"mean power ({UNITS[unit]}²)")
    axes[1].set(xlabel="frequency (kHz)", ylabel="log power, difference from real")
    _legend(fig, list(power))
    return fig


def _over_real(places: Mapping[str, np.ndarray]) -> tuple[Figure, np.ndarray]:
    """A panel for each model: its windows' places (n, 2) over those of the real windows; at most four to a row."""
    models = [source for source in places if source != "real"]
    columns = min(4, len(models))
    rows = -(-len(models) // columns)
    fig, axes = _figure(rows, columns, rows * WIDTH / max(columns, 3) + 0.3, sharex=True, sharey=True)
    for i, axis in enumerate(axes.flat[len(models) :], len(models)):
        axis.set_visible(False)
        axes.flat[i - columns].tick_params("x", labelbottom=True)
    for axis, model in zip(axes.flat, models):
        for source in ("real", model):
            axis.scatter(*places[source].T, s=3, color=COLOURS[source], alpha=0.35, linewidths=0, rasterized=True)
        axis.set_title(LABELS[model], fontsize=8, color=COLOURS[model])
    dot = Line2D([], [], linestyle="", marker="o", markersize=3, color=COLOURS["real"], label=LABELS["real"])
    fig.legend(handles=[dot], loc="outside upper right")
    return fig, axes


def pca(scores: Mapping[str, np.ndarray], explained: np.ndarray) -> Figure:
    """First two principal components (n, 2) of each source; one panel for each model over the real windows."""
    fig, _ = _over_real(scores)
    fig.supxlabel(f"component 1 ({explained[0]:.0%} of variance)", fontsize=8)
    fig.supylabel(f"component 2 ({explained[1]:.0%})", fontsize=8)
    return fig


def embedding(places: Mapping[str, np.ndarray]) -> Figure:
    """Places (n, 2) of the windows of each source on one map of neighbours; its axes have no unit."""
    fig, axes = _over_real(places)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    fig.supxlabel("t-SNE 1 (no unit)", fontsize=8)
    fig.supylabel("t-SNE 2 (no unit)", fontsize=8)
    return fig


BETTER, WORST = -3.0, 300.0
"""Where the axis of an excess ends; what lies beyond stands on the end, hollow."""


def scores(
    excess: Mapping[str, Mapping[str, tuple[float, float, float]]], families: Mapping[str, Mapping[str, str]]
) -> Figure:
    """Forest plot: how far each model lies over the floor on each metric, with its interval.

    Parameters
    ----------
    excess
        Model → metric → how much worse than the floor, and the two ends of its interval, where 1 is as far as sampling
        and drift reach. The reach is one of the models.
    families
        Family → metric → its name in words: the rows, in their order.
    """
    models, heading, line = list(excess), 0.24, 0.055
    row = 0.1 + line * len(models)
    heights = [heading + row * len(metrics) for metrics in families.values()]
    tallest, split = min((max(sum(heights[:i]), sum(heights[i:])), i) for i in range(1, len(heights) + 1))
    columns = [list(families)[:split], list(families)[split:]]
    every = [value for by in excess.values() for values in by.values() for value in values]
    low, high = np.clip(1.2 * min(every), BETTER, -1.2), np.clip(1.3 * max(every), 10, WORST)
    fig, (axes,) = _figure(1, 2, tallest + 0.8, sharex=True)
    for axis, column in zip(axes, columns):
        y, ticks = 0.0, {}
        for family in column:
            axis.annotate(
                family, (0, y + 0.6 * heading), (-4, 0), xycoords=axis.get_yaxis_transform(), fontsize=7,
                textcoords="offset points", ha="right", va="center", fontweight="bold",
            )
            y += heading
            for metric, label in families[family].items():
                ticks[label] = y + row / 2
                axis.axhline(y, color="0.93", linewidth=0.6, zorder=0)
                for i, model in enumerate(models):
                    value, *ends = np.clip(excess[model][metric], low, high)
                    at, (_, colour, marker) = y + row / 2 + line * (i - (len(models) - 1) / 2), SOURCES[model]
                    axis.plot(ends, [at, at], color=colour, linewidth=1)
                    axis.plot(
                        value, at, marker, color=colour, markersize=3.5, markeredgewidth=0.7, clip_on=False,
                        markerfacecolor=colour if value == excess[model][metric][0] else "white",
                    )
                y += row
        axis.set_yticks(list(ticks.values()), list(ticks))
        axis.set_ylim(tallest, 0)
        axis.tick_params("y", length=0)
        axis.spines["left"].set_visible(False)
        axis.set_xscale("symlog", linthresh=1, linscale=0.8)
        shown = [tick for tick in (-1, 0, 1, 10, 100) if tick <= high]
        axis.set(xlim=(low, high), xticks=shown, xticklabels=[f"{tick}".replace("-", "−") for tick in shown])
        axis.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        axis.axvspan(low, 1, color=COLOURS["real"], alpha=0.08, linewidth=0, zorder=0)
        axis.axvline(0, color=COLOURS["real"], linewidth=0.8, zorder=1)
        axis.set_xlabel("worse than the floor  (0: floor; 1: as far as\nsampling and drift reach)")
    _marked(fig, {model: LABELS[model] for model in models}, loc="outside upper right", ncols=min(len(models), 5))
    return fig


def seed_by_seed(
    differences: Mapping[str, Mapping[int, float]], found: Mapping[str, Paired], models: tuple[str, str],
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
    fig, ((axis,),) = _figure(1, 1, 0.2 * len(found) + 0.9)
    reach = max((abs(x) for pair in found.values() for x in pair.interval if np.isfinite(x)), default=0.0)
    reach = 1.15 * max([reach, 1.0] + [abs(d) for by in differences.values() for d in by.values()])
    for sign, model in zip((-1, 1), models):
        axis.axvspan(*sorted((0, sign * reach)), color=COLOURS[model], alpha=0.07, linewidth=0, zorder=0)
        axis.annotate(
            f"{LABELS[model]} is nearer", (sign * reach, 1), (-4 * sign, 3), xycoords=axis.get_xaxis_transform(),
            textcoords="offset points", ha="left" if sign < 0 else "right", va="bottom", color=COLOURS[model], fontsize=8,
        )
    for y, (metric, pair) in enumerate(found.items()):
        colour = COLOURS[models[int(pair.difference > 0)]]
        for value in differences[metric].values():
            axis.plot(value, y, "o", color=COLOURS[models[int(value > 0)]], alpha=0.5, markersize=3.5, markeredgewidth=0)
        if pair.n > 1:
            axis.plot(pair.interval, (y, y), color=colour, linewidth=1.4)
            axis.plot(pair.difference, y, "|", color=colour, markersize=9, markeredgewidth=1.6)
        if np.isfinite(pair.p):
            said = f"g = {pair.hedges_g:+.1f},  {told_p(pair.p)}"
            said = (said + f",  {told_p(pair.q, 'q')}" * bool(np.isfinite(pair.q))).replace("-", "−")
            bold = "bold" if pair.q < SIGNIFICANT else "normal"
            axis.annotate(
                said, (1.01, y), xycoords=axis.get_yaxis_transform(), fontsize=7, va="center", fontweight=bold,
            )
    axis.axvline(0, color=COLOURS["real"], linewidth=0.8)
    axis.set(xlim=(-reach, reach), ylim=(len(found) - 0.5, -0.5), yticks=range(len(found)), yticklabels=list(found))
    axis.set_xlabel("difference of excess over the floor  (1: as far as sampling and drift reach)")
    axis.tick_params("y", length=0)
    axis.spines["left"].set_visible(False)
    return fig


def _marked(fig: Figure, labels: Mapping[str, str], **options) -> None:
    """A legend of markers for sources, with the labels given; ``options`` are those of the legend."""
    handles = [
        Line2D([], [], linestyle="", marker=SOURCES[s].marker, color=COLOURS[s], markersize=4.5, label=label)
        for s, label in labels.items()
    ]
    fig.legend(handles=handles, **options)


def planted_failures(
    excess: np.ndarray, flagged: np.ndarray, failures: Sequence[str], metrics: Sequence[str]
) -> Figure:
    """Which metric sees which failure: ``excess`` and ``flagged`` (failures, metrics), a dark cell where it is flagged.

    The number in a cell is the excess over the floor, where 1 is as far as sampling and drift reach.
    """
    fig, ((axis,),) = _figure(1, 1, 0.21 * len(metrics) + 0.9)
    shade = np.where(flagged, np.log10(np.clip(excess, 1, 100)) + 0.3, 0).T
    axis.imshow(shade, cmap="Blues", vmin=0, vmax=3, aspect="auto")
    for (row, column), value in np.ndenumerate(excess.T):
        seen = flagged.T[row, column]
        words = f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}"
        axis.text(
            column, row, words.replace("-", "−"), ha="center", va="center", fontsize=6.5,
            color="black" if seen else "0.6", fontweight="bold" if seen else "normal",
        )
    whole = [name.replace(" %", "\u00a0%").replace("× ", "×\u00a0") for name in failures]
    axis.set_xticks(range(len(failures)), [textwrap.fill(name, 12) for name in whole])
    axis.set_yticks(range(len(metrics)), metrics)
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_xticks(np.arange(len(failures) + 1) - 0.5, minor=True)
    axis.set_yticks(np.arange(len(metrics) + 1) - 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=1.5)
    axis.tick_params(which="minor", length=0)
    return fig


def density_coverage(points: Mapping[str, Mapping[str, tuple[float, float, float]]]) -> Figure:
    """Fidelity against variety: source → ``density`` and ``coverage``, each a value and the ends of its interval.

    The source ``real`` is the floor, drawn as the box of its two intervals.
    """
    fig, ((axis,),) = _figure(1, 1, 3.2)
    (_, left, right), (_, low, high) = points["real"]["density"], points["real"]["coverage"]
    axis.add_patch(mpl.patches.Rectangle(
        (left, low), right - left, high - low, facecolor=COLOURS["real"], alpha=0.15, linewidth=0,
    ))
    for source in _drawn(points):
        (x, *across), (y, *along) = points[source]["density"], points[source]["coverage"]
        colour = COLOURS[source]
        axis.plot(across, [y, y], color=colour, linewidth=1)
        axis.plot([x, x], along, color=colour, linewidth=1)
        axis.plot(x, y, SOURCES[source].marker, color=colour, markersize=6)
    axis.axvline(1, color="0.7", linewidth=0.8, linestyle=":", zorder=0)
    axis.set(xlabel="density  (below the floor: odd windows; above: kinds drawn in to their middle)", ylabel="coverage")
    axis.set_xlim(left=0)
    axis.set_ylim(top=1.01)
    labels = {source: LABELS[source] for source in points} | {"real": "floor: test A, B"}
    _marked(fig, labels, loc="outside right upper")
    return fig


def memorisation(distances: Mapping[str, np.ndarray]) -> Figure:
    """Distances (n,) to the nearest training window of each source, of which ``real`` is what new windows have.

    Left: their distribution. Right: the share of generated windows that is nearer than a given share of the real ones;
    copies rise steeply, new windows follow the diagonal.
    """
    fig, (axes,) = _figure(1, 2, 2.9)
    real = np.sort(distances["real"])
    for source in _drawn(distances):
        d = np.sort(distances[source])
        axes[0].plot(d, (np.arange(len(d)) + 0.5) / len(d), color=COLOURS[source], linewidth=1.5)
        if source != "real":
            nearer = np.r_[0, np.searchsorted(d, real) / len(d), 1]
            share = np.r_[0, (np.arange(len(real)) + 0.5) / len(real), 1]
            axes[1].plot(share, nearer, color=COLOURS[source], linewidth=1.5, clip_on=False)
    positive = np.concatenate(list(distances.values()))
    positive = positive[positive > 0]
    axes[0].set(
        xlabel="distance to the nearest training window (z-scores)", ylabel="share of windows", xscale="log",
        ylim=(0, 1), xlim=(np.quantile(positive, 0.001), positive.max()),
    )
    axes[0].xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axes[0].xaxis.set_major_formatter("{x:g}")
    axes[0].xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axes[1].plot([0, 1], [0, 1], color=COLOURS["real"], linewidth=0.8, zorder=0)
    axes[1].set(
        xlabel="share of real windows (test) that is nearer", ylabel="share of generated windows", xlim=(0, 1),
        ylim=(0, 1), aspect="equal",
    )
    _legend(fig, list(distances))
    return fig


def moment_matching(
    ends: Mapping[str, Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float]]]],
    floors: Mapping[str, tuple[float, float, float]],
) -> Figure:
    """Each network without and with moment matching, a panel for each score.

    Parameters
    ----------
    ends
        Score in words → model → value and the ends of its interval, without and with.
    floors
        Score in words → floor and the ends of its interval.
    """
    models = list(next(iter(ends.values())))
    fig, (axes,) = _figure(1, len(ends), 0.34 * len(models) + 1.1, sharey=True)
    for axis, (label, by_model) in zip(axes, ends.items()):
        axis.axvspan(*floors[label][1:], color=COLOURS["real"], alpha=0.12, linewidth=0)
        axis.axvline(floors[label][0], color=COLOURS["real"], linewidth=0.8)
        for y, model in enumerate(models):
            _, colour, marker = SOURCES[model]
            for (value, *interval), shift, face in zip(by_model[model], (-0.13, 0.13), (colour, "white")):
                axis.plot(interval, [y + shift, y + shift], color=colour, linewidth=1)
                axis.plot(value, y + shift, marker, color=colour, markerfacecolor=face, markersize=5)
        axis.set(title=label, yticks=range(len(models)), yticklabels=[LABELS[model] for model in models])
        axis.tick_params("y", length=0)
    axes[0].set_ylim(len(models) - 0.5, -0.5)
    handles = [
        Line2D([], [], color="0.3", marker="o", linestyle="", markerfacecolor=face, label=f"{word} moment matching")
        for word, face in (("without", "0.3"), ("with", "white"))
    ]
    handles.append(mpl.patches.Patch(color=COLOURS["real"], alpha=0.3, label="floor, 95 %"))
    fig.legend(handles=handles, loc="outside lower center", ncols=3)
    return fig


def cost_quality(
    cost: Mapping[str, float], quality: Mapping[str, tuple[float, float, float]], floor: tuple[float, float, float],
    reach: float, label: str,
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
    fig, ((axis,),) = _figure(1, 1, 3.0)
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
    "alone": (COLOURS["real"], "-", ""), "classical": (DROPPED, "-", "D"), "gaussian": (COLOURS["gaussian"], "-", "^"),
    "transformer_gan": (COLOURS["transformer_gan"], "-", "o"), "vae_gan": (COLOURS["vae_gan"], "-", "s"),
    "flow_matching": (COLOURS["flow_matching"], "-", "P"), "pretrained_vae_gan": (COLOURS["vae_gan"], "--", "s"),
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
        Of :func:`meagan_lib.augmentation.load`; the generator ``alone`` is the real windows alone.
    verdicts
        (recording, generator, n) → ``helps``, ``hurts`` or ``not significant``: the first two are filled markers.
    labels
        Of the generators.
    """
    recordings = list(dict.fromkeys(row["data"] for row in rows))
    names = [name for name in labels if any(row["generator"] == name for row in rows)]
    fig, axes = _figure(2, len(recordings), 5.2, sharex=True, sharey="row")
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
                    x, np.mean(values), marker, color=colour, markersize=4.5, zorder=3,
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
            words, (1, place), (4, 0), xycoords="axes fraction", textcoords="offset points", va=vertical, rotation=90,
            fontsize=7, color="0.4",
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

    ``rows`` of :func:`meagan_lib.augmentation.load`. The floor is chance, one over the number of units.
    """
    recordings = list(dict.fromkeys(row["data"] for row in rows))
    names = [name for name in labels if name != "alone" and any(row["generator"] == name for row in rows)]
    fig, axes = _figure(len(sizes), len(recordings), 0.8 + len(sizes) * (0.5 + 0.24 * len(names)), sharex=True, sharey=True)
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
                Line2D([], [], linestyle="", marker=marker, color="0.4", markerfacecolor=face, markersize=4, label=label)
                for label, (marker, face) in kinds.items()
            ),
            Line2D([], [], color=COLOURS["real"], linewidth=1, label="TRTR: real to real"),
            Line2D([], [], color=COLOURS["real"], linewidth=1, linestyle=":", label="floor: chance"),
        ],
        loc="outside lower center", ncols=2,
    )
    return fig


def among_real(
    time_ms: np.ndarray, real: np.ndarray, window: np.ndarray, model: str, unit: str, encoded: np.ndarray | None = None
) -> Figure:
    """A synthetic window (samples,) before real ones (n, samples), of which the nearest is dark; and, dashed, the real
    window that was ``encoded`` where it came from one."""
    fig, ((axis,),) = _figure(1, 1, 3.2)
    shown = real[:60]
    axis.plot(time_ms, shown.T, color=COLOURS["real"], linewidth=0.4, alpha=0.2)
    nearest = real[np.square(real - window).sum(axis=1).argmin()]
    axis.plot(time_ms, nearest, color=COLOURS["real"], linewidth=0.8, label="nearest real window")
    if encoded is not None:
        axis.plot(time_ms, encoded, color=COLOURS["real"], linewidth=1.2, linestyle="--", label="encoded real window")
    axis.plot(time_ms, window, color=COLOURS[model], linewidth=1.8, label=LABELS[model])
    low, high = shown.min(), shown.max()
    margin = 0.15 * (high - low)
    axis.set(xlabel="time from trough (ms)", ylabel=_voltage(unit), ylim=(low - margin, high + margin))
    axis.margins(x=0)
    fig.legend(*axis.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return fig


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
    return _gif(pictures, [0, n // 2, n - 1], [*[frame_ms] * (n - 1), 10 * frame_ms])


GROUPS = ("#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#3C3C3C")
"""Colours of groups and communities, from the largest; those beyond, and none, are light grey."""
IN_BURST = "#E69F00"
QUIET = "0.35"


def _group_colours(group: np.ndarray) -> np.ndarray:
    """Colour RGBA (n, 4) of each group int (n,)."""
    palette = mpl.colors.to_rgba_array([*GROUPS, BLANK])
    group = np.asarray(group)
    return palette[np.where((group >= 0) & (group < len(GROUPS)), group, len(GROUPS))]


def raster(
    time_s: np.ndarray, electrode: np.ndarray, in_burst: np.ndarray, n_electrodes: int, span_s: tuple[float, float],
    network_s: np.ndarray, planted_s: np.ndarray,
) -> Figure:
    """Spikes (n,) of each electrode over time, those in bursts coloured; below, the network's rate and its bursts.

    Parameters
    ----------
    time_s, electrode, in_burst
        (n,): when, on which electrode, and whether in a burst of that electrode.
    span_s
        From when to when.
    network_s, planted_s
        (bursts, 2): begin and end of the bursts of the network that were found, and of those that were planted, which
        may be none.
    """
    fig, ((above,), (below,)) = _figure(2, 1, 4.2, sharex=True, height_ratios=[2.4, 1])
    height = np.clip(0.6 * 0.62 * 4.2 * 72 / max(n_electrodes, 1), 0.8, 6)
    for mask, colour, label in ((~in_burst, QUIET, "spike"), (in_burst, IN_BURST, "spike in a burst of its electrode")):
        above.plot(
            time_s[mask], electrode[mask], "|", color=colour, markersize=height, markeredgewidth=0.6, label=label,
            rasterized=True,
        )
    def within(spans: np.ndarray) -> np.ndarray:
        return spans[(spans[:, 1] > span_s[0]) & (spans[:, 0] < span_s[1])]

    for axis in (above, below):
        for begin, end in within(network_s):
            axis.axvspan(begin, end, color=SERIES[2][0], alpha=0.22, linewidth=0, zorder=0)
    edges = np.arange(span_s[0], span_s[1] + 0.05, 0.05)
    rate = np.histogram(time_s, edges)[0] / 0.05
    below.stairs(rate, edges, color=COLOURS["real"], linewidth=0.9)
    top = 1.08 * max(rate.max(initial=0), 1)
    handles = [
        *(
            Line2D([], [], marker="|", linestyle="", markersize=7, markeredgewidth=1.4, color=colour, label=label)
            for colour, label in ((QUIET, "spike"), (IN_BURST, "spike in a burst of its electrode"))
        ),
        mpl.patches.Patch(color=SERIES[2][0], alpha=0.35, linewidth=0, label="burst of the network"),
    ]
    if len(planted_s):
        for begin, end in within(planted_s):
            below.plot([begin, end], [1.04 * top] * 2, color=SERIES[0][0], linewidth=3, solid_capstyle="butt")
        handles.append(Line2D([], [], color=SERIES[0][0], linewidth=3, label="planted"))
        top *= 1.1
    above.set(ylabel="electrode", ylim=(n_electrodes - 0.5, -0.5))
    above.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5, integer=True))
    below.set(xlabel="time (s)", ylabel="spikes / s, all", xlim=span_s, ylim=(0, top))
    below.yaxis.set_major_locator(mpl.ticker.MaxNLocator(3))
    fig.align_ylabels([above, below])
    fig.legend(handles=handles, loc="outside upper right", ncols=4, handlelength=1.4)
    return fig


def log_intervals(
    edges_ms: np.ndarray, share: np.ndarray, threshold_ms: np.ndarray, justified: np.ndarray, pooled_ms: np.ndarray,
    chance_ms: np.ndarray, pool: int, network_threshold_ms: float, network_justified: bool,
) -> Figure:
    """Histograms of log-intervals: of each electrode, and of the network, with what counts as a burst.

    Parameters
    ----------
    edges_ms, share
        (bins + 1,), and (electrodes, bins): share of an electrode's intervals in each bin; electrodes as they are to
        stand, from the top.
    threshold_ms, justified
        (electrodes,): longest interval within a burst, and whether a valley gave it.
    pooled_ms, chance_ms
        Times that ``pool`` spikes in a row took, whichever electrodes they were on, and the same of a network without
        a pattern.
    network_threshold_ms, network_justified
        As above.
    """
    fig, (axes,) = _figure(1, 2, 3.0)
    n = len(share)
    shown = np.ma.masked_equal(100 * share, 0)
    mesh = axes[0].pcolormesh(edges_ms, np.arange(n + 1) - 0.5, shown, cmap="Greys", rasterized=True, vmin=0)
    fig.colorbar(mesh, ax=axes[0], label="intervals of an electrode (%)", shrink=0.9)
    y = np.arange(n)
    for mask, fill, label in ((justified, IN_BURST, "valley"), (~justified, "none", "¼ of the mean, 100 ms at most")):
        axes[0].plot(
            threshold_ms[mask], y[mask], "o", markersize=3.4, markerfacecolor=fill, markeredgecolor=IN_BURST,
            markeredgewidth=0.8, label=label,
        )
    axes[0].set(
        xscale="log", xlabel="interval between spikes (ms)", ylabel="electrode, from the busiest",
        xlim=(edges_ms[0], edges_ms[-1]), ylim=(n - 0.5, -0.5),
    )
    axes[0].yaxis.set_major_locator(mpl.ticker.MaxNLocator(5, integer=True))
    pooled = np.concatenate([pooled_ms, chance_ms])
    positive = pooled[pooled > 0]
    low, high = (positive.min(), positive.max()) if len(positive) else (1.0, 10.0)
    bins = np.geomspace(low, max(high, 1.01 * low), 50)
    weight = lambda values: np.full(len(values), 100 / max(len(values), 1))  # noqa: E731
    axes[1].hist(pooled_ms, bins, weights=weight(pooled_ms), color=COLOURS["real"], alpha=0.3, label="recorded")
    axes[1].hist(
        chance_ms, bins, weights=weight(chance_ms), color=COLOURS["real"], histtype="step", linewidth=1,
        label="no pattern, same rates",
    )
    axes[1].axvline(
        network_threshold_ms, color=IN_BURST, linewidth=1.4, linestyle="-" if network_justified else "--",
        label="valley" if network_justified else "third of the mean",
    )
    axes[1].set(xscale="log", xlabel=f"time that {pool} spikes in a row take (ms)", ylabel="share (%)")
    axes[1].xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,), numticks=6))
    axes[1].xaxis.set_major_formatter("{x:g}")
    axes[1].xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    for axis in axes:
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.19), ncols=3, handlelength=1.3, columnspacing=1)
    return fig


def connectivity_matrix(
    coefficients: np.ndarray, connected: np.ndarray, community: np.ndarray, observed: np.ndarray, jittered: np.ndarray
) -> Figure:
    """STTC of every pair, electrodes ordered by community, and the coefficients beside those of jittered trains.

    Parameters
    ----------
    coefficients, connected
        (electrodes, electrodes), in order of ``community``: above the diagonal all of them, below it only those that
        are ``connected`` (bool).
    community
        int (electrodes,), ascending; −1, at the end, for none.
    observed, jittered
        (pairs,): coefficients of all pairs, of the trains and of one surrogate.
    """
    fig, (axes,) = _figure(1, 2, 3.1, width_ratios=[1.25, 1])
    n = len(coefficients)
    below = np.tril(np.ones((n, n), bool))
    shown = np.where(below & ~connected, np.nan, coefficients)
    np.fill_diagonal(shown, np.nan)
    limit = float(np.nanquantile(np.abs(observed), 0.995)) if np.isfinite(observed).any() else 1.0
    limit = limit or 1.0
    mesh = axes[0].imshow(shown, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    fig.colorbar(mesh, ax=axes[0], label="STTC", shrink=0.85, extend="both", ticks=mpl.ticker.MaxNLocator(5))
    start = 0
    for c in np.unique(community[community >= 0]):
        size = int((community == c).sum())
        colour = _group_colours(np.array([c]))[0]
        axes[0].add_patch(mpl.patches.Rectangle(
            (start - 0.5, start - 0.5), size, size, fill=False, edgecolor=colour, linewidth=1.6,
        ))
        start += size
    axes[0].set(xlabel="electrode, by community", ylabel="electrode, by community")
    axes[0].set_title("above: all pairs; below: connected", fontweight="normal", fontsize=8)
    for which in (axes[0].xaxis, axes[0].yaxis):
        which.set_major_locator(mpl.ticker.MaxNLocator(5, integer=True))
    axes[0].spines[:].set_visible(False)
    axes[0].set_facecolor("0.94")
    pooled = np.concatenate([observed, jittered])
    pooled = pooled[np.isfinite(pooled)]
    low, high = (pooled.min(), pooled.max()) if len(pooled) else (-1, 1)
    bins = np.linspace(low, max(high, low + 1e-6), 45)
    axes[1].hist(observed[np.isfinite(observed)], bins, color=COLOURS["real"], alpha=0.3, label="recorded")
    axes[1].hist(
        jittered[np.isfinite(jittered)], bins, color=COLOURS["real"], histtype="step", linewidth=1, label="jittered",
    )
    axes[1].set(xlabel="STTC of a pair", ylabel="pairs")
    axes[1].legend(loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=2)
    return fig


def network_graph(
    positions_um: np.ndarray | None, edges: np.ndarray, community: np.ndarray, degree: np.ndarray, hubs: np.ndarray,
    measures: Mapping[str, tuple[float, np.ndarray]],
) -> Figure:
    """Connected electrodes on the chip, and measures of the graph beside random graphs with the same degrees.

    Parameters
    ----------
    positions_um
        (electrodes, 2); None puts the electrodes on a circle.
    edges
        (edges, 2): pairs of connected electrodes.
    community, degree, hubs
        (electrodes,): colour, size, and which have a ring.
    measures
        Name → value of the graph, and (n,) those of random graphs.
    """
    n = len(degree)
    fig = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    left, right = fig.subfigures(1, 2, width_ratios=[1.6, 1])
    chip = left.subplots()
    if positions_um is None:
        turn = 2 * np.pi * np.arange(n) / max(n, 1)
        places = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        chip.axis("off")
    else:
        places = positions_um - positions_um.min(axis=0)
        chip.set(xlabel="x (µm)", ylabel="y (µm)")
    faint = float(np.clip(30 / np.sqrt(max(len(edges), 1)), 0.05, 0.8))
    chip.add_collection(mpl.collections.LineCollection(
        places[edges.reshape(-1, 2)], colors="0.45", linewidths=0.8, alpha=faint, zorder=1,
        rasterized=len(edges) > 2000,
    ))
    size = 14 + 90 * degree / max(degree.max(initial=0), 1)
    chip.scatter(*places.T, s=size, c=_group_colours(community), edgecolors="white", linewidths=0.6, zorder=2)
    chip.scatter(
        *places[hubs].T, s=1.9 * size[hubs] + 30, facecolors="none", edgecolors=COLOURS["real"], linewidths=1.2,
        zorder=3,
    )
    margin = 0.08 * max(np.ptp(places, axis=0).max(initial=0), 1e-3) if n else 1
    low, high = (places.min(axis=0), places.max(axis=0)) if n else (np.zeros(2), np.ones(2))
    chip.set(
        xlim=(low[0] - margin, high[0] + margin), ylim=(high[1] + margin, low[1] - margin), aspect="equal",
    )
    chip.set_title(f"{len(edges)} of {n * (n - 1) // 2} pairs are connected", fontweight="normal", fontsize=8)
    for which in (chip.xaxis, chip.yaxis):
        which.set_major_locator(mpl.ticker.MaxNLocator(4))
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=size, color=colour, markerfacecolor=fill, label=label)
        for size, colour, fill, label in (
            (5, GROUPS[0], GROUPS[0], "communities: colours"), (5, BLANK, BLANK, "no connection"),
            (9, COLOURS["real"], "none", "hub"),
        )
    ]
    left.legend(handles=handles, loc="outside lower center", ncols=3, handletextpad=0.2)
    for axis, (name, (value, random)) in zip(np.ravel(right.subplots(len(measures), 1)), measures.items()):
        spread = 0.25 * np.sin(2.4 * np.arange(len(random)))
        axis.plot(random, spread, "o", color="0.65", markersize=3.5, markeredgewidth=0, label="random graphs")
        if np.isfinite(value):
            axis.plot(value, 0, "D", color=COLOURS["real"], markersize=6, label="this graph")
        axis.set(ylim=(-0.6, 0.6), yticks=[])
        axis.set_title(name, fontweight="normal", fontsize=8)
        axis.spines["left"].set_visible(False)
        axis.margins(x=0.15)
        axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
    handles = [
        Line2D([], [], marker="D", linestyle="", markersize=5, color=COLOURS["real"], label="this graph"),
        Line2D([], [], marker="o", linestyle="", markersize=4, color="0.65", label="random, same degrees"),
    ]
    right.legend(handles=handles, loc="outside lower center", ncols=2, handletextpad=0.2)
    return fig


def memberships(
    membership: np.ndarray, n_groups: np.ndarray, indices: Mapping[str, np.ndarray], votes: Mapping[str, int]
) -> Figure:
    """Why there are so many groups, and how much each electrode belongs to each.

    Parameters
    ----------
    membership
        (electrodes, groups), rows with sum 1.
    n_groups
        (k,): the numbers of groups that were tried.
    indices, votes
        Name of an index → its values (k,), and the number that it prefers.
    """
    fig = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    left, right = fig.subfigures(1, 2, width_ratios=[1, 1.5])
    axes = np.ravel(left.subplots(len(indices), 1, sharex=True))
    for axis, (name, values) in zip(axes, indices.items()):
        shown = np.where(np.abs(values) < 1e3, values, np.nan)  # groups that coincide
        axis.plot(n_groups, shown, "o-", color=COLOURS["real"], markersize=3.5)
        best = np.flatnonzero(n_groups == votes[name])
        axis.plot(n_groups[best], shown[best], "o", markersize=9, markerfacecolor="none", color=IN_BURST)
        axis.set_title(name, fontweight="normal", fontsize=7.5)
        axis.yaxis.set_major_locator(mpl.ticker.MaxNLocator(3))
        axis.margins(x=0.12, y=0.35)
    axes[-1].set(xlabel="groups (ringed: preferred)", xticks=n_groups)
    axis = right.subplots()
    label = membership.argmax(axis=1)
    order = np.lexsort((-membership.max(axis=1), label))
    edges, base = np.arange(len(order) + 1) - 0.5, np.zeros(len(order))
    for g, share in enumerate(membership[order].T):
        colour = _group_colours(np.array([g]))[0]
        axis.stairs(base + share, edges, baseline=base, fill=True, color=colour, label=f"group {g + 1}")
        base = base + share
    axis.set(xlabel="electrode, by group", ylabel="membership", ylim=(0, 1), xlim=(-0.5, len(order) - 0.5))
    axis.xaxis.set_major_locator(mpl.ticker.MaxNLocator(6, integer=True))
    right.legend(loc="outside upper center", ncols=min(membership.shape[1], 6), handlelength=1)
    return fig


def channel_groups(
    plane: np.ndarray, explained: np.ndarray, label: np.ndarray, certainty: np.ndarray, profile: np.ndarray,
    names: Sequence[str], accuracy: float | None, null: np.ndarray,
) -> Figure:
    """Electrodes in the plane of their features, what their groups are like, and whether the groups hold in time.

    Parameters
    ----------
    plane, explained
        (electrodes, 2): first two principal components of the features; (2,): their shares of the variance.
    label, certainty
        (electrodes,): group, and the membership in it.
    profile, names
        (groups, features): centres of the groups in z-scores, and names of the features.
    accuracy, null
        Balanced accuracy on blocks of time that were not seen (None: not measured), and (n,) that of permuted labels.
    """
    fig, (axes,) = _figure(1, 3, 2.6, width_ratios=[1.25, 1.0, 0.95])
    colours = _group_colours(label)
    colours[:, 3] = 0.25 + 0.75 * (certainty - certainty.min()) / max(np.ptp(certainty), 1e-9)
    axes[0].scatter(*plane.T, s=26, c=colours, linewidths=0)
    axes[0].set(xlabel=f"component 1 ({explained[0]:.0%} of variance)", ylabel=f"component 2 ({explained[1]:.0%})")
    limit = max(float(np.abs(profile).max()), 0.1)
    mesh = axes[1].imshow(profile.T, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    axes[1].set(
        xticks=range(len(profile)), xticklabels=[f"{g + 1}" for g in range(len(profile))], xlabel="group",
        yticks=range(len(names)), yticklabels=names,
    )
    axes[1].tick_params(length=0)
    for tick, g in zip(axes[1].get_xticklabels(), range(len(profile))):
        tick.set_color(_group_colours(np.array([g]))[0])
        tick.set_fontweight("bold")
    axes[1].spines[:].set_visible(False)
    fig.colorbar(mesh, ax=axes[1], label="mean (z-score)", shrink=0.9, ticks=mpl.ticker.MaxNLocator(4))
    axes[2].hist(100 * null, 20, color="0.75", label="permuted groups")
    if accuracy is not None:
        axes[2].axvline(100 * accuracy, color=IN_BURST, linewidth=1.6, label="groups")
    axes[2].set(xlabel="right in unseen time (%)", ylabel="permutations")
    axes[2].legend(loc="upper center", bbox_to_anchor=(0.5, 1.24), handlelength=1.3)
    return fig


def treatment(
    plane: Mapping[str, np.ndarray], rescues: Mapping[str, tuple[float, tuple[float, float], np.ndarray, float]]
) -> Figure:
    """Cultures between the pathological and the healthy, and how far treatments lead beside their null.

    Parameters
    ----------
    plane
        Condition → cultures (n, 2): across, 0 is the mean pathological and 1 the mean healthy one.
    rescues
        Treated condition → fraction of the way (NaN: not defined), its 95 % interval, the null (n,) and the p-value.
    """
    fig = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    left, right = fig.subfigures(1, 2, width_ratios=[1.25, 1])
    axis = left.subplots()
    styles = dict(zip(plane, SERIES))
    for name, points in plane.items():
        colour, marker = styles[name]
        axis.scatter(*points.T, s=26, color=colour, marker=marker, linewidths=0, alpha=0.75, label=name)
        axis.plot(
            *points.mean(axis=0), marker, markersize=11, markerfacecolor="none", markeredgecolor=colour,
            markeredgewidth=1.8,
        )
    axis.set(xlabel="from pathological (0) to healthy (1)", ylabel="otherwise (SD of a feature)")
    left.legend(loc="outside upper center", ncols=len(plane), handletextpad=0.1, columnspacing=1)
    panels = np.ravel(right.subplots(len(rescues), 1, sharex=True))
    everything = np.concatenate([null for _, _, null, _ in rescues.values()])
    bins = np.linspace(everything.min(), max(everything.max(), everything.min() + 1e-6), 30)
    for axis, (name, (fraction, interval, null, p)) in zip(panels, rescues.items()):
        colour = styles[name][0]
        axis.hist(null, bins, color="0.8")
        top = axis.get_ylim()[1]
        axis.axvline(fraction, color=colour, linewidth=1.8)
        ends = interval if np.isfinite(interval).all() else bins[[0, -1]]
        axis.plot(ends, [0.9 * top] * 2, color=colour, linewidth=1.2)
        axis.set(yticks=[])
        axis.spines["left"].set_visible(False)
        share = f"{fraction:.2f}" if np.isfinite(fraction) else "not defined"
        axis.set_title(f"{name}: {share}, p = {p:.3f}", fontweight="normal", fontsize=8, color=colour)
    panels[-1].set_xlabel("share of the way to healthy (grey: null)")
    return fig


def treatment_distances(
    rows: Sequence[tuple[str, str]], value: np.ndarray, null: np.ndarray, drift: np.ndarray, q: np.ndarray
) -> Figure:
    """Distances between conditions of one culture, beside shuffled blocks and the drift within a recording.

    Parameters
    ----------
    rows
        (part of the culture, which two conditions), for each row.
    value, drift, q
        (rows,): distance; larger distance of the two halves within either recording; p-value, corrected for the rows.
    null
        (rows, n): distances of shuffled labels.
    """
    fig, ((axis,),) = _figure(1, 1, 0.9 + 0.24 * len(rows))
    y = np.arange(len(rows)) + 0.6 * np.cumsum([i > 0 and rows[i][0] != rows[i - 1][0] for i in range(len(rows))])
    low, high = np.quantile(null, [0.0, 0.95], axis=1)
    axis.barh(y, high - low, 0.62, low, color=BLANK, label="shuffled blocks, lower 95 %")
    axis.plot(drift, y, "|", color=SERIES[1][0], markersize=11, markeredgewidth=2, label="drift within a recording")
    axis.plot(value, y, "o", color=COLOURS["real"], markersize=5, label="between the two conditions")
    right = 1.22 * max(float(np.max([value.max(), drift.max(), high.max()])), 1e-6)
    for i, where in enumerate(y):
        axis.text(right, where, f"q = {q[i]:.3f}", ha="right", va="center", fontsize=7, color="0.35")
    axis.set(
        xlabel="distance of the means (standard deviations of a block's feature)", xlim=(0, right),
        ylim=(y[-1] + 0.6, -0.6), yticks=y, yticklabels=[f"{part}   {pair}" for part, pair in rows],
    )
    axis.tick_params("y", length=0)
    axis.spines["left"].set_visible(False)
    fig.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return fig


def synthetic_groups(
    planes: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], shares: Mapping[str, np.ndarray],
    errors: Mapping[str, np.ndarray],
) -> Figure:
    """Do synthetic spikes fall into the groups of the real ones?

    Parameters
    ----------
    planes, labels
        Source → (n, 2) spikes in the plane of the real ones' features, and (n,) the group of each; the last group is
        for what lies outside all.
    shares, errors
        Source → (groups,) share of its spikes in each group, the last outside; and (2, groups) half-widths of the 95 %
        interval, below and above.
    """
    sources = list(planes)
    n_groups = len(shares[sources[0]]) - 1
    fig = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    above, below = fig.subfigures(2, 1, height_ratios=[1.35, 1])
    axes = above.subplots(1, len(sources), sharex=True, sharey=True, squeeze=False)[0]
    centre = np.concatenate([p for p in planes.values()])
    limits = np.quantile(centre, [0.002, 0.998], axis=0)
    for axis, source in zip(axes, sources):
        label = np.where(labels[source] < n_groups, labels[source], -1)
        axis.scatter(*planes[source].T, s=4, c=_group_colours(label), alpha=0.7, linewidths=0, rasterized=True)
        axis.set_title(LABELS[source], color=COLOURS[source])
    axes[0].set(xlim=limits[:, 0], ylim=limits[:, 1])
    above.supxlabel("component 1 of the shape of real spikes", fontsize=8)
    above.supylabel("component 2", fontsize=8)
    axis = below.subplots()
    width = 0.8 / len(sources)
    for i, source in enumerate(sources):
        x = np.arange(n_groups + 1) + (i - (len(sources) - 1) / 2) * width
        axis.bar(x, 100 * shares[source], 0.9 * width, color=COLOURS[source], alpha=0.85, label=LABELS[source])
        axis.errorbar(x, 100 * shares[source], 100 * errors[source], fmt="none", ecolor="black", elinewidth=0.8)
    axis.set(
        xticks=range(n_groups + 1), xticklabels=[*(f"group {g + 1}" for g in range(n_groups)), "outside"],
        ylabel="spikes (%)",
    )
    for tick, g in zip(axis.get_xticklabels(), range(n_groups)):
        tick.set_color(_group_colours(np.array([g]))[0])
        tick.set_fontweight("bold")
    axis.tick_params("x", length=0)
    below.legend(loc="outside lower center", ncols=len(sources))
    return fig
