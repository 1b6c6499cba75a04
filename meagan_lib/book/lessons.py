"""The lessons as every book has them: from the sources, with the figures that are kept in git, where none was executed.

Twelve lessons take minutes to execute, and a book need not wait for that. What a lesson prints, and what its sliders
show, it has where ``meagan run concepts`` executed it.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import nbformat

from meagan_lib.book.teaching import CONCEPTS

NOT_RUN = (
    "*The text, the code and the kept figures of the lesson: it was not executed with this run. After `make concepts`, "
    "`make book` also has what its cells print, and its sliders as rows of pictures; `make lab` opens it for the "
    "exercises.*"
)
SLIDERS = "*Here the notebook has sliders: `make lab`.*"


def sources() -> list[Path]:
    """Return the lessons' notebooks, c1 to c12."""
    return list(CONCEPTS.glob("c*.ipynb"))


def illustrate(notebook: nbformat.NotebookNode, kept: Iterable[str]) -> None:
    """Give a notebook that was not executed its ``kept`` figures, by id, at the cells that save them."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        saved = [id for id in re.findall(r'"(\w+)"', cell.source) if id in kept and "save_figure(" in cell.source]
        shown = [{"text/plain": f"SavedFigure(png=Path('{id}.png'))"} for id in saved]
        if re.search(r"^Interactive\(", cell.source, re.MULTILINE):
            shown.append({"text/markdown": SLIDERS})
        cell.outputs = [nbformat.v4.new_output("display_data", data) for data in shown]
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell(NOT_RUN))
