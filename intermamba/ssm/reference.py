"""The scan in plain PyTorch: any device, any floating dtype, differentiable; the oracle of every other backend.

Everything is time-major with channels last, (L, B, N, E): a step of the recurrence is then one contiguous fused
multiply-add. Outer products and the sum over states are broadcast products: N is small, and batched matrix products of
that shape are several times slower on a CPU.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


class LinearRecurrence(torch.autograd.Function):
    """``h[l] = a[l] h[l-1] + b[l]`` along the first axis, with ``h[-1] = 0``.

    Its gradient is the same recurrence backwards: ``b'[l] = h'[l] + a[l+1] b'[l+1]`` and ``a'[l] = b'[l] h[l-1]``.
    """

    @staticmethod
    def forward(ctx: Any, a: Float[Tensor, "L *rest"], b: Float[Tensor, "L *rest"]) -> Float[Tensor, "L *rest"]:
        h = torch.empty_like(b)
        h[0] = b[0]
        steps = list(zip(a.unbind(), b.unbind(), h.unbind(), strict=True))
        for (_, _, before), (a_now, b_now, now) in zip(steps, steps[1:], strict=False):
            torch.addcmul(b_now, a_now, before, out=now)
        ctx.save_for_backward(a, h)
        return h

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Float[Tensor, "L *rest"]) -> tuple[Tensor, Tensor]:
        a, h = ctx.saved_tensors
        grad_b = torch.empty_like(h)
        grad_b[-1] = grad[-1]
        steps = list(zip(a.unbind(), grad.unbind(), grad_b.unbind(), strict=True))[::-1]
        for (a_after, _, after), (_, grad_now, now) in zip(steps, steps[1:], strict=False):
            torch.addcmul(grad_now, a_after, after, out=now)
        grad_a = torch.empty_like(h)
        grad_a[0] = 0
        torch.mul(grad_b[1:], h[:-1], out=grad_a[1:])
        return grad_a, grad_b


def selective_scan(
    u: Float[Tensor, "B E L"],
    delta: Float[Tensor, "B E L"],
    A: Float[Tensor, "E N"],  # noqa: N803
    B: Float[Tensor, "B N L"],  # noqa: N803
    C: Float[Tensor, "B N L"],  # noqa: N803
    D: Float[Tensor, " E"] | None,  # noqa: N803
    delta_bias: Float[Tensor, " E"] | None,
    delta_softplus: bool,
    discretisation: str,
) -> Float[Tensor, "B E L"]:
    """See :func:`intermamba.ssm.selective_scan`."""
    dtype = torch.promote_types(u.dtype, torch.float32)
    with torch.autocast(
        u.device.type, enabled=False
    ):  # states decay over hundreds of steps: half precision is not enough
        inputs, step, b, c = (
            x.to(dtype).permute(2, 0, 1).contiguous() for x in (u, delta, B, C)
        )  # (L, B, E) and (L, B, N)
        if delta_bias is not None:
            step = step + delta_bias.to(dtype)
        if delta_softplus:
            step = functional.softplus(step)
        rates = A.to(dtype).T  # (N, E)
        decay = step.unsqueeze(2) * rates  # (L, B, N, E), here still the logarithm
        if discretisation == "zoh":
            fed = b.unsqueeze(3) * inputs.unsqueeze(2) * _zero_order_hold(decay, step.unsqueeze(2), rates)
        else:
            fed = b.unsqueeze(3) * (step * inputs).unsqueeze(2)
        states: Tensor = LinearRecurrence.apply(decay.exp(), fed)  # type: ignore[no-untyped-call]
        y = (c.unsqueeze(3) * states).sum(2)
        if D is not None:
            y = y + inputs * D.to(dtype)
        return y.permute(1, 2, 0).to(u.dtype)


def _zero_order_hold(
    log_decay: Float[Tensor, "L B N E"], step: Float[Tensor, "L B 1 E"], rates: Float[Tensor, "N E"]
) -> Float[Tensor, "L B N E"]:
    """``(exp(delta A) - 1) / A`` (Eq. 5), which tends to ``delta`` as A goes to zero."""
    still = rates == 0
    return torch.where(still, step, torch.expm1(log_decay) / rates.masked_fill(still, 1.0))
