"""The table of newer methods: what their authors published of them and what users measured, each with its source.

None of it was run here, and nothing of it is ranked. Users' rows show how far numbers of one method lie apart.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from evaluators.results import LEARNED
from intermamba.errors import DataError, unknown
from intermamba.names import dataset_name
from intermamba.paths import path
from workflow.results import reported
from workflow.tables.tabular import Block, Cell, Column, Row, Table

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
    frame = reported.transcription(file)
    if list(frame.columns) != COLUMNS:
        raise DataError(f"{file}: columns {', '.join(frame.columns)}; expected {', '.join(COLUMNS)}.")
    rows: dict[str, dict[tuple[str, str], list[dict[str, str]]]] = {}
    for cell in frame.to_dict("records"):
        text = {str(name): str(value) for name, value in cell.items()}
        if text["metric"] not in LEARNED:
            raise DataError(unknown("metric", text["metric"], LEARNED, str(file)))
        label = f"{text['method']}, {text['how']}"
        rows.setdefault(text["dataset"], {}).setdefault((label, text["source"]), []).append(text)
    blocks = [
        Block(
            "context", f"On {dataset_name(dataset)}", tuple(_row(label, cells) for (label, _), cells in found.items())
        )
        for dataset, found in rows.items()
    ]
    sources = [_source(*key, cells) for found in rows.values() for key, cells in found.items()]
    unranked = tuple(replace(one, direction="") for one in columns)
    caption = "Newer methods, as others report them."
    return Table(NUMBER, caption, unranked, tuple(blocks), (*NOTES, *dict.fromkeys(sources)), name="context")


def _row(label: str, cells: Sequence[Mapping[str, str]]) -> Row:
    method = cells[0]["method"]
    shown = {cell["metric"]: _cell(cell) for cell in cells}
    return Row(label, shown, "real" if method == "Real" else "method", method)


def _cell(cell: Mapping[str, str]) -> Cell:
    numbers = {name: float(cell[key]) for name, key in (("mean", "value"), ("interval", "interval")) if cell[key]}
    return Cell(cell["value"], cell["interval"], details={**numbers, "source": cell["source"], "note": cell["note"]})


def _source(label: str, source: str, cells: Sequence[Mapping[str, str]]) -> str:
    notes = "; ".join(cell["note"] for cell in cells if cell["note"])
    return f"{label}: {source}" + (f" ({notes})." if notes else ".")
