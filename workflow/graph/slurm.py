"""Additions to Snakemake's Slurm executor: why an attempt ended, and the jobs of a run that was killed.

The reason that an attempt ended is read from its log. Slurm's own state does not give it: the executor runs a stage as
a step of its job, and where a step runs out of memory, the job has merely failed.
"""

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from intermamba.errors import StateError

WANTED = {
    "memory": re.compile(r"oom.kill|out of memory|exceeded memory limit", re.IGNORECASE),
    "minutes": re.compile(r"due to time limit", re.IGNORECASE),
}
"""Slurm's messages in the log of a job that exceeded the memory or time of the profile's ``cluster``."""
LOGS = Path(".snakemake/slurm_logs")
"""The executor's default folder for logs of jobs."""
RULE = "rule_"
"""Beginning of the comments and of the folders of logs of jobs that Snakemake submits."""
NOTICE = 120
"""Seconds before its time limit at which a training is asked to save its state and to be queued again."""
LEFT = 60
"""Seconds that cancelled jobs have to end: twice Slurm's own ``KillWait``."""


@dataclass(frozen=True)
class Submitted:
    """A job as Slurm knows it."""

    id: str
    state: str
    comment: str

    @property
    def alive(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "REQUEUED")


def submitted() -> Iterator[Submitted]:
    """Jobs of this user and this working directory, also finished ones that Slurm remembers.

    Raises:
        StateError: Slurm does not answer.
    """
    for line in _ask("squeue", "--me", "--states=all", "--noheader", "--format=%i|%T|%k|%Z").splitlines():
        job, state, comment, folder = line.split("|", 3)
        if Path(folder) == Path.cwd():
            yield Submitted(job, state, comment)


def factor(want: str, rule: str, wildcards: Sequence[str], since: float, logs: Path | None = None) -> int:
    """Factor on the next attempt's demand: doubled by each attempt ``since`` a time that exceeded it."""
    folder = (logs or LOGS) / f"{RULE}{rule}" / "_".join(wildcards)
    attempts = [log for log in folder.glob("*.log") if log.stat().st_mtime >= since]
    return 2 ** sum(bool(WANTED[want].search(log.read_text(encoding="utf-8", errors="replace"))) for log in attempts)


def cancel_leftovers(sleep: Callable[[float], None] = time.sleep) -> list[str]:
    """Cancel the jobs that a killed run left, so that none runs twice; returns their numbers.

    The caller must hold :func:`workflow.graph.lock.exclusive_slurm`.

    Raises:
        StateError: Slurm does not answer, or the jobs do not end.
    """
    left = _leftovers()
    if not left:
        return []
    _ask("scancel", *left)
    patience = LEFT
    while running := _leftovers():
        if (patience := patience - 1) < 0:
            raise StateError(
                f"jobs of an earlier run do not end: {', '.join(running)}. Look at them with `scontrol show job "
                f"{running[0]}`, and start again when they are gone."
            )
        sleep(1.0)
    return left


def _leftovers() -> list[str]:
    return [job.id for job in submitted() if job.alive and job.comment.startswith(RULE)]


def _ask(*words: str) -> str:
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip()
        raise StateError(f"`{words[0]}` failed: {said}. The profile slurm needs Slurm's commands.") from error
