"""The command line. Heavy modules are imported only when a command runs, so that ``--help`` and no-op runs stay fast;
where a warm process runs the command (:mod:`workflow.graph.warm`), nothing is imported at all.
"""

import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

from workflow.graph import warm


def main() -> None:
    """Entry point: a problem that the user can solve is one message and exit code 2, without a traceback.

    SIGTERM, by which schedulers stop a job, acts like Ctrl-C, and SIGUSR1, by which they announce it, is ignored; but
    a training saves its state on both (:mod:`intermamba.training.stopping`).
    """
    if (place := os.environ.get(warm.PLACE)) and (code := warm.delegate(place)) is not None:
        raise SystemExit(code)

    from intermamba.errors import InterMambaError, system_problem

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        from workflow.cli.commands import app

        app()
    except InterMambaError as error:
        _complain(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        if (problem := system_problem(error)) is None:
            raise
        _complain(problem)


def _complain(message: str) -> NoReturn:
    from rich.console import Console

    with suppress(OSError):  # standard error may go to a full disk
        Console(stderr=True, soft_wrap=True).print(f"error: {message}", style="red", markup=False, highlight=False)
        sys.stderr.flush()
    raise SystemExit(2) from None
