"""The selective scan against a literal loop of Eq. 3-5, mamba_ssm's reference, finite differences, closed forms; and
every backend against the float64 reference.
"""

import inspect
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from intermamba.errors import ConfigError
from intermamba.ssm import BACKENDS, cpu, cuda, reference, selective_scan
from intermamba.ssm.inputs import Inputs, check_shapes
from intermamba.ssm.threads import WORTH_A_THREAD

HERE = ("reference", "cpu")
"""Backends that run without a GPU; the Triton kernels are tested in tests/test_ssm_triton.py."""
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
        y = selective_scan(**single, delta_softplus=True, discretisation=discretisation, backend="reference")
        torch.testing.assert_close(y, expected.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", HERE)
def test_equals_mamba_ssm(backend):
    y = selective_scan(**formula(), delta_softplus=True, backend=backend)
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
        given = dict(zip(values, tensors, strict=True))
        return selective_scan(**given, delta_softplus=True, discretisation=discretisation)

    assert torch.autograd.gradcheck(scan, tuple(values.values()))


@pytest.mark.parametrize("discretisation", ["mamba", "zoh"])
def test_a_rate_of_zero_is_the_limit_of_small_ones(discretisation):
    """Where the zero-order hold is 0 / 0; also its gradients."""
    results = []
    for rate in (0.0, -1e-7):
        values = {name: value.clone().requires_grad_() for name, value in arguments(2, 2, 5, 3).items()}
        with torch.no_grad():
            values["A"][:, 1] = rate
        y = selective_scan(**values, delta_softplus=True, discretisation=discretisation)
        results.append([y, *torch.autograd.grad(y.square().sum(), list(values.values()))])
    for at_zero, near_zero in zip(*results, strict=True):
        torch.testing.assert_close(at_zero, near_zero, rtol=1e-5, atol=1e-5)


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


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("length", [1, 2, 300, 2048])
def test_long_sequences_and_extreme_steps_stay_finite(length, backend):
    values = arguments(1, 2, length, 2, dtype=torch.float32)
    values["delta"] = 50 * values["delta"]
    values = {name: value.requires_grad_() for name, value in values.items()}
    y = selective_scan(**values, delta_softplus=True, backend=backend)
    y.sum().backward()
    assert y.isfinite().all()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in values.values())


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_computes_in_single(dtype, backend):
    values = {name: value.to(dtype) for name, value in arguments(1, 20, 50, 2).items()}
    half = outcome(values, backend, delta_softplus=True)
    single = outcome({name: value.float() for name, value in values.items()}, backend, delta_softplus=True)
    for name, value in half.items():
        assert value.dtype == dtype
        torch.testing.assert_close(value, single[name].to(dtype))


def test_softplus_is_accurate_everywhere():
    x = torch.linspace(-80, 80, 4001)
    wide = x.double()
    exact = wide.clamp_min(0) + torch.log1p(torch.exp(-wide.abs()))
    torch.testing.assert_close(reference.Softplus.apply(x).double(), exact, rtol=3e-7, atol=0)


@pytest.mark.parametrize(("backend", "share"), [("reference", 1 / 2), ("cpu", 1 / 4)])
def test_memory_does_not_hold_the_states(backend, share):
    """Backward keeps the inputs and one state a run of steps, not one state a step."""
    values = {name: value.requires_grad_() for name, value in arguments(8, 64, 256, 16, dtype=torch.float32).items()}
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
        selective_scan(**values, delta_softplus=True, backend=backend)
    assert sum(kept) < 256 * 8 * 64 * 16 * share


@pytest.mark.parametrize("shape", [(2, 256, 100, 16), (2, 100, 256, 16)], ids=["temporal", "spatial"])
def test_forward_and_backward_hold_three_times_inputs_and_output_at_most(shape):
    values = arguments(*shape, dtype=torch.float32)
    inputs = sum(value.nbytes for value in values.values())
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as trace:
        outcome(values, "cpu", delta_softplus=True)
    events = [event for event in trace.profiler.kineto_results.events() if event.name() == "[memory]"]
    taken = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    assert inputs + max(accumulate(taken)) < 3 * (inputs + values["u"].nbytes)


