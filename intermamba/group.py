"""Processes that share an evaluation, each with a device of its own; by default there is one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from jaxtyping import Shaped
from torch import Tensor, distributed

from intermamba.config import RuntimeConfig
from intermamba.device import device_for


@dataclass(frozen=True)
class Group:
    """One of the processes: its number, how many there are, and its device."""

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=partial(torch.device, "cpu"))

    @property
    def first(self) -> bool:
        """Whether it writes what all have made."""
        return self.rank == 0

    def sum(self, mine: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """Sum of all processes' tensors, on the device; each gives zeros where another one has the values."""
        if self.world > 1:
            distributed.all_reduce(mine)
        return mine


@contextmanager
def together(runtime: RuntimeConfig) -> Iterator[Group]:
    """As many processes as ``runtime`` has devices: Lightning starts the others with this one's command.

    Raises:
        ConfigError: this is one of several processes, and not of as many.
    """
    if runtime.processes == 1:
        yield Group(device=device_for(runtime.accelerator))
        return
    from lightning import Fabric

    from intermamba.trainer import environment, quiet

    with quiet():
        fabric = Fabric(
            accelerator=runtime.accelerator,
            devices=runtime.devices,
            num_nodes=runtime.nodes,
            strategy="ddp",
            plugins=[environment(runtime)],
        )
        fabric.launch()
    torch.set_num_threads(runtime.threads)
    try:
        yield Group(fabric.global_rank, fabric.world_size, fabric.device)
    finally:
        distributed.destroy_process_group()
