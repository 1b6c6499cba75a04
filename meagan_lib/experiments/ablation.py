"""The ablation: what each piece of advice of chapter 1.3.5 does to the Transformer-GAN, on recordings and seeds.

A sweep, ``meagan run ablation``, or of the VAE-GAN ``meagan run total_loss``: one job for each recording and variant
trains it with every seed.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from meagan_lib import ROOT, InputError, choose
from meagan_lib.evaluation import metrics
from meagan_lib.experiments import benchmark, sweep
from meagan_lib.experiments.fitting import training_data
from meagan_lib.experiments.generation import MATCHING_WINDOWS, moment_matching
from meagan_lib.training.trainer import Diverged
from meagan_lib.windows.normalisation import Standardiser, fit_normalisation
from meagan_lib.windows.spike_windows import SpikeWindows, Split
from meagan_lib.workflow.progress import by_step

TABLE = ROOT / "data" / "ablation.csv"
"""The table that is kept, of the run that ``params/ablation.yaml`` describes."""
METRICS = ("c2st_auc", "coverage", "frechet_distance", "log_spectral_distance", "amplitude_ks", "density")
COLUMNS = ("group", "variant", "against", "seed", "steps", "seconds", "diverged", *METRICS)

DECLARED = {"seeds": [0], "n_windows": 1000, "patch_ms": 0.4, "options": {}, "variants": [{}]}
"""Parameters of the section, with values of their types."""


@dataclass(frozen=True)
class Variant:
    """One line of the sweep, under the heading ``group``; names are unique."""

    group: str
    name: str
    against: str = ""
    """Name of the variant that it differs from in one thing."""
    options: dict = field(default_factory=dict)
    """Fields of the model's config that it changes in the shared config."""
    model: str = "transformer_gan"
    """Which of the two models of the thesis it is."""
    normalisation: str = "z_score"
    moment_matching: bool = False
    """Whether its windows go through it before the scores."""

    @property
    def slug(self) -> str:
        """The name as a file has it."""
        return re.sub(r"\W+", "_", self.name).strip("_").lower()


def variants(section: Mapping) -> list[Variant]:
    """Return the variants of a section; InputError: an unknown option, a name that is missing or stands twice."""
    sweep.check("ablation", section, DECLARED)
    found = []
    for given in section["variants"]:
        try:
            found.append(Variant(**given))
        except TypeError as error:
            raise InputError(f"ablation.variants: {given} is no variant ({error})") from error
        choose("model", found[-1].model, benchmark.THESIS)
        benchmark.model_class(found[-1].model).configure(options=dict(section["options"]) | found[-1].options)
    names, slugs = [v.name for v in found], [v.slug for v in found]
    if len(set(slugs)) < len(slugs):
        raise InputError(f"ablation.variants: '{max(names, key=names.count)}' stands there twice")
    for v in found:
        if v.against and v.against not in names:
            raise InputError(f"ablation.variants: {v.name} is compared with '{v.against}', which is not there")
    return found


def cases(section: Mapping) -> list[str]:
    """Return a job for the training windows themselves, and one for each variant."""
    return ["reach", *(v.slug for v in variants(section))]


def train(windows: SpikeWindows, variant: Variant, section: Mapping, seed: int) -> dict[str, object]:
    """Train one variant with one seed, and score it on test windows; ``diverged`` is the step of a divergence."""
    patch, options = windows.samples_of(section["patch_ms"]), dict(section["options"]) | variant.options
    model = benchmark.model_class(variant.model)
    config = model.configure(seed, patch=patch, options=options)
    trainer = model.trainer(config, training_data(windows, variant.normalisation, seed=seed))
    started, diverged = time.monotonic(), ""
    try:
        trainer.train(by_step())
    except Diverged:
        diverged = trainer.step
    row = {"steps": trainer.step, "seconds": round(time.monotonic() - started, 1), "diverged": diverged}
    if diverged:
        return row | dict.fromkeys(METRICS, "")
    train = windows.of(Split.TRAIN)
    normaliser = fit_normalisation(variant.normalisation, train)

    def draw(n: int, seed: int) -> np.ndarray:
        return normaliser.inverse(trainer.sample(n, seed))

    match = moment_matching(draw(MATCHING_WINDOWS, seed + 1), train) if variant.moment_matching else lambda drawn: drawn
    return row | scores(windows, lambda n: match(draw(n, seed)), section, seed)


