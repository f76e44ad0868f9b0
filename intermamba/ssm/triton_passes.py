"""The convolution before the scan and the normalisation as Triton kernels for CUDA. Experimental: no GPU has run them.

In plain PyTorch the two read and write a sequence some fifteen times (docs/reference/costs.md); here a forward pass
reads it once and writes it once. Everything is computed in float32 and recomputed in the backward pass. Sums over
sequences and steps are written per program and then added in a fixed order, so equal inputs give equal bytes. On a CPU
the kernels run in Triton's interpreter, for tests.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float
from torch import Tensor

from intermamba.ssm import threads
from intermamba.ssm.operator import operator
from intermamba.ssm.triton import _read

CHANNELS, STEPS = 16, 64
"""Largest tile of a program."""
WARPS = 8
"""Warps of a program: with four the backward pass of the convolution spills registers."""


def causal_conv_silu(
    x: Float[Tensor, "B E L"],
    weight: Float[Tensor, "E K"],
    bias: Float[Tensor, " E"],
    real: Bool[Tensor, "B E"] | None,
    shift: Float[Tensor, " E"] | None,
) -> Float[Tensor, "B E L"]:
    """See :func:`intermamba.ssm.conv.causal_conv_silu`; the result has the type of ``x`` and ``weight`` together."""
    real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if real is None else real
    shift = torch.zeros_like(bias) if shift is None else shift
    threads.check_channels(x, weight, bias, real[0], shift)
    y: Tensor = _CONV(x, *(value.contiguous() for value in (weight, bias, shift, real)))
    return y


def masked_norm(
    x: Float[Tensor, "B E L"],
    weight: Float[Tensor, " E"],
    bias: Float[Tensor, " E"],
    real: Bool[Tensor, "B E"],
    eps: float,
) -> Float[Tensor, "B E L"]:
    """See :func:`intermamba.ssm.norm.masked_norm`; the result has the type of ``x`` and ``weight`` together."""
    threads.check_channels(x, weight, bias, real[0])
    y: Tensor = _NORM(x, *(value.contiguous() for value in (weight, bias, real)), eps)
    return y


def tile(channels: int, steps: int) -> dict[str, int]:
    """Channels and steps of a program."""
    return {
        "BE": min(CHANNELS, triton.next_power_of_2(channels)),
        "BL": min(STEPS, triton.next_power_of_2(steps)),
    }


def _like(x: Tensor, weight: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(x, dtype=torch.promote_types(x.dtype, weight.dtype))


# --- convolution ------------------------------------------------------------------------------------------------------


def _conv(x: Tensor, weight: Tensor, bias: Tensor, shift: Tensor, real: Tensor) -> Tensor:
    y = _like(x, weight)
    (batch, channels, steps), shape = x.shape, tile(*x.shape[1:])
    grid = (triton.cdiv(steps, shape["BL"]), triton.cdiv(channels, shape["BE"]), batch)
    _conv_forward[grid](
        x, weight, bias, shift, real.view(torch.uint8), y, *x.stride(), *y.stride(), channels, steps,
        K=weight.shape[1], **shape, num_warps=WARPS, enable_fp_fusion=True,
    )  # fmt: skip
    return y


def _conv_gradients(
    x: Tensor, weight: Tensor, bias: Tensor, shift: Tensor, real: Tensor, grad: Tensor
) -> tuple[Tensor, ...]:
    (batch, channels, steps), taps = x.shape, weight.shape[1]
    by_x, shape = torch.empty_like(x), tile(channels, steps)
    by_weight, by_bias, by_shift = (
        x.new_empty(batch, *one, dtype=torch.float32) for one in ((channels, taps), (channels,), (channels,))
    )
    _conv_backward[triton.cdiv(channels, shape["BE"]), batch](
        x, weight, bias, shift, real.view(torch.uint8), grad, by_x, by_weight, by_bias, by_shift,
        *x.stride(), *grad.stride(), *by_x.stride(), channels, steps,
        K=taps, PLACES=triton.next_power_of_2(taps), **shape, num_warps=WARPS, enable_fp_fusion=True,
    )  # fmt: skip
    sums = ((by_weight, weight), (by_bias, bias), (by_shift, shift))
    return by_x, *(value.sum(0).to(like.dtype) for value, like in sums)


def _keep_conv(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG001
    ctx.save_for_backward(*inputs)


_CONV_BACK = operator(
    "conv_silu_triton_backward(Tensor x, Tensor weight, Tensor bias, Tensor shift, Tensor real, Tensor grad) "
    "-> (Tensor, Tensor, Tensor, Tensor)",
    _conv_gradients,
    lambda *tensors: tuple(map(torch.empty_like, tensors[:4])),
)
_CONV = operator(
    "conv_silu_triton(Tensor x, Tensor weight, Tensor bias, Tensor shift, Tensor real) -> Tensor",
    _conv,
    _like,
    keep=_keep_conv,
    backward=lambda ctx, grad: (*_CONV_BACK(*ctx.saved_tensors, grad), None),
)


@triton.jit
def _before(
    x_at, weight_at, bias, shift, e, at_l, real_e, length, x_e, x_l, K: tl.constexpr, BE: tl.constexpr, BL: tl.constexpr
):
    """The convolution's value at steps ``at_l``, before SiLU."""
    sum_ = tl.zeros((BE, BL), tl.float32) + bias[:, None]
    for tap in tl.static_range(K):
        at = at_l - (K - 1) + tap
        inside = real_e[:, None] & ((at >= 0) & (at < length))[None, :]
        x = _read(x_at + e[:, None] * x_e + at[None, :] * x_l, inside)
        sum_ += _read(weight_at + e * K + tap, real_e)[:, None] * tl.where(inside, x + shift[:, None], 0.0)
    return sum_


