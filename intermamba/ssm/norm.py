"""Normalisation over channels where some do not count, in plain PyTorch or fused into one compiled pass."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from intermamba.ssm import threads

WORK = 1
"""What a value costs, in updates of a scan's state."""


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
        y: Tensor = MaskedNorm.apply(x.float(), weight.contiguous(), bias.contiguous(), real.contiguous(), eps)
        return y
    share = (real / real.sum(1, keepdim=True)).to(weight.dtype).unsqueeze(2)  # a sum of products with it is a mean
    centred = x - (x * share).sum(1, keepdim=True)
    scale = torch.rsqrt((centred.square() * share).sum(1, keepdim=True) + eps)
    return torch.addcmul(bias[:, None], centred * scale, weight[:, None])


class MaskedNorm(torch.autograd.Function):
    """One pass forward and one backward, which computes mean and variance again instead of keeping them."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "B E L"],
        weight: Float[Tensor, " E"],
        bias: Float[Tensor, " E"],
        real: Bool[Tensor, "B E"],
        eps: float,
    ) -> Float[Tensor, "B E L"]:
        ctx.save_for_backward(x, weight, real)
        ctx.eps = eps
        y = torch.empty_like(x)
        threads.run(threads.kernels().norm_forward, WORK * x.numel(), [x.mT, weight, bias, real, eps, y.mT])
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "B E L"]) -> tuple[Tensor | None, ...]:
        x, weight, real = ctx.saved_tensors
        by_x = torch.empty_like(x)
        by_weight, by_bias = torch.empty(x.shape[:2]), torch.empty(x.shape[:2])
        arguments = [x.mT, weight, real, ctx.eps, grad.mT, by_x.mT, by_weight, by_bias]
        threads.run(threads.kernels().norm_backward, 2 * WORK * x.numel(), arguments)
        return by_x, threads.summed(by_weight), threads.summed(by_bias), None, None
