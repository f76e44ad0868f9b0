"""The fused passes around the scan against plain PyTorch in float64, in value and gradient, and inside the models."""

import inspect
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from intermamba.models import build
from intermamba.models.intermamba import Liia
from intermamba.models.layers import ChannelLinear, ChannelNorm
from intermamba.ssm import fuse, selective_scan, threads
from intermamba.ssm.conv import causal_conv_silu
from intermamba.ssm.norm import masked_norm, norm_of_product

SHAPES = [(1, 1, 1), (2, 3, 5), (2, 16, 16), (3, 37, 45), (2, 48, 64), (1, 70, 300), (2, 5, 1030)]
"""Batch, channels, steps."""


def steps_last(x: Tensor) -> Tensor:
    return x.contiguous()


def channels_last(x: Tensor) -> Tensor:
    return x.mT.contiguous().mT


def spread(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 1).repeat_interleave(3, 2)[:, ::2, ::3]


def convolution(shape: tuple[int, int, int], masked: bool, taps: int = 4) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """The function of everything that has a gradient, and its arguments."""
    _, channels, _ = shape
    x, real = sequences(shape, masked)
    values = [
        x,
        torch.sin(torch.arange(1.0, channels * taps + 1)).reshape(channels, taps),
        torch.linspace(-1, 1, channels),
        torch.linspace(0.7, -0.9, channels),
    ]

    def function(x: Tensor, weight: Tensor, bias: Tensor, shift: Tensor, *, fused: bool = True) -> Tensor:
        return causal_conv_silu(x, weight, bias, real, shift, fused=fused)

    return function, values


def normalisation(shape: tuple[int, int, int], masked: bool) -> tuple[Callable[..., Tensor], list[Tensor]]:
    _, channels, _ = shape
    x, real = sequences(shape, masked)
    real = torch.ones(shape[:2], dtype=torch.bool) if real is None else real
    values = [5 + 3 * x, torch.linspace(0.5, 2, channels), torch.linspace(-1, 1, channels)]
    return partial(masked_norm, real=real, eps=1e-5), values


def product(shape: tuple[int, int, int], masked: bool, rank: int = 4) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """The normalisation of ``wide @ low``."""
    batch, channels, length = shape
    low, _ = sequences((batch, rank, length), False)
    _, real = sequences(shape, masked)
    wide = 0.3 + torch.randn(channels, rank, generator=torch.Generator().manual_seed(1))

    def function(low: Tensor, wide: Tensor, weight: Tensor, *, fused: bool = True) -> Tensor:
        return norm_of_product(wide, low, weight, real, 1e-5, fused=fused)

    return function, [low, wide, torch.linspace(0.5, 2, channels)]


def sequences(shape: tuple[int, int, int], masked: bool) -> tuple[Tensor, Tensor | None]:
    """Standard normal sequences, and channels that count: fewer in each next one."""
    batch, channels, _ = shape
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    count = (channels - 2 * torch.arange(batch)).clamp_min(1)
    return x, torch.arange(channels) < count[:, None] if masked else None


def outcome(function: Callable[..., Tensor], values: list[Tensor], weight: Tensor) -> list[Tensor]:
    leaves = [value.detach().requires_grad_() for value in values]
    y = function(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, weight.to(y.dtype))]


def check(function: Callable[..., Tensor], values: list[Tensor], arrange: Callable[[Tensor], Tensor]) -> None:
    """Within rounding of float64, relative to each tensor's largest value."""
    y = function(*values)
    weight = arrange((torch.arange(y.numel()) % 7 - 3.0).reshape(y.shape))
    exact = outcome(partial(function, fused=False), [value.double() for value in values], weight)
    found = outcome(function, [arrange(values[0]), *values[1:]], weight)
    for value, expected in zip(found, exact, strict=True):
        assert value.dtype == torch.float32
        assert (value - expected).abs().max() <= 5e-6 * expected.abs().max()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("make", [convolution, normalisation, product])
def test_fused_passes_agree_over_shapes(make, shape, masked):
    if make is not convolution and shape[1] == 1:
        pytest.skip("one channel has no deviation")
    check(*make(shape, masked), steps_last)


