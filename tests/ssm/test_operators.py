"""The compiled passes as operators of PyTorch: what they claim without computing, and models through the compiler."""

import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode

from intermamba.models import variants
from intermamba.ssm import fuse, selective_scan
from intermamba.ssm.conv import causal_conv_silu
from intermamba.ssm.norm import masked_norm, norm_of_product


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def scan(backend: str, *tensors: Tensor) -> Tensor:
    return selective_scan(*tensors[:5], D=tensors[5], delta_bias=tensors[6], delta_softplus=True, backend=backend)


REAL = torch.arange(20) < torch.tensor([20, 13])[:, None]
SEQUENCE = (2, 20, 70)
PASSES = {
    "cpu": (
        lambda *tensors: scan("cpu", *tensors),
        [SEQUENCE, SEQUENCE, (20, 4), (2, 4, 70), (2, 4, 70), (20,), (20,)],
    ),
    "reference": (
        lambda *tensors: scan("reference", *tensors),
        [SEQUENCE, SEQUENCE, (20, 4), (2, 4, 70), (2, 4, 70), (20,), (20,)],
    ),
    "convolution": (lambda *tensors: causal_conv_silu(*tensors, REAL), [SEQUENCE, (20, 4), (20,)]),
    "end of ASTM": (
        lambda a, b, c, d, e, f, g, h: fuse.gated_sum(a, b, c, d, (d, e, f, f), g, h, REAL, 1e-5),
        [(2, 20, 32), (2, 20, 32), (2, 20, 32), (32,), (32,), (20,), (), ()],
    ),
    "LIIA": (
        lambda h, scale, shift, *filters: fuse.aggregate(h, scale, shift, filters, REAL, 1e-5),
        [(4, 20, 32), (2, 64), (2, 64), (2, 2, 1, 1), (2,), (1, 2, 3, 3), (1,)],
    ),
    "norm of a product": (
        lambda low, wide, weight: norm_of_product(wide, low, weight, REAL, 1e-5),
        [(2, 4, 70), (20, 4), (20,)],
    ),
    "normalisation": (lambda *tensors: masked_norm(*tensors, REAL, 1e-5), [SEQUENCE, (20,), (20,)]),
}


def outcome(function, tensors: list[Tensor]) -> list[Tensor]:
    leaves = [value.detach().requires_grad_() for value in tensors]
    y = function(*leaves)
    return [y, *torch.autograd.grad(y.sum(), leaves)]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", PASSES)
def test_what_is_claimed_without_computing_is_what_comes_out(name, turned):
    function, shapes = PASSES[name]
    tensors = [draw(*shape) for shape in shapes]
    if turned:
        tensors[0] = tensors[0].mT.contiguous().mT
    expected = outcome(function, tensors)
    with FakeTensorMode(allow_non_fake_inputs=True) as fake:
        claimed = outcome(function, [fake.from_tensor(value) for value in tensors])
    for one, other in zip(claimed, expected, strict=True):
        assert (one.shape, one.stride(), one.dtype) == (other.shape, other.stride(), other.dtype)


@pytest.mark.parametrize("name", PASSES)
def test_the_operator_for_those_who_trace_computes_the_same(name, monkeypatch):
    function, shapes = PASSES[name]
    tensors = [draw(*shape) for shape in shapes]
    found = outcome(function, tensors)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(outcome(function, tensors), found, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("name", PASSES)
def test_a_derivative_of_a_derivative_is_refused(name, place):
    function, shapes = PASSES[name]
    leaves = [draw(*shape).requires_grad_() for shape in shapes]
    (by_one,) = torch.autograd.grad(function(*leaves).square().sum(), leaves[place], create_graph=True)
    # The step sizes of `reference` pass through an operation of its own, which PyTorch itself refuses.
    said = "differentiate twice" if (name, place) == ("reference", 1) else "first derivatives only"
    with pytest.raises(RuntimeError, match=said):
        by_one.sum().backward()


WHOLE = """
import sys
import torch
from intermamba.models import build
from intermamba.models.astm import Scan

name, backend = sys.argv[1:]
torch.manual_seed(0)
sizes = {"width": 24, "heads": 2, "feedforward": 24, "dropout": 0.0, "modules": 1, "blocks_per_module": 1, "state": 4}
text = {"text_heads": 2, "text_feedforward": 16, "text_layers": 1}
model = build(name, features=9, max_frames=20, text_width=16, transformer_blocks=1, rank=4, **sizes, **text)
torch.nn.init.normal_(model.out.weight)
scans = [part for part in model.modules() if isinstance(part, Scan)]
for scan in scans:
    scan.backend = backend
mask = torch.arange(18) < torch.tensor([18, 11])[:, None]
inputs = (torch.randn(2, 18, 2, 9), torch.tensor([3, 700]), torch.randn(2, model.groups, 16), mask)

def outcome(function):
    model.zero_grad()
    y = function(*inputs)
    y.sum().backward()
    return [y.detach(), *(value.grad.clone() for value in model.parameters() if value.grad is not None)]

expected = outcome(model)
assert "torch._dynamo" not in sys.modules, "the compiler, which takes seconds to load, is not needed without it"
found = outcome(torch.compile(model, fullgraph=True, backend="aot_eager"))
for one, other in zip(found, expected, strict=True):
    torch.testing.assert_close(one, other)
exported = torch.export.export(model.eval(), inputs)
torch.testing.assert_close(exported.module()(*inputs), expected[0])
operators = {str(node.target) for node in exported.graph.nodes if str(node.target).startswith("intermamba.")}
assert any("scan" in name for name in operators) == bool(scans), operators
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "backend"),
    [
        ("intermamba", "reference"),
        *((one.name, "auto") for one in variants().values() if one.base in ("intermamba", "intergen", "in2in")),
    ],
)
def test_the_compiler_takes_a_model_whole(name, backend):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", "-c", WHOLE, name, backend]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
