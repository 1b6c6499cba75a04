"""How a run grows: ``python bench/cluster.py`` prints the tables and writes them to ``bench/CLUSTER.md``.

Snakemake's own graph, of 100, 1000 and 10 000 jobs of a sweep, in a dry run; and a smoke run of notebooks 1 and 2 on
1, 2, 4 and 8 recordings: jobs, seconds of a core, memory, disk and files, each job looked at ten times a second. All
times are those of the processor, so that other work on the machine does not count.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from preprocessing import machine

from meagan_lib import ROOT
from meagan_lib.parameters import check, resolve
from meagan_lib.recordings.simulation import SimulationConfig, simulate
from meagan_lib.windows import merging
from meagan_lib.workflow import figures
from meagan_lib.workflow.execution import RESULTS, part
from meagan_lib.workflow.graph import write_parameters

BENCH = Path(__file__).parent
RUN = "bench-cluster"
PER_RECORDING = 10
"""Jobs of the sweep for each recording: notebook 1, the reach and eight variants."""
JOB = re.compile(r"meagan_lib\.(?:workflow\.execution|windows\.merging) ?(\d\d_\w+)?")


def snakemake(*arguments: str) -> subprocess.Popen:
    """Start Snakemake for the run."""
    always = f"--nolock --quiet all --rerun-triggers mtime --config run={RUN}".split()
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments, *always]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def forget() -> None:
    """Remove what the run left."""
    shutil.rmtree(RESULTS / RUN, ignore_errors=True)
    shutil.rmtree(figures.folder(RUN), ignore_errors=True)


def graph_of(jobs: int) -> tuple[float, float]:
    """Return seconds of the processor and peak memory in MB of a dry run of a sweep with so many jobs."""
    forget()
    labels = [f"recording-{i:04d}" for i in range(jobs // PER_RECORDING)]
    variants = [{"group": "bench", "name": f"variant {i}"} for i in range(PER_RECORDING - 2)]
    files = {RESULTS / RUN / "params" / "ablation.yaml": {"labels": labels, "options": {}, "variants": variants}}
    for label in labels:
        files[RESULTS / part(RUN, label) / "params" / f"{merging.FIRST}.yaml"] = {"recording": "simulated", "name": RUN}
    write_parameters(RUN, files)
    process = snakemake("--dry-run")
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"the dry run of {jobs} jobs failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6


def with_recordings(recordings: list[str]) -> dict[str, float]:
    """Execute notebooks 1 and 2 on some recordings, and return what that took."""
    forget()
    several = len(recordings) > 1
    given = resolve("smoke", recordings, ["01_preprocessing.min_train_windows=60", "merge.split_by=time"])
    kept = (merging.FIRST, "02_transformer_gan", *["merge"] * several)
    write_parameters(RUN, check(RUN, {section: dict(given[section]) for section in kept}))
    process, seconds, memory = snakemake(), {}, {}
    while process.poll() is None:
        for job in psutil.Process(process.pid).children(recursive=True):
            try:
                known = JOB.search(" ".join(job.cmdline()))
                if known and job.ppid() not in {pid for pid, _ in seconds}:  # a job on its way to start a kernel
                    tree = [job, *job.children(recursive=True)]
                    times = [p.cpu_times() for p in tree]
                    key = job.pid, known[1] or "merge"
                    now = sum(t.user + t.system + t.children_user + t.children_system for t in times)
                    seconds[key] = max(seconds.get(key, 0), now)
                    memory[key] = max(memory.get(key, 0), sum(p.memory_info().rss for p in tree) / 1e6)
            except psutil.Error:
                continue
        time.sleep(0.1)
    if process.returncode:
        raise RuntimeError(f"the run on {len(recordings)} recordings failed")
    places = [RESULTS / RUN, figures.folder(RUN)]
    left = [path for place in places for path in place.rglob("*") if path.is_file()]
    first = [value for (_, name), value in seconds.items() if name == merging.FIRST]
    return {
        "jobs": len(seconds),
        "notebook 1, s each": sum(first) / len(first),
        "merge, s": sum(value for (_, name), value in seconds.items() if name == "merge"),
        "notebook 2, s": sum(value for (_, name), value in seconds.items() if name == "02_transformer_gan"),
        "all, s": sum(seconds.values()),
        "memory of notebook 1, MB": max(value for (_, name), value in memory.items() if name == merging.FIRST),
        "most memory, MB": max(memory.values()),
        "disk, MB": sum(path.stat().st_size for path in left) / 1e6,
        "files": len(left),
    }


def table(rows: list[list]) -> str:
    """Return rows, of which the first are headings, as Markdown."""
    lines = [
        " | ".join(f"{cell:,.{0 if cell > 10 else 1}f}" if isinstance(cell, float) else str(cell) for cell in row)
        for row in rows
    ]
    return "\n".join(f"| {line} |" for line in [lines[0], " | ".join("---" for _ in rows[0]), *lines[1:]])


def main() -> None:
    """Measure, print and write."""
    rows = [["jobs", "seconds", "memory, MB"]]
    for jobs in (100, 1000, 10_000):
        rows.append([f"{jobs:,}", *graph_of(jobs)])
        print(*rows[-1], flush=True)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"culture{i}.brw" for i in range(8)]
        for seed, path in enumerate(paths):
            simulate(SimulationConfig(seed=seed, duration_s=8.0), path)
        grown = {}
        for n in (1, 2, 4, 8):
            grown[n] = with_recordings([str(path) for path in paths[:n]])
            print(n, grown[n], flush=True)
    forget()
    runs = [["recordings", *grown[1]], *([n, *found.values()] for n, found in grown.items())]
    text = (BENCH / "CLUSTER.md").read_text() if (BENCH / "CLUSTER.md").is_file() else ""
    _, mark, reasoning = text.partition("\n## What follows")
    text = f"""# How a run grows

{machine()}. Seconds are those of a core. `python bench/cluster.py` writes the tables.

## Snakemake's own graph

A dry run of a sweep: {PER_RECORDING} jobs for each recording.

{table(rows)}

## Recordings

Notebooks 1 and 2 of the smoke run, on simulated recordings of 8 s.

{table(runs)}
{mark}{reasoning}"""
    (BENCH / "CLUSTER.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
