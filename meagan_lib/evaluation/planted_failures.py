"""Failures planted in real windows: what a metric must see before its verdict on a model is worth anything."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from meagan_lib.evaluation.context import Context
from meagan_lib.evaluation.scores import REACH, by_event, excesses, score_models
from meagan_lib.windows.features import Array

CONTROL = "other real windows"


def copied(train: Array, n: int, rng: np.random.Generator, noise: float = 0.01) -> Array:
    """Draw ``n`` training windows with replacement, and add white noise of ``noise`` times their standard deviation."""
    drawn = train[rng.integers(len(train), size=n)]
    return (drawn + noise * train.std() * rng.standard_normal(drawn.shape)).astype(np.float32)


def gaussian(train: Array, n: int, seed: int) -> Array:
    """Draw ``n`` windows from the Gaussian with the mean and covariance of the training windows."""
    covariance = np.cov(train, rowvar=False, dtype=np.float64, ddof=min(1, len(train) - 1))
    mean, rng = train.mean(axis=0, dtype=np.float64), np.random.default_rng(seed)
    return rng.multivariate_normal(mean, covariance, n, method="eigh").astype(np.float32)


def shrunk(windows: Array, fraction: float = 0.2) -> Array:
    """Keep a ``fraction`` of the distance of windows (n, samples) from their mean: mode collapse at its plainest."""
    mean = windows.mean(axis=0)
    return mean + fraction * (windows - mean)


def without_a_mode(windows: Array, clusters: np.ndarray, rng: np.random.Generator) -> Array:
    """Drop the largest of the ``clusters`` (n,) of windows (n, samples); some others stand in twice."""
    kept = windows[clusters != np.bincount(clusters).argmax()]
    return np.resize(rng.permutation(kept), windows.shape)


def contracted(windows: Array, clusters: np.ndarray, fraction: float = 0.85) -> Array:
    """Keep a ``fraction`` of the distance of windows (n, samples) from the mean of their cluster, of (n,).

    Too little noise around every mode: windows lie where real ones are most crowded, near to many of them.
    """
    names, mode = np.unique(clusters, return_inverse=True)
    means = np.stack([windows[mode == i].mean(axis=0) for i in range(len(names))])[mode]
    return means + np.float32(fraction) * (windows - means)


def low_passed(windows: Array) -> Array:
    """Average each sample with, at half the weight each, its two neighbours; ends are repeated."""
    padded = np.pad(windows, ((0, 0), (1, 1)), mode="edge")
    return 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]


FAILURES: dict[str, Callable[[Array, Context, np.random.Generator], Array]] = {
    "collapse to the mean": lambda windows, context, rng: shrunk(windows),
    "a mode dropped": lambda windows, context, rng: without_a_mode(windows, context.clusters(windows), rng),
    "training copies + 1 % noise": lambda windows, context, rng: copied(context.train, len(windows), rng),
    "amplitude × 1.2": lambda windows, context, rng: np.float32(1.2) * windows,
    "low-passed": lambda windows, context, rng: low_passed(context.traces(windows)).reshape(windows.shape),
    "time shuffled": lambda windows, context, rng: rng.permuted(context.traces(windows), axis=1).reshape(windows.shape),
    "a Gaussian": lambda windows, context, rng: gaussian(context.train, len(windows), context.seed),
    "modes contracted by 15 %": lambda windows, context, rng: contracted(windows, context.clusters(windows)),
}
"""From held-out real windows (n, samples) to as many spoilt ones; copies and the Gaussian come of training windows."""


def neighbours_scaled(windows: Array, context: Context, gain: float = 0.8) -> Array:
    """Give the electrodes around the own one another ``gain``."""
    footprints = context.footprints(windows).copy()
    footprints[:, 1:] *= np.float32(gain)
    return footprints.reshape(windows.shape)


def neighbours_late(windows: Array, context: Context, samples: int = 1) -> Array:
    """Shift the electrodes around the own one by some ``samples``; the last become the first."""
    footprints = context.footprints(windows).copy()
    footprints[:, 1:] = np.roll(footprints[:, 1:], samples, axis=2)
    return footprints.reshape(windows.shape)


def neighbours_exchanged(windows: Array, context: Context, rng: np.random.Generator) -> Array:
    """Give each electrode the trace that it had in another footprint."""
    traces = context.footprints(windows).swapaxes(0, 1)  # (electrodes, n, samples)
    return np.stack([rng.permutation(of_one) for of_one in traces], axis=1).reshape(windows.shape)


OF_FOOTPRINTS: dict[str, Callable[[Array, Context, np.random.Generator], Array]] = {
    "neighbours × 0.8": lambda windows, context, rng: neighbours_scaled(windows, context),
    "neighbours a sample late": lambda windows, context, rng: neighbours_late(windows, context),
    "neighbours of other spikes": neighbours_exchanged,
}
"""Failures that only windows of several electrodes can have."""


def planted_failures(
    test: Array,
    context: Context,
    n_windows: int = 1000,
    n_bootstrap: int = 50,
    names: Iterable[str] | None = None,
    events: Mapping[str, np.ndarray] | None = None,
) -> dict[str, dict[str, dict]]:
    """Score every failure, and other real windows, by every metric: failure → metric → value, excess, flagged.

    A third of the test windows is spoilt; the others are A and B of :func:`~meagan_lib.evaluation.scores.score_models`,
    which sets the thresholds: a failure is flagged where it is worse than sampling and drift explain. Arguments as
    there; the gate refuses none of them.
    """
    n = min(n_windows, len(test) // 3)
    known = {"test": np.arange(len(test)), "train": np.arange(len(context.train))} | dict(events or {})
    order = by_event(known["test"], np.random.default_rng(context.seed))
    control, rest = test[order[:n]], test[order[n:]]
    known |= {CONTROL: known["test"][order[:n]], "test": known["test"][order[n:]]}
    spoilt = {
        failure: plant(control, context, np.random.default_rng([context.seed, i]))
        for i, (failure, plant) in enumerate((FAILURES | (OF_FOOTPRINTS if context.electrodes > 1 else {})).items())
    } | {CONTROL: control}
    scores = score_models(rest, context, spoilt, n, n_bootstrap, names, known, refuse=False)
    return {
        failure: {
            name: {"value": scores[failure][name]["value"], "excess": worse, "flagged": worse > 1}
            for name, (worse, *_) in by_metric.items()
        }
        for failure, by_metric in excesses(scores).items()
        if failure != REACH
    }


def blind(table: Mapping[str, Mapping[str, Mapping]]) -> list[str]:
    """List the metrics of a table of :func:`planted_failures` that flag no failure."""
    failures = [failure for failure in table if failure != CONTROL]
    return [name for name in table[CONTROL] if not any(table[failure][name]["flagged"] for failure in failures)]
