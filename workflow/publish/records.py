"""Parts that pages of published measurements share."""

from pathlib import Path

import pandas as pd

from intermamba import files
from intermamba.names import revision_name
from intermamba.paths import record_of
from workflow.cells import MISSING, decimals

REFERENCES = {"real": "Ground truth", "shuffled": "(chance)"}
"""Labels of rows that are no model."""


def made_by(measured: Path) -> str:
    """Code and device of a file of measurements, from the record beside it.

    Where several sessions measured, a column ``measured_by`` has the code of each row; rows without are older.
    """
    record = files.read_json(record_of(measured))
    named = pd.read_csv(measured, usecols=lambda name: name == "measured_by", dtype=str)
    codes = [*named.iloc[:, 0].dropna().unique()] if len(named.columns) else []
    return f"Code {', '.join(codes or [revision_name(record)])}, {record['device']}"


def mean_and_deviation(values: pd.Series, digits: int) -> str:
    """Mean and, of several values, their standard deviation: 0.407 ± 0.039."""
    if values.empty:
        return MISSING
    spread = f" ± {decimals(float(values.std()), digits)}" if len(values) > 1 else ""
    return f"{decimals(float(values.mean()), digits)}{spread}"
