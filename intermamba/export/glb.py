"""GLB (binary glTF 2.0): both persons as skinned bodies of simple shapes, each joint a node, in one animation.

Metres, y up. Each bone is a tapered tube and each joint a ball, bound to one node alone. Written without a library: a
file is a JSON header and one block of arrays.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.colors import to_rgb
from scipy.spatial.transform import Rotation

from intermamba.export.pose import Animation
from intermamba.render.people import PERSON_COLOURS, RADII
from intermamba.skeleton import INDEX

PERSONS = ("a", "b")
_SIDES, _RINGS = 10, 6
_FLOAT, _BYTE, _SHORT = 5126, 5121, 5123
_KINDS = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
_ARRAYS, _INDICES = 34962, 34963
_HEAD_RADIUS, _FINGER_RADIUS = 0.1, 0.008


class _Buffer:
    """The arrays of a file, aligned and numbered by their accessors."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.views: list[dict[str, int]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(self, values: np.ndarray, kind: int, target: int | None = None, bounds: bool = False) -> int:
        """Number of the accessor of ``values``, (N,) or (N, width)."""
        rows = values.reshape(len(values), -1).astype({_FLOAT: "<f4", _BYTE: "u1", _SHORT: "<u2"}[kind])
        data = rows.tobytes()
        view = {"buffer": 0, "byteOffset": len(self.content), "byteLength": len(data)}
        self.views.append(view if target is None else view | {"target": target})
        self.content += data + b"\0" * (-len(data) % 4)
        accessor: dict[str, Any] = {"bufferView": len(self.views) - 1, "componentType": kind, "count": len(rows)}
        accessor["type"] = _KINDS[rows.shape[1]]
        if bounds:
            accessor |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def document(motion: Animation, fps: int, caption: str = "") -> bytes:
    """The bytes of a file; ``caption`` is kept with the scene."""
    buffer = _Buffer()
    nodes: list[dict[str, Any]] = []
    skins, meshes, materials, roots = [], [], [], []
    channels: list[dict[str, Any]] = []
    samplers: list[dict[str, Any]] = []
    times = buffer.add(np.arange(len(motion.rotations)) / fps, _FLOAT, bounds=True)
    for person, name in enumerate(PERSONS):
        first = len(nodes)
        quaternions = _quaternions(motion.rotations[:, person])
        translations = motion.translations[:, person]
        for joint, title in enumerate(motion.names):
            children = [first + child for child in motion.children(joint)]
            node = {
                "name": f"{name}_{title}",
                "translation": translations[0, joint].tolist(),
                "rotation": quaternions[0, joint].tolist(),
            }
            nodes.append(node | ({"children": children} if children else {}))
            for path, values in (("translation", translations[:, joint]), ("rotation", quaternions[:, joint])):
                samplers.append({"input": times, "output": buffer.add(values, _FLOAT), "interpolation": "LINEAR"})
                channels.append({"sampler": len(samplers) - 1, "target": {"node": first + joint, "path": path}})
        rest = rest_pose(motion, person)
        inverse = np.tile(np.eye(4), (len(rest), 1, 1))
        inverse[:, 3, :3] = -rest  # glTF's matrices are column-major
        bound = buffer.add(inverse, _FLOAT)
        skins.append({"joints": [*range(first, first + len(rest))], "inverseBindMatrices": bound, "skeleton": first})
        meshes.append({"name": f"person {name}", "primitives": [_primitive(buffer, motion.parents, rest, person)]})
        colour = [round(_linear(channel), 4) for channel in to_rgb(PERSON_COLOURS[person])]
        surface = {"baseColorFactor": [*colour, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.7}
        materials.append({"name": f"person {name}", "pbrMetallicRoughness": surface})
        nodes.append({"name": f"person {name}", "mesh": person, "skin": person})
        roots += [first, len(nodes) - 1]
    header = {
        "asset": {"version": "2.0", "generator": "intermamba"},
        "scene": 0,
        "scenes": [{"name": "interaction", "nodes": roots, "extras": {"caption": caption}}],
        "nodes": nodes,
        "skins": skins,
        "meshes": meshes,
        "materials": materials,
        "animations": [{"name": "motion", "channels": channels, "samplers": samplers}],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.content)}],
    }
    return _packed(header, bytes(buffer.content))


def rest_pose(motion: Animation, person: int) -> Float[np.ndarray, "J 3"]:
    """Joints of a person's T-pose, the pelvis at the origin."""
    rest = motion.rest[person]
    places = np.zeros_like(rest)
    for joint, parent in enumerate(motion.parents[1:], start=1):
        places[joint] = places[parent] + rest[joint]
    return places


