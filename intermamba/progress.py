"""Progress of long work, as stages report it."""

import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """Progress of a stage, which calls :meth:`start` first, then the object itself after every unit of work."""

    def start(self, total: int, done: int = 0, part: str = "") -> None:
        """``total`` units of work are to be done, of which an earlier run did ``done``.

        A stage of several parts calls this once for each, with its name.
        """

    def __call__(self, done: int = 1, note: Callable[[], str] | None = None) -> None:
        """``done`` more units are done. ``note`` describes the state of the work; called only when it is displayed."""


class _Silent:
    def start(self, total: int, done: int = 0, part: str = "") -> None:
        pass

    def __call__(self, done: int = 1, note: Callable[[], str] | None = None) -> None:
        pass


SILENT: Progress = _Silent()
"""Shows nothing."""


class Meter:
    """Speed of work, and the time that is left.

    The first unit includes compilation and one-off reading, so the speed is that of the units after it. Units of an
    earlier run count as done, but not for the speed.
    """

    def __init__(self, total: int | None = None, done: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.done, self.resumed = total, done, done
        self._clock = clock
        self._began = self._last = clock()
        self._mark: tuple[float, int] | None = None

    def advance(self, done: int) -> None:
        """Count ``done`` more units."""
        self._last = self._clock()
        self.done += done
        self._mark = self._mark or (self._last, self.done)

    @property
    def elapsed(self) -> float:
        """Seconds since the work began."""
        return self._clock() - self._began

    @property
    def speed(self) -> float | None:
        """Units per second; ``None`` before the second one."""
        if self._mark is None:
            return None
        since, done = self._mark
        return (self.done - done) / (self._last - since) if self._last > since else None

    @property
    def left(self) -> float | None:
        """Seconds for the remaining units at this speed; ``None`` where unknown."""
        return (self.total - self.done) / self.speed if self.total is not None and self.speed else None


def duration(seconds: float) -> str:
    """A time in one or two units: ``45 s``, ``4 min``, ``3 h 20 min``, ``2 d 4 h``."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"
