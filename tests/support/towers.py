"""Text towers for tests."""

from intermamba.config import Config

UNTRAINED = {"tower": "untrained", "weights": None, "heads": 2, "layers": 2, "precision": "float32"}
"""Knobs of the seeded tower, which loads at once."""


def untrained_tower(config: Config) -> Config:
    """A profile with the seeded tower in place of its own."""
    return config.model_copy(update={"text": config.text.model_copy(update=UNTRAINED)})
