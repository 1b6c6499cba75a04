"""Speed and memory of annotated synthesis: ``make bench`` prints the tables and writes them to ``bench/ANNOTATED.md``.

On the simulation of 64 electrodes and 60 s, in seconds of CPU, side by side in one run: hybrid recordings
by format, each in a process of its own; every painter; and the detector beside the threshold. Networks make few steps,
and the table gives the time of 100: of what many take longer than one. A hybrid of a whole chip, 60 s as well, needs
20 GB of disk. Sorters that are installed sort the hybrid.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import torch
from preprocessing import RATE, machine

from meagan_lib.annotated import Chip, Detector, DetectorConfig, fit_painter, footprint_windows
from meagan_lib.annotated.detector import find, threshold
from meagan_lib.annotated.painters import PAINTERS
from meagan_lib.annotated.sorters import SORTERS, compare, performance
from meagan_lib.recordings.brw import CHIP_ELECTRODES
from meagan_lib.recordings.opening import open_recording
from meagan_lib.recordings.simulation import SimulationConfig, create_brw, simulate
from meagan_lib.windows import DetectionConfig, Split

BENCH = Path(__file__).parent
FORMATS = {".brw": "BRW 3.x", ".zarr": "Zarr", "": "binary folder"}
UNTRAINED = ("gaussian", "gaussian_spikes", "copy_paste", "template")
STEPS, DETECTOR_STEPS = 6, 30
PAINTED = 400
SEARCHED_S = 5
FOOTPRINT_UM = 50.0
"""As in notebook 6."""
CHANNELS, CHIP_S = 4096, 60


def cpu_seconds(of: Callable, *given: object, **named: object) -> tuple[float, object]:
    """Return the seconds of CPU that a call takes, and what it returns."""
    start = time.process_time()
    returned = of(*given, **named)
    return time.process_time() - start, returned


def hybrid(path: Path, suffix: str) -> tuple[float, float]:
    """Run ``meagan hybrid`` in a process of its own; return its seconds of CPU and its peak memory in GB."""
    arguments = ["hybrid", str(path), "--out", str(path.with_name("h" + suffix))]
    code = (  # rusage would count what this process had in memory when it began the other
        f"from meagan_lib import cli\ntry: cli.app({arguments!r}, standalone_mode=False)\n"
        f"finally: print('peak', open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, f"meagan hybrid ended with {status}"
    return used.ru_utime + used.ru_stime, int(said.split("peak ")[-1]) * 1024 / 1e9


def write_chip(path: Path) -> None:
    """Write a whole chip: a spike a second on each electrode, half as large on those beside it, in coloured noise.

    Two seconds of noise, each shifted against the other, make many: one that came again would be refused.
    """
    rng = np.random.default_rng(0)
    noises = rng.standard_normal((2, RATE, CHANNELS), dtype=np.float32)
    noises[:, 1:] += 0.7 * noises[:, :-1]
    one, other = np.rint(2.8 * noises + 1024).astype(np.int16)
    shape = np.array([-2, -8, -20, -40, -30, -18, -9, -3, 2, 4, 3])
    row, column = electrodes = np.divmod(np.arange(CHANNELS), CHIP_ELECTRODES)
    with h5py.File(path, "w") as file:
        raw = create_brw(file, electrodes, RATE, CHIP_S * RATE, frames_per_chunk=2000)
        for s in range(CHIP_S):
            second = np.roll(one, 997 * s, axis=0) + np.roll(other, -1009 * s, axis=0)
            start = rng.integers(20, RATE - 20, CHANNELS)
            for down, right, gain in ((0, 0, 2), (0, 1, 1), (1, 0, 1), (0, -1, 1), (-1, 0, 1)):
                there = (row + down) % CHIP_ELECTRODES * CHIP_ELECTRODES + (column + right) % CHIP_ELECTRODES
                for k, value in enumerate(shape):
                    second[start + k, there] += gain * value
            raw[s * one.size : (s + 1) * one.size] = second.clip(0, 4095).astype(np.uint16).ravel()


def hybrids(path: Path) -> list[str]:
    """Return the table of formats."""
    lines = ["| recording | format | seconds | ratio | peak memory |", "|---|---|---|---|---|"]
    rows = {suffix: hybrid(path, suffix) for suffix in FORMATS}
    for suffix, (seconds, peak_gb) in rows.items():
        cells = f"{seconds:.1f} | {seconds / rows['.brw'][0]:.2f} | {peak_gb:.2f} GB"
        lines.append(f"| 64 electrodes | {FORMATS[suffix]} | {cells} |")
    chip = path.with_name("whole.brw")
    write_chip(chip)
    seconds, peak_gb = hybrid(chip, "_whole.brw")
    for written in (chip, chip.with_name("h_whole.brw")):
        written.unlink()
    cells = f"{seconds:.1f} | {seconds / rows['.brw'][0]:.2f} | {peak_gb:.2f} GB"
    return [*lines, f"| {CHANNELS} electrodes | {FORMATS['.brw']} | {cells} |"]


def painters(chip: Chip) -> list[str]:
    """Return the table of painters."""
    places, slack = chip.places(Split.TEST, PAINTED, 0), chip.observation.slack
    lines = ["| painter | fitting, first step | 100 steps | spikes painted in a second |", "|---|---|---|---|"]
    fit_painter("painting_gan", chip, 0, steps=1)  # what torch does once
    for name in PAINTERS:
        one, many = ({}, {}) if name in UNTRAINED else ({"steps": 1}, {"steps": 1 + STEPS})
        if name == "vae_gan":
            one, many = ({"steps": n, "vae_steps": n} for n in (1, 1 + STEPS // 2))
        fitting, painter = cpu_seconds(fit_painter, name, chip, 0, **one)
        training = cpu_seconds(fit_painter, name, chip, 0, **many)[0] - fitting if many else 0.0
        painting, _ = cpu_seconds(painter.paint, places.pieces, slack, places.kind, seed=1)
        told = f"{100 * training / STEPS:.0f} s" if many else ""
        lines.append(f"| `{name}` | {fitting:.2f} s | {told} | {PAINTED / painting:,.0f} |")
    return lines


def detectors(chip: Chip) -> list[str]:
    """Return the table of the detector and the threshold."""
    painter, config = fit_painter("gaussian_spikes", chip), DetectorConfig(steps=DETECTOR_STEPS)
    training, detector = cpu_seconds(Detector.fit, chip, painter, config)
    spans = np.array([[0, round(SEARCHED_S * chip.recording.get_sampling_frequency())]])
    rows = {}
    for name, score, reach in (("threshold", threshold, 0), ("detector", detector, config.reach)):
        seconds, _ = cpu_seconds(find, chip.recording, chip.detection, chip.noise, score, spans, reach, 0.0)
        rows[name] = seconds / SEARCHED_S
    lines = ["| | training, 100 steps | searching a second | ratio |", "|---|---|---|---|"]
    for name, seconds in rows.items():
        trained = f"{100 * training / DETECTOR_STEPS:.0f} s" if name == "detector" else ""
        lines.append(f"| {name} | {trained} | {seconds:.3f} s | {seconds / rows['threshold']:.0f} |")
    return lines


def sorters(path: Path) -> list[str]:
    """Return the table of sorters on the BRW hybrid of a recording."""
    lines = ["| sorter | seconds | peak memory | units found | mean accuracy |", "|---|---|---|---|---|"]
    for name, sorter in SORTERS.items():
        if sorter.missing:
            lines.append(f"| `{name}` | not installed: it needs {' and '.join(sorter.missing)} | | | |")
            continue
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _, (it,) = compare(str(path.with_name("h.brw")), [name])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        accuracy = performance([it])["accuracy"].mean()
        lines.append(f"| `{name}` | {seconds:.0f} | {it.memory_mb / 1000:.2f} GB | {it.found} | {accuracy:.2f} |")
    return lines


def tables() -> Iterator[str]:
    """Measure, and yield one table after the other as Markdown."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = simulate(SimulationConfig(), Path(folder) / "chip.brw")
        seconds, chip = cpu_seconds(
            Chip.of, open_recording(path), DetectionConfig(threshold_mad=5.0), footprint_windows(FOOTPRINT_UM)
        )
        yield (
            f"# Annotated synthesis, measured\n\n{machine()}, torch {torch.__version__}. 64 electrodes, 60 s; seconds "
            f"of CPU. Footprints of {chip.footprints.shape[1]} electrodes, backgrounds and kinds: {seconds:.1f} s; "
            f"{len(chip.footprints)} spikes to learn from, {len(chip.kinds.means)} kinds.\n"
        )
        for title, lines in (
            ("`meagan hybrid`, 60 s, 20 units at 2 Hz, with all imports", lambda: hybrids(path)),
            (f"Painters, painting {PAINTED} spikes", lambda: painters(chip)),
            ("Detector", lambda: detectors(chip)),
            ("Sorters on the hybrid of 64 electrodes, each with its own settings", lambda: sorters(path)),
        ):
            yield "\n".join(["", f"## {title}", "", *lines(), ""])


if __name__ == "__main__":
    text = ""
    for part in tables():
        print(part, flush=True)
        text += part
        (BENCH / "ANNOTATED.md").write_text(text)
