"""The embedded data's kinds of interaction that are nearest to a prompt, by the sentence tower."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from intermamba.data.synthetic import KINDS
from intermamba.data.synthetic.grammar import describe
from intermamba.text.tower import Tower

EXAMPLES = 12
"""Sentences that represent a kind, besides its name."""
CLOSEST = 3
"""Number of a kind's sentences, the most similar ones, that a prompt is compared with."""
TEMPERATURE = 0.03
"""Temperature of the softmax over similarities: the one under which the intended kinds of every other prompt of
``benchmarks/free_prompts.csv``, from the first on, are likeliest. The remaining prompts are its test."""
OUTSIDE = 0.3
"""Similarity below which a prompt is like no kind: one in ten of the same prompts is, and most sentences about other
things."""


@dataclass(frozen=True)
class Nearest:
    """The kinds nearest to a prompt, the nearest first."""

    kinds: tuple[str, ...]
    probabilities: tuple[float, ...]
    similarity: float
    """Cosine between the prompt and sentences of the nearest kind, -1 to 1."""

    @property
    def outside(self) -> bool:
        """Whether the prompt is like no kind."""
        return self.similarity < OUTSIDE


class NearestKinds:
    """Compares prompts with sentences of every kind; ``tower`` is a sentence encoder, unreduced."""

    def __init__(self, tower: Tower) -> None:
        self._tower = tower
        random = np.random.default_rng(0)
        texts: list[str] = []
        for kind in KINDS.values():
            texts.append(kind.name)
            for _ in range(EXAMPLES // 3):
                values = kind.combinations[random.integers(len(kind.combinations))]
                sentences = describe(kind, dict(zip(kind.parameters, values, strict=True)), random)
                texts += [sentence.text for sentence in sentences]
        self._examples = self._embed(texts).unflatten(0, (len(KINDS), -1))

    def __call__(self, prompts: Sequence[str], count: int = 3) -> list[Nearest]:
        """The ``count`` kinds nearest to each prompt."""
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
