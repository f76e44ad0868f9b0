"""Skeletons: joint names, kinematic trees and the project's own neutral proportions.

SMPL's 22 body joints are the first 22 of SMPL-X's 55, in the same order, so one table serves both datasets. Rest pose:
T-pose, y up, facing +z, the left side at +x, metres. Offsets are the project's own round figures for an adult of about
1.7 m; they are not taken from the licensed SMPL-X model (which a user can supply, see ``datasets.interx.skeleton``).
"""

BODY = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
FACE = ("jaw", "left_eye", "right_eye")
_FINGERS = tuple(f"{finger}{joint}" for finger in ("index", "middle", "pinky", "ring", "thumb") for joint in (1, 2, 3))
LEFT_HAND = tuple(f"left_{name}" for name in _FINGERS)
RIGHT_HAND = tuple(f"right_{name}" for name in _FINGERS)

HANDS = LEFT_HAND + RIGHT_HAND

JOINTS = BODY + FACE + HANDS
"""SMPL-X's 55 joints; the first 22 are SMPL's body."""

INDEX = {name: index for index, name in enumerate(JOINTS)}

BODY_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)


def _finger_parents(wrist: int, first: int) -> tuple[int, ...]:
    return tuple(wrist if joint % 3 == 0 else first + joint - 1 for joint in range(15))


PARENTS = (*BODY_PARENTS, 15, 15, 15, *_finger_parents(20, 25), *_finger_parents(21, 40))
"""Parent of each of the 55 joints; -1 for the root. A parent always comes before its children."""

CHAINS = ((0, 2, 5, 8, 11), (0, 1, 4, 7, 10), (0, 3, 6, 9, 12, 15), (9, 14, 17, 19, 21), (9, 13, 16, 18, 20))
"""Right leg, left leg, spine, right arm, left arm: the bones of InterGen's bone-length loss and of all drawings."""

BONE_STARTS = tuple(joint for chain in CHAINS for joint in chain[:-1])
BONE_ENDS = tuple(joint for chain in CHAINS for joint in chain[1:])
"""The two joints of every bone of the chains."""

LEFT_BODY = (1, 4, 7, 10, 13, 16, 18, 20)
RIGHT_BODY = (2, 5, 8, 11, 14, 17, 19, 21)
LEFT_HIP, RIGHT_HIP = 1, 2
FEET = (7, 10, 8, 11)
"""Left ankle, left toe, right ankle, right toe: the order of the four contact features [InterGen]."""
FEET_HEIGHT = (0.12, 0.05, 0.12, 0.05)
"""Below this height in metres a joint of FEET can be in contact [InterGen]."""
FEET_SQUARED_STEP = 0.001
"""Below this squared displacement per frame, in square metres, it is in contact [InterGen]."""
TOUCHING = 0.1
"""Metres between two joints, below which two people touch [InterGen's joint affinity]."""

_RIGHT_AND_MIDDLE = {
    "pelvis": (0.0, 0.0, 0.0), "spine1": (0.0, 0.11, -0.02), "spine2": (0.0, 0.13, 0.0), "spine3": (0.0, 0.06, 0.02),
    "neck": (0.0, 0.20, -0.03), "head": (0.0, 0.11, 0.04), "jaw": (0.0, 0.0, 0.03),
    "right_hip": (-0.07, -0.09, 0.0), "right_knee": (-0.03, -0.39, 0.0), "right_ankle": (0.0, -0.41, -0.03),
    "right_foot": (-0.03, -0.06, 0.13), "right_collar": (-0.05, 0.12, -0.01), "right_shoulder": (-0.12, 0.03, -0.01),
    "right_elbow": (-0.26, 0.0, -0.01), "right_wrist": (-0.25, 0.0, 0.0), "right_eye": (-0.03, 0.06, 0.08),
    "right_index1": (-0.10, 0.0, 0.02), "right_middle1": (-0.10, 0.0, 0.0), "right_pinky1": (-0.08, -0.01, -0.04),
    "right_ring1": (-0.09, 0.0, -0.02), "right_thumb1": (-0.03, -0.01, 0.03),
}  # fmt: skip
_KNUCKLE = {"index": -0.028, "middle": -0.029, "pinky": -0.018, "ring": -0.026, "thumb": -0.025}


def _offset(name: str) -> tuple[float, float, float]:
    if name.startswith("left_"):  # the body is symmetric: mirror the right side
        x, y, z = _offset("right_" + name.removeprefix("left_"))
        return -x, y, z
    if name in _RIGHT_AND_MIDDLE:
        return _RIGHT_AND_MIDDLE[name]
    finger = name.removeprefix("right_")[:-1]
    return (_KNUCKLE[finger], 0.0, 0.02 if finger == "thumb" else 0.0)


OFFSETS = tuple(_offset(name) for name in JOINTS)
"""Offset of each of the 55 joints from its parent in the rest pose, (J, 3), metres; the root's is zero."""
