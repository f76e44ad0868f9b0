"""Time and memory of the selective scan on a processor: our backends, mamba_ssm's reference, mamba.py's scan.

    python benchmarks/scan.py --threads 2 --mamba-ssm path/to/its/source

Needs the extra ``bench``. The sides take turns in one process, so that a change of the machine's load touches all
alike; a side that has used up its seconds sits out. The others' functions are left as they are; what they need around
them (softplus, transposes) counts as theirs.
"""

import ast
import importlib.util
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer
from torch import Tensor
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from intermamba import provenance
from intermamba.ssm import selective_scan

SHAPES = {
    "temporal": (2, 1024, 300, 16),
    "spatial": (2, 300, 1024, 16),
    "smoke temporal": (32, 64, 48, 4),
    "smoke spatial": (32, 48, 64, 4),
}
"""Batch, channels, steps, states: the two scans of the model at the paper's size, and at the smoke profile's."""

Scan = Callable[..., Tensor]


def arguments(batch: int, channels: int, length: int, states: int) -> dict[str, Tensor]:
    """Standard normal inputs; rates and step sizes as the model starts with: -1 to -N, 1e-3 to 1e-1."""
    generator = torch.Generator().manual_seed(0)
    draw = partial(torch.randn, generator=generator)
    return {
        "u": draw(batch, channels, length),
        "delta": draw(batch, channels, length),
        "A": -torch.arange(1.0, states + 1).repeat(channels, 1),
        "B": draw(batch, states, length),
        "C": draw(batch, states, length),
        "D": torch.ones(channels),
        "delta_bias": torch.rand(channels, generator=generator) * 4.6 - 6.9,
    }


def mamba_ssm_reference(folder: Path | None) -> Scan | None:
    """mamba_ssm's ``selective_scan_ref`` from its source: importing the package would need its CUDA extension."""
    if folder is None:
        spec = importlib.util.find_spec("mamba_ssm")
        if spec is None or spec.origin is None:
            return None
        folder = Path(spec.origin).parent.parent
    from einops import rearrange, repeat

    source = (folder / "mamba_ssm/ops/selective_scan_interface.py").read_text()
    names = {"torch": torch, "F": functional, "rearrange": rearrange, "repeat": repeat}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == "selective_scan_ref":
            exec(compile(ast.Module([node], []), "selective_scan_ref", "exec"), names)  # noqa: S102 - the user's choice
    return partial(names["selective_scan_ref"], delta_softplus=True)


def mambapy_scan() -> Scan | None:
    """mamba.py's parallel scan, in the form of its Mamba block."""
    if importlib.util.find_spec("mambapy") is None:
        return None
    from mambapy.pscan import pscan

    def scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor) -> Tensor:
        x, step = u.mT, functional.softplus(delta.mT + delta_bias).unsqueeze(-1)
        states = pscan(torch.exp(step * A), step * B.mT.unsqueeze(2) * x.unsqueeze(-1))
        return ((states @ C.mT.unsqueeze(-1)).squeeze(-1) + D * x).mT

    return scan


def forward(scan: Scan, values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        scan(**values)


def forward_and_backward(scan: Scan, values: dict[str, Tensor]) -> None:
    leaves = {name: value.detach().requires_grad_() for name, value in values.items()}
    y = scan(**leaves)
    torch.autograd.grad(y, list(leaves.values()), torch.ones_like(y))


PASSES = {"forward": forward, "forward + backward": forward_and_backward}


def times(sides: dict[str, Callable[[], None]], repeats: int, seconds: float) -> dict[str, list[float]]:
    """Seconds of every call, after one call of each that does not count."""
    for call in sides.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, call in sides.items():
            if sum(taken[name]) < seconds:
                start = time.perf_counter()
                call()
                taken[name].append(time.perf_counter() - start)
    return taken


def peak(call: Callable[[], None]) -> int:
    """Most bytes of tensors that a call holds at a time, beyond those that were there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        call()
    assert trace.profiler is not None
    assert trace.profiler.kineto_results is not None
    events = [event for event in trace.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        highest = max(highest, held)
    return highest


def measure(scans: dict[str, Scan], repeats: int, seconds: float) -> pd.DataFrame:
    """One row a shape, pass and side; ``ratio`` is the side's median over that of ``cpu``.

    ``memory`` is that of the inputs and of all tensors held at the worst moment, over that of inputs and output.
    """
    rows = []
    for shape, sizes in SHAPES.items():
        values = arguments(*sizes)
        inputs = sum(value.nbytes for value in values.values())
        for step, run in PASSES.items():
            sides = {name: partial(run, scan, values) for name, scan in scans.items()}
            taken = {name: pd.Series(series) for name, series in times(sides, repeats, seconds).items()}
            for name, series in taken.items():
                rows.append(
                    {
                        "shape": f"{shape} {sizes}",
                        "pass": step,
                        "side": name,
                        "median ms": 1e3 * series.median(),
                        "q1": 1e3 * series.quantile(0.25),
                        "q3": 1e3 * series.quantile(0.75),
                        "runs": len(series),
                        "ratio": series.median() / taken["cpu"].median(),
                        "memory": (inputs + peak(sides[name])) / (inputs + values["u"].nbytes),
                    }
                )
    return pd.DataFrame(rows)


def main(
    threads: Annotated[int, typer.Option(help="Threads of PyTorch and of the kernels.")] = 2,
    repeats: Annotated[int, typer.Option(help="Rounds.")] = 20,
    seconds: Annotated[float, typer.Option(help="Seconds after which a side sits out.")] = 20.0,
    mamba_ssm: Annotated[
        Path | None, typer.Option(help="Folder that holds mamba_ssm's package, if not installed.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="CSV file for the table.")] = None,
) -> None:
    torch.set_num_threads(threads)
    scans: dict[str, Scan | None] = {
        name: partial(selective_scan, delta_softplus=True, backend=name) for name in ("reference", "cpu")
    }
    scans |= {"mamba_ssm selective_scan_ref": mamba_ssm_reference(mamba_ssm), "mamba.py pscan": mambapy_scan()}
    for name, scan in scans.items():
        if scan is None:
            typer.echo(f"{name}: not installed, not measured")
    table = measure({name: scan for name, scan in scans.items() if scan is not None}, repeats, seconds)
    typer.echo(f"{provenance.device()}, {threads} threads, {provenance.versions()}")
    typer.echo(table.to_markdown(index=False, floatfmt=".2f"))
    if output is not None:
        table.to_csv(output, index=False)


if __name__ == "__main__":
    typer.run(main)
