"""Figures of what goes out to other tools."""

import numpy as np
from matplotlib.figure import Figure

from meagan_lib.plots import style
from meagan_lib.plots.drawing import drawing
from meagan_lib.plots.style import UNIT_COLOURS, UNITS


@drawing
def known_units(
    places_um: np.ndarray,
    templates: list[np.ndarray],
    electrodes: list[np.ndarray],
    ms: float,
    time_s: list[np.ndarray],
    amplitude: list[np.ndarray],
    names: list[str],
    unit: str,
) -> Figure:
    """Draw templates of some units where they are a tenth of the largest, and the amplitude of every spike over time.

    ``places_um`` (channels, 2): of all electrodes; of each unit ``templates`` (samples, k), which last ``ms``, on the
    ``electrodes`` (k,); ``time_s`` and ``amplitude`` (spikes,) of its spikes.
    """
    fig, (axes,) = style.panel_grid(1, 2, 3.5, width_ratios=(1, 1.25))
    chip, over_time = axes
    step = np.min([d for d in np.abs(places_um - places_um[0]).ravel() if d > 0])
    deepest = max(float(np.ptp(template)) for template in templates)
    chip.plot(*places_um.T, "s", color="0.85", markersize=3)
    for i, (template, where) in enumerate(zip(templates, electrodes)):
        colour = UNIT_COLOURS[i]
        x = np.linspace(-0.45, 0.45, len(template)) * step
        seen = np.ptp(template, axis=0) > 0.1 * np.ptp(template)
        for trace, (left, low) in zip(template.T[seen], places_um[where][seen]):
            chip.plot(left + x, low - 1.6 * step * trace / deepest, color=colour, linewidth=1)
        over_time.plot(time_s[i], amplitude[i], ".", color=colour, markersize=4, label=names[i])
    margin = 0.8 * step
    (left, low), (right, high) = places_um.min(axis=0) - margin, places_um.max(axis=0) + margin
    chip.set(xlim=(left, right), ylim=(high, low), aspect="equal", xlabel="x (µm)", ylabel="y (µm)")
    style.set_ticks(chip, 4, 4)
    style.panel_title(chip, f"templates: {ms:g} ms wide, the largest {deepest:.0f} {UNITS[unit]} high")
    over_time.set(xlabel="time (s)", ylabel=f"amplitude ({UNITS[unit]})", xmargin=0.02)
    style.panel_title(over_time, "every spike")
    fig.legend(loc="outside lower right", ncols=len(names), markerscale=2)
    return fig
