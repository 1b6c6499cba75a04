"""From figure to paper: a folder of figures, captions, tables and numbers of a run that LaTeX takes as it is.

``main.tex`` shows all of it. ``results.tex`` defines a command for every number that the run has found,
``captions.tex`` one for every caption, ``tables/`` has tables with booktabs, ``figures/`` has PDFs at the width of a
page and, where they can be read so, of a column.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import jinja2

from meagan_lib import ROOT, InputError
from meagan_lib.book.building import scores as scores_of
from meagan_lib.book.latex import command, commands, flattened, new_command, number, plain, tabular, tex
from meagan_lib.book.printing import Printed, for_print, print_figure
from meagan_lib.book.tables import ARROWS
from meagan_lib.book.tables import label as label_of
from meagan_lib.book.translation import Translator
from meagan_lib.evaluation.metrics import ALL
from meagan_lib.evaluation.scores import LEADING, REACH
from meagan_lib.experiments import benchmark
from meagan_lib.windows import SpikeWindows
from meagan_lib.windows.spike_windows import Split
from meagan_lib.workflow import figures
from meagan_lib.workflow.execution import RESULTS, whole_and_label
from meagan_lib.workflow.files import is_disk_full, read_json, write_json

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(ROOT / "book" / "latex"),
    variable_start_string="<<",
    variable_end_string=">>",
    block_start_string="<%",
    block_end_string="%>",
    comment_start_string="<#",
    comment_end_string="#>",
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
COLUMNS = ("passes", *LEADING, "frechet_distance", "log_spectral_distance")
"""Scores of the table of all models."""
MOST = 5
"""Models side by side in a table of all scores."""
NUMBERS = {"network": "network.json", "annotated": "annotated.json", "images": "images.json", "study": "findings.json"}
"""What other chapters leave: the first word of their commands, and the file."""
WORDS = {Split.TRAIN: "training"}
HOW_TO_READ = (
    "Floor: between two halves of the real test windows; reach: training windows. "
    "↓: the lower the better; ↑: the higher; →: the closer to the floor."
)
LISTING = "export.json"
"""Names the files of an export, which the next one replaces."""


@dataclass(frozen=True)
class PaperFigure:
    """A figure as ``main.tex`` shows it: its name in labels and files, its notebook, the command of its caption."""

    name: str
    notebook: str
    caption: str
    files: Printed

    @property
    def command(self) -> str:
        r"""The command of its caption, such as ``\ScoresCaption``."""
        return command(self.name, "caption")

    @property
    def path(self) -> str:
        """The file that ``main.tex`` shows, from its folder."""
        return f"figures/{(self.files.column or self.files.page).name}"


@dataclass(frozen=True)
class PaperTable:
    """A table: its name in labels and files, its caption, its ``tabular``."""

    name: str
    caption: str
    content: str


def export(run: str, folder: Path, language: str = "en") -> tuple[int, list[str]]:
    """Write all that a paper takes of a run to ``folder``; return the number of figures, and a sentence for what lacks.

    ``InputError``: nothing of such a run; a language that the table of translations lacks; a folder that holds
    something else.
    """
    translator = Translator(language)
    if not (RESULTS / run).is_dir() and not figures.manifest(run):
        raise InputError(f"there is nothing of a run '{run}' yet: make it with meagan run")
    earlier, lacking = _earlier(folder), []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".") as temporary:
            shown, made = _write(run, Path(temporary), translator, lacking)
            for name in made:
                (folder / name).parent.mkdir(exist_ok=True)
                os.replace(Path(temporary) / name, folder / name)
    except OSError as error:
        if is_disk_full(folder, error):
            raise InputError(
                f"the disk is full: what stood in {folder} is untouched; free some space there, and export again"
            ) from error
        raise
    for name in set(earlier) - set(made):
        (folder / name).unlink(missing_ok=True)
    write_json(folder / LISTING, {"run": run, "language": language, "files": sorted(made)})
    if translator.missing:
        lacking.append(f"not translated: {'; '.join(sorted(translator.missing))}")
    return len(shown), lacking


def _write(run: str, folder: Path, translator: Translator, lacking: list[str]) -> tuple[list[PaperFigure], list[str]]:
    """Write an export into an empty folder; return its figures, and the names of all files."""
    shown = list(_figures(run, folder / "figures", translator, lacking))
    scores, matched = scores_of(run), scores_of(run, benchmark.MATCHED_SCORES)
    if not scores:
        lacking.append("it has no scores: notebook 4 makes them")
    tables = list(_tables(run, scores, matched, translator))
    lines = [line for part in _numbers(run, scores, matched) for line in part]
    texts = {f"tables/{table.name}.tex": table.content for table in tables}
    texts["results.tex"] = TEMPLATES.get_template("results.tex").render(run=run, lines=lines)
    texts["captions.tex"] = "".join(f"{new_command(figure.command, tex(figure.caption))}\n" for figure in shown)
    by_notebook = {notebook: list(those) for notebook, those in groupby(shown, key=lambda figure: figure.notebook)}
    texts["main.tex"] = TEMPLATES.get_template("main.tex").render(
        run=run,
        language=translator.language,
        say=lambda words: tex(translator(words)),
        tex=tex,
        plain=plain,
        notebooks=by_notebook,
        tables=tables,
        leading=list(_leading(scores, translator)),
        commands=re.findall(r"^\\newcommand\{(\\\w+)\}", "\n".join(lines), flags=re.MULTILINE),
    )
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return shown, [*texts, *(f"figures/{path.name}" for f in shown for path in (f.files.page, f.files.column) if path)]


def _earlier(folder: Path) -> list[str]:
    """Return the files of an earlier export in ``folder``."""
    used = any(folder.iterdir()) if folder.is_dir() else folder.exists()
    if used and not (folder / LISTING).is_file():
        raise InputError(f"{folder} holds something else than an export: give --out a new or an empty folder")
    names = read_json(folder / LISTING).get("files", [])
    return [name for name in names if re.fullmatch(r"(figures/|tables/)?[\w.-]+\.(tex|pdf)", name)]


def _figures(run: str, folder: Path, translator: Translator, lacking: list[str]) -> Iterator[PaperFigure]:
    """Write the figures of a run and of its parts, in the order of the registry."""
    folder.mkdir(parents=True, exist_ok=True)
    without = []
    for owner in (run, *figures.parts(run)):
        label = whole_and_label(owner)[1]
        for id in (id for id in figures.registry() if id in figures.manifest(owner)):
            name = re.sub(r"[^\w-]", "-", "-".join(filter(None, (id, label))))
            try:
                printed = for_print(owner, id, translator)
            except InputError:
                without.append(name)
                continue
            files = print_figure(*printed, folder, name)
            caption = " ".join(filter(None, (label and f"{label}:", translator.caption(id))))
            yield PaperFigure(name, figures.registry()[id].notebook, caption, files)
    if without:
        lacking.append(
            f"{len(without)} of its figures cannot be drawn again, {', '.join(without)}: run the notebook that makes "
            f"{'it' if len(without) == 1 else 'them'} anew"
        )


def _numbers(run: str, scores: Mapping, matched: Mapping) -> Iterator[list[str]]:
    """Return lines that define commands: scores with floor and reach, those after moment matching, other chapters."""
    yield commands((("windows", split), n) for split, n in _windows(run).items())
    yield commands(_floors(scores))
    for model, of in scores.items():
        if model != REACH:
            yield commands(_of_model((model,), of))
    for model, of in matched.items():
        if model != REACH:
            yield commands(_of_model((model, "matched"), of))
    for word, file in NUMBERS.items():
        yield commands(flattened(read_json(RESULTS / run / file), (word,)))


def _of_model(words: tuple[str, ...], of: Mapping[str, Mapping]) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield value, ends of the interval and ratio to the reach of each score of a model, and how many seeds it has."""
    for metric, score in of.items():
        low, high = score["interval"]
        yield (*words, metric), score["value"]
        yield from [((*words, metric, "low"), low), ((*words, metric, "high"), high)]
        if score["ratio"] is not None:
            yield (*words, metric, "ratio"), score["ratio"]
    yield (*words, "seeds"), max(len(score["seeds"]) for score in of.values())


