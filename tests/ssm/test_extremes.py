"""The scan at extreme step sizes and of nothing: each backend and precision against float64, gradients too."""

import pytest
import torch
from extremes import NEGATIVE, STEPS, run

from intermamba.ssm import selective_scan

ROUNDING = {torch.float32: 5e-4, torch.bfloat16: 8e-3}
"""Relative error of values above a thousandth; the states of such a step are up to 1e30 times those of the others."""


@pytest.mark.parametrize("dtype", list(ROUNDING), ids=str)
@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize(
    ("step", "softplus"),
    [*((step, False) for step in STEPS), *((step, True) for step in (*STEPS, *NEGATIVE))],
)
def test_equal_to_double_precision(step: float, softplus: bool, backend: str, dtype: torch.dtype) -> None:
    found, expected = run(step, softplus, dtype, backend), run(step, softplus, dtype, "reference", double=True)
    for value, exact in zip(found, expected, strict=True):
        finite = exact.isfinite()
        assert torch.equal(value.isfinite(), finite)
        error = (value - exact).abs() / exact.abs().clamp(min=1e-3)
        assert (error[finite] <= ROUNDING[dtype]).all()


@pytest.mark.parametrize("softplus", [False, True])
def test_states_beyond_single_precision_are_not_finite_in_either_backend(softplus: bool) -> None:
    """float64 holds them; what stays finite in single precision is equal to it. The backends may lose different
    gradients at the largest number."""
    exact = run(3e38, softplus, torch.float32, "reference", double=True)
    found = [run(3e38, softplus, torch.float32, backend) for backend in ("reference", "cpu")]
    assert torch.equal(found[0][0].isfinite(), found[1][0].isfinite())
    assert not found[0][0].isfinite().all()
    for value, wanted in zip((*found[0], *found[1]), (*exact, *exact), strict=True):
        error = (value - wanted).abs() / wanted.abs().clamp(min=1e-3)
        assert (error[value.isfinite()] <= ROUNDING[torch.float32]).all()


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("sizes", [(0, 3, 4, 2), (1, 0, 4, 2), (1, 3, 0, 2), (1, 3, 4, 0)])
def test_nothing_is_scanned(sizes: tuple[int, int, int, int], backend: str) -> None:
    batch, channels, length, states = sizes
    u = torch.ones(batch, channels, length, requires_grad=True)
    projection = torch.ones(batch, states, length)
    rates, shortcut = -torch.ones(channels, states), torch.full((channels,), 2.0)
    y = selective_scan(u, u.detach(), rates, projection, projection, D=shortcut, backend=backend)
    y.sum().backward()
    assert y.shape == u.shape
    if not states:
        assert torch.equal(y, 2 * u)
        assert torch.equal(u.grad, torch.full_like(u, 2))
