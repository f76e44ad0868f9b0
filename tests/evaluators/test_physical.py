"""Physical measures of motions whose values are known by construction."""

import pytest
import torch

from evaluators import physical
from evaluators.results import PHYSICAL
from intermamba.representation import InterHuman, InterX
from intermamba.skeleton import BONE_ENDS, BONE_STARTS


def standing(frames=10, height=0.0):
    """Two persons, all joints 1 m above the floor and 2 m apart, toes at `height`."""
    joints = torch.zeros(1, frames, 2, 22, 3, dtype=torch.float64)
    joints[..., 1] = 1.0
    joints[..., 0] = torch.arange(22) * 0.01
    joints[:, :, 1, :, 2] = 2.0
    joints[..., physical.TOES, 1] = height
    return joints


FULL = torch.ones(1, 10, dtype=torch.bool)
FLOOR = torch.zeros(1, dtype=torch.float64)


def test_a_sliding_foot_has_its_speed():
    joints = standing()
    joints[:, :, 0, 10, 0] += 0.01 * torch.arange(10)  # one of four toes at 1 cm a frame
    assert physical.foot_skate(joints, FULL, FLOOR, 30).item() == pytest.approx(30 / 4)


def test_a_lifted_foot_does_not_slide():
    joints = standing(height=0.06)
    joints[..., 0] += torch.arange(10)[None, :, None, None]
    assert physical.foot_skate(joints, FULL, FLOOR, 30).item() == 0.0


def test_touching_in_some_frames():
    joints = standing()
    joints[:, :3, 1, 5] = joints[:, :3, 0, 7] + torch.tensor([0.0, 0.09, 0.0])
    assert physical.contact(joints, FULL).item() == pytest.approx(30.0)


def test_bones_that_stretch():
    joints = standing()
    assert physical.bone_drift(joints, FULL).item() == pytest.approx(0.0, abs=1e-9)
    joints[:, :, 0, 15, 1] += torch.tensor(
        [0.01, -0.01] * 5
    )  # the head's bone is horizontal: only a second-order change
    assert 0 < physical.bone_drift(joints, FULL).item() < 1
    scaled = standing()
    scaled[:, ::2] *= 1.1
    scaled[:, 1::2] *= 0.9
    bones = (standing()[0, 0, 0, BONE_STARTS] - standing()[0, 0, 0, BONE_ENDS]).norm(dim=-1)
    # A tenth longer and a tenth shorter in turn: every frame is a tenth of a bone off its mean.
    assert physical.bone_drift(scaled, FULL).item() == pytest.approx(1000 * 0.1 * bones.mean().item(), rel=1e-6)


def test_padding_never_counts():
    short = standing(6)
    short[:, :, 0, 10, 0] += 0.02 * torch.arange(6)
    padded = torch.cat([short, torch.zeros(1, 4, 2, 22, 3, dtype=torch.float64)], dim=1)
    mask = torch.arange(10)[None] < 6
    for name in ("contact", "bone_drift"):
        one = getattr(physical, name)
        assert one(padded, mask).item() == pytest.approx(one(short, FULL[:, :6]).item())
    found = physical.foot_skate(padded, mask, FLOOR, 30)
    assert found.item() == pytest.approx(physical.foot_skate(short, FULL[:, :6], FLOOR, 30).item())


@pytest.mark.parametrize("body", [InterHuman(), InterX()])
def test_all_of_a_batch(body):
    joints = body.joints(torch.randn(3, 8, 2, body.features, generator=torch.Generator().manual_seed(0)).double())
    mask = torch.arange(8)[None] < torch.tensor([[8], [5], [2]])
    found = physical.measure(joints, mask, body)
    assert tuple(found) == PHYSICAL
    for name, values in found.items():
        assert values.shape == (3,)
        alone = physical.measure(joints[1:2, :5], mask[1:2, :5], body)[name]
        assert values[1].item() == pytest.approx(alone.item())
