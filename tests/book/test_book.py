"""The book: made from whatever a run holds, complete in itself, and good in a real browser.

``MEAGAN_BOOK=results/<run>/book pytest tests/book/test_book.py`` looks at every page of a book of yours as well.
"""

import base64
import functools
import http.server
import json
import math
import os
import re
import threading
import zipfile
from pathlib import Path
from urllib.parse import unquote, urldefrag

import nbformat
import numpy as np
import onnx
import pytest
import torch
import yaml
from bs4 import BeautifulSoup
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure
from onnx.reference import ReferenceEvaluator
from PIL import Image
from safetensors.torch import save_file

from meagan_lib import ROOT, InputError
from meagan_lib.book import building, explorer, finishing, lessons, painting
from meagan_lib.images.gan import Painter
from meagan_lib.images.geometry import placed
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gan import GANConfig
from meagan_lib.models.generators import build_generator
from meagan_lib.models.vae_gan import VAEGANConfig, build_vae
from meagan_lib.training.trainer import build_config
from meagan_lib.windows.normalisation import Standardiser
from meagan_lib.windows.spike_windows import SpikeWindows
from meagan_lib.workflow import figures
from meagan_lib.workflow.files import sha256
from tests.browser import CHROMIUM, browser
from tests.fixtures import score, spikes

RUN, PART = "tiny", "tiny/recordings/north"
NAME = """`x` ``<img src=x onerror=alert(1)> $a$ [e](http:evil) *b* | "c" & 'd' {{f}} _g_.raw"""
FOLDER = "/home/some one/culture & co"
RECORDING = f"{FOLDER}/{NAME}"
"""A recording whose name would be markup, in a folder of somebody's machine."""
SMALL = {"latent": 8, "width": 16, "depth": 1, "heads": 2}
pytestmark = pytest.mark.filterwarnings("ignore:'myst_parser")
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here: apt-get install chromium")


def windows() -> SpikeWindows:
    n = 240
    unknown = np.full(n, -1, np.int32)
    return SpikeWindows(
        spikes(n), unknown, np.arange(n), unknown, (np.arange(n) % 3).astype(np.uint8), 20_000.0, 16, "uV"
    )


def saved(id: str, run: str, animation: bytes | None = None) -> dict:
    """A figure of a run, as a notebook shows it."""
    fig = Figure(figsize=(2, 1))
    fig.subplots().plot([0, 1], [1, 2])
    shown = figures.save_figure(fig, id, run=run, data={"y": np.arange(3), "at": np.float64(1)}, animation=animation)
    path = figures.folder(run) / "manifest.json"
    lines = json.loads(path.read_text())
    given = {"name": run, "seed": 7, "recording": RECORDING}
    lines[id] |= {"parameters": given, "library_sha256": {"meagan_lib/plots/style.py": "0" * 64}}
    path.write_text(json.dumps(lines))
    return DisplayFormatter().format(shown)[0]


def executed(
    results: Path, run: str, notebook: str, title: str, cells: list[tuple[str, dict]], label: str = ""
) -> None:
    """An executed notebook of a run, with its receipt."""
    parameters = nbformat.v4.new_code_cell('name = "quick"  # run\nseed = 0  # of every draw\nrecording = ""  # path')
    parameters.metadata["tags"] = ["parameters"]
    injected = nbformat.v4.new_code_cell(
        f'# Parameters\nname = "{run}"\nseed = 7\nrecording = {json.dumps(RECORDING)}\n'
    )
    injected.metadata["tags"] = ["injected-parameters"]
    content = [
        nbformat.v4.new_markdown_cell(
            f"# {title}\n\nSee notebook 4 and [the concept](concepts/c1_networks.ipynb), not [this](gone.ipynb).\n\n"
            "$$a = b$$\n\n$$c = d \\tag{thesis 1.1}$$\n\nInline $x_i$."
        ),
        parameters,
        injected,
        nbformat.v4.new_code_cell("import numpy"),
    ]
    for source, data in cells:
        output = nbformat.v4.new_output("execute_result", data)
        content.append(nbformat.v4.new_code_cell(source, outputs=[output]))
    words = (
        f"1225 windows to train, of {RECORDING}\n{ROOT}/meagan_lib/recordings/brw.py:7: a warning; {Path.home()}/.cache"
    )
    printed = nbformat.v4.new_output("stream", name="stdout", text=words)
    content.append(nbformat.v4.new_code_cell("print(n)", outputs=[printed]))
    whole = run.partition("/recordings/")[0]
    path = results / whole / "notebooks" / ".".join(filter(None, (notebook, label, "ipynb")))
    path.parent.mkdir(parents=True, exist_ok=True)
    python = {"language_info": {"name": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=content, metadata=python), path)
    receipt = results / run / "receipts" / f"{notebook}.json"
    receipt.parent.mkdir(parents=True, exist_ok=True)
    content = {"notebook": notebook, "seconds": 1.0, "figures": [], "products": {"windows.h5": "1"}}
    receipt.write_text(json.dumps(content))


def kept_lesson(path: Path) -> None:
    """A lesson as git has it, without outputs; its figure is kept."""
    saved("c4_ring", "concepts")
    text = "# c4 · Mode collapse\n\nA generator, at $k = 5$, repeats one output, $\\sqrt{2}$.\n\n$$\\frac{a}{b}$$"
    sources = ["import numpy", 'save_figure(ring("x"), "c4_ring", run=name)', "Interactive(see, z=[1, 2])"]
    cells = [nbformat.v4.new_markdown_cell(text), *map(nbformat.v4.new_code_cell, sources)]
    path.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}}), path)


