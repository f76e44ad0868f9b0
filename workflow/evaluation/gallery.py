"""Stages ``show-reference`` and ``show``: motions of a few test prompts, reference and generated, to be looked at.

The prompts are chosen by a rule from the captions alone, so that nobody picks what looks good. Joints are kept as
16-bit integers, each motion with a scale of its own: 4 m from the origin that rounds to a tenth of a millimetre.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Int16
from pydantic import BaseModel, Field, Json

from intermamba import files
from intermamba.config import Config, Dataset, Positive
from intermamba.data.dataset import ClipDataset, Item
from intermamba.data.splits import SplitFile
from intermamba.device import device_for
from intermamba.errors import DataError, StateError
from intermamba.generate import MotionGenerator
from intermamba.job import Job
from intermamba.reading.documents import checked
from intermamba.representation import Representation, floor_under, representation
from intermamba.seeds import derive
from intermamba.text.cache import features_of
from workflow.evaluation.generated import load

REAL = "real"
_LARGEST = 32767


class _Metadata(BaseModel):
    """The metadata of a file of shown motions."""

    dataset: Dataset
    method: str
    origin: Literal["synthetic", "official"]
    tower: str
    fps: Positive
    clips: Json[Annotated[tuple[str, ...], Field(min_length=1)]]
    captions: Json[tuple[str, ...]]
    individual: Json[tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Shown:
    """Motions of one method for the chosen prompts of a dataset."""

    dataset: str
    method: str
    """A variant, or ``real``."""
    origin: str
    """``synthetic`` or ``official``: the data, and for a model what it was trained on."""
    tower: str
    """Text tower that read the captions; empty for real motions."""
    fps: int
    clips: tuple[str, ...]
    captions: tuple[str, ...]
    individual: tuple[tuple[str, str], ...]
    """Captions of person a and of person b for each clip, where the data have them; else empty."""
    joints: tuple[Float32[np.ndarray, "_ 2 22 3"], ...]
    """Global positions, metres, y up; one array a clip, of as many frames as it has."""
    floor: tuple[float, ...]
    """Height of each clip's floor, metres."""


