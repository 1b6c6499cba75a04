"""Figures of recordings: traces, chips, electrodes and their activity."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from scipy.spatial import cKDTree

from meagan_lib.plots import style
from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.style import BLANK, COLOURS, DROPPED, UNITS, WIDTH, voltage_label

WELLS = (2, 3)
"""Rows and columns of wells on the plate that :func:`mea_plate` sketches."""
FAULTS = ("#3C3C3C", "#56B4E9", "#009E73", "#E69F00", "#CC79A7")
"""Colours of what may be wrong with an electrode; one that is good is light grey."""
NEAR_S = 0.5
"""Time shown on either side of an instant, in s."""
ROW = 32
"""Electrodes to a row where their positions are not known."""


@drawing
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
    for mine, name, colour, face in ((kept, "kept", COLOURS["reach"], None), (~kept, "dropped", DROPPED, "white")):
        mark = dict(color=colour, markerfacecolor=face, markersize=5)
        below.plot(peak_time_s[mine], peak_amplitude[mine], "v", label=name, **mark)
    below.set(xlabel="time (s)", ylabel=f"filtered ({UNITS[unit]})", xmargin=0)
    fig.legend(loc="outside upper right", ncols=3)
    return fig


def electrode_places(positions_um: np.ndarray | None, n: int) -> np.ndarray:
    """Return positions (n, 2); without any, put electrodes in rows of 32 with a pitch of 1."""
    if positions_um is None:
        return np.stack(np.divmod(np.arange(n), ROW), axis=1)[:, ::-1].astype(float)
    return np.asarray(positions_um, float)


def electrode_squares(
    axis: Axes, positions: np.ndarray, values: np.ndarray, in_a_row: bool, pitch: float | None = None, **options
) -> PolyCollection:
    """Draw a square at each of ``positions`` (n, 2), coloured by ``values`` (n,), and label the axes.

    One collection however many electrodes: 4096 patches would take seconds. ``options`` are those of the collection.
    """
    pitch = pitch or _pitch(positions)
    many = len(values) > 500  # then gaps between the squares would be finer than a pixel
    corners = (0.5 if many else 0.45) * pitch * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    edges = dict(linewidths=0, antialiaseds=not many, rasterized=many)
    squares = PolyCollection(positions[:, None] + corners, array=values, **edges, **options)
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


@drawing
def chip_map(positions_um: np.ndarray | None, noise: np.ndarray, rate_hz: np.ndarray, unit: str) -> Figure:
    """Map noise level and spike rate (channels,) at the electrodes' positions (channels, 2); in rows without any."""
    in_a_row = positions_um is None
    flat = in_a_row and len(noise) <= ROW
    fig, (axes,) = style.panel_grid(1, 2, 2.0 if flat else 3.2)
    places = electrode_places(positions_um, len(noise))
    names = f"noise level ({UNITS[unit]})", "spike rate (Hz)"
    for axis, values, name, colours in zip(axes, (noise, rate_hz), names, ("viridis", "magma")):
        squares = electrode_squares(axis, places, values, in_a_row, cmap=colours)
        key = dict(location="top" if flat else "right", shrink=0.8, ticks=mpl.ticker.MaxNLocator(5))
        fig.colorbar(squares, ax=axis, label=name, **key)
    axes[1].set_ylabel("")
    return fig


@drawing
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
    dots = dict(s=4 if many else 14, linewidths=0, clip_on=False, rasterized=many)
    for v, colour in enumerate(["0.7", *colours[1:]]):
        mine = noise[verdict == v]
        spread = 0.3 * np.sin(2.4 * np.arange(len(mine)))  # even, and the same every time
        axes[1].scatter(mine, v + spread, color=colour, **dots)
    beside = dict(s=36, marker="s", color=colours, clip_on=False, transform=axes[1].get_yaxis_transform())
    axes[1].scatter(np.full(len(names), 1.05), range(len(names)), **beside)
    axes[1].yaxis.tick_right()
    axes[1].grid(axis="y", color="0.93")
    axes[1].set_axisbelow(True)
    style.set_rows(axes[1], [f"{name}: {(verdict == v).sum()}" for v, name in enumerate(names)])
    axes[1].tick_params("y", pad=18, labelsize=8)
    axes[1].set_xlabel(f"noise level ({UNITS[unit]})")
    positive = noise[noise > 0]
    if len(positive):
        typical = np.median(positive)
        axes[1].set_xscale("symlog", linthresh=0.2 * typical, linscale=0.5, subs=(2, 5))
        axes[1].xaxis.set_major_locator(
            mpl.ticker.SymmetricalLogLocator(base=10, linthresh=0.2 * typical, subs=(1, 2, 5))
        )
        axes[1].set_xlim(-0.02 * typical, 1.3 * positive.max())
        axes[1].xaxis.set_major_formatter("{x:g}")
    return fig


