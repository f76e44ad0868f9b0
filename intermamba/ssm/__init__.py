"""The selective scan (Eq. 3-6 of the paper) behind one function with interchangeable backends.

A backend is a function of :class:`intermamba.ssm.inputs.Inputs` and the discretisation.
"""

from collections.abc import Callable
from typing import Literal, get_args, overload

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from intermamba.errors import ConfigError, unknown
from intermamba.ssm import cpu, cuda, reference
from intermamba.ssm.inputs import Inputs, check_shapes

Discretisation = Literal["mamba", "zoh"]

BACKENDS: dict[str, Callable[[Inputs, str], Tensor]] = {
    "reference": reference.selective_scan,
    "cpu": cpu.selective_scan,
    "triton": cuda.triton_scan,
    "mamba_ssm": cuda.mamba_ssm_scan,
}


NO_STEP = -1e4
"""Its softplus is zero in every type: a step that leaves the states unchanged."""


@overload
def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: Literal[False] = False,
    *,
    backend: str = "auto",
    discretisation: Discretisation = "mamba",
) -> Tensor: ...


@overload
def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    *,
    return_last_state: Literal[True],
    backend: str = "auto",
    discretisation: Discretisation = "mamba",
) -> tuple[Tensor, Tensor]: ...


def selective_scan(
    u: Float[Tensor, "B E L"],
    delta: Float[Tensor, "B E L"],
    A: Float[Tensor, "E N"],
    B: Float[Tensor, "B N L"],
    C: Float[Tensor, "B N L"],
    D: Float[Tensor, " E"] | None = None,
    z: Float[Tensor, "B E L"] | None = None,
    delta_bias: Float[Tensor, " E"] | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
    *,
    backend: str = "auto",
    discretisation: Discretisation = "mamba",
) -> Float[Tensor, "B E L"] | tuple[Float[Tensor, "B E L"], Float[Tensor, "B E N"]]:
    """Selective state space model along L: ``h[l] = exp(delta A) h[l-1] + B_bar u[l]``, ``y[l] = C[l] h[l] + D u[l]``.

    Arguments, their order and their meaning are those of mamba_ssm's ``selective_scan_fn`` (real A; B and C that vary
    along L, in one group). ``B``, ``C`` and
    ``delta`` may come from another sequence than ``u``: that is the paper's mixed scan (Section 4.4).

    Args:
        u: input.
        delta: step size of each channel and step. Where ``delta A`` is above 88, as with a negative step, states leave
            single precision: ``reference`` then gives infinities, while ``cpu`` may stay finite.
        A: rates of each channel's states; negative for states that decay.
        B: how the input enters the states.
        C: how the states are read.
        D: weight of the skip connection from input to output.
        z: a gate: the output is multiplied by ``silu(z)``.
        delta_bias: added to ``delta`` before the softplus.
        delta_softplus: whether step sizes are ``softplus(delta + delta_bias)``; else ``delta + delta_bias``.
        return_last_state: whether to also return the states after the last step, in float32 at least.
        backend: a name of :data:`BACKENDS`, or ``auto``: the compiled one of the input's device, if it supports the
            input. ``reference`` is plain PyTorch on any device; ``cpu`` is compiled, for CPUs; ``triton`` is compiled,
            for CUDA; ``mamba_ssm`` is the official kernel, never chosen by ``auto``. All but the first support float32
            and less, with ``discretisation="mamba"``.
        discretisation: ``mamba`` uses ``B_bar = delta B`` as mamba_ssm does; ``zoh`` the exact zero-order
            hold of Eq. 5.

    Returns:
        y in ``u``'s dtype; computed in float32 at least, also under autocast. All tensors get gradients; no second
        ones. With ``return_last_state`` y and the states, which have gradients too.

    Raises:
        ConfigError: unknown backend or discretisation, or a backend that does not support the input.
        ValueError: inconsistent shapes, or numbers that are not real.
    """
    if discretisation not in (known := get_args(Discretisation)):
        raise ConfigError(unknown("discretisation", discretisation, known, "selective_scan(discretisation=...)"))
    if u.ndim != 3 or not u.is_floating_point() or A.is_complex():
        raise ValueError(f"selective_scan: u of shape {tuple(u.shape)}, {u.dtype}, A {A.dtype}; needs real (B, E, L)")
    dtype, length = u.dtype, u.shape[2]
    if z is not None or return_last_state:
        u = u.to(torch.promote_types(dtype, torch.float32))  # rounded once, at the end
    scan = Inputs(u, delta, A, B, C, D, delta_bias, delta_softplus)
    check_shapes(scan)
    if z is not None and z.shape != u.shape:
        raise ValueError(f"selective_scan: z of shape {tuple(z.shape)}; u requires {tuple(u.shape)}")
    if return_last_state:
        scan = _with_states(scan)
    if backend == "auto":
        fast = (("cpu", cpu), ("triton", cuda))
        ready = (name for name, home in fast if home.supports(u, discretisation) and home.available())
        backend = next(ready, "reference")
    elif backend not in BACKENDS:
        raise ConfigError(unknown("scan backend", backend, [*BACKENDS, "auto"], "selective_scan(backend=...)"))
    y = BACKENDS[backend](scan, discretisation)
    y, states = (y[..., :length], y[..., length:]) if return_last_state else (y, None)
    if z is not None:
        y = y * functional.silu(z.to(y.dtype))
    y = y.to(dtype)
    return y if states is None else (y, states)


def _with_states(scan: Inputs) -> Inputs:
    """The scan with N more steps without input or decay, in which C reads one state after the other."""
    states = scan.A.shape[1]
    delta = scan.delta
    still = delta.new_full((), NO_STEP if scan.softplus else 0.0)
    if scan.bias is not None and not scan.softplus:
        # Minus the bias, to the last bit: what is left of it would let the states decay.
        delta = delta.to(torch.promote_types(torch.promote_types(delta.dtype, scan.bias.dtype), torch.float32))
        still = -scan.bias.to(delta.dtype)[:, None]
    reading = torch.eye(states, dtype=scan.C.dtype, device=scan.C.device).expand(len(scan.u), -1, -1)
    return scan._replace(
        u=functional.pad(scan.u, (0, states)),
        delta=torch.cat((delta, still.expand(*scan.u.shape[:2], states)), 2),
        B=functional.pad(scan.B, (0, states)),
        C=torch.cat((scan.C, reading), 2),
    )
