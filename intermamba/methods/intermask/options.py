"""Sizes and choices of InterMask; imports no torch."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from intermamba.config import Fraction, Section, Weight
from intermamba.methods.method import Options

Graph = Literal["as_released", "fixed"]
UNIT = 4
"""Frames of a token."""


class TokenizerSizes(Section):
    """Sizes of the VQ-VAE that turns one person's motion into tokens."""

    width: Annotated[int, Field(gt=0, le=4096)] = 512
    """Channels of a convolution [512]."""
    code: Annotated[int, Field(gt=0, le=4096)] = 512
    """Features of an entry of the codebook [512]."""
    codes: Annotated[int, Field(gt=1, le=65536)] = 1024
    """Entries of the codebook [1024]."""
    depth: Annotated[int, Field(gt=0, le=8)] = 2
    """Residual blocks at each resolution [2]."""
    dilation: Annotated[int, Field(gt=0, le=8)] = 3
    """Each residual block has this many times the dilation of the next one [3]."""
    dropout: Fraction = 0.2
    """Share of a residual block's output dropped in training [0.2]."""
    window: Annotated[int, Field(gt=0, le=1024, multiple_of=UNIT)] = 64
    """Frames of a window that it is trained on [64]."""
    stride: Annotated[int, Field(gt=0)] = 10
    """Frames between the starts of two windows [10]."""


class TransformerSizes(Section):
    """Sizes of the masked transformer."""

    width: Annotated[int, Field(gt=0, le=4096)] = 384
    """Features of a token [384]."""
    heads: Annotated[int, Field(gt=0, le=64)] = 6
    """Attention heads [6]."""
    layers: Annotated[int, Field(gt=0, le=64)] = 6
    """Blocks [6]."""
    feedforward: Annotated[int, Field(gt=0, le=16384)] = 1024
    """Hidden features of a feed-forward; a block has two [1024]."""
    dropout: Fraction = 0.2
    """Share of features dropped in training [0.2]."""
    text_layers: Annotated[int, Field(gt=0, le=64)] = 2
    """Trained transformer blocks on top of the frozen text tower [2]."""
    text_heads: Annotated[int, Field(gt=0, le=64)] = 8
    """Attention heads of such a block [8]."""
    text_feedforward: Annotated[int, Field(gt=0, le=16384)] = 2048
    """Hidden features of such a block's feed-forward [2048]."""
    text_dropout: Fraction = 0.1
    """Share of such a block's features dropped in training [0.1]."""

    @model_validator(mode="after")
    def _divisible(self) -> "TransformerSizes":
        if self.width % 4 or self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of 4 and of its {self.heads} attention heads")
        return self


class InterMaskSizes(Section):
    """Sizes of the two networks."""

    tokenizer: TokenizerSizes = TokenizerSizes()
    """Sizes of the VQ-VAE."""
    transformer: TransformerSizes = TransformerSizes()
    """Sizes of the masked transformer."""


class TokenizerLosses(Section):
    """Weights of the VQ-VAE's losses; all but ``commitment`` and ``geodesic`` are smooth L1 distances."""

    features: Weight = 1.0
    """Weight of all features [1]."""
    positions: Weight = 1.0
    """Weight of joint positions [1]."""
    velocity: Weight = 100.0
    """Weight of joint positions' steps between frames [100]."""
    bone_length: Weight = 5.0
    """Weight of bone lengths [5]."""
    geodesic: Weight = 0.01
    """Weight of the angle between rotations, radians [0.01]."""
    foot_contact: Weight = 500.0
    """Weight of the steps of feet in contact, metres [500]."""
    commitment: Weight = 0.02
    """Weight of the squared distance of the encoder's output from its entry of the codebook [0.02]."""


class Masking(Section):
    """How tokens are hidden in training; ``diffusion.null_probability`` is the share of dropped captions."""

    one_person: Fraction = 0.2
    """Share of batches in which all tokens of one person are hidden and none of the other [0.2]."""
    wrong: Fraction = 0.1
    """Share of the chosen tokens that are replaced by random ones [0.1]."""
    hidden: Fraction = 0.88
    """Share of the rest that is hidden; the remaining ones are visible and still predicted [0.88]."""
    unrolled: Weight = 1.0
    """Weight of the loss after one decoding step [1]."""
    steps: Annotated[int, Field(gt=0)] = 20
    """Number of decoding steps, which determines the size of one [20]."""


class InterMaskOptions(Options):
    """Choices of InterMask."""

    graph: Graph = "as_released"
    """Frames in which joints see their neighbours. The released code numbers the joints of all frames of all clips
    consecutively and has edges between the first 22 only, so it is only the first frame; ``fixed``: all frames."""
    top: Fraction = 0.1
    """Share of the codebook to draw a token from, the likeliest entries [0.1]."""
    losses: TokenizerLosses = TokenizerLosses()
    """The authors' weights of the VQ-VAE's losses."""
    masking: Masking = Masking()
    """The authors' hiding of tokens in training."""
