"""The selective scan against a literal loop of Eq. 3-5, mamba_ssm's reference, finite differences, closed forms."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from intermamba.errors import ConfigError
from intermamba.ssm import reference, selective_scan

MAMBA_SSM = [0.4092254, -0.4140569, -0.2913067, -0.1932692, -0.0358448, -1.3475488, 0.4543703, 0.7782871]
"""Every fourth value that mamba_ssm's selective_scan_ref (float32) gives for :func:`formula`."""


def arguments(batch: int, channels: int, length: int, states: int, seed: int = 0, dtype: torch.dtype = torch.float64):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    return {
        "u": draw(batch, channels, length),
        "delta": draw(batch, channels, length),
        "A": -draw(channels, states).exp(),
        "B": draw(batch, states, length),
        "C": draw(batch, states, length),
        "D": draw(channels),
        "delta_bias": draw(channels),
    }


def literal(u, delta, A, B, C, D, delta_bias, zoh: bool) -> Tensor:
    """Eq. 3-5, scalar by scalar, in Python floats."""
    y = torch.zeros_like(u)
    for b in range(u.shape[0]):
        for e in range(u.shape[1]):
            h = [0.0] * A.shape[1]
            for t in range(u.shape[2]):
                step = math.log1p(math.exp(delta[b, e, t].item() + delta_bias[e].item()))
                total = D[e].item() * u[b, e, t].item()
                for n in range(A.shape[1]):
                    a = A[e, n].item()
                    gain = math.expm1(step * a) / a if zoh else step
                    h[n] = math.exp(step * a) * h[n] + gain * B[b, n, t].item() * u[b, e, t].item()
                    total += C[b, n, t].item() * h[n]
                y[b, e, t] = total
    return y


@pytest.mark.parametrize("discretisation", ["mamba", "zoh"])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 9, 4), (1, 5, 33, 2)])
def test_equals_the_literal_recurrence(shape, discretisation, monkeypatch):
    values = arguments(*shape)
    expected = literal(**values, zoh=discretisation == "zoh")
    for tile in (1, 50, reference.TILE):
        monkeypatch.setattr(reference, "TILE", tile)
        y = selective_scan(**values, delta_softplus=True, discretisation=discretisation)
        torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
        single = {name: value.float() for name, value in values.items()}
        y = selective_scan(**single, delta_softplus=True, discretisation=discretisation)
        torch.testing.assert_close(y, expected.float(), rtol=1e-4, atol=1e-5)


def test_equals_mamba_ssm():
    y = selective_scan(**formula(), delta_softplus=True)
    torch.testing.assert_close(y.flatten()[::4], torch.tensor(MAMBA_SSM), rtol=1e-5, atol=1e-6)


def formula() -> dict[str, Tensor]:
    """Arguments of batch 2, 3 channels, 5 steps, 2 states as sines of the index."""

    def wave(pitch: float, *shape: int) -> Tensor:
        return torch.sin(pitch * torch.arange(1, math.prod(shape) + 1)).reshape(shape)

    return {
        "u": wave(1.1, 2, 3, 5),
        "delta": wave(0.7, 2, 3, 5),
        "A": -wave(0.3, 3, 2).exp(),
        "B": wave(0.9, 2, 2, 5),
        "C": wave(1.3, 2, 2, 5),
        "D": wave(0.5, 3),
        "delta_bias": wave(0.2, 3),
    }


@pytest.mark.parametrize("discretisation", ["mamba", "zoh"])
@pytest.mark.parametrize("tile", [4, reference.TILE])
def test_gradients_are_those_of_finite_differences(discretisation, tile, monkeypatch):
    monkeypatch.setattr(reference, "TILE", tile)
    values = {name: value.requires_grad_() for name, value in arguments(2, 2, 5, 3).items()}

    def scan(*tensors: Tensor) -> Tensor:
        return selective_scan(*tensors, delta_softplus=True, discretisation=discretisation)

    assert torch.autograd.gradcheck(scan, tuple(values.values()))


def test_gradients_without_the_optional_parts():
    values = [value.requires_grad_() for value in list(arguments(1, 2, 4, 2).values())[:5]]
    values[1] = values[1].detach().abs().requires_grad_()
    assert torch.autograd.gradcheck(selective_scan, tuple(values))


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 40), cut=st.integers(0, 39), seed=st.integers(0, 9))
def test_is_causal_and_linear_in_the_input(length, cut, seed):
    values = arguments(1, 3, length, 2, seed)
    y = selective_scan(**values, delta_softplus=True)
    changed = dict(values, u=values["u"].clone())
    changed["u"][..., cut:] += 1.0
    torch.testing.assert_close(selective_scan(**changed, delta_softplus=True)[..., :cut], y[..., :cut])
    doubled = dict(values, u=2 * values["u"])
    torch.testing.assert_close(selective_scan(**doubled, delta_softplus=True), 2 * y)


def test_zero_order_hold_of_a_constant_input_has_its_closed_form():
    """With a constant input and step, exact discretisation samples the continuous solution (1 - exp(a t)) / -a."""
    length, a, step = 50, -0.8, 0.13
    ones = torch.ones(1, 1, length, dtype=torch.float64)
    rate = torch.full((1, 1), a, dtype=torch.float64)
    y = selective_scan(ones, step * ones, rate, ones, ones, discretisation="zoh")
    time = step * torch.arange(1, length + 1, dtype=torch.float64)
    torch.testing.assert_close(y[0, 0], (1 - torch.exp(a * time)) / -a, rtol=1e-12, atol=0)


@pytest.mark.parametrize("length", [1, 2, 300, 2048])
def test_long_sequences_and_extreme_steps_stay_finite(length):
    values = arguments(1, 2, length, 2, dtype=torch.float32)
    values["delta"] = 50 * values["delta"]
    values = {name: value.requires_grad_() for name, value in values.items()}
    y = selective_scan(**values, delta_softplus=True)
    y.sum().backward()
    assert y.isfinite().all()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in values.values())


def test_half_precision_computes_in_single():
    values = {name: value.bfloat16() for name, value in arguments(1, 2, 30, 2).items()}
    y = selective_scan(**values, delta_softplus=True)
    assert y.dtype == torch.bfloat16
    exact = selective_scan(**{name: value.float() for name, value in values.items()}, delta_softplus=True)
    torch.testing.assert_close(y, exact.bfloat16())


def test_softplus_is_accurate_everywhere():
    x = torch.linspace(-80, 80, 4001)
    wide = x.double()
    exact = wide.clamp_min(0) + torch.log1p(torch.exp(-wide.abs()))
    torch.testing.assert_close(reference.Softplus.apply(x).double(), exact, rtol=3e-7, atol=0)


def test_memory_does_not_hold_the_states():
    """Backward keeps the inputs and one state a tile, not one state a step."""
    values = {name: value.requires_grad_() for name, value in arguments(8, 64, 256, 16, dtype=torch.float32).items()}
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        selective_scan(**values, delta_softplus=True)
    assert sum(kept) < 256 * 8 * 64 * 16 / 2


def test_unknown_backend_names_the_choices():
    with pytest.raises(ConfigError, match=r"'referense'.*Did you mean 'reference'.*auto"):
        selective_scan(**formula(), backend="referense")