def _floors(scores: Mapping[str, Mapping]) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield floor and reach of each score, with the ends of their intervals."""
    for metric, score in scores.get(REACH, {}).items():
        for what in ("floor", "reach"):
            ends = score[f"{what}_interval"]
            yield (what, metric), score[what]
            yield from (((what, metric, end), value) for end, value in zip(("low", "high"), ends))


def _windows(run: str) -> dict[str, int]:
    """Return how many windows a run has for training, validation and test; none where it has cut none."""
    path = RESULTS / run / "windows.h5"
    if not path.is_file():
        return {}
    split = SpikeWindows.load(path).split
    return {WORDS.get(each, each.name.lower()): int((split == each).sum()) for each in Split}


def _leading(scores: Mapping, translator: Translator) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield each leading score in words, with its metric, and the models that have it, in words and by name."""
    for metric in LEADING if scores else ():
        models = [(tex(translator(label_of(model))), command(model, metric)) for model in scores if model != REACH]
        yield tex(translator(ALL[metric].label)), command("floor", metric), models


def _tables(run: str, scores: Mapping, matched: Mapping, translator: Translator) -> Iterator[PaperTable]:
    if windows := _windows(run):
        heads = [translator(words) for words in windows]
        cells = [number(n) for n in windows.values()]
        yield PaperTable("windows", translator("Windows of the run."), tabular(heads, [cells], left=0))
    if not scores:
        return
    read = translator(HOW_TO_READ)
    caption = translator("A few scores of every model, with 95 % intervals.")
    yield PaperTable("models", f"{caption} {read}", by_model(scores, translator))
    if of := {model: found for model, found in matched.items() if model != REACH}:
        caption = translator("The same after moment matching.")
        yield PaperTable("matched", f"{caption} {read}", by_model({REACH: scores[REACH]} | of, translator))
    models = [model for model in scores if model != REACH]
    for place, some in enumerate((models[at : at + MOST] for at in range(0, len(models), MOST)), 1):
        content = by_score(scores, some, translator)
        yield PaperTable(f"scores_{place}", f"{translator('Every score.')} {read}", content)


