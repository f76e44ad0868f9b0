"""What a text tower is called beside everything made with it; imports neither torch nor, for most, open_clip."""

from functools import lru_cache
from pathlib import Path

from intermamba import files
from intermamba.config import TextConfig


def tower_name(config: TextConfig) -> str:
    """The tower of a profile: architecture and weights.

    Weights are named by their open_clip tag, such as ``openai``. A local file is named by its content: by the tag
    whose published file it is, else by the beginning of its SHA-256.
    """
    if config.tower == "untrained":
        return f"untrained-{config.width}x{config.layers}-seed{config.seed}"
    weights = config.weights or ""
    if Path(weights).is_file():
        return f"{config.architecture}/{_content(config.architecture, str(Path(weights).resolve()))}"
    return f"{config.architecture}/{Path(weights).name}"


@lru_cache
def _content(architecture: str, path: str) -> str:
    from open_clip import get_pretrained_cfg, list_pretrained_tags_by_model

    digest = files.sha256(path)
    for tag in list_pretrained_tags_by_model(architecture):
        # OpenAI's files are published under their SHA-256.
        if digest in get_pretrained_cfg(architecture, tag).get("url", ""):
            return tag
    return f"sha256-{digest[:12]}"
