"""What each factor of the recipe is worth, as Markdown: the table of ``benchmarks/levers.py``."""

import math
from pathlib import Path

import pandas as pd

from intermamba.models import variants
from intermamba.names import dataset_name
from workflow.cells import MISSING, decimals
from workflow.publish.records import made_by
from workflow.tables.markdown import grid

MEASURED = Path("docs/bench/levers.csv")
"""Where the measurements are published."""
METRICS = {
    "top3": "R-precision, top 3",
    "share": "of ground truth",
    "fid": "FID",
    "started": "from step 850",
    "copied": "Copying error",
    "foot_skate": "Foot skate (cm/s)",
    "contact": "Contact (% of frames)",
}
DIGITS = {"fid": 1, "foot_skate": 1, "contact": 1}
REFERENCES = {"real": "(ground truth)", "chance": "(chance)"}


def render() -> str:
    """The levers of every dataset and method; empty before anything was measured."""
    if not MEASURED.exists():
        return ""
    measured = pd.read_csv(MEASURED)
    measured["lever"] = measured["lever"].fillna(measured["method"])
    places = {method: place for place, method in enumerate(dict.fromkeys((*REFERENCES, *measured["method"])))}
    measured = measured.sort_values("method", key=lambda methods: methods.map(places), kind="stable")
    parts = [f"{made_by(MEASURED)}.\n"]
    for dataset, rows in measured.groupby("dataset", sort=False):
        means = rows.pivot_table("value", ["method", "lever"], "metric", sort=False)
        means["share"] = means["top3"] / float(means.xs("real", level="method")["top3"].iloc[0])
        about = rows.groupby(["method", "lever"], sort=False)[["training_seed", "steps", "loss"]]
        means = means.join(about.agg({"training_seed": "nunique", "steps": "first", "loss": "mean"}))
        metrics = [metric for metric in METRICS if metric in means]
        found = [_row(row, metrics) for _, row in means.reset_index().iterrows()]
        header = ["Method", "Lever", "Seeds", "Steps", "Loss", *map(METRICS.__getitem__, metrics)]
        parts.append(f"**{dataset_name(str(dataset))}**\n\n{grid(header, found)}")
    return "\n".join(parts)


def _row(means: pd.Series, metrics: list[str]) -> list[str]:
    method = str(means["method"])
    cells = [_cell(float(means[metric]), DIGITS.get(metric, 3)) for metric in metrics]
    if method in REFERENCES:
        return [REFERENCES[method], MISSING, MISSING, MISSING, MISSING, *cells]
    seeds, steps = (str(int(means[name])) for name in ("training_seed", "steps"))
    return [variants()[method].label, str(means["lever"]), seeds, steps, decimals(means["loss"], 3), *cells]


def _cell(value: float, digits: int) -> str:
    return decimals(value, digits) if math.isfinite(value) else MISSING
