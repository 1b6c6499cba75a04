"""The ablation: what each piece of advice of chapter 1.3.5 does to the Transformer-GAN, on recordings and seeds.

A sweep, ``meagan run ablation``: one job for each recording and variant trains it with every seed. Notebook 02 reads the
table that is kept in ``data/``.
"""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from meagan_lib import ROOT, InputError
from meagan_lib.evaluation.statistics import SIGNIFICANT, paired, q_values
from meagan_lib.experiments import sweep
from meagan_lib.workflow.progress import by_step

TABLE = ROOT / "data" / "ablation.csv"
"""The table that is kept, of the run that ``params/ablation.yaml`` describes."""
METRICS = ("c2st_auc", "coverage", "frechet_distance", "log_spectral_distance", "amplitude_ks", "density")
COLUMNS = ("group", "variant", "against", "seed", "steps", "seconds", "diverged", *METRICS)

DECLARED = {"seeds": [0], "n_windows": 1000, "patch_ms": 0.4, "options": {}, "variants": [{}]}
"""Parameters of the section, with values of their types."""


@dataclass(frozen=True)
class Variant:
    """One line of the sweep.

    Attributes
    ----------
    group, name
        Under which heading it stands, and what it is called; names are unique.
    against
        Name of the variant that it differs from in one thing.
    options
        Fields of :class:`~meagan_lib.training.trainer.GANConfig` that it changes in the shared config.
    normalisation
        A name of :data:`~meagan_lib.windows.spike_windows.NORMALISATIONS`.
    moment_matching
        Whether its windows go through :func:`meagan_lib.experiments.generation.moment_matching` before they are judged.
    """

    group: str
    name: str
    against: str = ""
    options: dict = field(default_factory=dict)
    normalisation: str = "z_score"
    moment_matching: bool = False

    @property
    def slug(self) -> str:
        """The name as a file has it."""
        return re.sub(r"\W+", "_", self.name).strip("_").lower()


def variants(section: Mapping) -> list[Variant]:
    """The variants of a section ``ablation`` of parameters, checked.

    Raises
    ------
    InputError
        A variant with an unknown option, a name that stands twice, or a rival that is not there.
    """
    from meagan_lib.models.gan import GAN

    sweep.check("ablation", section, DECLARED)
    found = []
    for given in section["variants"]:
        try:
            found.append(Variant(**given))
        except TypeError as error:
            raise InputError(f"ablation.variants: {given} is no variant ({error})") from error
        GAN.configure(options=dict(section["options"]) | found[-1].options)
    names, slugs = [v.name for v in found], [v.slug for v in found]
    if len(set(slugs)) < len(slugs):
        raise InputError(f"ablation.variants: '{max(names, key=names.count)}' stands there twice")
    for v in found:
        if v.against and v.against not in names:
            raise InputError(f"ablation.variants: {v.name} is compared with '{v.against}', which is not there")
    return found


def cases(section: Mapping) -> list[str]:
    """A job for the training windows themselves, and one for each variant."""
    return ["reach", *(v.slug for v in variants(section))]


def train(windows, variant: Variant, section: Mapping, seed: int) -> dict[str, object]:
    """Train one variant with one seed on :class:`~meagan_lib.windows.spike_windows.SpikeWindows`, score it on test windows.

    Returns the scores by name, ``steps`` done, ``seconds`` of training, and ``diverged``: the step of a divergence, or
    nothing.
    """
    from meagan_lib.evaluation import metrics
    from meagan_lib.experiments.fitting import training_data
    from meagan_lib.experiments.generation import MATCHING_WINDOWS, moment_matching
    from meagan_lib.models.gan import GAN
    from meagan_lib.windows.spike_windows import Split, Standardiser, fit_normalisation

    train = windows.of(Split.TRAIN)
    patch, options = windows.samples_of(section["patch_ms"]), dict(section["options"]) | variant.options
    config = GAN.configure(seed, patch=patch, options=options)
    trainer = GAN.trainer(config, training_data(windows, variant.normalisation, seed=seed))
    started, diverged = time.monotonic(), ""
    try:
        trainer.train(by_step())
    except InputError:  # the options are known to be good: it diverged
        diverged = trainer.step
    row = {"steps": trainer.step, "seconds": round(time.monotonic() - started, 1), "diverged": diverged}
    if diverged:
        return row | dict.fromkeys(METRICS, "")
    scale, normaliser = Standardiser.fit(train), fit_normalisation(variant.normalisation, train)
    context = metrics.Context.fit(scale.transform(train), windows.sampling_rate_hz, seed=seed)
    real, n = halves(scale.transform(windows.of(Split.TEST)), int(section["n_windows"]), seed)
    generated = normaliser.inverse(trainer.sample(n, seed))
    if variant.moment_matching:
        match = moment_matching(normaliser.inverse(trainer.sample(MATCHING_WINDOWS, seed + 1)), train)
        generated = match(generated)
    return row | metrics.values(real, scale.transform(generated), context, METRICS)


