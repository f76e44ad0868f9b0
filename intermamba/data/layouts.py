"""The owners' folders: where each file of a dataset lies, and a strict reader from a clip's files to a :class:`Clip`.

Both layouts are as the owners hand the data out (docs/data.md). Readers raise :class:`DataError` naming file and fault.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from intermamba.config import DatasetConfig
from intermamba.data import interhuman, interx
from intermamba.data.raw import check_numbers, read_archive, read_array, read_lines, read_pickle, read_word_vectors
from intermamba.data.splits import Clip
from intermamba.errors import ConfigError, DataError
from intermamba.skeleton import LEFT_HIP, RIGHT_HIP


@runtime_checkable
class Layout(Protocol):
    """One dataset on disk."""

    file_fps: int
    """Frame rate of the owners' files."""
    skeleton: str | None
    """What gave the height of the floor, where the files do not hold positions."""

    def split_file(self, split: str) -> Path:
        """Text file with one clip id a line."""
        ...

    def ignored(self) -> frozenset[str]:
        """Ids the owners advise to leave out."""
        ...

    def files(self, clip: str) -> tuple[Path, ...]:
        """All files a clip needs."""
        ...

    def shared_files(self) -> tuple[Path, ...]:
        """Files besides the splits' and the clips'."""
        ...

    def shared_problems(self) -> list[str]:
        """What is wrong with the shared files."""
        ...

    def read(self, clip: str) -> Clip:
        """Check and process one clip."""
        ...


def layout(dataset: str, root: Path, settings: DatasetConfig) -> Layout:
    """The layout of ``dataset`` under ``root``."""
    return (InterHumanLayout if dataset == "interhuman" else InterXLayout)(root, settings)


def _folder_of_splits(root: Path, names: tuple[str, ...]) -> Path:
    """Official downloads differ in where the split files are: in a folder of theirs, or beside the data."""
    return next((root / name for name in names if any((root / name).glob("t*.txt"))), root / names[0])


class InterHumanLayout:
    """``annots/``, ``motions_processed/person{1,2}/``, and ``split/`` (or the split files at the top); with
    ``individual`` also in2IN's ``annots_individual/person{1,2}/``.
    """

    file_fps = interhuman.FPS
    skeleton: str | None = None

    def __init__(self, root: Path, settings: DatasetConfig) -> None:
        self.root, self.individual = root, settings.individual
        self._splits = _folder_of_splits(root, ("split", "."))

    def split_file(self, split: str) -> Path:
        return self._splits / f"{split}.txt"

    def ignored(self) -> frozenset[str]:
        return frozenset(read_lines(self._splits / "ignore_list.txt"))

    def files(self, clip: str) -> tuple[Path, ...]:
        persons = (self.root / "motions_processed" / person / f"{clip}.npy" for person in interhuman.PERSONS)
        speakers = interhuman.PERSONS if self.individual else ()
        said = (self.root / "annots_individual" / person / f"{clip}.txt" for person in speakers)
        return (*persons, self.root / "annots" / f"{clip}.txt", *said)

    def shared_files(self) -> tuple[Path, ...]:
        return (self._splits / "ignore_list.txt",)

    def shared_problems(self) -> list[str]:
        return _problems(self.ignored)

    def read(self, clip: str) -> Clip:
        first, second, annotation, *said = self.files(clip)
        persons = first, second
        raw = [self._person(path) for path in persons]
        _check_equal_lengths(persons, [len(person) for person in raw])
        individual = tuple(_captions(path) for path in said)
        return Clip(clip, np.stack(raw, axis=1), _captions(annotation), individual=individual)

    @staticmethod
    def _person(path: Path) -> np.ndarray:
        array = read_array(path)
        if array.ndim != 2 or array.shape[1] != interhuman.FILE_COLUMNS:
            raise DataError(f"{path}: shape {array.shape}; needs (frames, {interhuman.FILE_COLUMNS}).")
        if not len(array):
            raise DataError(f"{path}: no frame.")
        check_numbers(path, array)
        raw = interhuman.raw_columns(array)
        left, right = (raw[:, 3 * hip : 3 * hip + 2] for hip in (LEFT_HIP, RIGHT_HIP))
        same = np.flatnonzero((left == right).all(axis=1))
        if len(same):  # no facing direction: features of a window that starts here would be NaN
            raise DataError(f"{path}: both hips at one place in frame {same[0]} ({len(same)} of {len(raw)} frames).")
        return raw


