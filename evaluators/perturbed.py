"""Sources of damaged real motion (:mod:`evaluators.perturbations`), and their metrics.

Every edit is a pure function of a batch and a generator, and its features are consistent: velocities and foot contacts
follow the changed positions. A batch needs two clips.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from evaluators import evaluation
from evaluators import protocol as protocols
from evaluators.evaluation import NOTHING, Beside, Source
from evaluators.evaluator import Evaluator
from evaluators.perturbations import Perturbation, catalogue
from evaluators.results import REAL
from evaluators.sources import OnePerCaption
from intermamba.config import Dataset
from intermamba.data import interhuman, interx
from intermamba.data.dataset import Batch
from intermamba.datasets import family
from intermamba.progress import SILENT, Progress
from intermamba.rotations import axis_angle_to_matrix, matrix_to_rows, rows_to_matrix
from intermamba.seeds import derive
from intermamba.skeleton import FACE, FEET, FEET_HEIGHT, FEET_SQUARED_STEP, JOINTS, LEFT_HIP, RIGHT_HIP

_ROOT = 0


@dataclass(frozen=True)
class PerturbedSource(OnePerCaption):
    """A source of a dataset's motions with a perturbation applied to every batch."""

    source: Source
    perturbation: Perturbation
    dataset: Dataset

    def batches(self, repeat_seed: int) -> Iterator[Batch]:
        # Strengths of one kind share their draws, so that only strength differs.
        kind, level = self.perturbation.kind, self.perturbation.level
        draws = torch.Generator().manual_seed(derive(repeat_seed, kind))
        body = InterHumanBody() if family(self.dataset) == "interhuman" else InterXBody()
        for batch in self.source.batches(repeat_seed):
            yield EDITS[kind](body, level, batch, draws)


def measure(
    evaluator: Evaluator,
    protocol: protocols.Protocol,
    real: Source,
    seed: int,
    progress: Progress = SILENT,
    beside: Beside = NOTHING,
) -> pd.DataFrame:
    """Metrics of real motions, undamaged (method ``real``) and under every perturbation (method: its name).

    Columns as :func:`evaluators.evaluation.evaluate` gives them. MModality is not among the metrics: there is one real
    motion per caption.
    """
    damaged = {one.name: PerturbedSource(real, one, protocol.dataset) for one in catalogue(protocol.dataset)}
    return evaluation.evaluate(evaluator, protocol, real, {REAL: real, **damaged}, seed, progress, beside)


def swapped_captions(batch: Batch, draws: torch.Generator) -> Batch:
    """Every motion gets the caption of another clip of the batch; none keeps its own."""
    order = torch.randperm(len(batch.clip), generator=draws)
    giver = torch.empty_like(order)
    giver[order] = order.roll(1)
    said = batch.take(giver.tolist())
    return replace(batch, caption=said.caption, tokens=said.tokens, individual=said.individual)


def exchanged(batch: Batch) -> Batch:
    """Person 1 and person 2 change places. Their own captions follow them."""
    return replace(batch, motion=batch.motion.flip(2), individual=tuple((b, a) for a, b in batch.individual))


def with_second_person(batch: Batch, giver: Int[Tensor, " B"], second: Int[Tensor, " B"]) -> Batch:
    """Person ``second`` of every clip is taken from clip ``giver``; the pair ends with the shorter of the two."""
    rows = torch.arange(len(giver))
    motion = batch.motion.clone()
    motion[rows, :, second] = batch.motion[giver, :, second[giver]]
    return _masked(replace(batch, length=torch.minimum(batch.length, batch.length[giver])), motion)


@runtime_checkable
class Body(Protocol):
    """Edits of a dataset's motions, given their representation."""

    fps: int

    def second(self, batch: Batch) -> Int[Tensor, " B"]:
        """The person of each clip who does not define its frame of reference."""
        ...

    def shaken(self, batch: Batch, level: float, draws: torch.Generator) -> Batch:
        """Independent noise of standard deviation ``level`` (cm or degrees) on every joint in every frame."""
        ...

    def moved(self, batch: Batch, offset: Float[Tensor, "B L P 3"]) -> Batch:
        """Persons displaced as a whole, in metres; L is one frame more than the features have."""
        ...

    def frozen(self, batch: Batch, person: Int[Tensor, " B"]) -> Batch:
        """One person of each clip holds the pose and place of the first frame."""
        ...

    def reversed(self, batch: Batch) -> Batch:
        """The last frame first, the pair placed as by the loader: the same person defines the frame of reference."""
        ...