def trained(results: Path) -> None:
    """Windows and two models that were never trained, but are not the Gaussian either."""
    w = windows()
    w.save(results / RUN / "windows.h5")
    train = Standardiser.fit(w.of(0)).transform(w.of(0))
    vae = build_vae(build_config(VAEGANConfig, **SMALL), TrainingData(train))
    networks = {
        "transformer_gan/model": build_generator(build_config(GANConfig, **SMALL), TrainingData(train)),
        "vae_gan/model": vae.decoder,
        "vae_gan/encoder": vae.encoder,
    }
    torch.manual_seed(1)
    for name, network in networks.items():
        path = results / RUN / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        weights = {k: v + 0.05 * torch.randn_like(v) for k, v in network.state_dict().items()}
        save_file(weights, path)
        (path.parent / "config.json").write_text(json.dumps({"config": {**SMALL, "prior": "gaussian"}}))


@pytest.fixture(scope="module")
def painter() -> Painter:
    """A painter of 16 × 16 pixels that was trained for two steps, on discs in noise; 8 bits lose nothing of it."""
    rng = np.random.default_rng(0)
    images = (rng.integers(100, 156, (14, 16, 16)) / 255).astype(np.float32)
    y, x = np.mgrid[:16, :16]
    masks = np.stack([(y - 6 - i / 2) ** 2 + (x - 8) ** 2 < 10 for i in range(6)]).astype(np.float32)
    return Painter.fit(images[:6] * (1 - 0.6 * masks), masks, images[6:], steps=2, batch_size=4, width=4, margin=2)


@pytest.fixture(scope="module")
def results(tmp_path_factory, painter):
    """A run with three chapters, a recording of its own for one of them, a concept, scores and two networks."""
    home = tmp_path_factory.mktemp("book")
    results = home / "results"
    with pytest.MonkeyPatch.context() as patch:
        for module in (building, explorer, painting):
            patch.setattr(module, "RESULTS", results)
        patch.setattr(figures, "folder", lambda run: home / "figures" / run)
        patch.setattr(building, "modules", lambda: ["meagan_lib.training.losses", "meagan_lib.workflow.files"])
        executed(results, RUN, "01_preprocessing", "1 · Windows", [("draw()", saved("trace_detections", RUN))])
        executed(results, PART, "01_preprocessing", "1 · Windows", [("draw()", saved("chip_map", PART))], label="north")
        film = saved("transformer_gan_snapshots", RUN, b"GIF89a\1\0\1\0\0\0\0;")
        executed(results, RUN, "02_transformer_gan", "2 · A GAN", [("film | play", film)])
        executed(results, RUN, "04_results_comparison", "4 · Scores", [("compare()", saved("scores", RUN))])
        executed(results, "concepts", "c1_networks", "c1 · Networks", [("learn()", saved("pca", "concepts"))])
        patch.setattr(lessons, "CONCEPTS", home / "lessons")
        kept_lesson(home / "lessons" / "c4_mode_collapse.ipynb")
        failed = results / RUN / "notebooks" / "03_vae_gan.failed.ipynb"
        failed.write_text("no notebook")
        given = {"name": RUN, "seed": 7, "recording": RECORDING}
        for notebook in ("01_preprocessing", "02_transformer_gan", "03_vae_gan"):
            path = results / RUN / "params" / f"{notebook}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(yaml.safe_dump(given))
        values = {"reach": 0.55, "gaussian": 0.9, "vae_gan": 0.10, "unheard_of": math.nan}
        values["<b>_x_</b>"] = 0.5
        scores = {m: {"coverage": score(0.6), "c2st_auc": score(0.6) | {"value": v}} for m, v in values.items()}
        (results / RUN / "scores.json").write_text(json.dumps(scores))
        trained(results)
        painting.save_painters(results / RUN / painting.FILE, {"blowhole": painter, "crack": painter})
        yield results


@pytest.fixture(scope="module")
def made(results):
    """The book of that run, in which Sphinx finds nothing to complain about."""
    return building.build(RUN, strict=True).parent