class InterXLayout:
    """``motions/<id>/P{1,2}.npz``, ``texts/``, ``texts_processed/``, ``glove/``, ``splits/``, ``annots/``."""

    file_fps = interx.FILE_FPS
    skeleton: str | None = "neutral"

    def __init__(self, root: Path, settings: DatasetConfig) -> None:
        if settings.skeleton is not None:
            raise ConfigError(
                f"datasets.interx.skeleton is {settings.skeleton!r}, but a user's SMPL-X model cannot be read yet. "
                "Set it to null; heights then come from the project's own neutral skeleton."
            )
        if settings.individual:
            raise ConfigError("datasets.interx.individual is true, but Inter-X has no captions of single persons.")
        self.root = root
        self.order: interx.Order = settings.order
        self._splits = _folder_of_splits(root, ("splits", "split", "."))
        self._actors: dict[str, int] | None = None

    def split_file(self, split: str) -> Path:
        return self._splits / f"{split}.txt"

    def ignored(self) -> frozenset[str]:
        return frozenset()  # the owners name no clip to leave out

    def files(self, clip: str) -> tuple[Path, ...]:
        persons = (self.root / "motions" / clip / f"{person}.npz" for person in ("P1", "P2"))
        return (*persons, *(self.root / folder / f"{clip}.txt" for folder in ("texts", "texts_processed")))

    def shared_files(self) -> tuple[Path, ...]:
        order = (self.root / "annots" / "interaction_order.pkl",)
        return order + tuple(self.root / "glove" / f"hhi_vab_{name}" for name in ("data.npy", "words.pkl", "idx.pkl"))

    def shared_problems(self) -> list[str]:
        return _problems(self.actors) + _problems(lambda: read_word_vectors(self.root / "glove"))

    def actors(self) -> dict[str, int]:
        """Who acts in each clip: 0 is P1, 1 is P2."""
        if self._actors is None:
            path = self.shared_files()[0]
            table = read_pickle(path)
            if not isinstance(table, dict) or not all(isinstance(clip, str) for clip in table):
                raise DataError(f"{path}: needs a dictionary from clip ids to 0 or 1.")
            wrong = [clip for clip, actor in table.items() if not (np.isscalar(actor) and actor in (0, 1))]
            if wrong:
                raise DataError(f"{path}: {wrong[0]} has {table[wrong[0]]!r}; needs 0 (P1 acts) or 1 (P2 acts).")
            self._actors = {clip: int(actor) for clip, actor in table.items()}
        return self._actors

    def read(self, clip: str) -> Clip:
        *persons, texts, processed = self.files(clip)
        poses = [self._person(path) for path in persons]
        _check_equal_lengths(persons, [len(pose) for pose in poses])
        _captions(texts)
        captions, tokens = _processed_captions(processed)
        return Clip(clip, interx.pair(poses[0], poses[1], self.order, self._actor(clip)), captions, tokens)

    def _actor(self, clip: str) -> int | None:
        if self.order == "recorded":
            return None
        if clip not in self.actors():
            raise DataError(f"{self.shared_files()[0]}: no entry for {clip}, which datasets.interx.order needs.")
        return self.actors()[clip]

    @staticmethod
    def _person(path: Path) -> np.ndarray:
        rates = ("fps", "mocap_frame_rate", "mocap_framerate")
        arrays: dict[str, Any] = read_archive(path, interx.POSES, optional=rates)
        for rate in rates:
            if rate in arrays and float(arrays.pop(rate)) != interx.FILE_FPS:
                raise DataError(f"{path}: not recorded at {interx.FILE_FPS} frames a second, as Inter-X's files are.")
        lengths = {key: len(array) for key, array in arrays.items()}
        if len(set(lengths.values())) > 1 or not lengths["trans"]:
            raise DataError(f"{path}: numbers of frames differ or are zero: {lengths}.")
        return interx.person_pose(**{key: array[:: interx.STEP] for key, array in arrays.items()})


def _problems(check: Any) -> list[str]:
    try:
        check()
    except DataError as error:
        return [str(error)]
    return []


def _check_equal_lengths(paths: Sequence[Path], lengths: Sequence[int]) -> None:
    if lengths[0] != lengths[1]:
        raise DataError(
            f"{paths[1]}: {lengths[1]} frames, but {paths[0].name} of the other person has {lengths[0]} frames."
        )


def _captions(path: Path) -> tuple[str, ...]:
    captions = tuple(read_lines(path))
    if not captions:
        raise DataError(f"{path}: no caption; needs one a line.")
    return captions


_TOKEN = re.compile(r"[^/\s]+/[^/\s]+")


def _processed_captions(path: Path) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Captions and tokens of ``caption#word/POS word/POS ...#0.0#0.0`` lines."""
    captions, tokens = [], []
    for number, line in enumerate(_captions(path), start=1):
        fields = line.split("#")
        words = fields[1].split() if len(fields) == 4 else []
        if not fields[0].strip() or not words or not all(map(_TOKEN.fullmatch, words)):
            raise DataError(f"{path}: line {number} is not 'caption#word/POS word/POS ...#0.0#0.0': {line[:80]!r}.")
        if any(field.strip() not in ("0.0", "0", "nan") for field in fields[2:]):
            raise DataError(
                f"{path}: line {number} tells a part of the clip ({fields[2]} to {fields[3]}); only 0.0#0.0 is known."
            )
        captions.append(fields[0].strip())
        tokens.append(tuple(words))
    return tuple(captions), tuple(tokens)
