"""Sources of real motions, with their own and with shuffled captions; and wrappers of sources."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from evaluators.evaluation import Source
from evaluators.protocol import Protocol
from intermamba.config import DatasetConfig
from intermamba.data.dataset import Batch, ClipDataset, loader
from intermamba.data.splits import SplitFile
from intermamba.seeds import derive


class OnePerCaption:
    """Base of sources without variations: MModality is not measured on them."""

    def variations(self, repeat_seed: int, captions: int, samples: int) -> None:  # noqa: ARG002
        """None: there is one motion of a caption."""
        return


@dataclass(frozen=True)
class RealSource(OnePerCaption):
    """Clips of a split; caption, window and person order are drawn according to the protocol's mode."""

    split: SplitFile
    settings: DatasetConfig
    protocol: Protocol
    workers: int = 0

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        seed = self.protocol.draws(repeat_seed)
        clips = ClipDataset(self.split, self.settings, self.protocol.mode, seed)
        self.protocol.require(len(clips), "test split")
        yield from loader(
            clips,
            self.protocol.batch,
            self.settings.max_frames,
            shuffle=True,
            drop_last=self.protocol.drop_last,
            workers=self.workers,
        )


@dataclass(frozen=True)
class ShuffledSource(OnePerCaption):
    """Real motions with captions shuffled within a batch: the R-precision of unrelated texts and motions."""

    real: Source

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        draws = torch.Generator().manual_seed(derive(repeat_seed, "captions"))
        for batch in self.real.batches(repeat_seed):
            order = torch.randperm(len(batch.clip), generator=draws).tolist()
            yield replace(
                batch,
                caption=tuple(batch.caption[index] for index in order),
                tokens=tuple(batch.tokens[index] for index in order),
            )


@dataclass(frozen=True)
class RetakenSource(OnePerCaption):
    """Captions of real clips with other performances of what they describe: the level of another ground truth."""

    real: Source
    retaken: Source
    """The same clips in the same order and of the same lengths."""

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        for batch, other in zip(self.real.batches(repeat_seed), self.retaken.batches(repeat_seed), strict=True):
            assert (batch.clip, batch.length.tolist()) == (other.clip, other.length.tolist())
            yield replace(batch, motion=other.motion)


@dataclass(frozen=True)
class SingleSource(OnePerCaption):
    """A source without its variations, which need several times as many motions."""

    source: Source

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        return self.source.batches(repeat_seed)