def choose(captions: Sequence[str], count: int) -> list[int]:
    """Indices of ``count`` captions that differ: the first one, then always the one least like those chosen before.

    How alike two captions are is the share of words that they have in common (Jaccard); the earlier caption wins a tie.
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
    """Write the reference motions of the chosen test clips."""
    dataset = job.dataset
    with job.recorded(config) as notes:
        split = SplitFile(job["test"])
        items = prompts(config, dataset, split)
        motions = [torch.from_numpy(item.motion) for item in items]
        body = representation(dataset, split.offsets)
        write(job["shown"], _shown(dataset, REAL, split.origin, "", items, motions, body))
        notes.update(origin=split.origin, clips=[item.clip for item in items])


def run(config: Config, job: Job) -> None:
    """Write what a trained row makes of the chosen clips' captions and lengths, one motion each.

    Sampled as in ``evaluate``. The noise of a clip is the same for every row.

    Raises:
        StateError: a stage before this one has not run, or the weights are another row's.
    """
    dataset = job.dataset
    root = derive(config.seed, "show", dataset)
    with job.recorded(config, {"root": root}) as notes:
        torch.set_num_threads(config.runtime.threads)
        split, cache, trained = SplitFile(job["test"]), features_of(job), load(config, job)
        items = prompts(config, dataset, split)
        device = device_for(config.runtime.accelerator)
        diffusion = config.of(trained.recipe.variant.base).diffusion
        generator = MotionGenerator(trained, cache, diffusion, device, config.runtime.sampler)
        frames, seeds = config.datasets[dataset].max_frames, [derive(root, "noise", item.clip) for item in items]
        individual = [item.individual for item in items if item.individual]
        cond = generator.encode([item.caption for item in items], individual)
        lengths = generator.lengths(cond, torch.tensor([len(item.motion) for item in items]), frames, seeds)
        made = generator.generate(cond, lengths, frames, seeds).cpu()
        motions = [motion[:length] for motion, length in zip(made, lengths.tolist(), strict=True)]
        body = representation(dataset, split.offsets)
        write(job["shown"], _shown(dataset, job.variant, trained.origin, trained.tower, items, motions, body))
        notes.update(origin=trained.origin, tower=trained.tower, clips=[item.clip for item in items])


def _shown(
    dataset: str,
    method: str,
    origin: str,
    tower: str,
    items: Sequence[Item],
    motions: Sequence[torch.Tensor],
    body: Representation,
) -> Shown:
    joints = tuple(body.joints(motion).float().numpy() for motion in motions)
    return Shown(
        dataset,
        method,
        origin,
        tower,
        body.fps,
        clips=tuple(item.clip for item in items),
        captions=tuple(item.caption for item in items),
        individual=tuple(item.individual for item in items if item.individual),
        joints=joints,
        floor=tuple(floor_under(one, body) for one in joints),
    )


def write(path: str | Path, shown: Shown) -> None:
    """Write ``shown``; positions are rounded to 1/32767 of the largest coordinate of their motion.

    Raises:
        StateError: a motion is not finite.
    """
    for clip, joints in zip(shown.clips, shown.joints, strict=True):
        if not np.isfinite(joints).all():
            raise StateError(f"{shown.method} on {shown.dataset}, clip {clip}: the motion is not finite.")
    integers, scale = zip(*map(rounded, shown.joints), strict=True)
    tensors = {
        "joints": torch.from_numpy(np.concatenate(integers)),
        "start": torch.tensor([0, *np.cumsum([len(joints) for joints in shown.joints])]),
        "scale": torch.tensor(scale, dtype=torch.float64),
        "floor": torch.tensor(shown.floor, dtype=torch.float64),
    }
    values = {name: getattr(shown, name) for name in _Metadata.model_fields}
    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    files.write_tensors(path, tensors, text)


def rounded(joints: Float[np.ndarray, "*axes"]) -> tuple[Int16[np.ndarray, "*axes"], float]:
    """Positions as 16-bit integers, and metres a unit: 1/32767 of the largest coordinate."""
    scale = max(float(np.abs(joints).max()), 1e-6) / _LARGEST
    return np.rint(joints / scale).astype(np.int16), scale


def read(path: str | Path) -> Shown:
    """Read what :func:`write` wrote.

    Raises:
        DataError: another kind of file.
    """
    tensors, metadata = files.read_tensors(path)
    remedy = "Run `intermamba show` again."
    if missing := {"joints", "start", "scale", "floor"} - set(tensors):
        raise DataError(f"{path}: no shown motions (no {', '.join(sorted(missing))}). {remedy}")
    about: _Metadata = checked(_Metadata, metadata, str(path), remedy)
    count, joints, start = len(about.clips), tensors["joints"], tensors["start"]
    sound = (
        joints.dtype == torch.int16
        and joints.ndim == 4
        and start.dtype == torch.int64
        and all(len(entries) == count for entries in (about.captions, about.individual) if entries)
        and tuple(start.shape) == (count + 1,)
        and start[0] == 0
        and start[-1] == len(joints)
        and bool((start.diff() > 0).all())
        and all(
            tuple(tensors[name].shape) == (count,) and tensors[name].isfinite().all() for name in ("scale", "floor")
        )
    )
    if not sound:
        raise DataError(f"{path}: shapes or values of its arrays do not fit {count} motions. {remedy}")
    pieces = [joints[first:last].numpy() for first, last in pairwise(start.tolist())]
    return Shown(
        about.dataset,
        about.method,
        about.origin,
        about.tower,
        about.fps,
        clips=about.clips,
        captions=about.captions,
        individual=about.individual,
        joints=tuple(
            (one * scale).astype(np.float32) for one, scale in zip(pieces, tensors["scale"].tolist(), strict=True)
        ),
        floor=tuple(tensors["floor"].tolist()),
    )
