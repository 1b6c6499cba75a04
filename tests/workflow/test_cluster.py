"""A run on a real SLURM of one node and two cores gives the bits of a local run, whatever dies on the way."""

import fcntl
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml

from meagan_lib import ROOT, InputError
from meagan_lib.parameters import check, resolve
from meagan_lib.workflow import cluster, figures, machine
from meagan_lib.workflow.execution import RESULTS
from meagan_lib.workflow.files import read_json, sha256
from meagan_lib.workflow.graph import write_parameters
from tests.fixtures import forget, graph, spikes, without_home

LOCAL, REMOTE = "test-local", "test-cluster"
FIRST, SECOND = "01_preprocessing", "02_transformer_gan"
CONF = Path("/etc/slurm/slurm.conf")
"""The plugin for SLURM starts steps of jobs without SLURM_CONF, so that the file has to lie where SLURM looks."""
OURS = "# of a test of MEAGAN\n"
DAEMONS = ("munged", "slurmctld", "slurmd")
UP = ("idle", "mixed", "allocated")


def configuration(folder: Path) -> str:
    """One node of two cores without accounting; everything but this file lies in ``folder``."""
    ports = []
    with ExitStack() as stack:
        for _ in range(2):
            bound = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            ports.append(bound.getsockname()[1])
    return f"""{OURS}ClusterName=meagan
SlurmctldHost={socket.gethostname().split(".")[0]}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1
ReturnToService=2
MinJobAge=86400
KillWait=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName=localhost CPUs=2 RealMemory=16000
PartitionName=main Nodes=ALL Default=YES MaxTime=600
"""


def require_slurm() -> None:
    """Skip where a SLURM cannot be started, or must not."""
    if missing := [name for name in (*DAEMONS, "sbatch") if not shutil.which(name)]:
        pytest.skip(f"{', '.join(missing)} not installed: apt-get install slurm-wlm munge")
    if os.geteuid():
        pytest.skip("a SLURM for the test needs root")
    if CONF.exists() and not CONF.read_text().startswith(OURS):
        pytest.skip(f"{CONF} is there and not of this test: this machine belongs to a cluster")


