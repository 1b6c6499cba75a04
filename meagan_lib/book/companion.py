"""Pages of which parts are made: results, what of the thesis runs here, what came out, and what is cited.

What stands in README, ``data/README.md`` and ``book/pages`` between ``<!-- made: NAME -->`` and ``<!-- end -->``, in a
line or in lines of its own, is what the function of that name in ``PARTS`` returns, given the words that follow the
name; ``python -m meagan_lib.book.companion`` writes it anew. A sentence with ``<!-- holds: NAME -->`` behind it needs
the condition of that name in ``CLAIMS``. All other numbers must be among those of ``book/constants.yaml``: a test
looks for them.
"""

import json
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import yaml

from meagan_lib import ROOT, InputError, did_you_mean
from meagan_lib.book import lesson_claims  # noqa: F401  its conditions are among CLAIMS
from meagan_lib.book.claims import CLAIMS
from meagan_lib.book.conclusions import conclusions
from meagan_lib.book.results import RESULTS
from meagan_lib.studies.measures import COLUMNS, OF_SCORES, SCORES
from meagan_lib.workflow import figures
from meagan_lib.workflow.execution import NOTEBOOKS, find_notebook
from meagan_lib.workflow.files import write_if_changed

PAGES = ROOT / "book" / "pages"
THESIS, BIBLIOGRAPHY = ROOT / "book" / "thesis.yaml", ROOT / "book" / "bibliography.yaml"
PLACE = re.compile(r"(<!-- made: ([^>\n]+) -->(\n?)).*?(<!-- end -->)", re.DOTALL)
CLAIM = re.compile(r"<!-- holds: (\w+) -->")
RUNS = ("concepts", "locust", "images", "study", "full")
"""Runs whose figures are kept; a figure is shown as the first of them has it, unless another run is named."""


def heading(notebook: str, name: str) -> str:
    """Return a heading of a notebook in full, of which ``name`` is the number or how its words begin.

    ``InputError``: a notebook without that heading.
    """
    cells = json.loads(find_notebook(notebook).read_text())["cells"]
    lines = [line for cell in cells if cell["cell_type"] == "markdown" for line in "".join(cell["source"]).splitlines()]
    for title in (line.lstrip("#").strip() for line in lines if line.startswith("#")):
        if title.startswith(f"{name} ") or re.sub(r"^[\d.]+ ", "", title).startswith(name):
            return title
    raise InputError(f"no heading of notebook {notebook} begins with '{name}'")


def linked_notebook(notebook: str, names: Sequence[str]) -> str:
    """Return a link to a notebook and, in italics, those of its headings that are meant."""
    path = find_notebook(notebook).relative_to(ROOT)
    short = notebook.partition("_")[0]
    words = f"notebook {int(short)}" if short.isdecimal() else short
    told = [heading(notebook, name) for name in names if name != short]
    return f"[{words}](../../{path})" + "".join(f"{', ' * (i > 0) or ' '}*{title}*" for i, title in enumerate(told))


def linked_figure(name: str) -> str:
    """Return a link to a registered figure, ``id`` or ``run/id``, where a kept run has it; its words otherwise."""
    run, _, id = name.rpartition("/")
    figures.entry(id)
    words = re.sub(r"^(transformer_gan|vae_gan|c\d+|organoid)_", "", id).replace("_", " ")
    places = [f"figures/{kept}/{id}.png" for kept in ([run] if run else RUNS)]
    kept = next((place for place in places if (ROOT / place).is_file()), None)
    return f"[{words}](../../{kept})" if kept else words


def headings() -> str:
    """Return a table for each chapter of the thesis: its headings, where each runs here, its figures."""
    parts = []
    for chapter in yaml.safe_load(THESIS.read_text()):
        known = f"*{chapter['known'][0].upper()}{chapter['known'][1:]}.*\n\n" if "known" in chapter else ""
        rows = [f"### {chapter['chapter']}\n\n{known}| heading of the thesis | runs here | figures |\n|---|---|---|"]
        for line in chapter["headings"]:
            runs = [linked_notebook(*each) for each in line.get("runs", {}).items()]
            told = "; ".join([*runs, *filter(None, [line.get("note")])])
            shown = " · ".join(map(linked_figure, line.get("figures", [])))
            anew = f" (thesis: {line['drawn']})" if "drawn" in line else ""
            rows.append(f"| {line['heading']} | {told} | {shown}{anew} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def sources() -> str:
    """Return the list of what the companion follows."""
    return "\n".join(f"- **{each['who']}**: {each['told']}." for each in bibliography()["sources"])


def works() -> str:
    """Return the list of all works that are cited: authors, year, title, where, identifier."""
    lines = []
    for work in bibliography()["works"]:
        year = f" ({work['year']})" if "year" in work else ""
        where = f" {work['in']}." if "in" in work else ""
        lines.append(f"- {work['who']}{year}. *{work['title']}*.{where}{identifier(work.get('id', ''))}")
    return "\n".join(lines)


def identifier(id: str) -> str:
    """Return ``arXiv:…``, ``doi:…`` or an address as a link, after a space; nothing where there is none."""
    kind, _, number = id.partition(":")
    homes = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}
    address = homes[kind] + quote(number) if kind in homes else id
    return f" [{id.removeprefix('https://')}]({address})" if id else ""


