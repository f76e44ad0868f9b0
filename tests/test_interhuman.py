"""InterHuman's features against the official loader's numbers, and against what must hold in any frame of reference."""

import json

import numpy as np
import pytest
from data_folders import ROOT, dancer
from hypothesis import given, settings
from hypothesis import strategies as st

from intermamba.data import interhuman
from intermamba.skeleton import LEFT_HIP, RIGHT_HIP

# Features that the official loader (process_motion_np, rigid_transform, swap_left_right) gives for these dancers.
GOLDEN = json.loads((ROOT / "tests/data/data_interhuman.json").read_text())
PAIRS = {
    "general": (dancer(4, 0.7, 1.0, -0.5), dancer(4, 3.9, 0.2, 0.4, 1.0)),
    "facing_minus_z": (dancer(3, np.pi - 0.02), dancer(3, 0.1, 1.0, 1.0, 2.0)),
    "mirrored": (dancer(3, 2.0, 0.0, 1.0), dancer(3, -1.0, 1.0, 1.0, 2.0)),
}

yaws = st.floats(-3.0, 3.0)
places = st.floats(-5.0, 5.0)


def positions(features: np.ndarray) -> np.ndarray:
    return features[..., interhuman.POSITIONS].reshape(*features.shape[:-1], 22, 3)


