"""BERT's encoder (Devlin et al. 2019), for weights with Hugging Face's names.

A few lines replace a library that takes seconds to import; a test compares both.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-12
"""Epsilon of the layer normalisations [BERT]."""


class Bert(nn.Module):
    """Token ids to features after the last layer; sequences of a batch are equally long, so nothing is masked.

    Args:
        weights: weights of a ``BertModel``, which determine the sizes.
        heads: attention heads of a layer, which the weights do not determine.
    """

    def __init__(self, weights: Mapping[str, Tensor], heads: int) -> None:
        super().__init__()
        self.tokens = weights["embeddings.word_embeddings.weight"]
        # All tokens are in the first segment.
        self.positions = weights["embeddings.position_embeddings.weight"]
        self.segment = weights["embeddings.token_type_embeddings.weight"][0]
        width = self.tokens.shape[1]
        layers = len({name.split(".")[2] for name in weights if name.startswith("encoder.layer.")})
        feedforward = len(weights["encoder.layer.0.intermediate.dense.weight"])
        with torch.device("meta"):
            self.norm = nn.LayerNorm(width, EPSILON)
            self.layers = nn.ModuleList(_Layer(width, heads, feedforward) for _ in range(layers))
        state = {f"norm.{name}": weights[f"embeddings.LayerNorm.{name}"] for name in ("weight", "bias")}
        for index in range(layers):
            for ours, theirs in _NAMES.items():
                for name in ("weight", "bias"):
                    state[f"layers.{index}.{ours}.{name}"] = weights[f"encoder.layer.{index}.{theirs}.{name}"]
        self.load_state_dict(state, assign=True)
        self.eval().requires_grad_(False)

    def forward(self, tokens: Int[Tensor, "B S"]) -> Float[Tensor, "B S W"]:
        hidden = self.norm(self.tokens[tokens] + self.positions[: tokens.shape[1]] + self.segment)
        for layer in self.layers:
            hidden = layer(hidden)
        return hidden


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.attended = nn.LayerNorm(width, EPSILON)
        self.inner, self.outer = nn.Linear(width, feedforward), nn.Linear(feedforward, width)
        self.norm = nn.LayerNorm(width, EPSILON)

    def forward(self, hidden: Float[Tensor, "B S W"]) -> Float[Tensor, "B S W"]:
        parts = (linear(hidden).unflatten(-1, (self.heads, -1)) for linear in (self.query, self.key, self.value))
        seen = functional.scaled_dot_product_attention(*(part.transpose(1, 2) for part in parts))
        hidden = self.attended(hidden + self.out(seen.transpose(1, 2).flatten(2)))
        return self.norm(hidden + self.outer(functional.gelu(self.inner(hidden))))


_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "out": "attention.output.dense",
    "attended": "attention.output.LayerNorm",
    "inner": "intermediate.dense",
    "outer": "output.dense",
    "norm": "output.LayerNorm",
}
"""Modules of a layer, and their names in Hugging Face's weights."""
