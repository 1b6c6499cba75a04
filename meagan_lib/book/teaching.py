"""What the concept notebooks share: exercises that check themselves, sliders, and spike windows to look at.

The notebooks of ``notebooks/concepts/solutions`` are the source, the students' ones are made from them by
``python -m meagan_lib.book.teaching``. In a solution's notebook, a region

    ### BEGIN SOLUTION: the hint, in one line
    ...
    ### END SOLUTION

becomes ``raise NotImplementedError("the hint, in one line")`` for students, and cells tagged ``solution`` are left out.
"""

import base64
import copy
import html
import io
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets
import nbformat
import numpy as np
from matplotlib.figure import Figure

from meagan_lib import ROOT, InputError, plots
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
COLOURS = {"data": plots.COLOURS["real"], "generated": plots.SERIES[0][0], "discriminator": plots.SERIES[1][0]}
"""What a toy game is drawn in: its data, what its generator makes, its discriminator."""
REGION = re.compile(r"^( *)### BEGIN SOLUTION: (.+?)\n.*?^ *### END SOLUTION$", re.MULTILINE | re.DOTALL)
STRIP = 4
"""Pictures shown where there are no sliders."""


def check(question: str, got: Callable[[], object], expected: object, tolerance: float = 1e-6) -> bool:
    """Print whether an exercise gives what it should, with what was expected and what it gave.

    Parameters
    ----------
    question
        What is asked, in a few words.
    got
        Gives the answer: a number, an array, a tensor or a text. An exercise that is not solved raises
        ``NotImplementedError`` with a hint, which is printed.
    expected
        The answer wanted.
    tolerance
        Largest difference allowed in any number.

    Returns
    -------
    bool
        Whether the answer is right.
    """
    try:
        answer = _plain(got())
    except NotImplementedError as hint:
        print(f"to do   {question}\n        hint: {hint}")
        return False
    expected = _plain(expected)
    if isinstance(expected, str) or isinstance(answer, str | None):
        right, difference = isinstance(answer, type(expected)) and answer == expected, ""
    elif answer.shape != expected.shape:
        right, difference = False, f"\n        shape {answer.shape}, where {expected.shape} was expected"
    else:
        largest = np.abs(answer - expected).max(initial=0)
        right, difference = bool(largest <= tolerance), f" (largest difference {largest:.1g}, allowed {tolerance:.1g})"
    print(
        f"{'right' if right else 'not yet':7} {question}{difference}\n"
        f"        expected {_words(expected)}\n        got      {_words(answer)}"
    )
    return right


def _plain(answer: object) -> np.ndarray | str | None:
    if isinstance(answer, str | None):
        return answer
    return np.asarray(answer.detach() if hasattr(answer, "detach") else answer, dtype=float)


def _words(answer: np.ndarray | str | None) -> str:
    """An answer in one line: of an array, the first numbers."""
    if not isinstance(answer, np.ndarray):
        return str(answer)
    first = ", ".join(f"{number:.6g}" for number in answer.flat[:4])
    return first if answer.ndim == 0 else f"[{first}{', …' if answer.size > 4 else ''}]"


class Interactive:
    """A figure to play with, as the last line of a cell: ``Interactive(draw, slope=[0.5, 1, 2])``.

    There is a slider for each control; where no front end shows sliders, a row of pictures instead. Both are in the
    output, and whoever shows it takes what it can. A notebook that a run executes has the row alone.

    Parameters
    ----------
    draw
        Takes one value of each control, and gives a figure: about four inches wide, so that two go in a row.
    controls
        For each control its values, numbers in order or texts; it starts at the middle one.
    """

    def __init__(self, draw: Callable[..., Figure], **controls: Sequence):
        self.draw, self.controls = draw, {name: list(values) for name, values in controls.items()}
        self.initial = {name: values[len(values) // 2] for name, values in self.controls.items()}
        self.sliders = None if os.environ.get(figures.STAGING) else self._sliders()

    def _sliders(self) -> ipywidgets.VBox:
        sliders = {
            name: ipywidgets.SelectionSlider(
                options=[(_value(v), v) for v in values], value=self.initial[name], description=name.replace("_", " ")
            )
            for name, values in self.controls.items()
        }
        first = self.draw(**self.initial)
        size = {"width": f"{96 * first.get_figwidth():.0f}px", "max_width": "100%"}  # the box would stretch it
        picture = ipywidgets.Image(
            value=_png(first), format="png", layout=ipywidgets.Layout(align_self="flex-start", **size)
        )

        def redraw(_) -> None:
            picture.value = _png(self.draw(**{name: slider.value for name, slider in sliders.items()}))

        for slider in sliders.values():
            slider.observe(redraw, "value")
        return ipywidgets.VBox([*sliders.values(), picture])

    def row(self) -> str:
        """HTML: pictures at values of the first control from its first to its last, the others at their middle."""
        name, values = next(iter(self.controls.items()))
        shown = np.unique(np.linspace(0, len(values) - 1, STRIP).round().astype(int))
        pictures = []
        for value in (values[i] for i in shown):
            source = base64.b64encode(_png(self.draw(**self.initial | {name: value}))).decode()
            caption = html.escape(f"{name.replace('_', ' ')} {_value(value)}")
            pictures.append(
                f'<figure style="margin:0;width:48%"><figcaption><i>{caption}</i></figcaption>'
                f'<img style="width:100%" alt="{caption}" src="data:image/png;base64,{source}"></figure>'
            )
        return f'<div style="display:flex;flex-wrap:wrap;max-width:900px">{"".join(pictures)}</div>'

    def _repr_mimebundle_(self, **_) -> dict[str, object]:
        fallback = {"text/html": self.row()}
        return fallback if self.sliders is None else self.sliders._repr_mimebundle_() | fallback


def _value(value: object) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _png(fig: Figure) -> bytes:
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def spike_windows(run: str = "") -> SpikeWindows:
    """Windows for a bridge cell: those of ``run``, or of a simulated recording of 16 electrodes, made in a second.

    Raises
    ------
    InputError
        When the run has no windows.
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
    """The students' version of a solution's notebook: hints instead of solutions, everything else the same."""
    notebook = copy.deepcopy(solution)
    notebook.cells = [cell for cell in notebook.cells if "solution" not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        cell.source = REGION.sub(_stub, cell.source)
    return notebook


def _stub(region: re.Match) -> str:
    indent, hint = region.groups()
    return f"{indent}raise NotImplementedError({json.dumps(hint, ensure_ascii=False)})"


def students_path(solution: Path) -> Path:
    """Where the students' version of ``solutions/<concept>_solution.ipynb`` lies: ``<concept>.ipynb``."""
    return CONCEPTS / f"{solution.stem.removesuffix('_solution')}.ipynb"


def main() -> int:
    """``python -m meagan_lib.book.teaching``: write the students' notebooks."""
    for path in sorted(SOLUTIONS.glob("*.ipynb")):
        with atomic(students_path(path)) as temporary:
            nbformat.write(for_students(nbformat.read(path, as_version=4)), temporary)
        print(students_path(path).relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
