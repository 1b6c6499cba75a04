"""What a notebook shows its reader while it runs: source, how far a training is, its curves."""

import inspect
import json
import os
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from meagan_lib import ROOT
from meagan_lib.workflow import figures, progress
from meagan_lib.workflow.files import read_json


def show(*objects: Callable | type) -> None:
    """Show the source of functions, methods or classes as it runs, highlighted, each under its file and name."""
    from IPython.display import Markdown, display

    for thing in objects:
        path = Path(inspect.getsourcefile(thing))
        place = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
        source = textwrap.dedent(inspect.getsource(thing)).rstrip()
        display(Markdown(f"```python\n# {place} · {thing.__qualname__}\n{source}\n```"))


@contextmanager
def progress_bar(trainer: object, label: str) -> Iterator[Callable[[object], None]]:
    """Give a callback for ``trainer.train``: a bar for the reader of a notebook, a note where papermill executes it.

    The reader is told what the trainer finds in its folder: a finished training, which is loaded, or another one, which
    it replaces.
    """
    if os.environ.get(figures.STAGING):
        yield progress.by_step()
        return
    from tqdm.auto import tqdm

    if replaced := _replaced(trainer):
        print(replaced)
    bar = tqdm(desc=label, total=trainer.total_steps, unit="step")  # without a total it would be a square
    yield lambda trainer: bar.update(trainer.step - bar.n)
    if not bar.n:
        again = "to train again, delete this folder or change a parameter"
        print(f"already trained, loaded from {_words(trainer.folder)}: {again}")
    bar.update(trainer.step - bar.n)
    bar.close()


def _replaced(trainer: object) -> str:
    """Say how a finished training in the folder of a trainer differs from this one; nothing where it is the same."""
    if not trainer.folder or not (trainer.folder / "config.json").is_file():
        return ""
    before = read_json(trainer.folder / "config.json")["config"]
    now = json.loads(json.dumps(asdict(trainer.config)))
    changed = [f"{name} {before.get(name)}, now {now[name]}" for name in now if before.get(name) != now[name]]
    both = "This one takes its place: to keep both, run notebook 1 and this one under another name."
    return f"{_words(trainer.folder)} holds a training with {'; '.join(changed)}. {both}" if changed else ""


def _words(folder: Path) -> str:
    return str(folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder)


def live_curves(model: str, every_s: float = 5.0) -> Callable[[object], None]:
    """Give a callback for ``trainer.train``: the curves, drawn again every few seconds for the reader of a notebook."""
    if os.environ.get(figures.STAGING):
        return lambda trainer: None
    from IPython.display import DisplayHandle, Image

    from meagan_lib import plots

    handle, drawn, shown = DisplayHandle(), time.monotonic(), False

    def update(trainer: object) -> None:
        nonlocal drawn, shown
        due = time.monotonic() - drawn > every_s or (shown and trainer.step == trainer.total_steps)
        if not due or not trainer.history:
            return
        history, validation = trainer.history_columns(), trainer.validation_scores()
        picture = figures.png(plots.training_curves(history, validation, trainer.best_step, model))
        (handle.update if shown else handle.display)(Image(picture, format="png"))
        drawn, shown = time.monotonic(), True

    return update
