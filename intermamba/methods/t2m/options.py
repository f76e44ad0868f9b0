"""Sizes and options of T2M; imports no torch."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from intermamba.config import Fraction, Section, Weight
from intermamba.methods.method import Options

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
    """Features of the attention to the words of a caption [512]."""
    latent: Width = 128
    """Features of a movement's latent vector [128]."""
    length: Width = 512
    """Features of the length estimator's first layer; the next two layers have half and a quarter of it [512]."""
    layers: Annotated[int, Field(gt=0, le=8)] = 1
    """Stacked GRU cells of the prior, of the posterior and of the decoder [1]."""
    dropout: Fraction = 0.2
    """Dropout of the movement encoder's features [0.2]."""
    window: Annotated[int, Field(gt=0, le=1024, multiple_of=UNIT)] = 24
    """Frames of a training window of the autoencoder [24]."""
    stride: Annotated[int, Field(gt=0)] = 1
    """Frames between the starts of two windows [1]."""
    first: Annotated[int, Field(gt=0)] = 10
    """Movements of the generator's motions at the start of its curriculum [10]."""

    @model_validator(mode="after")
    def _divisible(self) -> "T2MSizes":
        if self.hidden % 2 or self.length % 4:
            raise ValueError(f"hidden {self.hidden} must be even, and length {self.length} a multiple of 4")
        return self


class MovementLosses(Section):
    """Weights of the movement autoencoder's losses; the L1 distance of features has weight one."""

    sparsity: Weight = 0.001
    """Weight of the mean magnitude of movements [0.001]."""
    smoothness: Weight = 0.001
    """Weight of the mean difference between successive movements [0.001]."""


class GeneratorLosses(Section):
    """Weights of the generator's losses."""

    motion: Weight = 1.0
    """Weight of the smooth L1 distance of features [1]."""
    movement: Weight = 1.0
    """Weight of the smooth L1 distance of movements [1]."""
    divergence: Weight = 0.01
    """Weight of the Kullback-Leibler divergence of the posterior from the prior [0.01, Inter-X's command]."""


class Curriculum(Section):
    """When the generator's motions become one movement longer; checked at each validation."""

    patience: Annotated[int, Field(ge=0)] = 3
    """Validations without improvement that are allowed; one more adds a movement [3]."""
    rise: Annotated[float, Field(gt=0)] = 0.1
    """A validation loss higher than the lowest one by this much adds a movement at once [0.1]."""
    most: Annotated[int, Field(gt=0)] = 50
    """Validations after which a movement is added in any case [50]."""


class T2MOptions(Options):
    """Options of T2M."""

    lengths: Literal["drawn", "given"] = "drawn"
    """Length of a motion: drawn by the length estimator, as released; or given, as for every other method."""
    shortest: Annotated[int, Field(gt=0)] = 6
    """Fewest movements of a drawn length. The official code draws a shorter one again, but at most twice [6]."""
    teacher: Fraction = 0.4
    """Share of batches in which the generator continues from true movements [0.4]."""
    curriculum: Curriculum = Curriculum()
    """When the generator's motions become longer, as released."""
    autoencoder: MovementLosses = MovementLosses()
    """Weights of the movement autoencoder's losses, as released."""
    losses: GeneratorLosses = GeneratorLosses()
    """Weights of the generator's losses, from Inter-X's command."""
