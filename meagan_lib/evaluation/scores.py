"""Scores: every metric of every model beside its floor and its reach, and which model is best.

**Floor**: the same metric between two random halves, A and B, of the real test set: what sampling alone does.
**Reach**: training windows against A: what a perfect copy of the training distribution would get, drift in time
included; for memorisation, training windows that are left out of the training set. The reference is always A.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits

from meagan_lib import InputError
from meagan_lib.evaluation.context import Context, Statistic
from meagan_lib.evaluation.metrics import ALL, Better, Interval, Metric, applicable
from meagan_lib.evaluation.statistics import SIGNIFICANT, Paired, paired, q_values
from meagan_lib.windows.features import Array

REACH = "reach"
LEADING = ("c2st_auc", "c2st_cnn_auc", "coverage")
"""The scores by which models are ranked: likeness, to two classifiers as neither sees everything, and variety."""

Scores = Mapping[str, Mapping[str, Mapping]]
"""Model → metric → fields of :class:`Score`, as :func:`score_models` returns and ``scores.json`` keeps them."""


@dataclass(frozen=True)
class Score:
    """A value with its 95 % interval, beside floor and reach with theirs.

    ``ratio`` = value / reach; None where a value can lie below 0, or the reach is 0. ``seeds``: the value of each seed.
    """

    value: float
    interval: Interval
    floor: float
    floor_interval: Interval
    reach: float
    reach_interval: Interval
    ratio: float | None
    seeds: tuple[float, ...]


def evaluate(
    metric: Metric, real: Array, fake: Array, context: Context, n_bootstrap: int, events: Sequence | None = None
) -> tuple[float, Interval]:
    """Compute a metric and its 95 % interval: value ± t standard errors, t of as many draws, ``n_bootstrap``.

    The interval is of the value that other real and generated windows, as many and of the same distributions, have on
    average. Whole events are drawn, those of real windows (n,) and of generated ones (m,) in ``events``
    (``SpikeWindows.events``); without them each window is its own. ``spread`` says how the standard error is found:

    resampled
        A bootstrap. Windows that stand twice move a distance upwards; its spread is used, its mean is not.
    halves
        Windows that stand twice would shrink the balls of the neighbours. So both sides are halved at random, again and
        again: the halves, each with balls of its own, differ by twice the standard error of the whole (mean square).
        ``n_bootstrap`` halves make half as many differences.
    binomial
        The interval of a fraction of independent windows (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Of what is cross-validated, a bootstrap resamples the predictions, and knows nothing of other training windows:
    ``refitted`` is the variance that these add.
    """
    a, b = events or (np.arange(len(real)), len(real) + np.arange(len(fake)))
    statistic = prepared(metric, real, fake, context, (a, b))
    return estimate(metric, statistic, (a, b), context.seed, n_bootstrap)


def prepared(metric: Metric, real: Array, fake: Array, context: Context, events: Sequence) -> Statistic:
    """Prepare a metric: what is cross-validated never has windows of one event, of the two ``events``, in two folds."""
    return metric.statistic(real, fake, context, **({"events": np.concatenate(events)} if metric.refitted else {}))


def estimate(
    metric: Metric, statistic: Statistic, events: Sequence, seed: int, n_bootstrap: int
) -> tuple[float, Interval]:
    """Return value and interval of a prepared metric, as :func:`evaluate` does."""
    a, b = events
    value = statistic(np.arange(len(a)), np.arange(len(b)))
    if metric.spread == "binomial":
        low, high = scipy.stats.binomtest(round(value * len(b)), len(b)).proportion_ci(method="wilson")
        return value, (low, high)
    rng = np.random.default_rng(seed)
    if metric.spread == "halves":
        n_bootstrap = max(n_bootstrap // 2, 2)
        apart = [
            np.subtract(*map(statistic, *(np.array_split(by_event(side, rng), 2) for side in (a, b))))
            for _ in range(n_bootstrap)
        ]
        error = float(np.sqrt(np.mean(np.square(apart)))) / 2
    else:
        error = float(np.std([statistic(_drawn(a, rng), _drawn(b, rng)) for _ in range(n_bootstrap)], ddof=1))
    if metric.refitted:
        error *= float(np.sqrt(1 + metric.refitted(value)))
    return value, _around(value, float(scipy.stats.t.ppf(0.975, n_bootstrap - 1)) * error, metric)


def difference(
    metric: Metric,
    statistics: tuple[Statistic, Statistic],
    events: tuple[np.ndarray, np.ndarray, np.ndarray],
    seed: int,
    n_bootstrap: int,
) -> tuple[float, Interval, float]:
    """Return the first less the second of two prepared metrics, its 95 % interval, value ± t standard errors, and p.

    Both compare generated windows with the same real ones, whose bootstrap draws they share; ``events`` are those of
    the real windows (n,), of the first generated ones and of the second. What is cross-validated is fitted anew for
    either, so the variance that this adds is the mean of both.
    """
    (first, second), (real, *fake), rng = statistics, events, np.random.default_rng(seed)
    values = [of(np.arange(len(real)), np.arange(len(b))) for of, b in zip(statistics, fake)]
    apart = []
    for _ in range(n_bootstrap):
        i = _drawn(real, rng)
        apart.append(first(i, _drawn(fake[0], rng)) - second(i, _drawn(fake[1], rng)))
    error = float(np.std(apart, ddof=1))
    if metric.refitted:
        error *= float(np.sqrt(1 + np.mean([metric.refitted(value) for value in values])))
    value, half = values[0] - values[1], float(scipy.stats.t.ppf(0.975, n_bootstrap - 1)) * error
    p = 2 * float(scipy.stats.t.sf(abs(value) / error, n_bootstrap - 1)) if error > 0 else np.nan
    return value, (value - half, value + half), p


def _around(value: float, half: float, metric: Metric) -> Interval:
    least, most = metric.bounds
    return max(value - half, least), min(value + half, most)


def _drawn(events: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw whole events with replacement, as many windows as ``events`` (n,) has."""
    order, size = np.argsort(events, kind="stable"), np.unique(events, return_counts=True)[1]
    drawn = rng.integers(len(size), size=len(events))
    within = np.arange(size[drawn].sum()) - np.repeat(np.cumsum(size[drawn]) - size[drawn], size[drawn])
    return order[np.repeat((np.cumsum(size) - size)[drawn], size[drawn]) + within][: len(events)]


def by_event(events: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put the windows (n,) of ``events`` (n,) in random order, those of one event one after the other."""
    _, index = np.unique(events, return_inverse=True)
    return np.lexsort((rng.permutation(len(events)), rng.permutation(index.max(initial=0) + 1)[index]))


def over_seeds(results: Sequence[tuple[float, Interval]], metric: Metric) -> tuple[float, Interval]:
    """Average the values of several seeds, and find the 95 % interval of their mean.

    The wider of Student's t over the seeds, which knows how they differ, and the mean of the seeds' own intervals,
    which know how the real windows might differ.
    """
    values = [value for value, _ in results]
    mean = float(np.mean(values))
    half = float(np.mean([max(high - value, value - low) for value, (low, high) in results]))
    if (k := len(values)) > 1:
        half = max(half, float(scipy.stats.t.ppf(0.975, k - 1) * np.std(values, ddof=1) / np.sqrt(k)))
    return mean, _around(mean, half, metric)


def score_models(
    test: Array,
    context: Context,
    synthetic: Mapping[str, Array | Sequence[Array]],
    n_windows: int = 2000,
    n_bootstrap: int = 50,
    names: Iterable[str] | None = None,
    events: Mapping[str, np.ndarray] | None = None,
    refuse: bool = True,
    workers: int = 1,
) -> dict[str, dict[str, dict]]:
    """Score every model by every metric, with floors and reaches: model → metric → fields of :class:`Score`.

    The entry ``"reach"`` is the training windows of ``context`` themselves, which are never a reference.

    ``test``: held-out windows (·, samples) as z-scores. ``synthetic``: generated ones of each model, or a list of those
    of several seeds. ``n_windows``: on each side, at most half the test set and half the training set. ``events``: the
    event (·,) of each window, for ``test`` and ``train`` and for those of ``synthetic`` that are real windows. One
    spike that several electrodes see is one event: it is in one half, in one fold, drawn as one. ``refuse``: all scores
    but the fraction that passes are those of accepted windows, where there are enough of them. ``workers``: processes
    that share the sets of windows, each of one thread; the scores are the same. ``InputError``: none of them.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}: give 1 or more")
    rng, train, labels = np.random.default_rng(context.seed), context.train, context.labels
    drawn_by = {name: [windows] if isinstance(windows, np.ndarray) else windows for name, windows in synthetic.items()}
    least = min((len(windows) for each in drawn_by.values() for windows in each), default=n_windows)
    n = min(n_windows, len(test) // 2, len(train) // 2, least)

    def accepted(windows: Array) -> Array:
        passing = windows if context.gate is None or not refuse else windows[context.gate(windows)]
        return (passing if len(passing) >= n else windows)[:n]

    runs = {name: [accepted(windows) for windows in each] for name, each in drawn_by.items()}
    known = {"test": np.arange(len(test)), "train": np.arange(len(train))} | dict(events or {})
    order, drawn = by_event(known["test"], rng), by_event(known["train"], rng)
    (a, b), again = (test[half] for half in (order[:n], order[n : 2 * n])), train[drawn[:n]]
    of_a, of_b = known["test"][order[:n]], known["test"][order[n : 2 * n]]
    of_again = known["test"].max() + 1 + known["train"][drawn[:n]]
    alone = of_again.max() + 1 + np.arange(n)  # generated windows
    others = replace(context, train=train[drawn[n:]], labels=None if labels is None else labels[drawn[n:]])
    names = list(names or applicable(context.electrodes))

    def scored(name: str, fake: Array, of_fake: np.ndarray, whole: Array, of_memory: Context) -> tuple[float, Interval]:
        """Score windows, of which the gate is asked about the ``whole`` that was drawn."""
        metric, side = ALL[name], whole if name == "passes" else fake
        through = of_memory if metric.family == "memorisation" else context
        return evaluate(metric, a, side, through, n_bootstrap, (of_a, of_fake))

    sets = {"floor": [(b, of_b, b, context)], REACH: [(again, of_again, again, others)]}
    for model, each in runs.items():
        of_fake = known[model][:n] if model in known else alone
        sets[model] = [(fake, of_fake, whole, context) for fake, whole in zip(each, drawn_by[model])]
    tasks = [each for own in sets.values() for each in own]
    shares = [tasks[i::workers] for i in range(workers)]  # of which each keeps what the context has found
    with threadpool_limits(1), parallel_config("loky", inner_max_num_threads=1):
        found = Parallel(workers, max_nbytes=None)(
            delayed(lambda share: [{name: scored(name, *each) for name in names} for each in share])(share)
            for share in shares
        )
    in_order = iter([found[i % workers][i // workers] for i in range(len(tasks))])
    results = {model: [next(in_order) for _ in own] for model, own in sets.items()}
    scores: dict[str, dict[str, dict]] = {name: {} for name in (REACH, *runs)}
    for name in names:
        metric = ALL[name]
        (floor, floor_interval), (reach, reach_interval) = (results[side][0][name] for side in ("floor", REACH))
        for model in scores:
            each = [one[name] for one in results[model]]
            value, interval = over_seeds(each, metric)
            ratio = None if metric.bounds[0] < 0 or not reach else value / reach
            beside = (floor, floor_interval, reach, reach_interval, ratio)
            scores[model][name] = asdict(Score(value, interval, *beside, tuple(v for v, _ in each)))
    return scores


def excess(score: Mapping, better: Better) -> tuple[float, float, float]:
    """Measure how much worse than the floor a score is, with the ends of its interval.

    1 is what sampling and drift explain: from the floor to the worse end of the 95 % intervals of floor and reach,
    whichever is the farther. Below 0 where a score is better than the floor; where both sides are bad, the interval can
    reach there.
    """
    floor, ends = score["floor"], [*score["floor_interval"], *score["reach_interval"]]
    below = better == "higher" or (better == "near the floor" and score["value"] < floor)
    sign, edge = (-1, min(ends)) if below else (1, max(ends))
    unit = max(sign * (edge - floor), 1e-9)
    value, *interval = (sign * (x - floor) / unit for x in (score["value"], *score["interval"]))
    return value, min(interval), max(interval)


def distance(score: Mapping, better: Better) -> float:
    """Return a number that is the smaller, the better the score; from 0 where the floor is the aim."""
    value = score["value"]
    return value if better == "lower" else -value if better == "higher" else abs(value - score["floor"])


class Lead(NamedTuple):
    """By how much a model is better than another (negative: worse), with p and, for all that was asked with it, q."""

    margin: float
    p: float
    q: float

    @property
    def significant(self) -> bool:
        """Whether q < 0.05."""
        return self.q < SIGNIFICANT


def compare(scores: Scores, asked: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str, str], Lead]:
    """Compare models with others, all that is ``asked`` at once: model, the one that it is compared with, metric.

    Better is smaller, larger, or nearer to the floor, as the metric says: see :func:`distance`. The test is that of the
    normal distribution, on the margin over its standard error, to which each value, and the floor where it is between
    the two, gives the wider half of its 95 % interval over 1.96: the other may be cut where no score can be. All are
    held against the same real windows, which makes the test a cautious one.
    """
    found = {each: _margin(*(scores[model][each[2]] for model in each[:2]), ALL[each[2]].better) for each in asked}
    margins, errors = np.array(list(found.values())).reshape(-1, 2).T
    p = 2 * scipy.stats.norm.sf(np.abs(margins) / np.where(errors > 0, errors, np.nan))
    return {each: Lead(*map(float, lead)) for each, *lead in zip(found, margins, p, q_values(p))}


def _margin(mine: Mapping, its: Mapping, better: Better) -> tuple[float, float]:
    """Return how much smaller the :func:`distance` of one score is than another's, and the standard error of that."""
    known = (mine["value"], mine["interval"]), (its["value"], its["interval"]), (mine["floor"], mine["floor_interval"])
    mine_error, its_error, floor_error = (max(high - value, value - low) / 1.96 for value, (low, high) in known)
    sides = np.sign([mine["value"] - mine["floor"], its["value"] - mine["floor"]])
    across = abs(float(np.subtract(*sides))) if better == "near the floor" else 0.0
    margin = distance(its, better) - distance(mine, better)
    return margin, float(np.sqrt(mine_error**2 + its_error**2 + (across * floor_error) ** 2))


def excesses(scores: Scores) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Return model → metric → :func:`excess`."""
    return {
        model: {name: excess(score, ALL[name].better) for name, score in by.items()} for model, by in scores.items()
    }


def seed_by_seed(
    scores: Scores, seeds: Mapping[str, Iterable[int]]
) -> tuple[dict[str, dict[int, float]], dict[str, Paired]]:
    """Compare two models over the seeds that both have.

    ``seeds``: model → its seeds, in the order of its scores. Metric → seed → the excess of the first model over that of
    the second, negative where the first is nearer to real windows, and metric → what the pairs say of it, with q over
    all metrics but those that are only reported.
    """
    first, second = (
        {
            name: {
                seed: excess({**s, "value": value}, ALL[name].better)[0]
                for seed, value in zip(list(own), s["seeds"], strict=True)
            }
            for name, s in scores[model].items()
        }
        for model, own in seeds.items()
    )
    differences = {
        name: {seed: value - second[name][seed] for seed, value in each.items() if seed in second[name]}
        for name, each in first.items()
    }
    found = {name: paired(first[name], second[name]) for name in first}
    q = q_values([float("nan") if ALL[name].report_only else pair.p for name, pair in found.items()])
    return differences, {name: replace(pair, q=float(its)) for (name, pair), its in zip(found.items(), q)}


def beyond(scores: Scores, model: str) -> list[str]:
    """List the metrics that decide on which ``model`` is worse than sampling and drift explain: an excess above 1."""
    worse = excesses({model: scores[model]})[model]
    return [name for name, (value, *_) in worse.items() if value > 1 and not ALL[name].report_only]


def copies(scores: Scores, model: str) -> bool:
    """Return whether ``model`` copies training windows: beyond floor and reach on the ratio of distances, by a tenth.

    One copy in ten windows does that. The other metrics of memorisation also flag too little noise.
    """
    score = scores[model]["distance_ratio"]
    return "distance_ratio" in beyond(scores, model) and score["value"] < 0.9 * score["floor"]


QUESTIONS = {
    "hardest to distinguish from real windows, by trees": "c2st_auc",
    "hardest to distinguish from real windows, by a CNN": "c2st_cnn_auc",
    "distribution as a whole": "sliced_wasserstein",
    "shape of the spikes": "feature_wasserstein",
    "spectrum": "log_spectral_distance",
    "accepted as a spike": "passes",
    "every window looks real": "precision",
    "every mode is there": "coverage",
}
"""What is asked, and the metric that answers."""


def best_models(scores: Scores, labels: Mapping[str, str]) -> pd.DataFrame:
    """Answer each of the ``QUESTIONS`` by the model with the best value, and compare it with all others at once.

    A row for each question: ``score``, ``best`` model in words (``labels``) with its value and interval, the others
    with theirs by whether the best is significantly better (:func:`compare`), ``floor`` and ``reach``. Models that copy
    training windows (:func:`copies`) are not ranked. ``attrs["comparisons"]``: how many were corrected for.
    """
    ranked = [model for model in scores if model != REACH and not copies(scores, model)]
    if not ranked:
        return pd.DataFrame(index=list(QUESTIONS))
    best = {
        name: min(ranked, key=lambda model, name=name: distance(scores[model][name], ALL[name].better))
        for name in QUESTIONS.values()
    }
    leads = compare(
        scores, [(first, model, name) for name, first in best.items() for model in ranked if model != first]
    )
    rows = {}
    for question, name in QUESTIONS.items():
        score, others = scores[best[name]][name], {True: [], False: []}
        for (_, model, metric), lead in leads.items():
            if metric == name:
                others[lead.significant].append(f"{labels[model]} ({scores[model][name]['value']:.3f})")
        low, high = score["interval"]
        rows[question] = {
            "score": ALL[name].label,
            "best": labels[best[name]],
            "value": f"{score['value']:.3f} ({low:.3f} to {high:.3f})",
            "significantly better than": ", ".join(others[True]) or "none",
            "not significantly better than": ", ".join(others[False]) or "none",
            "floor": score["floor"],
            "reach": score["reach"],
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.attrs["comparisons"] = len(leads)
    return table


def headline(best: pd.DataFrame) -> str:
    """Say which model of a table of :func:`best_models` is closest to real windows, and by which classifier."""
    if best.empty:
        return "Every model copies its training windows."
    trees, network = best["best"].iloc[:2]
    by = "by both classifiers" if trees == network else f"by the trees; by the CNN, {network}"
    return f"{trees[0].upper()}{trees[1:]} comes closest to real windows that no model has seen, {by}."