class InterHumanBody:
    """Global positions, from which velocities and contacts follow, and rotations.

    Velocities look one frame ahead, so a clip of T feature frames holds T + 1 frames of positions; all are edited.
    Edits that only displace joints leave rotations unchanged, as measurement noise would.
    """

    fps = interhuman.FPS

    def second(self, batch: Batch) -> Int[Tensor, " B"]:
        """The first person starts at the origin; the loader may have exchanged the two afterwards."""
        return _ground(self._points(batch)[:, 0, :, _ROOT]).norm(dim=-1).argmax(dim=-1)

    def shaken(self, batch: Batch, level: float, draws: torch.Generator) -> Batch:
        points = self._points(batch)
        return self._of(batch, points + 0.01 * level * torch.randn(points.shape, generator=draws))

    def moved(self, batch: Batch, offset: Float[Tensor, "B L P 3"]) -> Batch:
        return self._of(batch, self._points(batch) + offset[..., None, :])

    def frozen(self, batch: Batch, person: Int[Tensor, " B"]) -> Batch:
        return self._of(batch, _held(self._points(batch), person), _held(self._rotations(batch), person))

    def reversed(self, batch: Batch) -> Batch:
        points = self._points(batch)
        back = _backwards(points, batch.length)
        rows, first = torch.arange(len(points)), 1 - self.second(batch)
        start, now = points[rows, 0, first], back[rows, 0, first]
        turn = (_facing(start) - _facing(now))[:, None, None, None]
        u, v = (_ground(back) - _ground(now[:, None, None, _ROOT : _ROOT + 1])).unbind(-1)
        x, z = turn.cos() * u + turn.sin() * v, turn.cos() * v - turn.sin() * u
        place = torch.stack([x, z], dim=-1) + _ground(start[:, None, None, _ROOT : _ROOT + 1])
        back = torch.stack([place[..., 0], back[..., 1], place[..., 1]], dim=-1)
        # Rotations of the frame after the last are not in the features; those of the last frame replace them.
        rotations = self._rotations(batch)
        rotations = torch.cat([rotations, torch.zeros_like(rotations[:, :1])], dim=1)
        rotations[rows, batch.length] = rotations[rows, batch.length - 1]
        return self._of(batch, back, _backwards(rotations, batch.length)[:, :-1])

    @staticmethod
    def _points(batch: Batch) -> Float[Tensor, "B L P J 3"]:
        """Positions of every feature frame and of the one after the last, from the last velocities."""
        positions, velocities = batch.motion[..., interhuman.POSITIONS], batch.motion[..., interhuman.VELOCITIES]
        points = torch.cat([positions, torch.zeros_like(positions[:, :1])], dim=1)
        rows, last = torch.arange(len(points)), batch.length - 1
        points[rows, batch.length] = positions[rows, last] + velocities[rows, last]
        return points.unflatten(-1, (interhuman.JOINTS, 3))

    @staticmethod
    def _rotations(batch: Batch) -> Float[Tensor, "B T P C"]:
        return batch.motion[..., interhuman.ROTATIONS]

    def _of(
        self, batch: Batch, points: Float[Tensor, "B L P J 3"], rotations: Float[Tensor, "B T P C"] | None = None
    ) -> Batch:
        """``batch`` with the motion that ``points`` show."""
        steps, feet = points.diff(dim=1), list(FEET)
        still = steps[..., feet, :].square().sum(-1) < FEET_SQUARED_STEP
        low = points[:, :-1, :, feet, 1] < torch.tensor(FEET_HEIGHT)
        parts = (
            points[:, :-1].flatten(-2),
            steps.flatten(-2),
            self._rotations(batch) if rotations is None else rotations,
            (still & low).to(points),
        )
        return _masked(batch, torch.cat(parts, dim=-1))


