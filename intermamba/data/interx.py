"""Inter-X's processing: SMPL-X poses of two people at 120 fps to 168 columns at 30 fps, and to 336 features per person.

Pure functions of arrays. The source is Inter-X's ``preprocess/1_prepare_data.py`` and ``4_reaction_generation.py``
(poses, floor, order of the persons) and ``evaluation/text2motion/data/dataset.py`` (6D rotations, limits of length).

A raw frame of one person is 56 "joints" x 3: 55 axis-angles in SMPL-X's order (jaw and eyes zero), then the root's
translation in metres, y up. A feature frame is 56 x 6: each rotation's first two rows, then the translation and three
zeros.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float

from intermamba.skeleton import OFFSETS, PARENTS

FILE_FPS = 120
FPS = 30
STEP = FILE_FPS // FPS
JOINTS = 55
RAW = 168
FEATURES = 336
UNIT = 4
"""Windows are multiples of this many frames: the evaluator halves time twice."""
POSES = {"root_orient": (3,), "pose_body": (21, 3), "pose_lhand": (15, 3), "pose_rhand": (15, 3), "trans": (3,)}
"""Arrays of a file and their axes after that of frames."""

NEUTRAL = np.array(OFFSETS)
"""Offsets of the project's own neutral skeleton, (55, 3), metres."""
_PARENTS = np.array(PARENTS)

Order = Literal["recorded", "actor_first", "official"]


def person_pose(
    root_orient: Float[np.ndarray, "T 3"],
    pose_body: Float[np.ndarray, "T 21 3"],
    pose_lhand: Float[np.ndarray, "T 15 3"],
    pose_rhand: Float[np.ndarray, "T 15 3"],
    trans: Float[np.ndarray, "T 3"],
    offsets: Float[np.ndarray, "55 3"] = NEUTRAL,
) -> Float[np.ndarray, "T 56 3"]:
    """One person's poses with the lowest joint of the whole clip on the floor, float64.

    Shape parameters and gender are ignored, as in the official code. ``offsets`` of joints are relative to their
    parents. The owners use SMPL-X's neutral body; with this project's own neutral skeleton, heights differ from theirs
    by a constant per person and clip.
    """
    face = np.zeros((len(trans), 3, 3))
    rotations = np.concatenate([root_orient[:, None], pose_body, face, pose_lhand, pose_rhand], axis=1)
    translation = np.array(trans, dtype=np.float64)
    translation[:, 1] -= lowest_joint(rotations, translation, offsets)
    return np.concatenate([rotations, translation[:, None]], axis=1)


def lowest_joint(
    rotations: Float[np.ndarray, "T 55 3"],
    translation: Float[np.ndarray, "T 3"],
    offsets: Float[np.ndarray, "55 3"] = NEUTRAL,
) -> float:
    """Lowest height of any joint in the clip, metres, in float64 (the owners' body model computes in float32)."""
    from intermamba.data import kernels  # compiled loops; slow to import

    arrays = (np.ascontiguousarray(array, np.float64) for array in (rotations, translation[:, 1], offsets))
    return float(kernels.lowest_joint(*arrays, _PARENTS))


def swaps(order: Order, actor: int | None) -> bool:
    """Whether the two persons are exchanged, given the actor in ``interaction_order.pkl`` (0: P1, 1: P2).

    ``actor_first`` exchanges them where P2 acts. ``official`` exchanges them where P1 acts, like the owners' script,
    which is written for reaction generation and puts the reactor first.
    """
    return order != "recorded" and actor == (1 if order == "actor_first" else 0)


def pair(
    person1: Float[np.ndarray, "T 56 3"],
    person2: Float[np.ndarray, "T 56 3"],
    order: Order = "recorded",
    actor: int | None = None,
) -> Float[np.ndarray, "T 2 168"]:
    """Both persons, translations relative to the first root of P1 (of the actor with ``actor_first``), float32."""
    persons = np.stack([person1, person2], axis=1)
    persons[:, :, -1] -= persons[0, 0, -1]
    return ordered(persons.reshape(len(persons), 2, RAW), order, actor).astype(np.float32)


def from_processed(
    pose: Float[np.ndarray, "T 56 6"], order: Order = "recorded", actor: int | None = None
) -> Float[np.ndarray, "T 2 168"]:
    """A clip of the owners' processed HDF5 files (both persons' three columns side by side), float32."""
    persons = np.moveaxis(pose.reshape(len(pose), JOINTS + 1, 2, 3), 2, 1)
    return ordered(persons.reshape(len(pose), 2, RAW), order, actor).astype(np.float32)


def ordered(raw: Float[np.ndarray, "T 2 168"], order: Order, actor: int | None) -> Float[np.ndarray, "T 2 168"]:
    """A recorded pair, whose P1 starts at the origin, in the wanted order of persons.

    ``official`` leaves translations unchanged, as the owners' scripts do, so in an exchanged pair the second person
    starts at the origin; with ``actor_first`` it is the first person.
    """
    if not swaps(order, actor):
        return raw
    raw = raw[:, ::-1].copy()
    if order == "actor_first":
        raw[..., -3:] -= raw[0, 0, -3:]
    return raw


def features(raw: Float[np.ndarray, "*axes 168"]) -> Float[np.ndarray, "*axes 336"]:
    """Raw frames to feature frames: axis-angle to the first two rows of the matrix, translation padded with zeros."""
    axes = raw.shape[:-1]
    joints = raw.reshape(*axes, JOINTS + 1, 3)
    result = np.zeros((*axes, JOINTS + 1, 6), dtype=raw.dtype)
    result[..., :JOINTS, :] = _rows(joints[..., :JOINTS, :])
    result[..., JOINTS, :3] = joints[..., JOINTS, :]
    return result.reshape(*axes, FEATURES)


def _rows(axis_angle: Float[np.ndarray, "*axes 3"]) -> Float[np.ndarray, "*axes 6"]:
    """First two rows of Rodrigues' matrix, R = cos(t) I + a [v] + b v v^T; numpy's sinc is smooth at zero."""
    x, y, z = np.moveaxis(axis_angle, -1, 0)
    angle = np.sqrt(x * x + y * y + z * z)
    a, b, c = np.sinc(angle / np.pi), np.sinc(angle / (2 * np.pi)) ** 2 / 2, np.cos(angle)
    bxy = b * x * y
    rows = [c + b * x * x, bxy - a * z, b * x * z + a * y, bxy + a * z, c + b * y * y, b * y * z - a * x]
    return np.stack(rows, axis=-1).astype(axis_angle.dtype, copy=False)
