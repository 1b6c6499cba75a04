"""How often 95 % intervals hold the truth: ``make bench`` prints the lines and writes them to ``bench/INTERVALS.md``.

Real and generated windows are drawn again and again from one known distribution, the generated ones scaled by a gain.
The truth is the mean of a score over all repeats.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from preprocessing import machine

from meagan_lib.evaluation.context import Context
from meagan_lib.evaluation.metrics import METRICS
from meagan_lib.evaluation.scores import difference, evaluate, prepared

BENCH = Path(__file__).parent
sys.path.insert(0, str(BENCH.parent / "tests"))
GAINS = (1.0, 1.1)
SIZES = {"c2st_auc": (200, 200), "c2st_cnn_auc": (200, 200), "coverage": (500, 200), "density": (500, 200)}
"""Windows on each side, and repeats, of the scores that README and book quote; all others have ``OTHERS``."""
OTHERS = (250, 100)
N_BOOTSTRAP = 50


def counted(name: str, n: int, repeats: int, gain: float) -> tuple[float, float, float, float]:
    """Mean and standard deviation of a score, half of its interval over 1.96 of the latter, and how often it holds."""
    from conftest import spikes

    context = Context.fit(spikes(1000, seed=3), 20_000.0)
    found = [
        evaluate(
            METRICS[name], spikes(n, seed=1000 + r), spikes(n, seed=10**6 + r) * np.float32(gain), context, N_BOOTSTRAP
        )
        for r in range(repeats)
    ]
    return held(found)


def counted_difference(name: str, n: int, repeats: int, gains: tuple[float, float]) -> tuple[float, ...]:
    """Count as :func:`counted` does, the difference of a score between windows of two gains."""
    from conftest import spikes

    context, metric = Context.fit(spikes(1000, seed=3), 20_000.0), METRICS[name]
    events, found = tuple(np.arange(k * n, (k + 1) * n) for k in range(3)), []
    for r in range(repeats):
        real = spikes(n, seed=1000 + r)
        fakes = [spikes(n, seed=(k + 1) * 10**6 + r) * np.float32(gain) for k, gain in enumerate(gains)]
        both = tuple(prepared(metric, real, its, context, (events[0], b)) for its, b in zip(fakes, events[1:]))
        found.append(difference(metric, both, events, 0, N_BOOTSTRAP)[:2])
    return held(found)


def held(found: list[tuple[float, tuple[float, float]]]) -> tuple[float, float, float, float]:
    """Mean and standard deviation of values, half of their intervals over 1.96 of the latter, how often they hold."""
    value = np.array([v for v, _ in found])
    low, high = np.array([ends for _, ends in found]).T
    mean, spread = value.mean(), value.std(ddof=1)
    return mean, spread, float((high - value).mean() / (1.96 * spread)), float(((low <= mean) & (mean <= high)).mean())


def table() -> str:
    """Count everything; return the table as Markdown."""
    torch.set_num_threads(1)
    started, lines = time.process_time(), []
    for name, metric in METRICS.items():
        if metric.spread == "binomial" or metric.family == "memorisation":  # Wilson's interval; a threshold of its own
            continue
        n, repeats = SIZES.get(name, OTHERS)
        for gain in GAINS:
            mean, spread, width, share = counted(name, n, repeats, gain)
            cells = f"{n} | {repeats} | {mean:.4f} | {spread:.4f} | {width:.2f} | {100 * share:.0f} %"
            lines.append(f"| {metric.label} | {gain:g} | {cells} |")
            print(lines[-1], flush=True)
    for name in ("c2st_auc", "c2st_cnn_auc"):
        n, repeats = SIZES[name]
        for gains in ((1.1, 1.0), (1.1, 1.1)):
            mean, spread, width, share = counted_difference(name, n, repeats, gains)
            cells = f"{n} | {repeats} | {mean:.4f} | {spread:.4f} | {width:.2f} | {100 * share:.0f} %"
            lines.append(f"| {METRICS[name].label}, difference | {gains[0]:g} − {gains[1]:g} | {cells} |")
            print(lines[-1], flush=True)
    minutes = (time.process_time() - started) / 60
    return f"""# Intervals, counted

{machine()}. In how many of the repeats the 95 % interval of a score holds the truth, which is its mean over all \
repeats: real and generated windows of two kinds of spikes in coloured noise, as the tests have them, drawn anew each \
time, the generated ones times a gain; {N_BOOTSTRAP} resamplings. Width: half of the interval over 1.96 standard \
deviations of the score, 1 is right. {minutes:.0f} minutes of one processor.

| score | gain | windows on each side | repeats | mean | SD | width | holds |
|---|---|---|---|---|---|---|---|
{chr(10).join(lines)}

A distance whose truth is near 0 has an interval that is wider than it need be: windows that stand twice in a \
bootstrap add to it what sampling adds.
"""


if __name__ == "__main__":
    text = table()
    (BENCH / "INTERVALS.md").write_text(text)
