"""Rotations and forward kinematics in torch, differentiable, for any leading axes.

Two 6D conventions occur in this field and must not be mixed: InterHuman's files hold the first two *columns* of the
matrix, interleaved (row by row of the 3 x 2 block); Inter-X's code, after PyTorch3D, holds the first two *rows*.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize


def axis_angle_to_matrix(axis_angle: Float[Tensor, "*axes 3"]) -> Float[Tensor, "*axes 3 3"]:
    """Rodrigues' formula; smooth at zero, so gradients stay finite there."""
    squared = axis_angle.square().sum(-1)[..., None, None]
    small = squared < 1e-8
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    sine = torch.where(small, 1 - squared / 6, angle.sin() / angle)
    cosine = torch.where(small, 0.5 - squared / 24, (1 - angle.cos()) / safe)
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + sine * cross + cosine * (cross @ cross)


def rows_to_matrix(rows: Float[Tensor, "*axes 6"]) -> Float[Tensor, "*axes 3 3"]:
    """Gram-Schmidt on the first two rows [PyTorch3D ``rotation_6d_to_matrix``; Inter-X]."""
    first = normalize(rows[..., :3], dim=-1)
    second = rows[..., 3:]
    second = normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-2)


def matrix_to_rows(matrix: Float[Tensor, "*axes 3 3"]) -> Float[Tensor, "*axes 6"]:
    """First two rows [PyTorch3D ``matrix_to_rotation_6d``; Inter-X]."""
    return matrix[..., :2, :].flatten(-2)


def matrix_to_columns(matrix: Float[Tensor, "*axes 3 3"]) -> Float[Tensor, "*axes 6"]:
    """First two columns, interleaved [InterHuman's files]."""
    return matrix[..., :, :2].flatten(-2)


def columns_to_matrix(columns: Float[Tensor, "*axes 6"]) -> Float[Tensor, "*axes 3 3"]:
    """Inverse of :func:`matrix_to_columns`, by Gram-Schmidt."""
    return rows_to_matrix(columns.unflatten(-1, (3, 2)).mT.flatten(-2)).mT


def forward_kinematics(
    rotations: Float[Tensor, "*axes J 3 3"],
    translation: Float[Tensor, "*axes 3"],
    offsets: Float[Tensor, "J 3"],
    parents: Sequence[int],
) -> Float[Tensor, "*axes J 3"]:
    """Joint positions of a tree from local rotations; joint 0, the root, is at ``translation + offsets[0]``."""
    turn = [rotations[..., 0, :, :]]
    place = [translation + offsets[0]]
    for joint, parent in enumerate(parents[1:], start=1):
        turn.append(turn[parent] @ rotations[..., joint, :, :])
        place.append(place[parent] + (turn[parent] @ offsets[joint][:, None])[..., 0])
    return torch.stack(place, dim=-2)
