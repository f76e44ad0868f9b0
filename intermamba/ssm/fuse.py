"""Fused passes on CPUs: the end of ASTM, after its branches, and LIIA; for sampling, the scan with its step sizes."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from intermamba.ssm import threads
from intermamba.ssm.operator import operator

WORK = 2
"""Cost of a value, in updates of a scan's state."""


def samples(*tensors: Shaped[Tensor, "..."]) -> bool:
    """Whether no gradient is needed and all tensors are in main memory, in float32."""
    return not torch.is_grad_enabled() and _fits(tensors)


def takes(*tensors: Shaped[Tensor, "..."]) -> bool:
    """Whether the passes over (B, T, D) take such tensors: in main memory, in float32, with D a multiple of 16."""
    return _fits(tensors) and tensors[0].shape[-1] % 16 == 0


def _fits(tensors: tuple[Tensor, ...]) -> bool:
    return all(value.device.type == "cpu" and value.dtype == torch.float32 for value in tensors) and threads.available()


def scan_of_product(
    u: Float[Tensor, "B E L"],
    weight: Float[Tensor, "B E R"],
    low: Float[Tensor, "B R L"],
    A: Float[Tensor, "E N"],
    B: Float[Tensor, "B N L"],
    C: Float[Tensor, "B N L"],
    D: Float[Tensor, " E"],
    bias: Float[Tensor, " E"],
) -> Float[Tensor, "B E L"]:
    """:func:`~intermamba.ssm.selective_scan` with ``softplus(weight @ low + bias)`` for step sizes, never written."""
    y: Tensor = _SCAN(u, weight, low, A.contiguous(), B, C, D.contiguous(), bias.contiguous())
    return y


def gated_sum(
    temporal: Float[Tensor, "B T D"],
    spatial: Float[Tensor, "B T D"],
    gate: Float[Tensor, "B T D"],
    gate_bias: Float[Tensor, " D"],
    weights: tuple[Float[Tensor, " D"], Float[Tensor, " D"], Float[Tensor, " T"], Float[Tensor, " T"]],
    alpha: Float[Tensor, ""],
    beta: Float[Tensor, ""],
    real: Bool[Tensor, "B T"],
    eps: float,
) -> Float[Tensor, "B T D"]:
    """``(alpha norm(temporal) + beta norm(spatial)) silu(gate + gate_bias)``.

    ``temporal`` is normalised over features, ``spatial`` over real frames; ``weights`` are weight and bias of either.
    """
    values = (value.float().contiguous() for value in (temporal, spatial, gate, gate_bias, *weights))
    z: Tensor = _BRANCHES(*values, alpha.reshape(1), beta.reshape(1), real.contiguous(), eps)[0]
    return z


def aggregate(
    h: Float[Tensor, "Q T D"],
    scale: Float[Tensor, "B 2*D"],
    shift: Float[Tensor, "B 2*D"],
    filters: tuple[Float[Tensor, "2 2 1 1"], Float[Tensor, " 2"], Float[Tensor, "1 2 3 3"], Float[Tensor, " 1"]],
    real: Bool[Tensor, "B T"],
    eps: float,
) -> Float[Tensor, "B T D"]:
    """The pair's features normalised together, modulated, and convolved by ``filters``: weight and bias, twice."""
    point, point_bias, local, local_bias = filters
    shaped = (point.reshape(2, 2), point_bias, local.reshape(2, 3, 3), local_bias)
    values = (value.float().contiguous() for value in (h, scale, shift, *shaped))
    y: Tensor = _AGGREGATE(*values, real.contiguous(), eps)
    return y


def _scan(u: Tensor, weight: Tensor, low: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor) -> Tensor:
    y = torch.empty_like(u)
    threads.run(threads.kernels().forward_of_product, u.numel() * A.shape[1], (u, weight, low, A, B, C, D, bias, y))
    return y


