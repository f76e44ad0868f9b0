"""The reference of parameters: every knob of the schema and every protocol, with values and meaning."""

import re
import types
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from evaluators import protocol
from intermamba.config import Config, Dataset, Section, load
from workflow.tables.markdown import pipes

PROFILES = ("paper", "study-gpu", "study-cpu", "smoke")
"""Profiles whose values are listed; ``paper`` has those of ``base``, and the real datasets."""
LARGE = 1 << 31
"""Limits from here on only keep a number within the computer's; they are left out."""
_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
_WORDS = {bool: "true or false", int: "integer", float: "number", str: "text", type(None): "null", Any: "value"}


def render() -> str:
    """One part per section of the schema: each knob's type, its values in the profiles and its meaning."""
    return "\n".join(_sections(Config, ()))


def protocols() -> str:
    """Every protocol: the meaning of its keys, the values that all share, and the values that differ."""
    found = {name: protocol.load(name).model_dump() for name in protocol.names()}
    fields = {
        name: one for name, one in protocol.Protocol.model_fields.items() if name not in ("name", "dataset", "source")
    }
    values = {name: [_shown(one[name]) for one in found.values()] for name in fields}
    common = {name: texts[0] if len(set(texts)) == 1 else "see below" for name, texts in values.items()}
    meanings = [[f"`{name}`", _plain(one.description or ""), common[name]] for name, one in fields.items()]
    differing = [name for name in fields if common[name] == "see below"]
    rows = [[f"`{name}`", *(values[key][i] for key in differing)] for i, name in enumerate(found)]
    return f"{_table(['Key', 'Meaning', 'Value'], meanings)}\n{_table(['Protocol', *map(_shown, differing)], rows)}"


def _sections(section: type[Section], place: tuple[str, ...]) -> Iterator[str]:
    """The parts of ``section``, whose dotted name is ``place``, and of the sections inside it."""
    fields = {(*place, name): field for name, field in section.model_fields.items()}
    inner = {here: found for here, field in fields.items() if (found := _inside(field.annotation))}
    rows = [_row(here, field) for here, field in fields.items() if here not in inner]
    if place:
        anchor = "-".join(part.strip("<>") for part in place)
        yield f"## `{'.'.join(place)}` {{ #{anchor} }}\n\n{_plain(section.__doc__ or '')}\n"
    if rows:
        yield _table(["Knob", "Meaning", *map(_shown, PROFILES)], rows)
    for here, (keys, within) in inner.items():
        keys = ("<method>",) if here == ("methods",) else keys
        yield from _sections(within, (*here, *keys))


def _inside(annotation: Any) -> tuple[tuple[str, ...], type[Section]] | None:
    """The section behind a field, and the names of the mappings that lead to it."""
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, Section):
            return (("<dataset>",) if get_origin(annotation) is dict else ()), one
    if get_origin(annotation) is dict and (found := _inside(get_args(annotation)[1])):
        return ("<dataset>", "<model>"), found[1]
    return None


def _row(place: Sequence[str], field: FieldInfo) -> list[str]:
    values = ["<br>".join(dict.fromkeys(map(_shown, _at(_values(name), place)))) or "—" for name in PROFILES]
    if "<method>" in place:
        values = ["by method"] * len(PROFILES)
    meaning = f"{_plain(field.description or '')}<br><small>{_kind(field.annotation, field.metadata)}</small>"
    return [f"`{place[-1]}`", meaning, *values]


@cache
def _values(profile: str) -> Any:
    return load(profile).model_dump(mode="json")


def _at(value: Any, place: Sequence[str]) -> Iterator[Any]:
    """Values under a dotted name; a part in angle brackets stands for every key."""
    if not place:
        yield value
    elif value is not None:
        for key in value if place[0].startswith("<") else place[:1]:
            yield from _at(value[key], place[1:])


def _shown(value: Any) -> str:
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            return f"`{value}`"
        case list() | tuple():
            return f"[{', '.join(map(_shown, value))}]"
        case dict() if any(isinstance(one, dict) for one in value.values()):
            return "see `params.yaml`"
        case dict():
            return "<br>".join(f"{key}: {_shown(one)}" for key, one in value.items()) or "—"
        case _:
            return f"{value:g}"


def _kind(annotation: Any, bounds: Sequence[Any] = ()) -> str:
    """The type and bounds of a knob, in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation == Dataset:
        return "dataset"
    if origin is Annotated:
        return _kind(inner[0], [bound for one in inner[1:] for bound in getattr(one, "metadata", [one])])
    if origin is Literal:
        return " or ".join(map(_shown, inner))
    if origin in (Union, types.UnionType):
        return " or ".join(map(_kind, inner))
    if origin is tuple:
        return f"list of: {_kind(inner[0])}" if ... in inner else f"{len(inner)} values, each: {_kind(inner[0])}"
    if origin is dict:
        return f"for each {'name' if inner[0] is str else _kind(inner[0])}: {_kind(inner[1])}"
    given = [(sign, getattr(one, name)) for one in bounds for name, sign in _SIGNS.items() if hasattr(one, name)]
    limits = [f"{sign} {limit:g}" for sign, limit in given if limit < LARGE]
    return " ".join([_WORDS[annotation], ", ".join(limits)]).strip()


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return pipes([head, [":--"] * len(head), *rows])


def _plain(docstring: str) -> str:
    """A docstring as a line of Markdown."""
    text = without_roles(" ".join(docstring.split()))
    return text.replace("``", "`").replace("|", "\\|")


def without_roles(docstring: str) -> str:
    """``docstring`` with roles such as ``:func:`name``` as code."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", docstring)
