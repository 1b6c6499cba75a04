"""How the suite runs; what tests share is in ``fixtures``."""

import gc
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: threads of the workers would spin against each other

import pytest
from hypothesis import settings

# On CI the same examples each time: what is red there is red for what was changed, not for what was drawn.
settings.register_profile("ci", derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


LONGEST = (
    "test_run",
    "test_cluster",
    "test_concepts",
    "test_notebook",
    "test_several_recordings",
    "test_book",
    "test_intervals",
    "test_little_data",
    "test_contract",
    "test_command",
    "test_trainer",
    "test_cutting",
    "test_planted_failures",
    "test_exports",
    "test_chapter",
    "test_painting",
    "test_plots",
    "test_playground",
    "test_compressed_brw",
)
"""Files that take ten seconds or more on a core, from the longest on."""


def pytest_configure(config: pytest.Config) -> None:
    """Have fixtures where tests run: who only shares them out starts its workers four seconds earlier without."""
    if getattr(config.option, "dist", "no") == "no" or hasattr(config, "workerinput"):
        config.pluginmanager.import_plugin("tests.fixtures")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: the workers share out files, and one that begins last would leave the others idle."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONGEST)))


def pytest_collection_finish() -> None:
    """Leave what tests have imported out of collections of garbage, and collect less often: a sixth of the suite."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
