"""Kinematics of one performer, vectorised over frames: rotations, forward kinematics, analytic two-bone chains.

World axes: y up, metres. A yaw of 0 faces +z and a positive yaw turns to the performer's left (counterclockwise seen
from above). NumPy in float64 throughout: nothing here needs gradients, and imports stay fast.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from intermamba.skeleton import INDEX, OFFSETS, PARENTS

Angle = Float[np.ndarray, "*axes"]
Vector = Float[np.ndarray, "*axes 3"]
Matrix = Float[np.ndarray, "*axes 3 3"]

REST = np.array(OFFSETS)
PALM = 0.085
"""Middle of the palm, metres beyond the wrist along the rest hand."""
SOLE = 0.02
"""Height of the toe joint of a planted foot, which is inside the ball of the foot."""

_AXES = {"x": (0, 1, 2), "y": (1, 2, 0), "z": (2, 0, 1)}


def turn(axis: str, angle: Angle) -> Matrix:
    """Rotation matrices about one coordinate axis (right-handed)."""
    fixed, first, second = _AXES[axis]
    matrix = np.zeros((*np.shape(angle), 3, 3))
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix[..., fixed, fixed] = 1.0
    matrix[..., first, first] = matrix[..., second, second] = cosine
    matrix[..., second, first] = sine
    matrix[..., first, second] = -sine
    return matrix


def apply(
    matrix: Float[np.ndarray, "T 3 3"], vector: Float[np.ndarray, "T 3"] | Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "T 3"]:
    """Rotate one vector per frame, or the same vector in every frame."""
    return np.einsum("...ij,...j->...i", matrix, vector)


def unit(vector: Vector) -> Vector:
    """Vectors of length 1 in the same directions."""
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def _frame(direction: Vector, normal: Vector) -> Matrix:
    """Orthonormal axes as columns: the direction, the part of ``normal`` orthogonal to it, and their product."""
    first = unit(direction)
    second = unit(normal - (normal * first).sum(-1, keepdims=True) * first)
    return np.stack([first, second, np.cross(first, second)], axis=-1)


@dataclass(frozen=True)
class Limb:
    """An arm (shoulder, elbow, palm) or a leg (hip, knee, ankle) as two rigid bones with a hinge between them."""

    root: int
    middle: int
    upper: Float[np.ndarray, " 3"]
    """Rest vector of the upper bone."""
    lower: Float[np.ndarray, " 3"]
    """Rest vector of the lower bone."""
    bends: tuple[float, float, float]
    """Direction of the middle joint when the limb bends, in the rest pose."""
    softness: float
    """Metres over which the ends of the reachable range are rounded: a hard clamp would make the joint snap."""

    def solve(
        self,
        start: Float[np.ndarray, "T 3"],
        goal: Float[np.ndarray, "T 3"],
        pole: Float[np.ndarray, "T 3"],
        scale: float,
    ) -> tuple[Float[np.ndarray, "T 3 3"], Float[np.ndarray, "T 3 3"]]:
        """World rotations of both bones so that the limb's end is at ``goal``, or as near as it reaches, softly.

        ``pole`` (any length) gives the direction of the elbow or knee; it must not be parallel to the limb.
        """
        upper, lower = scale * np.linalg.norm(self.upper), scale * np.linalg.norm(self.lower)
        line = goal - start
        far = np.linalg.norm(line, axis=-1)
        along = line / np.maximum(far, 1e-6)[:, None]
        width = self.softness
        most, least = 0.998 * (upper + lower), abs(upper - lower) + 0.12 * (upper + lower)
        far = far - width * np.logaddexp(0.0, (far - most) / width)
        far = far + width * np.logaddexp(0.0, (least - far) / width)
        forward = (far**2 + upper**2 - lower**2) / (2 * far)
        aside = np.sqrt(np.maximum(upper**2 - forward**2, 0.0))
        bend = unit(pole - (pole * along).sum(-1, keepdims=True) * along)
        first = forward[:, None] * along + aside[:, None] * bend
        second = far[:, None] * along - first
        normal = np.cross(along, bend)
        at_rest = np.cross(unit(self.upper + self.lower), np.array(self.bends))
        return (
            _frame(first, normal) @ _frame(self.upper, at_rest).T,
            _frame(second, normal) @ _frame(self.lower, at_rest).T,
        )


def _limbs() -> dict[str, Limb]:
    limbs = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        hand = REST[INDEX[f"{side}_wrist"]] + np.array([sign * PALM, 0.0, 0.0])
        limbs[f"{side}_arm"] = Limb(
            INDEX[f"{side}_shoulder"],
            INDEX[f"{side}_elbow"],
            REST[INDEX[f"{side}_elbow"]],
            hand,
            (0.0, 0.0, -1.0),
            0.006,
        )
        limbs[f"{side}_leg"] = Limb(
            INDEX[f"{side}_hip"], INDEX[f"{side}_knee"], REST[INDEX[f"{side}_knee"]], REST[INDEX[f"{side}_ankle"]],
            (0.0, 0.0, 1.0), 0.001,
        )  # fmt: skip
    return limbs


LIMBS = _limbs()


def forward_kinematics(
    rotations: Float[np.ndarray, "T J 3 3"],
    translation: Float[np.ndarray, "T 3"],
    scale: float,
    joints: int | None = None,
) -> tuple[Float[np.ndarray, "T K 3"], Float[np.ndarray, "T K 3 3"]]:
    """World positions and rotations of the first ``joints`` joints (default: all given) from local rotations.

    The NumPy twin of :func:`intermamba.rotations.forward_kinematics`, with the rest offsets multiplied by ``scale``.
    """
    count = rotations.shape[1] if joints is None else joints
    turned = np.empty((len(rotations), count, 3, 3))
    placed = np.empty((len(rotations), count, 3))
    turned[:, 0], placed[:, 0] = rotations[:, 0], translation
    for joint in range(1, count):
        parent = PARENTS[joint]
        np.matmul(turned[:, parent], rotations[:, joint], out=turned[:, joint])
        placed[:, joint] = placed[:, parent] + turned[:, parent] @ (scale * REST[joint])
    return placed, turned


def fingers(curl: Float[np.ndarray, " T"], side: str) -> Float[np.ndarray, "T 15 3 3"]:
    """Local rotations of one hand's 15 finger joints; ``curl`` in radians per joint, 0 is the flat rest hand."""
    sign = -1.0 if side == "left" else 1.0  # the rest palm looks down; fingers curl towards it
    rotations = np.broadcast_to(turn("z", sign * curl)[:, None], (len(curl), 15, 3, 3)).copy()
    rotations[:, 12:] = turn("z", sign * 0.4 * curl)[:, None]
    return rotations
