"""What the figures of the lessons share: three colours, sizes, densities, one legend for many axes."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from meagan_lib.plots.style import COLOURS, SERIES, WIDTH

DATA = COLOURS["real"]
GENERATED, DISCRIMINATOR, OTHER = (colour for colour, _ in SERIES[:3])
SMALL = (4, 2.4)
"""Size of a figure under sliders, in inches: two go in a row."""
ARROW = {"arrowstyle": "-|>", "color": "0.35", "linewidth": 1, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 10}


def lesson_figure(height: float, width: float = WIDTH) -> Figure:
    """Make an empty figure of this height and width, in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def two_densities(axis: Axes, x: np.ndarray, p: np.ndarray, q: np.ndarray) -> None:
    """Fill the densities of the data, p, and of the generated values, q, both (n,), over x (n,)."""
    axis.fill_between(x, p, color=DATA, alpha=0.25, linewidth=0, label="$p_\\mathrm{data}$")
    axis.fill_between(x, q, color=GENERATED, alpha=0.25, linewidth=0, label="$p_g$")


def one_legend(fig: Figure, axes: Sequence[Axes], **options: object) -> None:
    """Put the labels of all axes into one legend, each once."""
    labelled = {label: line for axis in axes for line, label in zip(*axis.get_legend_handles_labels())}
    fig.legend(labelled.values(), labelled, **options)