@drawing
def activity_frame(
    positions_um: np.ndarray | None,
    activity: np.ndarray,
    time_s: np.ndarray,
    rate_hz: np.ndarray,
    shown_s: float,
    label: str,
    chip_um: tuple[float, float] | None = None,
) -> Figure:
    """Show one instant of a recording: activity of each electrode, and when that was.

    ``positions_um`` (channels, 2), counted from the chip's first electrode; None puts the electrodes in rows.
    ``activity`` (channels,): spikes or voltage at the instant ``shown_s``, named by ``label``; its colours end at the
    largest, and are centred on zero where some are negative. ``time_s``, ``rate_hz`` (bins,): middles of time bins, and
    spike rate of the whole array in them, a mean over electrodes; NaN where nothing was recorded. ``chip_um``: width
    and height of the chip; where electrodes cover less than half of either, a small panel shows which part, otherwise
    the chip is outlined around them.
    """
    in_a_row = positions_um is None
    places = electrode_places(positions_um, len(activity))
    pitch = chip_um[0] / 64 if len(places) == 1 and chip_um else _pitch(places)
    extent = np.ptp(places, axis=0) + pitch
    part = chip_um is not None and not in_a_row and (extent < 0.5 * np.array(chip_um)).any()

    fig = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    if in_a_row and len(activity) <= ROW:
        axes = fig.subplot_mosaic([["frame", "frame"], ["rate", "near"]])
    else:
        panels = [["frame", "rate", "rate"], ["frame", "near", "chip" if part else "near"]]
        axes = fig.subplot_mosaic(panels, width_ratios=[2.1, 1.7, 0.8])
    frame, rate, near = axes["frame"], axes["rate"], axes["near"]
    limit = float(np.abs(activity).max()) or 1.0
    colours = dict(cmap="RdBu", clim=(-limit, limit)) if activity.min() < 0 else dict(cmap="magma", clim=(0, limit))
    squares = electrode_squares(frame, places, activity, in_a_row, pitch, **colours)
    if chip_um and not in_a_row:
        outline = dict(facecolor="0.95", edgecolor="0.6", linewidth=0.8, zorder=0)
        around = axes["chip"] if part else frame
        around.add_patch(mpl.patches.Rectangle((-pitch / 2, -pitch / 2), *chip_um, **outline))
        around.set(xlim=(-pitch, chip_um[0]), ylim=(chip_um[1], -pitch))
    if part:
        corner = places.min(axis=0) - pitch / 2
        around.add_patch(mpl.patches.Rectangle(corner, *extent, facecolor=COLOURS["real"]))
        around.set(aspect="equal", xticks=[], yticks=[])
        around.set_xlabel("part of the chip", fontsize=7)
        around.spines[:].set_visible(False)
    ticks = mpl.ticker.MaxNLocator(4, integer=np.array_equal(activity, np.rint(activity)))
    fig.colorbar(squares, ax=frame, label=label, shrink=0.85, ticks=ticks)
    frame.set_title(f"{shown_s:.3f} s", fontweight="normal")
    frame.set_anchor("W")
    for axis, linewidth in ((rate, 0.5), (near, 1.0)):
        axis.plot(time_s, rate_hz, color=COLOURS["real"], linewidth=linewidth)
        axis.axvline(shown_s, color=DROPPED, linewidth=1.2, zorder=0)
        axis.set(ylim=(0, 1.05 * max(np.nanmax(rate_hz), 1e-9)), ylabel="spikes / s", xmargin=0)
        style.set_ticks(axis, 5, 3)
    style.panel_title(rate, "mean spike rate of the electrodes")
    near.plot(shown_s, np.interp(shown_s, time_s, rate_hz), "o", color=DROPPED, markersize=5)
    rate.set_xlabel("time (s)")
    near.set(xlabel="time (s)", xlim=(shown_s - NEAR_S, shown_s + NEAR_S))
    return fig


@drawing
def activity_animation(positions_um: np.ndarray | None, activity: np.ndarray, shown_s: np.ndarray, **shared) -> bytes:
    """Make a GIF of :func:`activity_frame` for each row of ``activity`` (frames, channels) at ``shown_s`` (frames,).

    ``shared``: what that function takes besides. All frames share their colours, which end at the largest absolute
    activity, and one palette of 128 colours; the same input gives the same bytes.
    """
    lowest = activity[activity.min(axis=1).argmin()]
    fig = activity_frame(positions_um, lowest, shown_s=shown_s[0], **shared)
    axes = {axis.get_label(): axis for axis in fig.axes}
    frame, rate, near = axes["frame"], axes["rate"], axes["near"]
    (squares,), (_, line), (curve, near_line, dot) = frame.collections, rate.lines, near.lines
    squares.set_clim(np.sign(squares.get_clim()) * (np.abs(activity).max() or 1.0))
    near.set_xlim(shown_s[0] - NEAR_S / 4, shown_s[-1] + NEAR_S / 4)
    canvas, pictures = style.moving_canvas(fig), []
    for values, instant in zip(activity, shown_s):
        squares.set_array(values)
        frame.set_title(f"{instant:.3f} s", fontweight="normal")
        line.set_xdata([instant, instant])
        near_line.set_xdata([instant, instant])
        dot.set_data([instant], [np.interp(instant, *curve.get_data())])
        pictures.append(style.picture(canvas))
    return style.gif(pictures, np.argsort(-np.abs(activity).sum(axis=1), kind="stable")[:4], 120)