@pytest.mark.parametrize("arrange", [channels_last, spread])
@pytest.mark.parametrize("make", [convolution, normalisation, product])
def test_fused_passes_agree_over_memory_layouts(make, arrange):
    check(*make((3, 37, 45), True), arrange)


@pytest.mark.parametrize("taps", [1, 2, 7])
def test_convolution_of_any_length(taps):
    check(*convolution((2, 20, 5), True, taps), steps_last)


def test_convolution_is_the_literal_sum():
    x = torch.tensor([[[1.0, 2.0, 3.0]]])
    y = causal_conv_silu(x, torch.tensor([[0.5, -1.0]]), torch.tensor([0.25]))
    raw = torch.tensor([[[0.25 - 1, 0.25 + 0.5 - 2, 0.25 + 1 - 3]]])
    torch.testing.assert_close(y, raw * raw.sigmoid())


@pytest.mark.parametrize("make", [convolution, normalisation, product])
def test_plain_gradients_are_those_of_finite_differences(make):
    function, values = make((2, 4, 3), True)
    leaves = tuple(value.double().requires_grad_() for value in values)
    assert torch.autograd.gradcheck(partial(function, fused=False), leaves)


@pytest.mark.parametrize("make", [convolution, normalisation, product])
def test_threads_and_modes_of_torch_change_no_byte(make, monkeypatch):
    function, values = make((3, 37, 45), True)
    weight = function(*values).cos()
    expected = outcome(function, values, weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert all(map(torch.equal, outcome(function, values, weight), expected))
    with torch.inference_mode():
        assert torch.equal(function(*values), expected[0])
    monkeypatch.setattr(threads, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert all(map(torch.equal, outcome(function, values, weight), expected))


@pytest.mark.parametrize(("wide", "weight", "real"), [((5, 2), 5, 5), ((5, 3), 4, 5), ((5, 3), 5, 6)])
def test_factors_and_parameters_that_do_not_fit_are_refused_before_they_are_read(wide, weight, real):
    unchecked = inspect.unwrap(norm_of_product)
    with pytest.raises(ValueError, match="of shapes"):
        unchecked(torch.zeros(wide), torch.zeros(1, 3, 4), torch.zeros(weight), torch.ones(1, real) > 0, 1e-5)


@pytest.mark.parametrize("function", [causal_conv_silu, masked_norm])
def test_wrong_shapes_are_refused_before_they_are_read(function):
    unchecked = inspect.unwrap(function)  # without the checks that only tests make
    real = torch.ones(1, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match="3 channels"):
        unchecked(
            torch.zeros(1, 3, 4), torch.zeros(2, 4), torch.zeros(2), real, *([1e-5] if function is masked_norm else [])
        )


def end_of_astm(frames: int, padded: int) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """ASTM's two normalisations, weights and gate; in plain PyTorch where not ``fused``."""
    draws = torch.Generator().manual_seed(0)
    shape, real = (2, frames, 48), torch.arange(frames) < torch.tensor([frames, frames - padded])[:, None]
    rows = [3 * torch.randn(shape, generator=draws) + 1 for _ in range(3)]
    sizes = ((48,), (48,), (48,), (frames,), (frames,), (), ())
    values = [*rows, *(torch.randn(size, generator=draws) for size in sizes)]

    def function(temporal, spatial, gate, gate_bias, wt, bt, ws, bs, alpha, beta, *, fused: bool = True) -> Tensor:
        if fused:
            return fuse.gated_sum(temporal, spatial, gate, gate_bias, (wt, bt, ws, bs), alpha, beta, real, 1e-5)
        along = torch.nn.functional.layer_norm(temporal, (48,), wt, bt)
        across = masked_norm(spatial, ws, bs, real, 1e-5, fused=False)
        return (alpha * along + beta * across) * torch.nn.functional.silu(gate + gate_bias)

    return function, values


def liia(frames: int, padded: int) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """LIIA of the layer itself, which takes the fused pass in float32 only."""
    draws = torch.Generator().manual_seed(0)
    layer = Liia(48, convolve=True)
    real = torch.arange(frames) < torch.tensor([frames, frames - padded])[:, None]
    names = [name for name, _ in layer.named_parameters()]
    sizes = [value.shape for value in layer.parameters()]
    shapes = [(4, frames, 48), (2, 48), *sizes]

    def function(h, emb, *weights, fused: bool = True) -> Tensor:
        assert fuse.takes(h) == fused
        given = dict(zip(names, weights, strict=True))
        y: Tensor = torch.func.functional_call(layer, given, (h, emb, real))
        return y

    return function, [torch.randn(shape, generator=draws) for shape in shapes]


@pytest.mark.parametrize(("frames", "padded"), [(1, 0), (7, 3), (45, 12)])
@pytest.mark.parametrize("make", [end_of_astm, liia])
def test_passes_over_whole_sequences_are_float64_s_in_value_and_gradient(make, frames, padded):
    function, values = make(frames, padded)
    shape = values[0].shape if make is end_of_astm else (2, frames, 48)
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    if frames == 1:
        pytest.skip("one frame has no deviation") if make is end_of_astm else None
    found = outcome(function, values, weight)
    exact = outcome(partial(function, fused=False), [value.double() for value in values], weight)
    for value, expected in zip(found, exact, strict=True):
        assert (value - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("make", [end_of_astm, liia])
def test_threads_and_modes_change_no_byte_of_passes_over_whole_sequences(make, monkeypatch):
    function, values = make(45, 12)
    weight = torch.ones(2, 45, 48).cumsum(1).cos()
    expected = outcome(function, values, weight)
    with torch.inference_mode():
        assert torch.equal(function(*values), expected[0])
    monkeypatch.setattr(threads, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert all(map(torch.equal, outcome(function, values, weight), expected))


@pytest.mark.parametrize("width", [24, 32])
@pytest.mark.parametrize("name", ["intermamba", "self_astm_only_alternative"])
def test_a_model_is_the_same_without_the_fused_passes(name, width, monkeypatch):
    """Prediction and gradients to 1e-5 of the largest, with padded frames; 32 features suit all passes."""
    torch.manual_seed(0)
    sizes = {
        "width": width,
        "heads": 2,
        "feedforward": 24,
        "dropout": 0.0,
        "blocks_per_module": 1,
        "state": 4,
        "rank": 4,
    }
    text = {"text_heads": 2, "text_feedforward": 16}
    model = build(name, features=9, max_frames=20, text_width=16, transformer_blocks=2, **sizes, **text)
    torch.nn.init.normal_(model.out.weight)
    draws = torch.Generator().manual_seed(1)
    x, cond = torch.randn(2, 18, 2, 9, generator=draws), torch.randn(2, 1, 16, generator=draws)
    mask = torch.arange(18) < torch.tensor([18, 11])[:, None]

    def prediction(*leaves: Tensor) -> Tensor:
        weights = dict(zip(names, leaves, strict=True))
        y: Tensor = torch.func.functional_call(model, weights, (x, torch.tensor([3, 700]), cond, mask))
        return y[mask]

    weights = {key: value for key, value in model.named_parameters() if not key.startswith("text.")}
    names, values = list(weights), list(weights.values())
    found = outcome(prediction, values, torch.tensor(1.0).expand(29, 2, 9))
    monkeypatch.setattr(threads, "available", lambda: False)
    expected = outcome(prediction, values, torch.tensor(1.0).expand(29, 2, 9))
    for value, plain in zip(found, expected, strict=True):
        assert (value - plain).abs().max() <= 1e-5 * max(plain.abs().max(), 1e-3)


@pytest.mark.parametrize("name", ["intermamba", "intermamba_alternative", "without_liia"])
def test_sampling_s_fused_passes_change_no_prediction(name, monkeypatch):
    """Prediction without gradients to 1e-6 of the largest, beside that in float64, with padded frames."""
    torch.manual_seed(0)
    sizes = {"width": 32, "heads": 2, "feedforward": 24, "dropout": 0.0, "blocks_per_module": 1, "state": 4, "rank": 4}
    text = {"text_heads": 2, "text_feedforward": 16}
    model = build(name, features=9, max_frames=80, text_width=16, transformer_blocks=1, **sizes, **text).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, 0.1, 0.3)
    draws = torch.Generator().manual_seed(1)
    x, cond = torch.randn(2, 70, 2, 9, generator=draws), torch.randn(2, 1, 16, generator=draws)
    steps, mask = torch.tensor([3, 700]), torch.arange(70) < torch.tensor([70, 43])[:, None]
    used, scans = [], []
    monkeypatch.setattr(fuse, "_BRANCHES", lambda *inputs, pass_=fuse._BRANCHES: used.append(1) or pass_(*inputs))
    monkeypatch.setattr(fuse, "_SCAN", lambda *inputs, pass_=fuse._SCAN: scans.append(1) or pass_(*inputs))
    with torch.no_grad():
        found = model(x, steps, cond, mask)
        exact = model.double()(x.double(), steps, cond.double(), mask)
    assert len(used) == 2 * 2  # two modules of one block, of two ASTM blocks each
    assert len(scans) >= 2 * len(used)
    assert (found - exact)[mask].abs().max() <= 2e-6 * exact[mask].abs().max()


@pytest.mark.parametrize("arrange", [steps_last, channels_last, spread])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 5), (3, 37, 45), (1, 140, 33), (2, 256, 70)], ids=str)
def test_the_scan_of_a_product_is_the_scan_in_float64(shape, arrange):
    batch, channels, steps = shape
    draws = torch.Generator().manual_seed(0)
    u, weight = torch.randn(shape, generator=draws), torch.randn(batch, channels, 3, generator=draws)
    low, b, c = (torch.randn(batch, size, steps, generator=draws) for size in (3, 5, 5))
    rates, skip, bias = -4 * torch.rand(channels, 5, generator=draws), torch.ones(channels), torch.zeros(channels) - 1
    given = (u, weight, low, rates, b, c, skip, bias)
    exact = [value.double() for value in given]
    expected = selective_scan(exact[0], exact[1] @ exact[2], *exact[3:7], None, exact[7], True)
    with torch.no_grad():
        assert fuse.samples(u)
        found = fuse.scan_of_product(arrange(u), weight, *given[2:])
    assert (found - expected).abs().max() <= 2e-6 * expected.abs().max()


