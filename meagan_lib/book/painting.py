"""A mask to move: what the painters of notebook 7 paint where a reader puts it, in JupyterLab and in the book.

A run keeps its painters, and a few tiles and masks to try them on, in ``painters.json``: the book, in whose page
onnxruntime-web computes them, needs no photographs.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from meagan_lib import plots
from meagan_lib.book.scripts import as_text, write_script
from meagan_lib.book.teaching import Interactive
from meagan_lib.images.gan import Painter, to_onnx
from meagan_lib.images.geometry import placed
from meagan_lib.workflow.execution import RESULTS
from meagan_lib.workflow.files import read_json, write_json

CONTROLS = {
    "turn_degrees": np.arange(-90, 91, 15).tolist(),
    "size": [0.5, 0.7, 1.0, 1.4, 2.0],
    "right": np.arange(-20, 21, 5).tolist(),
    "down": np.arange(-20, 21, 5).tolist(),
    "noise": list(range(7)),
}
"""What a reader moves; each control starts at its middle value. ``noise`` is the seed of z."""

FILE = "painters.json"
SHOWN = 12
"""Tiles, and masks of each class, that go with painters."""


def move_mask(painter: Painter, background: np.ndarray, mask: np.ndarray) -> Interactive:
    """Show a background (size, size) with a defect where the mask (size, size) is moved to, with sliders."""

    def draw(turn_degrees, size, right, down, noise) -> Figure:
        """A surface with a painted defect, and the outline of its mask."""  # noqa: D401
        there = placed(mask, turn_degrees, size, right, down)
        return plots.painted_crop(background, painter.paint(background[None], there[None], noise)[0], there)

    return Interactive(draw, **CONTROLS)


def save_painters(path: Path, painters: Mapping[str, Painter]) -> None:
    """Write painters, class → painter, as JSON: each as ONNX, with :data:`SHOWN` of its training backgrounds and masks.

    Images are bytes, one for each pixel, 255 is 1; all binary is base64 text.
    """
    first = next(iter(painters.values()))
    content = {
        "size": first.generator.size,
        "backgrounds": as_bytes(first.backgrounds),
        "painters": [
            {
                "class": kind,
                "margin": painter.generator.margin,
                "masks": as_bytes(painter.masks),
                "network": as_text(to_onnx(painter)),
            }
            for kind, painter in painters.items()
        ],
    }
    write_json(path, content)


def as_bytes(images: np.ndarray) -> str:
    """Return :data:`SHOWN` of the images in [0, 1] (n, size, size), evenly taken, as text."""
    rows = np.linspace(0, len(images) - 1, min(SHOWN, len(images))).round().astype(int)
    return as_text(np.rint(255 * images[rows]).astype(np.uint8).tobytes())


def available(run: str) -> bool:
    """Say whether a run has painters."""
    return (RESULTS / run / FILE).is_file()


def export(run: str, path: Path) -> None:
    """Write the painters of a run as the script ``path``."""
    write_script(path, "meaganPainting", {"run": run, "outline": plots.style.DROPPED} | read_json(RESULTS / run / FILE))
