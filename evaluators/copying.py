"""Copies of training clips: as a source of motion to be evaluated, which shows what looking up captions reaches; and
the distance of other motions to the nearest training clip, which shows whether a method copies.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial.distance import cdist
from torch import Tensor

from evaluators.evaluation import Source
from evaluators.evaluator import Evaluator
from evaluators.results import NEARNESS
from evaluators.sources import OnePerCaption
from intermamba import files
from intermamba.config import DatasetConfig
from intermamba.data.dataset import Batch, ClipDataset, collate
from intermamba.data.interx import UNIT
from intermamba.data.mirrored_captions import exchange_sides
from intermamba.data.splits import SplitFile
from intermamba.errors import DataError
from intermamba.progress import SILENT, Progress
from intermamba.representation import Representation
from intermamba.seeds import derive
from intermamba.skeleton import BODY, LEFT_HIP, RIGHT_HIP

CaptionFeatures = Callable[[Sequence[str]], Float[Tensor, "B W"]]
"""Captions to features of a text tower, one vector each."""
STRIDE = 5
"""Frames between two that are compared: six poses a second."""
_BATCH, _CHUNK = 64, 1024
"""Training clips that are embedded, and compared, at once."""


class HeldSplit(SplitFile):
    """A split whose clips hold their last pose so that windows of ``longest`` frames fit in.

    Windows of Inter-X are whole units, so clips are longer by one.
    """

    def __init__(self, path: str | Path, longest: int) -> None:
        super().__init__(path)
        self._least = longest + UNIT

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
    them. Among captions at equal distance the first one is taken; among several clips with that caption, one is drawn
    from the repeat's seed and the real clip's name.

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
        self._clips_of: dict[str, list[int]] = {}
        for index in range(len(split)):
            for caption in split.captions(index):
                self._add(caption, index)
                if settings.mirror:
                    self._add(exchange_sides(caption, settings.caption_swap), len(split) + index)
        self._captions = list(self._clips_of)
        self._known = self._embedded(self._captions)

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        for batch in self._real.batches(repeat_seed):
            motion = torch.zeros_like(batch.motion)
            for row, (clip, candidates) in enumerate(zip(batch.clip, self.nearest(batch.caption), strict=True)):
                chosen = candidates[derive(repeat_seed, "copy", clip) % len(candidates)]
                length = int(batch.length[row])
                motion[row, :length] = torch.from_numpy(self._clips[0, chosen].motion[:length])
            yield replace(batch, motion=motion)

    def nearest(self, captions: Sequence[str]) -> list[list[int]]:
        """For each caption, the indices of all training clips with the caption that is nearest to it."""
        found = cdist(self._embedded(captions), self._known).argmin(axis=1)
        return [self._clips_of[self._captions[index]] for index in found]

    def _add(self, caption: str, index: int) -> None:
        clips = self._clips_of.setdefault(caption, [])
        if index not in clips[-1:]:
            clips.append(index)

    def _embedded(self, captions: Sequence[str]) -> Float[np.ndarray, "B W"]:
        return self._features(captions).double().numpy()


class TrainingClips:
    """The first window of every training clip, and of its mirrored copy where training uses it: where it is in the
    evaluator's space, and its joints. :func:`write_index` makes the file.

    Raises:
        DataError: it is another kind of file.
    """

    def __init__(self, path: str | Path) -> None:
        arrays, _ = files.read_arrays(files.require(path))
        nothing = np.zeros(0)
        embedding, joints = arrays.get("embedding", nothing), arrays.get("joints", nothing)
        sound = (
            embedding.ndim == 2
            and joints.shape[2:] == (2, len(BODY), 3)
            and len(embedding) == len(joints) > 0
            and np.isfinite(embedding).all()
            and np.isfinite(joints).all()
        )
        if not sound:
            raise DataError(f"{path}: not an index of training clips. Run `intermamba index-training` again.")
        self._embedding, self._joints = embedding, joints
        parts = (joints[first : first + _CHUNK] for first in range(0, len(joints), _CHUNK))
        self._squares = np.concatenate([np.square(part).sum(axis=(2, 3, 4)) for part in parts])

    def nearness(
        self,
        embedding: Float[np.ndarray, "B K"],
        joints: Float[np.ndarray, "B T 2 J 3"],
        mask: Bool[np.ndarray, "B T"],
    ) -> dict[str, Float[np.ndarray, " B"]]:
        """The metrics :data:`evaluators.results.NEARNESS`: the smallest Euclidean distance of embeddings, and the
        smallest root mean square distance of joints in centimetres, over :data:`STRIDE`-th frames, both persons and
        whichever of them comes first. Training clips hold their last pose if they are shorter.
        """
        orders = [self._error(framed(joints[:, :, list(order)]), mask) for order in ((0, 1), (1, 0))]
        values = (cdist(embedding, self._embedding).min(axis=1), 100 * np.minimum(*orders))
        return dict(zip(NEARNESS, values, strict=True))

    def _error(self, joints: Float[np.ndarray, "B T 2 J 3"], mask: Bool[np.ndarray, "B T"]) -> Float[np.ndarray, " B"]:
        """The smallest root mean square distance, metres."""
        frames = self._joints.shape[1]
        found, real = joints[:, ::STRIDE][:, :frames], mask[:, ::STRIDE][:, :frames]
        frames = found.shape[1]
        found = np.where(real[:, :, None, None, None], found, 0)
        flat = found.astype(np.float32).reshape(len(found), -1)
        best = np.full(len(found), np.inf)
        for first in range(0, len(self._joints), _CHUNK):
            known = self._joints[first : first + _CHUNK, :frames]
            # |a - b|^2 summed over real frames, up to the motion's own |a|^2; the smallest one is then taken exactly.
            far = real @ self._squares[first : first + _CHUNK, :frames].T.astype(np.float64)
            far -= 2.0 * flat @ known.reshape(len(known), -1).T
            nearest = known[far.argmin(axis=1)]
            squares = np.square(found - nearest).sum(axis=-1).mean(axis=(2, 3))
            best = np.minimum(best, (squares * real).sum(axis=1) / real.sum(axis=1))
        return np.sqrt(best)


def framed(joints: Float[np.ndarray, "B T 2 J 3"]) -> Float[np.ndarray, "B T 2 J 3"]:
    """Joints as the first person sees them, as in InterHuman's features: its pelvis is the origin of the first
    frame, and the hips are along x.
    """
    start = joints[:, 0, 0]
    across = (start[:, LEFT_HIP] - start[:, RIGHT_HIP])[:, [0, 2]]
    across /= np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-9)
    x, y, z = np.moveaxis(joints - start[:, None, None, :1], -1, 0)
    cosine, sine = (across[:, index, None, None, None] for index in (0, 1))
    return np.stack([cosine * x + sine * z, y, cosine * z - sine * x], axis=-1)


def write_index(
    path: Path,
    training: Path,
    settings: DatasetConfig,
    evaluator: Evaluator,
    body: Representation,
    progress: Progress = SILENT,
) -> int:
    """Write the file of :class:`TrainingClips` for a training split; returns the number of motions."""
    whole, held = (
        ClipDataset(split, settings, "fixed", seed=0)
        for split in (SplitFile(training), HeldSplit(training, settings.max_frames))
    )
    count = len(whole.split) * (2 if settings.mirror else 1)
    embedding, joints = [], []
    progress.start(count)
    for first in range(0, count, _BATCH):
        indices = range(first, min(first + _BATCH, count))
        own, long = (collate([clips[0, index] for index in indices], settings.max_frames) for clips in (whole, held))
        with torch.inference_mode():
            embedding.append(evaluator.embed_motion(own).float().cpu().numpy())
        points = framed(body.joints(long.motion.double()).numpy())
        joints.append(points[:, : int(long.length[0]) : STRIDE].astype(np.float32))
        progress(len(indices))
    files.write_arrays(path, {"embedding": np.concatenate(embedding), "joints": np.concatenate(joints)}, {})
    return count
