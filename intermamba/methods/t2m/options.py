"""Sizes and choices of T2M; imports no torch."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from intermamba.config import Fraction, Section
from intermamba.methods.method import Options

Weight = Annotated[float, Field(ge=0)]
Width = Annotated[int, Field(gt=0, le=4096)]
UNIT = 4
"""Frames of a movement."""
TAGS = 15
"""Parts of speech."""


class T2MSizes(Section):
    """Sizes of the networks."""

    movement: Width = 512
    """Features of a movement of four frames, and channels of the convolutions [512]."""
    text: Width = 512
    """Features of a state of a text encoder's GRU, in each direction [512]."""
    hidden: Width = 1024
    """Features of a state of the prior, the posterior and the decoder [1024]."""
    attended: Width = 512
    """Features of what is attended to in a caption [512]."""
    latent: Width = 128
    """Random numbers of a movement [128]."""
    length: Width = 512
    """Features of the length estimator's first layer; the next two have a half and a quarter [512]."""
    layers: Annotated[int, Field(gt=0, le=8)] = 1
    """GRU cells of the prior, the posterior and the decoder, one above the other [1]."""
    dropout: Fraction = 0.2
    """Share of the movement encoder's features dropped in training [0.2]."""
    window: Annotated[int, Field(gt=0, le=1024, multiple_of=UNIT)] = 24
    """Frames of a window that the autoencoder is trained on [24]."""
    stride: Annotated[int, Field(gt=0)] = 1
    """Frames between the starts of two windows [1]."""
    first: Annotated[int, Field(gt=0)] = 10
    """Movements that the generator learns to make at first; its curriculum asks for more later [10]."""

    @model_validator(mode="after")
    def _divisible(self) -> "T2MSizes":
        if self.hidden % 2 or self.length % 4:
            raise ValueError(f"hidden {self.hidden} must be even, and length {self.length} a multiple of 4")
        return self


class MovementLosses(Section):
    """Weights of the movement autoencoder's losses, beside one for the L1 distance of features."""

    sparsity: Weight = 0.001
    """Of a movement's mean magnitude [0.001]."""
    smoothness: Weight = 0.001
    """Of the mean difference of successive movements [0.001]."""


class GeneratorLosses(Section):
    """Weights of the generator's losses."""

    motion: Weight = 1.0
    """Of the smooth L1 distance of features [1]."""
    movement: Weight = 1.0
    """Of the smooth L1 distance of movements [1]."""
    divergence: Weight = 0.01
    """Of the posterior's Kullback-Leibler divergence from the prior [0.01, by Inter-X's command]."""


class Curriculum(Section):
    """When the generator learns to make one movement more; tried at each validation."""

    patience: Annotated[int, Field(ge=0)] = 3
    """Validations without a smaller loss that are borne; after one more there is one movement more [3]."""
    rise: Annotated[float, Field(gt=0)] = 0.1
    """So much over the smallest validation loss, there is one movement more at once [0.1]."""
    most: Annotated[int, Field(gt=0)] = 50
    """Validations after which there is one movement more in any case [50]."""


class T2MOptions(Options):
    """Choices of T2M."""

    lengths: Literal["drawn", "given"] = "drawn"
    """How long a motion is: drawn by the length estimator, as released; or given, as every other method is told."""
    shortest: Annotated[int, Field(gt=0)] = 6
    """Least movements of a drawn length. Officially a shorter one is drawn anew, but at most twice [6]."""
    teacher: Fraction = 0.4
    """Share of batches in which the generator goes on from true movements [0.4]."""
    curriculum: Curriculum = Curriculum()
    """When the generator learns to make longer motions, as released."""
    autoencoder: MovementLosses = MovementLosses()
    """Weights of the movement autoencoder's losses, as released."""
    losses: GeneratorLosses = GeneratorLosses()
    """Weights of the generator's losses, by Inter-X's command."""
