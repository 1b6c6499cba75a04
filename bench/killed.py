"""Kill a smoke run at random moments, go on each time, and compare its bits: ``python bench/killed.py 50``.

Every process of the run gets SIGKILL, which nothing can answer. The run that goes on after the last kill must end, and
its products must be those of a run that nobody killed. The count of kills is kept, so that this script goes on where it
was stopped, by its own end included. ``bench/HARDENING.md`` gets the count.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from fuzz import write_section

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from meagan_lib.workflow.execution import RESULTS, receipts  # noqa: E402

HEADING, STATE = "## Killed runs", ROOT / ".cache" / "killed.json"
LONGEST = 1.25
"""A kill comes at most so many times the longest notebook's seconds after a start: some end before, some do not."""


def start(name: str, more: Sequence[str]) -> subprocess.Popen:
    """Start a smoke run in a session of its own."""
    command = [sys.executable, "-m", "meagan_lib.cli", "run", "smoke", "--name", name, "--cores", "1", *more]
    return subprocess.Popen(
        command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finish(name: str, more: Sequence[str]) -> float:
    """Let a run end, and return how long it took; it must succeed."""
    begun = time.monotonic()
    run = start(name, more)
    _, said = run.communicate()
    if run.returncode:
        raise SystemExit(f"run {name} ended with {run.returncode}: {said}")
    return time.monotonic() - begun


def kill(run: subprocess.Popen) -> None:
    """Kill all processes of a run at once, also those that began sessions of their own."""
    family = [psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)]
    for process in family:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    psutil.wait_procs(family[1:], timeout=10)
    run.wait()


def products(name: str) -> dict[str, str]:
    """Return the SHA-256 of everything that the notebooks of a run have left, by file."""
    return {file: digest for receipt in receipts(RESULTS / name) for file, digest in receipt["products"].items()}


def leftovers(name: str) -> list[str]:
    """Return what is half written."""
    return [str(file) for place in (RESULTS / name, ROOT / "figures" / name) for file in place.rglob(".*.part*")]


def main() -> None:
    """Kill, compare, and write the sentence into the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int, nargs="?", default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="forget the kills that were counted")
    parser.add_argument("--reference", default="", help="a finished smoke run of the same parameters")
    parser.add_argument("--recording", default="simulated")
    a = parser.parse_args()
    more = ["--recording", a.recording] if a.recording != "simulated" else []
    reference = a.reference or "unkilled"
    if not a.reference:
        finish(reference, more)
    if a.again:
        STATE.unlink(missing_ok=True)
    longest_s = LONGEST * max(receipt["seconds"] for receipt in receipts(RESULTS / reference))
    done, finished = json.loads(STATE.read_text()) if STATE.is_file() else (0, 0)
    while done < a.kills:
        run, name = start(f"killed-{finished}", more), f"killed-{finished}"
        try:
            run.wait(float(np.random.default_rng([a.seed, done, finished]).uniform(1.0, longest_s)))
        except subprocess.TimeoutExpired:
            kill(run)
            done += 1
            print(f"kill {done} of {name}, {len(receipts(RESULTS / name))} notebooks done", flush=True)
        else:
            finished += 1  # it ended before it could be killed: the next one begins anew
        STATE.parent.mkdir(exist_ok=True)
        STATE.write_text(json.dumps([done, finished]))
    for number in range(finished + 1):
        name = f"killed-{number}"
        finish(name, more)
        wrong = [file for file, digest in products(reference).items() if products(name).get(file) != digest]
        if wrong or leftovers(name):
            raise SystemExit(f"{name} differs from {reference} in {wrong}, and left {leftovers(name)}")
    sentence = (
        f"A smoke run was killed (SIGKILL, all its processes) {done} times at random moments and went on each time; "
        f"what it ended with ({finished + 1} in all) are the {len(products(reference))} products of one that was not "
        f"killed, bit by bit, and left nothing half written.\n"
    )
    print(sentence)
    write_section(HEADING, sentence)


if __name__ == "__main__":
    main()
