"""``selective_scan`` in mamba_ssm's place: its arguments in its order, against its reference formula in float64."""

import inspect

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from intermamba.errors import ConfigError
from intermamba.ssm import selective_scan

MAMBA_SSM = ["u", "delta", "A", "B", "C", "D", "z", "delta_bias", "delta_softplus", "return_last_state"]
"""Of ``mamba_ssm.ops.selective_scan_interface.selective_scan_fn``."""


def formula(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor | None = None, z: Tensor | None = None,
    delta_bias: Tensor | None = None, delta_softplus: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The recurrence of mamba_ssm's reference, all states at once by prefix sums of the exponents, in float64."""
    step = delta if delta_bias is None else delta + delta_bias[:, None]
    step = functional.softplus(step) if delta_softplus else step
    exponents = (step[:, :, None] * A[None, :, :, None]).cumsum(3)  # (B, E, N, L)
    entered = step[:, :, None] * B[:, None] * u[:, :, None]
    # h[l] = sum over k <= l of exp(exponents[l] - exponents[k]) entered[k]
    length = u.shape[2]
    decay = (exponents[..., :, None] - exponents[..., None, :]).exp() * torch.ones(length, length).tril().to(u)
    states = (decay @ entered[..., None])[..., 0]
    y = (states * C[:, None]).sum(2)
    y = y if D is None else y + D[:, None] * u
    return y if z is None else y * functional.silu(z), states[..., -1]


def draws(length: int = 21) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)
    shapes = {"u": (2, 3, length), "delta": (2, 3, length), "A": (3, 4), "B": (2, 4, length), "C": (2, 4, length)}
    shapes |= {"D": (3,), "z": (2, 3, length), "delta_bias": (3,)}
    found = {name: torch.randn(shape, generator=draw, dtype=torch.float64) for name, shape in shapes.items()}
    return found | {"A": -found["A"].exp()}


def test_arguments_are_those_of_mamba_ssm_in_its_order():
    parameters = inspect.signature(selective_scan).parameters.values()
    assert [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD] == MAMBA_SSM
    assert [one.default for one in parameters][5:10] == [None, None, None, False, False]


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("softplus", [True, False])
@pytest.mark.parametrize("without", [(), ("z",), ("D", "delta_bias"), ("D", "z", "delta_bias")], ids=str)
def test_equals_the_formula_with_gradients(without, softplus, backend):
    """Output, last states, and the gradients of both; to rounding of float64, or of float32 of the largest value."""
    values = {name: value for name, value in draws().items() if name not in without}
    if not softplus:
        values["delta"] = values["delta"].abs() + 0.1
        if "delta_bias" in values:
            values["delta_bias"] = values["delta_bias"].abs()
    bound = 1e-10 if backend == "reference" else 5e-6
    results = []
    for function, dtype in ((formula, torch.float64), (selective_scan, torch.float64 if bound < 1e-8 else None)):
        leaves = {
            name: value.to(dtype or torch.float32).detach().requires_grad_() for name, value in values.items()
        }  # fmt: skip
        options = {} if function is formula else {"return_last_state": True, "backend": backend}
        y, states = function(**leaves, delta_softplus=softplus, **options)
        total = (y * torch.arange(21.0).cos().to(y)).sum() + (states * torch.arange(4.0).sin().to(y)).sum()
        results.append([y, states, *torch.autograd.grad(total, list(leaves.values()))])
    for expected, found in zip(*results, strict=True):
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= bound * expected.abs().max()


def test_the_output_is_the_same_with_and_without_the_states():
    values = {name: value.float() for name, value in draws(70).items()}
    y, states = selective_scan(*values.values(), True, return_last_state=True)
    assert torch.equal(y, selective_scan(*values.values(), True))
    # What the states hold after a prefix is what the rest starts from: cut anywhere, they are the states of the cut.
    cut = {name: value[..., :33] if value.ndim == 3 else value for name, value in values.items()}
    ahead = selective_scan(**cut, delta_softplus=True, return_last_state=True)[1]
    rest = {name: value[..., 33:] if value.ndim == 3 else value for name, value in values.items()}
    from_zero, later = selective_scan(**rest, delta_softplus=True, return_last_state=True)
    step = functional.softplus(rest["delta"] + rest["delta_bias"][:, None]).sum(2)
    torch.testing.assert_close(later + (step[..., None] * values["A"]).exp() * ahead, states)
    assert from_zero.shape == (2, 3, 37)


def test_half_precision_is_rounded_once():
    values = {name: value.float() for name, value in draws().items()}
    half = {name: value.bfloat16() if value.ndim == 3 else value for name, value in values.items()}
    y, states = selective_scan(**half, delta_softplus=True, return_last_state=True)
    assert (y.dtype, states.dtype) == (torch.bfloat16, torch.float32)
    wide = {name: value.float() for name, value in half.items()}
    assert torch.equal(y, selective_scan(**wide, delta_softplus=True).bfloat16())


def test_a_gate_of_another_shape_is_refused():
    values = draws()
    unchecked = inspect.unwrap(selective_scan)  # without the checks that only tests make
    with pytest.raises(ValueError, match="z of shape"):
        unchecked(**values | {"z": values["z"][..., :1]})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_states_of_half_precision_steps_are_those_of_their_values(backend, dtype):
    """Also with a bias of single precision and without a softplus, where the bias must not act after the last step."""
    values = {name: value.float() for name, value in draws().items() if name != "z"}
    values["delta"] = values["delta"].abs().to(dtype)
    values["delta_bias"] = values["delta_bias"].abs() + 1.2
    _, expected = formula(**{name: value.double() for name, value in values.items()})
    _, states = selective_scan(**values, return_last_state=True, backend=backend)
    assert (states - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"discretisation": "ZOH"}, "unknown discretisation 'ZOH'"),
        ({"A": torch.ones(3, 4, dtype=torch.complex64)}, "needs real"),
        ({"u": torch.ones(2, 3, 21, dtype=torch.int64)}, "needs real"),
        ({"u": torch.ones(3, 21)}, "needs real .B, E, L."),
    ],
)
def test_what_it_does_not_compute_is_refused(changed, message):
    with pytest.raises((ConfigError, ValueError), match=message):
        inspect.unwrap(selective_scan)(**draws() | changed)
