"""Strict readers of files that come from outside: nothing is unpickled freely, every complaint names its file.

Each reader returns what it promises or raises :class:`DataError`; none allocates memory for what a file merely claims.
"""

import io
import math
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, Float64

from intermamba.errors import DataError
from intermamba.skeleton import PARENTS

MEMBER_LIMIT = 1 << 28
"""Largest array taken from a file, in bytes: half an hour of hand poses at 120 fps takes a third of it."""
PICKLE_LIMIT = 1 << 26
"""Largest pickle that is opened, in bytes; the owners' are below one megabyte."""
TEXT_LIMIT = 1 << 24
"""Largest text that is opened, in bytes: a list of a million clips."""


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
    """One ``.npy`` array; a file that its header does not describe and arrays of objects are refused."""
    with _reading(path, "a .npy array of numbers"):
        return _array(_content(path, MEMBER_LIMIT), str(path))


def _content(path: Path, limit: int) -> bytes:
    if (size := path.stat().st_size) > limit:
        raise DataError(f"{path}: {size} bytes; at most {limit} are read.")
    return path.read_bytes()


def read_archive(
    path: Path, shapes: Mapping[str, tuple[int, ...]], optional: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz`` by name; ``shapes`` gives their axes after the frames. Other keys are not touched."""
    arrays = _members(path, tuple(shapes), optional)
    for key, shape in shapes.items():
        found = arrays[key].shape
        if len(found) != len(shape) + 1 or found[1:] != shape:
            raise DataError(f"{path}: {key} has shape {found}; needs (frames, {', '.join(map(str, shape))}).")
        check_numbers(path, arrays[key], f"{key}: ")
    return arrays


def _members(path: Path, wanted: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz`` by name, after a look at the size each claims; arrays of objects are refused."""
    arrays: dict[str, np.ndarray] = {}
    with _reading(path, "an .npz archive of numbers"), zipfile.ZipFile(path) as archive:
        sizes = {item.filename.removesuffix(".npy"): item.file_size for item in archive.infolist()}
        absent = ", ".join(key for key in wanted if key not in sizes)
        if absent:
            raise DataError(
                f"{path}: {absent} not in the archive, which holds {', '.join(sorted(sizes)) or 'nothing'}."
            )
        for key in (*wanted, *(key for key in optional if key in sizes)):
            if sizes[key] > MEMBER_LIMIT:
                raise DataError(f"{path}: {key} unpacks to {sizes[key]} bytes; at most {MEMBER_LIMIT} are read.")
            arrays[key] = _array(archive.read(f"{key}.npy"), f"{path}: {key}")
    return arrays


def _array(content: bytes, where: str) -> np.ndarray:
    """The array of an ``.npy`` file's bytes, which are no copy of what its header merely claims."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = header(stream)
    if dtype.hasobject:
        raise DataError(f"{where}: Python objects, which are never unpickled; needs an array of numbers.")
    if (claimed := math.prod(shape) * dtype.itemsize) != len(content) - stream.tell():
        raise DataError(f"{where}: truncated or damaged: {len(content)} bytes do not hold the {claimed} of its header.")
    return np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape, order="F" if columns_first else "C")


def read_skeleton(path: Path) -> Float64[np.ndarray, "55 3"]:
    """Offsets of the joints from their parents in the rest pose of a SMPL-X model file (``SMPLX_NEUTRAL.npz``), metres.

    The root's is its place. Only ``v_template``, ``J_regressor`` and ``kintree_table`` are read, and only as numbers:
    where a file holds a pickled sparse matrix it is refused.
    """
    arrays = _members(path, ("v_template", "J_regressor", "kintree_table"))
    vertices, regressor, tree = arrays["v_template"], arrays["J_regressor"], arrays["kintree_table"]
    joints = len(PARENTS)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or not len(vertices):
        raise DataError(f"{path}: v_template has shape {vertices.shape}; needs (vertices, 3).")
    if regressor.shape != (joints, len(vertices)):
        raise DataError(f"{path}: J_regressor has shape {regressor.shape}; needs ({joints}, {len(vertices)}).")
    check_numbers(path, vertices, "v_template: ", axis="vertex")
    check_numbers(path, regressor, "J_regressor: ", axis="joint")
    if tree.shape != (2, joints) or tuple(tree[0, 1:]) != PARENTS[1:]:
        raise DataError(f"{path}: kintree_table is not SMPL-X's tree of {joints} joints; another model's file?")
    places = regressor.astype(np.float64) @ vertices.astype(np.float64)
    if not 1 < (height := np.ptp(places[:, 1])) < 3:
        raise DataError(f"{path}: joints span {height:.3g} in height; needs 1 to 3 metres, y up.")
    places[1:] -= places[list(PARENTS[1:])]
    return places


class Poses:
    """Clips of one of Inter-X's HDF5 files by name; nothing outside the file is followed, and no clip is read before
    its type and size have been checked. The file is opened on first use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _file(self) -> h5py.File:
        with _reading(self.path, "an HDF5 file"):
            return h5py.File(self.path, "r", locking="best-effort")

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __contains__(self, clip: str) -> bool:
        with _reading(self.path, "an HDF5 file"):
            return clip in self._file

    def read(self, clip: str) -> Float[np.ndarray, "T 56 6"]:
        """Axis-angles of 55 joints and the translation, three columns a person."""
        with _reading(self.path, "an HDF5 file"):
            link = self._file.get(clip, getlink=True)
            if not isinstance(link, h5py.HardLink):
                fault = "no such dataset" if link is None else "a link, and links are not followed"
                raise DataError(f"{self.path}: {clip}: {fault}.")
            data = self._file[clip]
            if not isinstance(data, h5py.Dataset):
                raise DataError(f"{self.path}: {clip}: a group; needs a dataset.")
            if data.external or data.is_virtual:
                raise DataError(f"{self.path}: {clip}: keeps its values in other files, which are not followed.")
            if data.dtype.kind != "f":
                raise DataError(f"{self.path}: {clip}: type {data.dtype}; needs floating-point numbers.")
            if len(data.shape) != 3 or data.shape[1:] != (56, 6) or not len(data):
                raise DataError(f"{self.path}: {clip}: shape {data.shape}; needs (frames, 56, 6).")
            # A whole chunk is unpacked at a time, whatever the dataset's own size.
            size = max(data.size, math.prod(data.chunks or ())) * data.dtype.itemsize
            if size > MEMBER_LIMIT:
                raise DataError(f"{self.path}: {clip}: unpacks to {size} bytes; at most {MEMBER_LIMIT} are read.")
            frames: np.ndarray = data[:]
        check_numbers(self.path, frames, f"{clip}: ")
        return frames


def check_numbers(path: Path, frames: np.ndarray, prefix: str = "", axis: str = "frame") -> None:
    """Refuse anything but finite floating-point numbers; names the first bad entry of the first axis."""
    if not np.issubdtype(frames.dtype, np.floating):
        raise DataError(f"{path}: {prefix}type {frames.dtype}; needs floating-point numbers.")
    finite = np.isfinite(frames)
    if not finite.all():
        bad = np.flatnonzero(~finite.all(axis=tuple(range(1, frames.ndim))))
        raise DataError(f"{path}: {prefix}NaN or infinite values in {axis} {bad[0]} ({len(bad)} of {len(frames)}).")


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 text, stripped, without the empty ones."""
    with _reading(path, "UTF-8 text"):
        text = _content(path, TEXT_LIMIT).decode("utf-8-sig")
        return [line.strip() for line in text.splitlines() if line.strip()]


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
        return _Unpickler(io.BytesIO(_content(path, PICKLE_LIMIT))).load()


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
