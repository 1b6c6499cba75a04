"""Classifiers and drawings of little effort, for tests of what surrounds them; the whole run draws as it is."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

CLASSIFIERS = "meagan_lib.evaluation.classifiers"


def cheaper(classifiers: ModuleType) -> dict[str, Callable]:
    """What to put in place of names of the module: one small tree, and one pass over the windows by the network."""
    from sklearn.tree import DecisionTreeClassifier

    return {
        "HistGradientBoostingClassifier": lambda **_: DecisionTreeClassifier(max_depth=2, random_state=0),
        "_fitted_cnn": partial(classifiers._fitted_cnn, epochs=1, least=1),
    }


def draw_once() -> None:
    """Have figures drawn as PNG alone and not laid out, which is most of the time of a notebook that does little."""
    from matplotlib.figure import Figure

    from meagan_lib.workflow import figures

    def drawn(fig, to, *, format, savefig=Figure.savefig, **given):
        if format == "svg":
            return to.write_text("")
        fig.set_layout_engine(None)
        savefig(fig, to, format=format, **given)

    Figure.savefig = drawn
    figures.settle_layout = lambda fig: None


def start_kernels_cheaper(ipython: Path, drawings: bool = False) -> None:
    """Make ``ipython`` an ``IPYTHONDIR`` whose kernels have these classifiers as soon as a cell imports them.

    With ``drawings`` they draw once, too.
    """
    startup = ipython / "profile_default" / "startup"
    startup.mkdir(parents=True)
    lines = ["from tests import cheaper", "cheaper.watch(get_ipython())", "cheaper.draw_once()" * drawings]
    (startup / "cheaper.py").write_text("\n".join([*lines, "del cheaper"]))


def watch(shell) -> None:
    def replace(info) -> None:
        if classifiers := sys.modules.get(CLASSIFIERS):
            vars(classifiers).update(cheaper(classifiers))
            shell.events.unregister("pre_run_cell", replace)

    shell.events.register("pre_run_cell", replace)
