"""Captions of mirrored motions: left and right, clockwise and counterclockwise are exchanged."""

import re
from typing import Literal

Rule = Literal["corrected", "official"]

_EXCHANGE = {
    "left": "right",
    "right": "left",
    "clockwise": "counterclockwise",
    "counterclockwise": "clockwise",
    "anticlockwise": "clockwise",
}
# A whole word, or the first part of a compound that still names a side ("left-handed", "rightward", "leftmost").
_SIDE = re.compile(
    r"\b(?:(left|right)(?=(?:wards?|most|hand(?:ed)?|side|foot(?:ed)?)?\b)"
    r"|(counter-?clockwise|anti-?clockwise|clockwise)\b)",
    re.IGNORECASE,
)


def exchange_sides(caption: str, rule: Rule = "corrected") -> str:
    """The caption of the mirrored motion.

    ``corrected`` exchanges words and keeps their case. ``official`` repeats InterGen (``datasets/interhuman.py``),
    which replaces substrings one after the other: "bright" becomes "bleft", and "counterclockwise" becomes
    "countercounterclockwise". Both also replace "left" as a form of "leave".
    """
    return _official(caption) if rule == "official" else _SIDE.sub(_exchanged, caption)


def _exchanged(match: re.Match[str]) -> str:
    found = match.group()
    word = _EXCHANGE[found.lower().replace("-", "")]
    if found.isupper():
        return word.upper()
    return word.capitalize() if found[0].isupper() else word


def _official(caption: str) -> str:
    for old, new in (
        ("left", "tmp"), ("right", "left"), ("tmp", "right"),
        ("clockwise", "tmp"), ("counterclockwise", "clockwise"), ("tmp", "counterclockwise"),
    ):  # fmt: skip
        caption = caption.replace(old, new)
    return caption
