"""The state of a profile's jobs as tables on a terminal."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from intermamba.progress import duration
from workflow.graph.status import STATES, Status, left

COLOURS = {"running": "cyan", "done": "green", "failed": "red", "lost": "red", "stopped": "yellow"}


def show(profile: str, found: Sequence[Status], *, every: bool = False) -> RenderableType:
    """Counts by stage, and the jobs that run or did not end well; with ``every`` all jobs."""
    chosen = found if every else [one for one in found if one.state not in ("waiting", "done")]
    counts = Counter(one.state for one in found)
    seconds, known = left(found)
    total = ", ".join(f"{counts[name]} {name}" for name in STATES if counts[name])
    rest = (
        f"; {'' if known else 'more than '}{duration(seconds)} left" if counts["done"] < len(found) and seconds else ""
    )
    return Group(_stages(found), *([_jobs(chosen)] if chosen else []), f"Profile {profile}: {total}{rest}.")


def _stages(found: Sequence[Status]) -> Table:
    overview = Table("stage", *STATES)
    for stage in dict.fromkeys(one.stage for one in found):
        counts = Counter(one.state for one in found if one.stage == stage)
        overview.add_row(stage, *(f"[{COLOURS.get(name, 'none')}]{counts[name] or ''}[/]" for name in STATES))
    return overview


def _jobs(found: Sequence[Status]) -> Table:
    overview = Table("job", "state", "since", "host", "progress", "left", "")
    for one in found:
        name = " ".join([one.stage, *one.item.values()])
        progress = "" if one.total is None else f"{one.done}/{one.total}"
        rest = "" if one.left is None else duration(one.left)
        state = f"[{COLOURS.get(one.state, 'none')}]{one.state}[/]"
        said = escape((one.note or one.message)[:200])
        overview.add_row(name, state, _time(one.since), one.host, progress, rest, said)
    return overview


def _time(iso: str) -> str:
    return f"{datetime.fromisoformat(iso).astimezone():%Y-%m-%d %H:%M}" if iso else ""
