"""Which modules of the library a piece of code depends on: what it imports, directly or through others."""

import ast
from collections.abc import Collection, Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path

from meagan_lib import ROOT


@cache
def imported(source: str) -> frozenset[Path]:
    """Files of the library that a piece of Python imports, absolute imports within functions included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "meagan_lib":
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {a.name for a in node.names if a.name.split(".")[0] == "meagan_lib"}
    files = set()
    for name in names:
        base = ROOT.joinpath(*name.split("."))
        files |= {path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()}
    return frozenset(files)


def dependencies(source: str, harmless: Collection[Path] = ()) -> list[Path]:
    """Files of the library that a piece of Python depends on, without the ``harmless`` where others import them."""
    found: set[Path] = set()
    waiting = set(imported(source))
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting |= imported(path.read_text()) - set(harmless)
    return sorted(found)


def sources_hash(modules: Iterable[str]) -> str:
    """SHA-256 of the sources of ``modules`` of the library and of every other that they depend on."""
    ours = sorted(m for m in modules if m.split(".")[0] == "meagan_lib")
    files = dependencies("\n".join(f"import {module}" for module in ours))
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