def turned(raw: np.ndarray, yaw: float, x: float, y: float) -> np.ndarray:
    """``raw`` moved over the ground as one rigid body (z up)."""
    joints = raw[:, :66].reshape(-1, 22, 3)
    turn = np.array([[np.cos(yaw), np.sin(yaw), 0], [-np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    return np.concatenate([(joints @ turn + [x, y, 0]).reshape(-1, 66), raw[:, 66:]], axis=1)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_the_official_loader(name: str, dtype: type) -> None:
    pair = [person.astype(np.float32).astype(dtype) for person in PAIRS[name]]
    if name == "mirrored":
        pair = [interhuman.mirror(person) for person in pair]
    expected = np.array(GOLDEN[name]["features"])
    features = interhuman.pair_features(*pair)
    assert features.dtype == dtype
    assert features.shape == (len(pair[0]) - 1, 2, 262)
    np.testing.assert_allclose(features[:, :, GOLDEN[name]["columns"]], expected, atol=1e-6)


@given(yaw=yaws, other=yaws, x=places, y=places)
@settings(max_examples=25, deadline=None)
def test_person_one_starts_on_the_origin_and_faces_z(yaw: float, other: float, x: float, y: float) -> None:
    features = interhuman.pair_features(dancer(5, yaw, x, y), dancer(5, other, -x, 1.0))
    first = positions(features)[0, 0]
    np.testing.assert_allclose(first[0, [0, 2]], 0, atol=1e-12)
    across = first[RIGHT_HIP] - first[LEFT_HIP]
    assert across[0] < 0  # the right side at -x
    np.testing.assert_allclose(across[2], 0, atol=1e-12)
    assert positions(features)[..., 1].min() >= 0


@given(yaw=yaws, x=places, y=places)
@settings(max_examples=25, deadline=None)
def test_moving_the_whole_scene_changes_nothing(yaw: float, x: float, y: float) -> None:
    pair = dancer(6, 0.4), dancer(6, 2.0, 1.0, 0.5, 1.0)
    moved = [turned(person, yaw, x, y) for person in pair]
    np.testing.assert_allclose(interhuman.pair_features(*moved), interhuman.pair_features(*pair), atol=1e-11)


def test_distances_between_the_two_are_kept() -> None:
    raw = np.stack([dancer(8, 0.4), dancer(8, 2.0, 1.0, 0.5, 1.0)], axis=1)
    given = raw[:-1, :, :66].reshape(7, 2, 22, 3).copy()
    given[..., 2] -= raw[..., 2:66:3].min(axis=(0, 2))[:, None]  # everybody's own floor
    found = positions(interhuman.pair_features(raw[:, 0], raw[:, 1]))

    def distances(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points[:, 0, :, None] - points[:, 1, None, :], axis=-1)

    np.testing.assert_allclose(distances(found), distances(given), atol=1e-12)


def test_velocities_are_differences_of_positions() -> None:
    features = interhuman.pair_features(dancer(8, 0.4), dancer(8, 2.0, 1.0, 0.5, 1.0))
    np.testing.assert_allclose(
        features[:-1, :, interhuman.VELOCITIES], np.diff(features[..., interhuman.POSITIONS], axis=0), atol=1e-12
    )


def test_rotations_stay_in_raw_axes() -> None:
    pair = dancer(4, 0.4), dancer(4, 2.0, phase=1.0)
    features = interhuman.pair_features(*pair)
    for person in (0, 1):
        np.testing.assert_array_equal(features[:, person, interhuman.ROTATIONS], pair[person][:-1, 66:])


def test_contacts_tell_the_standing_foot() -> None:
    features = interhuman.pair_features(dancer(4), dancer(4, 1.0, 1.0))
    contacts = features[..., interhuman.CONTACTS]
    assert set(np.unique(contacts)) == {0.0, 1.0}
    assert contacts[..., :2].all()  # the left foot stands
    assert not contacts[..., 2:].any()  # the right one slides by 3 cm and more a frame


def test_facing_backwards_exactly_is_half_a_turn() -> None:
    """The official loader divides zero by zero here."""
    person = dancer(3, np.pi).astype(np.float32)
    person[:, [3, 6]] = [-0.07, 0.07]
    person[:, 7] = person[:, 4]
    features = interhuman.pair_features(person, person)
    assert np.isfinite(features).all()
    first = positions(features)[0, 0]
    assert first[RIGHT_HIP, 0] < first[LEFT_HIP, 0]


def test_mirror_is_its_own_inverse_and_a_reflection() -> None:
    raw = dancer(5, 0.8, 1.0, 2.0)
    np.testing.assert_array_equal(interhuman.mirror(interhuman.mirror(raw)), raw)
    joints, mirrored = raw[:, :66].reshape(5, 22, 3), interhuman.mirror(raw)[:, :66].reshape(5, 22, 3)
    np.testing.assert_array_equal(mirrored[:, LEFT_HIP], joints[:, RIGHT_HIP] * [-1, 1, 1])


def test_mirrored_rotations_are_reflected_matrices() -> None:
    from scipy.spatial.transform import Rotation

    matrices = Rotation.from_rotvec(dancer(2)[:, :63].reshape(-1, 3)).as_matrix()
    raw = np.concatenate([np.zeros((2, 66)), matrices[:, :, :2].reshape(2, 126)], axis=1)
    reflection = np.diag([-1.0, 1.0, 1.0])
    expected = (reflection @ matrices @ reflection)[:, :, :2].reshape(2, 21, 6)
    found = interhuman.mirror(raw)[:, 66:].reshape(2, 21, 6)
    np.testing.assert_allclose(found[:, LEFT_HIP - 1], expected[:, RIGHT_HIP - 1], atol=1e-15)
    np.testing.assert_allclose(found[:, 2], expected[:, 2], atol=1e-15)  # the spine has no other side


def test_features_of_the_mirrored_pair_are_the_mirrored_features() -> None:
    pair = dancer(5, 0.4), dancer(5, 2.0, 1.0, 0.5, 1.0)
    plain = interhuman.pair_features(*pair)
    mirrored = interhuman.pair_features(*map(interhuman.mirror, pair))
    np.testing.assert_allclose(
        mirrored[..., :66].reshape(-1, 22, 3)[:, LEFT_HIP],
        plain[..., :66].reshape(-1, 22, 3)[:, RIGHT_HIP] * [-1, 1, 1],
        atol=1e-12,
    )
    np.testing.assert_array_equal(mirrored[..., 258:], plain[..., [260, 261, 258, 259]])


def test_raw_columns() -> None:
    file = np.arange(2 * 492.0).reshape(2, 492)
    raw = interhuman.raw_columns(file)
    assert raw.dtype == np.float32
    np.testing.assert_array_equal(raw[0], [*range(66), *range(186, 312)])
