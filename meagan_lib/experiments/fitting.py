"""What a model is fitted to and with which options: the same for the notebooks, the benchmark and the sweeps."""

from collections.abc import Mapping
from pathlib import Path

from meagan_lib import InputError
from meagan_lib.evaluation.metrics import Validation
from meagan_lib.experiments import benchmark
from meagan_lib.models.contract import TrainingData
from meagan_lib.windows.detection import window_lowpass
from meagan_lib.windows.normalisation import fit_normalisation
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from meagan_lib.workflow.files import read_parameters


def training_data(
    windows: SpikeWindows, normalisation: str = "z_score", condition: str = "", seed: int | None = None
) -> TrainingData:
    """Return what a model is fitted to: normalised training windows, their labels, the low-pass, the validation.

    Where the windows have footprints a model is fitted to these, all electrodes on one scale, so that their relative
    amplitudes survive. ``condition`` is ``unit``, ``channel`` or ``depth``, the classes of the labels; empty: no
    labels. The ``seed`` is that of the trees that validate; None: nothing does.
    """
    train = windows.vectors_of(Split.TRAIN)
    normaliser = fit_normalisation(normalisation, train)
    return TrainingData(
        normaliser.transform(train),
        window_lowpass(windows.detection, windows.sampling_rate_hz),
        None if seed is None else Validation.of(windows, normalisation, seed),
        windows.classes(condition, Split.TRAIN)[0] if condition else None,
        normaliser.bounded,
        windows.electrodes,
    )


def fit_options(config: type, parameters: Mapping[str, object], windows: SpikeWindows) -> dict[str, object]:
    """Return options of a model's ``configure``, of the parameters of its notebook or its baseline.

    Fields of ``config`` are taken, the seed apart, ``validations``, and ``options``. A token that lasts ``patch_ms``
    becomes a number of samples at the rate of the ``windows``.
    """
    known = (set(config.__dataclass_fields__) - {"seed"}) | {"validations", "options"}
    options = {name: value for name, value in parameters.items() if name in known}
    return options | (sizes(config, windows, parameters["patch_ms"]) if "patch_ms" in parameters else {})


def sizes(config: type, windows: SpikeWindows, patch_ms: float) -> dict[str, int]:
    """Return what of a ``config`` follows from the windows: samples of a token, and of several electrodes numbers in z.

    There are as many for each electrode as for one alone: with fewer, the Gaussian under a generator would lack noise.
    """
    patch = {"patch": windows.samples_of(patch_ms)}
    if windows.electrodes == 1 or not hasattr(config, "latent"):
        return patch
    return patch | {"latent": windows.electrodes * config.latent}


ALIKE = {
    "sampling_rate_hz": "a sampling rate of {:g} Hz",
    "n_samples": "{} samples",
    "pre_samples": "the peak at sample {}",
    "electrodes": "{} electrodes",
}
"""What windows must share with those of a training that theirs starts from, and how it is said."""


def weights_of(run: str, model: str, windows: SpikeWindows, **parameters: str) -> Path | None:
    """Return the folder of the ``model`` that another run has trained, for a training on ``windows`` to start from.

    None for no ``run``. ``parameters`` are those of the model's notebook that the other run must have had as well, such
    as ``normalisation``. ``InputError``: no such training, or one of other windows.
    """
    if not run:
        return None
    folder = benchmark.require_trained(run, model)
    other, given = SpikeWindows.load(benchmark.RESULTS / run / "windows.h5"), {}
    for path in (benchmark.RESULTS / run / "params").glob(f"*_{model}.yaml"):
        given = read_parameters(path)
    pairs = [(words, getattr(other, name), getattr(windows, name)) for name, words in ALIKE.items()]
    pairs += [(f"{name} = '{{}}'", given.get(name, value), value) for name, value in parameters.items()]
    for words, its, own in pairs:
        if its != own:
            raise InputError(
                f"the {model} of run '{run}' was trained on windows with {words.format(its)}, and these have "
                f"{words.format(own)}: prepare both runs alike, or train without start_from"
            )
    return folder
