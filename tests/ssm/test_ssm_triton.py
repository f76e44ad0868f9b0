"""The Triton kernels in Triton's interpreter, on a CPU: forward and every gradient against the float64 reference.

A process of its own, since the interpreter is chosen when Triton is imported. Tiles are made tiny: several chunks,
padded channels, states and steps within a few steps of a slow interpreter. Speed is not tested here.
"""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

SCAN = """
import torch
from torch._subclasses import FakeTensorMode
from triton import Config
from intermamba.ssm import reference, triton
from intermamba.ssm.inputs import Inputs

triton.GROUP, triton.STEPS = 4, 4
triton.tiles = lambda states: [Config({"BE": 2}, num_warps=1)]

def check(channels, length, states, options, dtype=torch.float32, tolerance=2e-5):
    draws = torch.Generator().manual_seed(length)
    def random(*shape):
        return torch.randn(*shape, generator=draws)
    u, delta = random(2, length, channels).mT, random(2, channels, length) * 3  # u is a transposed view, as in a model
    rates, b, c = -random(channels, states).exp(), random(2, states, length), random(2, states, length)
    skip, bias = (random(channels) if name in options else None for name in ("skip", "bias"))
    softplus = "softplus" in options
    if not softplus:
        delta = delta.abs()
    values = [u.to(dtype), delta.to(dtype), rates, b.to(dtype), c.to(dtype), skip, bias]
    upstream = random(2, channels, length)
    results = []
    for scan, precise in ((triton.selective_scan, False), (reference.selective_scan, True)):
        inputs = [x if x is None else (x.double() if precise else x).detach().requires_grad_() for x in values]
        y = scan(Inputs(*inputs, softplus), *(["mamba"] if precise else []))
        given = [x for x in inputs if x is not None]
        if not precise:
            with FakeTensorMode(allow_non_fake_inputs=True) as fake:
                fakes = [x if x is None else fake.from_tensor(x.detach()).requires_grad_() for x in values]
                claimed = scan(Inputs(*fakes, softplus))
                claimed = [claimed, *torch.autograd.grad(claimed.sum(), [x for x in fakes if x is not None])]
        results.append([y, *torch.autograd.grad(y, given, upstream.to(y.dtype))])
    assert results[0][0].dtype == dtype
    for ours, one in zip(results[0], claimed, strict=True):  # what the compiler is told
        assert (one.shape, one.stride(), one.dtype) == (ours.shape, ours.stride(), ours.dtype)
    for ours, exact in zip(*results, strict=True):
        scale = exact.abs().max().clamp_min(1e-3)
        assert (ours - exact).abs().max() <= tolerance * scale, ((ours - exact).abs().max(), scale)

check(7, 10, 3, {"softplus", "skip", "bias"})
check(2, 4, 4, {"softplus"})
check(1, 1, 1, {"skip"})
check(3, 6, 2, {"bias", "softplus"}, torch.bfloat16, 2e-2)
"""


PASSES = """
from intermamba.ssm import triton_passes as passes
from intermamba.ssm.conv import causal_conv_silu
from intermamba.ssm.norm import masked_norm

passes.CHANNELS, passes.STEPS = 4, 8

def check(kernel, plain, values, tolerance=2e-5):
    results = []
    for function, precise in ((kernel, False), (plain, True)):
        leaves = [(one.double() if precise else one).detach().requires_grad_() for one in values]
        y = function(*leaves)
        upstream = torch.sin(torch.arange(y.numel())).reshape(y.shape).to(y.dtype)
        results.append([y, *torch.autograd.grad(y, leaves, upstream)])
        if not precise:
            with FakeTensorMode(allow_non_fake_inputs=True) as fake:
                fakes = [fake.from_tensor(one.detach()).requires_grad_() for one in values]
                claimed = function(*fakes)
                claimed = [claimed, *torch.autograd.grad(claimed.sum(), fakes)]
    for ours, one in zip(results[0], claimed, strict=True):  # what the compiler is told
        assert (one.shape, one.stride(), one.dtype) == (ours.shape, ours.stride(), ours.dtype)
    for ours, exact in zip(*results, strict=True):
        scale = exact.abs().max().clamp_min(1e-3)
        assert (ours - exact).abs().max() <= tolerance * scale, ((ours - exact).abs().max(), scale)

draws = torch.Generator().manual_seed(0)
for channels, steps, taps, turned, dtypes in ((6, 9, 4, True, 2), (3, 2, 3, False, 1)):
    def random(*shape):
        return torch.randn(*shape, generator=draws)
    x = random(2, steps, channels).mT if turned else random(2, channels, steps)
    real = torch.arange(channels) < torch.tensor([channels, max(1, channels - 2)])[:, None]
    for dtype, tolerance in ((torch.float32, 2e-5), (torch.bfloat16, 2e-2))[:dtypes]:
        check(
            lambda x, w, b, s: passes.causal_conv_silu(x, w, b, real, s),
            lambda x, w, b, s: causal_conv_silu(x, w, b, real, s, fused=False),
            [x.to(dtype), random(channels, taps), random(channels), random(channels)],
            tolerance,
        )
        check(
            lambda x, w, b: passes.masked_norm(x, w, b, real, 1e-5),
            lambda x, w, b: masked_norm(x, w, b, real, 1e-5, fused=False),
            [(5 + 3 * x).to(dtype), random(channels), random(channels)],
            max(tolerance, 2e-4),
        )

try:
    passes.masked_norm(torch.ones(1, 3, 2), torch.ones(2), torch.ones(3), torch.ones(1, 3, dtype=torch.bool), 1e-5)
except ValueError as error:
    assert "3 channels, with parameters of [2, 3, 3]" in str(error)
else:
    raise AssertionError("a kernel would read beyond its parameters")
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton has no package for this system")
def test_kernels_equal_the_reference_in_the_interpreter():
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SCAN + PASSES]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
