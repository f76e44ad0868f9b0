"""Inter-X's folder, in either of the owners' two forms: SMPL-X parameters of each person, or processed HDF5 files."""

import re
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from intermamba import files
from intermamba.config import DatasetConfig
from intermamba.data import interx, pos_tags
from intermamba.data.layouts.base import Layout, check_equal_lengths, checked_caption, read_captions
from intermamba.data.raw import Poses, read_skeleton, read_word_vectors
from intermamba.data.splits import Clip
from intermamba.errors import ConfigError, DataError, quoted
from intermamba.paths import SPLITS
from intermamba.reading import lines
from intermamba.reading.arrays import read_archive
from intermamba.reading.pickles import read_pickle


def layout(root: Path, settings: DatasetConfig) -> Layout:
    """The layout for the contents of ``motions/``: folders of clips (also if it is empty) or HDF5 files.

    Raises:
        DataError: there are both.
    """
    motions = root / "motions"
    processed = [path.name for path in (motions / f"{split}.h5" for split in SPLITS) if path.exists()]
    if not processed:
        return ParameterLayout(root, settings)
    if folder := next((path.name for path in motions.iterdir() if path.is_dir()), None):
        raise DataError(
            f"{motions}: holds {processed[0]} and the clip folder {folder}, which are two forms of one dataset. Keep "
            "one of them: the HDF5 files processed by the owners, or the raw folders."
        )
    return ProcessedLayout(root, settings)


