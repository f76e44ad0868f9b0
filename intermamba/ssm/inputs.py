"""The arguments of a scan, as the backends hand them on."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor


class Inputs(NamedTuple):
    """Meaning in :func:`intermamba.ssm.selective_scan`."""

    u: Float[Tensor, "B E L"]
    delta: Float[Tensor, "B E L"]
    A: Float[Tensor, "E N"]
    B: Float[Tensor, "B N L"]
    C: Float[Tensor, "B N L"]
    D: Float[Tensor, " E"] | None
    bias: Float[Tensor, " E"] | None
    softplus: bool


def flat(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, whose first argument is :class:`Inputs`, as an operator calls it: with one argument per field."""
    count = len(Inputs._fields)
    return lambda *values: function(Inputs(*values[:count]), *values[count:])
