"""The study of transfer: what a generator of other recordings saves who needs one of this recording.

A sweep, ``meagan run transfer``. On each target a Transformer-GAN is trained from scratch, and from the weights of one
that was trained on another recording, or on all the others together, and is scored again and again on the way. Every
recording has its own scale, fitted on its own training windows. A source as it stands is given the target's scale, and
nothing else; fine-tuning begins by giving it the Gaussian of the target's training windows as well.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from meagan_lib import ROOT, InputError, choose
from meagan_lib.evaluation.statistics import paired
from meagan_lib.experiments import ablation, sweep
from meagan_lib.experiments.ablation import METRICS
from meagan_lib.models.contract import TrainingData
from meagan_lib.models.gan import GAN
from meagan_lib.models.gaussian import Gaussian
from meagan_lib.training.trainer import Diverged, Trainer
from meagan_lib.windows.detection import window_lowpass
from meagan_lib.windows.normalisation import Standardiser
from meagan_lib.windows.resampling import resample
from meagan_lib.windows.spike_windows import SpikeWindows, Split

TABLE = ROOT / "data" / "transfer.csv"
"""The table that is kept, of the run that ``params/transfer.yaml`` describes."""
READS = "all windows"
COLUMNS = ("source", "n", "seed", "steps", "seconds", "source_seconds", "diverged", *METRICS)

DECLARED = {
    "seeds": [0],
    "targets": {},
    "steps": [0, 100],
    "source_steps": 100,
    "few": [100],
    "few_steps": 100,
    "n_windows": 1000,
    "patch_ms": 0.4,
    "options": {},
}
"""Parameters of the section, with values of their types. ``targets``: recording → the other that it starts from;
``steps`` at which a training is scored, ``source_steps`` of the training that it starts from; ``few`` training windows,
with ``few_steps``; the rest as in the ablation."""
SCRATCH, SEVERAL, REACH, GAUSSIAN, COPIES = "scratch", "all others", "reach", "gaussian", "windows of the source"
"""Sources that are no recording: none; all recordings but the target; and what needs no network: training windows of
the target, a Gaussian of them, and training windows of the source on the target's scale."""


def check(section: Mapping) -> None:
    """Refuse a section. InputError: what :func:`sweep.check` refuses, an unknown recording, steps that do not rise."""
    sweep.check("transfer", section, DECLARED)
    labels = section.get("labels", [])
    for target, source in section["targets"].items():
        for recording in (target, source):
            choose("recording in transfer.targets", recording, labels)
        if target == source:
            raise InputError(f"transfer.targets: {target} cannot start from itself: name another recording")
    if not section["targets"]:
        raise InputError("transfer.targets is empty: name a recording and the one it starts from, such as {a: b}")
    steps = section["steps"]
    if sorted(set(steps)) != list(steps) or section["few_steps"] not in steps:
        raise InputError(f"transfer.steps are {steps}: they must rise, and few_steps ({section['few_steps']}) be one")
    configure(section, 0, 1)


def cases(section: Mapping) -> list[str]:
    """Return what is done on a target: what needs no network, and a training from each source."""
    check(section)
    return ["bounds", "scratch", "one", "several"]


def cases_of(label: str, section: Mapping) -> list[str]:
    """Return the cases of a recording: all of a target, and none of another."""
    return cases(section) if label in section["targets"] else []


def configure(section: Mapping, steps: int, patch: int, seed: int = 0):
    """Return the config of a training. InputError: an option that the Transformer-GAN does not have."""
    return GAN.configure(seed, steps=steps, patch=patch, snapshots=2, options=section["options"])


def rows(windows: Mapping[str, SpikeWindows], case: str, section: Mapping) -> list[dict[str, object]]:
    """Return the scores of one case with every seed; the first of the ``windows``, by recording, are the target's."""
    (target, own), *others = windows.items()
    alike = {label: resample(its, own) for label, its in others}
    one = section["targets"][target]
    source = {"scratch": SCRATCH, "one": one, "several": SEVERAL}.get(case)
    chosen = {"one": [alike.get(one)], "several": list(alike.values())}.get(case, [])
    found: list[dict[str, object]] = []
    for seed in section["seeds"]:
        if case == "bounds":
            found += bounds(own, alike[one], section, seed)
            continue
        with TemporaryDirectory() as folder:
            trained = pretrain(chosen, own, Path(folder), section, seed) if chosen else None
            if trained:
                found.append({"source": source, "seed": seed} | as_it_stands(trained, own, section, seed))
            spent = round(trained.seconds, 1) if trained else 0.0
            for n, steps in budgets(own, section):
                if n and case == "several":
                    continue
                about = {"source": source, "n": n or int((own.split == Split.TRAIN).sum()), "seed": seed}
                curve = learning_curve(own, n, steps, Path(folder) if chosen else None, section, seed)
                found += [about | {"source_seconds": spent} | row for row in curve]
    return found


