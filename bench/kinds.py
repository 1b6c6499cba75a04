"""From a file of every kind to what a run makes of it: ``python bench/kinds.py`` writes ``bench/KINDS.md``.

A simulated recording is written as each kind of file, by the writers of the tests, and goes through notebook 1 with
the parameters of a smoke run; spike times go through notebook 5. Three kinds go through a whole smoke run:
events-based and wavelet-compressed BRW, and BXR as windows that were cut. Lines are kept, so that this script goes on
where it was stopped; ``--again`` forgets them, ``--only`` prints those of some kinds.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import scipy.io
import yaml
from preprocessing import machine

BENCH = Path(__file__).parent
sys.path.insert(0, str(BENCH.parent))  # the writers are those of the tests

from meagan_lib import ROOT  # noqa: E402
from meagan_lib.network import read_spikes  # noqa: E402
from meagan_lib.parameters import check, resolve  # noqa: E402
from meagan_lib.recordings import SimulationConfig, open_recording  # noqa: E402
from meagan_lib.recordings.kinds import BY_HAND, KINDS  # noqa: E402
from meagan_lib.recordings.simulation import simulate  # noqa: E402
from meagan_lib.windows import DetectionConfig, SpikeWindows, WindowConfig, cut_windows  # noqa: E402
from meagan_lib.workflow.execution import RESULTS, receipts  # noqa: E402
from meagan_lib.workflow.files import write_json  # noqa: E402
from tests.recordings.brw_writer import transform, write_events, write_wavelets  # noqa: E402
from tests.recordings.bxr_writer import write_3  # noqa: E402
from tests.recordings.writers import WHOLE, write_whole  # noqa: E402

CONFIG = SimulationConfig(duration_s=20.0, patch=4, n_units=40, burst_rate_hz=(10.0, 20.0))
RATE, MIDDLE = int(CONFIG.sampling_rate_hz), 2048
FIRST, NETWORK = "01_preprocessing", "05_organoid_network"
NOISE, DEPTH = 5.0, 5
"""What the events-based file states of its noise, in steps, and by how many of these a sample is an event."""
LEVEL, CHUNK = 2, 2000
ROW = RATE // 2
STATE, TABLE = ROOT / ".cache" / "kinds.json", BENCH / "KINDS.md"


class Source:
    """The simulated recording: ``codes`` int16 (frames, channels) around 0, busiest first, and what was cut of it."""

    def __init__(self, folder: Path):
        simulate(CONFIG, folder / "simulated.brw")
        recording = open_recording(folder / "simulated.brw")
        windows = cut_windows(recording, DetectionConfig(), WindowConfig())
        order = np.argsort(-np.bincount(windows.ledger.channel, minlength=recording.get_num_channels()))
        self.codes = (recording.get_traces()[:, order].astype(np.int32) - MIDDLE).astype(np.int16)
        self.windows, place = windows, np.argsort(order)[windows.channel]
        self.place, self.gain = place, float(recording.get_channel_gains()[0])

    def trains_s(self) -> list[np.ndarray]:
        """Return the times in s of the windows of each channel."""
        return [self.windows.frame[self.place == c] / RATE for c in range(self.codes.shape[1])]


def events(folder: Path, source: Source) -> Path:
    """Store 3 ms around each sample that is deep enough, in rows of half a second, and nothing between."""
    codes, rows = source.codes, []
    channels, toc = [65 * i for i in range(codes.shape[1])], [[a, a + ROW] for a in range(0, len(codes), ROW)]
    for a, b in toc:
        ranges = []
        for i, channel in enumerate(channels):
            deep = np.flatnonzero(np.abs(codes[a:b, i] - np.median(codes[a:b, i])) > DEPTH * NOISE)
            near = np.unique(np.clip(deep[:, None] + np.arange(-24, 37), 0, b - a - 1)) + a
            parts = np.split(near, np.flatnonzero(np.diff(near) > 1) + 1) if len(near) else []
            ranges += [(channel, int(part[0]), codes[part, i] + MIDDLE) for part in parts]
        rows.append(ranges)
    noise = [(channels, [0.0] * len(channels), [NOISE] * len(channels))] + [None] * (len(toc) - 1)
    write_events(folder / "x.brw", toc, {"A1": (channels, rows, noise)})
    return folder / "x.brw"


def wavelets(folder: Path, source: Source) -> Path:
    """Keep approximation and detail of the second level of sym7: what lies below 5 kHz."""
    codes, channels = source.codes + float(MIDDLE), [65 * i for i in range(source.codes.shape[1])]
    coefficients, length = transform(codes, CHUNK), CHUNK
    for _ in range(LEVEL - 1):
        length //= 2
        coefficients = np.concatenate([transform(its[:, 0].T, length) for its in coefficients])
    write_wavelets(folder / "x.brw", [[0, len(codes)]], channels, coefficients, LEVEL, CHUNK)
    return folder / "x.brw"


def bxr(folder: Path, source: Source) -> Path:
    """Write waveforms in codes, with three units."""
    codes = np.rint(source.windows.windows / source.gain).astype(np.int16) + MIDDLE
    its = {"frame": source.windows.frame, "place": source.place, "unit": source.place % 3, "waveforms": codes}
    channels = [65 * i for i in range(source.codes.shape[1])]
    write_3(folder / "x.bxr", its, channels, toc=((0, len(source.codes)),), offset=source.windows.pre_samples)
    return folder / "x.bxr"


def cut_npz(folder: Path, source: Source) -> Path:
    """Write windows with their times."""
    its = source.windows
    np.savez(
        folder / "x.npz", windows=its.windows, sampling_rate_hz=RATE, channel=source.place, time_s=its.frame / RATE
    )
    return folder / "x.npz"


def csv(folder: Path, source: Source) -> Path:
    """Write an Axion spike list."""
    its = sorted((t, c) for c, times in enumerate(source.trains_s()) for t in times)
    lines = [f",,{t:.5f},A1_{1 + c // 4}{1 + c % 4},0.02" for t, c in its]
    (folder / "x_spike_list.csv").write_text("\n".join(["Investigator,,Time (s),Electrode,Amplitude (mV)", *lines, ""]))
    return folder / "x_spike_list.csv"


def mat(folder: Path, source: Source) -> Path:
    """Write a cell array of spike times."""
    cells = np.empty(source.codes.shape[1], object)
    cells[:] = source.trains_s()
    scipy.io.savemat(folder / "x.mat", {"spikes": cells})
    return folder / "x.mat"


def units(folder: Path, source: Source) -> Path:
    """Write a table of units of NWB."""
    trains = source.trains_s()
    with h5py.File(folder / "x.nwb", "w") as file:
        file["units/id"], file["units/spike_times"] = np.arange(len(trains)), np.concatenate(trains)
        file["units/spike_times_index"] = np.cumsum([len(train) for train in trains])
    return folder / "x.nwb"


OWN: dict[str, Callable[[Path, Source], Path]] = {
    "brw4_events": events,
    "brw4_wavelets": wavelets,
    "bxr": bxr,
    "windows": cut_npz,
}
"""Kinds that this bench writes otherwise than the tests do, or that hold windows."""
TRAINS: dict[str, tuple[str, Callable[[Path, Source], Path]]] = {
    "csv": ("csv", csv),
    "mat": ("mat", mat),
    "units of NWB": ("nwb", units),
    "spikes of BXR": ("bxr", bxr),
}
"""Spike times: kind, and what writes them."""
ENTIRE = ("brw4_events", "brw4_wavelets", "bxr")
"""Kinds of which a whole smoke run is made; notebook 5 reads spike times within that of the last."""


def write(kind: str, folder: Path, source: Source) -> Path:
    """Write the recording as a kind of file, and return what to open."""
    if kind in OWN:
        return OWN[kind](folder, source)
    return write_whole(kind, folder, source.codes[:, :4] if kind == "spikeglx" else source.codes)


def command(run: str, *words: str) -> tuple[int, str]:
    """Run a command of Python; return its exit code, and, where it failed, the last line that it said."""
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True)
    failed = sorted((RESULTS / run / "receipts").glob("*.failed"))
    said = failed[0].read_text() if failed else (done.stderr.strip().splitlines() or [""])[-1]
    return done.returncode, said.strip() if done.returncode else ""


def notebook(name: str, run: str, parameters: dict, products: str) -> tuple[int, str]:
    """Execute one notebook, as a job of a run does."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(parameters | {"name": run}, file)
        file.flush()
        return command(run, "meagan_lib.workflow.execution", name, run, file.name, "--products", products)


