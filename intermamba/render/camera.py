"""A pinhole camera, and its position for a motion."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from intermamba.skeleton import LEFT_HIP, RIGHT_HIP

_UP = np.array([0.0, 1.0, 0.0])
_ELEVATION, _TURN = math.radians(14), math.radians(18)
"""Angle by which the camera looks down, and by which it deviates from a view at right angles to the people's line."""
_LENS = 0.3
"""Half the image's height at distance one: a long lens, with little distortion."""
_MARGIN = 0.25
"""Margin around the joints in metres: heads, hands and some space."""


@dataclass(frozen=True)
class Camera:
    """A fixed pinhole camera."""

    position: Float[np.ndarray, " 3"]
    axes: Float[np.ndarray, "3 3"]
    """Rows: to the right of the image, up, and from the scene to the viewer."""
    width: float
    """Half the width of the image at distance one; ``height`` is half its height."""
    height: float

    def project(self, points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Image coordinates (right, up) at distance one, and the depth in metres."""
        right, up, back = np.moveaxis((points - self.position) @ self.axes.T, -1, 0)
        return np.stack([right / -back, up / -back, -back], axis=-1)

    @classmethod
    def around(cls, joints: Float[np.ndarray, "T 2 22 3"], aspect: float = 4 / 3) -> "Camera":
        """The nearest camera that sees a whole motion and shows the two people side by side.

        If both face the same way, it is in front of them; else person a is on the left.

        Args:
            joints: joints of all frames to be shown.
            aspect: width of the image over its height.
        """
        apart = joints[:, 1, 0] - joints[:, 0, 0]
        facing = np.cross(joints[..., LEFT_HIP, :] - joints[..., RIGHT_HIP, :], _UP).mean((0, 1))
        across = _side_by_side(apart)
        beside = np.cross(across, _UP)
        if facing @ beside < -0.3 * np.linalg.norm(facing):
            across, beside = -across, -beside
        beside, across = (
            math.cos(_TURN) * beside + math.sin(_TURN) * across,
            math.cos(_TURN) * across - math.sin(_TURN) * beside,
        )
        back = math.cos(_ELEVATION) * beside + math.sin(_ELEVATION) * _UP
        axes = np.stack([across, np.cross(back, across), back])
        view = np.array([_LENS * aspect, _LENS])

        seen = joints.reshape(-1, 3) @ axes.T
        centre = (seen.min(0) + seen.max(0)) / 2
        reach = np.abs(seen - centre)[:, :2] + _MARGIN
        distance = (seen[:, 2] - centre[2] + (reach / view).max(1)).max()
        return cls((centre + np.array([0.0, 0.0, distance])) @ axes, axes, *map(float, view))


def _side_by_side(apart: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, " 3"]:
    """The horizontal direction along which two people are furthest apart over a motion, from person a to person b.

    Not the mean of ``apart``, from a to b in each frame: if people change sides, that is nearly zero. +x if they are
    never apart.
    """
    flat = apart * (1 - _UP)
    if np.linalg.norm(flat, axis=-1).max() < 0.05:
        return np.array([1.0, 0.0, 0.0])
    direction: np.ndarray = np.linalg.eigh(flat.T @ flat)[1][:, -1]
    return direction if flat.mean(0) @ direction >= 0 else -direction
