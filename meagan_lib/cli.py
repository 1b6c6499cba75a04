"""The ``meagan`` command: run the notebooks of a run, look at one, check one.

Long because all commands stand in one room, each with its options and what they mean, as ``meagan --help`` shows them;
what a command does lies in the wings, imported when it runs.
"""

import locale
import os
import pkgutil
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from meagan_lib import ROOT, InputError, choose
from meagan_lib.experiments import benchmark, sweep
from meagan_lib.parameters import PARAMS, check, default_name, in_full, of_preset, of_study, resolve
from meagan_lib.values import of_type
from meagan_lib.windows import merging
from meagan_lib.workflow import cluster
from meagan_lib.workflow.execution import (
    RESULTS,
    is_run,
    part,
    read_receipt,
    receipts,
    require_finished,
    whole_and_label,
)
from meagan_lib.workflow.files import read_parameters, refusal
from meagan_lib.workflow.graph import console, exclusive, remove_stale, run_graph, write_parameters

if TYPE_CHECKING:
    import pandas as pd

    from meagan_lib.windows.looking import Look

PAINTERS = "gaussian_spikes, copy_paste, template, painting_gan, transformer_gan, vae_gan, flow_matching or gaussian"
Cores = Annotated[int | None, typer.Option(help="cores in use at once; all, or as the profile says", min=1)]
Profile = Annotated[str, typer.Option(help="where jobs run: slurm, cluster-generic, or a folder of your own")]
WITH_SAMPLES = ("phy", "sorting_analyzer")
EXPORTS = {
    "latex": "paper:export",
    "onnx": "exports:to_onnx",
    "dataset": "exports:to_dataset",
    "nwb": "nwb:to_nwb",
    "phy": "analyzers:to_phy",
    "sorting_analyzer": "analyzers:to_analyzer",
}
"""What ``meagan export --to`` writes: module of ``book`` and function, imported when asked for, for memory's sake."""
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def run(
    preset: Annotated[
        str, typer.Argument(help=f"{', '.join(sorted(path.stem for path in PARAMS.glob('*.yaml')))}: a file of params/")
    ] = "quick",
    recording: Annotated[
        list[str], typer.Option(help="a file, a name of data/catalogue.yaml, or 'simulated'; again for each further")
    ] = (),
    name: Annotated[str, typer.Option(help="name of the run: results/NAME and figures/NAME")] = "",
    set_: Annotated[list[str], typer.Option("--set", help="notebook.parameter=value, as often as you like")] = (),
    cores: Cores = None,
    profile: Profile = "",
) -> None:
    """Execute the notebooks that are out of date, and show scores, figures and times."""
    parameters = resolve(preset, recording, set_)
    name = run_name(name or default_name(preset, recording))
    files = check(name, parameters)
    if profile:
        cluster.ready_profile(profile)
    with exclusive(name):
        remove_stale(name)
        write_parameters(name, files)
        recordings = parameters.get(merging.FIRST, {}).get("recording", [])
        of = f"recordings {', '.join(recordings)}" if isinstance(recordings, list) else f"recording {recordings}"
        console.print(f"run {name} ({preset}){f', {of}' if recordings else ''}", soft_wrap=True)
        run_graph(name, cores, profile)
    summary(name)
    if not sweep.section_in(parameters):
        book = f"make book NAME={name} makes pages of it, " if merging.FIRST in parameters else ""
        console.print(f"Next: {book}make lab opens the notebooks", soft_wrap=True)


@app.command()
def look(
    recording: Annotated[str, typer.Argument(help="a file, a name of data/catalogue.yaml, or 'simulated'")],
    well: Annotated[str, typer.Option(help="of several wells, which")] = "",
    stream: Annotated[str, typer.Option(help="of several streams, which")] = "",
    picture: Annotated[str, typer.Option(help="PNG to write; figures/look/NAME.png unless given")] = "",
) -> None:
    """Look at a recording before anything runs: what is in it, how long a run takes, what will not work."""
    from meagan_lib import plots
    from meagan_lib.workflow.files import atomic

    label = merging.labels([recording])[0]
    target = Path(picture or ROOT / "figures" / "look" / f"{label}.png")
    if target.suffix.lower() != ".png":
        raise InputError(f"the picture is a PNG, and {target.name} has another suffix: give one that ends in .png")
    found = glance_at(recording, well or None, stream or None)
    for name, words in found.facts.items():
        console.print(f"{name:<12} {printable(words)}", soft_wrap=True)
    for sentence in found.refusals:
        console.print(f"will not work: {printable(sentence)}", soft_wrap=True)
    if found.glance:
        fig = plots.at_a_glance(**vars(found.glance), title=f"{label}: {found.facts['looked at']}")
        with atomic(target) as temporary:
            fig.savefig(temporary, format="png")
        console.print(f"picture: {target}", soft_wrap=True)