@pytest.mark.parametrize("backend", ["triton", "mamba_ssm"])
def test_gpu_backends_refuse_what_is_not_on_a_gpu(backend):
    with pytest.raises(ConfigError, match=rf"backend='{backend}'\) computes in float32 on CUDA.* got .* on cpu"):
        selective_scan(**formula(), backend=backend)


def test_an_official_package_without_its_kernel_says_how_to_build_it(monkeypatch):
    monkeypatch.setattr(cuda, "supports", lambda *_: True)
    monkeypatch.setattr(cuda, "find_spec", lambda name: None if name == "selective_scan_cuda" else object())
    with pytest.raises(ConfigError, match=r"without its Mamba-1 kernel.*MAMBA_KEEP_CUDA_BUILD=TRUE.*2\.3\.2\.post1"):
        selective_scan(**formula(), backend="mamba_ssm")


def test_unknown_backend_names_the_choices():
    with pytest.raises(ConfigError, match=r"'referense'.*Did you mean 'reference'.*auto"):
        selective_scan(**formula(), backend="referense")


# --- every backend against the reference in float64 -----------------------------------------------------------------


def outcome(values: dict[str, Tensor], backend: str, **options) -> dict[str, Tensor]:
    """The output, ``y``, and the gradient of a fixed weighting of it by every argument."""
    leaves = {name: value.detach().requires_grad_() for name, value in values.items()}
    y = selective_scan(**leaves, backend=backend, **options)
    weight = (torch.arange(y.numel()) % 7 - 3).reshape(y.shape).to(y.dtype)  # exact in any precision
    gradients = torch.autograd.grad(y, list(leaves.values()), weight)
    return {"y": y.detach(), **dict(zip(leaves, gradients, strict=True))}


def check(values: dict[str, Tensor], backend: str, **options) -> None:
    """The backend's outcome in float32 lies within rounding of the exact one, relative to each tensor's largest."""
    exact = outcome({name: value.double() for name, value in values.items()}, "reference", **options)
    for name, value in outcome(values, backend, **options).items():
        assert value.dtype == torch.float32
        error = (value - exact[name]).abs().max()
        assert error <= 5e-6 * exact[name].abs().max(), name


