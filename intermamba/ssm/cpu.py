"""The scan on CPUs: one compiled pass forward and one backward, on as many threads as PyTorch uses.

Memory never holds all states: the forward pass keeps those before every 32nd step, and the backward pass recomputes the
others. numba and the kernels are loaded when they are first needed.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from intermamba.errors import ConfigError
from intermamba.ssm.inputs import Inputs, flat
from intermamba.ssm.operator import operator
from intermamba.ssm.threads import SINGLE, available, kernels, run, summed

__all__ = ["available", "selective_scan", "supports"]


def supports(u: Float[Tensor, "B E L"], discretisation: str) -> bool:
    """Whether this backend supports an input: in main memory, of single precision or less, discretised as mamba."""
    return u.device.type == "cpu" and u.dtype in SINGLE and discretisation == "mamba"


def selective_scan(scan: Inputs, discretisation: str) -> Float[Tensor, "B E L"]:
    """See :func:`intermamba.ssm.selective_scan`. Any strides; the output has the memory layout of ``u``.

    Shapes must have been checked: compiled loops do not check the tensors' ends.

    Raises:
        ConfigError: an input that the backend does not support.
    """
    u, delta, A, B, C, *vectors, softplus = scan
    if not supports(u, discretisation):
        raise ConfigError(
            "selective_scan(backend='cpu') computes in float32 on the CPU with discretisation='mamba'; "
            f"got {u.dtype} on {u.device} with {discretisation!r}. Use backend='auto' or 'reference'."
        )
    absent = A.new_zeros(A.shape[0])
    shortcut, bias = (absent if value is None else value for value in vectors)
    inputs = [value.float() for value in (u, delta, A.contiguous(), B, C, shortcut.contiguous(), bias.contiguous())]
    keep = torch.is_grad_enabled() and any(value.requires_grad for value in inputs)
    y, _ = _SCAN(*inputs, softplus, keep)
    out: Tensor = y.to(u.dtype)
    return out


def _forward(scan: Inputs, keep: bool) -> tuple[Tensor, Tensor]:
    """The output, and with ``keep`` the states from which the backward pass starts."""
    y, starts = _outputs(scan, keep)
    run(kernels().forward, _updates(scan), [*scan, starts, y])
    return y, starts


def _outputs(scan: Inputs, keep: bool) -> tuple[Tensor, Tensor]:
    shape = kernels().shape_of_starts(*scan.u.shape, scan.A.shape[1]) if keep else (0,) * 5
    return torch.empty_like(scan.u), scan.u.new_empty(shape)


def _backward(scan: Inputs, starts: Tensor, grad: Float[Tensor, "B E L"]) -> tuple[Tensor, ...]:
    """Gradients of all inputs that are tensors."""
    batch, channels, _ = scan.u.shape
    by_u, by_delta = torch.empty_like(scan.u), torch.empty_like(scan.delta)
    projection = (-(-channels // kernels().CHANNELS), *scan.B.shape)
    shapes = ((batch, *scan.A.shape), projection, projection, (batch, channels), (batch, channels))
    parts = [torch.empty(shape) for shape in shapes]
    outputs = (by_u, by_delta, *parts)
    run(kernels().backward, _updates(scan), [*scan, starts, grad, *outputs])
    return by_u, by_delta, *map(summed, parts)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.softplus, _ = inputs
    ctx.save_for_backward(*tensors, output[1])


def _gradients(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    *inputs, starts = ctx.saved_tensors
    return *_SCAN_BACK(*inputs, ctx.softplus, starts, grad), None, None


_INPUTS = "Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor D, Tensor bias, bool softplus"
_SCAN_BACK = operator(
    f"scan_cpu_backward({_INPUTS}, Tensor starts, Tensor grad) -> ({', '.join(['Tensor'] * 7)})",
    flat(_backward),
    lambda u, delta, *parameters: (
        torch.empty_like(u),
        torch.empty_like(delta),
        *(value.new_empty(value.shape) for value in parameters[:5]),
    ),
    device="CPU",
)
_SCAN = operator(
    f"scan_cpu({_INPUTS}, bool keep) -> (Tensor, Tensor)",
    flat(_forward),
    flat(_outputs),
    device="CPU",
    keep=_keep,
    backward=_gradients,
)


def _updates(scan: Inputs) -> int:
    return scan.u.numel() * scan.A.shape[1]
