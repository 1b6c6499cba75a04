"""Speed and memory of preprocessing: ``make bench`` prints the tables and writes them to ``bench/PREPROCESSING.md``.

Side by side in one run: this library's pass against SpikeInterface's own detect-and-cut at two jobs, on 256 channels;
then recordings of 4096 channels of growing length, each in a process of its own, against merely reading the file; and
where there is room for it, one of 29.5 GB that comes from the disk, with the quality of its channels.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

RATE = 20_000
BENCH = Path(__file__).parent
LARGE_S = (6, 12, 24)
WHOLE_S, WHOLE_BYTES = 180, 30 * 10**9


def write_recording(path: Path, n_channels: int, seconds: int) -> None:
    """Write a BRW 3.x file of coloured noise with a spike a second on each channel.

    It is the sum of two seconds that are repeated and shifted against one another, so that no window comes twice.
    """
    from meagan_lib.recordings.brw import CHIP_ELECTRODES
    from meagan_lib.recordings.simulation import create_brw

    rng = np.random.default_rng(0)
    shape = np.array([-2, -8, -20, -40, -30, -18, -9, -3, 2, 4, 3], np.float32)
    channel, start = np.arange(n_channels), rng.integers(20, RATE - 20, n_channels)
    parts = []
    for sd, middle, height in ((3.2, 2048, 2), (2.4, 0, 0)):
        second = rng.standard_normal((RATE, n_channels), dtype=np.float32)
        second[1:] += 0.7 * second[:-1]
        second *= sd
        for k, value in enumerate(shape):
            second[start + k, channel] += height * value
        parts.append(np.rint(second + middle).astype(np.int16))
    electrodes = np.divmod(np.arange(n_channels), CHIP_ELECTRODES)
    with h5py.File(path, "w") as file:
        raw = create_brw(file, electrodes, RATE, seconds * RATE, frames_per_chunk=2000)
        size = RATE * n_channels
        for s in range(seconds):
            codes = np.roll(parts[0], 997 * s, axis=0)
            codes += np.roll(parts[1], -1409 * s, axis=0)
            raw[s * size : (s + 1) * size] = codes.ravel()


def opened(path: Path, seconds: int):
    """Open the first seconds of a recording."""
    from meagan_lib.recordings.opening import open_recording

    whole = open_recording(path)
    recording = whole.frame_slice(0, seconds * RATE)
    recording.annotate(**{name: whole.get_annotation(name) for name in whole.get_annotation_keys()})
    return recording


def ours(path: Path, seconds: int, out: Path | None = None) -> dict:
    """Time one pass of ``cut_windows``: noise level, writing and the hash of the source included."""
    from meagan_lib.windows import cutting
    from meagan_lib.windows.detection import DetectionConfig

    recording = opened(path, seconds)
    start = time.perf_counter()
    found = cutting.cut_windows(recording, DetectionConfig(), cutting.WindowConfig(), path=out)
    return {"seconds": time.perf_counter() - start, "peaks": len(found.ledger.frame), "windows": len(found)}


def forget(path: Path) -> None:
    """Let the system's cache forget a file, so that it comes from the disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def whole(path: Path, seconds: int, out: Path) -> dict:
    """Time quality, pass and provenance of a file that comes from the disk."""
    from meagan_lib.recordings.quality import channel_quality
    from meagan_lib.windows import cutting
    from meagan_lib.windows.detection import DetectionConfig

    recording, detection = opened(path, seconds), DetectionConfig()
    forget(path)
    start, before = time.perf_counter(), time.process_time()
    quality = channel_quality(recording, recording.get_annotation("adc_range"), detection.band_at(RATE))
    cutting.cut_windows(recording, detection, cutting.WindowConfig(), bad=~quality.good, path=out)
    return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - before}


def read_cold(path: Path, seconds: int) -> dict:
    """Read the samples from the disk, with h5py: the system has to find room for them in its cache."""
    forget(path)
    before = time.process_time()
    return read(path, seconds) | {"cpu": time.process_time() - before}


