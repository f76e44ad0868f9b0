"""Batches of clips: every random choice of an item is a function of (seed, epoch, index) alone.

Resuming, reordering and the number of loading processes therefore never change the batches.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor, distributed
from torch.utils.data import DataLoader, Dataset, Sampler

from intermamba import datasets
from intermamba.config import DatasetConfig
from intermamba.data import interhuman, interx
from intermamba.data.mirrored_captions import exchange_sides
from intermamba.data.splits import SplitFile
from intermamba.errors import ConfigError
from intermamba.seeds import derive

Mode = Literal["train", "official", "fixed"]


@dataclass(frozen=True)
class Item:
    """One example: un-normalised features and their captions."""

    motion: Float32[np.ndarray, "T 2 F"]
    caption: str
    tokens: tuple[str, ...]
    """``word/POS`` tokens of the caption (Inter-X); empty for InterHuman."""
    clip: str
    individual: tuple[str, str] | None = None
    """One caption per person, in the order of the persons in ``motion``, where the data have them."""


@dataclass(frozen=True)
class Batch:
    """Examples padded with zeros to one number of frames. Motion is un-normalised."""

    motion: Float[Tensor, "B T P F"]
    length: Int[Tensor, " B"]
    """Real feature frames of each example."""
    caption: tuple[str, ...]
    tokens: tuple[tuple[str, ...], ...]
    clip: tuple[str, ...]
    individual: tuple[tuple[str, str], ...] = ()
    """Captions of person 1 and of person 2 of each example; empty where the data have none."""
    step: Int[Tensor, " S"] | None = None
    """Real feature frames of all examples of this process in the training step of which this is a part; none: of a step
    that is not divided."""

    @property
    def mask(self) -> Bool[Tensor, "B T"]:
        """True on real frames."""
        return torch.arange(self.motion.shape[1], device=self.length.device) < self.length[:, None]

    def to(self, device: torch.device | str) -> "Batch":
        """The batch on a device."""
        step = None if self.step is None else self.step.to(device)
        return replace(self, motion=self.motion.to(device), length=self.length.to(device), step=step)

    def take(self, indices: Sequence[int]) -> "Batch":
        """The examples at ``indices``, in that order; an index may occur several times."""
        rows = list(indices)

        def taken(values: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(values[row] for row in rows) if values else ()

        return Batch(
            self.motion[rows],
            self.length[rows],
            taken(self.caption),
            taken(self.tokens),
            taken(self.clip),
            taken(self.individual),
        )


class ClipDataset(Dataset[Item]):
    """Examples of one split, indexed by ``(epoch, index)``.

    Modes:
        train: the official loader's random caption, window and order of persons; with ``settings.mirror`` the list is
            twice as long, and its second half holds the mirrored clips with sides exchanged in the captions.
        official: the same draws without mirrored clips, as in the official evaluation.
        fixed: first caption, first window, recorded order of persons.

    Args:
        seed: root of all random choices of this dataset.
    """

    def __init__(self, split: SplitFile, settings: DatasetConfig, mode: Mode, seed: int) -> None:
        kind = datasets.dataset(split.dataset)
        if settings.mirror and not kind.mirrors:
            able = ", ".join(one.label for one in datasets.datasets().values() if one.mirrors)
            raise ConfigError(
                f"datasets.{split.dataset}.mirror is true, but mirrored clips are defined only for: {able}. "
                "Set it to false."
            )
        self._item = kind.load("item")
        self.split, self.settings, self.mode, self.seed = split, settings, mode, seed
        self.chosen: Sequence[int] | None = None
        """Indices of clips that replace all others, in turn; none: every clip is used."""

    def __len__(self) -> int:
        return len(self.split) * (2 if self.mode == "train" and self.settings.mirror else 1)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        epoch, index = key
        rng = None if self.mode == "fixed" else np.random.default_rng(derive(self.seed, epoch, index))
        mirrored, clip = divmod(index, len(self.split))
        if self.chosen is not None:
            clip = self.chosen[clip % len(self.chosen)]
        captions, tokens = self.split.captions(clip), self.split.tokens(clip)
        choice = 0 if rng is None else int(rng.integers(len(captions)))
        motion, persons = self._item(self.split, clip, self.settings.max_frames, rng, bool(mirrored))
        individual = _one_of_each(self.split.individual(clip), persons, rng)
        caption, name = captions[choice], self.split.ids[clip]
        if mirrored:
            rule = self.settings.caption_swap
            caption, name = exchange_sides(caption, rule), f"{name}_mirrored"
            individual = individual and (exchange_sides(individual[0], rule), exchange_sides(individual[1], rule))
        return Item(motion, caption, tokens[choice] if tokens else (), name, individual)


def _one_of_each(
    captions: tuple[tuple[str, ...], ...], persons: tuple[int, int], rng: np.random.Generator | None
) -> tuple[str, str] | None:
    """One caption per person, in the order of the persons in the motion.

    The official in2IN loader exchanges the persons but not their captions, so half of its draws describe the other one.
    """
    if not captions:
        return None
    first, second = (captions[person] for person in persons)
    draws = [0 if rng is None else int(rng.integers(len(said))) for said in (first, second)]
    return first[draws[0]], second[draws[1]]


def interhuman_item(
    split: SplitFile, clip: int, longest: int, rng: np.random.Generator | None, mirrored: bool
) -> tuple[Float32[np.ndarray, "T 2 F"], tuple[int, int]]:
    """A window of at most ``longest`` raw frames (one feature frame fewer), and the order of the recorded persons
    [InterGen ``datasets/interhuman.py``].
    """
    first = 0
    if rng is not None and split.frames(clip) > longest:
        first = int(
            rng.integers(split.frames(clip) - longest)
        )  # as in InterGen, the last possible window is never drawn
    raw = split.clip(clip, first, longest)
    if mirrored:
        raw = interhuman.mirror(raw)
    persons = _order(rng)
    motion = interhuman.pair_features(raw[:, persons[0]], raw[:, persons[1]])
    # The official loader exchanges the persons once more, after making the first one the origin.
    if _order(rng) == (0, 1):
        return motion, persons
    return np.ascontiguousarray(motion[:, ::-1]), (persons[1], persons[0])


def _order(rng: np.random.Generator | None) -> tuple[int, int]:
    return (1, 0) if rng is not None and rng.random() > 0.5 else (0, 1)


def interx_item(
    split: SplitFile, clip: int, longest: int, rng: np.random.Generator | None, _mirrored: bool
) -> tuple[Float32[np.ndarray, "T 2 F"], tuple[int, int]]:
    """A window of whole units, one unit shorter in a third of the draws [Inter-X ``data/dataset.py``].

    As in the official code, the window is cut to ``longest`` after drawing, so long clips always start in their first
    frames.
    """
    frames = split.frames(clip)
    length, first = frames // interx.UNIT * interx.UNIT, 0
    if rng is not None:
        length -= interx.UNIT * int(rng.random() < 1 / 3)
        first = int(rng.integers(frames - length + 1))
    return interx.features(split.clip(clip, first, min(length, longest))), (0, 1)


class WindowDataset(Dataset[Item]):
    """Windows of equal length, without captions [Inter-X ``MotionDatasetV2HHI``; InterMask ``InterHumanMotion``].

    A clip is processed whole and cut afterwards, so a window does not start at the origin.

    Args:
        split: the clips.
        frames: frames of a window; shorter clips have none.
        seed: root of the order of the windows.
        stride: frames between the starts of two windows.
        last: also use a clip's last possible window, which Inter-X's evaluator never draws.
        mirror: also use windows of mirrored clips, as the second half of the list [InterHuman].
    """

    def __init__(
        self, split: SplitFile, frames: int, seed: int, stride: int = 1, last: bool = False, mirror: bool = False
    ) -> None:
        self.split, self.frames, self.seed, self.stride, self.mirror = split, frames, seed, stride, mirror
        kind = datasets.dataset(split.dataset)
        self._interx, lost = kind.family == "interx", kind.lost
        starts = [split.frames(clip) - lost - frames + int(last) for clip in range(len(split))]
        self._end = np.cumsum([max(-(-count // stride), 0) for count in starts])

    def __len__(self) -> int:
        return int(self._end[-1]) * (2 if self.mirror else 1)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        mirrored, index = divmod(key[1], int(self._end[-1]))
        clip = int(np.searchsorted(self._end, index, side="right"))
        first = self.stride * (index - (int(self._end[clip - 1]) if clip else 0))
        if self._interx:
            motion = interx.features(self.split.clip(clip, first, self.frames))
        else:
            raw = self.split.clip(clip)
            if mirrored:
                raw = interhuman.mirror(raw)
            motion = interhuman.pair_features(raw[:, 0], raw[:, 1])[first : first + self.frames]
        return Item(motion, "", (), self.split.ids[clip])


class EpochSampler(Sampler[tuple[int, int]]):
    """Keys ``(epoch, index)`` for :class:`ClipDataset`, permuted differently in each epoch if ``shuffle``.

    If ``shared``, each of a group of n processes (``torch.distributed``) takes every n-th key, all equally many; the
    group is looked up when iteration starts, so a sampler can be created before it. The next pass leaves out its first
    ``skip`` keys, which an interrupted run has used.
    """

    def __init__(self, size: int, seed: int, shuffle: bool = True, epoch: int = 0, shared: bool = False) -> None:
        self.size, self.seed, self.shuffle, self.epoch, self.shared = size, seed, shuffle, epoch, shared
        self.skip = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch of the next pass; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size // self._rank_and_world()[1]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rank, world = self._rank_and_world()
        rng = np.random.default_rng(derive(self.seed, "order", self.epoch))
        indices = rng.permutation(self.size) if self.shuffle else np.arange(self.size)
        skipped, self.skip = self.skip, 0
        epoch = self.epoch  # a later one is for the next pass
        for index in indices[rank : self.size // world * world : world][skipped:]:
            yield epoch, int(index)

    def _rank_and_world(self) -> tuple[int, int]:
        return _rank_and_world() if self.shared else (0, 1)


def _rank_and_world() -> tuple[int, int]:
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


class Passes:
    """The batches of a loader in ``parts`` of equally many examples each, which know the lengths of all.

    A step thus is the same examples however many passes it takes.
    """

    def __init__(self, batches: "DataLoader[Item]", parts: int) -> None:
        self.batches, self.parts = batches, parts
        self.sampler, self.dataset, self.batch_size = batches.sampler, batches.dataset, batches.batch_size

    def __len__(self) -> int:
        return len(self.batches) * self.parts

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.batches:
            for rows in np.array_split(np.arange(len(batch.clip)), self.parts):
                yield replace(batch.take(rows.tolist()), step=batch.length)


def collate(items: Sequence[Item], frames: int) -> Batch:
    """Stack examples, padded with zeros to ``frames``."""
    motion = torch.zeros(len(items), frames, *items[0].motion.shape[1:])
    for row, item in zip(motion, items, strict=True):
        row[: len(item.motion)] = torch.from_numpy(item.motion)
    return Batch(
        motion=motion,
        length=torch.tensor([len(item.motion) for item in items]),
        caption=tuple(item.caption for item in items),
        tokens=tuple(item.tokens for item in items),
        clip=tuple(item.clip for item in items),
        individual=tuple(item.individual for item in items if item.individual is not None),
    )


def loader(
    dataset: ClipDataset | WindowDataset,
    batch: int,
    frames: int,
    shuffle: bool,
    drop_last: bool,
    workers: int = 0,
    shared: bool = False,
) -> "DataLoader[Item]":
    """Batches of epoch 0; ``loader.sampler.set_epoch`` selects another. Does not use the global random state.

    If ``shared``, a batch is this process's part of a batch of a group of processes (:class:`EpochSampler`).
    """
    return DataLoader(
        dataset,
        batch_size=batch,
        sampler=EpochSampler(len(dataset), dataset.seed, shuffle, shared=shared),
        drop_last=drop_last,
        num_workers=workers,
        collate_fn=partial(collate, frames=frames),
        generator=torch.Generator().manual_seed(dataset.seed),
        persistent_workers=workers > 0,
    )


def all_captions(splits: Iterable[SplitFile], settings: DatasetConfig) -> list[str]:
    """Every possible caption of an item, once and sorted: those of all splits, and mirrored ones of training."""
    captions: set[str] = set()
    for split in splits:
        found = {caption for index in range(len(split)) for caption in split.captions(index)}
        found |= {caption for index in range(len(split)) for person in split.individual(index) for caption in person}
        captions |= found
        if settings.mirror and split.split == "train":
            captions |= {exchange_sides(caption, settings.caption_swap) for caption in found}
    return sorted(captions)
