"""Stages ``evaluate`` and ``re-evaluate``: metrics of the motions that a model generates."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from evaluators.results import BlockName
from evaluators.sources import RealSource
from intermamba import files
from intermamba.checkpoints import trained as checkpoint
from intermamba.checkpoints.recipe import Recipe, describe
from intermamba.config import Config
from intermamba.data.dataset import Batch
from intermamba.errors import StateError
from intermamba.generate import MotionGenerator
from intermamba.job import Job
from intermamba.progress import SILENT, Progress
from intermamba.seeds import derive
from intermamba.text.cache import features_of
from workflow.evaluation.setup import EvaluationSetup


@dataclass(frozen=True)
class GeneratedSource:
    """Motions that a trained model generates for the captions and lengths of real test clips."""

    generator: MotionGenerator
    conditions: RealSource
    chunk: int
    """Clips generated at once."""

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        for batch in self.conditions.batches(repeat_seed):
            seeds = [derive(repeat_seed, "noise", clip) for clip in batch.clip]
            yield self._generate(batch, seeds)

    def variations(self, repeat_seed: int, captions: int, samples: int) -> Iterator[Batch]:
        """``samples`` motions for each of ``captions`` captions, one batch per caption."""
        drawn = 0
        for batch in self.conditions.batches(repeat_seed):
            for index in range(len(batch.clip)):
                if drawn == captions:
                    return
                drawn += 1
                one = batch.take([index] * samples)
                seeds = [derive(repeat_seed, "variation", batch.clip[index], sample) for sample in range(samples)]
                yield self._generate(one, seeds)

    def _generate(self, batch: Batch, seeds: list[int]) -> Batch:
        """The batch with motions generated for its captions, of the lengths that the method gives them."""
        frames = batch.motion.shape[1]
        motions, lengths = [], []
        for first in range(0, len(seeds), self.chunk):
            part = slice(first, first + self.chunk)
            cond = self.generator.encode(batch.caption[part], batch.individual[part])
            lengths.append(self.generator.lengths(cond, batch.length[part], frames, seeds[part]))
            motions.append(self.generator.generate(cond, lengths[-1], frames, seeds[part]).cpu())
        return replace(batch, motion=torch.cat(motions), length=torch.cat(lengths))


def run(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Evaluate a model, by the same rule for a run and for an official checkpoint (which has no training seed)."""
    setup = EvaluationSetup(config, job)
    trained = load(config, job)
    block: BlockName = "re-evaluated" if job.seed is None else "reproduced"
    with job.recorded(config, setup.seeds) as notes:
        diffusion = config.of(trained.recipe.variant.base).diffusion
        generator = MotionGenerator(trained, features_of(job), diffusion, setup.device, config.runtime.sampler)
        source = GeneratedSource(generator, setup.real, config.runtime.sampling_batch)
        files.write_csv(job["metrics"], setup.measure({job.variant: source}, block, job.seed, progress))
        notes.update(setup.notes)


def load(config: Config, job: Job) -> checkpoint.Trained:
    """The trained model in the input ``weights`` of a job; it must be of this profile, unless it is official.

    Raises:
        StateError: it is another model.
    """
    weights = job["weights"]
    trained = checkpoint.load(weights)
    if (trained.variant, trained.dataset) != (job.variant, job.dataset):
        raise StateError(
            f"{weights}: holds {trained.variant!r} trained on {trained.dataset!r}, not {job.variant!r} on "
            f"{job.dataset!r}. {job.again(weights)}"
        )
    if job.seed is not None:
        planned = describe(config, job.dataset, job.variant, origin=trained.origin, tower=trained.tower)
        pairs = zip(_settings(trained.recipe).items(), _settings(planned).values(), strict=True)
        if other := [f"{name} {value} in place of {wanted}" for (name, value), wanted in pairs if value != wanted]:
            raise StateError(
                f"{weights}: not trained with profile {config.profile!r}: {', '.join(other)}. {job.again(weights)}"
            )
    return trained


def _settings(recipe: Recipe) -> dict[str, Any]:
    """Settings that all weights of a profile share."""
    return {
        **{f"model.{name}": value for name, value in recipe.sizes.model_dump().items()},
        **{f"text.{name}": getattr(recipe.text, name) for name in ("tower", "width", "context")},
        "diffusion.steps": recipe.diffusion.steps,
        "max_frames": recipe.max_frames,
    }
