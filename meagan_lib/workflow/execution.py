"""Execute a notebook with papermill: strict parameters, figures that appear only on success, normalised output."""

import argparse
import ast
import json
import os
import re
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from unittest.mock import patch

from meagan_lib import ROOT, InputError, did_you_mean
from meagan_lib.values import is_number, of_type
from meagan_lib.workflow import figures, progress
from meagan_lib.workflow.files import (
    DISK_FULL,
    FULL,
    atomic,
    is_disk_full,
    read_json,
    read_parameters,
    refusal,
    sha256,
    write_if_changed,
    write_json,
)
from meagan_lib.workflow.imports import dependencies
from meagan_lib.workflow.machine import place_of_its_own
from meagan_lib.workflow.sections import needs, remove_left_out

if TYPE_CHECKING:  # it takes seconds, which kernels and fits, that read no notebook, need not wait
    from nbformat import NotebookNode

NOTEBOOKS = ROOT / "notebooks"
RESULTS = ROOT / "results"
ASKED_FOR = {"a learned detector": ("detector", "learned")}
"""What cells need that a run has if it asks for it: by which parameter, and with which value."""
NO_MEMORY = "there is not enough memory ({}): ask for less, such as a shorter recording or smaller batches"
"""What is said where numpy or torch find none, with their words."""
GLIBC = "glibc.malloc.mmap_threshold=4194304:glibc.malloc.hugetlb=1"
"""Settings of Linux's malloc: an array of 4 MB goes back to the system when it is freed, and lies in large pages."""


def is_run(name: str) -> bool:
    """Return whether there is a run of this name, which no path has."""
    return Path(name).name == name and (RESULTS / name / "params").is_dir()


def find_notebook(name: str) -> Path:
    """Return the source of a notebook, by its stem.

    ``InputError``: no such notebook, with the nearest name.
    """
    stems = {path.stem: path for path in sorted(NOTEBOOKS.rglob("*.ipynb"))}
    if name not in stems:
        raise InputError(f"no notebook '{name}'{did_you_mean(name, stems)}")
    return stems[name]


def code_cells(notebook: Path) -> list[tuple[list[str], str]]:
    """Return tags and source of each code cell."""
    cells = json.loads(notebook.read_text())["cells"]
    return [(c["metadata"].get("tags", []), "".join(c["source"])) for c in cells if c["cell_type"] == "code"]


def declared_parameters(notebook: Path) -> dict[str, object]:
    """Return names and default values of the cell tagged ``parameters``: literals only, one a line."""
    for tags, source in code_cells(notebook):
        if "parameters" in tags:
            statements = ast.parse(source).body
            return {s.targets[0].id: ast.literal_eval(s.value) for s in statements}
    return {}


def check_parameters(notebook: str, given: Mapping[str, object]) -> dict[str, object]:
    """Return ``given``, as :func:`check_names_and_types` does, where the notebook declares the parameters."""
    return check_names_and_types(f"notebook {notebook}", given, declared_parameters(find_notebook(notebook)))


def check_names_and_types(owner: str, given: Mapping[str, object], declared: Mapping[str, object]) -> dict[str, object]:
    """Return ``given``, where each name is ``declared`` and each value has the type of the declared one.

    ``InputError``: an unknown name (with the nearest one; the sentence begins with the ``owner``), or a value that
    :func:`~meagan_lib.values.of_type` refuses.
    """
    checked = {}
    for name, value in given.items():
        if name not in declared:
            raise InputError(
                f"{owner} has no parameter '{name}'{did_you_mean(name, declared)}; it has {', '.join(declared)}"
            )
        checked[name] = of_type(value, declared[name], f"{owner.split()[-1]}.{name}")
    return checked


def library_inputs(notebook: str, parameters: Mapping[str, object] = MappingProxyType({})) -> list[str]:
    """Return the modules of the library that a notebook uses, directly or through others, as paths.

    An edit of one of these can change what the notebook gives; an edit of any other cannot. What only cells import
    that the ``parameters`` do not ask for (:data:`ASKED_FOR`) is not used. A job that is a module of the library, such
    as ``meagan_lib.windows.merging``, counts as a notebook that imports it.
    """
    if notebook.startswith("meagan_lib."):
        source = f"import {notebook}"
    else:
        lacking = {what for what, (name, value) in ASKED_FOR.items() if parameters.get(name) != value}
        sources = (source for _, source in code_cells(find_notebook(notebook)))
        source = "\n".join(source for source in sources if not lacking & set(needs(source)))
    return [str(path.relative_to(ROOT)) for path in dependencies(source)]


def part(run: str, label: str) -> str:
    """Name the run within ``run`` that prepares one of its several recordings: ``<run>/recordings/<label>``.

    It is a run like any other, with parameters, windows, figures and receipts of its own.
    """
    return f"{run}/recordings/{label}"


