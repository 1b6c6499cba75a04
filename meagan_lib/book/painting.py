"""A mask to move: what the painter of notebook 7 paints where a reader puts it."""

import numpy as np
from matplotlib.figure import Figure

from meagan_lib import plots
from meagan_lib.book.teaching import Interactive
from meagan_lib.images.gan import Painter
from meagan_lib.images.geometry import placed

CONTROLS = {
    "turn_degrees": np.arange(-90, 91, 15).tolist(),
    "size": [0.5, 0.7, 1.0, 1.4, 2.0],
    "right": np.arange(-20, 21, 5).tolist(),
    "down": np.arange(-20, 21, 5).tolist(),
    "noise": list(range(7)),
}
"""What a reader moves; each control starts at its middle value. ``noise`` is the seed of z."""


def move_mask(painter: Painter, background: np.ndarray, mask: np.ndarray) -> Interactive:
    """Show a background (size, size) with a defect where the mask (size, size) is moved to, with sliders."""

    def draw(turn_degrees, size, right, down, noise) -> Figure:
        """A surface with a painted defect, and the outline of its mask."""  # noqa: D401
        there = placed(mask, turn_degrees, size, right, down)
        return plots.painted_crop(background, painter.paint(background[None], there[None], noise)[0], there)

    return Interactive(draw, **CONTROLS)
