"""What is true of the paper's claims, for readers: the rows of ``claims.csv`` as sentences and rounded numbers."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from intermamba import files
from intermamba.config import Config
from intermamba.errors import DataError
from intermamba.paths import path
from workflow.tables.tabular import Block, Cell, Column, Row, Table, significant

COLUMNS = (
    "topic", "claim", "where", "paper_first", "paper_second", "value_first", "value_second", "effect", "scale", "low",
    "high", "p_corrected", "trainings", "verdict", "note",
)  # fmt: skip
"""What is read of ``claims.csv``; it has more."""

NUMBER = 8
"""After those about the evaluators and about the paper's text."""
WIDTHS = {
    "where": ("Where", 0.12),
    "paper": ("Paper", 0.12),
    "here": ("Here", 0.13),
    "effect": ("Effect", 0.17),
    "p": ("p", 0.06),
    "verdict": ("Verdict", 0.11),
}
"""Columns of the table, and their shares of the text's width."""
NOTES = (
    "Each claim compares two rows, the first with the second. Effect: difference, or ratio (×) of FID and of costs, "
    "with its 95% interval over training seeds; on the motions of the same repeats, seeds paired (two-way analysis of "
    "variance of rows and seeds; fusion weights: Student's t; seconds: Welch's). p is Holm's, over all claims.",
    "Holds, does not hold: p below 0.05. Cannot be told is no finding against the paper: it takes more trainings or "
    "other data. Nothing is said of rows of which neither is above chance.",
    "All of it is about this profile's data and sizes. Claims on seconds differ between equal runs.",
)

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

    @property
    def effect_between(self) -> str:
        """The effect with its interval."""
        return f"{self.effect} ({self.between})" if self.between else self.effect


def table(config: Config) -> Table:
    """Every claim under its topic.

    Raises:
        StateError: the claims have not been decided.
        DataError: a column is missing.
    """
    file = files.require(path("claims", profile=config.profile), "claims")
    found = topics(pd.read_csv(file))
    blocks = [Block("claims", topic, tuple(_row(one, str(file)) for one in claims)) for topic, claims in found.items()]
    columns = tuple(Column(name, label, width=width) for name, (label, width) in WIDTHS.items())
    return Table(NUMBER, "What is true of the paper's claims here.", columns, tuple(blocks), NOTES, "claims", "Claim")


def _row(one: Told, file: str) -> Row:
    texts = {name: getattr(one, name) for name in WIDTHS}
    texts["effect"] = one.effect_between
    texts["verdict"] = f"{one.verdict} ({one.note})" if one.note else one.verdict
    return Row(one.claim, {name: Cell(text, details={"source": file}) for name, text in texts.items()})


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
