"""The book: executed notebooks, figures and scores of a run as HTML pages, readable from a folder without a server.

Chapters are the notebooks of ``results/<run>/notebooks`` and the lessons, executed or as git has them; figures are
those of the manifests; the other pages are the templates of ``book/pages`` (Markdown with Jinja). Sphinx makes HTML of
them and executes nothing.
"""

import gc
import html
import json
import pkgutil
import re
import shutil
import sys
from collections.abc import Container, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

import jinja2
import nbformat
import numpy as np
import torch

import meagan_lib
from meagan_lib import ROOT, InputError, plots
from meagan_lib.book import companion, explorer, finishing, lessons, painting, playground, scripts, tables
from meagan_lib.book.translation import ENGLISH, Translator
from meagan_lib.evaluation.metrics import ALL
from meagan_lib.experiments import benchmark
from meagan_lib.workflow import figures
from meagan_lib.workflow.execution import RESULTS, part, receipts, whole_and_label
from meagan_lib.workflow.files import read_parameters, read_yaml, write_if_changed

SOURCE = ROOT / "book"
CONCEPTS = "concepts"
"""The run of the lessons, which every book takes in."""
SHOWN = re.compile(r"SavedFigure\(png=\w+\('(?:.*/)?([^/']+)\.png'\)")
"""How a figure that a notebook shows presents itself in text, with its id."""
BESIDE = "meagan_lib"
"""What the page of modules beside the wings is called."""
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(SOURCE / "pages"),
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
    comment_start_string="{##",
    comment_end_string="##}",
)


@dataclass(frozen=True)
class Chapter:
    """A notebook, ``executed`` or not: the document's name, its file, and the run whose figures it shows."""

    document: str
    path: Path
    run: str
    executed: bool = True

    @cached_property
    def title(self) -> str:
        """Its first heading, and the recording of a part."""
        cells = nbformat.read(self.path, as_version=4).cells
        heading = next((line[2:] for cell in cells for line in cell.source.splitlines() if line[:2] == "# "), "")
        return " · ".join(filter(None, (heading or self.document, escaped(self.label))))

    @property
    def label(self) -> str:
        """The recording that the notebook was run for, where a run has several."""
        return whole_and_label(self.run)[1]


@dataclass(frozen=True)
class Picture:
    """A figure of the book: its id, its chapter, its line of the manifest, and the cell that drew it."""

    id: str
    chapter: Chapter
    line: dict
    cell: str

    @property
    def name(self) -> str:
        """What it is called in the book: the id, and the recording of a part."""
        return "-".join(filter(None, (self.id, self.chapter.label)))

    @property
    def title(self) -> str:
        """The id in words; of a lesson's figure with the lesson last."""
        words = re.sub(r"^(c\d+)_(.+)", r"\2 · \1", self.id)
        for model, label in plots.LABELS.items():
            words = words.replace(model, label)
        words = words.replace("_", " ")
        return " · ".join(filter(None, (words[0].upper() + words[1:], escaped(self.chapter.label))))

    @property
    def alternative(self) -> str:
        """Words in the picture's stead; the whole caption stands below it."""
        return alternative(self.line["caption"])

    @property
    def caption(self) -> str:
        """The caption as Markdown."""
        return escaped(self.line["caption"])

    def file(self, suffix: str) -> Path | None:
        """Its file with a suffix such as ``.npz``, where there is one."""
        path = figures.folder(self.chapter.run) / f"{self.id}{suffix}"
        return path if path.is_file() else None

    def arrays(self) -> dict[str, str]:
        """Shape and type of each of the plotted arrays, by name."""
        with np.load(self.file(".npz"), allow_pickle=False) as arrays:
            return {name: f"{' × '.join(map(str, a.shape)) or 'one number'}, {a.dtype}" for name, a in arrays.items()}


