"""InterGen's losses (Eq. 14), term by term as in its official code, on the persons' de-normalised joint positions.

Means are those of the official code: the simple loss over all real frames of the batch; the geometric ones first over
the real frames of a clip, then over the clips whose diffusion step is at most ``geometric_until``. Two unexpected
properties of the official code are kept, for parity:

- Velocity and foot contact compare each real frame with the next one, so a clip's last real frame is compared with its
  first padded one. The official data is padded with zeros, so there the target jumps to the origin.
- The relative orientation is averaged over the real frames of the whole batch, including damped steps; it is zero only
  if no clip of the batch has a step within the bound.

Where the official code divides by a norm it can return NaN (both hips at one point, persons facing exactly opposite
ways); here directions and quaternions are normalised with a floor.
"""

from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor
from torch.nn import functional

from intermamba.config import LossConfig
from intermamba.representation import Representation
from intermamba.skeleton import (
    BONE_ENDS,
    BONE_STARTS,
    FEET,
    FEET_HEIGHT,
    FEET_SQUARED_STEP,
    LEFT_HIP,
    RIGHT_HIP,
    TOUCHING,
)

NEAR = 1.0
"""Metres; predicted distances below it count in the distance map [InterGen]."""
_EPSILON = 1e-7
"""Makes means over nothing zero [InterGen]."""
_FLOOR = 1e-6
"""Shortest vector that is still normalised to length one."""


class Counts(NamedTuple):
    """What means over a batch are divided by.

    Where a step is several passes (processes, accumulated gradients), each has the mean of their counts: then the mean
    of the passes' losses is the loss of the whole batch.
    """

    frames: Float[Tensor, ""]
    """Real frames."""
    active: Float[Tensor, ""]
    """Clips whose diffusion step is at most ``geometric_until``."""