@app.command()
def study(
    file: Annotated[str, typer.Argument(help="study.yaml or CSV: recordings with culture, day, condition, replicate")],
    name: Annotated[str, typer.Option(help="name of the run; that of the file unless given")] = "",
    cores: Cores = None,
    profile: Profile = "",
    models: Annotated[str, typer.Option(help="generators, with commas between; 'none': measures alone")] = "",
    seeds: Annotated[str, typer.Option(help="their seeds, with commas between")] = "",
    preset: Annotated[str, typer.Option(help="of params/: what each recording is given")] = "",
) -> None:
    """Measure many recordings of several cultures, train models on each, and compare conditions."""
    from meagan_lib.studies import jobs, watching
    from meagan_lib.studies.design import read_study

    asked = read_study(file, models=models, seeds=seeds, preset=preset)
    name = run_name(name or jobs.default_name(file))
    files = of_study(asked, name)
    if profile:
        cluster.ready_profile(profile)
    with exclusive(name):
        remove_stale(name)
        write_parameters(name, files)
        jobs.remove_table(name)
        n = len(jobs.places(name))
        console.print(f"study {name}: {len(asked.entries)} recordings, {n} jobs; meagan status {name} shows how far")
        stopped = ""
        with watching.reported(name):
            try:
                run_graph(name, cores, profile)
            except InputError as error:  # a killed job, a full disk: what there is goes into the table all the same
                stopped = str(error)
            finally:
                jobs.complete_table(name)
    study_summary(name, sentences=False)
    if complaints := "; ".join(filter(None, [stopped, watching.told(name)])):
        raise InputError(complaints)


@app.command()
def hybrid(
    recording: Annotated[str, typer.Argument(help="a file, a name of data/catalogue.yaml, or 'simulated'")],
    units: Annotated[int, typer.Option(help="how many units are painted")] = 20,
    rate: Annotated[float, typer.Option(help="spikes of a unit in a second")] = 2.0,
    depth: Annotated[str, typer.Option(help="shallowest:deepest unit, in noise levels")] = "4:12",
    from_: Annotated[str, typer.Option("--from", help=f"what paints: {PAINTERS}")] = ("gaussian_spikes"),
    out: Annotated[str, typer.Option(help="file to write: .brw, .zarr, or a folder without suffix")] = "",
    drift: Annotated[float, typer.Option(help="how far every unit moves, µm")] = 0.0,
    footprint_um: Annotated[float, typer.Option(help="electrodes within this distance see a spike, µm")] = 60.0,
    threshold: Annotated[float, typer.Option(help="depth of the recording's own spikes, in noise levels")] = 5.0,
    seed: Annotated[int, typer.Option(help="of every draw")] = 0,
) -> None:
    """Paint spikes into a recording at known times, and write it with the truth: for detection and sorting."""
    import pandas as pd

    from meagan_lib.annotated import HybridConfig, writing

    for option, value in {"rate": rate, "drift": drift, "footprint-um": footprint_um, "threshold": threshold}.items():
        of_type(value, 0.0, f"--{option}")
    of_type(seed, 0, "--seed")
    of_type(units, 20, "--units")
    ends = re.fullmatch(r"(\d*\.?\d+):(\d*\.?\d+)", depth)
    if not ends:
        raise InputError(f"the depth '{depth}' is no range: give the shallowest and the deepest unit, such as 4:12")
    config = HybridConfig(units, rate, (float(ends[1]), float(ends[2])), drift_um=drift, seed=seed)
    report, files = writing.paint_file(
        recording, out, from_, config, footprint_um, threshold, lambda words: console.print(words, soft_wrap=True)
    )
    print_table(pd.DataFrame(report["units"]).set_index("unit"), f"{report['spikes']} spikes painted by {from_}")
    console.print(f"written: {', '.join(str(file) for file in files)}", soft_wrap=True)