SHAPES = [(1, 1, 1, 1), (2, 3, 9, 4), (1, 16, 16, 1), (2, 64, 48, 4), (3, 37, 45, 3), (1, 70, 300, 16), (1, 5, 2048, 8)]


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize(
    ("scale", "shift"), [(1, 0), (1e-3, -6), (50, 0), (1, 20)], ids=["usual", "tiny", "wide", "large"]
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_backends_agree_over_shapes_and_steps(shape, scale, shift, backend):
    values = arguments(*shape, dtype=torch.float32)
    check(values | {"delta": scale * values["delta"] + shift}, backend, delta_softplus=True)


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("softplus", [False, True])
@pytest.mark.parametrize("absent", [(), ("D",), ("delta_bias",), ("D", "delta_bias")])
def test_backends_agree_without_the_optional_parts(absent, softplus, backend):
    values = arguments(2, 20, 40, 4, dtype=torch.float32)
    values = {name: value if softplus else 0.1 * value.abs() for name, value in values.items() if name not in absent}
    check(values | {"A": -values["A"].abs()}, backend, delta_softplus=softplus)


def steps_last(x: Tensor) -> Tensor:
    return x.contiguous()


def channels_last(x: Tensor) -> Tensor:
    return x.mT.contiguous().mT


def spread(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 1).repeat_interleave(3, 2)[:, ::2, ::3]


def repeated(x: Tensor) -> Tensor:
    return x[:, :1, :1].expand_as(x)


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("layout", [steps_last, channels_last, spread, repeated])
@pytest.mark.parametrize("arranged", [("u",), ("delta",), ("B", "C"), ("u", "delta", "B", "C")], ids="-".join)
def test_backends_agree_over_memory_layouts(arranged, layout, backend):
    values = arguments(2, 40, 50, 4, dtype=torch.float32)
    values |= {name: layout(values[name]) for name in arranged}
    check(values, backend, delta_softplus=True)


@pytest.mark.parametrize("backend", HERE)
@pytest.mark.parametrize("layout", [channels_last, spread, repeated])
def test_backends_agree_over_layouts_of_the_gradient(layout, backend):
    """A gradient arrives with the strides of whatever comes after the scan."""
    values = arguments(2, 40, 50, 4, dtype=torch.float32)
    gradients = []
    for weight in (layout(values["u"].sin()), layout(values["u"].sin()).contiguous()):
        leaves = [value.detach().requires_grad_() for value in values.values()]
        y = selective_scan(**dict(zip(values, leaves, strict=True)), delta_softplus=True, backend=backend)
        gradients.append(torch.autograd.grad(y, leaves, weight))
    for strided, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(strided, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", HERE)
def test_backends_take_states_that_grow(backend):
    """Rates need not be negative."""
    values = arguments(1, 20, 30, 4, dtype=torch.float32)
    check(values | {"A": 0.1 * values["u"][0, :, :4]}, backend, delta_softplus=True)


@pytest.mark.parametrize("shape", [(0, 3, 4, 2), (2, 0, 4, 2), (2, 3, 0, 2)])
def test_nothing_gives_nothing(shape):
    result = outcome(arguments(*shape, dtype=torch.float32), "cpu", delta_softplus=True)
    assert all(not value.any() for value in result.values())


@pytest.mark.parametrize("name", ["u", "delta", "B", "C"])
def test_what_is_not_a_number_stays_so(name):
    values = arguments(1, 2, 20, 2, dtype=torch.float32)
    values[name][0, 0, 9] = torch.nan
    y = selective_scan(**values, delta_softplus=True, backend="cpu")
    assert y[0, 0, :9].isfinite().all()
    assert y[0, 0, 9].isnan()


@contextmanager
def threads(count: int):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


LARGE = (2, 150, 220, 16)
"""Enough updates for four threads."""


def outcome_on(count: int) -> dict[str, bytes]:
    with threads(count):
        result = outcome(arguments(*LARGE, dtype=torch.float32), "cpu", delta_softplus=True)
    return {name: value.numpy().tobytes() for name, value in result.items()}


def test_the_number_of_threads_changes_no_byte():
    assert math.prod(LARGE) > 4 * WORTH_A_THREAD
    expected = outcome_on(1)
    assert all(outcome_on(count) == expected for count in (2, 3, 4, 1))


def test_threads_may_scan_at_the_same_time():
    expected = outcome_on(1)
    with threads(2), ThreadPoolExecutor(3) as pool:
        assert all(outcome == expected for outcome in pool.map(outcome_on, [2] * 6))


FORKED = """
import os

import numpy as np
import torch

from intermamba.ssm import cpu, threads
from intermamba.ssm.inputs import Inputs, check_shapes

torch.set_num_threads(2)
threads.WORTH_A_THREAD = 1
draws = torch.Generator().manual_seed(0)
values = [torch.randn(shape, generator=draws) for shape in ((1, 80, 8), (1, 80, 8), (80, 4), (1, 4, 8), (1, 4, 8))]
scan = lambda: cpu.selective_scan(Inputs(*values, None, None, True), "mamba").numpy()
expected = scan()
child = os.fork()
if not child:
    os._exit(not np.array_equal(scan(), expected))
raise SystemExit(os.waitpid(child, 0)[1] != 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_has_threads_of_its_own():
    """In a process of its own: here PyTorch's threads have run, and what they run never returns after a fork."""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], check=False).returncode == 0


def test_modes_of_torch_change_nothing():
    values = arguments(2, 20, 40, 4, dtype=torch.float32)
    expected = outcome(values, "cpu", delta_softplus=True)["y"]
    with torch.inference_mode():
        assert torch.equal(selective_scan(**values, delta_softplus=True), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(outcome(values, "cpu", delta_softplus=True)["y"], expected)
        half = values | {"B": values["B"].bfloat16(), "C": values["C"].bfloat16()}
        assert selective_scan(**half, delta_softplus=True).dtype == torch.float32


def test_chooses_the_fastest_backend_that_takes_the_input(monkeypatch):
    chosen = []
    for name in BACKENDS:
        monkeypatch.setitem(BACKENDS, name, lambda inputs, _, name=name: chosen.append(name) or inputs.u)
    values = arguments(1, 2, 3, 2)
    single = {name: value.float() for name, value in values.items()}
    selective_scan(**single)
    selective_scan(**{name: value.bfloat16() for name, value in values.items()})
    selective_scan(**values)
    selective_scan(**single, discretisation="zoh")
    selective_scan(**{name: value.to("meta") for name, value in single.items()})
    monkeypatch.setattr(cpu, "available", lambda: False)
    selective_scan(**single)
    assert chosen == ["cpu"] * 2 + ["reference"] * 4


def test_cpu_backend_says_what_it_takes():
    with pytest.raises(ConfigError, match=r"float32.*float64.*'reference'"):
        selective_scan(**arguments(1, 2, 3, 2), backend="cpu")
    with pytest.raises(ConfigError, match=r"'mamba'.*'zoh'"):
        selective_scan(**formula(), backend="cpu", discretisation="zoh")


@pytest.mark.parametrize("name", ["delta", "A", "B", "C", "D", "delta_bias"])
def test_shapes_that_would_broadcast_are_refused(name):
    values = formula()
    check_shapes(Inputs(*values.values(), softplus=False))
    values[name] = values[name][..., :1]
    with pytest.raises(ValueError, match=r"shapes .*; u requires .*\(2, [12], 5\)"):
        check_shapes(Inputs(*values.values(), softplus=False))


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_shapes_that_do_not_fit_are_refused_before_any_backend(backend):
    scan = inspect.unwrap(selective_scan)  # without the tests' own checks of shapes
    u = torch.zeros(1, 2, 3)
    with pytest.raises(ValueError, match="selective_scan: delta, A, B, C, D, delta_bias of shapes"):
        scan(u, u, torch.zeros(2, 2), torch.zeros(1, 2, 1), torch.zeros(1, 2, 3), backend=backend)


# --- the compiled functions -----------------------------------------------------------------------------------------


def lanewise(name: str, x: np.ndarray) -> np.ndarray:
    """A function of vectors over an array whose size is a multiple of their width."""
    from intermamba.ssm import kernels

    function, load, store, width = getattr(kernels, name), kernels.load, kernels.store, kernels.WIDTH

    @kernels.compiled
    def apply(values):
        for row in range(len(values) // width):
            store(values, row, function(load(values, row)))

    result = x.copy()
    apply(result)
    return result


def test_exponential_is_accurate_and_saturates():
    x = np.linspace(-87.3, 88.7, 1 << 18, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    assert (np.abs(lanewise("exp", x) - exact) / np.spacing(exact.astype(np.float32))).max() < 0.9
    ends = lanewise("exp", np.array([0, -88, -1e30, -np.inf, 89, 1e30, np.inf, np.nan] * 2, np.float32))[:8]
    tiny, huge = np.finfo(np.float32).tiny, np.finfo(np.float32).max
    np.testing.assert_allclose(ends, [1, *[tiny] * 3, *[huge] * 3, np.nan], rtol=1e-4)
    assert ends[0] == 1


def test_softplus_and_its_slope_are_accurate():
    x = np.linspace(-80, 80, 1 << 16, dtype=np.float32)
    wide = x.astype(np.float64)
    softplus = np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide)))
    np.testing.assert_allclose(lanewise("softplus", x), softplus, rtol=3e-7)
    np.testing.assert_allclose(lanewise("sigmoid", x), 1 / (1 + np.exp(-wide)), rtol=3e-7)
