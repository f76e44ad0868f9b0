"""Resources of the scan's Triton kernels as JSON, for one precision, determined without a GPU: registers, stack, shared
memory, warps. A program of its own, since the checks that tests put into functions would be in the kernels too.

    python tests/support/compiled_kernels.py float32 [exhaustive]

Triton compiles for a GPU that is not present, and NVIDIA's ``cuobjdump``, which is part of Triton's wheel, reads the
resources of the compiled kernel. By default each candidate tile is compiled for one architecture and precision, in
turn, and only the largest tile of the fewest and of the most states for all of them.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import cycle, product
from pathlib import Path
from typing import Any, NamedTuple

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from intermamba.ssm import triton as kernels

KERNELS = {"forward": kernels._forward, "backward": kernels._backward}
ARCHITECTURES = (80, 90, 100)
"""Compute capabilities, times ten: A100; H100 and H200; B200."""
WARP = 32
"""Threads of a warp."""
PRECISIONS = {"float32": "fp32", "bfloat16": "bf16"}
STATES = (4, 8, 16, 32, 64)
SEQUENCES = {f"{name}_at" for name in ("u", "delta", "b", "c", "y", "grad", "grad_u", "grad_delta")}
"""Pointers to values of the input's type; all others are float32."""
_TOOL = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"


class Resources(NamedTuple):
    """Resources of a compiled kernel."""

    registers: int
    """Registers per thread."""
    stack: int
    """Bytes per thread; a value above zero means spilled registers."""
    shared: int
    """Bytes of shared memory per program."""
    warps: int
    """Warps per program."""


def tiles(states: int) -> Iterator[tuple[int, int]]:
    """Channels of a tile and warps of a program, for each candidate tile."""
    for config in kernels.tiles(states):
        yield config.kwargs["BE"], config.num_warps


def resources(which: str, architecture: int, precision: str, states: int, tile: tuple[int, int]) -> Resources:
    """Resources of the kernel ``forward`` or ``backward`` for inputs of ``precision``, with every optional part."""
    channels, warps = tile
    constants: dict[str, Any] = {"softplus": True, "has_skip": True, "has_bias": True}
    constants |= {"BE": channels, "N": triton.next_power_of_2(states), "K": kernels.STEPS}
    constants |= {"GROUP": kernels.GROUP} if which == "backward" else {"keep": True}
    kernel = KERNELS[which]
    source = ASTSource(kernel, {name: _kind(name, precision, constants) for name in kernel.arg_names}, constants)
    options = {"num_warps": warps, "maxnreg": kernels.REGISTERS}
    compiled = triton.compile(source, target=GPUTarget("cuda", architecture, WARP), options=options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as binary:
        binary.write(compiled.asm["cubin"])
        binary.flush()
        done = subprocess.run([_TOOL, "--dump-resource-usage", binary.name], capture_output=True, text=True, check=True)
    found = {name: int(re.search(rf"\b{name}:(\d+)", done.stdout)[1]) for name in ("REG", "STACK")}
    return Resources(found["REG"], found["STACK"], compiled.metadata.shared, warps)


def _kind(name: str, precision: str, constants: dict[str, Any]) -> str:
    if name in constants:
        return "constexpr"
    if not name.endswith("_at"):
        return "i32"
    return f"*{PRECISIONS[precision] if name in SEQUENCES else 'fp32'}"


def chosen(precision: str, exhaustive: bool) -> list[tuple[str, int, str, int, tuple[int, int]]]:
    """Arguments of :func:`resources`."""
    cells = []
    turns = cycle(product(PRECISIONS, ARCHITECTURES))
    for which, states in product(KERNELS, STATES):
        *_, largest = candidates = sorted(tiles(states), key=lambda tile: (tile[0] / tile[1], tile[0]))
        for tile in candidates:
            extreme = tile == largest and states in (min(STATES), max(STATES))
            turn = next(turns)
            cells += [
                (which, architecture, precision, states, tile)
                for architecture in ARCHITECTURES
                if exhaustive or extreme or turn == (precision, architecture)
            ]
    return cells


if __name__ == "__main__":
    found = [(cell, resources(*cell)._asdict()) for cell in chosen(sys.argv[1], "exhaustive" in sys.argv)]
    print(json.dumps(found))  # noqa: T201
