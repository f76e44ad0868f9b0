"""The page as a pure function of its contents: one HTML text that loads nothing from elsewhere."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib.resources import files
from itertools import groupby
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from evaluators.results import REAL
from intermamba.names import dataset_name, origin_name, reference_name, revision_name
from intermamba.paths import path
from intermamba.render.people import PERSON_COLOURS, RADII
from intermamba.skeleton import BODY, BODY_PARENTS
from workflow.cells import ARROWS, MISSING, SIGNS, Block, Cell, Column, Table
from workflow.evaluation.gallery import Gallery, rounded
from workflow.report.lineage import Lineage
from workflow.results.claims import balance, tally
from workflow.results.headline import Headline
from workflow.results.lessons import Lesson
from workflow.tables.claims import topics

SCRIPTS = ("viewer.js", "tables.js", "provenance.js", "page.js")
"""Joined in this order."""
TITLE = "A reproduction of InterMamba"


@dataclass(frozen=True)
class Picture:
    """A figure as it is embedded."""

    title: str
    text: str
    """Caption and alternative text."""
    png: bytes
    path: str

    @property
    def name(self) -> str:
        """File name without its ending."""
        return PurePath(self.path).stem


@dataclass(frozen=True)
class Download:
    """A file behind the page."""

    name: str
    address: str
    """Relative to the page."""
    content: bytes | None
    """Embedded content; ``None``: the page only links to the file."""


@dataclass(frozen=True)
class Report:
    """Everything the page shows."""

    profile: str
    origins: tuple[str, ...]
    """Origins of the datasets: ``synthetic`` or ``official``."""
    facts: Mapping[str, str]
    headlines: tuple[Headline, ...]
    lessons: tuple[Lesson, ...]
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    motions: tuple[Gallery, ...]
    labels: Mapping[str, str]
    """Names of methods as tables print them."""
    lineage: Lineage
    claims: pd.DataFrame
    """``claims.csv``."""
    downloads: Sequence[Download] = ()


def render(report: Report) -> str:
    """The page, with style, scripts, pictures and motions embedded."""
    folder = files("workflow.report")
    sources = {name: (folder / name).read_text(encoding="utf-8") for name in ("page.html.jinja", "style.css", *SCRIPTS)}
    book = Book(report.lineage)
    environment = Environment(
        loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"dataset": dataset_name, "origin": origin_name, "base64": _base64}
    environment.globals |= {
        "revision": revision_name, "command": _command, "arrows": ARROWS, "share": _share, "tally": tally,
    }  # fmt: skip
    claims = next(table for table in report.tables if table.name == "claims")
    tables = [
        # The claims have a section of their own.
        {"number": table.number, "caption": table.caption, "elsewhere": True}
        if table is claims
        else _laid_out(table, book)
        for table in report.tables
    ]
    page = environment.get_template("page.html.jinja")
    return page.render(
        report=report,
        title=TITLE,
        anchors={one.name: f"table{one.number}" for one in report.tables}
        | {one.name: one.name for one in report.pictures},
        tables=tables,
        claims_table=claims,
        claims_file=path("claims", profile=report.profile),
        claims=topics(report.claims),
        balance=balance(report.claims),
        style=Markup(sources["style.css"]),  # noqa: S704 - this project's file
        script=Markup("\n".join(sources[name] for name in SCRIPTS)),  # noqa: S704 - this project's files
        data=Markup(_json(_data(report, book))),  # noqa: S704 - escaped for its place by _json
    )


class Book:
    """Cells in the order of their numbers on the page, each with its source."""

    def __init__(self, lineage: Lineage) -> None:
        self.lineage = lineage
        self.cells: list[dict[str, Any]] = []

    def enter(self, title: str, cell: Cell) -> int:
        """Number of a cell."""
        details = {name: _plain(value) for name, value in cell.details.items() if not _empty(value)}
        sources = str(details.pop("source", "")).split("; ")
        if not any(source in self.lineage.made for source in sources):
            details = {name: details[name] for name in details if name == "note"}  # what is printed is all there is
        text = cell.text + (f" ± {cell.interval}" if cell.interval else "")
        text += f", σ {cell.scatter}" if cell.scatter else ""
        self.cells.append({"title": title, "text": text, "details": details, "sources": sources})
        return len(self.cells) - 1


def _laid_out(table: Table, book: Book) -> dict[str, Any]:
    """A table in the form that the template needs: heads with spans, blocks of rows of numbered cells."""
    groups = [(name, len(list(members))) for name, members in groupby(table.columns, key=lambda column: column.group)]
    blocks = []
    for block in table.blocks:
        rows = []
        for row in block.rows:
            label = f"{row.label} [{row.citation}]" if row.citation else row.label
            cells = [
                _placed(
                    row.cells.get(column.key),
                    f"{label}, {_named(column)}, Table {table.number}",
                    book,
                    sortable(row.cells.get(column.key), _ideal(block, column)),
                )
                for column in table.columns
            ]
            rows.append({"label": label, "kind": row.kind, "cells": cells})
        blocks.append({"name": block.name, "heading": block.heading, "subheading": block.subheading, "rows": rows})
    return {
        "number": table.number,
        "caption": table.caption,
        "elsewhere": False,
        "columns": table.columns,
        "rows_are": table.rows_are,
        "of_words": table.of_words,
        "groups": groups if any(name for name, _ in groups) else [],
        "blocks": blocks,
        "notes": table.notes,
    }


def _named(column: Column) -> str:
    return f"{column.group} {column.label}".strip()


def _placed(cell: Cell | None, title: str, book: Book, value: str) -> dict[str, Any]:
    filled = cell or Cell(MISSING)
    return {
        "text": filled.text,
        "interval": filled.interval,
        "scatter": filled.scatter,
        "mark": filled.mark,
        "sign": SIGNS.get(filled.mark, ""),
        "value": value,
        "number": book.enter(title, filled) if filled.details and filled.text else None,
    }


def _ideal(block: Block, column: Column) -> Decimal | None:
    """The target of a column of closeness: the ground truth of its block."""
    real = next((row.cells.get(column.key) for row in block.rows if row.kind == "real"), None)
    text = sortable(real) if column.direction == "closer" else ""
    return Decimal(text) if text else None


def sortable(cell: Cell | None, ideal: Decimal | None = None) -> str:
    """The number by which a cell is sorted, as text: its own or its distance to ``ideal``; empty where it has none."""
    if cell is None:
        return ""
    try:
        value = Decimal(cell.text.replace("−", "-").replace("+", ""))
    except InvalidOperation:
        return ""
    return str(value if ideal is None else abs(value - ideal))


def _data(report: Report, book: Book) -> dict[str, Any]:
    """What the scripts read."""
    return {
        "body": {"joints": BODY, "parents": BODY_PARENTS, "radii": RADII, "colours": PERSON_COLOURS},
        "datasets": [
            _stage(name, [one for one in report.motions if one.dataset == name], report.labels)
            for name in dict.fromkeys(one.dataset for one in report.motions)
        ],
        "cells": book.cells,
        "records": report.lineage.records,
        "made": report.lineage.made,
    }


def _stage(dataset: str, galleries: Sequence[Gallery], labels: Mapping[str, str]) -> dict[str, Any]:
    """Motions of one dataset: the prompts, and for every prompt one motion of each method."""
    first = galleries[0]
    prompts = [
        {"caption": caption, "individual": first.individual[index] if first.individual else [], "clip": clip}
        for index, (clip, caption) in enumerate(zip(first.clips, first.captions, strict=True))
    ]
    methods = [
        {
            "name": one.method,
            "label": reference_name(one.origin) if one.method == REAL else labels[one.method],
            "motions": [packed(joints, floor) for joints, floor in zip(one.joints, one.floor, strict=True)],
        }
        for one in galleries
    ]
    name = f"{dataset_name(dataset)}, {origin_name(first.origin)}"
    return {"dataset": dataset, "label": name, "fps": first.fps, "prompts": prompts, "methods": methods}


def packed(joints: Float[np.ndarray, "T P J 3"], floor: float) -> dict[str, Any]:
    """A motion as little-endian 16-bit integers in base64, and metres per unit."""
    integers, scale = rounded(joints)
    return {"joints": _base64(integers.astype("<i2").tobytes()), "scale": scale, "floor": floor, "frames": len(joints)}


def _json(value: Any) -> str:
    """JSON that is safe in a script element: no character of it opens or closes a tag."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _share(value: float, head: Headline) -> str:
    """Length of a bar as a share of the ground truth's."""
    return f"{min(max(100 * value / head.real, 0.0), 100.0):.2f}%"


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _empty(value: Any) -> bool:
    return value is None or value == "" or bool(pd.isna(value))


def _command(record: Mapping[str, Any], profile: str) -> str:
    """A record's command without the parts that all commands share."""
    words = f"{record['command']} ".removeprefix("intermamba ").replace(f"--profile {profile} ", "")
    return words.strip()
