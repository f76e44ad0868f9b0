"""The text towers behind a profile's results."""

import pandas as pd

from intermamba.paths import path
from intermamba.text.names import kind_of


def towers(profile: str) -> tuple[str, ...]:
    """Names of the towers that the profile's results were made with."""
    return tuple(sorted(pd.read_csv(path("metrics", profile=profile))["tower"].unique()))


def kinds(profile: str) -> str:
    """What these towers are, in words."""
    return " and ".join(map(kind_of, towers(profile)))
