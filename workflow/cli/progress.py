"""Progress of long work."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(what: str, total: int | None = None, still: bool = False) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal, nothing in a log file.

    A ``still`` bar is drawn only when work is reported done, so that nothing runs beside a measurement.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = sys.stderr.isatty()
    with Progress(*columns, transient=True, disable=not shown, auto_refresh=not still) as bars:
        task = bars.add_task(what, total=total)

        def advance(done: int) -> None:
            bars.advance(task, done)
            if still:
                bars.refresh()

        yield advance
