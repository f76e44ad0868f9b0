"""The torch device of a profile."""

import torch


def device_for(accelerator: str) -> torch.device:
    """The GPU if ``accelerator`` is ``auto``, as in ``runtime`` of a profile, and there is one."""
    return torch.device("cuda" if accelerator == "auto" and torch.cuda.is_available() else "cpu")