@functools.cache
def page(made: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((made / name).read_text(), "html.parser")


@pytest.fixture(scope="module")
def folder(request):
    """The book that is read: that of MEAGAN_BOOK, or the one made here."""
    return Path(os.environ.get("MEAGAN_BOOK") or request.getfixturevalue("made")).resolve()


def test_a_link_to_a_heading_as_jupyter_knows_it_becomes_one_of_the_book():
    assert building.linked("[2.1](#2.1-The-windows,-normalised), [x](#One-step-by-hand)", []) == (
        "[2.1](#21-the-windows-normalised), [x](#one-step-by-hand)"
    )


def test_a_link_to_a_situation_leads_to_the_playground_of_the_book():
    linked = building.linked("[so](../../results/quick/book/playground.html#game=points&k=5), c4", [])
    assert linked == '<a href="../playground.html#game=points&amp;k=5">so</a>, c4'


def test_chapters_are_what_a_run_has_executed_in_order_and_the_concepts(results):
    assert [(c.document, c.title) for c in building.chapters(RUN)] == [
        ("01_preprocessing", "1 · Windows"),
        ("01_preprocessing-north", "1 · Windows · north"),
        ("02_transformer_gan", "2 · A GAN"),
        ("04_results_comparison", "4 · Scores"),
        ("c1_networks", "c1 · Networks"),
        ("c4_mode_collapse", "c4 · Mode collapse"),
    ]
    (results / "empty" / "notebooks").mkdir(parents=True)
    with pytest.raises(InputError, match="run 'empty' has no executed notebooks"):
        building.build("empty")


def test_a_lesson_that_was_not_executed_has_its_kept_figures_and_says_so(made):
    lesson = page(made, "chapters/c4_mode_collapse.html")
    assert "it was not executed with this run" in lesson.get_text()
    assert "it was not executed" not in page(made, "chapters/c1_networks.html").get_text()
    assert lesson.select_one("figure a[href$='figures/c4_ring.html'] img")
    assert "Here the notebook has sliders: make lab" in lesson.get_text()
    assert page(made, "index.html").select_one("article a[href='chapters/c4_mode_collapse.html']")
    assert "numpy.load" in page(made, "figures/c4_ring.html").get_text()


def test_files_of_a_figure_are_smaller_in_the_book_and_the_same(made, tmp_path):
    folder = figures.folder(RUN)
    finishing.pack(folder / "scores.svg", tmp_path)
    with zipfile.ZipFile(tmp_path / "scores.svg.zip") as packed:
        assert packed.read("scores.svg") == (folder / "scores.svg").read_bytes()
    finishing.pack(folder / "scores.npz", tmp_path)
    with np.load(tmp_path / "scores.npz") as there:
        assert figures.data_sha256(dict(there)) == figures.manifest(RUN)["scores"]["data_sha256"]
    twice = {"pca.png", "transformer_gan_snapshots.png"} & {path.name for path in (made / "_downloads").rglob("*.png")}
    assert twice == set(), "a picture that is shown need not be there once more to be downloaded"


def test_every_figure_has_a_number_its_caption_and_a_page_with_cell_data_and_provenance(made):
    chapter = page(made, "chapters/02_transformer_gan.html")
    caption = chapter.select_one("figure figcaption").get_text()
    assert "Figure 3" in caption and figures.registry()["transformer_gan_snapshots"].caption in caption
    what = "Windows that the generator gives for the same five z during training (each z keeps its shade)"
    assert chapter.select_one("figure img")["alt"] == what
    assert chapter.select_one("figure a[href$='figures/transformer_gan_snapshots.html'] img")
    own = page(made, "figures/transformer_gan_snapshots.html")
    told = own.get_text()
    line = figures.manifest(RUN)["transformer_gan_snapshots"]
    assert all(line[f"{kind}_sha256"] in told for kind in ("data", "png", "svg", "gif")) and "0" * 64 in told
    assert "film | play" in told and "section 4 (reconstruction) of the thesis" in told
    assert "make figures RECORDING=" in told
    data = next(a["href"] for a in own.select("a[download]") if a["href"].endswith(".npz"))
    np.testing.assert_array_equal(np.load(made / "figures" / data)["y"], np.arange(3))
    assert "one number, float64" in told
    gallery = page(made, "figures.html").select(".gallery img")
    assert len(gallery) == 6 and all(image["alt"] and image["loading"] == "lazy" for image in gallery)
    assert "papermill notebooks/concepts/" in page(made, "figures/pca.html").get_text()
    assert (made / "figures" / "chip_map-north.html").is_file()


def test_a_chapter_shows_the_values_that_were_used_and_folds_what_draws(made):
    chapter = page(made, "chapters/01_preprocessing.html")
    assert f'name = "{RUN}"  # run\nseed = 7  # of every draw' in chapter.get_text()
    assert "# Parameters" not in chapter.get_text() and "1225 windows to train" in chapter.get_text()
    folded = [cell.get_text() for cell in chapter.select("details.hide")]
    assert ["import numpy" in folded[0], "draw()" in folded[1], len(folded)] == [True, True, 2]
    assert all(chapter.select_one(f'a[href="{name}.html"]') for name in ("04_results_comparison", "c1_networks"))
    assert "gone" not in str(chapter.select_one("article")) and "not this." in chapter.get_text()


def test_scores_stand_in_tables_that_know_no_list_of_models(made):
    table = page(made, "scores.html").select("table")[0]
    rows = [[cell.get_text(strip=True) for cell in row.select("th, td")] for row in table.select("tr")]
    assert rows == [
        ["model", "C2ST AUC ↓", "coverage →"],
        ["floor", "0.500", "0.500"],
        ["reach (train)", "0.550", "0.600"],
        ["VAE-GAN", "0.100", "0.600"],
        ["Gaussian", "0.900", "0.600"],
        ["unheard of", "–", "0.600"],
        ["<b> x </b>", "0.500", "0.600"],
    ]


def test_the_library_and_the_run_are_told(made):
    assert "Probability" not in page(made, "api/training.html").get_text()[:50]
    assert "Write content as JSON, atomically" in page(made, "api/workflow.html").get_text()
    told = page(made, "run.html").get_text()
    assert json.dumps(NAME) in told and "windows.h5" in told
    assert f"recording {NAME}, seed 7" in page(made, "index.html").get_text()


def test_names_are_text_and_never_markup(made):
    for name in pages(made):
        assert not page(made, name).select("[onerror], [href*=evil], article b"), name
    shown = [page(made, name).get_text() for name in ("run.html", "figures/pca.html", "chapters/01_preprocessing.html")]
    assert all(json.dumps(NAME) in text for text in shown)


def test_a_book_tells_nothing_of_the_machine_that_made_it(made, results):
    """Neither where the recording lay, nor the checkout, the home or the run's folder, in any file of text."""
    hidden = ("some one", "some&#32;one", str(ROOT), str(Path.home()), str(results))
    kinds = {".html", ".js", ".json", ".md", ".ipynb", ".rst", ".txt", ".svg"}
    files = [path for path in made.rglob("*") if path.suffix in kinds]
    files = [path for path in files if not path.name.startswith(("tex-svg", "runtime-data"))]
    assert len(files) > 30
    assert [(path.name, word) for path in files for word in hidden if word in path.read_text()] == []
    scripts = [(made / "_static" / f"{name}-data.js").read_text() for name in ("explorer", "painting")]
    networks = [n for text in scripts for n in re.findall(r'"(?:generator|encoder|network)": "([^"]+)"', text)]
    assert len(networks) == 5
    assert [word for n in networks for word in (".py", str(ROOT)) if word.encode() in base64.b64decode(n)] == []
    chapter = page(made, "chapters/01_preprocessing.html").get_text()
    assert f"of {NAME}\nmeagan_lib/recordings/brw.py:7: a warning; .cache" in chapter


def test_italian_pages_say_so_and_terms_stand_in_both_languages(made):
    assert page(made, "it/index.html").html["lang"] == "it" and page(made, "index.html").html["lang"] == "en"
    glossary = page(made, "glossary.html")
    assert glossary.html["lang"] == "it"
    rows = [[cell.get_text(strip=True) for cell in row.select("td")] for row in glossary.select("tbody tr")]
    terms = [italian.casefold() for italian, _, _ in rows]
    assert len(rows) > 40 and terms == sorted(terms) and all(all(row) for row in rows)


def test_what_stands_around_an_italian_page_is_italian(made):
    for name in ("it/index.html", "glossary.html"):
        sidebar = page(made, name).select_one(".sidebar-drawer")
        captions = [caption.get_text() for caption in sidebar.select(".caption-text")]
        assert captions == ["Capitoli", "Lezioni", "Guardare e provare", "Da consultare"]
        assert sidebar.select_one("input.sidebar-search")["placeholder"] == "Cerca"
        titles = {a["href"].rpartition("/")[2]: a.get_text() for a in sidebar.select("a.internal")}
        assert titles["02_transformer_gan.html"] == "2 · La GAN con Transformer" and titles["scores.html"] == "Punteggi"
        assert "Vai al contenuto" in page(made, name).get_text()
    assert "Lezioni" not in page(made, "index.html").select_one(".sidebar-drawer").get_text()
    known = {path.stem for path in (ROOT / "notebooks").rglob("*.ipynb") if not path.stem.endswith("_solution")}
    known |= {path.stem for path in (ROOT / "book" / "pages").glob("[a-z]*.md")} - {"glossary"}
    assert sorted(name for name in known if not finishing.title(name)) == []


def pages(made: Path) -> list[str]:
    return sorted(str(path.relative_to(made)) for path in made.rglob("*.html"))


def test_links_and_pictures_lead_somewhere_and_nothing_comes_from_elsewhere(folder):
    anchors = {name: {tag["id"] for tag in page(folder, name).select("[id]")} for name in pages(folder)}
    found = []
    for name in anchors:
        soup = page(folder, name)
        found += [f"{name} tells {path}" for path in (str(ROOT), str(folder.parent)) if path in str(soup)]
        for tag, attribute in (("script", "src"), ("img", "src"), ("link", "href"), ("a", "href")):
            for element in soup.select(f"{tag}[{attribute}]"):
                address, anchor = urldefrag(element[attribute])
                if address.startswith(("https:", "http:", "data:")):
                    found += [f"{name} asks {address}"] * (tag != "a" and not address.startswith("data:"))
                    continue
                target = (folder / name).parent / unquote(address.partition("?")[0]) if address else folder / name
                document = os.path.relpath(target, folder)
                if not target.exists() or (anchor and anchor not in anchors.get(document, {anchor})):
                    found.append(f"{name} leads to {element[attribute]}, which is not there")
    assert found == []


@pytest.mark.parametrize(
    "text, shown",
    [
        ("/data/a.brw and /media/b's disk/day 1/b.brw", "a.brw and b.brw"),
        ("see ../data/README.md, or https://a.org/data/x", "see ../data/README.md, or https://a.org/data/x"),
        (json.dumps(["/media/b's disk/day 1/b.brw", '/srv/"c"/c.csv']), '["b.brw", "c.csv"]'),
        (json.dumps("spikes = " + json.dumps('/srv/"c"/c.csv')), json.dumps('spikes = "c.csv"')),
        ("<code>/media/b&#x27;s disk/day 1/b.yaml</code> /database", "<code>b.yaml</code> /database"),
    ],
)
def test_folders_of_recordings_and_spikes_are_left_out_in_whatever_form_they_stand(tmp_path, monkeypatch, text, shown):
    given = {
        "recording": ["/data/a.brw", "/media/b's disk/day 1/b.brw", "locust"],
        "spikes": '/srv/"c"/c.csv',
        "seed": 0,
    }
    (tmp_path / "three" / "params").mkdir(parents=True)
    (tmp_path / "three" / "params" / "01_preprocessing.yaml").write_text(yaml.safe_dump(given))
    monkeypatch.setattr(building, "RESULTS", tmp_path)
    assert building.without_folders(text, "three") == shown


def test_chapters_are_in_the_order_of_their_numbers(tmp_path, monkeypatch):
    names = ["c1_networks", "c2_density_game", "c9_flow_matching", "c12_energies"]
    for folder, suffix in (("notebooks", "ipynb"), ("receipts", "json")):
        (tmp_path / "concepts" / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / "concepts" / folder / f"{name}.{suffix}").touch()
    monkeypatch.setattr(building, "RESULTS", tmp_path)
    monkeypatch.setattr(lessons, "CONCEPTS", tmp_path)
    assert [chapter.path.stem for chapter in building.chapters("concepts")] == names


@pytest.mark.parametrize(
    "source, expected",
    [
        ("$$a$$\n\ntext", r"$$a \tag{c2.4}$$" + "\n\ntext"),
        ("$$\na\n$$,\n", "$$\na" + r"\,, \tag{c2.4}$$" + "\n"),
        (r"$$a \tag{thesis 1.1}$$", r"$$a \tag{thesis 1.1}$$"),
        (r"$$a \\ b$$", r"$$a \\ b$$"),
        ("costs $$ and $$ again", "costs $$ and $$ again"),
    ],
)
def test_displayed_equations_are_numbered_within_their_chapter(source, expected):
    assert building.numbered(source, "c2_density", 3)[0] == expected


def test_pages_link_copies_of_kept_pictures_and_leave_links_to_other_files_as_words(tmp_path):
    source = "![all](../../figures/full/scores.png), [measured](../../bench/PREPROCESSING.md), [here](scores.md)"
    assert building.within(source, tmp_path) == "![all](/kept/figures/full/scores.png), measured, [here](scores.md)"
    assert sha256(tmp_path / "kept/figures/full/scores.png") == sha256(ROOT / "figures/full/scores.png")


@pytest.mark.parametrize(
    "formula, text",
    [("k = 5", "k = 5"), (r"\sigma_1", "σ₁"), (r"W_{12}", "W₁₂"), (r"\sqrt{d}", "…"), (r"G(z)", "G(z)"), ("x_i", "…")],
)
def test_an_excerpt_has_no_tex(formula, text):
    assert finishing.plain(formula) == text


def test_pictures_know_their_size_and_wide_ones_scroll_on_a_phone(tmp_path):
    names = {"wide.png": (1200, 400), "small.png": (300, 200)}
    for name, (width, height) in names.items():
        Image.new("1", (width, height)).save(tmp_path / name)
    body = "".join(f'<img alt="a" src="../_images/{name}" />' for name in names)
    sized = finishing.with_sizes(body, {name: tmp_path / name for name in names})
    assert sized == (
        '<img loading="lazy" width="1200" height="400" class="wide" alt="a" src="../_images/wide.png" />'
        '<img loading="lazy" width="300" height="200" alt="a" src="../_images/small.png" />'
    )


def test_what_a_caption_says_is_not_taken_for_markup():
    assert building.escaped("*a* [b](c) <d> $x_1$ |e|") == r"\*a\* \[b\](c) \<d\> \$x\_1\$ \|e\|"


@pytest.mark.parametrize("of", ["book", "tests"])
def test_files_of_others_are_those_that_are_listed(of):
    vendor = ROOT / of / "vendor"
    listed = [line.split() for line in (vendor / "SHA256SUMS").read_text().splitlines()]
    assert [sha256(vendor / name) for _, name in listed] == [hash for hash, _ in listed]
    kinds = (".js", ".mjs", ".gz", ".patch")
    there = {p.relative_to(vendor).as_posix() for p in vendor.rglob("*") if p.suffix in kinds}
    assert {name for _, name in listed} == there
    assert all(path.stat().st_size < 5e6 for path in vendor.rglob("*"))


def computed(network: str, row: np.ndarray) -> np.ndarray:
    """What a network of the page gives, by ONNX's own definition of its operations."""
    evaluator = ReferenceEvaluator(onnx.load_from_string(base64.b64decode(network)))
    return evaluator.run(None, {"input": row[None]})[0][0]


def test_the_networks_of_the_page_give_what_pytorch_gives(made, results):
    script = (made / "_static" / "explorer-data.js").read_text()
    content = json.loads(script.removeprefix("window.meaganExplorer = ").removesuffix(";\n"))
    w = SpikeWindows.load(results / RUN / "windows.h5")
    assert np.frombuffer(base64.b64decode(content["real"]), np.float32).reshape(-1, w.n_samples).shape == (80, 32)
    for described in content["models"]:
        e = explorer.load(RUN, described["model"], w)
        z = np.random.default_rng(0).standard_normal(8).astype(np.float32)
        np.testing.assert_allclose(computed(described["generator"], z), (e.window(z) - e.centre) / e.scale, atol=1e-5)
        if e.encoder:
            scaled = ((w.windows[0] - e.centre) / e.scale).astype(np.float32)
            np.testing.assert_allclose(computed(described["encoder"], scaled), e.encoded(w.windows[0]), atol=1e-5)
    assert [m["model"] for m in content["models"]] == ["transformer_gan", "vae_gan"] and len(script) < 15e6


@pytest.fixture(scope="module")
def served(folder):
    """The folder on a server of this machine, and its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def tab():
    with browser() as page:
        yield page


def found_by(tab, made: Path, query: str) -> list[dict]:
    """What a search of the book, opened as a file, finds: address and excerpt, the first first."""
    tab.open(f"{(made / 'search.html').as_uri()}?q={query.replace(' ', '+')}")
    tab.until("document.querySelector('.search-summary')?.textContent")
    items = "[...document.querySelectorAll('ul.search li')]"
    return tab.run(
        f"{items}.map((li) => ({{to: li.querySelector('a').getAttribute('href').split('#')[0], "
        "words: li.querySelector('.context')?.textContent ?? ''}))"
    )


@needs_chromium
def test_a_search_in_a_book_that_is_opened_as_a_file_shows_words_and_puts_chapters_first(made, tab):
    tab.screen(1280, 900)
    found = found_by(tab, made, "mode collapse")
    assert found[0]["to"] == "chapters/c4_mode_collapse.html"
    assert "at k = 5, repeats one output" in found[0]["words"] and "\\" not in found[0]["words"]
    assert not tab.complaints()
    caption = figures.registry()["c4_ring"].caption
    assert "figures/c4_ring.html" in [item["to"] for item in found_by(tab, made, " ".join(caption.split()[:4]))]
    found = [item["to"] for item in found_by(tab, made, "discriminator")]
    assert found[-1].startswith("api/") and not found[0].startswith("api/")
    assert found == sorted(found, key=lambda to: 2 - to.startswith("chapters/") * 2 - (not to.startswith("api/")))


@needs_chromium
def test_on_a_phone_the_tab_key_enters_the_sidebar_only_when_it_is_open(served, tab):
    tab.screen(390, 844, still=True)
    tab.open(f"{served[1]}/chapters/02_transformer_gan.html")
    inside = "Boolean(document.activeElement.closest('.sidebar-drawer'))"
    way = []
    for _ in range(4):
        tab.press("Tab")
        way.append(tab.run(inside))
    assert way == [False] * 4
    tab.run("document.querySelector('button.nav-overlay-icon').focus()")
    tab.press("Enter")
    tab.until(inside)
    tab.press("Escape")
    tab.until("document.activeElement.matches('button.nav-overlay-icon')")
    assert tab.run("document.activeElement.getAttribute('aria-expanded')") == "false"


KINDS = ["index", "chapters/02_transformer_gan", "chapters/c4_mode_collapse", "figures/pca", "figures", "scores"]
KINDS += ["explorer", "painting", "glossary", "it/index", "api/training", "run"]
"""A page of each kind."""
SCREENS = [(1280, False), (1280, True), (390, False), (390, True)] if "MEAGAN_BOOK" in os.environ else [(390, True)]


@needs_chromium
@pytest.mark.parametrize("width, dark", SCREENS)
def test_axe_finds_nothing_to_complain_of_on_any_kind_of_page(served, tab, width, dark):
    folder, address = served
    axe = (ROOT / "tests" / "vendor" / "axe-core" / "axe.min.js").read_text()
    computing, words = "document.querySelector('#explorer, #painting')", "'#explorer-words, #painting-words'"
    kinds = pages(folder) if "MEAGAN_BOOK" in os.environ else [f"{name}.html" for name in KINDS]
    found = {}
    tab.screen(width, 900, dark=dark)
    for name in [*kinds, "search.html?q=window"]:
        tab.open(f"{address}/{name}")
        tab.until(f"!{computing} || document.querySelector({words})?.textContent")
        tab.run(f"{axe}; 0")
        violations = tab.run("axe.run().then((r) => r.violations.map((v) => [v.id, v.nodes[0].html.slice(0, 200)]))")
        found |= {name: violations} if violations else {}
    assert found == {}


@needs_chromium
def test_what_is_printed_is_the_text(served, tab):
    tab.screen(1280, 900, dark=True)
    tab.open(f"{served[1]}/chapters/02_transformer_gan.html")
    tab.send("Emulation.setEmulatedMedia", media="print")
    try:
        hidden = [".sidebar-drawer", ".toc-drawer", ".mobile-header", "details.hide", "button.snapshots"]
        shown = (
            f"{json.dumps(hidden)}.filter((s) => [...document.querySelectorAll(s)].some((e) => e.checkVisibility()))"
        )
        assert tab.run(shown) == []
        assert tab.run("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    finally:
        tab.send("Emulation.setEmulatedMedia", media="")


LOOK = """(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const images = all("article img");
  const levels = all("article h1, article h2, article h3, article h4").map((h) => Number(h.tagName[1]));
  const words = (e) => e.textContent.trim() || e.getAttribute("aria-label");
  const named = (e) => words(e) || e.querySelector("img[alt]") || e.closest("label");
  return {
    wide: Math.max(...all("html, .content").map((e) => e.scrollWidth - e.clientWidth)),
    mute: images.filter((i) => !i.alt.trim()).length,
    gone: images.filter((i) => i.complete && !i.naturalWidth).length,
    unset: all(".math").length - all(".math:has(mjx-container)").length,
    wrong: all("[data-mml-node=merror], mjx-assistive-mml [mathcolor=red]").length,
    silent: all("mjx-container").length - all("mjx-assistive-mml math").length,
    headings: levels[0] === 1 && levels.every((level, i) => i === 0 || (level > 1 && level <= levels[i - 1] + 1)),
    nameless: all("article button, article a[href], article input, article select").filter((e) => !named(e)).length,
  };
})()"""
GOOD = {"wide": 0, "mute": 0, "gone": 0, "unset": 0, "wrong": 0, "silent": 0, "headings": True, "nameless": 0}


@needs_chromium
def test_every_page_is_sound_on_a_phone_in_the_dark_and_asks_nobody_else(served, tab):
    folder, address = served
    tab.screen(390, 844, dark=True)
    found = {}
    for name in pages(folder):
        complaints = tab.open(f"{address}/{name}")
        look = tab.run(LOOK)
        if complaints or (look != GOOD and not name.startswith(("_modules", "search", "genindex", "py-modindex"))):
            found[name] = complaints + [f"{key}: {value}" for key, value in look.items() if value != GOOD[key]]
    assert found == {}


@needs_chromium
def test_dark_and_light_are_what_the_reader_prefers(served, tab):
    brightness = []
    for dark in (False, True):
        tab.screen(1280, 900, dark=dark)
        tab.open(f"{served[1]}/index.html")
        colour = tab.run("getComputedStyle(document.body).backgroundColor")
        brightness.append(sum(int(part) for part in colour[4:-1].split(",")))
    assert brightness[0] > 700 and brightness[1] < 100


@needs_chromium
def test_the_keyboard_reaches_the_text_first_and_then_what_can_be_used(served, tab):
    tab.screen(1280, 900)
    tab.open(f"{served[1]}/scores.html")
    tab.press("Tab")
    assert tab.run("document.activeElement.getAttribute('href')") == "#furo-main-content"
    tab.run("document.querySelector('table.sortable button').focus()")
    rows = "[...document.querySelector('table.sortable').tBodies[0].rows]"
    first = f"{rows}.map((row) => row.cells[0].textContent.trim())"
    column = "document.activeElement.closest('th').getAttribute('aria-sort')"
    tab.press("Tab")
    tab.press("Enter")
    assert tab.run(column) == "ascending"
    ascending = tab.run(first)
    tab.press("Enter")
    assert tab.run(column) == "descending"
    if "MEAGAN_BOOK" not in os.environ:
        assert ascending == ["VAE-GAN", "floor", "<b> x </b>", "reach (train)", "Gaussian", "unheard of"]
        assert tab.run(first) == ["Gaussian", "reach (train)", "floor", "<b> x </b>", "VAE-GAN", "unheard of"]


@needs_chromium
def test_a_screen_reader_hears_the_title_first_and_the_name_of_every_control(served, tab):
    tab.open(f"{served[1]}/explorer.html")
    tab.until("document.querySelector('#explorer-words')?.textContent")
    heard = tab.heard()
    text = heard[next(i for i, (role, _) in enumerate(heard) if role == "main") :]
    assert next(name for role, name in text if role == "heading").startswith("The latent explorer")
    controls = [(role, name) for role, name in text if role in ("radio", "button", "slider")]
    assert [c for c in controls if c[0] == "radio"] == [("radio", "Transformer-GAN"), ("radio", "VAE-GAN")]
    buttons = ["New spike", "Typical spike", "Reset"]
    assert [name for role, name in controls if role == "button"][: len(buttons)] == buttons
    sliders = [name for role, name in controls if role == "slider"]
    ways = {way for both in explorer.CHANGES.values() for way in both}
    named = [re.fullmatch(r"(\d) · (.+) \(\d+ % of the change\)", name) for name in sliders]
    assert [match[1] for match in named] == [str(i + 1) for i in range(explorer.DIRECTIONS)]
    assert {way for match in named for way in match[2].split(", ")} <= ways
    picture = next(name for role, name in text if role == "image")
    assert picture.startswith("Synthetic spike of the Transformer-GAN: trough")


@needs_chromium
def test_a_figure_moves_when_asked_to_and_not_before(served, tab):
    tab.open(f"{served[1]}/figures/transformer_gan_snapshots.html")
    source = "document.querySelector('article img').src.split('.').pop()"
    assert tab.run(source) == "png"
    tab.run("document.querySelector('button.snapshots').focus()")
    tab.press("Enter")
    assert (tab.run(source), tab.run("document.activeElement.textContent")) == ("gif", "■ Stop")
    tab.press("Enter")
    assert tab.run(source) == "png"


@needs_chromium
@pytest.mark.parametrize("way", ["server", "folder"])
def test_the_explorer_computes_in_the_page_what_pytorch_computes(served, tab, way, results):
    folder, address = served
    run = json.loads((folder / "_static" / "explorer-data.js").read_text()[len("window.meaganExplorer = ") : -2])["run"]
    home = results if run == RUN else ROOT / "results"
    tab.screen(390, 844)
    start = f"{address}/explorer.html" if way == "server" else (folder / "explorer.html").as_uri()
    tab.open(start)
    tab.until("window.meaganExplorer?.explorer?.z && document.querySelector('#explorer-words')?.textContent")
    explorer.RESULTS, kept = home, explorer.RESULTS
    try:
        w = SpikeWindows.load(home / run / "windows.h5")
        for i, e in enumerate(explorer.load(run, model, w) for model in explorer.available(run)):
            z = np.random.default_rng(i).standard_normal(e.generator.latent).astype(np.float32)
            there = tab.run(f"meaganExplorer.explorer.models[{i}].window({z.tolist()})")
            np.testing.assert_allclose((np.array(there) - e.window(z)) / e.scale, 0, atol=1e-5)
            if e.encoder:
                real = explorer.held_out(w)[0]
                there = tab.run(f"meaganExplorer.explorer.models[{i}].encoded({real.tolist()})")
                np.testing.assert_allclose(there, e.encoded(real), atol=1e-5)
    finally:
        explorer.RESULTS = kept
    before = tab.run("document.querySelector('.readout').textContent")
    tab.run("document.querySelector('.sliders input').focus()")
    for _ in range(8):
        tab.press("ArrowRight")
    tab.until(f"document.querySelector('.readout').textContent !== {json.dumps(before)}")
    tab.run("document.querySelector('input[value=vae_gan]').click()")
    tab.until("document.querySelectorAll('.explorer button').length === 4")
    tab.run("document.querySelectorAll('.explorer button')[2].click()")
    dashed = "document.querySelector('path[stroke-dasharray=\"6 4\"]').getAttribute('visibility')"
    tab.until(f"{dashed} === 'visible'")
    words = "document.querySelector('.readout').textContent"
    assert tab.run(words).startswith("Synthetic spike of the VAE-GAN")
    tab.until(f"{words}.endsWith('from the one that was encoded.')")
    encoded = tab.run(words)
    tab.run("document.querySelector('.sliders input').focus()")
    tab.press("ArrowRight")
    tab.until(f"{words} !== {json.dumps(encoded)}")
    tab.run("document.querySelectorAll('.explorer button')[3].click()")
    tab.until(f"{words} === {json.dumps(encoded)}")
    assert not tab.complaints()


@pytest.fixture
def canvas(made, tab):
    """The page of painters, opened as a file, at work."""
    tab.screen(1280, 900)
    tab.open((made / "painting.html").as_uri())
    tab.until("window.meaganPainting?.painting?.painted")
    tab.run("var painting = meaganPainting.painting; var row = (image) => Array.from(image)")
    help = "document.getElementById(painting.editor.getAttribute('aria-describedby')).textContent"
    assert tab.run(help).startswith("By keyboard. With the left picture in focus, the arrows move the mask")
    return tab


PAINTED = "painting.working?.then(() => 0)"
WORDS = "document.querySelector('#painting-words').textContent"


@needs_chromium
def test_a_painter_paints_in_the_page_what_it_paints_in_pytorch_and_nothing_beyond_the_margin(canvas, painter):
    z = torch.randn(1, 256, generator=torch.Generator().manual_seed(3))  # as paint draws it
    tile, mask = painter.backgrounds[2], painter.masks[4]
    asked = ", ".join(str(np.ravel(a).tolist()) for a in (z, tile, mask))
    there = canvas.run(f"painting.painters[1].paint({asked}).then(row)")
    expected = painter.paint(tile[None], mask[None], seed=3)[0]
    np.testing.assert_allclose(np.reshape(there, (16, 16)), expected, atol=1e-4)
    canvas.run("document.querySelector('[name=Tile][value=\"2\"]').click()")
    canvas.run("document.querySelector('[name=Mask][value=\"4\"]').click()")
    canvas.run(PAINTED)
    np.testing.assert_array_equal(np.float32(canvas.run("row(painting.tile)")), tile.ravel())
    changed = np.array(canvas.run("row(painting.painted)"), np.float32) != tile.ravel()
    assert canvas.run(WORDS) == (
        f"Class blowhole, tile 3: the mask has {int(mask.sum())} pixels; {changed.sum()} of 256 pixels changed, "
        f"none of them farther than 2 pixels from the mask."
    )
    assert mask.sum() < changed.sum() < 200
    canvas.run("painting.tell({margin: 0, class: 'x'}, painting.tile, painting.mask)")
    assert f"changed, {int((changed & (mask.ravel() == 0)).sum())} of them farther" in canvas.run(WORDS)
    assert not canvas.complaints()


@needs_chromium
def test_a_mask_is_placed_in_the_page_as_in_jupyterlab(canvas, painter):
    for turn, scale, right, down in [(0, 1, 0, 0), (35, 1.3, 3, -2), (-80, 0.7, -9, 4)]:
        canvas.run(f"painting.move({{turn: {turn}, scale: {scale}, right: {right}, down: {down}}})")
        there = np.reshape(canvas.run("row(painting.mask)"), (16, 16))
        np.testing.assert_array_equal(there, placed(painter.masks[0], turn, scale, right, down))


@needs_chromium
def test_a_mask_is_moved_and_drawn_by_pointer_and_by_keyboard(canvas):
    def press(x: float, y: float, kind: str) -> None:
        left, top, width = canvas.run(
            "(({left, top, width}) => [left, top, width])(painting.editor.getBoundingClientRect())"
        )
        at = {"x": left + x * width / 16, "y": top + y * width / 16}
        canvas.send("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, clickCount=1, **at)

    def drag(*points: tuple[float, float]) -> None:
        for point, kind in zip(points, ["mousePressed"] + ["mouseMoved"] * (len(points) - 1)):
            press(*point, kind)
        press(*points[-1], "mouseReleased")

    canvas.run("painting.editor.scrollIntoView({block: 'center', behavior: 'instant'})")
    drag((5, 5), (7, 8))
    assert canvas.run("[painting.place.right, painting.place.down]") == [2, 3]
    canvas.run("painting.editor.focus()")
    canvas.press("ArrowRight")
    assert canvas.run("[painting.place.right, document.querySelector('[name=right]').value]") == [3, "3"]
    canvas.run("painting.clear()")
    assert canvas.run(WORDS).startswith("The mask is empty")
    canvas.run("document.querySelector('input[value=draw]').click(); painting.pen = 'fine'")
    drag((2.5, 3.5), (6.5, 3.5))
    assert canvas.run("row(painting.mask.keys()).filter((i) => painting.mask[i])") == [3 * 16 + x for x in range(2, 7)]
    canvas.run("painting.clear()")
    for key in (" ", "ArrowRight", " ", "ArrowRight"):
        canvas.press(key)
    assert canvas.run("row(painting.mask.keys()).filter((i) => painting.mask[i])") == [8 * 16 + 8, 8 * 16 + 9]
    canvas.run(PAINTED)
    assert "the mask has 2 pixels" in canvas.run(WORDS)


def test_a_book_without_painters_has_no_script_of_theirs(made, results, tmp_path):
    assert page(made, "painting.html").select("script[src*='painting-data']")
    assert (made / "_static" / "runtime-data.js").is_file()
    (results / "bare").mkdir()
    building.export_networks("bare", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["playground-data.js"]
    told = building.filled("painting.md", run="bare", paintable=painting.available("bare"))
    assert "This run has no painters" in told and "<script" not in told
