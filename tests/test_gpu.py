"""What only a GPU can show: kernels, CUDA graphs and half precision beside the CPU. Part of ``make gpu``."""

import pytest
import torch

from intermamba import ssm
from intermamba.config import load
from intermamba.cost.complexity import untrained
from intermamba.cost.models import training_steps
from intermamba.cost.scans import arguments, sides
from intermamba.generate import sampler_of
from intermamba.models import Network, find
from intermamba.models.astm import Scan
from intermamba.ssm.conv import causal_conv_silu
from intermamba.ssm.norm import masked_norm

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
SHAPES = ((1, 1, 1, 1), (2, 7, 33, 3), (3, 130, 300, 16), (2, 64, 1024, 64))
TOLERANCES = {torch.float32: 2e-5, torch.bfloat16: 2e-2}
"""Relative to the largest value; bfloat16 has eight bits."""


def moved(model: Network) -> Network:
    """Away from its initial weights: what starts as nothing passes nothing on."""
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=draws))
    return model


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("backend", ["triton", "mamba_ssm"])
def test_scan_and_gradients_equal_the_float64_reference(backend: str, shape: tuple[int, ...], dtype: torch.dtype):
    if backend == "mamba_ssm" and isinstance(sides("cuda")["mamba_ssm"], str):
        pytest.skip("mamba_ssm is not installed, or without its kernel")
    values = arguments(*shape)
    rounded = {name: value.to(dtype) if name in ("u", "delta", "B", "C") else value for name, value in values.items()}
    upstream = torch.randn(shape[:3], generator=torch.Generator().manual_seed(1))
    found = []
    for device, precise, scan in (("cuda", False, backend), ("cpu", True, "reference")):
        leaves = {
            name: (value.double() if precise else value).to(device).detach().requires_grad_()
            for name, value in rounded.items()
        }
        y = ssm.selective_scan(**leaves, delta_softplus=True, backend=scan)
        grads = torch.autograd.grad(y, list(leaves.values()), upstream.to(device, y.dtype))
        found.append([one.double().cpu() for one in (y, *grads)])
    for ours, exact in zip(*found, strict=True):
        scale = exact.abs().max().clamp_min(1e-3)
        assert (ours - exact).abs().max() <= TOLERANCES[dtype] * scale


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shape", [(2, 7, 33), (3, 130, 300), (1, 1024, 75)], ids=str)
def test_passes_around_the_scan_equal_plain_pytorch_in_float64(shape: tuple[int, int, int], turned: bool):
    draws = torch.Generator().manual_seed(0)
    batch, channels, _ = shape
    x = torch.randn(shape, generator=draws)
    x = x.mT.contiguous().mT if turned else x
    weight, bias, shift = (torch.randn(*one, generator=draws) for one in ((channels, 4), (channels,), (channels,)))
    real = torch.arange(channels) < torch.tensor([channels, *[max(1, channels - 2)] * (batch - 1)])[:, None]
    for function, values in (
        (
            lambda fused, x, w, b, s: causal_conv_silu(x, w, b, real.to(x.device), s, fused=fused),
            (x, weight, bias, shift),
        ),
        (lambda fused, x, w, b: masked_norm(x, w, b, real.to(x.device), 1e-5, fused=fused), (5 + 3 * x, bias, shift)),
    ):
        found = []
        for device, fused in (("cuda", True), ("cpu", False)):
            leaves = [(one if fused else one.double()).to(device).detach().requires_grad_() for one in values]
            y = function(fused, *leaves)
            upstream = torch.sin(torch.arange(y.numel(), device=device)).reshape(y.shape).to(y.dtype)
            found.append([one.double().cpu() for one in (y, *torch.autograd.grad(y, leaves, upstream))])
        for ours, exact in zip(*found, strict=True):
            assert (ours - exact).abs().max() <= 2e-4 * exact.abs().max().clamp_min(1e-3)


@pytest.mark.parametrize("name", ["intermamba", "intermamba_light", "intergen", "in2in"])
def test_a_graph_samples_what_the_loop_samples(name: str):
    config = load("study-cpu")
    settings = config.diffusion.model_copy(update={"sampling_steps": 5})
    model = moved(untrained(name, config, 48, "cpu")).cuda()
    cond = torch.randn(2, model.groups, model.text_width, device="cuda")
    cond = model.encode_text(cond.flatten(0, 1)[:, None], torch.zeros(2 * model.groups, dtype=torch.long).cuda())
    cond = cond.unflatten(0, (2, model.groups)).detach()
    mask = torch.ones(2, 48, dtype=torch.bool, device="cuda")
    with torch.inference_mode():
        made = {
            how: sampler_of(find(name), settings, how).sample(model, cond, mask, (0, 1)) for how in ("plain", "graph")
        }
        half = settings.model_copy(update={"sampling_precision": "bfloat16"})
        rounded = sampler_of(find(name), half, "graph").sample(model, cond, mask, (0, 1))
    torch.testing.assert_close(made["graph"], made["plain"], rtol=1e-5, atol=1e-5)
    assert (rounded - made["plain"]).abs().mean() < 0.1 * made["plain"].abs().mean()


@pytest.mark.parametrize("name", ["intermamba", "intergen"])
def test_a_model_and_its_gradients_are_those_of_the_cpu(name: str):
    draws = torch.Generator().manual_seed(0)
    model = moved(untrained(name, load("smoke"), 48, "cpu")).train()
    x, step, cond, mask = model.example(48, batch=2)
    x, cond = (torch.randn(value.shape, generator=draws) for value in (x, cond))
    step += 10
    mask[1, 30:] = False
    found = []
    for device in ("cpu", "cuda"):
        model = model.to(device)
        model.zero_grad()
        y = model(x.to(device), step.to(device), cond.to(device), mask.to(device))[mask.to(device)]
        y.square().mean().backward()
        gradients = {key: one.grad.cpu().clone() for key, one in model.named_parameters() if one.grad is not None}
        found.append({"y": y.detach().cpu(), **gradients})
    for key, value in found[0].items():
        torch.testing.assert_close(found[1][key], value, rtol=1e-3, atol=1e-3 * value.abs().max().item(), msg=key)


def test_a_training_step_in_bfloat16_is_finite():
    config = load("study-cpu")
    config = config.model_copy(update={"training": config.training.model_copy(update={"precision": "bf16-mixed"})})
    step = training_steps(config, "intermamba", 4, "cuda")["auto"]
    assert all(step().isfinite() for _ in range(3))


def test_the_kernels_are_used(monkeypatch: pytest.MonkeyPatch):
    used = []
    scan = ssm.BACKENDS["triton"]
    monkeypatch.setitem(ssm.BACKENDS, "triton", lambda *given: used.append(given) or scan(*given))
    model = untrained("intermamba", load("smoke"), 48, "cuda")
    assert any(isinstance(part, Scan) for part in model.modules())
    with torch.no_grad():
        model(*model.example(48))
    assert used