def by_model(scores: Mapping[str, Mapping], translator: Translator) -> str:
    """Return floor, reach and a few scores, a row for each model with its intervals in a smaller row below."""
    metrics = [metric for metric in COLUMNS if metric in scores[REACH]]

    def rows(name: str, of: Sequence[tuple[float, Sequence[float]]]) -> list[list[str]]:
        ends = [rf"\interval{{{number(low)}}}{{{number(high)}}}" for _, (low, high) in of]
        return [[tex(translator(name)), *(number(value) for value, _ in of)], ["", *ends], []]

    found = scores[REACH]
    table = rows("floor", [(found[metric]["floor"], found[metric]["floor_interval"]) for metric in metrics])
    table += rows("reach", [(found[metric]["value"], found[metric]["interval"]) for metric in metrics])
    table[-1] = None
    for model in scores:
        if model != REACH:
            of = [(scores[model][metric]["value"], scores[model][metric]["interval"]) for metric in metrics]
            table += rows(label_of(model), of)
    return tabular([translator("model"), *(heading(metric, translator) for metric in metrics)], table[:-1])


def by_score(scores: Mapping[str, Mapping], models: Sequence[str], translator: Translator) -> str:
    """Return floor, reach and the values of some models, a row for each score, with rules between families."""
    table: list[list[str] | None] = []
    for _, those in groupby((metric for metric in ALL if metric in scores[REACH]), key=lambda m: ALL[m].family):
        for metric in those:
            known = scores[REACH][metric]
            values = [known["floor"], known["value"], *(scores[model][metric]["value"] for model in models)]
            table.append([tex(heading(metric, translator)), *map(number, values)])
        table.append(None)
    heads = ["score", "floor", "reach", *map(label_of, models)]
    return tabular([translator(words) for words in heads], table[:-1])


def heading(metric: str, translator: Translator) -> str:
    """Return the label of a score with an arrow for what is better."""
    return f"{translator(ALL[metric].label)} {ARROWS[ALL[metric].better]}"
