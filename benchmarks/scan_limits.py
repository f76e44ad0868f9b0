"""The scan at its limits: each backend and precision beside the reference in double precision, for extreme step sizes.

    python benchmarks/scan_limits.py --output docs/bench/scan_limits.csv

A row is an output or a gradient of one backend, precision and step size. Triton's kernels run in its interpreter, on a
CPU; what a GPU's own instructions do at these values is not measured.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TRITON_INTERPRET", "1")  # read when Triton is imported
sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

import pandas as pd
import torch
from extremes import NEGATIVE, RESULTS, STEPS, compare, run

from intermamba import files, ssm
from intermamba.provenance import recorded

PRECISIONS = (torch.float32, torch.bfloat16, torch.float16)
LARGEST = 3e38
"""A step next to the largest number of single precision."""


def rows() -> Iterator[dict[str, object]]:
    from triton import Config

    from intermamba.ssm import triton

    triton.tiles = lambda _: [Config({"BE": 2}, num_warps=1)]
    ssm.BACKENDS["triton"] = lambda scan, _: triton.selective_scan(scan)  # without the check for a GPU
    cases = [(step, softplus) for softplus in (False, True) for step in (*STEPS, LARGEST)]
    for step, softplus in (*cases, *((step, True) for step in NEGATIVE)):
        for dtype in PRECISIONS:
            exact = run(step, softplus, dtype, "reference", double=True)
            for backend in ("reference", "cpu", "triton"):
                try:
                    found = run(step, softplus, dtype, backend)
                except Exception as error:
                    raise SystemExit(f"{backend}, {dtype}, {step}: {error}") from error
                for name, value, wanted in zip(RESULTS, found, exact, strict=True):
                    error, differ = compare(value, wanted)
                    about = {"backend": backend, "precision": str(dtype).removeprefix("torch."), "step": step}
                    yield about | {"softplus": softplus, "result": name, "error": error, "differ": differ}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--output", type=Path, required=True)
    given = options.parse_args()
    with recorded("scan_limits", [given.output]):
        table = pd.DataFrame(rows())
        files.write_csv(given.output, table)
    shown = table.assign(error=table["error"].where(table["step"].abs() < LARGEST))
    by = shown.groupby(["backend", "precision", "result"])
    print(by.agg(error=("error", "max"), differ=("differ", "sum")).unstack().to_string())  # noqa: T201


if __name__ == "__main__":
    main()
