"""Stages ``evaluate`` and ``re-evaluate``: metrics of the motions that a model generates."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
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
from intermamba.group import Group, together
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
    """Clips generated at once, by a network for which they are independent; else those of a batch."""
    group: Group = field(default_factory=Group)
    """The processes that share the work; each sees all motions."""

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        return self._generated(
            (batch, [derive(repeat_seed, "noise", clip) for clip in batch.clip])
            for batch in self.conditions.batches(repeat_seed)
        )

    def variations(self, repeat_seed: int, captions: int, samples: int) -> Iterator[Batch]:
        """``samples`` motions for each of ``captions`` captions, one batch per caption."""
        return self._generated(self._repeated(repeat_seed, captions, samples))

    def _repeated(self, repeat_seed: int, captions: int, samples: int) -> Iterator[tuple[Batch, list[int]]]:
        """Each caption ``samples`` times, with the seeds of the motions."""
        drawn = 0
        for batch in self.conditions.batches(repeat_seed):
            for index in range(len(batch.clip)):
                if drawn == captions:
                    return
                drawn += 1
                one = batch.take([index] * samples)
                seeds = [derive(repeat_seed, "variation", batch.clip[index], sample) for sample in range(samples)]
                yield one, seeds

    def _generated(self, wanted: Iterable[tuple[Batch, list[int]]]) -> Iterator[Batch]:
        """Batches with motions generated for their captions, of the lengths that the method gives them.

        Processes share whole chunks, so that the motions do not depend on the number of processes.
        """
        wanted, group = iter(wanted), self.group
        while several := list(islice(wanted, group.world)):
            motions = [torch.zeros_like(batch.motion, device=group.device) for batch, _ in several]
            lengths = [torch.zeros_like(batch.length, device=group.device) for batch, _ in several]
            whole = max(len(seeds) for _, seeds in several)
            size = self.chunk if self.generator.model.independent else whole
            chunks = [
                (place, slice(first, first + size))
                for place, (_, seeds) in enumerate(several)
                for first in range(0, len(seeds), size)
            ]
            for place, part in chunks[group.rank :: group.world]:
                (batch, seeds), frames = several[place], motions[place].shape[1]
                cond = self.generator.encode(batch.caption[part], batch.individual[part])
                length = self.generator.lengths(cond, batch.length[part], frames, seeds[part])
                lengths[place][part] = length.to(group.device)
                motions[place][part] = self.generator.generate(cond, length, frames, seeds[part])
            for (batch, _), motion, length in zip(several, motions, lengths, strict=True):
                yield replace(batch, motion=group.sum(motion).cpu(), length=group.sum(length).cpu())


def run(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Evaluate a model, by the same rule for a run and for an official checkpoint (which has no training seed).

    Raises:
        StateError: a stage before this one has not run, or the weights are those of another run.
    """
    with together(config.runtime) as group:
        _run(config, job, progress if group.first else SILENT, group)


def _run(config: Config, job: Job, progress: Progress, group: Group) -> None:
    setup = EvaluationSetup(config, job, device=group.device)
    trained = load(config, job)
    block: BlockName = "re-evaluated" if job.seed is None else "reproduced"
    with job.recorded(config, setup.seeds) as notes:
        diffusion = trained.recipe.variant.configured(config).diffusion
        generator = MotionGenerator(trained, features_of(job), diffusion, setup.device, config.runtime.sampler)
        source = GeneratedSource(generator, setup.real, config.runtime.sampling_batch, group)
        found = setup.measure({job.variant: source}, block, job.seed, progress)
        if group.first:
            files.write_csv(job["metrics"], found)
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
