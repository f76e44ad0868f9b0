"""The paper's own numbers, as rows of a table. Transcribed by hand and never changed: see docs/reference/files.md."""

from collections.abc import Hashable, Mapping
from pathlib import Path

import pandas as pd

from intermamba.errors import StateError
from intermamba.paths import path
from intermamba.reading.documents import read_csv
from workflow.cells import MISSING, Block, Cell, Row

HEADING = "Reported in the paper"


def read(number: int) -> pd.DataFrame:
    """Table ``number`` of the paper in tidy form, all columns as text so that the printed digits survive.

    ``source`` is added: the file itself.
    """
    file = path("reported", number=number)
    return transcription(file).assign(source=str(file))


def transcription(file: Path) -> pd.DataFrame:
    """A file of numbers typed by hand, all columns as text.

    Raises:
        StateError: it is missing.
    """
    if not file.exists():
        raise StateError(f"{file} does not exist. It is part of the repository: restore it with `git checkout {file}`.")
    return read_csv(file, dtype=str, keep_default_na=False)


def methods(number: int) -> list[str]:
    """Rows of Table ``number`` as printed, in order."""
    return list(dict.fromkeys(read(number)["method"]))


def block(frame: pd.DataFrame, rename: Mapping[str, str] | None = None) -> Block:
    """The rows of ``frame`` in the order of the paper; ``rename`` maps its metrics to columns of the table."""
    rename = rename or {}
    rows = []
    for _, cells in frame.groupby(frame["row"].astype(int)):
        first = cells.iloc[0]
        rows.append(
            Row(
                label=first["method"],
                cells={rename.get(cell["metric"], cell["metric"]): _cell(cell) for cell in cells.to_dict("records")},
                kind="real" if first["method"] == "Real" else "method",
                method=first["method"],
                citation=first["citation"],
            )
        )
    return Block("reported", HEADING, tuple(rows))


def remarks(frame: pd.DataFrame) -> list[str]:
    """Remarks on single printed numbers, one sentence each."""
    noted = frame[frame["note"] != ""]
    return [
        f"{cell['method']}, {cell['label']}, {cell['value']}: {cell['note'].removesuffix('.')}."
        for cell in noted.to_dict("records")
    ]


def _cell(cell: Mapping[Hashable, str]) -> Cell:
    details: dict[str, str | float] = {"source": cell["source"], "note": cell["note"]}
    if cell["value"] == "-":
        return Cell(MISSING, details=details)
    details["mean"] = float(cell["value"])
    if cell["interval"]:
        details["interval"] = float(cell["interval"])
    return Cell(cell["value"], cell["interval"], details=details)
