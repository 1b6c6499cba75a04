"""Speed of functional connectivity: ``make bench`` prints the table and writes it to ``bench/CONNECTIVITY.md``.

The spike time tiling coefficient of every pair, on trains that burst together as the simulation's do; and the published
implementation on some of the same pairs, where it is installed.
"""

import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from preprocessing import machine

from meagan_lib.network.connectivity import sttc
from meagan_lib.network.spike_trains import SpikeTrains

BENCH = Path(__file__).parent
RATE_HZ = 20_000.0
WITHIN_MS = 50.0
JOBS = ((1024, 1.0, 180), (4096, 1.0, 180), (4096, 5.0, 60))
"""Electrodes, mean rate in Hz, and seconds."""


def trains(n_electrodes: int, rate_hz: float, seconds: int) -> SpikeTrains:
    """Spikes of which two fifths lie in bursts of 0.6 s that come every 4 s, as in the simulation."""
    rng = np.random.default_rng(0)
    n = int(n_electrodes * rate_hz * seconds)
    time_s = rng.uniform(0, seconds, n)
    inside = rng.random(n) < 0.4
    time_s[inside] = 4 * (time_s[inside] // 4) + 1.7 + 0.6 * rng.random(inside.sum())
    frame = np.rint(time_s * RATE_HZ).astype(np.int64).clip(0, int(seconds * RATE_HZ) - 1)
    names = [str(e) for e in range(n_electrodes)]
    return SpikeTrains(frame, rng.integers(0, n_electrodes, n), names, int(seconds * RATE_HZ), RATE_HZ)


def seconds_of(job: tuple[int, float, int], threads: int) -> tuple[float, float]:
    """Seconds by the clock and of the processor for all pairs of a job."""
    given = trains(*job)
    clock, processor = time.perf_counter(), time.process_time()
    sttc(given, WITHIN_MS, threads)
    return time.perf_counter() - clock, time.process_time() - processor


def published_seconds(job: tuple[int, float, int], n_pairs: int = 100) -> float | None:
    """Processor seconds for a pair of the implementation in elephant; None without it."""
    try:
        import neo
        import quantities as pq
        from elephant.spike_train_correlation import spike_time_tiling_coefficient
    except ImportError:
        return None
    given = trains(*job)
    own = [
        neo.SpikeTrain(np.unique(given.frame[given.electrode == e]) / RATE_HZ * pq.s, t_stop=given.duration_s * pq.s)
        for e in range(n_pairs + 1)
    ]
    processor = time.process_time()
    for a, b in pairwise(own):
        spike_time_tiling_coefficient(a, b, dt=WITHIN_MS * pq.ms)
    return (time.process_time() - processor) / n_pairs


def table(threads: int = 2) -> str:
    """Measure everything; return the table as Markdown."""
    sttc(trains(64, 1.0, 10), WITHIN_MS, threads)  # compiled before the clock runs
    lines = [
        "# Functional connectivity, measured",
        "",
        f"{machine()}. Spike time tiling coefficient of all pairs within ± {WITHIN_MS:g} ms, threads: {threads}; "
        f"spikes burst together. By the clock, the machine may have been under load; of the processor is the sum "
        f"over threads. The published implementation was timed on 100 pairs, its time for all pairs is that "
        f"of one times their number.",
        "",
        "| electrodes | rate | length | pairs | by the clock | of the processor | elephant, a pair | elephant, all |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for job in JOBS:
        n_electrodes, rate_hz, seconds = job
        clock, processor = seconds_of(job, threads)
        pairs, theirs = n_electrodes * (n_electrodes - 1) // 2, published_seconds(job)
        beside = "– | –" if theirs is None else f"{1000 * theirs:.2f} ms | {pairs * theirs / 3600:.1f} h"
        lines.append(
            f"| {n_electrodes} | {rate_hz:g} Hz | {seconds} s | {pairs} | {clock:.1f} s | {processor:.1f} s "
            f"| {beside} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = table()
    print(text)
    (BENCH / "CONNECTIVITY.md").write_text(text)
