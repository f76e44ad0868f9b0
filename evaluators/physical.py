"""Physical metrics, without a learned evaluator: foot skating, contact and bone-length drift.

Measured on the 22 body joints in metres, y up. The target is the value of real motion for the same captions: less
sliding than real is not better.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from intermamba.representation import Representation
from intermamba.skeleton import BONE_ENDS, BONE_STARTS, FEET_HEIGHT, TOUCHING

TOES = (10, 11)
GROUNDED = FEET_HEIGHT[1]
"""Height above the floor, in metres, below which a toe counts as planted [InterGen's height for toes]."""


def measure(
    joints: Float[Tensor, "B T P J 3"], mask: Bool[Tensor, "B T"], representation: Representation
) -> dict[str, Float[Tensor, " B"]]:
    """Every physical metric of :data:`evaluators.results.METRICS` for each clip of at least two frames."""
    if representation.floor is None:
        empty = ~mask[:, :, None, None, None]
        floor = joints[..., 1:2].masked_fill(empty, torch.inf).amin((1, 2, 3, 4))
    else:
        floor = joints.new_full((len(joints),), representation.floor)
    return {
        "foot_skate": foot_skate(joints, mask, floor, representation.fps),
        "contact": contact(joints, mask),
        "bone_drift": bone_drift(joints, mask),
    }


def foot_skate(
    joints: Float[Tensor, "B T P J 3"], mask: Bool[Tensor, "B T"], floor: Float[Tensor, " B"], fps: int
) -> Float[Tensor, " B"]:
    """Mean horizontal speed in cm/s of toes that are planted in two consecutive frames; zero if there are none."""
    toes = joints[..., TOES, :]
    low = (toes[..., 1] - floor[:, None, None, None] < GROUNDED) & mask[:, :, None, None]
    planted = low[:, 1:] & low[:, :-1]
    speed = toes[..., [0, 2]].diff(dim=1).norm(dim=-1) * (100 * fps)
    return (speed * planted).sum((1, 2, 3)) / planted.sum((1, 2, 3)).clamp_min(1)


def contact(joints: Float[Tensor, "B T P J 3"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, " B"]:
    """Share of frames, in percent, in which some joint of one person is within :data:`TOUCHING` of the other."""
    first, second = joints.unbind(2)
    nearest = torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist").amin((-2, -1))
    return 100 * ((nearest < TOUCHING) & mask).sum(1) / mask.sum(1)


def bone_drift(joints: Float[Tensor, "B T P J 3"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, " B"]:
    """Mean distance in mm of a bone's length from its own mean over the clip."""
    length = (joints[..., BONE_STARTS, :] - joints[..., BONE_ENDS, :]).norm(dim=-1)  # (B, T, P, bones)
    real = mask[:, :, None, None]
    mean = (length * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
    return 1000 * ((length - mean).abs() * real).sum((1, 2, 3)) / (real.sum((1, 2, 3)) * length[0, 0].numel())
