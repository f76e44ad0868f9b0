"""The Triton kernels compiled for GPUs that are not there: what they need from one."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton has no package for this system")


def compiled(precision: str) -> dict[str, dict[str, int]]:
    """Resources of every kernel and tile; in a process of its own, without the checks that tests put into functions."""
    code = (
        "import json\nfrom intermamba.cost import kernels\n"
        f"found = kernels.every((80, 90, 100), [{precision!r}], (4, 8, 16, 32, 64))\n"
        "print(json.dumps({str(key): value._asdict() for key, value in found.items()}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@needs_triton
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_kernel_spills(precision):
    found = compiled(precision)
    assert all(sum(f", {architecture}, " in key for key in found) > 2 * 5 * 3 for architecture in (80, 90, 100))
    assert {key: one for key, one in found.items() if one["stack"]} == {}
    assert all(16 < one["registers"] <= 255 for one in found.values())
