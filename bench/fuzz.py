"""A fuzz campaign over all readers: ``python bench/fuzz.py 5000`` goes on where it stopped, and writes the table.

A case is a small file of some kind, written as in the tests and then damaged as its number says: cut, overwritten,
swapped, with sizes that cannot be, with links out of its folder, with names that no label should have. It may be
refused in one line, or be read; it may not end in any other error, take longer than ``LIMIT_S``, kill its process, be
read though samples are missing, or write anything. ``bench/HARDENING.md`` has the counts.
"""

import argparse
import json
import os
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import scipy.io

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the writers are those of the tests

from meagan_lib import InputError  # noqa: E402
from meagan_lib.network import read_spikes  # noqa: E402
from meagan_lib.recordings.brw import RATES_HZ  # noqa: E402
from meagan_lib.recordings.kinds import describe  # noqa: E402
from meagan_lib.recordings.opening import holds_windows, open_recording  # noqa: E402
from meagan_lib.windows import open_windows  # noqa: E402
from meagan_lib.windows.looking import look  # noqa: E402
from tests.recordings.bxr_writer import write_2, write_3  # noqa: E402
from tests.recordings.writers import WHOLE, planted, write_whole  # noqa: E402

LIMIT_S = 20.0
MEMORY = 4 * 2**30
"""Address space that a case may take, beyond what the process has."""
SECRET = b"nobody asked for this file"
STATE, TABLE = ROOT / ".cache" / "fuzz.jsonl", ROOT / "bench" / "HARDENING.md"
HEADING = "## Damaged and hostile files"
NO_LENGTH = ("binary", "spikeinterface")
"""Kinds that state no length: a cut at a whole frame cannot be seen."""
CUT_BEHIND = {("csv", f"{n} spikes") for n in range(61)} | {(".plx", f"{160 * n} frames") for n in range(16)}
CUT_BEHIND |= {("mat", "60 spikes")}
"""What may be read of a cut file: whole lines, or blocks; all spikes, where the cut is behind them."""
BAD = ("error", "slow", "killed", "wrong success", "wrote")
EXTREMES = (0, 1, -1, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, -(2**63))
FLOATS = (0.0, -1.0, 1e-300, 1e300, float("nan"), float("inf"), -float("inf"), 1e9)
NAMES = (
    "../../../etc/passwd",
    "<script>alert(1)</script>",
    "$\\frac{",
    "\x1b[31mred\x07",
    "x" * 70_000,
    "a\nb",
    "",
    "%s{0}",
    "\u202ecod",
)


def _csv(folder: Path, codes: np.ndarray) -> Path:
    lines = [f",,{0.1 * i:.5f},A1_{1 + i % 3}1,0.02{i % 10}" for i in range(60)]
    (folder / "x.csv").write_text("\n".join(["Investigator,,Time (s),Electrode,Amplitude (mV)", *lines]) + "\n")
    return folder / "x.csv"


def _mat(folder: Path, codes: np.ndarray) -> Path:
    cells = np.empty(3, object)
    cells[:] = [np.arange(20) / 7.0 + i for i in range(3)]
    scipy.io.savemat(folder / "x.mat", {"spikes": cells, "fs": 20_000.0})
    return folder / "x.mat"


def _npz(folder: Path, codes: np.ndarray) -> Path:
    np.savez(folder / "x.npz", windows=codes[:1920].reshape(-1, 64).astype(np.float32), sampling_rate_hz=20_000.0)
    return folder / "x.npz"


def _cut_h5(folder: Path, codes: np.ndarray) -> Path:
    with h5py.File(folder / "x.h5", "w") as file:
        file["windows"], file["sampling_rate_hz"] = codes[:1920].reshape(-1, 64).astype(np.float32), 20_000.0
        file["label"] = np.zeros(len(file["windows"]), np.int32)
    return folder / "x.h5"


def _units(folder: Path, codes: np.ndarray) -> Path:
    with h5py.File(folder / "x.nwb", "w") as file:
        units = file.create_group("units")
        units.attrs["colnames"], units.attrs["neurodata_type"] = ["spike_times"], "Units"
        units["id"], units["spike_times"] = np.arange(3), np.concatenate([np.arange(20) / 7.0 + i for i in range(3)])
        units["spike_times_index"] = np.array([20, 40, 60])
    return folder / "x.nwb"


