"""State files of jobs: while a stage runs, and after it, a small file beside its log has its host, times and progress.

They are only for ``intermamba status``: nothing depends on them, and where they cannot be written the stage runs on.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

from intermamba import files, processes
from intermamba.errors import InterMambaError
from intermamba.job import Job
from intermamba.progress import SILENT, Meter, Progress

INTERVAL = 30.0
"""Seconds between two signs of life."""


def file(job: Job) -> Path:
    """State file of a job."""
    return Path(f"{job.log}.state.json")


@contextmanager
def reported(job: Job, progress: Progress = SILENT) -> Iterator[Progress]:
    """Keep the state file of ``job`` while it runs; yields the ``progress`` to give to it.

    If there are several processes, the first one writes it.
    """
    if not processes.first():
        yield progress
        return
    state = _Reported(file(job), progress)
    ended = Event()
    Thread(target=state.live, args=(ended,), daemon=True).start()
    try:
        yield state
        state.end("done")
    except KeyboardInterrupt as stop:
        state.end("stopped", " ".join(map(str, stop.args)))
        raise
    except BaseException as error:
        state.end("failed", str(error) if isinstance(error, InterMambaError) else repr(error))
        raise
    finally:
        ended.set()


class _Reported:
    """Passes progress on, and writes it to the state file from time to time."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self._path, self._progress = path, progress
        self._meter: Meter | None = None
        self._facts: dict[str, Any] = {
            "state": "running",
            "host": socket.gethostname(),
            "process": os.getpid(),
            "started": _now(),
            "ended": None,
            "message": "",
        }
        self._written = 0.0
        for left in path.parent.glob(f".{path.stem}.*.part{path.suffix}"):  # of a process that was killed
            left.unlink(missing_ok=True)
        self._write()

    def start(self, total: int, done: int = 0, part: str = "") -> None:
        self._meter = Meter(total, done)
        self._progress.start(total, done, part)
        self._write(part)

    def __call__(self, done: int = 1, note: Callable[[], str] | None = None) -> None:
        if self._meter is not None:
            self._meter.advance(done)
        self._progress(done, note)
        if time.monotonic() - self._written >= INTERVAL:
            self._write(note() if note else "")

    def live(self, ended: Event) -> None:
        """Touch the file until ``ended``: also a long unit of work is a sign of life."""
        while not ended.wait(INTERVAL):
            with suppress(OSError):
                os.utime(self._path)

    def end(self, state: str, message: str = "") -> None:
        self._facts |= {"state": state, "ended": _now(), "message": message}
        self._write()

    def _write(self, note: str = "") -> None:
        meter = self._meter
        counted = {"done": meter.done, "total": meter.total, "left": meter.left} if meter else {}
        with suppress(OSError):
            files.write_json(self._path, self._facts | counted | {"note": note})
        self._written = time.monotonic()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