def build(run: str, strict: bool = False) -> Path:
    """Make the book of a run and return its start page, ``results/<run>/book/index.html``.

    Where it is ``strict``, a warning of Sphinx, such as a broken reference, is an error.

    ``InputError``: A run without executed notebooks, pages that no longer say what the kept results say, or a page that
    Sphinx could not make.
    """
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    found = chapters(run)
    if not any(chapter.run != CONCEPTS for chapter in found):
        raise InputError(f"run '{run}' has no executed notebooks: make them with meagan run, then the book")
    work = RESULTS / run / ".book"
    shutil.rmtree(work, ignore_errors=True)
    pages = work / "pages"
    # In a process beside this one, for Sphinx' own two often wait for one another.
    with ProcessPoolExecutor(1, get_context("fork"), torch.set_num_threads, (1,)) as beside:
        exported = beside.submit(export_networks, run, work / "networks")
        companion.refuse()
        assemble(run, found, pages)
        usual = gc.get_threshold()
        gc.set_threshold(100_000)  # of the millions of nodes that Sphinx holds, few are garbage
        try:
            with patch_docutils(SOURCE), docutils_namespace():  # its own command takes an interrupt for a fault
                places = (pages, SOURCE, work / "html", work / "doctrees")
                app = Sphinx(*places, "html", status=None, warningiserror=strict, parallel=2)
                app.build()
        except Exception as error:  # an extension's may be any
            raise InputError(f"Sphinx could not make the book: {error}") from error
        finally:
            gc.set_threshold(*usual)
        if app.statuscode:
            raise InputError("Sphinx could not make the book: its words stand above")
        exported.result()
    shutil.copytree(work / "networks", work / "html" / "_static", dirs_exist_ok=True)
    for page in (work / "html" / "api").glob("*.html"):  # of a path that is a constant, Sphinx shows the value
        page.write_text(without_folders(page.read_text(), run))
    book = RESULTS / run / "book"
    shutil.rmtree(book, ignore_errors=True)
    shutil.move(work / "html", book)
    shutil.rmtree(work)
    return book / "index.html"


def export_networks(run: str, folder: Path) -> None:
    """Write the scripts of the pages that compute networks, and onnxruntime-web if the run has such networks."""
    playground.export(run, folder / "playground-data.js")
    pages = {"explorer": explorer, "painting": painting}
    there = {name: page for name, page in pages.items() if page.available(run)}
    for name, page in there.items():
        page.export(run, folder / f"{name}-data.js")
    if there:
        scripts.export_runtime(folder / "runtime-data.js")


def by_number(chapter: Chapter) -> list[str | int]:
    """Return by what names that hold numbers are sorted, c9 before c10."""
    return [int(each) if each.isdigit() else each for each in re.split(r"(\d+)", chapter.path.stem)]


def executed(run: str) -> list[Chapter]:
    """Return the executed notebooks of a run, in the order of their numbers."""
    found = []
    for path in (RESULTS / run / "notebooks").glob("*.ipynb"):
        notebook, _, label = path.stem.partition(".")
        of = part(run, label) if label else run
        if (RESULTS / of / "receipts" / f"{notebook}.json").is_file():  # neither failed nor of an earlier run
            found.append(Chapter("-".join(filter(None, (notebook, label))), path, of))
    return sorted(found, key=by_number)


def chapters(run: str) -> list[Chapter]:
    """Return the executed notebooks of a run, then the lessons, executed or as git has them."""
    found = {path.stem: Chapter(path.stem, path, CONCEPTS, executed=False) for path in lessons.sources()}
    found |= {chapter.document: chapter for chapter in executed(CONCEPTS)}
    own = executed(run) if run != CONCEPTS else []
    return own + sorted(found.values(), key=by_number)


def assemble(run: str, found: list[Chapter], pages: Path) -> None:
    """Write what Sphinx reads to the folder ``pages``."""
    pictures: list[Picture] = []
    for chapter in found:
        notebook, drawn = for_book(chapter, found, run)
        write_if_changed(pages / "chapters" / f"{chapter.document}.ipynb", nbformat.writes(notebook))
        pictures += drawn
    by_name = {picture.name: picture for picture in pictures}
    for picture in pictures:
        target = pages / "pictures" / picture.name
        target.mkdir(parents=True)
        for file in figures.files(figures.folder(picture.chapter.run), picture.id):
            finishing.pack(file, target)
    if scores(run):
        shutil.copyfile(RESULTS / run / "scores.json", pages / "scores.json")
    data = companion.without_markers((ROOT / "data" / "README.md").read_text())
    write_if_changed(pages / "included" / "data.md", data)
    context = {
        "run": run,
        "chapters": found,
        "concepts": [c for c in found if c.run == CONCEPTS],
        "pictures": by_name,
        "picture": lambda name, language=ENGLISH: elsewhere(by_name.get(name), language),
        "parameters": parameters(run),
        "scores": scores(run),
        "matched": scores(run, benchmark.MATCHED_SCORES),
        "tables": tables,
        "receipts": receipts(RESULTS / run),
        "wings": {wing: list(its) for wing, its in groupby(modules(), wing)},
        "explorable": explorer.available(run),
        "paintable": painting.available(run),
        "n_real": explorer.REAL,
        "glossary": read_yaml((SOURCE / "glossary.yaml").read_bytes(), "glossary.yaml"),
        "italian": italian,
        "code": code,
        "literal": literal,
    }
    for name in TEMPLATES.list_templates():
        if not name.startswith("_"):
            own = by_name if name == "thesis.md" else {}
            write_if_changed(pages / name, within(linked(filled(name, **context), found), pages, own))
    for picture in pictures:
        write_if_changed(pages / "figures" / f"{picture.name}.md", filled("_figure.md", **context, figure=picture))
    for name, its in context["wings"].items():
        write_if_changed(pages / "api" / f"{name}.rst", filled("_wing.rst", wing=name, modules=its))