@triton.jit
def _conv_forward(
    x_at, weight_at, bias_at, shift_at, real_at, y_at, x_b, x_e, x_l, y_b, y_e, y_l, channels, length,
    K: tl.constexpr, BE: tl.constexpr, BL: tl.constexpr,
):  # fmt: skip
    sequence = tl.program_id(2).to(tl.int64)
    l, e = tl.program_id(0) * BL + tl.arange(0, BL), tl.program_id(1) * BE + tl.arange(0, BE)  # noqa: E741
    real_e = e < channels
    bias, shift = _read(bias_at + e, real_e), _read(shift_at + e, real_e)
    used = tl.load(real_at + sequence * channels + e, mask=real_e, other=0) != 0
    z = _before(x_at + sequence * x_b, weight_at, bias, shift, e, l, real_e, length, x_e, x_l, K, BE, BL)
    y = tl.where(used[:, None], z / (1.0 + tl.exp(-z)), 0.0)
    tl.store(
        y_at + sequence * y_b + e[:, None] * y_e + l[None, :] * y_l, y, mask=real_e[:, None] & (l < length)[None, :]
    )


@triton.jit
def _conv_backward(
    x_at, weight_at, bias_at, shift_at, real_at, grad_at, by_x_at, by_weight_at, by_bias_at, by_shift_at,
    x_b, x_e, x_l, grad_b, grad_e, grad_l, by_b, by_e, by_l, channels, length,
    K: tl.constexpr, PLACES: tl.constexpr, BE: tl.constexpr, BL: tl.constexpr,
):  # fmt: skip
    sequence = tl.program_id(1).to(tl.int64)
    e, place = tl.program_id(0) * BE + tl.arange(0, BE), tl.arange(0, PLACES)
    real_e = e < channels
    bias, shift = _read(bias_at + e, real_e), _read(shift_at + e, real_e)
    used = tl.load(real_at + sequence * channels + e, mask=real_e, other=0) != 0
    of_weight = tl.zeros((BE, PLACES), tl.float32)
    of_bias, of_shift = tl.zeros((BE,), tl.float32), tl.zeros((BE,), tl.float32)
    x_at += sequence * x_b
    for chunk in range(tl.cdiv(length, BL)):
        l = chunk * BL + tl.arange(0, BL)  # noqa: E741
        by_x = tl.zeros((BE, BL), tl.float32)
        # x at a step reaches the K outputs from there on: their gradients before SiLU are computed again for each.
        for ahead in tl.static_range(K):
            later = l + ahead
            inside = real_e[:, None] & (later < length)[None, :]
            z = _before(x_at, weight_at, bias, shift, e, later, real_e, length, x_e, x_l, K, BE, BL)
            grad = _read(grad_at + sequence * grad_b + e[:, None] * grad_e + later[None, :] * grad_l, inside)
            gate = 1.0 / (1.0 + tl.exp(-z))
            by_z = tl.where(used[:, None] & inside, grad * gate * (1.0 + z * (1.0 - gate)), 0.0)
            by_x += _read(weight_at + e * K + K - 1 - ahead, real_e)[:, None] * by_z
            here = real_e[:, None] & (l < length)[None, :]
            x = _read(x_at + e[:, None] * x_e + l[None, :] * x_l, here)
            share = tl.sum(by_z * tl.where(here, x + shift[:, None], 0.0), 1)
            of_weight += tl.where(place[None, :] == K - 1 - ahead, share[:, None], 0.0)
            if ahead == 0:
                of_bias += tl.sum(by_z, 1)
        by_x = tl.where((l < length)[None, :], by_x, 0.0)
        of_shift += tl.sum(by_x, 1)
        tl.store(
            by_x_at + sequence * by_b + e[:, None] * by_e + l[None, :] * by_l,
            by_x,
            mask=real_e[:, None] & (l < length)[None, :],
        )
    row = sequence * channels + e
    tl.store(by_weight_at + row[:, None] * K + place[None, :], of_weight, mask=real_e[:, None] & (place < K)[None, :])
    tl.store(by_bias_at + row, of_bias, mask=real_e)
    tl.store(by_shift_at + row, of_shift, mask=real_e)


