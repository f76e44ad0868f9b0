"""A table of results as a value: columns, blocks of rows, cells as shown, and which of them are best and second best.

Renderers (:mod:`workflow.tables.latex`, :mod:`workflow.tables.markdown`) only lay out a :class:`Table`; they decide
nothing. Text is plain Unicode; a renderer escapes it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

Direction = Literal["up", "down", "closer", ""]
Mark = Literal["best", "second", "blind", "fooled", ""]
Kind = Literal["real", "chance", "copy", "method"]

ARROWS: Mapping[Direction, str] = {"up": "↑", "down": "↓", "closer": "→", "": ""}
SIGNS: Mapping[Mark, str] = {"blind": " ○", "fooled": " !"}
"""Marks printed after a number; the others change its typeface."""
MISSING = "—"
SPREADS = "± is the 95% interval over repeats; σ, where given, the standard deviation between training seeds."
"""Note under tables of metrics."""


@dataclass(frozen=True)
class Column:
    """One metric of a table."""

    key: str
    label: str
    direction: Direction = ""
    """Better values are higher, lower or closer to the real row; empty: the column is not ranked."""
    group: str = ""
    """Heading shared with the neighbouring columns of the same group."""
    chance: bool = False
    """Whether the row of shuffled captions is the chance level of this metric."""
    width: float = 0.0
    """Share of the text's width, for a column of words; 0: a column of numbers, as wide as they are."""


@dataclass(frozen=True)
class Cell:
    """A number as shown, and its source."""

    text: str
    interval: str = ""
    mark: Mark = ""
    scatter: str = ""
    """Standard deviation between training seeds, where there were several."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further columns of the tidy CSV: full-precision mean, repeats, source, ..."""


@dataclass(frozen=True)
class Row:
    """One row of a table: its label, and its cells by column."""

    label: str
    cells: Mapping[str, Cell]
    kind: Kind = "method"
    method: str = ""
    citation: str = ""
    """Number of the reference in the paper."""


@dataclass(frozen=True)
class Block:
    """Rows that may be compared with each other, and only with each other."""

    name: str
    """Kind of numbers: ``reported``, ``re-evaluated``, ``reproduced``, or the table's own kind."""
    heading: str
    rows: tuple[Row, ...]
    subheading: str = ""


@dataclass(frozen=True)
class Table:
    """A table as a value, which LaTeX, Markdown, CSV and the page render."""

    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()
    rows_are: str = "Method"
    """Heading of the rows' labels."""
    number: int = 0
    """Number, caption and name of its files come from its entry in the registry (:mod:`workflow.tables`)."""
    caption: str = ""
    name: str = ""

    @property
    def of_words(self) -> bool:
        """Whether it holds sentences rather than numbers, and so needs columns of given widths and several pages."""
        return any(column.width for column in self.columns)


def ranked(block: Block, columns: Sequence[Column]) -> Block:
    """``block`` with the best and second best cell of each column marked.

    Numbers are compared as shown, so cells that read the same share a mark. Only methods are ranked, never the real
    row; a column in which fewer than two methods have a number gets no mark, nor does a column compared by its distance
    to real data where there is no real row. Where the row of shuffled captions gives the chance level, a method that is
    not better gets no mark.
    """
    marks = [_marks(block.rows, column) for column in columns]
    rows = []
    for index, row in enumerate(block.rows):
        cells = dict(row.cells)
        for column, found in zip(columns, marks, strict=True):
            if index in found:
                cells[column.key] = replace(cells[column.key], mark=found[index])
        rows.append(replace(row, cells=cells))
    return replace(block, rows=tuple(rows))


def _marks(rows: Sequence[Row], column: Column) -> dict[int, Mark]:
    def values(kind: Kind) -> dict[int, Decimal]:
        found = {index: row.cells.get(column.key) for index, row in enumerate(rows) if row.kind == kind}
        return {index: Decimal(cell.text) for index, cell in found.items() if cell and cell.text != MISSING}

    if not column.direction:
        return {}
    methods = values("method")
    loss = _loss(column.direction, list(values("real").values()))
    if loss is None or len(methods) < 2:
        return {}
    losses = {index: loss(value) for index, value in methods.items()}
    if column.chance:
        for level in values("chance").values():
            losses = {index: value for index, value in losses.items() if value < loss(level)}
    order = sorted(set(losses.values()))[:2]
    names: tuple[Mark, Mark] = ("best", "second")
    return {index: names[order.index(value)] for index, value in losses.items() if value in order}


def _loss(direction: Direction, real: Sequence[Decimal]) -> Callable[[Decimal], Decimal] | None:
    """How far a number is from the ideal, up to a constant; ``None`` if that cannot be said."""
    if direction == "up":
        return lambda value: -value
    if direction == "down":
        return lambda value: value
    if direction == "closer" and real:
        return lambda value: abs(value - real[0])
    return None


def decimals(value: float | Decimal, digits: int) -> str:
    """``value`` with ``digits`` decimals: 0.475.

    Rounded twice, so that where a value is half a digit, the last bits of a sum, which depend on the processor, do not
    decide which way it goes.
    """
    return f"{round(value, 10):.{digits}f}"


def probability(value: float | None) -> str:
    """A p-value with three decimals, as papers print it; empty where there is none."""
    if value is None or math.isnan(value):
        return ""
    return "<0.001" if value < 0.001 else decimals(value, 3)


def signed(value: float | Decimal, digits: int) -> str:
    """``value`` with its sign: +0.475, −0.012, and 0.000 without."""
    text = decimals(value, digits).removeprefix("-")
    return text if float(text) == 0 else ("−" if value < 0 else "+") + text


def interval(value: float, digits: int) -> str:
    """Half width of an interval in the field's style, without the leading zero: .005; empty where there is none."""
    return "" if math.isnan(value) else decimals(value, digits).removeprefix("0")


def significant(value: float, digits: int = 4) -> str:
    """``value`` to ``digits`` significant digits in positional notation: 118.6, 0.1234, 0.01234."""
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    return decimals(value, max(digits - 1 - exponent, 0))
