"""Names of text towers, recorded with every artefact; imports neither torch nor, for most, open_clip."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from intermamba import files
from intermamba.config import Config, TextConfig
from intermamba.errors import ConfigError
from intermamba.reading.documents import checked

SENTENCE = "all-MiniLM-L6-v2"
SENTENCE_WIDTH = 384
"""Width of its token features."""
SEEDED_WORDS = "untrained-words"
"""Stand-ins for word vectors."""


def tower_name(config: TextConfig) -> str:
    """The tower of a profile: architecture and weights, and ``pca<n>`` if its features are reduced to n.

    CLIP's weights are named by their open_clip tag, such as ``openai``. A local file is named by its content: by the
    tag of the published file with that content, else by the beginning of its SHA-256; likewise a model in a folder.

    Raises:
        ConfigError: the tower is narrower than ``text.width``, or there is no model in the folder.
    """
    if config.tower == "untrained":
        return f"untrained-{config.width}x{config.layers}-seed{config.seed}"
    if config.tower == "sentence":
        return _reduced(SENTENCE, SENTENCE_WIDTH, config.width)
    weights = config.weights or ""
    if config.tower == "words":
        if not weights:
            return SEEDED_WORDS
        if not (vectors := Path(weights) / "hhi_vab_data.npy").is_file():
            raise ConfigError(
                f"text.weights: {weights!r}, but there is no {vectors}. Give the folder of Inter-X's glove/."
            )
        return f"words-{Path(weights).resolve().name}/{_hash(str(vectors.resolve()))}"
    if config.tower == "huggingface":
        return _reduced(*_of_folder(weights), config.width)
    if Path(weights).is_file():
        return f"{config.architecture}/{_content(config.architecture, str(Path(weights).resolve()))}"
    return f"{config.architecture}/{Path(weights).name}"


def is_untrained(name: str) -> bool:
    """Whether a tower, by its name, is the untrained stand-in."""
    return name.startswith("untrained")


def kind_of(name: str) -> str:
    """Description of a tower for documents, by its name."""
    if is_untrained(name):
        return "an untrained text tower"
    if name.startswith(SENTENCE):
        return f"a sentence encoder ({SENTENCE}) in place of the paper's CLIP as the text tower"
    return f"the text tower {name}"


def _reduced(name: str, width: int, wanted: int) -> str:
    if wanted > width:
        raise ConfigError(f"text.width: {wanted}, but {name} is {width} wide; give that or less.")
    return name if wanted == width else f"{name}-pca{wanted}"


def _of_folder(folder: str) -> tuple[str, int]:
    """Name and width of the model in a folder."""
    weights, settings = Path(folder) / "model.safetensors", Path(folder) / "config.json"
    for file in (weights, settings):
        if not file.is_file():
            raise ConfigError(f"text.weights: {folder!r}, but there is no {file}. Give the folder of a text model.")
    found: dict[str, Any] = checked(dict[str, Any], files.read_json(settings), str(settings), error=ConfigError)
    if inner := found.get("text_config"):
        found = checked(dict[str, Any], inner, f"{settings}, text_config", error=ConfigError)
    for key in ("hidden_size", "d_model", "dim"):
        if isinstance(width := found.get(key), int):
            return f"{Path(folder).resolve().name}/{_hash(str(weights.resolve()))}", width
    raise ConfigError(f"{settings}: no width of the model (hidden_size, d_model or dim) in it.")


@lru_cache
def _hash(path: str) -> str:
    return f"sha256-{files.sha256(path)[:12]}"


@lru_cache
def _content(architecture: str, path: str) -> str:
    from open_clip import get_pretrained_cfg, list_pretrained_tags_by_model

    digest = files.sha256(path)
    for tag in list_pretrained_tags_by_model(architecture):
        # OpenAI's files are published under their SHA-256.
        if digest in get_pretrained_cfg(architecture, tag).get("url", ""):
            return tag
    return f"sha256-{digest[:12]}"


def weights_of(config: TextConfig) -> str:
    """The file or folder of a tower's weights, where the configuration names one that exists; else empty."""
    weights = config.weights
    known = config.tower in ("clip", "huggingface", "words")
    return weights if known and weights and Path(weights).exists() else ""


def own_tower(config: Config, base: str) -> str:
    """Part of a file's name that identifies a method's own tower; empty if it uses the profile's."""
    own = config.of(base).text
    if (_brief(own), own.width, own.context) == (_brief(config.text), config.text.width, config.text.context):
        return ""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", f"{_brief(own)}-{own.context}")


def _brief(config: TextConfig) -> str:
    """As :func:`tower_name`, but a model or vectors in a folder by the folder's name, which need not exist yet."""
    if config.tower == "huggingface" or (config.tower == "words" and config.weights):
        return Path(config.weights or "").name
    return tower_name(config)
