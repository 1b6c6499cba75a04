"""Any executor of Snakemake: profiles, its process, and what a scheduler says, in words.

A profile is a folder with ``config.yaml``, options of Snakemake. The graph is that of a run on one machine: what
differs is who starts a job. Snakemake is then a process of its own, which an interrupt ends at once: in this one it
would first submit what it had planned, and wait for its next look at the queue.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from collections import Counter
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

from meagan_lib import ROOT, InputError, did_you_mean
from meagan_lib.workflow.execution import die_with
from meagan_lib.workflow.files import read_yaml

PROFILES = ROOT / "profiles"
OF_SNAKEMAKE = (Path("~/.config/snakemake"), Path("/etc/xdg/snakemake"))
"""Where Snakemake itself looks for profiles."""
QUEUE = "MEAGAN_QUEUE"
"""Environment variable: the name of all jobs of this run in the queue, for the commands of a profile."""
BUILT_IN = ("local", "dryrun", "touch")
"""Executors that Snakemake has without a plugin."""
PATIENCE_S = 30
"""How long a scheduler may take to answer."""

MESSAGES = {
    "Invalid account": "write slurm_account (and slurm_partition) of your group into the profile",
    "[Ii]nvalid partition": "write a slurm_partition that sinfo lists into the profile",
    "Requested node configuration is not available": "no node has so many cores or so much memory: ask for less",
    "Requested time limit is invalid": "the partition allows less time: ask for less, or take another partition",
    "Job violates accounting/QOS policy": "you have as many jobs as you may: fewer jobs in the profile, and run again",
    "Unable to contact slurm controller": "SLURM does not answer: run again when sinfo does",
    "slurm_persist_conn_open": "the accounting database does not answer: leave slurm-status-command at squeue",
    "OUT_OF_MEMORY": "a job took more memory than it asked for: ask for more mem_mb in set-resources of the profile",
    "TIMEOUT": "a job took longer than it asked for: run again, it goes on; or ask for more runtime in the profile",
    "NODE_FAIL": "a node went down: run again, its jobs go on where they were",
    "CANCELLED": "somebody cancelled a job, you or an administrator: run again, it goes on",
    "PREEMPTED": "jobs of others had priority: run again, it goes on",
}
"""What SLURM says when it refuses or stops a job → what to do. The page *On a cluster* tells more."""

REASONS = {
    "Resources": "the cluster is busy",
    "Priority": "jobs of others come first",
    "PartitionTimeLimit": "more minutes than the partition gives: this waits for ever",
    "PartitionNodeLimit": "more nodes than the partition has: this waits for ever",
    "QOSMaxCpuPerUserLimit": "you use as many cores as you may",
    "QOSMaxJobsPerUserLimit": "you run as many jobs as you may",
    "AssocMaxJobsLimit": "your group runs as many jobs as it may",
    "AssocGrpCpuLimit": "your group uses as many cores as it may",
    "ReqNodeNotAvail": "the nodes are down or reserved",
    "Nodes required for job are DOWN": "the nodes are down or reserved",
    "Dependency": "it waits for another job",
    "JobHeldUser": "you hold it: scontrol release",
    "JobHeldAdmin": "an administrator holds it",
}
"""Why a job waits, as squeue says → the same in words."""


def config_of(folder: Path) -> Path | None:
    """Return the file of options of a profile, as Snakemake finds it; None where a folder is no profile."""
    files = [path for path in folder.glob("*.yaml") if re.fullmatch(r"(profile|config)(\.v\d+\+)?", path.stem)]
    return max(files, default=None)


def find_profile(name: str) -> Path:
    """Return the folder of a profile: one of the user's own, one of ``profiles/``, or one of Snakemake's.

    ``InputError``: there is none of that name, with the nearest one.
    """
    places = [Path(name).expanduser(), *(place.expanduser() / name for place in (PROFILES, *OF_SNAKEMAKE))]
    for folder in places:
        if config_of(folder):
            return folder.resolve()
    known = {path.parent.name for place in (PROFILES, *OF_SNAKEMAKE) for path in place.expanduser().glob("*/*.yaml")}
    raise InputError(
        f"no profile '{name}'{did_you_mean(name, known)}; choose one of {', '.join(sorted(known))}, or give a folder "
        f"with a config.yaml"
    )


def options(profile: Path) -> dict:
    """Return the options of a profile. ``InputError``: its file is no YAML of options."""
    path = config_of(profile)
    read = read_yaml(path.read_bytes(), str(path)) or {}
    if not isinstance(read, dict):
        raise InputError(f"{path} holds no options: write 'name: value' lines, as in {PROFILES / 'slurm'}")
    return read


def ready_profile(name: str) -> Path:
    """Return the folder of a profile that can be used now.

    ``InputError``: there is none of that name, its executor is not installed, or its scheduler is not there or does not
    answer.
    """
    profile = find_profile(name)
    given = options(profile)
    executor = given.get("executor", "local")
    plugin = f"snakemake-executor-plugin-{executor}"
    if executor not in BUILT_IN and not find_spec(plugin.replace("-", "_")):
        of_ours = "-e '.[cluster]'" if (PROFILES / executor).is_dir() else plugin
        raise InputError(f"profile {profile.name} needs {plugin}, which is not installed: pip install {of_ours}")
    commands = [shlex.split(str(command))[0] for name, command in given.items() if name.endswith("submit-cmd")]
    for command in ["sbatch"] if executor == "slurm" else commands:
        if not (shutil.which(command) or (profile / command).is_file()):
            raise InputError(f"there is no {command} on this machine: log in to the cluster, and run meagan there")
        if command == "sbatch" and not (told := asked("sinfo", "--noheader"))[0]:
            raise InputError(f"SLURM does not answer ({told[1] or 'no word'}): run again when sinfo shows its nodes")
    return profile


def asked(*command: str) -> tuple[bool, str]:
    """Run a command of a scheduler; return whether it went well, and its output, or the last line of its complaint."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, str(error)
    lines = done.stderr.strip().splitlines()
    return done.returncode == 0, done.stdout if done.returncode == 0 else lines[-1] if lines else ""


