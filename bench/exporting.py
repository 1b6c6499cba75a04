"""Memory of exports: ``make bench`` prints the table and writes it to ``bench/EXPORTS.md``.

Half an hour of a whole chip at a spike a second and electrode, of which a run keeps nearly all as windows; they are
written here, as a run would leave them. Each export is a command in a process of its own. Whoever reads the samples
does so of a recording of some seconds, which holds as many spikes: half an hour of it takes 300 GB.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import yaml
from preprocessing import RATE, machine, write_recording

BENCH = Path(__file__).parent
sys.path.insert(0, str(BENCH.parent))
CHANNELS, MINUTES, SAMPLES, SECONDS = 4096, 30, 64, 2
RUN = "chip"


def write_windows(path: Path, n: int, frames: int, generated: bool = False, recording: Path | None = None) -> None:
    """Write ``n`` windows in order of time as notebook 01 does, or as a model drew them, in blocks."""
    from dataclasses import replace

    from meagan_lib.windows.spike_windows import Ledger, SpikeWindows
    from meagan_lib.workflow.files import sha256

    rng = np.random.default_rng(0)
    frame, channel = np.sort(rng.integers(40, frames - 40, n)), rng.integers(CHANNELS, size=n).astype(np.int32)
    grid = np.stack(np.divmod(np.arange(CHANNELS), 64), 1).astype(np.float32) * 42
    amplitude, reason = rng.uniform(-90, -30, n).astype(np.float32), np.zeros(n, np.uint8)
    whole = SpikeWindows(
        np.empty((0, SAMPLES), np.float32), channel, frame, np.full(n, -1, np.int32),
        (3 * np.arange(n) // n).astype(np.uint8), float(RATE), SAMPLES // 2, "uV", {"threshold_mad": 5.0},
        [sha256(recording)] if recording else [], np.full(CHANNELS, 6, np.float32),
        Ledger(frame, channel, amplitude, reason), recordings=[RUN], positions_um=grid,
        stretches=np.array([[0, 0, frames]]),
    )  # fmt: skip
    if generated:
        whole = replace(whole, ledger=None, noise_mad=np.zeros(0, np.float32), positions_um=None, noise_recording=None)
        whole = replace(whole, passes=np.ones(n, bool), stretches=np.zeros((0, 3), np.int64))
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        to = file.create_dataset("windows", (n, SAMPLES), np.float32, chunks=(1024, SAMPLES))
        for start in range(0, n, 2**17):
            size = min(2**17, n - start)
            to[start : start + size] = rng.standard_normal((size, SAMPLES), np.float32) * 6
        whole.write(file)


def write_run(results: Path) -> None:
    """Write what a run of half an hour leaves; of generated windows, too, as many as there are test windows."""
    from meagan_lib.experiments.portable import keep_generator
    from meagan_lib.windows.spike_windows import SpikeWindows, Split

    n = 60 * MINUTES * CHANNELS
    write_windows(results / RUN / "windows.h5", n, 60 * MINUTES * RATE)
    folder = results / RUN / "gaussian"
    write_windows(folder / "synthetic.h5", n * 3 // 10, 60 * MINUTES * RATE, generated=True)
    with SpikeWindows.opened(results / RUN / "windows.h5") as windows:
        few = SpikeWindows(
            windows.windows[:500], windows.channel[:500], windows.frame[:500], windows.label[:500],
            np.full(500, Split.TRAIN, np.uint8), float(RATE), SAMPLES // 2, "uV", recordings=[RUN],
        )  # fmt: skip
    from meagan_lib.experiments.fitting import training_data
    from meagan_lib.models.gaussian import Gaussian

    keep_generator(Gaussian.fit(training_data(few)), "gaussian", folder, few)


def write_recorded(results: Path, recording: Path) -> None:
    """Write a run of a short recording, with the spikes of half an hour."""
    write_recording(recording, CHANNELS, SECONDS)
    write_windows(results / RUN / "windows.h5", 60 * MINUTES * CHANNELS, SECONDS * RATE, recording=recording)
    first = {"name": RUN, "recording": str(recording), "seed": 0, "duration_s": 1.0, "well": "", "stream": ""}
    first |= {"band_low_hz": 300.0, "band_high_hz": 6000.0}
    target = results / RUN / "params" / "01_preprocessing.yaml"
    target.parent.mkdir(parents=True)
    target.write_text(yaml.safe_dump(first))


def measured(results: Path, to: str) -> dict:
    """Return GB in memory at most, and GB written, of ``meagan export RUN --to ...``, which is removed."""
    out = results / "out"
    code = (
        f"import meagan_lib.workflow.execution as e, pathlib, sys; e.RESULTS = pathlib.Path({str(results)!r})\n"
        f"from meagan_lib import cli\n"
        f"try: cli.app(['export', {RUN!r}, '--to', {to!r}, '--out', {str(out)!r}], standalone_mode=False)\n"
        f"finally: print('peak', open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=BENCH.parent
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    row = {"peak_gb": int(done.stdout.split("peak ")[-1]) * 1024 / 1e9}
    row["written_gb"] = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 1e9
    shutil.rmtree(out)
    return row


def rows() -> dict[str, dict]:
    """Measure every export."""
    from importlib.util import find_spec

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        write_run(results)
        for to in ("nwb", "dataset"):
            if to != "nwb" or find_spec("pynwb"):
                found[to] = measured(results, to)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        write_recorded(results, Path(folder) / "chip.brw")
        for to in ("sorting_analyzer", "phy"):
            found[to] = measured(results, to)
    return found


def table(found: dict[str, dict]) -> str:
    """Return what was measured as Markdown."""
    lines = [f"| {to} | {row['peak_gb']:.2f} GB | {row['written_gb']:.2f} GB |" for to, row in found.items()]
    n, most = 60 * MINUTES * CHANNELS, max(row["peak_gb"] for row in found.values())
    return f"""# Exports, measured

{machine()}. {MINUTES} minutes of {CHANNELS} electrodes at a spike a second on each, {n / 1e6:.1f} million in all, of \
which a run keeps nearly all as windows of {SAMPLES} samples, and \
{n * 3 // 10 / 1e6:.1f} million generated ones: {4 * SAMPLES * n * 1.3 / 1e9:.1f} GB. Exports with samples are of \
{SECONDS} s of such a chip, into which as many spikes are squeezed: what they write grows with the seconds, their \
memory with the spikes alone. Each is a command in a process of its own, imports included; the \
largest takes {most:.2f} GB.

| to | peak memory | written |
|---|---|---|
{chr(10).join(lines)}
"""


if __name__ == "__main__":
    text = table(rows())
    print(text)
    (BENCH / "EXPORTS.md").write_text(text)
