"""Errors a user can act on: what was found, where, what is allowed, what to do.

Every problem with input, configuration or state raises a subclass of :class:`InterMambaError`; the command line prints
its message without a traceback. Anything else that escapes is a bug of ours and keeps its traceback.
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
    """A file is missing, broken, or not what its format promises."""


class StateError(InterMambaError):
    """The working tree is not in the state a command needs, for example an input stage has not run."""


class DivergedError(InterMambaError):
    """A training whose loss or weights are no longer finite, or whose loss explodes."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during work that can go on; the message says how."""


_LONGEST_REASON = 200
"""Letters."""


class _Short(Repr):
    """Values in messages: cut, at any depth, before they are written out."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 4
        self.maxstring = self.maxlong = self.maxother = 60

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() <= 1000 else f"an integer of {x.bit_length():,} bits"


_SHORT = _Short()


def shown(value: object) -> str:
    """``value`` as messages show it: its ``repr``, cut where it is long or deep."""
    return _SHORT.repr(value)


def brief(error: object) -> str:
    """The reason that a library gives, in one line and cut."""
    reason = " ".join(str(error).split())
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}..."


_REMEDIES = {
    errno.ENOSPC: "Free some space and run the same command again.",
    errno.EDQUOT: "Free some space and run the same command again.",
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f) and run the same command again.",
    errno.EACCES: "Give yourself permission to it, or work in another folder.",
    errno.EPERM: "Give yourself permission to it, or work in another folder.",
    errno.EROFS: "Work in a folder that can be written to.",
    errno.EMFILE: "Raise the limit on open files (ulimit -n) and run the same command again.",
    errno.ENFILE: "Close some programs and run the same command again.",
    errno.ENOMEM: "Free some memory and run the same command again.",
    errno.EIO: "Look after the disk.",
}


_NO_SPACE = ("problem writing element", "requested and", "PytorchStreamWriter failed writing", "unexpected pos")
"""How NumPy and torch say in words alone that a file could not be written whole."""
_NO_MEMORY = ("can't allocate memory", "out of memory", "failed to map segment", "Cannot allocate memory")
"""How libraries say it in words alone: torch, CUDA, and the loader of a library that does not fit."""


def system_problem(error: BaseException) -> str | None:
    """One line on what the system refused: space, permission, open files, memory; ``None`` for other errors."""
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
    """The line in which an error, or what it comes from, has some of ``words``."""
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


def unknown(kind: str, value: object, allowed: Iterable[str], where: str) -> str:
    """Message for an unknown name: the value, where it came from, the nearest match and the whole list."""
    names = sorted(allowed)
    near = get_close_matches(str(value)[:_LONGEST_REASON], names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {shown(value)} in {where}.{hint} Allowed: {', '.join(names) or '(none)'}."