def whole_and_label(run: str) -> tuple[str, str]:
    """Return the run that a :func:`part` belongs to, and its label; of any other run itself, and nothing."""
    whole, _, label = run.partition("/recordings/")
    return whole, label


def executed(notebook: str, run: str, suffix: str = "ipynb") -> Path:
    """Return where an executed notebook lies: all of a run in one folder, those of a :func:`part` with its label."""
    whole, label = whole_and_label(run)
    return RESULTS / whole / "notebooks" / ".".join(filter(None, (notebook, label, suffix)))


def execute(notebook: str, parameters: Mapping[str, object], run: str, products: list[str], threads: int) -> dict:
    """Execute a notebook with papermill for a run and return its receipt.

    Executed notebooks go to ``results/<run>/notebooks/`` as ``.ipynb`` and ``.html``, figures to ``figures/<run>/``,
    the receipt (seconds, hashes of the ``products``) to ``results/<run>/receipts/``: all of them only on success.
    Cells for which the run lacks something are left out (:mod:`meagan_lib.workflow.sections`).

    ``InputError``: bad parameters, bad input met by the notebook, a registered figure or product that was not made, or
    any other failure of the notebook, in a sentence; the notebook as far as it got is left as ``*.failed.ipynb``.
    """
    import nbformat
    import papermill
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from nbconvert import HTMLExporter
    from papermill.exceptions import PapermillExecutionError

    source = find_notebook(notebook)
    checked = check_parameters(notebook, parameters)
    results = RESULTS / run
    failed = executed(notebook, run, "failed.ipynb")
    failed.parent.mkdir(parents=True, exist_ok=True)
    failed.unlink(missing_ok=True)
    places = results / ".staging"
    places.mkdir(parents=True, exist_ok=True)
    # Of each attempt its own: on a cluster one may go on that the scheduler has given up.
    with tempfile.TemporaryDirectory(prefix=f"{notebook}-", dir=places) as staging:
        draft = Path(staging) / f"{notebook}.ipynb"
        started = time.monotonic()
        variables = {figures.STAGING: staging, "OMP_NUM_THREADS": str(threads), "PYTHONHASHSEED": "0"}
        variables["GLIBC_TUNABLES"] = os.environ.get("GLIBC_TUNABLES", GLIBC)
        options = {"kernel_name": "python3", "progress_bar": False, "cwd": ROOT}
        cells = []  # what was begun, for papermill writes nothing when Python dies; twice a cell would take a second
        options |= {"request_save_on_cell_execute": False, "on_cell_start": lambda cell, **_: cells.append(cell)}
        with patch.dict(os.environ, variables):
            try:
                options["on_cell_execute"] = progress.by_cell(source)
                begun(lambda: papermill.execute_notebook(source, draft, checked, **options))
            except (PapermillExecutionError, CellExecutionError, DeadKernelError) as error:
                if draft.is_file():
                    os.replace(draft, failed)
                else:
                    nbformat.write(nbformat.v4.new_notebook(cells=cells), failed)
                raise InputError(_sentence(error, failed)) from error
        content = normalise(remove_left_out(nbformat.read(draft, as_version=4)))
        seconds = time.monotonic() - started

        if missing := [p for p in products if not (results / p).is_file()]:
            raise InputError(f"notebook {notebook} did not write {', '.join(missing)}")
        hashes = {path: sha256(ROOT / path) for path in library_inputs(notebook)}
        provenance = {"parameters": checked, "library_sha256": hashes}
        made = figures.publish(Path(staging), run, notebook, provenance)
    with atomic(executed(notebook, run)) as temporary:
        nbformat.write(content, temporary)
    page, _ = HTMLExporter(embed_images=True).from_notebook_node(content)
    write_if_changed(executed(notebook, run, "html"), page)
    receipt = {"notebook": notebook, "seconds": round(seconds, 1), "figures": made}
    receipt["products"] = {p: sha256(results / p) for p in products}
    write_json(results / "receipts" / f"{notebook}.json", receipt)
    return receipt


def begun(execute: Callable[[], object]) -> None:
    """Execute, and once more where Python did not begin: of several that begin at once one may find its ports taken."""
    try:
        execute()
    except RuntimeError as error:
        if not str(error).startswith("Kernel died before replying"):
            raise
        execute()


def normalise(notebook: "NotebookNode") -> "NotebookNode":
    """Take out what differs between two runs of the same: timings, paths, random cell ids."""
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"
    return notebook


