"""Captions of mirrored motions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermamba.data.mirrored_captions import exchange_sides


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("Left, then right.", "Right, then left."),
        ("the LEFT leg", "the RIGHT leg"),
        ("a bright upright man", "a bright upright man"),
        ("steps leftward with the right-hand fist", "steps rightward with the left-hand fist"),
        ("rightmost, left-handed, rightwards", "leftmost, right-handed, leftwards"),
        ("one's right's and left's", "one's left's and right's"),
        ("turns clockwise", "turns counterclockwise"),
        ("turns counterclockwise", "turns clockwise"),
        ("Counter-clockwise, anti-clockwise, ANTICLOCKWISE", "Clockwise, clockwise, CLOCKWISE"),
        ("they hug", "they hug"),
    ],
)
def test_corrected_exchanges_words(caption: str, expected: str) -> None:
    assert exchange_sides(caption) == expected


# What the official loader's chain of replacements gives for these captions.
@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("the left hand, the right foot", "the right hand, the left foot"),
        ("a bright light", "a bleft light"),
        ("turns clockwise", "turns counterclockwise"),
        ("turns counterclockwise", "turns countercounterclockwise"),
        ("Left stays", "Left stays"),
    ],
)
def test_official_repeats_the_loader(caption: str, expected: str) -> None:
    assert exchange_sides(caption, "official") == expected


@given(
    st.lists(st.sampled_from(["left", "Right", "RIGHT", "clockwise", "counterclockwise", "bright", "hand", ",", "-"]))
)
def test_corrected_is_its_own_inverse(words: list[str]) -> None:
    caption = " ".join(words)
    assert exchange_sides(exchange_sides(caption)) == caption