def interaction_losses(
    prediction: Float[Tensor, "B T P F"],
    target: Float[Tensor, "B T P F"],
    mask: Bool[Tensor, "B T"],
    timestep: Int[Tensor, " B"],
    mean: Float[Tensor, " F"],
    std: Float[Tensor, " F"],
    representation: Representation,
    weights: LossConfig,
    counts: Counts | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """Every weighted term under its name in :class:`LossConfig`, and their sum ``total``.

    Without any weight of a geometric term only ``simple`` is computed.

    ``prediction`` and ``target`` are normalised by ``mean`` and ``std``. ``velocity``, ``bone_length`` and
    ``foot_contact`` are the sums of both persons' terms, as in the official total. ``counts`` are those of this batch
    unless it is a share of another one.
    """
    real = mask.to(prediction.dtype)
    active = (timestep <= weights.geometric_until).to(prediction.dtype)
    frames, clips = counts or Counts(real.sum(), active.sum())
    terms = {"simple": weights.simple * _over_frames((prediction - target).square().mean(-1), real, frames)}
    if not weights.geometric:
        return terms | {"total": terms["simple"]}

    predicted = representation.joints(prediction * std + mean)
    true = representation.joints(target * std + mean)
    apart, truly_apart = _distances(predicted), _distances(true)
    each, steps = (real, active, clips), (real[:, :-1], active, clips)
    terms |= {
        "velocity": weights.velocity * _over_persons(_velocity(predicted, true), *steps),
        "bone_length": weights.bone_length * _over_persons(_bone_length(predicted, true), *each),
        "foot_contact": weights.foot_contact * _over_persons(_foot_contact(predicted), *steps),
        "distance_map": weights.distance_map * _damped(_distance_map(apart, truly_apart), *each),
        "joint_affinity": weights.joint_affinity * _damped(_joint_affinity(apart, truly_apart), *each),
        "relative_orientation": weights.relative_orientation * _orientation(predicted, true, real, frames, clips),
    }
    return terms | {"total": torch.stack(list(terms.values())).sum()}


def _over_frames(
    loss: Float[Tensor, "B T P"], real: Float[Tensor, "B T"], frames: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Mean over the real frames of the batch and over persons."""
    return (loss * real[..., None]).sum() / (frames * loss.shape[2] + _EPSILON)


def _damped(
    loss: Float[Tensor, "B T"], real: Float[Tensor, "B T"], active: Float[Tensor, " B"], clips: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Mean over the real frames of each clip, then over the active clips, of which there are ``clips``."""
    per_clip = (loss * real).sum(1) / (real.sum(1) + _EPSILON)
    return (per_clip * active).sum() / (clips + _EPSILON)


def _over_persons(
    loss: Float[Tensor, "B T P"], real: Float[Tensor, "B T"], active: Float[Tensor, " B"], clips: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    return _damped(loss.sum(2), real, active, clips)


def _velocity(predicted: Float[Tensor, "B T P J 3"], true: Float[Tensor, "B T P J 3"]) -> Float[Tensor, "B T-1 P"]:
    return (predicted.diff(dim=1) - true.diff(dim=1)).square().mean((-2, -1))


def _bone_length(predicted: Float[Tensor, "B T P J 3"], true: Float[Tensor, "B T P J 3"]) -> Float[Tensor, "B T P"]:
    def lengths(joints: Tensor) -> Tensor:
        return (_choose(joints, BONE_STARTS) - _choose(joints, BONE_ENDS)).norm(dim=-1)

    return (lengths(predicted) - lengths(true)).square().mean(-1)


def _foot_contact(predicted: Float[Tensor, "B T P J 3"]) -> Float[Tensor, "B T-1 P"]:
    """Penalty on the movement of feet that are predicted low and slow."""
    feet = _choose(predicted, FEET)
    height = feet[:, :-1, ..., 1]
    squared = feet.diff(dim=1).square()
    contact = (squared.sum(-1) < FEET_SQUARED_STEP) & (height < _constant(FEET_HEIGHT, height.device))
    return _selected_mean(squared.mean(-1), contact)


def _distance_map(predicted: Float[Tensor, "B T JJ"], true: Float[Tensor, "B T JJ"]) -> Float[Tensor, "B T"]:
    return _selected_mean((predicted - true).square(), predicted < NEAR)


def _joint_affinity(predicted: Float[Tensor, "B T JJ"], true: Float[Tensor, "B T JJ"]) -> Float[Tensor, "B T"]:
    return _selected_mean(predicted.square(), true < TOUCHING)


def _orientation(
    predicted: Float[Tensor, "B T P J 3"],
    true: Float[Tensor, "B T P J 3"],
    real: Float[Tensor, "B T"],
    frames: Float[Tensor, ""],
    clips: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    loss = (_relative_yaw(predicted) - _relative_yaw(true)).square().mean(-1)
    mean = (loss * real).sum() / (frames + _EPSILON)
    return mean * clips / (clips + _EPSILON)


def _distances(joints: Float[Tensor, "B T P J 3"]) -> Float[Tensor, "B T JJ"]:
    """Between every joint of person 1 and every joint of person 2."""
    first, second = joints.unbind(2)
    # The matrix-product form of cdist would lose the small distances on which the affinity depends.
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist").flatten(2)


def _relative_yaw(joints: Float[Tensor, "B T P J 3"]) -> Float[Tensor, "B T 2"]:
    """Real part and y of the unit quaternion that turns person 1's facing direction into person 2's."""
    across = functional.normalize(joints[..., RIGHT_HIP, :] - joints[..., LEFT_HIP, :], dim=-1, eps=_FLOOR)
    facing = torch.stack((across[..., 2], torch.zeros_like(across[..., 0]), -across[..., 0]), dim=-1)  # y axis x across
    first, second = functional.normalize(facing, dim=-1, eps=_FLOOR).unbind(2)
    real = first.norm(dim=-1) * second.norm(dim=-1) + (first * second).sum(-1)
    turn = torch.cat((real.unsqueeze(-1), torch.linalg.cross(first, second)), dim=-1)
    return functional.normalize(turn, dim=-1, eps=_FLOOR)[..., 0:3:2]


def _selected_mean(values: Float[Tensor, "... S"], chosen: Bool[Tensor, "... S"]) -> Float[Tensor, "..."]:
    """Mean of the chosen values along the last axis; zero if there is none."""
    weight = chosen.to(values.dtype)
    return (values * weight).sum(-1) / (weight.sum(-1) + _EPSILON)


def _choose(joints: Float[Tensor, "B T P J 3"], which: tuple[int, ...]) -> Float[Tensor, "B T P S 3"]:
    return joints.index_select(3, _constant(which, joints.device))


@cache
def _constant(values: tuple[int, ...] | tuple[float, ...], device: torch.device) -> Num[Tensor, " S"]:
    """Numbers on a device; cached, since each transfer makes a step wait."""
    with torch.inference_mode(False):  # tensors created under validation's inference mode cannot be used in training
        return torch.tensor(values, device=device)
