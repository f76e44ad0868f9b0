"""Additions to Snakemake's Slurm executor: why an attempt ended, jobs too long for their partition, and the jobs of a
run that was killed.

The reason that an attempt ended is read from its log. Slurm's own state does not give it: the executor runs a stage as
a step of its job, and where a step runs out of memory, the job has merely failed.
"""

import functools
import math
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from intermamba.config import ClusterConfig
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


@functools.cache
def limits() -> dict[str | None, float]:
    """Time limit of each partition in minutes; ``None`` is the default one.

    Raises:
        StateError: Slurm does not answer.
    """
    found: dict[str | None, float] = {}
    for line in _ask("sinfo", "--all", "--noheader", "--format=%P|%l").splitlines():
        name, limit = line.split("|")
        found[name.rstrip("*")] = _minutes(limit)
        if name.endswith("*"):
            found[None] = _minutes(limit)
    return found


def longest(partition: str | None) -> float:
    """Time limit of a job in minutes, in the partition, or list of partitions, that it requests."""
    known = limits()
    return max(known.get(name, math.inf) for name in (partition.split(",") if partition else [None]))


def _minutes(limit: str) -> float:
    """Minutes of a time limit as Slurm writes it: ``[[days-]hours:]minutes:seconds``, or a word for none."""
    days, _, clock = limit.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts):
        return math.inf
    hours, minutes, seconds = (int(part) for part in ["0", "0", *parts][-3:])
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60


def too_long(cluster: ClusterConfig) -> Iterator[str]:
    """Messages on times that exceed the limit of their partition: Slurm would let such a job wait forever."""
    for kind, asked in cluster:
        if asked.minutes > (limit := longest(asked.partition)):
            where = f"partition {asked.partition!r}" if asked.partition else "the default partition"
            yield (
                f"cluster.{kind}.minutes is {asked.minutes}, and {where} allows {limit:.0f}: Slurm may let such jobs "
                "wait forever (PartitionTimeLimit). Set fewer minutes or another partition in params.yaml."
            )


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
