"""Split files: all clips of a split in one memory-mapped safetensors file (format: docs/reference/files.md)."""

import json
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Float, Float32
from pydantic import BaseModel, Field, Json, model_validator
from safetensors import safe_open

from intermamba import datasets, files
from intermamba.config import Dataset
from intermamba.errors import DataError, brief
from intermamba.reading.documents import checked

_PIECE = 1 << 20
"""Bytes that are copied at once."""


@dataclass(frozen=True)
class Clip:
    """One recording of two people in a split file."""

    name: str
    motion: Float32[np.ndarray, "T 2 C"]
    """InterHuman: 192 raw columns, z up. Inter-X: 168 axis-angles and translation, y up."""
    captions: tuple[str, ...]
    tokens: tuple[tuple[str, ...], ...] = ()
    """Inter-X: the ``word/POS`` tokens of each caption."""
    individual: tuple[tuple[str, ...], ...] = ()
    """Captions of each single person, where the data have them."""


def write_split(
    path: str | Path,
    clips: Iterable[Clip],
    *,
    dataset: str,
    split: str,
    origin: str,
    skeleton: str | None = None,
    offsets: Float[np.ndarray, "J 3"] | None = None,
    unseen: Collection[str] = (),
    held_out: Collection[str] = (),
) -> None:
    """Write ``clips`` one by one: memory holds a single clip, however large the split.

    ``origin`` is ``synthetic`` or ``official``; ``skeleton`` (Inter-X) names the source of the floor's height and of
    the ``offsets`` of joints from their parents. ``unseen`` are captions in phrasings that training never shows, and
    ``held_out`` clips of combinations that it never shows; those of the split are stored.

    Raises:
        DataError: no clip.
    """
    names: list[str] = []
    captions: list[tuple[str, ...]] = []
    tokens: list[tuple[tuple[str, ...], ...]] = []
    individual: list[tuple[tuple[str, ...], ...]] = []
    start = [0]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path.parent) as frames:
        for clip in clips:
            frames.write(np.ascontiguousarray(clip.motion, dtype="<f4").tobytes())
            names.append(clip.name)
            captions.append(clip.captions)
            tokens.append(clip.tokens)
            individual.append(clip.individual)
            start.append(start[-1] + len(clip.motion))
        if not names:
            raise DataError(
                f"{dataset}: no clip of split {split!r} is left. Check its ids, the ignore list and "
                f"datasets.{dataset}.min_frames (the clips may all be shorter)."
            )
        metadata = {
            "dataset": dataset, "split": split, "origin": origin,
            "clips": _json(names), "captions": _json(captions),
        }  # fmt: skip
        if any(tokens):
            metadata["tokens"] = _json(tokens)
        if any(individual):
            metadata["individual"] = _json(individual)
        if present := {caption for said in captions for caption in said} & set(unseen):
            metadata["unseen"] = _json(sorted(present))
        if among := set(names) & set(held_out):
            metadata["held_out"] = _json(sorted(among))
        if skeleton is not None:
            metadata["skeleton"] = skeleton
        frames.seek(0)
        shape = (start[-1], 2, datasets.dataset(dataset).columns)
        motion = files.Stream("F32", shape, iter(lambda: frames.read(_PIECE), b""))
        tensors = {"motion": motion, "start": files.stream(np.array(start, dtype="<i8"))}
        if offsets is not None:
            tensors["offsets"] = files.stream(offsets.astype("<f8"))
        files.write_streams(path, tensors, metadata)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


Words = tuple[str, ...]