class _InterXLayout(Layout):
    """``texts_processed/``, ``glove/``, ``splits/``, ``annots/``, and a user's SMPL-X model file at any path.

    Without ``texts_processed/`` the captions of ``texts/`` are tokenised here.
    """

    def __init__(self, root: Path, settings: DatasetConfig) -> None:
        if settings.individual:
            raise ConfigError("datasets.interx.individual is true, but Inter-X has no captions of single persons.")
        super().__init__(root, ("splits", "split", "."))
        self.order: interx.Order = settings.order
        self.model = None if settings.skeleton is None else Path(settings.skeleton)
        self.raw_captions = (root / "texts").is_dir() and not (root / "texts_processed").is_dir()

    def skeleton(self) -> str:
        return "neutral" if self.model is None else f"smplx-{files.sha256(self.model)[:12]}"

    def offsets(self) -> Float[np.ndarray, "55 3"]:
        return self._offsets

    @cached_property
    def _offsets(self) -> Float[np.ndarray, "55 3"]:
        if self.model is None:
            return interx.NEUTRAL
        try:
            return read_skeleton(self.model)
        except DataError as error:
            raise DataError(
                f"{error} It is datasets.interx.skeleton; null selects the project's own skeleton."
            ) from error

    def tokeniser(self) -> str | None:
        return pos_tags.identity() if self.raw_captions else None

    def _said_file(self, clip: str) -> Path:
        return self.root / ("texts" if self.raw_captions else "texts_processed") / f"{clip}.txt"

    def _said(self, clip: str) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Captions of a clip, and the tokens of each."""
        path = self._said_file(clip)
        if not self.raw_captions:
            return _processed_captions(path)
        captions = read_captions(path)
        try:
            return captions, tuple(map(pos_tags.tokenise, captions))
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    @property
    def _order_file(self) -> Path:
        return self.root / "annots" / "interaction_order.pkl"

    @property
    def _needs_order(self) -> bool:
        return self.order != "recorded" or self._order_file.exists()

    def shared_files(self) -> tuple[Path, ...]:
        order = (self._order_file,) if self._needs_order else ()
        model = () if self.model is None else (self.model,)
        return (
            *order,
            *model,
            *(self.root / "glove" / f"hhi_vab_{name}" for name in ("data.npy", "words.pkl", "idx.pkl")),
        )

    def shared_checks(self) -> tuple[Callable[[], Any], ...]:
        order = (lambda: self.actors,) if self._needs_order else ()
        return *order, self.offsets, lambda: read_word_vectors(self.root / "glove"), self.tokeniser

    @cached_property
    def actors(self) -> dict[str, int]:
        """The actor of each clip: 0 is P1, 1 is P2."""
        path = self._order_file
        table = read_pickle(path)
        if not isinstance(table, dict) or not all(isinstance(clip, str) for clip in table):
            raise DataError(f"{path}: needs a dictionary from clip ids to 0 or 1.")
        wrong = [
            clip
            for clip, actor in table.items()
            if not (isinstance(actor, int | float | np.generic) and actor in (0, 1))
        ]
        if wrong:
            raise DataError(f"{path}: {wrong[0]:.60} has {quoted(table[wrong[0]])}; needs 0 (P1 acts) or 1 (P2 acts).")
        return {clip: int(actor) for clip, actor in table.items()}

    def _actor(self, clip: str) -> int | None:
        if self.order == "recorded":
            return None
        if clip not in self.actors:
            raise DataError(f"{self._order_file}: no entry for {clip}, which datasets.interx.order needs.")
        return self.actors[clip]


class ParameterLayout(_InterXLayout):
    """``motions/<id>/P{1,2}.npz`` at 120 fps, and ``texts/``."""

    form = "npz"
    file_fps = interx.FILE_FPS

    def files(self, clip: str) -> tuple[Path, ...]:
        texts = self.root / "texts" / f"{clip}.txt"
        return (*self._persons(clip), *dict.fromkeys((texts, self._said_file(clip))))

    def _persons(self, clip: str) -> tuple[Path, Path]:
        folder = self.root / "motions" / clip
        return folder / "P1.npz", folder / "P2.npz"

    def read(self, clip: str) -> Clip:
        persons = self._persons(clip)
        poses = [self._person(path) for path in persons]
        check_equal_lengths(persons, [len(pose) for pose in poses])
        read_captions(self.root / "texts" / f"{clip}.txt")
        captions, words = self._said(clip)
        return Clip(clip, interx.pair(poses[0], poses[1], self.order, self._actor(clip)), captions, words)

    def _person(self, path: Path) -> Float[np.ndarray, "T 56 3"]:
        rates = ("fps", "mocap_frame_rate", "mocap_framerate")
        arrays = read_archive(path, interx.POSES, optional=rates)
        for rate in rates:
            if rate in arrays and arrays.pop(rate).tolist() != interx.FILE_FPS:
                raise DataError(f"{path}: not recorded at {interx.FILE_FPS} frames per second, as Inter-X's files are.")
        lengths = {key: len(array) for key, array in arrays.items()}
        if len(set(lengths.values())) > 1 or not lengths["trans"]:
            raise DataError(f"{path}: numbers of frames differ or are zero: {lengths}.")
        every_fourth = {key: array[:: interx.STEP] for key, array in arrays.items()}
        return interx.person_pose(**every_fourth, offsets=self.offsets())


class ProcessedLayout(_InterXLayout):
    """``motions/{train,val,test}.h5`` at 30 fps, processed by the owners, with their floor."""

    form = "hdf5"
    file_fps = interx.FPS

    def skeleton(self) -> str:
        return f"{super().skeleton()}, floor by the owners"

    @cached_property
    def _poses(self) -> dict[str, Poses]:
        return {split: Poses(self.root / "motions" / f"{split}.h5") for split in SPLITS}

    @cached_property
    def _split_of(self) -> dict[str, str]:
        known = (split for split in SPLITS if self.split_file(split).is_file())
        return {clip: split for split in known for clip in lines(self.split_file(split))}

    def _poses_of(self, clip: str) -> Poses:
        return self._poses[self._split_of.get(clip, SPLITS[0])]

    def files(self, clip: str) -> tuple[Path, ...]:
        return self._poses_of(clip).path, self._said_file(clip)

    def absent(self, clip: str) -> list[str]:
        found, poses = super().absent(clip), self._poses_of(clip)
        with suppress(DataError):  # an unreadable file is reported when the clip is read
            if not found and clip not in poses:
                found.append(f"{poses.path}: no dataset {clip}.")
        return found

    def read(self, clip: str) -> Clip:
        motion = interx.from_processed(self._poses_of(clip).read(clip), self.order, self._actor(clip))
        captions, words = self._said(clip)
        return Clip(clip, motion, captions, words)


_TOKEN = re.compile(r"[^/\s]+/[^/\s]+")


def _processed_captions(path: Path) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Captions and tokens of ``caption#word/POS word/POS ...#0.0#0.0`` lines."""
    captions, tagged = [], []
    for number, line in enumerate(lines(path), start=1):
        fields = line.split("#")
        words = fields[1].split() if len(fields) == 4 else []
        if not fields[0].strip() or not words or not all(map(_TOKEN.fullmatch, words)):
            raise DataError(f"{path}: line {number} is not 'caption#word/POS word/POS ...#0.0#0.0': {quoted(line)}.")
        if any(field.strip() not in ("0.0", "0", "nan") for field in fields[2:]):
            raise DataError(
                f"{path}: line {number} describes a part of the clip ({fields[2]:.20} to {fields[3]:.20}); only "
                "0.0#0.0 is supported."
            )
        captions.append(checked_caption(fields[0].strip(), f"{path}: line {number}"))
        tagged.append(tuple(words))
    if not captions:
        raise DataError(f"{path}: no caption; needs one per line.")
    return tuple(captions), tuple(tagged)
