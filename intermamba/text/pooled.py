"""Towers composed of a tokenizer and an encoder: sentence encoders, and other text models."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from intermamba.text.tower import Encoded

_TOKENS = 4096
"""Tokens of one batch."""


class PooledTower:
    """A text model without a token for the whole sentence: the mean of all token features replaces the last.

    That mean is what sentence encoders are trained for. All features are scaled to length 1, as the model card of
    all-MiniLM-L6-v2 requires for the mean.

    Args:
        encode: token ids of equally long captions to features after the last layer.
        tokenizer: a tokenizer of the ``tokenizers`` library that adds the model's special tokens.
        token_embedding: the model's first layer.
        positional_embedding: the model's positional embedding, at least ``context`` long.
        pools: false for a model whose last token is trained to represent the whole sentence, as CLIP's is.
    """

    trained = True

    def __init__(
        self,
        name: str,
        context: int,
        encode: Callable[[Int[Tensor, "B S"]], Float[Tensor, "B S W"]],
        tokenizer: Any,
        token_embedding: Float[Tensor, "V W"],
        positional_embedding: Float[Tensor, "S W"],
        pools: bool = True,
    ) -> None:
        self.name, self.context, self._model, self._tokenizer = name, context, encode, tokenizer
        self._pools = pools
        self.token_embedding, self.positional_embedding = token_embedding, positional_embedding[:context]
        tokenizer.no_padding()
        tokenizer.enable_truncation(context)

    @property
    def width(self) -> int:
        return self.token_embedding.shape[1]

    def cuts(self, caption: str) -> bool:
        """Whether the tower reads only the beginning of a caption."""
        return bool(self._tokenizer.encode(caption).overflowing)

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> Encoded:
        """Captions after the tower; those of equal length share a batch, so that there is no padding."""
        found = [one.ids for one in self._tokenizer.encode_batch(list(captions))]
        length = torch.tensor([len(ids) for ids in found])
        tokens = torch.zeros(len(found), self.context, dtype=torch.long)
        features = torch.zeros(len(found), self.context, self.width)
        for size in length.unique().tolist():
            for rows in (length == size).nonzero().flatten().split(max(1, _TOKENS // size)):
                tokens[rows, :size] = ids = torch.tensor([found[row] for row in rows])
                hidden = self._model(ids).float()
                if self._pools:
                    hidden[:, -1] = hidden.mean(dim=1)
                features[rows, :size] = normalize(hidden, dim=-1)
        return Encoded(tokens, features, length - 1, length)
