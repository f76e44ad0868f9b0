"""What all layouts share, and what each must say."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from intermamba.data import UNSEEN_CAPTIONS
from intermamba.data.raw import read_lines
from intermamba.data.splits import Clip
from intermamba.errors import DataError


class Layout(ABC):
    """One dataset on disk. Instances can be sent to other processes."""

    form: str
    """Format of the motions: ``npy``, ``npz`` or ``hdf5``."""
    file_fps: int
    """Frame rate of the owners' files."""

    def __init__(self, root: Path, folders_of_splits: Sequence[str]) -> None:
        self.root = root
        # Official downloads differ in where the split files are: in a folder of theirs, or beside the data.
        found = (root / name for name in folders_of_splits if any((root / name).glob("t*.txt")))
        self.splits = next(found, root / folders_of_splits[0])

    def split_file(self, split: str) -> Path:
        """Text file with one clip id a line."""
        return self.splits / f"{split}.txt"

    def ignored(self) -> frozenset[str]:
        """Ids the owners advise to leave out."""
        return frozenset()

    def unseen(self) -> frozenset[str]:
        """Captions in phrasings that training never shows, where the folder lists them."""
        return frozenset(read_lines(self.unseen_file)) if self.unseen_file.is_file() else frozenset()

    @property
    def unseen_file(self) -> Path:
        return self.root / UNSEEN_CAPTIONS

    def skeleton(self) -> str | None:
        """What gives the height of the floor and the bones, where the files do not hold positions."""
        return None

    def offsets(self) -> Float[np.ndarray, "J 3"] | None:
        """Offsets of that skeleton's joints from their parents, metres."""
        return None

    def tokeniser(self) -> str | None:
        """What makes ``word/POS`` tokens of the captions, where the owners' tokens are not there or not needed."""
        return None

    def absent(self, clip: str) -> list[str]:
        """What of a clip is not there, one line each."""
        return [f"{path}: missing." for path in self.files(clip) if not path.is_file()]

    @abstractmethod
    def files(self, clip: str) -> tuple[Path, ...]:
        """All files a clip needs."""

    @abstractmethod
    def shared_files(self) -> tuple[Path, ...]:
        """Files besides the splits' and the clips'."""

    @abstractmethod
    def shared_problems(self) -> list[str]:
        """What is wrong with the shared files."""

    @abstractmethod
    def read(self, clip: str) -> Clip:
        """Check and process one clip."""


def problems(*checks: Callable[[], Any]) -> list[str]:
    """What the checks complain about."""
    found = []
    for check in checks:
        try:
            check()
        except DataError as error:
            found.append(str(error))
    return found


def check_equal_lengths(paths: Sequence[Path], lengths: Sequence[int]) -> None:
    if lengths[0] != lengths[1]:
        raise DataError(
            f"{paths[1]}: {lengths[1]} frames, but {paths[0].name} of the other person has {lengths[0]} frames."
        )


def read_captions(path: Path) -> tuple[str, ...]:
    """Non-blank lines; at least one."""
    captions = tuple(read_lines(path))
    if not captions:
        raise DataError(f"{path}: no caption; needs one a line.")
    return captions
