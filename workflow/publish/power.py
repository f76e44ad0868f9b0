"""The numbers of docs/explanation/power.md: training seeds that decide the paper's claims, from the committed study."""

import pandas as pd

from evaluators.results import METRICS
from intermamba.names import dataset_name
from intermamba.paths import COMMITTED, path
from workflow.cells import signed, significant
from workflow.results.claims import load
from workflow.results.power import MOST, needed
from workflow.tables.markdown import grid

COUNTED = (2, 3, 5, 7, 10, 20)
"""Numbers of seeds for which the decided claims are counted."""


def render() -> str:
    """How many claims each number of seeds decides, and the seeds that each claim needs."""
    metrics = pd.read_csv(path("metrics", profile=COMMITTED))
    found = needed(load(path("claims_list")), metrics).sort_values("seeds", kind="stable", na_position="last")
    decided = [str(int((found["seeds"] <= seeds).sum())) for seeds in COUNTED]
    counts = grid(["Training seeds of each row", *map(str, COUNTED)], [[f"Claims decided, of {len(found)}", *decided]])
    rows = [
        [
            f"{row['claim']} ({dataset_name(row['dataset'])})",
            METRICS[row["metric"]].label + (", logarithm" if row["metric"] == "fid" else ""),
            signed(row["effect"], 3),
            significant(row["scatter"], 3),
            f"more than {MOST}" if pd.isna(row["seeds"]) else str(row["seeds"]),
        ]
        for row in found.to_dict("records")
    ]
    return f"{counts}\n{grid(['Claim', 'Metric', 'Effect in the paper', 'Scatter here', 'Seeds'], rows)}"
