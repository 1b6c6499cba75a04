"""Figures and captions in another language: what ``figures/translations.yaml`` says, put into a drawn figure.

The table has, for each language, ``texts`` by the English text, ``captions`` by the figure's id, and the texts that
stay as they are (``unchanged``: names and units). A text of several lines is found without its line breaks, and gets as
many lines again; otherwise line by line. In a text, ``#`` stands for a number and ``@`` for words that are translated
themselves, in the same order: ``electrode #`` → ``elettrodo #``.
"""

import hashlib
import re
import textwrap
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

import yaml

from meagan_lib import ROOT, choose
from meagan_lib.workflow.figures import registry

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.ticker import Formatter

TABLE = ROOT / "figures" / "translations.yaml"
ENGLISH = "en"
HOLES = {"#": r"([−+-]?\d[\d.,]*(?:e[+-]?\d+)?)", "@": "(.+?)"}
"""What stands for a number and for words, and what it matches."""


@cache
def table() -> dict[str, dict]:
    """Return the table of translations: language → ``texts``, ``unchanged``, ``captions``."""
    return yaml.safe_load(TABLE.read_text())


def languages() -> list[str]:
    """Return the languages that figures can have: English, and those of the table."""
    return [ENGLISH, *table()]


def digest(english: str) -> str:
    """Return eight digits that tell one English caption from another, as the table keeps them in ``of``."""
    return hashlib.sha256(english.encode()).hexdigest()[:8]


def has_words(text: str) -> bool:
    """Return whether there are words in ``text``, outside of formulas: two letters, one after the other."""
    return re.search(r"[^\W\d_]{2}", re.sub(r"\$[^$]*\$", "", text)) is not None


@dataclass
class Translator:
    """Translates texts of figures into a ``language``; what the table lacks stays English and is kept in ``missing``.

    ``InputError``: a language that the table does not have.
    """

    language: str
    missing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        choose("language", self.language, languages())

    @cached_property
    def texts(self) -> dict[str, str]:
        """Translations by the English text."""
        own = table().get(self.language, {})
        return own.get("texts", {}) | {text: text for text in own.get("unchanged", [])}

    @cached_property
    def patterns(self) -> list[tuple[re.Pattern, str]]:
        """Texts with holes, compiled, the longest first, and their translations."""
        with_holes = sorted((text for text in self.texts if re.search("[#@]", text)), key=len, reverse=True)
        compiled = [re.sub("[#@]", lambda hole: HOLES[hole[0]], re.escape(t).replace(r"\#", "#")) for t in with_holes]
        return [(re.compile(pattern), self.texts[text]) for pattern, text in zip(compiled, with_holes)]

    def __call__(self, text: str) -> str:
        """Return ``text`` in the language; what surrounds it, such as spaces, stays."""
        if self.language == ENGLISH or not has_words(text):
            return text
        found = self._found(text.strip())
        if found is None:
            self.missing.add(text.strip())
            return text
        return text.replace(text.strip(), found)

    def _found(self, text: str) -> str | None:
        """Return the translation of ``text``; None where the table lacks it."""
        if not has_words(text):
            return text
        whole, lines = re.sub(r"\s*\n\s*|\xa0", " ", text), text.split("\n")
        if (found := self._of_one_line(whole)) is not None:
            return in_lines(found, len(lines))
        if len(lines) > 1 and None not in (found := [self._found(line) for line in lines]):
            return "\n".join(found)
        return None

    def _of_one_line(self, text: str) -> str | None:
        if text in self.texts:
            return self.texts[text]
        for pattern, translation in self.patterns:
            if match := pattern.fullmatch(text):
                parts = [self._found(part) for part in match.groups()]
                if None not in parts:
                    pieces = re.split("[#@]", translation)
                    return "".join(chain.from_iterable(zip_longest(pieces, parts, fillvalue="")))
        return None

    def caption(self, id: str) -> str:
        """Return the caption of the figure ``id``; English and among the ``missing`` where the table lacks it.

        A translation of an earlier English caption counts as missing.
        """
        english = registry()[id].caption
        if self.language == ENGLISH:
            return english
        known = table()[self.language]["captions"].get(id, {})
        if known.get("of") != digest(english):
            self.missing.add(f"{id} (of: {digest(english)}): {english}")
            return english
        return known["caption"]

    def figure(self, fig: "Figure") -> None:
        """Translate all texts of a figure: titles, axes, legends, annotations, tick labels that are words."""
        from matplotlib.text import Text

        axes = [axis for axes in fig.axes for axis in (axes.xaxis, axes.yaxis)]
        formatters = {axis: axis.get_major_formatter() for axis in axes}
        for formatter in set(formatters.values()):
            self._tick_labels(formatter, [axis for axis in axes if formatters[axis] is formatter])
        ticks = [tick for axis in axes for tick in axis.get_major_ticks()]
        for text in set(fig.findobj(Text)) - {label for tick in ticks for label in (tick.label1, tick.label2)}:
            text.set_text(self(text.get_text()))

    def _tick_labels(self, formatter: "Formatter", axes: "list[Axis]") -> None:
        """Translate tick labels of axes that share a formatter, where they are given and not computed."""
        from matplotlib.category import StrCategoryFormatter
        from matplotlib.ticker import FixedFormatter, FuncFormatter

        if isinstance(formatter, FixedFormatter):
            formatter.seq = [self(label) for label in formatter.seq]
        elif isinstance(formatter, FuncFormatter):
            formatter.func = lambda x, pos, label=formatter.func: self(str(label(x, pos)))
        elif isinstance(formatter, StrCategoryFormatter):
            for axis in axes:
                axis.set_major_formatter(FuncFormatter(lambda x, pos: self(formatter(x, pos))))


def in_lines(text: str, n: int) -> str:
    """Break ``text`` into at most ``n`` lines, as even as they can be; formulas and what has its lines stay whole."""
    if n == 1 or "\n" in text:
        return text
    whole = re.sub(r"\$[^$]*\$", lambda formula: formula[0].replace(" ", "\0"), text)
    lengths = range(-(-len(whole) // n), len(whole) + 1)
    lines = (textwrap.wrap(whole, length, break_long_words=False, break_on_hyphens=False) for length in lengths)
    return "\n".join(next(each for each in lines if len(each) <= n)).replace("\0", " ")
