"""Errors that a user can act on: their messages give the value, its source, the allowed values and a remedy.

Every problem with input, configuration or state raises a subclass of :class:`InterMambaError`; the command line prints
its message without a traceback. Any other exception is a bug and keeps its traceback.
"""

import errno
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from reprlib import Repr


class InterMambaError(Exception):
    """Base of all errors whose message is meant for the user."""


class ConfigError(InterMambaError):
    """A knob, a profile, a variant or a command-line value is not acceptable."""


class DataError(InterMambaError):
    """A file is missing, broken, or violates its format."""


class StateError(InterMambaError):
    """The working tree is not in the state a command needs, for example an input stage has not run."""


class DivergedError(InterMambaError):
    """A training whose loss or weights are no longer finite, or whose loss explodes."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during work that can be continued; the message describes how."""


_LONGEST_REASON = 200
"""Characters."""


class _Short(Repr):
    """Values in messages, shortened at any depth."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 4
        self.maxstring = self.maxlong = self.maxother = 60

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() <= 1000 else f"an integer of {x.bit_length():,} bits"


_SHORT = _Short()


def quoted(value: object) -> str:
    """``value`` for a message: its ``repr``, shortened where it is long or deep."""
    return _SHORT.repr(value)


def brief(error: object) -> str:
    """A library's error message in one shortened line."""
    reason = " ".join(str(error).split())
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}..."


_REMEDIES = {
    errno.ENOSPC: "Free some space and run the same command again.",
    errno.EDQUOT: "Free some space and run the same command again.",
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f) and run the same command again.",
    errno.EACCES: "Change its permissions, or work in another folder.",
    errno.EPERM: "Change its permissions, or work in another folder.",
    errno.EROFS: "Work in a writable folder.",
    errno.EMFILE: "Raise the limit on open files (ulimit -n) and run the same command again.",
    errno.ENFILE: "Close some programs and run the same command again.",
    errno.ENOMEM: "Free some memory and run the same command again.",
    errno.EIO: "Check the disk.",
}


_NO_SPACE = ("problem writing element", "requested and", "PytorchStreamWriter failed writing", "unexpected pos")
"""Messages of NumPy and torch on an incomplete write, which has no type of its own."""
_NO_MEMORY = ("can't allocate memory", "out of memory", "failed to map segment", "Cannot allocate memory")
"""Messages on exhausted memory without a type of their own: from torch, CUDA and the dynamic loader."""


def system_problem(error: BaseException) -> str | None:
    """One line on a refusal by the system (space, permission, open files, memory); ``None`` for other errors."""
    if isinstance(error, OSError) and error.errno is not None:
        place = f"{brief(error.filename)}: " if error.filename is not None else ""
        return f"{place}{error.strerror}. {_REMEDIES.get(error.errno, '')}".strip()
    if isinstance(error, MemoryError):
        return _no_memory(error)
    if (reason := _said(error, _NO_SPACE)) is not None:
        return (
            f"a file could not be written whole ({brief(reason)}): the disk is full, or a limit on the size of files "
            "(ulimit -f) is reached. Free some space or raise the limit, and run the same command again."
        )
    reason = _said(error, _NO_MEMORY)
    return None if reason is None else _no_memory(reason)


def _said(error: BaseException, words: Iterable[str]) -> str | None:
    """The line of an error, or of its causes, that contains one of ``words``."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        for line in str(cause).splitlines():
            if any(part in line for part in words):
                return line
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    return None


def _no_memory(reason: object) -> str:
    return f"out of memory ({brief(reason) or 'the limit of this process'}). Free some, or use smaller batches."


def shortened(problems: Sequence[str], most: int = 20) -> list[str]:
    """The first ``most`` problems of a long list, and a line that counts the rest."""
    more = [f"... and {len(problems) - most:,} more."] if len(problems) > most else []
    return [*problems[:most], *more]


def listed(names: Sequence[object], most: int) -> str:
    """The first ``most`` names in a sentence: "a, b and 3 more"."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def unknown(kind: str, value: object, allowed: Iterable[str], where: str) -> str:
    """Message for an unknown name: the value, where it came from, the nearest match and the whole list."""
    names = sorted(allowed)
    near = get_close_matches(str(value)[:_LONGEST_REASON], names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {quoted(value)} in {where}.{hint} Allowed: {', '.join(names) or '(none)'}."