def remove(run: str) -> None:
    """Remove a run of this bench."""
    for place in (RESULTS / run, ROOT / "figures" / run):
        shutil.rmtree(place, ignore_errors=True)


def row(kind: str, label: str, what: str, result: tuple[int, str], made: str) -> str:
    """Return a line of the table."""
    code, said = result
    written = KINDS[kind].written.replace(BY_HAND, "by hand").partition(", and")[0]
    return f"| {label} | {written} | {what} | {made if code == 0 else said} | {code} |"


def rows(only: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each kind with its line; that of ``ENTIRE[-1]`` where spike times are asked for, too."""
    with tempfile.TemporaryDirectory() as place:
        source = Source(Path(place))
        for kind in (*ENTIRE, *(k for k in (*WHOLE, *OWN) if k not in ENTIRE)):
            if kind not in only and not (kind == ENTIRE[-1] and set(only) & set(TRAINS)):
                continue
            run, folder = f"kinds-{kind.strip('.')}", Path(place) / kind.strip(".")
            remove(run)
            folder.mkdir(exist_ok=True)
            path = write(kind, folder, source)
            parameters = resolve("smoke", [str(path)], [])
            if kind in ENTIRE:
                words = ["run", "smoke", "--recording", str(path), "--name", run, "--cores", "1"]
                result, what = command(run, "meagan_lib.cli", *words), "a whole smoke run"
            else:
                check(run, parameters)
                result, what = notebook(FIRST, run, parameters[FIRST], "windows.h5"), "notebook 1"
            made = ""
            if (RESULTS / run / "windows.h5").is_file():
                made = f"{len(SpikeWindows.load(RESULTS / run / 'windows.h5'))} windows"
                made += f", {len(receipts(RESULTS / run))} notebooks" if kind in ENTIRE else ""
            yield kind, row(kind, KINDS[kind].name, what, result, made)
            if kind == ENTIRE[-1]:
                yield from of_trains(Path(place), source, run, parameters[NETWORK], only)
            remove(run)


def of_trains(place: Path, source: Source, run: str, parameters: dict, only: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each kind with its line, of spike times, read by notebook 5 in a run that has windows."""
    for label, (kind, write_trains) in TRAINS.items():
        if label not in only:
            continue
        folder = place / label.replace(" ", "_")
        folder.mkdir()
        path = write_trains(folder, source)
        result = notebook(NETWORK, run, parameters | {"spikes": str(path)}, "network.json")
        name = KINDS[kind].name if label == kind else f"{KINDS[kind].name}: its spike times"
        yield label, row(kind, name, "notebook 5", result, f"{len(read_spikes(path).frame)} spikes")


def main() -> None:
    """Write the table, or print the lines of some kinds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], choices=[*WHOLE, *OWN, *TRAINS])
    parser.add_argument("--table", action="store_true", help="run nothing more, and write what has run")
    parser.add_argument("--again", action="store_true", help="forget what has run")
    a = parser.parse_args()
    kept = json.loads(STATE.read_text()) if STATE.is_file() and not (a.again or a.only) else {}
    todo = a.only or [kind for kind in (*WHOLE, *OWN, *TRAINS) if kind not in kept]
    for kind, line in rows(todo) if not a.table else ():
        print(line, flush=True)
        kept[kind] = line
        if not a.only:
            write_json(STATE, kept)
    if a.only:
        return
    kinds = (*WHOLE, *(kind for kind in OWN if kind not in WHOLE), *TRAINS)
    lines, lack = [kept[kind] for kind in kinds if kind in kept], [kind for kind in kinds if kind not in kept]
    if lack:
        lines.append(f"\nNot run yet: {', '.join(lack)}.")
    text = f"""# Every kind of file, run

{machine()}. {CONFIG.duration_s:g} s of a simulated recording of {CONFIG.patch**2} electrodes (4 of them as SpikeGLX), \
written as each kind of file; the events-based BRW file keeps 3 ms around what is deeper than {DEPTH} stated noise \
levels, the wavelets what lies below {RATE / 2**LEVEL / 1000:g} kHz. Parameters are those of `meagan run smoke`. None \
of these files was written by an instrument: `data/README.md` says which kinds were tried on one that was.

| kind of file | written | what ran | what it made | exit code |
|---|---|---|---|---|
{chr(10).join(lines)}
"""
    TABLE.write_text(text)


if __name__ == "__main__":
    main()
