"""Units, axes, floor and speed of motions: what cannot be metres, and what is odd."""

import re
from dataclasses import replace

import numpy as np
import pytest
from data_folders import dancer

from intermamba.data.plausibility import Size, check, measure
from intermamba.errors import DataError

GOOD = Size(bones=1.0, height=1.6, upright=(0.1, 0.99, 0.05), lowest=0.01, speed=2.0, apart=1.0)


def pair(scale: float = 1.0) -> np.ndarray:
    """Joints (20, 2, 22, 3) of two standing people one metre apart, y up."""
    z_up = np.stack([dancer(20, x=x)[:, :66].reshape(20, 22, 3) for x in (0.0, 1.0)], axis=1)
    joints = np.stack([z_up[..., 0], z_up[..., 2], -z_up[..., 1]], axis=-1)
    joints[..., 1] -= joints[..., 1].min()
    return scale * joints


def test_a_standing_pair_is_measured_in_metres() -> None:
    size = measure(pair(), 30)
    assert size.bones == pytest.approx(1.0, abs=0.05)  # made with the neutral skeleton
    assert 1.4 < size.height < 1.7
    assert size.upright[1] > 0.95
    assert size.lowest == 0.0
    assert size.apart == pytest.approx(1.0, abs=1e-6)
    assert check([size], 0.0, "them") == ()


def test_speed_is_in_metres_a_second_and_zero_for_one_frame() -> None:
    still = np.repeat(pair()[:1], 5, axis=0)
    moving = still + np.arange(5)[:, None, None, None] * np.array([0.1, 0.0, 0.0])
    assert measure(moving, 30).speed == pytest.approx(3.0)
    assert measure(still[:1], 30).speed == 0.0


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        (100, "looks like centimetres: divide by 100"),
        (1000, "looks like millimetres: divide by 1000"),
        (39.37, "looks like inches: divide by 39.37"),
        (0.01, "looks like metres converted from centimetres: multiply by 100"),
        (300, "metres are needed"),
    ],
)
def test_other_units_are_refused_with_the_remedy(scale: float, said: str) -> None:
    with pytest.raises(DataError, match=f"^them: bones are .* times as long as a person's; .*{said}"):
        check([measure(pair(scale), 30)], 0.0, "them")


def test_where_bones_are_given_the_distance_tells_the_unit() -> None:
    with pytest.raises(DataError, match="the two people are 90 m apart; this looks like centimetres: divide by 100"):
        check([replace(GOOD, apart=90.0)], None, "them")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bones": 3.28}, "bones are 3.28 times as long as an adult's"),
        ({"bones": 0.4}, "bones are 0.40 times as long"),
        ({"upright": (0.1, 0.2, 0.97)}, r"bodies extend along z, not y.*Is z up\? Then give \(x, z, -y\)"),
        ({"upright": (0.9, 0.2, 0.1)}, "bodies extend along x, not y: people are lying, or y is not up.$"),
        ({"height": 3.0}, "people are 3.00 m tall; 0.5 to 2.5 m is plausible"),
        ({"height": 0.3}, "people are 0.30 m tall"),
        ({"lowest": -0.9}, "the lowest joint is -0.90 m from the floor at y = 0"),
        ({"speed": 20.0}, "joints move at 20.0 m/s; people stay below 12 m/s"),
        ({"apart": 11.0}, "the two people are 11.0 m apart"),
    ],
)
def test_what_is_odd_is_one_warning(change: dict, said: str) -> None:
    (warning,) = check([replace(GOOD, **change)], 0.0, "them")
    assert re.search(said, warning)


def test_a_dataset_without_a_floor_has_none_to_be_off() -> None:
    assert check([replace(GOOD, lowest=-0.9)], None, "them") == ()


def test_a_few_odd_motions_are_the_methods_own() -> None:
    assert check([GOOD, GOOD, replace(GOOD, bones=100.0, apart=90.0)], 0.0, "them") == ()


def test_axes_exchanged() -> None:
    z_up = pair()[..., [0, 2, 1]] * [1, -1, 1]
    warnings = check([measure(z_up, 30)], None, "them")
    assert warnings == (
        "bodies extend along z, not y: people are lying, or y is not up. Is z up? Then give (x, z, -y) for (x, y, z).",
    )
    restored = np.stack([z_up[..., 0], z_up[..., 2], -z_up[..., 1]], axis=-1)
    np.testing.assert_allclose(restored, pair())  # the remedy is right
