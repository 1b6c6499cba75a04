"""Speed and memory of compressed BRW files: ``make bench`` prints the table and writes it to ``bench/COMPRESSED.md``.

Side by side in one run, each in a process of its own: this library's readers and neo's, on 4096 channels. The files are
written here, to the layout that is described publicly: ten ranges of 3 ms on each channel and second.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from preprocessing import machine

BENCH = Path(__file__).parent
sys.path.insert(0, str(BENCH.parent))
RATE, CHANNELS, SECONDS, LEVEL = 20_000, 4096, 12, 3


def write(folder: Path) -> None:
    """Write an events-based file and a wavelet-compressed one, with rows of a second."""
    from tests.recordings.brw_writer import write_events, write_wavelets

    rng, shape = np.random.default_rng(0), -60 * np.exp(-((np.arange(-24, 36) / 4.0) ** 2))
    toc = [[s * RATE, (s + 1) * RATE] for s in range(SECONDS)]
    rows = []
    for start, _ in toc:
        first = np.sort(np.argsort(rng.random((CHANNELS, 190)))[:, :10]) * 100 + start
        samples = np.rint(2048 + shape + rng.normal(0, 4, (CHANNELS, 10, 60))).astype("<u2")
        rows.append([(c, int(f), x) for c in range(CHANNELS) for f, x in zip(first[c], samples[c])])
    noise = [(np.arange(CHANNELS), np.zeros(CHANNELS), rng.uniform(3, 8, CHANNELS))] + [None] * (SECONDS - 1)
    write_events(folder / "events.brw", toc, {"A1": (np.arange(CHANNELS), rows, noise)})
    coefficients = rng.normal(0, 4, (SECONDS, CHANNELS, 2, RATE // 2**LEVEL)).astype(np.float32)
    coefficients[:, :, 0] += 2048 * 2 ** (LEVEL / 2)
    write_wavelets(folder / "wavelets.brw", toc, np.arange(CHANNELS), np.rint(coefficients), LEVEL, RATE, np.int16)


def ours(path: Path) -> dict:
    """Read every sample, in the pieces of a pass."""
    from meagan_lib.recordings.opening import open_recording

    open_recording(path).get_traces(0, 0, 10)  # what numba compiles, once for all files
    recording = open_recording(path)
    start = time.process_time()
    for first in range(0, SECONDS * RATE, 2048):
        recording.get_traces(0, first, min(first + 2048, SECONDS * RATE))
    return {"seconds": (time.process_time() - start) / SECONDS}


def neos(path: Path, strategy: str) -> dict:
    """Read a second by neo, with what lies between ranges filled as ``strategy`` says."""
    import neo.rawio

    reader = neo.rawio.BiocamRawIO(str(path), strategy)
    reader.parse_header()
    start = time.process_time()
    reader.get_analogsignal_chunk(0, 0, RATE, 2 * RATE, 0, None)
    return {"seconds": time.process_time() - start}


def whole_pass(path: Path) -> dict:
    """Cut windows, noise level, writing and the SHA-256 of the source included."""
    from meagan_lib.recordings.opening import open_recording
    from meagan_lib.windows import cutting
    from meagan_lib.windows.detection import DetectionConfig

    recording = open_recording(path)
    start = time.process_time()
    cutting.cut_windows(recording, DetectionConfig(), cutting.WindowConfig(), path=path.with_suffix(".h5"))
    return {"seconds": time.process_time() - start}


def alone(call: str, repeats: int = 3) -> dict:
    """Return the fastest of some runs, in a process of its own, with its peak resident memory."""
    code = (
        f"import sys, json; from pathlib import Path\nsys.path.insert(0, {str(BENCH)!r}); import compressed as b\n"
        f"best = min((b.{call} for _ in range({repeats})), key=lambda run: run['seconds'])\n"
        f"best['peak_gb'] = int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) * 1024 / 1e9\n"
        f"print(json.dumps(best))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def table() -> str:
    """Measure, and return the table as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        events, wavelets = (f"Path({str(Path(folder) / name)!r})" for name in ("events.brw", "wavelets.brw"))
        size = {name: (Path(folder) / f"{name}.brw").stat().st_size / 1e6 / SECONDS for name in ("events", "wavelets")}
        readers = {
            "events-based, this library": f"ours({events})",
            "events-based, neo, gaps filled with 2048": f"neos({events}, 'zeros')",
            "events-based, neo, gaps filled with noise": f"neos({events}, 'synthetic_noise')",
            "wavelets, this library": f"ours({wavelets})",
        }
        rows = {name: alone(call) for name, call in readers.items()}
        first = rows["events-based, this library"]["seconds"]
        lines = [
            f"| {name} | {row['seconds']:.2f} | {row['seconds'] / first:.1f} | {row['peak_gb']:.2f} GB |"
            for name, row in rows.items()
        ]
        passes = {
            name: alone(f"whole_pass({path})", 2) for name, path in (("events-based", events), ("wavelets", wavelets))
        }
    took = [f"| {name} | {row['seconds']:.2f} | {row['peak_gb']:.2f} GB |" for name, row in passes.items()]
    return f"""# Compressed BRW files, measured

{machine()}. {CHANNELS} channels at {RATE // 1000} kHz in files that were written here, with ten ranges of 3 ms on \
each channel and second ({size["events"]:.1f} MB a second), or wavelets of level {LEVEL} ({size["wavelets"]:.1f} MB a \
second), where raw ones have {2 * RATE * CHANNELS / 1e6:.0f}. CPU seconds for a second of recording, the fastest of \
three; neo reads no wavelets.

| | CPU s | ratio | peak memory |
|---|---|---|---|
{chr(10).join(lines)}

Windows cut from {SECONDS} s, noise level, writing and the SHA-256 of the source included:

| | CPU s | peak memory |
|---|---|---|
{chr(10).join(took)}
"""


if __name__ == "__main__":
    text = table()
    print(text)
    (BENCH / "COMPRESSED.md").write_text(text)
