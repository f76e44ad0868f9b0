"""Sizes and choices of TEMOS; imports no torch."""

from typing import Annotated

from pydantic import Field, model_validator

from intermamba.config import Fraction, Section, Weight
from intermamba.methods.method import Options


class TemosSizes(Section):
    """Sizes of the three networks."""

    width: Annotated[int, Field(gt=0, le=4096)] = 256
    """Features of the latent vector and of every token [256]."""
    feedforward: Annotated[int, Field(gt=0, le=16384)] = 1024
    """Hidden features of a transformer block's feed-forward [1024]."""
    layers: Annotated[int, Field(gt=0, le=64)] = 6
    """Transformer blocks of each network [6]."""
    heads: Annotated[int, Field(gt=0, le=64)] = 4
    """Attention heads of a block [4]. The official configuration has 6 under a misspelt name that nothing reads."""
    dropout: Fraction = 0.1
    """Share of features dropped in training [0.1]."""

    @model_validator(mode="after")
    def _divisible(self) -> "TemosSizes":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of its {self.heads} attention heads")
        return self


class TemosLosses(Section):
    """Weights of the losses."""

    reconstruction: Weight = 1.0
    """Weight of the smooth L1 distance of normalised features, from the caption and from the motion [1]."""
    divergence: Weight = 1e-5
    """Weight of the four Kullback-Leibler divergences: each distribution from the other and from the normal [1e-5]."""
    latent: Weight = 1e-5
    """Weight of the smooth L1 distance of the two latent vectors [1e-5]."""


class TemosOptions(Options):
    """Choices of TEMOS."""

    losses: TemosLosses = TemosLosses()
    """The authors' weights of the losses."""
