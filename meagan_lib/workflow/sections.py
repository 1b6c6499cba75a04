"""Leave out those cells of a notebook for which a run lacks something, as imported windows lack voltage.

A code cell whose first line is a comment such as ``# needs voltage`` runs only where a cell above has said, by
:func:`provide` or :func:`optional`, that the run has it. Several needs are parted by commas. In JupyterLab a cell that
is left out says in a sentence what is lacking, and *Run all* goes on; from a notebook that papermill has executed
:func:`remove_left_out` takes it out, with the text and the heading under which nothing else is left.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import dropwhile, takewhile
from typing import TYPE_CHECKING

from meagan_lib import InputError

if TYPE_CHECKING:
    from nbformat import NotebookNode

LEFT_OUT = "Left out: this needs "
_lacking: dict[str, str] = {}
"""What the notebook of this kernel has spoken of → why it lacks that; "" where it has it."""


def needs(source: str) -> list[str]:
    """Return what a cell needs, by the comment in its first line."""
    stated = re.match(r"# needs (.+)", source)
    return stated[1].strip().split(", ") if stated else []


def provide(what: str, given: bool = True, why_not: str = "") -> None:
    """State whether the run has ``what`` cells below may need, and if it is not ``given``, ``why_not``, printed."""
    _lacking[what] = "" if given else why_not or "this run has none"
    if why_not and not given:
        print(f"What needs {what} is left out: {why_not}.")
    from IPython import get_ipython

    shell = get_ipython()
    if shell and say_instead not in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.append(say_instead)


@contextmanager
def optional(what: str) -> Iterator[None]:
    """Provide ``what`` where the block succeeds; where it raises an :class:`InputError`, that is why it is lacking."""
    try:
        yield
    except InputError as error:
        provide(what, False, str(error))
    else:
        provide(what)


def say_instead(lines: list[str]) -> list[str]:
    """Return the lines of a cell as they are, or, where it needs what is lacking, a line that prints so."""
    for what in needs("".join(lines)):
        if why_not := _lacking.get(what, "no cell above has provided it"):
            return [f"print({f'{LEFT_OUT}{what} ({why_not})'!r})\n"]
    return lines


def remove_left_out(notebook: "NotebookNode") -> "NotebookNode":
    """Remove from an executed notebook the cells that were left out, and text that introduces nothing else.

    A heading stays as long as a cell of its section does.
    """
    kept = []
    for i, cell in enumerate(notebook.cells):
        below, level = notebook.cells[i + 1 :], _heading_level(cell)
        introduced = takewhile(_is_code, dropwhile(_is_text, below))
        if _is_text(cell) and _all_left_out(introduced):
            section = takewhile(lambda cell, level=level: not 0 < _heading_level(cell) <= level, below)
            if not level or _all_left_out(filter(_is_code, section)):
                continue
            cell["source"] = cell.source.splitlines()[0]
        if not _was_left_out(cell):
            kept.append(cell)
    notebook.cells = kept
    return notebook


def _all_left_out(cells: Iterable["NotebookNode"]) -> bool:
    left_out = [_was_left_out(cell) for cell in cells]
    return bool(left_out) and all(left_out)


def _is_text(cell: "NotebookNode") -> bool:
    return cell.cell_type == "markdown"


def _is_code(cell: "NotebookNode") -> bool:
    return cell.cell_type == "code"


def _was_left_out(cell: "NotebookNode") -> bool:
    said = "".join(output.get("text", "") for output in cell.get("outputs", ()))
    return _is_code(cell) and bool(needs(cell.source)) and said.startswith(LEFT_OUT)


def _heading_level(cell: "NotebookNode") -> int:
    """Return 1 for a chapter, 2 for a section …, 0 for a cell that begins with no heading."""
    heading = re.match(r"(#+) ", cell.source)
    return len(heading[1]) if _is_text(cell) and heading else 0
