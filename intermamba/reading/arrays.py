"""Arrays of numbers from ``.npy`` and ``.npz`` files, with limits on their size."""

import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from intermamba.errors import DataError, InterMambaError, brief
from intermamba.reading import content, opened

MEMBER_LIMIT = 1 << 28
"""Largest array taken from a file, in bytes: half an hour of hand poses at 120 fps takes a third of it."""
DIRECTORY_LIMIT = 1 << 20
"""Largest table of contents of an archive, in bytes: some ten thousand arrays."""
HEADER_LIMIT = 1 << 16
"""Largest header of an array, in bytes; NumPy itself reads a tenth of it."""
LARGEST = 1e6
"""Largest number of a motion: a thousand kilometres, or a hundred thousand turns; squares of such numbers, and their
sums, stay finite in single precision."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@contextmanager
def reading(path: str | Path, kind: str) -> Iterator[None]:
    """Turn any exception of a reader into one error about ``path``: a malformed file can raise nearly anything.

    Raises:
        DataError: the reader failed.
    """
    try:
        yield
    except InterMambaError:
        raise
    except Exception as error:
        raise DataError(f"{path}: truncated or not {kind} ({brief(error)}).") from error


def read_array(path: Path) -> Shaped[np.ndarray, "..."]:
    """One ``.npy`` array; a file that its header does not describe and arrays of objects are refused."""
    with reading(path, "a .npy array of numbers"):
        return _array(content(path, MEMBER_LIMIT), str(path))


def read_archive(
    path: Path, shapes: Mapping[str, tuple[int, ...]], optional: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz`` by name; ``shapes`` gives their axes after the frames. Other keys are not read.

    Raises:
        DataError: an array is missing, malformed, or has another shape.
    """
    arrays = read_members(path, tuple(shapes), optional)
    for key, shape in shapes.items():
        found = arrays[key].shape
        if len(found) != len(shape) + 1 or found[1:] != shape:
            raise DataError(f"{path}: {key} has shape {found}; needs (frames, {', '.join(map(str, shape))}).")
        check_numbers(path, arrays[key], f"{key}: ")
    return arrays


def read_members(path: Path, wanted: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz`` by name; arrays of objects and any beyond :data:`MEMBER_LIMIT` are refused.

    Raises:
        DataError: an array is missing, malformed or refused.
    """
    arrays: dict[str, np.ndarray] = {}
    with reading(path, "an .npz archive of numbers"), opened(path) as file, open_archive(file) as archive:
        held = {item.filename.removesuffix(".npy") for item in archive.infolist() if item.filename.endswith(".npy")}
        absent = ", ".join(key for key in wanted if key not in held)
        if absent:
            listed = ", ".join(sorted(held)) or "nothing"
            raise DataError(f"{path}: {absent} not in the archive, which holds {listed:.200}.")
        for key in (*wanted, *(key for key in optional if key in held)):
            arrays[key] = _array(_unpacked(path, archive, f"{key}.npy"), f"{path}: {key}")
    return arrays


class _Cautious(io.BufferedReader):
    """A file from which at most ``most`` bytes are read at once, while it is set."""

    most: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if self.most is None:
            return super().read(size)
        wanted = self.most + 1 if size is None or size < 0 else size
        if wanted > self.most + 1 or len(found := super().read(wanted)) > self.most:
            raise ValueError(f"a table of contents of more than {self.most:,} bytes")
        return found


def open_archive(file: io.BufferedReader, directory: int = DIRECTORY_LIMIT) -> zipfile.ZipFile:
    """An archive whose table of contents has at most ``directory`` bytes.

    Raises:
        ValueError: it has more.
    """
    cautious = _Cautious(file.raw)
    cautious.most = directory
    archive = zipfile.ZipFile(cautious)
    cautious.most = None  # members are read in pieces, as requested
    return archive


def _unpacked(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    """A member's bytes; the stream is bounded, since the size stated in an archive cannot be trusted."""
    if (method := archive.getinfo(name).compress_type) not in _METHODS:
        raise DataError(f"{path}: {name} is packed by method {method}; NumPy's savez and savez_compressed use others.")
    with archive.open(name) as member:
        found = member.read(MEMBER_LIMIT + 1)
    if len(found) > MEMBER_LIMIT:
        raise DataError(f"{path}: {name} unpacks to more than {MEMBER_LIMIT:,} bytes, the most that is read.")
    return found


def _array(stored: bytes, where: str) -> np.ndarray:
    """The array of an ``.npy`` file's bytes, not a copy of what its header claims."""
    shape, columns_first, dtype, begin = parsed_header(_head(stored))
    if dtype.hasobject:
        raise DataError(f"{where}: Python objects, which are never unpickled; needs an array of numbers.")
    if (claimed := math.prod(shape) * dtype.itemsize) != len(stored) - begin:
        raise DataError(f"{where}: truncated or damaged: {len(stored)} bytes do not hold the {claimed} of its header.")
    return np.frombuffer(stored, dtype, offset=begin).reshape(shape, order="F" if columns_first else "C")


def _head(stored: bytes) -> bytes:
    """The part of an ``.npy`` file's bytes before its numbers."""
    width = 2 if stored[6:7] == b"\x01" else 4  # bytes that hold the header's length, by the format's version
    size = int.from_bytes(stored[8 : 8 + width], "little")
    return stored[: 8 + width + min(size, HEADER_LIMIT)]


@lru_cache(maxsize=64)
def parsed_header(head: bytes) -> tuple[tuple[int, ...], bool, "np.dtype[Any]", int]:
    """Shape, order, type and place of the numbers. The two persons of a clip have one header, which is parsed once."""
    stream = io.BytesIO(head)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return *read(stream), stream.tell()


def check_numbers(path: Path, values: Shaped[np.ndarray, "..."], prefix: str = "", axis: str = "frame") -> None:
    """Refuse anything but floating-point numbers of at most :data:`LARGEST`; names the first bad entry of ``axis``.

    Raises:
        DataError: other types, NaN, infinite or absurd values.
    """
    if not np.issubdtype(values.dtype, np.floating):
        raise DataError(f"{path}: {prefix}type {values.dtype}; needs floating-point numbers.")
    if not values.size or (values.min() >= -LARGEST and values.max() <= LARGEST):  # minimum and maximum propagate NaN
        return
    finite = np.isfinite(values)
    sound = finite if not finite.all() else np.abs(values) <= LARGEST
    what = "NaN or infinite values" if not finite.all() else f"values beyond {LARGEST:g}"
    bad = np.flatnonzero(~sound.all(axis=tuple(range(1, values.ndim))))
    raise DataError(f"{path}: {prefix}{what} in {axis} {bad[0]} ({len(bad)} of {len(values)}).")
