"""The arguments of a scan, as passed to the backends."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor


class Inputs(NamedTuple):
    """See :func:`intermamba.ssm.selective_scan`."""

    u: Float[Tensor, "B E L"]
    delta: Float[Tensor, "B E L"]
    A: Float[Tensor, "E N"]
    B: Float[Tensor, "B N L"]
    C: Float[Tensor, "B N L"]
    D: Float[Tensor, " E"] | None
    bias: Float[Tensor, " E"] | None
    softplus: bool


def check_shapes(scan: Inputs) -> None:
    """Refuse shapes that do not match ``u``: PyTorch would broadcast them, and compiled loops would exceed their ends.

    Raises:
        ValueError: the message lists all shapes.
    """
    u, *others = scan[:-1]
    (batch, channels, length), states = u.shape, scan.A.shape[-1]
    projection, vector = (batch, states, length), (channels,)
    expected = [tuple(u.shape), (channels, states), projection, projection, vector, vector]
    shapes = [fit if value is None else tuple(value.shape) for value, fit in zip(others, expected, strict=True)]
    if shapes != expected:
        raise ValueError(f"selective_scan: delta, A, B, C, D, delta_bias of shapes {shapes}; u requires {expected}")


def flat(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, whose first argument is :class:`Inputs`, as an operator calls it: with one argument per field."""
    count = len(Inputs._fields)
    return lambda *values: function(Inputs(*values[:count]), *values[count:])
