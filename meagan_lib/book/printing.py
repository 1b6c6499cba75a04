"""Figures for print: PDF at the widths of a page and of a column, with embedded fonts, in any language of the table."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.transforms import Affine2D, Bbox

from meagan_lib import InputError
from meagan_lib.workflow import drawings, figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from meagan_lib.book.translation import Translator

INCH = 25.4
WIDTHS = {"page": 178 / INCH, "column": 86 / INCH}
"""Inches: the width of a page with two columns, and of one of them."""
REDUCED = (1.0, 1.4)
"""By how much a figure may be reduced to fit into a column: at the most, its text of 7 points has 5 in print."""
LOWER = 0.85
"""Height of a figure in a column, as a fraction of its height on a page."""
NARROWEST = 0.9
"""Inches: width of the narrowest panel of a figure that goes into a column, before it is reduced."""
AIR = (1.0, -1.5)
"""Points that a text needs to its left and right, and above and below, where its box has some already."""


@dataclass(frozen=True)
class Printed:
    """The files of a figure, by width."""

    page: Path
    column: Path | None
    """None: in a column its texts would not have room."""


def for_print(run: str, id: str, translator: "Translator") -> "tuple[Figure, Figure | None]":
    """Draw a figure of a run for a page and, where it can be read so, for a column.

    The second is as wide as a column, or up to 1.4 times as wide, to be reduced.

    ``InputError``: nothing is kept that draws it again.
    """
    kept = drawings.read(drawings.place(figures.folder(run), id))
    page = drawn(kept, translator)
    return page, in_column(kept, page, translator)


def print_figure(page: "Figure", column: "Figure | None", folder: Path, name: str) -> Printed:
    """Write a figure to ``folder`` as ``<name>.pdf`` and, where it is given for a column, ``<name>_column.pdf``."""
    return Printed(
        saved(page, folder / f"{name}.pdf"), saved(column, folder / f"{name}_column.pdf") if column else None
    )


def drawn(kept: drawings.Kept, translator: "Translator", width: float = WIDTHS["page"], lower: float = 1) -> "Figure":
    """Draw a figure again in the translator's language, in at most so many inches, its height times ``lower``.

    ``InputError``: its function does not take what was kept.
    """
    try:
        fig = kept.figure()
    except Exception as error:  # whatever a function says of arguments that another version has kept
        raise InputError(f"{kept.figure.function} cannot draw what was kept: {error}") from error
    translator.figure(fig)
    before, height = fig.get_size_inches()
    fig.set_size_inches(min(before, width), height * (lower if before > width else 1))
    figures.put_stamp(fig, translator(kept.stamp))
    figures.set_minus_signs(fig)
    figures.settle_layout(fig)
    return fig


def in_column(kept: drawings.Kept, page: "Figure", translator: "Translator") -> "Figure | None":
    """Draw a figure for a column; None where it would not be as easy to read there as on the ``page``."""
    if any(not axes.axison and axes.texts for axes in page.axes):
        return None  # a diagram: words do not become narrower with the boxes that they stand in
    for reduced in REDUCED:
        if narrowest(page) * WIDTHS["column"] * reduced < NARROWEST * page.get_size_inches()[0]:
            continue  # words stay as wide, so that panels shrink at least as much as the figure
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # of panels without any room
            try:
                column = drawn(kept, translator, WIDTHS["column"] * reduced, LOWER ** (1 / reduced))
            except UserWarning:
                continue
        if narrowest(column) >= NARROWEST and crowded(column) <= crowded(page):
            return column
    return None


def saved(fig: "Figure", path: Path) -> Path:
    """Write a figure as PDF with its fonts (TrueType, of what is used), and without a date; return the path."""
    with mpl.rc_context({"pdf.fonttype": 42}):
        fig.savefig(path, format="pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None})
    return path


def narrowest(fig: "Figure") -> float:
    """Return the width of the narrowest panel, in inches; colour bars are none."""
    panels = [axes for axes in fig.axes if axes.get_visible() and axes.axison and not hasattr(axes, "_colorbar")]
    return min((axes.get_position().width * fig.get_size_inches()[0] for axes in panels), default=0)


def crowded(fig: "Figure") -> set[tuple[str, ...]]:
    """Return pairs of texts that lie on each other, and texts that leave the figure."""
    texts = list(text_boxes(fig))
    whole = Bbox.from_bounds(0, 0, *(fig.get_size_inches() * 72)).padded(AIR[0])
    outside = {(words,) for words, box in texts if not (whole.containsx(box.x0) and whole.containsx(box.x1))}
    outside |= {(words,) for words, box in texts if not (whole.containsy(box.y0) and whole.containsy(box.y1))}
    pairs = ((one, other) for i, one in enumerate(texts) for other in texts[:i])
    return outside | {(one[0], other[0]) for one, other in pairs if one[1].overlaps(other[1])}


def text_boxes(fig: "Figure") -> Iterator[tuple[str, Bbox]]:
    """Yield every text that is drawn, line by line, with its box in points and some ``AIR``."""

    class Recorder(RendererAgg):
        def draw_text(self, gc, x, y, s, prop, angle, ismath=False, mtext=None):
            width, height, descent = self.get_text_width_height_descent(s, prop, ismath)
            box = Bbox.from_bounds(0, -descent, width, height).padded(*AIR)
            corners = Affine2D().rotate_deg(angle).translate(x, whole - y).transform(box.corners())
            boxes.append((s, Bbox([corners.min(axis=0), corners.max(axis=0)])))

    boxes: list[tuple[str, Bbox]] = []
    whole = fig.get_size_inches()[1] * 72
    before = fig.dpi
    fig.set_dpi(72)
    fig.draw(Recorder(*map(round, fig.get_size_inches() * 72), 72))
    fig.set_dpi(before)
    yield from boxes
