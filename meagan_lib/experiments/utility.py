"""Do synthetic spikes help when recordings are scarce? A classifier of units, with n real windows of each and made ones.

A sweep, ``meagan run utility``: one job for each recording, generator and seed, for every n. Each generator has seen the
same n windows of a unit and no others, but for the one that is pre-trained on unlabelled windows. Judged by macro-F1 on
held-out real windows:

- TRTR: trained on the n real windows alone, tested on real ones;
- augmented: trained on the real and the made windows, tested on real ones;
- TSTR: trained on made windows alone, tested on real ones;
- TRTS: trained on the n real windows, tested on made ones.

TSTR and TRTS: Esteban et al. 2017, arXiv:1706.02633. What the table of all this says,
:mod:`meagan_lib.experiments.augmentation` reads.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from sklearn.metrics import f1_score
from sklearn.svm import SVC

from meagan_lib import InputError
from meagan_lib.experiments import sweep
from meagan_lib.experiments.augmentation import ALONE, SCORES, load, summary  # noqa: F401, every sweep has the last two
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.flow_matching import FlowMatching
from meagan_lib.models.gan import GAN
from meagan_lib.models.gaussian import Gaussian
from meagan_lib.models.generators import GeneratorConfig
from meagan_lib.models.neural import NeuralModel
from meagan_lib.models.vae_gan import VAE, VAEGAN, aggregate_posterior, decode
from meagan_lib.training.trainer import build_config
from meagan_lib.windows.detection import window_lowpass
from meagan_lib.windows.spike_windows import SpikeWindows, Split, Standardiser

COLUMNS = ("generator", "n", "seed", "units", "seconds", "diverged", *SCORES)
DECLARED = {"seeds": [0], "n": [5], "units": 10, "n_test": 200, "n_made": 300, "patch_ms": 0.4, "generators": {}}
"""Parameters of the section, with values of their types."""


@dataclass(frozen=True)
class Labelled:
    """Windows float32 (n, samples) in the unit of the recording, and their classes int64 (n,), from 0."""

    windows: np.ndarray
    labels: np.ndarray


def choose_units(windows: SpikeWindows, n_train: int, n_test: int, most: int) -> np.ndarray:
    """The units (units,) to be told apart: of those with ``n_train`` training windows and ``n_test`` test windows, the
    ``most`` that have most training windows, in the order of their labels.

    Raises
    ------
    InputError
        Fewer than two such units.
    """
    counts = {
        split: np.bincount(
            windows.label[(windows.label >= 0) & (windows.split == split)], minlength=1 + windows.label.max()
        )
        for split in (Split.TRAIN, Split.TEST)
    }
    enough = np.flatnonzero((counts[Split.TRAIN] >= n_train) & (counts[Split.TEST] >= n_test))
    if len(enough) < 2:
        raise InputError(
            f"{len(enough)} units have {n_train} windows to train and {n_test} to test, and two at least are needed: use a "
            "recording that is longer and whose units are known, or ask for fewer windows (n, n_test)"
        )
    return np.sort(enough[np.argsort(-counts[Split.TRAIN][enough], kind="stable")][:most])


def draw_labelled(windows: SpikeWindows, units: np.ndarray, split: Split, n: int, seed: int) -> Labelled:
    """``n`` windows of each unit at random; with the same seed, fewer windows are among the more."""
    drawn = [
        np.random.default_rng((seed, int(unit))).permutation(
            np.flatnonzero((windows.label == unit) & (windows.split == split))
        )[:n]
        for unit in units
    ]
    return Labelled(windows.windows[np.concatenate(drawn)], np.repeat(np.arange(len(units)), [len(i) for i in drawn]))


def predict(real: Labelled, made: Labelled | None, share: float, asked: np.ndarray) -> np.ndarray:
    """Classes (m,) that a classifier trained on real and made windows gives windows ``asked`` (m, samples).

    The made windows have ``share`` of the weight and the real ones the rest, however many they are, and the whole weight
    is that of the real windows alone: copies of the real windows change nothing.

    A support vector machine with the kernel exp(−‖x − y‖² / samples) and C = 10, on z-scores by the real windows.
    Chosen on the validation windows of ``retina_hdmea`` and the simulation among logistic regression, linear
    discriminants, k nearest neighbours, random forests, a perceptron and other settings of the same machine: with 5
    windows of each of 10 units as with 500 none was better by more than 0.02 in macro-F1.
    """
    scale, parts = Standardiser.fit(real.windows), []
    if share < 1:
        parts.append((real, 1 - share))
    if share > 0:
        parts.append((made, share * len(real.labels) / len(made.labels)))
    machine = SVC(C=10.0, gamma=1 / asked.shape[1])
    machine.fit(
        np.concatenate([scale.transform(part.windows) for part, _ in parts]),
        np.concatenate([part.labels for part, _ in parts]),
        np.concatenate([np.full(len(part.labels), weight) for part, weight in parts]),
    )
    return machine.predict(scale.transform(asked))


def score(real: Labelled, made: Labelled | None, test: Labelled) -> dict[str, float]:
    """Macro-F1 by name: ``f1`` of real and made windows together, half of the weight each; ``tstr``; ``trts``.

    Without made windows ``f1`` is that of the real windows alone (TRTR), and there are no others.
    """

    def f1(share: float, asked: Labelled) -> float:
        told = predict(real, made, share, asked.windows)
        return float(f1_score(asked.labels, told, average="macro"))

    if made is None:
        return {"f1": f1(0.0, test)}
    return {"f1": f1(0.5, test), "tstr": f1(1.0, test), "trts": f1(0.0, made)}


@dataclass(frozen=True, eq=False)
class Setting:
    """What a generator is given beside the few windows.

    Attributes
    ----------
    options
        Of its config.
    seed
        Of its first weights and of every draw.
    lowpass
        Taps (odd,) of the filter that the recording went through.
    unlabelled
        All training windows (m, samples), without their units: for what is pre-trained, and for nothing else.
    """

    options: Mapping[str, object]
    seed: int
    lowpass: Sequence[float]
    unlabelled: np.ndarray


Make = Callable[[Labelled, np.ndarray, Setting], np.ndarray]
"""(the few windows, classes (m,), setting) → windows float32 (m, samples) of these classes."""


@dataclass(frozen=True)
class Plain:
    """The config of what has nothing to set."""


@dataclass(frozen=True)
class ClassicalConfig:
    """Classical augmentation: a real window, moved, scaled, with noise."""

    jitter: float = 0.5
    """Largest shift in time to either side, in samples."""
    scaling: float = 0.1
    """Standard deviation of the factor of the amplitude, around 1."""
    noise: float = 0.2
    """Standard deviation of white noise, as a share of that of all samples."""


def classical(few: Labelled, labels: np.ndarray, setting: Setting) -> np.ndarray:
    """Real windows of the class, drawn with replacement, moved in time (straight between samples), scaled, with noise."""
    c, rng, n = build_config(ClassicalConfig, **setting.options), np.random.default_rng(setting.seed), len(labels)
    x = np.stack([few.windows[rng.choice(np.flatnonzero(few.labels == label))] for label in labels])
    shift = rng.uniform(-c.jitter, c.jitter, n)
    t = np.arange(x.shape[1])
    x = np.stack([np.interp(t - by, t, window) for by, window in zip(shift, x)])
    x *= rng.normal(1, c.scaling, (n, 1))
    return (x + rng.normal(0, c.noise * few.windows.std(), x.shape)).astype(np.float32)


def learned(model: type[Gaussian] | type[NeuralModel]) -> Make:
    """Windows of a model that is told the classes of the few windows; a network trains for a fixed number of steps."""

    def make(few: Labelled, labels: np.ndarray, setting: Setting) -> np.ndarray:
        scale = Standardiser.fit(few.windows)
        data = TrainingData(scale.transform(few.windows), setting.lowpass, labels=few.labels)
        fitted = model.fit(data, setting.seed, **setting.options)
        return scale.inverse(fitted.sample(len(labels), setting.seed, labels))

    return make


def pretrained_vae_gan(few: Labelled, labels: np.ndarray, setting: Setting) -> np.ndarray:
    """Variations on the few windows: each made window is decoded from a draw of q(z|x) of a real one of its class.

    Encoder and decoder are those of a VAE-GAN that was trained on unlabelled windows: which shapes and which noise occur
    is learned from many, what a class looks like is told by the few. After Antoniou et al. 2017, arXiv:1711.04340.
    """
    scale, vae = _pretrain(setting)
    x, made = scale.transform(few.windows), np.empty((len(labels), few.windows.shape[1]), np.float32)
    for label in np.unique(labels):
        z, _ = aggregate_posterior(vae, x[few.labels == label], int((labels == label).sum()), setting.seed)
        made[labels == label] = decode(vae, z)
    return scale.inverse(made)


@cache
def _pretrain(setting: Setting) -> tuple[Standardiser, VAE]:
    """A VAE-GAN of the unlabelled windows, with the scale of these."""
    scale = Standardiser.fit(setting.unlabelled)
    data = TrainingData(scale.transform(setting.unlabelled), setting.lowpass)
    trainer = VAEGAN.trainer(VAEGAN.configure(setting.seed, **setting.options), data)
    trainer.train()
    return scale, trainer.best_vae()


class Source(NamedTuple):
    """What is added to real windows: what makes it, and what checks the options of its config."""

    make: Make | None
    configure: Callable[..., object]


GENERATORS = {
    ALONE: Source(None, partial(build_config, Plain)),
    "classical": Source(classical, partial(build_config, ClassicalConfig)),
    "gaussian": Source(learned(Gaussian), partial(build_config, Plain)),
    "transformer_gan": Source(learned(GAN), GAN.configure),
    "vae_gan": Source(learned(VAEGAN), VAEGAN.configure),
    "flow_matching": Source(learned(FlowMatching), FlowMatching.configure),
    "pretrained_vae_gan": Source(pretrained_vae_gan, VAEGAN.configure),
}
"""What is added to the real windows, by name."""


def cases(section: Mapping) -> list[str]:
    """A job for each generator and seed, of a section ``utility`` of parameters that is checked.

    Raises
    ------
    InputError
        An unknown parameter, generator or option of a config, or no real windows alone to compare with.
    """
    sweep.check("utility", section, DECLARED)
    for name, options in section["generators"].items():
        if name not in GENERATORS:
            raise InputError(f"utility.generators: '{name}' is not known: choose among {', '.join(GENERATORS)}")
        if "seed" in options:
            raise InputError(f"utility.generators: {name} has a seed of its own; seeds stand in utility.seeds")
        GENERATORS[name].configure(**options)
    if ALONE not in section["generators"]:
        raise InputError(f"utility.generators has no '{ALONE}': the real windows alone are what all is compared with")
    return [f"{name}-{seed}" for name in GENERATORS if name in section["generators"] for seed in section["seeds"]]


def rows(windows: SpikeWindows, case: str, section: Mapping) -> list[dict[str, object]]:
    """Scores of one generator with one seed, for every n."""
    name, _, seed = case.rpartition("-")
    taps = window_lowpass(windows.detection, windows.sampling_rate_hz)
    options = dict(section["generators"][name])
    if isinstance(GENERATORS[name].configure(**options), GeneratorConfig):
        options = {"patch": windows.samples_of(section["patch_ms"])} | options
    setting = Setting(options, int(seed), taps, windows.of(Split.TRAIN))
    units = choose_units(windows, max(section["n"]), section["n_test"], section["units"])
    test = draw_labelled(windows, units, Split.TEST, section["n_test"], seed=0)
    labels = np.repeat(np.arange(len(units)), section["n_made"])
    found = []
    for n in section["n"]:
        few = draw_labelled(windows, units, Split.TRAIN, n, setting.seed)
        started, scores, diverged = time.process_time(), {}, ""
        try:
            make = GENERATORS[name].make
            made = Labelled(make(few, labels, setting), labels) if make else None
            scores = score(few, made, test)
        except InputError:  # the config is known to be good: training diverged
            diverged = "yes"
        about = {"generator": name, "n": n, "seed": setting.seed, "units": len(units), "diverged": diverged}
        found.append(about | {"seconds": round(time.process_time() - started, 1)} | dict.fromkeys(SCORES, "") | scores)
    return found
