"""The interface of text towers, and the towers.

``clip`` is the paper's. ``sentence`` is a small pre-trained encoder that is installed with this project, so that
captions have meaning on any machine. ``huggingface`` is any text encoder in a folder. ``words`` are word
vectors and parts of speech. ``untrained`` is a seeded stand-in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from intermamba.config import TextConfig


@dataclass(frozen=True)
class Encoded:
    """Captions after a tower, padded with zeros to its context."""

    tokens: Int[Tensor, "B S"]
    features: Float[Tensor, "B S W"]
    """Features after the last layer."""
    end: Int[Tensor, " B"]
    """Position of a caption's last token, whose feature represents the whole caption."""
    length: Int[Tensor, " B"]
    """Number of stored tokens; CLIP's padding tokens are among them, since InterGen reads them."""

    @property
    def mask(self) -> Bool[Tensor, "B S"]:
        """True on tokens that are stored."""
        return torch.arange(self.tokens.shape[1]) < self.length[:, None]


@runtime_checkable
class Tower(Protocol):
    """A frozen text tower: caption -> token features."""

    name: str
    """Name, as given with every result, without a reduction of its features."""
    trained: bool
    context: int
    """Maximum number of tokens of a caption."""

    @property
    def width(self) -> int:
        """Features of a token."""
        ...

    def encode(self, captions: Sequence[str]) -> Encoded:
        """Features of every token of each caption."""
        ...

    def cuts(self, caption: str) -> bool:
        """Whether the tower reads only the beginning of a caption."""
        ...

    @property
    def token_embedding(self) -> Float[Tensor, "V W"]:
        """Its first layer: features of each token without context."""
        ...

    @property
    def positional_embedding(self) -> Float[Tensor, "S W"]:
        """What it adds to the token at each position."""
        ...

    def __hash__(self) -> int: ...


def load(config: TextConfig, tagged: Mapping[str, Sequence[str]] | None = None) -> Tower:
    """The tower of a profile.

    ``tagged`` are the ``word/POS`` tokens of captions that have some already; only a tower of words reads them.

    Raises:
        ConfigError: an unknown architecture, unavailable weights, or a ``width`` that the tower cannot give.
    """
    if config.tower == "sentence":
        from intermamba.text import sentence

        return sentence.load(config)
    if config.tower == "huggingface":
        from intermamba.text import huggingface

        return huggingface.load(config)
    if config.tower == "words":
        from intermamba.text import words

        return words.load(config, tagged or {})
    from intermamba.text import clip

    return clip.load(config)
