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
from jaxtyping import Bool, Float

from intermamba.skeleton import FEET, FEET_HEIGHT, FEET_SQUARED_STEP, LEFT_BODY, LEFT_HIP, RIGHT_BODY, RIGHT_HIP

FPS = 30
PERSONS = ("person1", "person2")
"""Folders of the two persons' files."""
JOINTS = 22
FILE_COLUMNS = 492
"""Columns of a processed file: 62 joints x 3 positions, 51 joints x 6D rotations."""
RAW = 192
FEATURES = 262
POSITIONS, VELOCITIES, ROTATIONS, CONTACTS = slice(0, 66), slice(66, 132), slice(132, 258), slice(258, 262)
"""Where each group lies among the 262 features."""

_OTHER_SIDE = np.arange(JOINTS)
_OTHER_SIDE[[*LEFT_BODY, *RIGHT_BODY]] = [*RIGHT_BODY, *LEFT_BODY]
_MIRROR_COLUMNS = np.concatenate(
    [
        (3 * _OTHER_SIDE[:, None] + np.arange(3)).ravel(),
        (66 + 6 * (_OTHER_SIDE[1:, None] - 1) + np.arange(6)).ravel(),  # rotations have no root: joint j is row j - 1
    ]
)
_MIRROR_SIGNS = np.array([-1, 1, 1] * JOINTS + [1, -1, -1, 1, -1, 1] * (JOINTS - 1))


def raw_columns(file: Float[np.ndarray, "T 492"]) -> Float[np.ndarray, "T 192"]:
    """The body's positions and rotations out of a file's columns (0:66 and 186:312), float32."""
    return np.concatenate([file[:, 0:66], file[:, 186:312]], axis=1, dtype=np.float32)


def mirror(raw: Float[np.ndarray, "*axes 192"]) -> Float[np.ndarray, "*axes 192"]:
    """The reflection in x = 0 with left and right joints exchanged; its own inverse."""
    return np.take(raw, _MIRROR_COLUMNS, axis=-1) * _MIRROR_SIGNS.astype(raw.dtype)


def pair_features(
    person1: Float[np.ndarray, "T 192"], person2: Float[np.ndarray, "T 192"]
) -> Float[np.ndarray, "T-1 2 262"]:
    """Features of both people in person 1's frame: person 1 starts on the origin and faces +z; feet stand on y = 0.

    Person 2 is processed alone like person 1 and put back by one rigid transform (yaw and horizontal offset at frame
    0), so horizontal relations are kept; each person's own lowest point is the floor.
    """
    raw = np.stack([person1, person2], axis=1)
    # z up to y up: (x, y, z) -> (x, z, -y). Each coordinate is an array (T, P, J).
    x, y, z = raw[..., 0:66:3], raw[..., 2:66:3], -raw[..., 1:66:3]
    y = y - y.min(axis=(0, 2), keepdims=True)
    roots = np.stack([x[0, :, 0], z[0, :, 0]], axis=-1)
    w, q = _turn_to_front(*(axis[0, :, RIGHT_HIP] - axis[0, :, LEFT_HIP] for axis in (x, y, z)))
    x, z = _turned(x - roots[:, :1], z - roots[:, 1:], w[:, None], q[:, None])
    contacts = _foot_contacts(x, y, z)

    # Person 2 back into person 1's frame: undo its own turn, apply person 1's, move to where its root stood.
    (w1, w2), (q1, q2) = np.split(w, 2), np.split(q, 2)
    x[:, 1], z[:, 1] = _turned(x[:, 1], z[:, 1], w1 * w2 + q1 * q2, w2 * q1 - q2 * w1)
    away_x, away_z = _turned(roots[1:, 0] - roots[:1, 0], roots[1:, 1] - roots[:1, 1], w1, q1)
    features = np.empty((len(raw) - 1, 2, FEATURES), dtype=raw.dtype)
    for axis, values in enumerate((x, y, z)):
        np.subtract(values[1:], values[:-1], out=features[..., 66 + axis : 132 : 3])
    x[:, 1] += away_x
    z[:, 1] += away_z
    for axis, values in enumerate((x, y, z)):
        features[..., axis:66:3] = values[:-1]
    features[..., ROTATIONS] = raw[:-1, :, 66:]
    features[..., CONTACTS] = contacts
    return features


def _turn_to_front(
    x: Float[np.ndarray, " P"], y: Float[np.ndarray, " P"], z: Float[np.ndarray, " P"]
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    """Quaternion (w, 0, q, 0) that turns people to +z, whose hips lie (x, y, z) apart, left to right."""
    across = np.stack([x, y, z], axis=-1)
    across /= np.sqrt((across**2).sum(axis=-1, keepdims=True))
    forward = np.stack([across[:, 2], -across[:, 0]], axis=-1).astype(np.float64)  # up x across, horizontal
    forward = (forward / np.sqrt((forward**2).sum(axis=-1, keepdims=True))).astype(across.dtype)
    front_x, front_z = forward[:, 0], forward[:, 1]
    # The loader's square root is torch's, not numpy's to the last bit; facing near -z the sum cancels and it shows.
    w = torch.from_numpy(front_x * front_x + front_z * front_z).sqrt().numpy() + front_z
    q = -front_x
    norm = np.sqrt(w * w + q * q)
    half = norm == 0  # facing -z exactly: half a turn, where the loader divides zero by zero
    norm[half], q[half] = 1, 1
    return w / norm, q / norm


def _turned(
    x: Float[np.ndarray, "*axes"],
    z: Float[np.ndarray, "*axes"],
    w: Float[np.ndarray, "..."],
    q: Float[np.ndarray, "..."],
) -> tuple[Float[np.ndarray, "*axes"], Float[np.ndarray, "*axes"]]:
    """Horizontal coordinates turned about the vertical by the unit quaternion (w, 0, q, 0), which broadcasts."""
    u, v = q * z, -(q * x)
    return x + 2 * (w * u + q * v), z + 2 * (w * v - q * u)


def _foot_contacts(
    x: Float[np.ndarray, "T P J"], y: Float[np.ndarray, "T P J"], z: Float[np.ndarray, "T P J"]
) -> Bool[np.ndarray, "T-1 P 4"]:
    """Where a foot joint is low and hardly moves until the next frame."""
    x, y, z = (axis[..., FEET] for axis in (x, y, z))
    step = np.diff(x, axis=0) ** 2 + np.diff(y, axis=0) ** 2 + np.diff(z, axis=0) ** 2
    # Compared in float64, as the loader does.
    return (step < np.float64(FEET_SQUARED_STEP)) & (y[:-1] < np.array(FEET_HEIGHT))
