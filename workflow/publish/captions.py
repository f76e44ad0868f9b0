"""Which denoisers read their captions, as Markdown: the table of ``benchmarks/captions.py``."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from intermamba.models import variants
from intermamba.names import dataset_name
from workflow.cells import decimals
from workflow.publish.records import made_by
from workflow.tables.markdown import grid

MEASURED = Path("docs/bench/captions.csv")
"""Where the measurements are published."""


def render() -> str:
    """A table for each dataset; empty before anything was measured."""
    if not MEASURED.exists():
        return ""
    measured = pd.read_csv(MEASURED)
    parts = [f"{made_by(MEASURED)}. Means over training seeds.\n"]
    for dataset, found in measured.groupby("dataset", sort=False):
        head = [dataset_name(str(dataset)), "Seeds", *(f"level {level}" for level in sorted(found["level"].unique()))]
        parts.append(grid(head, list(_rows(found))))
    return "\n".join(parts)


def _rows(found: pd.DataFrame) -> Iterator[list[str]]:
    for method, one in found.groupby("method", sort=False):
        errors = one.pivot_table("error", "level", "caption")
        cells = (
            f"{decimals(own, 3)} ({other / own - 1:+.0%})"
            for own, other in zip(errors["own"], errors["other"], strict=True)
        )
        yield [variants()[str(method)].label, str(one["training_seed"].nunique()), *cells]
