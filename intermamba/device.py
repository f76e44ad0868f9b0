"""Where a profile computes."""

import torch

from intermamba.config import RuntimeConfig


def device_for(runtime: RuntimeConfig) -> torch.device:
    """The GPU, if the profile allows one and there is one."""
    return torch.device("cuda" if runtime.accelerator == "auto" and torch.cuda.is_available() else "cpu")
