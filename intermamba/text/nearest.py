"""Which of the kinds of interaction that the embedded data hold a prompt is nearest to, by the sentence tower."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from intermamba.data.synthetic import KINDS
from intermamba.data.synthetic.grammar import tell
from intermamba.text.tower import Tower

EXAMPLES = 12
"""Sentences that stand for a kind, beside its name."""
CLOSEST = 3
"""Of these, as many as a prompt is compared with: those most like it."""
TEMPERATURE = 0.03
"""Of the similarities: the one under which the intended kinds of every other prompt of ``benchmarks/free_prompts.csv``,
from the first on, are likeliest. The rest of them tests it."""
OUTSIDE = 0.3
"""Similarity below which a prompt is like no kind: one in ten of those same prompts, and most sentences about other
things."""


@dataclass(frozen=True)
class Nearest:
    """The kinds that a prompt is nearest to, the nearest first."""

    kinds: tuple[str, ...]
    probabilities: tuple[float, ...]
    similarity: float
    """Cosine between the prompt and sentences of the nearest kind, -1 to 1."""

    @property
    def outside(self) -> bool:
        """Whether the prompt is like none of them."""
        return self.similarity < OUTSIDE


class NearestKinds:
    """Compares prompts with sentences of every kind; ``tower`` is a sentence encoder, unreduced."""

    def __init__(self, tower: Tower) -> None:
        self._tower = tower
        random = np.random.default_rng(0)
        told: list[str] = []
        for kind in KINDS.values():
            told.append(kind.name)
            for _ in range(EXAMPLES // 3):
                values = kind.combinations[random.integers(len(kind.combinations))]
                sentences = tell(kind, dict(zip(kind.parameters, values, strict=True)), random)
                told += [sentence.text for sentence in sentences]
        self._examples = self._embed(told).unflatten(0, (len(KINDS), -1))

    def __call__(self, prompts: Sequence[str], count: int = 3) -> list[Nearest]:
        """The ``count`` kinds that each prompt is nearest to."""
        alike = torch.einsum("bw,kew->bke", self._embed(prompts), self._examples)
        similarity = alike.topk(CLOSEST, dim=-1).values.mean(-1)
        found = (similarity / TEMPERATURE).softmax(-1).topk(count)
        names = list(KINDS)
        return [
            Nearest(tuple(names[kind] for kind in kinds), tuple(probabilities), best)
            for kinds, probabilities, best in zip(
                found.indices.tolist(), found.values.tolist(), similarity.amax(-1).tolist(), strict=True
            )
        ]

    def _embed(self, texts: Sequence[str]) -> Float[Tensor, "B W"]:
        encoded = self._tower.encode(texts)
        return encoded.features[torch.arange(len(texts)), encoded.end]
