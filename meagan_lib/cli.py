"""The ``meagan`` command: run the notebooks of a run, look at one, check one."""

import errno
import fcntl
import json
import os
import re
import shutil
import signal
import sys
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from typing import Annotated

import click
import psutil
import typer
import yaml
from rich.console import Console
from rich.table import Table

from meagan_lib import ROOT, InputError, did_you_mean
from meagan_lib.experiments import benchmark, sweep
from meagan_lib.windows import merging
from meagan_lib.workflow import board, progress
from meagan_lib.workflow.execution import RESULTS, check_names_and_types, check_parameters, executed, part
from meagan_lib.workflow.files import DISK_FULL, atomic

PARAMS = ROOT / "params"
NETWORK = "05_organoid_network"
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
console = Console(markup=False, emoji=False)  # a path may hold [brackets] and :colons:


@app.command()
def run(
    preset: Annotated[
        str, typer.Argument(help="smoke, quick, full, ablation, utility or concepts: a file of params/")
    ] = "quick",
    recording: Annotated[
        list[str], typer.Option(help="a file, a name of data/catalogue.yaml, or 'simulated'; again for each further")
    ] = [],
    name: Annotated[str, typer.Option(help="name of the run: results/NAME and figures/NAME")] = "",
    set_: Annotated[list[str], typer.Option("--set", help="notebook.parameter=value, as often as you like")] = [],
    cores: Annotated[int, typer.Option(help="jobs side by side", min=1)] = os.cpu_count() or 1,
) -> None:
    """Execute the notebooks that are out of date, and show scores, figures and times."""
    parameters = resolve(preset, recording, set_)
    name = run_name(name or default_name(preset, recording))
    files = check(name, parameters)
    with exclusive(name):
        remove_stale(name)
        write_parameters(name, files)
        recordings = parameters.get(merging.FIRST, {}).get("recording", [])
        told = f"recordings {', '.join(recordings)}" if isinstance(recordings, list) else f"recording {recordings}"
        console.print(f"run {name} ({preset}){f', {told}' if recordings else ''}", soft_wrap=True)
        run_graph(name, cores)
    if section := sweep.section_in(parameters):
        sweep_summary(name, section)
    else:
        summary(name)
        book = f"make book NAME={name} makes pages of it, " if merging.FIRST in parameters else ""
        console.print(f"Next: {book}make lab opens the notebooks", soft_wrap=True)


@app.command()
def status(name: Annotated[str, typer.Argument(help="name of a run")] = "quick") -> None:
    """Show the scores, figures and times of a run."""
    summary(run_name(name))


@app.command()
def verify(name: Annotated[str, typer.Argument(help="name of a run")] = "quick") -> None:
    """Check that the figures of a run are those of its manifest, and its results those of its reference."""
    from meagan_lib.experiments import reference
    from meagan_lib.workflow import figures

    runs = [run_name(name), *(run for run in figures.parts(name) if belongs(run))]
    known = [id for run in runs for id in figures.manifest(run)]
    if not known:
        raise InputError(f"there are no figures of a run '{name}': make them with meagan run")
    complaints = [f"{run}/{told}".removeprefix(f"{name}/") for run in runs for told in figures.verify(run)]
    if complaints:
        told = "; ".join(complaints)
        raise InputError(
            f"{len(complaints)} of {len(known)} figures of '{name}' are not as made: {told}; delete those "
            f"pictures (.png), and the command that made the run makes them again"
        )
    console.print(f"{len(known)} figures of '{name}' are as made")
    kept = reference.load(name)
    if kept and (RESULTS / name / "scores.json").is_file():
        found = reference.compare(name, kept)
        for finding in found:
            console.print(f"{finding.level}: {finding.sentence}")
        if any(finding.holds is False for finding in found):
            failed = ", ".join(finding.level for finding in found if finding.holds is False)
            raise InputError(
                f"the results of '{name}' are not those of its reference: {failed}; if they are meant to differ, "
                f"meagan keep {name} makes them the reference"
            )


@app.command()
def keep(name: Annotated[str, typer.Argument(help="name of a finished run")]) -> None:
    """Keep the results of a run as its reference, figures/NAME/reference.json, which verify holds later runs against."""
    from meagan_lib.experiments import reference

    path = reference.keep(run_name(name))
    console.print(f"the results of '{name}' are kept in {path.relative_to(ROOT)}")


