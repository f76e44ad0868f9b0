"""InterHuman's processing: raw global joints of two people to the 262 features a person that models and judges see.

Pure functions of arrays. The source is InterGen's loader (``utils/utils.py``: ``process_motion_np``,
``rigid_transform``, ``swap_left_right``; ``datasets/interhuman.py``). Arithmetic stays in the precision of the input:
with float32 files it follows the loader's single precision step by step, because a foot contact is a threshold and must
not flip; with float64 it is a reference.

Raw columns of one person, 192: 22 joint positions in metres (z up), then 21 rotations as interleaved 6D columns.
Features of one person, 262: positions (y up), velocities in metres a frame, the 21 rotations as they stand in the file
(raw axes, not turned), four foot contacts. T raw frames give T - 1 feature frames.
"""

import numpy as np
import torch
from jaxtyping import Float, Shaped

from intermamba.skeleton import FEET, FEET_HEIGHT, FEET_SQUARED_STEP, LEFT_BODY, LEFT_HIP, RIGHT_BODY, RIGHT_HIP

FPS = 30
JOINTS = 22
FILE_COLUMNS = 492
"""Columns of a processed file: 62 joints x 3 positions, 51 joints x 6D rotations."""
RAW = 192
FEATURES = 262
POSITIONS, VELOCITIES, ROTATIONS, CONTACTS = slice(0, 66), slice(66, 132), slice(132, 258), slice(258, 262)
"""Where each group lies among the 262 features."""

_RIGHT, _LEFT = list(RIGHT_BODY), list(LEFT_BODY)
_MIRRORED = np.arange(JOINTS)
_MIRRORED[_RIGHT + _LEFT] = _LEFT + _RIGHT
_POSITION_SIGNS = np.array([-1, 1, 1])
_ROTATION_SIGNS = np.array([1, -1, -1, 1, -1, 1])


def raw_columns(file: Float[np.ndarray, "T 492"]) -> Float[np.ndarray, "T 192"]:
    """The body's positions and rotations out of a file's columns (0:66 and 186:312), float32."""
    return np.concatenate([file[:, 0:66], file[:, 186:312]], axis=1, dtype=np.float32)


def to_y_up(points: Float[np.ndarray, "*axes 3"]) -> Float[np.ndarray, "*axes 3"]:
    """(x, y, z) with z up to (x, z, -y) with y up."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def mirror(raw: Float[np.ndarray, "*axes 192"]) -> Float[np.ndarray, "*axes 192"]:
    """The reflection in x = 0 with left and right joints exchanged; its own inverse."""
    axes = raw.shape[:-1]
    positions = raw[..., POSITIONS].reshape(*axes, JOINTS, 3)[..., _MIRRORED, :] * _POSITION_SIGNS.astype(raw.dtype)
    # Rotations have no root, so joint j is row j - 1.
    rotations = raw[..., 66:].reshape(*axes, JOINTS - 1, 6)[..., _MIRRORED[1:] - 1, :] * _ROTATION_SIGNS.astype(
        raw.dtype
    )
    return np.concatenate([positions.reshape(*axes, -1), rotations.reshape(*axes, -1)], axis=-1)


def pair_features(
    person1: Float[np.ndarray, "T 192"], person2: Float[np.ndarray, "T 192"]
) -> Float[np.ndarray, "T-1 2 262"]:
    """Features of both people in person 1's frame: person 1 starts on the origin and faces +z; feet stand on y = 0.

    Person 2 is processed alone like person 1 and put back by one rigid transform (yaw and horizontal offset at frame
    0), so horizontal relations are kept; each person's own lowest point is the floor.
    """
    raw = np.stack([person1, person2], axis=1)
    frames = len(raw)
    positions = to_y_up(raw[..., POSITIONS].reshape(frames, 2, JOINTS, 3))
    positions[..., 1] -= positions[..., 1].min(axis=(0, 2), keepdims=True)
    start = positions[0].copy()
    roots = start[:, 0]
    w, y = _turn_to_front(start)
    positions[..., [0, 2]] -= roots[:, None, [0, 2]]
    positions = _turned(positions, w[:, None], y[:, None])
    contacts = _foot_contacts(positions)

    # Person 2 back into person 1's frame: undo its own turn, apply person 1's.
    back_w, back_y = w[0] * w[1] + y[0] * y[1], w[1] * y[0] - y[1] * w[0]
    offset = _turned(roots[1] - roots[0], w[0], y[0])
    positions[:, 1] = _turned(positions[:, 1], back_w, back_y)
    velocities = positions[1:] - positions[:-1]
    positions[:, 1, :, 0] += offset[0]
    positions[:, 1, :, 2] += offset[2]
    groups = (
        positions[:-1].reshape(frames - 1, 2, -1),
        velocities.reshape(frames - 1, 2, -1),
        raw[:-1, :, 66:],
        contacts,
    )
    return np.concatenate(groups, axis=-1)


def _turn_to_front(
    start: Float[np.ndarray, "P J 3"],
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    """Quaternion (w, 0, y, 0) that turns each person, from the direction its hips face, to +z."""
    across = start[:, RIGHT_HIP] - start[:, LEFT_HIP]
    across /= np.sqrt((across**2).sum(axis=-1, keepdims=True))
    forward = np.stack([across[:, 2], -across[:, 0]], axis=-1).astype(np.float64)  # up x across, horizontal
    forward = (forward / np.sqrt((forward**2).sum(axis=-1, keepdims=True))).astype(start.dtype)
    x, z = forward[:, 0], forward[:, 1]
    # The loader's square root is torch's, not numpy's to the last bit; facing near -z the sum cancels and it shows.
    w, y = torch.from_numpy(x * x + z * z).sqrt().numpy() + z, -x
    norm = np.sqrt(w * w + y * y)
    half = norm == 0  # facing -z exactly: half a turn, where the loader divides zero by zero
    norm[half], y[half] = 1, 1
    return w / norm, y / norm


def _turned(
    points: Float[np.ndarray, "*axes 3"],
    w: Shaped[np.ndarray, "*any"] | np.floating,
    y: Shaped[np.ndarray, "*any"] | np.floating,
) -> Float[np.ndarray, "*axes 3"]:
    """Points turned about the vertical by the unit quaternion (w, 0, y, 0), which broadcasts against ``axes``."""
    x, z = points[..., 0], points[..., 2]
    u, v = y * z, -(y * x)
    return np.stack([x + 2 * (w * u + y * v), points[..., 1], z + 2 * (w * v - y * u)], axis=-1)


def _foot_contacts(positions: Float[np.ndarray, "T P J 3"]) -> Float[np.ndarray, "T-1 P 4"]:
    """One where a foot joint is low and hardly moves until the next frame."""
    feet = positions[:, :, list(FEET)]
    step = (feet[1:] - feet[:-1]) ** 2
    still = step[..., 0] + step[..., 1] + step[..., 2] < np.float64(FEET_SQUARED_STEP)
    low = feet[:-1, ..., 1] < np.array(FEET_HEIGHT)
    return (still & low).astype(positions.dtype)
