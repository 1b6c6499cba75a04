"""Kernels and jobs that are forked from a process which has imported what they import.

A kernel of Jupyter is a process of its own that first imports torch, scipy and scikit-learn: four seconds of a core,
for each notebook of the suite. A job of Snakemake imports as much before it fits a model, and the commands that start
jobs import Snakemake. ``warm_kernels`` in ``fixtures`` starts :func:`serve` once for all workers; :func:`install`
names a kernel ``python3`` and a command ``python`` whose process is :func:`ask`: it hands its environment and its
standard streams over, lives as long as what was forked, and ends as it does. What else the command is given, Python
does as ever.

A forked process has what the server had imported, not what its environment, were it there from the first, would make
of an import. Runs without a home, jobs of a cluster, and the run that ``test_run`` kills start all as users do.
"""

import json
import os
import shlex
import signal
import socket
import sys
import threading
from pathlib import Path

MODULES = {
    "ipykernel_launcher": "ipykernel.kernelapp:launch_new_instance",
    "snakemake": "snakemake.cli:main",
    "meagan_lib.cli": "meagan_lib.cli:main",
    "meagan_lib.workflow.execution": "meagan_lib.workflow.execution:main",
    "meagan_lib.windows.merging": "meagan_lib.windows.merging:main",
    "meagan_lib.experiments.benchmark": "meagan_lib.experiments.benchmark:main",
    "meagan_lib.experiments.sweep": "meagan_lib.experiments.sweep:main",
    "meagan_lib.studies.jobs": "meagan_lib.studies.jobs:main",
}
"""What ``python -m`` does in a forked process: the module, and its function."""
HEAVY = "ipykernel.zmqshell ipywidgets matplotlib.backends.backend_agg torch._dynamo papermill nbconvert nbclient"
"""What these and notebooks import that the library does not name, or in a function only."""


def install(folder: Path, socket_path: Path) -> None:
    """Write the command ``python`` and the kernel ``python3`` into ``folder``, which stands in ``JUPYTER_PATH``."""
    place = folder / "kernels" / "python3"
    place.mkdir(parents=True)
    python = folder / "python"
    words = [sys.executable, "-S", "-E", __file__, "ask", str(socket_path)]
    python.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$0" "$@"\n')
    python.chmod(0o755)
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (place / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))


def serve(path: str, owner: int, ready: Path) -> None:
    """Fork a process for each that connects to the socket at ``path``, until the process ``owner`` has ended.

    The file ``ready`` says that it is.
    """
    import gc
    import importlib
    import shutil

    import psutil

    from meagan_lib.workflow.execution import NOTEBOOKS, library_inputs

    # as a kernel has them when it imports
    os.environ |= {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "JPY_PARENT_PID": str(os.getpid())}
    sys.modules["rfc3987_syntax"] = None  # as in a job
    mains = [function.partition(":")[0] for function in MODULES.values()]
    files = {file for notebook in NOTEBOOKS.rglob("*.ipynb") for file in library_inputs(notebook.stem)}
    modules = [file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in sorted(files)]
    for name in (*mains, *HEAVY.split(), *modules):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what all share is not copied for their collections of garbage
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(path)
        server.listen()
        server.settimeout(1)
        ready.touch()
        while psutil.pid_exists(owner):
            try:
                asking, _ = server.accept()
            except TimeoutError:
                continue
            if not (child := os.fork()):
                server.close()
                be_what_is_asked(asking)
            threading.Thread(target=tell_the_end, args=(asking, child), daemon=True).start()
    shutil.rmtree(Path(path).parent)


def tell_the_end(asking: socket.socket, child: int) -> None:
    """Wait until ``child`` has ended and tell who asked for it its exit code, negative for a signal."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with asking:
        try:
            asking.send(str(code).encode())
        except OSError:  # it has been killed
            return


def be_what_is_asked(asking: socket.socket) -> None:
    """Be what the process that asks would be, with its environment, folder and streams, and end when it has ended."""
    import importlib
    import traceback

    message, streams, _, _ = socket.recv_fds(asking, 1 << 20, 3)
    given = json.loads(message)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(given["environ"])
    os.chdir(given["cwd"])
    sys.executable = given["python"]
    name, function = MODULES[given["module"]].split(":")
    module = importlib.import_module(name)
    sys.argv = [module.__file__, *given["arguments"]]

    def watch() -> None:
        while asking.recv(1):
            os.kill(os.getpid(), signal.SIGINT)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    try:
        code = getattr(module, function)()
    except SystemExit as end:
        code = end.code
    except BaseException:
        code = traceback.format_exc()
    if isinstance(code, str):
        print(code, file=sys.stderr)
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(1 if isinstance(code, str) else code or 0)  # what the server registered for its own exit is not done


def ask(path: str, python: str, arguments: list[str]) -> None:
    """Have a process forked for ``-m module arguments``, pass interrupts on to it, and end as it does.

    It ends with the process that started this one, too, as jobs do.
    """
    if arguments[0] != "-m" or arguments[1] not in MODULES:
        os.execv(sys.executable, [sys.executable, *arguments])
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as forked:
        if forked.connect_ex(path):
            sys.exit("the process that forks the kernels of the tests does not answer: a test may have ended it")
        given = {"environ": dict(os.environ), "cwd": os.getcwd(), "python": python}
        given |= {"module": arguments[1], "arguments": arguments[2:]}
        socket.send_fds(forked, [json.dumps(given).encode()], [0, 1, 2])
        signal.signal(signal.SIGINT, lambda *_: forked.send(b"i"))
        forked.settimeout(0.3)
        while os.getppid() == parent:
            try:
                code = int(forked.recv(10) or b"1")
            except TimeoutError:
                continue
            if code < 0:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                os.kill(os.getpid(), -code)
            sys.exit(code)


if __name__ == "__main__":
    what, path, *rest = sys.argv[1:]
    if what == "serve":
        serve(path, int(rest[0]), Path(rest[1]))
    else:
        ask(path, rest[0], rest[1:])
