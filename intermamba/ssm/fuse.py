"""Fused passes for sampling on CPUs: the end of ASTM, after its branches, and LIIA; each reads and writes once.

They have no derivative: training runs the layers one by one.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from intermamba.ssm import threads
from intermamba.ssm.operator import operator

WORK = 2
"""Cost of a value, in updates of a scan's state."""


def takes(*tensors: Tensor) -> bool:
    """Whether these passes support tensors (B, T, D): no gradient, in main memory, float32, D a multiple of 16."""
    return (
        not torch.is_grad_enabled()
        and all(value.device.type == "cpu" and value.dtype == torch.float32 for value in tensors)
        and tensors[0].shape[-1] % 16 == 0
        and threads.available()
    )


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
