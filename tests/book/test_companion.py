"""The page of the thesis names every heading, its links lead somewhere, and the bibliography holds what is cited."""

import json
import re
from pathlib import Path

import pytest

from meagan_lib import ROOT, InputError
from meagan_lib.book import companion
from meagan_lib.workflow.execution import NOTEBOOKS

SECTIONS = "1.1.1–1.1.2 1.1.3 1.1.4 1.2 1.3.1 1.3.2 1.3.3 1.3.4 1.3.5 1.4 1.4.1 2.1 2.2 2.3 2.3.1".split()
"""Of chapters 1 and 2 of the thesis."""
CITED = re.compile(r"([A-ZŻ][\w’-]+)(?: (?:and|&) [A-Z][\w-]+| et al\.)?,? \(?((?:19|20)\d\d)\b(?!-)")
NO_AUTHORS = {"Python", "BrainWave"}


def tables() -> str:
    return (companion.PAGES / "thesis.md").read_text().partition("## Conclusions")[0]


def cited_in(path: Path) -> str:
    """What a file says; of a notebook its cells."""
    if path.suffix != ".ipynb":
        return path.read_text()
    return "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"])


def citing() -> list[Path]:
    """Library, notebooks, pages, registry and catalogue, without the bibliography itself."""
    places = ("meagan_lib/**/*.py", "notebooks/**/*.ipynb", "book/pages/**/*.md", "bench/*.md", "*.md")
    found = [path for place in places for path in ROOT.glob(place) if ".ipynb_checkpoints" not in path.parts]
    found += [ROOT / name for name in ("book/glossary.yaml", "figures/registry.yaml", "data/catalogue.yaml")]
    return [path for path in found if path.name != "bibliography.md"]


@pytest.mark.parametrize("page", companion.kept_pages(), ids=lambda page: page.stem)
def test_a_page_says_what_thesis_scores_and_bibliography_say(page):
    assert page.read_text() == companion.made_anew(page), "write it with python -m meagan_lib.book.companion"


def test_every_heading_of_the_thesis_is_in_the_table():
    listed = re.findall(r"^\| ([\d.–]+) ", tables(), flags=re.MULTILINE)
    assert list(dict.fromkeys(listed)) == SECTIONS
    for name in ("02_transformer_gan", "03_vae_gan"):
        cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())["cells"]
        rows = next("".join(cell["source"]) for cell in cells if cell["id"] == "thesis-map")
        for chapter, words in re.findall(r"^\| (?:\*\*(\d)\*\*|Appendix)[:·]? ?(?:· )?([^|]+) \|", rows, re.MULTILINE):
            part = tables().partition(f"### Chapter {chapter}" if chapter else "### Appendix")[2].partition("###")[0]
            for word in re.findall(r"[\w`–-]{4,}", words):
                assert word.casefold() in part.casefold(), f"{words} is not in the table of chapter {chapter}"


def test_every_notebook_has_a_place_in_the_table():
    numbered = [path.name for path in NOTEBOOKS.glob("*.ipynb") if path.name[:2] < "06"]
    lessons = [path.name for path in (NOTEBOOKS / "concepts").glob("*.ipynb")]
    assert [name for name in (*numbered, *lessons) if f"/{name})" not in tables()] == []


def test_a_heading_that_a_notebook_does_not_have_is_refused():
    assert companion.heading("c3_losses", "3.4") == companion.heading("c3_losses", "Soft") == "3.4 Soft labels"
    with pytest.raises(InputError, match="no heading of notebook c1_networks begins with '1.99'"):
        companion.heading("c1_networks", "1.99")


def test_every_work_that_is_cited_is_in_the_bibliography():
    works = companion.bibliography()["works"]
    ids = {work["id"] for work in works if "id" in work}
    authors = [(f"{work['who']} {work.get('cited', '')}", work.get("year")) for work in works]
    known = {(name, year) for who, year in authors for name in re.findall(r"[\w’-]+", who)}
    missing = []
    for path in citing():
        text = cited_in(path)
        found = {f"arXiv:{number}" for number in re.findall(r"arXiv:\s?(\d{4}\.\d{4,5})", text)}
        found |= {f"doi:{doi.rstrip('.,;)')}" for doi in re.findall(r"doi:(10\.\d+/[^\s\"`]+)", text)}
        missing += [(path.name, id) for id in found if not any(own.startswith(id) for own in ids)]
        named = {(name, int(year)) for name, year in CITED.findall(text) if name not in NO_AUTHORS}
        missing += [(path.name, *each) for each in named - known]
    assert missing == []
