"""Errors a user can act on: what was found, where, what is allowed, what to do.

Every problem with input, configuration or state raises a subclass of :class:`InterMambaError`; the command line prints
its message without a traceback. Anything else that escapes is a bug of ours and keeps its traceback.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class InterMambaError(Exception):
    """Base of all errors whose message is meant for the user."""


class ConfigError(InterMambaError):
    """A knob, a profile, a variant or a command-line value is not acceptable."""


class DataError(InterMambaError):
    """A file is missing, broken, or not what its format promises."""


class StateError(InterMambaError):
    """The working tree is not in the state a command needs, for example an input stage has not run."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during work that can go on; the message says how."""


def shortened(problems: Sequence[str], most: int = 20) -> list[str]:
    """The first ``most`` problems of a long list, and a line that counts the rest."""
    more = [f"... and {len(problems) - most:,} more."] if len(problems) > most else []
    return [*problems[:most], *more]


def unknown(kind: str, value: object, allowed: Iterable[str], where: str) -> str:
    """Message for an unknown name: the value, where it came from, the nearest match and the whole list."""
    names = sorted(allowed)
    near = get_close_matches(str(value), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {value!r} in {where}.{hint} Allowed: {', '.join(names) or '(none)'}."