def elsewhere(figure: Picture | None, language: str) -> str:
    """Return a picture of a chapter as another page shows it, with its caption in the language; nothing without one."""
    if figure is None:
        return ""
    caption = figure.line["caption"] if language == ENGLISH else Translator(language).caption(figure.id)
    told = {"caption": escaped(caption), "alternative": alternative(caption), "language": language}
    return filled("_elsewhere.md", figure=figure, **told)


def alternative(caption: str) -> str:
    """Return what a caption says to its first stop, as Markdown."""
    return escaped(re.split(r"[.:;](?:\s|$)", caption, maxsplit=1)[0])


def filled(template: str, **context: object) -> str:
    """Return a template of ``book/pages`` with its places filled."""
    return companion.without_markers(TEMPLATES.get_template(template).render(context))


def within(source: str, pages: Path, own: Container[str] = ()) -> str:
    """Return Markdown of ``book/pages`` as a book can hold it: kept pictures are copied into the folder ``pages``.

    A link to one that the book has of its ``own``, by id, leads to that one's page. Links to other files of the
    project, right where the page lies, become their words.
    """

    def copied(match: re.Match) -> str:
        words, path = match.groups()
        if not path.startswith("figures/"):
            return words
        if Path(path).stem in own:
            return f"[{words}](/figures/{Path(path).stem}.md)"
        target = pages / "kept" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target)
        return f"[{words}](/kept/{path})"

    return re.sub(r"\[([^\]]+)\]\(\.\./\.\./([^)]+)\)", copied, source)


def without_folders(text: str, run: str) -> str:
    """Take the folders of this machine out of ``text``: of files that a run was given, checkout, environment, home.

    What is left of a path is its name, or its place below one of these. Folders are found as they stand in JSON, in a
    notebook's code (JSON within JSON), and in HTML.
    """
    given = [read_parameters(path) for path in sorted((RESULTS / run / "params").glob("*.yaml"))]
    values = [value for section in given for value in section.values()]
    values += [item for value in values if isinstance(value, list) for item in value]
    folders = {Path(value).parent for value in values if isinstance(value, str) and Path(value).is_absolute()}
    folders |= {folder for own in (ROOT, Path(sys.prefix), Path.home()) for folder in (own, own.resolve())}
    forms = {str(folder) for folder in folders if folder != Path(folder.anchor)}
    forms |= {json.dumps(form)[1:-1] for form in forms} | {html.escape(form) for form in forms}
    forms |= {json.dumps(form)[1:-1] for form in forms}
    longest_first = "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
    return re.sub(rf"(?<![\w.~-])(?:{longest_first})(?:/|(?![\w.-]))", "", text)