@app.command()
def status(name: Annotated[str, typer.Argument(help="name of a run")] = "quick") -> None:
    """Show the scores, figures and times of a run; of a study how far each recording is, also while it runs."""
    from meagan_lib.studies import jobs

    if jobs.asked(run_name(name)):
        study_summary(name)
    else:
        summary(name)


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
    if kept := reference.load(name):
        reference.require_products(name)
    found = reference.compare(name, kept) if kept and (RESULTS / name / "scores.json").is_file() else []
    for finding in found:
        console.print(f"{finding.level}: {finding.sentence}")
    if failed := ", ".join(finding.level for finding in found if finding.holds is False):
        raise InputError(
            f"the results of '{name}' are not those of its reference: {failed}; if they are meant to differ, "
            f"meagan keep {name} makes them the reference"
        )


@app.command()
def keep(name: Annotated[str, typer.Argument(help="name of a finished run")]) -> None:
    """Keep the results of a run as its reference, figures/NAME/reference.json, which later ones are compared with."""
    from meagan_lib.experiments import reference

    reference.require_products(run_name(name))
    path = reference.keep(name)
    console.print(f"the results of '{name}' are kept in {path.relative_to(ROOT)}")


@app.command()
def bundle(
    name: Annotated[str, typer.Argument(help="name of a finished run")],
    out: Annotated[str, typer.Option(help="file to write; results/NAME/NAME.zip unless given")] = "",
) -> None:
    """Pack a run into one file that draws its figures, and makes its book, without the recording."""
    from meagan_lib.book import bundling

    path = Path(out or RESULTS / run_name(name))
    path = path / f"{name}.zip" if path.is_dir() or not out else path
    about = bundling.pack(run_name(name), path)
    console.print(f"{path}, {path.stat().st_size / 1e6:.1f} MB", soft_wrap=True)
    for words, those in (("in it", about["inside"]), ("not in it", about["left_out"])):
        console.print(f"{words}: {'; '.join(those)}", soft_wrap=True)


@app.command()
def redraw(
    bundle: Annotated[str, typer.Argument(help="a file that meagan bundle has made")],
    out: Annotated[str, typer.Option(help="folder to write; BUNDLE_figures beside the bundle unless given")] = "",
) -> None:
    """Draw all figures of a bundle again, as PNG, SVG and data, without the recording."""
    from meagan_lib.workflow import bundles
    from meagan_lib.workflow.files import exported

    source = Path(bundle).absolute()
    target = Path(out or source.with_name(f"{source.stem}_figures"))
    with bundles.opened(source) as opened, exported(target) as temporary:
        told = bundles.redraw(opened, temporary)
        made_with = opened.about.get("made_with")
    console.print(f"{len(told)} figures drawn in {target}, {len(told.same)} of them bit for bit those of the run")
    if told.as_pictures:
        console.print(f"as pictures, for no drawing function made them: {', '.join(told.as_pictures)}", soft_wrap=True)
    if told.other and made_with != bundles.made_with():
        console.print(f"the run was drawn with {made_with}, here there are {bundles.made_with()}", soft_wrap=True)
    if told.failed:
        raise InputError(bundles.failure(told))


