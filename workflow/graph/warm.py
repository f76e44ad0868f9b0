"""A process that has imported the modules of all stages and forks for each stage of a pipeline run.

A stage takes seconds to import torch and Lightning, and a run has a hundred stages. The Snakefile starts this process
where there is enough to do, and names its socket in :data:`PLACE`. The command ``intermamba`` then imports nothing: it
sends its command line, folder, environment and standard streams, passes signals on, and ends with the exit code of the
fork that ran it. If ``intermamba`` is killed, so is the fork. Without the variable, or if the process is gone, a
command runs as usual.

Modules are imported one by one between requests, so that a stage waits for at most one of them.
"""

import gc
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Thread

PLACE = "INTERMAMBA_WARM"
"""Environment variable with the path of the socket."""

WORTH = 4
"""Number of jobs from which on the process is worth starting."""

FIRST = ("workflow.cli.commands",)
"""Modules that every command imports."""
LAST = ("torch._dynamo", "intermamba.ssm.kernels")
"""Modules that stages import while they run: the first for every optimiser, the second for InterMamba on a CPU."""

KILLED = 128 + signal.SIGKILL
"""Exit code, as in shells, of a fork that ended without reporting one."""

_LIBRARIES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

_STARTED: list["subprocess.Popen[bytes]"] = []
"""Processes started here, kept because one whose standard input is closed ends."""


def available() -> bool:
    """Whether this system has the required calls, as Linux does."""
    return hasattr(os, "pidfd_open")


def start(modules: Iterable[str], threads: int) -> None:
    """Start the process for commands that this one starts; it ends with this one, or with its last stage.

    Args:
        modules: modules of the stages, in the order in which they run.
        threads: number of threads of numerical libraries, which read it when they are imported.
    """
    place = Path(tempfile.mkdtemp(prefix="intermamba-")) / "socket"  # only this user may enter the folder
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen(64)
        process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(place), str(listener.fileno()), *FIRST, *modules, *LAST],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | dict.fromkeys(_LIBRARIES, str(threads)),
            pass_fds=(listener.fileno(),),
            start_new_session=True,  # Ctrl-C reaches a stage through its command, once
        )
    _STARTED.append(process)
    os.environ[PLACE] = str(place)


def delegate(place: str) -> int | None:
    """Run this process's command through the socket at ``place``; its exit code, or ``None`` if nothing listens."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(place)
    except OSError:
        return None
    environment = {name: value for name, value in os.environ.items() if name != PLACE}
    request = {"arguments": sys.argv, "folder": str(Path.cwd()), "environment": environment}
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    waiting = signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # their bytes follow the request
    for number in signals:
        signal.signal(number, lambda number, _: connection.sendall(bytes([number])))
    socket.send_fds(connection, [b"\n"], [0, 1, 2])
    connection.sendall(json.dumps(request).encode() + b"\n")
    signal.pthread_sigmask(signal.SIG_SETMASK, waiting)
    return int(connection.makefile().readline() or KILLED)


def serve(listener: socket.socket, modules: Iterable[str]) -> socket.socket | None:
    """Fork for every connection until standard input ends; returns it in each fork, and ``None`` at the end."""
    waiting = deque(modules)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    with listener:
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [], 0 if waiting else None)
            if listener in ready:
                connection, _ = listener.accept()
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    return connection
                connection.close()
            elif ready:
                return None
            else:
                _import(waiting.popleft())


def become(connection: socket.socket) -> None:
    """Run, as this process, the command that comes over ``connection``."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("rb", buffering=0) as lines:  # what follows the request are signals
        request = json.loads(lines.readline())
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    sys.argv = request["arguments"]
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    random.seed()
    Thread(target=_obey, args=(connection,), daemon=True).start()

    from workflow.cli import main

    code = 1
    try:
        main()
        code = 0
    except SystemExit as stop:
        if isinstance(stop.code, str):
            sys.stderr.write(f"{stop.code}\n")
        else:
            code = stop.code or 0
    except BaseException:  # Python would print it later, when the command has its answer and has closed the connection
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(f"{code}\n".encode())


def _obey(connection: socket.socket) -> None:
    """Send this process the signals that arrive over ``connection``, and kill it when the connection closes."""
    while number := connection.recv(1):
        os.kill(os.getpid(), number[0])
    os.kill(os.getpid(), signal.SIGKILL)


def _import(module: str) -> None:
    with suppress(Exception):  # the stage that needs it reports the error
        import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a fork would touch, and so copy, every object


if __name__ == "__main__":
    place = Path(sys.argv[1])
    asked = serve(socket.socket(fileno=int(sys.argv[2])), sys.argv[3:])
    if asked:
        become(asked)
    else:
        shutil.rmtree(place.parent)