def _bxr(folder: Path, codes: np.ndarray) -> Path:
    write_3(folder / "x.bxr")
    return folder / "x.bxr"


def _bxr_2(folder: Path, codes: np.ndarray) -> Path:
    write_2(folder / "x.bxr", flat=True)
    return folder / "x.bxr"


OTHERS: dict[str, Callable[[Path, np.ndarray], Path]] = {
    "csv": _csv,
    "mat": _mat,
    "nwb_units": _units,
    "windows": _npz,
    "windows_h5": _cut_h5,
    "bxr": _bxr,
    "bxr_2": _bxr_2,
}
KINDS = (*WHOLE, *OTHERS)


def _any_file(rng: np.random.Generator, folder: Path) -> Path:
    """Draw a file, more often a large one."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    sizes = np.array([file.stat().st_size + 50.0 for file in files]) ** 0.5
    return files[rng.choice(len(files), p=sizes / sizes.sum())]


def _place(rng: np.random.Generator, size: int) -> int:
    """Draw a place in a file, half of the time in its first 2 kB."""
    return int(rng.integers(max(min(size, 2048) if rng.random() < 0.5 else size, 1)))


def cut(rng: np.random.Generator, folder: Path) -> None:
    """Cut the largest file short, somewhere."""
    file = max((f for f in folder.rglob("*") if f.is_file()), key=lambda f: f.stat().st_size)
    os.truncate(file, int(rng.integers(file.stat().st_size)))


def overwritten(rng: np.random.Generator, folder: Path) -> None:
    """Overwrite up to 64 bytes with any others."""
    file = _any_file(rng, folder)
    content = bytearray(file.read_bytes())
    for _ in range(int(rng.integers(1, 65)) if content else 0):
        content[_place(rng, len(content))] = int(rng.integers(256))
    file.write_bytes(content)


def swapped(rng: np.random.Generator, folder: Path) -> None:
    """Swap two blocks, zero one, or take the file's place with that of another kind."""
    file = _any_file(rng, folder)
    content, how = bytearray(file.read_bytes()), rng.integers(3)
    if how == 2:
        with tempfile.TemporaryDirectory() as other:
            made = KINDS[rng.integers(len(KINDS))]
            write(made, Path(other), planted(2_560))
            shutil.copy(_any_file(rng, Path(other)), file)
        return
    n = int(rng.integers(1, max(len(content) // 4, 2)))
    a, b = _place(rng, len(content)), _place(rng, len(content))
    if how == 0:
        content[a : a + n] = bytes(len(content[a : a + n]))
    else:
        content[a : a + n], content[b : b + n] = content[b : b + n], content[a : a + n]
    file.write_bytes(content)


def grown(rng: np.random.Generator, folder: Path) -> None:
    """Append bytes, or repeat the file."""
    file = _any_file(rng, folder)
    content = file.read_bytes()
    file.write_bytes(content + (rng.bytes(int(rng.integers(1, 5000))) if rng.random() < 0.7 else content))


def hostile_number(rng: np.random.Generator, folder: Path) -> None:
    """Put a number that cannot be where one stands: in a header of HDF5, in a text, in binary."""
    file = _any_file(rng, folder)
    content = file.read_bytes()
    if content.startswith(b"\x89HDF"):
        with h5py.File(file, "r+") as hdf:
            _hostile_hdf5(rng, hdf)
        return
    text = content.decode("latin-1")
    digits = [i for i, letter in enumerate(text[:20_000]) if letter.isdigit()]
    if b"\x00" not in content and digits:
        at = digits[rng.integers(len(digits))]
        extreme = [*EXTREMES, "1e400", "NaN", "-Infinity", "null", '"x"', "[]", "9" * 5000][rng.integers(17)]
        file.write_text(text[:at] + str(extreme) + text[at + 1 :], encoding="latin-1")
        return
    number = int(EXTREMES[rng.integers(len(EXTREMES))]) % 2**64
    raw = number.to_bytes(8, "little")[: [1, 2, 4, 8][rng.integers(4)]]
    at = _place(rng, len(content))
    file.write_bytes(content[:at] + raw + content[at + len(raw) :])


def _datasets(hdf: h5py.File) -> list[h5py.Dataset]:
    found: list[h5py.Dataset] = []
    hdf.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return found


def _hostile_hdf5(rng: np.random.Generator, hdf: h5py.File) -> None:
    datasets = _datasets(hdf)
    one = datasets[rng.integers(len(datasets))]
    name, how = one.name, rng.integers(5)
    if how == 0 and one.attrs:
        key = sorted(one.attrs)[rng.integers(len(one.attrs))]
        one.attrs[key] = [FLOATS[rng.integers(len(FLOATS))], -1, "x"][rng.integers(3)]
    elif how == 1:  # a huge size of which nothing is there
        shape = (2**40,) if one.ndim < 2 else (one.shape[0], 2**40) if rng.random() < 0.5 else (2**40, one.shape[1])
        dtype = one.dtype
        del hdf[name]
        hdf.create_dataset(name, shape, dtype, chunks=tuple(min(n, 1024) for n in shape))
    elif how == 2:
        shape, dtype = tuple(rng.integers(0, 4, int(rng.integers(0, 4)))), one.dtype
        del hdf[name]
        hdf.create_dataset(name, shape, dtype)
    elif how == 3 and one.dtype.kind in "iuf" and one.size:
        flat = np.array(one[()], ndmin=1).ravel()
        pick = FLOATS if flat.dtype.kind == "f" else EXTREMES
        flat[rng.integers(flat.size)] = np.array(pick[rng.integers(len(pick))]).astype(flat.dtype)
        one[()] = flat.reshape(one.shape)
    else:
        del hdf[name]
        if rng.random() < 0.5:
            hdf[name] = [1.0, "x", b"", np.zeros(3, "S4")][rng.integers(4)]


def link(rng: np.random.Generator, folder: Path) -> None:
    """Let a part be a link out of the folder, to itself, or to where bytes never end."""
    secret = folder.parent / "outside" / "secret.bin"
    file = _any_file(rng, folder)
    if file.read_bytes().startswith(b"\x89HDF") and rng.random() < 0.8:
        with h5py.File(file, "r+") as hdf:
            one = _datasets(hdf)[rng.integers(len(_datasets(hdf)))]
            name, shape, dtype = one.name, one.shape, one.dtype
            how = rng.integers(4)
            del hdf[name]
            if how == 0:
                hdf[name] = h5py.ExternalLink(str(folder.parent / "outside" / "other.h5"), "/data")
            elif how == 1:
                hdf[name] = h5py.SoftLink(name)
            elif how == 2 and dtype.kind in "iuf" and shape:
                hdf.create_dataset(name, shape, dtype, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
            else:
                layout = h5py.VirtualLayout(shape or (1,), dtype if dtype.kind in "iuf" else np.float64)
                layout[...] = h5py.VirtualSource(str(folder.parent / "outside" / "other.h5"), "data", shape or (1,))
                hdf.create_virtual_dataset(name, layout)
        return
    how = rng.integers(4)
    file.unlink()
    if how == 0:
        file.symlink_to(file.name)
    elif how == 1:
        file.symlink_to("/dev/zero")
    elif how == 2:
        os.mkfifo(file)
    else:
        file.mkdir()


def hostile_name(rng: np.random.Generator, folder: Path) -> None:
    """Put a name that no label should have where one stands."""
    name = NAMES[rng.integers(len(NAMES))]
    file = _any_file(rng, folder)
    content = file.read_bytes()
    if content.startswith(b"\x89HDF"):
        with h5py.File(file, "r+") as hdf:
            items: list = [hdf, *_datasets(hdf)]
            one = items[rng.integers(len(items))]
            keys = [key for key in one.attrs if isinstance(one.attrs[key], str | bytes)]
            text = name.replace("\0", "")[:60_000]
            if keys and rng.random() < 0.7:
                one.attrs[keys[rng.integers(len(keys))]] = text
            else:
                hdf.create_group("Well_" + text.replace("/", "_")[:200])
        return
    labels = (b"CH1", b"CH2", b"A-000", b"elec0", b"AP1", b"A1_11", b"Rhythm", b"x_g0")
    there = [word for word in labels if word in content]
    if there:
        file.write_bytes(content.replace(there[rng.integers(len(there))], name.encode(), 1))
    else:
        at = _place(rng, len(content))
        file.write_bytes(content[:at] + name.encode()[:200] + content[at:])


DAMAGES = (cut, overwritten, swapped, grown, hostile_number, link, hostile_name)


def write(kind: str, folder: Path, codes: np.ndarray) -> Path:
    """Write a whole file of a kind, and return what to open."""
    return OTHERS[kind](folder, codes) if kind in OTHERS else write_whole(kind, folder, codes)


def attempt(kind: str, path: Path, search: bool) -> str:
    """Read what a run would read, and ``search`` the first seconds; return how much that is, in words.

    ``InputError``: refused. ``AssertionError``: read, though it should not have been.
    """
    if kind in ("csv", "mat", "nwb_units"):
        trains = read_spikes(path)
        assert np.isfinite(trains.duration_s) and (trains.frame >= 0).all(), "times that cannot be"
        return f"{len(trains.frame)} spikes"
    if holds_windows(path):
        windows = open_windows(path)
        assert np.isfinite(windows.windows).all(), "windows that are no numbers"
        if kind in ("bxr", "bxr_2"):
            assert (read_spikes(path).frame >= 0).all(), "times that cannot be"
        return f"{len(windows)} windows"
    recording = open_recording(path)
    rate = recording.get_sampling_frequency()
    assert RATES_HZ[0] <= rate <= RATES_HZ[1], f"a rate of {rate:g} Hz"
    describe(recording.get_annotation("files")[0])
    for segment in range(min(recording.get_num_segments(), 4)):
        n = recording.get_num_samples(segment)
        for a, b in ((0, min(n, 4096)), (max(n - 100, 0), n)):
            traces = recording.get_traces(segment, a, b)
            assert traces.shape == (b - a, recording.get_num_channels()), f"frames of shape {traces.shape}"
            assert SECRET not in traces.tobytes(), "another file was read"
    if search:
        look(path, None, None, 20, 100)
    held = sum(file.stat().st_size for file in _below(path))
    stated = recording.get_total_samples() * recording.get_num_channels() * recording.get_dtype().itemsize
    assert stated <= 50 * held + 2**16, f"{stated} bytes of samples in a file of {held}"  # 50: it may be compressed
    return f"{recording.get_total_samples()} frames"


def _below(path: Path) -> Iterator[Path]:
    folder = path if path.is_dir() else path.parent
    return (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def _listing(folder: Path) -> list[str]:
    return sorted(f"{file.relative_to(folder)} {file.lstat().st_size}" for file in folder.rglob("*"))


def one_case(number: int, whole: Path, search: bool = True, seed: int = 0) -> tuple[str, str, str, str]:
    """Damage a copy of a file as its number says, and read it; kind, damage, outcome and words."""
    rng = np.random.default_rng([seed, number])
    kind = KINDS[number % len(KINDS)]
    damage = DAMAGES[(number // len(KINDS)) % len(DAMAGES)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "case"
        shutil.copytree(whole / kind.strip("."), folder)
        shutil.copytree(whole / "outside", Path(place) / "outside")
        path = folder / (whole / f"{kind}.name").read_text()
        try:
            damage(rng, folder)
            if rng.random() < 0.15 and damage is not cut:
                DAMAGES[1](rng, folder)
        except Exception as error:  # what cannot be damaged so stays whole, or half damaged
            if os.environ.get("FUZZ_STRICT"):
                raise
            del error
        before = _listing(Path(place))
        try:
            words, outcome = attempt(kind, path, search), "read"
            if damage is cut and kind not in NO_LENGTH and (kind, words) not in CUT_BEHIND:
                outcome, words = "wrong success", f"{words} of a file that was cut"
        except InputError as error:
            outcome, words = "refused", str(error)
        except AssertionError as error:
            outcome, words = "wrong success", str(error)
        except BaseException as error:
            outcome, words = "error", f"{type(error).__name__}: {error}"
        if before != _listing(Path(place)):
            outcome, words = "wrote", words
    return kind, damage.__name__, outcome, words[:300]


def prepare(whole: Path) -> None:
    """Write a file of each kind, and what lies outside of its folder."""
    for kind in KINDS:
        (whole / kind.strip(".")).mkdir()
        path = write(kind, whole / kind.strip("."), planted(2_560))
        (whole / f"{kind}.name").write_text(path.name)
    (whole / "outside").mkdir()
    (whole / "outside" / "secret.bin").write_bytes(SECRET * 2_000)
    with h5py.File(whole / "outside" / "other.h5", "w") as file:
        file["data"] = np.frombuffer(SECRET * 2_000, np.uint16)


def campaign(
    numbers: list[int], whole: Path, limit_s: float = LIMIT_S, search: bool = True
) -> Iterator[tuple[int, tuple[str, str, str, str]]]:
    """Yield number and result of each case; a process that hangs or dies is replaced, and its case told."""
    todo = list(numbers)
    while todo:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _serve(todo, whole, search, reading, writing)
        os.close(writing)
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            buffer = b""
            while todo:
                ready, _, _ = select.select([pipe], [], [], limit_s)
                got = pipe.read(2**16) if ready else None
                if not got:
                    fate = "killed" if ready else "slow"
                    os.kill(child, signal.SIGKILL)
                    number = todo.pop(0)
                    kind, damage = KINDS[number % len(KINDS)], DAMAGES[(number // len(KINDS)) % len(DAMAGES)]
                    yield number, (kind, damage.__name__, fate, "")
                    break
                buffer += got
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    yield todo.pop(0), tuple(json.loads(line))
            os.waitpid(child, 0)


def _serve(numbers: list[int], whole: Path, search: bool, reading: int, writing: int) -> None:
    """Do cases in a process of its own, and leave it."""
    os.close(reading)
    most = MEMORY + resource.getpagesize() * int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    try:
        for number in numbers:
            os.write(writing, json.dumps(one_case(number, whole, search)).encode() + b"\n")
    finally:
        os._exit(0)


def table(results: list[tuple[str, str, str, str]], seconds: float) -> str:
    """Return the counts as Markdown: by damage, then every outcome that may not be."""
    counts = Counter((damage, outcome) for _, damage, outcome, _ in results)
    outcomes = ("refused", "read", *BAD)
    lines = [f"| damage | cases | {' | '.join(outcomes)} |", "|---" * (len(outcomes) + 2) + "|"]
    for damage in (d.__name__ for d in DAMAGES):
        row = [counts[damage, outcome] for outcome in outcomes]
        lines.append(f"| {damage.replace('_', ' ')} | {sum(row)} | {' | '.join(map(str, row))} |")
    row = [sum(counts[d.__name__, o] for d in DAMAGES) for o in outcomes]
    lines.append(f"| all | {sum(row)} | {' | '.join(map(str, row))} |")
    kinds = len({kind for kind, *_ in results})
    head = (
        f"{len(results)} cases of {kinds} kinds of files, {seconds:.0f} s; at most {LIMIT_S:.0f} s a case. Read whole "
    )
    head += "are files whose damage changes no more than values or what nothing needs, or that state no length."
    return f"{head}\n\n" + "\n".join(lines) + "\n"


def write_section(heading: str, text: str) -> None:
    """Replace what stands under a heading of the table of hardening, or add it at the end."""
    before = TABLE.read_text() if TABLE.is_file() else "# Hardening, measured\n"
    kept = re.sub(rf"\n{heading}\n.*?(?=\n## |\Z)", "", before, flags=re.DOTALL).rstrip("\n")
    TABLE.write_text(f"{kept}\n\n{heading}\n\n{text}")


def main() -> None:
    """Run cases that have not run, up to a number; print what may not be; write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=int, nargs="?", default=5000)
    parser.add_argument("--again", action="store_true", help="forget what has run")
    a = parser.parse_args()
    STATE.parent.mkdir(exist_ok=True)
    if a.again:
        STATE.unlink(missing_ok=True)
    lines = [json.loads(line) for line in STATE.read_text().splitlines()] if STATE.is_file() else []
    done = {number: (tuple(result), seconds) for number, result, seconds in lines}
    with tempfile.TemporaryDirectory() as place, open(STATE, "a") as state:
        prepare(Path(place))
        start = time.monotonic()
        for number, result in campaign([i for i in range(a.cases) if i not in done], Path(place)):
            took, start = time.monotonic() - start, time.monotonic()
            done[number] = result, took
            state.write(json.dumps([number, result, took]) + "\n")
            state.flush()
            if result[2] in BAD:
                print(number, *result, flush=True)
    results = [result for result, _ in done.values()]
    text = table(results, sum(took for _, took in done.values()))
    print(text)
    write_section(HEADING, text)


if __name__ == "__main__":
    main()
