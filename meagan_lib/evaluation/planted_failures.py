"""Failures planted in real windows: what a metric must see before its word on a model is worth anything."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from meagan_lib.evaluation.metrics import Context
from meagan_lib.evaluation.scores import METRICS, by_event, excess, flagged, score_models
from meagan_lib.models.baselines import Gaussian
from meagan_lib.windows.features import Array

HONEST = "other real windows"


def copied(train: Array, n: int, rng: np.random.Generator, noise: float = 0.01) -> Array:
    """``n`` training windows, drawn with replacement, with white noise of ``noise`` times their standard deviation."""
    drawn = train[rng.integers(len(train), size=n)]
    return (drawn + noise * train.std() * rng.standard_normal(drawn.shape)).astype(np.float32)


def shrunk(windows: Array, share: float = 0.2) -> Array:
    """Windows (n, samples) that keep ``share`` of their distance from the mean: mode collapse at its plainest."""
    mean = windows.mean(axis=0)
    return mean + share * (windows - mean)


def without_a_mode(windows: Array, clusters: np.ndarray, rng: np.random.Generator) -> Array:
    """Windows (n, samples) without those of the largest of their ``clusters`` (n,); some others stand in twice."""
    kept = windows[clusters != np.bincount(clusters).argmax()]
    return np.resize(rng.permutation(kept), windows.shape)


def drawn_in(windows: Array, clusters: np.ndarray, share: float = 0.85) -> Array:
    """Windows (n, samples) that keep ``share`` of their distance from the mean of their cluster, of ``clusters`` (n,).

    Too little noise around every kind: windows lie where real ones are most crowded, near to many of them.
    """
    names, kind = np.unique(clusters, return_inverse=True)
    means = np.stack([windows[kind == i].mean(axis=0) for i in range(len(names))])[kind]
    return means + np.float32(share) * (windows - means)


def low_passed(windows: Array) -> Array:
    """Each sample the mean of itself and, with half the weight each, its two neighbours; ends are repeated."""
    padded = np.pad(windows, ((0, 0), (1, 1)), mode="edge")
    return 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]


FAILURES: dict[str, Callable[[Array, Context, np.random.Generator], Array]] = {
    "collapse to the mean": lambda windows, context, rng: shrunk(windows),
    "a mode dropped": lambda windows, context, rng: without_a_mode(windows, context.clusters(windows), rng),
    "training copies + 1 % noise": lambda windows, context, rng: copied(context.train, len(windows), rng),
    "amplitude × 1.2": lambda windows, context, rng: np.float32(1.2) * windows,
    "low-passed": lambda windows, context, rng: low_passed(windows),
    "time shuffled": lambda windows, context, rng: rng.permuted(windows, axis=1),
    "a Gaussian": lambda windows, context, rng: Gaussian(context.train).sample(len(windows), context.seed),
    "kinds drawn in by 15 %": lambda windows, context, rng: drawn_in(windows, context.clusters(windows)),
}
"""From held-out real windows (n, samples) to as many spoilt ones; copies and the Gaussian come of training windows."""


def planted_failures(
    test: Array,
    train: Array,
    sampling_rate_hz: float,
    n_windows: int = 1000,
    n_bootstrap: int = 50,
    seed: int = 0,
    labels: np.ndarray | None = None,
    names: Iterable[str] = METRICS,
    events: Mapping[str, np.ndarray] | None = None,
    gate: Callable[[Array], np.ndarray] | None = None,
) -> dict[str, dict[str, dict]]:
    """Every metric on every failure, and on other real windows: failure → metric → value, excess, flagged.

    A third of the test windows is spoilt; the others are A and B of :func:`~meagan_lib.evaluation.scores.score_models`, which sets
    the thresholds: a failure is flagged where it is worse than sampling and drift explain. Arguments as there; the gate
    refuses none of them.
    """
    n = min(n_windows, len(test) // 3)
    known = {"test": np.arange(len(test)), "train": np.arange(len(train))} | dict(events or {})
    order = by_event(known["test"], np.random.default_rng(seed))
    honest, rest = test[order[:n]], test[order[n:]]
    known |= {HONEST: known["test"][order[:n]], "test": known["test"][order[n:]]}
    context = Context.fit(train, sampling_rate_hz, seed=seed)
    spoilt = {
        failure: plant(honest, context, np.random.default_rng([seed, i]))
        for i, (failure, plant) in enumerate(FAILURES.items())
    }
    scores = score_models(
        rest,
        train,
        spoilt | {HONEST: honest},
        sampling_rate_hz,
        n,
        n_bootstrap,
        seed,
        labels,
        names,
        known,
        gate,
        refuse=False,
    )
    return {
        failure: {
            name: {
                "value": score["value"],
                "excess": excess(score, METRICS[name].better)[0],
                "flagged": flagged(score, METRICS[name].better),
            }
            for name, score in scores[failure].items()
        }
        for failure in (*spoilt, HONEST)
    }


def blind(table: Mapping[str, Mapping[str, Mapping]]) -> list[str]:
    """The metrics of a table of :func:`planted_failures` that flag no failure."""
    failures = [failure for failure in table if failure != HONEST]
    return [name for name in table[HONEST] if not any(table[failure][name]["flagged"] for failure in failures)]
