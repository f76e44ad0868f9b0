"""Floor and bodies as matplotlib artists in a camera's image plane.

Bodies are capsules between joints, painted from far to near. Everything is in image coordinates, so a drawing looks
the same at any size, and vector formats stay vectors. A strip of moments is one call of :func:`draw_floor` and one
:class:`People` per moment.
"""

import math

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_rgb

from intermamba.render.camera import Camera
from intermamba.skeleton import BODY, BODY_PARENTS, INDEX

PERSON_COLOURS = ("#0072B2", "#D55E00")
"""Okabe and Ito's blue and vermilion, for person a and person b."""
_THICK = {
    "pelvis": 0.08, "hip": 0.07, "knee": 0.046, "ankle": 0.033, "foot": 0.028, "spine1": 0.078, "spine2": 0.082,
    "spine3": 0.085, "neck": 0.045, "collar": 0.058, "head": 0.045, "shoulder": 0.047, "elbow": 0.035, "wrist": 0.028,
}  # fmt: skip
"""Radii in metres by the name of a joint, chosen by eye."""
RADII = tuple(_THICK[name.removeprefix("left_").removeprefix("right_")] for name in BODY)
"""Radius of the body at each joint, metres."""
_RADIUS = np.array(RADII)
_HEAD = 0.1
"""Radius of the head, metres; its centre is as far beyond the joint, along the neck."""
_LIMBS = ("knee", "ankle", "foot", "elbow", "wrist")
_RIM = np.array([0.012 * name.endswith(_LIMBS) for name in BODY[1:]] + [0.0])
"""Width of the white rim of each bone, metres: it keeps crossing limbs apart. The head comes last."""
_GRID, _SHADOW = "#D5DAE0", "#DDE1E6"
_LEVEL = np.array([1.0, 0.0, 1.0])
_ROUND, _ENDS = np.linspace(0, 1, 12), np.array([0.0, 1.0])


def draw_floor(axes: Axes, camera: Camera, joints: Float[np.ndarray, "*n 22 3"], height: float) -> None:
    """A grid under everything in ``joints``, fading out around it; empties ``axes`` first.

    Its lines are half a metre apart, or a power of two more where that would make too many.

    Args:
        axes: axes of any size; the image keeps its aspect ratio.
        camera: the camera of the image.
        joints: joints of all frames to be shown.
        height: of the floor, metres.
    """
    axes.clear()
    axes.set(xlim=(-camera.width, camera.width), ylim=(-camera.height, camera.height), aspect="equal")
    axes.set_axis_off()
    ground = joints.reshape(-1, 3)[:, [0, 2]]
    centre = (ground.min(0) + ground.max(0)) / 2
    inner = np.linalg.norm(ground - centre, axis=1).max()
    outer = inner + 1.5

    spacing = 0.5 * 2 ** max(0, math.ceil(math.log2(outer / 15)))
    lines = math.ceil(outer / spacing)
    at, steps = spacing * np.arange(-lines, lines + 1), spacing / 5 * np.arange(-5 * lines, 5 * lines + 1)
    across, along = np.meshgrid(at, steps, indexing="ij")
    grid = np.concatenate([np.stack(pair, axis=-1) for pair in ((across, along), (along, across))])
    points = np.insert(grid + centre, 1, height, axis=-1)
    pieces = np.stack([points[:, :-1], points[:, 1:]], axis=-2).reshape(-1, 2, 3)
    distance = np.linalg.norm(pieces.mean(1)[:, [0, 2]] - centre, axis=1)
    fade = np.clip((distance - inner) / (outer - inner), 0, 1) ** 0.7
    seen = (fade < 1) & (camera.project(pieces)[..., 2] > 0.1).all(1)
    colours = [_mix(_GRID, white) for white in fade[seen]]
    axes.add_collection(
        LineCollection(list(camera.project(pieces[seen])[..., :2]), colors=colours, linewidths=0.8, zorder=0)
    )