def halves(test: np.ndarray, n_windows: int, seed: int) -> tuple[np.ndarray, int]:
    """Half A of the test windows (n, samples), at most ``n_windows`` of it, and their number."""
    n = min(n_windows, len(test) // 2)
    return test[np.random.default_rng(seed).permutation(len(test))[:n]], n


def reach(windows, section: Mapping, seed: int) -> dict[str, object]:
    """Scores of the training windows themselves: what a perfect copy of their distribution would get."""
    from meagan_lib.evaluation import metrics
    from meagan_lib.windows.spike_windows import Split, Standardiser

    judge = Standardiser.fit(windows.of(Split.TRAIN))
    seen, test = (judge.transform(windows.of(split)) for split in (Split.TRAIN, Split.TEST))
    a, n = halves(test, int(section["n_windows"]), seed)
    drawn = seen[np.random.default_rng(seed).permutation(len(seen))[:n]]
    context = metrics.Context.fit(seen, windows.sampling_rate_hz, seed=seed)
    return {"steps": 0, "seconds": 0.0, "diverged": ""} | metrics.values(a, drawn, context, METRICS)


def rows(windows, case: str, section: Mapping) -> list[dict[str, object]]:
    """Scores of one variant, or of the training windows themselves, with every seed."""
    if case == "reach":
        who, found = Variant("", "reach"), [reach(windows, section, seed) for seed in section["seeds"]]
    else:
        who = next(v for v in variants(section) if v.slug == case)
        found = [train(windows, who, section, seed) for seed in section["seeds"]]
    about = {"group": who.group, "variant": who.name, "against": who.against}
    return [about | {"seed": seed} | row for seed, row in zip(section["seeds"], found)]


def load(path: Path | str = TABLE) -> list[dict[str, object]]:
    """Rows of a table of the ablation: scores as numbers, NaN where training diverged.

    Raises
    ------
    InputError
        No such table.
    """
    return sweep.load(path, "ablation", dict.fromkeys(METRICS, float) | {"seed": int})


@dataclass(frozen=True)
class Effect:
    """What a variant does to C2ST AUC on one recording, against its rival: the lower the better."""

    data: str
    group: str
    variant: str
    against: str
    mean: float
    """C2ST AUC of the variant, mean over the seeds that did not diverge."""
    difference: float
    """``mean`` minus that of the rival."""
    p: float
    """Of the paired t-test over the seeds: one seed gives both the same first weights and the same test windows."""
    diverged: int
    """Seeds that diverged."""
    q: float = float("nan")
    """``p`` corrected for all effects of the table."""

    @property
    def verdict(self) -> str:
        """``helps``, ``hurts``, ``not significant`` (q ≥ 0.05, or not defined) or ``diverges``."""
        if self.diverged:
            return "diverges"
        return "not significant" if not self.q < SIGNIFICANT else "helps" if self.difference < 0 else "hurts"


def effects(rows: list[dict[str, object]]) -> list[Effect]:
    """Every variant that has a rival against it, on every recording, in the order of the table."""
    seeds: dict[tuple[str, str], dict[int, float]] = {}
    about: dict[tuple[str, str], dict] = {}
    for row in rows:
        seeds.setdefault((row["data"], row["variant"]), {})[row["seed"]] = row["c2st_auc"]
        about[row["data"], row["variant"]] = row
    found = []
    for (data, variant), mine in seeds.items():
        if rival := about[data, variant]["against"]:
            lost = int(np.isnan(list(mine.values())).sum())
            pair = paired(mine, seeds[data, rival])
            group = about[data, variant]["group"]
            found.append(Effect(data, group, variant, rival, pair.mean, pair.difference, pair.p, lost))
    return [replace(effect, q=float(q)) for effect, q in zip(found, q_values([effect.p for effect in found]))]


READINGS = {
    "helps everywhere": lambda v: v == {"helps"},
    "hurts everywhere": lambda v: v <= {"hurts", "diverges"},
    "helps on one recording, not significant on the other": lambda v: v == {"helps", "not significant"},
    "hurts on one recording, not significant on the other": lambda v: (
        not v & {"helps"} and bool(v & {"hurts", "diverges"})
    ),
    "helps on one recording, hurts on the other": lambda v: "helps" in v,
    "no significant difference": lambda v: True,
}


def reading(found: Iterable[Effect]) -> dict[str, list[str]]:
    """What the table says: variants, each with its rival, under a sentence of ``READINGS``, over all recordings."""
    verdicts: dict[str, set[str]] = {}
    for effect in found:
        verdicts.setdefault(f"{effect.variant} (against {effect.against})", set()).add(effect.verdict)
    said: dict[str, list[str]] = {sentence: [] for sentence in READINGS}
    for variant, its in verdicts.items():
        said[next(sentence for sentence, holds in READINGS.items() if holds(its))].append(variant)
    return {sentence: names for sentence, names in said.items() if names}


def counted(found: Sequence[Effect]) -> str:
    """How many effects were tested, and how many are significant: alone, and after the correction for their number."""
    alone, both = sum(e.p < SIGNIFICANT for e in found), sum(e.q < SIGNIFICANT for e in found)
    tested = sum(np.isfinite(e.p) for e in found)
    return f"{tested} paired t-tests over seeds: {alone} with p < {SIGNIFICANT:g}, {both} with q < {SIGNIFICANT:g}"


def summary(path: Path) -> tuple[str, list[str], list[list[str]]]:
    """Title, header and lines of the closing table: what each variant does to C2ST AUC."""
    found = effects(load(path))
    lines = []
    for variant in dict.fromkeys(e.variant for e in found):
        its = [e for e in found if e.variant == variant]
        lines.append([variant, its[0].against, *(f"{e.mean:.3f} ({e.difference:+.3f}, {e.verdict})" for e in its)])
    title = f"C2ST AUC of trees, mean over seeds ({counted(found)})"
    return title, ["variant", "against", *dict.fromkeys(e.data for e in found)], lines
