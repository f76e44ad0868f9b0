"""Jobs of a profile (waiting, running, done or failed) with start, host and estimated time left."""

import os
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from statistics import mean
from typing import Any, Literal, get_args

import pandas as pd

from intermamba import files, provenance
from intermamba.config import Config
from intermamba.errors import ConfigError, DataError
from intermamba.job import Job
from workflow.graph import state
from workflow.graph.stages import table

State = Literal["waiting", "running", "done", "failed", "stopped", "lost"]
STATES: tuple[State, ...] = get_args(State)
LOST_AFTER = 6 * state.INTERVAL
"""Seconds without a sign of life after which a running job counts as lost."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """State of one job."""

    stage: str
    item: Mapping[str, str]
    state: State
    """``stopped``: interrupted, to be continued. ``lost``: its process disappeared without reporting."""
    host: str = ""
    since: str = ""
    """When it entered this state, ISO 8601."""
    seconds: float | None = None
    """How long a finished job took."""
    left: float | None = None
    """Seconds that it will still take, where known: of a running job at its speed, of a waiting one as long as finished
    jobs of its stage took."""
    done: int | None = None
    total: int | None = None
    note: str = ""
    message: str = ""
    """Last message of a job that did not succeed."""


def statuses(config: Config) -> list[Status]:
    """State of every job of a profile, in the order of the stages."""
    found = [_status(job) for stage in table(config).values() for job in stage.jobs()]
    usual = {stage: mean(times) for stage, times in _seconds(found).items()}
    return [replace(one, left=usual.get(one.stage)) if one.state not in ("running", "done") else one for one in found]


def left(found: Sequence[Status]) -> tuple[float, bool]:
    """Seconds that all jobs will still take, as many at a time as run now, and whether every job's time is known."""
    open_ = [one for one in found if one.state != "done"]
    at_once = max(sum(one.state == "running" for one in open_), 1)
    return sum(one.left or 0.0 for one in open_) / at_once, all(one.left is not None for one in open_)


def report(config: Config, found: Sequence[Status]) -> dict[str, Any]:
    """Everything, for JSON."""
    seconds, known = left(found)
    counts = Counter(one.state for one in found)
    jobs = [asdict(one) | {"item": dict(one.item)} for one in found]
    return {"profile": config.profile, "counts": counts, "left": seconds, "left_known": known, "jobs": jobs}


def learning_curves(config: Config, output: Path) -> None:
    """Draw the validation error of every training so far, also of unfinished ones.

    Raises:
        ConfigError: ``output`` is neither pdf nor png.
        DataError: no training has validated yet.
    """
    from intermamba.models import find
    from workflow.figures import FORMATS
    from workflow.figures.learning import errors_of, learning
    from workflow.figures.style import save, themed
    from workflow.results.aggregate import gather_losses

    if output.suffix[1:] not in FORMATS:
        raise ConfigError(f"--curves {output}: the name must end in {' or '.join(f'.{one}' for one in FORMATS)}.")
    logs = {}
    for job in table(config)["train"].jobs():
        log = job["training_log"]
        for place in (log, log.parent / "resume" / log.name):
            if place.exists():
                logs[place] = (job.dataset, job.variant, int(job.item["seed"]))
                break
    curves = gather_losses(logs) if logs else pd.DataFrame()
    if curves.empty:
        raise DataError(f"profile {config.profile!r}: no training has validated yet, so there is nothing to draw.")
    rows = {name: find(name) for name in dict.fromkeys(curves["method"])}
    with themed():
        figure = learning(
            curves, errors_of(rows, config), lambda name: rows[name].label, config.origins, config.profile
        )
        save(figure, output)


def _status(job: Job) -> Status:
    what: dict[str, Any] = {"stage": job.stage, "item": job.item}
    last = _last(job)
    alive = last.get("state") == "running" and _alive(last, state.file(job))
    if alive:
        what |= {name: last.get(name) for name in ("done", "total", "left", "note")}
        return Status(state="running", host=last["host"], since=last["started"], **what)
    if all(path.exists() for path in job.writes):
        record = provenance.read(job.record)
        ended = last["ended"] if last.get("state") == "done" else _ended(record)
        host = last["host"] if last.get("state") == "done" else ""
        return Status(state="done", host=host, since=ended, seconds=record["wall_seconds"], **what)
    match last.get("state"):
        case None | "done":
            return Status(state="waiting", **what)
        case "running":
            return Status(state="lost", host=last["host"], since=_touched(state.file(job)), **what)
        case other:
            return Status(state=other, host=last["host"], since=last["ended"], message=last["message"], **what)


def _ended(record: Mapping[str, Any]) -> str:
    ended = datetime.fromisoformat(record["started"]) + timedelta(seconds=record["wall_seconds"])
    return ended.isoformat(timespec="seconds")


def _last(job: Job) -> dict[str, Any]:
    """What the state file of a job says; nothing if there is none, or it is not readable."""
    try:
        found: dict[str, Any] = files.read_json(state.file(job))
    except (OSError, DataError):
        return {}
    return found


def _alive(last: Mapping[str, Any], place: Path) -> bool:
    if time.time() - place.stat().st_mtime > LOST_AFTER:
        return False
    return last["host"] != socket.gethostname() or _exists(last["process"])


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _touched(place: Path) -> str:
    return datetime.fromtimestamp(place.stat().st_mtime).astimezone().isoformat(timespec="seconds")


def _seconds(found: Sequence[Status]) -> dict[str, list[float]]:
    """Times of finished jobs, by stage."""
    times: dict[str, list[float]] = {}
    for one in found:
        if one.seconds is not None:
            times.setdefault(one.stage, []).append(one.seconds)
    return times
