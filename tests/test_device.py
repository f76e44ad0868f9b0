"""What a process does to its processor's settings."""

import platform
import resource

import pytest
import torch

from intermamba.device import prepare_processor


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_freed_memory_is_kept_for_the_next_tensor():
    prepare_processor(torch.get_num_threads())
    size = 1 << 22  # 16 MiB, 4,096 pages
    torch.ones(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(size)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 4096
