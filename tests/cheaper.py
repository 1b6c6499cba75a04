"""Classifiers of little effort, for tests of what surrounds them; ``tests/evaluation`` has them as they are."""

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


def start_kernels_cheaper(ipython: Path) -> None:
    """Make ``ipython`` an ``IPYTHONDIR`` whose kernels have these classifiers as soon as a cell imports them."""
    startup = ipython / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "cheaper.py").write_text("from tests.cheaper import watch; watch(get_ipython()); del watch")


def watch(shell) -> None:
    def replace(info) -> None:
        if classifiers := sys.modules.get(CLASSIFIERS):
            vars(classifiers).update(cheaper(classifiers))
            shell.events.unregister("pre_run_cell", replace)

    shell.events.register("pre_run_cell", replace)
