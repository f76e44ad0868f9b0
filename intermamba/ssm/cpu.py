"""The scan on processors: one compiled pass forward and one backward, on as many threads as PyTorch uses.

Memory never holds all states: the forward pass keeps those before every 32nd step, and the backward pass computes the
others again. numba and the kernels are loaded when they are first needed.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from intermamba.errors import ConfigError

SINGLE = (torch.float32, torch.bfloat16, torch.float16)
WORTH_A_THREAD = 1 << 18
"""Updates of a state: some 60 microseconds of work, more than it costs to hand them to another thread."""


def supports(u: Tensor, discretisation: str) -> bool:
    """Whether this backend takes such an input: in main memory, of single precision or less, discretised as mamba."""
    return u.device.type == "cpu" and u.dtype in SINGLE and discretisation == "mamba"


@cache
def available() -> bool:
    """Whether numba can be imported."""
    try:
        _kernels()
    except ImportError:
        return False
    return True


def selective_scan(
    u: Float[Tensor, "B E L"],
    delta: Float[Tensor, "B E L"],
    A: Float[Tensor, "E N"],
    B: Float[Tensor, "B N L"],
    C: Float[Tensor, "B N L"],
    D: Float[Tensor, " E"] | None,
    delta_bias: Float[Tensor, " E"] | None,
    delta_softplus: bool,
    discretisation: str,
) -> Float[Tensor, "B E L"]:
    """See :func:`intermamba.ssm.selective_scan`. Any strides; the output lies in memory as ``u`` does.

    Raises:
        ConfigError: an input that the backend does not support.
    """
    if not supports(u, discretisation):
        raise ConfigError(
            "selective_scan(backend='cpu') computes in float32 on the CPU with discretisation='mamba'; "
            f"got {u.dtype} on {u.device} with {discretisation!r}. Use backend='auto' or 'reference'."
        )
    absent = A.new_zeros(A.shape[0])
    shortcut, bias = (absent if value is None else value for value in (D, delta_bias))
    _check_shapes(u, delta, A, B, C, shortcut, bias)
    inputs = [value.float() for value in (u, delta, A.contiguous(), B, C, shortcut.contiguous(), bias.contiguous())]
    if torch.is_grad_enabled() and any(value.requires_grad for value in inputs):
        y: Tensor = Scan.apply(*inputs, delta_softplus)
    else:
        y, _ = _forward(inputs, delta_softplus, keep=False)
    return y.to(u.dtype)


def _check_shapes(u: Tensor, *others: Tensor) -> None:
    """Refuse what would lead compiled loops, which do not look, out of the tensors' memory."""
    (batch, channels, length), states = u.shape, others[1].shape[-1]
    projection = (batch, states, length)
    expected = [tuple(u.shape), (channels, states), projection, projection, (channels,), (channels,)]
    shapes = [tuple(value.shape) for value in others]
    if shapes != expected:
        raise ValueError(f"selective_scan: delta, A, B, C, D, delta_bias of shapes {shapes}; u asks for {expected}")


class Scan(torch.autograd.Function):
    """The whole scan at once: softplus, recurrence and shortcut."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Float[Tensor, "B E L"]:
        *inputs, ctx.use_softplus = arguments
        y, starts = _forward(inputs, ctx.use_softplus, keep=True)
        ctx.save_for_backward(*inputs, starts)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "B E L"]) -> tuple[Tensor | None, ...]:
        *inputs, starts = ctx.saved_tensors
        u, delta, A, B, *_ = inputs
        batch, channels, _ = u.shape
        by_u, by_delta = torch.empty_like(u), torch.empty_like(delta)
        of_projection = (-(-channels // _kernels().CHANNELS), *B.shape)
        shapes = ((batch, *A.shape), of_projection, of_projection, (batch, channels), (batch, channels))
        parts = [torch.empty(shape) for shape in shapes]
        _run(_kernels().backward, inputs, ctx.use_softplus, starts, grad, by_u, by_delta, *parts)
        # numpy adds in one order, whatever the number of threads.
        return by_u, by_delta, *(torch.from_numpy(part.numpy().sum(0)) for part in parts), None


def _forward(inputs: list[Tensor], use_softplus: bool, keep: bool) -> tuple[Tensor, Tensor]:
    """The output, and the states from which a backward pass starts if they are to be kept."""
    u, _, A, *_ = inputs
    shape = _kernels().shape_of_starts(*u.shape, A.shape[1]) if keep else (0,) * 5
    y, starts = torch.empty_like(u), torch.empty(shape)
    _run(_kernels().forward, inputs, use_softplus, starts, y)
    return y, starts


def _run(kernel: Callable[..., None], inputs: list[Tensor], use_softplus: bool, *others: Tensor) -> None:
    """Run a kernel on this thread, and on others where the work is worth it; at most as many as PyTorch uses."""
    u, _, A, *_ = inputs
    counter = np.zeros(1, np.int64)
    arrays = [value.detach().numpy() for value in (*inputs, *others)]
    arguments = (*arrays[: len(inputs)], use_softplus, *arrays[len(inputs) :], counter)
    threads = min(torch.get_num_threads(), u.numel() * A.shape[1] // WORTH_A_THREAD)
    helpers = [_pool(os.getpid()).submit(kernel, *arguments) for _ in range(threads - 1)]
    kernel(*arguments)
    for helper in helpers:
        if not helper.cancel():  # one that has not started has nothing left to do
            helper.result()


@cache
def _pool(process: int) -> ThreadPoolExecutor:  # noqa: ARG001 - threads do not survive a fork
    """Threads for the kernels, which release the interpreter's lock.

    Not numba's own: one of its threading layers aborts when two threads use it, and the others need a library that its
    wheel does not bring, or that cannot be used after a fork.
    """
    return ThreadPoolExecutor(os.cpu_count(), "scan")


def _kernels() -> ModuleType:
    from intermamba.ssm import kernels

    return kernels
