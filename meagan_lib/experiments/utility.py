"""Do synthetic spikes help when recordings are scarce? A classifier of units, with few real windows and synthetic ones.

A sweep, ``meagan run utility``: one job for each recording, generator and seed, for every number n of real windows of a
unit. Each generator has seen the same n windows and no others, but for the one that is pre-trained on unlabelled
windows. Scored by macro-F1 on held-out real windows, trained on the n real ones (TRTR), on synthetic ones (TSTR), or on
both; and on synthetic windows, trained on the real ones (TRTS). TSTR and TRTS: Esteban et al. 2017, arXiv:1706.02633.
:mod:`meagan_lib.experiments.augmentation` reads the table.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from sklearn.metrics import f1_score
from sklearn.svm import SVC

from meagan_lib import InputError, choose
from meagan_lib.experiments import sweep
from meagan_lib.experiments.augmentation import ALONE, SCORES, load, summary  # noqa: F401, every sweep has the last two
from meagan_lib.models.contract import Model, TrainingData
from meagan_lib.models.flow_matching import FlowMatching
from meagan_lib.models.gan import GAN
from meagan_lib.models.gaussian import Gaussian
from meagan_lib.models.generators import GeneratorConfig
from meagan_lib.models.vae_gan import VAE, VAEGAN, aggregate_posterior, decode
from meagan_lib.training.trainer import Diverged, build_config
from meagan_lib.windows.detection import window_lowpass
from meagan_lib.windows.normalisation import Standardiser
from meagan_lib.windows.spike_windows import SpikeWindows, Split

COLUMNS = ("generator", "n", "seed", "units", "seconds", "diverged", *SCORES)
DECLARED = {"seeds": [0], "n": [5], "units": 10, "n_test": 200, "n_generated": 300, "patch_ms": 0.4, "generators": {}}
"""Parameters of the section, with values of their types."""


@dataclass(frozen=True)
class Labelled:
    """Windows float32 (n, samples) in the unit of the recording, and their classes int64 (n,), from 0."""

    windows: np.ndarray
    labels: np.ndarray


def choose_units(windows: SpikeWindows, n_train: int, n_test: int, most: int) -> np.ndarray:
    """Choose the units (units,) to classify, two at least, in the order of their labels.

    Of those with ``n_train`` training windows and ``n_test`` test windows, the ``most`` that have most of the former.
    """
    known, bins = windows.label >= 0, 1 + windows.label.max()
    n = {split: np.bincount(windows.label[known & (windows.split == split)], minlength=bins) for split in Split}
    enough = np.flatnonzero((n[Split.TRAIN] >= n_train) & (n[Split.TEST] >= n_test))
    if len(enough) < 2:
        raise InputError(
            f"{len(enough)} units have {n_train} windows to train and {n_test} to test, and two at least are needed: "
            "use a recording that is longer and whose units are known, or ask for fewer windows (n, n_test)"
        )
    return np.sort(enough[np.argsort(-n[Split.TRAIN][enough], kind="stable")][:most])


def draw_labelled(windows: SpikeWindows, units: np.ndarray, split: Split, n: int, seed: int) -> Labelled:
    """Draw ``n`` windows of each unit at random; with the same seed, fewer windows are among the more."""
    its = [np.flatnonzero((windows.label == unit) & (windows.split == split)) for unit in units]
    drawn = [np.random.default_rng((seed, int(unit))).permutation(own)[:n] for unit, own in zip(units, its)]
    return Labelled(windows.windows[np.concatenate(drawn)], np.repeat(np.arange(len(units)), [len(i) for i in drawn]))


def predict(real: Labelled, synthetic: Labelled | None, fraction: float, windows: np.ndarray) -> np.ndarray:
    """Predict classes (m,) of ``windows`` (m, samples) by a classifier trained on real and synthetic windows.

    The synthetic windows have ``fraction`` of the weight and the real ones the rest, however many they are, and the
    whole weight is that of the real windows alone: copies of the real windows change nothing.

    A support vector machine with the kernel exp(−‖x − y‖² / samples) and C = 10, on z-scores by the real windows.
    Chosen on the validation windows of ``retina_hdmea`` and the simulation among logistic regression, linear
    discriminants, k nearest neighbours, random forests, a perceptron and other settings of the same machine: with 5
    windows of each of 10 units as with 500 none was better by more than 0.02 in macro-F1.
    """
    scale, parts = Standardiser.fit(real.windows), []
    if fraction < 1:
        parts.append((real, 1 - fraction))
    if fraction > 0:
        parts.append((synthetic, fraction * len(real.labels) / len(synthetic.labels)))
    machine = SVC(C=10.0, gamma=1 / windows.shape[1])
    machine.fit(
        np.concatenate([scale.transform(part.windows) for part, _ in parts]),
        np.concatenate([part.labels for part, _ in parts]),
        np.concatenate([np.full(len(part.labels), weight) for part, weight in parts]),
    )
    return machine.predict(scale.transform(windows))


def score(real: Labelled, synthetic: Labelled | None, test: Labelled) -> dict[str, float]:
    """Return macro-F1 by name: ``f1`` of both, half of the weight each, or of the real alone; ``tstr``; ``trts``."""

    def f1(fraction: float, asked: Labelled) -> float:
        return float(f1_score(asked.labels, predict(real, synthetic, fraction, asked.windows), average="macro"))

    if synthetic is None:
        return {"f1": f1(0.0, test)}
    return {"f1": f1(0.5, test), "tstr": f1(1.0, test), "trts": f1(0.0, synthetic)}


@dataclass(frozen=True, eq=False)
class Setting:
    """What a generator is given beside the few windows: the fields of its config, and what TrainingData has."""

    options: Mapping[str, object]
    seed: int
    lowpass: Sequence[float]
    unlabelled: np.ndarray
    """All training windows (m, samples), without their units: for what is pre-trained, and for nothing else."""


@dataclass(frozen=True)
class Plain:
    """The config of what has no options."""


@dataclass(frozen=True)
class ClassicalConfig:
    """Classical augmentation: a real window, moved, scaled, with noise."""

    jitter: float = 0.5
    """Largest shift in time to either side, in samples."""
    scaling: float = 0.1
    """Standard deviation of the factor of the amplitude, around 1."""
    noise: float = 0.2
    """Standard deviation of white noise, as a fraction of that of all samples."""


def classical(few: Labelled, labels: np.ndarray, setting: Setting) -> np.ndarray:
    """Draw real windows of the class with replacement; move them (straight between samples), scale them, add noise."""
    c, rng, n = build_config(ClassicalConfig, **setting.options), np.random.default_rng(setting.seed), len(labels)
    x = np.stack([few.windows[rng.choice(np.flatnonzero(few.labels == label))] for label in labels])
    shift = rng.uniform(-c.jitter, c.jitter, n)
    t = np.arange(x.shape[1])
    x = np.stack([np.interp(t - by, t, window) for by, window in zip(shift, x)])
    x *= rng.normal(1, c.scaling, (n, 1))
    return (x + rng.normal(0, c.noise * few.windows.std(), x.shape)).astype(np.float32)


def learned(model: type[Model], few: Labelled, labels: np.ndarray, setting: Setting) -> np.ndarray:
    """Fit a model to the few windows and their classes, a network for a fixed number of steps, and draw from it."""
    scale = Standardiser.fit(few.windows)
    data = TrainingData(scale.transform(few.windows), setting.lowpass, labels=few.labels)
    fitted = model.fit(data, setting.seed, **setting.options)
    return scale.inverse(fitted.sample(len(labels), setting.seed, labels))


def pretrained_vae_gan(few: Labelled, labels: np.ndarray, setting: Setting) -> np.ndarray:
    """Vary the few windows: decode draws of q(z|x) of those of the class.

    Encoder and decoder are those of a VAE-GAN that was trained on unlabelled windows: which shapes and which noise
    occur is learned from many, what a class looks like from the few. After Antoniou et al. 2017, arXiv:1711.04340.
    """
    scale, vae = _pretrain(setting)
    x, drawn = scale.transform(few.windows), np.empty((len(labels), few.windows.shape[1]), np.float32)
    for label in np.unique(labels):
        z, _ = aggregate_posterior(vae, x[few.labels == label], int((labels == label).sum()), setting.seed)
        drawn[labels == label] = decode(vae, z)
    return scale.inverse(drawn)


@cache
def _pretrain(setting: Setting) -> tuple[Standardiser, VAE]:
    scale = Standardiser.fit(setting.unlabelled)
    data = TrainingData(scale.transform(setting.unlabelled), setting.lowpass)
    trainer = VAEGAN.trainer(VAEGAN.configure(setting.seed, **setting.options), data)
    trainer.train()
    return scale, trainer.best_vae()


GENERATORS = {
    ALONE: (None, Plain),
    "classical": (classical, ClassicalConfig),
    "gaussian": (partial(learned, Gaussian), Plain),
    "transformer_gan": (partial(learned, GAN), GAN.Config),
    "vae_gan": (partial(learned, VAEGAN), VAEGAN.Config),
    "flow_matching": (partial(learned, FlowMatching), FlowMatching.Config),
    "pretrained_vae_gan": (pretrained_vae_gan, VAEGAN.Config),
}
"""What is added to the real windows: (few windows, classes (m,), setting) → windows (m, samples), and its config."""


def cases(section: Mapping) -> list[str]:
    """Return a job for each generator and seed; InputError: what is not known, or no real windows alone."""
    sweep.check("utility", section, DECLARED)
    for name, options in section["generators"].items():
        choose("the generator in utility.generators", name, GENERATORS)
        if "seed" in options:
            raise InputError(f"utility.generators: {name} has a seed of its own; seeds stand in utility.seeds")
        build_config(GENERATORS[name][1], **options)
    if ALONE not in section["generators"]:
        raise InputError(f"utility.generators has no '{ALONE}': the real windows alone are what all is compared with")
    return [f"{name}-{seed}" for name in GENERATORS if name in section["generators"] for seed in section["seeds"]]


def rows(windows: SpikeWindows, case: str, section: Mapping) -> list[dict[str, object]]:
    """Return scores of one generator with one seed, for every n."""
    name, _, seed = case.rpartition("-")
    (generate, config), options = GENERATORS[name], dict(section["generators"][name])
    if issubclass(config, GeneratorConfig):
        options = {"patch": windows.samples_of(section["patch_ms"])} | options
    taps = window_lowpass(windows.detection, windows.sampling_rate_hz)
    setting = Setting(options, int(seed), taps, windows.of(Split.TRAIN))
    units = choose_units(windows, max(section["n"]), section["n_test"], section["units"])
    test = draw_labelled(windows, units, Split.TEST, section["n_test"], seed=0)
    labels = np.repeat(np.arange(len(units)), section["n_generated"])
    found = []
    for n in section["n"]:
        few = draw_labelled(windows, units, Split.TRAIN, n, setting.seed)
        started, scores, diverged = time.process_time(), {}, ""
        try:
            synthetic = Labelled(generate(few, labels, setting), labels) if generate else None
            scores = score(few, synthetic, test)
        except Diverged:
            diverged = "yes"
        about = {"generator": name, "n": n, "seed": setting.seed, "units": len(units), "diverged": diverged}
        found.append(about | {"seconds": round(time.process_time() - started, 1)} | dict.fromkeys(SCORES, "") | scores)
    return found