@app.command("book")
def make_book(name: Annotated[str, typer.Argument(help="name of a finished run")] = "quick") -> None:
    """Make the HTML book of a run: results/NAME/book."""
    from meagan_lib.book import building

    if not (RESULTS / run_name(name)).is_dir():
        raise InputError(f"there is nothing of a run '{name}' yet: make it with meagan run")
    with exclusive(name):
        page = building.build(name)
    size = sum(file.stat().st_size for file in page.parent.rglob("*") if file.is_file()) / 1e6
    where = f"{page.relative_to(ROOT)}, for any browser and any web host"
    console.print(f"book of run '{name}', {size:.0f} MB: {where}", soft_wrap=True)
    taught = any(chapter.run == building.CONCEPTS for chapter in building.chapters(name))
    if (PARAMS / f"{building.CONCEPTS}.yaml").is_file() and not taught:
        words = "the concepts of chapter 1 are not in it: make concepts executes them, then make book again"
        console.print(words, soft_wrap=True)


def run_name(name: str) -> str:
    """Check that ``name`` can name a run, and return it: it goes into paths and into command lines.

    Raises
    ------
    InputError
        Another name, or one that is too long for a folder.
    """
    if not re.fullmatch(r"\w[\w.-]{,99}", name):
        raise InputError(
            f"'{name}' cannot name a run: take at most 100 letters, digits, '_', '-' and '.', a letter or digit first"
        )
    return name


def belongs(run: str) -> bool:
    """Whether a part (``<run>/recordings/<label>``) is one of the recordings that its run was last asked for."""
    whole, _, label = run.partition("/recordings/")
    section, given = sweep.asked(whole)
    if section:
        return label in given["labels"]
    first = RESULTS / whole / "params" / f"{merging.FIRST}.yaml"
    return not first.is_file() or label in merging.parts(yaml.safe_load(first.read_text()))


def resolve(preset: str, recordings: list[str], overrides: list[str]) -> dict[str, dict]:
    """Parameters of every notebook, of the merge and of the benchmark: ``params/<preset>.yaml``, then the recordings, then
    ``notebook.name=value``. A single recording is a text, several are a list.

    Raises
    ------
    InputError
        An unknown preset, notebook or form of an override.
    """
    presets = {path.stem: path for path in sorted(PARAMS.glob("*.yaml"))}
    if preset not in presets:
        raise InputError(f"no run '{preset}'{did_you_mean(preset, presets)}; params/ has {', '.join(presets)}")
    parameters = read_yaml(presets[preset].read_text(), f"params/{preset}.yaml")
    if recordings and merging.FIRST not in parameters:
        raise InputError(
            f"run {preset} reads no recording: make windows of it with meagan run quick, and name that run with "
            f"--set {next(iter(parameters))}.windows=NAME"
        )
    if "" in recordings:
        raise InputError("--recording is empty: give a file, a name of data/catalogue.yaml, or 'simulated'")
    if recordings:
        # A path is one of the caller's folder; a name of the catalogue stays a name.
        paths = [Path(os.path.expanduser(recording)) for recording in recordings]  # pathlib's raises without a home
        parameters[merging.FIRST]["recording"] = [
            str(path.resolve()) if path.exists() else recording for path, recording in zip(paths, recordings)
        ]
    for override in overrides:
        target, equals, value = override.partition("=")
        notebook, dot, parameter = target.partition(".")
        if not (equals and dot):
            raise InputError(
                f"--set {override}: write it as notebook.parameter=value, such as 02_transformer_gan.steps=500"
            )
        if parameter == "name":
            raise InputError(f"--set {override}: all notebooks of a run share its name, so give it with --name")
        if notebook not in parameters:
            raise InputError(
                f"--set {override}: run {preset} has no '{notebook}'{did_you_mean(notebook, parameters)}; "
                f"it has {', '.join(parameters)}"
            )
        parameters[notebook][parameter] = read_yaml(value, f"--set {override}") if value else ""
    if spikes := parameters.get(NETWORK, {}).get("spikes"):
        path = Path(os.path.expanduser(str(spikes)))
        parameters[NETWORK]["spikes"] = str(path.resolve()) if path.exists() else spikes
    if merging.FIRST not in parameters:
        return parameters
    first = parameters[merging.FIRST]
    if first["recording"] == []:
        raise InputError("parameter 01_preprocessing.recording is an empty list: name at least one recording")
    if isinstance(first["recording"], list) and len(first["recording"]) == 1:
        first["recording"] = first["recording"][0]
    return parameters


