"""What the pages of Sphinx and its theme lack.

Pictures that load when they are needed, Italian around Italian pages, what a screen reader misses, and the excerpts
that a search shows, also in a book that is opened from a folder.
"""

import base64
import html
import io
import json
import posixpath
import re
import shutil
import unicodedata
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from docutils import nodes
from PIL import Image

from meagan_lib import ROOT

WIDE = 1100
"""Pixels from which on letters of a picture cannot be read on a phone: there it scrolls sideways."""
LEFT_OUT = (nodes.literal_block, nodes.math_block, nodes.raw, nodes.comment, nodes.system_message, nodes.image)
"""Parts of a page that no excerpt of it shows."""


@cache
def italian() -> dict[str, dict[str, str]]:
    """Return Italian ``titles`` of pages, by document, and the ``words`` around their text, by the English ones."""
    return yaml.safe_load((ROOT / "book" / "italian.yaml").read_text())


def title(document: str) -> str:
    """Return the Italian title of a document, empty where there is none."""
    titles = italian()["titles"]
    return titles.get(document, titles.get(document.rpartition("/")[2], ""))


def in_italian(navigation: str, page: str) -> str:
    """Return the sidebar of a page, HTML, with Italian captions and titles; other titles are marked as English.

    A page that has an Italian one is linked there.
    """

    def titled(match: re.Match) -> str:
        opening, address, words = match.groups()
        document = posixpath.normpath(posixpath.join(posixpath.dirname(page), address.removesuffix(".html")))
        if address == "#" or document.startswith(("it/", "glossary")):
            return match[0]
        translated = html.escape(title(document))
        if (ROOT / "book" / "pages" / "it" / f"{document}.md").is_file():
            own = posixpath.relpath(f"it/{document}.html", posixpath.dirname(page))
            opening = opening.replace(f'href="{address}"', f'href="{own}"')
        return f"{opening}{translated}</a>" if translated else f'{opening[:-1]} lang="en">{words}</a>'

    words = italian()["words"]
    navigation = re.sub(
        r'(<span class="caption-text">)([^<]+)', lambda m: m[1] + html.escape(words.get(m[2], m[2])), navigation
    )
    return re.sub(r'(<a [^>]*?href="([^"]*)"[^>]*>)([^<]*)</a>', titled, navigation)


def pack(file: Path, folder: Path) -> None:
    """Put a file of a figure into a folder of the book: arrays compressed, a vector picture zipped, others as they are.

    Both have the same content as before, in less than half the bytes.
    """
    if file.suffix == ".npz":
        with np.load(file, allow_pickle=False) as arrays:
            np.savez_compressed(folder / file.name, **arrays)
    elif file.suffix == ".svg":
        with zipfile.ZipFile(folder / f"{file.name}.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr(zipfile.ZipInfo(file.name), file.read_bytes(), zipfile.ZIP_DEFLATED)
    else:
        shutil.copyfile(file, folder / file.name)


def lighter(output: str) -> str:
    """Return a cell's HTML whose embedded PNGs, the rows of its sliders, have a palette of 128 colours."""

    def reduced(match: re.Match) -> str:
        buffer = io.BytesIO()
        picture = Image.open(io.BytesIO(base64.b64decode(match[2]))).convert("RGB")
        picture.quantize(128, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(buffer, "PNG")
        return match[1] + base64.b64encode(buffer.getvalue()).decode()

    return re.sub(r"(data:image/png;base64,)([A-Za-z0-9+/=]+)", reduced, output)


def with_sizes(body: str, pictures: Mapping[str, Path]) -> str:
    """Return a page's HTML whose pictures, by name in ``_images``, load when they come into sight and know their size.

    Wide ones have the class ``wide``.
    """

    def sized(match: re.Match) -> str:
        path = pictures.get(match[2])
        if not path or path.suffix != ".png":
            return f'<img loading="lazy" {match[1]}'
        with Image.open(path) as picture:
            width, height = picture.size
        wide = ' class="wide"' if width > WIDE and 'class="' not in match[0] else ""
        return f'<img loading="lazy" width="{width}" height="{height}"{wide} {match[1]}'

    return re.sub(r'<img ([^>]*?src="[^"]*?_images/([^"]+)")', sized, body)


def with_levels(navigation: str) -> str:
    """Return the sidebar's HTML whose captions, headings to a screen reader, have a level."""
    return navigation.replace('role="heading"', 'role="heading" aria-level="2"')


def accessible(body: str) -> str:
    """Return a page's HTML with what a screen reader misses: names that say what is seen, heads of columns."""
    body = body.replace(' aria-label="Toggle hidden content"', "")
    return re.sub(r"<th([^>]*)>(?:<p></p>)?</th>", r"<td\1></td>", body)


def plain(formula: str) -> str:
    """Return TeX as plain text, G(z) or σ₁ for example; what has more in it than letters becomes "…"."""

    def greek(match: re.Match) -> str:
        try:
            size = "SMALL" if match[1].islower() else "CAPITAL"
            return unicodedata.lookup(f"GREEK {size} LETTER {match[1].upper()}")
        except KeyError:
            return match[0]

    def lowered(match: re.Match) -> str:
        return match[1].translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))

    text = re.sub(r"_\{?(\d+)\}?", lowered, re.sub(r"\\([A-Za-z]+) ?", greek, formula))
    return text if re.fullmatch(r"[^\\_{}^&$]+", text) else "…"


def excerpt(doctree: nodes.document, short: bool) -> str:
    """Return the text of a page without code and displayed equations; if ``short``, what stands before its sections."""
    doctree = doctree.deepcopy()
    for node in [node for node in doctree.findall() if isinstance(node, LEFT_OUT)]:
        node.parent.remove(node)
    for section in [node for node in doctree.findall(nodes.section) if short and node.parent is not doctree]:
        section.parent.remove(section)
    for reference in [node for node in doctree.findall(nodes.Element) if node.get("reftype") == "numref"]:
        reference.parent.remove(reference)  # its number is not known yet
    for node in list(doctree.findall(nodes.math)):
        node.parent.replace(node, nodes.Text(plain(node.astext())))
    return " ".join(doctree.astext().split())


def write_excerpts(excerpts: Mapping[str, str], path: Path) -> None:
    """Write the script ``path`` with the excerpt of every page, by document: a page of a folder may fetch nothing."""
    content = {"meaganExcerpts": dict(sorted(excerpts.items())), "meaganItalian": italian()["words"]}
    path.write_text("".join(f"window.{key} = {json.dumps(its, ensure_ascii=False)};\n" for key, its in content.items()))
