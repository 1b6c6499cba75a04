"""The ``meagan`` command: run the notebooks of a run, look at one, check one."""

import errno
import json
import os
import re
import sys
from typing import TYPE_CHECKING, Annotated

import click
import typer
import yaml
from rich.table import Table

from meagan_lib import ROOT, InputError
from meagan_lib.experiments import benchmark, sweep
from meagan_lib.parameters import PARAMS, check, default_name, in_full, resolve
from meagan_lib.windows import merging
from meagan_lib.workflow.execution import RESULTS, part
from meagan_lib.workflow.files import DISK_FULL
from meagan_lib.workflow.graph import console, exclusive, remove_stale, run_graph, write_parameters

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def run(
    preset: Annotated[
        str, typer.Argument(help="smoke, quick, full, ablation, utility, annotation or concepts: a file of params/")
    ] = "quick",
    recording: Annotated[
        list[str], typer.Option(help="a file, a name of data/catalogue.yaml, or 'simulated'; again for each further")
    ] = (),
    name: Annotated[str, typer.Option(help="name of the run: results/NAME and figures/NAME")] = "",
    set_: Annotated[list[str], typer.Option("--set", help="notebook.parameter=value, as often as you like")] = (),
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
        of = f"recordings {', '.join(recordings)}" if isinstance(recordings, list) else f"recording {recordings}"
        console.print(f"run {name} ({preset}){f', {of}' if recordings else ''}", soft_wrap=True)
        run_graph(name, cores)
    summary(name)
    if not sweep.section_in(parameters):
        book = f"make book NAME={name} makes pages of it, " if merging.FIRST in parameters else ""
        console.print(f"Next: {book}make lab opens the notebooks", soft_wrap=True)


@app.command()
def status(name: Annotated[str, typer.Argument(help="name of a run")] = "quick") -> None:
    """Show the scores, figures and times of a run."""
    summary(run_name(name))


@app.command()
def params(preset: Annotated[str, typer.Argument(help="a file of params/")] = "quick") -> None:
    """Print all parameters of a run: the defaults of the notebooks, and what its preset changes."""
    print(in_full(preset))


@app.command()
def verify(name: Annotated[str, typer.Argument(help="name of a run")] = "quick") -> None:
    """Check that the figures of a run are those of its manifest, and its results those of its reference."""
    from meagan_lib.experiments import reference
    from meagan_lib.workflow import figures

    runs = [run_name(name), *(run for run in figures.parts(name) if belongs(run))]
    known = [id for run in runs for id in figures.manifest(run)]
    if not known:
        raise InputError(f"there are no figures of a run '{name}': make them with meagan run")
    complaints = [f"{run}/{words}".removeprefix(f"{name}/") for run in runs for words in figures.verify(run)]
    if complaints:
        wrong = len({words.partition(":")[0] for words in complaints})
        raise InputError(
            f"{wrong} of {len(known)} figures of '{name}' are not as made: {'; '.join(complaints)}; delete "
            f"those pictures (.png), and the command that made the run makes them again"
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
    """Keep the results of a run as its reference, figures/NAME/reference.json, which later ones are compared with."""
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
    """Return whether a part (``<run>/recordings/<label>``) is one of the recordings that its run was last asked for."""
    whole, _, label = run.partition("/recordings/")
    section, given = sweep.asked(whole)
    if section:
        return label in given["labels"]
    first = RESULTS / whole / "params" / f"{merging.FIRST}.yaml"
    return not first.is_file() or label in merging.parts(yaml.safe_load(first.read_text()))


def print_table(frame: "pd.DataFrame", title: str, dim: str = "") -> None:
    """Print a table with its index as the first column, numbers to the right; rows of index ``dim`` are dim."""
    table = Table(title=title, title_justify="left")
    table.add_column(frame.index.name or "", no_wrap=True)
    for column, kind in frame.dtypes.items():
        table.add_column(column, justify="left" if kind.kind == "O" else "right", overflow="fold")
    for row in frame.itertuples():
        cells = (f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row)
        table.add_row(*cells, style="dim" if row[0] == dim else "")
    console.print(table)


def summary(name: str) -> None:
    """Print the closing tables: scores beside their floor, where the run has scores, then figures and times.

    A sweep has its own table.
    """
    import pandas as pd

    section, _ = sweep.asked(name)
    table = RESULTS / name / f"{section}.csv"
    if section and table.is_file():
        title, frame = sweep.module(section).summary(table)
        print_table(frame.set_index(frame.columns[0]), f"Run {name}: {title}; {table.relative_to(ROOT)}")
        return
    receipts = [json.loads(path.read_text()) for path in sorted((RESULTS / name / "receipts").glob("*.json"))]
    if (RESULTS / name / "scores.json").is_file():
        print_scores(name)
    elif not receipts:
        raise InputError(f"there is nothing of a run '{name}' yet: make it with meagan run")
    recordings = {label: counts for receipt in receipts for label, counts in receipt.get("recordings", {}).items()}
    if recordings:
        windows = pd.DataFrame.from_dict(recordings, orient="index")
        print_table(windows[["train", "validation", "test"]], "Windows by recording")
    for label in recordings:
        for path in (RESULTS / part(name, label) / "receipts").glob("*.json"):
            receipt = json.loads(path.read_text())
            receipts.append(receipt | {"notebook": f"{receipt['notebook']} {label}"})
    fits = [json.loads(path.read_text()) for path in (RESULTS / name / benchmark.SECTION).glob("*/*/receipt.json")]
    if fits:
        seconds = sum(receipt["seconds"] for receipt in fits)
        receipts.append({"notebook": f"{benchmark.SECTION} ({len(fits)} fits)", "seconds": seconds, "figures": []})
    jobs = pd.DataFrame(receipts, columns=["notebook", "seconds", "figures"]).set_index("notebook")
    jobs = jobs.assign(seconds=jobs["seconds"].round().astype(int), figures=jobs["figures"].map(", ".join))
    where = f"figures/{name}" + (f" and figures/{name}/recordings" if recordings else "")
    print_table(jobs, f"Figures in {where}, notebooks in results/{name}/notebooks")


SHOWN = {
    "passes": "passes",
    "c2st_auc": "AUC trees",
    "c2st_cnn_auc": "AUC CNN",
    "coverage": "coverage",
    "frechet_distance": "Fréchet",
    "log_spectral_distance": "spectral",
}
"""Scores of the closing table, out of all that notebook 04 has, with their headings."""


def print_scores(name: str) -> None:
    """Print a few scores of every model of a run and their floor; below a network, those after moment matching."""
    import pandas as pd

    from meagan_lib.book.tables import label as label_of

    scores, matched = (
        json.loads(path.read_text()) if path.is_file() else {}
        for path in (RESULTS / name / file for file in ("scores.json", "moment_matching.json"))
    )
    rows = [("floor", {metric: score["floor"] for metric, score in scores["reach"].items()})]
    for model, by_metric in scores.items():
        for label, found in ((label_of(model), by_metric), ("  matched", matched.get(model))):
            if found:
                rows.append((label, {metric: score["value"] for metric, score in found.items()}))
    frame = pd.DataFrame([row for _, row in rows], index=[label for label, _ in rows])
    title = f"Scores of run {name}, against held-out real windows; below a network, with its moments matched"
    shown = [metric for metric in SHOWN if metric in scores["reach"]]
    print_table(frame[shown].astype(float).rename(columns=SHOWN), title, dim="  matched")
    console.print(f"All {len(scores['reach'])} scores, with intervals: results/{name}/scores.json and notebook 04")


def main() -> None:
    """Run the command; bad input ends in one sentence and exit code 1, an interrupt in 130."""
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