def read_yaml(text: str, owner: str) -> object:
    """Read YAML; an error is told as one of its ``owner``.

    Raises
    ------
    InputError
        Text that is no YAML, such as a bracket without its partner.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" in line {place.line + 1}, column {place.column + 1}" if place else ""
        raise InputError(f"{owner} is not YAML: {getattr(error, 'problem', None) or error}{where}") from error


def default_name(preset: str, recordings: list[str]) -> str:
    """A run is called after its recording where one is given, after the first of several, or else after its preset."""
    if not recordings:
        return preset
    return merging.labels(recordings)[0] + (f"_and_{len(recordings) - 1}_more" if len(recordings) > 1 else "")


def check(name: str, parameters: dict[str, dict]) -> dict[Path, dict]:
    """The files of parameters that the graph of run ``name`` reads, with their contents.

    Of several recordings each has its own file for notebook 01, and the merge finds the list in that of the run. So has
    each rival of the benchmark.

    Raises
    ------
    InputError
        An unknown parameter, a value of another type, or a recording that cannot be used.
    """
    if section := sweep.section_in(parameters):
        return check_sweep(name, parameters, section)
    of_no_notebook = ("merge", benchmark.SECTION)
    given = {stem: section | {"name": name} for stem, section in parameters.items() if stem not in of_no_notebook}
    if merging.FIRST not in given:
        return {
            RESULTS / name / "params" / f"{notebook}.yaml": check_parameters(notebook, section)
            for notebook, section in given.items()
        }
    merge = merging.DECLARED | check_names_and_types("merge", parameters.get("merge", {}), merging.DECLARED)
    first = given[merging.FIRST]
    if (least := first.get("min_train_windows", 1)) < 1:
        raise InputError(f"parameter {merging.FIRST}.min_train_windows is {least}: it must be 1 or more")
    checked = {}
    if parts := merging.parts(first):
        check_parameters(merging.FIRST, given.pop(merging.FIRST) | {"recording": "one of several"})
        for label, section in parts.items():
            checked[part(name, label), merging.FIRST] = check_parameters(merging.FIRST, section)
    for notebook, section in given.items():
        checked[name, notebook] = check_parameters(notebook, section)
    checked |= {(name, file): section for file, section in benchmark.prepared(parameters).items()}
    refuse_spikes_early(checked.get((name, NETWORK), {}))
    if parts:
        merging.refuse_early(parts, merge["split_by"])
        checked[name, merging.FIRST] = first | merge
    elif first["recording"] != "simulated":
        from meagan_lib.recordings.opening import holds_windows, open_recording
        from meagan_lib.windows.imported import require_readable

        if holds_windows(first["recording"]):  # bad input is refused before anything starts
            require_readable(first["recording"])
        else:
            open_recording(first["recording"], well=first.get("well") or None, stream=first.get("stream") or None)
    return {RESULTS / run / "params" / f"{notebook}.yaml": section for (run, notebook), section in checked.items()}


def refuse_spikes_early(network: dict) -> None:
    """Raise before a run what notebook 05 would refuse at its end: the file of spikes, or the name of a treatment."""
    spikes, treatment = network.get("spikes"), network.get("treatment")
    if spikes or treatment:
        from meagan_lib.network import spike_files

        if spikes:
            spike_files.read_spikes(spikes)
        if treatment:
            spike_files.require_treated(treatment)


def check_sweep(name: str, parameters: dict[str, dict], section: str) -> dict[Path, dict]:
    """:func:`check` for a sweep: notebook 01 for each recording, and the section of the sweep."""
    prepared = sweep.prepared(parameters, name)
    checked = {
        RESULTS / part(name, label) / "params" / f"{merging.FIRST}.yaml": check_parameters(merging.FIRST, given)
        for label, given in prepared.items()
    }
    given = parameters[section] | {"labels": list(prepared)}
    sweep.module(section).cases(given)
    return checked | {RESULTS / name / "params" / f"{section}.yaml": given}


@contextmanager
def exclusive(name: str):
    """One command at a time for a run; a killed one leaves no lock behind, for the kernel keeps it."""
    folder = RESULTS / name
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"run '{name}' is already going: waiting for it to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove_stale(name: str) -> None:
    """Clear what a killed run left, and the receipts of results that have gone missing."""
    results = RESULTS / name
    for leftover in [*results.rglob(".*.part"), *(ROOT / "figures" / name).glob(".*.part")]:
        leftover.unlink()
    shutil.rmtree(results / ".staging", ignore_errors=True)
    for path in [*(results / "receipts").glob("*.json"), *(results / benchmark.SECTION).glob("*/*/receipt.json")]:
        try:
            receipt = json.loads(path.read_text())
            made = [results / p for p in receipt["products"]]
            made += [ROOT / "figures" / name / f"{id}.png" for id in receipt["figures"]]
            if receipt["notebook"] == path.stem:  # the merge of several recordings is no notebook
                made.append(executed(path.stem, name))
        except (ValueError, KeyError):
            made = [path / "unreadable"]
        if not all(file.exists() for file in made):
            path.unlink()
    for folder in results.glob("recordings/*/"):
        remove_stale(part(name, folder.name))


def write_parameters(name: str, files: dict[Path, dict]) -> None:
    """Write the ``files`` of :func:`check`, and remove what another kind of run of this name had."""
    for path, given in files.items():
        write_if_changed(path, yaml.safe_dump(given))
    for left in set((RESULTS / name / "params").rglob("*.yaml")) - set(files):
        left.unlink()


def write_if_changed(path: Path, content: str) -> None:
    """Write a file only when its content is new: its time is what tells the graph that a parameter changed."""
    if not path.is_file() or path.read_text() != content:
        with atomic(path) as temporary:
            temporary.write_text(content)


def run_graph(name: str, cores: int) -> None:
    """Run the Snakemake graph in this process; its own words go to ``results/<name>/snakemake.log``.

    Raises
    ------
    InputError
        When a notebook failed, with its sentence.
    """
    from snakemake.cli import main as snakemake

    def complaints() -> list[Path]:
        folder = RESULTS / name
        return [*sorted(folder.glob("recordings/*/receipts/*.failed")), *sorted(folder.glob("receipts/*.failed"))]

    for old in complaints():
        old.unlink()
    log = RESULTS / name / "snakemake.log"
    # Snakemake would take a name such as 2024_01 for a number; !!str is YAML's word for a text.
    arguments = [
        "--cores",
        str(cores),
        "--config",
        f"run=!!str {name}",
        "--quiet",
        "host",
        "reason",
        "rules",
        "--nolock",
        "--rerun-incomplete",
        "--rerun-triggers",
        "mtime",
        "--keep-going",
    ]
    os.chdir(ROOT)
    interrupted = []

    def remember(number, frame):  # Snakemake answers an interrupt by itself and only says that it failed
        interrupted.append(number)
        for job in psutil.Process().children(recursive=True):  # they resume from their checkpoints
            with suppress(psutil.NoSuchProcess):
                job.terminate()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, remember)
    with board.shown(RESULTS / name, console, log), open(log, "w") as file, redirect_stderr(file):
        try:
            snakemake(arguments)
        except (SystemExit, KeyboardInterrupt) as end:
            code = getattr(end, "code", 130)
        killed = progress.unfinished(RESULTS / name)
    if not (interrupted or code):
        return
    failed = {path: path.read_text().strip() for path in complaints()}
    stopped, done = ", ".join([path.stem for path in failed] or killed), with_results(name)
    kept = f"results of {done} are in results/{name} and figures/{name}" if done else "there are no results yet"
    console.print(f"  stopped in {stopped}; {kept}" if stopped else f"  {kept}", soft_wrap=True)
    if interrupted:
        raise KeyboardInterrupt
    if shutil.disk_usage(RESULTS / name).free < 2**16 and not any(failed.values()):
        raise InputError(DISK_FULL)
    if told := "; ".join(filter(None, dict.fromkeys(failed.values()))):
        raise InputError(told)
    told = (
        f"{', '.join(killed)} was stopped from outside, perhaps for want of memory: run again, or with --cores 1"
        if killed
        else f"the workflow engine, Snakemake, stopped with {engine_error(log.read_text())}"
    )
    raise InputError(f"{told}; the log is {log.relative_to(ROOT)}")


def engine_error(log: str) -> str:
    """Find the first error in the log of Snakemake and return it as one line; without one, the last line of the log.

    >>> engine_error('Building DAG of jobs...\\nWorkflowError:\\nNo rules.\\n\\nDone.')
    'WorkflowError: No rules.'
    """
    error = re.search(r"^[\w.]*(?:Error|Exception)\b.*(?:\n.+)*", log, re.MULTILINE)
    lines = [line.strip() for line in (error[0] if error else log).splitlines() if line.strip()]
    return " ".join(lines if error else lines[-1:]) or "no word of why"


def with_results(name: str) -> str:
    """The jobs of a run that have left results."""
    results = RESULTS / name
    done = [path.stem for path in sorted((results / "receipts").glob("*.json"))]
    section, _ = sweep.asked(name)
    parts = [
        (results.glob("recordings/*/receipts/*.json"), "recording"),
        (results.glob(f"{benchmark.SECTION}/*/*/receipt.json"), "fit"),
        (results.glob(f"{section}/*/*.json") if section else (), "case"),
    ]
    counted = [f"{n} {kind}{'s' * (n > 1)}" for found, kind in parts if (n := len(list(found)))]
    return ", ".join(done + counted)


def sweep_summary(name: str, section: str) -> None:
    """The closing table of a sweep."""
    path = RESULTS / name / f"{section}.csv"
    title, found = sweep.module(section).summary(path)
    table = Table(title=f"Run {name}: {title}; {path.relative_to(ROOT)}", title_justify="left")
    for column in found:
        table.add_column(column)
    for row in found.itertuples(index=False):
        table.add_row(*row)
    console.print(table)


def summary(name: str) -> None:
    """The closing tables: scores beside floor and reach, where the run has scores, then figures and times."""
    receipts = [json.loads(path.read_text()) for path in sorted((RESULTS / name / "receipts").glob("*.json"))]
    scores_file = RESULTS / name / "scores.json"
    if scores_file.is_file():
        matched_file = scores_file.with_name("moment_matching.json")
        matched = json.loads(matched_file.read_text()) if matched_file.is_file() else {}
        scores_table(name, json.loads(scores_file.read_text()), matched)
    elif not receipts:
        raise InputError(f"there is nothing of a run '{name}' yet: make it with meagan run")
    recordings = {label: counts for receipt in receipts for label, counts in receipt.get("recordings", {}).items()}
    for label in recordings:
        for path in (RESULTS / part(name, label) / "receipts").glob("*.json"):
            receipt = json.loads(path.read_text())
            receipts.append(receipt | {"notebook": f"{receipt['notebook']} {label}"})
    if trained := [
        json.loads(path.read_text()) for path in (RESULTS / name / benchmark.SECTION).glob("*/*/receipt.json")
    ]:
        seconds = sum(receipt["seconds"] for receipt in trained)
        receipts.append({"notebook": f"{benchmark.SECTION} ({len(trained)} fits)", "seconds": seconds, "figures": []})
    where = f"figures/{name}" + (f" and figures/{name}/recordings" if recordings else "")
    times = Table(title=f"Figures in {where}, notebooks in results/{name}/notebooks", title_justify="left")
    for column in ("notebook", "seconds", "figures"):
        times.add_column(column, justify="right" if column == "seconds" else "left", overflow="fold")
    for receipt in receipts:
        times.add_row(receipt["notebook"], f"{receipt['seconds']:.0f}", ", ".join(receipt["figures"]))
    if recordings:
        shares = Table(title="Windows by recording", title_justify="left")
        for column in ("", *(splits := ("train", "validation", "test"))):
            shares.add_column(column, justify="right" if column else "left")
        for label, counts in recordings.items():
            shares.add_row(label, *(str(counts[split]) for split in splits))
        console.print(shares)
    console.print(times)


SHOWN = {
    "passes": "passes",
    "c2st_auc": "AUC trees",
    "c2st_cnn_auc": "AUC CNN",
    "coverage": "coverage",
    "frechet_distance": "Fréchet",
    "log_spectral_distance": "spectral",
}
"""Scores of the closing table, out of all that notebook 04 has, with their headings."""


def scores_table(name: str, scores: dict[str, dict], matched: dict[str, dict]) -> None:
    """A few scores of every model of a run, with floor and reach; ``scores``: model → metric → value, floor, …

    ``matched``: the same of the networks after moment matching, each a line below its own.
    """
    shown = [metric for metric in SHOWN if metric in scores["reach"]]
    title = f"Scores of run {name}, against held-out real windows; below a network, with its moments matched"
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for metric in shown:
        table.add_column(SHOWN[metric], justify="right")
    table.add_row("floor", *(f"{scores['reach'][metric]['floor']:.3f}" for metric in shown))
    for model, of in scores.items():
        table.add_row(model.replace("_", " "), *(f"{of[metric]['value']:.3f}" for metric in shown))
        if model in matched:
            values = (f"{matched[model][metric]['value']:.3f}" for metric in shown)
            table.add_row("  matched", *values, style="dim")
    console.print(table)
    console.print(f"All {len(scores['reach'])} scores, with intervals: results/{name}/scores.json and notebook 04")


def main() -> None:
    """Entry point: bad input ends in one sentence and exit code 1, an interrupt in 130."""
    try:
        if code := app(standalone_mode=False):  # typer returns what it was asked to exit with: 130 after an interrupt
            if code == 130:
                raise KeyboardInterrupt
            sys.exit(code)
    except InputError as error:
        print(f"meagan: {error}", file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):  # click turns the one into the other
        print("meagan: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        place = error.filename or "a file of the run"
        refused = f"no right to use {place}: change its permissions, or work in a folder of your own"
        print(f"meagan: {DISK_FULL if error.errno == errno.ENOSPC else refused}", file=sys.stderr)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)


if __name__ == "__main__":
    main()
