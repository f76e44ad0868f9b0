"""Stages ``gallery-reference`` and ``gallery``: motions of a few test prompts, reference and generated, to look at.

A rule chooses the prompts from the captions alone, so that nobody selects motions that look good.
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch

from evaluators.results import REAL
from intermamba.config import Config, Dataset
from intermamba.data.dataset import ClipDataset, Item
from intermamba.data.splits import SplitFile
from intermamba.device import device_for, prepare_processor
from intermamba.generate import MotionGenerator
from intermamba.job import Job
from intermamba.representation import Representation, floor_under, representation
from intermamba.seeds import derive
from intermamba.text.cache import features_of
from workflow.evaluation.gallery import Gallery, write
from workflow.evaluation.generated import load


def choose(captions: Sequence[str], count: int) -> list[int]:
    """Indices of ``count`` captions that differ: the first one, then always the one least like those chosen before.

    The similarity of two captions is the share of words in common (Jaccard); the earlier caption wins a tie.
    Fewer captions than ``count`` are all chosen.
    """
    words = [frozenset(re.findall(r"\w+", caption.lower())) for caption in captions]
    chosen = [0]
    nearest = [_alike(words[0], other) for other in words]
    while len(chosen) < min(count, len(captions)):
        rest = [index for index in range(len(captions)) if index not in chosen]
        new = min(rest, key=lambda index: nearest[index])
        chosen.append(new)
        nearest = [max(known, _alike(words[new], other)) for known, other in zip(nearest, words, strict=True)]
    return chosen


def _alike(one: frozenset[str], other: frozenset[str]) -> Fraction:
    return Fraction(len(one & other), max(len(one | other), 1))


def prompts(config: Config, dataset: Dataset, split: SplitFile) -> list[Item]:
    """The chosen test clips: first caption, first window, recorded order of persons."""
    clips = ClipDataset(split, config.datasets[dataset], "fixed", config.seed)
    chosen = choose([split.captions(index)[0] for index in range(len(split))], config.report.prompts)
    return [clips[0, index] for index in chosen]


def run_reference(config: Config, job: Job) -> None:
    """Write the reference motions of the chosen test clips.

    Raises:
        StateError: a stage before this one has not run.
    """
    dataset = job.dataset
    with job.recorded(config) as notes:
        split = SplitFile(job["test"])
        items = prompts(config, dataset, split)
        motions = [torch.from_numpy(item.motion) for item in items]
        body = representation(dataset, split.offsets)
        write(job["gallery"], Gallery(dataset, REAL, split.origin, "", **_shown(items, motions, body)))
        notes.update(origin=split.origin, clips=[item.clip for item in items])


def run(config: Config, job: Job) -> None:
    """Write one motion of a run for the caption and length of each chosen clip.

    Sampled as in ``evaluate``. The noise of a clip is the same for every run.

    Raises:
        StateError: a stage before this one has not run, or the weights are those of another run.
    """
    dataset = job.dataset
    root = derive(config.seed, "gallery", dataset)
    with job.recorded(config, {"root": root}) as notes:
        prepare_processor(config.runtime.threads)
        split, cache, trained = SplitFile(job["test"]), features_of(job), load(config, job)
        items = prompts(config, dataset, split)
        device = device_for(config.runtime.accelerator)
        diffusion = trained.recipe.variant.configured(config).diffusion
        generator = MotionGenerator(trained, cache, diffusion, device, config.runtime.sampler)
        frames, seeds = config.datasets[dataset].max_frames, [derive(root, "noise", item.clip) for item in items]
        individual = [item.individual for item in items if item.individual]
        cond = generator.encode([item.caption for item in items], individual)
        lengths = generator.lengths(cond, torch.tensor([len(item.motion) for item in items]), frames, seeds)
        made = generator.generate(cond, lengths, frames, seeds).cpu()
        motions = [motion[:length] for motion, length in zip(made, lengths.tolist(), strict=True)]
        body = representation(dataset, split.offsets)
        about = (dataset, job.variant, trained.origin, trained.tower)
        write(job["gallery"], Gallery(*about, **_shown(items, motions, body)))
        notes.update(origin=trained.origin, tower=trained.tower, clips=[item.clip for item in items])


def _shown(items: Sequence[Item], motions: Sequence[torch.Tensor], body: Representation) -> dict[str, Any]:
    """What a gallery holds of clips and their motions."""
    joints = tuple(body.joints(motion).float().numpy() for motion in motions)
    return {
        "fps": body.fps,
        "clips": tuple(item.clip for item in items),
        "captions": tuple(item.caption for item in items),
        "individual": tuple(item.individual for item in items if item.individual),
        "joints": joints,
        "floor": tuple(floor_under(one, body) for one in joints),
    }
