"""The operations before the scan, causal depthwise convolution and SiLU, in plain PyTorch or one compiled pass."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from intermamba.ssm import cuda, threads
from intermamba.ssm.operator import operator

WORK = 2
"""Cost of a value, in updates of a scan's state."""


def causal_conv_silu(
    x: Float[Tensor, "B E L"],
    weight: Float[Tensor, "E K"],
    bias: Float[Tensor, " E"],
    real: Bool[Tensor, "B E"] | None = None,
    shift: Float[Tensor, " E"] | None = None,
    *,
    fused: bool = True,
) -> Float[Tensor, "B E L"]:
    """``silu(bias[e] + sum over k of weight[e, k] x[e, l - K + 1 + k])``, zero in channels that are not ``real``.

    ``shift`` is added to ``x`` first, in the same pass: it can be the bias of a linear map before this operation.
    Compiled where ``fused`` and the input allow it (float32 or less; numba in main memory, Triton on CUDA), else in
    plain PyTorch. Computed in float32 at least.
    """
    if fused and threads.compiles(x):
        real = torch.ones(x.shape[:2], dtype=torch.bool) if real is None else real.contiguous()
        threads.check_channels(x, weight, bias, real[0], bias if shift is None else shift)
        shift = torch.zeros_like(bias) if shift is None else shift
        parameters = (value.float().contiguous() for value in (weight, bias, shift))
        out: Tensor = _PASS(x.float(), *parameters, real)
        return out
    if fused and cuda.fuses(x):
        from intermamba.ssm import triton_passes

        return triton_passes.causal_conv_silu(x, weight, bias, real, shift)
    if shift is not None:
        x = x + shift[:, None]
    length, taps = x.shape[2], weight.shape[1]
    past = functional.pad(x, (taps - 1, 0))
    y: Tensor = bias[:, None]
    for tap, one in enumerate(weight.unsqueeze(2).unbind(1)):
        y = torch.addcmul(y, past[..., tap : tap + length], one)
    y = functional.silu(y)
    return y if real is None else y * real.unsqueeze(2)


def _forward(
    x: Float[Tensor, "B E L"],
    weight: Float[Tensor, "E K"],
    bias: Float[Tensor, " E"],
    shift: Float[Tensor, " E"],
    real: Bool[Tensor, "B E"],
) -> Float[Tensor, "B E L"]:
    y = torch.empty_like(x)
    threads.run(threads.kernels().conv_forward, WORK * x.numel(), [x, weight, *_shifted(weight, bias, shift), real, y])
    return y


def _shifted(
    weight: Float[Tensor, "E K"], bias: Float[Tensor, " E"], shift: Float[Tensor, " E"]
) -> tuple[Float[Tensor, " E"], Float[Tensor, " E"]]:
    """The bias that shifts all steps, also those before the first, and their value, with which they stay zero."""
    return torch.addcmul(bias, weight.sum(1), shift), -shift


def _backward(
    x: Float[Tensor, "B E L"],
    weight: Float[Tensor, "E K"],
    bias: Float[Tensor, " E"],
    shift: Float[Tensor, " E"],
    real: Bool[Tensor, "B E"],
    grad: Float[Tensor, "B E L"],
) -> tuple[Float[Tensor, "B E L"], Float[Tensor, "E K"], Float[Tensor, " E"], Float[Tensor, " E"]]:
    """Computes the convolution again instead of keeping it."""
    by_x = torch.empty_like(x)
    parts = [torch.empty(len(x), *value.shape) for value in (weight, bias, shift)]
    arguments = [x, weight, *_shifted(weight, bias, shift), real, grad, by_x, *parts]
    threads.run(threads.kernels().conv_backward, 2 * WORK * x.numel(), arguments)
    by_weight, by_bias, by_start = map(threads.summed, parts)
    return by_x, by_weight + (by_bias * shift)[:, None], by_bias, by_bias * weight.sum(1) - by_start


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG001
    ctx.save_for_backward(*inputs)


_PASS_BACK = operator(
    "conv_silu_backward(Tensor x, Tensor weight, Tensor bias, Tensor shift, Tensor real, Tensor grad) "
    "-> (Tensor, Tensor, Tensor, Tensor)",
    _backward,
    lambda *tensors: tuple(map(torch.empty_like, tensors[:4])),
    device="CPU",
)
_PASS = operator(
    "conv_silu(Tensor x, Tensor weight, Tensor bias, Tensor shift, Tensor real) -> Tensor",
    _forward,
    lambda x, *_: torch.empty_like(x),
    device="CPU",
    keep=_keep,
    backward=lambda ctx, grad: (*_PASS_BACK(*ctx.saved_tensors, grad), None),
)
