"""TeX: text, numbers, names of commands, and tables with booktabs, of what a run has found."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import ascii_uppercase

from meagan_lib.book.translation import in_lines
from meagan_lib.values import is_number

SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\textbar{}"}
SPECIAL |= {"<": r"\textless{}", ">": r"\textgreater{}"} | {char: f"\\{char}" for char in "&%$#_{}"}
SPECIAL |= {"†": r"\textdagger{}", "…": r"\dots{}", "’": "'", "‖": r"\ensuremath{\|}", "\u00a0": "~"}
MATH = {"−": "-", "×": r"\times", "±": r"\pm", "√": r"\surd", "∝": r"\propto", "≥": r"\ge", "≤": r"\le", "·": r"\cdot"}
MATH |= {"½": r"\frac12", "¼": r"\frac14", "→": r"\rightarrow", "↑": r"\uparrow", "↓": r"\downarrow", "⊙": r"\odot"}
MATH |= {
    "²": "^2",
    "₁": "_1",
    "₂": "_2",
    "µ": r"\mu",
    "μ": r"\mu",
    "Δ": r"\Delta",
    "∇": r"\nabla",
    "ᵀ": r"^{\mathsf T}",
}
GREEK = "αalpha βbeta γgamma δdelta εvarepsilon θtheta λlambda πpi ρrho σsigma τtau φvarphi χchi ψpsi ωomega"
MATH |= {name[0]: f"\\{name[1:]}" for name in GREEK.split()}
VARIABLES = re.compile(r"(?<![\w'’])([DGVZbcdfgklpqtuxz]|E(?=/)|T(?= =|\)))(?!\w|['’]\w)(\*?)")
"""Letters that stand for a number or a network, and the star of the best one."""
SUBSCRIPT = re.compile(r"(?<!\w)([A-Za-z])_(\w+)")
DIGITS = dict(zip("0123456789", "Zero One Two Three Four Five Six Seven Eight Nine".split()))
UNKNOWN = "--"
HEADING = 13
"""Characters in a line of a column's heading."""


def tex(text: str) -> str:
    """Return plain text as TeX: symbols, subscripts and single letters that are variables become formulas."""
    made, at = [], 0
    for match in re.finditer(f"{SUBSCRIPT.pattern}|{VARIABLES.pattern}", text):
        made += [plain(text[at : match.start()]), _formula(match[0])]
        at = match.end()
    return "".join([*made, plain(text[at:])])


def _formula(piece: str) -> str:
    if match := SUBSCRIPT.fullmatch(piece):
        below = match[2] if len(match[2]) == 1 else rf"\mathrm{{{match[2]}}}"
        return f"${match[1]}_{{{below}}}$"
    return f"${piece.replace('*', '^*')}$"


def plain(text: str) -> str:
    """Return text as TeX without any formula, such as the name of a run."""
    text = "".join(SPECIAL.get(char) or (rf"\ensuremath{{{MATH[char]}}}" if char in MATH else char) for char in text)
    return re.sub(r"(?<=\d) \\%", r"\,\\%", text)


def number(value: float | int | None) -> str:
    """Return a number as text: three decimals, four significant digits above 100, a power of ten below 0.001."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if float(value).is_integer():
        words = f"{value:.0f}" if isinstance(value, int) or abs(value) >= 10 else f"{value:.3f}"
    elif abs(value) < 0.0005:
        base, _, power = f"{value:.1e}".partition("e")
        return rf"\ensuremath{{{base}\times 10^{{{int(power)}}}}}"
    else:
        words = f"{value:.1f}" if abs(value) >= 100 else f"{value:.3f}"
    return rf"\ensuremath{{{words}}}" if words.startswith("-") else words


def command(*words: str) -> str:
    r"""Return the name of a TeX command that says ``words``: ``\TransformerGanCTwoStAuc`` of ``c2st_auc``."""
    spelled = re.sub(r"\d", lambda digit: f" {DIGITS[digit[0]]} ", " ".join(words))
    spelled = spelled.replace("%", " Percent ").replace("<", " Below ").replace(">", " Above ")
    return "\\" + "".join(part[0].upper() + part[1:] for part in re.findall(r"[A-Za-z]+", spelled))


def new_command(name: str, content: str, comment: str = "") -> str:
    r"""Return a line that defines a command."""
    return rf"\newcommand{{{name}}}{{{content}}}" + (f" % {comment}" if comment else "")


def flattened(content: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    """Go through nested results and yield every number with the words that lead to it.

    A record of a list is named by the texts that it holds, anything else in a list by its place, from 1.
    """
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from flattened(value, (*path, str(key)))
    elif isinstance(content, (list, tuple)):
        for place, value in enumerate(content, 1):
            texts = [text for text in value.values() if isinstance(text, str)] if isinstance(value, Mapping) else []
            yield from flattened(value, (*path, *(texts or [str(place)])))
    elif is_number(content) and math.isfinite(content):
        yield path, content


def commands(found: Iterable[tuple[tuple[str, ...], float]]) -> list[str]:
    """Return a line with a command for every number; those that would have one name get A, B, … after it."""
    taken: set[str] = set()
    lines = []
    for path, value in found:
        name = command(*path)
        name = next(each for each in (name + letter for letter in ("", *ascii_uppercase)) if each not in taken)
        taken.add(name)
        lines.append(new_command(name, number(value), ", ".join(path).replace("\n", " ")))
    return lines


def tabular(columns: Sequence[str], rows: Iterable[Sequence[str] | None], left: int = 1) -> str:
    """Return a table with booktabs; the first ``left`` columns are flush left.

    Headings are plain text, broken into lines where they are long; cells are TeX. A row of None is a rule, an empty one
    some room.
    """
    lines = [rf"\begin{{tabular}}{{{'l' * left}{'r' * (len(columns) - left)}}}", r"\toprule"]
    lines.append(" & ".join([*map(tex, columns[:left]), *map(_heading, columns[left:])]) + r" \\")
    lines.append(r"\midrule")
    lines += [r"\midrule" if row is None else " & ".join(row) + r" \\" if row else r"\addlinespace" for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _heading(words: str) -> str:
    lines = [tex(line) for line in in_lines(words, -(-len(words) // HEADING)).split("\n")]
    stacked = r" \\ ".join(lines)
    return stacked if len(lines) == 1 else rf"\begin{{tabular}}[b]{{@{{}}r@{{}}}}{stacked}\end{{tabular}}"
