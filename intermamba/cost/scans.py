"""The scan: this project's backends, mamba_ssm's reference function and official kernel, mamba.py's parallel scan.

Other projects' functions are unchanged; operations that they need around them (softplus, transposes) count as theirs.
"""

import ast
import importlib.util
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from intermamba import files
from intermamba.config import BenchConfig
from intermamba.cost.timing import elapsed, interleaved, peak, unmeasured
from intermamba.errors import StateError
from intermamba.ssm import selective_scan

Scan = Callable[..., Tensor]

COMPILED = {"cpu": "cpu", "cuda": "triton"}
"""This project's compiled backend on each device; others are measured in multiples of it."""
OFFICIAL, MAMBAPY = "mamba_ssm selective_scan_ref", "mamba.py pscan"
_SOURCE = "mamba_ssm/ops/selective_scan_interface.py"


def measure(config: BenchConfig, device: str, mamba_ssm: Path | None = None) -> Iterator[list[dict[str, Any]]]:
    """Rows of each shape and pass, one per implementation and device; those of the other device are not measured.

    ``ratio`` is the median over that of this project's compiled backend; ``memory`` is the peak of all tensors, inputs
    included, over that of inputs and output.
    """
    found = {where: sides(where, mamba_ssm) for where in COMPILED}
    for shape, sizes in config.shapes.items():
        values = {name: value.to(device) for name, value in arguments(*sizes).items()}
        inputs = sum(value.nbytes for value in values.values())
        for step, call in PASSES.items():
            here = {name: scan for name, scan in found[device].items() if not isinstance(scan, str)}
            calls = {name: partial(call, scan, values) for name, scan in here.items()}
            taken = interleaved(calls, config.repeats, config.seconds, device)
            fast = elapsed(taken[COMPILED[device]])["seconds_median"]
            rows: list[dict[str, Any]] = []
            for where, name in ((where, name) for where, scans in found.items() for name in scans):
                scan, measured = found[where][name], where == device and bool(taken.get(name))
                row: dict[str, Any] = {"device": where, "shape": shape, "sizes": " x ".join(map(str, sizes))}
                row |= {"pass": step, "side": name} | elapsed(taken[name] if measured else [])
                row["ratio"] = row["seconds_median"] / fast
                held = peak(calls[name], device) if measured else math.nan
                row["memory"] = (inputs + held) / (inputs + values["u"].nbytes)
                row["note"] = "" if measured else scan if isinstance(scan, str) else unmeasured(where, device)
                rows.append(row)
            yield rows


def arguments(batch: int, channels: int, length: int, states: int) -> dict[str, Tensor]:
    """Standard normal inputs; rates and step sizes as at the start of training: -1 to -N, 1e-3 to 1e-1."""
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


def sides(device: str, mamba_ssm: Path | None = None) -> dict[str, Scan | str]:
    """Scans by name; in place of an unavailable one, the reason."""
    found: dict[str, Scan | str] = {"reference": partial(selective_scan, delta_softplus=True, backend="reference")}
    found[COMPILED[device]] = partial(selective_scan, delta_softplus=True, backend=COMPILED[device])
    if device == "cuda":
        installed = all(importlib.util.find_spec(name) for name in ("mamba_ssm", "selective_scan_cuda"))
        kernel = partial(selective_scan, delta_softplus=True, backend="mamba_ssm")
        found["mamba_ssm"] = kernel if installed else "not measured: not installed, or without its kernel"
    return found | {OFFICIAL: mamba_ssm_reference(mamba_ssm), MAMBAPY: mambapy_scan()}


def origin(mamba_ssm: Path | None) -> dict[str, str]:
    """Hash of the source of mamba_ssm's reference function."""
    source = _source(mamba_ssm)
    return {} if source is None else {OFFICIAL: files.sha256(source)}


def mamba_ssm_reference(folder: Path | None) -> Scan | str:
    """mamba_ssm's ``selective_scan_ref`` from its source: importing the package would need its CUDA extension."""
    source = _source(folder)
    if source is None or importlib.util.find_spec("einops") is None:
        return "not measured: not installed"
    from einops import rearrange, repeat

    names: dict[str, Any] = {"torch": torch, "F": functional, "rearrange": rearrange, "repeat": repeat}
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == "selective_scan_ref":
            exec(compile(ast.Module([node], []), "selective_scan_ref", "exec"), names)  # noqa: S102 - the user's choice
    return partial(names["selective_scan_ref"], delta_softplus=True)


def _source(folder: Path | None) -> Path | None:
    if folder is None:
        spec = importlib.util.find_spec("mamba_ssm")
        if spec is None or spec.origin is None:
            return None
        folder = Path(spec.origin).parent.parent
    if not (source := folder / _SOURCE).is_file():
        raise StateError(f"{source} does not exist. Give --mamba-ssm a checkout of mamba_ssm, or leave it out.")
    return source


def mambapy_scan() -> Scan | str:
    """mamba.py's parallel scan, in the form of its Mamba block."""
    if importlib.util.find_spec("mambapy") is None:
        return "not measured: not installed"
    from mambapy.pscan import pscan

    def scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor) -> Tensor:
        x, step = u.mT, functional.softplus(delta.mT + delta_bias).unsqueeze(-1)
        states = pscan(torch.exp(step * A), step * B.mT.unsqueeze(2) * x.unsqueeze(-1))
        return ((states @ C.mT.unsqueeze(-1)).squeeze(-1) + D * x).mT

    return scan


def forward(scan: Scan, values: dict[str, Tensor]) -> None:
    """One pass without gradients."""
    with torch.no_grad():
        scan(**values)


def forward_and_backward(scan: Scan, values: dict[str, Tensor]) -> None:
    """One pass, and the gradients of all its inputs."""
    leaves = {name: value.detach().requires_grad_() for name, value in values.items()}
    y = scan(**leaves)
    torch.autograd.grad(y, list(leaves.values()), torch.ones_like(y))


PASSES = {"forward": forward, "forward + backward": forward_and_backward}
