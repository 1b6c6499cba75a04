"""Results by name: the functions of this module that README and pages name are what stands there, read from files.

``<!-- made: seeds full -->five<!-- end -->`` holds what ``seeds("full")`` returns. Read are references of kept runs
(``figures/<run>/reference.json``), tables of sweeps (``data/*.csv``), measured times (``bench/*.md``) and, where a
network is counted, the network.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from meagan_lib import parameters
from meagan_lib.book.conclusions import ALIKE, SCALE, kept, listed, over_seeds
from meagan_lib.evaluation import REACH, SIGNIFICANT
from meagan_lib.evaluation.scores import LEADING, Lead
from meagan_lib.evaluation.scores import compare as compare_models
from meagan_lib.experiments import augmentation, benchmark, matching_parameters, segmentation
from meagan_lib.models.contract import TrainingData
from meagan_lib.plots import LABELS
from meagan_lib.recordings.kinds import table as formats
from meagan_lib.windows.detection import DetectionConfig, window_lowpass
from meagan_lib.workflow.measured import bench

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
COPIES = "bootstrap"
"""Training copies: they have scores as models have, and are none."""
ROWS = "transformer_gan plain_transformer_gan vae_gan plain_vae_gan flow_matching reflow_1 reflow_2 gmm gaussian "
ROWS = (*(ROWS + "pca_gaussian vae dcgan tts_gan").split(), COPIES)
"""Models in the order in which tables have them."""
SHOWN = (*benchmark.THESIS, "flow_matching", "gmm", "gaussian")
"""Models in the table of the README."""
HEADS = {"passes": "fraction that passes the gate", "c2st_auc": "AUC of trees", "c2st_cnn_auc": "of a CNN"}
JUDGES = {"c2st_auc": "trees", "c2st_cnn_auc": "CNN"}
SAMPLES, RATE_HZ = 64, 20_000.0
"""Of the windows for which parameters are counted."""


def models(run: str) -> list[str]:
    """Return the models of a kept run, training copies left out."""
    return [model for model in kept(run)["scores"] if model not in (REACH, COPIES)]


def leads(run: str, pairs: Sequence[tuple[str, str]], metrics: Sequence[str]) -> dict[tuple[str, str, str], Lead]:
    """Compare pairs of models of a kept run on ``metrics``, all at once: (one, other, metric) → its lead."""
    return compare_models(kept(run)["scores"], [(*pair, metric) for metric in metrics for pair in pairs])


def ahead_of_all(run: str, model: str, metric: str) -> dict[str, Lead]:
    """Compare a model with all others of its run on one metric: other → lead."""
    others = [(model, other) for other in models(run) if other != model]
    return {other: lead for (_, other, _), lead in leads(run, others, [metric]).items()}


def best(run: str, metric: str) -> str:
    """Return the key of the model with the lowest value of a metric."""
    scores = kept(run)["scores"]
    return min(models(run), key=lambda model: scores[model][metric]["value"])


def lowest(run: str, metric: str) -> str:
    """Name the model with the lowest value of a metric."""
    return LABELS[best(run, metric)]


def score(run: str, model: str, metric: str, what: str = "value", form: str = ".3f") -> str:
    """Return a score of a kept run, or its ``floor`` or ``reach``."""
    return format(kept(run)["scores"][model][metric][what], form)


def spelled(n: int) -> str:
    """Return a number up to twelve as a word."""
    return WORDS[n] if n < len(WORDS) else str(n)


def seeds(run: str, model: str = "transformer_gan") -> str:
    """Return with how many seeds a kept run trained a model."""
    return spelled(len(kept(run)["scores"][model][LEADING[0]]["seeds"]))


def closer(run: str, model: str) -> str:
    """Return on how many scores one model of the thesis is significantly closer than the other, seed by seed."""
    sign = -1 if model == next(iter(benchmark.THESIS)) else 1
    pairs = over_seeds(run).values()
    return spelled(sum(pair.q < SIGNIFICANT and sign * pair.difference > 0 for pair in pairs))


def minutes(run: str) -> str:
    """Return how many minutes of its recording a kept run was given at most."""
    return spelled(round(kept(run)["parameters"]["01_preprocessing"]["duration_s"] / 60))


def hours(run: str) -> str:
    """Return the core hours of a kept run, whose notebook 4 may have had several cores."""
    seconds, more = dict(kept(run)["seconds"]), kept(run)["parameters"]["04_results_comparison"].get("workers", 1)
    seconds["04_results_comparison"] *= more
    return f"{sum(seconds.values()) / 3600:.0f}"


def score_table(columns: Mapping[str, Sequence[str]], rows: Sequence[str], cell: Callable, first: str = "") -> str:
    """Return a table, a row for the floor, for the reach and for each model, and columns for the metrics of each run.

    ``columns``: run → metrics. ``cell(run, model, metric, what)`` → text. ``first`` stands before the head of the AUC.
    """
    where = ALIKE | SCALE
    heads = ["test windows against"]
    for run, metrics in columns.items():
        words = [HEADS.get(metric, metric) for metric in metrics]
        heads += [f"{where[run]}: {'' if metrics[0] == 'passes' else first}{words[0]}", *words[1:]]
    bold = {model: f"**{LABELS[model]}**" for model in benchmark.THESIS}
    asked = [(f"{LABELS['real']}: floor", REACH, "floor"), (LABELS[REACH], REACH, "value")]
    asked += [((LABELS | bold)[model], model, "value") for model in rows]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, model, what in asked:
        cells = [cell(run, model, metric, what) for run in columns for metric in columns[run]]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def readme_scores() -> str:
    """Return the table of the README: the leading scores of some models that were treated alike."""
    return score_table(dict.fromkeys(ALIKE, LEADING), SHOWN, score)


def alike_scores() -> str:
    """Return the table of all models that were treated alike, networks also after moment matching."""

    def cell(run: str, model: str, metric: str, what: str) -> str:
        matched = kept(run)["moment_matching"].get(model, {}) if metric in LEADING else {}
        return score(run, model, metric, what) + (f" → {matched[metric]['value']:.3f}" if matched else "")

    first, second = ALIKE
    columns = {first: ("passes", *LEADING), second: LEADING}
    return score_table(columns, [m for m in ROWS if m in kept(first)["scores"]], cell)


def scale_scores() -> str:
    """Return the table of the runs with several seeds, with half of each 95 % interval, the wider."""

    def cell(run: str, model: str, metric: str, what: str) -> str:
        if model not in kept(run)["scores"]:
            return "–"
        its = kept(run)["scores"][model][metric]
        ends = np.array(its["interval" if what == "value" else f"{what}_interval"])
        return f"{score(run, model, metric, what)} ± {abs(ends - its[what]).max():.3f}"

    there = [model for model in ROWS if any(model in kept(run)["scores"] for run in SCALE)]
    return score_table(dict.fromkeys(SCALE, LEADING), there, cell, "C2ST ")


def lowest_auc() -> str:
    """Name, of models treated alike, those with the lowest AUC, and which are not significantly behind them."""
    said = []
    for run, where in ALIKE.items():
        for metric, judge in JUDGES.items():
            found = ahead_of_all(run, best(run, metric), metric)
            even = sorted((LABELS[other] for other, lead in found.items() if not lead.significant), key=str.casefold)
            behind = f" (not significantly behind: {', '.join(even)})" if even else ""
            said.append(f"{where}, {judge}: {lowest(run, metric)}{behind}")
    return "; ".join(said)


def matched_by() -> str:
    """Say by how much moment matching lowers the AUC of the trees, from the least to the most changed network."""
    said = []
    for run, where in ALIKE.items():
        scores, matched = kept(run)["scores"], kept(run)["moment_matching"]
        moved = [scores[m]["c2st_auc"]["value"] - matched[m]["c2st_auc"]["value"] for m in matched]
        said.append(f"{where} by {min(moved):.3f} to {max(moved):.3f}")
    return ", ".join(said)


def rivals(run: str) -> list[tuple[str, str]]:
    """Pair both models of the thesis with all others of a kept run, training copies included."""
    others = [m for m in kept(run)["scores"] if m not in (REACH, *benchmark.THESIS)]
    return [(model, other) for model in benchmark.THESIS for other in others]


def compared(run: str) -> str:
    """Count the comparisons of both models of the thesis with all others of a kept run on the leading scores."""
    return str(len(rivals(run)) * len(LEADING))


def gains() -> pd.DataFrame:
    """Return what each generator adds to a classifier of units, as ``augmentation.gains`` gives it."""
    return gains_once(augmentation.TABLE, augmentation.TABLE.stat().st_mtime_ns)


@cache
def gains_once(table: Path, changed: int) -> pd.DataFrame:
    """Compute the gains of a table, once until it is ``changed``."""
    return augmentation.gains(augmentation.load(table))


def compared_gains() -> str:
    """Count the comparisons of a classifier with and without synthetic windows."""
    return str(len(gains()))


def gains_alone() -> str:
    """Count gains and losses with p < 0.05 before any correction, beside what chance alone would give."""
    found = gains()
    clear = found[found["p"] < 0.05]["difference"]
    return (
        f"of {len(found)} comparisons on {spelled(found['data'].nunique())} recordings {(clear > 0).sum()} gains and "
        f"{(clear < 0).sum()} losses have p < 0.05, where chance alone would give {0.05 * len(found):.0f}"
    )


def few_labelled() -> pd.DataFrame:
    """Return the gains with the three smallest numbers of labelled windows of a unit."""
    found = gains()
    return found[found["n"].isin(sorted(found["n"].unique())[:3])]


def gained_with_few() -> str:
    """Say what each generator adds to macro-F1 with few labelled windows, mean over recordings and numbers."""
    found = few_labelled()
    mean = found.groupby("generator")["difference"].mean().sort_values(ascending=False)
    by = listed([f"{value:.3f} ({augmentation.LABELS[name]})" for name, value in mean.items()])
    return f"with {found['n'].min()} to {found['n'].max()} labelled windows of each unit is {by}"


def most_labelled() -> str:
    """Return the largest number of labelled windows of a unit in the table of the utility."""
    return str(gains()["n"].max())


def segmentation_cases() -> str:
    """Say which classes, numbers of annotated pieces and seeds the kept table of the segmentation has."""
    table = segmentation.load(segmentation.TABLE)
    pieces = {kind: tuple(sorted(own["n"].unique())) for kind, own in table.groupby("class", sort=False)}
    said = []
    for n in dict.fromkeys(pieces.values()):
        kinds = listed([f"{kind}s" for kind, its in pieces.items() if its == n])
        said.append(f"{kinds} with {listed([spelled(each) for each in n])} annotated pieces")
    fewest, most = table.groupby(["class", "n"])["seed"].nunique().agg(["min", "max"])
    return f"{', '.join(said)}, each with {spelled(fewest)}{f' to {spelled(most)}' if most > fewest else ''} seeds"


@cache
def fitted(model: str) -> int:
    """Count the numbers of a model, with its default sizes, of windows of 64 samples at 20 kHz."""
    taps = window_lowpass(asdict(DetectionConfig()), RATE_HZ)
    data = TrainingData(np.random.default_rng(0).standard_normal((200, SAMPLES)).astype(np.float32), taps)
    kind = benchmark.model_class(model)
    if not hasattr(kind, "configure"):
        return kind(data).n_parameters if model != "gaussian" else kind.fit(data).n_parameters
    patch_ms = parameters.of_preset("full")[benchmark.THESIS["transformer_gan"]]["patch_ms"]
    patch = {"patch": round(patch_ms * RATE_HZ / 1000)}
    options = {} if kind.PUBLISHED else patch | (benchmark.PLAINLY if model in benchmark.PLAIN else {})
    config = kind.configure(**options)
    return kind(kind.build(config, data), config, {}).n_parameters


def grouped(n: int) -> str:
    """Return a whole number, from five digits on in groups of three."""
    return f"{n:,}".replace(",", " ") if n >= 10_000 else str(n)


def numbers(model: str) -> str:
    """Return how many numbers of a model are fitted; ``moment_matching``: of that map."""
    return grouped(matching_parameters(SAMPLES) if model == "moment_matching" else fitted(model))


def steps(model: str) -> str:
    """Return how many steps the run ``full`` trains a baseline, or a model of the thesis in each stage."""
    given = parameters.of_preset("full")
    own = given[benchmark.THESIS[model]] if model in benchmark.THESIS else given[benchmark.SECTION]
    stages = {"transformer_gan": ["steps"], "vae_gan": ["vae_steps", "steps"]}
    return " + ".join(grouped(own[name]) for name in stages.get(model, [f"{model}_steps"]))


RESULTS = {"formats": formats} | {
    made.__name__: made
    for made in (
        readme_scores,
        alike_scores,
        scale_scores,
        lowest_auc,
        matched_by,
        lowest,
        score,
        seeds,
        closer,
        minutes,
        hours,
        compared,
        compared_gains,
        gains_alone,
        gained_with_few,
        most_labelled,
        segmentation_cases,
        bench,
        numbers,
        steps,
    )
}
"""What a page can name."""
