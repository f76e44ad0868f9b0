"""Copies of training clips, as a source of motion to be evaluated: what looking up captions reaches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.distance import cdist
from torch import Tensor

from evaluators.evaluation import Source
from evaluators.sources import OnePerCaption
from intermamba.config import DatasetConfig
from intermamba.data.dataset import Batch, ClipDataset
from intermamba.data.mirrored_captions import exchange_sides
from intermamba.data.splits import SplitFile
from intermamba.seeds import derive

CaptionFeatures = Callable[[Sequence[str]], Float[Tensor, "B W"]]
"""Captions to features of a text tower, one vector each."""


class HeldSplit(SplitFile):
    """A split whose clips hold their last pose until they are ``least`` raw frames long."""

    def __init__(self, path: str | Path, least: int) -> None:
        super().__init__(path)
        self._least = least

    def frames(self, index: int) -> int:
        return max(super().frames(index), self._least)

    def clip(self, index: int, first: int = 0, count: int | None = None) -> Float[np.ndarray, "T 2 C"]:
        raw, end = super().clip(index), self.frames(index)
        last = end if count is None else min(first + count, end)
        return np.ascontiguousarray(raw[np.minimum(np.arange(first, last), len(raw) - 1)])


class CopiedSource(OnePerCaption):
    """For each caption of real clips, the motion of a training clip whose caption is nearest.

    A copy is the clip's first window with the persons as recorded, cut to the length of the real clip, or holding its
    last pose up to it. Every caption of a training clip counts, as do those of mirrored copies where training uses
    them. Of captions at equal distance the first one wins; of several clips with that caption, a draw from the repeat's
    seed and the real clip's name.

    Args:
        real: gives captions and lengths.
        training: the training split.
        settings: settings of the dataset.
        features: a text tower that is not the evaluator's own encoder.
    """

    def __init__(self, real: Source, training: Path, settings: DatasetConfig, features: CaptionFeatures) -> None:
        split = HeldSplit(training, settings.max_frames)
        self._real, self._features = real, features
        self._clips = ClipDataset(split, settings, "fixed", seed=0)
        self._told: dict[str, list[int]] = {}
        for index in range(len(split)):
            for caption in split.captions(index):
                self._tell(caption, index)
                if settings.mirror:
                    self._tell(exchange_sides(caption, settings.caption_swap), len(split) + index)
        self._captions = list(self._told)
        self._known = self._embedded(self._captions)

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        for batch in self._real.batches(repeat_seed):
            motion, length = torch.zeros_like(batch.motion), batch.length.clone()
            for row, (clip, told) in enumerate(zip(batch.clip, self.nearest(batch.caption), strict=True)):
                chosen = told[derive(repeat_seed, "copy", clip) % len(told)]
                copy = torch.from_numpy(self._clips[0, chosen].motion)
                length[row] = min(int(length[row]), len(copy))
                motion[row, : length[row]] = copy[: length[row]]
            yield replace(batch, motion=motion, length=length)

    def nearest(self, captions: Sequence[str]) -> list[list[int]]:
        """For each caption, the indices of all training clips with the caption that is nearest to it."""
        found = cdist(self._embedded(captions), self._known).argmin(axis=1)
        return [self._told[self._captions[index]] for index in found]

    def _tell(self, caption: str, index: int) -> None:
        clips = self._told.setdefault(caption, [])
        if index not in clips[-1:]:
            clips.append(index)

    def _embedded(self, captions: Sequence[str]) -> Float[np.ndarray, "B W"]:
        return self._features(captions).double().numpy()
