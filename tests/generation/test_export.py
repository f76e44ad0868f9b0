"""Exports, read back by readers that know nothing of this project: bvhio for BVH, pygltflib for GLB."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from intermamba import export
from intermamba.errors import DataError
from intermamba.export.pose import animate
from intermamba.motion import EXPORTS
from intermamba.rotations import forward_kinematics
from intermamba.skeleton import BODY, BODY_PARENTS, FACE, HANDS, JOINTS, OFFSETS, PARENTS
from workflow.cli.commands import app

FRAMES, FPS = 12, 30
CAPTION = "Two people “bow”."


def sample(noise: float, pelvis: bool = False, hands: bool = False, bones: np.ndarray | None = None) -> dict:
    """Two people who turn about and bend everything, smoothly; ``noise`` in metres is added to every joint.

    With ``hands`` all 55 joints turn, as Inter-X's do; ``whole`` holds where they are.
    """
    random = np.random.default_rng(0)
    time = np.linspace(0, 1, FRAMES)[:, None, None, None]
    turns = time * random.normal(scale=1.2, size=(1, 2, 55, 3))
    turns[:, :, 0] += np.array([0, 3.0, 0]) * time[..., 0]  # past half a turn
    rotations = Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(FRAMES, 2, 55, 3, 3)
    translation = np.array([0.0, 0.9, 0.0]) + time[..., 0] * np.array([[[0.5, 0, 0.2], [-0.4, 0.1, 0]]])
    whole = forward_kinematics(
        torch.from_numpy(rotations),
        torch.from_numpy(translation),
        torch.tensor(OFFSETS if bones is None else bones).double(),
        PARENTS,
    ).numpy()
    joints = whole[:, :, :22]
    chosen = slice(0, 55) if hands else slice(0 if pelvis else 1, 22)
    names, kept = JOINTS[chosen], rotations[:, :, chosen]
    joints = joints + random.normal(scale=noise, size=joints.shape)
    return {
        "joints": joints.astype(np.float32), "rotations": kept.astype(np.float32), "rotation_joint_names": names,
        "fps": FPS, "caption": CAPTION, "whole": whole, **({} if bones is None else {"bones": bones}),
    }  # fmt: skip


def bvh_joints(path: Path, names: Sequence[str] = BODY) -> tuple[np.ndarray, float]:
    """Joints of every frame and seconds a frame, by bvhio's own kinematics."""
    bvhio = pytest.importorskip("bvhio")
    root = bvhio.readAsHierarchy(str(path))
    frames = []
    for frame in range(FRAMES):
        root.loadPose(frame)
        places = {joint.Name: list(joint.PositionWorld) for joint, _, _ in root.layout()}
        frames.append([places[name] for name in names])
    return np.array(frames), bvhio.readAsBvh(str(path)).FrameTime


def accessor(document, number: int) -> np.ndarray:
    """An accessor's values as pygltflib gives its parts."""
    found = document.accessors[number]
    view = document.bufferViews[found.bufferView]
    kind = {5126: "<f4", 5123: "<u2", 5121: "u1"}[found.componentType]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}[found.type]
    values = np.frombuffer(document.binary_blob(), kind, found.count * width, view.byteOffset)
    return values.reshape(found.count, width)


def glb_joints(document, shown: Sequence[str] = BODY) -> np.ndarray:
    """Joints of every frame, from the channels of the animation and the tree of nodes."""
    (animation,) = document.animations
    moved = {}
    for channel in animation.channels:
        sampler = animation.samplers[channel.sampler]
        assert accessor(document, sampler.input).ravel() == pytest.approx(np.arange(FRAMES) / FPS)
        moved[channel.target.node, channel.target.path] = accessor(document, sampler.output).astype(float)
    places = np.zeros((FRAMES, len(document.nodes), 3))

    def walk(node: int, turn: np.ndarray, place: np.ndarray) -> None:
        place = place + np.einsum("tij,tj->ti", turn, moved[node, "translation"])
        turn = turn @ Rotation.from_quat(moved[node, "rotation"]).as_matrix()
        places[:, node] = place
        for child in document.nodes[node].children or []:
            walk(child, turn, place)

    for skin in document.skins:
        walk(skin.skeleton, np.tile(np.eye(3), (FRAMES, 1, 1)), np.zeros((FRAMES, 3)))
    names = [node.name for node in document.nodes]
    return np.stack([places[:, [names.index(f"{person}_{name}") for name in shown]] for person in "ab"], axis=1)


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("pelvis", [False, True])
def test_positions_survive(tmp_path: Path, noise: float, pelvis: bool) -> None:
    gltf = pytest.importorskip("pygltflib")
    content = sample(noise, pelvis)
    for kind in EXPORTS:
        export.save(tmp_path / f"seed0.{kind}", content)
    for person, name in enumerate("ab"):
        joints, seconds = bvh_joints(tmp_path / f"seed0.{name}.bvh")
        assert np.abs(joints - content["joints"][:, person]).max() < export.TOLERANCE
        assert seconds == pytest.approx(1 / FPS, abs=1e-8)
    document = gltf.GLTF2().load(str(tmp_path / "seed0.glb"))
    assert np.abs(glb_joints(document) - content["joints"]).max() < export.TOLERANCE
    assert document.scenes[0].extras == {"caption": CAPTION}


