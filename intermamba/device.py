"""The torch device of a profile."""

import ctypes
from contextlib import suppress

import torch

KEPT = 1 << 28
"""Bytes of freed memory that a process keeps for its next tensors."""
LARGEST = 1 << 25
"""Bytes of the largest tensor that it keeps memory for: the most that every glibc takes."""


def device_for(accelerator: str) -> torch.device:
    """The GPU if ``accelerator`` is ``auto``, as in ``runtime`` of a profile, and there is one."""
    return torch.device("cuda" if accelerator == "auto" and torch.cuda.is_available() else "cpu")


def prepare_processor(threads: int) -> None:
    """Compute on so many threads, and keep freed memory instead of giving it back to the system.

    A step of sampling frees and takes hundreds of tensors of some megabytes. By default glibc returns such memory, and
    the system has to clear and map each of its pages once more. Other C libraries are left as they are.
    """
    torch.set_num_threads(threads)
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((-1, KEPT), (-3, LARGEST)):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            mallopt(parameter, value)
