"""What commands say where they cannot write, and two runs at once: ``python bench/places.py FINISHED_RUN``.

Full disks are small file systems in memory, read-only folders are mounted so, both within a mount namespace of the
command alone, which takes the rights of root (or ``unshare -r``). Each command must end in one sentence and another
exit code than 0, leave nothing half written, and end well when it is called again where there is room.
``bench/HARDENING.md`` has what they said. Lines are kept, so that this script goes on where it was stopped.
"""

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml
from fuzz import write_section

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from meagan_lib import caches  # noqa: E402
from meagan_lib.parameters import PARAMS, of_preset  # noqa: E402
from meagan_lib.workflow.execution import RESULTS  # noqa: E402
from meagan_lib.workflow.files import write_json  # noqa: E402

HEADING = "## Full disks, read-only folders, two runs at once"
STATE = ROOT / ".cache" / "places.json"
PRESET = "places"
"""A preset of notebook 1 alone, with the parameters of a smoke run, that is there while this runs."""
NOBODY, ROOT_USER = 65534, os.geteuid() == 0


@dataclass(frozen=True)
class Case:
    """A ``command`` of meagan, and what is wrong with ``place``: ``"ro"``, a size such as ``"64k"``, ``"nobody"``.

    ``made`` is what it writes when it ends well; ``label`` says what is tried.
    """

    label: str
    command: str
    place: Path
    wrong: str
    made: Path


def run_in(case: Case | None, command: str) -> subprocess.CompletedProcess:
    """Run a command of meagan, in a namespace of its own where something is wrong."""
    words = [sys.executable, "-W", "ignore", "-m", "meagan_lib.cli", *shlex.split(command)]
    if case is not None:
        place = shlex.quote(str(case.place))
        mounted = {"ro": f"mount --bind {place} {place} && mount -o remount,ro,bind {place}", "nobody": "true"}.get(
            case.wrong, f"mount -t tmpfs -o size={case.wrong} tmpfs {place}"
        )
        as_whom = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups " if case.wrong == "nobody" else ""
        after = f"; code=$?; find {place} -name '.*.part*' | sed 's/^/HALF /' >&2; exit $code"
        words = [
            "unshare",
            "-m" if ROOT_USER else "-rm",
            "sh",
            "-c",
            f"{mounted} && {as_whom}{shlex.join(words)}{after}",
        ]
    clean = {name: value for name, value in os.environ.items() if name not in caches(ROOT)}  # those of this process
    return subprocess.run(words, cwd=ROOT, env=clean, capture_output=True, text=True)


def cases(finished: str, place: Path) -> Iterator[Case]:
    """List what is tried; ``place`` is a folder for what is written elsewhere than in the checkout."""
    run, results, figures = f"run {PRESET} --name {PRESET} --cores 1", RESULTS / PRESET, ROOT / "figures" / PRESET
    windows = results / "windows.h5"
    for folder, size in ((results, "16k"), (results, "1m"), (figures, "1m")):
        yield Case(f"a run; its {folder.parent.name} on a disk of {size}B", run, folder, size, windows)
    for folder in (results, figures, ROOT):
        what = "the whole checkout" if folder == ROOT else f"its {folder.parent.name}"
        yield Case(f"a run; {what} read-only", run, folder, "ro", windows)
    if ROOT_USER:
        yield Case("a run in a checkout of another user", run, ROOT, "nobody", windows)
    outs = {
        "latex": f"export {finished} --to latex --out {place}/out/latex",
        "onnx": f"export {finished} --to onnx --out {place}/out/onnx",
        "dataset": f"export {finished} --to dataset --out {place}/out/dataset",
        "nwb": f"export {finished} --to nwb --out {place}/out/nwb",
        "a bundle": f"bundle {finished} --out {place}/out/x.meagan",
        "a hybrid": f"hybrid simulated --units 4 --out {place}/out/x.brw",
        "a look": f"look simulated --picture {place}/out/x.png",
    }
    for what, command in outs.items():
        for wrong in ("64k", "ro"):
            how = "read-only" if wrong == "ro" else f"on a disk of {wrong}B"
            yield Case(f"{what}; its folder {how}", command, place / "out", wrong, Path(shlex.split(command)[-1]))


