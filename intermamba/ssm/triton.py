"""The scan as fused Triton kernels for CUDA, forward and backward. Experimental: no GPU has run them yet.

A program processes ``BE`` channels of one sequence in chunks of ``K`` steps. Within a chunk the recurrence is
a parallel prefix scan over a tile (BE, N, K) in registers, so few channels with many steps (the spatial branch) and
many channels with few steps (the temporal one) both have work for many threads; between chunks only the state (BE, N)
is carried. The backward pass recomputes a chunk's states from the state before it. There a program processes a group of
channels, tile after tile: it sums their shares of the gradients of B and C, which would otherwise be most of the pass's
memory traffic, in memory that only it writes. Nothing is summed by atomics: with the same tile, equal inputs give equal
bytes. On a CPU the same kernels run in Triton's interpreter (``TRITON_INTERPRET=1``), which is for tests.

No candidate tile spills registers (a slow test compiles a part of them, with ``--exhaustive`` all). Triton measures
once per size of problem which is fastest, and keeps the result on disk, so that later runs have the same tile.
"""

from functools import cache
from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from intermamba.ssm.inputs import Inputs, flat
from intermamba.ssm.operator import operator

STEPS = 32
"""Steps of a chunk."""
GROUP = 16
"""Channels per program of the backward pass."""
CHANNELS = (1, 2, 4, 8)
"""Candidate numbers of channels of a tile."""
REGISTERS = 255
"""Registers that a thread may use: all. By default the assembler spills a few to run one more program at once."""
WARPS = 8
"""Largest candidate number of warps of a program."""
VALUES = (4, 8)
"""Candidate numbers of a tile's values per thread: with 16 the backward kernel spills."""


def selective_scan(scan: Inputs) -> Float[Tensor, "B E L"]:
    """See :func:`intermamba.ssm.selective_scan`; discretised as mamba, computed in float32."""
    keep = torch.is_grad_enabled() and any(isinstance(value, Tensor) and value.requires_grad for value in scan)
    y: Tensor
    y, _ = _SCAN(*scan, keep)
    return y


def _launch_forward(scan: Inputs, keep: bool) -> tuple[Tensor, Tensor]:
    """The output, and with ``keep`` the states before each chunk."""
    u, delta, A, B, C, D, bias, softplus = scan
    (_, channels, length), states = u.shape, A.shape[1]
    y, starts = _outputs(scan, keep)
    kernel = tuned(_forward, states)
    kernel[lambda meta: (triton.cdiv(channels, meta["BE"]), len(u))](
        u, delta, A.contiguous(), B, C, _vector(D, A), _vector(bias, A), y, starts,
        *u.stride(), *delta.stride(), *B.stride(), *C.stride(), *y.stride(),
        _size(u), channels, length, states, softplus, D is not None, bias is not None, keep,
        N=triton.next_power_of_2(states), K=STEPS, enable_fp_fusion=True,
    )  # fmt: skip
    return y, starts


