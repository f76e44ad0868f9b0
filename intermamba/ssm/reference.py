"""The scan in plain PyTorch: any device, any floating dtype, differentiable; the oracle of every other backend.

Time-major with channels last, (L, B, N, E): a step of the recurrence is one contiguous fused multiply-add. The sequence
is processed in tiles that fit a CPU's cache, and the backward pass recomputes a tile's states from the state before
it, so that memory grows with the inputs and never holds all states.
"""

from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from intermamba.ssm.inputs import Inputs
from intermamba.ssm.operator import operator

TILE = 1 << 16
"""Elements of a tile: a few tiles of float32 fit the second-level cache of one core."""


def selective_scan(scan: Inputs, discretisation: str) -> Float[Tensor, "B E L"]:
    """See :func:`intermamba.ssm.selective_scan`."""
    u, delta, A, B, C, D, bias, softplus = scan
    dtype = torch.promote_types(u.dtype, torch.float32)  # half precision is too coarse over hundreds of steps
    inputs, step, b, c = (x.to(dtype).permute(2, 0, 1).contiguous() for x in (u, delta, B, C))
    if bias is not None:
        step = step + bias.to(dtype)
    if softplus:
        step = Softplus.apply(step)
    y: Tensor
    y, _ = _SCAN(inputs, step, A.to(dtype).T.contiguous(), b, c, discretisation == "zoh")
    if D is not None:
        y = torch.addcmul(y, inputs, D.to(dtype))
    return y.permute(1, 2, 0).to(u.dtype)


def _forward(
    x: Float[Tensor, "L B E"],
    step: Float[Tensor, "L B E"],
    rates: Float[Tensor, "N E"],
    b: Float[Tensor, "L B N"],
    c: Float[Tensor, "L B N"],
    exact: bool,
) -> tuple[Float[Tensor, "L B E"], Float[Tensor, "tiles B N E"]]:
    """``h[l] = exp(step A) h[l-1] + gain b[l] x[l]`` from zero, ``y[l] = c[l] h[l]``; and the states before each tile.

    ``gain`` is ``step``, or with ``exact`` the zero-order hold ``(exp(step A) - 1) / A`` of Eq. 5.
    """
    y, starts = _outputs(x, step, rates, b, c, exact)
    state = x.new_zeros(x.shape[1], *rates.shape)
    for now, start in zip(_tiles(len(x), state.numel()), starts, strict=True):
        start.copy_(state)
        _, _, states = _states(x[now], step[now], rates, b[now], state, exact)
        torch.sum(c[now, :, :, None] * states, 2, out=y[now])
        state = states[-1].clone()
    return y, starts