def budgets(own: SpikeWindows, section: Mapping) -> list[tuple[int, list[int]]]:
    """Return training windows (0: all) and the steps at which their training is scored; a few are scored at its end."""
    there = int((own.split == Split.TRAIN).sum())
    return [(0, list(section["steps"])), *((n, [section["few_steps"]]) for n in section["few"] if n < there)]


def training_windows(own: SpikeWindows, n: int, seed: int) -> np.ndarray:
    """Return training windows (n, samples), drawn with the seed; 0: all of them."""
    train = own.of(Split.TRAIN)
    return np.random.default_rng(seed).permutation(train)[:n] if n else train


def pretrain(sources: Sequence[SpikeWindows], like: SpikeWindows, folder: Path, section: Mapping, seed: int) -> Trainer:
    """Train on the training windows of the ``sources``, each on its own scale, and leave the weights in ``folder``."""
    train = [windows.of(Split.TRAIN) for windows in sources]
    scaled = np.concatenate([Standardiser.fit(x).transform(x) for x in train])
    data = TrainingData(scaled, window_lowpass(like.detection, like.sampling_rate_hz))
    config = configure(section, section["source_steps"], like.samples_of(section["patch_ms"]), seed)
    trainer = GAN.trainer(config, data, folder)
    trainer.train()
    return trainer


def as_it_stands(trainer: Trainer, own: SpikeWindows, section: Mapping, seed: int) -> dict[str, object]:
    """Score the generator of a source on the target's scale; n = 0, for it has learned from no window of the target."""
    scale = Standardiser.fit(own.of(Split.TRAIN))
    row = {"n": 0, "steps": 0, "seconds": 0.0, "source_seconds": round(trainer.seconds, 1), "diverged": ""}
    return row | ablation.scores(own, lambda n: scale.inverse(trainer.sample(n, seed)), section, seed)


def learning_curve(
    own: SpikeWindows, n: int, steps: Sequence[int], start_from: Path | None, section: Mapping, seed: int
) -> Iterator[dict[str, object]]:
    """Train on ``n`` windows, and score the moving average after each of ``steps``; ``diverged`` ends the curve."""
    train = training_windows(own, n, seed)
    scale = Standardiser.fit(train)
    data = TrainingData(scale.transform(train), window_lowpass(own.detection, own.sampling_rate_hz))
    config = configure(section, steps[-1], own.samples_of(section["patch_ms"]), seed)
    trainer = GAN.trainer(config, data, start_from=start_from)
    found: list[dict[str, object]] = []
    scoring = 0.0

    def score(trainer: Trainer) -> None:
        nonlocal scoring
        if trainer.step not in steps:
            return
        began = time.process_time()
        row = {"steps": trainer.step, "seconds": max(round(trainer.seconds - scoring, 1), 0.0), "diverged": ""}

        def draw(n: int) -> np.ndarray:
            return scale.inverse(trainer.draw(trainer.ema, n, seed))

        found.append(row | ablation.scores(own, draw, section, seed))
        scoring += time.process_time() - began if trainer.step else 0.0  # the trainer's clock starts with step 1

    score(trainer)
    try:
        trainer.train(score)
    except Diverged:
        lost = {"steps": steps[-1], "seconds": 0.0, "diverged": trainer.step}
        found.append(lost | dict.fromkeys(METRICS, ""))
    return found


