"""How often 95 % intervals hold the truth: ``make bench`` prints the lines and writes them to ``bench/INTERVALS.md``.

Real and generated windows are drawn again and again from one known distribution; something is wrong with the generated
ones in a known way. The truth is the mean of a score over all repeats. ``python bench/intervals.py NAME …`` counts the
scores of these names alone, or ``difference``, and leaves the other lines of the table as they are.
"""

import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from preprocessing import machine

from meagan_lib.evaluation.context import Context
from meagan_lib.evaluation.metrics import ALL, METRICS, OF_FOOTPRINTS
from meagan_lib.evaluation.planted_failures import neighbours_exchanged, neighbours_late, neighbours_scaled
from meagan_lib.evaluation.scores import difference, evaluate, prepared

BENCH = Path(__file__).parent
sys.path.insert(0, str(BENCH.parent))
GAINS = (1.0, 1.1)
SIZES = {"c2st_auc": (200, 200), "c2st_cnn_auc": (200, 200), "coverage": (500, 200), "density": (500, 200)}
"""Windows on each side, and repeats, of the scores that README and book quote; all others have ``OTHERS``."""
OTHERS = (250, 200)
SPOILT = {
    "decay_ks": ("neighbours × 0.9", lambda windows, context, rng: neighbours_scaled(windows, context, 0.9)),
    "delay_difference": ("neighbours a sample late", lambda windows, context, rng: neighbours_late(windows, context)),
    "noise_correlation": ("neighbours of other spikes", neighbours_exchanged),
}
"""What is done to generated footprints, in words and as a function, by the score that sees it."""
DIFFERENCE = "difference"
PAIRS = ((1.1, 1.0, False), (1.1, 1.1, False), (1.1, 1.1, True))
"""Gains of the two generated sets whose scores are compared, and whether the first consists of copies."""
COMPARED = (200, 120)
N_BOOTSTRAP = 50

Found = tuple[float, tuple[float, float]]
"""A value and its interval."""


@cache
def context() -> Context:
    """Fit what all spikes of one electrode are seen through."""
    from tests.fixtures import spikes

    return Context.fit(spikes(1000, seed=3), 20_000.0)


def of_windows(name: str, n: int, gain: float, repeat: int) -> Found:
    """Score spikes of one electrode, the generated ones ``gain`` times as large."""
    from tests.fixtures import spikes

    real, fake = spikes(n, seed=1000 + repeat), spikes(n, seed=10**6 + repeat) * np.float32(gain)
    return evaluate(METRICS[name], real, fake, context(), N_BOOTSTRAP)


def of_footprints(name: str, n: int, spoil: Callable | None, repeat: int) -> Found:
    """Score footprints, the generated ones spoilt."""
    from tests.evaluation.test_footprint_metrics import CONTEXT, footprints

    real, fake = footprints(n, 1000 + repeat), footprints(n, 10**6 + repeat)
    fake = spoil(fake, CONTEXT, np.random.default_rng(repeat)) if spoil else fake
    return evaluate(OF_FOOTPRINTS[name], real, fake, CONTEXT, N_BOOTSTRAP)


def of_two(name: str, n: int, gains: tuple[float, float], copies: bool, repeat: int) -> Found:
    """Compare two generated sets of windows with the same real ones, as painters are with templates.

    ``copies``: the first are drawn, again and again the same, from as many others.
    """
    from tests.fixtures import spikes

    metric, real = METRICS[name], spikes(n, seed=1000 + repeat)
    events = [np.arange(k * n, (k + 1) * n) for k in range(3)]
    fakes = [spikes(n, seed=(k + 1) * 10**6 + repeat) * np.float32(gain) for k, gain in enumerate(gains)]
    if copies:
        drawn = np.random.default_rng(repeat).integers(n, size=n)
        fakes[0], events[1] = fakes[0][drawn], events[1][drawn]
    both = tuple(prepared(metric, real, its, context(), (events[0], b)) for its, b in zip(fakes, events[1:]))
    return difference(metric, both, tuple(events), 0, N_BOOTSTRAP)[:2]


def cases() -> Iterator[tuple[str, str, str, int, int, Callable[[int], Found]]]:
    """Yield what is counted: name, label, what is generated, windows on each side, repeats, value by repeat."""
    for name, metric in METRICS.items():
        if metric.spread == "binomial" or metric.family == "memorisation":  # Wilson's interval; a threshold of its own
            continue
        n, repeats = SIZES.get(name, OTHERS)
        for gain in GAINS:
            yield name, metric.label, f"{gain:g}", n, repeats, partial(of_windows, name, n, gain)
    n, repeats = OTHERS
    for name, metric in OF_FOOTPRINTS.items():
        for words, spoil in (("1", None), SPOILT[name]):
            yield name, metric.label, words, n, repeats, partial(of_footprints, name, n, spoil)
    n, repeats = COMPARED
    for name in ("c2st_auc", "c2st_cnn_auc"):
        for *gains, copies in PAIRS:
            words = f"{gains[0]:g}{', copies' * copies} − {gains[1]:g}"
            label = f"{METRICS[name].label}, difference"
            yield DIFFERENCE, label, words, n, repeats, partial(of_two, name, n, gains, copies)


def held(found: list[tuple[float, tuple[float, float]]]) -> tuple[float, float, float, float]:
    """Mean and standard deviation of values, half of their intervals over 1.96 of the latter, how often they hold."""
    value = np.array([v for v, _ in found])
    low, high = np.array([ends for _, ends in found]).T
    mean, spread = value.mean(), value.std(ddof=1)
    return mean, spread, float((high - value).mean() / (1.96 * spread)), float(((low <= mean) & (mean <= high)).mean())


def kept(path: Path) -> dict[str, str]:
    """Return the lines of the table that is there, by their first two cells."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return {"|".join(line.split("|")[1:3]): line for line in lines if line.startswith("| ")}


def table(asked: list[str], before: dict[str, str]) -> str:
    """Count what is asked, everything if nothing is; return the table as Markdown."""
    if unknown := set(asked) - {*ALL, DIFFERENCE}:
        raise SystemExit(f"not a score: {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    lines = []
    for name, label, words, n, repeats, found in cases():
        if asked and name not in asked:
            lines += [line for line in [before.get(f" {label} | {words} ")] if line]
            continue
        mean, spread, width, share = held([found(r) for r in range(repeats)])
        cells = f"{n} | {repeats} | {mean:.4f} | {spread:.4f} | {width:.2f} | {100 * share:.0f} %"
        lines.append(f"| {label} | {words} | {cells} |")
        print(lines[-1], flush=True)
    return f"""# Intervals, counted

{machine()}. In how many of the repeats the 95 % interval of a score holds the truth, which is its mean over all \
repeats: real and generated windows of two kinds of spikes in coloured noise, as the tests have them, drawn anew each \
time, the generated ones times a gain; {N_BOOTSTRAP} resamplings. What sees several electrodes is counted on \
footprints, the generated ones as they are or spoilt. A difference is that of two generated sets, compared with the \
same real windows; copies are drawn with replacement. Width: half of the interval over 1.96 standard deviations of the \
score, 1 is right. The standard error of the last column is 2 points or less.

| score | gain, or what is wrong | windows on each side | repeats | mean | SD | width | holds |
|---|---|---|---|---|---|---|---|
{chr(10).join(lines)}

A distance whose truth is near 0 has an interval that is wider than it need be: windows that stand twice in a \
bootstrap add to it what sampling adds.
"""


if __name__ == "__main__":
    text = table(sys.argv[1:], kept(BENCH / "INTERVALS.md"))
    (BENCH / "INTERVALS.md").write_text(text)
