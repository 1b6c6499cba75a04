"""A run as a bundle, and a bundle as a run of which a book can be made.

Into a bundle go parameters, receipts, scores, executed notebooks without their pictures, what draws the figures, and
the networks of the explorer where they are small. Out of a bundle, which may come from a stranger, notebooks bring
text, tables and pictures: no script, no directive of Sphinx, no raw HTML.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import yaml
from nbconvert.preprocessors.sanitize import SanitizeHTML

from meagan_lib import InputError
from meagan_lib.book import building, explorer
from meagan_lib.experiments.benchmark import SCORES
from meagan_lib.workflow import bundles, drawings, figures
from meagan_lib.workflow.execution import NOTEBOOKS, RESULTS, require_finished
from meagan_lib.workflow.files import read_json, sha256, together, write_json
from meagan_lib.workflow.graph import forget

NETWORKS = ("config.json", "model.safetensors", "encoder.safetensors")
"""Files of a model that the explorer needs, beside the windows of the run."""
SMALL = 8_000_000
"""Bytes that windows and networks of the explorer may have, to go along."""
FROM = "bundle.json"
"""In the results of a run that came from a bundle: its hash, and that of its receipts."""
TAGS = "table thead tbody tr th td caption div span p b i em strong br pre code sub sup ul ol li figure figcaption"
STYLES = "display flex-wrap margin width max-width min-width text-align vertical-align font-weight color"
CLEANER = SanitizeHTML(
    tags=[*TAGS.split(), "img"],
    attributes={"*": ["class", "style", "colspan", "rowspan", "scope"], "img": ["alt", "src"]},
    styles=STYLES.split(),
    strip=True,
)
LANGUAGE = {"name": "python", "pygments_lexer": "ipython3"}
MARKUP = re.compile(r"[`<>{}|\\$\[\]\n\r]")
"""What names and words of a run do not hold, and markup does."""


def pack(run: str, out: Path) -> dict:
    """Write the bundle of a run and return what it says of itself: ``inside`` and ``left_out``, in words.

    ``InputError``: no such run, one without figures, or a full disk.
    """
    if not building.receipts(RESULTS / run):
        raise InputError(f"there is nothing of a run '{run}' yet: make it with meagan run")
    if (RESULTS / run / SCORES).is_file():
        require_finished(run)
    folders = {"": run} | {of.removeprefix(f"{run}/"): of for of in figures.parts(run)}
    drawn = {where: figures.manifest(of) for where, of in folders.items()}
    drawn = {where: lines for where, lines in drawn.items() if lines}
    if not drawn:
        raise InputError(f"run '{run}' has no figures: a bundle is of one whose notebooks have drawn some")
    found = {name: content for path in _of_results(run) for name, content in _packed(run, path)}
    pictures = []
    for where, lines in drawn.items():
        folder = figures.folder(folders[where])
        found[bundles.member("figures", where, "manifest.json")] = _public(folder / "manifest.json", run)
        for id in lines:
            path = drawings.place(folder, id)
            if path.is_file():
                found[bundles.member("figures", where, "drawings", path.name)] = path.read_bytes()
                continue
            pictures.append(id)
            kept = [path for path in figures.files(folder, id) if path.suffix in (".png", ".gif")]
            found |= {bundles.member("figures", where, path.name): path.read_bytes() for path in kept}
    n = sum(map(len, drawn.values()))
    inside = [f"what draws {n - len(pictures)} of {n} figures, with the arrays that they show"]
    if pictures:
        inside.append(f"{len(pictures)} figures as pictures, for nothing draws them: {', '.join(pictures)}")
    inside += ["parameters, receipts, scores, executed notebooks"]
    left_out = ["the recording", "the lessons (a book takes those of the checkout in which it is made)"]
    networks = _networks(run)
    size = sum(path.stat().st_size for path in networks)
    if networks and size <= SMALL:
        found |= {f"results/{path.relative_to(RESULTS / run)}": path.read_bytes() for path in networks}
        inside.append("windows and networks of the explorer")
    elif networks:
        left_out.append(f"the explorer: windows and networks have {size / 1e6:.0f} MB, more than {SMALL / 1e6:.0f}")
    about = {"run": run, "inside": inside, "left_out": left_out}
    bundles.write(out, about, found)
    return about


def _of_results(run: str) -> Iterator[Path]:
    """Yield the small files of a run that its book and its tables read."""
    chapters = building.chapters(run)
    yield from (c.path for c in chapters if run == building.CONCEPTS or c.run != building.CONCEPTS)
    patterns = ["params/**/*.yaml", "receipts/*.json", "*.json", "*.csv", "benchmark/*/*/receipt.json"]
    patterns += ["recordings/*/params/**/*.yaml", "recordings/*/receipts/*.json"]
    yield from (path for pattern in patterns for path in (RESULTS / run).glob(pattern) if path.name != FROM)


def _packed(run: str, path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of a text of the results, without this machine's folders, where a bundle may hold it."""
    name = f"results/{path.relative_to(RESULTS / run).as_posix()}"
    if not bundles.NAME.fullmatch(name):
        return
    content = _public(path, run)
    if path.suffix == ".json":
        read_json(path)  # what is damaged here would be refused where it is unpacked
    yield name, _without_pictures(content) if path.suffix == ".ipynb" else content