def _outputs(scan: Inputs, keep: bool) -> tuple[Tensor, Tensor]:
    (batch, channels, length), states = scan.u.shape, scan.A.shape[1]
    starts = (batch, -(-length // STEPS), channels, states) if keep else (0,) * 4
    return torch.empty_like(scan.u), scan.u.new_empty(starts, dtype=torch.float32)


def _launch_backward(
    scan: Inputs, starts: Float[Tensor, "B chunks E N"], grad: Float[Tensor, "B E L"]
) -> tuple[Tensor, ...]:
    """Gradients of all inputs that are tensors; those of absent ones are zeros and unused."""
    u, delta, A, B, C, D, bias, softplus = scan
    (batch, channels, length), states = u.shape, A.shape[1]
    groups = triton.cdiv(channels, GROUP)
    by_u, by_delta = torch.empty_like(u), torch.empty_like(delta)
    # Sums over programs: B and C over channels, the parameters over sequences.
    by_b, by_c = (starts.new_empty(groups, batch, states, length) for _ in range(2))
    by_rates = starts.new_empty(batch, channels, states)
    by_skip, by_bias = (starts.new_empty(batch, channels) for _ in range(2))
    tuned(_backward, states)[groups, batch](
        u, delta, A.contiguous(), B, C, _vector(D, A), _vector(bias, A), starts, grad,
        by_u, by_delta, by_rates, by_b, by_c, by_skip, by_bias,
        *u.stride(), *delta.stride(), *B.stride(), *C.stride(), *grad.stride(), *by_u.stride(), *by_delta.stride(),
        _size(u), batch, channels, length, states, softplus, D is not None, bias is not None,
        GROUP=GROUP, N=triton.next_power_of_2(states), K=STEPS, enable_fp_fusion=True,
    )  # fmt: skip
    rest = zip((by_rates, by_b, by_c, by_skip, by_bias), (A, B, C, D, bias), strict=True)
    return by_u, by_delta, *(value.sum(0).to(value.dtype if like is None else like.dtype) for value, like in rest)


def _gradients_like(scan: Inputs, *_: Tensor) -> tuple[Tensor, ...]:
    dtypes = (torch.float32 if value is None else value.dtype for value in (scan.D, scan.bias))
    vectors = (scan.A.new_empty(len(scan.A), dtype=dtype) for dtype in dtypes)
    projections = (value.new_empty(value.shape) for value in (scan.A, scan.B, scan.C))
    return torch.empty_like(scan.u), torch.empty_like(scan.delta), *projections, *vectors


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.softplus, _ = inputs
    ctx.save_for_backward(*tensors, output[1])


def _gradients(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    *inputs, starts = ctx.saved_tensors
    found = _SCAN_BACK(*inputs, ctx.softplus, starts, grad)
    wanted = (None if value is None else by for value, by in zip(inputs, found, strict=True))
    return *wanted, None, None


_INPUTS = "Tensor u, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? bias, bool softplus"
_SCAN_BACK = operator(
    f"scan_triton_backward({_INPUTS}, Tensor starts, Tensor grad) -> ({', '.join(['Tensor'] * 7)})",
    flat(_launch_backward),
    flat(_gradients_like),
)
_SCAN = operator(
    f"scan_triton({_INPUTS}, bool keep) -> (Tensor, Tensor)",
    flat(_launch_forward),
    flat(_outputs),
    keep=_keep,
    backward=_gradients,
)


def _vector(value: Tensor | None, like: Tensor) -> Tensor:
    """A contiguous vector, or any valid pointer if there is none."""
    return like if value is None else value.contiguous()


def tiles(states: int) -> list[triton.Config]:
    """Candidate channels of a tile and warps of a program: a warp has 32 threads, and a tile 32 steps."""
    rows = triton.next_power_of_2(states)
    shapes = {(channels, max(1, channels * rows // values)) for channels in CHANNELS for values in VALUES}
    fitting = {(channels, warps) for channels, warps in shapes if warps <= WARPS}
    return [
        triton.Config({"BE": channels}, num_warps=warps, maxnreg=REGISTERS)
        for channels, warps in sorted(fitting or {(1, WARPS)})
    ]


@cache
def tuned(kernel: Any, states: int) -> Any:
    """A kernel whose tile Triton chooses by measurement, once per size of problem, and keeps on disk."""
    return triton.autotune(tiles(states), key=["size"], cache_results=True)(kernel)


def _size(u: Float[Tensor, "B E L"]) -> int:
    """Key of the choice of a tile: roughly, the work to share among programs. L changes with every batch."""
    return triton.next_power_of_2(u.shape[0] * u.shape[1])


@triton.jit
def _compose(decay, entry, later_decay, later_entry):
    return decay * later_decay, entry * later_decay + later_entry


@triton.jit
def _read(at, mask):
    return tl.load(at, mask=mask, other=0.0).to(tl.float32)


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
    size, channels, length, states,  # noqa: ARG001 - by size a tile is chosen
    softplus: tl.constexpr, has_skip: tl.constexpr, has_bias: tl.constexpr, keep: tl.constexpr,
    BE: tl.constexpr, N: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    sequence = tl.program_id(1).to(tl.int64)
    e, n, k = tl.program_id(0) * BE + tl.arange(0, BE), tl.arange(0, N), tl.arange(0, K)
    real_e, real_n = e < channels, n < states
    real_en = real_e[:, None] & real_n[None, :]
    rates = _read(rates_at + e[:, None] * states + n[None, :], real_en)
    skip = _read(skip_at + e, real_e) if has_skip else tl.zeros((BE,), tl.float32)
    bias = _read(bias_at + e, real_e) if has_bias else tl.zeros((BE,), tl.float32)
    state = tl.zeros((BE, N), tl.float32)
    chunks = tl.cdiv(length, K)
    for chunk in range(chunks):
        l = chunk * K + k  # noqa: E741
        real_el, real_nl = real_e[:, None] & (l < length)[None, :], real_n[:, None] & (l < length)[None, :]
        if keep:
            starts = starts_at + ((sequence * chunks + chunk) * channels + e[:, None]) * states + n[None, :]
            tl.store(starts, state, mask=real_en)
        u = _read(u_at + sequence * u_b + e[:, None] * u_e + l[None, :] * u_l, real_el)
        delta = _read(delta_at + sequence * delta_b + e[:, None] * delta_e + l[None, :] * delta_l, real_el)
        b = _read(b_at + sequence * b_b + n[:, None] * b_n + l[None, :] * b_l, real_nl)
        c = _read(c_at + sequence * c_b + n[:, None] * c_n + l[None, :] * c_l, real_nl)
        step = tl.where(real_el, _step(delta, bias[:, None], softplus), 0.0)  # a padded step does not change the state
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
    size, batch, channels, length, states,  # noqa: ARG001
    softplus: tl.constexpr, has_skip: tl.constexpr, has_bias: tl.constexpr,
    GROUP: tl.constexpr, BE: tl.constexpr, N: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    group, sequence = tl.program_id(0), tl.program_id(1).to(tl.int64)
    n, k = tl.arange(0, N), tl.arange(0, K)
    real_n = n < states
    for tile in range(GROUP // BE):
        e = group * GROUP + tile * BE + tl.arange(0, BE)
        real_e = e < channels
        real_en = real_e[:, None] & real_n[None, :]
        rates = _read(rates_at + e[:, None] * states + n[None, :], real_en)
        skip = _read(skip_at + e, real_e) if has_skip else tl.zeros((BE,), tl.float32)
        bias = _read(bias_at + e, real_e) if has_bias else tl.zeros((BE,), tl.float32)
        adjoint_after = tl.zeros((BE, N), tl.float32)  # of the first step of the next chunk
        of_rates = tl.zeros((BE, N), tl.float32)
        of_skip, of_bias = tl.zeros((BE,), tl.float32), tl.zeros((BE,), tl.float32)
        chunks = tl.cdiv(length, K)
        for back in range(chunks):
            chunk = chunks - 1 - back
            l = chunk * K + k  # noqa: E741
            real_el, real_nl = real_e[:, None] & (l < length)[None, :], real_n[:, None] & (l < length)[None, :]
            later_el = real_e[:, None] & (l + 1 < length)[None, :]
            u = _read(u_at + sequence * u_b + e[:, None] * u_e + l[None, :] * u_l, real_el)
            deltas = delta_at + sequence * delta_b + e[:, None] * delta_e + l[None, :] * delta_l
            delta = _read(deltas, real_el)
            later = _read(deltas + delta_l, later_el)
            b = _read(b_at + sequence * b_b + n[:, None] * b_n + l[None, :] * b_l, real_nl)
            c = _read(c_at + sequence * c_b + n[:, None] * c_n + l[None, :] * c_l, real_nl)
            grad = _read(grad_at + sequence * grad_b + e[:, None] * grad_e + l[None, :] * grad_l, real_el)
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
            tl.store(
                grad_u_at + sequence * grad_u_b + e[:, None] * grad_u_e + l[None, :] * grad_u_l, of_u, mask=real_el
            )
            grads = grad_delta_at + sequence * grad_delta_b + e[:, None] * grad_delta_e + l[None, :] * grad_delta_l
            tl.store(grads, of_step, mask=real_el)
            place = ((group * batch + sequence) * states + n[:, None]) * length + l[None, :]
            earlier = real_nl & (tile > 0)  # earlier tiles of this program have written there
            of_b = _read(grad_b_at + place, earlier) + tl.sum(adjoint * (step * u)[:, None, :], 0)
            of_c = _read(grad_c_at + place, earlier) + tl.sum(h * grad[:, None, :], 0)
            tl.store(grad_b_at + place, of_b, mask=real_nl)
            tl.store(grad_c_at + place, of_c, mask=real_nl)
            of_rates += tl.sum(carried * step[:, None, :], 2)
            of_skip += tl.sum(grad * u, 1)
            of_bias += tl.sum(of_step, 1)
        row = sequence * channels + e
        tl.store(grad_rates_at + row[:, None] * states + n[None, :], of_rates, mask=real_en)
        tl.store(grad_skip_at + row, of_skip, mask=real_e)
        tl.store(grad_bias_at + row, of_bias, mask=real_e)
        tl.debug_barrier()  # the next tile reads the results of this one
