"""What the concept notebooks share: exercises that check themselves, sliders, and spike windows to look at.

The notebooks of ``notebooks/concepts/solutions`` are the source, the students' ones are made from them by
``python -m meagan_lib.book.teaching``. In a solution's notebook, a region

    ### BEGIN SOLUTION: the hint, in one line
    ...
    ### END SOLUTION

becomes ``raise NotImplementedError("the hint, in one line")`` for students, and cells tagged ``solution`` are left out.
"""

import copy
import html
import json
import linecache
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import ipywidgets
import nbformat
import numpy as np
from matplotlib.figure import Figure

from meagan_lib import ROOT, InputError
from meagan_lib.recordings.opening import ground_truth, open_recording
from meagan_lib.recordings.simulation import SimulationConfig
from meagan_lib.windows.cutting import WindowConfig, cut_windows
from meagan_lib.windows.detection import DetectionConfig
from meagan_lib.windows.spike_windows import SpikeWindows
from meagan_lib.workflow import figures
from meagan_lib.workflow.execution import NOTEBOOKS, RESULTS
from meagan_lib.workflow.files import atomic

CONCEPTS = NOTEBOOKS / "concepts"
SOLUTIONS = CONCEPTS / "solutions"
REGION = re.compile(r"^( *)### BEGIN SOLUTION: (.+?)\n.*?^ *### END SOLUTION$", re.MULTILINE | re.DOTALL)
STRIP = 4
"""Pictures shown where there are no sliders."""


class Verdict(int):
    """Whether an answer is right: true or false, of which a cell that ends with it shows nothing."""

    def _ipython_display_(self) -> None: ...


def check(
    question: str,
    got: Callable[[], object],
    expected: object,
    tolerance: float = 1e-6,
    mistakes: Mapping[str, object] | None = None,
) -> Verdict:
    """Print whether an exercise gives what it should, with what was expected and what it gave.

    An answer that raises is reported in one line, with the line of the notebook where it happened; later checks still
    run.

    ``got`` gives the answer: a number, an array, a tensor or a text; an exercise that is not solved raises
    ``NotImplementedError`` with a hint, which is printed. ``tolerance``: the largest difference allowed.
    ``mistakes``: what to say of a usual one ("did you forget to weight by q?"), and the wrong answer that it gives.
    """
    try:
        given = got()
    except NotImplementedError as hint:
        print(f"to do   {question}\n        hint: {hint}")
        return Verdict(False)
    except Exception as error:
        first = str(error).partition("\n")[0]
        print(f"error   {question}\n        {_place(error, got)}{type(error).__name__}: {first}")
        return Verdict(False)
    try:
        answer = _plain(given)
    except Exception:
        print(f"not yet {question}\n        a {type(given).__name__} is given, where numbers or a text are expected")
        return Verdict(False)
    expected = _plain(expected)
    right, difference = _compare(answer, expected, tolerance)
    print(
        f"{'right' if right else 'not yet':7} {question}{difference}\n"
        f"        expected {_words(expected)}\n        got      {_words(answer)}"
    )
    if not right and (advice := _advice(answer, tolerance, mistakes or {})):
        print(f"        {advice}")
    return Verdict(right)


def _place(error: Exception, got: Callable) -> str:
    """Name the line of the notebook in which ``got`` failed: "line 7 of your cell, `return x / y`: "."""
    namespace = getattr(got, "__globals__", None)
    own = [(f, line) for f, line in traceback.walk_tb(error.__traceback__) if f.f_globals is namespace]
    if not own:
        return ""
    frame, number = own[-1]
    source = linecache.getline(frame.f_code.co_filename, number).strip()
    return f"line {number} of your cell{f', `{source}`' if source else ''}: "


def _compare(answer: np.ndarray | str | None, expected: np.ndarray | str, tolerance: float) -> tuple[bool, str]:
    """Tell whether an answer is right, and in words how far it is off."""
    if isinstance(expected, str) or isinstance(answer, str | None):
        return isinstance(answer, type(expected)) and answer == expected, ""
    if answer.shape != expected.shape:
        return False, f"\n        shape {answer.shape}, where {expected.shape} was expected"
    largest = np.abs(answer - expected).max(initial=0)
    return bool(largest <= tolerance), f" (largest difference {largest:.1g}, allowed {tolerance:.1g})"


def _advice(answer: np.ndarray | str | None, tolerance: float, mistakes: Mapping[str, object]) -> str:
    """Name the usual mistake that gives a wrong answer; empty if none does."""
    if answer is None:
        return "nothing came back: did you forget return?"
    for words, wrong in mistakes.items():
        if _compare(answer, _plain(wrong), tolerance)[0]:
            return words
    if isinstance(answer, np.ndarray) and not np.isfinite(answer).all():
        return "not a finite number: did you take the logarithm of 0 or of a negative number, or divide by 0?"
    return ""


def _plain(answer: object) -> np.ndarray | str | None:
    if isinstance(answer, str | None):
        return answer
    return np.asarray(answer.detach() if hasattr(answer, "detach") else answer, dtype=float)


def _words(answer: np.ndarray | str | None) -> str:
    """Write an answer in one line: of an array, the first numbers."""
    if not isinstance(answer, np.ndarray):
        return str(answer)
    first = ", ".join(f"{number:.6g}" for number in answer.flat[:4])
    return first if answer.ndim == 0 else f"[{first}{', …' if answer.size > 4 else ''}]"


