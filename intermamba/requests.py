"""Requests for motions of test clips, which a method answers to be evaluated, as files: JSON lines or CSV."""

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from pydantic import Field

from intermamba import files
from intermamba.config import Count, Positive, Section
from intermamba.errors import ConfigError, DataError, brief, unknown
from intermamba.reading import text
from intermamba.reading.documents import explaining

FORMATS = (".jsonl", ".csv")


class Request(Section):
    """One request: a motion of a test clip, or several if ``samples`` is given."""

    clip: str = Field(min_length=1)
    """Id of the test clip."""
    caption_index: Count
    """Index of the caption among the clip's, from 0."""
    caption: str = Field(min_length=1)
    frames: Positive
    """Feature frames of the motion to generate."""
    repeat: Count = 0
    """Repeat of the evaluation to which the motion belongs."""
    samples: Positive | None = None
    """Number of motions to generate, for MModality; ``None``: one, for all other metrics."""
    person_a: str | None = None
    """Caption of person a, if the dataset has it."""
    person_b: str | None = None


def write(path: str | Path, requests: Iterable[Request]) -> None:
    """Write ``requests`` in the format of the path's suffix: one JSON object per line, or CSV with a header.

    Raises:
        ConfigError: another suffix.
    """
    written = io.StringIO()
    if _format(path) == ".csv":
        table = csv.DictWriter(written, list(Request.model_fields), lineterminator="\n")
        table.writeheader()
        table.writerows(request.model_dump() for request in requests)
    else:
        written.writelines(request.model_dump_json(exclude_none=True) + "\n" for request in requests)
    files.write_text(path, written.getvalue())


def read(path: str | Path) -> list[Request]:
    """The requests of a file written by :func:`write` or another program; blank lines are skipped.

    Raises:
        ConfigError: not the suffix of a known format.
        DataError: the file cannot be read or has no request, or a line is not one; the line is named.
    """
    parse = _csv if _format(path) == ".csv" else _json_lines
    try:
        found = list(parse(path, io.StringIO(text(path), newline="")))
    except csv.Error as error:
        raise DataError(f"{path}: cannot be read as CSV ({brief(error)}).") from error
    if not found:
        raise DataError(f"{path}: no request. `intermamba prompts` writes such a file.")
    return found


def _format(path: str | Path) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise ConfigError(unknown("suffix", suffix, FORMATS, str(path)))
    return suffix


def _json_lines(path: str | Path, file: Iterable[str]) -> Iterator[Request]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            with _line(path, number):
                request = Request.model_validate_json(line, strict=True)
            yield request


def _csv(path: str | Path, file: Iterable[str]) -> Iterator[Request]:
    table = csv.DictReader(file, strict=True)
    for row in table:
        with _line(path, table.line_num):
            request = Request.model_validate({name: value for name, value in row.items() if value})
        yield request


def _line(path: str | Path, number: int) -> AbstractContextManager[None]:
    remedy = "`intermamba prompts` writes such a file; docs/howto/own-motions.md describes it."
    return explaining(f"{path}, line {number}", remedy=remedy)
