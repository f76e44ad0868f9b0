"""The selective scan (Eq. 3-6 of the paper) behind one function with interchangeable backends.

A backend is a function of :class:`intermamba.ssm.inputs.Inputs` and the discretisation.
"""

from collections.abc import Callable
from typing import Literal

from jaxtyping import Float
from torch import Tensor

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


def selective_scan(
    u: Float[Tensor, "B E L"],
    delta: Float[Tensor, "B E L"],
    A: Float[Tensor, "E N"],
    B: Float[Tensor, "B N L"],
    C: Float[Tensor, "B N L"],
    D: Float[Tensor, " E"] | None = None,
    delta_bias: Float[Tensor, " E"] | None = None,
    delta_softplus: bool = False,
    backend: str = "auto",
    *,
    discretisation: Discretisation = "mamba",
) -> Float[Tensor, "B E L"]:
    """Selective state space model along L: ``h[l] = exp(delta A) h[l-1] + B_bar u[l]``, ``y[l] = C[l] h[l] + D u[l]``.

    Shapes and meaning are those of mamba_ssm's function of the same name (real A, one group). ``B``, ``C`` and
    ``delta`` may come from another sequence than ``u``: that is the paper's mixed scan (Section 4.4).

    Args:
        u: input.
        delta: step size of each channel and step.
        A: rates of each channel's states; negative for states that decay.
        B: how the input enters the states.
        C: how the states are read.
        D: weight of the input's shortcut to the output.
        delta_bias: added to ``delta`` before the softplus.
        delta_softplus: whether step sizes are ``softplus(delta + delta_bias)``; else they are taken as they are.
        backend: a name of :data:`BACKENDS`, or ``auto`` for the fastest that takes the input. ``reference`` is plain
            PyTorch on any device; ``cpu`` is compiled, for processors; ``triton`` is compiled, for CUDA;
            ``mamba_ssm`` is the official kernel, never chosen by ``auto``. All but the first take float32 and less,
            with ``discretisation="mamba"``.
        discretisation: ``mamba`` takes ``B_bar = delta B`` as mamba_ssm does; ``zoh`` the exact zero-order
            hold of Eq. 5.

    Returns:
        y in ``u``'s dtype; computed in float32 at least, whatever autocast says. Gradients by every tensor; not twice.

    Raises:
        ConfigError: unknown backend, or one that does not take the input.
        ValueError: shapes that do not fit.
    """
    if backend == "auto":
        fast = (("cpu", cpu), ("triton", cuda))
        ready = (name for name, home in fast if home.supports(u, discretisation) and home.available())
        backend = next(ready, "reference")
    elif backend not in BACKENDS:
        raise ConfigError(unknown("scan backend", backend, [*BACKENDS, "auto"], "selective_scan(backend=...)"))
    scan = Inputs(u, delta, A, B, C, D, delta_bias, delta_softplus)
    check_shapes(scan)
    return BACKENDS[backend](scan, discretisation)
