"""YAML, JSON and CSV within limits, and what a schema says about them."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from intermamba.errors import ConfigError, DataError, InterMambaError, brief, shortened, shown, unknown
from intermamba.reading import content, text

if TYPE_CHECKING:
    import pandas as pd

YAML_LIMIT = 1 << 17
"""Largest YAML file, in bytes; ``params.yaml`` has a tenth of it. The parser reads some 50 kB a second."""
YAML_DEPTH = 50
"""Mappings and lists inside one another."""
YAML_NODES = 50_000
"""Values of a YAML file, those that aliases repeat counted each time."""
YAML_DIGITS = 100
"""Letters of a number."""
JSON_LIMIT = 1 << 28
"""Largest JSON file, in bytes; the manifest of a dataset of 40 GB has a fiftieth of it."""
CSV_LIMIT = 1 << 28
MOST_PROBLEMS = 5


@cache
def _loader() -> Any:
    """PyYAML's safe loader, with limits, and without two values for one key."""
    import yaml

    class Loader(yaml.SafeLoader):
        def __init__(self, stream: str) -> None:
            super().__init__(stream)
            self._depth, self._nodes = 0, 0
            self._sizes: dict[int, int] = {}  # nodes in each finished node, aliases unfolded

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                mark = self.peek_event().start_mark
                node = super().compose_node(parent, index)
                if id(node) not in self._sizes:
                    raise yaml.error.MarkedYAMLError(problem="an alias inside what it stands for", problem_mark=mark)
                self._nodes += self._sizes[id(node)]
            else:
                mark, before = self.peek_event().start_mark, self._nodes
                self._depth, self._nodes = self._depth + 1, self._nodes + 1
                if self._depth > YAML_DEPTH:
                    raise yaml.error.MarkedYAMLError(problem=f"more than {YAML_DEPTH} levels deep", problem_mark=mark)
                node = super().compose_node(parent, index)
                self._depth -= 1
                self._sizes[id(node)] = self._nodes - before
            if self._nodes > YAML_NODES:
                raise yaml.error.MarkedYAMLError(problem=f"more than {YAML_NODES:,} values", problem_mark=mark)
            return node

        def construct_scalar(self, node: Any) -> Any:
            value = super().construct_scalar(node)
            number = node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
            if number and len(value) > YAML_DIGITS:
                raise yaml.error.MarkedYAMLError(
                    problem=f"a number of more than {YAML_DIGITS} digits", problem_mark=node.start_mark
                )
            return value

        def compose_mapping_node(self, anchor: Any) -> Any:
            node = super().compose_mapping_node(anchor)
            seen: set[str] = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"):
                if key.value in seen:
                    raise yaml.error.MarkedYAMLError(
                        problem=f"the key {shown(key.value)} stands twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
            return node

    return Loader


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
    try:
        return yaml.load(written, _loader())  # noqa: S506 (a safe one)
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
    """A table; ``how`` goes to pandas.

    Raises:
        DataError: it cannot be read or is no table.
    """
    import io

    import pandas as pd

    stream = io.BytesIO(content(path, CSV_LIMIT))
    try:
        return pd.read_csv(stream, **how)
    except Exception as error:  # pandas and its parsers each raise their own
        raise DataError(f"{path}: cannot be read as CSV ({brief(error)}).") from error


@cache
def _adapter(schema: Any) -> Any:
    return TypeAdapter(schema)


def checked(schema: Any, value: Any, where: str, remedy: str = "", error: type[InterMambaError] = DataError) -> Any:
    """``value`` by a schema: a pydantic model, or any type that pydantic understands.

    Raises:
        DataError: it does not fit; the message has the first problems, and ends with ``remedy``. Or another ``error``.
    """
    try:
        return _adapter(schema).validate_python(value)
    except ValidationError as found:
        raise error(f"{where}: {explained(found)} {remedy}".rstrip()) from found


def checked_json(schema: Any, written: str, where: str, remedy: str = "") -> Any:
    """The value of a JSON text by a schema, strictly: no text where a number belongs.

    Raises:
        DataError: as :func:`checked`.
    """
    try:
        return _adapter(schema).validate_json(written, strict=True)
    except ValidationError as found:
        raise DataError(f"{where}: {explained(found)} {remedy}".rstrip()) from found


def explained(error: ValidationError, within: Sequence[str] = ()) -> str:
    """The first problems that a schema found, as :func:`problems`, in one line."""
    return "; ".join(shortened(problems(error, within), MOST_PROBLEMS)).removesuffix(".") + "."


def problems(
    error: ValidationError,
    within: Sequence[str] = (),
    known: Callable[[Sequence[int | str]], Iterable[str]] | None = None,
) -> list[str]:
    """What a schema found, each with its place (the keys ``within`` before it) and the value, cut.

    Where ``known`` gives the keys that a place allows, an unknown key is told with the nearest of them.
    """
    found = []
    for problem in error.errors(include_url=False):
        place = ".".join(map(str, (*within, *problem["loc"])))[:100]
        if known is not None and problem["type"] == "extra_forbidden":
            found.append(unknown("key", problem["loc"][-1], known(problem["loc"][:-1]), place))
            continue
        given = "" if problem["type"] in ("missing", "value_error") else f" (given: {shown(problem['input'])})"
        found.append(f"{place + ': ' if place else ''}{problem['msg'].removeprefix('Value error, ')}{given}")
    return found
