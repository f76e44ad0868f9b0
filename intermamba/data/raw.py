"""Strict readers of files that come from outside: nothing is unpickled freely, every complaint names its file.

Each reader returns what it promises or raises :class:`DataError`; none allocates memory for what a file merely claims.
"""

import io
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from intermamba.errors import DataError

MEMBER_LIMIT = 1 << 28
"""Largest array taken from an archive, in bytes: half an hour of hand poses at 120 fps takes a third of it."""
PICKLE_LIMIT = 1 << 26
"""Largest pickle that is opened, in bytes; the owners' are below one megabyte."""


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a reader raises into one sentence about ``path``: a malformed file can raise nearly anything."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing.") from error
    except Exception as error:
        raise DataError(f"{path}: truncated or not {kind} ({error}).") from error


def read_array(path: Path) -> np.ndarray:
    """One ``.npy`` array, memory-mapped; a file shorter than its header says and arrays of objects are refused."""
    with _reading(path, "a .npy array of numbers"):
        return np.lib.format.open_memmap(path, mode="r")


def read_archive(
    path: Path, shapes: Mapping[str, tuple[int, ...]], optional: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz`` by name; ``shapes`` gives their axes after the frames. Other keys are not touched."""
    arrays: dict[str, np.ndarray] = {}
    with _reading(path, "an .npz archive of numbers"), zipfile.ZipFile(path) as archive:
        sizes = {item.filename.removesuffix(".npy"): item.file_size for item in archive.infolist()}
        absent = ", ".join(key for key in shapes if key not in sizes)
        if absent:
            raise DataError(
                f"{path}: {absent} not in the archive, which holds {', '.join(sorted(sizes)) or 'nothing'}."
            )
        for key in (*shapes, *(key for key in optional if key in sizes)):
            if sizes[key] > MEMBER_LIMIT:
                raise DataError(f"{path}: {key} unpacks to {sizes[key]} bytes; at most {MEMBER_LIMIT} are read.")
            with archive.open(f"{key}.npy") as member:
                arrays[key] = np.lib.format.read_array(io.BytesIO(member.read()), allow_pickle=False)
    for key, shape in shapes.items():
        found = arrays[key].shape
        if len(found) != len(shape) + 1 or found[1:] != shape:
            raise DataError(f"{path}: {key} has shape {found}; needs (frames, {', '.join(map(str, shape))}).")
        check_numbers(path, arrays[key], f"{key}: ")
    return arrays


def check_numbers(path: Path, frames: np.ndarray, prefix: str = "") -> None:
    """Refuse anything but finite floating-point frames (first axis); names the first bad frame."""
    if not np.issubdtype(frames.dtype, np.floating):
        raise DataError(f"{path}: {prefix}type {frames.dtype}; needs floating-point numbers.")
    bad = np.flatnonzero(~np.isfinite(frames).all(axis=tuple(range(1, frames.ndim))))
    if len(bad):
        raise DataError(
            f"{path}: {prefix}NaN or infinite values in frame {bad[0]} ({len(bad)} of {len(frames)} frames)."
        )


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 text, stripped, without the empty ones."""
    with _reading(path, "UTF-8 text"):
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]


class _Unpickler(pickle.Unpickler):
    """Admits containers, strings, numbers and numpy scalars; every other class is refused before it is imported."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        if name == "scalar" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return np.float64(0).__reduce__()[0]  # the function of that name in this numpy
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def read_pickle(path: Path) -> Any:
    """Plain containers, strings and numbers from a pickle; anything that could run code is refused."""
    with _reading(path, "a pickle of plain lists, dictionaries, strings and numbers"):
        if (size := path.stat().st_size) > PICKLE_LIMIT:
            raise DataError(f"{path}: {size} bytes; at most {PICKLE_LIMIT} are read.")
        return _Unpickler(io.BytesIO(path.read_bytes())).load()


def read_word_vectors(folder: Path) -> tuple[tuple[str, ...], Float[np.ndarray, "V 300"]]:
    """Inter-X's GloVe files ``hhi_vab_{data.npy,words.pkl,idx.pkl}``: words, and the vector of each, float32."""
    vectors = read_array(folder / "hhi_vab_data.npy")
    words = read_pickle(folder / "hhi_vab_words.pkl")
    rows = read_pickle(folder / "hhi_vab_idx.pkl")
    if vectors.ndim != 2 or vectors.shape[1] != 300:
        raise DataError(f"{folder / 'hhi_vab_data.npy'}: shape {vectors.shape}; needs (words, 300).")
    check_numbers(folder / "hhi_vab_data.npy", vectors)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise DataError(f"{folder / 'hhi_vab_words.pkl'}: needs a list of words.")
    path = folder / "hhi_vab_idx.pkl"
    if not isinstance(rows, dict) or set(rows) != set(words) or len(words) != len(rows):
        raise DataError(f"{path}: needs a dictionary from exactly the words of hhi_vab_words.pkl to rows.")
    wrong = [
        word for word, row in rows.items() if not isinstance(row, (int, np.integer)) or not 0 <= row < len(vectors)
    ]
    if wrong:
        raise DataError(
            f"{path}: the row of {wrong[0]!r} is {rows[wrong[0]]!r}; hhi_vab_data.npy has {len(vectors)} rows."
        )
    absent = [word for word in ("sos", "eos", "unk") if word not in rows]
    if absent:
        raise DataError(f"{folder / 'hhi_vab_words.pkl'}: the marks {', '.join(absent)} are absent.")
    return tuple(words), np.asarray(vectors[[int(rows[word]) for word in words]], dtype=np.float32)
