"""Resources of the scan's Triton kernels, determined without a GPU: registers, stack, shared memory, warps.

    python benchmarks/kernels.py --states 16 --output docs/bench/kernels.csv    # every tile, architecture and precision
    python benchmarks/kernels.py --precision float32 [--exhaustive]             # as JSON, for the tests

Triton compiles for a GPU that is not present, and NVIDIA's ``cuobjdump``, which is part of Triton's wheel, reads the
resources of the compiled kernel. For the tests each candidate tile is compiled for one architecture and precision, in
turn, and only the largest tile of the fewest and of the most states for all of them, unless ``--exhaustive`` is given.
It is a program of its own, since the checks that tests put into functions would be in the kernels too.
"""

import argparse
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import cycle, product
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from intermamba import files
from intermamba.provenance import recorded
from intermamba.ssm import triton as kernels
from intermamba.ssm import triton_passes as passes

KERNELS = {"forward": kernels._forward, "backward": kernels._backward}
ARCHITECTURES = (80, 90, 100)
"""Compute capabilities, times ten: A100; H100 and H200; B200."""
WARP = 32
"""Threads of a warp."""
PRECISIONS = {"float32": "fp32", "bfloat16": "bf16"}
STATES = (4, 8, 16, 32, 64)
PASSES: dict[str, tuple[Any, dict[str, int]]] = {
    "convolution": (passes._conv_forward, {"K": 4}),
    "convolution backward": (passes._conv_backward, {"K": 4, "PLACES": 4}),
    "normalisation": (passes._norm_forward, {}),
    "normalisation backward": (passes._norm_backward, {}),
}
"""Kernels around the scan, and constants of Mamba's filters of four."""
TYPES = {"real_at": "*u8", "eps": "fp32"}
SEQUENCES = {f"{name}_at" for name in ("u", "delta", "b", "c", "x", "y", "grad", "grad_u", "grad_delta", "by_x")}
"""Pointers to values of the input's type; others but those of ``TYPES`` are float32."""
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
    options = {"num_warps": warps, "maxnreg": kernels.REGISTERS}
    return _compiled(KERNELS[which], architecture, precision, constants, options)


def around(which: str, architecture: int, precision: str) -> Resources:
    """Resources of one of :data:`PASSES`, with its largest tile."""
    kernel, constants = PASSES[which]
    constants = constants | passes.tile(passes.CHANNELS, passes.STEPS)
    return _compiled(kernel, architecture, precision, constants, {"num_warps": passes.WARPS})


def _compiled(
    kernel: Any, architecture: int, precision: str, constants: dict[str, Any], options: dict[str, Any]
) -> Resources:
    source = ASTSource(kernel, {name: _kind(name, precision, constants) for name in kernel.arg_names}, constants)
    target = GPUTarget("cuda", architecture, WARP)
    compiled = triton.compile(source, target=target, options=options | {"enable_fp_fusion": True})
    with tempfile.NamedTemporaryFile(suffix=".cubin") as binary:
        binary.write(compiled.asm["cubin"])
        binary.flush()
        done = subprocess.run([_TOOL, "--dump-resource-usage", binary.name], capture_output=True, text=True, check=True)
    found = {name: int(re.search(rf"\b{name}:(\d+)", done.stdout)[1]) for name in ("REG", "STACK")}
    return Resources(found["REG"], found["STACK"], compiled.metadata.shared, options["num_warps"])


def _kind(name: str, precision: str, constants: dict[str, Any]) -> str:
    if name in constants:
        return "constexpr"
    if name in TYPES:
        return TYPES[name]
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


def table(states: int) -> pd.DataFrame:
    """A row per kernel, architecture, precision and candidate tile."""
    cells = product(KERNELS, ARCHITECTURES, PRECISIONS, tiles(states))
    return pd.DataFrame(
        {"pass": which, "architecture": architecture, "precision": precision, "states": states, "channels": tile[0]}
        | resources(which, architecture, precision, states, tile)._asdict()
        for which, architecture, precision, tile in cells
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=PRECISIONS)
    parser.add_argument("--exhaustive", action="store_true")
    parser.add_argument("--states", type=int, default=16)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.output:
        with recorded("kernels", [options.output], config={"states": options.states}):
            files.write_csv(options.output, table(options.states))
        return
    found = [(cell, resources(*cell)._asdict()) for cell in chosen(options.precision, options.exhaustive)]
    others = product(PASSES, ARCHITECTURES, [options.precision])
    found += [((*cell, 0, (passes.CHANNELS, passes.WARPS)), around(*cell)._asdict()) for cell in others]
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main()
