"""Strict readers of the owners' files with more than one array or text; every error names its file.

:mod:`intermamba.reading` reads the formats. Each reader returns valid values or raises :class:`DataError`; none
allocates memory on the basis of a size that a file merely claims.
"""

import math
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, Float64

from intermamba.errors import DataError, quoted
from intermamba.reading import regular
from intermamba.reading.arrays import MEMBER_LIMIT, check_numbers, read_array, read_members, reading
from intermamba.reading.pickles import read_pickle
from intermamba.skeleton import PARENTS


def read_skeleton(path: Path) -> Float64[np.ndarray, "55 3"]:
    """Offsets of the joints from their parents in the rest pose of a SMPL-X model file (``SMPLX_NEUTRAL.npz``), metres.

    The root's offset is its position. Only ``v_template``, ``J_regressor`` and ``kintree_table`` are read, and only as
    numbers: a file with a pickled sparse matrix is refused.

    Raises:
        DataError: an array is missing, malformed, or of another model.
    """
    arrays = read_members(path, ("v_template", "J_regressor", "kintree_table"))
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
    """Clips of one of Inter-X's HDF5 files by name; external links are not followed, and type and size of a clip are
    checked before it is read. The file is opened on first use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _file(self) -> h5py.File:
        with reading(self.path, "an HDF5 file"):
            return h5py.File(regular(self.path), "r", locking="best-effort")

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __contains__(self, clip: str) -> bool:
        with reading(self.path, "an HDF5 file"):
            return clip in self._file

    def read(self, clip: str) -> Float[np.ndarray, "T 56 6"]:
        """Axis-angles of 55 joints and the translation, three columns per person.

        Raises:
            DataError: the clip is missing, not stored in this file, or malformed.
        """
        with reading(self.path, "an HDF5 file"):
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
            # HDF5 unpacks whole chunks, which can exceed the dataset's own size.
            size = max(data.size, math.prod(data.chunks or ())) * data.dtype.itemsize
            if size > MEMBER_LIMIT:
                raise DataError(f"{self.path}: {clip}: unpacks to {size} bytes; at most {MEMBER_LIMIT} are read.")
            frames: np.ndarray = data[:]
        check_numbers(self.path, frames, f"{clip}: ")
        return frames


def read_word_vectors(folder: Path) -> tuple[tuple[str, ...], Float[np.ndarray, "V 300"]]:
    """Inter-X's GloVe files ``hhi_vab_{data.npy,words.pkl,idx.pkl}``: words, and the vector of each, float32.

    Raises:
        DataError: a file is malformed, or the three do not agree.
    """
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
            f"{path}: the row of {quoted(wrong[0])} is {quoted(rows[wrong[0]])}; hhi_vab_data.npy has "
            f"{len(vectors)} rows."
        )
    absent = [word for word in ("sos", "eos", "unk") if word not in rows]
    if absent:
        raise DataError(f"{folder / 'hhi_vab_words.pkl'}: the marks {', '.join(absent)} are absent.")
    return tuple(words), np.asarray(vectors[[int(rows[word]) for word in words]], dtype=np.float32)