class People:
    """Both persons of a frame, with their shadows, as artists that can be moved to another frame.

    Args:
        height: of the floor, metres.
    """

    def __init__(self, axes: Axes, camera: Camera, joints: Float[np.ndarray, "2 22 3"], height: float) -> None:
        self._camera, self._height = camera, height
        self._colours = _colours()
        self.shadows = PolyCollection([], facecolors=[_SHADOW], edgecolors="none", zorder=1)
        self.bodies = PolyCollection([], edgecolors="none", zorder=2)
        axes.add_collection(self.shadows)
        axes.add_collection(self.bodies)
        self.show(joints)

    def show(self, joints: Float[np.ndarray, "2 22 3"]) -> None:
        """Move to another frame."""
        *ends, thick = _bones(joints)
        start, stop = (self._camera.project(end * _LEVEL + self._height * (1 - _LEVEL)) for end in ends)
        self.shadows.set_verts(list(_capsules(start, stop, thick, _ROUND)))
        start, stop = map(self._camera.project, ends)
        rims = _capsules(start, stop, thick + np.tile(_RIM, 2)[:, None], _ENDS)
        bones = _capsules(start, stop, thick, _ROUND)
        # Far to near. Rims have no round ends, so that joints show no seam.
        order = np.argsort(-(start[:, 2] + stop[:, 2]), kind="stable")
        self.bodies.set_verts([outline for bone in order for outline in (rims[bone], bones[bone])])
        self.bodies.set_facecolor([colour for bone in order for colour in ("white", self._colours[bone])])


def _bones(
    joints: Float[np.ndarray, "2 22 3"],
) -> tuple[Float[np.ndarray, "N 3"], Float[np.ndarray, "N 3"], Float[np.ndarray, "N 2"]]:
    """Both ends of every bone of both persons, heads last, and the radii there, metres."""
    child = np.arange(1, len(BODY))
    parent = np.array(BODY_PARENTS[1:])
    neck, head = joints[:, INDEX["neck"]], joints[:, INDEX["head"]]
    upwards = (head - neck) / np.maximum(np.linalg.norm(head - neck, axis=-1, keepdims=True), 1e-6)
    skull = head + 0.7 * _HEAD * upwards
    start = np.concatenate([joints[:, parent], skull[:, None] - 0.02 * upwards[:, None]], axis=1)
    stop = np.concatenate([joints[:, child], skull[:, None] + 0.02 * upwards[:, None]], axis=1)
    thick = np.concatenate([np.stack([_RADIUS[parent], _RADIUS[child]], axis=-1), [[_HEAD, _HEAD]]])
    return start.reshape(-1, 3), stop.reshape(-1, 3), np.tile(thick, (2, 1))


def _capsules(
    start: Float[np.ndarray, "N 3"],
    stop: Float[np.ndarray, "N 3"],
    radius: Float[np.ndarray, "N 2"],
    arc: Float[np.ndarray, " V"],
) -> Float[np.ndarray, "N 2*V 2"]:
    """Outlines in the image plane: the hull of a disc around each end, nearer ones larger.

    ``arc`` holds where on each half circle there is a corner, 0 and 1 being where the common tangents touch.
    """
    r1, r2 = radius[:, 0] / start[:, 2], radius[:, 1] / stop[:, 2]
    line = (stop - start)[:, :2]
    heading = np.arctan2(line[:, 1], line[:, 0])
    # If one disc is inside the other, the larger alone is the outline.
    tangent = np.arccos(np.clip((r1 - r2) / np.maximum(np.linalg.norm(line, axis=1), 1e-9), -1, 1))
    first = (heading + tangent)[:, None] + 2 * (np.pi - tangent)[:, None] * arc
    second = (heading - tangent)[:, None] + 2 * tangent[:, None] * arc
    halves = [
        centre[:, None, :2] + r[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        for centre, r, angle in ((start, r1, first), (stop, r2, second))
    ]
    return np.concatenate(halves, axis=1)


def _colours() -> list[tuple[float, ...]]:
    """One colour per bone, in the order of :func:`_bones`: the person's own, lighter for the right arm and leg."""
    lighter = [0.38 * (name.startswith("right_") and name.endswith(_LIMBS)) for name in BODY[1:]] + [0.0]
    return [_mix(colour, light) for colour in PERSON_COLOURS for light in lighter]


def _mix(colour: str | tuple[float, ...], white: float) -> tuple[float, ...]:
    return tuple(channel + (1 - channel) * float(white) for channel in to_rgb(colour))
