"""Inter-X's poses and features against the owners' code and against SciPy's rotations."""

import json
from itertools import product

import numpy as np
import pytest
import torch
from data_folders import smplx
from places import NUMBERS
from scipy.spatial.transform import Rotation

from intermamba.data import interx
from intermamba.representation import representation
from intermamba.rotations import axis_angle_to_matrix, forward_kinematics
from intermamba.skeleton import PARENTS

# The owners' parse_motion_file, normalize_transl and to_rot_6d on these two persons, with a body model whose joints are
# those of the project's neutral skeleton (theirs needs the licensed SMPL-X file).
GOLDEN = json.loads((NUMBERS / "data_interx.json").read_text())
PERSONS = tuple(
    interx.person_pose(**{key: array[:: interx.STEP] for key, array in person.items()})
    for person in (smplx(9, 0.3, 0.0), smplx(9, 1.7, 1.0))
)


def test_equals_the_owners_code() -> None:
    raw = interx.pair(*PERSONS)
    assert raw.dtype == np.float32
    assert raw.shape == (3, 2, 168)
    beside = np.concatenate([raw[:, 0].reshape(3, 56, 3), raw[:, 1].reshape(3, 56, 3)], axis=-1)
    np.testing.assert_allclose(beside[:, GOLDEN["joints"]], GOLDEN["pose"], atol=1e-6)
    features = interx.features(raw)
    beside = np.concatenate([features[:, 0].reshape(3, 56, 6), features[:, 1].reshape(3, 56, 6)], axis=-1)
    np.testing.assert_allclose(beside[:, GOLDEN["joints"]], GOLDEN["evaluator"], atol=1e-6)


def test_rows_are_those_of_the_rotation_matrix() -> None:
    vectors = np.concatenate([PERSONS[0][:, :55], PERSONS[0][:, :55] * 1e-9, np.zeros((1, 55, 3))])
    frames = np.concatenate([vectors, np.ones((len(vectors), 1, 3))], axis=1).reshape(-1, 168)
    features = interx.features(frames).reshape(-1, 56, 6)
    expected = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()[:, :2].reshape(-1, 55, 6)
    np.testing.assert_allclose(features[:, :55], expected, atol=1e-12)
    np.testing.assert_array_equal(features[:, 55], np.tile([1, 1, 1, 0, 0, 0], (len(vectors), 1)))


def positions(pose: np.ndarray, offsets: np.ndarray = interx.NEUTRAL) -> np.ndarray:
    """All joints by the torch kinematics, float64: the oracle of the compiled loop."""
    matrices = axis_angle_to_matrix(torch.from_numpy(pose[:, :55]))
    return forward_kinematics(matrices, torch.from_numpy(pose[:, 55]), torch.from_numpy(offsets), PARENTS).numpy()


def test_lowest_joint_stands_on_the_floor() -> None:
    for pose in PERSONS:
        assert positions(pose)[..., 1].min() == pytest.approx(0, abs=1e-12)


def test_lowest_joint_of_any_pose_and_any_bones() -> None:
    """Upside down, spinning, at rest, nearly at rest: the lowest joint is another one each time."""
    rng = np.random.default_rng(0)
    lowest = set()
    for scale, size in product((0.0, 1e-9, 0.3, 3.0), (0.1, 1.0)):
        rotations, translation = rng.normal(0, scale, (7, 55, 3)), rng.normal(0, 1, (7, 3))
        offsets = interx.NEUTRAL + rng.normal(0, size, (55, 3))
        heights = positions(np.concatenate([rotations, translation[:, None]], axis=1), offsets)[..., 1]
        assert interx.lowest_joint(rotations, translation, offsets) == pytest.approx(heights.min(), abs=1e-12)
        lowest.add(int(heights.min(axis=0).argmin()))
    assert len(lowest) > 3


def test_bones_of_another_body_move_the_floor_only() -> None:
    arrays = {key: array[:: interx.STEP] for key, array in smplx(9, 0.3, 0.0).items()}
    offsets = interx.NEUTRAL * 1.1
    offsets[0] = [0.0, -0.35, 0.01]  # SMPL-X's pelvis does not rest at the origin
    pose = interx.person_pose(**arrays, offsets=offsets)
    np.testing.assert_array_equal(pose[:, :55], PERSONS[0][:, :55])
    np.testing.assert_array_equal(pose[:, 55, [0, 2]], PERSONS[0][:, 55, [0, 2]])
    assert positions(pose, offsets)[..., 1].min() == pytest.approx(0, abs=1e-12)


def test_first_person_starts_on_the_origin() -> None:
    raw = interx.pair(*PERSONS).reshape(3, 2, 56, 3)
    np.testing.assert_array_equal(raw[0, 0, -1], 0)
    np.testing.assert_allclose(raw[:, 1, -1] - raw[:, 0, -1], PERSONS[1][:, -1] - PERSONS[0][:, -1], atol=1e-6)


@pytest.mark.parametrize(
    ("order", "actor", "swapped"),
    [("recorded", 0, False), ("recorded", 1, False), ("recorded", None, False), ("actor_first", 0, False),
     ("actor_first", 1, True), ("official", 0, True), ("official", 1, False)],
)  # fmt: skip
def test_order_of_the_persons(order: interx.Order, actor: int | None, swapped: bool) -> None:
    plain, found = interx.pair(*PERSONS), interx.pair(*PERSONS, order, actor)
    rotations = slice(0, 165)
    np.testing.assert_array_equal(
        found[..., rotations], plain[:, ::-1, rotations] if swapped else plain[..., rotations]
    )
    on_origin = 1 if swapped and order == "official" else 0
    np.testing.assert_array_equal(found[0, on_origin, 165:], 0)


@pytest.mark.parametrize("order", ["recorded", "actor_first", "official"])
@pytest.mark.parametrize("actor", [0, 1])
def test_owners_processed_clips_become_the_same_pair(order: interx.Order, actor: int) -> None:
    """Their HDF5 files hold the recorded pair, (T, 56, 6) with both persons' three columns side by side."""
    recorded = interx.pair(*PERSONS).reshape(3, 2, 56, 3)
    processed = np.concatenate([recorded[:, 0], recorded[:, 1]], axis=-1)
    found = interx.from_processed(processed, order, actor)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, interx.pair(*PERSONS, order, actor), atol=1e-6)


def test_inputs_are_left_alone() -> None:
    before = [person.copy() for person in PERSONS]
    interx.pair(*PERSONS, "official", 0)
    for person, copy in zip(PERSONS, before, strict=True):
        np.testing.assert_array_equal(person, copy)


@pytest.mark.parametrize("size", [1.0, 1.1])
def test_kinematics_of_features_equal_those_of_poses(size: float) -> None:
    raw, offsets = interx.pair(*PERSONS), interx.NEUTRAL * size
    joints = representation("interx", offsets).joints(torch.from_numpy(interx.features(raw)))
    frames = raw.reshape(3, 2, 56, 3).astype(np.float64)
    for person in (0, 1):
        np.testing.assert_allclose(joints[:, person].numpy(), positions(frames[:, person], offsets)[:, :22], atol=1e-5)
