"""The ablation: what each piece of advice of chapter 1.3.5 does to the Transformer-GAN, on recordings and seeds.

A sweep of its own, ``meagan run ablation``: one job for each recording and variant trains it with every seed, and one
job gathers the scores in ``results/<run>/ablation.csv``. Notebook 02 reads the table that is kept in ``data/``.
"""

import argparse
import csv
import json
import re
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from meagan_lib import ROOT, InputError, merging
from meagan_lib.files import atomic, sha256, write_json
from meagan_lib.notebooks import RESULTS, job, part

SECTION = "ablation"
TABLE = ROOT / "data" / "ablation.csv"
"""The table that is kept, of the run that ``params/ablation.yaml`` describes."""
METRICS = ("c2st_auc", "coverage", "frechet_distance", "log_spectral_distance", "amplitude_ks", "density")


@dataclass(frozen=True)
class Variant:
    """One line of the sweep.

    Attributes
    ----------
    group, name
        Under which heading it stands, and what it is called; names are unique.
    against
        Name of the variant that it differs from in one thing.
    recipe
        Fields of :class:`~meagan_lib.training.GANConfig` that it changes in the shared recipe.
    normalisation
        A name of :data:`~meagan_lib.windows.NORMALISATIONS`.
    """

    group: str
    name: str
    against: str = ""
    recipe: dict = field(default_factory=dict)
    normalisation: str = "z_score"

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
    from meagan_lib.training import GANConfig, recipe

    unknown = set(section) - {"seeds", "n_windows", "patch_ms", "recipe", "variants", "labels"}
    if unknown:
        raise InputError(
            f"ablation has no parameter '{sorted(unknown)[0]}'; it has seeds, n_windows, patch_ms, recipe, variants"
        )
    found = []
    for given in section["variants"]:
        try:
            found.append(Variant(**given))
        except TypeError as error:
            raise InputError(f"ablation.variants: {given} is no variant ({error})") from error
        recipe(GANConfig, **dict(section["recipe"]) | found[-1].recipe)
    names, slugs = [v.name for v in found], [v.slug for v in found]
    if len(set(slugs)) < len(slugs):
        raise InputError(f"ablation.variants: '{max(names, key=names.count)}' stands there twice")
    for v in found:
        if v.against and v.against not in names:
            raise InputError(f"ablation.variants: {v.name} is compared with '{v.against}', which is not there")
    return found


def prepared(parameters: Mapping[str, Mapping], name: str) -> dict[str, dict]:
    """Parameters of notebook 01 for each recording of the sweep, by label; each is a run within the run ``name``."""
    first = dict(parameters[merging.FIRST]) | {"name": name}
    if not isinstance(first["recording"], list):
        first["recording"] = [first["recording"]]
    return {
        label: section | {"min_train_windows": first["min_train_windows"]}
        for label, section in merging.parts(first).items()
    }


def train(windows, variant: Variant, section: Mapping, seed: int) -> dict[str, object]:
    """Train one variant with one seed on :class:`~meagan_lib.windows.SpikeWindows` and score it on test windows.

    Returns the scores by name, ``steps`` done, ``seconds`` of training, and ``diverged``: the step of a divergence, or
    nothing.
    """
    from meagan_lib import metrics, training
    from meagan_lib.detection import window_lowpass
    from meagan_lib.models.transformer_gan import build_discriminator, build_generator
    from meagan_lib.windows import Split, Standardiser, fit_normalisation

    real = {split: windows.of(split) for split in Split}
    judge, normaliser = Standardiser.fit(real[Split.TRAIN]), fit_normalisation(variant.normalisation, real[Split.TRAIN])
    test, seen = judge.transform(real[Split.TEST]), judge.transform(real[Split.TRAIN])
    held_out = judge.transform(real[Split.VALIDATION])[:1000]
    context = metrics.Context.fit(seen, windows.sampling_rate_hz, seed=seed)
    shared = {"seed": seed, "patch": windows.samples_of(section["patch_ms"])} | section["recipe"]
    config = training.recipe(training.GANConfig, **shared | variant.recipe)
    taps = window_lowpass(windows.detection, windows.sampling_rate_hz)
    own = normaliser.transform(real[Split.TRAIN])
    trainer = training.GANTrainer(
        build_generator(config, own, taps, bounded=normaliser.bounded),
        build_discriminator(config, windows.n_samples), own, config,
        validate=lambda made: metrics.validation_score(held_out, judge.transform(normaliser.inverse(made)), context),
    )
    started, diverged = time.monotonic(), ""
    try:
        trainer.train()
    except InputError:  # the options are known to be good: it diverged
        diverged = trainer.step
    row = {"steps": trainer.step, "seconds": round(time.monotonic() - started, 1), "diverged": diverged}
    if diverged:
        return row | dict.fromkeys(METRICS, "")
    a, n = halves(test, int(section["n_windows"]), seed)
    made = judge.transform(normaliser.inverse(trainer.sample(n, seed)))
    return row | metrics.values(a, made, context, METRICS)