def for_book(chapter: Chapter, among: list[Chapter], run: str) -> tuple[nbformat.NotebookNode, list[Picture]]:
    """Return a notebook as the book of ``run`` shows it, and its figures.

    Figures become files with a number, a caption and a page of their own; the code of cells that draw or import is
    folded; the cell of parameters has the values that the run used; other notebooks are linked; equations are numbered.
    """
    notebook = nbformat.reads(without_folders(chapter.path.read_text(), run), as_version=4)
    manifest, pictures, equations = public(figures.manifest(chapter.run), run), [], 0
    if not chapter.executed:
        lessons.illustrate(notebook, manifest)
    injected = [cell for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    used = dict(line.split(" = ", 1) for cell in injected for line in cell.source.splitlines() if " = " in line)
    notebook.cells = [cell for cell in notebook.cells if cell not in injected]
    if chapter.label:
        notebook.cells[0].source = re.sub("^# .*", f"# {chapter.title}", notebook.cells[0].source)
    for cell in notebook.cells:
        tags = cell.metadata.setdefault("tags", [])
        if cell.cell_type == "markdown":
            cell.source, equations = numbered(linked(cell.source, among), chapter.document, equations)
        elif "parameters" in tags:
            cell.source = with_values(cell.source, used)
        folded = cell.cell_type == "code" and re.match("(import|from) ", cell.source) is not None
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data:
                data["text/html"] = finishing.lighter(data["text/html"])
            id = SHOWN.match(data.get("text/plain", ""))
            if id and id[1] in manifest:
                pictures.append(Picture(id[1], chapter, manifest[id[1]], cell.source))
                output.data = {"text/markdown": filled("_numbered.md", figure=pictures[-1])}
                folded = True
        if folded and "hide-input" not in tags:
            tags.append("hide-input")
    return notebook, pictures


def with_values(source: str, used: Mapping[str, str]) -> str:
    """Return the cell of parameters, ``name = value  # meaning`` line by line, with the values ``used``."""
    return re.sub(r"^(\w+) = (.*?)(?=  # |$)", lambda m: f"{m[1]} = {used.get(m[1], m[2])}", source, flags=re.MULTILINE)


def linked(source: str, among: list[Chapter]) -> str:
    """Return Markdown in which notebooks of the book, named in words ("notebook 2") or by file, are links.

    Links to headings have Jupyter's form, ``#2.3-Training``, and get that of the book, ``#23-training``. A link to a
    situation of the playground leads to the page of this book.
    """
    documents = {stem: chapter.document for chapter in among for stem in (chapter.path.stem, chapter.document)}

    def by_file(match: re.Match) -> str:
        words, stem = match.groups()
        return f"[{words}](/chapters/{documents[stem]}.ipynb)" if stem in documents else words

    def by_number(match: re.Match) -> str:
        stem = next((stem for stem in documents if stem.startswith(f"{int(match[1]):02}_")), None)
        return f"[{match[0]}](/chapters/{documents[stem]}.ipynb)" if stem else match[0]

    def played(match: re.Match) -> str:
        return f'<a href="../playground.html{html.escape(match[2])}">{match[1]}</a>'

    source = re.sub(r"\[([^\]]+)\]\([^)\s]*/playground\.html(#[^)\s]*)\)", played, source)
    source = re.sub(r"(?<=\]\(#)[^)\s]+(?=\))", lambda anchor: re.sub(r"[^\w-]", "", anchor[0].lower()), source)
    source = re.sub(r"(?<!!)\[([^\]]+)\]\([^)]*?([^/)]+)\.ipynb\)", by_file, source)
    return re.sub(r"(?<![\w\[`/])[Nn]otebook (\d)(?![\w`\]])", by_number, source)


def numbered(source: str, document: str, before: int) -> tuple[str, int]:
    """Return Markdown whose displayed equations are tagged "2.1", "2.2" …, and how many there are now.

    Those with a tag of their own keep it, and those of several lines go without.
    """
    chapter = re.match(r"0*(\w+?)_", document)

    def tag(match: re.Match) -> str:
        nonlocal before
        if r"\tag" in match[1] or r"\\" in match[1] or not chapter:
            return match[0]
        before += 1
        stop = match[2] and rf"\,{match[2]}"
        return rf"$${match[1].rstrip()}{stop} \tag{{{chapter[1]}.{before}}}$$"

    return re.sub(r"^\$\$(.+?)\$\$([.,;]?)$", tag, source, flags=re.MULTILINE | re.DOTALL), before


def escaped(text: str) -> str:
    """Return plain text as Markdown."""
    return re.sub(r"([\\`*_\[\]<>$|])", r"\\\1", text)


def code(text: str) -> str:
    """Return any text as code in Markdown: in more backticks than it has itself."""
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    room = " " if "`" in text else ""
    return f"{ticks}{room}{' '.join(text.splitlines())}{room}{ticks}"


def literal(value: object) -> str:
    """Return a parameter as code in a Markdown table."""
    return code(json.dumps(value, ensure_ascii=False)).replace("|", r"\|")


def public(content: dict, run: str) -> dict:
    """Return what JSON or YAML holds, :func:`without_folders`."""
    return json.loads(without_folders(json.dumps(content), run))


def parameters(run: str) -> dict[str, dict]:
    """Return the parameters of each notebook of a run."""
    files = sorted((RESULTS / run / "params").glob("*.yaml"))
    return public({path.stem: read_parameters(path) for path in files}, run)


def scores(run: str, file: str = benchmark.SCORES) -> dict[str, dict]:
    """Return the scores of a run, model → metric → fields, in the order of all figures; empty where there are none."""
    found = benchmark.read_scores(RESULTS / run / file)
    return {model: in_order(found[model], ALL) for model in in_order(found, plots.LABELS)}


def in_order(content: Mapping[str, object], known: Iterable[str]) -> dict[str, object]:
    """Return ``content`` in the order of the ``known`` keys; others come last."""
    return {key: content[key] for key in (*known, *content) if key in content}


def modules() -> list[str]:
    """Return the names of all modules of the library."""
    found = pkgutil.walk_packages(meagan_lib.__path__, "meagan_lib.")
    return sorted((module.name for module in found if not module.ispkg), key=lambda name: (name.count(".") == 1, name))


def italian(chapter: Chapter) -> str:
    """Return the Italian title of a chapter; its own where there is none."""
    title = finishing.title(chapter.path.stem.partition(".")[0])
    return " · ".join(filter(None, (title, escaped(chapter.label)))) if title else chapter.title


def wing(module: str) -> str:
    """Return the wing of a module, ``meagan_lib.<wing>.<name>``, or what stands beside the wings."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 else BESIDE
