"""Word vectors and parts of speech in place of a text tower, as T2M reads captions.

A token is the 300 numbers of its word vector, then its part of speech, one-hot. Word vectors are those of Inter-X's
``glove/``. Parts of speech come with the data (Inter-X), or from spaCy with the rules of Inter-X's code. For the
embedded data both come from its lexicon: seeded stand-ins for word vectors; other words are unknown.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from intermamba.config import TextConfig
from intermamba.errors import ConfigError, DataError
from intermamba.text.names import tower_name
from intermamba.text.tower import Encoded
from intermamba.text.word_vectors import POS_TAGS, vectorise

MARKS = 2
"""Tokens that are not words: the marks before the first and after the last word."""


class WordTower:
    """A tower that encodes each word separately.

    Args:
        name: name in results.
        trained: whether the vectors have a meaning.
        context: maximum number of tokens of a caption, including the two marks.
        words: row of each word in ``vectors``.
        vectors: word vectors.
        tag: splits a caption into ``word/POS`` tokens.
    """

    def __init__(
        self,
        name: str,
        trained: bool,
        context: int,
        words: Mapping[str, int],
        vectors: Float[Tensor, "V W"],
        tag: Callable[[str], Sequence[str]],
    ) -> None:
        self.name, self.trained, self.context = name, trained, context
        self._words, self._vectors, self._tag = words, vectors, tag
        self._seen: dict[bytes, int] = {}
        self._rows = [torch.zeros(self.width)]

    @property
    def width(self) -> int:
        return self._vectors.shape[1] + len(POS_TAGS)

    def cuts(self, caption: str) -> bool:
        """Whether a caption is longer than the context."""
        return len(self._tag(caption)) + MARKS > self.context

    def encode(self, captions: Sequence[str]) -> Encoded:
        """Features of captions, zero after the last token. Tokens are numbered in order of appearance; padding is 0."""
        tagged = [self._tag(caption) for caption in captions]
        vectors, tags, length = vectorise(tagged, self._words, self._vectors, self.context - MARKS)
        features = torch.zeros(len(captions), self.context, self.width)
        tokens = torch.zeros(features.shape[:2], dtype=torch.long)
        for row, (size, found) in enumerate(zip(length.tolist(), torch.cat((vectors, tags), dim=2), strict=True)):
            features[row, :size] = found[:size]
            tokens[row, :size] = torch.tensor([self._number(token) for token in found[:size]])
        return Encoded(tokens, features, length - 1, length)

    def _number(self, token: Float[Tensor, " W"]) -> int:
        number = self._seen.setdefault(token.numpy().tobytes(), len(self._rows))
        if number == len(self._rows):
            self._rows.append(token)
        return number

    @property
    def token_embedding(self) -> Float[Tensor, "V W"]:
        """Features of the tokens seen so far, by number."""
        return torch.stack(self._rows)

    @property
    def positional_embedding(self) -> Float[Tensor, "S W"]:
        return torch.zeros(self.context, self.width)


def load(config: TextConfig, tagged: Mapping[str, Sequence[str]]) -> WordTower:
    """The tower of a profile whose ``tower`` is ``words``; ``tagged`` holds the tokens of captions that have some.

    Raises:
        ConfigError: ``width`` is not the width of a token, or ``context`` leaves no room for words.
        DataError: the vectors cannot be read.
    """
    name = tower_name(config)
    if config.weights:
        from intermamba.data.pos_tags import tokenise as unknown
        from intermamba.data.raw import read_word_vectors

        words, vectors = read_word_vectors(Path(config.weights))
    else:
        import numpy as np

        from intermamba.data.synthetic import lexicon

        unknown = _of_lexicon
        words = tuple(lexicon.vocabulary())
        vectors = np.stack([lexicon.vector(word) for word in words]).astype(np.float32)
    place = {word: row for row, word in enumerate(words)}

    def tag(caption: str) -> Sequence[str]:
        return tagged.get(caption) or unknown(caption)

    tower = WordTower(name, bool(config.weights), config.context, place, torch.from_numpy(vectors), tag)
    if config.width != tower.width:
        raise ConfigError(f"text.width: {config.width}, but a token of the tower `words` has {tower.width} features.")
    if config.context <= MARKS:
        raise ConfigError(f"text.context: {config.context} leaves no room for words; T2M keeps 37.")
    return tower


def _of_lexicon(caption: str) -> tuple[str, ...]:
    from intermamba.data.synthetic.lexicon import tag

    found: list[str] = []
    for word in re.findall("[a-z]+", caption.lower().replace("-", "")):
        try:
            found += tag(word).split()
        except DataError:
            found.append("unk/OTHER")
    return tuple(found)
