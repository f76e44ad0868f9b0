"""What makes host and device wait for each other, seen from the operators that PyTorch calls."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Transfers(TorchDispatchMode):
    """``found`` names the operators, since it was last cleared, that read a value back or move a tensor across."""

    WAIT = ("_local_scalar_dense", "is_nonzero", "nonzero", "lift_fresh", "equal", "item")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function, kinds, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        name = function.overloadpacket.__name__
        devices = {value.device.type for value in (*args, out) if isinstance(value, torch.Tensor) and value.ndim}
        if name in self.WAIT or (name in ("_to_copy", "copy_") and len(devices) > 1):
            self.found.append(name)
        return out
