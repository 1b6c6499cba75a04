"""Speed and memory of annotated synthesis: ``make bench`` prints the tables and writes them to ``bench/ANNOTATED.md``.

On the simulation of 64 electrodes and 60 s, in seconds of CPU, side by side in one run: hybrid recordings
by format, each in a process of its own; every painter; and the detector beside the threshold. Networks make few steps,
and the table gives the time of 100: of what many take longer than one.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from preprocessing import machine

from meagan_lib.annotated import Chip, Detector, DetectorConfig, fit_painter, footprint_windows
from meagan_lib.annotated.detector import find, threshold
from meagan_lib.annotated.painters import PAINTERS
from meagan_lib.recordings.opening import open_recording
from meagan_lib.recordings.simulation import SimulationConfig, simulate
from meagan_lib.windows import DetectionConfig, Split

BENCH = Path(__file__).parent
FORMATS = {".brw": "BRW 3.x", ".zarr": "Zarr", "": "binary folder"}
UNTRAINED = ("gaussian", "gaussian_spikes", "copy_paste", "template")
STEPS, DETECTOR_STEPS = 6, 30
PAINTED = 400
SEARCHED_S = 5


def cpu_seconds(of: Callable, *given: object, **named: object) -> tuple[float, object]:
    """Return the seconds of CPU that a call takes, and what it returns."""
    start = time.process_time()
    returned = of(*given, **named)
    return time.process_time() - start, returned


def hybrid(path: Path, suffix: str) -> tuple[float, float]:
    """Run ``meagan hybrid`` in a process of its own; return its seconds of CPU and its peak memory in GB."""
    command = [sys.executable, "-m", "meagan_lib.cli", "hybrid", str(path), "--out", str(path.with_name("h" + suffix))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, f"meagan hybrid ended with {status}"
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes
    return used.ru_utime + used.ru_stime, used.ru_maxrss * unit / 1e9


def hybrids(path: Path) -> list[str]:
    """Return the table of formats."""
    lines = ["| format | seconds | ratio | peak memory |", "|---|---|---|---|"]
    rows = {suffix: hybrid(path, suffix) for suffix in FORMATS}
    for suffix, (seconds, peak_gb) in rows.items():
        lines.append(f"| {FORMATS[suffix]} | {seconds:.1f} | {seconds / rows['.brw'][0]:.2f} | {peak_gb:.2f} GB |")
    return lines


def painters(chip: Chip) -> list[str]:
    """Return the table of painters."""
    places, slack = chip.places(Split.TEST, PAINTED, 0), chip.observation.slack
    lines = ["| painter | fitting, first step | 100 steps | spikes painted in a second |", "|---|---|---|---|"]
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


def tables() -> str:
    """Measure, and return all tables as Markdown."""
    torch.set_num_threads(1)
    lines = ["# Annotated synthesis, measured", "", f"{machine()}, torch {torch.__version__}. ", ""]
    with tempfile.TemporaryDirectory() as folder:
        path = simulate(SimulationConfig(), Path(folder) / "chip.brw")
        lines += ["## `meagan hybrid`, 20 units at 2 Hz, with all imports", "", *hybrids(path), ""]
        of = open_recording(path), DetectionConfig(threshold_mad=5.0), footprint_windows()
        seconds, chip = cpu_seconds(Chip.of, *of)
        spikes = f"{len(chip.footprints)} spikes to learn from, {len(chip.kinds.means)} kinds"
        lines[2] += (
            f"64 electrodes, 60 s; seconds of CPU. Footprints, backgrounds and kinds: {seconds:.1f} s; {spikes}."
        )
        lines += ["## Painters", "", f"Painting {PAINTED} spikes.", "", *painters(chip), ""]
        lines += ["## Detector", "", *detectors(chip)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = tables()
    print(text)
    (BENCH / "ANNOTATED.md").write_text(text)