def bounds(own: SpikeWindows, source: SpikeWindows, section: Mapping, seed: int) -> list[dict[str, object]]:
    """Score what needs no network: the reach, windows of the source on this scale, and Gaussians of n windows."""
    train, theirs = own.of(Split.TRAIN), np.random.default_rng(seed).permutation(source.of(Split.TRAIN))
    scale, foreign = Standardiser.fit(train), Standardiser.fit(theirs)
    as_own = scale.inverse(foreign.transform(theirs))
    least = {"steps": 0, "seconds": 0.0, "diverged": "", "source_seconds": 0.0, "seed": seed}
    found = [{"source": REACH, "n": len(train)} | least | ablation.reach(own, section, seed)]
    if len(as_own) >= min(section["n_windows"], int((own.split == Split.TEST).sum()) // 2):
        found.append({"source": COPIES, "n": 0} | least | ablation.scores(own, lambda n: as_own[:n], section, seed))
    for n, _ in budgets(own, section):
        few = training_windows(own, n, seed)
        drawn = Gaussian(few).sample
        about = {"source": GAUSSIAN, "n": len(few)}
        found.append(about | least | ablation.scores(own, lambda n: drawn(n, seed), section, seed))  # noqa: B023
    return found


def load(path: Path | str = TABLE) -> pd.DataFrame:
    """Read a table of the study: a row for each target, source, number of windows, seed and scored step."""
    return sweep.load(path, "transfer", METRICS)


def curves(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of networks that learned from all training windows of a target, from scratch or from a source."""
    trained = table[~table["source"].isin((REACH, GAUSSIAN, COPIES))]
    return trained[trained["n"] == trained.groupby("data")["n"].transform("max")]


def steps_to(goal: float, steps: Sequence[int], scores: Sequence[float]) -> float:
    """Return after how many steps a score, the lower the better, first is at the ``goal``; NaN: never.

    Between two scored steps it is taken to change linearly.

    >>> steps_to(0.6, [0, 100, 200], [0.8, 0.7, 0.5])
    150.0
    """
    reached = np.flatnonzero(np.asarray(scores) <= goal)
    if not len(reached):
        return np.nan
    i = reached[0]
    return float(np.interp(-goal, -np.array(scores[i - 1 : i + 1]), steps[i - 1 : i + 1])) if i else float(steps[0])


def savings(table: pd.DataFrame, score: str = "c2st_auc") -> pd.DataFrame:
    """Return what starting from a source saves until a score, the lower the better, is that of scratch at its end.

    A row for each target and source: ``goal``, the mean of that score; ``seeds``, and in how many of them it is
    ``reached``; over these the mean ``steps`` that it takes, those that it takes from ``scratch``, which may pass its
    last score on the way, ``saved``, the steps between with their 95 % interval ``low`` to ``high`` (Student's t over
    seeds, NaN where it is not defined), and ``saved_seconds`` of CPU; ``source_seconds``, what the source's own
    training took.
    """
    found = []
    for target, rows in curves(table).groupby("data", sort=False):
        by_seed = dict(list(rows[rows["source"] == SCRATCH].groupby("seed")))
        goals = {seed: its[score].iloc[-1] for seed, its in by_seed.items()}

        def needed(its: pd.DataFrame, seed: int, goals: Mapping[int, float] = goals) -> tuple[float, float]:
            steps = steps_to(goals[seed], its["steps"].to_numpy(), its[score].to_numpy())
            return steps, float(np.interp(steps, its["steps"], its["seconds"]))

        scratch = {seed: needed(its, seed) for seed, its in by_seed.items()}
        for source, its in rows[rows["source"] != SCRATCH].groupby("source", sort=False):
            tuned = {seed: needed(own, seed) for seed, own in its.groupby("seed") if seed in goals}
            steps, seconds = (
                paired(*({seed: both[i] for seed, both in by.items()} for by in (scratch, tuned))) for i in (0, 1)
            )
            row = {"data": target, "source": source, "goal": np.mean(list(goals.values())), "seeds": len(tuned)}
            row |= {"reached": steps.n, "steps": steps.mean - steps.difference, "scratch": steps.mean}
            row |= {"saved": steps.difference, "low": steps.interval[0], "high": steps.interval[1]}
            row |= {"saved_seconds": seconds.difference, "source_seconds": its["source_seconds"].mean()}
            found.append(row)
    return pd.DataFrame(found)


def effects(table: pd.DataFrame) -> pd.DataFrame:
    """Compare by C2ST AUC, as :func:`sweep.comparisons`, every start from a source with one from scratch.

    That has learned from as many windows in as many steps; a source as it stands, n = 0, is compared with what scratch
    has at its end.
    """
    trained = table[~table["source"].isin((REACH, GAUSSIAN, COPIES))].copy()
    all_windows, last = (trained.groupby("data")[column].transform("max") for column in ("n", "steps"))
    stands = trained["n"] == 0
    n, steps = trained["n"].where(~stands, all_windows), trained["steps"].where(~stands, last)

    def names(source: pd.Series, n: pd.Series, steps: pd.Series) -> pd.Series:
        return source + ", n = " + n.astype(str) + ", " + steps.astype(str) + " steps"

    trained["variant"] = names(trained["source"], trained["n"], trained["steps"])
    scratch = names(pd.Series(SCRATCH, trained.index), n, steps)
    trained["against"] = scratch.where(trained["source"] != SCRATCH, "")
    return sweep.comparisons(trained, ["data", "variant"], "c2st_auc", higher_is_better=False)


def said(found: pd.DataFrame) -> list[str]:
    """Say what :func:`savings` found, a sentence for each target and source."""
    sentences = []
    for row in found.itertuples():
        who = f"{row.data}, from {row.source}"
        if not row.reached:
            sentences.append(f"{who}: never as good as from scratch ({row.goal:.3f}), with none of {row.seeds} seeds")
            continue
        numbers = (row.saved, row.low, row.high, row.saved_seconds)
        saved, low, high, spared = (f"{x:.0f}".replace("-", "−") for x in numbers)
        how = f"{row.steps:.0f} steps instead of {row.scratch:.0f}, {saved} saved"
        if np.isfinite(row.low):
            how += f" (95 % interval {low} to {high})"
        if row.reached < row.seeds:
            how += f", with {row.reached} of {row.seeds} seeds and never with the rest"
        seconds = f"{spared} s of CPU, where {row.source_seconds:.0f} s had trained the source"
        sentences.append(f"{who}: as good as from scratch ({row.goal:.3f}) after {how}; {seconds}")
    return sentences


def summary(path: Path) -> tuple[str, pd.DataFrame]:
    """Return title and closing table of the command: what each source saves."""
    table = load(path)
    found = savings(table).round({"goal": 3, "saved_seconds": 1, "source_seconds": 1})
    found.insert(0, "target", found.pop("data"))
    return f"steps until C2ST AUC is that of scratch at its end ({sweep.counted(effects(table))})", found
