"""The VQ-VAE's losses [InterMask ``models/losses.py``]: distances of features, joints, bones, rotations and feet.

As in the official code, InterHuman's features are normalised, and so are the joints, bones and rotations of these
losses; only feet are measured in metres. Inter-X's features are not normalised; joints come from forward kinematics.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from intermamba.data import interhuman
from intermamba.methods.intermask.options import TokenizerLosses
from intermamba.methods.losses import with_total
from intermamba.representation import InterX, Representation
from intermamba.rotations import rows_to_matrix
from intermamba.skeleton import BONE_ENDS, BONE_STARTS, FEET, FEET_HEIGHT, FEET_SQUARED_STEP

_EDGE = 1e-7
"""Distance from one at which a cosine is clipped, since the angle's gradient is infinite there."""


def tokenizer_losses(
    predicted: Float[Tensor, "B T F"],
    true: Float[Tensor, "B T F"],
    commitment: Float[Tensor, ""],
    mean: Float[Tensor, " F"],
    std: Float[Tensor, " F"],
    body: Representation,
    weights: TokenizerLosses,
) -> dict[str, Float[Tensor, ""]]:
    """Every weighted term, and their sum ``total``.

    Args:
        predicted: normalised motion of one person; Inter-X's with the velocity in the last three columns, as ``true``.
        true: the target.
        commitment: commitment loss of the tokenizer.
        mean: mean of features; zero where they are not normalised.
        std: standard deviation of features; one where they are not normalised.
        body: representation of the features.
        weights: weights of the terms.
    """
    if not isinstance(body, InterX):
        compared = slice(0, interhuman.CONTACTS.start)
        joints, target = (motion[..., interhuman.POSITIONS].unflatten(-1, (-1, 3)) for motion in (predicted, true))
        metres, target_metres = (body.joints(motion * std + mean) for motion in (predicted, true))
        angles = [motion[..., interhuman.ROTATIONS] for motion in (predicted, true)]
    else:
        compared = slice(None)
        joints, target = (body.all_joints(motion) for motion in (predicted, true))
        metres, target_metres = joints, target
        angles = [motion[..., :-6] for motion in (predicted, true)]
    terms = {
        "features": functional.smooth_l1_loss(predicted[..., compared], true[..., compared]),
        "positions": functional.smooth_l1_loss(joints, target),
        "velocity": functional.smooth_l1_loss(joints.diff(dim=1), target.diff(dim=1)),
        "bone_length": functional.smooth_l1_loss(_bones(joints), _bones(target)),
        "geodesic": _angle(*(part.unflatten(-1, (-1, 6)) for part in angles)),
        "foot_contact": _foot_contact(metres, target_metres),
        "commitment": commitment,
    }
    return with_total({name: getattr(weights, name) * value for name, value in terms.items()})


def _bones(joints: Float[Tensor, "B T J 3"]) -> Float[Tensor, "B T S"]:
    return (joints[..., list(BONE_STARTS), :] - joints[..., list(BONE_ENDS), :]).norm(dim=-1)


def _angle(predicted: Float[Tensor, "B T J 6"], true: Float[Tensor, "B T J 6"]) -> Float[Tensor, ""]:
    """Mean angle between rotations.

    As in the official code, six numbers are read as two consecutive vectors, though InterHuman's files interleave them.
    """
    trace = (rows_to_matrix(predicted) * rows_to_matrix(true)).sum((-2, -1))
    return torch.acos(((trace - 1) / 2).clamp(-1 + _EDGE, 1 - _EDGE)).mean()


def _foot_contact(predicted: Float[Tensor, "B T J 3"], true: Float[Tensor, "B T J 3"]) -> Float[Tensor, ""]:
    """Steps of feet that are low and slow in the data; they should be zero."""
    feet = true[..., list(FEET), :]
    heights = torch.tensor(FEET_HEIGHT, device=true.device, dtype=true.dtype)
    contact = (feet.diff(dim=1).square().sum(-1) < FEET_SQUARED_STEP) & (feet[:, :-1, :, 1] < heights)
    steps = predicted[..., list(FEET), :].diff(dim=1)
    loss = functional.smooth_l1_loss(steps, torch.zeros_like(steps), reduction="none").mean(-1)
    return (loss * contact).sum() / contact.sum().clamp(min=1)
