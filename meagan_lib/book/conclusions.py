"""What the kept scores say to the questions of the thesis: sentences that are computed, none of them typed."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from meagan_lib import ROOT, InputError
from meagan_lib.evaluation import METRICS, REACH, SIGNIFICANT, best_models, beyond, copies, seed_by_seed
from meagan_lib.evaluation.scores import LEADING
from meagan_lib.evaluation.statistics import Paired
from meagan_lib.experiments import ablation, augmentation, benchmark, reference
from meagan_lib.plots import LABELS
from meagan_lib.workflow.files import read_json

FIGURES = ROOT / "figures"
"""Where kept runs have their figures, and their references beside them."""
ALIKE = {"baselines": "simulated", "baselines_retina_hdmea": "retina"}
"""Kept runs that treat all models alike, and what their recordings are called."""
SCALE = {"full": "simulated", "full_retina_hdmea": "retina"}
"""Kept runs with several seeds of both models of the thesis."""
NUMBER = re.compile(r" \((\d\.\d+|against .*)\)")
"""What stands in brackets behind a name: a score, or what it was compared with."""


def kept(run: str) -> dict:
    """Return the reference of a kept run. ``InputError``: there is none."""
    path = FIGURES / run / reference.FILE
    if not path.is_file():
        raise InputError(f"the pages quote a run '{run}' that has no figures/{run}/{reference.FILE}")
    return read_once(path, path.stat().st_mtime_ns)


@cache
def read_once(path: Path, changed: int) -> dict:
    """Read JSON, once until it is ``changed``."""
    return read_json(path)


def closest() -> str:
    """Return a table: of each question, the model with the best score on each recording, and which it is ahead of."""
    tables = {words: best_models(kept(run)["scores"], LABELS) for run, words in ALIKE.items()}
    rows = ["| question | " + " | ".join(tables) + " |", "|---" * (1 + len(tables)) + "|"]
    for question in next(iter(tables.values())).index:
        answers = [table.loc[question] for table in tables.values()]
        cells = [
            f"**{row['best']}** {row['value'].partition(' ')[0]}, floor {row['floor']:.3f}; significantly ahead of "
            + NUMBER.sub("", row["significantly better than"])
            for row in answers
        ]
        rows.append(f"| {question} ({answers[0]['score']}) | {' | '.join(cells)} |")
    return "\n".join(rows)


def listed(names: Sequence[str]) -> str:
    """Return names as words: none, one, one and other."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or "none"


def flagged(model: str) -> str:
    """Say on how many scores a model is worse than sampling and drift explain, recording by recording."""
    counts = []
    for run, words in ALIKE.items():
        scores = kept(run)["scores"]
        decisive = sum(not METRICS[name].report_only for name in scores[model])
        counts.append(f"{len(beyond(scores, model))} of {decisive} ({words})")
    return f"{LABELS[model]}, {listed(counts)}"


def over_seeds(run: str) -> dict[str, Paired]:
    """Compare both models of the thesis by each metric of a kept run, seed by seed: metric → difference, p, q."""
    seeds = dict.fromkeys(benchmark.THESIS, kept(run)["parameters"]["benchmark"]["seeds"])
    return seed_by_seed(kept(run)["scores"], seeds)[1]


def seeds_agree() -> str:
    """Say on which leading scores both models of the thesis differ significantly, over the seeds of each."""
    found = []
    for run, words in SCALE.items():
        n, pairs = len(kept(run)["parameters"]["benchmark"]["seeds"]), over_seeds(run)
        ahead = [METRICS[name].label for name in LEADING if pairs[name].q < SIGNIFICANT]
        found.append(f"{words}, {n} seeds: {listed(ahead)}")
    return "; ".join(found)


def copying() -> str:
    """Name the models that copy training windows, in the runs that treat all alike."""
    by_run = {words: kept(run)["scores"] for run, words in ALIKE.items()}
    named = {w: [LABELS[m] for m in scores if m != REACH and copies(scores, m)] for w, scores in by_run.items()}
    return "; ".join(f"{words}, {listed(names)}" for words, names in named.items())


def advice() -> str:
    """Sort the changes of the ablation by what they do: names, of those without a significant difference how many."""
    found = ablation.reading(ablation.effects(ablation.load()))
    said = []
    for sentence, names in found.items():
        quoted = [f"“{NUMBER.sub('', name)}”" for name in names]
        told = str(len(names)) if sentence.startswith("no ") else listed(quoted)
        said.append(f"{sentence}: {told}")
    return "; ".join(said)


def gained() -> str:
    """Count the additions of synthetic windows that help or hurt a classifier significantly."""
    found = augmentation.gains(augmentation.load())["verdict"]
    return f"of {len(found)} comparisons {(found == 'helps').sum()} help and {(found == 'hurts').sum()} hurt"


def conclusions() -> str:
    """Return the questions of the thesis, each with what the kept scores answer."""
    models = (*benchmark.THESIS, "flow_matching", "gmm")
    answers = {
        "Do generated windows pass for real ones?": "Scores on which a model is worse than sampling and drift explain: "
        + "; ".join(map(flagged, models)),
        "Is one of the two models of the thesis better?": "Leading scores (both classifiers, coverage) on which they "
        f"differ significantly, seed by seed: {seeds_agree()}",
        "Do they copy their training windows?": f"Models that do: {copying()}",
        "Do generated windows help a classifier of units where real ones are few?": f"Significantly, {gained()}",
        "Does the advice of 1.3.5 hold?": f"In short trainings, {advice()}",
    }
    return "\n".join(
        [
            "**Which model comes closest to real windows that no model has seen?** One seed each, all treated alike:\n",
            closest() + "\n",
            *(f"- **{question}** {answer}." for question, answer in answers.items()),
        ]
    )
