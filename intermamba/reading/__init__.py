"""Safe reading of files with any content; every reader of the project uses this package.

A file must be regular and of bounded size. Text must be UTF-8. Parsing has limits of depth, number and size, so that no
file takes more time or memory than a real one of its format, and uses a schema where there is one. Every problem is one
short error that names the file, the value and the allowed values.

This module reads bytes, text and lines; :mod:`~intermamba.reading.documents` YAML, JSON and CSV with schemas;
:mod:`~intermamba.reading.arrays` NumPy's formats; :mod:`~intermamba.reading.pickles` plain pickles; and
:mod:`intermamba.files` safetensors, beside the code that writes them.
"""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from intermamba.errors import DataError, brief

TEXT_LIMIT = 1 << 24
"""Largest text in bytes: enough for a list of a million clips."""
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


@contextmanager
def opened(path: str | Path) -> Iterator[io.BufferedReader]:
    """A regular file, open for reading; anything else is refused before reading a byte.

    Raises:
        DataError: no such file, no permission, or not a regular file.
    """
    try:
        # Opening a named pipe would block until there is a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise DataError(f"{brief(path)}: {_why(error)}.") from error
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind != stat.S_IFREG:
        os.close(descriptor)
        raise DataError(f"{path}: {_KINDS.get(kind, 'not a regular file')}; needs a regular file.")
    with open(descriptor, "rb") as file:  # noqa: PTH123
        yield file


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "missing"
    return f"cannot be opened ({error.strerror if isinstance(error, OSError) else brief(error)})"


def regular(path: str | Path, limit: int | None = None) -> Path:
    """``path``, for a library that opens files by name, if it is a regular file of at most ``limit`` bytes.

    Raises:
        DataError: it is not.
    """
    with opened(path) as file:
        _check_size(path, os.fstat(file.fileno()).st_size, limit)
    return Path(path)


def content(path: str | Path, limit: int) -> bytes:
    """All bytes of a file.

    Raises:
        DataError: it is not a regular file of at most ``limit`` bytes, or cannot be read.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        _check_size(path, size, limit)
        try:
            found = file.read(size + 1)
            if len(found) > size:  # it grows
                found += file.read(limit + 1 - len(found))
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    _check_size(path, len(found), limit)
    return found


def _check_size(path: str | Path, size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise DataError(f"{path}: {size:,} bytes; at most {limit:,} are read.")


def text(path: str | Path, limit: int | None = None) -> str:
    """A UTF-8 text of at most ``limit`` bytes [:data:`TEXT_LIMIT`], without a byte order mark.

    Raises:
        DataError: as :func:`content`, or another encoding.
    """
    try:
        return content(path, TEXT_LIMIT if limit is None else limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 text (byte {error.object[error.start]:#04x} at {error.start}). Save it as UTF-8."
        ) from error


def lines(path: str | Path, limit: int | None = None) -> list[str]:
    """Lines of a text, stripped, without the empty ones.

    Raises:
        DataError: as :func:`text`.
    """
    return [stripped for line in text(path, limit).splitlines() if (stripped := line.strip())]
