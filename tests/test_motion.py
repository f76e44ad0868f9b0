"""What a feature frame means: joints by name, and gradients that reach the features."""

import pytest
import torch

from intermamba.errors import ConfigError
from intermamba.motion import representation
from intermamba.skeleton import OFFSETS


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


def test_unknown_dataset_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"interhumans.*Did you mean 'interhuman'.*interx"):
        representation("interhumans")
