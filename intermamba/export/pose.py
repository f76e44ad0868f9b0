"""Animation of a skeleton, a rotation and a translation per joint, from joint positions and the model's rotations.

Positions have precedence. A joint with several children (pelvis, chest) gets the rotation that fits them best, also
InterHuman's pelvis, whose rotation is not among the features. A joint with one child keeps the model's rotation, plus
the smallest rotation that makes its bone point at the child. End joints keep the model's rotations. If the model has
finger rotations, fingers are attached to the wrists with the bones of the model's body.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from intermamba.skeleton import BODY, BODY_PARENTS, HANDS, INDEX, JOINTS, OFFSETS, PARENTS

_CHILDREN = [[child for child, parent in enumerate(BODY_PARENTS) if parent == joint] for joint in range(len(BODY))]


@dataclass(frozen=True)
class Animation:
    """The joints of two persons over time, each relative to its parent; metres, y up."""

    names: tuple[str, ...]
    """The 22 joints of the body, then those of the hands, if any."""
    parents: tuple[int, ...]
    rest: Float[np.ndarray, "2 J 3"]
    """Offsets of joints from their parents in the T-pose, with each person's mean bone lengths."""
    rotations: Float[np.ndarray, "T 2 J 3 3"]
    translations: Float[np.ndarray, "T 2 J 3"]

    def children(self, joint: int) -> list[int]:
        """Joints whose parent is ``joint``."""
        return [child for child, parent in enumerate(self.parents) if parent == joint]


def animate(
    joints: Float[np.ndarray, "T 2 22 3"],
    rotations: Float[np.ndarray, "T 2 J 3 3"],
    names: Sequence[str],
    bones: Float[np.ndarray, "55 3"] | None = None,
) -> Animation:
    """The animation whose joints are where ``joints`` says.

    Args:
        joints: global positions of the body.
        rotations: rotations of the joints ``names``, relative to their parents; other joints have none.
        names: names of any joints; the face is left out, and fingers unless all are given.
        bones: offset of each joint of the body from its parent in the T-pose, metres; none: the project's neutral
            skeleton.
    """
    joints = joints.astype(np.float64)
    local = np.tile(np.eye(3), (*joints.shape[:3], 1, 1))
    known = {name: index for index, name in enumerate(names)}
    for joint, name in enumerate(BODY):
        if name in known:
            local[:, :, joint] = rotations[:, :, known[name]]
    between = joints - joints[:, :, np.maximum(BODY_PARENTS, 0)]
    skeleton = np.array(OFFSETS) if bones is None else bones.astype(np.float64)
    offsets = skeleton[: len(BODY)]
    lengths = np.linalg.norm(between, axis=-1).mean(0)
    rest = offsets / np.maximum(np.linalg.norm(offsets, axis=-1, keepdims=True), 1e-9) * lengths[..., None]

    turned = np.empty_like(local)
    for joint, parent in enumerate(BODY_PARENTS):
        turned[:, :, joint] = local[:, :, joint] if parent < 0 else turned[:, :, parent] @ local[:, :, joint]
        children = _CHILDREN[joint]
        if len(children) == 1:
            pointing = np.einsum("tpij,j->tpi", turned[:, :, joint], offsets[children[0]])
            turned[:, :, joint] = _smallest(pointing, between[:, :, children[0]]) @ turned[:, :, joint]
        elif children:
            turned[:, :, joint] = _best(offsets[children], between[:, :, children])
        relative = turned[:, :, joint] if parent < 0 else turned[:, :, parent].swapaxes(-1, -2) @ turned[:, :, joint]
        local[:, :, joint] = relative
    translations = np.einsum("tpjki,tpjk->tpji", turned[:, :, np.maximum(BODY_PARENTS, 0)], between)
    translations[:, :, 0] = joints[:, :, 0]
    body = Animation(BODY, BODY_PARENTS, rest, local, translations)
    if not known.keys() >= set(HANDS):
        return body
    return _with_hands(body, rotations[:, :, [known[name] for name in HANDS]], skeleton)


def _with_hands(
    body: Animation, rotations: Float[np.ndarray, "T 2 30 3 3"], skeleton: Float[np.ndarray, "55 3"]
) -> Animation:
    names = BODY + HANDS
    fingers = [INDEX[name] for name in HANDS]
    rest = np.tile(skeleton[fingers], (2, 1, 1))
    return Animation(
        names,
        (*body.parents, *(names.index(JOINTS[PARENTS[joint]]) for joint in fingers)),
        np.concatenate([body.rest, rest], axis=1),
        np.concatenate([body.rotations, rotations], axis=2),
        np.concatenate([body.translations, np.tile(rest, (len(rotations), 1, 1, 1))], axis=2),
    )


def _best(rest: Float[np.ndarray, "C 3"], bones: Float[np.ndarray, "T 2 C 3"]) -> Float[np.ndarray, "T 2 3 3"]:
    """The rotations that best align directions ``rest`` with those of ``bones`` (Kabsch)."""
    directions = bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-9)
    before = rest / np.linalg.norm(rest, axis=-1, keepdims=True)
    left, _, right = np.linalg.svd(np.einsum("tpci,cj->tpij", directions, before))
    flip = np.ones((*left.shape[:2], 3))
    flip[..., 2] = np.linalg.det(left @ right)
    return left * flip[..., None, :] @ right


def _smallest(start: Float[np.ndarray, "T 2 3"], stop: Float[np.ndarray, "T 2 3"]) -> Float[np.ndarray, "T 2 3 3"]:
    """The smallest rotations that turn directions ``start`` into ``stop``."""
    axis, cosine = np.cross(start, stop), (start * stop).sum(-1)
    sine = np.linalg.norm(axis, axis=-1)
    # Opposite directions define no axis: any perpendicular one works.
    aside = np.cross(start, np.eye(3)[np.abs(start).argmin(-1)])
    across = np.where(sine[..., None] > 1e-9, axis, aside)
    across /= np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-12)
    turns = across * np.arctan2(sine, cosine)[..., None]
    return Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(*turns.shape, 3)