class SplitMetadata(BaseModel):
    """The metadata of a split file, with one entry per clip in each list."""

    dataset: Dataset
    split: Literal["train", "val", "test"]
    origin: Literal["synthetic", "official"]
    skeleton: str | None = None
    clips: Json[Annotated[tuple[str, ...], Field(min_length=1)]]
    captions: Json[tuple[Annotated[Words, Field(min_length=1)], ...]]
    tokens: Json[tuple[tuple[Words, ...], ...]] | None = None
    individual: Json[tuple[tuple[Words, ...], ...]] | None = None
    unseen: Json[tuple[str, ...]] = ()
    held_out: Json[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _one_entry_a_clip(self) -> "SplitMetadata":
        clips = len(self.clips)
        if len(set(self.clips)) != clips:
            raise ValueError("clips: an id appears twice")
        for name in ("captions", "tokens", "individual"):
            if (entries := getattr(self, name)) is not None and len(entries) != clips:
                raise ValueError(f"{name}: {len(entries)} entries for {clips} clips")
        return self


class SplitFile:
    """Random access to the clips of a split; frames are read from disk on demand.

    Instances can be pickled for other processes: each opens the file again.

    Raises:
        StateError: the file does not exist.
        DataError: it is not a split file, or is truncated.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = files.require(path)
        remedy = "Delete it and run `intermamba preprocess` again."
        try:
            metadata = files.read_metadata(self.path)
            self._start = self._file.get_tensor("start")
            self.offsets = self._file.get_tensor("offsets") if "offsets" in self._file.keys() else None  # noqa: SIM118
            motion = self._file.get_slice("motion")
            shape, kind = tuple(motion.get_shape()), motion.get_dtype()
        except Exception as error:  # a malformed file can raise nearly anything
            raise DataError(f"{self.path}: not a split file ({brief(error)}). {remedy}") from error
        about: SplitMetadata = checked(SplitMetadata, metadata, str(self.path), remedy)
        self.dataset, self.split, self.origin = about.dataset, about.split, about.origin
        self.skeleton = about.skeleton
        self.ids, self._captions = about.clips, about.captions
        self._tokens, self._individual = about.tokens, about.individual
        self.unseen: frozenset[str] = frozenset(about.unseen)
        """Captions in phrasings that training never shows."""
        self.held_out: frozenset[str] = frozenset(about.held_out)
        """Clips of combinations that training never shows, by id."""
        if problem := self._problem(shape, kind):
            raise DataError(f"{self.path}: {problem}. {remedy}")

    def _problem(self, shape: tuple[int, ...], kind: str) -> str | None:
        """An inconsistency of the arrays, or ``None``."""
        start, columns = self._start, datasets.dataset(self.dataset).columns
        if kind != "F32" or len(shape) != 3 or shape[1:] != (2, columns):
            return f"motion is {kind} of shape {shape}; needs F32 of (frames, 2, {columns})"
        if start.dtype != np.int64 or start.shape != (len(self.ids) + 1,):
            return f"start is {start.dtype} of shape {start.shape}; {len(self.ids)} clips need one more integer"
        if start[0] != 0 or start[-1] != shape[0] or (np.diff(start) < 1).any():
            return f"start does not rise from 0 to the {shape[0]} frames of motion"
        if self.offsets is not None and not (
            self.offsets.dtype == np.float64 and self.offsets.ndim == 2 and np.isfinite(self.offsets).all()
        ):
            return "offsets are not finite numbers"
        return None

    @cached_property
    def _file(self) -> Any:
        return safe_open(self.path, framework="np")

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_file"}

    def __len__(self) -> int:
        return len(self.ids)

    def frames(self, index: int) -> int:
        """Raw frames of clip ``index``."""
        return int(self._start[index + 1] - self._start[index])

    def clip(self, index: int, first: int = 0, count: int | None = None) -> Float[np.ndarray, "T 2 C"]:
        """Raw frames of clip ``index``, all of them or ``count`` from ``first`` on."""
        begin = int(self._start[index]) + first
        end = int(self._start[index + 1])
        frames: np.ndarray = self._file.get_slice("motion")[begin : end if count is None else min(end, begin + count)]
        return frames

    def captions(self, index: int) -> tuple[str, ...]:
        """Captions of clip ``index``."""
        return self._captions[index]

    def tokens(self, index: int) -> tuple[tuple[str, ...], ...]:
        """``word/POS`` tokens of each caption (Inter-X); empty for InterHuman."""
        return self._tokens[index] if self._tokens else ()

    def individual(self, index: int) -> tuple[tuple[str, ...], ...]:
        """Captions of each single person; empty where the data have none."""
        return self._individual[index] if self._individual else ()