def read_and_forget(path: Path, seconds: int) -> dict:
    """Read the bytes from the disk, and have the system forget them at once: as fast as the disk gives them."""
    from meagan_lib.workflow.files import pieces

    forget(path)
    start, before, done = time.perf_counter(), time.process_time(), 0
    with open(path, "rb") as file:
        for piece in pieces(path):
            done += len(piece)
            if done % 2**26 == 0:
                os.posix_fadvise(file.fileno(), done - 2**26, 2**26, os.POSIX_FADV_DONTNEED)
    return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - before}


def read_past_cache(path: Path, seconds: int) -> dict:
    """Read the bytes from the disk past the system's cache, as the pass reads what is larger than half of memory."""
    from meagan_lib.recordings.source_file import SourceFile
    from meagan_lib.windows.filtering import PIECE_BYTES

    forget(path)
    start, before, size = time.perf_counter(), time.process_time(), path.stat().st_size
    source = SourceFile(str(path))
    for begin in range(0, size, PIECE_BYTES):
        source.read(begin, min(begin + PIECE_BYTES, size))
    return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - before}


def spikeinterfaces(path: Path, seconds: int) -> dict:
    """SpikeInterface's detection by channel with cutting of the windows in the same pass, two jobs."""
    import spikeinterface.core as sc
    import spikeinterface.preprocessing as spre
    from spikeinterface.core.node_pipeline import ExtractDenseWaveforms, run_node_pipeline
    from spikeinterface.sortingcomponents.peak_detection.by_channel import ByChannelPeakDetector

    recording = opened(path, seconds)
    jobs = dict(n_jobs=2, chunk_duration="1s", progress_bar=False)
    start = time.perf_counter()
    filtered = spre.bandpass_filter(recording, freq_min=300, freq_max=6000, filter_order=3, dtype="float32")
    noise = sc.get_noise_levels(filtered, return_in_uV=False, random_slices_kwargs={"seed": 0}, **jobs)
    detector = ByChannelPeakDetector(filtered, detect_threshold=5, exclude_sweep_ms=0.5, noise_levels=noise)
    cut = ExtractDenseWaveforms(filtered, parents=[detector], ms_before=1.6, ms_after=1.6, return_output=True)
    peaks = run_node_pipeline(filtered, [detector, cut], jobs)[0]
    return {"seconds": time.perf_counter() - start, "peaks": len(peaks)}


def read(path: Path, seconds: int) -> dict:
    """Read the samples, a second at a time."""
    start = time.perf_counter()
    with h5py.File(path, "r") as file:
        raw = file["3BData/Raw"]
        step = len(file["3BRecInfo/3BMeaStreams/Raw/Chs"]) * RATE
        into = np.empty(step, np.uint16)
        for s in range(seconds):
            raw.read_direct(into, np.s_[s * step : (s + 1) * step])
    return {"seconds": time.perf_counter() - start}


def hashed(path: Path, seconds: int) -> dict:
    """Take the hash of the source, as a run does, and SHA-256."""
    from meagan_lib.workflow.files import sha256, source_hash

    start = time.perf_counter()
    sha256(path)
    by_sha256 = time.perf_counter() - start
    start = time.perf_counter()
    source_hash(path)
    return {"sha256": by_sha256} | {"seconds": time.perf_counter() - start, "gb": path.stat().st_size / 1e9}


