"""The table of newer methods: numbers from papers, authors' logs and users, each with its source and standing.

None of these methods was run here, and nothing is ranked. Several rows of one method show how much reports differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from evaluators.results import LEARNED
from intermamba.errors import DataError, unknown
from intermamba.job import Job
from intermamba.names import dataset_name
from workflow.cells import Block, Cell, Column, Row, Table
from workflow.results import reported
from workflow.tables.columns import learned

COLUMNS = ["dataset", "method", "how", "source", "standing", "metric", "value", "interval", "note"]
STANDINGS = {"paper": "paper", "log": "authors' log", "user": "user", "second-hand": "second-hand"}
"""Kinds of sources, by their names in the file, and how the table prints them."""
STANDING_WIDTH, NUMBER_WIDTH = 0.09, 0.092
"""Shares of the text's width; the table is longer than a page."""
NOTES = (
    "No number here was measured or checked by this project. The table gives an overview of the field and ranks "
    "nothing, because evaluators and protocols differ between sources.",
    "Standing: paper, taken from the paper; authors' log, from a file of results in the authors' repository; user, "
    "from a report in a public issue; second-hand, from a summary or an index of the source, not from the source.",
)


def table(_study: object, job: Job) -> Table:
    """One block per dataset, one row per source, in the columns of the comparison tables, without a ranking.

    Raises:
        StateError: the transcription is missing.
        DataError: it has other columns, or an unknown metric or standing.
    """
    file = job["newer_methods"]
    frame = reported.transcription(file)
    if list(frame.columns) != COLUMNS:
        raise DataError(f"{file}: columns {', '.join(frame.columns)}; expected {', '.join(COLUMNS)}.")
    rows: dict[str, dict[tuple[str, str], list[dict[str, str]]]] = {}
    for cell in frame.to_dict("records"):
        text = {str(name): str(value) for name, value in cell.items()}
        if text["metric"] not in LEARNED:
            raise DataError(unknown("metric", text["metric"], LEARNED, str(file)))
        if text["standing"] not in STANDINGS:
            raise DataError(unknown("standing", text["standing"], STANDINGS, str(file)))
        label = f"{text['method']}, {text['how']}" if text["how"] else text["method"]
        rows.setdefault(text["dataset"], {}).setdefault((label, text["source"]), []).append(text)
    blocks = [
        Block(
            "newer_methods",
            f"On {dataset_name(dataset)}",
            tuple(_row(label, cells) for (label, _), cells in found.items()),
        )
        for dataset, found in rows.items()
    ]
    sources = [_source(*key, cells) for found in rows.values() for key, cells in found.items()]
    unranked = (replace(one, direction="", width=NUMBER_WIDTH) for one in learned())
    columns = (Column("standing", "Standing", width=STANDING_WIDTH), *unranked)
    return Table(columns, tuple(blocks), (*NOTES, *dict.fromkeys(sources)))


def _row(label: str, cells: Sequence[Mapping[str, str]]) -> Row:
    method = cells[0]["method"]
    by_column = {"standing": Cell(STANDINGS[cells[0]["standing"]], details={"source": cells[0]["source"]})}
    by_column |= {cell["metric"]: _cell(cell) for cell in cells}
    return Row(label, by_column, "real" if method == "Real" else "method", method)


def _cell(cell: Mapping[str, str]) -> Cell:
    numbers = {name: float(cell[key]) for name, key in (("mean", "value"), ("interval", "interval")) if cell[key]}
    return Cell(cell["value"], cell["interval"], details={**numbers, "source": cell["source"], "note": cell["note"]})


def _source(label: str, source: str, cells: Sequence[Mapping[str, str]]) -> str:
    notes = "; ".join(cell["note"] for cell in cells if cell["note"])
    return f"{label}: {source}" + (f" ({notes})." if notes else ".")