def halves(test: np.ndarray, n_windows: int, seed: int) -> tuple[np.ndarray, int]:
    """Half A of the test windows (n, samples), at most ``n_windows`` of it, and their number."""
    n = min(n_windows, len(test) // 2)
    return test[np.random.default_rng(seed).permutation(len(test))[:n]], n


def reach(windows, section: Mapping, seed: int) -> dict[str, object]:
    """Scores of the training windows themselves: what a perfect copy of their distribution would get."""
    from meagan_lib import metrics
    from meagan_lib.windows import Split, Standardiser

    judge = Standardiser.fit(windows.of(Split.TRAIN))
    seen, test = (judge.transform(windows.of(split)) for split in (Split.TRAIN, Split.TEST))
    a, n = halves(test, int(section["n_windows"]), seed)
    drawn = seen[np.random.default_rng(seed).permutation(len(seen))[:n]]
    context = metrics.Context.fit(seen, windows.sampling_rate_hz, seed=seed)
    return {"steps": 0, "seconds": 0.0, "diverged": ""} | metrics.values(a, drawn, context, METRICS)


COLUMNS = ("data", "group", "variant", "against", "seed", "steps", "seconds", "diverged", *METRICS)


def execute(run: str, label: str, slug: str, section: Mapping) -> dict:
    """Train one variant on one recording with every seed; rows and receipt go to ``results/<run>/ablation``."""
    import torch

    from meagan_lib.windows import SpikeWindows

    torch.set_num_threads(1)
    started = time.monotonic()
    windows = SpikeWindows.load(RESULTS / part(run, label) / "windows.h5")
    if slug == "reach":
        who, rows = Variant("", "reach"), [reach(windows, section, seed) for seed in section["seeds"]]
    else:
        who = next(v for v in variants(section) if v.slug == slug)
        rows = [train(windows, who, section, seed) for seed in section["seeds"]]
    about = {"data": label, "group": who.group, "variant": who.name, "against": who.against}
    rows = [about | {"seed": seed} | row for seed, row in zip(section["seeds"], rows)]
    receipt = {
        "notebook": f"ablation {label} {slug}", "seconds": round(time.monotonic() - started, 1), "figures": [],
        "products": {}, "rows": rows,
    }
    write_json(RESULTS / run / SECTION / label / f"{slug}.json", receipt)
    return receipt


def gather(run: str, receipts: Iterable[Mapping]) -> dict:
    """Write ``results/<run>/ablation.csv`` from the receipts of all variants; returns the receipt of the sweep."""
    target = RESULTS / run / "ablation.csv"
    with atomic(target) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for receipt in receipts:
            for row in receipt["rows"]:
                writer.writerow({k: f"{v:.4f}" if isinstance(v, float) and k in METRICS else v for k, v in row.items()})
    receipt = {"notebook": SECTION, "seconds": 0.0, "figures": [], "products": {target.name: sha256(target)}}
    write_json(RESULTS / run / "receipts" / f"{SECTION}.json", receipt)
    return receipt


def load(path: Path | str = TABLE) -> list[dict[str, object]]:
    """Rows of a table of the sweep: scores as numbers, NaN where training diverged.

    Raises
    ------
    InputError
        No such table.
    """
    path = Path(path) if Path(path).is_absolute() else ROOT / path
    if not path.is_file():
        raise InputError(f"there is no table '{path.name}' of the ablation: make it with meagan run ablation")
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return [row | {m: float(row[m] or "nan") for m in METRICS} | {"seed": int(row["seed"])} for row in rows]


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

    @property
    def verdict(self) -> str:
        """``helps``, ``hurts``, ``no sure difference`` (p ≥ 0.05) or ``diverges``."""
        if self.diverged:
            return "diverges"
        return "no sure difference" if not self.p < 0.05 else "helps" if self.difference < 0 else "hurts"


def effects(rows: list[dict[str, object]]) -> list[Effect]:
    """Every variant that has a rival against it, on every recording, in the order of the table."""
    from scipy.stats import ttest_rel

    seeds: dict[tuple[str, str], dict[int, float]] = {}
    about: dict[tuple[str, str], dict] = {}
    for row in rows:
        seeds.setdefault((row["data"], row["variant"]), {})[row["seed"]] = row["c2st_auc"]
        about[row["data"], row["variant"]] = row
    found = []
    for (data, variant), mine in seeds.items():
        if rival := about[data, variant]["against"]:
            its = seeds[data, rival]
            pairs = np.array([(mine[seed], its[seed]) for seed in mine if np.isfinite([mine[seed], its[seed]]).all()])
            mean, difference, p = float("nan"), float("nan"), float("nan")
            if len(pairs):
                mean, difference = float(pairs[:, 0].mean()), float((pairs[:, 0] - pairs[:, 1]).mean())
            if len(pairs) > 1:
                p = float(ttest_rel(*pairs.T).pvalue)
            lost = int(np.isnan(list(mine.values())).sum())
            found.append(Effect(data, about[data, variant]["group"], variant, rival, mean, difference, p, lost))
    return found


READINGS = {
    "helps everywhere": lambda v: v == {"helps"},
    "hurts everywhere": lambda v: v <= {"hurts", "diverges"},
    "helps on one recording, makes no sure difference on the other": lambda v: v == {"helps", "no sure difference"},
    "hurts on one recording, makes no sure difference on the other": lambda v: not v & {"helps"} and bool(v & {"hurts", "diverges"}),
    "helps on one recording, hurts on the other": lambda v: "helps" in v,
    "makes no sure difference": lambda v: True,
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


def main() -> int:
    """``python -m meagan_lib.ablation RUN PARAMETERS.yaml [--recording LABEL --variant SLUG]``: a job of the graph.

    Without a variant: the job that gathers them.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("parameters", type=Path)
    parser.add_argument("--recording")
    parser.add_argument("--variant")
    a = parser.parse_args()
    section = yaml.safe_load(a.parameters.read_text())
    if a.variant:
        name = f"{SECTION} {a.recording} {a.variant}"
        return job(name, a.run, lambda: execute(a.run, a.recording, a.variant, section))
    folder = RESULTS / a.run / SECTION
    order = ["reach", *(v.slug for v in variants(section))]
    paths = [folder / label / f"{slug}.json" for label in section["labels"] for slug in order]
    return job(SECTION, a.run, lambda: gather(a.run, [json.loads(path.read_text()) for path in paths]))


if __name__ == "__main__":
    sys.exit(main())