@app.command("book")
def make_book(
    name: Annotated[str, typer.Argument(help="name of a finished run, or a file of meagan bundle")] = "quick",
    as_: Annotated[str, typer.Option("--name", help="what the run of a bundle is called here")] = "",
) -> None:
    """Make the HTML book of a run, or of a bundle: results/NAME/book."""
    from meagan_lib.book import building, bundling

    if name.endswith(".zip") or Path(name).is_file():
        name = bundling.restore(Path(name), as_ and run_name(as_))
    if not (RESULTS / run_name(name)).is_dir():
        raise InputError(f"there is nothing of a run '{name}' yet: make it with meagan run")
    with exclusive(name):
        page = building.build(name)
    size = sum(file.stat().st_size for file in page.parent.rglob("*") if file.is_file()) / 1e6
    where = f"{page.relative_to(ROOT)}, for any browser and any web host"
    console.print(f"book of run '{name}', {size:.0f} MB: {where}", soft_wrap=True)
    if not all(chapter.executed for chapter in building.chapters(name)):
        words = "its lessons were not executed: make concepts does, then make book has their tables and sliders, too"
        console.print(words, soft_wrap=True)


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="name of a finished run; of phy and sorting_analyzer also a hybrid")],
    to: Annotated[
        str,
        typer.Option(
            help="latex: figures, captions, tables, and a command for every number; onnx: each generator as a file; "
            "dataset: generated windows, with a datasheet; nwb: electrodes, spikes, windows; phy, sorting_analyzer: "
            "spikes with their recording"
        ),
    ] = "latex",
    lang: Annotated[str, typer.Option(help="en or it: of axes, legends, captions and tables")] = "en",
    out: Annotated[str, typer.Option(help="folder to write; results/NAME/TO, or beside a hybrid, unless given")] = "",
    subject: Annotated[
        list[str], typer.Option(help="of nwb: species='Homo sapiens', age=P120D, sex=U; again for each")
    ] = (),
) -> None:
    """Write what a paper, or another tool, takes of a run: a folder that LaTeX compiles as it is, networks, windows."""
    choose("the format", to, EXPORTS)
    if subject and to != "nwb":
        raise InputError(f"--subject is said of NWB files, and {to} has none: leave it out, or give --to nwb")
    if lang != "en" and to != "latex":
        raise InputError(f"--lang is the language of a paper, and {to} has none: leave it out, or give --to latex")
    if to not in WITH_SAMPLES and Path(name).is_file() and not is_run(name):
        raise InputError(f"--to {to} is of a run, and {name} is none: give a run, or --to {' or '.join(WITH_SAMPLES)}")
    of_recording = to in WITH_SAMPLES and not is_run(name)
    name = name if of_recording else run_name(name)
    folder = Path(out) if out else Path(name).absolute().parent if of_recording else RESULTS / name / to
    where = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    if to == "latex":
        from meagan_lib.book import paper

        n, told = paper.export(name, folder, lang)
        told = [*told, f"{n} figures of run '{name}' with captions, tables and numbers"]
        where = f"{where}/main.tex"
    else:
        export_to = pkgutil.resolve_name(f"meagan_lib.book.{EXPORTS[to]}")
        told = export_to(name, folder, **({"subject": subject} if subject else {}))
    for sentence in told[:-1]:
        console.print(sentence, soft_wrap=True)
    console.print(f"{told[-1]}: {where}", soft_wrap=True)


@app.command("sorters")
def compare_sorters(
    hybrid: Annotated[str, typer.Argument(help="a recording with its truth, NAME.truth.npz, beside it")],
    sorter: Annotated[list[str], typer.Option(help="one to run; again for each further; all by default")] = (),
    limit: Annotated[float, typer.Option(help="minutes after which a sorter is stopped", min=0.01)] = 60.0,
) -> None:
    """Find which spike sorter suits a chip: run those installed on a recording whose spikes are known."""
    from meagan_lib.annotated import sorter_scores, sorters

    def say(words: str) -> None:
        console.print(words, soft_wrap=True)

    table, outcomes = sorters.compare(hybrid, sorter, 60 * limit, say)
    units = sorters.performance(outcomes)
    print_table(sorter_scores.for_print(units), f"Accuracy by depth of the spikes, in noise levels; {table}")
    print_table(sorters.costs(outcomes), "Time and memory, on one core")
    for one in outcomes:
        if one.why_not:
            say(f"{one.sorter} was left out: {one.why_not}")
    say(sorter_scores.verdict(units))


def glance_at(recording: str, well: str | None, stream: str | None) -> "Look":
    """Look at a recording, at windows or, where it is neither, at spike times.

    ``InputError``: none of them.
    """
    from meagan_lib import network
    from meagan_lib.windows.looking import Look, look

    quick = of_preset("quick")
    transformer, vae = (quick[notebook] for notebook in benchmark.THESIS.values())
    steps = transformer["steps"] + vae["vae_steps"] + vae["steps"]
    try:
        return look(recording, well, stream, quick[merging.FIRST]["min_train_windows"], steps)
    except InputError as error:
        refused, suffix = error, Path(recording).suffix.lower()
    if suffix not in (".csv", ".mat", ".nwb"):
        raise refused
    try:
        trains = network.read_spikes(recording)
    except InputError:
        if suffix == ".nwb":
            raise refused from None
        raise
    told = f"{len(trains.frame)} of {trains.n_electrodes} electrodes within {trains.duration_s:.4g} s"
    return Look({"spike times": told, "read by": "05_organoid_network.spikes"}, [str(refused)])


