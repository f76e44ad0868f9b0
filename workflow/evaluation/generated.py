"""Stages ``evaluate`` and ``re-evaluate``: a model makes the motions that the bench evaluates."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from evaluators.results import BlockName
from evaluators.sources import RealSource
from intermamba import files, paths, provenance
from intermamba.checkpoints import trained as checkpoint
from intermamba.config import Config, Dataset
from intermamba.data.dataset import Batch
from intermamba.errors import StateError
from intermamba.generate import MotionGenerator
from intermamba.progress import SILENT, Progress
from intermamba.seeds import derive
from workflow.evaluation.setup import Bench


@dataclass(frozen=True)
class GeneratedSource:
    """Motions a trained model makes for the captions and lengths of real test clips."""

    generator: MotionGenerator
    conditions: RealSource
    chunk: int
    """Clips generated at once."""

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        for batch in self.conditions.batches(repeat_seed):
            seeds = [derive(repeat_seed, "noise", clip) for clip in batch.clip]
            yield replace(batch, motion=self._generate(batch, seeds))

    def variations(self, repeat_seed: int, captions: int, samples: int) -> Iterator[Batch]:
        """``samples`` motions for each of ``captions`` captions, a batch a caption."""
        drawn = 0
        for batch in self.conditions.batches(repeat_seed):
            for index in range(len(batch.clip)):
                if drawn == captions:
                    return
                drawn += 1
                one = batch.take([index] * samples)
                seeds = [derive(repeat_seed, "variation", batch.clip[index], sample) for sample in range(samples)]
                yield replace(one, motion=self._generate(one, seeds))

    def _generate(self, batch: Batch, seeds: list[int]) -> torch.Tensor:
        frames = batch.motion.shape[1]
        pieces = []
        for first in range(0, len(seeds), self.chunk):
            part = slice(first, first + self.chunk)
            pieces.append(
                self.generator(
                    batch.caption[part], batch.length[part], frames, seeds[part], batch.individual[part]
                ).cpu()
            )
        return torch.cat(pieces)


def run(config: Config, dataset: Dataset, variant: str, seed: int | None, progress: Progress = SILENT) -> None:
    """Evaluate a model: the run with training ``seed``, or the official checkpoint (``None``). One rule for both."""
    kind = _OFFICIAL if seed is None else _TRAINED
    bench = Bench(config, dataset)
    where = {"profile": config.profile, "dataset": dataset, "variant": variant, "seed": seed}
    weights = files.require(paths.path(kind.weights, **where), kind.maker)
    output = paths.path(kind.metrics, **where)
    trained = load(weights, dataset, variant, kind.maker)
    knobs = bench.knobs | {"diffusion": config.section("diffusion")}
    with provenance.recorded(kind.stage, [output], [*bench.inputs, weights], knobs, bench.seeds) as notes:
        generator = MotionGenerator(trained, bench.cache, config.diffusion, bench.device, config.runtime.sampler)
        source = GeneratedSource(generator, bench.real, config.runtime.sampling_batch)
        files.write_csv(output, bench.measure({variant: source}, kind.block, seed, progress))
        notes.update(bench.notes)


def load(weights: Path, dataset: Dataset, variant: str, maker: str) -> checkpoint.Trained:
    """The trained row that ``weights`` must hold; ``maker`` is the stage that writes them.

    Raises:
        StateError: it is another one.
    """
    trained = checkpoint.load(weights)
    if (trained.variant, trained.dataset) != (variant, dataset):
        raise StateError(
            f"{weights}: holds {trained.variant!r} trained on {trained.dataset!r}, not {variant!r} on {dataset!r}. "
            f"Delete it and run `intermamba {maker}` again."
        )
    return trained


@dataclass(frozen=True)
class _Kind:
    """What differs between evaluating a model trained here and evaluating its authors' weights: places and labels."""

    stage: str
    maker: str
    """The stage that makes its weights."""
    weights: str
    metrics: str
    block: BlockName


_TRAINED = _Kind("evaluate", "train", "weights", "run_metrics", "reproduced")
_OFFICIAL = _Kind("re-evaluate", "adopt", "official_weights", "official_metrics", "re-evaluated")