class InterXBody:
    """Local rotations and the place of the root (:mod:`intermamba.data.interx`)."""

    fps = interx.FPS

    def second(self, batch: Batch) -> Int[Tensor, " B"]:
        return torch.ones(len(batch.clip), dtype=torch.long)

    def shaken(self, batch: Batch, level: float, draws: torch.Generator) -> Batch:
        joints = self._joints(batch)
        live = [joint for joint, name in enumerate(JOINTS) if name not in FACE]  # jaw and eyes are not recorded
        rotations = joints[..., live, :]
        turn = torch.deg2rad(torch.tensor(level)) * torch.randn(*rotations.shape[:-1], 3, generator=draws)
        joints[..., live, :] = matrix_to_rows(rows_to_matrix(rotations) @ axis_angle_to_matrix(turn))
        return _masked(batch, joints.flatten(-2))

    def moved(self, batch: Batch, offset: Float[Tensor, "B L P 3"]) -> Batch:
        joints = self._joints(batch)
        joints[..., interx.JOINTS, :3] += offset[:, :-1]
        return _masked(batch, joints.flatten(-2))

    def frozen(self, batch: Batch, person: Int[Tensor, " B"]) -> Batch:
        return _masked(batch, _held(batch.motion, person))

    def reversed(self, batch: Batch) -> Batch:
        joints = _backwards(self._joints(batch), batch.length - 1)
        root = joints[..., interx.JOINTS, :3]
        root += self._joints(batch)[:, :1, :1, interx.JOINTS, :3] - root[:, :1, :1].clone()
        return _masked(batch, joints.flatten(-2))

    @staticmethod
    def _joints(batch: Batch) -> Float[Tensor, "B T P J 6"]:
        """A copy, rotations and then the place of the root."""
        return batch.motion.unflatten(-1, (interx.JOINTS + 1, 6)).clone()


def _wandering(body: Body, level: float, batch: Batch, draws: torch.Generator) -> Batch:
    """Each person in each frame displaced as a whole by independent noise of this standard deviation, cm."""
    clips, frames, persons, _ = batch.motion.shape
    return body.moved(batch, level / 100 * torch.randn(clips, frames + 1, persons, 3, generator=draws))


def _sliding(body: Body, level: float, batch: Batch, draws: torch.Generator) -> Batch:
    """Both persons drift over the floor together, in cm/s, each clip in its own direction."""
    clips, frames, _, _ = batch.motion.shape
    angle = 2 * torch.pi * torch.rand(clips, generator=draws)
    direction = torch.stack([angle.cos(), torch.zeros(clips), angle.sin()], dim=-1)
    way = level / 100 / body.fps * torch.arange(frames + 1)
    return body.moved(batch, (way[None, :, None] * direction[:, None])[:, :, None].expand(-1, -1, 2, -1))


def _with_stranger(body: Body, batch: Batch) -> Batch:
    """Take the second person from the clip that is next in length, so that hardly any clip has to be cut."""
    order = batch.length.argsort(stable=True)
    giver = torch.empty_like(order)
    giver[order] = torch.cat([order[1:], order[-2:-1]])
    return with_second_person(batch, giver, body.second(batch))


def _masked(batch: Batch, motion: Float[Tensor, "B T P F"]) -> Batch:
    return replace(batch, motion=motion * batch.mask[:, :, None, None])


def _held(frames: Float[Tensor, "B T P *axes"], person: Int[Tensor, " B"]) -> Float[Tensor, "B T P *axes"]:
    """One person of each clip as in the first frame throughout."""
    rows = torch.arange(len(person))
    held = frames.clone()
    held[rows, :, person] = frames[rows, :1, person]
    return held


def _backwards(frames: Float[Tensor, "B T *axes"], last: Int[Tensor, " B"]) -> Float[Tensor, "B T *axes"]:
    """Frames from ``last`` down to 0; frames after that are arbitrary."""
    order = (last[:, None] - torch.arange(frames.shape[1])).clamp(min=0)
    return frames[torch.arange(len(frames))[:, None], order]


def _ground(points: Float[Tensor, "*axes 3"]) -> Float[Tensor, "*axes 2"]:
    return points[..., [0, 2]]


def _facing(joints: Float[Tensor, "B J 3"]) -> Float[Tensor, " B"]:
    """Angle about the vertical from +z to where a person faces, up x (right hip - left hip), radians."""
    across = joints[:, RIGHT_HIP] - joints[:, LEFT_HIP]
    return torch.atan2(across[:, 2], -across[:, 0])


EDITS: dict[str, Callable[[Body, float, Batch, torch.Generator], Batch]] = {
    "joints": lambda body, level, batch, draws: body.shaken(batch, level, draws),
    "trajectory": _wandering,
    "sliding": _sliding,
    "reversed": lambda body, _level, batch, _draws: body.reversed(batch),
    "frozen": lambda body, _level, batch, _draws: body.frozen(batch, body.second(batch)),
    "stranger": lambda body, _level, batch, _draws: _with_stranger(body, batch),
    "exchanged": lambda _body, _level, batch, _draws: exchanged(batch),
    "captions": lambda _body, _level, batch, draws: swapped_captions(batch, draws),
}
"""The edit of each kind: from body, strength, batch and generator to a batch."""
