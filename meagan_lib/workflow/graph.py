"""The graph of a run: Snakemake in this process, one command at a time, and what a killed run left cleared away."""

import base64
import fcntl
import os
import re
import shutil
import signal
from collections.abc import Container
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from unittest.mock import patch

import psutil
import yaml
from rich.console import Console

from meagan_lib import ROOT, InputError
from meagan_lib.workflow import board, cluster, figures, progress
from meagan_lib.workflow.execution import RESULTS, executed, part, read_receipt
from meagan_lib.workflow.files import DISK_FULL, is_disk_full, read_json, sha256, write_if_changed
from meagan_lib.workflow.machine import available_cores

console = Console(markup=False, emoji=False)  # a path may hold [brackets] and :colons:


@contextmanager
def exclusive(name: str):
    """Let one command at a time work on a run; a killed one leaves no lock behind, for the kernel keeps it."""
    folder = RESULTS / name
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"run '{name}' is already going: waiting for it to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove_leftovers(name: str) -> None:
    """Clear what killed jobs left half written."""
    results, pictures = RESULTS / name, figures.folder(name)
    for leftover in [*results.rglob(".*.part"), *pictures.glob(".*.part")]:
        leftover.unlink()
    for staging in [*results.rglob(".staging")]:
        shutil.rmtree(staging, ignore_errors=True)


def remove_stale(name: str) -> None:
    """Clear what a killed run left, in a queue as well, and the receipts of results that are not as they were written.

    ``InputError``: a damaged manifest of figures.
    """
    results, known = RESULTS / name, figures.manifest(name)
    cluster.cancel(results / "snakemake.log")
    remove_leftovers(name)
    for path in [*results.glob("receipts/*.json"), *results.glob("*/*/*/receipt.json")]:
        if not is_as_written(path, name, known):
            path.unlink()
    for folder in results.glob("recordings/*/"):
        remove_stale(part(name, folder.name))


def is_as_written(receipt: Path, run: str, known: Container[str]) -> bool:
    """Say whether a receipt of a run is sound, its figures are ``known``, its files there, and none changed since.

    Files that are older than it are taken on trust: to hash them all takes seconds.
    """
    written = receipt.stat().st_mtime_ns
    try:
        told = read_receipt(receipt)
        made = [figures.folder(run) / f"{id}.png" for id in told["figures"]]
    except (InputError, KeyError):
        return False
    if told["notebook"] == receipt.stem:  # the merge of several recordings is no notebook
        made.append(executed(receipt.stem, run))
    products = {RESULTS / run / product: digest for product, digest in told.get("products", {}).items()}
    if not all(id in known for id in told["figures"]) or not all(file.exists() for file in [*made, *products]):
        return False
    return all(file.stat().st_mtime_ns <= written or sha256(file) == digest for file, digest in products.items())


def forget(name: str) -> None:
    """Have Snakemake forget what it has seen of a run, whose results now come from elsewhere.

    It would take a parameter file that it has seen before, under this name, for one that has not changed.
    """
    folder = ROOT / ".snakemake" / "metadata"
    for record in [path for path in folder.rglob("*") if path.is_file()]:
        encoded = "".join(part.removeprefix("@") for part in record.relative_to(folder).parts)  # long names are folders
        if base64.urlsafe_b64decode(encoded).startswith(f"results/{name}/".encode()):
            record.unlink()


def write_parameters(name: str, files: dict[Path, dict]) -> None:
    """Write files of parameters with their contents, and remove what another kind of run of this name had.

    Its notebooks' figures and scores would be taken for this run's; what was trained stays.
    """
    for path, given in files.items():
        write_if_changed(path, yaml.safe_dump(given))
    for left in set((RESULTS / name / "params").rglob("*.yaml")) - set(files):
        left.unlink()
        receipt = RESULTS / name / "receipts" / left.name.replace(".yaml", ".json")
        with suppress(InputError):
            for product in read_json(receipt).get("products", ()):
                if Path(product).suffix == ".json" and Path(product).name == product:
                    (RESULTS / name / product).unlink(missing_ok=True)
        receipt.unlink(missing_ok=True)
        figures.withdraw(name, left.stem)


