"""The house: what a wing may import, modules at one sitting, notebooks that import from wings, ruff."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from meagan_lib import ROOT
from meagan_lib.workflow.execution import NOTEBOOKS, code_cells

LIBRARY = ROOT / "meagan_lib"
LONGEST = 450
"""Lines of a module; a longer one gives its reason in its docstring, in a sentence that begins ``Long because``."""
WINGS = sorted(path.parent.name for path in LIBRARY.glob("*/__init__.py"))
ABOVE = {"cli", "parameters"}
"""Modules beside the wings, which may import all."""


def rules() -> dict[str, set[str]]:
    """Wing → wings that it may import, as the table of CONTRIBUTING.md says."""
    rows = re.findall(r"^\| `(\w+)/` \|.*\| ([^|]+) \|$", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.M)
    return {wing: {*WINGS, *ABOVE} if "all" in may else set(re.findall(r"`(\w+)`", may)) for wing, may in rows}


def imported_wings(path: Path) -> set[str]:
    """Wings whose modules a module imports, within functions and for types, too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name} has a relative import, which names no wing"
            if node.module.split(".")[0] == "meagan_lib":
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("meagan_lib.")}
    return {name.split(".")[1] for name in names} & {*WINGS, *ABOVE}


def test_the_table_of_contributing_names_every_wing():
    assert sorted(rules()) == WINGS


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_imports_what_the_table_allows(wing):
    allowed = rules()[wing] | {wing}
    wrong = {path.name: bad for path in (LIBRARY / wing).glob("*.py") if (bad := imported_wings(path) - allowed)}
    assert not wrong


def test_imports_run_one_way():
    """Take wings away whose imports are gone, again and again: nothing is left over, so there is no circle."""
    left = {wing: may - {wing} for wing, may in rules().items() if wing != "book"}
    while ready := [wing for wing, may in left.items() if not may & set(left)]:
        for wing in ready:
            del left[wing]
    assert not left


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("*.py")), ids=lambda p: str(p.relative_to(LIBRARY)))
def test_a_module_is_short_or_says_why_not(path):
    source = path.read_text()
    assert source.count("\n") <= LONGEST or "Long because" in ast.get_docstring(ast.parse(source))


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.rglob("*.ipynb")), ids=lambda p: p.stem)
def test_a_notebook_imports_from_wings_and_is_stored_without_outputs(path):
    inside = []
    for _, source in code_cells(path):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("meagan_lib."):
                inside += [node.module] * (node.module.count(".") > 1)
            elif isinstance(node, ast.Import):
                inside += [alias.name for alias in node.names if alias.name.startswith("meagan_lib.")]
    assert not inside
    cells = json.loads(path.read_text())["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


@pytest.mark.parametrize("command", (["check"], ["format", "--check"]), ids=" ".join)
def test_ruff_has_no_complaint(command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--quiet", "."], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:]
