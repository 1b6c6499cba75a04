"""Cells whose needs are not met are left out, in JupyterLab with a sentence, from an executed notebook altogether."""

import re

import nbclient
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from meagan_lib.workflow.execution import NOTEBOOKS
from meagan_lib.workflow.figures import registry
from meagan_lib.workflow.sections import needs, remove_left_out

SETUP = """
from meagan_lib import InputError
from meagan_lib.workflow.sections import optional, provide
provide("voltage", {voltage}, "windows were imported")
with optional("spike times"):
    if not {spike_times}:
        raise InputError("times are not known")
"""


def executed(**given: bool) -> nbformat.NotebookNode:
    cells = [
        new_markdown_cell("# 1 Title"),
        new_code_cell(SETUP.format(**given)),
        new_markdown_cell("## 1.1 Traces\nWhat an electrode records."),
        new_code_cell("# needs voltage\ntrace = 'drawn'"),
        new_code_cell("# needs voltage\nprint(trace)"),
        new_markdown_cell("## 1.2 Looking\nFirst a trace."),
        new_code_cell("# needs voltage\nprint('chip', trace)"),
        new_markdown_cell("And the windows."),
        new_code_cell("print('windows')"),
        new_markdown_cell("### Trains"),
        new_markdown_cell("Both are needed."),
        new_code_cell("# needs spike times, voltage\nprint('trains', trace)"),
    ]
    notebook = new_notebook(cells=cells)
    return nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()


def said(notebook: nbformat.NotebookNode) -> list[str]:
    return ["".join(o.get("text", "") for o in c.get("outputs", ())).strip() or c.source for c in notebook.cells]


def test_a_notebook_that_has_all_that_it_needs_stays_whole():
    notebook = executed(voltage=True, spike_times=True)
    assert [cell.id for cell in remove_left_out(notebook).cells] == [cell.id for cell in notebook.cells]
    assert said(notebook)[-1] == "trains drawn"


def test_cells_that_lack_something_say_so_and_are_removed_with_their_text():
    notebook = executed(voltage=False, spike_times=True)
    assert said(notebook)[3] == "Left out: this needs voltage (windows were imported)"
    _, first, *rest = said(remove_left_out(notebook))
    assert first == "What needs voltage is left out: windows were imported."
    assert rest == ["## 1.2 Looking", "And the windows.", "windows"]


def test_each_of_several_needs_counts():
    assert said(executed(voltage=True, spike_times=False))[-1] == (
        "Left out: this needs spike times (times are not known)"
    )


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_what_a_cell_needs_is_provided_above_and_its_figures_are_registered_to_need_it(path):
    provided = set()
    for cell in nbformat.read(path, as_version=4).cells:
        wanted = needs(cell.source) if cell.cell_type == "code" else []
        assert set(wanted) <= provided, cell.source
        if wanted:
            figures = re.findall(r'save_figure\(\s*\w+,\s*"(\w+)"', cell.source)
            assert {registry()[id].needs for id in figures} <= {wanted[-1]}
        provided |= set(re.findall(r'(?:provide|optional)\(\s*"([^"]+)"', cell.source))
