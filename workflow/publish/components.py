"""What denoisers cannot repeat, as Markdown: the table of ``benchmarks/components.py``."""

from pathlib import Path

import pandas as pd

from intermamba.models import variants
from intermamba.names import dataset_name
from workflow.cells import MISSING, decimals
from workflow.publish.records import made_by
from workflow.tables.markdown import grid

MEASURED = Path("docs/bench/components.csv")
"""Where the measurements are published."""
COMPONENTS = "components"


def render() -> str:
    """A table for each dataset; empty before anything was measured."""
    if not MEASURED.exists():
        return ""
    measured = pd.read_csv(MEASURED).fillna({"kept": -1, "training_seed": -1})
    parts = [f"{made_by(MEASURED)}. Means over training seeds.\n"]
    for dataset, found in measured.groupby("dataset", sort=False):
        means = found.groupby(["method", "kept"], sort=False).agg(
            seeds=("training_seed", "nunique"), error=("error", "mean"), pelvis=("pelvis", "mean")
        )
        columns = zip(means.index, means["seeds"], means["error"], means["pelvis"], strict=True)
        body = [
            [_name(method, int(kept)), MISSING if kept >= 0 else str(seeds), decimals(error, 3), decimals(pelvis, 1)]
            for (method, kept), seeds, error, pelvis in columns
        ]
        head = [dataset_name(str(dataset)), "Seeds", "Error of features", "Error of the pelvis (cm)"]
        parts.append(grid(head, body))
    return "\n".join(parts)


def _name(method: str, kept: int) -> str:
    if method != COMPONENTS:
        return variants()[method].label
    return f"{kept} components" if kept else "the mean frame"