def _public(path: Path, run: str) -> bytes:
    return building.without_folders(path.read_text(), run).encode()


def _without_pictures(content: bytes) -> bytes:
    """Return a notebook whose saved figures say only which they are: they are drawn again."""
    notebook = nbformat.reads(content.decode(), as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if building.SHOWN.match(output.get("data", {}).get("text/plain", "")):
                output.data = {"text/plain": output.data["text/plain"]}
    return nbformat.writes(notebook).encode()


def _networks(run: str) -> list[Path]:
    """Return the files that the explorer reads; none where it has nothing to show."""
    models = [RESULTS / run / model / file for model in explorer.available(run) for file in NETWORKS]
    return [path for path in [RESULTS / run / "windows.h5", *models] if path.is_file()] if models else []


def restore(path: Path, name: str = "") -> str:
    """Make a bundle a run of this checkout, drawn again, unless it is one already; return the run's name.

    It is called as the bundle says, or ``name``. ``InputError``: a bundle that cannot be read, one whose figures cannot
    be drawn, another run of that name, or a full disk.
    """
    digest = sha256(path) if path.is_file() else ""
    with bundles.opened(path) as bundle:
        run = name or bundle.run
        if _came_from(RESULTS / run, digest):
            return run
        if any(folder.is_dir() and any(folder.iterdir()) for folder in (RESULTS / run, figures.folder(run))):
            raise InputError(f"there is another run '{run}' here, which a bundle does not replace: give it a --name")
        with together([figures.folder(run), RESULTS / run]) as (pictures, results):
            for member in bundle.names:
                if member.startswith("results/"):
                    target = results / member.removeprefix("results/")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(_restored(member, bundle.read(member)))
            if not building.receipts(results):
                raise InputError(f"{path.name} is damaged: it has no receipts of its run")
            told = bundles.redraw(bundle, pictures)
            if told.failed:
                raise InputError(bundles.failure(told))
            for manifest in pictures.rglob("manifest.json"):
                lines = json.loads(manifest.read_text())
                write_json(manifest, {id: _line(id, line) for id, line in lines.items()})
            write_json(results / FROM, {"sha256": digest, "receipts": sha256(results / "receipts")})
            forget(run)
    return run


def _came_from(results: Path, digest: str) -> bool:
    """Return whether the results of a run are those of the bundle with this hash, and not of a later run."""
    told = read_json(results / FROM)
    return bool(told) and told == {"sha256": digest, "receipts": sha256(results / "receipts")}


def _restored(member: str, content: bytes) -> bytes:
    """Return a file of a bundle as it may be trusted: notebooks are :func:`harmless`, JSON and YAML are mappings."""
    path = Path(member)
    try:
        if path.suffix == ".ipynb":
            return nbformat.writes(harmless(nbformat.reads(content.decode(), as_version=4), path.stem)).encode()
        if path.suffix == ".json":
            return json.dumps(plain(bundles.json_object(content, member))).encode()
        if path.suffix == ".yaml":
            return yaml.safe_dump({plain(name): value for name, value in yaml.safe_load(content).items()}).encode()
    except InputError:
        raise
    except (ValueError, KeyError, AttributeError, TypeError, yaml.YAMLError, nbformat.ValidationError) as error:
        raise InputError(f"{member} in the bundle is damaged: {str(error).splitlines()[0]}") from error
    return content


def plain(value: object) -> object:
    """Return what JSON holds without markup in names and words: pages of the book show them as they are."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return MARKUP.sub("", value) if isinstance(value, str) else value


def _line(id: str, line: dict) -> dict:
    """Return a stranger's line of a manifest: words of the registry, names without markup; values stay as they are."""
    own = figures.registry().get(id)
    words = {"chapter": own.chapter, "notebook": own.notebook, "caption": own.caption} if own else {}
    given = line.get("parameters")
    known = {"parameters": {plain(name): its for name, its in given.items()}} if isinstance(given, dict) else {}
    return plain({key: its for key, its in line.items() if key != "parameters"}) | words | known


def harmless(notebook: nbformat.NotebookNode, stem: str) -> nbformat.NotebookNode:
    """Return a stranger's notebook anew: what would run in Sphinx or in a reader's browser is left out.

    Text that is word for word in the notebook ``stem`` of this checkout stays as it is; other text is shown literally.
    """
    own = next(NOTEBOOKS.rglob(f"{stem.partition('.')[0]}.ipynb"), None)
    known = {cell.source for cell in nbformat.read(own, as_version=4).cells} if own else set()
    cells = []
    for cell in notebook.cells:
        tags = [tag for tag in cell.metadata.get("tags", []) if re.fullmatch(r"[\w-]+", str(tag))]
        if cell.cell_type == "code":
            outputs = [kept for output in cell.outputs for kept in _harmless_output(output)]
            source = cell.source.replace("```", "'''")  # it would end the block in which a page shows it
            cells.append(nbformat.v4.new_code_cell(source, outputs=outputs, metadata={"tags": tags}))
        elif cell.cell_type == "markdown":
            source = cell.source if cell.source in known else literal(cell.source)
            cells.append(nbformat.v4.new_markdown_cell(source, metadata={"tags": tags}))
    for i, cell in enumerate(cells):
        cell.id = f"cell-{i}"
    return nbformat.v4.new_notebook(cells=cells, metadata={"language_info": LANGUAGE})


def _harmless_output(output: nbformat.NotebookNode) -> Iterator[nbformat.NotebookNode]:
    """Yield an output with its text, its table cleaned, its Markdown literal; or nothing of it."""
    if output.output_type == "stream":
        yield nbformat.v4.new_output("stream", name="stdout", text=str(output.text))
        return
    data = {kind: str(its) for kind, its in output.get("data", {}).items() if kind in ("text/plain", "image/png")}
    if found := output.get("data", {}).get("text/html"):
        data["text/html"] = CLEANER.sanitize_html_tags(re.sub(r"(?s)<style.*?</style>", "", str(found)))
    if found := output.get("data", {}).get("text/markdown"):
        data["text/markdown"] = literal(str(found))
    if data:
        yield nbformat.v4.new_output("display_data", data)


def literal(text: str) -> str:
    """Return text as Markdown that shows it: code fenced as Python stays so, ``**bold**`` too, all else is text."""
    if (fenced := re.fullmatch(r"```python\n(.*)\n```\s*", text, flags=re.DOTALL)) and "```" not in fenced[1]:
        return text
    escaped = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)
    return re.sub(r"\\\*\\\*(.+?)\\\*\\\*", r"**\1**", escaped)
