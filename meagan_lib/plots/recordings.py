"""Figures of recordings: traces, chips, electrodes and their activity."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from scipy.spatial import cKDTree

from meagan_lib.plots import style
from meagan_lib.plots.style import BLANK, COLOURS, DROPPED, UNITS, WIDTH

FAULTS = ("#3C3C3C", "#56B4E9", "#009E73", "#E69F00", "#CC79A7")
"""Colours of what may be wrong with an electrode; one that is good is light grey."""
NEAR_S = 0.5
"""Time shown on either side of an instant, in s."""
ROW = 32
"""Electrodes to a row where their positions are not known."""


def trace_detections(
    time_s: np.ndarray,
    raw: np.ndarray,
    filtered: np.ndarray,
    threshold: float,
    peak_time_s: np.ndarray,
    peak_amplitude: np.ndarray,
    kept: np.ndarray,
    unit: str,
    title: str,
) -> Figure:
    """Draw raw and filtered trace (samples,) of one electrode, its threshold, and its peaks, kept or dropped."""
    fig, ((above,), (below,)) = style.panel_grid(2, 1, 3.6, sharex=True)
    above.plot(time_s, raw, color="0.55", linewidth=0.6)
    above.set(title=title, ylabel=f"raw ({UNITS[unit]})")
    below.plot(time_s, filtered, color=COLOURS["real"], linewidth=0.6)
    below.axhline(threshold, color=DROPPED, linewidth=1, linestyle="--", label="threshold")
    for mine, name, colour, face in (
        (kept, "kept", COLOURS["reach"], COLOURS["reach"]),
        (~kept, "dropped", DROPPED, "white"),
    ):
        colours = dict(markeredgecolor=colour, markerfacecolor=face)
        below.plot(peak_time_s[mine], peak_amplitude[mine], "v", markersize=5, label=name, **colours)
    below.set(xlabel="time (s)", ylabel=f"filtered ({UNITS[unit]})")
    below.margins(x=0)
    fig.legend(*below.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return fig


def electrode_places(positions_um: np.ndarray | None, n: int) -> np.ndarray:
    """Move positions (n, 2) so that their least is 0; without any, put electrodes in rows of 32 with a pitch of 1."""
    if positions_um is None:
        return np.stack(np.divmod(np.arange(n), ROW), axis=1)[:, ::-1].astype(float)
    return positions_um - positions_um.min(axis=0)


def electrode_squares(
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
        style.set_ticks(axis, 4, 4)
    elif len(values) > ROW:
        axis.set(xlabel=f"electrode (+ {ROW} a row)", ylabel="row")
        style.set_ticks(axis, y=4, integer=True)
    else:
        axis.set(xlabel="electrode", xticks=range(0, len(values), 1 + len(values) // 16), yticks=[])
        axis.spines["left"].set_visible(False)
    return squares


def _pitch(positions: np.ndarray) -> float:
    """Return the least distance along x or y between two electrodes; 1 for a single one."""
    if len(positions) < 2:
        return 1.0
    distance = cKDTree(positions).query(positions, k=2, p=np.inf)[0][:, 1]
    return float(distance[distance > 0].min()) if (distance > 0).any() else 1.0


def chip_map(positions_um: np.ndarray | None, noise: np.ndarray, rate_hz: np.ndarray, unit: str) -> Figure:
    """Map noise level and spike rate (channels,) at the electrodes' positions (channels, 2); in rows without any."""
    in_a_row = positions_um is None
    flat = in_a_row and len(noise) <= ROW
    fig, (axes,) = style.panel_grid(1, 2, 2.0 if flat else 3.2)
    places = electrode_places(positions_um, len(noise))
    for axis, values, name, colours in (
        (axes[0], noise, f"noise level ({UNITS[unit]})", "viridis"),
        (axes[1], rate_hz, "spike rate (Hz)", "magma"),
    ):
        squares = electrode_squares(axis, places, values, in_a_row, cmap=colours)
        bar = fig.colorbar(squares, ax=axis, label=name, location="top" if flat else "right", shrink=0.8)
        bar.locator = mpl.ticker.MaxNLocator(5)
    axes[1].set_ylabel("")
    return fig