def bibliography() -> dict[str, list[dict]]:
    """Return ``sources`` and ``works`` as ``book/bibliography.yaml`` has them."""
    return yaml.safe_load(BIBLIOGRAPHY.read_text())


def columns() -> str:
    """Return tables of the columns of a study: its recordings, and its scores."""
    files = {"study.csv": COLUMNS, "for each model, as `<model> <score>`": SCORES, "study_scores.csv": OF_SCORES}
    parts = []
    for file, known in files.items():
        rows = "\n".join(f"| `{name}` | {column.meaning} | {column.unit} |" for name, column in known.items())
        title = f"`{file}`" if file.endswith(".csv") else file
        parts.append(f"{title}:\n\n| column | what it is | unit |\n|---|---|---|\n{rows}")
    return "\n\n".join(parts)


PARTS = {part.__name__: part for part in (headings, conclusions, sources, works, columns)} | RESULTS


def pages() -> list[Path]:
    """Return the pages that readers of the project and of its book meet."""
    return [ROOT / "README.md", ROOT / "data" / "README.md", *sorted(PAGES.glob("**/*.md"))]


def lessons() -> list[Path]:
    """Return the notebooks that are written by hand: chapters, and lessons with the solutions of their exercises."""
    return [*sorted(NOTEBOOKS.glob("*.ipynb")), *sorted((NOTEBOOKS / "concepts" / "solutions").glob("*.ipynb"))]


def written(page: Path) -> str:
    """Return the Markdown of a page or notebook."""
    if page.suffix != ".ipynb":
        return page.read_text()
    cells = json.loads(page.read_text())["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def part(place: re.Match) -> str:
    """Return a part as it should be, between its comments. ``InputError``: no such part."""
    name, *given = shlex.split(place[2])
    if name not in PARTS:
        raise InputError(f"a page asks for a part '{name}', which nothing makes{did_you_mean(name, PARTS)}")
    return place[1] + PARTS[name](*given) + place[3] + place[4]


def made_anew(page: Path) -> str:
    """Return a page with its parts as they should be."""
    return PLACE.sub(part, page.read_text())


def kept_pages() -> list[Path]:
    """Return the pages with parts that are made."""
    return [page for page in pages() if PLACE.search(page.read_text())]


def without_markers(text: str) -> str:
    """Return a page without the comments around its parts and behind its claims."""
    return re.sub(r"<!-- (?:made: [^>\n]+|end|holds: \w+) -->", "", text)


def claimed(text: str) -> list[tuple[str, str]]:
    """Return each claim of a page, and the sentence that stands before it on its line."""
    found = []
    for claim in CLAIM.finditer(text):
        line = text[text.rfind("\n", 0, claim.start()) + 1 : claim.start()]
        sentence = re.split(r"(?<=[.!?]) |^- ", without_markers(CLAIM.split(line)[-1]).lstrip("*.:;, "))[-1]
        found.append((claim[1], sentence))
    return found


def false_sentences(page: Path) -> list[str]:
    """Return the sentences of a page or notebook whose claims do not hold, or are unknown."""
    told = page.relative_to(ROOT) if page.is_relative_to(ROOT) else page
    return [
        f'{told}: "{sentence}" is no longer true ({name})' if name in CLAIMS else f"{told}: no claim '{name}'"
        for name, sentence in claimed(written(page))
        if name not in CLAIMS or not CLAIMS[name]()
    ]


def refuse() -> None:
    """Refuse pages that no longer say what the results say.

    ``InputError``: a sentence whose claim does not hold, or a part that is older than its results.
    """
    if found := [sentence for page in [*pages(), *lessons()] for sentence in false_sentences(page)]:
        raise InputError("results have changed, and a sentence must follow: " + "; ".join(found))
    if old := [str(page.relative_to(ROOT)) for page in kept_pages() if page.read_text() != made_anew(page)]:
        raise InputError(f"{', '.join(old)}: older than the results; write anew: python -m meagan_lib.book.companion")


def main() -> int:
    """Write the parts anew: ``python -m meagan_lib.book.companion``."""
    for page in kept_pages():
        write_if_changed(page, made_anew(page))
        print(page.relative_to(ROOT))
    try:
        refuse()
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
