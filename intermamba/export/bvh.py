"""BVH: one person as a hierarchy of joints, with translation and Euler angles of each in every frame.

Metres, y up, angles in degrees in the order Z, X, Y (intrinsic). Position channels replace a joint's offset, as in
Blender and others; a program that ignores them below the root shows the same rotations on bones of mean length.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from intermamba.export.pose import Animation
from intermamba.skeleton import HANDS

CHANNELS = "Xposition Yposition Zposition Zrotation Xrotation Yrotation"
_TIP = {"head": (0.0, 0.15, 0.0), "left_wrist": (0.15, 0.0, 0.0), "right_wrist": (-0.15, 0.0, 0.0)}
_TOES = (0.0, 0.0, 0.08)
"""Ends of the body beyond the last joints, metres, chosen by eye; they change no rotation."""


def document(motion: Animation, person: int, fps: int) -> str:
    """The text of a file."""
    order = list(_depth_first(motion, 0))
    angles = euler(motion.rotations[:, person])
    rows = np.concatenate([motion.translations[:, person], angles], axis=-1)[:, order].reshape(len(angles), -1)
    lines = ["HIERARCHY", *_hierarchy(motion, person, 0, ""), "MOTION"]
    lines += [f"Frames: {len(rows)}", f"Frame Time: {1 / fps:.8f}"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in rows]
    return "\n".join([*lines, ""])


def euler(rotations: Float[np.ndarray, "T J 3 3"]) -> Float[np.ndarray, "T J 3"]:
    """Angles about Z, X and Y in degrees, without jumps of 360 degrees between frames."""
    angles = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_euler("ZXY", degrees=True)
    return np.unwrap(angles.reshape(*rotations.shape[:2], 3), axis=0, period=360)


def _depth_first(motion: Animation, joint: int) -> Iterator[int]:
    yield joint
    for child in motion.children(joint):
        yield from _depth_first(motion, child)


def _hierarchy(motion: Animation, person: int, joint: int, indent: str) -> Iterator[str]:
    inner, name, children = indent + "  ", motion.names[joint], motion.children(joint)
    yield f"{indent}{'JOINT' if indent else 'ROOT'} {name}"
    yield indent + "{"
    yield f"{inner}OFFSET {_numbers(motion.rest[person, joint])}"
    yield f"{inner}CHANNELS 6 {CHANNELS}"
    for child in children:
        yield from _hierarchy(motion, person, child, inner)
    if not children:
        # A fingertip continues the last bone.
        tip = tuple(motion.rest[person, joint]) if name in HANDS else _TIP.get(name, _TOES)
        yield from (f"{inner}End Site", inner + "{", f"{inner}  OFFSET {_numbers(tip)}", inner + "}")
    yield indent + "}"


def _numbers(values: Float[np.ndarray, " 3"] | tuple[float, float, float]) -> str:
    return " ".join(f"{value:.6f}" for value in values)
