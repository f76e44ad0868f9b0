"""Objects that other installed packages add through entry points."""

import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from intermamba.errors import ConfigError

T = TypeVar("T")


def offered(group: str, kind: type[T], own: Mapping[str, T]) -> dict[str, T]:
    """``own`` objects by name, then those of the entry points of ``group``; each has a ``name``.

    Raises:
        ConfigError: an entry point is not a ``kind``, or two objects have the same name.
    """
    found = dict(own)
    for point in points(group):
        one: Any = point.load()
        if not isinstance(one, kind):
            raise ConfigError(
                f"entry point {point.value} of {group} has type {type(one).__name__}, not {kind.__name__}."
            )
        name: str = one.name  # type: ignore[attr-defined]
        if name in found:
            raise ConfigError(f"{name!r}, from entry point {point.value} of {group}, is already taken; rename it.")
        found[name] = one
    return found


def points(group: str) -> tuple[EntryPoint, ...]:
    """Entry points of a group, in the order of their names."""
    return _points(group, tuple(sys.path))


@cache
def _points(group: str, _path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Installed packages do not change while a process runs, unless its path does.

    Once the backport ``importlib_metadata`` is imported, it finds entry points of a class of its own.
    """
    found = (EntryPoint(point.name, point.value, point.group) for point in entry_points(group=group))
    return tuple(sorted(found, key=lambda point: point.name))
