"""Times of functions that take turns, their peak memory, and the growth of their cost."""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from scipy import stats
from torch.profiler import ProfilerActivity, profile

Key = TypeVar("Key", bound=Hashable)
Call = Callable[[], object]


class Taken(NamedTuple):
    """Seconds of a call: elapsed, and the process's own."""

    wall: float
    cpu: float


def interleaved(sides: Mapping[Key, Call], repeats: int, seconds: float, device: str) -> dict[Key, list[Taken]]:
    """Times of every call, after one warm-up call of each.

    The functions take turns ``repeats`` times; one that has used up its ``seconds`` (elapsed) skips further rounds, and
    one that does not fit into a GPU's memory has no times.
    """
    taken: dict[Key, list[Taken]] = {name: [] for name in sides}
    fitting = {name: call for name, call in sides.items() if _fits(call)}
    for _ in range(repeats):
        for name, call in fitting.items():
            if sum(one.wall for one in taken[name]) < seconds:
                start = _now(device)
                call()
                end = _now(device)
                taken[name].append(Taken(end.wall - start.wall, end.cpu - start.cpu))
    return taken


def elapsed(taken: Sequence[Taken]) -> dict[str, Any]:
    """:func:`summary` of the elapsed times."""
    return summary([one.wall for one in taken])


def summary(seconds: Sequence[float]) -> dict[str, Any]:
    """``seconds_median``, the quartiles ``seconds_q1`` and ``seconds_q3``, and ``runs``; empty where nothing ran."""
    lower, median, upper = np.quantile(seconds, [0.25, 0.5, 0.75]) if len(seconds) else (np.nan,) * 3
    return {"seconds_median": median, "seconds_q1": lower, "seconds_q3": upper, "runs": len(seconds)}


def unmeasured(where: str, device: str) -> str:
    """Why there are no times of a device ``where``, after a run on ``device``."""
    return "not measured: out of memory" if where == device else f"not measured: ran on {device}"


def peak(call: Call, device: str) -> int:
    """Peak bytes of tensors during a call, beyond those that existed before."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        call()
    assert trace.profiler is not None
    assert trace.profiler.kineto_results is not None
    events = [event for event in trace.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        highest = max(highest, held)
    return highest


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> tuple[float, float]:
    """``p`` of ``seconds ~ sizes ** p``, least squares in logarithms, and its standard error."""
    fit = stats.linregress(np.log(sizes), np.log(seconds))
    return float(fit.slope), float(fit.stderr)


def _fits(call: Call) -> bool:
    try:
        call()
    except torch.OutOfMemoryError:
        return False
    return True


def _now(device: str) -> Taken:
    if device == "cuda":
        torch.cuda.synchronize()
    return Taken(time.perf_counter(), time.process_time())
