"""What denoisers cannot repeat, as Markdown: the table of ``benchmarks/components.py``."""

from pathlib import Path

import pandas as pd

from evaluators.results import DISTANCE, METRICS, PRECISION
from intermamba.models import variants
from intermamba.names import dataset_name
from workflow.cells import MISSING, decimals
from workflow.publish.records import made_by
from workflow.tables.markdown import grid

MEASURED = Path("docs/bench/components.csv")
"""Where the measurements are published."""
COMPONENTS = "components"
COLUMNS = {
    "error": "Error of features",
    "pelvis": "Error of the pelvis (cm)",
    "body": "of the other joints (cm)",
    "top3": METRICS[PRECISION].label,
    "fid": METRICS[DISTANCE].label,
}
DIGITS = {"error": 3, "pelvis": 1, "body": 1, "top3": METRICS[PRECISION].digits, "fid": 2}


def render() -> str:
    """A table for each dataset; empty before anything was measured."""
    if not MEASURED.exists():
        return ""
    measured = pd.read_csv(MEASURED).fillna({"kept": -1, "training_seed": -1})
    parts = [f"{made_by(MEASURED)}. Means over training seeds.\n"]
    for dataset, found in measured.groupby("dataset", sort=False):
        rows = found.groupby(["method", "kept"], sort=False)
        seeds, means = rows["training_seed"].nunique(), rows[list(COLUMNS)].mean()
        body = []
        for method, kept in means.index:
            cells = [decimals(value, DIGITS[name]) for name, value in means.loc[(method, kept)].items()]
            several = MISSING if method == COMPONENTS else str(seeds[(method, kept)])
            body.append([_name(method, int(kept)), several, *cells])
        parts.append(grid([dataset_name(str(dataset)), "Seeds", *COLUMNS.values()], body))
    return "\n".join(parts)


def _name(method: str, kept: int) -> str:
    if method != COMPONENTS:
        return variants()[method].label
    return {-1: "the clips themselves", 0: "the mean frame"}.get(kept, f"{kept} components")
