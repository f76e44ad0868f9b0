"""Types and shapes are checked in the first calls of a function in each test: a check costs more than most calls do.

A function is prepared for checks when it is first called, and one that is defined inside another counts as the same
function each time. To be imported before anything that is checked.
"""

import functools
import inspect
from collections import Counter
from collections.abc import Callable
from types import CodeType
from typing import Any

import jaxtyping

FIRST = 8
"""Number of calls."""

calls: Counter[CodeType] = Counter()
"""Checked calls of each function in the test that runs; a fixture in ``conftest.py`` empties it."""

definitions: Counter[CodeType] = Counter()
"""Definitions of each inner function in this process. Each call of the outer one defines it anew, and to prepare one
for checks takes milliseconds, so only the first ones are checked."""

_checked = jaxtyping.jaxtyped


def _nothing_to_check(function: Callable[..., Any]) -> bool:
    """Whether no types but Triton's are named: Triton compiles a kernel by its source and its module's names."""
    return all(getattr(one, "__module__", "").startswith("triton.") for one in function.__annotations__.values())


def _first_calls_checked(*, typechecker: Any) -> Callable[[Any], Any]:
    """In place of the decorator that ``--jaxtyping-packages`` gives every function and class."""
    check = _checked(typechecker=typechecker)

    def decorate(function: Any) -> Any:
        if not inspect.isfunction(function):
            return check(function)
        if _nothing_to_check(function):
            return function
        if "<locals>" in function.__qualname__:
            definitions[function.__code__] += 1
            if definitions[function.__code__] > FIRST:
                return function
        code, prepared = function.__code__, functools.cache(lambda: check(function))

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            if calls[code] == FIRST:
                return function(*args, **kwargs)
            calls[code] += 1
            return prepared()(*args, **kwargs)

        return call

    return decorate


jaxtyping.jaxtyped = _first_calls_checked
