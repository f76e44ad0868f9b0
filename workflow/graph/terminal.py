"""Output of a pipeline run: one line per finished job, the log of a failed one, and the paths of the results.

Snakemake's own messages list every file of a stage and every value of its knobs. They remain for its options
``--dry-run``, ``--verbose``, ``--printshellcmds`` and ``--quiet``, and in ``.snakemake/log``.
"""

import logging
import re
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intermamba.paths import path
from intermamba.progress import duration

NOISE = ("CalledProcessError in file", "no backup found", "Exiting because a job execution failed")
"""Parts of Snakemake's messages that only repeat that a stage failed."""

ADVICE = "For further error details"
"""Beginning of the last part of an executor's message."""

REFUSED = "sbatch failed"
"""Part of the Slurm executor's message on a job that it could not submit; its logs are those of an earlier attempt."""

RETRY = "Trying to restart job"
"""Beginning of Snakemake's message on a failed job that it runs again."""

STOPPING = ("Terminating processes", "Shutting down")
"""Beginnings of Snakemake's messages on Ctrl-C."""

TRACEBACK = "Traceback (most recent call last)"
"""Beginning of Snakemake's message on an exception that neither it nor an executor expects."""

LINES = 20
"""Lines shown from the end of a failed stage's log."""


def take_over(logger: logging.Logger, settings: Any, profile: str) -> None:
    """Replace Snakemake's stream handler by :class:`Terminal`, unless its ``settings`` ask for other output."""
    if settings.dryrun or settings.verbose or settings.printshellcmds or settings.quiet:
        return
    for handler in logger.handlers[:]:
        if handler.name == "DefaultStreamHandler" and isinstance(handler, logging.StreamHandler):
            logger.removeHandler(handler)
            logger.addHandler(Terminal(handler, profile))


class Forecast:
    """Remaining time of a run, from the mean time of each rule's finished jobs."""

    def __init__(self, jobs: Mapping[str, int]) -> None:
        self._jobs = Counter(jobs)
        self._seconds: dict[str, list[float]] = {}

    def finish(self, rule: str, seconds: float) -> None:
        """Note that a job of ``rule`` took ``seconds``."""
        self._seconds.setdefault(rule, []).append(seconds)

    @property
    def total(self) -> int:
        """Number of all jobs."""
        return self._jobs.total()

    @property
    def done(self) -> int:
        """Number of finished jobs."""
        return sum(map(len, self._seconds.values()))

    def left(self, elapsed: float) -> float | None:
        """Seconds left after ``elapsed`` seconds; ``None`` until half of all jobs are of rules whose time is known."""
        if 2 * sum(self._jobs[rule] for rule in self._seconds) < self.total:
            return None
        busy = sum(map(sum, self._seconds.values()))
        mean = {rule: sum(times) / len(times) for rule, times in self._seconds.items()}
        work = sum(
            (count - len(self._seconds.get(rule, ()))) * mean.get(rule, busy / self.done)
            for rule, count in self._jobs.items()
        )
        return work * elapsed / busy  # jobs that run at the same time share it