def attempt(case: Case) -> str:
    """Try a case, and again where nothing is wrong; return the cells of its line."""
    case.place.mkdir(parents=True, exist_ok=True)
    done = run_in(case, case.command)
    said = [line for line in done.stderr.splitlines() if line.strip()]
    half = [line for line in said if line.startswith("HALF ")]
    last = next((line for line in reversed(said) if not line.startswith("HALF ")), "")
    left = "half written: " + ", ".join(half) if half else "nothing half written"
    if "Traceback" in done.stderr + done.stdout:
        left = f"a traceback, {left}"
    again = run_in(None, case.command)
    well = again.returncode == 0 and case.made.exists()
    words = last.removeprefix("meagan: ").replace(str(ROOT), "…").replace(str(case.place), "…/out").replace("|", "\\|")
    wrong = again.stderr[-300:].strip().replace("\n", " ")
    return f"{done.returncode} | {words} | {left} | {'ends well' if well else wrong}"


def digests(run: str) -> dict[str, str]:
    """Return the SHA-256 of the windows of a run."""
    path = RESULTS / run / "windows.h5"
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "none"}


def at_once(names: Sequence[str]) -> str:
    """Start a run for each name, two seconds apart; return the cells of the line."""
    words = [sys.executable, "-W", "ignore", "-m", "meagan_lib.cli", "run", PRESET, "--cores", "1", "--name"]
    started = []
    for name in names:
        started.append(
            subprocess.Popen([*words, name], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        time.sleep(2)
    ended = [(run.communicate(), run.returncode) for run in started]
    waited = any("is already going" in out for (out, _), _ in ended)
    same = len({tuple(digests(name).items()) for name in names}) == 1
    said = "the second says that it waits for the first, and does" if waited else "neither waits"
    codes = ", ".join(str(code) for _, code in ended)
    return f"{codes} | {said} | {'the same windows' if same else 'other windows'} | "


def remove(names: Sequence[str]) -> None:
    """Remove the runs of this bench."""
    for name in names:
        for place in (RESULTS / name, ROOT / "figures" / name):
            shutil.rmtree(place, ignore_errors=True)


def main() -> None:
    """Try all, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("finished", help="a finished smoke run, which is exported")
    parser.add_argument("--again", action="store_true", help="forget what was tried")
    parser.add_argument("--table", action="store_true", help="try nothing more, and write what was tried")
    parser.add_argument("--only", default="", help="words of the cases that are tried, which are printed alone")
    a = parser.parse_args()
    own, kept = (PRESET, f"{PRESET}_2"), json.loads(STATE.read_text()) if STATE.is_file() and not a.again else {}
    (PARAMS / f"{PRESET}.yaml").write_text(yaml.safe_dump({"01_preprocessing": of_preset("smoke")["01_preprocessing"]}))
    try:
        with tempfile.TemporaryDirectory() as place:
            os.chmod(place, 0o777)
            todo = {case.label: partial(attempt, case) for case in cases(a.finished, Path(place))}
            todo |= {
                f"two runs of {'one name' if len(set(n)) == 1 else 'two names'} at once": partial(at_once, n)
                for n in ((PRESET, PRESET), own)
            }
            for label, work in todo.items():
                if not a.table and a.only in label and (a.only or label not in kept):
                    remove(own)
                    shutil.rmtree(Path(place) / "out", ignore_errors=True)
                    kept[label] = f"| {label} | {work()} |"
                    print(kept[label], flush=True)
                    if not a.only:
                        write_json(STATE, kept)
    finally:
        (PARAMS / f"{PRESET}.yaml").unlink()
        remove(own)
    if not a.only:
        head = "| what | exit code | what it says | what it leaves | called again with room |\n|---|---|---|---|---|\n"
        write_section(HEADING, head + "\n".join(kept[label] for label in todo if label in kept) + "\n")


if __name__ == "__main__":
    main()