def _branches(
    temporal: Tensor,
    spatial: Tensor,
    gate: Tensor,
    gate_bias: Tensor,
    weight_t: Tensor,
    bias_t: Tensor,
    weight_s: Tensor,
    bias_s: Tensor,
    alpha: Tensor,
    beta: Tensor,
    real: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The result, and mean and inverse deviation of the spatial branch."""
    z, mean, scale = _like_branches(temporal)
    kernels, work = threads.kernels(), WORK * z.numel()
    threads.run(kernels.frame_statistics, work, (spatial, real, eps, mean, scale))
    parameters = (weight_t, bias_t, weight_s, bias_s, alpha, beta)
    threads.run(kernels.branches, 2 * work, (temporal, spatial, gate, mean, scale, gate_bias, *parameters, eps, z))
    return z, mean, scale


def _like_branches(temporal: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    batch, features = len(temporal), temporal.shape[2]
    return torch.empty_like(temporal), temporal.new_empty(batch, features), temporal.new_empty(batch, features)


def _branches_backward(
    rows: list[Tensor], statistics: list[Tensor], parameters: list[Tensor], real: Tensor, eps: float, grad: Tensor
) -> list[Tensor]:
    """Gradients of ``rows`` and ``parameters``, the arguments of :func:`_branches` before ``real``."""
    by_rows = [torch.empty_like(value) for value in rows]
    parts = [torch.empty(len(grad), len(value)) for value in parameters]
    arguments: list[Tensor | float] = [*rows, *statistics, *parameters, real, eps, grad, *by_rows, *parts]
    threads.run(threads.kernels().branches_backward, 4 * WORK * grad.numel(), arguments)
    return [*by_rows, *map(threads.summed, parts)]


def _keep_branches(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.eps = inputs
    ctx.save_for_backward(*tensors, *output[1:])


def _branches_gradients(ctx: Any, grad: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    *values, real, mean, scale = ctx.saved_tensors
    found = _BRANCHES_BACK(values[:3], [mean, scale], values[3:], real, ctx.eps, grad.contiguous())
    return (*found, None, None)


def _aggregate(
    h: Tensor,
    scale: Tensor,
    shift: Tensor,
    point: Tensor,
    point_bias: Tensor,
    local: Tensor,
    local_bias: Tensor,
    real: Tensor,
    eps: float,
) -> Tensor:
    y = h.new_empty(len(h) // 2, *h.shape[1:])
    arguments = (h, scale, shift, point, point_bias, local, local_bias, real, eps, y)
    threads.run(threads.kernels().aggregate, 4 * WORK * y.numel(), arguments)
    return y


def _aggregate_backward(inputs: list[Tensor], real: Tensor, eps: float, grad: Tensor) -> list[Tensor]:
    """Gradients of ``inputs``, the arguments of :func:`_aggregate` before ``real``."""
    whole, filters = inputs[:3], inputs[3:]
    by_whole = [torch.empty_like(value) for value in whole]
    parts = [torch.empty(len(grad), value.numel()) for value in filters]
    # The last bias has no effect on a gradient.
    arguments: list[Tensor | float] = [*inputs[:-1], real, eps, grad, *by_whole, *parts]
    threads.run(threads.kernels().aggregate_backward, 16 * WORK * grad.numel(), arguments)
    return [*by_whole, *(threads.summed(part).view_as(value) for part, value in zip(parts, filters, strict=True))]


def _keep_aggregate(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    *tensors, ctx.eps = inputs
    ctx.save_for_backward(*tensors)


def _aggregate_gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    *inputs, real = ctx.saved_tensors
    return *_AGGREGATE_BACK(inputs, real, ctx.eps, grad.contiguous()), None, None


_SCAN = operator(
    "scan_of_product(Tensor u, Tensor weight, Tensor low, Tensor A, Tensor B, Tensor C, Tensor D, Tensor bias) "
    "-> Tensor",
    _scan,
    lambda u, *_: torch.empty_like(u),
    device="CPU",
)
_BRANCHES_BACK = operator(
    "gated_sum_backward(Tensor[] rows, Tensor[] statistics, Tensor[] parameters, Tensor real, float eps, Tensor grad) "
    "-> Tensor[]",
    _branches_backward,
    lambda rows, _, parameters, *__: [torch.empty_like(value) for value in (*rows, *parameters)],
    device="CPU",
)
_BRANCHES = operator(
    "gated_sum(Tensor temporal, Tensor spatial, Tensor gate, Tensor gate_bias, Tensor weight_t, Tensor bias_t, "
    "Tensor weight_s, Tensor bias_s, Tensor alpha, Tensor beta, Tensor real, float eps) -> (Tensor, Tensor, Tensor)",
    _branches,
    _like_branches,
    device="CPU",
    keep=_keep_branches,
    backward=_branches_gradients,
)
_AGGREGATE_BACK = operator(
    "aggregate_backward(Tensor[] inputs, Tensor real, float eps, Tensor grad) -> Tensor[]",
    _aggregate_backward,
    lambda inputs, *_: [torch.empty_like(value) for value in inputs],
    device="CPU",
)
_AGGREGATE = operator(
    "aggregate(Tensor h, Tensor scale, Tensor shift, Tensor point, Tensor point_bias, Tensor local, "
    "Tensor local_bias, Tensor real, float eps) -> Tensor",
    _aggregate,
    lambda h, *_: h.new_empty(h.shape[0] // 2, *h.shape[1:]),
    device="CPU",
    keep=_keep_aggregate,
    backward=_aggregate_gradients,
)
