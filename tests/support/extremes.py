"""The scan at extreme step sizes: outputs and gradients of a backend, and of the reference in double precision."""

import math

import torch
from torch import Tensor

from intermamba.ssm import selective_scan

STEPS = (0.0, 1e-45, 1e-40, 1e-5, 89.0, 1e4, 1e30, math.inf, math.nan)
"""One step of forty; the others are 0.1."""
NEGATIVE = (-200.0, -1e4, -1e30)
"""Before a softplus alone: no step is negative."""
RESULTS = ("y", "u", "delta", "A", "B", "C")
"""The output, and the inputs with gradients."""


def run(step: float, softplus: bool, dtype: torch.dtype, backend: str, double: bool = False) -> list[Tensor]:
    """Output and gradients of its sum, in float64; with ``double`` computed in it, from the same rounded inputs."""
    wave = torch.arange(480, dtype=torch.float32)
    delta = torch.full((1, 3, 40), 0.1)
    delta[:, :, 7] = step
    u, B, C = ((wave[:n] * pitch).sin().reshape(1, -1, 40) for n, pitch in ((120, 1.1), (160, 0.7), (160, 1.3)))
    inputs = [
        u.to(dtype),
        delta.to(dtype),
        -(wave[:12] * 0.3).sin().abs().reshape(3, 4) - 0.1,
        B.to(dtype),
        C.to(dtype),
    ]
    leaves = [(value.double() if double else value).requires_grad_() for value in inputs]
    y = selective_scan(*leaves, delta_softplus=softplus, backend=backend)
    return [value.double() for value in (y.detach(), *torch.autograd.grad(y.double().sum(), leaves))]


def compare(found: Tensor, exact: Tensor) -> tuple[float, int]:
    """The largest error of a value that both have finite, as a share of it (of .001 where it is smaller), and how many
    are finite in one alone."""
    both = found.isfinite() & exact.isfinite()
    error = (found - exact).abs() / exact.abs().clamp(min=1e-3)
    return float(error[both].max()) if both.any() else 0.0, int((found.isfinite() != exact.isfinite()).sum())
