"""The table of the paper's claims: the rows of ``claims.csv`` as sentences and rounded numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from evaluators.results import METRICS
from intermamba.errors import DataError
from intermamba.job import Job
from intermamba.reading.documents import read_csv
from workflow.cells import Block, Cell, Column, Row, Table, decimals, probability, signed
from workflow.results.claims import COLUMNS

WIDTHS = {
    "metric": ("Metric", 0.13),
    "paper": ("Paper", 0.14),
    "here": ("Here", 0.12),
    "effect": ("Effect (95%)", 0.14),
    "p": ("p", 0.11),
    "verdict": ("Verdict", 0.11),
}
"""Columns of the table, and their shares of the text's width."""
NOTES = (
    "Each claim compares two rows, the first with the second, in one metric. Effect: difference, or ratio (×) for FID "
    "and costs, with its 95% interval over training seeds; rows are compared on the same test clips, captions and "
    "draws in each repeat, with seeds paired and the scatter pooled over all rows of a dataset, as if seeds scattered "
    "alike in all of them (two-way analysis of variance of rows and seeds; against chance: one-way; fusion weights: "
    "Student's t; seconds: Welch's). n: trainings of each row. p: Holm-corrected across all rows of this table; in "
    "brackets without correction and, after the semicolon, of a t-test on the two rows alone, which assumes nothing of "
    "other rows and with few seeds finds little. Intervals are not corrected, so a claim can be inconclusive although "
    "its interval excludes no effect (0 or ×1).",
    "Here: means over all trainings of a row, as in the other tables; of fusion weights, the end and the start of "
    "training. The effect need not be exactly their difference or ratio: it is free of what seeds differ in, which "
    "matters where rows have different ones, and that of FID is a ratio of geometric means.",
    "Table 4 of the paper does not name the top k of its R-precision, which is on the scale of top 3; Table 5 says top "
    "1, but its last row is top 3. The metric named here is the one measured here.",
    "Holds, does not hold: p below 0.05, corrected. Smaller than the paper's effect, for the rest: whether there is an "
    "effect, and of which sign, is open, but one as large as the paper's or larger is rejected (one-sided p below "
    "0.05, Holm-corrected across all claims whose effect can be set beside the paper's; p_smaller in claims.csv). "
    "Reduced protocols of InterHuman measure R-precision among 32 motions, the paper among 96, so there sizes are "
    "comparable in their order only. 'Inconclusive' is not evidence against the paper; a verdict needs more trainings "
    "or other data. Two rows are not compared if neither is above chance, nor are seconds at other sizes than the "
    "paper's.",
    "By construction: the paper leaves sizes open, and this project chose them by the paper's counts. All verdicts "
    "apply to this profile's data and sizes.",
)

QUANTITIES = {
    "time": "seconds per sampling",
    "parameters": "parameters (millions)",
    "temporal": "α, mean over blocks",
    "spatial": "β, mean over blocks",
}
"""Quantities that claims compare, in addition to the metrics of the protocol."""
DIGITS = {"parameters": 1, "temporal": 3, "spatial": 3, "time": 4}


@dataclass(frozen=True)
class ClaimRow:
    """One claim. Numbers are text, empty where there is none; those of a row have equal decimals."""

    claim: str
    metric: str
    where: str
    """Place in the paper."""
    verdict: str
    printed: str
    """The paper's numbers."""
    measured: str
    trainings: str
    effect: str
    between: str
    """Its interval."""
    p: str
    uncorrected: str
    alone: str
    """The p-value of the two rows alone."""
    note: str

    @property
    def effect_between(self) -> str:
        """The effect with its interval."""
        return f"{self.effect} ({self.between})" if self.between else self.effect

    @property
    def p_both(self) -> str:
        """The corrected p-value, and in brackets the others."""
        others = "; ".join(filter(None, (self.uncorrected, self.alone)))
        return f"{self.p} ({others})" if self.p else ""

    @property
    def paper(self) -> str:
        """The paper's numbers and their place."""
        return f"{self.printed} ({self.where})" if self.printed else self.where

    @property
    def here(self) -> str:
        """The measured numbers and the number of trainings behind each."""
        return f"{self.measured} (n = {self.trainings})" if self.trainings else self.measured


def table(_study: object, job: Job) -> Table:
    """Every claim under its topic.

    Raises:
        DataError: a column is missing.
    """
    file = job["claims"]
    found = topics(read_csv(file))
    blocks = [Block("claims", topic, tuple(_row(one, str(file)) for one in claims)) for topic, claims in found.items()]
    columns = tuple(Column(name, label, width=width) for name, (label, width) in WIDTHS.items())
    return Table(columns, tuple(blocks), NOTES, "Claim")


def _row(one: ClaimRow, file: str) -> Row:
    texts = {name: getattr(one, name) for name in WIDTHS}
    texts |= {"effect": one.effect_between, "p": one.p_both}
    if one.note:
        note = one.note.removesuffix(".")
        texts["verdict"] = note if note.startswith(one.verdict) else f"{one.verdict} ({note})"
    return Row(one.claim, {name: Cell(text, details={"source": file}) for name, text in texts.items()})


def topics(frame: pd.DataFrame) -> dict[str, list[ClaimRow]]:
    """The claims under their topics, in the order of the file.

    Raises:
        DataError: a column is missing.
    """
    if missing := [name for name in COLUMNS if name not in frame]:
        raise DataError(f"claims.csv: no column {', '.join(missing)}. Run `intermamba claims` again.")
    found: dict[str, list[ClaimRow]] = {}
    for row in frame.to_dict("records"):
        found.setdefault(str(row["topic"]), []).append(_claim({str(key): value for key, value in row.items()}))
    return found


def _claim(row: Mapping[str, Any]) -> ClaimRow:
    ratio, metric = row["scale"] == "ratio", str(row["metric"])
    digits = METRICS[metric].digits if metric in METRICS else DIGITS[metric]
    effect, low, high = (_change(row[name], ratio, digits) for name in ("effect", "low", "high"))
    return ClaimRow(
        f"{str(row['claim'])[:1].upper()}{str(row['claim'])[1:]}",
        METRICS[metric].label if metric in METRICS else QUANTITIES[metric],
        str(row["where"]),
        str(row["verdict"]),
        _against(digits, row["paper_first"], row["paper_second"]),
        _against(digits, row["value_first"], row["value_second"]),
        _counts(row["trainings"]),
        effect,
        f"{low} to {high}" if low and high and low != high else "",
        probability(row["p_corrected"]),
        probability(row["p"]),
        probability(row["p_alone"]),
        "" if pd.isna(row["note"]) else str(row["note"]),
    )


def _counts(value: str | float) -> str:
    """Numbers of trainings, "3, 5"; a column that holds single numbers alone is read as such."""
    return value if isinstance(value, str) else "" if math.isnan(value) else f"{value:g}"


def _against(digits: int, *values: float | None) -> str:
    return " vs ".join(decimals(value, digits) for value in values if value is not None and not math.isnan(value))


def _change(value: float | None, ratio: bool, digits: int) -> str:
    if value is None or math.isnan(value):
        return ""
    return f"×{decimals(value, 3)}" if ratio else signed(value, digits)
