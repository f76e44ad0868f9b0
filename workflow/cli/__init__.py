"""The command line. Nothing heavy is imported before a command runs, so that ``--help`` and no-op runs stay fast."""

import os
import signal
import sys

from intermamba.errors import InterMambaError
from workflow.cli.app import app

# The order in which --help lists the groups.
# isort: off
from workflow.cli import use
from workflow.cli import check
from workflow.cli import stages
from workflow.cli import cost

# isort: on

__all__ = ["app", "check", "cost", "main", "stages", "use"]


def main() -> None:
    """Entry point: problems of the user's making are one message and exit code 2, without a traceback.

    What a scheduler stops by SIGTERM ends as if by Ctrl-C.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except InterMambaError as error:
        from rich.console import Console

        Console(stderr=True, soft_wrap=True).print(f"error: {error}", style="red", markup=False, highlight=False)
        sys.stderr.flush()
        raise SystemExit(2) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
