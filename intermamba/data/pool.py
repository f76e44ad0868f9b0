"""Work on many clips in several processes."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from intermamba.errors import StateError

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 16
"""Items sent to a process at once."""
AHEAD = 4
"""Chunks in work or waiting a process: enough to keep it busy, few enough for memory to stay small."""


def in_order(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Generator[Result]:
    """``work`` of each item, in the order of the items; in this process if ``workers`` is 0.

    ``work`` and items travel by pickle. Processes are started afresh (not forked), so they share no state and no
    threads with this one.

    Raises:
        StateError: a process was killed, as the system does when memory runs out.
    """
    if not workers:
        yield from map(work, items)
        return
    pending: deque[Future[list[Result]]] = deque()
    rest = iter(items)
    pool = ProcessPoolExecutor(workers, get_context("spawn"))
    try:
        while chunk := list(islice(rest, CHUNK)):
            pending.append(pool.submit(_each, work, chunk))
            if len(pending) > AHEAD * workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    except BrokenProcessPool as error:
        raise StateError(
            f"One of {workers} processes was killed, perhaps for want of memory. Lower runtime.workers in params.yaml."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _each(work: Callable[[Item], Result], chunk: list[Item]) -> list[Result]:
    return [work(item) for item in chunk]