def alone(task: str, path: Path, seconds: int, repeats: int = 3) -> dict:
    """Return the fastest of some runs of a task, in a process of its own, with its peak resident memory."""
    written = ", out" if task in ("ours", "whole") else ""
    code = (
        f"import sys, json, tempfile; from pathlib import Path\n"
        f"sys.path.insert(0, {str(BENCH)!r}); import preprocessing as p\n"
        f"out = Path(tempfile.mkdtemp()) / 'windows.h5'\n"
        f"runs = [p.{task}(Path({str(path)!r}), {seconds}{written}) for _ in range({repeats})]\n"
        f"best = min(runs, key=lambda r: r['seconds'])\n"
        f"best['peak_gb'] = int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) * 1024 / 1e9\n"
        f"print(json.dumps(best))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def machine() -> str:
    """Describe what this ran on."""
    model = "unknown processor"
    info = Path("/proc/cpuinfo")
    if info.is_file():
        named = (line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name"))
        model = next(named, model)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    software = f"{platform.system()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {software}"


def tables() -> str:
    """Measure, and return both tables as Markdown."""
    how = "The fastest of three runs; the files are in the page cache."
    lines = ["# Preprocessing, measured", "", f"{machine()}. {how}", ""]
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small.brw", Path(folder) / "large.brw"
        write_recording(small, 256, 30)
        rows = {name: alone(name, small, 30) for name in ("ours", "spikeinterfaces", "read")}
        lines += [
            "## 256 channels, 30 s",
            "",
            "| | seconds | channel-seconds per second | peaks | ratio |",
            "|---|---|---|---|---|",
        ]
        label = {"ours": "this library", "spikeinterfaces": "SpikeInterface, 2 jobs", "read": "reading alone"}
        for name, row in rows.items():
            lines.append(
                f"| {label[name]} | {row['seconds']:.2f} | {256 * 30 / row['seconds']:,.0f} | {row.get('peaks', '')} | "
                f"{row['seconds'] / rows['ours']['seconds']:.2f} |"
            )
        small.unlink()
        write_recording(large, 4096, max(LARGE_S))
        lines += [
            "",
            f"## 4096 channels: the first seconds of a file of {max(LARGE_S)} s, all of which is hashed",
            "",
            "| recording | seconds | channel-seconds per second | peak memory | reading alone | ratio to reading |",
            "|---|---|---|---|---|---|",
        ]
        for seconds in LARGE_S:
            row, reading = alone("ours", large, seconds), alone("read", large, seconds)
            lines.append(
                f"| {seconds} s | {row['seconds']:.2f} | {4096 * seconds / row['seconds']:,.0f} | "
                f"{row['peak_gb']:.2f} GB | {reading['seconds']:.2f} s | {row['seconds'] / reading['seconds']:.1f} |"
            )
        row = alone("hashed", large, 0)
        lines += [
            "",
            "## What else reads the file",
            "",
            "| | seconds | GB per second |",
            "|---|---|---|",
            f"| BLAKE3 of the source | {row['seconds']:.2f} | {row['gb'] / row['seconds']:.2f} |",
            f"| SHA-256, for comparison | {row['sha256']:.2f} | {row['gb'] / row['sha256']:.2f} |",
        ]
        large.unlink()
        if shutil.disk_usage(folder).free > WHOLE_BYTES:
            write_recording(large, 4096, WHOLE_S)
            tasks = {"read_cold": "reading", "read_and_forget": "reading, without keeping it in the system's cache"}
            tasks |= {"read_past_cache": "reading past it", "whole": "quality, pass and BLAKE3"}
            runs = [{task: alone(task, large, WHOLE_S, 1) for task in tasks} for _ in range(3)]
            fastest = {task: min((run[task] for run in runs), key=lambda row: row["seconds"]) for task in tasks}
            lines += [
                "",
                f"## 4096 channels, {WHOLE_S} s, from the disk, the fastest of three in turns",
                "",
                "| | seconds | seconds of the cores | peak memory | ratio |",
                "|---|---|---|---|---|",
            ]
            for task, row in fastest.items():
                lines.append(
                    f"| {tasks[task]} | {row['seconds']:.1f} | {row['cpu']:.1f} | {row['peak_gb']:.2f} GB | "
                    f"{row['seconds'] / fastest['read_cold']['seconds']:.2f} |"
                )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = tables()
    print(text)
    (BENCH / "PREPROCESSING.md").write_text(text)
