"""What a feature frame means: joints by name, rotations that move them, and gradients that reach the features."""

import numpy as np
import pytest
import torch

from intermamba.data import interhuman, interx
from intermamba.data.synthetic.choreography import Clip, clip
from intermamba.data.synthetic.interhuman import columns
from intermamba.errors import ConfigError
from intermamba.representation import representation
from intermamba.rotations import forward_kinematics
from intermamba.skeleton import BODY, BODY_PARENTS, INDEX, JOINTS, OFFSETS, PARENTS


def test_interhuman_joints_are_its_first_columns() -> None:
    motion = torch.arange(2 * 3 * 262, dtype=torch.float32).reshape(2, 3, 262)
    rep = representation("interhuman")
    assert rep.features == 262
    torch.testing.assert_close(rep.joints(motion)[1, 2, 21], motion[1, 2, 63:66])


def test_interx_rest_pose_has_the_neutral_bones() -> None:
    motion = torch.zeros(2, 5, 2, 336).unflatten(-1, (56, 6))
    motion[..., :55, :] = torch.tensor([1.0, 0, 0, 0, 1, 0])
    motion[..., 55, :3] = torch.tensor([1.0, 2.0, 3.0])
    rep = representation("interx")
    joints = rep.joints(motion.flatten(-2))
    assert rep.features == 336
    assert joints.shape == (2, 5, 2, 22, 3)
    torch.testing.assert_close(joints[0, 0, 0, 0], torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(joints[..., 4, :] - joints[..., 1, :], torch.tensor(OFFSETS[4]).expand(2, 5, 2, 3))


def test_interx_joints_are_differentiable() -> None:
    generator = torch.Generator().manual_seed(0)
    motion = torch.randn(1, 2, 336, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m: representation("interx").joints(m)[..., 20, :], motion, fast_mode=True)


def test_interx_joints_of_a_users_bones() -> None:
    motion = torch.zeros(5, 2, 336).unflatten(-1, (56, 6))
    motion[..., :55, :] = torch.tensor([1.0, 0, 0, 0, 1, 0])
    bones = np.array(OFFSETS) * 1.2
    bones[0] = [0.0, -0.35, 0.01]
    joints = representation("interx", bones).joints(motion.flatten(-2))
    torch.testing.assert_close(joints[0, 0, 0], torch.tensor([0.0, -0.35, 0.01]))
    torch.testing.assert_close(joints[0, 0, 4] - joints[0, 0, 1], torch.tensor(bones[4]).float())


def test_unknown_dataset_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"interhumans.*Did you mean 'interhuman'.*interx"):
        representation("interhumans")


@pytest.fixture(scope="module")
def dance() -> Clip:
    return clip("mirror dance", 3, 1.0, 30)


def test_interhuman_rotations_move_the_bones(dance: Clip) -> None:
    """Forward kinematics from the files' local rotations gives the positions, with the turn of the pelvis that its own
    three bones show (the rotations leave it out)."""
    raw = np.concatenate([columns(dance)[..., :66], columns(dance)[..., 186:312]], axis=-1)
    motion = torch.from_numpy(interhuman.pair_features(raw[:, 0], raw[:, 1]))
    rep = representation("interhuman")
    rotations, joints = rep.rotations(motion), rep.joints(motion)
    assert rep.rotation_joints == BODY[1:]
    np.testing.assert_allclose(rotations, dance.rotations[:-1, :, 1:22], atol=1e-12)
    torch.testing.assert_close(rep.translation(motion), joints[..., 0, :])

    offsets = torch.tensor(OFFSETS[:22], dtype=torch.float64)
    for person in (0, 1):
        scaled = offsets * dance.scale[person]
        bones = joints[:, person, 1:4] - joints[:, person, :1]  # hips and spine
        left, _, right = torch.linalg.svd(bones.mT @ scaled[1:4])
        sign = torch.det(left @ right)[:, None, None] * torch.tensor([0.0, 0, 1]) + torch.tensor([1.0, 1, 0])
        pelvis = (left * sign) @ right
        local = torch.cat([pelvis[:, None], rotations[:, person]], dim=1)
        found = forward_kinematics(local, rep.translation(motion)[:, person], scaled, BODY_PARENTS)
        torch.testing.assert_close(found, joints[:, person], atol=1e-9, rtol=0)


def test_interx_rotations_and_translation_are_its_joints(dance: Clip) -> None:
    from scipy.spatial.transform import Rotation

    angles = Rotation.from_matrix(dance.rotations.reshape(-1, 3, 3)).as_rotvec().reshape(30, 2, 55, 3)
    raw = np.concatenate([angles, dance.translation[:, :, None]], axis=2).reshape(30, 2, 168)
    motion = torch.from_numpy(interx.features(raw))
    rep = representation("interx")
    rotations = rep.rotations(motion)
    assert rep.rotation_joints == JOINTS
    np.testing.assert_allclose(rotations, dance.rotations, atol=1e-12)
    np.testing.assert_allclose(rep.translation(motion), dance.translation, atol=1e-12)
    offsets = torch.tensor(OFFSETS, dtype=torch.float64)
    found = forward_kinematics(rotations, rep.translation(motion), offsets, PARENTS)
    torch.testing.assert_close(found[..., : len(BODY), :], rep.joints(motion))


@pytest.mark.parametrize("dataset", ["interhuman", "interx"])
def test_any_features_give_rotations(dataset: str) -> None:
    """What a network predicts is no rotation; what is read from it is one."""
    rep = representation(dataset)
    motion = torch.randn(7, 2, rep.features, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rotations = rep.rotations(motion)
    assert rotations.shape == (7, 2, len(rep.rotation_joints), 3, 3)
    assert all(name in INDEX for name in rep.rotation_joints)
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3, dtype=torch.float64).expand_as(rotations))
    assert (torch.det(rotations) > 0).all()