def end_leftovers(conf) -> None:
    """End the daemons of a test that was killed, whose configuration is still there."""
    conf.seek(0)
    for state in re.findall(r"^StateSaveLocation=(.+)$", conf.read(), re.MULTILINE):
        for path in Path(state).parent.glob("*.pid"):
            with suppress(psutil.NoSuchProcess, ValueError):
                process = psutil.Process(int(path.read_text()))
                if process.name() in DAEMONS:
                    process.kill()


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A SLURM that is up; it ends with the tests, and so does one that a killed test left."""
    require_slurm()
    folder = tmp_path_factory.mktemp("slurm")
    CONF.parent.mkdir(exist_ok=True)
    with ExitStack() as stack:
        conf = stack.enter_context(open(CONF, "a+"))
        try:
            fcntl.flock(conf, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.skip("another test has its SLURM on this machine")
        stack.callback(CONF.unlink, missing_ok=True)
        end_leftovers(conf)
        conf.truncate(0), conf.write(configuration(folder)), conf.flush()
        for place in ("state", "spool"):
            (folder / place).mkdir()
        key = folder / "munge.key"
        key.write_bytes(os.urandom(1024)), key.chmod(0o400)
        files = {"socket": "munge.socket", "pid-file": "munge.pid", "log-file": "munge.log", "seed-file": "munge.seed"}
        munge = [f"--{option}={folder / file}" for option, file in files.items()]
        commands = [
            ["munged", "--foreground", "--force", f"--key-file={key}", *munge],
            ["slurmctld", "-D"],
            ["slurmd", "-D", "-N", "localhost"],
        ]
        for command in commands:
            log = stack.enter_context(open(folder / f"{command[0]}.out", "w"))
            daemon = subprocess.Popen(command, stdout=log, stderr=log)
            stack.callback(daemon.wait)
            stack.callback(daemon.terminate)
        deadline = time.monotonic() + 30
        while asked("sinfo", "--noheader", "--format=%T") != "idle":
            if time.monotonic() > deadline:
                logs = "".join(path.read_text()[-1000:] for path in folder.glob("*.out"))
                pytest.skip(f"a SLURM cannot be started on this machine: {logs}")
            time.sleep(0.2)
        yield


@pytest.mark.parametrize(
    "options, sentence",
    [
        (
            "executor: lsf",
            "needs snakemake-executor-plugin-lsf, which is not installed: pip install snakemake-executor",
        ),
        ("executor: [slurm", "config.yaml is not YAML"),
        ("slurm", "holds no options"),
        (
            "executor: cluster-generic\ncluster-generic-submit-cmd: no-such-qsub -q x",
            "there is no no-such-qsub on this",
        ),
        ("executor: slurm", "SLURM does not answer \\(sinfo: error: Unable to contact.*run again when"),
    ],
)
def test_a_profile_that_cannot_be_used_is_refused_with_the_remedy(tmp_path, monkeypatch, options, sentence):
    for name in ("sbatch", "sinfo"):  # of a cluster that is down
        command = tmp_path / name
        command.write_text(f"#!/bin/sh\necho '{name}: error: Unable to contact slurm controller' >&2; exit 1\n")
        command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text(options)
    with pytest.raises(InputError, match=sentence):
        cluster.ready_profile("mine")


def test_profiles_of_the_checkout_and_of_snakemake_are_found_by_name(tmp_path, monkeypatch):
    (tmp_path / "sge").mkdir()
    (tmp_path / "sge" / "config.v8+.yaml").write_text("jobs: 3")
    monkeypatch.setattr(cluster, "OF_SNAKEMAKE", (tmp_path,))
    for name in ("slurm", "cluster-generic", "sge"):
        assert cluster.find_profile(name).name == name and cluster.options(cluster.find_profile(name))["jobs"] > 2
    with pytest.raises(InputError, match="did you mean 'sge'.*choose one of cluster-generic, sge, slurm"):
        cluster.find_profile("sgee")


def test_what_slurm_says_is_told_with_the_remedy_and_stands_on_the_page():
    page = (ROOT / "book" / "pages" / "cluster.md").read_text()
    for message in (*cluster.MESSAGES, *cluster.REASONS):
        assert re.search(message, page), message
    log = "SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: x'\n"
    assert cluster.explained(log) == (
        "the scheduler says invalid partition: write a slurm_partition that sinfo lists into the profile"
    )
    assert cluster.explained("MissingInputException: gone.py") == ""


def test_a_job_of_a_cluster_has_its_own_cores_and_caches_that_go_with_it(tmp_path, monkeypatch):
    """Also a process that it starts, such as the kernel of a notebook; a local job keeps its caches in the checkout."""
    shown = "import os, matplotlib, numba; from jupyter_core.paths import jupyter_runtime_dir as j; print(*"
    shown += "[matplotlib.get_cachedir(), j(), numba.config.CACHE_DIR, os.environ['IPYTHONDIR']], sep='\\n')"
    monkeypatch.setattr(machine.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv(machine.REMOTE, raising=False)
    before = dict(os.environ)
    with machine.place_of_its_own():
        assert dict(os.environ) == before
    monkeypatch.setenv(machine.REMOTE, "1")
    with machine.place_of_its_own():
        assert machine.available_cores() == 3
        told = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, cwd=ROOT).stdout.split()
    assert [path.startswith(str(tmp_path)) for path in told] == [True] * 4
    assert not list(tmp_path.iterdir())


def asked(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def queued() -> list[str]:
    """Numbers of the jobs that wait or run."""
    return asked("squeue", "--noheader", "--array", "--format=%i").split()


def of_second(what: str, states: str) -> list[str]:
    """What squeue says of the jobs of notebook 2 in some states."""
    lines = asked("squeue", "--noheader", f"--states={states}", f"--format={what} %k").splitlines()
    return [line.split()[0] for line in lines if line.endswith(SECOND)]


def wait_for(what, process: subprocess.Popen, seconds: float = 200):
    """What ``what`` returns as soon as that is something, while a run goes."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def parameters(tmp_path_factory):
    """Of a run of notebooks 1 and 2 on two small recordings, cut elsewhere; by name of the run."""
    folder, names = tmp_path_factory.mktemp("recordings"), (LOCAL, REMOTE)
    for seed, label in enumerate("ab"):
        np.savez(folder / f"{label}.npz", windows=spikes(400, seed=seed), sampling_rate_hz=20_000)
    given = ["merge.split_by=time", f"{FIRST}.min_train_windows=100", f"{SECOND}.steps=60"]
    asked_for = resolve("smoke", [str(folder / f"{label}.npz") for label in "ab"], given)
    for name in names:
        forget(name)
        kept = {section: dict(asked_for[section]) for section in (FIRST, "merge", SECOND)}
        write_parameters(name, check(name, kept))
    yield
    for name in names:
        forget(name)