def scores(windows: SpikeWindows, draw: Callable[[int], np.ndarray], section: Mapping, seed: int) -> dict[str, float]:
    """Score windows (n, samples), ``draw`` of n, against half A of the test windows, at most ``n_windows`` of it."""
    scale = Standardiser.fit(windows.of(Split.TRAIN))
    train, test = (scale.transform(windows.of(split)) for split in (Split.TRAIN, Split.TEST))
    n = min(int(section["n_windows"]), len(test) // 2)
    half = test[np.random.default_rng(seed).permutation(len(test))[:n]]
    context = metrics.Context.fit(train, windows.sampling_rate_hz, seed=seed)
    return metrics.values(half, scale.transform(draw(n)), context, METRICS)


def reach(windows: SpikeWindows, section: Mapping, seed: int) -> dict[str, object]:
    """Score the training windows themselves: what a perfect copy of their distribution would get."""
    train = np.random.default_rng(seed).permutation(windows.of(Split.TRAIN))
    return {"steps": 0, "seconds": 0.0, "diverged": ""} | scores(windows, lambda n: train[:n], section, seed)


def rows(windows, case: str, section: Mapping) -> list[dict[str, object]]:
    """Return the scores of one variant, or of the training windows themselves, with every seed.

    Footprints are left out: models learn and generate the window of the own electrode.
    """
    windows = replace(windows, around=None, footprints=None)
    if case == "reach":
        who, found = Variant("", "reach"), [reach(windows, section, seed) for seed in section["seeds"]]
    else:
        who = next(v for v in variants(section) if v.slug == case)
        found = [train(windows, who, section, seed) for seed in section["seeds"]]
    about = {"group": who.group, "variant": who.name, "against": who.against}
    return [about | {"seed": seed} | row for seed, row in zip(section["seeds"], found)]


def load(path: Path | str = TABLE) -> pd.DataFrame:
    """Read a table of the ablation: a row for each recording, variant and seed, NaN where training diverged."""
    return sweep.load(path, "ablation", METRICS)


def effects(table: pd.DataFrame) -> pd.DataFrame:
    """Return what each variant does to C2ST AUC, the lower the better, as :func:`sweep.comparisons` describes it."""
    return sweep.comparisons(table, ["data", "variant"], "c2st_auc", higher_is_better=False)


READINGS = {
    "helps everywhere": lambda v: v == {"helps"},
    "hurts everywhere": lambda v: v == {"hurts"},
    "diverges with some seeds": lambda v: "diverges" in v,
    "helps on one recording, not significant on the other": lambda v: v == {"helps", "not significant"},
    "hurts on one recording, not significant on the other": lambda v: v == {"hurts", "not significant"},
    "helps on one recording, hurts on the other": lambda v: "helps" in v,
    "no significant difference": lambda v: True,
}
"""Sentences on a variant, and whether one holds of its verdicts on all recordings; the first that does counts."""


def reading(found: pd.DataFrame) -> dict[str, list[str]]:
    """Return what :func:`effects` say over all recordings: under each sentence its variants."""
    said: dict[str, list[str]] = {sentence: [] for sentence in READINGS}
    for (variant, against), verdicts in found.groupby(["variant", "against"], sort=False)["verdict"].agg(set).items():
        sentence = next(sentence for sentence, holds in READINGS.items() if holds(verdicts))
        said[sentence].append(f"{variant} (against {against})")
    return {sentence: names for sentence, names in said.items() if names}


def summary(path: Path) -> tuple[str, pd.DataFrame]:
    """Return title and closing table of the command: what each variant does to C2ST AUC."""
    found = effects(load(path))
    found["cell"] = [f"{e.mean:.3f} ({e.difference:+.3f}, {e.verdict})" for e in found.itertuples()]
    table = found.set_index(["variant", "against", "data"])["cell"].unstack(sort=False)
    return f"C2ST AUC of trees, mean over seeds ({sweep.counted(found)})", table.reset_index()
