"""The text towers behind a profile's results, and what an untrained one does to the verdicts."""

import pandas as pd

from intermamba.paths import path
from intermamba.text.names import is_untrained, kind_of

MEASURED_IN = "docs/explanation/text.md"
"""The page that has the numbers behind :func:`held_back`."""


def towers(profile: str) -> tuple[str, ...]:
    """Names of the towers that the profile's results were made with."""
    return tuple(sorted(pd.read_csv(path("metrics", profile=profile))["tower"].unique()))


def kinds(profile: str) -> str:
    """What these towers are, in words."""
    return " and ".join(map(kind_of, towers(profile)))


def held_back(profile: str) -> str:
    """What the untrained tower does to the profile's verdicts; empty where there is none."""
    if not any(map(is_untrained, towers(profile))):
        return ""
    return (
        "The untrained tower held InterGen back: with a sentence encoder in its place InterGen's R-precision comes "
        "much closer to InterMamba's, and its FID on InterHuman is no higher, so verdicts that compare the two are not "
        "about the methods alone"
    )