@pytest.fixture(scope="module")
def profiles(tmp_path_factory):
    """The profiles of the checkout, which look at the queue more often than a cluster would like."""
    impatient = {"slurm": "slurm-init-seconds-before-status-checks", "cluster-generic": "seconds-between-status-checks"}
    for name, option in impatient.items():
        folder = shutil.copytree(cluster.PROFILES / name, tmp_path_factory.mktemp("profiles") / name)
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {option: 1}))
        impatient[name] = str(folder)
    return impatient


def run(profile: str, env: dict[str, str] | None = None) -> subprocess.Popen:
    """``meagan run --profile`` for the run whose parameters are written."""
    code = f"""from meagan_lib.workflow import graph
with graph.exclusive({REMOTE!r}):
    graph.remove_stale({REMOTE!r})
    graph.run_graph({REMOTE!r}, None, {profile!r})"""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=env, **pipes)


def node(state: str) -> None:
    """Set the state of the node; one that was down may be back by itself before it is told to."""
    command = ["scontrol", "update", "nodename=localhost", f"state={state}", "reason=test"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 or (state == "resume" and asked("sinfo", "-h", "--format=%T") in UP), done.stderr


def products(name: str) -> dict[str, str]:
    """SHA-256 of everything that a run has written, by receipt and file, and of its pictures."""
    folder, pictures = RESULTS / name, figures.folder(name)
    found = {path.relative_to(pictures).as_posix(): sha256(path) for path in pictures.rglob("*.png")}
    for path in [*folder.glob("receipts/*.json"), *folder.glob("recordings/*/receipts/*.json")]:
        found |= {f"{path.relative_to(folder)} {file}": hash for file, hash in read_json(path)["products"].items()}
    return {name: hash for name, hash in found.items() if not name.endswith("cost.json")}  # it holds seconds


def test_an_interrupt_cancels_the_jobs_that_wait_and_says_why_they_did(slurm, parameters, profiles):
    node("drain")
    try:
        going = run(profiles["slurm"])
        wait_for(lambda: len(queued()) == 2, going)
        time.sleep(1)
        going.send_signal(signal.SIGINT)
        told, _ = going.communicate(timeout=20)
    finally:
        node("resume")
    assert "its jobs in the queue are cancelled" in told and going.returncode
    assert queued() == []


def test_a_run_on_a_cluster_gives_the_bits_of_a_local_one_though_jobs_and_nodes_die(
    slurm, parameters, profiles, warm_kernels
):
    """The recordings by the plugin for SLURM, without a home, and what follows by the commands of SLURM.

    Jobs without a home start their kernels as users do.
    """
    local = threading.Thread(target=lambda: graphs.append(graph(LOCAL, python=warm_kernels)))
    graphs: list[subprocess.CompletedProcess] = []
    local.start()
    folder = RESULTS / REMOTE
    receipts = [folder / "recordings" / label / "receipts" / f"{FIRST}.json" for label in "ab"]
    going = run(profiles["slurm"], without_home(HOME="/proc/nowhere"))
    wait_for(lambda: len(asked("squeue", "-h", "--array", "--states=CD", "--format=%i").split()) == 2, going)
    going.send_signal(signal.SIGINT)
    told, _ = going.communicate(timeout=20)
    assert f"{FIRST} a done in" in told and f"{FIRST} b on {platform.node()} …" in told

    made = [path.stat().st_mtime_ns for path in receipts]
    going = run(profiles["cluster-generic"])
    (job,) = wait_for(lambda: of_second("%i", "RUNNING"), going)
    subprocess.run(["scancel", job], check=True)
    wait_for(lambda: set(of_second("%i", "RUNNING")) - {job}, going)  # the first may have had its checkpoint already
    wait_for((folder / "transformer_gan" / "checkpoint.pt").exists, going)
    node("down")
    assert not (folder / "receipts" / f"{SECOND}.json").exists()
    node("resume")
    told, complaint = going.communicate(timeout=200)
    assert going.returncode == 0, told + complaint + (folder / "snakemake.log").read_text()
    assert f"{SECOND} done in" in told and queued() == []
    assert [path.stat().st_mtime_ns for path in receipts] == made
    states = of_second("%T", "all")
    assert sorted(states) == ["CANCELLED", "COMPLETED", "NODE_FAIL"]
    assert not [*folder.rglob(".*.part"), *folder.glob(".staging/*"), *folder.glob(".progress/*")]

    local.join()
    assert graphs[0].returncode == 0, graphs[0].stderr
    assert products(REMOTE) == products(LOCAL) and len(products(LOCAL)) > 10
