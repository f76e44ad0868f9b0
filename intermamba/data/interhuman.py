"""InterHuman's processing: from raw global joints of two people to 262 features per person.

Pure functions of arrays. The source is InterGen's loader (``utils/utils.py``: ``process_motion_np``,
``rigid_transform``, ``swap_left_right``; ``datasets/interhuman.py``). Arithmetic stays in the precision of the input:
with float32 files it follows the loader's single precision step by step, because a foot contact is a threshold and must
not flip; with float64 it is a reference. The loops are in :mod:`intermamba.data.kernels`.

Raw columns of one person, 192: 22 joint positions in metres (z up), then 21 rotations as interleaved 6D columns.
Features of one person, 262: positions (y up), velocities in metres per frame, the 21 rotations as in the file (raw
axes, not rotated), four foot contacts. T raw frames give T - 1 feature frames.
"""

import numpy as np
from jaxtyping import Float

from intermamba.errors import DataError
from intermamba.skeleton import LEFT_BODY, RIGHT_BODY

FPS = 30
"""Frames per second of the processed files [InterHuman]."""
PERSONS = ("person1", "person2")
"""Folders of the two persons' files."""
JOINTS = 22
"""Body joints among the features; hands and face are left out [InterGen]."""
FILE_COLUMNS = 492
"""Columns of a processed file: 62 joints x 3 positions, 51 joints x 6D rotations."""
RAW = 192
"""Numbers per frame and person that are read: 22 positions, and 21 rotations in 6D."""
FEATURES = 262
"""F, features per frame and person [InterGen]."""
POSITIONS, VELOCITIES, ROTATIONS, CONTACTS = slice(0, 66), slice(66, 132), slice(132, 258), slice(258, 262)
"""Columns of each group among the 262 features."""

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
    """The body's positions and rotations from a file's columns (0:66 and 186:312), float32."""
    return np.concatenate([file[:, 0:66], file[:, 186:312]], axis=1, dtype=np.float32)


def mirror(raw: Float[np.ndarray, "*axes 192"]) -> Float[np.ndarray, "*axes 192"]:
    """The reflection in x = 0 with left and right joints exchanged; its own inverse."""
    from intermamba.data import kernels  # compiled loops; slow to import

    rows = np.ascontiguousarray(raw).reshape(-1, RAW)
    return kernels.mirrored(rows, _MIRROR_COLUMNS, _MIRROR_SIGNS.astype(raw.dtype)).reshape(raw.shape)


def pair_features(
    person1: Float[np.ndarray, "T 192"], person2: Float[np.ndarray, "T 192"]
) -> Float[np.ndarray, "T-1 2 262"]:
    """Features of both people in person 1's frame: person 1 starts at the origin and faces +z; the floor is y = 0.

    Person 2 is processed alone like person 1 and put back by one rigid transform (yaw and horizontal offset at frame
    0), so horizontal relations are kept; each person's own lowest point is the floor. A foot is in contact where it is
    low and hardly moves until the next frame. The GIL is released most of the time.

    Raises:
        DataError: not two equally long clips of 192 columns and at least one frame.
    """
    import torch  # slow to import, as are the compiled loops, so imported only here

    from intermamba.data import kernels

    dtype = np.result_type(person1, person2)
    raw1, raw2 = (np.ascontiguousarray(person, dtype) for person in (person1, person2))
    if raw1.shape != raw2.shape or raw1.shape[1:] != (RAW,) or not len(raw1):
        raise DataError(
            f"pair_features: shapes {raw1.shape} and {raw2.shape}; needs (frames, {RAW}) twice, frames > 0."
        )
    stances, squared = kernels.stances(raw1, raw2)
    # The loader's square root is torch's, not numpy's to the last bit; the difference matters where a sum cancels,
    # facing near -z.
    lengths = torch.from_numpy(squared).sqrt().numpy()
    features = np.empty((len(raw1) - 1, 2, FEATURES), dtype)
    kernels.fill(raw1, raw2, stances, lengths, features)
    return features
