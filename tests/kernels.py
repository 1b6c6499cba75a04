"""Kernels that are forked from a process which has imported what notebooks import.

A kernel of Jupyter is a process of its own that first imports torch, scipy and scikit-learn: four seconds of a core,
for each notebook of the suite. ``warm_kernels`` in ``conftest`` starts :func:`serve` once for all workers, and names a
kernel ``python3`` whose process is :func:`ask`: it hands its environment and its standard streams over, and lives as
long as the kernel. Runs without a home, on a cluster as well, start their kernels as users do.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

HEAVY = "ipykernel.kernelapp ipykernel.zmqshell ipywidgets matplotlib.backends.backend_agg torch._dynamo"
"""What kernels import that the library does not name, or in a function only."""


def install(folder: Path, socket_path: Path) -> None:
    """Write the kernel ``python3`` into ``folder``, which stands in ``JUPYTER_PATH``."""
    place = folder / "kernels" / "python3"
    place.mkdir(parents=True)
    command = [sys.executable, "-S", "-E", __file__, "ask", str(socket_path), "-f", "{connection_file}"]
    (place / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))


def serve(path: str, owner: int) -> None:
    """Fork a kernel for each process that connects to the socket at ``path``, until the process ``owner`` has ended."""
    import gc
    import importlib
    import shutil

    import psutil

    from meagan_lib.workflow.execution import NOTEBOOKS, library_inputs

    # as a kernel has them when it imports
    os.environ |= {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "JPY_PARENT_PID": str(os.getpid())}
    files = {file for notebook in NOTEBOOKS.rglob("*.ipynb") for file in library_inputs(notebook.stem)}
    modules = [file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in sorted(files)]
    for name in (*HEAVY.split(), *modules):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what all kernels share is not copied for their collections of garbage
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(path)
        server.listen()
        server.settimeout(1)
        while psutil.pid_exists(owner):
            try:
                asking, _ = server.accept()
            except TimeoutError:
                continue
            if not os.fork():
                server.close()
                be_kernel(asking)
            asking.close()
    shutil.rmtree(Path(path).parent)


def be_kernel(asking: socket.socket) -> None:
    """Be the kernel of the process that asks, with its environment, folder and streams, and end when it has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(asking, 1 << 20, 3)
    given = json.loads(message)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.environ.clear()
    os.environ.update(given["environ"])
    os.chdir(given["cwd"])
    sys.argv = ["ipykernel_launcher", *given["arguments"]]

    def watch() -> None:
        while asking.recv(1):
            os.kill(os.getpid(), signal.SIGINT)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()
    os._exit(0)


def ask(path: str, arguments: list[str]) -> None:
    """Have a kernel forked, pass interrupts on to it, and end with it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as kernel:
        until = time.monotonic() + 50  # less than Jupyter waits
        while kernel.connect_ex(path):  # it still imports
            if time.monotonic() > until:
                sys.exit("the process that forks the kernels of the tests does not answer: a test may have ended it")
            time.sleep(0.05)
        given = {"environ": dict(os.environ), "cwd": os.getcwd(), "arguments": arguments}
        socket.send_fds(kernel, [json.dumps(given).encode()], [0, 1, 2])
        signal.signal(signal.SIGINT, lambda *_: kernel.send(b"i"))
        while kernel.recv(1):
            pass


if __name__ == "__main__":
    serve(sys.argv[2], int(sys.argv[3])) if sys.argv[1] == "serve" else ask(sys.argv[2], sys.argv[3:])