@drawing
def mea_plate(
    positions_um: np.ndarray,
    chip_um: tuple[float, float],
    electrode: int,
    time_s: np.ndarray,
    voltage: np.ndarray,
    unit: str,
) -> Figure:
    """Zoom from a plate of wells to the chip in one of them, to some of its electrodes, to the trace of one.

    ``positions_um`` (channels, 2): the recorded electrodes, counted from the chip's first; ``electrode``: the one whose
    ``voltage`` (samples,) is drawn. The plate is a sketch, the chip is to scale.
    """
    pitch, highlight = _pitch(positions_um), DROPPED
    here = positions_um[electrode]
    fig = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    fig.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    panels = [["plate", "chip", "patch"], ["trace", "trace", "trace"]]
    axes = fig.subplot_mosaic(panels, height_ratios=[2.2, 1], width_ratios=[1.35, 1, 1])
    plate, chip, patch, trace = axes.values()

    rows, columns = WELLS
    rounded = dict(boxstyle="round,pad=0,rounding_size=0.15", facecolor="0.97", edgecolor="0.5", linewidth=1)
    plate.add_patch(mpl.patches.FancyBboxPatch((-0.65, -0.65), columns + 0.3, rows + 0.3, **rounded))
    for row, column in np.ndindex(rows, columns):
        plate.add_patch(mpl.patches.Circle((column, row), 0.42, facecolor="white", edgecolor="0.6", linewidth=0.8))
        plate.add_patch(mpl.patches.Rectangle((column - 0.15, row - 0.15), 0.3, 0.3, facecolor=BLANK, edgecolor="0.5"))
    plate.set(xlim=(-0.7, columns - 0.3), ylim=(rows - 0.3, -0.7), aspect="equal")
    plate.axis("off")
    style.panel_title(plate, "plate: a chip in each well (sketch)")

    outline = dict(facecolor="0.97", edgecolor="0.5", linewidth=0.8)
    chip.add_patch(mpl.patches.Rectangle((-pitch / 2, -pitch / 2), *chip_um, **outline))
    every = np.stack(np.meshgrid(*(np.arange(round(side / pitch)) * pitch for side in chip_um)), axis=-1).reshape(-1, 2)
    chip.scatter(*every.T, s=0.25, color="0.75", linewidths=0, rasterized=True)
    chip.scatter(*positions_um.T, s=0.9, color=COLOURS["real"], linewidths=0, rasterized=True)
    chip.set(xlim=(-2 * pitch, chip_um[0] + pitch), ylim=(chip_um[1] + pitch, -2 * pitch), aspect="equal")
    chip.set(xlabel="x (µm)", yticks=[])
    chip.spines["left"].set_visible(False)
    style.set_ticks(chip, 3)
    across = " × ".join(f"{round(side / pitch)}" for side in chip_um)
    style.panel_title(chip, f"chip: {across}, {len(positions_um)} recorded")

    first = np.clip(here - 4 * pitch, positions_um.min(axis=0), np.maximum(positions_um.max(axis=0) - 7 * pitch, 0))
    shown = ((positions_um >= first - pitch / 2) & (positions_um <= first + 7.5 * pitch)).all(axis=1)
    electrode_squares(patch, positions_um[shown], np.zeros(shown.sum()), False, pitch, cmap="binary", clim=(-0.25, 1))
    square = dict(width=0.9 * pitch, height=0.9 * pitch, facecolor=highlight)
    patch.add_patch(mpl.patches.Rectangle(here - 0.45 * pitch, **square))
    patch.yaxis.tick_right()
    patch.yaxis.set_label_position("right")
    patch.spines["left"].set_visible(False)
    patch.spines["right"].set_visible(True)
    style.panel_title(patch, f"electrodes, {pitch:g} µm apart")
    corner, side = positions_um[shown].min(axis=0) - pitch / 2, np.ptp(positions_um[shown], axis=0) + pitch
    chip.add_patch(mpl.patches.Rectangle(corner, *side, facecolor="none", edgecolor=highlight, linewidth=1))

    trace.plot(1000 * time_s, voltage, color=COLOURS["real"], linewidth=0.6)
    trace.set(xlabel="time (ms)", ylabel=voltage_label(unit), xmargin=0)
    style.panel_title(trace, "band-passed voltage of the coloured electrode")
    line = dict(color="0.6", linewidth=0.7, linestyle=":")
    well, (left, top), (right, bottom) = (columns - 1 + 0.15, 0.15), (-pitch / 2,) * 2, corner + side
    ends = [
        (plate, (well[0], -0.15), chip, (left, top)),
        (plate, well, chip, (left, chip_um[1])),
        (chip, (right, corner[1]), patch, (patch.get_xlim()[0], patch.get_ylim()[1])),
        (chip, (right, bottom), patch, (patch.get_xlim()[0], patch.get_ylim()[0])),
    ]
    for one, start, other, end in ends:
        fig.add_artist(mpl.patches.ConnectionPatch(start, end, "data", "data", axesA=one, axesB=other, **line))
    return fig
