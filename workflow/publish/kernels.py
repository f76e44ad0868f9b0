"""The scan's Triton kernels on GPUs, as far as compiling and counting show: occupancy, bytes, and the least time."""

from math import ceil
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from intermamba.config import load
from workflow.cells import significant
from workflow.publish.records import made_by
from workflow.tables.markdown import grid

MEASURED = Path("docs/bench/kernels.csv")
FLOAT = {"float32": 4, "bfloat16": 2}
"""Bytes of a value of the inputs."""
CHUNK, GROUP = 32, 16
"""Steps after which the forward pass keeps the states; channels whose sums for B and C are written once."""
OPERATIONS = {"forward": 34, "backward": 74}
"""Arithmetic of a pass for one state, step and channel, an exponential being 13. A prefix scan over 32 steps has
five levels of three operations; the backward pass has two scans."""


class Gpu(NamedTuple):
    """Limits of a GPU, of NVIDIA's CUDA programming guide (specifications per compute capability) and data sheets."""

    name: str
    shared: int
    """Bytes of shared memory of a multiprocessor; a program takes 1 KiB more than it asks for."""
    bandwidth: float
    """Bytes a second."""
    arithmetic: float
    """Operations a second in float32."""


GPUS = {
    80: Gpu("A100", 164 << 10, 2.04e12, 19.5e12),
    90: Gpu("H200", 228 << 10, 4.8e12, 67e12),
    100: Gpu("B200", 228 << 10, 8.0e12, 75e12),
}
"""By compute capability, times ten."""
REGISTERS, WARPS, PROGRAMS = 65536, 64, 32
"""Registers, warps and programs of a multiprocessor; the same for all three."""


def render() -> str:
    """Occupancy of every tile, and the least time of a scan on all of them."""
    rows = pd.read_csv(MEASURED)
    spilled = int((rows["stack"] > 0).sum())
    head = (
        f"{made_by(MEASURED)}, which compiles for GPUs that it does not have: {len(rows)} kernels of "
        f"{rows['states'].iloc[0]} states, every candidate tile for {', '.join(gpu.name for gpu in GPUS.values())}. "
        f"Of these, {spilled} spill registers. Nothing here was timed: the counts say what a GPU has to "
        "do, not how fast it does it."
    )
    return f"{head}\n\n{_occupancy(rows)}\n{_floors()}"


def resident(registers: int, shared: int, warps: int, gpu: Gpu) -> int:
    """Programs that a multiprocessor runs at once. Registers are given out per warp, in steps of 256."""
    each = ceil(registers * 32 / 256) * 256 * warps
    return min(REGISTERS // each, WARPS // warps, PROGRAMS, gpu.shared // (shared + 1024))


def _occupancy(rows: pd.DataFrame) -> str:
    body = []
    for _, found in rows.groupby(["pass", "precision", "channels", "warps"], sort=False):
        cells = []
        for row in found.to_dict("records"):
            gpu, warps = GPUS[row["architecture"]], int(row["warps"])
            at_once = resident(row["registers"], row["shared"], warps, gpu)
            cells.append(f"{row['registers']}, {row['shared'] / 1024:.1f} KiB, {at_once * warps / WARPS:.0%}")
        one = found.iloc[0]
        body.append([*(str(one[name]) for name in ("pass", "precision", "channels", "warps")), *cells])
    names = (f"{gpu.name}: registers, shared memory, occupancy" for gpu in GPUS.values())
    return grid(["Pass", "Precision", "channels of a tile", "warps", *names], body)


def moved(which: str, batch: int, channels: int, steps: int, states: int, size: int) -> int:
    """Bytes that a pass of training reads and writes, each value once: u, delta, y, B, C, kept states, gradients.

    Parameters are left out. Programs of other channels read B and C again; that is left to the cache.
    """
    along, projections = batch * channels * steps, batch * states * steps
    kept = 4 * batch * ceil(steps / CHUNK) * channels * states
    if which == "forward":
        return size * (3 * along + 2 * projections) + kept
    return size * (5 * along + 2 * projections) + 4 * 2 * 2 * ceil(channels / GROUP) * projections + kept


def _floors() -> str:
    """Least microseconds of a scan of the paper's size: by bytes, by arithmetic."""
    body = []
    for branch, (batch, channels, steps, states) in load("paper").bench.shapes.items():
        for which, each in OPERATIONS.items():
            for precision, size in FLOAT.items():
                data = moved(which, batch, channels, steps, states, size)
                work = each * batch * channels * steps * states
                cells = [
                    f"{significant(1e6 * data / gpu.bandwidth, 2)}, {significant(1e6 * work / gpu.arithmetic, 2)}"
                    for gpu in GPUS.values()
                ]
                shape = f"{branch}: {batch} x {channels} x {steps} x {states}"
                body.append([shape, which, precision, f"{data / 1e6:.1f}", f"{work / 1e6:,.0f}", *cells])
    names = (f"{gpu.name} (µs): bytes, arithmetic" for gpu in GPUS.values())
    head = ["Scan (batch, channels, steps, states)", "Pass", "Precision", "MB moved", "million operations", *names]
    return grid(head, body)