# --- normalisation ----------------------------------------------------------------------------------------------------


def _norm(x: Tensor, weight: Tensor, bias: Tensor, real: Tensor, eps: float) -> Tensor:
    y = _like(x, weight)
    (batch, channels, steps), shape = x.shape, tile(*x.shape[1:])
    _norm_forward[triton.cdiv(steps, shape["BL"]), batch](
        x, weight, bias, real.view(torch.uint8), y, *x.stride(), *y.stride(), channels, steps, eps,
        **shape, num_warps=WARPS, enable_fp_fusion=True,
    )  # fmt: skip
    return y


def _norm_gradients(x: Tensor, weight: Tensor, real: Tensor, eps: float, grad: Tensor) -> tuple[Tensor, ...]:
    (batch, channels, steps), shape = x.shape, tile(*x.shape[1:])
    by_x, pieces = torch.empty_like(x), triton.cdiv(steps, shape["BL"])
    by_weight, by_bias = (x.new_empty(batch, pieces, channels, dtype=torch.float32) for _ in range(2))
    _norm_backward[pieces, batch](
        x, weight, real.view(torch.uint8), grad, by_x, by_weight, by_bias,
        *x.stride(), *grad.stride(), *by_x.stride(), channels, steps, eps,
        **shape, num_warps=WARPS, enable_fp_fusion=True,
    )  # fmt: skip
    return by_x, *(value.sum((0, 1)).to(weight.dtype) for value in (by_weight, by_bias))


