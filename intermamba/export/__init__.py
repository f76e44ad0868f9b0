"""Motions for other programs: BVH, one file per person, and GLB, both persons in one file.

The bone lengths of generated motions vary slightly from frame to frame. Files preserve that: every joint's translation
is animated, so that positions in the file equal those of the sample to :data:`TOLERANCE`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from intermamba import files
from intermamba.errors import DataError, quoted
from intermamba.export import bvh, glb
from intermamba.export.pose import animate
from intermamba.motion import places
from intermamba.reading.arrays import check_numbers, read_members

TOLERANCE = 1e-4
"""Maximum distance in metres between a joint in an exported file and in the sample."""
MOST_FPS = 1000
"""Maximum frames per second of a sample."""
_NEEDED = ("joints", "rotations", "rotation_joint_names", "fps", "caption")


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write a sample in the format of the path's suffix, one of :data:`~intermamba.motion.EXPORTS`.

    Args:
        path: as :func:`intermamba.motion.places` takes it.
        content: the arrays of a sample's npz (docs/reference/files.md).
    """
    names = [str(name) for name in content["rotation_joint_names"]]
    bones = np.asarray(content["bones"]) if "bones" in content else None
    motion = animate(np.asarray(content["joints"]), np.asarray(content["rotations"]), names, bones)
    fps, caption = int(content["fps"]), str(content["caption"])
    if path.suffix == ".glb":
        with files.atomic(path) as part:
            part.write_bytes(glb.document(motion, fps, caption))
        return
    for person, target in enumerate(places(path)):
        files.write_text(target, bvh.document(motion, person, fps))


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a sample.

    Raises:
        DataError: the file cannot be read, or is not a sample.
    """
    try:
        content = read_members(Path(path), (), (*_NEEDED, "bones"))
    except DataError as error:
        raise DataError(f"{error} Give an npz written by `sample`.") from error
    if missing := [name for name in _NEEDED if name not in content]:
        raise DataError(
            f"{path}: not a sample of this project (no {', '.join(missing)}). Give an npz written by `sample`."
        )
    names, joints = content["rotation_joint_names"], content["joints"]
    shapes = {"joints": (len(joints) if joints.ndim else 0, 2, 22, 3), "bones": (55, 3), "fps": (), "caption": ()}
    shapes["rotations"] = (*shapes["joints"][:1], 2, *names.shape[:1], 3, 3)
    for name, shape in shapes.items():
        if name in content and content[name].shape != shape:
            raise DataError(f"{path}: {name} is of shape {content[name].shape}; a sample's is {shape}.")
    for name in ("joints", "rotations", "bones"):
        if name in content:
            check_numbers(Path(path), content[name], f"{name}: ")
    if not len(joints) or names.dtype.kind != "U" or content["caption"].dtype.kind != "U":
        raise DataError(f"{path}: no frame, or names or caption are not text.")
    if content["fps"].dtype.kind not in "iu" or not 1 <= content["fps"] <= MOST_FPS:
        raise DataError(f"{path}: fps {quoted(content['fps'].item())}; 1 to {MOST_FPS}.")
    return content
