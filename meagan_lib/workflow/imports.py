"""Which modules of the library a piece of code depends on: what it imports, directly or through others.

A wing names what it offers in one table, ``submod_attrs`` of its ``__init__.py``: whoever imports a name from a wing
depends on the module that has it, not on the whole wing.
"""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path

from meagan_lib import ROOT

HARMLESS = ROOT / "meagan_lib" / "workflow" / "progress.py"
"""A module on which no result depends, and which many import."""


@cache
def offered(package: Path) -> dict[str, str]:
    """Return name → module for what the ``__init__.py`` of a wing offers; nothing for another package."""
    for node in ast.walk(ast.parse((package / "__init__.py").read_text())):
        if isinstance(node, ast.keyword) and node.arg == "submod_attrs":
            return {name: module for module, names in ast.literal_eval(node.value).items() for name in names}
    return {}


def _files(dotted: str) -> set[Path]:
    """Return the file of a module or of a name in it, all files of a wing, or the one with a name that it offers."""
    path = ROOT.joinpath(*dotted.split("."))
    for module in (path.with_suffix(".py"), path.parent.with_suffix(".py")):
        if module.is_file():
            return {module}
    package = path if path.is_dir() else path.parent
    if not (package / "__init__.py").is_file():
        return set()
    table = offered(package)
    if not table:  # such as plots, whose __init__.py imports what it offers
        return {package / "__init__.py"}
    modules = table.values() if path.is_dir() else [table[path.name]] if path.name in table else []
    return {package / f"{module}.py" for module in modules}


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield a module and its statements, those within others included: a tenth of what ``ast.walk`` goes through."""
    waiting = [tree]
    while waiting:
        yield (node := waiting.pop())
        for inner in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting += getattr(node, inner, ())


@cache
def imported(source: str) -> frozenset[Path]:
    """Return the files of the library that a piece of Python imports, absolute imports within functions included."""
    found: set[Path] = set()
    for node in statements(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            names = [module + alias.name for alias in node.names]
            found |= {file for name in names if name.split(".")[0] == "meagan_lib" for file in _files(name)}
    return frozenset(found | {ROOT / "meagan_lib" / "__init__.py"}) if found else frozenset()


def dependencies(source: str) -> list[Path]:
    """Return the files of the library that a piece of Python depends on."""
    found: set[Path] = set()
    waiting = set(imported(source))
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting |= imported(path.read_text()) - found - {HARMLESS}
    return sorted(found)


def sources_hash(modules: Iterable[str]) -> str:
    """Return the SHA-256 of the sources of ``modules`` of the library and of every other that they depend on."""
    ours = sorted(m for m in modules if m.split(".")[0] == "meagan_lib")
    files = dependencies("\n".join(f"import {module}" for module in ours))
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