def _keep_norm(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    x, weight, _, real, ctx.eps = inputs
    ctx.save_for_backward(x, weight, real)


_NORM_BACK = operator(
    "masked_norm_triton_backward(Tensor x, Tensor weight, Tensor real, float eps, Tensor grad) "
    "-> (Tensor, Tensor, Tensor)",
    _norm_gradients,
    lambda x, weight, *_: (torch.empty_like(x), torch.empty_like(weight), torch.empty_like(weight)),
)
_NORM = operator(
    "masked_norm_triton(Tensor x, Tensor weight, Tensor bias, Tensor real, float eps) -> Tensor",
    _norm,
    _like,
    keep=_keep_norm,
    backward=lambda ctx, grad: (*_NORM_BACK(*ctx.saved_tensors, ctx.eps, grad), None, None),
)


@triton.jit
def _moments(x_at, real_at, at_l, channels, length, x_e, x_l, eps, BE: tl.constexpr, BL: tl.constexpr):
    """Mean and inverse deviation over the real channels at steps ``at_l``, and the number of these channels."""
    total, count = tl.zeros((BL,), tl.float32), 0.0
    for first in range(0, channels, BE):
        e = first + tl.arange(0, BE)
        used = (tl.load(real_at + e, mask=e < channels, other=0) != 0).to(tl.float32)
        x = _read(x_at + e[:, None] * x_e + at_l[None, :] * x_l, (e < channels)[:, None] & (at_l < length)[None, :])
        total += tl.sum(x * used[:, None], 0)
        count += tl.sum(used, 0)
    mean = total / count
    squares = tl.zeros((BL,), tl.float32)
    for first in range(0, channels, BE):
        e = first + tl.arange(0, BE)
        used = (tl.load(real_at + e, mask=e < channels, other=0) != 0).to(tl.float32)
        x = _read(x_at + e[:, None] * x_e + at_l[None, :] * x_l, (e < channels)[:, None] & (at_l < length)[None, :])
        centred = (x - mean[None, :]) * used[:, None]
        squares += tl.sum(centred * centred, 0)
    return mean, 1.0 / tl.sqrt(squares / count + eps), count


@triton.jit
def _norm_forward(
    x_at, weight_at, bias_at, real_at, y_at, x_b, x_e, x_l, y_b, y_e, y_l, channels, length, eps,
    BE: tl.constexpr, BL: tl.constexpr,
):  # fmt: skip
    sequence = tl.program_id(1).to(tl.int64)
    l = tl.program_id(0) * BL + tl.arange(0, BL)  # noqa: E741
    x_at += sequence * x_b
    mean, scale, _ = _moments(x_at, real_at + sequence * channels, l, channels, length, x_e, x_l, eps, BE, BL)
    for first in range(0, channels, BE):
        e = first + tl.arange(0, BE)
        inside = (e < channels)[:, None] & (l < length)[None, :]
        weight, bias = _read(weight_at + e, e < channels), _read(bias_at + e, e < channels)
        x = _read(x_at + e[:, None] * x_e + l[None, :] * x_l, inside)
        y = (x - mean[None, :]) * scale[None, :] * weight[:, None] + bias[:, None]
        tl.store(y_at + sequence * y_b + e[:, None] * y_e + l[None, :] * y_l, y, mask=inside)


@triton.jit
def _norm_backward(
    x_at, weight_at, real_at, grad_at, by_x_at, by_weight_at, by_bias_at,
    x_b, x_e, x_l, grad_b, grad_e, grad_l, by_b, by_e, by_l, channels, length, eps,
    BE: tl.constexpr, BL: tl.constexpr,
):  # fmt: skip
    piece, sequence = tl.program_id(0), tl.program_id(1).to(tl.int64)
    l = piece * BL + tl.arange(0, BL)  # noqa: E741
    x_at += sequence * x_b
    grad_at += sequence * grad_b
    real_at += sequence * channels
    mean, scale, count = _moments(x_at, real_at, l, channels, length, x_e, x_l, eps, BE, BL)
    sums = (sequence * tl.num_programs(0) + piece) * channels
    along, across = tl.zeros((BL,), tl.float32), tl.zeros((BL,), tl.float32)
    for first in range(0, channels, BE):
        e = first + tl.arange(0, BE)
        inside = (e < channels)[:, None] & (l < length)[None, :]
        grad = _read(grad_at + e[:, None] * grad_e + l[None, :] * grad_l, inside)
        x = _read(x_at + e[:, None] * x_e + l[None, :] * x_l, inside)
        normed = (x - mean[None, :]) * scale[None, :]
        by_normed = grad * _read(weight_at + e, e < channels)[:, None]
        along += tl.sum(by_normed, 0)
        across += tl.sum(by_normed * normed, 0)
        tl.store(by_weight_at + sums + e, tl.sum(grad * normed, 1), mask=e < channels)
        tl.store(by_bias_at + sums + e, tl.sum(grad, 1), mask=e < channels)
    for first in range(0, channels, BE):
        e = first + tl.arange(0, BE)
        inside = (e < channels)[:, None] & (l < length)[None, :]
        used = (tl.load(real_at + e, mask=e < channels, other=0) != 0).to(tl.float32)
        grad = _read(grad_at + e[:, None] * grad_e + l[None, :] * grad_l, inside)
        x = _read(x_at + e[:, None] * x_e + l[None, :] * x_l, inside)
        normed = (x - mean[None, :]) * scale[None, :]
        shared = (along[None, :] + normed * across[None, :]) / count
        by_x = scale[None, :] * (grad * _read(weight_at + e, e < channels)[:, None] - used[:, None] * shared)
        tl.store(by_x_at + sequence * by_b + e[:, None] * by_e + l[None, :] * by_l, by_x, mask=inside)