class Terminal(logging.Handler):
    """Prints Snakemake's events; passes warnings and errors on to the handler that it replaces."""

    def __init__(self, default: "logging.StreamHandler[Any]", profile: str) -> None:
        super().__init__()
        self._default, self._profile = default, profile
        self._running: dict[int, tuple[str, str, float]] = {}
        self._refused: dict[str, list[str]] = {}
        self._forecast, self._began = Forecast({}), time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = record.__dict__
        match str(fields.get("event", "")):
            case "run_info":
                self._plan(fields["stats"])
            case "job_info" if fields["rule_msg"]:
                self._running[fields["jobid"]] = (fields["rule_name"], fields["rule_msg"], time.monotonic())
            case "job_finished" if fields["job_id"] in self._running:
                self._finish(*self._running.pop(fields["job_id"]))
            case "job_error" if fields["jobid"] in self._running:
                self._fail(self._running.pop(fields["jobid"])[1], fields["log"], fields.get("rule_msg"))
            case "job_error":
                pass  # Snakemake repeats them at the end
            case _ if record.getMessage().startswith(RETRY):
                self._print("  Running it again.")
            case _ if any(part in record.getMessage() for part in NOISE):
                pass
            case _ if record.getMessage().startswith(TRACEBACK):
                self._print(_unexpected(record.getMessage()))
            case _ if record.levelno >= logging.WARNING or record.getMessage().startswith(STOPPING):
                self._clear()
                self._default.handle(record)
            case _ if "Nothing to be done" in record.getMessage():
                self._print("\n".join([record.getMessage(), *where(self._profile)]))
        self._status()

    def _plan(self, stats: Mapping[str, int]) -> None:
        self._forecast = Forecast({rule: count for rule, count in stats.items() if rule not in ("all", "total")})
        self._began = time.monotonic()
        total = self._forecast.total
        self._print(
            f"Profile {self._profile}: {total} {'job' if total == 1 else 'jobs'}, logs in {logs(self._profile)}"
        )

    def _finish(self, rule: str, message: str, began: float) -> None:
        now = time.monotonic()
        self._forecast.finish(rule, now - began)
        done, total = self._forecast.done, self._forecast.total
        left = self._forecast.left(now - self._began)
        rest = "" if left is None or done == total else f", about {duration(left)} left"
        self._print(f"[{done:>{len(str(total))}}/{total}] {message}: {duration(now - began)}{rest}")
        if done == total:
            self._print("\n".join([f"Finished in {duration(now - self._began)}.", *where(self._profile)]))

    def _fail(self, message: str, files: list[str], reason: str | None) -> None:
        """Show the first of ``files`` that is not empty: the stage's log, else the batch system's."""
        said = _gist(reason or "")
        if said and said == self._refused.get(message):
            self._print(f"FAILED: {message}, as before")
            return
        self._print("\n    ".join([f"FAILED: {message}", *said]))
        if any(REFUSED in line for line in said):
            self._refused[message] = said
            return
        logs = [file for file in (_in_tree(name, self._profile) for name in files) if file.is_file()]
        texts = [file.read_text(encoding="utf-8", errors="replace").splitlines() for file in logs]
        if not logs:
            return
        file, lines = next(((file, text) for file, text in zip(logs, texts, strict=True) if text), (logs[0], []))
        if not lines and not said:
            lines = ["no message: the process was killed, perhaps because memory ran out"]
        if lines:
            self._print("\n".join(f"    {line}" for line in lines[-LINES:]))
            self._print(f"  (end of {file})")

    def _print(self, text: str) -> None:
        self._clear()
        self._default.stream.write(text + "\n")
        self._default.flush()

    def _status(self) -> None:
        """On a terminal: the running jobs, in a line that the next output replaces."""
        if self._running and self._default.stream.isatty():
            running = "; ".join(message for _, message, _ in self._running.values())
            self._default.stream.write(f"\r\x1b[Krunning: {running}"[: shutil.get_terminal_size().columns])
            self._default.flush()

    def _clear(self) -> None:
        if self._default.stream.isatty():
            self._default.stream.write("\r\x1b[K")


def _in_tree(name: str, profile: str) -> Path:
    """A log's path in the working tree; Snakemake names its place in the store, where there is one, and a remark."""
    _, folder, rest = name.partition(logs(profile))
    return Path(folder + rest.partition(" ")[0]) if "://" in name and folder else Path(name)


def _gist(reason: str) -> list[str]:
    """Lines of an executor's message, without its command (which is indented) and without its advice."""
    lines = [line.partition(ADVICE)[0].rstrip() for line in reason.splitlines() if not line.startswith(" ")]
    return [line for line in lines if line]


def _unexpected(traceback: str) -> str:
    """One message for a traceback: its last exception, which most often is an executor's that reaches no cluster."""
    end = re.split(r"^ .*\n", traceback, flags=re.MULTILINE)[-1].splitlines()
    raised = " ".join(line for line in end if line and not line.startswith("HTTP response headers"))
    plugin = re.search(r"snakemake_executor_plugin_(\w+)", traceback)
    if plugin is None:
        return f"Snakemake failed: {raised}\n  (its traceback is in .snakemake/log)"
    return (
        f"The executor {plugin[1]} failed: {raised}\nCheck that its cluster answers and lets you start jobs; outputs "
        "of finished jobs are kept.\n  (the traceback is in .snakemake/log)"
    )


def logs(profile: str) -> str:
    """Folder of the logs of a profile's stages."""
    return f"results/{profile}/logs"


def where(profile: str) -> list[str]:
    """Paths of those main results that exist."""
    results = {
        "report": path("report", profile=profile),
        "as PDF": path("report_document", profile=profile).with_suffix(".pdf"),
        "tables": path("document", profile=profile).parent,
        "numbers": path("summary", profile=profile),
    }
    return [f"  {name:<8} {place}" for name, place in results.items() if place.exists()]