def _outputs(x: Tensor, step: Tensor, rates: Tensor, *_: Any) -> tuple[Tensor, Tensor]:  # noqa: ARG001
    length, batch, channels = x.shape
    tiles = -(-length // _steps(batch * channels * rates.shape[0]))
    return torch.empty_like(x), x.new_empty(tiles, batch, *rates.shape)


def _backward(
    x: Float[Tensor, "L B E"],
    step: Float[Tensor, "L B E"],
    rates: Float[Tensor, "N E"],
    b: Float[Tensor, "L B N"],
    c: Float[Tensor, "L B N"],
    exact: bool,
    starts: Float[Tensor, "tiles B N E"],
    grad: Float[Tensor, "L B E"],
) -> tuple[Tensor, ...]:
    """Gradients of the first five. That of the states, ``adjoint``, follows the same recurrence backwards."""
    grad_x, grad_step, grad_b, grad_c = map(torch.empty_like, (x, step, b, c))
    grad_rates, carry = torch.zeros_like(rates), x.new_zeros(x.shape[1], *rates.shape)
    tiles = _tiles(len(x), carry.numel())
    for now, start in zip(reversed(tiles), starts.flip(0), strict=True):
        wide_x, wide_step, wide_grad = x[now, :, None], step[now, :, None], grad[now, :, None]
        wide_b, wide_c = b[now, :, :, None], c[now, :, :, None]
        decay, gain, states = _states(x[now], step[now], rates, b[now], start, exact)

        adjoint = wide_c * wide_grad
        adjoint[-1] += carry
        moments = list(zip(adjoint.unbind(), decay.unbind(), strict=True))
        for (after, decay_after), (current, _) in pairwise(reversed(moments)):
            current.addcmul_(decay_after, after)
        carry = adjoint[0] * decay[0]

        grad_c[now] = (states * wide_grad).sum(3)
        exponent = adjoint * decay  # becomes the derivative with respect to step A
        exponent[0] *= start
        exponent[1:] *= states[:-1]
        if gain is not None:  # d gain / d step = decay, d gain / d A = (step decay - gain) / A
            by_gain = adjoint * wide_b * wide_x
            grad_x[now] = (adjoint * gain * wide_b).sum(2)
            grad_step[now] = (by_gain * decay + exponent * rates).sum(2)
            grad_rates += (by_gain * _over(wide_step * decay - gain, rates, wide_step.square() / 2)).sum((0, 1))
            grad_b[now] = (adjoint * gain * wide_x).sum(3)
        else:
            entered = (adjoint * wide_b).sum(2)
            grad_x[now] = entered * step[now]
            grad_step[now] = entered * x[now] + (exponent * rates).sum(2)
            grad_b[now] = (adjoint * (wide_step * wide_x)).sum(3)
        grad_rates += (exponent * wide_step).sum((0, 1))
    return grad_x, grad_step, grad_rates, grad_b, grad_c


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.exact = inputs
    ctx.save_for_backward(*tensors, output[1])


def _gradients(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    *inputs, starts = ctx.saved_tensors
    return *_SCAN_BACK(*inputs, ctx.exact, starts, grad), None


_INPUTS = "Tensor x, Tensor step, Tensor rates, Tensor b, Tensor c, bool exact"
_SCAN_BACK = operator(
    f"scan_reference_backward({_INPUTS}, Tensor starts, Tensor grad) -> ({', '.join(['Tensor'] * 5)})",
    _backward,
    lambda *inputs: tuple(map(torch.empty_like, inputs[:5])),
)
_SCAN = operator(f"scan_reference({_INPUTS}) -> (Tensor, Tensor)", _forward, _outputs, keep=_keep, backward=_gradients)


class Softplus(torch.autograd.Function):
    """``log(1 + exp(x))`` to within rounding; PyTorch's own takes twenty times an exponential on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        ctx.save_for_backward(x)
        small = torch.exp(-x.abs())
        one_more = 1 + small
        # Kahan: the rounding of 1 + small cancels in the ratio; where it is 1, log1p(small) is small.
        ratio = torch.where(one_more == 1, 1.0, one_more.log() / (one_more - 1))
        return torch.addcmul(x.clamp_min(0), small, ratio)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        (x,) = ctx.saved_tensors
        return grad * x.sigmoid()


def _over(values: Float[Tensor, "K B N E"], rates: Float[Tensor, "N E"], limit: Tensor) -> Float[Tensor, "K B N E"]:
    """``values / rates``, and its ``limit`` where a rate is zero."""
    still = rates == 0
    return torch.where(still, limit, values / rates.masked_fill(still, 1.0))


def _states(
    x: Float[Tensor, "K B E"],
    step: Float[Tensor, "K B E"],
    rates: Float[Tensor, "N E"],
    b: Float[Tensor, "K B N"],
    start: Float[Tensor, "B N E"],
    exact: bool,
) -> tuple[Float[Tensor, "K B N E"], Float[Tensor, "K B N E"] | None, Float[Tensor, "K B N E"]]:
    """Decay, gain (none if it is the step itself) and states of the steps after ``start``."""
    exponent = step.unsqueeze(2) * rates
    gain = _over(torch.expm1(exponent), rates, step.unsqueeze(2)) if exact else None
    decay = exponent.exp_()
    states = b.unsqueeze(3) * (step * x).unsqueeze(2) if gain is None else b.unsqueeze(3) * x.unsqueeze(2) * gain
    for now, decay_now in zip(states.unbind(), decay.unbind(), strict=True):
        start = now.addcmul_(decay_now, start)
    return decay, gain, states


def _tiles(length: int, elements: int) -> list[slice]:
    """Runs of steps of about TILE elements each, given the elements of one step."""
    steps = _steps(elements)
    return [slice(begin, min(begin + steps, length)) for begin in range(0, length, steps)]


def _steps(elements: int) -> int:
    return max(1, TILE // max(1, elements))