def test_threads_change_no_byte_of_the_scan_of_a_product(monkeypatch):
    draws = torch.Generator().manual_seed(0)
    shapes = [(2, 300, 40), (2, 300, 3), (2, 3, 40), (300, 5), (2, 5, 40), (2, 5, 40), (300,), (300,)]
    u, weight, low, rates, *rest = (torch.randn(shape, generator=draws) for shape in shapes)
    given = (u, weight, low, -rates.abs(), *rest)
    expected = fuse.scan_of_product(*given)
    monkeypatch.setattr(threads, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(fuse.scan_of_product(*given), expected)


def test_the_scan_of_a_product_stays_finite_and_exact_at_its_ends():
    """Steps of zero keep the states, and those that decay below the smallest number forget them."""
    u, low, ones = torch.ones(1, 16, 3), torch.tensor([[[1.0, -300.0, 300.0]]]), torch.ones(1, 1, 3)
    weight, zeros = torch.ones(1, 16, 1), torch.zeros(16)
    y = fuse.scan_of_product(u, weight, low, torch.full((16, 1), -1.0), ones, ones, zeros, zeros)
    first = torch.nn.functional.softplus(torch.tensor(1.0))
    torch.testing.assert_close(y, torch.stack((first, first, torch.tensor(300.0))).expand(1, 16, 3))


@pytest.mark.parametrize("masked", [False, True])
def test_the_norm_of_a_product_is_what_it_says(masked):
    """Against the layer normalisation of the product itself, in float64."""
    norm, widen = ChannelNorm(12).double(), ChannelLinear(3, 12, bias=False).double()
    torch.nn.init.normal_(norm.weight)
    low, wide = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.double), widen.weight
    real = torch.arange(12) < torch.tensor([12, 5])[:, None] if masked else None
    expected = masked_norm(wide @ low, norm.weight, norm.bias, real, norm.eps) if masked else norm(wide @ low)
    found = norm.of_product(widen, low, 12, real) + norm.bias[:, None]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