class Interactive:
    """A figure to play with, as the last line of a cell: ``Interactive(draw, slope=[0.5, 1, 2])``.

    There is a slider for each control; where no front end shows sliders, a row of pictures instead. Both are in the
    output, and whoever shows it takes what it can. A notebook that a run executes has the row alone. The alternative
    text of a picture is what ``draw`` says of itself, the values of the controls, and the titles of its axes.

    ``draw`` takes one value of each control, and gives a figure: about four inches wide, so that two go in a row.
    ``controls`` are the values of each, numbers in order or texts; it starts at the middle one. With ``play_ms`` a
    button plays the first control from its first value to its last, so many milliseconds at each.
    """

    def __init__(self, draw: Callable[..., Figure], play_ms: int = 0, **controls: Sequence):
        self.draw, self.play_ms = draw, play_ms
        self.controls = {name: list(values) for name, values in controls.items()}
        self.initial = {name: values[len(values) // 2] for name, values in self.controls.items()}
        self.sliders = None if os.environ.get(figures.STAGING) else self._sliders()

    def _sliders(self) -> ipywidgets.VBox:
        whole = {"layout": ipywidgets.Layout(width="34em", max_width="100%"), "style": {"description_width": "10em"}}
        sliders = {}
        for name, values in self.controls.items():
            shown = {"options": [(_value(v), v) for v in values], "description": name.replace("_", " ")}
            sliders[name] = ipywidgets.SelectionSlider(value=self.initial[name], **shown, **whole)
        width = f"{96 * self.draw(**self.initial).get_figwidth():.0f}px"
        layout = ipywidgets.Layout(width=width, max_width="100%", align_self="flex-start")  # the box would stretch it
        picture = ipywidgets.HTML(self.picture(**self.initial), layout=layout)

        def redraw(_) -> None:
            picture.value = self.picture(**{name: slider.value for name, slider in sliders.items()})

        for slider in sliders.values():
            slider.observe(redraw, "value")
        if not self.play_ms:
            return ipywidgets.VBox([*sliders.values(), picture])
        first = next(iter(sliders.values()))
        play = ipywidgets.Play(value=first.index, max=len(first.options) - 1, interval=self.play_ms)
        ipywidgets.jslink((play, "value"), (first, "index"))
        return ipywidgets.VBox([play, *sliders.values(), picture])

    def picture(self, **values: object) -> str:
        """Return HTML: the figure at these values of the controls, with an alternative text."""
        fig = self.draw(**values)
        where = ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in values.items())
        titles = [" ".join(axis.get_title(loc="left").split()) for axis in fig.axes]
        what = (self.draw.__doc__ or "").strip().split("\n")[0].rstrip(".")
        return figures.embedded(figures.png(fig), "png", ". ".join(filter(None, (where, what, *titles))))

    def row(self) -> str:
        """Return HTML: pictures at values of the first control, first to last, the others at their middle."""
        name, values = next(iter(self.controls.items()))
        shown = np.unique(np.linspace(0, len(values) - 1, STRIP).round().astype(int))
        pictures = []
        for value in (values[i] for i in shown):
            caption = html.escape(f"{name.replace('_', ' ')} {_value(value)}")
            pictures.append(
                f'<figure style="margin:0;width:48%"><figcaption><i>{caption}</i></figcaption>'
                f"{self.picture(**self.initial | {name: value})}</figure>"
            )
        return f'<div style="display:flex;flex-wrap:wrap;max-width:900px">{"".join(pictures)}</div>'

    def _repr_mimebundle_(self, **_) -> dict[str, object]:
        fallback = {"text/html": self.row()}
        return fallback if self.sliders is None else self.sliders._repr_mimebundle_() | fallback


class Animated:
    """A saved figure that stands still, its animation folded below it; ``Animated(save_figure(...))`` ends a cell."""

    def __init__(self, saved: figures.SavedFigure):
        self.saved = saved

    def __repr__(self) -> str:
        return repr(self.saved)

    def _repr_html_(self) -> str:
        words, gif = f"In motion: {self.saved.caption}", self.saved.png.with_suffix(".gif").read_bytes()
        moving = figures.embedded(gif, "gif", words, "max-width:100%")
        return f"{self.saved.html(self.saved.png)}<details><summary>In motion</summary>{moving}</details>"


def _value(value: object) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def spike_windows(run: str = "") -> SpikeWindows:
    """Return windows for a bridge cell: those of ``run``, or of a simulated recording of 16 electrodes.

    ``InputError``: when the run has no windows.
    """
    if run:
        path = RESULTS / run / "windows.h5"
        if not path.is_file():
            raise InputError(f"there are no windows of a run '{run}': make them with meagan run, or name no run")
        return SpikeWindows.load(path)
    small = SimulationConfig(duration_s=40.0, patch=4, n_units=12, burst_rate_hz=(4.0, 12.0))
    recording = open_recording("simulated", simulation=small)
    return cut_windows(recording, DetectionConfig(), WindowConfig(), ground_truth(recording))


def for_students(solution: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Make the students' version of a solution's notebook: hints instead of solutions, everything else the same."""
    notebook = copy.deepcopy(solution)
    notebook.cells = [cell for cell in notebook.cells if "solution" not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        cell.source = REGION.sub(
            lambda region: f"{region[1]}raise NotImplementedError({json.dumps(region[2], ensure_ascii=False)})",
            cell.source,
        )
    return notebook


def students_path(solution: Path) -> Path:
    """Return where the students' version of ``solutions/<concept>_solution.ipynb`` lies: ``<concept>.ipynb``."""
    return CONCEPTS / f"{solution.stem.removesuffix('_solution')}.ipynb"


def main() -> int:
    """Write the students' notebooks: ``python -m meagan_lib.book.teaching``."""
    for path in sorted(SOLUTIONS.glob("*.ipynb")):
        with atomic(students_path(path)) as temporary:
            nbformat.write(for_students(nbformat.read(path, as_version=4)), temporary)
        print(students_path(path).relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
