"""The scan as fused Triton kernels for CUDA, forward and backward.

A program takes ``BE`` channels of one sequence through time in chunks of ``K`` steps. Within a chunk the recurrence is
a parallel prefix scan over a tile (BE, N, K) in registers, so few channels with many steps (the spatial branch) and
many channels with few steps (the temporal one) both fill a GPU; between chunks only the state (BE, N) is carried. The
backward pass computes a chunk's states again from the state before it. Nothing is summed by atomics: equal inputs give
equal bytes. On a CPU the same kernels run in Triton's interpreter (``TRITON_INTERPRET=1``), which is for tests.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

CHANNELS, STEPS = 8, 64
"""Tile of a program: channels, and steps of a chunk."""


def selective_scan(
    u: Float[Tensor, "B E L"],
    delta: Float[Tensor, "B E L"],
    A: Float[Tensor, "E N"],
    B: Float[Tensor, "B N L"],
    C: Float[Tensor, "B N L"],
    D: Float[Tensor, " E"] | None,
    delta_bias: Float[Tensor, " E"] | None,
    delta_softplus: bool,
) -> Float[Tensor, "B E L"]:
    """See :func:`intermamba.ssm.selective_scan`; discretised as mamba, computed in float32."""
    out: Tensor = Scan.apply(u, delta, A, B, C, D, delta_bias, delta_softplus)
    return out


class Scan(torch.autograd.Function):
    """Forward and backward launches, and the sums over programs that follow the latter."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Float[Tensor, "B E L"],
        delta: Float[Tensor, "B E L"],
        A: Float[Tensor, "E N"],
        B: Float[Tensor, "B N L"],
        C: Float[Tensor, "B N L"],
        D: Float[Tensor, " E"] | None,
        delta_bias: Float[Tensor, " E"] | None,
        delta_softplus: bool,
    ) -> Float[Tensor, "B E L"]:
        (batch, channels, length), states = u.shape, A.shape[1]
        y = torch.empty_like(u)
        chunks = triton.cdiv(length, STEPS)
        starts = torch.empty(batch, chunks, channels, states, device=u.device)
        grid = (triton.cdiv(channels, CHANNELS), batch)
        shape = (channels, length, states, delta_softplus, D is not None, delta_bias is not None)
        rates, skip, bias = A.contiguous(), _vector(D, A), _vector(delta_bias, A)
        _forward[grid](
            u, delta, rates, B, C, skip, bias, y, starts,
            *u.stride(), *delta.stride(), *B.stride(), *C.stride(), *y.stride(),
            *shape, *_tile(states),
        )  # fmt: skip
        ctx.save_for_backward(u, delta, rates, B, C, skip, bias, starts)
        ctx.shape = shape
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "B E L"]) -> tuple[Tensor | None, ...]:
        u, delta, rates, B, C, skip, bias, starts = ctx.saved_tensors
        (batch, channels, length), states = u.shape, rates.shape[1]
        groups = triton.cdiv(channels, CHANNELS)
        grad_u, grad_delta = torch.empty_like(u), torch.empty_like(delta)
        # What many programs add to: B and C over channels, the parameters over sequences.
        grad_b, grad_c = (torch.empty(groups, batch, states, length, device=u.device) for _ in range(2))
        grad_rates = torch.empty(batch, channels, states, device=u.device)
        grad_skip, grad_bias = (torch.empty(batch, channels, device=u.device) for _ in range(2))
        _backward[groups, batch](
            u, delta, rates, B, C, skip, bias, starts, grad,
            grad_u, grad_delta, grad_rates, grad_b, grad_c, grad_skip, grad_bias,
            *u.stride(), *delta.stride(), *B.stride(), *C.stride(), *grad.stride(),
            *grad_u.stride(), *grad_delta.stride(),
            batch, *ctx.shape, *_tile(states),
        )  # fmt: skip
        has_skip, has_bias = ctx.shape[-2:]
        return (
            grad_u,
            grad_delta,
            grad_rates.sum(0).to(rates.dtype),
            grad_b.sum(0).to(B.dtype),
            grad_c.sum(0).to(C.dtype),
            grad_skip.sum(0).to(skip.dtype) if has_skip else None,
            grad_bias.sum(0).to(bias.dtype) if has_bias else None,
            None,
        )


def _vector(value: Tensor | None, like: Tensor) -> Tensor:
    """A contiguous vector, or something to point at where there is none."""
    return like if value is None else value.contiguous()


def _tile(states: int) -> tuple[int, int, int]:
    return CHANNELS, triton.next_power_of_2(states), STEPS


