"""The scan on processors: one compiled pass forward and one backward, on as many threads as PyTorch uses.

Memory never holds all states: the forward pass keeps those before every 32nd step, and the backward pass computes the
others again. numba and the kernels are loaded when they are first needed.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from intermamba.errors import ConfigError
from intermamba.ssm.threads import SINGLE, available, kernels, run, summed

__all__ = ["available", "selective_scan", "supports"]


def supports(u: Tensor, discretisation: str) -> bool:
    """Whether this backend takes such an input: in main memory, of single precision or less, discretised as mamba."""
    return u.device.type == "cpu" and u.dtype in SINGLE and discretisation == "mamba"


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
        of_projection = (-(-channels // kernels().CHANNELS), *B.shape)
        shapes = ((batch, *A.shape), of_projection, of_projection, (batch, channels), (batch, channels))
        parts = [torch.empty(shape) for shape in shapes]
        outputs = (by_u, by_delta, *parts)
        run(kernels().backward, _updates(u, A), [*inputs, ctx.use_softplus, starts, grad, *outputs])
        return by_u, by_delta, *map(summed, parts), None


def _forward(inputs: list[Tensor], use_softplus: bool, keep: bool) -> tuple[Tensor, Tensor]:
    """The output, and the states from which a backward pass starts if they are to be kept."""
    u, _, A, *_ = inputs
    shape = kernels().shape_of_starts(*u.shape, A.shape[1]) if keep else (0,) * 5
    y, starts = torch.empty_like(u), torch.empty(shape)
    run(kernels().forward, _updates(u, A), [*inputs, use_softplus, starts, y])
    return y, starts


def _updates(u: Tensor, A: Tensor) -> int:
    return u.numel() * A.shape[1]