@pytest.mark.parametrize("bones", [None, 1.2 * np.array(OFFSETS)], ids=["neutral", "a user's body"])
def test_fingers_follow_the_wrists(tmp_path: Path, bones: np.ndarray | None) -> None:
    gltf = pytest.importorskip("pygltflib")
    content = sample(0.0, hands=True, bones=bones)
    for kind in EXPORTS:
        export.save(tmp_path / f"seed0.{kind}", content)
    shown = BODY + HANDS
    wanted = content["whole"][:, :, [JOINTS.index(name) for name in shown]]
    for person, name in enumerate("ab"):
        joints, _ = bvh_joints(tmp_path / f"seed0.{name}.bvh", shown)
        assert np.abs(joints - wanted[:, person]).max() < 2 * export.TOLERANCE
    document = gltf.GLTF2().load(str(tmp_path / "seed0.glb"))
    assert np.abs(glb_joints(document, shown) - wanted).max() < 2 * export.TOLERANCE
    assert not {f"a_{name}" for name in FACE} & {node.name for node in document.nodes}


def test_bodies_are_closed_where_the_joints_are(tmp_path: Path) -> None:
    """Skinned to the first frame, every ball's middle is its joint; triangles look outwards."""
    gltf = pytest.importorskip("pygltflib")
    content = sample(0.02)
    export.save(tmp_path / "seed0.glb", content)
    document = gltf.GLTF2().load(str(tmp_path / "seed0.glb"))
    first = glb_joints(document)[0]
    for person, (mesh, skin) in enumerate(zip(document.meshes, document.skins, strict=True)):
        (shape,) = mesh.primitives
        points, normals, owners, weights = (
            accessor(document, getattr(shape.attributes, name))
            for name in ("POSITION", "NORMAL", "JOINTS_0", "WEIGHTS_0")
        )
        corners = accessor(document, shape.indices).reshape(-1, 3)
        assert weights.tolist() == [[1, 0, 0, 0]] * len(points)
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
        one, two, three = (points[corners[:, index]] for index in range(3))
        outwards = (np.cross(two - one, three - one) * normals[corners].mean(1)).sum(1)
        assert (outwards > 0).all()

        inverse = accessor(document, skin.inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
        local = points + inverse[owners[:, 0], :3, 3]
        reach = np.linalg.norm(local, axis=1)
        assert len(document.nodes[skin.joints[0]].children) == 3
        assert np.bincount(owners[:, 0], minlength=22).min() > 0
        assert reach.max() < 0.6
        assert first[person].std() > 0


def test_a_bone_without_length_has_a_body() -> None:
    from intermamba.export.glb import _prism

    found = _prism(np.ones(3), np.ones(3), 0.1, 0.05)
    assert all(np.isfinite(one).all() for one in found)


@pytest.mark.parametrize("pelvis", [False, True])
def test_exact_motion_keeps_its_rotations(pelvis: bool) -> None:
    """Where positions follow from the rotations, nothing is turned: not even InterHuman's unknown pelvis."""
    content, whole = sample(0.0, pelvis), sample(0.0, pelvis=True)
    found = animate(content["joints"], content["rotations"], content["rotation_joint_names"])
    np.testing.assert_allclose(found.rotations, whole["rotations"], atol=2e-4)
    np.testing.assert_allclose(found.rest, np.broadcast_to(np.array(OFFSETS)[:22], (2, 22, 3)), atol=1e-5)


def test_every_bone_points_at_its_child() -> None:
    content = sample(0.05)
    found = animate(content["joints"], content["rotations"], content["rotation_joint_names"])
    for joint in range(22):
        children = [child for child, parent in enumerate(BODY_PARENTS) if parent == joint]
        if len(children) == 1:
            bone = found.translations[:, :, children[0]]
            wanted = np.broadcast_to(OFFSETS[children[0]], bone.shape)
            cosine = (bone * wanted).sum(-1) / np.linalg.norm(bone, axis=-1) / np.linalg.norm(wanted, axis=-1)
            np.testing.assert_allclose(cosine, 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(found.rotations), 1, atol=1e-6)


def test_angles_do_not_jump(tmp_path: Path) -> None:
    content = sample(0.0)
    export.save(tmp_path / "seed0.bvh", content)
    rows = [line.split() for line in (tmp_path / "seed0.a.bvh").read_text().splitlines()[-FRAMES:]]
    steps = np.abs(np.diff(np.array(rows, dtype=float), axis=0))
    assert steps.max() < 180


def test_samples_on_disk_are_exported_beside_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "seed3.npz", **sample(0.01))
    done = CliRunner().invoke(app, ["export", str(tmp_path / "seed3.npz")], catch_exceptions=False)
    assert [Path(line).name for line in done.stdout.split()] == ["seed3.a.bvh", "seed3.b.bvh", "seed3.glb"]
    assert all(Path(line).stat().st_size > 1000 for line in done.stdout.split())


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", joints=np.zeros(3))
    with pytest.raises(DataError, match="not a sample of this project \\(no rotations"):
        export.read(tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(DataError, match=r"not an \.npz archive of numbers"):
        export.read(tmp_path / "text.npz")
