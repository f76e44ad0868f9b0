"""Normalisation over the real channels, in plain PyTorch or fused into one compiled pass."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from intermamba.ssm import cuda, threads
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

    Compiled where ``fused`` and the input allow it (float32 or less; numba in main memory, Triton on CUDA), else in
    plain PyTorch. Computed in float32 at least.
    """
    if fused and threads.compiles(x):
        threads.check_channels(x, weight, bias, real[0])
        y: Tensor = _PASS(x.float(), weight.contiguous(), bias.contiguous(), real.contiguous(), eps)
        return y
    if fused and cuda.fuses(x):
        from intermamba.ssm import triton_passes

        return triton_passes.masked_norm(x, weight, bias, real, eps)
    share = (real / real.sum(1, keepdim=True)).to(weight.dtype).unsqueeze(2)  # a product with it, summed, is a mean
    centred = x - (x * share).sum(1, keepdim=True)
    scale = torch.rsqrt((centred.square() * share).sum(1, keepdim=True) + eps)
    return torch.addcmul(bias[:, None], centred * scale, weight[:, None])


def norm_of_product(
    wide: Float[Tensor, "E R"],
    low: Float[Tensor, "B R L"],
    weight: Float[Tensor, " E"],
    real: Bool[Tensor, "B E"] | None,
    eps: float,
    *,
    fused: bool = True,
) -> Float[Tensor, "B E L"]:
    """:func:`masked_norm` of ``wide @ low``, without a bias; all channels count unless ``real`` is given.

    The compiled pass never writes the product. Its output has the memory layout of ``low``: channels or steps are side
    by side.

    Raises:
        ValueError: shapes that do not fit each other.
    """
    channels = len(wide)
    real = torch.ones(len(low), channels, dtype=torch.bool, device=low.device) if real is None else real
    if fused and threads.compiles(low, wide, weight):
        if low.shape[1] != wide.shape[1] or real.shape != (len(low), channels) or weight.shape != (channels,):
            shapes = [tuple(value.shape) for value in (wide, low, weight, real)]
            raise ValueError(f"norm_of_product: wide, low, weight and real of shapes {shapes}")
        parameters = (value.float().contiguous() for value in (wide, weight))
        y: Tensor = _PRODUCT(low.float(), *parameters, real.contiguous(), eps)
        return y
    x = torch.bmm(wide.expand(len(low), -1, -1), low)
    return masked_norm(x, weight, torch.zeros_like(weight), real, eps, fused=fused)


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


def _product(
    low: Float[Tensor, "B R L"],
    wide: Float[Tensor, "E R"],
    weight: Float[Tensor, " E"],
    real: Bool[Tensor, "B E"],
    eps: float,
) -> Float[Tensor, "B E L"]:
    y = _like_product(low, wide)
    work = (WORK + low.shape[1]) * y.numel()
    threads.run(threads.kernels().product_forward, work, [low.mT, wide, weight, real, eps, y.mT])
    return y


def _like_product(low: Tensor, wide: Tensor, *_: Any) -> Float[Tensor, "B E L"]:
    (batch, _rank, length), channels = low.shape, len(wide)
    if low.stride(1) == 1:
        return low.new_empty(batch, length, channels).mT
    return low.new_empty(batch, channels, length)


def _product_backward(
    low: Float[Tensor, "B R L"],
    wide: Float[Tensor, "E R"],
    weight: Float[Tensor, " E"],
    real: Bool[Tensor, "B E"],
    eps: float,
    grad: Float[Tensor, "B E L"],
) -> tuple[Float[Tensor, "B R L"], Float[Tensor, "E R"], Float[Tensor, " E"]]:
    """Computes the product again instead of keeping it."""
    kernels, size = threads.kernels(), wide.numel()
    by_low, by_weight = torch.empty_like(low), torch.empty(real.shape)
    by_wide = torch.empty(len(low), -(-size // kernels.WIDTH) * kernels.WIDTH)
    arguments = (low.mT, wide, weight, real, eps, grad.mT, by_low.mT, by_wide, by_weight)
    threads.run(kernels.product_backward, 3 * (WORK + low.shape[1]) * grad.numel(), arguments)
    return by_low, threads.summed(by_wide)[:size].view_as(wide), threads.summed(by_weight)


def _keep_product(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    *tensors, ctx.eps = inputs
    ctx.save_for_backward(*tensors)


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
_PRODUCT_BACK = operator(
    "norm_of_product_backward(Tensor low, Tensor wide, Tensor weight, Tensor real, float eps, Tensor grad) "
    "-> (Tensor, Tensor, Tensor)",
    _product_backward,
    lambda *tensors: tuple(map(torch.empty_like, tensors[:3])),
    device="CPU",
)
_PRODUCT = operator(
    "norm_of_product(Tensor low, Tensor wide, Tensor weight, Tensor real, float eps) -> Tensor",
    _product,
    _like_product,
    device="CPU",
    keep=_keep_product,
    backward=lambda ctx, grad: (*_PRODUCT_BACK(*ctx.saved_tensors, ctx.eps, grad), None, None),
)
