"""The numbers of docs/explanation/power.md: training seeds that decide the paper's claims, from the committed study."""

from collections.abc import Iterable, Iterator

import pandas as pd

from evaluators.results import METRICS
from intermamba.names import dataset_name
from intermamba.paths import COMMITTED, path
from workflow.cells import probability, signed, significant
from workflow.results.claims import load
from workflow.results.contrasts import alike, scaled, trainings
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
            _metric(row["metric"]),
            signed(row["effect"], 3),
            significant(row["scatter"], 3),
            f"more than {MOST}" if pd.isna(row["seeds"]) else str(row["seeds"]),
        ]
        for row in found.to_dict("records")
    ]
    sizes = grid(["Claim", "Metric", "Effect in the paper", "Scatter here", "Seeds"], rows)
    return "\n".join((counts, sizes, *_scatters(metrics, found["metric"].unique())))


def _scatters(metrics: pd.DataFrame, tested: Iterable[str]) -> Iterator[str]:
    """Whether rows scatter alike over training seeds, for each dataset."""
    yield "p-values of equal scatter over training seeds in all rows of a dataset (Bartlett's test):\n"
    datasets = list(metrics["dataset"].unique())
    rows = []
    for metric in tested:
        found = (alike(scaled(trainings(metrics, dataset, metric), metric)) for dataset in datasets)
        rows.append([_metric(metric), *map(probability, found)])
    yield grid(["Metric", *map(dataset_name, datasets)], rows)


def _metric(name: str) -> str:
    return METRICS[name].label + (", logarithm" if name == "fid" else "")
