"""What each term of the loss asks of a network, as Markdown: the table of ``benchmarks/gradients.py``."""

from pathlib import Path

import pandas as pd

from intermamba.models import variants
from intermamba.names import dataset_name
from workflow.cells import decimals
from workflow.publish.records import made_by
from workflow.tables.markdown import grid

MEASURED = Path("docs/bench/gradients.csv")
"""Where the measurements are published."""


def render() -> str:
    """Lengths of gradients by term; empty before anything was measured."""
    if not MEASURED.exists():
        return ""
    measured = pd.read_csv(MEASURED)
    terms = list(measured["term"].unique())
    means = measured.pivot_table("gradient", ["dataset", "method"], "term", sort=False)[terms]
    body = [
        [f"{variants()[str(method)].label}, {dataset_name(str(dataset))}", *(decimals(length, 3) for length in lengths)]
        for (dataset, method), lengths in zip(means.index, means.to_numpy(), strict=True)
    ]
    return f"{made_by(MEASURED)}.\n\n" + grid(["Row", *(term.replace("_", " ") for term in terms)], body)
