"""Scores: every metric of every model beside its floor and its reach, and what they say in words.

**Floor**: the same metric between two random halves, A and B, of the real test set: what sampling alone does.
**Reach**: training windows against A: what a perfect copy of the training distribution would get, drift in time
included; for memorisation, training windows that are left out of the training set. The reference is always A.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.stats

from meagan_lib.evaluation import memorisation, metrics
from meagan_lib.evaluation.metrics import Better, Context, Metric
from meagan_lib.evaluation.statistics import SIGNIFICANT, Paired, paired, q_values, told_p
from meagan_lib.windows.features import Array

METRICS: dict[str, Metric] = metrics.METRICS | memorisation.METRICS
FAMILIES = tuple(dict.fromkeys(metric.family for metric in METRICS.values()))
REACH = "reach"
CLASSIFIERS = ("c2st_auc", "c2st_cnn_auc")
"""Both are told wherever it is said who is ahead: what one does not see, the other may."""
LEADING = (*CLASSIFIERS, "coverage")
"""The scores by which models are ranked: likeness and variety."""

Interval = tuple[float, float]


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


Events = tuple[np.ndarray, np.ndarray]
"""The event of each window, (n,) of real ones and (m,) of generated ones (``SpikeWindows.events``)."""


def evaluate(
    metric: Metric, real: Array, fake: Array, context: Context, n_bootstrap: int, events: Events | None = None
) -> tuple[float, Interval]:
    """Value of a metric and its 95 % interval: value ± t standard errors, t of as many draws, ``n_bootstrap``.

    The interval is of the value that other real and generated windows, as many and of the same distributions, have on
    the average. Whole events are drawn; without ``events`` each window is its own. How the standard error is found,
    ``spread`` says:

    resampled
        A bootstrap. Windows that stand twice move a distance upwards; its spread is used, its mean is not.
    halves
        Windows that stand twice would shrink the balls of the neighbours. So both sides are halved at random, again and
        again: the halves, each with balls of its own, differ by twice the standard error of the whole (mean square).
        ``n_bootstrap`` halves make half as many differences.
    binomial
        The interval of a fraction of independent windows (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Of what is cross-validated, a bootstrap resamples the predictions, and knows nothing of other training windows: the
    variance that these add, ``refitted`` says.
    """
    a, b = events or (np.arange(len(real)), len(real) + np.arange(len(fake)))
    more = {"events": np.r_[a, b]} if metric.refitted else {}
    statistic = metric.prepare(real, fake, context, **more)
    value = statistic(np.arange(len(real)), np.arange(len(fake)))
    if metric.spread == "binomial":
        low, high = scipy.stats.binomtest(round(value * len(fake)), len(fake)).proportion_ci(method="wilson")
        return value, (low, high)
    rng = np.random.default_rng(context.seed)
    if metric.spread == "halves":
        n_bootstrap = max(n_bootstrap // 2, 2)
        halves = (np.array_split(by_event(events, rng), 2) for _ in range(n_bootstrap) for events in (a, b))
        apart = [np.subtract(*map(statistic, of_real, of_fake)) for of_real, of_fake in zip(halves, halves)]
        error = float(np.sqrt(np.mean(np.square(apart)))) / 2
    else:
        error = float(np.std([statistic(_drawn(a, rng), _drawn(b, rng)) for _ in range(n_bootstrap)], ddof=1))
    if metric.refitted:
        error *= float(np.sqrt(1 + metric.refitted(value)))
    return value, _around(value, float(scipy.stats.t.ppf(0.975, n_bootstrap - 1)) * error, metric)


def _around(value: float, half: float, metric: Metric) -> Interval:
    highest = 1.0 if metric.spread == "binomial" else np.inf
    return (value - half if metric.signed else max(value - half, 0.0), min(value + half, highest))


def _drawn(events: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As many windows as ``events`` (n,) has, of events drawn with replacement."""
    order, size = np.argsort(events, kind="stable"), np.unique(events, return_counts=True)[1]
    drawn = rng.integers(len(size), size=len(events))
    within = np.arange(size[drawn].sum()) - np.repeat(np.cumsum(size[drawn]) - size[drawn], size[drawn])
    return order[np.repeat((np.cumsum(size) - size)[drawn], size[drawn]) + within][: len(events)]


def by_event(events: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The windows (n,) of ``events`` (n,) in random order, those of one event one after the other."""
    _, index = np.unique(events, return_inverse=True)
    return np.lexsort((rng.permutation(len(events)), rng.permutation(index.max(initial=0) + 1)[index]))


def over_seeds(results: Sequence[tuple[float, Interval]], metric: Metric) -> tuple[float, Interval]:
    """Mean of the values of several seeds, and its 95 % interval.

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
    train: Array,
    synthetic: Mapping[str, Array | Sequence[Array]],
    sampling_rate_hz: float,
    n_windows: int = 2000,
    n_bootstrap: int = 50,
    seed: int = 0,
    labels: np.ndarray | None = None,
    names: Iterable[str] = METRICS,
    events: Mapping[str, np.ndarray] | None = None,
    gate: Callable[[Array], np.ndarray] | None = None,
    refuse: bool = True,
) -> dict[str, dict[str, dict]]:
    """Metrics for every model, with floors and reaches.

    Parameters
    ----------
    test, train
        Real windows (·, samples) as z-scores. ``train`` gives the context and the reach; it is never a reference.
    synthetic
        Generated windows (·, samples) of each model as z-scores, or a list of those of several seeds.
    n_windows
        Windows on each side; at most half the test set and half the training set.
    n_bootstrap
        Resamplings for an interval.
    labels
        Spike types (·,) of the training windows, where they are known.
    names
        The metrics; by default all.
    events
        The event (·,) of each window, for ``test`` and ``train`` and for those of ``synthetic`` that are made of real
        windows. One spike that several electrodes see is one event: it is in one half, in one fold, drawn as one.
    gate
        Which windows, bool (n,), the rule of real ones accepts; None: all.
    refuse
        Whether all scores but the fraction that passes are those of accepted windows, where there are enough of them.

    Returns
    -------
    dict
        model → metric → fields of :class:`Score`; the entry ``"reach"`` is the training windows themselves.
    """
    rng = np.random.default_rng(seed)
    runs = {name: [windows] if isinstance(windows, np.ndarray) else windows for name, windows in synthetic.items()}
    least = min((len(windows) for each in runs.values() for windows in each), default=n_windows)
    n = min(n_windows, len(test) // 2, len(train) // 2, least)
    drawn_by = runs
    if gate is not None and refuse:
        accepted = {name: [windows[gate(windows)] for windows in each] for name, each in runs.items()}
        runs = {
            name: [kept if len(kept) >= n else windows for kept, windows in zip(accepted[name], each)]
            for name, each in runs.items()
        }
    known = {"test": np.arange(len(test)), "train": np.arange(len(train))} | dict(events or {})
    order, drawn = by_event(known["test"], rng), by_event(known["train"], rng)
    first, second = order[:n], order[n : 2 * n]
    a, b, again = test[first], test[second], train[drawn[:n]]
    runs = {name: [windows[:n] for windows in each] for name, each in runs.items()}
    of_a, of_b = known["test"][first], known["test"][second]
    of_again = known["test"].max() + 1 + known["train"][drawn[:n]]
    alone = of_again.max() + 1 + np.arange(n)  # generated windows
    context = replace(Context.fit(train, sampling_rate_hz, seed=seed, labels=labels), gate=gate)
    others = replace(context, train=train[drawn[n:]], labels=None if labels is None else labels[drawn[n:]])
    scores: dict[str, dict[str, dict]] = {name: {} for name in (REACH, *runs)}
    for name in names:
        metric = METRICS[name]
        floor, floor_interval = evaluate(metric, a, b, context, n_bootstrap, (of_a, of_b))
        without = others if name in memorisation.METRICS else context
        results = {REACH: [evaluate(metric, a, again, without, n_bootstrap, (of_a, of_again))]}
        for model, each in (drawn_by if name == "passes" else runs).items():
            of_made = known[model][:n] if model in known else alone
            results[model] = [evaluate(metric, a, made, context, n_bootstrap, (of_a, of_made)) for made in each]
        reach, reach_interval = results[REACH][0]
        for model, each in results.items():
            value, interval = over_seeds(each, metric)
            ratio = None if metric.signed or not reach else value / reach
            score = Score(
                value, interval, floor, floor_interval, reach, reach_interval, ratio, tuple(v for v, _ in each)
            )
            scores[model][name] = asdict(score)
    return scores


def excess(score: Mapping, better: Better) -> tuple[float, Interval]:
    """How much worse than the floor a score is, and its interval, where 1 is what sampling and drift explain.

    The unit is the distance from the floor to the worse end of the 95 % intervals of floor and reach, whichever is the
    farther. Negative where a score is better than the floor; where both sides are bad, the interval can reach below 0.
    """
    floor, ends = score["floor"], [*score["floor_interval"], *score["reach_interval"]]
    below = better == "higher" or better == "near the floor" and score["value"] < floor
    sign, edge = (-1, min(ends)) if below else (1, max(ends))
    unit = max(sign * (edge - floor), 1e-9)
    value, *interval = (sign * (x - floor) / unit for x in (score["value"], *score["interval"]))
    return value, (min(interval), max(interval))


def flagged(score: Mapping, better: Better) -> bool:
    """Whether a score is worse than sampling and drift explain: beyond the intervals of both floor and reach."""
    return excess(score, better)[0] > 1


def distance(score: Mapping, better: Better) -> tuple[float, Interval]:
    """A number that is the smaller, the better the score, and its interval; from 0 where the floor is the aim."""
    value, (low, high), floor = score["value"], score["interval"], score["floor"]
    if better == "lower":
        return value, (low, high)
    if better == "higher":
        return -value, (-high, -low)
    return abs(value - floor), (max(low - floor, floor - high, 0.0), max(high - floor, floor - low))


class Lead(NamedTuple):
    """By how much a model is better than its rival (negative: worse), with p and, for all that was asked with it, q."""

    margin: float
    p: float
    q: float

    @property
    def significant(self) -> bool:
        """Whether q < 0.05."""
        return self.q < SIGNIFICANT


Asked = tuple[str, str, str]
"""Model, rival, metric."""


def compare(scores: Mapping[str, Mapping[str, Mapping]], asked: Iterable[Asked]) -> dict[Asked, Lead]:
    """Models against rivals, all that is ``asked`` at once.

    Better is smaller, larger, or nearer to the floor, as the metric says: see :func:`distance`. The test is that of the
    normal distribution, on the margin over its standard error, to which each value, and the floor where it is between
    the two, gives its 95 % interval over 2 · 1.96. All are held against the same real windows, which makes the test a
    cautious one.
    """
    told = {each: _margin(*(scores[model][each[2]] for model in each[:2]), METRICS[each[2]].better) for each in asked}
    margins, errors = np.array(list(told.values())).reshape(-1, 2).T
    p = 2 * scipy.stats.norm.sf(np.abs(margins) / np.where(errors > 0, errors, np.nan))
    return {each: Lead(*map(float, lead)) for each, *lead in zip(told, margins, p, q_values(p))}


def _margin(mine: Mapping, its: Mapping, better: Better) -> tuple[float, float]:
    """How much smaller the :func:`distance` of one score is than that of another, and the standard error of that."""
    mine_error, its_error, floor_error = (
        float(np.ptp(ends)) / (2 * 1.96) for ends in (mine["interval"], its["interval"], mine["floor_interval"])
    )
    sides = np.sign([mine["value"] - mine["floor"], its["value"] - mine["floor"]])
    across = abs(float(np.subtract(*sides))) if better == "near the floor" else 0.0
    margin = distance(its, better)[0] - distance(mine, better)[0]
    return margin, float(np.sqrt(mine_error**2 + its_error**2 + (across * floor_error) ** 2))


def excesses(scores: Mapping[str, Mapping[str, Mapping]]) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Model → metric → :func:`excess` and the ends of its interval."""
    return {
        model: {name: (value, *ends) for name, s in by.items() for value, ends in [excess(s, METRICS[name].better)]}
        for model, by in scores.items()
    }


def by_seed(
    scores: Mapping[str, Mapping[str, Mapping]], model: str, seeds: Iterable[int]
) -> dict[str, dict[int, float]]:
    """Metric → seed → :func:`excess`, of a model whose ``seeds`` are told in the order of its scores."""
    seeds = list(seeds)
    return {
        name: {
            seed: excess({**s, "value": v}, METRICS[name].better)[0] for seed, v in zip(seeds, s["seeds"], strict=True)
        }
        for name, s in scores[model].items()
    }


def seed_by_seed(
    scores: Mapping[str, Mapping[str, Mapping]], seeds: Mapping[str, Iterable[int]]
) -> tuple[dict[str, dict[int, float]], dict[str, Paired]]:
    """Two models compared over the seeds that both have.

    ``seeds``: model → its seeds, in the order of its scores. Metric → seed → the excess of the first model over that of
    the second, negative where the first is nearer to real windows, and metric → what the pairs say of it, with q over
    all metrics but those that are only reported.
    """
    first, second = (by_seed(scores, model, own) for model, own in seeds.items())
    differences = {
        name: {seed: value - second[name][seed] for seed, value in each.items() if seed in second[name]}
        for name, each in first.items()
    }
    found = {name: paired(first[name], second[name]) for name in first}
    q = q_values([float("nan") if METRICS[name].report_only else pair.p for name, pair in found.items()])
    return differences, {name: replace(pair, q=float(its)) for (name, pair), its in zip(found.items(), q)}


def beyond(scores: Mapping[str, Mapping[str, Mapping]], model: str) -> list[str]:
    """The metrics on which ``model`` is worse than sampling and drift explain, without those that are only reported."""
    return [
        name
        for name, score in scores[model].items()
        if not METRICS[name].report_only and flagged(score, METRICS[name].better)
    ]


def copies(scores: Mapping[str, Mapping[str, Mapping]], model: str) -> bool:
    """Whether ``model`` is said to copy training windows: beyond floor and reach on the ratio of distances, by a tenth.

    That is what one copy in ten windows does. The other metrics of memorisation are also set off by too little noise.
    """
    score = scores[model]["distance_ratio"]
    return "distance_ratio" in beyond(scores, model) and score["value"] < 0.9 * score["floor"]


QUESTIONS = {
    "hardest to tell from real windows": CLASSIFIERS,
    "distribution as a whole": ("sliced_wasserstein",),
    "shape of the spikes": ("feature_wasserstein",),
    "spectrum": ("log_spectral_distance",),
    "accepted as a spike": ("passes",),
    "every window looks real": ("precision",),
    "every kind of window is there": ("coverage",),
}
"""What is asked, and the metrics that answer."""


def answer(
    scores: Mapping[str, Mapping[str, Mapping]],
    cost: Mapping[str, Mapping[str, int]],
    labels: Mapping[str, str],
    seeds: Mapping[str, Iterable[int]] | None = None,
) -> str:
    """Which model, for what, at what cost, on what grounds: a page of Markdown made of the scores alone.

    The best by value is compared with all others, for every question at once (:func:`compare`). Models that copy
    training windows are named and left out of the ranking. ``cost``: model → ``parameters`` and ``windows``, the
    training windows that it was shown, repeats counted; ``labels``: model → its name in words; ``seeds``: the two
    models that are compared seed by seed, as for :func:`seed_by_seed`.
    """
    models = [model for model in scores if model != REACH]
    ranked = [model for model in models if not copies(scores, model)]
    lines, tested = [], 0
    if ranked:
        asked = {name: question for question, names in QUESTIONS.items() for name in names}
        best = {name: min(ranked, key=lambda m: distance(scores[m][name], METRICS[name].better)[0]) for name in asked}
        leads = compare(scores, [(best[name], m, name) for name in asked for m in ranked if m != best[name]])
        tested = len(leads)
        behind = {name: [m for (_, m, n), lead in leads.items() if n == name and lead.significant] for name in asked}
        first = best[CLASSIFIERS[0]]
        told = []
        for name in CLASSIFIERS:
            score = scores[best[name]][name]
            tied = [m for m in ranked if m != best[name] and m not in behind[name]]
            said = f"{METRICS[name].label}: lowest {labels[best[name]]}, {_number(score)}"
            said += f"; not significantly behind: {_named(tied, scores, name, labels)}" if tied else ""
            said += f"; significantly behind: {_named(behind[name], scores, name, labels)}" if behind[name] else ""
            beside = f"Two halves of the real windows {score['floor']:.3f}, training windows {score['reach']:.3f}."
            told.append(f"- {said}. {beside}")
        other = best[CLASSIFIERS[1]]
        said = "by both classifiers" if other == first else f"by the trees; by the network, {labels[other]}"
        lines += [
            f"**{labels[first][0].upper()}{labels[first][1:]} comes nearest to real windows that no model has seen, "
            f"{said}.** How well they tell a model's windows from real ones, where 0.5 is a coin toss:",
            "",
            *told,
            "",
            "| asked | by | best by value | significantly better than | floor | reach |",
            "|---|---|---|---|---|---|",
        ]
        for name, question in asked.items():
            score, others = scores[best[name]][name], ", ".join(labels[m] for m in behind[name]) or "none"
            lines.append(
                f"| {question} | {METRICS[name].label} | {labels[best[name]]}, {_number(score)} | {others} |"
                f" {score['floor']:.3f} | {score['reach']:.3f} |"
            )
    judged = [name for name, metric in METRICS.items() if not metric.report_only and name in scores[REACH]]
    lines.append("")
    for model in models:
        bad = beyond(scores, model)
        which = f": {', '.join(METRICS[name].label for name in bad)}" if bad else ""
        spent = "cost not known"
        if model in cost:
            spent = f"{_short(cost[model]['parameters'])} parameters, {_short(cost[model]['windows'])} windows shown"
        copied = "" if model in ranked else " **It copies its training windows.**"
        lines.append(
            f"- {labels[model]} ({spent}): worse than sampling and drift explain on {len(bad)} of {len(judged)} scores"
            f"{which}.{copied}"
        )
    lines += _pairs(scores, labels, seeds) if seeds else []
    trainings = {model: len(next(iter(scores[model].values()))["seeds"]) for model in models}
    significant = f" *Significant*: q < {SIGNIFICANT:g} after Benjamini and Hochberg, over {tested} comparisons."
    lines += [
        "",
        _trained(trainings, labels)
        + significant * bool(tested)
        + (
            " How much another seed would change is not in the intervals of a single training."
            * (1 in trainings.values())
        ),
    ]
    return "\n".join(lines)


def _trained(trainings: Mapping[str, int], labels: Mapping[str, str]) -> str:
    """How many trainings of each model there are, as a sentence; those with the fewest are not named."""
    *more, least = sorted(set(trainings.values()), reverse=True)
    told = [f"{n} of {' and '.join(labels[m] for m in trainings if trainings[m] == n)}" for n in more]
    told.append(f"{least} of each" + " other model" * bool(more))
    return f"Trainings: {'; '.join(told)}."


def _pairs(scores: Mapping, labels: Mapping[str, str], seeds: Mapping[str, Iterable[int]]) -> list[str]:
    """What the pairs of seeds of two models say on the leading scores; nothing for a single pair."""
    one, other = seeds
    _, found = seed_by_seed(scores, seeds)
    told, tested = [], int(sum(np.isfinite(pair.q) for pair in found.values()))
    for name in LEADING:
        pair = found[name]
        if not pair.q < SIGNIFICANT:
            verdict = "which another seed could turn"
        else:
            verdict = f"{labels[one if pair.difference < 0 else other]} by more than seeds explain"
        values = " and ".join(f"{scores[model][name]['value']:.3f}" for model in seeds)
        numbers = f"{told_p(pair.q, 'q')}, Hedges' g = {pair.hedges_g:+.1f}" if np.isfinite(pair.q) else "not defined"
        told.append(f"{METRICS[name].label} {values}, {verdict} ({numbers})")
    if pair.n < 2:
        return []
    return [
        "",
        f"{labels[one]} and {labels[other]} over {pair.n} pairs of seeds (q of {tested} scores; g below 0: the "
        f"first is nearer to real windows): {'; '.join(told)}.",
    ]


def _named(models: Iterable[str], scores: Mapping, name: str, labels: Mapping[str, str]) -> str:
    return ", ".join(f"{labels[m]} ({scores[m][name]['value']:.3f})" for m in models)


def _number(score: Mapping) -> str:
    low, high = score["interval"]
    return f"{score['value']:.3f} ({low:.3f} to {high:.3f})"


def _short(count: int) -> str:
    """A count in two digits: 160 k, 1.2 M."""
    for unit, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= unit:
            return f"{float(f'{count / unit:.2g}'):g}{letter}"
    return str(count)