def run_name(name: str) -> str:
    """Check that ``name`` can name a run, and return it: it goes into paths and into command lines.

    ``InputError``: another name, or one that is too long for a folder.
    """
    if not re.fullmatch(r"\w[\w.-]*", name) or len(name.encode()) > 100:
        raise InputError(
            f"'{name}' cannot name a run: take at most 100 letters, digits, '_', '-' and '.', a letter or digit first"
        )
    if file := next((place for place in (RESULTS / name, ROOT / "figures" / name) if place.is_file()), None):
        raise InputError(f"'{name}' cannot name a run, for {file.relative_to(ROOT)} is a file: give it another name")
    return name


def belongs(run: str) -> bool:
    """Return whether a part (``<run>/recordings/<label>``) is one of the recordings that its run was last asked for."""
    whole, label = whole_and_label(run)
    section, given = sweep.asked(whole)
    if section:
        return label in given["labels"]
    first = RESULTS / whole / "params" / f"{merging.FIRST}.yaml"
    return not first.is_file() or label in merging.parts(read_parameters(first))


def study_summary(name: str, sentences: bool = True) -> None:
    """Print the state of each recording of a study, the ``sentences`` of what failed, and how far it is."""
    from meagan_lib.studies import jobs, watching

    print_table(watching.states(name), f"Study {name}")
    for label, why in jobs.failures(name).items() if sentences else ():
        console.print(f"{label} failed: {why}", soft_wrap=True)
    console.print(f"{watching.sentence(name)}; results/{name}/study.csv, report.html", soft_wrap=True)


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
    jobs = receipts(RESULTS / name)
    if (RESULTS / name / "scores.json").is_file() and any(job["notebook"].startswith("04") for job in jobs):
        print_scores(name)
        try:
            require_finished(name)
        except InputError as error:
            console.print(f"these are scores of before: {error}", soft_wrap=True)
    elif not jobs:
        raise InputError(f"there is nothing of a run '{name}' yet: make it with meagan run")
    recordings = {label: counts for receipt in jobs for label, counts in receipt.get("recordings", {}).items()}
    if recordings:
        windows = pd.DataFrame.from_dict(recordings, orient="index")
        print_table(windows[["train", "validation", "test"]], "Windows by recording")
    for label in recordings:
        own = receipts(RESULTS / part(name, label))
        jobs += [receipt | {"notebook": f"{receipt['notebook']} {label}"} for receipt in own]
    seconds = [read_receipt(path)["seconds"] for path in (RESULTS / name / benchmark.SECTION).glob("*/*/receipt.json")]
    if seconds:
        fits = f"{benchmark.SECTION} ({len(seconds)} fits)"
        jobs.append({"notebook": fits, "seconds": sum(seconds), "figures": []})
    table = pd.DataFrame(jobs, columns=["notebook", "seconds", "figures"]).set_index("notebook")
    table = table.assign(seconds=table["seconds"].round().astype(int), figures=table["figures"].map(", ".join))
    where = f"figures/{name}" + (f" and figures/{name}/recordings" if recordings else "")
    print_table(table, f"Figures in {where}, notebooks in results/{name}/notebooks")


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

    files = (benchmark.SCORES, benchmark.MATCHED_SCORES)
    scores, matched = (benchmark.read_scores(RESULTS / name / file) for file in files)
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


STOPPED = [128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
"""Exit codes of a command that somebody stopped."""


def printable(words: str) -> str:
    """Return a line in which nothing moves the cursor of a terminal: names in a file may hold any characters."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in words)


def main() -> None:
    """Run the command; bad input ends in one sentence and exit code 1, a wrong option in 2.

    An interrupt ends in 130, another signal that ends it in 128 and its number, after all is cleared away.
    """
    if locale.getpreferredencoding(False).upper() not in ("UTF-8", "UTF8"):  # files are UTF-8 wherever they are read
        variables = {"PYTHONUTF8": "1", "PYTHONIOENCODING": f"{sys.stdout.encoding}:replace"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | variables)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        app()
    except SystemExit as end:  # typer's, of a command that is done, interrupted or not understood
        if end.code in STOPPED:
            print("meagan: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        raise
    except InputError as error:
        words = str(error)
    except OSError as error:
        words = refusal(error)
        if not words:
            raise
    print(f"meagan: {printable(words)}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
