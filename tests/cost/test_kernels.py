"""The Triton kernels compiled for GPUs that are not there: what they need from one."""

import json
import subprocess
import sys
from importlib.util import find_spec
from itertools import product

import pytest
from places import ROOT

PROGRAM = ROOT / "benchmarks/kernels.py"
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton has no package for this system")


@needs_triton
def test_bytes_are_counted_for_the_chunks_of_the_kernels() -> None:
    from intermamba.ssm import triton
    from workflow.publish import kernels

    assert (kernels.CHUNK, kernels.GROUP) == (triton.STEPS, triton.GROUP)


@needs_triton
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_kernel_spills(precision: str, pytestconfig: pytest.Config) -> None:
    """Each tile for one architecture, and the extremes for all; with ``--exhaustive``, all for all."""
    exhaustive = pytestconfig.getoption("exhaustive")
    words = [sys.executable, str(PROGRAM), "--precision", precision, *["--exhaustive"] * exhaustive]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = {tuple(map(str, cell)): needed for cell, needed in json.loads(done.stdout.splitlines()[-1])}
    states = ("4", "8", "16", "32", "64") if exhaustive else ("4", "64")
    crossed = {*product(("forward", "backward"), ("80", "90", "100"), [precision], states)}
    around = (f"{name}{way}" for name in ("convolution", "normalisation") for way in ("", " backward"))
    crossed |= {*product(around, ("80", "90", "100"), [precision], ["0"])}
    assert crossed <= {cell[:4] for cell in found}
    assert {cell: needed for cell, needed in found.items() if needed["stack"]} == {}
    assert all(16 < needed["registers"] <= 255 for needed in found.values())
