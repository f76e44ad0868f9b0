"""Tables as Markdown that GitHub renders: one pipe table a block, so that no two blocks share a ranking."""

import re
from collections.abc import Iterable, Sequence

from workflow.cells import ARROWS, MISSING, SIGNS, Block, Cell, Column, Row, Table


def escape(text: str) -> str:
    """Plain text, safe in a cell of a GitHub table."""
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", text)


def table(value: Table) -> str:
    """The caption, a table for each block under its heading, and the notes as a list."""
    parts = [f"**Table {value.number}.** {escape(value.caption)}"]
    for block in value.blocks:
        parts.append(f"**{escape(block.heading)}**" + (f"<br>{escape(block.subheading)}" if block.subheading else ""))
        parts.append(_rows(block, value))
    if value.notes:
        parts.append("\n".join(f"- {escape(note)}" for note in value.notes))
    return "\n\n".join(parts) + "\n"


def excerpt(value: Table, kind: str) -> str:
    """The caption, how the block of that kind was measured, and its rows."""
    (block,) = (one for one in value.blocks if one.name == kind)
    about = escape(block.subheading)
    title = f"**Table {value.number}.** {escape(value.caption)}"
    return f"{title} {about[:1].upper()}{about[1:]}.\n\n{_rows(block, value)}\n"


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A plain table; its cells are text, its heads Markdown."""
    return pipes([head, [":--", *[":-:"] * (len(head) - 1)], *([escape(cell) for cell in row] for row in rows)])


def pipes(lines: Iterable[Sequence[str]]) -> str:
    """A table from its lines, whose cells are Markdown: the head, how columns are aligned, the rows."""
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _rows(block: Block, value: Table) -> str:
    head = [value.rows_are, *(_heading(column) for column in value.columns)]
    lines = [head, [":--", *(":--" if column.width else ":-:" for column in value.columns)]]
    lines += [[_label(row), *(_cell(row.cells.get(column.key)) for column in value.columns)] for row in block.rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _heading(column: Column) -> str:
    return escape(" ".join(filter(None, (column.group, column.label, ARROWS[column.direction]))))


def _label(row: Row) -> str:
    return escape(f"{row.label} [{row.citation}]" if row.citation else row.label)


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return MISSING
    text = escape(cell.text)
    if cell.mark == "best":
        text = f"**{text}**"
    elif cell.mark == "second":
        text = f"<ins>{text}</ins>"
    text += f" <sup>±{cell.interval}</sup>" if cell.interval else ""
    text += f" <sub>σ{cell.scatter}</sub>" if cell.scatter else ""
    return text + SIGNS.get(cell.mark, "")
