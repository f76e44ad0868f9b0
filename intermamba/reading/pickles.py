"""Plain pickles: lists and dictionaries of strings and numbers. Nothing runs, and a small file stays small."""

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from intermamba.reading import content
from intermamba.reading.arrays import reading

PICKLE_LIMIT = 1 << 24
"""Largest pickle that is opened, in bytes; the official ones are below one megabyte."""

_ARGUMENTS = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"})
_USED_UP = frozenset({"REDUCE", "BUILD"})
_MEMO = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_PLAIN = frozenset({
    "PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG1",
    "LONG", "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "UNICODE",
    "BINUNICODE", "SHORT_BINUNICODE", "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_DICT", "DICT", "SETITEM",
    "SETITEMS", "EMPTY_TUPLE", "GLOBAL", "STACK_GLOBAL", "GET", "BINGET", "LONG_BINGET",
})  # fmt: skip
"""Instructions of a plain pickle. Tuples occur as arguments of numpy's scalars alone: nested and shared ones would take
exponential time to hash or to print."""
_TYPES = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"})


class _Unpickler(pickle.Unpickler):
    """Admits containers, strings, numbers and numpy scalars; every other class is refused before it is imported."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "dtype"):
            return _dtype
        if name == "scalar" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _scalar
        if (module, name) == ("_codecs", "encode"):  # bytes, as protocol 2 writes them
            return _latin1
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def _dtype(kind: Any, *_how: Any) -> np.dtype[Any]:
    if kind not in _TYPES:
        raise pickle.UnpicklingError("a numpy type that is not a number")
    return np.dtype(kind, copy=True)


def _scalar(dtype: Any, stored: Any) -> Any:
    if not isinstance(dtype, np.dtype) or not isinstance(stored, bytes | str):
        raise pickle.UnpicklingError("an invalid numpy scalar")
    held = stored.encode("latin1") if isinstance(stored, str) else stored
    return np.frombuffer(held, dtype, count=1)[0]


def _latin1(stored: Any, encoding: Any) -> bytes:
    if not isinstance(stored, str) or encoding != "latin1":
        raise pickle.UnpicklingError("bytes in another encoding than latin1")
    return stored.encode("latin1")


def read_pickle(path: Path) -> Any:
    """Plain containers, strings and numbers from a pickle; anything that could run code is refused."""
    with reading(path, "a pickle of plain lists, dictionaries, strings and numbers"):
        stored = content(path, PICKLE_LIMIT)
        _check(stored)
        return _Unpickler(io.BytesIO(stored)).load()


def _check(stored: bytes) -> None:
    """Check all instructions before executing any."""
    arguments = False
    for code, value, place in pickletools.genops(stored):
        if arguments and code.name not in _MEMO:
            if code.name not in _USED_UP:
                raise pickle.UnpicklingError("a tuple as a value")
            arguments = False
        elif code.name in _MEMO:
            if (
                place is not None and isinstance(value, int) and value > place
            ):  # the table of memories is as long as its largest index
                raise pickle.UnpicklingError(f"memory {value} in {place} bytes")
        elif code.name in _ARGUMENTS:
            arguments = True
        elif code.name not in _PLAIN and code.name not in _USED_UP:
            raise pickle.UnpicklingError(f"the instruction {code.name}")
