"""Running the compiled kernels, on as many threads as PyTorch uses."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

SINGLE = (torch.float32, torch.bfloat16, torch.float16)
"""Types that the kernels accept; they compute in float32."""
WORTH_A_THREAD = 1 << 18
"""Updates of a state: some 60 microseconds of work, more than the overhead of another thread."""


@cache
def available() -> bool:
    """Whether numba can be imported."""
    try:
        kernels()
    except ImportError:
        return False
    return True


def compiles(*tensors: Shaped[Tensor, "..."]) -> bool:
    """Whether compiled passes take such tensors: in main memory, in float32 or less."""
    return all(value.device.type == "cpu" and value.dtype in SINGLE for value in tensors) and available()


def kernels() -> ModuleType:
    """The compiled kernels; loads numba."""
    from intermamba.ssm import kernels

    return kernels


def run(kernel: Callable[..., None], updates: int, arguments: Iterable[Tensor | bool | float | None]) -> None:
    """Run a kernel on this thread, and on others if there is enough work.

    Args:
        kernel: a kernel whose threads share its tasks through a counter, its last argument.
        updates: the work, in units of a scan's update of one state.
        arguments: the kernel's arguments before the counter; tensors are read and written in place.
    """
    counter = np.zeros(1, np.int64)
    arrays = [
        (value.detach() if value.requires_grad else value).numpy() if isinstance(value, Tensor) else value
        for value in arguments
    ]
    threads = min(torch.get_num_threads(), updates // WORTH_A_THREAD)
    helpers = [_pool(os.getpid()).submit(kernel, *arrays, counter) for _ in range(threads - 1)]
    kernel(*arrays, counter)
    for helper in helpers:
        if not helper.cancel():  # a thread that has not started has nothing left to do
            helper.result()


def check_channels(x: Float[Tensor, "B E L"], *others: Shaped[Tensor, "_ ..."]) -> None:
    """Refuse shapes with which compiled loops, which do not check bounds, would leave the tensors' memory.

    Raises:
        ValueError: a parameter has another number of channels than ``x``.
    """
    counts = [value.shape[0] for value in others]
    if set(counts) != {x.shape[1]}:
        raise ValueError(f"an input of {x.shape[1]} channels, with parameters of {counts}")


def summed(parts: Float[Tensor, "N ..."]) -> Float[Tensor, "..."]:
    """The sum over the first axis, in numpy's order, for any number of threads."""
    return torch.from_numpy(parts.numpy().sum(0))


@cache
def _pool(process: int) -> ThreadPoolExecutor:  # noqa: ARG001 - threads do not survive a fork
    """Threads for the kernels, which release the interpreter's lock.

    Not numba's own: one of its threading layers aborts when two threads use it, and the others need a library that is
    not in its wheel, or that cannot be used after a fork.
    """
    return ThreadPoolExecutor(os.cpu_count(), "scan")
