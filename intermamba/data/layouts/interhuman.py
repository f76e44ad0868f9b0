"""InterHuman's folder."""

from pathlib import Path

import numpy as np

from intermamba.config import DatasetConfig
from intermamba.data import interhuman
from intermamba.data.layouts.base import Layout, check_equal_lengths, read_captions
from intermamba.data.splits import Clip
from intermamba.errors import DataError
from intermamba.reading import lines
from intermamba.reading.arrays import check_numbers, read_array
from intermamba.skeleton import LEFT_HIP, RIGHT_HIP


class InterHumanLayout(Layout):
    """``annots/``, ``motions_processed/person{1,2}/``, and ``split/`` (or the split files at the top); with
    ``individual`` also in2IN's ``annots_individual/person{1,2}/``.
    """

    form = "npy"
    file_fps = interhuman.FPS

    def __init__(self, root: Path, settings: DatasetConfig) -> None:
        super().__init__(root, ("split", "."))
        self.individual = settings.individual

    def ignored(self) -> frozenset[str]:
        return frozenset(lines(self.splits / "ignore_list.txt"))

    def files(self, clip: str) -> tuple[Path, ...]:
        persons = (self.root / "motions_processed" / person / f"{clip}.npy" for person in interhuman.PERSONS)
        speakers = interhuman.PERSONS if self.individual else ()
        said = (self.root / "annots_individual" / person / f"{clip}.txt" for person in speakers)
        return (*persons, self.root / "annots" / f"{clip}.txt", *said)

    def shared_files(self) -> tuple[Path, ...]:
        return (self.splits / "ignore_list.txt",)

    def read(self, clip: str) -> Clip:
        first, second, annotation, *said = self.files(clip)
        persons = first, second
        raw = [_person(path) for path in persons]
        check_equal_lengths(persons, [len(person) for person in raw])
        individual = tuple(read_captions(path) for path in said)
        return Clip(clip, np.stack(raw, axis=1), read_captions(annotation), individual=individual)


def _person(path: Path) -> np.ndarray:
    array = read_array(path)
    if array.ndim != 2 or array.shape[1] != interhuman.FILE_COLUMNS:
        raise DataError(f"{path}: shape {array.shape}; needs (frames, {interhuman.FILE_COLUMNS}).")
    if not len(array):
        raise DataError(f"{path}: no frame.")
    check_numbers(path, array)
    raw = interhuman.raw_columns(array)
    left, right = 3 * LEFT_HIP, 3 * RIGHT_HIP
    same = np.flatnonzero((raw[:, left] == raw[:, right]) & (raw[:, left + 1] == raw[:, right + 1]))
    if len(same):  # no facing direction: features of a window that starts here would be NaN
        raise DataError(
            f"{path}: both hips at the same position in frame {same[0]} ({len(same)} of {len(raw)} frames)."
        )
    return raw
