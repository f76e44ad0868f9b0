"""Representations of motion: what a feature frame of each dataset means, for losses and for drawing."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from intermamba.data import interhuman, interx
from intermamba.errors import ConfigError, unknown
from intermamba.rotations import forward_kinematics, rows_to_matrix
from intermamba.skeleton import BODY, BODY_PARENTS, OFFSETS


@runtime_checkable
class Representation(Protocol):
    """Features of one person in one frame; un-normalised, metres, y up."""

    features: int

    def joints(self, motion: Float[Tensor, "*axes F"]) -> Float[Tensor, "*axes 22 3"]:
        """Global positions of the 22 body joints (:data:`intermamba.skeleton.BODY`), differentiable."""
        ...


class InterHuman:
    """262 features: positions, velocities, rotations, foot contacts (:mod:`intermamba.data.interhuman`)."""

    features = interhuman.FEATURES

    def joints(self, motion: Float[Tensor, "*axes 262"]) -> Float[Tensor, "*axes 22 3"]:
        return motion[..., interhuman.POSITIONS].unflatten(-1, (len(BODY), 3))


class InterX:
    """336 features: 55 rotations in 6D rows, then the translation (:mod:`intermamba.data.interx`).

    Positions come from forward kinematics of the project's neutral skeleton.
    """

    features = interx.FEATURES

    def joints(self, motion: Float[Tensor, "*axes 336"]) -> Float[Tensor, "*axes 22 3"]:
        frames = motion.unflatten(-1, (interx.JOINTS + 1, 6))
        offsets = torch.tensor(OFFSETS[: len(BODY)], dtype=motion.dtype, device=motion.device)
        rotations = rows_to_matrix(frames[..., : len(BODY), :])
        return forward_kinematics(rotations, frames[..., -1, :3], offsets, BODY_PARENTS)


_BY_DATASET: dict[str, Representation] = {"interhuman": InterHuman(), "interx": InterX()}


def representation(dataset: str) -> Representation:
    """The representation of a dataset by name."""
    if dataset not in _BY_DATASET:
        raise ConfigError(unknown("dataset", dataset, _BY_DATASET, "datasets"))
    return _BY_DATASET[dataset]