def run_engine(arguments: list[str], log: TextIO) -> int:
    """Run Snakemake in a process of its own, which writes to ``log``, and return its exit code."""
    command, name = [sys.executable, "-m", "meagan_lib.workflow.cluster", *arguments], f"meagan-{uuid.uuid4().hex[:12]}"
    print(f"SLURM run ID: {name}", file=log, flush=True)  # as the plugin for SLURM says it
    environment = os.environ | {QUEUE: name}
    return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=environment).wait()


def cancel(log: Path, profile: Path | None = None) -> None:
    """Cancel the jobs that Snakemake, of which this is the log, has left in a queue.

    In SLURM all jobs of a run have a name that no others have. Of another scheduler only numbers are known, which may
    soon be those of other jobs: they are cancelled at once or never, by the command of the ``profile``.
    """
    text = log.read_text() if log.is_file() else ""
    for name in re.findall(r"^SLURM run ID: (\S+)", text, re.MULTILINE):
        asked("scancel", f"--name={name}")
    command = options(profile).get("cluster-generic-cancel-cmd") if profile else None
    if command and (numbers := re.findall(r"with external jobid '([^']+)'", text)):
        path = profile / command
        asked(str(path) if path.is_file() else command, *numbers)


def waiting(log: str) -> Counter[str]:
    """Return why jobs wait in SLURM's queue, and how many do: ``Resources`` → 3. Empty where SLURM does not say."""
    names = ",".join(re.findall(r"^SLURM run ID: (\S+)", log, re.MULTILINE))
    if not (names and shutil.which("squeue")):
        return Counter()
    well, told = asked("squeue", "--noheader", "--array", "--states=PENDING", "--format=%r", f"--name={names}")
    return Counter(re.split(r"[,(]", line)[0].strip() for line in told.splitlines()) if well else Counter()


def in_words(reason: str, n: int) -> str:
    """Say why ``n`` jobs wait.

    >>> in_words("Resources", 3)
    '3 jobs wait: Resources (the cluster is busy)'
    """
    meaning = next((words for known, words in REASONS.items() if reason.startswith(known)), "")
    return f"{n} job{'s wait' if n > 1 else ' waits'}: {reason}" + f" ({meaning})" * bool(meaning)


def explained(log: str) -> str:
    """Say what the scheduler refused or stopped, and what to do, from the log of Snakemake; nothing if it did not."""
    matches = [(re.search(message, log), remedy) for message, remedy in MESSAGES.items()]
    found = [f"{match[0]}: {remedy}" for match, remedy in matches if match]
    return f"the scheduler says {'; and '.join(found)}" if found else ""


def main() -> None:
    """Be Snakemake: ``python -m meagan_lib.workflow.cluster ARGUMENTS``; ends when the command that runs it does."""
    from snakemake.cli import main as snakemake

    die_with(os.getppid())
    with suppress(BrokenPipeError):
        snakemake(sys.argv[1:])


if __name__ == "__main__":
    main()
