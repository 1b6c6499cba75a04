"""What figures say, and what of it the table of translations lacks."""

from pathlib import Path
from xml.etree import ElementTree

from meagan_lib.book.translation import Translator


def texts_of(svg: bytes) -> list[str]:
    """All texts of a figure as SVG, those of several lines whole."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    found = []
    for group in ElementTree.fromstring(svg, parser).iter("{http://www.w3.org/2000/svg}g"):
        if group.get("id", "").startswith("text_"):
            lines = [e for e in group if e.tag is ElementTree.Comment or e.tag.endswith("text")]
            found.append("\n".join((line.text or "").strip() for line in lines))
    return found


def untranslated(folder: Path) -> list[str]:
    """What the table lacks of the figures in a folder, each with a figure that has it."""
    lacking = []
    for path in sorted(folder.glob("*.svg")):
        italian = Translator("it")
        for text in texts_of(path.read_bytes()):
            italian(text)
        lacking += [f"{path.stem}: {text!r}" for text in italian.missing]
    return lacking