@triton.jit
def _compose(decay, entry, later_decay, later_entry):
    return decay * later_decay, entry * later_decay + later_entry


@triton.jit
def _step(delta, bias, softplus: tl.constexpr):
    step = delta + bias
    if softplus:
        step = tl.maximum(step, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(step)))
    return step


@triton.jit
def _forward(
    u_at, delta_at, rates_at, b_at, c_at, skip_at, bias_at, y_at, starts_at,
    u_b, u_e, u_l, delta_b, delta_e, delta_l, b_b, b_n, b_l, c_b, c_n, c_l, y_b, y_e, y_l,
    channels, length, states,
    softplus: tl.constexpr, has_skip: tl.constexpr, has_bias: tl.constexpr,
    BE: tl.constexpr, N: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    sequence = tl.program_id(1).to(tl.int64)
    e, n, k = tl.program_id(0) * BE + tl.arange(0, BE), tl.arange(0, N), tl.arange(0, K)
    real_e, real_n = e < channels, n < states
    real_en = real_e[:, None] & real_n[None, :]
    rates = tl.load(rates_at + e[:, None] * states + n[None, :], mask=real_en, other=0.0).to(tl.float32)
    skip = tl.load(skip_at + e, mask=real_e, other=0.0).to(tl.float32) if has_skip else tl.zeros((BE,), tl.float32)
    bias = tl.load(bias_at + e, mask=real_e, other=0.0).to(tl.float32) if has_bias else tl.zeros((BE,), tl.float32)
    state = tl.zeros((BE, N), tl.float32)
    chunks = tl.cdiv(length, K)
    for chunk in range(chunks):
        l = chunk * K + k  # noqa: E741
        real_el, real_nl = real_e[:, None] & (l < length)[None, :], real_n[:, None] & (l < length)[None, :]
        starts = starts_at + ((sequence * chunks + chunk) * channels + e[:, None]) * states + n[None, :]
        tl.store(starts, state, mask=real_en)
        u = tl.load(u_at + sequence * u_b + e[:, None] * u_e + l[None, :] * u_l, mask=real_el, other=0.0).to(tl.float32)
        delta = tl.load(
            delta_at + sequence * delta_b + e[:, None] * delta_e + l[None, :] * delta_l, mask=real_el, other=0.0
        ).to(tl.float32)
        b = tl.load(b_at + sequence * b_b + n[:, None] * b_n + l[None, :] * b_l, mask=real_nl, other=0.0).to(tl.float32)
        c = tl.load(c_at + sequence * c_b + n[:, None] * c_n + l[None, :] * c_l, mask=real_nl, other=0.0).to(tl.float32)
        step = tl.where(real_el, _step(delta, bias[:, None], softplus), 0.0)  # a padded step leaves the state alone
        decay = tl.exp(step[:, None, :] * rates[:, :, None])
        product, entered = tl.associative_scan((decay, (step * u)[:, None, :] * b[None, :, :]), 2, _compose)
        h = product * state[:, :, None] + entered
        y = tl.sum(h * c[None, :, :], 1) + skip[:, None] * u
        tl.store(y_at + sequence * y_b + e[:, None] * y_e + l[None, :] * y_l, y, mask=real_el)
        state = tl.sum(tl.where(k[None, None, :] == K - 1, h, 0.0), 2)


@triton.jit
def _backward(
    u_at, delta_at, rates_at, b_at, c_at, skip_at, bias_at, starts_at, grad_at,
    grad_u_at, grad_delta_at, grad_rates_at, grad_b_at, grad_c_at, grad_skip_at, grad_bias_at,
    u_b, u_e, u_l, delta_b, delta_e, delta_l, b_b, b_n, b_l, c_b, c_n, c_l, grad_b, grad_e, grad_l,
    grad_u_b, grad_u_e, grad_u_l, grad_delta_b, grad_delta_e, grad_delta_l,
    batch, channels, length, states,
    softplus: tl.constexpr, has_skip: tl.constexpr, has_bias: tl.constexpr,
    BE: tl.constexpr, N: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    group, sequence = tl.program_id(0), tl.program_id(1).to(tl.int64)
    e, n, k = group * BE + tl.arange(0, BE), tl.arange(0, N), tl.arange(0, K)
    real_e, real_n = e < channels, n < states
    real_en = real_e[:, None] & real_n[None, :]
    rates = tl.load(rates_at + e[:, None] * states + n[None, :], mask=real_en, other=0.0).to(tl.float32)
    skip = tl.load(skip_at + e, mask=real_e, other=0.0).to(tl.float32) if has_skip else tl.zeros((BE,), tl.float32)
    bias = tl.load(bias_at + e, mask=real_e, other=0.0).to(tl.float32) if has_bias else tl.zeros((BE,), tl.float32)
    adjoint_after = tl.zeros((BE, N), tl.float32)  # of the first step of the chunk behind
    of_rates = tl.zeros((BE, N), tl.float32)
    of_skip, of_bias = tl.zeros((BE,), tl.float32), tl.zeros((BE,), tl.float32)
    chunks = tl.cdiv(length, K)
    for back in range(chunks):
        chunk = chunks - 1 - back
        l = chunk * K + k  # noqa: E741
        real_el, real_nl = real_e[:, None] & (l < length)[None, :], real_n[:, None] & (l < length)[None, :]
        later_el = real_e[:, None] & (l + 1 < length)[None, :]
        u = tl.load(u_at + sequence * u_b + e[:, None] * u_e + l[None, :] * u_l, mask=real_el, other=0.0).to(tl.float32)
        deltas = delta_at + sequence * delta_b + e[:, None] * delta_e + l[None, :] * delta_l
        delta = tl.load(deltas, mask=real_el, other=0.0).to(tl.float32)
        later = tl.load(deltas + delta_l, mask=later_el, other=0.0).to(tl.float32)
        b = tl.load(b_at + sequence * b_b + n[:, None] * b_n + l[None, :] * b_l, mask=real_nl, other=0.0).to(tl.float32)
        c = tl.load(c_at + sequence * c_b + n[:, None] * c_n + l[None, :] * c_l, mask=real_nl, other=0.0).to(tl.float32)
        grad = tl.load(
            grad_at + sequence * grad_b + e[:, None] * grad_e + l[None, :] * grad_l, mask=real_el, other=0.0
        ).to(tl.float32)
        starts = starts_at + ((sequence * chunks + chunk) * channels + e[:, None]) * states + n[None, :]
        state = tl.load(starts, mask=real_en, other=0.0)

        step = tl.where(real_el, _step(delta, bias[:, None], softplus), 0.0)
        entry = (step * u)[:, None, :] * b[None, :, :]
        product, entered = tl.associative_scan((tl.exp(step[:, None, :] * rates[:, :, None]), entry), 2, _compose)
        h = product * state[:, :, None] + entered
        # adjoint[l] = c[l] grad[l] + decay[l + 1] adjoint[l + 1]: the same recurrence, backwards in time.
        step_later = tl.where(later_el, _step(later, bias[:, None], softplus), 0.0)
        decay_later = tl.exp(step_later[:, None, :] * rates[:, :, None])
        product, entered = tl.associative_scan(
            (decay_later, c[None, :, :] * grad[:, None, :]), 2, _compose, reverse=True
        )
        adjoint = product * adjoint_after[:, :, None] + entered
        adjoint_after = tl.sum(tl.where(k[None, None, :] == 0, adjoint, 0.0), 2)

        carried = adjoint * (h - entry)  # adjoint times decay[l] h[l - 1]
        by_entry = tl.sum(adjoint * b[None, :, :], 1)
        of_u = by_entry * step + skip[:, None] * grad
        of_step = by_entry * u + tl.sum(carried * rates[:, :, None], 1)
        if softplus:
            of_step *= 1.0 / (1.0 + tl.exp(-(delta + bias[:, None])))
        of_step = tl.where(real_el, of_step, 0.0)
        tl.store(grad_u_at + sequence * grad_u_b + e[:, None] * grad_u_e + l[None, :] * grad_u_l, of_u, mask=real_el)
        tl.store(
            grad_delta_at + sequence * grad_delta_b + e[:, None] * grad_delta_e + l[None, :] * grad_delta_l,
            of_step,
            mask=real_el,
        )
        place = ((group * batch + sequence) * states + n[:, None]) * length + l[None, :]
        tl.store(grad_b_at + place, tl.sum(adjoint * (step * u)[:, None, :], 0), mask=real_nl)
        tl.store(grad_c_at + place, tl.sum(h * grad[:, None, :], 0), mask=real_nl)
        of_rates += tl.sum(carried * step[:, None, :], 2)
        of_skip += tl.sum(grad * u, 1)
        of_bias += tl.sum(of_step, 1)
    row = sequence * channels + e
    tl.store(grad_rates_at + row[:, None] * states + n[None, :], of_rates, mask=real_en)
    tl.store(grad_skip_at + row, of_skip, mask=real_e)
    tl.store(grad_bias_at + row, of_bias, mask=real_e)
