"""A recording at a glance, before anything has run."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from meagan_lib.plots import style
from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.recordings import ROW, electrode_places, electrode_squares
from meagan_lib.plots.style import BLANK, COLOURS, DROPPED, UNITS, WIDTH


@drawing
def at_a_glance(
    positions_um: np.ndarray | None,
    rate_hz: np.ndarray,
    good: np.ndarray,
    amplitude: np.ndarray,
    time_s: np.ndarray,
    trace: np.ndarray,
    electrode: str,
    threshold: float,
    unit: str,
    title: str,
) -> Figure:
    """Draw activity on the electrodes (channels,), depth of the spikes (peaks,), and a trace (samples,) of the busiest.

    Electrodes that are not ``good`` are crossed out; without positions, electrodes stand in rows.
    """
    in_a_row = positions_um is None
    flat = in_a_row and len(rate_hz) <= ROW
    fig = Figure(figsize=(WIDTH, 4.0 if flat else 4.8), layout="constrained")
    fig.suptitle(title, fontsize=9, fontweight="bold", x=0.01, ha="left")
    axes = fig.subplot_mosaic([["map", "depth"], ["trace", "trace"]], height_ratios=[0.8 if flat else 1.7, 1])
    places = electrode_places(positions_um, len(rate_hz))
    top = float(np.percentile(rate_hz, 99 if len(rate_hz) > 100 else 100)) or float(rate_hz.max()) or 1.0
    squares = electrode_squares(axes["map"], places, rate_hz, in_a_row, cmap="magma", clim=(0, top))
    key = dict(location="top", aspect=14) if flat else dict(location="right", shrink=0.85)
    more = "max" if rate_hz.max() > top else "neither"
    fig.colorbar(squares, ax=axes["map"], label="spikes / s", extend=more, ticks=mpl.ticker.MaxNLocator(4), **key)
    if not good.all():
        cross = dict(color="#56B4E9", s=60 if len(good) < 100 else 6, linewidths=1.0, clip_on=False)
        axes["map"].scatter(*places[~good].T, marker="x", label="not to be trusted", **cross)
        axes["map"].legend(loc="upper left", bbox_to_anchor=(0, -0.22 if not flat else -0.5), borderaxespad=0)
    _depths(axes["depth"], -amplitude, unit)
    axis = axes["trace"]
    axis.plot(time_s, trace, color=COLOURS["real"], linewidth=0.5)
    axis.axhline(threshold, color=DROPPED, linewidth=1, linestyle="--", label="threshold")
    axis.set(xlabel="time (s)", ylabel=f"band-passed ({UNITS[unit]})", xmargin=0)
    axis.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
    style.panel_title(axis, f"electrode {electrode[:40]}, the busiest", parse_math=False)
    return fig


def _depths(axis: mpl.axes.Axes, depth: np.ndarray, unit: str) -> None:
    """Draw a histogram of the depth of spikes; an empty one says so."""
    axis.set(xlabel=f"depth of a spike ({UNITS[unit]})", ylabel="spikes")
    if not len(depth):
        axis.set(xticks=[], yticks=[], facecolor=BLANK)
        axis.text(0.5, 0.5, "no spike in the first seconds", transform=axis.transAxes, ha="center", fontsize=8)
        return
    axis.hist(depth, bins=np.linspace(0, 1.02 * depth.max(), 50), color=COLOURS["real"])
    axis.set_yscale("log")
    axis.set_xlim(0)
