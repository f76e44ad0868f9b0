"""Representations of motion: the meaning of each dataset's feature frames, for losses, drawing and export."""

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from intermamba import datasets
from intermamba.data import interhuman, interx
from intermamba.rotations import columns_to_matrix, forward_kinematics, rows_to_matrix
from intermamba.skeleton import BODY, BODY_PARENTS, JOINTS, PARENTS


@runtime_checkable
class Representation(Protocol):
    """Features of one person in one frame; un-normalised, metres, y up."""

    features: int
    fps: int
    floor: float | None
    """Height of the floor; none: the lowest joint of a clip touches it."""
    rotation_joints: tuple[str, ...]
    """Joints whose rotations are in a frame, in the order of :meth:`rotations`."""

    def joints(self, motion: Float[Tensor, "*axes F"]) -> Float[Tensor, "*axes 22 3"]:
        """Global positions of the 22 body joints (:data:`intermamba.skeleton.BODY`), differentiable."""
        ...

    def rotations(self, motion: Float[Tensor, "*axes F"]) -> Float[Tensor, "*axes J 3 3"]:
        """Rotation of each of ``rotation_joints`` relative to its parent; the pelvis's is global."""
        ...

    def translation(self, motion: Float[Tensor, "*axes F"]) -> Float[Tensor, "*axes 3"]:
        """Global position of the pelvis."""
        ...


class InterHuman:
    """262 features: positions, velocities, rotations, foot contacts (:mod:`intermamba.data.interhuman`).

    The rotations do not include the pelvis's: only positions say where a person faces.
    """

    features = interhuman.FEATURES
    fps = interhuman.FPS
    floor: float | None = 0.0
    rotation_joints: tuple[str, ...] = BODY[1:]

    def joints(self, motion: Float[Tensor, "*axes 262"]) -> Float[Tensor, "*axes 22 3"]:
        return motion[..., interhuman.POSITIONS].unflatten(-1, (len(BODY), 3))

    def rotations(self, motion: Float[Tensor, "*axes 262"]) -> Float[Tensor, "*axes 21 3 3"]:
        return columns_to_matrix(motion[..., interhuman.ROTATIONS].unflatten(-1, (len(self.rotation_joints), 6)))

    def translation(self, motion: Float[Tensor, "*axes 262"]) -> Float[Tensor, "*axes 3"]:
        return self.joints(motion)[..., 0, :]


class InterX:
    """336 features: 55 rotations in 6D rows, then the translation (:mod:`intermamba.data.interx`).

    Positions come from forward kinematics. Heights are relative to the first person's pelvis in the first frame.

    Args:
        offsets: offsets of the 55 joints from their parents, metres: a user's SMPL-X body, or the neutral skeleton.
    """

    features = interx.FEATURES
    fps = interx.FPS
    floor: float | None = None
    rotation_joints: tuple[str, ...] = JOINTS

    def __init__(self, offsets: Float[np.ndarray, "55 3"] = interx.NEUTRAL) -> None:
        self.offsets = torch.from_numpy(offsets.copy())

    def joints(self, motion: Float[Tensor, "*axes 336"]) -> Float[Tensor, "*axes 22 3"]:
        return self._joints(motion, BODY_PARENTS)

    def all_joints(self, motion: Float[Tensor, "*axes 336"]) -> Float[Tensor, "*axes 55 3"]:
        """Global positions of SMPL-X's 55 joints (:data:`intermamba.skeleton.JOINTS`), differentiable."""
        return self._joints(motion, PARENTS)

    def _joints(self, motion: Float[Tensor, "*axes 336"], parents: tuple[int, ...]) -> Float[Tensor, "*axes J 3"]:
        frames = motion.unflatten(-1, (interx.JOINTS + 1, 6))
        rotations = rows_to_matrix(frames[..., : len(parents), :])
        offsets = self.offsets[: len(parents)].to(motion)
        return forward_kinematics(rotations, self.translation(motion), offsets, parents)

    def rotations(self, motion: Float[Tensor, "*axes 336"]) -> Float[Tensor, "*axes 55 3 3"]:
        return rows_to_matrix(motion.unflatten(-1, (interx.JOINTS + 1, 6))[..., :-1, :])

    def translation(self, motion: Float[Tensor, "*axes 336"]) -> Float[Tensor, "*axes 3"]:
        return motion.unflatten(-1, (interx.JOINTS + 1, 6))[..., -1, :3]


def representation(dataset: str, offsets: Float[np.ndarray, "J 3"] | None = None) -> Representation:
    """The representation of a dataset by name; ``offsets`` are the bones of its split file, if it has any."""
    kind = datasets.dataset(dataset).load("representation")
    made: Representation = kind() if offsets is None else kind(offsets)
    return made


def floor_under(joints: Float[np.ndarray, "T P J 3"], body: Representation) -> float:
    """Height in metres of the floor of a motion of global positions."""
    return float(joints[..., 1].min()) if body.floor is None else body.floor
