"""Fused passes for sampling on CPUs: the scan with its step sizes, the end of ASTM, after its branches, and LIIA.

They have no derivative: training runs the layers one by one.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from intermamba.ssm import threads
from intermamba.ssm.operator import operator

WORK = 2
"""Cost of a value, in updates of a scan's state."""


def samples(*tensors: Tensor) -> bool:
    """Whether no gradient is needed and all tensors are in main memory, in float32."""
    return (
        not torch.is_grad_enabled()
        and all(value.device.type == "cpu" and value.dtype == torch.float32 for value in tensors)
        and threads.available()
    )


def takes(*tensors: Tensor) -> bool:
    """Whether the passes over (B, T, D) take such tensors: those of :func:`samples` with D a multiple of 16."""
    return samples(*tensors) and tensors[0].shape[-1] % 16 == 0


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
    values = (value.contiguous() for value in (temporal, spatial, gate, gate_bias, *weights))
    z: Tensor = _BRANCHES(*values, alpha.reshape(1), beta.reshape(1), real.contiguous(), eps)
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
    y: Tensor = _AGGREGATE(h.contiguous(), scale.contiguous(), shift.contiguous(), *shaped, real.contiguous(), eps)
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
) -> Tensor:
    batch, _, features = spatial.shape
    mean, scale = (spatial.new_empty(batch, features) for _ in range(2))
    z = torch.empty_like(temporal)
    kernels, work = threads.kernels(), WORK * z.numel()
    threads.run(kernels.frame_statistics, work, (spatial, real, eps, mean, scale))
    parameters = (weight_t, bias_t, weight_s, bias_s, alpha, beta)
    threads.run(kernels.branches, 2 * work, (temporal, spatial, gate, mean, scale, gate_bias, *parameters, eps, z))
    return z


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


_SCAN = operator(
    "scan_of_product(Tensor u, Tensor weight, Tensor low, Tensor A, Tensor B, Tensor C, Tensor D, Tensor bias) "
    "-> Tensor",
    _scan,
    lambda u, *_: torch.empty_like(u),
    device="CPU",
)
_BRANCHES = operator(
    "gated_sum(Tensor temporal, Tensor spatial, Tensor gate, Tensor gate_bias, Tensor weight_t, Tensor bias_t, "
    "Tensor weight_s, Tensor bias_s, Tensor alpha, Tensor beta, Tensor real, float eps) -> Tensor",
    _branches,
    lambda temporal, *_: torch.empty_like(temporal),
    device="CPU",
)
_AGGREGATE = operator(
    "aggregate(Tensor h, Tensor scale, Tensor shift, Tensor point, Tensor point_bias, Tensor local, "
    "Tensor local_bias, Tensor real, float eps) -> Tensor",
    _aggregate,
    lambda h, *_: h.new_empty(h.shape[0] // 2, *h.shape[1:]),
    device="CPU",
)
