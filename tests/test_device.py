"""What a process does to its processor's settings."""

import platform
import subprocess
import sys

import pytest

CHECK = """
import resource
import torch
from intermamba.device import prepare_processor

def fill():
    held = [torch.ones(5 << 20) for _ in range(12)]  # 20 MiB each, 5,120 pages
    while held:
        held.pop()

prepare_processor(1)
for _ in range(3):  # until the heap has room for them
    fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    fill()
assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 4096
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_freed_memory_is_kept_for_the_next_tensors():
    """In a process of its own: the heap of a long one has gaps, so that any tensor may need new pages."""
    subprocess.run([sys.executable, "-c", CHECK], check=True)