def _sentence(error: Exception, failed: Path) -> str:
    """Say what went wrong in a notebook: the library's own sentence, or the error and where to look."""
    name, value = getattr(error, "ename", type(error).__name__), str(getattr(error, "evalue", error)).strip()
    if name == "InputError":
        return value
    if name == "OSError" and any(os.strerror(number) in value for number in FULL):
        return DISK_FULL
    if number := re.search(r"errno\D{1,3}(\d+)", value, re.IGNORECASE):  # "[Errno 13]", "errno = 13"
        place = re.search(r"(?:: |name = )'(.+?)'", value)
        if words := refusal(OSError(int(number[1]), "", place and place[1])):
            return words
    if name == "DeadKernelError":
        return f"the notebook's Python was killed (out of memory?); see {failed.relative_to(ROOT)}"
    first = value.splitlines()[0] if value else ""
    if name.endswith("MemoryError") or "can't allocate memory" in first:  # numpy, and torch
        return NO_MEMORY.format(first)
    return f"{name}: {first} (in {failed.stem.removesuffix('.failed')}; the traceback is in {failed.relative_to(ROOT)})"


def receipts(results: Path) -> list[dict]:
    """Return the receipts of the notebooks of the run whose results lie in a folder. ``InputError``: a damaged one."""
    return [read_receipt(path) for path in sorted((results / "receipts").glob("*.json"))]


def read_receipt(path: Path) -> dict:
    """Return a receipt. ``InputError``: a damaged one."""

    def sound(found: dict) -> bool:
        if "failed" in found:
            return True
        files, took, names = found.get("products", {}), found.get("seconds"), found.get("figures")
        if not (isinstance(files, dict) and isinstance(names, list) and is_number(took) and 0 <= took < 1e9):
            return False
        return all(isinstance(word, str) for word in (found.get("notebook"), *names, *files.values()))

    return read_json(path, sound)


def require_finished(run: str) -> None:
    """Refuse a run some of whose scores are of other parameters than it has now: its last attempt came to no end."""
    folder = RESULTS / run
    for given in [path for of in ("*.yaml", "benchmark/*.yaml") for path in sorted((folder / "params").glob(of))]:
        notebook = given.stem if given.stem[0].isdigit() else "04_results_comparison"
        receipt = folder / "receipts" / f"{notebook}.json"
        if not receipt.is_file() or receipt.stat().st_mtime < given.stat().st_mtime:
            raise InputError(
                f"run '{run}' has not ended with its parameters of {given.stem}: finish it with meagan run"
            )


def results_folder(run: str) -> Path:
    """Return where the results of a run lie: ``results/<run>/`` of the checkout, made when missing."""
    folder = RESULTS / run
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def die_with(parent: int) -> None:
    """End this process when ``parent`` has died, so that a killed run leaves nothing behind that still writes."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.3)
        os._exit(137)

    threading.Thread(target=watch, daemon=True).start()


def job(name: str, run: str, work: Callable[[], dict], instead: Path | None = None) -> int:
    """Do one job of the graph and return its exit code; ``work`` writes the receipt and returns it.

    What went wrong is left in ``receipts/<name>.failed`` as one sentence, warnings in ``receipts/<name>.log``; where
    ``instead`` is the path of a receipt, it is left there, as ``failed``, and the graph goes on. A full disk stops it.
    """
    die_with(os.getppid())
    whole, label = whole_and_label(run)
    title = f"{name} {label}".strip()
    complaint = RESULTS / run / "receipts" / f"{name}.failed"
    complaint.parent.mkdir(parents=True, exist_ok=True)
    complaint.unlink(missing_ok=True)
    log_file = complaint.with_suffix(".log")
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(log, 2)  # warnings of the kernel and of libraries, for whoever looks for them
    try:
        with place_of_its_own(), progress.noted(title, RESULTS / whole):
            work()
    except Exception as error:
        if isinstance(error, OSError) and is_disk_full(complaint.parent, error):
            sentence = DISK_FULL
        elif isinstance(error, OSError) and refusal(error):
            sentence = refusal(error)
        elif isinstance(error, MemoryError):
            sentence = NO_MEMORY.format(error)
        elif isinstance(error, InputError):
            sentence = f"recording {label}: {error}" if label else str(error)
        else:
            traceback.print_exc()
            where = f"traceback in {log_file.relative_to(ROOT)}"
            sentence = f"{title} stopped with {type(error).__name__}: {error} ({where})"
        if instead and not is_disk_full(complaint.parent, error):
            write_json(instead, {"failed": sentence.removeprefix(f"recording {label}: ")})
            return 0
        complaint.write_text(f"{sentence}\n")
        return 1
    return 0


def main() -> int:
    """Do one job of the graph: ``python -m meagan_lib.workflow.execution NOTEBOOK RUN PARAMETERS.yaml``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("notebook")
    parser.add_argument("run")
    parser.add_argument("parameters", type=Path)
    parser.add_argument("--products", nargs="*", default=[])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--go-on", action="store_true", help="leave a failure in the receipt, and let the graph go on")
    a = parser.parse_args()
    parameters = read_parameters(a.parameters)
    instead = RESULTS / a.run / "receipts" / f"{a.notebook}.json" if a.go_on else None
    return job(a.notebook, a.run, lambda: execute(a.notebook, parameters, a.run, a.products, a.threads), instead)


if __name__ == "__main__":
    sys.exit(main())
