"""Text towers for tests."""

from intermamba.config import Config


def untrained_tower(config: Config) -> Config:
    """A profile with the seeded tower, which loads at once, in place of its own."""
    text = {"tower": "untrained", "weights": None, "heads": 2, "layers": 2, "precision": "float32"}
    return config.model_copy(update={"text": config.text.model_copy(update=text)})
