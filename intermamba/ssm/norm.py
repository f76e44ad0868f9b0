"""Normalisation over the real channels, in plain PyTorch or fused into one compiled pass."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from intermamba.ssm import threads
from intermamba.ssm.operator import operator

WORK = 1
"""Cost of a value, in updates of a scan's state."""


def masked_norm(
    x: Float[Tensor, "B E L"],
    weight: Float[Tensor, " E"],
    bias: Float[Tensor, " E"],
    real: Bool[Tensor, "B E"],
    eps: float,
    *,
    fused: bool = True,
) -> Float[Tensor, "B E L"]:
    """Layer normalisation of every channel over the channels, with mean and variance of the ``real`` ones.

    Compiled where ``fused`` and the input allow it (main memory, float32 or less; numba), else in plain PyTorch, which
    ``torch.compile`` fuses elsewhere. Computed in float32 at least.
    """
    if fused and x.device.type == "cpu" and x.dtype in threads.SINGLE and threads.available():
        threads.check_channels(x, weight, bias, real[0])
        y: Tensor = _PASS(x.float(), weight.contiguous(), bias.contiguous(), real.contiguous(), eps)
        return y
    share = (real / real.sum(1, keepdim=True)).to(weight.dtype).unsqueeze(2)  # a product with it, summed, is a mean
    centred = x - (x * share).sum(1, keepdim=True)
    scale = torch.rsqrt((centred.square() * share).sum(1, keepdim=True) + eps)
    return torch.addcmul(bias[:, None], centred * scale, weight[:, None])


def _forward(
    x: Float[Tensor, "B E L"],
    weight: Float[Tensor, " E"],
    bias: Float[Tensor, " E"],
    real: Bool[Tensor, "B E"],
    eps: float,
) -> Float[Tensor, "B E L"]:
    y = torch.empty_like(x)
    threads.run(threads.kernels().norm_forward, WORK * x.numel(), [x.mT, weight, bias, real, eps, y.mT])
    return y


def _backward(
    x: Float[Tensor, "B E L"],
    weight: Float[Tensor, " E"],
    real: Bool[Tensor, "B E"],
    eps: float,
    grad: Float[Tensor, "B E L"],
) -> tuple[Float[Tensor, "B E L"], Float[Tensor, " E"], Float[Tensor, " E"]]:
    """Recomputes mean and variance instead of keeping them."""
    by_x = torch.empty_like(x)
    by_weight, by_bias = torch.empty(x.shape[:2]), torch.empty(x.shape[:2])
    arguments = (x.mT, weight, real, eps, grad.mT, by_x.mT, by_weight, by_bias)
    threads.run(threads.kernels().norm_backward, 2 * WORK * x.numel(), arguments)
    return by_x, threads.summed(by_weight), threads.summed(by_bias)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    x, weight, _, real, ctx.eps = inputs
    ctx.save_for_backward(x, weight, real)


_PASS_BACK = operator(
    "masked_norm_backward(Tensor x, Tensor weight, Tensor real, float eps, Tensor grad) -> (Tensor, Tensor, Tensor)",
    _backward,
    lambda x, weight, *_: (torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)),
    device="CPU",
)
_PASS = operator(
    "masked_norm(Tensor x, Tensor weight, Tensor bias, Tensor real, float eps) -> Tensor",
    _forward,
    lambda x, *_: torch.empty_like(x),
    device="CPU",
    keep=_keep,
    backward=lambda ctx, grad: (*_PASS_BACK(*ctx.saved_tensors, ctx.eps, grad), None, None),
)
