"""Stage ``preprocess``: raw files to one memory-mapped file per split, and the statistics of the training split."""

import math
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64

from intermamba import datasets, files, paths
from intermamba.config import Config, Dataset, DatasetConfig
from intermamba.data import interhuman, interx, normalisation, plausibility
from intermamba.data import manifest as manifests
from intermamba.data.dataset import ClipDataset
from intermamba.data.fetch import raw_root
from intermamba.data.layouts import layout
from intermamba.data.manifest import Manifest
from intermamba.data.splits import Clip, SplitFile, write_split
from intermamba.errors import DataError, StateError
from intermamba.job import Job
from intermamba.progress import SILENT, Progress
from intermamba.representation import representation

STD_FLOOR = 1e-3
"""Minimum standard deviation: a millimetre, a millimetre per frame, a thousandth of a matrix entry. With it, features
that never change in training (Inter-X's padding, jaw, eyes) stay finite, and nearly constant in generated motion."""

CHECKED = 64
"""Number of clips whose units and axes are checked."""


def run(config: Config, job: Job, progress: Progress = SILENT) -> None:
    """Write ``train/val/test.safetensors`` and ``stats.safetensors`` from the files that ``fetch`` has checked.

    ``progress`` counts clips.

    Raises:
        StateError: ``fetch`` has not run, or ran for another source.
        DataError: files have changed since, a split would be empty, or the motions cannot be in metres.
    """
    dataset = job.dataset
    settings = config.datasets[dataset]
    with job.recorded(config) as notes:
        manifest = manifests.read(job["manifest"])
        root = raw_root(config, dataset)
        _check_unchanged(manifest, root, job)
        stamps = {name: files.stamp(root / name) for name in manifest.files}
        place = layout(dataset, root, settings)
        body: dict[str, Any] = {"skeleton": place.skeleton(), "offsets": place.offsets()}
        new: dict[str, Any] = {"unseen": place.unseen(), "held_out": place.held_out()}
        notes |= {"origin": manifest.origin, "skeleton": body["skeleton"]}
        notes |= {"tokeniser": place.tokeniser(), "missing_allowed": manifest.missing_allowed, "dropped": {}}
        with ExitStack() as all_or_none:
            parts = {split: all_or_none.enter_context(files.atomic(job[split])) for split in paths.SPLITS}
            stats_part = all_or_none.enter_context(files.atomic(job["stats"]))
            progress.start(sum(map(len, manifest.clips.values())))
            for split, part in parts.items():
                dropped: dict[str, int] = {}
                clips = _kept(map(place.read, manifest.clips[split]), settings, dropped, dataset, progress)
                write_split(part, clips, dataset=dataset, split=split, origin=manifest.origin, **new, **body)
                notes["dropped"][split] = dropped
            notes["warnings"] = plausible(SplitFile(parts["test"]), settings)
            for sentence in notes["warnings"]:
                sys.stderr.write(f"warning: {sentence}\n")
            normalisation.write(stats_part, *map(torch.from_numpy, statistics(SplitFile(parts["train"]), settings)))
            if changed := [name for name, stamp in stamps.items() if files.stamp(root / name) != stamp]:
                raise DataError(
                    f"{root}: {len(changed)} file(s) changed while they were read: {', '.join(changed[:5])}. "
                    f"{job.again(job['manifest'])}"
                )


def plausible(split: SplitFile, settings: DatasetConfig) -> tuple[str, ...]:
    """Warnings on the units and axes of a split, from at most :data:`CHECKED` clips spread over it.

    Raises:
        DataError: the motions cannot be in metres.
    """
    body = representation(split.dataset, split.offsets)
    clips = ClipDataset(split, settings, "fixed", seed=0)
    chosen = range(0, len(split), -(-len(split) // CHECKED))
    motions = (torch.from_numpy(clips[0, index].motion) for index in chosen)
    sizes = [plausibility.measure(body.joints(motion).numpy(), body.fps) for motion in motions]
    return plausibility.check(sizes, body.floor, f"{split.split} split of {split.dataset}")


def _check_unchanged(manifest: Manifest, root: Path, job: Job) -> None:
    path = job["manifest"]
    if manifest.root != str(root):
        raise StateError(f"{path} is about {manifest.root}, not {root}. {job.again(path)}")
    changed = [
        name
        for name, entry in manifest.files.items()
        if not (root / name).is_file() or (root / name).stat().st_size != entry.bytes
    ]
    if changed:
        raise DataError(
            f"{root}: {len(changed)} file(s) have changed or disappeared since fetch: {', '.join(changed[:5])}. "
            f"{job.again(path)}"
        )


def _kept(
    clips: Iterable[Clip],
    settings: DatasetConfig,
    dropped: dict[str, int],
    dataset: Dataset,
    progress: Progress,
) -> Iterator[Clip]:
    """Clips of admissible length; the numbers of frames of the others are added to ``dropped``."""
    longest = datasets.dataset(dataset).longest or math.inf
    for clip in clips:
        frames = len(clip.motion)
        if frames < settings.min_frames or frames >= longest:
            dropped[clip.name] = frames
        else:
            yield clip
        progress()


def statistics(
    split: SplitFile, settings: DatasetConfig
) -> tuple[Float32[np.ndarray, " F"], Float32[np.ndarray, " F"]]:
    """Mean and standard deviation of each feature over all frames and both persons, as in training.

    InterHuman's items are canonical windows, so clips are cut into windows of ``max_frames``, in both orders of the
    persons, and mirrored copies count if ``settings.mirror`` (InterGen's published mean is symmetric, so they did
    there). Inter-X's items are plain crops: every frame counts once. Standard deviations are at least
    :data:`STD_FLOOR`.
    """
    from intermamba.data import kernels  # compiled loops; slow to import

    kind = datasets.dataset(split.dataset)
    counted, count, width = kind.load("frames"), 0, kind.features
    total, squares = np.zeros(width), np.zeros(width)
    for index in range(len(split)):
        for item in counted(split, index, settings):
            frames = item.reshape(-1, width)
            count += len(frames)
            kernels.add_sums(frames, total, squares)
    mean: Float64[np.ndarray, " F"] = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return mean.astype(np.float32), np.maximum(std, STD_FLOOR).astype(np.float32)


def interx_frames(split: SplitFile, index: int, _settings: DatasetConfig) -> Iterator[Float[np.ndarray, "T 2 F"]]:
    """Every frame of a clip once."""
    yield interx.features(split.clip(index))


def interhuman_frames(split: SplitFile, index: int, settings: DatasetConfig) -> Iterator[Float[np.ndarray, "T 2 F"]]:
    """Windows of a clip in both orders of the persons, and their mirrored copies."""
    raw = split.clip(index)
    for first in range(0, len(raw) - 1, settings.max_frames):
        window = raw[first : first + settings.max_frames]
        if len(window) < 2:
            continue
        for copy in (window, interhuman.mirror(window)) if settings.mirror else (window,):
            yield interhuman.pair_features(copy[:, 0], copy[:, 1])
            yield interhuman.pair_features(copy[:, 1], copy[:, 0])
