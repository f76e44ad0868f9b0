"""Progress of long work on standard error: a bar on a terminal, lines in a log."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from intermamba.job import Job
from intermamba.progress import Meter, Progress, duration
from workflow.graph.state import reported

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

INTERVAL = 30.0
"""Seconds between two lines of a log: soon enough to see that a stage works, and only 3,000 lines in a day."""
REDRAW = 0.5
"""Seconds between two notes of a bar: legible, and rare enough that reading a loss does not slow a GPU down."""


@contextmanager
def progress(what: str, unit: str = "step", *, still: bool = False, interval: float = INTERVAL) -> Iterator[Progress]:
    """Show the progress of some work: a bar on a terminal, else a line at the start, every ``interval`` and at the end.

    Args:
        what: name of the work, which begins every line.
        unit: what is counted, in the singular.
        still: draw only when progress is reported, so that nothing runs beside a measurement.
        interval: seconds between two lines of a log.
    """
    display = _Bar(what, unit, still) if sys.stderr.isatty() else _Lines(what, unit, interval)
    try:
        yield display
        display.finish()
    finally:
        display.close()


@contextmanager
def job_progress(job: Job, what: str, unit: str, *, still: bool = False) -> Iterator[Progress]:
    """As :func:`progress`, and kept in the state file of ``job``, which ``intermamba status`` shows."""
    with progress(what, unit, still=still) as display, reported(job, display) as advance:
        yield advance


class _Lines:
    """Lines for a log, each written at once."""

    def __init__(self, what: str, unit: str, interval: float) -> None:
        self._what, self._unit, self._interval = what, unit, interval
        self._name, self._started = what, False
        self._note: Callable[[], str] = str
        self._meter, self._shown = Meter(), 0.0

    def start(self, total: int, done: int = 0, part: str = "") -> None:
        self.finish()
        self._begin(Meter(total, done), part)
        resumed = f"resumed at {self._unit} {done} of {total}"
        self._say(resumed if done else self._counted(total))

    def __call__(self, done: int = 1, note: Callable[[], str] | None = None) -> None:
        if not self._started:
            self._begin(Meter())
        self._meter.advance(done)
        self._note = note or str
        due = self._meter.elapsed - self._shown >= self._interval
        if due and self._meter.done != self._meter.total:  # `finish` shows the last one
            self._shown = self._meter.elapsed
            self._show()

    def finish(self) -> None:
        """Print a summary of finished work; nothing if none was begun."""
        if self._started:
            did = self._counted(self._meter.done - self._meter.resumed)
            self._say(_joined(f"done, {did} in {duration(self._meter.elapsed)}", self._note()))
            self._started = False

    def close(self) -> None:
        """Restore the terminal, also after a failure."""

    def _begin(self, meter: Meter, part: str = "") -> None:
        self._name = _joined(self._what, part)
        self._meter, self._note, self._shown, self._started = meter, str, 0.0, True

    def _show(self) -> None:
        self._say(_joined(f"{self._unit} {self._count()}", self._note(), self._speed(), self._left()))

    def _say(self, text: str) -> None:
        sys.stderr.write(f"{self._name}: {text}\n")
        sys.stderr.flush()

    def _count(self) -> str:
        return f"{self._meter.done}" if self._meter.total is None else f"{self._meter.done}/{self._meter.total}"

    def _counted(self, number: int) -> str:
        return f"{number} {self._unit}{'' if number == 1 else 's'}"

    def _speed(self) -> str:
        """Units per second, or seconds per unit where a unit takes longer."""
        speed = self._meter.speed
        if not speed:
            return ""
        return f"{speed:.3g} {self._unit}s/s" if speed >= 1 else f"{1 / speed:.3g} s/{self._unit}"

    def _left(self) -> str:
        left = self._meter.left
        return "" if left is None else f"{duration(left)} left"


class _Bar(_Lines):
    """A bar below its name and note, and the first and last of the lines."""

    def __init__(self, what: str, unit: str, still: bool) -> None:
        super().__init__(what, unit, REDRAW)
        self._still, self._title = still, what
        self._bars: Bars | None = None

    def __call__(self, done: int = 1, note: Callable[[], str] | None = None) -> None:
        super().__call__(done, note)
        if self._bars:
            self._bars.update(self._bars.task_ids[0], completed=self._meter.done, facts=self._facts())
            if self._still:
                self._bars.refresh()

    def finish(self) -> None:
        self.close()
        super().finish()

    def close(self) -> None:
        if self._bars:
            self._bars.stop()
            self._bars = None

    def _begin(self, meter: Meter, part: str = "") -> None:
        super()._begin(meter, part)
        self._title = self._name
        self._bars = _bars(lambda: self._title, self._still)
        self._bars.add_task("", total=meter.total, completed=meter.done, facts=self._facts())
        self._bars.start()

    def _show(self) -> None:
        note = self._note()
        self._title = f"{self._name}: {note}" if note else self._name

    def _facts(self) -> dict[str, str]:
        return {"count": self._count(), "speed": self._speed(), "left": self._left()}


def _bars(title: Callable[[], str], still: bool) -> "Bars":
    """Rich's progress display of one task, with a line above its bar."""
    from rich.console import Console, RenderableType
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.text import Text

    class Titled(Progress):
        def get_renderables(self) -> Iterator[RenderableType]:
            yield Text(title(), no_wrap=True, overflow="ellipsis")
            yield from super().get_renderables()

    texts = [TextColumn(f"{{task.fields[facts][{name}]}}", markup=False) for name in ("count", "speed", "left")]
    columns = (BarColumn(30), *texts[:2], TimeElapsedColumn(), texts[2])
    return Titled(*columns, console=Console(stderr=True), transient=True, auto_refresh=not still)


def _joined(*facts: str) -> str:
    return ", ".join(filter(None, facts))
