"""InterHuman's features against the official loader's numbers, and against what must hold in any frame of reference."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from data_folders import config_for, dancer, write_interhuman
from hypothesis import given, settings
from hypothesis import strategies as st
from places import NUMBERS
from scipy.spatial.transform import Rotation

from intermamba.data import interhuman
from intermamba.data.layouts import layout
from intermamba.data.synthetic import write_interhuman as write_embedded
from intermamba.errors import DataError
from intermamba.skeleton import LEFT_HIP, RIGHT_HIP

# Features that the official loader (process_motion_np, rigid_transform, swap_left_right) gives for these dancers;
# "windows" holds items of its dataset class (InterHumanDataset) for the folder that write_interhuman writes, with the
# window's start and both exchanges of persons fixed. benchmarks/data.py compares all features of a whole dataset.
GOLDEN = json.loads((NUMBERS / "data_interhuman.json").read_text())
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


@pytest.mark.parametrize("number", range(6))
def test_files_become_the_official_items(tmp_path: Path, number: int) -> None:
    golden = GOLDEN["windows"]
    item, first = golden["items"][number], golden["first"]
    root = write_interhuman(tmp_path / "raw")
    raw = layout("interhuman", root, config_for("interhuman", root).datasets["interhuman"]).read("11").motion
    raw = raw[first : first + golden["longest"]]
    if item["mirrored"]:
        raw = interhuman.mirror(raw)
    before, after = item["exchanged"]
    found = interhuman.pair_features(raw[:, before], raw[:, 1 - before])
    if after:
        found = found[:, ::-1]
    np.testing.assert_allclose(found[:, :, golden["columns"]], item["features"], atol=1e-6)


def oracle(raw: np.ndarray) -> np.ndarray:
    """Positions of both people in person 1's frame by rotation matrices, float64: (T - 1, 2, 22, 3)."""
    points = raw[..., :66].astype(np.float64).reshape(len(raw), 2, 22, 3)[..., [0, 2, 1]] * [1, 1, -1]
    points[..., 1] -= points[..., 1].min(axis=(0, 2))[:, None]
    root, across = points[0, 0, 0], points[0, 0, RIGHT_HIP] - points[0, 0, LEFT_HIP]
    yaw = np.arctan2(across[2], -across[0])  # from the facing direction (z, -x) to (0, 1)
    turn = Rotation.from_euler("y", -yaw).as_matrix()
    return ((points - root * [1, 0, 1]) @ turn.T)[:-1]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_every_clip_of_an_embedded_dataset(tmp_path: Path, order: tuple[int, int]) -> None:
    """At the size of a dataset, in single precision, mirrored or not: within 1e-5 of plain float64 geometry."""
    root = tmp_path / "raw"
    write_embedded(root, 30, 3, 3, (1.0, 11.0), seed=5)
    place = layout("interhuman", root, config_for("interhuman", root).datasets["interhuman"])
    names = [path.stem for path in sorted((root / "annots").iterdir())]
    assert len(names) == 38  # two are to be ignored
    for name in names:
        raw = place.read(name).motion[:300, order]
        for copy in (raw, interhuman.mirror(raw)):
            features = interhuman.pair_features(copy[:, 0], copy[:, 1])
            assert features.dtype == np.float32
            np.testing.assert_allclose(positions(features), oracle(copy), atol=1e-5)


def test_threads_share_nothing() -> None:
    pairs = [(dancer(30, 0.1 * number), dancer(30, 2.0, 1.0)) for number in range(40)]
    alone = [interhuman.pair_features(*pair) for pair in pairs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda pair: interhuman.pair_features(*pair), pairs))
    np.testing.assert_array_equal(together, alone)


def test_strided_views_and_mixed_precision_are_fine() -> None:
    both = np.stack([dancer(6, 0.4), dancer(6, 2.0, 1.0)], axis=1)
    expected = interhuman.pair_features(both[:, 0].copy(), both[:, 1].copy())
    np.testing.assert_array_equal(interhuman.pair_features(both[:, 0], both[:, 1]), expected)
    mixed = interhuman.pair_features(both[:, 0].astype(np.float32), both[:, 1])
    assert mixed.dtype == np.float64
    np.testing.assert_allclose(mixed, expected, atol=1e-5)


def test_one_frame_gives_none_and_no_frame_is_refused() -> None:
    assert interhuman.pair_features(dancer(1), dancer(1)).shape == (0, 2, 262)
    with pytest.raises(DataError, match=r"shapes \(0, 192\) and \(0, 192\)"):
        interhuman.pair_features(dancer(0), dancer(0))


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
