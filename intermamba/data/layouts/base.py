"""The base class of layouts."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from intermamba.data import HELD_OUT_CLIPS, UNSEEN_CAPTIONS
from intermamba.data.splits import Clip
from intermamba.errors import DataError, quoted
from intermamba.reading import lines

CLIP_ID = re.compile(r"\w[\w.-]*")
LONGEST_ID = 200
"""Bytes of a clip's id, which names files; file systems allow 255 including the suffix."""
LONGEST_CAPTION = 10_000
"""Characters of a caption; the text tower reads at most the first few hundred."""
LONGEST_WORD = 1000
"""Characters without a space; the tower's tokeniser takes quadratic time in their number."""


class Layout(ABC):
    """One dataset on disk. Instances can be pickled for other processes."""

    form: str
    """Format of the motions: ``npy``, ``npz`` or ``hdf5``."""
    file_fps: int
    """Frame rate of the owners' files."""

    def __init__(self, root: Path, folders_of_splits: Sequence[str]) -> None:
        self.root = root
        # In official downloads the split files (train.txt, test.txt) are in a folder of their own or beside the data.
        found = (root / name for name in folders_of_splits if any((root / name).glob("t*.txt")))
        self.splits = next(found, root / folders_of_splits[0])

    def split_file(self, split: str) -> Path:
        """Text file with one clip id per line."""
        return self.splits / f"{split}.txt"

    def ignored(self) -> frozenset[str]:
        """Ids that the owners advise leaving out."""
        return frozenset()

    def unseen(self) -> frozenset[str]:
        """Captions in phrasings that training never shows, where the folder lists them."""
        return self._listed(UNSEEN_CAPTIONS)

    def held_out(self) -> frozenset[str]:
        """Clips of combinations that training never shows, where the folder lists them."""
        return self._listed(HELD_OUT_CLIPS)

    def lists(self) -> tuple[Path, ...]:
        """Those of these lists that exist."""
        return tuple(path for name in (UNSEEN_CAPTIONS, HELD_OUT_CLIPS) if (path := self.root / name).is_file())

    def _listed(self, name: str) -> frozenset[str]:
        path = self.root / name
        return frozenset(lines(path)) if path.is_file() else frozenset()

    def skeleton(self) -> str | None:
        """Name of the skeleton that gives floor height and bones, where the files do not hold positions."""
        return None

    def offsets(self) -> Float[np.ndarray, "J 3"] | None:
        """Offsets of that skeleton's joints from their parents, metres."""
        return None

    def tokeniser(self) -> str | None:
        """Name of the tokeniser that makes ``word/POS`` tokens of the captions; none where it is not needed."""
        return None

    def absent(self, clip: str) -> list[str]:
        """Missing files of a clip, one line each."""
        return [f"{path}: missing." for path in self.files(clip) if not path.is_file()]

    @abstractmethod
    def files(self, clip: str) -> tuple[Path, ...]:
        """All files a clip needs."""

    @abstractmethod
    def shared_files(self) -> tuple[Path, ...]:
        """Files other than those of splits and clips."""

    def shared_checks(self) -> tuple[Callable[[], Any], ...]:
        """Readers of shared files, which raise :class:`DataError`; the lists of clips are read in any layout."""
        return ()

    @abstractmethod
    def read(self, clip: str) -> Clip:
        """Check and process one clip."""


def check_equal_lengths(paths: Sequence[Path], lengths: Sequence[int]) -> None:
    """Check that the files of both persons have the same number of frames.

    Raises:
        DataError: they do not.
    """
    if lengths[0] != lengths[1]:
        raise DataError(
            f"{paths[1]}: {lengths[1]} frames, but {paths[0].name} of the other person has {lengths[0]} frames."
        )


def is_clip_id(name: str) -> bool:
    """Whether ``name`` can name a clip's files and nothing else."""
    return CLIP_ID.fullmatch(name) is not None and len(name.encode(errors="replace")) <= LONGEST_ID


def read_captions(path: Path) -> tuple[str, ...]:
    """Captions of a file: its non-blank lines, at least one.

    Raises:
        DataError: there is none, or one is absurdly long.
    """
    captions = tuple(checked_caption(line, str(path)) for line in lines(path))
    if not captions:
        raise DataError(f"{path}: no caption; needs one per line.")
    return captions


def checked_caption(caption: str, where: str) -> str:
    """``caption``, if the text tower can read it in reasonable time.

    Raises:
        DataError: the caption or one of its words is absurdly long.
    """
    if len(caption) > LONGEST_CAPTION:
        raise DataError(
            f"{where}: a caption of {len(caption):,} characters, {quoted(caption)}; at most {LONGEST_CAPTION:,}."
        )
    if len(caption) > LONGEST_WORD and (longest := max(map(len, caption.split()), default=0)) > LONGEST_WORD:
        raise DataError(f"{where}: a word of {longest:,} characters in {quoted(caption)}; at most {LONGEST_WORD:,}.")
    return caption
