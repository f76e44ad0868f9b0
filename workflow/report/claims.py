"""What is true of the paper's claims, laid out: the rows of ``claims.csv`` as sentences and rounded numbers."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from intermamba.errors import DataError
from workflow.tabular import significant

COLUMNS = (
    "topic", "claim", "where", "paper_first", "paper_second", "value_first", "value_second", "effect", "scale", "low",
    "high", "p_corrected", "trainings", "verdict", "note",
)  # fmt: skip
"""What is read of ``claims.csv``; it has more."""

VERDICTS = ("holds", "does not hold", "cannot be told", "not run")


@dataclass(frozen=True)
class Told:
    """One claim. Numbers are text, empty where there is none."""

    claim: str
    where: str
    verdict: str
    paper: str
    here: str
    effect: str
    between: str
    """Its interval."""
    p: str
    note: str


def topics(frame: pd.DataFrame) -> dict[str, list[Told]]:
    """The claims under their topics, in the order of the file.

    Raises:
        DataError: a column is missing.
    """
    if missing := [name for name in COLUMNS if name not in frame]:
        raise DataError(f"claims.csv: no column {', '.join(missing)}. Run `intermamba claims` again.")
    found: dict[str, list[Told]] = {}
    for row in frame.to_dict("records"):
        found.setdefault(str(row["topic"]), []).append(_told({str(key): value for key, value in row.items()}))
    return found


def balance(frame: pd.DataFrame) -> str:
    """How many claims have each verdict: "3 hold, 1 does not hold"."""
    counts = Counter(frame["verdict"])
    plural = {"holds": "hold", "does not hold": "do not hold"}
    known = [name for name in VERDICTS if name in counts]
    return ", ".join(f"{counts[name]} {name if counts[name] == 1 else plural.get(name, name)}" for name in known)


def _told(row: Mapping[str, Any]) -> Told:
    ratio = row["scale"] == "ratio"
    bounds = [_change(row[name], ratio) for name in ("low", "high")]
    trainings = "" if pd.isna(row["trainings"]) or row["trainings"] == "" else f"trainings: {row['trainings']}"
    note = "" if pd.isna(row["note"]) else str(row["note"])
    return Told(
        f"{str(row['claim'])[:1].upper()}{str(row['claim'])[1:]}",
        str(row["where"]),
        str(row["verdict"]),
        _against("g", row["paper_first"], row["paper_second"]),
        _against(".4g", row["value_first"], row["value_second"]),
        _change(row["effect"], ratio),
        f"{bounds[0]} to {bounds[1]}" if all(bounds) and bounds[0] != bounds[1] else "",
        "" if pd.isna(row["p_corrected"]) else f"{row['p_corrected']:.2g}",
        " · ".join(filter(None, (trainings, note))),
    )


def _against(form: str, *values: float | None) -> str:
    return " against ".join(format(value, form) for value in values if value is not None and not math.isnan(value))


def _change(value: float | None, ratio: bool) -> str:
    if value is None or math.isnan(value):
        return ""
    if ratio:
        return f"×{significant(value, 3)}"
    text = significant(abs(value), 3)
    return text if float(text) == 0 else ("−" if value < 0 else "+") + text
