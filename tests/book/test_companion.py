"""What README and pages say of results is made of them or holds, and what they cite and head is complete."""

import json
import re
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from meagan_lib import ROOT, InputError
from meagan_lib.book import building, companion, conclusions, results
from meagan_lib.book.claims import CLAIMS
from meagan_lib.book.conclusions import ALIKE
from meagan_lib.evaluation.scores import LEADING
from meagan_lib.experiments import reference
from meagan_lib.plots import LABELS
from meagan_lib.workflow.execution import NOTEBOOKS
from tests.book import typed

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


@pytest.mark.parametrize("page", companion.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_says_what_results_thesis_and_bibliography_say(page):
    assert page.read_text() == companion.made_anew(page), "write it with python -m meagan_lib.book.companion"
    assert companion.false_sentences(page) == []


@pytest.mark.parametrize("page", companion.pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_no_number_of_a_result_is_typed(page):
    found = typed.typed_numbers(page.read_text())
    assert found == [], f"{page.relative_to(ROOT)}: make them, or say in book/constants.yaml why they are none"


@pytest.mark.parametrize("lesson", companion.lessons(), ids=lambda lesson: lesson.stem)
def test_no_number_of_a_result_is_typed_in_a_notebook_and_what_it_claims_holds(lesson):
    text = companion.written(lesson)
    assert typed.typed_results(text) == [], "print it, claim it, or say it without the number"
    assert companion.false_sentences(lesson) == []


def test_a_changed_array_makes_the_sentence_of_a_lesson_false(tmp_path, monkeypatch):
    shutil.copytree(
        ROOT / "figures" / "concepts", tmp_path / "concepts", ignore=shutil.ignore_patterns("*.png", "*.svg")
    )
    path = tmp_path / "concepts" / "c4_scores.npz"
    arrays = dict(np.load(path))
    arrays["relativistic, R1R2: covered"][-1, 0] = 5
    np.savez(path, **arrays)
    monkeypatch.setattr(conclusions, "FIGURES", tmp_path)
    lesson = next(lesson for lesson in companion.lessons() if lesson.stem.startswith("c4"))
    [said] = companion.false_sentences(lesson)
    assert "the relativistic game cover seven or eight modes" in said and "three_games_cover" in said


def test_a_typed_number_is_found_wherever_it_stands():
    made = "<!-- made: compared_gains -->72<!-- end -->"
    fine = f"Section 2.3.1, C2ST: 0.5 is chance, `0.61`, [x](y_0.3.md), $k = 3$, none of {made} (95 % intervals)."
    assert typed.typed_numbers(fine) == []
    for words in ("The AUC is 0.612.", "by 87 %, or more", "| VAE-GAN | 0.963 |", "- in −0.004 of them", "12 times"):
        assert len(typed.typed_numbers(f"{fine}\n\n{words} {made}\n")) == 1, words
    assert typed.typed_numbers("it reaches 0.963 here") == ['0.963 in "it reaches 0.963 here"']
    assert typed.typed_results(f"## 4.1 What\n\nAs in 4.1, {fine}") == []
    for words in ("a quality of 0.31", "12 % of them", "right nine times in ten", "one curve in five", "about half"):
        assert len(typed.typed_results(f"{fine} {words}.")) == 1, words
    assert len(typed.typed_results(f"{fine} It takes 37 epochs.")) == 1
    answer = "{}\n<details><summary>Answer</summary>\n\nIt covers {} modes.{}\n</details>"
    assert typed.typed_results(answer.format("It has 37 epochs.", "the", "")) == []
    assert len(typed.typed_results(answer.format(fine, "seven", ""))) == 1
    assert typed.typed_results(answer.format(fine, "seven", "<!-- holds: three_games_cover -->")) == []


def test_every_claim_result_and_constant_has_its_place():
    pages = [page.read_text() for page in companion.pages()]
    notebooks = [companion.written(lesson) for lesson in companion.lessons()]
    assert {name for page in [*pages, *notebooks] for name, _ in companion.claimed(page)} == set(CLAIMS)
    assert {place[2].split()[0] for page in pages for place in companion.PLACE.finditer(page)} == set(companion.PARTS)
    for kind, texts in {"pages": pages, "notebooks": notebooks}.items():
        shown = re.sub(r"\]\([^)]*\)", "]", "\n\n".join(texts))
        for each in typed.constants(kind):
            assert each["why"] and re.search(each["what"], shown, re.MULTILINE), each["what"]


def test_no_line_begins_with_a_comment_that_would_make_it_html():
    for page in [*companion.pages(), *companion.lessons()]:
        assert not re.findall(r"^\W*<!-- (?:made|holds).*-->.+", companion.written(page), re.MULTILINE), page


def test_the_table_of_the_readme_has_the_scores_of_the_references():
    rows = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in results.readme_scores().splitlines()]
    by_label = {label: model for model, label in LABELS.items()}
    kept = [reference.load(run)["scores"] for run in ALIKE]
    for name, *cells in rows[3:]:
        assert cells == [f"{by[by_label[name]][metric]['value']:.3f}" for by in kept for metric in LEADING]
    assert [name for name, *_ in rows[2:4]] == ["real (test): floor", "reach (train)"] and len(rows) == 9
    assert rows[2][1:] == [f"{by['reach'][metric]['floor']:.3f}" for by in kept for metric in LEADING]


@pytest.fixture
def worse(tmp_path, monkeypatch):
    """Kept results in which flow matching is easily told from real windows on the simulation."""
    for run in ("baselines", "baselines_retina_hdmea", "full", "full_retina_hdmea", "locust"):
        shutil.copytree(
            ROOT / "figures" / run, tmp_path / "figures" / run, ignore=shutil.ignore_patterns("*.png", "*.svg")
        )
    (tmp_path / "figures" / "concepts").symlink_to(ROOT / "figures" / "concepts")
    path = tmp_path / "figures" / "baselines" / reference.FILE
    kept = json.loads(path.read_text())
    kept["scores"]["flow_matching"]["c2st_auc"] |= {"value": 0.9, "interval": [0.88, 0.92]}
    path.write_text(json.dumps(kept))
    monkeypatch.setattr(conclusions, "FIGURES", tmp_path / "figures")


def test_a_changed_score_changes_its_table_and_refuses_the_sentence_that_it_makes_false(worse, monkeypatch, tmp_path):
    readme = ROOT / "README.md"
    row = next(line for line in companion.made_anew(readme).splitlines() if line.startswith("| flow matching |"))
    assert row.split(" | ")[1] == "0.900"
    false = companion.false_sentences(readme)
    assert len(false) == 1 and false[0].startswith('README.md: "**Flow matching and the Transformer-GAN come closest**')
    monkeypatch.setattr(companion, "pages", lambda: [readme])
    monkeypatch.setattr(building, "chapters", lambda run: [building.Chapter("01", tmp_path, run)])
    with pytest.raises(
        InputError, match="a sentence must follow: README.md: .*Flow matching and the Transformer-GAN come closest"
    ):
        building.build("some")


def test_a_part_that_is_older_than_its_results_or_unknown_is_refused(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    monkeypatch.setattr(companion, "ROOT", tmp_path)
    monkeypatch.setattr(companion, "pages", lambda: [page])
    page.write_text("Of <!-- made: compared_gains -->7<!-- end --> comparisons")
    with pytest.raises(InputError, match="page.md: older than the results"):
        companion.refuse()
    assert companion.main() == 0 and page.read_text() == "Of <!-- made: compared_gains -->72<!-- end --> comparisons"
    page.write_text("Of <!-- made: compared_gain -->7<!-- end -->. All is well.<!-- holds: all_is_well -->")
    with pytest.raises(InputError, match="page.md: no claim 'all_is_well'"):
        companion.refuse()
    with pytest.raises(InputError, match="a part 'compared_gain', which nothing makes: did you mean"):
        companion.made_anew(page)


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


def test_the_bibliography_is_in_the_order_of_the_alphabet():
    plain = [unicodedata.normalize("NFKD", work["who"]) for work in companion.bibliography()["works"]]
    folded = [re.sub("[^a-z, ]", "", who.replace("-", " ").casefold()) for who in plain]
    assert folded == sorted(folded)


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
