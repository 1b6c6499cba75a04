"""Speed of scoring: ``make bench`` prints the table and writes it to ``bench/SCORING.md``.

All scores of eight sets of windows, as notebook 04 computes them, by one process and by as many as there are cores, in
turns. Predicted: processes share the sets, which need nothing of one another, so that n of them take the n-th part of
the time and two seconds, in which each imports what it needs.
"""

import os
import time
from pathlib import Path

import numpy as np
from preprocessing import machine

from meagan_lib.evaluation.context import Context
from meagan_lib.evaluation.scores import score_models
from meagan_lib.models.gaussian import Gaussian
from meagan_lib.recordings import SimulationConfig, open_recording
from meagan_lib.windows import DetectionConfig, WindowConfig, cut_windows
from meagan_lib.windows.normalisation import Standardiser
from meagan_lib.windows.spike_windows import Split

BENCH = Path(__file__).parent
SETS, N_WINDOWS, N_BOOTSTRAP, TURNS = 8, 1000, 50, 2


def table() -> str:
    """Score in turns; return the table as Markdown, with the fastest turn of each."""
    source = open_recording("simulated", simulation=SimulationConfig(duration_s=60.0))
    windows = cut_windows(source, DetectionConfig(), WindowConfig())
    train, test = windows.of(Split.TRAIN), windows.of(Split.TEST)
    scale = Standardiser.fit(train)
    train, test = scale.transform(train), scale.transform(test)
    context = Context.fit(train, windows.sampling_rate_hz)
    sets = {f"Gaussian {seed}": Gaussian(train).sample(N_WINDOWS, seed) for seed in range(SETS)}
    workers, seconds, found = [1, os.cpu_count()], {}, {}
    for _ in range(TURNS):
        for n in workers:
            clock = time.perf_counter()
            found[n] = score_models(test, context, sets, N_WINDOWS, N_BOOTSTRAP, workers=n)
            seconds[n] = min(seconds.get(n, np.inf), time.perf_counter() - clock)
    one, all_cores = (found[n] for n in workers)
    lines = [
        "# Scoring, measured",
        "",
        f"{machine()}. All scores of floor, reach and {SETS} sets of {N_WINDOWS} windows of the simulation, "
        f"{N_BOOTSTRAP} resamplings for an interval; the faster of {TURNS} turns. The scores are "
        f"{'the same' if one == all_cores else 'NOT the same'}.",
        "",
        "| processes | seconds | ratio |",
        "|---|---|---|",
    ]
    lines += [f"| {n} | {seconds[n]:.1f} | {seconds[1] / seconds[n]:.2f} |" for n in workers]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    page = table()
    print(page)
    (BENCH / "SCORING.md").write_text(page)