def run_graph(name: str, cores: int | None, profile: str = "") -> None:
    """Run the Snakemake graph in this process; its own output goes to ``results/<name>/snakemake.log``.

    Jobs run here, on so many ``cores``, or where a ``profile`` says (:mod:`meagan_lib.workflow.cluster`). None are all
    cores that this process may use, or as many jobs as the profile says.

    ``InputError``: when a notebook failed, with its sentence, or a profile that cannot be used.
    """
    from snakemake.cli import main as snakemake
    from snakemake.scheduling.job_scheduler import JobScheduler

    def complaints() -> list[Path]:
        folder = RESULTS / name
        return [*sorted(folder.glob("recordings/*/receipts/*.failed")), *sorted(folder.glob("receipts/*.failed"))]

    for old in complaints():
        old.unlink()
    log = RESULTS / name / "snakemake.log"
    # Snakemake would take a name such as 2024_01 for a number; !!str is YAML's word for a text.
    flags = "--quiet host reason rules --nolock --rerun-incomplete --rerun-triggers mtime --keep-going"
    place = cluster.ready_profile(profile) if profile else None
    arguments = ["--workflow-profile", str(place)] if place else []
    if cores or not place:
        arguments += ["--cores", str(cores or available_cores())]
    arguments += ["--config", f"run=!!str {name}", *flags.split()]
    os.chdir(ROOT)
    interrupted = []

    def remember(number, frame):  # Snakemake answers it by itself: it says that it failed, or lets the jobs end
        interrupted.append(number)
        for job in psutil.Process().children(recursive=True):  # they resume from their checkpoints
            with suppress(psutil.NoSuchProcess):
                job.kill() if place else job.terminate()  # Snakemake would first submit what it has planned
        signal.default_int_handler(number, frame)

    # the end of a session, too: of a cluster, jobs would go on without anybody who looks after them
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup has it ignored
            signal.signal(number, remember)
    with (
        board.shown(RESULTS / name, console, log, bool(place)),
        open(log, "w") as file,
        redirect_stderr(file),
        patch.object(JobScheduler, "exit_gracefully", lambda _, *told: remember(*told)),
    ):
        try:
            code = cluster.run_engine(arguments, file) if place else snakemake(arguments)
        except (SystemExit, KeyboardInterrupt) as end:
            code = getattr(end, "code", 130)
        killed = ", ".join(progress.unfinished(RESULTS / name))
    if place and not code:  # jobs may have been killed, and have come to an end at another attempt
        remove_leftovers(name)
    if not (interrupted or code):
        return
    failed = {path: path.read_text().strip() for path in complaints()}
    stopped, done = ", ".join(path.stem for path in failed) or killed, with_results(name)
    kept = f"results of {done} are in results/{name} and figures/{name}" if done else "there are no results yet"
    console.print(f"  stopped in {stopped}; {kept}" if stopped else f"  {kept}", soft_wrap=True)
    if interrupted:
        if place:
            cluster.cancel(log, place)
            console.print("  its jobs in the queue are cancelled")
        raise KeyboardInterrupt if signal.SIGINT in interrupted else SystemExit(128 + interrupted[0])
    if sentences := "; ".join(filter(None, dict.fromkeys(failed.values()))):
        raise InputError(sentences)
    if is_disk_full(RESULTS / name):
        raise InputError(DISK_FULL)
    reason = f"the workflow engine, Snakemake, stopped with {engine_error(log.read_text())}"
    if killed:
        reason = f"{killed} was stopped from outside, perhaps for want of memory: run again, or with --cores 1"
    if place and (told := cluster.explained(log.read_text())):
        reason = f"{f'{killed} did not end: ' * bool(killed)}{told}"
    raise InputError(f"{reason}; the log is {log.relative_to(ROOT)}")


def engine_error(log: str) -> str:
    r"""Find the first error in the log of Snakemake and return it as one line; without one, the last line of the log.

    >>> engine_error('Building DAG of jobs...\nWorkflowError:\nNo rules.\n\nDone.')
    'WorkflowError: No rules.'
    """
    error = re.search(r"^[\w.]*(?:Error|Exception)\b.*(?:\n.+)*", log, re.MULTILINE)
    lines = [line.strip() for line in (error[0] if error else log).splitlines() if line.strip()]
    return " ".join(lines if error else lines[-1:]) or "no word of why"


def with_results(name: str) -> str:
    """Say which jobs of a run have left results."""
    results = RESULTS / name
    sections = [path.stem for path in (results / "params").glob("*.yaml")]
    counted = [
        ("recording", list(results.glob("recordings/*/receipts/*.json"))),
        ("fit", list(results.glob("*/*/*/receipt.json"))),
        ("case", [path for section in sections for path in results.glob(f"{section}/*/*.json")]),
    ]
    done = [path.stem for path in sorted(results.glob("receipts/*.json"))]
    return ", ".join(done + [f"{len(found)} {what}{'s' * (len(found) > 1)}" for what, found in counted if found])
