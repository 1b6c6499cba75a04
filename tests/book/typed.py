"""Numbers that are typed where they should be made: results change, and what is typed does not."""

import re

import yaml

from meagan_lib import ROOT
from meagan_lib.book.companion import PLACE, claimed

CONSTANTS = ROOT / "book" / "constants.yaml"
NO_PROSE = (
    r"^---\n.*?^---$",
    r"^(`{3,}).*?^\1",
    r"(`+)(?!`).+?(?<!`)\1(?!`)",
    r"\$\$.*?\$\$",
    r"\$[^$]+\$",
    r"\{%.*?%\}",
    r"\{\{.*?\}\}",
    r"https?://\S+",
    r"<!--.*?-->",
    r"^\{#.*\}$",
)
"""What of a page is no prose: front matter, code, formulas, places of templates, addresses, comments."""
WORDS = "one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|forty|fifty|hundred"
RESULT = re.compile(
    r"(?<![\w.,])[−-]?\d+\.\d+(?!\w|\.\d)|(?<![\w.])\d[\d.]* ?%"
    rf"|\b(?:{WORDS}|\d+) (?:(?!another)\w+ )?(?:in|out of) (?:{WORDS}|\d+)\b|\b(?:{WORDS}|\d+) times\b"
    rf"|\babout (?:half|\d|(?:{WORDS})\b)|\b(?:{WORDS}) (?:third|quarter|fifth|tenth)s\b"
)
"""What looks like the number of a result in a notebook."""
WHOLE = re.compile(r"(?<![\w.,])[−-]?\d[\d.,  ]*(?![^\W\d])")
"""A number in digits, but in a name such as C2ST or 3Brain."""
COUNT = re.compile(
    rf"{WHOLE.pattern}|\b(?:{WORDS.removeprefix('one|')}|half|third|quarter|twice|hundreds|thousands?)\b"
)
"""A number in digits or as a word; *one* is too often none."""
ANSWER = re.compile(r"<details><summary>Answer</summary>(.*?)</details>", re.DOTALL)


def prose(text: str, kind: str) -> str:
    """Return the prose of a page or notebook without what is made, and without the numbers that may be typed there.

    ``kind``: ``pages`` or ``notebooks``, sections of ``book/constants.yaml``.
    """
    left = re.sub(r"\]\([^)]*\)", "]", PLACE.sub(" ", text))
    for each in constants(kind):
        left = re.sub(each["what"], " ", left, flags=re.MULTILINE)
    for pattern in NO_PROSE:
        left = re.sub(pattern, " ", left, flags=re.MULTILINE | re.DOTALL)
    return left


def typed_numbers(text: str) -> list[str]:
    """Return the numbers in the prose of a page that are typed, each with the words around it.

    What is part of a name, such as C2ST and 3Brain, is no number.
    """
    left = prose(text, "pages")
    return [f'{number[0].strip(" .,")} in "{around(left, number)}"' for number in WHOLE.finditer(left)]


def typed_results(text: str) -> list[str]:
    """Return the numbers in the prose of a notebook that are typed, each with the words around it.

    Decimals, percentages and proportions anywhere; whole numbers in a chapter and in the answers of a lesson, in
    these also such as are words. Numbers of its own sections are none, nor is what a claim stands behind.
    """
    for name, sentence in claimed(text):
        text = text.replace(f"{sentence}<!-- holds: {name} -->", " ")
    own = re.findall(r"^#+ (\d+\.\d+)", text, re.MULTILINE)
    left = prose(text, "notebooks")
    answers = [RESULT.sub(" ", prose(answer, "notebooks")) for answer in ANSWER.findall(text)]
    looked_at = [(left, RESULT), *([(answer, COUNT) for answer in answers] or [(RESULT.sub(" ", left), WHOLE)])]
    found = [(part, each) for part, pattern in looked_at for each in pattern.finditer(part)]
    return [f'{each[0].strip()} in "{around(part, each)}"' for part, each in found if each[0].strip(" .,)") not in own]


def around(text: str, match: re.Match) -> str:
    """Return the words around a match."""
    return " ".join(text[max(0, match.start() - 40) : match.end() + 30].split())


def constants(kind: str) -> list[dict[str, str]]:
    """Return the numbers that pages, or notebooks, may type: ``what``, a regular expression, and ``why``."""
    return yaml.safe_load(CONSTANTS.read_text())[kind]
