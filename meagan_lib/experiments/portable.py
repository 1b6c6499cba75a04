"""Generators that travel: a folder of weights and ``model.json``, which :func:`meagan_lib.load` opens anywhere.

``model.json`` says what the weights do not: the scale back to the amplitude unit, rate, electrodes, classes of the
labels, and what the model was trained on. Both files may come from anybody: nothing in them is executed or unpickled.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from meagan_lib import ROOT, InputError, choose, did_you_mean
from meagan_lib.experiments.benchmark import MODELS, SECTION, SYNTHETIC, model_class
from meagan_lib.models.contract import Model
from meagan_lib.windows.normalisation import Standardiser, WindowStandardiser, fit_normalisation
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from meagan_lib.workflow.execution import RESULTS
from meagan_lib.workflow.files import atomic, read_json, write_json

FORMAT = 1
"""Of ``model.json``: a reader refuses a higher one."""
PRETRAINED = Path(__file__).resolve().parents[1] / "pretrained"
"""Generators that come with the library, a folder each."""
LONGEST = 8192
"""Most samples of a window, all electrodes together; also taps of its low-pass, classes and widths of a network."""
SCALES = "scales.safetensors"
"""File of the centres and scales of windows that were scaled one by one."""
Labels = int | str | Sequence[int | str] | np.ndarray


@dataclass(frozen=True)
class SpikeGenerator:
    """A fitted model of windows, and what brings its windows back to the amplitude unit.

    ``name`` is that of the model in the benchmark; ``classes`` what its labels stand for (none: it has no labels) and
    ``counts`` of how many training windows; ``trained_on`` says recordings, their hashes, and how they were cut.
    """

    name: str
    model: Model
    normaliser: Standardiser | WindowStandardiser
    sampling_rate_hz: float
    pre_samples: int
    n_samples: int
    electrodes: int
    amplitude_unit: str
    classes: list[str]
    counts: list[int]
    trained_on: dict

    @property
    def time_ms(self) -> np.ndarray:
        """Time axis (samples,) in ms from the peak."""
        return (np.arange(self.n_samples) - self.pre_samples) / self.sampling_rate_hz * 1000

    def draw_labels(self, n: int, seed: int = 0) -> np.ndarray:
        """Draw labels int64 (n,), each as often as among the training windows: what :meth:`sample` does unasked."""
        if not self.classes:
            raise InputError(f"this {self.name} was trained without labels: it has none to draw")
        rate = np.array(self.counts, np.float64)
        return np.random.default_rng(seed).choice(len(rate), size=n, p=rate / rate.sum())

    def sample(self, n: int, seed: int = 0, labels: Labels | None = None) -> np.ndarray:
        """Draw windows float32 (n, samples) in the amplitude unit; footprints are (n, electrodes, samples).

        A model with classes is given ``labels``, by number or name, one or (n,), and takes :meth:`draw_labels` with the
        same seed where there are none. The same seed gives the same bits on the same machine.
        """
        if n < 1:
            raise InputError(f"{n} windows cannot be drawn: ask for 1 or more")
        asked = [] if not self.classes and labels is None else [self._numbers(n, seed, labels)]
        with one_thread():
            vectors = self.normaliser.inverse(self.model.sample(n, seed, *asked))
        return vectors if self.electrodes == 1 else vectors.reshape(n, self.electrodes, self.n_samples)

    def _numbers(self, n: int, seed: int, labels: Labels | None) -> np.ndarray:
        """Return labels int64 (n,) by number."""
        if labels is None or not self.classes:
            return self.draw_labels(n, seed)
        number = {name: i for i, name in enumerate(self.classes)}
        flat = [labels] if np.ndim(labels) == 0 else list(labels)
        for label in (label for label in flat if isinstance(label, str)):
            choose("the label", label, self.classes)
        numbers = np.array([number[label] if isinstance(label, str) else label for label in flat])
        whole = numbers.dtype.kind in "iu"
        if not whole or numbers.shape not in ((1,), (n,)) or not ((numbers >= 0) & (numbers < len(number))).all():
            raise InputError(
                f"labels are one of the {len(number)} classes ({', '.join(self.classes[:5])}, …), by name or by number "
                f"from 0, for all windows or for each of the {n}"
            )
        return np.broadcast_to(numbers, n).astype(np.int64)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one CPU thread, so that sums are added up in one order."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def keep_generator(
    model: Model, name: str, folder: Path, windows: SpikeWindows, normalisation: str = "z_score", condition: str = ""
) -> None:
    """Write a ``model`` that was fitted to ``windows`` so that :func:`meagan_lib.load` opens it.

    ``name`` is that of the model in the benchmark; ``normalisation`` and ``condition`` are those of its fit.
    """
    train = windows.vectors_of(Split.TRAIN)
    normaliser, counts = fit_normalisation(normalisation, train), []
    if condition:
        counts = np.bincount(windows.classes(condition, Split.TRAIN)[0]).tolist()
    model.save(folder)
    scale = asdict(normaliser)
    if isinstance(normaliser, WindowStandardiser):
        arrays = {key: scale.pop(key) for key in ("centres", "scales")}
        with atomic(folder / SCALES) as temporary:
            save_file(arrays, temporary)
    of_generator = {
        "model": name,
        "scale": scale,
        "sampling_rate_hz": float(windows.sampling_rate_hz),
        "pre_samples": int(windows.pre_samples),
        "n_samples": windows.n_samples,
        "electrodes": windows.electrodes,
        "amplitude_unit": windows.amplitude_unit,
        "classes": windows.class_names(condition) if condition else [],
        "counts": counts,
        "trained_on": {
            "recordings": windows.recordings,
            "source_hashes": windows.source_hashes,
            "windows": len(train),
            "normalisation": normalisation,
            "condition": condition,
            "detection": windows.detection,
        },
    }
    path = folder / "model.json"
    # of models that are arrays alone there is none yet, or that of an earlier fit
    own = read_json(path) if hasattr(model, "config") else {}
    write_json(path, own | {"format": FORMAT, "generator": of_generator})


def open_generator(source: str | Path) -> SpikeGenerator:
    """Open the generator in a folder, or one that comes with the library, by its name.

    ``InputError``: no such folder, none of a generator, one of a newer format, or a damaged one.
    """
    folder = _find(source)
    try:
        about = json.loads((folder / "model.json").read_text())
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _damaged(folder, "its model.json cannot be read") from error
    if not isinstance(about, dict) or not isinstance(about.get("generator"), dict):
        raise InputError(
            f"{folder} has no generator that can be opened: it is no model of windows, or a run of an older version "
            f"left it, which meagan run makes again"
        )
    if not isinstance(about.get("format"), int) or about["format"] > FORMAT:
        raise InputError(
            f"{folder} has format {about.get('format')}, and this version knows {FORMAT}: bring meagan up to date"
        )
    try:
        _refuse_huge(folder, about)
        generator = _read(folder, about["generator"])
        drawn = generator.sample(2)
    except InputError:
        raise
    except Exception as error:  # the files may hold anything
        raise _damaged(folder, f"{type(error).__name__} while it was read") from error
    if drawn.size != 2 * generator.n_samples * generator.electrodes or not np.isfinite(drawn).all():
        raise _damaged(folder, "it draws no windows of the length that model.json says")
    return generator


def folders(run: str) -> dict[str, Path]:
    """Return the generators that a run has left, by the name of their files: those of the notebooks first.

    ``InputError``: none that can be opened.
    """
    own = sorted(path.parent for path in (RESULTS / run).glob("*/model.json"))
    others = sorted(path.parent for path in (RESULTS / run / SECTION).glob("*/*/model.json"))
    if not own and not others:
        raise InputError(f"run '{run}' has no generators that can be opened: make them with meagan run")
    return {folder.name: folder for folder in own} | {f"{f.parent.name}_{f.name}": f for f in others}


def drawn(run: str) -> dict[str, Path]:
    """Return the files of generated windows of a run, by the name of their model; none where it has none."""
    try:
        sources = folders(run)
    except InputError:
        return {}
    return {name: folder / SYNTHETIC for name, folder in sources.items() if (folder / SYNTHETIC).is_file()}


def _find(source: str | Path) -> Path:
    """Return the folder of a generator that is there, seen from here or from the checkout, or known by name."""
    known = sorted(path.parent.name for path in PRETRAINED.glob("*/model.json"))
    if str(source) in known:
        return PRETRAINED / str(source)
    folder = next((path for path in (Path(source), ROOT / source) if path.is_dir()), None)
    if folder is None:
        raise InputError(
            f"there is no generator '{source}'{did_you_mean(str(source), known)}; give a folder that a run has left, "
            f"such as results/quick/transformer_gan, or one that comes with the library: {', '.join(known)}"
        )
    for file in ("model.json", "model.safetensors"):
        if not (folder / file).is_file():
            raise InputError(
                f"{folder} has no {file}: give the folder of a trained model, such as results/quick/transformer_gan; "
                f"what a run of an older version left, meagan run makes again"
            )
    return folder


def _damaged(folder: Path, why: str) -> InputError:
    return InputError(f"the generator in {folder} is damaged, {why}: copy it anew, or train it again")


def _refuse_huge(folder: Path, about: dict) -> None:
    """Refuse sizes that no windows have, before anything is built of them."""
    config, own = about.get("config", {}), about["generator"]
    sizes = [about.get("samples", 0), about.get("classes", 0), len(about.get("lowpass", ()))]
    sizes += [own["n_samples"] * own["electrodes"], len(own["classes"])]
    sizes += [
        value for key in ("latent", "patch", "width", "depth", "heads", "ode_steps") if (value := config.get(key))
    ]
    if not all(isinstance(size, int) and 0 <= size <= LONGEST for size in sizes):
        raise _damaged(folder, f"it has sizes that are no whole numbers up to {LONGEST}")


def _read(folder: Path, own: dict) -> SpikeGenerator:
    """Return the generator in a folder whose ``model.json`` says ``own`` of it."""
    fields = dict(own)
    name, scale = fields.pop("model"), fields.pop("scale")
    choose("the model", name, MODELS)
    if (folder / SCALES).is_file() and "centre" not in scale:
        normaliser = WindowStandardiser(**load_file(folder / SCALES), **scale)
    else:
        normaliser = Standardiser(**scale)
    return SpikeGenerator(name, model_class(name).load(folder), normaliser, **fields)
