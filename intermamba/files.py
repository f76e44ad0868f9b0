"""Atomic files: a reader sees the old file or the whole new one, never a half-written one."""

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from filelock import FileLock

from intermamba.errors import DataError, StateError, brief
from intermamba.reading import opened, regular
from intermamba.reading.documents import read_csv as read_csv
from intermamba.reading.documents import read_json as read_json

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor

_LONGEST_HEADER = 100_000_000
"""Bytes; safetensors has the same limit."""


LOCK = ".lock"
"""Suffix of lock files, which are hidden."""


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it into place on success, remove it on any failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last, since writers such as matplotlib choose the format by it.
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=f".part{path.suffix}", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)  # mkstemp makes files private; artefacts get the user's usual mode
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def lock_of(path: str | Path) -> Path:
    """The lock file of an artefact, beside it."""
    path = Path(path)
    return path.with_name(f".{path.name}{LOCK}")


@contextmanager
def alone(path: str | Path) -> Iterator[None]:
    """Hold an advisory lock on an artefact; wait while another process holds it. It ends with the process.

    If its folder then holds nothing but lock files, this one is removed, and the folder with the last of them.
    """
    lock = lock_of(path)
    folder = lock.parent
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock):
            try:
                yield
            finally:
                if all(place.name.endswith(LOCK) for place in folder.iterdir()):
                    lock.unlink()  # while it is held: a process that waits opens the file anew
    finally:
        with suppress(OSError):
            folder.rmdir()


def copy(source: str | Path, target: str | Path) -> None:
    """Copy a file, atomically."""
    with atomic(target) as part:
        shutil.copyfile(source, part)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, atomically."""
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write indented JSON with sorted keys, so that equal values give equal bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def write_csv(path: str | Path, frame: "pd.DataFrame") -> None:
    """Write a tidy table; floats keep every digit, so that reading it back gives the same values."""
    with atomic(path) as part:
        frame.to_csv(part, index=False, lineterminator="\n")


def write_tensors(path: str | Path, tensors: Mapping[str, "Tensor"], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file; keys and metadata are sorted, so that equal contents give equal bytes."""
    from safetensors.torch import save

    ordered = {key: tensors[key].detach().contiguous().cpu() for key in sorted(tensors)}
    _write_blob(path, save(ordered, metadata=None), metadata)


def write_arrays(path: str | Path, arrays: Mapping[str, "np.ndarray"], metadata: Mapping[str, str]) -> None:
    """As :func:`write_tensors`, without torch."""
    from safetensors.numpy import save

    _write_blob(path, save({key: arrays[key] for key in sorted(arrays)}), metadata)


def _write_blob(path: str | Path, blob: bytes, metadata: Mapping[str, str] | None) -> None:
    # safetensors writes metadata in hash order, so it is inserted into the JSON header here, sorted.
    size = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8 : 8 + size])
    with atomic(path) as part, part.open("wb") as file:
        file.write(_head(header, metadata))
        file.write(blob[8 + size :])


def _head(tensors: Mapping[str, Any], metadata: Mapping[str, str] | None) -> bytes:
    """Length and JSON of a safetensors file's header."""
    header = {"__metadata__": dict(sorted((metadata or {}).items())), **tensors}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


class Stream(NamedTuple):
    """A tensor that is never in memory as a whole."""

    dtype: str
    """safetensors' name of a type."""
    shape: Sequence[int]
    pieces: Iterable[bytes]
    """Its bytes, in order."""


def stream(array: "np.ndarray") -> Stream:
    """A small array beside streamed ones."""
    return Stream(_TYPES[array.dtype.str], array.shape, [array.tobytes()])


_TYPES = {"<i8": "I64", "<f8": "F64", "<f4": "F32", "<i4": "I32", "<f2": "F16"}
"""safetensors' names of NumPy's types, in its order."""


def widest_first(tensors: Mapping[str, Stream]) -> dict[str, Stream]:
    """``tensors`` in safetensors' own order, in which each is aligned."""
    order = list(_TYPES.values())
    return dict(sorted(tensors.items(), key=lambda named: (order.index(named[1].dtype), named[0])))


def write_streams(path: str | Path, tensors: Mapping[str, Stream], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file tensor by tensor, in their order: memory holds a piece at a time."""
    header: dict[str, Any] = {}
    end = 0
    for name, one in tensors.items():
        first, end = end, end + math.prod(one.shape) * int(one.dtype[1:]) // 8
        header[name] = {"dtype": one.dtype, "shape": list(one.shape), "data_offsets": [first, end]}
    with atomic(path) as part, part.open("wb") as file:
        file.write(_head(header, metadata))
        for one in tensors.values():
            for piece in one.pieces:
                file.write(piece)


def read_tensors(path: str | Path) -> tuple[dict[str, "Tensor"], dict[str, str]]:
    """Read a whole safetensors file: tensors and metadata. Large files are memory-mapped by the library."""
    return _read(path, "pt")


def read_arrays(path: str | Path) -> tuple[dict[str, "np.ndarray"], dict[str, str]]:
    """As :func:`read_tensors`, without torch."""
    return _read(path, "np")


def _read(path: str | Path, framework: str) -> tuple[dict[str, Any], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(regular(path), framework=framework) as file:
            return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DataError(
            f"{path}: cannot be read as safetensors ({brief(error)}). If a stage wrote it, delete it and run the stage "
            "again."
        ) from error


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a safetensors file, from its header alone and without torch.

    Raises:
        StateError: no such file.
        DataError: it is another kind of file.
    """
    path = Path(path)
    if not path.exists():
        raise StateError(f"{path}: no such file.")
    try:
        with opened(path) as file:
            size = int.from_bytes(file.read(8), "little")
            if not 2 <= size <= _LONGEST_HEADER:
                raise ValueError("no header where one is expected")
            header = json.loads(file.read(size))
        metadata = header.get("__metadata__", {})
        if not all(isinstance(value, str) for value in metadata.values()):
            raise ValueError("metadata that are not text")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as safetensors ({brief(error)}).") from error
    return dict(metadata)


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes; of a folder, over the names in it and the hashes of all files."""
    path = Path(path)
    if path.is_dir():
        found = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
        listed = "".join(f"{name}\0{sha256(file)}\n" for name, file in found)
        return hashlib.sha256(listed.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp(path: str | Path) -> list[tuple[str, int, int, int]]:
    """What differs once a file, or a file of a folder, has been written again; empty if it does not exist."""
    path = Path(path)
    places = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = [(str(file), file.stat()) for file in places if file.exists()]
    return [(name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found]


def require(path: str | Path, command: str | None = None) -> Path:
    """``path``, if it exists.

    Raises:
        StateError: it does not; the message names the ``intermamba`` command that makes it, where one is given.
    """
    path = Path(path)
    if not path.exists():
        first = f"`intermamba {command}` first, or `snakemake --cores all` for everything" if command else ""
        raise StateError(
            f"{path} does not exist. Run {first or '`snakemake --cores all` if it is a result of a stage'}."
        )
    return path
