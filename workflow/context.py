"""The table of newer methods: what their authors published of them and what users measured, each with its source.

None of it was run here, and nothing of it is ranked. Users' rows show how far numbers of one method lie apart.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace

import pandas as pd

from evaluators.results import JUDGED, METRICS
from intermamba.config import Dataset
from intermamba.errors import DataError, unknown
from intermamba.paths import path
from workflow import reported
from workflow.tabular import Block, Cell, Column, Kind, Row, Table
from workflow.wording import dataset_name

NUMBER = 10
"""The last of this project's own tables."""
COLUMNS = ["dataset", "method", "how", "source", "metric", "value", "interval", "note"]
NOTES = (
    "None of these numbers was made or checked here. Each stands as its source gives it; protocols are their authors' "
    "versions of the dataset's. They are shown to know where the field is, not to be ranked with any other row.",
    "Rows of one method differ by who measured: that is the reason for this project.",
)


def table(columns: Iterable[Column]) -> Table:
    """One block a dataset, one row a source, in the columns of the tables of comparison, without a ranking.

    Raises:
        StateError: the transcription is missing.
        DataError: it has other columns, or a metric that is none.
    """
    file = path("context")
    rows = reported.transcription(file)
    if list(rows.columns) != COLUMNS:
        raise DataError(f"{file}: columns {', '.join(rows.columns)}; expected {', '.join(COLUMNS)}.")
    for metric in rows["metric"]:
        if metric not in METRICS:
            raise DataError(unknown("metric", metric, JUDGED, str(file)))
    blocks = tuple(_block(dataset, found) for dataset, found in rows.groupby("dataset", sort=False))
    sources = [
        f"{_label(method, how)}: {source}" + (f" ({note})." if (note := "; ".join(filter(None, found))) else ".")
        for (method, how, source), found in rows.groupby(["method", "how", "source"], sort=False)["note"]
    ]
    caption = "Newer methods, as others report them."
    return Table(
        NUMBER,
        caption,
        tuple(replace(one, direction="") for one in columns),
        blocks,
        (*NOTES, *dict.fromkeys(sources)),
        name="context",
    )


def _block(dataset: Dataset, found: pd.DataFrame) -> Block:
    rows = []
    for (method, how, _), cells in found.groupby(["method", "how", "source"], sort=False):
        shown = {cell["metric"]: _cell(cell) for cell in cells.to_dict("records")}
        kind: Kind = "real" if method == "Real" else "method"
        rows.append(Row(_label(method, how), shown, kind, method))
    return Block("context", f"On {dataset_name(dataset)}", tuple(rows))


def _label(method: str, how: str) -> str:
    return f"{method}, {how}"


def _cell(cell: Mapping[Hashable, str]) -> Cell:
    details = {name: float(cell[key]) for name, key in (("mean", "value"), ("interval", "interval")) if cell[key]}
    return Cell(cell["value"], cell["interval"], details={**details, "source": cell["source"], "note": cell["note"]})