def _primitive(buffer: _Buffer, parents: Sequence[int], rest: Float[np.ndarray, "J 3"], person: int) -> dict[str, Any]:
    radii = (*RADII, *[_FINGER_RADIUS] * (len(parents) - len(RADII)))
    shapes: list[tuple[Float[np.ndarray, "V 3"], Float[np.ndarray, "V 3"], Int[np.ndarray, "N 3"]]] = []
    owners: list[int] = []
    for joint, parent in enumerate(parents):
        shapes.append(_ball(rest[joint], radii[joint]))
        owners.append(joint)
        if parent >= 0:
            thick = radii[parent] if joint < len(RADII) else _FINGER_RADIUS
            shapes.append(_prism(rest[parent], rest[joint], thick, radii[joint]))
            owners.append(parent)
    neck, head = rest[INDEX["neck"]], rest[INDEX["head"]]
    up = (head - neck) / max(float(np.linalg.norm(head - neck)), 1e-9)
    shapes.append(_ball(head + 0.7 * _HEAD_RADIUS * up, _HEAD_RADIUS))
    owners.append(INDEX["head"])

    starts = np.cumsum([0, *(len(points) for points, _, _ in shapes)])
    corners = np.concatenate([faces + start for (_, _, faces), start in zip(shapes, starts, strict=False)])
    joints = np.repeat(owners, [len(points) for points, _, _ in shapes])
    attributes: Mapping[str, int] = {
        "POSITION": buffer.add(np.concatenate([points for points, _, _ in shapes]), _FLOAT, _ARRAYS, bounds=True),
        "NORMAL": buffer.add(np.concatenate([normals for _, normals, _ in shapes]), _FLOAT, _ARRAYS),
        "JOINTS_0": buffer.add(np.stack([joints, 0 * joints, 0 * joints, 0 * joints], -1), _BYTE, _ARRAYS),
        "WEIGHTS_0": buffer.add(np.tile([1.0, 0, 0, 0], (len(joints), 1)), _FLOAT, _ARRAYS),
    }
    return {"attributes": attributes, "indices": buffer.add(corners.reshape(-1), _SHORT, _INDICES), "material": person}


def _ball(
    centre: Float[np.ndarray, " 3"], radius: float
) -> tuple[Float[np.ndarray, "V 3"], Float[np.ndarray, "V 3"], Int[np.ndarray, "N 3"]]:
    """Points, normals and triangles of a sphere."""
    polar, around = np.meshgrid(np.linspace(0, np.pi, _RINGS + 1), _angles(), indexing="ij")
    normals = np.stack([np.sin(polar) * np.cos(around), np.cos(polar), np.sin(polar) * np.sin(around)], -1)
    flat = normals.reshape(-1, 3)
    faces = _between(_RINGS)
    corners = flat[faces]
    whole = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) > 1e-9
    return centre + radius * flat, flat, faces[whole]  # without the triangles that shrink to nothing at the poles


def _prism(
    start: Float[np.ndarray, " 3"], stop: Float[np.ndarray, " 3"], thick: float, thin: float
) -> tuple[Float[np.ndarray, "V 3"], Float[np.ndarray, "V 3"], Int[np.ndarray, "N 3"]]:
    """Points, normals and triangles of a tapered tube without ends, which balls close."""
    along = stop - start
    length = float(np.linalg.norm(along))
    axis = along / length if length > 1e-9 else np.array([0.0, 1.0, 0.0])  # joints that coincide
    side = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
    side /= np.linalg.norm(side)
    angle = _angles()[:, None]
    normals = np.cos(angle) * side + np.sin(angle) * np.cross(side, axis)
    return np.concatenate([stop + thin * normals, start + thick * normals]), np.tile(normals, (2, 1)), _between(1)


def _angles() -> Float[np.ndarray, " N"]:
    return np.linspace(0, 2 * np.pi, _SIDES, endpoint=False)


def _between(rings: int) -> Int[np.ndarray, "N 3"]:
    """Triangles between consecutive rings of points, counter-clockwise from outside."""
    faces = []
    for ring in range(rings):
        for side in range(_SIDES):
            here, beside = ring * _SIDES + side, ring * _SIDES + (side + 1) % _SIDES
            faces += [(here, beside, here + _SIDES), (beside, beside + _SIDES, here + _SIDES)]
    return np.array(faces)


def _quaternions(rotations: Float[np.ndarray, "T J 3 3"]) -> Float[np.ndarray, "T J 4"]:
    """Quaternions x, y, z, w with continuous signs, so that viewers interpolate along the short way."""
    found = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_quat().reshape(*rotations.shape[:2], 4)
    jumps = (found[1:] * found[:-1]).sum(-1) < 0
    found[1:] *= np.where(np.cumsum(jumps, axis=0) % 2, -1.0, 1.0)[..., None]
    return found


def _linear(channel: float) -> float:
    """A linear colour channel from sRGB, as glTF's factors need it."""
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _packed(header: Mapping[str, Any], content: bytes) -> bytes:
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    chunks: Sequence[tuple[bytes, bytes]] = ((b"JSON", text + b" " * (-len(text) % 4)), (b"BIN\0", content))
    body = b"".join(len(data).to_bytes(4, "little") + kind + data for kind, data in chunks)
    return b"glTF" + (2).to_bytes(4, "little") + (len(body) + 12).to_bytes(4, "little") + body
