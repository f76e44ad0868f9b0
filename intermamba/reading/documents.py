"""YAML, JSON and CSV within limits, and validation by schemas."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from intermamba.errors import ConfigError, DataError, InterMambaError, brief, quoted, shortened, unknown
from intermamba.reading import content, text

if TYPE_CHECKING:
    import pandas as pd

YAML_LIMIT = 1 << 17
"""Largest YAML file, in bytes; ``params.yaml`` has a tenth of it. The parser reads some 50 kB per second."""
YAML_DEPTH = 50
"""Maximum depth of nested mappings and lists."""
YAML_NODES = 50_000
"""Maximum number of values in a YAML file; values repeated by aliases count each time."""
YAML_DIGITS = 100
"""Maximum number of characters of a number."""
JSON_LIMIT = 1 << 28
"""Largest JSON file, in bytes; the manifest of a dataset of 40 GB has a fiftieth of it."""
CSV_LIMIT = 1 << 28
MOST_PROBLEMS = 5


_NUMBER = re.compile(r"[-+]?[.0-9][-+.0-9_:xXa-fA-F]*")
"""A plain scalar that may be read as a number."""


@dataclass
class _Open:
    """An open mapping or list."""

    anchor: str | None
    before: int
    """Number of values before it."""
    keys: set[str] | None
    """Keys of a mapping so far."""
    key_next: bool = True


def _check_yaml(written: str, loader: Any) -> None:
    """Check from its events that a YAML text is within the limits and has no duplicate key, before it is constructed.

    Raises:
        yaml.YAMLError: a limit is exceeded, a key is repeated, or it is not YAML.
    """
    import yaml

    def refuse(problem: str) -> NoReturn:
        mark: Any = event.start_mark  # libyaml's own mark, printed in the same form
        raise yaml.error.MarkedYAMLError(problem=problem, problem_mark=mark)

    waiting: list[_Open] = []
    sizes: dict[str | None, int | None] = {}  # number of values of an anchor, aliases expanded; none: still open
    values = 0
    for event in yaml.parse(written, loader):
        if isinstance(event, yaml.CollectionEndEvent):
            one = waiting.pop()
            if one.anchor is not None:
                sizes[one.anchor] = values - one.before
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        if waiting and (within := waiting[-1]).keys is not None:
            if within.key_next and isinstance(event, yaml.ScalarEvent) and event.value != "<<":
                if event.value in within.keys:
                    refuse(f"the key {quoted(event.value)} appears twice")
                within.keys.add(event.value)
            within.key_next = not within.key_next
        if isinstance(event, yaml.AliasEvent):
            if (size := sizes.get(event.anchor, 0)) is None:
                refuse("an alias inside its own anchor")
            values += size
        else:
            values += 1
        if values > YAML_NODES:
            refuse(f"more than {YAML_NODES:,} values")
        if isinstance(event, yaml.ScalarEvent):
            number = (event.tag or "").endswith((":int", ":float"))
            number = number or (event.implicit[0] and _NUMBER.fullmatch(event.value) is not None)
            if number and len(event.value) > YAML_DIGITS:
                refuse(f"a number of more than {YAML_DIGITS} digits")
            if event.anchor is not None:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(waiting) == YAML_DEPTH - 1:
                refuse(f"more than {YAML_DEPTH} levels deep")
            if event.anchor is not None:
                sizes[event.anchor] = None
            mapping = isinstance(event, yaml.MappingStartEvent)
            waiting.append(_Open(event.anchor, values - 1, set() if mapping else None))


def read_yaml(path: str | Path) -> Any:
    """The value of a YAML file.

    Raises:
        ConfigError: it cannot be read, is not YAML, or is beyond a limit.
    """
    import yaml

    try:
        written = text(path, YAML_LIMIT)
    except DataError as error:
        raise ConfigError(str(error)) from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's parser, if PyYAML was built with it
    try:
        _check_yaml(written, loader)
        return yaml.load(written, loader)  # noqa: S506 (a safe one)
    except Exception as error:  # a malformed file can raise nearly anything
        raise ConfigError(f"{path}: not valid YAML: {brief(error)}.") from error


def parse_json(written: str | bytes, where: str) -> Any:
    """The value of a JSON text from ``where``.

    Raises:
        DataError: not JSON, or nested too deeply.
    """
    try:
        return json.loads(written)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: cannot be read as JSON ({brief(error)}).") from error


def read_json(path: str | Path) -> Any:
    """The value of a JSON file.

    Raises:
        DataError: it cannot be read or is not JSON.
    """
    return parse_json(text(path, JSON_LIMIT), str(path))


def read_csv(path: str | Path, **how: Any) -> "pd.DataFrame":
    """A table; ``how`` is passed to pandas.

    Raises:
        DataError: it cannot be read or is not a table.
    """
    import io

    import pandas as pd

    stream = io.BytesIO(content(path, CSV_LIMIT))
    try:
        return pd.read_csv(stream, **how)
    except Exception as error:  # pandas and its parsers raise many types
        raise DataError(f"{path}: cannot be read as CSV ({brief(error)}).") from error


@cache
def _adapter(schema: Any) -> Any:
    return TypeAdapter(schema)


def checked(schema: Any, value: Any, where: str, remedy: str = "", error: type[InterMambaError] = DataError) -> Any:
    """Validate ``value`` by a schema: a pydantic model, or any type that pydantic supports.

    Raises:
        DataError: it does not fit; the message has the first problems, and ends with ``remedy``. Or another ``error``.
    """
    with explaining(where, error, remedy):
        return _adapter(schema).validate_python(value)


@contextmanager
def explaining(
    where: str, error: type[InterMambaError] = DataError, remedy: str = "", within: Sequence[str] = ()
) -> Iterator[None]:
    """Raise what a schema does not accept as ``error``: its place, the problems (:func:`explained`), and ``remedy``."""
    try:
        yield
    except ValidationError as found:
        raise error(f"{where}: {explained(found, within)} {remedy}".rstrip()) from found


def explained(error: ValidationError, within: Sequence[str] = ()) -> str:
    """The first problems that a schema found, as :func:`problems`, in one line."""
    return "; ".join(shortened(problems(error, within), MOST_PROBLEMS)).removesuffix(".") + "."


def problems(
    error: ValidationError,
    within: Sequence[str] = (),
    known: Callable[[Sequence[int | str]], Iterable[str]] | None = None,
) -> list[str]:
    """Problems found by a schema, each with its place (after the keys ``within``) and the value, shortened.

    If ``known`` gives the allowed keys of a place, an unknown key is reported with the nearest of them.
    """
    found = []
    for problem in error.errors(include_url=False):
        place = ".".join(map(str, (*within, *problem["loc"])))[:100]
        if known is not None and problem["type"] == "extra_forbidden":
            found.append(unknown("key", problem["loc"][-1], known(problem["loc"][:-1]), place))
            continue
        given = "" if problem["type"] in ("missing", "value_error") else f" (given: {quoted(problem['input'])})"
        found.append(f"{place + ': ' if place else ''}{problem['msg'].removeprefix('Value error, ')}{given}")
    return found
