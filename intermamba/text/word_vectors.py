"""Captions as T2M and the Inter-X evaluator read them: word vectors and parts of speech.

The tags, the words with special tags and the order of the tags are those of Inter-X
(``evaluation/text2motion/utils/word_vectorizer.py``): weights of official checkpoints depend on them.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from intermamba.errors import DataError

MAX_WORDS = 35
"""Words of a caption that are read [Inter-X]."""
POS_TAGS = (
    *("VERB", "NOUN", "DET", "ADP", "NUM", "AUX", "PRON", "ADJ", "ADV"),
    *("Loc_VIP", "Body_VIP", "Obj_VIP", "Act_VIP", "Desc_VIP", "OTHER"),
)
_MARKED = {
    "Loc_VIP": "left right clockwise counterclockwise anticlockwise forward back backward up down straight curve",
    "Body_VIP": "arm chin foot feet face hand mouth leg waist eye knee shoulder thigh",
    "Obj_VIP": "stair dumbbell chair window floor car ball handrail baseball basketball",
    "Act_VIP": "walk run swing pick bring kick put squat throw hop dance jump turn stumble stop sit lift lower raise "
    "wash stand kneel stroll rub bend balance flap jog shuffle lean rotate spin spread climb",
    "Desc_VIP": "slowly carefully fast careful slow quickly happy angry sad happily angrily sadly",
}
_TAG_OF_WORD = {word: tag for tag, words in _MARKED.items() for word in words.split()}


def vectorise(
    captions: Sequence[Sequence[str]],
    words: Mapping[str, int],
    vectors: Float[Tensor, "V W"],
    most: int = MAX_WORDS,
) -> tuple[Float[Tensor, "B S W"], Float[Tensor, "B S C"], Int[Tensor, " B"]]:
    """Word vectors, one-hot tags and lengths of captions given as ``word/POS`` tokens.

    A caption is cut to ``most`` words, put between ``sos`` and ``eos``, and padded with ``unk``. A word
    without a vector becomes ``unk``, and so does a token that is not one word and one tag.

    Raises:
        DataError: the table of word vectors has no ``unk``.
    """
    if "unk" not in words:
        raise DataError("The word vectors have no 'unk'; expected Inter-X's glove/hhi_vab_* files.")
    bounded = [["sos/OTHER", *tokens[:most], "eos/OTHER"] for tokens in captions]
    longest = max(map(len, bounded))
    pairs = [[_lookup(token, words) for token in tokens] for tokens in bounded]
    padding = (words["unk"], POS_TAGS.index("OTHER"))
    table = torch.tensor([[*row, *[padding] * (longest - len(row))] for row in pairs])
    tags = torch.nn.functional.one_hot(table[..., 1], len(POS_TAGS))
    return vectors[table[..., 0]], tags.to(vectors.dtype), torch.tensor([len(row) for row in pairs])


def _lookup(token: str, words: Mapping[str, int]) -> tuple[int, int]:
    word, _, tag = token.partition("/")
    if token.count("/") != 1 or word not in words:
        word, tag = "unk", "OTHER"
    tag = _TAG_OF_WORD.get(word, tag)
    return words[word], POS_TAGS.index(tag if tag in POS_TAGS else "OTHER")