def quality_map(
    positions_um: np.ndarray | None, verdict: np.ndarray, noise: np.ndarray, names: Sequence[str], unit: str
) -> Figure:
    """Map the verdict (channels,) on electrodes at their positions (channels, 2), and the noise (channels,) by verdict.

    ``verdict`` counts through ``names``, of which the first stands for a good electrode. The names with their counts,
    to the right, are the legend of both panels. Without positions, electrodes stand in rows.
    """
    flat = positions_um is None and len(verdict) <= ROW
    fig, (axes,) = style.panel_grid(1, 2, 2.2 if flat else 3.0, width_ratios=[1.15, 1])
    colours = [BLANK, *FAULTS][: len(names)]
    places, cells = electrode_places(positions_um, len(verdict)), mpl.colors.ListedColormap(colours)
    electrode_squares(axes[0], places, verdict, positions_um is None, cmap=cells, clim=(-0.5, len(names) - 0.5))
    many = len(verdict) > 500
    for v, colour in enumerate(colours):
        mine, size = noise[verdict == v], 4 if many else 14
        spread = 0.3 * np.sin(2.4 * np.arange(len(mine)))  # even, and the same every time
        dots = dict(s=size, color="0.7" if v == 0 else colour, linewidths=0, clip_on=False, rasterized=many)
        axes[1].scatter(mine, v + spread, **dots)
    beside = dict(s=36, marker="s", color=colours, clip_on=False, transform=axes[1].get_yaxis_transform())
    axes[1].scatter(np.full(len(names), 1.05), range(len(names)), **beside)
    axes[1].yaxis.tick_right()
    axes[1].spines["left"].set_visible(False)
    axes[1].grid(axis="y", color="0.93")
    axes[1].set_axisbelow(True)
    axes[1].tick_params("y", length=0, pad=18, labelsize=8)
    counts = [f"{name}: {(verdict == v).sum()}" for v, name in enumerate(names)]
    axes[1].set(yticks=range(len(names)), yticklabels=counts, ylim=(len(names) - 0.5, -0.5))
    axes[1].set_xlabel(f"noise level ({UNITS[unit]})")
    positive = noise[noise > 0]
    if len(positive):
        typical = np.median(positive)
        axes[1].set_xscale("symlog", linthresh=0.2 * typical, linscale=0.5)
        axes[1].set_xlim(-0.02 * typical, 1.3 * positive.max())
        axes[1].xaxis.set_major_formatter("{x:g}")
    return fig


def activity_frame(
    positions_um: np.ndarray | None,
    activity: np.ndarray,
    time_s: np.ndarray,
    rate_hz: np.ndarray,
    shown_s: float,
    label: str,
    chip_um: tuple[float, float] | None = None,
    limit: float | None = None,
) -> Figure:
    """Show one instant of a recording: activity of each electrode, and when that was.

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
    """Return the figure of :func:`activity_frame`, its squares, and the marks of the instant: two lines and a dot."""
    in_a_row = positions_um is None
    places = electrode_places(None, len(activity)) if in_a_row else np.asarray(positions_um, float)
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
    colours = dict(cmap="RdBu" if signed else "magma", clim=(-limit if signed else 0, limit))
    squares = electrode_squares(frame, places, activity, in_a_row, pitch, **colours)
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
        style.set_ticks(axis, 5, 3)
    style.panel_title(axes["rate"], "mean spike rate of the electrodes")
    marks += axes["near"].plot(shown_s, np.interp(shown_s, time_s, rate_hz), "o", color=DROPPED, markersize=5)
    if flat:
        axes["rate"].set_xlabel("time (s)")
    axes["near"].set(xlabel="time (s)", xlim=(shown_s - NEAR_S, shown_s + NEAR_S))
    return fig, squares, marks


def activity_animation(
    positions_um: np.ndarray | None,
    activity: np.ndarray,
    shown_s: np.ndarray,
    time_s: np.ndarray,
    rate_hz: np.ndarray,
    label: str,
    chip_um: tuple[float, float] | None = None,
) -> bytes:
    """Make a GIF of :func:`activity_frame` for each row of ``activity`` (frames, channels) at ``shown_s`` (frames,).

    All frames share their colours, which end at the largest absolute activity, and one palette of 128 colours; the same
    input gives the same bytes. For the rest see there.
    """
    limit = float(np.abs(activity).max()) or 1.0
    lowest = activity[activity.min(axis=1).argmin()]
    fig, squares, marks = _activity(positions_um, lowest, time_s, rate_hz, shown_s[0], label, chip_um, limit)
    marks[1].axes.set_xlim(shown_s[0] - NEAR_S / 4, shown_s[-1] + NEAR_S / 4)
    canvas, pictures = style.moving_canvas(fig), []
    for values, instant in zip(activity, shown_s):
        squares.set_array(values)
        squares.axes.set_title(f"{instant:.3f} s", fontweight="normal")
        for line in marks[:2]:
            line.set_xdata([instant, instant])
        marks[2].set_data([instant], [np.interp(instant, time_s, rate_hz)])
        pictures.append(style.picture(canvas))
    return style.gif(pictures, np.argsort(-np.abs(activity).sum(axis=1), kind="stable")[:4], 120)
