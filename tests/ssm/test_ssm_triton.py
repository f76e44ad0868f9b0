"""The Triton kernels in Triton's interpreter, on a CPU: forward and every gradient against the float64 reference.

A process of its own, since the interpreter is chosen when Triton is imported. Tiles are made tiny: several chunks,
padded channels, states and steps within a few steps of a slow interpreter. Speed is not tested here.
"""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

CHECK = """
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


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton has no package for this system")
def test_kernels_equal_the_reference_in_the_interpreter():
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
